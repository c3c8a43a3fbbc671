/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * process - all that outlives an 'rndc reconfig': the cache, the questions
 * under way, the engine and worker threads, the running configuration.  There
 * is one in a named, reached through process_get(); it starts with the first
 * plugin statement and ends with the last.
 *
 * Threads and locks
 *   named's workers  run the hooks: read 'snapshot' and 'map' pointers inside
 *                    rcu_enter()/rcu_leave(), count with relaxed atomics.
 *   engine           see engine.h.
 *   worker           loads configurations, waits for grace periods, frees.
 *   process lock     guards start, stop, the list of instances and the
 *                    publishing of a configuration.  Never taken on the query
 *                    path, and never while waiting for the engine.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dns/acl.h>
#include <isc/mem.h>
#include <isc/quota.h>

#include "cacheproxy/admit.h"
#include "cacheproxy/flight.h"
#include "cacheproxy/store.h"
#include "cacheproxy/zonemap.h"
#include "common/config.h"
#include "gtm/geo.h"
#include "gtm/wanted.h"
#include "gtm/world.h"

/* What is counted, for the process and for each zone. */
enum counter {
	COUNT_QUERIES,	  /* questions for our zones, of any outcome */
	COUNT_HITS,	  /* answered from memory, fresh */
	COUNT_MISSES,	  /* had to wait for the origin */
	COUNT_COALESCED,  /* of the misses: joined a question under way */
	COUNT_STALE,	  /* answered stale, the origin being gone */
	COUNT_FAILURES,	  /* SERVFAIL: no origin answered, nothing stale */
	COUNT_REFUSED,	  /* by named's own access rules */
	COUNT_LIMITED,	  /* by response rate limiting */
	COUNT_OVERLOAD,	  /* no room to wait: see limits.waiters */
	COUNT_RAW,	  /* sent as stored */
	COUNT_RENDERED,	  /* sent through named's renderer */
	COUNT_ASKED,	  /* questions to origins */
	COUNT_STORED,	  /* answers kept */
	COUNT_BAD,	  /* origin answers that were not accepted */
	COUNT_STEERED,	  /* answered by a decision, not by the origin */
	COUNT_PREFETCHED, /* asked before the time was over, for nobody yet */
	COUNT_DENIED,	  /* known not to exist, without asking for it */
	COUNT_FILLED,	  /* asked to have it in memory, for nobody yet */
	/* Of COUNT_ASKED: those that no answer came of, by what the last of
	 * the origins asked did. */
	COUNT_FAILED_TIMEOUT,	/* said nothing in time */
	COUNT_FAILED_NETWORK,	/* connection or TLS failed */
	COUNT_FAILED_REFUSED,	/* said SERVFAIL, REFUSED or the like */
	COUNT_FAILED_MALFORMED, /* said what cannot be believed or used */
	COUNT_FAILED_OTHER,	/* not asked: no room, memory or key */
	COUNTERS,
	COUNT_FAILED = COUNT_FAILED_TIMEOUT, /* the first of these */
};

extern const char *const counter_names[COUNT_FAILED];
extern const char *const failed_names[COUNTERS - COUNT_FAILED]; /* kinds */

/*
 * Whether the origin's answers carry signatures.  SILENT: it was asked, and has
 * not answered yet.
 */
enum zone_signed { ZONE_UNKNOWN, ZONE_SILENT, ZONE_UNSIGNED, ZONE_SIGNED };

struct job {
	struct job *next;
	void (*run)(struct job *job);
};

struct admit;
struct admit_zone;
struct zone;

/* What belongs to a zone and its origin set, across configurations. */
struct zone_state {
	_Atomic uint32_t refs; /* snapshots that have it */
	_Atomic uint64_t cache_id;
	_Atomic uint64_t counters[COUNTERS];
	/* When a view was last seen to serve the same apex itself; 0: never. */
	_Atomic uint32_t conflict_s;
	_Atomic uint8_t
		is_signed; /* enum zone_signed: the last answer's word */
	_Atomic uint32_t learned_s;	  /* when that was; 0: never */
	struct fresh_zone *fresh;	  /* the engine's own, see fresh.h */
	_Atomic uint64_t serial;	  /* see fresh_serial() */
	struct fill_zone *fill;		  /* the engine's own, see fill.h */
	struct denial *denial;		  /* the engine's own, see denial.h */
	struct names *_Atomic names;	  /* likewise read under RCU, or NULL */
	struct proofs *_Atomic proofs;	  /* likewise */
	_Atomic uint32_t names_until_s;	  /* 'names' may be believed so long */
	struct admit_zone *_Atomic admit; /* NULL: not asked yet; admission.h */
	struct job admit_job;		  /* under way while 'admit_posted' */
	struct zone *admit_of;		  /* likewise: held */
	_Atomic bool admit_posted;
	struct admit_bucket origin_all, origin_new; /* engine: "origin-rate" */
	bool restored;	  /* engine: answers came from a snapshot */
	bool served;	  /* engine: clients had answers asked for */
	uint64_t counted; /* who loads: the last snapshot that has it */
};

struct geo_map;
struct snapshot;

struct zone {
	const struct config_zone *config;
	struct zone_state *state;
	struct snapshot *snapshot;
	unsigned int labels; /* without the root */
	bool shares; /* its state is that of a zone before it, of another view
		      */
	_Atomic bool has_hostnames; /* some hostname lies in it */
};

/* A domain that is declared, not held: its records, ready to be given. */
struct domain {
	const struct config_domain *config;
	uint32_t serial;
	uint16_t soa_n;
	uint8_t soa[2 * DNAME_WIRE_MAX + 20]; /* rdata */
};

/*
 * A name of the configuration: what it lies in, and what it is.  Of the edge
 * zone and the domain only the closer one is set; neither: the name is of a
 * zone of named's own.
 */
struct place {
	struct zone *zone;
	const struct domain *domain;
	const struct gtm_host *host; /* the hostname of exactly this name */
	const struct dname *name;
	unsigned int apex_labels; /* of the zone's or domain's name */
};

/*
 * An immutable configuration, built.  Counted: maps, flights and waiting
 * queries hold it.  The worker frees it.
 */
struct snapshot {
	struct job job; /* first */
	_Atomic uint32_t refs;
	struct config *config;
	struct gtm_world *world;
	struct geo_map *_Atomic geo; /* who loads replaces it; see geo.h */
	struct domain *domains;	     /* as config->domains */
	uint32_t names_id;	 /* of the set of hostnames: changes with it */
	struct zone **by_name;	 /* the zones, those of one name together */
	struct zonemap *by_apex; /* -> the first of its name in by_name[] */
	size_t n;
	struct zone zone[]; /* in the configuration's order */
};

struct view_map;

/* A plugin statement in one view. */
struct instance {
	struct instance *next; /* process lock */
	struct view_map *_Atomic map;
	_Atomic bool steers;	/* the map has hostnames: a hint, read first */
	_Atomic bool delegates; /* and some whose name servers are decided */
	dns_acl_t *query_on;	/* the view's allow-query-on, NULL: none */
	size_t n_selected;	/* 0: all zones */
	char **selected;	/* ids of zones */
	char *node;
	char *config_file;
	char where[160];    /* "named.conf:12" */
	char *_Atomic view; /* the view's name, once a query came */
	/* how far its hostnames were looked for: see sign_survey() */
	_Atomic uint32_t survey_at, survey_s;
	_Atomic(const void *) surveyed;
};

/* How the last load of the configuration went; process lock. */
struct load_report {
	int64_t wall_s;
	bool ok;
	bool last_good; /* runs from the copy in the state directory */
	size_t n_errs;
	struct err errs[16];
};

struct engine;
struct notes;
struct recorder;
struct sign;

struct process {
	isc_mem_t *mctx;
	uint64_t seed;
	struct store *store;
	struct flight_table *flights;
	struct engine *engine;
	struct sign *sign;
	pthread_mutex_t recorder_lock; /* see recorder.h */
	struct recorder *recorder;     /* likewise */
	struct notes *notes;	       /* see notes.h */
	struct gtm_wanted *wanted;     /* clients that are to be measured */
	struct admit *admit;	       /* see admission.h */
	isc_quota_t waiters;	       /* a quota of our own, see wait.c */
	uint64_t departed[COUNTERS]; /* of zones that are gone; process lock */
	_Atomic uint64_t next_cache_id;
	_Atomic uint32_t now_s;
	_Atomic uint64_t now_ms;       /* the tables' time */
	_Atomic uint64_t domain_other; /* questions for domains, no hostname */
	int64_t started_wall_s;
	_Atomic bool serving;	  /* a query has come: see slicer.h */
	_Atomic bool restoring;	  /* a snapshot is being put back */
	_Atomic uint32_t spoiled; /* snapshots begun before are void */
	_Atomic uint64_t snapshot_restored, snapshot_saved; /* entries */
	_Atomic int64_t snapshot_wall_s; /* of the last saved; 0: none */

	pthread_mutex_t lock;
	struct instance *instances;
	char *config_file;
	struct view_map *all; /* the map of all zones, NULL: no configuration */
	struct load_report report;
	struct gtm_persist *_Atomic clients; /* see process_clients() */
	uint32_t clients_max; /* of that; by the thread that puts in force */
	bool tables_read;     /* by the thread that puts in force */
	struct err geo_fault; /* process lock; no text: none */
	int64_t geo_fault_wall_s;		      /* likewise */
	struct gtm_geo_file geo_seen[CONFIG_GEO_MAX]; /* who loads */
	_Atomic bool geo_queued;		      /* a check is */
	bool drains_read;   /* by the thread that puts in force */
	bool snapshot_read; /* likewise */

	pthread_t worker;
	pthread_mutex_t worker_lock; /* guards the next six, no more */
	pthread_cond_t worker_wake;
	struct job *jobs, **jobs_end;
	bool worker_stop, worker_running;
	_Atomic uint32_t n_jobs; /* that wait; any thread may read it */
	_Atomic bool reload_queued;
	_Atomic bool stopping; /* nothing is loaded any more */
};

struct process *process_get(void);

/*
 * Adds 'instance' (its parameters filled; taken over on success), starting the
 * process with the first.  'fail_hard': a bad configuration at start is an
 * error.  Returns 0 or -errno; 'why' (ERR_TEXT_MAX octets) then says what is
 * wrong.  Called with named's network paused: a running process only queues a
 * load.
 */
int process_add(struct instance *instance, bool fail_hard, char *why);

/* Takes 'instance' out and frees it; with the last, stops everything. */
void process_remove(struct instance *instance);

/* Frees an instance that was not added. */
void instance_free(struct instance *instance);

/* Gives 'job' to the worker thread, in order. Any thread. */
void process_work(struct process *p, struct job *job);

/*
 * Loads the configuration file and replaces the running one, or not at all;
 * worker thread.  Fills p->report.  Returns 0 or -errno.
 */
int process_load(struct process *p);

/* Queues process_load() unless one is queued already.  Any thread. */
void process_reload(struct process *p);

void snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s);

/*
 * Counts one, and returns how many that are (the low 32 bits); the process's
 * totals are sums over its zones.
 */
static inline uint32_t count(const struct zone *zone, enum counter which)
{
	return (uint32_t)atomic_fetch_add_explicit(
		       &zone->state->counters[which], 1, memory_order_relaxed) +
	       1;
}

/* Counts a question that ended without an answer, by its status (-errno). */
void count_failed(const struct zone *zone, int status);

/*
 * Seconds of the monotonic clock: the store's time.  process_now_s() is what
 * the engine's timer read a moment ago, and free.
 */
uint32_t clock_now_s(void);

/* Milliseconds of the same clock: the tables' time; and the timer's reading. */
uint64_t clock_now_ms(void);

static inline uint64_t process_now_ms(const struct process *p)
{
	return atomic_load_explicit(&p->now_ms, memory_order_relaxed);
}

/*
 * The table of clients that keep their servers; NULL: none is wanted.  Good
 * within the RCU section, and for the worker.
 */
static inline struct gtm_persist *process_clients(struct process *p)
{
	return atomic_load_explicit(&p->clients, memory_order_acquire);
}

static inline uint32_t process_now_s(const struct process *p)
{
	return atomic_load_explicit(&p->now_s, memory_order_relaxed);
}
