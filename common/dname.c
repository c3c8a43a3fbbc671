/* SPDX-License-Identifier: MPL-2.0 */
#include "common/dname.h"

#include <errno.h>

#define LABEL_MAX 63

static uint8_t fold(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * Takes one octet of a label from 's' at '*i': plain, \X or \DDD.  Returns it,
 * with '*i' after it, or -1 for a bad escape.
 */
static int octet_parse(struct slice s, size_t *i)
{
	uint8_t c = (uint8_t)s.p[(*i)++];

	if (c != '\\')
		return c;
	if (*i == s.n)
		return -1;
	if (!is_digit(s.p[*i]))
		return (uint8_t)s.p[(*i)++];
	if (s.n - *i < 3 || !is_digit(s.p[*i + 1]) || !is_digit(s.p[*i + 2]))
		return -1;

	int value = (s.p[*i] - '0') * 100 + (s.p[*i + 1] - '0') * 10 +
		    (s.p[*i + 2] - '0');
	*i += 3;
	return value <= 255 ? value : -1;
}

/*
 * Reads one label from 's' at '*i' up to a dot or the end into
 * 'out[1 .. *n]'; '*i' is left at the dot or the end.
 */
static int label_parse(struct slice s, size_t *i, uint8_t *out, size_t *n)
{
	*n = 0;
	while (*i < s.n && s.p[*i] != '.') {
		int c = octet_parse(s, i);
		if (c < 0 || *n == LABEL_MAX)
			return -EINVAL;
		out[++*n] = fold((uint8_t)c);
	}
	if (*n == 0)
		return -EINVAL;
	out[0] = (uint8_t)*n;
	return 0;
}

int dname_parse(struct slice text, struct dname *name)
{
	uint8_t wire[DNAME_WIRE_MAX + LABEL_MAX + 2];
	size_t used = 0;
	uint8_t labels = 0;

	if (text.n == 0)
		return -EINVAL;
	if (slice_is(text, "."))
		text.n = 0;
	for (size_t i = 0; i < text.n; labels++) {
		size_t n;
		if (label_parse(text, &i, wire + used, &n) != 0)
			return -EINVAL;
		used += n + 1;
		if (used >= DNAME_WIRE_MAX)
			return -EINVAL;
		if (i < text.n)
			i++; /* the dot */
	}
	wire[used++] = 0;

	*name = (struct dname){ .n = (uint8_t)used, .labels = labels };
	memcpy(name->wire, wire, used);
	return 0;
}

int dname_from_wire(const uint8_t *wire, size_t n, struct dname *name)
{
	struct dname made = { 0 };
	size_t i = 0;

	if (n < 1 || n > DNAME_WIRE_MAX)
		return -EINVAL;
	while (wire[i] != 0) {
		size_t len = wire[i];
		if (len > LABEL_MAX || len + 1 >= n - i)
			return -EINVAL;
		made.wire[i] = (uint8_t)len;
		for (size_t k = 1; k <= len; k++)
			made.wire[i + k] = fold(wire[i + k]);
		i += len + 1;
		made.labels++;
	}
	if (i + 1 != n)
		return -EINVAL;
	made.n = (uint8_t)n;
	*name = made;
	return 0;
}

/* Writes one octet of a label as text; returns how many characters. */
static size_t octet_print(uint8_t c, char *out)
{
	static const char special[] = ".\\\"();@$";

	if (c <= ' ' || c >= 0x7f) {
		out[0] = '\\';
		out[1] = (char)('0' + c / 100);
		out[2] = (char)('0' + c / 10 % 10);
		out[3] = (char)('0' + c % 10);
		return 4;
	}
	if (memchr(special, c, sizeof(special) - 1) != NULL) {
		out[0] = '\\';
		out[1] = (char)c;
		return 2;
	}
	out[0] = (char)c;
	return 1;
}

size_t dname_print(const struct dname *name, char *out)
{
	size_t used = 0;

	if (name->labels == 0)
		out[used++] = '.';
	for (size_t i = 0; name->wire[i] != 0; i += name->wire[i] + 1u) {
		if (used > 0)
			out[used++] = '.';
		for (size_t k = 1; k <= name->wire[i]; k++)
			used += octet_print(name->wire[i + k], out + used);
	}
	out[used] = '\0';
	return used;
}

bool dname_equal(const struct dname *a, const struct dname *b)
{
	return a->n == b->n && memcmp(a->wire, b->wire, a->n) == 0;
}

bool dname_is_below(const struct dname *name, const struct dname *top)
{
	if (name->labels < top->labels || name->n < top->n)
		return false;

	size_t i = 0;
	for (uint8_t skip = name->labels - top->labels; skip > 0; skip--)
		i += name->wire[i] + 1u;
	return name->n - i == top->n &&
	       memcmp(name->wire + i, top->wire, top->n) == 0;
}
