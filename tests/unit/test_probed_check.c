/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "probes-client/probed_perf.h"

static const struct config_expect anything = { .size_max = UINT64_MAX };

/* Feeds 'text' in pieces of 'n'; returns what it means. */
static enum probe_error judge(const struct config_expect *expect,
			      const char *text, size_t n)
{
	struct probed_check check;
	size_t length = strlen(text);
	char detail[200];

	assert_int_equal(probed_check_init(&check, expect), 0);
	probed_check_header(&check, slice_of("Server: x 1.0\r\n"));
	probed_check_header(&check, slice_of("broken"));
	for (size_t i = 0; i < length; i += n)
		if (!probed_check_feed(
			    &check,
			    (struct slice){ text + i,
					    n < length - i ? n : length - i }))
			break;
	enum probe_error error =
		probed_check_judge(&check, detail, sizeof(detail));
	assert_true((error == PROBE_OK) == (detail[0] == '\0'));
	probed_check_fini(&check);
	return error;
}

static void same_however_it_is_cut(void **state)
{
	static const char text[] = "all is well, load 17\nand more";
	static const char *const headers[] = { "server: x", "Server" };
	static const char *const others[] = { "Server: y" };
	const struct {
		struct config_expect expect;
		enum probe_error error;
	} rows[] = {
		{ { .size_max = UINT64_MAX }, PROBE_OK },
		{ { .size_max = UINT64_MAX, .body = "well" }, PROBE_OK },
		{ { .size_max = UINT64_MAX, .body = "ill" }, PROBE_BODY },
		{ { .size_max = UINT64_MAX, .pattern = "load [0-9]{2}" },
		  PROBE_OK },
		{ { .size_max = UINT64_MAX, .pattern = "^all" }, PROBE_OK },
		{ { .size_max = UINT64_MAX, .pattern = "^load|more$" },
		  PROBE_OK },
		{ { .size_max = UINT64_MAX, .pattern = "^load|less$" },
		  PROBE_BODY },
		{ { .size_max = UINT64_MAX, .pattern = "17.and" }, PROBE_OK },
		{ { .size_max = UINT64_MAX, .pattern = "(x+x+)+y" },
		  PROBE_BODY },
		{ { .size_max = UINT64_MAX, .size_min = sizeof(text) - 1 },
		  PROBE_OK },
		{ { .size_max = UINT64_MAX, .size_min = sizeof(text) },
		  PROBE_SIZE },
		{ { .size_max = sizeof(text) - 1 }, PROBE_OK },
		{ { .size_max = sizeof(text) - 2 }, PROBE_SIZE },
		{ { .size_max = UINT64_MAX, .hashed = true }, PROBE_HASH },
		{ { .size_max = UINT64_MAX,
		    .headers = headers,
		    .n_headers = 2 },
		  PROBE_OK },
		{ { .size_max = UINT64_MAX, .headers = others, .n_headers = 1 },
		  PROBE_HEADER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t n = 1; n < sizeof(text); n++)
			assert_int_equal(judge(&rows[i].expect, text, n),
					 rows[i].error);
}

static void knows_a_hash(void **state)
{
	/* Of "abc": FIPS 180-4. */
	struct config_expect expect = {
		.size_max = UINT64_MAX,
		.hashed = true,
		.sha256 = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
			    0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
			    0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
			    0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad },
	};

	(void)state;
	assert_int_equal(judge(&expect, "abc", 1), PROBE_OK);
	assert_int_equal(judge(&expect, "abc", 3), PROBE_OK);
	assert_int_equal(judge(&expect, "abd", 3), PROBE_HASH);
}

static void takes_a_bounded_body(void **state)
{
	static const char piece[65536];
	struct config_expect expect = { .size_max = UINT64_MAX,
					.hashed = true };
	struct probed_check check;
	char detail[200];
	size_t n = 1;

	(void)state;
	assert_int_equal(probed_check_init(&check, &expect), 0);
	while (probed_check_feed(&check,
				 (struct slice){ piece, sizeof(piece) }))
		n++;
	assert_int_equal(n, PROBED_BODY_MAX / sizeof(piece));
	assert_int_equal(probed_check_judge(&check, detail, sizeof(detail)),
			 PROBE_SIZE);
	probed_check_fini(&check);
	/* A pattern needs the beginning alone. */
	expect = (struct config_expect){ .size_max = UINT64_MAX,
					 .pattern = "never" };
	assert_int_equal(probed_check_init(&check, &expect), 0);
	assert_false(probed_check_feed(&check,
				       (struct slice){ piece, sizeof(piece) }));
	assert_int_equal(probed_check_judge(&check, detail, sizeof(detail)),
			 PROBE_BODY);
	probed_check_fini(&check);
}

static void judges_status(void **state)
{
	struct config_expect expect = {
		.n_statuses = 2, .statuses = { { 200, 204 }, { 301, 301 } }
	};
	char text[64];

	(void)state;
	assert_true(probed_check_status(&anything, 200));
	assert_true(probed_check_status(&anything, 399));
	assert_false(probed_check_status(&anything, 400));
	assert_false(probed_check_status(&anything, 100));
	assert_true(probed_check_status(&expect, 204));
	assert_true(probed_check_status(&expect, 301));
	assert_false(probed_check_status(&expect, 300));
	probed_check_status_print(&expect, 500, text, sizeof(text));
	assert_string_equal(text, "500, want 200 to 204, 301");
	probed_check_status_print(&expect, 500, text, 8);
	assert_int_equal(strlen(text), 7);
	probed_check_status_print(&anything, 500, text, sizeof(text));
	assert_string_equal(text, "500, want 200 to 399");
}

static void reads_performance_data(void **state)
{
	static const struct {
		const char *output, *label;
		uint32_t value; /* 0: none */
	} rows[] = {
		{ "OK - fine|time=0.012s;;;0;10", "time", 12 },
		{ "OK|'a b'=3;4 c=5", "a b", 3 },
		{ "OK|'a b'=3;4 c=5", "c", 5 },
		{ "OK|'a b'=3;4 c=5", "a", 0 },
		{ "OK|t=1500us", "t", 2 },
		{ "OK|t=0us", "t", 1 },
		{ "OK|t=2ms\nmore|u=7", "t", 2 },
		{ "OK|t=99999999999s", "t", 65534 },
		{ "OK|t=1.5%", "t", 2 },
		{ "OK|t=U", "t", 0 },
		{ "OK|t=", "t", 0 },
		{ "OK|t", "t", 0 },
		{ "OK|'t", "t", 0 },
		{ "OK|'t'", "t", 0 },
		{ "OK|t=11111111111111111111111111111111111", "t", 0 },
		{ "no bar t=1", "t", 0 },
		{ "", "t", 0 },
	};
	char text[16];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t value = 0;
		bool found = probed_perf_find(slice_of(rows[i].output),
					      rows[i].label, &value);
		assert_int_equal(found, rows[i].value != 0);
		assert_int_equal(value, rows[i].value);
	}
	probed_perf_text(slice_of("OK - \tfine |t=1"), text, sizeof(text));
	assert_string_equal(text, "OK - ?fine");
	probed_perf_text(slice_of("a long line, and more"), text, sizeof(text));
	assert_int_equal(strlen(text), 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_however_it_is_cut),
		cmocka_unit_test(knows_a_hash),
		cmocka_unit_test(takes_a_bounded_body),
		cmocka_unit_test(judges_status),
		cmocka_unit_test(reads_performance_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
