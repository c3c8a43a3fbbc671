/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_tcp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct tcp_test {
	struct probed_test test; /* first */
	uv_tcp_t tcp;
	uv_connect_t connect;
};

static void tcp_stop(struct probed_test *test)
{
	struct tcp_test *t = (struct tcp_test *)test;

	uv_close((uv_handle_t *)&t->tcp, probed_test_closed);
}

/* Words for what is not one of the usual errors. */
static const char *detail_of(enum probe_error error, int rc, char *out,
			     size_t size)
{
	if (error != PROBE_LOCAL)
		return NULL;
	return uv_strerror_r(rc, out, size);
}

static void on_connect(uv_connect_t *connect, int rc)
{
	struct probed_test *test = connect->data;
	enum probe_error error = PROBE_OK;
	char text[PROBED_DETAIL_MAX];

	if (test->over) /* UV_ECANCELED */
		return;
	if (rc != 0)
		error = probed_connect_error(-rc);
	else
		test->times.connect_us = probed_test_us(test);
	probed_test_end(test, error, detail_of(error, rc, text, sizeof(text)));
}

int probed_tcp_start(uv_loop_t *loop, const struct probed_task *task,
		     struct probed_test **testp)
{
	struct tcp_test *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;

	t->test.stop = tcp_stop;
	probed_test_begin(&t->test, loop, task, task->service->timeout_ms);
	t->tcp.data = &t->test;
	uv_tcp_init(loop, &t->tcp);
	probed_test_opened(&t->test);
	t->connect.data = &t->test;
	probed_test_connect(&t->test, &t->tcp, &t->connect, task, on_connect);
	*testp = &t->test;
	return 0;
}
