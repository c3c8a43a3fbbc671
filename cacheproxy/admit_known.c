/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/admit_known.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define BUCKET	   16u /* words: 64 octets */
#define LINE	   64u /* octets */
#define FULL_PCT   85u /* of the places, with as many as were asked for */
#define DAY_BITS   8u
#define SCORE_BITS 4u
#define MARK_SHIFT (DAY_BITS + SCORE_BITS) /* the fingerprint above */
#define MOST	   15u
#define PROVEN	   10u /* score of one that has proven itself today */
#define GOOD	   4u  /* from here on it is known */
#define SHOWN	   9u  /* the most that questions alone bring */
#define FADE_DAYS  2u  /* without a question: a point less */
#define TRIES	   4u  /* when another thread takes the same word */

/* A word: fingerprint, score (0: the place is free), day. */
struct admit_known {
	uint64_t seed;
	uint64_t buckets;
	_Atomic uint64_t taken;
	_Atomic uint32_t *word; /* in the same piece of memory, on a line */
};

/* Where a prefix may be. */
struct spot {
	_Atomic uint32_t *bucket[2];
	uint32_t mark; /* the fingerprint, in its place */
};

/* Finalizer of splitmix64 (Steele et al., OOPSLA 2014). */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

uint64_t admit_prefix(const uint8_t *address, bool v6)
{
	uint64_t prefix = v6;

	for (unsigned int i = 0; i < (v6 ? 7u : 3u); i++)
		prefix = prefix << 8 | address[i];
	return prefix;
}

static struct spot find_spot(const struct admit_known *known, uint64_t prefix)
{
	uint64_t a = mix(prefix ^ known->seed);
	uint64_t b = mix(a + UINT64_C(0x9e3779b97f4a7c15));
	uint64_t first = (a >> 32) * known->buckets >> 32;
	uint64_t second = (b >> 32) * known->buckets >> 32;
	_Atomic uint32_t *words = known->word;

	return (struct spot){
		.bucket = { words + first * BUCKET, words + second * BUCKET },
		.mark = (uint32_t)a << MARK_SHIFT,
	};
}

static uint32_t mark_of(uint32_t word)
{
	return word >> MARK_SHIFT << MARK_SHIFT;
}

static uint32_t score_of(uint32_t word)
{
	return word >> DAY_BITS & ((1u << SCORE_BITS) - 1);
}

/* Days since its last question, up to 255; a clock set back counts as now. */
static uint32_t idle_of(uint32_t word, uint32_t day)
{
	uint32_t idle = (day - word) & ((1u << DAY_BITS) - 1);

	return idle < 250 ? idle : 0;
}

/* What is left of its score. */
static uint32_t worth(uint32_t word, uint32_t day)
{
	uint32_t faded = idle_of(word, day) / FADE_DAYS;
	uint32_t score = score_of(word);

	return score > faded ? score - faded : 0;
}

static uint32_t word_make(uint32_t mark, uint32_t score, uint32_t day)
{
	return mark | score << DAY_BITS | (day & ((1u << DAY_BITS) - 1));
}

static uint32_t word_read(const _Atomic uint32_t *at)
{
	return atomic_load_explicit(at, memory_order_relaxed);
}

/* The prefix's own word, or NULL. */
static _Atomic uint32_t *find(const struct spot *s, uint32_t *wordp)
{
	for (unsigned int b = 0; b < 2; b++)
		for (unsigned int i = 0; i < BUCKET; i++) {
			uint32_t word = word_read(&s->bucket[b][i]);
			if (mark_of(word) != s->mark || score_of(word) == 0)
				continue;
			*wordp = word;
			return &s->bucket[b][i];
		}
	return NULL;
}

bool admit_known_is(const struct admit_known *known, uint64_t prefix,
		    uint32_t day)
{
	struct spot s = find_spot(known, prefix);
	uint32_t word = 0;

	return find(&s, &word) != NULL && worth(word, day) >= GOOD;
}

/*
 * The place to take: a free one of the bucket that has more of them, else the
 * one that is worth least.
 */
static _Atomic uint32_t *victim(const struct spot *s, uint32_t day,
				uint32_t *wordp)
{
	_Atomic uint32_t *least[2] = { s->bucket[0], s->bucket[1] };
	uint32_t value[2] = { UINT32_MAX, UINT32_MAX };
	uint32_t word[2] = { 0, 0 };
	unsigned int n_free[2] = { 0, 0 };

	for (unsigned int b = 0; b < 2; b++)
		for (unsigned int i = 0; i < BUCKET; i++) {
			uint32_t w = word_read(&s->bucket[b][i]);
			uint32_t v = worth(w, day);
			n_free[b] += v == 0;
			if (v >= value[b])
				continue;
			value[b] = v;
			word[b] = w;
			least[b] = &s->bucket[b][i];
		}
	unsigned int best = n_free[1] > n_free[0] ? 1 : 0;
	if (n_free[0] + n_free[1] == 0)
		best = value[1] < value[0] ? 1 : 0;
	*wordp = word[best];
	return least[best];
}

/* Takes a place of one that is worth no more than 'most'. */
static bool place(struct admit_known *known, const struct spot *s,
		  uint32_t score, uint32_t most, uint32_t day)
{
	for (unsigned int i = 0; i < TRIES; i++) {
		uint32_t word;
		_Atomic uint32_t *at = victim(s, day, &word);
		if (worth(word, day) > most)
			return false;
		bool was_free = score_of(word) == 0;
		if (!atomic_compare_exchange_strong_explicit(
			    at, &word, word_make(s->mark, score, day),
			    memory_order_relaxed, memory_order_relaxed))
			continue;
		if (was_free)
			atomic_fetch_add_explicit(&known->taken, 1,
						  memory_order_relaxed);
		return true;
	}
	return false;
}

/* Another thread that changes the same word at the same time has the say. */
static void change(_Atomic uint32_t *at, uint32_t word, uint32_t to)
{
	if (word != to)
		(void)atomic_compare_exchange_strong_explicit(
			at, &word, to, memory_order_relaxed,
			memory_order_relaxed);
}

bool admit_known_prove(struct admit_known *known, uint64_t prefix, uint32_t day,
		       bool push)
{
	struct spot s = find_spot(known, prefix);
	uint32_t word = 0;
	_Atomic uint32_t *at = find(&s, &word);

	if (at == NULL)
		return place(known, &s, PROVEN, push ? PROVEN : GOOD - 1, day);
	uint32_t score = worth(word, day);
	if (score < PROVEN)
		score = PROVEN;
	else if (idle_of(word, day) != 0 && score < MOST)
		score++;
	change(at, word, word_make(s.mark, score, day));
	return true;
}

bool admit_known_seen(struct admit_known *known, uint64_t prefix, uint32_t day,
		      bool add)
{
	struct spot s = find_spot(known, prefix);
	uint32_t word = 0;
	_Atomic uint32_t *at = find(&s, &word);

	if (at == NULL)
		return add && place(known, &s, 1, 0, day);
	uint32_t idle = idle_of(word, day);
	if (idle == 0)
		return true;
	uint32_t score = worth(word, day);
	if (score < SHOWN || (score >= PROVEN && score < MOST))
		score++;
	change(at, word, word_make(s.mark, score, day));
	return true;
}

int admit_known_new(uint32_t prefixes, uint64_t seed,
		    struct admit_known **knownp)
{
	uint64_t places = (uint64_t)prefixes * 100 / FULL_PCT;
	uint64_t buckets = places / BUCKET + 1;
	size_t n = sizeof(struct admit_known) + LINE +
		   (size_t)buckets * BUCKET * sizeof(uint32_t);
	/* pages that nobody has touched take no memory */
	struct admit_known *known = calloc(1, n);

	if (known == NULL)
		return -ENOMEM;
	known->seed = seed;
	known->buckets = buckets;
	uintptr_t after = (uintptr_t)(known + 1);
	known->word = (_Atomic uint32_t *)((after + LINE - 1) / LINE * LINE);
	*knownp = known;
	return 0;
}

void admit_known_free(struct admit_known *known)
{
	free(known);
}

uint64_t admit_known_count(const struct admit_known *known)
{
	return atomic_load_explicit(&known->taken, memory_order_relaxed);
}

size_t admit_known_words(const struct admit_known *known)
{
	return (size_t)known->buckets * BUCKET;
}

uint64_t admit_known_bytes(const struct admit_known *known)
{
	return sizeof(*known) + LINE +
	       admit_known_words(known) * sizeof(uint32_t);
}

uint64_t admit_known_seed(const struct admit_known *known)
{
	return known->seed;
}

size_t admit_known_save(const struct admit_known *known, size_t *at,
			uint32_t *to, size_t n)
{
	size_t left = admit_known_words(known) - *at;

	if (n > left)
		n = left;
	for (size_t i = 0; i < n; i++)
		to[i] = word_read(&known->word[*at + i]);
	*at += n;
	return n;
}

void admit_known_load(struct admit_known *known, size_t *at,
		      const uint32_t *from, size_t n)
{
	size_t left = admit_known_words(known) - *at;

	if (n > left)
		n = left;
	for (size_t i = 0; i < n; i++) {
		if (score_of(from[i]) == 0)
			continue;
		atomic_store_explicit(&known->word[*at + i], from[i],
				      memory_order_relaxed);
		atomic_fetch_add_explicit(&known->taken, 1,
					  memory_order_relaxed);
	}
	*at += n;
}

void admit_known_sweep(struct admit_known *known, size_t *at, size_t n,
		       uint32_t day)
{
	size_t words = admit_known_words(known);

	for (; n > 0; n--) {
		if (*at >= words)
			*at = 0;
		_Atomic uint32_t *w = &known->word[(*at)++];
		uint32_t word = word_read(w);
		if (score_of(word) == 0 || worth(word, day) > 0)
			continue;
		if (atomic_compare_exchange_strong_explicit(
			    w, &word, 0, memory_order_relaxed,
			    memory_order_relaxed))
			atomic_fetch_sub_explicit(&known->taken, 1,
						  memory_order_relaxed);
	}
}
