/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * edit - the last look at a message that named is about to render: wherever
 * records of a hostname stand in it, the decided ones take their place.
 *
 * One rule for all that a message can hold of a hostname: its A and AAAA
 * records in the answer and in additional data (MX, SRV, NS, ANY), the end of
 * a chain of aliases, and address hints of HTTPS and SVCB records that lead to
 * it.  It is applied to what named made from its own zones, and to what this
 * plugin made from an origin's answer.  Records of a signed zone, and what a
 * resolver found elsewhere, stay as they are.
 *
 * Runs on named's workers, inside an RCU section; allocates from the client's
 * message, as named does.
 */
#include <ns/query.h>

#include "cacheproxy/store.h"
#include "plugin/map.h"

/*
 * Whether edit_message() has anything to do in the stored answer 'e'.
 * Found out once for a set of hostnames, and noted.
 */
bool edit_wanted(const struct view_map *map, struct store_entry *e);

/*
 * At NS_QUERY_RESPOND_BEGIN: the RRset that named is about to answer with, if
 * it is a hostname's, becomes the decided one; named need not carry all the
 * placeholders along.  Whatever is no plain case is left to edit_message().
 * True: an alias was decided, and alias_finish() (alias.h) goes on.
 */
bool edit_respond(const struct view_map *map, query_ctx_t *qctx);

/*
 * At NS_QUERY_DONE_SEND: edits the client's message.  Returns ISC_R_SUCCESS, or
 * another result if the client must get SERVFAIL: a hostname's "fail" wants it,
 * or memory is short.
 */
isc_result_t edit_message(const struct view_map *map, query_ctx_t *qctx);

/*
 * Whether the message has anything that edit_message() might change: a quick
 * look, without the configuration.  'plain': the name asked for is known to be
 * no hostname.
 */
bool edit_possible(const query_ctx_t *qctx, bool plain);
