/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * nameset - values by exact name: a look at one hash, mostly enough to say
 * that a name is not there.
 *
 * Immutable after nameset_new(); any thread may read.  Pure.
 */
#include <stddef.h>
#include <stdint.h>

#include "common/dname.h"

#define NAMESET_MAX (1u << 20) /* names */

struct nameset;

/*
 * Maps names[i] to values[i] (not NULL; not owned), of equal names to any one
 * of theirs.  'seed' keys the hash.  Returns 0 and sets '*setp'; or -E2BIG for
 * more than NAMESET_MAX, or -ENOMEM.  n may be 0.
 */
int nameset_new(const struct dname *const *names, void *const *values, size_t n,
		uint64_t seed, struct nameset **setp);
void nameset_free(struct nameset *set); /* NULL is fine */

/*
 * The value of 'name' (uncompressed wire form of 'n' octets, any case), or
 * NULL.
 */
void *nameset_find(const struct nameset *set, const uint8_t *name, size_t n);
