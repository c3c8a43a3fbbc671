/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * lines - the input of a control connection: octets become lines, a line
 * becomes a request.
 *
 * Pure: no socket, no clock, no log.  A struct lines belongs to one
 * connection and has a fixed size; nothing that a peer sends makes it grow.
 */
#include <stddef.h>

#include "common/slice.h"

#define LINES_MAX     65536u /* octets of a line without its newline */
#define LINES_NESTING 32     /* levels: the object is 1, what is in it 2 */

struct json_object;

struct lines {
	size_t start, end; /* what is buffered: buf[start .. end-1] */
	size_t searched;   /* no newline before buf[searched] */
	char buf[LINES_MAX + 1];
};

void lines_init(struct lines *lines);

/*
 * Where to put what is read next: sets '*roomp' and returns how many octets
 * fit.  At least one after lines_next() said -EAGAIN; lines handed out
 * before are no longer valid.
 */
size_t lines_room(struct lines *lines, char **roomp);

/* 'n' octets, no more than there was room for, were put there. */
void lines_fed(struct lines *lines, size_t n);

/*
 * Takes the next line, without its newline; '*line' points into 'lines' and
 * is valid till lines_room().  Returns 0; -EAGAIN when no whole line is
 * there; -EMSGSIZE when a line is longer than LINES_MAX: nothing that
 * follows can be framed.
 */
int lines_next(struct lines *lines, struct slice *line);

/*
 * Reads a request: one JSON object in valid UTF-8, nested at most
 * LINES_NESTING deep, without NUL (raw or escaped: it would end a C string
 * too soon), whose member "command" is a string that is not empty.  Returns 0
 * and sets '*requestp', the caller's reference, and '*commandp', a part of
 * it; or -EINVAL or -ENOMEM and sets '*whyp' to a constant text that says
 * what is wrong.
 */
int lines_request(struct slice line, struct json_object **requestp,
		  const char **commandp, const char **whyp);
