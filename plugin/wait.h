/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * wait - a client's query that waits for an origin: parked in named through
 * ns_query_hookasync(), resumed exactly once, by the landing of its question
 * or by named's cancellation.
 *
 * Waiting clients do not count against 'recursive-clients', whose soft limit
 * would cancel the oldest for each new miss; they have a quota of their own
 * (limits.waiters).
 */
#include <ns/client.h>
#include <ns/query.h>

#include "plugin/engine.h"

/* What the hook learns when it runs again for a query that waited. */
struct wait_result {
	struct store_entry *entry; /* NULL: no origin answered */
	bool stale;
	bool limited;	   /* none was asked: origin-rate */
	struct zone *zone; /* as it was when the query came */
};

/*
 * If this call of the hook resumes 'client''s query, which waited: true, and
 * fills '*result', for the caller to give back with wait_release().
 */
bool wait_resumed(const ns_client_t *client, struct wait_result *result);
void wait_release(struct wait_result *result);

/* A query about to wait. */
struct parking {
	struct process *process;
	struct waiter *waiter;
	struct ask *ask; /* holds the zone's snapshot */
};

/*
 * Makes ready to park the query for 'key' of 'zone'; inside an RCU section.
 * False: no room to wait, nothing was done.
 */
bool wait_prepare(struct parking *park, query_ctx_t *qctx, struct process *p,
		  struct zone *zone, const struct store_key *key,
		  uint64_t hash);

/*
 * Parks it, asking the origin unless somebody has; outside any RCU section.
 * The hook returns NS_HOOK_RETURN and '*resp'.
 */
void wait_start(struct parking *park, query_ctx_t *qctx, isc_result_t *resp);

/* Engine: the question is answered; resumes all who wait. */
void wait_land(struct process *p, struct flight *flight,
	       const struct landing *landing);

/* Engine: resumes all who wait, but the question goes on. */
void wait_serve(struct process *p, struct flight *flight,
		const struct landing *landing);

/*
 * Asks the origin anew for what is in memory, with nobody waiting; inside an
 * RCU section.  False: it is being asked already, or there is no memory.
 */
bool wait_refresh(const query_ctx_t *qctx, struct process *p, struct zone *zone,
		  const struct store_key *key, uint64_t hash);
