/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * rows - what a side-car sends: one value a row, an array (nearzone-probed(8)):
 *
 *   [SERVER, ADDRESS, SERVICE, TIME, "up" or "down", METRIC, ERROR]
 *   ["load", SERVER, TIME, METRIC]
 *   ["loss", POP, TIME, PER CENT]
 *   ["bandwidth", POP, TIME, PER CENT]
 *   ["latency", PREFIX, POP, TIME, MILLISECONDS, or null: out of reach]
 *   ["latency", PREFIX, POP, TIME, MILLISECONDS, METHOD, CLIENT, FULL]
 *
 * TIME is Unix time in seconds.  Kinds are told apart by length and first word.
 *
 * Includes no BIND header, so that a test can run it alone.
 */
#include <stdbool.h>

#include "gtm/decide.h"

struct json_object;

enum row_kind { ROW_TEST, ROW_LOAD, ROW_LOSS, ROW_BANDWIDTH, ROW_LATENCY };

struct row {
	enum row_kind kind;
	struct gtm_row test;	  /* ROW_TEST */
	struct slice of;	  /* else: the server or POP */
	struct gtm_client prefix; /* ROW_LATENCY */
	double value;		  /* LATENCY: less than 0: out of reach */
	double age_ms;
	struct slice method;	  /* LATENCY, how it was measured; p NULL:
				     not said */
	struct gtm_client client; /* at whom */
	bool full;		  /* who has answered itself */
};

/*
 * Reads a row at the time 'wall_s' (Unix, seconds).  False: it is none, and
 * '*out' is undefined.  Numbers may still be NaN or out of range: that is for
 * those to say who take it.  The slices point into 'row'.
 */
bool rows_read(struct json_object *row, double wall_s, struct row *out);

/* "192.0.2.0/24", "2001:db8::1"; false: neither.  Bits after it are cleared. */
bool rows_prefix(struct slice text, struct gtm_client *prefix);
