/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * talk - a conversation of nzctl with the plugin: requests and replies, a line
 * of JSON each, and what to say when there is trouble.
 */
#include <json-c/json.h>
#include <stdbool.h>

#include "common/slice.h"
#include "probes-client/dial.h"
#include "probes-client/nzctl.h"

/* A request and what came back. */
struct talk {
	struct dial *dial;
	struct slice line; /* the reply as it came */
	struct json_object *reply;
};

void talk_end(struct talk *talk);

/* The beginning of a request: its command. */
struct json_object *talk_request(const struct nzctl_options *options);
/* Nothing if 'text' is NULL. */
void talk_add_text(struct json_object *request, const char *key,
		   const char *text);

/*
 * Asks; takes over 'request'.  On NZCTL_DONE the reply is in 'talk' and was
 * "ok"; with --json it has been printed, unless 'quiet'.
 */
enum nzctl_exit talk_ask(struct talk *talk, const struct nzctl_options *options,
			 struct json_object *request, bool quiet);
/* Asks and shows all of the reply. */
enum nzctl_exit talk_ask_and_show(struct talk *talk,
				  const struct nzctl_options *options,
				  struct json_object *request);
/*
 * Asks for a page on the connection of the one before; takes over 'from'.
 * Returns 0 or -errno.
 */
int talk_next_page(struct talk *talk, const struct nzctl_options *options,
		   const char *key, struct json_object *from, bool patient);
/* Reads one more reply; 'patient': however long it takes.  0 or -errno. */
int talk_read(struct talk *talk, bool patient);

/* Says what an operator can do about -errno. */
enum nzctl_exit talk_trouble(const struct nzctl_options *options, int rc);
/* The reply was "ok": false. */
enum nzctl_exit talk_refused(const struct nzctl_options *options,
			     struct json_object *reply);
void talk_show_line(struct slice line);
