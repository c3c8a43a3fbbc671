/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * votes - what several nodes say of one service at one address, and what they
 * agree on.
 *
 * Pure: times are milliseconds of the slots' clock.  The writer of the slots
 * alone calls these; nobody else reads votes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gtm/table.h"

#define GTM_VOTES_MAX 8u /* nodes: with more, the oldest vote goes */

struct gtm_vote {
	uint64_t node;	  /* hash of its name */
	uint64_t when_ms; /* 0: no vote */
	uint32_t metric;
	uint16_t error;
	uint8_t state; /* enum gtm_state */
};

/* Votes of one cell. */
struct gtm_votes {
	struct gtm_vote all[GTM_VOTES_MAX];
};

/* The key of a node's name, which may be empty. */
uint64_t gtm_votes_node(const char *name, size_t n);

/*
 * Takes a vote.  Returns false, and changes nothing, if the node has cast a
 * newer one.
 */
bool gtm_votes_take(struct gtm_votes *votes, const struct gtm_vote *vote);

/*
 * Whether at least 'quorum' votes, none from before 'oldest_ms', say the same;
 * if up and down both have so many, 'now' stays.  Sets '*agreed': its state,
 * the median of their metrics, the error of the newest of them, and the time
 * since when all of the quorum have said so.
 */
bool gtm_votes_count(const struct gtm_votes *votes, unsigned int quorum,
		     enum gtm_state now, uint64_t oldest_ms,
		     struct gtm_vote *agreed);
