/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/world_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS_FIRST 1024u /* slots, a power of two */
#define MULTIPLY    UINT64_C(0x9e3779b97f4a7c15)

/* -- which servers are tested for which services --------------------------- */

static void pairs_put(struct world_pairs *pairs, uint64_t value)
{
	size_t i = (size_t)((value * MULTIPLY) >> 32) & pairs->mask;

	while (pairs->slot[i] != 0 && pairs->slot[i] != value)
		i = (i + 1) & pairs->mask;
	pairs->n += pairs->slot[i] == 0;
	pairs->slot[i] = value;
}

static int pairs_grow(struct world_pairs *pairs)
{
	size_t n = pairs->slot == NULL ? PAIRS_FIRST : 2 * (pairs->mask + 1);
	struct world_pairs more = { calloc(n, sizeof(*more.slot)), 0, n - 1 };

	if (more.slot == NULL)
		return -ENOMEM;
	for (size_t i = 0; pairs->slot != NULL && i <= pairs->mask; i++)
		if (pairs->slot[i] != 0)
			pairs_put(&more, pairs->slot[i]);
	free(pairs->slot);
	*pairs = more;
	return 0;
}

static int pair_add(struct world_build *b, uint32_t server, uint32_t service)
{
	if (b->config->services[service].probe == CONFIG_NOLOAD)
		return 0;
	if (b->pairs.slot == NULL || 2 * b->pairs.n > b->pairs.mask) {
		int rc = pairs_grow(&b->pairs);
		if (rc != 0)
			return rc;
	}
	pairs_put(&b->pairs, ((uint64_t)server << 32 | service) + 1);
	return 0;
}

static int pairs_of_host(struct world_build *b,
			 const struct config_hostname *host)
{
	if (host->service == CONFIG_NONE)
		return 0;
	for (unsigned int tier = 0; tier < CONFIG_TIERS; tier++)
		for (size_t i = 0; i < host->n_servers[tier]; i++) {
			int rc = pair_add(b, host->servers[tier][i],
					  host->service);
			if (rc != 0)
				return rc;
		}
	return 0;
}

static int pairs_collect(struct world_build *b)
{
	const struct config *config = b->config;

	for (size_t i = 0; i < config->n_hostnames; i++) {
		int rc = pairs_of_host(b, &config->hostnames[i]);
		if (rc != 0)
			return rc;
	}
	for (size_t i = 0; i < config->n_servers; i++) {
		const struct config_server *server = &config->servers[i];
		for (size_t k = 0; k < server->n_services; k++) {
			int rc = pair_add(b, (uint32_t)i, server->services[k]);
			if (rc != 0)
				return rc;
		}
	}
	return 0;
}

static int want_compare(const void *va, const void *vb)
{
	const struct world_want *a = va;
	const struct world_want *b = vb;

	if (a->server != b->server)
		return a->server < b->server ? -1 : 1;
	int rc = world_address_compare(a->address, b->address);
	if (rc != 0)
		return rc;
	return (a->service > b->service) - (a->service < b->service);
}

/* Lists the cells of the world in order, each once. */
static int wants_list(struct world_build *b)
{
	const struct config_server *servers = b->config->servers;
	const struct world_pairs *pairs = &b->pairs;
	size_t n = 0;

	for (size_t i = 0; pairs->slot != NULL && i <= pairs->mask; i++)
		if (pairs->slot[i] != 0)
			n += servers[(pairs->slot[i] - 1) >> 32].n_addresses;
	if (n >= CONFIG_NONE)
		return -E2BIG;
	b->wants = calloc(n + 1, sizeof(*b->wants));
	if (b->wants == NULL)
		return -ENOMEM;

	n = 0;
	for (size_t i = 0; pairs->slot != NULL && i <= pairs->mask; i++) {
		if (pairs->slot[i] == 0)
			continue;
		uint32_t server = (uint32_t)((pairs->slot[i] - 1) >> 32);
		uint32_t service = (uint32_t)(pairs->slot[i] - 1);
		for (size_t k = 0; k < servers[server].n_addresses; k++)
			b->wants[n++] = (struct world_want){
				server, service, &servers[server].addresses[k]
			};
	}
	qsort(b->wants, n, sizeof(*b->wants), want_compare);
	for (size_t i = 0; i < n; i++)
		if (b->n_wants == 0 ||
		    want_compare(&b->wants[b->n_wants - 1], &b->wants[i]) != 0)
			b->wants[b->n_wants++] = b->wants[i];
	return 0;
}

/* -- what was there before ------------------------------------------------- */

static int were_find(struct world_build *b)
{
	const struct config *config = b->config;
	const struct gtm_world *old = b->old;

	if (old == NULL)
		return 0;
	b->server_was = calloc(config->n_servers + 1, sizeof(uint32_t));
	b->service_was = calloc(config->n_services + 1, sizeof(uint32_t));
	b->hosts_were = calloc(old->n_hosts + 1, sizeof(*b->hosts_were));
	if (b->server_was == NULL || b->service_was == NULL ||
	    b->hosts_were == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_servers; i++)
		b->server_was[i] =
			gtm_world_server(old, slice_of(config->servers[i].id));
	for (size_t i = 0; i < config->n_services; i++)
		b->service_was[i] =
			world_service(old, slice_of(config->services[i].id));
	for (size_t i = 0; i < old->n_hosts; i++)
		b->hosts_were[i] = &old->hosts[i];
	world_hosts_sort(b->hosts_were, old->n_hosts);
	return 0;
}

/* -- servers and cells ----------------------------------------------------- */

static struct gtm_admin *admin_new(void)
{
	struct gtm_admin *admin = calloc(1, sizeof(*admin));

	if (admin != NULL)
		atomic_init(&admin->good_until_ms, UINT64_MAX);
	return admin;
}

/* Where the needs of each server begin. */
static int needs_make(struct world_build *b)
{
	const struct config *config = b->config;
	struct gtm_world *world = b->world;
	size_t n = 0;

	b->needs_at = calloc(config->n_servers + 1, sizeof(*b->needs_at));
	for (size_t i = 0; i < config->n_servers; i++)
		n += config->servers[i].n_needs;
	world->needs = calloc(n + 1, sizeof(struct gtm_admin *));
	if (b->needs_at == NULL || world->needs == NULL)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < config->n_servers; i++) {
		const struct config_server *server = &config->servers[i];
		b->needs_at[i] = (uint32_t)n;
		for (size_t k = 0; k < server->n_needs; k++)
			world->needs[n++] = world->admins[server->needs[k]];
	}
	return 0;
}

static int admins_make(struct world_build *b)
{
	struct gtm_world *world = b->world;
	size_t n = b->config->n_servers;

	world->admins = calloc(n + 1, sizeof(struct gtm_admin *));
	if (world->admins == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (b->old != NULL && b->server_was[i] != CONFIG_NONE)
			world->admins[i] = b->old->admins[b->server_was[i]];
		else
			world->admins[i] = admin_new();
		if (world->admins[i] == NULL)
			return -ENOMEM;
		world_hold(&world->admins[i]->refs);
	}
	return needs_make(b);
}

static struct gtm_pop *pop_new(const char *id)
{
	size_t n = strlen(id) + 1;
	struct gtm_pop *pop = calloc(1, sizeof(*pop) + n);

	if (pop != NULL)
		memcpy(pop->id, id, n);
	return pop;
}

static struct gtm_pop *pop_was(const struct gtm_world *old, const char *id)
{
	for (size_t i = 0; old != NULL && i < old->config->n_pops; i++)
		if (strcmp(old->pops[i]->id, id) == 0)
			return old->pops[i];
	return NULL;
}

static int pops_make(struct world_build *b)
{
	struct gtm_world *world = b->world;
	size_t n = b->config->n_pops;

	world->pops = calloc(n + 1, sizeof(struct gtm_pop *));
	if (world->pops == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const char *id = b->config->pops[i].id;
		world->pops[i] = pop_was(b->old, id);
		if (world->pops[i] == NULL)
			world->pops[i] = pop_new(id);
		if (world->pops[i] == NULL)
			return -ENOMEM;
		world_hold(&world->pops[i]->refs);
		gtm_world_reached(world, &world->pops[i]->loss);
	}
	return 0;
}

#define COPY_ROWS 4096u /* at a time */
/* Columns for POPs that come while those that have gone are still held. */
#define COLUMNS_SPARE(n) (2 + (n) / 32)

/* Holds a column of 'groups' for each POP; 0 or -errno. */
static int columns_hold(const struct world_build *b, struct gtm_groups *groups)
{
	size_t n = b->config->n_pops;
	const char **ids = calloc(n, sizeof(*ids));

	if (ids == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		ids[i] = b->config->pops[i].id;
	int rc = gtm_groups_columns(groups, ids, n, b->world->columns);
	free(ids);
	return rc;
}

/* A table of its own, with what the old one knows. */
static int groups_new(const struct world_build *b, struct gtm_groups *was,
		      struct gtm_groups **groupsp)
{
	size_t n = b->config->n_pops;
	size_t width = n + COLUMNS_SPARE(n);
	struct gtm_groups *groups;
	uint32_t at = 0;
	bool done = was == NULL;

	if (n > GTM_COLUMNS_MAX)
		return -E2BIG;
	if (width > GTM_COLUMNS_MAX)
		width = GTM_COLUMNS_MAX;
	int rc =
		gtm_groups_new(b->config->groups_max, (uint16_t)width, &groups);
	if (rc != 0)
		return rc;
	rc = columns_hold(b, groups);
	if (rc != 0) {
		gtm_groups_unref(groups);
		return rc;
	}
	/* What cannot be copied will be measured again. */
	while (!done &&
	       gtm_groups_copy(groups, was, &at, COPY_ROWS, 0, &done) == 0)
		;
	*groupsp = groups;
	return 0;
}

/*
 * The table of latencies: that of the world before, or a new one if there are
 * more POPs than that has room for, or another size is wanted.
 */
static int groups_make(struct world_build *b)
{
	struct gtm_world *world = b->world;
	const struct config *config = b->config;
	size_t n = config->n_pops;
	struct gtm_groups *was = b->old != NULL ? b->old->groups : NULL;

	world->columns = calloc(n + 1, sizeof(*world->columns));
	if (world->columns == NULL)
		return -ENOMEM;
	if (n < 2 || config->groups_max == 0)
		return 0;
	if (was != NULL && b->old->config->groups_max == config->groups_max) {
		int rc = columns_hold(b, was);
		if (rc == 0) {
			gtm_groups_ref(was);
			world->groups = was;
		}
		if (rc != -ENOSPC)
			return rc;
	}
	return groups_new(b, was, &world->groups);
}

static struct gtm_cell *cell_new(const struct config *config,
				 const struct world_want *want)
{
	const char *server = config->servers[want->server].id;
	const char *service = config->services[want->service].id;
	size_t n_server = strlen(server) + 1;
	size_t n_service = strlen(service) + 1;
	struct gtm_cell *cell = calloc(1, sizeof(*cell) + n_server + n_service);

	if (cell == NULL)
		return NULL;
	cell->address = *want->address;
	memcpy(cell->ids, server, n_server);
	memcpy(cell->ids + n_server, service, n_service);
	return cell;
}

static struct gtm_cell *cell_was(const struct world_build *b,
				 const struct world_want *want)
{
	if (b->old == NULL)
		return NULL;
	uint32_t server = b->server_was[want->server];
	uint32_t service = b->service_was[want->service];
	if (server == CONFIG_NONE || service == CONFIG_NONE)
		return NULL;
	return world_cell(b->old, server, want->address, service);
}

/* Room for the votes of those cells that have a quorum. */
static int votes_make(struct gtm_world *world)
{
	size_t n = 0;

	for (size_t i = 0; i < world->n_cells; i++)
		n += world->about[i].service->quorum > 1;
	if (n == 0)
		return 0;
	world->votes = calloc(n, sizeof(*world->votes));
	if (world->votes == NULL)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < world->n_cells; i++)
		if (world->about[i].service->quorum > 1)
			world->about[i].votes = &world->votes[n++];
	return 0;
}

static int cells_make(struct world_build *b)
{
	struct gtm_world *world = b->world;
	size_t n_servers = b->config->n_servers;

	world->cells = calloc(b->n_wants + 1, sizeof(struct gtm_cell *));
	world->about = calloc(b->n_wants + 1, sizeof(*world->about));
	world->first = calloc(n_servers + 1, sizeof(*world->first));
	if (world->cells == NULL || world->about == NULL ||
	    world->first == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < b->n_wants; i++) {
		const struct world_want *want = &b->wants[i];
		struct gtm_cell *cell = cell_was(b, want);
		if (cell == NULL)
			cell = cell_new(b->config, want);
		if (cell == NULL)
			return -ENOMEM;
		world_hold(&cell->refs);
		world->cells[i] = cell;
		world->n_cells = i + 1;
		world->about[i] =
			(struct gtm_about){ &b->config->services[want->service],
					    want->server, NULL };
		world->first[want->server + 1] = (uint32_t)(i + 1);
	}
	for (size_t i = 0; i < n_servers; i++) /* those without a cell */
		if (world->first[i + 1] < world->first[i])
			world->first[i + 1] = world->first[i];
	return votes_make(world);
}

/* Where POPs are. */
static int points_make(struct world_build *b)
{
	const struct config *config = b->config;
	struct gtm_vector *points = calloc(config->n_pops + 1, sizeof(*points));

	b->world->points = points;
	if (points == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_pops; i++)
		if (config->pops[i].located)
			points[i] = gtm_vector_of(config->pops[i].latitude,
						  config->pops[i].longitude);
	return 0;
}

int gtm_world_new(const struct config *config, const struct gtm_world *old,
		  struct gtm_world **worldp)
{
	struct world_build b = { .config = config, .old = old };

	b.world = calloc(1, sizeof(*b.world));
	if (b.world == NULL)
		return -ENOMEM;
	b.world->config = config;
	int rc = were_find(&b);
	if (rc == 0)
		rc = pairs_collect(&b);
	if (rc == 0)
		rc = wants_list(&b);
	if (rc == 0)
		rc = admins_make(&b);
	if (rc == 0)
		rc = pops_make(&b);
	if (rc == 0)
		rc = groups_make(&b);
	if (rc == 0)
		rc = cells_make(&b);
	if (rc == 0)
		rc = world_hosts_make(&b);
	if (rc == 0)
		rc = points_make(&b);
	if (rc == 0)
		rc = world_rules_note(&b);
	if (rc == 0) {
		*worldp = b.world;
		b.world = NULL; /* the caller's now */
	}
	gtm_world_free(b.world);
	free(b.pairs.slot);
	free(b.wants);
	free(b.server_was);
	free(b.service_was);
	free(b.hosts_were);
	free(b.needs_at);
	return rc;
}
