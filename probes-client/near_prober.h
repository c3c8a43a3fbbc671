/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * near_prober - measures the groups that wait, within the budgets.
 *
 * All of it on the thread of its loop; never waits.  NEAR_RUNNING groups at a
 * time, one socket each; the kernel tells one descriptor of ours which of them
 * has something.
 */
#include <uv.h>

#include "probes-client/near_routes.h"
#include "probes-client/near_rules.h"
#include "probes-client/near_stats.h"

#define NEAR_RUNNING 256u

struct near_prober;

struct near_prober_setup {
	uv_loop_t *loop;
	/* Whether a server that this node tests is down. */
	bool (*failed)(void *arg);
	void *arg;
	/* A group has a new round trip. */
	void (*measured)(void *owner);
	void *owner;
};

/* 0 and sets '*proberp', to be closed with near_prober_close(); or -errno. */
int near_prober_new(const struct near_prober_setup *setup,
		    struct near_prober **proberp);

/*
 * Measures the groups of 'groups' (borrowed until the next call; NULL: none)
 * as 'config' has it (likewise).  What is under way goes on if the groups are
 * the same, else it ends without a word.  0 or -ENOMEM.
 */
int near_prober_use(struct near_prober *prober,
		    const struct config_latency *config,
		    struct near_groups *groups);

/*
 * The ways to clients (borrowed until the next call; NULL: none are known). The
 * first are looked at for groups where nobody has answered, too.
 */
void near_prober_routes(struct near_prober *prober,
			const struct near_routes *routes);

/* Some group waits now. */
void near_prober_wake(struct near_prober *prober);

const struct near_prober_stats *
near_prober_stats(const struct near_prober *prober);

/* The memory goes when the loop lets go of it.  NULL is fine. */
void near_prober_close(struct near_prober *prober);
