/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_sched - when each target is tested next: a heap of them by the time
 * when they are due.
 *
 * Pure: times are arguments (monotonic milliseconds), and so is randomness.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probes-client/probed_target.h"

#define PROBED_SCHED_NEVER UINT64_MAX

struct probed_sched {
	struct probed_target **heap; /* heap[1 .. n] */
	size_t n, max;
};

/* Room for 'max' targets.  Returns 0 or -ENOMEM, leaving it as it was. */
int probed_sched_room(struct probed_sched *sched, size_t max);
void probed_sched_fini(struct probed_sched *sched);

/* Puts in a target that is not in, at its due_ms.  There must be room. */
void probed_sched_put(struct probed_sched *sched, struct probed_target *target);

/* Takes out a target, if it is in. */
void probed_sched_remove(struct probed_sched *sched,
			 struct probed_target *target);

/* When the first is due; PROBED_SCHED_NEVER if there is none. */
uint64_t probed_sched_due(const struct probed_sched *sched);

/* Takes out the first that is due at 'now_ms'; NULL if there is none. */
struct probed_target *probed_sched_take(struct probed_sched *sched,
					uint64_t now_ms);

/*
 * How long after the start target 'i' of 'n' has its first test: the first
 * round is spread evenly over a second, or a millisecond a target if there are
 * more than 1000, but never over more than an interval.  Neighbours come far
 * from each other: they are often one server's.
 */
uint64_t probed_sched_phase(size_t i, size_t n, uint32_t interval_ms);

/*
 * When the first regular turn of target 'i' is, after its first test, which is
 * due at 'first_ms': the turns are spread evenly over the interval from
 * 'begin_ms' on, and this one comes between a tenth of an interval and a whole
 * one and a tenth after the first test.
 */
uint64_t probed_sched_turn(size_t i, uint64_t begin_ms, uint64_t first_ms,
			   uint32_t interval_ms);

/*
 * The time of the next test after that of 'due_ms': an interval later, more or
 * less up to 'jitter_pct' per cent of it, as 'rnd' (uniform) says.
 */
uint64_t probed_sched_next(uint64_t due_ms, uint32_t interval_ms,
			   uint8_t jitter_pct, uint32_t rnd);

/*
 * When it is tested again after the test that ended at 'now_ms': in its turn,
 * or, in doubt, sooner: "fast-interval" after that test was due.
 */
uint64_t probed_sched_after(const struct probed_target *target,
			    uint64_t now_ms);

/*
 * True if the target, due and only now looked at, has missed its slot: it
 * then has a new 'due_ms' and 'regular_ms', whole intervals later.  What was
 * missed is not made up for, or all targets would be tested in a burst when a
 * stopped process goes on.  Never says so twice in a row, nor of a target
 * without a result.
 */
bool probed_sched_missed(struct probed_target *target, uint64_t now_ms);
