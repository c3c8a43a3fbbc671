/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * notes - decisions on their way from named's threads to the journal: a ring a
 * thread, of fixed room, which that thread alone fills and the worker empties.
 * Neither waits for the other; what finds no room is counted and lost.
 *
 * A thread takes the next ring when it has its first note; the worker makes
 * rings before they are needed, as the query path does not allocate.  One of
 * so many answers is noted at random: every so many'th would be A alone of
 * clients that ask for A and AAAA in turns.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define NOTES_RINGS   256u  /* threads */
#define NOTES_SIZE    8192u /* of a ring: notes; a power of two */
#define NOTES_ANSWERS 16u

/* 'host' must outlive the note: the worker frees it, and empties first. */
struct note {
	const void *host; /* struct gtm_host: asked for */
	const void *of;	  /* whose candidates 'pick' counts */
	uint64_t now_ms;  /* of the monotonic clock */
	uint32_t ttl_s;
	uint8_t family, rule, tier, outcome;
	bool extra, client_v6;
	uint8_t client_bits;
	uint8_t n;
	uint8_t client[16]; /* whole: the worker cuts it */
	uint16_t pick[NOTES_ANSWERS];
};

struct notes_ring;

struct notes {
	uint64_t id;
	_Atomic uint32_t one_of; /* 0: nothing is noted */
	_Atomic uint32_t taken;	 /* rings, so far */
	_Atomic uint64_t lost;	 /* for want of a ring */
	struct notes_ring *_Atomic ring[NOTES_RINGS];
};

/* 'id': never given before in this process, not 0.  0, or -ENOMEM. */
int notes_new(uint64_t id, struct notes **notesp);
void notes_free(struct notes *notes); /* NULL is fine */

/*
 * The worker: from now on one of 'one_of' is noted (0: none).  Makes 'spare'
 * rings more than are taken.
 */
void notes_want(struct notes *notes, uint32_t one_of, unsigned int spare);

/* True if any is noted. */
static inline bool notes_on(const struct notes *notes)
{
	return atomic_load_explicit(&notes->one_of, memory_order_relaxed) != 0;
}

/* True if an answer is to be noted; 'random': 32 uniform bits. */
static inline bool notes_wanted(const struct notes *notes, uint32_t random)
{
	uint32_t one_of =
		atomic_load_explicit(&notes->one_of, memory_order_relaxed);

	return one_of != 0 && (uint64_t)random * one_of >> 32 == 0;
}

/* Any thread that lives as long as named. */
void notes_put(struct notes *notes, const struct note *note);

/* The worker: the oldest note of some ring; false: there is none. */
bool notes_take(struct notes *notes, struct note *note);

/* Notes lost so far. */
uint64_t notes_lost(const struct notes *notes);
