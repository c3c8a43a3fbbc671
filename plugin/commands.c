/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <dns/rdatatype.h>
#include <isc/buffer.h>
#include <isc/netaddr.h>
#include <isc/sockaddr.h>

#include <json-c/json.h>

#include "common/rcu.h"
#include "plugin/control.h"
#include "plugin/engine.h"
#include "plugin/jsonadd.h"
#include "plugin/log.h"
#include "plugin/status.h"
#include "plugin/traffic.h"

static struct zone *zone_by_id(struct engine *e, const char *id)
{
	struct snapshot *s = e->snapshot;

	for (size_t i = 0; s != NULL && i < s->n; i++)
		if (strcmp(s->zone[i].config->id, id) == 0)
			return &s->zone[i];
	return NULL;
}

/* The zone with the longest name that 'name' belongs to. */
static struct zone *zone_of(struct engine *e, const struct dname *name)
{
	struct snapshot *s = e->snapshot;
	struct zone *best = NULL;

	for (size_t i = 0; s != NULL && i < s->n; i++) {
		struct zone *z = &s->zone[i];
		if (dname_is_below(name, &z->config->name) &&
		    (best == NULL || z->labels > best->labels))
			best = z;
	}
	return best;
}

/* The zone that the request means, or NULL after an error reply. */
static struct zone *want_zone(struct engine *e, struct control_client *client,
			      struct json_object *request,
			      const struct dname *name, const char *text)
{
	const char *id = member(request, "zone");
	struct zone *zone = id != NULL ? zone_by_id(e, id) : zone_of(e, name);

	if (zone == NULL && id != NULL)
		control_reply_error(client, "no zone '%s'", id);
	else if (zone == NULL)
		control_reply_error(client, "'%s' is in no edge zone", text);
	return zone;
}

static bool want_name(struct control_client *client, const char *text,
		      struct dname *name)
{
	if (text != NULL && dname_parse(slice_of(text), name) == 0)
		return true;
	control_reply_error(client, "not a domain name: '%s'",
			    text != NULL ? text : "");
	return false;
}

/* -- purge --------------------------------------------------------------- */

/*
 * What is asked from now on is asked anew, and what is on its way will not be
 * kept: a purge is complete when its answer is sent.
 */
static size_t purge_zone(struct engine *e, struct zone *zone)
{
	struct process *p = e->process;
	uint64_t old = atomic_load(&zone->state->cache_id);

	(void)flight_detach(p->flights, old, NULL, 0, true);
	atomic_store(&zone->state->cache_id,
		     atomic_fetch_add(&p->next_cache_id, 1) + 1);
	return store_purge_zone(p->store, old);
}

static size_t purge_name(struct engine *e, const struct zone *zone,
			 const struct dname *name, bool below)
{
	struct process *p = e->process;
	uint64_t id = atomic_load(&zone->state->cache_id);

	(void)flight_detach(p->flights, id, name->wire, name->n, below);
	return below ? store_purge_below(p->store, id, name->wire, name->n)
		     : store_purge_name(p->store, id, name->wire, name->n);
}

/* All zones called 'name': several views may each have one. */
static size_t purge_zones_called(struct engine *e, const char *id,
				 const struct dname *name, size_t *zones)
{
	struct snapshot *s = e->snapshot;
	size_t purged = 0;

	for (size_t i = 0; s != NULL && i < s->n; i++) {
		struct zone *z = &s->zone[i];
		if (strcmp(z->config->id, id) != 0 &&
		    (name == NULL || !dname_equal(&z->config->name, name)))
			continue;
		(*zones)++;
		purged += purge_zone(e, z);
	}
	return purged;
}

/* 'name' in every zone that it belongs to most closely. */
static size_t purge_everywhere(struct engine *e, const struct dname *name,
			       bool below, size_t *zones)
{
	struct snapshot *s = e->snapshot;
	struct zone *best = zone_of(e, name);
	size_t purged = 0;

	for (size_t i = 0; s != NULL && i < s->n; i++) {
		struct zone *z = &s->zone[i];
		bool inside = below && dname_is_below(&z->config->name, name);
		if (inside) {
			purged += purge_zone(e, z);
		} else if (best != NULL &&
			   dname_equal(&z->config->name, &best->config->name)) {
			purged += purge_name(e, z, name, below);
		} else {
			continue;
		}
		(*zones)++;
	}
	return purged;
}

static void do_purge(struct engine *e, struct control_client *client,
		     struct json_object *request)
{
	const char *zone = member(request, "zone");
	const char *subtree = member(request, "subtree");
	const char *text = subtree != NULL ? subtree : member(request, "name");
	struct dname name;
	size_t zones = 0;
	size_t purged;

	if (text != NULL) {
		if (!want_name(client, text, &name))
			return;
		purged = purge_everywhere(e, &name, subtree != NULL, &zones);
	} else if (zone != NULL) {
		bool is_name = dname_parse(slice_of(zone), &name) == 0;
		purged = purge_zones_called(e, zone, is_name ? &name : NULL,
					    &zones);
	} else {
		control_reply_error(client,
				    "purge wants a name, a subtree or a zone");
		return;
	}
	if (zones == 0) {
		control_reply_error(client, "'%s' is in no edge zone",
				    text != NULL ? text : zone);
		return;
	}
	log_write(ISC_LOG_INFO, "purged %zu answers of %s '%s'", purged,
		  subtree != NULL ? "subtree"
		  : text != NULL  ? "name"
				  : "zone",
		  text != NULL ? text : zone);
	struct json_object *reply = json_object_new_object();
	json_object_object_add(reply, "purged", json_object_new_uint64(purged));
	control_reply(client, reply);
}

/* -- lookup -------------------------------------------------------------- */

static bool want_type(struct control_client *client, const char *text,
		      dns_rdatatype_t *type)
{
	isc_textregion_t region = { (char *)text,
				    text != NULL ? (unsigned int)strlen(text)
						 : 0 };

	if (text != NULL &&
	    dns_rdatatype_fromtext(type, &region) == ISC_R_SUCCESS)
		return true;
	control_reply_error(client, "not a record type: '%s'",
			    text != NULL ? text : "");
	return false;
}

static void do_lookup(struct engine *e, struct control_client *client,
		      struct json_object *request)
{
	const char *text = member(request, "name");
	struct dname name;
	dns_rdatatype_t type;

	if (!want_name(client, text, &name) ||
	    !want_type(client, member(request, "type"), &type))
		return;
	struct zone *zone = want_zone(e, client, request, &name, text);
	if (zone == NULL)
		return;

	struct store_key key;
	memset(&key, 0, sizeof(key));
	key.zone = atomic_load(&zone->state->cache_id);
	key.qtype = type;
	key.n = name.n;
	memcpy(key.name, name.wire, name.n);
	struct json_object *reply = status_of_entry(e->process, zone, &key);
	control_reply(client, reply);
}

/* -- reload -------------------------------------------------------------- */

struct reload {
	struct job job;
	struct engine *engine;
	struct control_client *client;
	int rc;
};

static void reload_answer(struct job *job)
{
	struct reload *r = (struct reload *)job;

	control_reply(r->client, status_of_load(r->engine->process, r->rc));
	free(r);
}

static void reload_now(struct job *job)
{
	struct reload *r = (struct reload *)job;

	r->rc = process_load(r->engine->process);
	r->job.run = reload_answer;
	engine_post(r->engine, &r->job);
}

static void do_reload(struct engine *e, struct control_client *client)
{
	struct reload *r;

	if (atomic_load(&e->process->stopping)) {
		control_reply_error(client, "named is stopping");
		return;
	}
	r = calloc(1, sizeof(*r));
	if (r == NULL) {
		control_reply_error(client, "out of memory");
		return;
	}
	*r = (struct reload){ .job = { .run = reload_now },
			      .engine = e,
			      .client = client };
	process_work(e->process, &r->job);
}

void commands_handle(void *arg, struct control_client *client,
		     const char *command, struct json_object *request)
{
	struct engine *e = arg;
	const char *zone = member(request, "zone");

	if (strcmp(command, "status") == 0) {
		if (zone != NULL && zone_by_id(e, zone) == NULL)
			control_reply_error(client, "no zone '%s'", zone);
		else
			control_reply(client, status_of_all(e, zone));
	} else if (strcmp(command, "lookup") == 0) {
		do_lookup(e, client, request);
	} else if (strcmp(command, "purge") == 0) {
		do_purge(e, client, request);
	} else if (strcmp(command, "reload") == 0) {
		do_reload(e, client);
	} else if (!traffic_handle(e, client, command, request)) {
		control_reply_error(client, "unknown command '%.64s'", command);
	}
}

/* -- events -------------------------------------------------------------- */

struct json_object *commands_event_new(const char *what)
{
	struct json_object *event = json_object_new_object();
	struct timeval now;

	(void)gettimeofday(&now, NULL);
	json_object_object_add(event, "event", json_object_new_string(what));
	json_object_object_add(
		event, "time",
		json_object_new_double((double)now.tv_sec +
				       (double)now.tv_usec / 1e6));
	return event;
}

void commands_event_origin(struct engine *e, const char *address, bool up,
			   const char *why)
{
	if (e->control == NULL || !control_watched(e->control))
		return;
	struct json_object *event =
		commands_event_new(up ? "origin-up" : "origin-down");
	json_object_object_add(event, "origin",
			       json_object_new_string(address));
	json_object_object_add(event, "why", json_object_new_string(why));
	control_event(e->control, event);
}

struct load_event {
	struct job job;
	struct engine *engine;
	bool ok;
	char file[];
};

static void send_load_event(struct job *job)
{
	struct load_event *l = (struct load_event *)job;
	struct engine *e = l->engine;

	if (e->control != NULL && control_watched(e->control)) {
		struct json_object *event =
			commands_event_new(l->ok ? "configuration-loaded"
						 : "configuration-refused");
		json_object_object_add(event, "file",
				       json_object_new_string(l->file));
		control_event(e->control, event);
	}
	free(l);
}

void commands_event_load(struct engine *e, bool ok, const char *text)
{
	size_t n = strlen(text) + 1;
	struct load_event *l = malloc(sizeof(*l) + n);

	if (l == NULL)
		return;
	l->job.run = send_load_event;
	l->engine = e;
	l->ok = ok;
	memcpy(l->file, text, n);
	engine_post(e, &l->job);
}
