/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * edit_int - what edit.c (what is to be changed), edit_chain.c (aliases) and
 * edit_set.c (how records leave and enter a message) share.  Nobody else
 * includes this.
 */
#include <stdbool.h>
#include <stdint.h>

#include <dns/message.h>
#include <dns/name.h>
#include <dns/rdatalist.h>
#include <dns/rdataset.h>
#include <ns/client.h>
#include <ns/query.h>

#include "gtm/decide.h"
#include "plugin/map.h"
#include "plugin/sign.h"

/* A message under the pen. */
struct edit {
	const struct view_map *map;
	query_ctx_t *qctx;
	dns_message_t *msg;
	bool ours;    /* made from an origin's answer, not from named's zones */
	bool emptied; /* nothing is left of what was asked for */
	/* the last alias that was decided here in a chain; NULL: none */
	dns_name_t *chained;
	isc_result_t result;
};

#define EDIT_CHAIN_MAX 8u /* aliases decided one after another */

/* Records for a new RRset, and the room for their data. */
struct fresh {
	dns_rdatalist_t *list;
	uint8_t *room; /* what is left of it */
};

void edit_drop_set(struct edit *ed, dns_name_t *name, dns_rdataset_t *set);
void edit_drop_name(struct edit *ed, dns_name_t *name, dns_section_t section);

/* Begins a set of up to 'octets' of data; adds a record; ends it at 'owner'. */
isc_result_t edit_fresh_init(struct edit *ed, dns_rdatatype_t type,
			     uint32_t ttl_s, unsigned int octets,
			     struct fresh *f);
isc_result_t edit_fresh_add(struct edit *ed, struct fresh *f,
			    const uint8_t *octets, unsigned int n);
isc_result_t edit_fresh_done(struct edit *ed, struct fresh *f,
			     dns_name_t *owner);

/* The decided records, not yet in a set; and in one at 'owner'. */
isc_result_t edit_fresh_addresses(struct edit *ed, const struct gtm_host *host,
				  enum gtm_family family,
				  const struct gtm_answer *g, struct fresh *f);
isc_result_t edit_add_addresses(struct edit *ed, dns_name_t *owner,
				const struct gtm_host *host,
				enum gtm_family family,
				const struct gtm_answer *g);

/* The signatures of a set, not yet in one of their own. */
isc_result_t edit_fresh_sigs(struct edit *ed, const struct sign_set *from,
			     uint32_t ttl_s, struct fresh *f);

/* The signatures, after the set at 'owner' that they are of. */
isc_result_t edit_add_sigs(struct edit *ed, dns_name_t *owner,
			   const struct sign_set *from, uint32_t ttl_s);

/* The decided alias, in a set at 'owner'. */
isc_result_t edit_add_alias(struct edit *ed, dns_name_t *owner,
			    enum gtm_family family, const struct gtm_answer *g);

/*
 * Adds 'name' to the answer with what was decided for it, 'g->n' > 0; notes it
 * as ed->chained if it is an alias.
 */
void edit_decided(struct edit *ed, const dns_name_t *name,
		  enum gtm_family family, const struct gtm_answer *g);

/* True if the answer has records of that name. */
bool edit_has_name(const struct edit *ed, const dns_name_t *name);

/* A new name at the end of a section, or NULL. */
dns_name_t *edit_add_name(struct edit *ed, const dns_name_t *name,
			  dns_section_t section);

static inline const struct place *host_at(const struct edit *ed,
					  const dns_name_t *name)
{
	return map_host(ed->map, name->ndata, name->length);
}

static inline bool is_address(dns_rdatatype_t type)
{
	return type == dns_rdatatype_a || type == dns_rdatatype_aaaa;
}

static inline bool is_binding(dns_rdatatype_t type)
{
	return type == dns_rdatatype_https || type == dns_rdatatype_svcb;
}

static inline enum gtm_family family_of(dns_rdatatype_t type)
{
	return type == dns_rdatatype_aaaa ? GTM_V6 : GTM_V4;
}

/* edit_chain.c */

/* The database of named's own zone that 'name' is in, or NULL; detach it. */
dns_db_t *edit_db(const struct edit *ed, const dns_name_t *name);

/* The place is in an edge zone whose answers are signed. */
bool edit_signed(const struct place *place);

/* The CNAME set at the name, or NULL; what it leads to: false for nothing. */
dns_rdataset_t *edit_alias_at(dns_name_t *name);
bool edit_alias_name(dns_rdataset_t *alias, dns_name_t *target);

/* Takes out what said that there is no such name, or no such record. */
void edit_drop_denial(struct edit *ed);

/* Takes an alias that an origin has at a hostname out of its answer. */
void edit_cut_alias(struct edit *ed);

/* Continues a chain that has come to a hostname of ours. */
void edit_chain(struct edit *ed);

/*
 * Where the answer's chain of aliases first comes to a hostname that is ours to
 * continue with, after what was decided: the alias's name and its target; or
 * NULL.
 */
const struct place *edit_chain_find(const struct edit *ed, dns_name_t **name,
				    dns_name_t *target);

/* edit.c: a response policy has the last word. */
bool edit_is_rewritten(const query_ctx_t *qctx);

/* alias.c: named's zone may have an alias at the name asked for; logs. */
bool edit_may_alias(const query_ctx_t *qctx, const struct gtm_host *host);

/*
 * The alias that was decided goes to the name asked for, and 'from' with it for
 * a client that wants signatures (NULL: there are none); false: it cannot.
 */
bool edit_put_alias(struct edit *ed, const struct gtm_host *host,
		    enum gtm_family family, const struct gtm_answer *g,
		    const struct sign_set *from);

/* The client wants signatures. */
static inline bool edit_wants_sigs(const struct edit *ed)
{
	return (ed->qctx->client->attributes & NS_CLIENTATTR_WANTDNSSEC) != 0;
}
