/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * honest - what the parts of the honest load share; see honest.c.
 */
#include <stdio.h>

#include "flood.h"

#define ASKS_MAX  16384u /* questions under way */
#define TCP_MAX	  2048u	 /* octets of a reply by TCP */
#define TRIES	  3u
#define UDP_NS	  UINT64_C(800000000)
#define TCP_NS	  UINT64_C(2000000000)
#define AGAIN_NS  UINT64_C(100000000) /* after SERVFAIL and the like */
#define TCP_EVENT (UINT64_C(1) << 32)

/* What is asked for: known before, below the suffix, new, not there. */
enum kind { OLD, SUB, NEW, NONE, KINDS };

/* How a question ended. */
enum end { ANSWERED, SILENT, CUT, REFUSED, KINDS_OF_END };

struct client {
	int fd;
	bool edns, cookies, farm;
	uint8_t cookie[FLOOD_COOKIE_MAX];
	size_t cookie_n;
};

struct ask {
	bool used;
	enum kind kind;
	uint32_t client, number;
	unsigned tries, cookies; /* sent so often; for a cookie's sake */
	uint64_t began_ns, due_ns;
	bool waits; /* for the time to ask again, not for a reply */
	bool tcp;
	unsigned rcode; /* the last one */
	unsigned cut;	/* replies with TC */
	int fd;		/* of TCP, or -1 */
	bool sent;	/* by TCP */
	size_t query_n, got;
	uint8_t query[FLOOD_QUERY_MAX];
	uint8_t reply[TCP_MAX];
};

struct tally {
	uint64_t asked[KINDS], answered[KINDS];
	uint64_t ends[KINDS_OF_END];
	uint64_t tries, cut, by_tcp, bad_cookies, full, strange;
	uint64_t *took_us; /* of every answered question of OLD and SUB */
	size_t took_n;
	uint64_t *took_new_us; /* of NEW */
	size_t took_new_n;
};

struct honest {
	struct sockaddr_in to;
	const char *zone, *sub, *log_name;
	uint64_t clients_n, names, rate, seconds, questions;
	uint64_t then, rise_at_ms, rise_ms; /* another rate, later */
	uint64_t new_share, new_first, none_share, cookie_share, ttl, seed;
	uint64_t rd, walk;
	struct flood_rng rng; /* what is asked, and when */
	struct flood_rng ids; /* all else: replies must not change that */
	double *zipf;	      /* names + 1 sums */
	uint32_t *held_ms;    /* until when a client has an answer, or NULL */
	struct client *clients;
	struct ask *asks;
	uint32_t *idle; /* numbers of unused asks */
	uint32_t idle_n, high;
	uint64_t began_ns, new_n, none_n;
	int epoll;
	FILE *log;
	struct tally tally;
};

/* honest_ask.c: the life of a question. */
int ask_open(struct honest *honest);
void ask_close(struct honest *honest);
void ask_begin(struct honest *honest, uint32_t client, enum kind kind,
	       uint32_t number);
void ask_readable(struct honest *honest, uint32_t client);
void ask_tcp_event(struct honest *honest, uint32_t i);
void ask_times(struct honest *honest, uint64_t now_ns);
bool ask_any(const struct honest *honest);

/* honest_say.c: what becomes known of it. */
int say_open(struct honest *honest);
void say_end(struct honest *honest, const struct ask *ask, enum end end,
	     uint64_t now_ns);
void say_all(struct honest *honest);
void say_close(struct honest *honest);
