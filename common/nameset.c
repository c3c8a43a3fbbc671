/* SPDX-License-Identifier: MPL-2.0 */
#include "common/nameset.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/fold.h"

#define SHORT 8u /* octets: what fold.h wants of a name at least */

/* A place of the table, which has open addressing. */
struct slot {
	uint32_t tag;	/* of the hash */
	uint16_t n;	/* octets of the name; 0: empty */
	uint16_t spare; /* zero */
	uint32_t at;	/* of the name in 'names' */
	uint32_t index; /* of the value */
};

struct nameset {
	uint64_t seed;
	unsigned int shift;
	size_t mask;
	struct slot *slot;
	void **value;
	uint8_t *names; /* folded, each with zeros before it if it is short */
};

/*
 * 'p' has at least SHORT octets, the first of which may be zeros put before a
 * name.
 */
static uint64_t hash_of(uint64_t h, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;

	h ^= n;
	for (; n > 8; n -= 8, p += 8)
		h = fold_hash(h, fold_load8(p));
	return fold_hash(h, fold_word_at(p, n, end));
}

/* Octets that 'n' octets of a name take, zeros before it included. */
static size_t padded(size_t n)
{
	return n < SHORT ? SHORT : n;
}

static void slot_add(struct nameset *set, const struct dname *name, size_t at,
		     size_t index)
{
	uint8_t *to = set->names + at;
	size_t n = padded(name->n);

	memcpy(to + n - name->n, name->wire, name->n);
	uint64_t h = hash_of(set->seed, to, n);
	size_t i = h >> set->shift;
	while (set->slot[i].n != 0)
		i = (i + 1) & set->mask;
	set->slot[i] = (struct slot){ .tag = (uint32_t)h,
				      .n = (uint16_t)n,
				      .at = (uint32_t)at,
				      .index = (uint32_t)index };
}

static bool tables_new(struct nameset *set, size_t n, size_t octets)
{
	unsigned int bits = 1;

	while ((size_t)1 << bits < 2 * n)
		bits++;
	set->shift = 64 - bits;
	set->mask = ((size_t)1 << bits) - 1;
	set->slot = calloc((size_t)1 << bits, sizeof(*set->slot));
	set->value = calloc(n + 1, sizeof(*set->value));
	set->names = calloc(1, octets + SHORT);
	return set->slot != NULL && set->value != NULL && set->names != NULL;
}

int nameset_new(const struct dname *const *names, void *const *values, size_t n,
		uint64_t seed, struct nameset **setp)
{
	size_t octets = 0;

	if (n > NAMESET_MAX)
		return -E2BIG;
	for (size_t i = 0; i < n; i++)
		octets += padded(names[i]->n);
	struct nameset *set = calloc(1, sizeof(*set));
	if (set == NULL)
		return -ENOMEM;
	set->seed = seed;
	if (!tables_new(set, n, octets)) {
		nameset_free(set);
		return -ENOMEM;
	}
	octets = 0;
	for (size_t i = 0; i < n; i++) {
		set->value[i] = values[i];
		slot_add(set, names[i], octets, i);
		octets += padded(names[i]->n);
	}
	*setp = set;
	return 0;
}

void nameset_free(struct nameset *set)
{
	if (set == NULL)
		return;
	free(set->slot);
	free(set->value);
	free(set->names);
	free(set);
}

void *nameset_find(const struct nameset *set, const uint8_t *name, size_t n)
{
	uint8_t copy[SHORT] = { 0 };

	if (n == 0 || n > DNAME_WIRE_MAX)
		return NULL;
	if (n < SHORT) {
		memcpy(copy + SHORT - n, name, n);
		name = copy;
		n = SHORT;
	}

	uint64_t h = hash_of(set->seed, name, n);
	for (size_t i = h >> set->shift; set->slot[i].n != 0;
	     i = (i + 1) & set->mask) {
		const struct slot *slot = &set->slot[i];
		if (slot->tag == (uint32_t)h && slot->n == n &&
		    fold_equal(name, name + n, set->names + slot->at, n))
			return set->value[slot->index];
	}
	return NULL;
}
