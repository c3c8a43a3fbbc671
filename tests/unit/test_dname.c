/* SPDX-License-Identifier: MPL-2.0 */
#include "common/dname.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct dname name_of(const char *text)
{
	struct dname name;

	assert_int_equal(dname_parse(slice_of(text), &name), 0);
	return name;
}

static void test_reads(void **state)
{
	static const uint8_t wire[] = "\3www\7example\3com";
	struct dname name = name_of("WWW.Example.com.");

	(void)state;
	assert_int_equal(name.n, sizeof(wire));
	assert_int_equal(name.labels, 3);
	assert_memory_equal(name.wire, wire, sizeof(wire));
	name = name_of("www.example.com");
	assert_memory_equal(name.wire, wire, sizeof(wire));
	name = name_of(".");
	assert_int_equal(name.n, 1);
	assert_int_equal(name.labels, 0);
	name = name_of("a\\.b\\003.c");
	assert_memory_equal(name.wire, "\4a.b\3\1c", 8);
}

static void test_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		"..",
		"a..b",
		".a",
		"a\\",
		"a\\25",
		"\\256",
		"a.b..",
		"a\\2x5",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaa.com",
	};
	char label[64];
	char longest[400];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct dname name = { .n = 42 };
		assert_int_equal(dname_parse(slice_of(bad[i]), &name), -EINVAL);
		assert_int_equal(name.n, 42);
	}
	/* 63 + 63 + 63 + 61 octets and their lengths: 255; one more is 256 */
	memset(label, 'a', 63);
	label[63] = '\0';
	struct dname name;
	for (size_t last = 61; last <= 62; last++) {
		size_t n = 0;
		for (size_t i = 0; i < 4; i++) {
			size_t take = i < 3 ? 63 : last;
			memcpy(longest + n, label, take);
			n += take;
			longest[n++] = '.';
		}
		struct slice text = { longest, n };
		assert_int_equal(dname_parse(text, &name),
				 last == 61 ? 0 : -EINVAL);
	}
}

static void test_prints(void **state)
{
	static const char *const same[] = { ".", "example.com", "a\\.b.c",
					    "\\000\\255.x", "a\\\\b" };
	char text[DNAME_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		struct dname name = name_of(same[i]);
		size_t n = dname_print(&name, text);
		assert_int_equal(n, strlen(text));
		struct dname again = name_of(text);
		assert_true(dname_equal(&name, &again));
	}
	struct dname name = name_of("Example.COM.");
	(void)dname_print(&name, text);
	assert_string_equal(text, "example.com");
}

static void test_from_wire(void **state)
{
	struct dname name = { .n = 9 };

	(void)state;
	assert_int_equal(dname_from_wire((const uint8_t *)"\1A\0", 3, &name),
			 0);
	assert_memory_equal(name.wire, "\1a\0", 3);
	/* too short, goes on, a pointer, no root, nothing */
	assert_int_equal(dname_from_wire((const uint8_t *)"\2a\0", 3, &name),
			 -EINVAL);
	assert_int_equal(dname_from_wire((const uint8_t *)"\1a\0\0", 4, &name),
			 -EINVAL);
	assert_int_equal(dname_from_wire((const uint8_t *)"\300\14", 2, &name),
			 -EINVAL);
	assert_int_equal(dname_from_wire((const uint8_t *)"\1a", 2, &name),
			 -EINVAL);
	assert_int_equal(dname_from_wire((const uint8_t *)"", 0, &name),
			 -EINVAL);
	assert_int_equal(name.n, 3);
}

static void test_below(void **state)
{
	struct dname top = name_of("example.com");
	struct dname root = name_of(".");
	struct dname below = name_of("a.b.example.com");
	struct dname beside = name_of("badexample.com");
	/* the octets of example.com, inside a label */
	struct dname trap = name_of("x\\007example\\003com");

	(void)state;
	assert_true(dname_is_below(&top, &top));
	assert_true(dname_is_below(&below, &top));
	assert_true(dname_is_below(&below, &root));
	assert_false(dname_is_below(&top, &below));
	assert_false(dname_is_below(&beside, &top));
	assert_false(dname_is_below(&trap, &top));
	assert_false(dname_equal(&top, &below));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),  cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_prints), cmocka_unit_test(test_from_wire),
		cmocka_unit_test(test_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
