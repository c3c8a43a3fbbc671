/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What is measured of clients and between POPs.  "rules" are read before the
 * block that holds them, and so is "mrt": they gather until it ends.
 */
#include "common/config_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void config_near_fini(struct config_near *near)
{
	free(near->rules);
}

/* The prefixes of a list, kept; '*n' of them. */
static const struct config_prefix *
prefixes_keep(struct config_check *c, struct config_near *near,
	      const struct config_value *list, size_t *n)
{
	*n = 0;
	if (!list->ok || list->count == 0)
		return NULL;
	struct config_prefix *made =
		config_arena_alloc(near->arena, list->count * sizeof(*made));
	if (made == NULL) {
		c->rc = -ENOMEM;
		return NULL;
	}
	for (size_t i = 0; i < list->count; i++)
		(void)config_prefix_parse(c->elements[list->first + i].text,
					  &made[i]);
	*n = list->count;
	return made;
}

static struct config_methods methods_of(const struct config_check *c,
					const struct config_value *list)
{
	struct config_methods made = { 0 };

	if (!list->given || !list->ok)
		return made;
	for (size_t i = 0; i < list->count && made.n < CONFIG_METHODS; i++)
		made.method[made.n++] = (uint8_t)c->elements[list->first + i].n;
	return made;
}

/* Notes where "aspath" is named first: it needs a table of routes. */
static struct config_methods methods_read(const struct config_check *c,
					  struct config_near *near,
					  const struct config_value *list)
{
	struct config_methods made = methods_of(c, list);

	for (size_t i = 0; i < made.n; i++)
		if (made.method[i] == CONFIG_METHOD_ASPATH &&
		    near->aspath_node == CONFIG_NO_NODE)
			near->aspath_node = c->elements[list->first + i].node;
	return made;
}

static void rule_built(struct config_check *c, struct config_near *near,
		       const struct config_value *v)
{
	if (near->n_rules == near->rules_max) {
		size_t max = near->rules_max > 0 ? 2 * near->rules_max : 16;
		struct config_latency_rule *more =
			realloc(near->rules, max * sizeof(*more));
		if (more == NULL) {
			c->rc = -ENOMEM;
			return;
		}
		near->rules = more;
		near->rules_max = max;
	}
	struct config_latency_rule *rule = &near->rules[near->n_rules++];
	*rule = (struct config_latency_rule){
		.methods = methods_read(c, near, &v[LATENCY_RULE_METHODS]),
		.when = -1,
	};
	if (v[LATENCY_RULE_WHEN].given)
		rule->when = (int8_t)v[LATENCY_RULE_WHEN].n;
	rule->prefixes = prefixes_keep(c, near, &v[LATENCY_RULE_PREFIXES],
				       &rule->n_prefixes);
}

static void rules_keep(struct config_check *c, struct config_near *near)
{
	if (near->n_rules == 0)
		return;
	struct config_latency_rule *kept =
		config_arena_alloc(near->arena, near->n_rules * sizeof(*kept));
	if (kept == NULL) {
		c->rc = -ENOMEM;
		return;
	}
	memcpy(kept, near->rules, near->n_rules * sizeof(*kept));
	near->latency.rules = kept;
	near->latency.n_rules = near->n_rules;
}

static void mrt_built(struct config_check *c, struct config_near *near,
		      const struct config_value *v)
{
	near->latency.hop_ms = (uint32_t)v[MRT_HOP].n;
	near->latency.mrt_interval_ms = (uint32_t)v[MRT_INTERVAL].n;
	if (!v[MRT_FILE].given || !v[MRT_FILE].ok)
		return;
	near->latency.mrt_file =
		config_arena_text(near->arena, v[MRT_FILE].text);
	if (near->latency.mrt_file == NULL)
		c->rc = -ENOMEM;
}

static void latency_built(struct config_check *c, struct config_near *near,
			  uint32_t node, const struct config_value *v)
{
	static const struct config_methods all = {
		CONFIG_METHODS,
		{ CONFIG_METHOD_PTR, CONFIG_METHOD_ICMP, CONFIG_METHOD_UDP,
		  CONFIG_METHOD_TTL, CONFIG_METHOD_ASPATH }
	};
	struct config_latency *l = &near->latency;

	*l = (struct config_latency){
		.on = node != CONFIG_NO_NODE,
		.methods = methods_read(c, near, &v[LATENCY_METHODS]),
		.when = (enum config_measure)v[LATENCY_WHEN].n,
		.rate = (uint32_t)v[LATENCY_RATE].n,
		.client_rate = (uint32_t)v[LATENCY_CLIENT_RATE].n,
		.prefix_rate = (uint32_t)v[LATENCY_PREFIX_RATE].n,
		.timeout_ms = (uint32_t)v[LATENCY_TIMEOUT].n,
		.tcp_port = (uint16_t)v[LATENCY_TCP_PORT].n,
		.mrt_file = l->mrt_file,
		.hop_ms = l->hop_ms,
		.mrt_interval_ms = l->mrt_interval_ms,
	};
	if (near->aspath_node != CONFIG_NO_NODE && !v[LATENCY_MRT].given)
		config_find(c, near->aspath_node,
			    "\"aspath\" needs a table of routes: \"mrt\"");
	if (l->methods.n == 0) {
		/* the last one needs a table */
		l->methods = all;
		l->methods.n = CONFIG_METHODS - !v[LATENCY_MRT].given;
	}
	l->opt_out = prefixes_keep(c, near, &v[LATENCY_OPT_OUT], &l->n_opt_out);
	if (v[LATENCY_ABOUT].given && v[LATENCY_ABOUT].ok) {
		l->about =
			config_arena_text(near->arena, v[LATENCY_ABOUT].text);
		if (l->about == NULL)
			c->rc = -ENOMEM;
	}
	rules_keep(c, near);
}

static void reach_built(struct config_check *c, struct config_near *near,
			uint32_t node, const struct config_value *v, bool clean)
{
	const struct config_value *from = &v[REACH_FROM];
	struct config_reach *reach = &near->reach;

	*reach = (struct config_reach){
		.interval_ms = (uint32_t)v[REACH_INTERVAL].n,
		.packets = (uint32_t)v[REACH_PACKETS].n,
		.size = (uint32_t)v[REACH_SIZE].n,
	};
	if (node != CONFIG_NO_NODE)
		reach->gone = (enum config_gone)v[REACH_GONE].n;
	if (node == CONFIG_NO_NODE || !clean || !from->given)
		return;
	uint32_t *made =
		config_arena_alloc(near->arena, from->count * sizeof(*made));
	if (made == NULL) {
		c->rc = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < from->count; i++)
		made[i] = config_ref_first(&c->pops,
					   c->elements[from->first + i].text)
				  ->at;
	reach->from = made;
	reach->n_from = from->count;
}

bool config_near_built(struct config_check *c, struct config_near *near,
		       enum schema_block_id id, uint32_t node,
		       const struct config_value *v, bool clean)
{
	switch (id) {
	case SCHEMA_LATENCY:
		latency_built(c, near, node, v);
		return true;
	case SCHEMA_LATENCY_RULE:
		rule_built(c, near, v);
		return true;
	case SCHEMA_LATENCY_MRT:
		mrt_built(c, near, v);
		return true;
	case SCHEMA_REACH:
		reach_built(c, near, node, v, clean);
		return true;
	default:
		return false;
	}
}
