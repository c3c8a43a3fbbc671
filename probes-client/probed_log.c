/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_OCTETS 2048
#define GATE_MS		10000u

/* $JOURNAL_STREAM is "device:inode" of the stream that leads to the journal. */
static bool is_journal(void)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): before there are threads */
	const char *want = getenv("JOURNAL_STREAM");
	char have[64];
	struct stat st;

	if (want == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	snprintf(have, sizeof(have), "%" PRIuMAX ":%" PRIuMAX,
		 (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(have, want) == 0;
}

void probed_log_init(struct probed_log *log, bool verbose)
{
	log->journal = is_journal();
	log->verbose = verbose;
}

static const char *level_text(enum probed_level level)
{
	switch (level) {
	case PROBED_ERROR:
		return "error";
	case PROBED_WARNING:
		return "warning";
	case PROBED_NOTICE:
		return "notice";
	case PROBED_INFO:
		return "info";
	default:
		return "debug";
	}
}

static size_t head_print(const struct probed_log *log, enum probed_level level,
			 char *out, size_t size)
{
	struct timespec now;
	struct tm tm;
	char day[32];

	if (log->journal)
		return (size_t)snprintf(out, size, "<%d>", (int)level);
	clock_gettime(CLOCK_REALTIME, &now);
	if (gmtime_r(&now.tv_sec, &tm) == NULL ||
	    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		day[0] = '\0';
	return (size_t)snprintf(out, size, "%s.%03dZ %s ", day,
				(int)(now.tv_nsec / 1000000),
				level_text(level));
}

/* A line stays one, whatever is in it. */
static void clean(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
			p[i] = '?';
}

void probed_log_write(const struct probed_log *log, enum probed_level level,
		      const char *fmt, ...)
{
	char line[LINE_MAX_OCTETS];
	va_list ap;

	if (level == PROBED_DEBUG && !log->verbose)
		return;
	size_t n = head_print(log, level, line, sizeof(line));
	va_start(ap, fmt);
	int more = vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	if (more > 0)
		n += (size_t)more;
	if (n >= sizeof(line))
		n = sizeof(line) - 1; /* cut */
	clean(line, n);
	line[n++] = '\n';
	/* What cannot be written has nobody to be told. */
	ssize_t done = write(STDERR_FILENO, line, n);
	(void)done;
}

bool probed_gate_open(struct probed_gate *gate, uint64_t now_ms,
		      uint64_t *heldp)
{
	if (now_ms < gate->next_ms) {
		gate->held++;
		return false;
	}
	*heldp = gate->held;
	gate->held = 0;
	gate->next_ms = now_ms + GATE_MS;
	return true;
}
