/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What is known of how far clients are, and of whom nothing is: "latency" for
 * people, "wanted" for the probes.
 */
#include "plugin/traffic_int.h"

#include <arpa/inet.h>
#include <stdio.h>

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
	struct gtm_groups *groups = e->snapshot->world->groups;
	struct json_object *reply = json_object_new_object();
	struct json_object *list = json_object_new_array();
	struct gtm_client all[WANTED_MAX];
	size_t n = 0;

	(void)request;
	if (groups != NULL)
		n = gtm_groups_wanted(groups, all, WANTED_MAX);
	for (size_t i = 0; i < n; i++)
		client_add(list, &all[i]);
	json_object_object_add(reply, "prefixes", list);
	control_reply(client, reply);
}

void traffic_latency(struct engine *e, struct control_client *client,
		     struct json_object *request)
{
	const struct gtm_world *world = e->snapshot->world;
	const char *text = member(request, "client");
	struct gtm_client from;
	struct gtm_group group;
	uint64_t now_ms = clock_now_ms();

	if (text == NULL || !rows_prefix(slice_of(text), &from)) {
		control_reply_error(client, "not an address or prefix: '%.64s'",
				    text != NULL ? text : "");
		return;
	}
	struct json_object *reply = json_object_new_object();
	struct json_object *list = json_object_new_array();
	add_text(reply, "client", text);
	if (world->groups != NULL) {
		gtm_groups_find(world->groups, &from, now_ms, &group);
		add_bool(reply, "known", group.row != GTM_NO_GROUP);
		add_number(reply, "scope", group.scope);
		for (size_t i = 0; i < world->config->n_pops; i++) {
			float ms = gtm_groups_ms(world->groups, &group,
						 world->columns[i], now_ms,
						 world->config->latency_age_ms);
			struct json_object *o;
			if (ms < 0.0f)
				continue;
			o = json_object_new_object();
			add_text(o, "pop", world->config->pops[i].id);
			if (ms < GTM_LATENCY_FAR_MS)
				add_double(o, "ms", (double)ms);
			json_object_array_add(list, o);
		}
	}
	json_object_object_add(reply, "pops", list);
	control_reply(client, reply);
}
