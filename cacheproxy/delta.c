/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/delta.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "cacheproxy/delta_int.h"

#define OWNERS_MAX  (1u << 24)
#define SLOTS_FIRST 64u
#define TYPES	    65536u

/* What is known of a name; bits. */
enum {
	CHANGED = 1,	     /* records of it changed */
	CUTS = 2,	     /* NS, DS or DNAME records of it changed */
	MAY_COME = 4,	     /* it may exist in the new version only */
	MAY_GO = 8,	     /* or in the old one only */
	CAME_HERE = 16,	     /* this step added records */
	WENT_HERE = 32,	     /* this step removed records */
	STAR_CHANGED = 64,   /* its wildcard changed */
	STAR_MATTERS = 128,  /* its wildcard is beside a name that may .. */
	STAR_ABSENT = 256,   /* and does not exist */
	PROOF_CHANGED = 512, /* its NSEC or NSEC3 record changed */
	STAR_GREW = 1024,    /* its wildcard has more of some type, no less */
};

/* A name with something known of it. */
struct node {
	uint64_t hash;
	uint16_t flags;
	uint8_t n;
	uint8_t name[];
};

struct delta {
	struct dname apex;
	size_t owners_max, owners;
	struct node **slot; /* open addressing */
	size_t n_nodes, slots;
	struct node **step; /* those with records of this step */
	size_t n_step, step_room;
	/* hashes of records that wildcards lost, a set of its own */
	uint64_t *lost; /* 0: free */
	size_t n_lost, lost_slots;
	uint64_t n_steps;
	bool is_signed; /* there are signatures in it */
	uint8_t apex_types[TYPES / 8];
	struct delta_names names;
};

/* -- names ------------------------------------------------------------- */

static uint64_t hash_name(const uint8_t *name, size_t n)
{
	return XXH3_64bits(name, n);
}

static struct node *find(const struct delta *d, const uint8_t *name, size_t n)
{
	uint64_t hash = hash_name(name, n);
	size_t at = hash & (d->slots - 1);

	for (; d->slot[at] != NULL; at = (at + 1) & (d->slots - 1)) {
		struct node *node = d->slot[at];
		if (node->hash == hash && node->n == n &&
		    memcmp(node->name, name, n) == 0)
			return node;
	}
	return NULL;
}

static void place(struct node **slot, size_t slots, struct node *node)
{
	size_t at = node->hash & (slots - 1);

	while (slot[at] != NULL)
		at = (at + 1) & (slots - 1);
	slot[at] = node;
}

static int grow(struct delta *d)
{
	size_t slots = d->slots * 2;
	struct node **slot = calloc(slots, sizeof(struct node *));

	if (slot == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < d->slots; i++)
		if (d->slot[i] != NULL)
			place(slot, slots, d->slot[i]);
	free(d->slot);
	d->slot = slot;
	d->slots = slots;
	return 0;
}

/* The node of 'name', made if it is not there. */
static int need(struct delta *d, const uint8_t *name, size_t n,
		struct node **nodep)
{
	struct node *node = find(d, name, n);

	if (node != NULL) {
		*nodep = node;
		return 0;
	}
	if (d->n_nodes >= d->owners_max)
		return -E2BIG;
	if (2 * d->n_nodes >= d->slots && grow(d) != 0)
		return -ENOMEM;
	node = malloc(sizeof(*node) + n);
	if (node == NULL)
		return -ENOMEM;
	*node = (struct node){ .hash = hash_name(name, n), .n = (uint8_t)n };
	memcpy(node->name, name, n);
	place(d->slot, d->slots, node);
	d->n_nodes++;
	*nodep = node;
	return 0;
}

static bool is_apex(const struct delta *d, size_t n)
{
	return n == d->apex.n; /* of a name that is in the zone */
}

static bool in_zone(const struct delta *d, const uint8_t *name, size_t n)
{
	return delta_below(name, n, d->apex.wire, d->apex.n);
}

static bool is_star(const uint8_t *name)
{
	return name[0] == 1 && name[1] == '*';
}

/* -- making it --------------------------------------------------------- */

int delta_new(const struct dname *apex, size_t owners_max,
	      struct delta **deltap)
{
	if (owners_max < 1 || owners_max > OWNERS_MAX)
		return -EINVAL;

	struct delta *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	d->apex = *apex;
	d->owners_max = owners_max;
	d->slots = SLOTS_FIRST;
	d->slot = calloc(d->slots, sizeof(struct node *));
	if (d->slot == NULL) {
		free(d);
		return -ENOMEM;
	}
	*deltap = d;
	return 0;
}

void delta_free(struct delta *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->slots; i++)
		free(d->slot[i]);
	free(d->slot);
	free(d->step);
	free(d->lost);
	free(d);
}

static bool lost_has(const struct delta *d, uint64_t hash)
{
	if (d->n_lost == 0)
		return false;
	size_t at = hash & (d->lost_slots - 1);
	for (; d->lost[at] != 0; at = (at + 1) & (d->lost_slots - 1))
		if (d->lost[at] == hash)
			return true;
	return false;
}

static void lost_place(uint64_t *lost, size_t slots, uint64_t hash)
{
	size_t at = hash & (slots - 1);

	while (lost[at] != 0)
		at = (at + 1) & (slots - 1);
	lost[at] = hash;
}

static int lost_add(struct delta *d, uint64_t hash)
{
	if (lost_has(d, hash))
		return 0;
	if (2 * d->n_lost >= d->lost_slots) {
		size_t slots = d->lost_slots > 0 ? 2 * d->lost_slots : 16;
		uint64_t *lost = calloc(slots, sizeof(*lost));
		if (lost == NULL)
			return -ENOMEM;
		for (size_t i = 0; i < d->lost_slots; i++)
			if (d->lost[i] != 0)
				lost_place(lost, slots, d->lost[i]);
		free(d->lost);
		d->lost = lost;
		d->lost_slots = slots;
	}
	lost_place(d->lost, d->lost_slots, hash);
	d->n_lost++;
	return 0;
}

static bool is_proof(uint16_t type)
{
	return type == DELTA_NSEC || type == DELTA_NSEC3;
}

/* Records that say nothing about whether a name exists. */
static bool is_about_others(uint16_t type)
{
	return type == DELTA_RRSIG || is_proof(type);
}

static int note_step(struct delta *d, struct node *node, bool added)
{
	uint16_t flag = added ? CAME_HERE : WENT_HERE;

	if ((node->flags & (CAME_HERE | WENT_HERE)) == 0) {
		if (d->n_step == d->step_room) {
			size_t room = d->step_room > 0 ? 2 * d->step_room : 64;
			struct node **step =
				realloc(d->step, room * sizeof(struct node *));
			if (step == NULL)
				return -ENOMEM;
			d->step = step;
			d->step_room = room;
		}
		d->step[d->n_step++] = node;
	}
	node->flags |= flag;
	return 0;
}

/* Stands among the lost for: of 'type', wildcard 'star' lost some this step. */
static uint64_t step_mark(const struct delta *d, const struct node *star,
			  uint16_t type)
{
	return XXH3_64bits_withSeed(&d->n_steps, sizeof(d->n_steps),
				    star->hash ^ type) |
	       1;
}

/*
 * The wildcard 'name' changed: its closest encloser is told.  Answers made
 * from what it lost are known by that.  In an unsigned zone those that are
 * merely not all of it any more are not; where there are signatures, the old
 * one is lost too.
 */
static int note_star(struct delta *d, const struct delta_record *r,
		     const uint8_t *name, bool added)
{
	struct node *above;
	uint64_t hash;
	int rc = need(d, name + 2, r->owner_n - 2, &above);

	if (rc != 0)
		return rc;
	above->flags |= STAR_CHANGED;
	if (added) { /* what a step adds comes after what it removes */
		if (!d->is_signed && !lost_has(d, step_mark(d, above, r->type)))
			above->flags |= STAR_GREW;
		return 0;
	}
	struct delta_rdata rdata = { r->rdata, r->rdata_n, 0, r->rdata_n };
	if (!delta_hash(r->type, &rdata, &hash))
		return -EINVAL;
	rc = lost_add(d, step_mark(d, above, r->type));
	return rc != 0 ? rc : lost_add(d, hash);
}

/*
 * Readies what is beside and above a name that may come or go: each name from
 * it up to the apex may, and the wildcards beside these matter.
 */
static int note_path(struct delta *d, const uint8_t *name, size_t n)
{
	while (!is_apex(d, n)) {
		struct node *node;
		size_t label = name[0] + 1u;
		int rc = need(d, name, n, &node);
		if (rc == 0)
			rc = need(d, name + label, n - label, &node);
		if (rc != 0)
			return rc;
		name += label;
		n -= label;
	}
	return 0;
}

static void apex_add(struct delta *d, uint16_t type)
{
	d->apex_types[type / 8] |= (uint8_t)(1u << type % 8);
}

static bool apex_has(const struct delta *d, uint16_t type)
{
	return (d->apex_types[type / 8] >> type % 8 & 1) != 0;
}

static bool is_cut(const struct delta *d, size_t n, uint16_t type)
{
	return type == DELTA_DNAME ||
	       (!is_apex(d, n) && (type == DELTA_NS || type == DELTA_DS));
}

int delta_add(struct delta *d, const struct delta_record *r, bool added)
{
	uint16_t type = r->type == DELTA_RRSIG ? r->covers : r->type;
	struct dname name;
	struct node *node;

	if (dname_from_wire(r->owner, r->owner_n, &name) != 0 ||
	    !in_zone(d, name.wire, name.n))
		return -EINVAL;
	int rc = need(d, name.wire, name.n, &node);
	if (rc != 0)
		return rc;
	d->is_signed |= r->type == DELTA_RRSIG;
	d->owners += (node->flags & (CHANGED | PROOF_CHANGED)) == 0;
	node->flags |= is_proof(type) ? PROOF_CHANGED : CHANGED;
	if (is_cut(d, name.n, type))
		node->flags |= CUTS;
	if (is_apex(d, name.n)) {
		apex_add(d, type);
		return 0;
	}
	if (is_star(name.wire))
		rc = note_star(d, r, name.wire, added);
	if (rc != 0 || is_about_others(r->type))
		return rc;
	rc = note_path(d, name.wire, name.n);
	return rc != 0 ? rc : note_step(d, node, added);
}

/* Says 'what' of 'node' and of what is between it and the apex. */
static void may(struct delta *d, const struct node *node, uint16_t what)
{
	const uint8_t *name = node->name;
	size_t n = node->n;

	while (!is_apex(d, n)) { /* note_path() has made them */
		find(d, name, n)->flags |= what;
		n -= name[0] + 1u;
		name += name[0] + 1u;
		find(d, name, n)->flags |= STAR_MATTERS;
	}
}

void delta_step(struct delta *d)
{
	for (size_t i = 0; i < d->n_step; i++) {
		struct node *node = d->step[i];
		uint16_t step = node->flags & (CAME_HERE | WENT_HERE);
		/* with both, it was there before and is there after */
		if (step == CAME_HERE)
			may(d, node, MAY_COME);
		else if (step == WENT_HERE)
			may(d, node, MAY_GO);
		node->flags &= (uint16_t) ~(CAME_HERE | WENT_HERE);
	}
	d->n_step = 0;
	d->n_steps++;
}

size_t delta_wildcards(const struct delta *d, size_t max,
		       void (*each)(void *arg, const uint8_t *name, size_t n),
		       void *arg)
{
	size_t found = 0;

	for (size_t i = 0; i < d->slots; i++) {
		const struct node *node = d->slot[i];
		if (node == NULL || (node->flags & STAR_MATTERS) == 0)
			continue;
		if (found < max)
			each(arg, node->name, node->n);
		found++;
	}
	return found;
}

void delta_no_wildcard(struct delta *d, const uint8_t *name, size_t n)
{
	struct node *node = find(d, name, n);

	if (node != NULL)
		node->flags |= STAR_ABSENT;
}

size_t delta_owners(const struct delta *d)
{
	return d->owners;
}

/* -- asking it --------------------------------------------------------- */

/* Is there a wildcard just below the parent of 'name', as far as is known? */
static bool star_beside(const struct delta *d, const uint8_t *name, size_t n)
{
	size_t label = name[0] + 1u;
	const struct node *above = find(d, name + label, n - label);

	return above == NULL || (above->flags & STAR_ABSENT) == 0;
}

/* The apex is asked for, or looked up for additional data. */
static bool apex_touched(const struct delta *d, const struct delta_answer *a,
			 bool is_question)
{
	if (apex_has(d, a->qtype) || a->qtype == DELTA_ANY ||
	    a->qtype == DELTA_RRSIG)
		return true;
	return !is_question &&
	       (apex_has(d, DELTA_A) || apex_has(d, DELTA_AAAA) ||
		apex_has(d, DELTA_SVCB) || apex_has(d, DELTA_HTTPS));
}

/* A record of 'name' in the answer was taken from a wildcard that changed. */
static bool from_lost(const struct delta *d, const struct delta_name *name)
{
	for (size_t i = name->record; i != DELTA_NONE;
	     i = d->names.record[i].next)
		if (lost_has(d, d->names.record[i].hash))
			return true;
	return false;
}

/*
 * What is known of the name itself.  That a name without records came or went
 * only matters to the answer that says whether it exists.
 */
static bool here_touched(const struct delta *d, const struct delta_answer *a,
			 const struct delta_name *name)
{
	const struct node *node = find(d, name->wire, name->n);

	if (node == NULL)
		return false;
	if ((node->flags & CHANGED) != 0)
		return true;
	if ((node->flags & PROOF_CHANGED) != 0 &&
	    (is_proof(a->qtype) || a->qtype == DELTA_ANY ||
	     a->qtype == DELTA_RRSIG))
		return true;
	if ((node->flags & (MAY_COME | MAY_GO)) == 0)
		return false;
	if (star_beside(d, name->wire, name->n))
		return true;
	return name->record == DELTA_NONE &&
	       (node->flags & (d->names.denied ? MAY_COME : MAY_GO)) != 0;
}

/* What is known of 'n' octets above the name, which are in the zone. */
static bool above_touched(const struct delta *d, const struct delta_name *name,
			  const uint8_t *above, size_t n)
{
	const struct node *node = find(d, above, n);

	if (node == NULL)
		return false;
	if ((node->flags & CUTS) != 0)
		return true;
	if ((node->flags & STAR_CHANGED) != 0 &&
	    (name->record == DELTA_NONE || (node->flags & STAR_GREW) != 0 ||
	     from_lost(d, name)))
		return true;
	return !is_apex(d, n) && (node->flags & (MAY_COME | MAY_GO)) != 0 &&
	       star_beside(d, above, n);
}

static bool name_touched(const struct delta *d, const struct delta_answer *a,
			 const struct delta_name *name)
{
	const uint8_t *at = name->wire;
	size_t n = name->n;

	if (!in_zone(d, at, n))
		return false;
	if (is_apex(d, n))
		return name->looked_up && apex_touched(d, a, name->is_question);
	if (here_touched(d, a, name))
		return true;
	while (!is_apex(d, n)) {
		n -= at[0] + 1u;
		at += at[0] + 1u;
		if (above_touched(d, name, at, n))
			return true;
	}
	return false;
}

/* A record of the apex. */
static bool apex_record_touched(const struct delta *d,
				const struct delta_kept *r)
{
	return apex_has(d, r->type) && (r->type != DELTA_SOA || r->in_answer);
}

/* Records that tell by themselves that the answer is no longer right. */
static bool records_touched(const struct delta *d)
{
	for (size_t i = 0; i < d->names.n_records; i++) {
		const struct delta_kept *r = &d->names.record[i];
		const struct delta_name *owner = &d->names.name[r->owner];
		bool apex = owner->n == d->apex.n &&
			    memcmp(owner->wire, d->apex.wire, owner->n) == 0;
		if (apex && apex_record_touched(d, r))
			return true;
		if (apex || !is_proof(r->type))
			continue;
		const struct node *node = find(d, owner->wire, owner->n);
		if (node != NULL && (node->flags & PROOF_CHANGED) != 0)
			return true;
	}
	return false;
}

bool delta_touches(struct delta *d, const struct delta_answer *a)
{
	if (!delta_names_read(&d->names, a))
		return true;
	if (records_touched(d))
		return true;
	for (size_t i = 0; i < d->names.n; i++)
		if (name_touched(d, a, &d->names.name[i]))
			return true;
	return false;
}
