/* SPDX-License-Identifier: MPL-2.0 */
/* Where a hostname can be an alias, and where it may lead. */
#include "common/config_int.h"

#include <string.h>

/* The document's names, and what is being looked at. */
struct look {
	struct config_check *c;
	const struct config_traffic *t;
	const struct config_name *zones;
	size_t n_zones;
};

static bool is_domain(const struct look *l, const struct dname *name)
{
	return config_name_find(l->t->domain_names, l->t->n_domain_names,
				name) != NULL;
}

static bool is_zone(const struct look *l, const struct dname *name)
{
	return config_name_find(l->zones, l->n_zones, name) != NULL;
}

/* Runs 'see' for each alias of the hostname until it returns true. */
static bool each_alias(const struct look *l, const struct config_hostname *h,
		       bool (*see)(const struct look *l,
				   const struct dname *alias, void *arg),
		       void *arg)
{
	for (size_t tier = 0; tier < CONFIG_TIERS; tier++)
		for (size_t i = 0; i < h->n_servers[tier]; i++) {
			const struct dname *alias =
				l->t->servers[h->servers[tier][i]].alias;
			if (alias != NULL && see(l, alias, arg))
				return true;
		}
	return false;
}

static bool any(const struct look *l, const struct dname *alias, void *arg)
{
	(void)l;
	(void)alias;
	(void)arg;
	return true;
}

/* Where a chain of aliases began, and how far it may still go. */
struct ring {
	const struct dname *from;
	uint32_t left;
};

static bool leads_back(const struct look *l, const struct dname *alias,
		       void *arg)
{
	const struct ring *ring = arg;
	struct ring next = { ring->from, ring->left - 1 };

	if (dname_equal(alias, ring->from))
		return true;
	uint32_t at = config_hostname_find(l->t, alias);
	if (at == CONFIG_NONE)
		return false;
	if (ring->left == 0)
		return true;
	return each_alias(l, &l->t->hostnames[at], leads_back, &next);
}

static void alias_end(const struct look *l, const struct config_hostname *h,
		      uint32_t node)
{
	struct ring ring = { &h->name, CONFIG_ALIASES_MAX };

	if (is_domain(l, &h->name) || is_zone(l, &h->name))
		config_find(l->c, node,
			    "it is the apex of a %s, which has SOA and NS "
			    "records, and so cannot be an alias: none of its "
			    "servers may have \"alias\"",
			    is_domain(l, &h->name) ? "domain" : "zone");
	if (each_alias(l, h, leads_back, &ring))
		config_find(l->c, node,
			    "its servers' aliases lead back to it, or through "
			    "more than %u hostnames",
			    CONFIG_ALIASES_MAX);
}

void config_alias_end(struct config_check *c, const struct config_traffic *t,
		      size_t at, const struct config_name *zones,
		      size_t n_zones)
{
	const struct look l = { c, t, zones, n_zones };
	const struct config_hostname *h = &t->hostnames[at];
	uint32_t node = t->hostname_nodes[at];

	if (each_alias(&l, h, any, NULL))
		alias_end(&l, h, node);
}

bool config_is_alias(const struct config_traffic *t, const struct dname *name)
{
	const struct look l = { NULL, t, NULL, 0 };
	uint32_t at = config_hostname_find(t, name);

	return at != CONFIG_NONE &&
	       (config_second_maps(t, at) ||
		each_alias(&l, &t->hostnames[at], any, NULL));
}
