/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_plain - the probe "http" without libcurl, which takes as long to set
 * a request up as the kernel does to carry it.
 */
#include "probes-client/probed_sock.h"
#include "probes-client/probed_test.h"

/* True if the service asks for nothing that only libcurl can do. */
bool probed_plain_fits(const struct config_service *service);

/*
 * Starts a test.  Returns 0 and sets '*testp', which is the loop's once it has
 * ended; or -ENOMEM.  Whatever else fails is the test's result.
 */
int probed_plain_start(struct probed_socks *socks,
		       const struct probed_task *task,
		       struct probed_test **testp);
