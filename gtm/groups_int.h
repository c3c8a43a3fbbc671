/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * groups_int - what the parts of 'groups' share.  Nobody else includes this.
 *
 * Nodes are numbered: those below 'rows' are groups, and have the number of
 * their row; the others ("glue") are forks where no group is.  A reference to
 * a node is its number, and in the low octet the bit at which it forks, which
 * of a group is its length.  No two nodes of a path fork at one bit; what is
 * below a node shares all the bits before its fork.  Glue has two children.
 *
 * A walk is blind: it goes by the client's bits and compares at its end alone,
 * with the last group that it met.  The first bit in which that one and the
 * client differ is where the client leaves all that is there: groups met that
 * are no longer than this hold the client, the others do not.
 */
#include "gtm/groups.h"

#include "common/rcu.h"

#define REF_NONE       UINT32_MAX
#define INDEX_NONE     UINT32_C(0xffffff)
#define FRONT_BITS_MAX 15u

static inline uint32_t ref_of(unsigned int bit, uint32_t index)
{
	return index << 8 | (uint32_t)bit;
}

/* 255 of REF_NONE, which is more than any length. */
static inline unsigned int ref_bit(uint32_t ref)
{
	return (uint8_t)ref;
}

static inline uint32_t ref_index(uint32_t ref)
{
	return ref >> 8;
}

/* An address, its first bit on top; IPv4 in the upper half of 'hi'. */
struct group_key {
	uint64_t hi, lo;
};

struct group_node {
	_Atomic uint32_t child[2];
};

enum group_state { GROUP_LIVE = 1, GROUP_V6 = 2 };

struct group_meta {
	_Atomic uint8_t state; /* enum group_state; 0: no group */
	uint8_t bits;
	_Atomic uint16_t used; /* when, in GTM_USED_MS */
};

/*
 * Where a walk begins for each value of the first 'front_bits' bits: reference
 * to the first node that forks later (32 bits), row of the longest group
 * before it (24), and if there is no such node the scope (8).
 */
struct group_trie {
	_Atomic uint32_t root;
	_Atomic uint64_t *front;
};

/*
 * Whose a column is: how many hold it, and COLUMN_LEFT, in the lower half of
 * the word; if nobody, COLUMN_LEFT until its cells are wiped, then COLUMN_FREE.
 * The upper half tells one time that it was held from another.
 */
#define COLUMN_FREE 0u
#define COLUMN_LEFT 1u
#define COLUMN_TURN (UINT64_C(1) << 32)
#define COLUMN_NONE UINT16_MAX

struct group_column {
	_Atomic uint64_t word;
	char id[GTM_POP_ID_MAX + 1];
};

static inline uint32_t group_column_count(uint64_t word)
{
	return (uint32_t)word;
}

/* Nodes taken out, until no reader can be at them. */
struct group_limbo {
	uint32_t *node;	  /* 'room' of them */
	uint32_t room, n; /* the first 'n' are */
};

struct gtm_groups {
	_Atomic uint32_t refs;
	uint32_t max;  /* groups */
	uint32_t rows; /* room: groups, and those in limbo */
	uint16_t width;
	uint8_t front_bits;
	struct group_node *node;     /* 2 * rows */
	struct group_key *key;	     /* rows */
	struct group_meta *meta;     /* rows */
	_Atomic uint32_t *cells;     /* rows * width; room that is reserved */
	struct group_trie trie[2];   /* IPv4, IPv6 */
	struct group_column *column; /* width */

	/* the writer's */
	uint32_t free_row, free_glue; /* lists by child[0] */
	uint32_t fresh_glue;	      /* never used yet, from here on */
	uint32_t hand, sweep;
	uint16_t target; /* age at which the hand takes a group */
	struct group_limbo limbo;
	uint64_t *wiped; /* words of columns being wiped, as they began; 0 */

	/* the writer's; anybody may look */
	_Atomic uint32_t fresh_row;
	_Atomic uint32_t n;
	_Atomic uint64_t replaced, waited;
};

/* -- groups_trie.c --------------------------------------------------------- */

/* The group's or client's address, cut to its length. */
struct group_key group_key_of(const struct gtm_client *client,
			      unsigned int bits);
/* Row of exactly this group, or INDEX_NONE. */
uint32_t group_exact(const struct gtm_groups *g, bool v6,
		     const struct group_key *key, unsigned int bits);
/* Puts the row, whose key and meta are filled and which is not in, into the
 * trie. */
void group_insert(struct gtm_groups *g, uint32_t row);
/* Takes it out, and retires the nodes that are not needed any more. */
void group_extract(struct gtm_groups *g, uint32_t row);
/* Fills both fronts of empty tries. */
void group_tries_init(struct gtm_groups *g);

/* -- groups_limbo.c -------------------------------------------------------- */

/* 'room' is set.  False: no memory. */
bool group_limbo_init(struct group_limbo *l);
void group_limbo_fini(struct group_limbo *l);
/* May wait for readers. */
void group_retire(struct gtm_groups *g, uint32_t node);
/* Never fail: there is room by construction. */
uint32_t group_row_take(struct gtm_groups *g);
uint32_t group_glue_take(struct gtm_groups *g);

/* -- groups.c -------------------------------------------------------------- */

static inline _Atomic uint32_t *group_cells(const struct gtm_groups *g,
					    uint32_t row)
{
	return g->cells + (size_t)row * g->width;
}

/* Is it a prefix? */
static inline bool group_valid(const struct gtm_client *group)
{
	return group->bits <= (group->v6 ? 128 : 32);
}

/* The group's row, made if need be. */
uint32_t group_make(struct gtm_groups *g, const struct gtm_client *group,
		    uint64_t now_ms);
/* The same, but replaces none: 0 or -ENOSPC. */
int group_make_if_room(struct gtm_groups *g, const struct gtm_client *group,
		       uint64_t now_ms, uint32_t *rowp);

/* -- groups_columns.c ------------------------------------------------------ */

/* Holds a column that somebody else holds, too; false: nobody does. */
bool group_column_hold(struct gtm_groups *g, uint16_t i);
void group_column_let_go(struct gtm_groups *g, uint16_t i);
/* The column of a POP if anybody holds it, or COLUMN_NONE. */
uint16_t group_column_held(const struct gtm_groups *g, const char *id);

/* Notes in 'wiped' what nobody holds. */
void group_columns_round(struct gtm_groups *g);
/* Looks again; false: there is none. */
bool group_columns_wiped(struct gtm_groups *g);
/* All rows were met: those that nobody has held meanwhile are free. */
void group_columns_free(struct gtm_groups *g);

/* -- cells ----------------------------------------------------------------- */

/* Milliseconds since the stamp of a cell, and 65536. */
static inline uint32_t group_cell_age(uint32_t cell, uint64_t now_ms)
{
	return (uint32_t)now_ms + 0x10000 - (cell & 0xffff0000);
}

static inline bool group_cell_known(uint32_t cell, uint64_t now_ms)
{
	return (cell & 0xffff) != 0 &&
	       group_cell_age(cell, now_ms) <= GTM_AGE_MAX_MS + 0x10000;
}

/* 'value': as in a cell, 1..0xffff. */
static inline uint32_t group_cell_of(uint32_t value, int64_t age_ms,
				     uint64_t now_ms)
{
	uint64_t when_ms = now_ms - (uint64_t)age_ms; /* modulo 2^64 */

	return ((uint32_t)(when_ms + 0x8000) & 0xffff0000) | value;
}

/* Stores what is not older, or with 'newer' what is newer, than what is there;
 * false: it is not. */
bool group_cell_put(_Atomic uint32_t *cell, uint32_t new, uint64_t now_ms,
		    bool newer);
