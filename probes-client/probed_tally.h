/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_tally - how long the good tests of each service took, and how often
 * its targets changed their states.  Kept for as long as the service is in the
 * configuration, whatever becomes of servers.
 *
 * Pure.
 */
#include "common/config.h"
#include "probes-client/probed_stats.h"

struct probed_turns {
	uint64_t up, down; /* changes from the other to this one */
};

struct probed_tally {
	size_t n;
	struct probed_turns *turns; /* the same; in the same memory */
	struct probed_histo of[];   /* by the service's place in the config */
};

/*
 * An empty one for 'config'; or, if 'before' is not NULL, one that goes on
 * from it, where 'old' is its configuration.  Returns NULL without memory.
 * Free it with free().
 */
struct probed_tally *probed_tally_new(const struct config *config,
				      const struct probed_tally *before,
				      const struct config *old);
