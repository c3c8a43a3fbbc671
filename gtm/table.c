/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/table.h"

#include <assert.h>

#define METRIC_SHIFT 38

/*
 * There is one writer, so that it may read and write in two steps.  The words
 * stand for themselves: nothing is published through them.
 */
static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

/* Follows the metric, but not its flutter. */
static void settle(struct gtm_slot *slot, uint32_t metric, bool at_once)
{
	uint32_t was = gtm_slot_settled(slot);
	uint32_t by = metric > was ? metric - was : was - metric;

	if (at_once || (uint64_t)by * 100 > (uint64_t)was * GTM_SETTLE_PCT)
		atomic_store_explicit(&slot->settled, metric,
				      memory_order_relaxed);
}

bool gtm_slot_put(struct gtm_slot *slot, enum gtm_state state, uint32_t metric,
		  uint16_t error, uint64_t when_ms)
{
	struct gtm_glance old = gtm_slot_glance(slot);

	assert(state == GTM_UP || state == GTM_DOWN);
	assert(metric <= GTM_METRIC_MAX);
	assert(when_ms >= 1 && when_ms <= GTM_TIME_MAX);
	if (when_ms <= old.when_ms)
		return false;

	uint64_t since_ms = when_ms;
	if (state == old.state)
		since_ms = load(&slot->since) & GTM_TIME_MAX;
	store(&slot->since, (uint64_t)error << GTM_ERROR_SHIFT | since_ms);
	if (state == GTM_UP) {
		store(&slot->up, when_ms);
		if (old.state == GTM_DOWN)
			store(&slot->back, when_ms);
		settle(slot, metric, old.state != GTM_UP);
	}
	store(&slot->rows, load(&slot->rows) + 1);
	store(&slot->now, (uint64_t)state << GTM_STATE_SHIFT |
				  (uint64_t)metric << METRIC_SHIFT | when_ms);
	return true;
}

void gtm_slot_set(struct gtm_slot *slot, const struct gtm_value *value)
{
	assert(value->metric <= GTM_METRIC_MAX);
	assert(value->when_ms <= GTM_TIME_MAX);
	assert(value->since_ms <= GTM_TIME_MAX);
	store(&slot->since,
	      (uint64_t)value->error << GTM_ERROR_SHIFT | value->since_ms);
	store(&slot->up, value->up_ms);
	store(&slot->back, value->back_ms);
	store(&slot->rows, value->rows);
	atomic_store_explicit(&slot->settled, value->metric,
			      memory_order_relaxed);
	store(&slot->now, (uint64_t)value->state << GTM_STATE_SHIFT |
				  (uint64_t)value->metric << METRIC_SHIFT |
				  value->when_ms);
}

void gtm_slot_read(const struct gtm_slot *slot, struct gtm_value *value)
{
	struct gtm_glance now = gtm_slot_glance(slot);
	uint64_t since = load(&slot->since);

	*value = (struct gtm_value){
		.state = now.state,
		.error = (uint16_t)(since >> GTM_ERROR_SHIFT),
		.metric = now.metric,
		.when_ms = now.when_ms,
		.since_ms = since & GTM_TIME_MAX,
		.up_ms = load(&slot->up),
		.back_ms = load(&slot->back),
		.rows = load(&slot->rows),
	};
}
