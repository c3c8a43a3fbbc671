/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * when - a time as people write it: RFC 3339 ("2026-11-25T08:12:00Z",
 * "2026-11-25 08:12:00.5+01:00"), Unix seconds ("1763971200"), or before now
 * ("-10m", as durations of the configuration).
 *
 * Pure.
 */
#include <stdint.h>

/* Sets '*time_ms' (Unix time); 'now_ms' likewise.  0, or -EINVAL. */
int when_parse(const char *text, uint64_t now_ms, uint64_t *time_ms);
