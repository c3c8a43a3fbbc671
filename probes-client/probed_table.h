/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_table - all targets of this node, as the configuration has them.
 *
 * Pure.  A table owns its configuration and its targets; it belongs to one
 * thread at a time.
 */
#include <stddef.h>

#include "common/config.h"
#include "probes-client/probed_target.h"

#define PROBED_TARGETS_MAX 100000u

struct probed_table {
	struct config *config;
	size_t n;
	struct probed_target **targets; /* sorted as they compare */
};

/*
 * Collects the targets of 'node': each address of a server with each service
 * that a hostname asks of it or that it says to offer; but no "noload", and no
 * server whose POP is another node's to test.  Returns 0 and sets '*tablep',
 * to be released with probed_table_free(), which then owns 'config'; or
 * -ENOMEM, or -E2BIG (more than PROBED_TARGETS_MAX), and 'config' stays the
 * caller's.
 */
int probed_table_new(struct config *config, const char *node,
		     struct probed_table **tablep);

/*
 * Moves from 'old' into 'table' each target that is the same, with what is
 * known of it.  The places that they had in 'old' become NULL: what is left
 * there is no longer wanted.
 */
void probed_table_adopt(struct probed_table *table, struct probed_table *old);

/* How many are in that state. */
size_t probed_table_count(const struct probed_table *table,
			  enum probed_state state);

void probed_table_free(struct probed_table *table); /* NULL is fine */
