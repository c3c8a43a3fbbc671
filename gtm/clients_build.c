/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Makes a client map, in one pass over the addresses in ascending order.  All
 * sources and the rules' prefixes are read side by side; what they say together
 * changes at the ends of their blocks only.  The trie is filled from that
 * stream: a block that the stream says one thing of becomes a leaf, however
 * large it is; of any other a node is made, whose parts come next.
 *
 * An address has 128 bits here; IPv4 is the first 32 of them.
 */
#include "gtm/clients.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gtm/clients_int.h"

#define PACE_STEPS 64u /* runs between two calls of pace->step() */

struct address {
	uint64_t hi, lo;
};

/* A source's present block. */
struct cursor {
	const struct gtm_source *source;
	bool ends; /* there is none */
	struct address start, end;
	struct gtm_facts facts;
};

/* A prefix of a rule. */
struct ruled {
	struct address start, end;
	uint32_t rule;
};

struct keyed {
	uint32_t key, rule;
};

/* What the stream says of these addresses, 'end' included. */
struct run {
	struct address start, end;
	uint32_t place;
};

struct build {
	const struct config *config;
	const struct gtm_pace *pace;
	struct gtm_clients *map;
	size_t n_cursors;
	struct cursor cursors[CONFIG_GEO_MAX];
	/* rules, by what they find clients by */
	size_t n_ruled[2], n_countries, n_as;
	struct ruled *ruled[2]; /* longer ones behind shorter ones */
	uint32_t fallback[2];	/* of 0.0.0.0/0 and ::/0 */
	struct keyed *countries, *as;
	uint32_t continents[CONFIG_CONTINENTS];
	/* the family being read */
	bool v6, at_end;
	size_t at_ruled, depth;
	const struct ruled *inside[130]; /* those that the address is in */
	struct run run, next;		 /* next: read ahead, unless at_end */
	unsigned int steps;
	/* places by what they hold: indices, 0xffffffff is free */
	uint32_t *table;
	size_t table_size; /* a power of 2 */
	size_t places_max, words_max;
};

/* -- addresses ----------------------------------------------------------- */

static const struct address last = { UINT64_MAX, UINT64_MAX };

static int order(struct address a, struct address b)
{
	if (a.hi != b.hi)
		return a.hi < b.hi ? -1 : 1;
	return (a.lo > b.lo) - (a.lo < b.lo);
}

static struct address after(struct address a)
{
	a.lo++;
	a.hi += a.lo == 0;
	return a;
}

static struct address before(struct address a)
{
	a.hi -= a.lo == 0;
	a.lo--;
	return a;
}

/* The last that shares 'bits' with 'a'. */
static struct address end_of(struct address a, unsigned int bits)
{
	if (bits < 64) {
		a.hi |= UINT64_MAX >> bits;
		a.lo = UINT64_MAX;
	} else if (bits < 128) {
		a.lo |= UINT64_MAX >> (bits - 64);
	}
	return a;
}

/* The 'i'th block of those that 'bits' make out behind what 'a' has. */
static struct address part_of(struct address a, unsigned int bits, uint64_t i)
{
	if (bits <= 64)
		a.hi |= i << (64 - bits);
	else
		a.lo |= i << (128 - bits);
	return a;
}

/* -- rules --------------------------------------------------------------- */

static int ruled_compare(const void *va, const void *vb)
{
	const struct ruled *a = va, *b = vb;
	int by_start = order(a->start, b->start);

	return by_start != 0 ? by_start : order(b->end, a->end);
}

static int keyed_compare(const void *va, const void *vb)
{
	const struct keyed *a = va, *b = vb;

	return (a->key > b->key) - (a->key < b->key);
}

static uint64_t read_64(const uint8_t *p)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < 8; i++)
		n = n << 8 | p[i];
	return n;
}

static void prefix_take(struct build *b, const struct config_prefix *p,
			uint32_t rule)
{
	struct ruled *to = &b->ruled[p->v6][b->n_ruled[p->v6]];

	if (p->bits == 0) {
		b->fallback[p->v6] = rule;
		return;
	}
	to->start = (struct address){ read_64(p->address),
				      read_64(p->address + 8) };
	to->end = end_of(to->start, p->bits);
	to->rule = rule;
	b->n_ruled[p->v6]++;
}

static void rule_take(struct build *b, uint32_t rule)
{
	const struct config_clients *c = &b->config->clients[rule];

	for (size_t i = 0; i < c->n_prefixes; i++)
		prefix_take(b, &c->prefixes[i], rule);
	for (size_t i = 0; i < c->n_countries; i++)
		b->countries[b->n_countries++] =
			(struct keyed){ c->countries[i], rule };
	for (size_t i = 0; i < c->n_as; i++)
		b->as[b->n_as++] = (struct keyed){ c->as[i], rule };
	for (unsigned int i = 0; i < CONFIG_CONTINENTS; i++)
		if ((c->continents & (1u << i)) != 0)
			b->continents[i] = rule;
}

static int rules_take(struct build *b)
{
	const struct config *config = b->config;
	size_t prefixes = 1, countries = 1, as = 1;

	for (size_t i = 0; i < config->n_clients; i++) {
		prefixes += config->clients[i].n_prefixes;
		countries += config->clients[i].n_countries;
		as += config->clients[i].n_as;
	}
	for (size_t f = 0; f < 2; f++) {
		b->fallback[f] = CONFIG_NONE;
		b->ruled[f] = calloc(prefixes, sizeof(*b->ruled[f]));
	}
	for (size_t i = 0; i < CONFIG_CONTINENTS; i++)
		b->continents[i] = CONFIG_NONE;
	b->countries = calloc(countries, sizeof(*b->countries));
	b->as = calloc(as, sizeof(*b->as));
	if (b->ruled[0] == NULL || b->ruled[1] == NULL ||
	    b->countries == NULL || b->as == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_clients; i++)
		rule_take(b, (uint32_t)i);
	for (size_t f = 0; f < 2; f++)
		qsort(b->ruled[f], b->n_ruled[f], sizeof(*b->ruled[f]),
		      ruled_compare);
	qsort(b->countries, b->n_countries, sizeof(*b->countries),
	      keyed_compare);
	qsort(b->as, b->n_as, sizeof(*b->as), keyed_compare);
	return 0;
}

static uint32_t keyed_find(const struct keyed *all, size_t n, uint32_t key)
{
	const struct keyed want = { .key = key };
	const struct keyed *hit =
		n > 0 ? bsearch(&want, all, n, sizeof(*all), keyed_compare)
		      : NULL;

	return hit != NULL ? hit->rule : CONFIG_NONE;
}

/* The rule for who is in no prefix but that of all. */
static uint32_t rule_of(const struct build *b, const struct gtm_facts *f)
{
	uint32_t rule = CONFIG_NONE;

	if (f->as != 0)
		rule = keyed_find(b->as, b->n_as, f->as);
	if (rule == CONFIG_NONE && f->country != 0)
		rule = keyed_find(b->countries, b->n_countries, f->country);
	if (rule == CONFIG_NONE)
		rule = b->continents[f->continent];
	return rule != CONFIG_NONE ? rule : b->fallback[b->v6];
}

/* -- places -------------------------------------------------------------- */

/* All octets of a place count: none is padding. */
_Static_assert(sizeof(struct gtm_place) == 32, "holes in a place");

static size_t hash(const struct gtm_place *place)
{
	uint64_t words[4], h = 0;

	memcpy(words, place, sizeof(words));
	for (size_t i = 0; i < 4; i++) {
		h = (h ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	return (size_t)h;
}

/* Numbers that are the same have the same octets: none is computed here. */
static bool same(const struct gtm_place *a, const struct gtm_place *b)
{
	/* NOLINTNEXTLINE(bugprone-*,cert-exp42-c,cert-flp37-c) */
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Where the place is in the table, or would be. */
static size_t table_at(const struct build *b, const struct gtm_place *place)
{
	size_t at = hash(place) & (b->table_size - 1);

	while (b->table[at] != UINT32_MAX &&
	       !same(&b->map->places[b->table[at]], place))
		at = (at + 1) & (b->table_size - 1);
	return at;
}

/* Room for one more. */
static int places_room(struct build *b)
{
	struct gtm_clients *map = b->map;
	size_t max = b->places_max > 0 ? 2 * b->places_max : 256;

	if (map->n_places < b->places_max)
		return 0;
	if (max > PLACES_MAX)
		return -EFBIG;
	struct gtm_place *more = realloc(map->places, max * sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	map->places = more;
	b->places_max = max;
	free(b->table);
	b->table_size = 4 * max;
	b->table = malloc(b->table_size * sizeof(*b->table));
	if (b->table == NULL)
		return -ENOMEM;
	memset(b->table, 0xff, b->table_size * sizeof(*b->table));
	for (size_t i = 0; i < map->n_places; i++)
		b->table[table_at(b, &map->places[i])] = (uint32_t)i;
	return 0;
}

static int place_put(struct build *b, const struct gtm_place *place,
		     uint32_t *index)
{
	int rc = places_room(b);

	if (rc != 0)
		return rc;
	size_t at = table_at(b, place);
	if (b->table[at] == UINT32_MAX) {
		b->table[at] = (uint32_t)b->map->n_places;
		b->map->places[b->map->n_places++] = *place;
	}
	*index = b->table[at];
	return 0;
}

/* Takes over what is not known yet. */
static void merge(struct gtm_facts *to, const struct gtm_facts *from)
{
	if (to->country == 0)
		to->country = from->country;
	if (to->continent == CONFIG_NO_CONTINENT)
		to->continent = from->continent;
	if (to->as == 0)
		to->as = from->as;
	if (to->located || !from->located)
		return;
	to->located = true;
	to->latitude = from->latitude;
	to->longitude = from->longitude;
}

/* The place of who is found by 'facts' and by the prefix of 'rule'. */
static int place_of(struct build *b, struct gtm_facts *facts, uint32_t rule,
		    uint32_t *index)
{
	struct gtm_place made = { 0 };

	if (facts->continent == CONFIG_NO_CONTINENT && facts->country != 0)
		facts->continent = gtm_continent_of(facts->country);
	made.rule = rule != CONFIG_NONE ? rule : rule_of(b, facts);
	made.as = facts->as;
	made.country = facts->country;
	made.continent = facts->continent;
	made.located = facts->located;
	made.latitude = facts->latitude;
	made.longitude = facts->longitude;
	if (made.rule != CONFIG_NONE && b->config->clients[made.rule].located) {
		const struct config_clients *c = &b->config->clients[made.rule];
		made.located = true;
		made.latitude = (float)c->latitude;
		made.longitude = (float)c->longitude;
	}
	return place_put(b, &made, index); /* see vectors_fill() */
}

/* Places are told apart without their vectors, which cost more. */
static void vectors_fill(struct gtm_clients *map)
{
	for (size_t i = 0; i < map->n_places; i++)
		if (map->places[i].located)
			map->places[i].at =
				gtm_vector_of((double)map->places[i].latitude,
					      (double)map->places[i].longitude);
}

/* -- the stream ---------------------------------------------------------- */

/* Moves to the source's next block. */
static int cursor_next(const struct build *b, struct cursor *c)
{
	struct gtm_span span;
	struct address was = c->end;
	bool first = order(c->start, c->end) > 0;
	int rc = c->source->next(c->source->arg, &span);

	if (rc <= 0) {
		c->ends = true;
		return rc;
	}
	c->start = (struct address){ span.hi, span.lo };
	c->end = end_of(c->start, span.bits);
	c->facts = span.facts;
	if (span.bits > (b->v6 ? 128u : 32u) ||
	    (!first && order(c->start, was) <= 0) ||
	    (span.bits < 128 &&
	     order(end_of((struct address){ 0, 0 }, span.bits),
		   (struct address){ c->start.hi ^ c->end.hi,
				     c->start.lo ^ c->end.lo }) != 0))
		return -EBADMSG;
	return 0;
}

/* Puts all sources and prefixes at 'at'. */
static int stream_seek(struct build *b, struct address at)
{
	const struct ruled *ruled = b->ruled[b->v6];

	for (size_t i = 0; i < b->n_cursors; i++) {
		struct cursor *c = &b->cursors[i];
		while (!c->ends && order(c->end, at) < 0) {
			int rc = cursor_next(b, c);
			if (rc != 0)
				return rc;
		}
	}
	while (b->depth > 0 && order(b->inside[b->depth - 1]->end, at) < 0)
		b->depth--;
	for (; b->at_ruled < b->n_ruled[b->v6] &&
	       order(ruled[b->at_ruled].start, at) <= 0;
	     b->at_ruled++)
		b->inside[b->depth++] = &ruled[b->at_ruled];
	return 0;
}

static void nearer(struct address *end, struct address other)
{
	if (order(other, *end) < 0)
		*end = other;
}

/* Reads what is said from 'at' on, and how far it holds, into b->next. */
static int stream_read(struct build *b, struct address at)
{
	struct gtm_facts facts = { 0 };
	uint32_t rule = CONFIG_NONE;
	int rc = stream_seek(b, at);

	if (rc != 0)
		return rc;
	b->next = (struct run){ .start = at, .end = last };
	for (size_t i = 0; i < b->n_cursors; i++) {
		const struct cursor *c = &b->cursors[i];
		if (c->ends)
			continue;
		if (order(c->start, at) > 0) {
			nearer(&b->next.end, before(c->start));
			continue;
		}
		nearer(&b->next.end, c->end);
		merge(&facts, &c->facts);
	}
	if (b->depth > 0) {
		rule = b->inside[b->depth - 1]->rule;
		nearer(&b->next.end, b->inside[b->depth - 1]->end);
	}
	if (b->at_ruled < b->n_ruled[b->v6])
		nearer(&b->next.end,
		       before(b->ruled[b->v6][b->at_ruled].start));
	if (++b->steps % PACE_STEPS == 0 && !gtm_pace_step(b->pace))
		return -ECANCELED;
	return place_of(b, &facts, rule, &b->next.place);
}

/* Makes b->run the next run, as long as it can be. */
static int stream_next(struct build *b)
{
	b->run = b->next;
	for (;;) {
		b->at_end = order(b->run.end, last) == 0;
		if (b->at_end)
			return 0;
		int rc = stream_read(b, after(b->run.end));
		if (rc != 0)
			return rc;
		if (b->next.place != b->run.place)
			return 0;
		b->run.end = b->next.end;
	}
}

static int stream_begin(struct build *b, bool v6)
{
	const struct address first = { 0, 0 };

	b->v6 = v6;
	b->at_ruled = 0;
	b->depth = 0;
	for (size_t i = 0; i < b->n_cursors; i++) {
		struct cursor *c = &b->cursors[i];
		c->ends = false;
		c->source->begin(c->source->arg, v6);
		c->start = last; /* it has none yet */
		c->end = first;
		int rc = cursor_next(b, c);
		if (rc != 0)
			return rc;
	}
	int rc = stream_read(b, first);
	return rc != 0 ? rc : stream_next(b);
}

/* -- the trie ------------------------------------------------------------ */

static uint32_t leaf_of(const struct build *b, unsigned int scope)
{
	return SLOT_LEAF | scope << SLOT_SCOPE_SHIFT | b->run.place;
}

/*
 * Of the 2^stride blocks behind the first 'bits' of 'base', how many from the
 * 'i'th on the present run covers, as the logarithm of one aligned block; -1:
 * not even one.
 */
static int covered(const struct build *b, struct address base,
		   unsigned int bits, unsigned int stride, unsigned int i)
{
	struct address at = part_of(base, bits + stride, i);
	int k = 0;

	while (k < (int)stride && (i & (1u << k)) == 0)
		k++;
	while (k >= 0 && order(end_of(at, bits + stride - (unsigned int)k),
			       b->run.end) > 0)
		k--;
	return k;
}

/* A leaf that ends at 'end' has been made. */
static int leave(struct build *b, struct address end)
{
	b->map->n_leaves++;
	if (b->at_end || order(b->run.end, end) > 0)
		return 0;
	return stream_next(b);
}

static int words_room(struct build *b, size_t n)
{
	struct gtm_clients *map = b->map;
	size_t max = b->words_max > 0 ? b->words_max : 4096;

	while (max < map->n_words + n)
		max += max / 2;
	if (max > WORDS_MAX)
		return -EFBIG;
	if (max == b->words_max)
		return 0;
	uint32_t *more = realloc(map->words, max * sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	map->words = more;
	b->words_max = max;
	return 0;
}

/* A node under way. */
struct draft {
	uint8_t runs[32];
	uint32_t slots[256];
	unsigned int n;
};

static void draft_put(struct draft *d, unsigned int i, uint32_t slot)
{
	if (d->n > 0 && d->slots[d->n - 1] == slot)
		return;
	d->runs[i / 8] |= (uint8_t)(1u << i % 8);
	d->slots[d->n++] = slot;
}

/* Keeps the node; the slot that stands for it. */
static int draft_keep(struct build *b, const struct draft *d, uint32_t *slot)
{
	struct gtm_clients *map = b->map;
	uint8_t counts[32];
	unsigned int n = 0;
	int rc = words_room(b, NODE_SLOTS + d->n);

	if (rc != 0)
		return rc;
	for (unsigned int i = 0; i < 256; i++) {
		if (i % 8 == 0)
			counts[i / 8] = (uint8_t)n;
		n += d->runs[i / 8] >> i % 8 & 1;
	}
	uint32_t *node = map->words + map->n_words;
	memcpy(node, d->runs, sizeof(d->runs));
	memcpy((uint8_t *)node + NODE_BEFORE, counts, sizeof(counts));
	memcpy(node + NODE_SLOTS, d->slots, d->n * sizeof(*node));
	*slot = (uint32_t)map->n_words;
	map->n_words += NODE_SLOTS + d->n;
	map->n_nodes++;
	return 0;
}

/* Makes the node of the block with the first 'bits' of 'base'. */
/* NOLINTNEXTLINE(misc-no-recursion): at most 14 deep, 8 bits each */
static int node_make(struct build *b, struct address base, unsigned int bits,
		     uint32_t *slot)
{
	struct draft d = { .n = 0 };
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && i < 256;) {
		int k = covered(b, base, bits, 8, i);
		struct address at = part_of(base, bits + 8, i);
		if (k < 0) {
			uint32_t child;
			rc = node_make(b, at, bits + 8, &child);
			if (rc == 0)
				draft_put(&d, i++, child);
			continue;
		}
		unsigned int scope = bits + 8 - (unsigned int)k;
		draft_put(&d, i, leaf_of(b, scope));
		i += 1u << k;
		rc = leave(b, end_of(at, scope));
	}
	return rc != 0 ? rc : draft_keep(b, &d, slot);
}

/* The slot of a node's child. */
static uint32_t child_of(const struct gtm_clients *map, uint32_t slot,
			 unsigned int child)
{
	const uint32_t *node = map->words + slot;
	const uint8_t *runs = (const uint8_t *)node + child / 8;
	unsigned int rank = runs[NODE_BEFORE];

	for (unsigned int i = 0; i <= child % 8; i++)
		rank += runs[0] >> i & 1;
	return node[NODE_SLOTS - 1 + rank];
}

/* Makes a table of what the node 'slot' and its children have. */
static int wide_make(struct build *b, uint32_t *slot)
{
	struct gtm_clients *map = b->map;
	int rc = words_room(b, ROOT_SIZE);

	if (rc != 0)
		return rc;
	uint32_t *table = map->words + map->n_words;
	for (unsigned int i = 0; i < 256; i++) {
		uint32_t child = child_of(map, *slot, i);
		bool leaf = (child & SLOT_LEAF) != 0;
		for (unsigned int k = 0; k < 256; k++)
			*table++ = leaf ? child : child_of(map, child, k);
	}
	*slot = (uint32_t)map->n_words | SLOT_WIDE;
	map->n_words += ROOT_SIZE;
	return 0;
}

/* What is below one slot of the root. */
static int branch_make(struct build *b, struct address base, uint32_t *slot)
{
	size_t nodes = b->map->n_nodes;
	int rc = node_make(b, base, ROOT_BITS, slot);

	if (rc == 0 && b->v6 && b->map->n_nodes - nodes >= WIDE_NODES)
		rc = wide_make(b, slot);
	return rc;
}

static int root_make(struct build *b, bool v6)
{
	const struct address zero = { 0, 0 };
	uint32_t *root = malloc(ROOT_SIZE * sizeof(*root));
	int rc = root != NULL ? stream_begin(b, v6) : -ENOMEM;

	b->map->root[v6] = root;
	for (unsigned int i = 0; rc == 0 && i < ROOT_SIZE;) {
		int k = covered(b, zero, 0, ROOT_BITS, i);
		struct address at = part_of(zero, ROOT_BITS, i);
		if (k < 0) {
			rc = branch_make(b, at, &root[i++]);
			continue;
		}
		unsigned int scope = ROOT_BITS - (unsigned int)k;
		uint32_t slot = leaf_of(b, scope);
		for (unsigned int end = i + (1u << k); i < end; i++)
			root[i] = slot;
		rc = leave(b, end_of(at, scope));
	}
	return rc;
}

/* -- the whole ----------------------------------------------------------- */

static void masks_fill(struct gtm_clients *map)
{
	for (unsigned int bits = 0; bits <= 128; bits++)
		for (unsigned int i = 0; i < bits; i++)
			map->mask[bits][i / 8] |= (uint8_t)(0x80u >> i % 8);
}

/* Gives back what growing has left over. */
static void trim(struct build *b)
{
	struct gtm_clients *map = b->map;

	if (map->n_words > 0 && map->n_words < b->words_max) {
		uint32_t *less =
			realloc(map->words, map->n_words * sizeof(*map->words));
		if (less != NULL)
			map->words = less;
	}
	struct gtm_place *less =
		realloc(map->places, map->n_places * sizeof(*map->places));
	if (less != NULL)
		map->places = less;
}

int gtm_clients_new(const struct config *config,
		    const struct gtm_source *sources, size_t n,
		    const struct gtm_pace *pace, struct gtm_clients **mapp)
{
	struct build *b = calloc(1, sizeof(*b));
	struct gtm_clients *map = calloc(1, sizeof(*map));
	int rc = b != NULL && map != NULL ? 0 : -ENOMEM;

	if (rc == 0) {
		b->config = config;
		b->pace = pace;
		b->map = map;
		b->n_cursors = n;
		for (size_t i = 0; i < n; i++)
			b->cursors[i].source = &sources[i];
		masks_fill(map);
		rc = rules_take(b);
	}
	for (unsigned int f = 0; rc == 0 && f < 2; f++)
		rc = root_make(b, f != 0);
	if (rc == 0) {
		vectors_fill(map);
		trim(b);
		*mapp = map;
	} else {
		gtm_clients_free(map);
	}
	if (b != NULL) {
		free(b->ruled[0]);
		free(b->ruled[1]);
		free(b->countries);
		free(b->as);
		free(b->table);
	}
	free(b);
	return rc;
}
