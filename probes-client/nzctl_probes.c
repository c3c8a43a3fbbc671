/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/nzctl_probes.h"

#include <errno.h>
#include <string.h>

#include "probes-client/dial.h"
#include "probes-client/show.h"

#define NESTING_MAX 16
#define PAGES_MAX   1000u
#define KEY_MAX	    512 /* server, address and service */

static struct json_object *get(struct json_object *object, const char *key)
{
	if (!json_object_is_type(object, json_type_object))
		return NULL;
	return json_object_object_get(object, key);
}

static const char *get_text(struct json_object *object, const char *key)
{
	struct json_object *value = get(object, key);

	return json_object_is_type(value, json_type_string)
		       ? json_object_get_string(value)
		       : "";
}

static void add_text(struct json_object *object, const char *key,
		     const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text));
}

/* -- asking ---------------------------------------------------------------- */

static struct json_object *reply_parse(struct slice line)
{
	struct json_tokener *tokener = json_tokener_new_ex(NESTING_MAX);
	if (tokener == NULL)
		return NULL;

	struct json_object *reply =
		json_tokener_parse_ex(tokener, line.p, (int)line.n);
	if (json_tokener_get_parse_end(tokener) != line.n ||
	    !json_object_is_type(get(reply, "tests"), json_type_array)) {
		json_object_put(reply);
		reply = NULL;
	}
	json_tokener_free(tokener);
	return reply;
}

/* One page: 'after' (NULL: the first) stays the caller's. */
static int page_ask(struct dial *dial, const char *server,
		    struct json_object *after, struct json_object **replyp)
{
	struct json_object *request = json_object_new_object();
	struct slice line;

	add_text(request, "command", "tests");
	if (server != NULL)
		add_text(request, "server", server);
	if (after != NULL)
		json_object_object_add(request, "after",
				       json_object_get(after));
	int rc = dial_send(dial, slice_of(json_object_to_json_string_ext(
					 request, JSON_C_TO_STRING_PLAIN)));
	json_object_put(request);
	if (rc == 0)
		rc = dial_line(dial, false, &line);
	if (rc != 0)
		return rc;
	*replyp = reply_parse(line);
	return *replyp != NULL ? 0 : -EBADMSG;
}

static void tests_add(struct json_object *tests, struct json_object *reply)
{
	struct json_object *list = get(reply, "tests");
	size_t n = json_object_array_length(list);

	for (size_t i = 0; i < n; i++) {
		struct json_object *test = json_object_array_get_idx(list, i);
		if (!json_object_is_type(test, json_type_object))
			continue;
		if (get(reply, "node") != NULL)
			json_object_object_add(
				test, "node",
				json_object_get(get(reply, "node")));
		json_object_array_add(tests, json_object_get(test));
	}
}

static int pages_ask(struct dial *dial, const char *server,
		     struct json_object *tests)
{
	struct json_object *reply = NULL;
	int rc = page_ask(dial, server, NULL, &reply);

	for (size_t n = 0; rc == 0; n++) {
		tests_add(tests, reply);
		struct json_object *next = json_object_get(get(reply, "next"));
		json_object_put(reply);
		reply = NULL;
		if (next == NULL)
			return 0;
		rc = n < PAGES_MAX ? page_ask(dial, server, next, &reply)
				   : -EMSGSIZE;
		json_object_put(next);
	}
	return rc;
}

enum nzctl_exit nzctl_probes_ask(const struct nzctl_options *options,
				 const char *server,
				 struct json_object **testsp)
{
	const char *path =
		options->view != NULL ? options->view : NZCTL_VIEW_DEFAULT;
	struct json_object *tests = json_object_new_array();
	struct dial *dial = NULL;
	char text[128];

	*testsp = NULL;
	int rc = dial_open(path, options->timeout_ms, &dial);
	bool is_there = rc == 0;
	if (rc == 0)
		rc = pages_ask(dial, server, tests);
	dial_close(dial);
	if (rc == 0) {
		*testsp = tests;
		return NZCTL_DONE;
	}
	json_object_put(tests);
	if (!is_there && options->view == NULL)
		return NZCTL_DONE;
	fprintf(stderr, "nzctl: '%s': the side-car cannot be asked: %s\n", path,
		rc == -EBADMSG ? "its answer is none"
			       : strerror_r(-rc, text, sizeof(text)));
	return NZCTL_TROUBLE;
}

/* -- joining --------------------------------------------------------------- */

static void key_print(struct json_object *test, char *out)
{
	snprintf(out, KEY_MAX, "%s %s %s", get_text(test, "server"),
		 get_text(test, "address"), get_text(test, "service"));
}

/* An object of the tests by their key. */
static struct json_object *index_new(struct json_object *tests)
{
	struct json_object *index = json_object_new_object();
	size_t n = json_object_array_length(tests);
	char key[KEY_MAX];

	for (size_t i = 0; i < n; i++) {
		struct json_object *test = json_object_array_get_idx(tests, i);
		key_print(test, key);
		json_object_object_add(index, key, json_object_get(test));
	}
	return index;
}

static void copy(struct json_object *to, const char *as,
		 struct json_object *from, const char *key)
{
	struct json_object *value = get(from, key);

	if (value != NULL)
		json_object_object_add(to, as, json_object_get(value));
}

void nzctl_probes_alone(struct json_object **replyp, bool json)
{
	struct json_object *reply = json_object_new_object();

	if (json)
		json_object_object_add(reply, "ok",
				       json_object_new_boolean(false));
	json_object_put(*replyp);
	*replyp = reply;
}

void nzctl_probes_join(struct json_object *reply, struct json_object *tests)
{
	struct json_object *probes = get(reply, "probes");
	char key[KEY_MAX];

	if (tests == NULL)
		return;
	if (!json_object_is_type(probes, json_type_array)) {
		json_object_object_add(reply, "probes", json_object_get(tests));
		json_object_object_add(reply, "tests", json_object_get(tests));
		return;
	}
	struct json_object *index = index_new(tests);
	size_t n = json_object_array_length(probes);
	for (size_t i = 0; i < n; i++) {
		struct json_object *probe =
			json_object_array_get_idx(probes, i);
		if (!json_object_is_type(probe, json_type_object))
			continue;
		key_print(probe, key);
		struct json_object *test = get(index, key);
		copy(probe, "last", test, "last");
		copy(probe, "next_s", test, "next_s");
		copy(probe, "cause", test, "error");
	}
	json_object_put(index);
	json_object_object_add(reply, "tests", json_object_get(tests));
}

/* -- details --------------------------------------------------------------- */

/* "5, 6, timed out, 7": milliseconds, or what went wrong. */
static void results_print(struct json_object *results, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	if (!json_object_is_type(results, json_type_array))
		return;
	size_t n = json_object_array_length(results);
	for (size_t i = 0; i < n && used < size; i++) {
		int more = snprintf(
			out + used, size - used, "%s%s", i > 0 ? ", " : "",
			json_object_get_string(
				json_object_array_get_idx(results, i)));
		used += more > 0 ? (size_t)more : 0;
	}
}

void nzctl_probes_detail(FILE *out, struct json_object *tests)
{
	size_t n = tests != NULL ? json_object_array_length(tests) : 0;
	char name[KEY_MAX], results[2048];

	for (size_t i = 0; i < n; i++) {
		struct json_object *test = json_object_array_get_idx(tests, i);
		struct json_object *all = json_object_new_object();
		struct json_object *block = json_object_new_object();
		snprintf(name, sizeof(name), "%s on %s",
			 get_text(test, "service"), get_text(test, "address"));
		results_print(get(test, "results"), results, sizeof(results));
		copy(block, "interval_s", test, "interval_s");
		copy(block, "tests", test, "tests");
		copy(block, "run", test, "run");
		copy(block, "transitions", test, "transitions");
		add_text(block, "results", results);
		json_object_object_add(all, name, block);
		show_object(out, all, NULL);
		json_object_put(all);
	}
}
