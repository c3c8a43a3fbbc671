/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The forms of an answer: which RRset a client of each kind gets, as BIND's
 * query.c decides it for a zone of its own, and the wires of them.
 */
#include "cacheproxy/answer_int.h"

#include <string.h>

#include <dns/compress.h>
#include <dns/rdata.h>
#include <isc/buffer.h>

#include "cacheproxy/pack.h"

/* Distinct forms, fullest first so that later ones may be slices of it. */
static const uint8_t form_order[] = {
	STORE_DNSSEC,
	STORE_DNSSEC | STORE_NOAUTH,
	STORE_DNSSEC | STORE_NOAUTH | STORE_NOEXTRA,
	0,
	STORE_NOAUTH,
	STORE_NOAUTH | STORE_NOEXTRA,
};
#define N_FORMS (sizeof(form_order) / sizeof(form_order[0]))

/*
 * The owner of what was asked for, after all aliases; NULL: no answer section.
 */
static const dns_name_t *last_owner(const struct answer_maker *m)
{
	const dns_name_t *owner = NULL;

	for (size_t i = 0; i < m->n_rrsets; i++)
		if (m->rrset[i].section == ANSWER_SECTION)
			owner = m->rrset[i].owner;
	return owner;
}

static bool only_for_dnssec(const struct answer_rrset *r, uint16_t qtype,
			    const dns_name_t *asked)
{
	dns_rdatatype_t type = r->set->type;

	if (r->section == ANSWER_SECTION && r->owner == asked &&
	    (type == qtype || qtype == dns_rdatatype_any))
		return false;
	return type == dns_rdatatype_rrsig || type == dns_rdatatype_nsec ||
	       type == dns_rdatatype_nsec3 || type == dns_rdatatype_ds;
}

/* The zone's own NS set in the authority section: a courtesy. */
static bool is_courtesy(const struct answer_rrset *r)
{
	return r->section == AUTHORITY_SECTION && !r->cut &&
	       (r->set->type == dns_rdatatype_ns ||
		(r->set->type == dns_rdatatype_rrsig &&
		 r->set->covers == dns_rdatatype_ns));
}

/* Which additional data the RRsets kept so far call for. */
struct calls {
	struct answer_maker *m;
	uint8_t bit;
	bool more; /* something was added */
};

static isc_result_t called_for(void *arg, const dns_name_t *name,
			       dns_rdatatype_t type, dns_rdataset_t *found)
{
	struct calls *c = arg;

	(void)type;
	(void)found;
	for (size_t i = 0; i < c->m->n_rrsets; i++) {
		struct answer_rrset *r = &c->m->rrset[i];
		if (r->section != ADDITIONAL_SECTION ||
		    (r->forms & c->bit) != 0 || !dns_name_equal(r->owner, name))
			continue;
		r->forms |= c->bit;
		c->more = true;
	}
	return ISC_R_SUCCESS;
}

/*
 * Adds to form 'bit' the additional data that its other sections call for (of
 * cuts alone with 'cuts_only'), and what those records call for in turn.
 */
static void call_additional(struct answer_maker *m, uint8_t bit, bool cuts_only)
{
	struct calls c = { m, bit, false };

	for (size_t i = 0; i < m->n_rrsets; i++) {
		const struct answer_rrset *r = &m->rrset[i];
		if ((r->forms & bit) != 0 && (!cuts_only || r->cut) &&
		    r->section != ADDITIONAL_SECTION)
			(void)dns_rdataset_additionaldata(r->set, r->owner,
							  called_for, &c, 0);
	}
	for (unsigned int rounds = 0; c.more && rounds < 4; rounds++) {
		c.more = false;
		for (size_t i = 0; i < m->n_rrsets; i++) {
			const struct answer_rrset *r = &m->rrset[i];
			if ((r->forms & bit) != 0 &&
			    r->section == ADDITIONAL_SECTION)
				(void)dns_rdataset_additionaldata(
					r->set, r->owner, called_for, &c, 0);
		}
	}
}

static bool has_additional(const struct answer_maker *m)
{
	return m->n_rrsets > 0 &&
	       m->rrset[m->n_rrsets - 1].section == ADDITIONAL_SECTION;
}

void answer_forms_choose(struct answer_maker *m, uint16_t qtype)
{
	bool additional = has_additional(m);
	const dns_name_t *asked = last_owner(m);

	for (size_t f = 0; f < N_FORMS; f++) {
		uint8_t form = form_order[f];
		uint8_t bit = (uint8_t)(1u << form);
		bool whole = (form & STORE_NOAUTH) == 0;

		for (size_t i = 0; i < m->n_rrsets; i++) {
			struct answer_rrset *r = &m->rrset[i];
			if (r->section == ADDITIONAL_SECTION ? whole
			    : whole			     ? true
							     : !is_courtesy(r))
				r->forms |= bit;
		}
		if (!whole && additional)
			call_additional(m, bit, (form & STORE_NOEXTRA) != 0);
		if ((form & STORE_DNSSEC) != 0)
			continue;
		for (size_t i = 0; i < m->n_rrsets; i++)
			if (only_for_dnssec(&m->rrset[i], qtype, asked))
				m->rrset[i].forms &= (uint8_t)~bit;
	}
}

static bool put_question(dns_compress_t *cctx, isc_buffer_t *b,
			 const struct store_key *key)
{
	dns_name_t name = DNS_NAME_INITEMPTY;
	isc_region_t region = { (unsigned char *)key->name, key->n };

	dns_name_fromregion(&name, &region);
	dns_compress_setmethods(cctx, DNS_COMPRESS_GLOBAL14);
	if (dns_name_towire(&name, cctx, b) != ISC_R_SUCCESS)
		return false;
	isc_buffer_putuint16(b, key->qtype);
	isc_buffer_putuint16(b, dns_rdataclass_in);
	return true;
}

/* Renders the RRsets of 'w->form' into 'w'. */
static enum answer_fault render(struct answer_maker *m,
				const struct store_key *key, uint16_t flags,
				struct answer_wire *w)
{
	dns_compress_t cctx;
	isc_buffer_t b;
	uint16_t header[6] = { 0, 0, 1, 0, 0, 0 };
	bool ok;

	if (dns_compress_init(&cctx, -1, m->mctx) != ISC_R_SUCCESS)
		return ANSWER_MEMORY;
	dns_compress_setsensitive(&cctx, true);
	isc_buffer_init(&b, w->octets, sizeof(w->octets));
	isc_buffer_add(&b, WIRE_HEADER);
	ok = put_question(&cctx, &b, key);
	for (size_t i = 0; ok && i < m->n_rrsets; i++) {
		const struct answer_rrset *r = &m->rrset[i];
		unsigned int count = 0;
		if ((r->forms & 1u << w->form) != 0) {
			ok = dns_rdataset_towire(r->set, r->owner, &cctx, &b, 0,
						 &count) == ISC_R_SUCCESS;
			header[3 + r->section] += (uint16_t)count;
		}
		w->end[i] = (uint16_t)isc_buffer_usedlength(&b);
		w->count[i] = (uint16_t)count;
	}
	dns_compress_invalidate(&cctx);
	if (!ok)
		return ANSWER_TOO_BIG;

	header[1] =
		(uint16_t)(DNS_MESSAGEFLAG_QR | (flags & DNS_MESSAGEFLAG_AA) |
			   (m->msg->rcode & 0xf));
	w->n = isc_buffer_usedlength(&b);
	for (size_t i = 0; i < 6; i++) {
		w->octets[2 * i] = (uint8_t)(header[i] >> 8);
		w->octets[2 * i + 1] = (uint8_t)header[i];
	}
	return wire_map(w->octets, w->n, &w->map) == 0 ? ANSWER_OK
						       : ANSWER_TOO_BIG;
}

/*
 * True if form 'form' is what 'w' has up to some RRset and nothing after;
 * '*last' is then the number of RRsets it spans.
 */
static bool is_slice(const struct answer_maker *m, const struct answer_wire *w,
		     uint8_t form, size_t *last)
{
	size_t end = 0;

	for (size_t i = 0; i < m->n_rrsets; i++)
		if ((m->rrset[i].forms & 1u << form) != 0)
			end = i + 1;
	for (size_t i = 0; i < end; i++) {
		unsigned int both = 1u << form | 1u << w->form;
		unsigned int has = m->rrset[i].forms & both;
		if (has != 0 && has != both)
			return false;
	}
	*last = end;
	return true;
}

/* Fills 'f' as the first 'last' RRsets of 'w'. */
static void slice(const struct answer_maker *m, const struct answer_wire *w,
		  size_t last, struct pack_form *f)
{
	*f = (struct pack_form){ .wire = (uint8_t)(w - m->wire) };
	f->n = last > 0 ? w->end[last - 1] : w->map.question_end;
	for (size_t i = 0; i < last; i++)
		f->count[m->rrset[i].section] += w->count[i];
}

/* Which wire a form is cut from; renders one when no earlier one serves. */
static enum answer_fault wire_for(struct answer_maker *m,
				  const struct store_key *key, uint16_t flags,
				  uint8_t form, struct answer_wire **wp,
				  size_t *last)
{
	for (size_t i = 0; i < m->n_wires; i++) {
		if (is_slice(m, &m->wire[i], form, last)) {
			*wp = &m->wire[i];
			return ANSWER_OK;
		}
	}

	struct answer_wire *w = &m->wire[m->n_wires];
	w->form = form;
	enum answer_fault fault = render(m, key, flags, w);
	if (fault != ANSWER_OK)
		return fault;
	m->n_wires++;
	*last = m->n_rrsets;
	*wp = w;
	return ANSWER_OK;
}

enum answer_fault answer_forms_render(struct answer_maker *m,
				      const struct store_key *key,
				      uint64_t hash, uint16_t flags,
				      struct store_entry **entryp)
{
	struct answer_wire *from[N_FORMS];
	size_t last[N_FORMS];

	m->n_wires = 0;
	for (size_t f = 0; f < N_FORMS; f++) {
		enum answer_fault fault = wire_for(m, key, flags, form_order[f],
						   &from[f], &last[f]);
		if (fault != ANSWER_OK)
			return fault;
	}

	struct pack_wire wire[ANSWER_WIRES_MAX];
	struct pack_form form[STORE_FORMS];
	for (size_t i = 0; i < m->n_wires; i++)
		wire[i] = (struct pack_wire){ m->wire[i].octets, m->wire[i].n,
					      &m->wire[i].map };
	for (size_t f = 0; f < N_FORMS; f++)
		slice(m, from[f], last[f], &form[form_order[f]]);
	/* NOEXTRA is never asked for alone: it implies NOAUTH. */
	form[STORE_NOEXTRA] = form[STORE_NOEXTRA | STORE_NOAUTH];
	form[STORE_NOEXTRA | STORE_DNSSEC] =
		form[STORE_NOEXTRA | STORE_NOAUTH | STORE_DNSSEC];
	struct store_entry *e = pack_entry(key, hash, wire, m->n_wires, form);
	if (e == NULL)
		return ANSWER_MEMORY;
	*entryp = e;
	return ANSWER_OK;
}
