/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/origin_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define OUT_MAX (512u << 10) /* octets waiting in one connection */

/* -- ending a connection */

static void on_closed(uv_handle_t *handle)
{
	struct conn *conn = handle->data;
	struct server *server = conn->lane.server;
	struct origins *origins = server->origins;

	server->n_closing--;
	origin_octets_free(&conn->out);
	origin_octets_free(&conn->sending);
	origin_octets_free(&conn->part);
	origin_octets_free(&conn->plain);
	free(conn);
	origin_handle_gone(origins);
}

void origin_tcp_close(struct conn *conn)
{
	if (conn->lane.closed)
		return;
	if (conn->ssl != NULL) {
		origin_tls_end(conn);
		origin_tls_free(conn);
	}
	conn->lane.closed = true;
	link_remove(&conn->link);
	link_remove(&conn->dirty);
	conn->lane.server->n_conns--;
	conn->lane.server->n_closing++;
	uv_close((uv_handle_t *)&conn->tcp, on_closed);
}

void origin_tcp_failed(struct conn *conn, int rc, const char *why)
{
	struct server *server = conn->lane.server;

	if (rc == -EPIPE)
		rc = -ECONNRESET; /* the same, seen by a write */
	/* That a connection is closed is no failure: RFC 7766 6.2.4. */
	bool normal = conn->state == CONN_OPEN && rc == -ECONNRESET;

	if (conn->lane.closed)
		return;
	if (!normal && (conn->lane.n > 0 || server->n_conns == 1))
		origin_server_failed(server, rc, why);
	origin_lane_orphan(&conn->lane, rc, normal, conn->answers > 0);
	origin_tcp_close(conn);
	origin_orphans_run(server->origins);
}

/* -- writing */

static void on_written(uv_write_t *write, int status)
{
	struct conn *conn = write->data;

	conn->writing = false;
	conn->sending.n = 0;
	if (conn->lane.closed)
		return;
	if (status < 0)
		origin_tcp_failed(conn, status, NULL);
	else
		origin_tcp_flush(conn);
}

/* Leaves to libuv what the socket does not take now. */
static int write_rest(struct conn *conn, size_t done)
{
	struct octets free_one = conn->sending;

	conn->sending = conn->out;
	conn->out = free_one;
	uv_buf_t buf = uv_buf_init((char *)conn->sending.p + done,
				   (unsigned)(conn->sending.n - done));
	conn->write.data = conn;
	int rc = uv_write(&conn->write, (uv_stream_t *)&conn->tcp, &buf, 1,
			  on_written);
	conn->writing = rc == 0;
	return rc;
}

static int flush(struct conn *conn)
{
	int rc = 0;

	if (conn->ssl != NULL)
		rc = origin_tls_output(conn);
	if (rc != 0 || conn->out.n == 0)
		return rc;
	uv_buf_t buf = uv_buf_init((char *)conn->out.p, (unsigned)conn->out.n);
	rc = uv_try_write((uv_stream_t *)&conn->tcp, &buf, 1);
	if (rc < 0 && rc != UV_EAGAIN)
		return rc;
	size_t done = rc < 0 ? 0 : (size_t)rc;
	if (done < conn->out.n)
		return write_rest(conn, done);
	conn->out.n = 0;
	return 0;
}

void origin_tcp_flush(struct conn *conn)
{
	link_remove(&conn->dirty);
	if (conn->lane.closed || conn->writing ||
	    conn->state == CONN_CONNECTING)
		return;
	int rc = flush(conn);
	if (rc != 0)
		origin_tcp_failed(conn, rc, NULL);
}

/* -- reading */

void origin_tcp_room(struct conn *conn, uint8_t **p, size_t *n)
{
	struct origins *origins = conn->lane.server->origins;
	size_t part = conn->part.n;

	/* A part is less than one message: there is always room behind. */
	if (part > 0)
		memcpy(origins->plain, conn->part.p, part);
	*p = origins->plain + part;
	*n = sizeof(origins->plain) - part;
}

/* Hands on the whole messages; returns the octets used, or -errno. */
static ssize_t take_messages(struct conn *conn, uint8_t *p, size_t n)
{
	uint64_t now_ns = uv_hrtime();
	size_t at = 0;

	while (n - at >= 2) {
		size_t size = (size_t)p[at] << 8 | p[at + 1];
		if (n - at - 2 < size)
			break;
		uint64_t heard_ns = conn->lane.heard_ns;
		bool fine = origin_lane_message(&conn->lane, p + at + 2, size,
						now_ns);
		if (conn->lane.closed)
			return (ssize_t)n;
		if (!fine)
			return -EBADMSG;
		at += 2 + size;
		conn->answers += conn->lane.heard_ns != heard_ns;
	}
	return (ssize_t)at;
}

int origin_tcp_take(struct conn *conn, size_t n)
{
	struct origins *origins = conn->lane.server->origins;
	size_t had = conn->part.n;

	n += had;
	ssize_t used = take_messages(conn, origins->plain, n);
	if (used < 0)
		return (int)used;
	if (conn->lane.closed)
		return 0;
	conn->part.n = 0;
	return origin_octets_add(&conn->part, origins->plain + used,
				 n - (size_t)used, ORIGIN_MSG_MAX);
}

static void on_room(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
	struct conn *conn = handle->data;
	struct origins *origins = conn->lane.server->origins;
	uint8_t *p = origins->cipher;
	size_t n = sizeof(origins->cipher);

	(void)hint;
	if (conn->ssl == NULL)
		origin_tcp_room(conn, &p, &n);
	*buf = uv_buf_init((char *)p, (unsigned)n);
}

/*
 * Acknowledges at once what has come, while more is to come: named leaves
 * Nagle's algorithm on, and would hold its next answer for the 40 ms that the
 * system may wait with it (RFC 1122 section 4.2.3.4).
 */
static void acknowledge(const struct conn *conn)
{
	int yes = 1;
	int fd;

	if (conn->lane.n > 0 &&
	    uv_fileno((const uv_handle_t *)&conn->tcp, &fd) == 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &yes,
				 sizeof(yes));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct conn *conn = stream->data;
	const char *why = NULL;
	int rc;

	(void)buf;
	if (n == 0 || conn->lane.closed)
		return;
	if (n < 0) {
		rc = n == UV_EOF ? -ECONNRESET : (int)n;
		origin_tcp_failed(conn, rc, NULL);
		return;
	}
	if (conn->ssl != NULL)
		rc = origin_tls_input(conn, (size_t)n, &why);
	else
		rc = origin_tcp_take(conn, (size_t)n);
	if (rc != 0)
		origin_tcp_failed(conn, rc, why);
	else if (!conn->lane.closed)
		acknowledge(conn);
}

/* -- opening */

void origin_tcp_opened(struct conn *conn)
{
	uint64_t now_ns = uv_hrtime();

	conn->state = CONN_OPEN;
	for (size_t i = 0; i < ORIGIN_SLOTS; i++) {
		struct origin_ask *ask = conn->lane.slot[i];
		for (; ask != NULL; ask = ask->chain)
			ask->sent_ns = now_ns;
	}
	origin_flush_need(conn);
}

static void on_connected(uv_connect_t *connect, int status)
{
	struct conn *conn = connect->data;

	if (conn->lane.closed)
		return;
	if (status == 0)
		status = uv_read_start((uv_stream_t *)&conn->tcp, on_room,
				       on_read);
	if (status < 0) {
		origin_tcp_failed(conn, status, NULL);
		return;
	}
	uv_tcp_nodelay(&conn->tcp, 1);
	if (conn->ssl == NULL) {
		origin_tcp_opened(conn);
		return;
	}
	conn->state = CONN_HANDSHAKE;
	origin_tcp_flush(conn);
}

static int connect_to(struct conn *conn, const struct server *server)
{
	int rc = 0;

	if (server->source.ss_family != AF_UNSPEC)
		rc = uv_tcp_bind(&conn->tcp,
				 (const struct sockaddr *)&server->source, 0);
	if (rc == 0 && server->transport == CONFIG_TLS)
		rc = origin_tls_start(conn);
	if (rc != 0)
		return rc;
	conn->connect.data = conn;
	return uv_tcp_connect(&conn->connect, &conn->tcp,
			      (const struct sockaddr *)&server->address,
			      on_connected);
}

static int open_conn(struct server *server, struct conn **connp)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (conn == NULL)
		return -ENOMEM;
	int rc = uv_tcp_init(server->origins->loop, &conn->tcp);
	if (rc != 0) {
		free(conn);
		return rc;
	}
	server->origins->n_handles++;
	conn->tcp.data = conn;
	conn->lane.server = server;
	conn->lane.stream = true;
	conn->born_ms = uv_now(server->origins->loop);
	conn->lane.used_ms = conn->born_ms;
	link_init(&conn->dirty);
	link_append(&server->conns, &conn->link);
	server->n_conns++;
	rc = connect_to(conn, server);
	if (rc != 0) {
		origin_tcp_close(conn);
		return rc;
	}
	*connp = conn;
	return 0;
}

/* -- sending */

static bool is_better(const struct conn *a, const struct conn *b)
{
	bool a_open = a->state == CONN_OPEN;

	if (b == NULL)
		return true;
	if (a_open != (b->state == CONN_OPEN))
		return a_open;
	return a->lane.n < b->lane.n;
}

/* The least busy of those that are open or, without one, being opened. */
static struct conn *pick(struct server *server, uint32_t lane_max)
{
	struct conn *best = NULL;

	for (struct link *at = server->conns.next; at != &server->conns;
	     at = at->next) {
		struct conn *conn = LINK_OWNER(at, struct conn, link);
		if (conn->lane.draining || conn->lane.n >= lane_max)
			continue;
		if (is_better(conn, best))
			best = conn;
	}
	return best;
}

static bool is_opening(const struct server *server)
{
	for (struct link *at = server->conns.next; at != &server->conns;
	     at = at->next)
		if (LINK_OWNER(at, struct conn, link)->state != CONN_OPEN)
			return true;
	return false;
}

static int conn_for(struct server *server, struct conn **connp)
{
	const struct origin_tuning *tuning = &server->origins->tuning;
	struct conn *conn = pick(server, tuning->lane_max);
	bool more = server->n_conns < tuning->connections_max;

	if (conn == NULL && !more)
		return -ENOBUFS;
	if (conn == NULL)
		return open_conn(server, connp);
	*connp = conn;
	/* This one is good enough: no matter if another cannot be opened. */
	if (conn->lane.n >= tuning->busy && more && !is_opening(server))
		(void)open_conn(server, &conn);
	return 0;
}

static int put(struct conn *conn, struct origin_ask *ask)
{
	struct octets *to = conn->ssl != NULL ? &conn->plain : &conn->out;
	uint8_t out[2 + TSIG_QUERY_MAX];
	size_t n;

	origin_guard_prepare(ask);
	int rc = origin_lane_encode(ask, out + 2, &n);
	if (rc != 0)
		return rc;
	out[0] = (uint8_t)(n >> 8);
	out[1] = (uint8_t)n;
	return origin_octets_add(to, out, n + 2, OUT_MAX);
}

int origin_tcp_send(struct origin_ask *ask, struct server *server)
{
	struct conn *conn;

	if (server->in_flight >= server->origins->tuning.server_max)
		return -ENOBUFS;
	int rc = conn_for(server, &conn);
	if (rc != 0)
		return rc;
	origin_lane_put(&conn->lane, ask);
	rc = put(conn, ask);
	if (rc != 0) {
		origin_lane_remove(ask);
		return rc;
	}
	conn->lane.used_ms = uv_now(server->origins->loop);
	origin_flush_need(conn);
	return 0;
}
