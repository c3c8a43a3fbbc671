/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * tablefile - a table in a file of the state directory, with its time and a
 * checksum: written whole or not at all, refused if damaged.
 *
 * Blocking file work: the worker, or who puts a configuration in force.  Errors
 * are logged here.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tablefile;

/*
 * Writes what 'fill' puts as 'directory'/'name'; the second one without a time
 * and a checksum, for what has its own.
 */
void tablefile_save(const char *directory, const char *name,
		    void (*fill)(struct tablefile *w, void *arg), void *arg);
void tablefile_save_plain(const char *directory, const char *name,
			  void (*fill)(struct tablefile *w, void *arg),
			  void *arg);

/* For 'fill': puts octets; gives up; true if nothing has failed. */
void tablefile_put(struct tablefile *w, const void *p, size_t n);
void tablefile_fail(struct tablefile *w, int rc);
bool tablefile_ok(const struct tablefile *w);

/*
 * Reads such a file: its octets, which the caller frees, and how long ago it
 * was written.  False: there is none, or it is not to be used.
 */
bool tablefile_read(const char *directory, const char *name, uint8_t **octets,
		    size_t *n, uint64_t *away_s);

/*
 * One without a checksum: opens it, for the caller to read and close; and tells
 * what was wrong with it (-errno).
 */
bool tablefile_open(const char *directory, const char *name, int *fdp);
void tablefile_refused(const char *directory, const char *name, int rc);
