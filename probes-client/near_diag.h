/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * near_diag - round trips in what the kernel says of TCP connections
 * (sock_diag(7)).
 *
 * Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gtm/client.h"

#define NEAR_DIAG_MAX 20000u /* messages that are looked at */

typedef void (*near_diag_seen)(void *arg, const struct gtm_client *client,
			       float ms);

/*
 * Reads messages (aligned as struct nlmsghdr) and calls 'seen' for each
 * connection at 'port' whose round trip is known.  '*count' counts messages,
 * from 0.  False: that was the last, or there are too many.
 */
bool near_diag_read(const char *octets, size_t n, uint16_t port,
		    uint32_t *count, near_diag_seen seen, void *arg);
