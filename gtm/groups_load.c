/* SPDX-License-Identifier: MPL-2.0 */
/* The reading half of 'groups_file'. */
#include "gtm/groups_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "gtm/groups_file_int.h"
#include "gtm/groups_int.h"

#define DAY_MS UINT32_C(86400000)

/* What is left of a section; 'bad' once more was wanted than there is. */
struct cursor {
	const uint8_t *p;
	size_t n;
	bool bad;
};

struct gtm_loader {
	struct gtm_load load;
	struct gtm_loaded result;
	int64_t elapsed_ms; /* from the file's time to that of the load */
	uint32_t clock;	    /* the file's */
	uint64_t seed;
	uint32_t number; /* of the next section */
	unsigned int columns_times;
	int error;    /* once there was one; 1: none, 0: all was read */
	bool columns; /* they were met, and may be: */
	bool mapped;
	const struct gtm_groups *groups; /* 'column' is of */
	uint16_t n_columns;
	uint16_t column[GTM_COLUMNS_MAX];
	char id[GTM_COLUMNS_MAX][GTM_POP_ID_MAX + 1];
	/* the section at hand */
	uint32_t items; /* rows that are left of it */
	struct cursor rest;
	uint8_t octets[FILE_SUM + FILE_SECTION_HEAD + GTM_FILE_SECTION_MAX];
};

static uint64_t number(const uint8_t *p, size_t n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value |= (uint64_t)p[i] << 8 * i;
	return value;
}

/* The next 'n' octets, or NULL. */
static const uint8_t *take(struct cursor *c, size_t n)
{
	const uint8_t *p = c->p;

	if (c->bad || c->n < n) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	c->n -= n;
	return p;
}

/* Exactly 'n' octets; 0 or -errno. */
static int read_all(struct gtm_loader *l, uint8_t *p, size_t n)
{
	while (n > 0) {
		int64_t got = l->load.read(l->load.arg, p, n);
		if (got < 0)
			return (int)got;
		if (got == 0 || (uint64_t)got > n)
			return -EBADMSG; /* cut short */
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

/* -- beginning ------------------------------------------------------------- */

static int read_header(struct gtm_loader *l)
{
	uint8_t *p = l->octets;
	int rc = read_all(l, p, FILE_HEADER + FILE_SUM);

	if (rc != 0)
		return rc;
	if (memcmp(p, FILE_MAGIC, 8) != 0)
		return -EBADMSG;
	l->seed = number(p + FILE_HEADER, FILE_SUM);
	if (XXH3_64bits(p, FILE_HEADER) != l->seed)
		return -EBADMSG;
	if (number(p + 8, 4) != GTM_FILE_VERSION)
		return -EPROTONOSUPPORT;
	if (number(p + 12, 4) != 0 || number(p + 28, 4) != 0)
		return -EBADMSG;
	uint64_t wall_ms = number(p + 16, 8);
	if (wall_ms > l->load.wall_ms &&
	    wall_ms - l->load.wall_ms > GTM_FILE_AHEAD_MS)
		return -ETIME;
	l->elapsed_ms = 0;
	if (wall_ms < l->load.wall_ms)
		l->elapsed_ms =
			(int64_t)((l->load.wall_ms - wall_ms) & INT64_MAX);
	/* Longer ago than that all is too old; and no sum overflows. */
	if (l->elapsed_ms > 2 * GTM_AGE_MAX_MS)
		l->elapsed_ms = 2 * GTM_AGE_MAX_MS;
	l->clock = (uint32_t)number(p + 24, 4);
	return 0;
}

int gtm_loader_new(const struct gtm_load *load, struct gtm_loader **loaderp)
{
	struct gtm_loader *l = malloc(sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	l->load = *load;
	l->result = (struct gtm_loaded){ 0 };
	l->number = 0;
	l->columns_times = 0;
	l->error = 1;
	l->columns = false;
	l->mapped = false;
	l->items = 0;
	l->rest = (struct cursor){ l->octets, 0, false };
	int rc = read_header(l);
	if (rc != 0) {
		free(l);
		return rc;
	}
	*loaderp = l;
	return 0;
}

void gtm_loader_free(struct gtm_loader *l)
{
	free(l);
}

const struct gtm_loaded *gtm_loader_result(const struct gtm_loader *l)
{
	return &l->result;
}

/* -- columns --------------------------------------------------------------- */

static int read_columns(struct gtm_loader *l, uint32_t items)
{
	if (items > GTM_COLUMNS_MAX || ++l->columns_times > FILE_COLUMNS_TIMES)
		return -EBADMSG;
	for (uint32_t i = 0; i < items; i++) {
		const uint8_t *n = take(&l->rest, 1);
		if (n == NULL || *n < 1 || *n > GTM_POP_ID_MAX)
			return -EBADMSG;
		const uint8_t *id = take(&l->rest, *n);
		if (id == NULL || memchr(id, 0, *n) != NULL)
			return -EBADMSG;
		memcpy(l->id[i], id, *n);
		l->id[i][*n] = '\0';
	}
	if (l->rest.n != 0)
		return -EBADMSG;
	l->n_columns = (uint16_t)items;
	l->columns = true;
	l->mapped = false;
	return 1;
}

static void map_columns(struct gtm_loader *l, const struct gtm_groups *g)
{
	if (l->mapped && l->groups == g)
		return;
	for (uint16_t i = 0; i < l->n_columns; i++)
		l->column[i] = group_column_held(g, l->id[i]);
	l->mapped = true;
	l->groups = g;
}

/* -- rows ------------------------------------------------------------------ */

struct moment {
	struct gtm_groups *groups;
	uint64_t now_ms;
};

static int64_t age_of(const struct gtm_loader *l, uint32_t cell,
		      const struct moment *at)
{
	uint32_t age_ms = l->clock - (cell & 0xffff0000);
	int64_t since_ms = l->elapsed_ms;

	if (at->now_ms > l->load.now_ms)
		since_ms += (int64_t)(at->now_ms - l->load.now_ms);
	/* rounded up, or measured while the file was written */
	if (age_ms > UINT32_MAX - DAY_MS)
		since_ms -= INT64_C(1) << 32;
	since_ms += age_ms;
	return since_ms > 0 ? since_ms : 0;
}

/* '*rowp' is INDEX_NONE before the first value that can be taken: a group
 * without one would hide shorter ones. */
static int take_cell(struct gtm_loader *l, const struct gtm_client *group,
		     uint16_t column, uint32_t cell, const struct moment *at,
		     uint32_t *rowp)
{
	int64_t age_ms = age_of(l, cell, at);

	if (column == COLUMN_NONE) {
		l->result.foreign++;
		return 0;
	}
	if (age_ms > GTM_AGE_MAX_MS) {
		l->result.old++;
		return 0;
	}
	int rc = *rowp != INDEX_NONE ? 0
				     : group_make_if_room(at->groups, group,
							  at->now_ms, rowp);
	if (rc != 0)
		return rc;
	if (group_cell_put(group_cells(at->groups, *rowp) + column,
			   group_cell_of(cell & 0xffff, age_ms, at->now_ms),
			   at->now_ms, true))
		l->result.values++;
	else
		l->result.old++;
	return 0;
}

static int take_cells(struct gtm_loader *l, const struct gtm_client *group,
		      const uint8_t *map, const uint8_t *cells,
		      const struct moment *at)
{
	uint32_t row = INDEX_NONE;
	int rc = 0;

	for (uint16_t i = 0; i < l->n_columns && rc == 0; i++) {
		if ((map[i / 8] >> i % 8 & 1) == 0)
			continue;
		uint32_t cell = (uint32_t)number(cells, sizeof(cell));
		cells += sizeof(cell);
		if ((cell & 0xffff) == 0)
			return -EBADMSG;
		rc = take_cell(l, group, l->column[i], cell, at, &row);
	}
	if (rc != -ENOSPC)
		return rc;
	l->result.over++;
	return 0;
}

static int read_row(struct gtm_loader *l, const struct moment *at)
{
	const uint8_t *head = take(&l->rest, 2);
	struct gtm_client group = { .v6 = false };
	size_t n_map = (l->n_columns + 7u) / 8;
	size_t n = 0;

	if (head == NULL || head[0] > 1)
		return -EBADMSG;
	group.v6 = head[0] == 1;
	group.bits = head[1];
	if (!group_valid(&group))
		return -EBADMSG;
	const uint8_t *address = take(&l->rest, (group.bits + 7u) / 8);
	const uint8_t *map = take(&l->rest, n_map);
	if (address == NULL || map == NULL)
		return -EBADMSG;
	if (l->n_columns % 8 != 0 && map[n_map - 1] >> l->n_columns % 8 != 0)
		return -EBADMSG;
	memcpy(group.address, address, (group.bits + 7u) / 8);
	for (uint16_t i = 0; i < l->n_columns; i++)
		n += map[i / 8] >> i % 8 & 1;
	const uint8_t *cells = take(&l->rest, n * sizeof(uint32_t));
	if (cells == NULL)
		return -EBADMSG;

	l->result.rows++;
	return take_cells(l, &group, map, cells, at);
}

/* -- sections -------------------------------------------------------------- */

/* 1: goes on, 0: that was the end. */
static int read_section(struct gtm_loader *l)
{
	uint8_t *head = l->octets + FILE_SUM;
	int rc = read_all(l, l->octets, FILE_SUM + FILE_SECTION_HEAD);

	if (rc != 0)
		return rc;
	size_t n = number(head, 4);
	if (n > GTM_FILE_SECTION_MAX)
		return -EBADMSG;
	rc = read_all(l, head + FILE_SECTION_HEAD, n);
	if (rc != 0)
		return rc;
	if (XXH3_64bits_withSeed(head, FILE_SECTION_HEAD + n, l->seed) !=
		    number(l->octets, FILE_SUM) ||
	    number(head + 12, 4) != l->number++)
		return -EBADMSG;
	l->rest = (struct cursor){ head + FILE_SECTION_HEAD, n, false };
	uint32_t items = (uint32_t)number(head + 8, 4);
	switch (number(head + 4, 4)) {
	case FILE_COLUMNS:
		return read_columns(l, items);
	case FILE_ROWS:
		l->items = items;
		return l->columns && items > 0 ? 1 : -EBADMSG;
	case FILE_END:
		if (n != 8 || items != 0 ||
		    number(l->rest.p, 8) != l->result.rows)
			return -EBADMSG;
		return 0;
	default:
		return -EBADMSG;
	}
}

int gtm_loader_step(struct gtm_loader *l, struct gtm_groups *g, uint32_t rows,
		    uint64_t now_ms)
{
	struct moment at = { g, now_ms };

	for (; rows > 0 && l->error == 1; rows--) {
		if (l->items == 0) {
			l->error = read_section(l);
			continue;
		}
		map_columns(l, g);
		int rc = read_row(l, &at);
		if (rc == 0 && --l->items == 0 && l->rest.n != 0)
			rc = -EBADMSG;
		if (rc != 0)
			l->error = rc;
	}
	return l->error;
}
