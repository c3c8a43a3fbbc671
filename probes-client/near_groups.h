/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * near_groups - what this node knows of groups of clients: whom it may measure
 * in each, who answered and how, and the round trip.
 *
 * Pure: times are arguments, seconds of a monotonic clock, from 1.  One thread.
 * A group is a prefix as the plugin asks for it (at most 24 bits of IPv4, 56 of
 * IPv6).  All room is reserved at first and taken as groups come: 120 octets
 * each, and 4 to 8 to find it.  When it is full, of a few groups in turn the
 * one that was asked for longest ago makes room.
 *
 * Groups wait to be measured in one list, and what is to be told to the plugin
 * in another; the links are in the groups, so neither can grow.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "gtm/client.h"

#define NEAR_CLIENTS 3u
#define NEAR_NONE    UINT32_MAX
#define NEAR_PLAN    (NEAR_CLIENTS * CONFIG_METHODS + 1u)

/* After those of enum config_method: */
#define NEAR_TCP     CONFIG_METHODS /* its own TCP connections */
#define NEAR_METHODS (CONFIG_METHODS + 1u)
extern const char *const near_method_names[NEAR_METHODS];

/* States of a group, as bits. */
#define NEAR_V6	     1u /* of IPv6 */
#define NEAR_FULL    2u /* the client itself has answered */
#define NEAR_KNOWN   4u /* there is a round trip */
#define NEAR_WAITS   8u /* in the list of those to be measured */
#define NEAR_RUNS    16u
#define NEAR_TELLS   32u /* in the list of what is to be told */
#define NEAR_RESTART 64u /* a new client came while it was measured */

struct near_group {
	uint64_t key;
	uint32_t next;	  /* in the bucket: place + 1; 0: none */
	uint32_t waits;	  /* the next that waits: likewise */
	uint32_t tells;	  /* the next to be told of: likewise */
	uint32_t asked_s; /* for it */
	uint32_t known_s; /* when it was measured */
	uint32_t tried_s; /* when nobody answered; 0: somebody did */
	uint32_t told_s;
	uint32_t hour;		      /* near_hour_may() */
	uint32_t hours[NEAR_CLIENTS]; /* the same of each client */
	uint16_t tenths;	      /* of a millisecond */
	uint8_t state;
	uint8_t n;	 /* clients */
	uint8_t answers; /* which of them did last; n: none */
	uint8_t method;	 /* how */
	uint8_t hops;	 /* to the router; with "aspath": systems */
	uint8_t whole;	 /* clients that are an address, as bits */
	uint8_t good[NEAR_METHODS], bad[NEAR_METHODS];
	uint8_t address[NEAR_CLIENTS][16]; /* the newest last */
};

struct near_groups;

struct near_groups_stats {
	uint32_t n, max, waiting, telling;
	uint64_t evicted;
	uint64_t refused; /* no room: all are busy */
};

/* For 'max' groups, 1..2^26; NULL: no memory. */
struct near_groups *near_groups_new(uint32_t max);
void near_groups_free(struct near_groups *g); /* NULL is fine */
struct near_groups_stats near_groups_stats(const struct near_groups *g);
size_t near_groups_bytes(const struct near_groups *g); /* taken */

struct near_group *near_groups_at(struct near_groups *g, uint32_t at);
/* The place of the group of just that prefix, or NEAR_NONE. */
uint32_t near_groups_find(const struct near_groups *g,
			  const struct gtm_client *prefix);
/* The prefix of a group; one of its clients: an address, or a network. */
void near_group_prefix(const struct near_group *group, struct gtm_client *out);
void near_group_client(const struct near_group *group, unsigned int i,
		       struct gtm_client *out);

enum near_asked {
	NEAR_ASKED_FRESH, /* it is known: will be told if it was not just now */
	NEAR_ASKED_WAITS, /* will be measured */
	NEAR_ASKED_RESTS, /* nobody there answered not long ago */
	NEAR_ASKED_REFUSED /* no room */
};

/*
 * The plugin asks for 'prefix', since 'client' has asked it.  What is younger
 * than 'fresh_s' is good; where nobody answered, nobody is asked for 'rest_s'.
 * A new client in a group that has no full answer is measured at once.
 */
enum near_asked near_groups_ask(struct near_groups *g,
				const struct gtm_client *prefix,
				const struct gtm_client *client, uint32_t now_s,
				uint32_t fresh_s, uint32_t rest_s);

/* Takes the first that waits; it runs from now on.  NEAR_NONE: none. */
uint32_t near_groups_next(struct near_groups *g);

/*
 * Whom to ask, and how: method << 4 | client each.  First what answered before,
 * then by 'methods', the newest client first; last the methods that have never
 * brought an answer in this group.  Returns how many.
 */
size_t near_group_plan(const struct near_group *group,
		       const struct config_methods *methods,
		       uint8_t plan[NEAR_PLAN]);

/* Whether it was measured last without an answer, and rests. */
bool near_group_is_silent(const struct near_group *group);

/* A method was tried, and got an answer or not. */
void near_group_tried(struct near_group *group, unsigned int method, bool good);

struct near_answer {
	unsigned int client, method;
	bool full;
	uint8_t hops;
	float ms;
};

/* The end of what near_groups_next() began; NULL: nobody has answered. */
void near_groups_done(struct near_groups *g, uint32_t at,
		      const struct near_answer *answer, uint32_t now_s);

/* A round trip that was seen, not measured; false: nobody asked for that
 * group. */
bool near_groups_seen(struct near_groups *g, const struct gtm_client *client,
		      float ms, uint32_t now_s);

/* Takes the next to be told of; NEAR_NONE: none.  _again() puts it back. */
uint32_t near_groups_tell(struct near_groups *g, uint32_t now_s);
void near_groups_again(struct near_groups *g, uint32_t at);
