/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_trust - the authorities that TLS tests trust, kept in memory: to read
 * the system's takes longer than many a test.  A file is read again when it has
 * been forgotten, or five minutes later.
 */
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

struct probed_trust;

/* Returns 0 and sets '*trustp', or -ENOMEM. */
int probed_trust_new(struct probed_trust **trustp);
void probed_trust_forget(struct probed_trust *trust);
void probed_trust_free(struct probed_trust *trust); /* NULL is fine */

/* What a connection is to be, and who is to be at the other end. */
struct probed_trust_ask {
	const char *ca_file; /* NULL: the system's */
	const char *host;    /* name or address: of the certificate, and SNI */
	bool verify;
};

/*
 * A client's end of a connection, with memory to read from and to write to.
 * Returns 0 and sets '*sslp', to be freed with SSL_free(); or -EINVAL: the file
 * of authorities cannot be read; or -ENOMEM, -EMFILE or -ENFILE: for lack of
 * memory or descriptors.
 */
int probed_trust_ssl(struct probed_trust *trust,
		     const struct probed_trust_ask *ask, uint64_t now_ms,
		     SSL **sslp);

/* When the certificate of the other end ends, in unix time; 0: none. */
int64_t probed_trust_expires(const SSL *ssl);
