/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * traffic - the control socket's commands of traffic management: the side-car's
 * feed, drains, and what people ask about servers, tests and decisions.
 *
 * Engine thread, but for what is said of traffic_drains_read().
 */
#include <stdbool.h>
#include <stdint.h>

#include "gtm/world.h"

struct control_client;
struct engine;
struct json_object;
struct page;
struct snapshot;

/* What the side-cars have sent. */
struct feed {
	uint64_t batches, rows;
	uint64_t fates[GTM_ROW_FATES];
	uint64_t malformed;    /* rows that are none */
	uint64_t last_ms;      /* when the last batch came, the tables' time */
	char node[64];	       /* who sent it */
	uint32_t told_s;       /* changes of state are logged: in this second */
	uint32_t told, held;   /* so many, and so many were not */
	struct feed_how *hows; /* how latencies were measured, or NULL */
};

/* What an operator, or a failure, has said of a server. */
enum word { WORD_DRAINED, WORD_UP, WORD_DOWN, WORD_HELD, WORDS };

/* A word that holds; one a server, the last. */
struct drain {
	struct drain *next;
	enum word word;
	char *server;
	char *reason;
	char *author;		  /* "" is fine */
	int64_t since_s, until_s; /* Unix time; until 0: further notice */
};

void traffic_fini(struct feed *feed);

/* Answers the command if it is one of these; else false. */
bool traffic_handle(struct engine *e, struct control_client *client,
		    const char *command, struct json_object *request);

/* The "traffic" of status, without hostnames; there is a configuration. */
struct json_object *traffic_status(struct engine *e);

/*
 * Adds to that object what 'page' has room for of the hostnames from the 'at'th
 * on, and their addresses.  Returns the first that is not there.
 */
size_t traffic_names(struct engine *e, struct page *page, size_t at,
		     struct json_object *traffic);

/* Makes the drains hold in a configuration that has replaced 'old' (or NULL).
 */
void traffic_configured(struct engine *e, const struct snapshot *old);

/* Ends the drains whose time is over; now and then. */
void traffic_tick(struct engine *e);

/*
 * Reads the drains that were saved in 'directory'.  Worker thread, or
 * plugin_register at the first start.  NULL: none.
 */
struct drain *traffic_drains_read(const char *directory);
void traffic_drains_free(struct drain *list);
