/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/near_icmp.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <unistd.h>

#include "probes-client/near_method.h"

#define ECHO_V4	      8
#define ECHO_REPLY_V4 0
#define ECHO_V6	      128
#define ECHO_REPLY_V6 129
#define NONCE	      8u

int near_echo_socket(bool v6, bool *rawp)
{
	int family = v6 ? AF_INET6 : AF_INET;
	int protocol = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	int fd = near_socket(family, SOCK_DGRAM, protocol);
	struct icmp6_filter only;
	const uint32_t only_v4 = ~(UINT32_C(1) << ECHO_REPLY_V4);

	*rawp = false;
	if (fd >= 0)
		return fd;
	*rawp = true;
	fd = near_socket(family, SOCK_RAW, protocol);
	if (fd < 0)
		return fd;
	ICMP6_FILTER_SETBLOCKALL(&only);
	ICMP6_FILTER_SETPASS(ECHO_REPLY_V6, &only);
	if (v6)
		(void)setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &only,
				 sizeof(only));
	else
		(void)setsockopt(fd, SOL_RAW, 1 /* ICMP_FILTER */, &only_v4,
				 sizeof(only_v4));
	return fd;
}

/* RFC 1071 */
static uint16_t checksum(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (n % 2 != 0)
		sum += (uint32_t)p[n - 1] << 8;
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

size_t near_echo_make(uint8_t *packet, bool v6, uint16_t id, uint16_t seq,
		      size_t n)
{
	n += NEAR_ECHO_HEADER;
	memset(packet, 0, NEAR_ECHO_HEADER);
	packet[0] = v6 ? ECHO_V6 : ECHO_V4;
	packet[4] = (uint8_t)(id >> 8);
	packet[5] = (uint8_t)id;
	packet[6] = (uint8_t)(seq >> 8);
	packet[7] = (uint8_t)seq;
	if (!v6) {
		/* the kernel makes that of IPv6 */
		uint16_t sum = checksum(packet, n);
		packet[2] = (uint8_t)(sum >> 8);
		packet[3] = (uint8_t)sum;
	}
	return n;
}

const uint8_t *near_echo_data(const uint8_t *packet, bool v6, bool raw,
			      uint16_t id, size_t *n)
{
	size_t left = *n;

	if (raw && !v6) {
		/* the header of IP comes first */
		size_t header = left > 0 ? (packet[0] & 15u) * 4u : 0;
		if (header < 20 || left < header)
			return NULL;
		packet += header;
		left -= header;
	}
	if (left < NEAR_ECHO_HEADER ||
	    packet[0] != (v6 ? ECHO_REPLY_V6 : ECHO_REPLY_V4))
		return NULL;
	if (raw &&
	    (packet[4] != (uint8_t)(id >> 8) || packet[5] != (uint8_t)id))
		return NULL;
	*n = left - NEAR_ECHO_HEADER;
	return packet + NEAR_ECHO_HEADER;
}

/* -- the method ------------------------------------------------------------ */

static int icmp_start(struct near_try *t)
{
	if (!near_target(t, 0))
		return -EINVAL;
	int fd = near_echo_socket(t->client.v6, &t->raw);
	if (fd < 0)
		return fd;
	if (connect(fd, &t->to.any, t->to_size) != 0) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	t->fd = fd;
	return 0;
}

static int icmp_send(struct near_try *t)
{
	uint8_t packet[NEAR_ECHO_HEADER + NONCE + NEAR_DATA_MAX];
	uint8_t *p = packet + NEAR_ECHO_HEADER;
	size_t n = t->about != NULL ? strnlen(t->about, NEAR_DATA_MAX) : 0;

	/* another one in each packet: it tells which one an answer is to */
	uint64_t nonce = t->nonce + ++t->tries;

	memcpy(p, &nonce, NONCE);
	if (n > 0)
		memcpy(p + NONCE, t->about, n);
	n = near_echo_make(packet, t->client.v6, (uint16_t)t->nonce, t->tries,
			   NONCE + n);
	t->sent_ns = near_now_ns();
	return send(t->fd, packet, n, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static enum near_verdict icmp_reply(struct near_try *t)
{
	const uint64_t nonce = t->nonce + t->tries;
	struct near_packet packet;
	int rc;

	while ((rc = near_receive(t, &packet)) == 0) {
		size_t n = packet.n;
		const uint8_t *data =
			near_echo_data(packet.data, t->client.v6, t->raw,
				       (uint16_t)t->nonce, &n);
		if (data == NULL || n < NONCE ||
		    memcmp(data, &nonce, NONCE) != 0)
			continue;
		t->answered = true;
		t->full = true;
		t->ms = packet.ms;
		return NEAR_DONE;
	}
	return rc == -EAGAIN ? NEAR_WAIT : NEAR_FAILED;
}

const struct near_method near_icmp = {
	"icmp", false, icmp_start, icmp_send, icmp_reply, near_timeout_twice
};
