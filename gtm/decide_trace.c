/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/decide_int.h"

static enum gtm_verdict verdict_out(const struct decide_work *w,
				    const struct gtm_candidate *candidate)
{
	uint64_t now_ms = w->q->now_ms;

	if (decide_own_weight(w, candidate) == 0)
		return GTM_NO_WEIGHT;
	return atomic_load_explicit(&candidate->admin->drained_until_ms,
				    memory_order_relaxed) > now_ms
		       ? GTM_DRAINED
		       : GTM_HELD;
}

/* Its own tests say so, or nobody tests it. */
static bool tests_up(const struct gtm_candidate *candidate)
{
	return candidate->cell == NULL ||
	       gtm_slot_glance(&candidate->cell->slot).state != GTM_DOWN;
}

/* Why a candidate is not in the pool. */
static enum gtm_verdict verdict_of(const struct decide_work *w, uint32_t i,
				   enum gtm_class class)
{
	const struct gtm_candidate *candidate = &w->candidate[i];
	bool by_tier = w->rule == GTM_RULE_UP || w->rule == GTM_RULE_NEW;

	if (class == GTM_C_OUT)
		return verdict_out(w, candidate);
	if (!by_tier)
		return GTM_NOT_ASKED;
	if (i >= w->to)
		return GTM_LATER_TIER;
	if (i < w->from && class <= GTM_C_NEW)
		return GTM_TOO_FEW;
	switch (class) {
	case GTM_C_DOWN:
		if (tests_up(candidate) &&
		    decide_gone(w->host->world, candidate))
			return GTM_POP_GONE;
		return candidate->n_needs > 0 && tests_up(candidate)
			       ? GTM_NEED_DOWN
			       : GTM_NOT_UP;
	case GTM_C_STALE:
		return GTM_NOT_FRESH;
	case GTM_C_NEW:
		return GTM_NOT_TESTED;
	default:
		break;
	}
	for (uint32_t k = 0; k < w->n_rest; k++)
		if (w->rest[k] == i)
			return GTM_COSTLY;
	if (w->rule == GTM_RULE_UP && decide_full(candidate, w->metric[i]))
		return GTM_FULL;
	if (w->preferred != CONFIG_NONE && decide_own_pop(w, i) != w->preferred)
		return GTM_UNPREFERRED;
	return w->kept != 0 ? GTM_KEPT : GTM_THINNED;
}

/* True if the candidate was compared by cost. */
static bool line_costed(const struct decide_work *w, uint32_t i)
{
	for (uint32_t k = 0; k < w->pool.n; k++)
		if (w->pool.at[k] == i)
			return true;
	for (uint32_t k = 0; k < w->n_rest; k++)
		if (w->rest[k] == i)
			return true;
	return false;
}

/* All that is known of a candidate, counted or not. */
static void values_fill(const struct decide_work *w, uint32_t i,
			struct gtm_trace_line *line)
{
	struct decide_near near;

	decide_near_init(&near, w->q);
	line->latency_ms =
		decide_near_ms(&near, w->host, &w->candidate[i], &line->basis);
	line->latency_age_ms = 0;
	if (line->basis == GTM_BASIS_MEASURED)
		line->latency_age_ms = gtm_cell_age_ms(
			atomic_load_explicit(
				&near.cells[w->candidate[i].column],
				memory_order_relaxed),
			w->q->now_ms);
	line->load = decide_value(w, DECIDE_LOAD, i);
	line->loss = decide_value(w, DECIDE_LOSS, i);
	line->bandwidth = decide_value(w, DECIDE_BANDWIDTH, i);
}

/* The random bits decided, and not what is known. */
static bool by_luck(const struct decide_work *w,
		    const struct gtm_trace_line *line)
{
	if (w->keeps)
		return false;
	return line->verdict == GTM_THINNED ||
	       (line->verdict == GTM_COSTLY && line->cost <= decide_most(w));
}

static void trace_all(struct decide_work *w, struct gtm_trace *trace)
{
	struct gtm_glance glance;

	for (uint32_t i = 0; i < w->n; i++) {
		struct gtm_trace_line *line = &trace->line[i];
		enum gtm_class class = decide_class(w, decide_terms_of(w),
						    &w->candidate[i], &glance);
		if (i < w->to) /* as it was decided */
			class = (enum gtm_class)w->class[i];
		line->class = (uint8_t) class;
		line->metric = glance.metric;
		line->when_ms = glance.when_ms;
		line->weight = decide_own_weight(w, &w->candidate[i]);
		line->share = 0.0;
		line->cost =
			w->costed && line_costed(w, i) ? w->cost[i] : -1.0f;
		values_fill(w, i, line);
		line->verdict = verdict_of(w, i, class);
		line->luck = by_luck(w, line);
	}
}

/* Those in the pool; before the draw, which puts it into another order. */
static void trace_pool(const struct decide_work *w, struct gtm_trace *trace)
{
	const struct decide_pool *pool = &w->pool;
	double total = 0.0;
	uint32_t next;

	for (uint32_t i = 0; i < pool->n; i = decide_run(pool, i))
		total += decide_weight(w, &w->candidate[pool->at[i]]);
	for (uint32_t i = 0; i < pool->n; i = next) {
		next = decide_run(pool, i);
		double share = decide_weight(w, &w->candidate[pool->at[i]]) /
			       total / (next - i);
		for (uint32_t k = i; k < next; k++) {
			trace->line[pool->at[k]].verdict = GTM_ELIGIBLE;
			trace->line[pool->at[k]].share = share;
		}
	}
}

void decide_trace(struct decide_work *w, struct gtm_trace *trace)
{
	trace->host = w->host;
	trace->n = w->n;
	trace_all(w, trace);
	trace_pool(w, trace);
}

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void gtm_decide_count(const struct gtm_host *host, enum gtm_family family,
		      const struct gtm_answer *answer, bool extra)
{
	_Atomic uint64_t *n = host->counts->n;

	for (unsigned int k = 0; k < answer->n; k++)
		count(&answer->host->candidate[family][answer->pick[k]]
			       .tally->given);
	if (extra) {
		count(&n[GTM_EXTRA]);
		return;
	}
	count(&n[GTM_DECISIONS]);
	if (answer->outcome == GTM_NODATA)
		count(&n[GTM_NO_DATA]);
	if (answer->outcome == GTM_SERVFAIL)
		count(&n[GTM_SERVFAILS]);
	if (answer->n > 0 && answer->tier == CONFIG_BACKUP)
		count(&n[GTM_ON_BACKUP]);
	if (answer->n > 0 && answer->tier == CONFIG_HIDDEN)
		count(&n[GTM_ON_HIDDEN]);
	if (answer->rule >= GTM_RULE_OPEN && answer->rule <= GTM_RULE_SERVFAIL)
		count(&n[GTM_ON_FAIL]);
	if (answer->n > 0 && answer->host != host)
		count(&n[GTM_ON_ELSE]);
	if (answer->explored)
		count(&n[GTM_EXPLORED]);
}
