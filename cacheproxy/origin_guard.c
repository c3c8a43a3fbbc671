/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/origin_int.h"

#include <string.h>

#include "cacheproxy/wire.h"

#define FLAG_QR	      0x80u
#define FLAG_TC	      0x02u
#define OPCODE_MASK   0x78u
#define RCODE_MASK    0x0fu
#define FORMERR	      1u
#define NOTIMP	      4u
#define BADCOOKIE     23u
#define OPTION_COOKIE 10u
#define OPTION_HEAD   4u
#define THEIRS_MIN    8u
#define STRIKES_MAX   3u
/* What is so far apart is forgotten; longer than an idle server is known. */
#define TOGETHER_MS 600000u

const char *origin_drop_name(enum origin_drop drop)
{
	static const char *const name[ORIGIN_DROPS] = {
		[ORIGIN_DROP_NONE] = "none",
		[ORIGIN_DROP_MALFORMED] = "malformed",
		[ORIGIN_DROP_ID] = "wrong_id",
		[ORIGIN_DROP_QUESTION] = "wrong_question",
		[ORIGIN_DROP_SPELLING] = "wrong_spelling",
		[ORIGIN_DROP_NO_COOKIE] = "no_cookie",
		[ORIGIN_DROP_COOKIE] = "wrong_cookie",
		[ORIGIN_DROP_SIGNATURE] = "wrong_signature",
	};

	return drop < ORIGIN_DROPS ? name[drop] : "unknown";
}

/* -- what a server has shown */

/* The server as it is asked by UDP, also while TCP shall prove something. */
static struct server *by_udp(const struct origin_ask *ask)
{
	if (ask->server->transport == CONFIG_UDP)
		return ask->server;
	return origin_server_find(ask->origins, &ask->q.origins[ask->index],
				  CONFIG_UDP);
}

static void spare(struct server *server, unsigned int marks)
{
	const struct origin_tuning *tuning = &server->origins->tuning;

	server->spared |= (uint8_t)marks;
	server->spared_ms = uv_now(server->origins->loop) + tuning->spare_ms;
}

static bool is_late(uint64_t since_ms, uint64_t now_ms, uint64_t span_ms)
{
	return since_ms == 0 || now_ms - since_ms >= span_ms;
}

/* Demands 'marks' of 'server' no longer. */
static void excuse(struct server *server, unsigned int marks)
{
	uint64_t now_ms = uv_now(server->origins->loop) | 1;

	server->shown &= (uint8_t)~marks;
	if ((marks & ORIGIN_CASE) != 0)
		spare(server, ORIGIN_CASE);
	if ((marks & ORIGIN_COOKIE) == 0)
		return;
	server->theirs_n = 0;
	/* Gone twice: a pool. */
	if (!is_late(server->excused_ms, now_ms, TOGETHER_MS))
		spare(server, ORIGIN_COOKIE);
	server->excused_ms = now_ms;
}

bool origin_guard_plain(struct origin_ask *ask)
{
	struct server *server = by_udp(ask);

	if (server == NULL)
		return false;
	excuse(server, ORIGIN_COOKIE);
	spare(server, ORIGIN_COOKIE);
	return true;
}

/* True if it is one too many. */
static bool strike(struct server *server)
{
	uint64_t now_ms = uv_now(server->origins->loop) | 1;

	if (is_late(server->strike_ms, now_ms, TOGETHER_MS))
		server->strikes = 0;
	server->strike_ms = now_ms;
	if (++server->strikes < STRIKES_MAX)
		return false;
	server->strikes = 0;
	return true;
}

void origin_guard_unproven(struct origin_ask *ask)
{
	struct server *server = NULL;

	/* Of a cookie, it has been counted. */
	if (ask->doubt == ORIGIN_CASE && !ask->fled)
		server = by_udp(ask);
	if (server != NULL && strike(server))
		excuse(server, ORIGIN_CASE);
}

/*
 * Whatever TCP will say: who forges answers does not keep the true ones from
 * coming.  Where they do not come, time and again, they were the true ones.
 */
void origin_guard_doubted(struct origin_ask *ask)
{
	if ((ask->doubt & ORIGIN_COOKIE) != 0 && strike(ask->server))
		(void)origin_guard_plain(ask);
}

bool origin_guard_refused(struct origin_ask *ask)
{
	struct server *server = by_udp(ask);

	ask->doubt |= ORIGIN_COOKIE;
	return server != NULL && strike(server);
}

bool origin_guard_spare(struct origin_ask *ask, uint8_t rcode)
{
	if ((ask->with & ORIGIN_COOKIE) == 0 ||
	    (rcode != FORMERR && rcode != NOTIMP))
		return false;
	struct server *server = by_udp(ask);
	if (server == NULL || (server->shown & ORIGIN_COOKIE) != 0)
		return false;
	spare(server, ORIGIN_COOKIE);
	return true;
}

/* -- questions */

/* The marks of the next question. */
static uint8_t marks_for(struct server *server, bool again)
{
	if (server->spared != 0 &&
	    uv_now(server->origins->loop) >= server->spared_ms)
		server->spared = 0;
	/* The second try is for those who do not like what was in the first. */
	unsigned int marks = ORIGIN_COOKIE | ORIGIN_CASE;
	if (again)
		marks = server->shown;
	return (uint8_t)(marks & ~(unsigned int)server->spared);
}

/* A cookie of ours is for one server and a day. */
static void renew(struct server *server)
{
	struct origins *origins = server->origins;
	uint64_t now_ms = uv_now(origins->loop) | 1;

	if (server->ours_ms != 0 &&
	    now_ms - server->ours_ms < origins->tuning.cookie_ms)
		return;
	for (unsigned int i = 0; i < ORIGIN_OURS_N; i += 2) {
		uint16_t bits = origin_random(origins);
		memcpy(server->ours + i, &bits, sizeof(bits));
	}
	server->ours_ms = now_ms;
	server->theirs_n = 0;
}

/* Each letter in a case of chance with 'mixed', else in lower case. */
static void spell(struct origin_ask *ask, bool mixed)
{
	const struct dname *name = ask->q.name;
	uint32_t bits = 0;
	unsigned int left = 0;

	memcpy(ask->question, name->wire, name->n);
	for (unsigned int i = 0; mixed && i < name->n; i++) {
		uint8_t c = name->wire[i];
		if (c < 'a' || c > 'z') /* no length is as large as 'a' */
			continue;
		if (left == 0) {
			bits = origin_random(ask->origins);
			left = 16;
		}
		ask->question[i] = (uint8_t)(c - ((bits & 1) << 5));
		bits >>= 1;
		left--;
	}
}

void origin_guard_prepare(struct origin_ask *ask)
{
	bool udp = ask->server->transport == CONFIG_UDP;
	bool is_signed = ask->q.origins[ask->index].key.n > 0;
	struct server *server = NULL;

	if ((udp || ask->proof) && !is_signed)
		server = by_udp(ask);
	ask->with = 0;
	if (server != NULL)
		ask->with = marks_for(server, udp && ask->again && !ask->fled);
	if ((ask->with & ORIGIN_COOKIE) != 0) {
		renew(server);
		memcpy(ask->cookie, server->ours, sizeof(ask->cookie));
	}
	spell(ask, (ask->with & ORIGIN_CASE) != 0);
}

size_t origin_guard_option(const struct origin_ask *ask, uint8_t *out)
{
	const struct server *server;

	if ((ask->with & ORIGIN_COOKIE) == 0)
		return 0;
	server = by_udp(ask);
	uint8_t theirs_n = server != NULL ? server->theirs_n : 0;
	out[0] = 0;
	out[1] = OPTION_COOKIE;
	out[2] = 0;
	out[3] = (uint8_t)(ORIGIN_OURS_N + theirs_n);
	memcpy(out + OPTION_HEAD, ask->cookie, ORIGIN_OURS_N);
	if (theirs_n > 0)
		memcpy(out + OPTION_HEAD + ORIGIN_OURS_N, server->theirs,
		       theirs_n);
	return OPTION_HEAD + ORIGIN_OURS_N + (size_t)theirs_n;
}

/* -- answers */

/* An error with nothing behind the header, as some send that know no EDNS. */
static bool is_bare_error(const uint8_t *msg, size_t n)
{
	static const uint8_t zero[8];

	return n == WIRE_HEADER && (msg[2] & FLAG_QR) != 0 &&
	       (msg[2] & OPCODE_MASK) == 0 && (msg[3] & RCODE_MASK) != 0 &&
	       memcmp(msg + 4, zero, sizeof(zero)) == 0;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* The question of 'ask' in any spelling. */
static bool same_question(const struct origin_ask *ask, const uint8_t *msg,
			  size_t n)
{
	const struct dname *name = ask->q.name;
	const uint8_t *p = msg + WIRE_HEADER;

	/* Opcode, count and lengths: as for the right spelling. */
	if (n < WIRE_HEADER + (size_t)ask->question_n ||
	    !wire_answers(msg, n, p, ask->question_n))
		return false;
	for (size_t i = 0; i < name->n; i++)
		if (lower(p[i]) != name->wire[i])
			return false;
	return memcmp(p + name->n, ask->question + name->n, 4) == 0;
}

/* The question was spelled so that one that folds case would show it. */
static bool tells_case(const struct origin_ask *ask)
{
	return (ask->with & ORIGIN_CASE) != 0 &&
	       memcmp(ask->question, ask->q.name->wire, ask->q.name->n) != 0;
}

/* Keeps the server's part, if 'opt' has our cookie before it. */
static bool take_cookie(struct server *server, const struct origin_ask *ask,
			const struct wire_opt *opt)
{
	if ((ask->with & ORIGIN_COOKIE) == 0 || opt->value == NULL ||
	    opt->value_n < ORIGIN_OURS_N ||
	    memcmp(opt->value, ask->cookie, ORIGIN_OURS_N) != 0)
		return false;
	size_t theirs_n = opt->value_n - (size_t)ORIGIN_OURS_N;
	/* Nothing behind ours: one that sends back what it does not know. */
	if (theirs_n != 0 &&
	    (theirs_n < THEIRS_MIN || theirs_n > ORIGIN_THEIRS_MAX))
		return false;
	memcpy(server->theirs, opt->value + ORIGIN_OURS_N, theirs_n);
	server->theirs_n = (uint8_t)theirs_n;
	server->shown |= ORIGIN_COOKIE;
	return true;
}

/*
 * The answer to a question without a cookie of ours, where that with one was
 * not heard: some throw away what has an option unknown to them.
 */
static void note_silence(struct server *server, const struct origin_ask *ask)
{
	if ((ask->with & ORIGIN_COOKIE) != 0) {
		server->silent = 0;
		return;
	}
	uint64_t now_ms = uv_now(server->origins->loop) | 1;
	uint64_t apart_ms = origin_server_patience(server) / 1000;
	/* Those of one burst of losses are one. */
	if (!ask->again || ask->doubt != 0 ||
	    (server->spared & ORIGIN_COOKIE) != 0 ||
	    !is_late(server->silent_ms, now_ms, apart_ms))
		return;
	server->silent_ms = now_ms;
	if (++server->silent < STRIKES_MAX)
		return;
	server->silent = 0;
	spare(server, ORIGIN_COOKIE);
}

/* A datagram with the right question. */
static enum origin_drop check_datagram(struct origin_ask *ask,
				       const uint8_t *msg, size_t n)
{
	struct server *server = ask->server;
	struct wire_opt opt = { .there = false };
	bool cut = (msg[2] & FLAG_TC) != 0;

	if (wire_opt(msg, n, OPTION_COOKIE, &opt) != 0 && !cut)
		return ORIGIN_DROP_MALFORMED;
	bool bad = ((unsigned int)opt.rcode_high << 4 |
		    (msg[3] & RCODE_MASK)) == BADCOOKIE;
	bool sent = (ask->with & ORIGIN_COOKIE) != 0;
	/* What nobody asked for may be another's, out of a cache. */
	if (!sent)
		opt.value = NULL;
	if (opt.value != NULL && !take_cookie(server, ask, &opt)) {
		ask->doubt |= ORIGIN_COOKIE;
		return ORIGIN_DROP_COOKIE;
	}
	if (opt.value == NULL &&
	    (bad || (ask->with & server->shown & ORIGIN_COOKIE) != 0)) {
		ask->doubt |= ORIGIN_COOKIE;
		return ORIGIN_DROP_NO_COOKIE;
	}
	ask->bad_cookie = bad;
	if (tells_case(ask))
		server->shown |= ORIGIN_CASE;
	/* Only what comes after it in the same try shows that a doubt was
	 * wrong: of a pool, another may answer each time. */
	if (ask->doubt != 0 && !ask->again && (ask->doubt & ~ask->with) == 0)
		server->strikes = 0;
	note_silence(server, ask);
	return ORIGIN_DROP_NONE;
}

/* By TCP came what no stranger could send: it shows what the server can do. */
static void learn(struct origin_ask *ask, const uint8_t *msg, size_t n,
		  bool exact, bool bare)
{
	struct server *server = by_udp(ask);
	struct wire_opt opt = { .there = false };

	if (server == NULL)
		return;
	if ((ask->doubt & ORIGIN_COOKIE) == 0)
		server->strikes = 0;
	if (tells_case(ask) && exact)
		server->shown |= ORIGIN_CASE;
	else if (!exact && !bare)
		excuse(server, ask->with & ORIGIN_CASE);
	(void)wire_opt(msg, n, OPTION_COOKIE, &opt);
	if (!take_cookie(server, ask, &opt))
		excuse(server, ask->with & ORIGIN_COOKIE);
}

enum origin_drop origin_guard_check(struct origin_ask *ask, const uint8_t *msg,
				    size_t n)
{
	bool stream = ask->lane->stream;
	bool bare = stream && ask->mac == NULL && is_bare_error(msg, n);
	bool exact =
		!bare && wire_answers(msg, n, ask->question, ask->question_n);

	if (!bare && !exact && !same_question(ask, msg, n))
		return ORIGIN_DROP_QUESTION;
	if (!stream && !exact && (ask->with & ORIGIN_CASE) != 0) {
		ask->doubt |= ORIGIN_CASE;
		return ORIGIN_DROP_SPELLING;
	}
	if (ask->mac != NULL &&
	    tsig_check(ask->origins->tsig, ask->mac, msg, n) != 0)
		return ORIGIN_DROP_SIGNATURE;
	if (!stream && ask->mac == NULL)
		return check_datagram(ask, msg, n);
	if (ask->proof)
		learn(ask, msg, n, exact, bare);
	return ORIGIN_DROP_NONE;
}
