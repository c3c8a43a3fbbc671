/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * near_load - makes a table of routes of a dump, piece by piece.
 *
 * It may be as large as it likes: one record is held at a time, of
 * NEAR_MRT_RECORD_MAX octets at most.  For a thread of its own.
 */
#include <stddef.h>
#include <stdint.h>

#include "probes-client/near_routes.h"

/* Reads at most 'n' octets: how many, 0 at the end, or -errno. */
typedef long (*near_pull)(void *arg, uint8_t *to, size_t n);

struct near_loaded {
	struct near_routes *routes; /* the caller's, on success */
	uint64_t octets;	    /* of whole records before the end */
	uint64_t records;	    /* likewise */
	const char *why;	    /* with -EBADMSG: a constant */
};

/*
 * 0; -EBADMSG: it is damaged, behind 'octets' and 'records', or holds no route;
 * -E2BIG: too many routes; -ENOMEM; or what 'pull' has returned.  'loaded' is
 * set in any case, its routes only on success.
 */
int near_load(near_pull pull, void *arg, struct near_loaded *loaded);
