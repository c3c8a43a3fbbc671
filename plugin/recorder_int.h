/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * recorder_int - what recorder.c and recorder_write.c share, and nobody else
 * uses.
 */
#include "common/journal.h"
#include "plugin/process.h"
#include "plugin/recorder.h"
#include "plugin/recorder_file.h"

#define RECORDER_FRAME (32u << 10) /* octets */

/* What was last written of a slot. */
struct told {
	uint8_t state; /* enum gtm_state */
	bool fresh;
	uint32_t metric;
	uint64_t told_ms; /* when that was */
	uint64_t when_ms; /* of the newest result then; now */
	uint64_t rows;	  /* as of 'seen_ms' */
	uint64_t seen_ms; /* the newest result when we last looked */
	uint32_t period_ms;
};

struct recorder {
	struct job job; /* first */
	struct process *process;
	_Atomic bool queued, idle;
	struct recorder_file *file;
	char *directory; /* of the file */
	uint64_t size_bytes;
	struct snapshot *snapshot; /* held; what the numbers are of; or NULL */
	struct snapshot *dropped;  /* held; given back after the lock */
	struct told *told;	   /* as the world's cells */
	struct said {
		uint64_t until_ms[JOURNAL_SAID];
	} * words; /* as its admins: until when; now */
	struct measured {
		uint32_t metric;
		uint64_t told_ms, when_ms;
	} * measured; /* load of servers; then loss, bandwidth of POPs */
	struct recorder_near *near; /* NULL: no answers are wanted */
	bool begun;		    /* this run of named is in the journal */
	bool bad;		    /* not all could be written: begin again */
	bool full;		    /* as there was no room */
	int said;		    /* the error that was logged last */
	uint64_t retry_ms, wrote_ms, looked_ms;
	uint64_t since_ms; /* the look before, or a little later */
	uint64_t lost;	   /* that is in the journal */
	struct journal_pen pen;
	bool open;	 /* a frame is */
	int64_t wall_ms; /* the wall clock less the tables' */
	_Atomic uint64_t events, decisions, errors, bytes, limit;
	_Atomic uint64_t gone; /* decisions of hostnames that are no more */
	uint8_t frame[RECORDER_FRAME];
};

/* recorder_write.c: into the journal.  Errors are in r->bad, and logged. */
void recorder_failed(struct recorder *r, int rc);
void recorder_put(struct recorder *r, struct journal_record *record,
		  uint64_t now_ms);
void recorder_flush(struct recorder *r);

/* All that is known, as the beginning of an epoch. */
void recorder_epoch(struct recorder *r, uint64_t now_ms);

/* What is not as it was last written. */
void recorder_scan(struct recorder *r, uint64_t now_ms);

/* recorder_near.c: how far clients are, as it was last written. */

/* At the beginning of an epoch: nothing was.  0 or -ENOMEM. */
int recorder_near_begin(struct recorder *r);
void recorder_near_free(struct recorder *r);

/*
 * Writes what is known of a client's group and was not written yet, and fills
 * client and group of its decision.
 */
void recorder_near(struct recorder *r, const struct note *note,
		   struct journal_decision *decision);

/* What was noted, into the journal if there is an epoch. */
void recorder_notes(struct recorder *r, uint64_t now_ms);
