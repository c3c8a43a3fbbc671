/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/flight.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS 64u /* mutexes */
#define CHAINS 64u /* hash chains of a shard */

struct shard {
	_Alignas(64) pthread_mutex_t lock; /* guards chain[] and what hangs */
	struct flight *chain[CHAINS];
};

struct flight_table {
	_Atomic size_t n;
	struct shard shard[SHARDS];
};

/* The store's hash has the type in its top 16 bits only: bring it down. */
static uint64_t mix(uint64_t hash)
{
	return hash ^ hash >> 48;
}

static struct shard *shard_of(struct flight_table *table, uint64_t hash)
{
	return &table->shard[mix(hash) % SHARDS];
}

static struct flight **chain_of(struct shard *shard, uint64_t hash)
{
	return &shard->chain[mix(hash) / SHARDS % CHAINS];
}

static bool key_equal(const struct store_key *a, const struct store_key *b)
{
	return a->zone == b->zone && a->qtype == b->qtype && a->n == b->n &&
	       memcmp(a->name, b->name, a->n) == 0;
}

static struct flight *find(struct shard *shard, uint64_t hash,
			   const struct store_key *key)
{
	struct flight *f = *chain_of(shard, hash);

	while (f != NULL && !(f->hash == hash && key_equal(&f->key, key)))
		f = f->next;
	return f;
}

static void unlist(struct shard *shard, struct flight *flight)
{
	struct flight **at = chain_of(shard, flight->hash);

	while (*at != flight)
		at = &(*at)->next;
	*at = flight->next;
	flight->next = NULL;
}

/* The list ends with NULL; the prev of its head is its last waiter. */
static void waiter_add(struct flight *flight, struct flight_waiter *waiter,
		       uint64_t hash)
{
	struct flight_waiter *head = flight->waiters;

	waiter->flight = flight;
	waiter->hash = hash;
	waiter->next = NULL;
	if (head == NULL) {
		waiter->prev = waiter;
		flight->waiters = waiter;
		return;
	}
	waiter->prev = head->prev;
	head->prev->next = waiter;
	head->prev = waiter;
}

static void waiter_remove(struct flight *flight, struct flight_waiter *waiter)
{
	struct flight_waiter *head = flight->waiters;

	if (waiter->next != NULL)
		waiter->next->prev = waiter->prev;
	else
		head->prev = waiter->prev;
	if (waiter == head)
		flight->waiters = waiter->next;
	else
		waiter->prev->next = waiter->next;
	waiter->next = waiter->prev = NULL;
	waiter->flight = NULL;
}

int flight_table_new(struct flight_table **tablep)
{
	struct flight_table *table =
		aligned_alloc(_Alignof(struct flight_table), sizeof(*table));

	if (table == NULL)
		return -ENOMEM;
	memset(table, 0, sizeof(*table));
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_init(&table->shard[i].lock, NULL);
	*tablep = table;
	return 0;
}

void flight_table_free(struct flight_table *table)
{
	if (table == NULL)
		return;
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_destroy(&table->shard[i].lock);
	free(table);
}

bool flight_join(struct flight_table *table, uint64_t hash,
		 struct flight *fresh, struct flight_waiter *waiter)
{
	struct shard *shard = shard_of(table, hash);

	pthread_mutex_lock(&shard->lock);
	struct flight *flight = find(shard, hash, &fresh->key);
	bool used = flight == NULL;
	if (used) {
		struct flight **chain = chain_of(shard, hash);
		flight = fresh;
		flight->hash = hash;
		flight->listed = true;
		flight->next = *chain;
		*chain = flight;
	}
	if (waiter != NULL)
		waiter_add(flight, waiter, hash);
	pthread_mutex_unlock(&shard->lock);

	if (used)
		atomic_fetch_add_explicit(&table->n, 1, memory_order_relaxed);
	return used;
}

bool flight_underway(struct flight_table *table, uint64_t hash,
		     const struct store_key *key)
{
	struct shard *shard = shard_of(table, hash);

	pthread_mutex_lock(&shard->lock);
	bool found = find(shard, hash, key) != NULL;
	pthread_mutex_unlock(&shard->lock);
	return found;
}

bool flight_join_existing(struct flight_table *table, uint64_t hash,
			  const struct store_key *key,
			  struct flight_waiter *waiter)
{
	struct shard *shard = shard_of(table, hash);

	pthread_mutex_lock(&shard->lock);
	struct flight *flight = find(shard, hash, key);
	if (flight != NULL)
		waiter_add(flight, waiter, hash);
	pthread_mutex_unlock(&shard->lock);
	return flight != NULL;
}

bool flight_leave(struct flight_table *table, struct flight_waiter *waiter)
{
	struct shard *shard = shard_of(table, waiter->hash);

	pthread_mutex_lock(&shard->lock);
	struct flight *flight = waiter->flight;
	if (flight != NULL)
		waiter_remove(flight, waiter);
	pthread_mutex_unlock(&shard->lock);
	return flight != NULL;
}

/* The shard is locked. */
static struct flight_waiter *waiters_take(struct flight *flight)
{
	struct flight_waiter *waiters = flight->waiters;

	flight->waiters = NULL;
	for (struct flight_waiter *w = waiters; w != NULL; w = w->next)
		w->flight = NULL;
	return waiters;
}

struct flight_waiter *flight_release(struct flight_table *table,
				     struct flight *flight)
{
	struct shard *shard = shard_of(table, flight->hash);

	pthread_mutex_lock(&shard->lock);
	struct flight_waiter *waiters = waiters_take(flight);
	pthread_mutex_unlock(&shard->lock);
	return waiters;
}

struct flight_waiter *flight_land(struct flight_table *table,
				  struct flight *flight)
{
	struct shard *shard = shard_of(table, flight->hash);

	pthread_mutex_lock(&shard->lock);
	if (flight->listed)
		unlist(shard, flight);
	struct flight_waiter *waiters = waiters_take(flight);
	pthread_mutex_unlock(&shard->lock);

	atomic_fetch_sub_explicit(&table->n, 1, memory_order_relaxed);
	return waiters;
}

static bool touched(const struct store_key *key, uint64_t zone,
		    const uint8_t *name, size_t n, bool below)
{
	if (key->zone != zone)
		return false;
	if (name == NULL)
		return true;
	if (below)
		return wire_below(key->name, key->n, name, n);
	return key->n == n && memcmp(key->name, name, n) == 0;
}

static size_t chain_detach(struct flight **at, uint64_t zone,
			   const uint8_t *name, size_t n, bool below)
{
	size_t detached = 0;

	while (*at != NULL) {
		struct flight *f = *at;
		if (!touched(&f->key, zone, name, n, below)) {
			at = &f->next;
			continue;
		}
		*at = f->next;
		f->next = NULL;
		f->listed = false;
		detached++;
	}
	return detached;
}

size_t flight_detach(struct flight_table *table, uint64_t zone,
		     const uint8_t *name, size_t n, bool below)
{
	size_t detached = 0;

	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *shard = &table->shard[i];
		pthread_mutex_lock(&shard->lock);
		for (size_t c = 0; c < CHAINS; c++)
			detached += chain_detach(&shard->chain[c], zone, name,
						 n, below);
		pthread_mutex_unlock(&shard->lock);
	}
	return detached;
}

size_t flight_count(const struct flight_table *table)
{
	return atomic_load_explicit(&table->n, memory_order_relaxed);
}
