/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * admit_suffix - suffixes below which many different names are asked for that
 * do not exist: a fixed table of the heaviest (after Space-Saving, Metwally et
 * al., ICDT 2005), each with a sketch of its names (HyperLogLog, Flajolet et
 * al., 2007, 64 registers: 13 per cent off), in some 400 octets.
 *
 * A suffix is the zone's own name or one with one or two labels more.  The
 * deepest that has enough names by itself takes them all, so that those above
 * it stay free; when a zone has ADMIT_SUFFIX_ZONE of them under attack, the one
 * above does, or one zone's attack would leave no place for others.
 *
 * One thread, the engine, feeds and ticks; any thread finds.  Pure but for
 * malloc: time is an argument.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADMIT_SUFFIXES	   256u
#define ADMIT_SUFFIX_ZONE  16u	/* below one apex */
#define ADMIT_LEVELS	   3u	/* labels below the apex: 0, 1, 2 */
#define ADMIT_SUFFIX_LEAST 100u /* different names a second: never fewer */

struct admit_suffixes;

/* A suffix that is under attack, or was looked at. */
struct admit_suffix_view {
	uint64_t zone;
	uint32_t since_s;    /* under attack; 0: it is not */
	uint32_t names;	     /* different ones that do not exist, last second */
	uint32_t nx, others; /* answers, the same */
	uint64_t refused;
	uint8_t n; /* of name: lower-case wire form */
	uint8_t name[255];
};

/* 'seed': secret.  0 or -ENOMEM. */
int admit_suffixes_new(uint64_t seed, struct admit_suffixes **suffixesp);
void admit_suffixes_free(struct admit_suffixes *suffixes);

/* A name of a zone, both in lower-case wire form. */
struct admit_name {
	uint64_t zone;	     /* its identity */
	const uint8_t *wire; /* 'n' octets */
	size_t n;
	unsigned int apex_labels; /* without the root */
};

/*
 * An origin has said that the name exists or not; 'least': so many different
 * names a second make an attack, if nine tenths of the answers are of that
 * kind; UINT32_MAX: none is one now.  True: one has begun.
 */
bool admit_suffixes_feed(struct admit_suffixes *suffixes,
			 const struct admit_name *name, bool exists,
			 uint32_t least, uint32_t now_s);

/*
 * Any thread: true if the name lies below a suffix that is under attack; then
 * it counts as one that was asked for there.
 */
bool admit_suffixes_hit(struct admit_suffixes *suffixes,
			const struct admit_name *name);

/* The same, and nothing is counted. */
bool admit_suffixes_below(const struct admit_suffixes *suffixes,
			  const struct admit_name *name);

/*
 * A second is over: ends attacks that nobody goes on with.  Calls 'ended' for
 * each.
 */
void admit_suffixes_tick(struct admit_suffixes *suffixes, uint32_t now_s,
			 void (*ended)(void *arg, uint64_t zone), void *arg);

/* True if some suffix of the zone is under attack. */
bool admit_suffixes_any(const struct admit_suffixes *suffixes, uint64_t zone);

/* What is in place 'i'; false: nothing is. */
bool admit_suffixes_view(const struct admit_suffixes *suffixes, size_t i,
			 struct admit_suffix_view *view);
