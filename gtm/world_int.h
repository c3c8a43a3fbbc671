/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * world_int - what world.c and world_build.c share, and nobody else uses.
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
