/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The client is a resolver, so it listens: it is asked, without recursion, for
 * the name of this node's address.  Whatever it answers has made the way; and
 * who reads its log finds there who asks.
 */
#include "probes-client/near_method.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PORT	  53
#define TYPE_PTR  12
#define HEADER	  12u
#define QUERY_MAX 128u

static int ptr_start(struct near_try *t)
{
	const int on = 1;

	if (!near_target(t, PORT))
		return -EINVAL;
	int fd = near_socket(t->to.any.sa_family, SOCK_DGRAM, IPPROTO_UDP);
	if (fd < 0)
		return fd;
	bool v6 = t->client.v6;
	if (setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
		       v6 ? IPV6_RECVERR : IP_RECVERR, &on, sizeof(on)) != 0 ||
	    connect(fd, &t->to.any, t->to_size) != 0) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	t->fd = fd;
	return 0;
}

static uint8_t *label(uint8_t *p, const char *text, size_t n)
{
	*p++ = (uint8_t)n;
	memcpy(p, text, n);
	return p + n;
}

static uint8_t *reverse_v4(uint8_t *p, const uint8_t *address)
{
	for (unsigned int i = 4; i-- > 0;) {
		char text[3];
		size_t n = 0;
		if (address[i] >= 100)
			text[n++] = (char)('0' + address[i] / 100);
		if (address[i] >= 10)
			text[n++] = (char)('0' + address[i] / 10 % 10);
		text[n++] = (char)('0' + address[i] % 10);
		p = label(p, text, n);
	}
	p = label(p, "in-addr", 7);
	return label(p, "arpa", 4);
}

static uint8_t *reverse_v6(uint8_t *p, const uint8_t *address)
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned int i = 16; i-- > 0;) {
		p = label(p, &digits[address[i] & 15], 1);
		p = label(p, &digits[address[i] >> 4], 1);
	}
	p = label(p, "ip6", 3);
	return label(p, "arpa", 4);
}

/* Another one in each packet: it tells which one an answer is to. */
static uint16_t id_of(const struct near_try *t)
{
	return (uint16_t)(t->nonce + t->tries);
}

/* RFC 1035 section 4.1; RD is not set. */
static size_t query_make(const struct near_try *t, uint8_t *query)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} own;
	socklen_t size = sizeof(own);
	uint8_t *p = query + HEADER;

	memset(&own, 0, sizeof(own));
	(void)getsockname(t->fd, &own.any, &size);
	memset(query, 0, HEADER);
	query[0] = (uint8_t)(id_of(t) >> 8);
	query[1] = (uint8_t)id_of(t);
	query[5] = 1;
	p = t->client.v6 ? reverse_v6(p, own.v6.sin6_addr.s6_addr)
			 : reverse_v4(p, (const uint8_t *)&own.v4.sin_addr);
	*p++ = 0;
	*p++ = 0;
	*p++ = TYPE_PTR;
	*p++ = 0;
	*p++ = 1;
	return (size_t)(p - query);
}

static int ptr_send(struct near_try *t)
{
	uint8_t query[QUERY_MAX];

	t->tries++;
	size_t n = query_make(t, query);
	t->sent_ns = near_now_ns();
	return send(t->fd, query, n, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static enum near_verdict answered(struct near_try *t, float ms)
{
	t->answered = true;
	t->full = true;
	t->ms = ms;
	return NEAR_DONE;
}

static enum near_verdict ptr_reply(struct near_try *t)
{
	struct near_packet packet;
	struct near_error error;
	int rc;

	switch (near_error_read(t, &error)) {
	case NEAR_SAID_PORT: /* it listens no more, but is there */
		return answered(t, error.ms);
	case NEAR_SAID_NOTHING:
		break;
	default:
		return NEAR_FAILED;
	}
	while ((rc = near_receive(t, &packet)) == 0)
		if (packet.n >= HEADER && (packet.data[2] & 0x80) != 0 &&
		    packet.data[0] == (uint8_t)(id_of(t) >> 8) &&
		    packet.data[1] == (uint8_t)id_of(t))
			return answered(t, packet.ms);
	return rc == -EAGAIN ? NEAR_WAIT : NEAR_FAILED;
}

const struct near_method near_ptr = { "ptr",	true,	   ptr_start,
				      ptr_send, ptr_reply, near_timeout_twice };
