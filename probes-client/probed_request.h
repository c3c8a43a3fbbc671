/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_request - reads the head of an HTTP/1 request (RFC 9112), as strictly
 * as it may be read.
 *
 * Pure.  Lines end with CR LF; folded fields, white space before a colon and
 * control characters are errors.  A body is not read.
 */
#include <stddef.h>

#include "common/slice.h"

#define PROBED_HEAD_MAX 8192u /* octets of a head, its last line included */

enum probed_method { PROBED_GET, PROBED_HEAD, PROBED_OTHER_METHOD };

struct probed_request {
	enum probed_method method;
	struct slice path; /* into the input: without query and authority */
};

/* The status of the answer to what cannot be read, else 0. */
enum probed_fault {
	PROBED_HEAD_GOOD = 0,
	PROBED_HEAD_MORE = 1, /* the end is not there yet */
	PROBED_HEAD_BAD = 400,
	PROBED_HEAD_LONG = 431,
	PROBED_HEAD_VERSION = 505,
};

/* Reads what stands in 'in'; '*request' is written if it is GOOD. */
enum probed_fault probed_request_read(struct slice in,
				      struct probed_request *request);
