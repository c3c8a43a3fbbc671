/* SPDX-License-Identifier: MPL-2.0 */
/* The writing half of 'groups_file'. */
#include "gtm/groups_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "gtm/groups_file_int.h"
#include "gtm/groups_int.h"

#define PIECE_BYTES (1u << 16) /* a section ends once it has so much */
#define PIECE_ROWS  256u       /* looked at in one RCU section */

_Static_assert(PIECE_BYTES + FILE_ROW_MAX <= GTM_FILE_SECTION_MAX &&
		       GTM_COLUMNS_MAX * (GTM_POP_ID_MAX + 1) <=
			       GTM_FILE_SECTION_MAX,
	       "a section has room for a row more, and for all columns");

struct saver {
	struct gtm_groups *groups;
	const struct gtm_save *save;
	uint64_t seed;
	uint32_t number; /* of the next section */
	uint64_t rows;
	uint16_t n_columns;
	uint16_t column[GTM_COLUMNS_MAX]; /* held */
	/* the section at hand: its content */
	uint32_t items;
	size_t n;
	uint8_t octets[FILE_SUM + FILE_SECTION_HEAD + GTM_FILE_SECTION_MAX];
};

static void put_at(uint8_t *p, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(value >> 8 * i);
}

static void add(struct saver *s, uint64_t value, size_t n)
{
	put_at(s->octets + FILE_SUM + FILE_SECTION_HEAD + s->n, value, n);
	s->n += n;
}

static int write_header(struct saver *s)
{
	uint8_t *p = s->octets;

	memcpy(p, FILE_MAGIC, sizeof(FILE_MAGIC) - 1);
	put_at(p + 8, GTM_FILE_VERSION, 8);
	put_at(p + 16, s->save->wall_ms, 8);
	put_at(p + 24, (uint32_t)s->save->now_ms, 8);
	s->seed = XXH3_64bits(p, FILE_HEADER);
	put_at(p + FILE_HEADER, s->seed, FILE_SUM);
	return s->save->write(s->save->arg, p, FILE_HEADER + FILE_SUM);
}

static int write_section(struct saver *s, enum file_section kind)
{
	uint8_t *head = s->octets + FILE_SUM;
	size_t n = FILE_SECTION_HEAD + s->n;

	put_at(head, s->n, 4);
	put_at(head + 4, kind, 4);
	put_at(head + 8, s->items, 4);
	put_at(head + 12, s->number++, 4);
	put_at(s->octets, XXH3_64bits_withSeed(head, n, s->seed), FILE_SUM);
	s->n = 0;
	s->items = 0;
	return s->save->write(s->save->arg, s->octets, FILE_SUM + n);
}

/* -- rows ------------------------------------------------------------------ */

static void add_row(struct saver *s, const struct gtm_client *group,
		    const _Atomic uint32_t *cells)
{
	uint8_t *content = s->octets + FILE_SUM + FILE_SECTION_HEAD;
	size_t begin = s->n;
	bool any = false;

	add(s, group->v6, 1);
	add(s, group->bits, 1);
	for (unsigned int i = 0; i < (group->bits + 7u) / 8; i++)
		add(s, group->address[i], 1);
	uint8_t *map = content + s->n;
	s->n += (s->n_columns + 7u) / 8;
	memset(map, 0, (s->n_columns + 7u) / 8);
	for (uint16_t i = 0; i < s->n_columns; i++) {
		uint32_t cell = atomic_load_explicit(&cells[s->column[i]],
						     memory_order_relaxed);
		if ((cell & 0xffff) == 0)
			continue;
		map[i / 8] |= (uint8_t)(1u << i % 8);
		add(s, cell, 4);
		any = true;
	}
	if (!any) {
		s->n = begin;
		return;
	}
	s->items++;
	s->rows++;
}

/* Adds rows to the section until it is long enough; true: there are more. */
static bool add_rows(struct saver *s, uint32_t *cursor)
{
	struct gtm_client group;
	struct gtm_row_cells row;
	bool more = true;

	rcu_enter();
	for (unsigned int i = 0; more && i < PIECE_ROWS; i++) {
		if (s->n >= PIECE_BYTES)
			break;
		more = gtm_groups_next(s->groups, cursor, &group, &row);
		if (more)
			add_row(s, &group, row.cells);
	}
	rcu_leave();
	return more;
}

/* -- all of it ------------------------------------------------------------- */

static int write_columns(struct saver *s)
{
	for (uint16_t i = 0; i < s->groups->width; i++) {
		const char *id = s->groups->column[i].id;
		if (!group_column_hold(s->groups, i))
			continue;
		s->column[s->n_columns++] = i;
		size_t n = strlen(id);
		add(s, n, 1);
		for (size_t k = 0; k < n; k++)
			add(s, (uint8_t)id[k], 1);
		s->items++;
	}
	return write_section(s, FILE_COLUMNS);
}

static int write_rows(struct saver *s)
{
	uint32_t cursor = 0;
	bool more = true;
	int rc = 0;

	while (rc == 0 && more) {
		more = add_rows(s, &cursor);
		if (s->items > 0 && (!more || s->n >= PIECE_BYTES))
			rc = write_section(s, FILE_ROWS);
	}
	return rc;
}

int gtm_groups_save(struct gtm_groups *groups, const struct gtm_save *save)
{
	struct saver *s = malloc(sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->groups = groups;
	s->save = save;
	s->number = 0;
	s->rows = 0;
	s->items = 0;
	s->n = 0;
	s->n_columns = 0;
	int rc = write_header(s);
	if (rc == 0)
		rc = write_columns(s);
	if (rc == 0)
		rc = write_rows(s);
	if (rc == 0) {
		add(s, s->rows, 8);
		rc = write_section(s, FILE_END);
	}
	gtm_groups_let_go(groups, s->column, s->n_columns);
	free(s);
	return rc;
}
