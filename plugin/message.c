/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/message.h"

#include <string.h>

#include <dns/fixedname.h>
#include <dns/message.h>
#include <dns/name.h>
#include <dns/order.h>
#include <dns/rdata.h>
#include <dns/rdatalist.h>
#include <dns/rdataset.h>
#include <dns/view.h>
#include <isc/buffer.h>
#include <isc/mem.h>
#include <ns/client.h>

#include "cacheproxy/wire.h"

static const dns_section_t sections[] = { DNS_SECTION_ANSWER,
					  DNS_SECTION_AUTHORITY,
					  DNS_SECTION_ADDITIONAL };

/* What one message is built from, and for whom. */
struct fill {
	query_ctx_t *qctx;
	const struct message_source *source;
	isc_buffer_t *rdata;	 /* owned by the client's message in the end */
	dns_rdatatype_t only;	 /* minimal-any: chosen type, 0: none yet */
	const dns_name_t *dname; /* owner of the last DNAME, or NULL */
	dns_name_t *asked;	 /* what the aliases so far have led to */
	dns_fixedname_t room;	 /* of 'asked' */
};

static uint32_t aged(const struct message_source *s, uint32_t ttl)
{
	if (s->stale)
		return s->stale_ttl_s;
	return ttl > s->age_s ? ttl - s->age_s : 0;
}

/* minimal-any, as query_respond_any() has it. */
static bool skipped(struct fill *f, const dns_rdataset_t *set)
{
	bool sig = set->type == dns_rdatatype_rrsig ||
		   set->type == dns_rdatatype_sig;
	bool dnssec =
		(f->qctx->client->attributes & NS_CLIENTATTR_WANTDNSSEC) != 0;
	dns_rdatatype_t type = sig ? set->covers : set->type;

	if (!f->source->first_type_only)
		return false;
	if (sig && !dnssec)
		return true;
	if (f->only == 0)
		f->only = type;
	return type != f->only;
}

static unsigned int order_of(const struct fill *f, const dns_name_t *owner,
			     dns_rdatatype_t type)
{
	dns_order_t *order = f->qctx->view->order;

	return order != NULL && !f->source->keep_order
		       ? dns_order_find(order, owner, type, dns_rdataclass_in)
		       : 0;
}

/* Copies the records of 'from' to 'list'. */
// NOLINTNEXTLINE(readability-function-size): nested by BIND's list macros
static isc_result_t copy_records(struct fill *f, dns_rdataset_t *from,
				 dns_rdatalist_t *list)
{
	dns_message_t *msg = f->qctx->client->message;

	for (isc_result_t r = dns_rdataset_first(from); r == ISC_R_SUCCESS;
	     r = dns_rdataset_next(from)) {
		dns_rdata_t old = DNS_RDATA_INIT;
		dns_rdata_t *rdata = NULL;
		isc_region_t region;

		dns_rdataset_current(from, &old);
		isc_result_t result = dns_message_gettemprdata(msg, &rdata);
		if (result != ISC_R_SUCCESS)
			return result;
		region.base = isc_buffer_used(f->rdata);
		region.length = old.length;
		isc_buffer_putmem(f->rdata, old.data, old.length);
		dns_rdata_fromregion(rdata, old.rdclass, old.type, &region);
		ISC_LIST_APPEND(list->rdata, rdata, link);
	}
	return ISC_R_SUCCESS;
}

/*
 * True if 'name' owns an alias that was made from a DNAME (RFC 6672).  named
 * makes it from the client's spelling of the question, and compresses by it.
 */
static bool is_made(const struct fill *f, const dns_name_t *name)
{
	return f->dname != NULL && dns_name_equal(name, f->asked) &&
	       dns_name_issubdomain(name, f->dname) &&
	       !dns_name_equal(name, f->dname);
}

/* Puts what stands before the DNAME's owner, so spelled, before 'target'. */
static void respell(const struct fill *f, const dns_name_t *target,
		    unsigned char *octets)
{
	unsigned int n =
		dns_name_countlabels(f->asked) - dns_name_countlabels(f->dname);
	dns_name_t ours = DNS_NAME_INITEMPTY;
	dns_name_t theirs = DNS_NAME_INITEMPTY;

	if (dns_name_countlabels(target) <= n)
		return;
	dns_name_getlabelsequence(f->asked, 0, n, &ours);
	dns_name_getlabelsequence(target, 0, n, &theirs);
	if (dns_name_equal(&ours, &theirs))
		memcpy(octets, ours.ndata, ours.length);
}

/* Follows the alias in 'list'; 'made' from a DNAME, it is spelled anew. */
static void follow(struct fill *f, dns_rdatalist_t *list, bool made)
{
	dns_rdata_t *rdata = ISC_LIST_HEAD(list->rdata);
	dns_name_t target = DNS_NAME_INITEMPTY;
	isc_region_t region;

	if (rdata == NULL)
		return;
	dns_rdata_toregion(rdata, &region);
	dns_name_fromregion(&target, &region);
	if (made)
		respell(f, &target, rdata->data);
	dns_name_copy(&target, f->asked);
}

/* Copies one RRset to 'owner', which is in the client's message. */
// NOLINTNEXTLINE(readability-function-size): nested by BIND's list macros
static isc_result_t copy_set(struct fill *f, dns_rdataset_t *from,
			     dns_name_t *owner)
{
	dns_message_t *msg = f->qctx->client->message;
	dns_rdatalist_t *list = NULL;
	dns_rdataset_t *set = NULL;
	isc_result_t result = dns_message_gettemprdatalist(msg, &list);

	if (result != ISC_R_SUCCESS)
		return result;
	list->type = from->type;
	list->covers = from->covers;
	list->rdclass = from->rdclass;
	list->ttl = aged(f->source, from->ttl);
	result = copy_records(f, from, list);
	if (result != ISC_R_SUCCESS)
		return result;
	if (from->type == dns_rdatatype_cname)
		follow(f, list, is_made(f, owner));
	result = dns_message_gettemprdataset(msg, &set);
	if (result != ISC_R_SUCCESS)
		return result;
	dns_rdatalist_tordataset(list, set);
	dns_rdataset_setownercase(set, owner);
	set->attributes |= order_of(f, owner, from->type);
	set->count = f->source->turn;
	/* As data of a zone of named's own has it. */
	set->trust = f->source->edit ? dns_trust_ultimate : dns_trust_none;
	ISC_LIST_APPEND(owner->list, set, link);
	return ISC_R_SUCCESS;
}

static isc_result_t copy_name(struct fill *f, dns_name_t *from,
			      dns_section_t section)
{
	dns_message_t *msg = f->qctx->client->message;
	dns_name_t *owner = NULL;
	isc_result_t result = dns_message_gettempname(msg, &owner);

	if (result != ISC_R_SUCCESS)
		return result;
	bool made = section == DNS_SECTION_ANSWER && is_made(f, from);
	dns_name_copy(made ? f->asked : from, owner);
	dns_rdataset_t *set = ISC_LIST_HEAD(from->list);
	for (; set != NULL; set = ISC_LIST_NEXT(set, link)) {
		if (section == DNS_SECTION_ANSWER && skipped(f, set))
			continue;
		result = copy_set(f, set, owner);
		if (result != ISC_R_SUCCESS)
			break;
		if (set->type == dns_rdatatype_dname)
			f->dname = from;
	}
	if (ISC_LIST_EMPTY(owner->list))
		dns_message_puttempname(msg, &owner);
	else
		dns_message_addname(msg, owner, section);
	return result;
}

static unsigned int set_size(dns_rdataset_t *set)
{
	unsigned int size = 0;

	for (isc_result_t r = dns_rdataset_first(set); r == ISC_R_SUCCESS;
	     r = dns_rdataset_next(set)) {
		dns_rdata_t rdata = DNS_RDATA_INIT;
		dns_rdataset_current(set, &rdata);
		size += rdata.length;
	}
	return size;
}

/* Octets that the records' data take uncompressed. */
static unsigned int rdata_size(dns_message_t *stored)
{
	unsigned int size = 0;

	for (size_t i = 0; i < 3; i++) {
		dns_name_t *name = ISC_LIST_HEAD(stored->sections[sections[i]]);
		for (; name != NULL; name = ISC_LIST_NEXT(name, link)) {
			dns_rdataset_t *set = ISC_LIST_HEAD(name->list);
			for (; set != NULL; set = ISC_LIST_NEXT(set, link))
				size += set_size(set);
		}
	}
	return size;
}

static isc_result_t copy_all(struct fill *f, dns_message_t *stored)
{
	isc_result_t result = ISC_R_SUCCESS;

	for (size_t i = 0; i < 3; i++) {
		dns_name_t *name = ISC_LIST_HEAD(stored->sections[sections[i]]);
		for (; name != NULL && result == ISC_R_SUCCESS;
		     name = ISC_LIST_NEXT(name, link))
			result = copy_name(f, name, sections[i]);
	}
	return result;
}

static void put16(unsigned char *at, uint16_t value)
{
	at[0] = (unsigned char)(value >> 8);
	at[1] = (unsigned char)value;
}

isc_result_t message_fill(query_ctx_t *qctx,
			  const struct message_source *source)
{
	struct fill f = { .qctx = qctx, .source = source };
	const dns_name_t *qname = qctx->client->query.qname;
	isc_mem_t *mctx = qctx->client->message->mctx;
	dns_message_t *stored = NULL;
	isc_buffer_t *wire = NULL;

	f.asked = dns_fixedname_initname(&f.room);
	dns_name_copy(qname, f.asked);
	isc_buffer_allocate(mctx, &wire, (unsigned int)source->n);
	isc_buffer_putmem(wire, source->wire, (unsigned int)source->n);
	unsigned char *header = isc_buffer_base(wire);
	for (size_t i = 0; i < 3; i++)
		put16(header + 6 + 2 * i, source->count[i]);

	dns_message_create(mctx, DNS_MESSAGE_INTENTPARSE, &stored);
	isc_result_t result = dns_message_parse(stored, wire, 0);
	if (result == ISC_R_SUCCESS) {
		unsigned int size = rdata_size(stored);
		isc_buffer_allocate(mctx, &f.rdata, size > 0 ? size : 1);
		result = copy_all(&f, stored);
		dns_message_takebuffer(qctx->client->message, &f.rdata);
	}
	dns_message_detach(&stored);
	isc_buffer_free(&wire);
	return result;
}
