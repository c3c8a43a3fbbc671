/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/notes.h"

#include <errno.h>
#include <stdlib.h>

#define LINE 64 /* octets that are written together */

/* What the two sides write lies apart. */
struct notes_ring {
	_Alignas(LINE) _Atomic uint64_t put;
	_Atomic uint64_t lost;
	_Alignas(LINE) _Atomic uint64_t taken;
	_Alignas(LINE) struct note note[NOTES_SIZE];
};

/*
 * The calling thread's ring of all notes there ever are: numbers are given
 * once, so that no two threads have one.
 */
static uint32_t my_number(struct notes *notes)
{
	static _Thread_local uint32_t number;
	static _Thread_local uint64_t of;

	if (of != notes->id) {
		of = notes->id;
		number = atomic_fetch_add_explicit(&notes->taken, 1,
						   memory_order_relaxed);
	}
	return number;
}

void notes_put(struct notes *notes, const struct note *note)
{
	uint32_t number = my_number(notes);
	struct notes_ring *ring = NULL;

	if (number < NOTES_RINGS)
		ring = atomic_load_explicit(&notes->ring[number],
					    memory_order_acquire);
	if (ring == NULL) {
		atomic_fetch_add_explicit(&notes->lost, 1,
					  memory_order_relaxed);
		return;
	}
	uint64_t put = atomic_load_explicit(&ring->put, memory_order_relaxed);
	uint64_t taken =
		atomic_load_explicit(&ring->taken, memory_order_acquire);
	if (put - taken >= NOTES_SIZE) {
		uint64_t lost =
			atomic_load_explicit(&ring->lost, memory_order_relaxed);
		atomic_store_explicit(&ring->lost, lost + 1,
				      memory_order_relaxed);
		return;
	}
	ring->note[put % NOTES_SIZE] = *note;
	atomic_store_explicit(&ring->put, put + 1, memory_order_release);
}

bool notes_take(struct notes *notes, struct note *note)
{
	for (unsigned int i = 0; i < NOTES_RINGS; i++) {
		struct notes_ring *ring = atomic_load_explicit(
			&notes->ring[i], memory_order_relaxed);
		if (ring == NULL)
			break;
		uint64_t taken = atomic_load_explicit(&ring->taken,
						      memory_order_relaxed);
		if (atomic_load_explicit(&ring->put, memory_order_acquire) ==
		    taken)
			continue;
		*note = ring->note[taken % NOTES_SIZE];
		atomic_store_explicit(&ring->taken, taken + 1,
				      memory_order_release);
		return true;
	}
	return false;
}

uint64_t notes_lost(const struct notes *notes)
{
	uint64_t lost =
		atomic_load_explicit(&notes->lost, memory_order_relaxed);

	for (unsigned int i = 0; i < NOTES_RINGS; i++) {
		const struct notes_ring *ring = atomic_load_explicit(
			&notes->ring[i], memory_order_acquire);
		if (ring != NULL)
			lost += atomic_load_explicit(&ring->lost,
						     memory_order_relaxed);
	}
	return lost;
}

static struct notes_ring *ring_new(void)
{
	struct notes_ring *ring = aligned_alloc(LINE, sizeof(*ring));

	if (ring == NULL)
		return NULL;
	atomic_init(&ring->put, 0);
	atomic_init(&ring->lost, 0);
	atomic_init(&ring->taken, 0);
	return ring; /* its notes are pages that nobody has touched yet */
}

void notes_want(struct notes *notes, uint32_t one_of, unsigned int spare)
{
	uint32_t want =
		atomic_load_explicit(&notes->taken, memory_order_relaxed);

	want = want < NOTES_RINGS - spare ? want + spare : NOTES_RINGS;
	for (uint32_t i = 0; one_of > 0 && i < want; i++) {
		if (atomic_load_explicit(&notes->ring[i],
					 memory_order_relaxed) != NULL)
			continue;
		struct notes_ring *ring = ring_new();
		if (ring == NULL)
			break;
		atomic_store_explicit(&notes->ring[i], ring,
				      memory_order_release);
	}
	atomic_store_explicit(&notes->one_of, one_of, memory_order_relaxed);
}

int notes_new(uint64_t id, struct notes **notesp)
{
	struct notes *notes = calloc(1, sizeof(*notes));

	if (notes == NULL)
		return -ENOMEM;
	notes->id = id;
	*notesp = notes;
	return 0;
}

void notes_free(struct notes *notes)
{
	if (notes == NULL)
		return;
	for (unsigned int i = 0; i < NOTES_RINGS; i++)
		free(atomic_load(&notes->ring[i]));
	free(notes);
}
