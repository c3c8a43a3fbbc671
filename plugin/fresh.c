/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/fresh.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <dns/name.h>
#include <dns/result.h>

#include <json-c/json.h>

#include "plugin/control.h"
#include "plugin/denial.h"
#include "plugin/fresh_int.h"
#include "plugin/jsonadd.h"
#include "plugin/log.h"

#define GAP_MS	     1000u /* between looks at one zone, on average */
#define BURST	     4u	   /* looks that may follow each other at once */
#define RETRY_MAX_MS 60000u
#define ROUND_MAX    32u    /* looks begun in one tick */
#define HEAP_STEP    16384u /* entries that 'due' grows by */
#define STEP_ZONES   64u    /* of a new configuration, in one step */

/* -- zones ------------------------------------------------------------- */

static struct fresh_zone *watch(struct engine *e, struct zone *zone)
{
	struct fresh_zone *fz = zone->state->fresh;

	if (fz == NULL) {
		fz = calloc(1, sizeof(*fz));
		if (fz == NULL)
			return NULL;
		fz->state = zone->state;
		fz->next = e->fresh->zones;
		e->fresh->zones = fz;
		zone->state->fresh = fz;
	}
	snapshot_ref(zone->snapshot);
	if (fz->zone != NULL)
		snapshot_unref(fz->zone->snapshot);
	fz->zone = zone;
	fz->round = e->fresh->round;
	return fz;
}

static void zone_free(struct fresh_zone *fz)
{
	if (fz->zone != NULL)
		snapshot_unref(fz->zone->snapshot);
	if (fz->keys != NULL)
		dns_tsigkeyring_detach(&fz->keys);
	free(fz);
}

bool fresh_wants_key(const struct config_zone *zone)
{
	for (size_t i = 0; i < zone->n_origins; i++)
		if (zone->origins[i].key.n > 0)
			return true;
	return false;
}

/* A zone whose origins want a key that nobody has shown yet has to wait. */
static bool may_ask(const struct fresh_zone *fz)
{
	return fz->zone != NULL &&
	       (fz->keys != NULL || !fresh_wants_key(fz->zone->config));
}

static uint64_t poll_ms(const struct fresh_zone *fz)
{
	if (fz->zone == NULL)
		return 0;
	uint32_t poll_s = fz->zone->config->poll_s;
	return (poll_s > 0 ? poll_s : denial_refresh_s(fz->zone)) *
	       UINT64_C(1000);
}

static bool is_sooner(void *a, void *b)
{
	const struct fresh_zone *x = a;
	const struct fresh_zone *y = b;

	return x->due_ms < y->due_ms;
}

static void note_place(void *zone, unsigned int place)
{
	struct fresh_zone *fz = zone;

	fz->place = place;
}

/*
 * Sets when the next look is due (0: none).  Also to be called, with fz->due_ms
 * as it is, when anything has changed that keeps it from 'due'.
 */
static void due_set(struct engine *e, struct fresh_zone *fz, uint64_t due_ms)
{
	if (fz->place != 0)
		isc_heap_delete(e->fresh->due, fz->place);
	fz->place = 0;
	fz->due_ms = due_ms;
	if (due_ms != 0 && !fz->busy && may_ask(fz))
		isc_heap_insert(e->fresh->due, fz);
}

static bool is_wanted(const struct zone *zone)
{
	return zone->config->poll_s > 0 ||
	       zone->config->names == CONFIG_NAMES_TRANSFER ||
	       zone->snapshot->config->n_notify > 0 ||
	       zone->state->fresh != NULL;
}

/* Watches a zone of a new configuration, if that is wanted. */
static void adopt(struct engine *e, struct zone *zone)
{
	bool is_new = zone->state->fresh == NULL;
	struct fresh_zone *fz = is_wanted(zone) ? watch(e, zone) : NULL;

	if (fz == NULL)
		return;
	/* a zone that has been served may have answers of any age */
	if (is_new)
		fz->early = zone->state->restored || zone->state->served;
	bool now = !fz->known || poll_ms(fz) > 0;
	due_set(e, fz, now ? clock_now_ms() : fz->due_ms);
}

/* Forgets the zone at 'at' if it is gone; who is busy goes a round later. */
static struct fresh_zone **sweep(struct engine *e, struct fresh_zone **at)
{
	struct fresh_zone *fz = *at;

	if (fz->round == e->fresh->round)
		return &fz->next;
	if (fz->zone != NULL) {
		fz->state->fresh = NULL;
		atomic_store(&fz->state->serial, 0);
		fz->state = NULL;
		snapshot_unref(fz->zone->snapshot);
		fz->zone = NULL;
		due_set(e, fz, 0);
	}
	if (fz->busy)
		return &fz->next;
	*at = fz->next;
	zone_free(fz);
	return at;
}

/* First the zones that are there, then those that are gone. */
static bool adopt_step(void *arg)
{
	struct engine *e = arg;
	struct fresh *f = e->fresh;
	struct snapshot *s = f->adopted;

	for (size_t i = 0; i < STEP_ZONES && !f->stopping; i++) {
		if (f->adopt_at < s->n)
			adopt(e, &s->zone[f->adopt_at++]);
		else if (*f->sweep_at != NULL)
			f->sweep_at = sweep(e, f->sweep_at);
		else
			break;
	}
	if (!f->stopping && (f->adopt_at < s->n || *f->sweep_at != NULL))
		return false;
	f->adopted = NULL;
	snapshot_unref(s);
	fresh_tick(e);
	return true;
}

void fresh_configured(struct engine *e, struct snapshot *s)
{
	struct fresh *f = e->fresh;

	snapshot_ref(s);
	if (f->adopted != NULL)
		snapshot_unref(f->adopted);
	else
		slicer_add(&e->slicer, &f->adopting);
	f->adopted = s;
	f->adopt_at = 0;
	f->sweep_at = &f->zones;
	f->round++;
}

struct dns_tsigkey *fresh_key(const struct fresh_zone *fz,
			      const struct dname *name)
{
	dns_name_t key_name = DNS_NAME_INITEMPTY;
	isc_region_t region = { (unsigned char *)name->wire, name->n };
	dns_tsigkey_t *key = NULL;

	if (fz->keys == NULL)
		return NULL;
	dns_name_fromregion(&key_name, &region);
	if (dns_tsigkey_find(&key, &key_name, NULL, fz->keys) != ISC_R_SUCCESS)
		return NULL;
	return key;
}

bool fresh_seen(const struct zone *zone, uint32_t *serial)
{
	const struct fresh_zone *fz = zone->state->fresh;

	if (fz == NULL || !fz->known)
		return false;
	*serial = fz->seen;
	return true;
}

bool fresh_signed(const struct zone *zone)
{
	return zone->state->fresh != NULL && zone->state->fresh->is_signed;
}

int fresh_key_for(const struct zone *zone, const struct config_origin *origin,
		  struct dns_tsigkey **keyp)
{
	const struct fresh_zone *fz = zone->state->fresh;
	struct dns_tsigkey *key = NULL;

	if (origin->key.n > 0 && fz != NULL)
		key = fresh_key(fz, &origin->key);
	if (origin->key.n > 0 && key == NULL)
		return -ENOKEY;
	*keyp = key;
	return 0;
}

/* -- when -------------------------------------------------------------- */

static uint64_t backoff_ms(uint32_t times)
{
	uint64_t ms = times < 7 ? (uint64_t)GAP_MS << times : RETRY_MAX_MS;

	return ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
}

/* Now, if the last looks are long enough ago; else then. */
static void look_soon(struct engine *e, struct fresh_zone *fz)
{
	uint64_t now_ms = clock_now_ms();
	uint64_t spare_ms = (uint64_t)(BURST - 1) * GAP_MS;

	if (fz->busy || !may_ask(fz))
		return; /* fresh_checked() or fresh_asked() will see to it */
	if (atomic_load(&e->process->restoring)) {
		due_set(e, fz, now_ms); /* a walk would miss what comes back */
		return;
	}
	if (fz->paid_ms > now_ms + spare_ms) {
		due_set(e, fz, fz->paid_ms - spare_ms);
		return;
	}
	fz->paid_ms = (fz->paid_ms > now_ms ? fz->paid_ms : now_ms) + GAP_MS;
	due_set(e, fz, 0);
	fz->hint = false;
	fresh_check(e, fz);
}

void fresh_checked(struct engine *e, struct fresh_zone *fz, bool failed,
		   bool lagging)
{
	static struct log_gate gate;
	uint64_t now_ms = clock_now_ms();

	fz->busy = false;
	if (fz->zone == NULL || e->fresh->stopping)
		return; /* the next sweep() or fresh_free() has it */
	fz->fails = failed ? fz->fails + 1 : 0;
	fz->lags = lagging ? fz->lags + 1 : 0;
	if (failed) {
		due_set(e, fz, now_ms + backoff_ms(fz->fails - 1));
		log_limited(&gate, process_now_s(e->process), ISC_LOG_WARNING,
			    "zone '%s': no origin tells its serial: asking "
			    "again later",
			    fz->zone->config->id);
		return;
	}
	uint64_t wait_ms = lagging ? backoff_ms(fz->lags - 1) : UINT64_MAX;
	if (poll_ms(fz) > 0 && poll_ms(fz) < wait_ms)
		wait_ms = poll_ms(fz);
	due_set(e, fz, wait_ms < UINT64_MAX ? now_ms + wait_ms : fz->due_ms);
	if (fz->hint)
		look_soon(e, fz);
}

void fresh_tick(struct engine *e)
{
	struct fresh *f = e->fresh;
	uint64_t now_ms = clock_now_ms();

	if (f->stopping || atomic_load(&e->process->restoring))
		return;
	for (size_t begun = 0; begun < ROUND_MAX; begun++) {
		struct fresh_zone *fz = isc_heap_element(f->due, 1);
		if (fz == NULL || fz->due_ms > now_ms)
			return;
		look_soon(e, fz);
	}
}

void fresh_asked(struct engine *e, struct zone *zone, dns_tsig_keyring_t *keys)
{
	struct fresh_zone *fz = zone->state->fresh;

	if (fz == NULL || e->fresh->stopping)
		return;
	if (keys != NULL && keys != fz->keys) {
		if (fz->keys != NULL)
			dns_tsigkeyring_detach(&fz->keys);
		dns_tsigkeyring_attach(keys, &fz->keys);
		due_set(e, fz, fz->due_ms); /* it may have waited for them */
	}
	if (fz->known)
		return;
	fz->early = true;
	if (fz->fails == 0 || fz->hint)
		look_soon(e, fz);
}

bool fresh_unsettled(const struct engine *e, const struct zone *zone)
{
	const struct fresh_zone *fz = zone->state->fresh;

	if (fz == NULL) /* its turn in a new configuration may still come */
		return e->fresh->adopted != NULL && is_wanted(zone);
	return !fz->known && may_ask(fz);
}

uint64_t fresh_serial(const struct zone *zone)
{
	return atomic_load(&zone->state->serial);
}

void fresh_restored(struct engine *e, struct zone *zone, uint64_t saved)
{
	if (zone->state->fresh == NULL) /* not adopted yet */
		adopt(e, zone);

	struct fresh_zone *fz = zone->state->fresh;
	bool first = fz != NULL && !fz->known && !fz->early;

	zone->state->restored = true;
	if (fz == NULL)
		return; /* not watched: TTLs alone bound what was saved */
	if (first && (saved & FRESH_SERIAL) != 0) {
		fz->known = true;
		fz->serial = (uint32_t)saved;
		fz->seen = fz->serial;
		atomic_store(&fz->state->serial, saved);
	} else { /* of any version, as far as is known */
		fz->known = false;
		fz->early = true;
		atomic_store(&fz->state->serial, 0);
	}
	due_set(e, fz, clock_now_ms());
}

/* -- the command ------------------------------------------------------- */

static bool is_meant(const struct zone *zone, const char *id,
		     const struct dname *name)
{
	return strcmp(zone->config->id, id) == 0 ||
	       (name != NULL && dname_equal(&zone->config->name, name));
}

void fresh_hint(struct engine *e, struct zone *zone)
{
	bool is_new = zone->state->fresh == NULL;
	struct fresh_zone *fz = watch(e, zone);

	if (fz == NULL)
		return;
	if (is_new)
		fz->early = true;
	fz->hints++;
	fz->hint = true;
	look_soon(e, fz);
}

void fresh_handle(struct engine *e, struct control_client *client,
		  struct json_object *request)
{
	struct snapshot *s = e->snapshot;
	const char *id = member(request, "zone");
	const char *from = member(request, "from");
	struct dname name;
	size_t zones = 0;

	if (id == NULL) {
		control_reply_error(client, "notify wants a zone");
		return;
	}
	bool is_name = dname_parse(slice_of(id), &name) == 0;
	for (size_t i = 0; s != NULL && i < s->n; i++) {
		if (!is_meant(&s->zone[i], id, is_name ? &name : NULL))
			continue;
		fresh_hint(e, &s->zone[i]);
		zones++;
	}
	if (zones == 0) {
		control_reply_error(client, "no zone '%.300s'", id);
		return;
	}
	log_write(ISC_LOG_DEBUG(1), "zone '%s': told of a change by '%.64s'",
		  id, from != NULL ? from : "nzctl");
	struct json_object *reply = json_object_new_object();
	json_object_object_add(reply, "zones", json_object_new_uint64(zones));
	control_reply(client, reply);
}

struct json_object *fresh_status(const struct zone *zone)
{
	const struct fresh_zone *fz = zone->state->fresh;

	if (fz == NULL)
		return NULL;
	struct json_object *o = json_object_new_object();
	json_object_object_add(o, "serial",
			       fz->known ? json_object_new_int64(fz->seen)
					 : NULL);
	json_object_object_add(o, "oldest",
			       fz->known ? json_object_new_int64(fz->serial)
					 : NULL);
	add_number(o, "hints", fz->hints);
	add_number(o, "checks", fz->checks);
	add_number(o, "transfers", fz->transfers);
	add_number(o, "whole", fz->wholes);
	add_number(o, "dropped", fz->dropped);
	add_bool(o, "busy", fz->busy);
	return o;
}

/* -- life -------------------------------------------------------------- */

int fresh_new(struct engine *e)
{
	e->fresh = calloc(1, sizeof(*e->fresh));
	if (e->fresh == NULL)
		return -ENOMEM;
	isc_heap_create(e->process->mctx, is_sooner, note_place, HEAP_STEP,
			&e->fresh->due);
	e->fresh->adopting =
		(struct slicer_work){ .step = adopt_step, .arg = e };
	fresh_walk_init(e);
	return 0;
}

void fresh_stop(struct engine *e)
{
	struct fresh *f = e->fresh;

	f->stopping = true;
	while (f->moving != NULL)
		xfr_cancel(f->moving->xfr);
}

void fresh_free(struct engine *e)
{
	struct fresh *f = e->fresh;

	while (f->zones != NULL) {
		struct fresh_zone *next = f->zones->next;
		zone_free(f->zones);
		f->zones = next;
	}
	isc_heap_destroy(&f->due);
	free(f);
	e->fresh = NULL;
}
