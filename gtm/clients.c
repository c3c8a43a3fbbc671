/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/clients.h"

#include <stdlib.h>
#include <string.h>

#include "gtm/clients_int.h"

/* How many bits are set in an octet. */
#define ONES_4(n)  (n), (n) + 1, (n) + 1, (n) + 2
#define ONES_16(n) ONES_4(n), ONES_4((n) + 1), ONES_4((n) + 1), ONES_4((n) + 2)
#define ONES_64(n)                                                             \
	ONES_16(n), ONES_16((n) + 1), ONES_16((n) + 1), ONES_16((n) + 2)
static const uint8_t ones[256] = { ONES_64(0), ONES_64(1), ONES_64(1),
				   ONES_64(2) };

/* The bits up to that of a child in its octet of a node, by the child. */
#define UPTO_8	0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff
#define UPTO_64 UPTO_8, UPTO_8, UPTO_8, UPTO_8, UPTO_8, UPTO_8, UPTO_8, UPTO_8
static const uint32_t upto[256] = { UPTO_64, UPTO_64, UPTO_64, UPTO_64 };

const struct gtm_place *gtm_clients_find(const struct gtm_clients *map,
					 const struct gtm_client *client,
					 uint8_t *scope)
{
	uint64_t key[2], mask[2];

	memcpy(key, client->address, sizeof(key));
	memcpy(mask, map->mask[client->bits], sizeof(mask));
	key[0] &= mask[0];
	key[1] &= mask[1];
	const uint8_t *p = (const uint8_t *)key;
	const uint32_t *words = map->words;
	uint32_t slot = map->root[client->v6][(unsigned int)p[0] << 8 | p[1]];
	p += 2;
	if ((slot & (SLOT_LEAF | SLOT_WIDE)) == SLOT_WIDE) {
		slot = words[(slot ^ SLOT_WIDE) +
			     ((unsigned int)p[0] << 8 | p[1])];
		p += 2;
	}
	/* the last octet has leaves only: a node ends before the address */
	for (; (slot & SLOT_LEAF) == 0; p++) {
		const uint32_t *node = words + slot;
		unsigned int child = *p;
		const uint8_t *runs = (const uint8_t *)node + (child >> 3);
		unsigned int rank = (unsigned int)runs[NODE_BEFORE] +
				    ones[runs[0] & upto[child]];
		slot = node[NODE_SLOTS - 1 + rank];
	}
	uint8_t bits = (uint8_t)(slot >> SLOT_SCOPE_SHIFT);
	*scope = bits < client->bits ? bits : client->bits;
	return &map->places[slot & SLOT_PLACE_MASK];
}

void gtm_clients_free(struct gtm_clients *map)
{
	if (map == NULL)
		return;
	free(map->root[0]);
	free(map->root[1]);
	free(map->words);
	free(map->places);
	free(map);
}

void gtm_clients_measure(const struct gtm_clients *map,
			 struct gtm_clients_size *size)
{
	*size = (struct gtm_clients_size){
		.places = map->n_places,
		.nodes = map->n_nodes,
		.leaves = map->n_leaves,
		.bytes = sizeof(*map) +
			 ((size_t)2 * ROOT_SIZE + map->n_words) *
				 sizeof(uint32_t) +
			 map->n_places * sizeof(*map->places),
	};
}
