/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * err - what went wrong with a configuration, in words its author can act on.
 *
 * Code below the user fills a struct err and returns -errno; the code that
 * knows the user prints it.  An err is plain data, copied freely.
 */
#include <stddef.h>

#define ERR_TEXT_MAX 512
#define ERR_PATH_MAX 256

struct err {
	unsigned long line;	 /* 1-based; 0: the whole file */
	char path[ERR_PATH_MAX]; /* zones."example.com".origins[0].port */
	char text[ERR_TEXT_MAX]; /* "out of range, want 1..65535" */
};

/* Fills 'err' (NULL is fine: then nothing happens); long texts are cut. */
void err_set(struct err *err, unsigned long line, const char *path,
	     const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/*
 * Writes "file:line: path: text" into 'out', NUL-terminated, without the
 * parts that are empty.  'size' > 0.
 */
void err_format(const struct err *err, const char *file, char *out,
		size_t size);
