/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What is known of how far clients are, and of whom nothing is: "latency" for
 * people, "wanted" for the probes.
 */
#include "plugin/traffic_int.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/rcu.h"
#include "gtm/explain.h"
#include "plugin/control.h"
#include "plugin/jsonadd.h"
#include "plugin/map.h"
#include "plugin/rows.h"

#define WANTED_MAX 1000u /* in one reply */

#define HOWS	   65536u /* kept; a power of two */
#define METHOD_MAX 8u	  /* octets of a name */

/*
 * How the latency of a group to a POP was measured, for people.  Of two that
 * have the same place the newer one is kept.
 */
struct feed_how {
	uint64_t tag; /* which group and POP; 0: none */
	uint64_t when_ms;
	struct gtm_client client;
	bool full;
	char method[METHOD_MAX];
};

void traffic_fini(struct feed *feed)
{
	free(feed->hows);
	feed->hows = NULL;
}

/* FNV-1a, mixed. */
static uint64_t tag_of(const struct gtm_client *prefix, struct slice pop)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < sizeof(prefix->address); i++)
		h = (h ^ prefix->address[i]) * UINT64_C(0x100000001b3);
	h = (h ^ prefix->bits) * UINT64_C(0x100000001b3);
	h = (h ^ prefix->v6) * UINT64_C(0x100000001b3);
	for (size_t i = 0; i < pop.n; i++)
		h = (h ^ (uint8_t)pop.p[i]) * UINT64_C(0x100000001b3);
	h = (h ^ h >> 32) * UINT64_C(0xbf58476d1ce4e5b9);
	h ^= h >> 29;
	return h != 0 ? h : 1;
}

void traffic_latency_how(struct engine *e, const struct row *row,
			 uint64_t now_ms)
{
	struct feed *feed = &e->feed;

	if (feed->hows == NULL)
		feed->hows = calloc(HOWS, sizeof(*feed->hows));
	if (feed->hows == NULL)
		return;
	uint64_t tag = tag_of(&row->prefix, row->of);
	struct feed_how *how = &feed->hows[tag % HOWS];
	uint64_t age_ms = row->age_ms > 0 ? (uint64_t)row->age_ms : 0;
	*how = (struct feed_how){ .tag = tag,
				  .when_ms =
					  now_ms > age_ms ? now_ms - age_ms : 0,
				  .client = row->client,
				  .full = row->full };
	(void)snprintf(how->method, sizeof(how->method), "%.*s",
		       (int)row->method.n, row->method.p);
}

static struct json_object *client_json(const struct gtm_client *c)
{
	char address[INET6_ADDRSTRLEN];
	char text[INET6_ADDRSTRLEN + 8];

	(void)gtm_explain_address(c->v6, c->address, address);
	(void)snprintf(text, sizeof(text), "%s/%u", address, c->bits);
	return json_object_new_string(text);
}

/* A whole address without its length. */
static struct json_object *asker_json(const struct gtm_client *c)
{
	char address[INET6_ADDRSTRLEN];

	if (c->bits != (c->v6 ? 128 : 32))
		return client_json(c);
	return json_object_new_string(
		gtm_explain_address(c->v6, c->address, address));
}

/* The age is the exact one then; the table's own is right to 33 s. */
static void how_add(const struct engine *e, struct json_object *o,
		    const struct gtm_client *prefix, const char *pop,
		    uint64_t now_ms)
{
	uint64_t tag = tag_of(prefix, slice_of(pop));
	const struct feed_how *how =
		e->feed.hows != NULL ? &e->feed.hows[tag % HOWS] : NULL;

	if (how == NULL || how->tag != tag)
		return;
	add_text(o, "method", how->method);
	json_object_object_add(o, "of", asker_json(&how->client));
	add_bool(o, "full", how->full);
	add_seconds(o, "age_s",
		    now_ms > how->when_ms ? now_ms - how->when_ms : 0);
}

void traffic_wanted(struct engine *e, struct control_client *client,
		    struct json_object *request)
{
	struct json_object *reply = json_object_new_object();
	struct json_object *list = json_object_new_array();
	struct json_object *askers = json_object_new_array();
	struct gtm_client all[WANTED_MAX], who[WANTED_MAX];

	(void)request;
	size_t n = gtm_wanted_take(e->process->wanted, all, who, WANTED_MAX);
	for (size_t i = 0; i < n; i++) {
		json_object_array_add(list, client_json(&all[i]));
		json_object_array_add(askers, asker_json(&who[i]));
	}
	json_object_object_add(reply, "prefixes", list);
	json_object_object_add(reply, "clients", askers);
	control_reply(client, reply);
}

/* What is known of a group, and is not too old. */
static void cells_add(const struct engine *e, struct json_object *list,
		      const struct gtm_client *group,
		      const struct gtm_row_cells *row)
{
	const struct gtm_world *world = e->snapshot->world;
	uint64_t now_ms = clock_now_ms();
	struct gtm_cell_time time =
		gtm_cell_time(now_ms, world->config->latency_age_ms);

	for (size_t i = 0; i < world->config->n_pops; i++) {
		uint32_t cell = atomic_load_explicit(
			&row->cells[world->columns[i]], memory_order_relaxed);
		float ms = gtm_cell_ms(cell, time);
		if (ms < 0.0f)
			continue;
		struct json_object *o = json_object_new_object();
		add_text(o, "pop", world->config->pops[i].id);
		if (ms < GTM_FAR_MS)
			add_double(o, "ms", (double)ms);
		add_seconds(o, "age_s", gtm_cell_age_ms(cell, now_ms));
		how_add(e, o, group, world->config->pops[i].id, now_ms);
		json_object_array_add(list, o);
	}
}

void traffic_latency(struct engine *e, struct control_client *client,
		     struct json_object *request)
{
	const struct gtm_world *world = e->snapshot->world;
	const char *text = member(request, "client");
	struct gtm_client from;

	if (text == NULL || !rows_prefix(slice_of(text), &from)) {
		control_reply_error(client, "not an address or prefix: '%.64s'",
				    text != NULL ? text : "");
		return;
	}
	struct json_object *reply = json_object_new_object();
	struct json_object *list = json_object_new_array();
	add_text(reply, "client", text);
	if (world->groups != NULL) {
		rcu_enter();
		struct gtm_row_cells row =
			gtm_groups_find(world->groups, &from, clock_now_ms());
		add_bool(reply, "known", row.cells != NULL);
		add_number(reply, "scope", row.scope);
		if (row.cells != NULL) {
			struct gtm_client group = from;
			group.bits = row.bits;
			gtm_client_clear(&group);
			json_object_object_add(reply, "group",
					       client_json(&group));
			cells_add(e, list, &group, &row);
		}
		rcu_leave();
	}
	json_object_object_add(reply, "pops", list);
	control_reply(client, reply);
}
