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

/* What the plugin knows of and no series shows. */
struct probed_omitted {
	uint64_t zones, hostnames, servers, origins;
};

/*
 * 'status' is the reply to "status", 'servers' that to "servers" or NULL.
 * NULL for 'status': the plugin did not answer.
 */
void probed_plugin_put(struct probed_expo *expo, struct json_object *status,
		       struct json_object *servers,
		       struct probed_omitted *omitted);

/* How many servers the plugin has, as its reply to "status" says. */
uint64_t probed_plugin_servers(struct json_object *status);

/*
 * The "after" of the next page of zones or hostnames that there is to show, as
 * 'status' says; the caller's reference.  NULL: no more, or not shown.
 */
struct json_object *probed_plugin_next(struct json_object *status);
