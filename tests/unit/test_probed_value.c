/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "probes-client/probed_rows.h"

static struct probed_value value_of(enum probed_value_kind kind, const char *of)
{
	struct probed_value value = { .kind = kind };

	snprintf(value.of, sizeof(value.of), "%s", of);
	return value;
}

static void writes_rows(void **state)
{
	struct probed_value a = value_of(PROBED_LOAD, "fra-a");
	struct probed_value b = value_of(PROBED_BANDWIDTH, "fra");
	struct probed_values values;
	char out[PROBED_BATCH_MAX + 1];

	(void)state;
	probed_values_init(&values);
	probed_values_add(&values, &a);
	probed_values_add(&values, &b);
	assert_int_equal(probed_values_due(&values, 10, 1000),
			 PROBED_VALUE_NEVER);
	assert_int_equal(probed_values_line(&values, "n", 10, out), 0);
	assert_false(probed_value_take(&values, &a, 1, 100));
	assert_int_equal(probed_values_due(&values, 10, 1000), 1100);
	(void)probed_value_take(&values, &b, 12.345, 200);
	/* the newest wins, and keeps the older one's turn */
	(void)probed_value_take(&values, &a, 17.5, 300);
	assert_int_equal(probed_values_due(&values, 10, 1000), 1100);
	assert_int_equal(probed_values_due(&values, 2, 1000), 0);
	values.unix_ms = 1732500001700; /* as the clock is now */
	size_t n = probed_values_line(&values, "fra1", 10, out);
	out[n] = '\0';
	assert_string_equal(
		out, "{\"command\":\"metrics\",\"node\":\"fra1\",\"rows\":["
		     "[\"load\",\"fra-a\",1732500002.000,17.50],"
		     "[\"bandwidth\",\"fra\",1732500001.900,12.35]]}\n");
	assert_int_equal(probed_values_line(&values, "fra1", 10, out), 0);
	probed_values_tell_all(&values);
	n = probed_values_line(&values, "fra1", 1, out);
	out[n] = '\0';
	assert_non_null(strstr(out, "[[\"load\""));
	assert_null(strstr(out, "bandwidth"));
	probed_values_drop(&values, &b);
	probed_values_drop(&values, &b);
	assert_int_equal(probed_values_line(&values, "fra1", 1, out), 0);
}

static void a_batch_is_bounded(void **state)
{
	enum { N = 2000 };
	struct probed_value *all = calloc(N, sizeof(*all));
	struct probed_values values;
	char *out = malloc(PROBED_BATCH_MAX);
	char id[PROBED_VALUE_ID];
	size_t batches = 0;

	(void)state;
	assert_non_null(all);
	assert_non_null(out);
	probed_values_init(&values);
	memset(id, 'x', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	for (size_t i = 0; i < N; i++) {
		all[i] = value_of(PROBED_LOAD, id);
		probed_values_add(&values, &all[i]);
		(void)probed_value_take(&values, &all[i], 16777215.0, 1);
	}
	values.unix_ms = INT64_MAX - 1;
	for (size_t n = 1; n > 0; batches += n > 0) {
		n = probed_values_line(&values, "n", SIZE_MAX, out);
		assert_true(n <= PROBED_BATCH_MAX);
		if (n > 0)
			assert_memory_equal(out + n - 3, "]}\n", 3);
	}
	assert_true(batches >= 2);
	free(all);
	free(out);
}

static void failures_are_told_once(void **state)
{
	struct probed_value a = value_of(PROBED_LOAD, "a");
	struct probed_values values;
	char out[PROBED_BATCH_MAX];

	(void)state;
	probed_values_init(&values);
	probed_values_add(&values, &a);
	assert_true(probed_value_fail(&a, "no answer", 10));
	assert_false(probed_value_fail(&a, "no answer", 20));
	assert_true(probed_value_fail(&a, "refused", 30));
	assert_int_equal(a.since_ms, 10);
	assert_int_equal(a.n_bad, 3);
	assert_string_equal(a.words, "refused");
	/* no value: nothing to tell, whatever happens */
	probed_values_tell_all(&values);
	assert_int_equal(probed_values_line(&values, "n", 10, out), 0);
	assert_true(probed_value_take(&values, &a, 5, 40));
	assert_false(probed_value_take(&values, &a, 5, 50));
	assert_int_equal(a.since_ms, 40);
	assert_true(probed_value_fail(&a, "refused", 60));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_rows),
		cmocka_unit_test(a_batch_is_bounded),
		cmocka_unit_test(failures_are_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
