/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/access.h"

#include <dns/acl.h>
#include <dns/log.h>
#include <dns/message.h>
#include <dns/name.h>
#include <dns/rcode.h>
#include <dns/rdata.h>
#include <dns/result.h>
#include <dns/rrl.h>
#include <dns/view.h>
#include <isc/log.h>
#include <ns/client.h>
#include <ns/log.h>
#include <ns/server.h>
#include <ns/stats.h>

static bool has(const ns_client_t *client, unsigned int attribute)
{
	return (client->attributes & attribute) != 0;
}

static enum access refuse(query_ctx_t *qctx, isc_result_t result, int line)
{
	qctx->result = result;
	qctx->line = line;
	return ACCESS_REFUSED;
}

static enum access badcookie(query_ctx_t *qctx)
{
	dns_message_t *msg = qctx->client->message;

	msg->flags &= ~(unsigned int)(DNS_MESSAGEFLAG_AA | DNS_MESSAGEFLAG_AD);
	msg->rcode = dns_rcode_badcookie;
	return ACCESS_REFUSED;
}

static enum access bad_owner(query_ctx_t *qctx)
{
	char name[DNS_NAME_FORMATSIZE];
	char type[DNS_RDATATYPE_FORMATSIZE];
	char class[DNS_RDATACLASS_FORMATSIZE];

	dns_name_format(qctx->client->query.qname, name, sizeof(name));
	dns_rdatatype_format(qctx->qtype, type, sizeof(type));
	dns_rdataclass_format(qctx->client->message->rdclass, class,
			      sizeof(class));
	ns_client_log(qctx->client, DNS_LOGCATEGORY_SECURITY,
		      NS_LOGMODULE_QUERY, ISC_LOG_ERROR,
		      "check-names failure %s/%s/%s", name, type, class);
	return refuse(qctx, DNS_R_REFUSED, __LINE__);
}

static void log_query_acl(query_ctx_t *qctx, int level, const char *verdict)
{
	ns_client_t *client = qctx->client;
	char msg[NS_CLIENT_ACLMSGSIZE("query")];

	if (!isc_log_wouldlog(ns_lctx, level))
		return;
	ns_client_aclmsg("query", client->query.qname, qctx->qtype,
			 client->view->rdclass, msg, sizeof(msg));
	ns_client_log(client, DNS_LOGCATEGORY_SECURITY, NS_LOGMODULE_QUERY,
		      level, "%s %s", msg, verdict);
}

/* dns_acl_isany() spares most servers a walk for each query. */
static bool allows(ns_client_t *client, isc_netaddr_t *address, dns_acl_t *acl)
{
	return acl == NULL || dns_acl_isany(acl) ||
	       ns_client_checkaclsilent(client, address, acl, true) ==
		       ISC_R_SUCCESS;
}

static enum access check_acls(query_ctx_t *qctx, dns_acl_t *query_on)
{
	ns_client_t *client = qctx->client;
	dns_view_t *view = client->view;

	if (!allows(client, NULL, view->queryacl)) {
		log_query_acl(qctx, ISC_LOG_INFO, "denied");
		ns_client_extendederror(client, DNS_EDE_PROHIBITED, NULL);
		return refuse(qctx, DNS_R_REFUSED, __LINE__);
	}
	log_query_acl(qctx, ISC_LOG_DEBUG(3), "approved");

	if (!allows(client, &client->destaddr, query_on)) {
		ns_client_extendederror(client, DNS_EDE_PROHIBITED, NULL);
		ns_client_log(client, DNS_LOGCATEGORY_SECURITY,
			      NS_LOGMODULE_QUERY, ISC_LOG_INFO,
			      "query-on denied");
		return refuse(qctx, DNS_R_REFUSED, __LINE__);
	}
	return ACCESS_OK;
}

enum access access_check(query_ctx_t *qctx, dns_acl_t *query_on)
{
	ns_client_t *client = qctx->client;

	if (qctx->view->requireservercookie &&
	    !has(client, NS_CLIENTATTR_TCP) &&
	    has(client, NS_CLIENTATTR_WANTCOOKIE) &&
	    !has(client, NS_CLIENTATTR_HAVECOOKIE))
		return badcookie(qctx);
	if (qctx->view->checknames &&
	    !dns_rdata_checkowner(client->query.qname, client->message->rdclass,
				  qctx->qtype, false))
		return bad_owner(qctx);
	return check_acls(qctx, query_on);
}

static isc_result_t rate_class(enum store_kind kind)
{
	switch (kind) {
	case STORE_NXDOMAIN:
		return DNS_R_NXDOMAIN;
	case STORE_NODATA:
		return DNS_R_NXRRSET;
	case STORE_REFERRAL:
		return DNS_R_DELEGATION;
	case STORE_POSITIVE:
	case STORE_FAILURE:
		break;
	}
	return ISC_R_SUCCESS;
}

void access_slip(query_ctx_t *qctx, uint16_t ede, const char *text)
{
	ns_client_t *client = qctx->client;

	ns_client_extendederror(client, ede, text);
	if (has(client, NS_CLIENTATTR_WANTCOOKIE) &&
	    !has(client, NS_CLIENTATTR_HAVECOOKIE)) {
		(void)badcookie(qctx);
		return;
	}
	qctx->authoritative = true;
	client->message->flags |= DNS_MESSAGEFLAG_TC;
}

void access_drop(query_ctx_t *qctx)
{
	(void)refuse(qctx, DNS_R_DROP, __LINE__);
}

/* RRL said no: drop, or slip a truncated or BADCOOKIE answer. */
static enum access limited(query_ctx_t *qctx, dns_rrl_result_t verdict,
			   isc_result_t class)
{
	ns_client_t *client = qctx->client;
	ns_server_t *server = client->sctx;

	if (verdict == DNS_RRL_RESULT_DROP) {
		ns_stats_increment(server->nsstats,
				   ns_statscounter_ratedropped);
		return refuse(qctx, DNS_R_DROP, __LINE__);
	}
	ns_stats_increment(server->nsstats, ns_statscounter_rateslipped);
	if (has(client, NS_CLIENTATTR_WANTCOOKIE))
		return badcookie(qctx);
	qctx->authoritative = true;
	client->message->flags |= DNS_MESSAGEFLAG_TC;
	if (class == DNS_R_NXDOMAIN)
		client->message->rcode = dns_rcode_nxdomain;
	return ACCESS_REFUSED;
}

enum access access_rate(query_ctx_t *qctx, enum store_kind kind,
			unsigned int counted_labels)
{
	ns_client_t *client = qctx->client;
	char text[DNS_RRL_LOG_BUF_LEN];
	dns_name_t counted = DNS_NAME_INITEMPTY;

	if (qctx->view->rrl == NULL || has(client, NS_CLIENTATTR_HAVECOOKIE) ||
	    (client->query.attributes & NS_QUERYATTR_RRL_CHECKED) != 0)
		return ACCESS_OK;
	client->query.attributes |= NS_QUERYATTR_RRL_CHECKED;

	unsigned int labels = dns_name_countlabels(client->query.qname);
	unsigned int n = counted_labels < labels ? counted_labels : labels;
	dns_name_getlabelsequence(client->query.qname, labels - n, n, &counted);

	bool log = isc_log_wouldlog(ns_lctx, DNS_RRL_LOG_DROP);
	isc_result_t class = rate_class(kind);
	dns_rrl_result_t verdict =
		dns_rrl(qctx->view, NULL, &client->peeraddr,
			has(client, NS_CLIENTATTR_TCP),
			client->message->rdclass, qctx->qtype, &counted, class,
			client->now, log, text, sizeof(text));
	if (verdict == DNS_RRL_RESULT_OK)
		return ACCESS_OK;
	if (log)
		ns_client_log(client, DNS_LOGCATEGORY_RRL, NS_LOGMODULE_QUERY,
			      DNS_RRL_LOG_DROP, "%s", text);
	if (qctx->view->rrl->log_only)
		return ACCESS_OK;
	return limited(qctx, verdict, class);
}
