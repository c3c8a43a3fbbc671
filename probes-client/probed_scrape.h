/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_scrape - puts the metrics together when somebody asks for them: the
 * side-car's own, and what the plugin says of itself.
 *
 * All of it on the thread of its loop; never waits.  The text is made once a
 * second at most, however many ask.
 */
#include <uv.h>

#include "common/config.h"
#include "probes-client/probed_log.h"
#include "probes-client/probed_metrics.h"

struct probed_scrape;

struct probed_scrape_setup {
	uv_loop_t *loop;
	const struct probed_log *log; /* must outlive it */
	/* Fills in all but 'web'. */
	void (*fill)(void *arg, struct probed_metrics *metrics);
	void *arg;
};

/* Returns 0 and sets '*scrapep', to be closed with probed_scrape_close(); or
 * -ENOMEM. */
int probed_scrape_new(const struct probed_scrape_setup *setup,
		      struct probed_scrape **scrapep);

/* Serves where 'config' says, and asks the plugin at 'path' (copied). */
void probed_scrape_use(struct probed_scrape *scrape, const char *path,
		       const struct config *config);

/* The memory goes when the loop lets go of it.  NULL is fine. */
void probed_scrape_close(struct probed_scrape *scrape);
