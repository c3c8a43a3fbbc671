/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/world.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gtm/world_int.h"

const char *const gtm_count_names[GTM_COUNTS] = {
	[GTM_DECISIONS] = "decisions", [GTM_ON_BACKUP] = "backup",
	[GTM_ON_HIDDEN] = "hidden",    [GTM_ON_FAIL] = "fail",
	[GTM_NO_DATA] = "nodata",      [GTM_SERVFAILS] = "servfail",
	[GTM_EXTRA] = "extra",	       [GTM_EXPOSED] = "exposed",
	[GTM_PENDING] = "pending",     [GTM_ON_ELSE] = "else",
	[GTM_EXPLORED] = "explored",   [GTM_DRY] = "dry",
};

const char *const gtm_row_fate_names[GTM_ROW_FATES] = {
	[GTM_ROW_OK] = "ok",	     [GTM_ROW_UNKNOWN] = "unknown",
	[GTM_ROW_FUTURE] = "future", [GTM_ROW_OLD] = "old",
	[GTM_ROW_VALUE] = "value",
};

/* -- looking up ------------------------------------------------------------ */

static int id_compare(struct slice id, const char *with)
{
	size_t n = strlen(with);
	int rc = memcmp(id.p, with, id.n < n ? id.n : n);

	if (rc != 0)
		return rc;
	return (id.n > n) - (id.n < n);
}

static int server_compare(const void *id, const void *server)
{
	return id_compare(*(const struct slice *)id,
			  ((const struct config_server *)server)->id);
}

static int service_compare(const void *id, const void *service)
{
	return id_compare(*(const struct slice *)id,
			  ((const struct config_service *)service)->id);
}

uint32_t gtm_world_server(const struct gtm_world *world, struct slice id)
{
	const struct config *config = world->config;
	const struct config_server *server = NULL;

	if (id.p != NULL && config->n_servers > 0)
		server = bsearch(&id, config->servers, config->n_servers,
				 sizeof(*server), server_compare);
	return server == NULL ? CONFIG_NONE
			      : (uint32_t)(server - config->servers);
}

uint32_t world_service(const struct gtm_world *world, struct slice id)
{
	const struct config *config = world->config;
	const struct config_service *service = NULL;

	if (id.p != NULL && config->n_services > 0)
		service = bsearch(&id, config->services, config->n_services,
				  sizeof(*service), service_compare);
	return service == NULL ? CONFIG_NONE
			       : (uint32_t)(service - config->services);
}

const uint8_t *world_octets(const struct sockaddr_storage *address, size_t *n)
{
	if (address->ss_family == AF_INET) {
		*n = 4;
		return (const uint8_t *)&((const struct sockaddr_in *)address)
			->sin_addr;
	}
	*n = 16;
	return (const uint8_t *)&((const struct sockaddr_in6 *)address)
		->sin6_addr;
}

int world_address_compare(const struct sockaddr_storage *a,
			  const struct sockaddr_storage *b)
{
	size_t n_a;
	size_t n_b;
	const uint8_t *octets_a = world_octets(a, &n_a);
	const uint8_t *octets_b = world_octets(b, &n_b);

	if (n_a != n_b)
		return n_a < n_b ? -1 : 1;
	return memcmp(octets_a, octets_b, n_a);
}

/* Its place among the cells, or CONFIG_NONE. */
static size_t cell_place(const struct gtm_world *world, uint32_t server,
			 const struct sockaddr_storage *address,
			 uint32_t service)
{
	size_t from = world->first[server];
	size_t to = world->first[server + 1];

	while (from < to) {
		size_t i = from + (to - from) / 2;
		uint32_t its = (uint32_t)(world->about[i].service -
					  world->config->services);
		int rc = world_address_compare(address,
					       &world->cells[i]->address);
		if (rc == 0)
			rc = (service > its) - (service < its);
		if (rc == 0)
			return i;
		if (rc < 0)
			to = i;
		else
			from = i + 1;
	}
	return CONFIG_NONE;
}

struct gtm_cell *world_cell(const struct gtm_world *world, uint32_t server,
			    const struct sockaddr_storage *address,
			    uint32_t service)
{
	size_t i = cell_place(world, server, address, service);

	return i != CONFIG_NONE ? world->cells[i] : NULL;
}

static size_t place_of(const struct gtm_world *world, struct slice server,
		       const struct sockaddr_storage *address,
		       struct slice service)
{
	uint32_t i = gtm_world_server(world, server);
	uint32_t k = world_service(world, service);

	if (i == CONFIG_NONE || k == CONFIG_NONE)
		return CONFIG_NONE;
	if (address->ss_family != AF_INET && address->ss_family != AF_INET6)
		return CONFIG_NONE;
	return cell_place(world, i, address, k);
}

struct gtm_cell *gtm_world_cell(const struct gtm_world *world,
				struct slice server,
				const struct sockaddr_storage *address,
				struct slice service)
{
	size_t i = place_of(world, server, address, service);

	return i != CONFIG_NONE ? world->cells[i] : NULL;
}

/* -- the feed -------------------------------------------------------------- */

static bool value_good(const struct gtm_row *row)
{
	if (row->state != GTM_UP && row->state != GTM_DOWN)
		return false;
	if (row->error < 0 || row->error > UINT16_MAX)
		return false;
	/* Not a number is never within bounds. */
	return row->metric >= 0.0 && row->metric <= (double)GTM_METRIC_MAX &&
	       isfinite(row->age_ms);
}

/*
 * When a value of that age was measured, by the slots' clock; or what is wrong
 * with it.
 */
static enum gtm_row_fate when_of(double age_ms, uint64_t now_ms,
				 uint64_t *when_ms)
{
	*when_ms = now_ms < GTM_TIME_MAX ? now_ms : GTM_TIME_MAX;
	if (age_ms < -GTM_FUTURE_MS)
		return GTM_ROW_FUTURE;
	/* Before the slots' clock began: it cannot say how old that is. */
	if (age_ms >= (double)*when_ms)
		return GTM_ROW_OLD;
	if (age_ms > 0.0)
		*when_ms -= (uint64_t)age_ms;
	return GTM_ROW_OK;
}

/*
 * Until when a server that others need counts as up: each of its services must
 * be up on one of its addresses.
 */
static uint64_t good_until(const struct gtm_world *world, uint32_t server)
{
	uint64_t all_ms = UINT64_MAX;
	uint32_t to = world->first[server + 1];

	for (uint32_t i = world->first[server]; i < to; i++) {
		const struct config_service *service = world->about[i].service;
		uint64_t best_ms = 0;
		for (uint32_t k = world->first[server]; k < to; k++) {
			struct gtm_glance g =
				gtm_slot_glance(&world->cells[k]->slot);
			uint64_t until_ms = 0;
			if (g.state == GTM_NEVER)
				until_ms = UINT64_MAX;
			else if (g.state == GTM_UP)
				until_ms = g.when_ms + service->max_age_ms;
			if (world->about[k].service == service &&
			    until_ms > best_ms)
				best_ms = until_ms;
		}
		if (best_ms < all_ms)
			all_ms = best_ms;
	}
	return all_ms;
}

/* What a new state of a cell of 'server' means for the server. */
static void server_told(struct gtm_world *world, uint32_t server,
			enum gtm_state state)
{
	const struct config_server *config = &world->config->servers[server];
	struct gtm_admin *admin = world->admins[server];

	if (config->is_needed)
		atomic_store_explicit(&admin->good_until_ms,
				      good_until(world, server),
				      memory_order_relaxed);
	if (config->failback_manual && state == GTM_DOWN)
		atomic_store_explicit(&admin->held, 1, memory_order_relaxed);
}

static enum gtm_row_fate value_put(struct gtm_slot *slot, double value,
				   double age_ms, uint64_t now_ms)
{
	uint64_t when_ms;
	enum gtm_row_fate fate = when_of(age_ms, now_ms, &when_ms);

	/* Not a number is never within bounds. */
	if (!(value >= 0.0 && value <= (double)GTM_METRIC_MAX) ||
	    !isfinite(age_ms))
		return GTM_ROW_VALUE;
	if (fate != GTM_ROW_OK)
		return fate;
	return gtm_slot_put(slot, GTM_UP, (uint32_t)(value + 0.5), 0, when_ms)
		       ? GTM_ROW_OK
		       : GTM_ROW_OLD;
}

enum gtm_row_fate gtm_world_feed_load(struct gtm_world *world,
				      struct slice server, double value,
				      double age_ms, uint64_t now_ms)
{
	uint32_t i = gtm_world_server(world, server);

	if (i == CONFIG_NONE)
		return GTM_ROW_UNKNOWN;
	return value_put(&world->admins[i]->load, value, age_ms, now_ms);
}

/* Index of the POP, or how many there are. */
static size_t pop_find(const struct gtm_world *world, struct slice pop)
{
	size_t n = world->config->n_pops;
	size_t i = 0;

	while (i < n && (pop.p == NULL || !slice_is(pop, world->pops[i]->id)))
		i++;
	return i;
}

void gtm_world_reached(struct gtm_world *world, const struct gtm_slot *loss)
{
	struct gtm_glance glance = gtm_slot_glance(loss);

	if (glance.state != GTM_NEVER &&
	    glance.when_ms > atomic_load_explicit(&world->reach_ms,
						  memory_order_relaxed))
		atomic_store_explicit(&world->reach_ms, glance.when_ms,
				      memory_order_relaxed);
}

enum gtm_row_fate gtm_world_feed_latency(struct gtm_world *world,
					 const struct gtm_client *group,
					 struct slice pop, double ms,
					 double age_ms, uint64_t now_ms)
{
	size_t i = pop_find(world, pop);
	uint32_t tenths = GTM_UNREACHABLE;

	if (i == world->config->n_pops || world->groups == NULL)
		return GTM_ROW_UNKNOWN;
	if (!isfinite(ms) || !isfinite(age_ms))
		return GTM_ROW_VALUE;
	if (age_ms < -GTM_FUTURE_MS)
		return GTM_ROW_FUTURE;
	if (age_ms > (double)GTM_AGE_MAX_MS)
		return GTM_ROW_OLD;
	if (ms >= 0.0)
		tenths = ms * 10.0 < (double)GTM_TENTHS_MAX
				 ? (uint32_t)(ms * 10.0 + 0.5)
				 : GTM_TENTHS_MAX;
	/* Its age, not its time: it may be older than the clock. */
	int rc = gtm_groups_put(world->groups, group, world->columns[i], tenths,
				age_ms > 0.0 ? (int64_t)age_ms : 0, now_ms);
	return rc == 0 ? GTM_ROW_OK : GTM_ROW_OLD;
}

enum gtm_row_fate gtm_world_feed_pop(struct gtm_world *world, struct slice pop,
				     enum gtm_pop_kind kind, double value,
				     double age_ms, uint64_t now_ms)
{
	size_t i = pop_find(world, pop);

	if (i == world->config->n_pops)
		return GTM_ROW_UNKNOWN;
	if (value > 100.0)
		return GTM_ROW_VALUE;
	struct gtm_slot *slot = kind == GTM_LOSS ? &world->pops[i]->loss
						 : &world->pops[i]->bandwidth;
	enum gtm_row_fate fate = value_put(slot, value * 100.0, age_ms, now_ms);
	if (fate == GTM_ROW_OK && kind == GTM_LOSS)
		gtm_world_reached(world, slot);
	return fate;
}

/*
 * Turns a node's row into what the nodes agree on.  GTM_ROW_OK: '*value' is
 * that, or, if its state is GTM_NEVER, they do not.
 */
static enum gtm_row_fate vote(const struct gtm_about *about,
			      const struct gtm_row *row, enum gtm_state now,
			      uint64_t now_ms, struct gtm_vote *value)
{
	uint64_t max_age_ms = about->service->max_age_ms;

	value->node = gtm_votes_node(row->node.p, row->node.n);
	if (!gtm_votes_take(about->votes, value))
		return GTM_ROW_OLD;
	if (!gtm_votes_count(about->votes, about->service->quorum, now,
			     now_ms > max_age_ms ? now_ms - max_age_ms : 1,
			     value))
		value->state = GTM_NEVER;
	return GTM_ROW_OK;
}

enum gtm_row_fate gtm_world_feed(struct gtm_world *world,
				 const struct gtm_row *row, uint64_t now_ms,
				 bool *changed)
{
	size_t at = place_of(world, row->server, &row->address, row->service);
	uint64_t when_ms;

	if (changed != NULL)
		*changed = false;
	if (at == CONFIG_NONE)
		return GTM_ROW_UNKNOWN;
	if (!value_good(row))
		return GTM_ROW_VALUE;
	enum gtm_row_fate fate = when_of(row->age_ms, now_ms, &when_ms);
	if (fate != GTM_ROW_OK)
		return fate;
	struct gtm_slot *slot = &world->cells[at]->slot;
	enum gtm_state before = gtm_slot_glance(slot).state;
	bool voted = world->about[at].votes != NULL;
	struct gtm_vote value = { .when_ms = when_ms,
				  .metric = (uint32_t)(row->metric + 0.5),
				  .error = (uint16_t)row->error,
				  .state = (uint8_t)row->state };
	if (voted)
		fate = vote(&world->about[at], row, before, now_ms, &value);
	if (fate != GTM_ROW_OK || value.state == GTM_NEVER)
		return fate;
	if (!gtm_slot_put(slot, (enum gtm_state)value.state, value.metric,
			  value.error, value.when_ms))
		return voted ? GTM_ROW_OK : GTM_ROW_OLD;
	if (changed != NULL)
		*changed = before != (enum gtm_state)value.state;
	server_told(world, world->about[at].server,
		    (enum gtm_state)value.state);
	return GTM_ROW_OK;
}

/* -- the end --------------------------------------------------------------- */

/* Drops a reference to 'thing', whose count 'refs' is; the last one frees. */
static void drop(void *thing, _Atomic uint32_t *refs)
{
	if (atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1)
		free(thing);
}

static void host_fini(struct gtm_host *host)
{
	size_t n = (size_t)host->n[GTM_V4] + host->n[GTM_V6];
	struct gtm_candidate *candidates = host->candidate[GTM_V4];

	for (size_t i = 0; candidates != NULL && i < n; i++)
		if (candidates[i].tally != NULL)
			drop(candidates[i].tally, &candidates[i].tally->refs);
	free(candidates);
	if (host->counts != NULL)
		drop(host->counts, &host->counts->refs);
}

void gtm_world_free(struct gtm_world *world)
{
	if (world == NULL)
		return;
	for (size_t i = 0; world->hosts != NULL && i < world->n_hosts; i++)
		host_fini(&world->hosts[i]);
	for (size_t i = 0; world->cells != NULL && i < world->n_cells; i++)
		if (world->cells[i] != NULL)
			drop(world->cells[i], &world->cells[i]->refs);
	size_t n_servers = world->config->n_servers;
	for (size_t i = 0; world->admins != NULL && i < n_servers; i++)
		if (world->admins[i] != NULL)
			drop(world->admins[i], &world->admins[i]->refs);
	for (size_t i = 0; world->pops != NULL && i < world->config->n_pops;
	     i++)
		if (world->pops[i] != NULL)
			drop(world->pops[i], &world->pops[i]->refs);
	free(world->pops);
	if (world->groups != NULL)
		gtm_groups_let_go(world->groups, world->columns,
				  world->config->n_pops);
	gtm_groups_unref(world->groups);
	free(world->columns);
	free(world->points);
	free(world->needs);
	free(world->hosts);
	free(world->cells);
	free(world->about);
	free(world->votes);
	free(world->first);
	free(world->admins);
	free(world);
}
