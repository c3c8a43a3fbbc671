/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_change - a change of state for programs that read the log: the end of
 * the line that says it to people.
 *
 * Pure.
 */
#include <stddef.h>

#include "probes-client/probed_target.h"

#define PROBED_CHANGE_MAX 640 /* octets, with the NUL */

/*
 * Writes what 'result', just taken with 'change', has changed, as pairs, into
 * 'out' (PROBED_CHANGE_MAX):
 *   [server='fra-a' address='192.0.2.1' service='web' from='up' to='down'
 *   tests=2 was_s=93.020 cause='connection refused' detail='']
 */
void probed_change_print(const struct probed_target *target,
			 const struct probed_result *result,
			 enum probed_change change, char *out);
