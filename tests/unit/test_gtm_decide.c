/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/decide.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gtm_kit.h"

#define NOW 100000u

static struct kit *kit;
static struct gtm_world *world;
static struct gtm_question question;
static struct gtm_answer answer;
static struct gtm_trace trace;
static uint64_t seed;

static int setup(void **state)
{
	(void)state;
	kit = kit_new();
	kit_service(kit, "free", CONFIG_NOLOAD);
	kit_service(kit, "web", CONFIG_HTTP);
	world = NULL;
	seed = 1;
	question = (struct gtm_question){
		.family = GTM_V4,
		.client = { .bits = 32, .address = { 192, 0, 2, 1 } },
		.now_ms = NOW,
	};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gtm_world_free(world);
	kit_free(kit);
	return 0;
}

/* Three servers a, b, c, with one address each: .1, .2, .3. */
static struct config_hostname *three(const char *service, const char *primary,
				     const char *backup, const char *hidden)
{
	kit_server(kit, "a", 1, "192.0.2.1");
	kit_server(kit, "b", 1, "192.0.2.2");
	kit_server(kit, "c", 1, "192.0.2.3");
	return kit_host(kit, "www.example.com", service, primary, backup,
			hidden);
}

static void feed(const char *server, enum gtm_state state, uint32_t metric,
		 uint64_t age_ms)
{
	char address[64];

	(void)snprintf(address, sizeof(address), "192.0.2.%d",
		       server[0] - 'a' + 1);
	kit_feed(world, server, address, "web",
		 (struct kit_value){ state, metric, NOW - age_ms });
}

static void decide(void)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	question.random = seed;
	gtm_decide(&world->hosts[0], &question, &answer, NULL);
}

static void traced(void)
{
	struct gtm_answer same;

	decide();
	gtm_decide(&world->hosts[0], &question, &same, &trace);
	assert_int_equal(same.n, answer.n);
	assert_int_equal(same.rule, answer.rule);
	assert_memory_equal(same.pick, answer.pick,
			    answer.n * sizeof(answer.pick[0]));
}

/* The servers of the answers of 100 decisions, sorted: "ab". */
static const char *seen(void)
{
	static char letters[32];
	bool has[26] = { false };
	size_t n = 0;

	for (unsigned int i = 0; i < 100; i++) {
		decide();
		for (unsigned int k = 0; k < answer.n; k++) {
			uint32_t server =
				world->hosts[0]
					.candidate[GTM_V4][answer.pick[k]]
					.server;
			has[world->config->servers[server].id[0] - 'a'] = true;
		}
	}
	for (unsigned int i = 0; i < 26; i++)
		if (has[i])
			letters[n++] = (char)('a' + i);
	letters[n] = '\0';
	return letters;
}

static void expect(const char *servers, enum gtm_rule rule,
		   enum config_tier tier)
{
	assert_string_equal(seen(), servers);
	assert_int_equal(answer.outcome, GTM_ADDRESSES);
	assert_int_equal(answer.rule, rule);
	assert_int_equal(answer.tier, tier);
}

static void test_no_service(void **state)
{
	(void)state;
	three(NULL, "a b c", "", "");
	world = kit_world(kit, NULL);
	assert_int_equal(world->n_cells, 0);
	expect("abc", GTM_RULE_UP, CONFIG_PRIMARY);
	assert_int_equal(answer.n, 1);
	assert_int_equal(answer.ttl_s, 30);
	assert_int_equal(answer.scope, 0);
}

static void test_empty_family(void **state)
{
	(void)state;
	three("web", "a", "b", "c")->fail = CONFIG_FAIL_SERVFAIL;
	world = kit_world(kit, NULL);
	question.family = GTM_V6;
	traced();
	assert_int_equal(answer.outcome, GTM_NODATA);
	assert_int_equal(answer.rule, GTM_RULE_EMPTY);
	assert_int_equal(answer.n, 0);
}

static void test_tiers(void **state)
{
	(void)state;
	three("web", "a", "b", "c");
	world = kit_world(kit, NULL);
	expect("a", GTM_RULE_NEW, CONFIG_PRIMARY);
	feed("b", GTM_UP, 1, 300);
	feed("c", GTM_UP, 1, 300);
	/* Not tested is not failed. */
	expect("a", GTM_RULE_NEW, CONFIG_PRIMARY);
	feed("a", GTM_DOWN, 65535, 200);
	expect("b", GTM_RULE_UP, CONFIG_BACKUP);
	feed("b", GTM_DOWN, 65535, 200);
	expect("c", GTM_RULE_UP, CONFIG_HIDDEN);
	feed("a", GTM_UP, 1, 100);
	expect("a", GTM_RULE_UP, CONFIG_PRIMARY);
}

static void test_hidden_wants_failure(void **state)
{
	(void)state;
	three("web", "a", "b", "c");
	world = kit_world(kit, NULL);
	feed("a", GTM_UP, 1, 20000);
	feed("b", GTM_DOWN, 1, 100);
	feed("c", GTM_UP, 1, 100);
	expect("a", GTM_RULE_OPEN, CONFIG_PRIMARY);
	traced();
	assert_int_equal(trace.line[0].verdict, GTM_CHOSEN);
	assert_int_equal(trace.line[0].class, GTM_C_STALE);
	assert_int_equal(trace.line[1].verdict, GTM_NOT_ASKED);
	assert_int_equal(trace.line[2].verdict, GTM_NOT_ASKED);
	feed("a", GTM_DOWN, 1, 50);
	expect("c", GTM_RULE_UP, CONFIG_HIDDEN);
}

static void test_stale_edge(void **state)
{
	(void)state;
	three("web", "a b", "", "");
	world = kit_world(kit, NULL);
	feed("a", GTM_UP, 1, 10000); /* just max-age */
	feed("b", GTM_UP, 1, 10001);
	expect("a", GTM_RULE_UP, CONFIG_PRIMARY);
	traced();
	assert_int_equal(trace.line[1].verdict, GTM_NOT_FRESH);
	assert_int_equal(trace.line[1].when_ms, NOW - 10001);
	question.now_ms = 1; /* a reader's clock may be behind */
	expect("ab", GTM_RULE_UP, CONFIG_PRIMARY);
}

static void test_drain(void **state)
{
	(void)state;
	three("web", "a b", "c", "");
	world = kit_world(kit, NULL);
	feed("a", GTM_UP, 1, 100);
	feed("b", GTM_UP, 1, 100);
	feed("c", GTM_UP, 1, 100);
	atomic_store(&world->admins[0]->drained_until_ms, UINT64_MAX);
	expect("b", GTM_RULE_UP, CONFIG_PRIMARY);
	traced();
	assert_int_equal(trace.line[0].verdict, GTM_DRAINED);
	assert_int_equal(trace.line[0].class, GTM_C_OUT);
	atomic_store(&world->admins[0]->drained_until_ms, NOW);
	expect("ab", GTM_RULE_UP, CONFIG_PRIMARY);
	atomic_store(&world->admins[0]->drained_until_ms, NOW + 1);
	atomic_store(&world->admins[1]->drained_until_ms, NOW + 1);
	expect("c", GTM_RULE_UP, CONFIG_BACKUP);
	atomic_store(&world->admins[2]->drained_until_ms, NOW + 1);
	expect("ab", GTM_RULE_OPEN, CONFIG_PRIMARY);
}

static void test_open_ranks(void **state)
{
	(void)state;
	kit_server(kit, "a", 1, "192.0.2.1");
	kit_server(kit, "b", 1, "192.0.2.2");
	kit_server(kit, "c", 1, "192.0.2.3");
	kit_server(kit, "d", 0, "192.0.2.4");
	kit_host(kit, "www.example.com", "web", "a b c d", "", "");
	world = kit_world(kit, NULL);
	feed("a", GTM_UP, 1, 20000);
	feed("b", GTM_DOWN, 65535, 100);
	feed("c", GTM_UP, 1, 100);
	feed("d", GTM_UP, 1, 100);
	atomic_store(&world->admins[2]->drained_until_ms, UINT64_MAX);
	expect("a", GTM_RULE_OPEN, CONFIG_PRIMARY);
	traced();
	assert_int_equal(trace.line[3].verdict, GTM_NO_WEIGHT);
	feed("a", GTM_DOWN, 65535, 100);
	expect("ab", GTM_RULE_OPEN, CONFIG_PRIMARY);
	atomic_store(&world->admins[0]->drained_until_ms, UINT64_MAX);
	atomic_store(&world->admins[1]->drained_until_ms, UINT64_MAX);
	expect("abc", GTM_RULE_OPEN, CONFIG_PRIMARY);
}

static void test_all_without_weight(void **state)
{
	(void)state;
	kit_server(kit, "a", 0, "192.0.2.1");
	kit_server(kit, "b", 0, "192.0.2.2");
	kit_host(kit, "www.example.com", NULL, "a b", "", "");
	world = kit_world(kit, NULL);
	expect("ab", GTM_RULE_OPEN, CONFIG_PRIMARY);
	traced();
	assert_true(fabs(trace.line[0].share - 0.5) < 1e-9);
}

static void test_fail_last(void **state)
{
	(void)state;
	three("web", "a b", "c", "")->fail = CONFIG_FAIL_LAST;
	world = kit_world(kit, NULL);
	feed("a", GTM_DOWN, 1, 500);
	feed("b", GTM_DOWN, 1, 500);
	feed("c", GTM_DOWN, 1, 500);
	expect("ab", GTM_RULE_OPEN, CONFIG_PRIMARY); /* none was ever up */
	feed("b", GTM_UP, 1, 400);
	feed("b", GTM_DOWN, 1, 300);
	expect("b", GTM_RULE_LAST, CONFIG_PRIMARY);
	feed("c", GTM_UP, 1, 350);
	feed("c", GTM_DOWN, 1, 300);
	expect("c", GTM_RULE_LAST, CONFIG_BACKUP);
	atomic_store(&world->admins[2]->drained_until_ms, UINT64_MAX);
	expect("b", GTM_RULE_LAST, CONFIG_PRIMARY);
	traced();
	assert_int_equal(trace.line[0].verdict, GTM_NOT_ASKED);
}

static void test_fail_backup(void **state)
{
	(void)state;
	three("web", "a", "b c", "")->fail = CONFIG_FAIL_BACKUP;
	world = kit_world(kit, NULL);
	feed("a", GTM_UP, 1, 20000);
	feed("b", GTM_DOWN, 1, 100);
	feed("c", GTM_DOWN, 1, 100);
	expect("bc", GTM_RULE_BACKUP, CONFIG_BACKUP);
	gtm_world_free(world);
	struct config *config = kit_config(kit);
	((struct config_hostname *)config->hostnames)
		->n_servers[CONFIG_BACKUP] = 0;
	world = kit_world(kit, NULL);
	feed("a", GTM_DOWN, 1, 100);
	expect("a", GTM_RULE_OPEN, CONFIG_PRIMARY);
}

static void test_fail_none(void **state)
{
	struct config_hostname *host = three("web", "a", "", "c");

	(void)state;
	host->fail = CONFIG_FAIL_NODATA;
	world = kit_world(kit, NULL);
	feed("a", GTM_DOWN, 1, 100);
	feed("c", GTM_DOWN, 1, 100);
	traced();
	assert_int_equal(answer.outcome, GTM_NODATA);
	assert_int_equal(answer.rule, GTM_RULE_NODATA);
	assert_int_equal(trace.line[0].verdict, GTM_NOT_ASKED);
	assert_true(trace.line[0].share == 0.0);
	host->fail = CONFIG_FAIL_SERVFAIL;
	traced();
	assert_int_equal(answer.outcome, GTM_SERVFAIL);
	assert_int_equal(answer.rule, GTM_RULE_SERVFAIL);
	assert_int_equal(answer.n, 0);
}

/* A family without primary servers. */
static void test_first_tier(void **state)
{
	(void)state;
	kit_server(kit, "a", 1, "2001:db8::1");
	kit_server(kit, "b", 1, "192.0.2.2");
	kit_server(kit, "c", 1, "192.0.2.3");
	kit_host(kit, "www.example.com", "web", "a", "b", "c");
	world = kit_world(kit, NULL);
	feed("b", GTM_DOWN, 1, 100);
	feed("c", GTM_DOWN, 1, 100);
	expect("b", GTM_RULE_OPEN, CONFIG_BACKUP);
}

static void test_capacity(void **state)
{
	struct config_hostname *host = three("web", "a b c", "", "");
	struct config_server *servers =
		(struct config_server *)kit_config(kit)->servers;

	(void)state;
	host->answers = 2;
	servers[0].capacity = 100;
	servers[1].capacity = 100;
	world = kit_world(kit, NULL);
	feed("a", GTM_UP, 100, 300);
	feed("b", GTM_UP, 99, 300);
	feed("c", GTM_DOWN, 5, 300);
	expect("b", GTM_RULE_UP, CONFIG_PRIMARY);
	assert_int_equal(answer.n, 1);
	traced();
	assert_int_equal(trace.line[0].verdict, GTM_FULL);
	assert_int_equal(trace.line[2].verdict, GTM_NOT_UP);
	feed("b", GTM_UP, 1000, 200);
	expect("ab", GTM_RULE_UP, CONFIG_PRIMARY); /* all are full */
}

static void test_load(void **state)
{
	(void)state;
	three("web", "a b c", "", "")->weigh.load = 0.5;
	world = kit_world(kit, NULL);
	feed("a", GTM_UP, 100, 300);
	feed("b", GTM_UP, 110, 300);
	feed("c", GTM_UP, 161, 300); /* tests/scenarios/load.txt: less */
	expect("ab", GTM_RULE_UP, CONFIG_PRIMARY);
	traced();
	assert_int_equal(trace.line[2].verdict, GTM_COSTLY);
	assert_int_equal(trace.line[2].metric, 161);
	assert_true(trace.line[2].share == 0.0);
	assert_true(fabs(trace.line[0].share - 0.5) < 1e-9);
	feed("a", GTM_UP, 0, 200);
	expect("a", GTM_RULE_UP, CONFIG_PRIMARY);
}

static void test_verdicts_of_tiers(void **state)
{
	(void)state;
	three("web", "a b", "c", "");
	world = kit_world(kit, NULL);
	feed("a", GTM_UP, 5, 100);
	feed("c", GTM_DOWN, 5, 100);
	traced();
	assert_int_equal(trace.line[0].verdict, GTM_CHOSEN);
	assert_int_equal(trace.line[1].verdict, GTM_NOT_TESTED);
	assert_int_equal(trace.line[1].class, GTM_C_NEW);
	assert_int_equal(trace.line[2].verdict, GTM_LATER_TIER);
	assert_int_equal(trace.line[2].class, GTM_C_DOWN);
	feed("b", GTM_UP, 5, 100);
	traced();
	assert_int_equal(trace.line[0].verdict + trace.line[1].verdict,
			 GTM_CHOSEN + GTM_ELIGIBLE);
}

/* Within five standard deviations of 'n' draws of probability 'p'. */
static void near_share(unsigned int got, unsigned int n, double p)
{
	double sd = sqrt(n * p * (1 - p));

	if (fabs(got - n * p) > 5 * sd)
		fail_msg("%u of %u, want about %.0f", got, n, n * p);
}

static void test_weights(void **state)
{
	unsigned int got[4] = { 0 };

	(void)state;
	kit_server(kit, "a", 1, "192.0.2.1");
	kit_server(kit, "b", 2, "192.0.2.2 192.0.2.3");
	kit_server(kit, "c", 7, "192.0.2.4");
	kit_host(kit, "www.example.com", NULL, "a b c", "", "");
	world = kit_world(kit, NULL);
	for (unsigned int i = 0; i < 100000; i++) {
		decide();
		assert_int_equal(answer.n, 1);
		got[answer.pick[0]]++;
	}
	near_share(got[0], 100000, 0.1);
	near_share(got[1], 100000, 0.1);
	near_share(got[2], 100000, 0.1);
	near_share(got[3], 100000, 0.7);
	traced();
	assert_true(fabs(trace.line[1].share - 0.1) < 1e-9);
	assert_true(fabs(trace.line[3].share - 0.7) < 1e-9);
}

/* Without replacement: a pair {i, j} comes as often as it should. */
static void test_pairs(void **state)
{
	static const double w[3] = { 0.1, 0.3, 0.6 };
	unsigned int got[3][3] = { 0 };

	(void)state;
	kit_server(kit, "a", 1, "192.0.2.1");
	kit_server(kit, "b", 3, "192.0.2.2");
	kit_server(kit, "c", 6, "192.0.2.3");
	kit_host(kit, "www.example.com", NULL, "a b c", "", "")->answers = 2;
	world = kit_world(kit, NULL);
	for (unsigned int i = 0; i < 100000; i++) {
		decide();
		assert_int_equal(answer.n, 2);
		got[answer.pick[0]][answer.pick[1]]++;
	}
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(got[i][i], 0);
		for (unsigned int k = 0; k < 3; k++)
			if (i != k)
				near_share(got[i][k], 100000,
					   w[i] * w[k] / (1 - w[i]));
	}
}

static void check_distinct_servers(bool persist)
{
	struct config_hostname *host =
		(struct config_hostname *)kit_config(kit)->hostnames;

	host->persist_s = persist ? 60 : 0;
	for (uint8_t wanted = 1; wanted <= 10; wanted++) {
		unsigned int servers[3] = { 0 };
		bool has[7] = { false };
		host->answers = wanted;
		decide();
		assert_int_equal(answer.n, wanted < 7 ? wanted : 7);
		for (unsigned int k = 0; k < answer.n; k++) {
			assert_false(has[answer.pick[k]]);
			has[answer.pick[k]] = true;
			uint32_t server =
				world->hosts[0]
					.candidate[GTM_V4][answer.pick[k]]
					.server;
			servers[server]++;
		}
		/* a has 1 address, b 2, c 4. */
		if (wanted >= 3)
			assert_true(servers[0] && servers[1] && servers[2]);
		if (wanted >= 5)
			assert_int_equal(servers[1], 2);
	}
}

static void test_distinct_servers(void **state)
{
	(void)state;
	kit_server(kit, "a", 1, "192.0.2.1");
	kit_server(kit, "b", 1, "192.0.2.2 192.0.2.3");
	kit_server(kit, "c", 1000, "192.0.2.4 192.0.2.5 192.0.2.6 192.0.2.7");
	kit_host(kit, "www.example.com", NULL, "a b c", "", "");
	world = kit_world(kit, NULL);
	for (unsigned int i = 0; i < 200; i++) {
		question.client.address[1] = (uint8_t)i;
		check_distinct_servers(false);
		check_distinct_servers(true);
	}
}

static void test_same_address(void **state)
{
	(void)state;
	kit_server(kit, "a", 1, "192.0.2.1");
	kit_server(kit, "b", 1, "192.0.2.1");
	kit_host(kit, "www.example.com", NULL, "a b", "", "")->answers = 2;
	world = kit_world(kit, NULL);
	decide();
	assert_int_equal(answer.n, 1);
}

/* -- persist --------------------------------------------------------------- */

#define CLIENTS 20000u
static uint16_t before[CLIENTS];

static void client_set(uint32_t i)
{
	question.client.address[0] = 10;
	question.client.address[1] = (uint8_t)(i >> 8);
	question.client.address[2] = (uint8_t)i;
	question.client.address[3] = (uint8_t)(i * 7);
	question.client.bits = 32;
}

static struct config_hostname *five(void)
{
	struct config_hostname *host;

	kit_server(kit, "a", 1, "192.0.2.1");
	kit_server(kit, "b", 2, "192.0.2.2");
	kit_server(kit, "c", 3, "192.0.2.3");
	kit_server(kit, "d", 4, "192.0.2.4");
	kit_server(kit, "e", 10, "192.0.2.5");
	host = kit_host(kit, "www.example.com", "web", "a b c d e", "", "");
	host->persist_s = 60;
	return host;
}

static void test_persist_shares(void **state)
{
	static const double w[5] = { 0.05, 0.1, 0.15, 0.2, 0.5 };
	unsigned int got[5] = { 0 };

	(void)state;
	five();
	world = kit_world(kit, NULL);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		client_set(i);
		decide();
		uint16_t first = answer.pick[0];
		assert_int_equal(answer.scope, 24);
		question.client.address[3] ^= 0x5a; /* same /24 */
		decide();
		assert_int_equal(answer.pick[0], first);
		got[first]++;
	}
	for (unsigned int i = 0; i < 5; i++)
		near_share(got[i], CLIENTS, w[i]);
}

/* Only clients of the server that fails move; all come back. */
static void test_persist_disruption(void **state)
{
	(void)state;
	five();
	world = kit_world(kit, NULL);
	for (unsigned int i = 0; i < 5; i++)
		feed((const char *[]){ "a", "b", "c", "d", "e" }[i], GTM_UP, 1,
		     500);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		client_set(i);
		decide();
		before[i] = answer.pick[0];
	}
	feed("d", GTM_DOWN, 1, 400);
	unsigned int moved = 0;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		client_set(i);
		decide();
		assert_int_not_equal(answer.pick[0], 3);
		if (before[i] != 3)
			assert_int_equal(answer.pick[0], before[i]);
		moved += before[i] == 3;
	}
	near_share(moved, CLIENTS, 0.2);
	feed("d", GTM_UP, 1, 300);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		client_set(i);
		decide();
		assert_int_equal(answer.pick[0], before[i]);
	}
}

/* Another server joins: clients move to it alone, whatever the indices. */
static void test_persist_join(void **state)
{
	(void)state;
	kit_server(kit, "b", 1, "192.0.2.2");
	kit_server(kit, "c", 1, "192.0.2.3");
	kit_host(kit, "www.example.com", NULL, "b c", "", "")->persist_s = 60;
	world = kit_world(kit, NULL);
	struct kit *more = kit_new();
	kit_server(more, "a", 2, "192.0.2.1");
	kit_server(more, "b", 1, "192.0.2.2");
	kit_server(more, "c", 1, "192.0.2.3");
	kit_host(more, "www.example.com", NULL, "a c b", "", "")->persist_s =
		60;
	struct gtm_world *next = kit_world(more, world);
	unsigned int moved = 0;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		char was[64];
		char is[64];
		client_set(i);
		decide();
		kit_text(&world->hosts[0], GTM_V4, answer.pick[0], was);
		gtm_decide(&next->hosts[0], &question, &answer, NULL);
		kit_text(&next->hosts[0], GTM_V4, answer.pick[0], is);
		if (strcmp(is, "192.0.2.1") == 0)
			moved++;
		else
			assert_string_equal(is, was);
	}
	near_share(moved, CLIENTS, 0.5);
	gtm_world_free(next);
	kit_free(more);
}

static void test_scope(void **state)
{
	struct config_hostname *host = five();

	(void)state;
	world = kit_world(kit, NULL);
	for (uint8_t bits = 1; bits <= 32; bits++) {
		question.client.bits = bits;
		decide();
		assert_int_equal(answer.scope, bits < 24 ? bits : 24);
	}
	question.client.v6 = true;
	for (uint8_t bits = 1; bits <= 128; bits++) {
		question.client.bits = bits;
		decide();
		assert_int_equal(answer.scope, bits < 56 ? bits : 56);
	}
	host->answers = 5; /* all of them: the client does not matter */
	decide();
	assert_int_equal(answer.scope, 0);
	host->answers = 4;
	decide();
	assert_int_equal(answer.scope, 56);
	host->persist_s = 0;
	decide();
	assert_int_equal(answer.scope, 0);
}

/* Bits beyond the client's prefix are not looked at. */
static void test_prefix_bits(void **state)
{
	(void)state;
	five();
	world = kit_world(kit, NULL);
	for (unsigned int i = 0; i < 2000; i++) {
		question.client.bits = (uint8_t)(1 + i % 24);
		memset(question.client.address, 0, 16);
		unsigned int bit = question.client.bits;
		question.client.address[0] = 0x80;
		decide();
		uint16_t first = answer.pick[0];
		question.client.address[bit / 8] |=
			(uint8_t)((i * 37) & (0xff >> bit % 8));
		question.client.address[3] = (uint8_t)i;
		decide();
		assert_int_equal(answer.pick[0], first);
	}
}

/* -- size, counters -------------------------------------------------------- */

static void test_largest(void **state)
{
	static char names[CONFIG_CHOICE_MAX * 6 + 1];
	unsigned int got = 0;
	size_t at = 0;

	(void)state;
	for (unsigned int i = 0; i < CONFIG_CHOICE_MAX; i++) {
		char id[8];
		char address[32];
		(void)snprintf(id, sizeof(id), "s%04u", i);
		(void)snprintf(address, sizeof(address), "10.0.%u.%u", i >> 8,
			       i & 255);
		kit_server(kit, id, 1 + i % 3, address);
		at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s",
				       i == 0 ? "" : " ", id);
	}
	struct config_hostname *host =
		kit_host(kit, "www.example.com", "web", names, "", "");
	host->answers = 16;
	world = kit_world(kit, NULL);
	assert_int_equal(world->n_cells, CONFIG_CHOICE_MAX);
	for (unsigned int i = 0; i < 2000; i++) {
		host->persist_s = i % 2;
		client_set(i);
		traced();
		assert_int_equal(answer.n, 16);
		for (unsigned int k = 1; k < 16; k++)
			assert_int_not_equal(answer.pick[k], answer.pick[0]);
		got += answer.pick[0] >= CONFIG_CHOICE_MAX / 2;
	}
	near_share(got, 2000, 0.5);

	struct gtm_world *none = NULL;
	kit_server(kit, "t", 1, "192.0.2.1");
	uint32_t *list = (uint32_t *)host->servers[CONFIG_PRIMARY];
	list[host->n_servers[CONFIG_PRIMARY]++] = CONFIG_CHOICE_MAX;
	assert_int_equal(gtm_world_new(kit_config(kit), NULL, &none), -E2BIG);
	assert_null(none);
	host->n_servers[CONFIG_PRIMARY]--;
}

static uint64_t counted(enum gtm_count what)
{
	return atomic_load(&world->hosts[0].counts->n[what]);
}

static void test_count(void **state)
{
	struct config_hostname *host = three("web", "a", "b", "c");

	(void)state;
	world = kit_world(kit, NULL);
	feed("a", GTM_DOWN, 1, 500);
	feed("b", GTM_UP, 1, 500);
	feed("c", GTM_UP, 1, 500);
	decide();
	gtm_decide_count(&world->hosts[0], GTM_V4, &answer, false);
	gtm_decide_count(&world->hosts[0], GTM_V4, &answer, true);
	assert_int_equal(counted(GTM_DECISIONS), 1);
	assert_int_equal(counted(GTM_EXTRA), 1);
	assert_int_equal(counted(GTM_ON_BACKUP), 1);
	assert_int_equal(
		atomic_load(&world->hosts[0].candidate[0][1].tally->given), 2);
	feed("b", GTM_DOWN, 1, 400);
	decide();
	gtm_decide_count(&world->hosts[0], GTM_V4, &answer, false);
	assert_int_equal(counted(GTM_ON_HIDDEN), 1);
	feed("c", GTM_DOWN, 1, 400);
	host->fail = CONFIG_FAIL_NODATA;
	decide();
	gtm_decide_count(&world->hosts[0], GTM_V4, &answer, false);
	host->fail = CONFIG_FAIL_SERVFAIL;
	decide();
	gtm_decide_count(&world->hosts[0], GTM_V4, &answer, false);
	assert_int_equal(counted(GTM_NO_DATA), 1);
	assert_int_equal(counted(GTM_SERVFAILS), 1);
	assert_int_equal(counted(GTM_ON_FAIL), 2);
	assert_int_equal(counted(GTM_DECISIONS), 4);
}

static void test_names(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < GTM_RULES; i++)
		assert_non_null(gtm_rule_names[i]);
	for (unsigned int i = 0; i < GTM_VERDICTS; i++)
		assert_non_null(gtm_verdict_names[i]);
	for (unsigned int i = 0; i < GTM_CLASSES; i++)
		assert_non_null(gtm_class_names[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_service),
		TEST(test_empty_family),
		TEST(test_tiers),
		TEST(test_hidden_wants_failure),
		TEST(test_stale_edge),
		TEST(test_drain),
		TEST(test_open_ranks),
		TEST(test_all_without_weight),
		TEST(test_fail_last),
		TEST(test_fail_backup),
		TEST(test_fail_none),
		TEST(test_first_tier),
		TEST(test_capacity),
		TEST(test_load),
		TEST(test_verdicts_of_tiers),
		TEST(test_weights),
		TEST(test_pairs),
		TEST(test_distinct_servers),
		TEST(test_same_address),
		TEST(test_persist_shares),
		TEST(test_persist_disruption),
		TEST(test_persist_join),
		TEST(test_scope),
		TEST(test_prefix_bits),
		TEST(test_largest),
		TEST(test_count),
		TEST(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
