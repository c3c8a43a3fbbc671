/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * decide_int - what the files of a decision share, and nobody else uses:
 * decide.c (tiers, "fail", all together), decide_cost.c (load, cost),
 * decide_near.c (how far POPs are from a client), decide_draw.c (the choice),
 * decide_trace.c (why), decide_ttl.c (for how long).
 */
#include "gtm/clients.h"
#include "gtm/decide.h"

/* Those of the candidates that are left to choose from, in their order. */
struct decide_pool {
	const struct gtm_candidate *candidate; /* all of the family */
	uint32_t *at; /* their indices: room for CONFIG_CHOICE_MAX */
	uint32_t n;
};

/* How far the client is from POPs: looked up when first asked for. */
struct decide_near {
	const struct gtm_question *q;
	bool looked, unmeasured;
	bool known;    /* some latency is */
	bool told;     /* some is said by the rule */
	uint8_t scope; /* bits of the client's address that mattered */
	const struct gtm_place *place;	   /* NULL: not looked up, or no map */
	const struct config_clients *rule; /* of its place; NULL: none */
	const _Atomic uint32_t *cells;	   /* of its group; NULL: none */
	struct gtm_cell_time time;
};

/* What a decision works with. */
struct decide_work {
	const struct gtm_host *host;
	const struct gtm_question *q;
	const struct gtm_candidate *candidate;
	uint32_t n;
	uint32_t from, to; /* the tier looked at */
	bool some_full;	   /* one UP in it is at its capacity */
	bool some_thin;	   /* one in it may have to get less */
	bool said;	   /* of some candidate: by an operator, or a plan */
	enum gtm_rule rule;
	uint8_t *class;	  /* set for those before 'to' */
	uint32_t *metric; /* as class */
	struct decide_pool pool;
	uint32_t *rest; /* were in the pool, but cost too much */
	uint32_t n_rest;
	float *cost;   /* of candidates that were in the pool, if 'costed' */
	float least;   /* of these */
	float follows; /* that, less the least latency that any has */
	struct config_weigh weigh; /* what makes up the cost */
	bool ranks; /* several are wanted, or a trace: costs are kept */
	bool costed;
	bool explored;	 /* twice the cost was taken, on purpose */
	bool keeps;	 /* the client keeps its server, by a hash */
	uint64_t prefix; /* what is hashed, if so: of the client's prefix, */
	uint8_t prefix_bits; /* of so many bits; 0: of the hostname */
	uint32_t kept;	     /* server that a table says it has; 0: none */
	uint8_t scope;
	const struct config_clients *weights; /* a rule with weights, or NULL */
	uint32_t preferred;		      /* POP that is; CONFIG_NONE */
	struct decide_near near;
};

static inline uint64_t decide_mix(uint64_t h)
{
	h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}

/* The value that 'table' words stand for a server: never 0. */
static inline uint32_t decide_word(const struct gtm_candidate *candidate)
{
	return (uint32_t)candidate->key | 1;
}

/* Of the client's rule, or its own. */
uint32_t decide_ruled_weight(const struct decide_work *w,
			     const struct gtm_candidate *candidate);

/* The weight of its server, for this client: 0 is nothing. */
static inline uint32_t decide_own_weight(const struct decide_work *w,
					 const struct gtm_candidate *candidate)
{
	return w->weights == NULL ? candidate->weight
				  : decide_ruled_weight(w, candidate);
}

/* What a server counts for: its weight; as 1 if all in the pool have none. */
static inline uint32_t decide_weight(const struct decide_work *w,
				     const struct gtm_candidate *candidate)
{
	uint32_t weight = decide_own_weight(w, candidate);

	return weight == 0 ? 1 : weight;
}

/* The POP of its server, wherever that is measured. */
static inline uint32_t decide_own_pop(const struct decide_work *w, uint32_t i)
{
	return w->host->world->config->servers[w->candidate[i].server].pop;
}

/* What is not said by its own tests alone: see decide_class(). */
enum gtm_class decide_class_odd(const struct decide_work *w,
				const struct gtm_candidate *candidate,
				const struct gtm_glance *glance);

/* True if the candidate's POP is not reached, and that counts. */
bool decide_gone(const struct gtm_world *world,
		 const struct gtm_candidate *candidate);

/* What classes depend on, in registers while many are found. */
struct decide_terms {
	uint64_t now_ms;
	int64_t max_age_ms;
	bool ruled; /* weights are those of a rule */
};

static inline struct decide_terms decide_terms_of(const struct decide_work *w)
{
	return (struct decide_terms){ w->q->now_ms,
				      (int64_t)w->host->max_age_ms,
				      w->weights != NULL };
}

/* By its tests. */
static inline enum gtm_class decide_tested(struct decide_terms terms,
					   struct gtm_glance glance)
{
	if (glance.state == GTM_NEVER)
		return GTM_C_NEW;
	/* Signed: the reader's clock may be a little behind. */
	if ((int64_t)(terms.now_ms - glance.when_ms) > terms.max_age_ms)
		return GTM_C_STALE;
	return glance.state == GTM_UP ? GTM_C_UP : GTM_C_DOWN;
}

/* The class of a candidate, and the newest value if there is one. */
static inline enum gtm_class decide_class(struct decide_work *w,
					  struct decide_terms terms,
					  const struct gtm_candidate *candidate,
					  struct gtm_glance *glance)
{
	const struct gtm_admin *admin = candidate->admin;
	uint64_t said =
		atomic_load_explicit(&admin->drained_until_ms,
				     memory_order_relaxed) |
		atomic_load_explicit(&admin->forced, memory_order_relaxed) |
		atomic_load_explicit(&admin->held, memory_order_relaxed) |
		atomic_load_explicit(&admin->planned_ms, memory_order_relaxed);

	*glance = (struct gtm_glance){ GTM_UP, 1, 0 };
	if (candidate->cell != NULL)
		*glance = gtm_slot_glance(&candidate->cell->slot);
	if ((said | candidate->odd | terms.ruled) == 0)
		return decide_tested(terms, *glance);
	/* A copy: what has no address stays in registers. */
	const struct gtm_glance copy = *glance;
	w->said |= said != 0;
	return decide_class_odd(w, candidate, &copy);
}

static inline bool decide_full(const struct gtm_candidate *candidate,
			       uint32_t metric)
{
	/* Without a capacity, the difference is the largest number. */
	return metric > candidate->capacity - 1;
}

/* Of values that make up a cost. */
enum decide_kind {
	DECIDE_LATENCY,
	DECIDE_LOAD,
	DECIDE_LOSS,
	DECIDE_BANDWIDTH,
	DECIDE_KINDS
};

/*
 * What is known of a candidate, in the unit of the kind's weight; less than 0:
 * unknown.  Not for DECIDE_LATENCY.
 */
float decide_value(const struct decide_work *w, enum decide_kind kind,
		   uint32_t i);

/* A quick look: it may shed load, or has been down. */
static inline bool decide_thin(const struct gtm_candidate *candidate,
			       uint32_t metric)
{
	/* Without a capacity nothing is shed: the marks are the same. */
	return (metric > candidate->shed_from &&
		candidate->shed_from != candidate->capacity) ||
	       (candidate->cell != NULL &&
		atomic_load_explicit(&candidate->cell->slot.back,
				     memory_order_relaxed) != 0);
}

/* The rules 4 to 7 of decide.h, on the pool. */
void decide_load(struct decide_work *w);
void decide_prefer(struct decide_work *w);
void decide_cost(struct decide_work *w);

/* After that, if 'costed': what is good enough with some random bits. */
float decide_most(const struct decide_work *w);

static inline void decide_near_init(struct decide_near *near,
				    const struct gtm_question *q)
{
	*near = (struct decide_near){ .q = q };
}

/* Finds where the client is, once. */
void decide_near_place(struct decide_near *near, const struct gtm_world *world);

/* Finds the client's group, once. */
void decide_near_look(struct decide_near *near, const struct gtm_world *world);

/* What was measured, after that. */
static inline float decide_near_cell(const struct decide_near *near,
				     uint32_t column)
{
	if (near->cells == NULL)
		return -1.0f;
	return gtm_cell_ms(atomic_load_explicit(&near->cells[column],
						memory_order_relaxed),
			   near->time);
}

/*
 * The round trip from the client to a candidate's POP in milliseconds: as the
 * configuration says; as it was measured; as where both are lets expect.  Less
 * than 0: unknown.
 */
float decide_near_ms(struct decide_near *near, const struct gtm_host *host,
		     const struct gtm_candidate *candidate,
		     enum gtm_basis *basis);

/*
 * Draws up to config->answers addresses from a pool of at least one into
 * answer->pick and ->n, and adds those of 'rest' that cost least if there are
 * not enough.  Reorders the pool.
 */
void decide_draw(struct decide_work *w, struct gtm_answer *answer);

/* Before the draw, which puts the pool into another order. */
void decide_trace(struct decide_work *w, struct gtm_trace *trace);

uint32_t decide_ttl_s(const struct decide_work *w);

/* The client's prefix that keeps a server: its bits, and a hash of them. */
uint8_t decide_prefix_bits(const struct gtm_client *client);
uint64_t decide_name_hash(const struct dname *name); /* in any case */
uint64_t decide_prefix_hash(const struct gtm_client *client, unsigned int bits);

/* The first index after 'from' in the pool that is of another server. */
uint32_t decide_run(const struct decide_pool *pool, uint32_t from);
