/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * decide_int - what decide.c and decide_draw.c share, and nobody else uses.
 */
#include "gtm/decide.h"

/* Those of the candidates that are left to choose from, in their order. */
struct decide_pool {
	const struct gtm_candidate *candidate; /* all of the family */
	uint32_t *at; /* their indices: room for CONFIG_CHOICE_MAX */
	uint32_t n;
};

/*
 * Draws up to 'wanted' (1..GTM_ANSWERS_MAX) addresses from a pool of at least
 * one into answer->pick and ->n, and sets answer->scope.  Reorders the pool.
 */
void decide_draw(struct decide_pool *pool, const struct gtm_question *q,
		 unsigned int wanted, bool persist, struct gtm_answer *answer);

/* The first index after 'from' in the pool that is of another server. */
uint32_t decide_run(const struct decide_pool *pool, uint32_t from);

/* What a server counts for: its weight; as 1 if all in the pool have none. */
static inline uint32_t decide_weight(const struct gtm_candidate *candidate)
{
	return candidate->weight == 0 ? 1 : candidate->weight;
}
