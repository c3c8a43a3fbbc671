/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * utf8 - what little of UTF-8 (RFC 3629) a reader of JSON needs.  Pure.
 */
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

/* Returns how many octets at the front of 'text' are whole characters. */
size_t utf8_valid(struct slice text);

/* Takes out of 'text' what is not whole characters: they were cut. */
void utf8_mend(char *text);

/* Octets of the character at 's.p' (s.n > 0), 1..4; 0 if it is not one. */
size_t utf8_length(struct slice s);

/*
 * Writes the character 'c' (at most 0x10ffff, no surrogate) into 'out' (4
 * octets); returns how many octets it took.
 */
size_t utf8_put(uint32_t c, char *out);
