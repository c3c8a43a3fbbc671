/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/admit_sketch.h"

#include <errno.h>
#include <stdlib.h>

#define WAYS	    4u
#define REPEAT_SETS 16384u /* of WAYS words of 8 octets: 512 KiB */
#define TRIES	    4u
#define SEEN_WAYS   8u
#define AGE_BITS    8u
#define AGE_SHIFT   9u /* 512 s: 36 hours until ages begin anew */

#define LOAD(a) atomic_load_explicit(&(a), memory_order_relaxed)

/* -- repeats ----------------------------------------------------------------
 * A word: 32 bits of the key, 8 of the second, 24 of the count.
 */

struct admit_repeats {
	_Atomic uint64_t word[REPEAT_SETS][WAYS];
};

int admit_repeats_new(struct admit_repeats **repeatsp)
{
	struct admit_repeats *repeats = calloc(1, sizeof(*repeats));

	if (repeats == NULL)
		return -ENOMEM;
	*repeatsp = repeats;
	return 0;
}

void admit_repeats_free(struct admit_repeats *repeats)
{
	free(repeats);
}

/* How often in this second: what is of another counts nothing. */
static uint32_t times_of(uint64_t word, uint32_t now_s)
{
	return (word >> 24 & 0xff) == (now_s & 0xff) ? word & 0xffffff : 0;
}

static _Atomic uint64_t *repeat_find(_Atomic uint64_t *set, uint64_t mark,
				     uint32_t now_s, uint64_t *wordp)
{
	_Atomic uint64_t *least = &set[0];
	uint32_t value = UINT32_MAX;

	for (unsigned int i = 0; i < WAYS; i++) {
		uint64_t word = LOAD(set[i]);
		uint32_t times = times_of(word, now_s);
		if (word >> 32 == mark) {
			*wordp = word;
			return &set[i];
		}
		if (times >= value)
			continue;
		value = times;
		least = &set[i];
		*wordp = word;
	}
	return least;
}

uint32_t admit_repeats_count(struct admit_repeats *repeats, uint64_t key,
			     uint32_t now_s)
{
	_Atomic uint64_t *set = repeats->word[key % REPEAT_SETS];
	uint64_t mark = key >> 32;

	for (unsigned int i = 0; i < TRIES; i++) {
		uint64_t word = 0;
		_Atomic uint64_t *at = repeat_find(set, mark, now_s, &word);
		uint32_t times = word >> 32 == mark ? times_of(word, now_s) : 0;
		times += times < 0xffffff;
		uint64_t to =
			mark << 32 | (uint64_t)(now_s & 0xff) << 24 | times;
		if (atomic_compare_exchange_strong_explicit(
			    at, &word, to, memory_order_relaxed,
			    memory_order_relaxed))
			return times;
	}
	return 1;
}

bool admit_repeats_rare(struct admit_repeats *repeats, uint64_t key,
			uint32_t now_s)
{
	_Atomic uint64_t *set = repeats->word[key % REPEAT_SETS];
	uint64_t mark = key >> 32;
	uint64_t word = 0;

	(void)repeat_find(set, mark, now_s, &word);
	bool rare = word >> 32 != mark ||
		    ((now_s - (uint32_t)(word >> 24)) & 0xff) > 1;
	(void)admit_repeats_count(repeats, key, now_s);
	return rare;
}

/* -- seen -------------------------------------------------------------------
 * A word: 23 bits of the key, never 0, whether it was added more than once,
 * and 8 bits of the time.
 */

#define AGAIN	   (1u << AGE_BITS)
#define MARK_SHIFT (AGE_BITS + 1)
#define ONCE	   128u /* so much older is a name that was added but once */

struct admit_seen {
	uint64_t sets; /* a power of two */
	_Atomic uint32_t word[];
};

int admit_seen_new(uint32_t names, struct admit_seen **seenp)
{
	uint64_t sets = 1;

	while (sets * SEEN_WAYS < names)
		sets *= 2;
	struct admit_seen *seen = calloc(
		1, sizeof(*seen) + (size_t)sets * SEEN_WAYS * sizeof(uint32_t));
	if (seen == NULL)
		return -ENOMEM;
	seen->sets = sets;
	*seenp = seen;
	return 0;
}

void admit_seen_free(struct admit_seen *seen)
{
	free(seen);
}

static uint32_t seen_mark(uint64_t key)
{
	uint32_t mark = (uint32_t)(key >> 41);

	return mark != 0 ? mark : 1;
}

/* How old it is: who makes up names for a wildcard adds each of them once. */
static uint32_t seen_age(uint32_t word, uint32_t now)
{
	uint32_t age = (now - word) & ((1u << AGE_BITS) - 1);

	return (word & AGAIN) != 0 ? age : age + ONCE;
}

void admit_seen_add(struct admit_seen *seen, uint64_t key, uint32_t now_s)
{
	_Atomic uint32_t *set =
		seen->word + (key & (seen->sets - 1)) * SEEN_WAYS;
	uint32_t now = now_s >> AGE_SHIFT & ((1u << AGE_BITS) - 1);
	uint32_t mark = seen_mark(key);
	_Atomic uint32_t *oldest = &set[0];
	uint32_t again = 0;
	uint32_t age = 0;

	for (unsigned int i = 0; i < SEEN_WAYS; i++) {
		uint32_t word = LOAD(set[i]);
		if (word >> MARK_SHIFT == mark || word == 0) {
			oldest = &set[i];
			again = word != 0 ? AGAIN : 0;
			break;
		}
		uint32_t its = seen_age(word, now);
		if (its < age)
			continue;
		age = its;
		oldest = &set[i];
	}
	atomic_store_explicit(oldest, mark << MARK_SHIFT | again | now,
			      memory_order_relaxed);
}

bool admit_seen_has(const struct admit_seen *seen, uint64_t key)
{
	const _Atomic uint32_t *set =
		seen->word + (key & (seen->sets - 1)) * SEEN_WAYS;
	uint32_t mark = seen_mark(key);

	for (unsigned int i = 0; i < SEEN_WAYS; i++)
		if (LOAD(set[i]) >> MARK_SHIFT == mark)
			return true;
	return false;
}

/* -- sources ----------------------------------------------------------------
 */

void admit_sources_add(struct admit_sources *sources, uint64_t hash)
{
	_Atomic uint64_t *word =
		&sources->map[hash >> 6 & (ADMIT_SOURCES_BITS / 64 - 1)];
	uint64_t bit = UINT64_C(1) << (hash & 63);

	if ((LOAD(*word) & bit) == 0)
		atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
}

/* Natural logarithm of 'x' >= 1: the exponent, and a series for the rest. */
static double ln(double x)
{
	double whole = 0;

	for (; x > 1.5; x /= 2)
		whole += 0.69314718055994531;
	double y = (x - 1) / (x + 1);
	double square = y * y;
	return whole + 2 * y *
			       (1 + square / 3 + square * square / 5 +
				square * square * square / 7);
}

uint32_t admit_sources_count(const struct admit_sources *sources)
{
	uint32_t zero = 0;

	for (size_t i = 0; i < ADMIT_SOURCES_BITS / 64; i++) {
		uint64_t word = ~LOAD(sources->map[i]);
		for (; word != 0; word &= word - 1)
			zero++;
	}
	double bits = ADMIT_SOURCES_BITS;
	return (uint32_t)(bits * ln(bits / (zero > 0 ? zero : 1)) + 0.5);
}

uint32_t admit_sources_turn(struct admit_sources *sources, uint32_t now_s)
{
	if (LOAD(sources->second) == now_s ||
	    atomic_exchange_explicit(&sources->second, now_s,
				     memory_order_relaxed) == now_s)
		return LOAD(sources->last);
	uint32_t n = admit_sources_count(sources);
	atomic_store_explicit(&sources->last, n, memory_order_relaxed);
	for (size_t i = 0; i < ADMIT_SOURCES_BITS / 64; i++)
		atomic_store_explicit(&sources->map[i], 0,
				      memory_order_relaxed);
	return n;
}
