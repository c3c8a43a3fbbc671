/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * spread - which servers an answer may be of, and how likely: what a decision
 * would give if it were made often, or what was given once.
 *
 * The random bits of a decision that was made are not known, so two decisions
 * are compared by their spreads.  By weight a server's part is its share of the
 * first address; where 'persist' chooses, or all fit, it is what is given.
 */
#include "gtm/decide.h"
#include "gtm/history.h"

#define SPREAD_NODATA	"(no record)"
#define SPREAD_SERVFAIL "(SERVFAIL)"
#define SPREAD_GONE	"(no such hostname)"

struct spread {
	size_t n;
	struct spread_part {
		const char *server; /* borrowed */
		const char *pop;    /* "" for none */
		double part;	    /* their sum is 1 */
		double ms;	    /* to the client; less than 0: not known */
	} part[CONFIG_CHOICE_MAX + 1];
};

/* Without a latency. */
void spread_add(struct spread *s, const char *server, const char *pop,
		double part);

/* The part of a server, 0 if it has none. */
double spread_of(const struct spread *s, const char *server);

/*
 * What was given; names are the history's, and latencies, of 'client', what was
 * measured no longer ago than that.
 */
void spread_given(struct spread *s, const struct gtm_history *h,
		  const struct journal_decision *d,
		  const struct gtm_client *client, uint64_t max_age_ms);

/*
 * What 'host' (NULL: it is gone) gives; 'trace' is room for it.  Returns
 * whether what was given then could have been.
 */
bool spread_decide(struct spread *s, const struct gtm_host *host,
		   const struct gtm_question *q,
		   const struct journal_decision *d, struct gtm_trace *trace);
