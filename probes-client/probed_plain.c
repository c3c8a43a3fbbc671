/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_plain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "probes-client/probed.h"
#include "probes-client/probed_curl.h"
#include "probes-client/probed_response.h"

#define HOST_MAX    320	  /* a name or an address, and a port */
#define REQUEST_MAX 7168  /* a path, all of it as %XX, and the headers */
#define READ_MAX    16384 /* octets at one time */
#define HTTP_PORT   80

struct plain_test {
	struct probed_test test; /* first */
	struct probed_sock sock;
	struct probed_response response;
	bool sent;
	size_t n_request;
	char request[]; /* until it is sent */
};

bool probed_plain_fits(const struct config_service *service)
{
	return service->probe == CONFIG_HTTP && service->n_headers == 0 &&
	       service->expect.n_headers == 0 &&
	       (service->method == CONFIG_REQUEST_OWN ||
		service->method == CONFIG_GET);
}

static void plain_stop(struct probed_test *test)
{
	struct plain_test *t = (struct plain_test *)test;

	probed_sock_close(&t->sock);
	probed_response_fini(&t->response);
}

/* What it was doing: "connecting, 2s". */
static void plain_late(struct probed_test *test, char *out)
{
	const struct plain_test *t = (const struct plain_test *)test;
	const char *phase = "connecting";
	char span[32];

	if (test->times.first_us != 0)
		phase = "reading the answer";
	else if (t->sent)
		phase = "waiting for the answer";
	probed_span_print(test->limit_ms, span, sizeof(span));
	snprintf(out, PROBED_DETAIL_MAX, "%s, %s", phase, span);
}

/* -- the answer ------------------------------------------------------------ */

/* It is whole, or as much of it as is wanted is there. */
static void answer_judge(struct plain_test *t)
{
	struct probed_response *r = &t->response;
	enum probe_error error = PROBE_STATUS;
	char text[PROBED_DETAIL_MAX];

	if (probed_response_is_good(r))
		error = probed_check_judge(&r->check, text, sizeof(text));
	else
		probed_check_status_print(r->check.expect, r->status, text,
					  sizeof(text));
	probed_test_end(&t->test, error, text);
}

static void state_take(struct plain_test *t, enum probed_response_state state)
{
	char text[PROBED_DETAIL_MAX];

	switch (state) {
	case PROBED_RESPONSE_MORE:
		break;
	case PROBED_RESPONSE_DONE:
		answer_judge(t);
		break;
	case PROBED_RESPONSE_CUT:
		probed_test_end(&t->test, PROBE_RESET, NULL);
		break;
	case PROBED_RESPONSE_BAD:
		probed_test_end(&t->test, PROBE_PROTOCOL, "it is not HTTP/1.1");
		break;
	default:
		snprintf(text, sizeof(text), "more than %u octets of headers",
			 PROBED_RESPONSE_HEAD_MAX);
		probed_test_end(&t->test, PROBE_PROTOCOL, text);
	}
}

/* Reads what is there.  A short read was all of it, if the peer goes on. */
static void answer_read(struct plain_test *t, bool closed)
{
	char in[READ_MAX];
	ssize_t n = READ_MAX;

	while (!t->test.over && (n == READ_MAX || closed)) {
		n = recv(t->sock.fd, in, sizeof(in), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			probed_test_end_errno(&t->test, errno);
			return;
		}
		if (n == 0) {
			state_take(t, probed_response_end(&t->response));
			return;
		}
		if (t->test.times.first_us == 0)
			t->test.times.first_us = probed_test_us(&t->test);
		state_take(t, probed_response_feed(
				      &t->response,
				      (struct slice){ in, (size_t)n }));
	}
}

/* -- the request ----------------------------------------------------------- */

/* Returns 0 when it is sent or must wait; or -errno.  It is so short that it
 * fits into an empty buffer, or not at all. */
static int request_send(struct plain_test *t)
{
	ssize_t n = send(t->sock.fd, t->request, t->n_request, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	t->sent = true;
	t->test.times.connect_us = probed_test_us(&t->test);
	return (size_t)n == t->n_request ? 0 : -ENOBUFS;
}

static void on_ready(struct probed_sock *sock, uint32_t events)
{
	struct plain_test *t = sock->arg;
	int error = 0;

	if ((events & EPOLLERR) != 0)
		error = probed_sock_error(sock);
	if (error == 0 && !t->sent && (events & EPOLLOUT) != 0)
		error = -request_send(t);
	if (error != 0) {
		probed_test_end_errno(&t->test, error);
		return;
	}
	if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0 && t->sent)
		answer_read(t, (events & (EPOLLRDHUP | EPOLLHUP)) != 0);
}

/* As libcurl asks. */
static size_t request_print(const struct probed_task *task, char *out,
			    size_t size)
{
	const struct config_service *service = task->service;
	bool v6 = service->host == NULL && task->address->ss_family == AF_INET6;
	const char *name =
		service->host != NULL ? service->host : task->address_text;
	char host[HOST_MAX], target[PROBED_CURL_TARGET_MAX];

	snprintf(host, sizeof(host), v6 ? "[%s]" : "%s", name);
	if (service->port != HTTP_PORT) {
		size_t n = strlen(host);
		snprintf(host + n, sizeof(host) - n, ":%u", service->port);
	}
	probed_curl_target_print(service->path, target);
	return (size_t)snprintf(out, size,
				"GET %s HTTP/1.1\r\n"
				"Host: %s\r\n"
				"User-Agent: nearzone-probed/" PROBED_VERSION
				"\r\n"
				"Accept: */*\r\n"
				"Connection: close\r\n"
				"\r\n",
				target, host);
}

static struct plain_test *test_new(const struct probed_task *task)
{
	char request[REQUEST_MAX];
	size_t n = request_print(task, request, sizeof(request));
	if (n >= sizeof(request))
		return NULL;

	struct plain_test *t = calloc(1, sizeof(*t) + n);
	if (t == NULL)
		return NULL;
	memcpy(t->request, request, n);
	t->n_request = n;
	return t;
}

int probed_plain_start(struct probed_socks *socks,
		       const struct probed_task *task,
		       struct probed_test **testp)
{
	const struct config_service *service = task->service;
	struct plain_test *t = test_new(task);
	if (t == NULL || probed_response_init(&t->response, &service->expect)) {
		free(t);
		return -ENOMEM;
	}

	t->test.stop = plain_stop;
	t->test.late = plain_late;
	t->sock = (struct probed_sock){ -1, on_ready, t };
	probed_test_begin(&t->test, probed_socks_loop(socks), task,
			  service->timeout_ms);
	*testp = &t->test;
	int rc = probed_sock_open(socks, &t->sock, task);
	if (rc == 0) /* a near server is there already */
		rc = request_send(t);
	if (rc != 0)
		probed_test_end_errno_soon(&t->test, -rc);
	return 0;
}
