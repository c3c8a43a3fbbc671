/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * near_dump - the table of routes that a file holds, and its successors.
 *
 * On the thread of its loop; the file is looked at and read by a thread of the
 * loop's pool, one at a time.  A file that was replaced (by rename, or in
 * place) is read again.  One that is damaged, or changes while it is read,
 * leaves the table that was there, and so does one that is gone.
 */
#include <uv.h>

#include "common/config.h"
#include "probes-client/near_routes.h"
#include "probes-client/near_stats.h"
#include "probes-client/probed_log.h"

struct near_dump;

struct near_dump_setup {
	uv_loop_t *loop;
	const struct probed_log *log; /* must outlive it */
	/* There is another table, or NULL: none; it holds until the next call,
	 * and the one before is still there. */
	void (*changed)(void *arg, const struct near_routes *routes);
	void *arg;
};

/* 0 and sets '*dumpp', to be closed with near_dump_close(); or -ENOMEM. */
int near_dump_new(const struct near_dump_setup *setup,
		  struct near_dump **dumpp);

/*
 * From now on the file at 'path' (copied; NULL: none), looked at now and every
 * 'interval_ms'.  If it is another one, there is no table until it is read.
 */
void near_dump_use(struct near_dump *dump, const char *path,
		   uint32_t interval_ms);

struct near_dump_stats near_dump_stats(const struct near_dump *dump);

/* The memory goes when the loop lets go of it.  NULL is fine. */
void near_dump_close(struct near_dump *dump);
