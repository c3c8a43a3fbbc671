/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * persist - which server a client was given, for hostnames that keep clients
 * by a table ("persist-by": "table").
 *
 * A set-associative table of fixed size: a key is looked for in the few places
 * of one cache line; a new one takes the place that was not used for longest.
 * An entry is two atomic words: who, and when.  They may be seen apart, which
 * costs a client that is written at that moment its memory, and nothing else.
 * Neither readers nor writers wait or allocate; any thread.
 *
 * Keys are hashes of a hostname and a client's prefix, values hashes of a
 * server's id, both the same in every node and configuration: so a table
 * outlives reloads, and, saved, restarts.  Of a key the upper half counts, for
 * its place too, so that entries fit a table of any size.  Two clients whose
 * halves are the same (one in 4,000, beside a million others) share an entry,
 * and so a server.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gtm_persist;

#define GTM_PERSIST_EPOCH (UINT32_C(1) << 30)

/* Of so many entries (rounded up to a power of two, 64..2^28), or NULL. */
struct gtm_persist *gtm_persist_new(size_t entries);
void gtm_persist_free(struct gtm_persist *p); /* NULL is fine */

/* Entries that are taken, and the octets that all of them need. */
size_t gtm_persist_count(const struct gtm_persist *p);
size_t gtm_persist_bytes(const struct gtm_persist *p);

/* How long an entry holds. */
struct gtm_persist_terms {
	uint32_t access_s;  /* without being asked for */
	uint32_t refresh_s; /* in all; UINT32_MAX: for ever */
};

/*
 * The server that 'key' (not 0) was given, or 0.  'now_s': seconds of any clock
 * that never runs backwards, from GTM_PERSIST_EPOCH on: so that what is older
 * than the clock has its place, too.
 */
uint32_t gtm_persist_find(const struct gtm_persist *p, uint64_t key,
			  const struct gtm_persist_terms *terms,
			  uint32_t now_s);

/*
 * 'key' was given 'server' (not 0): by the table's own word ('kept'), or
 * because it was decided anew.
 */
void gtm_persist_put(struct gtm_persist *p, uint64_t key, uint32_t server,
		     bool kept, uint32_t now_s);

/* An entry as it is saved; ages in seconds. */
struct gtm_persist_row {
	uint32_t tag; /* the half of its key that is kept */
	uint32_t server;
	uint32_t age_s, idle_s; /* since it was made, and used */
};

/*
 * Reads up to 'max' entries from place '*at' (0 to begin with), which moves on;
 * returns how many, 0 at the end.
 */
size_t gtm_persist_save(const struct gtm_persist *p, size_t *at,
			struct gtm_persist_row *rows, size_t max,
			uint32_t now_s);

/* Takes a saved entry back, of a table of any size. */
void gtm_persist_restore(struct gtm_persist *p,
			 const struct gtm_persist_row *row, uint32_t now_s);
