/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/when.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOW UINT64_C(1763971200000)

static void test_good(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} all[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2000-02-29T12:34:56Z", UINT64_C(951827696000) },
		{ "2025-11-24T08:00:00Z", NOW },
		{ "2025-11-24t08:00:00.25z", NOW + 250 },
		{ "2025-11-24 09:00:00+01:00", NOW },
		{ "2025-11-24T02:30:00.0019999-05:30", NOW + 1 },
		{ "2100-03-01T00:00:00Z", UINT64_C(4107542400000) },
		{ "9999-12-31T23:59:60Z", UINT64_C(253402300800000) },
		{ "1763971200", NOW },
		{ "1763971200.5", NOW + 500 },
		{ "0", 0 },
		{ "-10m", NOW - 600000 },
		{ "-0s", NOW },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		uint64_t ms = 1;
		assert_int_equal(when_parse(all[i].text, NOW, &ms), 0);
		assert_int_equal(ms, all[i].ms);
	}
}

static void test_bad(void **state)
{
	static const char *const all[] = {
		"",
		"-",
		"-1",
		"-99999w",
		"now",
		"1.",
		"1.x",
		".5",
		"253402300800",
		"99999999999999999999999",
		"2025-11-24",
		"2025-11-24T08:00",
		"2025-11-24T08:00:00",
		"2025-11-24T08:00:00Z ",
		"2025-11-24T24:00:00Z",
		"2025-11-24T08:60:00Z",
		"2025-11-24T08:00:61Z",
		"2025-13-24T08:00:00Z",
		"2025-00-24T08:00:00Z",
		"2025-02-29T08:00:00Z",
		"2100-02-29T08:00:00Z",
		"2025-11-24T08:00:00.Z",
		"2025-11-24T08:00:00+1:00",
		"1970-01-01T00:00:00+01:00",
		"1969-12-31T23:59:59Z",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		uint64_t ms = 1;
		assert_int_equal(when_parse(all[i], NOW, &ms), -EINVAL);
		assert_int_equal(ms, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_good),
					    cmocka_unit_test(test_bad) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
