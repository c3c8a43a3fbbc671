/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_curl - one request of libcurl's: how it is set up for a test, and
 * what its end means.  Who drives it is probed_http's business.
 */
#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include "probes-client/probed_check.h"
#include "probes-client/probed_test.h"

#define PROBED_CURL_TARGET_MAX (3 * 2048 + 1) /* a path, all of it as %XX */

struct probed_curl {
	CURL *easy; /* NULL: none */
	struct curl_slist *headers, *connect_to;
	struct probed_test *test; /* whose times are marked */
	bool http2;		  /* nothing else is good */
	bool enough;		  /* stopped by us: we know what we wanted to */
	bool flood;		  /* stopped by us: headers without end */
	size_t n_headers;	  /* octets */
	uint32_t limit_ms;	  /* of the whole test */
	int socket_error;	  /* errno: there is no socket for it; else 0 */
	struct probed_check check;
	char error[CURL_ERROR_SIZE];
};

/* Returns 0; or -ENOMEM, and there is nothing to release. */
int probed_curl_init(struct probed_curl *curl, const struct probed_task *task,
		     struct probed_test *test);
void probed_curl_fini(struct probed_curl *curl); /* twice is fine */

/* What it means that libcurl has ended with 'code'; 'detail' (size > 0) says
 * more, or is "". */
enum probe_error probed_curl_judge(struct probed_curl *curl, CURLcode code,
				   char *detail, size_t size);

/* What it is doing: "connecting, 2s", into 'out' (size > 0). */
void probed_curl_phase(const struct probed_curl *curl, char *out, size_t size);

/*
 * Writes the path as it goes into a request into 'out'
 * (PROBED_CURL_TARGET_MAX): octets that have no place in one are escaped, the
 * rest is the operator's.
 */
void probed_curl_target_print(const char *path, char *out);
