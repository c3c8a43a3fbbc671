/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * near_link - asks the plugin whose latency it wants, and brings it what was
 * measured, on a connection of its own.
 *
 * All of it on the thread of its loop; never waits.  One line is under way at a
 * time.  A batch that was not answered is sent again when the plugin is back.
 */
#include <uv.h>

#include "common/config.h"
#include "probes-client/near_stats.h"
#include "probes-client/probed_log.h"

#define NEAR_LINE_MAX 60000u /* octets of a batch, with its newline */

struct json_object;
struct near_link;

struct near_link_setup {
	uv_loop_t *loop;
	const struct probed_log *log;
	/* The reply to "wanted", to be read only. */
	void (*wanted)(void *arg, struct json_object *reply);
	/*
	 * Writes rows, with commas between them, into 'out' (at most 'size'
	 * octets), at most 'max' of them; returns the octets, and sets '*np'.
	 * Takes them from what is to be told.
	 */
	size_t (*rows)(void *arg, char *out, size_t size, size_t max,
		       size_t *np);
	void *arg;
	const char *node;
};

/* 0 and sets '*linkp', to be closed with near_link_close(); or -ENOMEM. */
int near_link_new(const struct near_link_setup *setup,
		  struct near_link **linkp);

/*
 * Talks to the socket 'path' (copied; NULL: to nobody), and asks for what is
 * wanted if 'asks'.
 */
void near_link_use(struct near_link *link, const char *path,
		   const struct config *config, bool asks);

/* There are rows to be told; 'now': without waiting for more. */
void near_link_poke(struct near_link *link, bool now);

struct near_link_stats near_link_stats(const struct near_link *link);

/* The memory goes when the loop lets go of it.  NULL is fine. */
void near_link_close(struct near_link *link);
