/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Rdata of SVCB records from anywhere: what is left of it is no longer, has
 * the same target and no hints, and nothing more to strip.  Input and output
 * lie in blocks of the exact size, so that a sanitizer sees any step outside.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/svcb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned int get16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

static bool is_hint(unsigned int key)
{
	return key == 4 || key == 6;
}

/* No hint, and none that "mandatory" names. */
static void check_params(const uint8_t *p, size_t n)
{
	size_t at = 0;

	while (at < n) {
		assert(n - at >= 4);
		unsigned int key = get16(p + at);
		size_t value_n = get16(p + at + 2);
		at += 4;
		assert(n - at >= value_n);
		assert(!is_hint(key));
		for (size_t i = 0; key == 0 && i + 2 <= value_n; i += 2)
			assert(!is_hint(get16(p + at + i)));
		at += value_n;
	}
}

static void check(const uint8_t *in, size_t n, const uint8_t *out, size_t used)
{
	struct slice before;
	struct slice after;
	bool had = svcb_target(in, n, &before);

	if (used == 0)
		return;
	bool has = svcb_target(out, used, &after);
	assert(had && has && used <= n);
	assert(before.n == after.n);
	assert(memcmp(before.p, after.p, before.n) == 0);
	assert(memcmp(in, out, 2 + before.n) == 0);
	check_params(out + 2 + after.n, used - 2 - after.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *in = malloc(size);
	uint8_t *out = malloc(size);
	uint8_t *again = malloc(size);

	if (in != NULL && out != NULL && again != NULL && size > 0) {
		memcpy(in, data, size);
		size_t used = svcb_strip(in, size, out);
		assert(memcmp(in, data, size) == 0);
		check(in, size, out, used);
		if (used > 0) {
			size_t same = svcb_strip(out, used, again);
			assert(same == used);
			assert(memcmp(out, again, used) == 0);
		}
	}
	free(in);
	free(out);
	free(again);
	return 0;
}
