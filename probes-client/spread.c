/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/spread.h"

#include <string.h>

void spread_add(struct spread *s, const char *server, const char *pop,
		double part)
{
	for (size_t i = 0; i < s->n; i++) {
		if (strcmp(s->part[i].server, server) != 0)
			continue;
		s->part[i].part += part;
		return;
	}
	if (s->n < sizeof(s->part) / sizeof(s->part[0]))
		s->part[s->n++] = (struct spread_part){ server, pop, part };
}

double spread_of(const struct spread *s, const char *server)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->part[i].server, server) == 0)
			return s->part[i].part;
	return 0;
}

void spread_given(struct spread *s, const struct gtm_history *h,
		  const struct journal_decision *d)
{
	const char *outcome = gtm_history_name(h, JOURNAL_OUTCOMES, d->outcome);

	s->n = 0;
	for (unsigned int i = 0; i < d->n; i++) {
		const char *server = gtm_history_name(h, JOURNAL_SERVERS,
						      d->answer[i].server);
		const char *pop = gtm_history_pop(h, d->answer[i].server);
		spread_add(s, server != NULL ? server : "?",
			   pop != NULL ? pop : "", 1.0 / d->n);
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
			found = in_pool(trace, i) &&
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

bool spread_decide(struct spread *s, const struct gtm_world *world,
		   const struct gtm_host *host, const struct gtm_question *q,
		   const struct journal_decision *d, struct gtm_trace *trace)
{
	const struct config *config = world->config;
	struct gtm_answer g;
	uint32_t n_pool = 0;

	s->n = 0;
	if (host == NULL) {
		spread_add(s, SPREAD_GONE, "", 1);
		return false;
	}
	gtm_decide(host, q, &g, trace);
	if (g.n == 0) {
		spread_add(s,
			   g.outcome == GTM_SERVFAIL ? SPREAD_SERVFAIL
						     : SPREAD_NODATA,
			   "", 1);
		return d->n == 0;
	}
	for (uint32_t i = 0; i < host->n[q->family]; i++)
		n_pool += in_pool(trace, i);
	for (uint32_t i = 0; i < host->n[q->family]; i++) {
		if (!in_pool(trace, i))
			continue;
		double part = part_of(host, n_pool, &g, &trace->line[i]);
		const struct config_server *server =
			&config->servers[host->candidate[q->family][i].server];
		if (part > 0)
			spread_add(s, server->id, config->pops[server->pop].id,
				   part);
	}
	return was_possible(host, q->family, trace, d);
}
