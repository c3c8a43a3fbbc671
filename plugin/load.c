/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/rcu.h"
#include "plugin/admission.h"
#include "plugin/commands.h"
#include "plugin/engine.h"
#include "plugin/geo.h"
#include "plugin/log.h"
#include "plugin/map.h"
#include "plugin/persist.h"
#include "plugin/recorder.h"
#include "plugin/state.h"
#include "plugin/tables.h"

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
	admission_zone_free(state);
	free(state);
}

static void snapshot_free(struct job *job)
{
	struct snapshot *s = (struct snapshot *)job;

	recorder_drain(process_get()); /* decisions point to hostnames */
	for (size_t i = 0; i < s->n; i++)
		if (s->zone[i].state != NULL)
			zone_state_unref(process_get(), s->zone[i].state);
	gtm_world_free(s->world);
	geo_map_unref(atomic_load(&s->geo));
	free(s->domains);
	map_names_free(s);
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

	return map_order(&(*x)->config->name, &(*y)->config->name);
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

static uint8_t *put32(uint8_t *p, uint32_t n)
{
	p[0] = (uint8_t)(n >> 24);
	p[1] = (uint8_t)(n >> 16);
	p[2] = (uint8_t)(n >> 8);
	p[3] = (uint8_t)n;
	return p + 4;
}

/* The SOA of a domain: what a secondary would do with it is nobody's matter. */
static void domain_make(struct domain *d, const struct config_domain *config,
			uint64_t serial)
{
	uint8_t *p = d->soa;

	d->config = config;
	d->serial = serial != 0 ? (uint32_t)serial : 1;
	memcpy(p, config->ns[0].wire, config->ns[0].n);
	p += config->ns[0].n;
	memcpy(p, config->contact.wire, config->contact.n);
	p += config->contact.n;
	p = put32(p, d->serial);
	p = put32(p, 3600);   /* refresh */
	p = put32(p, 600);    /* retry */
	p = put32(p, 604800); /* expire */
	p = put32(p, config->negative_ttl_s);
	d->soa_n = (uint16_t)(p - d->soa);
}

/* True if both serve the same hostnames and domains, in the same zones. */
static bool same_names(const struct config *a, const struct config *b)
{
	if (a->n_hostnames != b->n_hostnames || a->n_domains != b->n_domains ||
	    a->n_zones != b->n_zones)
		return false;
	for (size_t i = 0; i < a->n_hostnames; i++)
		if (!dname_equal(&a->hostnames[i].name,
				 &b->hostnames[i].name) ||
		    a->hostnames[i].dry_run != b->hostnames[i].dry_run ||
		    a->hostnames[i].name_servers !=
			    b->hostnames[i].name_servers)
			return false;
	for (size_t i = 0; i < a->n_domains; i++)
		if (!dname_equal(&a->domains[i].name, &b->domains[i].name))
			return false;
	for (size_t i = 0; i < a->n_zones; i++)
		if (!dname_equal(&a->zones[i].name, &b->zones[i].name))
			return false;
	return true;
}

/* Domains, hostnames and what is known of their servers. */
static bool snapshot_steer(struct snapshot *s, const struct snapshot *old)
{
	const struct config *config = s->config;

	s->domains = calloc(config->n_domains + 1, sizeof(*s->domains));
	if (s->domains == NULL ||
	    gtm_world_new(config, old != NULL ? old->world : NULL, &s->world) !=
		    0)
		return false;
	for (size_t i = 0; i < config->n_domains; i++)
		domain_make(&s->domains[i], &config->domains[i],
			    config->serial);
	s->names_id = 1;
	if (old != NULL)
		s->names_id = same_names(config, old->config)
				      ? old->names_id
				      : old->names_id + 1;
	return true;
}

/* Takes over 'config', also on error (NULL). */
static struct snapshot *snapshot_new(struct process *p, struct config *config,
				     struct snapshot *old)
{
	struct snapshot *s =
		calloc(1, sizeof(*s) + config->n_zones * sizeof(s->zone[0]));
	/* no number of another snapshot: some may have failed half-way */
	uint64_t number = atomic_fetch_add(&p->next_cache_id, 1) + 1;

	if (s == NULL) {
		config_free(config);
		return NULL;
	}
	atomic_init(&s->refs, 1);
	s->config = config;
	s->n = config->n_zones;
	bool ok = snapshot_steer(s, old);
	for (size_t i = 0; i < s->n; i++) {
		struct zone *z = &s->zone[i];
		z->config = &config->zones[i];
		z->snapshot = s;
		z->labels = z->config->name.labels;
		z->state = old != NULL ? state_find(old->by_name, old->n, z)
				       : NULL;
		if (z->state != NULL)
			atomic_fetch_add(&z->state->refs, 1);
		else
			z->state = state_new(p);
		ok = ok && z->state != NULL;
		if (z->state == NULL)
			continue;
		z->shares = z->state->counted == number;
		z->state->counted = number;
	}
	if (ok && map_names(p, s) == 0)
		return s;
	snapshot_unref(s);
	return NULL;
}

/* -- maps ---------------------------------------------------------------- */

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

static void note_steers(struct instance *inst, const struct view_map *map)
{
	atomic_store(&inst->steers,
		     map != NULL && map->snapshot->world->n_hosts > 0);
	atomic_store(&inst->delegates, map != NULL && map->n_ns > 0);
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
		note_steers(i, map);
	}
	return r;
}

int load_publish(struct process *p, struct config *config, struct geo_map *geo)
{
	struct snapshot *old = p->all != NULL ? p->all->snapshot : NULL;
	struct snapshot *s = snapshot_new(p, config, old);
	struct view_map *all = s != NULL ? map_all(p, s) : NULL;

	if (s != NULL)
		geo_attach(s, geo);
	else
		geo_map_unref(geo);
	if (all == NULL) {
		if (s != NULL)
			snapshot_unref(s);
		return -ENOMEM;
	}
	state_directory_make(config->state_directory);
	struct drain *drains = NULL;
	if (!p->drains_read)
		drains = traffic_drains_read(config->state_directory);
	p->drains_read = true;
	struct restore *saved = NULL;
	if (!p->snapshot_read)
		saved = persist_read(p, s);
	p->snapshot_read = true;
	tables_configure(p, s);
	engine_configure(p->engine, s, drains); /* takes our reference */
	persist_put_back(p, saved);

	pthread_mutex_lock(&p->lock);
	struct replaced *r = replace_maps(p, all);
	pthread_mutex_unlock(&p->lock);
	if (r == NULL) {
		map_free(all);
		return -ENOMEM;
	}
	drop_maps(p, r);
	recorder_poke(p);
	return 0;
}

/* -- instances ----------------------------------------------------------- */

bool load_selects(struct process *p, const struct instance *inst)
{
	for (size_t i = 0; p->all != NULL && i < inst->n_selected; i++)
		if (map_zone(p->all->snapshot, inst->selected[i]) == NULL)
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
	struct view_map *map = map_for(p, inst);
	atomic_store(&inst->map, map);
	note_steers(inst, map);
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

/* The map of clients; without it the configuration is refused, and freed. */
static int load_geo(struct process *p, struct config **configp,
		    struct load_report *report, struct geo_map **geop)
{
	struct err err = { 0 };
	int rc = geo_make(p, *configp, p->all != NULL ? p->all->snapshot : NULL,
			  false, geop, &err);

	if (rc == 0)
		return 0;
	config_free(*configp);
	*configp = NULL;
	report->ok = false;
	report->errs[0] = err;
	report->n_errs = err.text[0] != '\0';
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

	struct geo_map *geo = NULL;
	int rc = load_file(file, &config, &report);
	if (rc == 0)
		rc = load_geo(p, &config, &report, &geo);
	if (rc == -ECANCELED) { /* named is stopping */
		free(file);
		return rc;
	}
	size_t n_zones = rc == 0 ? config->n_zones : 0;
	uint64_t serial = rc == 0 ? config->serial : 0;
	if (rc == 0)
		rc = load_publish(p, config, geo);
	if (rc == 0) {
		geo_settled(p, p->all->snapshot);
		state_good_save(file,
				p->all->snapshot->config->state_directory);
	}
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
		recorder_word(p, "refused", "", file);
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
