/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * slice - a piece of somebody else's bytes: a pointer and a length, never
 * NUL-terminated.  The slice owns nothing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *p;
	size_t n;
};

static inline struct slice slice_of(const char *text)
{
	return (struct slice){ text, strlen(text) };
}

static inline bool slice_is(struct slice s, const char *text)
{
	size_t n = strlen(text);

	return s.n == n && memcmp(s.p, text, n) == 0;
}
