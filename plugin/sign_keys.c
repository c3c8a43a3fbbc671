/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The keys of a zone of named's, and signing with them.
 *
 * A key signs if its DNSKEY is in the zone, its private part is in the key
 * directory, and named itself would sign with it now: by its role and state
 * under a dnssec-policy, by its times else.  Named may be writing a file that
 * is read here: what cannot be read, or lacks what it must have, does not
 * replace what was known, until it has failed thrice.
 */
#include "plugin/sign_int.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <dns/dnssec.h>
#include <dns/keyvalues.h>
#include <dns/rdata.h>
#include <dns/rdatalist.h>
#include <dns/rdataset.h>
#include <isc/buffer.h>
#include <isc/random.h>

#include "plugin/log.h"

#define LOOK_S	   5u	 /* between two readings of a zone's keys */
#define LOOKS_A_S  50u	 /* zones read in a second, about */
#define SKEW_S	   3600u /* clocks of others may be late by that */
#define FAILED_MAX 3u
#define RRSIG_MAX  1024u

/* What is being found out of a zone. */
struct finding {
	const struct sign_zone *zone;
	isc_mem_t *mctx;
	isc_stdtime_t now;
	size_t n_tags, n_keys;
	struct sign_tag tag[SIGN_DNSKEYS];
	bool has_zsk[256]; /* by algorithm: a DNSKEY without the SEP flag */
	bool signs[256];   /* by algorithm: there is a key to sign with */
	bool missing, unreadable;
	dst_key_t *key[SIGN_SIGS_MAX];
};

static void name_of(const struct dname *dname, dns_name_t *name)
{
	isc_region_t region = { (unsigned char *)dname->wire, dname->n };

	dns_name_init(name, NULL);
	dns_name_fromregion(name, &region);
}

/* A set at the zone's apex; false: there is none. */
static bool apex_set(const struct sign_zone *zone, dns_rdatatype_t type,
		     dns_rdataset_t *set, dns_rdataset_t *sigs)
{
	dns_dbversion_t *version = NULL;
	dns_dbnode_t *node = NULL;
	isc_result_t result;

	dns_rdataset_init(set);
	dns_rdataset_init(sigs);
	dns_db_currentversion(zone->db, &version);
	result = dns_db_getoriginnode(zone->db, &node);
	if (result == ISC_R_SUCCESS) {
		result = dns_db_findrdataset(zone->db, node, version, type, 0,
					     0, set, sigs);
		dns_db_detachnode(zone->db, &node);
	}
	dns_db_closeversion(zone->db, &version, false);
	return result == ISC_R_SUCCESS;
}

static void set_end(dns_rdataset_t *set)
{
	if (dns_rdataset_isassociated(set))
		dns_rdataset_disassociate(set);
}

/* The same for the same records; 0: there are none. */
static uint64_t set_hash(dns_rdataset_t *set)
{
	uint64_t h = 0;

	for (isc_result_t r = dns_rdataset_first(set); r == ISC_R_SUCCESS;
	     r = dns_rdataset_next(set)) {
		dns_rdata_t rdata = DNS_RDATA_INIT;
		dns_rdataset_current(set, &rdata);
		h += sign_hash(1, rdata.data, rdata.length);
	}
	return h;
}

/* -- which keys sign ------------------------------------------------------- */

static bool role_is_zsk(const struct finding *f, const dst_key_t *key)
{
	bool sep = (dst_key_flags(key) & DNS_KEYFLAG_KSK) != 0;
	bool zsk = !sep;

	if (f->zone->policy.kasp) {
		(void)dst_key_getbool(key, DST_BOOL_ZSK, &zsk);
		return zsk;
	}
	/* as named's update-check-ksk: one key may have to do for both */
	return !sep || !f->has_zsk[dst_key_alg(key) & 0xff];
}

/* Named would sign an RRset with the key now. */
static bool is_active(struct finding *f, dst_key_t *key)
{
	dst_key_state_t state;
	isc_stdtime_t when = 0;

	if ((dst_key_flags(key) & DNS_KEYFLAG_REVOKE) != 0 ||
	    !role_is_zsk(f, key))
		return false;
	if (!f->zone->policy.kasp)
		return dns_dnssec_keyactive(key, f->now);
	if (dst_key_getstate(key, DST_KEY_ZRRSIG, &state) != ISC_R_SUCCESS) {
		f->unreadable = true; /* its file is perhaps being written */
		return false;
	}
	return dst_key_is_signing(key, DST_BOOL_ZSK, f->now, &when);
}

/* Reads the private key of a DNSKEY, and keeps it if it signs. */
static void take_key(struct finding *f, const dst_key_t *public)
{
	dst_key_t *key = NULL;
	isc_result_t result = dst_key_fromfile(
		dst_key_name(public), dst_key_id(public), dst_key_alg(public),
		DST_TYPE_PUBLIC | DST_TYPE_PRIVATE | DST_TYPE_STATE,
		f->zone->policy.directory, f->mctx, &key);

	if (result == ISC_R_FILENOTFOUND) {
		f->missing = true;
		return;
	}
	if (result != ISC_R_SUCCESS) {
		f->unreadable = true;
		return;
	}
	if (!dst_key_isprivate(key) || !dst_key_pubcompare(public, key, false))
		f->missing = true;
	else if (is_active(f, key) && f->n_keys < SIGN_SIGS_MAX) {
		f->signs[dst_key_alg(key) & 0xff] = true;
		f->key[f->n_keys++] = key;
		key = NULL;
	}
	if (key != NULL)
		dst_key_free(&key);
}

/* The DNSKEY at which the set stands; NULL: none that signs zones. */
static dst_key_t *public_key(struct finding *f, dns_rdataset_t *set)
{
	dns_rdata_t rdata = DNS_RDATA_INIT;
	dst_key_t *public = NULL;
	dns_name_t name;

	name_of(&f->zone->origin, &name);
	dns_rdataset_current(set, &rdata);
	if (dns_dnssec_keyfromrdata(&name, &rdata, f->mctx, &public) !=
	    ISC_R_SUCCESS)
		return NULL;
	if (dst_key_iszonekey(public))
		return public;
	dst_key_free(&public);
	return NULL;
}

static void note_key(struct finding *f, const dst_key_t *public)
{
	uint32_t flags = dst_key_flags(public);
	uint8_t algorithm = (uint8_t)dst_key_alg(public);

	if (f->n_tags < SIGN_DNSKEYS)
		f->tag[f->n_tags++] =
			(struct sign_tag){ (uint16_t)dst_key_id(public),
					   algorithm };
	if ((flags & (DNS_KEYFLAG_KSK | DNS_KEYFLAG_REVOKE)) == 0)
		f->has_zsk[algorithm] = true;
}

/* First all DNSKEYs are noted, as the roles depend on them; then read. */
static void find_keys(struct finding *f, dns_rdataset_t *set, bool noted)
{
	unsigned int n = 0;

	for (isc_result_t r = dns_rdataset_first(set);
	     r == ISC_R_SUCCESS && n < SIGN_DNSKEYS;
	     r = dns_rdataset_next(set), n++) {
		dst_key_t *public = public_key(f, set);
		if (public == NULL)
			continue;
		if (noted)
			take_key(f, public);
		else
			note_key(f, public);
		dst_key_free(&public);
	}
}

/* The zone's own SOA is signed with an algorithm that we have no key of. */
static bool is_partial(const struct finding *f)
{
	dns_rdataset_t soa, sigs;
	bool partial = false;

	(void)apex_set(f->zone, dns_rdatatype_soa, &soa, &sigs);
	if (!dns_rdataset_isassociated(&sigs)) {
		set_end(&soa);
		return false;
	}
	for (isc_result_t r = dns_rdataset_first(&sigs); r == ISC_R_SUCCESS;
	     r = dns_rdataset_next(&sigs)) {
		dns_rdata_t rdata = DNS_RDATA_INIT;
		dns_rdataset_current(&sigs, &rdata);
		partial = partial ||
			  (rdata.length > 2 && !f->signs[rdata.data[2]]);
	}
	set_end(&soa);
	set_end(&sigs);
	return partial;
}

static enum sign_state state_of(const struct finding *f)
{
	if (f->n_keys == 0)
		return f->unreadable ? SIGN_UNREADABLE
		       : f->missing  ? SIGN_NO_KEY
				     : SIGN_INACTIVE;
	if (is_partial(f))
		return f->unreadable ? SIGN_UNREADABLE : SIGN_PARTIAL;
	return SIGN_READY;
}

/* -- the zone -------------------------------------------------------------- */

void sign_keys_free(struct sign_zone *zone)
{
	while (zone->n_keys > 0)
		dst_key_free(&zone->key[--zone->n_keys]);
}

bool sign_keys_have(const struct sign_zone *zone, const uint8_t *rrsig)
{
	unsigned int id = rrsig[16] * 256u + rrsig[17];

	for (size_t i = 0; i < zone->n_tags; i++)
		if (zone->tag[i].id == id && zone->tag[i].algorithm == rrsig[2])
			return true;
	return false;
}

static void say(const struct sign_zone *zone, enum sign_state state)
{
	char text[DNAME_TEXT_MAX];
	static const char *const why[SIGN_STATES] = {
		[SIGN_NO_KEY] = "a private key is not in the key directory",
		[SIGN_UNREADABLE] = "a private key cannot be read",
		[SIGN_INACTIVE] = "none of its keys is active",
		[SIGN_PARTIAL] = "there is no key of one of its algorithms",
		[SIGN_NO_DNSKEY] = "it has no DNSKEY records",
	};

	(void)dname_print(&zone->origin, text);
	if (state == SIGN_READY)
		log_write(ISC_LOG_INFO,
			  "zone '%s': answers of its hostnames are signed with "
			  "%zu of its keys",
			  text, zone->n_keys);
	else
		log_write(ISC_LOG_WARNING,
			  "zone '%s' is signed, and %s ('%s'): its hostnames "
			  "are served as the zone has them, not decided",
			  text, why[state], zone->policy.directory);
}

static uint64_t active_hash(const struct finding *f)
{
	uint64_t h = 0;

	for (size_t i = 0; i < f->n_keys; i++)
		h += sign_mix(dst_key_alg(f->key[i]) << 16 |
			      dst_key_id(f->key[i]) | 1u << 31);
	return h;
}

/* Puts in force what was found; true: with other keys than before. */
static bool take_finding(struct sign_zone *zone, struct finding *f,
			 enum sign_state state)
{
	enum sign_state before = atomic_load(&zone->state);
	uint64_t h = active_hash(f);
	bool anew = before != state || h != zone->active_hash;

	sign_keys_free(zone);
	memcpy(zone->key, f->key, sizeof(f->key));
	zone->n_keys = f->n_keys;
	zone->active_hash = h;
	if (anew)
		zone->generation++;
	atomic_store(&zone->state, (uint8_t)state);
	if (anew)
		say(zone, state);
	return anew;
}

bool sign_keys_check(struct sign *s, struct sign_zone *zone, uint32_t now_s)
{
	struct finding f = { .zone = zone,
			     .mctx = s->process->mctx,
			     .now = (isc_stdtime_t)time(NULL) };
	uint32_t period_s = LOOK_S + (uint32_t)(s->n_zones / LOOKS_A_S);
	enum sign_state before = atomic_load(&zone->state);
	enum sign_state state = SIGN_NO_DNSKEY;
	dns_rdataset_t set, sigs;

	if (zone->failures > 0 && zone->failures < FAILED_MAX)
		period_s = 1;
	(void)apex_set(zone, dns_rdatatype_dnskey, &set, &sigs);
	uint64_t h = dns_rdataset_isassociated(&set) ? set_hash(&set) : 0;
	if (h == zone->dnskey_hash && now_s - zone->looked_s < period_s &&
	    before != SIGN_STARTING) {
		set_end(&set);
		set_end(&sigs);
		return false;
	}
	if (h != 0) {
		find_keys(&f, &set, false);
		find_keys(&f, &set, true);
		state = state_of(&f);
	}
	set_end(&set);
	set_end(&sigs);
	zone->looked_s = now_s;
	bool same = h == zone->dnskey_hash;
	zone->dnskey_hash = h;
	zone->n_tags = f.n_tags;
	memcpy(zone->tag, f.tag, sizeof(f.tag));
	zone->failures = state == SIGN_READY ? 0 : zone->failures + 1;
	if (before == SIGN_READY && state != SIGN_READY && same &&
	    zone->failures < FAILED_MAX) {
		while (f.n_keys > 0)
			dst_key_free(&f.key[--f.n_keys]);
		return false;
	}
	return take_finding(zone, &f, state) || !same;
}

enum sign_found sign_records(const struct sign_zone *zone,
			     const struct dname *dname, dns_rdatatype_t type)
{
	dns_fixedname_t fixed;
	dns_name_t *found = dns_fixedname_initname(&fixed);
	dns_dbversion_t *version = NULL;
	dns_rdataset_t set;
	dns_name_t name;

	name_of(dname, &name);
	dns_rdataset_init(&set);
	dns_db_currentversion(zone->db, &version);
	isc_result_t result = dns_db_find(zone->db, &name, version, type, 0, 0,
					  NULL, found, &set, NULL);
	dns_db_closeversion(zone->db, &version, false);
	set_end(&set);
	if (result != ISC_R_SUCCESS)
		return SIGN_NOTHING;
	return (found->attributes & DNS_NAMEATTR_WILDCARD) != 0 ? SIGN_WILDCARD
								: SIGN_OWN;
}

bool sign_exists(const struct sign_zone *zone, const struct dname *name,
		 enum sign_kind kind)
{
	if (kind != SIGN_ALIAS)
		return sign_records(zone, name, sign_type(kind)) == SIGN_OWN;
	if (dname_equal(name, &zone->origin))
		return false;
	for (unsigned int i = 0; i < SIGN_KINDS; i++)
		if (sign_records(zone, name, sign_type((enum sign_kind)i)) ==
		    SIGN_OWN)
			return true;
	return false;
}

/* -- signing --------------------------------------------------------------- */

/* Validity as the zone's own signatures have it. */
static void times_of(const struct sign_policy *policy, struct sign_set *set)
{
	uint32_t now_s = (uint32_t)time(NULL);
	uint32_t jitter_s = policy->jitter_s;
	uint32_t refresh_s = policy->refresh_s;

	if (jitter_s > policy->validity_s / 4)
		jitter_s = policy->validity_s / 4;
	if (refresh_s > policy->validity_s / 2)
		refresh_s = policy->validity_s / 2;
	set->begins_s = now_s - SKEW_S;
	set->ends_s = now_s + policy->validity_s;
	if (jitter_s > 0)
		set->ends_s -= isc_random_uniform(jitter_s);
	set->renew_s = set->ends_s - refresh_s;
}

/* The RRset that is wanted, as libdns has it. */
struct rrset {
	dns_rdatalist_t list;
	dns_rdata_t rdata[GTM_ANSWERS_MAX];
	dns_rdataset_t set;
	dns_name_t name;
};

// NOLINTNEXTLINE(readability-function-size): nested by BIND's list macros
static void rrset_make(struct rrset *r, const struct sign_want *want,
		       uint32_t ttl_s)
{
	isc_region_t name = { (unsigned char *)want->name,
			      (unsigned int)want->name_n };

	dns_name_init(&r->name, NULL);
	dns_name_fromregion(&r->name, &name);
	dns_rdatalist_init(&r->list);
	r->list.type = sign_type(want->kind);
	r->list.rdclass = dns_rdataclass_in;
	r->list.ttl = ttl_s;
	for (size_t i = 0; i < want->n; i++) {
		isc_region_t octets = { (unsigned char *)want->data[i],
					(unsigned int)want->size };
		dns_rdata_init(&r->rdata[i]);
		dns_rdata_fromregion(&r->rdata[i], dns_rdataclass_in,
				     r->list.type, &octets);
		ISC_LIST_APPEND(r->list.rdata, &r->rdata[i], link);
	}
	dns_rdataset_init(&r->set);
	dns_rdatalist_tordataset(&r->list, &r->set);
}

struct sign_set *sign_make(struct sign *s, const struct sign_zone *zone,
			   const struct sign_want *want, uint32_t ttl_s)
{
	size_t size = want->size;
	size_t most = want->name_n + want->n * size +
		      zone->n_keys * (size_t)RRSIG_MAX;
	struct sign_set *set = calloc(1, sizeof(*set) + most);
	uint8_t room[RRSIG_MAX];
	struct rrset r;

	if (set == NULL)
		return NULL;
	times_of(&zone->policy, set);
	uint8_t *p = set->octets;
	memcpy(p, want->name, want->name_n);
	p += want->name_n;
	for (size_t i = 0; i < want->n; i++, p += size)
		memcpy(p, want->data[i], size);
	rrset_make(&r, want, ttl_s);
	for (size_t i = 0; i < zone->n_keys; i++) {
		dns_rdata_t sig = DNS_RDATA_INIT;
		isc_buffer_t buffer;
		isc_buffer_init(&buffer, room, sizeof(room));
		if (dns_dnssec_sign(&r.name, &r.set, zone->key[i],
				    &set->begins_s, &set->ends_s,
				    s->process->mctx, &buffer,
				    &sig) != ISC_R_SUCCESS) {
			free(set);
			return NULL;
		}
		memcpy(p, sig.data, sig.length);
		p += sig.length;
		set->sig_n[set->n_sigs++] = (uint16_t)sig.length;
	}
	set->db = zone->db;
	set->hash = want->hash;
	set->ttl_s = ttl_s;
	set->kind = (uint8_t)want->kind;
	set->size = (uint8_t)size;
	set->name_n = (uint8_t)want->name_n;
	set->n = (uint8_t)want->n;
	set->generation = zone->generation;
	struct sign_set *small =
		realloc(set, sizeof(*set) + (size_t)(p - set->octets));
	return small != NULL ? small : set;
}
