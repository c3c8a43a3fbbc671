/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/table.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/probe.h"

#define ROUNDS 200000u

static void test_never(void **state)
{
	struct gtm_slot slot = { 0 };
	struct gtm_value value;

	(void)state;
	gtm_slot_read(&slot, &value);
	assert_int_equal(value.state, GTM_NEVER);
	assert_int_equal(value.when_ms, 0);
	assert_int_equal(value.since_ms, 0);
	assert_int_equal(value.up_ms, 0);
	assert_int_equal(value.rows, 0);
	assert_int_equal(gtm_slot_glance(&slot).state, GTM_NEVER);
}

/* Every field at its limits, none spilling into another. */
static void test_limits(void **state)
{
	static const uint32_t metrics[] = { 0, 1, 65535, GTM_METRIC_MAX };
	static const uint16_t errors[] = { 0, 1, UINT16_MAX };

	(void)state;
	for (size_t m = 0; m < 4; m++)
		for (size_t e = 0; e < 3; e++) {
			struct gtm_slot slot = { 0 };
			struct gtm_value v;
			assert_true(gtm_slot_put(&slot, GTM_DOWN, metrics[m],
						 errors[e], GTM_TIME_MAX - 1));
			assert_true(gtm_slot_put(&slot, GTM_UP, metrics[m],
						 errors[e], GTM_TIME_MAX));
			gtm_slot_read(&slot, &v);
			assert_int_equal(v.state, GTM_UP);
			assert_int_equal(v.metric, metrics[m]);
			assert_int_equal(v.error, errors[e]);
			assert_int_equal(v.when_ms, GTM_TIME_MAX);
			assert_int_equal(v.since_ms, GTM_TIME_MAX);
			assert_int_equal(v.up_ms, GTM_TIME_MAX);
			assert_int_equal(v.rows, 2);
		}
}

/* What a slot said, another one can be made to say: also nothing. */
static void test_set(void **state)
{
	struct gtm_slot slot = { 0 };
	struct gtm_slot other = { 0 };
	struct gtm_value v;
	struct gtm_value w;

	(void)state;
	assert_true(gtm_slot_put(&slot, GTM_UP, 7, 0, 100));
	assert_true(gtm_slot_put(&slot, GTM_DOWN, 65535, 9, 200));
	gtm_slot_read(&slot, &v);
	assert_true(gtm_slot_put(&other, GTM_UP, 1, 0, 5000));
	gtm_slot_set(&other, &v); /* though it is older */
	gtm_slot_read(&other, &w);
	assert_int_equal(w.state, GTM_DOWN);
	assert_int_equal(w.error, 9);
	assert_int_equal(w.metric, 65535);
	assert_int_equal(w.when_ms, 200);
	assert_int_equal(w.since_ms, 200);
	assert_int_equal(w.up_ms, 100);
	assert_int_equal(w.rows, 2);
	gtm_slot_set(&other, &(struct gtm_value){ .state = GTM_NEVER });
	assert_int_equal(gtm_slot_glance(&other).state, GTM_NEVER);
	assert_true(gtm_slot_put(&other, GTM_UP, 1, 0, 1));
}

static void test_older_never_overwrites(void **state)
{
	struct gtm_slot slot = { 0 };
	struct gtm_value value;

	(void)state;
	assert_true(gtm_slot_put(&slot, GTM_UP, 7, 0, 100));
	assert_false(gtm_slot_put(&slot, GTM_DOWN, 9, 2, 100));
	assert_false(gtm_slot_put(&slot, GTM_DOWN, 9, 2, 99));
	assert_false(gtm_slot_put(&slot, GTM_DOWN, 9, 2, 1));
	gtm_slot_read(&slot, &value);
	assert_int_equal(value.state, GTM_UP);
	assert_int_equal(value.metric, 7);
	assert_int_equal(value.error, 0);
	assert_int_equal(value.when_ms, 100);
	assert_int_equal(value.rows, 1);
	assert_true(gtm_slot_put(&slot, GTM_DOWN, 9, 2, 101));
}

static void test_since_and_up(void **state)
{
	struct gtm_slot slot = { 0 };
	struct gtm_value value;

	(void)state;
	assert_true(gtm_slot_put(&slot, GTM_UP, 5, 0, 10));
	assert_true(gtm_slot_put(&slot, GTM_UP, 6, PROBE_TIMEOUT, 20));
	gtm_slot_read(&slot, &value);
	assert_int_equal(value.since_ms, 10);
	assert_int_equal(value.up_ms, 20);
	assert_int_equal(value.error, PROBE_TIMEOUT);
	assert_true(gtm_slot_put(&slot, GTM_DOWN, 7, PROBE_REFUSED, 30));
	assert_true(gtm_slot_put(&slot, GTM_DOWN, 7, PROBE_RESET, 40));
	gtm_slot_read(&slot, &value);
	assert_int_equal(value.state, GTM_DOWN);
	assert_int_equal(value.since_ms, 30);
	assert_int_equal(value.up_ms, 20);
	assert_int_equal(value.error, PROBE_RESET);
	assert_int_equal(value.rows, 4);
}

static struct gtm_slot shared;
static _Atomic bool done;

/* State, metric and time of a glance always belong together. */
static void *reader(void *bad)
{
	uint64_t last_ms = 0;
	struct gtm_value value;

	while (!atomic_load(&done)) {
		struct gtm_glance g = gtm_slot_glance(&shared);
		if (g.when_ms < last_ms)
			*(int *)bad += 1;
		last_ms = g.when_ms;
		if (g.state != GTM_NEVER &&
		    (g.metric != (g.when_ms & 0xffff) ||
		     (g.state == GTM_UP) != (g.when_ms % 3 == 0)))
			*(int *)bad += 1;
		gtm_slot_read(&shared, &value);
		if (value.up_ms % 3 != 0)
			*(int *)bad += 1;
	}
	return NULL;
}

static void test_readers(void **state)
{
	pthread_t thread[3];
	int bad[3] = { 0 };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, reader, &bad[i]), 0);
	for (uint64_t ms = 1; ms <= ROUNDS; ms++)
		assert_true(gtm_slot_put(
			&shared, ms % 3 == 0 ? GTM_UP : GTM_DOWN,
			(uint32_t)(ms & 0xffff), (uint16_t)(ms & 0xff), ms));
	atomic_store(&done, true);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(thread[i], NULL), 0);
		assert_int_equal(bad[i], 0);
	}
}

static void test_probe_error(void **state)
{
	(void)state;
	for (int64_t i = 0; i < PROBE_ERRORS; i++) {
		assert_non_null(probe_error_text(i));
		assert_string_not_equal(probe_error_text(i), "error");
	}
	assert_string_equal(probe_error_text(PROBE_REFUSED),
			    "connection refused");
	assert_string_equal(probe_error_text(-1), "error");
	assert_string_equal(probe_error_text(PROBE_ERRORS), "error");
	assert_string_equal(probe_error_text(INT64_MAX), "error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_older_never_overwrites),
		cmocka_unit_test(test_since_and_up),
		cmocka_unit_test(test_readers),
		cmocka_unit_test(test_probe_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
