/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * nzctl_probes - what the side-car on this machine shows of its tests, put
 * beside what the plugin says of them.
 */
#include <json-c/json.h>
#include <stdio.h>

#include "probes-client/nzctl.h"

/*
 * Asks the side-car for its tests, of 'server' (NULL: all), and sets '*testsp'
 * to an array of them, the caller's; or NULL: there is no side-car.  That is
 * said, and is not NZCTL_DONE, only if --view names it, or if its answer is
 * none.
 */
enum nzctl_exit nzctl_probes_ask(const struct nzctl_options *options,
				 const char *server,
				 struct json_object **testsp);

/* Makes '*replyp', which the plugin did not give, a reply without tests. */
void nzctl_probes_alone(struct json_object **replyp, bool json);

/*
 * Adds to each of the reply's "probes" what the side-car knows: "last",
 * "next_s" and "cause"; and 'tests' (NULL is fine) as they are.  Without
 * "probes" of the plugin's, those of 'tests' take their place.
 */
void nzctl_probes_join(struct json_object *reply, struct json_object *tests);

/* More of each test: a block each.  NULL is fine. */
void nzctl_probes_detail(FILE *out, struct json_object *tests);
