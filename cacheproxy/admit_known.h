/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * admit_known - prefixes of clients that are known to be good, in a little
 * less than five octets each: what they have proven (TCP, a valid cookie) or
 * shown (questions within normal, day after day) counts less from day to day,
 * and is forgotten.
 *
 * A prefix has a place in one of two buckets of 16 (Azar et al., Balanced
 * Allocations, 1994), as a fingerprint of 20 bits with the score and the day
 * of its last question: of 30,000 that never came, one is taken for known.  A
 * bucket is a line of memory.
 *
 * Pure but for malloc and the pages of a large table: days are an argument.
 * Any thread, at any time; one atomic word a prefix, no lock.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct admit_known;

/* A table for 'prefixes' (1..2^28); 'seed': secret.  0 or -ENOMEM. */
int admit_known_new(uint32_t prefixes, uint64_t seed,
		    struct admit_known **knownp);
void admit_known_free(struct admit_known *known); /* NULL is fine */

/*
 * A prefix as a number: /24 of the four octets of an IPv4 address, /56 of the
 * sixteen of an IPv6 address.
 */
uint64_t admit_prefix(const uint8_t *address, bool v6);

/* True if it is known to be good; 'day': since 1970. */
bool admit_known_is(const struct admit_known *known, uint64_t prefix,
		    uint32_t day);

/*
 * It has proven that it is no forgery.  A proof is cheap for who has many
 * prefixes (of IPv6: a network of /32 has as many as the table has places), so
 * those that come day after day are worth more, and nobody's first proof
 * pushes one of them out; with 'push', one that is worth no more than it is.
 * False: it has no place.
 */
bool admit_known_prove(struct admit_known *known, uint64_t prefix, uint32_t day,
		       bool push);

/*
 * It asked within normal.  False: it has no place; with 'add', it found none,
 * as only those that have proven something push others out.
 */
bool admit_known_seen(struct admit_known *known, uint64_t prefix, uint32_t day,
		      bool add);

/* Places taken; octets of memory; the seed. */
uint64_t admit_known_count(const struct admit_known *known);
uint64_t admit_known_bytes(const struct admit_known *known);
uint64_t admit_known_seed(const struct admit_known *known);

/*
 * The table as it is kept: 'n' words from '*at' on into 'to', in no byte order
 * but the machine's own.  Returns how many there were; 0: that was all.
 */
size_t admit_known_save(const struct admit_known *known, size_t *at,
			uint32_t *to, size_t n);

/* How many words there are in all: a table of another size has another. */
size_t admit_known_words(const struct admit_known *known);

/* Puts words back, as saved from '*at' on, in a table that nobody reads. */
void admit_known_load(struct admit_known *known, size_t *at,
		      const uint32_t *from, size_t n);

/* Frees the places of those that are forgotten: 'n' words, from '*at' on. */
void admit_known_sweep(struct admit_known *known, size_t *at, size_t n,
		       uint32_t day);
