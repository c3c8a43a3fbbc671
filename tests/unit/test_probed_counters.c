/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_counters.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define GBIT UINT64_C(1000000000)

static struct probed_counters look(uint64_t when_s, uint32_t uptime_s,
				   uint64_t in, uint64_t out, bool wide)
{
	struct probed_counters c = { .when_ms = when_s * 1000,
				     .uptime_cs = uptime_s * 100,
				     .n = 1 };

	c.of[0] = (struct probed_counter){ in, out, 7, wide };
	return c;
}

static void adds_up(void **state)
{
	struct probed_counters a = look(100, 5000, 1000, 0, true);
	struct probed_counters b = look(110, 5010, 2000, 500, true);
	double in = 0, out = 0;

	(void)state;
	a.n = b.n = 2;
	a.of[1] = (struct probed_counter){ 50, 60, 0, false };
	b.of[1] = (struct probed_counter){ 300, 60, 0, false };
	assert_int_equal(probed_counters_rate(&b, &a, GBIT, &in, &out),
			 PROBED_RATE);
	assert_true(fabs(in - 1000) < 1e-9);
	assert_true(fabs(out - 400) < 1e-9);
}

static void wraps(void **state)
{
	struct probed_counters a =
		look(100, 5000, UINT64_MAX - 99, UINT64_MAX, true);
	struct probed_counters b = look(110, 5010, 900, 0, true);
	double in = 0, out = 0;

	(void)state;
	assert_int_equal(probed_counters_rate(&b, &a, GBIT, &in, &out),
			 PROBED_RATE);
	assert_true(fabs(in - 800) < 1e-9 && fabs(out - 0.8) < 1e-9);
	a = look(100, 5000, UINT32_MAX - 99, 0, false);
	b = look(110, 5010, 900, 0, false);
	assert_int_equal(probed_counters_rate(&b, &a, GBIT, &in, &out),
			 PROBED_RATE);
	assert_true(fabs(in - 800) < 1e-9);
	/* sysUpTime wraps after 497 days */
	a = look(100, 0, 0, 0, true);
	a.uptime_cs = UINT32_MAX - 500;
	b = look(110, 0, 1000, 0, true);
	b.uptime_cs = 499;
	assert_int_equal(probed_counters_rate(&b, &a, GBIT, &in, &out),
			 PROBED_RATE);
}

static void begins_anew(void **state)
{
	const struct probed_counters a = look(100, 5000, 1000, 1000, true);
	struct probed_counters b = look(110, 5, 2000, 2000, true);
	double in = 0, out = 0;

	(void)state; /* the switch restarted */
	assert_int_equal(probed_counters_rate(&b, &a, GBIT, &in, &out),
			 PROBED_ANEW);
	b = look(110, 5010, 10, 2000, true); /* it went back */
	assert_int_equal(probed_counters_rate(&b, &a, GBIT, &in, &out),
			 PROBED_ANEW);
	b = look(110, 5010, 2000, 2000, true); /* it says so */
	b.of[0].begun++;
	assert_int_equal(probed_counters_rate(&b, &a, GBIT, &in, &out),
			 PROBED_ANEW);
	b = look(110, 5010, 2000, 2000, false); /* other counters */
	assert_int_equal(probed_counters_rate(&b, &a, GBIT, &in, &out),
			 PROBED_ANEW);
	b = look(100, 5000, 2000, 2000, true); /* no time has gone by */
	assert_int_equal(probed_counters_rate(&b, &a, GBIT, &in, &out),
			 PROBED_ANEW);
	b = look(110, 5010, 2000, 2000, true);
	b.n = 0;
	assert_int_equal(probed_counters_rate(&b, &a, GBIT, &in, &out),
			 PROBED_ANEW);
	assert_true(fabs(in) < 1e-9 && fabs(out) < 1e-9);
}

static void is_too_fast_for_32_bits(void **state)
{
	const struct probed_counters a = look(100, 5000, 0, 0, false);
	const struct probed_counters b = look(130, 5030, 9, 0, false);
	double in = 0, out = 0;

	(void)state; /* 1 Gbit/s for 30 s are 3.75e9 octets */
	assert_int_equal(probed_counters_rate(&b, &a, GBIT, &in, &out),
			 PROBED_RATE);
	assert_int_equal(probed_counters_rate(&b, &a, 2 * GBIT, &in, &out),
			 PROBED_TOO_FAST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_up),
		cmocka_unit_test(wraps),
		cmocka_unit_test(begins_anew),
		cmocka_unit_test(is_too_fast_for_32_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
