/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * tsig - signs questions to origins and checks their answers (RFC 8945), by
 * libdns.
 *
 * One struct tsig a thread.  A struct tsig_mac is what one signed question
 * needs for its answer: the key and the question's MAC.
 */
#include <stddef.h>
#include <stdint.h>

struct isc_mem;
struct dns_tsigkey;
struct tsig;
struct tsig_mac;

#define TSIG_QUERY_MAX 1024u /* octets, more than a signed question takes */

/* What is asked and signed. */
struct tsig_query {
	uint16_t id;
	uint16_t qtype;
	const uint8_t *name; /* wire form */
	size_t name_n;
	uint16_t udp_size; /* of the OPT record, which says DO */
};

/* 0 or -ENOMEM.  'mctx' is attached. */
int tsig_new(struct isc_mem *mctx, struct tsig **tsigp);
void tsig_free(struct tsig *tsig); /* NULL is fine */

/*
 * Writes the signed question to 'out' (TSIG_QUERY_MAX octets).  Returns 0
 * and sets '*n' and '*macp', which then owns the reference 'key'; or -EINVAL or
 * -ENOMEM, and the reference is still the caller's.
 */
int tsig_sign(struct tsig *tsig, struct dns_tsigkey *key,
	      const struct tsig_query *query, uint8_t *out, size_t *n,
	      struct tsig_mac **macp);

/*
 * 0 if 'msg' is an answer signed for that question, else -EBADMSG.  A MAC
 * may be asked about any number of messages.
 */
int tsig_check(struct tsig *tsig, const struct tsig_mac *mac,
	       const uint8_t *msg, size_t n);

/* Detaches the key.  NULL is fine. */
void tsig_mac_free(struct tsig *tsig, struct tsig_mac *mac);

/* Detaches a key that did not come to be used. */
void tsig_key_free(struct dns_tsigkey *key);
