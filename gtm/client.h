/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * client - who asks: the ECS subnet if there is one of at least a bit, else
 * the resolver.
 */
#include <stdbool.h>
#include <stdint.h>

struct gtm_client {
	bool v6;
	uint8_t bits; /* 1..32, 1..128; of a whole address all */
	uint8_t address[16];
};

/* Clears the bits of the address that do not count. */
static inline void gtm_client_clear(struct gtm_client *client)
{
	unsigned int whole = client->bits / 8u;

	for (unsigned int i = whole; i < 16; i++) {
		unsigned int mask =
			i == whole ? 0xff00u >> client->bits % 8u : 0;
		client->address[i] = (uint8_t)(client->address[i] & mask);
	}
}
