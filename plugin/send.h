/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * send - gives a client a stored or a decided answer, as named would have
 * given it from a zone of its own.
 *
 * Two ways, and only this module knows which is taken: the *raw path* patches
 * the stored wire (question as the client spelled it, flags, aged TTLs, order
 * of address sets) and adds named's own OPT; the *message path* puts the
 * records into the client's message and lets named render, truncate, sign and
 * pad.
 *
 * Runs on named's workers.  Made in two steps so that nothing is sent inside
 * an RCU section: send_prepare() copies all it needs, send_finish() sends.
 */
#include <stdbool.h>

#include <ns/query.h>

#include "cacheproxy/store.h"

#define SEND_RAW_MAX 4096u

struct send {
	bool raw;
	bool failed; /* nothing could be made of the answer: SERVFAIL */
	uint8_t kind;
	uint16_t n;
	uint8_t wire[SEND_RAW_MAX];
};

/* An answer ready to be given: a stored one, or one made for this client. */
struct send_answer {
	const uint8_t *octets; /* what the form's offsets are in */
	const struct store_form *form;
	uint8_t kind; /* enum store_kind */
	uint8_t rcode;
	bool aa;
	bool stale; /* the origin is gone: EDE 3 and short TTLs */
	bool edit;  /* edit.h must see it: its names are steered */
	uint32_t age_s;
	_Atomic uint16_t *turns; /* counts for cyclic order */
};

/* The answer 'e' in the form that this client gets. */
void send_stored(struct send_answer *a, const query_ctx_t *qctx,
		 struct store_entry *e, uint32_t now_s, bool stale);

/* Prepares an answer; copies all that it needs of it. */
void send_prepare(struct send *s, query_ctx_t *qctx,
		  const struct send_answer *a);

/* Sends it; returns what the hook returns in '*resp' (NS_HOOK_RETURN). */
void send_finish(struct send *s, query_ctx_t *qctx, isc_result_t *resp);

/* Sends SERVFAIL with the extended error 'ede' (RFC 8914) and 'text'. */
void send_failure(query_ctx_t *qctx, uint16_t ede, const char *text,
		  isc_result_t *resp);
