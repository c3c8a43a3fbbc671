/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_value - what is measured of servers and POPs as a number ("load",
 * "bandwidth"): its newest value, what went wrong last, and the queue of those
 * that are still to be told to the plugin.
 *
 * Pure.  A value is queued at most once and sent as it is then: the queue
 * cannot grow, and the newest wins.  All times in "..._ms" are monotonic; a row
 * says what they are by the wall clock as it is then.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probes-client/probed_expo.h"
#include "probes-client/probed_list.h"

#define PROBED_VALUE_WORDS 200
#define PROBED_VALUE_ID	   64
#define PROBED_VALUE_ROW   192u
#define PROBED_VALUE_NEVER UINT64_MAX

enum probed_value_kind { PROBED_LOAD, PROBED_BANDWIDTH, PROBED_VALUE_KINDS };

struct probed_value {
	enum probed_value_kind kind;
	char of[PROBED_VALUE_ID];    /* the server or POP */
	bool known;		     /* there is a value */
	bool failing;		     /* the newest try failed: 'words' */
	bool waiting;		     /* no value yet, but no fault either */
	double value;		     /* a load; per cent */
	uint64_t taken_ms, since_ms; /* of the value; of 'failing' */
	uint64_t n_good, n_bad;
	char words[PROBED_VALUE_WORDS];
	struct probed_link all, queue;
	uint64_t queued_ms;
};

struct probed_values {
	struct probed_list all;
	struct probed_list queue; /* in order of queued_ms */
	int64_t unix_ms;	  /* of the monotonic clock's 0 */
};

void probed_values_init(struct probed_values *values);
void probed_values_add(struct probed_values *values,
		       struct probed_value *value);
void probed_values_drop(struct probed_values *values,
			struct probed_value *value); /* twice is fine */

/* A value was measured; true if that ends a failure. */
bool probed_value_take(struct probed_values *values, struct probed_value *value,
		       double number, uint64_t now_ms);

/*
 * It could not be: 'words' say why.  True if that is new, by the words or
 * because it was good before.
 */
bool probed_value_fail(struct probed_value *value, const char *words,
		       uint64_t now_ms);

/* All that are known are to be told again: the plugin may be new. */
void probed_values_tell_all(struct probed_values *values);

/* When the next are to be sent, as probed_rows_due() does. */
uint64_t probed_values_due(const struct probed_values *values, size_t max,
			   uint32_t interval_ms);

/* As probed_rows_line(). */
size_t probed_values_line(struct probed_values *values, const char *node,
			  size_t max, char *out);

/* Metrics of all. */
void probed_values_put(struct probed_expo *expo,
		       const struct probed_values *values, uint64_t now_ms);

const char *probed_value_kind_text(enum probed_value_kind kind);
