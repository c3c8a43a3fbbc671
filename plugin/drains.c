/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Drains: set by operators, kept over restarts in the state directory, ended
 * by their time.
 */
#include "plugin/traffic.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plugin/commands.h"
#include "plugin/control.h"
#include "plugin/engine.h"
#include "plugin/jsonadd.h"
#include "plugin/log.h"
#include "plugin/state.h"
#include "plugin/traffic_int.h"

#define DRAINS_NAME    "drains.json"
#define DRAINS_MAX     100000u /* of them, and no server twice */
#define DRAIN_FILE_MAX (16u << 20)
#define REASON_MAX     200
#define DRAIN_MAX_S    (10 * 365 * 86400)

/* -- the list ---------------------------------------------------------------
 */

static void drain_free(struct drain *d)
{
	free(d->server);
	free(d->reason);
	free(d);
}

void traffic_drains_free(struct drain *list)
{
	while (list != NULL) {
		struct drain *next = list->next;
		drain_free(list);
		list = next;
	}
}

static struct drain *drain_new(const char *server, const char *reason,
			       int64_t since_s, int64_t until_s)
{
	struct drain *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->server = strdup(server);
	d->reason = strdup(reason);
	d->since_s = since_s;
	d->until_s = until_s;
	if (d->server != NULL && d->reason != NULL)
		return d;
	drain_free(d);
	return NULL;
}

const struct drain *traffic_drain_of(const struct engine *e, const char *server)
{
	const struct drain *d = e->drains;

	while (d != NULL && strcmp(d->server, server) != 0)
		d = d->next;
	return d;
}

/* Takes the drain of 'server' off the list; true if there was one. */
static bool drain_remove(struct engine *e, const char *server)
{
	for (struct drain **at = &e->drains; *at != NULL; at = &(*at)->next) {
		struct drain *d = *at;
		if (strcmp(d->server, server) != 0)
			continue;
		*at = d->next;
		drain_free(d);
		return true;
	}
	return false;
}

/* -- saving and reading ------------------------------------------------------
 */

struct save {
	struct job job;
	char *directory;
	char *text;
};

static void save_now(struct job *job)
{
	struct save *s = (struct save *)job;

	state_text_save(s->directory, DRAINS_NAME, s->text);
	free(s->directory);
	free(s->text);
	free(s);
}

static struct json_object *drains_json(const struct engine *e)
{
	struct json_object *o = json_object_new_object();
	struct json_object *list = json_object_new_array();

	for (const struct drain *d = e->drains; d != NULL; d = d->next) {
		struct json_object *one = json_object_new_object();
		add_text(one, "server", d->server);
		traffic_drain_add(one, d);
		json_object_array_add(list, one);
	}
	json_object_object_add(o, "drains", list);
	return o;
}

/* The worker writes what the list is now. */
static void drains_save(struct engine *e)
{
	struct json_object *o = drains_json(e);
	struct save *s = calloc(1, sizeof(*s));

	if (s != NULL) {
		s->job.run = save_now;
		s->directory = strdup(e->snapshot->config->state_directory);
		s->text = strdup(json_object_to_json_string_ext(
			o, JSON_C_TO_STRING_PRETTY));
	}
	json_object_put(o);
	if (s == NULL || s->directory == NULL || s->text == NULL) {
		if (s != NULL) {
			free(s->directory);
			free(s->text);
		}
		free(s);
		log_write(ISC_LOG_ERROR, "drains are not saved: out of memory");
		return;
	}
	process_work(e->process, &s->job);
}

static int64_t number(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(o, key, &value) ||
	    !json_object_is_type(value, json_type_int))
		return 0;
	return json_object_get_int64(value);
}

struct drain *traffic_drains_read(const char *directory)
{
	char *text = state_text_read(directory, DRAINS_NAME, DRAIN_FILE_MAX);
	struct json_object *o = text != NULL ? json_tokener_parse(text) : NULL;
	struct json_object *list = NULL;
	struct drain *drains = NULL;
	size_t n = 0;

	if (json_object_object_get_ex(o, "drains", &list) &&
	    json_object_is_type(list, json_type_array))
		n = json_object_array_length(list);
	for (size_t i = 0; i < n && i < DRAINS_MAX; i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		const char *server = member(one, "server");
		const char *reason = member(one, "reason");
		struct drain *d = NULL;
		if (server != NULL && reason != NULL)
			d = drain_new(server, reason, number(one, "since"),
				      number(one, "until"));
		if (d == NULL)
			continue;
		d->next = drains;
		drains = d;
	}
	json_object_put(o);
	free(text);
	return drains;
}

/* -- making them hold ---------------------------------------------------------
 */

static void admin_set(struct engine *e, const char *server, uint64_t until_ms)
{
	struct gtm_world *world = e->snapshot->world;
	uint32_t i = gtm_world_server(world, slice_of(server));

	if (i != CONFIG_NONE)
		atomic_store_explicit(&world->admins[i]->drained_until_ms,
				      until_ms, memory_order_relaxed);
}

/* The end of a drain in the tables' time. */
static uint64_t until_ms(const struct drain *d)
{
	int64_t left_s = d->until_s - (int64_t)time(NULL);

	if (d->until_s == 0)
		return UINT64_MAX;
	if (left_s > DRAIN_MAX_S) /* of a file that is not ours */
		left_s = DRAIN_MAX_S;
	return left_s > 0 ? clock_now_ms() + (uint64_t)left_s * 1000 : 1;
}

void traffic_configured(struct engine *e, const struct snapshot *old)
{
	for (const struct drain *d = e->drains; d != NULL; d = d->next)
		admin_set(e, d->server, until_ms(d));
	if (old != NULL && e->drains != NULL &&
	    strcmp(old->config->state_directory,
		   e->snapshot->config->state_directory) != 0)
		drains_save(e);
}

static void event(struct engine *e, const char *what, const char *server,
		  const char *reason)
{
	if (e->control == NULL || !control_watched(e->control))
		return;
	struct json_object *o = commands_event_new(what);
	add_text(o, "server", server);
	if (reason != NULL)
		add_text(o, "reason", reason);
	control_event(e->control, o);
}

void traffic_tick(struct engine *e)
{
	int64_t now_s = time(NULL);
	struct drain *next;
	bool ended = false;

	if (e->snapshot == NULL)
		return;
	for (struct drain *d = e->drains; d != NULL; d = next) {
		next = d->next;
		if (d->until_s == 0 || d->until_s > now_s)
			continue;
		log_write(ISC_LOG_NOTICE,
			  "server '%s' is no longer drained: its time is over",
			  d->server);
		admin_set(e, d->server, 0);
		event(e, "undrain", d->server, "its time is over");
		(void)drain_remove(e, d->server);
		ended = true;
	}
	if (ended)
		drains_save(e);
}

/* -- commands
 * ------------------------------------------------------------------ */

void traffic_drain_add(struct json_object *o, const struct drain *d)
{
	add_text(o, "reason", d->reason);
	json_object_object_add(o, "since", json_object_new_int64(d->since_s));
	if (d->until_s != 0)
		json_object_object_add(o, "until",
				       json_object_new_int64(d->until_s));
}

/* A server of the running configuration, or NULL after an error reply. */
static const char *want_server(struct engine *e, struct control_client *client,
			       struct json_object *request)
{
	const char *server = member(request, "server");

	if (server == NULL) {
		control_reply_error(client, "want a \"server\"");
		return NULL;
	}
	if (gtm_world_server(e->snapshot->world, slice_of(server)) ==
	    CONFIG_NONE) {
		control_reply_error(client, "no server '%.64s'", server);
		return NULL;
	}
	return server;
}

/* Seconds of "for_s": 0 for none; false after an error reply. */
static bool want_time(struct control_client *client,
		      struct json_object *request, int64_t *for_s)
{
	struct json_object *value = NULL;

	*for_s = 0;
	if (!json_object_object_get_ex(request, "for_s", &value))
		return true;
	*for_s = json_object_get_int64(value);
	if (json_object_is_type(value, json_type_int) && *for_s >= 1 &&
	    *for_s <= DRAIN_MAX_S)
		return true;
	control_reply_error(client, "\"for_s\": want seconds, 1 to %d",
			    DRAIN_MAX_S);
	return false;
}

/* It goes into the log: no control characters. */
static bool is_reason(const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	return n >= 1 && n <= REASON_MAX;
}

void traffic_drain(struct engine *e, struct control_client *client,
		   struct json_object *request)
{
	const char *server = want_server(e, client, request);
	const char *reason = member(request, "reason");
	int64_t now_s = time(NULL);
	int64_t for_s;

	if (server == NULL || !want_time(client, request, &for_s))
		return;
	if (reason == NULL || !is_reason(reason)) {
		control_reply_error(client, "want a \"reason\" of 1 to 200 "
					    "octets, on one line");
		return;
	}
	struct drain *d =
		drain_new(server, reason, now_s, for_s > 0 ? now_s + for_s : 0);
	if (d == NULL) {
		control_reply_error(client, "out of memory");
		return;
	}
	(void)drain_remove(e, server);
	d->next = e->drains;
	e->drains = d;
	admin_set(e, server, until_ms(d));
	drains_save(e);
	if (for_s > 0)
		log_write(ISC_LOG_NOTICE,
			  "server '%s' is drained for %" PRId64 " s: %s",
			  server, for_s, reason);
	else
		log_write(ISC_LOG_NOTICE, "server '%s' is drained: %s", server,
			  reason);
	event(e, "drain", server, reason);
	struct json_object *reply = json_object_new_object();
	add_text(reply, "server", server);
	traffic_drain_add(reply, d);
	control_reply(client, reply);
}

void traffic_undrain(struct engine *e, struct control_client *client,
		     struct json_object *request)
{
	/* also of a server that is no longer in the configuration */
	const char *server = member(request, "server");
	if (server == NULL || traffic_drain_of(e, server) == NULL)
		server = want_server(e, client, request);
	if (server == NULL)
		return;
	bool was = drain_remove(e, server);
	if (was) {
		admin_set(e, server, 0);
		drains_save(e);
		log_write(ISC_LOG_NOTICE, "server '%s' is no longer drained",
			  server);
		event(e, "undrain", server, NULL);
	}
	struct json_object *reply = json_object_new_object();
	add_text(reply, "server", server);
	add_bool(reply, "was", was);
	control_reply(client, reply);
}
