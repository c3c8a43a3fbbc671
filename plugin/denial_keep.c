/* SPDX-License-Identifier: MPL-2.0 */
#include <errno.h>
#include <stdlib.h>

#include <isc/random.h>

#include <json-c/json.h>

#include "common/rcu.h"
#include "plugin/denial_int.h"
#include "plugin/jsonadd.h"
#include "plugin/log.h"

#define TICK_MS	     1000u
#define PROOFS_SHARE 16u /* of the cache, for proofs */
#define CACHE_SHARE  4u	 /* of the cache, at least, for answers */
#define LIMIT_MIN    (UINT64_C(1) << 20) /* what a store is made of */
#define FREED_STEP   64u		 /* sets */
#define SWEEP_STEP   32u		 /* sets, or zones */

/* -- memory ---------------------------------------------------------------- */

/* What readers may still see, until the worker has waited: once for all. */
struct gone {
	struct job job;
	struct gone *next;
	struct proofs *proofs;
	struct proof *list;
};

static bool free_step(void *arg)
{
	struct gone **at = arg;
	struct gone *g = *at;

	if (g->list != NULL) {
		g->list = proofs_retired_free(g->list, FREED_STEP);
		return false;
	}
	g->proofs = proofs_free(g->proofs, FREED_STEP);
	if (g->proofs != NULL)
		return false;
	*at = g->next;
	free(g);
	return *at == NULL;
}

static void free_gone(struct job *job)
{
	struct gone *g = (struct gone *)job;
	struct slicer_work work = { .step = free_step, .arg = &g };

	rcu_wait();
	slicer_run(&work, &process_get()->serving, NULL);
}

/* Many zones may go at once: one job, so that one grace period does. */
static void send_gone(struct engine *e)
{
	struct gone *g = e->denials->gone;

	e->denials->gone = NULL;
	if (g != NULL)
		process_work(e->process, &g->job);
}

static void free_later(struct engine *e, struct proofs *proofs,
		       struct proof *list)
{
	struct gone *g = malloc(sizeof(*g));

	if (g == NULL) { /* rare enough to wait here */
		rcu_wait();
		(void)proofs_free(proofs, SIZE_MAX);
		(void)proofs_retired_free(list, SIZE_MAX);
		return;
	}
	*g = (struct gone){
		{ .run = free_gone }, e->denials->gone, proofs, list
	};
	e->denials->gone = g;
	if (e->denials->stopping) /* there will be no tick */
		send_gone(e);
}

void denials_resize(struct engine *e)
{
	struct denials *ds = e->denials;
	uint64_t size = e->snapshot->config->cache_size_bytes;
	uint64_t taken = 0;

	atomic_store(&ds->pool.limit_bytes, size / PROOFS_SHARE);
	if (ds->zones != NULL)
		taken = ds->names_bytes + size / PROOFS_SHARE;
	/* a share is the cache's own, whatever sets take of a size that fell */
	if (taken > size / CACHE_SHARE * (CACHE_SHARE - 1))
		taken = size / CACHE_SHARE * (CACHE_SHARE - 1);
	uint64_t limit = size - taken;
	(void)store_limit_set(e->process->store,
			      limit > LIMIT_MIN ? limit : LIMIT_MIN);
}

/* -- proofs ---------------------------------------------------------------- */

static struct proofs *proofs_of(const struct zone_state *state)
{
	return atomic_load_explicit(&state->proofs, memory_order_relaxed);
}

static void drop_proofs(struct engine *e, struct zone_state *state)
{
	struct proofs *proofs = proofs_of(state);

	if (proofs == NULL)
		return;
	atomic_store_explicit(&state->proofs, NULL, memory_order_release);
	proofs_leave(proofs);
	free_later(e, proofs, NULL);
}

static void learn(struct engine *e, struct zone *zone,
		  const struct answer_source *source)
{
	struct proofs *proofs = proofs_of(zone->state);
	bool is_new = proofs == NULL;

	if (is_new &&
	    proofs_new(&zone->config->name, &e->denials->pool, &proofs) != 0)
		return;
	int rc = answer_learn(e->maker, source, proofs);
	if (rc == -ESTALE && !is_new) {
		drop_proofs(e, zone->state);
		learn(e, zone, source); /* once: then it is new */
		return;
	}
	if (!is_new)
		return;
	if (proofs_count(proofs) == 0) {
		proofs_leave(proofs);
		(void)proofs_free(proofs, SIZE_MAX);
		return;
	}
	atomic_store_explicit(&zone->state->proofs, proofs,
			      memory_order_release);
}

void denial_learn(struct engine *e, struct zone *zone,
		  const struct answer_source *source)
{
	/* an older configuration's zone may be gone in the running one */
	if (zone->config->names != CONFIG_NAMES_NONE &&
	    zone->state->denial != NULL && zone->snapshot == e->snapshot &&
	    !e->denials->stopping)
		learn(e, zone, source);
}

/* The next zone's, 'n' sets at most; returns how many. */
static size_t sweep_zone(struct denials *ds, uint32_t now_s, size_t n)
{
	const struct zone_state *state = ds->sweep_at->state;
	struct proofs *proofs = state != NULL ? proofs_of(state) : NULL;
	size_t swept = 0;

	if (proofs != NULL) {
		swept = proofs_sweep(proofs, now_s, n);
		ds->swept = proofs_retired(proofs, ds->swept);
	}
	if (swept < n)
		ds->sweep_at = ds->sweep_at->next;
	return swept;
}

/* What is too old, and what others took the place of. */
static bool sweep_step(void *arg)
{
	struct engine *e = arg;
	struct denials *ds = e->denials;
	uint32_t now_s = process_now_s(e->process);

	for (size_t n = SWEEP_STEP; n > 0 && ds->sweep_at != NULL; n--)
		n -= sweep_zone(ds, now_s, n - 1);
	if (ds->sweep_at != NULL)
		return false;
	if (ds->swept != NULL)
		free_later(e, NULL, ds->swept);
	ds->swept = NULL;
	ds->sweeps = false;
	return true;
}

static void sweep_start(struct engine *e)
{
	struct denials *ds = e->denials;

	if (ds->sweeps)
		return;
	ds->sweeps = true;
	ds->sweep_at = ds->zones;
	ds->sweeping = (struct slicer_work){ .step = sweep_step, .arg = e };
	slicer_add(&e->slicer, &ds->sweeping);
}

/* -- zones ----------------------------------------------------------------- */

static struct denial *want(struct engine *e, struct zone *zone)
{
	struct denial *d = zone->state->denial;

	if (d == NULL) {
		d = calloc(1, sizeof(*d));
		if (d == NULL)
			return NULL;
		d->state = zone->state;
		d->next = e->denials->zones;
		e->denials->zones = d;
		zone->state->denial = d;
	}
	d->zone = zone;
	return d;
}

/* Lets go of all that hangs from the zone's state. */
static void let_go(struct engine *e, struct denial *d)
{
	denial_names_drop(e, d);
	denial_names_stop(d);
	if (d->state != NULL) {
		drop_proofs(e, d->state);
		d->state->denial = NULL;
	}
	d->state = NULL;
	d->zone = NULL;
}

static bool is_idle(const struct denial *d)
{
	return d->step == DENIAL_IDLE;
}

static void remove_gone(struct engine *e)
{
	struct denial **at = &e->denials->zones;

	while (*at != NULL) {
		struct denial *d = *at;
		if (!d->marked && d->state != NULL)
			let_go(e, d);
		d->marked = false;
		if (d->state != NULL || !is_idle(d)) {
			at = &d->next;
			continue;
		}
		*at = d->next;
		free(d);
		e->denials->at = NULL;
		e->denials->sweep_at = NULL; /* again in a second */
	}
}

void denial_gone(struct engine *e, struct denial *d)
{
	struct denial **at = &e->denials->zones;

	e->denials->at = NULL;
	e->denials->sweep_at = NULL;
	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	free(d);
}

void denials_configured(struct engine *e, struct snapshot *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct zone *zone = &s->zone[i];
		if (zone->config->names == CONFIG_NAMES_NONE)
			continue;
		struct denial *d = want(e, zone);
		if (d == NULL)
			continue;
		d->marked = true;
		if (zone->config->names != CONFIG_NAMES_TRANSFER)
			denial_names_drop(e, d);
	}
	remove_gone(e);
}

void denials_tick(struct engine *e)
{
	struct denials *ds = e->denials;
	uint64_t now_ms = clock_now_ms();

	send_gone(e);
	if (ds->stopping || ds->zones == NULL || now_ms < ds->tick_ms)
		return;
	ds->tick_ms = now_ms + TICK_MS;
	sweep_start(e);
	denial_names_start(e);
}

void denial_forget(struct engine *e, const struct zone *zone, bool names)
{
	struct zone_state *state = zone->state;

	if (state->denial == NULL)
		return;
	(void)flight_detach(e->process->flights, atomic_load(&state->cache_id),
			    NULL, 0, true);
	drop_proofs(e, state);
	if (names)
		denial_names_drop(e, state->denial);
}

/* -- what is known --------------------------------------------------------- */

static const char *word_of(const struct denial *d)
{
	switch (d->step) {
	case DENIAL_MOVING:
		return "transfer";
	case DENIAL_BUILDING:
		return "building";
	case DENIAL_KEPT:
		return "kept";
	case DENIAL_CHANGING:
		return "changing";
	default:
		return "none";
	}
}

static struct json_object *status_of_names(const struct denial *d)
{
	struct json_object *o = json_object_new_object();
	char text[LOG_ERROR_MAX];

	add_text(o, "state", word_of(d));
	if (d->step == DENIAL_KEPT) {
		add_number(o, "names", names_count(d->names));
		add_number(o, "bytes", names_bytes(d->names));
		add_number(o, "serial", names_soa(d->names)->serial);
	}
	add_number(o, "transfers", d->transfers);
	add_number(o, "changes", d->changes);
	if (d->why == -EOPNOTSUPP)
		add_text(o, "why", "the zone is signed: its proofs are used");
	else if (d->why != 0)
		add_text(o, "why", log_error(d->why, text));
	return o;
}

struct json_object *denial_status(const struct zone *zone)
{
	const struct denial *d = zone->state->denial;
	const struct proofs *proofs = proofs_of(zone->state);

	if (d == NULL)
		return NULL;
	struct json_object *o = json_object_new_object();
	if (zone->config->names == CONFIG_NAMES_TRANSFER)
		json_object_object_add(o, "set", status_of_names(d));
	add_number(o, "proofs", proofs != NULL ? proofs_count(proofs) : 0);
	return o;
}

/* -- life ------------------------------------------------------------------ */

int denials_new(struct engine *e)
{
	e->denials = calloc(1, sizeof(*e->denials));
	if (e->denials == NULL)
		return -ENOMEM;
	isc_random_buf(&e->denials->seed, sizeof(e->denials->seed));
	e->denials->pool.seed = e->denials->seed;
	return 0;
}

void denials_stop(struct engine *e)
{
	e->denials->stopping = true;
	send_gone(e);
	for (struct denial *d = e->denials->zones; d != NULL; d = d->next)
		let_go(e, d);
}

void denials_free(struct engine *e)
{
	struct denials *ds = e->denials;

	while (ds != NULL && ds->zones != NULL) {
		struct denial *next = ds->zones->next;
		free(ds->zones);
		ds->zones = next;
	}
	free(ds);
	e->denials = NULL;
}
