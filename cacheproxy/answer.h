/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * answer - turns an origin's message into a store entry: parsed by libdns,
 * checked, scrubbed, rendered again by libdns in every form a client may get.
 * No parser of ours walks what a stranger sent.
 *
 * One answer_maker a thread (the engine's).
 */
#include <stdint.h>

#include "cacheproxy/proofs.h"
#include "cacheproxy/store.h"
#include "common/config.h"

struct isc_mem;
struct answer_maker;

int answer_maker_new(struct isc_mem *mctx, struct answer_maker **makerp);
void answer_maker_free(struct answer_maker *maker);

/* Why an origin's message was not accepted; 0 is success. */
enum answer_fault {
	ANSWER_OK,
	ANSWER_MALFORMED, /* libdns cannot parse it */
	ANSWER_QUESTION,  /* not the question asked */
	ANSWER_RCODE,	  /* SERVFAIL, REFUSED, NOTIMP, ... */
	ANSWER_TRUNCATED,
	ANSWER_BAILIWICK, /* nothing in it belongs to the zone */
	ANSWER_LAME,	  /* not authoritative, and no referral downwards */
	ANSWER_TOO_BIG,
	ANSWER_MEMORY,
	ANSWER_FAULTS,
};

const char *answer_fault_text(enum answer_fault fault);

/* An origin's message, and the question that it shall answer. */
struct answer_source {
	const struct config_zone *zone;
	const struct store_key *key;
	uint64_t hash;
	const uint8_t *msg;
	size_t n;
	uint32_t now_s;	 /* the store's clock */
	uint32_t wall_s; /* Unix time, for the expiry of RRSIGs */
};

/*
 * Makes the entry for the question.  On ANSWER_OK sets '*entryp' (one
 * reference, the caller's); its ttl_s is 0 if it may be given to those who
 * wait but not kept.
 */
enum answer_fault answer_make(struct answer_maker *maker,
			      const struct answer_source *source,
			      struct store_entry **entryp);

/*
 * After answer_make(): hands what the message proves not to exist to 'proofs'.
 * Returns 0, also if that is nothing; -ESTALE or -ENOMEM of proofs_learn().
 */
int answer_learn(const struct answer_maker *maker,
		 const struct answer_source *source, struct proofs *proofs);

/* An entry that says the origins failed, fresh for 'ttl_s'; NULL: no memory. */
struct store_entry *answer_failure(const struct store_key *key, uint64_t hash,
				   uint32_t now_s, uint32_t ttl_s);
