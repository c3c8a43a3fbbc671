/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The order of additional data.
 *
 * named lists additional data name by name, as the answer calls for them, but
 * renders it in passes: A, AAAA, signatures, the rest (or AAAA first).  What
 * does not fit is what comes last.  To leave out the same, an edge must know
 * the list; but a message parsed by libdns lists the names as they appear
 * first, whatever the pass.  Here the list is found again: the names of each
 * pass stand in the list's order, so a merge of the passes is the list, or one
 * that renders alike.
 */
#include <string.h>

#include <dns/result.h>
#include <isc/buffer.h>

#include "cacheproxy/answer_int.h"

#define ORDER_RRSETS_MAX 256u /* of additional data; more stay as they are */
#define SMALLEST_LIMIT	 512u /* octets that every client takes */
#define PASSES		 4u

/* The RRsets of additional data, by name, and the passes over them. */
struct passes {
	struct answer_rrset *rrset; /* the first */
	size_t n;
	struct answer_rrset was[ORDER_RRSETS_MAX];
	uint16_t name[ORDER_RRSETS_MAX]; /* RRset -> first one of its name */
	uint8_t in[ORDER_RRSETS_MAX];	 /* name: bit p is in pass p */
	uint16_t n_names[PASSES];
	uint16_t names[PASSES][ORDER_RRSETS_MAX];
};

static unsigned int pass_of(dns_rdatatype_t type)
{
	switch (type) {
	case dns_rdatatype_a:
		return 0;
	case dns_rdatatype_aaaa:
		return 1;
	case dns_rdatatype_rrsig:
	case dns_rdatatype_dnskey:
		return 2;
	default:
		return 3;
	}
}

/* Sets 'p' to the additional data of 'm'; false: there is nothing to do. */
static bool take(struct passes *p, struct answer_maker *m)
{
	uint8_t has[ORDER_RRSETS_MAX] = { 0 };
	size_t first = m->n_rrsets;
	bool differ = false;

	while (first > 0 && m->rrset[first - 1].section == ADDITIONAL_SECTION)
		first--;
	p->rrset = m->rrset + first;
	p->n = m->n_rrsets - first;
	if (p->n < 2 || p->n > ORDER_RRSETS_MAX)
		return false;
	memset(p->in, 0, sizeof(p->in));
	memset(p->n_names, 0, sizeof(p->n_names));
	memcpy(p->was, p->rrset, p->n * sizeof(p->was[0]));
	for (size_t i = 0; i < p->n; i++) {
		bool same = i > 0 && p->was[i].owner == p->was[i - 1].owner;
		p->name[i] = same ? p->name[i - 1] : (uint16_t)i;
		has[p->name[i]] |=
			(uint8_t)(1u << pass_of(p->was[i].set->type));
	}
	for (size_t i = 0; i < p->n; i++)
		differ |= has[p->name[i]] != has[0];
	return differ; /* else the order of the first pass is that of all */
}

/* Notes that the next record of the message is in 'set' of 'owner'. */
static void note(struct passes *p, const dns_name_t *owner,
		 const dns_rdataset_t *set)
{
	unsigned int pass = pass_of(set->type);

	for (size_t i = 0; i < p->n; i++) {
		const struct answer_rrset *r = &p->was[i];
		uint16_t name = p->name[i];
		if (r->set->type != set->type ||
		    r->set->covers != set->covers ||
		    !dns_name_equal(r->owner, owner))
			continue;
		if ((p->in[name] & 1u << pass) == 0)
			p->names[pass][p->n_names[pass]++] = name;
		p->in[name] |= (uint8_t)(1u << pass);
		return;
	}
}

/* Reads the message record by record. */
static bool read_passes(struct passes *p, dns_message_t *msg,
			const uint8_t *octets, size_t n)
{
	isc_buffer_t buffer;

	dns_message_reset(msg, DNS_MESSAGE_INTENTPARSE);
	isc_buffer_init(&buffer, (void *)octets, (unsigned int)n);
	isc_buffer_add(&buffer, (unsigned int)n);
	if (dns_message_parse(msg, &buffer, DNS_MESSAGEPARSE_PRESERVEORDER) !=
	    ISC_R_SUCCESS)
		return false;

	const dns_name_t *name =
		ISC_LIST_HEAD(msg->sections[DNS_SECTION_ADDITIONAL]);
	for (; name != NULL; name = ISC_LIST_NEXT(name, link)) {
		const dns_rdataset_t *set = ISC_LIST_HEAD(name->list);
		if (set != NULL)
			note(p, name, set);
	}
	return true;
}

/* True if 'name' comes next in every pass that it is in. */
static bool is_next(const struct passes *p, const uint16_t at[PASSES],
		    uint16_t name)
{
	for (size_t i = 0; i < PASSES; i++)
		if ((p->in[name] & 1u << i) != 0 &&
		    (at[i] == p->n_names[i] || p->names[i][at[i]] != name))
			return false;
	return true;
}

/* The name that comes next in the list; -1: the passes contradict. */
static int next_name(const struct passes *p, uint16_t at[PASSES])
{
	for (size_t i = 0; i < PASSES; i++) {
		if (at[i] == p->n_names[i])
			continue;
		uint16_t name = p->names[i][at[i]];
		if (!is_next(p, at, name))
			continue;
		for (size_t j = 0; j < PASSES; j++)
			if ((p->in[name] & 1u << j) != 0)
				at[j]++;
		return name;
	}
	return -1;
}

/* Lists the names' RRsets anew; the passes are whole. */
static void merge(struct passes *p)
{
	struct answer_rrset list[ORDER_RRSETS_MAX];
	uint16_t at[PASSES] = { 0 };
	size_t n = 0;

	for (int name = next_name(p, at); name >= 0; name = next_name(p, at))
		for (size_t i = (size_t)name;
		     i < p->n && p->name[i] == (uint16_t)name; i++)
			list[n++] = p->was[i];
	if (n == p->n) /* else no list of named's: it stays as it is */
		memcpy(p->rrset, list, n * sizeof(list[0]));
}

void answer_order(struct answer_maker *m, const uint8_t *octets, size_t n)
{
	struct passes p;

	if (n > SMALLEST_LIMIT && take(&p, m) &&
	    read_passes(&p, m->again, octets, n))
		merge(&p);
}
