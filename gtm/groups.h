/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * groups - the latency table: how far groups of clients are from POPs.
 *
 * A row is a group, a prefix of either family and any length; a column is a
 * POP.  A cell is one atomic word of 32 bits: the round trip in tenths of a
 * millisecond, and the minute in which it was measured.
 *
 * The longest prefix is found by hashing the client's prefix at each length
 * that is in use, the longest first.  Which lengths those are is noted for
 * each /16 of IPv4 (each /32 of IPv6, by a hash), so that with groups of one
 * length there is one look.  A trie of a million prefixes would take more room
 * and more misses of the CPU's cache, and could not be changed under readers.
 *
 * One writer (the engine), any number of readers that never wait.  A row that
 * is given to another group has another generation: who found it before reads
 * nothing more from it.  All room is reserved at first and taken as rows come:
 * nothing ever grows, or stops for it.  When it is full, of a few rows in turn
 * the one that was not asked for for longest makes room.
 *
 * Times are of the slots' clock (table.h).
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gtm/client.h"
#include "gtm/table.h"

#define GTM_COLUMNS_MAX 16384u
#define GTM_GROUPS_MAX	(UINT32_C(1) << 26)
/* Older values are unknown, whatever the configuration says. */
#define GTM_LATENCY_AGE_MS (UINT64_C(30) * 86400 * 1000)
#define GTM_CELL_MINUTES   65535u /* of a turn of the cells' clock */
#define GTM_LATENCY_MAX_MS 6553.0f
/* What a POP that cannot reach a group is away. */
#define GTM_LATENCY_FAR_MS 6553.5f
/* Prefixes of clients that nothing is known of, as they are asked for. */
#define GTM_WANTED_V4 24u
#define GTM_WANTED_V6 56u

struct gtm_groups;

/*
 * A table of up to 'groups' rows (1..GTM_GROUPS_MAX) and 'columns' columns
 * (1..GTM_COLUMNS_MAX); NULL: no memory.  Worlds share it: see _hold().
 */
struct gtm_groups *gtm_groups_new(uint32_t groups, uint32_t columns);
void gtm_groups_hold(struct gtm_groups *g);
void gtm_groups_drop(struct gtm_groups *g); /* the last one frees; NULL: none */

/*
 * The column of a POP, made for it if there is room; or CONFIG_NONE.  A column
 * stays its POP's for as long as the table lives.  One thread at a time.
 */
uint32_t gtm_groups_column(struct gtm_groups *g, const char *pop);
size_t gtm_groups_bytes(const struct gtm_groups *g); /* taken, not reserved */
uint32_t gtm_groups_count(const struct gtm_groups *g);

/* A group as found. */
struct gtm_group {
	uint32_t row; /* GTM_NO_GROUP: none */
	uint32_t generation;
	uint8_t scope; /* bits of the client that this depended on */
};
#define GTM_NO_GROUP UINT32_MAX

/*
 * Finds the group of the longest prefix that holds all of the client's.  Notes
 * that the group was asked for.
 */
void gtm_groups_find(struct gtm_groups *g, const struct gtm_client *client,
		     uint64_t now_ms, struct gtm_group *found);

/*
 * The same in steps, for many columns: the cells of a row; the time as cells
 * have it; what a cell says; and whether all that was read was of that group.
 */
struct gtm_cell_time {
	uint32_t minute, most; /* now; the oldest that count */
};
const _Atomic uint32_t *gtm_groups_cells(const struct gtm_groups *g,
					 const struct gtm_group *group);
struct gtm_cell_time gtm_cell_time(uint64_t now_ms, uint64_t max_age_ms);
bool gtm_groups_same(const struct gtm_groups *g, const struct gtm_group *group);

static inline float gtm_cell_ms(uint32_t cell, struct gtm_cell_time time)
{
	uint32_t minute = cell & 0xffff;
	uint32_t age = time.minute >= minute
			       ? time.minute - minute
			       : time.minute + GTM_CELL_MINUTES - minute;

	if (cell == 0 || age > time.most)
		return -1.0f;
	/* 0xffff is GTM_LATENCY_FAR_MS */
	return (float)(int32_t)(cell >> 16) * 0.1f;
}

/*
 * Milliseconds from the group to the POP of the column; GTM_LATENCY_FAR_MS if
 * it is out of reach, less than 0 if nothing is known that is younger than
 * 'max_age_ms'.
 */
float gtm_groups_ms(const struct gtm_groups *g, const struct gtm_group *group,
		    uint32_t column, uint64_t now_ms, uint64_t max_age_ms);

/*
 * The writer's: takes a measurement, with a new row if there is none for just
 * that prefix.  'ms' less than 0: out of reach.  False: it is older than what
 * is there, or than GTM_LATENCY_AGE_MS.
 */
bool gtm_groups_put(struct gtm_groups *g, const struct gtm_client *prefix,
		    uint32_t column, float ms, uint64_t when_ms,
		    uint64_t now_ms);

/*
 * The writer's, now and then: forgets what is too old, some rows at a time.
 * Every row must have its turn in two weeks.
 */
void gtm_groups_sweep(struct gtm_groups *g, uint32_t rows, uint64_t now_ms);

/* -- clients of which nothing is known */

/* Any thread: notes that the client's prefix is to be measured. */
void gtm_groups_want(struct gtm_groups *g, const struct gtm_client *client);
/* The writer's: takes up to 'max' of them; returns how many. */
size_t gtm_groups_wanted(struct gtm_groups *g, struct gtm_client *prefixes,
			 size_t max);

/* -- saving: any thread, while the writer writes */

/* Writes the columns; octets written, or 0 if 'size' is too small. */
size_t gtm_groups_save_head(const struct gtm_groups *g, uint8_t *out,
			    size_t size);
/*
 * Writes whole rows, from '*at' (0 to begin with) on, as many as fit; octets
 * written, 0 at the end.  'size' must hold a row of all columns.
 */
size_t gtm_groups_save(const struct gtm_groups *g, uint32_t *at, uint8_t *out,
		       size_t size, uint64_t now_ms);

/*
 * The writer's, of a new table: takes what was saved 'away_ms' ago.  Columns
 * that it does not have are left out.  0, or -EBADMSG: it was not saved by the
 * above; what came before that is in the table.
 */
int gtm_groups_load(struct gtm_groups *g, const uint8_t *p, size_t n,
		    uint64_t away_ms, uint64_t now_ms);

/*
 * The writer's, of a new table: takes the rows of 'from' with those of its
 * columns that it has, while another thread writes there.
 */
void gtm_groups_copy(struct gtm_groups *g, struct gtm_groups *from);
