/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * history_int - what history.c and history_stage.c share, and nobody else
 * uses.
 */
#include "gtm/history.h"

/* The clock begins in the middle of what a slot can hold, so that there is
 * room for ages before the first record. */
#define HISTORY_CLOCK_MS  (UINT64_C(1) << 37)
#define HISTORY_CLOCK_MAX (GTM_TIME_MAX - 1)
#define HISTORY_TIME_MAX  (UINT64_C(1) << 48) /* Unix time, ms: year 10889 */

struct history_name {
	char *text;
	uint32_t parent;
	uint64_t until_ms[JOURNAL_SAID]; /* of a server, by the clock */
	struct history_measure {
		uint32_t metric;
		uint64_t when_ms;	  /* by the clock; 0: never */
	} measure[JOURNAL_BANDWIDTH + 1]; /* of a server or POP */
};

struct history_table {
	struct history_name *name;
	size_t n, max;
};

struct history_slot {
	uint32_t server, service;
	struct journal_address address;
	struct journal_value value; /* state 0: none yet */
	uint64_t clock_ms;	    /* when it was said */
	uint64_t change;	    /* which of the changes that was */
};

/* Places in a list by the hash of what is there. */
struct history_index {
	uint32_t *place;
	size_t size; /* 0, or a power of two */
};

struct history_cell {
	uint32_t pop;	 /* in history_nears.pop */
	uint32_t tenths; /* plus 1; 0: unknown */
	uint64_t when_ms;
};

#define HISTORY_NO_POP UINT32_MAX
#define HISTORY_NO_ROW UINT32_MAX

/* How far a group of clients is. */
struct history_row {
	struct journal_net net;
	bool gone;	       /* there is no such group any more */
	uint32_t older, newer; /* the rows that changed before and after */
	uint64_t change;
	struct history_cell *cell; /* sorted by POP */
	size_t n, max;
};

struct history_nears {
	struct history_row *row;
	size_t n_rows, rows_max, n_linked;
	uint32_t newest; /* row that changed last */
	uint64_t changes;
	struct history_index row_index, pop_index;
	char **pop; /* names, of all epochs */
	size_t n_pops, pops_max;
};

struct gtm_history {
	struct gtm_history_epoch epoch;
	char file[JOURNAL_TEXT_MAX + 1];
	struct history_table table[JOURNAL_TABLES];
	struct history_slot *slot;
	size_t n_slots, slots_max;
	uint64_t last_ms;  /* Unix time */
	uint64_t clock_ms; /* the same by the clock */
	uint64_t changes;  /* of all that is known, but for 'near' */
	struct history_nears near;
};

/* Makes room for one more; 'list' holds 'n' of 'size' octets. */
int history_grow(void **list, size_t n, size_t *max, size_t size);

/* history_near.c */
int history_take_near(struct gtm_history *history,
		      const struct journal_near *near);
void history_take_group(struct gtm_history *history,
			const struct journal_decision *decision);
uint32_t history_pop(const struct history_nears *near, const char *text);
void history_near_free(struct history_nears *near);

/* history_put.c: what a stage has of it */
struct stage_near {
	uint32_t *column; /* of each of history_nears.pop, or HISTORY_NO_POP */
	size_t n_columns;
	uint64_t changes, anew_ms;
};
int stage_near_set(struct stage_near *at, const struct gtm_world *world,
		   const struct gtm_history *history, uint64_t clock_ms);
