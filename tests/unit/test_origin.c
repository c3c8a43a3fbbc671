/* SPDX-License-Identifier: MPL-2.0 */
/* origin against servers that behave badly; see origin_fake.h. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "tests/unit/origin_fake.h"
#include "tests/unit/origin_rig.h"

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_start(&rig);
	return 0;
}

static void ask_many(size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(rig_ask(&rig), 0);
}

static void all_answered(void)
{
	for (size_t i = 0; i < rig.asked; i++)
		assert_int_equal(rig.outcome[i].status, 0);
}

/* Stops the rig before its servers. */
static void stop(struct fake *a, struct fake *b)
{
	rig_stop(&rig);
	fake_stop(a);
	if (b != NULL)
		fake_stop(b);
}

/* -- TCP */

static void test_tcp_many_in_few_reads(void **state)
{
	struct fake *fake = fake_start(FAKE_GOOD, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_TCP);
	assert_int_equal(rig_once(&rig)->status, 0);
	unsigned reads = fake_reads(fake);
	ask_many(60);
	rig_run(&rig, 5000);
	all_answered();
	assert_int_equal(fake_questions(fake), 61);
	assert_int_equal(fake_connections(fake), 1);
	assert_int_equal(fake_complaints(fake), 0);
	/* One write of ours; the peer may still see it in two pieces. */
	assert_in_range(fake_reads(fake) - reads, 1, 2);
	struct origin_stats stats = rig_stats(&rig, 0, CONFIG_TCP);
	assert_int_equal(stats.sent, 61);
	assert_int_equal(stats.answered, 61);
	assert_int_equal(stats.connections, 1);
	assert_int_equal(stats.in_flight, 0);
	assert_int_equal(origins_sent(rig.origins), 61);
	stop(fake, NULL);
}

static void test_tcp_any_order(void **state)
{
	struct fake *fake = fake_start(FAKE_REVERSE, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_TCP);
	ask_many(50);
	rig_run(&rig, 5000);
	all_answered();
	stop(fake, NULL);
}

static void test_tcp_more_connections_when_busy(void **state)
{
	struct fake *fake = fake_start(FAKE_GOOD, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_TCP);
	rig.origin[0].timeout_ms = 5000;
	for (int i = 0; i < 8; i++) {
		ask_many(250);
		rig_run(&rig, 8000);
	}
	all_answered();
	assert_in_range(fake_connections(fake), 2, 4);
	stop(fake, NULL);
}

static void test_tcp_full_is_enobufs(void **state)
{
	struct fake *fake = fake_start(FAKE_SILENT, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_TCP);
	rig.origins->tuning.lane_max = 10;
	ask_many(20); /* 10 in the first, 10 in the next ... */
	while (rig_ask(&rig) == 0)
		assert_in_range(rig.asked, 0, 40);
	assert_int_equal(rig_ask(&rig), -ENOBUFS);
	assert_int_equal(rig.asked, 40);
	assert_int_equal(rig_stats(&rig, 0, CONFIG_TCP).failures, 0);
	rig_run(&rig, 5000);
	assert_int_equal(rig.outcome[0].status, -ETIMEDOUT);
	stop(fake, NULL);
}

static void test_tcp_dribble(void **state)
{
	struct fake *fake = fake_start(FAKE_DRIBBLE, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_TCP);
	rig.origin[0].timeout_ms = 3000;
	ask_many(10);
	rig_run(&rig, 5000);
	all_answered();
	stop(fake, NULL);
}

static void test_tcp_close_after_each(void **state)
{
	struct fake *fake = fake_start(FAKE_CLOSE_EACH, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_TCP);
	for (int i = 0; i < 5; i++)
		assert_int_equal(rig_once(&rig)->status, 0);
	ask_many(10); /* each connection answers one of them */
	rig_run(&rig, 5000);
	all_answered();
	assert_int_equal(rig.downs, 0);
	assert_int_equal(rig_stats(&rig, 0, CONFIG_TCP).failures, 0);
	stop(fake, NULL);
}

static void test_tcp_idle_closed_by_peer(void **state)
{
	struct fake *fake = fake_start(FAKE_GOOD, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_TCP);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rig_once(&rig)->status, 0);
		fake_hang_up(fake);
	}
	assert_int_equal(rig_once(&rig)->status, 0);
	assert_int_equal(fake_connections(fake), 4);
	assert_int_equal(rig.downs, 0);
	stop(fake, NULL);
}

static void test_tcp_idle_closed_by_us(void **state)
{
	struct fake *fake = fake_start(FAKE_GOOD, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_TCP);
	rig.origins->tuning.idle_ms = 60;
	rig.origins->tuning.forget_ms = 150;
	assert_int_equal(rig_once(&rig)->status, 0);
	assert_int_equal(rig_stats(&rig, 0, CONFIG_TCP).connections, 1);
	rig_sleep(&rig, 130);
	assert_int_equal(rig_stats(&rig, 0, CONFIG_TCP).connections, 0);
	assert_int_equal(rig_stats(&rig, 0, CONFIG_TCP).sent, 1);
	assert_int_equal(rig_once(&rig)->status, 0);
	rig_sleep(&rig, 600);
	/* Forgotten with its figures. */
	assert_int_equal(rig_stats(&rig, 0, CONFIG_TCP).sent, 0);
	assert_int_equal(rig_once(&rig)->status, 0);
	stop(fake, NULL);
}

static void fails_over(enum fake_habit habit, enum config_transport transport,
		       uint8_t tries)
{
	struct fake *bad = fake_start(habit, true, 0);
	struct fake *good = fake_start(FAKE_GOOD, true, 0);

	rig_origin(&rig, fake_port(bad), transport);
	rig_origin(&rig, fake_port(good), transport);
	struct outcome *outcome = rig_once(&rig);
	assert_int_equal(outcome->status, 0);
	assert_int_equal(outcome->who, 1);
	assert_int_equal(outcome->tries, tries);
	if (habit != FAKE_SERVFAIL && habit != FAKE_BARE_FORMERR) {
		assert_int_equal(rig.downs, 1);
		assert_int_equal(rig.ups, 0);
		assert_false(rig_stats(&rig, 0, transport).up);
		/* Backing off: not asked. */
		unsigned questions = fake_questions(bad);
		for (int i = 0; i < 40; i++)
			assert_int_equal(rig_once(&rig)->who, 1);
		assert_int_equal(fake_questions(bad), questions);
	}
	stop(bad, good);
}

static void test_tcp_close_at_once(void **state)
{
	(void)state;
	fails_over(FAKE_CLOSE_AT_ONCE, CONFIG_TCP, 3);
}

static void test_tcp_reset(void **state)
{
	(void)state;
	fails_over(FAKE_RESET, CONFIG_TCP, 3);
}

static void test_tcp_half(void **state)
{
	(void)state;
	fails_over(FAKE_HALF, CONFIG_TCP, 3);
}

static void test_tcp_garbage(void **state)
{
	(void)state;
	fails_over(FAKE_GARBAGE, CONFIG_TCP, 2);
}

static void test_tcp_babble(void **state)
{
	(void)state;
	fails_over(FAKE_BABBLE, CONFIG_TCP, 2);
}

static void test_tcp_silent(void **state)
{
	(void)state;
	fails_over(FAKE_SILENT, CONFIG_TCP, 2);
}

static void test_tcp_wrong_question(void **state)
{
	(void)state;
	fails_over(FAKE_WRONG_ALWAYS, CONFIG_TCP, 2);
	assert_string_equal(rig.why, "bad answer");
}

static void test_tcp_cut(void **state)
{
	struct fake *fake = fake_start(FAKE_CUT_ALWAYS, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_TCP);
	assert_int_equal(rig_once(&rig)->status, -EBADMSG);
	stop(fake, NULL);
}

static void test_tcp_bare_formerr(void **state)
{
	(void)state;
	fails_over(FAKE_BARE_FORMERR, CONFIG_TCP, 2);
}

static void test_tcp_wrong_id_is_ignored(void **state)
{
	struct fake *fake = fake_start(FAKE_WRONG_ID, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_TCP);
	assert_int_equal(rig_once(&rig)->status, 0);
	assert_int_equal(rig_stats(&rig, 0, CONFIG_TCP).bad, 1);
	stop(fake, NULL);
}

static void test_tcp_twice(void **state)
{
	struct fake *fake = fake_start(FAKE_TWICE, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_TCP);
	ask_many(20);
	rig_run(&rig, 5000);
	rig_sleep(&rig, 30);
	all_answered();
	assert_int_equal(rig_stats(&rig, 0, CONFIG_TCP).bad, 20);
	stop(fake, NULL);
}

static void test_tcp_late_answer(void **state)
{
	struct fake *fake = fake_start(FAKE_SLOW, true, 250);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_TCP);
	rig.origin[0].timeout_ms = 100;
	assert_int_equal(rig_once(&rig)->status, -ETIMEDOUT);
	fake_set(fake, FAKE_GOOD);
	rig_sleep(&rig, 300);
	/* Not counted as bad: it was waited for. */
	assert_int_equal(rig_stats(&rig, 0, CONFIG_TCP).bad, 0);
	assert_int_equal(rig_stats(&rig, 0, CONFIG_TCP).timeouts, 1);
	assert_int_equal(rig_once(&rig)->status, 0);
	stop(fake, NULL);
}

static void test_tcp_refused(void **state)
{
	struct fake *good = fake_start(FAKE_GOOD, true, 0);

	(void)state;
	rig_origin(&rig, fake_free_port(), CONFIG_TCP);
	rig_origin(&rig, fake_port(good), CONFIG_TCP);
	ask_many(20);
	rig_run(&rig, 5000);
	all_answered();
	assert_int_equal(rig.downs, 1);
	assert_string_equal(rig.why, "connection refused");
	rig.n_origins = 1;
	assert_int_equal(rig_once(&rig)->status, -ECONNREFUSED);
	rig.n_origins = 2;
	stop(good, NULL);
}

/* -- UDP */

static void udp_one(enum fake_habit habit, uint8_t tries, uint64_t bad)
{
	struct fake *fake = fake_start(habit, true, 0);

	rig_origin(&rig, fake_port(fake), CONFIG_UDP);
	struct outcome *outcome = rig_once(&rig);
	assert_int_equal(outcome->status, 0);
	assert_int_equal(outcome->tries, tries);
	rig_sleep(&rig, 20);
	assert_int_equal(rig_stats(&rig, 0, CONFIG_UDP).bad, bad);
	assert_int_equal(rig.downs, 0);
	assert_int_equal(fake_complaints(fake), 0);
	stop(fake, NULL);
}

static void test_udp_good(void **state)
{
	(void)state;
	udp_one(FAKE_GOOD, 1, 0);
}

static void test_udp_wrong_id(void **state)
{
	(void)state;
	udp_one(FAKE_WRONG_ID, 1, 1);
}

static void test_udp_wrong_name(void **state)
{
	(void)state;
	udp_one(FAKE_WRONG_NAME, 1, 1);
}

static void test_udp_twice(void **state)
{
	(void)state;
	udp_one(FAKE_TWICE, 1, 1);
}

static void test_udp_lost(void **state)
{
	(void)state;
	udp_one(FAKE_LOSES_FIRST, 2, 0);
}

static void test_udp_cut_then_tcp(void **state)
{
	(void)state;
	udp_one(FAKE_CUT, 2, 0);
	assert_int_equal(rig.outcome[0].flags & 2, 0);
}

static void test_udp_full_then_tcp(void **state)
{
	(void)state;
	udp_one(FAKE_FULL, 2, 0);
	assert_in_range(rig.outcome[0].n, 20, 60);
}

static void test_udp_full_without_tcp(void **state)
{
	struct fake *fake = fake_start(FAKE_FULL, false, 0);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_UDP);
	assert_int_equal(rig_once(&rig)->n, 1200);
	assert_int_equal(rig.outcome[0].tries, 2);
	/* TCP is known to be down: not tried again. */
	assert_int_equal(rig_once(&rig)->n, 1200);
	assert_int_equal(rig.outcome[1].tries, 1);
	stop(fake, NULL);
}

static void test_udp_cut_without_tcp(void **state)
{
	struct fake *fake = fake_start(FAKE_CUT, false, 0);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_UDP);
	assert_int_equal(rig_once(&rig)->status, -ECONNREFUSED);
	stop(fake, NULL);
}

static void test_udp_forged_only(void **state)
{
	struct fake *fake = fake_start(FAKE_WRONG_ALWAYS, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_UDP);
	rig.origin[0].timeout_ms = 100;
	assert_int_equal(rig_once(&rig)->status, -EBADMSG);
	assert_int_equal(rig_stats(&rig, 0, CONFIG_UDP).bad, 2);
	stop(fake, NULL);
}

static void test_udp_silent(void **state)
{
	(void)state;
	fails_over(FAKE_SILENT, CONFIG_UDP, 3);
}

static void test_udp_refused(void **state)
{
	struct fake *good = fake_start(FAKE_GOOD, true, 0);

	(void)state;
	rig_origin(&rig, fake_free_port(), CONFIG_UDP);
	rig_origin(&rig, fake_port(good), CONFIG_UDP);
	ask_many(20);
	rig_run(&rig, 5000);
	all_answered();
	assert_int_equal(rig.downs, 1);
	stop(good, NULL);
}

static void test_udp_many_rotating(void **state)
{
	struct fake *fake = fake_start(FAKE_GOOD, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_UDP);
	rig.origin[0].timeout_ms = 2000;
	rig.origins->tuning.socket_questions = 16;
	rig.origins->tuning.idle_ms = 100;
	for (int i = 0; i < 40; i++) {
		ask_many(50);
		rig_run(&rig, 8000);
	}
	all_answered();
	struct origin_stats stats = rig_stats(&rig, 0, CONFIG_UDP);
	assert_in_range(stats.connections, 1, 8);
	assert_int_equal(stats.bad, 0);
	rig_sleep(&rig, 300);
	assert_int_equal(rig_stats(&rig, 0, CONFIG_UDP).connections, 0);
	stop(fake, NULL);
}

/* -- the choice of server */

static void test_servfail_elsewhere(void **state)
{
	(void)state;
	fails_over(FAKE_SERVFAIL, CONFIG_TCP, 2);
	assert_int_equal(rig.downs, 0);
}

static void test_servfail_everywhere(void **state)
{
	struct fake *a = fake_start(FAKE_SERVFAIL, true, 0);
	struct fake *b = fake_start(FAKE_SERVFAIL, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(a), CONFIG_TCP);
	rig_origin(&rig, fake_port(b), CONFIG_UDP);
	struct outcome *outcome = rig_once(&rig);
	assert_int_equal(outcome->status, -EREMOTEIO);
	assert_int_equal(outcome->rcode, 2);
	assert_int_equal(outcome->tries, 2);
	assert_int_equal(rig.downs, 0);
	stop(a, b);
}

static void test_total_time(void **state)
{
	struct fake *fake = fake_start(FAKE_SILENT, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_UDP);
	rig.origin[0].timeout_ms = 30000;
	rig.origins->tuning.total_ms = 300;
	uint64_t start = uv_hrtime();
	assert_int_equal(rig_once(&rig)->status, -ETIMEDOUT);
	assert_in_range((uv_hrtime() - start) / 1000000, 290, 600);
	stop(fake, NULL);
}

/* The loop is held up for longer than the time of a try. */
static void test_held_up(void **state)
{
	struct fake *fake = fake_start(FAKE_GOOD, true, 0);

	(void)state;
	for (int i = 0; i < 2; i++) {
		rig_origin(&rig, fake_port(fake),
			   i == 0 ? CONFIG_TCP : CONFIG_UDP);
		rig.origin[0].timeout_ms = 50;
		assert_int_equal(rig_once(&rig)->status, 0);
		assert_int_equal(rig_ask(&rig), 0);
		uv_run(&rig.loop, UV_RUN_NOWAIT);
		uv_sleep(300);
		assert_int_equal(rig_ask(&rig), 0);
		rig_run(&rig, 1000);
		all_answered();
		assert_int_equal(rig.outcome[1].tries, 1);
		assert_int_equal(rig.outcome[2].tries, 1);
		rig_stop(&rig);
		rig_start(&rig);
	}
	stop(fake, NULL);
}

static void test_back_again(void **state)
{
	struct fake *a = fake_start(FAKE_RESET, true, 0);
	struct fake *b = fake_start(FAKE_SLOW, true, 5);

	(void)state;
	rig.origins->tuning.backoff_ms = 100;
	rig_origin(&rig, fake_port(a), CONFIG_TCP);
	rig_origin(&rig, fake_port(b), CONFIG_TCP);
	assert_int_equal(rig_once(&rig)->who, 1);
	assert_int_equal(rig.downs, 1);
	fake_set(a, FAKE_GOOD);
	rig_sleep(&rig, 110);
	for (int i = 0; i < 200 && rig.ups == 0; i++)
		assert_int_equal(rig_once(&rig)->status, 0);
	assert_int_equal(rig.ups, 1);
	stop(a, b);
}

static void test_nearest_wins(void **state)
{
	struct fake *far = fake_start(FAKE_SLOW, true, 10);
	struct fake *near = fake_start(FAKE_GOOD, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(far), CONFIG_TCP);
	rig_origin(&rig, fake_port(near), CONFIG_TCP);
	/* The first in order, until the other has been measured. */
	assert_int_equal(rig_once(&rig)->who, 0);
	for (int i = 0; i < 300; i++)
		assert_int_equal(rig_once(&rig)->status, 0);
	uint64_t sent = rig_stats(&rig, 0, CONFIG_TCP).sent;
	assert_in_range(sent, 1, 100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(rig_once(&rig)->who, 1);
	assert_in_range(rig_stats(&rig, 1, CONFIG_TCP).srtt_us, 1, 9000);
	assert_in_range(rig_stats(&rig, 0, CONFIG_TCP).srtt_us, 9000, 90000);
	/* Its figure is old: now and then it is asked. */
	rig.origins->tuning.remeasure_ms = 1;
	for (int i = 0; i < 300; i++)
		assert_int_equal(rig_once(&rig)->status, 0);
	assert_in_range(rig_stats(&rig, 0, CONFIG_TCP).sent, sent + 1,
			sent + 60);
	stop(far, near);
}

static void test_no_key(void **state)
{
	struct fake *fake = fake_start(FAKE_GOOD, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_TCP);
	rig_origin(&rig, fake_port(fake), CONFIG_UDP);
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			dname_parse(slice_of("no-such"), &rig.origin[i].key),
			0);
	assert_int_equal(rig_ask(&rig), -ENOKEY);
	assert_int_equal(rig.downs, 0);
	stop(fake, NULL);
}

/* -- ends */

static void test_close_from_any_state(void **state)
{
	static const enum fake_habit habits[] = {
		FAKE_GOOD, FAKE_SILENT, FAKE_CLOSE_EACH, FAKE_RESET, FAKE_CUT,
	};
	size_t n = sizeof(habits) / sizeof(habits[0]);

	(void)state;
	rig_stop(&rig);
	for (size_t i = 0; i < n * 3 * 6; i++) {
		struct fake *fake = fake_start(habits[i % n], true, 0);
		rig_start(&rig);
		rig_origin(&rig, fake_port(fake), i / n % 3);
		ask_many(30);
		for (size_t k = 0; k < i / n / 3; k++)
			uv_run(&rig.loop, UV_RUN_NOWAIT);
		stop(fake, NULL);
		for (size_t k = 0; k < rig.asked; k++) {
			int status = rig.outcome[k].status;
			assert_true(status == 0 || status == -ECANCELED ||
				    status == -ECONNRESET || status == -EPROTO);
		}
	}
}

static void test_close_in_done(void **state)
{
	static const enum fake_habit habits[] = { FAKE_GOOD, FAKE_SILENT,
						  FAKE_RESET, FAKE_GARBAGE,
						  FAKE_FULL };

	(void)state;
	rig_stop(&rig);
	for (size_t i = 0; i < 15; i++) {
		struct fake *fake = fake_start(habits[i / 3], false, 0);
		struct fake *tcp = fake_start(habits[i / 3], true, 0);
		rig_start(&rig);
		rig_origin(&rig, i % 3 == 2 ? fake_port(fake) : fake_port(tcp),
			   i % 3 == 1 ? CONFIG_UDP : CONFIG_TCP);
		rig.origin[0].timeout_ms = 100;
		rig.close_in_done = true;
		rig.ask_in_done = true;
		ask_many(20);
		rig_run(&rig, 5000);
		stop(fake, tcp);
	}
}

static void test_ask_in_done(void **state)
{
	struct fake *a = fake_start(FAKE_CLOSE_EACH, true, 0);
	struct fake *b = fake_start(FAKE_GOOD, true, 0);

	(void)state;
	rig_origin(&rig, fake_port(a), CONFIG_TCP);
	rig_origin(&rig, fake_port(b), CONFIG_UDP);
	rig.ask_in_done = true;
	ask_many(5);
	rig_sleep(&rig, 300);
	rig.ask_in_done = false;
	rig_run(&rig, 3000);
	all_answered();
	assert_true(rig.asked > 50);
	stop(a, b);
}

/* Servers whose habits change while they are asked. */
static void test_storm(void **state)
{
	struct fake *fakes[3];
	uint32_t x = 7;

	(void)state;
	rig.origins->tuning.backoff_ms = 5;
	rig.origins->tuning.idle_ms = 20;
	rig.origins->tuning.socket_questions = 5;
	for (size_t i = 0; i < 3; i++) {
		fakes[i] = fake_start(FAKE_GOOD, true, 2);
		rig_origin(&rig, fake_port(fakes[i]),
			   i == 1 ? CONFIG_UDP : CONFIG_TCP);
		rig.origin[i].timeout_ms = 30;
	}
	ask_many(30);
	rig.ask_in_done = true;
	for (size_t i = 0; i < 60; i++) {
		x = x * 1664525 + 1013904223;
		fake_set(fakes[i % 3],
			 (enum fake_habit)((x >> 16) % FAKE_HABITS));
		rig_sleep(&rig, 20);
	}
	rig.ask_in_done = false;
	rig_run(&rig, 6000);
	assert_true(rig.asked > 200);
	rig_stop(&rig);
	for (size_t i = 0; i < 3; i++)
		fake_stop(fakes[i]);
}

static void test_no_descriptors(void **state)
{
	struct fake *fake = fake_start(FAKE_GOOD, true, 0);
	struct rlimit old, none;

	(void)state;
	rig_origin(&rig, fake_port(fake), CONFIG_UDP);
	rig_origin(&rig, fake_port(fake), CONFIG_TCP);
	getrlimit(RLIMIT_NOFILE, &old);
	none = old;
	none.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &none);
	int rc = rig_ask(&rig);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(rc, -EMFILE);
	assert_int_equal(rig.downs, 0);
	assert_int_equal(rig_once(&rig)->status, 0);
	stop(fake, NULL);
}

#define TEST(name) cmocka_unit_test_setup(test_##name, setup)

int main(void)
{
	sigset_t pipe;
	const struct CMUnitTest tests[] = {
		TEST(tcp_many_in_few_reads),
		TEST(tcp_any_order),
		TEST(tcp_more_connections_when_busy),
		TEST(tcp_full_is_enobufs),
		TEST(tcp_dribble),
		TEST(tcp_close_after_each),
		TEST(tcp_idle_closed_by_peer),
		TEST(tcp_idle_closed_by_us),
		TEST(tcp_close_at_once),
		TEST(tcp_reset),
		TEST(tcp_half),
		TEST(tcp_garbage),
		TEST(tcp_babble),
		TEST(tcp_silent),
		TEST(tcp_wrong_question),
		TEST(tcp_cut),
		TEST(tcp_bare_formerr),
		TEST(tcp_wrong_id_is_ignored),
		TEST(tcp_twice),
		TEST(tcp_late_answer),
		TEST(tcp_refused),
		TEST(udp_good),
		TEST(udp_wrong_id),
		TEST(udp_wrong_name),
		TEST(udp_twice),
		TEST(udp_lost),
		TEST(udp_cut_then_tcp),
		TEST(udp_full_then_tcp),
		TEST(udp_full_without_tcp),
		TEST(udp_cut_without_tcp),
		TEST(udp_forged_only),
		TEST(udp_silent),
		TEST(udp_refused),
		TEST(udp_many_rotating),
		TEST(servfail_elsewhere),
		TEST(servfail_everywhere),
		TEST(total_time),
		TEST(held_up),
		TEST(back_again),
		TEST(nearest_wins),
		TEST(no_key),
		TEST(close_from_any_state),
		TEST(close_in_done),
		TEST(ask_in_done),
		TEST(storm),
		TEST(no_descriptors),
	};

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
