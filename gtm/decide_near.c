/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/decide_int.h"

void decide_near_look(struct decide_near *near, const struct gtm_world *world)
{
	near->looked = true;
	near->known = true; /* till it shows */
	if (world->groups == NULL)
		return;
	gtm_groups_find(world->groups, &near->q->client, near->q->now_ms,
			&near->group);
	near->cells = gtm_groups_cells(world->groups, &near->group);
	near->time =
		gtm_cell_time(near->q->now_ms, world->config->latency_age_ms);
	if (near->group.scope > near->scope)
		near->scope = near->group.scope;
}

float decide_near_ms(struct decide_near *near, const struct gtm_host *host,
		     uint16_t pop, enum gtm_source *source)
{
	const struct gtm_world *world = host->world;

	if (!near->looked)
		decide_near_look(near, world);
	float ms = decide_near_cell(near, world->columns[pop]);
	if (ms >= 0.0f && !gtm_groups_same(world->groups, &near->group))
		ms = -1.0f;
	if (ms < 0.0f)
		near->unmeasured = true;
	*source = ms < 0.0f ? GTM_SOURCE_NONE : GTM_SOURCE_MEASURED;
	return ms;
}
