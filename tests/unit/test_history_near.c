/* SPDX-License-Identifier: MPL-2.0 */
/* How far clients were, by a journal: in the table of a stage. */
#include "gtm/history.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gtm/decide.h"
#include "gtm/explain.h"

#define T      UINT64_C(1763971200000)
#define HOUR   UINT64_C(3600000)
#define DAY    (24 * HOUR)
#define NONE   1u /* journal_decision.group */
#define OF(n)  ((n) + 2u)
#define ALMOST 40000u /* ages are right to half a step */

static struct gtm_history *history;
static struct gtm_stage *stage;
static struct config *config;

static const char text[] =
	"{\"version\":1,\"max-age\":{\"latency\":\"10d\"},"
	"\"pops\":{\"fra\":{\"servers\":{\"a\":{\"addresses\":[\"192.0.2.1\"]}}"
	"},"
	"\"iad\":{\"servers\":{\"b\":{\"addresses\":[\"192.0.2.2\"]}}}},"
	"\"hostnames\":{\"www.test\":{\"servers\":[\"a\",\"b\"],\"explore\":0}}"
	"}";

static int take(struct journal_record record)
{
	return gtm_history_take(history, &record);
}

static void name(enum journal_table table, uint32_t number, const char *of)
{
	assert_int_equal(
		take((struct journal_record){
			.kind = JOURNAL_NAME,
			.time_ms = T,
			.name = { (uint8_t)table, number, 0, slice_of(of) } }),
		0);
}

static void epoch(const char *const *pops, uint32_t n)
{
	assert_int_equal(
		take((struct journal_record){
			.kind = JOURNAL_EPOCH,
			.time_ms = T,
			.epoch = { .serial = 3, .file = slice_of("f") } }),
		0);
	for (uint32_t i = 0; i < n; i++)
		name(JOURNAL_POPS, i, pops[i]);
	assert_int_equal(take((struct journal_record){ .kind = JOURNAL_WHOLE,
						       .time_ms = T }),
			 0);
}

static const char *const usual[] = { "fra", "gone", "iad" };
#define FRA 0u
#define IAD 2u

static int set_up(void **state)
{
	struct err err;
	size_t n;

	(void)state;
	assert_int_equal(config_parse("text", text, sizeof(text) - 1, &config,
				      &err, 1, &n),
			 0);
	assert_int_equal(gtm_history_new(&history), 0);
	assert_int_equal(gtm_stage_new(config, &stage), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	gtm_stage_free(stage);
	gtm_history_free(history);
	config_free(config);
	return 0;
}

static struct journal_net net(const char *of)
{
	struct gtm_client client;
	struct journal_net to = { 0 };

	assert_true(gtm_explain_client(of, &client));
	to.v6 = client.v6;
	to.bits = client.bits;
	memcpy(to.octets, client.address, to.v6 ? 7 : 4);
	return to;
}

/* A cell that is said of a group; "tenths" less than 0: unknown. */
struct said {
	bool anew;
	uint32_t pop;
	int tenths;
	uint32_t age_s;
};

static int near(uint64_t time_ms, const char *of, struct said said)
{
	struct journal_record record = {
		.kind = JOURNAL_NEAR,
		.time_ms = time_ms,
		.near = { .net = net(of), .anew = said.anew, .n = 1 },
	};

	record.near.cell[0].pop = said.pop;
	record.near.cell[0].tenths = (uint32_t)(said.tenths + 1);
	record.near.cell[0].age_s = said.age_s;
	return take(record);
}

static void say(uint64_t time_ms, const char *of, struct said said)
{
	assert_int_equal(near(time_ms, of, said), 0);
}

static void decided(uint64_t time_ms, const char *of, uint8_t group)
{
	struct journal_net client = net(of);
	struct journal_record record = {
		.kind = JOURNAL_DECISION,
		.time_ms = time_ms,
		.decision = { .client_v6 = client.v6,
			      .client_bits = client.bits,
			      .group = group },
	};

	memcpy(record.decision.client, client.octets, sizeof(client.octets));
	assert_int_equal(take(record), 0);
}

/* What a decision then says of a client. */
static void explain(uint64_t time_ms, const char *of, struct gtm_trace *trace)
{
	struct gtm_question q = { .family = GTM_V4 };
	struct gtm_world *world = gtm_stage_world(stage);
	struct gtm_answer g;

	assert_true(gtm_explain_client(of, &q.client));
	assert_int_equal(gtm_stage_set(stage, history, time_ms, &q.now_ms), 0);
	gtm_decide(&world->hosts[0], &q, &g, trace);
	assert_int_equal(trace->n, 2);
}

/* Both latencies, in tenths. */
#define UNKNOWN (-10)
static void check(uint64_t time_ms, const char *of, int fra, int iad)
{
	static struct gtm_trace trace;
	const int want[2] = { fra, iad };

	explain(time_ms, of, &trace);
	for (unsigned int i = 0; i < 2; i++) {
		float tenths = trace.line[i].latency_ms * 10.0f;
		assert_int_equal((int)(tenths + (tenths < 0 ? -0.5f : 0.5f)),
				 want[i]);
		assert_int_equal(trace.line[i].basis,
				 want[i] < 0 ? GTM_BASIS_NONE
					     : GTM_BASIS_MEASURED);
	}
}

/* By POP in the history itself, to the tenth. */
static int told(const char *of, const char *pop, uint64_t max_age_ms)
{
	struct gtm_client client;

	assert_true(gtm_explain_client(of, &client));
	float ms = gtm_history_near_ms(history, &client, pop, max_age_ms);
	return ms < 0.0f ? UNKNOWN : (int)(ms * 10.0f + 0.5f);
}

static void test_values_and_ages(void **state)
{
	static struct gtm_trace trace;

	(void)state;
	/* before any epoch, nothing means anything */
	say(T, "10.1.2.0/24", (struct said){ true, 99, 1, 0 });
	epoch(usual, 3);
	check(T, "10.1.2.3", UNKNOWN, UNKNOWN);
	say(T, "10.1.2.0/24", (struct said){ true, FRA, 905, 3600 });
	say(T, "10.1.2.0/24", (struct said){ false, IAD, 200, 60 });
	check(T, "10.1.2.3", 905, 200);
	check(T, "10.1.3.3", UNKNOWN, UNKNOWN);
	explain(T + HOUR, "10.1.2.3", &trace);
	assert_in_range(trace.line[0].latency_age_ms, 2 * HOUR - ALMOST,
			2 * HOUR + ALMOST);
	assert_in_range(trace.line[1].latency_age_ms, HOUR + 60000 - ALMOST,
			HOUR + 60000 + ALMOST);
	assert_int_equal(trace.line[0].verdict, GTM_COSTLY);
	assert_int_equal(trace.line[1].verdict, GTM_CHOSEN);
	/* of a POP that this configuration does not have */
	say(T, "10.1.2.0/24", (struct said){ false, 1, 1, 0 });
	assert_int_equal(told("10.1.2.3", "gone", DAY), 1);
	assert_int_equal(told("10.1.2.3", "fra", HOUR), 905);
	assert_int_equal(told("10.1.2.3", "fra", HOUR - 1000), UNKNOWN);
	assert_int_equal(told("10.1.2.3", "none", DAY), UNKNOWN);
	assert_int_equal(told("2001:db8::1", "fra", DAY), UNKNOWN);
	/* what is too old does not count */
	check(T + 11 * DAY, "10.1.2.3", UNKNOWN, UNKNOWN);
	/* nor does a stamp that has come round */
	check(T + 50 * DAY, "10.1.2.3", UNKNOWN, UNKNOWN);
}

/* What is said later stands, also if it is older, or nothing. */
static void test_changes(void **state)
{
	(void)state;
	epoch(usual, 3);
	say(T, "10.1.2.0/24", (struct said){ true, FRA, 100, 10 });
	say(T, "10.1.2.0/24", (struct said){ false, IAD, 200, 10 });
	check(T, "10.1.2.3", 100, 200);
	say(T + 1, "10.1.2.0/24", (struct said){ false, FRA, 300, 7200 });
	check(T + 1, "10.1.2.3", 300, 200);
	say(T + 2, "10.1.2.0/24", (struct said){ false, IAD, -1, 0 });
	check(T + 2, "10.1.2.3", 300, UNKNOWN);
	say(T + 3, "10.1.2.0/24", (struct said){ true, IAD, 65534, 0 });
	check(T + 3, "10.1.2.3", UNKNOWN, 65534); /* out of reach */
}

/* The longest group that has the client, as long as it is there. */
static void test_groups(void **state)
{
	(void)state;
	epoch(usual, 3);
	say(T, "10.0.0.0/8", (struct said){ true, FRA, 800, 0 });
	say(T, "10.1.0.0/16", (struct said){ true, FRA, 160, 0 });
	say(T, "10.1.2.0/24", (struct said){ true, FRA, 240, 0 });
	say(T, "2001:db8::/40", (struct said){ true, FRA, 40, 0 });
	check(T, "10.1.2.3", 240, UNKNOWN);
	check(T, "10.1.3.3", 160, UNKNOWN);
	check(T, "10.2.3.3", 800, UNKNOWN);
	check(T, "2001:db8:0:1::", 40, UNKNOWN);
	decided(T, "10.1.2.0/24", OF(24));
	check(T, "10.1.2.3", 240, UNKNOWN);
	/* a journal of before says nothing of groups */
	decided(T, "10.1.2.0/24", 0);
	check(T, "10.1.2.3", 240, UNKNOWN);
	assert_int_equal(told("10.1.2.3", "fra", DAY), 240);
	/* the table had found another one: it has not had the longer */
	decided(T, "10.1.2.0/24", OF(16));
	check(T, "10.1.2.3", 160, UNKNOWN);
	assert_int_equal(told("10.1.2.3", "fra", DAY), 160);
	decided(T, "10.1.3.0/24", NONE);
	check(T, "10.1.2.3", UNKNOWN, UNKNOWN);
	check(T, "10.2.2.3", UNKNOWN, UNKNOWN);
	assert_int_equal(told("10.1.2.3", "fra", DAY), UNKNOWN);
	decided(T, "2001:db8:1:100::/56", NONE);
	check(T, "2001:db8:0:1::", UNKNOWN, UNKNOWN);
	/* and is there again */
	say(T, "10.1.2.0/24", (struct said){ false, IAD, 7, 0 });
	check(T, "10.1.2.3", UNKNOWN, 7);
}

/* Over epochs, whose numbers of POPs are others. */
static void test_epochs(void **state)
{
	static const char *const other[] = { "abc", "iad", "fra" };

	(void)state;
	epoch(usual, 3);
	say(T, "10.1.2.0/24", (struct said){ true, FRA, 100, 10 });
	epoch(other, 3);
	check(T, "10.1.2.3", 100, UNKNOWN);
	say(T, "10.1.2.0/24", (struct said){ false, 1, 200, 10 });
	say(T, "10.1.2.0/24", (struct said){ false, 0, 300, 10 });
	check(T, "10.1.2.3", 100, 200);
	assert_int_equal(told("10.1.2.3", "abc", DAY), 300);
	assert_int_equal(
		near(T, "10.1.2.0/24", (struct said){ false, 3, 1, 0 }),
		-EBADMSG);
}

/* Many groups and POPs, in no order. */
static void test_many(void **state)
{
	static char names[300][8];
	static const char *pops[300];
	char group[32];

	(void)state;
	for (unsigned int i = 0; i < 300; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "p%u", i);
		pops[i] = names[i];
	}
	pops[7] = "fra";
	pops[299] = "iad";
	epoch(pops, 300);
	for (unsigned int i = 0; i < 60000; i++) {
		unsigned int k = i * 7919 % 6000;
		(void)snprintf(group, sizeof(group), "10.%u.%u.0/24", k / 250,
			       k % 250);
		say(T + i, group,
		    (struct said){ false, (i * 131 + i / 6000) % 300,
				   (int)(k % 1000), 0 });
		if (i % 1000 == 0)
			check(T + i, "192.0.2.1", UNKNOWN, UNKNOWN);
	}
	unsigned int known = 0;
	for (unsigned int k = 0; k < 6000; k += 7) {
		(void)snprintf(group, sizeof(group), "10.%u.%u.9", k / 250,
			       k % 250);
		int fra = told(group, "fra", DAY);
		int iad = told(group, "iad", DAY);
		assert_true(fra == UNKNOWN || fra == (int)(k % 1000));
		known += fra != UNKNOWN || iad != UNKNOWN;
		check(T + 60000, group, fra, iad);
	}
	assert_true(known > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_values_and_ages, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_changes, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_groups, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_epochs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
