/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/rcu.h"
#include "plugin/commands.h"
#include "plugin/engine.h"
#include "plugin/log.h"
#include "plugin/state.h"

/* -- snapshots ----------------------------------------------------------- */

void snapshot_ref(struct snapshot *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

static void zone_state_unref(struct process *p, struct zone_state *state)
{
	if (atomic_fetch_sub(&state->refs, 1) != 1)
		return;
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < COUNTERS; i++)
		p->departed[i] += atomic_load(&state->counters[i]);
	pthread_mutex_unlock(&p->lock);
	free(state);
}

static void snapshot_free(struct job *job)
{
	struct snapshot *s = (struct snapshot *)job;

	for (size_t i = 0; i < s->n; i++)
		if (s->zone[i].state != NULL)
			zone_state_unref(process_get(), s->zone[i].state);
	config_free(s->config);
	free(s);
}

void snapshot_unref(struct snapshot *s)
{
	if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	s->job.run = snapshot_free;
	process_work(process_get(), &s->job);
}

static int by_name(const void *a, const void *b)
{
	const struct zone *const *x = a;
	const struct zone *const *y = b;
	const struct dname *m = &(*x)->config->name;
	const struct dname *n = &(*y)->config->name;

	if (m->n != n->n)
		return m->n < n->n ? -1 : 1;
	return memcmp(m->wire, n->wire, m->n);
}

/* Pointers to the zones of 's' in the order of by_name(); malloc'ed. */
static struct zone **sorted_zones(struct snapshot *s)
{
	struct zone **list = malloc((s->n + 1) * sizeof(*list));

	if (list == NULL)
		return NULL;
	for (size_t i = 0; i < s->n; i++)
		list[i] = &s->zone[i];
	qsort(list, s->n, sizeof(*list), by_name);
	return list;
}

static struct zone_state *state_new(struct process *p)
{
	struct zone_state *state = calloc(1, sizeof(*state));

	if (state == NULL)
		return NULL;
	atomic_init(&state->refs, 1);
	atomic_init(&state->cache_id,
		    atomic_fetch_add(&p->next_cache_id, 1) + 1);
	return state;
}

/* The state of the same zone and origins in the sorted list 'old'. */
static struct zone_state *state_find(struct zone **old, size_t n,
				     struct zone *zone)
{
	struct zone **hit =
		n > 0 ? bsearch(&zone, old, n, sizeof(*old), by_name) : NULL;

	if (hit == NULL)
		return NULL;
	while (hit > old && by_name(hit - 1, &zone) == 0)
		hit--;
	for (; hit < old + n && by_name(hit, &zone) == 0; hit++)
		if (config_origins_equal((*hit)->config, zone->config))
			return (*hit)->state;
	return NULL;
}

/* Takes over 'config', also on error (NULL). */
static struct snapshot *snapshot_new(struct process *p, struct config *config,
				     struct snapshot *old)
{
	struct snapshot *s =
		calloc(1, sizeof(*s) + config->n_zones * sizeof(s->zone[0]));
	struct zone **list = old != NULL ? sorted_zones(old) : NULL;

	if (s == NULL || (old != NULL && list == NULL)) {
		config_free(config);
		free(list);
		free(s);
		return NULL;
	}
	atomic_init(&s->refs, 1);
	s->config = config;
	s->n = config->n_zones;
	bool ok = true;
	for (size_t i = 0; i < s->n; i++) {
		struct zone *z = &s->zone[i];
		z->config = &config->zones[i];
		z->snapshot = s;
		z->labels = z->config->name.labels;
		z->state = list != NULL ? state_find(list, old->n, z) : NULL;
		if (z->state != NULL)
			atomic_fetch_add(&z->state->refs, 1);
		else
			z->state = state_new(p);
		ok = ok && z->state != NULL;
	}
	free(list);
	if (ok)
		return s;
	snapshot_unref(s);
	return NULL;
}

/* -- maps ---------------------------------------------------------------- */

static void map_free(struct view_map *map)
{
	zonemap_free(map->zones);
	snapshot_unref(map->snapshot);
	free(map);
}

/*
 * A map of 'n' zones, whose names differ unless '*clash' is set to the zone
 * that comes twice (then only the first is in the map of all).
 */
static struct view_map *map_new(struct process *p, struct snapshot *s,
				struct zone **zones, size_t n,
				struct zone **clash)
{
	struct view_map *map = calloc(1, sizeof(*map));
	const struct dname **names = malloc((n + 1) * sizeof(*names));
	size_t which = 0;

	if (map != NULL && names != NULL) {
		for (size_t i = 0; i < n; i++)
			names[i] = &zones[i]->config->name;
		int rc = zonemap_new(names, (void *const *)zones, n, p->seed,
				     &map->zones, &which);
		if (rc == -EEXIST)
			*clash = zones[which];
		if (rc == 0) {
			free(names);
			map->refs = 1;
			map->snapshot = s;
			snapshot_ref(s);
			return map;
		}
	}
	free(names);
	free(map);
	return NULL;
}

/* All zones; of those with one name only the first in the file. */
static struct view_map *map_all(struct process *p, struct snapshot *s)
{
	struct zone **list = sorted_zones(s);
	struct zone *clash = NULL;
	size_t n = 0;

	if (list == NULL)
		return NULL;
	for (size_t i = 0; i < s->n; i++)
		if (n == 0 || by_name(&list[n - 1], &list[i]) != 0)
			list[n++] = list[i];
	struct view_map *map = map_new(p, s, list, n, &clash);
	free(list);
	return map;
}

static struct zone *zone_by_id(struct snapshot *s, const char *id)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->zone[i].config->id, id) == 0)
			return &s->zone[i];
	return NULL;
}

/*
 * The map for the zones that 'inst' selects, of those that there are; what is
 * missing or comes twice is logged.
 */
static struct view_map *map_selected(struct process *p, struct snapshot *s,
				     const struct instance *inst)
{
	struct zone **list = malloc(inst->n_selected * sizeof(*list));
	struct zone *clash = NULL;
	size_t n = 0;

	if (list == NULL)
		return NULL;
	for (size_t i = 0; i < inst->n_selected; i++) {
		struct zone *zone = zone_by_id(s, inst->selected[i]);
		if (zone == NULL)
			log_write(ISC_LOG_ERROR,
				  "%s: zone '%s' is not in '%s': this view "
				  "does not serve it",
				  inst->where, inst->selected[i],
				  s->config->file);
		else
			list[n++] = zone;
	}
	struct view_map *map = map_new(p, s, list, n, &clash);
	if (map == NULL && clash != NULL)
		log_write(ISC_LOG_ERROR,
			  "%s: two of the zones selected are both called "
			  "'%s': this view serves none of them",
			  inst->where, clash->config->id);
	free(list);
	return map;
}

/* Process lock held: the map 'inst' shall have, a reference of its own. */
static struct view_map *map_for(struct process *p, const struct instance *inst)
{
	struct view_map *all = p->all;

	if (all == NULL)
		return NULL;
	if (inst->n_selected > 0)
		return map_selected(p, all->snapshot, inst);
	all->refs++;
	return all;
}

/* Maps that were replaced, to be dropped after a grace period. */
struct replaced {
	size_t n;
	struct view_map *map[];
};

static void drop_map(struct process *p, struct view_map *map)
{
	pthread_mutex_lock(&p->lock);
	bool last = map != NULL && --map->refs == 0;
	pthread_mutex_unlock(&p->lock);
	if (last)
		map_free(map);
}

static void drop_maps(struct process *p, struct replaced *r)
{
	rcu_wait();
	for (size_t i = 0; i < r->n; i++)
		drop_map(p, r->map[i]);
	free(r);
}

/* Process lock held. */
static struct replaced *replace_maps(struct process *p, struct view_map *all)
{
	size_t n = 1;

	for (struct instance *i = p->instances; i != NULL; i = i->next)
		n++;
	struct replaced *r = malloc(sizeof(*r) + n * sizeof(r->map[0]));
	if (r == NULL)
		return NULL;
	r->n = 0;
	r->map[r->n++] = p->all;
	p->all = all;
	for (struct instance *i = p->instances; i != NULL; i = i->next) {
		struct view_map *map = map_for(p, i);
		r->map[r->n++] = atomic_exchange(&i->map, map);
	}
	return r;
}

int load_publish(struct process *p, struct config *config)
{
	struct snapshot *old = p->all != NULL ? p->all->snapshot : NULL;
	struct snapshot *s = snapshot_new(p, config, old);
	struct view_map *all = s != NULL ? map_all(p, s) : NULL;

	if (all == NULL) {
		if (s != NULL)
			snapshot_unref(s);
		return -ENOMEM;
	}
	state_directory_make(config->state_directory);
	engine_configure(p->engine, s); /* takes our reference */

	pthread_mutex_lock(&p->lock);
	struct replaced *r = replace_maps(p, all);
	pthread_mutex_unlock(&p->lock);
	if (r == NULL) {
		map_free(all);
		return -ENOMEM;
	}
	drop_maps(p, r);
	return 0;
}

/* -- instances ----------------------------------------------------------- */

bool load_selects(struct process *p, const struct instance *inst)
{
	for (size_t i = 0; p->all != NULL && i < inst->n_selected; i++)
		if (zone_by_id(p->all->snapshot, inst->selected[i]) == NULL)
			return false;
	return true;
}

void load_attach(struct process *p, struct instance *inst)
{
	pthread_mutex_lock(&p->lock);
	if (strcmp(p->config_file, inst->config_file) != 0) {
		log_write(ISC_LOG_WARNING,
			  "%s: the configuration is now '%s', for every view "
			  "(it was '%s'); a named has one",
			  inst->where, inst->config_file, p->config_file);
		char *file = strdup(inst->config_file);
		if (file != NULL) {
			free(p->config_file);
			p->config_file = file;
		}
	}
	inst->next = p->instances;
	p->instances = inst;
	atomic_store(&inst->map, map_for(p, inst));
	pthread_mutex_unlock(&p->lock);
}

void instance_free(struct instance *inst)
{
	for (size_t i = 0; i < inst->n_selected; i++)
		free(inst->selected[i]);
	free(inst->selected);
	free(inst->node);
	free(inst->config_file);
	free(atomic_load(&inst->view));
	if (inst->query_on != NULL)
		dns_acl_detach(&inst->query_on);
	free(inst);
}

struct drop {
	struct job job;
	struct view_map *map;
};

static void drop_now(struct job *job)
{
	struct drop *d = (struct drop *)job;

	drop_map(process_get(), d->map);
	free(d);
}

bool load_detach(struct process *p, struct instance *inst)
{
	pthread_mutex_lock(&p->lock);
	for (struct instance **at = &p->instances; *at != NULL;
	     at = &(*at)->next) {
		if (*at == inst) {
			*at = inst->next;
			break;
		}
	}
	bool last = p->instances == NULL;
	pthread_mutex_unlock(&p->lock);

	/* the view is gone: no hook of this instance runs or will run */
	struct view_map *map = atomic_exchange(&inst->map, NULL);
	struct drop *d = map != NULL ? calloc(1, sizeof(*d)) : NULL;
	if (d != NULL) {
		d->job.run = drop_now;
		d->map = map;
		process_work(p, &d->job);
	} else if (map != NULL) {
		drop_map(p, map);
	}
	instance_free(inst);
	return last;
}

void load_withdraw(struct process *p)
{
	struct view_map *all = p->all;

	p->all = NULL;
	if (all != NULL && --all->refs == 0)
		map_free(all);
}

/* -- loading ------------------------------------------------------------- */

static int load_file(const char *file, struct config **configp,
		     struct load_report *report)
{
	*report = (struct load_report){ .wall_s = time(NULL) };
	int rc = config_load(file, configp, report->errs,
			     sizeof(report->errs) / sizeof(report->errs[0]),
			     &report->n_errs);
	report->ok = rc == 0;
	return rc;
}

void load_report_log(const char *file, const struct load_report *report)
{
	char line[ERR_TEXT_MAX + ERR_PATH_MAX + 64];

	for (size_t i = 0; i < report->n_errs; i++) {
		err_format(&report->errs[i], file, line, sizeof(line));
		log_write(ISC_LOG_ERROR, "%s", line);
	}
	if (report->last_good)
		log_write(ISC_LOG_ERROR,
			  "'%s' is refused; running from the last good copy",
			  file);
}

int load_first(const char *file, bool strict, struct config **configp,
	       struct load_report *report)
{
	int rc = load_file(file, configp, report);
	char path[STATE_PATH_MAX];

	if (rc == 0 || strict)
		return rc;
	if (state_good_find(file, path, sizeof(path)) == 0) {
		struct err errs[1];
		size_t n_errs = 0;
		if (config_load(path, configp, errs, 1, &n_errs) == 0) {
			report->last_good = true;
			return 0;
		}
	}
	log_write(ISC_LOG_CRITICAL,
		  "INACTIVE: '%s' is refused and there is no last good copy; "
		  "no edge zone is served until a good file is loaded",
		  file);
	return rc;
}

int process_load(struct process *p)
{
	struct config *config = NULL;
	struct load_report report;

	if (atomic_load(&p->stopping))
		return -ECANCELED;
	pthread_mutex_lock(&p->lock);
	char *file = strdup(p->config_file);
	pthread_mutex_unlock(&p->lock);
	if (file == NULL)
		return -ENOMEM;

	int rc = load_file(file, &config, &report);
	size_t n_zones = rc == 0 ? config->n_zones : 0;
	uint64_t serial = rc == 0 ? config->serial : 0;
	if (rc == 0)
		rc = load_publish(p, config);
	if (rc == 0)
		state_good_save(file,
				p->all->snapshot->config->state_directory);
	pthread_mutex_lock(&p->lock);
	p->report = report;
	pthread_mutex_unlock(&p->lock);
	if (rc == 0) {
		log_write(ISC_LOG_INFO,
			  "configuration '%s' serial %llu with %zu zones is in "
			  "force",
			  file, (unsigned long long)serial, n_zones);
	} else {
		load_report_log(file, &report);
		log_write(ISC_LOG_ERROR,
			  "'%s' is refused: the running configuration stays",
			  file);
	}
	commands_event_load(p->engine, rc == 0, file);
	free(file);
	return rc;
}

static void reload_now(struct job *job)
{
	struct process *p = process_get();

	free(job);
	atomic_store(&p->reload_queued, false);
	(void)process_load(p);
}

void process_reload(struct process *p)
{
	if (atomic_exchange(&p->reload_queued, true))
		return;
	struct job *job = calloc(1, sizeof(*job));
	if (job == NULL) {
		atomic_store(&p->reload_queued, false);
		return;
	}
	job->run = reload_now;
	process_work(p, job);
}
