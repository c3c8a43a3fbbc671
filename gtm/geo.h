/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * geo - a database of addresses in MaxMind's format, read for gtm/clients from
 * its beginning to its end.  It is never asked for one address: that is what
 * the map made of it is for.
 *
 * A file is read once into a copy of its own, which nobody else can shorten
 * while it is mapped: else to write over a database in its place would end
 * named.  It may be anything: whatever would make libmaxminddb work for long
 * or allocate much is refused before that sees it, by a walk with a budget.
 *
 * Blocking file work: the worker thread; one database by one thread at a time.
 */
#include <stdint.h>

#include "common/config.h"
#include "gtm/clients.h"

#define GTM_GEO_FILE_MAX (1u << 30) /* octets */

/* Which file it was: all 0 for one that was not there. */
struct gtm_geo_file {
	uint64_t device, inode, size_bytes;
	int64_t changed_ns;
};

struct gtm_geo;

/* What a database says of itself, and how much of it has been read. */
struct gtm_geo_about {
	struct gtm_geo_file file;
	uint64_t built_s; /* Unix time */
	uint64_t networks, records;
	char type[64];
};

/* What came of an attempt to open a database. */
struct gtm_geo_tried {
	struct gtm_geo_file file;
	char why[ERR_TEXT_MAX]; /* what is wrong */
};

/*
 * Opens 'path', whose facts are where 'config' says.  'directory' is where the
 * copy is made, and then unlinked.  Returns 0 and sets '*geop'; or -errno;
 * fills
 * '*tried'.  A file that is not there is -ENOENT with all 0 for the file.
 */
int gtm_geo_open(const char *path, const char *directory,
		 const struct config_geo *config, const struct gtm_pace *pace,
		 struct gtm_geo **geop, struct gtm_geo_tried *tried);
void gtm_geo_close(struct gtm_geo *geo); /* NULL is fine */

/* What gtm_clients_new() reads; it holds as long as 'geo'. */
struct gtm_source gtm_geo_source(struct gtm_geo *geo);

/* What is wrong with it, after its source has said -EBADMSG. */
const char *gtm_geo_why(const struct gtm_geo *geo);

void gtm_geo_about(const struct gtm_geo *geo, struct gtm_geo_about *about);

/* Which file 'path' is now. */
void gtm_geo_file(const char *path, struct gtm_geo_file *file);
