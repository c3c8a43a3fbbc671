/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/decide.h"

#include "gtm/decide_int.h"

const char *const gtm_rule_names[GTM_RULES] = {
	[GTM_RULE_UP] = "up",
	[GTM_RULE_NEW] = "new",
	[GTM_RULE_OPEN] = "open",
	[GTM_RULE_LAST] = "last",
	[GTM_RULE_BACKUP] = "backup",
	[GTM_RULE_NODATA] = "nodata",
	[GTM_RULE_SERVFAIL] = "servfail",
	[GTM_RULE_EMPTY] = "empty",
};

const char *const gtm_verdict_names[GTM_VERDICTS] = {
	[GTM_CHOSEN] = "chosen",
	[GTM_ELIGIBLE] = "eligible",
	[GTM_NOT_UP] = "not up",
	[GTM_NOT_FRESH] = "not fresh",
	[GTM_NOT_TESTED] = "not tested",
	[GTM_DRAINED] = "drained",
	[GTM_NO_WEIGHT] = "no weight",
	[GTM_LATER_TIER] = "later tier",
	[GTM_FULL] = "full",
	[GTM_COSTLY] = "too loaded",
	[GTM_NOT_ASKED] = "not asked",
};

const char *const gtm_class_names[GTM_CLASSES] = {
	[GTM_C_UP] = "up",     [GTM_C_NEW] = "new", [GTM_C_STALE] = "stale",
	[GTM_C_DOWN] = "down", [GTM_C_OUT] = "out",
};

/* What a decision works with. */
struct work {
	const struct gtm_host *host;
	const struct gtm_question *q;
	const struct gtm_candidate *candidate;
	uint32_t n;
	uint32_t from, to; /* the tier looked at */
	bool some_full;	   /* one UP in it is at its capacity */
	enum gtm_rule rule;
	uint8_t *class;	  /* set for those before 'to' */
	uint32_t *metric; /* as class */
	struct decide_pool pool;
};

static bool drained(const struct gtm_candidate *candidate, uint64_t now_ms)
{
	return atomic_load_explicit(&candidate->admin->drained_until_ms,
				    memory_order_relaxed) > now_ms;
}

/* The class of a candidate, and the newest value if there is one. */
static inline enum gtm_class class_of(const struct gtm_candidate *candidate,
				      uint64_t now_ms, uint32_t max_age_ms,
				      struct gtm_glance *glance)
{
	const struct gtm_cell *cell = candidate->cell;

	*glance = (struct gtm_glance){ GTM_UP, 1, 0 };
	if (cell != NULL)
		*glance = gtm_slot_glance(&cell->slot);
	if (candidate->weight == 0 || drained(candidate, now_ms))
		return GTM_C_OUT;
	if (cell == NULL)
		return GTM_C_UP;
	if (glance->state == GTM_NEVER)
		return GTM_C_NEW;
	/* Signed: the reader's clock may be a little behind. */
	if ((int64_t)(now_ms - glance->when_ms) > (int64_t)max_age_ms)
		return GTM_C_STALE;
	return glance->state == GTM_UP ? GTM_C_UP : GTM_C_DOWN;
}

static inline bool is_full(const struct gtm_candidate *candidate,
			   uint32_t metric)
{
	/* Without a capacity, the difference is the largest number. */
	return metric > candidate->capacity - 1;
}

/* -- rule 2: the tier ------------------------------------------------------ */

/*
 * Goes on to the next tier: returns a set of bits, 1 << class, and leaves those
 * UP in the pool.
 */
static unsigned int tier_next(struct work *w)
{
	/* In locals, since a store to 'class' might change anything else. */
	const struct gtm_candidate *candidate = w->candidate;
	const uint64_t now_ms = w->q->now_ms;
	const uint32_t max_age_ms = w->host->max_age_ms;
	const uint32_t n = w->n;
	uint8_t *const class_to = w->class;
	uint32_t *const metric_to = w->metric;
	uint32_t *const at = w->pool.at;
	uint32_t n_up = 0;
	uint32_t n_full = 0;
	unsigned int seen = 0;
	uint32_t i = w->to;
	uint8_t tier = candidate[i].tier;
	struct gtm_glance glance;

	w->from = i;
	for (; i < n && candidate[i].tier == tier; i++) {
		enum gtm_class class =
			class_of(&candidate[i], now_ms, max_age_ms, &glance);
		class_to[i] = (uint8_t) class;
		metric_to[i] = glance.metric;
		at[n_up] = i;
		n_up += class == GTM_C_UP;
		n_full += class == GTM_C_UP &&
			  is_full(&candidate[i], glance.metric);
		seen |= 1u << class;
	}
	w->to = i;
	w->some_full = n_full > 0;
	w->pool.n = n_up;
	return seen;
}

/* The pool: those NEW in the tier looked at. */
static void pool_new(struct work *w)
{
	uint32_t n = 0;

	for (uint32_t i = w->from; i < w->to; i++) {
		w->pool.at[n] = i;
		n += w->class[i] == GTM_C_NEW;
	}
	w->pool.n = n;
}

static bool tier_find(struct work *w)
{
	unsigned int before = 0;

	while (w->to < w->n) {
		unsigned int seen = tier_next(w);
		if (w->candidate[w->from].tier == CONFIG_HIDDEN &&
		    (before & 1u << GTM_C_STALE) != 0)
			return false;
		before |= seen;
		if ((seen & 1u << GTM_C_UP) != 0) {
			w->rule = GTM_RULE_UP;
			return true;
		}
		if ((seen & 1u << GTM_C_NEW) != 0) {
			w->rule = GTM_RULE_NEW;
			pool_new(w);
			return true;
		}
	}
	return false;
}

/* -- rule 3: "fail" -------------------------------------------------------- */

/* True if the newest value, however old, says so. */
static bool last_down(const struct gtm_candidate *candidate)
{
	return candidate->cell != NULL &&
	       gtm_slot_glance(&candidate->cell->slot).state == GTM_DOWN;
}

/* In which order "fail": "open" takes candidates: all of the least rank. */
static unsigned int open_rank(const struct work *w, uint32_t i)
{
	if (w->candidate[i].weight == 0)
		return 3;
	/* NOLINTNEXTLINE(clang-analyzer-core.*): all have a class here */
	if (w->class[i] == GTM_C_OUT)
		return 2;
	return last_down(&w->candidate[i]) ? 1 : 0;
}

/* The pool: a tier, as if it were up.  False if it has no candidate. */
static bool open_tier(struct work *w, enum config_tier tier)
{
	unsigned int least = 4;
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->n; i++) {
		if (w->candidate[i].tier != tier)
			continue;
		unsigned int rank = open_rank(w, i);
		if (rank < least) {
			least = rank;
			n = 0;
		}
		if (rank == least)
			w->pool.at[n++] = i;
	}
	w->pool.n = n;
	return n > 0;
}

static void open_first(struct work *w)
{
	w->rule = GTM_RULE_OPEN;
	open_tier(w, (enum config_tier)w->candidate[0].tier);
}

static bool open_last(struct work *w)
{
	uint64_t latest_ms = 0;

	for (uint32_t i = 0; i < w->n; i++) {
		const struct gtm_candidate *candidate = &w->candidate[i];
		if (candidate->tier == CONFIG_HIDDEN)
			break;
		/* NOLINTNEXTLINE(clang-analyzer-core.*): all have a class */
		if (w->class[i] == GTM_C_OUT || candidate->cell == NULL)
			continue;
		uint64_t up_ms = atomic_load_explicit(&candidate->cell->slot.up,
						      memory_order_relaxed);
		if (up_ms <= latest_ms)
			continue;
		latest_ms = up_ms;
		w->pool.at[0] = i;
	}
	w->pool.n = 1;
	return latest_ms > 0;
}

/* Sets rule and pool; the pool stays empty if no address is to be given. */
static void fail(struct work *w)
{
	w->pool.n = 0;
	switch (w->host->config->fail) {
	case CONFIG_FAIL_NODATA:
		w->rule = GTM_RULE_NODATA;
		return;
	case CONFIG_FAIL_SERVFAIL:
		w->rule = GTM_RULE_SERVFAIL;
		return;
	case CONFIG_FAIL_LAST:
		w->rule = GTM_RULE_LAST;
		if (!open_last(w))
			open_first(w);
		return;
	case CONFIG_FAIL_BACKUP:
		w->rule = GTM_RULE_BACKUP;
		if (!open_tier(w, CONFIG_BACKUP))
			open_first(w);
		return;
	case CONFIG_FAIL_OPEN:
		break;
	}
	open_first(w);
}

/* -- rule 4: load ---------------------------------------------------------- */

static void load_capacity(struct work *w)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < w->pool.n; k++)
		n += !is_full(&w->candidate[w->pool.at[k]],
			      w->metric[w->pool.at[k]]);
	if (n == 0)
		return;
	n = 0;
	for (uint32_t k = 0; k < w->pool.n; k++) {
		uint32_t i = w->pool.at[k];
		if (!is_full(&w->candidate[i], w->metric[i]))
			w->pool.at[n++] = i;
	}
	w->pool.n = n;
}

static void load_least(struct work *w)
{
	uint64_t least = UINT32_MAX;
	uint32_t n = 0;

	for (uint32_t k = 0; k < w->pool.n; k++)
		if (w->metric[w->pool.at[k]] < least)
			least = w->metric[w->pool.at[k]];
	for (uint32_t k = 0; k < w->pool.n; k++) {
		uint32_t i = w->pool.at[k];
		if (w->metric[i] * UINT64_C(100) <=
		    least * (100 + GTM_TOLERANCE_PCT))
			w->pool.at[n++] = i;
	}
	w->pool.n = n;
}

/* -- the trace ------------------------------------------------------------- */

/* Why a candidate is not in the pool. */
static enum gtm_verdict verdict_of(const struct work *w, uint32_t i,
				   enum gtm_class class)
{
	const struct gtm_candidate *candidate = &w->candidate[i];
	bool by_tier = w->rule == GTM_RULE_UP || w->rule == GTM_RULE_NEW;

	if (class == GTM_C_OUT)
		return candidate->weight == 0 ? GTM_NO_WEIGHT : GTM_DRAINED;
	if (!by_tier)
		return GTM_NOT_ASKED;
	if (i >= w->to)
		return GTM_LATER_TIER;
	switch (class) {
	case GTM_C_DOWN:
		return GTM_NOT_UP;
	case GTM_C_STALE:
		return GTM_NOT_FRESH;
	case GTM_C_NEW:
		return GTM_NOT_TESTED;
	default:
		break;
	}
	return is_full(candidate, w->metric[i]) ? GTM_FULL : GTM_COSTLY;
}

static void trace_all(const struct work *w, struct gtm_trace *trace)
{
	struct gtm_glance glance;

	for (uint32_t i = 0; i < w->n; i++) {
		struct gtm_trace_line *line = &trace->line[i];
		enum gtm_class class = class_of(&w->candidate[i], w->q->now_ms,
						w->host->max_age_ms, &glance);
		if (i < w->to) /* as it was decided */
			class = (enum gtm_class)w->class[i];
		line->class = (uint8_t) class;
		line->metric = glance.metric;
		line->when_ms = glance.when_ms;
		line->share = 0.0;
		line->verdict = verdict_of(w, i, class);
	}
}

/* Those in the pool; before the draw, which puts it into another order. */
static void trace_pool(const struct work *w, struct gtm_trace *trace)
{
	const struct decide_pool *pool = &w->pool;
	double total = 0.0;
	uint32_t next;

	for (uint32_t i = 0; i < pool->n; i = decide_run(pool, i))
		total += decide_weight(&w->candidate[pool->at[i]]);
	for (uint32_t i = 0; i < pool->n; i = next) {
		next = decide_run(pool, i);
		double share = decide_weight(&w->candidate[pool->at[i]]) /
			       total / (next - i);
		for (uint32_t k = i; k < next; k++) {
			trace->line[pool->at[k]].verdict = GTM_ELIGIBLE;
			trace->line[pool->at[k]].share = share;
		}
	}
}

/* -- all together ---------------------------------------------------------- */

static enum gtm_outcome draw(struct work *w, struct gtm_answer *answer)
{
	const struct config_hostname *config = w->host->config;

	if (w->pool.n == 0)
		return w->rule == GTM_RULE_SERVFAIL ? GTM_SERVFAIL : GTM_NODATA;
	answer->tier = w->candidate[w->pool.at[0]].tier;
	decide_draw(&w->pool, w->q, config->answers, config->persist_s > 0,
		    answer);
	return GTM_ADDRESSES;
}

void gtm_decide(const struct gtm_host *host, const struct gtm_question *q,
		struct gtm_answer *answer, struct gtm_trace *trace)
{
	/* Too large to be cleared each time: what is read was written. */
	uint8_t class[CONFIG_CHOICE_MAX];
	uint32_t metric[CONFIG_CHOICE_MAX];
	uint32_t at[CONFIG_CHOICE_MAX];
	const struct gtm_candidate *candidate = host->candidate[q->family];
	struct work w = { .host = host,
			  .q = q,
			  .candidate = candidate,
			  .n = host->n[q->family],
			  .rule = GTM_RULE_EMPTY,
			  .class = class,
			  .metric = metric,
			  .pool = { candidate, at, 0 } };

	if (w.n > 0 && !tier_find(&w))
		fail(&w);
	if (w.rule == GTM_RULE_UP) {
		if (w.some_full)
			load_capacity(&w);
		if (host->config->weigh_load > 0)
			load_least(&w);
	}
	if (trace != NULL) {
		trace_all(&w, trace);
		trace_pool(&w, trace);
	}

	answer->rule = w.rule;
	answer->tier = 0;
	answer->scope = 0;
	answer->n = 0;
	answer->ttl_s = host->config->ttl_s;
	answer->outcome = draw(&w, answer);
	for (unsigned int k = 0; trace != NULL && k < answer->n; k++)
		trace->line[answer->pick[k]].verdict = GTM_CHOSEN;
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
		count(&host->candidate[family][answer->pick[k]].tally->given);
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
}
