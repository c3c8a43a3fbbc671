/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_log - the side-car's log: lines on the standard error.  Under the
 * journal they have its priority in front, else the time and the level.
 */
#include <stdbool.h>
#include <stdint.h>

/* As syslog's, so that the journal understands them. */
enum probed_level {
	PROBED_ERROR = 3,
	PROBED_WARNING = 4,
	PROBED_NOTICE = 5,
	PROBED_INFO = 6,
	PROBED_DEBUG = 7,
};

struct probed_log {
	bool journal;
	bool verbose; /* PROBED_DEBUG too */
};

/* One cause of lines that could come in thousands; zero it. */
struct probed_gate {
	uint64_t next_ms;
	uint64_t held; /* lines not written since */
};

/* Looks at $JOURNAL_STREAM and at what the standard error is. */
void probed_log_init(struct probed_log *log, bool verbose);

void probed_log_write(const struct probed_log *log, enum probed_level level,
		      const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * True if a line of this cause may be written at 'now_ms' (monotonic): one in
 * ten seconds.  Then '*heldp' is how many were held back since the last one.
 */
bool probed_gate_open(struct probed_gate *gate, uint64_t now_ms,
		      uint64_t *heldp);
