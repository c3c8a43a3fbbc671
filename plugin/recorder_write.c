/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/recorder_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gtm/explain.h"
#include "plugin/log.h"
#include "plugin/map.h"

#define METRIC_PCT 5u	  /* what a metric may move by unmentioned */
#define AGAIN_MS   60000u /* and for how long results that say the same */
#define NOBODY	   (JOURNAL_NUMBER_MAX - 1) /* a server that is gone */

/* -- frames ---------------------------------------------------------------- */

void recorder_failed(struct recorder *r, int rc)
{
	r->bad = true;
	atomic_fetch_add(&r->errors, 1);
	if (r->said == rc)
		return;
	r->said = rc;
	if (rc == -EFBIG)
		log_write(ISC_LOG_ERROR,
			  "journal: 'size' is too small for what is known of "
			  "the servers: nothing is kept");
	else
		log_write(ISC_LOG_ERROR,
			  "journal: cannot write in '%s': %s; nothing is kept",
			  r->directory != NULL ? r->directory : "?",
			  log_error(rc, (char[LOG_ERROR_MAX]){ 0 }));
}

void recorder_flush(struct recorder *r)
{
	if (!r->open)
		return;
	r->open = false;
	struct slice frame = journal_end(&r->pen);
	if (frame.n == 0 || r->bad)
		return;
	int rc = recorder_file_add(r->file, frame);
	if (rc == -EFBIG) { /* another file has room */
		r->bad = true;
		r->full = true;
		return;
	}
	if (rc != 0) {
		recorder_failed(r, rc);
		return;
	}
	atomic_store(&r->bytes, recorder_file_bytes(r->file));
}

void recorder_put(struct recorder *r, struct journal_record *record,
		  uint64_t now_ms)
{
	record->time_ms = (uint64_t)((int64_t)now_ms + r->wall_ms);
	for (unsigned int i = 0; i < 2 && !r->bad; i++) {
		if (!r->open)
			journal_begin(&r->pen, r->frame, sizeof(r->frame),
				      record->time_ms);
		r->open = true;
		if (journal_put(&r->pen, record)) {
			r->wrote_ms = now_ms;
			return;
		}
		recorder_flush(r);
	}
}

static void put_event(struct recorder *r, struct journal_record *record,
		      uint64_t now_ms)
{
	recorder_put(r, record, now_ms);
	atomic_fetch_add_explicit(&r->events, 1, memory_order_relaxed);
}

/* -- names ----------------------------------------------------------------- */

struct naming {
	struct recorder *r;
	uint64_t now_ms;
	enum journal_table table;
	uint32_t n;
};

static void name_put(struct naming *naming, const char *text, uint32_t parent)
{
	struct journal_record record = {
		.kind = JOURNAL_NAME,
		.name = { .table = (uint8_t)naming->table,
			  .number = naming->n++,
			  .parent = parent,
			  .text = slice_of(text) },
	};

	recorder_put(naming->r, &record, naming->now_ms);
}

static void words_put(struct recorder *r, uint64_t now_ms,
		      enum journal_table table, const char *const *words,
		      unsigned int n)
{
	struct naming naming = { r, now_ms, table, 0 };

	for (unsigned int i = 0; i < n; i++)
		name_put(&naming, words[i], 0);
}

static void names_put(struct recorder *r, uint64_t now_ms)
{
	const struct config *config = r->snapshot->config;
	struct naming pops = { r, now_ms, JOURNAL_POPS, 0 };
	struct naming servers = { r, now_ms, JOURNAL_SERVERS, 0 };
	struct naming services = { r, now_ms, JOURNAL_SERVICES, 0 };
	struct naming hosts = { r, now_ms, JOURNAL_HOSTS, 0 };

	words_put(r, now_ms, JOURNAL_RULES, gtm_rule_names, GTM_RULES);
	words_put(r, now_ms, JOURNAL_TIERS, gtm_explain_tiers, CONFIG_TIERS);
	words_put(r, now_ms, JOURNAL_OUTCOMES, gtm_explain_outcomes,
		  GTM_SERVFAIL + 1);
	for (size_t i = 0; i < config->n_pops; i++)
		name_put(&pops, config->pops[i].id, 0);
	for (size_t i = 0; i < config->n_servers; i++)
		name_put(&servers, config->servers[i].id,
			 config->servers[i].pop);
	for (size_t i = 0; i < config->n_services; i++)
		name_put(&services, config->services[i].id, 0);
	/* only answers refer to these, which may be very many */
	for (size_t i = 0;
	     config->journal_decisions > 0 && i < config->n_hostnames; i++)
		name_put(&hosts, config->hostnames[i].id, 0);
}

static void address_copy(struct journal_address *to, bool v6, const void *from)
{
	*to = (struct journal_address){ .n = v6 ? 16 : 4 };
	memcpy(to->octets, from, to->n);
}

static void slot_put(struct recorder *r, size_t i, uint64_t now_ms)
{
	const struct gtm_world *world = r->snapshot->world;
	const struct gtm_about *about = &world->about[i];
	const struct sockaddr_storage *ss = &world->cells[i]->address;
	struct journal_record record = {
		.kind = JOURNAL_SLOT,
		.slot = { .number = (uint32_t)i,
			  .server = about->server,
			  .service = (uint32_t)(about->service -
						world->config->services) },
	};

	if (ss->ss_family == AF_INET6)
		address_copy(&record.slot.address, true,
			     &((const struct sockaddr_in6 *)ss)->sin6_addr);
	else
		address_copy(&record.slot.address, false,
			     &((const struct sockaddr_in *)ss)->sin_addr);
	recorder_put(r, &record, now_ms);
}

/* -- values ---------------------------------------------------------------- */

static uint64_t ago(uint64_t when_ms, uint64_t now_ms)
{
	return now_ms > when_ms ? now_ms - when_ms : 0;
}

static bool is_fresh(const struct gtm_world *world, size_t i,
		     const struct gtm_value *v, uint64_t now_ms)
{
	return ago(v->when_ms, now_ms) <= world->about[i].service->max_age_ms;
}

static void value_put(struct recorder *r, size_t i, const struct gtm_value *v,
		      uint64_t now_ms)
{
	struct told *told = &r->told[i];
	struct journal_record record = {
		.kind = JOURNAL_VALUE,
		.value = { .slot = (uint32_t)i,
			   .state = (uint8_t)v->state,
			   .fresh = is_fresh(r->snapshot->world, i, v, now_ms),
			   .error = v->error,
			   .metric = v->metric,
			   .age_ms = ago(v->when_ms, now_ms),
			   .since_ms = ago(v->since_ms, now_ms),
			   .up_ms = v->up_ms != 0 ? ago(v->up_ms, now_ms)
						  : JOURNAL_NEVER,
			   .period_ms = told->period_ms },
	};

	put_event(r, &record, now_ms);
	told->state = (uint8_t)v->state;
	told->metric = v->metric;
	told->fresh = record.value.fresh;
	told->told_ms = now_ms;
	told->when_ms = v->when_ms;
}

/* How often results come. */
static void period_note(struct told *told, const struct gtm_value *v)
{
	if (v->rows == told->rows)
		return;
	if (told->rows > 0 && v->rows > told->rows) {
		uint64_t ms =
			(v->when_ms - told->seen_ms) / (v->rows - told->rows);
		told->period_ms = ms < UINT32_MAX ? (uint32_t)ms : 0;
	}
	told->rows = v->rows;
	told->seen_ms = v->when_ms;
}

static bool metric_moved(const struct told *told, uint32_t metric)
{
	uint64_t by = metric > told->metric ? metric - told->metric
					    : told->metric - metric;

	return by * 100 > (uint64_t)told->metric * METRIC_PCT;
}

static void slot_look(struct recorder *r, size_t i, uint64_t now_ms)
{
	const struct gtm_world *world = r->snapshot->world;
	struct told *told = &r->told[i];
	struct gtm_value v;

	gtm_slot_read(&world->cells[i]->slot, &v);
	if (v.state == GTM_NEVER)
		return;
	period_note(told, &v);
	if (told->state != v.state || metric_moved(told, v.metric) ||
	    told->fresh != is_fresh(world, i, &v, now_ms) ||
	    (told->when_ms != v.when_ms && now_ms - told->told_ms >= AGAIN_MS))
		value_put(r, i, &v, now_ms);
}

/* One thing that is said of a server; 'until_ms' 0: it is not. */
static void said_look(struct recorder *r, uint32_t i, enum journal_said said,
		      uint64_t until_ms, uint64_t now_ms)
{
	uint64_t *told_ms = &r->words[i].until_ms[said];
	struct journal_record record = { .kind = JOURNAL_DRAIN,
					 .drain = { .server = i,
						    .said = (uint8_t)said } };

	if (until_ms <= now_ms) /* is over, or never was */
		until_ms = 0;
	if (until_ms == *told_ms)
		return;
	*told_ms = until_ms;
	record.drain.left_ms = until_ms == UINT64_MAX ? JOURNAL_NEVER
			       : until_ms == 0	      ? 0
						      : until_ms - now_ms;
	put_event(r, &record, now_ms);
}

/* A value that is not of a test; 'at' is its place in r->measured. */
static void measure_look(struct recorder *r, size_t at,
			 enum journal_measured what, uint32_t number,
			 const struct gtm_slot *slot, uint64_t now_ms)
{
	struct measured *told = &r->measured[at];
	struct gtm_glance g = gtm_slot_glance(slot);
	uint64_t by = g.metric > told->metric ? g.metric - told->metric
					      : told->metric - g.metric;

	if (g.state == GTM_NEVER || g.when_ms == told->when_ms)
		return;
	if (told->when_ms != 0 && now_ms - told->told_ms < AGAIN_MS &&
	    by * 100 <= (uint64_t)told->metric * METRIC_PCT)
		return;
	struct journal_record record = {
		.kind = JOURNAL_MEASURE,
		.measure = { .what = (uint8_t)what,
			     .number = number,
			     .metric = g.metric,
			     .age_ms = now_ms > g.when_ms ? now_ms - g.when_ms
							  : 0 },
	};
	put_event(r, &record, now_ms);
	*told = (struct measured){ g.metric, now_ms, g.when_ms };
}

/* What is kept of a server. */
static void server_look(struct recorder *r, uint32_t i, uint64_t now_ms)
{
	const struct gtm_admin *admin = r->snapshot->world->admins[i];
	uint64_t forced =
		atomic_load_explicit(&admin->forced, memory_order_relaxed);
	uint64_t forced_ms = forced & GTM_FORCE_EVER;
	bool held =
		atomic_load_explicit(&admin->held, memory_order_relaxed) != 0;

	if (forced_ms == GTM_FORCE_EVER)
		forced_ms = UINT64_MAX;
	said_look(r, i, JOURNAL_DRAINED,
		  atomic_load_explicit(&admin->drained_until_ms,
				       memory_order_relaxed),
		  now_ms);
	said_look(r, i, JOURNAL_FORCED_UP,
		  forced >> 62 == GTM_FORCED_UP ? forced_ms : 0, now_ms);
	said_look(r, i, JOURNAL_FORCED_DOWN,
		  forced >> 62 == GTM_FORCED_DOWN ? forced_ms : 0, now_ms);
	said_look(r, i, JOURNAL_HELD, held ? UINT64_MAX : 0, now_ms);
	measure_look(r, i, JOURNAL_LOAD, i, &admin->load, now_ms);
}

static void pop_look(struct recorder *r, uint32_t i, uint64_t now_ms)
{
	const struct gtm_world *world = r->snapshot->world;
	size_t at = world->config->n_servers + (size_t)2 * i;

	measure_look(r, at, JOURNAL_LOSS, i, &world->pops[i]->loss, now_ms);
	measure_look(r, at + 1, JOURNAL_BANDWIDTH, i,
		     &world->pops[i]->bandwidth, now_ms);
}

void recorder_scan(struct recorder *r, uint64_t now_ms)
{
	const struct gtm_world *world = r->snapshot->world;

	for (size_t i = 0; i < world->n_cells && !r->bad; i++)
		slot_look(r, i, now_ms);
	for (uint32_t i = 0; i < world->config->n_servers && !r->bad; i++)
		server_look(r, i, now_ms);
	for (uint32_t i = 0; i < world->config->n_pops && !r->bad; i++)
		pop_look(r, i, now_ms);
}

void recorder_epoch(struct recorder *r, uint64_t now_ms)
{
	const struct config *config = r->snapshot->config;
	size_t n = r->snapshot->world->n_cells;
	struct journal_record record = {
		.kind = JOURNAL_EPOCH,
		.epoch = { .start = !r->begun,
			   .serial = config->serial,
			   .hash = config->hash,
			   .file = slice_of(config->file) },
	};

	free(r->told);
	free(r->words);
	free(r->measured);
	int rc = recorder_near_begin(r);
	r->told = calloc(n + 1, sizeof(*r->told));
	r->words = calloc(config->n_servers + 1, sizeof(*r->words));
	r->measured = calloc(config->n_servers + 2 * config->n_pops + 1,
			     sizeof(*r->measured));
	if (rc != 0 || r->told == NULL || r->words == NULL ||
	    r->measured == NULL) {
		recorder_failed(r, -ENOMEM);
		return;
	}
	put_event(r, &record, now_ms);
	names_put(r, now_ms);
	for (size_t i = 0; i < n; i++)
		slot_put(r, i, now_ms);
	recorder_scan(r, now_ms);
	record = (struct journal_record){ .kind = JOURNAL_WHOLE };
	recorder_put(r, &record, now_ms);
	recorder_flush(r);
	r->begun = r->begun || !r->bad;
}

/* -- decisions ------------------------------------------------------------- */

static bool in_world(const struct gtm_world *world, const struct gtm_host *host)
{
	return host >= world->hosts && host < world->hosts + world->n_hosts;
}

/* The hostname as the epoch has it, if another configuration's was asked. */
static const struct gtm_host *host_now(const struct recorder *r,
				       const struct gtm_host *host)
{
	const struct dname *name = &host->config->name;
	struct process *p = r->process;
	const struct gtm_host *found = NULL;

	if (in_world(r->snapshot->world, host))
		return host;
	pthread_mutex_lock(&p->lock);
	if (p->all != NULL && p->all->snapshot == r->snapshot) {
		const struct place *place =
			map_host(p->all, name->wire, name->n);
		found = place != NULL ? place->host : NULL;
	}
	pthread_mutex_unlock(&p->lock);
	return found;
}

/* The server of an address that was given. */
static uint32_t server_of(const struct recorder *r, const struct gtm_host *host,
			  const struct note *note,
			  const struct gtm_candidate *given)
{
	if (in_world(r->snapshot->world, note->of))
		return given->server;
	for (uint32_t i = 0; i < host->n[note->family]; i++)
		if (memcmp(host->candidate[note->family][i].address,
			   given->address, sizeof(given->address)) == 0)
			return host->candidate[note->family][i].server;
	return NOBODY;
}

static void decision_put(struct recorder *r, const struct note *note)
{
	const struct gtm_host *of = note->of;
	const struct gtm_host *host = host_now(r, note->host);
	struct journal_record record = {
		.kind = JOURNAL_DECISION,
		.decision = { .v6 = note->family == GTM_V6,
			      .extra = note->extra,
			      .rule = note->rule,
			      .tier = note->tier,
			      .outcome = note->outcome,
			      .ttl_s = note->ttl_s,
			      .n = note->n },
	};
	struct journal_decision *d = &record.decision;

	if (host == NULL) {
		atomic_fetch_add(&r->gone, 1);
		return;
	}
	d->host = (uint32_t)(host - r->snapshot->world->hosts);
	recorder_near(r, note, d);
	for (unsigned int i = 0; i < note->n; i++) {
		const struct gtm_candidate *given =
			&of->candidate[note->family][note->pick[i]];
		d->answer[i].server = server_of(r, host, note, given);
		address_copy(&d->answer[i].address, d->v6, given->address);
	}
	recorder_put(r, &record, note->now_ms);
	atomic_fetch_add_explicit(&r->decisions, 1, memory_order_relaxed);
}

void recorder_notes(struct recorder *r, uint64_t now_ms)
{
	uint64_t lost = notes_lost(r->process->notes);
	struct note note;

	while (notes_take(r->process->notes, &note))
		if (r->snapshot != NULL && !r->bad)
			decision_put(r, &note);
	if (r->snapshot == NULL || lost == r->lost)
		return;
	struct journal_record record = { .kind = JOURNAL_LOST,
					 .lost = lost - r->lost };
	recorder_put(r, &record, now_ms);
	r->lost = lost;
}
