/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * geo - the client map of the running configuration: made by the worker with
 * each configuration, and anew when a database was replaced.  A map that
 * cannot be made never takes the place of one.
 *
 * A database that is not there is a warning, and the map is made of what else
 * there is.  One that is there and bad refuses the configuration, or leaves the
 * old map.  At the start there is a map of the configuration's rules alone,
 * until the worker has read the databases.
 *
 * The map belongs to its snapshot (as rules are known by their index), and is
 * read under RCU, by way of its gtm_world.
 */
#include "gtm/geo.h"
#include "plugin/process.h"

struct control_client;
struct engine;
struct json_object;

/* A database, as it was when the map was made. */
struct geo_database {
	struct gtm_geo_about about; /* file all 0: it was not there */
	bool pending;		    /* not looked for yet */
};

/* A map and what it is made of.  Counted: snapshots hold it. */
struct geo_map {
	_Atomic uint32_t refs;
	struct gtm_clients *clients;
	struct gtm_clients_size size;
	int64_t made_wall_s;
	uint64_t made_ms; /* at that time */
	uint32_t took_ms;
	size_t n_databases; /* as the configuration's */
	struct geo_database databases[CONFIG_GEO_MAX];
};

void geo_map_unref(struct geo_map *map); /* NULL is fine */

/*
 * Makes the map of 'config', or takes over that of 'old' (NULL is fine) if it
 * would be the same.  'start': of the rules alone, for now.  Returns 0 and sets
 * '*mapp' (NULL: the configuration knows nothing of clients); or -errno, and
 * 'err' says what is wrong.  Worker, or who starts the process.
 */
int geo_make(struct process *p, const struct config *config,
	     struct snapshot *old, bool start, struct geo_map **mapp,
	     struct err *err);

/* Gives a new snapshot its map; takes over the reference. */
void geo_attach(struct snapshot *s, struct geo_map *map);

/* The configuration is in force: what was wrong with databases is past. */
void geo_settled(struct process *p, const struct snapshot *s);

/* Has the worker look, now and then, whether a database was replaced. */
void geo_tick(struct engine *e, uint32_t now_s);

/* The "clients" of status, or NULL: nothing is known of any.  Engine. */
struct json_object *geo_status(struct engine *e);

/* What is known of a client.  Engine. */
void geo_client(struct engine *e, struct control_client *client,
		struct json_object *request);
