/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * admit - what is normal for a zone, and which of its filters work: learned
 * rates by the hour of the day, onset within a second, release with
 * hysteresis, amnesty.
 *
 * Pure: time is an argument.  A zone's state is written by any thread, with
 * relaxed atomics and without waiting: who comes first in a new second ends the
 * one before ('busy'), the others go on.  So a figure may miss a query that
 * came meanwhile; nothing depends on it.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"

#define ADMIT_FLOOR	100u /* queries a second that are always normal */
#define ADMIT_SOURCES	64u  /* the same of prefixes */
#define ADMIT_AMNESTY_S 120u
#define ADMIT_CALM_S	5u /* below half the threshold: then a filter ends */
#define ADMIT_HOURS	24u

/* Why something was refused. */
enum admit_reason {
	ADMIT_OK,
	ADMIT_NAME,	   /* not known to exist: miss filter */
	ADMIT_SUFFIX,	   /* the same below a suffix under attack */
	ADMIT_REPEAT,	   /* truncated or BADCOOKIE: repeat filter */
	ADMIT_REPEAT_DROP, /* not answered at all: the same */
	ADMIT_SOURCE,	   /* truncated or BADCOOKIE: unknown source */
	ADMIT_BUSY,	   /* unknown source, and little room to wait */
	ADMIT_ORIGIN_RATE, /* the origins' ceiling was reached */
	ADMIT_REASONS
};
extern const char *const admit_reason_names[ADMIT_REASONS];
extern const char *const admit_filter_names[CONFIG_FILTERS];

/* What is measured, each a second. */
enum admit_rate {
	ADMIT_QUERIES,
	ADMIT_MISSES,	/* what an origin would have to be asked for */
	ADMIT_NXDOMAIN, /* origins' answers that say so */
	ADMIT_PREFIXES, /* different sources */
	ADMIT_RATES
};
extern const char *const admit_rate_names[ADMIT_RATES];

struct admit_zone {
	/* looked at by each query */
	_Atomic uint32_t second;   /* of the window */
	_Atomic uint32_t from;	   /* queries before it */
	_Atomic uint32_t check_at; /* queries in it that are to be looked at */
	_Atomic uint32_t active;   /* bits, 1 << enum config_filter */
	/* counted, beside the queries */
	_Atomic uint32_t missed, missed_from, missed_at;
	_Atomic uint32_t nx, nx_from;
	_Atomic uint32_t turned, turned_from; /* away: refused */
	_Atomic uint32_t turned_missed;	      /* in this second: misses of it */
	_Atomic uint64_t refused[ADMIT_REASONS];
	_Atomic uint64_t would[ADMIT_REASONS]; /* in observe */
	_Atomic uint64_t passed; /* misses let through: the name exists */
	_Atomic uint64_t tried;	 /* the same though nobody knew that it does */
	_Atomic uint64_t spared; /* known sources let through */
	/* questions that went in this second */
	_Atomic uint32_t went;
	/* names nobody knew, in it: asked for, let through, and for the good */
	_Atomic uint32_t wanted, wanted_last, tried_now, tried_good;
	/* what there is for these: for known sources; for all, in all */
	_Atomic uint32_t room_good, room_all;
	/* learned; by who is 'busy' */
	_Atomic float usual;  /* misses a second, of no attack or amnesty */
	_Atomic float lately; /* the same, over less time */
	_Atomic uint32_t usual_s;
	_Atomic float spare_good, spare_all; /* what rooms are made of */
	_Atomic uint32_t busy;
	_Atomic uint32_t learned_s; /* seconds that were */
	_Atomic float minute[ADMIT_RATES], slow[ADMIT_RATES];
	_Atomic float hour_mean[ADMIT_RATES];
	_Atomic uint32_t hour_n, hour_at; /* seconds; hours since 1970 */
	_Atomic uint8_t hour[ADMIT_RATES][ADMIT_HOURS]; /* admit_code() */
	_Atomic uint32_t last[ADMIT_RATES]; /* of the last whole second */
	_Atomic uint32_t peak; /* queries a second, of the attack */
	/* amnesty */
	_Atomic uint32_t grace_until_s;	   /* of all filters: a new zone */
	_Atomic uint32_t amnesty_until_s;  /* of misses and suffixes */
	_Atomic uint32_t fills, fills_end; /* it ends there; 0: it does not */
	_Atomic uint32_t warm;		   /* seconds with few misses */
	/* the attack */
	_Atomic uint32_t since_s; /* 0: none */
	_Atomic uint32_t filter_since_s[CONFIG_FILTERS];
	_Atomic uint8_t calm[CONFIG_FILTERS];
};

/* Where and when a look is taken. */
struct admit_now {
	uint32_t now_s;	  /* monotonic, never 0 */
	uint32_t hours;	  /* wall clock, since 1970 */
	uint32_t queries; /* the zone's counter, low 32 bits */
	uint32_t sources; /* different ones in the window */
};

/* A zone of which nothing is known; nobody else sees it yet. */
void admit_zone_init(struct admit_zone *z, const struct admit_now *now);

/*
 * A new second has begun: learns from the one before, ends filters and
 * amnesties.  False: another thread is at it.
 */
bool admit_roll(struct admit_zone *z, const struct config_admission *c,
		const struct admit_now *now);

/*
 * The window has more than it should: begins filters.  True if one has begun.
 */
bool admit_check(struct admit_zone *z, const struct config_admission *c,
		 const struct admit_now *now);

/* For a query, the zone's n-th: is there anything to do? */
static inline bool admit_quiet(struct admit_zone *z, uint32_t n, uint32_t now_s)
{
	return atomic_load_explicit(&z->second, memory_order_relaxed) ==
		       now_s &&
	       n - atomic_load_explicit(&z->from, memory_order_relaxed) <
		       atomic_load_explicit(&z->check_at, memory_order_relaxed);
}

/* Counts one that an origin would have to be asked for; true: look at it. */
static inline bool admit_missed(struct admit_zone *z)
{
	uint32_t n =
		atomic_fetch_add_explicit(&z->missed, 1, memory_order_relaxed) +
		1;

	return n - atomic_load_explicit(&z->missed_from,
					memory_order_relaxed) >=
	       atomic_load_explicit(&z->missed_at, memory_order_relaxed);
}

/* It is refused. */
static inline void admit_turned(struct admit_zone *z, enum admit_reason why)
{
	bool missed =
		why == ADMIT_NAME || why == ADMIT_SUFFIX || why == ADMIT_BUSY;

	atomic_fetch_add_explicit(&z->turned, 1, memory_order_relaxed);
	if (missed)
		atomic_fetch_add_explicit(&z->turned_missed, 1,
					  memory_order_relaxed);
}

/* For a miss, origins are asked, as nobody has yet. */
static inline void admit_went(struct admit_zone *z)
{
	atomic_fetch_add_explicit(&z->went, 1, memory_order_relaxed);
}

/* Who asks for a name that nobody knows to exist. */
enum admit_who {
	ADMIT_ANYBODY,
	ADMIT_RARE, /* who has not done so lately */
	ADMIT_GOOD, /* who is known to be good */
};

/*
 * While misses are filtered: may they be asked for such a name?  A little of
 * what is usual is left to those who are good, or most of that to those who do
 * so rarely; and, while no more of these names are wanted than is usual, the
 * rest of it to all ('calm': it may be taken).
 */
bool admit_try(struct admit_zone *z, enum admit_who who, bool calm);

static inline bool admit_active(const struct admit_zone *z,
				enum config_filter filter)
{
	return (atomic_load_explicit(&z->active, memory_order_relaxed) >>
			filter &
		1) != 0;
}

/* A filter that others decide on begins or ends (suffixes). */
void admit_set(struct admit_zone *z, enum config_filter filter, bool on,
	       uint32_t now_s);

/* What is normal at this hour. */
uint32_t admit_normal(const struct admit_zone *z,
		      const struct config_admission *c, enum admit_rate rate,
		      uint32_t hours);

/*
 * Misses are nobody's fault: all that was in memory has gone, 'fills' answers
 * (0: it is not known how many).
 */
void admit_forgive(struct admit_zone *z, uint32_t fills, uint32_t now_s);

/* True while misses are forgiven; and while all is: the zone is new. */
bool admit_forgiven(const struct admit_zone *z, uint32_t now_s);
bool admit_graced(const struct admit_zone *z, uint32_t now_s);

/* -- A ceiling: so many a second, and a tenth of a second's at once. */
struct admit_bucket {
	uint64_t ms;	/* when it was looked at */
	uint64_t milli; /* thousandths */
	bool begun;
};

/* True if one more may go, which is then counted; 'rate': 1..10^7. */
bool admit_bucket_take(struct admit_bucket *b, uint32_t rate, uint64_t now_ms);

/* The same, and nothing is counted. */
bool admit_bucket_has(struct admit_bucket *b, uint32_t rate, uint64_t now_ms);

/* Counts one that goes in any case: others wait for it. */
void admit_bucket_charge(struct admit_bucket *b, uint32_t rate,
			 uint64_t now_ms);

/* A rate in an octet, to an eighth of an octave; 0: none is known. */
uint8_t admit_code(float rate);
float admit_decode(uint8_t code);

/* What is kept across restarts. */
struct admit_learned {
	uint32_t learned_s;
	float slow[ADMIT_RATES];
	uint8_t hour[ADMIT_RATES][ADMIT_HOURS];
};
void admit_learned_get(const struct admit_zone *z, struct admit_learned *to);
/* To a new zone. */
void admit_learned_put(struct admit_zone *z, const struct admit_learned *from);
