/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_wire.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "probes-client/probed_random.h"
#include "probes-client/probed_say.h"

#define CHUNK 8192u

struct wire_test {
	struct probed_test test; /* first */
	uv_tcp_t tcp;
	uv_connect_t connect;
	struct probed_trust *trust;
	SSL *ssl;	/* NULL: in the clear */
	bool shaken;	/* its handshake is done */
	size_t n_taken; /* octets from the server */
	uint8_t chunk[CHUNK];
	struct probed_say say;
};

/* A write on its way; its octets come after it. */
struct sending {
	uv_write_t write;
	char octets[];
};

static void wire_stop(struct probed_test *test)
{
	struct wire_test *t = (struct wire_test *)test;

	SSL_free(t->ssl);
	t->ssl = NULL;
	uv_close((uv_handle_t *)&t->tcp, probed_test_closed);
}

static void wire_late(struct probed_test *test, char *out)
{
	struct wire_test *t = (struct wire_test *)test;
	const char *phase = "waiting for the answer";
	char span[32];

	if (t->test.times.connect_us == 0)
		phase = "connecting";
	else if (t->ssl != NULL && !t->shaken)
		phase = "in the TLS handshake";
	else if (t->say.n_in > 0)
		phase = "reading the answer";
	probed_span_print(test->service->timeout_ms, span, sizeof(span));
	snprintf(out, PROBED_DETAIL_MAX, "%s, %s", phase, span);
}

/* -- to the server --------------------------------------------------------- */

static void on_sent(uv_write_t *write, int rc)
{
	(void)rc; /* a connection that is gone is heard of by reading */
	free((struct sending *)(void *)write);
}

static void octets_send(struct wire_test *t, const void *octets, size_t n)
{
	struct sending *sending = malloc(sizeof(*sending) + n);

	if (sending == NULL) {
		probed_test_end_errno(&t->test, ENOMEM);
		return;
	}
	memcpy(sending->octets, octets, n);
	uv_buf_t buf = uv_buf_init(sending->octets, (unsigned int)n);
	int rc = uv_write(&sending->write, (uv_stream_t *)&t->tcp, &buf, 1,
			  on_sent);
	if (rc != 0) {
		free(sending);
		probed_test_end_errno(&t->test, -rc);
	}
}

/* What TLS has to say. */
static void tls_flush(struct wire_test *t)
{
	char *octets = NULL;
	BIO *to = SSL_get_wbio(t->ssl);
	long n = BIO_get_mem_data(to, &octets);

	if (n > 0)
		octets_send(t, octets, (size_t)n);
	(void)BIO_reset(to);
}

static void say_flush(struct wire_test *t)
{
	struct probed_say *say = &t->say;

	if (say->n_out == 0)
		return;
	if (t->ssl == NULL)
		octets_send(t, say->out, say->n_out);
	else if (SSL_write(t->ssl, say->out, (int)say->n_out) > 0)
		tls_flush(t);
	say->n_out = 0;
}

/* The last words: gone at once, or not at all. */
static void farewell(struct wire_test *t)
{
	struct probed_say *say = &t->say;
	uv_buf_t buf = uv_buf_init((char *)say->out, (unsigned int)say->n_out);

	if (t->ssl != NULL) {
		char *octets = NULL;
		if (say->n_out > 0)
			(void)SSL_write(t->ssl, say->out, (int)say->n_out);
		(void)SSL_shutdown(t->ssl);
		ERR_clear_error();
		long n = BIO_get_mem_data(SSL_get_wbio(t->ssl), &octets);
		buf = uv_buf_init(octets, (unsigned int)n);
	}
	if (buf.len > 0)
		(void)uv_try_write((uv_stream_t *)&t->tcp, &buf, 1);
}

/* -- what the dialogue says ------------------------------------------------ */

static void tls_begin(struct wire_test *t);

static void follow(struct wire_test *t, enum probed_say_act act)
{
	switch (act) {
	case PROBED_SAY_FAIL:
		probed_test_end(&t->test, t->say.error, t->say.detail);
		return;
	case PROBED_SAY_DONE:
		farewell(t);
		probed_test_end(&t->test, PROBE_OK, NULL);
		return;
	case PROBED_SAY_TLS:
		say_flush(t);
		if (!t->test.over)
			tls_begin(t);
		return;
	default:
		say_flush(t);
	}
}

static void hear(struct wire_test *t, const uint8_t *octets, size_t n)
{
	if (t->test.times.first_us == 0)
		t->test.times.first_us = probed_test_us(&t->test);
	follow(t, probed_say_hear(&t->say, octets, n));
}

/* -- TLS ------------------------------------------------------------------- */

static void tls_fail(struct wire_test *t)
{
	long verdict = SSL_get_verify_result(t->ssl);
	unsigned long code = ERR_peek_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	tls_flush(t); /* the alert */
	int error = verdict != X509_V_OK ? probed_test_file_errno() : 0;
	if (error != 0)
		probed_test_end_errno(&t->test, error);
	else if (verdict != X509_V_OK)
		probed_test_end(&t->test, PROBE_CERTIFICATE,
				X509_verify_cert_error_string(verdict));
	else
		probed_test_end(&t->test, PROBE_TLS, reason);
}

/* Good for as long as is wanted?  Ends the test if not. */
static void certificate_judge(struct wire_test *t)
{
	uint32_t valid_s = t->test.service->expect.valid_s;
	int64_t left_s = t->test.expires_s - (int64_t)time(NULL);
	char detail[PROBED_DETAIL_MAX], left[32], want[32];

	if (valid_s == 0 || left_s >= (int64_t)valid_s)
		return;
	probed_span_print(left_s > 0 ? (uint64_t)left_s * 1000 : 0, left,
			  sizeof(left));
	probed_span_print((uint64_t)valid_s * 1000, want, sizeof(want));
	snprintf(detail, sizeof(detail), "it ends in %s, want %s", left, want);
	probed_test_end(&t->test, PROBE_CERTIFICATE, detail);
}

/* Returns whether there is more to be done. */
static bool tls_shake(struct wire_test *t)
{
	ERR_clear_error();
	int rc = SSL_do_handshake(t->ssl);
	if (rc != 1 && SSL_get_error(t->ssl, rc) != SSL_ERROR_WANT_READ) {
		tls_fail(t);
		return false;
	}
	tls_flush(t);
	if (rc != 1 || t->test.over)
		return false;
	t->shaken = true;
	t->say.secure = true;
	t->test.times.tls_us = probed_test_us(&t->test);
	t->test.expires_s = probed_trust_expires(t->ssl);
	certificate_judge(t);
	if (!t->test.over)
		follow(t, probed_say_open(&t->say));
	return !t->test.over;
}

static void tls_pump(struct wire_test *t)
{
	uint8_t plain[2048];

	if (!t->shaken && !tls_shake(t))
		return;
	while (!t->test.over) {
		ERR_clear_error();
		int n = SSL_read(t->ssl, plain, sizeof(plain));
		if (n > 0) {
			hear(t, plain, (size_t)n);
			continue;
		}
		switch (SSL_get_error(t->ssl, n)) {
		case SSL_ERROR_WANT_READ:
			tls_flush(t);
			return;
		case SSL_ERROR_ZERO_RETURN:
			follow(t, probed_say_end(&t->say));
			return;
		default:
			tls_fail(t);
			return;
		}
	}
}

static void tls_begin(struct wire_test *t)
{
	const struct config_service *service = t->test.service;
	struct probed_trust_ask ask = { service->ca_file, t->say.host,
					service->verify };
	char detail[PROBED_DETAIL_MAX];
	int rc = probed_trust_ssl(t->trust, &ask, uv_hrtime() / 1000000,
				  &t->ssl);

	if (rc == 0) {
		tls_pump(t);
		return;
	}
	if (rc != -EINVAL) {
		probed_test_end_errno(&t->test, -rc);
		return;
	}
	snprintf(detail, sizeof(detail), "cannot read '%.100s'",
		 service->ca_file != NULL ? service->ca_file
					  : "the system's authorities");
	probed_test_end(&t->test, PROBE_LOCAL, detail);
}

/* -- from the server ------------------------------------------------------- */

static void on_room(uv_handle_t *handle, size_t want, uv_buf_t *buf)
{
	struct wire_test *t = handle->data;

	(void)want;
	*buf = uv_buf_init((char *)t->chunk, sizeof(t->chunk));
}

/* libuv calls a reset an end if something had come before it. */
static bool is_reset(const struct wire_test *t, ssize_t rc)
{
	int error = 0;
	socklen_t n = sizeof(error);
	uv_os_fd_t fd;

	return rc != UV_EOF ||
	       (uv_fileno((const uv_handle_t *)&t->tcp, &fd) == 0 &&
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 &&
		error != 0);
}

static void gone(struct wire_test *t, ssize_t rc)
{
	char detail[PROBED_DETAIL_MAX];
	bool reset = is_reset(t, rc);

	if (t->ssl != NULL && !t->shaken) {
		probed_test_end(&t->test, reset ? PROBE_RESET : PROBE_TLS,
				"closed in the handshake");
		return;
	}
	if (!reset) {
		follow(t, probed_say_end(&t->say));
		return;
	}
	snprintf(detail, sizeof(detail), "after %zu octets", t->say.n_in);
	probed_test_end(&t->test, PROBE_RESET, detail);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct wire_test *t = stream->data;

	(void)buf;
	if (t->test.over || n == 0)
		return;
	if (n < 0) {
		gone(t, n);
		return;
	}
	t->n_taken += (size_t)n;
	if (t->n_taken > PROBED_WIRE_MAX) {
		probed_test_end(&t->test, PROBE_PROTOCOL,
				"more octets than an answer can have");
		return;
	}
	if (t->ssl == NULL) {
		hear(t, t->chunk, (size_t)n);
		return;
	}
	if (BIO_write(SSL_get_rbio(t->ssl), t->chunk, (int)n) != (int)n)
		probed_test_end_errno(&t->test, ENOMEM);
	else
		tls_pump(t);
}

/* -- life ------------------------------------------------------------------ */

static void on_connect(uv_connect_t *connect, int rc)
{
	struct wire_test *t = connect->data;

	if (t->test.over) /* UV_ECANCELED */
		return;
	if (rc == 0)
		rc = uv_read_start((uv_stream_t *)&t->tcp, on_room, on_read);
	if (rc != 0) {
		probed_test_end_errno(&t->test, -rc);
		return;
	}
	t->test.times.connect_us = probed_test_us(&t->test);
	if (probed_say_is_tls(t->test.service->probe))
		tls_begin(t);
	else
		follow(t, probed_say_open(&t->say));
}

int probed_wire_start(uv_loop_t *loop, struct probed_trust *trust,
		      const struct probed_task *task,
		      struct probed_test **testp)
{
	const struct config_service *service = task->service;
	struct wire_test *t = malloc(sizeof(*t));
	if (t == NULL)
		return -ENOMEM;

	/* Not its buffers: that would be most of the work of a test. */
	memset(t, 0, offsetof(struct wire_test, chunk));
	t->trust = trust;
	t->test.stop = wire_stop;
	t->test.late = wire_late;
	probed_say_init(&t->say, service,
			service->host != NULL ? service->host
					      : task->address_text,
			probed_random());
	probed_test_begin(&t->test, loop, task, service->timeout_ms);
	t->tcp.data = t;
	uv_tcp_init(loop, &t->tcp);
	probed_test_opened(&t->test);
	t->connect.data = t;
	probed_test_connect(&t->test, &t->tcp, &t->connect, task, on_connect);
	*testp = &t->test;
	return 0;
}
