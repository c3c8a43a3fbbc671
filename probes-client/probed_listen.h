/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_listen - hears NOTIFY messages (UDP and TCP) on the addresses that
 * the configuration has, answers them, and has the hints passed on.
 *
 * All of it on the thread of its loop.  Listens whether or not the plugin is
 * there.  An address that cannot be listened on is tried again from time to
 * time.  Bounds: PROBED_LISTEN_CLIENTS connections, from origins only, of
 * PROBED_LISTEN_MS each; PROBED_LISTEN_REFUSALS answers a second to those who
 * may not notify, the rest go unanswered.
 */
#include <uv.h>

#include "common/config.h"
#include "probes-client/probed_hints.h"
#include "probes-client/probed_log.h"

#define PROBED_LISTEN_CLIENTS  32u
#define PROBED_LISTEN_MS       5000u
#define PROBED_LISTEN_REFUSALS 10u

struct probed_listen;

/* Must outlive the listener. */
struct probed_listen_setup {
	uv_loop_t *loop;
	const struct probed_log *log;
	struct probed_hints *hints;
	void (*heard)(void *arg); /* a hint was taken */
	void *arg;
};

/* 0 or -ENOMEM. */
int probed_listen_new(const struct probed_listen_setup *setup,
		      struct probed_listen **listenp);

/* Listens where 'config' says, and nowhere else. */
void probed_listen_use(struct probed_listen *listen,
		       const struct config *config);

/* The memory goes when the loop lets go of it.  NULL is fine. */
void probed_listen_close(struct probed_listen *listen);
