/* SPDX-License-Identifier: MPL-2.0 */
/*
 * attack - a flood of queries against an edge under test, and nowhere else.
 *
 *   attack --mode MODE --to ADDRESS --interface NAME --zone ZONE --rate N
 *          --seconds N --packets N [--port N] [--sources N] [--name NAME]
 *          [--rd 1] [--seed N]
 *
 *   few     random names below ZONE, from SOURCES addresses (10)
 *   forged  random names, each from a random address of 10.0.0.0/8
 *   known   random names, from the addresses of SOURCES honest clients
 *   repeat  the question NAME again and again, from one address
 *   suffix  the same as known; ZONE is the suffix
 *
 * It sends to 198.18.0.0/15 only, from a network namespace that has nothing
 * but loopback and veths of a test (flood.h); or, with '--interface lo', to
 * loopback, from true sockets of up to 16 loopback addresses.  Rate, seconds
 * and packets have to be given and have maxima; what comes first ends it.
 * Packets are made before the first one is sent.  Prints what it sent, as
 * one line of JSON; times are those of CLOCK_MONOTONIC, in seconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "flood.h"

#define RATE_MAX      100000u
#define SECONDS_MAX   120u
#define PACKETS_MAX   1000000u
#define BATCH	      64u
#define TICK_NS	      UINT64_C(1000000)
#define LATE_NS	      UINT64_C(100000000) /* more is not made up for */
#define SOCKETS_MAX   16u
#define HEADERS_LEN   (sizeof(struct iphdr) + sizeof(struct udphdr))
#define PACKET_OCTETS 190u

enum mode { FEW, FORGED, KNOWN, REPEAT, SUFFIX };
static const char *const MODES[] = { "few", "forged", "known", "repeat",
				     "suffix" };

struct packet {
	uint16_t n;
	uint8_t octets[PACKET_OCTETS];
};

struct attack {
	enum mode mode;
	struct sockaddr_in to;
	const char *interface, *zone, *name;
	uint64_t rate, seconds, packets, sources, seed, rd;
	bool raw;
	struct flood_rng rng;
	struct packet *made;
	int fds[SOCKETS_MAX];
	size_t fds_n;
	uint64_t sent, errors, began_ns, ended_ns;
};

/* -- making ------------------------------------------------------------- */

static struct in_addr source_of(struct attack *attack)
{
	uint32_t i = flood_below(&attack->rng, (uint32_t)attack->sources);
	uint32_t few = UINT32_C(0x0a010000); /* 10.1.0.0 */

	switch (attack->mode) {
	case FORGED:
		i = flood_below(&attack->rng, UINT32_C(1) << 24);
		return (struct in_addr){ htonl(UINT32_C(10) << 24 | i) };
	case KNOWN:
	case SUFFIX:
		return flood_client(i, attack->to.sin_addr);
	case REPEAT:
		return (struct in_addr){ htonl(few + 99) };
	case FEW:
	default:
		return (struct in_addr){ htonl(few + (i << 8) + 1) };
	}
}

static void random_name(struct attack *attack, char *out)
{
	static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	char label[17] = { 0 };
	size_t n = 10 + flood_below(&attack->rng, 7);

	for (size_t i = 0; i < n; i++)
		label[i] = LETTERS[flood_below(&attack->rng, 36)];
	snprintf(out, FLOOD_NAME_MAX, "%s.%s", label, attack->zone);
}

/* IPv4 and UDP; the kernel fills in the header's sum, UDP goes without. */
static void put_headers(struct attack *attack, uint8_t *out, size_t payload)
{
	struct iphdr ip = { .version = 4,
			    .ihl = 5,
			    .ttl = 64,
			    .protocol = IPPROTO_UDP,
			    .tot_len = htons((uint16_t)(HEADERS_LEN + payload)),
			    .saddr = source_of(attack).s_addr,
			    .daddr = attack->to.sin_addr.s_addr };
	uint32_t port = 1024 + flood_below(&attack->rng, 64512);
	struct udphdr udp = {
		.source = htons((uint16_t)port),
		.dest = attack->to.sin_port,
		.len = htons((uint16_t)(sizeof(struct udphdr) + payload)),
	};

	memcpy(out, &ip, sizeof(ip));
	memcpy(out + sizeof(ip), &udp, sizeof(udp));
}

static int make_packet(struct attack *attack, struct packet *packet)
{
	char name[FLOOD_NAME_MAX];
	uint8_t query[FLOOD_QUERY_MAX];

	if (attack->mode == REPEAT)
		snprintf(name, sizeof(name), "%s", attack->name);
	else
		random_name(attack, name);
	size_t n = flood_query(
		&(struct flood_question){
			.name = name,
			.id = (uint16_t)flood_random(&attack->rng),
			.rd = attack->rd != 0,
			.edns = true },
		query);
	size_t skip = attack->raw ? HEADERS_LEN : 0;
	if (skip + n > PACKET_OCTETS)
		return -E2BIG;
	if (attack->raw)
		put_headers(attack, packet->octets, n);
	memcpy(packet->octets + skip, query, n);
	packet->n = (uint16_t)(skip + n);
	return 0;
}

static int make_packets(struct attack *attack)
{
	attack->made = calloc(attack->packets, sizeof(*attack->made));
	if (attack->made == NULL)
		return -ENOMEM;
	for (uint64_t i = 0; i < attack->packets; i++) {
		int rc = make_packet(attack, &attack->made[i]);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* -- sockets ------------------------------------------------------------ */

static int open_raw(struct attack *attack)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (fd < 0)
		return -errno;
	attack->fds[0] = fd;
	attack->fds_n = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, attack->interface,
		       (socklen_t)strlen(attack->interface) + 1) != 0)
		return -errno;
	return 0;
}

static int open_true(struct attack *attack)
{
	size_t n = attack->mode == REPEAT ? 1 : attack->sources;

	for (size_t i = 0; i < n && i < SOCKETS_MAX; i++) {
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			return -errno;
		attack->fds[attack->fds_n++] = fd;
		struct sockaddr_in from = { .sin_family = AF_INET };
		from.sin_addr = flood_client((uint32_t)i, attack->to.sin_addr);
		if (attack->mode == FEW || attack->mode == REPEAT)
			from.sin_addr.s_addr = htonl(UINT32_C(0x7f010001) +
						     ((uint32_t)i << 8));
		if (bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0)
			return -errno;
	}
	return 0;
}

/* -- sending ------------------------------------------------------------ */

/* Sends 'n' <= BATCH packets from number 'sent + errors' on. */
static void send_batch(struct attack *attack, size_t n)
{
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	struct packet *first = attack->made + attack->sent + attack->errors;
	size_t turn = (size_t)(attack->sent / 8) % attack->fds_n;

	memset(messages, 0, sizeof(messages));
	for (size_t i = 0; i < n; i++) {
		parts[i] = (struct iovec){ first[i].octets, first[i].n };
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = &attack->to,
			.msg_namelen = sizeof(attack->to),
			.msg_iov = &parts[i],
			.msg_iovlen = 1,
		};
	}
	int sent = sendmmsg(attack->fds[turn], messages, (unsigned)n, 0);
	if (sent > 0)
		attack->sent += (uint64_t)sent;
	else
		attack->errors++;
}

/* Nobody reads the replies of true sockets: they shall not pile up. */
static void drain(struct attack *attack)
{
	uint8_t octets[2048];

	if (attack->raw)
		return;
	for (size_t i = 0; i < attack->fds_n; i++) {
		for (unsigned n = 0; n < 64; n++) {
			if (recv(attack->fds[i], octets, sizeof(octets),
				 MSG_DONTWAIT) < 0)
				break;
		}
	}
}

static uint64_t send_due(struct attack *attack, uint64_t due)
{
	while (attack->sent + attack->errors < due) {
		uint64_t n = due - attack->sent - attack->errors;
		uint64_t most = attack->raw ? BATCH : 8;
		send_batch(attack, (size_t)(n < most ? n : most));
	}
	return due;
}

static void run(struct attack *attack)
{
	uint64_t lost_ns = 0;
	uint64_t gone = 0;

	attack->began_ns = flood_now_ns();
	uint64_t end =
		attack->began_ns + attack->seconds * UINT64_C(1000000000);
	for (uint64_t now = attack->began_ns;
	     now < end && gone < attack->packets; now = flood_now_ns()) {
		uint64_t ran = now - attack->began_ns - lost_ns;
		uint64_t then = gone * UINT64_C(1000000000) / attack->rate;
		if (ran > then + LATE_NS) {
			lost_ns += ran - then - LATE_NS;
			ran = then + LATE_NS;
		}
		uint64_t due = ran * attack->rate / UINT64_C(1000000000) + 1;
		gone = send_due(attack,
				due < attack->packets ? due : attack->packets);
		drain(attack);
		clock_nanosleep(CLOCK_MONOTONIC, 0,
				&(struct timespec){ .tv_nsec = TICK_NS }, NULL);
	}
	attack->ended_ns = flood_now_ns();
}

static void report(const struct attack *attack)
{
	printf("{\"mode\": \"%s\", \"sent\": %" PRIu64 ", \"errors\": %" PRIu64
	       ", \"made\": %" PRIu64 ", \"began\": %.6f, \"ended\": %.6f}\n",
	       MODES[attack->mode], attack->sent, attack->errors,
	       attack->packets, (double)attack->began_ns / 1e9,
	       (double)attack->ended_ns / 1e9);
}

/* -- options ------------------------------------------------------------ */

static int read_mode(struct attack *attack, const char *text)
{
	for (size_t i = 0; i < sizeof(MODES) / sizeof(*MODES); i++) {
		if (strcmp(text, MODES[i]) == 0) {
			attack->mode = (enum mode)i;
			return 0;
		}
	}
	fprintf(stderr, "mode: few, forged, known, repeat or suffix\n");
	return -EINVAL;
}

static int read_all(char **argv, struct attack *attack)
{
	const char *mode = NULL, *to = NULL;
	uint64_t port = 53;
	struct flood_option options[] = {
		{ .name = "mode", .text = &mode, .required = true },
		{ .name = "to", .text = &to, .required = true },
		{ .name = "interface",
		  .text = &attack->interface,
		  .required = true },
		{ .name = "zone", .text = &attack->zone, .required = true },
		{ "rate", &attack->rate, NULL, 1, RATE_MAX, true, false },
		{ "seconds", &attack->seconds, NULL, 1, SECONDS_MAX, true,
		  false },
		{ "packets", &attack->packets, NULL, 1, PACKETS_MAX, true,
		  false },
		{ "port", &port, NULL, 1, 65535, false, false },
		{ "sources", &attack->sources, NULL, 1, 1000, false, false },
		{ "seed", &attack->seed, NULL, 0, UINT32_MAX, false, false },
		{ "rd", &attack->rd, NULL, 0, 1, false, false },
		{ .name = "name", .text = &attack->name },
	};
	if (flood_options(argv, options, sizeof(options) / sizeof(*options)) !=
		    0 ||
	    read_mode(attack, mode) != 0)
		return -EINVAL;
	attack->to = (struct sockaddr_in){ .sin_family = AF_INET,
					   .sin_port = htons((uint16_t)port) };
	if (inet_pton(AF_INET, to, &attack->to.sin_addr) != 1 ||
	    (attack->mode == REPEAT && attack->name == NULL) ||
	    strlen(attack->zone) > FLOOD_NAME_MAX - 32) {
		fprintf(stderr, "to an IPv4 address; a name where it is to be"
				" repeated; a zone that is not longer\n");
		return -EINVAL;
	}
	return 0;
}

/* Where packets may go, and by what. */
static int open_all(struct attack *attack)
{
	attack->raw = strcmp(attack->interface, "lo") != 0;
	if (attack->raw) {
		int rc =
			flood_may_forge(attack->to.sin_addr, attack->interface);
		return rc != 0 ? rc : open_raw(attack);
	}
	if (!flood_is_loopback(attack->to.sin_addr) || attack->mode == FORGED) {
		fprintf(stderr, "by lo: to loopback, without forging\n");
		return -EPERM;
	}
	return open_true(attack);
}

int main(int argc, char **argv)
{
	static struct attack attack = { .sources = 10, .seed = 1 };

	if (argc < 2 || read_all(argv, &attack) != 0)
		return 2;
	attack.rng.state = attack.seed;
	int rc = open_all(&attack);
	if (rc == 0)
		rc = make_packets(&attack);
	if (rc == 0) {
		run(&attack);
		report(&attack);
	} else {
		fprintf(stderr, "attack: %s\n", strerror(-rc));
	}
	for (size_t i = 0; i < attack.fds_n; i++)
		close(attack.fds[i]);
	free(attack.made);
	return rc == 0 ? 0 : 1;
}
