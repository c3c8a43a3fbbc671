/* SPDX-License-Identifier: MPL-2.0 */
/* Latencies in worlds: POPs that come and go, tables of other sizes, ages. */
#include "gtm/world.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/rcu.h"
#include "config_kit.h"
#include "gtm/decide.h"

#define NOW    UINT64_C(1000) /* a clock that has just been started */
#define DAY_MS (24 * 3600 * 1000.0)

/* Allocations that are let through; -1: all. */
static int allowance = -1;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	if (allowance >= 0 && allowance-- == 0)
		return NULL;
	return __real_calloc(n, size);
}

/* A POP for each letter, with a server each that one hostname has. */
static struct config *config_of(const char *pops, unsigned int groups)
{
	char text[4096];
	int n = snprintf(text, sizeof(text),
			 "{\"version\":1,\"limits\":{\"groups\":%u},"
			 "\"pops\":{",
			 groups);

	for (const char *p = pops; *p != '\0'; p++)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "%s\"%c\":{\"servers\":{\"s%c\":{\"addresses\":["
			      "\"192.0.2.%d\"]}}}",
			      p == pops ? "" : ",", *p, *p, *p);
	n += snprintf(text + n, sizeof(text) - (size_t)n,
		      "},\"hostnames\":{\"www.example\":{\"explore\":0,"
		      "\"servers\":[");
	for (const char *p = pops; *p != '\0'; p++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s\"s%c\"",
			      p == pops ? "" : ",", *p);
	(void)snprintf(text + n, sizeof(text) - (size_t)n, "]}}}");
	return good(text);
}

static struct gtm_world *world_of(struct config *config,
				  const struct gtm_world *old)
{
	struct gtm_world *world;

	assert_int_equal(gtm_world_new(config, old, &world), 0);
	return world;
}

static void world_end(struct gtm_world *world)
{
	struct config *config = (struct config *)(uintptr_t)world->config;

	gtm_world_free(world);
	config_free(config);
}

static struct gtm_client group_of(unsigned int i)
{
	return (struct gtm_client){
		.bits = 24, .address = { 10, (uint8_t)(i >> 8), (uint8_t)i }
	};
}

static enum gtm_row_fate feed(struct gtm_world *world, unsigned int group,
			      char pop, double ms, double age_ms)
{
	const struct gtm_client client = group_of(group);

	return gtm_world_feed_latency(world, &client, (struct slice){ &pop, 1 },
				      ms, age_ms, NOW);
}

/* Less than 0: unknown. */
static float latency(const struct gtm_world *world, unsigned int group,
		     char pop)
{
	const struct gtm_client client = group_of(group);
	float ms = -1.0f;

	rcu_enter();
	struct gtm_row_cells row = gtm_groups_find(world->groups, &client, NOW);
	for (size_t i = 0; i < world->config->n_pops; i++)
		if (world->config->pops[i].id[0] == pop && row.cells != NULL)
			ms = gtm_cell_ms(
				atomic_load(&row.cells[world->columns[i]]),
				gtm_cell_time(NOW, GTM_AGE_MAX_MS));
	rcu_leave();
	return ms;
}

static bool about(float a, float b)
{
	return a > b - 0.06f && a < b + 0.06f;
}

static void tidy(const struct gtm_world *world)
{
	while (!gtm_groups_tidy(world->groups, GTM_AGE_MAX_MS, NOW, 1000))
		;
}

/* The table stays; so do values of POPs, and no other gets them. */
static void test_pops_come_and_go(void **unused)
{
	struct gtm_world *first = world_of(config_of("abc", 1000), NULL);

	(void)unused;
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(feed(first, 1, "abc"[i], 10 * (i + 1), 0),
				 GTM_ROW_OK);
	struct gtm_world *second = world_of(config_of("bcd", 1000), first);
	assert_ptr_equal(second->groups, first->groups);
	assert_true(about(latency(first, 1, 'a'), 10));
	assert_true(about(latency(second, 1, 'b'), 20));
	assert_true(about(latency(second, 1, 'c'), 30));
	assert_true(latency(second, 1, 'd') < 0);
	tidy(second);
	assert_true(about(latency(first, 1, 'a'), 10)); /* still asked for */
	world_end(first);
	tidy(second);
	struct gtm_world *third = world_of(config_of("abcd", 1000), second);
	assert_ptr_equal(third->groups, second->groups);
	assert_true(latency(third, 1, 'a') < 0);
	assert_true(latency(third, 1, 'd') < 0);
	assert_true(about(latency(third, 1, 'b'), 20));
	assert_int_equal(feed(third, 1, 'a', 5, 0), GTM_ROW_OK);
	assert_true(about(latency(second, 1, 'c'), 30));
	world_end(second);
	assert_true(about(latency(third, 1, 'a'), 5));
	world_end(third);
}

/* Many POPs after one another need no wider table. */
static void test_columns_are_used_again(void **unused)
{
	struct gtm_world *world = world_of(config_of("zA", 100), NULL);
	const struct gtm_groups *groups = world->groups;

	(void)unused;
	for (char pop = 'B'; pop <= 'Z'; pop++) {
		char pops[] = { 'z', pop, '\0' };
		assert_int_equal(feed(world, 1, pop - 1, 7, 0), GTM_ROW_OK);
		assert_int_equal(feed(world, 1, 'z', 9, 0), GTM_ROW_OK);
		struct gtm_world *next = world_of(config_of(pops, 100), world);
		assert_ptr_equal(next->groups, groups);
		assert_true(latency(next, 1, pop) < 0);
		world_end(world);
		tidy(next);
		world = next;
	}
	assert_true(about(latency(world, 1, 'z'), 9));
	world_end(world);
}

static void test_other_sizes(void **unused)
{
	struct gtm_world *first = world_of(config_of("ab", 1000), NULL);
	struct gtm_groups_counts counts;

	(void)unused;
	for (unsigned int i = 0; i < 50; i++) {
		assert_int_equal(feed(first, i, 'a', i, 0), GTM_ROW_OK);
		assert_int_equal(feed(first, i, 'b', i + 1, 0), GTM_ROW_OK);
	}
	/* more POPs than there is room for */
	struct gtm_world *wide = world_of(config_of("bcdefgha", 1000), first);
	assert_ptr_not_equal(wide->groups, first->groups);
	world_end(first);
	for (unsigned int i = 0; i < 50; i++) {
		assert_true(about(latency(wide, i, 'a'), (float)i));
		assert_true(about(latency(wide, i, 'b'), (float)(i + 1)));
		assert_true(latency(wide, i, 'c') < 0);
	}
	struct gtm_world *small = world_of(config_of("bcdefgha", 10), wide);
	world_end(wide);
	gtm_groups_count(small->groups, &counts);
	assert_int_equal(counts.groups, 10);
	assert_int_equal(counts.groups_max, 10);
	unsigned int known = 0;
	for (unsigned int i = 0; i < 50; i++)
		known += about(latency(small, i, 'b'), (float)(i + 1));
	assert_int_equal(known, 10);
	/* of one POP there is nothing to compare */
	struct gtm_world *one = world_of(config_of("b", 10), small);
	assert_null(one->groups);
	world_end(small);
	assert_int_equal(feed(one, 1, 'b', 1, 0), GTM_ROW_UNKNOWN);
	world_end(one);
}

static void test_fates(void **unused)
{
	struct gtm_world *world = world_of(config_of("ab", 10), NULL);

	(void)unused;
	assert_int_equal(feed(world, 1, 'x', 1, 0), GTM_ROW_UNKNOWN);
	assert_int_equal(feed(world, 1, 'a', (double)NAN, 0), GTM_ROW_VALUE);
	assert_int_equal(feed(world, 1, 'a', 1, (double)NAN), GTM_ROW_VALUE);
	assert_int_equal(feed(world, 1, 'a', 1, (double)INFINITY),
			 GTM_ROW_VALUE);
	assert_int_equal(feed(world, 1, 'a', 1, -2001), GTM_ROW_FUTURE);
	assert_int_equal(feed(world, 1, 'a', 1, 31 * DAY_MS), GTM_ROW_OLD);
	assert_true(latency(world, 1, 'a') < 0);
	/* longer ago than the clock can say */
	assert_int_equal(feed(world, 1, 'a', 2, 29 * DAY_MS), GTM_ROW_OK);
	assert_true(about(latency(world, 1, 'a'), 2));
	assert_int_equal(feed(world, 1, 'a', 3, DAY_MS), GTM_ROW_OK);
	assert_int_equal(feed(world, 1, 'a', 4, 2 * DAY_MS), GTM_ROW_OLD);
	assert_true(about(latency(world, 1, 'a'), 3));
	assert_int_equal(feed(world, 1, 'a', 5, -1999), GTM_ROW_OK);
	assert_int_equal(feed(world, 1, 'a', 1e300, 0), GTM_ROW_OK);
	assert_true(about(latency(world, 1, 'a'), GTM_TENTHS_MAX / 10.0f));
	assert_true(latency(world, 1, 'a') < GTM_FAR_MS);
	assert_int_equal(feed(world, 1, 'a', -1, 0), GTM_ROW_OK);
	assert_true(latency(world, 1, 'a') >= GTM_FAR_MS);
	world_end(world);
}

/* Whatever cannot be had, the world before is as it was. */
static void test_no_memory(void **unused)
{
	struct gtm_world *old = world_of(config_of("ab", 100), NULL);
	const char *const pops[] = { "cb", "abcdefgh" }; /* its own, another */
	struct gtm_groups_counts counts;

	(void)unused;
	assert_int_equal(feed(old, 1, 'b', 6, 0), GTM_ROW_OK);
	for (size_t k = 0; k < 2; k++) {
		struct config *config = config_of(pops[k], 100);
		struct gtm_world *world = NULL;
		int rc = -ENOMEM;
		for (int n = 0; rc == -ENOMEM; n++) {
			allowance = n;
			rc = gtm_world_new(config, old, &world);
			allowance = -1;
			tidy(old);
			gtm_groups_count(old->groups, &counts);
			if (rc != 0)
				assert_int_equal(counts.columns_used, 2);
		}
		assert_int_equal(rc, 0);
		assert_int_equal(counts.columns_used, k == 0 ? 3 : 2);
		world_end(world);
		tidy(old);
	}
	assert_true(about(latency(old, 1, 'b'), 6));
	world_end(old);
}

/* -- one feeds, one makes worlds, others decide ---------------------------- */

#define TURNS 60u

static struct gtm_world *_Atomic current;
static _Atomic bool over;

/* 'a' is the nearest wherever it is there and known, and is always there. */
static void *decider(void *arg)
{
	struct gtm_question q = { .now_ms = NOW };
	struct gtm_answer answer;
	uint64_t *work = arg;

	for (unsigned int i = 0; !atomic_load(&over); i++) {
		q.client = group_of(i % 64);
		q.client.bits = 32;
		q.random = i * UINT64_C(0x9e3779b97f4a7c15);
		rcu_enter();
		struct gtm_world *world = atomic_load(&current);
		const struct gtm_host *host = &world->hosts[0];
		gtm_decide(host, &q, &answer, NULL);
		if (host->candidate[GTM_V4][answer.pick[0]].address[3] == 'a')
			(*work)++;
		else
			work[1]++;
		rcu_leave();
	}
	return NULL;
}

struct feeder {
	struct gtm_world *_Atomic world; /* NULL: it takes the next */
	unsigned int n;
};

/* The engine's part: goes over to a new world between two values. */
static void *feeder(void *arg)
{
	struct feeder *f = arg;
	struct gtm_world *world = NULL;

	while (!atomic_load(&over)) {
		struct gtm_world *next = atomic_exchange(&f->world, NULL);
		if (next != NULL)
			world = next;
		if (world == NULL)
			continue;
		const struct config *config = world->config;
		char pop = config->pops[f->n % config->n_pops].id[0];
		(void)feed(world, f->n / 7 % 64, pop, pop == 'a' ? 5 : 50, 0);
		(void)gtm_groups_tidy(world->groups, GTM_AGE_MAX_MS, NOW, 16);
		f->n++;
	}
	return NULL;
}

static void test_threads(void **unused)
{
	static const char *const pops[] = { "ab", "ac", "adb", "ae",
					    "abcdefghi" };
	struct gtm_world *worlds[TURNS];
	struct feeder f = { .n = 0 };
	pthread_t thread[3];
	uint64_t work[2][2] = { 0 };

	(void)unused;
	worlds[0] = world_of(config_of("ab", 40), NULL);
	atomic_store(&current, worlds[0]);
	atomic_store(&f.world, worlds[0]);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, decider, work[i]), 0);
	assert_int_equal(pthread_create(&thread[2], NULL, feeder, &f), 0);
	for (size_t i = 1; i < TURNS; i++) {
		unsigned int groups = i < TURNS / 2 ? 40 : 50;
		worlds[i] =
			world_of(config_of(pops[i % 5], groups), worlds[i - 1]);
		atomic_store(&current, worlds[i]);
		atomic_store(&f.world, worlds[i]);
		while (atomic_load(&f.world) != NULL)
			rcu_wait();
		rcu_wait();
		/* the feeder may still be about a value of the one before */
		if (i > 1)
			world_end(worlds[i - 2]);
	}
	atomic_store(&over, true);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	world_end(worlds[TURNS - 2]);
	world_end(worlds[TURNS - 1]);
	assert_true(f.n > 0);
	assert_true(work[0][0] > work[0][1] && work[1][0] > work[1][1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pops_come_and_go),
		cmocka_unit_test(test_columns_are_used_again),
		cmocka_unit_test(test_other_sizes),
		cmocka_unit_test(test_fates),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
