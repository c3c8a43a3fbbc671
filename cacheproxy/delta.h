/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * delta - a difference between two versions of a zone, and which stored
 * answers it makes wrong.
 *
 * An answer stays right unless one of the names that were looked up for it
 * is looked up differently now.  Those names are the question's, every owner
 * in the answer, and every name in its records that is looked up in turn
 * (targets of aliases, servers, exchangers).  A look-up of name n changes only
 * if
 *   - records of n itself changed (at the apex: of a type that the answer
 *     holds or asks for, but for the SOA in an authority section, which may
 *     stay until its TTL is over);
 *   - NS, DS or DNAME records of a name above n changed;
 *   - "*.a" changed, for some name a above n, and n has no records in the
 *     answer, or has one that was taken from "*.a";
 *   - a name at or above n came or went (or may have: as the owner of a
 *     changed record, or as an empty non-terminal above one), and there is a
 *     wildcard beside that name, which applied to n or applies now; without
 *     one, only denials of the very name that came or went.
 * Proofs of denial (NSEC, NSEC3) need no rule of their own: an answer holds
 * the records that prove it, and is right as long as these are unchanged.
 *
 * Pure.  One thread at a time, also for delta_touches(), which has room for
 * its work in the object.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/dname.h"

struct delta;

/* One record of a difference. */
struct delta_record {
	const uint8_t *owner; /* uncompressed wire form, any case */
	size_t owner_n;
	uint16_t type;
	uint16_t covers; /* of an RRSIG, else 0 */
	uint32_t ttl_s;
	const uint8_t *rdata; /* without compression */
	size_t rdata_n;
};

/*
 * An empty difference of the zone 'apex' that holds at most 'owners_max' names
 * (1..2^24).  0 or -ENOMEM.
 */
int delta_new(const struct dname *apex, size_t owners_max,
	      struct delta **deltap);
void delta_free(struct delta *delta); /* NULL is fine */

/*
 * Adds a record that came ('added') or went.  0; -E2BIG (too many names),
 * -ENOMEM, -EINVAL (not a name of the zone): then the difference is of no use.
 */
int delta_add(struct delta *delta, const struct delta_record *record,
	      bool added);

/* Ends the step from one serial to the next: all steps are to be ended. */
void delta_step(struct delta *delta);

/*
 * Names whose wildcard ("*." before them) matters and may exist: calls 'each'
 * for at most 'max' of them, and returns how many there are.  Until told by
 * delta_no_wildcard(), a difference takes each of them to exist.
 */
size_t delta_wildcards(const struct delta *delta, size_t max,
		       void (*each)(void *arg, const uint8_t *name, size_t n),
		       void *arg);
void delta_no_wildcard(struct delta *delta, const uint8_t *name, size_t n);

size_t delta_owners(const struct delta *delta); /* names with changes */

/* A stored answer: its question, in lower case; and its fullest message. */
struct delta_answer {
	const uint8_t *name;
	size_t name_n;
	uint16_t qtype;
	const uint8_t *msg; /* as libdns rendered it; NULL: none */
	size_t n;
};

/*
 * True unless the answer is right in both versions.  What cannot be read, or
 * has too many names, counts as touched.
 */
bool delta_touches(struct delta *delta, const struct delta_answer *answer);
