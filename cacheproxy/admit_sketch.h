/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * admit_sketch - what the filters count in fixed room, shared by all zones:
 * how often a prefix repeats a question, names that exist, and how many
 * different sources there are.
 *
 * Pure but for malloc: time is an argument.  Any thread, at any time; atomic
 * words, no lock.  Keys are hashes of whatever the caller likes, with a secret
 * in it.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* -- repeats: how often a key came in a second */
struct admit_repeats;

int admit_repeats_new(struct admit_repeats **repeatsp); /* 0 or -ENOMEM */
void admit_repeats_free(struct admit_repeats *repeats);

/* Counts 'key'; returns how often it came in second 'now_s', this one too. */
uint32_t admit_repeats_count(struct admit_repeats *repeats, uint64_t key,
			     uint32_t now_s);

/*
 * Counts it as well, for keys of another kind: true if 'key' came neither in
 * this second nor in the one before.
 */
bool admit_repeats_rare(struct admit_repeats *repeats, uint64_t key,
			uint32_t now_s);

/* -- seen: names that exist, as fingerprints */
struct admit_seen;

/* Room for 'names' (rounded up to a power of two).  0 or -ENOMEM. */
int admit_seen_new(uint32_t names, struct admit_seen **seenp);
void admit_seen_free(struct admit_seen *seen);
/*
 * One thread adds.  The one added longest ago makes room, those that were
 * added but once before the others.
 */
void admit_seen_add(struct admit_seen *seen, uint64_t key, uint32_t now_s);
bool admit_seen_has(const struct admit_seen *seen, uint64_t key);

/* -- sources: how many there are in a second (Whang et al., 1990) */
#define ADMIT_SOURCES_BITS 8192u

struct admit_sources {
	_Atomic uint32_t second, last;
	_Atomic uint64_t map[ADMIT_SOURCES_BITS / 64];
};

void admit_sources_add(struct admit_sources *sources, uint64_t hash);
/* An estimate of how many different ones were added. */
uint32_t admit_sources_count(const struct admit_sources *sources);
/* Begins second 'now_s' anew, once; returns how many the one before had. */
uint32_t admit_sources_turn(struct admit_sources *sources, uint32_t now_s);
