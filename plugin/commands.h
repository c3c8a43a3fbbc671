/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * commands - what the control socket's commands mean.  Engine thread.
 */
#include <stdbool.h>

struct control_client;
struct engine;
struct json_object;

/* A control_handler; 'arg' is the engine. */
void commands_handle(void *arg, struct control_client *client,
		     const char *command, struct json_object *request);

/* An event with its name and time, for control_event(). */
struct json_object *commands_event_new(const char *what);

/* Tells subscribers that an origin went up or down. */
void commands_event_origin(struct engine *e, const char *address, bool up,
			   const char *why);

/* Tells subscribers how a load of the configuration ended; any thread. */
void commands_event_load(struct engine *e, bool ok, const char *text);
