/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_expo - writes the text format of Prometheus (version 0.0.4).
 *
 * Pure.  The text is bounded: a line for which there is no room is left out
 * as a whole, and counted.  Names are the caller's to get right; values of
 * labels may be any octets.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probes-client/probed_stats.h"

#define PROBED_LABELS_MAX 6 /* of a sample, without "le" */

struct probed_label {
	const char *name; /* NULL: the end of the list */
	const char *value;
};

/* A list of labels: LABELS({ "zone", id }). */
#define PROBED_LABELS(...)                                                     \
	((const struct probed_label[]){ __VA_ARGS__, { NULL, NULL } })
#define PROBED_NO_LABELS ((const struct probed_label[]){ { NULL, NULL } })

enum probed_kind { PROBED_GAUGE, PROBED_COUNTER, PROBED_HISTOGRAM };

struct probed_expo {
	char *text; /* from malloc(), not NUL-terminated; NULL: nothing yet */
	size_t n, room, max;
	uint64_t lost; /* lines left out */
	/* The family at hand; it is written before its first sample. */
	const char *name, *help;
	enum probed_kind kind;
};

/* At most 'max' octets; free with probed_expo_fini(), or take 'text'. */
void probed_expo_init(struct probed_expo *expo, size_t max);
void probed_expo_fini(struct probed_expo *expo);

/*
 * What follows are samples of 'name', which 'help' explains (a sentence, no
 * line feeds).  Both must live until the next family begins.  A family without
 * samples leaves no trace.
 */
void probed_expo_family(struct probed_expo *expo, enum probed_kind kind,
			const char *name, const char *help);

/* A whole number. */
void probed_expo_number(struct probed_expo *expo,
			const struct probed_label *labels, uint64_t n);

/* 'n' thousandths or millionths, written as units. */
void probed_expo_milli(struct probed_expo *expo,
		       const struct probed_label *labels, uint64_t n);
void probed_expo_micro(struct probed_expo *expo,
		       const struct probed_label *labels, uint64_t n);

/* All samples of a histogram; its unit is seconds. */
void probed_expo_histo(struct probed_expo *expo,
		       const struct probed_label *labels,
		       const struct probed_histo *histo);

/* Whole families that were written elsewhere.  False: there is no room, and
 * nothing was added or counted. */
bool probed_expo_raw(struct probed_expo *expo, const char *p, size_t n);
