/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * sign - signatures for decided RRsets in signed zones of named.
 *
 * A signature is never made where a query waits.  The worker reads a zone's
 * keys from its key directory, signs what a hostname's policy can produce, and
 * publishes the signatures in a table that named's workers read under RCU,
 * without a lock or an allocation.  What is wanted and not there is noted, and
 * signed a moment later; till then another answer is given, or the zone's own.
 *
 * A signature is found by the database in which named has found the answer, so
 * that none outlives a zone that was loaded anew.  The worker holds that
 * database, and neither its zone nor its view: these must be free to end.
 * Named's workers hand it over together with what the zone says of its keys,
 * in a fixed number of slots (sign_meet()).
 *
 * Threads: the query path is any thread inside an RCU section.  Keys, zones
 * and owners are the worker's alone: a dst_key_t is read, used and freed by
 * one thread.  It reads a database by a version of its own, as any thread may.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dns/db.h>
#include <dns/rdatatype.h>
#include <dns/types.h>
#include <ns/query.h>

#include "gtm/decide.h"
#include "plugin/map.h"

#define SIGN_SIGS_MAX 4u /* of one RRset: active keys of a zone */

/* What is signed: addresses of a family, or the alias that is the answer. */
enum sign_kind {
	SIGN_V4 = GTM_V4,
	SIGN_V6 = GTM_V6,
	SIGN_ALIAS,
	SIGN_KINDS,
};

struct sign;
struct sign_owner;

/* An RRset with its signatures.  Immutable but for 'next' and 'used_s'. */
struct sign_set {
	struct sign_set *_Atomic next; /* in its bucket */
	const dns_db_t *db;
	uint64_t hash;
	_Atomic uint32_t used_s;   /* process_now_s() */
	uint32_t begins_s, ends_s; /* of validity, by the wall clock */
	uint32_t ttl_s;		   /* the original one */
	uint8_t kind;		   /* enum sign_kind */
	uint8_t name_n;
	uint8_t n;	/* addresses, or 1 alias */
	uint8_t size;	/* octets of each */
	uint8_t n_sigs; /* 1..SIGN_SIGS_MAX */
	uint16_t sig_n[SIGN_SIGS_MAX];
	/* the worker's own */
	struct sign_owner *owner;
	uint32_t renew_s;
	uint32_t generation; /* of the zone's keys */
	uint32_t seen_s;     /* 'used_s' when last looked at */
	ISC_LINK(struct sign_set) of_owner;
	ISC_LINK(struct sign_set) of_all;
	uint8_t octets[]; /* owner's name, records' data, RRSIG rdata */
};

/* The type of the records. */
static inline dns_rdatatype_t sign_type(enum sign_kind kind)
{
	if (kind == SIGN_ALIAS)
		return dns_rdatatype_cname;
	return kind == SIGN_V6 ? dns_rdatatype_aaaa : dns_rdatatype_a;
}

/* The first signature; the next one follows after sig_n[0] octets. */
static inline const uint8_t *sign_octets(const struct sign_set *set)
{
	return set->octets + set->name_n + (size_t)set->n * set->size;
}

/* -- process --------------------------------------------------------------- */

int sign_new(struct process *p, struct sign **signp);

/* After the last query and the last job. */
void sign_free(struct sign *s); /* NULL is fine */

/* Engine: gives the worker a job if there is anything to do. */
void sign_tick(struct sign *s);

/*
 * Engine: how the hostname fares in signed zones of named: NULL if it lives in
 * none that is known, "" if its answers are signed, else why not, perhaps in
 * 'text' of SIGN_TROUBLE_MAX octets.  'family': of the answers looked at;
 * GTM_FAMILIES: both.
 */
#define SIGN_TROUBLE_MAX 128u
const char *sign_trouble(const struct sign *s, const struct gtm_host *host,
			 enum gtm_family family, char *text);

/* RRsets that are signed now, and all that ever were. */
void sign_counts(const struct sign *s, uint64_t *sets, uint64_t *made);

/*
 * So many sets of 1 to 'most' out of 'n' addresses; any number over
 * SIGN_SUBSETS_MAX stands for more.
 */
#define SIGN_SUBSETS_MAX 1024u
size_t sign_subsets(size_t n, size_t most);

/* -- query path ------------------------------------------------------------ */

/*
 * The signed RRset that is the answer at the hostname in 'db', or NULL.  Whose
 * servers are in it does not matter: 'host' is the one asked for.  'wall_s': it
 * must be valid at that time.
 */
const struct sign_set *sign_find(struct sign *s, const dns_db_t *db,
				 const struct gtm_host *host,
				 enum gtm_family family,
				 const struct gtm_answer *answer,
				 uint32_t wall_s);

/* Whether decided answers are given in the zone whose database this is. */
bool sign_ready(const struct sign *s, const dns_db_t *db);

/* Asks for the answer to be signed soon. */
void sign_wish(struct sign *s, const dns_db_t *db, const struct gtm_host *host,
	       enum gtm_family family, const struct gtm_answer *answer);

/*
 * Makes a signed zone of named's known, with the database that it answers
 * from, or one that is not signed any more forgotten.  How it is signed may
 * change with a configuration, and so it is looked at again every few seconds.
 */
void sign_meet(struct sign *s, dns_zone_t *zone, dns_db_t *db);

/*
 * Looks for the zones of a few hostnames in the view of a query: the plugin is
 * told of no view but by queries.
 */
void sign_survey(struct sign *s, struct instance *inst,
		 const struct view_map *map, const query_ctx_t *qctx);
