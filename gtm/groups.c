/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/groups.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/config.h"
#include "gtm/groups_int.h"

#define BUCKETS_MIN 1024u
#define CHAIN_MAX   64u /* rows looked at in one bucket */
#define EVICT_TRIES 32u /* rows looked at for one to go */
#define STRIDE	    UINT64_C(2654435761)
#define USED_MS	    600000u /* what "used" counts in */
#define MINUTE_MS   60000u
#define MINUTES	    GTM_CELL_MINUTES
#define FAR	    0xffffu
#define NEAR_MAX    0xfffeu
#define SHORT_V4    16u /* lengths from this on are noted by prefix */
#define SHORT_V6    32u

static inline uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}

/* -- life ------------------------------------------------------------------
 */

/* Room that costs nothing until it is used, zeroed. */
static void *reserve(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static size_t rows_size(const struct gtm_groups *g)
{
	return (size_t)g->max * g->row_size;
}

static size_t buckets_size(const struct gtm_groups *g)
{
	return ((size_t)g->mask + 1) * sizeof(*g->bucket);
}

struct gtm_groups *gtm_groups_new(uint32_t groups, uint32_t columns)
{
	struct gtm_groups *g = calloc(1, sizeof(*g));
	uint32_t buckets = BUCKETS_MIN;

	if (g == NULL)
		return NULL;
	while (buckets < groups)
		buckets *= 2;
	g->refs = 1;
	g->max = groups;
	g->columns = columns;
	g->row_size =
		offsetof(struct row, cell) + columns * sizeof(_Atomic uint32_t);
	g->row_size = (g->row_size + 7) / 8 * 8;
	g->mask = buckets - 1;
	g->rows = reserve(rows_size(g));
	g->bucket = reserve(buckets_size(g));
	g->pop = calloc(columns, sizeof(*g->pop));
	if (g->rows != NULL && g->bucket != NULL && g->pop != NULL)
		return g;
	gtm_groups_drop(g);
	return NULL;
}

void gtm_groups_hold(struct gtm_groups *g)
{
	atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
}

void gtm_groups_drop(struct gtm_groups *g)
{
	if (g == NULL ||
	    atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (g->rows != NULL)
		(void)munmap(g->rows, rows_size(g));
	if (g->bucket != NULL)
		(void)munmap(g->bucket, buckets_size(g));
	for (uint32_t i = 0; g->pop != NULL && i < g->named; i++)
		free(g->pop[i]);
	free(g->pop);
	free(g);
}

static uint32_t column_of(const struct gtm_groups *g, const char *pop)
{
	for (uint32_t i = 0; i < g->named; i++)
		if (strcmp(g->pop[i], pop) == 0)
			return i;
	return CONFIG_NONE;
}

uint32_t gtm_groups_column(struct gtm_groups *g, const char *pop)
{
	uint32_t found = column_of(g, pop);

	if (found != CONFIG_NONE)
		return found;
	if (g->named == g->columns)
		return CONFIG_NONE;
	g->pop[g->named] = strdup(pop);
	return g->pop[g->named] != NULL ? g->named++ : CONFIG_NONE;
}

uint32_t gtm_groups_count(const struct gtm_groups *g)
{
	return atomic_load_explicit(&g->n, memory_order_relaxed);
}

size_t gtm_groups_bytes(const struct gtm_groups *g)
{
	return sizeof(*g) + buckets_size(g) +
	       (size_t)gtm_groups_count(g) * g->row_size;
}

/* -- prefixes --------------------------------------------------------------
 */

/* A prefix as two words, its bits first, and what it is. */
struct key {
	uint64_t high, low;
	uint16_t what; /* length, and 256 for IPv6 */
};

/* All of the client's address. */
static inline struct key key_of(const struct gtm_client *client)
{
	uint64_t half[2];
	uint32_t v4;

	if (!client->v6) {
		memcpy(&v4, client->address, sizeof(v4));
		return (struct key){ (uint64_t)be32toh(v4) << 32, 0,
				     client->bits };
	}
	memcpy(half, client->address, sizeof(half));
	return (struct key){ be64toh(half[0]), be64toh(half[1]),
			     (uint16_t)(client->bits | GROUPS_V6) };
}

/* Its first 'bits'. */
static inline struct key key_cut(const struct key *from, unsigned int bits)
{
	struct key key = { from->high, from->low,
			   (uint16_t)(bits | (from->what & GROUPS_V6)) };

	if (bits <= 64) {
		key.low = 0;
		key.high &= bits == 0 ? 0 : UINT64_MAX << (64 - bits);
	} else if (bits < 128) {
		key.low &= UINT64_MAX << (128 - bits);
	}
	return key;
}

static inline uint32_t bucket_of(const struct gtm_groups *g,
				 const struct key *key)
{
	return (uint32_t)mix(mix(key->high + key->what) ^ key->low) & g->mask;
}

static inline bool is_row_of(const struct row *row, const struct key *key)
{
	return groups_load64(&row->high) == key->high &&
	       groups_load64(&row->low) == key->low &&
	       atomic_load_explicit(&row->what, memory_order_relaxed) ==
		       key->what;
}

/* -- lengths in use --------------------------------------------------------
 */

/* Where the lengths of prefixes like this one are noted. */
static inline struct lengths *lengths_of(struct gtm_groups *g,
					 const struct key *key)
{
	if ((key->what & GROUPS_V6) == 0)
		return &g->v4[key->high >> 48];
	return &g->v6[mix(key->high >> 32) % GROUPS_V6_LENGTHS];
}

static void note_length(struct gtm_groups *g, const struct key *key)
{
	bool v6 = (key->what & GROUPS_V6) != 0;
	unsigned int bits = key->what & 0xff;
	struct lengths *at = lengths_of(g, key);

	if (bits < (v6 ? SHORT_V6 : SHORT_V4))
		at = v6 ? &g->short_v6 : &g->short_v4;
	/* 0..128: the last one, that of a whole IPv6 address, beside 127 */
	if (bits == 128)
		atomic_store_explicit(&g->has_128, true, memory_order_relaxed);
	else
		atomic_fetch_or_explicit(&at->bits[bits / 64],
					 UINT64_C(1) << bits % 64,
					 memory_order_release);
}

/* -- finding ---------------------------------------------------------------
 */

/* The row of just that prefix, or GTM_NO_GROUP; its generation is even. */
static inline uint32_t find(const struct gtm_groups *g, const struct key *key,
			    uint32_t *generation)
{
	uint32_t next = atomic_load_explicit(&g->bucket[bucket_of(g, key)],
					     memory_order_acquire);

	for (unsigned int i = 0; next != 0 && i < CHAIN_MAX; i++) {
		const struct row *row = groups_row(g, next - 1);
		*generation = atomic_load_explicit(&row->generation,
						   memory_order_acquire);
		if (is_row_of(row, key) && *generation % 2 == 0 &&
		    *generation == atomic_load_explicit(&row->generation,
							memory_order_acquire))
			return next - 1;
		next = atomic_load_explicit(&row->next, memory_order_acquire);
	}
	return GTM_NO_GROUP;
}

static void note_used(struct row *row, uint64_t now_ms)
{
	uint16_t now = (uint16_t)(now_ms / USED_MS);

	if (atomic_load_explicit(&row->used, memory_order_relaxed) != now)
		atomic_store_explicit(&row->used, now, memory_order_relaxed);
}

/*
 * Tries the lengths of a set that are no longer than 'most', the longest
 * first; true if one of them is a group's.
 */
static bool find_longest(struct gtm_groups *g, const struct key *key,
			 const struct lengths *lengths, unsigned int most,
			 struct gtm_group *found)
{
	for (unsigned int i = most / 64 + 1; i-- > 0;) {
		uint64_t bits = atomic_load_explicit(&lengths->bits[i],
						     memory_order_acquire);
		if (most / 64 == i && most % 64 != 63)
			bits &= (UINT64_C(1) << (most % 64 + 1)) - 1;
		for (; bits != 0; bits &= ~(UINT64_C(1) << (most % 64))) {
			most = i * 64 + 63 -
			       (unsigned int)__builtin_clzll(bits);
			struct key cut = key_cut(key, most);
			if (most > found->scope)
				found->scope = (uint8_t)most;
			found->row = find(g, &cut, &found->generation);
			if (found->row != GTM_NO_GROUP)
				return true;
		}
	}
	return false;
}

void gtm_groups_find(struct gtm_groups *g, const struct gtm_client *client,
		     uint64_t now_ms, struct gtm_group *found)
{
	const struct key key = key_of(client);
	const unsigned int brief = client->v6 ? SHORT_V6 : SHORT_V4;
	unsigned int most = client->bits;

	*found = (struct gtm_group){ .row = GTM_NO_GROUP };
	if (gtm_groups_count(g) == 0)
		return;
	/* Which lengths are in use depends on so many bits at least. */
	found->scope = (uint8_t)(most < brief ? most : brief);
	if (most == 128) {
		most = 127;
		if (atomic_load_explicit(&g->has_128, memory_order_relaxed)) {
			found->scope = 128;
			found->row = find(g, &key, &found->generation);
		}
	}
	bool done = found->row != GTM_NO_GROUP;
	if (!done && most >= brief)
		done = find_longest(g, &key, lengths_of(g, &key), most, found);
	if (!done)
		done = find_longest(g, &key,
				    client->v6 ? &g->short_v6 : &g->short_v4,
				    most < brief ? most : brief - 1, found);
	if (done)
		note_used(groups_row(g, found->row), now_ms);
}

/* Minutes from a cell's to now, in one turn of their clock. */
static uint32_t minutes_since(uint32_t minute, uint64_t now_ms)
{
	uint32_t now = (uint32_t)(now_ms / MINUTE_MS % MINUTES) + 1;

	return now >= minute ? now - minute : now + MINUTES - minute;
}

const _Atomic uint32_t *gtm_groups_cells(const struct gtm_groups *g,
					 const struct gtm_group *group)
{
	return group->row == GTM_NO_GROUP ? NULL
					  : groups_row(g, group->row)->cell;
}

struct gtm_cell_time gtm_cell_time(uint64_t now_ms, uint64_t max_age_ms)
{
	if (max_age_ms > GTM_LATENCY_AGE_MS)
		max_age_ms = GTM_LATENCY_AGE_MS;
	/* Of a minute, as of its end. */
	return (struct gtm_cell_time){
		(uint32_t)(now_ms / MINUTE_MS % MINUTES) + 1,
		(uint32_t)(max_age_ms / MINUTE_MS) + 1
	};
}

bool gtm_groups_same(const struct gtm_groups *g, const struct gtm_group *group)
{
	return atomic_load_explicit(&groups_row(g, group->row)->generation,
				    memory_order_relaxed) == group->generation;
}

float gtm_groups_ms(const struct gtm_groups *g, const struct gtm_group *group,
		    uint32_t column, uint64_t now_ms, uint64_t max_age_ms)
{
	const _Atomic uint32_t *cells = gtm_groups_cells(g, group);

	if (cells == NULL || column >= g->columns)
		return -1.0f;
	/* A value of the next group of this row was stored after that. */
	float ms = gtm_cell_ms(
		atomic_load_explicit(&cells[column], memory_order_acquire),
		gtm_cell_time(now_ms, max_age_ms));
	return gtm_groups_same(g, group) ? ms : -1.0f;
}

/* -- writing ---------------------------------------------------------------
 */

static void unlink_row(struct gtm_groups *g, uint32_t at)
{
	struct row *row = groups_row(g, at);
	const struct key key = { groups_load64(&row->high),
				 groups_load64(&row->low), row->what };
	_Atomic uint32_t *link = &g->bucket[bucket_of(g, &key)];

	while (*link != 0 && *link != at + 1)
		link = &groups_row(g, *link - 1)->next;
	if (*link == at + 1)
		atomic_store_explicit(link, row->next, memory_order_release);
}

/* Gives the row to 'key', with nothing known. */
static void row_give(struct gtm_groups *g, uint32_t at, const struct key *key,
		     uint64_t now_ms)
{
	struct row *row = groups_row(g, at);
	uint32_t was = row->generation;

	/* Odd while it is changed; then each store is after this. */
	atomic_store_explicit(&row->generation, was + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&row->high, key->high, memory_order_relaxed);
	atomic_store_explicit(&row->low, key->low, memory_order_relaxed);
	atomic_store_explicit(&row->what, key->what, memory_order_relaxed);
	for (uint32_t i = 0; i < g->columns; i++)
		atomic_store_explicit(&row->cell[i], 0, memory_order_relaxed);
	atomic_store_explicit(&row->used, (uint16_t)(now_ms / USED_MS),
			      memory_order_relaxed);
	atomic_store_explicit(&row->generation, was + 2, memory_order_release);

	_Atomic uint32_t *bucket = &g->bucket[bucket_of(g, key)];
	atomic_store_explicit(&row->next, *bucket, memory_order_relaxed);
	note_length(g, key);
	atomic_store_explicit(bucket, at + 1, memory_order_release);
}

/* A row for a new group: an unused one, or one that is taken from another. */
static uint32_t row_take(struct gtm_groups *g, uint64_t now_ms)
{
	uint16_t now = (uint16_t)(now_ms / USED_MS);
	uint32_t oldest = 0;
	uint16_t most = 0;

	if (g->n < g->max)
		return atomic_fetch_add_explicit(&g->n, 1,
						 memory_order_relaxed);
	for (unsigned int i = 0; i < EVICT_TRIES; i++) {
		/* from all over: those that came together are asked for so */
		g->hand = (uint32_t)((g->hand + STRIDE) % g->max);
		uint16_t idle = (uint16_t)(now - groups_row(g, g->hand)->used);
		if (i == 0 || idle > most) {
			oldest = g->hand;
			most = idle;
		}
	}
	unlink_row(g, oldest);
	g->evicted++;
	return oldest;
}

/* The row of just that prefix, made if it is not there. */
static struct row *row_for(struct gtm_groups *g, const struct key *key,
			   uint64_t now_ms)
{
	uint32_t generation;
	uint32_t at = find(g, key, &generation);

	if (at == GTM_NO_GROUP) {
		at = row_take(g, now_ms);
		row_give(g, at, key, now_ms);
	}
	return groups_row(g, at);
}

static uint32_t cell_of(float ms, uint64_t when_ms)
{
	uint32_t minute = (uint32_t)(when_ms / MINUTE_MS % MINUTES) + 1;
	uint32_t tenths = FAR;

	if (ms >= 0.0f)
		tenths = ms < GTM_LATENCY_MAX_MS ? (uint32_t)(ms * 10.0f + 0.5f)
						 : NEAR_MAX;
	return tenths << 16 | minute;
}

bool gtm_groups_put(struct gtm_groups *g, const struct gtm_client *prefix,
		    uint32_t column, float ms, uint64_t when_ms,
		    uint64_t now_ms)
{
	const struct key whole = key_of(prefix);
	const struct key key = key_cut(&whole, prefix->bits);

	if (column >= g->columns || when_ms > now_ms ||
	    now_ms - when_ms > GTM_LATENCY_AGE_MS)
		return false;
	struct row *row = row_for(g, &key, now_ms);
	uint32_t old = row->cell[column];
	uint32_t cell = cell_of(ms, when_ms);
	/* Of one minute the last one holds. */
	if (old != 0 && minutes_since(old & 0xffff, now_ms) <
				minutes_since(cell & 0xffff, now_ms))
		return false;
	atomic_store_explicit(&row->cell[column], cell, memory_order_release);
	return true;
}

void gtm_groups_sweep(struct gtm_groups *g, uint32_t rows, uint64_t now_ms)
{
	uint32_t n = gtm_groups_count(g);

	for (uint32_t i = 0; i < rows && n > 0; i++) {
		g->swept = g->swept + 1 < n ? g->swept + 1 : 0;
		struct row *row = groups_row(g, g->swept);
		for (uint32_t k = 0; k < g->columns; k++) {
			uint32_t cell = row->cell[k];
			if (cell != 0 &&
			    (uint64_t)minutes_since(cell & 0xffff, now_ms) *
					    MINUTE_MS >
				    GTM_LATENCY_AGE_MS)
				atomic_store_explicit(&row->cell[k], 0,
						      memory_order_relaxed);
		}
	}
}

void gtm_groups_copy(struct gtm_groups *g, struct gtm_groups *from)
{
	uint32_t n = gtm_groups_count(from);

	for (uint32_t at = 0; at < n; at++) {
		const struct row *row = groups_row(from, at);
		uint32_t generation = atomic_load_explicit(
			&row->generation, memory_order_acquire);
		const struct key key = { groups_load64(&row->high),
					 groups_load64(&row->low), row->what };
		if (generation % 2 != 0 || generation != row->generation ||
		    gtm_groups_count(g) == g->max)
			continue;
		struct row *to = row_for(g, &key, 0);
		to->used = row->used;
		for (uint32_t k = 0; k < from->named; k++) {
			uint32_t column = column_of(g, from->pop[k]);
			if (column != CONFIG_NONE)
				to->cell[column] = row->cell[k];
		}
	}
}

/* -- clients of which nothing is known -------------------------------------
 */

void gtm_groups_want(struct gtm_groups *g, const struct gtm_client *client)
{
	const struct key whole = key_of(client);
	unsigned int bits = client->v6 ? GTM_WANTED_V6 : GTM_WANTED_V4;

	if (client->bits < bits)
		bits = client->bits;
	/* At most 56 bits of prefix; then family and length in the rest. */
	uint64_t wanted = key_cut(&whole, bits).high | bits |
			  (client->v6 ? 0x80u : 0x40u);
	_Atomic uint64_t *slot = &g->wanted[mix(wanted) % GROUPS_WANTED];
	if (groups_load64(slot) == 0)
		atomic_store_explicit(slot, wanted, memory_order_relaxed);
}

size_t gtm_groups_wanted(struct gtm_groups *g, struct gtm_client *prefixes,
			 size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < GROUPS_WANTED && n < max; i++) {
		g->taken = (g->taken + 1) % GROUPS_WANTED;
		uint64_t w = atomic_exchange_explicit(&g->wanted[g->taken], 0,
						      memory_order_relaxed);
		if (w == 0)
			continue;
		struct gtm_client *p = &prefixes[n++];
		*p = (struct gtm_client){ .v6 = (w & 0x80) != 0,
					  .bits = (uint8_t)(w & 0x3f) };
		for (unsigned int k = 0; k < 7; k++)
			p->address[k] = (uint8_t)(w >> (56 - 8 * k));
	}
	return n;
}
