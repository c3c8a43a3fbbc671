/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * groups - the latency table: a row for each group of clients (a prefix of
 * any length, of either family), a column for each POP.
 *
 * Threads.  One writer (whoever makes the table, then the engine); any number
 * of readers, which take no lock and stand in an RCU section of their own
 * (common/rcu.h) from gtm_groups_find() to the last look at a cell.  The writer
 * stands in none: see "limbo".  Columns are given out by one thread at a time,
 * which need not be the writer.  Each function says whose it is.
 *
 * Cells.  One 32-bit atomic word: latency in tenths of a millisecond (up to
 * GTM_TENTHS_MAX, or unreachable), and when it was measured, in steps of 65.536
 * seconds, rounded: an age is right to 33 s.  Values of more than
 * GTM_AGE_MAX_MS are unknown.  Such a stamp comes round after 49.7 days;
 * gtm_groups_tidy() wipes old cells long before, and must be called often
 * enough to meet every row within two weeks.
 *
 * Index.  A Patricia trie (Morrison 1968) a family, that is a crit-bit tree in
 * which a group may be an inner node.  Chosen over hashing by length, because
 *  - a look-up meets the longest match and the nearest longer neighbour, that
 *    is the scope, in one walk.  Hash tables by length know nothing of
 *    neighbours, and 28 lengths of IPv6 are many probes;
 *  - it is changed by one store of one word, which readers see or do not; no
 *    rehashing, and so no pause when it grows;
 *  - it costs 36 octets a group, whatever the lengths, where a multibit trie
 *    has no bound for sparse IPv6.
 * The walk is made short by a table of the first 15 bits that says where to
 * begin.  A reference holds the bit that its node tests, so that a node is two
 * references and no more; of all keys a walk compares one, at its end.  To make
 * or remove a group of a few bits in a full table rewrites that table: 1 ms.
 *
 * Room.  At most 'groups_max' groups.  When full, a new one takes the place of
 * one that has not been asked for for long: a hand goes round and takes what is
 * about as old as the oldest it has met.  A reader marks a row at most once in
 * GTM_USED_MS, so that no cache line is fought for.
 *
 * Limbo.  Nodes taken out of the trie are used again after a grace period.
 * There is spare room for some of them, groups_max / 32 and a thousand; when
 * all is taken the writer waits for readers, once for so many.
 *
 * Columns.  A world holds those of its POPs.  One that nobody holds any more is
 * wiped by a round of gtm_groups_tidy(), and free then; a POP that comes back
 * before has its values again.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gtm/client.h"

#define GTM_GROUPS_MAX	8000000u
#define GTM_COLUMNS_MAX 16384u /* of a table: POPs, and those that leave */
#define GTM_POP_ID_MAX	63u    /* octets */
#define GTM_TENTHS_MAX	65533u
#define GTM_UNREACHABLE (GTM_TENTHS_MAX + 1)
#define GTM_AGE_MAX_MS	(INT64_C(30) * 86400 * 1000)
#define GTM_USED_MS	(UINT64_C(1) << 18) /* 4.4 minutes */

/* What a POP that cannot reach a group is away, of gtm_cell_ms(). */
#define GTM_FAR_MS ((float)(int32_t)GTM_UNREACHABLE * 0.1f)

struct gtm_groups;

/* -- for any reader, in an RCU section ------------------------------------- */

/* What was found; 'cells' is NULL if no group holds the client. */
struct gtm_row_cells {
	const _Atomic uint32_t *cells; /* 'columns' of them */
	uint16_t columns;
	uint8_t bits;  /* of the group */
	uint8_t scope; /* leading bits that the result depended on */
};

/*
 * Finds the longest group that holds the client; of a client that is a subnet
 * all of it.  'now_ms' is that of gtm_groups_put().
 *
 * Scope (RFC 7871 section 7.2.1): any client that shares the first 'scope'
 * bits gets the same row, and with fewer that would not be so.  It is at most
 * the client's own bits: a subnet that contains longer groups gets its own
 * length.  It is 0 if there is no group of this family at all.
 */
struct gtm_row_cells gtm_groups_find(const struct gtm_groups *groups,
				     const struct gtm_client *client,
				     uint64_t now_ms);

/* The time as cells have it: for gtm_cell_ms(), of many. */
struct gtm_cell_time {
	uint32_t now, most; /* and half a step; the oldest that counts */
};

/* Values no older than 'max_age_ms' count, and up to a step more. */
static inline struct gtm_cell_time gtm_cell_time(uint64_t now_ms,
						 uint64_t max_age_ms)
{
	if (max_age_ms > GTM_AGE_MAX_MS)
		max_age_ms = GTM_AGE_MAX_MS;
	return (struct gtm_cell_time){ (uint32_t)now_ms + 0x10000,
				       (uint32_t)max_age_ms + 0x18000 };
}

/* Milliseconds; GTM_FAR_MS: out of reach; less than 0: unknown. */
static inline float gtm_cell_ms(uint32_t cell, struct gtm_cell_time time)
{
	if (time.now - (cell & 0xffff0000) > time.most)
		return -1.0f;
	return (float)((int32_t)(cell & 0xffff) - 1) * 0.1f;
}

/* Milliseconds since a cell that is known was measured, right to 33 s. */
static inline uint32_t gtm_cell_age_ms(uint32_t cell, uint64_t now_ms)
{
	uint32_t age_ms = (uint32_t)now_ms - (cell & 0xffff0000);

	/* the stamp was rounded up */
	return age_ms > UINT32_MAX - 0x10000 ? 0 : age_ms;
}

/*
 * Goes through the groups, in no order: finds the first at or after '*cursor'
 * (begin with 0) and moves the cursor behind it.  False at the end.  Groups
 * that come or go meanwhile may be met or not.
 */
bool gtm_groups_next(const struct gtm_groups *groups, uint32_t *cursor,
		     struct gtm_client *group, struct gtm_row_cells *row);

/* -- for any thread -------------------------------------------------------- */

struct gtm_groups_counts {
	uint64_t bytes; /* all that the table holds */
	uint32_t groups, groups_max;
	uint32_t columns, columns_used;
	uint64_t replaced; /* groups that made room for others */
	uint64_t waited;   /* times that the writer waited for readers */
};
void gtm_groups_count(const struct gtm_groups *groups,
		      struct gtm_groups_counts *counts);

/*
 * Makes a table of at most 'groups_max' (1..GTM_GROUPS_MAX) groups and
 * 'columns' (1..GTM_COLUMNS_MAX) columns.  Memory is reserved, and taken as
 * rows come. Returns 0 and sets '*groupsp', a reference; or -EINVAL or -ENOMEM.
 */
int gtm_groups_new(uint32_t groups_max, uint16_t columns,
		   struct gtm_groups **groupsp);
void gtm_groups_ref(struct gtm_groups *groups);
/* The last one frees: then no reader may be left.  NULL is fine. */
void gtm_groups_unref(struct gtm_groups *groups);

/*
 * Holds a column for each of the POPs 'ids[0..n-1]', all of them different, and
 * sets 'map[i]' to that of ids[i].  A POP keeps its column as long as somebody
 * holds it.  Returns 0; or, with nothing held, -ENOSPC (make a wider table) or
 * -EINVAL (an id that is empty or too long).  One thread at a time.
 */
int gtm_groups_columns(struct gtm_groups *groups, const char *const *ids,
		       size_t n, uint16_t *map);
/* Lets go of what that held: no reader has this map any more. */
void gtm_groups_let_go(struct gtm_groups *groups, const uint16_t *map,
		       size_t n);

/* -- for the writer -------------------------------------------------------- */

/*
 * Takes a measurement, 'age_ms' old: an age, as the clock may be younger than
 * what is known.  'column' is held.  'tenths' is cut to GTM_TENTHS_MAX unless
 * GTM_UNREACHABLE.  Of 'group', bits after its length do not matter.  The group
 * is made if there is none; of two values of the same step of time the one put
 * last stays.  Returns 0; or, with nothing changed, -EINVAL (no such column;
 * not a prefix), -ERANGE (of the future, or older than GTM_AGE_MAX_MS), -EEXIST
 * (what is there is newer).
 */
int gtm_groups_put(struct gtm_groups *groups, const struct gtm_client *group,
		   uint16_t column, uint32_t tenths, int64_t age_ms,
		   uint64_t now_ms);

/* Removes the group; false if there is none. */
bool gtm_groups_remove(struct gtm_groups *groups,
		       const struct gtm_client *group);

/*
 * Looks at the next 'rows' rows.  Wipes what is too old for GTM_AGE_MAX_MS, and
 * columns that nobody holds; removes groups of which nothing younger than
 * 'max_age_ms' is known: they would only hide shorter ones.  A column that
 * nobody held for a whole round is free.  True at the end of a round.
 */
bool gtm_groups_tidy(struct gtm_groups *groups, uint64_t max_age_ms,
		     uint64_t now_ms, uint32_t rows);

/*
 * Copies up to 'rows' rows of 'from', which may have another writer, from
 * '*cursor' on (begin with 0): what is known of POPs that somebody holds in
 * both tables, and newer.  No group makes room for another.  'now_ms' is of no
 * account as long as 'to' has nothing else.  Sets '*done' at the end.  Returns
 * 0, or -ENOMEM (try again).
 *
 * A table of another size, while the writer goes on: copy all; then readers get
 * the new table, and values go there; then copy all again, for what came to the
 * old one meanwhile.
 */
int gtm_groups_copy(struct gtm_groups *to, struct gtm_groups *from,
		    uint32_t *cursor, uint32_t rows, uint64_t now_ms,
		    bool *done);
