/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MORE  PROBED_RESPONSE_MORE
#define DONE  PROBED_RESPONSE_DONE
#define CUT   PROBED_RESPONSE_CUT
#define BAD   PROBED_RESPONSE_BAD
#define FLOOD PROBED_RESPONSE_FLOOD

#define OK     "HTTP/1.1 200 OK\r\n"
#define CHUNKS OK "Transfer-Encoding: chunked\r\n\r\n"

/* 'status' 0: 200 to 399. */
static void begin(struct probed_response *r, uint16_t status, const char *text)
{
	static struct config_expect expect;

	expect = (struct config_expect){ .n_statuses = status != 0,
					 .body = text,
					 .size_max = UINT64_MAX };
	expect.statuses[0] = (struct config_span){ status, status };
	assert_int_equal(probed_response_init(r, &expect), 0);
}

static enum probed_response_state read_all(struct probed_response *r,
					   const char *text, size_t piece)
{
	struct slice all = slice_of(text);
	enum probed_response_state state = MORE;

	while (all.n > 0 && state == MORE) {
		struct slice part = { all.p, all.n < piece ? all.n : piece };
		state = probed_response_feed(r, part);
		all.p += part.n;
		all.n -= part.n;
	}
	return state;
}

static const struct {
	const char *text;
	enum probed_response_state state, end; /* end: if the peer closes */
	unsigned status;
	bool found; /* "needle" */
} cases[] = {
	{ OK "Content-Length: 6\r\n\r\nneedle", DONE, DONE, 200, true },
	{ OK "Content-Length: 3\r\n\r\nnee", DONE, DONE, 200, false },
	{ OK "content-length:\t4 \r\n\r\nabcd", DONE, DONE, 200, false },
	{ OK "Content-Length: 100\r\n\r\nabc", MORE, CUT, 200, false },
	{ OK "Content-Length: 0\r\n\r\n", DONE, DONE, 200, false },
	/* No length: till the peer closes. */
	{ OK "\r\nhay needle", DONE, DONE, 200, true },
	{ OK "\r\nhay", MORE, DONE, 200, false },
	{ "HTTP/1.0 200 OK\n\nhay", MORE, DONE, 200, false },
	{ "HTTP/1.1 200\r\n\r\n", MORE, DONE, 200, false },
	/* No body whatever is said of one. */
	{ "HTTP/1.1 204 No\r\n\r\n", DONE, DONE, 204, false },
	{ "HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", DONE, DONE, 304,
	  false },
	/* Not wanted: its body is not waited for. */
	{ "HTTP/1.1 503 Ill\r\nContent-Length: 5\r\n\r\n", DONE, DONE, 503,
	  false },
	{ "HTTP/1.1 103 Early\r\nContent-Length: 5\r\n\r\n" OK
	  "Content-Length: 1\r\n\r\nx",
	  DONE, DONE, 200, false },
	{ "HTTP/1.1 100 Continue\r\n\r\n", MORE, CUT, 0, false },
	{ CHUNKS "3\r\nnee\r\n3;a=b\r\ndle\r\n0\r\n\r\n", DONE, DONE, 200,
	  true },
	{ CHUNKS "A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", DONE, DONE, 200,
	  false },
	{ CHUNKS "3\r\nnee\r\n0\r\nTrailer: x\r\n", MORE, CUT, 200, false },
	{ CHUNKS "3\r\nneedle\r\n", BAD, BAD, 200, false },
	{ CHUNKS "\r\n", BAD, BAD, 200, false },
	{ CHUNKS "x\r\n", BAD, BAD, 200, false },
	{ CHUNKS "3x\r\nabc", BAD, BAD, 200, false },
	{ CHUNKS "1000000000000000\r\nabc", BAD, BAD, 200, false },
	/* The coding is said, so that the length does not count. */
	{ OK "Content-Length: 1\r\nTransfer-Encoding: gzip,chunked\r\n\r\n"
	     "2\r\nab\r\n0\r\n\r\n",
	  DONE, DONE, 200, false },
	{ OK "Transfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nabc", MORE,
	  DONE, 200, false },
	{ OK "Transfer-Encoding: notchunked\r\n\r\nabc", MORE, DONE, 200,
	  false },
	{ OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde", DONE, DONE,
	  200, false },
	{ OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", BAD, BAD, 200,
	  false },
	{ OK "Content-Length: -1\r\n\r\n", BAD, BAD, 200, false },
	{ OK "Content-Length: 1 1\r\n\r\n", BAD, BAD, 200, false },
	{ OK "Content-Length:\r\n\r\n", BAD, BAD, 200, false },
	{ OK "Content-Length: 9999999999999999999\r\n\r\n", BAD, BAD, 200,
	  false },
	{ "", MORE, CUT, 0, false },
	{ "HTTP/1", MORE, CUT, 0, false },
	{ "HTTP/1.1 200 OK\r\nX: y\r\n", MORE, CUT, 200, false },
	{ "220 smtp.example ESMTP\r\n", BAD, BAD, 0, false },
	{ "HTTP/2 200 OK\r\n\r\n", BAD, BAD, 0, false },
	{ "HTTP/1.1 2000 OK\r\n\r\n", BAD, BAD, 0, false },
	{ "HTTP/1.1 20\r\n\r\n", BAD, BAD, 0, false },
	{ "HTTP/1.1 099 x\r\n\r\n", BAD, BAD, 99, false },
	{ "\r\n" OK, BAD, BAD, 0, false },
};

static void reads_answers(void **state)
{
	struct probed_response r;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t piece = 1; piece < 200; piece += piece) {
			begin(&r, 0, "needle");
			enum probed_response_state now =
				read_all(&r, cases[i].text, piece);
			if (now != cases[i].state ||
			    r.status != cases[i].status ||
			    r.check.body.found != cases[i].found)
				fail_msg("'%s' by %zu: %d, status %u, found %d",
					 cases[i].text, piece, (int)now,
					 r.status, r.check.body.found);
			if (now == MORE)
				assert_int_equal(probed_response_end(&r),
						 cases[i].end);
		}
	}
}

static void wants_a_status(void **state)
{
	struct probed_response r;

	(void)state;
	begin(&r, 503, NULL);
	assert_int_equal(
		read_all(&r, "HTTP/1.1 503 x\r\nContent-Length: 1\r\n\r\n", 99),
		MORE);
	assert_true(probed_response_is_good(&r));
	begin(&r, 204, NULL);
	assert_int_equal(read_all(&r, OK "\r\n", 99), DONE);
	assert_false(probed_response_is_good(&r));
}

static void bounds_headers(void **state)
{
	struct probed_response r;
	char line[1025];

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	memcpy(line, "X: ", 3);
	memcpy(line + sizeof(line) - 3, "\r\n", 3);
	begin(&r, 0, NULL);
	assert_int_equal(read_all(&r, OK, 99), MORE);
	for (int i = 0; i < 63; i++)
		assert_int_equal(read_all(&r, line, 99), MORE);
	assert_int_equal(read_all(&r, line, 99), FLOOD);
	/* A line without end. */
	begin(&r, 0, NULL);
	assert_int_equal(read_all(&r, OK, 99), MORE);
	line[sizeof(line) - 3] = 'x';
	line[sizeof(line) - 2] = 'x';
	for (int i = 0; i < 63; i++)
		assert_int_equal(read_all(&r, line, 99), MORE);
	assert_int_equal(read_all(&r, line, 99), FLOOD);
	/* What matters must be within what is kept. */
	begin(&r, 0, NULL);
	assert_int_equal(read_all(&r, OK "Content-Length: ", 99), MORE);
	memset(line, ' ', sizeof(line) - 1);
	assert_int_equal(read_all(&r, line, 99), MORE);
	assert_int_equal(read_all(&r, "5\r\n", 99), BAD);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_answers),
		cmocka_unit_test(wants_a_status),
		cmocka_unit_test(bounds_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
