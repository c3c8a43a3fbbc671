/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/send.h"

#include <string.h>

#include <dns/message.h>
#include <dns/order.h>
#include <dns/rcode.h>
#include <dns/rdataset.h>
#include <dns/result.h>
#include <dns/stats.h>
#include <dns/view.h>
#include <isc/buffer.h>
#include <isc/netmgr.h>
#include <isc/random.h>
#include <isc/sockaddr.h>
#include <isc/stats.h>
#include <ns/client.h>
#include <ns/server.h>
#include <ns/stats.h>

#include "plugin/message.h"

#define STALE_TTL_S 30u	 /* RFC 8767 section 5 recommends it */
#define OPT_ROOM    256u /* options of ours never take more */

static bool has(const ns_client_t *client, unsigned int attribute)
{
	return (client->attributes & attribute) != 0;
}

static bool over_tcp(const ns_client_t *client)
{
	return has(client, NS_CLIENTATTR_TCP);
}

/*
 * The form that named would have made: it has already put minimal-responses,
 * the question's type and the EDNS size into these attributes.
 */
static const struct store_form *form_for(const ns_client_t *client,
					 const struct store_entry *e)
{
	unsigned int f = 0;

	if (has(client, NS_CLIENTATTR_WANTDNSSEC))
		f |= STORE_DNSSEC;
	if ((client->query.attributes & NS_QUERYATTR_NOAUTHORITY) != 0)
		f |= STORE_NOAUTH;
	if ((client->query.attributes & NS_QUERYATTR_NOADDITIONAL) != 0)
		f |= STORE_NOEXTRA;
	return store_form_of(e, f);
}

/* The largest message this client can take, as client_allocsendbuf() has it. */
static uint16_t size_limit(const ns_client_t *client)
{
	uint16_t limit = client->udpsize;

	if (over_tcp(client))
		return SEND_RAW_MAX;
	if (!has(client, NS_CLIENTATTR_HAVECOOKIE) &&
	    client->view->nocookieudp < limit)
		limit = client->view->nocookieudp;
	return limit < SEND_RAW_MAX ? limit : SEND_RAW_MAX;
}

static bool minimal_any(const query_ctx_t *qctx)
{
	return qctx->qtype == dns_rdatatype_any && qctx->view->minimal_any &&
	       !over_tcp(qctx->client);
}

/* What only named's renderer can do for this client or in this view. */
static bool needs_renderer(const query_ctx_t *qctx)
{
	const ns_client_t *client = qctx->client;
	const dns_view_t *view = qctx->view;

	return client->message->tsigkey != NULL ||
	       client->message->sig0key != NULL ||
	       (has(client, NS_CLIENTATTR_WANTPAD) && view->padding > 0) ||
	       view->sortlist != NULL || !view->msgcompression ||
	       view->nocasecompress != NULL || minimal_any(qctx) ||
	       isc_nm_is_http_handle(client->handle);
}

/* The order in which this view gives out sets of several records. */
static unsigned int order_of(const query_ctx_t *qctx)
{
	const ns_client_t *client = qctx->client;

	if (client->view->order == NULL)
		return 0;
	return dns_order_find(client->view->order, client->query.qname,
			      qctx->qtype, dns_rdataclass_in) &
	       (DNS_RDATASETATTR_RANDOMIZE | DNS_RDATASETATTR_CYCLIC);
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* Copies the form and patches all that differs from client to client. */
static void patch(struct send *s, query_ctx_t *qctx,
		  const struct send_answer *a)
{
	const ns_client_t *client = qctx->client;
	const dns_message_t *msg = client->message;
	const dns_name_t *qname = client->query.qname;
	const struct store_form *f = a->form;

	memcpy(s->wire, a->octets + f->wire, f->n);
	s->n = f->n;
	s->wire[2] |= (msg->flags & DNS_MESSAGEFLAG_RD) != 0 ? 0x01 : 0;
	s->wire[3] |= (msg->flags & DNS_MESSAGEFLAG_CD) != 0 ? 0x10 : 0;
	s->wire[3] |= has(client, NS_CLIENTATTR_RA) ? 0x80 : 0;
	if (f->count[0] + f->count[1] == 0)
		s->wire[3] |= (msg->flags & DNS_MESSAGEFLAG_AD) != 0 ? 0x20 : 0;
	put16(s->wire + 6, f->count[0]);
	put16(s->wire + 8, f->count[1]);
	put16(s->wire + 10, f->count[2]);
	memcpy(s->wire + WIRE_HEADER, qname->ndata, qname->length);
	if (a->age_s > 0 || a->stale) { /* what is made has no TTL offsets */
		size_t n;
		const uint16_t *ttls = store_form_ttls(a->octets, f, &n);
		wire_age(s->wire, ttls, n, a->age_s, a->stale ? STALE_TTL_S : 0,
			 a->stale);
	}
}

static void turn(struct send *s, const struct send_answer *a,
		 unsigned int order)
{
	const struct store_form *f = a->form;

	if (f->n_turns == 0 || order == 0)
		return;
	uint32_t first = (order & DNS_RDATASETATTR_RANDOMIZE) != 0
				 ? isc_random32()
				 : atomic_fetch_add_explicit(
					   a->turns, 1, memory_order_relaxed);

	const struct wire_turn *set = store_form_turns(a->octets, f);
	for (unsigned int i = 0; i < f->n_turns && set[i].offset < f->n; i++)
		wire_turn(s->wire, &set[i], first);
}

/* Appends the OPT record that named has built for this client. */
static bool add_opt(struct send *s, ns_client_t *client, uint16_t limit)
{
	dns_rdata_t rdata = DNS_RDATA_INIT;

	if (!has(client, NS_CLIENTATTR_WANTOPT))
		return true;
	if (ns_client_addopt(client, client->message, &client->opt) !=
	    ISC_R_SUCCESS)
		return false;
	if (dns_rdataset_first(client->opt) != ISC_R_SUCCESS)
		return false;
	dns_rdataset_current(client->opt, &rdata);
	if (rdata.length > OPT_ROOM || s->n + 11u + rdata.length > limit)
		return false;

	uint8_t *p = s->wire + s->n;
	p[0] = 0;
	put16(p + 1, dns_rdatatype_opt);
	put16(p + 3, client->opt->rdclass);
	put16(p + 5, (uint16_t)(client->opt->ttl >> 16));
	put16(p + 7, (uint16_t)client->opt->ttl);
	put16(p + 9, (uint16_t)rdata.length);
	if (rdata.length > 0)
		memcpy(p + 11, rdata.data, rdata.length);
	s->n = (uint16_t)(s->n + 11u + rdata.length);
	put16(s->wire + 10, (uint16_t)(get16(s->wire + 10) + 1));
	return true;
}

static void drop_opt(ns_client_t *client)
{
	if (client->opt == NULL)
		return;
	dns_rdataset_disassociate(client->opt);
	dns_message_puttemprdataset(client->message, &client->opt);
}

/*
 * What the stored wire might grow by if named rendered it: it compresses names
 * only against equal spelling, and this client spells the question in its own
 * way (RFC 1035 section 4.1.4 leaves that to the server).
 */
static unsigned int growth(const query_ctx_t *qctx, const struct send_answer *a)
{
	const dns_name_t *qname = qctx->client->query.qname;
	const uint8_t *stored = a->octets + a->form->wire + WIRE_HEADER;

	return memcmp(stored, qname->ndata, qname->length) == 0 ? 0
								: qname->length;
}

static bool try_raw(struct send *s, query_ctx_t *qctx,
		    const struct send_answer *a)
{
	const struct store_form *f = a->form;
	uint16_t limit = size_limit(qctx->client);
	unsigned int order = 0;

	if (a->edit || needs_renderer(qctx))
		return false;
	unsigned int room = growth(qctx, a);
	if (f->n + room > limit)
		return false;
	limit = (uint16_t)(limit - room);
	if (f->n_turns > 0 || f->fixed_order)
		order = order_of(qctx);
	if (f->fixed_order && order != 0)
		return false;
	patch(s, qctx, a);
	turn(s, a, order);
	if (add_opt(s, qctx->client, limit))
		return true;
	drop_opt(qctx->client);
	return false;
}

void send_stored(struct send_answer *a, const query_ctx_t *qctx,
		 struct store_entry *e, uint32_t now_s, bool stale)
{
	*a = (struct send_answer){
		.octets = e->octets,
		.form = form_for(qctx->client, e),
		.kind = e->kind,
		.rcode = e->rcode,
		.aa = e->aa,
		.stale = stale,
		.age_s = store_age_s(e, now_s),
		.turns = &e->turns,
	};
}

static void prepare_message(struct send *s, query_ctx_t *qctx,
			    const struct send_answer *a)
{
	const struct store_form *f = a->form;
	struct message_source source = {
		.wire = a->octets + f->wire,
		.n = f->n,
		.count = { f->count[0], f->count[1], f->count[2] },
		.age_s = a->age_s,
		.stale = a->stale,
		.stale_ttl_s = STALE_TTL_S,
		.first_type_only = minimal_any(qctx),
		.keep_order = a->turns == NULL,
		.edit = a->edit,
	};

	if (a->turns != NULL)
		source.turn = atomic_fetch_add_explicit(a->turns, 1,
							memory_order_relaxed);
	s->failed = message_fill(qctx, &source) != ISC_R_SUCCESS;
	qctx->authoritative = a->aa;
	qctx->client->message->rcode = a->rcode;
	qctx->client->query.isreferral = a->kind == STORE_REFERRAL;
}

void send_prepare(struct send *s, query_ctx_t *qctx,
		  const struct send_answer *a)
{
	if (a->stale)
		ns_client_extendederror(qctx->client,
					a->rcode == dns_rcode_nxdomain
						? DNS_EDE_STALENXANSWER
						: DNS_EDE_STALEANSWER,
					NULL);
	if (a->rcode == dns_rcode_servfail) /* as named: see answer.c */
		ns_client_extendederror(qctx->client, DNS_EDE_OTHER,
					"max. restarts reached");
	s->kind = a->kind;
	s->failed = false;
	s->raw = try_raw(s, qctx, a);
	if (!s->raw)
		prepare_message(s, qctx, a);
}

static void count_one(const ns_client_t *client, isc_statscounter_t counter)
{
	ns_stats_increment(client->sctx->nsstats, counter);
}

/* What named's query_send() and ns_client_send() would have counted. */
static void count_sent(const struct send *s, const ns_client_t *client)
{
	static const isc_statscounter_t by_kind[] = {
		[STORE_POSITIVE] = ns_statscounter_success,
		[STORE_NODATA] = ns_statscounter_nxrrset,
		[STORE_NXDOMAIN] = ns_statscounter_nxdomain,
		[STORE_REFERRAL] = ns_statscounter_referral,
		[STORE_FAILURE] = ns_statscounter_failure,
	};
	const ns_server_t *server = client->sctx;
	bool v4 = isc_sockaddr_pf(&client->peeraddr) == AF_INET;
	isc_stats_t *sizes =
		over_tcp(client)
			? (v4 ? server->tcpoutstats4 : server->tcpoutstats6)
			: (v4 ? server->udpoutstats4 : server->udpoutstats6);

	count_one(client,
		  over_tcp(client) ? ns_statscounter_tcp : ns_statscounter_udp);
	count_one(client, (s->wire[2] & 0x04) != 0
				  ? ns_statscounter_authans
				  : ns_statscounter_nonauthans);
	count_one(client, by_kind[s->kind]);
	count_one(client, ns_statscounter_response);
	if (client->opt != NULL)
		count_one(client, ns_statscounter_edns0out);
	dns_rcodestats_increment(server->rcodestats, s->wire[3] & 0x0f);
	isc_stats_increment(sizes, s->n / 16 < 256 ? s->n / 16 : 256);
}

void send_finish(struct send *s, query_ctx_t *qctx, isc_result_t *resp)
{
	ns_client_t *client = qctx->client;
	dns_message_t *msg = client->message;

	if (s->failed) {
		send_failure(qctx, DNS_EDE_OTHER, "answer not usable", resp);
		return;
	}
	if (!s->raw) {
		count_one(client, over_tcp(client) ? ns_statscounter_tcp
						   : ns_statscounter_udp);
		*resp = ns_query_done(qctx);
		return;
	}
	isc_region_t saved = msg->saved;
	msg->saved.base = s->wire;
	msg->saved.length = s->n;
	count_sent(s, client);
	ns_client_sendraw(client, msg);
	msg->saved = saved;
	client->query.attributes |= NS_QUERYATTR_ANSWERED;
	if (!client->nodetach)
		isc_nmhandle_detach(&client->reqhandle);
	qctx->detach_client = true;
	*resp = ISC_R_SUCCESS;
}

void send_failure(query_ctx_t *qctx, uint16_t ede, const char *text,
		  isc_result_t *resp)
{
	ns_client_extendederror(qctx->client, ede, text);
	qctx->result = DNS_R_SERVFAIL;
	qctx->line = __LINE__;
	*resp = ns_query_done(qctx);
}
