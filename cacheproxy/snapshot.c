/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "cacheproxy/pack.h"
#include "cacheproxy/snapshot_int.h"

#define HEAD (SNAPSHOT_SUM + SNAPSHOT_BLOCK_HEAD)

struct snapshot_writer {
	snapshot_write write;
	void *arg;
	uint64_t seed;
	uint64_t entries;
	uint32_t n_zones;
	uint32_t sequence; /* of the block under way */
	uint32_t records;  /* in it */
	size_t used;	   /* octets in it, head included */
	uint8_t block[HEAD + SNAPSHOT_BLOCK_MAX];
};

static void put(struct snapshot_writer *w, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		w->block[w->used++] = (uint8_t)(value >> 8 * i);
}

static void put_octets(struct snapshot_writer *w, const void *octets, size_t n)
{
	memcpy(w->block + w->used, octets, n);
	w->used += n;
}

/* Puts a number where one was left out. */
static void put_at(struct snapshot_writer *w, size_t at, uint64_t value,
		   size_t n)
{
	size_t used = w->used;

	w->used = at;
	put(w, value, n);
	w->used = used;
}

int snapshot_writer_new(snapshot_write write, void *arg, uint64_t wall_s,
			struct snapshot_writer **writerp)
{
	struct snapshot_writer *w = malloc(sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	w->write = write;
	w->arg = arg;
	w->entries = 0;
	w->n_zones = 0;
	w->sequence = 0;
	w->records = 0;
	w->used = 0;
	put_octets(w, SNAPSHOT_MAGIC, 8);
	put(w, SNAPSHOT_VERSION, 4);
	put(w, 0, 4);
	put(w, wall_s, 8);
	w->seed = XXH3_64bits(w->block, w->used);
	put(w, w->seed, 8);
	int rc = write(arg, w->block, w->used);
	if (rc != 0) {
		free(w);
		return rc;
	}
	w->used = HEAD;
	*writerp = w;
	return 0;
}

void snapshot_writer_free(struct snapshot_writer *w)
{
	free(w);
}

/* True if a record of 'n' octets of content still goes into the block. */
static bool has_room(const struct snapshot_writer *w, size_t n)
{
	return sizeof(w->block) - w->used >= SNAPSHOT_RECORD_HEAD + n;
}

static size_t record_begin(struct snapshot_writer *w, enum snapshot_record kind)
{
	size_t at = w->used;

	put(w, 0, 4);
	put(w, kind, 1);
	return at;
}

static void record_end(struct snapshot_writer *w, size_t at)
{
	put_at(w, at, w->used - at - 4, 4);
	w->records++;
}

int64_t snapshot_add_zone(struct snapshot_writer *w, const struct dname *name,
			  uint64_t origins, uint64_t serial)
{
	if (!has_room(w, 16 + DNAME_WIRE_MAX))
		return -ENOBUFS;
	size_t at = record_begin(w, SNAPSHOT_ZONE);
	put(w, origins, 8);
	put(w, serial, 8);
	put_octets(w, name->wire, name->n);
	record_end(w, at);
	return w->n_zones++;
}

/* The distinct messages of an entry. */
struct parts {
	size_t n;
	struct pack_span span[STORE_FORMS];
	size_t octets; /* of all, in a record */
};

static size_t span_of(const struct parts *p, const struct store_form *f)
{
	size_t i = 0;

	while (p->span[i].at != f->wire)
		i++;
	return i;
}

#define ENTRY_FIXED 25u
#define FORM_OCTETS 9u

/*
 * zone (4), type (2), kind, rcode, flags, hits, labels for rate limiting (1
 * each), age, ttl, stale (4 each), messages (1), forms (1 each, but there are
 * always STORE_FORMS): message (1), octets (2), counts (2 each); messages:
 * octets (2) and themselves.
 */
static void entry_put(struct snapshot_writer *w, uint32_t zone,
		      const struct store_entry *e, uint32_t age_s,
		      const struct parts *p)
{
	put(w, zone, 4);
	put(w, e->qtype, 2);
	put(w, e->kind, 1);
	put(w, e->rcode, 1);
	put(w,
	    (e->aa ? SNAPSHOT_AA : 0u) | (e->is_signed ? SNAPSHOT_SIGNED : 0u) |
		    (store_in_main(e) ? SNAPSHOT_IN_MAIN : 0u),
	    1);
	put(w, store_hits(e), 1);
	put(w, e->rrl_labels, 1);
	put(w, age_s, 4);
	put(w, e->ttl_s, 4);
	put(w, e->stale_s, 4);
	put(w, p->n, 1);
	for (unsigned int id = 0; id < STORE_FORMS; id++) {
		const struct store_form *f = store_form_of(e, id);
		put(w, span_of(p, f), 1);
		put(w, f->n, 2);
		for (size_t i = 0; i < 3; i++)
			put(w, f->count[i], 2);
	}
	for (size_t i = 0; i < p->n; i++) {
		put(w, p->span[i].n, 2);
		put_octets(w, e->octets + p->span[i].at, p->span[i].n);
	}
}

int snapshot_add(struct snapshot_writer *w, uint32_t zone,
		 const struct store_entry *e, uint32_t age_s)
{
	struct parts p;

	p.n = pack_spans(e, p.span);
	p.octets = 0;
	for (size_t i = 0; i < p.n; i++)
		p.octets += 2u + p.span[i].n;
	if (!has_room(w, ENTRY_FIXED + STORE_FORMS * FORM_OCTETS + p.octets))
		return -ENOBUFS;
	size_t at = record_begin(w, SNAPSHOT_ENTRY);
	entry_put(w, zone, e, age_s, &p);
	record_end(w, at);
	w->entries++;
	return 0;
}

static int block_write(struct snapshot_writer *w, bool last)
{
	size_t n = w->used;

	put_at(w, SNAPSHOT_SUM, n - HEAD, 4);
	put_at(w, SNAPSHOT_SUM + 4, w->records, 4);
	put_at(w, SNAPSHOT_SUM + 8, w->sequence, 4);
	put_at(w, SNAPSHOT_SUM + 12, last, 4);
	put_at(w, 0,
	       XXH3_64bits_withSeed(w->block + SNAPSHOT_SUM, n - SNAPSHOT_SUM,
				    w->seed),
	       8);
	int rc = w->write(w->arg, w->block, n);
	if (rc != 0)
		return rc;
	w->used = HEAD;
	w->records = 0;
	w->sequence++;
	return 0;
}

int snapshot_flush(struct snapshot_writer *w)
{
	return w->records > 0 ? block_write(w, false) : 0;
}

int snapshot_end(struct snapshot_writer *w)
{
	int rc = snapshot_flush(w);

	if (rc != 0)
		return rc;
	size_t at = record_begin(w, SNAPSHOT_TOTAL);
	put(w, w->entries, 8);
	record_end(w, at);
	return block_write(w, true);
}
