/* SPDX-License-Identifier: MPL-2.0 */
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "cacheproxy/delta_int.h"

#define HEADER	       12u
#define RCODE_NXDOMAIN 3
#define FIXED	       10u /* type, class, TTL, length of rdata */

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint8_t lower(uint8_t c)
{
	return (uint8_t)(c + ((uint8_t)(c - 'A') < 26 ? 32 : 0));
}

bool delta_below(const uint8_t *name, size_t n, const uint8_t *top,
		 size_t top_n)
{
	while (n > top_n) {
		n -= name[0] + 1u;
		name += name[0] + 1u;
	}
	return n == top_n && memcmp(name, top, n) == 0;
}

/*
 * Expands the name at 'at' into 'out' (DNAME_WIRE_MAX octets), in lower case;
 * '*end' is set to the offset after it.  Pointers must lead backwards.
 * Returns its octets, 0 if it is none.
 */
static size_t expand(const struct delta_rdata *r, size_t at, uint8_t *out,
		     size_t *end)
{
	size_t n = 0, before = at;
	bool jumped = false;

	for (;;) {
		if (at >= r->msg_n)
			return 0;
		size_t label = r->msg[at];
		if (label >= 0xc0) {
			if (r->msg_n - at < 2)
				return 0;
			size_t to = get16(r->msg + at) & 0x3fffu;
			if (!jumped)
				*end = at + 2;
			jumped = true;
			if (to >= before)
				return 0;
			at = before = to;
			continue;
		}
		if (label > 63 || r->msg_n - at <= label ||
		    n + label + 1 > DNAME_WIRE_MAX)
			return 0;
		out[n++] = (uint8_t)label;
		for (size_t i = 1; i <= label; i++)
			out[n++] = lower(r->msg[at + i]);
		at += label + 1;
		if (label == 0)
			break;
	}
	if (!jumped)
		*end = at;
	return n;
}

/* -- names within rdata ------------------------------------------------ */

/* Where names are in the rdata of a type; octets before the first of them. */
struct layout {
	uint16_t type, before;
	uint8_t names;
	bool looked_up; /* as additional data, or as the next of a chain */
};

static const struct layout *layout_of(uint16_t type)
{
	static const struct layout layouts[] = {
		{ 2, 0, 1, true },   /* NS */
		{ 3, 0, 1, true },   /* MD */
		{ 4, 0, 1, true },   /* MF */
		{ 5, 0, 1, true },   /* CNAME */
		{ 6, 0, 2, false },  /* SOA */
		{ 7, 0, 1, true },   /* MB */
		{ 8, 0, 1, false },  /* MG */
		{ 9, 0, 1, false },  /* MR */
		{ 12, 0, 1, false }, /* PTR */
		{ 14, 0, 2, false }, /* MINFO */
		{ 15, 2, 1, true },  /* MX */
		{ 17, 0, 2, false }, /* RP */
		{ 18, 2, 1, true },  /* AFSDB */
		{ 21, 2, 1, true },  /* RT */
		{ 26, 2, 2, false }, /* PX */
		{ 33, 6, 1, true },  /* SRV */
		{ 36, 2, 1, true },  /* KX */
		{ 39, 0, 1, false }, /* DNAME: its CNAME says where to */
		{ 64, 2, 1, true },  /* SVCB */
		{ 65, 2, 1, true },  /* HTTPS */
		{ 107, 2, 1, true }, /* LP */
	};

	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		if (layouts[i].type == type)
			return &layouts[i];
	return NULL;
}

/* NAPTR: its name follows two numbers and three strings.  0: it is broken. */
static size_t naptr_before(const struct delta_rdata *r)
{
	size_t at = 4;

	for (unsigned int i = 0; i < 3; i++) {
		if (at >= r->n)
			return 0;
		at += r->msg[r->at + at] + 1u;
	}
	return at;
}

static bool layout_read(uint16_t type, const struct delta_rdata *r,
			struct layout *layout)
{
	const struct layout *known = layout_of(type);

	*layout = (struct layout){ .type = type };
	if (known != NULL)
		*layout = *known;
	if (type == 35) { /* NAPTR */
		size_t before = naptr_before(r);
		if (before == 0)
			return false;
		*layout = (struct layout){ 35, (uint16_t)before, 1, true };
	}
	return layout->before <= r->n;
}

bool delta_hash(uint16_t type, const struct delta_rdata *r, uint64_t *hash)
{
	uint8_t canon[2 * DNAME_WIRE_MAX];
	struct layout layout;
	size_t at = r->at, n = 0;

	if (!layout_read(type, r, &layout))
		return false;
	XXH64_state_t state;
	XXH64_reset(&state, type);
	XXH64_update(&state, r->msg + at, layout.before);
	at += layout.before;
	for (unsigned int i = 0; i < layout.names; i++) {
		size_t one = expand(r, at, canon + n, &at);
		if (one == 0 || at > r->at + r->n)
			return false;
		n += one;
	}
	XXH64_update(&state, canon, n);
	XXH64_update(&state, r->msg + at, r->at + r->n - at);
	*hash = XXH64_digest(&state);
	*hash += *hash == 0;
	return true;
}

/* -- what an answer has ------------------------------------------------ */

/* The index of the name, which is added if it is new; DELTA_NONE: no room. */
static size_t keep_name(struct delta_names *names, const uint8_t *wire,
			size_t n)
{
	uint32_t hash = (uint32_t)XXH3_64bits(wire, n);

	for (size_t i = names->n; i-- > 0;)
		if (names->name[i].hash == hash && names->name[i].n == n &&
		    memcmp(names->name[i].wire, wire, n) == 0)
			return i;
	if (names->n == DELTA_NAMES_MAX)
		return DELTA_NONE;
	struct delta_name *name = &names->name[names->n];
	name->hash = hash;
	name->record = DELTA_NONE;
	name->is_question = false;
	name->looked_up = false;
	name->n = (uint8_t)n;
	memcpy(name->wire, wire, n);
	return names->n++;
}

/* The names in rdata that are looked up for it. */
static bool keep_targets(struct delta_names *names, uint16_t type,
			 const struct delta_rdata *r)
{
	uint8_t wire[DNAME_WIRE_MAX];
	struct layout layout;

	if (!layout_read(type, r, &layout))
		return false;
	if (!layout.looked_up)
		return true;
	size_t end;
	size_t n = expand(r, r->at + layout.before, wire, &end);
	if (n == 0)
		return false;
	size_t i = keep_name(names, wire, n);
	if (i == DELTA_NONE)
		return false;
	names->name[i].looked_up = true;
	return true;
}

/* Reads the record at '*at', and moves '*at' behind it. */
static bool keep_record(struct delta_names *names, const struct delta_rdata *m,
			size_t *at, bool in_answer)
{
	uint8_t wire[DNAME_WIRE_MAX];
	size_t fixed;
	size_t n = expand(m, *at, wire, &fixed);

	if (n == 0 || m->msg_n - fixed < FIXED ||
	    names->n_records == DELTA_RECORDS_MAX)
		return false;
	struct delta_rdata r = *m;
	r.at = fixed + FIXED;
	r.n = get16(m->msg + fixed + 8);
	if (m->msg_n - r.at < r.n)
		return false;

	uint16_t type = get16(m->msg + fixed);
	struct delta_kept *record = &names->record[names->n_records];
	size_t owner = keep_name(names, wire, n);
	if (owner == DELTA_NONE || !delta_hash(type, &r, &record->hash) ||
	    !keep_targets(names, type, &r))
		return false;
	record->owner = owner;
	record->next = names->name[owner].record;
	record->in_answer = in_answer;
	record->type = type;
	if (type == DELTA_RRSIG && r.n >= 2)
		record->type = get16(m->msg + r.at);
	names->name[owner].record = names->n_records++;
	*at = r.at + r.n;
	return true;
}

/* A form may be cut before records that its header counts. */
static bool keep_message(struct delta_names *names, const struct delta_rdata *m)
{
	uint8_t wire[DNAME_WIRE_MAX];
	size_t at = HEADER;

	if (m->msg_n < HEADER)
		return false;
	if (get16(m->msg + 4) > 0) {
		if (expand(m, at, wire, &at) == 0 || m->msg_n - at < 4)
			return false;
		at += 4;
	}
	size_t answers = get16(m->msg + 6);
	for (size_t i = 0; at < m->msg_n; i++)
		if (!keep_record(names, m, &at, i < answers))
			return false;
	return true;
}

bool delta_names_read(struct delta_names *names, const struct delta_answer *a)
{
	names->n = 0;
	names->n_records = 0;
	names->denied = a->msg != NULL && a->n >= HEADER &&
			(a->msg[3] & 0xf) == RCODE_NXDOMAIN;
	size_t i = keep_name(names, a->name, a->name_n);
	names->name[i].is_question = true;
	names->name[i].looked_up = true;
	if (a->msg == NULL)
		return true;
	struct delta_rdata m = { a->msg, a->n, 0, 0 };
	return keep_message(names, &m);
}
