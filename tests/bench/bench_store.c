/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a look-up costs, in nanoseconds, on this machine now: one line a case.
 * For developers; the figures that count are instructions, measured elsewhere.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cacheproxy/store.h"
#include "cacheproxy/zonemap.h"
#include "common/rcu.h"

#define SEED	UINT64_C(0x9e3779b97f4a7c15)
#define LOOKUPS 2000000u
#define PUTS	200000u
#define ZONES	10000u

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void report(const char *what, uint64_t since_ns, uint32_t n)
{
	printf("%-34s %7.1f ns\n", what, (double)(now_ns() - since_ns) / n);
}

/* Key of "hNNNNNNN.example.com." */
static struct store_key key_of(uint32_t i)
{
	struct store_key key = { .zone = 1, .qtype = 1, .n = 22 };

	memcpy(key.name, "\10hNNNNNNN\7example\3com", 22);
	for (unsigned int d = 8; d > 1; d--, i /= 10)
		key.name[d] = (uint8_t)('0' + i % 10);
	return key;
}

static void put(struct store *store, uint32_t i)
{
	struct store_key key = key_of(i);
	struct store_entry *e =
		store_entry_new(&key, store_hash(store, &key), 0, 222);

	if (e == NULL)
		abort();
	e->ttl_s = 300;
	store_put(store, e);
	store_unref(e);
}

/* Looks for names 'from'..'from' + 'n' in an order that jumps about. */
static void look(struct store *store, const char *what, uint32_t from,
		 uint32_t n)
{
	uint32_t found = 0;
	uint64_t since_ns = now_ns();

	for (uint32_t i = 0; i < LOOKUPS; i++) {
		uint32_t name = (uint32_t)((uint64_t)i * 2654435761u % n);
		struct store_key key = key_of(from + name);
		uint64_t hash = store_hash(store, &key);
		rcu_enter();
		found += store_find(store, &key, hash) != NULL;
		rcu_leave();
	}
	report(what, since_ns, LOOKUPS);
	if (found != 0 && found != LOOKUPS)
		abort();
}

static void bench_store(void)
{
	struct store *store;

	if (store_new(UINT64_C(256) << 20, SEED, &store) != 0)
		abort();
	for (uint32_t i = 0; i < 100000; i++)
		put(store, i);
	look(store, "store: hit, 100 names", 0, 100);
	look(store, "store: hit, 100,000 names", 0, 100000);
	look(store, "store: miss", 200000, 100000);
	store_limit_set(store, UINT64_C(32) << 20);
	while (!store_shrink(store, 64))
		;
	uint64_t since_ns = now_ns();
	for (uint32_t i = 0; i < PUTS; i++) {
		put(store, 300000 + i);
		if (i % 64 == 0)
			(void)store_retired_free(store_retired(store),
						 SIZE_MAX);
	}
	report("store: put and evict", since_ns, PUTS);
	since_ns = now_ns();
	size_t n = store_purge_zone(store, 1);
	report("store: purge of all, an entry", since_ns, (uint32_t)n);
	store_free(store);
}

/* "zNNNNNNN.com." */
static struct dname zone_of(uint32_t i)
{
	struct dname name = { .n = 14, .labels = 2 };

	memcpy(name.wire, "\10zNNNNNNN\3com", 14);
	for (unsigned int d = 8; d > 1; d--, i /= 10)
		name.wire[d] = (uint8_t)('0' + i % 10);
	return name;
}

static void bench_zonemap(uint32_t n)
{
	static struct dname zone[ZONES];
	static const struct dname *zones[ZONES];
	static void *values[ZONES];
	struct zonemap *map;
	size_t clash;
	char what[64];

	for (uint32_t i = 0; i < n; i++) {
		zone[i] = zone_of(i);
		zones[i] = &zone[i];
		values[i] = &zone[i];
	}
	if (zonemap_new(zones, values, n, SEED, &map, &clash) != 0)
		abort();
	for (unsigned int ours = 0; ours < 2; ours++) {
		uint8_t name[18] = "\3www";
		unsigned int labels;
		uint64_t since_ns = now_ns();
		for (uint32_t i = 0; i < LOOKUPS; i++) {
			struct dname z = zone_of(i % n + (ours ? 0 : n));
			memcpy(name + 4, z.wire, 14);
			void *v = zonemap_find(map, name, 18, &labels);
			if ((v != NULL) != (ours == 1))
				abort();
		}
		snprintf(what, sizeof(what), "zonemap: %s, %" PRIu32 " zones",
			 ours ? "ours" : "bystander", n);
		report(what, since_ns, LOOKUPS);
	}
	zonemap_free(map);
}

int main(void)
{
	bench_store();
	bench_zonemap(1);
	bench_zonemap(100);
	bench_zonemap(ZONES);
	return 0;
}
