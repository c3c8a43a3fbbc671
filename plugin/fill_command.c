/* SPDX-License-Identifier: MPL-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <dns/rdata.h>
#include <dns/rdatatype.h>

#include <json-c/json.h>

#include "common/utf8.h"
#include "plugin/commands.h"
#include "plugin/control.h"
#include "plugin/fill_int.h"
#include "plugin/jsonadd.h"
#include "plugin/log.h"

/*
 * A request is a line of 64 KiB, so these bounds are met only by who means to;
 * it is kept as it came: that is all the memory that a list takes.
 */
#define NAMES_MAX 4096u
#define TYPES_MAX 16u /* of one name */

static const uint16_t usual_types[] = { dns_rdatatype_a, dns_rdatatype_aaaa };
#define N_USUAL (sizeof(usual_types) / sizeof(usual_types[0]))

/* -- a list ------------------------------------------------------------ */

static struct json_object *names_of(const struct fill_run *run)
{
	return json_object_object_get(run->request, "names");
}

/* Adds to what is told one by one; 'index': of the name in the list, or -1. */
static void add_error(struct fill_run *run, int64_t index, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void add_error(struct fill_run *run, int64_t index, const char *fmt, ...)
{
	char text[DNAME_TEXT_MAX + 64];
	va_list args;

	if (run->errors == NULL ||
	    json_object_array_length(run->errors) >= FILL_ERRORS_MAX)
		return;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	utf8_mend(text);
	struct json_object *o = json_object_new_object();
	if (index >= 0)
		add_number(o, "index", (uint64_t)index);
	add_text(o, "text", text);
	json_object_array_add(run->errors, o);
}

void fill_list_failed(struct fill_run *run, const struct ask *ask,
		      const char *why)
{
	char name[DNAME_TEXT_MAX];
	char type[DNS_RDATATYPE_FORMATSIZE];

	(void)dname_print(&ask->name, name);
	dns_rdatatype_format(ask->flight.key.qtype, type, sizeof(type));
	add_error(run, -1, "'%s' %s: %s", name, type, why);
}

/* The text at place 'i' of a name's list; or NULL. */
static const char *text_at(struct json_object *item, size_t i)
{
	struct json_object *o = json_object_array_get_idx(item, i);

	return json_object_is_type(o, json_type_string)
		       ? json_object_get_string(o)
		       : NULL;
}

/* The zone at zone_at for the name; NULL: there are no more. */
static struct zone *next_zone(struct fill_run *run)
{
	const char *id = member(run->request, "zone");
	size_t n;
	struct zone *const *zones = fill_zones_of(run->engine, &run->name, &n);

	for (; run->zone_at < n; run->zone_at++)
		if (id == NULL ||
		    strcmp(zones[run->zone_at]->config->id, id) == 0)
			return zones[run->zone_at];
	return NULL;
}

/* Reads the name at name_at; false: it is left out. */
static bool parse_name(struct fill_run *run)
{
	struct json_object *item =
		json_object_array_get_idx(names_of(run), run->name_at);
	int64_t index = (int64_t)run->name_at;

	const char *text = text_at(item, 0);
	if (text == NULL || dname_parse(slice_of(text), &run->name) != 0) {
		run->faulty++;
		add_error(run, index, "not a domain name: '%.300s'",
			  text != NULL ? text : "");
		return false;
	}
	if (next_zone(run) == NULL) {
		run->outside++;
		add_error(run, index, "'%.300s' is in no edge zone%s", text,
			  member(run->request, "zone") != NULL ? " of that id"
							       : "");
		return false;
	}
	run->n.names++;
	return true;
}

/* Meta types are of questions and messages, and have no answer to keep. */
static bool parse_type(struct fill_run *run, const char *text, uint16_t *type)
{
	isc_textregion_t region = { (char *)text,
				    text != NULL ? (unsigned int)strlen(text)
						 : 0 };
	dns_rdatatype_t got;

	if (text != NULL &&
	    dns_rdatatype_fromtext(&got, &region) == ISC_R_SUCCESS &&
	    got != 0 && !dns_rdatatype_ismeta(got)) {
		*type = got;
		return true;
	}
	run->faulty++;
	add_error(run, (int64_t)run->name_at,
		  "not a record type to ask for: '%.64s'",
		  text != NULL ? text : "");
	return false;
}

/* The type at type_at of the name; false: it has no more. */
static bool next_type(struct fill_run *run, uint16_t *type)
{
	struct json_object *item =
		json_object_array_get_idx(names_of(run), run->name_at);
	size_t n = json_object_array_length(item) - 1;

	if (n == 0 && run->type_at < N_USUAL) {
		*type = usual_types[run->type_at];
		return true;
	}
	for (; run->type_at < n && run->type_at < TYPES_MAX;
	     run->type_at++, run->zone_at = 0)
		if (parse_type(run, text_at(item, run->type_at + 1), type))
			return true;
	return false;
}

bool fill_list_next(struct fill_run *run, struct fill_question *q)
{
	size_t n = json_object_array_length(names_of(run));

	while (run->name_at < n) {
		bool more = run->parsed || parse_name(run);
		run->parsed = more;
		if (!more || !next_type(run, &q->type)) {
			run->parsed = false;
			run->name_at++;
			run->type_at = 0;
			run->zone_at = 0;
			continue;
		}
		q->zone = next_zone(run);
		if (q->zone == NULL) {
			run->type_at++;
			run->zone_at = 0;
			continue;
		}
		q->name = run->name;
		run->zone_at++;
		return true;
	}
	return false;
}

void fill_list_back(struct fill_run *run)
{
	run->zone_at--;
}

/* A list of lists of a name and types, within bounds. */
static bool is_list(struct json_object *names)
{
	size_t n = json_object_array_length(names);

	if (n < 1 || n > NAMES_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(names, i);
		if (!json_object_is_type(item, json_type_array) ||
		    json_object_array_length(item) < 1 ||
		    json_object_array_length(item) > 1 + TYPES_MAX)
			return false;
	}
	return true;
}

static void begin_list(struct engine *e, struct control_client *client,
		       struct json_object *request, struct json_object *names)
{
	const char *id = member(request, "zone");

	if (!json_object_is_type(names, json_type_array) || !is_list(names)) {
		control_reply_error(client,
				    "'names' is a list of 1 to %u lists, each "
				    "of a name and up to %u types",
				    NAMES_MAX, TYPES_MAX);
		return;
	}
	if (id != NULL && commands_zone_by_id(e, id) == NULL) {
		control_reply_error(client, "no zone '%s'", id);
		return;
	}
	if (e->fill->n_lists >= FILL_LISTS_MAX) {
		control_reply_error(client,
				    "%u others are at it: try again later",
				    e->fill->n_lists);
		return;
	}
	struct fill_run *run = fill_run_new(e);
	if (run == NULL) {
		control_reply_error(client, "out of memory");
		return;
	}
	e->fill->n_lists++;
	run->client = client;
	run->request = json_object_get(request);
	run->errors = json_object_new_array();
	run->renew = json_object_get_boolean(
		json_object_object_get(request, "renew"));
	run->step = FILL_ASKING;
	fill_wake(e);
}

/* -- a zone ------------------------------------------------------------ */

/* The zone of that id, or the only one of that name; NULL after a reply. */
static struct zone *want_zone(struct engine *e, struct control_client *client,
			      const char *id)
{
	struct zone *zone = commands_zone_by_id(e, id);
	struct dname name;
	size_t n = 0;

	if (zone != NULL)
		return zone;
	if (dname_parse(slice_of(id), &name) == 0) {
		struct zone *const *zones = fill_zones_of(e, &name, &n);
		if (zones != NULL &&
		    dname_equal(&zones[0]->config->name, &name))
			zone = zones[0];
	}
	if (zone == NULL)
		control_reply_error(client, "no zone '%.300s'", id);
	else if (n > 1)
		control_reply_error(client,
				    "%zu zones are '%.300s': give the id of "
				    "one",
				    n, id);
	return n > 1 ? NULL : zone;
}

/* What is wrong with it now, or NULL. */
static const char *obstacle(const struct engine *e, const struct zone *zone)
{
	const struct fill_zone *fz = zone->state->fill;

	if (fz != NULL && fz->run != NULL)
		return "it is being filled just now";
	if (e->fill->n_zones >= FILL_ZONES_MAX)
		return "other zones are being filled: try again later";
	return NULL;
}

static void begin_zone(struct engine *e, struct control_client *client,
		       struct json_object *request, const char *id)
{
	struct json_object *max = json_object_object_get(request, "max");
	int64_t records = max != NULL ? json_object_get_int64(max)
				      : (int64_t)FILL_RECORDS_MAX;
	struct zone *zone = want_zone(e, client, id);

	if (zone == NULL)
		return;
	if (records < 1 || records > CONFIG_FILL_RECORDS_MAX) {
		control_reply_error(client, "'max' is a number from 1 to %d",
				    CONFIG_FILL_RECORDS_MAX);
		return;
	}
	const char *why = obstacle(e, zone);
	if (why != NULL) {
		control_reply_error(client, "zone '%s': %s", zone->config->id,
				    why);
		return;
	}
	struct fill_zone *fz = fill_zone_watch(e, zone);
	struct fill_run *run = fz != NULL ? fill_run_new(e) : NULL;
	if (run == NULL) {
		control_reply_error(client, "out of memory");
		return;
	}
	run->client = client;
	run->records_max = (size_t)records;
	run->renew = json_object_get_boolean(
		json_object_object_get(request, "renew"));
	run->fz = fz;
	fill_run_begin(run);
}

void fill_handle(struct engine *e, struct control_client *client,
		 struct json_object *request)
{
	struct json_object *names = json_object_object_get(request, "names");
	const char *zone = member(request, "zone");

	if (e->fill->stopping || e->snapshot == NULL)
		control_reply_error(client, "named is starting or stopping");
	else if (names != NULL)
		begin_list(e, client, request, names);
	else if (zone != NULL)
		begin_zone(e, client, request, zone);
	else
		control_reply_error(client, "populate wants names or a zone");
}

/* -- its end ----------------------------------------------------------- */

void fill_counts_add(struct json_object *o, const struct fill_counts *n)
{
	add_number(o, "names", n->names);
	add_number(o, "asked", n->asked);
	add_number(o, "kept", n->kept);
	add_number(o, "known", n->known);
	add_number(o, "brief", n->brief);
	add_number(o, "failed", n->failed);
}

void fill_reply(struct fill_run *run)
{
	struct json_object *reply = json_object_new_object();

	add_bool(reply, "ok", run->why[0] == '\0');
	if (run->why[0] != '\0')
		add_text(reply, "error", run->why);
	if (run->fz != NULL) {
		add_text(reply, "zone", run->fz->zone->config->id);
		add_number(reply, "serial", run->serial);
		add_number(reply, "records", run->records);
	}
	fill_counts_add(reply, &run->n);
	if (run->request != NULL) {
		add_number(reply, "outside", run->outside);
		add_number(reply, "faulty", run->faulty);
		json_object_object_add(reply, "notes", run->errors);
		run->errors = NULL;
		log_write(ISC_LOG_DEBUG(1),
			  "asked for %llu names of a list: kept %llu answers",
			  (unsigned long long)run->n.names,
			  (unsigned long long)run->n.kept);
	}
	control_reply(run->client, reply);
	run->client = NULL;
}
