/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * proofs - what an origin has proven not to exist: the NSEC and NSEC3 records
 * of one signed zone, in the order of their owners, as its answers brought
 * them; and what they prove of other questions (RFC 8198, aggressive use).
 *
 * Only records that the zone itself has signed count, never those of a parent
 * or a child; nothing is concluded from a span with opt-out, nor below a cut
 * or a DNAME, nor of a name that a wildcard may stand in for, unless the
 * wildcard's own record says that the type is not there.  Signatures are not
 * checked: the origin is trusted here as for its other answers, and whoever
 * validates does so with what is given.
 *
 * One writer (the engine); readers are inside rcu_enter()/rcu_leave() and
 * neither lock nor wait.  Time is an argument, as the store has it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/dname.h"

#define PROOFS_RECORDS_MAX 8192u /* octets of one set with its signatures */

struct proofs;
struct proof;

/* Memory that all zones have together for this; any thread may read it. */
struct proofs_pool {
	_Atomic uint64_t bytes, limit_bytes;
	uint64_t seed; /* random, secret: who asks shall not choose the order */
	struct proofs *at, *most; /* the writer's; NULL while there are none */
};

/*
 * An RRset (SOA, NSEC or NSEC3) with its signatures: records one after the
 * other, each as type, TTL, length of its rdata (16, 32 and 16 bits, network
 * order), rdata without compression.  The first is the one that is proven by
 * the others.
 */
struct proofs_set {
	const uint8_t *owner; /* uncompressed wire form, any case */
	size_t owner_n;
	const uint8_t *records;
	size_t n;	/* octets of records, at most PROOFS_RECORDS_MAX */
	uint32_t ttl_s; /* may be used so long, and within the SOA's MINIMUM */
};

/* Writer: 0 or -ENOMEM.  'pool' outlives it. */
int proofs_new(const struct dname *apex, struct proofs_pool *pool,
	       struct proofs **proofsp);

/* Writer: nothing is learnt any more; before proofs_free(). */
void proofs_leave(struct proofs *proofs);

/*
 * Frees 'n' sets; with the last, all.  Returns NULL then, else 'proofs', which
 * is good for nothing but another call.  No reader is left; any thread; NULL is
 * fine.
 */
struct proofs *proofs_free(struct proofs *proofs, size_t n);

/*
 * Writer: keeps 'set', in place of an older one of that owner.  Where memory
 * is short, the oldest go of the zone that has most, some at a time; if these
 * are not enough, 'set' is not kept.  0; -EINVAL (not such a set, or an NSEC3
 * record with other parameters than those that are kept and were seen in the
 * last five minutes, of an origin that differs: nothing changed); -ENOMEM;
 * -ESTALE: with other parameters, and it is long ago: begin anew.
 */
int proofs_learn(struct proofs *proofs, const struct proofs_set *set,
		 uint32_t now_s);

/* Writer: withdraws what is too old, 'n' sets at most; returns how many. */
size_t proofs_sweep(struct proofs *proofs, uint32_t now_s, size_t n);

/*
 * Writer: hands over what was withdrawn since the last call, with 'more' of
 * that kind behind it.  After a grace period, pass it to
 * proofs_retired_free(), any thread, which frees 'n' of them and returns the
 * rest.
 */
struct proof *proofs_retired(struct proofs *proofs, struct proof *more);
struct proof *proofs_retired_free(struct proof *list, size_t n);

enum proofs_word {
	PROOFS_NONE,	 /* nothing is proven */
	PROOFS_NXDOMAIN, /* the name does not exist */
	PROOFS_NODATA,	 /* it, or a wildcard for it, has no such type */
};

#define PROOFS_MAX 3u /* records that one answer needs */

struct proofs_found {
	enum proofs_word word;
	uint32_t ttl_s;		 /* until the first of them is too old */
	const struct proof *soa; /* PROOFS_NONE: these are not set */
	const struct proof *proof[PROOFS_MAX];
	size_t n;
};

/*
 * Reader: what is proven of 'name' ('n' octets, lower case, in the zone) and
 * 'qtype'.  What '*found' points to is valid until rcu_leave().
 */
void proofs_find(const struct proofs *proofs, const uint8_t *name, size_t n,
		 uint16_t qtype, uint32_t now_s, struct proofs_found *found);

/* What a proof consists of, as it was learnt. */
void proof_read(const struct proof *proof, struct proofs_set *set);

/* Sets that are kept. Any thread. */
uint64_t proofs_count(const struct proofs *proofs);
