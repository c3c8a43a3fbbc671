/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * decide - which addresses a client gets for a hostname, and why.
 *
 * Pure, no allocation, no lock; any thread.  The same function answers
 * clients, explains, and is driven by scenarios in virtual time.
 *
 * The rule, per family of addresses:
 *  1. A candidate is UP (a fresh value says so, or nobody tests it), NEW (no
 *     value yet), STALE (its value is older than the service's max-age), DOWN
 *     or OUT (drained, or of weight 0).
 *  2. Of the tiers primary, backup, hidden the first with an UP candidate
 *     answers, with its UP candidates.  A tier without one but with a NEW one
 *     answers with the NEW ones: it has not failed, it has not been tested.
 *     Hidden servers do not answer while any other is STALE: it is not known
 *     to have failed.  (So they are never shown because the side-car has just
 *     started, is dying, or has died.)  That others are drained brings them
 *     out: whoever is under attack takes what is attacked out of service.
 *  3. No tier: the "fail" policy.  OPEN: the primary tier as if it were up,
 *     those alone that were not seen to fail if there are any (the newest
 *     value, however old, is not DOWN), else the others, else the drained.
 *     Weight 0 stays out if there is any other.
 *     LAST: the one of primary and backup that was last measured to be up, the
 *     drained and those of weight 0 left out, else as OPEN.  BACKUP: the backup
 *     tier, chosen as OPEN does.  A family that has no candidate in the tier
 *     wanted is answered from the first tier that has one, as OPEN does.
 *  4. Load, among UP candidates only: one at or over its capacity is left out
 *     while another is under.  With weigh.load > 0 only those whose metric is
 *     within GTM_TOLERANCE_PCT of the least stay.
 *  5. Choice among those that are left: servers in proportion to weight (that
 *     of a server is shared by those of its addresses that are left), without
 *     replacement, one address a server before any second one, no address
 *     twice; or, with 'persist', by weighted rendezvous hashing (Thaler and
 *     Ravishankar 1998; -weight/ln(h), Schindelhauer and Schomaker 2005) of the
 *     client's prefix, so that a client stays with its server, and only those
 *     of a server that fails move.  With no more left than 'answers' all are
 *     given, in random order.
 *  6. Scope (RFC 7871 section 7.2.1): 0 unless the client mattered: 'persist',
 *     and more left than 'answers'; else the prefix that was hashed:
 *     GTM_PREFIX_V4 or _V6 bits, or the client's own source prefix if that is
 *     shorter.
 */
#include <stddef.h>
#include <stdint.h>

#include "gtm/world.h"

#define GTM_ANSWERS_MAX 16u
#define GTM_PREFIX_V4	24u
#define GTM_PREFIX_V6	56u
/* Of the least load, in per cent: what is worse by no more is as good. */
#define GTM_TOLERANCE_PCT 10u

/* Who asks: the ECS subnet if there is one of at least a bit, else the
 * resolver. */
struct gtm_client {
	bool v6;
	uint8_t bits; /* 1..32, 1..128; of a whole address all */
	uint8_t address[16];
};

struct gtm_question {
	enum gtm_family family; /* of the records wanted */
	struct gtm_client client;
	uint64_t now_ms; /* the slots' clock */
	uint64_t random; /* uniform bits */
};

enum gtm_outcome { GTM_ADDRESSES, GTM_NODATA, GTM_SERVFAIL };

enum gtm_rule {
	GTM_RULE_UP,	   /* a tier with servers that are up */
	GTM_RULE_NEW,	   /* a tier that was not tested yet */
	GTM_RULE_OPEN,	   /* fail: open */
	GTM_RULE_LAST,	   /* fail: last */
	GTM_RULE_BACKUP,   /* fail: backup */
	GTM_RULE_NODATA,   /* fail: nodata */
	GTM_RULE_SERVFAIL, /* fail: servfail */
	GTM_RULE_EMPTY,	   /* no candidate of this family at all */
	GTM_RULES,
};
extern const char *const gtm_rule_names[GTM_RULES];

struct gtm_answer {
	enum gtm_outcome outcome;
	enum gtm_rule rule;
	uint8_t tier;	/* enum config_tier, of what was chosen; else 0 */
	uint8_t scope;	/* bits */
	uint8_t n;	/* addresses; 0 unless GTM_ADDRESSES */
	uint32_t ttl_s; /* the hostname's, whatever the outcome */
	uint16_t pick[GTM_ANSWERS_MAX]; /* into candidate[family] */
};

/* Why a candidate was or was not among those to choose from. */
enum gtm_verdict {
	GTM_CHOSEN,    /* in this answer */
	GTM_ELIGIBLE,  /* could have been */
	GTM_NOT_UP,    /* down, and another is up */
	GTM_NOT_FRESH, /* stale */
	GTM_NOT_TESTED,
	GTM_DRAINED,
	GTM_NO_WEIGHT,
	GTM_LATER_TIER, /* an earlier tier answers */
	GTM_FULL,	/* at its capacity */
	GTM_COSTLY,	/* more loaded than the tolerance allows */
	GTM_NOT_ASKED,	/* the policy gives no address, or others */
	GTM_VERDICTS,
};
extern const char *const gtm_verdict_names[GTM_VERDICTS];

enum gtm_class { GTM_C_UP, GTM_C_NEW, GTM_C_STALE, GTM_C_DOWN, GTM_C_OUT };
#define GTM_CLASSES 5u
extern const char *const gtm_class_names[GTM_CLASSES];

/* Filled for every candidate of the family; see gtm_decide(). */
struct gtm_trace {
	struct gtm_trace_line {
		enum gtm_verdict verdict;
		uint8_t class;	 /* enum gtm_class */
		uint32_t metric; /* of the newest value; 0: none */
		uint64_t when_ms;
		double share; /* of the choice, 0..1: weight over all weights */
	} line[CONFIG_CHOICE_MAX];
};

/*
 * Decides.  'trace' (NULL is fine) is filled for the host->n[family]
 * candidates; nothing else depends on it.  Counts nothing.
 */
void gtm_decide(const struct gtm_host *host, const struct gtm_question *q,
		struct gtm_answer *answer, struct gtm_trace *trace);

/*
 * Counts an answer that was given: hostname and addresses.  'extra': it was
 * decided for additional data, which counts as GTM_EXTRA alone.
 */
void gtm_decide_count(const struct gtm_host *host, enum gtm_family family,
		      const struct gtm_answer *answer, bool extra);
