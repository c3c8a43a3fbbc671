/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * proofs_int - what the halves of 'proofs' share: the ordered lists (proofs.c)
 * and what follows from them (proofs_find.c).  Nobody else includes this.
 *
 * Keys are such that their octets' order is that of the chain.  For NSEC: the
 * labels below the apex, the highest first, each ended by an octet 0 (0 and 1
 * within a label become two octets), which is the canonical order of RFC 4034
 * section 6.1; so a name above another has a key that the other's begins with.
 * For NSEC3: the hash.
 */
#include <stdatomic.h>

#include "cacheproxy/proofs.h"

#define PROOFS_KEY_MAX	  512u
#define PROOFS_HEIGHT_MAX 12u
#define PROOFS_HASH_MAX	  20u /* SHA-1, the only one there is */

#define PROOFS_NS    2u
#define PROOFS_CNAME 5u
#define PROOFS_SOA   6u
#define PROOFS_SIG   24u
#define PROOFS_DNAME 39u
#define PROOFS_DS    43u
#define PROOFS_RRSIG 46u
#define PROOFS_NSEC  47u
#define PROOFS_NSEC3 50u

struct proof {
	/* the writer's */
	struct proof *newer; /* by age; retired: the next of these */
	struct proof *older;
	uint32_t size; /* of this, with malloc's header */
	/* constant */
	uint32_t expires_s;
	uint16_t key_n, end_n, types_n, records_n;
	uint8_t owner_n, height;
	bool nsec3, opt_out;
	struct proof *_Atomic next[]; /* then the octets of all these */
};

/* Owner, its key, the key that the span ends before, types, records. */
static inline const uint8_t *proof_octets(const struct proof *p)
{
	return (const uint8_t *)(p->next + p->height);
}

static inline const uint8_t *proof_key(const struct proof *p)
{
	return proof_octets(p) + p->owner_n;
}

static inline const uint8_t *proof_end(const struct proof *p)
{
	return proof_key(p) + p->key_n;
}

static inline const uint8_t *proof_types(const struct proof *p)
{
	return proof_end(p) + p->end_n;
}

static inline const uint8_t *proof_records(const struct proof *p)
{
	return proof_types(p) + p->types_n;
}

/* How the names of an NSEC3 chain are hashed; constant once it has a record. */
struct proofs_hashing {
	uint16_t iterations;
	uint8_t salt_n, n; /* n: octets of a hash; 0: not known */
	uint8_t salt[255];
};

struct proofs_list {
	struct proof *_Atomic first[PROOFS_HEIGHT_MAX];
};

struct proofs {
	struct dname apex;
	struct proofs_pool *pool;
	struct proofs_list nsec, nsec3;
	struct proofs_hashing hashing;
	struct proof *_Atomic soa;
	uint32_t minimum_s; /* the writer's: of the last SOA */
	_Atomic uint64_t n;
	struct proof *newest, *oldest; /* without the SOA */
	struct proof *retired, *retired_last;
	/* the writer's */
	struct proofs *next, *before; /* of the pool, in a ring */
	uint64_t bytes;		      /* of its sets */
	uint32_t hashing_s;	      /* when 'hashing' was last seen */
};

/*
 * Writes the key of 'name' (lower case, in the zone) for the NSEC chain to
 * 'key' (PROOFS_KEY_MAX octets); returns its octets.
 */
size_t proofs_key(const struct dname *apex, const uint8_t *name, size_t n,
		  uint8_t *key);

/* Order of two keys. */
int proofs_compare(const uint8_t *a, size_t a_n, const uint8_t *b, size_t b_n);

/* The last proof whose key is not after 'key'; NULL: there is none. */
struct proof *proofs_floor(const struct proofs_list *list, const uint8_t *key,
			   size_t n);

/* The last of all, or NULL. */
struct proof *proofs_last(const struct proofs_list *list);
