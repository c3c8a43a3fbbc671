/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_test - one test that is running: its time limit, its one outcome.
 * What is done on the network is probed_tcp's and probed_http's.
 *
 * All calls from the thread of the loop.  A test ends exactly once: with its
 * result, or silently when it is cancelled; its memory goes when the loop has
 * let go of its handles.  A result that comes later than it could if we had
 * been running is moot.
 */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/config.h"
#include "probes-client/probed_target.h"

typedef void (*probed_done)(void *arg, const struct probed_result *result);

/* What a test is to do; read while it starts. */
struct probed_task {
	const struct config_service *service;
	const struct sockaddr_storage *address; /* port 0 */
	const char *address_text;
	probed_done done;
	void *arg;
};

struct probed_test;
/* Lets go of all but the test's own memory. */
typedef void (*probed_stop)(struct probed_test *test);
/* What to say of a test that takes too long; 'out' has PROBED_DETAIL_MAX. */
typedef void (*probed_late)(struct probed_test *test, char *out);

/* First member of each kind's own struct, which comes from calloc(). */
struct probed_test {
	uv_timer_t timer;
	uint64_t started_ns;
	uint32_t limit_ms;
	bool is_lacking; /* of something of our own: its result is moot */
	probed_done done;
	void *arg;
	probed_stop stop;
	probed_late late; /* NULL: nothing more to say */
	unsigned handles; /* open ones of the loop */
	bool over;
	const struct config_service *service;
	struct probed_times times; /* as the kind marks them */
	int64_t expires_s;
	struct probed_result early; /* known already: to be told soon */
};

/*
 * Begins: the time runs.  The kind's stop() is called once, at the end.
 * 'limit_ms' is when the test is given up.
 */
void probed_test_begin(struct probed_test *test, uv_loop_t *loop,
		       const struct probed_task *task, uint32_t limit_ms);

/* Its time begins anew. */
void probed_test_again(struct probed_test *test, uint32_t limit_ms);

/* Counts a handle of the kind's own; its close callback is the next. */
void probed_test_opened(struct probed_test *test);
void probed_test_closed(uv_handle_t *handle); /* handle->data: the test */

/* Microseconds since it began, at least 1: for 'times'. */
uint32_t probed_test_us(const struct probed_test *test);

/*
 * Ends a good one with a metric of its own, not the time that it took;
 * 'degraded': good, but not well.
 */
void probed_test_end_metric(struct probed_test *test, uint32_t metric,
			    bool degraded, const char *detail);

/* Ends it with a result: 'error', and 'detail' (NULL: none) about it. */
void probed_test_end(struct probed_test *test, enum probe_error error,
		     const char *detail);

/*
 * The same by errno (positive) of what was tried on the network; without
 * descriptors, memory or the like the result is moot.
 */
void probed_test_end_errno(struct probed_test *test, int error);
void probed_test_end_errno_soon(struct probed_test *test, int error);

/* True if the errno says that we ourselves are short of something. */
bool probed_test_is_lacking(int error);

/*
 * 0; or an errno that says that no file can be opened now, so that what a
 * library thinks of a certificate is worth nothing.
 */
int probed_test_file_errno(void);

/* As probed_test_end(), but from the loop, after who began it has returned. */
void probed_test_end_soon(struct probed_test *test, enum probe_error error,
			  const char *detail);

/* Ends it without a word. */
void probed_test_cancel(struct probed_test *test);

/* Where the server is, with the service's port. */
void probed_test_to(const struct probed_task *task,
		    struct sockaddr_storage *to);
/* Where to test it from; false: anywhere. */
bool probed_test_from(const struct probed_task *task,
		      struct sockaddr_storage *from);

/*
 * Connects; should that fail at once, the test ends soon.  'tcp' is the kind's
 * own, and open; 'on_connect' is called with 'connect' as uv's is.
 */
void probed_test_connect(struct probed_test *test, uv_tcp_t *tcp,
			 uv_connect_t *connect, const struct probed_task *task,
			 uv_connect_cb on_connect);

/* The error of a connect() that failed with 'error' (errno, positive). */
enum probe_error probed_connect_error(int error);
