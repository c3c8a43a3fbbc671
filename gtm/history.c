/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gtm/history_int.h"

/* -- tables ---------------------------------------------------------------- */

int history_grow(void **list, size_t n, size_t *max, size_t size)
{
	if (n < *max)
		return 0;
	size_t more = *max == 0 ? 16 : 2 * *max;
	void *bigger = realloc(*list, more * size);
	if (bigger == NULL)
		return -ENOMEM;
	*list = bigger;
	*max = more;
	return 0;
}

static void table_clear(struct history_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->name[i].text);
	t->n = 0;
}

static int table_add(struct history_table *t, const struct journal_name *name)
{
	void *list = t->name;
	int rc = history_grow(&list, t->n, &t->max, sizeof(*t->name));

	if (rc != 0)
		return rc;
	t->name = list;
	char *text = malloc(name->text.n + 1);
	if (text == NULL)
		return -ENOMEM;
	memcpy(text, name->text.p, name->text.n);
	text[name->text.n] = '\0';
	t->name[t->n++] =
		(struct history_name){ .text = text, .parent = name->parent };
	return 0;
}

/* -- taking records -------------------------------------------------------- */

/*
 * Moves the clock on.  Decisions come a little after what they were made
 * before: that is no clock that was put back.
 */
static void clock_move(struct gtm_history *h, uint64_t time_ms)
{
	if (h->last_ms == 0) {
		h->clock_ms = HISTORY_CLOCK_MS;
	} else if (time_ms > h->last_ms) {
		uint64_t left = HISTORY_CLOCK_MAX - h->clock_ms;
		uint64_t more = time_ms - h->last_ms;
		h->clock_ms += more < left ? more : left;
	} else if (h->last_ms - time_ms <= HISTORY_JITTER_MS) {
		return;
	}
	h->last_ms = time_ms;
}

static int take_epoch(struct gtm_history *h, const struct journal_record *r)
{
	for (unsigned int i = 0; i < JOURNAL_TABLES; i++)
		table_clear(&h->table[i]);
	h->n_slots = 0;
	memcpy(h->file, r->epoch.file.p, r->epoch.file.n);
	h->file[r->epoch.file.n] = '\0';
	h->epoch = (struct gtm_history_epoch){
		.number = h->epoch.number + 1,
		.serial = r->epoch.serial,
		.hash = r->epoch.hash,
		.from_ms = r->time_ms,
		.file = h->file,
	};
	h->changes++;
	return 0;
}

static int take_name(struct gtm_history *h, const struct journal_name *name)
{
	if (name->table >= JOURNAL_TABLES)
		return 0; /* of a later version */
	struct history_table *t = &h->table[name->table];
	if (name->number != t->n || h->epoch.whole)
		return -EBADMSG;
	if (name->table == JOURNAL_SERVERS &&
	    name->parent >= h->table[JOURNAL_POPS].n)
		return -EBADMSG;
	return table_add(t, name);
}

static int take_slot(struct gtm_history *h, const struct journal_slot *slot)
{
	void *list = h->slot;

	if (slot->number != h->n_slots || h->epoch.whole ||
	    slot->server >= h->table[JOURNAL_SERVERS].n ||
	    slot->service >= h->table[JOURNAL_SERVICES].n ||
	    slot->address.n == 0)
		return -EBADMSG;
	int rc = history_grow(&list, h->n_slots, &h->slots_max,
			      sizeof(*h->slot));
	if (rc != 0)
		return rc;
	h->slot = list;
	h->slot[h->n_slots++] = (struct history_slot){
		.server = slot->server,
		.service = slot->service,
		.address = slot->address,
	};
	return 0;
}

static int take_value(struct gtm_history *h, const struct journal_value *value)
{
	if (value->slot >= h->n_slots)
		return -EBADMSG;
	struct history_slot *slot = &h->slot[value->slot];
	slot->value = *value;
	slot->clock_ms = h->clock_ms;
	slot->change = ++h->changes;
	return 0;
}

static int take_drain(struct gtm_history *h, const struct journal_drain *drain)
{
	if (drain->server >= h->table[JOURNAL_SERVERS].n)
		return -EBADMSG;
	struct history_name *server =
		&h->table[JOURNAL_SERVERS].name[drain->server];
	if (drain->said >= JOURNAL_SAID)
		return 0; /* of a later version */
	uint64_t *until_ms = &server->until_ms[drain->said];
	*until_ms = drain->left_ms == 0 ? 0 : UINT64_MAX;
	if (drain->left_ms > 0 && drain->left_ms != JOURNAL_NEVER)
		*until_ms = h->clock_ms + drain->left_ms;
	h->changes++;
	return 0;
}

static int take_measure(struct gtm_history *h, const struct journal_measure *m)
{
	struct history_table *table =
		&h->table[m->what == JOURNAL_LOAD ? JOURNAL_SERVERS
						  : JOURNAL_POPS];

	if (m->what > JOURNAL_BANDWIDTH)
		return 0; /* of a later version */
	if (m->number >= table->n)
		return -EBADMSG;
	uint64_t when_ms =
		m->age_ms < h->clock_ms ? h->clock_ms - m->age_ms : 1;
	table->name[m->number].measure[m->what] =
		(struct history_measure){ m->metric, when_ms };
	h->changes++;
	return 0;
}

int gtm_history_take(struct gtm_history *h, const struct journal_record *r)
{
	if (r->time_ms == 0 || r->time_ms > HISTORY_TIME_MAX)
		return -EBADMSG;
	clock_move(h, r->time_ms);
	if (r->kind == JOURNAL_EPOCH)
		return take_epoch(h, r);
	if (h->epoch.number == 0)
		return 0;
	switch (r->kind) {
	case JOURNAL_NAME:
		return take_name(h, &r->name);
	case JOURNAL_SLOT:
		return take_slot(h, &r->slot);
	case JOURNAL_VALUE:
		return take_value(h, &r->value);
	case JOURNAL_DRAIN:
		return take_drain(h, &r->drain);
	case JOURNAL_MEASURE:
		return take_measure(h, &r->measure);
	case JOURNAL_NEAR:
		return history_take_near(h, &r->near);
	case JOURNAL_DECISION:
		history_take_group(h, &r->decision);
		return 0;
	case JOURNAL_WHOLE:
		h->epoch.whole = true;
		return 0;
	default:
		return 0;
	}
}

/* -- what is known --------------------------------------------------------- */

const struct gtm_history_epoch *gtm_history_epoch(const struct gtm_history *h)
{
	return &h->epoch;
}

const char *gtm_history_name(const struct gtm_history *h,
			     enum journal_table table, uint32_t number)
{
	const struct history_table *t = &h->table[table];

	return number < t->n ? t->name[number].text : NULL;
}

bool gtm_history_slot(const struct gtm_history *h, uint32_t number,
		      struct journal_slot *slot)
{
	if (number >= h->n_slots)
		return false;
	*slot = (struct journal_slot){ .number = number,
				       .server = h->slot[number].server,
				       .service = h->slot[number].service,
				       .address = h->slot[number].address };
	return true;
}

const char *gtm_history_pop(const struct gtm_history *h, uint32_t server)
{
	const struct history_table *t = &h->table[JOURNAL_SERVERS];

	if (server >= t->n)
		return NULL;
	return gtm_history_name(h, JOURNAL_POPS, t->name[server].parent);
}

uint64_t gtm_history_last_ms(const struct gtm_history *h)
{
	return h->last_ms;
}

int gtm_history_new(struct gtm_history **historyp)
{
	struct gtm_history *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return -ENOMEM;
	h->epoch.file = h->file;
	*historyp = h;
	return 0;
}

void gtm_history_free(struct gtm_history *h)
{
	if (h == NULL)
		return;
	for (unsigned int i = 0; i < JOURNAL_TABLES; i++) {
		table_clear(&h->table[i]);
		free(h->table[i].name);
	}
	history_near_free(&h->near);
	free(h->slot);
	free(h);
}
