/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/steer.h"

#include <string.h>
#include <time.h>

#include <dns/ecs.h>
#include <dns/message.h>
#include <dns/name.h>
#include <dns/rcode.h>
#include <dns/rdatatype.h>
#include <isc/netaddr.h>
#include <isc/random.h>
#include <isc/sockaddr.h>
#include <ns/client.h>

#include "plugin/alias.h"
#include "plugin/notes.h"
#include "plugin/nsselect.h"

#define REDRAWS	  4u   /* while a signature is pending */
#define FEW_DRAWS 256u /* a power of two */

/* -- the client ------------------------------------------------------------ */

static bool has_subnet(const ns_client_t *client, const struct gtm_host *host)
{
	return host->config->ecs &&
	       (client->attributes & NS_CLIENTATTR_HAVEECS) != 0 &&
	       client->ecs.source > 0;
}

static void take_address(struct gtm_client *out, const isc_netaddr_t *address)
{
	out->v6 = address->family == AF_INET6;
	if (out->v6)
		memcpy(out->address, &address->type.in6, 16);
	else
		memcpy(out->address, &address->type.in, 4);
	out->bits = out->v6 ? 128 : 32;
}

static void client_of(const ns_client_t *client, bool subnet,
		      struct gtm_client *out)
{
	isc_netaddr_t address;

	*out = (struct gtm_client){ 0 };
	if (subnet) {
		take_address(out, &client->ecs.addr);
		if (client->ecs.source < out->bits)
			out->bits = client->ecs.source;
		return;
	}
	isc_netaddr_fromsockaddr(&address, &client->peeraddr);
	take_address(out, &address);
}

/*
 * Random enough to spread load: a sequence of this thread's own, whose numbers
 * gtm_decide() mixes.  named's generator costs more than a decision.
 */
static uint64_t random_bits(void)
{
	static _Thread_local uint64_t state;

	if (state == 0)
		isc_random_buf(&state, sizeof(state));
	state += UINT64_C(0xd1342543de82ef95);
	return state;
}

static void decide(const query_ctx_t *qctx, const struct gtm_host *host,
		   enum gtm_family family, uint64_t random,
		   struct gtm_answer *answer)
{
	struct process *p = process_get();
	struct gtm_question q = {
		.family = family,
		.now_ms = process_now_ms(p),
		.random = random,
		.persist = process_clients(p),
		.clients = atomic_load_explicit(&host->world->clients,
						memory_order_acquire),
	};

	client_of(qctx->client, has_subnet(qctx->client, host), &q.client);
	gtm_decide(host, &q, answer, NULL);
}

/* The time, fine enough to tell what came before what. */
static uint64_t coarse_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Notes an answer for the journal, which gets the client's network alone. */
static void note_answer(const query_ctx_t *qctx, const struct gtm_host *host,
			enum gtm_family family, bool extra,
			const struct gtm_answer *answer)
{
	struct gtm_client client;
	struct note note = { .host = host,
			     .of = answer->host,
			     .now_ms = coarse_ms(),
			     .ttl_s = answer->ttl_s,
			     .family = (uint8_t)family,
			     .rule = (uint8_t)answer->rule,
			     .tier = answer->tier,
			     .outcome = (uint8_t)answer->outcome,
			     .extra = extra,
			     .n = answer->n };

	client_of(qctx->client, has_subnet(qctx->client, host), &client);
	note.client_v6 = client.v6;
	note.client_bits = client.bits;
	memcpy(note.client, client.address, sizeof(note.client));
	memcpy(note.pick, answer->pick, answer->n * sizeof(note.pick[0]));
	notes_put(process_get()->notes, &note);
}

/* What is to be remembered of a client: what it was given, what is not known.
 */
static void keep_client(const query_ctx_t *qctx, const struct gtm_host *host,
			enum gtm_family family, const struct gtm_answer *answer)
{
	struct process *p = process_get();
	struct gtm_question q = { .family = family,
				  .now_ms = process_now_ms(p) };

	client_of(qctx->client, has_subnet(qctx->client, host), &q.client);
	gtm_decide_keep(process_clients(p), &q, answer);
	if (answer->unmeasured && host->world->groups != NULL)
		gtm_wanted_note(p->wanted, &q.client, 0);
}

void steer_decide(const query_ctx_t *qctx, const struct gtm_host *host,
		  enum gtm_family family, struct gtm_answer *answer)
{
	decide(qctx, host, family, random_bits(), answer);
}

/*
 * Of more sets than can be kept signed, few are drawn, again and again: each
 * of so many random numbers stands for one, as long as the servers are as they
 * are.
 */
static uint64_t draws_of(const struct gtm_host *host, enum gtm_family family)
{
	for (; host != NULL; host = host->otherwise) {
		unsigned int answers = host->config->answers;
		if (answers > 1 &&
		    sign_subsets(host->n[family], answers) > SIGN_SUBSETS_MAX)
			return FEW_DRAWS - 1;
	}
	return UINT64_MAX;
}

/* The upper bits of the sequence are the random ones. */
static uint64_t few_bits(uint64_t mask)
{
	uint64_t bits = random_bits();

	return mask == UINT64_MAX ? bits : bits >> 32 & mask;
}

/* Those that were drawn but for 'left_out'; all of them were eligible. */
static const struct sign_set *
without(const query_ctx_t *qctx, const dns_db_t *db,
	const struct gtm_host *host, enum gtm_family family,
	unsigned int left_out, struct gtm_answer *answer)
{
	struct gtm_answer drawn = *answer;

	answer->n = 0;
	for (unsigned int i = 0; i < drawn.n; i++)
		if (i != left_out)
			answer->pick[answer->n++] = drawn.pick[i];
	const struct sign_set *set =
		sign_find(process_get()->sign, db, host, family, answer,
			  qctx->client->now);
	if (set == NULL)
		*answer = drawn;
	return set;
}

static void note_pending(const struct gtm_host *host)
{
	atomic_fetch_add_explicit(&host->counts->n[GTM_PENDING], 1,
				  memory_order_relaxed);
}

/* Some addresses of those that were drawn: all but one, or one alone. */
static const struct sign_set *fewer(const query_ctx_t *qctx, const dns_db_t *db,
				    const struct gtm_host *host,
				    enum gtm_family family,
				    const struct gtm_answer *drawn,
				    struct gtm_answer *answer)
{
	const struct sign_set *set = NULL;

	*answer = *drawn;
	for (unsigned int i = 0; i < drawn->n && drawn->n > 2 && set == NULL;
	     i++)
		set = without(qctx, db, host, family, i, answer);
	for (unsigned int i = 0; i < drawn->n && set == NULL; i++) {
		answer->n = 1;
		answer->pick[0] = drawn->pick[i];
		set = sign_find(process_get()->sign, db, host, family, answer,
				qctx->client->now);
	}
	if (set != NULL)
		note_pending(host);
	return set;
}

bool steer_decide_signed(const query_ctx_t *qctx, const dns_db_t *db,
			 const struct gtm_host *host, enum gtm_family family,
			 struct gtm_answer *answer,
			 const struct sign_set **setp)
{
	uint64_t mask = draws_of(host, family);
	struct sign *s = process_get()->sign;
	const struct sign_set *set = NULL;
	struct gtm_answer first;

	for (unsigned int i = 0; i <= REDRAWS && set == NULL; i++) {
		decide(qctx, host, family, few_bits(mask), answer);
		if (answer->n > 0)
			set = sign_find(s, db, host, family, answer,
					qctx->client->now);
		if (set != NULL && i > 0)
			note_pending(host);
		if (set != NULL)
			break;
		if (!sign_ready(s, db)) {
			answer->outcome = GTM_ADDRESSES;
			return false;
		}
		if (answer->n == 0)
			return false;
		if (i == 0) {
			first = *answer;
			sign_wish(s, db, host, family, answer);
		}
		if (answer->host->config->persist_s > 0)
			break; /* would be the same again */
	}
	if (set == NULL)
		set = fewer(qctx, db, host, family, &first, answer);
	if (set == NULL)
		return false;
	/* a validator takes the original TTL for the longest */
	if (answer->ttl_s > set->ttl_s)
		answer->ttl_s = set->ttl_s;
	*setp = set;
	return true;
}

void steer_count(query_ctx_t *qctx, const struct gtm_host *host,
		 enum gtm_family family, bool extra,
		 const struct gtm_answer *answer)
{
	ns_client_t *client = qctx->client;

	gtm_decide_count(host, family, answer, extra);
	if (answer->unmeasured || answer->host->config->persist_s > 0)
		keep_client(qctx, host, family, answer);
	const struct notes *notes = process_get()->notes;
	if (notes_on(notes) &&
	    notes_wanted(notes, (uint32_t)(random_bits() >> 32)))
		note_answer(qctx, host, family, extra, answer);
	/* nothing that is decided is authenticated, no record at all included
	 */
	client->message->flags &= ~(unsigned int)DNS_MESSAGEFLAG_AD;
	if (answer->scope > client->ecs.scope && has_subnet(client, host))
		client->ecs.scope = answer->scope;
}

void steer_try(const query_ctx_t *qctx, const struct view_map *map)
{
	const dns_name_t *qname = qctx->client->query.qname;
	const struct gtm_host *host = map_dry(map, qname->ndata, qname->length);
	struct gtm_answer g;

	if (host == NULL || !steer_decides(qctx->qtype))
		return;
	enum gtm_family family =
		qctx->qtype == dns_rdatatype_aaaa ? GTM_V6 : GTM_V4;
	steer_decide(qctx, host, family, &g);
	atomic_fetch_add_explicit(&host->counts->n[GTM_DRY], 1,
				  memory_order_relaxed);
	const struct notes *notes = process_get()->notes;
	if (notes_on(notes) &&
	    notes_wanted(notes, (uint32_t)(random_bits() >> 32)))
		note_answer(qctx, host, family, true, &g);
}

/* -- wires ----------------------------------------------------------------- */

static void put_addresses(struct pen *pen, const struct gtm_host *host,
			  enum gtm_family family, const struct gtm_answer *g)
{
	bool v6 = family == GTM_V6;

	host = g->host; /* or the one that stands in for it */
	for (unsigned int i = 0; i < g->n; i++) {
		const struct gtm_candidate *c =
			&host->candidate[family][g->pick[i]];
		made_record(pen, MADE_ANSWER, WIRE_HEADER,
			    v6 ? dns_rdatatype_aaaa : dns_rdatatype_a, g->ttl_s,
			    made_octets(c->address, v6 ? 16 : 4));
	}
}

static void put_soa(struct pen *pen, enum made_section section,
		    const struct domain *domain)
{
	const struct config_domain *config = domain->config;
	uint32_t ttl_s = config->ttl_s;

	/* RFC 2308 section 3 */
	if (section == MADE_AUTHORITY && config->negative_ttl_s < ttl_s)
		ttl_s = config->negative_ttl_s;
	made_record(pen, section, pen->apex, dns_rdatatype_soa, ttl_s,
		    made_octets(domain->soa, domain->soa_n));
}

/* Those that are decided, or all. */
static void put_ns(struct pen *pen, query_ctx_t *qctx,
		   const struct view_map *map, const struct domain *domain)
{
	const struct config_domain *config = domain->config;
	struct nsselect s;
	size_t n = 0;

	nsselect_decide(map, qctx, config->name.wire, config->name.n, false,
			&s);
	for (size_t i = 0; i < config->n_ns; i++)
		n += nsselect_has(&s, config->ns[i].wire, config->ns[i].n);
	if (n == 0)
		s.host = NULL;
	for (size_t i = 0; i < config->n_ns; i++) {
		const struct dname *ns = &config->ns[i];
		if (!nsselect_has(&s, ns->wire, ns->n))
			continue;
		made_record(pen, MADE_ANSWER, pen->apex, dns_rdatatype_ns,
			    s.host != NULL ? s.g.ttl_s : config->ttl_s,
			    made_octets(ns->wire, ns->n));
	}
}

static enum steer_result finish(struct pen *pen, enum store_kind kind,
				struct send_answer *a)
{
	(void)made_end(pen, kind, a); /* none of these can be too large */
	return STEER_ANSWER;
}

enum steer_result steer_host(const struct view_map *map, struct made *made,
			     query_ctx_t *qctx, const struct place *place,
			     struct send_answer *a)
{
	enum gtm_family family =
		qctx->qtype == dns_rdatatype_aaaa ? GTM_V6 : GTM_V4;
	struct gtm_answer g;
	struct pen pen;

	steer_decide(qctx, place->host, family, &g);
	steer_count(qctx, place->host, family, false, &g);
	if (g.outcome == GTM_SERVFAIL)
		return STEER_FAIL;
	if (g.outcome == GTM_ALIAS)
		return alias_answer(map, made, qctx, place, &g, a);
	made_begin(&pen, made, qctx, place->apex_labels);
	put_addresses(&pen, place->host, family, &g);
	if (g.n == 0 && place->domain != NULL)
		put_soa(&pen, MADE_AUTHORITY, place->domain);
	return finish(&pen, g.n > 0 ? STORE_POSITIVE : STORE_NODATA, a);
}

/* Every address that this client would get; false: SERVFAIL. */
static bool put_any_addresses(struct pen *pen, query_ctx_t *qctx,
			      const struct gtm_host *host)
{
	for (unsigned int f = 0; f < GTM_FAMILIES; f++) {
		struct gtm_answer g;
		if (host->n[f] == 0)
			continue;
		steer_decide(qctx, host, (enum gtm_family)f, &g);
		steer_count(qctx, host, (enum gtm_family)f, f != 0, &g);
		if (g.outcome == GTM_SERVFAIL)
			return false;
		if (g.outcome == GTM_ALIAS)
			continue; /* it would have to stand alone */
		put_addresses(pen, host, (enum gtm_family)f, &g);
	}
	return true;
}

enum steer_result steer_domain(const struct view_map *map, struct made *made,
			       query_ctx_t *qctx, const struct place *place,
			       bool exact, struct send_answer *a)
{
	dns_rdatatype_t type = qctx->qtype;
	bool any = type == dns_rdatatype_any;
	struct pen pen;

	if (exact && place->host != NULL &&
	    (steer_decides(type) || alias_for_all(place->host, type)))
		return steer_host(map, made, qctx, place, a);
	atomic_fetch_add_explicit(&process_get()->domain_other, 1,
				  memory_order_relaxed);
	made_begin(&pen, made, qctx, place->apex_labels);
	if (exact && place->host != NULL && any &&
	    !put_any_addresses(&pen, qctx, place->host))
		return STEER_FAIL;
	if (pen.apex == WIRE_HEADER) {
		if (any || type == dns_rdatatype_soa)
			put_soa(&pen, MADE_ANSWER, place->domain);
		if (any || type == dns_rdatatype_ns)
			put_ns(&pen, qctx, map, place->domain);
	}
	if (made->form.count[MADE_ANSWER] > 0)
		return finish(&pen, STORE_POSITIVE, a);
	put_soa(&pen, MADE_AUTHORITY, place->domain);
	/* RFC 8020: a name with names below it exists */
	return finish(&pen, exact ? STORE_NODATA : STORE_NXDOMAIN, a);
}
