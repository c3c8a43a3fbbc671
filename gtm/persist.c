/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/persist.h"

#include <stdatomic.h>
#include <stdlib.h>

#define WAYS	    4u /* of 16 octets: a cache line */
#define ENTRIES_MIN 64u
#define ENTRIES_MAX (UINT32_C(1) << 28)
#define LINE	    64u

/*
 * 'who': the upper half of the key, and the server; 0: free.  'when': when it
 * was made, and last used.
 */
struct entry {
	_Atomic uint64_t who, when;
};

struct gtm_persist {
	size_t mask; /* of sets */
	_Atomic size_t taken;
	struct entry *entry;
};

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

struct gtm_persist *gtm_persist_new(size_t entries)
{
	struct gtm_persist *p = calloc(1, sizeof(*p));
	size_t n = ENTRIES_MIN;

	while (n < entries && n < ENTRIES_MAX)
		n *= 2;
	if (p == NULL)
		return NULL;
	p->mask = n / WAYS - 1;
	atomic_init(&p->taken, 0);
	p->entry = aligned_alloc(LINE, n * sizeof(*p->entry));
	if (p->entry == NULL) {
		free(p);
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		atomic_init(&p->entry[i].who, 0);
		atomic_init(&p->entry[i].when, 0);
	}
	return p;
}

void gtm_persist_free(struct gtm_persist *p)
{
	if (p == NULL)
		return;
	free(p->entry);
	free(p);
}

size_t gtm_persist_count(const struct gtm_persist *p)
{
	return atomic_load_explicit(&p->taken, memory_order_relaxed);
}

size_t gtm_persist_bytes(const struct gtm_persist *p)
{
	return (p->mask + 1) * WAYS * sizeof(struct entry);
}

static struct entry *set_of(const struct gtm_persist *p, uint64_t key)
{
	return &p->entry[(key >> 32 & p->mask) * WAYS];
}

/* The entry of the key, or NULL. */
static struct entry *find(const struct gtm_persist *p, uint64_t key)
{
	struct entry *set = set_of(p, key);

	for (unsigned int i = 0; i < WAYS; i++) {
		uint64_t who = load(&set[i].who);
		if (who != 0 && who >> 32 == key >> 32)
			return &set[i];
	}
	return NULL;
}

uint32_t gtm_persist_find(const struct gtm_persist *p, uint64_t key,
			  const struct gtm_persist_terms *terms, uint32_t now_s)
{
	const struct entry *e = find(p, key);

	if (e == NULL)
		return 0;
	uint64_t when = load(&e->when);
	/* Another thread's clock may be a second ahead: signed. */
	int64_t age_s = (int64_t)now_s - (int64_t)(when >> 32);
	int64_t idle_s = (int64_t)now_s - (int64_t)(when & UINT32_MAX);
	if (idle_s > (int64_t)terms->access_s ||
	    (terms->refresh_s != UINT32_MAX &&
	     age_s > (int64_t)terms->refresh_s))
		return 0;
	return (uint32_t)load(&e->who);
}

/* Gives the place to another client. */
static void take(struct gtm_persist *p, struct entry *e, uint64_t who,
		 uint64_t when)
{
	store(&e->when, when);
	if (atomic_exchange_explicit(&e->who, who, memory_order_relaxed) == 0)
		atomic_fetch_add_explicit(&p->taken, 1, memory_order_relaxed);
}

/* A free place, or that which was not used for longest. */
static struct entry *place(const struct gtm_persist *p, uint64_t key)
{
	struct entry *set = set_of(p, key);
	struct entry *oldest = &set[0];

	for (unsigned int i = 0; i < WAYS; i++) {
		if (load(&set[i].who) == 0)
			return &set[i];
		if ((uint32_t)load(&set[i].when) <
		    (uint32_t)load(&oldest->when))
			oldest = &set[i];
	}
	return oldest;
}

void gtm_persist_put(struct gtm_persist *p, uint64_t key, uint32_t server,
		     bool kept, uint32_t now_s)
{
	struct entry *e = find(p, key);
	uint64_t who = key >> 32 << 32 | server;

	if (kept && e != NULL && load(&e->who) == who) {
		uint64_t when = load(&e->when);
		if ((uint32_t)when != now_s) /* at most once a second */
			store(&e->when, when >> 32 << 32 | now_s);
		return;
	}
	if (e == NULL)
		e = place(p, key);
	take(p, e, who, (uint64_t)now_s << 32 | now_s);
}

size_t gtm_persist_save(const struct gtm_persist *p, size_t *at,
			struct gtm_persist_row *rows, size_t max,
			uint32_t now_s)
{
	size_t all = (p->mask + 1) * WAYS;
	size_t n = 0;

	for (; *at < all && n < max; (*at)++) {
		const struct entry *e = &p->entry[*at];
		uint64_t who = load(&e->who);
		uint64_t when = load(&e->when);
		uint32_t made_s = (uint32_t)(when >> 32);
		if (who == 0)
			continue;
		rows[n++] = (struct gtm_persist_row){
			.tag = (uint32_t)(who >> 32),
			.server = (uint32_t)who,
			.age_s = now_s > made_s ? now_s - made_s : 0,
			.idle_s = now_s > (uint32_t)when
					  ? now_s - (uint32_t)when
					  : 0,
		};
	}
	return n;
}

void gtm_persist_restore(struct gtm_persist *p,
			 const struct gtm_persist_row *row, uint32_t now_s)
{
	uint64_t key = (uint64_t)row->tag << 32;

	if (row->server == 0 || row->age_s >= now_s || row->idle_s >= now_s ||
	    find(p, key) != NULL)
		return;
	take(p, place(p, key), key | row->server,
	     (uint64_t)(now_s - row->age_s) << 32 | (now_s - row->idle_s));
}
