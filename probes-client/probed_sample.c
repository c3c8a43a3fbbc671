/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LABELS_MAX 64u /* of one series */

void probed_sample_init(struct probed_sample *sample,
			const struct formula *formula)
{
	memset(sample, 0, offsetof(struct probed_sample, line));
	sample->formula = formula;
}

void probed_sample_fini(struct probed_sample *sample)
{
	for (size_t i = 0; i < FORMULA_PICKS_MAX; i++) {
		free(sample->picked[i].series);
		sample->picked[i].series = NULL;
		sample->picked[i].n_series = 0;
		sample->picked[i].max_series = 0;
	}
}

/* -- one line ---------------------------------------------------------------
 */

/* A series as its line has it; values of labels are as written, escaped. */
struct series {
	struct slice name;
	size_t n_labels;
	struct formula_label labels[LABELS_MAX];
	struct slice inside; /* of the braces */
	double value;
};

struct cursor {
	const char *p, *end;
};

static void blanks(struct cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t'))
		c->p++;
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == ':';
}

static struct slice name_take(struct cursor *c)
{
	const char *from = c->p;

	while (c->p < c->end && is_name(*c->p))
		c->p++;
	return (struct slice){ from, (size_t)(c->p - from) };
}

/* The octet 'want', after blanks. */
static bool mark_take(struct cursor *c, char want)
{
	blanks(c);
	if (c->p == c->end || *c->p != want)
		return false;
	c->p++;
	return true;
}

static bool text_take(struct cursor *c, struct slice *out)
{
	if (!mark_take(c, '"'))
		return false;
	const char *from = c->p;
	while (c->p < c->end && *c->p != '"') {
		c->p += *c->p == '\\' ? 2 : 1;
		if (c->p > c->end)
			return false;
	}
	*out = (struct slice){ from, (size_t)(c->p - from) };
	return mark_take(c, '"');
}

/* What is between the braces. */
static bool labels_take(struct cursor *c, struct series *series)
{
	const char *from = c->p;

	while (!mark_take(c, '}')) {
		if (series->n_labels == LABELS_MAX)
			return false;
		struct formula_label *label =
			&series->labels[series->n_labels++];
		label->name = name_take(c);
		if (label->name.n == 0 || !mark_take(c, '=') ||
		    !text_take(c, &label->value))
			return false;
		(void)mark_take(c, ',');
	}
	series->inside = (struct slice){ from, (size_t)(c->p - 1 - from) };
	return true;
}

/* False: the line is no sample. */
static bool line_read(struct slice line, struct series *series)
{
	struct cursor c = { line.p, line.p + line.n };

	blanks(&c);
	series->n_labels = 0;
	series->inside = (struct slice){ NULL, 0 };
	series->name = name_take(&c);
	if (series->name.n == 0)
		return false;
	if (mark_take(&c, '{') && !labels_take(&c, series))
		return false;
	blanks(&c);
	struct slice rest = { c.p, (size_t)(c.end - c.p) };
	size_t n = formula_number(rest, &series->value);
	return n > 0 && (n == rest.n || rest.p[n] == ' ' || rest.p[n] == '\t' ||
			 rest.p[n] == '\r');
}

/* -- what is picked ------------------------------------------------------- */

static bool same(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static bool fits(const struct formula_pick *pick, const struct series *series)
{
	for (size_t i = 0; i < pick->n_labels; i++) {
		const struct formula_label *want = &pick->labels[i];
		struct slice value = { NULL, 0 };
		for (size_t k = 0; k < series->n_labels; k++)
			if (same(series->labels[k].name, want->name))
				value = series->labels[k].value;
		if (same(value, want->value) == want->differs)
			return false;
	}
	return true;
}

static uint64_t hash_of(struct slice text) /* FNV-1a */
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < text.n; i++)
		h = (h ^ (unsigned char)text.p[i]) * UINT64_C(1099511628211);
	return h;
}

static void series_keep(struct probed_sample *sample,
			struct probed_picked *picked,
			const struct series *series)
{
	if (picked->n_series == PROBED_SAMPLE_SERIES_MAX) {
		sample->too_many = true;
		return;
	}
	if (picked->n_series == picked->max_series) {
		size_t max =
			picked->max_series > 0 ? 2 * picked->max_series : 8;
		struct probed_series *more =
			realloc(picked->series, max * sizeof(*more));
		if (more == NULL) {
			sample->no_memory = true;
			return;
		}
		picked->series = more;
		picked->max_series = max;
	}
	picked->series[picked->n_series++] =
		(struct probed_series){ hash_of(series->inside),
					series->value };
}

static void line_take(struct probed_sample *sample, struct slice line)
{
	const struct formula *f = sample->formula;
	struct series series;
	size_t n = 0;

	/* Most lines are of no interest: look at the name before the rest. */
	while (n < line.n && is_name(line.p[n]))
		n++;
	bool wanted = false;
	for (size_t i = 0; i < f->n_picks; i++)
		wanted = wanted ||
			 same((struct slice){ line.p, n }, f->picks[i].name);
	if (!wanted || !line_read(line, &series))
		return;
	sample->n_samples++;
	for (size_t i = 0; i < f->n_picks; i++) {
		const struct formula_pick *pick = &f->picks[i];
		if (!same(pick->name, series.name) || !fits(pick, &series))
			continue;
		sample->picked[i].n++;
		sample->picked[i].sum += series.value;
		if (pick->how == FORMULA_RATE)
			series_keep(sample, &sample->picked[i], &series);
	}
}

/* -- the text --------------------------------------------------------------
 */

static void line_end(struct probed_sample *sample)
{
	struct slice line = { sample->line, sample->n_line };

	if (!sample->skipping)
		line_take(sample, line);
	sample->skipping = false;
	sample->n_line = 0;
}

/* A piece of a line. */
static void part_take(struct probed_sample *sample, const char *p, size_t n)
{
	if (n > sizeof(sample->line) - sample->n_line)
		sample->skipping = true;
	if (sample->skipping)
		return;
	memcpy(sample->line + sample->n_line, p, n);
	sample->n_line += n;
}

bool probed_sample_feed(struct probed_sample *sample, struct slice more)
{
	const char *p = more.p, *end = more.p + more.n;

	if (more.n > PROBED_SAMPLE_TEXT_MAX - sample->n_octets) {
		sample->too_long = true;
		return false;
	}
	sample->n_octets += more.n;
	while (p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		const char *to = stop != NULL ? stop : end;
		part_take(sample, p, (size_t)(to - p));
		if (stop == NULL)
			break;
		line_end(sample);
		p = stop + 1;
	}
	return !sample->too_many && !sample->no_memory;
}

void probed_sample_end(struct probed_sample *sample)
{
	if (sample->n_line > 0)
		line_end(sample);
}

/* -- working out ----------------------------------------------------------- */

/* The earlier value of the series; they mostly come in the same order. */
static const struct probed_series *before_of(const struct probed_picked *before,
					     size_t at, uint64_t hash)
{
	if (at < before->n_series && before->series[at].hash == hash)
		return &before->series[at];
	for (size_t i = 0; i < before->n_series; i++)
		if (before->series[i].hash == hash)
			return &before->series[i];
	return NULL;
}

/* What is new has not grown yet; what is less began again at 0. */
static double growth(const struct probed_picked *now,
		     const struct probed_picked *before)
{
	double sum = 0;

	for (size_t i = 0; i < now->n_series; i++) {
		const struct probed_series *s = &now->series[i];
		const struct probed_series *b = before_of(before, i, s->hash);
		if (b == NULL)
			continue;
		sum += s->value >= b->value ? s->value - b->value : s->value;
	}
	return sum;
}

enum probed_worked probed_sample_work(const struct probed_sample *now,
				      const struct probed_picked *before,
				      double seconds, double *valuep,
				      struct slice *missing)
{
	const struct formula *f = now->formula;
	double picked[FORMULA_PICKS_MAX] = { 0 };
	bool waits = false;

	for (size_t i = 0; i < f->n_picks; i++) {
		const struct probed_picked *p = &now->picked[i];
		if (p->n == 0 && f->picks[i].how != FORMULA_COUNT) {
			*missing = f->picks[i].name;
			return PROBED_MISSING;
		}
		if (f->picks[i].how == FORMULA_SUM)
			picked[i] = p->sum;
		else if (f->picks[i].how == FORMULA_COUNT)
			picked[i] = (double)p->n;
		else if (before != NULL)
			picked[i] = growth(p, &before[i]) / seconds;
		else
			waits = true;
	}
	if (waits)
		return PROBED_NO_BEFORE;
	return formula_value(f, picked, valuep) ? PROBED_WORKED
						: PROBED_NO_VALUE;
}
