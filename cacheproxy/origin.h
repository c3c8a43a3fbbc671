/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * origin - asks origin servers: few, persistent, pipelined connections (TCP,
 * RFC 7766; TLS, RFC 7858) or rotating UDP sockets (RFC 5452), shared by all
 * zones that name the same server.
 *
 * Belongs to the engine thread: every function and every callback runs there,
 * on its libuv loop.  Nothing here knows libdns but the TSIG calls; answers
 * are handed on as octets that passed the question check.
 *
 * Choice of server: of those not backing off, the one with the lowest
 * smoothed round trip (RFC 6298 section 2), the configured order deciding
 * ties; now and then another one is tried so that its figure stays true.  A
 * server that fails (connect, timeout, bad answer) backs off 1 s, doubling to
 * 60 s, and then gets one question to show that it is well; when all back
 * off, the one due first is tried all the same.  One question that times out
 * at a server which answers others is no failure of the server.
 *
 * What a stranger who can send in a server's name, but not read what is sent
 * to it, has to guess for one question by UDP (RFC 5452): the port, as the
 * socket is connected and the kernel drops what comes from elsewhere (a random
 * one of some 28,000; 8 sockets a server, each for 20 s or 512 questions); the
 * ID, 16 bits; the case of each letter of the name; and 64 bits of cookie (RFC
 * 7873), where the server has shown that it sends ours back.  A question has
 * one ID in one socket at a time, and the caller sees to it that what clients
 * ask of a zone is not under way twice: there is no birthday to be had.  What
 * does not fit is dropped and the true answer waited for; after 32 such
 * datagrams a socket is given up and its questions are asked by TCP or, where
 * that is closed, by one more socket; a second time, those without a cookie
 * end.  So a question can be guessed at 32 times in each of its sockets: one,
 * two if a datagram was lost, and one more without TCP.  Each answer that did
 * not come in time gives a socket one guess more, 32 at most.
 *
 * Cookies are for UDP alone: TCP's sequence numbers do what they do, TLS and
 * TSIG more.  Questions that are signed have neither cookie nor mixed case.
 *
 * The thread must have SIGPIPE blocked or ignored.
 */
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/config.h"

struct isc_mem;
struct dns_tsigkey;
struct origins;	   /* all servers of this process */
struct origin_ask; /* one question under way */

/* How a question ended, for the caller's callback. */
struct origin_reply {
	int status; /* 0; -ETIMEDOUT, -ECONNREFUSED and other network errors,
		       -ECANCELED, -ENOBUFS, -ENOMEM,
		       -EBADMSG (TSIG or question did not hold),
		       -EPROTO (TLS: handshake or certificate),
		       -ENOKEY (no TSIG key of that name),
		       -EREMOTEIO (every origin answered SERVFAIL, REFUSED..);
		       with several servers, that of the last one tried */
	const uint8_t *msg; /* valid during the callback; NULL unless 0 */
	size_t n;
	const struct config_origin *origin; /* who answered; NULL unless 0 */
	uint32_t rtt_us;
	uint8_t tries; /* questions sent for it */
	uint8_t rcode; /* last rcode seen, also when status is -EREMOTEIO */
};

typedef void (*origin_done)(void *arg, const struct origin_reply *reply);

/*
 * The TSIG key named 'name', as a libdns object: a reference that is the
 * asker's from then on and is detached once.  NULL: there is none.
 */
typedef struct dns_tsigkey *(*origin_key_find)(void *arg,
					       const struct dname *name);

/*
 * What is asked.  The name and the origins live until the callback; the
 * struct itself is copied.
 */
struct origin_question {
	const struct dname *name; /* sent as it is: lower case */
	uint16_t qtype;
	const struct config_origin *origins;
	size_t n_origins;	  /* 1..CONFIG_ORIGINS_MAX */
	origin_key_find key_find; /* needed where an origin has a key */
	origin_done done;	  /* called exactly once, never from inside
				     origin_ask() */
	void *arg;		  /* for 'done' and 'key_find' */
};

/* 'mctx': an isc_mem_t, for TSIG.  'seed': random bits. 0 or -errno. */
int origins_new(uv_loop_t *loop, struct isc_mem *mctx, uint64_t seed,
		struct origins **originsp);

/*
 * Ends every question (-ECANCELED), closes everything; then 'closed' is
 * called, from the loop, and the object is gone.  May be called from any
 * callback of this module but 'changed'.
 */
void origins_close(struct origins *origins, void (*closed)(void *arg),
		   void *arg);

/*
 * Asks.  0, or -errno and 'done' is not called: -ENOBUFS when every server
 * has all the questions that it may have, -ECANCELED after origins_close().
 */
int origin_ask(struct origins *origins, const struct origin_question *question);

/* Why what came was dropped; see origin_drop_name(). */
enum origin_drop {
	ORIGIN_DROP_NONE,
	ORIGIN_DROP_MALFORMED, /* no DNS message, or no answer */
	ORIGIN_DROP_ID,	       /* nothing was asked under that ID */
	ORIGIN_DROP_QUESTION,
	ORIGIN_DROP_SPELLING,  /* the right question in another case */
	ORIGIN_DROP_NO_COOKIE, /* from a server that has cookies */
	ORIGIN_DROP_COOKIE,    /* not the one that was sent */
	ORIGIN_DROP_SIGNATURE, /* TSIG */
	ORIGIN_DROPS,
};

/* A word for it: "malformed", "wrong_id", "no_cookie"... */
const char *origin_drop_name(enum origin_drop drop);

/* One server's figures, for status. */
struct origin_stats {
	struct sockaddr_storage address;
	enum config_transport transport;
	bool up;	  /* not backing off */
	uint32_t srtt_us; /* 0: never measured */
	uint32_t connections, in_flight;
	uint64_t sent, answered, timeouts, failures, bad;
	uint64_t dropped[ORIGIN_DROPS]; /* by cause; all are in 'bad', too */
};

/* How many servers are known. */
size_t origins_count(const struct origins *origins);

/*
 * Calls 'each' for the servers known that came after the one of number 'after'
 * (0: for all), till it returns false: it has not taken that one.  Returns the
 * number of the last that it took if there are more, else 0.
 */
uint64_t origins_page(const struct origins *origins, uint64_t after,
		      bool (*each)(void *arg, const struct origin_stats *stats),
		      void *arg);

/*
 * Has 'changed' called whenever a server goes down ('why' says why) or comes
 * up again ('why' is NULL); also from inside origin_ask().  It may not call
 * this module.  NULL ends it.
 */
void origins_watch(struct origins *origins,
		   void (*changed)(void *arg, const struct origin_stats *stats,
				   const char *why),
		   void *arg);

/*
 * Has 'dropped' called when something from a server was dropped: the first
 * time and then at most every ten minutes, for each cause.  It may not call
 * this module.  NULL ends it.
 */
void origins_watch_drops(struct origins *origins,
			 void (*dropped)(void *arg,
					 const struct origin_stats *stats,
					 enum origin_drop why),
			 void *arg);

/* Questions sent to origins since the start. */
uint64_t origins_sent(const struct origins *origins);
