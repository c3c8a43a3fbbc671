/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_feed - brings results to the plugin's control socket, and comes back
 * when it was away.
 *
 * All of it on the thread of its loop; never waits.  One batch is under way at
 * a time; the next goes when it was answered.
 */
#include <uv.h>

#include "common/config.h"
#include "probes-client/probed_hints.h"
#include "probes-client/probed_log.h"
#include "probes-client/probed_stats.h"
#include "probes-client/probed_table.h"
#include "probes-client/probed_value.h"

struct probed_feed;

/* Must outlive the feed. */
struct probed_feed_setup {
	uv_loop_t *loop;
	const struct probed_log *log;
	const char *node;
	struct probed_hints *hints;   /* passed on between batches */
	struct probed_values *values; /* sent as rows of their kind */
};

/* Returns 0 and sets '*feedp', to be closed with probed_feed_close(); or
 * -ENOMEM. */
int probed_feed_new(const struct probed_feed_setup *setup,
		    struct probed_feed **feedp);

/*
 * Uses the socket 'path' (at most CONFIG_SOCKET_MAX octets; copied), and the
 * batches that 'config' asks for.  Connects, again if the path is another.
 */
void probed_feed_use(struct probed_feed *feed, const char *path,
		     const struct config *config);

/* The target has a result to report; 'urgent': its state has changed. */
void probed_feed_mark(struct probed_feed *feed, struct probed_target *target,
		      bool urgent);

/* There is a new hint, or a new value. */
void probed_feed_hinted(struct probed_feed *feed);

struct probed_feed_stats probed_feed_stats(const struct probed_feed *feed);

/* The target will be freed. */
void probed_feed_drop(struct probed_feed *feed, struct probed_target *target);

/*
 * From now on 'table' (borrowed until the next call) is what a plugin that is
 * new is told of: every target in it that has a state.  NULL: nothing.
 */
void probed_feed_tell(struct probed_feed *feed,
		      const struct probed_table *table);

/* Marks all of the table as new, for the next batches, in the order of time. */
void probed_feed_tell_all(struct probed_feed *feed);

/* The memory goes when the loop lets go of it.  NULL is fine. */
void probed_feed_close(struct probed_feed *feed);
