/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/unit/control_kit.h"

#include <errno.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define HANG_S	     300
#define TURNS_IDLE   50
#define ERROR_PREFIX "{\"ok\":false,\"error\":\""

void kit_closed(void *arg)
{
	struct fixture *f = arg;

	f->closed++;
}

/*
 * "echo" answers at once with its "x"; "wait" is answered by the test; "big"
 * answers with a text of "n" octets; all else is an error.
 */
void kit_handler(void *arg, struct control_client *client, const char *command,
		 struct json_object *request)
{
	struct fixture *f = arg;
	struct json_object *value = NULL;
	struct json_object *reply;

	f->calls++;
	if (strcmp(command, "wait") == 0) {
		assert_true(f->n_waiting < KIT_WAITING_MAX);
		f->waiting[f->n_waiting++] = client;
		return;
	}
	if (strcmp(command, "echo") == 0) {
		reply = json_object_new_object();
		json_object_object_get_ex(request, "x", &value);
		json_object_object_add(reply, "x", json_object_get(value));
		control_reply(client, reply);
		return;
	}
	if (strcmp(command, "big") == 0) {
		json_object_object_get_ex(request, "n", &value);
		size_t n = (size_t)json_object_get_int(value);
		char *text = malloc(n);
		assert_non_null(text);
		memset(text, 'b', n);
		reply = json_object_new_object();
		json_object_object_add(
			reply, "big", json_object_new_string_len(text, (int)n));
		free(text);
		control_reply(client, reply);
		return;
	}
	control_reply_error(client, "unknown command '%s'", command);
}

void kit_turn(struct fixture *f)
{
	uv_run(&f->loop, UV_RUN_NOWAIT);
}

/* Enough turns for whatever can happen to have happened. */
void kit_settle(struct fixture *f)
{
	for (int i = 0; i < TURNS_IDLE; i++)
		kit_turn(f);
}

int kit_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");

	assert_non_null(f);
	if (tmp == NULL || strlen(tmp) > 30)
		tmp = "/tmp";
	snprintf(f->dir, sizeof(f->dir), "%s/control.XXXXXX", tmp);
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/sock", f->dir);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(
		control_new(&f->loop, f->path, kit_handler, f, &f->control), 0);
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigaction(SIGPIPE, &ignore, NULL);
	alarm(HANG_S);
	*state = f;
	return 0;
}

void kit_stop(struct fixture *f)
{
	control_close(f->control, kit_closed, f);
	while (f->closed == 0)
		kit_turn(f);
	f->control = NULL;
}

int kit_teardown(void **state)
{
	struct fixture *f = *state;

	if (f->control != NULL)
		kit_stop(f);
	assert_int_equal(f->closed, 1);
	assert_int_equal(uv_run(&f->loop, UV_RUN_NOWAIT), 0);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	unlink(f->path);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

struct control_stats kit_stats(struct fixture *f)
{
	struct control_stats stats;

	control_stats_read(f->control, &stats);
	return stats;
}

/* -- clients ------------------------------------------------------------- */

int kit_dial(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	int rc = -errno;
	close(fd);
	return rc;
}

int kit_connect(struct fixture *f)
{
	int fd = kit_dial(f->path);

	assert_true(fd >= 0);
	kit_settle(f);
	return fd;
}

/* Sends all, turning the loop whenever the socket is full. */
void kit_send_n(struct fixture *f, int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t done = send(fd, text, n, MSG_NOSIGNAL);
		if (done < 0) {
			assert_int_equal(errno, EAGAIN);
			kit_turn(f);
			continue;
		}
		text += done;
		n -= (size_t)done;
	}
}

void kit_send(struct fixture *f, int fd, const char *text)
{
	kit_send_n(f, fd, text, strlen(text));
}

/*
 * Reads up to a newline, turning the loop; returns the line, malloc'ed and
 * without its newline, or NULL at the end of the connection.
 */
char *kit_read(struct fixture *f, int fd)
{
	size_t n = 0;
	size_t size = 256;
	char *line = malloc(size);

	for (;;) {
		assert_non_null(line);
		ssize_t got = recv(fd, line + n, size - n - 1, MSG_PEEK);
		if (got < 0 && errno == EAGAIN) {
			kit_turn(f);
			continue;
		}
		if (got <= 0) {
			free(line);
			return NULL;
		}
		char *end = memchr(line + n, '\n', (size_t)got);
		size_t take = end ? (size_t)(end - line) - n + 1 : (size_t)got;
		assert_int_equal(recv(fd, line + n, take, 0), take);
		n += take;
		if (end != NULL)
			break;
		if (size - n < 256)
			line = realloc(line, size *= 2);
	}
	line[n - 1] = '\0';
	return line;
}

void kit_expect(struct fixture *f, int fd, const char *want)
{
	char *line = kit_read(f, fd);

	assert_non_null(line);
	assert_string_equal(line, want);
	free(line);
}

void kit_expect_error(struct fixture *f, int fd, const char *why)
{
	char want[256];

	snprintf(want, sizeof(want), ERROR_PREFIX "%s\"}", why);
	kit_expect(f, fd, want);
}

void kit_expect_end(struct fixture *f, int fd)
{
	assert_null(kit_read(f, fd));
}

void kit_expect_silence(struct fixture *f, int fd)
{
	char c;

	kit_settle(f);
	assert_int_equal(recv(fd, &c, 1, MSG_PEEK), -1);
	assert_int_equal(errno, EAGAIN);
}

void kit_hang_up(struct fixture *f, int fd)
{
	close(fd);
	kit_settle(f);
}

void kit_answer(struct fixture *f, size_t i, int x)
{
	struct json_object *reply = json_object_new_object();

	json_object_object_add(reply, "x", json_object_new_int(x));
	control_reply(f->waiting[i], reply);
}
