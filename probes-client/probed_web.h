/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_web - gives one text, "/metrics", to those who ask for it by HTTP/1.1
 * GET or HEAD, and errors to all else.
 *
 * All of it on the thread of its loop; never waits.  Bounds: WEB_CONNECTIONS
 * at a time (one more takes the place of the oldest that has not asked yet, or
 * is closed), a head of PROBED_HEAD_MAX octets, WEB_LIFE_MS from the first
 * octet to the last.  A connection gets one answer and is closed; what comes
 * after a request is thrown away.
 */
#include <stdbool.h>
#include <sys/socket.h>
#include <uv.h>

#include "common/config.h"
#include "probes-client/probed_log.h"
#include "probes-client/probed_stats.h"

#define WEB_CONNECTIONS 32u
#define WEB_LIFE_MS	10000u

struct probed_web;

/* A text that several connections may be sending. */
struct probed_text;

struct probed_web_setup {
	uv_loop_t *loop;
	const struct probed_log *log; /* must outlive it */
	/* Somebody waits: to be answered, now or later, by one
	 * probed_web_give().  Not called again before. */
	void (*want)(void *arg);
	void *arg;
};

/* Returns 0 and sets '*webp', to be closed with probed_web_close(); or
 * -ENOMEM. */
int probed_web_new(const struct probed_web_setup *setup,
		   struct probed_web **webp);

/*
 * Listens at these addresses (with ports, at most CONFIG_METRICS_MAX), and at
 * no others.  Where that cannot be had it says so once, and tries again.
 */
void probed_web_use(struct probed_web *web,
		    const struct sockaddr_storage *addresses, size_t n);

/* Answers all who wait; NULL: with 503. */
void probed_web_give(struct probed_web *web, struct probed_text *text);

struct probed_web_stats probed_web_stats(const struct probed_web *web);

/* Octets of all texts that there are. */
size_t probed_web_text_bytes(const struct probed_web *web);

/* The memory goes when the loop lets go of it.  NULL is fine. */
void probed_web_close(struct probed_web *web);

/*
 * Takes 'p' (from malloc()) over.  Returns a text with one reference, the
 * caller's, to be given back before probed_web_close(); or NULL, with 'p'
 * freed.
 */
struct probed_text *probed_text_new(struct probed_web *web, char *p, size_t n);
void probed_text_unref(struct probed_text *text); /* NULL is fine */
