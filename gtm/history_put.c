/* SPDX-License-Identifier: MPL-2.0 */
/* The latency table of a stage. */
#include <errno.h>
#include <stdlib.h>

#include "gtm/history_int.h"

/* Stamps of cells come round after 49 days: long before, all are put anew. */
#define ANEW_MS (UINT64_C(86400) * 1000)

/* Finds the columns of POPs that came to the history. */
static int columns_find(struct stage_near *at, const struct gtm_world *world,
			const struct history_nears *near)
{
	uint32_t *column = at->column;

	if (at->n_columns == near->n_pops)
		return 0;
	column = realloc(column, near->n_pops * sizeof(*column));
	if (column == NULL)
		return -ENOMEM;
	at->column = column;
	for (size_t i = at->n_columns; i < near->n_pops; i++) {
		column[i] = HISTORY_NO_POP;
		for (size_t k = 0; k < world->config->n_pops; k++)
			if (strcmp(world->config->pops[k].id, near->pop[i]) ==
			    0)
				column[i] = world->columns[k];
	}
	at->n_columns = near->n_pops;
	return 0;
}

/* A row as the history has it: what was there goes, newer or not. */
static void row_put(const struct stage_near *at, struct gtm_groups *groups,
		    const struct history_row *row, uint64_t clock_ms)
{
	struct gtm_client group = { .v6 = row->net.v6, .bits = row->net.bits };

	memcpy(group.address, row->net.octets, sizeof(row->net.octets));
	(void)gtm_groups_remove(groups, &group);
	for (size_t i = 0; i < row->n; i++) {
		const struct history_cell *cell = &row->cell[i];
		uint32_t column = at->column[cell->pop];
		uint64_t age_ms = clock_ms - cell->when_ms;
		if (column == HISTORY_NO_POP || cell->tenths == 0 ||
		    age_ms > GTM_AGE_MAX_MS)
			continue;
		(void)gtm_groups_put(groups, &group, (uint16_t)column,
				     cell->tenths - 1, (int64_t)age_ms,
				     clock_ms);
	}
}

int stage_near_set(struct stage_near *at, const struct gtm_world *world,
		   const struct gtm_history *h, uint64_t clock_ms)
{
	const struct history_nears *near = &h->near;

	if (world->groups == NULL || near->n_linked == 0)
		return 0;
	if (clock_ms - at->anew_ms >= ANEW_MS) {
		at->changes = 0;
		at->anew_ms = clock_ms;
	}
	if (at->changes == near->changes)
		return 0;
	int rc = columns_find(at, world, near);
	if (rc != 0)
		return rc;
	for (uint32_t i = near->newest; i != HISTORY_NO_ROW;
	     i = near->row[i].older) {
		if (near->row[i].change <= at->changes)
			break;
		row_put(at, world->groups, &near->row[i], clock_ms);
	}
	at->changes = near->changes;
	return 0;
}
