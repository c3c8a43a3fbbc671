/* SPDX-License-Identifier: MPL-2.0 */
#include "common/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* From large to small. */
static const struct unit durations[] = {
	{ "w", 604800000 }, { "d", 86400000 }, { "h", 3600000 },
	{ "m", 60000 },	    { "s", 1000 },     { "ms", 1 },
};

static const struct unit sizes[] = {
	{ "TiB", UINT64_C(1) << 40 },
	{ "GiB", UINT64_C(1) << 30 },
	{ "MiB", UINT64_C(1) << 20 },
	{ "KiB", UINT64_C(1) << 10 },
	{ "B", 1 },
};

#define N_DURATIONS (sizeof(durations) / sizeof(durations[0]))
#define N_SIZES	    (sizeof(sizes) / sizeof(sizes[0]))

/* Returns the factor of 'name', or 0. */
static uint64_t unit_find(const struct unit *units, size_t n, struct slice name)
{
	for (size_t i = 0; i < n; i++)
		if (slice_is(name, units[i].name))
			return units[i].factor;
	return 0;
}

static int unit_parse(const struct unit *units, size_t n, struct slice text,
		      uint64_t *result)
{
	uint64_t value = 0;
	size_t i = 0;
	bool over = false;

	for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++) {
		uint64_t digit = (uint64_t)(text.p[i] - '0');
		over = over || value > (UINT64_MAX - digit) / 10;
		value = over ? 0 : value * 10 + digit;
	}

	uint64_t factor =
		unit_find(units, n, (struct slice){ text.p + i, text.n - i });
	if (i == 0 || factor == 0)
		return -EINVAL;
	if (over || value > UINT64_MAX / factor)
		return -ERANGE;
	*result = value * factor;
	return 0;
}

int units_duration_parse(struct slice text, uint64_t *ms)
{
	return unit_parse(durations, N_DURATIONS, text, ms);
}

int units_size_parse(struct slice text, uint64_t *size_bytes)
{
	return unit_parse(sizes, N_SIZES, text, size_bytes);
}

/* Prints 'value' in the first unit that divides it. */
static size_t unit_print(const struct unit *unit, uint64_t value, char *out)
{
	while (value % unit->factor != 0)
		unit++;

	int n = snprintf(out, UNITS_TEXT_MAX, "%" PRIu64 "%s",
			 value / unit->factor, unit->name);
	return (size_t)n;
}

size_t units_duration_print(uint64_t ms, char *out)
{
	if (ms == 0) {
		memcpy(out, "0s", 3);
		return 2;
	}
	return unit_print(durations, ms, out);
}

size_t units_size_print(uint64_t size_bytes, char *out)
{
	if (size_bytes == 0) {
		memcpy(out, "0B", 3);
		return 2;
	}
	return unit_print(sizes, size_bytes, out);
}
