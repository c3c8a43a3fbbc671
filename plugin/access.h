/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * access - the operator's own rules, for answers that named does not make:
 * NS_QUERY_SETUP runs before named checks them, so that we must, with named's
 * functions, settings, log lines and extended errors.
 *
 * Runs on named's workers.
 */
#include <stdbool.h>

#include <dns/acl.h>
#include <ns/query.h>

#include "cacheproxy/store.h"

enum access {
	ACCESS_OK,
	ACCESS_REFUSED, /* qctx is set up: finish with ns_query_done() */
};

/*
 * require-server-cookie, check-names, allow-query, allow-query-on ('query_on',
 * see queryon.h): of the view, since an edge zone has no zone statement.
 */
enum access access_check(query_ctx_t *qctx, dns_acl_t *query_on);

/*
 * No answer but one that says how to get one: BADCOOKIE to who sent a cookie,
 * else a truncated one; with extended error 'ede' and 'text'.  drop: none.
 */
void access_slip(query_ctx_t *qctx, uint16_t ede, const char *text);
void access_drop(query_ctx_t *qctx);

/*
 * Response rate limiting for an answer of 'kind' that counts on the last
 * 'labels' labels of the question name, the root included (a SERVFAIL is
 * limited by named itself).  ACCESS_REFUSED: dropped or slipped.
 */
enum access access_rate(query_ctx_t *qctx, enum store_kind kind,
			unsigned int labels);
