/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * config_int - what the parts of config share: config.c (files, life),
 * config_check.c (walks the document along the schema), config_value.c (one
 * value), config_find.c (findings and paths), config_build.c and
 * config_traffic.c and config_clients.c (make the struct config, and check what
 * concerns several values).
 *
 * The text is read twice: by jsontext, whole, for lines and duplicates, and by
 * json-c, for values: one block of the document, or one member of a map, at a
 * time, so that a big document does not need its memory many times over.  A
 * 'node' is jsontext's, a 'value' is json-c's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/jsontext.h"
#include "common/schema.h"

#define CONFIG_NO_NODE	UINT32_MAX
#define CONFIG_SHOW_MAX 128u /* octets of a value as shown in a finding */

struct json_object;

/* The value of one key of a block, given or by default. */
struct config_value {
	bool given;	     /* it is in the document (and not null) */
	bool ok;	     /* and as the schema wants it, or a default */
	uint32_t node;	     /* where; only if given */
	int64_t n;	     /* INTEGER, DURATION, SIZE, BOOL, WORD */
	double d;	     /* NUMBER */
	size_t first, count; /* LIST: its elements in config_check.elements;
				MAP of values: the same, keys by 'node' */
	struct slice text;   /* strings: decoded; p NULL: none */
};

/* A step of the path to where we are. */
struct config_step {
	struct slice key; /* p NULL: an element of an array */
	uint32_t index;
};

/* A name and where it stands. */
struct config_ref {
	struct slice name;
	uint32_t node;
	uint32_t at; /* of POPs: how many are before it in the document */
};

struct config_refs {
	struct config_ref *all; /* sorted */
	size_t n;
};

/* The caller's array of findings, kept in the document's order. */
struct config_found {
	struct err *errs;
	uint32_t *offsets; /* of each, in the text */
	size_t max, n;
	size_t total; /* with those that found no room */
};

struct config_builder;
struct json_tokener;

struct config_check {
	const struct jsontext *json;
	struct json_tokener *tokener;
	struct config_found found;
	struct config_step path[JSONTEXT_DEPTH_MAX];
	size_t depth;
	struct config_refs servers, services, pops;
	uint32_t guesses; /* names compared, see config_value.c */
	/* of the lists in the blocks that we are in */
	struct config_value *elements;
	size_t n_elements, elements_max;
	struct config_builder *builder;
	int rc; /* -ENOMEM: the rest is void */
};

/* config_find.c */
void config_find(struct config_check *c, uint32_t node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void config_enter(struct config_check *c, struct slice key, uint32_t index);
void config_leave(struct config_check *c);
void config_path_print(const struct config_check *c, char *out, size_t size);

/* Writes a quoted and escaped 'text', cut to CONFIG_SHOW_MAX; returns 'out'. */
char *config_quote(struct slice text, char out[CONFIG_SHOW_MAX]);

/*
 * Looks for what 'word' may have meant: offer each candidate, then print
 * ' (did you mean "x"?)' or nothing into 'out' (CONFIG_SHOW_MAX octets).
 */
struct config_guess {
	struct slice word, best;
	size_t distance; /* of best, or one too many */
};
void config_guess_init(struct config_guess *guess, struct slice word);
void config_guess_offer(struct config_guess *guess, struct slice candidate);
char *config_guess_print(const struct config_guess *guess, char *out);

int config_ref_compare(const void *a, const void *b); /* name, then node */

/* The first in the document with that name, or NULL. */
const struct config_ref *config_ref_first(const struct config_refs *refs,
					  struct slice name);

/* config_value.c */
void config_value_check(struct config_check *c, const struct schema_item *item,
			uint32_t node, struct json_object *value,
			struct config_value *out);
/* The same for the key of member 'node'; true if it is fine. */
bool config_name_check(struct config_check *c, const struct schema_item *item,
		       uint32_t node);

/* Writes the ends of the item's range, "1..65535"; returns 'out'. */
char *config_range_print(const struct schema_item *item, char *out,
			 size_t size);
void config_value_preset(const struct schema_key *key,
			 struct config_value *out);
void config_want(struct config_check *c, const struct schema_item *item,
		 uint32_t node);

/* config_check.c: leaves findings, or 'rc' if it cannot even look. */
void config_check_all(struct config_check *c);

/* config_build.c */

/*
 * Makes the builder of a config for 'json', which outlives it.  Returns 0 or
 * -ENOMEM.
 */
int config_builder_new(const char *file, const struct jsontext *json,
		       struct config_builder **builderp);

/*
 * Takes the values of block 'node' (CONFIG_NO_NODE: by default): checks what
 * concerns several of them, and keeps them if all is well.  'clean': nothing
 * was found in the block.
 */
void config_built(struct config_check *c, enum schema_block_id id,
		  uint32_t node, const struct config_value *v, bool clean);

/* Makes room, once it is known how many names there are to refer to. */
int config_builder_refs(struct config_check *c);

/* Ends the builder, and returns what it made. */
struct config *config_builder_done(struct config_builder *builder);

/* Ends the builder and frees what it made; NULL is fine. */
void config_builder_free(struct config_builder *builder);

/* config_overlap.c: a name that must be there once, and where it stands. */
struct config_name {
	const struct dname *name;
	uint32_t node;	/* in its map */
	bool by_itself; /* the name is not the key but given in the block */
};

/*
 * Finds those of 'what' ("zone") that have the same name.  The path is at
 * their map.  Sorts 'names'.
 */
void config_overlaps(struct config_check *c, struct config_name *names,
		     size_t n, const char *what);

/* The one called 'name' in the sorted list, or NULL. */
const struct config_name *config_name_find(const struct config_name *names,
					   size_t n, const struct dname *name);

/* A root domain, and where hostnames below it are mapped to. */
struct config_second {
	struct dname root, domain;
	struct dname persistent; /* n 0: none */
	uint32_t ttl_s;
	uint32_t node;
};

/* config_traffic.c: services, POPs, servers, hostnames, domains */
struct config_traffic {
	struct config_arena **arena; /* the config's */
	struct config_service *services;
	struct config_server *servers;
	struct config_pop *pops;
	struct config_hostname *hostnames;
	struct config_domain *domains;
	uint32_t *hostname_nodes, *domain_nodes;
	size_t n_pops, n_hostnames, n_domains; /* good ones so far */
	size_t n_servers;		       /* when all are there */
	struct config_second *seconds;
	size_t n_seconds;
	struct config_name *mapped; /* names in the second tier, sorted */
	size_t n_mapped;
	struct config_name *hostname_names, *domain_names;
	size_t n_hostname_names, n_domain_names;
	struct config_arena *scratch;
	uint32_t *seen; /* of each server: the last hostname that named it */
	uint32_t turn;	/* of that */
	/* the blocks that ended last */
	struct config_expect expect;
	struct config_damping damping;
	struct config_question question;
	struct config_weigh weigh;
	const struct config_load *pop_load, *server_load; /* NULL: none */
	const struct config_snmp *pop_snmp;
	struct slice *pop_near;	  /* of each POP; p NULL: none */
	struct dname *else_names; /* of each hostname; n 0: none */
	uint32_t *pop_nodes;
	uint32_t latency_age_ms, loss_age_ms, bandwidth_age_ms, load_age_ms;
};

/* Room for so many; 0 or -ENOMEM. */
int config_traffic_init(struct config_traffic *t, struct config_arena **arena,
			const struct jsontext *json);
int config_traffic_refs(struct config_traffic *t, struct config_check *c);
void config_traffic_fini(struct config_traffic *t);

/* Shared by the two files of it: keys of the tiers; order, by octets. */
extern const char *const config_tier_keys[CONFIG_TIERS];
int config_address_order(const struct sockaddr_storage *a,
			 const struct sockaddr_storage *b);

/* As config_built(), for blocks of ours; false: it is none. */
bool config_traffic_built(struct config_check *c, struct config_traffic *t,
			  enum schema_block_id id, uint32_t node,
			  const struct config_value *v, bool clean);

/* When all are there: what concerns several, and the result. */
void config_traffic_end(struct config_check *c, struct config_traffic *t,
			const struct config_name *zones, size_t n_zones,
			uint32_t feed_interval_ms);
void config_traffic_keep(struct config_check *c, struct config_traffic *t,
			 struct config *config);

/* config_clients.c: databases, and what is known of clients */
struct config_claim;
struct config_client_rules {
	struct config_arena **arena; /* the config's */
	struct config_clients *clients;
	size_t n_clients; /* good ones so far */
	struct config_geo geo;
	struct config_claim *claims; /* what clients are found by */
	size_t n_claims, claims_max;
};

/* As those of config_traffic. */
int config_clients_init(struct config_client_rules *r,
			struct config_arena **arena,
			const struct jsontext *json);
void config_clients_fini(struct config_client_rules *r);
bool config_clients_built(struct config_check *c, struct config_client_rules *r,
			  enum schema_block_id id, uint32_t node,
			  const struct config_value *v, bool clean);
void config_clients_end(struct config_check *c, struct config_client_rules *r);
void config_clients_keep(struct config_client_rules *r, struct config *config);
/* The good hostname of that name, or CONFIG_NONE; when all are there. */
uint32_t config_hostname_find(const struct config_traffic *t,
			      const struct dname *name);

/* config_near.c: what is measured of clients and between POPs */
struct config_near {
	struct config_arena **arena; /* the config's */
	struct config_latency latency;
	struct config_reach reach;
	struct config_latency_rule *rules; /* of the list at hand */
	size_t n_rules, rules_max;
	uint32_t aspath_node; /* the first "aspath"; CONFIG_NO_NODE: none */
};
void config_near_fini(struct config_near *near);
/* As config_traffic_built(). */
bool config_near_built(struct config_check *c, struct config_near *near,
		       enum schema_block_id id, uint32_t node,
		       const struct config_value *v, bool clean);

/* config_alias.c: the aliases of hostname number 'at'. */
void config_alias_end(struct config_check *c, const struct config_traffic *t,
		      size_t at, const struct config_name *zones,
		      size_t n_zones);

/* True if the hostname of that name may be an alias. */
bool config_is_alias(const struct config_traffic *t, const struct dname *name);

/* config_ns.c: hostname number 'at', if its name servers are decided. */
void config_ns_end(struct config_check *c, const struct config_traffic *t,
		   size_t at);

/* config_measure.c: as config_traffic_built() and config_traffic_end(). */
bool config_measure_built(struct config_check *c, struct config_traffic *t,
			  enum schema_block_id id, uint32_t node,
			  const struct config_value *v, bool clean);
void config_measure_end(struct config_check *c, struct config_traffic *t,
			uint32_t feed_interval_ms);

/* config_second.c: a block of "second-tier". */
void config_second_built(struct config_check *c, struct config_traffic *t,
			 uint32_t node, const struct config_value *v);

/* config_service.c: the blocks of a service, and what its keys mean. */
bool config_service_built(struct config_check *c, struct config_traffic *t,
			  enum schema_block_id id, uint32_t node,
			  const struct config_value *v);
void config_service_check(struct config_check *c, struct config_traffic *t,
			  uint32_t node, const struct config_value *v);
void config_service_keep(struct config_check *c, struct config_traffic *t,
			 struct config_service *s,
			 const struct config_value *v);

/* config_pattern.c: what is wrong with a regular expression; NULL: nothing. */
const char *config_pattern_wrong(struct slice text);

/* True if hostname number 'at' is an alias of a name in the second tier. */
bool config_second_maps(const struct config_traffic *t, size_t at);

/* Checks what is mapped; then, if all is well, makes it.  0 or -ENOMEM. */
void config_second_end(struct config_check *c, struct config_traffic *t,
		       const struct config_name *zones, size_t n_zones);
int config_second_keep(struct config_traffic *t);

/* Shared by the two builders: notes a name for the search for overlaps. */
int config_name_keep(struct config_arena **scratch, struct config_name *names,
		     size_t *n, const struct dname *name,
		     const struct config_name *as);

/* Members of the document's 'key', or 0 if there are too many or none. */
size_t config_members(const struct jsontext *json, const char *key);

/* config_arena.c: memory that is freed all at once. */
struct config_arena;

/* Adds to '*arena' (NULL: a new one); aligned, zeroed; NULL: no memory. */
void *config_arena_alloc(struct config_arena **arena, size_t size);

/* Copies 'text' and a NUL. */
char *config_arena_text(struct config_arena **arena, struct slice text);
void config_arena_free(struct config_arena *arena); /* NULL is fine */
