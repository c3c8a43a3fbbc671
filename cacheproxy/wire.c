/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/wire.h"

#include <errno.h>
#include <string.h>

#define NAME_MAX_OCTETS 255u
#define LABEL_MAX	63u
#define FIXED		10u  /* type, class, TTL, length of rdata */
#define TURN_TEMP	512u /* octets moved at a time */

enum {
	TYPE_A = 1,
	TYPE_CNAME = 5,
	TYPE_SOA = 6,
	TYPE_AAAA = 28,
	TYPE_DNAME = 39,
	TYPE_OPT = 41,
	TYPE_RRSIG = 46,
	CLASS_IN = 1,
};

/* One record. */
struct record {
	size_t start;	/* of the owner */
	size_t owner_n; /* octets of the owner as encoded */
	size_t size;	/* of the whole */
	uint16_t type;
	uint16_t class;
};

/* Records of the answer section that stand together and seem one RRset. */
struct run {
	struct record first;
	size_t n;
	bool uneven; /* the records differ in size or in the owner's encoding */
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/*
 * Skips the name at 'at'; sets '*end' to the offset after it.  A pointer ends
 * the name and must lead to before its start; it is not followed.
 */
static int name_skip(const uint8_t *msg, size_t n, size_t at, size_t *end)
{
	size_t start = at;

	while (at < n) {
		size_t label = msg[at];
		if (label == 0) {
			*end = at + 1;
			return at + 1 - start > NAME_MAX_OCTETS ? -EBADMSG : 0;
		}
		if (label >= 0xc0) {
			if (n - at < 2)
				return -EBADMSG;
			size_t to = get16(msg + at) & 0x3fffu;
			*end = at + 2;
			return to < WIRE_HEADER || to >= start ? -EBADMSG : 0;
		}
		at += 1 + label;
		if (label > LABEL_MAX || at - start >= NAME_MAX_OCTETS)
			return -EBADMSG;
	}
	return -EBADMSG;
}

/* As record_read(), but an OPT record is fine. */
static int record_skip(const uint8_t *msg, size_t n, size_t at,
		       struct record *rec)
{
	size_t fixed;

	if (name_skip(msg, n, at, &fixed) != 0 || n - fixed < FIXED)
		return -EBADMSG;
	size_t rdata_n = get16(msg + fixed + 8);
	if (n - fixed - FIXED < rdata_n)
		return -EBADMSG;
	*rec = (struct record){
		.start = at,
		.owner_n = fixed - at,
		.size = fixed - at + FIXED + rdata_n,
		.type = get16(msg + fixed),
		.class = get16(msg + fixed + 2),
	};
	return 0;
}

static int record_read(const uint8_t *msg, size_t n, size_t at,
		       struct record *rec)
{
	int rc = record_skip(msg, n, at, rec);

	return rc == 0 && rec->type == TYPE_OPT ? -EBADMSG : rc;
}

/* Types that are alone in their RRset, or whose order says nothing. */
static bool type_alone(uint16_t type)
{
	return type == TYPE_CNAME || type == TYPE_DNAME || type == TYPE_SOA ||
	       type == TYPE_RRSIG;
}

static void run_close(const struct run *run, struct wire_map *map)
{
	if (run->n < 2)
		return;

	uint16_t type = run->first.type;
	bool address = type == TYPE_A || type == TYPE_AAAA;
	if (!address || run->first.class != CLASS_IN || run->uneven ||
	    map->n_turns == WIRE_TURNS_MAX) {
		map->fixed_order = true;
		return;
	}
	map->turn[map->n_turns++] = (struct wire_turn){
		.offset = (uint16_t)run->first.start,
		.size = (uint16_t)run->first.size,
		.n = (uint16_t)run->n,
	};
}

/*
 * Adds a record of the answer section.  An owner may be spelled out in one
 * record and pointed to in the next; as names are not expanded, neighbours of
 * one type with unlike owners count as one uneven RRset, to be safe.
 */
static void run_add(struct run *run, const uint8_t *msg,
		    const struct record *rec, struct wire_map *map)
{
	const struct record *first = &run->first;

	if (run->n == 0 || rec->type != first->type ||
	    rec->class != first->class || type_alone(rec->type)) {
		run_close(run, map);
		*run = (struct run){ .first = *rec, .n = 1 };
		return;
	}
	run->n++;
	if (rec->size != first->size || rec->owner_n != first->owner_n ||
	    memcmp(msg + rec->start, msg + first->start, rec->owner_n) != 0)
		run->uneven = true;
}

static int section_map(const uint8_t *msg, size_t n, unsigned int section,
		       size_t *at, struct wire_map *map)
{
	struct run run = { .n = 0 };

	for (uint16_t i = 0; i < map->count[section]; i++) {
		struct record rec;
		int rc = record_read(msg, n, *at, &rec);
		if (rc != 0)
			return rc;
		map->ttl[map->n_ttls++] =
			(uint16_t)(rec.start + rec.owner_n + 4);
		if (section == 0)
			run_add(&run, msg, &rec, map);
		*at += rec.size;
	}
	run_close(&run, map);
	map->end[section] = (uint16_t)*at;
	return 0;
}

int wire_map(const uint8_t *msg, size_t n, struct wire_map *map)
{
	if (n < WIRE_HEADER || n > WIRE_MAX || get16(msg + 4) != 1)
		return -EBADMSG;

	size_t records = 0;
	for (size_t i = 0; i < 3; i++) {
		map->count[i] = get16(msg + 6 + 2 * i);
		records += map->count[i];
	}
	if (records > WIRE_TTLS_MAX)
		return -E2BIG;

	size_t at;
	if (name_skip(msg, n, WIRE_HEADER, &at) != 0 || n - at < 4)
		return -EBADMSG;
	at += 4;
	map->question_end = (uint16_t)at;
	map->n_ttls = 0;
	map->n_turns = 0;
	map->fixed_order = false;
	for (unsigned int i = 0; i < 3; i++) {
		int rc = section_map(msg, n, i, &at, map);
		if (rc != 0)
			return rc;
	}
	return at == n ? 0 : -EBADMSG;
}

void wire_age(uint8_t *msg, const uint16_t *ttl, size_t n_ttls, uint32_t age_s,
	      uint32_t floor_s, bool stale)
{
	for (size_t i = 0; i < n_ttls; i++) {
		uint8_t *p = msg + ttl[i];
		uint32_t was = get32(p);
		uint32_t room = was > floor_s ? was - floor_s : 0;
		uint32_t aged = was - (age_s < room ? age_s : room);
		put32(p, stale ? floor_s : aged);
	}
}

static void reverse(uint8_t *p, size_t n)
{
	for (size_t i = 0, j = n; i + 1 < j; i++) {
		uint8_t octet = p[i];
		p[i] = p[--j];
		p[j] = octet;
	}
}

void wire_turn(uint8_t *msg, const struct wire_turn *turn, uint32_t first)
{
	uint8_t temp[TURN_TEMP];
	uint8_t *p = msg + turn->offset;
	size_t all = (size_t)turn->size * turn->n;
	size_t left = (size_t)turn->size * (first % turn->n);
	size_t right = all - left;

	if (left == 0)
		return;
	if (left <= sizeof(temp)) {
		memcpy(temp, p, left);
		memmove(p, p + left, right);
		memcpy(p + right, temp, left);
	} else if (right <= sizeof(temp)) {
		memcpy(temp, p + left, right);
		memmove(p + right, p, left);
		memcpy(p, temp, right);
	} else {
		reverse(p, left);
		reverse(p + left, right);
		reverse(p, all);
	}
}

bool wire_answers(const uint8_t *msg, size_t n, const uint8_t *q, size_t q_n)
{
	if (n < WIRE_HEADER || n - WIRE_HEADER < q_n)
		return false;
	if ((msg[2] & 0xf8) != 0x80) /* QR and opcode */
		return false;
	return get16(msg + 4) == 1 && memcmp(msg + WIRE_HEADER, q, q_n) == 0;
}

/* The options of the OPT record 'rec', which lies in 'msg' whole. */
static int opt_read(const uint8_t *msg, const struct record *rec, uint16_t code,
		    struct wire_opt *opt)
{
	size_t at = rec->start + rec->owner_n + FIXED;
	size_t end = rec->start + rec->size;

	opt->there = true;
	opt->rcode_high = msg[rec->start + rec->owner_n + 4];
	while (end - at >= 4) {
		uint16_t value_n = get16(msg + at + 2);
		if (end - at - 4 < value_n)
			return -EBADMSG;
		if (opt->value == NULL && get16(msg + at) == code) {
			opt->value = msg + at + 4;
			opt->value_n = value_n;
		}
		at += 4 + (size_t)value_n;
	}
	return at == end ? 0 : -EBADMSG;
}

int wire_opt(const uint8_t *msg, size_t n, uint16_t code, struct wire_opt *opt)
{
	struct wire_opt found = { .there = false };
	size_t at = WIRE_HEADER, left = 0;
	int rc = 0;

	if (n < WIRE_HEADER)
		return -EBADMSG;
	for (uint16_t i = get16(msg + 4); i > 0; i--) {
		if (name_skip(msg, n, at, &at) != 0 || n - at < 4)
			return -EBADMSG;
		at += 4;
	}
	for (size_t i = 0; i < 3; i++)
		left += get16(msg + 6 + 2 * i);
	for (; rc == 0 && left > 0; left--) {
		struct record rec;
		if (record_skip(msg, n, at, &rec) != 0 ||
		    (rec.type == TYPE_OPT && found.there))
			return -EBADMSG;
		if (rec.type == TYPE_OPT)
			rc = opt_read(msg, &rec, code, &found);
		at += rec.size;
	}
	if (rc == 0)
		*opt = found;
	return rc;
}

bool wire_below(const uint8_t *name, size_t n, const uint8_t *top, size_t top_n)
{
	size_t at = 0;

	while (n - at > top_n) {
		size_t skip = 1 + (size_t)name[at];
		if (skip == 1 || skip > n - at)
			return false;
		at += skip;
	}
	return n - at == top_n && memcmp(name + at, top, top_n) == 0;
}
