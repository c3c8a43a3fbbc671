/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * units - durations and sizes as people write them: "500ms", "5s", "2m",
 * "1h", "1d", "1w"; "4096B", "64KiB", "512MiB", "1GiB", "2TiB".
 *
 * Digits, then one unit, nothing between them: no sign, no fraction, no
 * blanks.  Pure.
 */
#include <stdint.h>

#include "common/slice.h"

#define UNITS_TEXT_MAX 32 /* what the printers need, with the NUL */

/*
 * Reads a duration in milliseconds.  Returns 0; or -EINVAL (not a duration)
 * or -ERANGE (over UINT64_MAX), leaving '*ms' as it was.
 */
int units_duration_parse(struct slice text, uint64_t *ms);

/* Reads a size in octets; errors as above. */
int units_size_parse(struct slice text, uint64_t *size_bytes);

/*
 * Write a value in the largest unit that holds it whole ("90s", "1h", "0s")
 * into 'out' (UNITS_TEXT_MAX octets); return the length without the NUL.
 */
size_t units_duration_print(uint64_t ms, char *out);
size_t units_size_print(uint64_t size_bytes, char *out);
