/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * near_tcp - round trips of TCP connections that clients have to named, as the
 * kernel knows them (sock_diag(7)): they cost nobody a packet.
 *
 * All of it on the thread of its loop; never waits.  Needs no rights.  Looks
 * every NEAR_TCP_MS, at no more than NEAR_DIAG_MAX connections.
 */
#include <uv.h>

#include "probes-client/near_diag.h"

#define NEAR_TCP_MS 5000u

struct near_tcp;

/* 0 and sets '*tcpp', to be closed with near_tcp_close(); or -ENOMEM. */
int near_tcp_new(uv_loop_t *loop, near_diag_seen seen, void *arg,
		 struct near_tcp **tcpp);

/* Looks at the connections to this port; 0: at none. */
void near_tcp_use(struct near_tcp *tcp, uint16_t port);

/* How often all were looked at. */
uint64_t near_tcp_dumps(const struct near_tcp *tcp);

/* The memory goes when the loop lets go of it.  NULL is fine. */
void near_tcp_close(struct near_tcp *tcp);
