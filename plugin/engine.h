/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * engine - the thread that does all I/O: a libuv loop that owns the origin
 * connections, the control socket and the timers, and is the only writer of
 * the store.  It never waits for a lock that a worker of named holds longer
 * than a few list operations, and never loads, parses or frees in bulk; walks
 * of the store and the like it does by 'slicer'.
 */
#include <stdint.h>

#include <dns/tsig.h>

#include "cacheproxy/origin.h"
#include "plugin/process.h"
#include "plugin/slicer.h"
#include "plugin/traffic.h"

struct control;
struct fill;
struct fill_run;
struct patience;

/* A question for an origin: a flight and what it takes along. */
struct ask {
	struct job job; /* first: for engine_post() */
	struct flight flight;
	uint64_t hash;
	struct zone *zone;	   /* of a snapshot that this holds */
	dns_tsig_keyring_t *keys;  /* the view's, or NULL; held */
	bool refresh;		   /* what is there is to be replaced */
	struct fill_run *fill;	   /* engine: whose question it is; or NULL */
	uint8_t tries;		   /* the fill's own */
	struct patience *patience; /* engine: of those who wait; or NULL */
	struct dname name;
};

/* What a landing tells those who wait; see wait.h. */
struct landing {
	struct store_entry *entry; /* NULL: no origin answered */
	bool stale;		   /* the entry is old, the origin gone */
	bool limited;		   /* origins are asked enough: origin-rate */
};

struct engine {
	struct process *process;
	pthread_t thread;
	uv_loop_t loop;
	uv_async_t wake;
	uv_timer_t tick;
	struct slicer slicer;
	struct job *_Atomic jobs; /* newest first */
	struct origins *origins;
	struct answer_maker *maker;
	struct control *control;
	char *control_path;
	struct snapshot *snapshot; /* the running one, for commands */
	size_t sweep_buckets;
	struct slicer_work shrink; /* of a store whose limit fell */
	bool shrinking;
	struct feed feed;
	struct drain *drains;
	uint32_t tables_s; /* see tables.h */
	bool tables_saving;
	uint32_t wanted_s;	      /* likewise, and the next two */
	struct snapshot *tables_from; /* held: its latencies are copied */
	uint32_t tables_at;
	int64_t windows_next_s; /* maintenance: when to look again */
	uint32_t saved_s;	/* see persist.h */
	bool saving;
	uint32_t surveyed_s;	/* see survey.h */
	uint32_t geo_checked_s; /* see geo.h */
	struct fresh *fresh;
	struct denials *denials;
	struct fill *fill;
	bool admission_ended; /* see admission.h */
	size_t survey_at;
};

/* Starts the thread, all signals blocked in it. 0 or -errno. */
int engine_start(struct process *p, struct engine **enginep);

/*
 * Ends every question, closes every socket, ends and joins the thread, frees.
 * Called with no lock that the engine's callbacks take.
 */
void engine_stop(struct engine *e);

/* Runs 'job' on the engine's thread, in order of posting. Any thread. */
void engine_post(struct engine *e, struct job *job);

/* Asks for 'ask', whose flight has just been joined first. Any thread. */
void engine_ask(struct engine *e, struct ask *ask);

/* The same on the engine's thread; may have ended when this returns. */
void engine_ask_now(struct engine *e, struct ask *ask);

/*
 * Engine: forgets all stored answers of the zone.  Under a new identity in the
 * cache none is found from now on, and none that is on its way will be kept.
 * Returns the old identity, for who frees the memory by a walk.
 */
uint64_t engine_forget_zone(struct engine *e, struct zone *zone);

/*
 * Takes over a reference to 's' as the running configuration: sizes the
 * store, opens or moves the control socket; and, at the start, the drains that
 * were saved (NULL: none, or no start).  Any thread.
 */
void engine_configure(struct engine *e, struct snapshot *s,
		      struct drain *drains);
