/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/origin_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH	   16u
#define BATCHES	   8u		/* before others have their turn */
#define DATAGRAM_N (size_t)4096 /* more than was advertised: some send it */

static void on_closed(uv_handle_t *handle)
{
	struct sock *sock = handle->data;
	struct server *server = sock->lane.server;
	struct origins *origins = server->origins;

	server->n_closing--;
	free(sock);
	origin_handle_gone(origins);
}

void origin_udp_retire(struct sock *sock)
{
	struct server *server = sock->lane.server;

	sock->lane.draining = true;
	if (server->pool[sock->place] == sock)
		server->pool[sock->place] = NULL;
}

void origin_udp_close(struct sock *sock)
{
	if (sock->lane.closed)
		return;
	origin_udp_retire(sock);
	sock->lane.closed = true;
	link_remove(&sock->link);
	sock->lane.server->n_socks--;
	sock->lane.server->n_closing++;
	uv_close((uv_handle_t *)&sock->poll, on_closed);
	close(sock->fd);
	sock->fd = -1;
}

static void fail(struct sock *sock, int rc)
{
	struct server *server = sock->lane.server;

	origin_server_failed(server, rc, NULL);
	origin_lane_orphan(&sock->lane, rc, false, false);
	origin_udp_close(sock);
	origin_orphans_run(server->origins);
}

static void take(struct sock *sock, const struct mmsghdr *batch, unsigned n)
{
	uint64_t now_ns = uv_hrtime();

	for (unsigned i = 0; i < n && !sock->lane.closed; i++) {
		const struct msghdr *hdr = &batch[i].msg_hdr;
		if ((hdr->msg_flags & MSG_TRUNC) != 0) {
			origin_lane_dropped(&sock->lane, ORIGIN_DROP_MALFORMED);
			continue;
		}
		(void)origin_lane_message(&sock->lane, hdr->msg_iov->iov_base,
					  batch[i].msg_len, now_ns);
	}
}

/* True if there may be more at once. */
static bool read_batch(struct sock *sock)
{
	struct origins *origins = sock->lane.server->origins;
	struct mmsghdr batch[BATCH];
	struct iovec iov[BATCH];

	memset(batch, 0, sizeof(batch));
	for (unsigned i = 0; i < BATCH; i++) {
		iov[i].iov_base = origins->cipher + i * DATAGRAM_N;
		iov[i].iov_len = DATAGRAM_N;
		batch[i].msg_hdr.msg_iov = &iov[i];
		batch[i].msg_hdr.msg_iovlen = 1;
	}
	int n = recvmmsg(sock->fd, batch, BATCH, MSG_DONTWAIT, NULL);
	if (n >= 0)
		take(sock, batch, (unsigned)n);
	else if (errno != EAGAIN && errno != EINTR)
		fail(sock, -errno);
	return n == (int)BATCH && !sock->lane.closed;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct sock *sock = poll->data;

	(void)events;
	for (unsigned i = 0; i < BATCHES && read_batch(sock); i++)
		;
	/* libuv stops when there was an error, even if a send() took it. */
	if (status < 0 && !sock->lane.closed)
		uv_poll_start(&sock->poll, UV_READABLE, on_readable);
}

static socklen_t length_of(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET ? sizeof(struct sockaddr_in)
					     : sizeof(struct sockaddr_in6);
}

/* The kernel chooses a random port for each. */
static int connected_socket(const struct server *server, int *fdp)
{
	const struct sockaddr_storage *source = &server->source;
	int fd = socket(server->address.ss_family,
			SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	int rc = 0;
	if (source->ss_family != AF_UNSPEC)
		rc = bind(fd, (const struct sockaddr *)source,
			  length_of(source));
	if (rc == 0)
		rc = connect(fd, (const struct sockaddr *)&server->address,
			     length_of(&server->address));
	if (rc == 0) {
		*fdp = fd;
		return 0;
	}
	rc = -errno;
	close(fd);
	return rc;
}

static int watch(struct sock *sock)
{
	uv_loop_t *loop = sock->lane.server->origins->loop;

	int rc = uv_poll_init_socket(loop, &sock->poll, sock->fd);
	if (rc != 0)
		return rc;
	sock->poll.data = sock;
	sock->lane.server->origins->n_handles++;
	return 0;
}

static int open_sock(struct server *server, uint8_t place, struct sock **sockp)
{
	struct sock *sock = calloc(1, sizeof(*sock));

	if (sock == NULL)
		return -ENOMEM;
	sock->lane.server = server;
	sock->place = place;
	sock->born_ms = uv_now(server->origins->loop);
	int rc = connected_socket(server, &sock->fd);
	if (rc != 0) {
		free(sock);
		return rc;
	}
	rc = watch(sock);
	if (rc != 0) {
		close(sock->fd);
		free(sock);
		return rc;
	}
	link_append(&server->socks, &sock->link);
	server->n_socks++;
	server->pool[place] = sock;
	rc = uv_poll_start(&sock->poll, UV_READABLE, on_readable);
	if (rc != 0) {
		origin_udp_close(sock);
		return rc;
	}
	*sockp = sock;
	return 0;
}

static int sock_for(struct server *server, const struct origin_ask *ask,
		    const struct lane *avoid, struct sock **sockp)
{
	struct origins *origins = server->origins;
	const struct origin_tuning *tuning = &origins->tuning;
	uint8_t place = ask->stays ? ask->socket
				   : origin_random(origins) % ORIGIN_UDP_POOL;
	struct sock *sock = server->pool[place];

	if (sock != NULL && &sock->lane == avoid) {
		place = (place + 1) % ORIGIN_UDP_POOL;
		sock = server->pool[place];
	}
	if (sock != NULL &&
	    (sock->asked >= tuning->socket_questions ||
	     uv_now(origins->loop) - sock->born_ms >= tuning->socket_ms)) {
		origin_udp_retire(sock);
		if (sock->lane.n == 0)
			origin_udp_close(sock);
		sock = NULL;
	}
	if (sock == NULL)
		return open_sock(server, place, sockp);
	if (sock->lane.n >= tuning->lane_max)
		return -ENOBUFS;
	*sockp = sock;
	return 0;
}

static int put(struct sock *sock, struct origin_ask *ask)
{
	uint8_t out[TSIG_QUERY_MAX];
	size_t n;

	origin_guard_prepare(ask);
	int rc = origin_lane_encode(ask, out, &n);
	if (rc != 0)
		return rc;
	ssize_t sent = send(sock->fd, out, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	/* A full buffer is a loss like any other on the way. */
	if (sent >= 0 || errno == EAGAIN || errno == ENOBUFS)
		return 0;
	return -errno;
}

int origin_udp_send(struct origin_ask *ask, struct server *server,
		    const struct lane *avoid)
{
	struct sock *sock;

	if (server->in_flight >= server->origins->tuning.server_max)
		return -ENOBUFS;
	int rc = sock_for(server, ask, avoid, &sock);
	ask->stays = false;
	if (rc != 0)
		return rc;
	ask->socket = sock->place;
	origin_lane_put(&sock->lane, ask);
	rc = put(sock, ask);
	if (rc != 0) {
		origin_lane_remove(ask);
		return rc;
	}
	sock->asked++;
	sock->lane.used_ms = uv_now(server->origins->loop);
	return 0;
}
