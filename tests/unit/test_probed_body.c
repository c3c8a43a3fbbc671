/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static bool found_in(const char *want, struct slice text, size_t piece)
{
	struct probed_body body;

	probed_body_init(&body, want);
	while (text.n > 0) {
		size_t n = text.n < piece ? text.n : piece;
		/* Of its own, so that a sanitizer sees any octet too far. */
		char *copy = malloc(n);
		assert_non_null(copy);
		memcpy(copy, text.p, n);
		bool more = probed_body_feed(&body, (struct slice){ copy, n });
		free(copy);
		assert_true(more == !body.found);
		text.p += n;
		text.n -= n;
	}
	return body.found;
}

static void finds_however_it_is_cut(void **state)
{
	static const struct {
		const char *want, *text;
		bool found;
	} rows[] = {
		{ "needle", "hay needle hay", true },
		{ "needle", "needle", true },
		{ "needle", "hay hay needle", true },
		{ "needle", "needl", false },
		{ "needle", "needlneedlneedle", true },
		{ "needle", "nee dle", false },
		{ "aab", "aaaaaaab", true },
		{ "aab", "aaaaaaa", false },
		{ "x", "aaax", true },
		{ "x", "aaa", false },
		{ "abcabd", "abcabcabd", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t piece = 1; piece <= strlen(rows[i].text); piece++)
			assert_int_equal(found_in(rows[i].want,
						  slice_of(rows[i].text),
						  piece),
					 rows[i].found);
}

static void finds_a_long_text(void **state)
{
	char want[PROBED_TEXT_MAX + 1], text[4 * PROBED_TEXT_MAX];

	(void)state;
	memset(text, 'a', sizeof(text));
	memset(want, 'a', sizeof(want));
	want[PROBED_TEXT_MAX - 1] = 'b';
	want[PROBED_TEXT_MAX] = '\0';
	assert_false(found_in(want, (struct slice){ text, sizeof(text) }, 7));
	text[sizeof(text) - 1] = 'b';
	for (size_t piece = 1; piece < 2100; piece += 131)
		assert_true(found_in(want, (struct slice){ text, sizeof(text) },
				     piece));
}

static void octets_of_any_value(void **state)
{
	static const char text[] = "\0\0ok\0";

	(void)state;
	assert_true(found_in("ok", (struct slice){ text, 5 }, 1));
	assert_true(found_in("ok", (struct slice){ text, 5 }, 3));
}

/* What lies beyond the limit is not looked at, nor is more asked for. */
static void stops_at_the_limit(void **state)
{
	static const char *const wants[] = { "ok", NULL };
	char piece[4096];

	(void)state;
	memset(piece, 'x', sizeof(piece));
	for (size_t i = 0; i < 2; i++) {
		struct probed_body body;
		size_t n = 0;
		probed_body_init(&body, wants[i]);
		while (probed_body_feed(&body,
					(struct slice){ piece, sizeof(piece) }))
			n += sizeof(piece);
		assert_int_equal(n + sizeof(piece), PROBED_BODY_MAX);
		assert_false(probed_body_feed(&body, slice_of("ok")));
		assert_false(body.found);
		assert_int_equal(body.seen, PROBED_BODY_MAX);
	}
}

static void nothing_wanted_is_never_found(void **state)
{
	struct probed_body body;

	(void)state;
	probed_body_init(&body, NULL);
	assert_true(probed_body_feed(&body, slice_of("abc")));
	assert_true(probed_body_feed(&body, slice_of("")));
	assert_false(body.found);
	assert_int_equal(body.seen, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_however_it_is_cut),
		cmocka_unit_test(finds_a_long_text),
		cmocka_unit_test(octets_of_any_value),
		cmocka_unit_test(stops_at_the_limit),
		cmocka_unit_test(nothing_wanted_is_never_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
