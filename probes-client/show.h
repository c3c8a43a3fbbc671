/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * show - JSON for people: aligned, in the order of the document, whatever
 * members it has.  Nothing of it can move a cursor: what is not printable in
 * the locale is written \xHH.
 *
 * Members are known by name only to choose a notation: "..._s" is a duration,
 * "..._us" milliseconds, "..._pct" per cent, "started", "loaded", "time" are
 * times (UTC), "bytes" and "limit" sizes.  Errors of the stream stay in it
 * (ferror).
 */
#include <json-c/json.h>
#include <stdio.h>

#include "common/slice.h"

void show_text(FILE *out, struct slice text);

/*
 * The members of an object, a line each; objects in it are indented blocks,
 * arrays of objects are tables.  'skip' (NULL is fine) is left out.
 */
void show_object(FILE *out, struct json_object *object, const char *skip);

/* An array of objects as a table; anything else is not shown. */
void show_rows(FILE *out, struct json_object *rows, int indent);

/* "2026-11-18T11:06:40Z"; "-" if there is no such time. */
void show_time(FILE *out, double unix_s);

#define SHOW_AGE_MAX 64 /* octets, with the NUL */

/* Seconds as "3m 2s", below a minute as "0.4s"; returns 'out'. */
char *show_age(double s, char out[SHOW_AGE_MAX]);

/* An event: one line of time, name and key=value. */
void show_event(FILE *out, struct json_object *event);

/* A finding {"file","line","path","text"}: "file:line: path: text". */
void show_finding(FILE *out, struct json_object *finding);
