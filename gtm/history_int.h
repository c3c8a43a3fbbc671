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

struct gtm_history {
	struct gtm_history_epoch epoch;
	char file[JOURNAL_TEXT_MAX + 1];
	struct history_table table[JOURNAL_TABLES];
	struct history_slot *slot;
	size_t n_slots, slots_max;
	uint64_t last_ms;  /* Unix time */
	uint64_t clock_ms; /* the same by the clock */
	uint64_t changes;  /* of all that is known, so far */
};
