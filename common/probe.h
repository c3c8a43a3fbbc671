/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probe - what the side-car and the plugin must agree on: why a test failed.
 *
 * Pure.  The numbers are part of the protocol of the control socket
 * (nearzone-probed(8)) and never change their meaning.
 */
#include <stdint.h>

#define PROBE_METRIC_FAILED 65535u /* the metric of a test that failed */

enum probe_error {
	PROBE_OK = 0,
	PROBE_TIMEOUT = 1,
	PROBE_REFUSED = 2,     /* connection refused */
	PROBE_UNREACHABLE = 3, /* no route, network or host unreachable */
	PROBE_RESET = 4, /* connection closed before the answer was whole */
	PROBE_TLS = 5,	 /* handshake failed */
	PROBE_CERTIFICATE = 6, /* expired, wrong name, or not trusted */
	PROBE_STATUS = 7,      /* not the status code expected */
	PROBE_BODY = 8,	       /* the expected text is not in it */
	PROBE_PROTOCOL = 9,    /* not the protocol expected */
	PROBE_LOCAL = 10,      /* the tester's own trouble: files, memory */
	PROBE_HEADER = 11,     /* an expected header is not in it */
	PROBE_SIZE = 12,       /* not the size expected */
	PROBE_HASH = 13,       /* not the content expected */
	PROBE_PROGRAM = 14,    /* the program says so, or cannot say */
	PROBE_HELD = 15,       /* good again, but it failed too often of late */
	PROBE_SLOW = 16,       /* up, but slower than "degraded" says */
	PROBE_ERRORS,
};

/* "connection refused"; of an unknown number "error"; never NULL. */
const char *probe_error_text(int64_t error);
