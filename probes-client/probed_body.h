/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_body - looks for a text in what comes in pieces, however it is cut.
 *
 * Pure.  Keeps no more than the text is long.
 */
#include <stdbool.h>
#include <stddef.h>

#include "common/slice.h"

#define PROBED_TEXT_MAX 1024u	   /* octets of what is looked for */
#define PROBED_BODY_MAX (1u << 20) /* octets that are looked at */

struct probed_body {
	size_t n_text; /* 0: nothing is looked for */
	size_t n_tail;
	size_t seen; /* octets so far, at most PROBED_BODY_MAX */
	bool found;
	char text[PROBED_TEXT_MAX];
	char tail[PROBED_TEXT_MAX]; /* the end of what came */
};

/* Looks for 'text' (copied); NULL: for nothing.  Cuts it at PROBED_TEXT_MAX. */
void probed_body_init(struct probed_body *body, const char *text);

/*
 * Takes the next piece.  Returns whether more is wanted: not so when the text
 * was found or PROBED_BODY_MAX octets have come.
 */
bool probed_body_feed(struct probed_body *body, struct slice piece);
