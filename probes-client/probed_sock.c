/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_sock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 256

struct probed_socks {
	uv_loop_t *loop;
	uv_poll_t poll;
	int epoll;
};

/* A test that has ended meanwhile is still there, without a connection. */
static void on_events(uv_poll_t *poll, int status, int what)
{
	struct probed_socks *socks = poll->data;
	struct epoll_event events[EVENTS_MAX];

	(void)status;
	(void)what;
	int n = epoll_wait(socks->epoll, events, EVENTS_MAX, 0);
	for (int i = 0; i < n; i++) {
		struct probed_sock *sock = events[i].data.ptr;
		if (sock->fd >= 0)
			sock->ready(sock, events[i].events);
	}
}

int probed_socks_new(uv_loop_t *loop, struct probed_socks **socksp)
{
	struct probed_socks *socks = calloc(1, sizeof(*socks));
	if (socks == NULL)
		return -ENOMEM;

	socks->loop = loop;
	socks->epoll = epoll_create1(EPOLL_CLOEXEC);
	int rc = socks->epoll < 0
			 ? -errno
			 : uv_poll_init(loop, &socks->poll, socks->epoll);
	if (rc != 0) {
		if (socks->epoll >= 0)
			close(socks->epoll);
		free(socks);
		return rc;
	}
	socks->poll.data = socks;
	uv_poll_start(&socks->poll, UV_READABLE, on_events);
	*socksp = socks;
	return 0;
}

static void socks_free(uv_handle_t *handle)
{
	struct probed_socks *socks = handle->data;

	close(socks->epoll);
	free(socks);
}

void probed_socks_close(struct probed_socks *socks)
{
	if (socks != NULL)
		uv_close((uv_handle_t *)&socks->poll, socks_free);
}

uv_loop_t *probed_socks_loop(const struct probed_socks *socks)
{
	return socks->loop;
}

static socklen_t length_of(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET ? sizeof(struct sockaddr_in)
					     : sizeof(struct sockaddr_in6);
}

static int connect_begin(int fd, const struct probed_task *task)
{
	struct sockaddr_storage to, from;

	probed_test_to(task, &to);
	if (probed_test_from(task, &from) &&
	    bind(fd, (const struct sockaddr *)&from, length_of(&from)) != 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&to, length_of(&to)) != 0 &&
	    errno != EINPROGRESS)
		return -errno;
	return 0;
}

int probed_sock_open(struct probed_socks *socks, struct probed_sock *sock,
		     const struct probed_task *task)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data = { .ptr = sock },
	};
	int fd = socket(task->address->ss_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		sock->fd = -1;
		return -errno;
	}

	sock->fd = fd;
	int rc = connect_begin(fd, task);
	if (rc == 0 && epoll_ctl(socks->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		rc = -errno;
	if (rc != 0)
		probed_sock_close(sock);
	return rc;
}

int probed_sock_error(const struct probed_sock *sock)
{
	int error = 0;
	socklen_t n = sizeof(error);

	if (getsockopt(sock->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
		return errno;
	return error;
}

void probed_sock_close(struct probed_sock *sock)
{
	static const struct linger none = { .l_onoff = 1, .l_linger = 0 };

	if (sock->fd < 0)
		return;
	(void)setsockopt(sock->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(sock->fd);
	sock->fd = -1;
}
