/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/history_int.h"

#include <errno.h>
#include <stdlib.h>

#define STEP_MS 1000u /* ages are set anew so often */

struct gtm_stage {
	struct gtm_world *world;
	struct gtm_clients *clients; /* the world's */
	struct gtm_cell **cell;	     /* of each slot of the epoch; NULL: none */
	size_t n_cells;
	uint32_t *server; /* of each server of the epoch, or CONFIG_NONE */
	uint64_t epoch;	  /* that these are of */
	uint64_t changes; /* that are in the world */
	uint64_t set_ms;  /* by the history's clock */
	struct stage_near near;
};

/* -- by name --------------------------------------------------------------- */

static struct sockaddr_storage address_of(const struct journal_address *from)
{
	struct sockaddr_storage to;
	struct sockaddr_in *in = (void *)&to;
	struct sockaddr_in6 *in6 = (void *)&to;

	memset(&to, 0, sizeof(to));
	to.ss_family = from->n == 4 ? AF_INET : AF_INET6;
	if (from->n == 4)
		memcpy(&in->sin_addr, from->octets, 4);
	else
		memcpy(&in6->sin6_addr, from->octets, 16);
	return to;
}

static struct gtm_cell *cell_of(const struct gtm_stage *stage,
				const struct gtm_history *h,
				const struct history_slot *slot)
{
	struct sockaddr_storage address = address_of(&slot->address);

	return gtm_world_cell(
		stage->world,
		slice_of(h->table[JOURNAL_SERVERS].name[slot->server].text),
		&address,
		slice_of(h->table[JOURNAL_SERVICES].name[slot->service].text));
}

/* Finds what the numbers of the epoch are here. */
static int numbers_find(struct gtm_stage *stage, const struct gtm_history *h)
{
	const struct history_table *servers = &h->table[JOURNAL_SERVERS];
	struct gtm_cell **cell = calloc(h->n_slots + 1, sizeof(void *));
	uint32_t *server = calloc(servers->n + 1, sizeof(*server));

	if (cell == NULL || server == NULL) {
		free(cell);
		free(server);
		return -ENOMEM;
	}
	free(stage->cell);
	free(stage->server);
	stage->cell = cell;
	stage->server = server;
	for (size_t i = 0; i < h->n_slots; i++)
		cell[i] = cell_of(stage, h, &h->slot[i]);
	for (size_t i = 0; i < servers->n; i++)
		server[i] = gtm_world_server(stage->world,
					     slice_of(servers->name[i].text));
	stage->n_cells = h->n_slots;
	stage->epoch = h->epoch.number;
	return 0;
}

static void admin_clear(struct gtm_admin *admin)
{
	const struct gtm_value never = { .state = GTM_NEVER };

	atomic_store_explicit(&admin->drained_until_ms, 0,
			      memory_order_relaxed);
	atomic_store_explicit(&admin->forced, 0, memory_order_relaxed);
	atomic_store_explicit(&admin->held, 0, memory_order_relaxed);
	gtm_slot_set(&admin->load, &never);
}

/* Nothing is known of anything. */
static void clear(struct gtm_stage *stage)
{
	const struct gtm_value never = { .state = GTM_NEVER };
	struct gtm_world *world = stage->world;

	for (size_t i = 0; i < world->n_cells; i++)
		gtm_slot_set(&world->cells[i]->slot, &never);
	for (size_t i = 0; i < world->config->n_servers; i++)
		admin_clear(world->admins[i]);
	for (size_t i = 0; i < world->config->n_pops; i++) {
		gtm_slot_set(&world->pops[i]->loss, &never);
		gtm_slot_set(&world->pops[i]->bandwidth, &never);
	}
	atomic_store_explicit(&world->reach_ms, 0, memory_order_relaxed);
	stage->changes = 0;
	stage->set_ms = 0;
}

/* -- values ---------------------------------------------------------------- */

static uint64_t before(uint64_t now_ms, uint64_t ago_ms)
{
	return ago_ms < now_ms ? now_ms - ago_ms : 1;
}

static void put(const struct history_slot *from, struct gtm_slot *to,
		uint64_t now_ms)
{
	const struct journal_value *v = &from->value;
	uint64_t age_ms = v->age_ms + (now_ms - from->clock_ms);
	uint64_t most_ms = v->period_ms > v->age_ms ? v->period_ms : v->age_ms;

	if (v->fresh && age_ms > most_ms)
		age_ms = most_ms;
	struct gtm_value value = {
		.state = (enum gtm_state)v->state,
		.error = v->error,
		.metric =
			v->metric < GTM_METRIC_MAX ? v->metric : GTM_METRIC_MAX,
		.when_ms = before(now_ms, age_ms),
		.since_ms = before(from->clock_ms, v->since_ms),
		.rows = 1,
	};
	if (v->state == GTM_UP)
		value.up_ms = value.when_ms;
	else if (v->up_ms != JOURNAL_NEVER)
		value.up_ms = before(from->clock_ms, v->up_ms);
	if (v->state == GTM_NEVER)
		value = (struct gtm_value){ .state = GTM_NEVER };
	gtm_slot_set(to, &value);
}

static void put_measure(const struct history_measure *from, struct gtm_slot *to)
{
	struct gtm_value value = {
		.state = from->when_ms == 0 ? GTM_NEVER : GTM_UP,
		.metric = from->metric < GTM_METRIC_MAX ? from->metric
							: GTM_METRIC_MAX,
		.when_ms = from->when_ms,
	};

	gtm_slot_set(to, &value);
}

/* One word of those that are said of a server, as gtm_admin has them. */
static uint64_t force_of(const uint64_t *until_ms)
{
	enum gtm_force force = GTM_FORCED_UP;
	uint64_t until = until_ms[JOURNAL_FORCED_UP];

	if (until == 0) {
		force = GTM_FORCED_DOWN;
		until = until_ms[JOURNAL_FORCED_DOWN];
	}
	if (until == 0)
		return 0;
	return (uint64_t)force << 62 |
	       (until < GTM_FORCE_EVER ? until : GTM_FORCE_EVER);
}

/* What operators have said, and machines: what is kept in gtm_admin. */
static void put_admins(struct gtm_stage *stage, const struct gtm_history *h)
{
	const struct history_table *servers = &h->table[JOURNAL_SERVERS];

	for (size_t i = 0; i < servers->n; i++) {
		const struct history_name *from = &servers->name[i];
		if (stage->server[i] == CONFIG_NONE)
			continue;
		struct gtm_admin *admin =
			stage->world->admins[stage->server[i]];
		atomic_store_explicit(&admin->drained_until_ms,
				      from->until_ms[JOURNAL_DRAINED],
				      memory_order_relaxed);
		atomic_store_explicit(&admin->forced, force_of(from->until_ms),
				      memory_order_relaxed);
		atomic_store_explicit(&admin->held,
				      from->until_ms[JOURNAL_HELD] > 0,
				      memory_order_relaxed);
		put_measure(&from->measure[JOURNAL_LOAD], &admin->load);
	}
}

/* What was measured at POPs, which are found by name: they are few. */
static void put_pops(struct gtm_stage *stage, const struct gtm_history *h)
{
	const struct history_table *pops = &h->table[JOURNAL_POPS];
	struct gtm_world *world = stage->world;

	for (size_t i = 0; i < pops->n; i++) {
		const struct history_name *from = &pops->name[i];
		if (from->measure[JOURNAL_LOSS].when_ms == 0 &&
		    from->measure[JOURNAL_BANDWIDTH].when_ms == 0)
			continue;
		for (size_t k = 0; k < world->config->n_pops; k++) {
			if (strcmp(world->pops[k]->id, from->text) != 0)
				continue;
			put_measure(&from->measure[JOURNAL_LOSS],
				    &world->pops[k]->loss);
			put_measure(&from->measure[JOURNAL_BANDWIDTH],
				    &world->pops[k]->bandwidth);
			gtm_world_reached(world, &world->pops[k]->loss);
		}
	}
}

int gtm_stage_set(struct gtm_stage *stage, const struct gtm_history *h,
		  uint64_t time_ms, uint64_t *now_ms)
{
	uint64_t later_ms = time_ms > h->last_ms ? time_ms - h->last_ms : 0;
	uint64_t clock_ms = h->clock_ms;

	clock_ms += later_ms < HISTORY_CLOCK_MAX - clock_ms
			    ? later_ms
			    : HISTORY_CLOCK_MAX - clock_ms;
	if (stage->epoch != h->epoch.number || stage->n_cells != h->n_slots) {
		int rc = numbers_find(stage, h);
		if (rc != 0)
			return rc;
		clear(stage);
	}
	bool all = clock_ms - stage->set_ms >= STEP_MS;
	if (all || stage->changes != h->changes) {
		for (size_t i = 0; i < h->n_slots; i++)
			if (stage->cell[i] != NULL &&
			    (all || h->slot[i].change > stage->changes))
				put(&h->slot[i], &stage->cell[i]->slot,
				    clock_ms);
		put_admins(stage, h);
		put_pops(stage, h);
		stage->changes = h->changes;
	}
	if (all)
		stage->set_ms = clock_ms;
	*now_ms = clock_ms;
	return stage_near_set(&stage->near, stage->world, h, clock_ms);
}

/* -- life ------------------------------------------------------------------ */

struct gtm_world *gtm_stage_world(const struct gtm_stage *stage)
{
	return stage->world;
}

int gtm_stage_new(const struct config *config, struct gtm_stage **stagep)
{
	struct gtm_stage *stage = calloc(1, sizeof(*stage));

	if (stage == NULL)
		return -ENOMEM;
	int rc = gtm_world_new(config, NULL, &stage->world);
	if (rc == 0 && config->n_clients > 0)
		rc = gtm_clients_new(config, NULL, 0, NULL, &stage->clients);
	if (rc != 0) {
		gtm_stage_free(stage);
		return rc;
	}
	atomic_store(&stage->world->clients, stage->clients);
	*stagep = stage;
	return 0;
}

void gtm_stage_free(struct gtm_stage *stage)
{
	if (stage == NULL)
		return;
	gtm_world_free(stage->world);
	gtm_clients_free(stage->clients);
	free(stage->cell);
	free(stage->server);
	free(stage->near.column);
	free(stage);
}
