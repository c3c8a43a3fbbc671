/* SPDX-License-Identifier: MPL-2.0 */
/* What people are told of the client map, and of one client. */
#include <arpa/inet.h>
#include <stdio.h>
#include <time.h>

#include <json-c/json.h>

#include "common/rcu.h"
#include "gtm/clients.h"
#include "plugin/control.h"
#include "plugin/engine.h"
#include "plugin/geo.h"
#include "plugin/jsonadd.h"

static struct json_object *database_json(const char *path,
					 const struct geo_database *d)
{
	struct json_object *o = json_object_new_object();
	bool absent = d->about.file.inode == 0;

	add_text(o, "file", path);
	add_text(o, "state",
		 d->pending ? "pending" : (absent ? "absent" : "read"));
	if (d->pending || absent)
		return o;
	add_text(o, "type", d->about.type);
	add_number(o, "time", d->about.built_s);
	add_number(o, "networks", d->about.networks);
	add_number(o, "records", d->about.records);
	return o;
}

static struct json_object *databases_json(const struct config *config,
					  const struct geo_map *map)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < map->n_databases; i++)
		json_object_array_add(list,
				      database_json(config->geo.databases[i],
						    &map->databases[i]));
	return list;
}

static void add_map(struct json_object *o, const struct config *config,
		    const struct geo_map *map)
{
	uint64_t now_ms = clock_now_ms();

	add_number(o, "places", map->size.places);
	add_number(o, "nodes", map->size.nodes);
	add_number(o, "leaves", map->size.leaves);
	add_number(o, "bytes", map->size.bytes);
	add_number(o, "took_us", UINT64_C(1000) * map->took_ms);
	add_number(o, "loaded", (uint64_t)map->made_wall_s);
	add_seconds(o, "age_s",
		    now_ms > map->made_ms ? now_ms - map->made_ms : 0);
	json_object_object_add(o, "databases", databases_json(config, map));
}

struct json_object *geo_status(struct engine *e)
{
	const struct snapshot *s = e->snapshot;
	struct process *p = e->process;
	char line[ERR_TEXT_MAX + ERR_PATH_MAX + 64];

	rcu_enter();
	const struct geo_map *map = atomic_load(&s->geo);
	if (map == NULL) {
		rcu_leave();
		return NULL;
	}
	struct json_object *o = json_object_new_object();
	add_number(o, "rules", s->config->n_clients);
	add_map(o, s->config, map);
	rcu_leave();
	pthread_mutex_lock(&p->lock);
	struct err fault = p->geo_fault;
	int64_t wall_s = p->geo_fault_wall_s;
	pthread_mutex_unlock(&p->lock);
	add_bool(o, "refused", fault.text[0] != '\0');
	if (fault.text[0] != '\0') {
		err_format(&fault, "", line, sizeof(line));
		add_text(o, "error", line);
		add_number(o, "time", (uint64_t)wall_s);
	}
	return o;
}

/* -- one client ------------------------------------------------------------ */

/* A number with no more digits than it is worth. */
static struct json_object *rounded(float n, int digits)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%.*g", digits, (double)n);
	for (char *p = text; *p != '\0'; p++)
		if (*p == ',') /* of some locale */
			*p = '.';
	return json_object_new_double_s((double)n, text);
}

static void add_rule(struct json_object *o, const struct config *config,
		     const struct config_clients *rule)
{
	struct json_object *latency = json_object_new_object();
	struct json_object *weights = json_object_new_object();
	struct json_object *pops = json_object_new_array();

	add_text(o, "rule", rule->id);
	for (size_t i = 0; i < rule->n_latency; i++)
		json_object_object_add(latency,
				       config->pops[rule->latency[i].pop].id,
				       rounded(rule->latency[i].ms, 7));
	for (size_t i = 0; i < rule->n_weights; i++)
		add_number(weights, config->servers[rule->weights[i].server].id,
			   rule->weights[i].weight);
	for (size_t i = 0; i < rule->n_pops; i++)
		json_object_array_add(
			pops,
			json_object_new_string(config->pops[rule->pops[i]].id));
	json_object_object_add(o, "latency", latency);
	json_object_object_add(o, "weights", weights);
	json_object_object_add(o, "pops", pops);
}

/* Estimates to those POPs whose place is known. */
static struct json_object *estimates(const struct config *config,
				     const struct gtm_place *place)
{
	struct json_object *o = json_object_new_object();

	for (size_t i = 0; place->located && i < config->n_pops; i++) {
		const struct config_pop *pop = &config->pops[i];
		if (!pop->located)
			continue;
		struct gtm_vector at =
			gtm_vector_of(pop->latitude, pop->longitude);
		json_object_object_add(o, pop->id,
				       rounded(gtm_place_ms(place, &at), 4));
	}
	return o;
}

static void add_place(struct json_object *o, const struct config *config,
		      const struct gtm_place *place)
{
	const char country[] = { (char)(place->country >> 8),
				 (char)(place->country & 0xff), '\0' };

	if (place->country != 0)
		add_text(o, "country", country);
	if (place->continent != CONFIG_NO_CONTINENT)
		add_text(o, "continent",
			 config_continent_names[place->continent]);
	if (place->as != 0)
		add_number(o, "as", place->as);
	if (place->located) {
		struct json_object *where = json_object_new_array();
		json_object_array_add(where, rounded(place->latitude, 7));
		json_object_array_add(where, rounded(place->longitude, 7));
		json_object_object_add(o, "location", where);
	}
	if (place->rule != CONFIG_NONE)
		add_rule(o, config, &config->clients[place->rule]);
	json_object_object_add(o, "estimates", estimates(config, place));
}

void geo_client(struct engine *e, struct control_client *client,
		struct json_object *request)
{
	const char *text = member(request, "client");
	struct config_prefix prefix;
	struct gtm_client who = { 0 };
	char address[INET6_ADDRSTRLEN];
	uint8_t scope;

	if (text == NULL || config_prefix_parse(slice_of(text), &prefix) != 0 ||
	    prefix.bits == 0) {
		control_reply_error(client, "not an address or prefix: '%.64s'",
				    text != NULL ? text : "");
		return;
	}
	who.v6 = prefix.v6;
	who.bits = prefix.bits;
	memcpy(who.address, prefix.address, sizeof(who.address));
	rcu_enter();
	const struct gtm_clients *map = atomic_load_explicit(
		&e->snapshot->world->clients, memory_order_acquire);
	if (map == NULL) {
		rcu_leave();
		control_reply_error(client, "the configuration has neither "
					    "\"geo\" nor \"clients\"");
		return;
	}
	struct json_object *reply = json_object_new_object();
	struct json_object *o = json_object_new_object();
	const struct gtm_place *place = gtm_clients_find(map, &who, &scope);
	(void)inet_ntop(who.v6 ? AF_INET6 : AF_INET, who.address, address,
			sizeof(address));
	add_text(o, "address", address);
	add_number(o, "bits", who.bits);
	add_number(o, "scope", scope);
	add_place(o, e->snapshot->config, place);
	rcu_leave();
	json_object_object_add(reply, "client", o);
	control_reply(client, reply);
}
