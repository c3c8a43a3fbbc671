/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/world_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS_FIRST 1024u /* slots, a power of two */
#define FNV_BASIS   UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME   UINT64_C(0x100000001b3)
#define MULTIPLY    UINT64_C(0x9e3779b97f4a7c15)

/* A set of servers with a service: open addressing, 0 is an empty slot. */
struct pairs {
	uint64_t *slot;
	size_t n, mask;
};

/* What a cell will be made for. */
struct want {
	uint32_t server, service;
	const struct sockaddr_storage *address;
};

struct build {
	const struct config *config;
	const struct gtm_world *old; /* NULL: the first */
	struct gtm_world *world;
	struct pairs pairs;
	struct want *wants;
	size_t n_wants;
	uint32_t *server_was, *service_was; /* index in 'old', CONFIG_NONE */
	uint32_t *needs_at; /* of each server: its first in world->needs */
	const struct gtm_host **hosts_were; /* those of 'old', by name */
};

/* Takes one more reference. */
static void hold(_Atomic uint32_t *refs)
{
	atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
}

/* -- which servers are tested for which services --------------------------- */

static void pairs_put(struct pairs *pairs, uint64_t value)
{
	size_t i = (size_t)((value * MULTIPLY) >> 32) & pairs->mask;

	while (pairs->slot[i] != 0 && pairs->slot[i] != value)
		i = (i + 1) & pairs->mask;
	pairs->n += pairs->slot[i] == 0;
	pairs->slot[i] = value;
}

static int pairs_grow(struct pairs *pairs)
{
	size_t n = pairs->slot == NULL ? PAIRS_FIRST : 2 * (pairs->mask + 1);
	struct pairs more = { calloc(n, sizeof(*more.slot)), 0, n - 1 };

	if (more.slot == NULL)
		return -ENOMEM;
	for (size_t i = 0; pairs->slot != NULL && i <= pairs->mask; i++)
		if (pairs->slot[i] != 0)
			pairs_put(&more, pairs->slot[i]);
	free(pairs->slot);
	*pairs = more;
	return 0;
}

static int pair_add(struct build *b, uint32_t server, uint32_t service)
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

static int pairs_of_host(struct build *b, const struct config_hostname *host)
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

static int pairs_collect(struct build *b)
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
	const struct want *a = va;
	const struct want *b = vb;

	if (a->server != b->server)
		return a->server < b->server ? -1 : 1;
	int rc = world_address_compare(a->address, b->address);
	if (rc != 0)
		return rc;
	return (a->service > b->service) - (a->service < b->service);
}

/* Lists the cells of the world in order, each once. */
static int wants_list(struct build *b)
{
	const struct config_server *servers = b->config->servers;
	const struct pairs *pairs = &b->pairs;
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
			b->wants[n++] =
				(struct want){ server, service,
					       &servers[server].addresses[k] };
	}
	qsort(b->wants, n, sizeof(*b->wants), want_compare);
	for (size_t i = 0; i < n; i++)
		if (b->n_wants == 0 ||
		    want_compare(&b->wants[b->n_wants - 1], &b->wants[i]) != 0)
			b->wants[b->n_wants++] = b->wants[i];
	return 0;
}

/* -- what was there before ------------------------------------------------- */

static int host_compare(const void *va, const void *vb)
{
	const struct dname *a =
		&(*(const struct gtm_host *const *)va)->config->name;
	const struct dname *b =
		&(*(const struct gtm_host *const *)vb)->config->name;

	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	return memcmp(a->wire, b->wire, a->n);
}

static int were_find(struct build *b)
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
	qsort(b->hosts_were, old->n_hosts, sizeof(*b->hosts_were),
	      host_compare);
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
static int needs_make(struct build *b)
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

static int admins_make(struct build *b)
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
		hold(&world->admins[i]->refs);
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

static int pops_make(struct build *b)
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
		hold(&world->pops[i]->refs);
	}
	return 0;
}

#define COPY_ROWS 4096u /* at a time */
/* Columns for POPs that come while those that have gone are still held. */
#define COLUMNS_SPARE(n) (2 + (n) / 32)

/* Holds a column of 'groups' for each POP; 0 or -errno. */
static int columns_hold(const struct build *b, struct gtm_groups *groups)
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
static int groups_new(const struct build *b, struct gtm_groups *was,
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
static int groups_make(struct build *b)
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
				 const struct want *want)
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

static struct gtm_cell *cell_was(const struct build *b, const struct want *want)
{
	if (b->old == NULL)
		return NULL;
	uint32_t server = b->server_was[want->server];
	uint32_t service = b->service_was[want->service];
	if (server == CONFIG_NONE || service == CONFIG_NONE)
		return NULL;
	return world_cell(b->old, server, want->address, service);
}

static int cells_make(struct build *b)
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
		const struct want *want = &b->wants[i];
		struct gtm_cell *cell = cell_was(b, want);
		if (cell == NULL)
			cell = cell_new(b->config, want);
		if (cell == NULL)
			return -ENOMEM;
		hold(&cell->refs);
		world->cells[i] = cell;
		world->n_cells = i + 1;
		world->about[i] =
			(struct gtm_about){ &b->config->services[want->service],
					    want->server };
		world->first[want->server + 1] = (uint32_t)(i + 1);
	}
	for (size_t i = 0; i < n_servers; i++) /* those without a cell */
		if (world->first[i + 1] < world->first[i])
			world->first[i + 1] = world->first[i];
	return 0;
}

/* -- hostnames and candidates ---------------------------------------------- */

/* The candidate of a host before, by its server there and its address. */
static int candidate_compare(const void *va, const void *vb)
{
	const struct gtm_candidate *a =
		*(const struct gtm_candidate *const *)va;
	const struct gtm_candidate *b =
		*(const struct gtm_candidate *const *)vb;

	if (a->server != b->server)
		return a->server < b->server ? -1 : 1;
	return memcmp(a->address, b->address, sizeof(a->address));
}

/* Finds the tallies of the candidates of a family that were there before. */
static void tallies_find(const struct build *b, struct gtm_host *host,
			 const struct gtm_host *was, enum gtm_family family)
{
	const struct gtm_candidate *sorted[CONFIG_CHOICE_MAX]; /* n of them */
	uint32_t n = was->n[family];

	if (n == 0)
		return;
	for (uint32_t i = 0; i < n; i++)
		sorted[i] = &was->candidate[family][i];
	qsort(sorted, n, sizeof(sorted[0]), candidate_compare);
	for (uint32_t i = 0; i < host->n[family]; i++) {
		struct gtm_candidate *candidate = &host->candidate[family][i];
		struct gtm_candidate key = *candidate;
		const struct gtm_candidate *keyp = &key;
		key.server = b->server_was[candidate->server];
		const struct gtm_candidate *const *found = bsearch(
			&keyp, sorted, n, sizeof(sorted[0]), candidate_compare);
		if (found == NULL)
			continue;
		candidate->tally = (*found)->tally;
		hold(&candidate->tally->refs);
	}
}

/* Counters of a host: those it had, new ones for what is new. */
static int counters_make(const struct build *b, struct gtm_host *host)
{
	const struct gtm_host *const *was = NULL;
	const struct gtm_host *key = host;

	if (b->old != NULL && b->old->n_hosts > 0)
		was = bsearch(&key, b->hosts_were, b->old->n_hosts,
			      sizeof(*b->hosts_were), host_compare);
	if (was != NULL) {
		host->counts = (*was)->counts;
		tallies_find(b, host, *was, GTM_V4);
		tallies_find(b, host, *was, GTM_V6);
	} else {
		host->counts = calloc(1, sizeof(*host->counts));
	}
	if (host->counts == NULL)
		return -ENOMEM;
	hold(&host->counts->refs);

	size_t n = (size_t)host->n[GTM_V4] + host->n[GTM_V6];
	for (size_t i = 0; i < n; i++) {
		struct gtm_candidate *c = &host->candidate[GTM_V4][i];
		if (c->tally != NULL)
			continue;
		c->tally = calloc(1, sizeof(*c->tally));
		if (c->tally == NULL)
			return -ENOMEM;
		hold(&c->tally->refs);
	}
	return 0;
}

/*
 * A hash of a server's id that is the same in every node, release and
 * configuration, so that clients stay with their server through all of them.
 */
static uint64_t key_of(const char *id)
{
	uint64_t h = FNV_BASIS;

	for (; *id != '\0'; id++)
		h = (h ^ (uint8_t)*id) * FNV_PRIME;
	h = (h ^ h >> 32) * MULTIPLY;
	return h ^ h >> 29;
}

/* What holds for all addresses of a server. */
static void candidate_begin(const struct build *b, struct gtm_host *host,
			    uint32_t server, struct gtm_candidate *candidate)
{
	const struct config_server *from = &b->config->servers[server];
	uint32_t pop = b->config->pops[from->pop].near;

	candidate->server = server;
	candidate->key = key_of(from->id);
	candidate->admin = b->world->admins[server];
	candidate->weight = from->weight;
	candidate->capacity = from->capacity;
	candidate->shed_from =
		(uint32_t)((uint64_t)from->capacity * from->shed_pct / 100);
	candidate->slow_start_ms = from->slow_start_ms;
	candidate->pop = (uint16_t)pop;
	candidate->column = b->world->columns[pop];
	candidate->place = b->world->pops[pop];
	candidate->n_needs = (uint8_t)from->n_needs;
	candidate->needs = &b->world->needs[b->needs_at[server]];
	candidate->alias = from->alias;
	candidate->odd =
		from->n_needs > 0 || from->weight == 0 || from->alias != NULL;
	if (candidate->shed_from < from->capacity || from->slow_start_ms > 0)
		host->thins = true;
}

static void candidate_fill(const struct build *b,
			   const struct config_hostname *config,
			   uint32_t server, size_t address,
			   struct gtm_candidate *candidate)
{
	const struct config_server *from = &b->config->servers[server];
	size_t n;
	const uint8_t *octets = world_octets(&from->addresses[address], &n);

	memcpy(candidate->address, octets, n);
	if (config->service != CONFIG_NONE)
		candidate->cell =
			world_cell(b->world, server, &from->addresses[address],
				   config->service);
	candidate->odd |= candidate->cell == NULL;
}

static enum gtm_family family_of(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET ? GTM_V4 : GTM_V6;
}

/* How many candidates a host has of each family. */
static void candidates_count(const struct build *b,
			     const struct config_hostname *config,
			     size_t n[static GTM_FAMILIES])
{
	for (unsigned int tier = 0; tier < CONFIG_TIERS; tier++)
		for (size_t i = 0; i < config->n_servers[tier]; i++) {
			const struct config_server *server =
				&b->config->servers[config->servers[tier][i]];
			for (size_t k = 0; k < server->n_addresses; k++)
				n[family_of(&server->addresses[k])]++;
			for (size_t f = 0; f < GTM_FAMILIES; f++)
				n[f] += server->alias != NULL;
		}
}

/* Fills the candidates of one server; 'n' counts those of each family. */
static void candidates_fill(const struct build *b, struct gtm_host *host,
			    unsigned int tier, uint32_t index,
			    uint32_t n[static GTM_FAMILIES])
{
	const struct config_server *server = &b->config->servers[index];

	for (size_t f = 0; server->alias != NULL && f < GTM_FAMILIES; f++) {
		struct gtm_candidate *candidate = &host->candidate[f][n[f]++];
		candidate->tier = (uint8_t)tier;
		candidate_begin(b, host, index, candidate);
	}
	for (size_t k = 0; k < server->n_addresses; k++) {
		enum gtm_family family = family_of(&server->addresses[k]);
		struct gtm_candidate *candidate =
			&host->candidate[family][n[family]++];
		candidate->tier = (uint8_t)tier;
		candidate_begin(b, host, index, candidate);
		candidate_fill(b, host->config, index, k, candidate);
	}
}

static int host_make(const struct build *b,
		     const struct config_hostname *config,
		     struct gtm_host *host)
{
	size_t n[GTM_FAMILIES] = { 0 };
	uint32_t done[GTM_FAMILIES] = { 0 };

	host->config = config;
	host->world = b->world;
	if (config->otherwise != CONFIG_NONE)
		host->otherwise = &b->world->hosts[config->otherwise];
	if (config->service != CONFIG_NONE) {
		host->service = &b->config->services[config->service];
		host->max_age_ms = host->service->max_age_ms;
		host->fall_ms =
			host->service->fall * host->service->interval_ms;
		host->rise_ms =
			host->service->rise * host->service->interval_ms;
	}
	candidates_count(b, config, n);
	if (n[GTM_V4] > CONFIG_CHOICE_MAX || n[GTM_V6] > CONFIG_CHOICE_MAX)
		return -E2BIG;

	host->candidate[GTM_V4] =
		calloc(n[GTM_V4] + n[GTM_V6] + 1, sizeof(struct gtm_candidate));
	if (host->candidate[GTM_V4] == NULL)
		return -ENOMEM;
	host->candidate[GTM_V6] = host->candidate[GTM_V4] + n[GTM_V4];
	host->n[GTM_V4] = (uint32_t)n[GTM_V4];
	host->n[GTM_V6] = (uint32_t)n[GTM_V6];
	for (unsigned int tier = 0; tier < CONFIG_TIERS; tier++)
		for (size_t i = 0; i < config->n_servers[tier]; i++)
			candidates_fill(b, host, tier, config->servers[tier][i],
					done);
	return counters_make(b, host);
}

/* What kinds of answers the host may get, by whoever's candidates. */
static void aliases_note(struct gtm_host *host)
{
	size_t n = 0, aliases = 0;
	unsigned int steps = 0; /* whoever made the configuration */

	for (const struct gtm_host *at = host;
	     at != NULL && steps <= CONFIG_ELSE_MAX;
	     at = at->otherwise, steps++)
		for (size_t f = 0; f < GTM_FAMILIES; f++)
			for (uint32_t i = 0; i < at->n[f]; i++) {
				n++;
				aliases += at->candidate[f][i].alias != NULL;
			}
	host->some_alias = aliases > 0;
	host->all_alias = aliases > 0 && aliases == n;
}

static int hosts_make(struct build *b)
{
	struct gtm_world *world = b->world;

	world->hosts =
		calloc(b->config->n_hostnames + 1, sizeof(*world->hosts));
	if (world->hosts == NULL)
		return -ENOMEM;
	world->n_hosts = b->config->n_hostnames;
	for (size_t i = 0; i < world->n_hosts; i++) {
		world->hosts[i].world = world;
		int rc = host_make(b, &b->config->hostnames[i],
				   &world->hosts[i]);
		if (rc != 0)
			return rc;
	}
	for (size_t i = 0; i < world->n_hosts; i++)
		aliases_note(&world->hosts[i]);
	return 0;
}

/* Where POPs are. */
static int points_make(struct build *b)
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

/* True if a candidate's server is named, or its POP. */
static bool host_named(const struct gtm_host *host, const bool *servers,
		       const bool *pops)
{
	const struct config *config = host->world->config;

	for (size_t i = 0; i < host->n[GTM_V4] + host->n[GTM_V6]; i++) {
		uint32_t server = host->candidate[GTM_V4][i].server;
		if (servers[server] || pops[config->servers[server].pop])
			return true;
	}
	return false;
}

/* Notes which hostnames rules of clients can change, and how. */
static int rules_note(struct build *b)
{
	const struct config *config = b->config;
	struct gtm_world *world = b->world;
	bool *servers = calloc(config->n_servers + 1, sizeof(*servers));
	bool *pops = calloc(config->n_pops + 1, sizeof(*pops));

	if (servers == NULL || pops == NULL) {
		free(servers);
		free(pops);
		return -ENOMEM;
	}
	for (size_t i = 0; i < config->n_clients; i++) {
		const struct config_clients *rule = &config->clients[i];
		world->rules_time |= rule->n_latency > 0;
		for (size_t k = 0; k < rule->n_weights; k++)
			servers[rule->weights[k].server] = true;
		for (size_t k = 0; k < rule->n_pops; k++)
			pops[rule->pops[k]] = true;
	}
	for (size_t i = 0; i < world->n_hosts; i++)
		world->hosts[i].ruled =
			host_named(&world->hosts[i], servers, pops);
	/* So is whoever they stand in for. */
	for (size_t i = 0; i < world->n_hosts; i++)
		for (const struct gtm_host *at = world->hosts[i].otherwise;
		     at != NULL; at = at->otherwise)
			world->hosts[i].ruled |= at->ruled;
	free(servers);
	free(pops);
	return 0;
}

int gtm_world_new(const struct config *config, const struct gtm_world *old,
		  struct gtm_world **worldp)
{
	struct build b = { .config = config, .old = old };

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
		rc = hosts_make(&b);
	if (rc == 0)
		rc = points_make(&b);
	if (rc == 0)
		rc = rules_note(&b);
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
