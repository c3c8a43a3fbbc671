/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * svcb - the rdata of SVCB and HTTPS records (RFC 9460 section 2.2), as far as
 * address hints go.  Pure; the rdata is uncompressed, as named keeps it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

/* The TargetName, in wire form; false: malformed. */
bool svcb_target(const uint8_t *rdata, size_t n, struct slice *target);

/*
 * Copies 'rdata' to 'out' (at least 'n' octets) without ipv4hint and ipv6hint,
 * also where "mandatory" names them.  Returns the length; 0 if it is
 * malformed.
 */
size_t svcb_strip(const uint8_t *rdata, size_t n, uint8_t *out);
