/* SPDX-License-Identifier: MPL-2.0 */
/*
 * bench_pops - the POP that clients get, beside the best there is for them.
 *
 *   bench_pops KNOWN TRUE [POPS [TOLERANCE [EXPLORE [MISSING [SEED]]]]]
 *
 * KNOWN and TRUE are matrices of round trips between hosts in milliseconds, a
 * row a line, numbers between blanks: what the table is fed, and what then is
 * the case.  POPS of the hosts (10) are POPs, as drawn with SEED (1), all
 * others are clients.  TOLERANCE and EXPLORE are those of the configuration;
 * MISSING per cent of what would be fed is left out.  Prints the mean excess
 * over the best choice in per cent, its 95th percentile over clients, and that
 * in milliseconds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gtm/decide.h"

#define HOSTS_MAX 4096u
#define POPS_MAX  64u
#define ASKED	  200u /* questions of each client */
#define NOW	  UINT64_C(100000000)

struct matrix {
	size_t n;
	double *ms; /* n * n */
};

struct pops {
	size_t n;
	size_t host[POPS_MAX];
};

struct result {
	size_t n;
	double *excess; /* per cent, of each client */
	double sum_ms, sum_best_ms;
};

static uint64_t state;

static uint64_t rnd(void)
{
	state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = state;
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static char *read_whole(const char *file)
{
	FILE *f = fopen(file, "r");
	char *text = NULL;

	if (f == NULL)
		return NULL;
	if (fseek(f, 0, SEEK_END) == 0) {
		long n = ftell(f);
		rewind(f);
		text = n > 0 ? calloc(1, (size_t)n + 1) : NULL;
		if (text != NULL && fread(text, 1, (size_t)n, f) != (size_t)n) {
			free(text);
			text = NULL;
		}
	}
	(void)fclose(f);
	return text;
}

/* Reads a square of numbers; false: it is none. */
static bool matrix_read(const char *file, struct matrix *m)
{
	char *text = read_whole(file);
	size_t n = 0;

	if (text == NULL)
		return false;
	size_t room = strlen(text) / 2 + 1;
	m->ms = calloc(room, sizeof(*m->ms));
	for (char *p = text, *end; m->ms != NULL; p = end) {
		double v = strtod(p, &end);
		if (end == p)
			break;
		m->ms[n++] = v;
	}
	free(text);
	while (m->n * m->n < n)
		m->n++;
	return m->ms != NULL && n > 0 && m->n * m->n == n && m->n <= HOSTS_MAX;
}

static bool is_pop(const struct pops *pops, size_t host)
{
	for (size_t i = 0; i < pops->n; i++)
		if (pops->host[i] == host)
			return true;
	return false;
}

static void pops_draw(struct pops *pops, size_t n, size_t hosts)
{
	while (pops->n < n) {
		size_t host = rnd() % hosts;
		if (!is_pop(pops, host))
			pops->host[pops->n++] = host;
	}
}

/* POPs p0, p1, ... with a server each, and one hostname. */
static struct config *config_make(size_t pops, const char *tolerance,
				  const char *explore)
{
	static char text[65536];
	struct config *config = NULL;
	struct err err;
	size_t n_errs = 0;
	size_t at = 0;
	char words[256];

	at += (size_t)snprintf(text, sizeof(text), "{\"version\":1,\"pops\":{");
	for (size_t i = 0; i < pops; i++)
		at += (size_t)snprintf(
			text + at, sizeof(text) - at,
			"%s\"p%zu\":{\"servers\":{\"s%zu\":{\"addresses\":["
			"\"192.0.2.%zu\"]}}}",
			i > 0 ? "," : "", i, i, i + 1);
	at += (size_t)snprintf(
		text + at, sizeof(text) - at,
		"},\"hostnames\":{\"www.example\":{\"servers\":[");
	for (size_t i = 0; i < pops; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       "%s\"s%zu\"", i > 0 ? "," : "", i);
	at += (size_t)snprintf(text + at, sizeof(text) - at, "]");
	if (tolerance != NULL)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       ",\"tolerance\":%s", tolerance);
	if (explore != NULL)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       ",\"explore\":%s", explore);
	(void)snprintf(text + at, sizeof(text) - at, "}}}");
	if (config_parse("bench", text, strlen(text), &config, &err, 1,
			 &n_errs) != 0) {
		err_format(&err, "bench", words, sizeof(words));
		(void)fprintf(stderr, "%s\n", words);
	}
	return config;
}

static struct gtm_client client_of(size_t host)
{
	return (struct gtm_client){ .bits = 24,
				    .address = { 10, (uint8_t)(host >> 8),
						 (uint8_t)host } };
}

static void feed(struct gtm_world *world, const struct matrix *m,
		 const struct pops *pops, double missing)
{
	char id[32];

	for (size_t host = 0; host < m->n; host++) {
		const struct gtm_client group = client_of(host);
		for (size_t i = 0; i < pops->n && !is_pop(pops, host); i++) {
			if ((double)(rnd() % 10000) < missing * 100.0)
				continue;
			(void)snprintf(id, sizeof(id), "p%zu", i);
			(void)gtm_world_feed_latency(
				world, &group, slice_of(id),
				m->ms[pops->host[i] * m->n + host], 0.0, NOW);
		}
	}
}

/* What a client's answers cost it, over the best. */
static void client_ask(const struct gtm_world *world, const struct matrix *m,
		       const struct pops *pops, size_t host, struct result *r)
{
	struct gtm_question q = { .client = client_of(host), .now_ms = NOW };
	struct gtm_answer answer;
	double best = m->ms[pops->host[0] * m->n + host];
	double sum = 0.0;

	q.client.bits = 32;
	q.client.address[3] = 53;
	for (size_t i = 1; i < pops->n; i++)
		if (m->ms[pops->host[i] * m->n + host] < best)
			best = m->ms[pops->host[i] * m->n + host];
	for (unsigned int i = 0; i < ASKED; i++) {
		q.random = rnd();
		gtm_decide(&world->hosts[0], &q, &answer, NULL);
		uint32_t server = world->hosts[0]
					  .candidate[GTM_V4][answer.pick[0]]
					  .server;
		/* servers are sorted by name: s0, s1, s10, ... */
		size_t pop = strtoul(world->config->servers[server].id + 1,
				     NULL, 10);
		sum += m->ms[pops->host[pop] * m->n + host];
	}
	sum /= ASKED;
	if (best < 0.05) /* the same machine room */
		best = 0.05;
	r->excess[r->n++] = 100.0 * (sum - best) / best;
	r->sum_ms += sum;
	r->sum_best_ms += best;
}

static int compare(const void *va, const void *vb)
{
	double a = *(const double *)va;
	double b = *(const double *)vb;

	return (a > b) - (a < b);
}

static void report(struct result *r)
{
	double sum = 0.0;

	for (size_t i = 0; i < r->n; i++)
		sum += r->excess[i];
	qsort(r->excess, r->n, sizeof(*r->excess), compare);
	printf("clients %zu\n", r->n);
	/* of the latency of all, and of each client's own */
	printf("excess %.3f\n",
	       100.0 * (r->sum_ms - r->sum_best_ms) / r->sum_best_ms);
	printf("mean %.3f\n", sum / (double)r->n);
	printf("p95 %.3f\n", r->excess[r->n * 95 / 100]);
	printf("best_ms %.3f\n", r->sum_best_ms / (double)r->n);
	printf("ms %.3f\n", r->sum_ms / (double)r->n);
}

static const char *arg(int argc, char **argv, int i, const char *fallback)
{
	return argc > i && argv[i][0] != '\0' ? argv[i] : fallback;
}

int main(int argc, char **argv)
{
	struct matrix known = { 0 };
	struct matrix real = { 0 };
	struct pops pops = { 0 };
	struct gtm_world *world = NULL;
	struct result result = { 0 };

	if (argc < 3 || !matrix_read(argv[1], &known) ||
	    !matrix_read(argv[2], &real) || known.n != real.n) {
		(void)fprintf(stderr, "bench_pops: two matrices are wanted\n");
		return 2;
	}
	size_t n = strtoul(arg(argc, argv, 3, "10"), NULL, 10);
	state = strtoul(arg(argc, argv, 7, "1"), NULL, 10);
	if (n < 1 || n > POPS_MAX || n >= known.n)
		return 2;
	pops_draw(&pops, n, known.n);
	struct config *config = config_make(n, arg(argc, argv, 4, NULL),
					    arg(argc, argv, 5, NULL));
	result.excess = calloc(known.n, sizeof(*result.excess));
	if (config == NULL || result.excess == NULL ||
	    gtm_world_new(config, NULL, &world) != 0)
		return 1;
	feed(world, &known, &pops, strtod(arg(argc, argv, 6, "0"), NULL));
	for (size_t host = 0; host < real.n; host++)
		if (!is_pop(&pops, host))
			client_ask(world, &real, &pops, host, &result);
	report(&result);
	gtm_world_free(world);
	config_free(config);
	free(result.excess);
	free(known.ms);
	free(real.ms);
	return 0;
}
