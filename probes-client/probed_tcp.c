/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_tcp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

struct tcp_test {
	struct probed_test test; /* first */
	struct probed_sock sock;
};

static void tcp_stop(struct probed_test *test)
{
	struct tcp_test *t = (struct tcp_test *)test;

	probed_sock_close(&t->sock);
}

static void connected(struct tcp_test *t)
{
	t->test.times.connect_us = probed_test_us(&t->test);
	probed_test_end(&t->test, PROBE_OK, NULL);
}

static void on_ready(struct probed_sock *sock, uint32_t events)
{
	struct tcp_test *t = sock->arg;
	int error = (events & EPOLLERR) != 0 ? probed_sock_error(sock) : 0;

	if (error != 0)
		probed_test_end_errno(&t->test, error);
	else if ((events & EPOLLOUT) != 0)
		connected(t);
}

int probed_tcp_start(struct probed_socks *socks, const struct probed_task *task,
		     struct probed_test **testp)
{
	struct tcp_test *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;

	t->test.stop = tcp_stop;
	probed_test_begin(&t->test, probed_socks_loop(socks), task,
			  task->service->timeout_ms);
	t->sock = (struct probed_sock){ -1, on_ready, t };
	*testp = &t->test;
	int rc = probed_sock_open(socks, &t->sock, task);
	if (rc != 0)
		probed_test_end_errno_soon(&t->test, -rc);
	return 0;
}
