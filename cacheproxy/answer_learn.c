/* SPDX-License-Identifier: MPL-2.0 */
#include <errno.h>
#include <string.h>

#include <dns/rdata.h>
#include <dns/result.h>

#include "cacheproxy/answer_int.h"

/* A set under way to proofs_learn(). */
struct learning {
	struct proofs_set set;
	size_t n;
	uint8_t records[PROOFS_RECORDS_MAX];
};

static uint8_t *put16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
	return p + 2;
}

/* Adds the records of 'set'; false: there is no room. */
static bool add_set(struct learning *l, dns_rdataset_t *set)
{
	for (isc_result_t r = dns_rdataset_first(set); r == ISC_R_SUCCESS;
	     r = dns_rdataset_next(set)) {
		dns_rdata_t rdata = DNS_RDATA_INIT;
		dns_rdataset_current(set, &rdata);
		if (sizeof(l->records) - l->n < rdata.length + 8u)
			return false;
		uint8_t *p = put16(l->records + l->n, set->type);
		p = put16(p, (uint16_t)(set->ttl >> 16));
		p = put16(p, (uint16_t)set->ttl);
		p = put16(p, (uint16_t)rdata.length);
		memcpy(p, rdata.data, rdata.length);
		l->n += rdata.length + 8u;
	}
	if (set->ttl < l->set.ttl_s)
		l->set.ttl_s = set->ttl;
	return true;
}

static bool is_proof(const struct answer_rrset *r)
{
	return r->section == AUTHORITY_SECTION &&
	       (r->set->type == dns_rdatatype_soa ||
		r->set->type == dns_rdatatype_nsec ||
		r->set->type == dns_rdatatype_nsec3);
}

/* The set that signs 'of', or NULL. */
static const struct answer_rrset *signature_of(const struct answer_maker *m,
					       const struct answer_rrset *of)
{
	for (size_t i = 0; i < m->n_rrsets; i++) {
		const struct answer_rrset *r = &m->rrset[i];
		if (r->section == of->section &&
		    r->set->type == dns_rdatatype_rrsig &&
		    r->set->covers == of->set->type &&
		    dns_name_equal(r->owner, of->owner))
			return r;
	}
	return NULL;
}

static int learn(const struct answer_maker *m, const struct answer_rrset *r,
		 const struct answer_source *source, struct proofs *proofs)
{
	const struct answer_rrset *signature = signature_of(m, r);
	struct learning l;

	if (signature == NULL)
		return 0;
	l.n = 0;
	l.set = (struct proofs_set){
		.owner = r->owner->ndata,
		.owner_n = r->owner->length,
		.records = l.records,
		.ttl_s = source->zone->ttl_negative_max_s,
	};
	if (!add_set(&l, r->set) || !add_set(&l, signature->set))
		return 0;
	uint32_t life_s = answer_signature_s(signature->set, source->wall_s);
	if (life_s < l.set.ttl_s)
		l.set.ttl_s = life_s;
	l.set.n = l.n;
	int rc = proofs_learn(proofs, &l.set, source->now_s);
	return rc == -EINVAL ? 0 : rc;
}

int answer_learn(const struct answer_maker *m,
		 const struct answer_source *source, struct proofs *proofs)
{
	int rc = 0;

	if ((m->msg->flags & DNS_MESSAGEFLAG_AA) == 0 &&
	    m->msg->counts[DNS_SECTION_ANSWER] > 0)
		return 0;
	for (size_t i = 0; i < m->n_rrsets && rc == 0; i++)
		if (is_proof(&m->rrset[i]))
			rc = learn(m, &m->rrset[i], source, proofs);
	return rc;
}
