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

struct peer {
	int fd; /* -1: free */
	size_t n;
	uint8_t in[ROOM];
};

struct fake {
	_Atomic int habit;
	_Atomic bool stop, hang_up;
	unsigned delay_ms;
	int udp, tcp;
	uint16_t port;
	pthread_t thread;
	_Atomic unsigned questions, connections, reads, complaints;
	uint8_t seen[256]; /* FAKE_LOSES_FIRST: by hash of the name */
	struct peer peers[CONNS];
};

static int bound(int type, uint16_t *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons(*port) };
	socklen_t n = sizeof(in);
	int one = 1;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
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

/* RD=0, one question, one additional record: OPT with DO and 1232. */
static bool is_as_agreed(const uint8_t *q, size_t n)
{
	static const uint8_t opt[] = {
		0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0
	};
	static const uint8_t head[] = { 0, 0, 0, 1, 0, 0, 0, 0, 0, 1 };

	return n > 12 + sizeof(opt) && memcmp(q + 2, head, 10) == 0 &&
	       memcmp(q + n - sizeof(opt), opt, sizeof(opt)) == 0;
}

/* The answer to 'q' without any record: its length. */
static size_t answer(const uint8_t *q, size_t n, uint8_t rcode, uint8_t *out)
{
	size_t end = n - 11;

	memcpy(out, q, end);
	out[2] = 0x84; /* QR, AA */
	out[3] = rcode;
	out[10] = out[11] = 0;
	return end;
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

	for (size_t i = 12; i < n - 15; i++)
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
	return size;
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
	fake->questions++;
	if (!is_as_agreed(q, (size_t)n))
		fake->complaints |= 1;
	size_t size = compose(fake, q, (size_t)n, true, out);
	if (size == 0)
		return;
	if (fake->habit == FAKE_SLOW)
		nap(fake->delay_ms * 1000);
	if (fake->habit == FAKE_WRONG_ID) {
		out[0] ^= 0x55;
		sendto(fake->udp, out, size, 0, to, from_n);
		out[0] ^= 0x55;
	}
	if (fake->habit == FAKE_WRONG_NAME) {
		out[13] ^= 1;
		sendto(fake->udp, out, size, 0, to, from_n);
		out[13] ^= 1;
	}
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

	fake->questions++;
	if (n < 23 || !is_as_agreed(q, n)) {
		fake->complaints |= 1;
		return;
	}
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
		if (poll(fds, CONNS + 2, 5) < 0)
			break;
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
	if (fake->tcp >= 0)
		close(fake->tcp);
	free(fake);
}

void fake_set(struct fake *fake, enum fake_habit habit)
{
	fake->habit = (int)habit;
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
