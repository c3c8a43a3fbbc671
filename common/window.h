/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * window - times of maintenance as people write them, in UTC:
 * "Sun 02:00-04:00" (weekly), "daily 23:30-00:30", and once:
 * "2026-12-01T02:00/2026-12-01T04:00".
 *
 * Pure.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "common/slice.h"

/* Returns 0; or -EINVAL, leaving '*window' as it was. */
int window_parse(struct slice text, struct config_window *window);

/*
 * The Unix time at which the window that holds 'now_s' ends; or, if none does,
 * 0, and '*next_s' is when the next one begins (INT64_MAX: never).
 */
int64_t window_until(const struct config_window *window, int64_t now_s,
		     int64_t *next_s);
