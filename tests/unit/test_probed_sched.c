/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_sched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define N 500u

static uint32_t dice(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* In the order of their times, whatever is put in and taken out between. */
static void takes_in_order(void **state)
{
	struct probed_sched sched = { NULL, 0, 0 };
	struct probed_target *all = calloc(N, sizeof(*all));
	uint32_t seed = 1;
	size_t n = 0;

	(void)state;
	assert_non_null(all);
	assert_int_equal(probed_sched_room(&sched, N), 0);
	for (size_t i = 0; i < N; i++) {
		all[i].due_ms = dice(&seed) % 1000;
		probed_sched_put(&sched, &all[i]);
	}
	for (size_t i = 0; i < N; i += 3) {
		probed_sched_remove(&sched, &all[i]);
		probed_sched_remove(&sched, &all[i]); /* no longer in */
		n++;
	}
	for (size_t i = 0; i < N; i += 9) {
		all[i].due_ms = dice(&seed) % 1000;
		probed_sched_put(&sched, &all[i]);
		n--;
	}
	uint64_t last = 0;
	for (; n < N; n++) {
		uint64_t due = probed_sched_due(&sched);
		assert_true(due >= last);
		assert_true(due == 0 ||
			    probed_sched_take(&sched, due - 1) == NULL);
		struct probed_target *target = probed_sched_take(&sched, due);
		assert_non_null(target);
		assert_int_equal(target->due_ms, due);
		assert_int_equal(target->heap_at, 0);
		last = due;
	}
	assert_int_equal(probed_sched_due(&sched), PROBED_SCHED_NEVER);
	assert_null(probed_sched_take(&sched, UINT64_MAX));
	probed_sched_fini(&sched);
	free(all);
}

static void first_round_is_spread(void **state)
{
	static const struct {
		size_t n;
		uint32_t interval_ms;
		uint64_t spread_ms;
	} rows[] = {
		{ 10, 5000, 1000 },	 { 1000, 60000, 1000 },
		{ 4000, 60000, 4000 },	 { 10000, 5000, 5000 },
		{ 10000, 30000, 10000 },
	};

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		size_t tenths[10] = { 0 };
		for (size_t i = 0; i < rows[r].n; i++) {
			uint64_t phase = probed_sched_phase(
				i, rows[r].n, rows[r].interval_ms);
			assert_true(phase < rows[r].spread_ms);
			tenths[phase * 10 / rows[r].spread_ms]++;
		}
		for (size_t i = 0; i < 10; i++) {
			assert_true(tenths[i] + 2 >= rows[r].n / 10);
			assert_true(tenths[i] <= rows[r].n / 10 + 2);
		}
	}
	/* Neighbours are not together. */
	uint64_t a = probed_sched_phase(5, 1000, 5000);
	uint64_t b = probed_sched_phase(6, 1000, 5000);
	assert_true((a > b ? a - b : b - a) > 200);
}

static void jitter_stays_within(void **state)
{
	(void)state;
	assert_int_equal(probed_sched_next(1000, 5000, 0, 0), 6000);
	assert_int_equal(probed_sched_next(1000, 5000, 0, UINT32_MAX), 6000);
	assert_int_equal(probed_sched_next(1000, 5000, 10, 0), 5500);
	assert_int_equal(probed_sched_next(1000, 5000, 10, UINT32_MAX), 6500);
	assert_int_equal(probed_sched_next(1000, 5000, 10, UINT32_MAX / 2),
			 6000);
	/* A day, half of it. */
	assert_int_equal(probed_sched_next(0, 86400000, 50, UINT32_MAX),
			 129600000);
}

static void missed_slots_are_not_made_up_for(void **state)
{
	struct config_service service = { .interval_ms = 2000 };
	struct probed_target target = { .service = &service,
					.state = PROBED_UP,
					.due_ms = 10000 };

	(void)state;
	assert_false(probed_sched_missed(&target, 10000));
	assert_false(probed_sched_missed(&target, 10500)); /* a quarter */
	assert_int_equal(target.due_ms, 10000);

	/* Stopped for a minute: in its phase, and in the future. */
	assert_true(probed_sched_missed(&target, 71234));
	assert_int_equal(target.due_ms, 72000);
	/* A machine that is always late gets its tests all the same. */
	assert_false(probed_sched_missed(&target, 79000));
	assert_int_equal(target.due_ms, 72000);
	assert_true(probed_sched_missed(&target, 79000));
	assert_int_equal(target.due_ms, 80000);

	/* However long the interval, a second is late. */
	service.interval_ms = 3600000;
	target.skipped = false;
	assert_false(probed_sched_missed(&target, 81000));
	assert_true(probed_sched_missed(&target, 81001));
	assert_int_equal(target.due_ms, 3680000);
}

/* Turns are spread over the interval, whenever the first tests were. */
static void turns_are_spread(void **state)
{
	enum { COUNT = 10000, PARTS = 20, INTERVAL = 60000 };
	static unsigned parts[PARTS];

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		uint64_t first = 500 + probed_sched_phase(i, COUNT, INTERVAL);
		uint64_t turn = probed_sched_turn(i, 500, first, INTERVAL);
		assert_true(turn >= first + INTERVAL / 10);
		assert_true(turn < first + INTERVAL / 10 + INTERVAL);
		parts[(turn - 500) % INTERVAL / (INTERVAL / PARTS)]++;
	}
	for (size_t i = 0; i < PARTS; i++)
		assert_in_range(parts[i], COUNT / PARTS * 98 / 100,
				COUNT / PARTS * 102 / 100);
}

/* While tests disagree with the state, the next one comes sooner, and the turns
 * of the interval stay where they are. */
static void doubt_is_resolved_sooner(void **state)
{
	struct config_service service = {
		.interval_ms = 10000, .fast_ms = 2000, .rise = 2, .fall = 3
	};
	struct probed_target target = { .service = &service,
					.state = PROBED_UP,
					.error = PROBE_OK,
					.run = 7,
					.begun_ms = 50000,
					.regular_ms = 60000 };

	(void)state;
	assert_int_equal(probed_sched_after(&target, 50010), 60000);
	target.error = PROBE_REFUSED;
	target.run = 1;
	assert_int_equal(probed_sched_after(&target, 50010), 52000);
	/* It took longer than that. */
	assert_int_equal(probed_sched_after(&target, 53000), 53000);
	/* The turn comes first. */
	target.begun_ms = 59000;
	assert_int_equal(probed_sched_after(&target, 59010), 60000);
	/* No doubt any more. */
	target.begun_ms = 50000;
	target.run = 3;
	target.state = PROBED_DOWN;
	assert_int_equal(probed_sched_after(&target, 50010), 60000);
	target.error = PROBE_OK;
	target.run = 1;
	assert_int_equal(probed_sched_after(&target, 50010), 52000);
	target.run = 2; /* something else holds it down */
	assert_int_equal(probed_sched_after(&target, 50010), 60000);
	target.state = PROBED_UNTESTED;
	assert_int_equal(probed_sched_after(&target, 50010), 60000);
}

static void first_tests_are_never_missed(void **state)
{
	struct config_service service = { .interval_ms = 1000 };
	struct probed_target target = { .service = &service, .due_ms = 10000 };

	(void)state;
	assert_false(probed_sched_missed(&target, 99000));
	assert_int_equal(target.due_ms, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_in_order),
		cmocka_unit_test(first_round_is_spread),
		cmocka_unit_test(jitter_stays_within),
		cmocka_unit_test(missed_slots_are_not_made_up_for),
		cmocka_unit_test(turns_are_spread),
		cmocka_unit_test(doubt_is_resolved_sooner),
		cmocka_unit_test(first_tests_are_never_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
