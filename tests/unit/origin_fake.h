/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * origin_fake - a small DNS server on 127.0.0.1 that misbehaves on purpose,
 * UDP and TCP on one port, in a thread of its own.  For the tests of origin.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fake_habit {
	FAKE_GOOD,
	FAKE_SILENT,	   /* never answers */
	FAKE_SLOW,	   /* answers after 'delay_ms' */
	FAKE_WRONG_ID,	   /* and then the true answer */
	FAKE_WRONG_NAME,   /* the same */
	FAKE_WRONG_ALWAYS, /* a wrong question, nothing else */
	FAKE_TWICE,	   /* every answer two times */
	FAKE_SERVFAIL,
	FAKE_BARE_FORMERR,  /* header only */
	FAKE_CUT,	    /* UDP: TC; TCP: good */
	FAKE_FULL,	    /* UDP: an answer of 1,200 octets; TCP: good */
	FAKE_CUT_ALWAYS,    /* TC, by TCP too */
	FAKE_DRIBBLE,	    /* TCP: an octet at a time */
	FAKE_CLOSE_EACH,    /* TCP: closes after each answer */
	FAKE_CLOSE_AT_ONCE, /* TCP: closes when a question comes */
	FAKE_RESET,	    /* TCP: the same, by RST */
	FAKE_HALF,	    /* TCP: half an answer, then closes */
	FAKE_GARBAGE,	    /* TCP: octets that are no DNS */
	FAKE_BABBLE,	    /* TCP: the same, before it is asked */
	FAKE_REVERSE,	    /* TCP: answers what came together backwards */
	FAKE_LOSES_FIRST,   /* UDP: drops each first question of a name */
	FAKE_HABITS,
};

struct fake;

/* Starts a server, 'tcp' false: UDP only. */
struct fake *fake_start(enum fake_habit habit, bool tcp, unsigned delay_ms);
void fake_stop(struct fake *fake);
void fake_set(struct fake *fake, enum fake_habit habit);
/* Closes the connections there are. */
void fake_hang_up(struct fake *fake);
uint16_t fake_port(const struct fake *fake);
unsigned fake_questions(const struct fake *fake);
unsigned fake_connections(const struct fake *fake); /* accepted so far */
unsigned fake_reads(const struct fake *fake);	    /* of TCP */
/* Bits: 1 a question was not as it should be. */
unsigned fake_complaints(const struct fake *fake);

/* A port of 127.0.0.1 on which nothing listens. */
uint16_t fake_free_port(void);
