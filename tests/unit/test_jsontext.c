/* SPDX-License-Identifier: MPL-2.0 */
#include "common/jsontext.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/utf8.h"

static void notes_where_things_are(void **state)
{
	const char *text =
		"{ \"a\": [ 1,\n -2.5e3 ],\n\"b\" :\n{ \"c\": null }}";
	struct jsontext json;

	(void)state;
	assert_int_equal(jsontext_init(slice_of(text), &json, NULL), 0);
	assert_int_equal(json.n_nodes, 6);
	assert_int_equal(json.nodes[0].kind, JSONTEXT_OBJECT);
	assert_int_equal(json.nodes[0].n, 2);

	uint32_t a = jsontext_member(&json, 0, "a");
	uint32_t b = jsontext_member(&json, 0, "b");
	assert_int_equal(json.nodes[a].kind, JSONTEXT_ARRAY);
	assert_int_equal(json.nodes[a].n, 2);
	assert_int_equal(json.nodes[a].next, b);
	uint32_t one = json.nodes[a].first;
	uint32_t two = json.nodes[one].next;
	assert_int_equal(json.nodes[one].kind, JSONTEXT_INTEGER);
	assert_int_equal(json.nodes[one].line, 1);
	assert_int_equal(json.nodes[two].kind, JSONTEXT_NUMBER);
	assert_int_equal(json.nodes[two].line, 2);
	assert_true(slice_is(jsontext_raw(&json, two), "-2.5e3"));
	assert_null(json.nodes[two].key.p);
	/* The line of the key, not of its value. */
	assert_int_equal(json.nodes[b].line, 3);
	assert_true(slice_is(jsontext_raw(&json, b), "{ \"c\": null }"));
	assert_int_equal(jsontext_member(&json, 0, "c"), 0);
	jsontext_fini(&json);
}

static void finds_duplicates_decoded(void **state)
{
	const char *text = "{\"a\":1,\"\\u0061\":2,\"b\":3,\"a\":{\"a\":4}}";
	struct jsontext json;

	(void)state;
	assert_int_equal(jsontext_init(slice_of(text), &json, NULL), 0);
	assert_int_equal(json.nodes[1].same, 0);
	assert_int_equal(json.nodes[2].same, 1);
	assert_int_equal(json.nodes[3].same, 0);
	assert_int_equal(json.nodes[3].shadowed, 0);
	assert_int_equal(json.nodes[4].same, 2);
	assert_true(json.nodes[1].shadowed != 0 && json.nodes[2].shadowed != 0);
	assert_int_equal(json.nodes[5].same, 0);
	assert_int_equal(jsontext_member(&json, 0, "a"), 4);
	jsontext_fini(&json);
}

static void finds_duplicates_among_many(void **state)
{
	enum { N = 1000 };
	struct jsontext json;
	char text[N * 16 + 64];
	size_t n = 1;

	(void)state;
	text[0] = '{';
	for (unsigned i = 0; i < N; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "\"k%u\":%u,\n", i * 7919 % N, i);
	n += (size_t)snprintf(text + n, sizeof(text) - n, "\"k42\":1}");
	assert_int_equal(jsontext_init((struct slice){ text, n }, &json, NULL),
			 0);
	unsigned found = 0;
	for (uint32_t i = 0; i < json.n_nodes; i++)
		found += json.nodes[i].same != 0;
	assert_int_equal(found, 1);
	assert_true(slice_is(json.nodes[json.nodes[N + 1].same].key, "k42"));
	jsontext_fini(&json);
}

static void decodes_keys(void **state)
{
	const char *text = "{\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC"
			   "\\ud83d\\ude00\":0,\"plain\":1,\"\":2}";
	struct jsontext json;

	(void)state;
	assert_int_equal(jsontext_init(slice_of(text), &json, NULL), 0);
	assert_true(slice_is(json.nodes[1].key,
			     "\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac"
			     "\xf0\x9f\x98\x80"));
	assert_true(slice_is(json.nodes[2].key, "plain"));
	assert_true(slice_is(json.nodes[3].key, ""));
	jsontext_fini(&json);
}

static void says_where_it_is_wrong(void **state)
{
	static const struct {
		const char *text;
		unsigned long line;
		const char *words;
	} rows[] = {
		{ "", 1, "column 1: the text ends" },
		{ "{", 1, "column 2: the text ends" },
		{ "{\"a\":\n1,}", 2, "column 3: want a key" },
		{ "[1,]", 1, "column 4: want a value" },
		{ "[1 2]", 1, "column 4: want ',' or ']'" },
		{ "{\"a\" 1}", 1, "column 6: want ':'" },
		{ "{\"a\":1 \"b\":2}", 1, "column 8: want ',' or '}'" },
		{ "[01]", 1, "column 2: a number with a leading zero" },
		{ "[-]", 1, "column 3: want a digit" },
		{ "[1.]", 1, "column 4: want a digit" },
		{ "[1e]", 1, "column 4: want a digit" },
		{ "[+1]", 1, "column 2: want a value" },
		{ "[nul]", 1, "column 2: want a value" },
		{ "[Infinity]", 1, "column 2: want a value" },
		{ "[\"\xc3\xa9\" x]", 1, "column 6: want ','" },
		{ "[\"\\x\"]", 1, "column 4: bad escape" },
		{ "[\"\\u12g4\"]", 1, "want four hexadecimal digits" },
		{ "[\"\\ude00\"]", 1, "half a surrogate pair" },
		{ "[\"\\ud83d\\u0041\"]", 1, "half a surrogate pair" },
		{ "[\"\\u0000\"]", 1, "the character U+0000" },
		{ "[\"a\nb\"]", 1, "column 4: a control character" },
		{ "[\n\"\xff\"]", 2, "column 2: not UTF-8" },
		{ "[\"\xed\xa0\x80\"]", 1, "not UTF-8" },
		{ "\xef\xbb\xbf[]", 1, "a byte order mark" },
		{ "[] []", 1, "column 4: text after the end" },
		{ "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", 1, "nested too deep" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct jsontext json;
		struct err err = { 0 };
		int rc = jsontext_init(slice_of(rows[i].text), &json, &err);
		assert_int_equal(rc, -EINVAL);
		assert_int_equal(err.line, rows[i].line);
		if (strstr(err.text, rows[i].words) == NULL)
			fail_msg("%s: %s", rows[i].text, err.text);
	}
}

static void refuses_every_beginning(void **state)
{
	const char *text = "{\"a\\u0041\":[true,false,null,-1.5E+3,\"\\n\"]}";

	(void)state;
	for (size_t n = 0; n < strlen(text); n++) {
		struct jsontext json;
		char *part = malloc(n + 1);
		assert_non_null(part);
		memcpy(part, text, n);
		/* Of the exact size, so that ASan sees a read beyond. */
		char *exact = realloc(part, n > 0 ? n : 1);
		assert_non_null(exact);
		assert_int_equal(
			jsontext_init((struct slice){ exact, n }, &json, NULL),
			-EINVAL);
		free(exact);
	}
}

static void refuses_what_is_deep(void **state)
{
	enum { DEEP = 100000 };
	char *text = malloc(2 * DEEP);
	struct jsontext json = { .n_nodes = 42 };

	(void)state;
	assert_non_null(text);
	memset(text, '[', DEEP);
	memset(text + DEEP, ']', DEEP);
	assert_int_equal(
		jsontext_init((struct slice){ text, 2 * DEEP }, &json, NULL),
		-EINVAL);
	assert_int_equal(json.n_nodes, 42);
	free(text);
}

static void escapes_and_cuts(void **state)
{
	char out[16];

	(void)state;
	jsontext_escape(slice_of("a\"\\\n"), out, sizeof(out));
	assert_string_equal(out, "a\\\"\\\\\\u000a");
	jsontext_escape(slice_of("\xc2\x9b\xff"), out, sizeof(out));
	assert_string_equal(out, "\\u009b\\u00ff");
	jsontext_escape(slice_of("0123456789abcde"), out, sizeof(out));
	assert_string_equal(out, "0123456789abcde");
	jsontext_escape(slice_of("0123456789abcdef"), out, sizeof(out));
	assert_string_equal(out, "0123456789ab...");
	/* Never half a character. */
	jsontext_escape(slice_of("0123456789a\xe2\x82\xac\xe2\x82\xac"), out,
			sizeof(out));
	assert_string_equal(out, "0123456789a...");
	assert_int_equal(jsontext_escape(slice_of("abc"), out, 1), 0);
	assert_string_equal(out, "");
}

static void puts_utf8_that_is_valid(void **state)
{
	static const uint32_t some[] = { 0x01,	0x7f,	0x80,	 0x7ff,
					 0x800, 0xffff, 0x10000, 0x10ffff };
	char out[4];

	(void)state;
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		struct slice s = { out, utf8_put(some[i], out) };
		assert_int_equal(utf8_valid(s), s.n);
		assert_int_equal(utf8_length(s), s.n);
		assert_int_equal(utf8_valid((struct slice){ out, s.n - 1 }), 0);
	}
	/* Overlong forms, and beyond the end of Unicode. */
	assert_int_equal(utf8_valid(slice_of("\xc0\xaf")), 0);
	assert_int_equal(utf8_valid(slice_of("\xe0\x9f\xbf")), 0);
	assert_int_equal(utf8_valid(slice_of("\xf0\x8f\xbf\xbf")), 0);
	assert_int_equal(utf8_valid(slice_of("a\xf4\x90\x80\x80")), 1);
}

static void mends_what_was_cut(void **state)
{
	static const char *const pairs[][2] = {
		{ "", "" },
		{ "abc", "abc" },
		{ "'\xe2\x82\xac'", "'\xe2\x82\xac'" },
		{ "'\xe2\x82'", "''" },
		{ "a\xc3", "a" },
		{ "\x80\xff\xf0\x9f\x98z\xc3\xa9", "z\xc3\xa9" },
	};
	char text[16];

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		strcpy(text, pairs[i][0]);
		utf8_mend(text);
		assert_string_equal(text, pairs[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notes_where_things_are),
		cmocka_unit_test(finds_duplicates_decoded),
		cmocka_unit_test(finds_duplicates_among_many),
		cmocka_unit_test(decodes_keys),
		cmocka_unit_test(says_where_it_is_wrong),
		cmocka_unit_test(refuses_every_beginning),
		cmocka_unit_test(refuses_what_is_deep),
		cmocka_unit_test(escapes_and_cuts),
		cmocka_unit_test(puts_utf8_that_is_valid),
		cmocka_unit_test(mends_what_was_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
