/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/edit.h"

#include <string.h>

#include <dns/db.h>
#include <dns/message.h>
#include <dns/name.h>
#include <dns/rcode.h>
#include <dns/rdata.h>
#include <dns/rdatalist.h>
#include <dns/rdataset.h>
#include <dns/rdatastruct.h>
#include <dns/result.h>
#include <dns/rpz.h>
#include <dns/soa.h>
#include <dns/view.h>
#include <dns/zone.h>
#include <dns/zt.h>
#include <isc/buffer.h>
#include <isc/mem.h>
#include <ns/client.h>

#include "plugin/edit_int.h"
#include "plugin/log.h"
#include "plugin/steer.h"
#include "plugin/svcb.h"

/* -- whose records they are ------------------------------------------------ */

/*
 * The database of named's signed zone that has the records of 'name'; NULL:
 * they have no signatures.  To be detached.
 */
static dns_db_t *signed_db(const struct edit *ed, const dns_name_t *name)
{
	const ns_client_t *client = ed->qctx->client;

	dns_db_t *db = NULL;

	if (ed->ours)
		return NULL; /* edit_wanted() has said no to signed ones */
	if (client->query.restarts == 0 && client->query.authdb != NULL &&
	    dns_name_equal(name, client->query.qname))
		dns_db_attach(client->query.authdb, &db);
	else
		db = edit_db(ed, name);
	if (db != NULL && !dns_db_issecure(db))
		dns_db_detach(&db);
	return db;
}

/* True if 'set' at 'name' is data of a zone, unsigned. */
static bool may_edit(const struct edit *ed, const dns_name_t *name,
		     const dns_rdataset_t *set)
{
	if (set->trust != dns_trust_ultimate)
		return false;
	dns_db_t *db = signed_db(ed, name);
	if (db == NULL)
		return true;
	dns_db_detach(&db);
	return false;
}

/* Data of a response policy, which has the last word. */
bool edit_is_rewritten(const query_ctx_t *qctx)
{
	const dns_rpz_st_t *rpz = qctx->client->query.rpz_st;

	return qctx->rpz ||
	       (rpz != NULL && (rpz->state & DNS_RPZ_REWRITTEN) != 0);
}

/* -- addresses ------------------------------------------------------------- */

/* A zone that gives away what shall stay hidden: its operator must know. */
static void audit(const struct edit *ed, const struct gtm_host *host,
		  dns_rdataset_t *set)
{
	static struct log_gate gate;
	enum gtm_family family = family_of(set->type);
	const struct gtm_candidate *all = host->candidate[family];

	if (host->config->n_servers[CONFIG_HIDDEN] == 0)
		return;
	for (isc_result_t r = dns_rdataset_first(set); r == ISC_R_SUCCESS;
	     r = dns_rdataset_next(set)) {
		dns_rdata_t rdata = DNS_RDATA_INIT;
		dns_rdataset_current(set, &rdata);
		for (uint32_t i = 0; i < host->n[family]; i++) {
			if (all[i].tier != CONFIG_HIDDEN ||
			    memcmp(all[i].address, rdata.data, rdata.length) !=
				    0)
				continue;
			atomic_fetch_add_explicit(&host->counts->n[GTM_EXPOSED],
						  1, memory_order_relaxed);
			log_limited(&gate, process_now_s(process_get()),
				    ISC_LOG_ERROR,
				    "hostname '%s': its zone holds the address "
				    "of hidden server '%s': transfers show it, "
				    "and answers while the plugin is inactive; "
				    "take it out of the zone",
				    host->config->id,
				    ed->map->snapshot->config
					    ->servers[all[i].server]
					    .id);
		}
	}
}

/* The name is that of a zone of named's own. */
static bool is_apex(const struct edit *ed, const dns_name_t *name)
{
	dns_db_t *db = edit_db(ed, name);
	bool same = db != NULL && dns_name_equal(dns_db_origin(db), name);

	if (db != NULL)
		dns_db_detach(&db);
	return same;
}

/* The decided records instead of 'set'; in the answer, to the question. */
static void swap(struct edit *ed, dns_name_t *name, dns_rdataset_t *set,
		 const struct gtm_host *host, bool in_answer)
{
	enum gtm_family family = family_of(set->type);
	bool asked = in_answer && set->type == ed->qctx->qtype;
	struct gtm_answer g;

	audit(ed, host, set);
	steer_decide(ed->qctx, host, family, &g);
	bool some = g.outcome == GTM_ADDRESSES;
	if (g.outcome == GTM_ALIAS && is_apex(ed, name))
		return; /* which cannot be one; told by alias.c */
	if (!some && !in_answer && ed->qctx->client->query.isreferral)
		return; /* glue, without which nobody gets there */
	steer_count(ed->qctx, host, family, !in_answer, &g);
	unsigned int kept = set->attributes & DNS_RDATASETATTR_REQUIRED;
	edit_drop_set(ed, name, set);
	if (g.outcome == GTM_SERVFAIL && asked)
		ed->result = DNS_R_SERVFAIL;
	else if (some)
		ed->result = edit_add_addresses(ed, name, host, family, &g);
	else if (g.outcome == GTM_ALIAS && in_answer &&
		 ISC_LIST_EMPTY(name->list)) /* it stands alone */
		ed->result = edit_add_alias(ed, name, family, &g);
	else if (asked)
		ed->emptied = true;
	if (some && ed->result == ISC_R_SUCCESS)
		ISC_LIST_HEAD(name->list)->attributes |= kept;
}

/* A signed zone says that there are records, and cannot say another thing. */
static void note_nodata(const struct gtm_host *host)
{
	static struct log_gate gate;

	log_limited(&gate, process_now_s(process_get()), ISC_LOG_WARNING,
		    "hostname '%s': no address is to be given, but its signed "
		    "zone has records of that type: they are served; take them "
		    "out of the zone, or have \"fail\" say \"servfail\"",
		    host->config->id);
}

/* The signatures of 'type' at the name, as named has put them there. */
static dns_rdataset_t *sigs_at(const dns_name_t *name, dns_rdatatype_t type)
{
	dns_rdataset_t *set = ISC_LIST_HEAD(name->list);

	while (set != NULL &&
	       (set->type != dns_rdatatype_rrsig || set->covers != type))
		set = ISC_LIST_NEXT(set, link);
	return set;
}

/* Puts what was decided, and signed, in the place of 'set'. */
static isc_result_t put_signed(struct edit *ed, dns_name_t *name,
			       dns_rdataset_t *set, const struct gtm_host *host,
			       const struct gtm_answer *g,
			       const struct sign_set *from)
{
	enum gtm_family family = family_of(set->type);
	dns_rdataset_t *sigs = sigs_at(name, set->type);
	isc_result_t result = ISC_R_SUCCESS;
	struct fresh f;

	edit_drop_set(ed, name, set);
	if (sigs != NULL) {
		edit_drop_set(ed, name, sigs);
		result = edit_fresh_sigs(ed, from, g->ttl_s, &f);
		if (result == ISC_R_SUCCESS)
			result = edit_fresh_done(ed, &f, name);
	}
	if (result != ISC_R_SUCCESS)
		return result;
	return edit_add_addresses(ed, name, host, family, g);
}

/*
 * An alias, where addresses stand: beside nothing else, and never in additional
 * data.
 */
static void put_signed_alias(struct edit *ed, dns_name_t *name,
			     dns_rdataset_t *set, const struct gtm_answer *g,
			     const struct sign_set *from, bool in_answer)
{
	enum gtm_family family = family_of(set->type);
	dns_rdataset_t *sigs = sigs_at(name, set->type);

	edit_drop_set(ed, name, set);
	if (sigs != NULL)
		edit_drop_set(ed, name, sigs);
	if (!in_answer || !ISC_LIST_EMPTY(name->list))
		return;
	ed->result = edit_add_alias(ed, name, family, g);
	if (ed->result == ISC_R_SUCCESS && edit_wants_sigs(ed))
		ed->result = edit_add_sigs(ed, name, from, g->ttl_s);
}

/*
 * The same as swap() in a signed zone: only what is signed takes the place of
 * the zone's own.  Returns false if that stays as it is.
 */
static bool swap_signed(struct edit *ed, dns_name_t *name, dns_rdataset_t *set,
			const struct gtm_host *host, const dns_db_t *db,
			bool in_answer)
{
	enum gtm_family family = family_of(set->type);
	const struct sign_set *from;
	struct gtm_answer g;

	audit(ed, host, set);
	if (!steer_decide_signed(ed->qctx, db, host, family, &g, &from)) {
		if (g.outcome == GTM_NODATA)
			note_nodata(host);
		if (g.outcome != GTM_SERVFAIL || !in_answer ||
		    set->type != ed->qctx->qtype)
			return false;
		steer_count(ed->qctx, host, family, false, &g);
		ed->result = DNS_R_SERVFAIL;
		return true;
	}
	bool alias = g.outcome == GTM_ALIAS;
	if (alias && !in_answer && ed->qctx->client->query.isreferral)
		return false; /* glue, without which nobody gets there */
	steer_count(ed->qctx, host, family, !in_answer, &g);
	if (alias) {
		put_signed_alias(ed, name, set, &g, from, in_answer);
		return true;
	}
	unsigned int kept = set->attributes & DNS_RDATASETATTR_REQUIRED;
	ed->result = put_signed(ed, name, set, host, &g, from);
	if (ed->result == ISC_R_SUCCESS)
		ISC_LIST_HEAD(name->list)->attributes |= kept;
	return true;
}

/* -- HTTPS and SVCB ---------------------------------------------------------
 */

/* The hostname that the record leads to: its target, or its owner. */
static const struct place *target_of(const struct edit *ed,
				     const dns_name_t *owner,
				     const dns_rdata_t *rdata)
{
	struct slice target;

	if (!svcb_target(rdata->data, rdata->length, &target))
		return NULL;
	if (target.n == 1) /* "." */
		return host_at(ed, owner);
	return map_host(ed->map, (const uint8_t *)target.p, target.n);
}

static bool leads_to_host(const struct edit *ed, const dns_name_t *owner,
			  dns_rdataset_t *set, unsigned int *octets)
{
	bool found = false;

	*octets = 0;
	for (isc_result_t r = dns_rdataset_first(set); r == ISC_R_SUCCESS;
	     r = dns_rdataset_next(set)) {
		dns_rdata_t rdata = DNS_RDATA_INIT;
		dns_rdataset_current(set, &rdata);
		*octets += rdata.length;
		found = found || target_of(ed, owner, &rdata) != NULL;
	}
	return found;
}

/* The set under way has that record already. */
static bool has_record(const struct fresh *f, const uint8_t *octets,
		       unsigned int n)
{
	const dns_rdata_t *rdata = ISC_LIST_HEAD(f->list->rdata);

	while (rdata != NULL &&
	       (rdata->length != n || memcmp(rdata->data, octets, n) != 0))
		rdata = ISC_LIST_NEXT(rdata, link);
	return rdata != NULL;
}

/* Adds a record without its hints, if it leads to a hostname. */
static isc_result_t add_stripped(struct edit *ed, struct fresh *f,
				 const dns_name_t *owner,
				 const dns_rdata_t *rdata)
{
	uint8_t *stripped = f->room; /* of all that the set had */
	size_t n = 0;

	if (target_of(ed, owner, rdata) != NULL)
		n = svcb_strip(rdata->data, rdata->length, stripped);
	if (n == 0) { /* another's, or nothing to strip */
		memmove(stripped, rdata->data, rdata->length);
		n = rdata->length;
	}
	/* those that differ in their hints alone are one now */
	if (has_record(f, stripped, (unsigned int)n))
		return ISC_R_SUCCESS;
	return edit_fresh_add(ed, f, stripped, (unsigned int)n);
}

/* Takes the hints out of records that lead to hostnames. */
static void strip_hints(struct edit *ed, dns_name_t *name, dns_rdataset_t *set)
{
	unsigned int octets;
	struct fresh f;

	if (!leads_to_host(ed, name, set, &octets) || !may_edit(ed, name, set))
		return;
	ed->result = edit_fresh_init(ed, set->type, set->ttl, octets, &f);
	if (ed->result != ISC_R_SUCCESS)
		return;
	for (isc_result_t r = dns_rdataset_first(set); r == ISC_R_SUCCESS;
	     r = dns_rdataset_next(set)) {
		dns_rdata_t rdata = DNS_RDATA_INIT;
		dns_rdataset_current(set, &rdata);
		if (add_stripped(ed, &f, name, &rdata) != ISC_R_SUCCESS)
			ed->result = ISC_R_NOMEMORY;
	}
	edit_drop_set(ed, name, set);
	if (ed->result == ISC_R_SUCCESS)
		ed->result = edit_fresh_done(ed, &f, name);
}

/* -- sections -------------------------------------------------------------- */

/* True if the name's list of sets is no longer what it was. */
static bool edit_addresses(struct edit *ed, dns_name_t *name,
			   dns_rdataset_t *set, const struct gtm_host *host,
			   dns_section_t section)
{
	bool in_answer = section == DNS_SECTION_ANSWER;
	dns_db_t *db = signed_db(ed, name);

	if (db == NULL) {
		swap(ed, name, set, host, in_answer);
		return false; /* but for this one set */
	}
	bool changed = swap_signed(ed, name, set, host, db, in_answer);
	dns_db_detach(&db);
	return changed;
}

static void edit_name(struct edit *ed, dns_name_t *name, dns_section_t section)
{
	const struct place *place = NULL;
	dns_rdataset_t *next;
	bool looked = false;

	for (dns_rdataset_t *set = ISC_LIST_HEAD(name->list);
	     set != NULL && ed->result == ISC_R_SUCCESS; set = next) {
		next = ISC_LIST_NEXT(set, link);
		if (is_binding(set->type)) {
			strip_hints(ed, name, set);
			continue;
		}
		if (!is_address(set->type) || set->trust != dns_trust_ultimate)
			continue; /* also what has been decided already */
		if (!looked)
			place = host_at(ed, name);
		looked = true;
		if (place != NULL &&
		    edit_addresses(ed, name, set, place->host, section))
			next = ISC_LIST_HEAD(
				name->list); /* none is ours twice */
	}
	if (ISC_LIST_EMPTY(name->list))
		edit_drop_name(ed, name, section);
}

static void edit_section(struct edit *ed, dns_section_t section)
{
	dns_name_t *next;

	for (dns_name_t *name = ISC_LIST_HEAD(ed->msg->sections[section]);
	     name != NULL && ed->result == ISC_R_SUCCESS; name = next) {
		next = ISC_LIST_NEXT(name, link);
		edit_name(ed, name, section);
	}
}

/* -- what an emptied answer needs -------------------------------------------
 */

/* The SOA of named's zone that holds 'name', for NODATA (RFC 2308). */
static void add_soa(struct edit *ed, const dns_name_t *name)
{
	dns_db_t *db = edit_db(ed, name);
	dns_dbversion_t *version = NULL;
	dns_dbnode_t *node = NULL;
	dns_rdataset_t *set = NULL;
	dns_name_t *owner = NULL;

	if (db == NULL)
		return;
	dns_db_currentversion(db, &version);
	if (dns_message_gettempname(ed->msg, &owner) == ISC_R_SUCCESS &&
	    dns_message_gettemprdataset(ed->msg, &set) == ISC_R_SUCCESS &&
	    dns_db_getoriginnode(db, &node) == ISC_R_SUCCESS &&
	    dns_db_findrdataset(db, node, version, dns_rdatatype_soa, 0, 0, set,
				NULL) == ISC_R_SUCCESS) {
		dns_rdata_t rdata = DNS_RDATA_INIT;
		dns_name_copy(dns_db_origin(db), owner);
		if (dns_rdataset_first(set) == ISC_R_SUCCESS) {
			dns_rdataset_current(set, &rdata);
			uint32_t minimum = dns_soa_getminimum(&rdata);
			if (set->ttl > minimum)
				set->ttl = minimum;
		}
		ISC_LIST_APPEND(owner->list, set, link);
		dns_message_addname(ed->msg, owner, DNS_SECTION_AUTHORITY);
		set = NULL;
		owner = NULL;
	}
	if (set != NULL)
		dns_message_puttemprdataset(ed->msg, &set);
	if (owner != NULL)
		dns_message_puttempname(ed->msg, &owner);
	if (node != NULL)
		dns_db_detachnode(db, &node);
	dns_db_closeversion(db, &version, false);
	dns_db_detach(&db);
}

/* The name in the answer section that is the question's, or a new one. */
static dns_name_t *own_name(struct edit *ed)
{
	const dns_name_t *qname = ed->qctx->client->query.qname;
	dns_name_t *name = ISC_LIST_HEAD(ed->msg->sections[DNS_SECTION_ANSWER]);

	while (name != NULL && !dns_name_equal(name, qname))
		name = ISC_LIST_NEXT(name, link);
	return name != NULL ? name
			    : edit_add_name(ed, qname, DNS_SECTION_ANSWER);
}

static bool has_family(const struct edit *ed, enum gtm_family family)
{
	dns_name_t *name = ISC_LIST_HEAD(ed->msg->sections[DNS_SECTION_ANSWER]);

	for (; name != NULL; name = ISC_LIST_NEXT(name, link)) {
		dns_rdataset_t *set = ISC_LIST_HEAD(name->list);
		for (; set != NULL; set = ISC_LIST_NEXT(set, link))
			if (is_address(set->type) &&
			    family_of(set->type) == family)
				return true;
	}
	return false;
}

static bool has_answer(const struct edit *ed)
{
	return !ISC_LIST_EMPTY(ed->msg->sections[DNS_SECTION_ANSWER]);
}

/* One type is enough of an answer to ANY (RFC 8482 section 4.1). */
static bool is_enough(const struct edit *ed)
{
	const query_ctx_t *qctx = ed->qctx;

	return qctx->view->minimal_any &&
	       (qctx->client->attributes & NS_CLIENTATTR_TCP) == 0 &&
	       has_answer(ed);
}

/*
 * An origin's answer to a question at a hostname: ANY has its addresses, which
 * the origin need not know of.
 */
static void edit_any(struct edit *ed, const struct place *place)
{
	for (unsigned int f = 0; f < GTM_FAMILIES; f++) {
		enum gtm_family family = (enum gtm_family)f;
		struct gtm_answer g;
		if (place->host->n[f] == 0 || has_family(ed, family) ||
		    is_enough(ed) || ed->result != ISC_R_SUCCESS)
			continue;
		steer_decide(ed->qctx, place->host, family, &g);
		steer_count(ed->qctx, place->host, family, f > 0, &g);
		bool alias = g.outcome == GTM_ALIAS;
		if (g.n == 0 || (alias && has_answer(ed)))
			continue; /* an alias stands alone */
		edit_drop_denial(ed);
		if (alias) {
			edit_decided(ed, ed->qctx->client->query.qname, family,
				     &g);
			return;
		}
		dns_name_t *owner = own_name(ed);
		ed->result = owner != NULL ? edit_add_addresses(ed, owner,
								place->host,
								family, &g)
					   : ISC_R_NOMEMORY;
	}
}

/* The RRset and its signature, in a signed zone; true: an alias. */
static bool respond_signed(struct edit *ed, const struct gtm_host *host)
{
	query_ctx_t *qctx = ed->qctx;
	dns_rdataset_t *set = qctx->rdataset;
	bool with_sigs = qctx->sigrdataset != NULL && edit_wants_sigs(ed);
	enum gtm_family family = family_of(set->type);
	const struct sign_set *from;
	struct gtm_answer g;
	struct fresh f, sigs = { 0 };

	if (qctx->zone != NULL)
		sign_meet(process_get()->sign, qctx->zone, qctx->db);
	if ((qctx->fname->attributes & DNS_NAMEATTR_WILDCARD) != 0 ||
	    !steer_decide_signed(qctx, qctx->db, host, family, &g, &from))
		return false; /* edit_message() looks again */
	if (g.outcome == GTM_ALIAS)
		return edit_put_alias(ed, host, family, &g, from);
	ns_client_keepname(qctx->client, qctx->fname, qctx->dbuf);
	qctx->dbuf = NULL;
	if (edit_fresh_addresses(ed, host, family, &g, &f) != ISC_R_SUCCESS ||
	    (with_sigs &&
	     edit_fresh_sigs(ed, from, g.ttl_s, &sigs) != ISC_R_SUCCESS))
		return false;
	audit(ed, host, set);
	steer_count(qctx, host, family, false, &g);
	dns_rdataset_disassociate(set);
	dns_rdatalist_tordataset(f.list, set);
	if (!with_sigs)
		return false;
	if (dns_rdataset_isassociated(qctx->sigrdataset))
		dns_rdataset_disassociate(qctx->sigrdataset);
	dns_rdatalist_tordataset(sigs.list, qctx->sigrdataset);
	return false;
}

bool edit_respond(const struct view_map *map, query_ctx_t *qctx)
{
	struct edit ed = { .map = map,
			   .qctx = qctx,
			   .msg = qctx->client->message };
	dns_rdataset_t *set = qctx->rdataset;
	struct gtm_answer g;
	struct fresh f;

	if (!qctx->is_zone || !is_address(set->type) || qctx->dbuf == NULL ||
	    set->rdclass != dns_rdataclass_in || edit_is_rewritten(qctx))
		return false;
	/* named has noted which of these records dns64 would leave out */
	if (qctx->client->query.dns64_aaaaok != NULL)
		return false;
	const struct place *place = host_at(&ed, qctx->fname);
	if (place == NULL)
		return false;
	if (dns_db_issecure(qctx->db)) {
		if (place->host->some_alias)
			(void)edit_may_alias(qctx, place->host); /* says so */
		return respond_signed(&ed, place->host);
	}
	enum gtm_family family = family_of(set->type);
	steer_decide(qctx, place->host, family, &g);
	if (g.n == 0) /* for edit_message() */
		return false;
	if (g.outcome == GTM_ALIAS)
		return edit_may_alias(qctx, place->host) &&
		       edit_put_alias(&ed, place->host, family, &g, NULL);
	/* from now on the name has its place in the buffer */
	ns_client_keepname(qctx->client, qctx->fname, qctx->dbuf);
	qctx->dbuf = NULL;
	if (edit_fresh_addresses(&ed, place->host, family, &g, &f) !=
	    ISC_R_SUCCESS)
		return false;
	audit(&ed, place->host, set);
	steer_count(qctx, place->host, family, false, &g);
	dns_rdataset_disassociate(set);
	dns_rdatalist_tordataset(f.list, set);
	return false;
}

/*
 * An origin's answer: a hostname exists, and so do the names above it (RFC
 * 8020), whatever that says.
 */
static void edit_own(struct edit *ed)
{
	const dns_name_t *qname = ed->qctx->client->query.qname;
	bool exact;
	const struct place *place =
		map_find(ed->map, qname->ndata, qname->length, &exact);

	if (!exact || place->zone == NULL || edit_signed(place))
		return;
	dns_name_t *first =
		ISC_LIST_HEAD(ed->msg->sections[DNS_SECTION_ANSWER]);
	if (first == NULL || edit_alias_at(first) == NULL)
		ed->msg->rcode = dns_rcode_noerror;
	if (place->host != NULL && ed->qctx->qtype == dns_rdatatype_any)
		edit_any(ed, place);
}

/* True if 'name' has a set that may have to do with a hostname. */
static bool is_of_interest(const dns_name_t *name, bool plain)
{
	const dns_rdataset_t *set = ISC_LIST_HEAD(name->list);

	for (; set != NULL; set = ISC_LIST_NEXT(set, link))
		if (set->trust == dns_trust_ultimate &&
		    ((is_address(set->type) && !plain) ||
		     set->type == dns_rdatatype_cname || is_binding(set->type)))
			return true;
	return false;
}

bool edit_possible(const query_ctx_t *qctx, bool plain)
{
	const dns_message_t *msg = qctx->client->message;
	const dns_name_t *name =
		ISC_LIST_HEAD(msg->sections[DNS_SECTION_ANSWER]);

	if (name == NULL && !plain) /* perhaps a denial to take back */
		return true;
	/* not following aliases, the name asked for is the only one */
	for (; name != NULL; name = ISC_LIST_NEXT(name, link))
		if (is_of_interest(name, plain))
			return true;
	name = ISC_LIST_HEAD(msg->sections[DNS_SECTION_ADDITIONAL]);
	for (; name != NULL; name = ISC_LIST_NEXT(name, link))
		if (is_of_interest(name, false))
			return true;
	return false;
}

isc_result_t edit_message(const struct view_map *map, query_ctx_t *qctx)
{
	ns_client_t *client = qctx->client;
	struct edit ed = { .map = map,
			   .qctx = qctx,
			   .msg = client->message,
			   .ours = !client->query.authdbset };
	dns_rcode_t rcode = ed.msg->rcode;

	if ((rcode != dns_rcode_noerror && rcode != dns_rcode_nxdomain) ||
	    ed.msg->rdclass != dns_rdataclass_in || edit_is_rewritten(qctx))
		return ISC_R_SUCCESS;
	bool had = !ISC_LIST_EMPTY(ed.msg->sections[DNS_SECTION_ANSWER]);
	if (ed.ours)
		edit_cut_alias(&ed);
	edit_chain(&ed);
	if (ed.result == ISC_R_SUCCESS)
		edit_section(&ed, DNS_SECTION_ANSWER);
	if (had && ISC_LIST_EMPTY(ed.msg->sections[DNS_SECTION_ANSWER]))
		ed.emptied = true;
	if (ed.result == ISC_R_SUCCESS)
		edit_section(&ed, DNS_SECTION_ADDITIONAL);
	if (ed.result == ISC_R_SUCCESS && ed.ours)
		edit_own(&ed);
	if (ed.result == ISC_R_SUCCESS && !ed.ours && ed.emptied)
		add_soa(&ed, client->query.qname);
	return ed.result;
}

/* -- stored answers ---------------------------------------------------------
 */

/*
 * True if a set at 'name' is one that edit_message() would look at: an alias
 * also where it leads to no hostname but to a name that exists here.
 */
static bool touches_set(const struct edit *ed, const dns_name_t *name,
			dns_rdataset_t *set)
{
	dns_name_t target;
	unsigned int octets;
	bool exact;

	if (set->type == dns_rdatatype_ns)
		return map_ns(ed->map, name->ndata, name->length) != NULL;
	if (is_address(set->type))
		return host_at(ed, name) != NULL;
	if (is_binding(set->type))
		return leads_to_host(ed, name, set, &octets);
	if (set->type != dns_rdatatype_cname)
		return false;
	if (host_at(ed, name) != NULL)
		return true;
	if (!edit_alias_name(set, &target))
		return false;
	(void)map_find(ed->map, target.ndata, target.length, &exact);
	return exact;
}

static bool touches_section(const struct edit *ed, dns_section_t section)
{
	dns_name_t *name = ISC_LIST_HEAD(ed->msg->sections[section]);

	for (; name != NULL; name = ISC_LIST_NEXT(name, link)) {
		dns_rdataset_t *set = ISC_LIST_HEAD(name->list);
		for (; set != NULL; set = ISC_LIST_NEXT(set, link))
			if (touches_set(ed, name, set))
				return true;
	}
	return false;
}

/* Looks through the fullest form of the stored answer. */
static bool touches(const struct view_map *map, const struct store_entry *e)
{
	const struct store_form *f = store_form_of(e, STORE_DNSSEC);
	isc_mem_t *mctx = process_get()->mctx;
	struct edit ed = { .map = map };
	isc_buffer_t wire;
	bool found = false;
	bool exact;
	const struct place *place =
		map_find(map, store_name(e), e->name_n, &exact);

	if (exact && (place->host != NULL || e->kind == STORE_NXDOMAIN))
		return true;
	if (f->count[0] + f->count[2] == 0 && map->n_ns == 0)
		return false;
	isc_buffer_constinit(&wire, e->octets + f->wire, f->n);
	isc_buffer_add(&wire, f->n);
	dns_message_create(mctx, DNS_MESSAGE_INTENTPARSE, &ed.msg);
	/* best effort: a form may be cut before sections that are counted */
	isc_result_t result =
		dns_message_parse(ed.msg, &wire, DNS_MESSAGEPARSE_BESTEFFORT);
	if (result == ISC_R_SUCCESS || result == DNS_R_RECOVERABLE)
		found = touches_section(&ed, DNS_SECTION_ANSWER) ||
			touches_section(&ed, DNS_SECTION_ADDITIONAL) ||
			(map->n_ns > 0 &&
			 touches_section(&ed, DNS_SECTION_AUTHORITY));
	dns_message_detach(&ed.msg);
	return found;
}

bool edit_wanted(const struct view_map *map, struct store_entry *e)
{
	const struct snapshot *s = map->snapshot;
	uint64_t note = atomic_load_explicit(&e->steered, memory_order_relaxed);

	if (s->world->n_hosts == 0 || e->is_signed || e->kind == STORE_FAILURE)
		return false;
	if (note >> 1 == s->names_id)
		return (note & 1) != 0;
	bool wanted = touches(map, e);
	atomic_store_explicit(&e->steered,
			      (uint64_t)s->names_id << 1 | (wanted ? 1 : 0),
			      memory_order_relaxed);
	return wanted;
}
