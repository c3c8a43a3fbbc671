/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/svcb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Octets with zeros in them, as a literal. */
#define OCTETS(s) (const uint8_t *)(s), sizeof(s) - 1

#define HEAD "\0\1\1a\4test\0" /* priority 1, target a.test. */
#define ALPN "\0\1\0\3\2h2"    /* "\2h2" */
#define PORT "\0\3\0\2\1\273"
#define V4   "\0\4\0\4\300\0\2\1"
#define V6   "\0\6\0\20\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1"
#define ECH  "\0\5\0\1x"

struct row {
	const uint8_t *in;
	size_t n;
	const uint8_t *out;
	size_t out_n;
};

/* The input lies in a block of its exact size, for sanitizers. */
static void check(const struct row *row)
{
	uint8_t *in = malloc(row->n + 1);
	uint8_t *out = malloc(row->n + 1);

	assert_non_null(in);
	assert_non_null(out);
	memcpy(in, row->in, row->n);
	in = realloc(in, row->n > 0 ? row->n : 1);
	assert_non_null(in);
	assert_int_equal(svcb_strip(in, row->n, out), row->out_n);
	assert_memory_equal(out, row->out, row->out_n);
	free(in);
	free(out);
}

static void strips_hints(void **state)
{
	static const struct row rows[] = {
		{ OCTETS(HEAD), OCTETS(HEAD) },
		{ OCTETS("\0\0\0"), OCTETS("\0\0\0") },
		{ OCTETS("\0\1\0" V4), OCTETS("\0\1\0") },
		{ OCTETS(HEAD ALPN), OCTETS(HEAD ALPN) },
		{ OCTETS(HEAD V4), OCTETS(HEAD) },
		{ OCTETS(HEAD V6), OCTETS(HEAD) },
		{ OCTETS(HEAD ALPN PORT V4 V6), OCTETS(HEAD ALPN PORT) },
		{ OCTETS(HEAD V4 ECH V6), OCTETS(HEAD ECH) },
		{ OCTETS(HEAD "\377\377\0\0"), OCTETS(HEAD "\377\377\0\0") },
		/* hints of no address, and of several */
		{ OCTETS(HEAD "\0\4\0\0" ECH), OCTETS(HEAD ECH) },
		{ OCTETS(HEAD "\0\4\0\10\12\0\0\1\12\0\0\2" ECH),
		  OCTETS(HEAD ECH) },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
}

static void strips_what_is_mandatory(void **state)
{
	static const struct row rows[] = {
		/* mandatory=alpn */
		{ OCTETS(HEAD "\0\0\0\2\0\1" ALPN V4),
		  OCTETS(HEAD "\0\0\0\2\0\1" ALPN) },
		/* mandatory=ipv4hint: none is left, no parameter */
		{ OCTETS(HEAD "\0\0\0\2\0\4" V4), OCTETS(HEAD) },
		{ OCTETS(HEAD "\0\0\0\4\0\4\0\6" V4 V6), OCTETS(HEAD) },
		/* mandatory=alpn,ipv4hint,ipv6hint */
		{ OCTETS(HEAD "\0\0\0\6\0\1\0\4\0\6" ALPN V4 V6),
		  OCTETS(HEAD "\0\0\0\2\0\1" ALPN) },
		/* mandatory=ipv4hint,ech */
		{ OCTETS(HEAD "\0\0\0\4\0\4\0\5" V4 ECH),
		  OCTETS(HEAD "\0\0\0\2\0\5" ECH) },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
}

static void refuses_what_is_malformed(void **state)
{
	static const struct row rows[] = {
		{ OCTETS(""), NULL, 0 },
		{ OCTETS("\0"), NULL, 0 },
		{ OCTETS("\0\1"), NULL, 0 },
		{ OCTETS("\0\1\1a"), NULL, 0 },
		{ OCTETS("\0\1\5ab\0"), NULL, 0 },
		{ OCTETS("\0\1\300\14"), NULL, 0 },
		{ OCTETS("\0\1\100"
			 "abc\0"),
		  NULL, 0 },
		{ OCTETS(HEAD "\0"), NULL, 0 },
		{ OCTETS(HEAD "\0\4\0"), NULL, 0 },
		{ OCTETS(HEAD "\0\4\0\4\1\2\3"), NULL, 0 },
		{ OCTETS(HEAD "\0\4\377\377\1\2\3"), NULL, 0 },
		{ OCTETS(HEAD ALPN "\0\0\0\2\0"), NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct row row = rows[i];
		row.out = row.in;
		check(&row);
	}
}

static void finds_the_target(void **state)
{
	struct slice target = { NULL, 0 };

	(void)state;
	assert_true(svcb_target(OCTETS(HEAD ALPN), &target));
	assert_int_equal(target.n, 8);
	assert_memory_equal(target.p, "\1a\4test\0", 8);
	assert_true(svcb_target(OCTETS("\0\0\0"), &target));
	assert_int_equal(target.n, 1);

	/* malformed ones leave it alone */
	target = (struct slice){ "x", 1 };
	assert_false(svcb_target(OCTETS("\0\0"), &target));
	assert_false(svcb_target(OCTETS("\0\0\3abc"), &target));
	assert_false(svcb_target(OCTETS("\0\0\300\0"), &target));
	assert_string_equal(target.p, "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strips_hints),
		cmocka_unit_test(strips_what_is_mandatory),
		cmocka_unit_test(refuses_what_is_malformed),
		cmocka_unit_test(finds_the_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
