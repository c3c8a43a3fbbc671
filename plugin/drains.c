/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Words about servers: drained, forced up or down, by operators; held, as they
 * have failed and come back by hand.  Kept over restarts in the state
 * directory, ended by their time.  And windows of maintenance, which the
 * configuration has.
 */
#include "plugin/traffic.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/window.h"
#include "plugin/commands.h"
#include "plugin/control.h"
#include "plugin/engine.h"
#include "plugin/jsonadd.h"
#include "plugin/log.h"
#include "plugin/recorder.h"
#include "plugin/state.h"
#include "plugin/traffic_int.h"

#define DRAINS_NAME    "drains.json"
#define DRAINS_MAX     100000u /* of them, and no server twice */
#define DRAIN_FILE_MAX (16u << 20)
#define REASON_MAX     200
#define AUTHOR_MAX     64
#define NAMED_MAX      100u /* servers named in a reply or the log */
#define SERVER_MAX     128  /* octets of a pattern */
#define DRAIN_MAX_S    (10 * 365 * 86400)

static const char *const word_names[WORDS] = { "drained", "up", "down",
					       "held" };

/* -- the list ---------------------------------------------------------------
 */

static void drain_free(struct drain *d)
{
	free(d->server);
	free(d->reason);
	free(d->author);
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

/* A copy of what 'like' says, of 'server'. */
static struct drain *drain_new(const char *server, const struct drain *like)
{
	struct drain *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->word = like->word;
	d->server = strdup(server);
	d->reason = strdup(like->reason);
	d->author = strdup(like->author != NULL ? like->author : "");
	d->since_s = like->since_s;
	d->until_s = like->until_s;
	if (d->server != NULL && d->reason != NULL && d->author != NULL)
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

/* Takes that one off the list. */
static void drain_unlink(struct engine *e, struct drain *d)
{
	struct drain **at = &e->drains;

	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	drain_free(d);
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
		add_text(one, "word", word_names[d->word]);
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

/* Reads one of the file, or NULL. */
static struct drain *drain_read(struct json_object *one)
{
	const char *server = member(one, "server");
	const char *word = member(one, "word");
	struct drain like = {
		.reason = (char *)member(one, "reason"),
		.author = (char *)member(one, "author"),
		.since_s = number(one, "since"),
		.until_s = number(one, "until"),
	};

	/* without a word: of a release that knew of drains alone */
	while (word != NULL && like.word < WORDS &&
	       strcmp(word, word_names[like.word]) != 0)
		like.word++;
	if (server == NULL || like.reason == NULL || like.word == WORDS)
		return NULL;
	return drain_new(server, &like);
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
		struct drain *d = drain_read(one);
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

/* A moment of the wall clock in the tables' time; 0: it is over. */
static uint64_t moment_ms(int64_t unix_s)
{
	int64_t left_s = unix_s - (int64_t)time(NULL);

	if (left_s > DRAIN_MAX_S) /* of a file that is not ours */
		left_s = DRAIN_MAX_S;
	return left_s > 0 ? clock_now_ms() + (uint64_t)left_s * 1000 : 0;
}

static uint64_t until_ms(const struct drain *d)
{
	return d->until_s == 0 ? UINT64_MAX : moment_ms(d->until_s);
}

/*
 * When the server's maintenance ends, if it is under way, else 0; and when the
 * next of its windows begins.  Unix time.
 */
static int64_t windows_now(const struct config_server *server, int64_t now_s,
			   int64_t *next_s)
{
	int64_t until_s = 0;

	*next_s = INT64_MAX;
	for (size_t i = 0; i < server->n_windows; i++) {
		int64_t from_s;
		int64_t to_s =
			window_until(&server->windows[i], now_s, &from_s);
		if (to_s > until_s)
			until_s = to_s;
		if (from_s < *next_s)
			*next_s = from_s;
	}
	return until_s;
}

/* Makes hold what is said of server 'i'.  Returns when that changes by itself.
 */
static int64_t server_apply(struct engine *e, uint32_t i, bool told)
{
	struct gtm_world *world = e->snapshot->world;
	const struct config_server *server = &world->config->servers[i];
	const struct drain *d = traffic_drain_of(e, server->id);
	struct gtm_admin *admin = world->admins[i];
	int64_t next_s;
	int64_t out_s = windows_now(server, (int64_t)time(NULL), &next_s);
	uint64_t drained_ms = out_s > 0 ? moment_ms(out_s) : 0;
	uint64_t forced = 0;

	if (d != NULL && d->word == WORD_DRAINED && until_ms(d) > drained_ms)
		drained_ms = until_ms(d);
	if (d != NULL && (d->word == WORD_UP || d->word == WORD_DOWN)) {
		uint64_t until = until_ms(d);
		enum gtm_force force =
			d->word == WORD_UP ? GTM_FORCED_UP : GTM_FORCED_DOWN;
		forced = (uint64_t)force << 62 |
			 (until < GTM_FORCE_EVER ? until : GTM_FORCE_EVER);
	}
	bool was =
		atomic_exchange_explicit(&admin->drained_until_ms, drained_ms,
					 memory_order_relaxed) > 0;
	if (told && was != (drained_ms > 0))
		log_write(ISC_LOG_NOTICE, "server '%s': maintenance %s",
			  server->id, was ? "is over" : "begins");
	atomic_store_explicit(&admin->forced, forced, memory_order_relaxed);
	atomic_store_explicit(&admin->held, d != NULL && d->word == WORD_HELD,
			      memory_order_relaxed);
	atomic_store_explicit(&admin->planned_ms,
			      next_s != INT64_MAX ? moment_ms(next_s) : 0,
			      memory_order_relaxed);
	return out_s > 0 ? out_s : next_s;
}

static void apply(struct engine *e, const char *server)
{
	uint32_t i = gtm_world_server(e->snapshot->world, slice_of(server));

	if (i != CONFIG_NONE)
		(void)server_apply(e, i, false);
}

static bool is_out(const struct gtm_admin *admin)
{
	return atomic_load_explicit(&admin->drained_until_ms,
				    memory_order_relaxed) > 0 ||
	       atomic_load_explicit(&admin->planned_ms, memory_order_relaxed) >
		       0;
}

/* Servers whose maintenance begins or ends; notes when to look again. */
static void windows_tick(struct engine *e, bool first)
{
	struct gtm_world *world = e->snapshot->world;
	int64_t now_s = (int64_t)time(NULL);
	int64_t next_s = INT64_MAX;

	if (!first && now_s < e->windows_next_s)
		return;
	for (uint32_t i = 0; i < world->config->n_servers; i++) {
		const struct config_server *server = &world->config->servers[i];
		/* a window may have gone with the configuration before */
		if (server->n_windows == 0 &&
		    !(first && is_out(world->admins[i])))
			continue;
		int64_t change_s = server_apply(e, i, !first);
		if (change_s < next_s)
			next_s = change_s;
	}
	/* also if the clock is set: look at least once an hour */
	e->windows_next_s = next_s - now_s > 3600 ? now_s + 3600 : next_s;
}

void traffic_configured(struct engine *e, const struct snapshot *old)
{
	for (const struct drain *d = e->drains; d != NULL; d = d->next)
		apply(e, d->server);
	windows_tick(e, true);
	if (old != NULL && e->drains != NULL &&
	    strcmp(old->config->state_directory,
		   e->snapshot->config->state_directory) != 0)
		drains_save(e);
}

static void event(struct engine *e, const char *what, const char *server,
		  const char *reason)
{
	recorder_word(e->process, what, server, reason);
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
	windows_tick(e, false);
	for (struct drain *d = e->drains; d != NULL; d = next) {
		next = d->next;
		if (d->until_s == 0 || d->until_s > now_s)
			continue;
		char *server = d->server;
		d->server = NULL; /* outlives the word */
		log_write(ISC_LOG_NOTICE,
			  "server '%s' is no longer %s%s: its time is over",
			  server, d->word == WORD_DRAINED ? "" : "forced ",
			  word_names[d->word]);
		event(e, "undrain", server, "its time is over");
		drain_unlink(e, d);
		apply(e, server);
		free(server);
		ended = true;
	}
	if (ended)
		drains_save(e);
}

void traffic_failed(struct engine *e, const char *server)
{
	const struct drain like = { .word = WORD_HELD,
				    .reason = (char[]){ "it has failed" },
				    .since_s = time(NULL) };

	if (traffic_drain_of(e, server) != NULL)
		return; /* an operator's word stands */
	struct drain *d = drain_new(server, &like);
	if (d == NULL)
		return;
	d->next = e->drains;
	e->drains = d;
	drains_save(e);
	log_write(ISC_LOG_WARNING,
		  "server '%s' has failed, and is held until 'nzctl undrain "
		  "%s'",
		  server, server);
	event(e, "held", server, d->reason);
}

/* -- commands
 * ------------------------------------------------------------------ */

void traffic_drain_add(struct json_object *o, const struct drain *d)
{
	add_text(o, "reason", d->reason);
	if (d->author[0] != '\0')
		add_text(o, "author", d->author);
	if (d->word != WORD_DRAINED)
		add_text(o, "forced", word_names[d->word]);
	json_object_object_add(o, "since", json_object_new_int64(d->since_s));
	if (d->until_s != 0)
		json_object_object_add(o, "until",
				       json_object_new_int64(d->until_s));
}

/* Which servers a request is about: one, those of a pattern, or of a POP. */
struct whom {
	const char *server, *pop; /* NULL: any */
	bool one;
};

static bool is_whom(const struct gtm_world *world, uint32_t i,
		    const struct whom *whom)
{
	const struct config_server *server = &world->config->servers[i];
	const struct config_pop *pop = &world->config->pops[server->pop];

	if (whom->pop != NULL && strcmp(pop->id, whom->pop) != 0)
		return false;
	return whom->server == NULL ||
	       fnmatch(whom->server, server->id, 0) == 0;
}

/*
 * Reads whom it is about.  Ids have no characters that a pattern would take
 * for its own.  False after an error reply.
 */
static bool want_whom(struct engine *e, struct control_client *client,
		      struct json_object *request, struct whom *whom)
{
	const struct gtm_world *world = e->snapshot->world;

	*whom = (struct whom){ .server = member(request, "server"),
			       .pop = member(request, "pop") };
	if (whom->server == NULL && whom->pop == NULL) {
		control_reply_error(client, "want a \"server\"");
		return false;
	}
	whom->one = whom->pop == NULL && strpbrk(whom->server, "*?[") == NULL;
	if (whom->server != NULL && strlen(whom->server) > SERVER_MAX) {
		control_reply_error(client, "no server '%.64s'", whom->server);
		return false;
	}
	for (uint32_t i = 0; i < world->config->n_servers; i++)
		if (is_whom(world, i, whom))
			return true;
	control_reply_error(client, "no server '%.64s'%s%.64s",
			    whom->server != NULL ? whom->server : "*",
			    whom->pop != NULL ? " in POP " : "",
			    whom->pop != NULL ? whom->pop : "");
	return false;
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
static bool is_line(const char *text, size_t least, size_t most)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	return n >= least && n <= most;
}

/* Reads what is to be said; it points into the request. */
static bool want_word(struct control_client *client,
		      struct json_object *request, struct drain *like)
{
	int64_t for_s;

	like->reason = (char *)member(request, "reason");
	like->author = (char *)member(request, "author");
	like->since_s = time(NULL);
	if (!want_time(client, request, &for_s))
		return false;
	like->until_s = for_s > 0 ? like->since_s + for_s : 0;
	if (like->reason == NULL || !is_line(like->reason, 1, REASON_MAX)) {
		control_reply_error(client, "want a \"reason\" of 1 to 200 "
					    "octets, on one line");
		return false;
	}
	if (like->author != NULL && !is_line(like->author, 0, AUTHOR_MAX)) {
		control_reply_error(client, "want an \"author\" of at most 64 "
					    "octets, on one line");
		return false;
	}
	return true;
}

/* Says it of one server. */
static const struct drain *say(struct engine *e, const char *server,
			       const struct drain *like)
{
	static const char *const texts[WORDS] = {
		[WORD_DRAINED] = "is drained",
		[WORD_UP] = "is forced up",
		[WORD_DOWN] = "is forced down",
		[WORD_HELD] = "is held",
	};
	struct drain *d = drain_new(server, like);
	char span[48] = "";

	if (d == NULL)
		return NULL;
	(void)drain_remove(e, server);
	d->next = e->drains;
	e->drains = d;
	apply(e, server);
	if (d->until_s > 0)
		(void)snprintf(span, sizeof(span), " for %" PRId64 " s",
			       d->until_s - d->since_s);
	log_write(ISC_LOG_NOTICE, "server '%s' %s%s%s%s: %s", server,
		  texts[d->word], span, d->author[0] != '\0' ? " by " : "",
		  d->author, d->reason);
	event(e, d->word == WORD_DRAINED ? "drain" : "force", server,
	      d->reason);
	return d;
}

static void say_all(struct engine *e, struct control_client *client,
		    struct json_object *request, enum word word)
{
	const struct gtm_world *world = e->snapshot->world;
	struct drain like = { .word = word };
	const struct drain *said = NULL;
	struct whom whom;
	size_t n = 0;

	if (!want_whom(e, client, request, &whom) ||
	    !want_word(client, request, &like))
		return;
	struct json_object *list = json_object_new_array();
	for (uint32_t i = 0; i < world->config->n_servers; i++) {
		const char *id = world->config->servers[i].id;
		if (!is_whom(world, i, &whom))
			continue;
		said = say(e, id, &like);
		if (said != NULL && n++ < NAMED_MAX)
			json_object_array_add(list, json_object_new_string(id));
	}
	if (said == NULL) {
		json_object_put(list);
		control_reply_error(client, "out of memory");
		return;
	}
	drains_save(e);
	struct json_object *reply = json_object_new_object();
	if (whom.one)
		add_text(reply, "server", said->server);
	else
		add_number(reply, "n", n);
	traffic_drain_add(reply, said);
	if (whom.one)
		json_object_put(list);
	else
		json_object_object_add(reply, "servers", list);
	control_reply(client, reply);
}

void traffic_drain(struct engine *e, struct control_client *client,
		   struct json_object *request)
{
	say_all(e, client, request, WORD_DRAINED);
}

void traffic_force(struct engine *e, struct control_client *client,
		   struct json_object *request)
{
	const char *state = member(request, "state");

	if (state != NULL && strcmp(state, "up") == 0)
		say_all(e, client, request, WORD_UP);
	else if (state != NULL && strcmp(state, "down") == 0)
		say_all(e, client, request, WORD_DOWN);
	else
		control_reply_error(client,
				    "want a \"state\", \"up\" or \"down\"");
}

static void unsay(struct engine *e, const char *server, enum word word)
{
	apply(e, server);
	log_write(ISC_LOG_NOTICE, "server '%s' is no longer %s%s", server,
		  word == WORD_UP || word == WORD_DOWN ? "forced " : "",
		  word_names[word]);
	event(e, "undrain", server, NULL);
}

void traffic_undrain(struct engine *e, struct control_client *client,
		     struct json_object *request)
{
	const char *named = member(request, "server");
	struct whom whom = { .server = named, .one = true };
	size_t n = 0;

	/* also of a server that is no longer in the configuration */
	if ((named == NULL || traffic_drain_of(e, named) == NULL) &&
	    !want_whom(e, client, request, &whom))
		return;
	for (struct drain **at = &e->drains, *d = *at; d != NULL; d = *at) {
		uint32_t i = gtm_world_server(e->snapshot->world,
					      slice_of(d->server));
		if (whom.one ? strcmp(d->server, whom.server) != 0
			     : i == CONFIG_NONE ||
				       !is_whom(e->snapshot->world, i, &whom)) {
			at = &d->next;
			continue;
		}
		*at = d->next;
		unsay(e, d->server, d->word);
		drain_free(d);
		n++;
	}
	if (n > 0)
		drains_save(e);
	struct json_object *reply = json_object_new_object();
	if (whom.one)
		add_text(reply, "server", whom.server);
	else
		add_number(reply, "n", n);
	add_bool(reply, "was", n > 0);
	control_reply(client, reply);
}
