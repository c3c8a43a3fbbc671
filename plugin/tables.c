/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/tables.h"

#include <endian.h>
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

#include "common/rcu.h"
#include "gtm/decide.h"
#include "gtm/groups_file.h"
#include "plugin/log.h"
#include "plugin/map.h"
#include "plugin/state.h"

#define LATENCY_NAME "latency.table"
#define CLIENTS_NAME "clients.table"
#define FILE_MAX     (UINT64_C(8) << 30)
#define ROWS	     4096u
#define ROW_N	     16u
#define TIDY_CELLS   65536u  /* a tick: a million x 50 in 13 minutes */
#define COPY_CELLS   400000u /* a tick */
#define LOAD_ROWS    4096u
#define FORGET_S     600u /* what is being measured is asked for again */

/* Before the clients saved; numbers are little-endian. */
struct head {
	char magic[8];
	uint64_t wall_s, n, sum; /* when; octets that follow; XXH3 of these */
};

static const char magic[8] = { 'N', 'Z', 'T', 'A', 'B', 'L', 'E', '1' };

/* -- files -----------------------------------------------------------------
 */

struct writer {
	int fd;
	uint64_t n;
	XXH3_state_t *sum;
	int rc;
};

static void write_all(struct writer *w, const void *p, size_t n)
{
	const uint8_t *at = p;

	while (w->rc == 0 && n > 0) {
		ssize_t done = write(w->fd, at, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			w->rc = -errno;
		at += done > 0 ? done : 0;
		n -= done > 0 ? (size_t)done : 0;
	}
}

static void put(struct writer *w, const void *p, size_t n)
{
	write_all(w, p, n);
	(void)XXH3_64bits_update(w->sum, p, n);
	w->n += n;
}

static uint64_t wall_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Writes what 'fill' does as 'directory'/'name', whole or not at all. */
static void file_save(const char *directory, const char *name,
		      void (*fill)(struct writer *w, void *arg), void *arg)
{
	char path[STATE_PATH_MAX];
	char fresh[STATE_PATH_MAX];
	struct writer w = { .fd = -1 };
	int n = snprintf(path, sizeof(path), "%s/%s", directory, name);
	int m = snprintf(fresh, sizeof(fresh), "%s/%s.new", directory, name);

	if (n < 0 || m < 0 || (size_t)m >= sizeof(fresh))
		return;
	w.fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	w.rc = w.fd < 0 ? -errno : 0;
	if (w.rc == 0)
		fill(&w, arg);
	if (w.rc == 0 && fsync(w.fd) != 0)
		w.rc = -errno;
	if (w.fd >= 0 && close(w.fd) != 0 && w.rc == 0)
		w.rc = -errno;
	if (w.rc == 0 && rename(fresh, path) != 0)
		w.rc = -errno;
	if (w.rc == 0)
		return;
	(void)unlink(fresh);
	log_write(ISC_LOG_ERROR, "cannot write '%s': %s", path,
		  log_error(w.rc, (char[LOG_ERROR_MAX]){ 0 }));
}

/* What 'put' puts, and its head before that. */
static void headed_fill(struct writer *w, void *arg,
			void (*rows)(struct writer *w, void *arg))
{
	struct head head = { .wall_s = htole64(wall_ms() / 1000) };

	w->sum = XXH3_createState();
	if (w->sum == NULL) {
		w->rc = -ENOMEM;
		return;
	}
	(void)XXH3_64bits_reset(w->sum);
	memcpy(head.magic, magic, sizeof(magic));
	write_all(w, &head, sizeof(head));
	if (w->rc == 0)
		rows(w, arg);
	head.n = htole64(w->n);
	head.sum = htole64(XXH3_64bits_digest(w->sum));
	(void)XXH3_freeState(w->sum);
	if (w->rc == 0 &&
	    pwrite(w->fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head))
		w->rc = -EIO;
}

static bool read_all(int fd, void *p, size_t n)
{
	uint8_t *at = p;

	while (n > 0) {
		ssize_t done = read(fd, at, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		at += done;
		n -= (size_t)done;
	}
	return true;
}

/*
 * Reads such a file: 0, and its octets, which the caller frees; or -ENOENT,
 * or what is wrong.
 */
static int file_read(const char *path, uint8_t **octets, size_t *n,
		     uint64_t *away_s)
{
	struct head head;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return -errno;
	*octets = NULL;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size > FILE_MAX ||
	    !read_all(fd, &head, sizeof(head)) ||
	    memcmp(head.magic, magic, sizeof(magic)) != 0 ||
	    le64toh(head.n) != (uint64_t)st.st_size - sizeof(head))
		rc = -EBADMSG;
	*n = rc == 0 ? (size_t)le64toh(head.n) : 0;
	if (rc == 0) {
		*octets = malloc(*n + 1);
		rc = *octets == NULL ? -ENOMEM : 0;
	}
	if (rc == 0 && (!read_all(fd, *octets, *n) ||
			XXH3_64bits(*octets, *n) != le64toh(head.sum)))
		rc = -EBADMSG;
	(void)close(fd);
	if (rc != 0) {
		free(*octets);
		return rc;
	}
	int64_t away =
		(int64_t)(wall_ms() / 1000) - (int64_t)le64toh(head.wall_s);
	*away_s = away > 0 ? (uint64_t)away : 0;
	return 0;
}

/* -- latencies -------------------------------------------------------------
 */

static int latency_write(void *arg, const void *octets, size_t n)
{
	struct writer *w = arg;

	write_all(w, octets, n);
	return w->rc;
}

static void latency_fill(struct writer *w, void *arg)
{
	const struct gtm_save save = { latency_write, w, wall_ms(),
				       clock_now_ms() };
	int rc = gtm_groups_save(arg, &save);

	if (w->rc == 0)
		w->rc = rc;
}

static int64_t latency_octets(void *arg, void *octets, size_t n)
{
	const int *fd = arg;
	ssize_t got;

	do {
		got = read(*fd, octets, n);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : (int64_t)got;
}

/* Takes all that is in the file; 0 or -errno. */
static int latency_load(struct gtm_groups *groups, int fd)
{
	const struct gtm_load load = { latency_octets, &fd, wall_ms(),
				       clock_now_ms() };
	struct gtm_loader *loader;
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size > FILE_MAX)
		return -EBADMSG;
	int rc = gtm_loader_new(&load, &loader);
	if (rc != 0)
		return rc;
	do {
		rc = gtm_loader_step(loader, groups, LOAD_ROWS, load.now_ms);
	} while (rc == 1);
	gtm_loader_free(loader);
	return rc;
}

/* -- clients ---------------------------------------------------------------
 */

static uint8_t *put32(uint8_t *p, uint32_t n)
{
	n = htole32(n);
	memcpy(p, &n, sizeof(n));
	return p + sizeof(n);
}

static void clients_rows(struct writer *w, void *arg)
{
	const struct gtm_persist *clients = arg;
	uint32_t now_s = gtm_persist_now_s(clock_now_ms());
	struct gtm_persist_row *rows = malloc(ROWS * sizeof(*rows));
	uint8_t *room = malloc((size_t)ROWS * ROW_N);
	size_t at = 0;
	size_t n = 1;

	if (rows == NULL || room == NULL)
		w->rc = -ENOMEM;
	while (w->rc == 0 && n > 0) {
		uint8_t *p = room;
		n = gtm_persist_save(clients, &at, rows, ROWS, now_s);
		for (size_t i = 0; i < n; i++) {
			p = put32(p, rows[i].tag);
			p = put32(p, rows[i].server);
			p = put32(p, rows[i].age_s);
			p = put32(p, rows[i].idle_s);
		}
		put(w, room, (size_t)(p - room));
	}
	free(rows);
	free(room);
}

static void clients_fill(struct writer *w, void *arg)
{
	headed_fill(w, arg, clients_rows);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof(n));
	return le32toh(n);
}

static void clients_take(struct gtm_persist *clients, const uint8_t *p,
			 size_t n, uint64_t away_s)
{
	uint32_t now_s = gtm_persist_now_s(clock_now_ms());

	for (; n >= ROW_N; p += ROW_N, n -= ROW_N) {
		uint64_t age_s = get32(p + 8) + away_s;
		uint64_t idle_s = get32(p + 12) + away_s;
		const struct gtm_persist_row row = {
			.tag = get32(p),
			.server = get32(p + 4),
			.age_s = age_s < UINT32_MAX ? (uint32_t)age_s
						    : UINT32_MAX,
			.idle_s = idle_s < UINT32_MAX ? (uint32_t)idle_s
						      : UINT32_MAX,
		};
		gtm_persist_restore(clients, &row, now_s);
	}
}

/* -- both ------------------------------------------------------------------
 */

static void save(struct process *p, const struct snapshot *s)
{
	const char *directory = s->config->state_directory;
	struct gtm_persist *clients = process_clients(p);
	struct gtm_groups_counts counts = { 0 };

	if (s->world->groups != NULL)
		gtm_groups_count(s->world->groups, &counts);
	if (counts.groups > 0)
		file_save(directory, LATENCY_NAME, latency_fill,
			  s->world->groups);
	if (clients != NULL)
		file_save(directory, CLIENTS_NAME, clients_fill, clients);
}

/* False: nothing is read. */
static bool path_of(const struct snapshot *s, const char *name,
		    char path[STATE_PATH_MAX])
{
	int n = snprintf(path, STATE_PATH_MAX, "%s/%s",
			 s->config->state_directory, name);

	return s->config->snapshot_s > 0 && n >= 0 && n < STATE_PATH_MAX;
}

static void tell_refused(const char *path, int rc)
{
	const char *why = log_error(rc, (char[LOG_ERROR_MAX]){ 0 });

	if (rc == -EBADMSG || rc == -EPROTONOSUPPORT)
		why = "it is damaged, or of another release";
	if (rc == -ETIME)
		why = "it was written in the future";
	log_write(ISC_LOG_ERROR, "table '%s' is refused: %s", path, why);
}

/* Reads 'name' of the state directory; false: there is nothing to be had. */
static bool read_back(const struct snapshot *s, const char *name,
		      uint8_t **octets, size_t *n, uint64_t *away_s)
{
	char path[STATE_PATH_MAX];

	if (!path_of(s, name, path))
		return false;
	int rc = file_read(path, octets, n, away_s);
	if (rc != 0 && rc != -ENOENT)
		tell_refused(path, rc);
	return rc == 0;
}

static void latency_read_back(const struct snapshot *s)
{
	struct gtm_groups_counts counts;
	char path[STATE_PATH_MAX];

	if (s->world->groups == NULL || !path_of(s, LATENCY_NAME, path))
		return;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc = fd < 0 ? -errno : latency_load(s->world->groups, fd);
	if (fd >= 0)
		(void)close(fd);
	if (rc == -ENOENT)
		return;
	if (rc != 0)
		tell_refused(path, rc);
	gtm_groups_count(s->world->groups, &counts);
	log_write(ISC_LOG_INFO, "latencies of %u groups of clients are known",
		  counts.groups);
}

/* What the smaller, or larger, table before had. */
static void clients_copy(struct gtm_persist *to, const struct gtm_persist *from)
{
	uint32_t now_s = gtm_persist_now_s(clock_now_ms());
	struct gtm_persist_row rows[64];
	size_t at = 0;
	size_t n;

	while ((n = gtm_persist_save(from, &at, rows,
				     sizeof(rows) / sizeof(rows[0]), now_s)) >
	       0)
		for (size_t i = 0; i < n; i++)
			gtm_persist_restore(to, &rows[i], now_s);
}

static bool wants_clients(const struct config *config)
{
	for (size_t i = 0; i < config->n_hostnames; i++)
		if (config->hostnames[i].persist_s > 0 &&
		    config->hostnames[i].persist_by == CONFIG_PERSIST_TABLE)
			return true;
	return false;
}

/* Makes the table of clients, or one of another size in its place. */
static void clients_configure(struct process *p, struct snapshot *s)
{
	struct gtm_persist *old = process_clients(p);
	uint64_t away_s;
	uint8_t *octets;
	size_t n;

	if (old != NULL && p->clients_max == s->config->clients_max)
		return;
	struct gtm_persist *clients = gtm_persist_new(s->config->clients_max);
	if (clients == NULL) {
		log_write(ISC_LOG_ERROR, "no memory for a table of %u clients",
			  s->config->clients_max);
		return;
	}
	if (old != NULL) {
		clients_copy(clients, old);
	} else if (read_back(s, CLIENTS_NAME, &octets, &n, &away_s)) {
		clients_take(clients, octets, n, away_s);
		free(octets);
	}
	p->clients_max = s->config->clients_max;
	atomic_store_explicit(&p->clients, clients, memory_order_release);
	if (old != NULL)
		rcu_wait();
	gtm_persist_free(old);
}

void tables_configure(struct process *p, struct snapshot *s)
{
	if (!p->tables_read)
		latency_read_back(s);
	p->tables_read = true;
	if (wants_clients(s->config))
		clients_configure(p, s);
}

/* -- when ------------------------------------------------------------------
 */

struct saving {
	struct job job;
	struct engine *engine;
	struct snapshot *snapshot; /* held */
};

static void saved(struct job *job)
{
	struct saving *s = (struct saving *)job;

	s->engine->tables_saving = false;
	snapshot_unref(s->snapshot);
	free(s);
}

static void save_now(struct job *job)
{
	struct saving *s = (struct saving *)job;

	save(s->engine->process, s->snapshot);
	s->job.run = saved;
	engine_post(s->engine, &s->job);
}

/* Lets go of what was copied from. */
static void copied(struct engine *e)
{
	if (e->tables_from != NULL)
		snapshot_unref(e->tables_from);
	e->tables_from = NULL;
}

void tables_configured(struct engine *e, struct snapshot *before)
{
	struct gtm_groups *now = e->snapshot->world->groups;

	if (before == NULL || before->world->groups == now)
		return; /* an older one may still be copied from */
	copied(e);
	if (before->world->groups == NULL || now == NULL)
		return;
	snapshot_ref(before);
	e->tables_from = before;
	e->tables_at = 0;
}

void tables_stop(struct engine *e)
{
	copied(e);
}

static void latency_tick(struct engine *e, uint32_t now_s)
{
	const struct gtm_world *world = e->snapshot->world;
	const size_t n_pops = world->config->n_pops;
	uint64_t now_ms = clock_now_ms();
	bool done = false;

	if (now_s - e->wanted_s >= FORGET_S) {
		gtm_wanted_forget(e->process->wanted);
		e->wanted_s = now_s;
	}
	if (world->groups == NULL)
		return;
	(void)gtm_groups_tidy(world->groups, world->config->latency_age_ms,
			      now_ms, (uint32_t)(TIDY_CELLS / n_pops + 1));
	if (e->tables_from == NULL)
		return;
	if (gtm_groups_copy(world->groups, e->tables_from->world->groups,
			    &e->tables_at, (uint32_t)(COPY_CELLS / n_pops + 1),
			    now_ms, &done) != 0 ||
	    done)
		copied(e);
}

void tables_tick(struct engine *e, uint32_t now_s)
{
	struct snapshot *s = e->snapshot;

	if (s == NULL || atomic_load(&e->process->stopping))
		return;
	latency_tick(e, now_s);
	if (e->tables_s == 0)
		e->tables_s = now_s;
	if (s->config->snapshot_s == 0 || e->tables_saving ||
	    now_s - e->tables_s < s->config->snapshot_s)
		return;
	struct saving *saving = malloc(sizeof(*saving));
	if (saving == NULL)
		return;
	*saving = (struct saving){ { .run = save_now }, e, s };
	snapshot_ref(s);
	e->tables_saving = true;
	e->tables_s = now_s;
	process_work(e->process, &saving->job);
}

void tables_save_last(struct process *p)
{
	struct snapshot *s = p->all != NULL ? p->all->snapshot : NULL;

	if (s != NULL && s->config->snapshot_s > 0)
		save(p, s);
}

void tables_free(struct process *p)
{
	gtm_persist_free(atomic_exchange(&p->clients, NULL));
	p->tables_read = false;
}
