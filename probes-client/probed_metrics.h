/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_metrics - what the side-car shows of itself: its targets, its
 * services, its schedule and its feed, as Prometheus wants it.
 *
 * Pure: times are arguments.  Labels hold names of the configuration and
 * nothing of what clients ask.
 */
#include <stdbool.h>

#include "probes-client/near_stats.h"
#include "probes-client/probed_expo.h"
#include "probes-client/probed_table.h"
#include "probes-client/probed_tally.h"
#include "probes-client/probed_value.h"

#define PROBED_SHOWN_MAX 10000u /* targets listed one by one */

struct probed_metrics {
	const char *version, *node;
	const struct probed_table *table;
	const struct probed_tally *tally; /* of the table's configuration */
	struct probed_engine_stats engine;
	struct probed_feed_stats feed;
	struct probed_web_stats web;
	const struct probed_values *values; /* NULL: none */
	const struct near_stats *near;	    /* NULL: nothing */
	uint64_t now_ms;		    /* monotonic */
	uint64_t started_s;		    /* unix time */
};

/* The short part, then (so that it is what a full text lacks) the targets. */
void probed_metrics_put(struct probed_expo *expo,
			const struct probed_metrics *metrics);
void probed_metrics_put_targets(struct probed_expo *expo,
				const struct probed_metrics *metrics);

/* Targets that are not listed. */
size_t probed_metrics_omitted(const struct probed_metrics *metrics);
