/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_multi.h"

#include <errno.h>
#include <stdlib.h>

struct probed_multi {
	uv_loop_t *loop;
	uv_timer_t timer;
	CURLM *multi;
	probed_multi_fn done;
};

/* A socket of libcurl's that the loop watches. */
struct watch {
	uv_poll_t poll;
	struct probed_multi *multi;
};

static void finished_collect(struct probed_multi *multi)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(multi->multi, &left)) != NULL) {
		CURL *easy = message->easy_handle;
		CURLcode code = message->data.result;
		if (message->msg != CURLMSG_DONE)
			continue;
		(void)curl_multi_remove_handle(multi->multi, easy);
		multi->done(easy, code);
	}
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;
	struct probed_multi *multi = watch->multi;
	int what = status < 0 ? CURL_CSELECT_ERR : 0;
	int running;
	uv_os_fd_t fd;

	if (uv_fileno((uv_handle_t *)poll, &fd) != 0)
		return;
	what |= (events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0;
	what |= (events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0;
	/* Perhaps the end of 'watch'. */
	curl_multi_socket_action(multi->multi, fd, what, &running);
	finished_collect(multi);
}

static void on_timer(uv_timer_t *timer)
{
	struct probed_multi *multi = timer->data;
	int running;

	curl_multi_socket_action(multi->multi, CURL_SOCKET_TIMEOUT, 0,
				 &running);
	finished_collect(multi);
}

static int on_want_timer(CURLM *curlm, long timeout_ms, void *arg)
{
	struct probed_multi *multi = arg;

	(void)curlm;
	if (timeout_ms < 0) {
		uv_timer_stop(&multi->timer);
		return 0;
	}
	uv_update_time(multi->loop);
	uv_timer_start(&multi->timer, on_timer, (uint64_t)timeout_ms, 0);
	return 0;
}

static void watch_free(uv_handle_t *handle)
{
	free(handle->data);
}

static struct watch *watch_new(struct probed_multi *multi, curl_socket_t fd)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return NULL;
	watch->multi = multi;
	if (uv_poll_init_socket(multi->loop, &watch->poll, fd) != 0) {
		free(watch);
		return NULL;
	}
	watch->poll.data = watch;
	curl_multi_assign(multi->multi, fd, watch);
	return watch;
}

/* A socket that cannot be watched leaves its transfer to the time limit. */
static int on_want_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
			  void *known)
{
	struct probed_multi *multi = arg;
	struct watch *watch = known;
	int events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (watch == NULL)
			return 0;
		curl_multi_assign(multi->multi, fd, NULL);
		uv_close((uv_handle_t *)&watch->poll, watch_free);
		return 0;
	}
	if (watch == NULL)
		watch = watch_new(multi, fd);
	if (watch == NULL)
		return 0;
	events |= what != CURL_POLL_OUT ? UV_READABLE : 0;
	events |= what != CURL_POLL_IN ? UV_WRITABLE : 0;
	uv_poll_start(&watch->poll, events, on_ready);
	return 0;
}

int probed_multi_new(uv_loop_t *loop, probed_multi_fn done,
		     struct probed_multi **multip)
{
	struct probed_multi *multi = calloc(1, sizeof(*multi));
	if (multi == NULL)
		return -ENOMEM;

	multi->loop = loop;
	multi->done = done;
	multi->multi = curl_multi_init();
	if (multi->multi == NULL) {
		free(multi);
		return -ENOMEM;
	}
	uv_timer_init(loop, &multi->timer);
	multi->timer.data = multi;
	curl_multi_setopt(multi->multi, CURLMOPT_SOCKETFUNCTION,
			  on_want_socket);
	curl_multi_setopt(multi->multi, CURLMOPT_SOCKETDATA, multi);
	curl_multi_setopt(multi->multi, CURLMOPT_TIMERFUNCTION, on_want_timer);
	curl_multi_setopt(multi->multi, CURLMOPT_TIMERDATA, multi);
	*multip = multi;
	return 0;
}

int probed_multi_add(struct probed_multi *multi, CURL *easy)
{
	return curl_multi_add_handle(multi->multi, easy) == CURLM_OK ? 0 : -EIO;
}

void probed_multi_remove(struct probed_multi *multi, CURL *easy)
{
	(void)curl_multi_remove_handle(multi->multi, easy);
}

static void multi_free(uv_handle_t *handle)
{
	free(handle->data);
}

void probed_multi_close(struct probed_multi *multi)
{
	if (multi == NULL)
		return;
	curl_multi_cleanup(multi->multi);
	uv_timer_stop(&multi->timer);
	uv_close((uv_handle_t *)&multi->timer, multi_free);
}
