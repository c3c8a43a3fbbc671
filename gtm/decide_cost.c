/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/decide_int.h"

#include <math.h>
#include <string.h>

/* Salts: coins of one random number that have nothing to do with each other */
#define WHOLE	  65536u
#define SALT_THIN UINT64_C(0x632be59bd9b4e019)
#define SALT_COST UINT64_C(0xd6e8feb86659fd93)
#define EDGE	  5.0f /* tolerances */

/* -- the client keeps its server -------------------------------------------
 */

static bool by_table(const struct decide_work *w)
{
	return w->host->config->persist_s > 0 &&
	       w->host->config->persist_by == CONFIG_PERSIST_TABLE &&
	       w->q->persist != NULL;
}

uint64_t decide_name_hash(const struct dname *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (unsigned int i = 0; i < name->n; i++) {
		uint8_t c = name->wire[i];
		/* Only letters have case; lengths of labels are below them. */
		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		h = (h ^ c) * UINT64_C(0x100000001b3);
	}
	return h;
}

uint64_t gtm_persist_key(const struct gtm_host *host,
			 const struct gtm_client *client)
{
	uint64_t prefix =
		decide_prefix_hash(client, decide_prefix_bits(client));

	return decide_mix(decide_name_hash(&host->config->name) ^ prefix) | 1;
}

/* Leaves in the pool the addresses of the server that a table has kept. */
static void keep(struct decide_work *w)
{
	const struct config_hostname *config = w->host->config;
	struct gtm_persist_terms terms = { config->persist_s,
					   config->persist_refresh_s };
	uint32_t n = 0;

	if (!by_table(w))
		return;
	w->scope = decide_prefix_bits(&w->q->client);
	uint32_t word = gtm_persist_find(
		w->q->persist, gtm_persist_key(w->host, &w->q->client), &terms,
		gtm_persist_now_s(w->q->now_ms));
	if (word == 0)
		return;
	for (uint32_t k = 0; k < w->pool.n; k++)
		if (decide_word(&w->candidate[w->pool.at[k]]) == word)
			w->pool.at[n++] = w->pool.at[k];
	if (n == 0) /* it is not eligible */
		return;
	w->pool.n = n;
	w->kept = word;
}

void gtm_decide_keep(struct gtm_persist *table, const struct gtm_question *q,
		     const struct gtm_answer *answer)
{
	const struct gtm_host *host = answer->host;

	if (table == NULL || answer->n == 0 || host->config->persist_s == 0 ||
	    host->config->persist_by != CONFIG_PERSIST_TABLE ||
	    answer->rule != GTM_RULE_UP)
		return;
	gtm_persist_put(
		table, gtm_persist_key(host, &q->client),
		decide_word(&host->candidate[q->family][answer->pick[0]]),
		answer->kept, gtm_persist_now_s(q->now_ms));
}

/* -- rules 4 and 5: load
 * ----------------------------------------------------------
 */

static void leave_full_out(struct decide_work *w)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < w->pool.n; k++)
		n += !decide_full(&w->candidate[w->pool.at[k]],
				  w->metric[w->pool.at[k]]);
	if (n == 0)
		return;
	n = 0;
	for (uint32_t k = 0; k < w->pool.n; k++) {
		uint32_t i = w->pool.at[k];
		if (!decide_full(&w->candidate[i], w->metric[i]))
			w->pool.at[n++] = i;
	}
	w->pool.n = n;
}

/* What share of its traffic a server should have now, in 1/65536. */
static uint32_t share_of(const struct decide_work *w, uint32_t i)
{
	const struct gtm_candidate *c = &w->candidate[i];
	uint32_t share = WHOLE;

	if (c->shed_from < c->capacity && w->metric[i] > c->shed_from) {
		uint64_t over = w->metric[i] - c->shed_from;
		uint64_t room = c->capacity - c->shed_from;
		share = over >= room ? 0
				     : (uint32_t)(WHOLE - over * WHOLE / room);
	}
	if (c->slow_start_ms == 0 || c->cell == NULL)
		return share;
	uint64_t back_ms =
		atomic_load_explicit(&c->cell->slot.back, memory_order_relaxed);
	uint64_t for_ms = w->q->now_ms - back_ms;
	if (back_ms == 0 || for_ms >= c->slow_start_ms ||
	    w->q->now_ms < back_ms)
		return share;
	/* Never quite nothing: a single server may be all there is. */
	uint64_t ramp = 2048 + for_ms * (WHOLE - 2048) / c->slow_start_ms;
	return (uint32_t)(share * ramp >> 16);
}

/*
 * Leaves out servers that should have less than their share, each by a coin of
 * its own: the client's, if clients keep their servers, so that the same ones
 * move.  If none is left, all are.
 */
static void thin(struct decide_work *w)
{
	uint64_t toss = w->keeps ? w->prefix : w->q->random;
	uint32_t at[CONFIG_CHOICE_MAX];
	uint32_t n = 0;

	for (uint32_t k = 0; k < w->pool.n; k++) {
		uint32_t i = w->pool.at[k];
		uint64_t coin =
			decide_mix(toss ^ w->candidate[i].key ^ SALT_THIN);
		if ((coin & (WHOLE - 1)) < share_of(w, i))
			at[n++] = i;
	}
	if (n == 0 || n == w->pool.n)
		return;
	if (w->keeps)
		w->scope = w->prefix_bits;
	memcpy(w->pool.at, at, n * sizeof(at[0]));
	w->pool.n = n;
}

void decide_load(struct decide_work *w)
{
	if (w->some_full)
		leave_full_out(w);
	keep(w);
	if (w->some_thin && w->kept == 0 && w->pool.n > 1)
		thin(w);
}

/* -- rule 6: POPs that the client's rule prefers --------------------------- */

uint32_t decide_ruled_weight(const struct decide_work *w,
			     const struct gtm_candidate *candidate)
{
	const struct config_server_weight *all = w->weights->weights;
	size_t from = 0;
	size_t to = w->weights->n_weights;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		if (all[mid].server == candidate->server)
			return all[mid].weight;
		if (all[mid].server < candidate->server)
			from = mid + 1;
		else
			to = mid;
	}
	return candidate->weight;
}

/* Leaves in the pool those of the first of its POPs that has any in it. */
void decide_prefer(struct decide_work *w)
{
	const struct config_clients *rule = w->near.rule;

	if (w->kept != 0 || w->pool.n < 2)
		return;
	for (size_t i = 0; i < rule->n_pops; i++) {
		uint32_t n = 0;
		for (uint32_t k = 0; k < w->pool.n; k++)
			if (decide_own_pop(w, w->pool.at[k]) == rule->pops[i])
				w->pool.at[n++] = w->pool.at[k];
		if (n == 0)
			continue;
		w->pool.n = n;
		w->preferred = rule->pops[i];
		return;
	}
}

/* -- rule 7: cost ----------------------------------------------------------
 */

/* Of values that have an age: those that are younger count. */
struct span {
	uint64_t from, n; /* of a slot's word, without the metric */
};

#define WORD_MASK ((uint64_t)3 << GTM_STATE_SHIFT | GTM_TIME_MAX)

static inline struct span span_of(uint64_t now_ms, uint32_t max_age_ms)
{
	uint64_t oldest_ms = now_ms > max_age_ms ? now_ms - max_age_ms : 0;

	return (struct span){ (uint64_t)GTM_UP << GTM_STATE_SHIFT | oldest_ms,
			      GTM_TIME_MAX - oldest_ms };
}

/* True if there is a value that counts; '*value' is one whatever it says. */
static inline bool slot_value(const struct gtm_slot *slot, struct span span,
			      float *value)
{
	uint64_t w = atomic_load_explicit(&slot->now, memory_order_relaxed);

	*value = (float)(int32_t)gtm_slot_settled(slot);
	return (w & WORD_MASK) - span.from <= span.n;
}

static inline float load_of(const struct decide_work *w, uint32_t i)
{
	const struct gtm_candidate *c = &w->candidate[i];

	if (c->cell != NULL)
		return (float)(int32_t)gtm_slot_settled(&c->cell->slot);
	if (w->host->service != NULL) /* nobody tests it: it says 1 */
		return 1.0f;
	float v;
	struct span span =
		span_of(w->q->now_ms, w->host->world->config->load_age_ms);
	return slot_value(&c->admin->load, span, &v) ? v : -1.0f;
}

static float pop_value(const struct decide_work *w, enum decide_kind kind,
		       uint32_t i)
{
	const struct config *config = w->host->world->config;
	const struct gtm_pop *pop = w->candidate[i].place;
	bool loss = kind == DECIDE_LOSS;
	struct span span =
		span_of(w->q->now_ms,
			loss ? config->loss_age_ms : config->bandwidth_age_ms);
	float v;

	return slot_value(loss ? &pop->loss : &pop->bandwidth, span, &v)
		       ? v * 0.01f
		       : -1.0f;
}

float decide_value(const struct decide_work *w, enum decide_kind kind,
		   uint32_t i)
{
	return kind == DECIDE_LOAD ? load_of(w, i) : pop_value(w, kind, i);
}

/* By whatever it is known. */
static float any_of(struct decide_work *w, enum decide_kind kind, uint32_t i)
{
	enum gtm_basis basis;

	if (kind == DECIDE_LATENCY)
		return decide_near_ms(&w->near, w->host, &w->candidate[i],
				      &basis);
	return decide_value(w, kind, i);
}

/*
 * Adds a kind whose value is unknown of some: as good as the best, the mean or
 * the worst of the others.  False: it is known of none.
 */
static bool add_unknown(struct decide_work *w, enum decide_kind kind,
			float weight)
{
	float value[CONFIG_CHOICE_MAX];
	float least = 0.0f;
	float most = 0.0f;
	float sum = 0.0f;
	uint32_t known = 0;

	for (uint32_t k = 0; k < w->pool.n; k++) {
		float v = any_of(w, kind, w->pool.at[k]);
		value[k] = v;
		if (v < 0.0f)
			continue;
		if (known == 0 || v < least)
			least = v;
		if (v > most)
			most = v;
		sum += v;
		known++;
	}
	if (kind == DECIDE_LATENCY)
		w->near.known = known > 0;
	if (known == 0) /* as good as each other */
		return false;
	float unknown = most;
	if (w->weigh.unknown == CONFIG_UNKNOWN_BEST)
		unknown = least;
	if (w->weigh.unknown == CONFIG_UNKNOWN_MEAN)
		unknown = sum / (float)known;
	for (uint32_t k = 0; k < w->pool.n; k++)
		w->cost[k] += weight * (value[k] < 0.0f ? unknown : value[k]);
	return true;
}

/*
 * The usual case: everything that counts is known of everyone.  False: it is
 * not, and the costs are void.
 */
static bool add_known(struct decide_work *w)
{
	const struct config *config = w->host->world->config;
	const struct config_weigh weigh = w->weigh;
	const struct span loss = span_of(w->q->now_ms, config->loss_age_ms);
	const struct span bandwidth =
		span_of(w->q->now_ms, config->bandwidth_age_ms);
	const bool near = weigh.latency > 0.0f;
	const bool load = weigh.load > 0.0f;
	const bool pop = weigh.loss + weigh.bandwidth > 0.0f;
	const bool no_loss = weigh.loss <= 0.0f;
	const bool no_bandwidth = weigh.bandwidth <= 0.0f;
	const float a_loss = weigh.loss * 0.01f;
	const float a_bandwidth = weigh.bandwidth * 0.01f;
	const uint32_t n = w->pool.n;
	const uint32_t *const at = w->pool.at;
	float *const to = w->cost;
	float least = HUGE_VALF;
	float nearest = HUGE_VALF; /* less than 0: unknown of some */
	float v = 0.0f;
	bool all = true;

	if (near && (w->near.cells == NULL || w->near.told))
		return false;
	for (uint32_t k = 0; k < n; k++) {
		const struct gtm_candidate *c = &w->candidate[at[k]];
		float cost = 0.0f;
		if (near) {
			v = decide_near_cell(&w->near, c->column);
			nearest = v < nearest ? v : nearest;
			cost = weigh.latency * v;
		}
		if (load && c->cell != NULL) {
			v = (float)(int32_t)gtm_slot_settled(&c->cell->slot);
			cost += weigh.load * v;
		} else if (load) {
			v = load_of(w, at[k]);
			all &= v >= 0.0f;
			cost += weigh.load * v;
		}
		if (pop) { /* what has no weight need not be known */
			all &= slot_value(&c->place->loss, loss, &v) | no_loss;
			cost += a_loss * v;
			all &= slot_value(&c->place->bandwidth, bandwidth, &v) |
			       no_bandwidth;
			cost += a_bandwidth * v;
		}
		to[k] = cost;
		least = cost < least ? cost : least;
	}
	w->least = least;
	w->follows = near ? least - weigh.latency * nearest : least;
	return all && nearest >= 0.0f;
}

static float least_of(const struct decide_work *w)
{
	float least = w->cost[0];

	for (uint32_t k = 1; k < w->pool.n; k++)
		if (w->cost[k] < least)
			least = w->cost[k];
	return least;
}

/* The same, kind by kind. */
static void add_all(struct decide_work *w)
{
	const struct config_weigh *weigh = &w->weigh;
	const float weights[DECIDE_KINDS] = { weigh->latency, weigh->load,
					      weigh->loss, weigh->bandwidth };
	float near = 0.0f;

	for (uint32_t k = 0; k < w->pool.n; k++)
		w->cost[k] = 0.0f;
	for (enum decide_kind kind = 0; kind < DECIDE_KINDS; kind++) {
		if (weights[kind] > 0.0f)
			w->costed |= add_unknown(w, kind, weights[kind]);
		if (kind == DECIDE_LATENCY)
			near = least_of(w);
	}
	w->least = least_of(w);
	w->follows = w->least - near;
}

/*
 * How much more than the tolerance is good enough this time.  Load, loss and
 * bandwidth follow the answers, a while later.  A sharp edge would give a
 * server all of its share or nothing, and so swing for ever; so the edge is
 * another one for each answer (or client, if these keep their servers), and who
 * costs more gets less.  It is as wide as what follows answers counts: latency
 * does not, and alone has a sharp one.
 */
static inline float edge_of(struct decide_work *w, uint64_t coin)
{
	if (w->follows <= 0.0f)
		return 0.0f;
	if (w->keeps) {
		coin = w->prefix;
		if (w->prefix_bits > w->scope)
			w->scope = w->prefix_bits;
	}
	return w->follows * w->host->config->tolerance *
	       ((float)(int32_t)(coin >> 40) * (EDGE * 0x1p-24f));
}

static inline float most_of(const struct decide_work *w)
{
	float most = w->least * (1.0f + w->host->config->tolerance);
	float slack = w->near.known ? w->weigh.latency * GTM_SLACK_MS : 0.0f;

	/* What is closer than that is as near. */
	return most < w->least + slack ? w->least + slack : most;
}

float decide_most(const struct decide_work *w)
{
	float most = most_of(w);
	float edge = w->follows > 0.0f ? w->follows * EDGE : 0.0f;

	edge *= w->host->config->tolerance;
	if (w->host->config->explore > 0 && most > edge)
		return most * 2.0f;
	return most + edge;
}

/* Moves those that cost too much from the pool to the rest. */
static void leave_costly_out(struct decide_work *w, uint64_t coin)
{
	uint32_t *const at = w->pool.at;
	const float *const cost = w->cost;
	float most = most_of(w);
	const uint32_t n = w->pool.n;
	uint32_t left = 0;

	if (w->explored)
		most *= 2.0f;
	else
		most += edge_of(w, coin);
	if (!w->ranks) { /* what comes of the others does not matter */
		for (uint32_t k = 0; k < n; k++) {
			at[left] = at[k];
			left += cost[k] <= most;
		}
		w->pool.n = left;
		return;
	}
	/* From now on costs are of candidates: whose places come later. */
	for (uint32_t k = n; k-- > 0;)
		w->cost[w->pool.at[k]] = w->cost[k];
	for (uint32_t k = 0; k < n; k++) {
		uint32_t i = w->pool.at[k];
		if (w->cost[i] <= most)
			w->pool.at[left++] = i;
		else
			w->rest[w->n_rest++] = i;
	}
	w->pool.n = left;
}

static bool explores(const struct decide_work *w, uint64_t coin)
{
	uint32_t one_in = w->host->config->explore;

	return one_in > 0 && !w->keeps && coin % one_in == 0;
}

void decide_cost(struct decide_work *w)
{
	struct config_weigh *weigh = &w->weigh;

	if (w->pool.n < 2 || w->kept != 0 || !w->host->costs)
		return;
	w->weigh = w->host->config->weigh;
	if (w->rule != GTM_RULE_UP) /* how they are does not count */
		weigh->load = weigh->loss = weigh->bandwidth = 0.0f;
	if (weigh->latency + weigh->load + weigh->loss + weigh->bandwidth <=
	    0.0f)
		return;
	if (weigh->latency > 0.0f)
		decide_near_look(&w->near, w->host->world);
	w->costed = add_known(w);
	if (!w->costed)
		add_all(w);
	if (!w->costed)
		return;
	const uint64_t coin = decide_mix(w->q->random ^ SALT_COST);
	w->explored = explores(w, coin);
	leave_costly_out(w, coin);
}
