/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * message - the message path: puts the records of a stored wire into a
 * client's message, for named to render.  Runs on named's workers.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ns/query.h>

struct message_source {
	const uint8_t *wire; /* as stored, header counts not yet patched */
	size_t n;
	uint16_t count[3];
	uint32_t age_s;
	bool stale;
	uint32_t stale_ttl_s;
	uint32_t turn;	      /* for cyclic order: counts answers */
	bool first_type_only; /* minimal-any: the first type of the answer */
	bool keep_order;      /* not the view's: it has been decided */
	bool edit;	      /* for edit.h to look at: data of a zone */
};

/*
 * Fills the sections of the client's message.  All is copied: the source may
 * go when this returns.  An error leaves the message fit for an error answer.
 */
isc_result_t message_fill(query_ctx_t *qctx,
			  const struct message_source *source);
