/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a configuration knows of clients: databases of addresses, and rules of
 * its own.  A prefix, country, continent or AS is in one rule only: else which
 * of two holds would depend on their order.
 */
#include "common/config_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 8u /* of one path */

const char *const config_continent_names[CONFIG_CONTINENTS + 1] = {
	[CONFIG_NO_CONTINENT] = "", [CONFIG_AF] = "AF", [CONFIG_AN] = "AN",
	[CONFIG_AS] = "AS",	    [CONFIG_EU] = "EU", [CONFIG_NA] = "NA",
	[CONFIG_OC] = "OC",	    [CONFIG_SA] = "SA",
};

enum claim_kind { CLAIM_PREFIX, CLAIM_AS, CLAIM_COUNTRY, CLAIM_CONTINENT };

/* Something that clients are found by, and the rule that has it. */
struct config_claim {
	enum claim_kind kind;
	uint32_t n; /* AS, country, continent */
	struct config_prefix prefix;
	uint32_t node, rule_node;
};

int config_clients_init(struct config_client_rules *r,
			struct config_arena **arena,
			const struct jsontext *json)
{
	size_t n = config_members(json, "clients");

	r->arena = arena;
	r->clients = config_arena_alloc(arena, (n + 1) * sizeof(*r->clients));
	return r->clients != NULL ? 0 : -ENOMEM;
}

void config_clients_fini(struct config_client_rules *r)
{
	free(r->claims);
}

/* Room in the arena for the elements of a list; NULL: none, or no memory. */
static void *room(struct config_check *c, struct config_client_rules *r,
		  const struct config_value *list, size_t size)
{
	if (!list->ok || list->count == 0)
		return NULL;
	void *made = config_arena_alloc(r->arena, list->count * size);
	if (made == NULL)
		c->rc = -ENOMEM;
	return made;
}

/* -- databases ----------------------------------------------------------- */

/* "a/b/c", or "." */
static bool is_path(struct slice text)
{
	size_t keys = 1;

	if (slice_is(text, "."))
		return true;
	for (size_t i = 0; i < text.n; i++) {
		bool ends = i + 1 == text.n || text.p[i + 1] == '/';
		if (text.p[i] == '\0' || (text.p[i] == '/' && (i == 0 || ends)))
			return false;
		keys += text.p[i] == '/';
	}
	return keys <= KEYS_MAX;
}

static const char *const *texts_keep(struct config_check *c,
				     struct config_client_rules *r,
				     const struct config_value *list)
{
	const char **made = room(c, r, list, sizeof(*made));

	for (size_t i = 0; made != NULL && i < list->count; i++) {
		made[i] = config_arena_text(r->arena,
					    c->elements[list->first + i].text);
		if (made[i] == NULL)
			c->rc = -ENOMEM;
	}
	return made;
}

/* The paths that are given, or 'preset', which ends with NULL. */
static void paths_keep(struct config_check *c, struct config_client_rules *r,
		       const struct config_value *list,
		       const char *const *preset, struct config_paths *paths)
{
	char shown[CONFIG_SHOW_MAX];

	*paths = (struct config_paths){ .path = preset };
	while (preset[paths->n] != NULL)
		paths->n++;
	if (!list->given || !list->ok)
		return;
	for (size_t i = 0; i < list->count; i++) {
		const struct config_value *e = &c->elements[list->first + i];
		if (!is_path(e->text))
			config_find(c, e->node,
				    "%s is not one to %u keys with '/' between "
				    "them",
				    config_quote(e->text, shown), KEYS_MAX);
	}
	paths->path = texts_keep(c, r, list);
	paths->n = list->count;
}

static void geo_built(struct config_check *c, struct config_client_rules *r,
		      const struct config_value *v)
{
	static const char *const countries[] = { "country/iso_code",
						 "country_code",
						 "registered_country/iso_code",
						 NULL };
	static const char *const continents[] = { "continent/code",
						  "continent_code", NULL };
	static const char *const numbers[] = { "autonomous_system_number",
					       "asn", NULL };
	static const char *const locations[] = { "location", ".", NULL };
	const struct config_value *list = &v[GEO_DATABASES];

	r->geo.databases = texts_keep(c, r, list);
	r->geo.n_databases = list->ok ? list->count : 0;
	paths_keep(c, r, &v[GEO_COUNTRY], countries, &r->geo.country);
	paths_keep(c, r, &v[GEO_CONTINENT], continents, &r->geo.continent);
	paths_keep(c, r, &v[GEO_AS], numbers, &r->geo.as);
	paths_keep(c, r, &v[GEO_LOCATION], locations, &r->geo.location);
}

/* -- rules --------------------------------------------------------------- */

static void claim(struct config_check *c, struct config_client_rules *r,
		  const struct config_claim *claim)
{
	if (r->n_claims == r->claims_max) {
		size_t max = r->claims_max > 0 ? 2 * r->claims_max : 64;
		struct config_claim *more =
			realloc(r->claims, max * sizeof(*more));
		if (more == NULL) {
			c->rc = -ENOMEM;
			return;
		}
		r->claims = more;
		r->claims_max = max;
	}
	r->claims[r->n_claims++] = *claim;
}

static void prefixes_keep(struct config_check *c, struct config_client_rules *r,
			  const struct config_value *list, uint32_t node,
			  struct config_clients *to)
{
	struct config_prefix *made = room(c, r, list, sizeof(*made));

	for (size_t i = 0; made != NULL && c->rc == 0 && i < list->count; i++) {
		const struct config_value *e = &c->elements[list->first + i];
		(void)config_prefix_parse(e->text, &made[i]);
		claim(c, r,
		      &(struct config_claim){ .kind = CLAIM_PREFIX,
					      .prefix = made[i],
					      .node = e->node,
					      .rule_node = node });
	}
	to->prefixes = made;
	to->n_prefixes = made != NULL ? list->count : 0;
}

static void countries_keep(struct config_check *c,
			   struct config_client_rules *r,
			   const struct config_value *list, uint32_t node,
			   struct config_clients *to)
{
	uint16_t *made = room(c, r, list, sizeof(*made));

	for (size_t i = 0; made != NULL && c->rc == 0 && i < list->count; i++) {
		const struct config_value *e = &c->elements[list->first + i];
		made[i] = (uint16_t)(e->text.p[0] << 8 | e->text.p[1]);
		claim(c, r,
		      &(struct config_claim){ .kind = CLAIM_COUNTRY,
					      .n = made[i],
					      .node = e->node,
					      .rule_node = node });
	}
	to->countries = made;
	to->n_countries = made != NULL ? list->count : 0;
}

static void as_keep(struct config_check *c, struct config_client_rules *r,
		    const struct config_value *list, uint32_t node,
		    struct config_clients *to)
{
	uint32_t *made = room(c, r, list, sizeof(*made));

	for (size_t i = 0; made != NULL && c->rc == 0 && i < list->count; i++) {
		const struct config_value *e = &c->elements[list->first + i];
		made[i] = (uint32_t)e->n;
		claim(c, r,
		      &(struct config_claim){ .kind = CLAIM_AS,
					      .n = made[i],
					      .node = e->node,
					      .rule_node = node });
	}
	to->as = made;
	to->n_as = made != NULL ? list->count : 0;
}

static void continents_keep(struct config_check *c,
			    struct config_client_rules *r,
			    const struct config_value *list, uint32_t node,
			    struct config_clients *to)
{
	for (size_t i = 0; c->rc == 0 && i < list->count; i++) {
		const struct config_value *e = &c->elements[list->first + i];
		uint32_t which = (uint32_t)e->n + CONFIG_AF;
		to->continents |= (uint8_t)(1u << which);
		claim(c, r,
		      &(struct config_claim){ .kind = CLAIM_CONTINENT,
					      .n = which,
					      .node = e->node,
					      .rule_node = node });
	}
}

static const struct config_ref *ref_of(const struct config_check *c,
				       const struct config_refs *refs,
				       const struct config_value *e)
{
	return config_ref_first(refs, c->json->nodes[e->node].key);
}

static int weight_order(const void *va, const void *vb)
{
	const struct config_server_weight *a = va, *b = vb;

	return (a->server > b->server) - (a->server < b->server);
}

/* What holds for them. */
static void holds_keep(struct config_check *c, struct config_client_rules *r,
		       const struct config_value *v, struct config_clients *to)
{
	const struct config_value *where = &v[CLIENTS_LOCATION];
	const struct config_value *latency = &v[CLIENTS_LATENCY];
	const struct config_value *weights = &v[CLIENTS_WEIGHTS];
	const struct config_value *pops = &v[CLIENTS_POPS];
	struct config_pop_ms *ms = room(c, r, latency, sizeof(*ms));
	struct config_server_weight *w = room(c, r, weights, sizeof(*w));
	uint32_t *order = room(c, r, pops, sizeof(*order));

	if (c->rc != 0)
		return;
	for (size_t i = 0; i < latency->count; i++) {
		const struct config_value *e = &c->elements[latency->first + i];
		ms[i].pop = ref_of(c, &c->pops, e)->at;
		ms[i].ms = (float)e->d;
	}
	for (size_t i = 0; i < weights->count; i++) {
		const struct config_value *e = &c->elements[weights->first + i];
		w[i].server =
			(uint32_t)(ref_of(c, &c->servers, e) - c->servers.all);
		w[i].weight = (uint32_t)e->n;
	}
	for (size_t i = 0; i < pops->count; i++)
		order[i] = config_ref_first(&c->pops,
					    c->elements[pops->first + i].text)
				   ->at;
	if (w != NULL)
		qsort(w, weights->count, sizeof(*w), weight_order);
	to->latency = ms;
	to->n_latency = latency->count;
	to->weights = w;
	to->n_weights = weights->count;
	to->pops = order;
	to->n_pops = pops->count;
	to->located = where->given;
	if (where->given) {
		to->latitude = c->elements[where->first].d;
		to->longitude = c->elements[where->first + 1].d;
	}
}

static void clients_built(struct config_check *c, struct config_client_rules *r,
			  uint32_t node, const struct config_value *v,
			  bool clean)
{
	static const int keys[] = { CLIENTS_PREFIXES, CLIENTS_COUNTRIES,
				    CLIENTS_CONTINENTS, CLIENTS_AS };
	struct config_clients made = { 0 };
	bool any = false;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		any = any || v[keys[i]].given;
	if (!any)
		config_find(c, node,
			    "nobody: want one or more of \"prefixes\", "
			    "\"countries\", \"continents\" and \"as\"");
	if (!clean || !any)
		return;
	prefixes_keep(c, r, &v[CLIENTS_PREFIXES], node, &made);
	countries_keep(c, r, &v[CLIENTS_COUNTRIES], node, &made);
	continents_keep(c, r, &v[CLIENTS_CONTINENTS], node, &made);
	as_keep(c, r, &v[CLIENTS_AS], node, &made);
	holds_keep(c, r, v, &made);
	made.id = config_arena_text(r->arena, c->json->nodes[node].key);
	made.line = c->json->nodes[node].line;
	if (made.id == NULL)
		c->rc = -ENOMEM;
	r->clients[r->n_clients++] = made;
}

bool config_clients_built(struct config_check *c, struct config_client_rules *r,
			  enum schema_block_id id, uint32_t node,
			  const struct config_value *v, bool clean)
{
	switch (id) {
	case SCHEMA_GEO:
		geo_built(c, r, v);
		return true;
	case SCHEMA_CLIENTS:
		clients_built(c, r, node, v, clean);
		return true;
	default:
		return false;
	}
}

/* -- when all are there -------------------------------------------------- */

static int prefix_order(const struct config_prefix *a,
			const struct config_prefix *b)
{
	int order = memcmp(a->address, b->address, sizeof(a->address));

	if (a->v6 != b->v6)
		return a->v6 ? 1 : -1;
	return order != 0 ? order : a->bits - b->bits;
}

/* By what is claimed. */
static int claim_order(const struct config_claim *a,
		       const struct config_claim *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	return prefix_order(&a->prefix, &b->prefix);
}

static int claim_compare(const void *va, const void *vb)
{
	const struct config_claim *a = va, *b = vb;
	int order = claim_order(a, b);

	if (order != 0)
		return order;
	return (a->node > b->node) - (a->node < b->node);
}

static void claim_print(const struct config_claim *claim, char *out,
			size_t size)
{
	char text[INET6_ADDRSTRLEN];

	switch (claim->kind) {
	case CLAIM_PREFIX:
		(void)inet_ntop(claim->prefix.v6 ? AF_INET6 : AF_INET,
				claim->prefix.address, text, sizeof(text));
		(void)snprintf(out, size, "the prefix %s/%u", text,
			       claim->prefix.bits);
		return;
	case CLAIM_AS:
		(void)snprintf(out, size, "AS %" PRIu32, claim->n);
		return;
	case CLAIM_COUNTRY:
		(void)snprintf(out, size, "the country %c%c",
			       (char)(claim->n >> 8), (char)claim->n);
		return;
	default:
		(void)snprintf(out, size, "the continent %s",
			       config_continent_names[claim->n]);
	}
}

void config_clients_end(struct config_check *c, struct config_client_rules *r)
{
	char what[INET6_ADDRSTRLEN + 32], shown[CONFIG_SHOW_MAX];

	if (r->n_claims > 0)
		qsort(r->claims, r->n_claims, sizeof(*r->claims),
		      claim_compare);
	for (size_t i = 1; i < r->n_claims; i++) {
		const struct config_claim *was = &r->claims[i - 1];
		const struct config_claim *is = &r->claims[i];
		if (claim_order(was, is) != 0)
			continue;
		claim_print(is, what, sizeof(what));
		config_enter(c, slice_of("clients"), 0);
		config_enter(c, c->json->nodes[is->rule_node].key, 0);
		config_find(
			c, is->node, "%s is in %s already, in line %u", what,
			config_quote(c->json->nodes[was->rule_node].key, shown),
			(unsigned)c->json->nodes[was->node].line);
		config_leave(c);
		config_leave(c);
	}
}

void config_clients_keep(struct config_client_rules *r, struct config *config)
{
	config->geo = r->geo;
	config->clients = r->clients;
	config->n_clients = r->n_clients;
}

/* -- two configurations -------------------------------------------------- */

static bool texts_equal(size_t n, const char *const *a, const char *const *b)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

static bool paths_equal(const struct config_paths *a,
			const struct config_paths *b)
{
	return a->n == b->n && texts_equal(a->n, a->path, b->path);
}

static bool geo_equal(const struct config_geo *a, const struct config_geo *b)
{
	return a->n_databases == b->n_databases &&
	       texts_equal(a->n_databases, a->databases, b->databases) &&
	       paths_equal(&a->country, &b->country) &&
	       paths_equal(&a->continent, &b->continent) &&
	       paths_equal(&a->as, &b->as) &&
	       paths_equal(&a->location, &b->location);
}

/* Of 'n' elements; those without any have no memory. */
static bool same(size_t n, size_t size, const void *a, const void *b)
{
	return n == 0 || memcmp(a, b, n * size) == 0;
}

static bool found_alike(const struct config_clients *a,
			const struct config_clients *b)
{
	if (a->n_prefixes != b->n_prefixes ||
	    a->n_countries != b->n_countries || a->n_as != b->n_as ||
	    a->continents != b->continents || a->located != b->located)
		return false;
	for (size_t i = 0; i < a->n_prefixes; i++)
		if (prefix_order(&a->prefixes[i], &b->prefixes[i]) != 0)
			return false;
	return same(a->n_countries, sizeof(*a->countries), a->countries,
		    b->countries) &&
	       same(a->n_as, sizeof(*a->as), a->as, b->as) &&
	       a->latitude == b->latitude && a->longitude == b->longitude;
}

bool config_clients_equal(const struct config *a, const struct config *b)
{
	if (a->n_clients != b->n_clients || !geo_equal(&a->geo, &b->geo))
		return false;
	for (size_t i = 0; i < a->n_clients; i++)
		if (!found_alike(&a->clients[i], &b->clients[i]))
			return false;
	return true;
}
