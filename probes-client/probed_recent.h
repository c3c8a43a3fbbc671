/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_recent - the last results of a target, oldest first.
 *
 * Pure.
 */
#include <stddef.h>
#include <stdint.h>

#include "common/probe.h"

#define PROBED_RECENT_MAX 20u

struct probed_recent {
	uint8_t n;  /* results there are */
	uint8_t at; /* where the next one goes */
	uint8_t error[PROBED_RECENT_MAX];
	uint16_t metric[PROBED_RECENT_MAX]; /* ms */
};

void probed_recent_put(struct probed_recent *recent, enum probe_error error,
		       uint32_t metric_ms);

/* The 'i'-th oldest, i < n. */
enum probe_error probed_recent_error(const struct probed_recent *recent,
				     size_t i);
uint32_t probed_recent_metric(const struct probed_recent *recent, size_t i);

/*
 * Writes a character a result into 'out' (PROBED_RECENT_MAX + 1): '.' for a
 * good one, else a letter for its error: "....ttr.".
 */
void probed_recent_print(const struct probed_recent *recent, char *out);
