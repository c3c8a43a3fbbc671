/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * zonemap - the longest configured zone that a name belongs to.
 *
 * Immutable after zonemap_new(); any thread may read.  The map knows every
 * suffix of its names; a name is walked from its last label, a probe a label,
 * and turned away at the first suffix that is not known, mostly by a small
 * filter.  Pure.
 */
#include <stddef.h>
#include <stdint.h>

#include "common/dname.h"

#define ZONEMAP_MAX (1u << 20) /* names in one map */

struct zonemap;

/*
 * Maps names[i] to values[i] (not NULL; not owned).  'seed' keys the hash.
 * Returns 0 and sets '*mapp'; -EEXIST with '*clash' = the index of the equal
 * name that came first; -E2BIG for more than ZONEMAP_MAX; -ENOMEM.  n may
 * be 0.
 */
int zonemap_new(const struct dname *const *names, void *const *values, size_t n,
		uint64_t seed, struct zonemap **mapp, size_t *clash);
void zonemap_free(struct zonemap *map);

/*
 * The value of the longest name that is 'qname' or above it, or NULL.
 * 'qname' is uncompressed wire form of 'n' octets (ends with the root label),
 * any case; a malformed one belongs to no zone.  Sets '*labels' (without the
 * root) of a match.
 */
void *zonemap_find(const struct zonemap *map, const uint8_t *qname, size_t n,
		   unsigned int *labels);
