/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_plugin - turns what the plugin says of itself on the control socket
 * (the replies to "status" and "servers") into series.
 *
 * Pure.  What is not there, or is not what it should be, is left out.  Labels
 * hold names of the configuration, addresses of origins, and nothing of what
 * clients ask.
 */
#include "probes-client/probed_expo.h"

struct json_object;

#define PROBED_ZONES_SHOWN_MAX	 10000u
#define PROBED_HOSTS_SHOWN_MAX	 10000u
#define PROBED_SERVERS_SHOWN_MAX 1000u
#define PROBED_ORIGINS_SHOWN_MAX 1000u

/* What the plugin knows of and no series shows. */
struct probed_omitted {
	uint64_t zones, hostnames, servers, origins;
};

/*
 * Zones and hostnames of which there are series; zeroed to begin.  After a
 * reload between two pages some come twice: the second time is left out.
 */
struct probed_listed {
	uint64_t zones, hostnames;
	struct json_object *zone_ids, *hostname_ids; /* objects: sets of them */
	struct json_object *origins; /* those to be shown, for the end */
};

void probed_listed_fini(struct probed_listed *listed);

/*
 * 'status' is the reply to "status" (the first page), 'servers' that to
 * "servers" or NULL.  NULL for 'status': the plugin did not answer.  Zones and
 * hostnames one by one are not in it; 'listed' says how many are elsewhere, and
 * has the origins.
 */
void probed_plugin_put(struct probed_expo *expo, struct json_object *status,
		       struct json_object *servers,
		       const struct probed_listed *listed,
		       struct probed_omitted *omitted);

/*
 * The zones and hostnames of a reply to "status", any page, each family by
 * itself: see probed_merge.h.  Adds to 'listed', up to the bounds.
 */
void probed_plugin_put_page(struct probed_expo *expo, struct json_object *page,
			    struct probed_listed *listed);

/* How many servers the plugin has, as its reply to "status" says. */
uint64_t probed_plugin_servers(struct json_object *status);

/*
 * The "after" of the page after 'page', if it is to be shown, with 'listed'
 * till now; the caller's reference.  NULL: no more, or not shown.
 */
struct json_object *probed_plugin_next(struct json_object *page,
				       const struct probed_listed *listed);
