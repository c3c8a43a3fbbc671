/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * names - the set of all names that exist in a zone, in six octets each and a
 * little more, to tell what does not exist without asking an origin.
 *
 * A name is kept as a fingerprint (a keyed hash, of which 32 bits are stored
 * and those above tell the bucket) with the number of records at or below it,
 * so that it exists while that is not 0, empty non-terminals included (RFC
 * 8020), and with the number of those that make a cut (NS below the apex,
 * DNAME).  Names that share a fingerprint share the counts, which are sums:
 * nothing is lost when one of them goes.  A count that reaches its limit stays
 * there.  So the set errs on one side: what it says is missing is missing.
 *
 * Whoever has a set sees to it that nobody reads it while it is changed.
 *
 * Pure but for malloc.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/dname.h"

struct names;
struct names_list;

/* What an answer that denies a name has to say of the zone. */
struct names_soa {
	uint32_t serial, refresh_s, expire_s, minimum_s;
	uint32_t ttl_s;
	uint16_t n;
	uint8_t rdata[2 * DNAME_WIRE_MAX + 20]; /* without compression */
};

/*
 * Reads the rdata of a SOA record.  0; or -EBADMSG, leaving '*soa' as it was.
 */
int names_soa_read(const uint8_t *rdata, size_t n, uint32_t ttl_s,
		   struct names_soa *soa);

/*
 * A list of records that came and went, of which only hashes are kept: of a
 * whole zone, or of a difference.  'seed' (secret) must be the set's; at most
 * 'octets_max' of memory.  0 or -ENOMEM.
 */
int names_list_new(const struct dname *apex, uint64_t seed, size_t octets_max,
		   struct names_list **listp);
void names_list_free(struct names_list *list); /* NULL is fine */

/*
 * Adds a record of 'owner' (uncompressed wire form, any case).  0; -E2BIG
 * (beyond octets_max), -ENOMEM, -EINVAL (not in the zone; nothing was added).
 */
int names_list_add(struct names_list *list, const uint8_t *owner, size_t n,
		   uint16_t type, bool came);

/*
 * The set of what is on 'list' (which is put in order), as of 'soa'.  Takes
 * the time of a sort.  0 and '*namesp'; or -ENOMEM, -EBADMSG (something on it
 * went).
 */
int names_new(struct names_list *list, const struct names_soa *soa,
	      struct names **namesp);
void names_free(struct names *names); /* NULL is fine */

/*
 * Applies a difference to a set that nobody reads.  0; -ENOMEM or -EBADMSG
 * (something went that was not there): then the set is not to be used any
 * more.
 */
int names_apply(struct names *names, struct names_list *list,
		const struct names_soa *soa);

enum names_word {
	NAMES_MAY,	/* it may exist, or lies below a cut */
	NAMES_NOT,	/* it does not exist */
	NAMES_WILDCARD, /* it does not; a wildcard stands in for it */
};

/*
 * What is known of 'name' ('n' octets, lower case, in the zone).
 * With NAMES_WILDCARD, '*above' is set to the octets of the closest encloser,
 * the last of 'name'.
 */
enum names_word names_find(const struct names *names, const uint8_t *name,
			   size_t n, size_t *above);

/*
 * True if 'name' (as above) is in the set itself: neither by a wildcard's grace
 * nor below a cut.
 */
bool names_has(const struct names *names, const uint8_t *name, size_t n);

/* The SOA of the version that the set is of. */
const struct names_soa *names_soa(const struct names *names);

/* Names in the set; octets that it takes. */
uint64_t names_count(const struct names *names);
uint64_t names_bytes(const struct names *names);
