/* SPDX-License-Identifier: MPL-2.0 */
/*
 * bench_clients - the client map: what it takes to make one, and to look
 * clients up.
 *
 *   bench_clients [LOOK-UPS [DATABASE...]]
 *
 * Without databases it is made of 200,000 rules for prefixes, /12 to /24 and
 * /24 to /56 of IPv6.  Clients are random addresses of networks in the map.
 * Prints time and memory, and nanoseconds a look-up and an estimate; and, where
 * the kernel counts them, instructions.
 */
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "gtm/clients.h"
#include "gtm/geo.h"

#define RULES	200000u
#define CLIENTS 65536u

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

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Counts this thread's instructions; -1: the kernel does not. */
static int counter_open(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static double counter_read(int fd)
{
	uint64_t n = 0;

	if (fd < 0 || read(fd, &n, sizeof(n)) != (ssize_t)sizeof(n))
		return 0;
	return (double)n;
}

static struct gtm_client clients[2][CLIENTS];
static size_t n_clients[2];

/* Keeps some of all networks, each as likely as another. */
static void sample(bool v6, const uint8_t *address, unsigned int bits)
{
	static size_t seen[2];
	size_t at = seen[v6]++;

	if (at >= CLIENTS)
		at = (size_t)(rnd() % (at + 1));
	if (at >= CLIENTS)
		return;
	if (n_clients[v6] <= at)
		n_clients[v6] = at + 1;
	struct gtm_client *c = &clients[v6][at];
	*c = (struct gtm_client){ .v6 = v6, .bits = v6 ? 128 : 32 };
	for (unsigned int i = 0; i < (v6 ? 16u : 4u); i++)
		c->address[i] = (uint8_t)rnd();
	for (unsigned int i = 0; i < bits; i++) {
		uint8_t bit = (uint8_t)(0x80u >> i % 8);
		c->address[i / 8] = (uint8_t)((c->address[i / 8] & ~bit) |
					      (address[i / 8] & bit));
	}
}

static void measure(const struct gtm_clients *map, bool v6, unsigned long times)
{
	uint8_t scope = 0;
	unsigned long sum = 0;
	int counter = counter_open();
	size_t n = n_clients[v6];

	if (n == 0)
		return;
	double begin_ns = now_ns(), begin = counter_read(counter);
	for (unsigned long i = 0; i < times; i++) {
		sum += gtm_clients_find(map, &clients[v6][i % n], &scope)->as;
		sum += scope;
	}
	double ns = now_ns() - begin_ns;
	double instructions = counter_read(counter) - begin;
	begin_ns = now_ns();
	for (unsigned long i = 0; i < times; i++)
		sum += clients[v6][i % n].address[i % 4] + (i % n);
	double empty_ns = now_ns() - begin_ns;
	printf("client of IPv%d      %8.1f ns, %6.1f instructions  (%lu)\n",
	       v6 ? 6 : 4, (ns - empty_ns) / (double)times,
	       instructions / (double)times, sum % 10);
	if (counter >= 0)
		close(counter);
}

static void measure_ms(unsigned long times)
{
	struct gtm_vector a = gtm_vector_of(50, 8), b = gtm_vector_of(40, -74);
	float sum = 0;
	int counter = counter_open();
	double begin_ns = now_ns(), begin = counter_read(counter);

	for (unsigned long i = 0; i < times; i++) {
		a.x += 1e-9f;
		sum += gtm_vector_ms(&a, &b);
	}
	printf("estimate            %8.1f ns, %6.1f instructions  (%.0f)\n",
	       (now_ns() - begin_ns) / (double)times,
	       (counter_read(counter) - begin) / (double)times,
	       (double)(sum / (float)times));
	if (counter >= 0)
		close(counter);
}

static void rules_make(struct config_clients *rules, struct config_prefix *p)
{
	for (size_t i = 0; i < RULES; i++) {
		p[i].v6 = i % 2 != 0;
		p[i].bits =
			(uint8_t)(p[i].v6 ? 24 + rnd() % 33 : 12 + rnd() % 13);
		for (unsigned int k = 0; k < p[i].bits; k++)
			if (rnd() % 2 != 0)
				p[i].address[k / 8] |=
					(uint8_t)(0x80u >> k % 8);
		if (p[i].v6)
			p[i].address[0] = (p[i].address[0] & 0x1f) | 0x20;
		rules[i].n_prefixes = 1;
		rules[i].prefixes = &p[i];
		sample(p[i].v6, p[i].address, p[i].bits);
	}
}

static void span_sample(bool v6, const struct gtm_span *span)
{
	uint8_t address[16];

	for (unsigned int i = 0; i < 8; i++) {
		address[i] = (uint8_t)(span->hi >> (56 - 8 * i));
		address[8 + i] = (uint8_t)(span->lo >> (56 - 8 * i));
	}
	sample(v6, address, span->bits);
}

static void source_sample(const struct gtm_source *s)
{
	struct gtm_span span;

	for (int f = 0; f < 2; f++) {
		s->begin(s->arg, f != 0);
		while (s->next(s->arg, &span) == 1)
			span_sample(f != 0, &span);
	}
}

static int databases_open(int n, char **names, const struct config *config,
			  struct gtm_source *sources)
{
	for (int i = 0; i < n; i++) {
		struct gtm_geo *geo = NULL;
		struct gtm_geo_tried tried;
		if (gtm_geo_open(names[i], "/tmp", &config->geo, NULL, &geo,
				 &tried) != 0) {
			fprintf(stderr, "%s: %s\n", names[i], tried.why);
			return -1;
		}
		sources[i] = gtm_geo_source(geo);
		source_sample(&sources[i]);
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct config_clients rules[RULES];
	static struct config_prefix prefixes[RULES];
	static const char text[] = "{\"version\":1}";
	unsigned long times = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000000;
	int n = argc > 2 ? argc - 2 : 0;
	struct gtm_source sources[CONFIG_GEO_MAX];
	struct gtm_clients *map = NULL;
	struct gtm_clients_size size;
	struct config *config = NULL;
	struct rusage usage;
	size_t n_errs;

	if (n > (int)CONFIG_GEO_MAX ||
	    config_parse("", text, sizeof(text) - 1, &config, NULL, 0,
			 &n_errs) != 0 ||
	    databases_open(n, argv + 2, config, sources) != 0)
		return 1;
	if (n == 0) {
		rules_make(rules, prefixes);
		config->clients = rules;
		config->n_clients = RULES;
	}
	double begin_ns = now_ns();
	if (gtm_clients_new(config, sources, (size_t)n, NULL, &map) != 0)
		return 1;
	gtm_clients_measure(map, &size);
	(void)getrusage(RUSAGE_SELF, &usage);
	printf("client map          %8.2f s, %.1f MiB, %llu nodes, %llu "
	       "leaves, %llu places; at most %.1f MiB resident\n",
	       (now_ns() - begin_ns) / 1e9, (double)size.bytes / 1048576,
	       (unsigned long long)size.nodes, (unsigned long long)size.leaves,
	       (unsigned long long)size.places, (double)usage.ru_maxrss / 1024);
	measure(map, false, times);
	measure(map, true, times);
	measure_ms(times);
	return 0;
}
