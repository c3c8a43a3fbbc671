/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * snapshot - the format in which the entries of a store are saved and read
 * back: versioned, checksummed, and validated entry by entry.
 *
 * A header, then blocks of at most SNAPSHOT_BLOCK_MAX octets of records, each
 * block with an XXH3 of its own that covers its place in the file; the last
 * one is marked and says how many entries there are, so that a file cut short
 * is noticed.  Numbers are little-endian.  A zone is its name and a hash of
 * its origins; a record of it comes before the first entry of it.  What an
 * entry holds is not taken over as it lies there: its messages are walked by
 * wire_map(), its forms cut from them anew.
 *
 * A checksum is no signature: who can write the file can say anything of any
 * name, as who can write a zone file can; but no content of it makes a reader
 * go wrong.
 *
 * Pure but for malloc; the caller reads, writes and knows the time.  Any
 * thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cacheproxy/store.h"
#include "common/dname.h"

#define SNAPSHOT_VERSION   1u
#define SNAPSHOT_BLOCK_MAX (4u << 20)
#define SNAPSHOT_AHEAD_S   5u /* a clock may have been put back so much */

/* -- writing --------------------------------------------------------------- */

/* Writes all 'n' octets; returns 0 or -errno. */
typedef int (*snapshot_write)(void *arg, const void *octets, size_t n);

struct snapshot_writer;

/*
 * Begins a snapshot of the wall clock's time 'wall_s' (seconds since 1970) and
 * writes its header.  Returns 0 and sets '*writerp'; or -ENOMEM, or what
 * 'write' returned.
 */
int snapshot_writer_new(snapshot_write write, void *arg, uint64_t wall_s,
			struct snapshot_writer **writerp);
void snapshot_writer_free(struct snapshot_writer *w); /* NULL is fine */

/*
 * Adds a zone, and returns its number by which entries name it; or -ENOBUFS
 * (see below).  'serial' is for whoever reads it.
 */
int64_t snapshot_add_zone(struct snapshot_writer *w, const struct dname *name,
			  uint64_t origins, uint64_t serial);

/*
 * Adds an entry (no failure) of 'age_s' seconds.  Calls nothing and does not
 * block, so that it may be called inside an RCU section.  Returns 0; or
 * -ENOBUFS: flush first.
 */
int snapshot_add(struct snapshot_writer *w, uint32_t zone,
		 const struct store_entry *e, uint32_t age_s);

/* Writes what was added.  Returns 0 or what 'write' returned. */
int snapshot_flush(struct snapshot_writer *w);

/* Writes the rest and the end; the snapshot is whole when this returns 0. */
int snapshot_end(struct snapshot_writer *w);

/* -- reading --------------------------------------------------------------- */

/* Reads 'n' octets or, at the end, less; returns how many, or -errno. */
typedef int64_t (*snapshot_read)(void *arg, void *octets, size_t n);

struct snapshot_source {
	snapshot_read read;
	/*
	 * Returns the cache identity of the zone of this name and these
	 * origins; 0: there is none, its entries are skipped.
	 */
	uint64_t (*zone)(void *arg, const struct dname *name, uint64_t origins,
			 uint64_t serial);
	void *arg;		   /* of both */
	const struct store *store; /* for its hash alone */
	uint64_t limit_bytes;	   /* of memory for entries; more are skipped */
	uint64_t wall_s;	   /* now */
	uint32_t now_s;		   /* now, in the store's time */
};

struct snapshot_result {
	struct store_entry *list; /* a reference each; by 'fore' */
	uint64_t entries;	  /* of the list */
	uint64_t expired;	  /* skipped: no longer usable, stale or not */
	uint64_t foreign;	  /* skipped: of zones that there are not */
	uint64_t over;		  /* skipped: no room */
	uint32_t age_s;		  /* of the snapshot */
};

/*
 * Reads a snapshot.  Returns 0 and fills '*result', whose list is the
 * caller's: give each to store_restore() and drop the reference.  Or refuses it
 * whole: -EBADMSG (damaged), -EPROTONOSUPPORT (another version), -ETIME
 * (written in the future), -ENOMEM, or what 'read' returned; '*result' is
 * untouched.
 */
int snapshot_load(const struct snapshot_source *source,
		  struct snapshot_result *result);

/* Drops what is left of a list. */
void snapshot_list_free(struct store_entry *list);
