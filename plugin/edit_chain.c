/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Chains of aliases in a message: where they come to a hostname, they end.
 */
#include "plugin/edit_int.h"

#include <string.h>

#include <dns/db.h>
#include <dns/rcode.h>
#include <dns/rdata.h>
#include <dns/result.h>
#include <dns/view.h>
#include <dns/zone.h>
#include <dns/zt.h>
#include <ns/client.h>

#include "plugin/alias.h"
#include "plugin/edit.h"
#include "plugin/steer.h"

/* The database of named's own zone that 'name' is in, or NULL. */
dns_db_t *edit_db(const struct edit *ed, const dns_name_t *name)
{
	dns_zone_t *zone = NULL;
	dns_db_t *db = NULL;
	isc_result_t result = dns_zt_find(ed->qctx->view->zonetable, name,
					  DNS_ZTFIND_MIRROR, NULL, &zone);

	if (result != ISC_R_SUCCESS && result != DNS_R_PARTIALMATCH)
		zone = NULL;
	if (zone != NULL && dns_zone_getdb(zone, &db) != ISC_R_SUCCESS)
		db = NULL;
	if (zone != NULL)
		dns_zone_detach(&zone);
	return db;
}

dns_rdataset_t *edit_alias_at(dns_name_t *name)
{
	dns_rdataset_t *set = ISC_LIST_HEAD(name->list);

	while (set != NULL && set->type != dns_rdatatype_cname)
		set = ISC_LIST_NEXT(set, link);
	return set;
}

/* The place is in an edge zone whose answers are signed. */
bool edit_signed(const struct place *place)
{
	return place->zone != NULL &&
	       atomic_load_explicit(&place->zone->state->is_signed,
				    memory_order_relaxed) == ZONE_SIGNED;
}

/* A zone of named's own, as close or closer, has the name. */
static bool is_named(const struct edit *ed, const struct place *place,
		     const dns_name_t *name)
{
	dns_db_t *db = edit_db(ed, name);
	bool closer = db != NULL && dns_name_countlabels(dns_db_origin(db)) >
					    place->apex_labels;

	if (db != NULL)
		dns_db_detach(&db);
	return closer;
}

/* The name that the alias leads to; false: it is not data of a zone. */
bool edit_alias_name(dns_rdataset_t *alias, dns_name_t *target)
{
	dns_rdata_t rdata = DNS_RDATA_INIT;
	isc_region_t region;

	if (dns_rdataset_first(alias) != ISC_R_SUCCESS)
		return false;
	dns_rdataset_current(alias, &rdata);
	dns_rdata_toregion(&rdata, &region);
	dns_name_init(target, NULL);
	dns_name_fromregion(target, &region);
	return true;
}

/*
 * The place that the alias leads to exactly, if what is there is ours to say:
 * of an edge zone that is not signed, or of a declared domain.
 */
static const struct place *
alias_place(const struct edit *ed, dns_rdataset_t *alias, dns_name_t *target)
{
	bool exact;

	if (alias->trust != dns_trust_ultimate ||
	    !edit_alias_name(alias, target))
		return NULL;
	const struct place *place =
		map_find(ed->map, target->ndata, target->length, &exact);
	if (!exact || (place->zone == NULL && place->domain == NULL) ||
	    edit_signed(place) || is_named(ed, place, target))
		return NULL;
	return place;
}

static void drop_rest(struct edit *ed, dns_name_t *last)
{
	dns_name_t *name = ISC_LIST_NEXT(last, link);

	while (name != NULL) {
		dns_name_t *next = ISC_LIST_NEXT(name, link);
		edit_drop_name(ed, name, DNS_SECTION_ANSWER);
		name = next;
	}
}

/* What said that there is no such name, or no such record. */
void edit_drop_denial(struct edit *ed)
{
	dns_name_t *next;

	for (dns_name_t *name =
		     ISC_LIST_HEAD(ed->msg->sections[DNS_SECTION_AUTHORITY]);
	     name != NULL; name = next) {
		next = ISC_LIST_NEXT(name, link);
		dns_rdataset_t *set = ISC_LIST_HEAD(name->list);
		if (set != NULL && set->type == dns_rdatatype_soa)
			edit_drop_name(ed, name, DNS_SECTION_AUTHORITY);
	}
}

/* The SOA of a declared domain, for NODATA. */
static void add_domain_soa(struct edit *ed, const struct domain *domain)
{
	const struct config_domain *config = domain->config;
	isc_region_t region = { (unsigned char *)config->name.wire,
				config->name.n };
	uint32_t ttl_s = config->negative_ttl_s < config->ttl_s
				 ? config->negative_ttl_s
				 : config->ttl_s;
	dns_name_t apex;
	struct fresh f;

	edit_drop_denial(ed);
	dns_name_init(&apex, NULL);
	dns_name_fromregion(&apex, &region);
	dns_name_t *owner = edit_add_name(ed, &apex, DNS_SECTION_AUTHORITY);
	ed->result = owner != NULL ? edit_fresh_init(ed, dns_rdatatype_soa,
						     ttl_s, domain->soa_n, &f)
				   : ISC_R_NOMEMORY;
	if (ed->result == ISC_R_SUCCESS)
		ed->result = edit_fresh_add(ed, &f, domain->soa, domain->soa_n);
	if (ed->result == ISC_R_SUCCESS)
		ed->result = edit_fresh_done(ed, &f, owner);
}

/*
 * The chain comes to 'place', whatever came after it; it ends there, but for an
 * alias that is decided, which is noted.
 */
static void end_chain(struct edit *ed, dns_name_t *last,
		      const dns_name_t *target, const struct place *place)
{
	enum gtm_family family = family_of(ed->qctx->qtype);
	struct gtm_answer g;

	ed->chained = NULL;
	steer_decide(ed->qctx, place->host, family, &g);
	steer_count(ed->qctx, place->host, family, false, &g);
	if (g.outcome == GTM_SERVFAIL) {
		ed->result = DNS_R_SERVFAIL;
		return;
	}
	drop_rest(ed, last);
	ed->msg->rcode = dns_rcode_noerror;
	if (g.n == 0) {
		if (place->domain != NULL)
			add_domain_soa(ed, place->domain);
		return;
	}
	edit_drop_denial(ed);
	if (!edit_has_name(ed, target)) /* or aliases go round in a ring */
		edit_decided(ed, target, family, &g);
}

/*
 * An alias that an origin has at a hostname: the hostname has what is decided,
 * and no other name.  A resolver that was told of the alias by a question for
 * another type would follow it for addresses too.
 */
void edit_cut_alias(struct edit *ed)
{
	dns_name_t *name = ISC_LIST_HEAD(ed->msg->sections[DNS_SECTION_ANSWER]);

	for (; name != NULL; name = ISC_LIST_NEXT(name, link)) {
		dns_rdataset_t *alias = edit_alias_at(name);
		const struct place *place =
			alias != NULL ? host_at(ed, name) : NULL;
		if (place == NULL || place->zone == NULL ||
		    edit_signed(place) || alias->trust != dns_trust_ultimate)
			continue;
		drop_rest(ed, name);
		edit_drop_name(ed, name, DNS_SECTION_ANSWER);
		ed->msg->rcode = dns_rcode_noerror;
		return;
	}
}

/* A question at the hostname is one for a decision. */
static bool is_asked(const struct edit *ed, const struct gtm_host *host)
{
	return is_address(ed->qctx->qtype) ||
	       alias_for_all(host, ed->qctx->qtype);
}

const struct place *edit_chain_find(const struct edit *ed, dns_name_t **name,
				    dns_name_t *target)
{
	*name = ed->chained;
	if (*name == NULL)
		*name = ISC_LIST_HEAD(ed->msg->sections[DNS_SECTION_ANSWER]);
	for (; *name != NULL; *name = ISC_LIST_NEXT(*name, link)) {
		const dns_name_t *next = ISC_LIST_NEXT(*name, link);
		dns_rdataset_t *alias = edit_alias_at(*name);
		const struct place *place =
			alias != NULL ? alias_place(ed, alias, target) : NULL;
		if (place == NULL || place->host == NULL ||
		    !is_asked(ed, place->host))
			continue;
		/* alias_ends_chain() has put there what was decided */
		if (!ed->ours && next != NULL && dns_name_equal(next, target))
			continue;
		return place;
	}
	return NULL;
}

/*
 * True if the chain ends at a name that exists here, whatever an origin says
 * of it (RFC 6604 section 3: the rcode is that of the last name).
 */
static bool chain_exists(const struct edit *ed)
{
	dns_name_t *name = ISC_LIST_TAIL(ed->msg->sections[DNS_SECTION_ANSWER]);
	dns_rdataset_t *alias = name != NULL ? edit_alias_at(name) : NULL;
	dns_name_t target;

	return alias != NULL && alias_place(ed, alias, &target) != NULL;
}

void edit_chain(struct edit *ed)
{
	dns_name_t *name;
	dns_name_t target;

	for (unsigned int i = 0; i < EDIT_CHAIN_MAX; i++) {
		const struct place *place = edit_chain_find(ed, &name, &target);
		if (place == NULL)
			break;
		end_chain(ed, name, &target, place);
		if (ed->chained == NULL || ed->result != ISC_R_SUCCESS)
			return;
	}
	if (ed->chained == NULL && ed->msg->rcode == dns_rcode_nxdomain &&
	    chain_exists(ed))
		ed->msg->rcode = dns_rcode_noerror;
}
