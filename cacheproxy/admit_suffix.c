/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/admit_suffix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define WAYS	  8u
#define SETS	  (ADMIT_SUFFIXES / WAYS)
#define REGISTERS 64u
#define HEAVY	  32u /* different names: a suffix explains them itself */
#define CALM_S	  5u
#define LABELS	  128u

#define LOAD(a)	    atomic_load_explicit(&(a), memory_order_relaxed)
#define STORE(a, v) atomic_store_explicit(&(a), (v), memory_order_relaxed)

/* Of one suffix; all but the atomics are the engine's. */
struct suffix {
	_Atomic uint64_t id; /* hash of zone and name; 0: none */
	_Atomic uint32_t since_s;
	_Atomic uint32_t hits; /* since it began */
	uint64_t zone;
	uint32_t hits_from; /* at the beginning of this second */
	uint32_t second;
	uint32_t nx, others;		     /* in this second */
	uint32_t last_nx, last_others, last; /* in the one before */
	uint32_t least;			     /* to begin */
	uint32_t used_s;
	uint8_t calm_s;
	uint8_t registers[REGISTERS];
	uint8_t n;
	uint8_t name[255];
};

struct admit_suffixes {
	uint64_t seed;
	_Atomic uint32_t n_active;
	struct suffix at[SETS][WAYS];
};

int admit_suffixes_new(uint64_t seed, struct admit_suffixes **suffixesp)
{
	struct admit_suffixes *suffixes = calloc(1, sizeof(*suffixes));

	if (suffixes == NULL)
		return -ENOMEM;
	suffixes->seed = seed;
	*suffixesp = suffixes;
	return 0;
}

void admit_suffixes_free(struct admit_suffixes *suffixes)
{
	free(suffixes);
}

/* -- names ------------------------------------------------------------------
 */

/*
 * Where the suffixes of a name begin, the shortest first; returns how many
 * there are: none for the apex itself.
 */
static unsigned int cut(const struct admit_name *name, size_t *starts)
{
	size_t at[LABELS];
	unsigned int labels = 0;

	for (size_t i = 0; i < name->n && name->wire[i] != 0 && labels < LABELS;
	     i += name->wire[i] + 1u)
		at[labels++] = i;
	if (labels <= name->apex_labels)
		return 0;
	unsigned int below = labels - name->apex_labels;
	unsigned int n = below < ADMIT_LEVELS ? below : ADMIT_LEVELS;
	for (unsigned int i = 0; i < n; i++)
		starts[i] = below - i < labels ? at[below - i] : name->n - 1;
	return n;
}

static uint64_t id_of(const struct admit_suffixes *suffixes,
		      const struct admit_name *name, size_t start)
{
	uint64_t id = XXH3_64bits_withSeed(name->wire + start, name->n - start,
					   suffixes->seed ^ name->zone);

	return id != 0 ? id : 1;
}

/* -- sketch -----------------------------------------------------------------
 */

static void sketch_add(struct suffix *s, uint64_t hash)
{
	uint8_t rank = 1;

	for (uint64_t rest = hash >> 6; rank < 58 && (rest & 1) == 0;
	     rest >>= 1)
		rank++;
	if (rank > s->registers[hash % REGISTERS])
		s->registers[hash % REGISTERS] = rank;
}

static uint32_t sketch_count(const struct suffix *s)
{
	/* 64 ln(64 / zero), for small numbers */
	static const uint16_t linear[REGISTERS + 1] = {
		266, 266, 222, 196, 177, 163, 151, 142, 133, 126, 119, 113, 107,
		102, 97,  93,  89,  85,	 81,  78,  74,	71,  68,  65,  63,  60,
		58,  55,  53,  51,  48,	 46,  44,  42,	40,  39,  37,  35,  33,
		32,  30,  28,  27,  25,	 24,  23,  21,	20,  18,  17,  16,  15,
		13,  12,  11,  10,  9,	 7,   6,   5,	4,   3,	  2,   1,   0
	};
	double sum = 0;
	unsigned int zero = 0;

	for (unsigned int i = 0; i < REGISTERS; i++) {
		sum += 1.0 / (double)(UINT64_C(1) << s->registers[i]);
		zero += s->registers[i] == 0;
	}
	double raw = 0.709 * REGISTERS * REGISTERS / sum;
	if (raw <= 2.5 * REGISTERS && zero > 0)
		return linear[zero];
	return raw < 4e9 ? (uint32_t)raw : UINT32_MAX;
}

/* -- table ------------------------------------------------------------------
 */

static struct suffix *find(const struct admit_suffixes *suffixes, uint64_t id)
{
	const struct suffix *set = suffixes->at[id % SETS];

	for (unsigned int i = 0; i < WAYS; i++)
		if (LOAD(set[i].id) == id)
			return (struct suffix *)(uintptr_t)&set[i];
	return NULL;
}

static void second_begin(struct suffix *s, uint32_t now_s)
{
	if (s->second == now_s)
		return;
	bool next = now_s - s->second == 1;
	s->last_nx = next ? s->nx : 0;
	s->last_others = next ? s->others : 0;
	s->last = next ? sketch_count(s) : 0;
	s->nx = 0;
	s->others = 0;
	s->second = now_s;
	memset(s->registers, 0, sizeof(s->registers));
}

/* How much it would be missed: the least goes. */
static uint64_t weight(const struct suffix *s, uint32_t now_s)
{
	if (LOAD(s->id) == 0)
		return 0;
	if (LOAD(s->since_s) != 0)
		return UINT64_MAX;
	uint32_t idle_s = now_s - s->used_s;
	uint64_t n = 1 + (uint64_t)s->nx + s->last_nx;

	return idle_s < 32 ? (n << 8) >> idle_s : 1;
}

/* The place of a suffix, perhaps another's; NULL: all are under attack. */
static struct suffix *place(struct admit_suffixes *suffixes,
			    const struct admit_name *name, size_t start,
			    uint32_t now_s)
{
	uint64_t id = id_of(suffixes, name, start);
	struct suffix *s = find(suffixes, id);
	uint64_t least = UINT64_MAX;

	if (s != NULL)
		return s;
	struct suffix *set = suffixes->at[id % SETS];
	for (unsigned int i = 0; i < WAYS; i++) {
		uint64_t w = weight(&set[i], now_s);
		if (w >= least)
			continue;
		least = w;
		s = &set[i];
	}
	if (s == NULL)
		return NULL;
	STORE(s->id, 0);
	s->zone = name->zone;
	s->nx = s->others = s->last_nx = s->last_others = s->last = 0;
	s->second = now_s;
	s->n = (uint8_t)(name->n - start);
	memcpy(s->name, name->wire + start, s->n);
	memset(s->registers, 0, sizeof(s->registers));
	STORE(s->id, id);
	return s;
}

static void begin(struct admit_suffixes *suffixes, struct suffix *s,
		  uint32_t least, uint32_t now_s)
{
	STORE(s->hits, 0);
	s->hits_from = 0;
	s->calm_s = 0;
	s->least = least;
	STORE(s->since_s, now_s);
	atomic_fetch_add_explicit(&suffixes->n_active, 1, memory_order_relaxed);
}

/* The zone has so many under attack: what is above explains the rest. */
static bool has_many(const struct admit_suffixes *suffixes, uint64_t zone)
{
	unsigned int n = 0;

	if (LOAD(suffixes->n_active) < ADMIT_SUFFIX_ZONE)
		return false;
	for (size_t i = 0; i < ADMIT_SUFFIXES; i++) {
		const struct suffix *s = &suffixes->at[i / WAYS][i % WAYS];
		n += LOAD(s->since_s) != 0 && s->zone == zone;
	}
	return n >= ADMIT_SUFFIX_ZONE;
}

bool admit_suffixes_feed(struct admit_suffixes *suffixes,
			 const struct admit_name *name, bool exists,
			 uint32_t least, uint32_t now_s)
{
	size_t starts[ADMIT_LEVELS];
	uint64_t hash =
		XXH3_64bits_withSeed(name->wire, name->n, suffixes->seed + 1);

	if (least < ADMIT_SUFFIX_LEAST)
		least = ADMIT_SUFFIX_LEAST;
	for (unsigned int i = cut(name, starts); i > 0; i--) {
		size_t start = starts[i - 1];
		struct suffix *s =
			exists ? find(suffixes, id_of(suffixes, name, start))
			       : place(suffixes, name, start, now_s);
		if (s == NULL)
			continue;
		second_begin(s, now_s);
		s->used_s = now_s;
		s->nx += !exists;
		s->others += exists;
		if (exists)
			continue;
		sketch_add(s, hash);
		uint32_t n = sketch_count(s);
		if (n >= least && s->nx >= least && s->nx / 9 >= s->others &&
		    LOAD(s->since_s) == 0) {
			if (i > 1 && has_many(suffixes, name->zone))
				continue;
			begin(suffixes, s, least, now_s);
			return true;
		}
		if (n >= HEAVY || s->last >= HEAVY)
			return false; /* those above need not explain it */
	}
	return false;
}

/* The suffix under attack that the name lies below, or NULL. */
static struct suffix *attacked(const struct admit_suffixes *suffixes,
			       const struct admit_name *name)
{
	size_t starts[ADMIT_LEVELS];

	if (LOAD(suffixes->n_active) == 0)
		return NULL;
	for (unsigned int i = cut(name, starts); i > 0; i--) {
		struct suffix *s =
			find(suffixes, id_of(suffixes, name, starts[i - 1]));
		if (s != NULL && LOAD(s->since_s) != 0)
			return s;
	}
	return NULL;
}

bool admit_suffixes_hit(struct admit_suffixes *suffixes,
			const struct admit_name *name)
{
	struct suffix *s = attacked(suffixes, name);

	if (s != NULL)
		atomic_fetch_add_explicit(&s->hits, 1, memory_order_relaxed);
	return s != NULL;
}

bool admit_suffixes_below(const struct admit_suffixes *suffixes,
			  const struct admit_name *name)
{
	return attacked(suffixes, name) != NULL;
}

void admit_suffixes_tick(struct admit_suffixes *suffixes, uint32_t now_s,
			 void (*ended)(void *arg, uint64_t zone), void *arg)
{
	if (LOAD(suffixes->n_active) == 0)
		return;
	for (size_t i = 0; i < ADMIT_SUFFIXES; i++) {
		struct suffix *s = &suffixes->at[i / WAYS][i % WAYS];
		if (LOAD(s->since_s) == 0)
			continue;
		uint32_t hits = LOAD(s->hits);
		bool calm = hits - s->hits_from < s->least / 2;
		s->hits_from = hits;
		s->calm_s = calm ? (uint8_t)(s->calm_s + 1) : 0;
		if (s->calm_s < CALM_S)
			continue;
		STORE(s->since_s, 0);
		s->used_s = now_s;
		s->second = 0;
		second_begin(s, now_s);
		atomic_fetch_sub_explicit(&suffixes->n_active, 1,
					  memory_order_relaxed);
		ended(arg, s->zone);
	}
}

bool admit_suffixes_any(const struct admit_suffixes *suffixes, uint64_t zone)
{
	for (size_t i = 0; i < ADMIT_SUFFIXES; i++) {
		const struct suffix *s = &suffixes->at[i / WAYS][i % WAYS];
		if (LOAD(s->since_s) != 0 && s->zone == zone)
			return true;
	}
	return false;
}

bool admit_suffixes_view(const struct admit_suffixes *suffixes, size_t i,
			 struct admit_suffix_view *view)
{
	const struct suffix *s = &suffixes->at[i / WAYS][i % WAYS];

	if (LOAD(s->id) == 0)
		return false;
	*view = (struct admit_suffix_view){
		.zone = s->zone,
		.since_s = LOAD(s->since_s),
		.names = s->last,
		.nx = s->last_nx,
		.others = s->last_others,
		.refused = LOAD(s->hits),
		.n = s->n,
	};
	memcpy(view->name, s->name, s->n);
	return true;
}
