/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * flood - what the attack and the honest load have in common: where they may
 * send to, whose addresses they have, how a query looks, and their options.
 *
 * For tests alone.  Nothing here sends; one thread.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOOD_QUERY_MAX	 320u /* octets of a query */
#define FLOOD_NAME_MAX	 128u /* of a name as text, with the NUL */
#define FLOOD_COOKIE_MAX 40u
#define FLOOD_CLIENTS	 4096u

/* -- numbers that are the same each time -------------------------------- */

struct flood_rng {
	uint64_t state;
};

uint64_t flood_random(struct flood_rng *rng);
/* 0 .. n - 1; 'n' > 0. */
uint32_t flood_below(struct flood_rng *rng, uint32_t n);
/* 0 <= x < 1 */
double flood_unit(struct flood_rng *rng);

uint64_t flood_now_ns(void); /* CLOCK_MONOTONIC */

/* -- options ------------------------------------------------------------ */

/*
 * "--name value".  A number has bounds, a text none but its length; 'given'
 * is set by the reader.  What is 'required' has no default.
 */
struct flood_option {
	const char *name;
	uint64_t *number; /* one of these two */
	const char **text;
	uint64_t min, max;
	bool required;
	bool given;
};

/*
 * Reads argv[1..]; 0, or -EINVAL after a line on standard error.  Numbers
 * out of range are errors, never bent.
 */
int flood_options(char **argv, struct flood_option *options, size_t n);

/* -- where to ----------------------------------------------------------- */

/*
 * Whether packets may go there: an address of 198.18.0.0/15 (RFC 2544), in
 * a network namespace that has nothing but loopback and veths of a test
 * (named nzf*), so that no packet can leave it; or loopback.  0, or -EPERM
 * after a line on standard error.
 */
int flood_may_send(struct in_addr to);
/*
 * The same for packets that say they come from elsewhere: not by loopback,
 * and 'interface' has to be a veth with a name that a test gives.
 */
int flood_may_forge(struct in_addr to, const char *interface);
bool flood_is_loopback(struct in_addr address);

/*
 * The address of client 'i' < FLOOD_CLIENTS, each in a /24 of its own:
 * below 10.64.0.0/12, or 127.64.0.0/12 where 'to' is loopback.
 */
struct in_addr flood_client(uint32_t i, struct in_addr to);

/* -- queries and replies ------------------------------------------------ */

struct flood_question {
	const char *name; /* text without escapes, at most FLOOD_NAME_MAX */
	uint16_t id;
	bool rd, edns;
	const uint8_t *cookie; /* NULL, or both parts; takes EDNS */
	size_t cookie_n;
};

/* Writes a query for A, FLOOD_QUERY_MAX octets at most; its length. */
size_t flood_query(const struct flood_question *question, uint8_t *out);

struct flood_reply {
	uint16_t id;
	uint16_t answers;
	unsigned rcode; /* with the upper bits of EDNS */
	bool truncated;
	uint8_t cookie[FLOOD_COOKIE_MAX];
	size_t cookie_n; /* 0: none */
};

/*
 * Reads a reply, hostile or not; 0 or -EBADMSG.  'query' is the query that
 * was sent: the question has to be the same octet by octet.
 */
int flood_reply_read(const uint8_t *octets, size_t n, const uint8_t *query,
		     struct flood_reply *reply);
