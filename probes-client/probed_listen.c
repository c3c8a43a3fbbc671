/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_listen.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS  10000u
#define PORT_FREE 1024u /* below, a privilege is needed */
#define BACKLOG	  16
#define PLACE_MAX 80u

/* One address: a datagram socket and a stream listener. */
struct socket {
	struct probed_listen *listen;
	uv_udp_t udp;
	uv_tcp_t tcp;
	bool has_udp, has_tcp; /* handles that are to be closed */
	unsigned int closing;
	uint8_t in[PROBED_NOTICE_MAX + 1];
};

/* A connection. */
struct client {
	struct client *next;
	struct probed_listen *listen; /* NULL: given up */
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_write_t write;
	unsigned int handles;
	struct sockaddr_storage from;
	size_t n_in;
	uint8_t in[2 + PROBED_NOTICE_MAX];
	uint8_t out[2 + PROBED_ANSWER_MAX];
};

struct probed_listen {
	struct probed_listen_setup setup;
	uv_timer_t retry;
	size_t n;
	struct sockaddr_storage address[CONFIG_NOTIFY_MAX];
	struct socket *socket[CONFIG_NOTIFY_MAX]; /* NULL: not listening */
	bool told[CONFIG_NOTIFY_MAX];		  /* that it fails */
	struct client *clients;
	size_t n_clients;
	uint64_t second; /* of 'refusals' */
	unsigned int refusals;
	struct probed_gate refused, malformed;
};

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static void place_print(const struct sockaddr_storage *address, char *out)
{
	char text[64] = "?";
	unsigned int port = 0;

	if (address->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;
		uv_ip4_name(in, text, sizeof(text));
		port = ntohs(in->sin_port);
	} else if (address->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)address;
		uv_ip6_name(in6, text, sizeof(text));
		port = ntohs(in6->sin6_port);
	}
	snprintf(out, PLACE_MAX, "%s port %u", text, port);
}

/* -- messages ---------------------------------------------------------- */

static bool refusal_allowed(struct probed_listen *l)
{
	uint64_t second = now_ms() / 1000;

	if (second != l->second)
		l->refusals = 0;
	l->second = second;
	return l->refusals++ < PROBED_LISTEN_REFUSALS;
}

static void refused_log(struct probed_listen *l,
			const struct probed_notice *notice,
			const struct sockaddr *from, unsigned rcode)
{
	char name[DNAME_TEXT_MAX], place[PLACE_MAX];
	struct sockaddr_storage address = { 0 };
	uint64_t held;

	if (!probed_gate_open(&l->refused, now_ms(), &held))
		return;
	memcpy(&address, from,
	       from->sa_family == AF_INET ? sizeof(struct sockaddr_in)
					  : sizeof(struct sockaddr_in6));
	place_print(&address, place);
	(void)dname_print(&notice->zone, name);
	probed_log_write(l->setup.log, PROBED_WARNING,
			 "NOTIFY for '%s' from %s refused: %s (%" PRIu64
			 " like it not shown)",
			 name, place,
			 rcode == PROBED_RCODE_NOTAUTH
				 ? "no such zone is configured"
				 : "that is no origin of the zone",
			 held);
}

/* Takes a message; the length of the answer in 'out', 0: none. */
static size_t take(struct probed_listen *l, const uint8_t *msg, size_t n,
		   const struct sockaddr *from, uint8_t *out)
{
	struct probed_notice notice;
	uint64_t held;

	if (probed_notice_parse(msg, n, &notice) != 0) {
		if (probed_gate_open(&l->malformed, now_ms(), &held))
			probed_log_write(l->setup.log, PROBED_INFO,
					 "a message that is no NOTIFY was "
					 "dropped (%" PRIu64
					 " like it not shown)",
					 held);
		return 0;
	}
	unsigned rcode =
		probed_hints_take(l->setup.hints, &notice, from, now_ms());
	if (rcode != PROBED_RCODE_NOERROR) {
		refused_log(l, &notice, from, rcode);
		if (!refusal_allowed(l))
			return 0;
	}
	n = probed_notice_answer(msg, &notice, rcode, out);
	if (rcode == PROBED_RCODE_NOERROR)
		l->setup.heard(l->setup.arg);
	return n;
}

/* -- datagrams --------------------------------------------------------- */

static void on_room(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
	struct socket *s = handle->data;

	(void)hint;
	*buf = uv_buf_init((char *)s->in, sizeof(s->in));
}

static void on_datagram(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf,
			const struct sockaddr *from, unsigned flags)
{
	struct socket *s = udp->data;
	uint8_t out[PROBED_ANSWER_MAX];

	(void)buf;
	if (n <= 0 || from == NULL || s->listen == NULL ||
	    (flags & UV_UDP_PARTIAL) != 0)
		return;
	size_t answer = take(s->listen, s->in, (size_t)n, from, out);
	if (answer == 0)
		return;
	uv_buf_t reply = uv_buf_init((char *)out, (unsigned)answer);
	(void)uv_udp_try_send(udp, &reply, 1, from); /* else it comes again */
}

/* -- connections ------------------------------------------------------- */

static void client_gone(uv_handle_t *handle)
{
	struct client *c = handle->data;

	if (--c->handles == 0)
		free(c);
}

static void client_close(struct client *c)
{
	struct probed_listen *l = c->listen;

	if (l == NULL)
		return;
	c->listen = NULL;
	for (struct client **at = &l->clients; *at != NULL; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	l->n_clients--;
	uv_close((uv_handle_t *)&c->tcp, client_gone);
	uv_close((uv_handle_t *)&c->timer, client_gone);
}

static void on_client_late(uv_timer_t *timer)
{
	client_close(timer->data);
}

static void on_client_room(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
	struct client *c = handle->data;

	(void)hint;
	*buf = uv_buf_init((char *)c->in + c->n_in,
			   (unsigned)(sizeof(c->in) - c->n_in));
}

static void client_input(struct client *c);

static void on_client_written(uv_write_t *write, int rc)
{
	struct client *c = write->data;

	if (c->listen == NULL)
		return;
	if (rc != 0)
		client_close(c);
	else
		client_input(c); /* what came meanwhile */
}

static bool client_answer(struct client *c, size_t n)
{
	uv_buf_t buf = uv_buf_init((char *)c->out, (unsigned)(n + 2));

	c->out[0] = (uint8_t)(n >> 8);
	c->out[1] = (uint8_t)n;
	c->write.data = c;
	return uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1,
			on_client_written) == 0;
}

static void on_client_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct client *c = stream->data;

	(void)buf;
	if (c->listen == NULL || n == 0)
		return;
	if (n < 0) {
		client_close(c);
		return;
	}
	c->n_in += (size_t)n;
	client_input(c);
}

/* One message at a time: the next is read when the answer is on its way. */
static void client_input(struct client *c)
{
	uv_stream_t *stream = (uv_stream_t *)&c->tcp;
	size_t size = c->n_in >= 2 ? (size_t)c->in[0] << 8 | c->in[1] : 0;

	if (size > PROBED_NOTICE_MAX) {
		client_close(c);
		return;
	}
	if (c->n_in < 2 || c->n_in - 2 < size) {
		(void)uv_read_start(stream, on_client_room, on_client_read);
		return;
	}
	(void)uv_read_stop(stream);
	size_t n = take(c->listen, c->in + 2, size,
			(const struct sockaddr *)&c->from, c->out + 2);
	c->n_in -= 2 + size;
	memmove(c->in, c->in + 2 + size, c->n_in);
	if (n == 0 || !client_answer(c, n))
		client_close(c);
}

static void client_begin(struct probed_listen *l, struct client *c)
{
	int n = sizeof(c->from);

	c->listen = l;
	c->next = l->clients;
	l->clients = c;
	l->n_clients++;
	c->handles = 2;
	uv_timer_init(l->setup.loop, &c->timer);
	c->timer.data = c;
	uv_timer_start(&c->timer, on_client_late, PROBED_LISTEN_MS, 0);
	if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&c->from, &n) != 0 ||
	    l->n_clients > PROBED_LISTEN_CLIENTS ||
	    !probed_hints_known(l->setup.hints,
				(const struct sockaddr *)&c->from))
		client_close(c);
	else
		client_input(c);
}

/* -- sockets ----------------------------------------------------------- */

static void socket_gone(uv_handle_t *handle)
{
	struct socket *s = handle->data;

	if (--s->closing == 0)
		free(s);
}

static void socket_close(struct socket *s)
{
	s->listen = NULL;
	s->closing = (s->has_udp ? 1u : 0u) + (s->has_tcp ? 1u : 0u);
	if (s->closing == 0) {
		free(s);
		return;
	}
	if (s->has_udp)
		uv_close((uv_handle_t *)&s->udp, socket_gone);
	if (s->has_tcp)
		uv_close((uv_handle_t *)&s->tcp, socket_gone);
}

static void on_retry(uv_timer_t *timer);

/*
 * A connection cannot be taken.  libuv would wait for that for ever: so the
 * sockets are opened anew, later.
 */
static void socket_give_up(struct socket *s)
{
	struct probed_listen *l = s->listen;

	for (size_t i = 0; i < l->n; i++)
		if (l->socket[i] == s)
			l->socket[i] = NULL;
	socket_close(s);
	uv_timer_start(&l->retry, on_retry, RETRY_MS, 0);
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct socket *s = stream->data;
	struct client *c;

	if (status != 0 || s->listen == NULL)
		return;
	c = calloc(1, sizeof(*c));
	if (c == NULL || uv_tcp_init(s->listen->setup.loop, &c->tcp) != 0) {
		free(c);
		socket_give_up(s);
		return;
	}
	c->tcp.data = c;
	c->handles = 1;
	if (uv_accept(stream, (uv_stream_t *)&c->tcp) != 0) {
		uv_close((uv_handle_t *)&c->tcp, client_gone);
		return;
	}
	client_begin(s->listen, c);
}

static int socket_bind(struct socket *s, uv_loop_t *loop,
		       const struct sockaddr_storage *address)
{
	const struct sockaddr *sa = (const struct sockaddr *)address;
	bool v6 = address->ss_family == AF_INET6;
	int rc = uv_udp_init(loop, &s->udp);

	s->has_udp = rc == 0;
	s->udp.data = s;
	if (rc == 0)
		rc = uv_udp_bind(&s->udp, sa, v6 ? UV_UDP_IPV6ONLY : 0);
	if (rc == 0)
		rc = uv_tcp_init(loop, &s->tcp);
	s->has_tcp = s->has_udp && rc == 0;
	s->tcp.data = s;
	if (rc == 0)
		rc = uv_tcp_bind(&s->tcp, sa, v6 ? UV_TCP_IPV6ONLY : 0);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&s->tcp, BACKLOG, on_connection);
	if (rc == 0)
		rc = uv_udp_recv_start(&s->udp, on_room, on_datagram);
	return rc;
}

static unsigned int port_of(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;

	return ntohs(address->ss_family == AF_INET ? in->sin_port
						   : in6->sin6_port);
}

static void failed_log(struct probed_listen *l, size_t i, int rc)
{
	char place[PLACE_MAX], text[96];
	const char *help = "";

	if (l->told[i])
		return;
	l->told[i] = true;
	place_print(&l->address[i], place);
	if (rc == UV_EACCES && port_of(&l->address[i]) < PORT_FREE)
		help = ": ports below 1024 need CAP_NET_BIND_SERVICE; choose "
		       "another \"port\" in \"notify\", and name it in the "
		       "origin's also-notify";
	probed_log_write(l->setup.log, PROBED_ERROR,
			 "cannot listen for NOTIFY on %s: %s%s; trying again "
			 "from time to time",
			 place, uv_strerror_r(rc, text, sizeof(text)), help);
}

static void sockets_open(struct probed_listen *l)
{
	bool missing = false;
	char place[PLACE_MAX];

	for (size_t i = 0; i < l->n; i++) {
		if (l->socket[i] != NULL)
			continue;
		struct socket *s = calloc(1, sizeof(*s));
		int rc = s != NULL
				 ? socket_bind(s, l->setup.loop, &l->address[i])
				 : -ENOMEM;
		if (rc != 0) {
			failed_log(l, i, rc);
			if (s != NULL)
				socket_close(s);
			missing = true;
			continue;
		}
		s->listen = l;
		l->socket[i] = s;
		l->told[i] = false;
		place_print(&l->address[i], place);
		probed_log_write(l->setup.log, PROBED_NOTICE,
				 "listening for NOTIFY on %s", place);
	}
	if (missing)
		uv_timer_start(&l->retry, on_retry, RETRY_MS, 0);
}

static void on_retry(uv_timer_t *timer)
{
	sockets_open(timer->data);
}

static void sockets_close(struct probed_listen *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->socket[i] != NULL)
			socket_close(l->socket[i]);
		l->socket[i] = NULL;
		l->told[i] = false;
	}
	while (l->clients != NULL)
		client_close(l->clients);
	uv_timer_stop(&l->retry);
}

/* -- what others call -------------------------------------------------- */

int probed_listen_new(const struct probed_listen_setup *setup,
		      struct probed_listen **listenp)
{
	struct probed_listen *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	l->setup = *setup;
	uv_timer_init(setup->loop, &l->retry);
	l->retry.data = l;
	*listenp = l;
	return 0;
}

void probed_listen_use(struct probed_listen *l, const struct config *config)
{
	size_t bytes = config->n_notify * sizeof(config->notify[0]);

	assert(config->n_notify <= CONFIG_NOTIFY_MAX);
	if (l->n != config->n_notify ||
	    memcmp(l->address, config->notify, bytes) != 0) {
		sockets_close(l);
		l->n = config->n_notify;
		memcpy(l->address, config->notify, bytes);
	}
	sockets_open(l);
}

static void listen_free(uv_handle_t *handle)
{
	free(handle->data);
}

void probed_listen_close(struct probed_listen *l)
{
	if (l == NULL)
		return;
	sockets_close(l);
	uv_close((uv_handle_t *)&l->retry, listen_free);
}
