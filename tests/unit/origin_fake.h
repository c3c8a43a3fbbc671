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
	FAKE_SILENT,	 /* never answers */
	FAKE_SLOW,	 /* answers after 'delay_ms' */
	FAKE_WRONG_ID,	 /* and then the true answer */
	FAKE_WRONG_NAME, /* the same; so it is with all to RUBBISH: by UDP */
	FAKE_WRONG_TYPE,
	FAKE_WRONG_CLASS,
	FAKE_WRONG_CASE, /* one letter of the name */
	FAKE_NO_QR,
	FAKE_NO_COOKIE,
	FAKE_WRONG_COOKIE,
	FAKE_LONG_COOKIE,   /* ours is right, what follows is 33 octets */
	FAKE_CUT_NO_COOKIE, /* with TC */
	FAKE_OTHER_PORT,    /* right in all but where it comes from */
	FAKE_OTHER_ADDRESS, /* 127.0.0.2 */
	FAKE_RUBBISH,	    /* the right question, and no records behind */
	FAKE_WRONG_ALWAYS,  /* a wrong question, nothing else */
	FAKE_TWICE,	    /* every answer two times */
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
	FAKE_FOLDS,	    /* the name in lower case */
	FAKE_NO_OPTIONS,    /* FORMERR to those */
	FAKE_MUTE_OPTIONS,  /* UDP: no answer to those */
	FAKE_BAD_COOKIE,    /* UDP: BADCOOKIE unless it is the newest */
	FAKE_BAD_ALWAYS,    /* UDP: BADCOOKIE */
	FAKE_OTHERS_COOKIE, /* another client's, as from a cache */
	FAKE_POOL,	    /* every other answer has no cookie */
	FAKE_FLOOD,	    /* UDP: 40 with wrong IDs, then the true one */
	FAKE_HABITS,
};

struct fake;

/* Starts a server, 'tcp' false: UDP only. */
struct fake *fake_start(enum fake_habit habit, bool tcp, unsigned delay_ms);
void fake_stop(struct fake *fake);
void fake_set(struct fake *fake, enum fake_habit habit);
/* True answers have a cookie with a server's part of this octet; 0: none. */
void fake_set_cookie(struct fake *fake, uint8_t octet);
/* Closes the connections there are. */
void fake_hang_up(struct fake *fake);
uint16_t fake_port(const struct fake *fake);
unsigned fake_questions(const struct fake *fake);
unsigned fake_connections(const struct fake *fake); /* accepted so far */
unsigned fake_reads(const struct fake *fake);	    /* of TCP */
/* What the newest question had: octets of its cookie, and any capital. */
unsigned fake_cookie_n(const struct fake *fake);
bool fake_mixed(const struct fake *fake);
/* Bits: 1 a question was not as it should be. */
unsigned fake_complaints(const struct fake *fake);

/* A port of 127.0.0.1 on which nothing listens. */
uint16_t fake_free_port(void);
