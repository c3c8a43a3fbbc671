/* SPDX-License-Identifier: MPL-2.0 */
#include "common/nameset.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MANY 5000u

static struct dname name_of(const char *text)
{
	struct dname name;

	assert_int_equal(dname_parse(slice_of(text), &name), 0);
	return name;
}

static void *find(const struct nameset *set, const char *text)
{
	struct dname name = name_of(text);

	return nameset_find(set, name.wire, name.n);
}

/* Names of every length around a word, and one of a letter. */
static void test_finds_exactly(void **state)
{
	static const char *const texts[] = {
		"a",	   "ab.c",	  "abcde",	  "abcdef",
		"abcdefg", "abcdefgh.ij", "www.example.", "a.www.example.",
		"."
	};
	enum { N = sizeof(texts) / sizeof(texts[0]) };
	struct dname names[N];
	const struct dname *list[N];
	void *values[N];
	struct nameset *set = NULL;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		names[i] = name_of(texts[i]);
		list[i] = &names[i];
		values[i] = (void *)texts[i];
	}
	assert_int_equal(nameset_new(list, values, N, 7, &set), 0);
	for (size_t i = 0; i < N; i++)
		assert_ptr_equal(find(set, texts[i]), texts[i]);
	assert_null(find(set, "b"));
	assert_null(find(set, "abcdee"));
	assert_null(find(set, "example"));
	assert_null(find(set, "b.www.example"));
	assert_null(nameset_find(set, names[0].wire, 0));
	assert_null(nameset_find(set, names[0].wire, 256));
	nameset_free(set);
}

/* Case does not matter, and nothing else is folded. */
static void test_case(void **state)
{
	struct dname name = name_of("www.ex@mple-[z]");
	const struct dname *list[] = { &name };
	void *values[] = { &name };
	struct nameset *set = NULL;
	uint8_t wire[DNAME_WIRE_MAX];

	(void)state;
	assert_int_equal(nameset_new(list, values, 1, 3, &set), 0);
	memcpy(wire, name.wire, name.n);
	for (size_t i = 0; i < name.n; i++)
		if (wire[i] >= 'a' && wire[i] <= 'z')
			wire[i] = (uint8_t)(wire[i] - 32);
	assert_ptr_equal(nameset_find(set, wire, name.n), &name);
	for (size_t i = 0; i < name.n; i++) {
		uint8_t was = wire[i];
		bool letter = was >= 'A' && was <= 'Z';
		if (letter)
			continue;
		wire[i] ^= 0x20;
		assert_null(nameset_find(set, wire, name.n));
		wire[i] = was;
	}
	nameset_free(set);
}

static void test_many(void **state)
{
	struct dname *names = calloc(MANY, sizeof(*names));
	const struct dname **list = calloc(MANY, sizeof(const struct dname *));
	void **values = calloc(MANY, sizeof(void *));
	struct nameset *set = NULL;
	char text[64];

	(void)state;
	assert_non_null(names);
	assert_non_null(list);
	assert_non_null(values);
	for (size_t i = 0; i < MANY; i++) {
		(void)snprintf(text, sizeof(text), "h%zu.example.net", i);
		names[i] = name_of(text);
		list[i] = &names[i];
		values[i] = &names[i];
	}
	assert_int_equal(nameset_new(list, values, MANY, 1, &set), 0);
	for (size_t i = 0; i < MANY; i++)
		assert_ptr_equal(nameset_find(set, names[i].wire, names[i].n),
				 &names[i]);
	for (size_t i = MANY; i < 2 * MANY; i++) {
		(void)snprintf(text, sizeof(text), "h%zu.example.net", i);
		assert_null(find(set, text));
	}
	nameset_free(set);
	free(names);
	free(list);
	free(values);
}

static void test_bounds(void **state)
{
	struct nameset *set = NULL;

	(void)state;
	assert_int_equal(nameset_new(NULL, NULL, NAMESET_MAX + 1, 1, &set),
			 -E2BIG);
	assert_null(set);
	assert_int_equal(nameset_new(NULL, NULL, 0, 1, &set), 0);
	assert_null(find(set, "a.example"));
	nameset_free(set);
	nameset_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_exactly),
		cmocka_unit_test(test_case),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
