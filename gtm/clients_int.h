/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * clients_int - how a client map is laid out: clients_build.c makes it,
 * clients.c looks clients up.
 */
#include "gtm/clients.h"

/*
 * A slot is a leaf or the place of a node in 'words'.  A leaf has its scope,
 * 0..128, and its place.
 */
#define SLOT_LEAF	 UINT32_C(0x80000000)
#define SLOT_WIDE	 UINT32_C(0x40000000) /* in a root, of no leaf */
#define SLOT_SCOPE_SHIFT 23u
#define SLOT_PLACE_MASK	 UINT32_C(0x007fffff)
#define PLACES_MAX	 (SLOT_PLACE_MASK + 1u)

/*
 * A node: 32 octets with a bit for each child, the lowest first, that is set if
 * the child's slot is not that of the child before; 32 octets with the number
 * of bits set before each of these; the slots.
 */
#define NODE_BEFORE 32u /* octets */
#define NODE_SLOTS  16u /* words */
#define WORDS_MAX   (UINT32_C(1) << 28)

/*
 * Below 16 bits of an IPv6 address that much is known of, a table of slots for
 * the next 16 takes the place of two nodes: so many nodes below take more
 * memory than it.
 */
#define WIDE_NODES 4096u

#define ROOT_BITS 16u
#define ROOT_SIZE (1u << ROOT_BITS)

struct gtm_clients {
	uint8_t mask[129][16]; /* so many bits, then 0 */
	uint32_t *root[2];     /* slots; IPv4, IPv6 */
	uint32_t *words;       /* nodes */
	struct gtm_place *places;
	size_t n_words, n_nodes, n_leaves, n_places;
};
