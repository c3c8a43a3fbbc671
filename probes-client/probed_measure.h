/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_measure - what those have in common that measure a number, at an
 * interval, and hand it on as a value.
 */
#include <uv.h>

#include "probes-client/probed_log.h"
#include "probes-client/probed_value.h"

/* Copied; what it points to must outlive those who measure. */
struct probed_measure_setup {
	uv_loop_t *loop;
	const struct probed_log *log;
	const char *node;
	struct probed_values *values;
	void (*told)(void *arg); /* there is a new value in the queue */
	void *arg;
};
