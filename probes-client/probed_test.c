/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_test.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LATE_MS 250u /* a result after the limit and this is moot */

void probed_test_opened(struct probed_test *test)
{
	test->handles++;
}

void probed_test_closed(uv_handle_t *handle)
{
	struct probed_test *test = handle->data;

	assert(test->handles > 0);
	test->handles--;
	if (test->handles == 0)
		free(test);
}

static void test_close(struct probed_test *test)
{
	test->over = true;
	uv_timer_stop(&test->timer);
	test->stop(test);
	uv_close((uv_handle_t *)&test->timer, probed_test_closed);
}

/* Milliseconds, begun ones whole. */
static uint32_t metric_of(const struct probed_test *test)
{
	uint64_t ms = (uv_hrtime() - test->started_ns + 999999) / 1000000;

	if (ms < 1)
		return 1;
	return ms < PROBE_METRIC_FAILED ? (uint32_t)ms
					: PROBE_METRIC_FAILED - 1;
}

uint32_t probed_test_us(const struct probed_test *test)
{
	uint64_t us = (uv_hrtime() - test->started_ns) / 1000;

	if (us < 1)
		return 1;
	return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

/* Did we hear of it too late to know? */
static enum probed_moot moot_of(const struct probed_test *test)
{
	uint64_t ms = (uv_hrtime() - test->started_ns) / 1000000;

	if (test->is_lacking)
		return PROBED_LACKING;
	return ms > (uint64_t)test->limit_ms + LATE_MS ? PROBED_LATE
						       : PROBED_NOT_MOOT;
}

static void result_set(struct probed_result *result, enum probe_error error,
		       const char *detail)
{
	*result = (struct probed_result){ .error = error,
					  .metric_ms = PROBE_METRIC_FAILED };
	snprintf(result->detail, sizeof(result->detail), "%s",
		 detail != NULL ? detail : "");
}

static void result_tell(struct probed_test *test, struct probed_result *result)
{
	result->times = test->times;
	result->times.total_us = probed_test_us(test);
	result->expires_s = test->expires_s;
	result->moot = moot_of(test);
	test_close(test);
	test->done(test->arg, result);
}

void probed_test_end_metric(struct probed_test *test, uint32_t metric,
			    bool degraded, const char *detail)
{
	struct probed_result result;

	if (test->over)
		return;
	result_set(&result, PROBE_OK, detail);
	result.metric_ms = metric;
	result.degraded = degraded;
	result_tell(test, &result);
}

void probed_test_end(struct probed_test *test, enum probe_error error,
		     const char *detail)
{
	struct probed_result result;

	if (test->over)
		return;
	result_set(&result, error, detail);
	if (error == PROBE_OK) {
		uint32_t ms = metric_of(test);
		result.metric_ms = probed_target_metric(test->service, ms);
		result.degraded = test->service->degraded_ms > 0 &&
				  ms > test->service->degraded_ms;
	}
	result_tell(test, &result);
}

void probed_test_cancel(struct probed_test *test)
{
	if (!test->over)
		test_close(test);
}

static void on_limit(uv_timer_t *timer)
{
	struct probed_test *test = timer->data;
	char detail[PROBED_DETAIL_MAX] = "";

	if (test->late != NULL)
		test->late(test, detail);
	probed_test_end(test, PROBE_TIMEOUT, detail);
}

static void on_early(uv_timer_t *timer)
{
	struct probed_test *test = timer->data;
	struct probed_result early = test->early;

	probed_test_end(test, early.error, early.detail);
}

void probed_test_end_soon(struct probed_test *test, enum probe_error error,
			  const char *detail)
{
	result_set(&test->early, error, detail);
	uv_timer_start(&test->timer, on_early, 0, 0);
}

void probed_test_again(struct probed_test *test, uint32_t limit_ms)
{
	uv_update_time(test->timer.loop);
	uv_timer_start(&test->timer, on_limit, limit_ms, 0);
	test->started_ns = uv_hrtime();
	test->limit_ms = limit_ms;
}

bool probed_test_is_lacking(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM ||
	       error == ENOBUFS;
}

int probed_test_file_errno(void)
{
	int fd = open("/", O_PATH | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd < 0 && probed_test_is_lacking(errno) ? errno : 0;
}

/* Words for what is not one of the usual errors. */
static const char *words_of(struct probed_test *test, int error, char *out,
			    size_t size)
{
	test->is_lacking = probed_test_is_lacking(error);
	if (probed_connect_error(error) != PROBE_LOCAL)
		return NULL;
	return uv_strerror_r(-error, out, size);
}

void probed_test_end_errno(struct probed_test *test, int error)
{
	char text[PROBED_DETAIL_MAX];
	const char *words = words_of(test, error, text, sizeof(text));

	probed_test_end(test, probed_connect_error(error), words);
}

void probed_test_end_errno_soon(struct probed_test *test, int error)
{
	char text[PROBED_DETAIL_MAX];
	const char *words = words_of(test, error, text, sizeof(text));

	probed_test_end_soon(test, probed_connect_error(error), words);
}

void probed_test_begin(struct probed_test *test, uv_loop_t *loop,
		       const struct probed_task *task, uint32_t limit_ms)
{
	test->done = task->done;
	test->arg = task->arg;
	test->service = task->service;
	test->timer.data = test;
	test->limit_ms = limit_ms;
	uv_timer_init(loop, &test->timer);
	probed_test_opened(test);
	/* The loop's own idea of the time may be old. */
	uv_update_time(loop);
	uv_timer_start(&test->timer, on_limit, limit_ms, 0);
	test->started_ns = uv_hrtime();
}

void probed_test_to(const struct probed_task *task, struct sockaddr_storage *to)
{
	*to = *task->address;
	if (to->ss_family == AF_INET)
		((struct sockaddr_in *)(void *)to)->sin_port =
			htons(task->service->port);
	else
		((struct sockaddr_in6 *)(void *)to)->sin6_port =
			htons(task->service->port);
}

bool probed_test_from(const struct probed_task *task,
		      struct sockaddr_storage *from)
{
	*from = task->address->ss_family == AF_INET ? task->service->source4
						    : task->service->source6;
	return from->ss_family != AF_UNSPEC;
}

void probed_test_connect(struct probed_test *test, uv_tcp_t *tcp,
			 uv_connect_t *connect, const struct probed_task *task,
			 uv_connect_cb on_connect)
{
	struct sockaddr_storage to, from;
	int rc = 0;

	probed_test_to(task, &to);
	if (probed_test_from(task, &from))
		rc = uv_tcp_bind(tcp, (const struct sockaddr *)&from, 0);
	if (rc == 0)
		rc = uv_tcp_connect(connect, tcp, (const struct sockaddr *)&to,
				    on_connect);
	if (rc == 0)
		return;
	probed_test_end_errno_soon(test, -rc);
}

enum probe_error probed_connect_error(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return PROBE_REFUSED;
	case ETIMEDOUT:
		return PROBE_TIMEOUT;
	case ECONNRESET:
	case ECONNABORTED:
	case EPIPE:
		return PROBE_RESET;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
		return PROBE_UNREACHABLE;
	default: /* no descriptor, port, memory, permission or family */
		return PROBE_LOCAL;
	}
}
