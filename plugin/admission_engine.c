/* SPDX-License-Identifier: MPL-2.0 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include "common/rcu.h"
#include "plugin/admission_int.h"
#include "plugin/commands.h"
#include "plugin/control.h"
#include "plugin/engine.h"
#include "plugin/jsonadd.h"
#include "plugin/log.h"

#define SUFFIX_PART 2u /* of the miss factor: for answers that say no */
#define NEW_PART    4u /* names not known to exist leave so much of a ceiling */
#define DAY_LEAST_S 3600u
#define SWEEP_STEP  4096u /* places of the table of known clients, a tick */

#define LOAD(a) atomic_load_explicit(&(a), memory_order_relaxed)

/* -- zones ----------------------------------------------------------------- */

/* The zone's state, made when it is first wanted; NULL: no memory. */
static struct admit_zone *state_of(struct engine *e, const struct zone *zone)
{
	struct admit *admit = e->process->admit;
	struct admit_zone *z = admission_of(zone);
	uint32_t now_s = process_now_s(e->process);

	if (z != NULL)
		return z;
	z = malloc(sizeof(*z));
	if (z == NULL)
		return NULL;
	struct admit_now now = admission_now(admit, zone, now_s);
	admit_zone_init(z, &now);
	struct admit_learned learned;
	if (admission_kept_take(admit, zone, &learned))
		admit_learned_put(z, &learned);
	if (zone->state->restored) /* its cache is not empty */
		atomic_store(&z->amnesty_until_s, 0);
	atomic_store_explicit(&zone->state->admit, z, memory_order_release);
	return z;
}

void admission_zone_free(struct zone_state *state)
{
	free(atomic_load(&state->admit));
}

/* -- what goes on ---------------------------------------------------------- */

static void tell(struct engine *e, const struct zone *zone,
		 enum config_filter filter, bool begins)
{
	struct admit *admit = e->process->admit;
	struct admit_zone *z = admission_of(zone);
	const struct config_admission *c = &zone->config->admission;
	bool on = c->mode[filter] == CONFIG_MODE_ON;
	uint32_t normal = admit_normal(z, c, ADMIT_QUERIES, LOAD(admit->hours));

	log_write(begins ? ISC_LOG_WARNING : ISC_LOG_NOTICE,
		  "zone '%s': attack: filter '%s' %s%s; normal are %u queries "
		  "a second, the last second had %u, %u of them misses",
		  zone->config->id, admit_filter_names[filter],
		  begins ? "begins" : "ends", on ? "" : ", observing", normal,
		  LOAD(z->last[ADMIT_QUERIES]), LOAD(z->last[ADMIT_MISSES]));
	if (e->control == NULL || !control_watched(e->control))
		return;
	struct json_object *event =
		commands_event_new(begins ? "attack-begins" : "attack-ends");
	add_text(event, "zone", zone->config->id);
	add_text(event, "filter", admit_filter_names[filter]);
	add_text(event, "mode", on ? "on" : "observe");
	add_number(event, "normal", normal);
	add_number(event, "queries", LOAD(z->last[ADMIT_QUERIES]));
	control_event(e->control, event);
}

/* Tells of filters that have begun or ended. */
static void tell_changes(struct engine *e, struct siege *s)
{
	uint32_t active = LOAD(admission_of(s->zone)->active);

	for (unsigned int f = 0; f < CONFIG_FILTERS; f++) {
		uint32_t bit = 1u << f;
		if (((active ^ s->told) & bit) != 0)
			tell(e, s->zone, f, (active & bit) != 0);
	}
	s->told = active;
}

/* The zone's place in the list; NULL: no memory. */
static struct siege *siege_of(struct engine *e, struct zone *zone)
{
	struct admit *admit = e->process->admit;

	for (size_t i = 0; i < admit->n_siege; i++)
		if (admit->siege[i].zone->state == zone->state)
			return &admit->siege[i];
	if (admit->n_siege == admit->room) {
		size_t room = admit->room * 2 + 16;
		struct siege *more =
			realloc(admit->siege, room * sizeof(*more));
		if (more == NULL)
			return NULL;
		admit->siege = more;
		admit->room = room;
	}
	snapshot_ref(zone->snapshot);
	admit->siege[admit->n_siege] = (struct siege){ .zone = zone };
	return &admit->siege[admit->n_siege++];
}

static void siege_drop(struct admit *admit, size_t i)
{
	snapshot_unref(admit->siege[i].zone->snapshot);
	admit->siege[i] = admit->siege[--admit->n_siege];
}

static void siege_begin(struct engine *e, struct zone *zone)
{
	struct siege *s = siege_of(e, zone);

	if (s != NULL)
		tell_changes(e, s);
}

/* The zone as it is configured now; NULL: it is gone. */
static struct zone *current(const struct snapshot *s, struct zone *zone)
{
	if (zone->snapshot == s)
		return zone;
	for (size_t i = 0; i < s->n; i++)
		if (s->zone[i].state == zone->state)
			return (struct zone *)(uintptr_t)&s->zone[i];
	return NULL;
}

/* A zone that wants a state, or has a filter that has begun. */
static void poked(struct job *job)
{
	struct zone_state *state =
		(struct zone_state *)((char *)job -
				      offsetof(struct zone_state, admit_job));
	struct zone *zone = state->admit_of;
	struct engine *e = process_get()->engine;
	struct snapshot *held = zone->snapshot;

	atomic_store_explicit(&state->admit_posted, false,
			      memory_order_release);
	if (e->snapshot != NULL && !e->admission_ended)
		zone = current(e->snapshot, zone);
	else
		zone = NULL;
	const struct admit_zone *z = zone != NULL ? state_of(e, zone) : NULL;
	if (z != NULL && LOAD(z->active) != 0)
		siege_begin(e, zone);
	snapshot_unref(held);
}

void admission_poke(const struct zone *zone)
{
	struct zone_state *state = zone->state;

	if (LOAD(state->admit_posted) ||
	    atomic_exchange_explicit(&state->admit_posted, true,
				     memory_order_acquire))
		return;
	snapshot_ref(zone->snapshot);
	state->admit_of = (struct zone *)(uintptr_t)zone;
	state->admit_job.run = poked;
	engine_post(process_get()->engine, &state->admit_job);
}

/* -- answers --------------------------------------------------------------- */

/* So many names a second that do not exist are no longer normal. */
static uint32_t suffix_least(const struct admit *admit, const struct zone *zone,
			     const struct admit_zone *z, uint32_t now_s)
{
	const struct config_admission *c = &zone->config->admission;
	uint64_t n = (uint64_t)admit_normal(z, c, ADMIT_NXDOMAIN,
					    LOAD(admit->hours)) *
		     c->miss_factor / SUFFIX_PART;

	if (c->mode[CONFIG_FILTER_SUFFIXES] == CONFIG_MODE_OFF ||
	    admit_graced(z, now_s) || admit_forgiven(z, now_s))
		return UINT32_MAX;
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

bool admission_landed(struct engine *e, struct zone *zone,
		      const struct store_key *key, enum store_kind kind)
{
	struct admit *admit = e->process->admit;
	struct admit_zone *z = state_of(e, zone);
	uint32_t now_s = process_now_s(e->process);
	bool exists = kind != STORE_NXDOMAIN;
	const struct admit_name name = { .zone = admission_id(zone),
					 .wire = key->name,
					 .n = key->n,
					 .apex_labels = zone->labels };

	if (z == NULL || kind == STORE_FAILURE || !zone->config->admission.any)
		return true;
	atomic_fetch_add_explicit(&z->fills, 1, memory_order_relaxed);
	if (exists)
		admit_seen_add(admit->seen,
			       admission_name_hash(admit, zone, key), now_s);
	else
		atomic_fetch_add_explicit(&z->nx, 1, memory_order_relaxed);
	uint32_t least = suffix_least(admit, zone, z, now_s);
	if (admit_suffixes_feed(admit->suffixes, &name, exists, least, now_s)) {
		admit_set(z, CONFIG_FILTER_SUFFIXES, true, now_s);
		siege_begin(e, zone);
	}
	return exists || !admit_active(z, CONFIG_FILTER_SUFFIXES) ||
	       zone->config->admission.mode[CONFIG_FILTER_SUFFIXES] !=
		       CONFIG_MODE_ON ||
	       !admit_suffixes_below(admit->suffixes, &name);
}

/* -- the ceiling ----------------------------------------------------------- */

static void refuse_ceiling(struct engine *e, const struct zone *zone,
			   const struct store_key *key)
{
	static struct log_gate gate;
	struct admit_zone *z = state_of(e, zone);
	uint32_t now_s = process_now_s(e->process);
	char text[DNAME_TEXT_MAX];
	struct dname name;

	if (z != NULL)
		atomic_fetch_add_explicit(&z->refused[ADMIT_ORIGIN_RATE], 1,
					  memory_order_relaxed);
	if (log_held(&gate, now_s) ||
	    dname_from_wire(key->name, key->n, &name) != 0)
		return;
	(void)dname_print(&name, text);
	log_limited(&gate, now_s, ISC_LOG_WARNING,
		    "zone '%s': not asking for '%s' type %u: origins are asked "
		    "enough (origin-rate)",
		    zone->config->id, text, key->qtype);
}

bool admission_may_ask(struct engine *e, struct zone *zone,
		       const struct store_key *key)
{
	struct admit *admit = e->process->admit;
	struct zone_state *state = zone->state;
	uint32_t rate = zone->config->admission.origin_rate;
	uint32_t now_s = process_now_s(e->process);
	uint64_t now_ms = clock_now_ms();
	bool may = true;

	if (rate == 0)
		return true;
	rcu_enter();
	bool exists = admission_exists(admit, zone, key, NULL, now_s);
	rcu_leave();
	uint32_t part = rate - rate / NEW_PART;
	if (!exists)
		may = admit_bucket_take(&state->origin_new, part, now_ms);
	may = may && admit_bucket_take(&state->origin_all, rate, now_ms);
	if (!may)
		refuse_ceiling(e, zone, key);
	return may;
}

bool admission_has_room(const struct zone *zone)
{
	uint32_t rate = zone->config->admission.origin_rate;
	uint64_t now_ms = clock_now_ms();

	return rate == 0 ||
	       (admit_bucket_has(&zone->state->origin_new,
				 rate - rate / NEW_PART, now_ms) &&
		admit_bucket_has(&zone->state->origin_all, rate, now_ms));
}

void admission_asked(struct engine *e, const struct zone *zone)
{
	uint32_t rate = zone->config->admission.origin_rate;

	(void)e;
	if (rate != 0)
		admit_bucket_charge(&zone->state->origin_all, rate,
				    clock_now_ms());
}

void admission_repeated(const struct zone *zone, uint32_t tries)
{
	uint32_t rate = zone->config->admission.origin_rate;

	for (; rate != 0 && tries > 1; tries--)
		admit_bucket_charge(&zone->state->origin_all, rate,
				    clock_now_ms());
}

/* -- now and then ---------------------------------------------------------- */

void admission_forget(struct engine *e, const struct zone *zone, uint64_t n)
{
	struct admit_zone *z = admission_of(zone);

	if (z != NULL && n > 0)
		admit_forgive(z, n < INT32_MAX ? (uint32_t)n : INT32_MAX,
			      process_now_s(e->process));
}

static void suffix_ended(void *arg, uint64_t id)
{
	struct engine *e = arg;
	struct admit *admit = e->process->admit;

	for (size_t i = 0; i < admit->n_siege; i++) {
		const struct zone *zone = admit->siege[i].zone;
		if (admission_id(zone) == id &&
		    !admit_suffixes_any(admit->suffixes, id))
			admit_set(admission_of(zone), CONFIG_FILTER_SUFFIXES,
				  false, 0);
	}
}

/*
 * What is known of clients fades by the day: by each that the clock comes to,
 * but not by those that it leaps over when it is set.
 */
static void day_turn(struct admit *admit, uint32_t wall_day, uint32_t now_s)
{
	bool turned = admit->wall_day != 0 && admit->wall_day != wall_day;

	admit->wall_day = wall_day;
	if (!turned || now_s - admit->day_at_s < DAY_LEAST_S)
		return;
	atomic_fetch_add_explicit(&admit->day, 1, memory_order_relaxed);
	admit->day_at_s = now_s;
}

void admission_tick(struct engine *e, uint32_t now_s)
{
	struct admit *admit = e->process->admit;
	uint32_t hours = (uint32_t)((uint64_t)time(NULL) / 3600);

	atomic_store_explicit(&admit->hours, hours, memory_order_relaxed);
	day_turn(admit, hours / 24, now_s);
	rcu_enter();
	struct admit_known *known = atomic_load(&admit->known);
	if (known != NULL)
		admit_known_sweep(known, &admit->sweep_at, SWEEP_STEP,
				  LOAD(admit->day));
	rcu_leave();
	if (admit->ticked_s == now_s)
		return;
	admit->ticked_s = now_s;
	admit_suffixes_tick(admit->suffixes, now_s, suffix_ended, e);
	for (size_t i = 0; i < admit->n_siege;) {
		struct siege *s = &admit->siege[i];
		const struct config_admission *c = &s->zone->config->admission;
		if (c->mode[CONFIG_FILTER_SUFFIXES] == CONFIG_MODE_OFF)
			admit_set(admission_of(s->zone), CONFIG_FILTER_SUFFIXES,
				  false, 0);
		if (LOAD(admission_of(s->zone)->second) != now_s)
			admission_roll(admit, s->zone, now_s);
		tell_changes(e, s);
		if (s->told == 0)
			siege_drop(admit, i);
		else
			i++;
	}
}

void admission_configured(struct engine *e, const struct snapshot *s)
{
	struct admit *admit = e->process->admit;
	size_t n = admit->n_siege;

	for (size_t i = 0; n > 0 && i < s->n; i++) {
		struct zone *zone = (struct zone *)(uintptr_t)&s->zone[i];
		for (size_t k = 0; k < admit->n_siege; k++) {
			struct siege *old = &admit->siege[k];
			if (old->zone->state != zone->state ||
			    old->zone->snapshot == s)
				continue;
			snapshot_ref(zone->snapshot);
			snapshot_unref(old->zone->snapshot);
			old->zone = zone;
			n--;
		}
	}
	for (size_t k = 0; k < admit->n_siege;) { /* zones that are gone */
		if (admit->siege[k].zone->snapshot == s)
			k++;
		else
			siege_drop(admit, k);
	}
}

void admission_stop(struct engine *e)
{
	struct admit *admit = e->process->admit;

	e->admission_ended = true;
	while (admit->n_siege > 0)
		siege_drop(admit, admit->n_siege - 1);
}
