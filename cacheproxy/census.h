/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * census - how many of the store's entries each zone has, by its identity in
 * the cache.
 *
 * A hash table of 32 octets an identity, at most half full.  An identity has a
 * place only while it has entries; the table grows and shrinks with them.
 * Identities are counted up by the plugin, not chosen by anybody: a
 * multiplication spreads them.
 *
 * Belongs to one thread, the store's writer: there is no lock and nothing is
 * _Atomic.  Pure but for malloc.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct census_sum {
	uint64_t entries;
	uint64_t bytes;	   /* as store_bytes() counts */
	uint64_t negative; /* of the entries: NODATA and NXDOMAIN */
};

struct census_place {
	uint64_t zone;
	struct census_sum sum; /* no entries: the place is free */
};

/* Zeroed: empty. */
struct census {
	struct census_place *places; /* NULL: none yet */
	size_t n, used;		     /* places: a power of two */
};

void census_fini(struct census *census);

/* Octets that the table takes, or 0. */
size_t census_bytes(const struct census *census);

/*
 * Counts an entry in.  Without memory for a larger table it is filled further;
 * an entry that then finds no place at all is not counted, and its zone has
 * too small figures until it has no entries.
 */
void census_add(struct census *census, uint64_t zone, size_t bytes,
		bool negative);

/* Counts an entry out that was counted in with the same arguments. */
void census_take(struct census *census, uint64_t zone, size_t bytes,
		 bool negative);

/* What 'zone' has; zeros if nothing. */
struct census_sum census_of(const struct census *census, uint64_t zone);
