/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_tcp - the probe "tcp": can one connect?  The connection is closed as
 * soon as it is there; nothing is sent or read.
 */
#include "probes-client/probed_sock.h"
#include "probes-client/probed_test.h"

/*
 * Starts a test.  Returns 0 and sets '*testp', which is the loop's once it has
 * ended; or -ENOMEM.  Whatever else fails is the test's result.
 */
int probed_tcp_start(struct probed_socks *socks, const struct probed_task *task,
		     struct probed_test **testp);
