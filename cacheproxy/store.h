/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * store - the cache of answers: one writer, any number of readers, no lock.
 *
 * Readers (named's workers) are inside rcu_enter()/rcu_leave() while they
 * look at an entry, or hold a reference.  All other functions are for the one
 * writer thread (the engine).  Entries are immutable once put, but for the
 * fields marked _Atomic.  An entry removed is only retired: it is freed after
 * a grace period, by whoever takes store_retired().
 *
 * Size: the limit counts entries with their keys and headers, the table (a
 * pointer for every 512 octets of the first limit) and the census of zones; not
 * what is retired and waits for its grace period.  Eviction is S3-FIFO (Yang et
 * al., SOSP 2023) without the ghost queue: new entries pass a small queue, and
 * only those asked again while there reach the main queue (negative answers and
 * failures: those asked again twice), so that a flood of once-asked names
 * cannot push out what is popular.  An entry put in place of another keeps its
 * place and its popularity.
 *
 * Hash: 48 bits of XXH3 over zone and name choose the bucket; the type is
 * folded into the 16 bits above.  So all types of a name share a chain, where
 * a purge finds them.  A name may have at most STORE_TYPES_MAX of them there:
 * one more pushes out that asked for least (of equals the oldest), so that
 * asking one name for 65,535 types makes no long chain, nor pushes out the
 * types that clients do ask for.
 *
 * Pure but for malloc and liburcu: time is an argument, in seconds of any
 * monotonic clock that never runs backwards.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cacheproxy/census.h"
#include "cacheproxy/wire.h"

#define STORE_TYPES_MAX 32u	 /* entries of one name */
#define STORE_EXTRA_MAX 1044480u /* octets of one entry: 1 MiB less a page */

/* Which form of an answer a client gets; see store_form_of(). */
enum store_form_id {
	STORE_DNSSEC = 1,  /* DO: with signatures and proofs */
	STORE_NOAUTH = 2,  /* without optional authority */
	STORE_NOEXTRA = 4, /* without optional additional; implies NOAUTH */
	STORE_FORMS = 8,
};

/*
 * One rendering: a slice of a message that lies in the entry's octets.  Right
 * before each message lie its rotatable sets, 'n_turns' of them, and before
 * these the offsets of its TTLs, last record first; see store_form_ttls() and
 * store_form_turns().
 */
struct store_form {
	unsigned int wire	 : 24; /* offset in octets, even */
	unsigned int n_turns	 : 3;  /* of the whole message */
	unsigned int fixed_order : 1;  /* see wire_map */
	unsigned int spare	 : 4;  /* 0 */
	uint16_t n;		       /* octets to send */
	uint16_t count[3];	       /* for the header */
};

/*
 * Offsets of the TTLs of 'f', whose octets begin at 'octets' (8-aligned); '*n':
 * how many, in falling order.
 */
static inline const uint16_t *
store_form_ttls(const uint8_t *octets, const struct store_form *f, size_t *n)
{
	*n = (size_t)f->count[0] + f->count[1] + f->count[2];
	return (const uint16_t *)(const void
					  *)(octets + f->wire -
					     f->n_turns *
						     sizeof(struct wire_turn)) -
	       *n;
}

/*
 * The 'n_turns' rotatable sets of the message that 'f' is a slice of: those
 * with an offset below f->n are in it, whole.
 */
static inline const struct wire_turn *
store_form_turns(const uint8_t *octets, const struct store_form *f)
{
	return (const struct wire_turn *)(const void *)(octets + f->wire) -
	       f->n_turns;
}

enum store_kind {
	STORE_POSITIVE, /* answer section or referral */
	STORE_NODATA,
	STORE_NXDOMAIN,
	STORE_REFERRAL,
	STORE_FAILURE, /* no octets: the origins did not answer (RFC 9520) */
};

/* The question an entry answers.  Zeroed before it is filled. */
struct store_key {
	uint64_t zone; /* cache identity of the zone and its origins */
	uint16_t qtype;
	uint8_t n;	   /* octets of name */
	uint8_t name[255]; /* lower-case wire form */
};

/* The order of members saves padding: there may be many millions of these. */
struct store_entry {
	/* the store's own */
	struct store_entry *_Atomic next; /* in the bucket */
	uint64_t hash;
	/* filled by store_entry_new() */
	uint64_t zone;
	/* for the query path's own use */
	_Atomic uint64_t noted;
	_Atomic uint64_t steered; /* see plugin/edit.h */
	/* the store's own */
	struct store_entry *fore, *back; /* in its queue; fore alone: retired */
	_Atomic uint32_t refs;
	/* filled by the maker */
	uint32_t stored_s;	  /* when the origin said it */
	uint32_t ttl_s;		  /* fresh while now - stored_s < ttl_s */
	uint32_t stale_s;	  /* may be served stale so much longer */
	_Atomic uint32_t retry_s; /* stale: do not ask the origin before */
	uint32_t forms;		  /* four bits a form; see store_form_of() */
	/* filled by store_entry_new() */
	uint16_t qtype;
	uint16_t name_at;	/* see store_name() */
	uint16_t size_units;	/* see store_bytes() */
	_Atomic uint16_t turns; /* counts for cyclic order */
	uint8_t name_n;
	/* filled by the maker */
	uint8_t rrl_labels; /* labels of the question name, counted from the
			       root with it, that response rate limiting
			       counts on: the zone's for NXDOMAIN, the cut's
			       for a referral, else all */
	uint8_t kind;	    /* enum store_kind */
	uint8_t rcode;	    /* of the answer, 0..15 */
	bool aa	       : 1;
	bool is_signed : 1; /* the origin's answer had signatures */
	/* the store's own */
	_Atomic uint8_t hits; /* 0..3: asked since it was queued */
	_Atomic bool in_main;
	/* distinct forms, then TTL offsets and messages: see pack.h */
	_Alignas(8) uint8_t octets[];
};

/* The question's name, lower-case wire form, e->name_n octets. */
static inline const uint8_t *store_name(const struct store_entry *e)
{
	return e->octets + e->name_at;
}

/* Octets of memory that it takes, malloc's header included. */
static inline size_t store_bytes(const struct store_entry *e)
{
	return (size_t)e->size_units * 16;
}

/* Form 'id' (bits of enum store_form_id) of an entry that is no failure. */
static inline const struct store_form *
store_form_of(const struct store_entry *e, unsigned int id)
{
	return (const struct store_form *)(const void *)e->octets +
	       (e->forms >> 4 * id & 0xf);
}

struct store;

/*
 * Makes a store of at most 'limit_bytes' (1 MiB..1 TiB); 'seed' keys its hash
 * (random, secret).  Returns 0 or -EINVAL or -ENOMEM.
 */
int store_new(uint64_t limit_bytes, uint64_t seed, struct store **storep);

/* Frees everything; no reader may be left. NULL is fine. */
void store_free(struct store *store);

/*
 * Writer: changes the limit, and leaves the work to store_shrink().  The table
 * is not enlarged (chains get longer); it is halved until it takes at most 1/32
 * of a lower limit.  Returns 0; or -EINVAL for a limit out of range, changing
 * nothing.
 */
int store_limit_set(struct store *store, uint64_t limit_bytes);

/*
 * Writer: does 'n' pieces of what a lower limit wants, each a bucket of the
 * table that is given up or an entry that is evicted or spared.  While the
 * table gets smaller a reader may miss an entry that is there.  True: nothing
 * is left to do.
 */
bool store_shrink(struct store *store, size_t n);

/* Reader: true if the answer has been asked for at least twice since it, or
 * the one in whose place it was put, came. */
static inline bool store_popular(const struct store_entry *e)
{
	return atomic_load_explicit(&e->hits, memory_order_relaxed) >= 2;
}

/* Hash of a question, as every function here wants it. Any thread. */
uint64_t store_hash(const struct store *store, const struct store_key *key);

/*
 * Reader: the entry for 'key', fresh or not, or NULL.  Notes that it was
 * asked for.  Valid until rcu_leave(), or longer with store_ref().
 */
struct store_entry *store_find(struct store *store, const struct store_key *key,
			       uint64_t hash);

/* The same for those who are no clients: nothing is noted. */
struct store_entry *store_peek(struct store *store, const struct store_key *key,
			       uint64_t hash);

/* Seconds since it was stored; 0 if that is after the reader's 'now_s'. */
static inline uint32_t store_age_s(const struct store_entry *e, uint32_t now_s)
{
	uint32_t age_s = now_s - e->stored_s;

	return age_s <= INT32_MAX ? age_s : 0;
}

static inline bool store_fresh(const struct store_entry *e, uint32_t now_s)
{
	return store_age_s(e, now_s) < e->ttl_s;
}

static inline bool store_usable_stale(const struct store_entry *e,
				      uint32_t now_s)
{
	return store_age_s(e, now_s) < (uint64_t)e->ttl_s + e->stale_s;
}

/* Takes / drops a reference.  Any thread; the last drop frees. */
void store_ref(struct store_entry *e);
void store_unref(struct store_entry *e);

/*
 * Allocates an entry for 'key' with room for 'n' octets, all zero but the
 * name, which is at octets[name_at] (name_at + key->n <= n); one reference.
 * Returns NULL without memory, or for more than STORE_EXTRA_MAX.  Fill the
 * maker's fields and the octets, leaving the name, then put it, or unref it.
 * Any thread.  Most makers want pack_entry() of pack.h.
 */
struct store_entry *store_entry_new(const struct store_key *key, uint64_t hash,
				    size_t name_at, size_t n);

/*
 * Writer: publishes 'e' (taking a reference of its own) in place of an older
 * one for the same question (readers find the old or the new, never none), and
 * evicts while the store is over its limit: also 'e' itself if it alone is too
 * big.  If the limit fell, only a little more than came goes: the rest is for
 * store_shrink().  An entry is put once.
 */
void store_put(struct store *store, struct store_entry *e);

/*
 * Writer: puts back an entry that was saved, with the popularity that it has
 * in 'hits' (0..3) and 'in_main', unless there is one for the question: that
 * is newer.
 */
void store_restore(struct store *store, struct store_entry *e);

/* Writer: withdraws the answer(s) to one name (all types) of 'zone'. Returns
 * how many. */
size_t store_purge_name(struct store *store, uint64_t zone, const uint8_t *name,
			size_t n);

/* Writer: withdraws the answer to one question; returns how many (0, 1). */
size_t store_purge_type(struct store *store, const struct store_key *key);

/* Writer: all of a name and everything below it; walks the store at once. */
size_t store_purge_below(struct store *store, uint64_t zone,
			 const uint8_t *name, size_t n);

/* Writer: the same for everything of 'zone'. */
size_t store_purge_zone(struct store *store, uint64_t zone);

/* How far a walk of the whole store has come; zero it to begin. */
struct store_walk {
	bool begun;
	size_t left;	  /* buckets, from the lowest; chains only move down */
	size_t withdrawn; /* result */
};

/* True if the walk shall withdraw 'e'; must not call the store. */
typedef bool (*store_match)(void *arg, const struct store_entry *e);

/*
 * Writer: goes on with a walk for 'n_buckets' buckets (a few entries each) and
 * withdraws what matches.  Returns true when every entry that was there when
 * the walk began has been looked at; what was put meanwhile may be, too.
 */
bool store_walk(struct store *store, struct store_walk *walk, size_t n_buckets,
		store_match match, void *arg);

/*
 * Writer: looks at the next 'n_buckets' buckets and withdraws what is neither
 * fresh nor usable stale.  Call now and then; returns how many went.
 */
size_t store_sweep(struct store *store, size_t n_buckets, uint32_t now_s);

/*
 * Writer: hands over the list of entries withdrawn since the last call (NULL:
 * none).  After a grace period, pass it to store_retired_free(), any thread,
 * which frees 'n' of them and returns the rest.
 */
struct store_entry *store_retired(struct store *store);
struct store_entry *store_retired_free(struct store_entry *list, size_t n);

/*
 * Reader: the entries of bucket 'i' (below store_buckets()), one after the
 * other; NULL: no more.  While store_shrink() halves the table a reader may
 * meet an entry twice, or not at all.
 */
size_t store_buckets(const struct store *store);
const struct store_entry *store_bucket(const struct store *store, size_t i);
const struct store_entry *store_bucket_next(const struct store_entry *e);

/* How popular it is, as store_restore() wants it. Any thread. */
unsigned int store_hits(const struct store_entry *e);
bool store_in_main(const struct store_entry *e);

struct store_stats {
	uint64_t entries, bytes, limit_bytes, buckets;
	uint64_t put, replaced, evicted, swept, purged; /* since start */
};

/* Any thread; each figure is true, though not all of one instant. */
void store_stats_read(const struct store *store, struct store_stats *stats);

/*
 * Writer, without a lock: what is stored under the identity 'zone' at this
 * moment, stale and failures included.  A purge of a zone that gives it a new
 * identity leaves the figures with the old one, which goes when it is swept.
 */
struct census_sum store_zone(const struct store *store, uint64_t zone);
