/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/decide_int.h"

static uint64_t until(uint64_t moment_ms, uint64_t now_ms)
{
	return moment_ms > now_ms ? moment_ms - now_ms : 0;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * The least time in which results of tests can change what is thought of the
 * candidate: as many in a row as it takes, or one if some have failed already
 * (the rule of gdnsd: its manual, "TTL").  Right after a change, no longer than
 * that is old.
 */
static inline uint64_t by_tests(const struct decide_work *w, uint32_t i)
{
	const struct gtm_cell *cell = w->candidate[i].cell;
	uint64_t now_ms = w->q->now_ms;
	uint64_t span_ms = w->host->fall_ms;

	if (cell == NULL)
		return UINT64_MAX;
	struct gtm_glance g = gtm_slot_glance(&cell->slot);
	uint64_t since =
		atomic_load_explicit(&cell->slot.since, memory_order_relaxed);
	uint64_t since_ms = since & GTM_TIME_MAX;
	if (g.state == GTM_DOWN)
		span_ms = w->host->rise_ms;
	else if (g.state != GTM_UP || since >> GTM_ERROR_SHIFT != 0)
		span_ms = w->host->service->interval_ms;
	uint64_t left_ms = until(g.when_ms + span_ms, now_ms);
	return since_ms == 0 ? left_ms
			     : lesser(left_ms, until(now_ms, since_ms));
}

/* The same for what operators have said and planned. */
static inline uint64_t by_plan(const struct decide_work *w, uint32_t i)
{
	const struct gtm_admin *admin = w->candidate[i].admin;
	uint64_t now_ms = w->q->now_ms;
	uint64_t drained_ms = atomic_load_explicit(&admin->drained_until_ms,
						   memory_order_relaxed);
	uint64_t planned_ms =
		atomic_load_explicit(&admin->planned_ms, memory_order_relaxed);
	uint64_t forced_ms =
		atomic_load_explicit(&admin->forced, memory_order_relaxed) &
		GTM_FORCE_EVER;

	/* Mostly there is nothing. */
	if ((drained_ms | planned_ms | forced_ms) == 0)
		return UINT64_MAX;
	uint64_t left_ms = UINT64_MAX;
	if (drained_ms > now_ms)
		left_ms = drained_ms - now_ms;
	if (planned_ms > now_ms)
		left_ms = lesser(left_ms, planned_ms - now_ms);
	if (forced_ms > now_ms)
		left_ms = lesser(left_ms, forced_ms - now_ms);
	return left_ms;
}

/* One by one. */
static uint64_t soonest_any(const struct decide_work *w)
{
	uint64_t soonest_ms = UINT64_MAX;

	for (uint32_t i = 0; i < w->to; i++) {
		soonest_ms = lesser(soonest_ms, by_tests(w, i));
		soonest_ms = lesser(soonest_ms, by_plan(w, i));
	}
	return soonest_ms;
}

/* The same for the usual case, in which all are up, and no test has failed. */
static uint64_t soonest(const struct decide_work *w)
{
	uint64_t least_ms = GTM_TIME_MAX;
	uint64_t last_ms = 0;
	uint64_t errors = 0;
	uint64_t odd = 0;

	if (w->said)
		return soonest_any(w);
	const struct gtm_candidate *const end = w->candidate + w->to;
	for (const struct gtm_candidate *c = w->candidate; c < end; c++) {
		const struct gtm_cell *cell = c->cell;
		if (cell == NULL)
			return soonest_any(w);
		uint64_t now = atomic_load_explicit(&cell->slot.now,
						    memory_order_relaxed);
		uint64_t since = atomic_load_explicit(&cell->slot.since,
						      memory_order_relaxed);
		odd |= now ^ (uint64_t)GTM_UP << GTM_STATE_SHIFT;
		errors |= since;
		least_ms = lesser(least_ms, now & GTM_TIME_MAX);
		since &= GTM_TIME_MAX;
		last_ms = since > last_ms ? since : last_ms;
	}
	if (odd >> GTM_STATE_SHIFT != 0 || errors >> GTM_ERROR_SHIFT != 0 ||
	    w->to == 0)
		return soonest_any(w);
	return lesser(until(least_ms + w->host->fall_ms, w->q->now_ms),
		      until(w->q->now_ms, last_ms));
}

uint32_t decide_ttl_s(const struct decide_work *w)
{
	const struct config_hostname *config = w->host->config;

	if (config->ttl_min_s >= config->ttl_s)
		return config->ttl_s;
	uint64_t s = soonest(w) / 1000;
	if (s < config->ttl_min_s)
		return config->ttl_min_s;
	return s < config->ttl_s ? (uint32_t)s : config->ttl_s;
}
