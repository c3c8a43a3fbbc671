/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_udp - a test that asks a name server over UDP: one datagram out; the
 * first that answers it is judged, others are let pass.
 */
#include "probes-client/probed_test.h"

/* Returns 0 and sets '*testp'; or -ENOMEM. */
int probed_udp_start(uv_loop_t *loop, const struct probed_task *task,
		     struct probed_test **testp);
