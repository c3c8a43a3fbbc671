/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * log - lines in named's own log, category 'general', each beginning with
 * "nearzone: ".  Any thread.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <errno.h>
#include <uv.h>

#include <isc/log.h>

void log_write(int level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define LOG_ERROR_MAX 96

/*
 * Words for the error -errno (or libuv's) in 'out' (LOG_ERROR_MAX octets);
 * returns 'out'.  strerror() is not for threads, and uv_strerror() leaks.
 */
const char *log_error(int rc, char *out);

/* One cause of lines that could come in thousands; zero it. */
struct log_gate {
	_Atomic uint32_t last_s;
	_Atomic uint32_t held; /* lines not written since */
};

/* True if log_limited() would hold a line back, which is then counted. */
bool log_held(struct log_gate *gate, uint32_t now_s);

/*
 * As log_write(), but at most one line in ten seconds a gate; the next one
 * written says how many were held back.
 */
void log_limited(struct log_gate *gate, uint32_t now_s, int level,
		 const char *fmt, ...) __attribute__((format(printf, 4, 5)));
