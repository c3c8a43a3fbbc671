/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/store.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/rcu.h"

#define MIB  (UINT64_C(1) << 20)
#define SEED UINT64_C(0x1122334455667788)

static struct store *store;

static int setup(void **state)
{
	(void)state;
	return store_new(MIB, SEED, &store);
}

static void reclaim(void)
{
	struct store_entry *list = store_retired(store);

	if (list == NULL)
		return;
	rcu_wait();
	(void)store_retired_free(list, SIZE_MAX);
}

static int teardown(void **state)
{
	(void)state;
	reclaim();
	store_free(store);
	store = NULL;
	return 0;
}

/* Key of "NAME.example." where NAME is eight digits of 'i'. */
static struct store_key key_of(uint64_t zone, uint32_t i, uint16_t qtype)
{
	struct store_key key = { .zone = zone, .qtype = qtype };

	key.name[0] = 8;
	for (unsigned int d = 0; d < 8; d++, i /= 10)
		key.name[8 - d] = (uint8_t)('0' + i % 10);
	memcpy(key.name + 9, "\7example", 9);
	key.n = 18;
	return key;
}

static struct store_entry *make(const struct store_key *key, size_t extra,
				enum store_kind kind)
{
	uint64_t hash = store_hash(store, key);
	struct store_entry *e = store_entry_new(key, hash, 0, key->n + extra);

	assert_non_null(e);
	e->kind = (uint8_t)kind;
	e->ttl_s = 300;
	return e;
}

static void put_kind(const struct store_key *key, size_t extra,
		     enum store_kind kind)
{
	struct store_entry *e = make(key, extra, kind);

	store_put(store, e);
	store_unref(e);
}

static void put(const struct store_key *key)
{
	put_kind(key, 500, STORE_POSITIVE);
}

static struct store_entry *find(const struct store_key *key)
{
	return store_find(store, key, store_hash(store, key));
}

static struct store_stats stats(void)
{
	struct store_stats s;

	store_stats_read(store, &s);
	return s;
}

static void checks_limits(void **state)
{
	struct store *other = NULL;

	(void)state;
	assert_int_equal(store_new(MIB - 1, 0, &other), -EINVAL);
	assert_int_equal(store_new((MIB << 20) + 1, 0, &other), -EINVAL);
	assert_null(other);
	assert_int_equal(store_limit_set(store, 0), -EINVAL);
	assert_int_equal(stats().limit_bytes, MIB);
	store_free(NULL);

	struct store_key key = key_of(1, 1, 1);
	assert_null(store_entry_new(&key, 0, 0, STORE_EXTRA_MAX + 1));
}

static void finds_what_was_put(void **state)
{
	struct store_key a = key_of(1, 7, 1);
	struct store_key aaaa = key_of(1, 7, 28);
	struct store_key other = key_of(2, 7, 1);

	(void)state;
	assert_null(find(&a));
	put(&a);
	struct store_entry *e = find(&a);
	assert_non_null(e);
	assert_int_equal(e->qtype, 1);
	assert_int_equal(e->name_n, 18);
	assert_memory_equal(store_name(e), a.name, 18);
	assert_null(find(&aaaa));
	assert_null(find(&other));
	put(&aaaa);
	put(&other);
	assert_ptr_equal(find(&a), e);
	assert_int_equal(find(&aaaa)->qtype, 28);
	assert_int_equal(find(&other)->zone, 2);
	assert_int_equal(stats().entries, 3);
}

static void one_name_one_bucket(void **state)
{
	struct store_key a = key_of(1, 7, 1);
	struct store_key any = key_of(1, 7, 65535);

	(void)state;
	uint64_t x = store_hash(store, &a) ^ store_hash(store, &any);
	assert_int_equal(x & 0xffffffffffff, 0);
	assert_int_not_equal(x, 0);
}

static void fresh_and_stale(void **state)
{
	struct store_entry e = { .stored_s = 100, .ttl_s = 10, .stale_s = 5 };

	(void)state;
	assert_true(store_fresh(&e, 109));
	assert_false(store_fresh(&e, 110));
	assert_true(store_usable_stale(&e, 114));
	assert_false(store_usable_stale(&e, 115));
	e.ttl_s = e.stale_s = UINT32_MAX; /* no overflow */
	assert_true(store_usable_stale(&e, 99));
}

static void replaces(void **state)
{
	struct store_key key = key_of(1, 7, 1);

	(void)state;
	put_kind(&key, 100, STORE_POSITIVE);
	struct store_entry *old = find(&key);
	find(&key);
	store_ref(old);
	put_kind(&key, 1000, STORE_POSITIVE);
	struct store_entry *e = find(&key);
	assert_ptr_not_equal(e, old);
	assert_int_equal(e->hits, 3); /* two carried over, and this one */
	assert_int_equal(stats().entries, 1);
	assert_int_equal(stats().replaced, 1);
	reclaim();
	assert_memory_equal(store_name(old), key.name, key.n); /* still ours */
	store_unref(old);
}

#define CENSUS_MIN (64u * sizeof(struct census_place)) /* of a few zones */

/* Walks everything by find(): the sum of what is there. */
static uint64_t sum_bytes(uint32_t n)
{
	uint64_t sum = stats().buckets * sizeof(void *) + CENSUS_MIN;

	for (uint32_t i = 0; i < n; i++) {
		struct store_key key = key_of(1, i, 1);
		struct store_entry *e = find(&key);
		sum += e != NULL ? e->size_units * 16u : 0;
	}
	return sum;
}

static void counts_octets_and_stays_below(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 5000; i++) {
		struct store_key key = key_of(1, i % 3000, 1);
		put_kind(&key, i * 7 % 3001, STORE_POSITIVE);
		assert_true(stats().bytes <= MIB);
		if (i % 500 == 0)
			assert_int_equal(sum_bytes(3000), stats().bytes);
	}
	assert_int_equal(sum_bytes(3000), stats().bytes);
	assert_true(stats().bytes > MIB * 9 / 10);
	struct store_stats s = stats();
	assert_int_equal(s.put, 5000);
	assert_int_equal(s.put - s.replaced - s.evicted, s.entries);
	assert_int_equal(store_purge_zone(store, 1), s.entries);
	assert_int_equal(stats().entries, 0);
	assert_int_equal(stats().bytes, s.buckets * sizeof(void *));
}

static void one_too_big(void **state)
{
	struct store_key a = key_of(1, 1, 1);
	struct store_key b = key_of(1, 2, 1);

	(void)state;
	put(&a);
	put_kind(&b, STORE_EXTRA_MAX - b.n, STORE_POSITIVE);
	assert_null(find(&b));
	assert_true(stats().bytes <= MIB);
}

static void shrink(void)
{
	while (!store_shrink(store, 64))
		;
}

static void limit_shrinks_and_grows(void **state)
{
	struct store *big = NULL;
	struct store *small = store;

	(void)state;
	assert_int_equal(store_new(256 * MIB, SEED, &big), 0);
	store = big;
	assert_int_equal(stats().buckets, 512 * 1024);
	for (uint32_t i = 0; i < 20000; i++) {
		struct store_key key = key_of(1, i, 1);
		put(&key);
	}
	assert_int_equal(store_limit_set(store, 64 * MIB), 0);
	shrink();
	assert_int_equal(stats().buckets, 256 * 1024);
	assert_int_equal(stats().entries, 20000);
	assert_int_equal(sum_bytes(20000), stats().bytes);

	assert_int_equal(store_limit_set(store, MIB), 0);
	shrink();
	assert_int_equal(stats().buckets, 4096);
	assert_int_equal(sum_bytes(20000), stats().bytes);
	struct store_key key = key_of(1, 20000, 1);
	put(&key);
	assert_true(stats().bytes <= MIB);
	assert_true(stats().bytes > MIB * 9 / 10);
	assert_int_equal(sum_bytes(20001), stats().bytes);

	assert_int_equal(store_limit_set(store, 2 * MIB), 0);
	for (uint32_t i = 0; i < 5000; i++) {
		key = key_of(1, i, 1);
		put(&key);
	}
	assert_true(stats().bytes > 2 * MIB * 9 / 10);
	assert_int_equal(stats().buckets, 4096);
	uint64_t left = stats().entries;
	assert_int_equal(store_sweep(store, 4096, 1000), left);
	assert_int_equal(stats().entries, 0);
	reclaim();
	store_free(big);
	store = small;
}

/* Bits from a fixed sequence (xorshift). */
static uint32_t bits(void)
{
	static uint32_t x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

static bool ask(const struct store_key *key, enum store_kind kind)
{
	if (find(key) != NULL)
		return true;
	put_kind(key, 500, kind);
	reclaim();
	return false;
}

/* 1/rank: one of 'n', the first most often. */
static uint32_t zipf(uint32_t n)
{
	uint32_t i = bits() % n;

	for (unsigned int d = 0; d < 3; d++)
		i = bits() % (i + 1);
	return i;
}

static void popular_ones_survive_a_flood(void **state)
{
	unsigned int hits = 0;
	unsigned int asked = 0;

	(void)state;
	/* About a thousand entries fit; 300 names are popular. */
	for (uint32_t i = 0; i < 20000; i++) {
		struct store_key key = key_of(1, zipf(300), 1);
		ask(&key, STORE_POSITIVE);
	}
	/* Ten times the room of once-asked names; now and then a good one. */
	for (uint32_t i = 0; i < 12000; i++) {
		struct store_key once = key_of(1, 1000000 + i, 1);
		struct store_key good = key_of(1, zipf(300), 1);
		ask(&once, STORE_POSITIVE);
		if (i % 10 != 0)
			continue;
		asked++;
		hits += ask(&good, STORE_POSITIVE);
	}
	assert_true(hits * 100 > asked * 97);
	/* None of the first hundred went. */
	for (uint32_t i = 0; i < 100; i++) {
		struct store_key good = key_of(1, i, 1);
		assert_non_null(find(&good));
	}
}

/* Asks for a 'kind' 'again' times, then floods; true if it is still there. */
static bool survives(uint32_t i, enum store_kind kind, unsigned int again)
{
	struct store_key key = key_of(1, i, 1);

	ask(&key, kind);
	while (again-- > 0)
		ask(&key, kind);
	for (uint32_t flood = 0; flood < 2000; flood++) {
		struct store_key once = key_of(9, flood, (uint16_t)i);
		ask(&once, STORE_POSITIVE);
	}
	return find(&key) != NULL;
}

static void negatives_must_be_asked_twice(void **state)
{
	(void)state;
	assert_false(survives(1, STORE_POSITIVE, 0));
	assert_true(survives(2, STORE_POSITIVE, 1));
	assert_true(survives(3, STORE_REFERRAL, 1));
	assert_false(survives(4, STORE_NXDOMAIN, 1));
	assert_false(survives(5, STORE_NODATA, 1));
	assert_false(survives(6, STORE_FAILURE, 1));
	assert_true(survives(7, STORE_NXDOMAIN, 2));
}

static void main_is_evicted_too(void **state)
{
	(void)state;
	/* All is asked for: main alone takes the room, and must give. */
	for (uint32_t i = 0; i < 10000; i++) {
		struct store_key key = key_of(1, i, 1);
		for (unsigned int n = 0; n < 5; n++)
			ask(&key, STORE_POSITIVE);
		assert_true(stats().bytes <= MIB);
	}
	assert_true(stats().bytes > MIB * 9 / 10);
}

static void many_types_of_one_name(void **state)
{
	struct store_key a = key_of(1, 7, 1);

	(void)state;
	put(&a);
	find(&a);
	for (uint32_t type = 2; type < 65536; type++) {
		struct store_key key = key_of(1, 7, (uint16_t)type);
		put(&key);
		if (type % 64 == 0)
			reclaim();
	}
	assert_int_equal(stats().entries, STORE_TYPES_MAX);
	assert_non_null(find(&a)); /* asked for, so not the one to go */
	struct store_key last = key_of(1, 7, 65535);
	assert_non_null(find(&last));
	assert_int_equal(store_purge_name(store, 1, a.name, a.n),
			 STORE_TYPES_MAX);
	assert_int_equal(stats().entries, 0);
}

static void purges(void **state)
{
	struct store_key top = { .zone = 1, .qtype = 6, .n = 9 };

	(void)state;
	memcpy(top.name, "\7example", 9);
	put(&top);
	for (uint32_t i = 0; i < 100; i++) {
		struct store_key key = key_of(1 + i % 2, i / 2, 1);
		put(&key);
		key.qtype = 28;
		put(&key);
	}
	struct store_key key = key_of(1, 3, 1);
	assert_int_equal(store_purge_name(store, 1, key.name, key.n), 2);
	assert_null(find(&key));
	assert_int_equal(store_purge_name(store, 1, key.name, key.n), 0);
	key.zone = 2;
	assert_non_null(find(&key));
	assert_int_equal(store_purge_name(store, 1, top.name, top.n), 1);
	put(&top);
	assert_int_equal(store_purge_below(store, 1, top.name, top.n), 99);
	assert_int_equal(stats().entries, 100);
	assert_int_equal(store_purge_below(store, 2, key.name, key.n), 2);
	assert_int_equal(store_purge_zone(store, 3), 0);
	assert_int_equal(store_purge_zone(store, 2), 98);
	assert_int_equal(stats().entries, 0);
	assert_int_equal(stats().purged, 202);
}

static void sweeps(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		struct store_key key = key_of(1, i, 1);
		struct store_entry *e = make(&key, 10, STORE_POSITIVE);
		e->stored_s = 1000;
		e->ttl_s = i < 50 ? 10 : 100;
		e->stale_s = i < 25 ? 0 : 20;
		store_put(store, e);
		store_unref(e);
	}
	size_t all = stats().buckets;
	assert_int_equal(store_sweep(store, all, 1009), 0);
	assert_int_equal(store_sweep(store, all, 1010), 25);
	assert_int_equal(store_sweep(store, all, 1029), 0);
	size_t n = 0;
	for (size_t i = 0; i < all; i += 16) /* in small steps */
		n += store_sweep(store, 16, 1030);
	assert_int_equal(n, 25);
	assert_int_equal(stats().entries, 50);
	assert_int_equal(stats().swept, 50);
}

/* -- figures of zones ---------------------------------------------------- */

#define ZONES 300u

/* Every figure is what a look at all entries finds. */
static void check_census(void)
{
	static struct census_sum want[ZONES + 1];

	memset(want, 0, sizeof(want));
	for (size_t i = 0; i < store_buckets(store); i++) {
		const struct store_entry *e = store_bucket(store, i);
		for (; e != NULL; e = store_bucket_next(e)) {
			want[e->zone].entries++;
			want[e->zone].bytes += store_bytes(e);
			want[e->zone].negative += e->kind == STORE_NODATA ||
						  e->kind == STORE_NXDOMAIN;
		}
	}
	for (uint64_t zone = 0; zone <= ZONES; zone++) {
		struct census_sum is = store_zone(store, zone);
		assert_int_equal(is.entries, want[zone].entries);
		assert_int_equal(is.bytes, want[zone].bytes);
		assert_int_equal(is.negative, want[zone].negative);
	}
}

static bool of_third(void *arg, const struct store_entry *e)
{
	(void)arg;
	return e->hash % 3 == 0;
}

static void restore(const struct store_key *key, enum store_kind kind)
{
	struct store_entry *e = make(key, 100, kind);

	store_restore(store, e);
	store_unref(e);
}

/* Step 'i' of what may happen; 'x' is random. */
static void step(uint32_t i, uint32_t x)
{
	struct store_key key =
		key_of(x % ZONES, x / ZONES % 7, (uint16_t)x % 3);
	struct store_walk walk = { 0 };

	if (i % 500 == 499)
		(void)store_purge_zone(store, key.zone);
	else if (i % 1500 == 1498)
		while (!store_walk(store, &walk, 64, of_third, NULL))
			;
	else if (i % 1500 == 1497)
		(void)store_sweep(store, 64, 400);
	else if (i % 40 == 39)
		(void)store_purge_name(store, key.zone, key.name, key.n);
	else if (i % 40 == 38)
		(void)store_purge_type(store, &key);
	else if (i % 4 == 3)
		restore(&key, x >> 20 & 3);
	else
		put_kind(&key, (x >> 24) * 4, x >> 20 & 3);
}

static void knows_what_each_zone_has(void **state)
{
	uint32_t x = 1;

	(void)state;
	assert_int_equal(store_limit_set(store, 4 * MIB), 0);
	for (uint32_t i = 0; i < 12000; i++) {
		x = x * 1664525u + 1013904223u;
		step(i, x ^ x >> 15);
		if (i == 6000) /* from here on there are evictions */
			assert_int_equal(store_limit_set(store, MIB), 0);
		(void)store_shrink(store, 4);
		if (i % 100 == 0)
			check_census();
		reclaim();
	}
	assert_true(stats().evicted > 100);
	assert_true(stats().replaced > 100);
	check_census();
	for (uint64_t zone = 0; zone < ZONES; zone++)
		(void)store_purge_zone(store, zone);
	check_census();
	assert_int_equal(stats().bytes, stats().buckets * sizeof(void *));
}

static void figures_of_one_zone(void **state)
{
	struct store_key a = key_of(7, 1, 1);
	struct store_key b = key_of(7, 2, 1);
	struct store_key c = key_of(8, 2, 1);

	(void)state;
	assert_int_equal(store_zone(store, 7).entries, 0);
	put_kind(&a, 100, STORE_NXDOMAIN);
	put_kind(&b, 100, STORE_NODATA);
	put_kind(&c, 100, STORE_FAILURE);
	struct census_sum is = store_zone(store, 7);
	assert_int_equal(is.entries, 2);
	assert_int_equal(is.negative, 2);
	assert_int_equal(is.bytes,
			 store_bytes(find(&a)) + store_bytes(find(&b)));
	put_kind(&a, 1000, STORE_POSITIVE); /* it is there now */
	is = store_zone(store, 7);
	assert_int_equal(is.entries, 2);
	assert_int_equal(is.negative, 1);
	assert_int_equal(is.bytes,
			 store_bytes(find(&a)) + store_bytes(find(&b)));
	assert_int_equal(store_zone(store, 8).entries, 1);
	assert_int_equal(store_zone(store, 8).negative, 0);
	restore(&a, STORE_NXDOMAIN); /* older than what is there */
	assert_int_equal(store_zone(store, 7).negative, 1);
	assert_int_equal(store_zone(store, 9).entries, 0);
}

/* A place for each identity that has something, and for no other. */
static void many_identities(void **state)
{
	struct census census = { 0 };

	(void)state;
	for (uint64_t zone = 1; zone <= 100000; zone++) {
		census_add(&census, zone, 128, false);
		if (zone > 50)
			census_take(&census, zone - 50, 128, false);
	}
	assert_int_equal(census.used, 50);
	assert_true(census_bytes(&census) <= 8192);
	for (uint64_t zone = 99951; zone <= 100000; zone++) {
		assert_int_equal(census_of(&census, zone).entries, 1);
		census_take(&census, zone, 128, false);
	}
	assert_int_equal(census_bytes(&census), 0);
	census_take(&census, 1, 128, true); /* of one not counted */
	assert_int_equal(census_of(&census, 1).entries, 0);
	census_fini(&census);
}

/* -- many threads ------------------------------------------------------- */

#define READERS 3u
#define NAMES	400u
#define ROUNDS	6000u

static _Atomic bool done;
static _Atomic bool may_miss;

/* Each octet of the body says what the first does: one put's work. */
static void check_entry(const struct store_entry *e)
{
	const uint8_t *body = e->octets + e->name_n;

	for (size_t i = 1; i < 64; i++)
		if (body[i] != body[0])
			abort();
}

static void *reader(void *arg)
{
	struct store_entry *held = NULL;
	uint32_t x = *(uint32_t *)arg;

	while (!atomic_load(&done)) {
		x = x * 1664525u + 1013904223u;
		struct store_key key = key_of(1, (x >> 8) % NAMES, 1);
		rcu_enter();
		struct store_entry *e = find(&key);
		if (e != NULL) {
			check_entry(e);
		} else if ((x >> 8) % NAMES == 0 && !atomic_load(&may_miss)) {
			abort(); /* it is replaced only, never away */
		}
		if (e != NULL && x % 7 == 0 && held == NULL) {
			store_ref(e);
			held = e;
		}
		rcu_leave();
		if (held != NULL && x % 11 == 0) {
			check_entry(held);
			store_unref(held);
			held = NULL;
		}
	}
	if (held != NULL)
		store_unref(held);
	return NULL;
}

static void write_once(uint32_t i)
{
	uint32_t name = i % 5 == 0 ? 0 : 1 + bits() % (NAMES - 1);
	struct store_key key = key_of(1, name, 1);

	if (name != 0 && i % 3 == 0) {
		store_purge_name(store, 1, key.name, key.n);
	} else {
		struct store_entry *e = make(&key, 64, STORE_POSITIVE);
		memset(e->octets + e->name_n, (int)i, 64);
		store_put(store, e);
		store_unref(e);
	}
	if (i % 32 == 0)
		reclaim();
}

static void run_threads(uint64_t halve_every)
{
	pthread_t thread[READERS];
	uint32_t seed[READERS];

	atomic_store(&done, false);
	atomic_store(&may_miss, halve_every <= ROUNDS);
	write_once(0);
	for (uint32_t i = 0; i < READERS; i++) {
		seed[i] = i + 1;
		assert_int_equal(
			pthread_create(&thread[i], NULL, reader, &seed[i]), 0);
	}
	for (uint32_t i = 0; i < ROUNDS; i++) {
		write_once(i);
		if ((i + 1) % halve_every == 0)
			store_limit_set(store, stats().limit_bytes / 2);
		(void)store_shrink(store, 64);
	}
	atomic_store(&done, true);
	for (uint32_t i = 0; i < READERS; i++)
		pthread_join(thread[i], NULL);
}

static void readers_and_a_writer(void **state)
{
	(void)state;
	run_threads(UINT64_MAX);
}

static void readers_while_the_table_shrinks(void **state)
{
	struct store *small = store;

	(void)state;
	assert_int_equal(store_new(32 * MIB, SEED, &store), 0);
	run_threads(ROUNDS / 6);
	assert_int_equal(stats().buckets, 4096);
	reclaim();
	store_free(store);
	store = small;
}

static bool is_even(void *arg, const struct store_entry *e)
{
	(*(unsigned int *)arg)++;
	return (store_name(e)[8] - '0') % 2 == 0;
}

static void walks_in_slices(void **state)
{
	struct store_walk walk = { 0 };
	unsigned int seen = 0;
	unsigned int slices = 1;

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		struct store_key key = key_of(1, i, 1);
		put(&key);
	}
	while (!store_walk(store, &walk, 100, is_even, &seen))
		slices++;
	assert_int_equal(slices, (stats().buckets + 99) / 100);
	assert_int_equal(seen, 100);
	assert_int_equal(walk.withdrawn, 50);
	assert_int_equal(stats().entries, 50);
	struct store_key odd = key_of(1, 7, 1);
	struct store_key other = key_of(1, 7, 28);
	assert_int_equal(store_purge_type(store, &other), 0);
	assert_int_equal(store_purge_type(store, &odd), 1);
	assert_null(find(&odd));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(checks_limits),
		TEST(finds_what_was_put),
		TEST(one_name_one_bucket),
		TEST(fresh_and_stale),
		TEST(replaces),
		TEST(counts_octets_and_stays_below),
		TEST(one_too_big),
		TEST(limit_shrinks_and_grows),
		TEST(popular_ones_survive_a_flood),
		TEST(negatives_must_be_asked_twice),
		TEST(main_is_evicted_too),
		TEST(many_types_of_one_name),
		TEST(purges),
		TEST(sweeps),
		TEST(walks_in_slices),
		TEST(figures_of_one_zone),
		TEST(knows_what_each_zone_has),
		TEST(many_identities),
		TEST(readers_and_a_writer),
		TEST(readers_while_the_table_shrinks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
