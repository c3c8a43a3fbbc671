/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/alias.h"

#include <dns/db.h>
#include <dns/message.h>
#include <dns/name.h>
#include <dns/rdatatype.h>
#include <ns/client.h>

#include "plugin/access.h"
#include "plugin/edit.h"
#include "plugin/edit_int.h"
#include "plugin/log.h"

#define GETDB_NOLOG 0x02u /* as in named's query.c: expect to be refused */

static bool has(const ns_client_t *client, unsigned int attributes)
{
	return (client->query.attributes & attributes) == attributes;
}

/* named asks others for this client. */
static bool recurses(const ns_client_t *client)
{
	return has(client,
		   NS_QUERYATTR_WANTRECURSION | NS_QUERYATTR_RECURSIONOK);
}

/* Questions that the alias itself is all the answer to. */
static bool is_final(dns_rdatatype_t type)
{
	return type == dns_rdatatype_cname || type == dns_rdatatype_any;
}

/* -- the message ----------------------------------------------------------- */

/* The last alias in the answer leads to '*target'. */
static bool last_target(const ns_client_t *client, dns_name_t *target)
{
	dns_name_t *name =
		ISC_LIST_TAIL(client->message->sections[DNS_SECTION_ANSWER]);
	dns_rdataset_t *alias = name != NULL ? edit_alias_at(name) : NULL;

	return alias != NULL && edit_alias_name(alias, target);
}

/* From now on the query is for 'target'. */
static bool ask_for(ns_client_t *client, const dns_name_t *target)
{
	dns_name_t *name = NULL;

	if (dns_message_gettempname(client->message, &name) != ISC_R_SUCCESS)
		return false;
	dns_name_copy(target, name);
	ns_client_qnamereplace(client, name);
	return true;
}

/* -- at NS_QUERY_SETUP ------------------------------------------------------
 */

/* The alias leads to a hostname of ours, wherever that is. */
static bool leads_to_ours(const struct view_map *map, const query_ctx_t *qctx,
			  const struct dname *target)
{
	bool exact;
	const struct place *place =
		map_find(map, target->wire, target->n, &exact);

	return exact && place->host != NULL &&
	       (place->zone != NULL || place->domain != NULL) &&
	       (steer_decides(qctx->qtype) ||
		alias_for_all(place->host, qctx->qtype));
}

static enum steer_result begin_chain(const struct view_map *map,
				     query_ctx_t *qctx, enum gtm_family family,
				     const struct gtm_answer *g)
{
	ns_client_t *client = qctx->client;
	struct edit ed = { .map = map, .qctx = qctx, .msg = client->message };

	if (access_rate(qctx, STORE_POSITIVE,
			dns_name_countlabels(client->query.qname)) != ACCESS_OK)
		return STEER_LIMITED;
	edit_decided(&ed, client->query.qname, family, g);
	if (ed.result != ISC_R_SUCCESS)
		return STEER_FAIL;
	/*
	 * As if the name had been found in a zone of its own: named follows
	 * aliases into other zones only for those it recurses for.
	 */
	client->query.authdbset = true;
	qctx->authoritative = true;
	return STEER_CHAIN;
}

enum steer_result alias_answer(const struct view_map *map, struct made *made,
			       query_ctx_t *qctx, const struct place *place,
			       const struct gtm_answer *g,
			       struct send_answer *a)
{
	const dns_name_t *qname = qctx->client->query.qname;
	enum gtm_family family = family_of(qctx->qtype);
	const struct dname *target =
		g->host->candidate[family][g->pick[0]].alias;
	struct pen pen;

	if (!is_final(qctx->qtype) &&
	    (recurses(qctx->client) || leads_to_ours(map, qctx, target)))
		return begin_chain(map, qctx, family, g);
	made_begin(&pen, made, qctx, place->apex_labels);
	made_record_at(&pen, MADE_ANSWER,
		       made_octets(qname->ndata, qname->length),
		       dns_rdatatype_cname, g->ttl_s,
		       made_octets(target->wire, target->n), 1);
	(void)made_end(&pen, STORE_POSITIVE, a);
	return STEER_ANSWER;
}

/* -- in named's own zones ---------------------------------------------------
 */

/* A name that is an alias can hold no other records (RFC 1034 3.6.2). */
static void tell_others(const struct gtm_host *host, dns_rdatatype_t type)
{
	static struct log_gate gate;
	char text[DNS_RDATATYPE_FORMATSIZE];

	dns_rdatatype_format(type, text, sizeof(text));
	log_limited(&gate, process_now_s(process_get()), ISC_LOG_WARNING,
		    "hostname '%s' is an alias, but its zone has %s records of "
		    "that name: nobody gets to see them",
		    host->config->id, text);
}

static void tell_apex(const struct gtm_host *host)
{
	static struct log_gate gate;

	log_limited(&gate, process_now_s(process_get()), ISC_LOG_ERROR,
		    "hostname '%s' has aliases, but is the apex of a zone, "
		    "which cannot be one: the zone's own records are served",
		    host->config->id);
}

bool edit_may_alias(const query_ctx_t *qctx, const struct gtm_host *host)
{
	if (dns_name_equal(dns_db_origin(qctx->db),
			   qctx->client->query.qname)) {
		tell_apex(host);
		return false;
	}
	return true;
}

bool edit_put_alias(struct edit *ed, const struct gtm_host *host,
		    enum gtm_family family, const struct gtm_answer *g,
		    const struct sign_set *from)
{
	const dns_name_t *qname = ed->qctx->client->query.qname;

	if (edit_has_name(ed, qname)) /* aliases go round in a ring */
		return false;
	edit_decided(ed, qname, family, g);
	if (ed->result == ISC_R_SUCCESS && from != NULL &&
	    edit_wants_sigs(ed) &&
	    edit_add_sigs(ed, ed->chained, from, g->ttl_s) != ISC_R_SUCCESS) {
		edit_drop_name(ed, ed->chained, DNS_SECTION_ANSWER);
		ed->result = ISC_R_NOMEMORY;
	}
	if (ed->result != ISC_R_SUCCESS)
		return false;
	steer_count(ed->qctx, host, family, false, g);
	return true;
}

static bool found_type(const query_ctx_t *qctx, dns_rdatatype_t type)
{
	return qctx->rdataset != NULL &&
	       dns_rdataset_isassociated(qctx->rdataset) &&
	       qctx->rdataset->type == type;
}

/*
 * The alias answers the question, which is not one that edit_respond() is for.
 * A signed zone has said which types there are: the alias is one for every type
 * where the zone has one, too; else other types are the zone's to give or to
 * deny.
 */
static bool is_answer(const query_ctx_t *qctx, const struct gtm_host *host)
{
	if (found_type(qctx, dns_rdatatype_cname))
		return host->all_alias;
	if (dns_db_issecure(qctx->db))
		return host->all_alias && qctx->qtype == dns_rdatatype_any;
	return alias_for_all(host, qctx->qtype);
}

/* What is decided, and signed in a signed zone; false: no alias. */
static bool decide_alias(query_ctx_t *qctx, const struct gtm_host *host,
			 enum gtm_family family, struct gtm_answer *g,
			 const struct sign_set **from)
{
	*from = NULL;
	if (!dns_db_issecure(qctx->db)) {
		steer_decide(qctx, host, family, g);
		return g->outcome == GTM_ALIAS;
	}
	if (qctx->zone != NULL)
		sign_meet(process_get()->sign, qctx->zone, qctx->db);
	return steer_decide_signed(qctx, qctx->db, host, family, g, from) &&
	       g->outcome == GTM_ALIAS;
}

bool alias_respond(const struct view_map *map, query_ctx_t *qctx)
{
	const dns_name_t *qname = qctx->client->query.qname;
	struct edit ed = { .map = map,
			   .qctx = qctx,
			   .msg = qctx->client->message };
	enum gtm_family family = family_of(qctx->qtype);
	const struct sign_set *from;
	struct gtm_answer g;

	if (!qctx->is_zone || qctx->db == NULL ||
	    ed.msg->rdclass != dns_rdataclass_in || edit_is_rewritten(qctx))
		return false;
	const struct place *place = host_at(&ed, qname);
	if (place == NULL || !is_answer(qctx, place->host) ||
	    !edit_may_alias(qctx, place->host))
		return false;
	if (found_type(qctx, qctx->type) && !is_address(qctx->type) &&
	    qctx->type != dns_rdatatype_cname)
		tell_others(place->host, qctx->type);
	/* no alias: for edit_message(), which decides again */
	return decide_alias(qctx, place->host, family, &g, &from) &&
	       edit_put_alias(&ed, place->host, family, &g, from);
}

void alias_finish(query_ctx_t *qctx, isc_result_t *resp)
{
	ns_client_t *client = qctx->client;
	dns_name_t target;

	client->query.attributes |= NS_QUERYATTR_PARTIALANSWER;
	client->query.attributes &= ~(unsigned int)NS_QUERYATTR_SECURE;
	qctx->result = ISC_R_SUCCESS;
	if (!is_final(qctx->qtype) && last_target(client, &target) &&
	    ask_for(client, &target)) {
		qctx->want_restart = true;
		if (!has(client, NS_QUERYATTR_WANTRECURSION))
			qctx->options |= GETDB_NOLOG;
	}
	*resp = ns_query_done(qctx);
}

/* -- further on in a chain --------------------------------------------------
 */

/* Decides at 'place', which the chain has come to; true: it goes on. */
static bool go_on(struct edit *ed, const struct place *place,
		  const dns_name_t *target)
{
	enum gtm_family family = family_of(ed->qctx->qtype);
	ns_client_t *client = ed->qctx->client;
	struct gtm_answer g;
	dns_name_t next;

	steer_decide(ed->qctx, place->host, family, &g);
	if (g.n == 0 || edit_has_name(ed, target))
		return false; /* for edit_message(), which decides again */
	steer_count(ed->qctx, place->host, family, false, &g);
	edit_decided(ed, target, family, &g);
	return g.outcome == GTM_ALIAS && ed->result == ISC_R_SUCCESS &&
	       last_target(client, &next) && ask_for(client, &next);
}

bool alias_ends_chain(const struct view_map *map, query_ctx_t *qctx)
{
	struct edit ed = { .map = map,
			   .qctx = qctx,
			   .msg = qctx->client->message,
			   .ours = !qctx->client->query.authdbset };
	dns_name_t *name;
	dns_name_t target;

	for (unsigned int i = 0; i < EDIT_CHAIN_MAX; i++) {
		const struct place *place =
			edit_chain_find(&ed, &name, &target);
		if (place == NULL)
			return false;
		if (!place->host->some_alias || !go_on(&ed, place, &target))
			return true;
	}
	return true;
}
