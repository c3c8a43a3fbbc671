/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probes-client/probed_dns.h"
#include "probes-client/probed_random.h"

#define ANSWER_MAX 4096u
#define OTHERS_MAX 100u /* datagrams that are not ours */

struct udp_test {
	struct probed_test test; /* first */
	uv_udp_t udp;
	uint16_t id;
	unsigned int n_others;
	uint8_t answer[ANSWER_MAX];
};

static void udp_stop(struct probed_test *test)
{
	struct udp_test *t = (struct udp_test *)test;

	uv_close((uv_handle_t *)&t->udp, probed_test_closed);
}

static void udp_late(struct probed_test *test, char *out)
{
	const struct udp_test *t = (const struct udp_test *)test;
	char span[32];

	probed_span_print(test->service->timeout_ms, span, sizeof(span));
	snprintf(out, PROBED_DETAIL_MAX, "waiting for the answer, %s", span);
	if (t->n_others > 0)
		snprintf(out, PROBED_DETAIL_MAX,
			 "waiting for the answer, %s; %u did not fit the "
			 "question",
			 span, t->n_others);
}

static void on_room(uv_handle_t *handle, size_t want, uv_buf_t *buf)
{
	struct udp_test *t = handle->data;

	(void)want;
	*buf = uv_buf_init((char *)t->answer, sizeof(t->answer));
}

static void on_answer(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf,
		      const struct sockaddr *from, unsigned int flags)
{
	struct udp_test *t = udp->data;
	char detail[PROBED_DETAIL_MAX];

	(void)buf;
	(void)flags;
	if (t->test.over || (n == 0 && from == NULL))
		return;
	if (n < 0) {
		probed_test_end_errno(&t->test, (int)-n);
		return;
	}
	int error = probed_dns_judge(t->test.service, t->id, t->answer,
				     (size_t)n, detail);
	if (error < 0 && ++t->n_others < OTHERS_MAX)
		return;
	t->test.times.first_us = probed_test_us(&t->test);
	if (error < 0)
		probed_test_end(&t->test, PROBE_PROTOCOL,
				"answers that do not fit the question");
	else
		probed_test_end(&t->test, (enum probe_error)error, detail);
}

static int ask(struct udp_test *t, const struct probed_task *task)
{
	uint8_t question[PROBED_DNS_ASK_MAX];
	struct sockaddr_storage to, from;
	size_t n = probed_dns_ask(&task->service->question, t->id, question);
	uv_buf_t buf = uv_buf_init((char *)question, (unsigned int)n);

	probed_test_to(task, &to);
	int rc = 0;
	if (probed_test_from(task, &from))
		rc = uv_udp_bind(&t->udp, (const struct sockaddr *)&from, 0);
	/* Connected: so that a port nobody listens at is heard of. */
	if (rc == 0)
		rc = uv_udp_connect(&t->udp, (const struct sockaddr *)&to);
	if (rc == 0)
		rc = uv_udp_recv_start(&t->udp, on_room, on_answer);
	if (rc == 0)
		rc = uv_udp_try_send(&t->udp, &buf, 1, NULL);
	return rc < 0 ? rc : 0;
}

int probed_udp_start(uv_loop_t *loop, const struct probed_task *task,
		     struct probed_test **testp)
{
	struct udp_test *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;

	t->id = (uint16_t)probed_random();
	t->test.stop = udp_stop;
	t->test.late = udp_late;
	probed_test_begin(&t->test, loop, task, task->service->timeout_ms);
	t->udp.data = t;
	uv_udp_init(loop, &t->udp);
	probed_test_opened(&t->test);
	int rc = ask(t, task);
	if (rc != 0)
		probed_test_end_errno_soon(&t->test, -rc);
	*testp = &t->test;
	return 0;
}
