/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/decide.h"

#include "gtm/decide_int.h"

#define LOSS_ALL 10000u /* hundredths of a per cent */

const char *const gtm_rule_names[GTM_RULES] = {
	[GTM_RULE_UP] = "up",	      [GTM_RULE_NEW] = "new",
	[GTM_RULE_OPEN] = "open",     [GTM_RULE_LAST] = "last",
	[GTM_RULE_BACKUP] = "backup", [GTM_RULE_NODATA] = "nodata",
	[GTM_RULE_PANIC] = "panic",   [GTM_RULE_SERVFAIL] = "servfail",
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
	[GTM_COSTLY] = "too costly",
	[GTM_NOT_ASKED] = "not asked",
	[GTM_TOO_FEW] = "too few up",
	[GTM_THINNED] = "less for now",
	[GTM_KEPT] = "client has another",
	[GTM_HELD] = "held",
	[GTM_NEED_DOWN] = "what it needs is down",
	[GTM_UNPREFERRED] = "another POP preferred",
	[GTM_POP_GONE] = "its POP is not reached",
};

const char *const gtm_basis_names[GTM_BASES] = {
	[GTM_BASIS_NONE] = "unknown",
	[GTM_BASIS_MEASURED] = "measured",
	[GTM_BASIS_STATIC] = "configured",
	[GTM_BASIS_GUESSED] = "guessed",
};

const char *const gtm_class_names[GTM_CLASSES] = {
	[GTM_C_UP] = "up",     [GTM_C_NEW] = "new", [GTM_C_STALE] = "stale",
	[GTM_C_DOWN] = "down", [GTM_C_OUT] = "out",
};

/* True if no server that the candidate needs is down. */
static bool has_needs(const struct gtm_candidate *candidate, uint64_t now_ms)
{
	for (unsigned int i = 0; i < candidate->n_needs; i++) {
		const struct gtm_admin *need = candidate->needs[i];
		enum gtm_force force = gtm_admin_force(need, now_ms);
		if (force == GTM_FORCED_DOWN)
			return false;
		if (force == GTM_UNFORCED &&
		    atomic_load_explicit(&need->good_until_ms,
					 memory_order_relaxed) < now_ms)
			return false;
	}
	return true;
}

/*
 * True if a POP that was measured is not reached: it answers nothing; or its
 * value is too old beside the newest of any, so that it is not for want of
 * those who measure.
 */
bool decide_gone(const struct gtm_world *world,
		 const struct gtm_candidate *candidate)
{
	const struct config *config = world->config;
	struct gtm_glance loss = gtm_slot_glance(&candidate->place->loss);

	if (config->reach.gone != CONFIG_GONE_DOWN || loss.state == GTM_NEVER)
		return false;
	return loss.metric >= LOSS_ALL ||
	       atomic_load_explicit(&world->reach_ms, memory_order_relaxed) >
		       loss.when_ms + config->loss_age_ms;
}

enum gtm_class decide_class_odd(const struct decide_work *w,
				const struct gtm_candidate *candidate,
				const struct gtm_glance *glance)
{
	const struct gtm_admin *admin = candidate->admin;
	const uint64_t now_ms = w->q->now_ms;

	if (decide_own_weight(w, candidate) == 0 ||
	    atomic_load_explicit(&admin->drained_until_ms,
				 memory_order_relaxed) > now_ms)
		return GTM_C_OUT;
	enum gtm_force force = gtm_admin_force(admin, now_ms);
	if (force != GTM_UNFORCED)
		return force == GTM_FORCED_UP ? GTM_C_UP : GTM_C_DOWN;
	if (atomic_load_explicit(&admin->held, memory_order_relaxed) != 0)
		return GTM_C_OUT;
	if (!has_needs(candidate, now_ms) ||
	    decide_gone(w->host->world, candidate))
		return GTM_C_DOWN;
	return candidate->cell == NULL
		       ? GTM_C_UP
		       : decide_tested(decide_terms_of(w), *glance);
}

/* -- rule 2: the tier ------------------------------------------------------ */

/* What was seen of a tier. */
struct seen {
	unsigned int classes; /* bits, 1 << class */
	uint32_t up, all;     /* weight: up or new; of all that are not out */
};

/* How much of the tier, from w->from to 'to', is up. */
static void seen_weigh(const struct decide_work *w, struct seen *seen,
		       uint32_t to)
{
	for (uint32_t i = w->from; i < to; i++) {
		uint32_t weight = decide_own_weight(w, &w->candidate[i]);
		if (w->class[i] <= GTM_C_NEW)
			seen->up += weight;
		if (w->class[i] != GTM_C_OUT)
			seen->all += weight;
	}
}

/* Goes on to the next tier, and leaves those UP in the pool. */
static struct seen tier_next(struct decide_work *w)
{
	/* In locals, since a store to 'class' might change anything else. */
	const struct gtm_candidate *candidate = w->candidate;
	const struct decide_terms terms = decide_terms_of(w);
	const uint32_t n = w->n;
	const bool thins = w->host->thins;
	uint8_t *const class_to = w->class;
	uint32_t *const metric_to = w->metric;
	uint32_t *const at = w->pool.at;
	uint32_t n_up = 0;
	uint32_t n_full = 0;
	uint32_t n_thin = 0;
	struct seen seen = { 0 };
	uint32_t i = w->to;
	uint8_t tier = candidate[i].tier;
	struct gtm_glance glance;

	w->from = i;
	for (; i < n && candidate[i].tier == tier; i++) {
		const struct gtm_candidate *c = &candidate[i];
		enum gtm_class class = decide_class(w, terms, c, &glance);
		class_to[i] = (uint8_t) class;
		metric_to[i] = glance.metric;
		at[n_up] = i;
		n_up += class == GTM_C_UP;
		n_full += class == GTM_C_UP && decide_full(c, glance.metric);
		seen.classes |= 1u << class;
		if (thins)
			n_thin += decide_thin(c, glance.metric);
	}
	if (w->host->config->min_up > 0.0f)
		seen_weigh(w, &seen, i);
	w->to = i;
	w->some_full = n_full > 0;
	w->some_thin = n_thin > 0;
	w->pool.n = n_up;
	return seen;
}

/* The pool: those of a class in the tier looked at. */
static void pool_of(struct decide_work *w, enum gtm_class class)
{
	uint32_t n = 0;

	for (uint32_t i = w->from; i < w->to; i++) {
		w->pool.at[n] = i;
		n += w->class[i] == class;
	}
	w->pool.n = n;
}

/*
 * Too little of the tier is up ("min-up").  In 32 bits: weights are at most
 * 10,000, and candidates CONFIG_CHOICE_MAX.
 */
static bool too_few(const struct decide_work *w, const struct seen *seen)
{
	return (float)seen->up < (float)seen->all * w->host->config->min_up;
}

/* The pool: all of a tier but those out of service, up or not. */
static void pool_whole(struct decide_work *w, uint32_t from)
{
	uint32_t n = 0;

	for (uint32_t i = from;
	     i < w->n && w->candidate[i].tier == w->candidate[from].tier; i++)
		if (w->class[i] != GTM_C_OUT)
			w->pool.at[n++] = i;
	w->pool.n = n;
}

/*
 * Finds the tier that answers.  False: none; '*panicp' is where one begins of
 * which something is up, but too little, or 'n'.
 */
static bool tier_find(struct decide_work *w, uint32_t *panicp)
{
	unsigned int before = 0;

	*panicp = w->n;
	while (w->to < w->n) {
		struct seen seen = tier_next(w);
		if (w->candidate[w->from].tier == CONFIG_HIDDEN &&
		    (before & 1u << GTM_C_STALE) != 0)
			return false;
		before |= seen.classes;
		if (too_few(w, &seen)) {
			if (seen.up > 0 && *panicp == w->n)
				*panicp = w->from;
			continue;
		}
		if ((seen.classes & 1u << GTM_C_UP) != 0) {
			w->rule = GTM_RULE_UP;
			if (w->host->config->health == CONFIG_HEALTH_TIER)
				pool_whole(w, w->from);
			return true;
		}
		if ((seen.classes & 1u << GTM_C_NEW) != 0) {
			w->rule = GTM_RULE_NEW;
			pool_of(w, GTM_C_NEW);
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
static unsigned int open_rank(const struct decide_work *w, uint32_t i)
{
	if (decide_own_weight(w, &w->candidate[i]) == 0)
		return 3;
	/* NOLINTNEXTLINE(clang-analyzer-core.*): all have a class here */
	if (w->class[i] == GTM_C_OUT)
		return 2;
	return last_down(&w->candidate[i]) ? 1 : 0;
}

/* The pool: a tier, as if it were up.  False if it has no candidate. */
static bool open_tier(struct decide_work *w, enum config_tier tier)
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

static void open_first(struct decide_work *w)
{
	w->rule = GTM_RULE_OPEN;
	open_tier(w, (enum config_tier)w->candidate[0].tier);
}

static bool open_last(struct decide_work *w)
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
static void fail(struct decide_work *w)
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

/* -- all together ----------------------------------------------------------
 */

static enum gtm_outcome outcome_of(const struct decide_work *w,
				   const struct gtm_answer *answer)
{
	if (answer->n == 0)
		return w->rule == GTM_RULE_SERVFAIL ? GTM_SERVFAIL : GTM_NODATA;
	return w->candidate[answer->pick[0]].alias != NULL ? GTM_ALIAS
							   : GTM_ADDRESSES;
}

/*
 * Fills the pool: tier by tier, of the hostname, and of those that stand in for
 * it.  Ends at 'host' again if all have failed.
 */
static void pool_find(struct decide_work *w, const struct gtm_host *host)
{
	uint32_t panics;

	for (const struct gtm_host *at = host; at != NULL; at = at->otherwise) {
		w->host = at;
		w->candidate = at->candidate[w->q->family];
		w->pool.candidate = w->candidate;
		w->n = at->n[w->q->family];
		w->to = 0;
		w->rule = GTM_RULE_EMPTY;
		if (w->n > 0 && tier_find(w, &panics))
			return;
		if (w->n == 0 && at == host)
			return; /* it has no such records */
	}
	if (w->host != host) {
		w->host = host;
		w->candidate = host->candidate[w->q->family];
		w->pool.candidate = w->candidate;
		w->n = host->n[w->q->family];
		w->to = 0;
		(void)tier_find(w, &panics); /* once more, for the classes */
	}
	if (panics < w->n) {
		w->rule = GTM_RULE_PANIC;
		pool_whole(w, panics);
	} else {
		fail(w);
	}
}

/* What a client, or every client, keeps its server by. */
static void keep_by_hash(struct decide_work *w)
{
	const struct config_hostname *config = w->host->config;

	w->keeps = config->persist_s > 0 &&
		   config->persist_by != CONFIG_PERSIST_TABLE;
	if (!w->keeps)
		return;
	if (config->persist_by == CONFIG_PERSIST_HASH)
		w->prefix_bits = decide_prefix_bits(&w->q->client);
	w->prefix = w->prefix_bits > 0
			    ? decide_prefix_hash(&w->q->client, w->prefix_bits)
			    : decide_name_hash(&config->name);
}

/* What the configuration says of clients like this one. */
static void rule_find(struct decide_work *w)
{
	decide_near_place(&w->near, w->host->world);
	if (w->near.rule != NULL && w->near.rule->n_weights > 0)
		w->weights = w->near.rule;
}

void gtm_decide(const struct gtm_host *host, const struct gtm_question *q,
		struct gtm_answer *answer, struct gtm_trace *trace)
{
	/* Too large to be cleared each time: what is read was written. */
	uint8_t class[CONFIG_CHOICE_MAX];
	uint32_t metric[CONFIG_CHOICE_MAX];
	uint32_t at[CONFIG_CHOICE_MAX];
	uint32_t rest[CONFIG_CHOICE_MAX];
	float cost[CONFIG_CHOICE_MAX];
	struct decide_work w = { .host = host,
				 .q = q,
				 .rule = GTM_RULE_EMPTY,
				 .class = class,
				 .metric = metric,
				 .pool = { NULL, at, 0 },
				 .rest = rest,
				 .cost = cost,
				 .preferred = CONFIG_NONE };

	decide_near_init(&w.near, q);
	if (host->ruled)
		rule_find(&w);
	pool_find(&w, host);
	keep_by_hash(&w);
	w.ranks = trace != NULL || w.host->config->answers > 1;
	if (w.rule == GTM_RULE_UP)
		decide_load(&w);
	if (w.near.rule != NULL)
		decide_prefer(&w);
	decide_cost(&w);
	if (trace != NULL)
		decide_trace(&w, trace);

	answer->host = w.host;
	answer->rule = w.rule;
	answer->explored = w.explored;
	answer->kept = w.kept != 0;
	answer->unmeasured = w.near.unmeasured;
	answer->n = 0;
	answer->tier = 0;
	if (w.pool.n > 0) {
		answer->tier = w.candidate[w.pool.at[0]].tier;
		decide_draw(&w, answer);
	}
	answer->scope = w.near.scope > w.scope ? w.near.scope : w.scope;
	answer->outcome = outcome_of(&w, answer);
	answer->ttl_s = decide_ttl_s(&w);
	for (unsigned int k = 0; trace != NULL && k < answer->n; k++)
		trace->line[answer->pick[k]].verdict = GTM_CHOSEN;
}
