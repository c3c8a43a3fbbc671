/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <dns/rcode.h>
#include <dns/rdata.h>
#include <dns/rdatastruct.h>
#include <dns/result.h>
#include <isc/buffer.h>
#include <isc/mem.h>

#include "cacheproxy/answer_int.h"

/* Seconds that half a chain of aliases is kept: RFC 9520 wants 1 to 300. */
#define ANSWER_HALF_S	   5u
#define ANSWER_ALIASES_MAX 32u /* named follows fewer */

int answer_maker_new(struct isc_mem *mctx, struct answer_maker **makerp)
{
	struct answer_maker *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return -ENOMEM;
	m->mctx = mctx;
	dns_message_create(mctx, DNS_MESSAGE_INTENTPARSE, &m->msg);
	dns_message_create(mctx, DNS_MESSAGE_INTENTPARSE, &m->again);
	*makerp = m;
	return 0;
}

void answer_maker_free(struct answer_maker *m)
{
	if (m == NULL)
		return;
	dns_message_detach(&m->msg);
	dns_message_detach(&m->again);
	free(m);
}

const char *answer_fault_text(enum answer_fault fault)
{
	static const char *const text[ANSWER_FAULTS] = {
		[ANSWER_OK] = "ok",
		[ANSWER_MALFORMED] = "malformed",
		[ANSWER_QUESTION] = "not the question asked",
		[ANSWER_RCODE] = "error rcode",
		[ANSWER_TRUNCATED] = "truncated",
		[ANSWER_BAILIWICK] = "nothing of the zone in it",
		[ANSWER_LAME] = "not authoritative for the zone",
		[ANSWER_TOO_BIG] = "too many records",
		[ANSWER_MEMORY] = "out of memory",
	};

	return fault < ANSWER_FAULTS ? text[fault] : "unknown";
}

/* A libdns name over the octets of 'wire'; it owns nothing. */
static void name_view(dns_name_t *name, const uint8_t *wire, size_t n)
{
	isc_region_t region = { (unsigned char *)wire, (unsigned int)n };

	dns_name_fromregion(name, &region);
}

/*
 * Aliases that loop, or too many: the origin gives those it has followed, and
 * SERVFAIL.
 */
static bool is_half(const dns_message_t *msg)
{
	return msg->rcode == dns_rcode_servfail &&
	       (msg->flags & DNS_MESSAGEFLAG_AA) != 0 &&
	       msg->counts[DNS_SECTION_ANSWER] > 0;
}

static enum answer_fault check_header(const dns_message_t *msg, uint16_t qtype,
				      const dns_name_t *qname)
{
	if ((msg->flags & DNS_MESSAGEFLAG_QR) == 0 ||
	    msg->opcode != dns_opcode_query ||
	    msg->counts[DNS_SECTION_QUESTION] != 1)
		return ANSWER_QUESTION;

	const dns_name_t *name =
		ISC_LIST_HEAD(msg->sections[DNS_SECTION_QUESTION]);
	const dns_rdataset_t *set =
		name != NULL ? ISC_LIST_HEAD(name->list) : NULL;
	if (set == NULL || set->type != qtype ||
	    set->rdclass != dns_rdataclass_in || !dns_name_equal(name, qname))
		return ANSWER_QUESTION;
	if (msg->rcode != dns_rcode_noerror &&
	    msg->rcode != dns_rcode_nxdomain &&
	    msg->rcode != dns_rcode_yxdomain && !is_half(msg))
		return ANSWER_RCODE;
	return (msg->flags & DNS_MESSAGEFLAG_TC) != 0 ? ANSWER_TRUNCATED
						      : ANSWER_OK;
}

/* Records that describe the message or the transfer, not the zone. */
static bool is_meta(dns_rdatatype_t type)
{
	return dns_rdatatype_ismeta(type) || type == dns_rdatatype_opt ||
	       type == dns_rdatatype_none;
}

bool answer_signs(const dns_rdataset_t *set, dns_rdatatype_t type)
{
	return set->type == type ||
	       (set->type == dns_rdatatype_rrsig && set->covers == type);
}

/* Lists the RRsets at 'name', which is at or below the apex. */
static enum answer_fault collect_name(struct answer_maker *m, dns_name_t *name,
				      enum answer_section section, bool apex)
{
	dns_rdataset_t *set = ISC_LIST_HEAD(name->list);

	for (; set != NULL; set = ISC_LIST_NEXT(set, link)) {
		if (is_meta(set->type) || set->rdclass != dns_rdataclass_in)
			continue;
		if (m->n_rrsets == ANSWER_RRSETS_MAX)
			return ANSWER_TOO_BIG;
		m->rrset[m->n_rrsets++] = (struct answer_rrset){
			.owner = name,
			.set = set,
			.section = (uint8_t)section,
			.cut = section == AUTHORITY_SECTION && !apex &&
			       answer_signs(set, dns_rdatatype_ns),
		};
	}
	return ANSWER_OK;
}

/*
 * Lists the RRsets of the zone, section by section.  '*seen' counts the names
 * that the message had, ours or not.
 */
static enum answer_fault collect(struct answer_maker *m, const dns_name_t *zone,
				 size_t *seen)
{
	static const dns_section_t sections[] = { DNS_SECTION_ANSWER,
						  DNS_SECTION_AUTHORITY,
						  DNS_SECTION_ADDITIONAL };
	enum answer_fault fault = ANSWER_OK;

	m->n_rrsets = 0;
	*seen = 0;
	for (unsigned int s = 0; s < 3 && fault == ANSWER_OK; s++) {
		dns_name_t *name = ISC_LIST_HEAD(m->msg->sections[sections[s]]);
		for (; name != NULL && fault == ANSWER_OK;
		     name = ISC_LIST_NEXT(name, link)) {
			(*seen)++;
			if (dns_name_issubdomain(name, zone))
				fault = collect_name(
					m, name, s, dns_name_equal(name, zone));
		}
	}
	return fault;
}

static const struct answer_rrset *find_type(const struct answer_maker *m,
					    enum answer_section section,
					    dns_rdatatype_t type)
{
	for (size_t i = 0; i < m->n_rrsets; i++)
		if (m->rrset[i].section == section &&
		    m->rrset[i].set->type == type)
			return &m->rrset[i];
	return NULL;
}

static bool has_section(const struct answer_maker *m,
			enum answer_section section)
{
	for (size_t i = 0; i < m->n_rrsets; i++)
		if (m->rrset[i].section == section)
			return true;
	return false;
}

static bool has_cut(const struct answer_maker *m)
{
	for (size_t i = 0; i < m->n_rrsets; i++)
		if (m->rrset[i].cut)
			return true;
	return false;
}

/*
 * An origin speaks for the zone: with authority, or with a referral to
 * servers strictly below it.
 */
static bool is_lame(const struct answer_maker *m)
{
	if ((m->msg->flags & DNS_MESSAGEFLAG_AA) != 0)
		return false;
	return has_section(m, ANSWER_SECTION) || !has_cut(m) ||
	       m->msg->rcode != dns_rcode_noerror;
}

/* Where an alias of the answer section leads; false: 'name' is none. */
static bool alias_target(const struct answer_maker *m, const dns_name_t *name,
			 const dns_name_t **owner, dns_rdata_cname_t *cname)
{
	for (size_t i = 0; i < m->n_rrsets; i++) {
		const struct answer_rrset *r = &m->rrset[i];
		dns_rdata_t rdata = DNS_RDATA_INIT;
		if (r->section != ANSWER_SECTION ||
		    r->set->type != dns_rdatatype_cname ||
		    !dns_name_equal(r->owner, name) ||
		    dns_rdataset_first(r->set) != ISC_R_SUCCESS)
			continue;
		dns_rdataset_current(r->set, &rdata);
		*owner = r->owner;
		return dns_rdata_tostruct(&rdata, cname, NULL) == ISC_R_SUCCESS;
	}
	return false;
}

/* Aliases that were followed, from the name asked for on. */
struct chain {
	size_t n;
	const dns_name_t *owner[ANSWER_ALIASES_MAX];
};

/* Follows the aliases; true if one leads out of the zone: it is the last. */
static bool chain_leaves(const struct answer_maker *m, const dns_name_t *qname,
			 const dns_name_t *apex, struct chain *chain)
{
	dns_name_t name = DNS_NAME_INITEMPTY;
	dns_rdata_cname_t cname;

	dns_name_clone(qname, &name);
	for (chain->n = 0; chain->n < ANSWER_ALIASES_MAX; chain->n++) {
		if (!alias_target(m, &name, &chain->owner[chain->n], &cname))
			return false;
		if (!dns_name_issubdomain(&cname.cname, apex)) {
			chain->n++;
			return true;
		}
		dns_name_clone(&cname.cname, &name);
	}
	return false;
}

/* An alias of the chain, what signs it, or the DNAME that it was made from. */
static bool is_of_chain(const struct answer_rrset *r, const struct chain *chain)
{
	bool dname = answer_signs(r->set, dns_rdatatype_dname);

	for (size_t i = 0; i < chain->n; i++)
		if (dns_name_equal(r->owner, chain->owner[i]) ||
		    (dname && dns_name_issubdomain(chain->owner[i], r->owner)))
			return true;
	return false;
}

/*
 * An origin that has other zones too may have followed an alias out of this
 * one, and perhaps another back: what it says beyond the first that leaves is
 * not ours to publish, or there would be a hole.  Cuts the answer there, as
 * named would have, but for the proofs that aliases come from wildcards.
 * (Asked for the alias itself, nobody follows it.)
 */
static void cut_at_border(struct answer_maker *m, uint16_t qtype,
			  const dns_name_t *qname, const dns_name_t *apex)
{
	struct chain chain;
	size_t n = 0;

	if (qtype == dns_rdatatype_cname || qtype == dns_rdatatype_any ||
	    !chain_leaves(m, qname, apex, &chain))
		return;
	m->msg->rcode = dns_rcode_noerror;
	for (size_t i = 0; i < m->n_rrsets; i++) {
		const struct answer_rrset *r = &m->rrset[i];
		bool proof = r->section == AUTHORITY_SECTION &&
			     (answer_signs(r->set, dns_rdatatype_nsec) ||
			      answer_signs(r->set, dns_rdatatype_nsec3));
		if (proof ||
		    (r->section == ANSWER_SECTION && is_of_chain(r, &chain)))
			m->rrset[n++] = *r;
	}
	m->n_rrsets = n;
}

/* True if 'name' is below the owner of a DNAME of the answer section. */
static bool is_below_dname(const struct answer_maker *m, const dns_name_t *name)
{
	for (size_t i = 0; i < m->n_rrsets; i++) {
		const struct answer_rrset *r = &m->rrset[i];
		if (r->section == ANSWER_SECTION &&
		    r->set->type == dns_rdatatype_dname &&
		    dns_name_issubdomain(name, r->owner) &&
		    !dns_name_equal(name, r->owner))
			return true;
	}
	return false;
}

/* True unless the answer section has what was asked for. */
static bool is_unanswered(const struct answer_maker *m, uint16_t qtype)
{
	const struct answer_rrset *last = NULL;

	for (size_t i = 0; i < m->n_rrsets; i++)
		if (m->rrset[i].section == ANSWER_SECTION &&
		    m->rrset[i].set->type != dns_rdatatype_rrsig)
			last = &m->rrset[i];
	if (last == NULL)
		return !has_section(m, ANSWER_SECTION);
	if (last->set->type != dns_rdatatype_cname)
		return false;
	return (qtype != dns_rdatatype_cname && qtype != dns_rdatatype_any) ||
	       is_below_dname(m, last->owner);
}

/*
 * A zone below this one, which the origin has, too, and we have not, answers
 * with an NS set of its own: that is no cut.
 */
static void forget_cuts(struct answer_maker *m, uint16_t qtype)
{
	if (is_unanswered(m, qtype))
		return;
	for (size_t i = 0; i < m->n_rrsets; i++)
		m->rrset[i].cut = false;
}

static bool has_signature(const struct answer_maker *m)
{
	for (size_t i = 0; i < m->n_rrsets; i++)
		if (m->rrset[i].set->type == dns_rdatatype_rrsig)
			return true;
	return false;
}

static enum store_kind kind_of(const struct answer_maker *m)
{
	if (m->msg->rcode == dns_rcode_nxdomain)
		return STORE_NXDOMAIN;
	if (has_section(m, ANSWER_SECTION))
		return STORE_POSITIVE;
	return has_cut(m) ? STORE_REFERRAL : STORE_NODATA;
}

/*
 * RFC 2308 section 5: a negative answer lives for the lesser of the SOA's TTL
 * and its MINIMUM field, the last four octets of its rdata.  Returns the
 * latter; 0 without a SOA.
 */
static uint32_t soa_ttl_bound(struct answer_maker *m)
{
	const struct answer_rrset *soa =
		find_type(m, AUTHORITY_SECTION, dns_rdatatype_soa);
	dns_rdata_t rdata = DNS_RDATA_INIT;

	if (soa == NULL || dns_rdataset_first(soa->set) != ISC_R_SUCCESS)
		return 0;
	dns_rdataset_current(soa->set, &rdata);
	if (rdata.length < 22)
		return 0;

	const uint8_t *p = rdata.data + rdata.length - 4;
	uint32_t minimum = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
			   (uint32_t)p[2] << 8 | p[3];
	for (size_t i = 0; i < m->n_rrsets; i++) {
		dns_rdataset_t *set = m->rrset[i].set;
		if (m->rrset[i].section == AUTHORITY_SECTION &&
		    answer_signs(set, dns_rdatatype_soa) && set->ttl > minimum)
			set->ttl = minimum;
	}
	return minimum;
}

uint32_t answer_signature_s(dns_rdataset_t *set, uint32_t wall_s)
{
	uint32_t life = UINT32_MAX;

	for (isc_result_t r = dns_rdataset_first(set); r == ISC_R_SUCCESS;
	     r = dns_rdataset_next(set)) {
		dns_rdata_t rdata = DNS_RDATA_INIT;
		dns_rdataset_current(set, &rdata);
		if (rdata.length < 18)
			return 0;
		const uint8_t *p = rdata.data + 8;
		uint32_t expire = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
				  (uint32_t)p[2] << 8 | p[3];
		int32_t left = (int32_t)(expire - wall_s);
		if (left <= 0)
			return 0;
		if ((uint32_t)left < life)
			life = (uint32_t)left;
	}
	return life;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static bool is_negative(enum store_kind kind)
{
	return kind == STORE_NXDOMAIN || kind == STORE_NODATA;
}

/* Clamps every TTL to the zone's bounds; the shortest bounds the whole. */
static uint32_t clamp_ttls(struct answer_maker *m,
			   const struct config_zone *zone, uint32_t max,
			   uint32_t wall_s)
{
	uint32_t life = UINT32_MAX;

	for (size_t i = 0; i < m->n_rrsets; i++) {
		dns_rdataset_t *set = m->rrset[i].set;
		set->ttl = least(set->ttl, max);
		if (set->ttl < zone->ttl_min_s)
			set->ttl = least(zone->ttl_min_s, max);
		life = least(life, set->ttl);
		if (set->type == dns_rdatatype_rrsig)
			life = least(life, answer_signature_s(set, wall_s));
	}
	return life;
}

/*
 * Seconds that the answer may be kept; 0 for what may not.  BIND gives the SOA
 * of an NXDOMAIN the TTL 0 when the SOA itself was asked for (zero-no-soa-ttl),
 * so that nobody downstream keeps it: we are the server, and may.
 */
static uint32_t life_of(struct answer_maker *m, const struct config_zone *zone,
			enum store_kind kind, uint16_t qtype, uint32_t wall_s)
{
	uint32_t max = zone->ttl_max_s;
	uint32_t minimum = 0;

	if (is_negative(kind)) {
		max = least(max, zone->ttl_negative_max_s);
		minimum = soa_ttl_bound(m);
	}
	uint32_t life = clamp_ttls(m, zone, max, wall_s);
	if (m->n_rrsets == 0 || m->msg->rcode == dns_rcode_yxdomain)
		return 0;
	if (is_half(m->msg))
		return least(life, ANSWER_HALF_S);
	if (!is_negative(kind))
		return life;
	if (find_type(m, AUTHORITY_SECTION, dns_rdatatype_soa) == NULL)
		return 0;
	if (life == 0 && kind == STORE_NXDOMAIN && qtype == dns_rdatatype_soa)
		return least(minimum, max);
	return life;
}

/*
 * The name that named would rate-limit on, as a number of labels of the
 * question name (query_checkrrl() in named: NXDOMAIN counts on the zone, so
 * that random names do not evade it).
 */
static uint8_t rrl_labels(const struct answer_maker *m, enum store_kind kind,
			  const dns_name_t *qname, const dns_name_t *apex)
{
	const dns_name_t *name = qname;

	if (kind == STORE_NXDOMAIN && !has_section(m, ANSWER_SECTION))
		name = apex;
	for (size_t i = 0; kind == STORE_REFERRAL && i < m->n_rrsets; i++)
		if (m->rrset[i].cut)
			name = m->rrset[i].owner;
	return (uint8_t)dns_name_countlabels(name);
}

/* Parses, checks and scrubs: what is left is in 'm'. */
static enum answer_fault read_source(struct answer_maker *m,
				     const struct answer_source *source,
				     const dns_name_t *qname,
				     const dns_name_t *apex)
{
	isc_buffer_t buffer;
	size_t seen = 0;

	dns_message_reset(m->msg, DNS_MESSAGE_INTENTPARSE);
	isc_buffer_init(&buffer, (void *)source->msg, (unsigned int)source->n);
	isc_buffer_add(&buffer, (unsigned int)source->n);
	if (dns_message_parse(m->msg, &buffer, 0) != ISC_R_SUCCESS)
		return ANSWER_MALFORMED;

	enum answer_fault fault =
		check_header(m->msg, source->key->qtype, qname);
	if (fault == ANSWER_OK)
		fault = collect(m, apex, &seen);
	if (fault != ANSWER_OK)
		return fault;
	if (m->n_rrsets == 0 && seen > 0)
		return ANSWER_BAILIWICK;
	if (is_lame(m))
		return ANSWER_LAME;
	forget_cuts(m, source->key->qtype);
	cut_at_border(m, source->key->qtype, qname, apex);
	answer_order(m, source->msg, source->n);
	return ANSWER_OK;
}

enum answer_fault answer_make(struct answer_maker *m,
			      const struct answer_source *source,
			      struct store_entry **entryp)
{
	const struct config_zone *zone = source->zone;
	const struct store_key *key = source->key;
	dns_name_t qname = DNS_NAME_INITEMPTY;
	dns_name_t apex = DNS_NAME_INITEMPTY;
	struct store_entry *e = NULL;

	name_view(&qname, key->name, key->n);
	name_view(&apex, zone->name.wire, zone->name.n);
	enum answer_fault fault = read_source(m, source, &qname, &apex);
	if (fault != ANSWER_OK)
		return fault;

	enum store_kind kind = kind_of(m);
	bool is_signed = has_signature(m);
	uint32_t ttl_s = life_of(m, zone, kind, key->qtype, source->wall_s);
	uint16_t flags = (uint16_t)m->msg->flags;
	answer_forms_choose(m, key->qtype);
	fault = answer_forms_render(m, key, source->hash, flags, &e);
	if (fault != ANSWER_OK)
		return fault;
	e->kind = (uint8_t)kind;
	e->rcode = (uint8_t)m->msg->rcode;
	e->rrl_labels = rrl_labels(m, kind, &qname, &apex);
	e->is_signed = is_signed;
	e->aa = (flags & DNS_MESSAGEFLAG_AA) != 0;
	e->stored_s = source->now_s;
	e->ttl_s = ttl_s;
	e->stale_s = ttl_s > 0 && !is_half(m->msg) ? zone->stale_s : 0;
	*entryp = e;
	return ANSWER_OK;
}

struct store_entry *answer_failure(const struct store_key *key, uint64_t hash,
				   uint32_t now_s, uint32_t ttl_s)
{
	struct store_entry *e = store_entry_new(key, hash, 0, key->n);

	if (e == NULL)
		return NULL;
	e->kind = STORE_FAILURE;
	e->rcode = dns_rcode_servfail;
	e->stored_s = now_s;
	e->ttl_s = ttl_s;
	return e;
}
