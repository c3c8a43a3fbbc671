/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * status - what the running plugin says of itself, as JSON.  Engine thread.
 */
#include "plugin/engine.h"

struct json_object;

#define STATUS_ZONES_MAX 100u /* listed when none is asked for */

/* The whole, with the counters of zone 'id' or (NULL) of the first zones. */
struct json_object *status_of_all(struct engine *e, const char *id);

/* What the cache has for 'key', a question of 'zone'. */
struct json_object *status_of_entry(struct process *p, const struct zone *zone,
				    const struct store_key *key);

/* In a word: what an entry is, and in what state. */
const char *status_kind_of(const struct store_entry *e);
const char *status_state_of(const struct store_entry *e, uint32_t now_s);

/* How the last load ended; 'rc' is what process_load() returned. */
struct json_object *status_of_load(struct process *p, int rc);
