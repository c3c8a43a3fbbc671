/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_check - whether an answer is what the configuration expects: status,
 * headers, text, pattern, size, hash.
 *
 * Keeps no more of an answer than PROBED_KEPT_MAX octets, for the pattern.
 * What a server sends is hostile: whoever feeds it stops when told so.
 */
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/probe.h"
#include "probes-client/probed_body.h"

#define PROBED_KEPT_MAX 4096u

struct probed_check {
	const struct config_expect *expect;
	struct probed_body body;
	char *kept; /* the beginning; NULL: no pattern */
	size_t n_kept;
	EVP_MD_CTX *digest; /* NULL: no hash */
	uint32_t headers;   /* bits: those that were there */
	uint64_t seen, limit;
};

/* Returns 0; or -ENOMEM, and there is nothing to release. */
int probed_check_init(struct probed_check *check,
		      const struct config_expect *expect);
void probed_check_fini(struct probed_check *check); /* twice is fine */

/* "200", against the list, or 200 to 399. */
bool probed_check_status(const struct config_expect *expect, long status);
/* "503, want 200" */
void probed_check_status_print(const struct config_expect *expect, long status,
			       char *out, size_t size);

/* Takes a header line, with or without what ends it. */
void probed_check_header(struct probed_check *check, struct slice line);

/* Takes the next piece of the body; returns whether more is wanted. */
bool probed_check_feed(struct probed_check *check, struct slice piece);

/* When no more comes, or is wanted; 'detail' (size > 0) says more, or is "". */
enum probe_error probed_check_judge(struct probed_check *check, char *detail,
				    size_t size);

/* A whole text at once: text and pattern. */
enum probe_error probed_check_text(const struct config_expect *expect,
				   struct slice text, char *detail,
				   size_t size);
