/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A server and a service that it is asked for: indices. */
struct pair {
	uint32_t server, service;
};

struct pairs {
	struct pair *all;
	size_t n, max;
};

static int pair_compare(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->server != y->server)
		return x->server < y->server ? -1 : 1;
	if (x->service != y->service)
		return x->service < y->service ? -1 : 1;
	return 0;
}

static void pairs_unite(struct pairs *pairs)
{
	size_t n = 0;

	if (pairs->n == 0)
		return;
	qsort(pairs->all, pairs->n, sizeof(*pairs->all), pair_compare);
	for (size_t i = 0; i < pairs->n; i++)
		if (n == 0 ||
		    pair_compare(&pairs->all[n - 1], &pairs->all[i]) != 0)
			pairs->all[n++] = pairs->all[i];
	pairs->n = n;
}

/* Twins are thrown out before more memory is taken. */
static int pairs_room(struct pairs *pairs)
{
	if (pairs->n < pairs->max)
		return 0;
	pairs_unite(pairs);
	if (pairs->n > PROBED_TARGETS_MAX)
		return -E2BIG;
	if (pairs->max > 0 && pairs->n <= pairs->max / 2)
		return 0;

	size_t max = pairs->max == 0 ? 256 : 2 * pairs->max;
	struct pair *all = realloc(pairs->all, max * sizeof(*all));
	if (all == NULL)
		return -ENOMEM;
	pairs->all = all;
	pairs->max = max;
	return 0;
}

static bool is_ours(const struct config *config, uint32_t server,
		    const char *node)
{
	const char *probe = config->pops[config->servers[server].pop].probe;

	return probe == NULL || strcmp(probe, node) == 0;
}

static int pair_add(struct pairs *pairs, const struct config *config,
		    const char *node, struct pair pair)
{
	if (pair.service == CONFIG_NONE ||
	    config->services[pair.service].probe == CONFIG_NOLOAD ||
	    !is_ours(config, pair.server, node))
		return 0;
	int rc = pairs_room(pairs);
	if (rc == 0)
		pairs->all[pairs->n++] = pair;
	return rc;
}

static int hostname_add(struct pairs *pairs, const struct config *config,
			const char *node, const struct config_hostname *h)
{
	for (size_t tier = 0; tier < CONFIG_TIERS; tier++) {
		for (size_t i = 0; i < h->n_servers[tier]; i++) {
			struct pair pair = { h->servers[tier][i], h->service };
			int rc = pair_add(pairs, config, node, pair);
			if (rc != 0)
				return rc;
		}
	}
	return 0;
}

static int server_add(struct pairs *pairs, const struct config *config,
		      const char *node, uint32_t at)
{
	const struct config_server *server = &config->servers[at];

	for (size_t i = 0; i < server->n_services; i++) {
		struct pair pair = { at, server->services[i] };
		int rc = pair_add(pairs, config, node, pair);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int pairs_collect(struct pairs *pairs, const struct config *config,
			 const char *node)
{
	int rc = 0;

	for (size_t i = 0; i < config->n_hostnames && rc == 0; i++)
		rc = hostname_add(pairs, config, node, &config->hostnames[i]);
	for (size_t i = 0; i < config->n_servers && rc == 0; i++)
		rc = server_add(pairs, config, node, (uint32_t)i);
	if (rc == 0)
		pairs_unite(pairs);
	return rc;
}

static int target_add(struct probed_table *table,
		      const struct config_server *server,
		      const struct config_service *service, size_t address)
{
	struct probed_target *target = calloc(1, sizeof(*target));

	if (target == NULL)
		return -ENOMEM;
	target->server = server->id;
	target->service = service;
	target->address = &server->addresses[address];
	probed_address_print(target->address, target->address_text);
	table->targets[table->n++] = target;
	return 0;
}

static int targets_make(struct probed_table *table, const struct pairs *pairs,
			const struct config *config)
{
	size_t n = 0;

	for (size_t i = 0; i < pairs->n; i++)
		n += config->servers[pairs->all[i].server].n_addresses;
	if (n > PROBED_TARGETS_MAX)
		return -E2BIG;
	table->targets = calloc(n + 1, sizeof(struct probed_target *));
	if (table->targets == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < pairs->n; i++) {
		const struct pair *pair = &pairs->all[i];
		const struct config_server *server =
			&config->servers[pair->server];
		for (size_t k = 0; k < server->n_addresses; k++) {
			int rc =
				target_add(table, server,
					   &config->services[pair->service], k);
			if (rc != 0)
				return rc;
		}
	}
	return 0;
}

static int target_order(const void *a, const void *b)
{
	const struct probed_target *const *x = a, *const *y = b;

	return probed_target_compare(*x, *y);
}

int probed_table_new(struct config *config, const char *node,
		     struct probed_table **tablep)
{
	struct pairs pairs = { NULL, 0, 0 };
	struct probed_table *table = calloc(1, sizeof(*table));
	if (table == NULL)
		return -ENOMEM;

	int rc = pairs_collect(&pairs, config, node);
	if (rc == 0)
		rc = targets_make(table, &pairs, config);
	free(pairs.all);
	if (rc != 0) {
		probed_table_free(table);
		return rc;
	}
	qsort(table->targets, table->n, sizeof(struct probed_target *),
	      target_order);
	table->config = config;
	*tablep = table;
	return 0;
}

/* 'old' goes on in the place of 'fresh', which is freed. */
static void adopt(struct probed_target **fresh, struct probed_target **old)
{
	struct probed_target *kept = *old, *gone = *fresh;

	kept->server = gone->server;
	kept->service = gone->service;
	kept->address = gone->address;
	free(gone);
	*fresh = kept;
	*old = NULL;
}

void probed_table_adopt(struct probed_table *table, struct probed_table *old)
{
	size_t i = 0, k = 0;

	while (i < table->n && k < old->n) {
		int order = probed_target_compare(table->targets[i],
						  old->targets[k]);
		if (order == 0 &&
		    probed_target_same(table->targets[i], old->targets[k]))
			adopt(&table->targets[i], &old->targets[k]);
		i += order <= 0;
		k += order >= 0;
	}
}

size_t probed_table_count(const struct probed_table *table,
			  enum probed_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < table->n; i++)
		n += table->targets[i]->state == state;
	return n;
}

void probed_table_free(struct probed_table *table)
{
	if (table == NULL)
		return;
	for (size_t i = 0; i < table->n; i++)
		free(table->targets[i]);
	free(table->targets);
	config_free(table->config);
	free(table);
}
