/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_sock - TCP connections of tests, watched by an epoll instance of
 * their own, which is one handle of the loop: a connection costs one call to
 * be watched, and none to be let go of.
 *
 * All calls from the thread of the loop.
 */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "probes-client/probed_test.h"

struct probed_socks;
struct probed_sock;

/*
 * Something has come, or may be sent, or the connection is at its end: 'events'
 * are epoll's.  Each change is told once, so that what is there must be read
 * until there is no more.
 */
typedef void (*probed_sock_ready)(struct probed_sock *sock, uint32_t events);

/* In the caller's storage, which must last until the loop's next turn after
 * probed_sock_close(). */
struct probed_sock {
	int fd; /* -1: none */
	probed_sock_ready ready;
	void *arg;
};

/* Returns 0 and sets '*socksp', to be closed with probed_socks_close(); or
 * -errno. */
int probed_socks_new(uv_loop_t *loop, struct probed_socks **socksp);
void probed_socks_close(struct probed_socks *socks); /* NULL is fine */
uv_loop_t *probed_socks_loop(const struct probed_socks *socks);

/*
 * Begins to connect to where the task says, from where its service says.
 * Returns 0; or -errno, and there is nothing to close.
 */
int probed_sock_open(struct probed_socks *socks, struct probed_sock *sock,
		     const struct probed_task *task);

/* 0: connected; else why not, positive (EINPROGRESS is not told). */
int probed_sock_error(const struct probed_sock *sock);

/*
 * Closes it at once, by a reset: nothing that matters is under way, and neither
 * side must remember the connection for a minute.
 */
void probed_sock_close(struct probed_sock *sock); /* twice is fine */
