/* SPDX-License-Identifier: MPL-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cacheproxy/admit_known.h"

#define DAY  20000u
#define MANY 50000u

static struct admit_known *make(uint32_t n)
{
	struct admit_known *known = NULL;

	assert_int_equal(admit_known_new(n, 42, &known), 0);
	return known;
}

static uint64_t nth(uint32_t i)
{
	const uint8_t address[16] = { 0x20, 1, (uint8_t)(i >> 16),
				      (uint8_t)(i >> 8), (uint8_t)i };

	return admit_prefix(address, true);
}

static void test_prefix(void **state)
{
	const uint8_t a[16] = { 192, 0, 2, 1, 5, 6, 7, 8 };
	const uint8_t b[16] = { 192, 0, 2, 200, 5, 6, 7, 9 };
	const uint8_t c[16] = { 192, 0, 3, 1, 5, 6, 8, 8 };

	(void)state;
	assert_int_equal(admit_prefix(a, false), admit_prefix(b, false));
	assert_int_not_equal(admit_prefix(a, false), admit_prefix(c, false));
	assert_int_not_equal(admit_prefix(a, true), admit_prefix(b, true));
	assert_int_not_equal(admit_prefix(a, true), admit_prefix(a, false));
}

static void test_proof_fades(void **state)
{
	struct admit_known *k = make(1000);

	(void)state;
	assert_false(admit_known_is(k, nth(1), DAY));
	(void)admit_known_prove(k, nth(1), DAY, true);
	assert_true(admit_known_is(k, nth(1), DAY));
	assert_false(admit_known_is(k, nth(2), DAY));
	assert_true(admit_known_is(k, nth(1), DAY + 12));
	assert_false(admit_known_is(k, nth(1), DAY + 14));
	assert_true(admit_known_is(k, nth(1), DAY - 1)); /* the clock is back */
	(void)admit_known_prove(k, nth(1), DAY + 30, true);
	assert_true(admit_known_is(k, nth(1), DAY + 42));
	assert_int_equal(admit_known_count(k), 1);
	admit_known_free(k);
}

static void test_days(void **state)
{
	struct admit_known *k = make(1000);
	uint32_t day = DAY;

	(void)state;
	assert_false(admit_known_seen(k, nth(1), day, false));
	assert_int_equal(admit_known_count(k), 0);
	for (unsigned int i = 0; i < 100; i++) /* of one day */
		assert_true(admit_known_seen(k, nth(1), day, true));
	assert_false(admit_known_is(k, nth(1), day));
	for (; day < DAY + 3; day++) {
		assert_false(admit_known_is(k, nth(1), day));
		assert_true(admit_known_seen(k, nth(1), day + 1, false));
	}
	assert_true(admit_known_is(k, nth(1), day));
	assert_false(admit_known_is(k, nth(1), day + 3));
	for (; day < DAY + 100; day++)
		(void)admit_known_seen(k, nth(1), day, false);
	assert_true(admit_known_is(k, nth(1), day + 5));
	assert_false(admit_known_is(k, nth(1), day + 20));
	admit_known_free(k);
}

static uint32_t count_good(const struct admit_known *k, uint32_t from,
			   uint32_t n, uint32_t day)
{
	uint32_t good = 0;

	for (uint32_t i = from; i < from + n; i++)
		good += admit_known_is(k, nth(i), day);
	return good;
}

static void test_full(void **state)
{
	struct admit_known *k = make(MANY);

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		(void)admit_known_prove(k, nth(i), DAY, true);
	assert_in_range(count_good(k, 0, MANY, DAY), MANY - 5, MANY);
	assert_true(admit_known_bytes(k) <= (uint64_t)MANY * 84 / 10);
	/* one of 30,000 that never came */
	assert_in_range(count_good(k, 1000000, 100000, DAY), 0, 30);
	/* those that have shown nothing push nobody out */
	for (uint32_t i = 0; i < MANY; i++)
		(void)admit_known_seen(k, nth(2000000 + i), DAY, true);
	assert_in_range(count_good(k, 0, MANY, DAY), MANY - 5, MANY);
	admit_known_free(k);
}

/* Who has many prefixes, each of which proves itself once, ousts nobody. */
static void test_those_who_come_daily_stay(void **state)
{
	struct admit_known *k = make(MANY);

	(void)state;
	for (uint32_t i = 0; i < MANY / 2; i++) {
		assert_true(admit_known_prove(k, nth(i), DAY, false));
		assert_true(admit_known_prove(k, nth(i), DAY, false));
	}
	for (uint32_t day = 1; day < 4; day++)
		for (uint32_t i = 0; i < MANY / 2; i++)
			if (i % 2 == 0)
				assert_true(admit_known_prove(k, nth(i),
							      DAY + day, true));
			else
				assert_true(admit_known_seen(k, nth(i),
							     DAY + day, false));
	for (uint32_t i = 0; i < 10 * MANY; i++)
		(void)admit_known_prove(k, nth(1000000 + i), DAY + 3, true);
	assert_in_range(count_good(k, 0, MANY / 2, DAY + 3), MANY / 2 - 5,
			MANY / 2);
	/* without 'push', they leave those who are known where they are */
	uint32_t places = 0;
	for (uint32_t i = 0; i < MANY; i++)
		places +=
			admit_known_prove(k, nth(3000000 + i), DAY + 3, false);
	assert_in_range(places, 0, MANY / 100);
	admit_known_free(k);
}

static void test_sweep(void **state)
{
	struct admit_known *k = make(MANY);
	size_t at = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		(void)admit_known_prove(k, nth(i), DAY + (i < 500 ? 0 : 20),
					true);
	admit_known_sweep(k, &at, admit_known_words(k), DAY + 31);
	assert_int_equal(admit_known_count(k), 500);
	admit_known_sweep(k, &at, 2 * admit_known_words(k), DAY + 60);
	assert_int_equal(admit_known_count(k), 0);
	admit_known_free(k);
}

static void test_save(void **state)
{
	struct admit_known *k = make(3000);
	struct admit_known *other = make(3000);
	uint32_t words[1000];
	size_t from = 0, to = 0;
	size_t n;

	(void)state;
	for (uint32_t i = 0; i < 2000; i++)
		(void)admit_known_prove(k, nth(i), DAY, true);
	while ((n = admit_known_save(k, &from, words, 1000)) > 0)
		admit_known_load(other, &to, words, n);
	assert_int_equal(admit_known_count(other), admit_known_count(k));
	assert_int_equal(count_good(other, 0, 2000, DAY), 2000);
	/* more than there is room for */
	admit_known_load(other, &to, words, 1000);
	assert_int_equal(to, admit_known_words(other));
	assert_int_equal(admit_known_seed(other), 42);
	admit_known_free(k);
	admit_known_free(other);
	admit_known_free(NULL);
}

static void *work(void *arg)
{
	struct admit_known *k = arg;
	size_t at = 0;

	for (uint32_t i = 0; i < 20000; i++) {
		(void)admit_known_prove(k, nth(i % 3000), DAY + i % 3, true);
		(void)admit_known_seen(k, nth(i), DAY, true);
		(void)admit_known_is(k, nth(i * 7), DAY);
		admit_known_sweep(k, &at, 4, DAY);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct admit_known *k = make(4096);
	pthread_t thread[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, work, k), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_in_range(count_good(k, 0, 3000, DAY + 2), 2950, 3000);
	assert_true(admit_known_count(k) <= admit_known_words(k));
	admit_known_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_proof_fades),
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_those_who_come_daily_stay),
		cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_save),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
