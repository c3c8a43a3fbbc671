/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * nzctl_near - the plugin's replies about what is near, for people.
 *
 * A reply is not trusted; its text goes through show_text().
 */
#include <json-c/json.h>
#include <stdio.h>

/* The latencies of 'client', a line a POP. */
void nzctl_near_latency(FILE *out, struct json_object *reply,
			const char *client);
