/* SPDX-License-Identifier: MPL-2.0 */
/*
 * bench_groups - the latency table and a decision that uses everything.
 *
 *   bench_groups GROUPS CELLS DECISIONS
 *
 * Fills a table of GROUPS groups (/16 to /24, and /29 to /56 of IPv6) and 50
 * POPs with CELLS values each, and decides among eight servers in eight POPs by
 * latency, load, loss and bandwidth, with capacities, for clients of those
 * groups.  Prints octets a cell (all that the process has taken for it),
 * nanoseconds a value fed, a group found, a decision.  For callgrind:
 * --toggle-collect=gtm_decide, or =gtm_groups_find: of both, DECISIONS each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/rcu.h"
#include "gtm/decide.h"

#define POPS	50u
#define SERVERS 8u
#define NOW	UINT64_C(100000000)

static uint64_t state;

static uint64_t rnd(void)
{
	state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = state;
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static double now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	if (f == NULL || fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	if (f != NULL)
		(void)fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static struct config *config_make(unsigned long groups)
{
	static char text[32768];
	struct config *config = NULL;
	struct err err;
	size_t n_errs = 0;
	int at = snprintf(text, sizeof(text),
			  "{\"version\":1,\"limits\":{\"groups\":%lu},"
			  "\"services\":{\"web\":{\"probe\":\"http\"}},"
			  "\"pops\":{",
			  groups);

	for (unsigned int i = 0; i < POPS; i++) {
		at += snprintf(text + at, sizeof(text) - (size_t)at,
			       "%s\"p%02u\":{\"servers\":{", i > 0 ? "," : "",
			       i);
		if (i < SERVERS)
			at += snprintf(
				text + at, sizeof(text) - (size_t)at,
				"\"s%u\":{\"addresses\":[\"192.0.2.%u\"],"
				"\"weight\":%u,\"capacity\":1000,"
				"\"shed\":80,\"slow-start\":\"60s\"}",
				i, i + 1, 1 + i % 3);
		at += snprintf(text + at, sizeof(text) - (size_t)at, "}}");
	}
	(void)snprintf(text + at, sizeof(text) - (size_t)at,
		       "},\"hostnames\":{\"www.example\":{\"service\":\"web\","
		       "\"servers\":[\"s0\",\"s1\",\"s2\",\"s3\",\"s4\",\"s5\","
		       "\"s6\",\"s7\"],\"ttl-min\":5,\"weigh\":{\"latency\":1,"
		       "\"load\":0.1,\"loss\":20,\"bandwidth\":0.5}}}}");
	if (config_parse("bench", text, strlen(text), &config, &err, 1,
			 &n_errs) != 0) {
		char words[256];
		err_format(&err, "bench", words, sizeof(words));
		(void)fprintf(stderr, "%s\n", words);
	}
	return config;
}

/* The 'i'th group: always the same. */
static struct gtm_client group_of(uint64_t i)
{
	uint64_t h = i * UINT64_C(0x9e3779b97f4a7c15);
	struct gtm_client c = { .v6 = i % 4 == 3 };

	c.bits = (uint8_t)(c.v6 ? 29 + i / 4 % 28
				: 16 + (i % 16 < 12 ? 8 : i / 16 % 9));
	for (unsigned int k = 0; k < 8; k++)
		c.address[k] = (uint8_t)(h >> (56 - 8 * k));
	if (c.v6)
		c.address[0] = 0x20;
	gtm_client_clear(&c);
	return c;
}

static void fill(struct gtm_world *world, unsigned long groups,
		 unsigned long cells)
{
	char id[POPS][8];

	for (unsigned int k = 0; k < POPS; k++)
		(void)snprintf(id[k], sizeof(id[k]), "p%02u", k);
	for (uint64_t i = 0; i < groups; i++) {
		const struct gtm_client group = group_of(i);
		for (unsigned int k = 0; k < cells; k++)
			(void)gtm_world_feed_latency(
				world, &group, slice_of(id[k]),
				10.0 + (double)(rnd() % 2000) / 10.0, 0.0, NOW);
	}
	for (unsigned int k = 0; k < POPS; k++) {
		(void)gtm_world_feed_pop(world, slice_of(id[k]), GTM_LOSS, 0.1,
					 0.0, NOW);
		(void)gtm_world_feed_pop(world, slice_of(id[k]), GTM_BANDWIDTH,
					 40.0 + k, 0.0, NOW);
	}
	for (size_t i = 0; i < world->n_cells; i++)
		(void)gtm_slot_put(&world->cells[i]->slot, GTM_UP,
				   (uint32_t)(100 + i * 7), 0, NOW - 100);
}

static double find_all(struct gtm_world *world, unsigned long groups,
		       unsigned long times)
{
	double begin_ns = now_ns();
	unsigned long n = 0;

	for (unsigned long i = 0; i < times; i++) {
		struct gtm_client c = group_of(rnd() % groups);
		c.bits = c.v6 ? 128 : 32;
		rcu_enter();
		n += gtm_groups_find(world->groups, &c, NOW).cells != NULL;
		rcu_leave();
	}
	if (n != times)
		(void)fprintf(stderr, "%lu of %lu found\n", n, times);
	return (now_ns() - begin_ns) / (double)times;
}

static double decide_all(const struct gtm_world *world, unsigned long groups,
			 unsigned long times, unsigned long *sum)
{
	struct gtm_question q = { .now_ms = NOW };
	struct gtm_answer answer;
	double begin_ns = now_ns();

	for (unsigned long i = 0; i < times; i++) {
		q.client = group_of(rnd() % groups);
		q.client.bits = q.client.v6 ? 128 : 32;
		q.random = rnd();
		gtm_decide(&world->hosts[0], &q, &answer, NULL);
		*sum += answer.pick[0];
	}
	return (now_ns() - begin_ns) / (double)times;
}

int main(int argc, char **argv)
{
	struct gtm_world *world = NULL;
	struct gtm_groups_counts counts;
	unsigned long sum = 0;

	if (argc != 4)
		return 2;
	unsigned long groups = strtoul(argv[1], NULL, 10);
	unsigned long cells = strtoul(argv[2], NULL, 10);
	unsigned long times = strtoul(argv[3], NULL, 10);
	struct config *config = config_make(groups);
	if (config == NULL || cells > POPS ||
	    gtm_world_new(config, NULL, &world) != 0)
		return 1;
	double before = resident();
	double begin_ns = now_ns();
	fill(world, groups, cells);
	double put_ns = (now_ns() - begin_ns) / (double)groups / (double)cells;
	gtm_groups_count(world->groups, &counts);
	printf("groups %u\n", counts.groups);
	printf("bytes_cell %.3f\n",
	       (resident() - before) / (double)groups / POPS);
	printf("put_ns %.1f\n", put_ns);
	printf("find_ns %.1f\n", find_all(world, groups, times));
	printf("decide_ns %.1f\n", decide_all(world, groups, times, &sum));
	printf("sum %lu\n", sum);
	gtm_world_free(world);
	config_free(config);
	return 0;
}
