/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_stats - what the side-car counts of itself, for its metrics.
 *
 * Pure: plain numbers that only grow, but where it says "now".
 */
#include <stddef.h>
#include <stdint.h>

#define PROBED_BUCKETS 13 /* with a bound; one more is without */

/* How many milliseconds things took. */
struct probed_histo {
	uint64_t n[PROBED_BUCKETS + 1]; /* each counts what it alone holds */
	uint64_t sum_ms;
};

/* The bounds, inclusive, in milliseconds and as Prometheus writes them. */
struct probed_bound {
	uint32_t ms;
	const char *seconds;
};
extern const struct probed_bound probed_bounds[PROBED_BUCKETS];

void probed_histo_take(struct probed_histo *histo, uint64_t ms);
uint64_t probed_histo_count(const struct probed_histo *histo);

struct probed_engine_stats {
	size_t running, waiting; /* now: tests, and those with no turn yet */
	uint64_t missed;	 /* tests left out: their time had passed */
	uint64_t late, lacking;	 /* tests void: see enum probed_moot */
	struct probed_histo lag; /* from when tests were due to their start */
};

/* Why the plugin refuses rows; the last one: any other word. */
enum probed_refusal {
	PROBED_ROW_UNKNOWN,
	PROBED_ROW_OLD,
	PROBED_ROW_FUTURE,
	PROBED_ROW_VALUE,
	PROBED_ROW_OTHER,
	PROBED_REFUSALS,
};
extern const char *const probed_refusal_names[PROBED_REFUSALS];

struct probed_feed_stats {
	size_t connected; /* now: 0 or 1 */
	size_t queued;	  /* now: rows not sent yet */
	uint64_t batches, rows;
	uint64_t accepted;
	uint64_t refused[PROBED_REFUSALS];
	uint64_t bad_batches; /* refused as a whole */
	uint64_t lost;	      /* connections, and tries to connect */
	uint64_t taken_ms;    /* monotonic: the last batch taken; 0: none */
};

struct probed_web_stats {
	size_t connections; /* now */
	uint64_t accepted, turned_away;
	uint64_t answers_good; /* 200 */
	uint64_t answers_bad;  /* all others */
	uint64_t timeouts;
};
