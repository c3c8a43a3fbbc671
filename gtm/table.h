/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * table - what is known of the servers: a slot for each service on each
 * address, and an administrative word for each server.
 *
 * A slot has one writer (the engine) and any number of readers, none of which
 * takes a lock: what a decision needs is one atomic word.  The other words
 * are for people and for "fail": "last"; a reader may see them a moment apart.
 *
 * Pure: times are milliseconds of any clock that never runs backwards, from 1
 * to GTM_TIME_MAX (8.7 years); 0 means never.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define GTM_TIME_MAX   ((UINT64_C(1) << 38) - 1)
#define GTM_METRIC_MAX ((UINT32_C(1) << 24) - 1)

enum gtm_state { GTM_NEVER, GTM_UP, GTM_DOWN };

struct gtm_slot {
	_Atomic uint64_t now;	/* state 2, metric 24, time 38 bits */
	_Atomic uint64_t since; /* when the state began, error in the top 16 */
	_Atomic uint64_t up;	/* when it was last measured to be up */
	_Atomic uint64_t rows;	/* taken */
};

/* A reading of a slot. */
struct gtm_value {
	enum gtm_state state;
	uint16_t error; /* enum probe_error, common/probe.h */
	uint32_t metric;
	uint64_t when_ms;  /* measured; 0: never */
	uint64_t since_ms; /* this state began; 0: never */
	uint64_t up_ms;	   /* last measured to be up; 0: never */
	uint64_t rows;
};

/*
 * The writer's: takes a measurement.  Returns false, and changes nothing, if
 * it is not newer than what is there.  state UP or DOWN, metric <=
 * GTM_METRIC_MAX, 1 <= when_ms <= GTM_TIME_MAX.
 */
bool gtm_slot_put(struct gtm_slot *slot, enum gtm_state state, uint32_t metric,
		  uint16_t error, uint64_t when_ms);

/* Anybody's. */
void gtm_slot_read(const struct gtm_slot *slot, struct gtm_value *value);

/* What a decision needs, in one load. */
struct gtm_glance {
	enum gtm_state state;
	uint32_t metric;
	uint64_t when_ms;
};

static inline struct gtm_glance gtm_slot_glance(const struct gtm_slot *slot)
{
	uint64_t w = atomic_load_explicit(&slot->now, memory_order_relaxed);

	return (struct gtm_glance){ (enum gtm_state)(w >> 62),
				    (uint32_t)(w >> 38) & GTM_METRIC_MAX,
				    w & GTM_TIME_MAX };
}
