/* SPDX-License-Identifier: MPL-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <dns/rdatatype.h>

#include "common/rcu.h"
#include "plugin/admission.h"
#include "plugin/denial_int.h"
#include "plugin/fresh.h"
#include "plugin/log.h"

#define OCTETS_MAX    (1u << 30) /* of one transfer */
#define RECORDS_MAX   20000000u
#define TIME_MS	      600000u
#define IDLE_MS	      10000u
#define TRANSFERS_MAX 4u /* at once: each has a list as large as its zone */
#define GAP_TIMES     20u
#define GAP_MIN_MS    1000u
#define AGAIN_MS      10000u /* after a failure */
#define AGAIN_MAX_MS  3600000u
#define REFRESH_MIN_S 60u
#define REFRESH_MAX_S 86400u
#define REFRESH_S     300u /* before the SOA is known */
#define SETS_SHARE    2u   /* of the cache, for all sets */
#define LIST_SHARE    8u   /* of the cache, for the list of one transfer */

/* -- publishing ------------------------------------------------------------ */

/* Work for the worker, between this and what the engine does with it. */
struct naming {
	struct job job;
	struct engine *engine;
	struct denial *denial;
	struct xfr *xfr;
	struct names_list *list;
	struct names_soa soa;
	bool has_soa;
	struct names *names; /* to be changed, or made */
	int rc;
	uint32_t origin;	   /* index */
	struct snapshot *snapshot; /* held: the origin that is asked */
};

static void naming_free(struct naming *n)
{
	names_list_free(n->list);
	if (n->snapshot != NULL)
		snapshot_unref(n->snapshot);
	free(n);
}

static void free_names(struct job *job)
{
	struct naming *n = (struct naming *)job;

	rcu_wait();
	names_free(n->names);
	free(n);
}

static void expire_set(const struct engine *e, const struct denial *d)
{
	uint32_t expire_s = names_soa(d->names)->expire_s;

	if (expire_s > INT32_MAX)
		expire_s = INT32_MAX;
	atomic_store(&d->state->names_until_s,
		     process_now_s(e->process) + expire_s);
}

static void publish(struct engine *e, struct denial *d, struct names *names)
{
	d->step = DENIAL_KEPT;
	d->names = names;
	d->fails = 0;
	d->why = 0;
	e->denials->names_bytes += names_bytes(names);
	expire_set(e, d);
	atomic_store_explicit(&d->state->names, names, memory_order_release);
	denials_resize(e);
}

/* Nobody finds the set any more; those who have may still look at it. */
static struct names *withdraw(struct engine *e, struct denial *d)
{
	struct names *names = d->names;

	atomic_store_explicit(&d->state->names, NULL, memory_order_release);
	d->names = NULL;
	d->step = DENIAL_IDLE;
	e->denials->names_bytes -= names_bytes(names);
	return names;
}

static void free_later(struct engine *e, struct names *names)
{
	struct naming *n = calloc(1, sizeof(*n));

	if (n == NULL) { /* rare enough to wait here */
		rcu_wait();
		names_free(names);
		return;
	}
	n->job.run = free_names;
	n->names = names;
	process_work(e->process, &n->job);
}

static uint64_t again_ms(uint32_t fails)
{
	uint64_t ms = fails < 12 ? (uint64_t)AGAIN_MS << fails : AGAIN_MAX_MS;

	return ms < AGAIN_MAX_MS ? ms : AGAIN_MAX_MS;
}

/* Transfers shall take no more than a twentieth of the time. */
static uint64_t gap_ms(const struct denial *d)
{
	uint64_t ms = GAP_TIMES * d->took_ms;

	if (ms < GAP_MIN_MS)
		return GAP_MIN_MS;
	return ms < AGAIN_MAX_MS ? ms : AGAIN_MAX_MS;
}

void denial_names_drop(struct engine *e, struct denial *d)
{
	d->spoilt = d->step != DENIAL_IDLE && d->step != DENIAL_KEPT;
	if (d->step != DENIAL_KEPT)
		return;
	free_later(e, withdraw(e, d));
	d->due_ms = d->began_ms + gap_ms(d);
	if (!e->denials->stopping)
		denials_resize(e);
}

/* -- a transfer ------------------------------------------------------------ */

static bool is_signing(uint16_t type)
{
	return type == dns_rdatatype_rrsig || type == dns_rdatatype_nsec ||
	       type == dns_rdatatype_nsec3;
}

static int take_record(void *arg, enum xfr_part part,
		       const struct delta_record *r)
{
	struct naming *n = arg;

	if (part != XFR_HAS)
		return -EBADMSG;
	if (is_signing(r->type))
		return -EOPNOTSUPP;
	if (r->type == dns_rdatatype_soa) {
		n->has_soa = true;
		return names_soa_read(r->rdata, r->rdata_n, r->ttl_s, &n->soa);
	}
	int rc = names_list_add(n->list, r->owner, r->owner_n, r->type, true);
	return rc == -EINVAL ? 0 : rc; /* not of the zone */
}

/* Remembers why there is no set; says so once. */
static void note_why(struct denial *d, int rc)
{
	char text[LOG_ERROR_MAX];

	if (d->why != rc)
		log_write(rc == -EOPNOTSUPP ? ISC_LOG_INFO : ISC_LOG_WARNING,
			  "zone '%s': its names are not known: %s",
			  d->zone->config->id,
			  rc == -EOPNOTSUPP
				  ? "it is signed: what its origins prove "
				    "is used"
			  : rc == -EREMOTEIO
				  ? "the origin refuses a transfer: it needs "
				    "'allow-transfer' for this edge"
			  : rc == -E2BIG || rc == -EFBIG
				  ? "they are too many for the cache's size"
				  : log_error(rc, text));
	d->why = rc;
}

/* It did not come to a set: tries again, later each time. */
static void failed(struct engine *e, struct denial *d, int rc)
{
	d->step = DENIAL_IDLE;
	if (d->state == NULL) {
		denial_gone(e, d);
		return;
	}
	bool spoilt = d->spoilt;
	d->spoilt = false;
	/* What was spoilt may be again, as long as the zone changes so fast. */
	uint64_t wait_ms = spoilt && d->fails == 0 ? 0 : again_ms(d->fails);
	uint64_t gap_end_ms = d->began_ms + gap_ms(d);
	d->due_ms = clock_now_ms() + wait_ms;
	if (d->due_ms < gap_end_ms)
		d->due_ms = gap_end_ms;
	d->fails++;
	if (!spoilt)
		note_why(d, rc);
}

/* 0 if what the worker has made may be published. */
static int check_usable(const struct engine *e, const struct denial *d,
			const struct names *names)
{
	if (d->state == NULL || d->spoilt || e->denials->stopping)
		return -EAGAIN;
	if (fresh_signed(d->zone))
		return -EOPNOTSUPP;
	return e->denials->names_bytes + names_bytes(names) >
			       e->snapshot->config->cache_size_bytes /
				       SETS_SHARE
		       ? -E2BIG
		       : 0;
}

/* The worker is done: back on the engine's thread. */
static void built(struct job *job)
{
	struct naming *n = (struct naming *)job;
	struct engine *e = n->engine;
	struct denial *d = n->denial;
	struct names *names = n->names;
	int rc = n->rc;
	uint32_t seen;

	e->denials->n_moving--;
	naming_free(n);
	d->took_ms = clock_now_ms() - d->began_ms;
	if (rc == 0)
		rc = check_usable(e, d, names);
	if (rc == 0 && (!fresh_seen(d->zone, &seen) ||
			xfr_newer(seen, names_soa(names)->serial)))
		rc = -EAGAIN; /* an origin that lags */
	if (rc != 0) {
		free_later(e, names);
		failed(e, d, rc);
		denial_names_start(e);
		return;
	}
	publish(e, d, names);
	log_write(ISC_LOG_INFO,
		  "zone '%s': serial %u: its %llu names are known, in %llu "
		  "octets",
		  d->zone->config->id, names_soa(names)->serial,
		  (unsigned long long)names_count(names),
		  (unsigned long long)names_bytes(names));
	if (names_soa(names)->serial != seen)
		fresh_hint(e, d->zone);
	denial_names_start(e);
}

static void build(struct job *job)
{
	struct naming *n = (struct naming *)job;

	n->rc = names_new(n->list, &n->soa, &n->names);
	n->job.run = built;
	engine_post(n->engine, &n->job);
}

static void transferred(void *arg, const struct xfr_result *result)
{
	struct naming *n = arg;
	struct engine *e = n->engine;
	struct denial *d = n->denial;
	int rc = result->status;

	d->naming = NULL;
	if (rc == 0 && (!n->has_soa || n->soa.serial != result->serial))
		rc = -EBADMSG;
	if (rc == 0) {
		d->step = DENIAL_BUILDING;
		n->job.run = build;
		process_work(e->process, &n->job);
		return;
	}
	e->denials->n_moving--;
	naming_free(n);
	d->took_ms = clock_now_ms() - d->began_ms;
	failed(e, d, rc);
	if (rc != -ECANCELED) /* in which case zones are going */
		denial_names_start(e);
}

static int start(struct engine *e, const struct denial *d, struct naming *n)
{
	const struct config_zone *zone = d->zone->config;
	struct xfr_setup setup = {
		.origins = e->origins,
		.mctx = e->process->mctx,
		.origin = &zone->origins[n->origin],
		.name = &zone->name,
		.axfr = true,
		.whole_ok = true,
		.octets_max = OCTETS_MAX,
		.records_max = RECORDS_MAX,
		.time_ms = TIME_MS,
		.idle_ms = IDLE_MS,
		.record = take_record,
		.done = transferred,
		.arg = n,
	};
	int rc = names_list_new(
		&zone->name, e->denials->seed,
		e->snapshot->config->cache_size_bytes / LIST_SHARE, &n->list);

	if (rc == 0)
		rc = fresh_key_for(d->zone, setup.origin, &setup.key);
	if (rc == 0)
		admission_asked(e, d->zone);
	return rc == 0 ? xfr_start(&setup, &n->xfr) : rc;
}

static void begin(struct engine *e, struct denial *d)
{
	struct naming *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return;
	n->engine = e;
	n->denial = d;
	n->origin = (uint32_t)(d->transfers % d->zone->config->n_origins);
	n->snapshot = d->zone->snapshot;
	snapshot_ref(n->snapshot);
	d->transfers++;
	d->began_ms = clock_now_ms();
	int rc = start(e, d, n);
	if (rc != 0) {
		naming_free(n);
		failed(e, d, rc);
		return;
	}
	d->naming = n;
	d->step = DENIAL_MOVING;
	e->denials->n_moving++;
}

static bool is_due(const struct denial *d, uint64_t now_ms)
{
	uint32_t seen;

	return d->state != NULL && d->step == DENIAL_IDLE &&
	       d->zone->config->names == CONFIG_NAMES_TRANSFER &&
	       d->due_ms <= now_ms && !fresh_signed(d->zone) &&
	       fresh_seen(d->zone, &seen);
}

void denial_names_start(struct engine *e)
{
	struct denials *ds = e->denials;
	struct denial *first = ds->at != NULL ? ds->at : ds->zones;
	struct denial *d = first;
	uint64_t now_ms = clock_now_ms();

	while (d != NULL && ds->n_moving < TRANSFERS_MAX && !ds->stopping) {
		struct denial *next = d->next != NULL ? d->next : ds->zones;
		if (is_due(d, now_ms))
			begin(e, d);
		d = next;
		if (d == first)
			break;
	}
	ds->at = d;
}

void denial_names_stop(struct denial *d)
{
	if (d->naming != NULL)
		xfr_cancel(d->naming->xfr);
}

/* -- a difference ---------------------------------------------------------- */

struct denial_change {
	struct names_list *list;
	struct names_soa soa;
	uint32_t from; /* serial of the set when the transfer began */
	uint32_t at;   /* serial that the list brings it to */
	bool takes;    /* the step is one that the set has not had */
	bool unusable; /* too large, or the zone has been signed */
};

struct denial_change *denial_change_new(const struct zone *zone)
{
	const struct denial *d = zone->state->denial;
	struct denial_change *c;

	if (d == NULL || d->step != DENIAL_KEPT)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->soa = *names_soa(d->names);
	c->from = c->at = c->soa.serial;
	uint64_t size = zone->snapshot->config->cache_size_bytes;
	c->unusable = names_list_new(&zone->config->name,
				     process_get()->engine->denials->seed,
				     size / LIST_SHARE, &c->list) != 0;
	return c;
}

void denial_change_free(struct denial_change *c)
{
	if (c == NULL)
		return;
	names_list_free(c->list);
	free(c);
}

/* A SOA begins what went of a step, or what came. */
static void change_turn(struct denial_change *c, enum xfr_part part,
			const struct delta_record *r)
{
	struct names_soa soa;

	if (names_soa_read(r->rdata, r->rdata_n, r->ttl_s, &soa) != 0) {
		c->unusable = true;
		return;
	}
	if (part == XFR_WENT) {
		c->takes = soa.serial == c->at;
		return;
	}
	if (!c->takes)
		return;
	c->at = soa.serial;
	c->soa = soa;
}

void denial_change_add(struct denial_change *c, enum xfr_part part,
		       const struct delta_record *r)
{
	if (part == XFR_STEP || c->unusable)
		return;
	if (r->type == dns_rdatatype_soa) {
		change_turn(c, part, r);
		return;
	}
	if (!c->takes)
		return;
	int rc = names_list_add(c->list, r->owner, r->owner_n, r->type,
				part == XFR_CAME);
	c->unusable = is_signing(r->type) || (rc != 0 && rc != -EINVAL);
}

/* The worker is done: back on the engine's thread. */
static void changed(struct job *job)
{
	struct naming *n = (struct naming *)job;
	struct engine *e = n->engine;
	struct denial *d = n->denial;
	struct names *names = n->names;
	int rc = n->rc;

	naming_free(n);
	if (rc == 0)
		rc = check_usable(e, d, names);
	if (rc == 0) {
		d->changes++;
		publish(e, d, names);
		return;
	}
	free_later(e, names);
	failed(e, d, rc);
}

static void change(struct job *job)
{
	struct naming *n = (struct naming *)job;

	rcu_wait();
	n->rc = names_apply(n->names, n->list, &n->soa);
	n->job.run = changed;
	engine_post(n->engine, &n->job);
}

void denial_change_apply(struct engine *e, const struct zone *zone,
			 struct denial_change *c, uint32_t serial)
{
	struct denial *d = zone->state->denial;
	struct naming *n;

	if (d == NULL || d->step != DENIAL_KEPT ||
	    !xfr_newer(serial, names_soa(d->names)->serial)) {
		denial_change_free(c);
		/*
		 * A set that comes of a transfer is held against the serial
		 * seen by then; one that is being changed would miss this.
		 */
		if (d != NULL && d->step == DENIAL_CHANGING)
			denial_names_drop(e, d);
		return;
	}
	n = calloc(1, sizeof(*n));
	/* it may be another set by now */
	if (n == NULL || c == NULL || c->unusable || c->at != serial ||
	    c->from != names_soa(d->names)->serial) {
		denial_change_free(c);
		free(n);
		denial_names_drop(e, d);
		return;
	}
	n->engine = e;
	n->denial = d;
	n->list = c->list;
	n->soa = c->soa;
	c->list = NULL;
	denial_change_free(c);
	n->names = withdraw(e, d);
	d->step = DENIAL_CHANGING;
	n->job.run = change;
	process_work(e->process, &n->job);
}

void denial_confirm(struct engine *e, const struct zone *zone, uint32_t serial)
{
	struct denial *d = zone->state->denial;
	uint32_t seen;

	if (d == NULL || zone->config->names != CONFIG_NAMES_TRANSFER)
		return;
	if (fresh_signed(zone)) {
		denial_names_drop(e, d);
		note_why(d, -EOPNOTSUPP);
		return;
	}
	if (d->step != DENIAL_KEPT)
		return;
	uint32_t kept = names_soa(d->names)->serial;
	if (fresh_seen(zone, &seen) && xfr_newer(seen, kept))
		denial_names_drop(e, d);
	else if (kept == serial)
		expire_set(e, d);
}

uint32_t denial_refresh_s(const struct zone *zone)
{
	const struct denial *d = zone->state->denial;

	if (zone->config->names != CONFIG_NAMES_TRANSFER)
		return 0;
	if (d == NULL || d->step != DENIAL_KEPT)
		return REFRESH_S;
	uint32_t refresh_s = names_soa(d->names)->refresh_s;
	if (refresh_s < REFRESH_MIN_S)
		return REFRESH_MIN_S;
	return refresh_s < REFRESH_MAX_S ? refresh_s : REFRESH_MAX_S;
}
