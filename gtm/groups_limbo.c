/* SPDX-License-Identifier: MPL-2.0 */
/* Nodes of 'groups': taken, and given back after a grace period. */
#include "gtm/groups_int.h"

#include <assert.h>
#include <stdlib.h>

static void push(struct gtm_groups *g, uint32_t node)
{
	uint32_t *list = node < g->rows ? &g->free_row : &g->free_glue;

	atomic_store_explicit(&g->node[node].child[0], *list,
			      memory_order_relaxed);
	*list = node;
}

static uint32_t pop(struct gtm_groups *g, uint32_t *list)
{
	uint32_t node = *list;

	if (node != INDEX_NONE)
		*list = atomic_load_explicit(&g->node[node].child[0],
					     memory_order_relaxed);
	return node;
}

bool group_limbo_init(struct group_limbo *l)
{
	l->node = calloc(l->room, sizeof(*l->node));
	return l->node != NULL;
}

void group_limbo_fini(struct group_limbo *l)
{
	free(l->node);
}

void group_retire(struct gtm_groups *g, uint32_t node)
{
	struct group_limbo *l = &g->limbo;

	if (l->n == l->room) {
		rcu_wait();
		while (l->n > 0)
			push(g, l->node[--l->n]);
		atomic_fetch_add_explicit(&g->waited, 1, memory_order_relaxed);
	}
	l->node[l->n++] = node;
}

/*
 * There are 'max' rows and 'room' more, and as much glue, of which there is
 * always less than groups; limbo has no more than 'room' of both.
 */
uint32_t group_row_take(struct gtm_groups *g)
{
	uint32_t row = pop(g, &g->free_row);

	if (row != INDEX_NONE)
		return row;
	row = atomic_load_explicit(&g->fresh_row, memory_order_relaxed);
	assert(row < g->rows);
	atomic_store_explicit(&g->fresh_row, row + 1, memory_order_release);
	return row;
}

uint32_t group_glue_take(struct gtm_groups *g)
{
	uint32_t glue = pop(g, &g->free_glue);

	if (glue != INDEX_NONE)
		return glue;
	assert(g->fresh_glue < 2 * g->rows);
	return g->fresh_glue++;
}
