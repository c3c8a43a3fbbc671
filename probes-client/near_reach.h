/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * near_reach - loss, round trip and jitter from here to the other POPs, by ICMP
 * echo.
 *
 * All of it on the thread of its loop; never waits.  The packets of a round are
 * spread over its interval; what a stop of this process has left out is not
 * made up for, and does not count as lost.
 */
#include <uv.h>

#include "common/config.h"
#include "probes-client/near_stats.h"
#include "probes-client/probed_log.h"

struct near_reach;

struct near_reach_setup {
	uv_loop_t *loop;
	const struct probed_log *log;
	const char *node;
	/* Some POP has new values. */
	void (*measured)(void *arg);
	void *arg;
};

/* 0 and sets '*reachp', to be closed with near_reach_close(); or -ENOMEM. */
int near_reach_new(const struct near_reach_setup *setup,
		   struct near_reach **reachp);

/*
 * Probes the POPs of 'config' (copied) that have an address, if this node is
 * that of one of "from".  Starts over, with nothing known, if that is another
 * list than before.  0 or -ENOMEM: nobody is probed.
 */
int near_reach_use(struct near_reach *reach, const struct config *config);

/* What is known of the POPs that are probed: '*np' of them. */
const struct near_pop *near_reach_pops(const struct near_reach *reach,
				       size_t *np);

/* Takes the next POP with values that were not told; NULL: none.  '*age_ms' is
 * how old they are. */
const struct near_pop *near_reach_tell(struct near_reach *reach,
				       uint64_t *age_ms);

/* The memory goes when the loop lets go of it.  NULL is fine. */
void near_reach_close(struct near_reach *reach);
