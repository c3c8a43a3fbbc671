/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "probes-client/probed.h"
#include "probes-client/probed_check.h"
#include "probes-client/probed_dns.h"

#define LINE_MAX_N 2048u /* octets of a line of a reply */
#define RTMP_N	   1536u /* octets of each part of its handshake */
#define RTMP_HEAD  8u	 /* times before what is random */

struct kind {
	bool tls;
	enum probed_say_act (*open)(struct probed_say *say);
	enum probed_say_act (*step)(struct probed_say *say);
};

/* -- for all --------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static enum probed_say_act
fail(struct probed_say *say, enum probe_error error, const char *fmt, ...)
{
	va_list args;

	say->error = error;
	va_start(args, fmt);
	vsnprintf(say->detail, sizeof(say->detail), fmt, args);
	va_end(args);
	for (char *p = say->detail; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return PROBED_SAY_FAIL;
}

__attribute__((format(printf, 2, 3))) static void put(struct probed_say *say,
						      const char *fmt, ...)
{
	size_t room = sizeof(say->out) - say->n_out;
	va_list args;

	va_start(args, fmt);
	int n = vsnprintf((char *)say->out + say->n_out, room, fmt, args);
	va_end(args);
	if (n > 0)
		say->n_out += (size_t)n < room ? (size_t)n : room - 1;
}

/* splitmix64: octets that only we know. */
static uint64_t mixed(uint64_t seed, uint64_t i)
{
	uint64_t z = seed + (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Takes a line, without what ends it.  False: it has not come yet. */
static bool line_take(struct probed_say *say, struct slice *line)
{
	const uint8_t *from = say->in + say->used;
	const uint8_t *end = memchr(from, '\n', say->n_in - say->used);

	if (end == NULL)
		return false;
	size_t n = (size_t)(end - from);
	say->used += n + 1;
	if (n > 0 && from[n - 1] == '\r')
		n--;
	*line = (struct slice){ (const char *)from, n };
	return true;
}

/* What the text of a greeting must have in it. */
static enum probed_say_act text_judge(struct probed_say *say, struct slice text)
{
	char detail[PROBED_DETAIL_MAX];
	enum probe_error error = probed_check_text(&say->service->expect, text,
						   detail, sizeof(detail));

	return error == PROBE_OK ? PROBED_SAY_DONE
				 : fail(say, error, "%s", detail);
}

static enum probed_say_act nothing_open(struct probed_say *say)
{
	(void)say;
	return PROBED_SAY_MORE;
}

/* -- tcp: what it says first; tls: that it does ---------------------------- */

static enum probed_say_act tcp_step(struct probed_say *say)
{
	return text_judge(say,
			  (struct slice){ (const char *)say->in, say->n_in });
}

static enum probed_say_act tls_open(struct probed_say *say)
{
	(void)say;
	return PROBED_SAY_DONE;
}

static enum probed_say_act tls_step(struct probed_say *say)
{
	(void)say;
	return PROBED_SAY_MORE;
}

/* -- ftp and smtp: replies of three digits --------------------------------- */

static int code_of(struct slice line)
{
	int code = 0;

	if (line.n < 3)
		return -1;
	for (size_t i = 0; i < 3; i++) {
		if (line.p[i] < '0' || line.p[i] > '9')
			return -1;
		code = 10 * code + (line.p[i] - '0');
	}
	return line.n == 3 || line.p[3] == ' ' || line.p[3] == '-' ? code : -1;
}

/*
 * Takes a whole reply, of one line or more (RFC 959 section 4.2).  Returns its
 * code; 0: it is not whole yet; -1: it is none.
 */
static int reply_take(struct probed_say *say, struct slice *text)
{
	size_t begin = say->used;
	struct slice line;
	int code = 0;

	while (line_take(say, &line)) {
		int now = code_of(line);
		if (code == 0)
			code = now;
		if (code < 0)
			return -1;
		if (now == code && (line.n == 3 || line.p[3] == ' ')) {
			*text = (struct slice){ (const char *)say->in + begin,
						say->used - begin };
			return code;
		}
	}
	bool odd =
		say->n_in - begin >= 3 && code == 0 &&
		code_of((struct slice){ (const char *)say->in + begin, 3 }) < 0;
	say->used = begin;
	return odd ? -1 : 0;
}

/* What goes before the next reply: it must be 'want'. */
static enum probed_say_act reply_judge(struct probed_say *say, int code,
				       int want, struct slice text)
{
	if (code == want)
		return PROBED_SAY_DONE;
	if (code < 0)
		return fail(say, PROBE_PROTOCOL, "not a reply: %.*s",
			    (int)(say->n_in < 40 ? say->n_in : 40),
			    (const char *)say->in);
	if (text.n > 60)
		text.n = 60;
	while (text.n > 0 &&
	       (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	return fail(say, PROBE_STATUS, "%.*s; want %d", (int)text.n, text.p,
		    want);
}

enum { GREETED, TO_TLS, TO_GREET, LAST };

/* After a good reply: TLS if it is wanted; else it is over. */
static enum probed_say_act ftp_step(struct probed_say *say)
{
	struct slice text = { NULL, 0 };
	int code = reply_take(say, &text);
	enum probed_say_act act;

	if (code == 0)
		return PROBED_SAY_MORE;
	act = reply_judge(say, code, say->stage == GREETED ? 220 : 234, text);
	if (act == PROBED_SAY_FAIL)
		return act;
	if (say->stage == TO_TLS)
		return PROBED_SAY_TLS;
	act = text_judge(say, text);
	if (act == PROBED_SAY_FAIL)
		return act;
	if (say->service->starttls) {
		say->stage = TO_TLS;
		put(say, "AUTH TLS\r\n");
		return PROBED_SAY_MORE;
	}
	put(say, "QUIT\r\n");
	return PROBED_SAY_DONE;
}

static enum probed_say_act ftp_open(struct probed_say *say)
{
	if (!say->service->starttls || !say->secure)
		return PROBED_SAY_MORE;
	put(say, "QUIT\r\n");
	return PROBED_SAY_DONE;
}

static bool offers_tls(struct slice text)
{
	static const char word[] = "STARTTLS";

	for (size_t i = 4; i + sizeof(word) - 1 <= text.n; i++)
		if (strncasecmp(text.p + i, word, sizeof(word) - 1) == 0)
			return true;
	return false;
}

static enum probed_say_act smtp_hello(struct probed_say *say)
{
	put(say, "EHLO nearzone-probed.invalid\r\n");
	say->stage = TO_GREET;
	return PROBED_SAY_MORE;
}

static enum probed_say_act smtp_greeted(struct probed_say *say,
					struct slice text)
{
	if (!say->service->starttls || say->secure) {
		put(say, "QUIT\r\n");
		return PROBED_SAY_DONE;
	}
	if (!offers_tls(text))
		return fail(say, PROBE_TLS, "STARTTLS is not offered");
	put(say, "STARTTLS\r\n");
	say->stage = TO_TLS;
	return PROBED_SAY_MORE;
}

static enum probed_say_act smtp_step(struct probed_say *say)
{
	struct slice text = { NULL, 0 };
	int code = reply_take(say, &text);
	int want = say->stage == TO_GREET ? 250 : 220;

	if (code == 0)
		return PROBED_SAY_MORE;
	if (reply_judge(say, code, want, text) == PROBED_SAY_FAIL)
		return PROBED_SAY_FAIL;
	switch (say->stage) {
	case GREETED:
		if (text_judge(say, text) == PROBED_SAY_FAIL)
			return PROBED_SAY_FAIL;
		return smtp_hello(say);
	case TO_GREET:
		return smtp_greeted(say, text);
	default:
		return PROBED_SAY_TLS;
	}
}

static enum probed_say_act smtp_open(struct probed_say *say)
{
	return say->secure ? smtp_hello(say) : PROBED_SAY_MORE;
}

/* -- rtsp (RFC 2326) ------------------------------------------------------- */

/* Octets that have no place in a request are escaped. */
static void path_put(struct probed_say *say, const char *path)
{
	for (; *path != '\0'; path++) {
		unsigned char c = (unsigned char)*path;
		bool plain = c > 0x20 && c < 0x7f && c != '#';
		put(say, plain ? "%c" : "%%%02X", c);
	}
}

static enum probed_say_act rtsp_open(struct probed_say *say)
{
	const struct config_service *service = say->service;
	bool v6 = strchr(say->host, ':') != NULL;

	put(say, "%s rtsp://%s%s%s:%u",
	    service->method == CONFIG_DESCRIBE ? "DESCRIBE" : "OPTIONS",
	    v6 ? "[" : "", say->host, v6 ? "]" : "", service->port);
	path_put(say, service->path);
	put(say, " RTSP/1.0\r\nCSeq: 1\r\n"
		 "User-Agent: nearzone-probed/" PROBED_VERSION "\r\n");
	if (service->method == CONFIG_DESCRIBE)
		put(say, "Accept: application/sdp\r\n");
	for (size_t i = 0; i < service->n_headers; i++)
		put(say, "%s\r\n", service->headers[i]);
	put(say, "\r\n");
	if (say->n_out + 1 >= sizeof(say->out))
		return fail(say, PROBE_LOCAL, "the request is too long");
	return PROBED_SAY_MORE;
}

/* Octets of the body that a header announces; others leave it as it was. */
static void length_read(struct slice line, size_t *length)
{
	static const char name[] = "Content-Length:";
	size_t n = 0;

	if (line.n < sizeof(name) ||
	    strncasecmp(line.p, name, sizeof(name) - 1) != 0)
		return;
	for (size_t i = sizeof(name) - 1; i < line.n; i++) {
		if (line.p[i] == ' ')
			continue;
		if (line.p[i] < '0' || line.p[i] > '9' || n > PROBED_SAY_IN)
			break;
		n = 10 * n + (size_t)(line.p[i] - '0');
	}
	*length = n;
}

static enum probed_say_act rtsp_judge(struct probed_say *say,
				      struct slice status,
				      struct probed_check *check,
				      struct slice body)
{
	long code = status.n >= 12 ? code_of((struct slice){ status.p + 9, 3 })
				   : -1;
	char detail[PROBED_DETAIL_MAX];

	if (status.n < 12 || strncmp(status.p, "RTSP/1.0 ", 9) != 0 || code < 0)
		return fail(say, PROBE_PROTOCOL, "not RTSP/1.0");
	if (!probed_check_status(check->expect, code)) {
		probed_check_status_print(check->expect, code, detail,
					  sizeof(detail));
		return fail(say, PROBE_STATUS, "%s", detail);
	}
	for (size_t i = 0; i < check->expect->n_headers; i++)
		if ((check->headers & 1u << i) == 0)
			return fail(say, PROBE_HEADER, "%s",
				    check->expect->headers[i]);
	return text_judge(say, body);
}

/* All of it is looked at anew each time: it is short. */
static enum probed_say_act rtsp_step(struct probed_say *say)
{
	struct probed_check check = { .expect = &say->service->expect };
	struct slice status, line;
	size_t length = 0;

	say->used = 0;
	if (say->n_in >= 5 && memcmp(say->in, "RTSP/", 5) != 0)
		return fail(say, PROBE_PROTOCOL, "not RTSP/1.0");
	if (!line_take(say, &status))
		return PROBED_SAY_MORE;
	do {
		if (!line_take(say, &line))
			return PROBED_SAY_MORE;
		probed_check_header(&check, line);
		length_read(line, &length);
	} while (line.n > 0);
	if (length > say->n_in - say->used &&
	    length <= PROBED_SAY_IN - say->used)
		return PROBED_SAY_MORE;
	if (length > say->n_in - say->used)
		return fail(say, PROBE_SIZE, "a body of more than %u octets",
			    PROBED_SAY_IN);
	return rtsp_judge(
		say, status, &check,
		(struct slice){ (const char *)say->in + say->used, length });
}

/* -- rtmp: the handshake, in plain form ------------------------------------ */

static uint8_t rtmp_octet(const struct probed_say *say, size_t i)
{
	return (uint8_t)(mixed(say->seed, i / 8) >> 8 * (i % 8));
}

static enum probed_say_act rtmp_open(struct probed_say *say)
{
	uint8_t *c1 = say->out + 1;

	say->out[0] = 3;
	memset(c1, 0, RTMP_HEAD);
	for (size_t i = RTMP_HEAD; i < RTMP_N; i++)
		c1[i] = rtmp_octet(say, i);
	say->n_out = 1 + RTMP_N;
	return PROBED_SAY_MORE;
}

/* S0 and S1, to which C2 is the echo; then S2, which is the echo of C1. */
static enum probed_say_act rtmp_step(struct probed_say *say)
{
	const uint8_t *s1 = say->in + 1;
	const uint8_t *s2 = s1 + RTMP_N;

	if (say->n_in >= 1 && say->in[0] != 3)
		return fail(say, PROBE_PROTOCOL, "version %u, want 3",
			    say->in[0]);
	if (say->stage == 0 && say->n_in >= 1 + RTMP_N) {
		memcpy(say->out + say->n_out, s1, RTMP_N);
		say->n_out += RTMP_N;
		say->stage = 1;
	}
	if (say->n_in < 1 + 2 * RTMP_N)
		return PROBED_SAY_MORE;
	for (size_t i = RTMP_HEAD; i < RTMP_N; i++)
		if (s2[i] != rtmp_octet(say, i))
			return fail(say, PROBE_PROTOCOL,
				    "the handshake is not ours");
	return PROBED_SAY_DONE;
}

/* -- dns over TCP ---------------------------------------------------------- */

static enum probed_say_act dns_open(struct probed_say *say)
{
	size_t n = probed_dns_ask(&say->service->question,
				  (uint16_t)mixed(say->seed, 0), say->out + 2);

	say->out[0] = (uint8_t)(n >> 8);
	say->out[1] = (uint8_t)n;
	say->n_out = n + 2;
	return PROBED_SAY_MORE;
}

static enum probed_say_act dns_step(struct probed_say *say)
{
	char detail[PROBED_DETAIL_MAX];

	if (say->n_in < 2)
		return PROBED_SAY_MORE;
	size_t n = (size_t)say->in[0] << 8 | say->in[1];
	if (n + 2 > PROBED_SAY_IN)
		return fail(say, PROBE_SIZE, "an answer of %zu octets", n);
	if (say->n_in < n + 2)
		return PROBED_SAY_MORE;
	int error =
		probed_dns_judge(say->service, (uint16_t)mixed(say->seed, 0),
				 say->in + 2, n, detail);
	if (error == PROBE_OK)
		return PROBED_SAY_DONE;
	if (error < 0)
		return fail(say, PROBE_PROTOCOL,
			    "not an answer to our "
			    "question");
	return fail(say, (enum probe_error)error, "%s", detail);
}

/* -- the table ------------------------------------------------------------- */

static const struct kind kinds[CONFIG_PROBES] = {
	[CONFIG_TCP_CONNECT] = { false, nothing_open, tcp_step },
	[CONFIG_TLS_ONLY] = { true, tls_open, tls_step },
	[CONFIG_FTP] = { false, ftp_open, ftp_step },
	[CONFIG_FTPS] = { true, ftp_open, ftp_step },
	[CONFIG_SMTP] = { false, smtp_open, smtp_step },
	[CONFIG_RTSP] = { false, rtsp_open, rtsp_step },
	[CONFIG_RTMP] = { false, rtmp_open, rtmp_step },
	[CONFIG_DNS] = { false, dns_open, dns_step },
};

bool probed_say_is_tls(enum config_probe probe)
{
	return kinds[probe].tls;
}

void probed_say_init(struct probed_say *say,
		     const struct config_service *service, const char *host,
		     uint64_t seed)
{
	/* Not its buffers: nothing of them is read before it is written. */
	memset(say, 0, offsetof(struct probed_say, in));
	say->service = service;
	say->host = host;
	say->seed = seed;
}

enum probed_say_act probed_say_open(struct probed_say *say)
{
	return kinds[say->service->probe].open(say);
}

enum probed_say_act probed_say_hear(struct probed_say *say,
				    const uint8_t *octets, size_t n)
{
	size_t room = PROBED_SAY_IN - say->n_in;
	bool flood = n > room;

	n = flood ? room : n;
	if (n > 0)
		memcpy(say->in + say->n_in, octets, n);
	say->n_in += n;
	enum probed_say_act act;
	size_t used;
	do {
		used = say->used;
		act = kinds[say->service->probe].step(say);
	} while (act == PROBED_SAY_MORE && say->used != used &&
		 say->used < say->n_in);
	bool banner = say->service->probe == CONFIG_TCP_CONNECT;
	/* The text of a banner may be still to come. */
	if (banner && act == PROBED_SAY_FAIL && !flood)
		return PROBED_SAY_MORE;
	if (act == PROBED_SAY_MORE && say->n_out == 0 && flood)
		return fail(say, PROBE_PROTOCOL, "more than %u octets",
			    PROBED_SAY_IN);
	/* What came in the clear before TLS is nobody's to read. */
	if (act == PROBED_SAY_TLS && say->used != say->n_in)
		return fail(say, PROBE_PROTOCOL,
			    "more octets than were asked for before TLS");
	return act;
}

enum probed_say_act probed_say_end(struct probed_say *say)
{
	if (say->service->probe == CONFIG_TCP_CONNECT && say->n_in > 0)
		return tcp_step(say);
	return fail(say, PROBE_RESET, "after %zu octets", say->n_in);
}
