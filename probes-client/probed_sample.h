/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_sample - reads the text format of Prometheus (version 0.0.4), in the
 * pieces in which it comes, and keeps of it what a formula picks.
 *
 * Pure.  Nothing of the text is kept but sums, and for rates a value a series;
 * what is not understood is skipped as a line.  Lines, their number, octets
 * and series of a rate are bounded.
 */
#include "common/formula.h"

#define PROBED_SAMPLE_LINE_MAX	 4096u	    /* longer ones are skipped */
#define PROBED_SAMPLE_TEXT_MAX	 (4u << 20) /* octets */
#define PROBED_SAMPLE_SERIES_MAX 512u	    /* of one rate */

/* A series of a rate, and its newest value. */
struct probed_series {
	uint64_t hash; /* of its labels */
	double value;
};

/* What a text has given for one pick. */
struct probed_picked {
	double sum;
	uint64_t n;
	size_t n_series, max_series;
	struct probed_series *series; /* RATE; in the text's order */
};

/* One text. */
struct probed_sample {
	const struct formula *formula;
	struct probed_picked picked[FORMULA_PICKS_MAX];
	uint64_t n_octets, n_samples;
	bool too_long;	/* more than PROBED_SAMPLE_TEXT_MAX */
	bool too_many;	/* more than PROBED_SAMPLE_SERIES_MAX */
	bool no_memory; /* then values are void, as with the two above */
	bool skipping;	/* a line that is too long */
	size_t n_line;
	char line[PROBED_SAMPLE_LINE_MAX];
};

void probed_sample_init(struct probed_sample *sample,
			const struct formula *formula);
void probed_sample_fini(struct probed_sample *sample); /* twice is fine */

/* More of the text; false: no more is wanted. */
bool probed_sample_feed(struct probed_sample *sample, struct slice more);

/* The text is whole: a last line may lack its newline. */
void probed_sample_end(struct probed_sample *sample);

enum probed_worked {
	PROBED_WORKED,
	PROBED_MISSING, /* some series is not there: '*missing' */
	PROBED_NO_VALUE,
	PROBED_NO_BEFORE, /* a rate needs an earlier text */
};

/*
 * Works the formula out of a text, and of what the one 'seconds' (> 0) before
 * it gave (FORMULA_PICKS_MAX of them), or NULL.
 */
enum probed_worked probed_sample_work(const struct probed_sample *now,
				      const struct probed_picked *before,
				      double seconds, double *valuep,
				      struct slice *missing);
