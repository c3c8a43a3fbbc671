/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * fold - names compared eight octets at a time, without regard to case (RFC
 * 4343): A-Z are a-z, every other octet is itself.
 *
 * Pure.
 */
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FOLD_OCTETS(v) (UINT64_C(0x0101010101010101) * (v))

/* Eight octets as a number whose lowest octet is the first. */
static inline uint64_t fold_load8(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return le64toh(w);
}

/* Folds A-Z in eight octets at once; others, also above 127, stay. */
static inline uint64_t fold8(uint64_t w)
{
	uint64_t low = w & FOLD_OCTETS(0x7f);
	uint64_t above_z = low + FOLD_OCTETS(0x7f - 'Z');
	uint64_t from_a = low + FOLD_OCTETS(0x80 - 'A');

	return w | ((from_a ^ above_z) & ~w & FOLD_OCTETS(0x80)) >> 2;
}

/*
 * The 'n' octets (1..8) at 'p', the rest zero.  'end' is that of a name of at
 * least 8 octets that they are in, so that a whole word can be read.
 */
static inline uint64_t fold_word_at(const uint8_t *p, size_t n,
				    const uint8_t *end)
{
	uint64_t w = end - p >= 8 ? fold_load8(p)
				  : fold_load8(end - 8) >> 8 * (8 - (end - p));

	return w & ~UINT64_C(0) >> 8 * (8 - n);
}

/*
 * Compares the 'n' octets before 'end' of a name as above, from 'p' on, any
 * case, with as many folded ones, after which there are 7 more.
 */
static inline bool fold_equal(const uint8_t *p, const uint8_t *end,
			      const uint8_t *folded, size_t n)
{
	for (; n > 8; n -= 8, p += 8, folded += 8)
		if (fold8(fold_load8(p)) != fold_load8(folded))
			return false;

	uint64_t w = fold_load8(folded) & ~UINT64_C(0) >> 8 * (8 - n);
	return fold8(fold_word_at(p, n, end)) == w;
}

/*
 * Takes eight octets into a hash that knows no bit 0x20, and so no case.  That
 * other octets than letters meet as well is no matter to whoever compares.
 */
static inline uint64_t fold_hash(uint64_t h, uint64_t w)
{
	h = (h ^ (w & ~FOLD_OCTETS(0x20))) * UINT64_C(0x9fb21c651e98df25);
	return h ^ h >> 32;
}
