/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * answer_int - what the two halves of 'answer' share: the RRsets of an
 * origin's message that were kept (answer.c) and their renderings
 * (answer_form.c).  Nobody else includes this.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dns/message.h>
#include <dns/name.h>
#include <dns/rdataset.h>

#include "cacheproxy/answer.h"

#define ANSWER_RRSETS_MAX 4096u
#define ANSWER_WIRES_MAX  6u

enum answer_section { ANSWER_SECTION, AUTHORITY_SECTION, ADDITIONAL_SECTION };

/* One RRset of the message, in the message's order. */
struct answer_rrset {
	dns_name_t *owner;
	dns_rdataset_t *set;
	uint8_t section; /* enum answer_section */
	uint8_t forms;	 /* bit f: belongs to form f */
	bool cut;	 /* NS set of a delegation, or what signs it */
};

/* One wire that was rendered; forms are slices of wires. */
struct answer_wire {
	uint8_t form; /* the form it was rendered for */
	uint32_t n;   /* octets */
	uint8_t octets[WIRE_MAX];
	struct wire_map map;
	uint16_t end[ANSWER_RRSETS_MAX];   /* octets used after RRset i */
	uint16_t count[ANSWER_RRSETS_MAX]; /* records of RRset i, if in it */
};

struct answer_maker {
	struct isc_mem *mctx;
	dns_message_t *msg;
	dns_message_t *again; /* the same, record by record; see answer_order */
	size_t n_rrsets;
	struct answer_rrset rrset[ANSWER_RRSETS_MAX];
	size_t n_wires;
	struct answer_wire wire[ANSWER_WIRES_MAX];
};

/* True for a set of 'type' and for what signs it. */
bool answer_signs(const dns_rdataset_t *set, dns_rdatatype_t type);

/* Seconds until the first signature of 'set' expires (RFC 4034 3.1.5). */
uint32_t answer_signature_s(dns_rdataset_t *set, uint32_t wall_s);

/*
 * Puts the additional RRsets into the order in which the origin listed them,
 * which is not that of its message 'octets'.  May leave them as they are.
 */
void answer_order(struct answer_maker *m, const uint8_t *octets, size_t n);

/* Decides ->forms of every RRset; 'qtype' and the zone's apex rule. */
void answer_forms_choose(struct answer_maker *m, uint16_t qtype);

/*
 * Renders the forms and builds the entry of them, through
 * '*entryp' (one reference, the caller's).
 */
enum answer_fault answer_forms_render(struct answer_maker *m,
				      const struct store_key *key,
				      uint64_t hash, uint16_t flags,
				      struct store_entry **entryp);
