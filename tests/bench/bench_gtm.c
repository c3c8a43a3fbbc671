/* SPDX-License-Identifier: MPL-2.0 */
/*
 * bench_gtm - what a decision costs: 'n' servers with an address each, all up,
 * drawn by weight, by load and for a client to stay with.  Prints a line a
 * case, in nanoseconds.  'bench_gtm 1000' does so many decisions a case, for
 * callgrind (--toggle-collect=gtm_decide).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gtm/decide.h"

#define NOW 1000000u

struct net {
	struct config config;
	struct config_service service;
	struct config_hostname host;
	struct config_pop pop;
	struct config_server server[CONFIG_CHOICE_MAX];
	struct sockaddr_storage address[CONFIG_CHOICE_MAX];
	uint32_t list[CONFIG_CHOICE_MAX];
	char id[CONFIG_CHOICE_MAX][16];
};

static void net_fill(struct net *net, uint32_t n)
{
	memset(net, 0, sizeof(*net));
	net->service = (struct config_service){ .id = "web",
						.probe = CONFIG_HTTP,
						.max_age_ms = 10000 };
	for (uint32_t i = 0; i < n; i++) {
		struct sockaddr_in *in = (struct sockaddr_in *)&net->address[i];
		in->sin_family = AF_INET;
		in->sin_addr.s_addr = htonl(UINT32_C(0x0a000000) + i);
		(void)snprintf(net->id[i], sizeof(net->id[i]), "s%04u", i);
		net->list[i] = i;
		net->server[i] =
			(struct config_server){ .id = net->id[i],
						.weight = 1 + i % 3,
						.capacity = 1000,
						.shed_pct = 100,
						.n_addresses = 1,
						.addresses = &net->address[i] };
	}
	net->host.otherwise = CONFIG_NONE;
	net->host.tolerance = 0.1f;
	net->host.ttl_min_s = 30;
	net->host.answers = 1;
	net->host.ttl_s = 30;
	net->host.n_servers[CONFIG_PRIMARY] = n;
	net->host.servers[CONFIG_PRIMARY] = net->list;
	net->host.name = (struct dname){ .n = 1 };
	net->pop = (struct config_pop){ .id = "pop" };
	net->config = (struct config){ .n_pops = 1,
				       .pops = &net->pop,
				       .n_services = 1,
				       .services = &net->service,
				       .n_servers = n,
				       .servers = net->server,
				       .n_hostnames = 1,
				       .hostnames = &net->host };
}

static double now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void measure(const struct gtm_world *world, const char *name,
		    unsigned long times)
{
	struct gtm_question q = {
		.client = { .bits = 32, .address = { 192, 0, 2, 1 } },
		.now_ms = NOW,
	};
	struct gtm_answer answer;
	unsigned long sum = 0;
	double begin_ns = now_ns();

	for (unsigned long i = 0; i < times; i++) {
		q.random = i * UINT64_C(0x9e3779b97f4a7c15);
		q.client.address[2] = (uint8_t)i;
		gtm_decide(&world->hosts[0], &q, &answer, NULL);
		sum += answer.pick[0];
	}
	printf("decide %4u servers, %-10s %8.1f ns  (%lu)\n",
	       world->hosts[0].n[GTM_V4], name,
	       (now_ns() - begin_ns) / (double)times, sum % 10);
}

static int bench(struct net *net, uint32_t n, unsigned long times)
{
	struct gtm_world *world = NULL;

	net_fill(net, n);
	if (gtm_world_new(&net->config, NULL, &world) != 0)
		return -ENOMEM;
	for (size_t i = 0; i < world->n_cells; i++)
		(void)gtm_slot_put(&world->cells[i]->slot, GTM_UP,
				   (uint32_t)(10 + i % 7), 0, NOW - 100);
	measure(world, "by weight", times);
	net->host.weigh.load = 1;
	measure(world, "by load", times);
	net->host.weigh.load = 0;
	net->host.persist_s = 60;
	measure(world, "persist", times);
	net->host.persist_s = 0;
	net->host.answers = 4;
	measure(world, "4 answers", times);
	gtm_world_free(world);
	return 0;
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[] = { 2, 8, 64, CONFIG_CHOICE_MAX };
	unsigned long times =
		argc > 1 ? (unsigned long)strtoull(argv[1], NULL, 10) : 0;
	struct net *net = malloc(sizeof(*net));
	int rc = net == NULL;

	for (size_t i = 0; rc == 0 && i < 4; i++)
		rc = bench(net, sizes[i],
			   times > 0 ? times : 8000000 / (8 + sizes[i]));
	free(net);
	return rc != 0;
}
