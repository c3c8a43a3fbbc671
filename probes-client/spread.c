/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/spread.h"

#include <string.h>

#define DRAWS 16u
#define STEP  UINT64_C(0xd1342543de82ef95)

static void add(struct spread *s, const struct spread_part *part)
{
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->part[i].server, part->server) != 0)
			continue;
		s->part[i].part += part->part;
		return;
	}
	if (s->n < sizeof(s->part) / sizeof(s->part[0]))
		s->part[s->n++] = *part;
}

void spread_add(struct spread *s, const char *server, const char *pop,
		double part)
{
	add(s, &(struct spread_part){ server, pop, part, -1 });
}

/* What is out of reach has no round trip. */
static double reached_ms(float ms)
{
	return ms < GTM_FAR_MS ? (double)ms : -1;
}

double spread_of(const struct spread *s, const char *server)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->part[i].server, server) == 0)
			return s->part[i].part;
	return 0;
}

void spread_given(struct spread *s, const struct gtm_history *h,
		  const struct journal_decision *d,
		  const struct gtm_client *client, uint64_t max_age_ms)
{
	const char *outcome = gtm_history_name(h, JOURNAL_OUTCOMES, d->outcome);

	s->n = 0;
	for (unsigned int i = 0; i < d->n; i++) {
		const char *server = gtm_history_name(h, JOURNAL_SERVERS,
						      d->answer[i].server);
		const char *pop = gtm_history_pop(h, d->answer[i].server);
		struct spread_part part = { server != NULL ? server : "?",
					    pop != NULL ? pop : "", 1.0 / d->n,
					    -1 };
		if (pop != NULL)
			part.ms = reached_ms(gtm_history_near_ms(h, client, pop,
								 max_age_ms));
		add(s, &part);
	}
	if (d->n == 0)
		spread_add(s,
			   outcome != NULL && strcmp(outcome, "servfail") == 0
				   ? SPREAD_SERVFAIL
				   : SPREAD_NODATA,
			   "", 1);
}

/* True if 'i' is one of those that the answer is drawn from. */
static bool in_pool(const struct gtm_trace *trace, uint32_t i)
{
	enum gtm_verdict verdict = trace->line[i].verdict;

	return verdict == GTM_CHOSEN || verdict == GTM_ELIGIBLE;
}

static bool was_possible(const struct gtm_host *host, enum gtm_family family,
			 const struct gtm_trace *trace,
			 const struct journal_decision *d)
{
	for (unsigned int k = 0; k < d->n; k++) {
		const struct journal_address *a = &d->answer[k].address;
		bool found = false;
		for (uint32_t i = 0; i < host->n[family] && !found; i++)
			found = (in_pool(trace, i) || trace->line[i].luck) &&
				memcmp(host->candidate[family][i].address,
				       a->octets, a->n) == 0;
		if (!found)
			return false;
	}
	return d->n > 0;
}

/* What part of the answers a candidate has. */
static double part_of(const struct gtm_host *host, uint32_t n_pool,
		      const struct gtm_answer *g,
		      const struct gtm_trace_line *line)
{
	if (n_pool <= host->config->answers)
		return 1.0 / n_pool;
	if (host->config->persist_s > 0)
		return line->verdict == GTM_CHOSEN ? 1.0 / g->n : 0;
	return line->share;
}

/* Adds what one decision gives, as 'of' of the whole. */
static void add_draw(struct spread *s, const struct gtm_answer *g,
		     const struct gtm_trace *trace, enum gtm_family family,
		     double of)
{
	const struct gtm_host *host = g->host;
	const struct config *config = host->world->config;
	uint32_t n_pool = 0;

	for (uint32_t i = 0; i < host->n[family]; i++)
		n_pool += in_pool(trace, i);
	for (uint32_t i = 0; i < host->n[family]; i++) {
		if (!in_pool(trace, i))
			continue;
		const struct gtm_trace_line *line = &trace->line[i];
		double part = part_of(host, n_pool, g, line);
		const struct config_server *server =
			&config->servers[host->candidate[family][i].server];
		struct spread_part to = { server->id,
					  config->pops[server->pop].id,
					  part * of, -1 };
		if (line->basis == GTM_BASIS_MEASURED ||
		    line->basis == GTM_BASIS_STATIC)
			to.ms = reached_ms(line->latency_ms);
		if (part > 0)
			add(s, &to);
	}
}

/* How often to decide, for a mean: where random bits say who is eligible. */
static unsigned int draws_of(const struct gtm_host *host)
{
	const struct config_weigh *weigh = &host->config->weigh;
	float moves = weigh->load + weigh->loss + weigh->bandwidth;

	return moves > 0.0f || host->thins ? DRAWS : 1;
}

bool spread_decide(struct spread *s, const struct gtm_host *host,
		   const struct gtm_question *q,
		   const struct journal_decision *d, struct gtm_trace *trace)
{
	struct gtm_question drawn = *q;
	struct gtm_answer g;
	bool possible = false;

	s->n = 0;
	if (host == NULL) {
		spread_add(s, SPREAD_GONE, "", 1);
		return false;
	}
	const unsigned int n = draws_of(host);
	for (unsigned int k = 0; k < n; k++) {
		gtm_decide(host, &drawn, &g, trace);
		if (g.n == 0) {
			s->n = 0;
			spread_add(s,
				   g.outcome == GTM_SERVFAIL ? SPREAD_SERVFAIL
							     : SPREAD_NODATA,
				   "", 1);
			return d->n == 0;
		}
		add_draw(s, &g, trace, q->family, 1.0 / n);
		possible |= was_possible(g.host, q->family, trace, d);
		drawn.random += STEP;
	}
	return possible;
}
