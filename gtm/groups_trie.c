/* SPDX-License-Identifier: MPL-2.0 */
/* The index of 'groups': see groups_int.h for its shape. */
#include "gtm/groups_int.h"

#include <assert.h>

#define KEY_BITS 128u

static inline uint32_t get(const _Atomic uint32_t *ref)
{
	return atomic_load_explicit(ref, memory_order_acquire);
}

/* Of a node that no reader can reach yet. */
static void fill(struct gtm_groups *g, uint32_t node, uint32_t zero,
		 uint32_t one)
{
	atomic_store_explicit(&g->node[node].child[0], zero,
			      memory_order_relaxed);
	atomic_store_explicit(&g->node[node].child[1], one,
			      memory_order_relaxed);
}

/* Leading bits that two addresses share: 0..128. */
static inline unsigned int shared_bits(const struct group_key *a,
				       const struct group_key *b)
{
	uint64_t hi = a->hi ^ b->hi;
	uint64_t lo = a->lo ^ b->lo;

	if (hi != 0)
		return (unsigned int)__builtin_clzll(hi);
	return lo != 0 ? 64 + (unsigned int)__builtin_clzll(lo) : 128;
}

/* Bit 0..127; anything of 128. */
static inline unsigned int key_bit(const struct group_key *key,
				   unsigned int bit)
{
	uint64_t word = bit < 64 ? key->hi : key->lo;

	return (unsigned int)(word >> (~bit & 63)) & 1;
}

static inline uint64_t be32(const uint8_t *p)
{
	return (uint64_t)p[0] << 24 | (uint64_t)p[1] << 16 |
	       (uint64_t)p[2] << 8 | p[3];
}

static inline struct group_key key_of(const struct gtm_client *client,
				      unsigned int bits)
{
	const uint8_t *p = client->address;
	struct group_key key = { be32(p) << 32, 0 };

	if (client->v6) {
		key.hi |= be32(p + 4);
		key.lo = be32(p + 8) << 32 | be32(p + 12);
	}
	if (bits < 64)
		key.hi &= ~(UINT64_MAX >> bits);
	if (bits <= 64)
		key.lo = 0;
	else if (bits < 128)
		key.lo &= ~(UINT64_MAX >> (bits - 64));
	return key;
}

struct group_key group_key_of(const struct gtm_client *client,
			      unsigned int bits)
{
	return key_of(client, bits);
}

/* -- walking --------------------------------------------------------------- */

/* Where a walk stands, and the groups that it has met. */
struct walk {
	uint32_t ref; /* REF_NONE: there is no way on */
	uint32_t row; /* of the longest group before those met, or INDEX_NONE */
	unsigned int scope; /* if no group was met, and there is no way on */
	size_t n;
	uint32_t met[KEY_BITS + 2]; /* references; their bits rise */
};

/*
 * Goes on while nodes fork at 'limit' or before, by the bits of 'word'.  This
 * loop is what a look-up costs: it compares nothing and has no branch but its
 * own.
 */
static inline void walk_word(const struct gtm_groups *g, struct walk *w,
			     uint64_t word, unsigned int limit)
{
	const struct group_node *node = g->node;
	uint32_t rows = g->rows;
	uint32_t ref = w->ref;
	size_t n = w->n;

	while (ref_bit(ref) <= limit) {
		size_t i = ref_index(ref);
		w->met[n] = ref;
		n += i < rows;
		ref = get(node[i].child + (word << (ref_bit(ref) & 63) >> 63));
	}
	w->ref = ref;
	w->n = n;
}

/* To the end, or to a node that forks after 'limit'. */
static inline void walk_on(const struct gtm_groups *g, struct walk *w,
			   const struct group_key *key, unsigned int limit)
{
	walk_word(g, w, key->hi, limit < 63 ? limit : 63);
	if (ref_bit(w->ref) <= limit)
		walk_word(g, w, key->lo, limit);
}

/* Takes back the groups that do not share their length with the key. */
static inline void walk_back(struct walk *w, unsigned int shared)
{
	while (w->n > 0 && ref_bit(w->met[w->n - 1]) > shared)
		w->n--;
	if (w->n > 0)
		w->row = ref_index(w->met[w->n - 1]);
}

/*
 * Compares with the last group that was met: if it holds the key, so do those
 * before.  If it does not, the walk is over, as nothing below does.
 */
static inline void walk_check(const struct gtm_groups *g, struct walk *w,
			      const struct group_key *key)
{
	if (w->n == 0)
		return;
	uint32_t last = w->met[w->n - 1];
	/* of what is found as a rule: three that are not in the CPU's cache */
	__builtin_prefetch((const void *)group_cells(g, ref_index(last)));
	__builtin_prefetch(&g->meta[ref_index(last)]);
	unsigned int n = shared_bits(key, &g->key[ref_index(last)]);
	if (n < ref_bit(last)) {
		w->ref = REF_NONE;
		w->scope = n + 1;
		walk_back(w, n);
		return;
	}
	w->row = ref_index(last);
	if (w->ref != REF_NONE)
		return;
	const struct group_node *node = &g->node[ref_index(last)];
	w->scope = ref_bit(last);
	if (get(&node->child[key_bit(key, w->scope) ^ 1]) != REF_NONE)
		w->scope++;
}

/* Any group at or below a node. */
static uint32_t any_group(const struct gtm_groups *g, uint32_t ref)
{
	while (ref_index(ref) >= g->rows)
		ref = get(&g->node[ref_index(ref)].child[0]);
	return ref_index(ref);
}

static inline void walk_begin(const struct gtm_groups *g, struct walk *w,
			      bool v6, const struct group_key *key,
			      unsigned int bits)
{
	const struct group_trie *trie = &g->trie[v6];

	w->n = 0;
	if (bits < g->front_bits) {
		w->ref = get(&trie->root);
		w->row = INDEX_NONE;
		w->scope = 0;
		return;
	}
	uint64_t slot = atomic_load_explicit(
		&trie->front[key->hi >> (64 - g->front_bits)],
		memory_order_acquire);
	w->ref = (uint32_t)(slot >> 32);
	w->row = (uint32_t)(slot >> 8) & INDEX_NONE;
	w->scope = (uint8_t)slot;
}

static inline void mark_used(struct group_meta *meta, uint64_t now_ms)
{
	uint16_t now = (uint16_t)(now_ms / GTM_USED_MS);

	if (atomic_load_explicit(&meta->used, memory_order_relaxed) != now)
		atomic_store_explicit(&meta->used, now, memory_order_relaxed);
}

struct gtm_row_cells gtm_groups_find(const struct gtm_groups *g,
				     const struct gtm_client *client,
				     uint64_t now_ms)
{
	unsigned int most = client->v6 ? KEY_BITS : 32;
	unsigned int bits = client->bits < most ? client->bits : most;
	struct group_key key = key_of(client, bits);
	struct walk w;

	walk_begin(g, &w, client->v6, &key, bits);
	walk_on(g, &w, &key, bits);
	if (w.ref == REF_NONE) {
		walk_check(g, &w, &key);
	} else { /* what is below is longer than the client */
		uint32_t below = any_group(g, w.ref);
		unsigned int n = shared_bits(&key, &g->key[below]);
		walk_back(&w, n);
		w.scope = n + 1;
	}
	if (w.scope > bits)
		w.scope = bits;
	if (w.row == INDEX_NONE)
		return (struct gtm_row_cells){ .scope = (uint8_t)w.scope };
	mark_used(&g->meta[w.row], now_ms);
	return (struct gtm_row_cells){ .cells = group_cells(g, w.row),
				       .columns = g->width,
				       .bits = g->meta[w.row].bits,
				       .scope = (uint8_t)w.scope };
}

uint32_t group_exact(const struct gtm_groups *g, bool v6,
		     const struct group_key *key, unsigned int bits)
{
	struct walk w;

	walk_begin(g, &w, v6, key, bits);
	while (ref_bit(w.ref) < bits)
		w.ref = get(&g->node[ref_index(w.ref)]
				     .child[key_bit(key, ref_bit(w.ref))]);
	if (ref_bit(w.ref) != bits || ref_index(w.ref) >= g->rows)
		return INDEX_NONE;
	if (shared_bits(key, &g->key[ref_index(w.ref)]) < bits)
		return INDEX_NONE;
	return ref_index(w.ref);
}

/* -- the front ------------------------------------------------------------- */

/* The next number whose bits are all in 'bits'; 0 after the last. */
static uint32_t next_of(uint32_t number, uint32_t bits)
{
	return ((number | ~bits) + 1) & bits;
}

/*
 * Fills the slots that are 'value' in the bits of 'forks', to all of which the
 * walk 'w' leads.  They differ in what they share with groups that it met.
 */
static void front_spread(struct gtm_groups *g, struct group_trie *trie,
			 struct walk *w, uint32_t forks, uint32_t value)
{
	uint32_t others = ~forks & ((UINT32_C(1) << g->front_bits) - 1);
	uint32_t ref = w->ref;
	size_t n = w->n;
	uint32_t i = 0;

	do {
		uint32_t slot = i | value;
		struct group_key key = { (uint64_t)slot << (64 - g->front_bits),
					 0 };
		w->ref = ref;
		w->row = INDEX_NONE;
		w->scope = 0;
		w->n = n;
		walk_check(g, w, &key);
		atomic_store_explicit(&trie->front[slot],
				      (uint64_t)w->ref << 32 |
					      (uint64_t)w->row << 8 | w->scope,
				      memory_order_release);
		i = next_of(i, others);
	} while (i != 0);
	w->n = n;
}

/* A walk to slots, which can be taken back to a fork. */
struct tour {
	struct walk walk;
	uint32_t slot;	/* where it leads to, in the bits of 'forks' */
	uint32_t forks; /* those at which it forked */
	unsigned int depth;
	uint32_t step[FRONT_BITS_MAX]; /* references to the forks */
};

static uint32_t slot_bit(const struct gtm_groups *g, uint32_t ref)
{
	return UINT32_C(1) << (g->front_bits - 1u - ref_bit(ref));
}

static void tour_on(const struct gtm_groups *g, struct tour *t)
{
	struct walk *w = &t->walk;

	while (ref_bit(w->ref) < g->front_bits) {
		uint32_t i = ref_index(w->ref);
		uint32_t bit = slot_bit(g, w->ref);
		t->step[t->depth++] = w->ref;
		t->forks |= bit;
		if (i < g->rows)
			w->met[w->n++] = w->ref;
		w->ref = get(&g->node[i].child[(t->slot & bit) != 0]);
	}
}

/*
 * Back to the last fork at which it turned to 0 and may turn to 1, which is at
 * none of 'mask', and turns.  False: there is none.
 */
static bool tour_back(const struct gtm_groups *g, struct tour *t, uint32_t mask)
{
	for (; t->depth > 0; t->depth--) {
		uint32_t ref = t->step[t->depth - 1];
		uint32_t bit = slot_bit(g, ref);
		if ((t->slot & bit) == 0 && (mask & bit) == 0) {
			t->slot |= bit;
			t->walk.ref = get(&g->node[ref_index(ref)].child[1]);
			return true;
		}
		t->slot &= ~bit;
		t->forks &= ~bit;
		if (ref_index(ref) < g->rows)
			t->walk.n--;
	}
	return false;
}

/*
 * Fills the slots that are 'value' in the bits of 'mask', where all walks to
 * them fork.
 */
static void front_fill(struct gtm_groups *g, struct group_trie *trie,
		       uint32_t mask, uint32_t value)
{
	struct tour t;

	t.walk.ref = get(&trie->root);
	t.walk.n = 0;
	t.slot = value;
	t.forks = 0;
	t.depth = 0;
	do {
		tour_on(g, &t);
		front_spread(g, trie, &t.walk, t.forks, t.slot);
	} while (tour_back(g, &t, mask));
}

void group_tries_init(struct gtm_groups *g)
{
	for (unsigned int i = 0; i < 2; i++) {
		atomic_init(&g->trie[i].root, REF_NONE);
		front_fill(g, &g->trie[i], 0, 0);
	}
}

/*
 * Where a reference stands: at 'bit' of the front's bits, if that is not 0.
 * The slots of the front that lead to its node are those that are 'value' in
 * the bits of 'mask'; none if it is not 'early'.
 */
struct link {
	_Atomic uint32_t *ref;
	uint32_t mask, value;
	uint32_t bit, turn; /* at the node itself: not in the two above */
	bool early;
};

static struct link link_root(struct group_trie *trie)
{
	return (struct link){ .ref = &trie->root, .early = true };
}

/* To the next one on the way of 'key'. */
static void link_follow(struct gtm_groups *g, struct link *link,
			const struct group_key *key)
{
	uint32_t ref = get(link->ref);
	unsigned int turn = key_bit(key, ref_bit(ref));

	link->early = ref_bit(ref) < g->front_bits;
	if (link->early) {
		link->mask |= link->bit;
		link->value |= link->turn;
		link->bit = UINT32_C(1) << (g->front_bits - 1u - ref_bit(ref));
		link->turn = turn != 0 ? link->bit : 0;
	}
	link->ref = &g->node[ref_index(ref)].child[turn];
}

/*
 * Readers see the old or the new.  Slots that led past the old reference may
 * hold it: all are made anew before the node can be retired.  So are those that
 * turn the other way: whether there is a child here is part of their scope.
 */
static void link_set(struct gtm_groups *g, struct group_trie *trie,
		     const struct link *link, uint32_t ref)
{
	atomic_store_explicit(link->ref, ref, memory_order_release);
	if (link->early)
		front_fill(g, trie, link->mask, link->value);
}

/* -- changing -------------------------------------------------------------- */

/*
 * Finds a group that shares as many bits with the new one as any does, and
 * returns how many they are, at most the length of either.
 */
static unsigned int nearest(const struct gtm_groups *g, uint32_t ref,
			    const struct group_key *key, unsigned int bits,
			    uint32_t *nearp)
{
	uint32_t last = REF_NONE;
	unsigned int most = bits;

	while (ref_bit(ref) < bits) {
		last = ref;
		ref = get(&g->node[ref_index(ref)]
				   .child[key_bit(key, ref_bit(ref))]);
	}
	if (ref == REF_NONE) { /* so the last one was a group */
		*nearp = ref_index(last);
		most = ref_bit(last);
	} else {
		*nearp = any_group(g, ref);
	}
	unsigned int n = shared_bits(key, &g->key[*nearp]);
	return n < most ? n : most;
}

void group_insert(struct gtm_groups *g, uint32_t row)
{
	const struct group_key *key = &g->key[row];
	unsigned int bits = g->meta[row].bits;
	struct group_trie *trie =
		&g->trie[(g->meta[row].state & GROUP_V6) != 0];
	struct link link = link_root(trie);
	uint32_t self = ref_of(bits, row);
	uint32_t near;

	fill(g, row, REF_NONE, REF_NONE);
	if (get(link.ref) == REF_NONE) {
		link_set(g, trie, &link, self);
		return;
	}
	unsigned int n = nearest(g, get(link.ref), key, bits, &near);
	while (ref_bit(get(link.ref)) < n)
		link_follow(g, &link, key);

	uint32_t there = get(link.ref);
	if (ref_bit(there) == n && n < bits) { /* a group without such child */
		link_follow(g, &link, key);
		assert(get(link.ref) == REF_NONE);
		link_set(g, trie, &link, self);
		return;
	}
	if (ref_bit(there) == n) { /* glue: the group takes its place */
		uint32_t glue = ref_index(there);
		assert(glue >= g->rows);
		fill(g, row, get(&g->node[glue].child[0]),
		     get(&g->node[glue].child[1]));
		link_set(g, trie, &link, self);
		group_retire(g, glue);
		return;
	}
	if (n == bits) { /* it holds what is there */
		bool one = key_bit(&g->key[near], n) != 0;
		fill(g, row, one ? REF_NONE : there, one ? there : REF_NONE);
		link_set(g, trie, &link, self);
		return;
	}
	uint32_t glue = group_glue_take(g);
	bool one = key_bit(key, n) != 0;
	fill(g, glue, one ? there : self, one ? self : there);
	link_set(g, trie, &link, ref_of(n, glue));
}

void group_extract(struct gtm_groups *g, uint32_t row)
{
	const struct group_key *key = &g->key[row];
	struct group_trie *trie =
		&g->trie[(g->meta[row].state & GROUP_V6) != 0];
	struct link link = link_root(trie);
	struct link up = link;

	while (ref_index(get(link.ref)) != row) {
		up = link;
		link_follow(g, &link, key);
	}
	uint32_t zero = get(&g->node[row].child[0]);
	uint32_t one = get(&g->node[row].child[1]);
	uint32_t parent = ref_index(get(up.ref));
	if (zero != REF_NONE && one != REF_NONE) { /* a fork all the same */
		uint32_t glue = group_glue_take(g);
		fill(g, glue, zero, one);
		link_set(g, trie, &link, ref_of(g->meta[row].bits, glue));
	} else if (zero != REF_NONE || one != REF_NONE) {
		link_set(g, trie, &link, zero != REF_NONE ? zero : one);
	} else if (parent < g->rows) { /* a group, or itself at the root */
		link_set(g, trie, &link, REF_NONE);
	} else { /* glue goes with its last but one child */
		_Atomic uint32_t *child = g->node[parent].child;
		link_set(g, trie, &up,
			 get(link.ref == &child[0] ? &child[1] : &child[0]));
		group_retire(g, parent);
	}
	group_retire(g, row);
}
