/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/edit_int.h"

#include <string.h>

#include <dns/rdata.h>
#include <dns/rdatalist.h>
#include <isc/buffer.h>
#include <ns/client.h>

#define NAMES_ROOM 1024u /* of a buffer for names */

void edit_drop_set(struct edit *ed, dns_name_t *name, dns_rdataset_t *set)
{
	/* named takes an answer with nothing in it for authenticated */
	ed->msg->flags &= ~(unsigned int)DNS_MESSAGEFLAG_AD;
	ISC_LIST_UNLINK(name->list, set, link);
	if (dns_rdataset_isassociated(set))
		dns_rdataset_disassociate(set);
	dns_message_puttemprdataset(ed->msg, &set);
}

void edit_drop_name(struct edit *ed, dns_name_t *name, dns_section_t section)
{
	while (!ISC_LIST_EMPTY(name->list))
		edit_drop_set(ed, name, ISC_LIST_HEAD(name->list));
	dns_message_removename(ed->msg, name, section);
	dns_message_puttempname(ed->msg, &name);
}

/*
 * Octets that live as long as the client's message: in its buffer for names,
 * which is there anyway and has room for a longest one, as for a signature or
 * two; or else of their own.
 */
static uint8_t *message_room(struct edit *ed, unsigned int n)
{
	isc_buffer_t *buffer = NULL;

	if (n <= NAMES_ROOM)
		buffer = ns_client_getnamebuf(ed->qctx->client);
	if (buffer != NULL && n <= isc_buffer_availablelength(buffer)) {
		uint8_t *room = isc_buffer_used(buffer);
		isc_buffer_add(buffer, n);
		return room;
	}
	buffer = NULL;
	isc_buffer_allocate(ed->msg->mctx, &buffer, n);
	uint8_t *room = isc_buffer_base(buffer);
	dns_message_takebuffer(ed->msg, &buffer);
	return room;
}

isc_result_t edit_fresh_init(struct edit *ed, dns_rdatatype_t type,
			     uint32_t ttl_s, unsigned int octets,
			     struct fresh *f)
{
	*f = (struct fresh){ 0 };
	isc_result_t result = dns_message_gettemprdatalist(ed->msg, &f->list);

	if (result != ISC_R_SUCCESS)
		return result;
	f->list->type = type;
	f->list->rdclass = dns_rdataclass_in;
	f->list->ttl = ttl_s;
	f->room = message_room(ed, octets);
	return ISC_R_SUCCESS;
}

// NOLINTNEXTLINE(readability-function-size): nested by BIND's list macros
isc_result_t edit_fresh_add(struct edit *ed, struct fresh *f,
			    const uint8_t *octets, unsigned int n)
{
	dns_rdata_t *rdata = NULL;
	isc_region_t region = { f->room, n };
	isc_result_t result = dns_message_gettemprdata(ed->msg, &rdata);

	if (result != ISC_R_SUCCESS)
		return result;
	memmove(f->room, octets, n); /* may be there already */
	f->room += n;
	dns_rdata_fromregion(rdata, dns_rdataclass_in, f->list->type, &region);
	ISC_LIST_APPEND(f->list->rdata, rdata, link);
	return ISC_R_SUCCESS;
}

/* The set goes to 'owner', before the others there. */
isc_result_t edit_fresh_done(struct edit *ed, struct fresh *f,
			     dns_name_t *owner)
{
	dns_rdataset_t *set = NULL;
	isc_result_t result = dns_message_gettemprdataset(ed->msg, &set);

	if (result != ISC_R_SUCCESS)
		return result;
	dns_rdatalist_tordataset(f->list, set);
	ISC_LIST_PREPEND(owner->list, set, link);
	return ISC_R_SUCCESS;
}

/* The decided records, not yet in a set: addresses, or an alias. */
isc_result_t edit_fresh_addresses(struct edit *ed, const struct gtm_host *host,
				  enum gtm_family family,
				  const struct gtm_answer *g, struct fresh *f)
{
	bool v6 = family == GTM_V6;
	unsigned int size = v6 ? 16 : 4;

	host = g->host; /* or the one that stands in for it */
	const struct gtm_candidate *all = host->candidate[family];
	if (g->outcome == GTM_ALIAS) {
		const struct dname *alias = all[g->pick[0]].alias;
		isc_result_t result = edit_fresh_init(ed, dns_rdatatype_cname,
						      g->ttl_s, alias->n, f);
		return result != ISC_R_SUCCESS
			       ? result
			       : edit_fresh_add(ed, f, alias->wire, alias->n);
	}
	isc_result_t result =
		edit_fresh_init(ed, v6 ? dns_rdatatype_aaaa : dns_rdatatype_a,
				g->ttl_s, size * g->n, f);
	for (unsigned int i = 0; i < g->n && result == ISC_R_SUCCESS; i++)
		result = edit_fresh_add(ed, f, all[g->pick[i]].address, size);
	return result;
}

isc_result_t edit_add_addresses(struct edit *ed, dns_name_t *owner,
				const struct gtm_host *host,
				enum gtm_family family,
				const struct gtm_answer *g)
{
	struct fresh f;
	isc_result_t result = edit_fresh_addresses(ed, host, family, g, &f);

	if (result != ISC_R_SUCCESS)
		return result;
	return edit_fresh_done(ed, &f, owner);
}

/* The signatures of a set, not yet in one of their own. */
isc_result_t edit_fresh_sigs(struct edit *ed, const struct sign_set *from,
			     uint32_t ttl_s, struct fresh *f)
{
	const uint8_t *p = sign_octets(from);
	unsigned int octets = 0;

	for (unsigned int i = 0; i < from->n_sigs; i++)
		octets += from->sig_n[i];
	isc_result_t result =
		edit_fresh_init(ed, dns_rdatatype_rrsig, ttl_s, octets, f);
	if (result == ISC_R_SUCCESS)
		f->list->covers = sign_type((enum sign_kind)from->kind);
	for (unsigned int i = 0; i < from->n_sigs && result == ISC_R_SUCCESS;
	     p += from->sig_n[i++])
		result = edit_fresh_add(ed, f, p, from->sig_n[i]);
	return result;
}

isc_result_t edit_add_sigs(struct edit *ed, dns_name_t *owner,
			   const struct sign_set *from, uint32_t ttl_s)
{
	dns_rdataset_t *set = NULL;
	struct fresh f;
	isc_result_t result = edit_fresh_sigs(ed, from, ttl_s, &f);

	if (result == ISC_R_SUCCESS)
		result = dns_message_gettemprdataset(ed->msg, &set);
	if (result != ISC_R_SUCCESS)
		return result;
	dns_rdatalist_tordataset(f.list, set);
	ISC_LIST_APPEND(owner->list, set, link);
	return ISC_R_SUCCESS;
}

isc_result_t edit_add_alias(struct edit *ed, dns_name_t *owner,
			    enum gtm_family family, const struct gtm_answer *g)
{
	isc_result_t result = edit_add_addresses(ed, owner, g->host, family, g);

	if (result == ISC_R_SUCCESS) /* as data of a zone: see edit_chain.c */
		ISC_LIST_HEAD(owner->list)->trust = dns_trust_ultimate;
	return result;
}

dns_name_t *edit_add_name(struct edit *ed, const dns_name_t *name,
			  dns_section_t section)
{
	dns_name_t *made = NULL;

	if (dns_message_gettempname(ed->msg, &made) != ISC_R_SUCCESS)
		return NULL;
	dns_name_copy(name, made);
	dns_message_addname(ed->msg, made, section);
	return made;
}

bool edit_has_name(const struct edit *ed, const dns_name_t *name)
{
	const dns_name_t *at =
		ISC_LIST_HEAD(ed->msg->sections[DNS_SECTION_ANSWER]);

	while (at != NULL && !dns_name_equal(at, name))
		at = ISC_LIST_NEXT(at, link);
	return at != NULL;
}

void edit_decided(struct edit *ed, const dns_name_t *name,
		  enum gtm_family family, const struct gtm_answer *g)
{
	bool alias = g->outcome == GTM_ALIAS;
	dns_name_t *owner = edit_add_name(ed, name, DNS_SECTION_ANSWER);

	if (owner == NULL)
		ed->result = ISC_R_NOMEMORY;
	else if (alias)
		ed->result = edit_add_alias(ed, owner, family, g);
	else
		ed->result = edit_add_addresses(ed, owner, g->host, family, g);
	if (alias && ed->result == ISC_R_SUCCESS)
		ed->chained = owner;
}
