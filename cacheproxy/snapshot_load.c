/* SPDX-License-Identifier: MPL-2.0 */
/* The reading half of 'snapshot'. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "cacheproxy/pack.h"
#include "cacheproxy/snapshot_int.h"

#define ZONES_MAX  1000000u
#define CLASS_IN   1u
#define LABEL_MAX  63u
#define RCODE_MAX  15u
#define HITS_MAX   3u
#define HEADER_AA  0x04u
#define HEADER_QR  0x80u
#define ZONES_STEP 64u

/* A zone that the file has named. */
struct known {
	uint64_t id; /* cache identity, 0: there is no such zone */
	uint8_t n;
	uint8_t name[DNAME_WIRE_MAX];
};

struct loader {
	const struct snapshot_source *source;
	uint64_t seed;
	uint32_t age_s; /* of the snapshot */
	uint64_t total; /* entries met, skipped ones included */
	uint64_t bytes;
	struct known *zone;
	size_t n_zones, zones_room;
	struct snapshot_result result;
	struct wire_map map[SNAPSHOT_WIRES_MAX];
	struct wire_map cut;	/* of a form */
	uint8_t form[WIRE_MAX]; /* a form, with its own counts */
	uint8_t block[SNAPSHOT_SUM + SNAPSHOT_BLOCK_HEAD + SNAPSHOT_BLOCK_MAX];
};

/* What is left of a record; 'bad' once more was wanted than there is. */
struct cursor {
	const uint8_t *p;
	size_t n;
	bool bad;
};

static uint64_t number(const uint8_t *p, size_t n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value |= (uint64_t)p[i] << 8 * i;
	return value;
}

/* The next 'n' octets, or NULL. */
static const uint8_t *take(struct cursor *c, size_t n)
{
	const uint8_t *p = c->p;

	if (c->bad || c->n < n) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	c->n -= n;
	return p;
}

static uint64_t get(struct cursor *c, size_t n)
{
	const uint8_t *p = take(c, n);

	return p != NULL ? number(p, n) : 0;
}

/* -- entries --------------------------------------------------------------- */

struct record {
	const struct known *zone;
	uint8_t kind, rcode, flags, hits, rrl_labels;
	uint32_t age_s, ttl_s, stale_s;
	struct store_key key;
	size_t n_wires;
	struct pack_wire wire[SNAPSHOT_WIRES_MAX];
	struct pack_form form[STORE_FORMS];
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/*
 * Takes the name of the question of 'wire', which must be lower-case and in
 * the record's zone.  Returns its labels with the root, 0: it is not so.
 */
static unsigned int take_name(struct record *r, const struct pack_wire *wire)
{
	const uint8_t *name = wire->octets + WIRE_HEADER;
	size_t room = wire->map->question_end - WIRE_HEADER - 4u;
	unsigned int labels = 1;
	size_t at = 0;

	if (room > sizeof(r->key.name))
		return 0;
	for (; at < room && name[at] != 0; labels++) {
		size_t end = at + 1 + name[at];
		if (name[at] > LABEL_MAX || end >= room)
			return 0;
		while (++at < end)
			if (name[at] >= 'A' && name[at] <= 'Z')
				return 0;
	}
	if (at + 1 != room ||
	    !wire_below(name, room, r->zone->name, r->zone->n))
		return 0;
	r->key.n = (uint8_t)room;
	memcpy(r->key.name, name, room);
	return labels;
}

/* Is 'wire' an answer, as it is stored, to the record's question? */
static bool is_answer(const struct record *r, const struct pack_wire *wire)
{
	const uint8_t *p = wire->octets;
	size_t end = wire->map->question_end;
	uint8_t flags =
		HEADER_QR | ((r->flags & SNAPSHOT_AA) != 0 ? HEADER_AA : 0);

	return p[2] == flags && p[3] == r->rcode &&
	       end == WIRE_HEADER + r->key.n + 4u &&
	       memcmp(p + WIRE_HEADER, r->key.name, r->key.n) == 0 &&
	       get16(p + end - 4) == r->key.qtype &&
	       get16(p + end - 2) == CLASS_IN;
}

/* No set that may be turned may lie across the end of a form. */
static bool cuts_no_turn(const struct pack_form *f, const struct wire_map *map)
{
	for (size_t i = 0; i < map->n_turns; i++) {
		const struct wire_turn *t = &map->turn[i];
		if (t->offset < f->n &&
		    t->offset + (size_t)t->size * t->n > f->n)
			return false;
	}
	return true;
}

/* Is the form a message, and one that its wire begins with? */
static bool is_form(struct loader *l, const struct record *r,
		    const struct pack_form *f)
{
	if (f->wire >= r->n_wires)
		return false;
	const struct pack_wire *wire = &r->wire[f->wire];
	const struct wire_map *map = wire->map;
	if (f->n == wire->n &&
	    memcmp(f->count, map->count, sizeof(f->count)) == 0)
		return true;
	if (f->n > wire->n || f->n < map->question_end || !cuts_no_turn(f, map))
		return false;
	memcpy(l->form, wire->octets, f->n);
	for (size_t i = 0; i < 3; i++) {
		l->form[6 + 2 * i] = (uint8_t)(f->count[i] >> 8);
		l->form[7 + 2 * i] = (uint8_t)f->count[i];
	}
	return wire_map(l->form, f->n, &l->cut) == 0;
}

static bool take_forms(struct cursor *c, struct record *r)
{
	for (size_t id = 0; id < STORE_FORMS; id++) {
		struct pack_form *f = &r->form[id];
		f->wire = (uint8_t)get(c, 1);
		f->n = (uint16_t)get(c, 2);
		for (size_t i = 0; i < 3; i++)
			f->count[i] = (uint16_t)get(c, 2);
	}
	return !c->bad;
}

static bool take_wires(struct loader *l, struct cursor *c, struct record *r)
{
	for (size_t i = 0; i < r->n_wires; i++) {
		struct pack_wire *wire = &r->wire[i];
		wire->n = get(c, 2);
		wire->octets = take(c, wire->n);
		wire->map = &l->map[i];
		if (wire->octets == NULL ||
		    wire_map(wire->octets, wire->n, &l->map[i]) != 0)
			return false;
	}
	return c->n == 0;
}

/* Reads and validates a record after its zone. */
static bool take_record(struct loader *l, struct cursor *c, struct record *r)
{
	r->key.qtype = (uint16_t)get(c, 2);
	r->kind = (uint8_t)get(c, 1);
	r->rcode = (uint8_t)get(c, 1);
	r->flags = (uint8_t)get(c, 1);
	r->hits = (uint8_t)get(c, 1);
	r->rrl_labels = (uint8_t)get(c, 1);
	r->age_s = (uint32_t)get(c, 4);
	r->ttl_s = (uint32_t)get(c, 4);
	r->stale_s = (uint32_t)get(c, 4);
	r->n_wires = get(c, 1);
	if (r->kind >= STORE_FAILURE || r->rcode > RCODE_MAX ||
	    r->hits > HITS_MAX || r->ttl_s > INT32_MAX ||
	    r->stale_s > INT32_MAX || r->n_wires == 0 ||
	    r->n_wires > SNAPSHOT_WIRES_MAX)
		return false;
	if (!take_forms(c, r) || !take_wires(l, c, r))
		return false;
	unsigned int labels = take_name(r, &r->wire[0]);
	if (r->rrl_labels == 0 || r->rrl_labels > labels)
		return false;
	for (size_t i = 0; i < r->n_wires; i++)
		if (!is_answer(r, &r->wire[i]))
			return false;
	for (size_t id = 0; id < STORE_FORMS; id++)
		if (!is_form(l, r, &r->form[id]))
			return false;
	return true;
}

static int keep(struct loader *l, struct record *r, uint32_t age_s)
{
	const struct snapshot_source *s = l->source;
	struct store_entry *e =
		pack_entry(&r->key, store_hash(s->store, &r->key), r->wire,
			   r->n_wires, r->form);

	if (e == NULL)
		return -ENOMEM;
	if (l->bytes + store_bytes(e) > s->limit_bytes) {
		store_unref(e);
		l->result.over++;
		return 0;
	}
	e->stored_s = s->now_s - age_s;
	e->ttl_s = r->ttl_s;
	e->stale_s = r->stale_s;
	e->rrl_labels = r->rrl_labels;
	e->kind = r->kind;
	e->rcode = r->rcode;
	e->aa = (r->flags & SNAPSHOT_AA) != 0;
	e->is_signed = (r->flags & SNAPSHOT_SIGNED) != 0;
	atomic_init(&e->hits, r->hits);
	atomic_init(&e->in_main, (r->flags & SNAPSHOT_IN_MAIN) != 0);
	e->fore = l->result.list;
	l->result.list = e;
	l->result.entries++;
	l->bytes += store_bytes(e);
	return 0;
}

static int load_entry(struct loader *l, struct cursor *c)
{
	struct record r;
	uint64_t zone = get(c, 4);

	l->total++;
	if (c->bad || zone >= l->n_zones)
		return -EBADMSG;
	r.zone = &l->zone[zone];
	memset(&r.key, 0, sizeof(r.key));
	r.key.zone = r.zone->id;
	if (!take_record(l, c, &r))
		return -EBADMSG;
	uint64_t age_s = (uint64_t)r.age_s + l->age_s;
	if (r.zone->id == 0) {
		l->result.foreign++;
		return 0;
	}
	if (age_s > INT32_MAX || age_s >= (uint64_t)r.ttl_s + r.stale_s) {
		l->result.expired++;
		return 0;
	}
	return keep(l, &r, (uint32_t)age_s);
}

/* -- blocks ---------------------------------------------------------------- */

static int zones_grow(struct loader *l)
{
	if (l->n_zones < l->zones_room)
		return 0;
	if (l->zones_room >= ZONES_MAX)
		return -EBADMSG;
	size_t room = l->zones_room > 0 ? 2 * l->zones_room : ZONES_STEP;
	struct known *zone = realloc(l->zone, room * sizeof(*zone));
	if (zone == NULL)
		return -ENOMEM;
	l->zone = zone;
	l->zones_room = room;
	return 0;
}

static int load_zone(struct loader *l, struct cursor *c)
{
	const struct snapshot_source *s = l->source;
	uint64_t origins = get(c, 8);
	uint64_t serial = get(c, 8);
	struct dname name;

	if (c->bad || c->n > DNAME_WIRE_MAX ||
	    dname_from_wire(c->p, c->n, &name) != 0 || name.n != c->n ||
	    memcmp(name.wire, c->p, c->n) != 0)
		return -EBADMSG;
	int rc = zones_grow(l);
	if (rc != 0)
		return rc;
	struct known *zone = &l->zone[l->n_zones++];
	zone->id = s->zone(s->arg, &name, origins, serial);
	zone->n = (uint8_t)name.n;
	memcpy(zone->name, name.wire, name.n);
	return 0;
}

static int load_record(struct loader *l, struct cursor *block, bool last)
{
	size_t n = get(block, 4);
	struct cursor c = { .p = take(block, n), .n = n };

	if (c.p == NULL)
		return -EBADMSG;
	uint64_t kind = get(&c, 1);
	if (c.bad || (kind == SNAPSHOT_TOTAL) != last)
		return -EBADMSG;
	switch (kind) {
	case SNAPSHOT_ZONE:
		return load_zone(l, &c);
	case SNAPSHOT_ENTRY:
		return load_entry(l, &c);
	case SNAPSHOT_TOTAL:
		return get(&c, 8) == l->total && !c.bad && c.n == 0 ? 0
								    : -EBADMSG;
	default:
		return -EBADMSG;
	}
}

static int read_all(struct loader *l, uint8_t *p, size_t n)
{
	int64_t got = l->source->read(l->source->arg, p, n);

	if (got < 0)
		return (int)got;
	return (size_t)got == n ? 0 : -EBADMSG;
}

/* Reads the next block and all that is in it. */
static int load_block(struct loader *l, uint32_t sequence, bool *last)
{
	uint8_t *head = l->block + SNAPSHOT_SUM;
	int rc = read_all(l, l->block, SNAPSHOT_SUM + SNAPSHOT_BLOCK_HEAD);

	if (rc != 0)
		return rc;
	size_t n = number(head, 4);
	uint64_t records = number(head + 4, 4);
	uint64_t flag = number(head + 12, 4);
	if (n > SNAPSHOT_BLOCK_MAX || number(head + 8, 4) != sequence ||
	    flag > 1 || (flag == 1 && records != 1))
		return -EBADMSG;
	rc = read_all(l, head + SNAPSHOT_BLOCK_HEAD, n);
	if (rc != 0)
		return rc;
	if (XXH3_64bits_withSeed(head, SNAPSHOT_BLOCK_HEAD + n, l->seed) !=
	    number(l->block, SNAPSHOT_SUM))
		return -EBADMSG;

	struct cursor block = { .p = head + SNAPSHOT_BLOCK_HEAD, .n = n };
	*last = flag == 1;
	for (uint64_t i = 0; rc == 0 && i < records; i++)
		rc = load_record(l, &block, *last);
	if (rc == 0 && block.n > 0)
		rc = -EBADMSG;
	return rc;
}

static int load_header(struct loader *l)
{
	const struct snapshot_source *s = l->source;
	uint8_t *p = l->block;
	int rc = read_all(l, p, SNAPSHOT_HEADER);

	if (rc != 0)
		return rc;
	l->seed = number(p + 24, 8);
	if (memcmp(p, SNAPSHOT_MAGIC, 8) != 0)
		return -EBADMSG;
	if (number(p + 8, 4) != SNAPSHOT_VERSION)
		return -EPROTONOSUPPORT;
	if (XXH3_64bits(p, 24) != l->seed || number(p + 12, 4) != 0)
		return -EBADMSG;
	uint64_t wall_s = number(p + 16, 8);
	if (wall_s > s->wall_s && wall_s - s->wall_s > SNAPSHOT_AHEAD_S)
		return -ETIME;
	uint64_t age_s = s->wall_s > wall_s ? s->wall_s - wall_s : 0;
	l->age_s = age_s < INT32_MAX ? (uint32_t)age_s : INT32_MAX;
	l->result.age_s = l->age_s;
	return 0;
}

static int load_all(struct loader *l)
{
	int rc = load_header(l);
	bool last = false;

	for (uint32_t sequence = 0; rc == 0 && !last; sequence++)
		rc = load_block(l, sequence, &last);
	if (rc != 0)
		return rc;
	int64_t more = l->source->read(l->source->arg, l->block, 1);
	if (more < 0)
		return (int)more;
	return more == 0 ? 0 : -EBADMSG;
}

int snapshot_load(const struct snapshot_source *source,
		  struct snapshot_result *result)
{
	struct loader *l = malloc(sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	l->source = source;
	l->total = 0;
	l->bytes = 0;
	l->zone = NULL;
	l->n_zones = 0;
	l->zones_room = 0;
	l->result = (struct snapshot_result){ .list = NULL };
	int rc = load_all(l);
	if (rc == 0)
		*result = l->result;
	else
		snapshot_list_free(l->result.list);
	free(l->zone);
	free(l);
	return rc;
}

void snapshot_list_free(struct store_entry *list)
{
	while (list != NULL) {
		struct store_entry *fore = list->fore;
		store_unref(list);
		list = fore;
	}
}
