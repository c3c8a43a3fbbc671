/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * show - JSON for people: aligned, in the order of the document, whatever
 * members it has.  Nothing of it can move a cursor: what is not printable in
 * the locale is written \xHH.
 *
 * Members are known by name only to choose a notation: "..._s" is a duration,
 * "..._us" milliseconds, "started", "loaded", "time" are times (UTC), "bytes"
 * and "limit" sizes.  Errors of the stream stay in it (ferror).
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

/* An event: one line of time, name and key=value. */
void show_event(FILE *out, struct json_object *event);

/* A finding {"file","line","path","text"}: "file:line: path: text". */
void show_finding(FILE *out, struct json_object *finding);
