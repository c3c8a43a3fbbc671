/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * commands - what the control socket's commands mean.  Engine thread.
 */
#include <stdbool.h>
#include <stdint.h>

struct control_client;
struct engine;
struct json_object;
struct dname;
struct zone;

/* A control_handler; 'arg' is the engine. */
void commands_handle(void *arg, struct control_client *client,
		     const char *command, struct json_object *request);

/* The zone of that id, or the one with the longest name that 'name' belongs to;
 * NULL: there is none. */
struct zone *commands_zone_by_id(struct engine *e, const char *id);
struct zone *commands_zone_of(struct engine *e, const struct dname *name);

/* Read a name or a type of a request; false after an error reply. */
bool commands_want_name(struct control_client *client, const char *text,
			struct dname *name);
bool commands_want_type(struct control_client *client, const char *text,
			uint16_t *type);

/* An event with its name and time, for control_event(). */
struct json_object *commands_event_new(const char *what);

/* Tells subscribers that an origin went up or down. */
void commands_event_origin(struct engine *e, const char *address, bool up,
			   const char *why);

/* Tells subscribers how a load of the configuration ended; any thread. */
void commands_event_load(struct engine *e, bool ok, const char *text);
