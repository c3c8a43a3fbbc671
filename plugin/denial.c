/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/denial.h"

#include <dns/rdatatype.h>
#include <ns/client.h>

#include "plugin/denial_int.h"

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static enum store_kind kind_of(bool nxdomain)
{
	return nxdomain ? STORE_NXDOMAIN : STORE_NODATA;
}

/*
 * named gives the SOA of an NXDOMAIN no time when the SOA was asked for
 * (zero-no-soa-ttl): so does the origin, by default.
 */
static uint32_t soa_ttl(const query_ctx_t *qctx, bool nxdomain, uint32_t ttl_s)
{
	return nxdomain && qctx->qtype == dns_rdatatype_soa ? 0 : ttl_s;
}

/* -- unsigned: the set of names -------------------------------------------- */

/* RFC 2308 section 5, within the zone's bounds as in answer.c. */
static uint32_t negative_ttl(const struct names_soa *soa,
			     const struct config_zone *zone)
{
	uint32_t max = least(zone->ttl_max_s, zone->ttl_negative_max_s);
	uint32_t ttl_s = least(least(soa->ttl_s, soa->minimum_s), max);

	return ttl_s < zone->ttl_min_s ? least(zone->ttl_min_s, max) : ttl_s;
}

static bool make_from_names(struct made *made, const query_ctx_t *qctx,
			    const struct zone *zone,
			    const struct store_key *key, uint32_t now_s,
			    struct send_answer *a)
{
	const struct names *names =
		atomic_load_explicit(&zone->state->names, memory_order_acquire);
	uint32_t until_s = atomic_load_explicit(&zone->state->names_until_s,
						memory_order_relaxed);
	size_t above;
	struct pen pen;

	if (names == NULL ||
	    atomic_load_explicit(&zone->state->is_signed,
				 memory_order_relaxed) == ZONE_SIGNED ||
	    (int32_t)(until_s - now_s) <= 0 ||
	    names_find(names, key->name, key->n, &above) != NAMES_NOT)
		return false;
	const struct names_soa *soa = names_soa(names);
	uint32_t ttl_s = negative_ttl(soa, zone->config);
	made_begin(&pen, made, qctx, zone->labels);
	made_record_at(
		&pen, MADE_AUTHORITY,
		made_octets(zone->config->name.wire, zone->config->name.n),
		dns_rdatatype_soa, soa_ttl(qctx, true, ttl_s),
		made_octets(soa->rdata, soa->n), 2);
	return made_end(&pen, STORE_NXDOMAIN, a);
}

/* -- signed: proofs -------------------------------------------------------- */

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Writes a set of records; without DNSSEC, without its signatures. */
static void put_proof(struct pen *pen, const struct proof *proof,
		      uint32_t ttl_s, bool dnssec)
{
	struct proofs_set set;

	proof_read(proof, &set);
	for (size_t at = 0; at < set.n;) {
		uint16_t type = get16(set.records + at);
		uint16_t n = get16(set.records + at + 6);
		if (dnssec || type != dns_rdatatype_rrsig)
			made_record_at(pen, MADE_AUTHORITY,
				       made_octets(set.owner, set.owner_n),
				       type, ttl_s,
				       made_octets(set.records + at + 8, n),
				       type == dns_rdatatype_soa ? 2 : 0);
		at += 8u + n;
	}
}

static bool make_from_proofs(struct made *made, const query_ctx_t *qctx,
			     const struct zone *zone,
			     const struct store_key *key, uint32_t now_s,
			     struct send_answer *a)
{
	const struct proofs *proofs = atomic_load_explicit(
		&zone->state->proofs, memory_order_acquire);
	bool dnssec =
		(qctx->client->attributes & NS_CLIENTATTR_WANTDNSSEC) != 0;
	struct proofs_found found;
	struct pen pen;

	if (proofs == NULL)
		return false;
	proofs_find(proofs, key->name, key->n, key->qtype, now_s, &found);
	if (found.word == PROOFS_NONE)
		return false;
	bool nxdomain = found.word == PROOFS_NXDOMAIN;
	made_begin(&pen, made, qctx, zone->labels);
	put_proof(&pen, found.soa, soa_ttl(qctx, nxdomain, found.ttl_s),
		  dnssec);
	for (size_t i = 0; dnssec && i < found.n; i++)
		put_proof(&pen, found.proof[i], found.ttl_s, true);
	return made_end(&pen, kind_of(nxdomain), a);
}

bool denial_make(struct made *made, const query_ctx_t *qctx,
		 const struct zone *zone, const struct store_key *key,
		 uint32_t now_s, struct send_answer *a)
{
	return make_from_names(made, qctx, zone, key, now_s, a) ||
	       make_from_proofs(made, qctx, zone, key, now_s, a);
}
