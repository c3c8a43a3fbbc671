/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/persist.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "cacheproxy/snapshot.h"
#include "common/rcu.h"
#include "plugin/fresh.h"
#include "plugin/log.h"
#include "plugin/map.h"
#include "plugin/state.h"

#define STEP_ENTRIES 64u
#define STEP_OCTETS  (4 << 20) /* of a file that is given back */
#define STEP_BUCKETS 64u       /* of one RCU section */
#define NONE	     UINT32_MAX

/* -- zones ----------------------------------------------------------------- */

static uint64_t hash_text(const char *text, uint64_t seed)
{
	return text != NULL ? XXH3_64bits_withSeed(text, strlen(text), seed)
			    : seed;
}

/*
 * What config_origins_equal() compares, as a number.  The addresses have no
 * octets that say nothing.
 */
static uint64_t hash_origins(const struct config_zone *zone)
{
	uint64_t h = zone->n_origins;

	for (size_t i = 0; i < zone->n_origins; i++) {
		const struct config_origin *o = &zone->origins[i];
		uint32_t rest[2] = { (uint32_t)o->transport, o->timeout_ms };
		h = XXH3_64bits_withSeed(&o->address, sizeof(o->address), h);
		h = XXH3_64bits_withSeed(&o->source, sizeof(o->source), h);
		h = XXH3_64bits_withSeed(rest, sizeof(rest), h);
		h = XXH3_64bits_withSeed(o->key.wire, o->key.n, h);
		h = hash_text(o->tls_name, h);
		h = hash_text(o->tls_ca, h);
	}
	return h;
}

/* A zone of the configuration, by a number it is looked up by. */
struct known {
	uint64_t id; /* identity in the cache, or hash of name and origins */
	uint64_t origins;
	struct zone *zone;
	uint64_t serial; /* of its answers, see fresh_serial() */
	uint32_t number; /* in the file */
};

struct zones {
	size_t n;
	struct known zone[];
};

static int by_id(const void *a, const void *b)
{
	const struct known *x = a;
	const struct known *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static uint64_t hash_zone(const struct dname *name, uint64_t origins)
{
	return XXH3_64bits_withSeed(name->wire, name->n, origins);
}

/* By identity in the cache, or else by name and origins; NULL: no memory. */
static struct zones *zones_new(struct snapshot *s, bool by_cache)
{
	struct zones *z = malloc(sizeof(*z) + s->n * sizeof(z->zone[0]));

	if (z == NULL)
		return NULL;
	z->n = s->n;
	for (size_t i = 0; i < s->n; i++) {
		struct zone *zone = &s->zone[i];
		struct known *k = &z->zone[i];
		*k = (struct known){ .zone = zone,
				     .serial = fresh_serial(zone),
				     .number = NONE };
		k->origins = hash_origins(zone->config);
		k->id = by_cache ? atomic_load(&zone->state->cache_id)
				 : hash_zone(&zone->config->name, k->origins);
	}
	qsort(z->zone, z->n, sizeof(z->zone[0]), by_id);
	return z;
}

static struct known *zones_find(struct zones *z, uint64_t id)
{
	struct known key = { .id = id };

	return z->n > 0 ? bsearch(&key, z->zone, z->n, sizeof(key), by_id)
			: NULL;
}

/* -- files that go --------------------------------------------------------- */

struct lost {
	int fd;
	off_t size;
};

static bool give_back_step(void *arg)
{
	struct lost *f = arg;

	f->size = f->size > STEP_OCTETS ? f->size - STEP_OCTETS : 0;
	return ftruncate(f->fd, f->size) != 0 || f->size == 0;
}

/*
 * Closes a file that has no name any more (-1: none).  The kernel would free
 * all its pages in one go, and keep a CPU from named meanwhile.
 */
static void give_back(const struct process *p, int fd)
{
	struct lost f = { .fd = fd };
	struct slicer_work work = { .step = give_back_step, .arg = &f };
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 0) {
		f.size = st.st_size;
		slicer_run(&work, &p->serving, &p->n_jobs);
	}
	(void)close(fd);
}

/* For give_back(), before the name goes. */
static int hold(const char *path)
{
	return open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

/* -- saving ---------------------------------------------------------------- */

struct saver {
	const struct process *p;
	struct snapshot_writer *writer;
	struct zones *zones;
	uint32_t now_s;
	uint32_t spoiled; /* as it was when this began */
	bool last;	  /* nothing may end it early */
	size_t at;	  /* the next bucket */
	size_t skip;	  /* its entries that are saved already */
	int rc;
	uint64_t saved;
};

static int write_all(void *arg, const void *octets, size_t n)
{
	const int *fd = arg;
	const uint8_t *p = octets;

	while (n > 0) {
		ssize_t done = write(*fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

static int save_entry(struct saver *s, const struct store_entry *e)
{
	struct known *k;

	if (e->kind >= STORE_FAILURE || !store_usable_stale(e, s->now_s))
		return 0;
	k = zones_find(s->zones, e->zone);
	if (k == NULL) /* of a zone that was purged, or is gone */
		return 0;
	if (k->number == NONE) {
		int64_t n = snapshot_add_zone(s->writer, &k->zone->config->name,
					      k->origins, k->serial);
		if (n < 0)
			return (int)n;
		k->number = (uint32_t)n;
	}
	int rc =
		snapshot_add(s->writer, k->number, e, store_age_s(e, s->now_s));
	s->saved += rc == 0;
	return rc;
}

/* Reader.  Returns 0 when all of the bucket is saved, else as save_entry(). */
static int save_bucket(struct saver *s, size_t i)
{
	const struct store_entry *e = store_bucket(s->p->store, i);
	size_t at = 0;

	for (; e != NULL; e = store_bucket_next(e), at++) {
		int rc = at >= s->skip ? save_entry(s, e) : 0;
		if (rc != 0) {
			s->skip = at;
			return rc;
		}
	}
	s->skip = 0;
	return 0;
}

static bool is_void(const struct saver *s)
{
	return !s->last && (atomic_load(&s->p->stopping) ||
			    atomic_load(&s->p->spoiled) != s->spoiled);
}

static bool save_step(void *arg)
{
	struct saver *s = arg;
	size_t n = store_buckets(s->p->store);
	size_t end = s->at + STEP_BUCKETS < n ? s->at + STEP_BUCKETS : n;
	int rc = is_void(s) ? -ECANCELED : 0;

	rcu_enter();
	for (; rc == 0 && s->at < end; s->at += rc == 0)
		rc = save_bucket(s, s->at);
	rcu_leave();
	s->rc = rc == -ENOBUFS ? snapshot_flush(s->writer) : rc;
	return s->rc != 0 || s->at >= n;
}

static int save_walk(struct saver *s)
{
	struct slicer_work work = { .step = save_step, .arg = s };

	slicer_run(&work, &s->p->serving, &s->p->n_jobs);
	return s->rc != 0 ? s->rc : snapshot_end(s->writer);
}

static int save_file(struct saver *s, const char *path)
{
	int fd = open(path,
		      O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		      0640);

	if (fd < 0)
		return -errno;
	int rc = snapshot_writer_new(write_all, &fd, (uint64_t)time(NULL),
				     &s->writer);
	if (rc == 0)
		rc = save_walk(s);
	snapshot_writer_free(s->writer);
	if (rc == 0 && fsync(fd) != 0)
		rc = -errno;
	if (close(fd) != 0 && rc == 0)
		rc = -errno;
	return rc;
}

/* So that the new name is there after a crash of the machine, too. */
static int sync_directory(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int rc = fsync(fd) == 0 ? 0 : -errno;
	(void)close(fd);
	return rc;
}

static bool path_of(const char *directory, const char *name, char *path)
{
	int n = snprintf(path, STATE_PATH_MAX, "%s/%s", directory, name);

	return n > 0 && n < STATE_PATH_MAX;
}

static void note_saved(struct process *p, const struct saver *s)
{
	atomic_store(&p->snapshot_saved, s->saved);
	atomic_store(&p->snapshot_wall_s, (int64_t)time(NULL));
}

/* Saves all that 's' serves; blocks. */
static void save(struct process *p, struct snapshot *s, bool last)
{
	const char *directory = s->config->state_directory;
	struct saver saver = { .p = p,
			       .now_s = clock_now_s(),
			       .spoiled = atomic_load(&p->spoiled),
			       .last = last };
	char path[STATE_PATH_MAX];
	char fresh[STATE_PATH_MAX];

	if (!path_of(directory, PERSIST_NAME, path) ||
	    !path_of(directory, PERSIST_NAME ".new", fresh))
		return;
	saver.zones = zones_new(s, true);
	int rc = saver.zones != NULL ? save_file(&saver, fresh) : -ENOMEM;
	free(saver.zones);
	if (rc == 0 && is_void(&saver))
		rc = -ECANCELED;
	int old = rc == 0 ? hold(path) : -1;
	if (rc == 0 && rename(fresh, path) != 0)
		rc = -errno;
	if (rc == 0)
		(void)sync_directory(directory);
	give_back(p, old);
	if (rc == 0) {
		note_saved(p, &saver);
		log_write(last ? ISC_LOG_INFO : ISC_LOG_DEBUG(1),
			  "saved %llu answers in '%s'",
			  (unsigned long long)saver.saved, path);
		return;
	}
	(void)unlink(fresh);
	if (rc != -ECANCELED)
		log_write(ISC_LOG_ERROR, "cannot save the cache in '%s': %s",
			  path, log_error(rc, (char[LOG_ERROR_MAX]){ 0 }));
}

struct save_job {
	struct job job;
	struct engine *engine;
	struct snapshot *snapshot; /* held */
};

static void save_done(struct job *job)
{
	struct save_job *j = (struct save_job *)job;

	j->engine->saving = false;
	j->engine->saved_s = process_now_s(j->engine->process);
	snapshot_unref(j->snapshot);
	free(j);
}

static void save_now(struct job *job)
{
	struct save_job *j = (struct save_job *)job;

	save(j->engine->process, j->snapshot, false);
	j->job.run = save_done;
	engine_post(j->engine, &j->job);
}

void persist_tick(struct engine *e, uint32_t now_s)
{
	struct process *p = e->process;

	if (e->snapshot == NULL || e->saving || atomic_load(&p->stopping))
		return;
	uint32_t every_s = e->snapshot->config->snapshot_s;
	if (e->saved_s == 0)
		e->saved_s = now_s;
	if (every_s == 0 || now_s - e->saved_s < every_s)
		return;
	struct save_job *j = malloc(sizeof(*j));
	if (j == NULL)
		return;
	*j = (struct save_job){ .job = { .run = save_now },
				.engine = e,
				.snapshot = e->snapshot };
	snapshot_ref(e->snapshot);
	e->saving = true;
	process_work(p, &j->job);
}

void persist_save_last(struct process *p)
{
	struct snapshot *s = p->all != NULL ? p->all->snapshot : NULL;

	if (s != NULL && s->config->snapshot_s > 0)
		save(p, s, true);
}

/* -- reading --------------------------------------------------------------- */

struct reading {
	struct zones *zones;
	int fd;
};

static int64_t read_some(void *arg, void *octets, size_t n)
{
	const struct reading *r = arg;
	uint8_t *p = octets;
	size_t done = 0;

	while (done < n) {
		ssize_t got = read(r->fd, p + done, n - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (int64_t)done;
}

static uint64_t find_zone(void *arg, const struct dname *name, uint64_t origins,
			  uint64_t serial)
{
	const struct reading *r = arg;
	struct known *k = zones_find(r->zones, hash_zone(name, origins));

	if (k == NULL || k->origins != origins ||
	    !dname_equal(&k->zone->config->name, name))
		return 0;
	k->serial = serial;
	k->number = 0;
	return atomic_load(&k->zone->state->cache_id);
}

static int load(const struct process *p, struct snapshot *s,
		struct reading *reading, struct snapshot_result *result)
{
	struct snapshot_source source = {
		.read = read_some,
		.zone = find_zone,
		.arg = reading,
		.store = p->store,
		.limit_bytes = s->config->cache_size_bytes,
		.wall_s = (uint64_t)time(NULL),
		.now_s = clock_now_s(),
	};

	reading->zones = zones_new(s, false);
	return reading->zones != NULL ? snapshot_load(&source, result)
				      : -ENOMEM;
}

/* Entries on their way back into the store. */
struct restore {
	struct job job;
	struct slicer_work work;
	struct engine *engine;
	struct snapshot *snapshot; /* held */
	struct zones *zones;	   /* NULL: told already */
	struct store_entry *list;
	uint32_t spoiled; /* as it was before the file was opened */
};

/* Before anything is put back. */
static void tell_serials(struct restore *r)
{
	for (size_t i = 0; r->zones != NULL && i < r->zones->n; i++)
		if (r->zones->zone[i].number != NONE)
			fresh_restored(r->engine, r->zones->zone[i].zone,
				       r->zones->zone[i].serial);
	free(r->zones);
	r->zones = NULL;
}

/* Puts some back; what is in the store already is newer, and stays. */
static bool restore_step(void *arg)
{
	struct restore *r = arg;
	struct process *p = r->engine->process;
	bool spoiled = atomic_load(&p->spoiled) != r->spoiled;

	for (unsigned int i = 0; i < STEP_ENTRIES && r->list != NULL; i++) {
		struct store_entry *e = r->list;
		r->list = e->fore;
		if (!spoiled)
			store_restore(p->store, e);
		store_unref(e);
	}
	if (r->list != NULL)
		return false;
	atomic_store(&p->restoring, false);
	snapshot_unref(r->snapshot);
	free(r);
	return true;
}

static void restore_begin(struct job *job)
{
	struct restore *r = (struct restore *)job;

	tell_serials(r);
	r->work = (struct slicer_work){ .step = restore_step, .arg = r };
	slicer_add(&r->engine->slicer, &r->work);
}

static const char *why_not(int rc, char *out)
{
	switch (rc) {
	case -EBADMSG:
		return "damaged";
	case -EPROTONOSUPPORT:
		return "written by another version";
	case -ETIME:
		return "written in the future, or the clock was put back";
	default:
		return log_error(rc, out);
	}
}

static struct restore *restore_new(struct process *p, struct snapshot *s,
				   struct zones *zones, uint32_t spoiled,
				   const struct snapshot_result *result)
{
	struct restore *r = malloc(sizeof(*r));

	if (r == NULL) {
		snapshot_list_free(result->list);
		free(zones);
		return NULL;
	}
	snapshot_ref(s);
	*r = (struct restore){ .job = { .run = restore_begin },
			       .engine = p->engine,
			       .snapshot = s,
			       .zones = zones,
			       .list = result->list,
			       .spoiled = spoiled };
	atomic_store(&p->snapshot_restored, result->entries);
	atomic_store(&p->restoring, true);
	return r;
}

struct restore *persist_read(struct process *p, struct snapshot *s)
{
	uint32_t spoiled = atomic_load(&p->spoiled);
	struct reading reading = { .fd = -1 };
	struct snapshot_result result;
	char path[STATE_PATH_MAX];

	if (s->config->snapshot_s == 0 ||
	    !path_of(s->config->state_directory, PERSIST_NAME, path))
		return NULL;
	reading.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (reading.fd < 0 && errno == ENOENT)
		return NULL;
	int rc = reading.fd >= 0 ? load(p, s, &reading, &result) : -errno;
	if (reading.fd >= 0)
		(void)close(reading.fd);
	if (rc != 0) {
		free(reading.zones);
		log_write(ISC_LOG_ERROR,
			  "snapshot '%s' is refused: %s; the cache is empty",
			  path, why_not(rc, (char[LOG_ERROR_MAX]){ 0 }));
		return NULL;
	}
	log_write(ISC_LOG_INFO,
		  "snapshot '%s', %u seconds old: %llu answers read, %llu "
		  "expired, %llu of zones that are not here, %llu without room",
		  path, result.age_s, (unsigned long long)result.entries,
		  (unsigned long long)result.expired,
		  (unsigned long long)result.foreign,
		  (unsigned long long)result.over);
	return restore_new(p, s, reading.zones, spoiled, &result);
}

void persist_put_back(struct process *p, struct restore *r)
{
	if (r != NULL)
		engine_post(p->engine, &r->job);
}

/* -- purges ---------------------------------------------------------------- */

struct spoil {
	struct job job;
	struct engine *engine;
	struct snapshot *snapshot; /* held */
	struct job *then;
};

static void spoil_done(struct job *job)
{
	struct spoil *s = (struct spoil *)job;
	struct job *then = s->then;

	snapshot_unref(s->snapshot);
	free(s);
	then->run(then);
}

/* Returns what give_back() wants. */
static int remove_file(const struct snapshot *s)
{
	char path[STATE_PATH_MAX];

	if (!path_of(s->config->state_directory, PERSIST_NAME, path))
		return -1;
	int fd = hold(path);
	if (unlink(path) != 0 && errno != ENOENT)
		log_write(ISC_LOG_ERROR, "cannot remove '%s': %s", path,
			  log_error(-errno, (char[LOG_ERROR_MAX]){ 0 }));
	return fd;
}

static void spoil_now(struct job *job)
{
	struct spoil *s = (struct spoil *)job;
	struct engine *e = s->engine;
	int fd = remove_file(s->snapshot);

	s->job.run = spoil_done;
	engine_post(e, &s->job);
	give_back(e->process, fd);
}

void persist_forget(struct engine *e)
{
	atomic_fetch_add(&e->process->spoiled, 1);
}

void persist_spoil(struct engine *e, struct job *then)
{
	struct process *p = e->process;

	atomic_fetch_add(&p->spoiled, 1); /* ends a saving that is under way */
	struct spoil *s = e->snapshot != NULL && !atomic_load(&p->stopping)
				  ? malloc(sizeof(*s))
				  : NULL;
	if (s == NULL) { /* while stopping, a new one is about to be written */
		then->run(then);
		return;
	}
	*s = (struct spoil){ .job = { .run = spoil_now },
			     .engine = e,
			     .snapshot = e->snapshot,
			     .then = then };
	snapshot_ref(e->snapshot);
	process_work(p, &s->job);
}
