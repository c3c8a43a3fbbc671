/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/nsselect.h"

#include <string.h>

#include <dns/db.h>
#include <dns/message.h>
#include <dns/name.h>
#include <dns/rdata.h>
#include <dns/rdataset.h>
#include <dns/rdatatype.h>
#include <ns/client.h>

#include "gtm/decide.h"
#include "plugin/edit_int.h"
#include "plugin/steer.h"

/* -- the decision ---------------------------------------------------------- */

void nsselect_decide(const struct view_map *map, query_ctx_t *qctx,
		     const uint8_t *owner, size_t n, bool extra,
		     struct nsselect *out)
{
	*out = (struct nsselect){ .host = map_ns(map, owner, n) };
	if (out->host == NULL)
		return;
	/* a server is one, whatever the family that it is tested by */
	out->family = out->host->n[GTM_V4] > 0 ? GTM_V4 : GTM_V6;
	steer_decide(qctx, out->host, out->family, &out->g);
	if (out->g.outcome == GTM_ADDRESSES)
		steer_count(qctx, out->host, out->family, extra, &out->g);
	else
		out->host = NULL;
}

/* 'folded' has lower case only; the lengths are the same. */
static bool same_name(const uint8_t *folded, const uint8_t *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (folded[i] !=
		    name[i] + ((uint8_t)(name[i] - 'A') < 26 ? 32 : 0))
			return false;
	return true;
}

bool nsselect_has(const struct nsselect *s, const uint8_t *name, size_t n)
{
	if (s->host == NULL)
		return true;
	const struct gtm_host *host = s->g.host;
	for (unsigned int i = 0; i < s->g.n; i++) {
		const struct gtm_candidate *c =
			&host->candidate[s->family][s->g.pick[i]];
		const struct dname *is =
			host->world->config->servers[c->server].name_server;
		if (is != NULL && is->n == n && same_name(is->wire, name, n))
			return true;
	}
	return false;
}

static bool has_target(const struct nsselect *s, const dns_rdata_t *rdata)
{
	return nsselect_has(s, rdata->data, rdata->length);
}

/* -- the message ----------------------------------------------------------- */

static bool is_ns(const dns_rdataset_t *set)
{
	return set->type == dns_rdatatype_ns &&
	       set->trust == dns_trust_ultimate;
}

static bool has_ns(const query_ctx_t *qctx, dns_section_t section)
{
	const dns_name_t *name =
		ISC_LIST_HEAD(qctx->client->message->sections[section]);

	for (; name != NULL; name = ISC_LIST_NEXT(name, link)) {
		const dns_rdataset_t *set = ISC_LIST_HEAD(name->list);
		for (; set != NULL; set = ISC_LIST_NEXT(set, link))
			if (is_ns(set))
				return true;
	}
	return false;
}

bool nsselect_possible(const query_ctx_t *qctx)
{
	return has_ns(qctx, DNS_SECTION_ANSWER) ||
	       has_ns(qctx, DNS_SECTION_AUTHORITY);
}

/* The set is an apex's in a signed zone, and so has a signature. */
static bool is_signed(const struct edit *ed, const dns_name_t *name)
{
	dns_db_t *db = ed->ours ? NULL : edit_db(ed, name);
	bool has = db != NULL && dns_db_issecure(db) &&
		   dns_name_equal(dns_db_origin(db), name);

	if (db != NULL)
		dns_db_detach(&db);
	return has;
}

/* How many records stay, and their octets. */
static unsigned int count_kept(dns_rdataset_t *set, const struct nsselect *s,
			       unsigned int *octets)
{
	unsigned int kept = 0;

	*octets = 0;
	for (isc_result_t r = dns_rdataset_first(set); r == ISC_R_SUCCESS;
	     r = dns_rdataset_next(set)) {
		dns_rdata_t rdata = DNS_RDATA_INIT;
		dns_rdataset_current(set, &rdata);
		if (!has_target(s, &rdata))
			continue;
		*octets += rdata.length;
		kept++;
	}
	return kept;
}

/* Takes the addresses of a name server that goes out of additional data. */
static void drop_addresses(struct edit *ed, const dns_rdata_t *rdata)
{
	isc_region_t region = { rdata->data, rdata->length };
	dns_name_t target;
	dns_name_t *next;

	dns_name_init(&target, NULL);
	dns_name_fromregion(&target, &region);
	for (dns_name_t *name =
		     ISC_LIST_HEAD(ed->msg->sections[DNS_SECTION_ADDITIONAL]);
	     name != NULL; name = next) {
		next = ISC_LIST_NEXT(name, link);
		if (dns_name_equal(name, &target))
			edit_drop_name(ed, name, DNS_SECTION_ADDITIONAL);
	}
}

static void reduce(struct edit *ed, dns_name_t *name, dns_rdataset_t *set,
		   const struct nsselect *s)
{
	unsigned int octets;
	unsigned int kept = count_kept(set, s, &octets);
	struct fresh f;

	if (kept == 0 || kept == dns_rdataset_count(set))
		return;
	ed->result =
		edit_fresh_init(ed, dns_rdatatype_ns, s->g.ttl_s, octets, &f);
	for (isc_result_t r = dns_rdataset_first(set);
	     r == ISC_R_SUCCESS && ed->result == ISC_R_SUCCESS;
	     r = dns_rdataset_next(set)) {
		dns_rdata_t rdata = DNS_RDATA_INIT;
		dns_rdataset_current(set, &rdata);
		if (has_target(s, &rdata))
			ed->result = edit_fresh_add(ed, &f, rdata.data,
						    rdata.length);
		else
			drop_addresses(ed, &rdata);
	}
	if (ed->result != ISC_R_SUCCESS)
		return;
	edit_drop_set(ed, name, set);
	ed->result = edit_fresh_done(ed, &f, name);
}

static void select_at(struct edit *ed, dns_name_t *name, bool extra)
{
	dns_rdataset_t *set = ISC_LIST_HEAD(name->list);
	struct nsselect s;

	while (set != NULL && !is_ns(set))
		set = ISC_LIST_NEXT(set, link);
	if (set == NULL || map_ns(ed->map, name->ndata, name->length) == NULL ||
	    is_signed(ed, name))
		return;
	nsselect_decide(ed->map, ed->qctx, name->ndata, name->length, extra,
			&s);
	if (s.host != NULL)
		reduce(ed, name, set, &s);
}

isc_result_t nsselect_message(const struct view_map *map, query_ctx_t *qctx)
{
	static const dns_section_t sections[] = { DNS_SECTION_ANSWER,
						  DNS_SECTION_AUTHORITY };
	struct edit ed = { .map = map,
			   .qctx = qctx,
			   .msg = qctx->client->message,
			   .ours = !qctx->client->query.authdbset };

	if (map->n_ns == 0 || ed.msg->rdclass != dns_rdataclass_in ||
	    edit_is_rewritten(qctx))
		return ISC_R_SUCCESS;
	for (size_t i = 0; i < 2; i++) {
		dns_name_t *name = ISC_LIST_HEAD(ed.msg->sections[sections[i]]);
		bool extra = i > 0 && !qctx->client->query.isreferral;
		for (; name != NULL && ed.result == ISC_R_SUCCESS;
		     name = ISC_LIST_NEXT(name, link))
			select_at(&ed, name, extra);
	}
	return ed.result;
}
