/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_wire - a test that holds a dialogue (probed_say) over TCP, with TLS
 * from the beginning or later.  All calls from the thread of the loop.
 *
 * A test takes at most PROBED_WIRE_MAX octets, of any server; one that sends
 * more, or slowly, costs that much and the time limit.
 */
#include "probes-client/probed_test.h"
#include "probes-client/probed_trust.h"

#define PROBED_WIRE_MAX (256u << 10)

/* Returns 0 and sets '*testp'; or -ENOMEM.  'trust' outlives the test. */
int probed_wire_start(uv_loop_t *loop, struct probed_trust *trust,
		      const struct probed_task *task,
		      struct probed_test **testp);
