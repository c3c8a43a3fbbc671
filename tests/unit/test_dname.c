/* SPDX-License-Identifier: MPL-2.0 */
#include "common/dname.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LABEL63                                                                \
	"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

static struct dname name_of(const char *text)
{
	struct dname name;

	assert_int_equal(dname_parse(slice_of(text), &name), 0);
	return name;
}

static void reads_names(void **state)
{
	struct dname name = name_of("WWW.Example.com");

	(void)state;
	assert_int_equal(name.n, 17);
	assert_int_equal(name.labels, 3);
	assert_memory_equal(name.wire, "\3www\7example\3com", 17);
	name = name_of("a\\.b.\\255\\065\\ .");
	assert_int_equal(name.labels, 2);
	assert_memory_equal(name.wire, "\3a.b\3\377a ", 9);
	name = name_of(".");
	assert_int_equal(name.n, 1);
	assert_int_equal(name.labels, 0);
	name = name_of(LABEL63 ".com");
	assert_int_equal(name.wire[0], 63);
}

static void refuses_what_is_no_name(void **state)
{
	static const char *const bad[] = {
		"",	      "..",	".com",	     "a..b",
		"a..",	      "a\\",	"a\\25",     "a\\2x5",
		"a\\256.com", "a\\999", LABEL63 "x", LABEL63 "x.com",
	};
	struct dname name = name_of("kept");

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(dname_parse(slice_of(bad[i]), &name), -EINVAL);
	assert_int_equal(name.n, 6);
}

static void knows_the_longest_name(void **state)
{
	const char *longest = LABEL63 "." LABEL63 "." LABEL63 "."
				      "abcdefghijklmnopqrstuvwxyzabcdefghijklmn"
				      "opqrstuvwxyzabcdefghi";
	const char *over = LABEL63 "." LABEL63 "." LABEL63 "."
				   "abcdefghijklmnopqrstuvwxyzabcdefghijklmn"
				   "opqrstuvwxyzabcdefghij";
	struct dname name = name_of(longest);

	(void)state;
	assert_int_equal(name.n, 255);
	assert_int_equal(dname_parse(slice_of(over), &name), -EINVAL);
	assert_int_equal(dname_parse(slice_of(LABEL63 "." LABEL63 "." LABEL63
						      "." LABEL63 "." LABEL63),
				     &name),
			 -EINVAL);
}

static void reads_wire(void **state)
{
	struct dname name, same = name_of("www.example.com");
	const uint8_t wire[] = "\3wWw\7EXAMPLE\3com";

	(void)state;
	assert_int_equal(dname_from_wire(wire, sizeof(wire), &name), 0);
	assert_true(dname_equal(&name, &same));
	assert_int_equal(dname_from_wire((const uint8_t *)"", 1, &name), 0);
	assert_int_equal(name.labels, 0);
	assert_int_equal(dname_from_wire(wire, 0, &name), -EINVAL);
	for (size_t n = 1; n < sizeof(wire); n++)
		assert_int_equal(dname_from_wire(wire, n, &name), -EINVAL);
	assert_int_equal(dname_from_wire((const uint8_t *)"\1a\0", 4, &name),
			 -EINVAL);
	assert_int_equal(dname_from_wire((const uint8_t *)"\300\14", 2, &name),
			 -EINVAL);
}

/* The longest name, of 128 different octets from 'first' on. */
static struct dname name_from(unsigned first)
{
	struct dname name = { .n = 255, .labels = 4 };
	size_t at = 0;

	for (size_t l = 0; l < 4; l++) {
		size_t n = l < 3 ? 63 : 61;
		name.wire[at++] = (uint8_t)n;
		for (size_t k = 0; k < n; k++, at++) {
			uint8_t c = (uint8_t)(first + (l * 63 + k) % 128);
			name.wire[at] = c >= 'A' && c <= 'Z' ? '!' : c;
		}
	}
	return name;
}

static void prints_what_it_reads(void **state)
{
	struct dname all, again;
	char out[DNAME_TEXT_MAX];

	(void)state;
	for (unsigned first = 0; first < 256; first += 128) {
		all = name_from(first);
		size_t n = dname_print(&all, out);
		assert_true(n < sizeof(out));
		assert_int_equal(strlen(out), n);
		assert_int_equal(dname_parse(slice_of(out), &again), 0);
		assert_true(dname_equal(&all, &again));
	}
	all = name_of(".");
	assert_int_equal(dname_print(&all, out), 1);
	assert_string_equal(out, ".");
	all = name_of("Example.COM.");
	dname_print(&all, out);
	assert_string_equal(out, "example.com");
}

static void knows_what_is_below(void **state)
{
	struct dname top = name_of("example.com"), root = name_of(".");
	struct dname below = name_of("a.b.example.com");
	struct dname beside = name_of("notexample.com");
	struct dname trick = name_of("a\\.example.com");

	(void)state;
	assert_true(dname_is_below(&below, &top));
	assert_true(dname_is_below(&top, &top));
	assert_true(dname_is_below(&top, &root));
	assert_true(dname_is_below(&root, &root));
	assert_false(dname_is_below(&top, &below));
	assert_false(dname_is_below(&beside, &top));
	assert_false(dname_is_below(&trick, &top));
	assert_false(dname_is_below(&root, &top));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_names),
		cmocka_unit_test(refuses_what_is_no_name),
		cmocka_unit_test(knows_the_longest_name),
		cmocka_unit_test(reads_wire),
		cmocka_unit_test(prints_what_it_reads),
		cmocka_unit_test(knows_what_is_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
