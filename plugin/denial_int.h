/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * denial_int - what the parts of 'denial' share; nobody else includes this.
 *
 *   denial.c        answers, on named's workers
 *   denial_keep.c   which zones want it, proofs, withdrawing
 *   denial_names.c  sets of names: transfers and differences
 */
#include "cacheproxy/names.h"
#include "cacheproxy/proofs.h"
#include "plugin/denial.h"
#include "plugin/engine.h"

enum denial_step {
	DENIAL_IDLE,	 /* no set, or it waits for its time */
	DENIAL_MOVING,	 /* a transfer is under way */
	DENIAL_BUILDING, /* the worker makes a set of it */
	DENIAL_KEPT,	 /* published */
	DENIAL_CHANGING, /* the worker applies a difference */
};

/* A zone that wants it. */
struct denial {
	struct denial *next;
	struct zone_state *state; /* NULL: gone */
	struct zone *zone;	  /* of the running configuration; NULL: gone */
	bool marked;		  /* by denials_configured() */
	enum denial_step step;
	bool spoilt;	     /* what is under way is not to be used */
	struct names *names; /* DENIAL_KEPT: those that are published */
	struct naming *naming;
	uint64_t due_ms;   /* of the next transfer */
	uint64_t began_ms; /* the last transfer */
	uint64_t took_ms;  /* until there was a set of it */
	uint32_t fails;	   /* transfers in a row */
	uint64_t transfers, changes;
	int why; /* of the last failure, -errno; 0: none */
};

struct denials {
	struct denial *zones;
	struct denial *at; /* where the search for the next transfer begins */
	struct proofs_pool pool;
	size_t n_moving;
	uint64_t names_bytes, seed;
	uint64_t tick_ms;
	struct gone *gone; /* for the worker, with the next tick */
	struct slicer_work sweeping;
	bool sweeps;
	struct denial *sweep_at; /* whose proofs are next; NULL: no more */
	struct proof *swept;
	bool stopping;
};

/* -- denial_names.c */

/* Starts the transfers that it is time for, as many as may run. */
void denial_names_start(struct engine *e);
/* Withdraws the set; what is under way is spoilt.  A new one is due. */
void denial_names_drop(struct engine *e, struct denial *d);
/* Ends a transfer; the rest comes back from the worker by itself. */
void denial_names_stop(struct denial *d);

/* -- denial_keep.c */

/* A zone that is gone, and of which nothing is under way any more. */
void denial_gone(struct engine *e, struct denial *d);
