/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * admission_int - shared by the files of admission.h.
 */
#include "cacheproxy/admit_known.h"
#include "cacheproxy/admit_sketch.h"
#include "cacheproxy/admit_suffix.h"
#include "plugin/admission.h"

#define ADMISSION_SOURCES 128u /* zones share by their hash: a power of two */

/* A zone with a filter at work; the engine's. */
struct siege {
	struct zone *zone; /* its snapshot is held */
	uint32_t told;	   /* filters that have been announced, bits */
};

/* What was saved of a zone. */
struct admission_kept {
	uint64_t id;
	struct admit_learned learned;
	bool used;
};

/* The process's; one. */
struct admit {
	uint64_t seed;
	struct admit_known *_Atomic known; /* under RCU; NULL: none yet */
	uint32_t known_max;		   /* who puts in force */
	struct admit_repeats *repeats;
	struct admit_seen *seen;
	struct admit_suffixes *suffixes;
	_Atomic uint32_t hours;	     /* since 1970 */
	_Atomic uint32_t day;	     /* of the known: it never goes back */
	uint32_t day_at_s, wall_day; /* engine: its beginning; the clock's */
	_Atomic uint64_t newcomers;  /* second << 32 | how many */
	_Atomic uint64_t pushers;    /* the same */
	struct siege *siege;	     /* engine */
	size_t n_siege, room;	     /* engine */
	uint32_t ticked_s;	     /* engine */
	size_t sweep_at;	     /* engine */
	pthread_mutex_t kept_lock;   /* guards the next two */
	struct admission_kept *kept; /* sorted by id */
	size_t n_kept;
	struct admit_sources sources[ADMISSION_SOURCES];
};

static inline struct admit_zone *admission_of(const struct zone *zone)
{
	return atomic_load_explicit(&zone->state->admit, memory_order_acquire);
}

static inline uint64_t admission_mix(uint64_t x)
{
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

/* What a zone is called in tables that all share. */
static inline uint64_t admission_id(const struct zone *zone)
{
	return admission_mix((uint64_t)(uintptr_t)zone->state);
}

static inline struct admit_sources *admission_sources(struct admit *admit,
						      const struct zone *zone)
{
	return &admit->sources[admission_id(zone) % ADMISSION_SOURCES];
}

/* Takes a look at the zone's window, as of 'now_s'. */
struct admit_now admission_now(struct admit *admit, const struct zone *zone,
			       uint32_t now_s);
void admission_roll(struct admit *admit, const struct zone *zone,
		    uint32_t now_s);

/* True if the name is known to exist. */
bool admission_exists(const struct admit *admit, const struct zone *zone,
		      const struct store_key *key,
		      const struct store_entry *old, uint32_t now_s);
uint64_t admission_name_hash(const struct admit *admit, const struct zone *zone,
			     const struct store_key *key);

/* Has the engine look at the zone.  Any thread, inside an RCU section. */
void admission_poke(const struct zone *zone);

/* What the last run has learned of the zone, once; false: nothing. */
bool admission_kept_take(struct admit *admit, const struct zone *zone,
			 struct admit_learned *learned);
