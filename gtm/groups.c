/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/groups.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "gtm/groups_int.h"

#define FRONT_SHARE    4u /* groups for each slot of the front, at least */
#define LIMBO_SHARE    32u
#define LIMBO_MIN      1024u
#define HAND_LOOKS     64u /* after so many the hand is content with less */
#define HAND_LOOKS_MAX 4096u
#define HAND_EASY      16u     /* looks, below which it is too content */
#define USED_SPAN      0x8000u /* of the ring of times of use */

static uint32_t load(const _Atomic uint32_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static void count(_Atomic uint64_t *counter)
{
	uint64_t n = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, n + 1, memory_order_relaxed);
}

static uint8_t state_of(const struct gtm_groups *g, uint32_t row)
{
	return atomic_load_explicit(&g->meta[row].state, memory_order_acquire);
}

/* -- life ------------------------------------------------------------------ */

static size_t cells_size(const struct gtm_groups *g)
{
	return (size_t)g->rows * g->width * sizeof(*g->cells);
}

/* Room that costs nothing until it is used, zeroed. */
static void *reserve(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static bool allocate(struct gtm_groups *g)
{
	g->column = calloc(g->width, sizeof(*g->column));
	g->wiped = calloc(g->width, sizeof(*g->wiped));
	g->node = calloc(2 * (size_t)g->rows, sizeof(*g->node));
	g->key = calloc(g->rows, sizeof(*g->key));
	g->meta = calloc(g->rows, sizeof(*g->meta));
	g->cells = reserve(cells_size(g));
	for (unsigned int i = 0; i < 2; i++)
		g->trie[i].front = calloc((size_t)1 << g->front_bits,
					  sizeof(*g->trie[i].front));
	return group_limbo_init(&g->limbo) && g->column != NULL &&
	       g->wiped != NULL && g->node != NULL && g->key != NULL &&
	       g->meta != NULL && g->cells != NULL &&
	       g->trie[0].front != NULL && g->trie[1].front != NULL;
}

int gtm_groups_new(uint32_t groups_max, uint16_t columns,
		   struct gtm_groups **groupsp)
{
	if (groups_max < 1 || groups_max > GTM_GROUPS_MAX || columns < 1 ||
	    columns > GTM_COLUMNS_MAX)
		return -EINVAL;

	struct gtm_groups *g = calloc(1, sizeof(*g));
	if (g == NULL)
		return -ENOMEM;
	g->refs = 1;
	g->max = groups_max;
	g->width = columns;
	g->limbo.room = groups_max / LIMBO_SHARE + LIMBO_MIN;
	g->rows = groups_max + g->limbo.room;
	g->front_bits = 1;
	while (g->front_bits < FRONT_BITS_MAX &&
	       FRONT_SHARE << (g->front_bits + 1u) <= groups_max)
		g->front_bits++;
	g->target = USED_SPAN;
	g->free_row = INDEX_NONE;
	g->free_glue = INDEX_NONE;
	g->fresh_glue = g->rows;
	if (!allocate(g)) {
		gtm_groups_unref(g);
		return -ENOMEM;
	}
	group_tries_init(g);
	*groupsp = g;
	return 0;
}

void gtm_groups_ref(struct gtm_groups *g)
{
	atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
}

void gtm_groups_unref(struct gtm_groups *g)
{
	if (g == NULL ||
	    atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (g->cells != NULL)
		(void)munmap((void *)g->cells, cells_size(g));
	free((void *)g->trie[0].front);
	free((void *)g->trie[1].front);
	group_limbo_fini(&g->limbo);
	free(g->wiped);
	free(g->column);
	free(g->meta);
	free(g->key);
	free(g->node);
	free(g);
}

void gtm_groups_count(const struct gtm_groups *g, struct gtm_groups_counts *c)
{
	*c = (struct gtm_groups_counts){
		.groups = load(&g->n),
		.groups_max = g->max,
		.columns = g->width,
		.replaced = g->replaced,
		.waited = g->waited,
	};
	for (uint16_t i = 0; i < g->width; i++)
		c->columns_used +=
			group_column_count(g->column[i].word) != COLUMN_FREE;
	c->bytes = sizeof(*g) +
		   g->width * (sizeof(*g->column) + sizeof(*g->wiped)) +
		   2 * (uint64_t)g->rows * sizeof(*g->node) +
		   (uint64_t)g->rows * (sizeof(*g->key) + sizeof(*g->meta)) +
		   g->limbo.room * sizeof(*g->limbo.node) +
		   2 * sizeof(uint64_t) * ((uint64_t)1 << g->front_bits) +
		   (uint64_t)load(&g->fresh_row) * g->width * sizeof(*g->cells);
}

/* -- rows ------------------------------------------------------------------ */

/* How long ago a row was used, in GTM_USED_MS. */
static uint16_t idle(const struct gtm_groups *g, uint32_t row, uint64_t now_ms)
{
	uint16_t used =
		atomic_load_explicit(&g->meta[row].used, memory_order_relaxed);

	return (uint16_t)((uint16_t)(now_ms / GTM_USED_MS) - used);
}

static void row_drop(struct gtm_groups *g, uint32_t row)
{
	group_extract(g, row);
	atomic_store_explicit(&g->meta[row].state, 0, memory_order_relaxed);
	store(&g->n, load(&g->n) - 1);
}

/* An eighth of the way, at least one. */
static uint16_t fall(uint16_t from, uint16_t to)
{
	return (uint16_t)(from - (from - to + 7) / 8);
}

/*
 * The hand: the first group that has not been used for 'target'.  As long as
 * none is met less will do; where it takes too long, the oldest of all those
 * looked at.  The target follows what is found, and rises when it is met at
 * once.
 */
static uint32_t victim(struct gtm_groups *g, uint64_t now_ms)
{
	uint32_t oldest = INDEX_NONE;
	uint32_t end = load(&g->fresh_row);
	unsigned int looks = 0;
	uint16_t most = 0;
	uint16_t enough = g->target;

	for (uint32_t i = 0; i < end && looks < HAND_LOOKS_MAX; i++) {
		uint32_t row = g->hand < end ? g->hand : 0;
		g->hand = row + 1;
		if (state_of(g, row) == 0)
			continue;
		uint16_t age = idle(g, row, now_ms);
		if (oldest == INDEX_NONE || age > most) {
			oldest = row;
			most = age;
		}
		if (most >= enough)
			break;
		if (++looks % HAND_LOOKS == 0)
			enough = fall(enough, most);
	}
	if (most < g->target)
		g->target = fall(g->target, most);
	else if (looks < HAND_EASY && g->target < USED_SPAN)
		g->target++;
	return oldest;
}

/* Makes room if there is none: of a full table some row can go. */
static void row_room(struct gtm_groups *g, uint64_t now_ms)
{
	if (load(&g->n) < g->max)
		return;
	row_drop(g, victim(g, now_ms));
	count(&g->replaced);
}

static void row_clear(struct gtm_groups *g, uint32_t row)
{
	_Atomic uint32_t *cells = group_cells(g, row);

	for (uint16_t i = 0; i < g->width; i++)
		store(&cells[i], 0);
}

uint32_t group_make(struct gtm_groups *g, const struct gtm_client *group,
		    uint64_t now_ms)
{
	struct group_key key = group_key_of(group, group->bits);
	uint32_t row = group_exact(g, group->v6, &key, group->bits);

	if (row != INDEX_NONE)
		return row;
	row_room(g, now_ms);
	row = group_row_take(g);
	row_clear(g, row);
	g->key[row] = key;
	g->meta[row].bits = group->bits;
	/* a little older than what was asked for */
	atomic_store_explicit(&g->meta[row].used,
			      (uint16_t)(now_ms / GTM_USED_MS - 1),
			      memory_order_relaxed);
	atomic_store_explicit(
		&g->meta[row].state,
		(uint8_t)(GROUP_LIVE | (group->v6 ? GROUP_V6 : 0)),
		memory_order_release);
	group_insert(g, row);
	store(&g->n, load(&g->n) + 1);
	return row;
}

int group_make_if_room(struct gtm_groups *g, const struct gtm_client *group,
		       uint64_t now_ms, uint32_t *rowp)
{
	struct group_key key = group_key_of(group, group->bits);

	if (load(&g->n) >= g->max &&
	    group_exact(g, group->v6, &key, group->bits) == INDEX_NONE)
		return -ENOSPC;
	*rowp = group_make(g, group, now_ms);
	return 0;
}

bool group_cell_put(_Atomic uint32_t *cell, uint32_t new, uint64_t now_ms,
		    bool newer)
{
	uint32_t old = load(cell);

	if (group_cell_known(old, now_ms) &&
	    group_cell_age(old, now_ms) <
		    group_cell_age(new, now_ms) + (newer ? 1 : 0))
		return false;
	store(cell, new);
	return true;
}

int gtm_groups_put(struct gtm_groups *g, const struct gtm_client *group,
		   uint16_t column, uint32_t tenths, int64_t age_ms,
		   uint64_t now_ms)
{
	if (!group_valid(group) || column >= g->width)
		return -EINVAL;
	if (age_ms < 0 || age_ms > GTM_AGE_MAX_MS)
		return -ERANGE;

	uint32_t row = group_make(g, group, now_ms);
	_Atomic uint32_t *cell = group_cells(g, row) + column;
	if (tenths > GTM_TENTHS_MAX && tenths != GTM_UNREACHABLE)
		tenths = GTM_TENTHS_MAX;
	uint32_t new = group_cell_of(tenths + 1, age_ms, now_ms);
	if (!group_cell_put(cell, new, now_ms, false))
		return -EEXIST;
	return 0;
}

bool gtm_groups_remove(struct gtm_groups *g, const struct gtm_client *group)
{
	if (!group_valid(group))
		return false;
	struct group_key key = group_key_of(group, group->bits);
	uint32_t row = group_exact(g, group->v6, &key, group->bits);
	if (row == INDEX_NONE)
		return false;
	row_drop(g, row);
	return true;
}

/* -- upkeep ---------------------------------------------------------------- */

/* 'wipes': there are columns to be wiped. */
static void row_tidy(struct gtm_groups *g, uint32_t row, bool wipes,
		     struct gtm_cell_time fresh, uint64_t now_ms)
{
	_Atomic uint32_t *cells = group_cells(g, row);
	bool any = false;

	for (uint16_t i = 0; i < g->width; i++) {
		uint32_t cell = load(&cells[i]);
		if (cell == 0)
			continue;
		if (!group_cell_known(cell, now_ms) ||
		    (wipes && g->wiped[i] != 0))
			store(&cells[i], 0);
		else
			any = any || gtm_cell_ms(cell, fresh) >= 0.0f;
	}
	if (!any) {
		row_drop(g, row);
		return;
	}
	/* so that the ring of times of use does not come round */
	if (idle(g, row, now_ms) > USED_SPAN)
		atomic_store_explicit(
			&g->meta[row].used,
			(uint16_t)(now_ms / GTM_USED_MS - USED_SPAN),
			memory_order_relaxed);
}

bool gtm_groups_tidy(struct gtm_groups *g, uint64_t max_age_ms, uint64_t now_ms,
		     uint32_t rows)
{
	const struct gtm_cell_time fresh = gtm_cell_time(now_ms, max_age_ms);
	uint32_t end = load(&g->fresh_row);

	if (g->sweep == 0)
		group_columns_round(g);
	bool wipes = group_columns_wiped(g);
	for (; rows > 0 && g->sweep < end; rows--, g->sweep++)
		if (state_of(g, g->sweep) != 0)
			row_tidy(g, g->sweep, wipes, fresh, now_ms);
	if (g->sweep < end)
		return false;
	g->sweep = 0;
	if (wipes)
		group_columns_free(g);
	return true;
}

/* -- going through --------------------------------------------------------- */

static void address_of(const struct group_key *key, uint8_t *address)
{
	for (unsigned int i = 0; i < 8; i++) {
		address[i] = (uint8_t)(key->hi >> (56 - 8 * i));
		address[8 + i] = (uint8_t)(key->lo >> (56 - 8 * i));
	}
}

bool gtm_groups_next(const struct gtm_groups *g, uint32_t *cursor,
		     struct gtm_client *group, struct gtm_row_cells *cells)
{
	uint32_t end =
		atomic_load_explicit(&g->fresh_row, memory_order_acquire);

	for (uint32_t row = *cursor; row < end; row++) {
		uint8_t state = state_of(g, row);
		if (state == 0)
			continue;
		group->v6 = (state & GROUP_V6) != 0;
		group->bits = g->meta[row].bits;
		address_of(&g->key[row], group->address);
		*cells = (struct gtm_row_cells){ group_cells(g, row), g->width,
						 group->bits, group->bits };
		*cursor = row + 1;
		return true;
	}
	*cursor = end;
	return false;
}
