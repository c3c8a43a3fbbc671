/* SPDX-License-Identifier: MPL-2.0 */
#include "common/jsontext.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_finds(void **state)
{
	const char *text =
		"{\n \"a\": [1, 2.5,\n  \"x\"],\n \"b\": {\"c\":true}}";
	struct jsontext json;
	struct err err;

	(void)state;
	assert_int_equal(jsontext_init(slice_of(text), &json, &err), 0);
	assert_int_equal(json.nodes[0].kind, JSONTEXT_OBJECT);
	assert_int_equal(json.nodes[0].n, 2);
	uint32_t a = jsontext_member(&json, 0, "a");
	assert_int_not_equal(a, 0);
	assert_int_equal(json.nodes[a].line, 2);
	assert_int_equal(json.nodes[a].n, 3);
	uint32_t one = json.nodes[a].first;
	assert_int_equal(json.nodes[one].kind, JSONTEXT_INTEGER);
	assert_true(slice_is(jsontext_raw(&json, one), "1"));
	uint32_t number = json.nodes[one].next;
	assert_int_equal(json.nodes[number].kind, JSONTEXT_NUMBER);
	uint32_t string = json.nodes[number].next;
	assert_int_equal(json.nodes[string].line, 3);
	assert_int_equal(json.nodes[string].next, 0);
	uint32_t b = jsontext_member(&json, 0, "b");
	assert_int_equal(json.nodes[b].line, 4);
	uint32_t c = jsontext_member(&json, b, "c");
	assert_int_equal(json.nodes[c].kind, JSONTEXT_BOOL);
	assert_int_equal(jsontext_member(&json, 0, "c"), 0);
	jsontext_fini(&json);
}

static void test_duplicates(void **state)
{
	/* the second "ab" is spelled with an escape */
	const char *text = "{\"ab\":1,\"c\":2,\"\\u0061b\":3}";
	struct jsontext json;
	struct err err;

	(void)state;
	assert_int_equal(jsontext_init(slice_of(text), &json, &err), 0);
	uint32_t first = json.nodes[0].first;
	uint32_t last = jsontext_member(&json, 0, "ab");
	assert_int_not_equal(first, last);
	assert_int_equal(json.nodes[last].same, first);
	assert_int_not_equal(json.nodes[first].shadowed, 0);
	assert_int_equal(json.nodes[json.nodes[first].next].same, 0);
	jsontext_fini(&json);
}

static void test_refuses(void **state)
{
	static const char *const bad[] = {
		"",	      "{",	   "[1,]",	  "{\"a\":1,}",
		"{a:1}",      "[01]",	   "[1.]",	  "[NaN]",
		"[+1]",	      "\"\\x\"",   "\"\t\"",	  "[1] 2",
		"// x\n1",    "{\"a\" 1}", "\"\\ud800\"", "\"\\u0000\"",
		"[\"\xff\"]", "[1 2]",	   "nul",	  "\"open",
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct jsontext json = { .n_nodes = 42 };
		assert_int_equal(jsontext_init(slice_of(bad[i]), &json, &err),
				 -EINVAL);
		assert_int_equal(json.n_nodes, 42);
		assert_true(err.line >= 1 && err.text[0] != '\0');
	}
}

static void test_deep(void **state)
{
	enum { DEEP = 100000 };
	char *text = malloc(2 * DEEP);
	struct jsontext json;
	struct err err;

	(void)state;
	assert_non_null(text);
	memset(text, '[', DEEP);
	memset(text + DEEP, ']', DEEP);
	struct slice all = { text, 2 * DEEP };
	int rc = jsontext_init(all, &json, &err);
	assert_true(rc == 0 || rc == -EINVAL);
	if (rc == 0)
		jsontext_fini(&json);
	free(text);
}

static void test_escapes(void **state)
{
	char out[16];

	(void)state;
	size_t n = jsontext_escape(slice_of("a\"\n"), out, sizeof(out));
	assert_int_equal(n, strlen(out));
	assert_string_equal(out, "a\\\"\\u000a");
	(void)jsontext_escape(slice_of("0123456789abcdefghij"), out,
			      sizeof(out));
	assert_true(strlen(out) < sizeof(out));
	assert_string_equal(out + strlen(out) - 3, "...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
