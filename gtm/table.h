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

#define GTM_TIME_MAX	((UINT64_C(1) << 38) - 1)
#define GTM_STATE_SHIFT 62 /* in gtm_slot.now */
#define GTM_ERROR_SHIFT 48 /* in gtm_slot.since */
#define GTM_METRIC_MAX	((UINT32_C(1) << 24) - 1)

enum gtm_state { GTM_NEVER, GTM_UP, GTM_DOWN };

struct gtm_slot {
	_Atomic uint64_t now;	/* state 2, metric 24, time 38 bits */
	_Atomic uint64_t since; /* when the state began, error in the top 16 */
	_Atomic uint64_t up;	/* when it was last measured to be up */
	_Atomic uint64_t back;	/* when it last came up after it was down */
	_Atomic uint64_t rows;	/* taken */
	_Atomic uint32_t settled; /* the metric, without its flutter */
};

/*
 * A metric that moves by no more than this many per cent of what it was
 * settled at does not move a decision (hysteresis).
 */
#define GTM_SETTLE_PCT 5u

/* A reading of a slot. */
struct gtm_value {
	enum gtm_state state;
	uint16_t error; /* enum probe_error, common/probe.h */
	uint32_t metric;
	uint64_t when_ms;  /* measured; 0: never */
	uint64_t since_ms; /* this state began; 0: never */
	uint64_t up_ms;	   /* last measured to be up; 0: never */
	uint64_t back_ms;  /* came up after it was down; 0: never */
	uint64_t rows;
};

/*
 * The writer's: takes a measurement.  Returns false, and changes nothing, if
 * it is not newer than what is there.  state UP or DOWN, metric <=
 * GTM_METRIC_MAX, 1 <= when_ms <= GTM_TIME_MAX.
 */
bool gtm_slot_put(struct gtm_slot *slot, enum gtm_state state, uint32_t metric,
		  uint16_t error, uint64_t when_ms);

/*
 * The writer's: makes the slot say what another one, or a journal, said: also
 * what is older, or nothing (GTM_NEVER).  Times as above; what a gtm_value does
 * not have is as after the first measurement.
 */
void gtm_slot_set(struct gtm_slot *slot, const struct gtm_value *value);

/* Anybody's. */
void gtm_slot_read(const struct gtm_slot *slot, struct gtm_value *value);

/* The metric that decisions compare; 0 before the first value. */
static inline uint32_t gtm_slot_settled(const struct gtm_slot *slot)
{
	return atomic_load_explicit(&slot->settled, memory_order_relaxed);
}

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
