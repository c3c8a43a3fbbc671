/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/history.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "gtm_kit.h"

#define T UINT64_C(1763971200000)

static struct gtm_history *history;
static struct gtm_stage *stage;
static struct kit *kit;

static int take(struct journal_record record)
{
	return gtm_history_take(history, &record);
}

static void name(enum journal_table table, uint32_t number, const char *text)
{
	assert_int_equal(
		take((struct journal_record){ .kind = JOURNAL_NAME,
					      .time_ms = T,
					      .name = { (uint8_t)table, number,
							0, slice_of(text) } }),
		0);
}

static int value(uint64_t time_ms, struct journal_value v)
{
	return take((struct journal_record){
		.kind = JOURNAL_VALUE, .time_ms = time_ms, .value = v });
}

static int drain(uint64_t time_ms, uint64_t left_ms)
{
	return take((struct journal_record){ .kind = JOURNAL_DRAIN,
					     .time_ms = time_ms,
					     .drain = { 0, 0, left_ms } });
}

/* An epoch with servers a, gone; service web; a slot each. */
static void epoch(uint64_t time_ms)
{
	assert_int_equal(
		take((struct journal_record){
			.kind = JOURNAL_EPOCH,
			.time_ms = time_ms,
			.epoch = { .serial = 3, .file = slice_of("f") } }),
		0);
	name(JOURNAL_POPS, 0, "fra");
	name(JOURNAL_SERVERS, 0, "a");
	name(JOURNAL_SERVERS, 1, "gone");
	name(JOURNAL_SERVICES, 0, "web");
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(
			take((struct journal_record){
				.kind = JOURNAL_SLOT,
				.time_ms = T,
				.slot = { i, i, 0, { 4, { 192, 0, 2, 1 } } } }),
			0);
	assert_int_equal(take((struct journal_record){ .kind = JOURNAL_WHOLE,
						       .time_ms = T }),
			 0);
}

static int set_up(void **state)
{
	(void)state;
	kit = kit_new();
	(void)kit_service(kit, "web", CONFIG_HTTP);
	(void)kit_server(kit, "a", 10, "192.0.2.1");
	(void)kit_server(kit, "b", 10, "192.0.2.2");
	(void)kit_host(kit, "www.test", "web", "a b", "", "");
	assert_int_equal(gtm_history_new(&history), 0);
	assert_int_equal(gtm_stage_new(kit_config(kit), &stage), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	gtm_stage_free(stage);
	gtm_history_free(history);
	kit_free(kit);
	return 0;
}

/* What the world knows of a's test at a time. */
static struct gtm_value known(uint64_t time_ms, uint64_t *now_ms)
{
	struct sockaddr_storage address = kit_address("192.0.2.1");
	struct gtm_value v;

	assert_int_equal(gtm_stage_set(stage, history, time_ms, now_ms), 0);
	struct gtm_cell *cell =
		gtm_world_cell(gtm_stage_world(stage), slice_of("a"), &address,
			       slice_of("web"));
	assert_non_null(cell);
	gtm_slot_read(&cell->slot, &v);
	return v;
}

static void test_values(void **state)
{
	uint64_t now_ms;

	(void)state;
	epoch(T);
	assert_int_equal(known(T, &now_ms).state, GTM_NEVER);
	assert_int_equal(
		value(T + 1000, (struct journal_value){ .state = GTM_DOWN,
							.fresh = true,
							.error = 2,
							.metric = 65535,
							.age_ms = 200,
							.since_ms = 700,
							.up_ms = 900,
							.period_ms = 5000 }),
		0);
	/* of a server that this configuration does not have */
	assert_int_equal(value(T + 1000,
			       (struct journal_value){ .slot = 1, .state = 1 }),
			 0);
	struct gtm_value v = known(T + 1000, &now_ms);
	assert_int_equal(v.state, GTM_DOWN);
	assert_int_equal(v.error, 2);
	assert_int_equal(v.metric, 65535);
	assert_int_equal(now_ms - v.when_ms, 200);
	assert_int_equal(now_ms - v.since_ms, 700);
	assert_int_equal(now_ms - v.up_ms, 900);
	/* results go on coming: the newest is never older than a period */
	v = known(T + 4000, &now_ms);
	assert_int_equal(now_ms - v.when_ms, 3200);
	v = known(T + 3600000, &now_ms);
	assert_int_equal(now_ms - v.when_ms, 5000);
	assert_int_equal(now_ms - v.since_ms, 3599700);
	/* until it is said that they do not */
	assert_int_equal(
		value(T + 3600000, (struct journal_value){ .state = GTM_DOWN,
							   .age_ms = 60000 }),
		0);
	v = known(T + 3610000, &now_ms);
	assert_int_equal(now_ms - v.when_ms, 70000);
}

static uint64_t drained_until(uint64_t time_ms, uint64_t *now_ms)
{
	assert_int_equal(gtm_stage_set(stage, history, time_ms, now_ms), 0);
	return gtm_stage_world(stage)->admins[0]->drained_until_ms;
}

static int say(uint64_t time_ms, enum journal_said said, uint64_t left_ms)
{
	return gtm_history_take(
		history, &(struct journal_record){
				 .kind = JOURNAL_DRAIN,
				 .time_ms = time_ms,
				 .drain = { 0, (uint8_t)said, left_ms } });
}

static void test_words(void **state)
{
	uint64_t now_ms;
	const struct gtm_admin *admin;

	(void)state;
	epoch(T);
	assert_int_equal(say(T + 10, JOURNAL_FORCED_DOWN, 5000), 0);
	(void)drained_until(T + 20, &now_ms);
	admin = gtm_stage_world(stage)->admins[0];
	assert_int_equal(gtm_admin_force(admin, now_ms), GTM_FORCED_DOWN);
	assert_int_equal(gtm_admin_force(admin, now_ms + 6000), GTM_UNFORCED);
	assert_int_equal(say(T + 30, JOURNAL_FORCED_DOWN, 0), 0);
	assert_int_equal(say(T + 30, JOURNAL_FORCED_UP, JOURNAL_NEVER), 0);
	assert_int_equal(say(T + 30, JOURNAL_HELD, JOURNAL_NEVER), 0);
	assert_int_equal(say(T + 30, JOURNAL_SAID, 1), 0); /* a later one */
	(void)drained_until(T + 40, &now_ms);
	assert_int_equal(gtm_admin_force(admin, now_ms), GTM_FORCED_UP);
	assert_int_equal(admin->held, 1);
	assert_int_equal(say(T + 50, JOURNAL_HELD, 0), 0);
	(void)drained_until(T + 60, &now_ms);
	assert_int_equal(admin->held, 0);
}

static void test_measures(void **state)
{
	struct journal_record record = {
		.kind = JOURNAL_MEASURE,
		.time_ms = T + 10,
		.measure = { JOURNAL_LOAD, 0, 17, 1000 },
	};
	uint64_t now_ms;

	(void)state;
	epoch(T);
	assert_int_equal(gtm_history_take(history, &record), 0);
	(void)drained_until(T + 2010, &now_ms);
	struct gtm_glance g =
		gtm_slot_glance(&gtm_stage_world(stage)->admins[0]->load);
	assert_int_equal(g.state, GTM_UP);
	assert_int_equal(g.metric, 17);
	assert_int_equal(now_ms - g.when_ms, 3000);
	record.measure.number = 1000;
	assert_int_equal(gtm_history_take(history, &record), -EBADMSG);
	record.measure.what = 200; /* a later version's */
	assert_int_equal(gtm_history_take(history, &record), 0);
}

static void test_drains(void **state)
{
	uint64_t now_ms;

	(void)state;
	epoch(T);
	assert_int_equal(drain(T + 10, 5000), 0);
	uint64_t until_ms = drained_until(T + 20, &now_ms);
	assert_int_equal(until_ms - now_ms, 4990);
	assert_true(drained_until(T + 6000, &now_ms) < now_ms);
	assert_int_equal(drain(T + 7000, JOURNAL_NEVER), 0);
	assert_true(drained_until(T + 7000, &now_ms) == UINT64_MAX);
	assert_int_equal(drain(T + 7001, 0), 0);
	assert_int_equal(drained_until(T + 7001, &now_ms), 0);
}

/* A new epoch forgets all before. */
static void test_epochs(void **state)
{
	uint64_t now_ms;

	(void)state;
	epoch(T);
	assert_int_equal(value(T + 1, (struct journal_value){ .state = 1 }), 0);
	assert_int_equal(drain(T + 1, JOURNAL_NEVER), 0);
	assert_int_equal(known(T + 1, &now_ms).state, GTM_UP);
	epoch(T + 2);
	assert_int_equal(gtm_history_epoch(history)->number, 2);
	assert_int_equal(known(T + 2, &now_ms).state, GTM_NEVER);
	assert_int_equal(drained_until(T + 2, &now_ms), 0);
	assert_string_equal(gtm_history_name(history, JOURNAL_SERVERS, 1),
			    "gone");
	assert_string_equal(gtm_history_pop(history, 1), "fra");
	assert_null(gtm_history_name(history, JOURNAL_SERVERS, 2));
	assert_null(gtm_history_pop(history, 2));
}

/* The machine's clock was put back: ours stands still, and goes on then. */
static void test_a_clock_put_back(void **state)
{
	uint64_t before_ms;
	uint64_t now_ms;

	(void)state;
	epoch(T);
	assert_int_equal(
		value(T + 100000, (struct journal_value){ .state = 1 }), 0);
	(void)known(T + 100000, &before_ms);
	assert_int_equal(value(T + 1000, (struct journal_value){ .state = 2 }),
			 0);
	assert_int_equal(known(T + 1000, &now_ms).state, GTM_DOWN);
	assert_int_equal(now_ms, before_ms);
	(void)known(T + 1500, &now_ms);
	assert_int_equal(now_ms - before_ms, 500);
	/* a little: of a decision that was noted late */
	assert_int_equal(take((struct journal_record){ .kind = JOURNAL_LOST,
						       .time_ms = T + 800 }),
			 0);
	(void)known(T + 1500, &now_ms);
	assert_int_equal(now_ms - before_ms, 500);
}

static void test_what_contradicts_itself(void **state)
{
	(void)state;
	/* before any epoch, nothing means anything */
	assert_int_equal(value(T, (struct journal_value){ .slot = 9 }), 0);
	epoch(T);
	assert_int_equal(value(T, (struct journal_value){ .slot = 2 }),
			 -EBADMSG);
	assert_int_equal(take((struct journal_record){ .kind = JOURNAL_DRAIN,
						       .time_ms = T,
						       .drain = { 2, 0, 0 } }),
			 -EBADMSG);
	assert_int_equal(
		take((struct journal_record){ .kind = JOURNAL_NAME,
					      .time_ms = T,
					      .name = { 0, 2, 0, { "", 0 } } }),
		-EBADMSG);
	assert_int_equal(take((struct journal_record){ .kind = JOURNAL_ALIVE,
						       .time_ms = 0 }),
			 -EBADMSG);
	assert_int_equal(take((struct journal_record){ .kind = JOURNAL_ALIVE,
						       .time_ms = UINT64_MAX }),
			 -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_values, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_drains, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_words, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_measures, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_epochs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_clock_put_back, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_what_contradicts_itself,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
