/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * purge - the command of that name: forgets answers by name, by name and type,
 * by subtree or by zone.
 *
 * Engine thread.  What means a walk of the store is done in slices; the reply
 * comes when it is done.  What is asked after the reply is never answered with
 * what was asked before the command.
 */
#include "plugin/engine.h"

struct control_client;
struct json_object;

void purge_handle(struct engine *e, struct control_client *client,
		  struct json_object *request);
