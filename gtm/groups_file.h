/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * groups_file - a latency table saved, and read back with true ages.
 *
 *   file     header, sections; numbers are little-endian
 *   header   "nzgroups", version (4), 0 (4), wall clock in ms since 1970 (8),
 *            the low 32 bits of the table's clock at that moment (4), 0 (4),
 *            XXH3 of these (8)
 *   section  XXH3 of what follows, seeded with that of the header (8); octets
 *            of content (4), kind (4), items (4), number of the section (4);
 *            content
 *   columns  items are POPs: octets (1), id.  They hold for the rows that
 *            follow, until the next such section
 *   rows     items are groups: 1 for IPv6 (1), bits (1), the octets of the
 *            prefix that bits reach into; a bit for each POP, that of the
 *            first the lowest of the first octet, padded with 0; a cell (4)
 *            for each POP whose bit is set, as it is in memory (groups.h)
 *   end      no items; all groups of the file (8)
 *
 * POPs go by id, so that a file outlives configurations.  Groups without a
 * value are not saved.  A checksum is no signature: who can write the file can
 * say anything; but no content of it makes a reader go wrong, nor take more
 * than a constant of memory beside the table's own.
 *
 * No I/O: the caller reads, writes, and knows the time.
 */
#include "gtm/groups.h"

#define GTM_FILE_VERSION     1u
#define GTM_FILE_SECTION_MAX (1u << 21) /* octets of content */
#define GTM_FILE_AHEAD_MS    5000u /* a clock may have been put back so much */

/* Writes all 'n' octets; returns 0 or -errno. */
typedef int (*gtm_file_write)(void *arg, const void *octets, size_t n);

struct gtm_save {
	gtm_file_write write;
	void *arg;
	uint64_t wall_ms; /* since 1970 */
	uint64_t now_ms;  /* the table's clock, at the same moment */
};

/*
 * Saves the table while it is in use.  For any thread but the writer, in no
 * RCU section: it makes short ones of its own, and calls 'write' outside them
 * with at most GTM_FILE_SECTION_MAX octets and a few.  What is known of POPs
 * that somebody holds is saved.  The caller has a reference.  Returns 0;
 * -ENOMEM, or what 'write' returned.
 */
int gtm_groups_save(struct gtm_groups *groups, const struct gtm_save *save);

/* Reads 'n' octets or, at the end, less; returns how many, or -errno. */
typedef int64_t (*gtm_file_read)(void *arg, void *octets, size_t n);

struct gtm_load {
	gtm_file_read read;
	void *arg;
	uint64_t wall_ms; /* now */
	uint64_t now_ms;  /* now, in the table's clock */
};

struct gtm_loaded {
	uint64_t rows;	  /* groups of the file */
	uint64_t values;  /* taken */
	uint64_t foreign; /* skipped: of POPs that have no column */
	uint64_t old;  /* skipped: too old, or not newer than what is there */
	uint64_t over; /* groups skipped: no room */
};

struct gtm_loader;

/*
 * Begins to read, and reads the header.  Returns 0 and sets '*loaderp'; or
 * -EBADMSG (damaged, or no such file), -EPROTONOSUPPORT (another version),
 * -ETIME (written in the future: ages would be wrong), -ENOMEM, or what 'read'
 * returned.
 */
int gtm_loader_new(const struct gtm_load *load, struct gtm_loader **loaderp);
void gtm_loader_free(struct gtm_loader *loader); /* NULL is fine */

/*
 * The writer's: reads up to 'rows' groups into the table, for POPs that
 * somebody holds, as long as the loader lives.  Groups that are not in it are
 * made as long as there is room; none is replaced.  Returns 1: there
 * is more; 0: that was all; or an error as above, after which the rest is not
 * read; what was taken stays, as it was checked.
 */
int gtm_loader_step(struct gtm_loader *loader, struct gtm_groups *groups,
		    uint32_t rows, uint64_t now_ms);

const struct gtm_loaded *gtm_loader_result(const struct gtm_loader *loader);
