/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What is known of how far clients are, and of whom nothing is: "latency" for
 * people, "wanted" for the probes.
 */
#include "plugin/traffic_int.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "common/rcu.h"
#include "gtm/explain.h"
#include "plugin/control.h"
#include "plugin/jsonadd.h"
#include "plugin/map.h"
#include "plugin/rows.h"

#define WANTED_MAX 1000u /* in one reply */

static void client_add(struct json_object *list, const struct gtm_client *c)
{
	char address[INET6_ADDRSTRLEN];
	char text[INET6_ADDRSTRLEN + 8];

	(void)gtm_explain_address(c->v6, c->address, address);
	(void)snprintf(text, sizeof(text), "%s/%u", address, c->bits);
	json_object_array_add(list, json_object_new_string(text));
}

void traffic_wanted(struct engine *e, struct control_client *client,
		    struct json_object *request)
{
	struct json_object *reply = json_object_new_object();
	struct json_object *list = json_object_new_array();
	struct gtm_client all[WANTED_MAX];

	(void)request;
	size_t n = gtm_wanted_take(e->process->wanted, all, WANTED_MAX);
	for (size_t i = 0; i < n; i++)
		client_add(list, &all[i]);
	json_object_object_add(reply, "prefixes", list);
	control_reply(client, reply);
}

/* What is known of a group, and is not too old. */
static void cells_add(struct json_object *list, const struct gtm_world *world,
		      const struct gtm_row_cells *row)
{
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
		if (row.cells != NULL)
			cells_add(list, world, &row);
		rcu_leave();
	}
	json_object_object_add(reply, "pops", list);
	control_reply(client, reply);
}
