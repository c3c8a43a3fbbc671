/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_expo.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/slice.h"
#include "common/utf8.h"

#define ROOM_FIRST 65536u
#define DIGITS_MAX 20u /* of 64 bits */

static const char *const kinds[] = {
	[PROBED_GAUGE] = "gauge",
	[PROBED_COUNTER] = "counter",
	[PROBED_HISTOGRAM] = "histogram",
};

void probed_expo_init(struct probed_expo *expo, size_t max)
{
	*expo = (struct probed_expo){ .max = max };
}

void probed_expo_fini(struct probed_expo *expo)
{
	free(expo->text);
	expo->text = NULL;
}

static bool room_make(struct probed_expo *expo, size_t n)
{
	size_t room = expo->room == 0 ? ROOM_FIRST : expo->room;

	if (n > expo->max - expo->n)
		return false;
	while (room < expo->n + n)
		room *= 2;
	if (room > expo->max)
		room = expo->max;
	char *text = realloc(expo->text, room);
	if (text == NULL)
		return false;
	expo->text = text;
	expo->room = room;
	return true;
}

/* Each returns false if there is no room; the caller takes the line back. */

static bool put(struct probed_expo *expo, const char *p, size_t n)
{
	if (n > expo->room - expo->n && !room_make(expo, n))
		return false;
	memcpy(expo->text + expo->n, p, n);
	expo->n += n;
	return true;
}

static bool put_text(struct probed_expo *expo, const char *text)
{
	return put(expo, text, strlen(text));
}

/* What must be written in another way: its octets, or NULL. */
static const char *escape_of(unsigned char c, bool is_utf8)
{
	switch (c) {
	case '\\':
		return "\\\\";
	case '"':
		return "\\\"";
	case '\n':
		return "\\n";
	default:
		return c >= 0x80 && !is_utf8 ? "?" : NULL;
	}
}

static bool put_value(struct probed_expo *expo, const char *value)
{
	struct slice all = slice_of(value);
	bool is_utf8 = utf8_valid(all) == all.n;
	bool good = true;
	size_t from = 0;

	for (size_t i = 0; i < all.n && good; i++) {
		const char *escape =
			escape_of((unsigned char)all.p[i], is_utf8);
		if (escape == NULL)
			continue;
		good = put(expo, all.p + from, i - from) &&
		       put_text(expo, escape);
		from = i + 1;
	}
	return good && put(expo, all.p + from, all.n - from);
}

static bool put_labels(struct probed_expo *expo,
		       const struct probed_label *label)
{
	bool good = true;

	if (label->name == NULL)
		return true;
	for (const char *before = "{"; label->name != NULL && good; label++) {
		good = put_text(expo, before) && put_text(expo, label->name) &&
		       put_text(expo, "=\"") && put_value(expo, label->value) &&
		       put_text(expo, "\"");
		before = ",";
	}
	return good && put_text(expo, "}");
}

/* 'n' of which the last 'decimals' digits are the fraction. */
static bool put_number(struct probed_expo *expo, uint64_t n, unsigned decimals)
{
	char digits[DIGITS_MAX + 2];
	size_t at = sizeof(digits);

	for (unsigned i = 0; i <= decimals || n > 0; i++) {
		if (i == decimals && decimals > 0)
			digits[--at] = '.';
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	}
	return put(expo, digits + at, sizeof(digits) - at);
}

static bool put_head(struct probed_expo *expo)
{
	bool good = put_text(expo, "# HELP ") && put_text(expo, expo->name) &&
		    put_text(expo, " ") && put_text(expo, expo->help) &&
		    put_text(expo, "\n# TYPE ") && put_text(expo, expo->name) &&
		    put_text(expo, " ") && put_text(expo, kinds[expo->kind]) &&
		    put_text(expo, "\n");

	return good;
}

/* A sample: 'suffix' comes after the family's name. */
static void sample(struct probed_expo *expo, const char *suffix,
		   const struct probed_label *labels, uint64_t n,
		   unsigned decimals)
{
	size_t before = expo->n;
	bool good = expo->help == NULL || put_head(expo);

	good = good && put_text(expo, expo->name) && put_text(expo, suffix) &&
	       put_labels(expo, labels) && put_text(expo, " ") &&
	       put_number(expo, n, decimals) && put_text(expo, "\n");
	if (good) {
		expo->help = NULL; /* has been written */
		return;
	}
	expo->n = before;
	expo->lost++;
}

bool probed_expo_raw(struct probed_expo *expo, const char *p, size_t n)
{
	return n == 0 || put(expo, p, n);
}

void probed_expo_family(struct probed_expo *expo, enum probed_kind kind,
			const char *name, const char *help)
{
	expo->kind = kind;
	expo->name = name;
	expo->help = help;
}

void probed_expo_number(struct probed_expo *expo,
			const struct probed_label *labels, uint64_t n)
{
	sample(expo, "", labels, n, 0);
}

void probed_expo_milli(struct probed_expo *expo,
		       const struct probed_label *labels, uint64_t n)
{
	sample(expo, "", labels, n, 3);
}

void probed_expo_micro(struct probed_expo *expo,
		       const struct probed_label *labels, uint64_t n)
{
	sample(expo, "", labels, n, 6);
}

void probed_expo_histo(struct probed_expo *expo,
		       const struct probed_label *labels,
		       const struct probed_histo *histo)
{
	struct probed_label with[PROBED_LABELS_MAX + 2];
	size_t n = 0;
	uint64_t count = 0;

	for (; labels[n].name != NULL; n++) {
		assert(n < PROBED_LABELS_MAX);
		with[n] = labels[n];
	}
	with[n + 1] = (struct probed_label){ NULL, NULL };
	for (size_t i = 0; i <= PROBED_BUCKETS; i++) {
		count += histo->n[i];
		with[n] = (struct probed_label){
			"le",
			i < PROBED_BUCKETS ? probed_bounds[i].seconds : "+Inf"
		};
		sample(expo, "_bucket", with, count, 0);
	}
	sample(expo, "_sum", labels, histo->sum_ms, 3);
	sample(expo, "_count", labels, count, 0);
}
