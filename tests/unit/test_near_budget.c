/* SPDX-License-Identifier: MPL-2.0 */
/* How many packets may be sent, in virtual time. */
#include "probes-client/near_budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS_NS	  UINT64_C(1000000)
#define SECOND_NS (1000 * MS_NS)
#define START_NS  (5 * SECOND_NS)

/* Sends what it may every 'step_ms' for 'ms'; the times are in 'sent_ns'. */
static size_t run(struct near_budget *b, uint64_t *now_ns, uint64_t ms,
		  uint64_t step_ms, uint64_t *sent_ns, size_t max)
{
	size_t n = 0;

	for (uint64_t t = 0; t < ms; t += step_ms) {
		*now_ns += step_ms * MS_NS;
		while (n < max && near_budget_may(b, *now_ns)) {
			near_budget_note(b, *now_ns);
			sent_ns[n++] = *now_ns;
		}
	}
	return n;
}

/* The most that were sent in any second. */
static size_t most_of(const uint64_t *sent_ns, size_t n)
{
	size_t most = 0;

	for (size_t i = 0; i < n; i++) {
		size_t k = i;
		while (k < n && sent_ns[k] - sent_ns[i] < SECOND_NS)
			k++;
		if (k - i > most)
			most = k - i;
	}
	return most;
}

static void test_no_second_has_more(void **unused)
{
	static const uint32_t rates[] = { 1, 2, 7, 50, 333, 1000 };
	static const uint64_t steps[] = { 1, 13, 20, 250 };
	static uint64_t sent_ns[20000];

	(void)unused;
	for (size_t r = 0; r < 6; r++)
		for (size_t s = 0; s < 4; s++) {
			struct near_budget b = { 0 };
			uint64_t now_ns = START_NS;
			assert_int_equal(near_budget_set(&b, rates[r]), 0);
			size_t n = run(&b, &now_ns, 10000, steps[s], sent_ns,
				       20000);
			assert_in_range(most_of(sent_ns, n), 1, rates[r]);
			/* and, looked at often, nearly all of it is used */
			if (steps[s] <= 20)
				assert_true((double)n >= 8.5 * rates[r] - 1);
			near_budget_fini(&b);
		}
}

static void test_no_burst_after_a_stop(void **unused)
{
	struct near_budget b = { 0 };
	uint64_t now_ns = START_NS;
	static uint64_t sent_ns[1000];

	(void)unused;
	assert_int_equal(near_budget_set(&b, 100), 0);
	(void)run(&b, &now_ns, 5000, 20, sent_ns, 1000);
	now_ns += 60 * SECOND_NS;
	/* at once one and a fiftieth of a second's; then as before */
	assert_int_equal(run(&b, &now_ns, 1, 1, sent_ns, 1000), 3);
	size_t n = run(&b, &now_ns, 1000, 20, sent_ns, 1000);
	assert_in_range(n, 90, 100);
	assert_true(sent_ns[9] - sent_ns[0] >= 70 * MS_NS);
	near_budget_fini(&b);
}

/* A new rate does not forget what was sent just now. */
static void test_another_rate(void **unused)
{
	struct near_budget b = { 0 };
	uint64_t now_ns = START_NS;
	static uint64_t sent_ns[4000];

	(void)unused;
	assert_false(near_budget_may(&b, now_ns));
	assert_int_equal(near_budget_set(&b, 50), 0);
	size_t n = run(&b, &now_ns, 1500, 20, sent_ns, 1000);
	assert_int_equal(near_budget_set(&b, 20), 0);
	size_t more = run(&b, &now_ns, 500, 20, sent_ns + n, 1000);
	assert_int_equal(more, 0);
	assert_int_equal(near_budget_set(&b, 80), 0);
	n += run(&b, &now_ns, 5000, 20, sent_ns + n, 3000);
	assert_in_range(most_of(sent_ns, n), 50, 80);
	near_budget_fini(&b);
}

static void test_an_hour(void **unused)
{
	static const uint32_t rates[] = { 1, 2, 3, 20, 41, 3600, 36000 };
	static uint32_t sent_ds[40000 * 3];

	(void)unused;
	for (size_t r = 0; r < 7; r++) {
		uint32_t word = 0;
		size_t n = 0;
		/* as greedy as can be, for three hours */
		for (uint32_t now = 1; now < 3 * 36000; now++)
			while (near_hour_may(word, rates[r], now)) {
				word = near_hour_note(word, rates[r], now);
				sent_ds[n++] = now;
			}
		size_t most = 0;
		for (size_t i = 0, k = 0; i < n; i++) {
			while (k < n && sent_ds[k] - sent_ds[i] < 36000)
				k++;
			if (k - i > most)
				most = k - i;
		}
		assert_in_range(most, 1, rates[r]);
		assert_true(n >= rates[r]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_second_has_more),
		cmocka_unit_test(test_no_burst_after_a_stop),
		cmocka_unit_test(test_another_rate),
		cmocka_unit_test(test_an_hour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
