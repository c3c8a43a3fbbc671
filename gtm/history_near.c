/* SPDX-License-Identifier: MPL-2.0 */
/*
 * How far groups of clients were from POPs.  Unlike all else this outlives
 * epochs, as a journal has of it only what was asked for: POPs are remembered
 * by name.
 */
#include <errno.h>
#include <stdlib.h>

#include "gtm/history_int.h"

#define FIRST_SIZE 64u /* of a table of hashes: powers of two */

/* -- hashes ---------------------------------------------------------------- */

/* Places of what has a hash, in a list beside it: the index plus 1; 0: free. */
static int index_grow(struct history_index *index, size_t n,
		      uint64_t (*hash)(const void *list, size_t i),
		      const void *list)
{
	if (index->size >= 2 * (n + 1))
		return 0;
	size_t size = index->size == 0 ? FIRST_SIZE : 2 * index->size;
	uint32_t *place = calloc(size, sizeof(*place));
	if (place == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		size_t at = hash(list, i) & (size - 1);
		while (place[at] != 0)
			at = (at + 1) & (size - 1);
		place[at] = (uint32_t)i + 1;
	}
	free(index->place);
	index->place = place;
	index->size = size;
	return 0;
}

static void index_add(struct history_index *index, uint64_t hash, size_t i)
{
	size_t at = hash & (index->size - 1);

	while (index->place[at] != 0)
		at = (at + 1) & (index->size - 1);
	index->place[at] = (uint32_t)i + 1;
}

static uint64_t hash_of(const void *p, size_t n)
{
	const uint8_t *octets = p;
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (size_t i = 0; i < n; i++)
		h = (h ^ octets[i]) * UINT64_C(0x100000001b3);
	return h ^ h >> 32;
}

/* -- POPs ------------------------------------------------------------------ */

static uint64_t pop_hash(const void *list, size_t i)
{
	const char *text = ((char *const *)list)[i];

	return hash_of(text, strlen(text));
}

uint32_t history_pop(const struct history_nears *near, const char *text)
{
	const struct history_index *index = &near->pop_index;
	size_t at = hash_of(text, strlen(text)) & (index->size - 1);

	if (index->size == 0)
		return HISTORY_NO_POP;
	for (; index->place[at] != 0; at = (at + 1) & (index->size - 1))
		if (strcmp(near->pop[index->place[at] - 1], text) == 0)
			return index->place[at] - 1;
	return HISTORY_NO_POP;
}

/* The number of a POP, which stays the same over epochs. */
static int pop_number(struct history_nears *near, const char *text,
		      uint32_t *number)
{
	void *list = near->pop;

	*number = history_pop(near, text);
	if (*number != HISTORY_NO_POP)
		return 0;
	if (index_grow(&near->pop_index, near->n_pops, pop_hash, list) != 0 ||
	    history_grow(&list, near->n_pops, &near->pops_max,
			 sizeof(*near->pop)) != 0)
		return -ENOMEM;
	near->pop = list;
	char *copy = malloc(strlen(text) + 1);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, text, strlen(text) + 1);
	near->pop[near->n_pops] = copy;
	*number = (uint32_t)near->n_pops++;
	index_add(&near->pop_index, hash_of(text, strlen(text)), *number);
	return 0;
}

/* -- rows ------------------------------------------------------------------ */

static uint64_t net_hash(const struct journal_net *net)
{
	uint8_t key[2 + sizeof(net->octets)] = { net->v6, net->bits };

	memcpy(key + 2, net->octets, sizeof(net->octets));
	return hash_of(key, sizeof(key));
}

static uint64_t row_hash(const void *list, size_t i)
{
	return net_hash(&((const struct history_row *)list)[i].net);
}

static struct history_row *row_of(const struct history_nears *near,
				  const struct journal_net *net)
{
	const struct history_index *index = &near->row_index;
	size_t at = net_hash(net) & (index->size - 1);

	if (index->size == 0)
		return NULL;
	for (; index->place[at] != 0; at = (at + 1) & (index->size - 1)) {
		struct history_row *row = &near->row[index->place[at] - 1];
		if (row->net.v6 == net->v6 && row->net.bits == net->bits &&
		    memcmp(row->net.octets, net->octets, sizeof(net->octets)) ==
			    0)
			return row;
	}
	return NULL;
}

static int row_make(struct history_nears *near, const struct journal_net *net,
		    struct history_row **rowp)
{
	void *list = near->row;

	*rowp = row_of(near, net);
	if (*rowp != NULL)
		return 0;
	if (index_grow(&near->row_index, near->n_rows, row_hash, list) != 0 ||
	    history_grow(&list, near->n_rows, &near->rows_max,
			 sizeof(*near->row)) != 0)
		return -ENOMEM;
	near->row = list;
	*rowp = &near->row[near->n_rows];
	**rowp = (struct history_row){ .net = *net,
				       .older = HISTORY_NO_ROW,
				       .newer = HISTORY_NO_ROW };
	index_add(&near->row_index, net_hash(net), near->n_rows++);
	return 0;
}

/* It is now the one that changed last. */
static void row_changed(struct gtm_history *h, struct history_row *row)
{
	struct history_nears *near = &h->near;
	uint32_t i = (uint32_t)(row - near->row);

	row->change = ++near->changes;
	if (near->newest == i && near->n_linked > 0)
		return;
	if (row->newer != HISTORY_NO_ROW) { /* out of the middle */
		near->row[row->newer].older = row->older;
		if (row->older != HISTORY_NO_ROW)
			near->row[row->older].newer = row->newer;
	} else {
		near->n_linked++;
	}
	row->older = near->n_linked > 1 ? near->newest : HISTORY_NO_ROW;
	row->newer = HISTORY_NO_ROW;
	if (row->older != HISTORY_NO_ROW)
		near->row[row->older].newer = i;
	near->newest = i;
}

/* The place of a POP's cell, or where it would be. */
static size_t cell_place(const struct history_row *row, uint32_t pop)
{
	size_t from = 0;
	size_t to = row->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		if (row->cell[mid].pop < pop)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

static int cell_put(struct history_row *row, const struct history_cell *cell)
{
	size_t at = cell_place(row, cell->pop);
	void *list = row->cell;

	if (at < row->n && row->cell[at].pop == cell->pop) {
		row->cell[at] = *cell;
		return 0;
	}
	if (cell->tenths == 0 || row->n >= GTM_COLUMNS_MAX)
		return 0;
	if (history_grow(&list, row->n, &row->max, sizeof(*row->cell)) != 0)
		return -ENOMEM;
	row->cell = list;
	memmove(row->cell + at + 1, row->cell + at,
		(row->n - at) * sizeof(*row->cell));
	row->cell[at] = *cell;
	row->n++;
	return 0;
}

/* -- taking records -------------------------------------------------------- */

int history_take_near(struct gtm_history *h, const struct journal_near *near)
{
	const struct history_table *pops = &h->table[JOURNAL_POPS];
	struct history_row *row;

	for (unsigned int i = 0; i < near->n; i++)
		if (near->cell[i].pop >= pops->n)
			return -EBADMSG;
	int rc = row_make(&h->near, &near->net, &row);
	if (rc != 0)
		return rc;
	row_changed(h, row);
	row->gone = false;
	if (near->anew)
		row->n = 0;
	for (unsigned int i = 0; i < near->n && rc == 0; i++) {
		uint64_t age_ms = (uint64_t)near->cell[i].age_s * 1000;
		struct history_cell cell = {
			.tenths = near->cell[i].tenths,
			.when_ms =
				age_ms < h->clock_ms ? h->clock_ms - age_ms : 1,
		};
		rc = pop_number(&h->near, pops->name[near->cell[i].pop].text,
				&cell.pop);
		if (rc == 0)
			rc = cell_put(row, &cell);
	}
	return rc;
}

/* A network's first bits. */
static struct journal_net net_cut(const struct journal_net *from,
				  unsigned int bits)
{
	struct journal_net net = *from;

	net.bits = (uint8_t)bits;
	for (unsigned int i = 0; i < sizeof(net.octets); i++) {
		unsigned int left = bits > 8 * i ? bits - 8 * i : 0;
		net.octets[i] = (uint8_t)(net.octets[i] &
					  (left < 8 ? 0xff00u >> left : 0xffu));
	}
	return net;
}

/* Longer groups that had the client are no more: another one was found. */
void history_take_group(struct gtm_history *h, const struct journal_decision *d)
{
	struct journal_net net = { .v6 = d->client_v6 };
	unsigned int most = net.v6 ? JOURNAL_NET_V6 : JOURNAL_NET_V4;

	if (d->group == 0)
		return;
	memcpy(net.octets, d->client, sizeof(net.octets));
	if (d->client_bits < most)
		most = d->client_bits;
	for (unsigned int bits = d->group - 1u; bits <= most; bits++) {
		struct journal_net cut = net_cut(&net, bits);
		struct history_row *row = row_of(&h->near, &cut);
		if (row == NULL || row->gone)
			continue;
		row->gone = true;
		row->n = 0;
		row_changed(h, row);
	}
}

/* -- what is known --------------------------------------------------------- */

float gtm_history_near_ms(const struct gtm_history *h,
			  const struct gtm_client *client, const char *pop,
			  uint64_t max_age_ms)
{
	unsigned int bits = client->v6 ? JOURNAL_NET_V6 : JOURNAL_NET_V4;
	struct journal_net net = { .v6 = client->v6 };
	uint32_t number = history_pop(&h->near, pop);
	struct history_row *row = NULL;

	memcpy(net.octets, client->address, sizeof(net.octets));
	if (client->bits < bits)
		bits = client->bits;
	for (bits++; bits > 0 && (row == NULL || row->gone); bits--) {
		struct journal_net cut = net_cut(&net, bits - 1);
		row = row_of(&h->near, &cut);
	}
	if (row == NULL || row->gone || number == HISTORY_NO_POP)
		return -1.0f;
	size_t at = cell_place(row, number);
	if (at == row->n || row->cell[at].pop != number ||
	    row->cell[at].tenths == 0 ||
	    h->clock_ms - row->cell[at].when_ms > max_age_ms)
		return -1.0f;
	return (float)(int32_t)(row->cell[at].tenths - 1) * 0.1f;
}

void history_near_free(struct history_nears *near)
{
	for (size_t i = 0; i < near->n_pops; i++)
		free(near->pop[i]);
	for (size_t i = 0; i < near->n_rows; i++)
		free(near->row[i].cell);
	free(near->pop);
	free(near->row);
	free(near->pop_index.place);
	free(near->row_index.place);
}
