/* SPDX-License-Identifier: MPL-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cacheproxy/admit.h"

#define HOUR 490000u

/* A zone in virtual time. */
struct world {
	struct admit_zone z;
	struct config_admission c;
	struct admit_now now;
};

static struct config_admission all_on(void)
{
	return (struct config_admission){
		.mode = { CONFIG_MODE_ON, CONFIG_MODE_ON, CONFIG_MODE_ON,
			  CONFIG_MODE_ON },
		.miss_factor = 20,
		.unknown_factor = 50,
		.any = true,
	};
}

static void begin(struct world *w)
{
	*w = (struct world){ .c = all_on(),
			     .now = { .now_s = 1000, .hours = HOUR } };
	admit_zone_init(&w->z, &w->now);
}

/* A second with so many queries, of which so many are misses. */
static void second(struct world *w, uint32_t queries, uint32_t misses,
		   uint32_t sources)
{
	w->now.sources = sources;
	for (uint32_t i = 0; i < queries; i++) {
		w->now.queries++;
		bool look = i < misses && admit_missed(&w->z);
		if (look || !admit_quiet(&w->z, w->now.queries, w->now.now_s))
			(void)admit_check(&w->z, &w->c, &w->now);
	}
	w->now.now_s++;
	assert_true(admit_roll(&w->z, &w->c, &w->now));
}

static void seconds(struct world *w, unsigned int n, uint32_t queries,
		    uint32_t misses, uint32_t sources)
{
	for (unsigned int i = 0; i < n; i++)
		second(w, queries, misses, sources);
}

static uint32_t normal(const struct world *w, enum admit_rate rate)
{
	return admit_normal(&w->z, &w->c, rate, w->now.hours);
}

/* No longer new. */
static void settle(struct world *w)
{
	begin(w);
	seconds(w, 30, 50, 1, 5);
	assert_false(admit_graced(&w->z, w->now.now_s));
	assert_false(admit_forgiven(&w->z, w->now.now_s));
}

static bool active(const struct world *w, enum config_filter f)
{
	return admit_active(&w->z, f);
}

static void test_floor(void **state)
{
	struct world w;

	(void)state;
	settle(&w);
	assert_int_equal(normal(&w, ADMIT_QUERIES), ADMIT_FLOOR);
	assert_int_equal(normal(&w, ADMIT_PREFIXES), ADMIT_SOURCES);
	second(&w, 2000, 2000, 5);
	assert_int_equal(w.z.active, 0);
	second(&w, 2001, 0, 5);
	assert_true(active(&w, CONFIG_FILTER_MISSES));
	assert_true(active(&w, CONFIG_FILTER_REPEATS));
	assert_false(active(&w, CONFIG_FILTER_UNKNOWN));
}

/* It begins within the second, not after it. */
static void test_onset(void **state)
{
	struct world w;
	uint32_t n = 0;

	(void)state;
	settle(&w);
	w.now.sources = 5;
	while (!active(&w, CONFIG_FILTER_MISSES) && n < 10000) {
		n++;
		w.now.queries++;
		if (!admit_quiet(&w.z, w.now.queries, w.now.now_s))
			(void)admit_check(&w.z, &w.c, &w.now);
	}
	assert_int_equal(n, 2001);
}

/* Few queries, but nearly all of them misses. */
static void test_misses_alone(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	seconds(&w, 400, 1000, 10, 5);
	assert_in_range(normal(&w, ADMIT_QUERIES), 990, 1001);
	assert_int_equal(normal(&w, ADMIT_MISSES), ADMIT_FLOOR);
	second(&w, 3000, 2500, 5);
	assert_true(active(&w, CONFIG_FILTER_MISSES));
	assert_false(active(&w, CONFIG_FILTER_REPEATS));
}

static void test_release(void **state)
{
	struct world w;
	unsigned int n = 0;

	(void)state;
	settle(&w);
	seconds(&w, 20, 10000, 9000, 2000);
	assert_int_not_equal(w.z.since_s, 0);
	assert_int_equal(w.z.peak, 10000);
	assert_true(active(&w, CONFIG_FILTER_UNKNOWN));
	seconds(&w, 4, 50, 1, 5);
	second(&w, 1500, 1500, 5); /* over half: it is not over */
	assert_true(active(&w, CONFIG_FILTER_MISSES));
	for (; w.z.active != 0 && n < 100; n++)
		second(&w, 50, 1, 5);
	assert_in_range(n, 4, 5);
	assert_int_equal(w.z.since_s, 0);
}

/* Nobody asks any more: time alone ends it. */
static void test_release_in_silence(void **state)
{
	struct world w;

	(void)state;
	settle(&w);
	second(&w, 10000, 9000, 2000);
	assert_int_not_equal(w.z.active, 0);
	w.now.now_s += 10;
	assert_true(admit_roll(&w.z, &w.c, &w.now));
	assert_int_equal(w.z.active, 0);
}

static void test_surge(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	seconds(&w, 300, 400, 20, 50);
	for (uint32_t i = 1; i <= 10; i++) {
		second(&w, 400 * i, 200 * i, 50 * i);
		assert_int_equal(w.z.active, 0);
	}
	seconds(&w, 60, 4000, 2000, 500);
	assert_int_equal(w.z.active, 0);
}

static void test_sources(void **state)
{
	struct world w;

	(void)state;
	settle(&w);
	second(&w, 9000, 9000, 10); /* few sources */
	assert_false(active(&w, CONFIG_FILTER_UNKNOWN));
	second(&w, 9000, 9000, 2 * ADMIT_SOURCES);
	assert_false(active(&w, CONFIG_FILTER_UNKNOWN));
	second(&w, 9000, 9000, 2 * ADMIT_SOURCES + 1);
	assert_true(active(&w, CONFIG_FILTER_UNKNOWN));
}

static void test_modes(void **state)
{
	struct world w;

	(void)state;
	settle(&w);
	w.c.mode[CONFIG_FILTER_MISSES] = CONFIG_MODE_OFF;
	w.c.mode[CONFIG_FILTER_REPEATS] = CONFIG_MODE_OBSERVE;
	second(&w, 9000, 9000, 10);
	assert_false(active(&w, CONFIG_FILTER_MISSES));
	assert_true(active(&w, CONFIG_FILTER_REPEATS));
	w.c.mode[CONFIG_FILTER_REPEATS] = CONFIG_MODE_OFF;
	second(&w, 9000, 9000, 10);
	assert_int_equal(w.z.active, 0);
}

static void test_own_normal(void **state)
{
	struct world w;

	(void)state;
	settle(&w);
	w.c.normal = 1000;
	assert_int_equal(normal(&w, ADMIT_QUERIES), 1000);
	second(&w, 1, 0, 1);
	second(&w, 20000, 0, 10);
	assert_int_equal(w.z.active, 0);
	second(&w, 20001, 0, 10);
	assert_true(active(&w, CONFIG_FILTER_REPEATS));
	w.c.normal = 3; /* below the floor, too */
	assert_int_equal(normal(&w, ADMIT_QUERIES), 3);
	assert_int_equal(normal(&w, ADMIT_MISSES), 3);
}

/* An attack is not taken for normal soon, nor never. */
static void test_attack_is_not_learned(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	seconds(&w, 7200, 400, 10, 50);
	uint32_t before = normal(&w, ADMIT_QUERIES);
	assert_in_range(before, 390, 400);
	seconds(&w, 600, 40000, 100, 50);
	assert_in_range(normal(&w, ADMIT_QUERIES), before, before + 50);
	assert_true(active(&w, CONFIG_FILTER_REPEATS));
	/* what was refused does not count at all */
	uint32_t then = normal(&w, ADMIT_QUERIES);
	for (unsigned int i = 0; i < 600; i++) {
		w.z.turned += 40000;
		second(&w, 40000, 100, 50);
	}
	assert_true(normal(&w, ADMIT_QUERIES) <= then);
}

static void test_hours(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	for (unsigned int hour = 0; hour < 48; hour++) {
		seconds(&w, 3600, hour % 24 < 12 ? 100 : 1000, 0, 5);
		w.now.hours++;
	}
	/* at night, and the hour before the day begins */
	w.now.hours = HOUR + 48 + 4;
	seconds(&w, 7200, 100, 0, 5);
	seconds(&w, 7200, 100, 0, 5);
	uint32_t night = normal(&w, ADMIT_QUERIES);
	w.now.hours = HOUR + 48 + 11;
	uint32_t dawn = normal(&w, ADMIT_QUERIES);
	w.now.hours = HOUR + 48 + 15;
	uint32_t day = normal(&w, ADMIT_QUERIES);
	assert_in_range(night, 100, 350);
	assert_in_range(dawn, 600, 1100);
	assert_in_range(day, 850, 1100);
}

static void test_new_zone(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	for (unsigned int i = 0; i < ADMIT_AMNESTY_S - 1; i++) {
		second(&w, 10000, 9000, 2000);
		assert_int_equal(w.z.active, 0);
	}
	seconds(&w, 2, 10000, 9000, 2000); /* it has been learned */
	assert_int_equal(w.z.active, 0);
	assert_false(admit_graced(&w.z, w.now.now_s));
	assert_in_range(normal(&w, ADMIT_QUERIES), 9000, 10000);
}

/* Step by step, each of them within what filters let through. */
static void test_slow_rise(void **state)
{
	struct world w;
	uint32_t rate = 100;

	(void)state;
	begin(&w);
	for (unsigned int hour = 0; hour < 48; hour++) {
		seconds(&w, 600, 100, 50, 5);
		w.now.now_s += 3000;
		seconds(&w, 1, 100, 50, 5);
		w.now.hours++;
	}
	for (unsigned int hour = 0; hour < 24; hour++) {
		for (unsigned int i = 0; i < 360; i++) {
			rate = normal(&w, ADMIT_MISSES) * 15;
			w.z.missed += rate;
			w.now.queries += rate;
			w.now.now_s++;
			assert_true(admit_roll(&w.z, &w.c, &w.now));
		}
		assert_int_equal(w.z.active, 0);
		w.now.hours++;
	}
	assert_in_range(normal(&w, ADMIT_MISSES), ADMIT_FLOOR, 410);
	assert_in_range(normal(&w, ADMIT_QUERIES), ADMIT_FLOOR, 410);
}

static void turn(struct world *w, unsigned int n, enum admit_reason why)
{
	for (unsigned int i = 0; i < n; i++)
		admit_turned(&w->z, why);
}

/* So many names that nobody knows go in a second, of as many as like to. */
static uint32_t try_some(struct world *w, unsigned int some, enum admit_who who,
			 bool calm)
{
	uint32_t n = 0;

	for (unsigned int i = 0; i < some; i++) {
		bool goes = admit_try(&w->z, who, calm);
		n += goes;
		if (goes)
			admit_went(&w->z);
	}
	return n;
}

static uint32_t try(struct world *w, enum admit_who who, bool calm)
{
	return try_some(w, 500, who, calm);
}

static void test_room_for_new_names(void **state)
{
	struct world w;
	uint32_t n = 0;

	(void)state;
	settle(&w);
	seconds(&w, 600, 100, 40, 5);
	seconds(&w, 2, 9000, 9000, 5);
	assert_true(active(&w, CONFIG_FILTER_MISSES));
	/* an eighth of what is usual, and only for the good */
	(void)try(&w, ADMIT_ANYBODY, false);
	second(&w, 9000, 9000, 5);
	assert_int_equal(try(&w, ADMIT_ANYBODY, true), 0);
	for (unsigned int i = 0; i < 100; i++) {
		n += try(&w, ADMIT_GOOD, true);
		turn(&w, 9000, ADMIT_NAME);
		second(&w, 9000, 9000, 5);
	}
	assert_in_range(n, 440, 525);
	n = try(&w, ADMIT_RARE, false);
	assert_in_range(n, 3, 4);
	assert_true(try(&w, ADMIT_GOOD, false) > 0);
	assert_int_equal(try(&w, ADMIT_GOOD, false), 0);
	/* what went so has not become usual */
	assert_in_range((uint32_t)w.z.usual, 37, 41);
	assert_true(w.z.tried > 440);

	/* one question repeated: what is missed is as ever, and goes */
	settle(&w);
	seconds(&w, 600, 100, 40, 5);
	seconds(&w, 2, 9000, 40, 5);
	assert_true(active(&w, CONFIG_FILTER_MISSES));
	n = 0;
	for (unsigned int i = 0; i < 100; i++) {
		for (unsigned int k = 0; k < 30; k++)
			admit_went(&w.z);
		n += try_some(&w, 10, ADMIT_ANYBODY, true);
		turn(&w, 8900, ADMIT_REPEAT);
		second(&w, 9000, 40, 5);
	}
	assert_int_equal(n, 1000);
	/* who repeats a question does not hide what is missed beside */
	assert_true(w.z.slow[ADMIT_MISSES] > 30);
	/* but not below a suffix under attack, nor more than is usual */
	assert_int_equal(try(&w, ADMIT_ANYBODY, false), 0);
	n = 0;
	for (unsigned int i = 0; i < 100; i++) {
		for (unsigned int k = 0; k < 30; k++)
			admit_went(&w.z);
		n += try_some(&w, 60, ADMIT_ANYBODY, true);
		second(&w, 9000, 40, 5);
	}
	assert_in_range(n, 1100, 1700);
}

/* A zone of which little is known: a name a second, no more. */
static void test_room_of_a_quiet_zone(void **state)
{
	struct world w;
	uint32_t n = 0;

	(void)state;
	settle(&w);
	seconds(&w, 60, 1, 0, 1);
	seconds(&w, 2, 9000, 9000, 5);
	for (unsigned int i = 0; i < 100; i++) {
		n += try(&w, ADMIT_GOOD, true);
		turn(&w, 9000, ADMIT_NAME);
		second(&w, 9000, 9000, 5);
	}
	assert_in_range(n, 95, 105);
}

static void test_purge(void **state)
{
	struct world w;

	(void)state;
	settle(&w);
	admit_forgive(&w.z, 5000, w.now.now_s);
	second(&w, 3000, 3000, 5);
	assert_false(active(&w, CONFIG_FILTER_MISSES));
	assert_true(active(&w, CONFIG_FILTER_REPEATS));
	w.z.fills += 4999;
	assert_true(admit_forgiven(&w.z, w.now.now_s));
	w.z.fills++; /* as many as there were */
	assert_false(admit_forgiven(&w.z, w.now.now_s));
	second(&w, 3000, 3000, 5);
	assert_true(active(&w, CONFIG_FILTER_MISSES));

	settle(&w); /* a little more does not end it */
	admit_forgive(&w.z, 5000, w.now.now_s);
	admit_forgive(&w.z, 5, w.now.now_s);
	w.z.fills += 100;
	assert_true(admit_forgiven(&w.z, w.now.now_s));
	admit_forgive(&w.z, 10000, w.now.now_s);
	w.z.fills += 10001;
	assert_false(admit_forgiven(&w.z, w.now.now_s));

	settle(&w); /* its end by time */
	admit_forgive(&w.z, 0, w.now.now_s);
	seconds(&w, ADMIT_AMNESTY_S - 1, 50, 40, 5);
	assert_true(admit_forgiven(&w.z, w.now.now_s));
	second(&w, 50, 40, 5);
	assert_false(admit_forgiven(&w.z, w.now.now_s));

	settle(&w); /* and as the cache is warm */
	admit_forgive(&w.z, 0, w.now.now_s);
	seconds(&w, 10, 50, 40, 5);
	assert_true(admit_forgiven(&w.z, w.now.now_s));
	seconds(&w, 5, 50, 5, 5);
	assert_false(admit_forgiven(&w.z, w.now.now_s));
}

static void test_learned(void **state)
{
	struct admit_learned kept;
	struct world w;

	(void)state;
	begin(&w);
	seconds(&w, 3600, 500, 20, 70);
	w.now.hours++;
	seconds(&w, 2, 500, 20, 70);
	admit_learned_get(&w.z, &kept);
	begin(&w);
	admit_learned_put(&w.z, &kept);
	assert_false(admit_graced(&w.z, w.now.now_s));
	assert_true(admit_forgiven(&w.z, w.now.now_s));
	assert_in_range(normal(&w, ADMIT_QUERIES), 480, 520);
	assert_in_range(normal(&w, ADMIT_PREFIXES), 64, 72);
	/* whatever a file says */
	memset(&kept, 0xff, sizeof(kept));
	admit_learned_put(&w.z, &kept);
	assert_true(normal(&w, ADMIT_QUERIES) >= ADMIT_FLOOR);
	seconds(&w, 3, 500, 20, 70);
}

static void test_code(void **state)
{
	(void)state;
	assert_int_equal(admit_code(0), 0);
	assert_int_equal(admit_code(-1), 0);
	assert_true(admit_decode(0) == 0);
	for (float rate = 0.0625f; rate < 1e8f; rate *= 1.013f) {
		float back = admit_decode(admit_code(rate));
		assert_true(back <= rate * 1.001f && back * 1.1f >= rate);
	}
	assert_true(admit_code(1e30f) >= 248);
}

static void test_bucket(void **state)
{
	struct admit_bucket b = { .ms = 0 };
	unsigned int n = 0;

	(void)state;
	for (uint64_t ms = 5000; ms < 15000; ms++)
		for (unsigned int i = 0; i < 5; i++)
			n += admit_bucket_take(&b, 200, ms);
	assert_in_range(n, 2000, 2020);
	/* what goes in any case is paid for */
	for (unsigned int i = 0; i < 200; i++)
		admit_bucket_charge(&b, 200, 15000);
	n = 0;
	for (uint64_t ms = 15000; ms < 15900; ms++)
		n += admit_bucket_take(&b, 200, ms);
	assert_int_equal(n, 0);
	for (uint64_t ms = 15900; ms < 17000; ms++)
		n += admit_bucket_take(&b, 200, ms);
	assert_in_range(n, 150, 221);
	/* one a second */
	b = (struct admit_bucket){ .ms = 0 };
	n = 0;
	for (uint64_t ms = 0; ms < 10000; ms++)
		n += admit_bucket_take(&b, 1, ms);
	assert_int_equal(n, 10);
	assert_false(admit_bucket_has(&b, 1, 9998));
}

struct crowd {
	struct admit_zone z;
	struct config_admission c;
	_Atomic uint32_t queries, now_s;
};

static void *ask(void *arg)
{
	struct crowd *w = arg;

	for (uint32_t i = 0; i < 100000; i++) {
		uint32_t n = atomic_fetch_add(&w->queries, 1) + 1;
		uint32_t now_s = n / 20000 + 1000;
		struct admit_now now = { .now_s = now_s,
					 .hours = HOUR,
					 .queries = n,
					 .sources = 1000 };
		if (admit_missed(&w->z) || !admit_quiet(&w->z, n, now_s)) {
			(void)admit_roll(&w->z, &w->c, &now);
			(void)admit_check(&w->z, &w->c, &now);
		}
		if (i % 3 == 0)
			(void)admit_try(&w->z, ADMIT_GOOD, true);
		if (i % 1000 == 0)
			admit_set(&w->z, CONFIG_FILTER_SUFFIXES, i % 2000 == 0,
				  now_s);
	}
	return NULL;
}

static void test_threads(void **state)
{
	static struct crowd w;
	struct admit_now now = { .now_s = 1000, .hours = HOUR };
	pthread_t thread[4];

	(void)state;
	w.c = all_on();
	admit_zone_init(&w.z, &now);
	atomic_store(&w.z.grace_until_s, 0);
	atomic_store(&w.z.amnesty_until_s, 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, ask, &w), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	/* Nothing is left half done: it goes on as with one thread. */
	assert_int_equal(w.z.busy, 0);
	assert_in_range(w.z.learned_s, 1, 20);
	now.now_s = 1030;
	now.queries = w.queries;
	assert_true(admit_roll(&w.z, &w.c, &now));
	assert_in_range(w.z.learned_s, 30, 30);
	assert_false(admit_active(&w.z, CONFIG_FILTER_MISSES));
	now.queries += 1000000;
	assert_true(admit_check(&w.z, &w.c, &now));
	assert_true(admit_active(&w.z, CONFIG_FILTER_MISSES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_floor),
		cmocka_unit_test(test_onset),
		cmocka_unit_test(test_misses_alone),
		cmocka_unit_test(test_release),
		cmocka_unit_test(test_release_in_silence),
		cmocka_unit_test(test_surge),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_own_normal),
		cmocka_unit_test(test_attack_is_not_learned),
		cmocka_unit_test(test_hours),
		cmocka_unit_test(test_new_zone),
		cmocka_unit_test(test_slow_rise),
		cmocka_unit_test(test_room_for_new_names),
		cmocka_unit_test(test_room_of_a_quiet_zone),
		cmocka_unit_test(test_purge),
		cmocka_unit_test(test_learned),
		cmocka_unit_test(test_code),
		cmocka_unit_test(test_bucket),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
