/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_hints - who may say of which zone that it changed, and what is still
 * to be passed on to the plugin.
 *
 * Pure: times are arguments (monotonic milliseconds).  A zone has one hint at
 * a time, which waits while the plugin is away and is sent at most every
 * PROBED_HINT_MS: so neither memory nor the plugin's work grows with what
 * comes in.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/config.h"
#include "probes-client/probed_notice.h"

#define PROBED_HINT_MS	  100u
#define PROBED_HINT_LINE  2048u /* octets of a line with its newline */
#define PROBED_HINT_NEVER UINT64_MAX

struct probed_hints;

int probed_hints_new(struct probed_hints **hintsp); /* 0 or -ENOMEM */
void probed_hints_free(struct probed_hints *hints); /* NULL is fine */

/*
 * From now on the zones of 'config' (borrowed until the next call) count;
 * hints for those that are gone are forgotten.  0; or -ENOMEM: no zone counts.
 */
int probed_hints_use(struct probed_hints *hints, const struct config *config);

/* True if 'from' is an origin of any zone; the port does not matter. */
bool probed_hints_known(const struct probed_hints *hints,
			const struct sockaddr *from);

/*
 * Takes a hint.  Returns the rcode to answer with: PROBED_RCODE_NOERROR,
 * PROBED_RCODE_REFUSED (not from an origin of the zone), PROBED_RCODE_NOTAUTH
 * (no such zone; from an origin of another).
 */
unsigned probed_hints_take(struct probed_hints *hints,
			   const struct probed_notice *notice,
			   const struct sockaddr *from, uint64_t now_ms);

/* When the next is to be sent, or PROBED_HINT_NEVER. */
uint64_t probed_hints_due(const struct probed_hints *hints);

/*
 * Writes the next as a line of the control socket into 'out'
 * (PROBED_HINT_LINE octets) and returns its length; 0: there is none.  It stays
 * the next until probed_hints_sent() says that it has arrived.
 */
size_t probed_hints_line(struct probed_hints *hints, char *out);
void probed_hints_sent(struct probed_hints *hints, uint64_t now_ms);
