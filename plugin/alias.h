/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * alias - decided answers that are aliases: a CNAME at the hostname, and what
 * named goes on with.
 *
 * An alias is followed as far as named would follow one of its own: inside the
 * zone that it stands in, anywhere for clients that named recurses for; and to
 * hostnames of ours in any case.  A hostname that has nothing but aliases
 * answers every question with one; in a signed zone, whose proofs say which
 * types there are, only if the zone has an alias (CNAME) there, too.
 *
 * Runs on named's workers.  All but alias_finish() inside an RCU section; that
 * one outside, as it may send.
 */
#include <stdbool.h>

#include <ns/query.h>

#include "gtm/decide.h"
#include "plugin/map.h"
#include "plugin/steer.h"

/* True if a question for 'type' at such a hostname is answered by an alias. */
static inline bool alias_for_all(const struct gtm_host *host,
				 dns_rdatatype_t type)
{
	/* DS belongs to the parent */
	return host->all_alias && type != dns_rdatatype_ds;
}

/*
 * At NS_QUERY_SETUP: answers with the alias that 'g' has decided, which is
 * counted already.  STEER_CHAIN: it is in the message, and alias_finish() goes
 * on from there.
 */
enum steer_result alias_answer(const struct view_map *map, struct made *made,
			       query_ctx_t *qctx, const struct place *place,
			       const struct gtm_answer *g,
			       struct send_answer *a);

/*
 * At NS_QUERY_RESPOND_BEGIN (of other types than edit_respond() is for),
 * _RESPOND_ANY_BEGIN, _CNAME_BEGIN and _NODATA_BEGIN, in a zone of named's own:
 * true if the hostname asked for has nothing but aliases; one takes the place
 * of whatever named has found, and alias_finish() goes on.
 */
bool alias_respond(const struct view_map *map, query_ctx_t *qctx);

/*
 * Ends or, where the alias in the message is to be followed, restarts the
 * query.  What the hook returns is in '*resp' (NS_HOOK_RETURN).
 */
void alias_finish(query_ctx_t *qctx, isc_result_t *resp);

/*
 * At NS_QUERY_START_BEGIN, when an alias is to be followed: true if it leads to
 * a hostname of ours, so that named need not look for it anywhere, nor ask
 * another server.  Aliases that are decided on the way are in the message then,
 * and named goes on with the last one's target if that is not ours.
 */
bool alias_ends_chain(const struct view_map *map, query_ctx_t *qctx);
