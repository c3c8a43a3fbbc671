/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * past - the records of a journal: of the file before, if there is one, and of
 * the file, in their order.  A frame that was not written whole ends a file: a
 * crash leaves one, and named may be writing.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "common/journal.h"
#include "probes-client/nzctl.h"

#define PAST_PATH_MAX 4096u

struct past {
	char path[PAST_PATH_MAX]; /* of the file; the one before has a suffix */
	int fd;
	bool older; /* that one is read */
	uint64_t at;
	uint64_t left_out; /* octets at the ends that are no records */
	bool reading;	   /* 'reader' is in a frame */
	struct journal_reader reader;
	uint8_t frame[JOURNAL_FRAME_MAX];
};

/*
 * Opens the journal that the options name, or the one beside the control
 * socket.  NULL after words about it; ends with past_close().
 */
struct past *past_open(const struct nzctl_options *options,
		       const struct config *config);
void past_close(struct past *past); /* NULL is fine */

/* 1: '*record' is the next; 0: no more; or -errno. */
int past_next(struct past *past, struct journal_record *record);

/*
 * Says what was wrong with what was read, 'rc' (0 or -errno) and what was left
 * out included; true if all is well.  'past' NULL: has been said.
 */
bool past_end(const struct past *past, int rc);

/*
 * The configuration that 'file' holds; NULL: the copy of the one in force,
 * which named keeps beside its journal.  NULL after words about it.
 */
struct config *past_config(const struct nzctl_options *options,
			   const char *file);

/* The directory of the journal, as the options have it. */
bool past_directory(const struct nzctl_options *options,
		    char out[static PAST_PATH_MAX]);
