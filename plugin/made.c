/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/made.h"

#include <string.h>

#include <dns/name.h>
#include <dns/rcode.h>
#include <dns/rdataclass.h>
#include <ns/client.h>

#define POINTER_MAX  0x3fffu /* an offset that a pointer can hold */
#define NOTED_LABELS 2u

static void put16(struct pen *pen, uint16_t value)
{
	pen->made->wire[pen->n++] = (uint8_t)(value >> 8);
	pen->made->wire[pen->n++] = (uint8_t)value;
}

static void put32(struct pen *pen, uint32_t value)
{
	put16(pen, (uint16_t)(value >> 16));
	put16(pen, (uint16_t)value);
}

static void put(struct pen *pen, const void *p, size_t n)
{
	memcpy(pen->made->wire + pen->n, p, n);
	pen->n += n;
}

static bool has_room(struct pen *pen, size_t n)
{
	if (pen->n + n > MADE_WIRE_MAX)
		pen->full = true;
	return !pen->full;
}

/* -- names ----------------------------------------------------------------- */

/*
 * A name was written, of which 'labels' are there: as named does, no more than
 * two of these begin a name to be pointed to.
 */
static void note_name(struct pen *pen, const uint8_t *wire, size_t n,
		      size_t offset, unsigned int labels)
{
	size_t literal = 0;

	for (unsigned int i = 0; i < labels && i < NOTED_LABELS; i++)
		literal += wire[literal] + 1u;
	if (literal == 0 || pen->n_names == MADE_NAMES_MAX)
		return;
	pen->name[pen->n_names++] =
		(struct made_name){ wire, (uint16_t)n, (uint16_t)offset,
				    (uint16_t)literal };
}

/* The offset in the message of the name 'wire', 0: it is nowhere. */
static size_t find_name(const struct pen *pen, const uint8_t *wire, size_t n)
{
	for (size_t i = 0; i < pen->n_names; i++) {
		const struct made_name *had = &pen->name[i];
		size_t at = 0;
		while (at < had->literal && (size_t)had->n - at > n)
			at += had->wire[at] + 1u;
		if (at < had->literal && (size_t)had->n - at == n &&
		    had->offset + at <= POINTER_MAX &&
		    memcmp(had->wire + at, wire, n) == 0)
			return had->offset + at;
	}
	return 0;
}

static void put_name(struct pen *pen, const uint8_t *wire, size_t n)
{
	size_t at = 0, offset = 0, begin = pen->n;
	unsigned int labels = 0;

	while (wire[at] != 0) {
		offset = find_name(pen, wire + at, n - at);
		if (offset != 0)
			break;
		at += wire[at] + 1u;
		labels++;
	}
	put(pen, wire, at);
	if (offset != 0)
		put16(pen, (uint16_t)(0xc000u | offset));
	else
		pen->made->wire[pen->n++] = 0;
	note_name(pen, wire, n, begin, labels);
}

/* -- records --------------------------------------------------------------- */

void made_begin(struct pen *pen, struct made *made, const query_ctx_t *qctx,
		unsigned int apex_labels)
{
	const dns_name_t *qname = qctx->client->query.qname;
	const uint8_t *wire = qname->ndata;
	size_t at = 0;

	for (unsigned int labels = dns_name_countlabels(qname) - 1;
	     labels > apex_labels; labels--)
		at += wire[at] + 1u;
	memset(&made->form, 0, sizeof(made->form));
	memset(made->wire, 0, WIRE_HEADER);
	made->wire[2] = 0x84; /* QR, AA */
	made->wire[5] = 1;    /* a question */
	*pen = (struct pen){ .made = made, .n = WIRE_HEADER };
	pen->apex = (uint16_t)(WIRE_HEADER + at);
	note_name(pen, wire, qname->length, WIRE_HEADER,
		  dns_name_countlabels(qname) - 1);
	put(pen, wire, qname->length);
	put16(pen, (uint16_t)qctx->qtype);
	put16(pen, dns_rdataclass_in);
}

static void put_fixed(struct pen *pen, dns_rdatatype_t type, uint32_t ttl_s)
{
	put16(pen, (uint16_t)type);
	put16(pen, dns_rdataclass_in);
	put32(pen, ttl_s);
}

void made_record(struct pen *pen, enum made_section section, uint16_t owner,
		 dns_rdatatype_t type, uint32_t ttl_s, struct slice rdata)
{
	if (!has_room(pen, 12 + rdata.n))
		return;
	put16(pen, (uint16_t)(0xc000u | owner));
	put_fixed(pen, type, ttl_s);
	put16(pen, (uint16_t)rdata.n);
	put(pen, rdata.p, rdata.n);
	pen->made->form.count[section]++;
}

void made_record_at(struct pen *pen, enum made_section section,
		    struct slice owner, dns_rdatatype_t type, uint32_t ttl_s,
		    struct slice rdata, unsigned int names)
{
	const uint8_t *p = (const uint8_t *)rdata.p;
	size_t left = rdata.n;

	if (!has_room(pen, owner.n + 10 + rdata.n))
		return;
	put_name(pen, (const uint8_t *)owner.p, owner.n);
	put_fixed(pen, type, ttl_s);
	size_t length_at = pen->n;
	put16(pen, 0);
	for (; names > 0; names--) {
		size_t n = 0;
		while (p[n] != 0)
			n += p[n] + 1u;
		put_name(pen, p, n + 1);
		p += n + 1;
		left -= n + 1;
	}
	put(pen, p, left);
	size_t length = pen->n - length_at - 2;
	pen->made->wire[length_at] = (uint8_t)(length >> 8);
	pen->made->wire[length_at + 1] = (uint8_t)length;
	pen->made->form.count[section]++;
}

bool made_end(struct pen *pen, enum store_kind kind, struct send_answer *a)
{
	pen->made->form.n = (uint16_t)pen->n;
	*a = (struct send_answer){
		.octets = pen->made->wire,
		.form = &pen->made->form,
		.kind = (uint8_t)kind,
		.rcode = kind == STORE_NXDOMAIN ? dns_rcode_nxdomain
						: dns_rcode_noerror,
		.aa = true,
	};
	pen->made->wire[3] = a->rcode;
	return !pen->full;
}
