/* SPDX-License-Identifier: MPL-2.0 */
/* Hostnames whose name servers are decided, instead of their addresses. */
#include "common/config_int.h"

/* Each of its servers must be a name server. */
static void servers_check(struct config_check *c,
			  const struct config_traffic *t,
			  const struct config_hostname *h, uint32_t node)
{
	for (size_t tier = 0; tier < CONFIG_TIERS; tier++)
		for (size_t i = 0; i < h->n_servers[tier]; i++) {
			const struct config_server *s =
				&t->servers[h->servers[tier][i]];
			if (s->alias != NULL)
				config_find(c, node,
					    "server \"%s\" in \"%s\" is an "
					    "alias, and so cannot be a name "
					    "server",
					    s->id, config_tier_keys[tier]);
			else if (s->name_server == NULL)
				config_find(c, node,
					    "server \"%s\" in \"%s\" has no "
					    "\"name-server\": its name as one",
					    s->id, config_tier_keys[tier]);
		}
}

void config_ns_end(struct config_check *c, const struct config_traffic *t,
		   size_t at)
{
	const struct config_hostname *h = &t->hostnames[at];
	uint32_t node = t->hostname_nodes[at];

	if (h->otherwise != CONFIG_NONE &&
	    t->hostnames[h->otherwise].name_servers != h->name_servers)
		config_find(c, node,
			    "\"else\": of the two, one has \"name-servers\"");
	if (!h->name_servers)
		return;
	if (h->dry_run)
		config_find(c, node, "\"dry-run\" is not for \"name-servers\"");
	servers_check(c, t, h, node);
}
