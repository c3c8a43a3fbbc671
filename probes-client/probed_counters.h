/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_counters - octets that a switch has counted, and the rate between two
 * looks at them.
 *
 * Pure.  Counters wrap, and begin anew when a switch restarts or says that they
 * do (ifCounterDiscontinuityTime, RFC 2863); of both only the first has a rate.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"

/* One interface. */
struct probed_counter {
	uint64_t in, out;
	uint32_t begun; /* ifCounterDiscontinuityTime, in hundredths */
	bool wide;	/* of 64 bits; else of 32 */
};

/* One look. */
struct probed_counters {
	uint64_t when_ms;   /* monotonic */
	uint32_t uptime_cs; /* sysUpTime, in hundredths of a second */
	size_t n;
	struct probed_counter of[CONFIG_INTERFACES_MAX];
};

enum probed_rate {
	PROBED_RATE,
	PROBED_ANEW,	 /* the switch has restarted, or its counters have */
	PROBED_TOO_FAST, /* 32 bits may wrap twice between two looks */
};

/*
 * Rates in bits a second, of all interfaces together.  'capacity_bits' (a
 * second) is what may be expected at most.  Both looks are of the same
 * interfaces in the same order, 'now' the later one.
 */
enum probed_rate probed_counters_rate(const struct probed_counters *now,
				      const struct probed_counters *before,
				      uint64_t capacity_bits, double *in,
				      double *out);
