/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/unit/origin_fake.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNS	   64
#define ROOM	   65536u
#define MESSAGE	   1500u
#define TOGETHER   256u
#define FULL_N	   1200u
#define DRIBBLE_US 300
#define FIXED	   12u /* octets of a header */
#define OURS	   8u
#define THEIRS	   16u
#define LONG	   33u
#define FLOOD	   40
#define NXDOMAIN   3 /* what forged answers say */

struct peer {
	int fd; /* -1: free */
	size_t n;
	uint8_t in[ROOM];
};

struct fake {
	_Atomic int habit;
	_Atomic bool stop, hang_up;
	unsigned delay_ms;
	int udp, tcp, stranger, neighbour;
	_Atomic uint8_t theirs;
	_Atomic unsigned cookie_n;
	_Atomic bool mixed;
	uint16_t port;
	pthread_t thread;
	_Atomic unsigned questions, connections, reads, complaints;
	unsigned turn;
	uint8_t seen[256]; /* FAKE_LOSES_FIRST: by hash of the name */
	struct peer peers[CONNS];
};

static int bound_at(uint32_t address, int type, uint16_t *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons(*port) };
	socklen_t n = sizeof(in);
	int one = 1;

	in.sin_addr.s_addr = htonl(address);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	assert(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&in, n) != 0) {
		close(fd);
		return -1;
	}
	getsockname(fd, (struct sockaddr *)&in, &n);
	*port = ntohs(in.sin_port);
	return fd;
}

static int bound(int type, uint16_t *port)
{
	return bound_at(INADDR_LOOPBACK, type, port);
}

uint16_t fake_free_port(void)
{
	uint16_t port = 0;
	int fd = bound(SOCK_STREAM, &port);

	close(fd);
	return port;
}

static void nap(unsigned us)
{
	struct timespec ts = { us / 1000000, (long)(us % 1000000) * 1000 };

	nanosleep(&ts, NULL);
}

/* Where the OPT record of 'q' begins. */
static size_t opt_of(const uint8_t *q, size_t n)
{
	size_t at = FIXED;

	while (at < n && q[at] != 0)
		at += 1u + q[at];
	return at + 5 < n ? at + 5 : n;
}

/* Octets of the cookie in 'q', which is_as_agreed(); 0: none. */
static size_t cookie_of(const uint8_t *q, size_t n)
{
	size_t opt = opt_of(q, n);

	return n > opt + 11 ? n - opt - 15 : 0;
}

/*
 * RD=0, one question, one additional record: OPT with DO and 1232, with no
 * option but COOKIE.
 */
static bool is_as_agreed(const uint8_t *q, size_t n)
{
	static const uint8_t fixed[] = { 0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0 };
	static const uint8_t head[] = { 0, 0, 0, 1, 0, 0, 0, 0, 0, 1 };
	size_t at = opt_of(q, n);

	if (n < at + 11 || memcmp(q + 2, head, sizeof(head)) != 0 ||
	    memcmp(q + at, fixed, sizeof(fixed)) != 0 || q[at + 9] != 0 ||
	    q[at + 10] != n - at - 11)
		return false;
	size_t cookie_n = n - at - 15;
	return n == at + 11 ||
	       (n > at + 15 && q[at + 11] == 0 && q[at + 12] == 10 &&
		q[at + 13] == 0 && q[at + 14] == cookie_n &&
		(cookie_n == 8 || (cookie_n >= 16 && cookie_n <= 40)));
}

/* Notes what is to be asked about 'q'. */
static void note(struct fake *fake, const uint8_t *q, size_t n)
{
	bool mixed = false;

	for (size_t i = FIXED; i < opt_of(q, n) - 5; i++)
		mixed = mixed || (q[i] >= 'A' && q[i] <= 'Z');
	fake->mixed = mixed;
	fake->cookie_n = (unsigned)cookie_of(q, n);
	fake->questions++;
	if (!is_as_agreed(q, n))
		fake->complaints |= 1;
}

/* The answer to 'q' without any record: its length. */
static size_t answer(const uint8_t *q, size_t n, uint8_t rcode, uint8_t *out)
{
	size_t end = opt_of(q, n);

	memcpy(out, q, end);
	out[2] = 0x84; /* QR, AA */
	out[3] = rcode;
	out[10] = out[11] = 0;
	return end;
}

/* Adds an OPT record with the cookie of 'q' and 'theirs_n' octets more. */
static size_t add_cookie(struct fake *fake, const uint8_t *q, size_t n,
			 size_t theirs_n, uint8_t *out, size_t size)
{
	uint8_t opt[15] = { 0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0, 0, 10 };

	if (fake->theirs == 0 || cookie_of(q, n) == 0)
		return size;
	opt[10] = (uint8_t)(4 + OURS + theirs_n);
	opt[14] = (uint8_t)(OURS + theirs_n);
	memcpy(out + size, opt, sizeof(opt));
	memcpy(out + size + sizeof(opt), q + opt_of(q, n) + sizeof(opt), OURS);
	memset(out + size + sizeof(opt) + OURS, fake->theirs, theirs_n);
	out[11]++;
	return size + sizeof(opt) + OURS + theirs_n;
}

/* True if 'q' has the newest cookie. */
static bool has_newest(struct fake *fake, const uint8_t *q, size_t n)
{
	uint8_t theirs[THEIRS];

	memset(theirs, fake->theirs, sizeof(theirs));
	return cookie_of(q, n) == OURS + THEIRS &&
	       memcmp(q + n - THEIRS, theirs, THEIRS) == 0;
}

/* Turns the answer 'out', with a cookie, into BADCOOKIE. */
static void refuse_cookie(const uint8_t *q, size_t n, uint8_t *out)
{
	out[3] = 7;
	out[opt_of(q, n) + 5] = 1;
}

/* One TXT-like record makes 'out' of 'n' octets 'size' octets long. */
static size_t fatten(uint8_t *out, size_t n, size_t size)
{
	size_t rdata = size - n - 12;
	uint8_t head[12] = { 0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60 };

	head[10] = (uint8_t)(rdata >> 8);
	head[11] = (uint8_t)rdata;
	memcpy(out + n, head, sizeof(head));
	memset(out + n + 12, 0, rdata);
	out[7] = 1;
	return size;
}

static bool is_first(struct fake *fake, const uint8_t *q, size_t n)
{
	uint8_t hash = 0;

	for (size_t i = FIXED; i < opt_of(q, n) - 4; i++)
		hash = (uint8_t)(hash * 31 + (q[i] | 0x20));
	return fake->seen[hash]++ == 0;
}

/* The true answer by this habit; 0: none. */
static size_t compose(struct fake *fake, const uint8_t *q, size_t n, bool udp,
		      uint8_t *out)
{
	int habit = fake->habit;
	size_t size = answer(q, n, 0, out);

	if (habit == FAKE_SILENT)
		return 0;
	if (habit == FAKE_LOSES_FIRST && udp && is_first(fake, q, n))
		return 0;
	if (habit == FAKE_SERVFAIL)
		out[3] = 2;
	if (habit == FAKE_BARE_FORMERR) {
		out[3] = 1;
		memset(out + 4, 0, 8);
		return 12;
	}
	if (habit == FAKE_CUT_ALWAYS || (habit == FAKE_CUT && udp))
		out[2] |= 2;
	if (habit == FAKE_FULL && udp)
		return fatten(out, size, FULL_N);
	if (habit == FAKE_WRONG_ALWAYS)
		out[13] ^= 1;
	if (habit == FAKE_MUTE_OPTIONS && udp && cookie_of(q, n) > 0)
		return 0;
	if (habit == FAKE_NO_OPTIONS && cookie_of(q, n) > 0) {
		out[3] = 1;
		return size;
	}
	for (size_t i = FIXED; habit == FAKE_FOLDS && i < size - 4; i++)
		if (out[i] >= 'A' && out[i] <= 'Z')
			out[i] |= 0x20;
	if (habit == FAKE_POOL && fake->turn++ % 2 == 1)
		return size;
	size_t whole = add_cookie(fake, q, n, THEIRS, out, size);
	if (habit == FAKE_OTHERS_COOKIE && whole > size)
		out[size + 15 + OURS - 1] ^= 1;
	if (udp && whole > size &&
	    (habit == FAKE_BAD_ALWAYS ||
	     (habit == FAKE_BAD_COOKIE && !has_newest(fake, q, n))))
		refuse_cookie(q, n, out);
	return whole;
}

/* Flips the first letter's case. */
static void flip_case(uint8_t *out)
{
	size_t at = FIXED + 1;

	while ((out[at] | 0x20) < 'a' || (out[at] | 0x20) > 'z')
		at++;
	out[at] ^= 0x20;
}

/* What a stranger might send for the true answer 'out': its length. */
static size_t forge(struct fake *fake, const uint8_t *q, size_t n, uint8_t *out)
{
	size_t size = answer(q, n, NXDOMAIN, out);

	if (fake->habit == FAKE_CUT_NO_COOKIE)
		out[2] |= 2;
	if (fake->habit == FAKE_NO_COOKIE || fake->habit == FAKE_CUT_NO_COOKIE)
		return size;
	if (fake->habit == FAKE_LONG_COOKIE)
		return add_cookie(fake, q, n, LONG, out, size);
	if (fake->habit == FAKE_WRONG_ID)
		out[0] ^= 0x55;
	if (fake->habit == FAKE_WRONG_NAME)
		out[13] ^= 1;
	if (fake->habit == FAKE_WRONG_TYPE)
		out[size - 3] ^= 1;
	if (fake->habit == FAKE_WRONG_CLASS)
		out[size - 1] ^= 2;
	if (fake->habit == FAKE_WRONG_CASE)
		flip_case(out);
	if (fake->habit == FAKE_NO_QR)
		out[2] &= 0x7f;
	if (fake->habit == FAKE_RUBBISH) {
		out[7] = 1;
		memset(out + size, 0x77, 5);
		return size + 5;
	}
	size_t whole = add_cookie(fake, q, n, THEIRS, out, size);
	if (fake->habit == FAKE_WRONG_COOKIE && whole > size)
		out[size + 15 + OURS - 1] ^= 1;
	return whole;
}

/* Sends what comes before the true answer. */
static void mislead(struct fake *fake, const uint8_t *q, size_t n,
		    const struct sockaddr_in *to)
{
	const struct sockaddr *sa = (const struct sockaddr *)to;
	uint8_t out[MESSAGE];
	int fd = fake->udp, times = 1, habit = fake->habit;

	if (habit == FAKE_FLOOD)
		times = FLOOD;
	else if (habit < FAKE_WRONG_ID || habit > FAKE_RUBBISH)
		return;
	if (habit == FAKE_OTHER_PORT)
		fd = fake->stranger;
	if (habit == FAKE_OTHER_ADDRESS)
		fd = fake->neighbour;
	size_t size = forge(fake, q, n, out);
	for (int i = 1; i <= times; i++) {
		if (habit == FAKE_FLOOD)
			out[1] = (uint8_t)(q[1] ^ i);
		sendto(fd, out, size, 0, sa, sizeof(*to));
	}
}

static void on_datagram(struct fake *fake)
{
	uint8_t q[MESSAGE], out[MESSAGE];
	struct sockaddr_in from;
	socklen_t from_n = sizeof(from);
	struct sockaddr *to = (struct sockaddr *)&from;
	ssize_t n = recvfrom(fake->udp, q, sizeof(q), 0, to, &from_n);

	if (n < 23)
		return;
	note(fake, q, (size_t)n);
	size_t size = compose(fake, q, (size_t)n, true, out);
	if (size == 0)
		return;
	if (fake->habit == FAKE_SLOW)
		nap(fake->delay_ms * 1000);
	mislead(fake, q, (size_t)n, &from);
	sendto(fake->udp, out, size, 0, to, from_n);
	if (fake->habit == FAKE_TWICE)
		sendto(fake->udp, out, size, 0, to, from_n);
}

/* -- TCP */

static void hang_up(struct peer *peer, bool reset)
{
	struct linger linger = { 1, 0 };

	if (peer->fd < 0)
		return;
	if (reset)
		setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger,
			   sizeof(linger));
	close(peer->fd);
	peer->fd = -1;
}

static void push(struct peer *peer, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t done = send(peer->fd, p, n, MSG_NOSIGNAL);
		if (done <= 0)
			return;
		p += done;
		n -= (size_t)done;
	}
}

static void push_message(struct fake *fake, struct peer *peer, uint8_t *framed,
			 size_t size)
{
	framed[0] = (uint8_t)(size >> 8);
	framed[1] = (uint8_t)size;
	if (fake->habit != FAKE_DRIBBLE) {
		push(peer, framed, size + 2);
		return;
	}
	for (size_t i = 0; i < size + 2; i++) {
		push(peer, framed + i, 1);
		nap(DRIBBLE_US);
	}
}

static const uint8_t garbage[] = "\0\3HTTP/1.1 400 Bad Request\r\n\r\n"
				 "no DNS is spoken on this port";

/* True if the habit wants no answer to be written after it. */
static bool spoil(struct fake *fake, struct peer *peer, const uint8_t *framed,
		  size_t size)
{
	switch (fake->habit) {
	case FAKE_CLOSE_AT_ONCE:
	case FAKE_RESET:
		hang_up(peer, fake->habit == FAKE_RESET);
		return true;
	case FAKE_HALF:
		push(peer, framed, size / 2);
		hang_up(peer, false);
		return true;
	case FAKE_GARBAGE:
		push(peer, garbage, sizeof(garbage));
		return true;
	default:
		return false;
	}
}

static void on_question(struct fake *fake, struct peer *peer, const uint8_t *q,
			size_t n)
{
	uint8_t out[2 + MESSAGE];

	note(fake, q, n);
	if (!is_as_agreed(q, n))
		return;
	size_t size = compose(fake, q, n, false, out + 2);
	if (size == 0 || spoil(fake, peer, out, size))
		return;
	if (fake->habit == FAKE_SLOW)
		nap(fake->delay_ms * 1000);
	if (fake->habit == FAKE_WRONG_ID) {
		out[2] ^= 0x55;
		push_message(fake, peer, out, size);
		out[2] ^= 0x55;
	}
	push_message(fake, peer, out, size);
	if (fake->habit == FAKE_TWICE)
		push_message(fake, peer, out, size);
	if (fake->habit == FAKE_CLOSE_EACH)
		hang_up(peer, false);
}

static void on_stream(struct fake *fake, struct peer *peer)
{
	size_t at[TOGETHER], count = 0, used = 0;
	ssize_t n = recv(peer->fd, peer->in + peer->n, ROOM - peer->n, 0);

	if (n <= 0) {
		hang_up(peer, false);
		return;
	}
	fake->reads++;
	peer->n += (size_t)n;
	while (count < TOGETHER && peer->n - used >= 2) {
		size_t size = (size_t)peer->in[used] << 8 | peer->in[used + 1];
		if (peer->n - used - 2 < size)
			break;
		at[count++] = used;
		used += 2 + size;
	}
	for (size_t i = 0; i < count && peer->fd >= 0; i++) {
		bool back = fake->habit == FAKE_REVERSE;
		const uint8_t *p = peer->in + at[back ? count - 1 - i : i];
		on_question(fake, peer, p + 2, (size_t)p[0] << 8 | p[1]);
	}
	peer->n -= used;
	memmove(peer->in, peer->in + used, peer->n);
}

static void on_connection(struct fake *fake)
{
	int fd = accept4(fake->tcp, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	fake->connections++;
	for (size_t i = 0; i < CONNS; i++) {
		if (fake->peers[i].fd >= 0)
			continue;
		fake->peers[i].fd = fd;
		fake->peers[i].n = 0;
		if (fake->habit == FAKE_BABBLE)
			push(&fake->peers[i], garbage, sizeof(garbage));
		return;
	}
	close(fd);
}

static void *serve(void *arg)
{
	struct fake *fake = arg;
	struct pollfd fds[CONNS + 2];

	while (!fake->stop) {
		fds[0] = (struct pollfd){ .fd = fake->udp, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = fake->tcp, .events = POLLIN };
		for (size_t i = 0; i < CONNS; i++)
			fds[i + 2] = (struct pollfd){ .fd = fake->peers[i].fd,
						      .events = POLLIN };
		if (poll(fds, CONNS + 2, 5) < 0) {
			nap(1000); /* a test has no descriptors left */
			continue;
		}
		bool hang = atomic_exchange(&fake->hang_up, false);
		for (size_t i = 0; i < CONNS; i++) {
			if (hang)
				hang_up(&fake->peers[i], false);
			else if (fds[i + 2].revents != 0)
				on_stream(fake, &fake->peers[i]);
		}
		if (fds[0].revents != 0)
			on_datagram(fake);
		if (fake->tcp >= 0 && fds[1].revents != 0)
			on_connection(fake);
	}
	return NULL;
}

struct fake *fake_start(enum fake_habit habit, bool tcp, unsigned delay_ms)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	assert(fake != NULL);
	fake->habit = (int)habit;
	fake->delay_ms = delay_ms;
	for (size_t i = 0; i < CONNS; i++)
		fake->peers[i].fd = -1;
	do {
		fake->port = 0;
		fake->udp = bound(SOCK_DGRAM, &fake->port);
		fake->tcp = bound(SOCK_STREAM, &fake->port);
		if (fake->tcp < 0)
			close(fake->udp);
	} while (fake->tcp < 0);
	uint16_t port = 0;
	fake->stranger = bound(SOCK_DGRAM, &port);
	port = fake->port;
	fake->neighbour = bound_at(INADDR_LOOPBACK + 1, SOCK_DGRAM, &port);
	assert(fake->stranger >= 0 && fake->neighbour >= 0);
	if (tcp) {
		listen(fake->tcp, 128);
	} else {
		close(fake->tcp);
		fake->tcp = -1;
	}
	pthread_create(&fake->thread, NULL, serve, fake);
	return fake;
}

void fake_stop(struct fake *fake)
{
	fake->stop = true;
	pthread_join(fake->thread, NULL);
	for (size_t i = 0; i < CONNS; i++)
		hang_up(&fake->peers[i], false);
	close(fake->udp);
	close(fake->stranger);
	close(fake->neighbour);
	if (fake->tcp >= 0)
		close(fake->tcp);
	free(fake);
}

void fake_set(struct fake *fake, enum fake_habit habit)
{
	fake->habit = (int)habit;
}

void fake_set_cookie(struct fake *fake, uint8_t octet)
{
	fake->theirs = octet;
}

unsigned fake_cookie_n(const struct fake *fake)
{
	return fake->cookie_n;
}

bool fake_mixed(const struct fake *fake)
{
	return fake->mixed;
}

void fake_hang_up(struct fake *fake)
{
	fake->hang_up = true;
	while (fake->hang_up)
		nap(1000);
	nap(6000);
}

uint16_t fake_port(const struct fake *fake)
{
	return fake->port;
}

unsigned fake_questions(const struct fake *fake)
{
	return fake->questions;
}

unsigned fake_connections(const struct fake *fake)
{
	return fake->connections;
}

unsigned fake_reads(const struct fake *fake)
{
	return fake->reads;
}

unsigned fake_complaints(const struct fake *fake)
{
	return fake->complaints;
}
