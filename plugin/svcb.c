/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/svcb.h"

#include <string.h>

#define PRIORITY 2u /* octets before the TargetName */
#define PARAM	 4u /* key and length before a value */

enum { KEY_MANDATORY = 0, KEY_IPV4HINT = 4, KEY_IPV6HINT = 6 };

static unsigned int get16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

static bool is_hint(unsigned int key)
{
	return key == KEY_IPV4HINT || key == KEY_IPV6HINT;
}

bool svcb_target(const uint8_t *rdata, size_t n, struct slice *target)
{
	size_t at = PRIORITY;

	while (at < n && rdata[at] != 0) {
		if (rdata[at] > 63)
			return false;
		at += 1 + (size_t)rdata[at];
	}
	if (at >= n)
		return false;
	*target = (struct slice){ (const char *)rdata + PRIORITY,
				  at + 1 - PRIORITY };
	return true;
}

/* Writes a parameter; returns the octets written. */
static size_t put_param(uint8_t *out, unsigned int key, const uint8_t *value,
			size_t n)
{
	out[0] = (uint8_t)(key >> 8);
	out[1] = (uint8_t)key;
	out[2] = (uint8_t)(n >> 8);
	out[3] = (uint8_t)n;
	memmove(out + PARAM, value, n);
	return PARAM + n;
}

/* The list of mandatory keys, hints left out; without any, no parameter. */
static size_t put_mandatory(uint8_t *out, const uint8_t *value, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i + 2 <= n; i += 2) {
		if (is_hint(get16(value + i)))
			continue;
		memcpy(out + PARAM + kept, value + i, 2);
		kept += 2;
	}
	return kept > 0 ? put_param(out, KEY_MANDATORY, out + PARAM, kept) : 0;
}

size_t svcb_strip(const uint8_t *rdata, size_t n, uint8_t *out)
{
	struct slice target;

	if (!svcb_target(rdata, n, &target))
		return 0;
	size_t at = PRIORITY + target.n;
	size_t used = at;
	memcpy(out, rdata, at);
	while (at < n) {
		if (n - at < PARAM)
			return 0;
		unsigned int key = get16(rdata + at);
		size_t value_n = get16(rdata + at + 2);
		const uint8_t *value = rdata + at + PARAM;
		if (n - at - PARAM < value_n)
			return 0;
		at += PARAM + value_n;
		if (key == KEY_MANDATORY)
			used += put_mandatory(out + used, value, value_n);
		else if (!is_hint(key))
			used += put_param(out + used, key, value, value_n);
	}
	return used;
}
