/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define N 400u

static const struct config_service web = { .id = "web" };

static struct probed_target target_of(const char *server)
{
	struct probed_target target = { .server = server,
					.service = &web,
					.state = PROBED_UP,
					.metric_ms = 12,
					.tested_ms = 1123 };

	snprintf(target.address_text, sizeof(target.address_text),
		 "198.51.100.10");
	return target;
}

static void writes_rows(void **state)
{
	struct probed_target a = target_of("fra-a"), b = target_of("fra-b");
	struct probed_rows rows;
	char out[PROBED_BATCH_MAX + 1];

	(void)state;
	b.state = PROBED_DOWN;
	b.error = PROBE_REFUSED;
	b.metric_ms = PROBE_METRIC_FAILED;
	b.tested_ms = 2007;
	probed_rows_init(&rows);
	rows.unix_ms = 1732499999000;
	probed_rows_mark(&rows, &a, false, 1);
	probed_rows_mark(&rows, &b, false, 2);
	probed_rows_mark(&rows, &a, false, 3); /* is there already */
	size_t n = probed_rows_line(&rows, "fra1", 200, out);
	out[n] = '\0';
	assert_string_equal(
		out, "{\"command\":\"metrics\",\"node\":\"fra1\",\"rows\":["
		     "[\"fra-a\",\"198.51.100.10\",\"web\",1732500000.123,"
		     "\"up\",12,0],"
		     "[\"fra-b\",\"198.51.100.10\",\"web\",1732500001.007,"
		     "\"down\",65535,2]]}\n");
	assert_int_equal(probed_rows_line(&rows, "fra1", 200, out), 0);
}

static void changes_go_first(void **state)
{
	struct probed_target a = target_of("a"), b = target_of("b"),
			     c = target_of("c");
	struct probed_rows rows;
	char out[PROBED_BATCH_MAX + 1];

	(void)state;
	probed_rows_init(&rows);
	assert_int_equal(probed_rows_due(&rows, 10, 1000), PROBED_ROWS_NEVER);
	probed_rows_mark(&rows, &a, false, 100);
	probed_rows_mark(&rows, &b, false, 200);
	assert_int_equal(probed_rows_due(&rows, 10, 1000), 1100);
	probed_rows_mark(&rows, &b, true, 300);
	assert_int_equal(probed_rows_due(&rows, 10, 1000),
			 300 + PROBED_GATHER_MS);
	probed_rows_mark(&rows, &c, true, 301);
	probed_rows_mark(&rows, &b, false, 302); /* stays urgent */
	assert_int_equal(probed_rows_due(&rows, 10, 1000),
			 300 + PROBED_GATHER_MS);
	assert_int_equal(probed_rows_due(&rows, 3, 1000), 0);

	size_t n = probed_rows_line(&rows, "n", 2, out);
	out[n] = '\0';
	assert_non_null(strstr(out, "[[\"b\""));
	assert_non_null(strstr(out, ",[\"c\""));
	assert_null(strstr(out, "[\"a\""));
	assert_int_equal(probed_rows_due(&rows, 10, 1000), 1100);
	probed_rows_drop(&rows, &a);
	probed_rows_drop(&rows, &a);
	assert_int_equal(probed_rows_due(&rows, 10, 1000), PROBED_ROWS_NEVER);
}

/* In the order of their times, whatever the queue's. */
static void rows_are_in_order(void **state)
{
	struct probed_target targets[4] = { target_of("a"), target_of("b"),
					    target_of("c"), target_of("d") };
	static const uint64_t when_ms[4] = { 3000, 1000, 4000, 2000 };
	struct probed_rows rows;
	char out[PROBED_BATCH_MAX + 1];

	(void)state;
	probed_rows_init(&rows);
	for (size_t i = 0; i < 4; i++) {
		targets[i].tested_ms = when_ms[i];
		probed_rows_mark(&rows, &targets[i], i == 2, i);
	}
	size_t n = probed_rows_line(&rows, "n", 10, out);
	out[n] = '\0';
	assert_string_equal(
		out, "{\"command\":\"metrics\",\"node\":\"n\",\"rows\":["
		     "[\"b\",\"198.51.100.10\",\"web\",1.000,\"up\",12,0],"
		     "[\"d\",\"198.51.100.10\",\"web\",2.000,\"up\",12,0],"
		     "[\"a\",\"198.51.100.10\",\"web\",3.000,\"up\",12,0],"
		     "[\"c\",\"198.51.100.10\",\"web\",4.000,\"up\",12,0]]}\n");
	/* The clock was set: what is queued has its true age. */
	probed_rows_mark(&rows, &targets[0], false, 5);
	rows.unix_ms = -3600000;
	assert_true(probed_rows_line(&rows, "n", 10, out) > 0);
	assert_non_null(strstr(out, ",0.000,"));
	probed_rows_mark(&rows, &targets[0], false, 6);
	rows.unix_ms = 3600000;
	assert_true(probed_rows_line(&rows, "n", 10, out) > 0);
	assert_non_null(strstr(out, ",3603.000,"));
}

/* Names as long as they can be: a line is closed before it is too long. */
static void lines_are_bounded(void **state)
{
	static struct probed_target targets[N];
	char id[64];
	struct config_service service = { .id = id };
	struct probed_rows rows;
	static char out[PROBED_BATCH_MAX];
	size_t lines = 0, n, sum = 0;

	(void)state;
	memset(id, 'x', 63);
	id[63] = '\0';
	probed_rows_init(&rows);
	for (size_t i = 0; i < N; i++) {
		targets[i] = target_of(id);
		targets[i].service = &service;
		snprintf(targets[i].address_text,
			 sizeof(targets[i].address_text),
			 "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255");
		targets[i].metric_ms = PROBE_METRIC_FAILED;
		probed_rows_mark(&rows, &targets[i], i % 2 == 0, i);
	}
	while ((n = probed_rows_line(&rows, id, N, out)) > 0) {
		assert_true(n < 60000);
		assert_memory_equal(out + n - 4, "]]}\n", 4);
		assert_null(memchr(out, '\n', n - 1));
		for (size_t i = 0; i < n; i++)
			sum += out[i] == ']';
		sum -= 1;
		lines++;
	}
	assert_int_equal(sum, N);
	assert_true(lines > 1 && lines < 4);
}

static void understands_replies(void **state)
{
	struct probed_reply reply;

	(void)state;
	assert_int_equal(
		probed_reply_parse(slice_of("{\"ok\":true,\"accepted\":5,"
					    "\"refused\":3,\"why\":{"
					    "\"unknown\":2,\"old\":1}}"),
				   &reply),
		0);
	assert_true(reply.ok);
	assert_int_equal(reply.accepted, 5);
	assert_int_equal(reply.refused, 3);
	assert_string_equal(reply.why, "unknown 2, old 1");

	assert_int_equal(probed_reply_parse(slice_of("{\"ok\":false,\"error\":"
						     "\"no \\u001b[2J such\"}"),
					    &reply),
			 0);
	assert_false(reply.ok);
	assert_string_equal(reply.why, "no ?[2J such");
}

static void refuses_other_replies(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"5",
		"null",
		"[]",
		"{}",
		"{\"ok\":1}",
		"{\"ok\":\"true\"}",
		"{\"ok\":true} x",
		"{\"ok\":true}{\"ok\":true}",
		"{\"ok\":true,\"x\":[[[[[[[[[[[[1]]]]]]]]]]]]}",
	};
	struct probed_reply reply = { .accepted = 42 };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_not_equal(
			probed_reply_parse(slice_of(texts[i]), &reply), 0);
	assert_int_equal(reply.accepted, 42);
}

/* Reasons of any length and number are cut. */
static void reasons_are_bounded(void **state)
{
	char text[8192] = "{\"ok\":true,\"refused\":9,\"why\":{";
	struct probed_reply reply;
	size_t n = strlen(text);

	(void)state;
	for (int i = 0; i < 50; i++)
		n += (size_t)snprintf(
			text + n, sizeof(text) - n,
			"%s\"%02d-a-reason-that-takes-quite-some-room-"
			"and-then-some-more\":%d",
			i > 0 ? "," : "", i, i);
	snprintf(text + n, sizeof(text) - n, "}}");
	assert_int_equal(probed_reply_parse(slice_of(text), &reply), 0);
	assert_true(strlen(reply.why) < PROBED_WHY_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_rows),
		cmocka_unit_test(changes_go_first),
		cmocka_unit_test(rows_are_in_order),
		cmocka_unit_test(lines_are_bounded),
		cmocka_unit_test(understands_replies),
		cmocka_unit_test(refuses_other_replies),
		cmocka_unit_test(reasons_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
