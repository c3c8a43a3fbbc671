/* SPDX-License-Identifier: MPL-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cacheproxy/admit_sketch.h"
#include "cacheproxy/admit_suffix.h"
#include "common/dname.h"

#define NONE UINT32_MAX

static uint64_t hash(uint64_t i)
{
	i = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
	i = (i ^ i >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	i = (i ^ i >> 27) * UINT64_C(0x94d049bb133111eb);
	return i ^ i >> 31;
}

static void test_repeats(void **state)
{
	struct admit_repeats *r = NULL;

	(void)state;
	assert_int_equal(admit_repeats_new(&r), 0);
	for (uint32_t i = 1; i <= 1000; i++)
		assert_int_equal(admit_repeats_count(r, hash(1), 7), i);
	assert_int_equal(admit_repeats_count(r, hash(2), 7), 1);
	assert_int_equal(admit_repeats_count(r, hash(1), 8), 1);
	/* a flood of others does not hide one that goes on */
	uint32_t last = 0;
	for (uint32_t i = 0; i < 400000; i++) {
		(void)admit_repeats_count(r, hash(1000 + i), 9);
		if (i % 100 == 0)
			last = admit_repeats_count(r, hash(5), 9);
	}
	assert_int_equal(last, 4000);
	admit_repeats_free(r);
}

static void test_rare(void **state)
{
	struct admit_repeats *r = NULL;

	(void)state;
	assert_int_equal(admit_repeats_new(&r), 0);
	assert_true(admit_repeats_rare(r, hash(1), 254));
	assert_false(admit_repeats_rare(r, hash(1), 254));
	assert_true(admit_repeats_rare(r, hash(2), 254));
	for (uint32_t now_s = 255; now_s < 300; now_s++)
		assert_false(admit_repeats_rare(r, hash(1), now_s));
	assert_true(admit_repeats_rare(r, hash(1), 301));
	admit_repeats_free(r);
}

/* Names made up below a wildcard exist, each of them once. */
static void test_seen_again(void **state)
{
	struct admit_seen *s = NULL;
	unsigned int missing = 0;

	(void)state;
	assert_int_equal(admit_seen_new(8192, &s), 0);
	for (uint64_t i = 0; i < 2000; i++) {
		admit_seen_add(s, hash(i), 1000);
		admit_seen_add(s, hash(i), 1300);
	}
	for (uint64_t i = 0; i < 100000; i++)
		admit_seen_add(s, hash(90000 + i), 1400 + (uint32_t)i / 100);
	for (uint64_t i = 0; i < 2000; i++)
		missing += !admit_seen_has(s, hash(i));
	assert_in_range(missing, 0, 20);
	/* but when they are very old */
	for (uint64_t i = 0; i < 100000; i++)
		admit_seen_add(s, hash(500000 + i), 81000);
	missing = 0;
	for (uint64_t i = 0; i < 2000; i++)
		missing += !admit_seen_has(s, hash(i));
	assert_true(missing > 1500);
	admit_seen_free(s);
}

static void test_seen(void **state)
{
	struct admit_seen *s = NULL;
	unsigned int missing = 0, wrong = 0;

	(void)state;
	assert_int_equal(admit_seen_new(10000, &s), 0);
	for (uint64_t i = 0; i < 5000; i++)
		admit_seen_add(s, hash(i), (uint32_t)i);
	for (uint64_t i = 0; i < 5000; i++)
		missing += !admit_seen_has(s, hash(i));
	for (uint64_t i = 0; i < 100000; i++)
		wrong += admit_seen_has(s, hash(50000 + i));
	assert_in_range(missing, 0, 5);
	assert_int_equal(wrong, 0);
	/* the youngest stay */
	for (uint64_t i = 0; i < 200000; i++)
		admit_seen_add(s, hash(90000 + i), 5000 + (uint32_t)i);
	missing = 0;
	for (uint64_t i = 195000; i < 200000; i++)
		missing += !admit_seen_has(s, hash(90000 + i));
	assert_in_range(missing, 0, 100);
	admit_seen_free(s);
}

static void test_sources(void **state)
{
	static const uint32_t some[] = { 0, 1, 10, 100, 1000, 5000, 20000 };
	static struct admit_sources s;

	(void)state;
	for (size_t k = 0; k < sizeof(some) / sizeof(some[0]); k++) {
		memset(&s, 0, sizeof(s));
		for (uint32_t again = 0; again < 3; again++)
			for (uint32_t i = 0; i < some[k]; i++)
				admit_sources_add(&s, hash(i));
		uint32_t n = admit_sources_count(&s);
		assert_in_range(n, some[k] - some[k] / 15,
				some[k] + some[k] / 15);
	}
	assert_in_range(admit_sources_turn(&s, 7), 18600, 21400);
	assert_int_equal(admit_sources_count(&s), 0);
	admit_sources_add(&s, hash(1));
	assert_in_range(admit_sources_turn(&s, 7), 18600, 21400);
	assert_int_equal(admit_sources_turn(&s, 8), 1);
}

/* -- suffixes */

static struct admit_name name_of(const char *text, struct dname *room)
{
	assert_int_equal(dname_parse(slice_of(text), room), 0);
	return (struct admit_name){
		.zone = 77, .wire = room->wire, .n = room->n, .apex_labels = 2
	};
}

static bool feed(struct admit_suffixes *s, const char *text, bool exists,
		 uint32_t least, uint32_t now_s)
{
	struct dname room;
	struct admit_name name = name_of(text, &room);

	return admit_suffixes_feed(s, &name, exists, least, now_s);
}

static bool hit(struct admit_suffixes *s, const char *text)
{
	struct dname room;
	struct admit_name name = name_of(text, &room);

	return admit_suffixes_hit(s, &name);
}

/* So many different names below 'suffix'; how many it took to begin. */
static unsigned int flood(struct admit_suffixes *s, const char *suffix,
			  unsigned int n, uint32_t now_s)
{
	char text[300];

	for (unsigned int i = 1; i <= n; i++) {
		(void)snprintf(text, sizeof(text), "x%u-%u.%s", now_s, i,
			       suffix);
		if (feed(s, text, false, 0, now_s))
			return i;
	}
	return 0;
}

static struct admit_suffixes *suffixes(void)
{
	struct admit_suffixes *s = NULL;

	assert_int_equal(admit_suffixes_new(5, &s), 0);
	return s;
}

static void test_suffix(void **state)
{
	struct admit_suffixes *s = suffixes();

	(void)state;
	assert_in_range(flood(s, "example.com", 1000, 100), 80, 150);
	assert_true(admit_suffixes_any(s, 77));
	assert_false(admit_suffixes_any(s, 78));
	assert_true(hit(s, "whatever.example.com"));
	assert_true(hit(s, "what.ever.example.com"));
	assert_false(hit(s, "example.com"));
	struct admit_suffix_view view;
	unsigned int n = 0;
	for (size_t i = 0; i < ADMIT_SUFFIXES; i++)
		n += admit_suffixes_view(s, i, &view) && view.since_s == 100 &&
		     view.refused == 2;
	assert_int_equal(n, 1);
	admit_suffixes_free(s);
}

/* The deepest that explains it, and nothing above. */
static void test_deepest(void **state)
{
	struct admit_suffixes *s = suffixes();

	(void)state;
	assert_in_range(flood(s, "a.b.example.com", 1000, 100), 80, 150);
	assert_true(hit(s, "y.a.b.example.com"));
	assert_true(hit(s, "z.y.a.b.example.com"));
	assert_false(hit(s, "y.b.example.com"));
	assert_false(hit(s, "a.b.example.com"));
	assert_false(hit(s, "www.example.com"));
	admit_suffixes_free(s);
}

/* No suffix below explains names with two labels made up. */
static void test_two_labels(void **state)
{
	struct admit_suffixes *s = suffixes();
	char text[300];
	bool begun = false;

	(void)state;
	for (unsigned int i = 0; i < 500 && !begun; i++) {
		(void)snprintf(text, sizeof(text), "a%u.b%u.example.com", i, i);
		begun = feed(s, text, false, 0, 50);
	}
	assert_true(begun);
	assert_true(hit(s, "other.example.com"));
	admit_suffixes_free(s);
}

static void test_no_attack(void **state)
{
	struct admit_suffixes *s = suffixes();
	char text[300];

	(void)state;
	/* one name, again and again */
	for (unsigned int i = 0; i < 5000; i++)
		assert_false(feed(s, "typo.example.com", false, 0, 10));
	/* a fifth exists */
	for (unsigned int i = 0; i < 2000; i++) {
		(void)snprintf(text, sizeof(text), "n%u.example.com", i);
		assert_false(feed(s, text, i % 5 == 0, 0, 11));
	}
	/* never many a second */
	for (uint32_t now_s = 20; now_s < 60; now_s++)
		assert_int_equal(flood(s, "example.com", 60, now_s), 0);
	/* while all is forgiven */
	for (unsigned int i = 0; i < 2000; i++) {
		(void)snprintf(text, sizeof(text), "m%u.example.com", i);
		assert_false(feed(s, text, false, NONE, 70));
	}
	assert_false(admit_suffixes_any(s, 77));
	admit_suffixes_free(s);
}

static void ended(void *arg, uint64_t zone)
{
	assert_int_equal(zone, 77);
	(*(unsigned int *)arg)++;
}

static void test_end(void **state)
{
	struct admit_suffixes *s = suffixes();
	unsigned int n = 0;
	uint32_t now_s = 100;

	(void)state;
	assert_true(flood(s, "example.com", 1000, now_s) > 0);
	for (; now_s < 130; now_s++) { /* it goes on */
		for (unsigned int i = 0; i < 60; i++)
			assert_true(hit(s, "x.example.com"));
		admit_suffixes_tick(s, now_s, ended, &n);
	}
	assert_int_equal(n, 0);
	for (; now_s < 134; now_s++)
		admit_suffixes_tick(s, now_s, ended, &n);
	assert_int_equal(n, 0);
	admit_suffixes_tick(s, now_s, ended, &n);
	assert_int_equal(n, 1);
	assert_false(hit(s, "x.example.com"));
	assert_false(admit_suffixes_any(s, 77));
	/* and begins anew */
	assert_true(flood(s, "example.com", 1000, 200) > 0);
	admit_suffixes_free(s);
}

/* Thousands of suffixes that nobody needs do not hide one. */
static void test_crowd(void **state)
{
	struct admit_suffixes *s = suffixes();
	char text[300];
	bool begun = false;

	(void)state;
	for (unsigned int i = 0; i < 3000 && !begun; i++) {
		for (unsigned int k = 0; k < 4; k++) {
			(void)snprintf(text, sizeof(text), "a.s%u.example.com",
				       i * 4 + k);
			(void)feed(s, text, true, 0, 10);
		}
		(void)snprintf(text, sizeof(text), "x%u.w.example.com", i);
		begun = feed(s, text, false, 0, 10);
	}
	assert_true(begun);
	assert_true(hit(s, "a.w.example.com"));
	admit_suffixes_free(s);
}

/* One zone's attack on many suffixes leaves places for others'. */
static void test_one_zone_takes_not_all(void **state)
{
	struct admit_suffixes *s = suffixes();
	struct admit_suffix_view view;
	char text[300];
	unsigned int n = 0;

	(void)state;
	for (unsigned int i = 0; i < 60; i++) {
		(void)snprintf(text, sizeof(text), "s%u.example.com", i);
		(void)flood(s, text, 300, 100);
	}
	for (size_t i = 0; i < ADMIT_SUFFIXES; i++)
		n += admit_suffixes_view(s, i, &view) && view.since_s != 0;
	assert_in_range(n, 10, ADMIT_SUFFIX_ZONE + 1);
	assert_true(hit(s, "x.s59.example.com")); /* by the apex */
	struct dname room;
	bool begun = false;
	for (unsigned int i = 0; i < 300 && !begun; i++) {
		(void)snprintf(text, sizeof(text), "y%u.example.com", i);
		struct admit_name name = name_of(text, &room);
		name.zone = 78;
		begun = admit_suffixes_feed(s, &name, false, 0, 100);
	}
	assert_true(begun);
	admit_suffixes_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_rare),
		cmocka_unit_test(test_seen),
		cmocka_unit_test(test_seen_again),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_suffix),
		cmocka_unit_test(test_deepest),
		cmocka_unit_test(test_two_labels),
		cmocka_unit_test(test_no_attack),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_one_zone_takes_not_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
