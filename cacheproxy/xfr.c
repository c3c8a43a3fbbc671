/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/xfr.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "cacheproxy/origin_int.h"
#include "cacheproxy/xfr_int.h"

#define READ_MAX  65536u
#define READS_MAX 2u /* before others have their turn */
#define PAUSE_MS  1u

struct xfr {
	struct xfr_setup setup;
	struct xfr_stream stream;
	uv_tcp_t tcp;
	uv_timer_t timer, pause;
	uv_connect_t connect;
	uv_write_t write;
	unsigned int handles; /* not yet closed */
	uint64_t end_ms;
	bool over;	  /* 'done' was called, or need not be */
	uint64_t turn_ms; /* the loop's time at the last read */
	unsigned int turn_reads;
	SSL *ssl; /* NULL: plain TCP */
	size_t question_n;
	uint8_t question[2 + XFR_QUERY_MAX];
	size_t in_n; /* octets of in[] that wait for more */
	uint8_t in[2 + 65535 + READ_MAX];
	uint8_t cipher[READ_MAX];
};

/* -- its end ----------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
	struct xfr *x = handle->data;

	if (--x->handles > 0)
		return;
	xfr_stream_fini(&x->stream);
	SSL_free(x->ssl);
	ERR_clear_error();
	free(x);
}

static void close_handles(struct xfr *x)
{
	x->over = true;
	uv_close((uv_handle_t *)&x->tcp, on_closed);
	uv_close((uv_handle_t *)&x->timer, on_closed);
	uv_close((uv_handle_t *)&x->pause, on_closed);
}

static void finish(struct xfr *x, int status)
{
	struct xfr_result result = {
		.status = status,
		.rcode = x->stream.rcode,
		.kind = x->stream.kind,
		.serial = x->stream.end_serial,
		.records = x->stream.records,
		.octets = x->stream.octets,
	};

	if (x->over)
		return;
	close_handles(x);
	x->setup.done(x->setup.arg, &result);
}

void xfr_cancel(struct xfr *x)
{
	finish(x, -ECANCELED);
}

static void on_timer(uv_timer_t *timer)
{
	finish(timer->data, -ETIMEDOUT);
}

/* The lesser of what is left of both bounds. */
static void arm(struct xfr *x)
{
	uint64_t now_ms = uv_now(x->timer.loop);
	uint64_t left_ms = x->end_ms > now_ms ? x->end_ms - now_ms : 0;

	if (left_ms > x->setup.idle_ms)
		left_ms = x->setup.idle_ms;
	uv_timer_start(&x->timer, on_timer, left_ms, 0);
}

/* -- messages ---------------------------------------------------------- */

/* Takes the whole messages at the front of in[]. */
static int take_messages(struct xfr *x)
{
	size_t at = 0;
	int rc = 0;

	while (rc == 0 && x->in_n - at >= 2 && x->stream.state != XFR_END) {
		size_t size = (size_t)x->in[at] << 8 | x->in[at + 1];
		if (x->in_n - at - 2 < size)
			break;
		rc = xfr_stream_message(&x->stream, x->in + at + 2, size);
		at += 2 + size;
		arm(x);
	}
	x->in_n -= at;
	memmove(x->in, x->in + at, x->in_n);
	return rc;
}

/* Octets came, or with TLS were decrypted; true: the transfer goes on. */
static bool taken(struct xfr *x, size_t n)
{
	x->in_n += n;
	int rc = take_messages(x);
	if (rc == 0 && x->stream.state != XFR_END)
		return true;
	finish(x, rc);
	return false;
}

/* -- writing ----------------------------------------------------------- */

static void on_written(uv_write_t *write, int status)
{
	struct xfr *x = write->data;

	if (status < 0)
		finish(x, status);
}

static void send_octets(struct xfr *x, uint8_t *p, size_t n)
{
	uv_buf_t buf = uv_buf_init((char *)p, (unsigned int)n);

	x->write.data = x;
	int rc = uv_write(&x->write, (uv_stream_t *)&x->tcp, &buf, 1,
			  on_written);
	if (rc != 0)
		finish(x, rc);
}

/*
 * What OpenSSL wants sent: little, and never while an earlier write is under
 * way for long, so that what the socket does not take at once is an error.
 */
static int tls_flush(struct xfr *x)
{
	BIO *out = SSL_get_wbio(x->ssl);
	char *p;
	long n = BIO_get_mem_data(out, &p);

	if (n <= 0)
		return 0;
	uv_buf_t buf = uv_buf_init(p, (unsigned int)n);
	int done = uv_try_write((uv_stream_t *)&x->tcp, &buf, 1);
	(void)BIO_reset(out);
	if (done < 0)
		return done;
	return done == n ? 0 : -ENOBUFS;
}

static bool wants_more(const struct xfr *x, int rc)
{
	int error = SSL_get_error(x->ssl, rc);

	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* Goes on with the handshake; at its end the question is sent. */
static int tls_handshake(struct xfr *x)
{
	size_t n;

	ERR_clear_error();
	int done = SSL_do_handshake(x->ssl);
	if (done != 1 && !wants_more(x, done)) {
		(void)tls_flush(x); /* the alert */
		return -EPROTO;
	}
	if (done == 1 &&
	    SSL_write_ex(x->ssl, x->question, x->question_n, &n) != 1)
		return -EPROTO;
	return tls_flush(x);
}

/* Decrypts 'n' octets of cipher[]. */
static void tls_input(struct xfr *x, size_t n)
{
	int rc = 0;

	if (BIO_write(SSL_get_rbio(x->ssl), x->cipher, (int)n) != (int)n)
		rc = -ENOMEM;
	if (rc == 0 && !SSL_is_init_finished(x->ssl))
		rc = tls_handshake(x);
	while (rc == 0 && SSL_is_init_finished(x->ssl)) {
		size_t got;
		ERR_clear_error();
		int more = SSL_read_ex(x->ssl, x->in + x->in_n,
				       sizeof(x->in) - x->in_n, &got);
		if (more == 1) {
			if (!taken(x, got))
				return;
			continue;
		}
		if (!wants_more(x, more))
			rc = SSL_get_error(x->ssl, more) ==
					     SSL_ERROR_ZERO_RETURN
				     ? -ECONNRESET
				     : -EPROTO;
		break;
	}
	if (rc == 0)
		rc = tls_flush(x);
	if (rc != 0)
		finish(x, rc);
}

/* -- the connection ---------------------------------------------------- */

static void on_room(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
	struct xfr *x = handle->data;

	(void)hint;
	if (x->ssl != NULL)
		*buf = uv_buf_init((char *)x->cipher, sizeof(x->cipher));
	else
		*buf = uv_buf_init((char *)x->in + x->in_n,
				   (unsigned int)(sizeof(x->in) - x->in_n));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void pause_over(uv_timer_t *timer)
{
	struct xfr *x = timer->data;
	int rc = uv_read_start((uv_stream_t *)&x->tcp, on_room, on_read);

	if (rc != 0)
		finish(x, rc);
}

/*
 * libuv reads on as long as an origin is faster than we are, up to 32 times.
 * So we stop it: others, whose questions are small, have their turn, and the
 * loop sleeps if there are none.
 */
static void take_turns(struct xfr *x)
{
	uint64_t now_ms = uv_now(x->tcp.loop);

	if (x->turn_ms != now_ms)
		x->turn_reads = 0;
	x->turn_ms = now_ms;
	if (++x->turn_reads < READS_MAX)
		return;
	x->turn_reads = 0;
	(void)uv_read_stop((uv_stream_t *)&x->tcp);
	(void)uv_timer_start(&x->pause, pause_over, PAUSE_MS, 0);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct xfr *x = stream->data;

	(void)buf;
	if (n == 0 || x->over)
		return;
	if (n > 0)
		take_turns(x);
	if (n < 0)
		finish(x, n == UV_EOF ? -ECONNRESET : (int)n);
	else if (x->ssl != NULL)
		tls_input(x, (size_t)n);
	else
		(void)taken(x, (size_t)n);
}

static void on_connected(uv_connect_t *connect, int status)
{
	struct xfr *x = connect->data;

	if (x->over)
		return;
	if (status == 0)
		status =
			uv_read_start((uv_stream_t *)&x->tcp, on_room, on_read);
	if (status == 0 && x->ssl != NULL)
		status = tls_handshake(x);
	if (status != 0)
		finish(x, status);
	else if (x->ssl == NULL)
		send_octets(x, x->question, x->question_n);
}

static int tls_start(struct xfr *x)
{
	const struct config_origin *origin = x->setup.origin;
	struct server *server =
		origin_server_find(x->setup.origins, origin, CONFIG_TLS);
	int rc = server != NULL ? origin_tls_context(server) : -ENOMEM;

	if (rc != 0)
		return rc;
	x->ssl = SSL_new(server->tls);
	BIO *in = BIO_new(BIO_s_mem());
	BIO *out = BIO_new(BIO_s_mem());
	if (x->ssl == NULL || in == NULL || out == NULL ||
	    !origin_tls_expect(x->ssl, origin->tls_name, &origin->address)) {
		ERR_clear_error();
		BIO_free(in);
		BIO_free(out);
		return -ENOMEM;
	}
	SSL_set_bio(x->ssl, in, out);
	SSL_set_connect_state(x->ssl);
	return 0;
}

static int open_connection(struct xfr *x)
{
	const struct config_origin *origin = x->setup.origin;
	size_t n = 0;
	int rc = xfr_stream_question(&x->stream, x->question + 2, &n);

	x->question[0] = (uint8_t)(n >> 8);
	x->question[1] = (uint8_t)n;
	x->question_n = n + 2;
	if (rc == 0 && origin->transport == CONFIG_TLS)
		rc = tls_start(x);
	if (rc == 0 && origin->source.ss_family != AF_UNSPEC)
		rc = uv_tcp_bind(&x->tcp,
				 (const struct sockaddr *)&origin->source, 0);
	if (rc != 0)
		return rc;
	x->connect.data = x;
	return uv_tcp_connect(&x->connect, &x->tcp,
			      (const struct sockaddr *)&origin->address,
			      on_connected);
}

int xfr_start(const struct xfr_setup *setup, struct xfr **xfrp)
{
	struct xfr *x = calloc(1, sizeof(*x));
	uv_loop_t *loop = setup->origins->loop;
	uint16_t id = (uint16_t)(uv_hrtime() >> 8);

	if (x == NULL || uv_tcp_init(loop, &x->tcp) != 0) {
		if (setup->key != NULL)
			tsig_key_free(setup->key);
		free(x);
		return -ENOMEM;
	}
	x->setup = *setup;
	xfr_stream_init(&x->stream, &x->setup, id);
	x->tcp.data = x;
	(void)uv_timer_init(loop, &x->timer); /* cannot fail */
	x->timer.data = x;
	(void)uv_timer_init(loop, &x->pause); /* nor can this */
	x->pause.data = x;
	x->handles = 3;
	uv_update_time(loop);
	x->end_ms = uv_now(loop) + setup->time_ms;
	int rc = open_connection(x);
	if (rc != 0) {
		close_handles(x);
		return rc;
	}
	arm(x);
	if (xfrp != NULL)
		*xfrp = x;
	return 0;
}
