/* SPDX-License-Identifier: MPL-2.0 */
/* What is known of groups of clients, in virtual time; rules; rounds. */
#include "probes-client/near_groups.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "probes-client/near_rounds.h"
#include "probes-client/near_rules.h"

#define FRESH_S 1000u
#define REST_S	600u

static const struct config_methods all = { 4, { 0, 1, 2, 3 } };

static struct gtm_client of(const char *text)
{
	char address[64];
	struct gtm_client c = { .v6 = strchr(text, ':') != NULL };
	unsigned int bits = c.v6 ? 128 : 32;
	const char *slash = strchr(text, '/');

	(void)strncpy(address, text, sizeof(address) - 1);
	if (slash != NULL) {
		address[slash - text] = '\0';
		bits = (unsigned int)strtoul(slash + 1, NULL, 10);
	}
	assert_int_equal(
		inet_pton(c.v6 ? AF_INET6 : AF_INET, address, c.address), 1);
	c.bits = (uint8_t)bits;
	return c;
}

static enum near_asked ask(struct near_groups *g, const char *client,
			   uint32_t now_s)
{
	struct gtm_client c = of(client);
	struct gtm_client prefix = c;

	if (prefix.bits > (c.v6 ? 56 : 24))
		prefix.bits = c.v6 ? 56 : 24;
	gtm_client_clear(&prefix);
	return near_groups_ask(g, &prefix, &c, now_s, FRESH_S, REST_S);
}

static struct near_group *at(struct near_groups *g, const char *client)
{
	struct gtm_client c = of(client);
	uint32_t place = near_groups_find(g, &c);

	assert_int_not_equal(place, NEAR_NONE);
	return near_groups_at(g, place);
}

/* Measures the first that waits: 'client' answers by 'method'. */
static void answer(struct near_groups *g, unsigned int client,
		   unsigned int method, bool full, float ms, uint32_t now_s)
{
	struct near_answer a = { client, method, full, 0, ms };
	uint32_t place = near_groups_next(g);

	assert_int_not_equal(place, NEAR_NONE);
	near_group_tried(near_groups_at(g, place), method, true);
	near_groups_done(g, place, &a, now_s);
}

static void test_full_sticks(void **unused)
{
	struct near_groups *g = near_groups_new(10);
	uint8_t plan[NEAR_PLAN];

	(void)unused;
	assert_int_equal(ask(g, "192.0.2.1", 10), NEAR_ASKED_WAITS);
	assert_int_equal(ask(g, "192.0.2.1", 10), NEAR_ASKED_WAITS);
	assert_int_equal(near_groups_stats(g).waiting, 1);
	answer(g, 0, CONFIG_METHOD_ICMP, true, 12.34f, 11);
	assert_int_equal(at(g, "192.0.2.1")->tenths, 123);
	assert_int_equal(near_groups_tell(g, 12), 0);
	assert_int_equal(near_groups_tell(g, 12), NEAR_NONE);
	/* others of the group change nothing; it is known */
	assert_int_equal(ask(g, "192.0.2.2", 12), NEAR_ASKED_FRESH);
	assert_int_equal(ask(g, "192.0.2.3", 12), NEAR_ASKED_FRESH);
	assert_int_equal(ask(g, "192.0.2.4", 12), NEAR_ASKED_FRESH);
	assert_int_equal(near_groups_stats(g).telling, 0);
	assert_int_equal(ask(g, "192.0.2.4", 80), NEAR_ASKED_FRESH);
	assert_int_equal(near_groups_stats(g).telling, 1);
	struct near_group *group = at(g, "192.0.2.9");
	assert_int_equal(group->n, 3);
	assert_int_equal(group->answers, 0);
	/* when it is old, the one that answered is first, as it did */
	assert_int_equal(ask(g, "192.0.2.9", 2000), NEAR_ASKED_WAITS);
	assert_int_equal(near_group_plan(group, &all, plan), 12);
	assert_int_equal(plan[0], CONFIG_METHOD_ICMP << 4 | 0);
	assert_int_equal(plan[1], CONFIG_METHOD_PTR << 4 | 2);
	near_groups_free(g);
}

static void test_partial_starts_over(void **unused)
{
	struct near_groups *g = near_groups_new(10);
	uint8_t plan[NEAR_PLAN];
	struct gtm_client c;

	(void)unused;
	(void)ask(g, "2001:db8::1", 10);
	answer(g, 0, CONFIG_METHOD_TTL, false, 50, 11);
	assert_int_equal(ask(g, "2001:db8::1", 12), NEAR_ASKED_FRESH);
	/* a new one: at once, and what is known is told meanwhile */
	assert_int_equal(ask(g, "2001:db8::2", 13), NEAR_ASKED_WAITS);
	assert_int_equal(near_groups_stats(g).telling, 1);
	struct near_group *group = at(g, "2001:db8::");
	assert_int_equal(near_group_plan(group, &all, plan), 8);
	assert_int_equal(plan[0], CONFIG_METHOD_PTR << 4 | 1);
	answer(g, 0, CONFIG_METHOD_TTL, false, 50, 14);
	(void)ask(g, "2001:db8::3", 15);
	/* one that comes while it is measured has it done again */
	uint32_t place = near_groups_next(g);
	assert_int_equal(ask(g, "2001:db8::4", 15), NEAR_ASKED_WAITS);
	assert_int_equal(group->n, 3); /* no place changes meanwhile */
	near_groups_done(g, place, NULL, 16);
	assert_int_equal(near_groups_stats(g).waiting, 0);
	assert_int_equal(ask(g, "2001:db8::4", 17), NEAR_ASKED_WAITS);
	/* the oldest made room, but not the one that has answered */
	assert_int_equal(group->n, 3);
	near_group_client(group, 0, &c);
	assert_int_equal(c.address[15], 1);
	near_group_client(group, 1, &c);
	assert_int_equal(c.address[15], 3);
	near_group_client(group, 2, &c);
	assert_int_equal(c.address[15], 4);
	assert_int_equal(c.bits, 128);
	assert_int_equal(group->answers, 0);
	answer(g, 2, CONFIG_METHOD_PTR, true, 9, 18);
	assert_int_equal(ask(g, "2001:db8::5", 19), NEAR_ASKED_FRESH);
	near_groups_free(g);
}

static void test_silence_rests(void **unused)
{
	struct near_groups *g = near_groups_new(10);
	uint8_t plan[NEAR_PLAN];

	(void)unused;
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(ask(g, "10.0.0.0/24", 10 + 2 * REST_S * i),
				 NEAR_ASKED_WAITS);
		uint32_t place = near_groups_next(g);
		near_group_tried(near_groups_at(g, place), CONFIG_METHOD_PTR,
				 false);
		near_groups_done(g, place, NULL, 11 + 2 * REST_S * i);
		assert_int_equal(ask(g, "10.0.0.0/24", 12 + 2 * REST_S * i),
				 NEAR_ASKED_RESTS);
	}
	assert_int_equal(near_groups_stats(g).telling, 0);
	/* what has never helped is tried last */
	struct near_group *group = at(g, "10.0.0.0/24");
	assert_int_equal(near_group_plan(group, &all, plan), 4);
	assert_int_equal(plan[0], CONFIG_METHOD_ICMP << 4);
	assert_int_equal(plan[3], CONFIG_METHOD_PTR << 4);
	/* a shorter prefix is another group */
	assert_int_equal(ask(g, "10.0.0.0/23", 20000), NEAR_ASKED_WAITS);
	assert_int_equal(near_groups_stats(g).n, 2);
	near_groups_free(g);
}

static void test_counts_are_bounded(void **unused)
{
	struct near_group group = { 0 };

	(void)unused;
	for (int i = 0; i < 1000; i++)
		near_group_tried(&group, CONFIG_METHOD_UDP, i % 4 == 0);
	assert_in_range(group.bad[CONFIG_METHOD_UDP], 128, 255);
	assert_true(group.good[CONFIG_METHOD_UDP] <
		    group.bad[CONFIG_METHOD_UDP]);
	assert_int_not_equal(group.good[CONFIG_METHOD_UDP], 0);
}

static void test_connections(void **unused)
{
	struct near_groups *g = near_groups_new(10);
	struct gtm_client c = of("192.0.2.200");

	(void)unused;
	assert_false(near_groups_seen(g, &c, 5, 10)); /* nobody asked */
	(void)ask(g, "192.0.2.1", 10);
	assert_true(near_groups_seen(g, &c, 5, 11));
	assert_false(near_groups_seen(g, &c, 6, 12));
	assert_true(near_groups_seen(g, &c, 7, 100));
	struct near_group *group = at(g, "192.0.2.1");
	assert_int_equal(group->tenths, 70);
	assert_int_equal(group->method, NEAR_TCP);
	assert_int_equal(group->state & NEAR_FULL, NEAR_FULL);
	assert_int_equal(group->answers, 1);
	near_groups_free(g);
}

/* A million groups in the room that is promised; the eldest make room. */
static void test_room(void **unused)
{
	struct near_groups *g = near_groups_new(1000000);
	char text[32];

	(void)unused;
	for (uint32_t i = 0; i < 1000000; i++) {
		struct gtm_client c = { .bits = 32,
					.address = { (uint8_t)(i >> 16),
						     (uint8_t)(i >> 8),
						     (uint8_t)i, 1 } };
		struct gtm_client prefix = c;
		prefix.bits = 24;
		prefix.address[3] = 0;
		assert_int_equal(near_groups_ask(g, &prefix, &c, 1 + i / 1000,
						 FRESH_S, REST_S),
				 NEAR_ASKED_WAITS);
	}
	assert_int_equal(near_groups_stats(g).n, 1000000);
	assert_true(near_groups_bytes(g) <= 1000000u * 128);
	/* all wait, so none may go */
	assert_int_equal(ask(g, "200.0.0.1", 5000), NEAR_ASKED_REFUSED);
	assert_int_equal(near_groups_stats(g).refused, 1);
	/* first come, first served */
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(near_groups_next(g), i);
		near_groups_done(g, i, NULL, 5000);
	}
	assert_int_equal(near_groups_stats(g).waiting, 999900);
	assert_true(near_group_is_silent(near_groups_at(g, 99)));
	assert_false(near_group_is_silent(near_groups_at(g, 100))); /* waits */
	/* near the hand are those that were done */
	near_groups_free(g);
	g = near_groups_new(3);
	for (int i = 0; i < 10; i++) {
		(void)snprintf(text, sizeof(text), "10.0.%d.1", i);
		assert_int_equal(ask(g, text, 10 + (uint32_t)i),
				 NEAR_ASKED_WAITS);
		near_groups_done(g, near_groups_next(g), NULL, 10);
	}
	assert_int_equal(near_groups_stats(g).evicted, 7);
	struct gtm_client c = of("10.0.6.0/24");
	assert_int_equal(near_groups_find(g, &c), NEAR_NONE);
	c = of("10.0.7.0/24");
	assert_int_not_equal(near_groups_find(g, &c), NEAR_NONE);
	near_groups_free(g);
}

/* -- rules ------------------------------------------------------------------
 */

static struct config_prefix prefix(const char *text)
{
	struct config_prefix p;

	assert_int_equal(config_prefix_parse(slice_of(text), &p), 0);
	return p;
}

static void test_rules(void **unused)
{
	const struct config_prefix wide[] = { prefix("10.0.0.0/8"),
					      prefix("2001:db8::/32") };
	const struct config_prefix close[] = { prefix("10.1.0.0/16"),
					       prefix("2001:db8::1/128") };
	const struct config_prefix out[] = { prefix("10.1.2.0/24"),
					     prefix("2001:db8:1::/48") };
	const struct config_latency_rule rule[] = {
		{ 2, wide, { 1, { CONFIG_METHOD_UDP } }, -1 },
		{ 2, close, { 0, { 0 } }, CONFIG_MEASURE_NEVER },
	};
	struct config_latency config = { .methods = all,
					 .when = CONFIG_MEASURE_FAILED,
					 .n_opt_out = 2,
					 .opt_out = out,
					 .n_rules = 2,
					 .rules = rule };
	struct near_rules rules = { 0 };
	struct config_methods methods;
	struct gtm_client c;

	(void)unused;
	assert_int_equal(near_rules_use(&rules, &config), 0);
	c = of("11.0.0.1");
	assert_int_equal(near_rules_find(&rules, &c, &methods),
			 CONFIG_MEASURE_FAILED);
	assert_int_equal(methods.n, 4);
	c = of("10.2.0.1");
	assert_int_equal(near_rules_find(&rules, &c, &methods),
			 CONFIG_MEASURE_FAILED);
	assert_int_equal(methods.n, 1);
	c = of("10.1.0.1");
	assert_int_equal(near_rules_find(&rules, &c, &methods),
			 CONFIG_MEASURE_NEVER);
	assert_int_equal(methods.n, 4);
	c = of("2001:db8::1");
	assert_int_equal(near_rules_find(&rules, &c, &methods),
			 CONFIG_MEASURE_NEVER);
	/* a network that only holds such an address is not in it */
	c = of("2001:db8::/56");
	assert_int_equal(near_rules_find(&rules, &c, &methods),
			 CONFIG_MEASURE_FAILED);
	c = of("10.1.2.255");
	assert_true(near_rules_out(&rules, &c));
	c = of("10.1.3.1");
	assert_false(near_rules_out(&rules, &c));
	c = of("2001:db8:1:2::1");
	assert_true(near_rules_out(&rules, &c));
	near_rules_fini(&rules);
}

/* -- rounds -----------------------------------------------------------------
 */

static void test_rounds(void **unused)
{
	struct near_ping ping[10] = { 0 };
	struct near_values v;
	const float ms[] = { 10, 14, -1, 12, -1 };

	(void)unused;
	assert_false(near_round_values(ping, 10, &v));
	for (int i = 0; i < 5; i++)
		ping[i] = (struct near_ping){ 1, ms[i] };
	assert_true(near_round_values(ping, 10, &v));
	assert_int_equal(v.sent, 5);
	assert_int_equal(v.got, 3);
	assert_true(v.loss_pct > 39.9f && v.loss_pct < 40.1f);
	assert_true(v.rtt_ms > 11.9f && v.rtt_ms < 12.1f);
	assert_true(v.jitter_ms > 2.9f && v.jitter_ms < 3.1f);
	/* spread over the round, the first at once */
	assert_int_equal(near_round_due(100, 1000, 10000, 1000), 1);
	assert_int_equal(near_round_due(100, 1000, 10000, 6000), 51);
	assert_int_equal(near_round_due(100, 1000, 10000, 10999), 100);
	assert_int_equal(near_round_due(100, 1000, 10000, 99999), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_sticks),
		cmocka_unit_test(test_partial_starts_over),
		cmocka_unit_test(test_silence_rests),
		cmocka_unit_test(test_counts_are_bounded),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_rounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
