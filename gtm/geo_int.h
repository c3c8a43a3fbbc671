/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * geo_int - what the parts of geo share: geo.c (files, life), geo_read.c (the
 * tree and its records), geo_walk.c (whether data may be looked at).
 */
#include "gtm/geo.h"

#include <maxminddb.h>

#define GEO_KEYS_MAX 8u

/* Paths as MMDB_aget_value() wants them, with room for one key more. */
struct gtm_geo_paths {
	size_t n;
	char *text[CONFIG_PATHS_MAX];
	const char *key[CONFIG_PATHS_MAX][GEO_KEYS_MAX + 2];
};

/* Facts of the record at 'offset'. */
struct gtm_geo_known {
	uint32_t offset; /* UINT32_MAX: none */
	uint32_t facts;	 /* index */
};

/* A node on the way to where the walk is. */
struct gtm_geo_step {
	uint32_t node;
	uint8_t turn; /* 0: left, 1: right, 2: done */
};

struct gtm_geo {
	MMDB_s mmdb;
	bool opened;
	struct gtm_geo_file file;
	struct gtm_geo_paths country, continent, as, location;
	struct gtm_facts *facts;
	size_t n_facts, facts_max;
	struct gtm_geo_known *table; /* by offset; a power of 2 */
	size_t table_size;
	uint64_t budget; /* values that may yet be walked over */
	/* the walk */
	bool v6, whole; /* whole: all addresses have the record 'first' */
	uint64_t first;
	size_t depth; /* of the step under way; 0: none */
	struct gtm_geo_step step[129];
	uint64_t hi, lo;
	uint64_t nodes; /* entered */
	uint64_t networks;
	const char *why;
};

/*
 * Walks over the value at 'at' of the data section 'p' and all that it holds or
 * points to, but for what 'budget' does not suffice for.  0; or -EBADMSG: too
 * much, too deep, or not in the format.
 */
int gtm_geo_walk(const uint8_t *p, size_t n, size_t at, uint64_t *budget);
