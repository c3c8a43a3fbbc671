/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/groups.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/config.h"

#define DAY_MS UINT64_C(86400000)
#define NOW    (100 * DAY_MS)

static struct gtm_groups *g;
static uint64_t state;

static uint64_t rnd(void)
{
	state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = state;
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static int setup(void **unused)
{
	(void)unused;
	state = 1;
	g = gtm_groups_new(10000, 4);
	assert_non_null(g);
	assert_int_equal(gtm_groups_column(g, "fra"), 0);
	assert_int_equal(gtm_groups_column(g, "iad"), 1);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	gtm_groups_drop(g);
	return 0;
}

static struct gtm_client v4(const char *text, uint8_t bits)
{
	struct gtm_client c = { .bits = bits };
	unsigned int a[4];

	assert_int_equal(
		sscanf(text, "%u.%u.%u.%u", &a[0], &a[1], &a[2], &a[3]), 4);
	for (int i = 0; i < 4; i++)
		c.address[i] = (uint8_t)a[i];
	return c;
}

static void put(const char *text, uint8_t bits, uint32_t column, float ms,
		uint64_t age_ms)
{
	const struct gtm_client c = v4(text, bits);

	assert_true(gtm_groups_put(g, &c, column, ms, NOW - age_ms, NOW));
}

static float get(const char *text, uint8_t bits, uint32_t column,
		 uint64_t max_age_ms, uint8_t *scope)
{
	const struct gtm_client c = v4(text, bits);
	struct gtm_group found;

	gtm_groups_find(g, &c, NOW, &found);
	if (scope != NULL)
		*scope = found.scope;
	return gtm_groups_ms(g, &found, column, NOW, max_age_ms);
}

static bool about(float a, float b)
{
	return a > b - 0.06f && a < b + 0.06f;
}

static void test_longest(void **unused)
{
	uint8_t scope;

	(void)unused;
	assert_true(get("192.0.2.1", 32, 0, DAY_MS, &scope) < 0);
	assert_int_equal(scope, 0);
	put("192.0.0.0", 16, 0, 30.0f, 0);
	put("192.0.2.0", 24, 0, 20.0f, 0);
	put("192.0.2.128", 30, 0, 10.04f, 0);
	put("0.0.0.0", 0, 1, 99.0f, 0);
	assert_true(about(get("192.0.2.1", 32, 0, DAY_MS, &scope), 20.0f));
	assert_int_equal(scope, 30);
	assert_true(about(get("192.0.2.129", 32, 0, DAY_MS, &scope), 10.0f));
	assert_int_equal(scope, 30);
	assert_true(about(get("192.0.9.1", 32, 0, DAY_MS, &scope), 30.0f));
	assert_int_equal(scope, 30);
	assert_true(get("192.0.9.1", 32, 1, DAY_MS, NULL) < 0);
	assert_true(about(get("198.51.100.1", 32, 1, DAY_MS, &scope), 99.0f));
	assert_int_equal(scope, 16);
	/* A client that is less than known: only what holds all of it */
	assert_true(about(get("192.0.2.0", 24, 0, DAY_MS, &scope), 20.0f));
	assert_int_equal(scope, 24);
	assert_true(about(get("192.0.2.0", 20, 0, DAY_MS, &scope), 30.0f));
	assert_true(about(get("192.0.0.0", 12, 1, DAY_MS, &scope), 99.0f));
	assert_int_equal(scope, 12);
	assert_int_equal(gtm_groups_count(g), 4);
}

static void test_values(void **unused)
{
	const struct gtm_client c = v4("192.0.2.0", 24);

	(void)unused;
	put("192.0.2.0", 24, 0, 12.34f, 3 * 60000);
	assert_true(about(get("192.0.2.9", 32, 0, 3 * 60000, NULL), 12.3f));
	assert_true(get("192.0.2.9", 32, 0, 60000, NULL) < 0);
	/* older than what is there */
	assert_false(gtm_groups_put(g, &c, 0, 1.0f, NOW - 5 * 60000, NOW));
	/* from the future, and too old for anything */
	assert_false(gtm_groups_put(g, &c, 0, 1.0f, NOW + 1, NOW));
	assert_false(gtm_groups_put(g, &c, 0, 1.0f, NOW - 31 * DAY_MS, NOW));
	assert_false(gtm_groups_put(g, &c, 4, 1.0f, NOW, NOW));
	put("192.0.2.0", 24, 0, -1.0f, 0);
	assert_true(get("192.0.2.9", 32, 0, DAY_MS, NULL) ==
		    GTM_LATENCY_FAR_MS);
	put("192.0.2.0", 24, 0, 1e9f, 0);
	assert_true(about(get("192.0.2.9", 32, 0, DAY_MS, NULL), 6553.4f));
	/* beyond the longest age, whatever is allowed */
	put("192.0.2.0", 24, 1, 5.0f, 29 * DAY_MS);
	assert_true(about(get("192.0.2.9", 32, 1, 60 * DAY_MS, NULL), 5.0f));
	struct gtm_group found;
	gtm_groups_find(g, &c, NOW + 2 * DAY_MS, &found);
	assert_true(gtm_groups_ms(g, &found, 1, NOW + 2 * DAY_MS, 60 * DAY_MS) <
		    0);
	gtm_groups_sweep(g, 1, NOW + 2 * DAY_MS);
	/* so that it is not new again when the cells' clock has turned */
	assert_true(gtm_groups_ms(g, &found, 1, NOW + 17 * DAY_MS,
				  60 * DAY_MS) < 0);
}

/* -- against a naive table, with random prefixes */

#define N 3000

struct naive {
	struct gtm_client prefix;
	float ms;
};

static bool holds(const struct gtm_client *prefix, const struct gtm_client *c)
{
	struct gtm_client cut = *c;

	if (prefix->v6 != c->v6 || prefix->bits > c->bits)
		return false;
	cut.bits = prefix->bits;
	if (cut.bits > 0)
		gtm_client_clear(&cut);
	else
		memset(cut.address, 0, 16);
	return memcmp(cut.address, prefix->address, 16) == 0;
}

static struct gtm_client any(bool v6, uint8_t bits)
{
	struct gtm_client c = { .v6 = v6, .bits = bits };

	/* few values of the first octets, so that prefixes nest */
	for (unsigned int i = 0; i < (v6 ? 16u : 4u); i++)
		c.address[i] =
			(uint8_t)(i < 2 || (v6 && i < 6) ? rnd() % 3
							 : rnd() % 9 * 31);
	gtm_client_clear(&c);
	if (bits == 0)
		memset(c.address, 0, 16);
	return c;
}

static float naive_find(const struct naive *all, size_t n,
			const struct gtm_client *c)
{
	const struct naive *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (holds(&all[i].prefix, c) &&
		    (best == NULL || all[i].prefix.bits >= best->prefix.bits))
			best = &all[i];
	return best != NULL ? best->ms : -1.0f;
}

static float found_ms(const struct gtm_client *c, uint8_t *scope)
{
	struct gtm_group found;

	gtm_groups_find(g, c, NOW, &found);
	*scope = found.scope;
	return gtm_groups_ms(g, &found, 0, NOW, DAY_MS);
}

static void test_naive(void **unused)
{
	static struct naive all[N];

	(void)unused;
	for (size_t i = 0; i < N; i++) {
		bool v6 = rnd() % 2;
		all[i].prefix = any(v6, (uint8_t)(rnd() % (v6 ? 129 : 33)));
		all[i].ms = (float)(i % 6000) + 0.5f;
		assert_true(gtm_groups_put(g, &all[i].prefix, 0, all[i].ms, NOW,
					   NOW));
	}
	for (size_t i = 0; i < 20000; i++) {
		bool v6 = rnd() % 2;
		uint8_t whole = v6 ? 128 : 32;
		struct gtm_client c =
			any(v6, (uint8_t)(rnd() % 3 == 0 ? 1 + rnd() % whole
							 : whole));
		uint8_t scope;
		float got = found_ms(&c, &scope);
		float want = naive_find(all, N, &c);
		assert_true(want < 0 ? got < 0 : about(got, want));
		assert_true(scope <= c.bits);
		if (c.bits != whole)
			continue;
		/* RFC 7871 7.2.1: all within the scope get the same */
		struct gtm_client other = any(v6, whole);
		for (unsigned int bit = 0; bit < scope; bit++) {
			unsigned int mask = 0x80u >> bit % 8;
			unsigned int to = other.address[bit / 8] & ~mask;
			other.address[bit / 8] =
				(uint8_t)(to | (c.address[bit / 8] & mask));
		}
		uint8_t same;
		float theirs = found_ms(&other, &same);
		assert_true(theirs == got);
		assert_int_equal(same, scope);
	}
}

/* -- when it is full */

static void test_full(void **unused)
{
	struct gtm_client c = { .bits = 24 };
	struct gtm_group found;
	size_t kept = 0;

	(void)unused;
	gtm_groups_drop(g);
	g = gtm_groups_new(1000, 1);
	for (uint32_t i = 0; i < 20000; i++) {
		uint64_t now_ms = NOW + i * UINT64_C(60000);
		c.address[0] = (uint8_t)(i >> 16);
		c.address[1] = (uint8_t)(i >> 8);
		c.address[2] = (uint8_t)i;
		assert_true(gtm_groups_put(g, &c, 0, 1.0f, now_ms, now_ms));
		/* the first hundred are asked for all the time */
		for (uint8_t k = 0; k < 100 && i % 5 == 0; k++) {
			struct gtm_client asked = { .bits = 32,
						    .address = { 0, 0, k, 1 } };
			gtm_groups_find(g, &asked, now_ms, &found);
		}
	}
	assert_int_equal(gtm_groups_count(g), 1000);
	for (uint8_t k = 0; k < 100; k++) {
		struct gtm_client asked = { .bits = 32,
					    .address = { 0, 0, k, 1 } };
		gtm_groups_find(g, &asked, NOW, &found);
		kept += found.row != GTM_NO_GROUP;
	}
	assert_true(kept >= 99);
}

/* Who found a group that has gone since reads nothing of the next one's. */
static void test_generation(void **unused)
{
	struct gtm_client a = v4("192.0.2.0", 24);
	struct gtm_client b = v4("198.51.100.0", 24);
	struct gtm_group found;

	(void)unused;
	gtm_groups_drop(g);
	g = gtm_groups_new(1, 1);
	assert_true(gtm_groups_put(g, &a, 0, 1.0f, NOW, NOW));
	gtm_groups_find(g, &a, NOW, &found);
	assert_true(about(gtm_groups_ms(g, &found, 0, NOW, DAY_MS), 1.0f));
	assert_true(gtm_groups_put(g, &b, 0, 2.0f, NOW, NOW));
	assert_true(gtm_groups_ms(g, &found, 0, NOW, DAY_MS) < 0);
	gtm_groups_find(g, &a, NOW, &found);
	assert_int_equal(found.row, GTM_NO_GROUP);
	gtm_groups_find(g, &b, NOW, &found);
	assert_true(about(gtm_groups_ms(g, &found, 0, NOW, DAY_MS), 2.0f));
}

static _Atomic bool over;

/* Each value tells whose it is: that of another group must not be seen. */
static void *reader(void *arg)
{
	uint64_t seen = 0;

	for (uint32_t i = (uint32_t)(uintptr_t)arg; !atomic_load(&over); i++) {
		struct gtm_client c = { .bits = 32,
					.address = { 10, 0, (uint8_t)i, 1 } };
		struct gtm_group found;
		gtm_groups_find(g, &c, NOW, &found);
		float ms = gtm_groups_ms(g, &found, 0, NOW, DAY_MS);
		if (ms >= 0 && !about(ms, (float)(uint8_t)i))
			return (void *)1;
		seen += ms >= 0;
	}
	return seen > 0 ? NULL : (void *)2;
}

static void test_readers(void **unused)
{
	pthread_t threads[2];

	(void)unused;
	gtm_groups_drop(g);
	g = gtm_groups_new(50, 1);
	atomic_store(&over, false);
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader,
						(void *)(i * 1000)),
				 0);
	for (uint32_t i = 0; i < 300000; i++) {
		uint8_t k = (uint8_t)(rnd() % 256);
		struct gtm_client c = { .bits = 24, .address = { 10, 0, k } };
		assert_true(gtm_groups_put(g, &c, 0, (float)k, NOW, NOW));
	}
	atomic_store(&over, true);
	for (int i = 0; i < 2; i++) {
		void *result;
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_null(result);
	}
}

static void test_wanted(void **unused)
{
	struct gtm_client taken[16];
	struct gtm_client c = v4("192.0.2.77", 32);
	struct gtm_client d = { .v6 = true,
				.bits = 128,
				.address = { 0x20, 1, 0xd, 0xb8, 1, 2, 3, 4,
					     5 } };

	(void)unused;
	for (int i = 0; i < 10; i++) {
		gtm_groups_want(g, &c);
		gtm_groups_want(g, &d);
	}
	assert_int_equal(gtm_groups_wanted(g, taken, 16), 2);
	for (int i = 0; i < 2; i++) {
		if (taken[i].v6) {
			assert_int_equal(taken[i].bits, 56);
			assert_memory_equal(taken[i].address, d.address, 7);
			assert_int_equal(taken[i].address[7], 0);
		} else {
			assert_int_equal(taken[i].bits, 24);
			assert_memory_equal(taken[i].address,
					    "\xc0\x00\x02\x00", 4);
		}
	}
	assert_int_equal(gtm_groups_wanted(g, taken, 16), 0);
	for (int i = 0; i < 100000; i++) {
		c.address[1] = (uint8_t)i;
		c.address[2] = (uint8_t)(i >> 8);
		gtm_groups_want(g, &c);
	}
	assert_int_equal(gtm_groups_wanted(g, taken, 16), 16);
}

/* -- saved and read */

static void test_saved(void **unused)
{
	static uint8_t room[1 << 20];
	size_t n = gtm_groups_save_head(g, room, sizeof(room));
	uint32_t at = 0;

	(void)unused;
	put("192.0.2.0", 24, 0, 12.3f, 3600000);
	put("192.0.2.0", 24, 1, -1.0f, 0);
	put("10.0.0.0", 8, 1, 7.0f, 0);
	const struct gtm_client six = { .v6 = true,
					.bits = 33,
					.address = { 0x20, 1, 0, 0, 0x80 } };
	assert_true(gtm_groups_put(g, &six, 0, 5.0f, NOW, NOW));
	n += gtm_groups_save(g, &at, room + n, sizeof(room) - n, NOW);
	assert_int_equal(
		gtm_groups_save(g, &at, room + n, sizeof(room) - n, NOW), 0);
	gtm_groups_drop(g);
	/* In another order, one of them gone; two hours later. */
	g = gtm_groups_new(100, 3);
	assert_int_equal(gtm_groups_column(g, "sin"), 0);
	assert_int_equal(gtm_groups_column(g, "fra"), 1);
	assert_int_equal(gtm_groups_load(g, room, n, 2 * 3600000, NOW), 0);
	assert_true(about(get("192.0.2.1", 32, 1, DAY_MS, NULL), 12.3f));
	assert_true(get("192.0.2.1", 32, 1, 2 * 3600000, NULL) < 0);
	assert_true(get("192.0.2.1", 32, 0, DAY_MS, NULL) < 0);
	assert_int_equal(gtm_groups_count(g), 2);
	for (size_t cut = 1; cut < n; cut++)
		(void)gtm_groups_load(g, room, n - cut, 0, NOW);
	assert_int_equal(gtm_groups_load(g, room, 3, 0, NOW), -EBADMSG);
	room[0] = 'X';
	assert_int_equal(gtm_groups_load(g, room, n, 0, NOW), -EBADMSG);
}

static void test_copied(void **unused)
{
	struct gtm_groups *wider = gtm_groups_new(10000, 8);

	(void)unused;
	put("192.0.2.0", 24, 0, 12.3f, 0);
	put("192.0.2.0", 24, 1, 7.0f, 0);
	assert_int_equal(gtm_groups_column(wider, "iad"), 0);
	assert_int_equal(gtm_groups_column(wider, "fra"), 1);
	gtm_groups_copy(wider, g);
	gtm_groups_drop(g);
	g = wider;
	assert_true(about(get("192.0.2.9", 32, 0, DAY_MS, NULL), 7.0f));
	assert_true(about(
		get("192.0.2.9", 32, gtm_groups_column(g, "fra"), DAY_MS, NULL),
		12.3f));
}

static void test_columns(void **unused)
{
	(void)unused;
	assert_int_equal(gtm_groups_column(g, "sin"), 2);
	assert_int_equal(gtm_groups_column(g, "iad"), 1);
	assert_int_equal(gtm_groups_column(g, "nrt"), 3);
	assert_int_equal(gtm_groups_column(g, "syd"), CONFIG_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(longest),	  TEST(values),	 TEST(naive),  TEST(full),
		TEST(generation), TEST(readers), TEST(wanted), TEST(saved),
		TEST(copied),	  TEST(columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
