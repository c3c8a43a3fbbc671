/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * fresh_int - what the parts of 'fresh' share; nobody else includes this.
 *
 *   fresh.c        which zones are watched, and when they are looked at
 *   fresh_check.c  one look: serials, difference, wildcards
 *   fresh_walk.c   dropping what is touched, in slices
 */
#include <isc/heap.h>

#include "cacheproxy/delta.h"
#include "cacheproxy/store.h"
#include "cacheproxy/xfr.h"
#include "plugin/engine.h"
#include "plugin/fresh.h"

#define FRESH_STARS_MAX 64u /* wildcards asked for after one transfer */
#define FRESH_BATCH_MAX 64u /* zones of one walk */

/* A zone that is watched. */
struct fresh_zone {
	struct fresh_zone *next;
	struct zone *zone; /* of a snapshot that this holds; NULL: gone */
	struct zone_state *state;
	dns_tsig_keyring_t *keys; /* of the last client's view; held */
	bool known;		  /* the two serials are */
	bool is_signed;		  /* a SOA of the last look was */
	bool early;		  /* something was asked before they were */
	bool hint;		  /* to be looked at, sooner or later */
	bool busy;		  /* a look is under way */
	uint32_t round;		  /* of fresh_configured(): it has it */
	uint32_t serial, seen;
	uint64_t paid_ms;     /* looks had so far cover the time until then */
	uint64_t due_ms;      /* of the next; 0: none */
	unsigned int place;   /* in fresh->due; 0: not in it */
	uint32_t fails, lags; /* looks in a row */
	uint64_t hints, checks, transfers, wholes, dropped;
};

enum fresh_step { FRESH_ASKING, FRESH_MOVING, FRESH_STARS, FRESH_WALKING };

struct check;

/* A question of a look: to origin 'i', or for wildcard 'i'. */
struct probe {
	struct check *check;
	size_t i;
};

/* One look at a zone. */
struct check {
	struct check *next; /* waits for a walk */
	struct engine *engine;
	struct fresh_zone *fz;
	struct zone *zone; /* of a snapshot that this holds */
	enum fresh_step step;
	size_t open; /* questions for serials under way */
	bool has[CONFIG_ORIGINS_MAX];
	bool is_signed; /* the SOA of one of these */
	uint32_t serial[CONFIG_ORIGINS_MAX];
	struct probe soa[CONFIG_ORIGINS_MAX];
	size_t from; /* the origin that the difference comes from */
	struct xfr *xfr;
	struct delta *delta;	      /* NULL: the whole zone goes */
	struct denial_change *change; /* for the set of names, or NULL */
	bool moved;		      /* the cache was brought to 'to' */
	bool later;		      /* there is more to do, not now */
	uint32_t to;
	uint64_t id; /* cache identity to be walked */
	size_t dropped;
	size_t stars, stars_open;
	struct dname star[FRESH_STARS_MAX];
	struct probe star_probe[FRESH_STARS_MAX];
};

struct fresh {
	struct fresh_zone *zones;
	bool stopping;
	struct check *moving; /* with a transfer; by ->next */
	size_t n_moving;
	isc_heap_t *due; /* those that may be looked at, by due_ms */
	/* a configuration on its way, see fresh_configured() */
	struct slicer_work adopting;
	struct snapshot *adopted; /* held; NULL: all is done */
	size_t adopt_at;	  /* the next zone */
	struct fresh_zone **sweep_at;
	uint32_t round;
	/* the walk */
	struct slicer_work work;
	bool walking;
	struct check *waiting, **waiting_end;
	struct check *batch[FRESH_BATCH_MAX]; /* by id */
	size_t n_batch;
	struct store_walk walk;
};

/* -- fresh.c */

/* The look is over: 'failed' if no origin answered. Frees nothing. */
void fresh_checked(struct engine *e, struct fresh_zone *fz, bool failed,
		   bool lagging);
struct dns_tsigkey *fresh_key(const struct fresh_zone *fz,
			      const struct dname *name);

/* -- fresh_check.c */

void fresh_check(struct engine *e, struct fresh_zone *fz);
void fresh_check_walked(struct check *c);
/* Nothing of it is under way any more, or will be. */
void fresh_check_drop(struct check *c);

/* -- fresh_walk.c */

/* Drops what c->delta touches (NULL: all) of c->id, then calls walked. */
void fresh_walk(struct engine *e, struct check *c);
void fresh_walk_init(struct engine *e);
