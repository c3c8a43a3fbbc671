/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * near_stats - what is counted of measuring clients and POPs, for metrics.
 *
 * Pure: plain numbers that only grow, but where it says "now".
 */
#include "probes-client/near_groups.h"
#include "probes-client/probed_expo.h"

/* Why no packet was sent. */
enum near_refusal {
	NEAR_REFUSED_CLIENT, /* its budget */
	NEAR_REFUSED_PREFIX, /* its group's */
	NEAR_REFUSED_OPT_OUT,
	NEAR_REFUSED_RULE,  /* never, or nothing has failed */
	NEAR_REFUSED_LOCAL, /* no socket, no route, an odd address */
	NEAR_REFUSALS,
};
extern const char *const near_refusal_names[NEAR_REFUSALS];

struct near_prober_stats {
	uint32_t running; /* now */
	uint64_t sent[NEAR_METHODS], answered[NEAR_METHODS];
	uint64_t full, partial, silent; /* groups, when measured */
	uint64_t held;			/* ticks that waited for the budget */
	uint64_t refused[NEAR_REFUSALS];
};

struct near_link_stats {
	bool connected;	 /* now */
	uint64_t asked;	 /* for what is wanted */
	uint64_t wanted; /* groups that it named */
	uint64_t rows, batches, lost;
};

/* Of routes; what is there only if they are known. */
struct near_dump_stats {
	bool on, known;
	size_t n[2]; /* prefixes: IPv4, IPv6 */
	size_t bytes;
	uint64_t age_s;	 /* of the file */
	uint64_t failed; /* looks that brought none */
};

/* A POP as another one sees it. */
struct near_pop {
	const char *id;
	bool known; /* what follows */
	uint32_t sent, got;
	float loss_pct, rtt_ms, jitter_ms; /* got 0: no times */
};

struct near_stats {
	bool on; /* clients are measured */
	struct near_groups_stats groups;
	size_t bytes;
	struct near_prober_stats prober;
	struct near_link_stats link;
	struct near_dump_stats dump;
	uint64_t seen_dumps, seen; /* of TCP connections */
	size_t n_pops;
	const struct near_pop *pops;
};

/* Writes them as metrics. */
void near_stats_put(struct probed_expo *expo, const struct near_stats *stats);
