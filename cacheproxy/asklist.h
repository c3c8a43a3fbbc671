/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * asklist - the questions that the records of a zone are answers to, made from
 * a transfer of it: what to ask for to have the zone in memory.
 *
 *   - each owner and type is a question, once; signatures and proofs (RRSIG,
 *     NSEC, NSEC3) come along with others and are none
 *   - a name with A, AAAA or CNAME is asked for A and for AAAA, as clients do
 *   - at a cut the question is for NS and DS, which the zone answers
 *   - what lies below a cut (glue) or below a DNAME is not the zone's to answer
 *
 * Pure.  One thread at a time.  Some 70 octets a name, and never more than its
 * bound, whatever an origin sends.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/dname.h"

/* Types of one name; there are fewer than a hundred in use. */
#define ASKLIST_TYPES_MAX 128u

struct asklist;

/*
 * An empty list for the zone 'apex' that takes at most 'octets_max' of memory;
 * 'seed' keys its hash.  0 or -ENOMEM.
 */
int asklist_new(const struct dname *apex, uint64_t seed, size_t octets_max,
		struct asklist **listp);
void asklist_free(struct asklist *list); /* NULL is fine */

/*
 * Takes note of a record: its owner (uncompressed wire form, any case) and
 * type.  0, also where no question follows; -EINVAL (not a name of the zone);
 * -E2BIG (no more room), -ENOMEM: the list then lacks it.
 */
int asklist_add(struct asklist *list, const uint8_t *owner, size_t n,
		uint16_t type);

/*
 * The next question.  0; -ENOENT: that was all; -EAGAIN: some names were looked
 * at that have none, and there are more, so that no call takes long.  Nothing
 * is added any more once the first has been taken.
 */
int asklist_next(struct asklist *list, struct dname *name, uint16_t *type);

size_t asklist_names(const struct asklist *list); /* owners so far */
