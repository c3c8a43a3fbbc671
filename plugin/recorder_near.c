/* SPDX-License-Identifier: MPL-2.0 */
/*
 * How far clients are, in the journal: the row of the latency table by which a
 * decision was made, before the decision.  What was written of a row is
 * remembered, so that again only those cells are that are others now.
 *
 * Rows are as the worker finds them, and written as of its look before: what
 * answers it takes, of whatever thread, were given since.
 *
 * This costs the worker a look-up for each answer that is noted, and nobody
 * else anything, however large the table is and however fast it is fed.  What
 * is remembered has a fixed room: a row that found its place taken is written
 * whole again.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/rcu.h"
#include "gtm/groups.h"
#include "plugin/recorder_int.h"

#define ROOM	 (4u << 20) /* octets, of what is remembered */
#define ROWS_MAX 65536u	    /* powers of two */
#define ROWS_MIN 64u

struct recorder_near {
	uint32_t rows, columns;
	uint64_t *net;	    /* of each row: net_word(); 0: none */
	uint32_t *cells;    /* of rows, as they were written; 0: unknown */
	uint32_t *now;	    /* of one row, as it is */
	uint8_t group_bits; /* of that */
};

/* -- what is remembered ---------------------------------------------------- */

void recorder_near_free(struct recorder *r)
{
	if (r->near == NULL)
		return;
	free(r->near->net);
	free(r->near->cells);
	free(r->near->now);
	free(r->near);
	r->near = NULL;
}

int recorder_near_begin(struct recorder *r)
{
	const struct config *config = r->snapshot->config;
	uint32_t columns = (uint32_t)config->n_pops;
	uint32_t rows = ROWS_MAX;

	recorder_near_free(r);
	if (config->journal_decisions == 0 ||
	    r->snapshot->world->groups == NULL)
		return 0;
	r->near = calloc(1, sizeof(*r->near));
	if (r->near == NULL)
		return -ENOMEM;
	while (rows > ROWS_MIN && (uint64_t)rows * (columns + 2) * 4 > ROOM)
		rows /= 2;
	r->near->rows = rows;
	r->near->columns = columns;
	r->near->net = calloc(rows, sizeof(*r->near->net));
	r->near->cells = calloc((size_t)rows * columns, sizeof(uint32_t));
	r->near->now = calloc(columns, sizeof(uint32_t));
	if (r->near->net != NULL && r->near->cells != NULL &&
	    r->near->now != NULL)
		return 0;
	recorder_near_free(r);
	return -ENOMEM;
}

/* All of a network in one word, which is not 0. */
static uint64_t net_word(const struct journal_net *net)
{
	uint64_t word = net->v6 ? 2 : 1;

	word = word << 6 | net->bits;
	for (unsigned int i = 0; i < sizeof(net->octets); i++)
		word = word << 8 | net->octets[i];
	return word;
}

static uint32_t place_of(const struct recorder_near *near, uint64_t word)
{
	word *= UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(word >> 32) & (near->rows - 1);
}

/* -- a client -------------------------------------------------------------- */

/* The first 'bits' of an address: at most so many as are written of any. */
static struct journal_net net_of(const struct gtm_client *client, uint8_t bits)
{
	struct journal_net net = { .v6 = client->v6 };
	struct gtm_client cut = *client;
	uint8_t most = client->v6 ? JOURNAL_NET_V6 : JOURNAL_NET_V4;

	cut.bits = bits < most ? bits : most;
	gtm_client_clear(&cut);
	net.bits = cut.bits;
	memcpy(net.octets, cut.address, sizeof(net.octets));
	return net;
}

/* Reads the client's row as it is now; false: there is none. */
static bool row_read(struct recorder *r, const struct gtm_client *client,
		     uint64_t now_ms)
{
	const struct gtm_world *world = r->snapshot->world;
	struct gtm_cell_time time = gtm_cell_time(now_ms, GTM_AGE_MAX_MS);
	struct recorder_near *near = r->near;

	rcu_enter();
	struct gtm_row_cells row =
		gtm_groups_find(world->groups, client, now_ms);
	for (uint32_t i = 0; row.cells != NULL && i < near->columns; i++) {
		uint32_t cell = atomic_load_explicit(
			&row.cells[world->columns[i]], memory_order_relaxed);
		near->now[i] = gtm_cell_ms(cell, time) >= 0.0f ? cell : 0;
	}
	rcu_leave();
	near->group_bits = row.bits;
	return row.cells != NULL;
}

/* Writes the cells that are not as 'told', which it makes so. */
static void row_write(struct recorder *r, struct journal_record *record,
		      uint32_t *told, uint64_t now_ms)
{
	struct journal_near *near = &record->near;
	bool any = near->anew;

	near->n = 0;
	for (uint32_t i = 0; i < r->near->columns; i++) {
		uint32_t cell = r->near->now[i];
		if (cell == told[i])
			continue;
		told[i] = cell;
		near->cell[near->n].pop = i;
		near->cell[near->n].tenths = cell & 0xffff;
		near->cell[near->n].age_s =
			cell != 0 ? gtm_cell_age_ms(cell, now_ms) / 1000 : 0;
		any = true;
		if (++near->n < JOURNAL_NEAR_MAX)
			continue;
		recorder_put(r, record, r->since_ms);
		near->anew = any = false;
		near->n = 0;
	}
	if (any)
		recorder_put(r, record, r->since_ms);
}

void recorder_near(struct recorder *r, const struct note *note,
		   struct journal_decision *decision)
{
	struct gtm_client client = { .v6 = note->client_v6,
				     .bits = note->client_bits };
	struct journal_record record = { .kind = JOURNAL_NEAR };
	struct recorder_near *near = r->near;

	memcpy(client.address, note->client, sizeof(client.address));
	struct journal_net net = net_of(&client, client.bits);
	decision->client_v6 = net.v6;
	decision->client_bits = net.bits;
	memcpy(decision->client, net.octets, sizeof(decision->client));
	if (near == NULL)
		return;
	decision->group = 1;
	if (!row_read(r, &client, r->looked_ms))
		return;
	record.near.net = net_of(&client, near->group_bits);
	decision->group = (uint8_t)(record.near.net.bits + 2);

	uint64_t word = net_word(&record.near.net);
	uint32_t place = place_of(near, word);
	uint32_t *told = near->cells + (size_t)place * near->columns;
	record.near.anew = near->net[place] != word;
	if (record.near.anew)
		memset(told, 0, near->columns * sizeof(*told));
	near->net[place] = word;
	row_write(r, &record, told, r->looked_ms);
}
