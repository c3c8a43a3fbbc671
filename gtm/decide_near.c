/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/decide_int.h"

void decide_near_place(struct decide_near *near, const struct gtm_world *world)
{
	uint8_t scope;

	if (near->place != NULL || near->q->clients == NULL)
		return;
	near->place =
		gtm_clients_find(near->q->clients, &near->q->client, &scope);
	if (near->place->rule != CONFIG_NONE)
		near->rule = &world->config->clients[near->place->rule];
	if (scope > near->scope)
		near->scope = scope;
}

void decide_near_look(struct decide_near *near, const struct gtm_world *world)
{
	near->looked = true;
	near->known = true; /* till it shows */
	if (world->rules_time) {
		decide_near_place(near, world);
		near->told = near->rule != NULL && near->rule->n_latency > 0;
	}
	if (world->groups == NULL)
		return;
	const struct gtm_row_cells row = gtm_groups_find(
		world->groups, &near->q->client, near->q->now_ms);
	near->cells = row.cells;
	near->time =
		gtm_cell_time(near->q->now_ms, world->config->latency_age_ms);
	if (row.scope > near->scope)
		near->scope = row.scope;
}

static float told_ms(const struct config_clients *rule, uint32_t pop)
{
	for (size_t i = 0; i < rule->n_latency; i++)
		if (rule->latency[i].pop == pop)
			return rule->latency[i].ms;
	return -1.0f;
}

/* By where both are. */
static float guessed_ms(struct decide_near *near, const struct gtm_world *world,
			uint32_t pop)
{
	const struct config_pop *at = &world->config->pops[pop];

	if (!at->located)
		return -1.0f;
	decide_near_place(near, world);
	if (near->place == NULL || !near->place->located)
		return -1.0f;
	return gtm_place_ms(near->place, &world->points[pop]);
}

float decide_near_ms(struct decide_near *near, const struct gtm_host *host,
		     const struct gtm_candidate *candidate,
		     enum gtm_basis *basis)
{
	const struct gtm_world *world = host->world;
	uint32_t pop = world->config->servers[candidate->server].pop;
	float ms = -1.0f;

	if (!near->looked)
		decide_near_look(near, world);
	*basis = GTM_BASIS_STATIC;
	if (near->told)
		ms = told_ms(near->rule, pop);
	if (ms >= 0.0f)
		return ms;
	*basis = GTM_BASIS_MEASURED;
	ms = decide_near_cell(near, candidate->column);
	if (ms >= 0.0f)
		return ms;
	near->unmeasured = true;
	*basis = GTM_BASIS_GUESSED;
	ms = guessed_ms(near, world, pop);
	if (ms < 0.0f)
		*basis = GTM_BASIS_NONE;
	return ms;
}
