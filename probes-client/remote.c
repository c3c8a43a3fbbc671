/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/remote.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "probes-client/nzctl_list.h"
#include "probes-client/nzctl_near.h"
#include "probes-client/nzctl_probes.h"
#include "probes-client/nzctl_status.h"
#include "probes-client/nzctl_traffic.h"
#include "probes-client/pages.h"
#include "probes-client/show.h"
#include "probes-client/talk.h"

#define AUTHOR_MAX 64
#define PAGES_MAX  100000u /* of a status */

static void show_status(struct json_object *reply)
{
	struct json_object *status = json_object_object_get(reply, "status");

	if (json_object_is_type(status, json_type_object))
		nzctl_status_show(stdout, status);
	else
		show_object(stdout, reply, "ok");
}

/* Gets all pages, and makes one reply of them. */
static enum nzctl_exit all_pages(struct talk *talk,
				 const struct nzctl_options *options)
{
	struct json_object *whole = json_object_get(talk->reply);
	enum nzctl_exit result = NZCTL_DONE;
	struct json_object *next;

	for (size_t n = 0; (next = pages_next(whole)) != NULL; n++) {
		int rc = n < PAGES_MAX
				 ? talk_next_page(talk, options, "after",
						  json_object_get(next), false)
				 : -EMSGSIZE;
		if (rc != 0)
			result = talk_trouble(options, rc);
		else if (!json_object_get_boolean(
				 json_object_object_get(talk->reply, "ok")))
			result = talk_refused(options, talk->reply);
		if (result != NZCTL_DONE)
			break;
		(void)pages_add(whole, talk->reply);
	}
	json_object_put(talk->reply);
	talk->reply = whole;
	return result;
}

enum nzctl_exit remote_status(const struct nzctl_options *options)
{
	struct json_object *request = talk_request(options);
	struct talk talk;

	talk_add_text(request, "zone", options->zone);
	enum nzctl_exit result = talk_ask(&talk, options, request, true);
	bool paged = pages_next(talk.reply) != NULL;
	if (result == NZCTL_DONE)
		result = all_pages(&talk, options);
	if (result == NZCTL_DONE && !options->json)
		show_status(talk.reply);
	else if (result == NZCTL_DONE && paged)
		talk_show_line(slice_of(json_object_to_json_string_ext(
			talk.reply, JSON_C_TO_STRING_PLAIN |
					    JSON_C_TO_STRING_NOSLASHESCAPE)));
	else if (result == NZCTL_DONE)
		talk_show_line(talk.line);
	talk_end(&talk);
	return result;
}

enum nzctl_exit remote_lookup(const struct nzctl_options *options)
{
	struct json_object *request = talk_request(options);
	struct talk talk;

	talk_add_text(request, "name", options->argv[0]);
	talk_add_text(request, "type", options->argv[1]);
	talk_add_text(request, "zone", options->zone);
	enum nzctl_exit result = talk_ask_and_show(&talk, options, request);
	if (result == NZCTL_DONE) {
		struct json_object *state =
			json_object_object_get(talk.reply, "state");

		if (json_object_is_type(state, json_type_string) &&
		    strcmp(json_object_get_string(state), "absent") == 0)
			result = NZCTL_REFUSED;
	}
	talk_end(&talk);
	return result;
}

enum nzctl_exit remote_purge(const struct nzctl_options *options)
{
	const char *name = options->argc > 0 ? options->argv[0] : NULL;
	const char *type = options->argc > 1 ? options->argv[1] : NULL;
	int n = (name != NULL) + (options->subtree != NULL) +
		(options->zone != NULL);

	if (n != 1) {
		fputs("nzctl: purge what? One of NAME [TYPE], --subtree NAME, "
		      "--zone NAME_OR_ID\n",
		      stderr);
		return NZCTL_USAGE;
	}

	struct json_object *request = talk_request(options);
	struct talk talk;
	talk_add_text(request, "name", name);
	talk_add_text(request, "type", type);
	talk_add_text(request, "subtree", options->subtree);
	talk_add_text(request, "zone", options->zone);
	enum nzctl_exit result = talk_ask_and_show(&talk, options, request);
	talk_end(&talk);
	return result;
}

/* One line: for people without names of members, for scripts as it came. */
static void show_entry(struct json_object *entry, bool json)
{
	static const char *const members[] = { "name",	"type",	  "kind",
					       "age_s", "left_s", "bytes",
					       "hits",	"zone" };
	const size_t n = sizeof(members) / sizeof(members[0]);

	if (json) {
		talk_show_line(slice_of(json_object_to_json_string_ext(
			entry, JSON_C_TO_STRING_PLAIN |
				       JSON_C_TO_STRING_NOSLASHESCAPE)));
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const char *text = json_object_get_string(
			json_object_object_get(entry, members[i]));
		show_text(stdout, slice_of(text != NULL ? text : "-"));
		fputc(i + 1 < n ? ' ' : '\n', stdout);
	}
}

/* Shows a page; true: there is another, from '*from' on. */
static bool show_page(const struct talk *talk, bool json, int64_t *from)
{
	struct json_object *list =
		json_object_object_get(talk->reply, "entries");
	struct json_object *next = json_object_object_get(talk->reply, "next");
	size_t n = json_object_is_type(list, json_type_array)
			   ? json_object_array_length(list)
			   : 0;

	for (size_t i = 0; i < n; i++)
		show_entry(json_object_array_get_idx(list, i), json);
	int64_t at = json_object_get_int64(next);
	bool more = json_object_is_type(next, json_type_int) && at > *from;
	*from = at;
	return more;
}

enum nzctl_exit remote_dump(const struct nzctl_options *options)
{
	struct json_object *request = talk_request(options);
	struct talk talk;
	int64_t from = 0;

	talk_add_text(request, "zone", options->zone);
	enum nzctl_exit result = talk_ask(&talk, options, request, true);
	while (result == NZCTL_DONE && show_page(&talk, options->json, &from) &&
	       ferror(stdout) == 0) {
		int rc = talk_next_page(&talk, options, "from",
					json_object_new_int64(from), true);
		if (rc != 0)
			result = talk_trouble(options, rc);
		else if (!json_object_get_boolean(
				 json_object_object_get(talk.reply, "ok")))
			result = talk_refused(options, talk.reply);
	}
	talk_end(&talk);
	return result;
}

/* -- populate ---------------------------------------------------------- */

/*
 * Asks, on the connection that there is if there is one, and waits however
 * long it takes.  Takes over 'request'.
 */
static int converse(struct talk *talk, const struct nzctl_options *options,
		    struct json_object *request)
{
	size_t n = 0;
	const char *p = json_object_to_json_string_length(
		request,
		JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n);
	int rc = p == NULL ? -ENOMEM : 0;

	if (rc == 0 && talk->dial == NULL)
		rc = dial_open(options->socket, options->timeout_ms,
			       &talk->dial);
	if (rc == 0)
		rc = dial_send(talk->dial, (struct slice){ p, n });
	json_object_put(request);
	if (rc == 0)
		rc = talk_read(talk, true);
	if (rc == 0 &&
	    !json_object_is_type(json_object_object_get(talk->reply, "ok"),
				 json_type_boolean))
		rc = -EBADMSG;
	return rc;
}

static bool is_ok(const struct talk *talk)
{
	return json_object_get_boolean(
		json_object_object_get(talk->reply, "ok"));
}

static struct json_object *populate_request(const struct nzctl_options *options)
{
	struct json_object *request = talk_request(options);

	talk_add_text(request, "zone", options->zone);
	if (options->renew)
		json_object_object_add(request, "renew",
				       json_object_new_boolean(1));
	return request;
}

static enum nzctl_exit populate_zone(const struct nzctl_options *options)
{
	struct json_object *request = populate_request(options);
	struct talk talk = { 0 };

	if (options->max > 0)
		json_object_object_add(request, "max",
				       json_object_new_uint64(options->max));
	int rc = converse(&talk, options, request);
	enum nzctl_exit result = NZCTL_DONE;
	if (rc != 0) {
		result = talk_trouble(options, rc);
	} else if (options->json) {
		talk_show_line(talk.line);
		result = is_ok(&talk) ? NZCTL_DONE : NZCTL_REFUSED;
	} else if (!is_ok(&talk)) {
		result = talk_refused(options, talk.reply);
	} else {
		show_object(stdout, talk.reply, "ok");
	}
	if (result == NZCTL_DONE &&
	    json_object_get_int64(
		    json_object_object_get(talk.reply, "failed")) > 0)
		result = NZCTL_REFUSED;
	talk_end(&talk);
	return result;
}

/* All batches, till there are no more or one is refused. */
static enum nzctl_exit populate_batches(const struct nzctl_options *options,
					struct talk *talk,
					struct nzctl_list *list)
{
	struct json_object *names;

	while ((names = nzctl_list_batch(list)) != NULL) {
		struct json_object *request = populate_request(options);
		json_object_object_add(request, "names", names);
		int rc = converse(talk, options, request);
		if (rc != 0)
			return talk_trouble(options, rc);
		nzctl_list_reply(list, talk->reply);
		if (!is_ok(talk))
			return options->json
				       ? NZCTL_REFUSED
				       : talk_refused(options, talk->reply);
	}
	return NZCTL_DONE;
}

static enum nzctl_exit populate_list(const struct nzctl_options *options)
{
	struct talk talk = { 0 };
	struct nzctl_list *list = NULL;
	enum nzctl_exit result = nzctl_list_new(options, &list);

	if (result != NZCTL_DONE)
		return result;
	result = populate_batches(options, &talk, list);
	if (result != NZCTL_TROUBLE) {
		bool well = nzctl_list_end(list, result == NZCTL_DONE);
		if (!well)
			result = NZCTL_REFUSED;
	}
	nzctl_list_free(list);
	talk_end(&talk);
	return result;
}

enum nzctl_exit remote_populate(const struct nzctl_options *options)
{
	bool names = options->argc > 0 || options->file != NULL;

	if ((options->argc > 0 && options->file != NULL) ||
	    (!names && options->zone == NULL) || (names && options->max > 0)) {
		fputs("nzctl: populate what? One of NAME..., --file FILE, "
		      "--zone NAME_OR_ID [--max N]\n",
		      stderr);
		return NZCTL_USAGE;
	}
	return names ? populate_list(options) : populate_zone(options);
}

enum nzctl_exit remote_notify(const struct nzctl_options *options)
{
	struct json_object *request = talk_request(options);
	struct talk talk;

	talk_add_text(request, "zone", options->argv[0]);
	enum nzctl_exit result = talk_ask_and_show(&talk, options, request);
	talk_end(&talk);
	return result;
}

enum nzctl_exit remote_explain(const struct nzctl_options *options)
{
	static const char *const types[] = { "A", "AAAA" };
	const char *type = NULL;

	for (size_t i = 0; i < 2; i++)
		if (strcasecmp(options->argv[1], types[i]) == 0)
			type = types[i];
	if (type == NULL) {
		fputs("nzctl: explain: only answers of type A and AAAA are "
		      "decided\n",
		      stderr);
		return NZCTL_USAGE;
	}

	struct json_object *request = talk_request(options);
	struct talk talk;
	talk_add_text(request, "name", options->argv[0]);
	talk_add_text(request, "type", type);
	talk_add_text(request, "client", options->client);
	enum nzctl_exit result = talk_ask(&talk, options, request, false);
	if (result == NZCTL_DONE && !options->json)
		nzctl_traffic_explain(stdout, talk.reply);
	if (result == NZCTL_DONE && !nzctl_traffic_answered(talk.reply))
		result = NZCTL_REFUSED;
	talk_end(&talk);
	return result;
}

enum nzctl_exit remote_client(const struct nzctl_options *options)
{
	struct json_object *request = talk_request(options);
	struct talk talk;

	talk_add_text(request, "client", options->argv[0]);
	enum nzctl_exit result = talk_ask(&talk, options, request, false);
	if (result == NZCTL_DONE && !options->json)
		show_object(stdout,
			    json_object_object_get(talk.reply, "client"), NULL);
	talk_end(&talk);
	return result;
}

enum nzctl_exit remote_latency(const struct nzctl_options *options)
{
	struct json_object *request = talk_request(options);
	struct talk talk;

	talk_add_text(request, "client", options->argv[0]);
	enum nzctl_exit result = talk_ask(&talk, options, request, false);
	if (result == NZCTL_DONE && !options->json)
		nzctl_near_latency(stdout, talk.reply, options->argv[0]);
	talk_end(&talk);
	return result;
}

/* A zone's numbers in tables, the rest as they are. */
static void show_attack(struct json_object *attack)
{
	struct json_object *zones = json_object_object_get(attack, "zones");
	size_t n = json_object_is_type(zones, json_type_array)
			   ? json_object_array_length(zones)
			   : 0;

	show_object(stdout, attack, "zones");
	for (size_t i = 0; i < n; i++) {
		putchar('\n');
		show_object(stdout, json_object_array_get_idx(zones, i), NULL);
	}
}

enum nzctl_exit remote_attack(const struct nzctl_options *options)
{
	struct talk talk;

	if (strcmp(options->argv[0], "status") != 0) {
		fputs("nzctl: attack: want 'status'\n", stderr);
		return NZCTL_USAGE;
	}
	struct json_object *request = talk_request(options);
	if (options->argc > 1)
		talk_add_text(request, "zone", options->argv[1]);
	enum nzctl_exit result = talk_ask(&talk, options, request, false);
	if (result == NZCTL_DONE && !options->json)
		show_attack(json_object_object_get(talk.reply, "attack"));
	talk_end(&talk);
	return result;
}

/* Asks about 'server' (NULL: all), and has 'show' show it. */
static enum nzctl_exit ask_about(const struct nzctl_options *options,
				 struct json_object *request,
				 const char *server, nzctl_traffic_show show)
{
	struct talk talk;

	talk_add_text(request, "server", server);
	enum nzctl_exit result = talk_ask(&talk, options, request, false);
	if (result == NZCTL_DONE && !options->json)
		show(stdout, talk.reply, server);
	talk_end(&talk);
	return result;
}

static enum nzctl_exit ask_servers(const struct nzctl_options *options,
				   struct json_object *request,
				   nzctl_traffic_show show)
{
	return ask_about(options, request,
			 options->argc > 0 ? options->argv[0] : NULL, show);
}

enum nzctl_exit remote_servers(const struct nzctl_options *options)
{
	return ask_servers(options, talk_request(options),
			   nzctl_traffic_servers);
}

/* 'reply' and what the side-car has added to it. */
static void show_probes(const struct nzctl_options *options,
			const struct talk *talk, const char *server,
			struct json_object *tests)
{
	if (options->json && tests == NULL) {
		talk_show_line(talk->line);
		return;
	}
	nzctl_probes_join(talk->reply, tests);
	if (options->json) {
		talk_show_line(slice_of(json_object_to_json_string_ext(
			talk->reply, JSON_C_TO_STRING_PLAIN |
					     JSON_C_TO_STRING_NOSLASHESCAPE)));
		return;
	}
	nzctl_traffic_probes(stdout, talk->reply, server);
	if (server != NULL)
		nzctl_probes_detail(stdout, tests);
}

/* The side-car is asked even if the plugin cannot be: it may know why. */
enum nzctl_exit remote_probes(const struct nzctl_options *options)
{
	const char *server = options->argc > 0 ? options->argv[0] : NULL;
	struct json_object *request = talk_request(options);
	struct json_object *tests = NULL;
	struct talk talk;

	talk_add_text(request, "server", server);
	enum nzctl_exit result = talk_ask(&talk, options, request, true);
	enum nzctl_exit other = NZCTL_DONE;
	if (result == NZCTL_DONE || result == NZCTL_TROUBLE)
		other = nzctl_probes_ask(options, server, &tests);
	if (result == NZCTL_TROUBLE && tests != NULL)
		nzctl_probes_alone(&talk.reply, options->json);
	if (result == NZCTL_DONE || tests != NULL)
		show_probes(options, &talk, server, tests);
	json_object_put(tests);
	talk_end(&talk);
	return result != NZCTL_DONE ? result : other;
}

/* Who says it, for those who will ask. */
static void add_author(struct json_object *request)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
	const char *name = getenv("SUDO_USER");
	char room[1024];
	struct passwd entry;
	struct passwd *found = NULL;

	if ((name == NULL || name[0] == '\0') &&
	    getpwuid_r(getuid(), &entry, room, sizeof(room), &found) == 0 &&
	    found != NULL)
		name = found->pw_name;
	if (name != NULL && strlen(name) <= AUTHOR_MAX)
		talk_add_text(request, "author", name);
}

/* A word about servers: whom, what, why, for how long. */
static enum nzctl_exit say(const struct nzctl_options *options,
			   const char *server, const char *state,
			   nzctl_traffic_show show)
{
	if (server == NULL && options->pop == NULL) {
		fprintf(stderr, "nzctl: %s: give a SERVER or --pop POP\n",
			options->command);
		return NZCTL_USAGE;
	}
	if (options->reason == NULL) {
		fprintf(stderr,
			"nzctl: %s: give a --reason: others will want to "
			"know\n",
			options->command);
		return NZCTL_USAGE;
	}

	struct json_object *request = talk_request(options);
	talk_add_text(request, "state", state);
	talk_add_text(request, "pop", options->pop);
	talk_add_text(request, "reason", options->reason);
	add_author(request);
	if (options->for_s > 0)
		json_object_object_add(request, "for_s",
				       json_object_new_uint64(options->for_s));
	return ask_about(options, request, server, show);
}

enum nzctl_exit remote_drain(const struct nzctl_options *options)
{
	return say(options, options->argc > 0 ? options->argv[0] : NULL, NULL,
		   nzctl_traffic_drain);
}

enum nzctl_exit remote_force(const struct nzctl_options *options)
{
	const char *state = options->argv[0];

	if (strcmp(state, "up") != 0 && strcmp(state, "down") != 0) {
		fprintf(stderr, "nzctl: force '%s': want up or down\n", state);
		return NZCTL_USAGE;
	}
	return say(options, options->argc > 1 ? options->argv[1] : NULL, state,
		   nzctl_traffic_drain);
}

enum nzctl_exit remote_undrain(const struct nzctl_options *options)
{
	struct json_object *request;

	if (options->argc == 0 && options->pop == NULL) {
		fputs("nzctl: undrain: give a SERVER or --pop POP\n", stderr);
		return NZCTL_USAGE;
	}
	request = talk_request(options);
	talk_add_text(request, "pop", options->pop);
	return ask_servers(options, request, nzctl_traffic_undrain);
}

enum nzctl_exit remote_reload(const struct nzctl_options *options)
{
	struct talk talk;
	enum nzctl_exit result =
		talk_ask_and_show(&talk, options, talk_request(options));

	talk_end(&talk);
	return result;
}

/* Events until there have been enough, the peer ends or nobody listens. */
static enum nzctl_exit watch(struct talk *talk,
			     const struct nzctl_options *options)
{
	for (uint64_t i = 0; options->count == 0 || i < options->count; i++) {
		int rc = talk_read(talk, true);

		if (rc != 0)
			return talk_trouble(options, rc);
		if (options->json)
			talk_show_line(talk->line);
		else
			show_event(stdout, talk->reply);
		if (fflush(stdout) != 0)
			return NZCTL_TROUBLE; /* main says why */
	}
	return NZCTL_DONE;
}

enum nzctl_exit remote_watch(const struct nzctl_options *options)
{
	struct talk talk;
	/* The answer to "watch" is no event: not for the output. */
	enum nzctl_exit result =
		talk_ask(&talk, options, talk_request(options), true);

	if (result == NZCTL_DONE)
		result = watch(&talk, options);
	talk_end(&talk);
	return result;
}
