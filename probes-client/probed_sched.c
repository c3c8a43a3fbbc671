/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_sched.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define SPREAD_MIN_MS 1000u
#define LATE_MAX_MS   1000u
/* 2^32 divided by the golden ratio: its multiples spread evenly. */
#define GOLDEN 2654435769u

int probed_sched_room(struct probed_sched *sched, size_t max)
{
	if (max <= sched->max)
		return 0;
	struct probed_target **heap = realloc(
		sched->heap, (max + 1) * sizeof(struct probed_target *));
	if (heap == NULL)
		return -ENOMEM;
	sched->heap = heap;
	sched->max = max;
	return 0;
}

void probed_sched_fini(struct probed_sched *sched)
{
	free(sched->heap);
	*sched = (struct probed_sched){ NULL, 0, 0 };
}

static void place(struct probed_sched *sched, size_t at,
		  struct probed_target *target)
{
	sched->heap[at] = target;
	target->heap_at = at;
}

static void rise(struct probed_sched *sched, size_t at,
		 struct probed_target *target)
{
	while (at > 1 && sched->heap[at / 2]->due_ms > target->due_ms) {
		place(sched, at, sched->heap[at / 2]);
		at /= 2;
	}
	place(sched, at, target);
}

static void sink(struct probed_sched *sched, size_t at,
		 struct probed_target *target)
{
	for (;;) {
		size_t child = 2 * at;
		if (child > sched->n)
			break;
		if (child < sched->n &&
		    sched->heap[child + 1]->due_ms < sched->heap[child]->due_ms)
			child++;
		if (sched->heap[child]->due_ms >= target->due_ms)
			break;
		place(sched, at, sched->heap[child]);
		at = child;
	}
	place(sched, at, target);
}

void probed_sched_put(struct probed_sched *sched, struct probed_target *target)
{
	assert(target->heap_at == 0 && sched->n < sched->max);
	sched->n++;
	rise(sched, sched->n, target);
}

void probed_sched_remove(struct probed_sched *sched,
			 struct probed_target *target)
{
	size_t at = target->heap_at;

	if (at == 0)
		return;
	struct probed_target *last = sched->heap[sched->n--];
	target->heap_at = 0;
	if (last == target)
		return;
	if (at > 1 && sched->heap[at / 2]->due_ms > last->due_ms)
		rise(sched, at, last);
	else
		sink(sched, at, last);
}

uint64_t probed_sched_due(const struct probed_sched *sched)
{
	return sched->n > 0 ? sched->heap[1]->due_ms : PROBED_SCHED_NEVER;
}

struct probed_target *probed_sched_take(struct probed_sched *sched,
					uint64_t now_ms)
{
	if (sched->n == 0 || sched->heap[1]->due_ms > now_ms)
		return NULL;
	struct probed_target *target = sched->heap[1];
	probed_sched_remove(sched, target);
	return target;
}

uint64_t probed_sched_phase(size_t i, size_t n, uint32_t interval_ms)
{
	uint64_t spread = n > SPREAD_MIN_MS ? n : SPREAD_MIN_MS;
	uint64_t turn = (uint64_t)i * GOLDEN & UINT32_MAX; /* of 2^32 */

	if (spread > interval_ms)
		spread = interval_ms;
	return turn * spread >> 32;
}

uint64_t probed_sched_turn(size_t i, uint64_t begin_ms, uint64_t first_ms,
			   uint32_t interval_ms)
{
	uint64_t turn = (uint64_t)i * GOLDEN & UINT32_MAX; /* of 2^32 */
	uint64_t due_ms = begin_ms + (turn * interval_ms >> 32);
	uint64_t least_ms = first_ms + interval_ms / 10;

	if (due_ms >= least_ms)
		return due_ms;
	uint64_t missed = (least_ms - due_ms - 1) / interval_ms + 1;
	return due_ms + missed * interval_ms;
}

uint64_t probed_sched_next(uint64_t due_ms, uint32_t interval_ms,
			   uint8_t jitter_pct, uint32_t rnd)
{
	uint64_t jitter = (uint64_t)interval_ms * jitter_pct / 100;
	uint64_t offset = (2 * jitter + 1) * rnd >> 32; /* 0 .. 2 * jitter */

	return due_ms + interval_ms - jitter + offset;
}

uint64_t probed_sched_after(const struct probed_target *target, uint64_t now_ms)
{
	uint64_t soon = target->begun_ms + target->service->fast_ms;

	if (!probed_target_is_in_doubt(target))
		return target->regular_ms;
	if (soon < now_ms)
		soon = now_ms;
	return soon < target->regular_ms ? soon : target->regular_ms;
}

bool probed_sched_missed(struct probed_target *target, uint64_t now_ms)
{
	uint64_t interval = target->service->interval_ms;
	uint64_t late = now_ms - target->due_ms;
	uint64_t allowed = interval / 4;

	if (allowed > LATE_MAX_MS)
		allowed = LATE_MAX_MS;
	if (late <= allowed || target->skipped ||
	    target->state == PROBED_UNTESTED) {
		target->skipped = false;
		return false;
	}
	target->skipped = true;
	target->due_ms += (late / interval + 1) * interval;
	target->regular_ms = target->due_ms;
	return true;
}
