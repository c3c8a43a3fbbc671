/* SPDX-License-Identifier: MPL-2.0 */
#include "common/units.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void reads_durations(void **state)
{
	static const struct {
		const char *text;
		int rc;
		uint64_t ms;
	} rows[] = {
		{ "500ms", 0, 500 },
		{ "5s", 0, 5000 },
		{ "2m", 0, 120000 },
		{ "1h", 0, 3600000 },
		{ "1d", 0, 86400000 },
		{ "1w", 0, 604800000 },
		{ "007s", 0, 7000 },
		{ "18446744073709551615ms", 0, UINT64_MAX },
		{ "18446744073709551616ms", -ERANGE, 0 },
		{ "18446744073709551615s", -ERANGE, 0 },
		{ "99999999999999999999999x", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "5", -EINVAL, 0 },
		{ "s", -EINVAL, 0 },
		{ "5 s", -EINVAL, 0 },
		{ "-5s", -EINVAL, 0 },
		{ "1.5s", -EINVAL, 0 },
		{ "5S", -EINVAL, 0 },
		{ "1h30m", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t ms = 42;
		int rc = units_duration_parse(slice_of(rows[i].text), &ms);
		assert_int_equal(rc, rows[i].rc);
		assert_int_equal(ms, rc == 0 ? rows[i].ms : 42);
	}
}

static void reads_sizes(void **state)
{
	uint64_t n = 42;

	(void)state;
	assert_int_equal(units_size_parse(slice_of("512MiB"), &n), 0);
	assert_int_equal(n, 512u << 20);
	assert_int_equal(units_size_parse(slice_of("1B"), &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(units_size_parse(slice_of("1MB"), &n), -EINVAL);
	assert_int_equal(units_size_parse(slice_of("17000000TiB"), &n),
			 -ERANGE);
	assert_int_equal(n, 1);
}

static void prints_what_it_reads(void **state)
{
	static const uint64_t values[] = {
		0,     1,    999,     1000,	1024,	    1500,     60000,
		90000, 1536, 3600000, 86400000, 1209600000, 1u << 30, UINT64_MAX
	};
	char out[UNITS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		uint64_t n = 42;
		size_t len = units_duration_print(values[i], out);
		assert_int_equal(
			units_duration_parse((struct slice){ out, len }, &n),
			0);
		assert_int_equal(n, values[i]);
		len = units_size_print(values[i], out);
		assert_int_equal(
			units_size_parse((struct slice){ out, len }, &n), 0);
		assert_int_equal(n, values[i]);
	}
	units_duration_print(1209600000, out);
	assert_string_equal(out, "2w");
	units_duration_print(90000, out);
	assert_string_equal(out, "90s");
	units_size_print(3u << 29, out);
	assert_string_equal(out, "1536MiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_durations),
		cmocka_unit_test(reads_sizes),
		cmocka_unit_test(prints_what_it_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
