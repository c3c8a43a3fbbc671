/* SPDX-License-Identifier: MPL-2.0 */
/* What becomes of a store whose limit falls. */
#include "cacheproxy/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/rcu.h"

#define MIB (UINT64_C(1) << 20)

static struct store *store;

static struct store_key key_of(uint64_t zone, uint32_t i)
{
	struct store_key key = { .zone = zone, .qtype = 1, .n = 14 };

	key.name[0] = 4;
	memcpy(key.name + 1, &i, sizeof(i));
	memcpy(key.name + 5, "\7example", 9);
	return key;
}

static void put(uint64_t zone, uint32_t i, size_t extra)
{
	struct store_key key = key_of(zone, i);
	struct store_entry *e = store_entry_new(&key, store_hash(store, &key),
						0, key.n + extra);

	assert_non_null(e);
	e->kind = STORE_POSITIVE;
	e->ttl_s = 300;
	store_put(store, e);
	store_unref(e);
}

static bool is_there(uint64_t zone, uint32_t i)
{
	struct store_key key = key_of(zone, i);

	return store_find(store, &key, store_hash(store, &key)) != NULL;
}

static struct store_stats stats(void)
{
	struct store_stats s;

	store_stats_read(store, &s);
	return s;
}

static void shrink(void)
{
	while (!store_shrink(store, 64))
		;
}

/* What hangs in the table is what is counted. */
static void check_table(void)
{
	uint64_t n = 0;

	for (size_t i = 0; i < store_buckets(store); i++)
		for (const struct store_entry *e = store_bucket(store, i);
		     e != NULL; e = store_bucket_next(e))
			n++;
	assert_int_equal(n, stats().entries);
}

/* A limit that falls a long way, in a store of small answers of two zones. */
static int setup(void **state)
{
	uint32_t *n = *state;

	assert_int_equal(store_new(64 * MIB, 1, &store), 0);
	for (uint32_t i = 0; i < *n; i++)
		put(i % 2, i, 500);
	return store_limit_set(store, 8 * MIB);
}

static int teardown(void **state)
{
	struct store_entry *list = store_retired(store);

	(void)state;
	rcu_wait();
	(void)store_retired_free(list, SIZE_MAX);
	store_free(store);
	return 0;
}

/* No put pays for all that is over. */
static void puts_evict_little_at_a_time(void **state)
{
	uint64_t was = stats().evicted, bytes;

	(void)state;
	assert_int_equal(stats().buckets, 131072);
	for (uint32_t i = 0; i < 50; i++) {
		put(1, 70000 + i, 500);
		assert_in_range(stats().evicted - was, 1, 64);
		was = stats().evicted;
	}
	/* what is big takes as much room as it needs: what is over gets less */
	bytes = stats().bytes;
	for (uint32_t i = 0; i < 5; i++) {
		put(1, 80000 + i, 500000);
		assert_true(stats().bytes <= bytes);
		bytes = stats().bytes;
	}
	shrink();
	assert_in_range(stats().bytes, 7 * MIB, 8 * MIB);
	assert_int_equal(stats().buckets, 32768);
	check_table();
}

/* Everything is found while the table gets smaller, and nothing too much goes.
 */
static void all_is_there_meanwhile(void **state)
{
	uint32_t n = *(uint32_t *)*state;

	for (bool done = false; !done; n++) {
		put(n % 2, n, 500);
		for (uint32_t i = n % 100; i <= n; i += 100)
			assert_true(is_there(i % 2, i));
		if (n == 9100) /* back: a halving that was begun ends */
			store_limit_set(store, 64 * MIB);
		if (n == 9200)
			store_limit_set(store, 16 * MIB);
		done = store_shrink(store, 499) && n > 9300;
	}
	assert_int_equal(stats().buckets, 65536);
	assert_int_equal(stats().entries, n);
	assert_int_equal(stats().evicted, 0);
	check_table();
}

static bool is_first_zone(void *arg, const struct store_entry *e)
{
	(void)arg;
	return e->zone == 1;
}

/* Chains move while a walk is under way: it misses none. */
static void walks_miss_nothing(void **state)
{
	uint32_t n = *(uint32_t *)*state;

	for (size_t pace = 1; pace < 4000; pace = 3 * pace + 1) {
		struct store_walk walk = { 0 };
		while (!store_walk(store, &walk, 600, is_first_zone, NULL))
			(void)store_shrink(store, pace);
		assert_int_equal(walk.withdrawn, n / 2);
		shrink();
		assert_int_equal(store_purge_zone(store, 1), 0);
		assert_int_equal(store_purge_zone(store, 0), n / 2);
		teardown(state);
		setup(state);
	}
}

#define TEST(f, n)                                                             \
	cmocka_unit_test_prestate_setup_teardown(f, setup, teardown,           \
						 &(uint32_t){ n })

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(puts_evict_little_at_a_time, 60000),
		TEST(all_is_there_meanwhile, 9000),
		TEST(walks_miss_nothing, 6000),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
