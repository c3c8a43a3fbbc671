/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/decide_int.h"

#include <math.h>
#include <string.h>

#define SPLITMIX_STEP UINT64_C(0x9e3779b97f4a7c15)

/* A server, and those of its addresses that were not drawn yet. */
struct group {
	double cost; /* with 'persist': less is better */
	uint32_t weight;
	uint16_t from, n; /* in the pool */
};

/*
 * The first 'live' groups have not been drawn from in this round, the 'all'
 * first may still have addresses.
 */
struct draw {
	const struct decide_work *work;
	struct decide_pool *pool;
	uint64_t random; /* state of splitmix64 (Steele, Lea, Flood 2014) */
	uint64_t client; /* hash of the prefix, if 'persist' */
	bool persist;
	uint64_t weight; /* of the live groups */
	uint32_t live, all;
	struct group *group;
};

/*
 * A number from 0 to n - 1; n < 2^32.  Of 64 random bits the upper 32 would
 * do for small n; two halves multiplied apart make the bias negligible for any.
 */
static uint64_t below(struct draw *d, uint64_t n)
{
	d->random += SPLITMIX_STEP;

	uint64_t r = decide_mix(d->random);
	return ((r >> 32) * n + ((r & UINT32_MAX) * n >> 32)) >> 32;
}

/*
 * -ln(u) / weight, where u in (0, 1) comes from a hash: the least of such is
 * that of a server with the probability of its share of the weights.
 */
static double cost_of(uint64_t h, uint32_t weight)
{
	double u = ((double)(h >> 12) + 0.5) * 0x1p-52;

	return -log(u) / weight;
}

/* The client's prefix of 'bits' as a hash. */
uint64_t decide_prefix_hash(const struct gtm_client *client, unsigned int bits)
{
	uint8_t prefix[16] = { 0 };
	unsigned int whole = bits / 8;
	uint64_t half[2];

	memcpy(prefix, client->address, whole);
	if (bits % 8 != 0)
		prefix[whole] =
			(uint8_t)(client->address[whole] & 0xff00u >> bits % 8);
	/* The same on every machine: nodes must agree. */
	for (unsigned int i = 0; i < 2; i++) {
		half[i] = 0;
		for (unsigned int k = 0; k < 8; k++)
			half[i] = half[i] << 8 | prefix[8 * i + k];
	}
	return decide_mix(
		decide_mix(half[0] + (client->v6 ? 2 : 1) * SPLITMIX_STEP) +
		half[1]);
}

uint8_t decide_prefix_bits(const struct gtm_client *client)
{
	uint8_t most = client->v6 ? GTM_PREFIX_V6 : GTM_PREFIX_V4;

	return client->bits < most ? client->bits : most;
}

uint32_t decide_run(const struct decide_pool *pool, uint32_t from)
{
	uint32_t server = pool->candidate[pool->at[from]].server;
	uint32_t i = from + 1;

	while (i < pool->n && pool->candidate[pool->at[i]].server == server)
		i++;
	return i;
}

static void groups_make(struct draw *d)
{
	const struct decide_pool *pool = d->pool;
	uint32_t next;

	for (uint32_t i = 0; i < pool->n; i = next) {
		const struct gtm_candidate *candidate =
			&pool->candidate[pool->at[i]];
		struct group *group = &d->group[d->all++];
		next = decide_run(pool, i);
		group->weight = decide_weight(d->work, candidate);
		group->from = (uint16_t)i;
		group->n = (uint16_t)(next - i);
		d->weight += group->weight;
		if (d->persist)
			group->cost =
				cost_of(decide_mix(d->client ^ candidate->key),
					group->weight);
	}
	d->live = d->all;
}

/* The next round: those servers that have addresses left. */
static void round_start(struct draw *d)
{
	uint32_t n = 0;

	d->weight = 0;
	for (uint32_t i = 0; i < d->all; i++) {
		if (d->group[i].n == 0)
			continue;
		d->weight += d->group[i].weight;
		d->group[n++] = d->group[i];
	}
	d->all = n;
	d->live = n;
}

static uint32_t group_by_cost(const struct draw *d)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < d->live; i++)
		if (d->group[i].cost < d->group[best].cost)
			best = i;
	return best;
}

static uint32_t group_by_weight(struct draw *d)
{
	uint64_t point = below(d, d->weight);
	uint32_t i = 0;

	/* 'point' is below the sum of the live weights, which is not 0. */
	/* NOLINTNEXTLINE(clang-analyzer-core.*) */
	while (point >= d->group[i].weight)
		point -= d->group[i++].weight;
	return i;
}

static uint64_t address_hash(const struct draw *d, uint32_t i)
{
	const uint8_t *octets = d->pool->candidate[i].address;
	uint64_t h = d->client;

	for (unsigned int k = 0; k < 16; k++)
		h = (h ^ octets[k]) * SPLITMIX_STEP;
	return decide_mix(h);
}

/* Takes an address out of a group: where it is in the pool. */
static uint32_t address_choose(struct draw *d, const struct group *group)
{
	const uint32_t *at = d->pool->at + group->from;
	uint32_t best = 0;

	if (group->n == 1)
		return 0;
	if (!d->persist)
		return (uint32_t)below(d, group->n);
	for (uint32_t i = 1; i < group->n; i++)
		if (address_hash(d, at[i]) > address_hash(d, at[best]))
			best = i;
	return best;
}

/* Draws an address, as an index into the candidates. */
static uint32_t draw_one(struct draw *d)
{
	uint32_t g = d->persist ? group_by_cost(d) : group_by_weight(d);
	struct group group = d->group[g];
	uint32_t *at = d->pool->at + group.from;
	uint32_t i = address_choose(d, &group);
	uint32_t drawn = at[i];

	at[i] = at[--group.n];
	at[group.n] = drawn;
	d->weight -= group.weight;
	d->group[g] = d->group[--d->live];
	d->group[d->live] = group;
	return drawn;
}

/* True if an address is there already: two servers may have the same. */
static bool drawn_before(const struct decide_pool *pool,
			 const struct gtm_answer *answer, uint32_t i)
{
	const uint8_t *octets = pool->candidate[i].address;

	for (unsigned int k = 0; k < answer->n; k++)
		if (memcmp(pool->candidate[answer->pick[k]].address, octets,
			   16) == 0)
			return true;
	return false;
}

/* The same as below for a single address by weight, the usual case. */
static uint32_t draw_single(const struct decide_work *w)
{
	const struct decide_pool *pool = &w->pool;
	const struct gtm_candidate *candidate = pool->candidate;
	const uint32_t *at = pool->at;
	struct draw d = { .random = w->q->random };
	uint32_t server = CONFIG_NONE;
	uint64_t total = 0;
	uint32_t from = 0;
	uint32_t to = 0;

	for (uint32_t k = 0; k < pool->n; k++) {
		const struct gtm_candidate *c = &candidate[at[k]];
		if (c->server != server)
			total += decide_weight(w, c);
		server = c->server;
	}
	/* Now from..to - 1 are those of a server. */
	uint64_t point = below(&d, total);
	server = CONFIG_NONE;
	for (; to < pool->n; to++) {
		const struct gtm_candidate *c = &candidate[at[to]];
		if (c->server == server)
			continue;
		if (server != CONFIG_NONE) {
			uint32_t weight =
				decide_weight(w, &candidate[at[from]]);
			if (point < weight)
				break;
			point -= weight;
		}
		server = c->server;
		from = to;
	}
	if (to - from == 1)
		return at[from];
	return at[from + below(&d, to - from)];
}

/*
 * Adds those that cost least of the rest, until there are as many as wanted:
 * "N best".
 */
static void fill_up(struct decide_work *w, struct gtm_answer *answer,
		    unsigned int wanted)
{
	while (answer->n < wanted && w->n_rest > 0) {
		uint32_t best = 0;
		for (uint32_t k = 1; k < w->n_rest; k++)
			if (w->cost[w->rest[k]] < w->cost[w->rest[best]])
				best = k;
		uint32_t i = w->rest[best];
		w->rest[best] = w->rest[--w->n_rest];
		if (w->candidate[i].alias == NULL &&
		    !drawn_before(&w->pool, answer, i))
			answer->pick[answer->n++] = (uint16_t)i;
	}
}

/* By cost, the least first; few: insertion. */
static void order_by_cost(const struct decide_work *w,
			  struct gtm_answer *answer)
{
	for (unsigned int k = 1; k < answer->n; k++) {
		uint16_t pick = answer->pick[k];
		unsigned int at = k;
		for (; at > 0 && w->cost[answer->pick[at - 1]] > w->cost[pick];
		     at--)
			answer->pick[at] = answer->pick[at - 1];
		answer->pick[at] = pick;
	}
}

/* Leaves one server, the one that is drawn. */
static void one_group(struct draw *d)
{
	uint32_t g = d->persist ? group_by_cost(d) : group_by_weight(d);

	d->group[0] = d->group[g];
	d->weight = d->group[0].weight;
	d->live = 1;
	d->all = 1;
}

/* True if the draw is at its end: an alias stands alone. */
static bool take(const struct decide_work *w, struct gtm_answer *answer,
		 uint32_t i)
{
	bool alias = w->candidate[i].alias != NULL;

	if (alias ? answer->n == 0 : !drawn_before(&w->pool, answer, i))
		answer->pick[answer->n++] = (uint16_t)i;
	return alias && answer->n == 1;
}

void decide_draw(struct decide_work *w, struct gtm_answer *answer)
{
	struct group group[CONFIG_CHOICE_MAX];
	struct draw d = { .work = w,
			  .pool = &w->pool,
			  .random = w->q->random,
			  .client = w->prefix,
			  .group = group };
	unsigned int wanted = w->host->config->answers;

	d.persist =
		w->keeps && (w->pool.n > wanted || w->host->config->one_server);
	if (wanted == 1 && !d.persist) {
		answer->pick[answer->n++] = (uint16_t)draw_single(w);
		return;
	}
	if (d.persist && w->prefix_bits > w->scope)
		w->scope = w->prefix_bits;
	groups_make(&d);
	if (w->host->config->one_server && d.all > 1)
		one_group(&d);
	bool alone = false;
	for (uint32_t left = w->pool.n;
	     left > 0 && answer->n < wanted && !alone; left--) {
		if (d.live == 0)
			round_start(&d);
		if (d.live == 0)
			break;
		alone = take(w, answer, draw_one(&d));
	}
	if (w->costed && w->ranks && !alone && !w->host->config->one_server)
		fill_up(w, answer, wanted);
	if (w->costed && w->ranks &&
	    w->host->config->order == CONFIG_ORDER_COST && !alone)
		order_by_cost(w, answer);
}
