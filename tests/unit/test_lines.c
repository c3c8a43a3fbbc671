/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/lines.h"

#include <errno.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void feed(struct lines *lines, const char *text, size_t n)
{
	char *room;

	assert_true(lines_room(lines, &room) >= n);
	memcpy(room, text, n);
	lines_fed(lines, n);
}

static void expect(struct lines *lines, const char *want)
{
	struct slice line;

	assert_int_equal(lines_next(lines, &line), 0);
	assert_true(slice_is(line, want));
}

static struct lines *fresh(void **state)
{
	struct lines *lines = *state;

	lines_init(lines);
	return lines;
}

static int setup(void **state)
{
	*state = malloc(sizeof(struct lines));
	return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void test_framing(void **state)
{
	struct lines *lines = fresh(state);
	struct slice line;

	assert_int_equal(lines_next(lines, &line), -EAGAIN);
	feed(lines, "one\ntwo\n\nthr", 12);
	expect(lines, "one");
	expect(lines, "two");
	expect(lines, "");
	assert_int_equal(lines_next(lines, &line), -EAGAIN);
	assert_int_equal(lines_next(lines, &line), -EAGAIN);
	feed(lines, "e", 1);
	assert_int_equal(lines_next(lines, &line), -EAGAIN);
	feed(lines, "e\n", 2);
	expect(lines, "three");
	assert_int_equal(lines_next(lines, &line), -EAGAIN);
}

/* Whole lines are kept while what follows them is read. */
static void test_room_between_lines(void **state)
{
	struct lines *lines = fresh(state);
	char *room;

	feed(lines, "a\nb\nc", 5);
	expect(lines, "a");
	feed(lines, "d\n", 2);
	expect(lines, "b");
	expect(lines, "cd");
	assert_int_equal(lines_room(lines, &room), LINES_MAX + 1);
}

static void test_longest(void **state)
{
	struct lines *lines = fresh(state);
	struct slice line;
	char *room;

	for (int turn = 0; turn < 3; turn++) {
		assert_int_equal(lines_room(lines, &room), LINES_MAX + 1);
		memset(room, 'x', LINES_MAX);
		lines_fed(lines, LINES_MAX);
		assert_int_equal(lines_next(lines, &line), -EAGAIN);
		assert_int_equal(lines_room(lines, &room), 1);
		*room = '\n';
		lines_fed(lines, 1);
		assert_int_equal(lines_next(lines, &line), 0);
		assert_int_equal(line.n, LINES_MAX);
	}
	lines_room(lines, &room);
	memset(room, 'x', LINES_MAX + 1);
	lines_fed(lines, LINES_MAX + 1);
	assert_int_equal(lines_next(lines, &line), -EMSGSIZE);
	assert_int_equal(lines_next(lines, &line), -EMSGSIZE);
}

/* Reads a copy of the exact size, so that ASan sees a read beyond it. */
static int request(const char *text, size_t n, struct json_object **docp,
		   const char **commandp, const char **whyp)
{
	char *copy = malloc(n + (n == 0));

	assert_non_null(copy);
	memcpy(copy, text, n);
	int rc = lines_request((struct slice){ copy, n }, docp, commandp, whyp);
	free(copy);
	return rc;
}

static void test_request(void **state)
{
	static const char *const good[] = {
		"{\"command\":\"status\"}",
		" \t{ \"command\" : \"status\" } \t\r",
		"{\"x\":[{}],\"command\":\"status\"}",
		"{\"x\":\"\\\\u0000\",\"command\":\"status\"}",
		"{\"x\":\"\xc3\xa9\",\"command\":\"status\"}",
		"{\"command\":\"x\",\"command\":\"status\"}",
		"{\"x\":1e999999,\"command\":\"status\"}",
		"{\"x\":-99999999999999999999999,\"command\":\"status\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct json_object *doc = NULL;
		const char *command = NULL;
		const char *why = NULL;

		assert_int_equal(
			request(good[i], strlen(good[i]), &doc, &command, &why),
			0);
		assert_string_equal(command, "status");
		json_object_put(doc);
	}
}

#define ROW(text, why)                                                         \
	{                                                                      \
		{ text, sizeof(text) - 1 }, (why)                              \
	}
#define HALF "not a whole JSON document"
#define NONE "not a JSON document"
#define MORE "more than one JSON document in a line"
#define KIND "not a JSON object"
#define LACK "no text 'command'"
#define NUL  "a NUL octet"
#define UTF8 "not valid UTF-8"

static void test_garbage(void **state)
{
	static const struct {
		struct slice line;
		const char *why;
	} rows[] = {
		ROW("", HALF),
		ROW("  \r", HALF),
		ROW("{\"command\":", HALF),
		ROW("null", HALF),
		ROW("hello", NONE),
		ROW("{'command':'echo'}", NONE),
		ROW("{\"command\":\"echo\",}", NONE),
		ROW("/**/{\"command\":\"echo\"}", NONE),
		ROW("GET / HTTP/1.1\r", NONE),
		ROW("\x16\x03\x01\x02", NONE),
		ROW("null ", KIND),
		ROW("[]", KIND),
		ROW("\"command\"", KIND),
		ROW("{}", LACK),
		ROW("{\"command\":null}", LACK),
		ROW("{\"command\":[\"echo\"]}", LACK),
		ROW("{\"command\":1}", LACK),
		ROW("{\"command\":\"\"}", LACK),
		ROW("{\"Command\":\"echo\"}", LACK),
		ROW("{\"command\":\"echo\"} {}", MORE),
		ROW("{\"command\":\"echo\"}}", MORE),
		ROW("{\"command\":\"echo\"}\0", NUL),
		ROW("{\"command\":\"echo\0\"}", NUL),
		ROW("\0\0\0", NUL),
		ROW("{\"command\":\"echo\\u0000x\"}", NUL),
		ROW("{\"command\\u0000\":\"echo\"}", NUL),
		ROW("{\"command\":\"\\\\\\u0000\"}", NUL),
		ROW("{\"command\":\"echo\",\"x\":\"\xff\"}", UTF8),
		ROW("{\"command\":\"\xc3\"}", UTF8),
		ROW("{\"\x80\":1,\"command\":\"echo\"}", UTF8),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json_object *doc = NULL;
		const char *command = NULL;
		const char *why = NULL;

		assert_int_equal(request(rows[i].line.p, rows[i].line.n, &doc,
					 &command, &why),
				 -EINVAL);
		assert_string_equal(why, rows[i].why);
		assert_null(doc);
		assert_null(command);
	}
}

static void test_too_long(void **state)
{
	struct json_object *doc = NULL;
	const char *command = NULL;
	const char *why = NULL;
	char *text = malloc(LINES_MAX + 1);

	(void)state;
	assert_non_null(text);
	memset(text, ' ', LINES_MAX + 1);
	assert_int_equal(request(text, LINES_MAX + 1, &doc, &command, &why),
			 -EINVAL);
	assert_string_equal(why, "line too long");
	free(text);
}

/* As many arrays in the object as make 'depth' levels, the last one empty. */
static int nested(size_t depth, struct json_object **docp, const char **whyp)
{
	static const char head[] = "{\"command\":\"x\",\"y\":";
	size_t n = sizeof(head) - 1;
	char *text = malloc(n + 2 * depth + 1);
	const char *command;

	assert_non_null(text);
	memcpy(text, head, n);
	memset(text + n, '[', depth - 1);
	memset(text + n + depth - 1, ']', depth - 1);
	n += 2 * (depth - 1);
	text[n++] = '}';
	int rc = request(text, n, docp, &command, whyp);
	free(text);
	return rc;
}

static void test_nesting(void **state)
{
	struct json_object *doc = NULL;
	const char *why = NULL;

	(void)state;
	assert_int_equal(nested(LINES_NESTING, &doc, &why), 0);
	json_object_put(doc);
	assert_int_equal(nested(LINES_NESTING + 1, &doc, &why), -EINVAL);
	assert_string_equal(why, "nested too deep");
	assert_int_equal(nested(1000, &doc, &why), -EINVAL);
	assert_int_equal(nested(30000, &doc, &why), -EINVAL);
	assert_string_equal(why, "nested too deep");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_framing),
		cmocka_unit_test(test_room_between_lines),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_nesting),
	};

	return cmocka_run_group_tests_name("lines", tests, setup, teardown);
}
