/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define MALLOC_HEADER	 8u /* octets before a block of malloc */
#define LIMIT_MIN	 (UINT64_C(1) << 20)
#define LIMIT_MAX	 (UINT64_C(1) << 40)
#define BUCKET_OCTETS	 512u /* of the limit, for each bucket */
#define BUCKETS_MIN	 1024u
#define TABLE_SHARE	 32u /* the table may take 1/32 of a new limit */
#define SMALL_SHARE	 10u /* the small queue aims at 1/10 of the limit */
#define HITS_MAX	 3u
#define SECOND_LOOKS_MAX 64u	/* entries of main spared in one eviction */
#define PUT_LOOKS_MAX	 64u	/* entries a put may look at beyond its need */
#define GIVE_BACK_OCTETS 65536u /* of the table, at a time */
#define TYPE_SHIFT	 48	/* of a hash: the type lies in the top bits */

/* First in, first out; 'fore' leads to the front, 'back' to the end. */
struct queue {
	struct store_entry *front, *end;
	uint64_t bytes;
};

struct store {
	/* for readers */
	_Atomic size_t mask; /* a power of two, less one */
	_Atomic size_t top;  /* the last bucket; mask, but while halving */
	struct store_entry *_Atomic *bucket;
	uint64_t seed;
	size_t mapped_bytes;
	/* the writer's; it changes only when an identity comes or goes */
	struct census census;
	/* the writer's, on lines of their own; _Atomic for statistics */
	_Alignas(64) struct queue small;
	struct queue main;
	struct store_entry *retired;
	size_t cursor; /* of store_sweep() */
	size_t goal; /* buckets that there shall be, at most those there are */
	_Atomic uint64_t entries, bytes, limit_bytes;
	_Atomic uint64_t put, replaced, evicted, swept, purged;
};

_Static_assert(sizeof(struct store_entry) == 96, "no padding");
_Static_assert(sizeof(struct store_form) == 12, "no padding");

/* A counter that one thread writes. */
static void count(_Atomic uint64_t *counter, uint64_t more)
{
	uint64_t was = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, was + more, memory_order_relaxed);
}

static uint64_t counted(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static struct store_entry *follow(struct store_entry *_Atomic const *link)
{
	return atomic_load_explicit(link, memory_order_acquire);
}

static void point(struct store_entry *_Atomic *link, struct store_entry *e)
{
	atomic_store_explicit(link, e, memory_order_release);
}

static size_t mask_of(const struct store *store)
{
	return atomic_load_explicit(&store->mask, memory_order_acquire);
}

static size_t top_of(const struct store *store)
{
	return atomic_load_explicit(&store->top, memory_order_acquire);
}

/*
 * Which bucket 'i' is, or has been hung on.  For the writer that is one step at
 * most; a reader may have a top and a mask of different moments.
 */
static size_t index_of(const struct store *store, uint64_t i)
{
	size_t top = top_of(store);
	size_t mask = mask_of(store);

	for (i &= mask; i > top; i &= mask)
		mask >>= 1;
	return i;
}

static struct store_entry *_Atomic *bucket_of(const struct store *store,
					      uint64_t hash)
{
	return &store->bucket[index_of(store, hash)];
}

static uint8_t hits_of(const struct store_entry *e)
{
	return atomic_load_explicit(&e->hits, memory_order_relaxed);
}

static void hits_set(struct store_entry *e, unsigned int hits)
{
	atomic_store_explicit(&e->hits, (uint8_t)hits, memory_order_relaxed);
}

static bool main_is(const struct store_entry *e)
{
	return atomic_load_explicit(&e->in_main, memory_order_relaxed);
}

static void main_set(struct store_entry *e, bool in_main)
{
	atomic_store_explicit(&e->in_main, in_main, memory_order_relaxed);
}

static void queue_add(struct queue *q, struct store_entry *e)
{
	e->fore = q->end;
	e->back = NULL;
	if (q->end != NULL)
		q->end->back = e;
	else
		q->front = e;
	q->end = e;
	q->bytes += store_bytes(e);
}

static void queue_remove(struct queue *q, struct store_entry *e)
{
	if (e->fore != NULL)
		e->fore->back = e->back;
	else
		q->front = e->back;
	if (e->back != NULL)
		e->back->fore = e->fore;
	else
		q->end = e->fore;
	q->bytes -= store_bytes(e);
}

/* Gives 'e' the place of 'old'. */
static void queue_replace(struct queue *q, struct store_entry *old,
			  struct store_entry *e)
{
	e->fore = old->fore;
	e->back = old->back;
	if (e->fore != NULL)
		e->fore->back = e;
	else
		q->front = e;
	if (e->back != NULL)
		e->back->fore = e;
	else
		q->end = e;
	q->bytes += (uint64_t)store_bytes(e) - store_bytes(old);
}

static struct queue *queue_of(struct store *store, const struct store_entry *e)
{
	return main_is(e) ? &store->main : &store->small;
}

int store_new(uint64_t limit_bytes, uint64_t seed, struct store **storep)
{
	if (limit_bytes < LIMIT_MIN || limit_bytes > LIMIT_MAX)
		return -EINVAL;

	size_t buckets = BUCKETS_MIN;
	while (buckets <= limit_bytes / BUCKET_OCTETS / 2)
		buckets *= 2;

	struct store *store =
		aligned_alloc(_Alignof(struct store), sizeof(*store));
	if (store == NULL)
		return -ENOMEM;
	memset(store, 0, sizeof(*store));
	store->mapped_bytes = buckets * sizeof(*store->bucket);
	void *table = mmap(NULL, store->mapped_bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (table == MAP_FAILED) {
		free(store);
		return -ENOMEM;
	}
	store->bucket = table;
	store->seed = seed;
	atomic_init(&store->mask, buckets - 1);
	atomic_init(&store->top, buckets - 1);
	store->goal = buckets;
	atomic_init(&store->bytes, store->mapped_bytes);
	atomic_init(&store->limit_bytes, limit_bytes);
	*storep = store;
	return 0;
}

static void queue_free(struct queue *q)
{
	for (struct store_entry *e = q->front; e != NULL;) {
		struct store_entry *back = e->back;
		store_unref(e);
		e = back;
	}
}

void store_free(struct store *store)
{
	if (store == NULL)
		return;
	queue_free(&store->small);
	queue_free(&store->main);
	(void)store_retired_free(store->retired, SIZE_MAX);
	census_fini(&store->census);
	munmap(store->bucket, store->mapped_bytes);
	free(store);
}

/* Returns memory of the table from 'top' on; a failure costs only memory. */
static void table_give_back(struct store *store, size_t top)
{
	size_t at = top * sizeof(*store->bucket);

	if (at % GIVE_BACK_OCTETS == 0)
		(void)madvise((char *)store->bucket + at, GIVE_BACK_OCTETS,
			      MADV_DONTNEED);
}

/*
 * Halves the table by one bucket: the top one's chain is hung on the end of the
 * one that it will be, so that readers with the old top still find their
 * entries by the old head.  What is retired from now on, such a reader may see
 * until it leaves its RCU section; the grace period waits for it.  When the old
 * head goes to zero, a reader that is still at the old top finds nothing, once.
 */
static void table_step(struct store *store)
{
	size_t top = top_of(store);
	size_t half = (mask_of(store) + 1) / 2;
	struct store_entry *upper = follow(&store->bucket[top]);
	struct store_entry *_Atomic *end = &store->bucket[top - half];

	while (upper != NULL && follow(end) != NULL)
		end = &follow(end)->next;
	if (upper != NULL)
		point(end, upper);
	atomic_store_explicit(&store->top, top - 1, memory_order_release);
	if (top == half)
		atomic_store_explicit(&store->mask, half - 1,
				      memory_order_release);
	count(&store->bytes, -(uint64_t)sizeof(*store->bucket));
	table_give_back(store, top);
}

/* Buckets that are still to go. */
static size_t buckets_over(const struct store *store)
{
	return top_of(store) + 1 - store->goal;
}

int store_limit_set(struct store *store, uint64_t limit_bytes)
{
	if (limit_bytes < LIMIT_MIN || limit_bytes > LIMIT_MAX)
		return -EINVAL;

	size_t buckets = mask_of(store) + 1;
	if (top_of(store) < mask_of(store)) /* that halving goes on */
		buckets /= 2;
	while (buckets > BUCKETS_MIN &&
	       buckets * sizeof(*store->bucket) > limit_bytes / TABLE_SHARE)
		buckets /= 2;
	store->goal = buckets;
	atomic_store_explicit(&store->limit_bytes, limit_bytes,
			      memory_order_relaxed);
	return 0;
}

/*
 * The type only goes into the top bits, which choose no bucket: all types of
 * a name share one chain.
 */
static uint64_t hash_of(const struct store *store, uint64_t zone,
			const uint8_t *name, size_t n)
{
	return XXH3_64bits_withSeed(name, n,
				    store->seed + zone * XXH_PRIME64_1);
}

uint64_t store_hash(const struct store *store, const struct store_key *key)
{
	return hash_of(store, key->zone, key->name, key->n) ^
	       (uint64_t)key->qtype << TYPE_SHIFT;
}

static bool same_name(const struct store_entry *e, uint64_t zone,
		      const uint8_t *name, size_t n)
{
	return e->zone == zone && e->name_n == n &&
	       memcmp(store_name(e), name, n) == 0;
}

static bool same_hash_name(uint64_t a, uint64_t b)
{
	return (a ^ b) << (64 - TYPE_SHIFT) == 0;
}

struct store_entry *store_peek(struct store *store, const struct store_key *key,
			       uint64_t hash)
{
	struct store_entry *e = follow(bucket_of(store, hash));

	while (e != NULL && !(e->hash == hash && e->qtype == key->qtype &&
			      same_name(e, key->zone, key->name, key->n)))
		e = follow(&e->next);
	return e;
}

struct store_entry *store_find(struct store *store, const struct store_key *key,
			       uint64_t hash)
{
	struct store_entry *e = store_peek(store, key, hash);

	if (e == NULL)
		return NULL;
	/* Lost updates do no harm, so no read-modify-write. */
	uint8_t hits = hits_of(e);
	if (hits < HITS_MAX)
		hits_set(e, hits + 1u);
	return e;
}

void store_ref(struct store_entry *e)
{
	atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
}

void store_unref(struct store_entry *e)
{
	if (atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1)
		free(e);
}

static size_t round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

struct store_entry *store_entry_new(const struct store_key *key, uint64_t hash,
				    size_t name_at, size_t n)
{
	if (n > STORE_EXTRA_MAX || name_at > UINT16_MAX || name_at + key->n > n)
		return NULL;

	size_t size_bytes =
		round_up(sizeof(struct store_entry) + n + MALLOC_HEADER, 16);
	struct store_entry *e = calloc(1, size_bytes - MALLOC_HEADER);
	if (e == NULL)
		return NULL;
	e->hash = hash;
	e->qtype = key->qtype;
	e->zone = key->zone;
	e->name_n = key->n;
	e->name_at = (uint16_t)name_at;
	e->size_units = (uint16_t)(size_bytes / 16);
	atomic_init(&e->refs, 1);
	memcpy(e->octets + name_at, key->name, key->n);
	return e;
}

static bool is_negative(const struct store_entry *e)
{
	return e->kind == STORE_NODATA || e->kind == STORE_NXDOMAIN;
}

/* Counts an entry in for its zone, before one that it replaces goes. */
static void census_in(struct store *store, const struct store_entry *e)
{
	size_t before = census_bytes(&store->census);

	census_add(&store->census, e->zone, store_bytes(e), is_negative(e));
	count(&store->bytes, census_bytes(&store->census) - before);
}

static void census_out(struct store *store, const struct store_entry *e)
{
	size_t before = census_bytes(&store->census);

	census_take(&store->census, e->zone, store_bytes(e), is_negative(e));
	count(&store->bytes, census_bytes(&store->census) - before);
}

/* Of an entry no longer in its chain, or replaced there. */
static void retire(struct store *store, struct store_entry *e)
{
	census_out(store, e);
	e->back = NULL;
	e->fore = store->retired;
	store->retired = e;
	count(&store->entries, (uint64_t)-1);
	count(&store->bytes, -(uint64_t)store_bytes(e));
}

/* e->next is left as it is, for readers that stand at 'e'. */
static void withdraw(struct store *store, struct store_entry *e,
		     _Atomic uint64_t *why)
{
	struct store_entry *_Atomic *link = bucket_of(store, e->hash);

	while (follow(link) != e)
		link = &follow(link)->next;
	point(link, follow(&e->next));
	queue_remove(queue_of(store, e), e);
	retire(store, e);
	count(why, 1);
}

/* Once-asked goes; what was asked again moves to main. */
static void evict_small(struct store *store)
{
	struct store_entry *e = store->small.front;
	unsigned int wanted =
		e->kind == STORE_POSITIVE || e->kind == STORE_REFERRAL ? 1 : 2;

	if (hits_of(e) < wanted) {
		withdraw(store, e, &store->evicted);
		return;
	}
	queue_remove(&store->small, e);
	hits_set(e, 0);
	main_set(e, true);
	queue_add(&store->main, e);
}

/* Returns how many entries it looked at. */
static size_t evict_main(struct store *store)
{
	size_t looks = 1;

	for (; looks <= SECOND_LOOKS_MAX; looks++) {
		struct store_entry *e = store->main.front;
		uint8_t hits = hits_of(e);
		if (hits == 0)
			break;
		hits_set(e, hits - 1u);
		queue_remove(&store->main, e);
		queue_add(&store->main, e);
	}
	withdraw(store, store->main.front, &store->evicted);
	return looks;
}

/* What the table is about to lose does not count. */
static bool is_over(const struct store *store)
{
	uint64_t going = buckets_over(store) * sizeof(*store->bucket);

	return counted(&store->bytes) - going > counted(&store->limit_bytes) &&
	       counted(&store->entries) > 0;
}

/* The same. */
static size_t evict_one(struct store *store)
{
	if (store->small.bytes <= counted(&store->limit_bytes) / SMALL_SHARE &&
	    store->main.front != NULL)
		return evict_main(store);
	evict_small(store);
	return 1;
}

/*
 * After an entry of 'size_bytes' was put: what is over goes, but after a fall
 * of the limit not all at once.  As much as came goes in any case, so that what
 * is over only gets less.
 */
static void evict(struct store *store, uint64_t size_bytes)
{
	uint64_t before = counted(&store->bytes) - size_bytes;
	size_t looks = 0;

	while (is_over(store) &&
	       (looks < PUT_LOOKS_MAX || counted(&store->bytes) > before))
		looks += evict_one(store);
}

bool store_shrink(struct store *store, size_t n)
{
	for (; n > 0 && (buckets_over(store) > 0 || is_over(store)); n--) {
		if (buckets_over(store) > 0)
			table_step(store);
		else
			(void)evict_one(store);
	}
	return buckets_over(store) == 0 && !is_over(store);
}

/* What a look along a chain found out. */
struct look {
	struct store_entry *_Atomic
		*old;		  /* where the entry for the question hangs */
	size_t n;		  /* entries of the same name */
	struct store_entry *weak; /* the least asked for of these, oldest */
};

static struct look look_along(struct store *store, const struct store_entry *e)
{
	struct look look = { .old = NULL };
	unsigned int least = UINT32_MAX;
	struct store_entry *_Atomic *link = bucket_of(store, e->hash);

	for (struct store_entry *at; (at = follow(link)) != NULL;
	     link = &at->next) {
		if (!same_hash_name(at->hash, e->hash) ||
		    !same_name(at, e->zone, store_name(e), e->name_n))
			continue;
		if (at->qtype == e->qtype)
			look.old = link;
		unsigned int rank =
			hits_of(at) + (main_is(at) ? HITS_MAX + 1 : 0);
		if (rank <= least) { /* older ones come later */
			least = rank;
			look.weak = at;
		}
		look.n++;
	}
	return look;
}

static void replace(struct store *store, struct store_entry *_Atomic *link,
		    struct store_entry *e)
{
	struct store_entry *old = follow(link);

	census_in(store, e);
	atomic_init(&e->next, follow(&old->next));
	hits_set(e, hits_of(old));
	main_set(e, main_is(old));
	point(link, e);
	queue_replace(queue_of(store, e), old, e);
	retire(store, old);
	count(&store->replaced, 1);
}

/* Hangs a new entry at the head of its chain. */
static void hang(struct store *store, struct store_entry *e)
{
	struct store_entry *_Atomic *link = bucket_of(store, e->hash);

	census_in(store, e);
	atomic_init(&e->next, follow(link));
	point(link, e);
	queue_add(queue_of(store, e), e);
}

static void counted_in(struct store *store, const struct store_entry *e)
{
	count(&store->entries, 1);
	count(&store->bytes, store_bytes(e));
	evict(store, store_bytes(e));
}

void store_put(struct store *store, struct store_entry *e)
{
	struct look look = look_along(store, e);

	store_ref(e);
	if (look.old != NULL) {
		replace(store, look.old, e);
	} else {
		if (look.n >= STORE_TYPES_MAX)
			withdraw(store, look.weak, &store->evicted);
		hang(store, e);
	}
	count(&store->put, 1);
	counted_in(store, e);
}

void store_restore(struct store *store, struct store_entry *e)
{
	struct look look = look_along(store, e);

	if (look.old != NULL || look.n >= STORE_TYPES_MAX)
		return;
	store_ref(e);
	hang(store, e);
	counted_in(store, e);
}

size_t store_purge_name(struct store *store, uint64_t zone, const uint8_t *name,
			size_t n)
{
	uint64_t hash = hash_of(store, zone, name, n);
	struct store_entry *e = follow(bucket_of(store, hash));
	size_t purged = 0;

	while (e != NULL) {
		struct store_entry *next = follow(&e->next);
		if (same_hash_name(e->hash, hash) &&
		    same_name(e, zone, name, n)) {
			withdraw(store, e, &store->purged);
			purged++;
		}
		e = next;
	}
	return purged;
}

size_t store_purge_type(struct store *store, const struct store_key *key)
{
	struct store_entry *e = store_peek(store, key, store_hash(store, key));

	if (e == NULL)
		return 0;
	withdraw(store, e, &store->purged);
	return 1;
}

bool store_walk(struct store *store, struct store_walk *walk, size_t n_buckets,
		store_match match, void *arg)
{
	size_t n = top_of(store) + 1;

	if (!walk->begun || walk->left > n)
		walk->left = n;
	walk->begun = true;
	for (; n_buckets > 0 && walk->left > 0; n_buckets--) {
		struct store_entry *e = follow(&store->bucket[--walk->left]);
		while (e != NULL) {
			struct store_entry *next = follow(&e->next);
			if (match(arg, e)) {
				withdraw(store, e, &store->purged);
				walk->withdrawn++;
			}
			e = next;
		}
	}
	return walk->left == 0;
}

/* What lies below a name of a zone; NULL: all of the zone. */
struct below {
	uint64_t zone;
	const uint8_t *name;
	size_t n;
};

static bool is_below(void *arg, const struct store_entry *e)
{
	const struct below *b = arg;

	return e->zone == b->zone &&
	       (b->name == NULL ||
		wire_below(store_name(e), e->name_n, b->name, b->n));
}

size_t store_purge_below(struct store *store, uint64_t zone,
			 const uint8_t *name, size_t n)
{
	struct below b = { zone, name, n };
	struct store_walk walk = { .left = 0 };

	while (!store_walk(store, &walk, SIZE_MAX, is_below, &b))
		;
	return walk.withdrawn;
}

size_t store_purge_zone(struct store *store, uint64_t zone)
{
	return store_purge_below(store, zone, NULL, 0);
}

size_t store_buckets(const struct store *store)
{
	return top_of(store) + 1;
}

const struct store_entry *store_bucket(const struct store *store, size_t i)
{
	return follow(&store->bucket[index_of(store, i)]);
}

const struct store_entry *store_bucket_next(const struct store_entry *e)
{
	return follow(&e->next);
}

unsigned int store_hits(const struct store_entry *e)
{
	return hits_of(e);
}

bool store_in_main(const struct store_entry *e)
{
	return main_is(e);
}

static size_t chain_sweep(struct store *store, struct store_entry *e,
			  uint32_t now_s)
{
	size_t swept = 0;

	while (e != NULL) {
		struct store_entry *next = follow(&e->next);
		if (!store_usable_stale(e, now_s)) {
			withdraw(store, e, &store->swept);
			swept++;
		}
		e = next;
	}
	return swept;
}

size_t store_sweep(struct store *store, size_t n_buckets, uint32_t now_s)
{
	size_t swept = 0;

	for (size_t i = 0; i < n_buckets; i++) {
		size_t at = index_of(store, store->cursor++);
		swept += chain_sweep(store, follow(&store->bucket[at]), now_s);
	}
	return swept;
}

struct store_entry *store_retired(struct store *store)
{
	struct store_entry *list = store->retired;

	store->retired = NULL;
	return list;
}

struct store_entry *store_retired_free(struct store_entry *list, size_t n)
{
	for (; n > 0 && list != NULL; n--) {
		struct store_entry *fore = list->fore;
		store_unref(list);
		list = fore;
	}
	return list;
}

void store_stats_read(const struct store *store, struct store_stats *stats)
{
	*stats = (struct store_stats){
		.entries = counted(&store->entries),
		.bytes = counted(&store->bytes),
		.limit_bytes = counted(&store->limit_bytes),
		.buckets = top_of(store) + 1,
		.put = counted(&store->put),
		.replaced = counted(&store->replaced),
		.evicted = counted(&store->evicted),
		.swept = counted(&store->swept),
		.purged = counted(&store->purged),
	};
}

struct census_sum store_zone(const struct store *store, uint64_t zone)
{
	return census_of(&store->census, zone);
}
