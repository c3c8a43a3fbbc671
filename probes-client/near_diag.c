/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/near_diag.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/socket.h>

/* Where they are in struct tcp_info; the C library's ends before. */
#define INFO_RTT     68u
#define INFO_MIN_RTT 148u

/* Who is at the other end; IPv4 in IPv6's clothes is IPv4. */
static bool client_of(const struct inet_diag_msg *m, struct gtm_client *client)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const uint8_t *address = (const void *)m->id.idiag_dst;

	*client = (struct gtm_client){ .v6 = m->idiag_family == AF_INET6 };
	if (client->v6 && memcmp(address, mapped, sizeof(mapped)) == 0) {
		client->v6 = false;
		address += sizeof(mapped);
	}
	client->bits = client->v6 ? 128 : 32;
	memcpy(client->address, address, client->v6 ? 16 : 4);
	return m->idiag_family == AF_INET || m->idiag_family == AF_INET6;
}

/* The 32 bits of struct tcp_info (linux/tcp.h) at 'at'; 0: it ends before. */
static uint32_t info_at(const struct rtattr *a, size_t at)
{
	uint32_t value = 0;

	if (RTA_PAYLOAD(a) >= at + sizeof(value))
		memcpy(&value, (const char *)RTA_DATA(a) + at, sizeof(value));
	return value;
}

/* The least round trip that the kernel saw, else its mean; 0: none yet. */
static uint32_t rtt_us(const struct rtattr *a)
{
	uint32_t least = info_at(a, INFO_MIN_RTT);

	return least != 0 && least != UINT32_MAX ? least : info_at(a, INFO_RTT);
}

/* 'part', rounded up as netlink does, of 'n' octets. */
static size_t step_of(size_t part, size_t n)
{
	size_t step = NLMSG_ALIGN(part);

	return step < n ? step : n;
}

static void message_take(const struct nlmsghdr *header, uint16_t port,
			 near_diag_seen seen, void *arg)
{
	const struct inet_diag_msg *m = NLMSG_DATA(header);
	struct gtm_client client;

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
	    ntohs(m->id.idiag_sport) != port || !client_of(m, &client))
		return;
	size_t left = header->nlmsg_len - NLMSG_LENGTH(sizeof(*m));
	const struct rtattr *a = (const void *)(m + 1);
	while (RTA_OK(a, left)) {
		uint32_t us = a->rta_type == INET_DIAG_INFO ? rtt_us(a) : 0;
		if (us > 0)
			seen(arg, &client, (float)us / 1000.0f);
		size_t step = step_of(a->rta_len, left);
		left -= step;
		a = (const void *)((const char *)a + step);
	}
}

bool near_diag_read(const char *octets, size_t n, uint16_t port,
		    uint32_t *count, near_diag_seen seen, void *arg)
{
	const struct nlmsghdr *header = (const void *)octets;

	while (NLMSG_OK(header, n)) {
		if (header->nlmsg_type == NLMSG_DONE ||
		    header->nlmsg_type == NLMSG_ERROR ||
		    ++*count > NEAR_DIAG_MAX)
			return false;
		if (header->nlmsg_type == SOCK_DIAG_BY_FAMILY)
			message_take(header, port, seen, arg);
		size_t step = step_of(header->nlmsg_len, n);
		n -= step;
		header = (const void *)((const char *)header + step);
	}
	return true;
}
