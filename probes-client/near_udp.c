/* SPDX-License-Identifier: MPL-2.0 */
/*
 * UDP to a high port, where nobody listens: the client says so (port
 * unreachable), or with a TTL that is too small, a router does.  The ports say
 * which packet an answer is to.
 */
#include "probes-client/near_method.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PORT	 33434u /* as traceroute has it */
#define TTL_STEP 4u
#define TTL_MAX	 32u

static int udp_start(struct near_try *t)
{
	const int on = 1;

	if (!near_target(t, PORT))
		return -EINVAL;
	int fd = near_socket(t->to.any.sa_family, SOCK_DGRAM, IPPROTO_UDP);
	if (fd < 0)
		return fd;
	bool v6 = t->client.v6;
	/* not connected: each packet goes to a port of its own */
	if (setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
		       v6 ? IPV6_RECVERR : IP_RECVERR, &on, sizeof(on)) != 0) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	t->fd = fd;
	return 0;
}

static int packet_send(struct near_try *t, uint16_t port)
{
	uint8_t data[sizeof(t->nonce) + NEAR_DATA_MAX];
	size_t n = t->about != NULL ? strnlen(t->about, NEAR_DATA_MAX) : 0;

	memcpy(data, &t->nonce, sizeof(t->nonce));
	if (n > 0)
		memcpy(data + sizeof(t->nonce), t->about, n);
	/* the port is at the same place in both families */
	t->to.v4.sin_port = htons(port);
	t->sent_ns = near_now_ns();
	ssize_t sent = sendto(t->fd, data, sizeof(t->nonce) + n, MSG_NOSIGNAL,
			      &t->to.any, t->to_size);
	return sent < 0 ? -errno : 0;
}

static enum near_verdict answered(struct near_try *t, float ms, uint8_t hops)
{
	t->answered = true;
	t->full = hops == 0;
	t->hops = hops;
	t->ms = ms;
	return NEAR_DONE;
}

/* An answer from a port where somebody listens after all. */
static enum near_verdict data_read(struct near_try *t)
{
	struct near_packet packet;
	int rc;

	while ((rc = near_receive(t, &packet)) == 0)
		if (memcmp(&packet.from, &t->to, t->to_size) == 0)
			return answered(t, packet.ms, 0);
	return rc == -EAGAIN ? NEAR_WAIT : NEAR_FAILED;
}

static int udp_send(struct near_try *t)
{
	return packet_send(t, (uint16_t)(PORT + ++t->tries));
}

static enum near_verdict udp_reply(struct near_try *t)
{
	struct near_error error;

	while (near_error_read(t, &error) != NEAR_SAID_NOTHING) {
		if (error.port != PORT + t->tries)
			continue; /* to the one before: too late to tell */
		if (error.said == NEAR_SAID_PORT)
			return answered(t, error.ms, 0);
		return NEAR_FAILED;
	}
	return data_read(t);
}

const struct near_method near_udp = { "udp",	false,	   udp_start,
				      udp_send, udp_reply, near_timeout_twice };

/* -- up to the last router that answers ------------------------------------ */

static int ttl_start(struct near_try *t)
{
	t->ttl = TTL_STEP;
	return udp_start(t);
}

static int ttl_send(struct near_try *t)
{
	const int ttl = t->ttl;
	bool v6 = t->client.v6;

	if (setsockopt(t->fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
		       v6 ? IPV6_UNICAST_HOPS : IP_TTL, &ttl, sizeof(ttl)) != 0)
		return -errno;
	return packet_send(t, (uint16_t)(PORT + t->ttl));
}

static enum near_verdict ttl_reply(struct near_try *t)
{
	struct near_error error;

	while (near_error_read(t, &error) != NEAR_SAID_NOTHING) {
		if (error.port != PORT + t->ttl)
			continue;
		if (error.said == NEAR_SAID_PORT)
			return answered(t, error.ms, 0);
		if (error.said != NEAR_SAID_TTL)
			return t->answered ? NEAR_DONE : NEAR_FAILED;
		(void)answered(t, error.ms, t->ttl);
		if (t->ttl < TTL_STEP || t->ttl + TTL_STEP > TTL_MAX)
			return NEAR_DONE;
		t->ttl += TTL_STEP;
		return NEAR_AGAIN;
	}
	return data_read(t);
}

/* The way ends before: with what was had, or closer by. */
static enum near_verdict ttl_timeout(struct near_try *t)
{
	if (t->answered)
		return NEAR_DONE;
	return --t->ttl > 0 ? NEAR_AGAIN : NEAR_FAILED;
}

const struct near_method near_ttl = { "ttl",	false,	   ttl_start,
				      ttl_send, ttl_reply, ttl_timeout };
