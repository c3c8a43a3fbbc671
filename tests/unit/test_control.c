/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/unit/control_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "plugin/lines.h"

/* -- the path ------------------------------------------------------------ */

static void test_path_refused(void **state)
{
	struct fixture *f = *state;
	struct control *other = NULL;
	char path[256];

	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(control_new(&f->loop, "", kit_handler, f, &other),
			 -EINVAL);
	assert_int_equal(control_new(&f->loop, path, kit_handler, f, &other),
			 -ENAMETOOLONG);
	snprintf(path, sizeof(path), "%s/none/sock", f->dir);
	assert_int_equal(control_new(&f->loop, path, kit_handler, f, &other),
			 -ENOENT);

	/* what is no socket stays as it is */
	snprintf(path, sizeof(path), "%s/file", f->dir);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "keep", 4), 4);
	close(fd);
	assert_int_equal(control_new(&f->loop, path, kit_handler, f, &other),
			 -EEXIST);
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_size, 4);
	unlink(path);

	/* nor is a link followed */
	assert_int_equal(symlink("sock", path), 0);
	assert_int_equal(control_new(&f->loop, path, kit_handler, f, &other),
			 -EEXIST);
	unlink(path);
	assert_null(other);
}

static void test_path_live(void **state)
{
	struct fixture *f = *state;
	struct control *other = NULL;

	assert_int_equal(control_new(&f->loop, f->path, kit_handler, f, &other),
			 -EADDRINUSE);
	assert_null(other);
	kit_settle(f);

	int fd = kit_connect(f);
	kit_send(f, fd, "{\"command\":\"echo\",\"x\":1}\n");
	kit_expect(f, fd, "{\"x\":1,\"ok\":true}");
	kit_hang_up(f, fd);

	/* a full backlog is alive too */
	int fds[1024];
	size_t n = 0;
	while (n < 1024 && (fds[n] = kit_dial(f->path)) >= 0)
		n++;
	assert_int_equal(fds[n], -EAGAIN);
	assert_int_equal(control_new(&f->loop, f->path, kit_handler, f, &other),
			 -EADDRINUSE);
	while (n > 0)
		close(fds[--n]);
	kit_settle(f);
	assert_int_equal(kit_stats(f).connections, 0);
}

static void test_path_stale(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	kit_stop(f);
	assert_int_equal(access(f->path, F_OK), -1);

	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	memcpy(address.sun_path, f->path, strlen(f->path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)),
			 0);
	close(fd);
	assert_int_equal(access(f->path, F_OK), 0);

	f->closed = 0;
	assert_int_equal(
		control_new(&f->loop, f->path, kit_handler, f, &f->control), 0);
	fd = kit_connect(f);
	kit_send(f, fd, "{\"command\":\"echo\",\"x\":2}\n");
	kit_expect(f, fd, "{\"x\":2,\"ok\":true}");
	kit_hang_up(f, fd);
}

static void test_path_mode(void **state)
{
	static const mode_t masks[] = { 0, 022, 027, 077, 0777 };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		struct stat st;

		kit_stop(f);
		f->closed = 0;
		mode_t old = umask(masks[i]);
		int rc = control_new(&f->loop, f->path, kit_handler, f,
				     &f->control);
		umask(old);
		assert_int_equal(rc, 0);
		assert_int_equal(lstat(f->path, &st), 0);
		assert_true(S_ISSOCK(st.st_mode));
		assert_int_equal(st.st_mode & 07777, 0660);
		assert_int_equal(st.st_gid, getegid());
	}
}

static void test_path_not_ours(void **state)
{
	struct fixture *f = *state;
	struct control *other;
	struct stat st;

	/* someone has put a new socket there: it survives our end */
	unlink(f->path);
	assert_int_equal(control_new(&f->loop, f->path, kit_handler, f, &other),
			 0);
	kit_stop(f);
	assert_int_equal(lstat(f->path, &st), 0);
	f->closed = 0;
	f->control = other;
}

/* -- requests ------------------------------------------------------------ */

static void test_reply(void **state)
{
	struct fixture *f = *state;
	int fd = kit_connect(f);

	kit_send(f, fd, "{\"command\":\"echo\",\"x\":\"a\\nb/\\u001b\"}\n");
	kit_expect(f, fd, "{\"x\":\"a\\nb/\\u001b\",\"ok\":true}");
	kit_send(f, fd, " {\"x\":[1,2],\"command\":\"echo\"} \t\r\n");
	kit_expect(f, fd, "{\"x\":[1,2],\"ok\":true}");
	kit_send(f, fd, "{\"command\":\"a\\\"b\"}\n");
	kit_expect_error(f, fd, "unknown command 'a\\\"b'");

	kit_send(f, fd, "{\"command\":\"wait\"}\n");
	kit_settle(f);
	struct json_object *no = json_object_new_object();
	json_object_object_add(no, "ok", json_object_new_boolean(0));
	control_reply(f->waiting[0], no);
	kit_expect(f, fd, "{\"ok\":false}");
	kit_send(f, fd, "{\"command\":\"wait\"}\n");
	kit_settle(f);
	control_reply(f->waiting[1], NULL);
	kit_expect_error(f, fd, "out of memory");

	struct control_stats stats = kit_stats(f);
	assert_int_equal(stats.requests, 5);
	assert_int_equal(stats.errors, 0);
	assert_int_equal(stats.connections, 1);
	kit_hang_up(f, fd);
	assert_int_equal(kit_stats(f).connections, 0);
}

static void test_order(void **state)
{
	struct fixture *f = *state;
	int a = kit_connect(f);
	int b = kit_connect(f);

	kit_send(f, a,
		 "{\"command\":\"wait\"}\n{\"command\":\"echo\",\"x\":2}\n"
		 "bad\n{\"command\":\"wait\"}\n{\"command\":\"ech");
	kit_settle(f);
	assert_int_equal(f->calls, 1);
	kit_expect_silence(f, a);

	/* another client is served meanwhile */
	kit_send(f, b, "{\"command\":\"echo\",\"x\":9}\n");
	kit_expect(f, b, "{\"x\":9,\"ok\":true}");

	kit_answer(f, 0, 1);
	kit_expect(f, a, "{\"x\":1,\"ok\":true}");
	kit_expect(f, a, "{\"x\":2,\"ok\":true}");
	kit_expect_error(f, a, "not a JSON document");
	kit_expect_silence(f, a);
	assert_int_equal(f->n_waiting, 2);
	kit_send(f, a, "o\",\"x\":4}\n");
	kit_expect_silence(f, a);
	kit_answer(f, 1, 3);
	kit_expect(f, a, "{\"x\":3,\"ok\":true}");
	kit_expect(f, a, "{\"x\":4,\"ok\":true}");
	close(a);
	close(b);
}

static void test_reading_stops(void **state)
{
	static const char echo[] = "{\"command\":\"echo\"}\n";
	struct fixture *f = *state;
	int fd = kit_connect(f);
	ssize_t n;

	/* while a reply is owed the socket fills up and stays full */
	kit_send(f, fd, "{\"command\":\"wait\"}\n");
	kit_settle(f);
	size_t sent = 0;
	do {
		n = send(fd, echo + sent % 19, 19 - sent % 19, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	kit_settle(f);
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EAGAIN);

	kit_answer(f, 0, 0);
	kit_expect(f, fd, "{\"x\":0,\"ok\":true}");
	for (size_t i = 0; i < sent / 19; i++)
		kit_expect(f, fd, "{\"x\":null,\"ok\":true}");
	kit_hang_up(f, fd);
	assert_int_equal(kit_stats(f).connections, 0);
}

static void test_one_request_a_turn(void **state)
{
	struct fixture *f = *state;
	int fd = kit_connect(f);

	/* libuv runs few write callbacks a turn: nobody keeps the loop */
	for (int i = 0; i < 500; i++)
		kit_send(f, fd, "{\"command\":\"echo\"}\n");
	for (unsigned i = 0; i < 10; i++) {
		kit_turn(f);
		assert_true(f->calls <= 20 * (i + 1));
	}
	for (int i = 0; i < 500; i++)
		kit_expect(f, fd, "{\"x\":null,\"ok\":true}");
	close(fd);
}

static void test_octet_by_octet(void **state)
{
	static const char text[] = "{\"command\":\"echo\",\"x\":7}\n"
				   "{\"command\":\"echo\",\"x\":8}\n";
	struct fixture *f = *state;
	int fd = kit_connect(f);

	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		kit_send_n(f, fd, text + i, 1);
		kit_turn(f);
	}
	kit_expect(f, fd, "{\"x\":7,\"ok\":true}");
	kit_expect(f, fd, "{\"x\":8,\"ok\":true}");
	close(fd);
}

static void test_half_close(void **state)
{
	struct fixture *f = *state;
	int fd = kit_connect(f);

	/* what was asked is answered; half a line is not */
	kit_send(f, fd,
		 "{\"command\":\"echo\",\"x\":1}\n"
		 "{\"command\":\"wait\"}\n{\"command\":\"echo\"}");
	shutdown(fd, SHUT_WR);
	kit_expect(f, fd, "{\"x\":1,\"ok\":true}");
	kit_expect_silence(f, fd);
	assert_false(control_hung_up(f->waiting[0]));
	kit_answer(f, 0, 2);
	kit_expect(f, fd, "{\"x\":2,\"ok\":true}");
	kit_expect_end(f, fd);
	close(fd);
	assert_int_equal(kit_stats(f).connections, 0);
	assert_int_equal(kit_stats(f).errors, 0);
}

static void test_hung_up(void **state)
{
	struct fixture *f = *state;
	int gone = kit_connect(f);
	int late = kit_connect(f);

	kit_send(f, gone, "{\"command\":\"wait\"}\n");
	kit_send(f, late, "{\"command\":\"wait\"}\n");
	kit_settle(f);
	assert_false(control_hung_up(f->waiting[0]));
	close(gone);
	kit_settle(f);
	assert_true(control_hung_up(f->waiting[0]));
	assert_false(control_hung_up(f->waiting[1]));
	kit_answer(f, 0, 1);
	kit_stop(f);
	assert_true(control_hung_up(f->waiting[1]));
	kit_answer(f, 1, 1);
	close(late);
}

/* -- garbage ------------------------------------------------------------- */

/* Which text gets which error is test_lines' business. */
static void test_garbage(void **state)
{
	static const char garbage[] = "\n\0\n{\"command\":\"\xff\"}\n[]\n{}\n";
	static const char *const why[] = { "not a whole JSON document",
					   "a NUL octet", "not valid UTF-8",
					   "not a JSON object",
					   "no text 'command'" };
	struct fixture *f = *state;
	int fd = kit_connect(f);

	kit_send_n(f, fd, garbage, sizeof(garbage) - 1);
	for (size_t i = 0; i < 5; i++)
		kit_expect_error(f, fd, why[i]);
	assert_int_equal(f->calls, 0);
	assert_int_equal(kit_stats(f).errors, 5);
	kit_send(f, fd, "{\"command\":\"echo\",\"x\":1}\n");
	kit_expect(f, fd, "{\"x\":1,\"ok\":true}");
	close(fd);
}

static void nested(struct fixture *f, int fd, size_t depth)
{
	kit_send(f, fd, "{\"command\":\"echo\",\"y\":");
	for (size_t i = 1; i < depth; i++)
		kit_send(f, fd, "[");
	for (size_t i = 1; i < depth; i++)
		kit_send(f, fd, "]");
	kit_send(f, fd, "}\n");
}

static void test_nesting(void **state)
{
	struct fixture *f = *state;
	int fd = kit_connect(f);

	nested(f, fd, LINES_NESTING);
	kit_expect(f, fd, "{\"x\":null,\"ok\":true}");
	nested(f, fd, LINES_NESTING + 1);
	kit_expect_error(f, fd, "nested too deep");
	nested(f, fd, 1000);
	kit_expect_error(f, fd, "nested too deep");
	close(fd);
}

/* A request of 'n' octets and its newline. */
static char *padded(size_t n)
{
	static const char head[] = "{\"command\":\"echo\",\"pad\":\"";
	char *text = malloc(n + 1);

	assert_non_null(text);
	memset(text, 'p', n);
	memcpy(text, head, sizeof(head) - 1);
	memcpy(text + n - 2, "\"}\n", 3);
	return text;
}

static void test_longest_line(void **state)
{
	struct fixture *f = *state;
	int fd = kit_connect(f);
	char *text = padded(CONTROL_LINE_MAX);

	for (int i = 0; i < 3; i++)
		kit_send_n(f, fd, text, CONTROL_LINE_MAX + 1);
	for (int i = 0; i < 3; i++)
		kit_expect(f, fd, "{\"x\":null,\"ok\":true}");
	free(text);

	text = padded(CONTROL_LINE_MAX + 1);
	kit_send_n(f, fd, text, CONTROL_LINE_MAX + 1);
	kit_expect_error(f, fd, "line too long");
	kit_expect_end(f, fd);
	free(text);
	kit_hang_up(f, fd);
	assert_int_equal(kit_stats(f).connections, 0);
	assert_int_equal(kit_stats(f).errors, 1);
}

int main(void)
{
#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_path_refused),
		TEST(test_path_live),
		TEST(test_path_stale),
		TEST(test_path_mode),
		TEST(test_path_not_ours),
		TEST(test_reply),
		TEST(test_order),
		TEST(test_reading_stops),
		TEST(test_one_request_a_turn),
		TEST(test_octet_by_octet),
		TEST(test_half_close),
		TEST(test_hung_up),
		TEST(test_garbage),
		TEST(test_nesting),
		TEST(test_longest_line),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
