/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_ask - asks the plugin for its status, on a connection of its own that
 * lasts for as long.
 *
 * All of it on the thread of its loop; never waits.  Whatever the plugin does,
 * the answer comes within PROBED_ASK_MS.
 */
#include <uv.h>

#include "common/config.h"

#define PROBED_ASK_MS	 1000u
#define PROBED_REPLY_MAX (5u << 20) /* octets of one reply */

struct json_object;
struct probed_ask;

/*
 * The replies to "status" and to "servers"; they are the callee's to read
 * only.  Either may be NULL: not had in time, or (servers) too many to ask
 * for.
 */
typedef void (*probed_asked)(void *arg, struct json_object *status,
			     struct json_object *servers);

/* Returns 0 and sets '*askp', to be closed with probed_ask_close(); or
 * -ENOMEM. */
int probed_ask_new(uv_loop_t *loop, probed_asked asked, void *arg,
		   struct probed_ask **askp);

/* The plugin's socket: at most CONFIG_SOCKET_MAX octets; copied. */
void probed_ask_use(struct probed_ask *ask, const char *path);

/* Begins; one call of 'asked' follows, perhaps at once.  Not again before. */
void probed_ask_start(struct probed_ask *ask);

/* Without a word.  The memory goes when the loop lets go of it.  NULL is fine.
 */
void probed_ask_close(struct probed_ask *ask);
