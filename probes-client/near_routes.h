/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * near_routes - how many autonomous systems are on the way to an address, by
 * the longest prefix.
 *
 * Pure.  Filled by one thread, then near_routes_end(); from then on it does not
 * change.  A sorted array a family, 16 octets a prefix: whatever has an address
 * encloses the last prefix that begins at or before it, or is that; and each
 * knows which one encloses it.  One binary search, then at most 64 steps.
 *
 * IPv6 beyond 64 bits is left out: groups of clients are wider.  So are
 * prefixes of no bits: a default route says nothing of where a client is.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gtm/client.h"
#include "probes-client/near_mrt.h"

#define NEAR_ROUTES_MAX (1u << 22) /* prefixes of one family */

struct near_routes;

struct near_routes *near_routes_new(void);	   /* NULL: no memory */
void near_routes_free(struct near_routes *routes); /* NULL is fine */

/*
 * One more; of two of one prefix the shorter way holds.  0, -ENOMEM, or -E2BIG:
 * more than NEAR_ROUTES_MAX.
 */
int near_routes_put(struct near_routes *routes, const struct near_route *route);

/* Before anything is found; 0 or -ENOMEM. */
int near_routes_end(struct near_routes *routes);

/* The way to an address ('bits' is not looked at), or -ENOENT. */
int near_routes_find(const struct near_routes *routes,
		     const struct gtm_client *client);

size_t near_routes_count(const struct near_routes *routes, bool v6);
size_t near_routes_bytes(const struct near_routes *routes);
