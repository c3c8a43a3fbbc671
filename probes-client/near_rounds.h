/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * near_rounds - which packet to which POP is due, and what a round of them
 * says.
 *
 * Pure: times are arguments, nanoseconds of a monotonic clock.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"

/* One packet. */
struct near_ping {
	uint64_t sent_ns; /* 0: not sent */
	float ms;	  /* less than 0: no answer */
};

/* Two rounds of one POP: one is sent while the other's stragglers come. */
struct near_round {
	struct near_ping ping[2][CONFIG_REACH_PACKETS_MAX];
};

struct near_values {
	uint32_t sent, got;
	float loss_pct, rtt_ms, jitter_ms;
};

/* What a round says; false: nothing was sent. */
bool near_round_values(const struct near_ping *ping, uint32_t packets,
		       struct near_values *values);

/*
 * How many of a round's 'total' packets are due at 'now_ns', if it began at
 * 'began_ns' and lasts 'round_ns'.
 */
uint64_t near_round_due(uint64_t total, uint64_t began_ns, uint64_t round_ns,
			uint64_t now_ns);
