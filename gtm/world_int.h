/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * world_int - what world.c, world_build.c and world_hosts.c share, and nobody
 * else uses.
 */
#include "gtm/world.h"

/* Index of the service 'id', or CONFIG_NONE. */
uint32_t world_service(const struct gtm_world *world, struct slice id);

/* The octets of an address in network order: 4 or 16. */
const uint8_t *world_octets(const struct sockaddr_storage *address, size_t *n);

/* Order of addresses: IPv4 first, then by octets; ports do not count. */
int world_address_compare(const struct sockaddr_storage *a,
			  const struct sockaddr_storage *b);

/* The cell of a server's address and service, all of this world, or NULL. */
struct gtm_cell *world_cell(const struct gtm_world *world, uint32_t server,
			    const struct sockaddr_storage *address,
			    uint32_t service);

/* -- a world that is being made ---------------------------------------------
 */

/* A set of servers with a service: open addressing, 0 is an empty slot. */
struct world_pairs {
	uint64_t *slot;
	size_t n, mask;
};

/* What a cell will be made for. */
struct world_want {
	uint32_t server, service;
	const struct sockaddr_storage *address;
};

struct world_build {
	const struct config *config;
	const struct gtm_world *old; /* NULL: the first */
	struct gtm_world *world;
	struct world_pairs pairs;
	struct world_want *wants;
	size_t n_wants;
	uint32_t *server_was, *service_was; /* index in 'old', CONFIG_NONE */
	uint32_t *needs_at; /* of each server: its first in world->needs */
	const struct gtm_host **hosts_were; /* those of 'old', by name */
};

/* Takes one more reference. */
static inline void world_hold(_Atomic uint32_t *refs)
{
	atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
}

/* Sorts the hosts of an older world, for world_hosts_make(). */
void world_hosts_sort(const struct gtm_host **hosts, size_t n);

/* Makes hosts and candidates, when servers, POPs and cells are. 0, -errno. */
int world_hosts_make(struct world_build *b);

/* Notes which hostnames rules of clients can change, and how. 0, -errno. */
int world_rules_note(struct world_build *b);
