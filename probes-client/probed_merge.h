/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_merge - puts texts of Prometheus's format together that have the same
 * families: what a long list's pages gave, each by itself, becomes one text in
 * which every family is one block.  So a page is written when it comes, and no
 * moment is long in which no test of a server can be looked at.
 *
 * Pure.  Bounded in octets and in families: what is too much is left out by
 * whole lines, and counted.
 */
#include "probes-client/probed_expo.h"

#define PROBED_FAMILIES_MAX 128u

struct probed_merge {
	size_t max, bytes; /* octets of all families together */
	uint64_t lost;	   /* lines left out */
	size_t n;
	struct probed_expo family[PROBED_FAMILIES_MAX]; /* heads included */
};

void probed_merge_init(struct probed_merge *merge, size_t max);
void probed_merge_fini(struct probed_merge *merge);

/* Adds the text of 'expo', which stays the caller's. */
void probed_merge_add(struct probed_merge *merge,
		      const struct probed_expo *expo);

/* Writes all to 'expo'; lines lost here are then lost there. */
void probed_merge_put(const struct probed_merge *merge,
		      struct probed_expo *expo);
