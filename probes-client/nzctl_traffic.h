/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * nzctl_traffic - the plugin's replies about traffic management, for people.
 *
 * A reply is not trusted: members that are missing or of another kind are
 * shown as "-" or not at all, and its text goes through show_text().
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

/* Shows a whole reply; 'server' is the one asked for, or NULL: all. */
typedef void (*nzctl_traffic_show)(FILE *out, struct json_object *reply,
				   const char *server);

/* Servers, a line each; then the tests: those not up, or all of 'server'. */
void nzctl_traffic_servers(FILE *out, struct json_object *reply,
			   const char *server);

/* Tests, a line each, and what the side-car has sent. */
void nzctl_traffic_probes(FILE *out, struct json_object *reply,
			  const char *server);

void nzctl_traffic_drain(FILE *out, struct json_object *reply,
			 const char *server);
void nzctl_traffic_undrain(FILE *out, struct json_object *reply,
			   const char *server);

/* Why, among whom, and the answer. */
void nzctl_traffic_explain(FILE *out, struct json_object *reply);

/* True if the answer that is explained has an address. */
bool nzctl_traffic_answered(struct json_object *reply);
