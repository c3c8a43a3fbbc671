/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/near_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int order(const struct config_prefix *a, const struct config_prefix *b)
{
	if (a->v6 != b->v6)
		return a->v6 ? 1 : -1;
	if (a->bits != b->bits)
		return a->bits < b->bits ? -1 : 1;
	return memcmp(a->address, b->address, sizeof(a->address));
}

/* Of two rules for one prefix, the first in the configuration is first. */
static int compare(const void *va, const void *vb)
{
	const struct near_rule *a = va, *b = vb;
	int by_prefix = order(&a->prefix, &b->prefix);

	if (by_prefix != 0)
		return by_prefix;
	return (a->rule > b->rule) - (a->rule < b->rule);
}

static void set_sort(struct near_set *set)
{
	if (set->n > 0)
		qsort(set->all, set->n, sizeof(*set->all), compare);
	for (size_t i = 0; i < set->n; i++) {
		const struct config_prefix *p = &set->all[i].prefix;
		set->has[p->v6][p->bits] = true;
	}
}

int near_rules_use(struct near_rules *rules,
		   const struct config_latency *config)
{
	struct near_rules made = { .config = config };
	size_t n = 0;

	for (size_t i = 0; i < config->n_rules; i++)
		n += config->rules[i].n_prefixes;
	made.rules.all = calloc(n + 1, sizeof(*made.rules.all));
	made.opt_out.all =
		calloc(config->n_opt_out + 1, sizeof(*made.opt_out.all));
	if (made.rules.all == NULL || made.opt_out.all == NULL) {
		near_rules_fini(&made);
		return -ENOMEM;
	}
	for (size_t i = 0; i < config->n_rules; i++)
		for (size_t k = 0; k < config->rules[i].n_prefixes; k++)
			made.rules.all[made.rules.n++] = (struct near_rule){
				config->rules[i].prefixes[k], &config->rules[i]
			};
	for (size_t i = 0; i < config->n_opt_out; i++)
		made.opt_out.all[made.opt_out.n++].prefix = config->opt_out[i];
	set_sort(&made.rules);
	set_sort(&made.opt_out);
	near_rules_fini(rules);
	*rules = made;
	return 0;
}

void near_rules_fini(struct near_rules *rules)
{
	free(rules->rules.all);
	free(rules->opt_out.all);
	*rules = (struct near_rules){ 0 };
}

/* The first of just that prefix, or NULL. */
static const struct near_rule *exact(const struct near_set *set,
				     const struct config_prefix *prefix)
{
	size_t low = 0;
	size_t high = set->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (order(&set->all[middle].prefix, prefix) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < set->n && order(&set->all[low].prefix, prefix) == 0
		       ? &set->all[low]
		       : NULL;
}

/* The longest prefix that has all of the client. */
static const struct near_rule *longest(const struct near_set *set,
				       const struct gtm_client *client)
{
	struct gtm_client cut = *client;

	for (unsigned int bits = client->bits + 1u; bits-- > 0;) {
		if (!set->has[client->v6][bits])
			continue;
		cut.bits = (uint8_t)bits;
		gtm_client_clear(&cut);
		struct config_prefix key = { .bits = cut.bits, .v6 = cut.v6 };
		memcpy(key.address, cut.address, sizeof(key.address));
		const struct near_rule *found = exact(set, &key);
		if (found != NULL)
			return found;
	}
	return NULL;
}

bool near_rules_out(const struct near_rules *rules,
		    const struct gtm_client *address)
{
	return longest(&rules->opt_out, address) != NULL;
}

enum config_measure near_rules_find(const struct near_rules *rules,
				    const struct gtm_client *client,
				    struct config_methods *methods)
{
	const struct near_rule *found = longest(&rules->rules, client);

	*methods = rules->config->methods;
	if (found == NULL)
		return rules->config->when;
	if (found->rule->methods.n > 0)
		*methods = found->rule->methods;
	return found->rule->when >= 0 ? (enum config_measure)found->rule->when
				      : rules->config->when;
}
