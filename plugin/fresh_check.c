/* SPDX-License-Identifier: MPL-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <dns/rdatatype.h>

#include <json-c/json.h>

#include "plugin/admission.h"
#include "plugin/commands.h"
#include "plugin/control.h"
#include "plugin/denial.h"
#include "plugin/fresh_int.h"
#include "plugin/log.h"

#define OCTETS_MAX     (32u << 20) /* of one difference */
#define RECORDS_MAX    500000u
#define OWNERS_MAX     500000u
#define TIME_MS	       30000u
#define IDLE_MS	       5000u
#define TRANSFERS_MAX  8u /* at once: BIND gives ten to all (transfers-out) */
#define RCODE_NXDOMAIN 3

static void decide(struct check *c);

/* -- what came of it --------------------------------------------------- */

static void event_changed(const struct check *c, uint32_t old)
{
	struct control *control = c->engine->control;

	if (control == NULL || !control_watched(control))
		return;
	struct json_object *event = commands_event_new("zone-changed");
	json_object_object_add(event, "zone",
			       json_object_new_string(c->zone->config->id));
	json_object_object_add(event, "from", json_object_new_int64(old));
	json_object_object_add(event, "to", json_object_new_int64(c->to));
	json_object_object_add(event, "how",
			       json_object_new_string(c->delta != NULL
							      ? "difference"
							      : "whole"));
	json_object_object_add(event, "dropped",
			       json_object_new_uint64(c->dropped));
	control_event(control, event);
}

/* The oldest and the newest serial that origins told; false: none did. */
static bool serials(const struct check *c, uint32_t *oldest, uint32_t *newest)
{
	bool any = false;

	for (size_t i = 0; i < c->zone->config->n_origins; i++) {
		if (!c->has[i])
			continue;
		if (!any || xfr_newer(*oldest, c->serial[i]))
			*oldest = c->serial[i];
		if (!any || xfr_newer(c->serial[i], *newest))
			*newest = c->serial[i];
		any = true;
	}
	return any;
}

void fresh_check_drop(struct check *c)
{
	delta_free(c->delta);
	denial_change_free(c->change);
	snapshot_unref(c->zone->snapshot);
	free(c);
}

static void end(struct check *c, bool failed, bool lagging)
{
	struct engine *e = c->engine;
	struct fresh_zone *fz = c->fz;

	fresh_check_drop(c);
	fresh_checked(e, fz, failed, lagging);
}

/* Every origin has answered or failed, and what was to drop is dropped. */
static void conclude(struct check *c)
{
	struct fresh_zone *fz = c->fz;
	uint32_t oldest = 0, newest = 0;

	if (c->later) {
		end(c, false, true);
		return;
	}
	if (!serials(c, &oldest, &newest)) {
		end(c, true, false);
		return;
	}
	fz->is_signed = c->is_signed;
	bool lagging = oldest != fz->seen || newest != fz->seen;
	if (!lagging)
		fz->serial = fz->seen;
	else if (xfr_newer(fz->serial, oldest)) /* it was away, and is back */
		fz->serial = oldest;
	if (fz->known && fz->state != NULL && !c->engine->fresh->stopping)
		atomic_store(&fz->state->serial, FRESH_SERIAL | fz->serial);
	denial_confirm(c->engine, c->zone, newest);
	end(c, false, lagging);
}

void fresh_check_walked(struct check *c)
{
	struct fresh *f = c->engine->fresh;
	struct fresh_zone *fz = c->fz;
	uint32_t old = fz->seen;

	c->step = FRESH_ASKING;
	if (!f->stopping) {
		fz->seen = c->to;
		fz->dropped += c->dropped;
		log_write(ISC_LOG_INFO,
			  "zone '%s': serial %u, was %u: %zu answers dropped "
			  "(%s)",
			  c->zone->config->id, c->to, old, c->dropped,
			  c->delta != NULL ? "by its difference"
					   : "the whole zone");
		event_changed(c, old);
	}
	c->moved = true;
	if (c->open == 0)
		conclude(c);
}

/* -- dropping ---------------------------------------------------------- */

/*
 * Drops the whole zone: under a new identity nothing old is found, from this
 * moment on.  The walk then frees the memory.
 */
static void drop_whole(struct check *c, uint32_t to)
{
	delta_free(c->delta);
	c->delta = NULL;
	c->fz->wholes++;
	c->to = to;
	atomic_store(&c->zone->state->serial, 0); /* until conclude() */
	c->id = engine_forget_zone(c->engine, c->zone);
	c->step = FRESH_WALKING;
	fresh_walk(c->engine, c);
}

static void drop_touched(struct check *c)
{
	c->id = atomic_load(&c->zone->state->cache_id);
	c->step = FRESH_WALKING;
	fresh_walk(c->engine, c);
}

/* -- wildcards --------------------------------------------------------- */

static struct dns_tsigkey *probe_key(void *arg, const struct dname *name)
{
	const struct probe *probe = arg;

	return fresh_key(probe->check->fz, name);
}

/* Asks origin 'i' alone. */
static int ask(struct check *c, size_t i, const struct dname *name,
	       dns_rdatatype_t type, struct probe *probe, origin_done done)
{
	struct engine *e = c->engine;
	struct origin_question q = {
		.name = name,
		.qtype = type,
		.origins = &c->zone->config->origins[i],
		.n_origins = 1,
		.key_find = probe_key,
		.done = done,
		.arg = probe,
	};

	if (e->origins == NULL || e->fresh->stopping)
		return -ECANCELED;
	count(c->zone, COUNT_ASKED);
	admission_asked(e, c->zone);
	int rc = origin_ask(e->origins, &q);
	if (rc != 0)
		count_failed(c->zone, rc);
	return rc;
}

static void stars_end(struct check *c)
{
	if (c->engine->fresh->stopping) {
		c->step = FRESH_ASKING;
		if (c->open == 0)
			end(c, true, false);
		return;
	}
	drop_touched(c);
}

/* NXDOMAIN with authority, for the name itself: the header says it all. */
static bool denies(const struct origin_reply *reply)
{
	return reply->status == 0 && reply->rcode == RCODE_NXDOMAIN &&
	       reply->n >= 12 && (reply->msg[2] & 4) != 0 &&
	       reply->msg[6] == 0 && reply->msg[7] == 0;
}

static void star_done(void *arg, const struct origin_reply *reply)
{
	struct probe *probe = arg;
	struct check *c = probe->check;
	const struct dname *star = &c->star[probe->i];

	admission_repeated(c->zone, reply->tries);
	if (reply->status != 0)
		count_failed(c->zone, reply->status);
	if (denies(reply))
		delta_no_wildcard(c->delta, star->wire + 2, star->n - 2u);
	if (--c->stars_open == 0)
		stars_end(c);
}

static void star_found(void *arg, const uint8_t *name, size_t n)
{
	struct check *c = arg;
	struct dname *star = &c->star[c->stars];
	uint8_t wire[2 + DNAME_WIRE_MAX] = { 1, '*' };

	memcpy(wire + 2, name, n);
	if (dname_from_wire(wire, n + 2, star) == 0)
		c->stars++;
	else /* too long to exist */
		star->n = 0;
}

/*
 * Are there wildcards beside the names that came or went?  Only then did or
 * do others depend on whether these exist.  Unanswered questions count as yes.
 */
static void ask_stars(struct check *c)
{
	c->step = FRESH_STARS;
	c->stars_open = 1; /* ours, till all are asked */
	if (delta_wildcards(c->delta, 0, star_found, c) <= FRESH_STARS_MAX)
		(void)delta_wildcards(c->delta, FRESH_STARS_MAX, star_found, c);
	for (size_t i = 0; i < c->stars; i++) {
		c->star_probe[i] = (struct probe){ c, i };
		if (ask(c, c->from, &c->star[i], dns_rdatatype_txt,
			&c->star_probe[i], star_done) == 0)
			c->stars_open++;
	}
	if (--c->stars_open == 0)
		stars_end(c);
}

/* -- the difference ---------------------------------------------------- */

static int take_record(void *arg, enum xfr_part part,
		       const struct delta_record *record)
{
	struct check *c = arg;

	if (c->change != NULL)
		denial_change_add(c->change, part, record);
	if (part == XFR_STEP) {
		delta_step(c->delta);
		return 0;
	}
	int rc = delta_add(c->delta, record, part == XFR_CAME);
	return rc == -EINVAL ? 0 : rc; /* not of the zone: nobody's answer */
}

static void moving_remove(struct fresh *f, struct check *c)
{
	struct check **at = &f->moving;

	while (*at != NULL && *at != c)
		at = &(*at)->next;
	if (*at == c) {
		*at = c->next;
		f->n_moving--;
	}
	c->next = NULL;
}

static void transfer_failed(struct check *c, int status)
{
	char text[LOG_ERROR_MAX];

	log_write(ISC_LOG_NOTICE,
		  "zone '%s': no difference from serial %u: %s: the whole zone "
		  "is dropped",
		  c->zone->config->id, c->fz->serial,
		  status == -EXDEV	 ? "the origin sends the whole zone"
		  : status == -EFBIG	 ? "it is too large"
		  : status == -EREMOTEIO ? "refused"
					 : log_error(status, text));
	drop_whole(c, c->serial[c->from]);
}

static void postpone(struct check *c)
{
	c->moved = true;
	c->later = true;
	if (c->open == 0)
		conclude(c);
}

static void transferred(void *arg, const struct xfr_result *result)
{
	struct check *c = arg;
	struct fresh *f = c->engine->fresh;

	c->xfr = NULL;
	moving_remove(f, c);
	c->step = FRESH_ASKING;
	if (f->stopping) {
		if (c->open == 0)
			end(c, true, false);
		return;
	}
	if (result->status != 0) {
		transfer_failed(c, result->status);
		return;
	}
	if (result->kind != XFR_DELTA) { /* it went back meanwhile */
		postpone(c);
		return;
	}
	c->serial[c->from] = result->serial;
	c->to = result->serial;
	denial_change_apply(c->engine, c->zone, c->change, c->to);
	c->change = NULL;
	ask_stars(c);
}

/* Fetches the difference from origin 'i', or drops the zone. */
static void transfer(struct check *c, size_t i)
{
	struct engine *e = c->engine;
	const struct config_origin *origin = &c->zone->config->origins[i];
	struct xfr_setup setup = {
		.origins = e->origins,
		.mctx = e->process->mctx,
		.origin = origin,
		.name = &c->zone->config->name,
		.serial = c->fz->serial,
		.octets_max = OCTETS_MAX,
		.records_max = RECORDS_MAX,
		.time_ms = TIME_MS,
		.idle_ms = IDLE_MS,
		.record = take_record,
		.done = transferred,
		.arg = c,
	};
	if (e->fresh->n_moving >= TRANSFERS_MAX) {
		postpone(c);
		return;
	}
	int rc = delta_new(&c->zone->config->name, OWNERS_MAX, &c->delta);

	c->from = i;
	denial_change_free(c->change);
	c->change = denial_change_new(c->zone);
	c->fz->transfers++;
	if (origin->key.n > 0) {
		setup.key = fresh_key(c->fz, &origin->key);
		if (rc == 0 && setup.key == NULL)
			rc = -ENOKEY;
	}
	if (rc != 0) {
		if (setup.key != NULL)
			dns_tsigkey_detach(&setup.key);
		transfer_failed(c, rc);
		return;
	}
	admission_asked(c->engine, c->zone);
	rc = xfr_start(&setup, &c->xfr);
	if (rc != 0) {
		transfer_failed(c, rc);
		return;
	}
	c->step = FRESH_MOVING;
	c->next = e->fresh->moving;
	e->fresh->moving = c;
	e->fresh->n_moving++;
}

/* -- serials ----------------------------------------------------------- */

/* The first look: what is stored already may be of any version. */
static void learn(struct check *c, uint32_t oldest, uint32_t newest)
{
	struct fresh_zone *fz = c->fz;
	bool early = fz->early;

	fz->known = true;
	fz->early = false;
	fz->serial = oldest;
	fz->seen = newest;
	if (early) {
		drop_whole(c, newest);
		return;
	}
	log_write(ISC_LOG_DEBUG(1), "zone '%s': serial %u", c->zone->config->id,
		  newest);
	conclude(c);
}

static size_t origin_with(const struct check *c, uint32_t serial)
{
	size_t i = 0;

	while (!c->has[i] || c->serial[i] != serial)
		i++;
	return i;
}

static bool all_told(const struct check *c)
{
	size_t i = 0;

	while (i < c->zone->config->n_origins && c->has[i])
		i++;
	return i == c->zone->config->n_origins;
}

/* All origins have answered or failed, and none had anything new. */
static void all_in(struct check *c)
{
	struct fresh_zone *fz = c->fz;
	uint32_t oldest = 0, newest = 0;

	if (c->moved || !serials(c, &oldest, &newest)) {
		conclude(c);
		return;
	}
	if (!fz->known) {
		learn(c, oldest, newest);
		return;
	}
	if (xfr_newer(fz->serial, newest) ||
	    (xfr_newer(fz->seen, newest) && all_told(c))) { /* set back */
		fz->serial = oldest;
		drop_whole(c, newest);
		return;
	}
	if (fz->serial != fz->seen && !xfr_newer(fz->seen, oldest)) {
		/* who lagged has caught up: what it said before may be old */
		transfer(c, origin_with(c, newest));
		return;
	}
	log_write(ISC_LOG_DEBUG(1),
		  "zone '%s': serial %u is unchanged: nothing is dropped",
		  c->zone->config->id, newest);
	conclude(c);
}

static void decide(struct check *c)
{
	struct fresh_zone *fz = c->fz;

	if (c->engine->fresh->stopping) {
		if (c->open == 0 && c->step == FRESH_ASKING)
			end(c, true, false);
		return;
	}
	if (c->step != FRESH_ASKING)
		return;
	for (size_t i = 0;
	     fz->known && !c->moved && i < c->zone->config->n_origins; i++) {
		if (c->has[i] && xfr_newer(c->serial[i], fz->seen)) {
			transfer(c, i);
			return;
		}
	}
	if (c->open == 0)
		all_in(c);
}

static void soa_done(void *arg, const struct origin_reply *reply)
{
	struct probe *probe = arg;
	struct check *c = probe->check;
	size_t i = probe->i;
	bool is_signed;

	c->open--;
	admission_repeated(c->zone, reply->tries);
	int rc = reply->status;
	if (rc == 0)
		rc = xfr_soa_serial(c->engine->process->mctx,
				    &c->zone->config->name, reply->msg,
				    reply->n, &c->serial[i], &is_signed);
	if (rc == 0) {
		c->has[i] = true;
		c->is_signed |= is_signed;
	} else {
		count_failed(c->zone, rc);
	}
	decide(c);
}

void fresh_check(struct engine *e, struct fresh_zone *fz)
{
	struct check *c = calloc(1, sizeof(*c));

	fz->busy = true;
	fz->checks++;
	if (c == NULL) {
		fresh_checked(e, fz, true, false);
		return;
	}
	c->engine = e;
	c->fz = fz;
	c->zone = fz->zone;
	snapshot_ref(c->zone->snapshot);
	c->open = 1; /* ours, till all are asked */
	for (size_t i = 0; i < c->zone->config->n_origins; i++) {
		c->soa[i] = (struct probe){ c, i };
		if (ask(c, i, &c->zone->config->name, dns_rdatatype_soa,
			&c->soa[i], soa_done) == 0)
			c->open++;
	}
	c->open--;
	decide(c);
}
