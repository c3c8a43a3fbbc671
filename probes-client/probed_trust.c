/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_trust.h"

#include "probes-client/probed_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#define N_FILES 16u
#define KEPT_MS 300000u
#define DAY_S	86400

struct file {
	SSL_CTX *context; /* NULL: not in use */
	char *ca_file;	  /* NULL: the system's */
	bool verify;
	uint64_t read_ms, used_ms;
};

struct probed_trust {
	struct file files[N_FILES];
};

int probed_trust_new(struct probed_trust **trustp)
{
	struct probed_trust *trust = calloc(1, sizeof(*trust));

	if (trust == NULL)
		return -ENOMEM;
	*trustp = trust;
	return 0;
}

static void file_drop(struct file *file)
{
	SSL_CTX_free(file->context);
	free(file->ca_file);
	*file = (struct file){ .context = NULL };
}

void probed_trust_forget(struct probed_trust *trust)
{
	for (size_t i = 0; i < N_FILES; i++)
		file_drop(&trust->files[i]);
}

void probed_trust_free(struct probed_trust *trust)
{
	if (trust == NULL)
		return;
	probed_trust_forget(trust);
	free(trust);
}

static bool file_is(const struct file *file, const struct probed_trust_ask *ask)
{
	if (file->context == NULL || file->verify != ask->verify)
		return false;
	if (!ask->verify)
		return true;
	if (file->ca_file == NULL || ask->ca_file == NULL)
		return file->ca_file == ask->ca_file;
	return strcmp(file->ca_file, ask->ca_file) == 0;
}

static int file_read(struct file *file, const struct probed_trust_ask *ask,
		     uint64_t now_ms)
{
	bool named = ask->verify && ask->ca_file != NULL;
	char *copy = named ? strdup(ask->ca_file) : NULL;
	int good = 1;
	/* OpenSSL takes a file that cannot be opened for one that is empty. */
	int rc = ask->verify ? probed_test_file_errno() : 0;
	SSL_CTX *context = rc == 0 ? SSL_CTX_new(TLS_client_method()) : NULL;

	if (rc != 0) {
		free(copy);
		return -rc;
	}
	if (context == NULL || (named && copy == NULL)) {
		SSL_CTX_free(context);
		free(copy);
		return -ENOMEM;
	}
	if (named)
		good = SSL_CTX_load_verify_file(context, copy);
	else if (ask->verify)
		good = SSL_CTX_set_default_verify_paths(context);
	if (good != 1) {
		SSL_CTX_free(context);
		free(copy);
		ERR_clear_error();
		return -EINVAL;
	}
	SSL_CTX_set_verify(
		context, ask->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	*file = (struct file){ context, copy, ask->verify, now_ms, now_ms };
	return 0;
}

/* The file's context: kept, or read in the place of the one used longest ago.
 */
static int context_of(struct probed_trust *trust,
		      const struct probed_trust_ask *ask, uint64_t now_ms,
		      SSL_CTX **contextp)
{
	struct file *oldest = &trust->files[0];

	for (size_t i = 0; i < N_FILES; i++) {
		struct file *file = &trust->files[i];
		if (file->context != NULL && now_ms - file->read_ms > KEPT_MS)
			file_drop(file);
		if (file_is(file, ask)) {
			file->used_ms = now_ms;
			*contextp = file->context;
			return 0;
		}
		if (file->used_ms < oldest->used_ms)
			oldest = file;
	}
	file_drop(oldest);
	int rc = file_read(oldest, ask, now_ms);
	if (rc == 0)
		*contextp = oldest->context;
	return rc;
}

/* Whose certificate it is to be; a name goes into SNI, too. */
static bool ssl_name(SSL *ssl, const char *host)
{
	struct in6_addr address;
	bool literal = inet_pton(AF_INET, host, &address) == 1 ||
		       inet_pton(AF_INET6, host, &address) == 1;

	if (literal)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl),
						     host) == 1;
	return SSL_set1_host(ssl, host) == 1 &&
	       SSL_set_tlsext_host_name(ssl, host) == 1;
}

int probed_trust_ssl(struct probed_trust *trust,
		     const struct probed_trust_ask *ask, uint64_t now_ms,
		     SSL **sslp)
{
	SSL_CTX *context = NULL;
	int rc = context_of(trust, ask, now_ms, &context);
	if (rc != 0)
		return rc;

	SSL *ssl = SSL_new(context);
	BIO *from = BIO_new(BIO_s_mem()), *to = BIO_new(BIO_s_mem());
	if (ssl == NULL || from == NULL || to == NULL ||
	    !ssl_name(ssl, ask->host)) {
		SSL_free(ssl);
		BIO_free(from);
		BIO_free(to);
		ERR_clear_error();
		return -ENOMEM;
	}
	SSL_set_bio(ssl, from, to);
	SSL_set_connect_state(ssl);
	*sslp = ssl;
	return 0;
}

int64_t probed_trust_expires(const SSL *ssl)
{
	X509 *certificate = SSL_get1_peer_certificate(ssl);
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days = 0, seconds = 0;

	bool good = certificate != NULL && epoch != NULL &&
		    ASN1_TIME_diff(&days, &seconds, epoch,
				   X509_get0_notAfter(certificate)) == 1;
	X509_free(certificate);
	ASN1_TIME_free(epoch);
	return good ? (int64_t)days * DAY_S + seconds : 0;
}
