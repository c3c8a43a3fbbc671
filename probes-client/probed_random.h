/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_random - numbers that a server, or who forges its answers, cannot
 * guess.  Any thread.
 */
#include <stdint.h>
#include <sys/random.h>
#include <uv.h>

static inline uint64_t probed_random(void)
{
	uint64_t bits;

	/* Never blocks: a machine that has only just started has less. */
	if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) !=
	    (ssize_t)sizeof(bits))
		bits = uv_hrtime() * UINT64_C(0x9e3779b97f4a7c15);
	return bits;
}
