/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_run - the daemon: tests and feeds until it is told to end.
 */
#include "probes-client/probed.h"

enum probed_exit probed_run(const struct probed_options *options);
