/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/votes.h"

#include <stddef.h>

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

uint64_t gtm_votes_node(const char *name, size_t n)
{
	uint64_t hash = FNV_BASIS;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (uint8_t)name[i]) * FNV_PRIME;
	return hash;
}

bool gtm_votes_take(struct gtm_votes *votes, const struct gtm_vote *vote)
{
	struct gtm_vote *place = &votes->all[0];

	for (size_t i = 0; i < GTM_VOTES_MAX; i++) {
		struct gtm_vote *v = &votes->all[i];
		if (v->when_ms != 0 && v->node == vote->node) {
			place = v;
			break;
		}
		if (v->when_ms < place->when_ms)
			place = v;
	}
	if (place->when_ms >= vote->when_ms)
		return false;
	*place = *vote;
	return true;
}

/* Puts 'v' among the first 'n', sorted: the newest first. */
static void newest_put(const struct gtm_vote **sorted, size_t n,
		       const struct gtm_vote *v)
{
	for (; n > 0 && sorted[n - 1]->when_ms < v->when_ms; n--)
		sorted[n] = sorted[n - 1];
	sorted[n] = v;
}

static uint32_t median(const struct gtm_vote *const *votes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t below = 0, same = 0;
		for (size_t k = 0; k < n; k++) {
			below += votes[k]->metric < votes[i]->metric;
			same += votes[k]->metric == votes[i]->metric;
		}
		if (below <= (n - 1) / 2 && below + same > (n - 1) / 2)
			return votes[i]->metric;
	}
	return votes[0]->metric;
}

/* Those that are fresh and say 'state', the newest first; how many. */
static size_t fresh(const struct gtm_votes *votes, enum gtm_state state,
		    uint64_t oldest_ms, const struct gtm_vote **sorted)
{
	size_t n = 0;

	for (size_t i = 0; i < GTM_VOTES_MAX; i++) {
		const struct gtm_vote *v = &votes->all[i];
		if (v->when_ms == 0 || v->when_ms < oldest_ms ||
		    v->state != state)
			continue;
		newest_put(sorted, n, v);
		n++;
	}
	return n;
}

bool gtm_votes_count(const struct gtm_votes *votes, unsigned int quorum,
		     enum gtm_state now, uint64_t oldest_ms,
		     struct gtm_vote *agreed)
{
	const struct gtm_vote *sorted[GTM_VOTES_MAX];
	enum gtm_state states[2] = { GTM_UP, GTM_DOWN };

	if (now == GTM_DOWN) {
		states[0] = GTM_DOWN;
		states[1] = GTM_UP;
	}
	for (size_t i = 0; i < 2; i++) {
		size_t n = fresh(votes, states[i], oldest_ms, sorted);
		if (n < quorum)
			continue;
		*agreed = *sorted[0];
		agreed->when_ms = sorted[quorum - 1]->when_ms;
		agreed->metric = median(sorted, n);
		return true;
	}
	return false;
}
