/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * status - what the running plugin says of itself, as JSON.  Engine thread.
 */
#include "plugin/engine.h"

struct json_object;

/*
 * The whole, with zone 'id' and a page (see page.h) of hostnames; or (NULL)
 * with the first page of all zones and, after these, hostnames.  "next" then
 * says where the next page begins: {"list": "zones" or "hostnames", "at": how
 * many of them are before it, "id": the last of these}.
 */
struct json_object *status_of_all(struct engine *e, const char *id);

/*
 * The page after 'after', a "next", with nothing else but the next "next".
 * What a reload moves meanwhile may come twice, or not.  NULL: it is none.
 */
struct json_object *status_of_page(struct engine *e, struct json_object *after);

/* What the cache has for 'key', a question of 'zone'. */
struct json_object *status_of_entry(struct process *p, const struct zone *zone,
				    const struct store_key *key);

/* In a word: what an entry is, and in what state. */
const char *status_kind_of(const struct store_entry *e);
const char *status_state_of(const struct store_entry *e, uint32_t now_s);

/* How the last load ended; 'rc' is what process_load() returned. */
struct json_object *status_of_load(struct process *p, int rc);
