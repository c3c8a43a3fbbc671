/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/names.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define TYPE_NS	    2u
#define TYPE_DNAME  39u
#define LABELS_MAX  128u
#define LOAD	    128u  /* names of a bucket, at most, when it is made */
#define COUNT_MAX   4095u /* stays there */
#define CUTS_MAX    15u	  /* likewise */
#define CUTS_SHIFT  12u
#define MARKS_FIRST 256u
#define SOA_FIXED   20u /* octets of its five numbers */

/*
 * Names of one value of the top bits of their hashes: the next 32 bits, rising,
 * then as many counts: records, and in the top four bits cuts.
 */
struct bucket {
	uint32_t n;
	uint32_t print[];
};

struct names {
	struct dname apex;
	uint64_t seed;
	unsigned int bits; /* of a hash, for the bucket */
	uint64_t n, bytes;
	uint64_t apex_cuts; /* DNAME records of the apex: all is below them */
	struct names_soa soa;
	struct bucket *bucket[]; /* NULL: empty */
};

/* What happened to the records at or below one name. */
struct mark {
	uint64_t hash;
	uint16_t came, went;
	uint8_t cuts_came, cuts_went;
};

struct names_list {
	struct dname apex;
	uint64_t seed;
	size_t n, room, room_max;
	struct mark *mark;
	uint64_t apex_cuts_came, apex_cuts_went;
	size_t path[LABELS_MAX]; /* marks of the last owner, from the top */
	size_t depth;
};

/* -- SOA --------------------------------------------------------------- */

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

int names_soa_read(const uint8_t *rdata, size_t n, uint32_t ttl_s,
		   struct names_soa *soa)
{
	if (n < SOA_FIXED + 2 || n > sizeof(soa->rdata))
		return -EBADMSG;
	const uint8_t *p = rdata + n - SOA_FIXED;
	soa->serial = get32(p);
	soa->refresh_s = get32(p + 4);
	soa->expire_s = get32(p + 12);
	soa->minimum_s = get32(p + 16);
	soa->ttl_s = ttl_s;
	soa->n = (uint16_t)n;
	memcpy(soa->rdata, rdata, n);
	return 0;
}

/* -- hashes ------------------------------------------------------------ */

/* The hash of a name from its first label and the hash of what is above. */
static uint64_t below(uint64_t above, const uint8_t *label)
{
	return XXH3_64bits_withSeed(label, label[0] + 1u, above);
}

/*
 * Where the labels of 'name' begin that are not of the apex, the last of them
 * first.  Returns how many; 'name' is well-formed and in the zone.
 */
static size_t labels_of(const struct dname *apex, const uint8_t *name, size_t n,
			uint8_t at[LABELS_MAX])
{
	size_t labels = 0;

	for (size_t i = 0; n - i > apex->n && labels < LABELS_MAX;
	     i += name[i] + 1u)
		at[labels++] = (uint8_t)i;
	for (size_t i = 0; i < labels / 2; i++) {
		uint8_t first = at[i];
		at[i] = at[labels - 1 - i];
		at[labels - 1 - i] = first;
	}
	return labels;
}

static uint32_t print_of(uint64_t hash, unsigned int bits)
{
	return (uint32_t)(hash << bits >> 32);
}

static size_t bucket_at(uint64_t hash, unsigned int bits)
{
	return bits == 0 ? 0 : (size_t)(hash >> (64 - bits));
}

/* -- lists ------------------------------------------------------------- */

int names_list_new(const struct dname *apex, uint64_t seed, size_t octets_max,
		   struct names_list **listp)
{
	struct names_list *list = calloc(1, sizeof(*list));

	if (list == NULL)
		return -ENOMEM;
	list->apex = *apex;
	list->seed = seed;
	list->room_max = octets_max / sizeof(struct mark);
	*listp = list;
	return 0;
}

void names_list_free(struct names_list *list)
{
	if (list == NULL)
		return;
	free(list->mark);
	free(list);
}

static int make_room(struct names_list *list, size_t more)
{
	size_t room = list->room < MARKS_FIRST ? MARKS_FIRST
					       : list->room + list->room / 2;

	if (list->n + more <= list->room)
		return 0;
	if (room > list->room_max)
		room = list->room_max;
	if (list->n + more > room)
		return -E2BIG;
	struct mark *mark = realloc(list->mark, room * sizeof(*mark));
	if (mark == NULL)
		return -ENOMEM;
	list->mark = mark;
	list->room = room;
	return 0;
}

/* The mark of the name 'i' labels below the apex; neighbours share theirs. */
static struct mark *mark_for(struct names_list *list, size_t i, uint64_t hash)
{
	if (i < list->depth && list->mark[list->path[i]].hash == hash)
		return &list->mark[list->path[i]];
	if (i < list->depth)
		list->depth = i;
	list->path[i] = list->n;
	list->mark[list->n] = (struct mark){ .hash = hash };
	return &list->mark[list->n++];
}

static uint16_t add16(uint16_t a, uint16_t b)
{
	uint32_t sum = (uint32_t)a + b;

	return (uint16_t)(sum < UINT16_MAX ? sum : UINT16_MAX);
}

static uint8_t add8(uint8_t a, uint8_t b)
{
	unsigned int sum = (unsigned int)a + b;

	return (uint8_t)(sum < UINT8_MAX ? sum : UINT8_MAX);
}

int names_list_add(struct names_list *list, const uint8_t *owner, size_t n,
		   uint16_t type, bool came)
{
	uint8_t at[LABELS_MAX];
	struct dname name;

	if (dname_from_wire(owner, n, &name) != 0 ||
	    !dname_is_below(&name, &list->apex))
		return -EINVAL;
	size_t labels = labels_of(&list->apex, name.wire, name.n, at);
	int rc = make_room(list, labels);
	if (rc != 0)
		return rc;

	if (labels == 0 && type == TYPE_DNAME) {
		list->apex_cuts_came += came ? 1 : 0;
		list->apex_cuts_went += came ? 0 : 1;
	}
	bool cuts = type == TYPE_NS || type == TYPE_DNAME;
	uint64_t hash = list->seed;
	for (size_t i = 0; i < labels; i++) {
		hash = below(hash, name.wire + at[i]);
		struct mark *m = mark_for(list, i, hash);
		uint8_t cut = cuts && i == labels - 1 ? 1 : 0;
		if (came) {
			m->came = add16(m->came, 1);
			m->cuts_came = add8(m->cuts_came, cut);
		} else {
			m->went = add16(m->went, 1);
			m->cuts_went = add8(m->cuts_went, cut);
		}
	}
	list->depth = labels;
	return 0;
}

static int by_hash(const void *a, const void *b)
{
	const struct mark *x = a;
	const struct mark *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* Sorts, and leaves one mark a name. */
static void put_in_order(struct names_list *list)
{
	size_t n = 0;

	if (list->n > 0)
		qsort(list->mark, list->n, sizeof(struct mark), by_hash);
	for (size_t i = 0; i < list->n; i++) {
		const struct mark *m = &list->mark[i];
		struct mark *last = n > 0 ? &list->mark[n - 1] : NULL;
		if (last == NULL || last->hash != m->hash) {
			list->mark[n++] = *m;
			continue;
		}
		last->came = add16(last->came, m->came);
		last->went = add16(last->went, m->went);
		last->cuts_came = add8(last->cuts_came, m->cuts_came);
		last->cuts_went = add8(last->cuts_went, m->cuts_went);
	}
	list->n = n;
	list->depth = 0;
}

/* -- buckets ----------------------------------------------------------- */

static uint16_t *info_of(struct bucket *b, size_t room)
{
	return (uint16_t *)(b->print + room);
}

static struct bucket *bucket_new(size_t room)
{
	return malloc(sizeof(struct bucket) +
		      room * (sizeof(uint32_t) + sizeof(uint16_t)));
}

static size_t bucket_bytes(struct bucket *b)
{
	return b != NULL ? malloc_usable_size(b) + sizeof(size_t) : 0;
}

/* 'b' in no more memory than it needs; NULL if it is empty. */
static struct bucket *bucket_fit(struct bucket *b)
{
	size_t each = sizeof(uint32_t) + sizeof(uint16_t);

	if (b->n == 0) {
		free(b);
		return NULL;
	}
	size_t size = sizeof(*b) + b->n * each;
	struct bucket *fit = malloc(size);
	if (fit == NULL)
		return b;
	memcpy(fit, b, size);
	free(b);
	return fit;
}

/* False: more went than was there. */
static bool change_one(unsigned int *count, unsigned int came,
		       unsigned int went, unsigned int max)
{
	if (*count == max)
		return true;
	*count += came;
	if (*count < went)
		return false;
	*count -= went;
	if (*count > max || came >= max)
		*count = max;
	return true;
}

static bool change(uint16_t *info, const struct mark *m)
{
	unsigned int count = *info & COUNT_MAX;
	unsigned int cuts = *info >> CUTS_SHIFT;
	bool right = change_one(&count, m->came, m->went, COUNT_MAX) &&
		     change_one(&cuts, m->cuts_came, m->cuts_went, CUTS_MAX);

	*info = (uint16_t)(count | cuts << CUTS_SHIFT);
	return right;
}

/*
 * The bucket 'old' (NULL: empty) as it is after 'n' marks, whose names are all
 * its own; '*made' is NULL if nothing is left.  '*right' is cleared if more
 * went than was there.  0 or -ENOMEM.
 */
static int merge(struct bucket *old, const struct mark *mark, size_t n,
		 unsigned int bits, struct bucket **made, bool *right)
{
	size_t old_n = old != NULL ? old->n : 0;
	const uint16_t *old_info = old != NULL ? info_of(old, old_n) : NULL;
	struct bucket *b = bucket_new(old_n + n);
	size_t i = 0, j = 0, kept = 0;

	if (b == NULL)
		return -ENOMEM;
	uint16_t *info = info_of(b, old_n + n);
	while (i < old_n || j < n) {
		uint32_t print =
			j < n ? print_of(mark[j].hash, bits) : UINT32_MAX;
		uint16_t now = 0;
		if (i < old_n && (j == n || old->print[i] <= print)) {
			print = old->print[i];
			now = old_info[i++];
		}
		for (; j < n && print_of(mark[j].hash, bits) == print; j++)
			*right &= change(&now, &mark[j]);
		if ((now & COUNT_MAX) == 0)
			continue;
		b->print[kept] = print;
		info[kept++] = now;
	}
	memmove(b->print + kept, info, kept * sizeof(*info));
	b->n = (uint32_t)kept;
	*made = bucket_fit(b);
	return 0;
}

/* -- sets -------------------------------------------------------------- */

/* Marks from 'from' on that belong to one bucket. */
static size_t group(const struct names_list *list, size_t from,
		    unsigned int bits)
{
	size_t at = bucket_at(list->mark[from].hash, bits);
	size_t end = from + 1;

	while (end < list->n && bucket_at(list->mark[end].hash, bits) == at)
		end++;
	return end - from;
}

static int apply(struct names *names, const struct names_list *list)
{
	bool right =
		list->apex_cuts_went <= names->apex_cuts + list->apex_cuts_came;
	size_t n;

	names->apex_cuts += list->apex_cuts_came - list->apex_cuts_went;
	for (size_t i = 0; i < list->n; i += n) {
		struct bucket **link = &names->bucket[bucket_at(
			list->mark[i].hash, names->bits)];
		struct bucket *made;
		n = group(list, i, names->bits);
		if (merge(*link, &list->mark[i], n, names->bits, &made,
			  &right) != 0)
			return -ENOMEM;
		names->n += made != NULL ? made->n : 0;
		names->n -= *link != NULL ? (*link)->n : 0;
		names->bytes += bucket_bytes(made) - bucket_bytes(*link);
		free(*link);
		*link = made;
	}
	return right ? 0 : -EBADMSG;
}

static unsigned int bits_for(size_t n)
{
	unsigned int bits = 0;

	while (bits < 32 && n >> bits > LOAD)
		bits++;
	return bits;
}

int names_new(struct names_list *list, const struct names_soa *soa,
	      struct names **namesp)
{
	put_in_order(list);
	unsigned int bits = bits_for(list->n);
	size_t octets = sizeof(struct names) +
			((size_t)1 << bits) * sizeof(struct bucket *);
	struct names *names = calloc(1, octets);

	if (names == NULL)
		return -ENOMEM;
	names->apex = list->apex;
	names->seed = list->seed;
	names->bits = bits;
	names->bytes = octets;
	names->soa = *soa;
	int rc = apply(names, list);
	if (rc != 0) {
		names_free(names);
		return rc;
	}
	*namesp = names;
	return 0;
}

void names_free(struct names *names)
{
	if (names == NULL)
		return;
	for (size_t i = 0; i < (size_t)1 << names->bits; i++)
		free(names->bucket[i]);
	free(names);
}

int names_apply(struct names *names, struct names_list *list,
		const struct names_soa *soa)
{
	put_in_order(list);
	names->soa = *soa;
	return apply(names, list);
}

/* -- asking ------------------------------------------------------------ */

/* The info of a name, 0 if it is not in the set. */
static uint16_t info_for(const struct names *names, uint64_t hash)
{
	struct bucket *b = names->bucket[bucket_at(hash, names->bits)];
	uint32_t print = print_of(hash, names->bits);
	size_t low = 0;

	if (b == NULL)
		return 0;
	for (size_t n = b->n; n > 1; n -= n / 2)
		low += b->print[low + n / 2] <= print ? n / 2 : 0;
	return b->print[low] == print ? info_of(b, b->n)[low] : 0;
}

enum names_word names_find(const struct names *names, const uint8_t *name,
			   size_t n, size_t *above)
{
	static const uint8_t star[] = { 1, '*' };
	uint8_t at[LABELS_MAX];
	uint64_t hash = names->seed;

	if (n < names->apex.n || names->apex_cuts != 0)
		return NAMES_MAY;
	size_t labels = labels_of(&names->apex, name, n, at);
	for (size_t i = 0; i < labels; i++) {
		uint64_t up = hash;
		hash = below(up, name + at[i]);
		uint16_t info = info_for(names, hash);
		if (info >> CUTS_SHIFT != 0)
			return NAMES_MAY;
		if (info != 0)
			continue;
		*above = i > 0 ? n - at[i - 1] : names->apex.n;
		return info_for(names, below(up, star)) != 0 ? NAMES_WILDCARD
							     : NAMES_NOT;
	}
	return NAMES_MAY;
}

bool names_has(const struct names *names, const uint8_t *name, size_t n)
{
	uint8_t at[LABELS_MAX];
	uint64_t hash = names->seed;

	if (n <= names->apex.n)
		return n == names->apex.n;
	bool cut = names->apex_cuts != 0;
	size_t labels = labels_of(&names->apex, name, n, at);
	for (size_t i = 0; i < labels; i++) {
		hash = below(hash, name + at[i]);
		uint16_t info = info_for(names, hash);
		if (cut || info == 0)
			return false;
		cut = info >> CUTS_SHIFT != 0;
	}
	return true;
}

const struct names_soa *names_soa(const struct names *names)
{
	return &names->soa;
}

uint64_t names_count(const struct names *names)
{
	return names->n;
}

uint64_t names_bytes(const struct names *names)
{
	return names->bytes;
}
