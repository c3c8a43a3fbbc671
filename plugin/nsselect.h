/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * nsselect - NS records that are decided: of the name servers of a delegation,
 * or of a zone's apex, a client gets those that are best for it, and only their
 * addresses with them.
 *
 * What is left is always part of what the zone has, and at least one: so a
 * referral stays one whatever is decided.  DS and NSEC records beside it stay;
 * NS records that have signatures (an apex in a signed zone) are left alone.
 *
 * Runs on named's workers, inside an RCU section.
 */
#include <stdbool.h>

#include <ns/query.h>

#include "gtm/decide.h"
#include "plugin/map.h"

/* A quick look at the message: true if it has NS records of a zone. */
bool nsselect_possible(const query_ctx_t *qctx);

/* At NS_QUERY_DONE_SEND: leaves the decided ones in the message. */
isc_result_t nsselect_message(const struct view_map *map, query_ctx_t *qctx);

/* The name servers that a decision allows, by their server. */
struct nsselect {
	const struct gtm_host *host; /* NULL: all of them */
	enum gtm_family family;
	struct gtm_answer g;
};

/* Decides for 'owner' (uncompressed wire form), and counts. */
void nsselect_decide(const struct view_map *map, query_ctx_t *qctx,
		     const uint8_t *owner, size_t n, bool extra,
		     struct nsselect *out);

/* True if 'name' (uncompressed wire form, any case) is among them. */
bool nsselect_has(const struct nsselect *s, const uint8_t *name, size_t n);
