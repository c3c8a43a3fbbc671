/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * origin_int - what the parts of 'origin' share.  For origin*.c and the tests
 * of origin only.
 *
 *   origin.c         the questions: start, answer, failure, time
 *   origin_server.c  the servers: finding, choosing, round trips, back-off
 *   origin_guard.c   what tells an answer by UDP from a forgery
 *   origin_lane.c    what carries questions: who asked under which ID
 *   origin_tcp.c     lanes that are connections
 *   origin_tls.c     the TLS of such a connection, on memory BIOs
 *   origin_udp.c     lanes that are sockets
 *
 * A question (struct origin_ask) is in the heap of 'origins' from its first
 * try to its end, and in at most one lane, or among the orphans of a lane
 * that failed.  A caller's callback may ask again or close everything: after
 * any call that can end a question, a lane may be closed (its memory lives
 * until libuv's close callback) and a question may be gone.
 */
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "cacheproxy/origin.h"
#include "cacheproxy/tsig.h"

#define ORIGIN_UDP_SIZE	 1232u /* advertised */
#define ORIGIN_UDP_SPARE 64u   /* this near to it, data may be left out */
#define ORIGIN_UDP_MORE	 640u  /* likewise, where some is there */
#define ORIGIN_UDP_POOL	 8u    /* sockets of one server in use at a time */
#define ORIGIN_SLOTS	 256u  /* hash slots of a lane */
#define ORIGIN_BUCKETS	 8192u /* hash buckets of the server table */
#define ORIGIN_READ_MAX	 65536u
#define ORIGIN_MSG_MAX	 (2u + 65535u) /* with its length before it */
#define ORIGIN_TRIES_MAX 16u

#define ORIGIN_OURS_N	  8u  /* octets of a client's cookie */
#define ORIGIN_THEIRS_MAX 32u /* and of a server's, at most */
#define ORIGIN_OPTION_MAX (4u + ORIGIN_OURS_N + ORIGIN_THEIRS_MAX)

/* Marks of a question: see origin_guard.c, below. */
#define ORIGIN_COOKIE 1u
#define ORIGIN_CASE   2u

/* Circular lists; a head is a link as well. */
struct link {
	struct link *prev, *next;
};

static inline void link_init(struct link *link)
{
	link->prev = link->next = link;
}

static inline void link_append(struct link *head, struct link *link)
{
	link->prev = head->prev;
	link->next = head;
	head->prev->next = link;
	head->prev = link;
}

/* Afterwards 'link' is a list of its own, so that twice is once. */
static inline void link_remove(struct link *link)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): unlinked before freed */
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link_init(link);
}

static inline bool link_empty(const struct link *head)
{
	return head->next == head;
}

#define LINK_OWNER(ptr, type, member)                                          \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Octets that grow up to a limit. */
struct octets {
	uint8_t *p;
	size_t n, room;
};

/* 0, -ENOMEM, or -ENOBUFS above 'max'. */
int origin_octets_add(struct octets *octets, const uint8_t *p, size_t n,
		      size_t max);
void origin_octets_drop(struct octets *octets, size_t n); /* from the front */
void origin_octets_free(struct octets *octets);

/* The numbers that a test may want to be smaller. */
struct origin_tuning {
	uint64_t total_ms;   /* one question, over all servers */
	uint64_t idle_ms;    /* a connection or socket without one */
	uint64_t forget_ms;  /* a server without one */
	uint64_t backoff_ms; /* the first one */
	uint64_t backoff_max_ms;
	uint64_t remeasure_ms;	   /* age of a round trip worth another look */
	uint32_t explore_1_in;	   /* questions then used for that */
	uint64_t socket_ms;	   /* a UDP socket's life */
	uint32_t socket_questions; /* and in questions */
	uint32_t lane_max;	   /* questions under way in one lane */
	uint32_t server_max;	   /* and at one server */
	uint32_t connections_max;  /* to one server */
	uint32_t busy;		   /* questions before another is opened */

	uint32_t forged_max; /* datagrams that fit nothing, in one socket */
	uint64_t cookie_ms;  /* a client cookie's life */
	uint64_t spare_ms;   /* till a server is tried with marks again */
	uint64_t drop_tell_ms;
};

struct lane;
struct server;

struct origin_ask {
	struct origin_question q;
	struct origins *origins;
	struct server *server; /* asked now */
	struct lane *lane;     /* NULL: in none */
	struct origin_ask *chain;
	struct link orphan;
	size_t place; /* in the heap */
	uint64_t due_ms, end_ms;
	uint64_t sent_ns;
	struct tsig_mac *mac;
	uint8_t *kept; /* UDP answer, maybe not whole, while TCP is asked */
	size_t kept_n;
	int error;	/* of the last try */
	uint32_t tried; /* bit i: origins[i] */
	uint16_t id;
	uint8_t index;	/* of the origin asked now */
	uint8_t tries;	/* questions sent */
	uint8_t rcode;	/* last seen */
	bool again;	/* asked again already at this server */
	bool may_again; /* an orphan that deserves it */
	bool blame;	/* an orphan that counts as a failure if it may not */

	bool flees;	 /* an orphan to be asked by TCP */
	bool fled;	 /* did that, or should have: see origin_lane.c */
	bool proof;	 /* by TCP, marked, as what came by UDP was doubtful */
	bool bad_cookie; /* the answer wants another cookie */
	bool cookie_again; /* that was tried by UDP */
	bool stays;	   /* the next try is in the socket of the last */
	uint8_t socket;	   /* of that: place in server->pool */
	uint8_t with;	   /* marks it was sent with */
	uint8_t doubt;	   /* those that an answer was dropped for */
	uint8_t cookie[ORIGIN_OURS_N]; /* ours, as sent */
	uint16_t question_n;
	uint8_t question[]; /* name, type, class: as sent */
};

/* A connection's or a socket's table of the questions under way in it. */
struct lane {
	struct server *server;
	struct origin_ask *slot[ORIGIN_SLOTS];
	uint32_t n;
	uint32_t late;	    /* given up: their answers may still come */
	uint32_t n_credits; /* of a socket: how many were so, ever */
	bool stream;	    /* struct conn; otherwise struct sock */
	bool closed;
	bool draining;	  /* no new questions; closes when empty */
	uint32_t forged;  /* datagrams that were none of ours */
	uint64_t used_ms; /* last question or answer */
	uint64_t heard_ns;
};

enum conn_state { CONN_CONNECTING, CONN_HANDSHAKE, CONN_OPEN };

struct conn {
	struct lane lane; /* first */
	struct link link; /* in server->conns */
	struct link dirty;
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_write_t write;
	enum conn_state state;
	uint64_t born_ms;
	bool writing;	       /* 'sending' is libuv's */
	struct octets out;     /* to be written */
	struct octets sending; /* being written */
	struct octets part;    /* beginning of a message */
	struct octets plain;   /* to be encrypted */
	uint64_t answers;
	SSL *ssl; /* NULL: plain TCP */
};

struct sock {
	struct lane lane; /* first */
	struct link link; /* in server->socks */
	uv_poll_t poll;
	int fd;
	uint8_t place; /* in server->pool */
	uint64_t born_ms;
	uint32_t asked;
};

struct server {
	struct origins *origins;
	struct link link; /* in origins->servers */
	uint64_t number;  /* from 1 on, of no other before or after it */
	struct server *chain;
	struct sockaddr_storage address, source;
	enum config_transport transport;
	char *tls_name, *tls_ca;
	SSL_CTX *tls;
	SSL_SESSION *session;
	struct link conns, socks;
	struct sock *pool[ORIGIN_UDP_POOL];
	uint32_t n_conns, n_socks, in_flight;
	uint32_t n_closing; /* closed, but libuv has not let go yet */
	uint32_t srtt_us, rttvar_us;
	uint32_t fails; /* in a row */
	uint64_t due_ms;
	uint64_t measured_ms; /* 0: never */
	uint64_t used_ms;
	uint64_t heard_ns;
	uint64_t sent, answered, timeouts, failures, bad;
	uint64_t dropped[ORIGIN_DROPS];
	uint64_t told_ms[ORIGIN_DROPS]; /* 0: never */
	/* Of a server by UDP: */
	uint8_t shown;	/* marks that it has got right: demanded from then on */
	uint8_t spared; /* marks that it does not like: not sent */
	uint8_t strikes, silent;       /* of late: see origin_guard.c */
	uint64_t strike_ms, silent_ms; /* the last of them; 0: none */
	uint64_t excused_ms;	       /* cookies were, last; 0: never */
	uint8_t theirs_n;	       /* 0: none */
	uint8_t ours[ORIGIN_OURS_N], theirs[ORIGIN_THEIRS_MAX]; /* cookies */
	uint64_t spared_ms; /* the end of 'spared' */
	uint64_t ours_ms;   /* 0: none */
};

struct origins {
	uv_loop_t *loop;
	uv_timer_t timer;  /* for all deadlines */
	uv_idle_t flush;   /* runs once after questions were added */
	uv_check_t expire; /* runs once after the timer: see on_timer() */
	bool flushing, expiring;
	bool closing;
	unsigned n_handles;
	void (*closed)(void *arg);
	void *closed_arg;
	void (*changed)(void *arg, const struct origin_stats *stats,
			const char *why);
	void *changed_arg;
	void (*dropped)(void *arg, const struct origin_stats *stats,
			enum origin_drop why);
	void *dropped_arg;
	struct origin_tuning tuning;
	uint64_t prng;
	struct tsig *tsig;
	struct origin_ask **heap; /* by due_ms */
	size_t n_asks, heap_room;
	uint64_t armed_ms;		     /* 0: the timer is not running */
	uint64_t sweep_ms;		     /* next; 0: none */
	struct link orphans, dirty, servers; /* servers: by their numbers */
	size_t n_servers;
	uint64_t last_number;
	uint64_t sent;
	size_t n_random;
	uint16_t random[256];
	struct server *table[ORIGIN_BUCKETS];
	uint8_t cipher[ORIGIN_READ_MAX];
	uint8_t plain[ORIGIN_MSG_MAX + ORIGIN_READ_MAX];
};

/* -- origin.c */

/* A valid answer for 'ask', which is out of its lane already. */
void origin_ask_answered(struct origin_ask *ask, const uint8_t *msg, size_t n,
			 uint64_t now_ns);
/*
 * A datagram for 'ask' was cut, and dropped as it has no cookie.  Whether it
 * was true or forged, TCP is no worse a place to ask.
 */
void origin_ask_cut(struct origin_ask *ask);
/* The try failed with 'rc'; 'ask' is in no lane. */
void origin_ask_failed(struct origin_ask *ask, int rc);
/* Tries again, or elsewhere, for all whose lane failed. */
void origin_orphans_run(struct origins *origins);
/* Makes the timer run by 'due_ms'. */
void origin_timer_need(struct origins *origins, uint64_t due_ms);
/* The write of 'conn' happens before the loop sleeps. */
void origin_flush_need(struct conn *conn);
/* After uv_close() of any handle of ours. */
void origin_handle_gone(struct origins *origins);
/* 16 unpredictable bits. */
uint16_t origin_random(struct origins *origins);

/* -- origin_server.c */

/* NULL: no memory. */
struct server *origin_server_find(struct origins *origins,
				  const struct config_origin *origin,
				  enum config_transport transport);
/*
 * The origin of 'ask' to try next, of those not tried: its index, with
 * '*serverp' set; -1 when there is none.
 */
int origin_server_choose(const struct origin_ask *ask, struct server **serverp);
void origin_server_failed(struct server *server, int rc, const char *why);
void origin_server_answered(struct server *server, uint32_t rtt_us,
			    bool refused);
/* Counts what was dropped, and tells now and then. */
void origin_server_dropped(struct server *server, enum origin_drop why);
/* Microseconds to wait for an answer before a datagram counts as lost. */
uint64_t origin_server_patience(const struct server *server);
void origin_server_sweep(struct origins *origins);
void origin_servers_close(struct origins *origins); /* every lane */
void origin_servers_free(struct origins *origins);
void origin_server_stats(const struct server *server,
			 struct origin_stats *stats);

/* -- origin_lane.c */

void origin_lane_put(struct lane *lane, struct origin_ask *ask);
/* Takes 'ask' out; this may close the lane. */
void origin_lane_remove(struct origin_ask *ask);
/*
 * Takes all out, as orphans with 'error'.  'normal': by a close that is no
 * failure, so that each may be asked again once, and again if the lane made
 * 'progress'.
 */
void origin_lane_orphan(struct lane *lane, int error, bool normal,
			bool progress);
/* A message came.  False: whoever sends this on a stream is out of step. */
bool origin_lane_message(struct lane *lane, uint8_t *msg, size_t n,
			 uint64_t now_ns);
/*
 * Writes the question of 'ask' to 'out' (TSIG_QUERY_MAX octets): signed, if
 * the origin has a key.  0; -ENOKEY, -ENOMEM, -EINVAL.
 */
int origin_lane_encode(struct origin_ask *ask, uint8_t *out, size_t *n);

/*
 * Something came that is no answer to any question of the lane.  Of a socket,
 * this may close it and ask its questions otherwise.
 */
void origin_lane_dropped(struct lane *lane, enum origin_drop why);

/*
 * -- origin_guard.c: marks of questions by UDP
 *
 * A mark is something in a question that its answer has to repeat: the case
 * of letters (draft-vixie-dnsext-dns0x20) and a cookie (RFC 7873).  Marks are
 * in every first try.  One that a server has once got right is demanded from
 * then on, and is in the second try as well; one that it has not is left out
 * of the second, for servers that fold case or throw away what has an option.
 *
 * An answer without a mark that is demanded (and one that folds case) raises a
 * doubt.  If nothing better comes in time, the question goes by TCP, with the
 * same marks: what TCP says of them is believed, as no stranger can say it.
 * So a server that was replaced by a simpler one costs one question its first
 * timeout.  Where TCP is closed, three such questions do instead, none more
 * than ten minutes after the last.
 * An address whose cookies come and go (a pool of servers, of which some have
 * none or other secrets; a cache before it, that repeats what others were told)
 * is asked without for a while.
 *
 * Our cookie is chance, for a day, rather than a hash of addresses and a
 * secret (RFC 7873 section 4.1): there is a struct for every server anyway,
 * and nothing to find out.  It is forgotten with the struct, minutes after the
 * last question, and what was shown with it.
 */

/* Decides on the marks of the next try at ask->server, and spells it. */
void origin_guard_prepare(struct origin_ask *ask);
/* Writes the COOKIE option, if any, to 'out': octets, <= ORIGIN_OPTION_MAX. */
size_t origin_guard_option(const struct origin_ask *ask, uint8_t *out);
/* Whether 'msg', an answer (QR) with the ID of 'ask', may be believed. */
enum origin_drop origin_guard_check(struct origin_ask *ask, const uint8_t *msg,
				    size_t n);
/* Nothing better than a doubtful answer came in time. */
void origin_guard_doubted(struct origin_ask *ask);
/* TCP could not say whether the doubt was right. */
void origin_guard_unproven(struct origin_ask *ask);
/*
 * BADCOOKIE again, to what it said itself.  True: that is how it is, also if
 * TCP would answer.
 */
bool origin_guard_refused(struct origin_ask *ask);
/* Its cookies are of no use: they are left out.  False: no memory. */
bool origin_guard_plain(struct origin_ask *ask);
/* True: it may be the option that the server refused; ask without it. */
bool origin_guard_spare(struct origin_ask *ask, uint8_t rcode);

/* -- origin_tcp.c: also for TLS */

int origin_tcp_send(struct origin_ask *ask, struct server *server);
/* The connection is of no use; 'why' may be NULL. */
void origin_tcp_failed(struct conn *conn, int rc, const char *why);
void origin_tcp_close(struct conn *conn); /* no questions are in it */
void origin_tcp_flush(struct conn *conn);
void origin_tcp_opened(struct conn *conn);
/*
 * Where octets received are to be put: behind the part that is there
 * already; then, with 'n' of them put, they are taken.  -errno: failed.
 */
void origin_tcp_room(struct conn *conn, uint8_t **p, size_t *n);
int origin_tcp_take(struct conn *conn, size_t n);

/* -- origin_tls.c */

/*
 * Makes server->tls, if it has none: the CA file is read once, until a question
 * finds a certificate wrong.  0 or -errno.
 */
int origin_tls_context(struct server *server);
/* The peer must prove to be 'name' or, without one, 'address'. */
bool origin_tls_expect(SSL *ssl, const char *name,
		       const struct sockaddr_storage *address);

int origin_tls_start(struct conn *conn);
/* Takes 'n' octets from origins->cipher. 0 or -errno with '*why'. */
int origin_tls_input(struct conn *conn, size_t n, const char **why);
/* Moves conn->plain, encrypted, to conn->out. */
int origin_tls_output(struct conn *conn);
void origin_tls_end(struct conn *conn); /* says goodbye */
void origin_tls_free(struct conn *conn);
void origin_tls_forget(struct server *server);

/* -- origin_udp.c */

/* 'avoid': the socket that was no good, or NULL. */
int origin_udp_send(struct origin_ask *ask, struct server *server,
		    const struct lane *avoid);
void origin_udp_close(struct sock *sock);
/* No more questions for it: another socket takes its place. */
void origin_udp_retire(struct sock *sock);
