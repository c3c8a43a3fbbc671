/* SPDX-License-Identifier: MPL-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dns/rcode.h>
#include <isc/sockaddr.h>

#include <json-c/json.h>

#include "common/rcu.h"
#include "plugin/admission.h"
#include "plugin/control.h"
#include "plugin/fill_int.h"
#include "plugin/fresh.h"
#include "plugin/log.h"

/*
 * Enough to keep an origin at 50 ms busy with 600 a second, and far from the
 * 512 that one connection takes, or 4096 that one server does, from all.
 */
#define WINDOW	     32u
#define BUSY	     1000u /* questions under way, of all: clients first */
#define FAILURES_MAX 64u   /* in a row: two windows */
#define TRIES_MAX    3u	   /* of one question, if the zone changes */
#define SETTLE_MS    5000u /* as long as an origin may take for an answer */
#define RUN_MS	     3600000u
#define TRANSFER_MS  120000u
#define IDLE_MS	     5000u
#define RECORD_MAX   1024u /* octets of one in a transfer, on average */
#define NAME_MAX_N   160u  /* octets of memory for one, likewise */
#define SPARE_MAX    (1u << 20)

static bool transfer_next(struct fill_run *run);

/* -- its end ----------------------------------------------------------- */

static void run_free(struct fill_run *run)
{
	if (run->zone != NULL)
		snapshot_unref(run->zone->snapshot);
	json_object_put(run->errors);
	json_object_put(run->request);
	free(run);
}

void fill_runs_free(struct engine *e)
{
	struct fill_run **at = &e->fill->runs;

	while (*at != NULL) {
		struct fill_run *run = *at;
		if (run->step != FILL_OVER || run->open > 0) {
			at = &run->next;
			continue;
		}
		*at = run->next;
		run_free(run);
	}
}

void fill_run_end(struct fill_run *run)
{
	struct fill *f = run->engine->fill;

	if (run->step == FILL_OVER)
		return;
	run->step = FILL_OVER;
	if (run->xfr != NULL)
		xfr_cancel(run->xfr);
	asklist_free(run->list);
	run->list = NULL;
	if (run->request != NULL)
		f->n_lists--;
	else
		f->n_zones--;
	if (run->fz != NULL)
		fill_zone_ended(run->fz, run);
	if (run->client != NULL)
		fill_reply(run);
	run->fz = NULL;
	fill_wake(run->engine); /* which frees it */
}

void fill_run_fail(struct fill_run *run, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(run->why, sizeof(run->why), fmt, args);
	va_end(args);
	fill_run_end(run);
}

/* -- questions --------------------------------------------------------- */

static struct ask *ask_new(struct fill_run *run, const struct fill_question *q)
{
	struct zone *zone = q->zone;
	const struct fill_zone *fz = zone->state->fill;
	struct ask *ask = calloc(1, sizeof(*ask));

	if (ask == NULL)
		return NULL;
	ask->flight.key.zone = atomic_load(&zone->state->cache_id);
	ask->flight.key.qtype = q->type;
	ask->flight.key.n = q->name.n;
	memcpy(ask->flight.key.name, q->name.wire, q->name.n);
	ask->flight.arg = ask;
	ask->hash = store_hash(run->engine->process->store, &ask->flight.key);
	ask->name = q->name;
	ask->refresh = run->renew;
	ask->fill = run;
	ask->zone = zone;
	snapshot_ref(zone->snapshot);
	if (fz != NULL && fz->keys != NULL)
		dns_tsigkeyring_attach(fz->keys, &ask->keys);
	return ask;
}

static void ask_drop(struct ask *ask)
{
	if (ask->keys != NULL)
		dns_tsigkeyring_detach(&ask->keys);
	snapshot_unref(ask->zone->snapshot);
	free(ask);
}

static bool is_known(struct process *p, const struct ask *ask)
{
	rcu_enter();
	const struct store_entry *e =
		store_peek(p->store, &ask->flight.key, ask->hash);
	bool known = e != NULL && e->kind != STORE_FAILURE &&
		     store_fresh(e, process_now_s(p));
	rcu_leave();
	return known;
}

/*
 * True if no origin can be asked, for want of a key that clients have yet to
 * show: a failure that was stored would be theirs, too.
 */
static bool lacks_key(const struct ask *ask)
{
	const struct config_zone *config = ask->zone->config;

	for (size_t i = 0; i < config->n_origins; i++)
		if (config->origins[i].key.n == 0)
			return false;
	return ask->keys == NULL;
}

static void issue_failed(struct fill_run *run, struct ask *ask)
{
	run->n.failed++;
	if (run->request != NULL)
		fill_list_failed(run, ask,
				 "its origins want a key, which is known once "
				 "a client has asked for a name of the zone");
	ask_drop(ask);
}

/* Asks, unless it is known, or somebody asks just now. */
static void issue(struct fill_run *run, const struct fill_question *q,
		  uint8_t tries)
{
	struct process *p = run->engine->process;
	struct ask *ask = ask_new(run, q);

	if (ask == NULL) {
		run->n.failed++;
		return;
	}
	ask->tries = tries;
	bool known = !run->renew && is_known(p, ask);
	if (!known && lacks_key(ask)) {
		issue_failed(run, ask);
		return;
	}
	if (known || !flight_join(p->flights, ask->hash, &ask->flight, NULL)) {
		ask_drop(ask);
		run->n.known++;
		return;
	}
	run->open++;
	run->n.asked += tries == 0;
	count(q->zone, COUNT_FILLED);
	if (run->engine->fill->budget > 0)
		run->engine->fill->budget--;
	engine_ask_now(run->engine, ask);
}

static void tally(struct fill_run *run, const struct ask *ask,
		  enum fill_end end)
{
	struct fill_counts *n = &run->n;

	run->failures = end == FILL_FAILED ? run->failures + 1 : 0;
	n->kept += end == FILL_KEPT;
	n->known += end == FILL_KNOWN;
	n->brief += end == FILL_BRIEF;
	if (end != FILL_FAILED && end != FILL_FORGOTTEN)
		return;
	n->failed++;
	if (run->request != NULL && run->step != FILL_OVER)
		fill_list_failed(run, ask, "no origin answers");
}

void fill_answered(struct ask *ask, enum fill_end end)
{
	struct fill_run *run = ask->fill;
	const struct zone *zone = run->zone != NULL ? run->zone : ask->zone;
	bool again = end == FILL_FORGOTTEN && ask->tries < TRIES_MAX &&
		     run->step == FILL_ASKING &&
		     (run->request != NULL ||
		      run->id == atomic_load(&zone->state->cache_id));

	run->open--;
	if (again) {
		/* what is asked from now on is of the version that there is */
		struct fill_question q = { .zone = ask->zone,
					   .name = ask->name,
					   .type = ask->flight.key.qtype };
		issue(run, &q, ask->tries + 1);
		return;
	}
	tally(run, ask, end);
	fill_wake(run->engine);
	if (run->engine->fill->stopping)
		fill_runs_free(run->engine);
}

/* Names of zones that lie in this one are not this one's. */
static bool is_own(struct fill_run *run, const struct fill_question *q)
{
	size_t n;
	struct zone *const *zones = fill_zones_of(run->engine, &q->name, &n);

	return zones == NULL ||
	       zones[0]->config->name.n == run->zone->config->name.n;
}

/* 0; -ENOENT: that was all; -EAGAIN: call again, if there is time. */
static int next_question(struct fill_run *run, struct fill_question *q)
{
	if (run->request != NULL)
		return fill_list_next(run, q) ? 0 : -ENOENT;
	q->zone = run->zone;
	int rc = asklist_next(run->list, &q->name, &q->type);
	return rc == 0 && !is_own(run, q) ? -EAGAIN : rc;
}

/* -- turns ------------------------------------------------------------- */

/* True if it has to end; then it has. */
static bool has_ended(struct fill_run *run)
{
	if (run->request == NULL &&
	    atomic_load(&run->zone->state->cache_id) != run->id)
		fill_run_fail(run, "it was purged or dropped meanwhile");
	else if (run->failures >= FAILURES_MAX)
		fill_run_fail(run,
			      "%u questions in a row have failed: are the "
			      "origins up?",
			      run->failures);
	else if (run->all_asked && run->open == 0)
		fill_run_end(run);
	return run->step == FILL_OVER;
}

/* True if it may ask another question. */
static bool may_ask(const struct fill_run *run)
{
	const struct engine *e = run->engine;

	return !run->all_asked && run->open < WINDOW &&
	       run->failures < FAILURES_MAX && e->fill->budget > 0 &&
	       e->fill->looks > 0 && flight_count(e->process->flights) < BUSY;
}

/* A question of a list whose zone's serial is not known yet has to wait. */
static bool must_settle(struct fill_run *run, const struct zone *zone)
{
	uint64_t now_ms = clock_now_ms();

	if (!fresh_unsettled(run->engine, zone) ||
	    (run->settle_ms != 0 && run->settle_ms <= now_ms))
		return false;
	if (run->settle_ms == 0)
		run->settle_ms = now_ms + SETTLE_MS;
	return true;
}

void fill_run_turn(struct fill_run *run, uint64_t end_ns)
{
	struct fill_question q;

	if (run->step != FILL_ASKING)
		return;
	while (!has_ended(run) && may_ask(run) && uv_hrtime() < end_ns) {
		run->engine->fill->looks--;
		if (run->request == NULL && !admission_has_room(run->zone))
			break; /* it is looked at again soon */
		int rc = next_question(run, &q);
		run->all_asked = rc == -ENOENT;
		if (rc != 0)
			continue;
		if (run->request != NULL &&
		    (must_settle(run, q.zone) || !admission_has_room(q.zone))) {
			fill_list_back(run);
			break; /* likewise */
		}
		issue(run, &q, 0);
	}
}

/* -- the transfer ------------------------------------------------------ */

static const char *address_of(const struct config_origin *origin, char *text)
{
	isc_sockaddr_t sa;

	if (isc_sockaddr_fromsockaddr(
		    &sa, (const struct sockaddr *)&origin->address) !=
	    ISC_R_SUCCESS)
		return "?";
	isc_sockaddr_format(&sa, text, ISC_SOCKADDR_FORMATSIZE);
	return text;
}

/* Says what an operator can do about it. */
static void explain(struct fill_run *run, const struct config_origin *origin,
		    int status, uint16_t rcode)
{
	char address[ISC_SOCKADDR_FORMATSIZE];
	char error[LOG_ERROR_MAX];
	char key[DNAME_TEXT_MAX] = "";
	const char *at = address_of(origin, address);

	if (origin->key.n > 0)
		(void)dname_print(&origin->key, key);
	if (status == -EFBIG || status == -E2BIG)
		(void)snprintf(run->why, sizeof(run->why),
			       "it has more than %zu records%s",
			       run->records_max,
			       status == -EFBIG ? "" : ", or very long names");
	else if (status == -ENOKEY)
		(void)snprintf(
			run->why, sizeof(run->why),
			"origin '%s' wants the key '%.64s', which is "
			"known once a client has asked for a name of the "
			"zone",
			at, key);
	else if (status == -EREMOTEIO && rcode == dns_rcode_refused)
		(void)snprintf(run->why, sizeof(run->why),
			       "origin '%s' refuses the transfer: it needs "
			       "'allow-transfer' for %s%.64s there",
			       at, key[0] != '\0' ? "key " : "this edge", key);
	else if (status == -EREMOTEIO)
		(void)snprintf(run->why, sizeof(run->why),
			       "origin '%s' answers the transfer with code %u",
			       at, rcode);
	else
		(void)snprintf(run->why, sizeof(run->why),
			       "transfer from origin '%s': %s", at,
			       log_error(status, error));
	run->hopeless =
		status == -EFBIG || status == -E2BIG || status == -EREMOTEIO;
}

static int take_record(void *arg, enum xfr_part part,
		       const struct delta_record *record)
{
	struct fill_run *run = arg;

	if (part != XFR_HAS)
		return 0;
	run->records++;
	int rc = asklist_add(run->list, record->owner, record->owner_n,
			     record->type);
	return rc == -EINVAL ? 0 : rc; /* not of the zone: nobody's answer */
}

/* The list is whole.  The zone is now that of the running configuration. */
static void transferred_well(struct fill_run *run, uint32_t serial)
{
	struct zone *before = run->zone;

	run->zone = run->fz->zone;
	snapshot_ref(run->zone->snapshot);
	snapshot_unref(before->snapshot);
	run->serial = serial;
	run->why[0] = '\0'; /* an origin before this one may have failed */
	run->hopeless = false;
	run->n.names = asklist_names(run->list);
	run->step = FILL_ASKING;
	fill_wake(run->engine);
}

static void transferred(void *arg, const struct xfr_result *result)
{
	struct fill_run *run = arg;

	run->xfr = NULL;
	if (run->step == FILL_OVER)
		return;
	if (result->status == 0) {
		transferred_well(run, result->serial);
		return;
	}
	explain(run, &run->zone->config->origins[run->origin], result->status,
		result->rcode);
	run->origin++;
	if (result->status != -EFBIG && result->status != -E2BIG &&
	    transfer_next(run))
		return;
	fill_run_end(run);
}

static int transfer(struct fill_run *run, const struct config_origin *origin)
{
	struct engine *e = run->engine;
	struct xfr_setup setup = {
		.origins = e->origins,
		.mctx = e->process->mctx,
		.origin = origin,
		.name = &run->zone->config->name,
		.axfr = true,
		.whole_ok = true,
		.octets_max = RECORD_MAX * run->records_max + SPARE_MAX,
		.records_max = run->records_max + 1, /* the SOA twice */
		.time_ms = TRANSFER_MS,
		.idle_ms = IDLE_MS,
		.record = take_record,
		.done = transferred,
		.arg = run,
	};

	asklist_free(run->list);
	run->list = NULL;
	run->records = 0;
	int rc = asklist_new(setup.name, e->process->seed,
			     NAME_MAX_N * run->records_max + SPARE_MAX,
			     &run->list);
	if (rc != 0)
		return rc;
	if (origin->key.n > 0) {
		setup.key = fill_zone_key(run->fz, &origin->key);
		if (setup.key == NULL)
			return -ENOKEY;
	}
	admission_asked(e, run->zone);
	return xfr_start(&setup, &run->xfr);
}

/* From the next origin that can be asked; false: there is none. */
static bool transfer_next(struct fill_run *run)
{
	const struct config_zone *config = run->zone->config;

	for (; run->origin < config->n_origins; run->origin++) {
		const struct config_origin *origin =
			&config->origins[run->origin];
		int rc = transfer(run, origin);
		if (rc == 0)
			return true;
		explain(run, origin, rc, 0);
	}
	return false;
}

/* -- its beginning ----------------------------------------------------- */

struct fill_run *fill_run_new(struct engine *e)
{
	struct fill_run *run = calloc(1, sizeof(*run));

	if (run == NULL)
		return NULL;
	run->engine = e;
	run->end_ms = clock_now_ms() + RUN_MS;
	run->next = e->fill->runs;
	e->fill->runs = run;
	fill_pace(e);
	return run;
}

/* Waits for the serial, or begins the transfer. */
static void go_on(struct fill_run *run)
{
	const struct process *p = run->engine->process;

	run->zone = run->fz->zone;
	if (atomic_load(&p->restoring) || must_settle(run, run->zone)) {
		run->zone = NULL;
		return;
	}
	snapshot_ref(run->zone->snapshot);
	run->step = FILL_MOVING;
	fill_zone_begun(run->fz, run);
	run->id = run->fz->had_id;
	if (!transfer_next(run))
		fill_run_end(run);
}

void fill_run_begin(struct fill_run *run)
{
	run->engine->fill->n_zones++;
	fill_zone_begun(run->fz, run);
	go_on(run);
}

void fill_run_tick(struct fill_run *run)
{
	if (run->client != NULL && control_hung_up(run->client))
		fill_run_fail(run, "who asked for it has hung up");
	else if (run->step == FILL_WAITING)
		go_on(run);
	else if (run->step == FILL_ASKING && run->end_ms <= clock_now_ms())
		fill_run_fail(run, "it has taken more than an hour");
}
