/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * control_kit - the control socket on a real loop, with real clients in the
 * same thread: the loop is turned by hand, so nothing waits and nothing
 * races.  alarm() ends a test that hangs.
 */
#include <stddef.h>
#include <uv.h>

#include "plugin/control.h"

#define KIT_WAITING_MAX 128

struct fixture {
	uv_loop_t loop;
	char dir[64], path[96];
	struct control *control;
	size_t n_waiting;
	struct control_client *waiting[KIT_WAITING_MAX];
	unsigned calls, closed;
};

/* cmocka's: '*state' is the fixture, its control listening on 'path'. */
int kit_setup(void **state);
int kit_teardown(void **state);

/*
 * A control_handler, 'arg' the fixture: "echo" answers at once with its "x";
 * "wait" is answered by kit_answer(); "big" answers with a text of "n"
 * octets; all else is an error.
 */
void kit_handler(void *arg, struct control_client *client, const char *command,
		 struct json_object *request);

/* Answers the i-th "wait" with {"x":x}. */
void kit_answer(struct fixture *f, size_t i, int x);

void kit_closed(void *arg);	    /* counts in 'closed' */
void kit_stop(struct fixture *f);   /* closes 'control' and waits */
void kit_turn(struct fixture *f);   /* turns the loop once */
void kit_settle(struct fixture *f); /* as often as anything can happen */
struct control_stats kit_stats(struct fixture *f);

int kit_dial(const char *path); /* a non-blocking socket, or -errno */
int kit_connect(struct fixture *f);
void kit_hang_up(struct fixture *f, int fd);

/* Sends all, turning the loop whenever the socket is full. */
void kit_send_n(struct fixture *f, int fd, const char *text, size_t n);
void kit_send(struct fixture *f, int fd, const char *text);

/*
 * Reads up to a newline, turning the loop; returns the line, malloc'ed and
 * without its newline, or NULL at the end of the connection.
 */
char *kit_read(struct fixture *f, int fd);

void kit_expect(struct fixture *f, int fd, const char *want);
void kit_expect_error(struct fixture *f, int fd, const char *why);
void kit_expect_end(struct fixture *f, int fd);
void kit_expect_silence(struct fixture *f, int fd);
