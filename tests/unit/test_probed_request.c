/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static enum probed_fault reads(const char *text, struct probed_request *request)
{
	return probed_request_read(slice_of(text), request);
}

static void good(const char *text, enum probed_method method, const char *path)
{
	struct probed_request request;

	assert_int_equal(reads(text, &request), PROBED_HEAD_GOOD);
	assert_int_equal(request.method, method);
	assert_true(slice_is(request.path, path));
}

static void reads_what_is_right(void **state)
{
	(void)state;
	good("GET /metrics HTTP/1.1\r\nHost: a:5398\r\nAccept: */*\r\n\r\n",
	     PROBED_GET, "/metrics");
	good("GET /metrics HTTP/1.0\r\n\r\n", PROBED_GET, "/metrics");
	good("HEAD /metrics?a=b HTTP/1.1\r\nhOST:\r\n\r\n", PROBED_HEAD,
	     "/metrics");
	good("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET /", PROBED_GET, "/");
	good("get / HTTP/1.1\r\nHost: a\r\n\r\n", PROBED_OTHER_METHOD, "/");
	good("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", PROBED_OTHER_METHOD, "*");
	good("GET http://a:1/metrics?x HTTP/1.1\r\nHost: a\r\n\r\n", PROBED_GET,
	     "/metrics");
	good("GET HTTP://a HTTP/1.1\r\nHost: a\r\n\r\n", PROBED_GET, "/");
	good("GET / HTTP/1.1\r\nHost: a\r\nX: \t\xc3\xa4\r\n\r\n", PROBED_GET,
	     "/");
}

static void refuses_what_is_not(void **state)
{
	static const char *const bad[] = {
		"GET /metrics\r\n",
		"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\n\n",
		"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
		"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost\r\n\r\n",
		"GET / HTTP/1.1\r\n: a\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
		"GET / http/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.10\r\nHost: a\r\n\r\n",
		"GET / HTTP/1\r\nHost: a\r\n\r\n",
		"GET /\x01 HTTP/1.1\r\n",
		"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n",
		" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
		"\x16\x03\x01\x02",
	};
	struct probed_request request;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(reads(bad[i], &request), PROBED_HEAD_BAD);
	assert_int_equal(reads("PRI * HTTP/2.0\r\n\r\n", &request),
			 PROBED_HEAD_VERSION);
}

/* Each beginning of a head is only not there yet. */
static void waits_for_the_rest(void **state)
{
	const char *text = "\r\nGET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
	struct probed_request request;

	(void)state;
	for (size_t n = 0; n < strlen(text); n++)
		assert_int_equal(probed_request_read((struct slice){ text, n },
						     &request),
				 PROBED_HEAD_MORE);
	assert_int_equal(reads(text, &request), PROBED_HEAD_GOOD);
}

static void bounds_a_head(void **state)
{
	static char text[PROBED_HEAD_MAX + 8];
	struct probed_request request;
	struct slice in = { text, PROBED_HEAD_MAX };
	int n = snprintf(text, sizeof(text),
			 "GET / HTTP/1.1\r\nHost: a\r\nX: ");

	(void)state;
	memset(text + n, 'x', sizeof(text) - (size_t)n);
	assert_int_equal(probed_request_read(in, &request), PROBED_HEAD_LONG);
	in.n--;
	assert_int_equal(probed_request_read(in, &request), PROBED_HEAD_MORE);
	/* One of just that length may be. */
	memcpy(text + PROBED_HEAD_MAX - 4, "\r\n\r\n", 4);
	in.n = sizeof(text);
	assert_int_equal(probed_request_read(in, &request), PROBED_HEAD_GOOD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_is_right),
		cmocka_unit_test(refuses_what_is_not),
		cmocka_unit_test(waits_for_the_rest),
		cmocka_unit_test(bounds_a_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
