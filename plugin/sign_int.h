/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * sign_int - what sign.c (table and query path), sign_keys.c (a zone's keys),
 * sign_why.c (what stands in the way) and sign_work.c (the worker's part)
 * share.  Nobody else includes this.
 */
#include <isc/list.h>

#include <dst/dst.h>

#include "common/dname.h"
#include "plugin/sign.h"

#define SIGN_BUCKETS	     65536u
#define SIGN_ZONE_BUCKETS    1024u
#define SIGN_ZONES_MAX	     4096u
#define SIGN_ALL_MAX	     262144u /* sets */
#define SIGN_AHEAD_ALL_MAX   196608u /* of these, as signed ahead */
#define SIGN_OWNER_MAX	     2048u   /* sets of a hostname, family and zone */
#define SIGN_SUBSETS_ALL_MAX 98304u  /* of these, of more than one record */
#define SIGN_AHEAD_MAX	     192u    /* subsets that are signed ahead */
#define SIGN_WISHES	     256u
#define SIGN_MEETS	     64u
#define SIGN_DIRECTORY	     1024u /* octets of its name */
#define SIGN_DNSKEYS	     32u   /* looked at, of a zone */
#define SIGN_OCTETS_MAX	     256u  /* of addresses, or of an alias */
_Static_assert(SIGN_OCTETS_MAX >= DNAME_WIRE_MAX, "an alias fits");
_Static_assert(SIGN_OCTETS_MAX >= GTM_ANSWERS_MAX * 16, "addresses fit");

enum sign_state {
	SIGN_STARTING,
	SIGN_READY,
	SIGN_NO_KEY,
	SIGN_UNREADABLE,
	SIGN_INACTIVE,
	SIGN_PARTIAL,
	SIGN_NO_DNSKEY,
	SIGN_STATES,
};

/* How a zone is signed, as named's zone has it. */
struct sign_policy {
	bool kasp; /* dnssec-policy: keys have states */
	uint32_t validity_s, refresh_s, jitter_s;
	char directory[SIGN_DIRECTORY];
};

/* A slot that named's workers fill, and the worker empties. */
enum slot { SLOT_FREE, SLOT_BUSY, SLOT_FULL };

struct sign_wish {
	_Atomic uint8_t slot; /* enum slot */
	const dns_db_t *db;   /* to be compared only */
	uint64_t hash;
	uint8_t kind, n, size, name_n;
	uint8_t name[DNAME_WIRE_MAX];
	uint8_t octets[SIGN_OCTETS_MAX];
};

struct sign_meeting {
	_Atomic uint8_t slot;
	dns_db_t *db;	     /* a reference; NULL: not signed any more */
	const void *zone_id; /* to be compared only */
	struct dname origin;
	struct sign_policy policy;
};

/* DNSKEY records of a zone that may have made a signature. */
struct sign_tag {
	uint16_t id;
	uint8_t algorithm;
};

struct sign_zone {
	struct sign_zone *_Atomic next; /* by database; for readers */
	dns_db_t *db;
	struct dname origin;
	_Atomic uint8_t state;	/* enum sign_state */
	_Atomic uint32_t met_s; /* last seen by a query */
	/* the worker's own */
	struct sign_zone *by_origin; /* chain */
	const void *zone_id;
	struct sign_policy policy;
	uint64_t dnskey_hash, active_hash;
	uint32_t looked_s; /* when keys were last read */
	unsigned int failures;
	uint32_t generation;
	size_t n_tags, n_keys;
	struct sign_tag tag[SIGN_DNSKEYS];
	dst_key_t *key[SIGN_SIGS_MAX]; /* those that sign now */
	ISC_LINK(struct sign_zone) link;
};

/* What of an owner was signed ahead. */
enum sign_ahead { SIGN_NO_SETS, SIGN_SINGLES, SIGN_SUBSETS };

/* A name and kind in a zone that has answers to be signed. */
struct sign_owner {
	struct sign_owner *next; /* in its bucket */
	struct sign_zone *zone;
	const struct gtm_host *host; /* of the snapshot held */
	enum sign_kind kind;
	uint64_t hash;
	bool kept;
	bool fits; /* its sets have none but candidates */
	enum sign_ahead ahead;
	size_t n_sets;
	ISC_LIST(struct sign_set) sets;
	ISC_LINK(struct sign_owner) link;
	struct dname name;
};

struct sign {
	struct job job; /* first */
	struct process *process;
	uint64_t seed;
	_Atomic bool queued, wanted;
	_Atomic size_t n_zones_seen; /* as 'n_zones', for the engine */
	uint32_t ticked_s;	     /* the engine's */
	_Atomic uint64_t n_sets, n_made;
	struct sign_zone *_Atomic zones[SIGN_ZONE_BUCKETS];
	struct sign_set *_Atomic table[SIGN_BUCKETS];
	struct sign_wish wish[SIGN_WISHES];
	struct sign_meeting meeting[SIGN_MEETS];
	/* the worker's own */
	struct snapshot *snapshot; /* whose hostnames the owners have */
	bool attach;		   /* zones have come or gone */
	bool round;		   /* there may be something to sign */
	uint32_t attached_s, checked_s;
	uint32_t renew_s; /* when the first set must be, by the wall clock */
	struct sign_owner *cursor;
	bool subsets; /* it is the round's second part */
	size_t n_zones;
	size_t wish_at;
	ISC_LIST(struct sign_zone) all_zones;
	ISC_LIST(struct sign_owner) owners;
	ISC_LIST(struct sign_set) sets; /* those looked at longest ago first */
	struct sign_zone *origins[SIGN_ZONE_BUCKETS];
	struct sign_owner *owned[SIGN_BUCKETS];
	ISC_LIST(struct sign_set) gone; /* unlinked, to be freed */
	ISC_LIST(struct sign_zone) gone_zones;
};

static inline uint64_t sign_mix(uint64_t h)
{
	h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}

static inline uint64_t sign_hash(uint64_t h, const uint8_t *p, size_t n)
{
	for (; n >= 8; n -= 8, p += 8) {
		uint64_t word;
		memcpy(&word, p, 8);
		h = sign_mix(h ^ word);
	}
	uint64_t rest = n;
	for (size_t i = 0; i < n; i++)
		rest = rest << 8 | p[i];
	return sign_mix(h ^ rest);
}

/* Of a record's data at 'octets'. */
static inline size_t sign_size(enum sign_kind kind, const uint8_t *octets)
{
	size_t n = 0;

	if (kind != SIGN_ALIAS)
		return kind == SIGN_V6 ? 16 : 4;
	while (octets[n] != 0)
		n += octets[n] + 1u;
	return n + 1;
}

static inline enum sign_kind sign_kind_of(enum gtm_family family,
					  const struct gtm_answer *answer)
{
	return answer->outcome == GTM_ALIAS ? SIGN_ALIAS
					    : (enum sign_kind)family;
}

/* The data of the candidate's record. */
static inline const uint8_t *sign_data(const struct gtm_candidate *candidate)
{
	return candidate->alias != NULL ? candidate->alias->wire
					: candidate->address;
}

/* Of the owner of sets; and what one record adds for a set. */
static inline uint64_t sign_owner_hash(const struct sign *s, const dns_db_t *db,
				       const uint8_t *name, size_t n,
				       enum sign_kind kind)
{
	return sign_hash(sign_mix(s->seed ^ (uint64_t)(uintptr_t)db) + kind,
			 name, n);
}

static inline uint64_t sign_data_hash(const struct sign *s,
				      const uint8_t *octets, size_t n)
{
	return sign_hash(s->seed, octets, n);
}

static inline struct sign_zone *_Atomic *sign_zone_bucket(const struct sign *s,
							  const dns_db_t *db)
{
	uint64_t h = sign_mix(s->seed ^ (uint64_t)(uintptr_t)db);

	return (struct sign_zone * _Atomic *)&s->zones[h % SIGN_ZONE_BUCKETS];
}

/* An RRset to be signed or looked for. */
struct sign_want {
	const dns_db_t *db;
	uint64_t hash;
	const uint8_t *name;
	size_t name_n;
	enum sign_kind kind;
	size_t n, size;
	const uint8_t *data[GTM_ANSWERS_MAX];
};

/* sign.c: finds a published set; any thread, the worker without RCU. */
struct sign_set *sign_lookup(const struct sign *s, const struct sign_want *w);

/* sign.c: what to look for, of an answer at the hostname. */
void sign_want_of(const struct sign *s, const dns_db_t *db,
		  const struct gtm_host *host, enum gtm_family family,
		  const struct gtm_answer *answer, struct sign_want *w);

/*
 * sign_keys.c: looks whether the zone's keys are as they were, and else reads
 * those that sign now.  Returns true if signatures must be made anew.
 */
bool sign_keys_check(struct sign *s, struct sign_zone *zone, uint32_t now_s);
void sign_keys_free(struct sign_zone *zone);

/* The DNSKEY RRset has the key that made the signature. */
bool sign_keys_have(const struct sign_zone *zone, const uint8_t *rrsig);

/*
 * Whether a decided set of that kind can take the place of what the zone itself
 * has at the name: its records of that family, or for an alias either family's
 * or an alias, but not at the apex.  Any thread that holds the database.
 */
bool sign_exists(const struct sign_zone *zone, const struct dname *name,
		 enum sign_kind kind);

/* The name has records of 'type' in the zone itself. */
enum sign_found { SIGN_NOTHING, SIGN_WILDCARD, SIGN_OWN };
enum sign_found sign_records(const struct sign_zone *zone,
			     const struct dname *name, dns_rdatatype_t type);

/*
 * Signs.  Returns the set, not yet published, or NULL: no memory, or the
 * library has failed.
 */
struct sign_set *sign_make(struct sign *s, const struct sign_zone *zone,
			   const struct sign_want *want, uint32_t ttl_s);

/* sign_work.c: the job. */
void sign_run(struct job *job);
