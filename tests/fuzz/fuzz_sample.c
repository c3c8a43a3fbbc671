/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A formula (the first line), and what a machine says of itself: the rest, read
 * whole and in pieces, which must come to the same.
 */
#include "probes-client/probed_sample.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
	if (!holds)
		abort();
}

static struct probed_sample *sample_read(const struct formula *formula,
					 struct slice text, size_t piece)
{
	struct probed_sample *sample = malloc(sizeof(*sample));

	if (sample == NULL)
		abort();
	probed_sample_init(sample, formula);
	while (text.n > 0) {
		size_t n = text.n < piece ? text.n : piece;
		(void)probed_sample_feed(sample, (struct slice){ text.p, n });
		text.p += n;
		text.n -= n;
	}
	probed_sample_end(sample);
	return sample;
}

static void sample_free(struct probed_sample *sample)
{
	probed_sample_fini(sample);
	free(sample);
}

static void texts_take(const struct formula *formula, struct slice text)
{
	struct probed_sample *a = sample_read(formula, text, text.n + 1);
	struct probed_sample *b = sample_read(formula, text, 7);
	struct slice missing;
	double x = 0, y = 0;

	check(a->n_samples == b->n_samples);
	for (size_t i = 0; i < formula->n_picks; i++) {
		check(a->picked[i].n == b->picked[i].n);
		check(a->picked[i].n_series <= PROBED_SAMPLE_SERIES_MAX);
	}
	enum probed_worked one =
		probed_sample_work(a, b->picked, 1, &x, &missing);
	enum probed_worked two =
		probed_sample_work(b, a->picked, 1, &y, &missing);
	check(one == two && one != PROBED_NO_BEFORE);
	if (one == PROBED_WORKED)
		check(isfinite(x) && isfinite(y));
	sample_free(a);
	sample_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *end = size > 0 ? memchr(text, '\n', size) : NULL;
	struct formula formula;
	struct formula_fault fault = { 0, NULL };

	if (end == NULL)
		return 0;
	struct slice first = { text, (size_t)(end - text) };
	if (formula_parse(first, &formula, &fault) != 0) {
		check(fault.why != NULL && fault.at <= first.n);
		return 0;
	}
	check(formula.n_steps >= 1 && formula.n_steps <= FORMULA_STEPS_MAX);
	check(formula.n_picks <= FORMULA_PICKS_MAX);
	texts_take(&formula, (struct slice){ end + 1, size - first.n - 1 });
	return 0;
}
