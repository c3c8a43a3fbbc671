/* SPDX-License-Identifier: MPL-2.0 */
#include "common/config_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUESS_MAX 64 /* octets of a word worth guessing about */

static bool is_plain(struct slice key)
{
	if (key.n == 0)
		return false;
	for (size_t i = 0; i < key.n; i++) {
		char c = key.p[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '-' || c == '_';
		if (!plain)
			return false;
	}
	return true;
}

char *config_quote(struct slice text, char out[CONFIG_SHOW_MAX])
{
	size_t n = jsontext_escape(text, out + 1, CONFIG_SHOW_MAX - 2);

	out[0] = '"';
	out[n + 1] = '"';
	out[n + 2] = '\0';
	return out;
}

/* Writes one step of a path; returns its length, or 0 if it has no room. */
static size_t step_print(const struct config_step *step, bool first, char *out,
			 size_t size)
{
	char quoted[CONFIG_SHOW_MAX];
	const char *dot = first ? "" : ".";
	int n;

	if (step->key.p == NULL)
		n = snprintf(out, size, "[%u]", (unsigned)step->index);
	else if (is_plain(step->key) && step->key.n < CONFIG_SHOW_MAX)
		n = snprintf(out, size, "%s%.*s", dot, (int)step->key.n,
			     step->key.p);
	else
		n = snprintf(out, size, "%s%s", dot,
			     config_quote(step->key, quoted));
	return (size_t)n < size ? (size_t)n : 0;
}

void config_path_print(const struct config_check *c, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < c->depth; i++) {
		size_t n = step_print(&c->path[i], i == 0, out + used,
				      size - used);
		if (n == 0) {
			out[used] = '\0';
			return;
		}
		used += n;
	}
}

void config_enter(struct config_check *c, struct slice key, uint32_t index)
{
	c->path[c->depth++] = (struct config_step){ key, index };
}

void config_leave(struct config_check *c)
{
	c->depth--;
}

/*
 * Makes room for a finding at 'offset', dropping the last one if all is full;
 * returns NULL if it comes after all of those.
 */
static struct err *found_insert(struct config_found *found, uint32_t offset)
{
	size_t at = found->n;

	found->total++;
	while (at > 0 && found->offsets[at - 1] > offset)
		at--;
	if (at == found->max)
		return NULL;

	size_t after = found->n - at;
	if (found->n == found->max)
		after--;
	else
		found->n++;
	memmove(found->errs + at + 1, found->errs + at,
		after * sizeof(*found->errs));
	memmove(found->offsets + at + 1, found->offsets + at,
		after * sizeof(*found->offsets));
	found->offsets[at] = offset;
	return &found->errs[at];
}

void config_find(struct config_check *c, uint32_t node, const char *fmt, ...)
{
	const struct jsontext_node *at = &c->json->nodes[node];
	struct err *err = found_insert(&c->found, at->key_offset);
	char path[ERR_PATH_MAX];
	char text[ERR_TEXT_MAX];

	if (err == NULL)
		return;

	va_list args;
	va_start(args, fmt);
	/* False, and only if clang-tidy reads another file before this one. */
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	config_path_print(c, path, sizeof(path));
	err_set(err, at->line, path, "%s", text);
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/*
 * Edits (one octet in, out, changed, or two swapped) from a to b; both of at
 * most GUESS_MAX octets.
 */
static size_t edits(struct slice a, struct slice b)
{
	uint8_t rows[3][GUESS_MAX + 1]; /* two before, one before, this one */

	for (size_t k = 0; k <= b.n; k++)
		rows[1][k] = (uint8_t)k;
	for (size_t i = 1; i <= a.n; i++) {
		rows[2][0] = (uint8_t)i;
		for (size_t k = 1; k <= b.n; k++) {
			bool same = a.p[i - 1] == b.p[k - 1];
			size_t best = min3(rows[1][k] + 1u, rows[2][k - 1] + 1u,
					   rows[1][k - 1] + (same ? 0u : 1u));
			bool swap = i > 1 && k > 1 &&
				    a.p[i - 1] == b.p[k - 2] &&
				    a.p[i - 2] == b.p[k - 1];
			if (swap && rows[0][k - 2] + 1u < best)
				best = rows[0][k - 2] + 1u;
			rows[2][k] = (uint8_t)best;
		}
		memmove(rows[0], rows[1], 2 * sizeof(rows[0]));
	}
	return rows[1][b.n];
}

void config_guess_init(struct config_guess *guess, struct slice word)
{
	*guess = (struct config_guess){
		.word = word,
		.distance = word.n > GUESS_MAX ? 0 : word.n / 3 + 2,
	};
}

void config_guess_offer(struct config_guess *guess, struct slice candidate)
{
	size_t a = guess->word.n, b = candidate.n;
	size_t apart = a > b ? a - b : b - a;

	if (b > GUESS_MAX || apart >= guess->distance)
		return;

	size_t distance = edits(guess->word, candidate);
	if (distance < guess->distance && distance < b) {
		guess->distance = distance;
		guess->best = candidate;
	}
}

char *config_guess_print(const struct config_guess *guess, char *out)
{
	char quoted[CONFIG_SHOW_MAX];

	out[0] = '\0';
	if (guess->best.p != NULL)
		snprintf(out, CONFIG_SHOW_MAX, " (did you mean %s?)",
			 config_quote(guess->best, quoted));
	return out;
}

int config_ref_compare(const void *va, const void *vb)
{
	const struct config_ref *a = va, *b = vb;
	size_t n = a->name.n < b->name.n ? a->name.n : b->name.n;
	int order = memcmp(a->name.p, b->name.p, n);

	if (order != 0)
		return order;
	if (a->name.n != b->name.n)
		return a->name.n < b->name.n ? -1 : 1;
	return (a->node > b->node) - (a->node < b->node);
}

const struct config_ref *config_ref_first(const struct config_refs *refs,
					  struct slice name)
{
	const struct config_ref want = { .name = name };
	size_t low = 0, high = refs->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (config_ref_compare(&refs->all[mid], &want) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == refs->n || refs->all[low].name.n != name.n ||
	    memcmp(refs->all[low].name.p, name.p, name.n) != 0)
		return NULL;
	return &refs->all[low];
}
