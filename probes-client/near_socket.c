/* SPDX-License-Identifier: MPL-2.0 */
/* What the ways to measure share: sockets, times, and what ICMP says. */
#include "probes-client/near_method.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/config.h"

#define SECOND_NS UINT64_C(1000000000)
#define TRIES	  2

const struct near_method *near_method_of(unsigned int method)
{
	static const struct near_method *const all[CONFIG_METHODS] = {
		&near_ptr, &near_icmp, &near_udp, &near_ttl, &near_aspath
	};

	return all[method];
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec now;

	(void)clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

uint64_t near_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* Unspecified, multicast, broadcast; and IPv4 in IPv6's clothes. */
static bool is_odd(const struct gtm_client *c)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t none[16] = { 0 };

	if (!c->v6)
		return c->address[0] == 0 || c->address[0] >= 224;
	return c->address[0] == 0xff ||
	       memcmp(c->address, none, sizeof(none)) == 0 ||
	       memcmp(c->address, mapped, sizeof(mapped)) == 0;
}

bool near_target(struct near_try *t, uint16_t port)
{
	const struct gtm_client *c = &t->client;
	bool whole = c->bits == (c->v6 ? 128 : 32);

	if (is_odd(c))
		return false;
	memset(&t->to, 0, sizeof(t->to));
	if (c->v6) {
		t->to.v6.sin6_family = AF_INET6;
		t->to.v6.sin6_port = htons(port);
		memcpy(&t->to.v6.sin6_addr, c->address, 16);
		t->to.v6.sin6_addr.s6_addr[15] |= whole ? 0 : 1;
		t->to_size = sizeof(t->to.v6);
		return true;
	}
	t->to.v4.sin_family = AF_INET;
	t->to.v4.sin_port = htons(port);
	memcpy(&t->to.v4.sin_addr, c->address, 4);
	t->to.v4.sin_addr.s_addr |= htonl(whole ? 0 : 1);
	t->to_size = sizeof(t->to.v4);
	return true;
}

int near_socket(int family, int type, int protocol)
{
	const int on = 1;
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) == 0)
		return fd;
	int rc = -errno;
	close(fd);
	return rc;
}

void near_close(struct near_try *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

/*
 * By the monotonic clock, less what the answer lay in the socket by the other
 * one: so that a step of that clock between the two packets does no harm.
 */
float near_elapsed_ms(const struct near_try *t, struct msghdr *message)
{
	uint64_t wall_ns = clock_ns(CLOCK_REALTIME);
	uint64_t past_ns = near_now_ns() - t->sent_ns;
	struct timespec stamp;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL;
	     c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET ||
		    c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
		uint64_t at_ns = (uint64_t)stamp.tv_sec * SECOND_NS +
				 (uint64_t)stamp.tv_nsec;
		if (at_ns < wall_ns && wall_ns - at_ns < past_ns)
			past_ns -= wall_ns - at_ns;
	}
	return (float)past_ns / 1e6f;
}

int near_receive(const struct near_try *t, struct near_packet *packet)
{
	char control[256];
	struct iovec to = { packet->data, sizeof(packet->data) };
	struct msghdr message = { .msg_name = &packet->from,
				  .msg_namelen = sizeof(packet->from),
				  .msg_iov = &to,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };

	memset(&packet->from, 0, sizeof(packet->from));
	ssize_t n = recvmsg(t->fd, &message, 0);
	if (n < 0)
		return -errno;
	packet->n = (size_t)n;
	packet->ms = near_elapsed_ms(t, &message);
	return 0;
}

static bool same_address(const struct near_try *t,
			 const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	if (address->sa_family != t->to.any.sa_family)
		return false;
	if (address->sa_family == AF_INET)
		return v4->sin_addr.s_addr == t->to.v4.sin_addr.s_addr;
	return memcmp(&v6->sin6_addr, &t->to.v6.sin6_addr, 16) == 0;
}

static enum near_said said(const struct near_try *t,
			   const struct sock_extended_err *e)
{
	bool v6 = e->ee_origin == SO_EE_ORIGIN_ICMP6;

	if (!v6 && e->ee_origin != SO_EE_ORIGIN_ICMP)
		return NEAR_SAID_OTHER;
	if (e->ee_type == (v6 ? ICMP6_TIME_EXCEEDED : ICMP_TIME_EXCEEDED))
		return NEAR_SAID_TTL;
	bool port = v6 ? e->ee_type == ICMP6_DST_UNREACH &&
				    e->ee_code == ICMP6_DST_UNREACH_NOPORT
		       : e->ee_type == ICMP_DEST_UNREACH &&
				    e->ee_code == ICMP_PORT_UNREACH;
	return port && same_address(t, SO_EE_OFFENDER(e)) ? NEAR_SAID_PORT
							  : NEAR_SAID_OTHER;
}

enum near_said near_error_read(const struct near_try *t,
			       struct near_error *error)
{
	struct sockaddr_storage sent_to;
	char control[512];
	char data[64];
	struct iovec to = { data, sizeof(data) };
	struct msghdr message = { .msg_name = &sent_to,
				  .msg_namelen = sizeof(sent_to),
				  .msg_iov = &to,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };

	*error = (struct near_error){ .said = NEAR_SAID_NOTHING };
	memset(&sent_to, 0, sizeof(sent_to));
	if (recvmsg(t->fd, &message, MSG_ERRQUEUE) < 0)
		return NEAR_SAID_NOTHING;
	/* the port is at the same place in both families */
	error->port =
		ntohs(((const struct sockaddr_in *)(void *)&sent_to)->sin_port);
	error->said = NEAR_SAID_OTHER;
	error->ms = near_elapsed_ms(t, &message);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL;
	     c = CMSG_NXTHDR(&message, c))
		if ((c->cmsg_level == IPPROTO_IP &&
		     c->cmsg_type == IP_RECVERR) ||
		    (c->cmsg_level == IPPROTO_IPV6 &&
		     c->cmsg_type == IPV6_RECVERR))
			error->said = said(t, (const void *)CMSG_DATA(c));
	return error->said;
}

enum near_verdict near_timeout_twice(struct near_try *t)
{
	return t->tries < TRIES ? NEAR_AGAIN : NEAR_FAILED;
}
