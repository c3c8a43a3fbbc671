/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_response - reads the answer to one GET of HTTP/1.1 (RFC 9112) as it
 * comes, however it is cut.
 *
 * Keeps the beginning of a line, and of the body what probed_check keeps.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"
#include "probes-client/probed_check.h"

#define PROBED_RESPONSE_HEAD_MAX 65536u /* octets of all headers */
#define PROBED_RESPONSE_LINE_MAX 512u	/* octets of a line that are kept */

enum probed_response_state {
	PROBED_RESPONSE_MORE, /* to come */
	PROBED_RESPONSE_DONE, /* whole, or no more of it is wanted */
	PROBED_RESPONSE_CUT,  /* the connection ended before it did */
	PROBED_RESPONSE_BAD,  /* not what HTTP is */
	PROBED_RESPONSE_FLOOD,
};

struct probed_response {
	uint16_t status; /* 0: not known yet */
	struct probed_check check;

	/* Its own. */
	unsigned char at;    /* in the answer */
	bool chunked, coded; /* by Transfer-Encoding */
	bool sized;	     /* there is a Content-Length */
	uint64_t left;	     /* octets of the body, or of a chunk */
	size_t n_head;	     /* octets of headers and trailers */
	size_t n_line;	     /* of the line, as long as it is */
	char line[PROBED_RESPONSE_LINE_MAX];
};

/* Returns 0; or -ENOMEM, and there is nothing to release. */
int probed_response_init(struct probed_response *response,
			 const struct config_expect *expect);
void probed_response_fini(struct probed_response *response); /* twice is fine */

enum probed_response_state
probed_response_feed(struct probed_response *response, struct slice piece);

/* The peer has closed. */
enum probed_response_state
probed_response_end(const struct probed_response *response);

bool probed_response_is_good(const struct probed_response *response);
