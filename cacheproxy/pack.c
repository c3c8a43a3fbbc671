/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/pack.h"

#include <string.h>

#define WIRES_MAX STORE_FORMS

/* Which of the distinct forms each form is. */
struct distinct {
	size_t n;
	uint8_t first[STORE_FORMS]; /* a form that has it */
	uint32_t forms;		    /* as entry->forms */
};

static bool same_form(const struct pack_form *a, const struct pack_form *b)
{
	return a->wire == b->wire && a->n == b->n &&
	       memcmp(a->count, b->count, sizeof(a->count)) == 0;
}

static void find_distinct(const struct pack_form *form, struct distinct *d)
{
	*d = (struct distinct){ .n = 0 };
	for (uint8_t id = 0; id < STORE_FORMS; id++) {
		uint32_t at = 0;
		while (at < d->n && !same_form(&form[d->first[at]], &form[id]))
			at++;
		if (at == d->n)
			d->first[d->n++] = id;
		d->forms |= at << 4 * id;
	}
}

/* Where the messages begin; returns the octets of all. */
static size_t lay_out(const struct pack_wire *wire, size_t n_wires,
		      size_t n_forms, size_t *place)
{
	size_t at = n_forms * sizeof(struct store_form);

	for (size_t i = 0; i < n_wires; i++) {
		at += wire[i].map->n_ttls * sizeof(uint16_t) +
		      wire[i].map->n_turns * sizeof(struct wire_turn);
		place[i] = at;
		at += (wire[i].n + 1) & ~(size_t)1;
	}
	return at;
}

/* Puts a message at 'to', and what was noted about it before that. */
static void put_wire(uint8_t *to, const struct pack_wire *wire)
{
	const struct wire_map *map = wire->map;
	uint8_t *p = to - map->n_turns * sizeof(struct wire_turn);

	memcpy(to, wire->octets, wire->n);
	memcpy(p, map->turn, map->n_turns * sizeof(struct wire_turn));
	for (size_t i = 0; i < map->n_ttls; i++) {
		p -= sizeof(uint16_t);
		memcpy(p, &map->ttl[i], sizeof(uint16_t));
	}
}

struct store_entry *pack_entry(const struct store_key *key, uint64_t hash,
			       const struct pack_wire *wire, size_t n_wires,
			       const struct pack_form form[STORE_FORMS])
{
	struct distinct d;
	size_t place[WIRES_MAX];

	if (n_wires == 0 || n_wires > WIRES_MAX)
		return NULL;
	find_distinct(form, &d);
	size_t n = lay_out(wire, n_wires, d.n, place);
	struct store_entry *e =
		store_entry_new(key, hash, place[0] + WIRE_HEADER, n);
	if (e == NULL)
		return NULL;
	e->forms = d.forms;
	for (size_t i = 0; i < n_wires; i++)
		put_wire(e->octets + place[i], &wire[i]);
	for (size_t i = 0; i < d.n; i++) {
		const struct pack_form *f = &form[d.first[i]];
		const struct wire_map *map = wire[f->wire].map;
		struct store_form made = {
			.wire = (unsigned int)place[f->wire] & 0xffffffu,
			.n_turns = map->n_turns & 7u,
			.fixed_order = map->fixed_order,
			.n = f->n,
			.count = { f->count[0], f->count[1], f->count[2] },
		};
		memcpy(e->octets + i * sizeof(made), &made, sizeof(made));
	}
	return e;
}

size_t pack_spans(const struct store_entry *e,
		  struct pack_span span[STORE_FORMS])
{
	size_t n = 0;

	for (unsigned int id = 0; id < STORE_FORMS; id++) {
		const struct store_form *f = store_form_of(e, id);
		size_t i = 0;
		while (i < n && span[i].at != f->wire)
			i++;
		if (i == n)
			span[n++] = (struct pack_span){ .at = f->wire };
		if (f->n > span[i].n) /* one form has all of it */
			span[i].n = f->n;
	}
	return n;
}
