/* SPDX-License-Identifier: MPL-2.0 */
#include "common/formula.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void reads_numbers(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		double is;
	} rows[] = {
		{ "0", 1, 0 },
		{ "12", 2, 12 },
		{ "12.5x", 4, 12.5 },
		{ ".5", 2, 0.5 },
		{ "5.", 2, 5 },
		{ "-3", 2, -3 },
		{ "+3", 2, 3 },
		{ "1.5e+09", 7, 1.5e9 },
		{ "1e3", 3, 1000 },
		{ "25E-2", 5, 0.25 },
		{ "1e", 1, 1 },
		{ "1e+", 1, 1 },
		{ "1.2.3", 3, 1.2 },
		{ "0.000", 5, 0 },
		{ "0e999999999", 11, 0 },
		{ "9007199254740993", 16, 9007199254740992.0 },
		{ "100000000000000000000000", 24, 1e23 },
		{ "+Inf", 4, (double)INFINITY },
		{ "-inf", 4, -(double)INFINITY },
		{ "1e999", 5, (double)INFINITY },
		{ "1e-999", 6, 0 },
		{ "", 0, 0 },
		{ "-", 0, 0 },
		{ ".", 0, 0 },
		{ "e5", 0, 0 },
		{ "x", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		double is = 0;
		assert_int_equal(formula_number(slice_of(rows[i].text), &is),
				 rows[i].n);
		if (rows[i].n == 0)
			continue;
		if (isinf(rows[i].is))
			assert_true(is == rows[i].is);
		else
			assert_true(fabs(is - rows[i].is) <=
				    1e-12 * fabs(rows[i].is));
	}
	double nan = 0;
	assert_int_equal(formula_number(slice_of("NaN"), &nan), 3);
	assert_true(isnan(nan));
}

/* What a formula without series comes to. */
static double value_of(const char *text)
{
	static const double none[FORMULA_PICKS_MAX] = { 0 };
	struct formula formula;
	double value = 0;

	assert_int_equal(formula_parse(slice_of(text), &formula, NULL), 0);
	assert_true(formula_value(&formula, none, &value));
	return value;
}

static void works_out(void **state)
{
	static const struct {
		const char *text;
		double is;
	} rows[] = {
		{ "7", 7 },
		{ " 1 + 2 * 3 ", 7 },
		{ "(1+2)*3", 9 },
		{ "8 - 4 - 2", 2 },
		{ "8 / 4 / 2", 1 },
		{ "- 2 * - 3", 6 },
		{ "--2", 2 },
		{ "2 - -2", 4 },
		{ "min(3, 1, 2)", 1 },
		{ "max(3, 1 + 5, 2)", 6 },
		{ "min(4)", 4 },
		{ "max(min(1, 2), 0.5) * 10", 10 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_true(fabs(value_of(rows[i].text) - rows[i].is) < 1e-9);
}

static void refuses(void **state)
{
	static const struct {
		const char *text;
		size_t at;
	} rows[] = {
		{ "", 0 },
		{ "1 +", 3 },
		{ "1 2", 2 },
		{ "(1", 2 },
		{ "1)", 1 },
		{ "load2", 0 },
		{ "1 + lode1", 4 },
		{ "other_total", 0 },
		{ "rate(1)", 5 },
		{ "rate()", 5 },
		{ "rate load1", 5 },
		{ "sum(x{a})", 7 },
		{ "sum(x{a=b})", 8 },
		{ "sum(x{a=\"b)", 11 },
		{ "sum(x{})", 6 },
		{ "min()", 4 },
		{ "min(1,)", 6 },
		{ "1 ^ 2", 2 },
		{ "\1", 0 },
	};
	struct formula formula;
	struct formula_fault fault;
	char long_text[FORMULA_TEXT_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
			formula_parse(slice_of(rows[i].text), &formula, &fault),
			-EINVAL);
		assert_non_null(fault.why);
		assert_int_equal(fault.at, rows[i].at);
	}
	memset(long_text, '1', sizeof(long_text));
	struct slice text = { long_text, FORMULA_TEXT_MAX + 1 };
	assert_int_equal(formula_parse(text, &formula, NULL), -EINVAL);
	text.n = FORMULA_TEXT_MAX;
	assert_int_equal(formula_parse(text, &formula, NULL), 0);
	memset(long_text, '(', sizeof(long_text));
	assert_int_equal(formula_parse(text, &formula, NULL), -EINVAL);
	memset(long_text, '-', sizeof(long_text));
	assert_int_equal(formula_parse(text, &formula, NULL), -EINVAL);
	for (size_t i = 0; i + 1 < FORMULA_TEXT_MAX; i += 2)
		memcpy(long_text + i, "1+", 2);
	assert_int_equal(formula_parse(text, &formula, NULL), -EINVAL);
}

static void picks_each_series_once(void **state)
{
	struct formula f;
	double values[] = { 0.5, 300 };
	double load = 0;

	(void)state;
	assert_int_equal(
		formula_parse(slice_of("load1 + node_load1 * load1"), &f, NULL),
		0);
	assert_int_equal(f.n_picks, 1);
	assert_true(slice_is(f.picks[0].name, "node_load1"));
	assert_true(formula_value(&f, values, &load));
	assert_true(fabs(load - 0.75) < 1e-9);
	assert_int_equal(
		formula_parse(slice_of("rate(x{a=\"b\", c != \"d\"}) + "
				       "sum(x{a=\"b\",c!=\"d\"}) - "
				       "rate(x{a=\"b\",c=\"d\"})"),
			      &f, NULL),
		0);
	assert_int_equal(f.n_picks, 3);
	assert_int_equal(f.picks[0].how, FORMULA_RATE);
	assert_int_equal(f.picks[0].n_labels, 2);
	assert_true(f.picks[0].labels[1].differs);
	assert_true(slice_is(f.picks[0].labels[1].value, "d"));
}

static void every_name_of_ours_is_read(void **state)
{
	struct formula f;

	(void)state;
	for (size_t i = 0; formula_names[i].name != NULL; i++) {
		assert_int_equal(formula_parse(slice_of(formula_names[i].name),
					       &f, NULL),
				 0);
		assert_true(f.n_picks >= 1);
	}
	assert_int_equal(formula_parse(slice_of(FORMULA_DEFAULT), &f, NULL), 0);
	assert_int_equal(f.n_picks, 3);
	double values[] = { 1.5, 2e9, 1.7e9 };
	double load = 0;
	assert_true(formula_value(&f, values, &load));
	assert_true(fabs(load - 315) < 1e-6);
}

static void has_no_value(void **state)
{
	static const char *const texts[] = { "1 / count(x)", "0 / count(x)",
					     "count(x) / -0.0", "sum(y) * 1",
					     "1e300 * 1e300" };
	struct formula f;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		double values[] = { i == 3 ? (double)NAN : 0 };
		double load = 7;
		assert_int_equal(formula_parse(slice_of(texts[i]), &f, NULL),
				 0);
		assert_false(formula_value(&f, values, &load));
		assert_true(fabs(load - 7) < 1e-9);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_numbers),
		cmocka_unit_test(works_out),
		cmocka_unit_test(refuses),
		cmocka_unit_test(picks_each_series_once),
		cmocka_unit_test(every_name_of_ours_is_read),
		cmocka_unit_test(has_no_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
