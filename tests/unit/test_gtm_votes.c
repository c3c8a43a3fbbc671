/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/votes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants those before it */
#include <cmocka.h>

#include "tests/unit/gtm_kit.h"

static bool say(struct gtm_votes *votes, const char *node, enum gtm_state state,
		uint64_t when_ms, uint32_t metric)
{
	struct gtm_vote vote = { .node = gtm_votes_node(node, strlen(node)),
				 .when_ms = when_ms,
				 .metric = metric,
				 .error = (uint16_t)(state == GTM_DOWN),
				 .state = (uint8_t)state };

	return gtm_votes_take(votes, &vote);
}

static void counts_fresh_votes(void **state)
{
	struct gtm_votes votes = { 0 };
	struct gtm_vote agreed = { 0 };

	(void)state;
	assert_false(gtm_votes_count(&votes, 2, GTM_NEVER, 1, &agreed));
	assert_true(say(&votes, "a", GTM_UP, 100, 10));
	assert_true(gtm_votes_count(&votes, 1, GTM_NEVER, 1, &agreed));
	assert_false(gtm_votes_count(&votes, 2, GTM_NEVER, 1, &agreed));
	/* A node has one vote, and none that is older than its last. */
	assert_false(say(&votes, "a", GTM_DOWN, 100, 1));
	assert_true(say(&votes, "a", GTM_UP, 110, 20));
	assert_false(gtm_votes_count(&votes, 2, GTM_NEVER, 1, &agreed));
	assert_true(say(&votes, "b", GTM_UP, 105, 40));
	assert_true(gtm_votes_count(&votes, 2, GTM_NEVER, 1, &agreed));
	assert_int_equal(agreed.state, GTM_UP);
	assert_int_equal(agreed.when_ms, 105);
	assert_int_equal(agreed.metric, 20);
	/* Stale ones do not count. */
	assert_false(gtm_votes_count(&votes, 2, GTM_UP, 106, &agreed));
	assert_true(say(&votes, "c", GTM_DOWN, 120, 65535));
	assert_true(gtm_votes_count(&votes, 2, GTM_UP, 1, &agreed));
	assert_int_equal(agreed.state, GTM_UP);
	assert_true(say(&votes, "b", GTM_DOWN, 121, 65535));
	assert_true(gtm_votes_count(&votes, 2, GTM_UP, 1, &agreed));
	assert_int_equal(agreed.state, GTM_DOWN);
	assert_int_equal(agreed.error, 1);
	assert_int_equal(agreed.when_ms, 120);
	/* Two against two: it stays as it is. */
	assert_true(say(&votes, "d", GTM_UP, 122, 10));
	assert_true(gtm_votes_count(&votes, 2, GTM_DOWN, 1, &agreed));
	assert_int_equal(agreed.state, GTM_DOWN);
	assert_true(gtm_votes_count(&votes, 2, GTM_UP, 1, &agreed));
	assert_int_equal(agreed.state, GTM_UP);
	assert_false(gtm_votes_count(&votes, 3, GTM_UP, 1, &agreed));
}

static void knows_a_few_nodes(void **state)
{
	struct gtm_votes votes = { 0 };
	struct gtm_vote agreed = { 0 };
	char node[8] = "node-";

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		node[5] = (char)('A' + i / 10);
		node[6] = (char)('0' + i % 10);
		assert_true(say(&votes, node, GTM_UP, 10 + i, i));
	}
	/* The newest eight: metrics 92 to 99. */
	assert_true(gtm_votes_count(&votes, 8, GTM_UP, 1, &agreed));
	assert_int_equal(agreed.when_ms, 102);
	assert_int_equal(agreed.metric, 95);
}

static void one(struct gtm_world *world, const char *node, enum gtm_state state,
		double age_ms, uint64_t now_ms, bool changes)
{
	struct gtm_row row = { .server = slice_of("a"),
			       .service = slice_of("web"),
			       .address = kit_address("192.0.2.1"),
			       .state = state,
			       .metric = 7,
			       .age_ms = age_ms,
			       .node = slice_of(node) };
	bool changed;

	assert_int_equal(gtm_world_feed(world, &row, now_ms, &changed),
			 GTM_ROW_OK);
	assert_int_equal(changed, changes);
}

static enum gtm_state state_of(const struct gtm_world *world)
{
	struct sockaddr_storage address = kit_address("192.0.2.1");
	struct gtm_cell *cell =
		gtm_world_cell(world, slice_of("a"), &address, slice_of("web"));

	return gtm_slot_glance(&cell->slot).state;
}

static void decides_by_quorum(void **state)
{
	struct kit *kit = kit_new();
	struct config_service *web = kit_service(kit, "web", CONFIG_HTTP);

	(void)state;
	web->quorum = 2;
	kit_server(kit, "a", 1, "192.0.2.1");
	kit_host(kit, "www.example", "web", "a", "", "");
	struct gtm_world *world = kit_world(kit, NULL);
	one(world, "n1", GTM_UP, 0, 1000, false);
	assert_int_equal(state_of(world), GTM_NEVER);
	one(world, "n2", GTM_UP, 0, 1100, true);
	assert_int_equal(state_of(world), GTM_UP);
	/* One that sees it down, alone, does not take it down. */
	for (uint64_t now_ms = 1200; now_ms < 9000; now_ms += 1000) {
		one(world, "n1", GTM_DOWN, 0, now_ms, false);
		one(world, "n2", GTM_UP, 0, now_ms + 1, false);
		assert_int_equal(state_of(world), GTM_UP);
	}
	one(world, "n3", GTM_DOWN, 0, 9000, true);
	assert_int_equal(state_of(world), GTM_DOWN);
	/* A vote that is stale is none: max-age is 10 s. */
	one(world, "n3", GTM_UP, 0, 30000, false);
	assert_int_equal(state_of(world), GTM_DOWN);
	one(world, "n1", GTM_UP, 0, 30001, true);
	assert_int_equal(state_of(world), GTM_UP);
	/* A reload keeps the state, and hears the votes anew. */
	struct gtm_world *next = kit_world(kit, world);
	gtm_world_free(world);
	one(next, "n1", GTM_DOWN, 0, 30010, false);
	assert_int_equal(state_of(next), GTM_UP);
	one(next, "n2", GTM_DOWN, 0, 30011, true);
	gtm_world_free(next);
	kit_free(kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_fresh_votes),
		cmocka_unit_test(knows_a_few_nodes),
		cmocka_unit_test(decides_by_quorum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
