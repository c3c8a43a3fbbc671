/* SPDX-License-Identifier: MPL-2.0 */
#include "flood.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define HEADER_LEN 12u
#define TYPE_A	   1u
#define TYPE_OPT   41u
#define COOKIE	   10u /* RFC 7873 */
#define PAYLOAD	   1232u

/* -- numbers ------------------------------------------------------------ */

/* splitmix64 (Steele, Lea, Flood 2014) */
uint64_t flood_random(struct flood_rng *rng)
{
	rng->state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = rng->state;
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint32_t flood_below(struct flood_rng *rng, uint32_t n)
{
	return (uint32_t)((flood_random(rng) >> 32) * n >> 32);
}

double flood_unit(struct flood_rng *rng)
{
	return (double)(flood_random(rng) >> 11) / 9007199254740992.0;
}

uint64_t flood_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* -- options ------------------------------------------------------------ */

static int bad_option(const char *name, const char *what)
{
	fprintf(stderr, "%s: %s\n", name, what);
	return -EINVAL;
}

static struct flood_option *find_option(const char *text,
					struct flood_option *options, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strncmp(text, "--", 2) == 0 &&
		    strcmp(text + 2, options[i].name) == 0)
			return &options[i];
	}
	return NULL;
}

static int read_option(struct flood_option *option, const char *value)
{
	option->given = true;
	if (option->text != NULL) {
		if (strlen(value) >= FLOOD_NAME_MAX)
			return bad_option(option->name, "too long");
		*option->text = value;
		return 0;
	}
	char *end = NULL;
	errno = 0;
	uintmax_t number = strtoumax(value, &end, 10);
	if (*value < '0' || *value > '9' || *end != '\0' || errno != 0)
		return bad_option(option->name, "not a number");
	if (number < option->min || number > option->max) {
		fprintf(stderr,
			"%s: out of range, want %" PRIu64 "..%" PRIu64 "\n",
			option->name, option->min, option->max);
		return -EINVAL;
	}
	*option->number = number;
	return 0;
}

int flood_options(char **argv, struct flood_option *options, size_t n)
{
	for (char **arg = argv + 1; *arg != NULL; arg += 2) {
		struct flood_option *option = find_option(*arg, options, n);
		if (option == NULL)
			return bad_option(*arg, "no such option");
		if (arg[1] == NULL)
			return bad_option(*arg, "wants a value");
		if (read_option(option, arg[1]) != 0)
			return -EINVAL;
	}
	for (size_t i = 0; i < n; i++) {
		if (options[i].required && !options[i].given)
			return bad_option(options[i].name, "is required");
	}
	return 0;
}

/* -- where to ----------------------------------------------------------- */

static bool is_within(struct in_addr address, uint32_t net, unsigned bits)
{
	return (ntohl(address.s_addr) ^ net) >> (32 - bits) == 0;
}

bool flood_is_loopback(struct in_addr address)
{
	return is_within(address, INADDR_LOOPBACK, 8);
}

static bool is_veth(const char *interface)
{
	struct ethtool_drvinfo driver = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq request = { .ifr_data = (char *)&driver };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	int rc = ioctl(fd, SIOCETHTOOL, &request);
	close(fd);
	return rc == 0 && strcmp(driver.driver, "veth") == 0;
}

static bool is_named_by_test(const char *interface)
{
	return strncmp(interface, "nzf", 3) == 0 &&
	       strlen(interface) < IFNAMSIZ;
}

/*
 * A network namespace of a test has no interface but loopback and veths of
 * the test: there is no way out of it.
 */
static bool is_test_namespace(void)
{
	struct if_nameindex *all = if_nameindex();
	if (all == NULL)
		return false;

	size_t ours = 0, others = 0;
	for (struct if_nameindex *i = all; i->if_name != NULL; i++) {
		if (is_named_by_test(i->if_name) && is_veth(i->if_name))
			ours++;
		else if (strcmp(i->if_name, "lo") != 0)
			others++;
	}
	if_freenameindex(all);
	return ours > 0 && others == 0;
}

static int refuse(const char *why)
{
	fprintf(stderr, "will not send: %s\n", why);
	return -EPERM;
}

int flood_may_send(struct in_addr to)
{
	if (flood_is_loopback(to))
		return 0;
	if (!is_within(to, UINT32_C(0xc6120000), 15))
		return refuse("not an address of 198.18.0.0/15");
	if (!is_test_namespace())
		return refuse("not in a network namespace of a test");
	return 0;
}

int flood_may_forge(struct in_addr to, const char *interface)
{
	if (flood_is_loopback(to))
		return refuse("no forged sources on loopback");
	int rc = flood_may_send(to);
	if (rc != 0)
		return rc;
	if (!is_named_by_test(interface) || !is_veth(interface))
		return refuse("not an interface of a test (nzf*, a veth)");
	return 0;
}

struct in_addr flood_client(uint32_t i, struct in_addr to)
{
	uint32_t net = flood_is_loopback(to) ? 127 : 10;

	return (struct in_addr){ htonl(net << 24 | 64u << 16 | i << 8 | 53u) };
}

/* -- queries and replies ------------------------------------------------ */

static uint8_t *put16(uint8_t *out, unsigned value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
	return out + 2;
}

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint8_t *put_name(uint8_t *out, const char *name)
{
	while (*name != '\0') {
		size_t n = strcspn(name, ".");
		if (n == 0 || n > 63)
			break;
		*out++ = (uint8_t)n;
		memcpy(out, name, n);
		out += n;
		name += n;
		name += *name == '.';
	}
	*out = 0;
	return out + 1;
}

size_t flood_query(const struct flood_question *question, uint8_t *out)
{
	bool edns = question->edns || question->cookie != NULL;
	uint8_t *p = put16(out, question->id);

	p = put16(p, question->rd ? 0x0100 : 0);
	p = put16(p, 1);
	p = put16(p, 0);
	p = put16(p, 0);
	p = put16(p, edns ? 1 : 0);
	p = put_name(p, question->name);
	p = put16(p, TYPE_A);
	p = put16(p, 1);
	if (!edns)
		return (size_t)(p - out);
	size_t n = question->cookie != NULL ? question->cookie_n : 0;
	*p++ = 0;
	p = put16(p, TYPE_OPT);
	p = put16(p, PAYLOAD);
	p = put16(p, 0);
	p = put16(p, 0);
	p = put16(p, n != 0 ? (unsigned)n + 4 : 0);
	if (n != 0) {
		p = put16(p, COOKIE);
		p = put16(p, (unsigned)n);
		memcpy(p, question->cookie, n);
		p += n;
	}
	return (size_t)(p - out);
}

/* The place after a name, or NULL. */
static const uint8_t *skip_name(const uint8_t *p, const uint8_t *end)
{
	while (p < end) {
		if (*p == 0)
			return p + 1;
		if (*p >= 0xc0)
			return end - p >= 2 ? p + 2 : NULL;
		if (*p > 63 || end - p <= *p)
			return NULL;
		p += *p + 1;
	}
	return NULL;
}

static void read_options(const uint8_t *p, size_t n, struct flood_reply *reply)
{
	while (n >= 4) {
		size_t length = get16(p + 2);
		if (length > n - 4)
			return;
		if (get16(p) == COOKIE && length <= FLOOD_COOKIE_MAX) {
			memcpy(reply->cookie, p + 4, length);
			reply->cookie_n = length;
		}
		p += 4 + length;
		n -= 4 + length;
	}
}

static int read_records(const uint8_t *p, const uint8_t *end, unsigned n,
			struct flood_reply *reply)
{
	for (unsigned i = 0; i < n; i++) {
		p = skip_name(p, end);
		if (p == NULL || end - p < 10)
			return -EBADMSG;
		size_t length = get16(p + 8);
		if ((size_t)(end - p) - 10 < length)
			return -EBADMSG;
		if (get16(p) == TYPE_OPT) {
			reply->rcode |= (unsigned)p[4] << 4;
			read_options(p + 10, length, reply);
		}
		p += 10 + length;
	}
	return 0;
}

int flood_reply_read(const uint8_t *octets, size_t n, const uint8_t *query,
		     struct flood_reply *reply)
{
	if (n < HEADER_LEN || (octets[2] & 0x80) == 0 || get16(octets + 4) != 1)
		return -EBADMSG;
	const uint8_t *end = octets + n;
	const uint8_t *p = skip_name(octets + HEADER_LEN, end);
	if (p == NULL || end - p < 4)
		return -EBADMSG;
	p += 4;
	size_t length = (size_t)(p - octets) - HEADER_LEN;
	if (length > FLOOD_QUERY_MAX - HEADER_LEN ||
	    memcmp(octets + HEADER_LEN, query + HEADER_LEN, length) != 0)
		return -EBADMSG;
	struct flood_reply found = {
		.id = (uint16_t)get16(octets),
		.answers = (uint16_t)get16(octets + 6),
		.rcode = octets[3] & 15u,
		.truncated = (octets[2] & 2) != 0,
	};
	unsigned records =
		get16(octets + 6) + get16(octets + 8) + get16(octets + 10);
	if (read_records(p, end, records, &found) != 0)
		return -EBADMSG;
	*reply = found;
	return 0;
}
