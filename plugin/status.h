/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * status - what the running plugin says of itself, as JSON.  Engine thread.
 */
#include "plugin/engine.h"

struct json_object;

/* Sums over all zones, for which these are walked some at a time. */
struct status_sums {
	struct snapshot *snapshot; /* held; NULL: none, and no sums */
	size_t at;
	uint64_t counters[COUNTERS];
	uint64_t n_conflicts;
	struct json_object *conflicts; /* the first ids, a page at most */
};

void status_sums_init(struct status_sums *sums, struct engine *e);
bool status_sums_step(struct status_sums *sums); /* true: that was the last */
void status_sums_fini(struct status_sums *sums);

/*
 * The whole, with pages (see page.h) of origins and of hostnames, and zone
 * 'id'; or (NULL) the first page of all origins and, after these, zones and
 * hostnames.  "next" then says where the next page begins: {"list": "zones" or
 * "hostnames", "at": how many of them are before it, "id": the last of these},
 * or {"list": "origins", "at": the number of the last}.
 */
struct json_object *status_of_all(struct engine *e, const char *id,
				  const struct status_sums *sums);

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
