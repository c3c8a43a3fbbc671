/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * latencies - round trips from networks to POPs, of a text file: a line each,
 * "192.0.2.0/24 fra 12.5" (milliseconds); '#' begins a comment.
 */
#include "gtm/decide.h"

struct latencies;

/* NULL after words about it. */
struct latencies *latencies_read(const char *file);
void latencies_free(struct latencies *l); /* NULL is fine */

/*
 * Milliseconds from the longest network that the client's lies in and that has
 * a value for the POP; less than 0: not known.
 */
double latencies_find(const struct latencies *l,
		      const struct gtm_client *client, const char *pop);
