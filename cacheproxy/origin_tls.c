/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/origin_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>

#define CIPHER_MAX (1u << 20) /* octets of TLS waiting in one connection */

static const unsigned char alpn[] = { 3, 'd', 'o', 't' };

/* -- what a server's connections share */

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct conn *conn = SSL_get_app_data(ssl);

	if (conn == NULL) /* a transfer's */
		return 0;
	struct server *server = conn->lane.server;
	SSL_SESSION_free(server->session);
	server->session = session;
	return 1; /* the reference is ours */
}

/*
 * The system's store is its directory, which OpenSSL searches when it needs a
 * certificate; its bundle would take 50 ms to read.  A file is read here.
 */
static int trust(SSL_CTX *tls, const char *ca)
{
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	if (ca != NULL)
		return SSL_CTX_load_verify_file(tls, ca) == 1;
	return SSL_CTX_set_default_verify_dir(tls) == 1;
}

int origin_tls_context(struct server *server)
{
	if (server->tls != NULL)
		return 0;

	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
	if (tls == NULL)
		return -ENOMEM;
	if (!trust(tls, server->tls_ca) ||
	    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_alpn_protos(tls, alpn, sizeof(alpn)) != 0) {
		ERR_clear_error();
		SSL_CTX_free(tls);
		return -EPROTO;
	}
	SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_CLIENT |
						    SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(tls, on_session);
	server->tls = tls;
	return 0;
}

void origin_tls_forget(struct server *server)
{
	SSL_SESSION_free(server->session);
	SSL_CTX_free(server->tls);
	server->session = NULL;
	server->tls = NULL;
}

/* -- a connection */

static int expect_address(SSL *ssl, const struct sockaddr_storage *address)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;

	if (address->ss_family == AF_INET)
		return X509_VERIFY_PARAM_set1_ip(
			param, (const unsigned char *)&in->sin_addr,
			sizeof(in->sin_addr));
	return X509_VERIFY_PARAM_set1_ip(param,
					 (const unsigned char *)&in6->sin6_addr,
					 sizeof(in6->sin6_addr));
}

/* Whom the certificate must name. */
bool origin_tls_expect(SSL *ssl, const char *name,
		       const struct sockaddr_storage *address)
{
	if (name == NULL)
		return expect_address(ssl, address) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, name) == 1 &&
	       SSL_set_tlsext_host_name(ssl, name) == 1;
}

int origin_tls_start(struct conn *conn)
{
	struct server *server = conn->lane.server;

	int rc = origin_tls_context(server);
	if (rc != 0)
		return rc;
	SSL *ssl = SSL_new(server->tls);
	BIO *in = BIO_new(BIO_s_mem());
	BIO *out = BIO_new(BIO_s_mem());
	if (ssl == NULL || in == NULL || out == NULL ||
	    !origin_tls_expect(ssl, server->tls_name, &server->address)) {
		ERR_clear_error();
		BIO_free(in);
		BIO_free(out);
		SSL_free(ssl);
		return -ENOMEM;
	}
	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	SSL_set_app_data(ssl, conn);
	if (server->session != NULL)
		(void)SSL_set_session(ssl, server->session);
	conn->ssl = ssl;
	return 0;
}

void origin_tls_free(struct conn *conn)
{
	SSL_free(conn->ssl);
	conn->ssl = NULL;
	ERR_clear_error();
}

/* Moves what OpenSSL wants sent to conn->out. */
static int drain(struct conn *conn)
{
	BIO *out = SSL_get_wbio(conn->ssl);
	char *p;
	long n = BIO_get_mem_data(out, &p);

	if (n <= 0)
		return 0;
	int rc = origin_octets_add(&conn->out, (const uint8_t *)p, (size_t)n,
				   CIPHER_MAX);
	(void)BIO_reset(out);
	return rc;
}

static int fault(struct conn *conn, const char **why)
{
	long verified = SSL_get_verify_result(conn->ssl);

	ERR_clear_error();
	*why = "TLS error";
	if (verified == X509_V_OK)
		return -EPROTO;
	*why = X509_verify_cert_error_string(verified);
	origin_tls_forget(conn->lane.server); /* the CA file may be new */
	return -EPROTO;
}

static bool wants_more(const struct conn *conn, int rc)
{
	int error = SSL_get_error(conn->ssl, rc);

	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static int handshake(struct conn *conn, const char **why)
{
	ERR_clear_error();
	int done = SSL_do_handshake(conn->ssl);
	if (done == 1) {
		origin_tcp_opened(conn);
		return 0;
	}
	if (wants_more(conn, done)) {
		origin_flush_need(conn);
		return 0;
	}
	int rc = fault(conn, why);
	/* Let the peer have the alert: it helps whoever reads its log. */
	(void)drain(conn);
	uv_buf_t buf = uv_buf_init((char *)conn->out.p, (unsigned)conn->out.n);
	if (!conn->writing && conn->out.n > 0)
		(void)uv_try_write((uv_stream_t *)&conn->tcp, &buf, 1);
	return rc;
}

static int read_all(struct conn *conn, const char **why)
{
	for (;;) {
		uint8_t *p;
		size_t room, n;
		origin_tcp_room(conn, &p, &room);
		ERR_clear_error();
		int got = SSL_read_ex(conn->ssl, p, room, &n);
		if (got != 1) {
			if (wants_more(conn, got))
				return 0;
			if (SSL_get_error(conn->ssl, got) ==
			    SSL_ERROR_ZERO_RETURN)
				return -ECONNRESET;
			return fault(conn, why);
		}
		int rc = origin_tcp_take(conn, n);
		if (rc != 0 || conn->lane.closed)
			return rc;
	}
}

int origin_tls_input(struct conn *conn, size_t n, const char **why)
{
	struct origins *origins = conn->lane.server->origins;

	if (BIO_write(SSL_get_rbio(conn->ssl), origins->cipher, (int)n) !=
	    (int)n)
		return -ENOMEM;
	if (conn->state == CONN_HANDSHAKE) {
		int rc = handshake(conn, why);
		if (rc != 0 || conn->state != CONN_OPEN)
			return rc;
	}
	int rc = read_all(conn, why);
	if (rc == 0 && !conn->lane.closed &&
	    BIO_ctrl_pending(SSL_get_wbio(conn->ssl)) > 0)
		origin_flush_need(conn); /* a key update, say */
	return rc;
}

int origin_tls_output(struct conn *conn)
{
	size_t n;

	ERR_clear_error();
	if (conn->state == CONN_HANDSHAKE) {
		int done = SSL_do_handshake(conn->ssl);
		if (done != 1 && !wants_more(conn, done)) {
			ERR_clear_error();
			return -EPROTO;
		}
	}
	if (conn->state == CONN_OPEN && conn->plain.n > 0) {
		/* A memory BIO takes all. */
		if (SSL_write_ex(conn->ssl, conn->plain.p, conn->plain.n, &n) !=
		    1) {
			ERR_clear_error();
			return -EPROTO;
		}
		conn->plain.n = 0;
	}
	return drain(conn);
}

void origin_tls_end(struct conn *conn)
{
	if (conn->state != CONN_OPEN || conn->writing)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(conn->ssl);
	if (drain(conn) != 0 || conn->out.n == 0)
		return;
	uv_buf_t buf = uv_buf_init((char *)conn->out.p, (unsigned)conn->out.n);
	(void)uv_try_write((uv_stream_t *)&conn->tcp, &buf, 1);
}
