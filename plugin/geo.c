/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/geo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/rcu.h"
#include "plugin/engine.h"
#include "plugin/log.h"
#include "plugin/map.h"
#include "plugin/state.h"

#define CHECK_S 10u

/* -- making ---------------------------------------------------------------- */

/* A map under way. */
struct making {
	struct process *process;
	const struct config *config;
	struct err *err;
	struct gtm_pace pace;
	uint64_t slice_ns;
	size_t n; /* sources, and the databases that they are of */
	struct gtm_geo *geo[CONFIG_GEO_MAX];
	size_t which[CONFIG_GEO_MAX];
	struct gtm_source sources[CONFIG_GEO_MAX];
};

/* The worker shares its CPU with named's; and it may be wanted elsewhere. */
static bool pace_step(void *arg)
{
	struct making *m = arg;
	struct process *p = m->process;

	slicer_breathe(&m->slice_ns, &p->serving, &p->n_jobs);
	return !atomic_load(&p->stopping);
}

static void bad_database(const struct making *m, size_t i, const char *why)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "geo.databases[%zu]", i);
	err_set(m->err, 0, path, "'%.200s': %s", m->config->geo.databases[i],
		why);
}

/* Opens a database; one that is not there is left out. */
static int database_open(struct making *m, size_t i, struct geo_map *map)
{
	const char *path = m->config->geo.databases[i];
	struct gtm_geo_tried tried;
	int rc = gtm_geo_open(path, m->config->state_directory, &m->config->geo,
			      &m->pace, &m->geo[m->n], &tried);

	map->databases[i].about.file = tried.file;
	if (rc == -ENOENT && tried.file.inode == 0) {
		log_write(ISC_LOG_WARNING,
			  "database '%s' is not there: what it knows of "
			  "clients is missing",
			  path);
		return 0;
	}
	if (rc != 0) {
		bad_database(m, i, tried.why);
		return rc;
	}
	m->sources[m->n] = gtm_geo_source(m->geo[m->n]);
	m->which[m->n++] = i;
	return 0;
}

static int compile(struct making *m, struct geo_map *map)
{
	int rc = gtm_clients_new(m->config, m->sources, m->n, &m->pace,
				 &map->clients);

	for (size_t i = 0; i < m->n; i++)
		if (gtm_geo_why(m->geo[i]) != NULL)
			bad_database(m, m->which[i], gtm_geo_why(m->geo[i]));
	if (rc != 0 && m->err->text[0] == '\0')
		err_set(m->err, 0, "clients", "no map of them: %s",
			log_error(rc, (char[LOG_ERROR_MAX]){ 0 }));
	for (size_t i = 0; rc == 0 && i < m->n; i++)
		gtm_geo_about(m->geo[i], &map->databases[m->which[i]].about);
	return rc;
}

void geo_map_unref(struct geo_map *map)
{
	if (map == NULL || atomic_fetch_sub(&map->refs, 1) != 1)
		return;
	gtm_clients_free(map->clients);
	free(map);
}

static void map_done(struct geo_map *map, uint64_t began_ms)
{
	gtm_clients_measure(map->clients, &map->size);
	map->made_ms = clock_now_ms();
	map->made_wall_s = time(NULL);
	map->took_ms = (uint32_t)(map->made_ms - began_ms);
}

static int map_make(struct process *p, const struct config *config, bool start,
		    struct geo_map **mapp, struct err *err)
{
	struct making m = { .process = p, .config = config, .err = err };
	struct geo_map *map = calloc(1, sizeof(*map));
	uint64_t began_ms = clock_now_ms();
	int rc = 0;

	if (map == NULL)
		return -ENOMEM;
	m.pace = (struct gtm_pace){ pace_step, &m };
	atomic_init(&map->refs, 1);
	map->n_databases = config->geo.n_databases;
	if (map->n_databases > 0)
		state_directory_make(config->state_directory);
	for (size_t i = 0; rc == 0 && i < map->n_databases; i++) {
		map->databases[i].pending = start;
		if (!start)
			rc = database_open(&m, i, map);
	}
	if (rc == 0)
		rc = compile(&m, map);
	for (size_t i = 0; i < m.n; i++)
		gtm_geo_close(m.geo[i]);
	if (rc != 0) {
		geo_map_unref(map);
		return rc;
	}
	map_done(map, began_ms);
	*mapp = map;
	return 0;
}

/* True if the files are those that the map was made of. */
static bool files_same(const struct config *config, const struct geo_map *map)
{
	for (size_t i = 0; i < map->n_databases; i++) {
		struct gtm_geo_file file;
		gtm_geo_file(config->geo.databases[i], &file);
		if (map->databases[i].pending ||
		    memcmp(&file, &map->databases[i].about.file,
			   sizeof(file)) != 0)
			return false;
	}
	return true;
}

int geo_make(struct process *p, const struct config *config,
	     struct snapshot *old, bool start, struct geo_map **mapp,
	     struct err *err)
{
	/* only who loads replaces it */
	struct geo_map *was = old != NULL ? atomic_load(&old->geo) : NULL;

	*mapp = NULL;
	if (config->geo.n_databases == 0 && config->n_clients == 0)
		return 0;
	if (was != NULL && config_clients_equal(old->config, config) &&
	    files_same(config, was)) {
		atomic_fetch_add(&was->refs, 1);
		*mapp = was;
		return 0;
	}
	return map_make(p, config, start, mapp, err);
}

void geo_attach(struct snapshot *s, struct geo_map *map)
{
	atomic_store(&s->geo, map);
	atomic_store(&s->world->clients, map != NULL ? map->clients : NULL);
}

/* -- watching -------------------------------------------------------------- */

/* What is at the databases' paths now. */
static void files_now(const struct config *config, struct gtm_geo_file *files)
{
	for (size_t i = 0; i < config->geo.n_databases; i++)
		gtm_geo_file(config->geo.databases[i], &files[i]);
}

static void fault_set(struct process *p, const struct err *err)
{
	pthread_mutex_lock(&p->lock);
	p->geo_fault = err != NULL ? *err : (struct err){ 0 };
	p->geo_fault_wall_s = time(NULL);
	pthread_mutex_unlock(&p->lock);
}

void geo_settled(struct process *p, const struct snapshot *s)
{
	const struct geo_map *map = atomic_load(&s->geo);

	fault_set(p, NULL);
	memset(p->geo_seen, 0, sizeof(p->geo_seen));
	for (size_t i = 0; map != NULL && i < map->n_databases; i++)
		p->geo_seen[i] = map->databases[i].about.file;
}

static void replace(struct process *p, struct snapshot *s)
{
	struct err err = { 0 };
	struct geo_map *map = NULL;
	struct geo_map *was = atomic_load(&s->geo);
	int rc = map_make(p, s->config, false, &map, &err);

	if (rc == -ECANCELED)
		return;
	if (rc != 0) {
		log_write(ISC_LOG_ERROR,
			  "%s: %s: refused; what is known of clients stays as "
			  "it was",
			  err.path, err.text);
		fault_set(p, &err);
		return;
	}
	geo_attach(s, map);
	rcu_wait();
	geo_map_unref(was);
	fault_set(p, NULL);
	log_write(ISC_LOG_INFO,
		  "a database was replaced: the map of clients is new (%llu "
		  "places, %u ms)",
		  (unsigned long long)map->size.places, map->took_ms);
}

/* Says once of a file that it is gone; true if another one has changed. */
static bool has_changed(struct process *p, const struct config *config,
			const struct gtm_geo_file *now)
{
	static const struct gtm_geo_file none;
	bool changed = false;

	for (size_t i = 0; i < config->geo.n_databases; i++) {
		if (memcmp(&p->geo_seen[i], &now[i], sizeof(*now)) == 0)
			continue;
		if (memcmp(&now[i], &none, sizeof(none)) != 0)
			changed = true;
		else
			log_write(ISC_LOG_WARNING,
				  "database '%s' is gone: what it said is kept",
				  config->geo.databases[i]);
	}
	return changed;
}

static void check_now(struct job *job)
{
	struct process *p = process_get();
	struct gtm_geo_file now[CONFIG_GEO_MAX];

	free(job);
	atomic_store(&p->geo_queued, false);
	if (atomic_load(&p->stopping) || p->all == NULL)
		return;
	struct snapshot *s = p->all->snapshot;
	const struct geo_map *map = atomic_load(&s->geo);
	if (map == NULL || map->n_databases == 0)
		return;
	/* a bad one is tried again when it is another one again */
	files_now(s->config, now);
	bool changed = has_changed(p, s->config, now);
	memcpy(p->geo_seen, now, s->config->geo.n_databases * sizeof(*now));
	if (changed)
		replace(p, s);
}

void geo_tick(struct engine *e, uint32_t now_s)
{
	struct process *p = e->process;

	if (e->snapshot == NULL || e->snapshot->config->geo.n_databases == 0 ||
	    now_s - e->geo_checked_s < CHECK_S ||
	    atomic_exchange(&p->geo_queued, true))
		return;
	e->geo_checked_s = now_s;
	struct job *job = calloc(1, sizeof(*job));
	if (job == NULL) {
		atomic_store(&p->geo_queued, false);
		return;
	}
	job->run = check_now;
	process_work(p, job);
}
