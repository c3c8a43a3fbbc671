/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_view - a unix socket on which the side-car shows its tests to nzctl.
 * Nothing can be changed by it.
 *
 * All of it on the thread of its loop; never waits.  Bounds: VIEW_CLIENTS at a
 * time, others are closed; a request of VIEW_REQUEST_MAX octets; VIEW_LIFE_MS
 * for a reply to be read and the next request to come; VIEW_PAGE tests in a
 * reply.  A line is a request, a line is its reply, as on the plugin's socket:
 *   {"command":"tests","server":"fra-a","after":["fra-a","192.0.2.1","web"]}
 * where "server" and "after" may be left out.
 */
#include <json-c/json.h>
#include <uv.h>

#include "probes-client/probed_log.h"
#include "probes-client/probed_table.h"

#define VIEW_CLIENTS	 16u
#define VIEW_REQUEST_MAX 4096u
#define VIEW_LIFE_MS	 10000u
#define VIEW_PAGE	 200u

struct probed_view;

struct probed_view_setup {
	uv_loop_t *loop;
	const struct probed_log *log; /* must outlive it, like the next */
	const char *node;
	/* The table as it is now; NULL: none yet. */
	const struct probed_table *(*table)(void *arg);
	void *arg;
};

/*
 * Listens at 'path'.  Where that cannot be had it says so once and goes on
 * without: '*viewp' may be NULL then.  Returns 0; or -ENOMEM.
 */
int probed_view_new(const struct probed_view_setup *setup, const char *path,
		    struct probed_view **viewp);

/* The memory goes when the loop lets go of it.  NULL is fine. */
void probed_view_close(struct probed_view *view);

/*
 * The reply to a request, the caller's; NULL: no memory.  Pure; 'now_ms' is
 * monotonic, 'unix_ms' the same by the clock.
 */
struct json_object *probed_view_reply(const struct probed_table *table,
				      const char *node, struct slice request,
				      uint64_t now_ms, int64_t unix_ms);
