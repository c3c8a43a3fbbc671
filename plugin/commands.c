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
#include "plugin/admission.h"
#include "plugin/control.h"
#include "plugin/dump.h"
#include "plugin/engine.h"
#include "plugin/fill.h"
#include "plugin/fresh.h"
#include "plugin/jsonadd.h"
#include "plugin/log.h"
#include "plugin/purge.h"
#include "plugin/status.h"
#include "plugin/traffic.h"

struct zone *commands_zone_by_id(struct engine *e, const char *id)
{
	struct snapshot *s = e->snapshot;

	for (size_t i = 0; s != NULL && i < s->n; i++)
		if (strcmp(s->zone[i].config->id, id) == 0)
			return &s->zone[i];
	return NULL;
}

struct zone *commands_zone_of(struct engine *e, const struct dname *name)
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
	struct zone *zone = id != NULL ? commands_zone_by_id(e, id)
				       : commands_zone_of(e, name);

	if (zone == NULL && id != NULL)
		control_reply_error(client, "no zone '%s'", id);
	else if (zone == NULL)
		control_reply_error(client, "'%s' is in no edge zone", text);
	return zone;
}

bool commands_want_name(struct control_client *client, const char *text,
			struct dname *name)
{
	if (text != NULL && dname_parse(slice_of(text), name) == 0)
		return true;
	control_reply_error(client, "not a domain name: '%s'",
			    text != NULL ? text : "");
	return false;
}

/* -- lookup -------------------------------------------------------------- */

bool commands_want_type(struct control_client *client, const char *text,
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

	if (!commands_want_name(client, text, &name) ||
	    !commands_want_type(client, member(request, "type"), &type))
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

/* -- status -------------------------------------------------------------- */

/* A reply that waits for the sums over all zones. */
struct status {
	struct slicer_work work;
	struct engine *engine;
	struct control_client *client;
	struct json_object *request; /* held */
	struct status_sums sums;
};

static bool status_step(void *arg)
{
	struct status *s = arg;

	if (!status_sums_step(&s->sums))
		return false;
	control_reply(
		s->client,
		status_of_all(s->engine, member(s->request, "zone"), &s->sums));
	status_sums_fini(&s->sums);
	json_object_put(s->request);
	free(s);
	return true;
}

static void status_start(struct engine *e, struct control_client *client,
			 struct json_object *request)
{
	struct status *s = calloc(1, sizeof(*s));

	if (s == NULL || e->snapshot == NULL) { /* also: named is stopping */
		free(s);
		control_reply_error(client, "not now");
		return;
	}
	s->work = (struct slicer_work){ .step = status_step, .arg = s };
	s->engine = e;
	s->client = client;
	s->request = json_object_get(request);
	status_sums_init(&s->sums, e);
	/* With few zones that is one step, and nobody waits. */
	if (!status_step(s))
		slicer_add(&e->slicer, &s->work);
}

static void do_status(struct engine *e, struct control_client *client,
		      struct json_object *request)
{
	const char *zone = member(request, "zone");
	struct json_object *after = json_object_object_get(request, "after");

	if (zone != NULL && commands_zone_by_id(e, zone) == NULL) {
		control_reply_error(client, "no zone '%s'", zone);
		return;
	}
	if (after == NULL) {
		status_start(e, client, request);
		return;
	}
	struct json_object *reply = status_of_page(e, after);
	if (reply != NULL)
		control_reply(client, reply);
	else
		control_reply_error(client, "'after' is what 'next' was");
}

void commands_handle(void *arg, struct control_client *client,
		     const char *command, struct json_object *request)
{
	struct engine *e = arg;

	if (strcmp(command, "status") == 0) {
		do_status(e, client, request);
	} else if (strcmp(command, "lookup") == 0) {
		do_lookup(e, client, request);
	} else if (strcmp(command, "purge") == 0) {
		purge_handle(e, client, request);
	} else if (strcmp(command, "populate") == 0) {
		fill_handle(e, client, request);
	} else if (strcmp(command, "dump") == 0) {
		dump_handle(e, client, request);
	} else if (strcmp(command, "attack") == 0) {
		admission_handle(e, client, request);
	} else if (strcmp(command, "reload") == 0) {
		do_reload(e, client);
	} else if (strcmp(command, "notify") == 0) {
		fresh_handle(e, client, request);
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
