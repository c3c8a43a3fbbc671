/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_perf.h"

#include <string.h>

#include "common/probe.h"

void probed_perf_text(struct slice output, char *out, size_t size)
{
	size_t n = 0;

	while (n + 1 < size && n < output.n && output.p[n] != '|' &&
	       output.p[n] != '\n') {
		unsigned char c = (unsigned char)output.p[n];
		out[n++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

/* Takes a label, perhaps quoted, and the '=' after it. */
static bool label_take(struct slice *rest, struct slice *label)
{
	char end = '=';
	size_t from = 0, i;

	while (from < rest->n &&
	       (rest->p[from] == ' ' || rest->p[from] == '\n'))
		from++;
	if (from < rest->n && rest->p[from] == '\'') {
		end = '\'';
		from++;
	}
	for (i = from; i < rest->n && rest->p[i] != end; i++)
		;
	if (i == rest->n)
		return false;
	*label = (struct slice){ rest->p + from, i - from };
	i += end == '\'';
	if (i >= rest->n || rest->p[i] != '=')
		return false;
	rest->p += i + 1;
	rest->n -= i + 1;
	return true;
}

/* Milliseconds in a unit of time; 1 of any other. */
static double factor_of(struct slice unit)
{
	if (slice_is(unit, "s"))
		return 1000;
	return slice_is(unit, "us") ? 0.001 : 1;
}

static bool value_read(struct slice text, uint32_t *value)
{
	double n = 0, place = 1;
	size_t i = 0, digits = 0;
	bool point = false;

	for (; i < text.n; i++) {
		char c = text.p[i];
		if (c == '.' && !point) {
			point = true;
			continue;
		}
		if (c < '0' || c > '9')
			break;
		place = point ? place / 10 : 1;
		n = point ? n + place * (c - '0') : 10 * n + (c - '0');
		digits++;
	}
	if (digits == 0 || digits > 30)
		return false;
	n *= factor_of((struct slice){ text.p + i, text.n - i });
	if (n > PROBE_METRIC_FAILED - 1)
		n = PROBE_METRIC_FAILED - 1;
	*value = (uint32_t)n;
	/* Not for what arithmetic has left over. */
	if (n - *value > 1e-6)
		(*value)++;
	if (*value < 1)
		*value = 1;
	return true;
}

bool probed_perf_find(struct slice output, const char *label, uint32_t *value)
{
	const char *bar = memchr(output.p, '|', output.n);
	struct slice rest, name;

	if (bar == NULL)
		return false;
	rest = (struct slice){ bar + 1,
			       output.n - (size_t)(bar + 1 - output.p) };
	while (label_take(&rest, &name)) {
		size_t n = 0;
		while (n < rest.n && rest.p[n] != ';' && rest.p[n] != ' ' &&
		       rest.p[n] != '\n')
			n++;
		if (slice_is(name, label))
			return value_read((struct slice){ rest.p, n }, value);
		while (n < rest.n && rest.p[n] != ' ' && rest.p[n] != '\n')
			n++;
		rest.p += n;
		rest.n -= n;
	}
	return false;
}
