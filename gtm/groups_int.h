/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * groups_int - what groups.c and groups_save.c share, and nobody else uses.
 */
#include <stdatomic.h>

#include "gtm/groups.h"

#define GROUPS_V6	  256u	/* in row.what */
#define GROUPS_V6_LENGTHS 8192u /* sets of lengths */
#define GROUPS_WANTED	  4096u

struct row {
	_Atomic uint64_t high, low;  /* the prefix; its other bits are 0 */
	_Atomic uint32_t generation; /* odd: being changed */
	_Atomic uint32_t next;	     /* in the bucket: row + 1; 0: none */
	_Atomic uint16_t what;	     /* length, GROUPS_V6 */
	_Atomic uint16_t used;	     /* when it was asked for: USED_MS */
	_Atomic uint32_t cell[];     /* tenths << 16 | minute; 0: nothing */
};

/* Lengths of prefixes in use, as bits. */
struct lengths {
	_Atomic uint64_t bits[2];
};

struct gtm_groups {
	_Atomic uint32_t refs;
	_Atomic uint32_t n; /* rows in use */
	uint32_t max, columns, named, mask;
	uint32_t hand, swept, taken;
	uint64_t evicted;
	size_t row_size;
	uint8_t *rows;
	_Atomic uint32_t *bucket; /* row + 1 */
	char **pop;		  /* of each column */
	_Atomic bool has_128;
	struct lengths short_v4, short_v6;
	struct lengths v4[65536], v6[GROUPS_V6_LENGTHS];
	_Atomic uint64_t wanted[GROUPS_WANTED];
};

static inline struct row *groups_row(const struct gtm_groups *g, uint32_t at)
{
	return (struct row *)(void *)(g->rows + (size_t)at * g->row_size);
}

static inline uint64_t groups_load64(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}
