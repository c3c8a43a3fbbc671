/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/admit.h"

#include <string.h>

#define MINUTE_S    60.0f
#define SLOW_S	    7200.0f
#define LEAP	    4.0f  /* a second counts for so many times normal at most */
#define UNDER_SIEGE 2.0f  /* the same under attack */
#define WARM_S	    5u	  /* seconds of few misses end an amnesty */
#define WARM_LEAST  10u	  /* queries of such a second */
#define RISE	    10.0f /* from nothing, a second counts for it at least */
#define IDLE_MAX_S  86400u
#define DAY_S	    86400u
#define USUAL_S	    300.0f
#define LATELY_S    8.0f
#define RESTART_S   60u	 /* what was kept counts for so long */
#define NEW_PART    8.0f /* names nobody knows get so much of the usual */
#define ROOM_LEAST  1.0f /* or that a second */
#define ROOM_S	    4.0f /* what is left over is kept so long */
#define CALM_TIMES  2u	 /* so many times usual, and some, are calm */
#define CALM_MORE   8u
#define SPREAD	    2u /* so many times the normal sources are all over */

#define LOAD(a)	    atomic_load_explicit(&(a), memory_order_relaxed)
#define STORE(a, v) atomic_store_explicit(&(a), (v), memory_order_relaxed)

const char *const admit_reason_names[ADMIT_REASONS] = {
	[ADMIT_OK] = "none",
	[ADMIT_NAME] = "name",
	[ADMIT_SUFFIX] = "suffix",
	[ADMIT_REPEAT] = "repeat",
	[ADMIT_REPEAT_DROP] = "repeat-dropped",
	[ADMIT_SOURCE] = "source",
	[ADMIT_BUSY] = "busy",
	[ADMIT_ORIGIN_RATE] = "origin-rate",
};

const char *const admit_filter_names[CONFIG_FILTERS] = {
	[CONFIG_FILTER_MISSES] = "misses",
	[CONFIG_FILTER_REPEATS] = "repeats",
	[CONFIG_FILTER_UNKNOWN] = "unknown",
	[CONFIG_FILTER_SUFFIXES] = "suffixes",
};

const char *const admit_rate_names[ADMIT_RATES] = {
	[ADMIT_QUERIES] = "queries",
	[ADMIT_MISSES] = "misses",
	[ADMIT_NXDOMAIN] = "nxdomain",
	[ADMIT_PREFIXES] = "sources",
};

/* -- rates ------------------------------------------------------------------
 */

/* Eighths of an octave above 1. */
static const float eighths[8] = { 1.0f,	      1.0905077f, 1.1892071f,
				  1.2968396f, 1.4142136f, 1.5422108f,
				  1.6817928f, 1.8340081f };

uint8_t admit_code(float rate)
{
	float base = 0.0625f;
	unsigned int code = 1;

	if (!(rate >= base))
		return 0;
	for (; code + 8 < 255 && rate >= 2 * base; code += 8)
		base *= 2;
	for (unsigned int i = 7; i > 0; i--)
		if (rate >= base * eighths[i])
			return (uint8_t)(code + i < 255 ? code + i : 255);
	return (uint8_t)code;
}

float admit_decode(uint8_t code)
{
	float base = 0.0625f;

	if (code == 0)
		return 0;
	for (unsigned int octave = (code - 1u) / 8; octave > 0; octave--)
		base *= 2;
	return base * eighths[(code - 1u) % 8];
}

/* 'f' to the power of 'n'. */
static float power(float f, uint32_t n)
{
	float result = 1;

	for (; n > 0; n >>= 1) {
		if ((n & 1) != 0)
			result *= f;
		f *= f;
	}
	return result;
}

/* The mean of 'tau' seconds after a second of 'x' and 'idle' of nothing. */
static float smooth(float mean, float x, uint32_t seen_s, float tau,
		    uint32_t idle_s)
{
	float n = (float)seen_s + 1;
	float weight = n < tau ? 1 / n : 1 / tau;

	mean += (x - mean) * weight;
	return mean * power(1 - 1 / tau, idle_s);
}

/* The floor of what is normal, whatever is learned. */
static float least(const struct config_admission *c, enum admit_rate rate)
{
	if (rate == ADMIT_PREFIXES)
		return ADMIT_SOURCES;
	if (rate == ADMIT_NXDOMAIN)
		return 0;
	if (c->normal != 0 && c->normal < ADMIT_FLOOR)
		return (float)c->normal;
	return ADMIT_FLOOR;
}

uint32_t admit_normal(const struct admit_zone *z,
		      const struct config_admission *c, enum admit_rate rate,
		      uint32_t hours)
{
	if (rate == ADMIT_QUERIES && c->normal != 0)
		return c->normal;
	float normal = least(c, rate);
	float slow = LOAD(z->slow[rate]);
	if (slow > normal)
		normal = slow;
	for (uint32_t i = 0; i < 2; i++) { /* the next hour comes gradually */
		float known = admit_decode(
			LOAD(z->hour[rate][(hours + i) % ADMIT_HOURS]));
		if (known > normal)
			normal = known;
	}
	return normal < 4e9f ? (uint32_t)normal : UINT32_MAX;
}

/* An hour's value is a day old at least, but in the zone's first day. */
static bool has_days(const struct admit_zone *z)
{
	return LOAD(z->learned_s) >= DAY_S;
}

static void hour_end(struct admit_zone *z, enum admit_rate rate, uint32_t at)
{
	float mean = LOAD(z->hour_mean[rate]);
	uint8_t old = LOAD(z->hour[rate][at % ADMIT_HOURS]);

	if (old != 0 || has_days(z)) /* a quarter each day */
		mean = (3 * admit_decode(old) + mean) / 4;
	STORE(z->hour[rate][at % ADMIT_HOURS], admit_code(mean));
	STORE(z->hour_mean[rate], 0);
}

/*
 * What a second is held against: nothing that was learned today, or who raises
 * his rate step by step would be normal by night.
 */
static float known_rate(const struct admit_zone *z,
			const struct config_admission *c, enum admit_rate rate,
			uint32_t hours)
{
	float known = least(c, rate) > RISE ? least(c, rate) : RISE;
	float slow = LOAD(z->slow[rate]);

	if (!has_days(z))
		return slow > known ? slow : known;
	for (uint32_t i = 0; i < 2; i++) {
		float hour = admit_decode(
			LOAD(z->hour[rate][(hours + i) % ADMIT_HOURS]));
		if (hour > known)
			known = hour;
	}
	return known;
}

/* Misses of a second that was like others. */
static void learn_usual(struct admit_zone *z, float missed, uint32_t idle_s)
{
	uint32_t seen_s = LOAD(z->usual_s);

	if (LOAD(z->since_s) != 0 || LOAD(z->amnesty_until_s) != 0 ||
	    LOAD(z->grace_until_s) != 0)
		return;
	STORE(z->usual,
	      smooth(LOAD(z->usual), missed, seen_s, USUAL_S, idle_s));
	STORE(z->lately,
	      smooth(LOAD(z->lately), missed, seen_s, LATELY_S, idle_s));
	STORE(z->usual_s, seen_s + 1 + idle_s);
}

/* Learns from a second in which 'x' came, and 'idle_s' after it. */
static void learn(struct admit_zone *z, const struct config_admission *c,
		  const float *x, uint32_t idle_s, uint32_t hours)
{
	bool siege = LOAD(z->since_s) != 0;
	uint32_t seen_s = LOAD(z->learned_s);
	uint32_t hour_at = LOAD(z->hour_at);
	uint32_t n = LOAD(z->hour_n);

	if (hour_at != hours && n >= 60)
		for (unsigned int r = 0; r < ADMIT_RATES; r++)
			hour_end(z, r, hour_at);
	if (hour_at != hours) {
		STORE(z->hour_at, hours);
		n = 0;
	}
	for (unsigned int r = 0; r < ADMIT_RATES; r++) {
		float slow = LOAD(z->slow[r]);
		float most = known_rate(z, c, r, hours) *
			     (siege ? UNDER_SIEGE : LEAP);
		float take = x[r];
		if (LOAD(z->grace_until_s) == 0 && take > most)
			take = most;
		STORE(z->minute[r], smooth(LOAD(z->minute[r]), x[r], seen_s,
					   MINUTE_S, idle_s));
		STORE(z->slow[r], smooth(slow, take, seen_s, SLOW_S, idle_s));
		float mean = n == 0 ? 0 : LOAD(z->hour_mean[r]);
		float of = (float)n + 1 + (float)idle_s;
		STORE(z->hour_mean[r], (mean * (float)n + take) / of);
	}
	learn_usual(z, x[ADMIT_MISSES], idle_s);
	STORE(z->hour_n, n + 1 + idle_s);
	STORE(z->learned_s, seen_s + 1 + idle_s);
}

/* -- amnesty ----------------------------------------------------------------
 */

void admit_forgive(struct admit_zone *z, uint32_t fills, uint32_t now_s)
{
	uint32_t end = LOAD(z->fills) + fills;
	uint32_t old = LOAD(z->fills_end);

	/* what is forgiven stays so */
	if (fills != 0 && admit_forgiven(z, now_s) &&
	    (old == 0 || (int32_t)(old - end) > 0))
		end = old;
	else
		end = fills == 0 ? 0 : end != 0 ? end : 1;
	STORE(z->fills_end, end);
	STORE(z->warm, 0);
	STORE(z->amnesty_until_s, now_s + ADMIT_AMNESTY_S);
}

bool admit_forgiven(const struct admit_zone *z, uint32_t now_s)
{
	uint32_t until_s = LOAD(z->amnesty_until_s);
	uint32_t end = LOAD(z->fills_end);

	return until_s != 0 && (int32_t)(until_s - now_s) > 0 &&
	       (end == 0 || (int32_t)(end - LOAD(z->fills)) > 0);
}

bool admit_graced(const struct admit_zone *z, uint32_t now_s)
{
	uint32_t until_s = LOAD(z->grace_until_s);

	return until_s != 0 && (int32_t)(until_s - now_s) > 0;
}

/* Ends amnesties whose time is over, or that nobody needs any more. */
static void amnesty_look(struct admit_zone *z, const float *x, uint32_t now_s)
{
	if (LOAD(z->amnesty_until_s) == 0 && LOAD(z->grace_until_s) == 0)
		return;
	uint32_t warm = LOAD(z->warm);
	bool few = x[ADMIT_MISSES] * 10 <= x[ADMIT_QUERIES];
	warm = x[ADMIT_QUERIES] >= WARM_LEAST && few ? warm + 1 : 0;
	STORE(z->warm, warm);
	if (warm >= WARM_S || !admit_forgiven(z, now_s))
		STORE(z->amnesty_until_s, 0);
	if (warm >= WARM_S || !admit_graced(z, now_s))
		STORE(z->grace_until_s, 0);
}

/* -- filters ----------------------------------------------------------------
 */

static uint32_t times(uint32_t normal, uint32_t factor)
{
	uint64_t n = (uint64_t)normal * factor;

	return n < UINT32_MAX / 2 ? (uint32_t)n : UINT32_MAX / 2;
}

struct limits {
	uint32_t queries, misses, unknown, sources;
};

static struct limits limits_of(const struct admit_zone *z,
			       const struct config_admission *c, uint32_t hours)
{
	uint32_t queries = admit_normal(z, c, ADMIT_QUERIES, hours);
	uint32_t misses = admit_normal(z, c, ADMIT_MISSES, hours);

	return (struct limits){
		.queries = times(queries, c->miss_factor),
		.misses = times(misses, c->miss_factor),
		.unknown = times(queries, c->unknown_factor),
		.sources = times(admit_normal(z, c, ADMIT_PREFIXES, hours),
				 SPREAD),
	};
}

void admit_set(struct admit_zone *z, enum config_filter filter, bool on,
	       uint32_t now_s)
{
	uint32_t bit = 1u << filter;
	uint32_t was = on ? atomic_fetch_or_explicit(&z->active, bit,
						     memory_order_relaxed)
			  : atomic_fetch_and_explicit(&z->active, ~bit,
						      memory_order_relaxed);

	STORE(z->calm[filter], 0);
	if (on && (was & bit) == 0)
		STORE(z->filter_since_s[filter], now_s);
	if (on && was == 0) {
		STORE(z->since_s, now_s);
		STORE(z->peak, 0);
	}
	if (!on && (was & ~bit) == 0)
		STORE(z->since_s, 0);
}

/* True if it has begun now. */
static bool begin(struct admit_zone *z, const struct config_admission *c,
		  enum config_filter filter, uint32_t now_s)
{
	if (c->mode[filter] == CONFIG_MODE_OFF)
		return false;
	bool was = admit_active(z, filter);
	admit_set(z, filter, true, now_s);
	return !was;
}

/* What the window holds, against the limits. */
struct view {
	uint32_t queries, missed, sources;
};

static bool is_over(const struct view *v, const struct limits *l,
		    enum config_filter filter, uint32_t part)
{
	switch (filter) {
	case CONFIG_FILTER_MISSES:
		return v->queries > l->queries / part ||
		       v->missed > l->misses / part;
	case CONFIG_FILTER_REPEATS:
		return v->queries > l->queries / part;
	case CONFIG_FILTER_UNKNOWN:
		return v->queries > l->unknown / part &&
		       v->sources > l->sources / part;
	default:
		return false;
	}
}

static bool may_begin(const struct admit_zone *z, enum config_filter filter,
		      uint32_t now_s)
{
	if (admit_graced(z, now_s))
		return false;
	return filter != CONFIG_FILTER_MISSES || !admit_forgiven(z, now_s);
}

static bool begin_all(struct admit_zone *z, const struct config_admission *c,
		      const struct view *v, const struct limits *l,
		      uint32_t now_s)
{
	bool begun = false;

	for (unsigned int f = 0; f < CONFIG_FILTER_SUFFIXES; f++)
		if (is_over(v, l, f, 1) && may_begin(z, f, now_s))
			begun |= begin(z, c, f, now_s);
	return begun;
}

static void end_calm(struct admit_zone *z, const struct config_admission *c,
		     const struct view *v, const struct limits *l,
		     uint32_t elapsed_s)
{
	for (unsigned int f = 0; f < CONFIG_FILTER_SUFFIXES; f++) {
		if (!admit_active(z, f))
			continue;
		uint32_t calm = LOAD(z->calm[f]) + elapsed_s;
		if (is_over(v, l, f, 2))
			calm = elapsed_s - 1; /* nothing came after it */
		if (calm >= ADMIT_CALM_S || c->mode[f] == CONFIG_MODE_OFF)
			admit_set(z, f, false, 0);
		else
			STORE(z->calm[f], (uint8_t)calm);
	}
}

static bool take(struct admit_zone *z)
{
	return atomic_exchange_explicit(&z->busy, 1, memory_order_acquire) == 0;
}

static void give(struct admit_zone *z)
{
	atomic_store_explicit(&z->busy, 0, memory_order_release);
}

static uint32_t exchange(_Atomic uint32_t *counter)
{
	return atomic_exchange_explicit(counter, 0, memory_order_relaxed);
}

static uint32_t floor_of(float f)
{
	return f > 0 ? f < 1e9f ? (uint32_t)f : 1000000000u : 0;
}

/* A counter's growth in the window; the next window begins. */
static uint32_t grown(_Atomic uint32_t *counter, _Atomic uint32_t *from)
{
	uint32_t now = atomic_load_explicit(counter, memory_order_relaxed);
	uint32_t before =
		atomic_exchange_explicit(from, now, memory_order_relaxed);

	return now - before;
}

static float usual_rate(const struct admit_zone *z)
{
	float usual = LOAD(z->usual);
	float lately = LOAD(z->lately);

	return usual > lately ? usual : lately;
}

/* Of two that come at the same time, one more than there is room for may go. */
static bool take_room(_Atomic uint32_t *taken, uint32_t room)
{
	if (LOAD(*taken) >= room)
		return false;
	atomic_fetch_add_explicit(taken, 1, memory_order_relaxed);
	return true;
}

bool admit_try(struct admit_zone *z, enum admit_who who, bool calm)
{
	uint32_t room = LOAD(z->room_good);
	uint32_t most = CALM_TIMES * floor_of(usual_rate(z)) + CALM_MORE;

	if (who == ADMIT_RARE)
		room -= room / 4;
	atomic_fetch_add_explicit(&z->wanted, 1, memory_order_relaxed);
	if ((who == ADMIT_ANYBODY || !take_room(&z->tried_good, room)) &&
	    (!calm || LOAD(z->wanted_last) > most ||
	     LOAD(z->went) >= LOAD(z->room_all)))
		return false;
	atomic_fetch_add_explicit(&z->tried_now, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&z->tried, 1, memory_order_relaxed);
	return true;
}

/* What is left after 'taken'; no more than ROOM_S brings. */
static float leave(float spare, float a_second, uint32_t elapsed_s,
		   uint32_t taken)
{
	float most = ROOM_S * a_second;

	if (elapsed_s > ROOM_S)
		elapsed_s = (uint32_t)ROOM_S;
	spare += a_second * (float)elapsed_s - (float)taken;
	if (spare > most)
		return most;
	return spare > -most ? spare : -most;
}

/* How many may be let through in the next second. */
static void make_room(struct admit_zone *z, uint32_t hours, uint32_t elapsed_s)
{
	uint32_t went = exchange(&z->went);
	uint32_t good = exchange(&z->tried_good);
	uint32_t wanted = exchange(&z->wanted);
	float base = usual_rate(z);
	float known = LOAD(z->slow[ADMIT_MISSES]);

	for (uint32_t i = 0; i < 2; i++) {
		float hour = admit_decode(
			LOAD(z->hour[ADMIT_MISSES][(hours + i) % ADMIT_HOURS]));
		if (hour > known)
			known = hour;
	}
	if (LOAD(z->since_s) == 0) { /* nothing is counted against it */
		STORE(z->spare_good, 0);
		STORE(z->spare_all, 0);
		good = went = 0;
	}
	STORE(z->wanted_last, elapsed_s == 1 ? wanted : 0);
	if (base > known)
		base = known;
	float part =
		base / NEW_PART > ROOM_LEAST ? base / NEW_PART : ROOM_LEAST;
	STORE(z->spare_good, leave(LOAD(z->spare_good), part, elapsed_s, good));
	STORE(z->spare_all,
	      leave(LOAD(z->spare_all), base + part, elapsed_s, went));
	STORE(z->room_good, floor_of(LOAD(z->spare_good)));
	STORE(z->room_all, floor_of(LOAD(z->spare_all)));
}

static void window_end(struct admit_zone *z, const struct config_admission *c,
		       const struct admit_now *now, uint32_t elapsed_s)
{
	uint32_t turned = grown(&z->turned, &z->turned_from);
	uint32_t queries = now->queries - LOAD(z->from);
	struct view v = { .queries = queries,
			  .missed = grown(&z->missed, &z->missed_from),
			  .sources = now->sources };
	uint32_t nx = grown(&z->nx, &z->nx_from);
	uint32_t not_ours =
		exchange(&z->turned_missed) + exchange(&z->tried_now);
	uint32_t let = queries > turned ? queries - turned : 0;
	const float x[ADMIT_RATES] = {
		[ADMIT_QUERIES] = (float)let,
		[ADMIT_MISSES] =
			(float)(v.missed > not_ours ? v.missed - not_ours : 0),
		[ADMIT_NXDOMAIN] = (float)nx,
		[ADMIT_PREFIXES] = (float)now->sources,
	};
	uint32_t idle_s =
		elapsed_s - 1 < IDLE_MAX_S ? elapsed_s - 1 : IDLE_MAX_S;

	STORE(z->last[ADMIT_QUERIES], queries);
	STORE(z->last[ADMIT_MISSES], v.missed);
	STORE(z->last[ADMIT_NXDOMAIN], nx);
	STORE(z->last[ADMIT_PREFIXES], now->sources);
	if (queries > LOAD(z->peak))
		STORE(z->peak, queries);
	struct limits l = limits_of(z, c, now->hours);
	end_calm(z, c, &v, &l, elapsed_s);
	learn(z, c, x, idle_s, now->hours);
	amnesty_look(z, x, now->now_s);
	make_room(z, now->hours, elapsed_s);
}

/* Up to where the new window is nobody's concern. */
static void window_begin(struct admit_zone *z, const struct config_admission *c,
			 const struct admit_now *now)
{
	struct limits l = limits_of(z, c, now->hours);
	uint32_t first = l.queries < l.unknown ? l.queries : l.unknown;

	STORE(z->from, now->queries);
	STORE(z->check_at, first + 1);
	STORE(z->missed_at, l.misses + 1);
	STORE(z->second, now->now_s);
}

bool admit_roll(struct admit_zone *z, const struct config_admission *c,
		const struct admit_now *now)
{
	if (!take(z))
		return false;
	uint32_t elapsed_s = now->now_s - LOAD(z->second);
	if (elapsed_s != 0 && elapsed_s <= INT32_MAX) {
		window_end(z, c, now, elapsed_s);
		window_begin(z, c, now);
	}
	give(z);
	return true;
}

bool admit_check(struct admit_zone *z, const struct config_admission *c,
		 const struct admit_now *now)
{
	if (!take(z))
		return false;
	struct limits l = limits_of(z, c, now->hours);
	struct view v = { .queries = now->queries - LOAD(z->from),
			  .missed = LOAD(z->missed) - LOAD(z->missed_from),
			  .sources = now->sources };
	bool begun = begin_all(z, c, &v, &l, now->now_s);
	if (v.queries >= LOAD(z->check_at))
		STORE(z->check_at, v.queries + v.queries / 8 + 1);
	if (v.missed >= LOAD(z->missed_at))
		STORE(z->missed_at, v.missed + v.missed / 8 + 1);
	give(z);
	return begun;
}

/* -- ceiling ----------------------------------------------------------------
 * Filled by 'rate' thousandths a millisecond; below UNIT * 'debt' nothing goes.
 */

#define UNIT UINT64_C(1000) /* one question */
#define DEBT UINT64_C(1000) /* so many may go in any case, beyond it */

static void bucket_fill(struct admit_bucket *b, uint32_t rate, uint64_t now_ms)
{
	uint64_t depth = (uint64_t)rate * UNIT / 10;
	uint64_t elapsed_ms = now_ms > b->ms ? now_ms - b->ms : 0;

	depth = (depth > UNIT ? depth : UNIT) + DEBT * UNIT;
	if (elapsed_ms > 3600000)
		elapsed_ms = 3600000;
	b->milli = b->begun ? b->milli + elapsed_ms * rate : depth;
	if (b->milli > depth)
		b->milli = depth;
	b->begun = true;
	b->ms = now_ms;
}

bool admit_bucket_has(struct admit_bucket *b, uint32_t rate, uint64_t now_ms)
{
	bucket_fill(b, rate, now_ms);
	return b->milli >= (DEBT + 1) * UNIT;
}

bool admit_bucket_take(struct admit_bucket *b, uint32_t rate, uint64_t now_ms)
{
	if (!admit_bucket_has(b, rate, now_ms))
		return false;
	b->milli -= UNIT;
	return true;
}

void admit_bucket_charge(struct admit_bucket *b, uint32_t rate, uint64_t now_ms)
{
	bucket_fill(b, rate, now_ms);
	b->milli -= b->milli >= UNIT ? UNIT : 0;
}

/* -- life -------------------------------------------------------------------
 */

void admit_zone_init(struct admit_zone *z, const struct admit_now *now)
{
	memset(z, 0, sizeof(*z));
	STORE(z->second, now->now_s);
	STORE(z->from, now->queries);
	STORE(z->check_at, UINT32_MAX);
	STORE(z->missed_at, UINT32_MAX);
	STORE(z->hour_at, now->hours);
	STORE(z->grace_until_s, now->now_s + ADMIT_AMNESTY_S);
	STORE(z->amnesty_until_s, now->now_s + ADMIT_AMNESTY_S);
}

void admit_learned_get(const struct admit_zone *z, struct admit_learned *to)
{
	to->learned_s = LOAD(z->learned_s);
	for (unsigned int r = 0; r < ADMIT_RATES; r++) {
		to->slow[r] = LOAD(z->slow[r]);
		for (unsigned int h = 0; h < ADMIT_HOURS; h++)
			to->hour[r][h] = LOAD(z->hour[r][h]);
	}
}

void admit_learned_put(struct admit_zone *z, const struct admit_learned *from)
{
	for (unsigned int r = 0; r < ADMIT_RATES; r++) {
		float slow = from->slow[r];
		STORE(z->slow[r], slow >= 0 && slow < 4e9f ? slow : 0);
		for (unsigned int h = 0; h < ADMIT_HOURS; h++)
			STORE(z->hour[r][h], from->hour[r][h]);
	}
	STORE(z->usual, LOAD(z->slow[ADMIT_MISSES]));
	STORE(z->lately, LOAD(z->slow[ADMIT_MISSES]));
	STORE(z->usual_s,
	      from->learned_s < RESTART_S ? from->learned_s : RESTART_S);
	STORE(z->learned_s, from->learned_s);
	if (from->learned_s >= ADMIT_AMNESTY_S)
		STORE(z->grace_until_s, 0); /* no new zone */
}
