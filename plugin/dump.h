/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * dump - the command of that name: what the cache holds, in pages.
 *
 * A request is answered with some entries and, unless that was all, "next",
 * which the next request gives as "from".  A page is made in a millisecond or
 * so, whatever the size of the cache.  Entries that come or go between pages
 * are in the dump or not.  Engine thread.
 */
#include "plugin/engine.h"

struct control_client;
struct json_object;

void dump_handle(struct engine *e, struct control_client *client,
		 struct json_object *request);
