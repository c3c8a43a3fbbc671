/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * recorder_file - the two files of the journal in the state directory: one
 * that grows, and the one before, which goes when the first is half of what
 * both may have, or too old.
 *
 * The worker; blocking.  What a crash left of a frame at the end is cut off
 * when the file is opened, so that a reader may stop at the first bad one.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

struct recorder_file;

/*
 * Opens the journal of 'directory', or begins one, of at most 'size_bytes'.
 * Returns 0 or -errno.  A file that is damaged, or of another version, becomes
 * the one before: '*strange' says so.
 */
int recorder_file_open(const char *directory, uint64_t size_bytes,
		       struct recorder_file **filep, bool *strange);
void recorder_file_close(struct recorder_file *file); /* NULL is fine */

/* Adds a frame: whole, or not at all (-errno; -EFBIG: no room left). */
int recorder_file_add(struct recorder_file *file, struct slice frame);

/* True if it is time for another file. */
bool recorder_file_over(const struct recorder_file *file, uint64_t now_ms,
			uint32_t age_s);

/* Begins another file.  0 or -errno: then the old one goes on. */
int recorder_file_turn(struct recorder_file *file);

/* Octets of both. */
uint64_t recorder_file_bytes(const struct recorder_file *file);
