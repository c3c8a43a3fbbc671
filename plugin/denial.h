/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * denial - says that a name, or a type of it, does not exist without asking an
 * origin, where a zone's "names" wants it: of an unsigned zone from the set of
 * its names, which is transferred and kept current by its differences
 * (cacheproxy/names.h); of a signed one from what its origins have proven
 * (cacheproxy/proofs.h).
 *
 * Both hang from the zone's state and are read under RCU.  The engine owns
 * them: it learns proofs, starts transfers and withdraws; the worker builds
 * and changes sets while nobody reads them.  A set is not used while it is
 * changed, nor beyond the SOA's EXPIRE without word from an origin.
 */
#include <stdbool.h>
#include <stdint.h>

#include "cacheproxy/answer.h"
#include "cacheproxy/xfr.h"
#include "plugin/made.h"
#include "plugin/process.h"

struct denial_change;
struct denials;
struct engine;
struct json_object;

/*
 * On named's workers, inside an RCU section: makes the answer to the query's
 * question, which is 'key'; false: nothing is known to be missing.
 */
bool denial_make(struct made *made, const query_ctx_t *qctx,
		 const struct zone *zone, const struct store_key *key,
		 uint32_t now_s, struct send_answer *a);

/* -- All that follows is the engine's, on its thread. */

/* 0 or -ENOMEM; before the thread runs.  free: after it has ended. */
int denials_new(struct engine *e);
void denials_free(struct engine *e);

/* Ends transfers; before the zones go. */
void denials_stop(struct engine *e);

/* 's' will be the running configuration; the one before is still there. */
void denials_configured(struct engine *e, struct snapshot *s);

/* Now and then. */
void denials_tick(struct engine *e);

/* answer_make() has just made an answer of the zone's that will be kept. */
void denial_learn(struct engine *e, struct zone *zone,
		  const struct answer_source *source);

/*
 * What was proven is forgotten, and what is on its way is not kept; with
 * 'names', also what is known from a transfer, which is then made anew.
 */
void denial_forget(struct engine *e, const struct zone *zone, bool names);

/*
 * Collects a difference for the set of names; NULL: there is none to change.
 * What xfr.h hands on is added; then it is applied, when the transfer has
 * succeeded with the zone at 'serial', or freed.
 */
struct denial_change *denial_change_new(const struct zone *zone);
void denial_change_add(struct denial_change *change, enum xfr_part part,
		       const struct delta_record *record);
void denial_change_apply(struct engine *e, const struct zone *zone,
			 struct denial_change *change, uint32_t serial);
void denial_change_free(struct denial_change *change); /* NULL is fine */

/*
 * A look is over: an origin has 'serial', and none has a newer one.  A set that
 * is behind what has been seen is withdrawn.
 */
void denial_confirm(struct engine *e, const struct zone *zone, uint32_t serial);

/* How often to look for a new serial, as the SOA has it; 0: the zone need not
 * be looked at for this. */
uint32_t denial_refresh_s(const struct zone *zone);

/* Gives the cache the memory that sets do not take and proofs may not. */
void denials_resize(struct engine *e);

/* What is known of the zone, as a JSON object; NULL: nothing is wanted. */
struct json_object *denial_status(const struct zone *zone);
