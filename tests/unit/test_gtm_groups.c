/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/groups.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/rcu.h"
#include "tests/unit/groups_kit.h"

#define MANY 600u

/* Allocations that are let through; -1: all. */
static int allowance = -1;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

static bool denied(void)
{
	return allowance >= 0 && allowance-- == 0;
}

void *__wrap_calloc(size_t n, size_t size)
{
	return denied() ? NULL : __real_calloc(n, size);
}

static uint64_t state;

static uint32_t draw(uint32_t below)
{
	state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)((state >> 33) % below);
}

/* -- a naive table --------------------------------------------------------- */

struct naive {
	struct gtm_client group[MANY];
	uint16_t value[MANY];
	size_t n;
};

static unsigned int bit_of(const uint8_t *p, unsigned int i)
{
	return p[i / 8] >> (7 - i % 8) & 1;
}

static unsigned int shared(const struct gtm_client *a,
			   const struct gtm_client *b, unsigned int most)
{
	unsigned int n = 0;

	while (n < most && bit_of(a->address, n) == bit_of(b->address, n))
		n++;
	return n;
}

static bool holds(const struct gtm_client *group, const struct gtm_client *c)
{
	return group->v6 == c->v6 && group->bits <= c->bits &&
	       shared(group, c, group->bits) == group->bits;
}

/* The longest group and the scope, by trying all. */
static size_t naive_find(const struct naive *t, const struct gtm_client *c,
			 unsigned int *scope)
{
	size_t best = SIZE_MAX;
	unsigned int depends = 0;

	for (size_t i = 0; i < t->n; i++) {
		const struct gtm_client *g = &t->group[i];
		if (g->v6 != c->v6)
			continue;
		unsigned int n = shared(g, c, g->bits);
		if (!holds(g, c))
			depends = n + 1 > depends ? n + 1 : depends;
		else if (best == SIZE_MAX || g->bits > t->group[best].bits)
			best = i;
	}
	if (best != SIZE_MAX && t->group[best].bits > depends)
		depends = t->group[best].bits;
	*scope = depends < c->bits ? depends : c->bits;
	return best;
}

static size_t naive_exact(const struct naive *t, const struct gtm_client *g)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->group[i].bits == g->bits && holds(&t->group[i], g))
			return i;
	return SIZE_MAX;
}

/* An address that has much in common with others. */
static struct gtm_client near_by(const struct naive *t)
{
	struct gtm_client c = { .v6 = draw(2) != 0 };
	unsigned int most = c.v6 ? 128 : 32;

	for (unsigned int i = 0; i < most / 8; i++)
		c.address[i] = (uint8_t)draw(256);
	if (t->n > 0 && draw(8) != 0) {
		const struct gtm_client *g = &t->group[draw((uint32_t)t->n)];
		unsigned int keep = draw(g->bits + 1u) / 8;
		c.v6 = g->v6;
		most = c.v6 ? 128 : 32;
		memcpy(c.address, g->address, draw(2) != 0 ? 16 : keep);
		unsigned int flip = draw(most);
		c.address[flip / 8] ^= (uint8_t)(1u << flip % 8);
	}
	return c;
}

static struct gtm_client any_group(const struct naive *t)
{
	struct gtm_client g = near_by(t);

	g.bits = (uint8_t)draw(g.v6 ? 129 : 33);
	return g;
}

static void change(struct gtm_groups *g, struct naive *t)
{
	struct gtm_client group = any_group(t);
	size_t i = naive_exact(t, &group);

	if (i == SIZE_MAX && t->n > 0 && draw(3) == 0) {
		i = draw((uint32_t)t->n);
		group = t->group[i];
	}
	if (i != SIZE_MAX && draw(4) != 0) {
		assert_true(gtm_groups_remove(g, &group));
		assert_false(gtm_groups_remove(g, &group));
		t->n--;
		t->group[i] = t->group[t->n];
		t->value[i] = t->value[t->n];
		return;
	}
	if (i == SIZE_MAX && t->n == MANY)
		return;
	if (i == SIZE_MAX)
		i = t->n++;
	t->group[i] = group;
	t->value[i] = (uint16_t)draw(GTM_TENTHS_MAX);
	assert_int_equal(gtm_groups_put(g, &group, 0, t->value[i], 0, NOW), 0);
}

/* Any client in the scope gets the same row. */
static void check_scope(const struct gtm_groups *g, struct gtm_client c,
			const struct gtm_row_cells *row)
{
	unsigned int most = c.v6 ? 128 : 32;

	for (unsigned int i = row->scope; i < most; i++)
		if (draw(2) != 0)
			c.address[i / 8] ^= (uint8_t)(0x80u >> i % 8);
	c.bits = (uint8_t)most;
	struct gtm_row_cells other = look(g, &c);
	assert_ptr_equal(other.cells, row->cells);
	assert_true(other.scope <= row->scope);
}

static void compare(const struct gtm_groups *g, const struct naive *t)
{
	struct gtm_client c = near_by(t);
	unsigned int most = c.v6 ? 128 : 32;
	unsigned int scope;

	c.bits = (uint8_t)(draw(2) != 0 ? most : 1 + draw(most));
	size_t i = naive_find(t, &c, &scope);
	struct gtm_row_cells row = look(g, &c);
	assert_int_equal(row.scope, scope);
	if (i == SIZE_MAX) {
		assert_null(row.cells);
	} else {
		assert_non_null(row.cells);
		assert_int_equal(row.bits, t->group[i].bits);
		assert_int_equal(said(&row, 0, NOW).tenths, t->value[i]);
	}
	if (row.scope < c.bits || c.bits == most)
		check_scope(g, c, &row);
}

/* Against trying all; with fronts of several sizes. */
static void test_as_naive(void **unused)
{
	static const uint32_t sizes[] = { MANY, 5000, 100000 };
	static struct naive t;

	(void)unused;
	for (size_t s = 0; s < 3; s++) {
		struct gtm_groups *g = table(sizes[s], 1, one_pop, 1);
		struct gtm_groups_counts counts;
		state = s + 1;
		t.n = 0;
		for (unsigned int i = 0; i < 12000; i++) {
			change(g, &t);
			compare(g, &t);
			compare(g, &t);
		}
		gtm_groups_count(g, &counts);
		assert_int_equal(counts.groups, t.n);
		assert_int_equal(counts.replaced, 0);
		while (t.n > 0)
			assert_true(gtm_groups_remove(g, &t.group[--t.n]));
		compare(g, &t);
		gtm_groups_unref(g);
	}
}

/* -- values ---------------------------------------------------------------- */

static void test_values(void **unused)
{
	static const uint32_t in[] = {
		0, 1, 60000, GTM_TENTHS_MAX, GTM_UNREACHABLE, UINT32_MAX
	};
	struct gtm_groups *g = table(10, 2, one_pop, 1);
	struct gtm_client group = v4(0x0a000000, 8);

	(void)unused;
	assert_int_equal(value(g, 0, NOW).tenths, UNKNOWN);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(gtm_groups_put(g, &group, 0, in[i], 0, NOW),
				 0);
		struct said ms = value(g, 0, NOW);
		assert_int_equal(ms.tenths, in[i] > GTM_UNREACHABLE
						    ? GTM_TENTHS_MAX
						    : in[i]);
		assert_int_equal(ms.age_ms / 33000, 0);
	}
	assert_int_equal(value(g, 1, NOW).tenths, UNKNOWN);
	assert_int_equal(gtm_groups_put(g, &group, 2, 5, 0, NOW), -EINVAL);
	assert_int_equal(gtm_groups_put(g, &group, 0, 5, -1, NOW), -ERANGE);
	assert_int_equal(
		gtm_groups_put(g, &group, 0, 5, GTM_AGE_MAX_MS + 1, NOW),
		-ERANGE);
	group.bits = 33;
	assert_int_equal(gtm_groups_put(g, &group, 0, 5, 0, NOW), -EINVAL);
	gtm_groups_unref(g);
}

/* The largest value is out of reach, to who reads milliseconds. */
static void test_far(void **unused)
{
	struct gtm_cell_time time = gtm_cell_time(NOW, 1000);

	(void)unused;
	assert_true(gtm_cell_ms(GTM_UNREACHABLE + 1, time) >= GTM_FAR_MS);
	assert_true(gtm_cell_ms(GTM_TENTHS_MAX + 1, time) < GTM_FAR_MS);
	assert_true(gtm_cell_ms(0, time) < 0.0f);
}

/* A value counts until it is as old as it may get, and a minute more. */
static void test_max_age(void **unused)
{
	struct gtm_groups *g = table(10, 1, one_pop, 1);
	struct gtm_client c = v4(0x0a000000, 8);

	(void)unused;
	for (uint64_t now_ms = 0; now_ms < 1000000; now_ms += 777) {
		assert_int_equal(gtm_groups_put(g, &c, 0, 7, 0, now_ms), 0);
		struct gtm_row_cells row = look(g, &c);
		uint32_t cell = atomic_load(&row.cells[0]);
		for (uint64_t max_ms = 0; max_ms < 200000; max_ms += 50000) {
			uint64_t end_ms = now_ms + max_ms;
			assert_true(gtm_cell_ms(cell,
						gtm_cell_time(end_ms, max_ms)) >
				    0.0f);
			assert_true(gtm_cell_ms(cell,
						gtm_cell_time(end_ms + 66000,
							      max_ms)) < 0.0f);
		}
	}
	gtm_groups_unref(g);
}

/* Ages over the whole range, also older than the clock, and as it goes on. */
static void test_ages(void **unused)
{
	struct gtm_client group = v4(0x0a000000, 8);

	(void)unused;
	state = 5;
	for (unsigned int i = 0; i < 2000; i++) {
		struct gtm_groups *g = table(10, 1, one_pop, 1);
		int64_t age_ms = (int64_t)draw(30 * 24 * 3600) * 1000;
		uint64_t now_ms = draw(2) != 0 ? draw(100000)
					       : (uint64_t)draw(1u << 30) * 250;
		int64_t later_ms = (int64_t)draw(19 * 24 * 3600) * 1000;
		assert_int_equal(
			gtm_groups_put(g, &group, 0, 7, age_ms, now_ms), 0);
		struct said ms = value(g, 0, now_ms + (uint64_t)later_ms);
		int64_t want_ms = age_ms + later_ms;
		if (want_ms < GTM_AGE_MAX_MS) {
			assert_int_equal(ms.tenths, 7);
			assert_true(llabs((int64_t)ms.age_ms - want_ms) <=
				    33000);
		} else if (want_ms > GTM_AGE_MAX_MS + 66000) {
			assert_int_equal(ms.tenths, UNKNOWN);
		}
		gtm_groups_unref(g);
	}
}

static void test_newer_wins(void **unused)
{
	struct gtm_groups *g = table(10, 1, one_pop, 1);
	struct gtm_client group = v4(0x0a000000, 8);

	(void)unused;
	assert_int_equal(gtm_groups_put(g, &group, 0, 1, 20 * DAY_MS, NOW), 0);
	assert_int_equal(gtm_groups_put(g, &group, 0, 2, 3600000, NOW), 0);
	assert_int_equal(gtm_groups_put(g, &group, 0, 3, 3800000, NOW),
			 -EEXIST);
	assert_int_equal(gtm_groups_put(g, &group, 0, 3, 29 * DAY_MS, NOW),
			 -EEXIST);
	assert_int_equal(value(g, 0, NOW).tenths, 2);
	assert_int_equal(gtm_groups_put(g, &group, 0, 4, 3600000, NOW), 0);
	assert_int_equal(gtm_groups_put(g, &group, 0, 5, 0, NOW), 0);
	assert_int_equal(value(g, 0, NOW).tenths, 5);
	gtm_groups_unref(g);
}

/* A stamp would come round after 49.7 days, were it not wiped. */
static void test_tidy(void **unused)
{
	struct gtm_groups *g = table(10, 1, one_pop, 1);
	struct gtm_client group = v4(0x0a000000, 8);

	(void)unused;
	assert_int_equal(gtm_groups_put(g, &group, 0, 1, 0, NOW), 0);
	assert_true(gtm_groups_tidy(g, GTM_AGE_MAX_MS, NOW, 10));
	assert_int_equal(value(g, 0, NOW).tenths, 1);
	assert_true(gtm_groups_tidy(g, GTM_AGE_MAX_MS, NOW + 31 * DAY_MS, 10));
	for (unsigned int days = 0; days < 100; days++)
		assert_int_equal(value(g, 0, NOW + days * DAY_MS).tenths,
				 UNKNOWN);
	assert_false(gtm_groups_remove(g, &group)); /* it went, too */
	gtm_groups_unref(g);
}

/* A group whose values are all too old does not hide a shorter one. */
static void test_dead_group(void **unused)
{
	struct gtm_groups *g = table(10, 1, one_pop, 1);
	struct gtm_client whole = v4(0x0a000000, 8);
	struct gtm_client part = v4(0x0a000000, 24);

	(void)unused;
	assert_int_equal(gtm_groups_put(g, &whole, 0, 1, 0, NOW), 0);
	assert_int_equal(gtm_groups_put(g, &part, 0, 2, 2 * DAY_MS, NOW), 0);
	assert_true(gtm_groups_tidy(g, 3 * DAY_MS, NOW, 10));
	assert_int_equal(value(g, 0, NOW).tenths, 2);
	assert_true(gtm_groups_tidy(g, DAY_MS, NOW, 10));
	assert_int_equal(value(g, 0, NOW).tenths, 1);
	gtm_groups_unref(g);
}

/* -- room ------------------------------------------------------------------ */

static bool is_in(const struct gtm_groups *g, uint32_t i, uint64_t now_ms)
{
	struct gtm_client c = v4(i << 12, 20);

	rcu_enter();
	struct gtm_row_cells row = gtm_groups_find(g, &c, now_ms);
	rcu_leave();
	return row.cells != NULL;
}

/* What was asked for stays, others make room. */
static void test_replacing(void **unused)
{
	struct gtm_groups *g = table(1000, 1, one_pop, 1);
	uint64_t now_ms = 1000 * GTM_USED_MS;
	struct gtm_groups_counts counts;

	(void)unused;
	for (uint32_t i = 0; i < 1000; i++)
		put(g, i, now_ms);
	now_ms += 10 * GTM_USED_MS;
	for (uint32_t i = 500; i < 1000; i++)
		assert_true(is_in(g, i, now_ms));
	for (uint32_t i = 1000; i < 1300; i++)
		put(g, i, now_ms);
	gtm_groups_count(g, &counts);
	assert_int_equal(counts.groups, 1000);
	assert_int_equal(counts.replaced, 300);
	for (uint32_t i = 500; i < 1000; i++)
		assert_true(is_in(g, i, now_ms));
	/* more than fit: those of now go, and rows are used again */
	for (uint32_t i = 2000; i < 12000; i++)
		put(g, i, now_ms);
	gtm_groups_count(g, &counts);
	assert_int_equal(counts.groups, 1000);
	assert_int_equal(counts.replaced, 10300);
	assert_true(counts.waited > 0);
	assert_true(is_in(g, 11999, now_ms));
	gtm_groups_unref(g);
}

static void test_one(void **unused)
{
	struct gtm_groups *g = table(1, 1, one_pop, 1);

	(void)unused;
	for (uint32_t i = 0; i < 3000; i++) {
		put(g, i, NOW);
		assert_true(is_in(g, i, NOW));
		assert_true(i == 0 || !is_in(g, i - 1, NOW));
	}
	gtm_groups_unref(g);
}

/* -- no memory ------------------------------------------------------------- */

static void test_no_memory(void **unused)
{
	struct gtm_groups *g = NULL;
	struct gtm_client group = v4(0x0a000000, 8);
	uint16_t map[1];
	int rc = -ENOMEM;

	(void)unused;
	for (int n = 0; rc == -ENOMEM; n++) {
		allowance = n;
		rc = gtm_groups_new(100, 1, &g);
		allowance = -1;
	}
	assert_int_equal(rc, 0);
	assert_int_equal(gtm_groups_columns(g, one_pop, 1, map), 0);
	assert_int_equal(gtm_groups_put(g, &group, 0, 1, 0, NOW), 0);
	struct gtm_groups *copy = table(10, 1, one_pop, 1);
	uint32_t cursor = 0;
	bool done = false;
	rc = -ENOMEM;
	for (int n = 0; rc == -ENOMEM; n++) {
		allowance = n;
		rc = gtm_groups_copy(copy, g, &cursor, 5, NOW, &done);
		allowance = -1;
	}
	assert_int_equal(rc, 0);
	assert_true(done);
	assert_int_equal(value(copy, 0, NOW).tenths, 1);
	gtm_groups_unref(copy);
	gtm_groups_unref(g);
}

/* -- readers and a writer -------------------------------------------------- */

struct race {
	struct gtm_groups *g;
	_Atomic bool over;
	_Atomic unsigned int wrong;
};

/* What the cell of a group holds: told from its prefix. */
static uint32_t mark_of(const struct gtm_client *c, uint8_t bits)
{
	uint32_t hash = bits + 1u;

	for (unsigned int i = 0; i < bits; i++)
		hash = hash * 31 + bit_of(c->address, i);
	return hash % GTM_TENTHS_MAX;
}

/* Of 4,096 addresses; all of 10/8. */
static struct gtm_client some_address(uint32_t draw_of)
{
	struct gtm_client c =
		v4(UINT32_C(0x0a000000) | (draw_of & 0xfff) * 0x1001, 32);

	return c;
}

static bool right(const struct gtm_row_cells *row, const struct gtm_client *c)
{
	uint32_t tenths = said(row, 0, NOW).tenths;

	return tenths == UNKNOWN || tenths == mark_of(c, row->bits);
}

static void *read_always(void *arg)
{
	struct race *race = arg;
	uint32_t n = (uint32_t)(uintptr_t)&n;

	while (!atomic_load(&race->over)) {
		n = n * 1664525 + 1013904223;
		struct gtm_client c = some_address(n >> 16);
		rcu_enter();
		struct gtm_row_cells row = gtm_groups_find(race->g, &c, NOW);
		bool good = row.cells == NULL || row.bits >= 9;
		for (unsigned int i = 0; good && i < 20; i++)
			good = right(&row, &c);
		rcu_leave();
		if (!good)
			atomic_fetch_add(&race->wrong, 1);
	}
	return NULL;
}

/* Goes through all groups, as who saves does. */
static void *save_always(void *arg)
{
	struct race *race = arg;
	struct gtm_row_cells row;
	struct gtm_client c;

	while (!atomic_load(&race->over)) {
		rcu_enter();
		for (uint32_t at = 0; gtm_groups_next(race->g, &at, &c, &row);)
			if (!right(&row, &c))
				atomic_fetch_add(&race->wrong, 1);
		rcu_leave();
	}
	return NULL;
}

/* Gives out the other column, which goes from POP to POP. */
static void *turn_always(void *arg)
{
	static const char *const pops[] = { "iad", "nrt", "syd" };
	struct race *race = arg;
	unsigned int turn = 0;
	uint16_t map[1];

	while (!atomic_load(&race->over)) {
		int rc = gtm_groups_columns(race->g, pops + turn % 3, 1, map);
		turn++;
		if (rc == 0 && map[0] != 1)
			atomic_fetch_add(&race->wrong, 1);
		if (rc == 0)
			gtm_groups_let_go(race->g, map, 1);
	}
	return NULL;
}

/* Groups come, go and make room for others, while they are read and copied. */
static void test_race(void **unused)
{
	static void *(*const run[])(void *) = { read_always, read_always,
						save_always, turn_always };
	struct race race = { .g = table(300, 2, one_pop, 1) };
	struct gtm_groups *copy = table(300, 1, one_pop, 1);
	pthread_t thread[sizeof(run) / sizeof(run[0])];
	const size_t n = sizeof(run) / sizeof(run[0]);
	struct gtm_groups_counts counts;
	uint32_t cursor = 0;

	(void)unused;
	state = 9;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, run[i], &race), 0);
	for (unsigned int i = 0; i < 100000; i++) {
		struct gtm_client group = some_address(draw(1u << 12));
		bool done = false;
		group.bits = (uint8_t)(9 + draw(24));
		if (draw(4) == 0)
			(void)gtm_groups_remove(race.g, &group);
		else
			assert_int_equal(
				gtm_groups_put(race.g, &group, 0,
					       mark_of(&group, group.bits), 0,
					       NOW),
				0);
		if (i % 64 == 0)
			(void)gtm_groups_tidy(race.g, GTM_AGE_MAX_MS, NOW, 50);
		if (i % 64 == 1)
			(void)gtm_groups_copy(copy, race.g, &cursor, 10, NOW,
					      &done);
		if (done)
			cursor = 0;
	}
	atomic_store(&race.over, true);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(race.wrong, 0);
	gtm_groups_count(race.g, &counts);
	assert_true(counts.replaced > 1000);
	gtm_groups_unref(race.g);
	gtm_groups_unref(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_naive),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_far),
		cmocka_unit_test(test_max_age),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_newer_wins),
		cmocka_unit_test(test_tidy),
		cmocka_unit_test(test_dead_group),
		cmocka_unit_test(test_replacing),
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
