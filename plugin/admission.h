/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * admission - who is answered, and what origins are asked for, while a zone
 * gets far more than is normal for it.  What is normal, and when a filter
 * works, is in cacheproxy/admit*.h; here is what the query path asks, and what
 * the engine does beside it: zones' states, events, learning from answers, the
 * ceiling of questions to origins.
 *
 * The query path neither allocates nor waits: a zone's state is made by the
 * engine, by a job that lies in the zone, and until then nothing is filtered.
 */
#include <stdbool.h>
#include <stdint.h>

#include <ns/query.h>

#include "cacheproxy/admit.h"
#include "plugin/process.h"

struct admit_known;
struct engine;
struct json_object;

/* Where a question comes from, and what the zone's filters do: see below. */
struct admission {
	struct admit_zone *zone; /* NULL: nothing is known yet */
	uint64_t prefix;
	uint32_t active; /* filters, bits; 0: within normal */
	bool tcp, cookie;
	bool exists; /* the name is one of the configuration */
};

/*
 * On named's workers, inside an RCU section.  A query for 'zone', the n-th (by
 * its counter): fills '*a'.  ADMIT_OK, or ADMIT_SOURCE.
 */
enum admit_reason admission_query(struct admission *a, const query_ctx_t *qctx,
				  const struct zone *zone, uint32_t n);

/*
 * The fresh answer 'e' is in memory: ADMIT_OK, ADMIT_REPEAT or
 * ADMIT_REPEAT_DROP.
 */
enum admit_reason admission_hit(const struct admission *a,
				const query_ctx_t *qctx,
				const struct zone *zone,
				const struct store_entry *e);

/* The same of an answer that is made, from no store: a decision, a denial. */
enum admit_reason admission_made(const struct admission *a,
				 const query_ctx_t *qctx,
				 const struct zone *zone);

/*
 * There is none, and nothing says that the name does not exist; 'old': what is
 * there, or NULL.  ADMIT_OK: the origin may be asked; or why not.
 */
enum admit_reason admission_miss(const struct admission *a,
				 const query_ctx_t *qctx,
				 const struct zone *zone,
				 const struct store_key *key,
				 const struct store_entry *old);

/* Origins are going to be asked for it.  On any thread. */
void admission_went(const struct zone *zone);

/* -- Engine. */

/*
 * An origin has answered 'key'; false: the answer is not to be kept, as its
 * suffix is under attack.
 */
bool admission_landed(struct engine *e, struct zone *zone,
		      const struct store_key *key, enum store_kind kind);

/* May the origins be asked for 'key'?  Counts it if so. */
bool admission_may_ask(struct engine *e, struct zone *zone,
		       const struct store_key *key);

/* True if they might be: for who can wait. */
bool admission_has_room(const struct zone *zone);

/* They are asked for something that nobody can do without. */
void admission_asked(struct engine *e, const struct zone *zone);

/* It took so many questions, of which one is counted already. */
void admission_repeated(const struct zone *zone, uint32_t tries);

/* All that was stored of the zone is forgotten: 'n' answers. */
void admission_forget(struct engine *e, const struct zone *zone, uint64_t n);

void admission_tick(struct engine *e, uint32_t now_s);
void admission_configured(struct engine *e, const struct snapshot *s);
void admission_stop(struct engine *e);

/* The command "attack". */
struct control_client;
void admission_handle(struct engine *e, struct control_client *client,
		      struct json_object *request);

/* Of a zone's status: what was refused, and why; NULL: nothing ever was. */
struct json_object *admission_status(const struct zone *zone);

/* -- Life, and the state directory. */

int admission_new(struct process *p); /* 0 or -ENOMEM */
void admission_free(struct process *p);

/* A zone's state goes. */
void admission_zone_free(struct zone_state *state);

/*
 * Sizes the table of known clients; and, with 'first', reads what was saved.
 * Before 's' is in force; blocks for reading.
 */
void admission_configure(struct process *p, const struct snapshot *s,
			 bool first);

/* Saves all that was learned; the worker, or the last thing. */
void admission_save(struct process *p, const struct snapshot *s);
