/* SPDX-License-Identifier: MPL-2.0 */
#include "common/units.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct pair {
	const char *text;
	uint64_t value;
};

static void test_durations(void **state)
{
	static const struct pair good[] = {
		{ "0s", 0 },	      { "500ms", 500 },	 { "5s", 5000 },
		{ "2m", 120000 },     { "1h", 3600000 }, { "1d", 86400000 },
		{ "2w", 1209600000 },
	};
	char out[UNITS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint64_t ms = 1;
		assert_int_equal(
			units_duration_parse(slice_of(good[i].text), &ms), 0);
		assert_int_equal(ms, good[i].value);
		size_t n = units_duration_print(ms, out);
		assert_int_equal(n, strlen(out));
		assert_string_equal(out, good[i].text);
	}
}

static void test_sizes(void **state)
{
	static const struct pair good[] = {
		{ "17B", 17 },
		{ "64KiB", 65536 },
		{ "512MiB", UINT64_C(512) << 20 },
		{ "3GiB", UINT64_C(3) << 30 },
		{ "2TiB", UINT64_C(2) << 40 },
	};
	char out[UNITS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint64_t size = 1;
		assert_int_equal(
			units_size_parse(slice_of(good[i].text), &size), 0);
		assert_int_equal(size, good[i].value);
		size_t n = units_size_print(size, out);
		assert_int_equal(n, strlen(out));
		assert_string_equal(out, good[i].text);
	}
}

static void test_refuses(void **state)
{
	static const char *const bad[] = { "",	  "s",	  "5",	 "5 s", "-5s",
					   "+5s", "5.5s", "5x",	 "5ss", "s5",
					   "5S",  "MiB",  "5MB", "5mib" };
	uint64_t value = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct slice text = slice_of(bad[i]);
		assert_int_equal(units_duration_parse(text, &value), -EINVAL);
		assert_int_equal(units_size_parse(text, &value), -EINVAL);
	}
	struct slice huge = slice_of("18446744073709551616ms");
	assert_int_equal(units_duration_parse(huge, &value), -ERANGE);
	huge = slice_of("99999999999999999w");
	assert_int_equal(units_duration_parse(huge, &value), -ERANGE);
	huge = slice_of("16777216TiB");
	assert_int_equal(units_size_parse(huge, &value), -ERANGE);
	assert_int_equal(value, 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
