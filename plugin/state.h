/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * state - the state directory: made when missing, and in it the last
 * configuration file that was good, to start from when the file is bad.
 *
 * Blocking file work: the worker thread, or plugin_register at the first
 * start.  Errors are logged here; none stops anything.
 */
#include <stddef.h>

#define STATE_PATH_MAX 1024

/* Makes 'directory' and what is missing above it (0750). */
void state_directory_make(const char *directory);

/* Copies 'file' into 'directory' as the last good one, if it still is good. */
void state_good_save(const char *file, const char *directory);

/*
 * Finds the copy for 'file', which is refused: in the state directory that
 * its text still names, else in the default one.  0 and the path, or -ENOENT.
 */
int state_good_find(const char *file, char *path, size_t size);

/* Writes 'text' as 'directory'/'name', whole or not at all. */
void state_text_save(const char *directory, const char *name, const char *text);

/*
 * Reads such a file of at most 'max' octets; the caller frees.  NULL: there is
 * none, or it is not readable.
 */
char *state_text_read(const char *directory, const char *name, size_t max);
