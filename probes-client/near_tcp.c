/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/near_tcp.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STATE_ESTABLISHED 1u
#define STATES		  (1u << STATE_ESTABLISHED)
#define READ_MAX	  32768u
#define READS		  16u /* at one time */

/* A look at the connections of one family; it outlives its end until the loop
 * lets go of it. */
struct look {
	uv_poll_t poll;
	struct near_tcp *tcp; /* NULL: given up */
	int fd, family;
	uint32_t n;
};

struct near_tcp {
	uv_loop_t *loop;
	uv_timer_t timer;
	near_diag_seen seen;
	void *arg;
	uint16_t port;
	struct look *look;
	uint64_t dumps;
};

static void look_begin(struct near_tcp *tcp, int family);

static void look_free(uv_handle_t *handle)
{
	struct look *look = handle->data;

	close(look->fd);
	free(look);
}

static void look_end(struct near_tcp *tcp)
{
	struct look *look = tcp->look;

	tcp->look = NULL;
	if (look == NULL)
		return;
	look->tcp = NULL;
	uv_close((uv_handle_t *)&look->poll, look_free);
}

static void on_poll(uv_poll_t *poll, int rc, int what)
{
	struct look *look = poll->data;
	struct near_tcp *tcp = look->tcp;
	_Alignas(struct nlmsghdr) char octets[READ_MAX];

	(void)what;
	if (tcp == NULL)
		return;
	for (unsigned int i = 0; rc == 0 && i < READS; i++) {
		ssize_t n = recv(look->fd, octets, sizeof(octets), 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0 || !near_diag_read(octets, (size_t)n, tcp->port,
					      &look->n, tcp->seen, tcp->arg))
			rc = UV_EOF;
	}
	if (rc == 0)
		return;
	int family = look->family;
	look_end(tcp);
	tcp->dumps += family == AF_INET6;
	if (family == AF_INET)
		look_begin(tcp, AF_INET6);
}

/* Asks the kernel; what it cannot tell is not told. */
static int ask(int family, uint16_t port)
{
	/* "source port == port": on to what comes next, or beyond the end */
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 ask;
		struct rtattr filter;
		struct inet_diag_bc_op ops[4];
	} request = {
		.header = { .nlmsg_len = sizeof(request),
			    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.ask = { .sdiag_family = (uint8_t)family,
			 .sdiag_protocol = IPPROTO_TCP,
			 .idiag_ext = 1u << (INET_DIAG_INFO - 1),
			 .idiag_states = STATES },
		.filter = { .rta_len = RTA_LENGTH(
				    4 * sizeof(struct inet_diag_bc_op)),
			    .rta_type = INET_DIAG_REQ_BYTECODE },
		.ops = { { INET_DIAG_BC_S_GE, 8, 20 },
			 { 0, 0, port },
			 { INET_DIAG_BC_S_LE, 8, 12 },
			 { 0, 0, port } },
	};
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			NETLINK_SOCK_DIAG);

	if (fd >= 0 && send(fd, &request, sizeof(request), 0) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void look_begin(struct near_tcp *tcp, int family)
{
	struct look *look = malloc(sizeof(*look));

	if (look == NULL)
		return;
	*look = (struct look){ .tcp = tcp, .family = family };
	look->fd = ask(family, tcp->port);
	if (look->fd < 0 ||
	    uv_poll_init(tcp->loop, &look->poll, look->fd) != 0) {
		if (look->fd >= 0)
			close(look->fd);
		free(look);
		return;
	}
	look->poll.data = look;
	tcp->look = look;
	uv_poll_start(&look->poll, UV_READABLE, on_poll);
}

static void on_timer(uv_timer_t *timer)
{
	struct near_tcp *tcp = timer->data;

	look_end(tcp);
	look_begin(tcp, AF_INET);
}

int near_tcp_new(uv_loop_t *loop, near_diag_seen seen, void *arg,
		 struct near_tcp **tcpp)
{
	struct near_tcp *tcp = calloc(1, sizeof(*tcp));

	if (tcp == NULL)
		return -ENOMEM;
	tcp->loop = loop;
	tcp->seen = seen;
	tcp->arg = arg;
	uv_timer_init(loop, &tcp->timer);
	tcp->timer.data = tcp;
	*tcpp = tcp;
	return 0;
}

void near_tcp_use(struct near_tcp *tcp, uint16_t port)
{
	tcp->port = port;
	if (port == 0) {
		look_end(tcp);
		uv_timer_stop(&tcp->timer);
		return;
	}
	if (uv_is_active((uv_handle_t *)&tcp->timer) == 0)
		uv_timer_start(&tcp->timer, on_timer, NEAR_TCP_MS, NEAR_TCP_MS);
}

uint64_t near_tcp_dumps(const struct near_tcp *tcp)
{
	return tcp->dumps;
}

static void tcp_free(uv_handle_t *handle)
{
	free(handle->data);
}

void near_tcp_close(struct near_tcp *tcp)
{
	if (tcp == NULL)
		return;
	look_end(tcp);
	uv_close((uv_handle_t *)&tcp->timer, tcp_free);
}
