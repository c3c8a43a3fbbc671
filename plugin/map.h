/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * map - what a view serves, by name: edge zones, declared domains, hostnames.
 *
 * One look-up says all: the longest name of the configuration that a question
 * belongs to, with the zone or domain around it.  Immutable; made where a
 * configuration is put in force (load.h), read by named's workers under RCU.
 */
#include "common/nameset.h"
#include "plugin/process.h"

/*
 * Views that select no zones share one.  Counted by instances, process lock.
 */
struct view_map {
	uint32_t refs;
	struct zonemap *places; /* -> struct place */
	struct nameset *hosts;	/* -> those of hostnames */
	struct nameset *dry;	/* -> hosts that are decided, but not served */
	size_t n_dry;
	struct nameset *ns; /* -> hosts whose name servers are decided */
	size_t n_ns;
	struct snapshot *snapshot; /* a reference */
	struct dname **between;	   /* names made for it */
	size_t n_between;
	size_t n;
	struct place place[]; /* by map_order() of their names */
};

/* The order of names in which things are searched here. */
int map_order(const struct dname *a, const struct dname *b);

/* Fills s->by_name and s->by_apex, for who loads.  0 or -errno. */
int map_names(struct process *p, struct snapshot *s);
void map_names_free(struct snapshot *s);

/*
 * The zones of the longest apex that 'name' lies in, '*n' of them, of as many
 * views; NULL: none.
 */
struct zone *const *map_zones_of(const struct snapshot *s,
				 const struct dname *name, size_t *n);

/* The map of all zones; of those with one name only the first in the file. */
struct view_map *map_all(struct process *p, struct snapshot *s);

/*
 * The map for the zones that 'inst' selects, of those that there are; what is
 * missing or comes twice is logged.  NULL: no memory, or two of one name.
 */
struct view_map *map_selected(struct process *p, struct snapshot *s,
			      const struct instance *inst);
void map_free(struct view_map *map);

struct zone *map_zone(struct snapshot *s, const char *id); /* or NULL */

/*
 * The place of the longest name that 'qname' (uncompressed wire form of 'n'
 * octets, any case) belongs to, or NULL; '*exact' says whether it is that name.
 */
static inline const struct place *map_find(const struct view_map *map,
					   const uint8_t *qname, size_t n,
					   bool *exact)
{
	unsigned int labels;
	const struct place *place =
		zonemap_find(map->places, qname, n, &labels);

	*exact = place != NULL && place->name->n == n;
	return place;
}

/* The place of the hostname of exactly that name, or NULL. */
static inline const struct place *map_host(const struct view_map *map,
					   const uint8_t *qname, size_t n)
{
	return nameset_find(map->hosts, qname, n);
}

/*
 * The hostname of exactly that name that is only tried ("dry-run"), or NULL.
 * Such a name is in no other way in the map.
 */
static inline const struct gtm_host *map_dry(const struct view_map *map,
					     const uint8_t *qname, size_t n)
{
	return map->n_dry == 0 ? NULL : nameset_find(map->dry, qname, n);
}

/* The hostname of exactly that name whose name servers are decided, or NULL. */
static inline const struct gtm_host *map_ns(const struct view_map *map,
					    const uint8_t *qname, size_t n)
{
	return map->n_ns == 0 ? NULL : nameset_find(map->ns, qname, n);
}
