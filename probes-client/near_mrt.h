/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * near_mrt - reads a record of a dump of a BGP table: MRT (RFC 6396), of the
 * types TABLE_DUMP_V2 (with RFC 8050's paths) and TABLE_DUMP.
 *
 * Pure.  The time it takes grows with the octets of the record and nothing
 * else.
 *
 * Of a route it takes the shortest way of all peers, in autonomous systems:
 * a set counts as one (RFC 4271, 9.1.2.2), confederations as none (RFC 5065),
 * and one that stands there several times in a row as one.  That is repeated to
 * make a way look worse; packets cross it once.  A route without an AS_PATH
 * does not come from BGP: it is our own.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEAR_MRT_HEADER	    12u
#define NEAR_MRT_RECORD_MAX (16u << 20) /* octets of one that is read */
#define NEAR_MRT_HOPS_MAX   255u	/* longer ways count as this */

struct near_mrt_header {
	uint16_t type, subtype;
	uint32_t size; /* octets that follow it */
};

/* The header in NEAR_MRT_HEADER octets. */
struct near_mrt_header near_mrt_header(const uint8_t *octets);

enum near_mrt_kind {
	NEAR_MRT_ODD,  /* no type of MRT */
	NEAR_MRT_SKIP, /* nothing for us */
	NEAR_MRT_READ, /* for near_mrt_read() */
};
enum near_mrt_kind near_mrt_kind(const struct near_mrt_header *header);

struct near_route {
	bool v6;
	uint8_t bits; /* those of the address behind them are 0 */
	uint8_t hops; /* autonomous systems on the way; 0: our own */
	uint8_t address[16];
};

/* What holds from one record to the next; zero it. */
struct near_mrt {
	bool any_peers; /* there was a table of them */
	uint16_t n_peers;
};

/*
 * Reads the 'header.size' octets of a record of the kind NEAR_MRT_READ.  1 and
 * '*route', 0 if there is none in it; or -EBADMSG and '*whyp', a constant.
 */
int near_mrt_read(struct near_mrt *mrt, const struct near_mrt_header *header,
		  const uint8_t *body, struct near_route *route,
		  const char **whyp);
