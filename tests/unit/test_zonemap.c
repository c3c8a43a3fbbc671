/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/zonemap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED UINT64_C(0x0123456789abcdef)

/* From text without escapes, as it is spelled. */
static struct dname name_of(const char *text)
{
	struct dname name = { .n = 0 };

	while (*text != '\0') {
		size_t n = strcspn(text, ".");
		name.wire[name.n] = (uint8_t)n;
		memcpy(name.wire + name.n + 1, text, n);
		name.n = (uint8_t)(name.n + n + 1);
		name.labels++;
		text += n + (text[n] == '.');
	}
	name.wire[name.n++] = 0;
	return name;
}

static struct zonemap *map;
static struct dname zone[16];
static const struct dname *zones[16];
static void *values[16];

static int make(size_t n, const char *const *text, size_t *clash)
{
	for (size_t i = 0; i < n; i++) {
		zone[i] = name_of(text[i]);
		zones[i] = &zone[i];
		values[i] = &zone[i];
	}
	return zonemap_new(zones, values, n, SEED, &map, clash);
}

/* Index of the zone of 'text', or -1. */
static int where(const char *text)
{
	struct dname name = name_of(text);
	uint8_t *exact = malloc(name.n); /* so that ASan sees each end */
	unsigned int labels = 77;

	assert_non_null(exact);
	memcpy(exact, name.wire, name.n);
	const struct dname *z = zonemap_find(map, exact, name.n, &labels);
	free(exact);
	if (z == NULL)
		return -1;
	assert_int_equal(labels, z->labels);
	return (int)(z - zone);
}

static void longest_wins(void **state)
{
	const char *const text[] = {
		"example.com",	"sub.example.com", "org",
		"a.b.c.d.e.f",	"co.uk",	   "xn--bcher-kva.example",
		"eightxxx.net", "seven77.net",	   "ninexxxxx.sixteenxxxxxxxx",
	};
	size_t clash;

	(void)state;
	assert_int_equal(make(9, text, &clash), 0);
	assert_int_equal(where("example.com"), 0);
	assert_int_equal(where("www.example.com"), 0);
	assert_int_equal(where("WWW.eXaMpLe.COM"), 0);
	assert_int_equal(where("x.y.sub.example.com"), 1);
	assert_int_equal(where("SUB.example.com"), 1);
	assert_int_equal(where("xsub.example.com"), 0);
	assert_int_equal(where("com"), -1);
	assert_int_equal(where("example.net"), -1);
	assert_int_equal(where("xexample.com"), -1);
	assert_int_equal(where("example.comm"), -1);
	assert_int_equal(where("example"), -1);
	assert_int_equal(where(""), -1);
	assert_int_equal(where("example.org"), 2);
	assert_int_equal(where("ORG"), 2);
	assert_int_equal(where("b.c.d.e.f"), -1);
	assert_int_equal(where("a.b.c.d.e.f"), 3);
	assert_int_equal(where("z.a.b.c.d.e.f"), 3);
	assert_int_equal(where("x.co.uk"), 4);
	assert_int_equal(where("uk"), -1);
	assert_int_equal(where("a.xn--bcher-kva.example"), 5);
	assert_int_equal(where("a.xn--bcher-kv@.example"), -1);
	assert_int_equal(where("a.EIGHTXXX.net"), 6);
	assert_int_equal(where("seven77.net"), 7);
	assert_int_equal(where("NINEXXXXX.sixteenxxxxxxxX"), 8);
	assert_int_equal(where("ninexxxxy.sixteenxxxxxxxx"), -1);
	zonemap_free(map);
}

/* '@' and '[' stand beside the letters, as do the same with the top bit. */
static void folds_letters_only(void **state)
{
	const char *const text[] = { "@z[{`a\x7f", "\xc1\xe1.\xda\xfa" };
	size_t clash;

	(void)state;
	assert_int_equal(make(2, text, &clash), 0);
	assert_int_equal(where("@Z[{`A\x7f"), 0);
	assert_int_equal(where("`z[{`a\x7f"), -1);
	assert_int_equal(where("@z{{`a\x7f"), -1);
	assert_int_equal(where("\xc1\xe1.\xda\xfa"), 1);
	assert_int_equal(where("\xe1\xe1.\xda\xfa"), -1);
	assert_int_equal(where("\xc1\xe1.\xfa\xfa"), -1);
	zonemap_free(map);
}

static void the_root(void **state)
{
	const char *const text[] = { "", "example.com" };
	size_t clash;

	(void)state;
	assert_int_equal(make(2, text, &clash), 0);
	assert_int_equal(where(""), 0);
	assert_int_equal(where("com"), 0);
	assert_int_equal(where("www.example.net"), 0);
	assert_int_equal(where("www.example.com"), 1);
	zonemap_free(map);
	assert_int_equal(make(1, text, &clash), 0);
	assert_int_equal(where("www.example.com"), 0);
	zonemap_free(map);
}

static void none(void **state)
{
	(void)state;
	assert_int_equal(zonemap_new(NULL, NULL, 0, SEED, &map, NULL), 0);
	assert_int_equal(where("www.example.com"), -1);
	assert_int_equal(where(""), -1);
	zonemap_free(map);
	zonemap_free(NULL);
}

static void clashes(void **state)
{
	const char *const text[] = { "a.com", "b.com", "com", "b.com",
				     "a.com" };
	const char *const root[] = { "a", "", "b", "" };
	size_t clash = 99;

	(void)state;
	map = NULL;
	assert_int_equal(make(5, text, &clash), -EEXIST);
	assert_int_equal(clash, 1);
	assert_int_equal(make(4, root, &clash), -EEXIST);
	assert_int_equal(clash, 1);
	clash = 99;
	assert_int_equal(
		zonemap_new(zones, values, ZONEMAP_MAX + 1, SEED, &map, &clash),
		-E2BIG);
	assert_int_equal(clash, 99);
	assert_null(map);
}

static void malformed(void **state)
{
	const char *const text[] = { "com", "" };
	size_t clash;
	unsigned int labels;
	static const uint8_t big[300] = { 1, 'a' };
	static const uint8_t com[] = "\3com";

	(void)state;
	assert_int_equal(make(2, text, &clash), 0);
	assert_null(zonemap_find(map, com, 0, &labels));
	assert_null(zonemap_find(map, com, 3, &labels));
	assert_null(zonemap_find(map, com, 4, &labels)); /* no root label */
	assert_non_null(zonemap_find(map, com, 5, &labels));
	assert_null(zonemap_find(map, big, 300, &labels));
	zonemap_free(map);
}

static void the_longest_names(void **state)
{
	struct dname deep = { .n = 255, .labels = 127 };
	struct dname wide = { .n = 255, .labels = 4 };
	const struct dname *names[] = { &deep, &wide };
	void *both[] = { &deep, &wide };
	unsigned int labels;
	size_t clash;

	(void)state;
	for (size_t i = 0; i < 254; i += 2)
		memcpy(deep.wire + i, "\1a", 2);
	memset(wide.wire, 'w', 254);
	wide.wire[0] = wide.wire[64] = wide.wire[128] = 63;
	wide.wire[192] = 61;
	assert_int_equal(zonemap_new(names, both, 2, SEED, &map, &clash), 0);
	assert_ptr_equal(zonemap_find(map, deep.wire, 255, &labels), &deep);
	assert_int_equal(labels, 127);
	assert_null(zonemap_find(map, deep.wire + 2, 253, &labels));
	for (size_t i = 1; i < 254; i += 2)
		deep.wire[i] = 'A';
	assert_non_null(zonemap_find(map, deep.wire, 255, &labels));
	assert_ptr_equal(zonemap_find(map, wide.wire, 255, &labels), &wide);
	wide.wire[63] = 'W';
	assert_ptr_equal(zonemap_find(map, wide.wire, 255, &labels), &wide);
	wide.wire[63] = 'v';
	assert_null(zonemap_find(map, wide.wire, 255, &labels));
	zonemap_free(map);
}

/* -- against a search that is plainly right ------------------------------ */

#define MANY 3000u

static uint32_t bits(void)
{
	static uint32_t x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

/* Up to five labels of few and short kinds, so that names meet. */
static struct dname random_name(void)
{
	char text[128];
	size_t n = 0;

	for (unsigned int labels = bits() % 6; labels > 0; labels--) {
		size_t len = 1 + bits() % (bits() % 8 == 0 ? 20 : 3);
		for (size_t i = 0; i < len; i++)
			text[n++] = (char)('a' + bits() % 3);
		text[n++] = '.';
	}
	text[n > 0 ? n - 1 : 0] = '\0';
	return name_of(text);
}

static const struct dname *plain_find(const struct dname *many, size_t n,
				      const struct dname *name)
{
	const struct dname *best = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t skip = 0;
		if (many[i].labels > name->labels ||
		    (best != NULL && best->labels >= many[i].labels))
			continue;
		for (int l = name->labels - many[i].labels; l > 0; l--)
			skip += 1 + (size_t)name->wire[skip];
		if (name->n - skip == many[i].n &&
		    memcmp(name->wire + skip, many[i].wire, many[i].n) == 0)
			best = &many[i];
	}
	return best;
}

static void agrees_with_a_plain_search(void **state)
{
	static struct dname many[MANY];
	static const struct dname *names[MANY];
	static void *mine[MANY];
	unsigned int found = 0;
	size_t clash;
	size_t n = 0;

	(void)state;
	for (unsigned int i = 0; i < MANY; i++) {
		many[n] = random_name();
		const struct dname *was = plain_find(many, n, &many[n]);
		if (many[n].labels < 2 ||
		    (was != NULL && was->labels == many[n].labels))
			continue;
		names[n] = &many[n];
		mine[n] = &many[n];
		n++;
	}
	assert_int_equal(zonemap_new(names, mine, n, SEED, &map, &clash), 0);
	for (unsigned int i = 0; i < 5000; i++) {
		struct dname name = random_name();
		unsigned int labels = 77;
		const struct dname *want = plain_find(many, n, &name);
		for (size_t o = 0; o < name.n; o++)
			if (name.wire[o] >= 'a' && bits() % 2 == 0)
				name.wire[o] -= 32;
		assert_ptr_equal(zonemap_find(map, name.wire, name.n, &labels),
				 want);
		found += want != NULL;
		if (want != NULL)
			assert_int_equal(labels, want->labels);
	}
	assert_true(found > 500);
	zonemap_free(map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest_wins),
		cmocka_unit_test(folds_letters_only),
		cmocka_unit_test(the_root),
		cmocka_unit_test(none),
		cmocka_unit_test(clashes),
		cmocka_unit_test(malformed),
		cmocka_unit_test(the_longest_names),
		cmocka_unit_test(agrees_with_a_plain_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
