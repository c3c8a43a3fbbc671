/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/near_mrt.h"

#include <errno.h>
#include <string.h>

#define TYPE_MAX	  64u /* none is as high */
#define TYPE_TABLE_DUMP	  12u
#define TYPE_V2		  13u
#define DUMP_V4		  1u /* subtypes of TABLE_DUMP */
#define DUMP_V6		  2u
#define V2_PEERS	  1u /* of TABLE_DUMP_V2 */
#define V2_V4		  2u
#define V2_V6		  4u
#define V2_V4_PATHS	  8u
#define V2_V6_PATHS	  10u
#define PEER_V6		  1u
#define PEER_AS4	  2u
#define ATTRIBUTE_LONG	  0x10u
#define ATTRIBUTE_AS_PATH 2u
#define AS_SET		  1u
#define AS_SEQUENCE	  2u
#define CONFED_SET	  4u
#define AS_TRANS	  23456u     /* stands for any that needs 4 octets */
#define NO_WAY		  UINT32_MAX /* of a route that nobody has */

/* What is left to read; 'bad' once it was too little. */
struct in {
	const uint8_t *p;
	size_t n;
	bool bad;
};

/* The next 'n' octets, or NULL. */
static const uint8_t *take(struct in *in, size_t n)
{
	const uint8_t *p = in->p;

	if (in->n < n) {
		in->bad = true;
		in->n = 0;
		return NULL;
	}
	in->p += n;
	in->n -= n;
	return p;
}

/* A number of 'n' octets; 0 if they are not there. */
static uint32_t number(struct in *in, size_t n)
{
	const uint8_t *p = take(in, n);
	uint32_t value = 0;

	for (size_t i = 0; p != NULL && i < n; i++)
		value = value << 8 | p[i];
	return value;
}

struct near_mrt_header near_mrt_header(const uint8_t *octets)
{
	struct in in = { octets + 4, NEAR_MRT_HEADER - 4, false };
	struct near_mrt_header header;

	header.type = (uint16_t)number(&in, 2);
	header.subtype = (uint16_t)number(&in, 2);
	header.size = number(&in, 4);
	return header;
}

enum near_mrt_kind near_mrt_kind(const struct near_mrt_header *header)
{
	bool ours = false;

	if (header->type > TYPE_MAX)
		return NEAR_MRT_ODD;
	if (header->type == TYPE_TABLE_DUMP)
		ours = header->subtype == DUMP_V4 || header->subtype == DUMP_V6;
	if (header->type == TYPE_V2)
		ours = header->subtype == V2_PEERS ||
		       header->subtype == V2_V4 || header->subtype == V2_V6 ||
		       header->subtype == V2_V4_PATHS ||
		       header->subtype == V2_V6_PATHS;
	return ours ? NEAR_MRT_READ : NEAR_MRT_SKIP;
}

/* -- the way --------------------------------------------------------------- */

/* Autonomous systems of an AS_PATH with numbers of 'size' octets. */
static int path_count(struct in in, size_t size, uint32_t *count,
		      const char **whyp)
{
	uint64_t last = UINT64_MAX; /* none that counts twice */
	uint32_t n = 0;

	while (in.n > 0) {
		uint32_t type = number(&in, 1);
		uint32_t members = number(&in, 1);
		struct in segment = { in.p, members * size, false };
		if (take(&in, members * size) == NULL || type < AS_SET ||
		    type > CONFED_SET) {
			*whyp = "an AS_PATH that is none";
			return -EBADMSG;
		}
		if (type == AS_SET && members > 0) {
			n++;
			last = UINT64_MAX;
		}
		while (type == AS_SEQUENCE && segment.n > 0) {
			uint64_t as = number(&segment, size);
			n += as != last || (size == 2 && as == AS_TRANS);
			last = as;
		}
	}
	*count = n;
	return 0;
}

/* The way that attributes tell. */
static int attributes_read(struct in in, size_t size, uint32_t *count,
			   const char **whyp)
{
	uint32_t found = 0;

	while (in.n > 0) {
		uint32_t flags = number(&in, 1);
		uint32_t type = number(&in, 1);
		size_t n = number(&in, (flags & ATTRIBUTE_LONG) != 0 ? 2 : 1);
		struct in value = { in.p, n, false };
		if (in.bad || take(&in, n) == NULL) {
			*whyp = "an attribute that is longer than all of them";
			return -EBADMSG;
		}
		if (type == ATTRIBUTE_AS_PATH &&
		    path_count(value, size, &found, whyp) != 0)
			return -EBADMSG;
	}
	*count = found;
	return 0;
}

/* Attributes behind their length, as an entry ends with. */
static int entry_read(struct in *in, size_t size, uint32_t *count,
		      const char **whyp)
{
	size_t n = number(in, 2);
	struct in attributes = { in->p, n, false };

	if (in->bad || take(in, n) == NULL) {
		*whyp = "an entry that is longer than its record";
		return -EBADMSG;
	}
	return attributes_read(attributes, size, count, whyp);
}

/* -- records --------------------------------------------------------------- */

/* A prefix of 'n' octets; those of its bits that do not count are cleared. */
static bool prefix_set(struct near_route *route, const uint8_t *p, size_t n)
{
	if (route->bits > (route->v6 ? 128 : 32))
		return false;
	if (n > 0)
		memcpy(route->address, p, n);
	for (unsigned int i = route->bits / 8u; i < 16; i++) {
		unsigned int mask =
			i == route->bits / 8u ? 0xff00u >> route->bits % 8u : 0;
		route->address[i] = (uint8_t)(route->address[i] & mask);
	}
	return true;
}

static int route_made(struct near_route *made, uint32_t count,
		      struct near_route *route)
{
	if (count == NO_WAY)
		return 0;
	made->hops = count < NEAR_MRT_HOPS_MAX ? (uint8_t)count
					       : (uint8_t)NEAR_MRT_HOPS_MAX;
	*route = *made;
	return 1;
}

static int bad(const char *why, const char **whyp)
{
	*whyp = why;
	return -EBADMSG;
}

static int peers_read(struct near_mrt *mrt, struct in in, const char **whyp)
{
	(void)take(&in, 4);
	(void)take(&in, number(&in, 2));
	uint32_t n = number(&in, 2);
	for (uint32_t i = 0; i < n && !in.bad; i++) {
		uint32_t type = number(&in, 1);
		(void)take(&in, 4);
		(void)take(&in, (type & PEER_V6) != 0 ? 16 : 4);
		(void)take(&in, (type & PEER_AS4) != 0 ? 4 : 2);
	}
	if (in.bad || in.n > 0)
		return bad("a table of peers of another length than it says",
			   whyp);
	mrt->any_peers = true;
	mrt->n_peers = (uint16_t)n;
	return 0;
}

static int v2_read(const struct near_mrt *mrt, uint16_t subtype, struct in in,
		   struct near_route *route, const char **whyp)
{
	bool paths = subtype == V2_V4_PATHS || subtype == V2_V6_PATHS;
	struct near_route made = { .v6 = subtype == V2_V6 ||
					 subtype == V2_V6_PATHS };
	uint32_t least = NO_WAY;

	if (!mrt->any_peers)
		return bad("a route before the table of peers", whyp);
	(void)take(&in, 4);
	made.bits = (uint8_t)number(&in, 1);
	size_t n_prefix = (made.bits + 7u) / 8u;
	const uint8_t *prefix = take(&in, n_prefix);
	if (in.bad || !prefix_set(&made, prefix, n_prefix))
		return bad("a prefix that is too long", whyp);
	uint32_t n = number(&in, 2);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t count;
		uint32_t peer = number(&in, 2);
		(void)take(&in, paths ? 8 : 4);
		if (!in.bad && peer >= mrt->n_peers)
			return bad("a peer that is not in the table", whyp);
		if (entry_read(&in, 4, &count, whyp) != 0)
			return -EBADMSG;
		if (count < least)
			least = count;
	}
	if (in.bad || in.n > 0)
		return bad("a record that is longer than its entries", whyp);
	return route_made(&made, least, route);
}

static int dump_read(uint16_t subtype, struct in in, struct near_route *route,
		     const char **whyp)
{
	struct near_route made = { .v6 = subtype == DUMP_V6 };
	size_t size = made.v6 ? 16 : 4;
	uint32_t count;

	(void)take(&in, 4);
	const uint8_t *prefix = take(&in, size);
	made.bits = (uint8_t)number(&in, 1);
	(void)take(&in, 1 + 4 + size + 2);
	if (in.bad || !prefix_set(&made, prefix, size))
		return bad("a prefix that is too long", whyp);
	if (entry_read(&in, 2, &count, whyp) != 0)
		return -EBADMSG;
	if (in.n > 0)
		return bad("a record that is longer than its entries", whyp);
	return route_made(&made, count, route);
}

int near_mrt_read(struct near_mrt *mrt, const struct near_mrt_header *header,
		  const uint8_t *body, struct near_route *route,
		  const char **whyp)
{
	struct in in = { body, header->size, false };

	if (header->type == TYPE_TABLE_DUMP)
		return dump_read(header->subtype, in, route, whyp);
	if (header->subtype == V2_PEERS)
		return peers_read(mrt, in, whyp);
	return v2_read(mrt, header->subtype, in, route, whyp);
}
