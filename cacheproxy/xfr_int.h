/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * xfr_int - what the two halves of 'xfr' share: connection (xfr.c) and
 * messages (xfr_message.c).  Nobody else includes this.
 */
#include <dns/message.h>
#include <dns/tsig.h>
#include <isc/buffer.h>

#include "cacheproxy/xfr.h"

#define XFR_QUERY_MAX 1024u

/* Where in a transfer the next record is; as in RFC 1995 section 4. */
enum xfr_state {
	XFR_FIRST,     /* the SOA that all begins with */
	XFR_SECOND,    /* tells a difference from a whole zone */
	XFR_REMOVALS,  /* of a step, its old SOA has been */
	XFR_ADDITIONS, /* its new SOA has been */
	XFR_ZONE,      /* records of a whole zone */
	XFR_END,
};

/* The messages of one transfer. */
struct xfr_stream {
	isc_mem_t *mctx;
	const struct xfr_setup *setup;
	dns_name_t name;
	dns_tsigkey_t *key;
	isc_buffer_t *last_tsig;
	dst_context_t *tsig_context;
	unsigned int messages, unsigned_run;
	uint16_t id;
	uint16_t rcode; /* of the message that refused */
	enum xfr_state state;
	enum xfr_kind kind;
	uint32_t end_serial, serial; /* serial: of the step */
	uint32_t ttl_s;		     /* of the set at hand */
	size_t records, octets;
};

/* 'setup' outlives it; takes over setup->key. */
void xfr_stream_init(struct xfr_stream *s, const struct xfr_setup *setup,
		     uint16_t id);
void xfr_stream_fini(struct xfr_stream *s);

/* Writes the question to 'out' (XFR_QUERY_MAX octets). 0 or -errno. */
int xfr_stream_question(struct xfr_stream *s, uint8_t *out, size_t *n);

/* Takes a message.  0 (s->state tells whether it was the last) or -errno. */
int xfr_stream_message(struct xfr_stream *s, uint8_t *msg, size_t n);
