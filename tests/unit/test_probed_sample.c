/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_sample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct formula formula;
static struct probed_sample sample, other;

/* Reads 'text' by 'formula_text' in pieces of that size. */
static void take(struct probed_sample *s, const char *formula_text,
		 const char *text, size_t piece)
{
	struct slice left = slice_of(text);

	assert_int_equal(formula_parse(slice_of(formula_text), &formula, NULL),
			 0);
	probed_sample_init(s, &formula);
	while (left.n > 0) {
		size_t n = left.n < piece ? left.n : piece;
		assert_true(probed_sample_feed(s, (struct slice){ left.p, n }));
		left.p += n;
		left.n -= n;
	}
	probed_sample_end(s);
}

static double worked(const char *formula_text, const char *text)
{
	struct slice missing;
	double value = -1;

	take(&sample, formula_text, text, 1);
	assert_int_equal(probed_sample_work(&sample, NULL, 1, &value, &missing),
			 PROBED_WORKED);
	probed_sample_fini(&sample);
	return value;
}

static void picks_what_is_asked_for(void **state)
{
	static const char text[] =
		"# HELP node_load1 1m load average.\n# TYPE node_load1 gauge\n"
		"node_load1 0.5\nnode_load15 9\nnode_load1x 7\n"
		"\t \nnode_load1{ 3\nnode_load1 x\nnode_load1\n{a=\"b\"} 4\n"
		"node_x{a=\"b\",c=\"d\"} 10 1700000000000\n"
		"node_x{a=\"b\",c=\"e\"} 1e2\r\n"
		"node_x{a=\"q\\\"}\",c=\"d\",} 1000\nnode_x 5";

	(void)state;
	assert_true(fabs(worked("load1", text) - 0.5) < 1e-9);
	assert_true(fabs(worked("node_x", text) - 1115) < 1e-9);
	assert_true(fabs(worked("node_x{a=\"b\"}", text) - 110) < 1e-9);
	assert_true(fabs(worked("node_x{a!=\"b\"}", text) - 1005) < 1e-9);
	assert_true(fabs(worked("node_x{a=\"b\",c!=\"d\"}", text) - 100) <
		    1e-9);
	assert_true(fabs(worked("count(node_x{c=\"d\"})", text) - 2) < 1e-9);
	assert_true(fabs(worked("count(node_none)", text)) < 1e-9);
	assert_true(fabs(worked("node_x{a=\"\"}", text) - 5) < 1e-9);
}

static void says_what_is_missing(void **state)
{
	struct slice missing = { NULL, 0 };
	double value = -1;

	(void)state;
	take(&sample, "load1 + node_gone", "node_load1 1\n", 3);
	assert_int_equal(probed_sample_work(&sample, NULL, 1, &value, &missing),
			 PROBED_MISSING);
	assert_true(slice_is(missing, "node_gone"));
	take(&sample, "1 / node_load1", "node_load1 0\n", 3);
	assert_int_equal(probed_sample_work(&sample, NULL, 1, &value, &missing),
			 PROBED_NO_VALUE);
	take(&sample, "load1", "node_load1 NaN\n", 3);
	assert_int_equal(probed_sample_work(&sample, NULL, 1, &value, &missing),
			 PROBED_NO_VALUE);
}

static void rates(void **state)
{
	static const char before[] = "x{d=\"a\"} 100\nx{d=\"b\"} 1000\n"
				     "x{d=\"gone\"} 5000\n";
	/* in another order; 'a' grew, 'b' began anew, 'new' is new */
	static const char now[] = "x{d=\"new\"} 7777\nx{d=\"b\"} 30\n"
				  "x{d=\"a\"} 150\n";
	struct slice missing;
	double value = -1;

	(void)state;
	take(&other, "rate(x)", before, 1000);
	assert_int_equal(probed_sample_work(&other, NULL, 1, &value, &missing),
			 PROBED_NO_BEFORE);
	take(&sample, "rate(x)", now, 5);
	assert_int_equal(
		probed_sample_work(&sample, other.picked, 4, &value, &missing),
		PROBED_WORKED);
	assert_true(fabs(value - 20) < 1e-9);
	probed_sample_fini(&sample);
	probed_sample_fini(&other);
	probed_sample_fini(&other);
}

static void is_bounded(void **state)
{
	char line[64], *much = calloc(1, 65536);
	double value = 0;
	struct slice missing;
	bool more = true;

	(void)state;
	assert_non_null(much);
	take(&sample, "rate(x)", "", 1);
	for (unsigned i = 0; i < PROBED_SAMPLE_SERIES_MAX + 1; i++) {
		snprintf(line, sizeof(line), "x{d=\"%u\"} 1\n", i);
		more = probed_sample_feed(&sample, slice_of(line));
	}
	assert_false(more);
	assert_true(sample.too_many);
	probed_sample_fini(&sample);

	take(&sample, "load1", "", 1);
	memset(much, 'x', 65536);
	for (unsigned i = 0; i < PROBED_SAMPLE_TEXT_MAX / 65536; i++)
		assert_true(probed_sample_feed(&sample,
					       (struct slice){ much, 65536 }));
	assert_false(probed_sample_feed(&sample, slice_of("x")));
	assert_true(sample.too_long);

	/* A line that is too long is skipped, and no other. */
	take(&sample, "load1", "", 1);
	assert_true(probed_sample_feed(&sample, slice_of("node_load1 1\n")));
	assert_true(probed_sample_feed(&sample, (struct slice){ much, 65536 }));
	assert_true(probed_sample_feed(&sample, slice_of("\nnode_load1 2\n")));
	assert_int_equal(probed_sample_work(&sample, NULL, 1, &value, &missing),
			 PROBED_WORKED);
	assert_true(fabs(value - 3) < 1e-9);
	free(much);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(picks_what_is_asked_for),
		cmocka_unit_test(says_what_is_missing),
		cmocka_unit_test(rates),
		cmocka_unit_test(is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
