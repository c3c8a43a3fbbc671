/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * steer - answers of traffic management at NS_QUERY_SETUP: hostnames in
 * domains that are declared and in edge zones, and whatever else is asked of a
 * declared domain.  Answers are made as wires, to be sent by send.h like those
 * from memory.
 *
 * Runs on named's workers, inside an RCU section; neither allocates nor takes
 * a lock.
 */
#include <stdbool.h>

#include <ns/query.h>

#include "gtm/decide.h"
#include "plugin/made.h"
#include "plugin/map.h"
#include "plugin/sign.h"

enum steer_result {
	STEER_ANSWER,  /* '*a' is filled; it points into '*made' */
	STEER_FAIL,    /* SERVFAIL, as the hostname's "fail" wants it */
	STEER_CHAIN,   /* an alias is in the message: alias_finish() goes on */
	STEER_LIMITED, /* by the response rate limit */
};

/* True if a question for 'type' at a hostname is answered by a decision. */
static inline bool steer_decides(dns_rdatatype_t type)
{
	return type == dns_rdatatype_a || type == dns_rdatatype_aaaa;
}

/* Decides for this client. */
void steer_decide(const query_ctx_t *qctx, const struct gtm_host *host,
		  enum gtm_family family, struct gtm_answer *answer);

/*
 * Decides for this client in a signed zone of named's, whose database 'db' is:
 * only what is signed is given, an alias included.  While the signature of what
 * was decided is being made, another answer that the policy allows as well is
 * taken: drawn again, or some of the addresses drawn.  False: the zone's own
 * records are to be served, or with 'answer->outcome' GTM_SERVFAIL none.  The
 * set is good within the RCU section.
 */
bool steer_decide_signed(const query_ctx_t *qctx, const dns_db_t *db,
			 const struct gtm_host *host, enum gtm_family family,
			 struct gtm_answer *answer,
			 const struct sign_set **setp);

/*
 * The answer is given: counts, and sets the scope of the client's subnet
 * option (RFC 7871 section 7.2.1).  'extra': for additional data.
 */
void steer_count(query_ctx_t *qctx, const struct gtm_host *host,
		 enum gtm_family family, bool extra,
		 const struct gtm_answer *answer);

/*
 * Decides and counts, if the question is for a hostname that is only tried;
 * nothing else comes of it.
 */
void steer_try(const query_ctx_t *qctx, const struct view_map *map);

/* Answers A or AAAA (an alias: any type) at a hostname; NODATA has the domain's
 * SOA, if any. */
enum steer_result steer_host(const struct view_map *map, struct made *made,
			     query_ctx_t *qctx, const struct place *place,
			     struct send_answer *a);

/*
 * Answers any question in a declared domain, at 'place' ('exact') or below
 * it.
 */
enum steer_result steer_domain(const struct view_map *map, struct made *made,
			       query_ctx_t *qctx, const struct place *place,
			       bool exact, struct send_answer *a);
