/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * near_method - a way to measure the round trip to a client: what a new one
 * must bring.
 *
 * One thread; nothing waits.  A try is one method at one client.  It has one
 * socket, which its owner watches, and sends one packet at a time, when its
 * owner says so: that is the budget.  A method that sends nothing has no
 * socket.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "gtm/client.h"

#define NEAR_DATA_MAX 256u /* octets of what a probe carries */

struct near_method;
struct near_routes;

struct near_try {
	/* the owner's to fill */
	const struct near_method *method;
	struct gtm_client client; /* an address; or a network: its first one */
	const char *about;	  /* NULL: nothing */
	uint64_t nonce;		  /* nobody can guess it */
	const struct near_routes *routes; /* NULL: none */
	uint32_t hop_ms;		  /* what each AS of them counts for */
	/* the method's */
	int fd; /* -1: none */
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to;
	socklen_t to_size;
	uint64_t sent_ns; /* monotonic */
	bool raw;
	uint8_t ttl;   /* of the last packet */
	uint8_t tries; /* packets without an answer */
	/* what came of it */
	bool answered, full;
	uint8_t hops; /* 0: the client itself */
	float ms;
};

enum near_verdict {
	NEAR_WAIT,   /* for more */
	NEAR_AGAIN,  /* one more packet is to be sent */
	NEAR_DONE,   /* answered */
	NEAR_FAILED, /* not, or no further */
};

struct near_method {
	const char *name;
	/* Makes sense only for the address of somebody who asked. */
	bool whole;
	/* Opens the socket; 0 or -errno.  Without a send(), which makes the
	 * other two superfluous, it has the answer already. */
	int (*start)(struct near_try *t);
	/* Sends a packet; 0, or -errno: the try has failed. */
	int (*send)(struct near_try *t);
	/* There is something to read, or an error. */
	enum near_verdict (*reply)(struct near_try *t);
	/* Nothing came in time. */
	enum near_verdict (*timeout)(struct near_try *t);
};

/* In the order of enum config_method. */
extern const struct near_method near_ptr, near_icmp, near_udp, near_ttl,
	near_aspath;
const struct near_method *near_method_of(unsigned int method);

/* -- what they share: near_socket.c ---------------------------------------- */

uint64_t near_now_ns(void); /* monotonic */

/* The address to send to, with 'port'; false: nobody is to be sent anything
 * there (multicast and the like). */
bool near_target(struct near_try *t, uint16_t port);

/* A socket that does not block and stamps what comes; -errno. */
int near_socket(int family, int type, int protocol);

/* Closes the socket of a try, if it has one. */
void near_close(struct near_try *t);

/* Milliseconds from when it was sent to when the kernel had the answer. */
float near_elapsed_ms(const struct near_try *t, struct msghdr *message);

/*
 * Reads what came: at most 'size' octets into 'data', who from into 'from'
 * (NULL is fine).  Returns how many; -EAGAIN: nothing; or another -errno.
 */
struct near_packet {
	uint8_t data[1500];
	size_t n;
	struct sockaddr_storage from;
	float ms;
};
int near_receive(const struct near_try *t, struct near_packet *packet);

/* What an ICMP message said of a UDP packet of ours. */
enum near_said {
	NEAR_SAID_NOTHING,
	NEAR_SAID_PORT, /* the client itself: nobody is at that port */
	NEAR_SAID_TTL,	/* a router: no further */
	NEAR_SAID_OTHER /* it cannot be reached */
};
struct near_error {
	enum near_said said;
	uint16_t port; /* that the packet went to */
	float ms;
};
/* Reads the next, if there is one. */
enum near_said near_error_read(const struct near_try *t,
			       struct near_error *error);

/* A time out that is tried again once. */
enum near_verdict near_timeout_twice(struct near_try *t);
