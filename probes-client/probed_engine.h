/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_engine - runs the tests of a table as the schedule says.
 *
 * All of it on the thread of its loop.  A target has one test at a time; all
 * together have at most as many as there are descriptors for; those beyond
 * wait in order.
 */
#include <stdbool.h>
#include <uv.h>

#include "probes-client/probed_stats.h"
#include "probes-client/probed_table.h"

#define PROBED_TESTS_MAX 1000u /* at one time */

struct probed_engine;

/* Who wants to know.  Must not call the engine back. */
struct probed_watcher {
	/* A test of 'target' has ended. */
	void (*result)(void *arg, struct probed_target *target,
		       const struct probed_result *result,
		       enum probed_change change);
	/* Once: every target has had its first result. */
	void (*round)(void *arg);
	/*
	 * A test of 'target' said nothing of the server.  False: it is made
	 * again, soon.  True: it is taken for a failure.
	 */
	bool (*moot)(void *arg, const struct probed_target *target,
		     const struct probed_result *result);
	/* The target is no longer in the configuration, and will be freed. */
	void (*gone)(void *arg, struct probed_target *target);
	void *arg;
};

/*
 * Returns 0 and sets '*enginep', to be closed with probed_engine_close(); or
 * -ENOMEM.  'tests_max' (1..) is how many tests may run at one time.
 */
int probed_engine_new(uv_loop_t *loop, size_t tests_max,
		      const struct probed_watcher *watcher,
		      struct probed_engine **enginep);

/*
 * Takes 'table' over, and tests what is in it from now on.  Targets that are
 * the same as before go on as they were.  Returns 0; or -ENOMEM, and nothing
 * has changed: 'table' is still the caller's.
 */
int probed_engine_use(struct probed_engine *engine, struct probed_table *table);

/* The table in use, or NULL. */
const struct probed_table *
probed_engine_table(const struct probed_engine *engine);

/* True when every target had its first result, once. */
bool probed_engine_is_round(const struct probed_engine *engine);

/* How many tests were left out because their time had passed. */
uint64_t probed_engine_missed(const struct probed_engine *engine);

struct probed_engine_stats
probed_engine_stats(const struct probed_engine *engine);

/*
 * Ends all tests without a word and frees the table; the rest goes when the
 * loop lets go of it.
 */
void probed_engine_close(struct probed_engine *engine); /* NULL is fine */

/*
 * How many tests the limit of descriptors allows, at most PROBED_TESTS_MAX;
 * raises the limit as far as it goes.
 */
size_t probed_engine_tests_max(void);
