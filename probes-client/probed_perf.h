/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_perf - what a program of the monitoring plugins' kind prints: a line
 * for people, and after a '|' performance data, "'label'=value[unit];...".
 *
 * Pure.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

/* Writes the first line's text into 'out' (size > 0), printable. */
void probed_perf_text(struct slice output, char *out, size_t size);

/*
 * Finds the value called 'label', in milliseconds if its unit is one of time,
 * else as it is; rounded up, 1 to 65534.  False: there is none.
 */
bool probed_perf_find(struct slice output, const char *label, uint32_t *value);
