/* SPDX-License-Identifier: MPL-2.0 */
/*
 * origin against forgers: what is no answer is dropped, the true one that
 * comes after it is taken; and the marks of questions by UDP, of which a
 * server may know some, all or none.  Forged answers say NXDOMAIN.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/origin_one.h"

static unsigned told[ORIGIN_DROPS];

static void on_dropped(void *arg, const struct origin_stats *stats,
		       enum origin_drop why)
{
	(void)arg;
	assert_true(stats->dropped[why] > 0);
	told[why]++;
}

static int setup(void **state)
{
	(void)state;
	rig_start(&rig);
	memset(told, 0, sizeof(told));
	origins_watch_drops(rig.origins, on_dropped, NULL);
	return 0;
}

/* -- a forged answer before the true one */

static void forged(enum fake_habit habit, enum origin_drop why)
{
	serve('a', true);
	ask_true(1);
	fake_set(fake, habit);
	for (uint64_t i = 1; i <= 5; i++) {
		ask_true(1);
		assert_int_equal(stats().dropped[why], i);
		assert_int_equal(stats().bad, i);
	}
	assert_int_equal(told[why], 1);
	assert_int_equal(rig.downs, 0);
	stop();
}

#define FORGED(name, habit, why)                                               \
	static void test_##name(void **state)                                  \
	{                                                                      \
		(void)state;                                                   \
		forged(habit, why);                                            \
	}

FORGED(wrong_id, FAKE_WRONG_ID, ORIGIN_DROP_ID)
FORGED(wrong_name, FAKE_WRONG_NAME, ORIGIN_DROP_QUESTION)
FORGED(wrong_type, FAKE_WRONG_TYPE, ORIGIN_DROP_QUESTION)
FORGED(wrong_class, FAKE_WRONG_CLASS, ORIGIN_DROP_QUESTION)
FORGED(wrong_case, FAKE_WRONG_CASE, ORIGIN_DROP_SPELLING)
FORGED(no_qr, FAKE_NO_QR, ORIGIN_DROP_MALFORMED)
FORGED(no_cookie, FAKE_NO_COOKIE, ORIGIN_DROP_NO_COOKIE)
FORGED(wrong_cookie, FAKE_WRONG_COOKIE, ORIGIN_DROP_COOKIE)
FORGED(long_cookie, FAKE_LONG_COOKIE, ORIGIN_DROP_COOKIE)
FORGED(rubbish, FAKE_RUBBISH, ORIGIN_DROP_MALFORMED)

/* All is right but where it comes from: the kernel keeps it from us. */
static void from_elsewhere(enum fake_habit habit)
{
	serve('a', true);
	fake_set(fake, habit);
	for (int i = 0; i < 5; i++)
		ask_true(1);
	assert_int_equal(stats().bad, 0);
	stop();
}

static void test_wrong_port(void **state)
{
	(void)state;
	from_elsewhere(FAKE_OTHER_PORT);
}

static void test_wrong_address(void **state)
{
	(void)state;
	from_elsewhere(FAKE_OTHER_ADDRESS);
}

/* The right address, even before anything was shown. */
static void test_first_question(void **state)
{
	static const enum fake_habit habits[] = {
		FAKE_WRONG_ID,	  FAKE_WRONG_NAME,   FAKE_WRONG_TYPE,
		FAKE_WRONG_CLASS, FAKE_WRONG_CASE,   FAKE_NO_QR,
		FAKE_RUBBISH,	  FAKE_WRONG_COOKIE,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(habits) / sizeof(habits[0]); i++) {
		serve('a', true);
		fake_set(fake, habits[i]);
		ask_true(1);
		assert_int_equal(stats().bad, 1);
		stop();
		setup(state);
	}
	rig_stop(&rig);
}

/* Who has many tries at one socket ends them: it is given up. */
static void test_flood(void **state)
{
	(void)state;
	serve('a', true);
	fake_set(fake, FAKE_FLOOD);
	ask_true(2);
	assert_int_equal(rig_stats(&rig, 0, CONFIG_TCP).answered, 1);
	assert_int_equal(stats().answered, 0);
	assert_int_equal(stats().dropped[ORIGIN_DROP_ID], 32);
	assert_int_equal(stats().connections, 0);
	assert_int_equal(stats().in_flight, 0);
	fake_set(fake, FAKE_GOOD);
	ask_true(1);
	assert_int_equal(stats().answered, 1);
	stop();
}

/* No TCP: once more by UDP, from another port, and no more than that. */
static void test_flood_without_tcp(void **state)
{
	(void)state;
	serve('a', false);
	fake_set(fake, FAKE_FLOOD);
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(once()->status, -EBADMSG);
		assert_int_equal(stats().dropped[ORIGIN_DROP_ID], i * 64);
		assert_int_equal(stats().in_flight, 0);
	}
	assert_int_equal(server()->shown, 0);
	assert_int_equal(stats().failures, 0); /* it is not to blame */
	fake_set(fake, FAKE_GOOD);
	ask_true(1);
	stop();
}

/* The same, where only a cookie can be guessed at: it is waited for. */
static void test_flood_without_tcp_but_a_cookie(void **state)
{
	(void)state;
	serve('a', false);
	ask_true(1);
	fake_set(fake, FAKE_FLOOD);
	for (int i = 0; i < 5; i++) {
		struct outcome *outcome = once();
		assert_int_equal(outcome->status, 0);
		assert_int_equal(outcome->rcode, 0);
		assert_in_range(outcome->tries, 2, 3);
	}
	assert_int_equal(rig.downs, 1); /* TCP */
	assert_int_equal(stats().failures, 0);
	stop();
}

static void test_flood_of_many(void **state)
{
	(void)state;
	serve('a', true);
	rig.origin[0].timeout_ms = 3000;
	fake_set(fake, FAKE_FLOOD);
	for (int i = 0; i < 200; i++)
		assert_int_equal(rig_ask(&rig), 0);
	rig_run(&rig, 8000);
	for (size_t i = 0; i < rig.asked; i++) {
		assert_int_equal(rig.outcome[i].status, 0);
		assert_int_equal(rig.outcome[i].rcode, 0);
	}
	stop();
}

/* An ID that is nobody's: true if it is not held against the socket. */
static bool is_free(struct sock *sock)
{
	uint8_t msg[12] = { 0, 0, 0x80 };
	uint64_t dropped = stats().dropped[ORIGIN_DROP_ID];

	assert_int_equal(sock->lane.n, 0);
	origin_lane_message(&sock->lane, msg, sizeof(msg), uv_hrtime());
	return stats().dropped[ORIGIN_DROP_ID] == dropped;
}

/* A guess for each answer that may be late: not more in all than others. */
static void test_guesses_at_late_answers(void **state)
{
	struct {
		const struct sock *sock;
		uint32_t asked, n;
	} seen[ORIGIN_UDP_POOL] = { { NULL, 0, 0 } };

	(void)state;
	rig.origins->tuning.forged_max = 4;
	serve('a', true);
	rig.origin[0].timeout_ms = 20;
	fake_set(fake, FAKE_LOSES_FIRST);
	for (unsigned i = 0; i < 10 * ORIGIN_UDP_POOL; i++) {
		(void)once();
		for (unsigned at = 0; at < ORIGIN_UDP_POOL; at++) {
			struct sock *sock = server()->pool[at];
			if (sock != seen[at].sock ||
			    (sock != NULL && sock->asked < seen[at].asked))
				seen[at].n = 0;
			seen[at].sock = sock;
			seen[at].asked = sock != NULL ? sock->asked : 0;
			if (sock == NULL || sock->lane.late == 0)
				continue;
			assert_true(is_free(sock));
			assert_in_range(++seen[at].n, 1, 4);
		}
	}
	stop();
}

/* -- cookies */

static void test_cookie_is_sent_back(void **state)
{
	(void)state;
	serve('a', true);
	ask_true(1);
	assert_int_equal(fake_cookie_n(fake), 8);
	ask_true(1);
	assert_int_equal(fake_cookie_n(fake), 24);
	assert_true(fake_mixed(fake));
	uint8_t ours[ORIGIN_OURS_N];
	memcpy(ours, server()->ours, sizeof(ours));
	/* After a day: another. */
	rig.origins->tuning.cookie_ms = 1;
	rig_sleep(&rig, 3);
	ask_true(1);
	assert_int_equal(fake_cookie_n(fake), 8);
	assert_memory_not_equal(ours, server()->ours, sizeof(ours));
	assert_int_equal(stats().bad, 0);
	stop();
}

static void test_each_server_its_cookie(void **state)
{
	struct fake *other = fake_start(FAKE_GOOD, true, 0);

	(void)state;
	serve('a', true);
	ask_true(1);
	uint8_t ours[ORIGIN_OURS_N];
	memcpy(ours, server()->ours, sizeof(ours));
	rig.n_origins = 0;
	rig_origin(&rig, fake_port(other), CONFIG_UDP);
	ask_true(1);
	struct link *last = rig.origins->servers.prev;
	assert_memory_not_equal(ours,
				LINK_OWNER(last, struct server, link)->ours,
				sizeof(ours));
	stop();
	fake_stop(other);
}

static void test_bad_cookie(void **state)
{
	(void)state;
	serve('a', true);
	fake_set(fake, FAKE_BAD_COOKIE);
	ask_true(2); /* the first has none of the server's */
	ask_true(1);
	fake_set_cookie(fake, 'b');
	ask_true(2);
	assert_int_equal(stats().sent, 5);
	assert_int_equal(rig_stats(&rig, 0, CONFIG_TCP).sent, 0);
	fake_set(fake, FAKE_BAD_ALWAYS);
	ask_true(3);
	assert_int_equal(rig_stats(&rig, 0, CONFIG_TCP).sent, 1);
	assert_int_equal(stats().bad, 0);
	stop();
}

/* The same of a server whose TCP is closed: it is asked without a cookie. */
static void test_bad_cookie_always_without_tcp(void **state)
{
	(void)state;
	serve('a', false);
	fake_set(fake, FAKE_BAD_ALWAYS);
	assert_int_equal(once()->status, 0);
	assert_int_equal(fake_cookie_n(fake), 0);
	ask_true(1);
	assert_int_equal(stats().failures, 0);
	stop();
}

/* All are answered; once it is known, at once. */
static void odd_cookies(enum fake_habit habit, bool tcp)
{
	rig.origins->tuning.backoff_ms = 1;
	rig.origins->tuning.backoff_max_ms = 1;
	serve('a', tcp);
	fake_set(fake, habit);
	for (int i = 0; i < 14; i++)
		assert_int_equal(once()->status, 0);
	for (int i = 0; i < 4; i++)
		ask_true(1);
	assert_int_equal(fake_cookie_n(fake), 0);
	assert_int_equal(stats().failures, 0);
	/* After a while they are tried again. */
	server()->spared_ms = 0;
	assert_int_equal(once()->status, 0);
	stop();
}

static void test_cookies_of_others(void **state)
{
	(void)state;
	odd_cookies(FAKE_OTHERS_COOKIE, true);
}

static void test_cookies_of_others_without_tcp(void **state)
{
	(void)state;
	odd_cookies(FAKE_OTHERS_COOKIE, false);
}

static void test_cookies_of_some(void **state)
{
	(void)state;
	odd_cookies(FAKE_POOL, true);
}

static void test_cookies_of_some_without_tcp(void **state)
{
	(void)state;
	odd_cookies(FAKE_POOL, false);
}

/* A server that was replaced by one without cookies: TCP says so. */
static void test_cookies_are_gone(void **state)
{
	(void)state;
	serve('a', true);
	ask_true(1);
	fake_set_cookie(fake, 0);
	ask_true(2);
	assert_int_equal(rig_stats(&rig, 0, CONFIG_TCP).answered, 1);
	ask_true(1);
	assert_int_equal(stats().dropped[ORIGIN_DROP_NO_COOKIE], 1);
	fake_set_cookie(fake, 'b'); /* and back */
	ask_true(1);
	fake_set(fake, FAKE_NO_COOKIE);
	ask_true(1);
	assert_int_equal(stats().dropped[ORIGIN_DROP_NO_COOKIE], 2);
	assert_int_equal(rig.downs, 0);
	stop();
}

/* A forger gains nothing by that, and where TCP is closed nothing is lost. */
static void forged_cut(bool tcp)
{
	rig.origins->tuning.backoff_ms = 1;
	rig.origins->tuning.backoff_max_ms = 1;
	serve('a', tcp);
	ask_true(1);
	fake_set(fake, FAKE_CUT_NO_COOKIE);
	for (int i = 0; i < 20; i++) {
		rig_sleep(&rig, 3);
		struct outcome *outcome = once();
		assert_int_equal(outcome->status, 0);
		assert_int_equal(outcome->rcode, 0);
	}
	assert_int_equal(rig_stats(&rig, 0, CONFIG_TCP).answered, tcp ? 20 : 0);
	assert_int_equal(stats().timeouts, 0);
	assert_int_equal(stats().failures, 0);
	assert_int_equal(server()->shown & ORIGIN_COOKIE, ORIGIN_COOKIE);
	assert_int_equal(server()->spared, 0);
	stop();
}

static void test_forged_cut(void **state)
{
	(void)state;
	forged_cut(true);
}

static void test_forged_cut_without_tcp(void **state)
{
	(void)state;
	forged_cut(false);
}

/* The same where TCP is closed: a few questions later, however rare. */
static void gone_without_tcp(uint64_t apart_ms)
{
	int lost = 0;

	rig.origins->tuning.backoff_ms = 1;
	rig.origins->tuning.backoff_max_ms = 1;
	serve('a', false);
	rig.origin[0].timeout_ms = 150;
	ask_true(1);
	fake_set_cookie(fake, 0);
	while (once()->status != 0) {
		assert_true(++lost < 5);
		server()->strike_ms -= apart_ms;
	}
	ask_true(1);
	stop();
}

static void test_cookies_are_gone_without_tcp(void **state)
{
	(void)state;
	gone_without_tcp(0);
}

static void test_cookies_are_gone_from_the_idle(void **state)
{
	(void)state;
	gone_without_tcp(rig.origins->tuning.forget_ms - 1);
}

/* A forger makes nobody believe that they are gone. */
static void test_forger_cannot_end_cookies(void **state)
{
	(void)state;
	serve('a', false);
	ask_true(1);
	fake_set(fake, FAKE_NO_COOKIE);
	for (int i = 0; i < 20; i++)
		ask_true(1);
	assert_int_equal(server()->shown & ORIGIN_COOKIE, ORIGIN_COOKIE);
	assert_int_equal(server()->strikes, 0);
	stop();
}

static void options_refused(bool tcp)
{
	serve(0, tcp);
	fake_set(fake, FAKE_NO_OPTIONS);
	ask_true(2);
	ask_true(1);
	assert_int_equal(fake_cookie_n(fake), 0);
	/* After a while they are tried again. */
	rig.origins->tuning.spare_ms = 1;
	server()->spared_ms = 0;
	ask_true(2);
	stop();
}

static void test_options_are_refused(void **state)
{
	(void)state;
	options_refused(true);
}

static void test_options_are_refused_without_tcp(void **state)
{
	(void)state;
	options_refused(false);
}

/* It had cookies once, and is now one that refuses options. */
static void test_options_come_to_be_refused(void **state)
{
	(void)state;
	serve('a', true);
	ask_true(1);
	fake_set(fake, FAKE_NO_OPTIONS);
	ask_true(3); /* UDP; TCP with a cookie; TCP without */
	ask_true(1);
	stop();
}

static void test_options_are_not_answered(void **state)
{
	(void)state;
	serve(0, true);
	fake_set(fake, FAKE_MUTE_OPTIONS);
	for (int i = 0; i < 3; i++)
		ask_true(2);
	ask_true(1);
	stop();
}

/* -- the case of letters */

static void test_second_try_is_mixed_too(void **state)
{
	(void)state;
	serve('a', false);
	ask_true(1);
	assert_int_equal(server()->shown, ORIGIN_COOKIE | ORIGIN_CASE);
	fake_set(fake, FAKE_LOSES_FIRST);
	ask_true(2);
	assert_true(fake_mixed(fake));
	assert_int_equal(fake_cookie_n(fake), 24);
	stop();
}

/* Until it has shown that it knows marks, the second has none. */
static void test_second_try_is_plain(void **state)
{
	(void)state;
	serve('a', false);
	fake_set(fake, FAKE_LOSES_FIRST);
	ask_true(2);
	assert_false(fake_mixed(fake));
	assert_int_equal(fake_cookie_n(fake), 0);
	stop();
}

static void folds(bool tcp)
{
	serve('a', tcp);
	fake_set(fake, FAKE_FOLDS);
	uint8_t times = tcp ? 1 : 3;
	for (int i = 0; i < times; i++)
		assert_int_equal(once()->status, 0);
	ask_true(1);
	assert_int_equal(stats().dropped[ORIGIN_DROP_SPELLING], times);
	assert_false(fake_mixed(fake));
	assert_int_equal(server()->shown & ORIGIN_CASE, 0);
	if (tcp)
		assert_int_equal(fake_cookie_n(fake), 24);
	assert_int_equal(stats().failures, 0);
	stop();
}

static void test_folds(void **state)
{
	(void)state;
	folds(true);
}

static void test_folds_without_tcp(void **state)
{
	(void)state;
	folds(false);
}

/* It kept case, and is now one that does not. */
static void test_comes_to_fold(void **state)
{
	(void)state;
	serve('a', true);
	ask_true(1);
	fake_set(fake, FAKE_FOLDS);
	ask_true(2);
	ask_true(1);
	assert_int_equal(server()->shown, ORIGIN_COOKIE);
	assert_int_equal(rig.downs, 0);
	stop();
}

/* By TCP there are no marks, but where something is to be proved. */
static void test_tcp_has_no_marks(void **state)
{
	(void)state;
	serve('a', true);
	rig.n_origins = 0;
	rig_origin(&rig, fake_port(fake), CONFIG_TCP);
	fake_set(fake, FAKE_NO_OPTIONS);
	for (int i = 0; i < 10; i++) {
		ask_true(1);
		assert_false(fake_mixed(fake));
		assert_int_equal(fake_cookie_n(fake), 0);
	}
	stop();
}

#define TEST(name) cmocka_unit_test_setup(test_##name, setup)

int main(void)
{
	sigset_t pipe;
	const struct CMUnitTest tests[] = {
		TEST(wrong_id),
		TEST(wrong_name),
		TEST(wrong_type),
		TEST(wrong_class),
		TEST(wrong_case),
		TEST(no_qr),
		TEST(no_cookie),
		TEST(wrong_cookie),
		TEST(long_cookie),
		TEST(rubbish),
		TEST(wrong_port),
		TEST(wrong_address),
		TEST(first_question),
		TEST(flood),
		TEST(flood_without_tcp),
		TEST(flood_without_tcp_but_a_cookie),
		TEST(flood_of_many),
		TEST(guesses_at_late_answers),
		TEST(cookie_is_sent_back),
		TEST(each_server_its_cookie),
		TEST(bad_cookie),
		TEST(bad_cookie_always_without_tcp),
		TEST(cookies_of_others),
		TEST(cookies_of_others_without_tcp),
		TEST(cookies_of_some),
		TEST(cookies_of_some_without_tcp),
		TEST(cookies_are_gone),
		TEST(forged_cut),
		TEST(forged_cut_without_tcp),
		TEST(cookies_are_gone_without_tcp),
		TEST(cookies_are_gone_from_the_idle),
		TEST(forger_cannot_end_cookies),
		TEST(options_are_refused),
		TEST(options_are_refused_without_tcp),
		TEST(options_come_to_be_refused),
		TEST(options_are_not_answered),
		TEST(second_try_is_mixed_too),
		TEST(second_try_is_plain),
		TEST(folds),
		TEST(folds_without_tcp),
		TEST(comes_to_fold),
		TEST(tcp_has_no_marks),
	};

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
