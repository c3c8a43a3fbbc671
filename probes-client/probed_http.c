/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probes-client/probed_curl.h"

#define N_LANES	 16u
#define LATER_MS 25u /* libcurl, which knows more, gives up first */

/*
 * libcurl keeps the authorities of one file in memory, for each multi handle:
 * to read the system's takes longer than many a test.  So tests that trust the
 * same file share a lane, and others have another.
 */
struct lane {
	struct probed_http *http;
	CURLM *multi; /* NULL: not in use */
	uv_timer_t timer;
	char *ca_file; /* NULL: the system's */
	size_t n_running;
	bool stale; /* takes no more tests */
};

struct probed_http {
	uv_loop_t *loop;
	struct lane lanes[N_LANES];
	size_t n_open; /* timers that the loop has */
};

struct http_test {
	struct probed_test test; /* first */
	struct lane *lane;
	struct probed_curl curl;
};

/* A socket of libcurl's that the loop watches. */
struct watch {
	uv_poll_t poll;
	struct lane *lane;
};

/* -- ends ------------------------------------------------------------------ */

static void http_stop(struct probed_test *test)
{
	struct http_test *t = (struct http_test *)test;

	if (t->curl.easy != NULL)
		(void)curl_multi_remove_handle(t->lane->multi, t->curl.easy);
	probed_curl_fini(&t->curl);
	t->lane->n_running--;
}

static void http_late(struct probed_test *test, char *out)
{
	struct http_test *t = (struct http_test *)test;

	if (t->curl.easy != NULL)
		probed_curl_phase(&t->curl, out, PROBED_DETAIL_MAX);
}

static void test_finish(CURL *easy, CURLcode code)
{
	char detail[PROBED_DETAIL_MAX] = "";
	char *private = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	struct http_test *t = (void *)private;
	enum probe_error error =
		probed_curl_judge(&t->curl, code, detail, sizeof(detail));
	t->test.is_lacking = probed_test_is_lacking(t->curl.socket_error);
	probed_test_end(&t->test, error, detail);
}

static void finished_collect(struct lane *lane)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(lane->multi, &left)) != NULL)
		if (message->msg == CURLMSG_DONE)
			test_finish(message->easy_handle, message->data.result);
}

/* -- libcurl on the loop ------------------------------------------------- */

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;
	struct lane *lane = watch->lane;
	uv_os_fd_t fd;
	int what = status < 0 ? CURL_CSELECT_ERR : 0;
	int running;

	if (uv_fileno((uv_handle_t *)poll, &fd) != 0)
		return;
	what |= (events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0;
	what |= (events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0;
	/* Perhaps the end of 'watch'. */
	curl_multi_socket_action(lane->multi, fd, what, &running);
	finished_collect(lane);
}

static void on_timer(uv_timer_t *timer)
{
	struct lane *lane = timer->data;
	int running;

	curl_multi_socket_action(lane->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	finished_collect(lane);
}

static int on_want_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct lane *lane = arg;

	(void)multi;
	if (timeout_ms < 0) {
		uv_timer_stop(&lane->timer);
		return 0;
	}
	uv_update_time(lane->http->loop);
	uv_timer_start(&lane->timer, on_timer, (uint64_t)timeout_ms, 0);
	return 0;
}

static void watch_free(uv_handle_t *handle)
{
	free(handle->data);
}

static struct watch *watch_new(struct lane *lane, curl_socket_t fd)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return NULL;
	watch->lane = lane;
	if (uv_poll_init_socket(lane->http->loop, &watch->poll, fd) != 0) {
		free(watch);
		return NULL;
	}
	watch->poll.data = watch;
	curl_multi_assign(lane->multi, fd, watch);
	return watch;
}

/* One that only waits to hear is connected: libcurl says so after TLS. */
static void connected_mark(CURL *easy)
{
	char *private = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	struct http_test *t = (void *)private;
	if (t != NULL && t->test.times.connect_us == 0)
		t->test.times.connect_us = probed_test_us(&t->test);
}

/* A socket that cannot be watched leaves its test to the time limit. */
static int on_want_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
			  void *known)
{
	struct lane *lane = arg;
	struct watch *watch = known;
	int events = 0;

	if (what == CURL_POLL_IN)
		connected_mark(easy);
	if (what == CURL_POLL_REMOVE) {
		if (watch != NULL) {
			curl_multi_assign(lane->multi, fd, NULL);
			uv_close((uv_handle_t *)&watch->poll, watch_free);
		}
		return 0;
	}
	if (watch == NULL)
		watch = watch_new(lane, fd);
	if (watch == NULL)
		return 0;
	events |= what != CURL_POLL_OUT ? UV_READABLE : 0;
	events |= what != CURL_POLL_IN ? UV_WRITABLE : 0;
	uv_poll_start(&watch->poll, events, on_ready);
	return 0;
}

/* -- lanes ----------------------------------------------------------------- */

static bool file_same(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

static void lane_close(struct lane *lane)
{
	if (lane->multi == NULL)
		return;
	curl_multi_cleanup(lane->multi);
	uv_timer_stop(&lane->timer);
	free(lane->ca_file);
	lane->multi = NULL;
	lane->ca_file = NULL;
}

static int lane_open(struct lane *lane, const char *ca_file)
{
	CURLM *multi = curl_multi_init();
	char *copy = ca_file != NULL ? strdup(ca_file) : NULL;

	if (multi == NULL || (ca_file != NULL && copy == NULL)) {
		curl_multi_cleanup(multi); /* NULL is fine */
		free(copy);
		return -ENOMEM;
	}
	lane->multi = multi;
	lane->ca_file = copy;
	lane->stale = false;
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_want_socket);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, lane);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_want_timer);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, lane);
	return 0;
}

/*
 * The lane of a file; else one that nobody uses, made the file's; else, with
 * more files than lanes, any: slower, but not wrong.  NULL: no memory.
 */
static struct lane *lane_of(struct probed_http *http, const char *ca_file)
{
	struct lane *free_lane = NULL;

	for (size_t i = 0; i < N_LANES; i++) {
		struct lane *lane = &http->lanes[i];
		if (lane->multi != NULL && !lane->stale &&
		    file_same(lane->ca_file, ca_file))
			return lane;
		if (free_lane == NULL ||
		    (free_lane->multi != NULL && lane->n_running == 0))
			free_lane = lane;
	}
	if (free_lane->n_running > 0)
		return free_lane;
	lane_close(free_lane);
	return lane_open(free_lane, ca_file) == 0 ? free_lane : NULL;
}

/* -- life ------------------------------------------------------------------ */

int probed_http_new(uv_loop_t *loop, struct probed_http **httpp)
{
	struct probed_http *http = calloc(1, sizeof(*http));
	if (http == NULL)
		return -ENOMEM;

	http->loop = loop;
	http->n_open = N_LANES;
	for (size_t i = 0; i < N_LANES; i++) {
		struct lane *lane = &http->lanes[i];
		lane->http = http;
		uv_timer_init(loop, &lane->timer);
		lane->timer.data = lane;
	}
	*httpp = http;
	return 0;
}

int probed_http_start(struct probed_http *http, const struct probed_task *task,
		      struct probed_test **testp)
{
	struct lane *lane = lane_of(http, task->service->ca_file);
	struct http_test *t = calloc(1, sizeof(*t));
	if (t == NULL || lane == NULL) {
		free(t);
		return -ENOMEM;
	}

	t->lane = lane;
	lane->n_running++;
	t->test.stop = http_stop;
	t->test.late = http_late;
	probed_test_begin(&t->test, http->loop, task,
			  task->service->timeout_ms + LATER_MS);
	*testp = &t->test;
	if (probed_curl_init(&t->curl, task, &t->test) != 0) {
		probed_test_end_errno_soon(&t->test, ENOMEM);
		return 0;
	}
	curl_easy_setopt(t->curl.easy, CURLOPT_PRIVATE, (void *)t);
	CURLMcode added = curl_multi_add_handle(lane->multi, t->curl.easy);
	if (added != CURLM_OK) /* it had no memory, or no pipe */
		probed_test_end_errno_soon(&t->test, ENOMEM);
	return 0;
}

void probed_http_forget(struct probed_http *http)
{
	for (size_t i = 0; i < N_LANES; i++) {
		struct lane *lane = &http->lanes[i];
		lane->stale = true;
		if (lane->n_running == 0)
			lane_close(lane);
	}
}

static void on_lane_closed(uv_handle_t *handle)
{
	struct lane *lane = handle->data;
	struct probed_http *http = lane->http;

	http->n_open--;
	if (http->n_open == 0)
		free(http);
}

void probed_http_close(struct probed_http *http)
{
	for (size_t i = 0; i < N_LANES; i++) {
		struct lane *lane = &http->lanes[i];
		lane_close(lane);
		uv_close((uv_handle_t *)&lane->timer, on_lane_closed);
	}
}
