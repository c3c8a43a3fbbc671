/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * pack - lays out the octets of an entry: its distinct forms, then for each
 * message the offsets of its TTLs, its rotatable sets and the message itself.
 * What forms have in common is kept once.
 *
 * Pure but for malloc.  Any thread.
 */
#include <stddef.h>
#include <stdint.h>

#include "cacheproxy/store.h"

/* One message, and what wire_map() noted about it; the caller's. */
struct pack_wire {
	const uint8_t *octets;
	size_t n;
	const struct wire_map *map;
};

/* One form: the first 'n' octets of message 'wire', cut between records. */
struct pack_form {
	uint8_t wire; /* index */
	uint16_t n;
	uint16_t count[3]; /* records in it, a section */
};

/*
 * Makes an entry for 'key' of 'n_wires' messages (at least one; the first
 * has the key's name, spelled the same, in its question) and all its forms.
 * The other fields of the maker are left zero.  Returns it with one reference;
 * or NULL without memory or beyond STORE_EXTRA_MAX.
 */
struct store_entry *pack_entry(const struct store_key *key, uint64_t hash,
			       const struct pack_wire *wire, size_t n_wires,
			       const struct pack_form form[STORE_FORMS]);

/* A message in an entry's octets. */
struct pack_span {
	uint32_t at;
	uint16_t n;
};

/* The distinct messages of an entry that is no failure; returns how many. */
size_t pack_spans(const struct store_entry *e,
		  struct pack_span span[STORE_FORMS]);
