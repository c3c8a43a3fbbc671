/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_ask - asks the plugin for its status, page by page, on a connection of
 * its own that lasts for as long.
 *
 * All of it on the thread of its loop; never waits.  A plugin that hangs has
 * PROBED_ASK_MS for each reply; whatever it does, the answer comes within
 * PROBED_ASK_ALL_MS, with what was had till then.
 */
#include <uv.h>

#include "common/config.h"

#define PROBED_ASK_MS	  1000u
#define PROBED_ASK_ALL_MS 5000u
#define PROBED_REPLY_MAX  (5u << 20)  /* octets of one reply */
#define PROBED_PAGES_MAX  2000u	      /* some 200 are needed at most */
#define PROBED_ALL_MAX	  (64u << 20) /* octets of all pages */

struct json_object;
struct probed_ask;

/*
 * Called with each page of the status as it comes, the callee's to read only.
 * Returns the "after" of the next one to ask for, a reference, or NULL.
 */
typedef struct json_object *(*probed_paged)(void *arg,
					    struct json_object *page);

/*
 * The replies to "status" (its first page) and to "servers"; they are the
 * callee's to read only.  Either may be NULL: not had in time, or (servers)
 * too many to ask for.
 */
typedef void (*probed_asked)(void *arg, struct json_object *status,
			     struct json_object *servers);

/* Returns 0 and sets '*askp', to be closed with probed_ask_close(); or
 * -ENOMEM. */
int probed_ask_new(uv_loop_t *loop, probed_paged paged, probed_asked asked,
		   void *arg, struct probed_ask **askp);

/* The plugin's socket: at most CONFIG_SOCKET_MAX octets; copied. */
void probed_ask_use(struct probed_ask *ask, const char *path);

/* Begins; one call of 'asked' follows, perhaps at once.  Not again before. */
void probed_ask_start(struct probed_ask *ask);

/* Without a word.  The memory goes when the loop lets go of it.  NULL is fine.
 */
void probed_ask_close(struct probed_ask *ask);
