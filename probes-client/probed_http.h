/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_http - the probes "http" and "https": one GET by libcurl, on the loop.
 *
 * Each test makes a connection and a TLS handshake of its own, goes to the
 * address it is told (no DNS, no proxy, no redirect), asks for the service's
 * host, and reads the answer until it knows enough, at most PROBED_BODY_MAX
 * octets of it.
 */
#include "probes-client/probed_test.h"

struct probed_http;

/*
 * Returns 0 and sets '*httpp', to be closed with probed_http_close(); or
 * -ENOMEM.  curl_global_init() is the caller's.
 */
int probed_http_new(uv_loop_t *loop, struct probed_http **httpp);

/* As probed_tcp_start(). */
int probed_http_start(struct probed_http *http, const struct probed_task *task,
		      struct probed_test **testp);

/* From now on, files of authorities are read again. */
void probed_http_forget(struct probed_http *http);

/* All its tests have ended.  The memory goes when the loop lets go of it. */
void probed_http_close(struct probed_http *http);
