/* SPDX-License-Identifier: MPL-2.0 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <isc/random.h>

#include "common/rcu.h"
#include "plugin/admission_int.h"
#include "plugin/log.h"
#include "plugin/tablefile.h"

#define KNOWN_NAME  "known.table"
#define NORMAL_NAME "normal.table"
#define WORDS	    16384u
#define SEEN_NAMES  1048576u /* of 4 octets */
#define ROW_N	    (12u + 4 * ADMIT_RATES + ADMIT_RATES * ADMIT_HOURS)

/* -- octets ---------------------------------------------------------------- */

static uint8_t *put32(uint8_t *p, uint32_t n)
{
	n = htole32(n);
	memcpy(p, &n, sizeof(n));
	return p + sizeof(n);
}

static uint8_t *put64(uint8_t *p, uint64_t n)
{
	n = htole64(n);
	memcpy(p, &n, sizeof(n));
	return p + sizeof(n);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof(n));
	return le32toh(n);
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t n;

	memcpy(&n, p, sizeof(n));
	return le64toh(n);
}

static uint32_t bits_of(float f)
{
	uint32_t n;

	memcpy(&n, &f, sizeof(n));
	return n;
}

static float float_of(uint32_t n)
{
	float f;

	memcpy(&f, &n, sizeof(f));
	return f >= 0 ? f : 0; /* no NaN either */
}

/* -- known clients ---------------------------------------------------------
 * The seed, how many words, the day, the words.
 */

#define HEAD_N 24u

struct known_save {
	const struct admit_known *known;
	uint32_t day;
};

static void known_fill(struct tablefile *w, void *arg)
{
	const struct known_save *save = arg;
	const struct admit_known *known = save->known;
	uint32_t *words = malloc(WORDS * sizeof(*words));
	uint8_t head[HEAD_N];
	size_t at = 0;
	size_t n;

	(void)put64(put64(put64(head, admit_known_seed(known)),
			  admit_known_words(known)),
		    save->day);
	tablefile_put(w, head, sizeof(head));
	if (words == NULL)
		tablefile_fail(w, -ENOMEM);
	while (tablefile_ok(w) &&
	       (n = admit_known_save(known, &at, words, WORDS)) > 0) {
		for (size_t i = 0; i < n; i++)
			words[i] = htole32(words[i]);
		tablefile_put(w, words, n * sizeof(*words));
	}
	free(words);
}

static void known_take(struct admit_known *known, const uint8_t *p, size_t n)
{
	uint32_t words[256];
	size_t at = 0;

	while (n >= sizeof(words[0])) {
		size_t m = n / sizeof(words[0]);
		m = m < 256 ? m : 256;
		for (size_t i = 0; i < m; i++)
			words[i] = get32(p + i * sizeof(words[0]));
		admit_known_load(known, &at, words, m);
		p += m * sizeof(words[0]);
		n -= m * sizeof(words[0]);
	}
}

/*
 * What was saved, if it is of a table of this size; else an empty one.  '*day'
 * then goes on from that of the table, whatever the clock had been.
 */
static struct admit_known *known_read(const struct snapshot *s, uint64_t seed,
				      uint32_t *day)
{
	struct admit_known *known = NULL;
	uint8_t *octets = NULL;
	uint64_t away_s;
	size_t n = 0;
	bool have = s->config->snapshot_s != 0 &&
		    tablefile_read(s->config->state_directory, KNOWN_NAME,
				   &octets, &n, &away_s) &&
		    n >= HEAD_N;

	if (admit_known_new(s->config->known_max, have ? get64(octets) : seed,
			    &known) != 0)
		known = NULL;
	if (known != NULL && have && get64(octets + 8) == (n - HEAD_N) / 4 &&
	    admit_known_words(known) == (n - HEAD_N) / 4) {
		known_take(known, octets + HEAD_N, n - HEAD_N);
		uint64_t wall_s = (uint64_t)time(NULL);
		uint64_t days = wall_s / 86400;
		if (away_s <= wall_s)
			days -= (wall_s - away_s) / 86400;
		*day = (uint32_t)(get64(octets + 16) + days);
	}
	free(octets);
	return known;
}

static bool wants_known(const struct config *config)
{
	for (size_t i = 0; i < config->n_zones; i++)
		if (config->zones[i].admission.any)
			return true;
	return false;
}

/* Once it is there it stays, for zones that come back. */
static void known_configure(struct process *p, const struct snapshot *s)
{
	struct admit *admit = p->admit;
	struct admit_known *old = atomic_load(&admit->known);
	struct admit_known *known = NULL;
	uint64_t seed;

	if (old != NULL ? admit->known_max == s->config->known_max
			: !wants_known(s->config))
		return;
	isc_random_buf(&seed, sizeof(seed));
	if (old == NULL) {
		uint32_t day = (uint32_t)((uint64_t)time(NULL) / 86400);
		known = known_read(s, seed, &day);
		atomic_store(&admit->day, day);
	} else if (admit_known_new(s->config->known_max, seed, &known) != 0) {
		known = NULL;
	}
	if (known == NULL) {
		log_write(ISC_LOG_ERROR, "no memory for %u known clients",
			  s->config->known_max);
		return;
	}
	admit->known_max = s->config->known_max;
	atomic_store_explicit(&admit->known, known, memory_order_release);
	if (old != NULL) {
		rcu_wait();
		admit_known_free(old);
	}
}

/* -- what is normal --------------------------------------------------------
 * A row a zone: a hash of its id, seconds, rates, and these by the hour.
 */

static uint64_t id_hash(const struct zone *zone)
{
	const char *id = zone->config->id;

	return XXH3_64bits(id, strlen(id));
}

static void row_put(struct tablefile *w, uint64_t id,
		    const struct admit_learned *l)
{
	uint8_t row[ROW_N];
	uint8_t *p = put32(put64(row, id), l->learned_s);

	for (size_t r = 0; r < ADMIT_RATES; r++)
		p = put32(p, bits_of(l->slow[r]));
	memcpy(p, l->hour, sizeof(l->hour));
	tablefile_put(w, row, sizeof(row));
}

struct normal {
	struct admit *admit;
	const struct snapshot *snapshot;
};

static void normal_fill(struct tablefile *w, void *arg)
{
	const struct normal *normal = arg;
	struct admit *admit = normal->admit;
	const struct snapshot *s = normal->snapshot;
	struct admit_learned learned;

	for (size_t i = 0; i < s->n; i++) {
		const struct zone *zone = &s->zone[i];
		const struct admit_zone *z = admission_of(zone);
		if (z == NULL || zone->shares)
			continue;
		admit_learned_get(z, &learned);
		row_put(w, id_hash(zone), &learned);
	}
	/* zones that nobody has asked for since the start */
	pthread_mutex_lock(&admit->kept_lock);
	for (size_t i = 0; i < admit->n_kept; i++)
		if (!admit->kept[i].used)
			row_put(w, admit->kept[i].id, &admit->kept[i].learned);
	pthread_mutex_unlock(&admit->kept_lock);
}

static int by_id(const void *a, const void *b)
{
	const struct admission_kept *x = a;
	const struct admission_kept *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static void normal_take(struct admit *admit, const uint8_t *p, size_t n,
			uint64_t away_s)
{
	size_t rows = n / ROW_N;
	struct admission_kept *kept = calloc(rows + 1, sizeof(*kept));

	if (kept == NULL || away_s > UINT64_C(31536000)) {
		free(kept);
		return;
	}
	for (size_t i = 0; i < rows; i++, p += ROW_N) {
		struct admit_learned *l = &kept[i].learned;
		kept[i].id = get64(p);
		l->learned_s = get32(p + 8);
		for (size_t r = 0; r < ADMIT_RATES; r++)
			l->slow[r] = float_of(get32(p + 12 + 4 * r));
		memcpy(l->hour, p + 12 + 4 * ADMIT_RATES, sizeof(l->hour));
	}
	qsort(kept, rows, sizeof(*kept), by_id);
	pthread_mutex_lock(&admit->kept_lock);
	admit->kept = kept;
	admit->n_kept = rows;
	pthread_mutex_unlock(&admit->kept_lock);
}

bool admission_kept_take(struct admit *admit, const struct zone *zone,
			 struct admit_learned *learned)
{
	struct admission_kept want = { .id = id_hash(zone) };

	pthread_mutex_lock(&admit->kept_lock);
	struct admission_kept *kept =
		admit->n_kept > 0 ? bsearch(&want, admit->kept, admit->n_kept,
					    sizeof(want), by_id)
				  : NULL;
	bool have = kept != NULL && !kept->used;
	if (have) {
		kept->used = true;
		*learned = kept->learned;
	}
	pthread_mutex_unlock(&admit->kept_lock);
	return have;
}

/* -- both ------------------------------------------------------------------ */

void admission_configure(struct process *p, const struct snapshot *s,
			 bool first)
{
	uint64_t away_s;
	uint8_t *octets;
	size_t n;

	atomic_store(&p->admit->hours, (uint32_t)((uint64_t)time(NULL) / 3600));
	known_configure(p, s);
	if (!first || s->config->snapshot_s == 0 ||
	    !tablefile_read(s->config->state_directory, NORMAL_NAME, &octets,
			    &n, &away_s))
		return;
	normal_take(p->admit, octets, n, away_s);
	free(octets);
}

void admission_save(struct process *p, const struct snapshot *s)
{
	struct admit *admit = p->admit;
	struct normal normal = { admit, s };
	const char *directory = s->config->state_directory;
	struct admit_known *known;

	/* replaced by who puts in force: that is the worker, too */
	known = atomic_load(&admit->known);
	struct known_save save = { known, atomic_load(&admit->day) };
	if (known != NULL && admit_known_count(known) > 0)
		tablefile_save(directory, KNOWN_NAME, known_fill, &save);
	tablefile_save(directory, NORMAL_NAME, normal_fill, &normal);
}

int admission_new(struct process *p)
{
	struct admit *admit = calloc(1, sizeof(*admit));

	if (admit == NULL)
		return -ENOMEM;
	isc_random_buf(&admit->seed, sizeof(admit->seed));
	(void)pthread_mutex_init(&admit->kept_lock, NULL);
	p->admit = admit;
	if (admit_repeats_new(&admit->repeats) != 0 ||
	    admit_seen_new(SEEN_NAMES, &admit->seen) != 0 ||
	    admit_suffixes_new(admit->seed, &admit->suffixes) != 0) {
		admission_free(p);
		return -ENOMEM;
	}
	return 0;
}

void admission_free(struct process *p)
{
	struct admit *admit = p->admit;

	p->admit = NULL;
	if (admit == NULL)
		return;
	admit_known_free(atomic_load(&admit->known));
	admit_repeats_free(admit->repeats);
	admit_seen_free(admit->seen);
	admit_suffixes_free(admit->suffixes);
	(void)pthread_mutex_destroy(&admit->kept_lock);
	free(admit->siege);
	free(admit->kept);
	free(admit);
}
