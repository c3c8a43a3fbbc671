/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * traffic_int - what the parts of 'traffic' share: traffic.c (feed, servers,
 * tests, status), drains.c, explain.c.  Nobody else includes this.
 */
#include "plugin/engine.h"
#include "plugin/traffic.h"

/* drains.c */
void traffic_drain(struct engine *e, struct control_client *client,
		   struct json_object *request);
void traffic_force(struct engine *e, struct control_client *client,
		   struct json_object *request);
void traffic_undrain(struct engine *e, struct control_client *client,
		     struct json_object *request);

/* A server that comes back by hand has gone down. */
void traffic_failed(struct engine *e, const char *server);
const struct drain *traffic_drain_of(const struct engine *e,
				     const char *server);
void traffic_drain_add(struct json_object *o, const struct drain *drain);

/* latency.c */
void traffic_wanted(struct engine *e, struct control_client *client,
		    struct json_object *request);
void traffic_latency(struct engine *e, struct control_client *client,
		     struct json_object *request);

struct row;
/* A latency was taken: keeps how it was measured. */
void traffic_latency_how(struct engine *e, const struct row *row,
			 uint64_t now_ms);

/* explain.c */
void traffic_explain(struct engine *e, struct control_client *client,
		     struct json_object *request);
struct json_object *traffic_host(struct engine *e, const struct gtm_host *host);

/* Adds how often each address of the hostname was given out. */
void traffic_answers(const struct gtm_world *world, const struct gtm_host *host,
		     struct json_object *list);
