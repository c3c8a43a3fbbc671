/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * snapshot_int - the format itself, which snapshot.c writes and
 * snapshot_load.c reads.  Nobody else includes this.
 *
 *   file    magic, version (4), reserved (4, zero), wall clock (8), XXH3 of
 *           these
 *   block   XXH3 of what follows, seeded with that of the header; octets of
 *           records (4), records (4), number (4), last (4); records
 *   record  octets after this (4), kind (1), content
 *   zone    hash of origins (8), serial (8), name
 *   entry   see entry_put()
 */
#include "cacheproxy/snapshot.h"

#define SNAPSHOT_MAGIC	     "nearzone"
#define SNAPSHOT_HEADER	     32u
#define SNAPSHOT_SUM	     8u
#define SNAPSHOT_BLOCK_HEAD  16u /* without the sum */
#define SNAPSHOT_RECORD_HEAD 5u
#define SNAPSHOT_WIRES_MAX   STORE_FORMS

enum snapshot_record { SNAPSHOT_ZONE = 1, SNAPSHOT_ENTRY, SNAPSHOT_TOTAL };

enum snapshot_flag {
	SNAPSHOT_AA = 1,
	SNAPSHOT_SIGNED = 2,
	SNAPSHOT_IN_MAIN = 4,
};
