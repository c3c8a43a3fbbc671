/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * dname - a domain name in lower-case wire form (RFC 1035 section 3.1), for
 * code that has no BIND: configuration, keys of tables, the CLI.
 *
 * Pure.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

#define DNAME_WIRE_MAX 255
#define DNAME_TEXT_MAX 1025 /* every octet as \DDD, dots, NUL */

struct dname {
	uint8_t n;	/* octets used in wire, 1..255 */
	uint8_t labels; /* labels without the root: 0 for "." */
	uint8_t wire[DNAME_WIRE_MAX];
};

/*
 * Reads a name in presentation form (RFC 1035 section 5.1: \. and \DDD), with
 * or without the final dot, and folds A-Z to a-z.  Returns 0; or -EINVAL (empty
 * text, empty label, label over 63, name over 255, bad escape), leaving
 * '*name' as it was.
 */
int dname_parse(struct slice text, struct dname *name);

/*
 * Takes the wire form 'wire' of 'n' octets (uncompressed, ends with the root
 * label exactly at 'n'), folding case.  Returns 0 or -EINVAL, as above.
 */
int dname_from_wire(const uint8_t *wire, size_t n, struct dname *name);

/*
 * Writes 'name' as text into 'out' (DNAME_TEXT_MAX octets), without the final
 * dot except for the root itself; returns its length without the NUL.
 */
size_t dname_print(const struct dname *name, char *out);

bool dname_equal(const struct dname *a, const struct dname *b);

/* True if 'name' is 'top' or lies below it. */
bool dname_is_below(const struct dname *name, const struct dname *top);
