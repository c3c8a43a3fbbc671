/* SPDX-License-Identifier: MPL-2.0 */
/*
 * honest - resolvers that ask an edge under test what their users want.
 *
 *   honest --to ADDRESS --zone ZONE --clients N --names N --rate N
 *          --seconds N --questions N [--port N] [--then N --rise-at MS
 *          --rise-ms MS] [--sub LABEL] [--new-share N --new-first N]
 *          [--none-share N] [--cookie-share N] [--ttl S] [--walk 1] [--rd 1]
 *          [--seed N] [--log FILE]
 *
 * Every client has an address in a /24 of its own (IP_FREEBIND: the address
 * has to be routed here, not configured).  Names are h0 .. h(NAMES - 1) by
 * Zipf's law, every fourth of them below LABEL; of 1000 questions NEW_SHARE
 * are for n(NEW_FIRST) and so on, each once, and NONE_SHARE for names that
 * are not there.  A client does not ask again for S seconds what it has an
 * answer to, but for one in twenty, which stands for a farm of resolvers.
 * COOKIE_SHARE per cent of them send DNS cookies, as resolvers do: their own
 * half, and the server's when they have it.
 *
 * A question is sent thrice, 800 ms after each other; after TC it goes by
 * TCP; after BADCOOKIE with the cookie that came.  Answered is who got the
 * record (who asked for a name that is not there: NXDOMAIN) in the end.
 *
 * Questions come at random moments at RATE; or at a rate that moves from
 * RATE at RISE_AT to THEN within RISE_MS.  With '--walk 1' each name is asked
 * for once, in order.  Ends with SECONDS or QUESTIONS, which have maxima, and
 * when all questions have ended.  It sends where flood.h allows it.
 *
 * Prints one line of JSON; FILE gets a line a question: when it began, kind,
 * client, number of the name, how it ended, the last RCODE, tries, replies
 * with TC, whether by TCP, microseconds.
 */
#include "honest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#define RATE_MAX      20000u
#define SECONDS_MAX   300u
#define QUESTIONS_MAX 1000000u
#define NAMES_MAX     100000u
#define HELD_MAX      (UINT64_C(1) << 24)
#define DRAWS	      8u
#define EVENTS	      64

/* -- what is asked ------------------------------------------------------ */

static int make_zipf(struct honest *honest)
{
	honest->zipf = calloc(honest->names + 1, sizeof(double));
	if (honest->zipf == NULL)
		return -ENOMEM;
	for (uint64_t i = 0; i < honest->names; i++)
		honest->zipf[i + 1] = honest->zipf[i] + 1.0 / (double)(i + 1);
	if (honest->ttl == 0 || honest->walk != 0)
		return 0;
	if (honest->names * honest->clients_n > HELD_MAX)
		return -E2BIG;
	honest->held_ms =
		calloc(honest->names * honest->clients_n, sizeof(uint32_t));
	return honest->held_ms != NULL ? 0 : -ENOMEM;
}

static uint32_t draw_name(struct honest *honest)
{
	double at = flood_unit(&honest->rng) * honest->zipf[honest->names];
	size_t low = 0, high = honest->names;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;
		if (honest->zipf[middle] <= at)
			low = middle;
		else
			high = middle;
	}
	return (uint32_t)low;
}

static enum kind kind_of(const struct honest *honest, uint32_t number)
{
	return honest->sub != NULL && number % 4 == 3 ? SUB : OLD;
}

static void ask_old(struct honest *honest)
{
	uint32_t clients = (uint32_t)honest->clients_n;
	uint32_t client = 0, name = 0;
	uint32_t now_ms =
		(uint32_t)((flood_now_ns() - honest->began_ns) / 1000000);

	for (unsigned i = 0; i < DRAWS; i++) {
		client = flood_below(&honest->rng, clients);
		name = draw_name(honest);
		if (honest->held_ms == NULL || honest->clients[client].farm)
			break;
		uint32_t *held =
			&honest->held_ms[client * honest->names + name];
		if (*held != 0 && now_ms < *held)
			continue;
		*held = now_ms + (uint32_t)honest->ttl * 1000 + 1;
		break;
	}
	ask_begin(honest, client, kind_of(honest, name), name);
}

static void ask_next(struct honest *honest, uint64_t n)
{
	uint32_t clients = (uint32_t)honest->clients_n;

	if (honest->walk != 0) {
		uint32_t name = (uint32_t)(n % honest->names);
		ask_begin(honest, (uint32_t)(n % clients),
			  kind_of(honest, name), name);
		return;
	}
	uint32_t share = flood_below(&honest->rng, 1000);
	if (share < honest->new_share)
		ask_begin(honest, flood_below(&honest->rng, clients), NEW,
			  (uint32_t)(honest->new_first + honest->new_n++));
	else if (share < honest->new_share + honest->none_share)
		ask_begin(
			honest, flood_below(&honest->rng, clients), NONE,
			(uint32_t)(honest->seed * 1000000 + honest->none_n++));
	else
		ask_old(honest);
}

/* -- when --------------------------------------------------------------- */

static double rate_at(const struct honest *honest, uint64_t ran_ns)
{
	double from = (double)honest->rate, ms = (double)ran_ns / 1e6;
	double risen = ms - (double)honest->rise_at_ms;

	if (honest->then == 0 || risen <= 0)
		return from;
	if (risen >= (double)honest->rise_ms)
		return (double)honest->then;
	return from +
	       ((double)honest->then - from) * risen / (double)honest->rise_ms;
}

static uint64_t next_gap_ns(struct honest *honest, uint64_t ran_ns)
{
	double rate = rate_at(honest, ran_ns);

	if (honest->walk != 0)
		return (uint64_t)(1e9 / rate);
	return (uint64_t)(-log(1.0 - flood_unit(&honest->rng)) * 1e9 / rate);
}

static void wait_events(struct honest *honest, int ms)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(honest->epoll, events, EVENTS, ms);

	for (int i = 0; i < n; i++) {
		uint64_t data = events[i].data.u64;
		if ((data & TCP_EVENT) != 0)
			ask_tcp_event(honest, (uint32_t)data);
		else
			ask_readable(honest, (uint32_t)data);
	}
}

static void run(struct honest *honest)
{
	honest->began_ns = flood_now_ns();
	uint64_t end_ns = honest->seconds * UINT64_C(1000000000);
	uint64_t next_ns = 0, looked_ns = 0, n = 0;
	bool ends = false;

	while (!ends || ask_any(honest)) {
		uint64_t ran_ns = flood_now_ns() - honest->began_ns;
		ends = ran_ns >= end_ns || n >= honest->questions;
		while (!ends && next_ns <= ran_ns && n < honest->questions) {
			ask_next(honest, n++);
			next_ns += next_gap_ns(honest, next_ns);
		}
		if (ran_ns > looked_ns + 10000000) {
			ask_times(honest, flood_now_ns());
			looked_ns = ran_ns;
		}
		wait_events(honest,
			    !ends && next_ns < ran_ns + 2000000 ? 1 : 5);
	}
}

/* -- options ------------------------------------------------------------ */

static int read_all(char **argv, struct honest *honest)
{
	const char *to = NULL;
	uint64_t port = 53;
	struct flood_option options[] = {
		{ .name = "to", .text = &to, .required = true },
		{ .name = "zone", .text = &honest->zone, .required = true },
		{ .name = "sub", .text = &honest->sub },
		{ .name = "log", .text = &honest->log_name },
		{ "port", &port, NULL, 1, 65535, false, false },
		{ "clients", &honest->clients_n, NULL, 1, FLOOD_CLIENTS, true,
		  false },
		{ "names", &honest->names, NULL, 1, NAMES_MAX, true, false },
		{ "rate", &honest->rate, NULL, 1, RATE_MAX, true, false },
		{ "seconds", &honest->seconds, NULL, 1, SECONDS_MAX, true,
		  false },
		{ "questions", &honest->questions, NULL, 1, QUESTIONS_MAX, true,
		  false },
		{ "then", &honest->then, NULL, 1, RATE_MAX, false, false },
		{ "rise-at", &honest->rise_at_ms, NULL, 0, 300000, false,
		  false },
		{ "rise-ms", &honest->rise_ms, NULL, 0, 300000, false, false },
		{ "new-share", &honest->new_share, NULL, 0, 500, false, false },
		{ "new-first", &honest->new_first, NULL, 0, 1000000, false,
		  false },
		{ "none-share", &honest->none_share, NULL, 0, 500, false,
		  false },
		{ "cookie-share", &honest->cookie_share, NULL, 0, 100, false,
		  false },
		{ "ttl", &honest->ttl, NULL, 0, 3600, false, false },
		{ "walk", &honest->walk, NULL, 0, 1, false, false },
		{ "rd", &honest->rd, NULL, 0, 1, false, false },
		{ "seed", &honest->seed, NULL, 0, 4000, false, false },
	};
	if (flood_options(argv, options, sizeof(options) / sizeof(*options)) !=
	    0)
		return -EINVAL;
	honest->to = (struct sockaddr_in){ .sin_family = AF_INET,
					   .sin_port = htons((uint16_t)port) };
	if (inet_pton(AF_INET, to, &honest->to.sin_addr) != 1 ||
	    strlen(honest->zone) + 64 > FLOOD_NAME_MAX ||
	    (honest->sub != NULL && strlen(honest->sub) > 40)) {
		fprintf(stderr, "to an IPv4 address; names that are not"
				" longer\n");
		return -EINVAL;
	}
	return flood_may_send(honest->to.sin_addr);
}

/* A socket for each client, and some for TCP. */
static int want_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? 0 : -errno;
}

int main(int argc, char **argv)
{
	static struct honest honest = { .seed = 1,
					.cookie_share = 40,
					.epoll = -1 };

	if (argc < 2 || read_all(argv, &honest) != 0)
		return 2;
	honest.rng.state = honest.seed;
	honest.ids.state = ~honest.seed;
	int rc = want_files();
	if (rc == 0)
		rc = say_open(&honest);
	if (rc == 0)
		rc = make_zipf(&honest);
	if (rc == 0)
		rc = ask_open(&honest);
	if (rc == 0) {
		run(&honest);
		say_all(&honest);
	} else {
		fprintf(stderr, "honest: %s\n", strerror(-rc));
	}
	ask_close(&honest);
	say_close(&honest);
	free(honest.zipf);
	free(honest.held_ms);
	return rc == 0 ? 0 : 1;
}
