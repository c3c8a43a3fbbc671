/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/tables.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/rcu.h"
#include "gtm/decide.h"
#include "gtm/groups_file.h"
#include "plugin/admission.h"
#include "plugin/log.h"
#include "plugin/map.h"
#include "plugin/tablefile.h"

#define LATENCY_NAME "latency.table"
#define CLIENTS_NAME "clients.table"
#define ROWS	     4096u
#define ROW_N	     16u
#define TIDY_CELLS   65536u  /* a tick: a million x 50 in 13 minutes */
#define COPY_CELLS   400000u /* a tick */
#define LOAD_ROWS    4096u
#define FORGET_S     600u /* what is being measured is asked for again */

static uint64_t wall_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* -- latencies -------------------------------------------------------------
 */

static int latency_write(void *arg, const void *octets, size_t n)
{
	struct tablefile *w = arg;

	tablefile_put(w, octets, n);
	return tablefile_ok(w) ? 0 : -EIO;
}

static void latency_fill(struct tablefile *w, void *arg)
{
	const struct gtm_save save = { latency_write, w, wall_ms(),
				       clock_now_ms() };
	int rc = gtm_groups_save(arg, &save);

	if (rc != 0 && tablefile_ok(w))
		tablefile_fail(w, rc);
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

static void clients_fill(struct tablefile *w, void *arg)
{
	const struct gtm_persist *clients = arg;
	uint32_t now_s = gtm_persist_now_s(clock_now_ms());
	struct gtm_persist_row *rows = malloc(ROWS * sizeof(*rows));
	uint8_t *room = malloc((size_t)ROWS * ROW_N);
	size_t at = 0;
	size_t n = 1;

	if (rows == NULL || room == NULL)
		tablefile_fail(w, -ENOMEM);
	while (tablefile_ok(w) && n > 0) {
		uint8_t *p = room;
		n = gtm_persist_save(clients, &at, rows, ROWS, now_s);
		for (size_t i = 0; i < n; i++) {
			p = put32(p, rows[i].tag);
			p = put32(p, rows[i].server);
			p = put32(p, rows[i].age_s);
			p = put32(p, rows[i].idle_s);
		}
		tablefile_put(w, room, (size_t)(p - room));
	}
	free(rows);
	free(room);
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
		tablefile_save_plain(directory, LATENCY_NAME, latency_fill,
				     s->world->groups);
	if (clients != NULL)
		tablefile_save(directory, CLIENTS_NAME, clients_fill, clients);
	admission_save(p, s);
}

/* Reads 'name' of the state directory; false: there is nothing to be had. */
static bool read_back(const struct snapshot *s, const char *name,
		      uint8_t **octets, size_t *n, uint64_t *away_s)
{
	return s->config->snapshot_s != 0 &&
	       tablefile_read(s->config->state_directory, name, octets, n,
			      away_s);
}

static void latency_read_back(const struct snapshot *s)
{
	struct gtm_groups_counts counts;
	int fd = -1, rc = 0;

	if (s->world->groups == NULL || s->config->snapshot_s == 0 ||
	    !tablefile_open(s->config->state_directory, LATENCY_NAME, &fd))
		return;
	rc = latency_load(s->world->groups, fd);
	(void)close(fd);
	if (rc != 0)
		tablefile_refused(s->config->state_directory, LATENCY_NAME, rc);
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
	admission_configure(p, s, !p->tables_read);
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
