/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/talk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "probes-client/show.h"

#define REQUEST_MAX 65536u /* octets the server takes in a line */
#define NESTING_MAX 32

void talk_end(struct talk *talk)
{
	json_object_put(talk->reply);
	dial_close(talk->dial);
}

enum nzctl_exit talk_trouble(const struct nzctl_options *options, int rc)
{
	const char *path = options->socket;
	FILE *err = stderr;
	char text[128];

	fprintf(err, "nzctl: '%s': ", path);
	if (rc == -ENOENT || rc == -ENOTDIR)
		fputs("no such socket: is named running with the plugin "
		      "loaded, and is the socket where 'control.socket' says?",
		      err);
	else if (rc == -ECONNREFUSED)
		fputs("nobody listens there: is named running with the plugin "
		      "loaded?",
		      err);
	else if (rc == -EACCES || rc == -EPERM)
		fputs("permission denied: is this user in the group of named "
		      "('bind')?",
		      err);
	else if (rc == -ETIMEDOUT)
		fprintf(err,
			"no answer within %u.%03u s: is named stopped or very "
			"busy (or give --timeout more)?",
			options->timeout_ms / 1000, options->timeout_ms % 1000);
	else if (rc == -ECONNRESET)
		fputs("the connection was closed: has named stopped?", err);
	else if (rc == -EBADMSG)
		fputs("not an answer of the plugin: is this its control "
		      "socket?",
		      err);
	else if (rc == -EMSGSIZE)
		fprintf(err, "the answer is longer than %u octets",
			DIAL_LINE_MAX);
	else
		fputs(strerror_r(-rc, text, sizeof(text)), err);
	fputc('\n', err);
	return rc == -ENAMETOOLONG ? NZCTL_USAGE : NZCTL_TROUBLE;
}

/* Returns 0 and the caller's reference to an object; or -EBADMSG, -ENOMEM. */
static int object_parse(struct slice line, struct json_object **objectp)
{
	struct json_tokener *tok = json_tokener_new_ex(NESTING_MAX);
	if (tok == NULL)
		return -ENOMEM;

	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	struct json_object *doc =
		json_tokener_parse_ex(tok, line.p, (int)line.n);
	bool whole = json_tokener_get_error(tok) == json_tokener_success &&
		     json_tokener_get_parse_end(tok) == line.n;
	json_tokener_free(tok);
	if (!whole || !json_object_is_type(doc, json_type_object)) {
		json_object_put(doc);
		return -EBADMSG;
	}
	*objectp = doc;
	return 0;
}

int talk_read(struct talk *talk, bool patient)
{
	struct json_object *object;
	int rc = dial_line(talk->dial, patient, &talk->line);

	if (rc == 0)
		rc = object_parse(talk->line, &object);
	if (rc != 0)
		return rc;
	json_object_put(talk->reply);
	talk->reply = object;
	return 0;
}

static int talk_start(struct talk *talk, const struct nzctl_options *options,
		      struct slice request)
{
	int rc = dial_open(options->socket, options->timeout_ms, &talk->dial);

	if (rc == 0)
		rc = dial_send(talk->dial, request);
	if (rc == 0)
		rc = talk_read(talk, false);
	if (rc == 0 &&
	    !json_object_is_type(json_object_object_get(talk->reply, "ok"),
				 json_type_boolean))
		rc = -EBADMSG;
	return rc;
}

void talk_show_line(struct slice line)
{
	fwrite(line.p, 1, line.n, stdout);
	fputc('\n', stdout);
}

enum nzctl_exit talk_refused(const struct nzctl_options *options,
			     struct json_object *reply)
{
	struct json_object *error = json_object_object_get(reply, "error");
	struct json_object *errors = json_object_object_get(reply, "errors");
	size_t n = 0;

	if (json_object_is_type(errors, json_type_array))
		n = json_object_array_length(errors);
	for (size_t i = 0; i < n; i++) {
		show_finding(stderr, json_object_array_get_idx(errors, i));
		fputc('\n', stderr);
	}
	fprintf(stderr, "nzctl: %s: ", options->command);
	show_text(stderr,
		  json_object_is_type(error, json_type_string)
			  ? (struct slice){ json_object_get_string(error),
					    (size_t)json_object_get_string_len(
						    error) }
			  : slice_of("refused"));
	fputc('\n', stderr);
	return NZCTL_REFUSED;
}

enum nzctl_exit talk_ask(struct talk *talk, const struct nzctl_options *options,
			 struct json_object *request, bool quiet)
{
	size_t n = 0;
	const char *p = json_object_to_json_string_length(
		request,
		JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n);

	*talk = (struct talk){ 0 };
	if (p == NULL || n > REQUEST_MAX) {
		fputs("nzctl: argument too long\n", stderr);
		json_object_put(request);
		return NZCTL_USAGE;
	}
	int rc = talk_start(talk, options, (struct slice){ p, n });
	json_object_put(request);
	if (rc != 0)
		return talk_trouble(options, rc);

	bool ok = json_object_get_boolean(
		json_object_object_get(talk->reply, "ok"));
	if (options->json && !(ok && quiet))
		talk_show_line(talk->line);
	if (ok)
		return NZCTL_DONE;
	return options->json ? NZCTL_REFUSED
			     : talk_refused(options, talk->reply);
}

void talk_add_text(struct json_object *request, const char *key,
		   const char *text)
{
	if (text != NULL)
		json_object_object_add(request, key,
				       json_object_new_string(text));
}

struct json_object *talk_request(const struct nzctl_options *options)
{
	struct json_object *request = json_object_new_object();

	talk_add_text(request, "command", options->command);
	return request;
}

enum nzctl_exit talk_ask_and_show(struct talk *talk,
				  const struct nzctl_options *options,
				  struct json_object *request)
{
	enum nzctl_exit result = talk_ask(talk, options, request, false);

	if (result == NZCTL_DONE && !options->json)
		show_object(stdout, talk->reply, "ok");
	return result;
}

int talk_next_page(struct talk *talk, const struct nzctl_options *options,
		   const char *key, struct json_object *from, bool patient)
{
	struct json_object *request = talk_request(options);

	talk_add_text(request, "zone", options->zone);
	json_object_object_add(request, key, from);
	int rc = dial_send(talk->dial,
			   slice_of(json_object_to_json_string_ext(
				   request, JSON_C_TO_STRING_PLAIN)));
	json_object_put(request);
	return rc != 0 ? rc : talk_read(talk, patient);
}
