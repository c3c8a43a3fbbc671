/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Answers do not swing where loads follow them: clients in virtual time, who
 * keep an answer for its TTL and then ask again, are the load of two servers,
 * which is measured with noise and a while later.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gtm/decide.h"
#include "gtm/explain.h"

#define CLIENTS	 2000u
#define TTL_S	 30u
#define PROBE_S	 5u
#define FROM_S	 1200u /* from then on it is looked at */
#define UNTIL_S	 3600u
#define START_MS UINT64_C(100000)

struct course {
	const char *name;
	const char *server, *host; /* more of them, as JSON */
	double latency_ms[2];
	double load[2]; /* of nobody; and what all clients together add */
	double per_client[2];
	double noise; /* a value is wrong by up to so much, of it */
	double lag_s; /* a load is a mean of so long */
	/* what share of the clients the second has: on the mean, and at most
	   between its least and its most */
	double least, most, swing;
	double churn; /* at most, of the answers: another than before */
};

#define LOAD  "\"weigh\":{\"latency\":0,\"load\":1},\"explore\":0"
#define BOTH  "\"weigh\":{\"latency\":1,\"load\":1},\"explore\":0"
#define HALF  "\"weigh\":{\"latency\":1,\"load\":0.5},\"explore\":0"
#define KEEPS LOAD ",\"persist\":\"1h\""
#define EQUAL                                                                  \
	{                                                                      \
		20, 20                                                         \
	}
#define NEAR_FIRST                                                             \
	{                                                                      \
		20, 50                                                         \
	}

/* clang-format off */
static const struct course courses[] = {
	/* the difference is noise, which nothing follows */
	{ "noise within the tolerance", "", LOAD, EQUAL, { 100, 100 },
	  { 0, 0 }, 0.03, 0, 0.48, 0.52, 0.12, 0.6 },
	{ "noise at the edge", "", LOAD, EQUAL, { 100, 110 },
	  { 0, 0 }, 0.05, 0, 0.40, 0.50, 0.15, 0.6 },
	{ "more noise at the edge", "", LOAD, EQUAL, { 100, 110 },
	  { 0, 0 }, 0.10, 0, 0.40, 0.50, 0.20, 0.6 },
	{ "more noise than tolerance", "", LOAD, EQUAL, { 100, 100 },
	  { 0, 0 }, 0.20, 0, 0.45, 0.55, 0.40, 0.6 },
	/* what is answered is the load, soon or late */
	{ "equal", "", LOAD, EQUAL, { 10, 10 },
	  { 100, 100 }, 0.05, 0, 0.47, 0.53, 0.12, 0.6 },
	{ "equal, late", "", LOAD, EQUAL, { 10, 10 },
	  { 100, 100 }, 0.05, 30, 0.47, 0.53, 0.12, 0.6 },
	{ "half as strong", "", LOAD, EQUAL, { 10, 10 },
	  { 100, 200 }, 0.05, 0, 0.33, 0.45, 0.20, 0.6 },
	{ "half as strong, late", "", LOAD, EQUAL, { 10, 10 },
	  { 100, 200 }, 0.05, 30, 0.33, 0.45, 0.35, 0.6 },
	{ "half as strong, very late", "", LOAD, EQUAL, { 10, 10 },
	  { 100, 200 }, 0.05, 60, 0.33, 0.45, 0.30, 0.6 },
	{ "near", "", HALF, NEAR_FIRST, { 0, 0 },
	  { 100, 100 }, 0.05, 0, 0.25, 0.40, 0.20, 0.6 },
	{ "near, late", "", HALF, NEAR_FIRST, { 0, 0 },
	  { 100, 100 }, 0.05, 30, 0.25, 0.40, 0.30, 0.6 },
	{ "near, very late", "", BOTH, NEAR_FIRST, { 0, 0 },
	  { 100, 100 }, 0.05, 60, 0.35, 0.48, 0.30, 0.6 },
	/* clients that keep their servers: few go, and the same */
	{ "kept", "", KEEPS, EQUAL, { 10, 10 },
	  { 100, 100 }, 0.05, 30, 0.45, 0.55, 0.12, 0.02 },
	{ "kept, half as strong, late", "", KEEPS, EQUAL, { 10, 10 },
	  { 100, 200 }, 0.05, 30, 0.30, 0.45, 0.30, 0.12 },
	/* by marks of load, without any cost of it */
	{ "shed", ",\"capacity\":100,\"shed\":60", "\"explore\":0", NEAR_FIRST,
	  { 0, 0 }, { 120, 120 }, 0.05, 30, 0.30, 0.45, 0.25, 0.6 },
};
/* clang-format on */

static uint64_t state;

static uint64_t rnd(void)
{
	state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = state;
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static double noisy(double value, double noise)
{
	double u = (double)(rnd() >> 11) * 0x1p-53;

	return value * (1 + noise * (2 * u - 1));
}

static struct gtm_world *world_of(const struct course *c,
				  struct config **config)
{
	struct gtm_world *world = NULL;
	char text[2000];
	struct err err;
	size_t n;

	(void)snprintf(
		text, sizeof(text),
		"{\"version\":1,\"services\":{\"web\":{\"probe\":\"http\"}},"
		"\"pops\":{\"fra\":{\"servers\":{\"a\":"
		"{\"addresses\":[\"192.0.2.1\"]%s}}},"
		"\"iad\":{\"servers\":{\"b\":"
		"{\"addresses\":[\"192.0.2.2\"]%s}}}},"
		"\"hostnames\":{\"www.test\":{\"service\":\"web\","
		"\"servers\":[\"a\",\"b\"],%s}}}",
		c->server, c->server, c->host);
	assert_int_equal(
		config_parse("text", text, strlen(text), config, &err, 1, &n),
		0);
	assert_int_equal(gtm_world_new(*config, NULL, &world), 0);
	return world;
}

static void feed_load(struct gtm_world *world, unsigned int i, double load,
		      uint64_t now_ms)
{
	struct gtm_row row = { .server = slice_of(i == 0 ? "a" : "b"),
			       .service = slice_of("web"),
			       .state = GTM_UP,
			       .metric = floor(load + 0.5) };
	struct sockaddr_in *in = (void *)&row.address;

	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(0xc0000201u + i);
	assert_int_equal(gtm_world_feed(world, &row, now_ms, NULL), GTM_ROW_OK);
}

static void feed_latency(struct gtm_world *world, const struct course *c,
			 uint64_t now_ms)
{
	static const char *const pops[] = { "fra", "iad" };
	struct gtm_client all;

	assert_true(gtm_explain_client("10.0.0.0/8", &all));
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(
			gtm_world_feed_latency(world, &all, slice_of(pops[i]),
					       c->latency_ms[i], 0, now_ms),
			GTM_ROW_OK);
}

struct clients {
	uint8_t at[CLIENTS]; /* which server */
	unsigned int second; /* how many have that */
	unsigned int asked, changed;
};

/* Those ask whose TTL is over: in each second as many. */
static void ask(struct gtm_world *world, struct clients *clients,
		uint32_t now_s)
{
	for (uint32_t i = now_s % TTL_S; i < CLIENTS; i += TTL_S) {
		struct gtm_question q = {
			.family = GTM_V4,
			.client = { .bits = 24,
				    .address = { 10, (uint8_t)(i >> 8),
						 (uint8_t)i } },
			.now_ms = START_MS + now_s * UINT64_C(1000),
			.random = rnd(),
		};
		struct gtm_answer g;
		gtm_decide(&world->hosts[0], &q, &g, NULL);
		assert_int_equal(g.n, 1);
		clients->asked++;
		clients->changed += clients->at[i] != g.pick[0];
		clients->second += g.pick[0];
		clients->second -= clients->at[i];
		clients->at[i] = (uint8_t)g.pick[0];
	}
}

static void run(const struct course *c)
{
	static struct clients clients;
	struct config *config;
	struct gtm_world *world = world_of(c, &config);
	double load[2] = { c->load[0] + c->per_client[0], c->load[1] };
	double least = 1;
	double most = 0;
	double sum = 0;

	state = 1;
	clients = (struct clients){ .second = 0 };
	for (uint32_t s = 1; s <= UNTIL_S; s++) {
		uint64_t now_ms = START_MS + s * UINT64_C(1000);
		double part = (double)clients.second / CLIENTS;
		double of[2] = { 1 - part, part };
		for (unsigned int i = 0; i < 2; i++) {
			double is = c->load[i] + c->per_client[i] * of[i];
			load[i] += (is - load[i]) / fmax(c->lag_s, 1);
			if (s % PROBE_S == 1)
				feed_load(world, i, noisy(load[i], c->noise),
					  now_ms);
		}
		if (s % 60 == 1)
			feed_latency(world, c, now_ms);
		ask(world, &clients, s);
		if (s == FROM_S)
			clients.asked = clients.changed = 0;
		if (s < FROM_S)
			continue;
		part = (double)clients.second / CLIENTS;
		sum += part;
		least = fmin(least, part);
		most = fmax(most, part);
	}
	gtm_world_free(world);
	config_free(config);

	double mean = sum / (UNTIL_S - FROM_S + 1);
	double churn = (double)clients.changed / clients.asked;
	print_message("%s: %.2f, %.2f to %.2f, %.3f are others\n", c->name,
		      mean, least, most, churn);
	assert_true(mean >= c->least && mean <= c->most);
	assert_true(most - least <= c->swing);
	assert_true(churn <= c->churn);
}

static void test_courses(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof(courses) / sizeof(courses[0]); i++)
		run(&courses[i]);
}

/* What does not follow answers has a sharp edge, whatever the random bits. */
static void test_latency_alone(void **unused)
{
	static struct clients clients;
	struct course c = { .server = "",
			    .host = "\"explore\":0",
			    .latency_ms = { 100, 109.9 } };
	struct config *config;

	(void)unused;
	for (unsigned int i = 0; i < 2; i++) {
		struct gtm_world *world = world_of(&c, &config);
		clients = (struct clients){ .second = 0 };
		feed_load(world, 0, 5, START_MS);
		feed_load(world, 1, 5, START_MS);
		feed_latency(world, &c, START_MS);
		for (uint32_t s = 1; s <= TTL_S; s++)
			ask(world, &clients, s / 10);
		if (i == 0)
			assert_true(clients.second > 0);
		else
			assert_int_equal(clients.second, 0);
		c.latency_ms[1] = 110.2;
		gtm_world_free(world);
		config_free(config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_courses),
		cmocka_unit_test(test_latency_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
