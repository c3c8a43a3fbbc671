/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/unit/control_kit.h"

#include <errno.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "plugin/lines.h"

/* -- many, slow and gone -------------------------------------------------- */

static void test_connections(void **state)
{
	struct fixture *f = *state;
	int fds[CONTROL_CONNECTIONS_MAX];

	for (size_t i = 0; i < CONTROL_CONNECTIONS_MAX; i++)
		fds[i] = kit_connect(f);
	for (int i = 0; i < 3; i++) {
		int fd = kit_connect(f);
		kit_expect_error(f, fd, "too many connections");
		kit_expect_end(f, fd);
		close(fd);
	}
	assert_int_equal(kit_stats(f).refused, 3);
	assert_int_equal(kit_stats(f).connections, CONTROL_CONNECTIONS_MAX);

	/* one goes, one may come */
	kit_hang_up(f, fds[0]);
	fds[0] = kit_connect(f);
	for (size_t i = 0; i < CONTROL_CONNECTIONS_MAX; i++) {
		kit_send(f, fds[i], "{\"command\":\"echo\",\"x\":1}\n");
		kit_expect(f, fds[i], "{\"x\":1,\"ok\":true}");
		close(fds[i]);
	}
	kit_settle(f);
	assert_int_equal(kit_stats(f).connections, 0);
}

static void test_thousand(void **state)
{
	enum { N = 1000 };
	struct fixture *f = *state;
	struct rlimit limit;
	int fds[N];
	unsigned told = 0;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < 2 * N)
		skip();
	struct rlimit more = { 2 * N, limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &more), 0);
	for (size_t i = 0; i < N; i++) {
		while ((fds[i] = kit_dial(f->path)) == -EAGAIN)
			kit_turn(f);
		assert_true(fds[i] >= 0);
	}
	kit_settle(f);
	struct control_stats stats = kit_stats(f);
	assert_int_equal(stats.connections, CONTROL_CONNECTIONS_MAX);
	while (kit_stats(f).refused < N - CONTROL_CONNECTIONS_MAX)
		kit_turn(f);
	for (size_t i = 0; i < N; i++) {
		char *line = i < CONTROL_CONNECTIONS_MAX ? NULL
							 : kit_read(f, fds[i]);
		told += line != NULL;
		free(line);
		close(fds[i]);
	}
	assert_int_equal(told, N - CONTROL_CONNECTIONS_MAX);
	kit_settle(f);
	assert_int_equal(kit_stats(f).connections, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);

	int fd = kit_connect(f);
	kit_send(f, fd, "{\"command\":\"echo\",\"x\":1}\n");
	kit_expect(f, fd, "{\"x\":1,\"ok\":true}");
	close(fd);
}

static void test_vanished(void **state)
{
	struct fixture *f = *state;

	/* gone while the reply is owed: the client is valid till then */
	for (size_t i = 0; i < CONTROL_CONNECTIONS_MAX; i++) {
		int fd = kit_connect(f);
		kit_send(f, fd, "{\"command\":\"wait\"}\n");
		kit_settle(f);
		kit_hang_up(f, fd);
	}
	assert_int_equal(f->n_waiting, CONTROL_CONNECTIONS_MAX);
	int fd = kit_connect(f);
	kit_expect_error(f, fd, "too many connections");
	close(fd);
	for (size_t i = 0; i < CONTROL_CONNECTIONS_MAX; i++)
		kit_answer(f, i, 1);
	kit_settle(f);
	assert_int_equal(kit_stats(f).connections, 0);
}

static void test_vanished_subscriber(void **state)
{
	struct fixture *f = *state;
	int fd = kit_connect(f);

	/* its handle goes first, by a failed event; it still counts */
	kit_send(f, fd, "{\"command\":\"watch\"}\n");
	kit_expect(f, fd, "{\"ok\":true}");
	kit_send(f, fd, "{\"command\":\"wait\"}\n");
	kit_settle(f);
	kit_hang_up(f, fd);
	assert_true(control_watched(f->control));
	control_event(f->control, json_object_new_object());
	kit_settle(f);
	assert_false(control_watched(f->control));
	assert_int_equal(kit_stats(f).connections, 1);
	assert_int_equal(f->n_waiting, 1);
	kit_answer(f, 0, 1);
	assert_int_equal(kit_stats(f).connections, 0);
}

static void test_close_while_pending(void **state)
{
	struct fixture *f = *state;
	int a = kit_connect(f);
	int b = kit_connect(f);
	int c = kit_connect(f);

	kit_send(f, a, "{\"command\":\"wait\"}\n");
	kit_send(f, b, "{\"command\":\"wait\"}\n");
	kit_send(f, c, "{\"command\":\"watch\"}\n");
	kit_expect(f, c, "{\"ok\":true}");
	kit_send(f, c, "{\"command\":\"wait\"}\n");
	kit_settle(f);
	assert_int_equal(f->n_waiting, 3);
	kit_hang_up(f, c);
	control_event(f->control, json_object_new_object());
	kit_settle(f);

	control_close(f->control, kit_closed, f);
	assert_int_equal(access(f->path, F_OK), -1);
	kit_answer(f, 0, 1);
	while (f->closed == 0)
		kit_turn(f);
	f->control = NULL;
	control_reply_error(f->waiting[1], "too late");
	kit_answer(f, 2, 1);
	kit_expect_end(f, a);
	kit_expect_end(f, b);
	close(a);
	close(b);
}

static void test_slow_reader(void **state)
{
	struct fixture *f = *state;
	int fd = kit_connect(f);

	/* who does not read is not served on */
	for (int i = 0; i < 8; i++)
		kit_send(f, fd, "{\"command\":\"big\",\"n\":3000000}\n");
	kit_settle(f);
	assert_int_equal(f->calls, 1);
	for (int i = 0; i < 8; i++) {
		char *line = kit_read(f, fd);
		assert_non_null(line);
		assert_int_equal(strlen(line),
				 3000000 +
					 strlen("{\"big\":\"\",\"ok\":true}"));
		free(line);
	}
	kit_send(f, fd, "{\"command\":\"big\",\"n\":3000000}\n");
	kit_settle(f);
	kit_hang_up(f, fd);
	assert_int_equal(kit_stats(f).connections, 0);
}

static void test_reply_too_long(void **state)
{
	struct fixture *f = *state;
	int fd = kit_connect(f);

	kit_send(f, fd, "{\"command\":\"big\",\"n\":4194304}\n");
	kit_expect_error(f, fd, "reply too long");
	kit_send(f, fd, "{\"command\":\"echo\",\"x\":1}\n");
	kit_expect(f, fd, "{\"x\":1,\"ok\":true}");
	close(fd);
}

/* -- events --------------------------------------------------------------- */

static struct json_object *event_of(const char *name, size_t pad)
{
	struct json_object *event = json_object_new_object();

	json_object_object_add(event, "event", json_object_new_string(name));
	if (pad > 0) {
		char *text = malloc(pad);
		assert_non_null(text);
		memset(text, 'e', pad);
		json_object_object_add(
			event, "pad",
			json_object_new_string_len(text, (int)pad));
		free(text);
	}
	return event;
}

static void test_watch(void **state)
{
	struct fixture *f = *state;
	int a = kit_connect(f);
	int b = kit_connect(f);
	int c = kit_connect(f);

	assert_false(control_watched(f->control));
	control_event(f->control, event_of("unseen", 0));
	control_event(f->control, NULL);
	kit_send(f, a, "{\"command\":\"watch\"}\n{\"command\":\"watch\"}\n");
	kit_expect(f, a, "{\"ok\":true}");
	kit_expect(f, a, "{\"ok\":true}");
	kit_send(f, b, "{\"command\":\"watch\"}\n");
	kit_expect(f, b, "{\"ok\":true}");
	assert_true(control_watched(f->control));
	assert_int_equal(kit_stats(f).subscribers, 2);
	assert_int_equal(f->calls, 0);

	control_event(f->control, event_of("one", 0));
	kit_expect(f, a, "{\"event\":\"one\"}");
	kit_expect(f, b, "{\"event\":\"one\"}");
	kit_expect_silence(f, c);

	/* a subscriber may ask, too */
	kit_send(f, a, "{\"command\":\"wait\"}\n");
	kit_settle(f);
	control_event(f->control, event_of("two", 0));
	kit_answer(f, 0, 5);
	kit_expect(f, a, "{\"event\":\"two\"}");
	kit_expect(f, a, "{\"x\":5,\"ok\":true}");

	kit_hang_up(f, a);
	assert_int_equal(kit_stats(f).subscribers, 1);
	kit_hang_up(f, b);
	assert_false(control_watched(f->control));
	assert_int_equal(kit_stats(f).events, 4);
	assert_int_equal(kit_stats(f).events_dropped, 0);
	close(c);
}

static void test_events_dropped(void **state)
{
	struct fixture *f = *state;
	int fd = kit_connect(f);
	unsigned seen = 0, lost = 0;

	kit_send(f, fd, "{\"command\":\"watch\"}\n");
	kit_expect(f, fd, "{\"ok\":true}");
	for (int i = 0; i < 100; i++) {
		control_event(f->control, event_of("big", 100000));
		kit_turn(f);
	}
	struct control_stats stats = kit_stats(f);
	assert_true(stats.events_dropped > 0);
	assert_int_equal(stats.events + stats.events_dropped, 100);

	/* one is delivered after the gap, and says how wide it was */
	for (; seen < stats.events; seen++) {
		char *line = kit_read(f, fd);
		assert_non_null(line);
		assert_null(strstr(line, "dropped"));
		free(line);
	}
	lost = (unsigned)stats.events_dropped;
	control_event(f->control, event_of("next", 0));
	control_event(f->control, event_of("last", 0));
	char want[64];
	snprintf(want, sizeof(want), "{\"event\":\"next\",\"dropped\":%u}",
		 lost);
	kit_expect(f, fd, want);
	kit_expect(f, fd, "{\"event\":\"last\"}");
	close(fd);
}

static void test_clogged_subscriber(void **state)
{
	struct fixture *f = *state;
	int fd = kit_connect(f);

	/* a reply that does not fit ends the connection */
	kit_send(f, fd, "{\"command\":\"watch\"}\n");
	kit_expect(f, fd, "{\"ok\":true}");
	for (int i = 0; i < 100; i++)
		control_event(f->control, event_of("big", 100000));
	kit_send(f, fd, "{\"command\":\"big\",\"n\":1000000}\n");
	kit_settle(f);
	assert_int_equal(kit_stats(f).connections, 0);
	assert_int_equal(kit_stats(f).subscribers, 0);
	close(fd);
}

int main(void)
{
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_connections),
		TEST(test_thousand),
		TEST(test_vanished),
		TEST(test_vanished_subscriber),
		TEST(test_close_while_pending),
		TEST(test_slow_reader),
		TEST(test_reply_too_long),
		TEST(test_watch),
		TEST(test_events_dropped),
		TEST(test_clogged_subscriber),
	};

	return cmocka_run_group_tests_name("control under load", tests, NULL,
					   NULL);
}
