/* SPDX-License-Identifier: MPL-2.0 */
/* Columns of latency tables, and tables copied. */
#include "gtm/groups.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/groups_kit.h"

/* -- columns --------------------------------------------------------------- */

static bool wipe(struct gtm_groups *g)
{
	for (unsigned int i = 0; i < 100; i++)
		if (gtm_groups_tidy(g, GTM_AGE_MAX_MS, NOW, 1))
			return true;
	return false;
}

/* Held by two configurations, then by the second alone. */
static void test_columns(void **unused)
{
	static const char *const before[] = { "fra", "iad", "nrt" };
	static const char *const after[] = { "nrt", "syd", "fra" };
	static const uint16_t old[] = { 0, 1, 2 };
	struct gtm_groups *g = table(10, 3, before, 3);
	struct gtm_client group = v4(0x0a000000, 8);
	struct gtm_groups_counts counts;
	uint16_t map[3] = { 9, 9, 9 };

	(void)unused;
	for (uint16_t i = 0; i < 3; i++)
		assert_int_equal(gtm_groups_put(g, &group, i, i, 0, NOW), 0);
	/* "iad" has it still, even when all was looked at meanwhile */
	assert_int_equal(gtm_groups_columns(g, after, 3, map), -ENOSPC);
	assert_int_equal(gtm_groups_columns(g, after, 1, map), 0);
	assert_int_equal(map[0], 2);
	assert_true(wipe(g));
	assert_int_equal(value(g, 1, NOW).tenths, 1); /* an old reader's */
	gtm_groups_let_go(g, old, 3);
	assert_int_equal(gtm_groups_columns(g, after, 3, map), -ENOSPC);
	gtm_groups_count(g, &counts);
	assert_int_equal(counts.columns_used, 3);
	assert_true(wipe(g));
	gtm_groups_count(g, &counts);
	assert_int_equal(counts.columns_used, 1);
	assert_int_equal(gtm_groups_columns(g, after, 3, map), 0);
	assert_int_equal(map[0], 2);
	assert_int_equal(map[1] + map[2], 1);
	assert_int_equal(value(g, map[0], NOW).tenths, 2);
	for (size_t i = 1; i < 3; i++)
		assert_int_equal(value(g, map[i], NOW).tenths, UNKNOWN);
	gtm_groups_unref(g);
}

/* A POP that comes back while its column is wiped has it again, for good. */
static void test_back(void **unused)
{
	static const char *const pops[] = { "fra", "iad" };
	static const uint16_t gone[] = { 1 };
	struct gtm_groups *g = table(10, 2, pops, 2);
	struct gtm_client group = v4(0x0a000000, 8);
	struct gtm_client other = v4(0x14000000, 8);
	uint16_t map[2];

	(void)unused;
	assert_int_equal(gtm_groups_put(g, &other, 0, 5, 0, NOW), 0);
	assert_int_equal(gtm_groups_put(g, &group, 0, 6, 0, NOW), 0);
	assert_int_equal(gtm_groups_put(g, &group, 1, 7, 0, NOW), 0);
	gtm_groups_let_go(g, gone, 1);
	assert_false(gtm_groups_tidy(g, GTM_AGE_MAX_MS, NOW, 1));
	assert_int_equal(gtm_groups_columns(g, pops + 1, 1, map), 0);
	assert_int_equal(map[0], 1);
	assert_true(wipe(g));
	assert_int_equal(value(g, 1, NOW).tenths, 7);
	/* held and gone again: that takes a whole round */
	gtm_groups_let_go(g, gone, 1);
	assert_false(gtm_groups_tidy(g, GTM_AGE_MAX_MS, NOW, 1));
	assert_int_equal(gtm_groups_columns(g, pops + 1, 1, map), 0);
	gtm_groups_let_go(g, gone, 1);
	assert_true(wipe(g));
	assert_int_equal(gtm_groups_columns(g, one_pop, 1, map), 0);
	static const char *const third[] = { "nrt" };
	assert_int_equal(gtm_groups_columns(g, third, 1, map), -ENOSPC);
	assert_true(wipe(g));
	assert_int_equal(gtm_groups_columns(g, third, 1, map), 0);
	assert_int_equal(map[0], 1);
	assert_int_equal(value(g, 1, NOW).tenths, UNKNOWN);
	assert_int_equal(value(g, 0, NOW).tenths, 6);
	gtm_groups_unref(g);
}

static void test_bad_ids(void **unused)
{
	static const char *const empty[] = { "" };
	char text[GTM_POP_ID_MAX + 2];
	const char *const longest[] = { text + 1 };
	const char *const longer[] = { text };
	struct gtm_groups *g;
	uint16_t map[3];

	(void)unused;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(gtm_groups_new(0, 1, &g), -EINVAL);
	assert_int_equal(gtm_groups_new(GTM_GROUPS_MAX + 1, 1, &g), -EINVAL);
	assert_int_equal(gtm_groups_new(1, 0, &g), -EINVAL);
	assert_int_equal(gtm_groups_new(1, GTM_COLUMNS_MAX + 1, &g), -EINVAL);
	assert_int_equal(gtm_groups_new(1, 3, &g), 0);
	assert_int_equal(gtm_groups_columns(g, empty, 1, map), -EINVAL);
	assert_int_equal(gtm_groups_columns(g, longer, 1, map), -EINVAL);
	assert_int_equal(gtm_groups_columns(g, longest, 1, map), 0);
	gtm_groups_unref(g);
}

/* Copied in slices while values come, then what came too late. */
static void test_wider(void **unused)
{
	static const char *const pops[] = { "fra", "iad" };
	static const char *const more[] = { "nrt", "iad", "syd", "fra" };
	struct gtm_groups *old = table(2000, 2, pops, 2);
	struct gtm_groups *new = table(2000, 4, more, 4);
	struct gtm_groups_counts counts;
	uint32_t cursor = 0;
	bool done = false;

	(void)unused;
	for (uint32_t i = 0; i < 1000; i++)
		put(old, i, NOW);
	for (uint32_t i = 0; !done; i++) {
		assert_int_equal(
			gtm_groups_copy(new, old, &cursor, 10, NOW, &done), 0);
		struct gtm_client late = v4(i << 12, 20);
		assert_int_equal(
			gtm_groups_put(old, &late, 1, 77, 0, NOW + 200000), 0);
	}
	struct gtm_client group = v4(0, 20);
	assert_int_equal(gtm_groups_put(new, &group, 1, 88, 0, NOW + 400000),
			 0);
	cursor = 0;
	for (done = false; !done;)
		assert_int_equal(gtm_groups_copy(new, old, &cursor, 7,
						 NOW + 400000, &done),
				 0);
	for (uint32_t i = 0; i < 50; i++) {
		struct gtm_client c = v4(i << 12, 20);
		struct gtm_row_cells row = look(new, &c);
		assert_int_equal(row.columns, 4);
		assert_int_equal(said(&row, 3, NOW).tenths, 1);
		assert_int_equal(said(&row, 1, NOW + 400000).tenths,
				 i == 0 ? 88 : 77);
	}
	gtm_groups_count(new, &counts);
	assert_int_equal(counts.groups, 1000);
	gtm_groups_unref(old);
	gtm_groups_unref(new);
}

/* Into less room, and without a POP: nothing is made for nothing. */
static void test_narrower(void **unused)
{
	static const char *const pops[] = { "fra", "iad" };
	struct gtm_groups *old = table(2000, 2, pops, 2);
	struct gtm_groups *new = table(100, 1, pops + 1, 1);
	struct gtm_groups_counts counts;
	uint32_t cursor = 0;
	bool done = false;

	(void)unused;
	for (uint32_t i = 0; i < 500; i++)
		put(old, i, NOW);
	assert_int_equal(gtm_groups_copy(new, old, &cursor, 1000, 0, &done), 0);
	assert_true(done);
	gtm_groups_count(new, &counts);
	assert_int_equal(counts.groups, 0);
	for (uint32_t i = 0; i < 500; i++) {
		struct gtm_client group = v4(i << 12, 20);
		assert_int_equal(gtm_groups_put(old, &group, 1, 9, 0, NOW), 0);
	}
	cursor = 0;
	assert_int_equal(gtm_groups_copy(new, old, &cursor, 1000, 0, &done), 0);
	gtm_groups_count(new, &counts);
	assert_int_equal(counts.groups, 100);
	assert_int_equal(counts.replaced, 0);
	gtm_groups_unref(old);
	gtm_groups_unref(new);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns),	 cmocka_unit_test(test_back),
		cmocka_unit_test(test_bad_ids),	 cmocka_unit_test(test_wider),
		cmocka_unit_test(test_narrower),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
