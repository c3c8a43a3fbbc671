/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * fill - has answers in memory before a client asks: those to a list of names
 * (the command "populate"), or to all that is in a zone, which a transfer of it
 * tells ("populate", or at the first miss of a zone that has "fill").
 *
 * Only questions are made here: each is asked of the zone's origins like a
 * client's, and what they say is stored as ever.  So an answer is as right as
 * any other, and a transfer is no more than a list of names.
 *
 * Clients come first: a run has 32 questions under way at most, all runs
 * together send no more than 10000 a second, and none while very many are under
 * way.  A run ends when its zone is purged, dropped or no longer configured,
 * when 64 questions in a row fail, when who gave the command has hung up, after
 * an hour, and when named stops.
 *
 * Everything is the engine's, on its thread; struct zone_state has a pointer
 * for it that nobody else reads.
 */
#include <dns/tsig.h>

#include "plugin/process.h"

struct ask;
struct control_client;
struct engine;
struct json_object;

/* What came of a question. */
enum fill_end {
	FILL_KEPT,
	FILL_KNOWN,	/* a fresh answer was there */
	FILL_BRIEF,	/* answered, and not to be kept */
	FILL_FORGOTTEN, /* purged or changed while it was on its way */
	FILL_FAILED,
};

/* 0 or -errno; before the thread runs.  free: after it has ended. */
int fill_new(struct engine *e);
void fill_free(struct engine *e);

/* Ends what is under way; before the origins are closed. */
void fill_stop(struct engine *e);

/* 's' will be the running configuration; the one before is still there. */
void fill_configured(struct engine *e, struct snapshot *s);

/* A few times a second. */
void fill_tick(struct engine *e);

/* A client's question, or a prefetch, is about to be sent to origins. */
void fill_missed(struct engine *e, const struct ask *ask);

/* A question of a run (ask->fill) has ended, and is freed next. */
void fill_answered(struct ask *ask, enum fill_end end);

/* The command "populate". */
void fill_handle(struct engine *e, struct control_client *client,
		 struct json_object *request);

/* What is known of a zone, as a JSON object; NULL: it was never filled. */
struct json_object *fill_status(const struct zone *zone);
