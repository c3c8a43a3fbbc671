/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * flight - questions on their way to an origin, and who waits for each: one
 * question however many wait.
 *
 * Workers join, the engine lands.  There are 64 shards, chosen by hash.  The
 * mutex of a shard guards its flights (next, waiters, listed) and what waits
 * for them (next, prev, flight); it is held for a few list operations (by
 * flight_detach() for a walk of the shard) and never across I/O, allocation or
 * a call out.  No other lock is taken while one is held.
 *
 * The caller sees to it that one waiter's join and leave come one after the
 * other (they may be in different threads), and that a waiter stays in memory
 * until flight_leave() returned true or the lander has resumed it: exactly one
 * of the two happens.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cacheproxy/store.h"

struct flight_table;
struct flight;

/* Embedded in what waits; zeroed before the first join. */
struct flight_waiter {
	struct flight_waiter *next, *prev;
	struct flight *flight; /* guarded by the shard; NULL: not waiting */
	uint64_t hash;	       /* tells the shard; set when it joins */
};

struct flight {
	/* the table's own */
	struct flight *next;
	struct flight_waiter *waiters;
	uint64_t hash;
	bool listed; /* in the table: new questions may join */
	/* the maker's; constant after flight_join() */
	struct store_key key;
	void *arg; /* e.g. what the engine needs; the lander frees it */
};

/* Returns 0 or -ENOMEM. */
int flight_table_new(struct flight_table **tablep);
void flight_table_free(
	struct flight_table *table); /* must be empty; NULL is fine */

/*
 * Adds 'waiter' to the flight of 'key', making 'fresh' (zeroed, malloc'ed by
 * the caller; key and arg filled) that flight when there is none.  Returns
 * true if 'fresh' was used: the caller must submit it to the engine; false if
 * it was not needed: the caller frees it.  'waiter' may be NULL (a refresh
 * nobody waits for).
 */
bool flight_join(struct flight_table *table, uint64_t hash,
		 struct flight *fresh, struct flight_waiter *waiter);

/* True if a question equal to 'key' is on its way and may be joined. */
bool flight_underway(struct flight_table *table, uint64_t hash,
		     const struct store_key *key);

/*
 * Joins only if a flight of 'key' is there; true if it did.  Spares the
 * allocation in the common case.
 */
bool flight_join_existing(struct flight_table *table, uint64_t hash,
			  const struct store_key *key,
			  struct flight_waiter *waiter);

/*
 * Takes 'waiter' out of its flight.  True: it was waiting and now is not, and
 * the caller must resume it; false: the lander has it already.
 */
bool flight_leave(struct flight_table *table, struct flight_waiter *waiter);

/*
 * Engine: takes the flight out of the table and returns its waiters, first
 * come first, linked by ->next, each with ->flight NULL (read ->next before
 * resuming one).  The flight is the caller's to free.  flight->listed stays as
 * it was, and only the engine changes it after the join, so that the engine
 * may read it without the lock.  Store the answer before landing: then there
 * is no moment at which a question finds neither.
 */
struct flight_waiter *flight_land(struct flight_table *table,
				  struct flight *flight);

/*
 * Engine: takes the waiters off, as flight_land() does, but the flight goes on,
 * and may be joined.
 */
struct flight_waiter *flight_release(struct flight_table *table,
				     struct flight *flight);

/*
 * Engine, on a purge: stops new questions from joining flights of 'zone' whose
 * name is 'name' (with 'below': or lies below it; name NULL: all), so that
 * what is asked after the purge is asked anew.  Those flights land as ever,
 * but flight->listed is false: their answer must not be stored.
 */
size_t flight_detach(struct flight_table *table, uint64_t zone,
		     const uint8_t *name, size_t n, bool below);

/* Flights not yet landed, detached ones included.  Any thread; approximate
 * while others join. */
size_t flight_count(const struct flight_table *table);
