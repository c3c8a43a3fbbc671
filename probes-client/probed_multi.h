/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_multi - libcurl's multi interface on an event loop: transfers go in,
 * and each is told of when it has ended.
 *
 * All of it on the thread of its loop; never waits.
 */
#include <curl/curl.h>
#include <uv.h>

struct probed_multi;

/* The transfer has ended, and is no longer in the multi handle. */
typedef void (*probed_multi_fn)(CURL *easy, CURLcode code);

/* Returns 0 and sets '*multip', to be closed with probed_multi_close(); or
 * -ENOMEM. */
int probed_multi_new(uv_loop_t *loop, probed_multi_fn done,
		     struct probed_multi **multip);

/* Begins a transfer.  Returns 0; or -EIO, and it will not be told of. */
int probed_multi_add(struct probed_multi *multi, CURL *easy);

/* Gives one up; it will not be told of. */
void probed_multi_remove(struct probed_multi *multi, CURL *easy);

/* No transfer may be in it.  The memory goes when the loop lets go of it.
 * NULL is fine. */
void probed_multi_close(struct probed_multi *multi);
