/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/world_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)
#define MULTIPLY  UINT64_C(0x9e3779b97f4a7c15)

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

void world_hosts_sort(const struct gtm_host **hosts, size_t n)
{
	qsort(hosts, n, sizeof(*hosts), host_compare);
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
static void tallies_find(const struct world_build *b, struct gtm_host *host,
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
		world_hold(&candidate->tally->refs);
	}
}

/* Counters of a host: those it had, new ones for what is new. */
static int counters_make(const struct world_build *b, struct gtm_host *host)
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
	world_hold(&host->counts->refs);

	size_t n = (size_t)host->n[GTM_V4] + host->n[GTM_V6];
	for (size_t i = 0; i < n; i++) {
		struct gtm_candidate *c = &host->candidate[GTM_V4][i];
		if (c->tally != NULL)
			continue;
		c->tally = calloc(1, sizeof(*c->tally));
		if (c->tally == NULL)
			return -ENOMEM;
		world_hold(&c->tally->refs);
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
static void candidate_begin(const struct world_build *b, struct gtm_host *host,
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
	candidate->odd = from->n_needs > 0 || from->weight == 0 ||
			 from->alias != NULL ||
			 b->config->reach.gone == CONFIG_GONE_DOWN;
	if (candidate->shed_from < from->capacity || from->slow_start_ms > 0)
		host->thins = true;
}

static void candidate_fill(const struct world_build *b,
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
static void candidates_count(const struct world_build *b,
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
static void candidates_fill(const struct world_build *b, struct gtm_host *host,
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

static int host_make(const struct world_build *b,
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

/* What belongs to POPs is the same for all if they are in one. */
static void costs_note(struct gtm_host *host)
{
	const struct config_weigh *weigh = &host->config->weigh;
	size_t n = (size_t)host->n[GTM_V4] + host->n[GTM_V6];

	const struct config_server *servers = host->world->config->servers;
	const struct gtm_candidate *all = host->candidate[GTM_V4];

	host->costs = weigh->load > 0.0f;
	for (size_t i = 1; i < n; i++)
		host->costs |= servers[all[i].server].pop !=
			       servers[all[0].server].pop;
}

int world_hosts_make(struct world_build *b)
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
	for (size_t i = 0; i < world->n_hosts; i++)
		costs_note(&world->hosts[i]);
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
int world_rules_note(struct world_build *b)
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
