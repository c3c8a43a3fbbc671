/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * decide - which addresses a client gets for a hostname, and why.
 *
 * Pure, no allocation, no lock; any thread, in an RCU section if latencies are
 * fed meanwhile.  The same function answers clients, explains, and is driven by
 * scenarios in virtual time.
 *
 * The rule, per family of addresses:
 *  1. A candidate is UP (a fresh value says so, or nobody tests it), NEW (no
 *     value yet), STALE (its value is older than the service's max-age), DOWN
 *     or OUT (drained, in maintenance, of weight 0, or held until somebody
 *     brings it back).  An operator's word, "forced up" or "forced down",
 *     stands over what is measured.  One that needs a server that is down is
 *     DOWN.
 *  2. Of the tiers primary, next, backup, hidden the first with an UP candidate
 *     answers, with its UP candidates.  A tier without one but with a NEW one
 *     answers with the NEW ones: it has not failed, it has not been tested.
 *     A tier of whose weight less than "min-up" is UP or NEW has failed.
 *     Hidden servers do not answer while any other is STALE: it is not known
 *     to have failed.  (So they are never shown because the side-car has just
 *     started, is dying, or has died.)  That others are drained brings them
 *     out: whoever is under attack takes what is attacked out of service.
 *     If no tier answers, those of "else" are tried, and of its "else".
 *  3. None: if too little of some tier was up, but something, the first such
 *     one answers as if all of it were up (PANIC).  Else the "fail" policy:
 *     OPEN: the primary tier as if it were up,
 *     those alone that were not seen to fail if there are any (the newest
 *     value, however old, is not DOWN), else the others, else the drained.
 *     Weight 0 stays out if there is any other.
 *     LAST: the one of primary, next and backup that was last measured to be
 *     up, the drained and those of weight 0 left out, else as OPEN.  BACKUP:
 *     the backup tier, chosen as OPEN does.  A family that has no candidate in
 *     the tier wanted is answered from the first tier that has one, as OPEN
 *     does.
 *  4. Of UP candidates, those at or over their capacity are left out while
 *     another is under.
 *  5. A client that a table says has a server gets that, if it is left.  Else
 *     those that shed load (between "shed" and the capacity, the more the
 *     nearer to it) or have just come back ("slow-start") are left out at
 *     random, so that they get less than their share.
 *  6. A client for whose kind the configuration prefers POPs gets those of the
 *     first of these that has any left; of the others if none has.  (Weights
 *     that it gives for its kind hold instead of the servers' own, in all of
 *     these rules.)
 *  7. Cost, by "weigh": latency to the client (as the configuration says for
 *     its kind; else as measured; else by the distance between where both are),
 *     load, loss and bandwidth of the
 *     POP; each kind that is known of nobody is left out of account; one that
 *     is unknown of some counts for them as "unknown" says.  Those stay that
 *     cost no more than the least and "tolerance" (or, where latency counts,
 *     GTM_SLACK_MS); for one answer in "explore", twice that.  Load, loss and
 *     bandwidth follow the answers, so that all would go to and fro: as far as
 *     the least is made of these, up to five tolerances more are allowed, at
 *     random, or by the client if it keeps its server.  Where nothing is UP
 *     only latency counts.
 *  8. Choice among those that are left: servers in proportion to weight (that
 *     of a server is shared by those of its addresses that are left), without
 *     replacement, one address a server before any second one, no address
 *     twice; or, with 'persist' by hash, by weighted rendezvous hashing (Thaler
 *     and Ravishankar 1998; -weight/ln(h), Schindelhauer and Schomaker 2005) of
 *     the client's prefix, so that a client stays with its server, and only
 *     those of a server that fails move.  With no more left than 'answers' all
 *     are given, in random order, and then those that cost too much, the
 *     cheapest first.  An alias stands alone.
 *  9. Time to live: "ttl"; with "ttl-min" no longer than the state of the
 *     candidates looked at is sure to last, see decide_ttl.c.
 * 10. Scope (RFC 7871 section 7.2.1): the bits of the client's address that
 *     mattered: for its latency, for where it is, and for 'persist'
 * (GTM_PREFIX_V4 or _V6 bits, or the client's own source prefix if that is
 * shorter); 0 if none did.
 */
#include <stddef.h>
#include <stdint.h>

#include "gtm/client.h"
#include "gtm/persist.h"
#include "gtm/world.h"

#define GTM_ANSWERS_MAX 16u
#define GTM_PREFIX_V4	24u
#define GTM_PREFIX_V6	56u
/* Round trips that differ by no more are as good as each other. */
#define GTM_SLACK_MS 1.0f

struct gtm_question {
	enum gtm_family family; /* of the records wanted */
	struct gtm_client client;
	uint64_t now_ms;		   /* the slots' clock */
	uint64_t random;		   /* uniform bits */
	const struct gtm_persist *persist; /* NULL: no table */
	const struct gtm_clients *clients; /* NULL: no map */
};

enum gtm_outcome { GTM_ADDRESSES, GTM_ALIAS, GTM_NODATA, GTM_SERVFAIL };

enum gtm_rule {
	GTM_RULE_UP,	   /* a tier with servers that are up */
	GTM_RULE_NEW,	   /* a tier that was not tested yet */
	GTM_RULE_OPEN,	   /* fail: open */
	GTM_RULE_LAST,	   /* fail: last */
	GTM_RULE_BACKUP,   /* fail: backup */
	GTM_RULE_PANIC,	   /* too little is up: health is ignored */
	GTM_RULE_NODATA,   /* fail: nodata */
	GTM_RULE_SERVFAIL, /* fail: servfail */
	GTM_RULE_EMPTY,	   /* no candidate of this family at all */
	GTM_RULES,
};
extern const char *const gtm_rule_names[GTM_RULES];

struct gtm_answer {
	enum gtm_outcome outcome;
	enum gtm_rule rule;
	uint8_t tier;	 /* enum config_tier, of what was chosen; else 0 */
	uint8_t scope;	 /* bits */
	uint8_t n;	 /* addresses, or 1 alias; else 0 */
	bool explored;	 /* with twice the tolerance, to see others */
	bool kept;	 /* the client's table entry chose it */
	bool unmeasured; /* some latency to the client was wanted, not known */
	uint32_t ttl_s;	 /* whatever the outcome */
	const struct gtm_host *host;	/* whose candidates: the one asked for,
					   or the one that stands in */
	uint16_t pick[GTM_ANSWERS_MAX]; /* into host->candidate[family] */
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
	GTM_LATER_TIER,	 /* an earlier tier answers */
	GTM_FULL,	 /* at its capacity */
	GTM_COSTLY,	 /* costs more than the tolerance allows */
	GTM_NOT_ASKED,	 /* the policy gives no address, or others */
	GTM_TOO_FEW,	 /* too little of its tier is up */
	GTM_THINNED,	 /* sheds load, or starts slowly: not this time */
	GTM_KEPT,	 /* the client has another one */
	GTM_HELD,	 /* failed, and is to be brought back by hand */
	GTM_NEED_DOWN,	 /* a server that it needs is down */
	GTM_UNPREFERRED, /* the client's rule prefers another POP */
	GTM_POP_GONE,	 /* its POP is not reached */
	GTM_VERDICTS,
};
extern const char *const gtm_verdict_names[GTM_VERDICTS];

enum gtm_class { GTM_C_UP, GTM_C_NEW, GTM_C_STALE, GTM_C_DOWN, GTM_C_OUT };
#define GTM_CLASSES 5u
extern const char *const gtm_class_names[GTM_CLASSES];

/* How the latency of a POP is known. */
enum gtm_basis {
	GTM_BASIS_NONE,
	GTM_BASIS_MEASURED,
	GTM_BASIS_STATIC,  /* by the configuration */
	GTM_BASIS_GUESSED, /* by where the client and the POP are */
	GTM_BASES,
};
extern const char *const gtm_basis_names[GTM_BASES];

/* Filled for every candidate of the family; see gtm_decide(). */
struct gtm_trace {
	const struct gtm_host *host; /* as in the answer */
	uint32_t n;		     /* its candidates of the family */
	struct gtm_trace_line {
		enum gtm_verdict verdict;
		uint8_t class;	 /* enum gtm_class */
		uint32_t metric; /* of the newest value; 0: none */
		uint64_t when_ms;
		double share; /* of the choice, 0..1: weight over all weights */
		/* less than 0: unknown, or not compared */
		float cost, latency_ms, load, loss, bandwidth;
		bool luck; /* with other random bits it might be eligible */
		enum gtm_basis basis;	 /* of the latency */
		uint32_t latency_age_ms; /* if that was measured */
		uint32_t weight;	 /* for this client */
	} line[CONFIG_CHOICE_MAX];
};

/*
 * Decides.  'trace' (NULL is fine) is filled for the candidates of the family;
 * nothing else depends on it.  Counts nothing, and keeps nothing in a table.
 */
void gtm_decide(const struct gtm_host *host, const struct gtm_question *q,
		struct gtm_answer *answer, struct gtm_trace *trace);

/*
 * Counts an answer that was given: hostname and addresses.  'extra': it was
 * decided for additional data, which counts as GTM_EXTRA alone.
 */
void gtm_decide_count(const struct gtm_host *host, enum gtm_family family,
		      const struct gtm_answer *answer, bool extra);

/*
 * The key of a hostname and a client in a table of clients, and its time; what
 * to keep there once an answer was given: see gtm_decide_keep().
 */
uint64_t gtm_persist_key(const struct gtm_host *host,
			 const struct gtm_client *client);
static inline uint32_t gtm_persist_now_s(uint64_t now_ms)
{
	return GTM_PERSIST_EPOCH + (uint32_t)(now_ms / 1000);
}

/*
 * Keeps what was given in answer to 'q' in the table, if the hostname keeps its
 * clients by one.
 */
void gtm_decide_keep(struct gtm_persist *table, const struct gtm_question *q,
		     const struct gtm_answer *answer);
