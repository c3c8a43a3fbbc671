/* SPDX-License-Identifier: MPL-2.0 */
/*
 * origin and honest servers that are asked by UDP and have odd habits: each is
 * answered for, and soon as fast as any.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/origin_one.h"

static int setup(void **state)
{
	(void)state;
	rig_start(&rig);
	return 0;
}

/* BADCOOKIE to many at once, and TCP is closed. */
static void test_bad_cookies_without_tcp(void **state)
{
	(void)state;
	serve('a', false);
	fake_set(fake, FAKE_BAD_ALWAYS);
	for (int i = 0; i < 40; i++)
		assert_int_equal(rig_ask(&rig), 0);
	rig_run(&rig, 8000);
	for (size_t i = 0; i < rig.asked; i++)
		assert_int_equal(rig.outcome[i].status, 0);
	assert_int_equal(stats().failures, 0);
	stop();
}

/* Three tries for each question are too many, even where TCP is open. */
static void test_bad_cookie_always(void **state)
{
	(void)state;
	serve('a', true);
	fake_set(fake, FAKE_BAD_ALWAYS);
	for (int i = 0; i < 3; i++)
		ask_true(3);
	ask_true(1);
	assert_int_equal(fake_cookie_n(fake), 0);
	assert_int_equal(rig_stats(&rig, 0, CONFIG_TCP).sent, 2);
	stop();
}

/* An answer that was cut is no reason to wait for a better one. */
static void test_cookies_are_gone_and_cut(void **state)
{
	(void)state;
	serve('a', true);
	ask_true(1);
	fake_set(fake, FAKE_CUT);
	fake_set_cookie(fake, 0);
	ask_true(2);
	assert_int_equal(stats().dropped[ORIGIN_DROP_NO_COOKIE], 1);
	assert_int_equal(stats().timeouts, 0);
	assert_int_equal(server()->shown & ORIGIN_COOKIE, 0);
	stop();
}

/* A first try that takes all the time there is leaves none for TCP. */
static void odd_without_time(enum fake_habit habit)
{
	int lost = 0;

	rig.origins->tuning.total_ms = 400;
	serve('a', true);
	rig.origin[0].timeout_ms = 400;
	fake_set(fake, habit);
	while (once()->status != 0)
		assert_true(++lost < 5);
	ask_true(1);
	stop();
}

static void test_cookies_of_others_without_time(void **state)
{
	(void)state;
	odd_without_time(FAKE_OTHERS_COOKIE);
}

static void test_folds_without_time(void **state)
{
	(void)state;
	odd_without_time(FAKE_FOLDS);
}

/* Losses together are one: they say nothing about options. */
static void test_losses_are_no_silence(void **state)
{
	(void)state;
	serve('a', true);
	fake_set(fake, FAKE_LOSES_FIRST);
	for (int i = 0; i < 5; i++)
		assert_int_equal(rig_ask(&rig), 0);
	rig_run(&rig, 8000);
	assert_int_equal(stats().timeouts, 5);
	fake_set(fake, FAKE_GOOD);
	ask_true(1);
	assert_int_equal(fake_cookie_n(fake), 8);
	stop();
}

/* It folds as well, as is known already. */
static void test_silence_of_one_that_folds(void **state)
{
	(void)state;
	serve(0, true);
	fake_set(fake, FAKE_FOLDS);
	ask_true(2);
	assert_int_equal(server()->spared, ORIGIN_CASE);
	fake_set(fake, FAKE_MUTE_OPTIONS);
	for (int i = 0; i < 3; i++)
		ask_true(2);
	ask_true(1);
	stop();
}

/*
 * After a standstill, its last socket is closed as it is forgotten: here, one
 * that is given up with its only question.
 */
static void test_forgotten_while_closing(void **state)
{
	(void)state;
	rig.origins->tuning.forged_max = 1;
	rig.origins->tuning.idle_ms = 1;
	rig.origins->tuning.forget_ms = 1;
	serve('a', false);
	rig.origin[0].timeout_ms = 20;
	fake_set(fake, FAKE_SILENT);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(once()->status, -ETIMEDOUT);
		for (int n = 0; !link_empty(&rig.origins->servers); n++) {
			assert_true(n < 2000);
			rig_sleep(&rig, 1);
		}
	}
	stop();
}

#define TEST(name) cmocka_unit_test_setup(test_##name, setup)

int main(void)
{
	sigset_t pipe;
	const struct CMUnitTest tests[] = {
		TEST(bad_cookies_without_tcp),
		TEST(bad_cookie_always),
		TEST(cookies_are_gone_and_cut),
		TEST(cookies_of_others_without_time),
		TEST(folds_without_time),
		TEST(losses_are_no_silence),
		TEST(silence_of_one_that_folds),
		TEST(forgotten_while_closing),
	};

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
