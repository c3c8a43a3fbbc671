/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_web.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "probes-client/probed_list.h"
#include "probes-client/probed_request.h"

#define RETRY_MS   5000u /* to listen where it failed */
#define BACKLOG	   64
#define ANSWER_MAX 512	  /* octets of the head of an answer, or of all of it */
#define WASTE_MAX  65536u /* octets thrown away while closing */
#define PLACE_MAX  (INET6_ADDRSTRLEN + 16)

struct probed_text {
	struct probed_web *web;
	size_t refs, n;
	char *p;
};

enum conn_state { READING, WAITING, WRITING, CLOSING };

struct conn {
	uv_tcp_t tcp;
	uv_write_t write;
	uv_shutdown_t shutdown;
	struct probed_web *web;
	struct probed_link link; /* of all, the oldest first */
	uint64_t end_ms;	 /* monotonic */
	enum conn_state state;
	bool over;    /* only the loop has it */
	bool is_head; /* HEAD: an answer without its content */
	struct probed_text *text;
	size_t n_in, n_wasted;
	char in[PROBED_HEAD_MAX];
	char out[ANSWER_MAX];
};

struct listener {
	uv_tcp_t tcp;
	struct probed_web *web;
};

/* A place to listen at. */
struct place {
	struct sockaddr_storage address;
	struct listener *listener; /* NULL: not to be had so far */
	bool told;
};

struct probed_web {
	struct probed_web_setup setup;
	uv_timer_t life, retry;
	size_t handles; /* of the loop, that point here */
	struct place places[CONFIG_METRICS_MAX];
	size_t n_places;
	struct probed_list conns;
	bool wanting; /* want() was called, and nothing given yet */
	bool closing;
	size_t text_bytes;
	struct probed_web_stats stats;
	char waste[4096];
};

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

/* -- texts ------------------------------------------------------------------
 */

struct probed_text *probed_text_new(struct probed_web *web, char *p, size_t n)
{
	struct probed_text *text = malloc(sizeof(*text));
	if (text == NULL) {
		free(p);
		return NULL;
	}
	*text = (struct probed_text){ .web = web, .refs = 1, .n = n, .p = p };
	web->text_bytes += n;
	return text;
}

void probed_text_unref(struct probed_text *text)
{
	if (text == NULL || --text->refs > 0)
		return;
	text->web->text_bytes -= text->n;
	free(text->p);
	free(text);
}

size_t probed_web_text_bytes(const struct probed_web *web)
{
	return web->text_bytes;
}

/* -- life of connections ----------------------------------------------------
 */

static void handle_gone(struct probed_web *web)
{
	if (--web->handles == 0 && web->closing)
		free(web);
}

static void conn_free(uv_handle_t *handle)
{
	struct conn *conn = handle->data;
	struct probed_web *web = conn->web;

	probed_text_unref(conn->text);
	free(conn);
	handle_gone(web);
}

static void conn_close(struct conn *conn)
{
	if (conn->over)
		return;
	conn->over = true;
	probed_list_remove(&conn->web->conns, &conn->link);
	uv_close((uv_handle_t *)&conn->tcp, conn_free);
}

static struct conn *conn_first(const struct probed_web *web)
{
	struct probed_link *link = probed_list_first(&web->conns);

	return link != NULL ? PROBED_ENTRY(link, struct conn, link) : NULL;
}

/* The one after it, or NULL. */
static struct conn *conn_next(const struct conn *conn)
{
	const struct probed_list *all = &conn->web->conns;

	return conn->link.next != &all->head
		       ? PROBED_ENTRY(conn->link.next, struct conn, link)
		       : NULL;
}

static void on_life(uv_timer_t *timer);

/* All live as long, so the oldest is the first to go. */
static void life_plan(struct probed_web *web)
{
	const struct conn *conn = conn_first(web);
	uint64_t now = now_ms();

	if (conn == NULL || web->closing)
		return;
	uv_update_time(web->setup.loop);
	uv_timer_start(&web->life, on_life,
		       conn->end_ms > now ? conn->end_ms - now : 0, 0);
}

static void on_life(uv_timer_t *timer)
{
	struct probed_web *web = timer->data;
	uint64_t now = now_ms();
	struct conn *conn;

	while ((conn = conn_first(web)) != NULL && conn->end_ms <= now) {
		web->stats.timeouts += conn->state != CLOSING;
		conn_close(conn);
	}
	life_plan(web);
}

/* -- the end of an answer ---------------------------------------------------
 */

static void on_waste_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct conn *conn = handle->data;

	(void)suggested;
	*buf = uv_buf_init(conn->web->waste, sizeof(conn->web->waste));
}

static void on_waste(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct conn *conn = stream->data;

	(void)buf;
	if (n > 0)
		conn->n_wasted += (size_t)n;
	if (n < 0 || conn->n_wasted > WASTE_MAX)
		conn_close(conn);
}

/* Closing at once what still has input would take the answer back. */
static void on_shutdown(uv_shutdown_t *shutdown, int rc)
{
	struct conn *conn = shutdown->data;

	if (conn->over)
		return;
	conn->state = CLOSING;
	if (rc != 0 || uv_read_start((uv_stream_t *)&conn->tcp, on_waste_room,
				     on_waste) != 0)
		conn_close(conn);
}

static void on_written(uv_write_t *write, int rc)
{
	struct conn *conn = write->data;

	if (conn->over)
		return;
	conn->shutdown.data = conn;
	if (rc != 0 || uv_shutdown(&conn->shutdown, (uv_stream_t *)&conn->tcp,
				   on_shutdown) != 0)
		conn_close(conn);
}

/* -- answers ----------------------------------------------------------------
 */

/* As HTTP writes it; the program never sets another LC_TIME than "C". */
static void date_print(char *out, size_t size)
{
	time_t now = time(NULL);
	struct tm tm;

	out[0] = '\0';
	if (gmtime_r(&now, &tm) != NULL)
		(void)strftime(out, size, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* Sends conn->out[0 .. n-1], and the text if there is one. */
static void conn_send(struct conn *conn, size_t n)
{
	uv_buf_t bufs[2] = { uv_buf_init(conn->out, (unsigned)n) };
	unsigned n_bufs = 1;

	if (conn->text != NULL && !conn->is_head)
		bufs[n_bufs++] =
			uv_buf_init(conn->text->p, (unsigned)conn->text->n);
	conn->state = WRITING;
	conn->write.data = conn;
	if (uv_write(&conn->write, (uv_stream_t *)&conn->tcp, bufs, n_bufs,
		     on_written) != 0)
		conn_close(conn);
}

struct outcome {
	unsigned status;
	const char *words;
	const char *fields; /* more of the head, each with its CR LF */
};

static const struct outcome good = { 200, "OK", "" };
static const struct outcome refusals[] = {
	{ 400, "Bad Request", "" },
	{ 404, "Not Found", "" },
	{ 405, "Method Not Allowed", "Allow: GET, HEAD\r\n" },
	{ 431, "Request Header Fields Too Large", "" },
	{ 503, "Service Unavailable", "Retry-After: 1\r\n" },
	{ 505, "HTTP Version Not Supported", "" },
};

/* The head of an answer into conn->out; returns its length. */
static size_t head_print(struct conn *conn, const struct outcome *outcome,
			 const char *type, size_t length)
{
	char date[40];

	date_print(date, sizeof(date));
	int n = snprintf(conn->out, sizeof(conn->out),
			 "HTTP/1.1 %u %s\r\n"
			 "Date: %s\r\n"
			 "Content-Type: text/plain; %scharset=utf-8\r\n"
			 "Content-Length: %zu\r\n"
			 "Cache-Control: no-store\r\n"
			 "Connection: close\r\n"
			 "%s\r\n",
			 outcome->status, outcome->words, date, type, length,
			 outcome->fields);
	assert(n > 0 && (size_t)n < sizeof(conn->out));
	return (size_t)n;
}

static void refuse(struct conn *conn, unsigned status)
{
	const struct outcome *outcome = refusals;
	char body[80];

	while (outcome->status != status)
		outcome++;
	int length = snprintf(body, sizeof(body), "%s: want GET /metrics\n",
			      outcome->words);
	assert(length > 0 && (size_t)length < sizeof(body));
	size_t n = head_print(conn, outcome, "", (size_t)length);
	if (!conn->is_head) {
		assert(n + (size_t)length <= sizeof(conn->out));
		memcpy(conn->out + n, body, (size_t)length);
		n += (size_t)length;
	}
	conn->web->stats.answers_bad++;
	conn_send(conn, n);
}

static void answer(struct conn *conn, struct probed_text *text)
{
	if (text == NULL) {
		refuse(conn, 503);
		return;
	}
	text->refs++;
	conn->text = text;
	conn->web->stats.answers_good++;
	conn_send(conn, head_print(conn, &good, "version=0.0.4; ", text->n));
}

void probed_web_give(struct probed_web *web, struct probed_text *text)
{
	struct conn *conn = conn_first(web);

	web->wanting = false;
	while (conn != NULL) {
		struct conn *next = conn_next(conn);
		if (conn->state == WAITING)
			answer(conn, text);
		conn = next;
	}
}

/* -- requests ---------------------------------------------------------------
 */

static void request_take(struct conn *conn, const struct probed_request *asked)
{
	struct probed_web *web = conn->web;

	conn->is_head = asked->method == PROBED_HEAD;
	if (!slice_is(asked->path, "/metrics")) {
		refuse(conn, 404);
		return;
	}
	if (asked->method == PROBED_OTHER_METHOD) {
		refuse(conn, 405);
		return;
	}
	conn->state = WAITING;
	if (web->wanting)
		return;
	web->wanting = true;
	web->setup.want(web->setup.arg);
}

static void input_take(struct conn *conn)
{
	struct slice in = { conn->in, conn->n_in };
	struct probed_request asked;
	enum probed_fault fault = probed_request_read(in, &asked);

	if (fault == PROBED_HEAD_MORE)
		return;
	uv_read_stop((uv_stream_t *)&conn->tcp);
	if (fault == PROBED_HEAD_GOOD)
		request_take(conn, &asked);
	else
		refuse(conn, (unsigned)fault);
}

/* There is room, or the head was too long. */
static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct conn *conn = handle->data;

	(void)suggested;
	*buf = uv_buf_init(conn->in + conn->n_in,
			   (unsigned)(sizeof(conn->in) - conn->n_in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct conn *conn = stream->data;

	(void)buf;
	if (n < 0) {
		conn_close(conn); /* it ended before it had asked */
		return;
	}
	conn->n_in += (size_t)n;
	if (n > 0)
		input_take(conn);
}

/* -- listening --------------------------------------------------------------
 */

/* Room for one more; false: there is none. */
static bool conns_room(struct probed_web *web)
{
	struct conn *conn = conn_first(web);

	if (web->conns.n < WEB_CONNECTIONS)
		return true;
	while (conn != NULL && conn->state != READING && conn->state != CLOSING)
		conn = conn_next(conn);
	web->stats.turned_away++;
	if (conn == NULL)
		return false;
	conn_close(conn);
	return true;
}

static void conn_begin(struct probed_web *web, struct conn *conn,
		       uv_stream_t *listener)
{
	bool room = conns_room(web);

	conn->web = web;
	conn->end_ms = now_ms() + WEB_LIFE_MS;
	uv_tcp_init(web->setup.loop, &conn->tcp);
	conn->tcp.data = conn;
	web->handles++;
	probed_list_put(&web->conns, &conn->link);
	if (uv_accept(listener, (uv_stream_t *)&conn->tcp) != 0 || !room ||
	    uv_read_start((uv_stream_t *)&conn->tcp, on_room, on_read) != 0) {
		conn_close(conn);
		return;
	}
	web->stats.accepted++;
	if (web->conns.n == 1)
		life_plan(web);
}

static void on_retry(uv_timer_t *timer);

static void listener_free(uv_handle_t *handle)
{
	struct listener *listener = handle->data;
	struct probed_web *web = listener->web;

	free(listener);
	handle_gone(web);
}

static void place_close(struct place *place)
{
	if (place->listener != NULL)
		uv_close((uv_handle_t *)&place->listener->tcp, listener_free);
	place->listener = NULL;
}

static void retry_plan(struct probed_web *web)
{
	uv_timer_start(&web->retry, on_retry, RETRY_MS, 0);
}

/* No memory: what is not accepted would never be told again. */
static void listener_give_up(struct listener *listener)
{
	struct probed_web *web = listener->web;

	for (size_t i = 0; i < web->n_places; i++)
		if (web->places[i].listener == listener)
			place_close(&web->places[i]);
	retry_plan(web);
}

static void on_connection(uv_stream_t *stream, int rc)
{
	struct listener *listener = stream->data;

	if (rc != 0)
		return; /* it has gone again, or there are no descriptors */
	struct conn *conn = calloc(1, sizeof(*conn));
	if (conn == NULL)
		listener_give_up(listener);
	else
		conn_begin(listener->web, conn, stream);
}

/* "127.0.0.1:5398", "[::1]:5398" */
static void place_print(const struct place *place, char *out)
{
	const struct sockaddr *sa = (const void *)&place->address;
	const struct sockaddr_in *in = (const void *)sa;
	const struct sockaddr_in6 *in6 = (const void *)sa;
	bool v6 = sa->sa_family == AF_INET6;
	char address[INET6_ADDRSTRLEN] = "?";

	inet_ntop(sa->sa_family,
		  v6 ? (const void *)&in6->sin6_addr : &in->sin_addr, address,
		  sizeof(address));
	snprintf(out, PLACE_MAX, v6 ? "[%s]:%u" : "%s:%u", address,
		 (unsigned)ntohs(v6 ? in6->sin6_port : in->sin_port));
}

static int listener_start(struct listener *listener, const struct place *place)
{
	const struct sockaddr *sa = (const void *)&place->address;
	unsigned flags = sa->sa_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0;
	int rc = uv_tcp_bind(&listener->tcp, sa, flags);

	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&listener->tcp, BACKLOG,
			       on_connection);
	return rc;
}

static int listener_new(struct probed_web *web, struct place *place)
{
	struct listener *listener = malloc(sizeof(*listener));
	if (listener == NULL)
		return UV_ENOMEM;

	listener->web = web;
	uv_tcp_init(web->setup.loop, &listener->tcp);
	listener->tcp.data = listener;
	web->handles++;
	int rc = listener_start(listener, place);
	if (rc == 0)
		place->listener = listener;
	else
		uv_close((uv_handle_t *)&listener->tcp, listener_free);
	return rc;
}

static int place_open(struct probed_web *web, struct place *place)
{
	char where[PLACE_MAX], why[96];
	int rc = listener_new(web, place);

	place_print(place, where);
	if (rc == 0)
		probed_log_write(web->setup.log, PROBED_NOTICE,
				 "metrics are at 'http://%s/metrics'", where);
	else if (!place->told)
		probed_log_write(web->setup.log, PROBED_ERROR,
				 "cannot listen at '%s' for metrics: %s; tries "
				 "again every %u s",
				 where, uv_strerror_r(rc, why, sizeof(why)),
				 RETRY_MS / 1000);
	place->told = rc != 0;
	return rc;
}

static void places_open(struct probed_web *web)
{
	bool all = true;

	for (size_t i = 0; i < web->n_places; i++) {
		struct place *place = &web->places[i];
		if (place->listener == NULL && place_open(web, place) != 0)
			all = false;
	}
	if (!all)
		retry_plan(web);
}

static void on_retry(uv_timer_t *timer)
{
	places_open(timer->data);
}

static struct place *place_of(struct place *places, size_t n,
			      const struct sockaddr_storage *address)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(&places[i].address, address, sizeof(*address)) == 0)
			return &places[i];
	return NULL;
}

void probed_web_use(struct probed_web *web,
		    const struct sockaddr_storage *addresses, size_t n)
{
	struct place next[CONFIG_METRICS_MAX] = { 0 };
	size_t n_next = 0;

	for (size_t i = 0; i < n && n_next < CONFIG_METRICS_MAX; i++) {
		struct place *old =
			place_of(web->places, web->n_places, &addresses[i]);
		if (place_of(next, n_next, &addresses[i]) != NULL)
			continue;
		next[n_next] = (struct place){ .address = addresses[i] };
		if (old != NULL) {
			next[n_next] = *old;
			old->listener = NULL;
		}
		n_next++;
	}
	for (size_t i = 0; i < web->n_places; i++)
		place_close(&web->places[i]);
	memcpy(web->places, next, n_next * sizeof(next[0]));
	web->n_places = n_next;
	uv_timer_stop(&web->retry);
	places_open(web);
}

/* -- the whole --------------------------------------------------------------
 */

int probed_web_new(const struct probed_web_setup *setup,
		   struct probed_web **webp)
{
	struct probed_web *web = calloc(1, sizeof(*web));
	if (web == NULL)
		return -ENOMEM;

	web->setup = *setup;
	probed_list_init(&web->conns);
	uv_timer_init(setup->loop, &web->life);
	uv_timer_init(setup->loop, &web->retry);
	web->life.data = web;
	web->retry.data = web;
	web->handles = 2;
	*webp = web;
	return 0;
}

struct probed_web_stats probed_web_stats(const struct probed_web *web)
{
	struct probed_web_stats stats = web->stats;

	stats.connections = web->conns.n;
	return stats;
}

static void timer_gone(uv_handle_t *handle)
{
	handle_gone(handle->data);
}

void probed_web_close(struct probed_web *web)
{
	struct conn *conn;

	if (web == NULL)
		return;
	web->closing = true;
	while ((conn = conn_first(web)) != NULL)
		conn_close(conn);
	for (size_t i = 0; i < web->n_places; i++)
		place_close(&web->places[i]);
	uv_close((uv_handle_t *)&web->life, timer_gone);
	uv_close((uv_handle_t *)&web->retry, timer_gone);
}
