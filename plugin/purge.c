/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/purge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dns/rdatatype.h>

#include <json-c/json.h>

#include "plugin/admission.h"
#include "plugin/commands.h"
#include "plugin/control.h"
#include "plugin/denial.h"
#include "plugin/jsonadd.h"
#include "plugin/log.h"
#include "plugin/persist.h"

#define STEP_BUCKETS 16u

/* A zone to be purged: whole, or from a name on. */
struct target {
	uint64_t id; /* its identity in the cache, until now */
	bool whole;
};

struct purge {
	struct job job;
	struct slicer_work work;
	struct engine *engine;
	struct control_client *client;
	size_t purged;
	const char *what; /* "zone" */
	struct dname name;
	struct store_walk walk;
	char text[DNAME_TEXT_MAX + 8]; /* for the log */
	size_t n;
	struct target target[]; /* by id */
};

/* -- the end of it --------------------------------------------------------- */

static void answer(struct job *job)
{
	struct purge *p = (struct purge *)job;
	struct json_object *reply = json_object_new_object();

	log_write(ISC_LOG_INFO, "purged %zu answers of %s '%s'", p->purged,
		  p->what, p->text);
	add_number(reply, "purged", p->purged);
	control_reply(p->client, reply);
	free(p);
}

/* The store is done with; the snapshot is next. */
static void done(struct purge *p)
{
	p->job.run = answer;
	persist_spoil(p->engine, &p->job);
}

/* -- walks ----------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
	const struct target *x = a;
	const struct target *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static bool is_meant(void *arg, const struct store_entry *e)
{
	const struct purge *p = arg;
	struct target key = { .id = e->zone };
	const struct target *t =
		bsearch(&key, p->target, p->n, sizeof(key), by_id);

	return t != NULL && (t->whole || wire_below(store_name(e), e->name_n,
						    p->name.wire, p->name.n));
}

/* Misses of what is gone are nobody's fault: as many as that is, no more. */
static void forgive(const struct purge *p)
{
	const struct snapshot *s = p->engine->snapshot;

	for (size_t i = 0; s != NULL && i < s->n; i++) {
		const struct zone *zone = &s->zone[i];
		struct target key = { atomic_load(&zone->state->cache_id),
				      false };
		if (bsearch(&key, p->target, p->n, sizeof(key), by_id) != NULL)
			admission_forget(p->engine, zone, p->purged);
	}
}

static bool walk_step(void *arg)
{
	struct purge *p = arg;
	bool ended = store_walk(p->engine->process->store, &p->walk,
				STEP_BUCKETS, is_meant, p);

	if (ended) {
		p->purged = p->walk.withdrawn;
		forgive(p);
		done(p);
	}
	return ended;
}

static void walk_begin(struct purge *p)
{
	qsort(p->target, p->n, sizeof(p->target[0]), by_id);
	p->work = (struct slicer_work){ .step = walk_step, .arg = p };
	slicer_add(&p->engine->slicer, &p->work);
}

/* -- what is meant --------------------------------------------------------- */

static void add_zone(struct purge *p, struct zone *zone)
{
	uint64_t old = engine_forget_zone(p->engine, zone);

	p->target[p->n++] = (struct target){ old, true };
}

/* What is on its way will not be kept. */
static void add_below(struct purge *p, const struct zone *zone)
{
	uint64_t id = atomic_load(&zone->state->cache_id);

	(void)flight_detach(p->engine->process->flights, id, p->name.wire,
			    p->name.n, true);
	denial_forget(p->engine, zone, true);
	p->target[p->n++] = (struct target){ id, false };
}

/* All zones called 'id' or 'name': several views may each have one. */
static void add_zones_called(struct purge *p, const char *id,
			     const struct dname *name)
{
	struct snapshot *s = p->engine->snapshot;

	for (size_t i = 0; s != NULL && i < s->n; i++) {
		struct zone *z = &s->zone[i];
		if (strcmp(z->config->id, id) == 0 ||
		    (name != NULL && dname_equal(&z->config->name, name)))
			add_zone(p, z);
	}
}

/* p->name and below, in every zone that it belongs to most closely. */
static void add_subtree(struct purge *p)
{
	struct snapshot *s = p->engine->snapshot;
	const struct zone *best = commands_zone_of(p->engine, &p->name);

	for (size_t i = 0; s != NULL && i < s->n; i++) {
		struct zone *z = &s->zone[i];
		if (dname_is_below(&z->config->name, &p->name))
			add_zone(p, z);
		else if (best != NULL &&
			 dname_equal(&z->config->name, &best->config->name))
			add_below(p, z);
	}
}

/*
 * One name ('type' 0: all its types).  An answer to ANY has the type, too.
 * What is on its way for the name's other types is not kept either.
 */
static size_t purge_name(struct purge *p, const struct zone *zone,
			 dns_rdatatype_t type)
{
	struct process *process = p->engine->process;
	struct store_key key;

	memset(&key, 0, sizeof(key));
	key.zone = atomic_load(&zone->state->cache_id);
	key.n = p->name.n;
	memcpy(key.name, p->name.wire, key.n);
	(void)flight_detach(process->flights, key.zone, key.name, key.n, false);
	denial_forget(p->engine, zone, true);
	if (type == 0)
		return store_purge_name(process->store, key.zone, key.name,
					key.n);
	key.qtype = type;
	size_t purged = store_purge_type(process->store, &key);
	key.qtype = dns_rdatatype_any;
	return purged + store_purge_type(process->store, &key);
}

static size_t purge_names(struct purge *p, dns_rdatatype_t type, size_t *zones)
{
	struct snapshot *s = p->engine->snapshot;
	const struct zone *best = commands_zone_of(p->engine, &p->name);
	size_t purged = 0;

	for (size_t i = 0; best != NULL && i < s->n; i++) {
		struct zone *z = &s->zone[i];
		if (!dname_equal(&z->config->name, &best->config->name))
			continue;
		purged += purge_name(p, z, type);
		(*zones)++;
	}
	return purged;
}

/* -- the command ----------------------------------------------------------- */

static struct purge *purge_new(struct engine *e, struct control_client *client)
{
	size_t n = e->snapshot != NULL ? e->snapshot->n : 0;
	struct purge *p = calloc(1, sizeof(*p) + n * sizeof(p->target[0]));

	if (p == NULL) {
		control_reply_error(client, "out of memory");
		return NULL;
	}
	p->engine = e;
	p->client = client;
	return p;
}

/* Purges 'text', a name, or with 'subtree' all below it; false: nothing is. */
static bool begin_name(struct purge *p, const char *text, bool subtree,
		       const char *type)
{
	dns_rdatatype_t rdtype = 0;
	size_t zones = 0;

	if (!commands_want_name(p->client, text, &p->name) ||
	    (type != NULL && !commands_want_type(p->client, type, &rdtype)))
		return false;
	if (subtree) {
		add_subtree(p);
		zones = p->n;
	} else {
		p->purged = purge_names(p, rdtype, &zones);
	}
	if (zones == 0) {
		control_reply_error(p->client, "'%s' is in no edge zone", text);
		return false;
	}
	p->what = subtree ? "subtree" : "name";
	(void)snprintf(p->text, sizeof(p->text), "%s%s%s", text,
		       type != NULL ? "' type '" : "",
		       type != NULL ? type : "");
	return true;
}

static bool begin_zone(struct purge *p, const char *id)
{
	bool is_name = dname_parse(slice_of(id), &p->name) == 0;

	add_zones_called(p, id, is_name ? &p->name : NULL);
	if (p->n == 0) {
		control_reply_error(p->client, "'%s' is in no edge zone", id);
		return false;
	}
	p->what = "zone";
	(void)snprintf(p->text, sizeof(p->text), "%s", id);
	return true;
}

void purge_handle(struct engine *e, struct control_client *client,
		  struct json_object *request)
{
	const char *zone = member(request, "zone");
	const char *subtree = member(request, "subtree");
	const char *name = member(request, "name");
	const char *type = member(request, "type");

	if (subtree == NULL && name == NULL && zone == NULL) {
		control_reply_error(client,
				    "purge wants a name, a subtree or a zone");
		return;
	}
	if (type != NULL && (name == NULL || subtree != NULL)) {
		control_reply_error(client, "a type wants a name with it");
		return;
	}
	struct purge *p = purge_new(e, client);
	if (p == NULL)
		return;
	const char *text = subtree != NULL ? subtree : name;
	bool begun = text != NULL ? begin_name(p, text, subtree != NULL, type)
				  : begin_zone(p, zone);
	if (!begun) {
		free(p);
		return;
	}
	persist_forget(e);
	if (p->n > 0)
		walk_begin(p);
	else
		done(p);
}
