/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_once - what is asked for by hand: 'nearzone-probed --check' and
 * '--once'.  Results go to the standard output, complaints to the standard
 * error.
 */
#include "probes-client/probed.h"

/* Reads the configuration and lists the targets. */
enum probed_exit probed_check(const struct probed_options *options);

/* Tests each target once and shows what came of it. */
enum probed_exit probed_once(const struct probed_options *options);
