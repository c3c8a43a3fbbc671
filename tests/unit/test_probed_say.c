/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_say.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/dname.h"
#include "probes-client/probed_dns.h"

#define MORE PROBED_SAY_MORE
#define TLS  PROBED_SAY_TLS
#define DONE PROBED_SAY_DONE
#define FAIL PROBED_SAY_FAIL

static struct config_service service_of(enum config_probe probe)
{
	return (struct config_service){ .probe = probe,
					.port = 7,
					.path = "/a b",
					.expect = { .size_max = UINT64_MAX } };
}

/* What is said, and forgets it. */
static const char *said(struct probed_say *say)
{
	static char text[PROBED_SAY_OUT + 1];

	memcpy(text, say->out, say->n_out);
	text[say->n_out] = '\0';
	say->n_out = 0;
	return text;
}

static enum probed_say_act hear(struct probed_say *say, const char *text)
{
	return probed_say_hear(say, (const uint8_t *)text, strlen(text));
}

/* The same, octet by octet: but the last one, all of it is not enough. */
static enum probed_say_act hear_slowly(struct probed_say *say, const char *text)
{
	for (; text[1] != '\0'; text++)
		assert_int_equal(probed_say_hear(say, (const uint8_t *)text, 1),
				 MORE);
	return probed_say_hear(say, (const uint8_t *)text, 1);
}

static void speaks_ftp(void **state)
{
	struct config_service ftp = service_of(CONFIG_FTP);
	struct probed_say say;

	(void)state;
	probed_say_init(&say, &ftp, "h", 1);
	assert_int_equal(probed_say_open(&say), MORE);
	assert_int_equal(hear_slowly(&say, "220-a\r\n  220 b\r\n220 c\r\n"),
			 DONE);
	assert_string_equal(said(&say), "QUIT\r\n");

	ftp.starttls = true;
	probed_say_init(&say, &ftp, "h", 1);
	assert_int_equal(probed_say_open(&say), MORE);
	assert_int_equal(hear(&say, "220 a\n"), MORE);
	assert_string_equal(said(&say), "AUTH TLS\r\n");
	assert_int_equal(hear(&say, "234 b\r\n"), TLS);
	say.secure = true;
	assert_int_equal(probed_say_open(&say), DONE);

	probed_say_init(&say, &ftp, "h", 1);
	assert_int_equal(hear(&say, "421 \x01 busy\r\n"), FAIL);
	assert_int_equal(say.error, PROBE_STATUS);
	assert_string_equal(say.detail, "421 ? busy; want 220");
	probed_say_init(&say, &ftp, "h", 1);
	assert_int_equal(hear(&say, "22"), MORE);
	assert_int_equal(hear(&say, "x"), FAIL);
	assert_int_equal(say.error, PROBE_PROTOCOL);
	probed_say_init(&say, &ftp, "h", 1);
	assert_int_equal(hear(&say, "22"), MORE);
	assert_int_equal(probed_say_end(&say), FAIL);
	assert_int_equal(say.error, PROBE_RESET);
}

static void speaks_smtp(void **state)
{
	struct config_service smtp = service_of(CONFIG_SMTP);
	struct probed_say say;

	(void)state;
	smtp.starttls = true;
	smtp.expect.body = "ESMTP";
	probed_say_init(&say, &smtp, "h", 1);
	assert_int_equal(probed_say_open(&say), MORE);
	assert_int_equal(hear_slowly(&say, "220 h ESMTP\r\n"), MORE);
	assert_memory_equal(said(&say), "EHLO ", 5);
	assert_int_equal(hear_slowly(&say, "250-h\r\n250-SIZE\r\n"
					   "250 StartTLS\r\n"),
			 MORE);
	assert_string_equal(said(&say), "STARTTLS\r\n");
	assert_int_equal(hear(&say, "220 go\r\n"), TLS);
	say.secure = true;
	assert_int_equal(probed_say_open(&say), MORE);
	assert_memory_equal(said(&say), "EHLO ", 5);
	assert_int_equal(hear(&say, "250 h\r\n"), DONE);
	assert_string_equal(said(&say), "QUIT\r\n");
	/* Said before TLS, to be believed after it. */
	probed_say_init(&say, &smtp, "h", 1);
	assert_int_equal(hear(&say, "220 h ESMTP\r\n"), MORE);
	assert_int_equal(hear(&say, "250 STARTTLS\r\n"), MORE);
	assert_int_equal(hear(&say, "220 go\r\n250 h\r\n"), FAIL);
	assert_int_equal(say.error, PROBE_PROTOCOL);
	probed_say_init(&say, &smtp, "h", 1);
	assert_int_equal(hear(&say, "220 h SMTP\r\n"), FAIL);
	assert_int_equal(say.error, PROBE_BODY);
}

static void speaks_rtsp(void **state)
{
	static const char *const wanted[] = { "Public: OPTIONS" };
	struct config_service rtsp = service_of(CONFIG_RTSP);
	struct probed_say say;

	(void)state;
	rtsp.expect.headers = wanted;
	rtsp.expect.n_headers = 1;
	probed_say_init(&say, &rtsp, "2001:db8::1", 1);
	assert_int_equal(probed_say_open(&say), MORE);
	assert_memory_equal(said(&say),
			    "OPTIONS rtsp://[2001:db8::1]:7/a%20b RTSP/1.0\r\n",
			    47);
	assert_int_equal(hear_slowly(&say, "RTSP/1.0 200 OK\r\n"
					   "public: OPTIONS, PLAY\r\n\r\n"),
			 DONE);
	probed_say_init(&say, &rtsp, "h", 1);
	assert_int_equal(hear(&say, "RTSP/1.0 200 OK\r\n\r\n"), FAIL);
	assert_int_equal(say.error, PROBE_HEADER);

	rtsp.method = CONFIG_DESCRIBE;
	rtsp.expect = (struct config_expect){ .body = "m=video" };
	probed_say_init(&say, &rtsp, "h", 1);
	assert_int_equal(
		hear_slowly(&say, "RTSP/1.0 200 OK\r\ncontent-length: 7\r\n\r\n"
				  "m=video"),
		DONE);
	static const char *const bad[] = {
		"HTTP/1.1 200 OK\r\n\r\n", "RTSP/1.0 x\r\n\r\n",
		"RTSP/1.0 404 \r\n\r\n",
		"RTSP/1.0 200 OK\r\nContent-Length: 999999999999\r\n\r\n"
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		probed_say_init(&say, &rtsp, "h", 1);
		assert_int_equal(hear(&say, bad[i]), FAIL);
	}
}

static void speaks_rtmp(void **state)
{
	struct config_service rtmp = service_of(CONFIG_RTMP);
	struct probed_say *say = malloc(sizeof(*say));
	uint8_t c1[1537], s1[1537] = { 3 };

	(void)state;
	assert_non_null(say);
	probed_say_init(say, &rtmp, "h", 77);
	assert_int_equal(probed_say_open(say), MORE);
	assert_int_equal(say->n_out, sizeof(c1));
	memcpy(c1, say->out, sizeof(c1));
	say->n_out = 0;
	memset(s1 + 1, 0x5a, 1536);
	assert_int_equal(probed_say_hear(say, s1, sizeof(s1)), MORE);
	assert_int_equal(say->n_out, 1536);
	assert_memory_equal(say->out, s1 + 1, 1536);
	say->n_out = 0;
	assert_int_equal(probed_say_hear(say, c1 + 1, 1536), DONE);

	probed_say_init(say, &rtmp, "h", 77);
	(void)probed_say_open(say);
	assert_int_equal(probed_say_hear(say, s1, sizeof(s1)), MORE);
	assert_int_equal(probed_say_hear(say, s1 + 1, 1536), FAIL);
	free(say);
}

static void takes_so_much_and_no_more(void **state)
{
	static const char flood[3000];
	struct probed_say *say = malloc(sizeof(*say));

	(void)state;
	assert_non_null(say);
	for (enum config_probe p = CONFIG_TCP_CONNECT; p < CONFIG_PROGRAM;
	     p++) {
		struct config_service service = service_of(p);
		struct dname name;
		(void)dname_parse(slice_of("a.test"), &name);
		service.question.name = &name;
		service.expect.body = "never";
		if (p >= CONFIG_HTTP && p <= CONFIG_TLS_ONLY)
			continue;
		probed_say_init(say, &service, "h", 1);
		(void)probed_say_open(say);
		enum probed_say_act act = MORE;
		for (int i = 0; i < 4 && act == MORE; i++) {
			say->n_out = 0;
			act = probed_say_hear(say, (const uint8_t *)flood,
					      sizeof(flood));
		}
		assert_int_equal(act, FAIL);
	}
	free(say);
}

/* -- dns ------------------------------------------------------------------- */

static struct dname www;

static struct config_service dns_of(uint16_t type)
{
	struct config_service service = service_of(CONFIG_DNS);

	(void)dname_parse(slice_of("www.test"), &www);
	service.question =
		(struct config_question){ .name = &www, .type = type };
	return service;
}

/* The answer to our question with one record: 'n' octets of 'data'. */
static size_t answer(const struct config_service *service, uint8_t *out,
		     const void *data, uint8_t n)
{
	static const uint8_t owner[] = { 0xc0, 12 };
	size_t length = probed_dns_ask(&service->question, 0x1234, out);

	out[2] |= 0x80;
	out[7] = 1;
	memcpy(out + length, owner, 2);
	out[length + 2] = 0;
	out[length + 3] = (uint8_t)service->question.type;
	memset(out + length + 4, 0, 7);
	out[length + 5] = 1;
	out[length + 11] = n;
	memcpy(out + length + 12, data, n);
	return length + 12 + n;
}

static void judges_answers(void **state)
{
	static const struct {
		uint16_t type;
		uint8_t n;
		const char *data, *want;
	} rows[] = {
		{ 1, 4, "\xc0\x00\x02\x50", "192.0.2.80" },
		{ 28, 16, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
		  "2001:DB8::1" },
		{ 16, 5,
		  "\x01"
		  "a\x02"
		  "bc",
		  "abc" },
		{ 5, 2, "\xc0\x0c", "WWW.test." },
		{ 15, 4, "\x00\x0a\xc0\x0c", "10 www.test" },
		{ 33, 8, "\x00\x01\x00\x02\x00\x50\xc0\x0c",
		  "1 2 80 www.test" },
	};
	uint8_t message[512];
	char detail[PROBED_DETAIL_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_service service = dns_of(rows[i].type);
		size_t n = answer(&service, message, rows[i].data, rows[i].n);
		service.expect.n_answers = 1;
		service.expect.answers = &rows[i].want;
		assert_int_equal(
			probed_dns_judge(&service, 0x1234, message, n, detail),
			PROBE_OK);
		assert_int_equal(
			probed_dns_judge(&service, 0x1235, message, n, detail),
			-1);
		const char *other = "192.0.2.81";
		service.expect.answers = &other;
		assert_int_equal(
			probed_dns_judge(&service, 0x1234, message, n, detail),
			PROBE_BODY);
		/* Cut anywhere, it is no answer, and nothing breaks. */
		for (size_t k = 0; k < n; k++) {
			uint8_t *cut = malloc(k + 1);
			memcpy(cut, message, k);
			assert_int_not_equal(probed_dns_judge(&service, 0x1234,
							      cut, k, detail),
					     PROBE_OK);
			free(cut);
		}
		message[2] &= 0x7f; /* a question is no answer */
		assert_int_equal(
			probed_dns_judge(&service, 0x1234, message, n, detail),
			-1);
	}
}

static void judges_rcodes(void **state)
{
	struct config_service service = dns_of(1);
	uint8_t message[PROBED_DNS_ASK_MAX];
	char detail[PROBED_DETAIL_MAX];
	size_t n = probed_dns_ask(&service.question, 7, message);

	(void)state;
	message[2] |= 0x80;
	message[3] = 3;
	assert_int_equal(probed_dns_judge(&service, 7, message, n, detail),
			 PROBE_STATUS);
	assert_string_equal(detail, "NXDOMAIN, want NOERROR");
	service.expect.rcodes = 1 << 3 | 1 << 5;
	assert_int_equal(probed_dns_judge(&service, 7, message, n, detail),
			 PROBE_OK);
	message[3] = 9;
	assert_int_equal(probed_dns_judge(&service, 7, message, n, detail),
			 PROBE_STATUS);
	assert_string_equal(detail, "rcode 9, want NXDOMAIN REFUSED");
	/* Without the question, only what is no answer. */
	message[5] = 0;
	message[3] = 5;
	assert_int_equal(probed_dns_judge(&service, 7, message, 12, detail),
			 PROBE_OK);
	message[3] = 0;
	assert_int_equal(probed_dns_judge(&service, 7, message, 12, detail),
			 -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(speaks_ftp),
		cmocka_unit_test(speaks_smtp),
		cmocka_unit_test(speaks_rtsp),
		cmocka_unit_test(speaks_rtmp),
		cmocka_unit_test(takes_so_much_and_no_more),
		cmocka_unit_test(judges_answers),
		cmocka_unit_test(judges_rcodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
