/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * near - what is near: measures the latency to clients that the plugin wants,
 * and loss and reach of other POPs, and tells the plugin.
 *
 * All of it on the thread of its loop; never waits.
 */
#include <uv.h>

#include "common/config.h"
#include "probes-client/near_stats.h"
#include "probes-client/probed_log.h"

struct near;

struct near_setup {
	uv_loop_t *loop;
	const struct probed_log *log; /* must outlive it, and so must 'node' */
	const char *node;
	/* Whether a server that this node tests is down. */
	bool (*failed)(void *arg);
	void *arg;
};

/* 0 and sets '*nearp', to be closed with near_close_all(); or -errno. */
int near_new(const struct near_setup *setup, struct near **nearp);

/*
 * As 'config' (borrowed until the next call, or the close) has it, with the
 * plugin at 'path' (copied).
 */
void near_use(struct near *near, const char *path, const struct config *config);

/* Good until the next call of anything here. */
void near_stats_of(struct near *near, struct near_stats *stats);

/* The memory goes when the loop lets go of it.  NULL is fine. */
void near_close_all(struct near *near);
