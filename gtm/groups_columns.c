/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Columns of 'groups': whose they are; a table with others copied.
 *
 * A column is one atomic word (see groups_int.h).  Its id is written while it
 * is free, by the one thread that gives columns out, and read by that thread,
 * or by who holds it.
 */
#include "gtm/groups_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t load(const struct group_column *c)
{
	return atomic_load_explicit(&c->word, memory_order_acquire);
}

static bool change(struct group_column *c, uint64_t *was, uint64_t to)
{
	return atomic_compare_exchange_weak_explicit(
		&c->word, was, to, memory_order_acq_rel, memory_order_acquire);
}

/* -- holding --------------------------------------------------------------- */

bool group_column_hold(struct gtm_groups *g, uint16_t i)
{
	struct group_column *c = &g->column[i];
	uint64_t was = load(c);

	while (group_column_count(was) > COLUMN_LEFT)
		if (change(c, &was, was + 1))
			return true;
	return false;
}

void group_column_let_go(struct gtm_groups *g, uint16_t i)
{
	atomic_fetch_sub_explicit(&g->column[i].word, 1, memory_order_release);
}

void gtm_groups_let_go(struct gtm_groups *g, const uint16_t *map, size_t n)
{
	for (size_t i = 0; i < n; i++)
		group_column_let_go(g, map[i]);
}

/* -- giving out ------------------------------------------------------------ */

/* Holds a column that is not free; false: it is, by now. */
static bool hold_again(struct group_column *c)
{
	uint64_t was = load(c);

	while (group_column_count(was) != COLUMN_FREE) {
		uint64_t to = was + 1;
		if (group_column_count(was) == COLUMN_LEFT)
			to += COLUMN_TURN;
		if (change(c, &was, to))
			return true;
	}
	return false;
}

/* Holds the column that the POP has; 'near' is where to look first. */
static bool hold_own(struct gtm_groups *g, const char *id, size_t near,
		     uint16_t *column)
{
	for (uint32_t k = 0; k < g->width; k++) {
		uint16_t i = (uint16_t)((near + k) % g->width);
		struct group_column *c = &g->column[i];
		if (group_column_count(load(c)) == COLUMN_FREE ||
		    strcmp(c->id, id) != 0 || !hold_again(c))
			continue;
		*column = i;
		return true;
	}
	return false;
}

static bool hold_free(struct gtm_groups *g, const char *id, size_t near,
		      uint16_t *column)
{
	for (uint32_t k = 0; k < g->width; k++) {
		uint16_t i = (uint16_t)((near + k) % g->width);
		struct group_column *c = &g->column[i];
		uint64_t was = load(c);
		if (group_column_count(was) != COLUMN_FREE)
			continue;
		memcpy(c->id, id, strlen(id) + 1);
		atomic_store_explicit(&c->word,
				      was + COLUMN_TURN + COLUMN_LEFT + 1,
				      memory_order_release);
		*column = i;
		return true;
	}
	return false;
}

static bool valid(const char *id)
{
	size_t n = strnlen(id, GTM_POP_ID_MAX + 1);

	return n >= 1 && n <= GTM_POP_ID_MAX;
}

int gtm_groups_columns(struct gtm_groups *g, const char *const *ids, size_t n,
		       uint16_t *map)
{
	size_t i = 0;

	if (n > g->width)
		return -ENOSPC;
	for (i = 0; i < n; i++)
		if (!valid(ids[i]))
			return -EINVAL;
	for (i = 0; i < n; i++)
		if (!hold_own(g, ids[i], i, &map[i]) &&
		    !hold_free(g, ids[i], i, &map[i]))
			break;
	if (i == n)
		return 0;
	gtm_groups_let_go(g, map, i);
	return -ENOSPC;
}

uint16_t group_column_held(const struct gtm_groups *g, const char *id)
{
	for (uint16_t i = 0; i < g->width; i++)
		if (group_column_count(load(&g->column[i])) > COLUMN_LEFT &&
		    strcmp(g->column[i].id, id) == 0)
			return i;
	return COLUMN_NONE;
}

/* -- wiping ---------------------------------------------------------------- */

void group_columns_round(struct gtm_groups *g)
{
	for (uint16_t i = 0; i < g->width; i++) {
		uint64_t word = load(&g->column[i]);
		bool left = group_column_count(word) == COLUMN_LEFT;
		g->wiped[i] = left ? word : 0;
	}
}

bool group_columns_wiped(struct gtm_groups *g)
{
	bool any = false;

	for (uint16_t i = 0; i < g->width; i++) {
		if (g->wiped[i] != load(&g->column[i]))
			g->wiped[i] = 0; /* it was held again */
		any = any || g->wiped[i] != 0;
	}
	return any;
}

void group_columns_free(struct gtm_groups *g)
{
	for (uint16_t i = 0; i < g->width; i++) {
		uint64_t was = g->wiped[i];
		g->wiped[i] = 0;
		if (was != 0)
			(void)atomic_compare_exchange_strong_explicit(
				&g->column[i].word, &was,
				was - COLUMN_LEFT + COLUMN_FREE,
				memory_order_acq_rel, memory_order_relaxed);
	}
}

/* -- copying --------------------------------------------------------------- */

/* Rows on their way from one table to another. */
struct copy {
	struct gtm_groups *to, *from;
	uint64_t now_ms;
	uint16_t *column; /* of 'to', for each held one of 'from'; or NONE */
	bool *held;	  /* in 'from' */
	uint32_t *cells;  /* of a row of 'from' */
};

static void copy_end(struct copy *c)
{
	for (uint16_t i = 0; c->held != NULL && i < c->from->width; i++)
		if (c->held[i])
			group_column_let_go(c->from, i);
	free(c->held);
	free(c->column);
	free(c->cells);
}

static bool copy_begin(struct copy *c)
{
	uint16_t width = c->from->width;

	c->held = calloc(width, sizeof(*c->held));
	c->column = calloc(width, sizeof(*c->column));
	c->cells = calloc(width, sizeof(*c->cells));
	if (c->held == NULL || c->column == NULL || c->cells == NULL) {
		copy_end(c);
		return false;
	}
	for (uint16_t i = 0; i < width; i++) {
		c->held[i] = group_column_hold(c->from, i);
		c->column[i] = COLUMN_NONE;
		if (c->held[i])
			c->column[i] =
				group_column_held(c->to, c->from->column[i].id);
	}
	return true;
}

/* The next row of 'from', copied as the writer there may give it away. */
static bool copy_read(const struct copy *c, uint32_t *cursor,
		      struct gtm_client *group, uint16_t *used)
{
	struct gtm_row_cells row;

	rcu_enter();
	bool more = gtm_groups_next(c->from, cursor, group, &row);
	for (uint16_t i = 0; more && i < c->from->width; i++)
		c->cells[i] = atomic_load_explicit(&row.cells[i],
						   memory_order_relaxed);
	if (more)
		*used = atomic_load_explicit(&c->from->meta[*cursor - 1].used,
					     memory_order_relaxed);
	rcu_leave();
	return more;
}

static void copy_write(const struct copy *c, const struct gtm_client *group,
		       uint16_t used)
{
	uint32_t row = INDEX_NONE;

	for (uint16_t i = 0; i < c->from->width; i++) {
		if (c->column[i] == COLUMN_NONE || (c->cells[i] & 0xffff) == 0)
			continue;
		if (row == INDEX_NONE &&
		    group_make_if_room(c->to, group, c->now_ms, &row) != 0)
			return;
		(void)group_cell_put(group_cells(c->to, row) + c->column[i],
				     c->cells[i], c->now_ms, true);
	}
	if (row != INDEX_NONE)
		atomic_store_explicit(&c->to->meta[row].used, used,
				      memory_order_relaxed);
}

int gtm_groups_copy(struct gtm_groups *to, struct gtm_groups *from,
		    uint32_t *cursor, uint32_t rows, uint64_t now_ms,
		    bool *done)
{
	struct copy copy = { .to = to, .from = from, .now_ms = now_ms };

	*done = false;
	if (!copy_begin(&copy))
		return -ENOMEM;
	for (; rows > 0 && !*done; rows--) {
		struct gtm_client group = { .v6 = false };
		uint16_t used = 0;
		*done = !copy_read(&copy, cursor, &group, &used);
		if (!*done)
			copy_write(&copy, &group, used);
	}
	copy_end(&copy);
	return 0;
}
