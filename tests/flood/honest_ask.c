/* SPDX-License-Identifier: MPL-2.0 */
#include "honest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define NOERROR	  0u
#define NXDOMAIN  3u
#define BADCOOKIE 23u

/* -- sockets ------------------------------------------------------------ */

static int watch(struct honest *honest, int how, int fd, uint32_t events,
		 uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };

	return epoll_ctl(honest->epoll, how, fd, &event) == 0 ? 0 : -errno;
}

static int open_socket(struct honest *honest, uint32_t client, int type)
{
	int on = 1;
	struct sockaddr_in from = { .sin_family = AF_INET };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;

	from.sin_addr = flood_client(client, honest->to.sin_addr);
	if (setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) == 0 &&
	    bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0 &&
	    (connect(fd, (struct sockaddr *)&honest->to, sizeof(honest->to)) ==
		     0 ||
	     errno == EINPROGRESS))
		return fd;
	int rc = -errno;
	close(fd);
	return rc;
}

static int open_client(struct honest *honest, uint32_t i)
{
	struct client *client = &honest->clients[i];

	client->fd = open_socket(honest, i, SOCK_DGRAM);
	if (client->fd < 0)
		return client->fd;
	client->cookies = flood_below(&honest->rng, 100) < honest->cookie_share;
	client->edns = client->cookies || flood_below(&honest->rng, 4) != 0;
	client->farm = flood_below(&honest->rng, 20) == 0;
	uint64_t cookie = flood_random(&honest->rng);
	memcpy(client->cookie, &cookie, sizeof(cookie));
	client->cookie_n = sizeof(cookie);
	return watch(honest, EPOLL_CTL_ADD, client->fd, EPOLLIN, i);
}

int ask_open(struct honest *honest)
{
	honest->clients = calloc(honest->clients_n, sizeof(*honest->clients));
	honest->asks = calloc(ASKS_MAX, sizeof(*honest->asks));
	honest->idle = calloc(ASKS_MAX, sizeof(*honest->idle));
	honest->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (honest->clients == NULL || honest->asks == NULL ||
	    honest->idle == NULL || honest->epoll < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < ASKS_MAX; i++)
		honest->idle[i] = ASKS_MAX - 1 - i;
	honest->idle_n = ASKS_MAX;
	for (uint32_t i = 0; i < honest->clients_n; i++)
		honest->clients[i].fd = -1;
	for (uint32_t i = 0; i < honest->clients_n; i++) {
		int rc = open_client(honest, i);
		if (rc != 0)
			return rc;
	}
	return 0;
}

void ask_close(struct honest *honest)
{
	for (uint32_t i = 0; honest->clients != NULL && i < honest->clients_n;
	     i++) {
		if (honest->clients[i].fd >= 0)
			close(honest->clients[i].fd);
	}
	if (honest->epoll >= 0)
		close(honest->epoll);
	free(honest->clients);
	free(honest->asks);
	free(honest->idle);
}

/* -- the beginning and the end ------------------------------------------ */

static void hang_up(struct ask *ask)
{
	if (ask->fd >= 0)
		close(ask->fd);
	ask->fd = -1;
}

static void end_ask(struct honest *honest, struct ask *ask, enum end end)
{
	hang_up(ask);
	say_end(honest, ask, end, flood_now_ns());
	ask->used = false;
	honest->idle[honest->idle_n++] = (uint32_t)(ask - honest->asks);
}

static void make_query(struct honest *honest, struct ask *ask)
{
	const struct client *client = &honest->clients[ask->client];
	char name[FLOOD_NAME_MAX];
	const char *letter = ask->kind == NEW ? "n" : "x";

	if (ask->kind == OLD || ask->kind == SUB)
		letter = "h";
	snprintf(name, sizeof(name), "%s%u%s%s.%s", letter, ask->number,
		 ask->kind == SUB ? "." : "",
		 ask->kind == SUB ? honest->sub : "", honest->zone);
	ask->query_n = flood_query(
		&(struct flood_question){
			.name = name,
			.id = (uint16_t)flood_random(&honest->ids),
			.rd = honest->rd != 0,
			.edns = client->edns,
			.cookie = client->cookies ? client->cookie : NULL,
			.cookie_n = client->cookie_n },
		ask->query);
}

static void send_udp(struct honest *honest, struct ask *ask)
{
	ask->tcp = false;
	ask->waits = false;
	make_query(honest, ask);
	ask->due_ns = flood_now_ns() + UDP_NS;
	/* What is not sent is lost, as it might be on its way. */
	if (send(honest->clients[ask->client].fd, ask->query, ask->query_n, 0) <
	    0)
		honest->tally.strange++;
}

void ask_begin(struct honest *honest, uint32_t client, enum kind kind,
	       uint32_t number)
{
	if (honest->idle_n == 0) {
		honest->tally.full++;
		return;
	}
	uint32_t i = honest->idle[--honest->idle_n];
	struct ask *ask = &honest->asks[i];
	if (i >= honest->high)
		honest->high = i + 1;
	memset(ask, 0, offsetof(struct ask, query));
	ask->used = true;
	ask->kind = kind;
	ask->client = client;
	ask->number = number;
	ask->fd = -1;
	ask->began_ns = flood_now_ns();
	ask->tries = 1;
	send_udp(honest, ask);
}

bool ask_any(const struct honest *honest)
{
	return honest->idle_n < ASKS_MAX;
}

/* One try has come to nothing. */
static void fail(struct honest *honest, struct ask *ask, enum end end)
{
	hang_up(ask);
	if (ask->tries >= TRIES) {
		end_ask(honest, ask, end);
		return;
	}
	ask->tries++;
	if (end == REFUSED) {
		ask->waits = true;
		ask->tcp = false;
		ask->due_ns = flood_now_ns() + AGAIN_NS;
		return;
	}
	send_udp(honest, ask);
}

void ask_times(struct honest *honest, uint64_t now_ns)
{
	for (uint32_t i = 0; i < honest->high; i++) {
		struct ask *ask = &honest->asks[i];
		if (!ask->used || now_ns < ask->due_ns)
			continue;
		if (ask->waits)
			send_udp(honest, ask);
		else
			fail(honest, ask, ask->tcp ? CUT : SILENT);
	}
}

/* -- replies ------------------------------------------------------------ */

static void begin_tcp(struct honest *honest, struct ask *ask)
{
	ask->cut++;
	ask->tcp = true;
	ask->sent = false;
	ask->got = 0;
	ask->due_ns = flood_now_ns() + TCP_NS;
	ask->fd = open_socket(honest, ask->client, SOCK_STREAM);
	if (ask->fd < 0 ||
	    watch(honest, EPOLL_CTL_ADD, ask->fd, EPOLLOUT,
		  TCP_EVENT | (uint64_t)(ask - honest->asks)) != 0)
		fail(honest, ask, CUT);
}

static void take(struct honest *honest, struct ask *ask,
		 const struct flood_reply *reply)
{
	struct client *client = &honest->clients[ask->client];

	if (reply->cookie_n > 8 &&
	    memcmp(reply->cookie, client->cookie, 8) == 0) {
		memcpy(client->cookie, reply->cookie, reply->cookie_n);
		client->cookie_n = reply->cookie_n;
	}
	ask->rcode = reply->rcode;
	if (reply->rcode == BADCOOKIE) {
		honest->tally.bad_cookies++;
		if (ask->cookies++ < 2) {
			hang_up(ask);
			send_udp(honest, ask);
			return;
		}
	}
	if (reply->truncated && !ask->tcp) {
		begin_tcp(honest, ask);
		return;
	}
	bool good = ask->kind == NONE
			    ? reply->rcode == NXDOMAIN
			    : reply->rcode == NOERROR && reply->answers > 0;
	if (good)
		end_ask(honest, ask, ANSWERED);
	else
		fail(honest, ask, REFUSED);
}

static struct ask *find_ask(struct honest *honest, uint32_t client,
			    const uint8_t *octets)
{
	for (uint32_t i = 0; i < honest->high; i++) {
		struct ask *ask = &honest->asks[i];
		if (ask->used && ask->client == client && !ask->tcp &&
		    !ask->waits && memcmp(ask->query, octets, 2) == 0)
			return ask;
	}
	return NULL;
}

void ask_readable(struct honest *honest, uint32_t client)
{
	uint8_t octets[4096];
	ssize_t n = recv(honest->clients[client].fd, octets, sizeof(octets), 0);
	if (n < 0)
		return;

	struct flood_reply reply;
	struct ask *ask = n < 12 ? NULL : find_ask(honest, client, octets);
	if (ask == NULL ||
	    flood_reply_read(octets, (size_t)n, ask->query, &reply) != 0) {
		/* Late, or to somebody who used this address. */
		honest->tally.strange++;
		return;
	}
	take(honest, ask, &reply);
}

static void write_tcp(struct honest *honest, struct ask *ask, uint32_t i)
{
	uint8_t octets[FLOOD_QUERY_MAX + 2];

	octets[0] = (uint8_t)(ask->query_n >> 8);
	octets[1] = (uint8_t)ask->query_n;
	memcpy(octets + 2, ask->query, ask->query_n);
	ssize_t n = send(ask->fd, octets, ask->query_n + 2, MSG_NOSIGNAL);
	ask->sent = true;
	if (n != (ssize_t)ask->query_n + 2 ||
	    watch(honest, EPOLL_CTL_MOD, ask->fd, EPOLLIN, TCP_EVENT | i) != 0)
		fail(honest, ask, CUT);
}

void ask_tcp_event(struct honest *honest, uint32_t i)
{
	struct ask *ask = &honest->asks[i];
	struct flood_reply reply;

	if (!ask->used || ask->fd < 0)
		return;
	if (!ask->sent) {
		write_tcp(honest, ask, i);
		return;
	}
	ssize_t n = recv(ask->fd, ask->reply + ask->got, TCP_MAX - ask->got, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		fail(honest, ask, CUT);
		return;
	}
	ask->got += (size_t)n;
	size_t length = (size_t)ask->reply[0] << 8 | ask->reply[1];
	if (ask->got < 2 || (ask->got < length + 2 && ask->got < TCP_MAX))
		return;
	if (ask->got < length + 2 ||
	    flood_reply_read(ask->reply + 2, length, ask->query, &reply) != 0)
		fail(honest, ask, CUT);
	else
		take(honest, ask, &reply);
}
