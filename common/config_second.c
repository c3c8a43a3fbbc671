/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The second tier: hostnames below a root domain are aliases of names in
 * another domain, which have their policy.  So "www.example.net" becomes two
 * hostnames: itself, with nothing but an alias, and "www.edge.example.net",
 * with its servers and all that was said of them.
 */
#include "common/config_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_proper(const struct dname *name, const struct dname *top)
{
	return name->labels > top->labels && dname_is_below(name, top);
}

/* -- the blocks ------------------------------------------------------------ */

/* Names would be mapped to where they are, or above. */
static void domain_check(struct config_check *c, const struct config_value *v,
			 const char *key, const struct dname *root,
			 struct dname *domain)
{
	if (!v->given || !v->ok || dname_parse(v->text, domain) != 0)
		return;
	if (dname_is_below(root, domain))
		config_find(c, v->node,
			    "the root domain lies in \"%s\": names would be "
			    "mapped to the tier that they are in",
			    key);
}

void config_second_built(struct config_check *c, struct config_traffic *t,
			 uint32_t node, const struct config_value *v)
{
	struct config_second *s = &t->seconds[t->n_seconds];
	struct dname root;

	if (dname_parse(c->json->nodes[node].key, &root) != 0 ||
	    t->n_seconds == CONFIG_SECONDS_MAX)
		return;
	for (size_t i = 0; i < t->n_seconds; i++)
		if (dname_equal(&t->seconds[i].root, &root))
			config_find(c, node, "the same root domain as before");
	*s = (struct config_second){ .root = root, .node = node };
	domain_check(c, &v[SECOND_DOMAIN], "domain", &root, &s->domain);
	domain_check(c, &v[SECOND_PERSISTENT], "persistent-domain", &root,
		     &s->persistent);
	s->ttl_s = (uint32_t)(v[SECOND_TTL].n / 1000);
	t->n_seconds++;
}

/* -- which hostnames, and where to ----------------------------------------- */

static bool in_second(const struct config_traffic *t, const struct dname *name)
{
	for (size_t i = 0; i < t->n_seconds; i++) {
		const struct config_second *s = &t->seconds[i];
		if (dname_is_below(name, &s->domain) ||
		    (s->persistent.n > 0 &&
		     dname_is_below(name, &s->persistent)))
			return true;
	}
	return false;
}

/* The closest root domain that the hostname is below, if it is mapped. */
static const struct config_second *second_of(const struct config_traffic *t,
					     const struct config_hostname *h)
{
	const struct config_second *found = NULL;

	if (t->n_seconds == 0 || h->dry_run || h->name_servers ||
	    in_second(t, &h->name))
		return NULL;
	for (size_t i = 0; i < t->n_seconds; i++)
		if (is_proper(&h->name, &t->seconds[i].root) &&
		    (found == NULL ||
		     t->seconds[i].root.labels > found->root.labels))
			found = &t->seconds[i];
	if (found != NULL && h->persist_s > 0 && found->persistent.n == 0)
		return NULL; /* it stays in the root domain */
	return found;
}

/* The name in the second tier; false: it would be too long. */
static bool map_name(const struct config_second *s,
		     const struct config_hostname *h, struct dname *mapped)
{
	const struct dname *domain =
		h->persist_s > 0 ? &s->persistent : &s->domain;
	size_t own = (size_t)h->name.n - s->root.n;

	if (own + domain->n > DNAME_WIRE_MAX)
		return false;
	memcpy(mapped->wire, h->name.wire, own);
	memcpy(mapped->wire + own, domain->wire, domain->n);
	mapped->n = (uint8_t)(own + domain->n);
	mapped->labels =
		(uint8_t)(h->name.labels - s->root.labels + domain->labels);
	return true;
}

bool config_second_maps(const struct config_traffic *t, size_t at)
{
	return second_of(t, &t->hostnames[at]) != NULL;
}

/* -- what must hold -------------------------------------------------------- */

static bool is_apex(const struct config_traffic *t, const struct dname *name,
		    const struct config_name *zones, size_t n_zones)
{
	return config_name_find(zones, n_zones, name) != NULL ||
	       config_name_find(t->domain_names, t->n_domain_names, name) !=
		       NULL;
}

/* Adds the mapped name to 'names'. */
static void hostname_check(struct config_check *c, struct config_traffic *t,
			   size_t at, const struct config_name *zones,
			   size_t n_zones)
{
	const struct config_hostname *h = &t->hostnames[at];
	const struct config_second *s = second_of(t, h);
	const struct config_name as = { .node = t->hostname_nodes[at] };
	char text[DNAME_TEXT_MAX];
	struct dname mapped;

	if (s == NULL)
		return;
	if (!map_name(s, h, &mapped)) {
		config_find(c, as.node,
			    "its name in the second tier is too long");
		return;
	}
	(void)dname_print(&mapped, text);
	if (dname_is_below(&mapped, &h->name))
		config_find(c, as.node,
			    "its name in the second tier, \"%.200s\", is below "
			    "its own",
			    text);
	else if (is_apex(t, &h->name, zones, n_zones))
		config_find(c, as.node,
			    "it is the apex of a zone or domain, and so cannot "
			    "be mapped to the second tier");
	else if (is_apex(t, &mapped, zones, n_zones) ||
		 config_name_find(t->hostname_names, t->n_hostname_names,
				  &mapped) != NULL)
		config_find(c, as.node,
			    "its name in the second tier, \"%.200s\", is a "
			    "hostname, zone or domain already",
			    text);
	else
		c->rc = config_name_keep(&t->scratch, t->mapped, &t->n_mapped,
					 &mapped, &as);
}

void config_second_end(struct config_check *c, struct config_traffic *t,
		       const struct config_name *zones, size_t n_zones)
{
	if (t->n_seconds == 0)
		return;
	t->mapped = calloc(t->n_hostnames + 1, sizeof(*t->mapped));
	if (t->mapped == NULL) {
		c->rc = -ENOMEM;
		return;
	}
	config_enter(c, slice_of("hostnames"), 0);
	for (size_t i = 0; i < t->n_hostnames && c->rc == 0; i++) {
		config_enter(c, c->json->nodes[t->hostname_nodes[i]].key, 0);
		hostname_check(c, t, i, zones, n_zones);
		config_leave(c);
	}
	config_overlaps(c, t->mapped, t->n_mapped, "name in the second tier");
	if (t->n_hostnames + t->n_mapped > CONFIG_HOSTNAMES_MAX)
		config_find(c, t->seconds[0].node,
			    "with the names in the second tier there are %zu "
			    "hostnames, want at most %u",
			    t->n_hostnames + t->n_mapped, CONFIG_HOSTNAMES_MAX);
	config_leave(c);
}

/* -- the result ------------------------------------------------------------ */

/* A hostname that is mapped. */
struct pair {
	char *id; /* of the server that stands for its other name, "~..." */
	struct dname name;
	size_t at; /* the hostname */
	uint32_t ttl_s;
};

static int pair_order(const void *a, const void *b)
{
	return strcmp(((const struct pair *)a)->id,
		      ((const struct pair *)b)->id);
}

/* '~' comes after whatever ids are made of: these servers are the last. */
static bool pair_make(struct config_traffic *t, size_t at, struct pair *pair)
{
	const struct config_second *s = second_of(t, &t->hostnames[at]);
	char text[DNAME_TEXT_MAX + 1] = "~";

	(void)map_name(s, &t->hostnames[at], &pair->name);
	size_t n = dname_print(&pair->name, text + 1);
	pair->at = at;
	pair->ttl_s = s->ttl_s;
	pair->id = config_arena_text(t->arena, (struct slice){ text, n + 1 });
	return pair->id != NULL;
}

/* Makes the hostname an alias by server number 'server'. */
static bool host_lead(struct config_traffic *t, struct config_hostname *h,
		      uint32_t server, uint32_t ttl_s)
{
	uint32_t *list = config_arena_alloc(t->arena, sizeof(*list));

	if (list == NULL)
		return false;
	*list = server;
	const struct config_hostname plain = {
		.id = h->id,
		.name = h->name,
		.service = CONFIG_NONE,
		.n_servers = { [CONFIG_PRIMARY] = 1 },
		.servers = { [CONFIG_PRIMARY] = list },
		.answers = 1,
		.ttl_s = ttl_s,
		.ttl_min_s = ttl_s,
		.otherwise = CONFIG_NONE,
		.persist_refresh_s = UINT32_MAX,
		.fail = CONFIG_FAIL_OPEN,
		.line = h->line,
	};
	*h = plain;
	return true;
}

/* Puts the pairs into the new arrays, which have room; false: no memory. */
static bool pairs_put(struct config_traffic *t, const struct pair *pairs,
		      size_t n_pairs, struct config_hostname *hosts)
{
	const size_t n = t->n_hostnames;

	for (size_t k = 0; k < n_pairs; k++) {
		struct config_hostname *h = &hosts[pairs[k].at];
		struct config_hostname *other = &hosts[n + k];
		struct config_server *s = &t->servers[t->n_servers + k];
		struct dname *alias =
			config_arena_alloc(t->arena, sizeof(*alias));
		if (alias == NULL)
			return false;
		*alias = pairs[k].name;
		*other = *h;
		other->id = pairs[k].id + 1;
		other->name = pairs[k].name;
		*s = (struct config_server){
			.id = pairs[k].id,
			.pop = t->servers[h->servers[CONFIG_PRIMARY][0]].pop,
			.weight = 1,
			.shed_pct = 100,
			.alias = alias,
			.mapped = true,
		};
		if (!host_lead(t, h, (uint32_t)(t->n_servers + k),
			       pairs[k].ttl_s))
			return false;
	}
	return true;
}

/* Who fell back on a hostname that is an alias now falls back on the other. */
static void others_follow(struct config_hostname *hosts, size_t n,
			  const struct pair *pairs, size_t n_pairs,
			  uint32_t *moved)
{
	for (size_t i = 0; i < n; i++)
		moved[i] = (uint32_t)i;
	for (size_t k = 0; k < n_pairs; k++)
		moved[pairs[k].at] = (uint32_t)(n + k);
	for (size_t i = 0; i < n + n_pairs; i++)
		if (hosts[i].otherwise != CONFIG_NONE)
			hosts[i].otherwise = moved[hosts[i].otherwise];
}

int config_second_keep(struct config_traffic *t)
{
	size_t n = t->n_hostnames;
	size_t n_pairs = 0;
	struct pair *pairs = calloc(t->n_mapped + 1, sizeof(*pairs));
	uint32_t *moved = calloc(n + 1, sizeof(*moved));
	struct config_hostname *hosts = config_arena_alloc(
		t->arena, (n + t->n_mapped + 1) * sizeof(*hosts));
	struct config_server *servers = config_arena_alloc(
		t->arena, (t->n_servers + t->n_mapped + 1) * sizeof(*servers));
	bool ok = pairs != NULL && moved != NULL && hosts != NULL &&
		  servers != NULL;

	for (size_t i = 0; ok && i < n; i++)
		if (config_second_maps(t, i))
			ok = pair_make(t, i, &pairs[n_pairs++]);
	if (ok) {
		qsort(pairs, n_pairs, sizeof(*pairs), pair_order);
		memcpy(hosts, t->hostnames, n * sizeof(*hosts));
		memcpy(servers, t->servers, t->n_servers * sizeof(*servers));
		t->servers = servers;
		ok = pairs_put(t, pairs, n_pairs, hosts);
	}
	if (ok) {
		others_follow(hosts, n, pairs, n_pairs, moved);
		t->hostnames = hosts;
		t->n_hostnames += n_pairs;
		t->n_servers += n_pairs;
	}
	free(pairs);
	free(moved);
	return ok ? 0 : -ENOMEM;
}
