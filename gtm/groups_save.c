/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What is saved of groups, in numbers of little-endian octets: 'N' 'Z' 'G' 1,
 * how many columns (2), of each the length (1) and octets of its POP's name.
 * Then rows: family (4 or 6), length in bits, the prefix in as many octets as
 * that takes, how many cells (2), of each column (2), tenths of a millisecond
 * (2) and age in minutes (2).
 */
#include "gtm/groups_int.h"

#include <errno.h>
#include <string.h>

#include "common/config.h"

#define MINUTE_MS 60000u
#define MINUTES	  GTM_CELL_MINUTES
#define CELL_N	  6u
#define POP_MAX	  255u

static const uint8_t magic[4] = { 'N', 'Z', 'G', 1 };

/* -- writing ---------------------------------------------------------------
 */

static uint8_t *put16(uint8_t *p, uint32_t n)
{
	p[0] = (uint8_t)n;
	p[1] = (uint8_t)(n >> 8);
	return p + 2;
}

size_t gtm_groups_save_head(const struct gtm_groups *g, uint8_t *out,
			    size_t size)
{
	uint8_t *p = out;

	if (size < sizeof(magic) + 2)
		return 0;
	memcpy(p, magic, sizeof(magic));
	p = put16(p + sizeof(magic), g->named);
	for (uint32_t i = 0; i < g->named; i++) {
		size_t n = strlen(g->pop[i]);
		if (n > POP_MAX || (size_t)(p - out) + n + 1 > size)
			return 0;
		*p++ = (uint8_t)n;
		memcpy(p, g->pop[i], n);
		p += n;
	}
	return (size_t)(p - out);
}

/* Octets of a prefix. */
static size_t octets_of(unsigned int bits)
{
	return (bits + 7) / 8;
}

static uint8_t *put_prefix(uint8_t *p, const struct row *row, uint16_t what)
{
	unsigned int bits = what & 0xff;
	uint64_t half[2] = { groups_load64(&row->high),
			     groups_load64(&row->low) };

	*p++ = (what & GROUPS_V6) != 0 ? 6 : 4;
	*p++ = (uint8_t)bits;
	for (size_t i = 0; i < octets_of(bits); i++)
		*p++ = (uint8_t)(half[i / 8] >> (56 - 8 * (i % 8)));
	return p;
}

/* A row; NULL: it holds nothing, or is being given to another group. */
static uint8_t *put_row(const struct gtm_groups *g, const struct row *row,
			uint32_t minute, uint8_t *p)
{
	uint32_t generation =
		atomic_load_explicit(&row->generation, memory_order_acquire);
	uint16_t what = atomic_load_explicit(&row->what, memory_order_relaxed);
	uint32_t n = 0;

	p = put_prefix(p, row, what);
	uint8_t *count = p;
	p += 2;
	for (uint32_t i = 0; i < g->named; i++) {
		uint32_t cell = atomic_load_explicit(&row->cell[i],
						     memory_order_acquire);
		if (cell == 0)
			continue;
		uint32_t then = cell & 0xffff;
		p = put16(p, i);
		p = put16(p, cell >> 16);
		p = put16(p, minute >= then ? minute - then
					    : minute + MINUTES - then);
		n++;
	}
	put16(count, n);
	bool same = generation % 2 == 0 &&
		    atomic_load_explicit(&row->generation,
					 memory_order_relaxed) == generation;
	return n > 0 && same ? p : NULL;
}

size_t gtm_groups_save(const struct gtm_groups *g, uint32_t *at, uint8_t *out,
		       size_t size, uint64_t now_ms)
{
	const size_t most = 20 + (size_t)g->named * CELL_N;
	uint32_t minute = (uint32_t)(now_ms / MINUTE_MS % MINUTES) + 1;
	uint8_t *p = out;

	while (*at < gtm_groups_count(g) && (size_t)(p - out) + most <= size) {
		uint8_t *next = put_row(g, groups_row(g, *at), minute, p);
		if (next != NULL)
			p = next;
		(*at)++;
	}
	return (size_t)(p - out);
}

/* -- reading ---------------------------------------------------------------
 */

/* What is left to be read. */
struct rest {
	const uint8_t *p;
	size_t n;
};

static bool take(struct rest *rest, size_t n, const uint8_t **p)
{
	if (rest->n < n)
		return false;
	*p = rest->p;
	rest->p += n;
	rest->n -= n;
	return true;
}

static bool take16(struct rest *rest, uint32_t *value)
{
	const uint8_t *p;

	if (!take(rest, 2, &p))
		return false;
	*value = p[0] | (uint32_t)p[1] << 8;
	return true;
}

/* The columns of the file, as columns of the table or CONFIG_NONE. */
static bool take_head(struct gtm_groups *g, struct rest *rest,
		      uint32_t *columns, uint32_t *n)
{
	const uint8_t *p;
	char name[POP_MAX + 1];

	if (!take(rest, sizeof(magic), &p) ||
	    memcmp(p, magic, sizeof(magic)) != 0 || !take16(rest, n) ||
	    *n > GTM_COLUMNS_MAX)
		return false;
	for (uint32_t i = 0; i < *n; i++) {
		if (!take(rest, 1, &p))
			return false;
		size_t length = p[0];
		if (!take(rest, length, &p))
			return false;
		memcpy(name, p, length);
		name[length] = '\0';
		columns[i] = CONFIG_NONE;
		for (uint32_t k = 0; k < g->named; k++)
			if (strcmp(g->pop[k], name) == 0)
				columns[i] = k;
	}
	return true;
}

static bool take_prefix(struct rest *rest, struct gtm_client *prefix)
{
	const uint8_t *p;

	*prefix = (struct gtm_client){ 0 };
	if (!take(rest, 2, &p) || (p[0] != 4 && p[0] != 6) ||
	    p[1] > (p[0] == 6 ? 128 : 32))
		return false;
	prefix->v6 = p[0] == 6;
	prefix->bits = p[1];
	if (!take(rest, octets_of(prefix->bits), &p))
		return false;
	memcpy(prefix->address, p, octets_of(prefix->bits));
	gtm_client_clear(prefix);
	return true;
}

static bool take_row(struct gtm_groups *g, struct rest *rest,
		     const uint32_t *columns, uint32_t n_columns,
		     const uint64_t times[2])
{
	struct gtm_client prefix;
	uint32_t n;

	if (!take_prefix(rest, &prefix) || !take16(rest, &n))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t column;
		uint32_t tenths;
		uint32_t minutes;
		if (!take16(rest, &column) || !take16(rest, &tenths) ||
		    !take16(rest, &minutes) || column >= n_columns)
			return false;
		uint64_t age_ms = times[0] + (uint64_t)minutes * MINUTE_MS;
		if (columns[column] == CONFIG_NONE ||
		    age_ms > GTM_LATENCY_AGE_MS || age_ms > times[1])
			continue;
		float ms = tenths == 0xffff ? -1.0f : (float)tenths / 10.0f;
		(void)gtm_groups_put(g, &prefix, columns[column], ms,
				     times[1] - age_ms, times[1]);
	}
	return true;
}

int gtm_groups_load(struct gtm_groups *g, const uint8_t *p, size_t n,
		    uint64_t away_ms, uint64_t now_ms)
{
	struct rest rest = { p, n };
	uint32_t columns[GTM_COLUMNS_MAX];
	uint32_t n_columns;
	const uint64_t times[2] = { away_ms, now_ms };

	if (!take_head(g, &rest, columns, &n_columns))
		return -EBADMSG;
	while (rest.n > 0)
		if (!take_row(g, &rest, columns, n_columns, times))
			return -EBADMSG;
	return 0;
}
