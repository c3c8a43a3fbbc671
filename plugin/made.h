/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * made - answers that no origin has given word for word: written as wires,
 * record by record, to be sent by send.h like those from memory.
 *
 * Neither allocates nor takes a lock.  Names are compressed as named's
 * renderer would, against equal spelling only (RFC 1035 section 4.1.4), so
 * that what does not fit a client is the same.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ns/query.h>

#include "common/slice.h"
#include "plugin/send.h"

#define MADE_WIRE_MAX 6144u /* what any answer made here needs */

struct made {
	struct store_form form;
	uint8_t wire[MADE_WIRE_MAX];
};

enum made_section { MADE_ANSWER, MADE_AUTHORITY };

/* Names already written, against which others may be compressed. */
struct made_name {
	const uint8_t *wire;
	uint16_t n;
	uint16_t offset;  /* in the message */
	uint16_t literal; /* octets of its labels that may be pointed to */
};

#define MADE_NAMES_MAX 8u

/* A wire under way. */
struct pen {
	struct made *made;
	size_t n;
	uint16_t apex; /* where the name of the zone's apex begins */
	bool full;     /* something did not fit: not to be sent */
	size_t n_names;
	struct made_name name[MADE_NAMES_MAX];
};

/* Begins an answer to the query's question; 'apex_labels' without the root. */
void made_begin(struct pen *pen, struct made *made, const query_ctx_t *qctx,
		unsigned int apex_labels);

/* One record; its owner is the name at 'owner' in the message. */
void made_record(struct pen *pen, enum made_section section, uint16_t owner,
		 dns_rdatatype_t type, uint32_t ttl_s, struct slice rdata);

/*
 * One record of 'owner' (uncompressed wire form); 'names': its rdata begins
 * with so many names, which are compressed, too.
 */
void made_record_at(struct pen *pen, enum made_section section,
		    struct slice owner, dns_rdatatype_t type, uint32_t ttl_s,
		    struct slice rdata, unsigned int names);

/*
 * Ends the wire, and fills 'a' as a finished answer of 'kind', which points
 * into it.  False: it did not fit.
 */
bool made_end(struct pen *pen, enum store_kind kind, struct send_answer *a);

static inline struct slice made_octets(const uint8_t *p, size_t n)
{
	return (struct slice){ (const char *)p, n };
}
