/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_rows - what is still to be told to the plugin, and how it is told:
 * lines of the control socket's "metrics" command.
 *
 * Pure: times are arguments (monotonic milliseconds).  A target is queued at
 * most once and is sent as it is then, so the queue cannot grow, and a plugin
 * that was away gets the newest results, not their history.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"
#include "probes-client/probed_stats.h"
#include "probes-client/probed_target.h"

#define PROBED_BATCH_MAX  60000u /* octets of a line with its newline */
#define PROBED_ROWS_NEVER UINT64_MAX
#define PROBED_ROW_MAX	  256u /* octets */
#define PROBED_GATHER_MS  5u   /* changes of state gather for so long */
#define PROBED_WHY_MAX	  200

struct probed_rows {
	/* Unix time less monotonic, in milliseconds, as of the next line: what
	 * was measured before the clock was set right has its true age. */
	int64_t unix_ms;
	struct probed_list urgent, normal; /* each in order of queued_ms */
};

void probed_rows_init(struct probed_rows *rows);

/* The target has something new; 'urgent': its state has changed. */
void probed_rows_mark(struct probed_rows *rows, struct probed_target *target,
		      bool urgent, uint64_t now_ms);

/* Forgets a target, if it is queued. */
void probed_rows_drop(struct probed_rows *rows, struct probed_target *target);

/*
 * When the next batch is to be sent, perhaps in the past: at once if 'max' rows
 * are there, soon after a change of state, else 'interval_ms' after the oldest
 * came; PROBED_ROWS_NEVER if there is nothing to send.
 */
uint64_t probed_rows_due(const struct probed_rows *rows, size_t max,
			 uint32_t interval_ms);

/*
 * Writes a batch of at most 'max' rows, picked changes of state first and in
 * the order of their times, into 'out' (PROBED_BATCH_MAX octets) as a line with
 * its newline, and takes them out of the queue.  Returns its length; 0 if there
 * was nothing.
 */
size_t probed_rows_line(struct probed_rows *rows, const char *node, size_t max,
			char *out);

/* What the plugin says of a batch. */
struct probed_reply {
	bool ok;
	int64_t accepted, refused;
	uint64_t by[PROBED_REFUSALS]; /* rows refused, by the reason */
	char why[PROBED_WHY_MAX]; /* "unknown 2, old 1", or the error; or "" */
};

/* Reads a reply.  Returns 0; or -EINVAL: it is none. */
int probed_reply_parse(struct slice line, struct probed_reply *reply);
