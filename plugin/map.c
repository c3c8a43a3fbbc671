/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/log.h"

/*
 * A name and one thing that it is; several may have one name.  A name that
 * is nothing stands between a zone or domain and a hostname deeper in it: it
 * exists, and has no records here (RFC 8020).
 */
struct item {
	const struct dname *name;
	struct zone *zone;
	const struct domain *domain;
	const struct gtm_host *host;
};

int map_order(const struct dname *a, const struct dname *b)
{
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	return memcmp(a->wire, b->wire, a->n);
}

static int item_order(const void *va, const void *vb)
{
	const struct item *a = va, *b = vb;

	return map_order(a->name, b->name);
}

struct zone *map_zone(struct snapshot *s, const char *id)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->zone[i].config->id, id) == 0)
			return &s->zone[i];
	return NULL;
}

/* -- what there is --------------------------------------------------------- */

/* Everything that goes into one map, while it is made. */
struct draft {
	struct snapshot *s;
	struct zone **zones; /* selected */
	size_t n_zones;
	struct item *items;
	size_t n, max;
	struct zonemap *apexes; /* -> struct item of a zone or domain */
	struct dname **between; /* names made for the map */
	size_t n_between;
	struct zone *clash; /* a zone whose name is there already */
};

static bool add(struct draft *d, const struct item *item)
{
	if (d->n == d->max) {
		size_t max = d->max < 64 ? 64 : 2 * d->max;
		struct item *more = realloc(d->items, max * sizeof(*more));
		if (more == NULL)
			return false;
		d->items = more;
		d->max = max;
	}
	d->items[d->n++] = *item;
	return true;
}

/* Adds zones and domains, and maps them for a moment. */
static bool add_apexes(struct process *p, struct draft *d)
{
	const struct config *config = d->s->config;
	size_t n = d->n_zones + config->n_domains;
	const struct dname **names = malloc((n + 1) * sizeof(*names));
	void **values = malloc((n + 1) * sizeof(*values));
	bool ok = names != NULL && values != NULL;
	size_t which = 0;

	for (size_t i = 0; ok && i < n; i++) {
		struct item item = { 0 };
		if (i < d->n_zones) {
			item.zone = d->zones[i];
			item.name = &item.zone->config->name;
		} else {
			item.domain = &d->s->domains[i - d->n_zones];
			item.name = &item.domain->config->name;
		}
		names[i] = item.name;
		values[i] = (void *)(i + 1); /* items may still move */
		ok = add(d, &item);
	}
	if (ok) {
		int rc = zonemap_new(names, values, n, p->seed, &d->apexes,
				     &which);
		if (rc == -EEXIST && which < d->n_zones)
			d->clash = d->zones[which];
		ok = rc == 0;
	}
	free(names);
	free(values);
	return ok;
}

/* The zone or domain around 'name', or NULL. */
static const struct item *apex_of(const struct draft *d,
				  const struct dname *name)
{
	unsigned int labels;
	void *at = zonemap_find(d->apexes, name->wire, name->n, &labels);

	return at != NULL ? &d->items[(size_t)at - 1] : NULL;
}

/* The name above, a label shorter. */
static void strip(struct dname *name)
{
	uint8_t n = (uint8_t)(name->wire[0] + 1);

	name->n = (uint8_t)(name->n - n);
	name->labels--;
	memmove(name->wire, name->wire + n, name->n);
}

/* Adds the names between a hostname and the apex around it. */
static bool add_between(struct draft *d, const struct dname *host,
			const struct dname *apex)
{
	struct dname name = *host;

	for (strip(&name); name.labels > apex->labels; strip(&name)) {
		struct dname *copy = malloc(sizeof(*copy));
		struct dname **more =
			realloc(d->between, (d->n_between + 1) * sizeof(*more));
		if (more != NULL)
			d->between = more;
		if (copy == NULL || more == NULL) {
			free(copy);
			return false;
		}
		*copy = name;
		d->between[d->n_between++] = copy;
		if (!add(d, &(struct item){ .name = copy }))
			return false;
	}
	return true;
}

static bool add_hosts(struct draft *d)
{
	const struct gtm_world *world = d->s->world;

	for (size_t i = 0; i < world->n_hosts; i++) {
		const struct gtm_host *host = &world->hosts[i];
		const struct dname *name = &host->config->name;
		if (host->config->dry_run || host->config->name_servers)
			continue; /* see index_some() */
		const struct item *apex = apex_of(d, name);
		/* add() moves items */
		const struct dname *around = apex != NULL ? apex->name : NULL;
		if (!add(d, &(struct item){ .name = name, .host = host }))
			return false;
		if (around != NULL && name->labels > around->labels &&
		    !add_between(d, name, around))
			return false;
	}
	return true;
}

/*
 * A domain inside an edge zone or another domain: the names between exist
 * there too, though no origin knows of it.
 */
static bool add_domains(struct draft *d)
{
	const struct config *config = d->s->config;

	for (size_t i = 0; i < config->n_domains; i++) {
		const struct dname *name = &config->domains[i].name;
		struct dname above = *name;
		if (name->labels == 0)
			continue;
		strip(&above);
		const struct item *apex = apex_of(d, &above);
		if (apex != NULL && !add_between(d, name, apex->name))
			return false;
	}
	return true;
}

/* -- the map --------------------------------------------------------------- */

static void place_add(struct draft *d, struct view_map *map,
		      const struct item *item)
{
	struct place *place = map->n > 0 ? &map->place[map->n - 1] : NULL;

	if (place == NULL || map_order(place->name, item->name) != 0) {
		const struct item *apex = apex_of(d, item->name);
		place = &map->place[map->n++];
		*place = (struct place){ .name = item->name };
		if (apex != NULL) {
			place->zone = apex->zone;
			place->domain = apex->domain;
			place->apex_labels = apex->name->labels;
		}
	}
	if (item->host != NULL)
		place->host = item->host;
	if (item->host != NULL && place->zone != NULL)
		atomic_store(&place->zone->has_hostnames, true);
}

static bool is_dry(const struct gtm_host *host)
{
	return host->config->dry_run;
}

static bool is_ns(const struct gtm_host *host)
{
	return host->config->name_servers;
}

/* Those that are not served as others: '*n' of them, NULL if none. */
static bool index_some(struct process *p, const struct gtm_world *world,
		       bool (*wanted)(const struct gtm_host *host),
		       struct nameset **set, size_t *n)
{
	const struct dname **names =
		malloc((world->n_hosts + 1) * sizeof(*names));
	void **values = malloc((world->n_hosts + 1) * sizeof(*values));
	bool ok = names != NULL && values != NULL;

	for (size_t i = 0; ok && i < world->n_hosts; i++) {
		if (!wanted(&world->hosts[i]))
			continue;
		names[*n] = &world->hosts[i].config->name;
		values[(*n)++] = (void *)&world->hosts[i];
	}
	ok = ok &&
	     (*n == 0 || nameset_new(names, values, *n, p->seed, set) == 0);
	free(names);
	free(values);
	return ok;
}

static bool index_places(struct process *p, struct view_map *map)
{
	const struct dname **names = malloc((map->n + 1) * sizeof(*names));
	void **values = malloc((map->n + 1) * sizeof(*values));
	bool ok = names != NULL && values != NULL;
	size_t which;

	for (size_t i = 0; ok && i < map->n; i++) {
		names[i] = map->place[i].name;
		values[i] = &map->place[i];
	}
	ok = ok && zonemap_new(names, values, map->n, p->seed, &map->places,
			       &which) == 0;
	size_t n = 0;
	for (size_t i = 0; ok && i < map->n; i++) {
		if (map->place[i].host == NULL)
			continue;
		names[n] = map->place[i].name;
		values[n++] = &map->place[i];
	}
	ok = ok && nameset_new(names, values, n, p->seed, &map->hosts) == 0;
	free(names);
	free(values);
	return ok;
}

static struct view_map *draft_build(struct process *p, struct draft *d)
{
	if (!add_apexes(p, d) || !add_domains(d) || !add_hosts(d))
		return NULL;
	struct view_map *map =
		calloc(1, sizeof(*map) + (d->n + 1) * sizeof(map->place[0]));
	struct item *sorted = malloc((d->n + 1) * sizeof(*sorted));
	if (map == NULL || sorted == NULL) {
		free(map);
		free(sorted);
		return NULL;
	}
	/* apex_of() needs the items where they are */
	if (d->n > 0)
		memcpy(sorted, d->items, d->n * sizeof(*sorted));
	qsort(sorted, d->n, sizeof(*sorted), item_order);
	for (size_t i = 0; i < d->n; i++)
		place_add(d, map, &sorted[i]);
	free(sorted);
	map->between = d->between;
	map->n_between = d->n_between;
	d->between = NULL;
	d->n_between = 0;
	map->refs = 1;
	map->snapshot = d->s;
	snapshot_ref(d->s);
	const struct gtm_world *world = d->s->world;
	if (index_places(p, map) &&
	    index_some(p, world, is_dry, &map->dry, &map->n_dry) &&
	    index_some(p, world, is_ns, &map->ns, &map->n_ns))
		return map;
	map_free(map);
	return NULL;
}

static void between_free(struct dname **between, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(between[i]);
	free(between);
}

/*
 * A map of 'n' zones, whose names differ unless '*clash' is set to the zone
 * that comes twice.
 */
static struct view_map *map_new(struct process *p, struct snapshot *s,
				struct zone **zones, size_t n,
				struct zone **clash)
{
	struct draft d = { .s = s, .zones = zones, .n_zones = n };
	struct view_map *map = draft_build(p, &d);

	*clash = d.clash;
	zonemap_free(d.apexes);
	between_free(d.between, d.n_between);
	free(d.items);
	return map;
}

void map_free(struct view_map *map)
{
	zonemap_free(map->places);
	nameset_free(map->hosts);
	nameset_free(map->dry);
	nameset_free(map->ns);
	between_free(map->between, map->n_between);
	snapshot_unref(map->snapshot);
	free(map);
}

static int by_name(const void *a, const void *b)
{
	const struct zone *const *x = a;
	const struct zone *const *y = b;
	int order = map_order(&(*x)->config->name, &(*y)->config->name);

	return order != 0 ? order : (*x > *y) - (*x < *y);
}

static bool same_name(const struct zone *a, const struct zone *b)
{
	return dname_equal(&a->config->name, &b->config->name);
}

/* Maps the first of each name in by_name[]. */
static int index_apexes(struct process *p, struct snapshot *s)
{
	const struct dname **names = malloc((s->n + 1) * sizeof(*names));
	void **values = malloc((s->n + 1) * sizeof(*values));
	size_t n = 0, clash;
	int rc = names != NULL && values != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; rc == 0 && i < s->n; i++) {
		if (i > 0 && same_name(s->by_name[i - 1], s->by_name[i]))
			continue;
		names[n] = &s->by_name[i]->config->name;
		values[n++] = &s->by_name[i];
	}
	if (rc == 0)
		rc = zonemap_new(names, values, n, p->seed, &s->by_apex,
				 &clash);
	free(names);
	free(values);
	return rc;
}

int map_names(struct process *p, struct snapshot *s)
{
	s->by_name = malloc((s->n + 1) * sizeof(*s->by_name));
	if (s->by_name == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < s->n; i++)
		s->by_name[i] = &s->zone[i];
	qsort(s->by_name, s->n, sizeof(*s->by_name), by_name);
	return index_apexes(p, s);
}

void map_names_free(struct snapshot *s)
{
	zonemap_free(s->by_apex);
	free(s->by_name);
}

struct zone *const *map_zones_of(const struct snapshot *s,
				 const struct dname *name, size_t *n)
{
	unsigned int labels;
	struct zone **first =
		zonemap_find(s->by_apex, name->wire, name->n, &labels);

	*n = 0;
	if (first == NULL)
		return NULL;
	do
		(*n)++;
	while (first + *n < s->by_name + s->n && same_name(*first, first[*n]));
	return first;
}

struct view_map *map_all(struct process *p, struct snapshot *s)
{
	struct zone **list = malloc((s->n + 1) * sizeof(*list));
	struct zone *clash;
	size_t n = 0;

	if (list == NULL)
		return NULL;
	for (size_t i = 0; i < s->n; i++)
		if (n == 0 || !same_name(list[n - 1], s->by_name[i]))
			list[n++] = s->by_name[i];
	struct view_map *map = map_new(p, s, list, n, &clash);
	free(list);
	return map;
}

struct view_map *map_selected(struct process *p, struct snapshot *s,
			      const struct instance *inst)
{
	struct zone **list = malloc(inst->n_selected * sizeof(*list));
	struct zone *clash = NULL;
	size_t n = 0;

	if (list == NULL)
		return NULL;
	for (size_t i = 0; i < inst->n_selected; i++) {
		struct zone *zone = map_zone(s, inst->selected[i]);
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
