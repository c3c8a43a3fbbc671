/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * fill_int - what the parts of 'fill' share; nobody else includes this.
 *
 *   fill.c          life, turns of the runs, zones by name
 *   fill_zone.c     what is known of a zone, and when it is filled by itself
 *   fill_run.c      a run: transfer, questions, end
 *   fill_command.c  the command, and the list of names that it brings
 */
#include <uv.h>

#include "cacheproxy/asklist.h"
#include "cacheproxy/xfr.h"
#include "plugin/engine.h"
#include "plugin/fill.h"

/* Runs of zones, of lists; each at once.  BIND gives ten transfers to all. */
#define FILL_ZONES_MAX	 2u
#define FILL_LISTS_MAX	 4u
#define FILL_WHY_MAX	 256u
#define FILL_ERRORS_MAX	 20u	 /* told one by one */
#define FILL_RECORDS_MAX 100000u /* unless it is said */

struct fill_counts {
	uint64_t names, asked, kept, known, brief, failed;
};

/* A zone that was or shall be filled, or whose keys were seen. */
struct fill_zone {
	struct fill_zone *next;
	struct zone *zone; /* of the running configuration; NULL: gone */
	struct zone_state *state;
	dns_tsig_keyring_t *keys; /* of the last client's view; held */
	struct fill_run *run;	  /* under way; or NULL */
	bool marked;		  /* by fill_configured() */
	bool wanted;		  /* there was a miss */
	uint64_t had_id;	  /* identity in the cache that is filled */
	uint64_t paid_ms;	/* fills had so far cover the time until then */
	uint64_t not_before_ms; /* after a failure; 0: at any time */
	bool next_serial;	/* or when it is not failed_serial any more */
	uint64_t failed_serial;
	/* the last run that came to an end */
	int64_t wall_s; /* 0: none */
	struct fill_counts n;
	char why[FILL_WHY_MAX]; /* it was not filled; "" */
};

enum fill_step {
	FILL_WAITING, /* till the zone's serial is known */
	FILL_MOVING,  /* with a transfer */
	FILL_ASKING,
	FILL_OVER, /* but questions are on their way */
};

struct fill_run {
	struct fill_run *next;
	struct engine *engine;
	struct control_client *client; /* is owed a reply; or NULL */
	enum fill_step step;
	bool renew;   /* ask also for what is there and fresh */
	bool by_miss; /* nobody's command */
	bool all_asked;
	uint64_t settle_ms; /* waits for serials until then; 0: has not yet */
	uint64_t end_ms;
	unsigned int open;     /* questions under way */
	unsigned int failures; /* in a row */
	struct fill_counts n;
	char why[FILL_WHY_MAX];
	/* of a zone */
	struct fill_zone *fz; /* NULL: a run of a list; or the zone is gone */
	struct zone *zone;    /* of a snapshot that this holds */
	uint64_t id;	      /* its identity in the cache */
	size_t origin;	      /* that is asked for a transfer */
	size_t records, records_max;
	uint32_t serial;
	bool hopeless; /* do not try again soon */
	struct xfr *xfr;
	struct asklist *list;
	/* of a list */
	struct json_object *request; /* NULL: a run of a zone */
	struct json_object *errors;
	size_t name_at, type_at, zone_at; /* of the next question */
	uint64_t outside, faulty; /* names and types that were left out */
	bool parsed;		  /* 'name' is that at name_at */
	struct dname name;
};

struct fill {
	bool stopping;
	struct fill_run *runs;	       /* by whose turn it is */
	unsigned int n_zones, n_lists; /* of them */
	unsigned int budget;	       /* questions till the next pace */
	unsigned int looks;	       /* names and types, asked for or not */
	uv_idle_t idle;
	uv_timer_t pace; /* while there are runs */
	struct fill_zone *zones;
};

/* A question to be asked next. */
struct fill_question {
	struct zone *zone;
	struct dname name;
	uint16_t type;
};

/* -- fill.c */

/* Gives each run a turn. */
void fill_wake(struct engine *e);

/* There is a new run, which may ask from now on. */
void fill_pace(struct engine *e);

/*
 * The zones that 'name' belongs to most closely; '*n': how many, as views may
 * each have one of that name.  NULL: none.  Valid till the next configuration.
 */
struct zone *const *fill_zones_of(struct engine *e, const struct dname *name,
				  size_t *n);

/* -- fill_zone.c */

/* What is known of it, made if need be; NULL: no memory. */
struct fill_zone *fill_zone_watch(struct engine *e, struct zone *zone);
struct dns_tsigkey *fill_zone_key(const struct fill_zone *fz,
				  const struct dname *name);
void fill_zones_configured(struct engine *e, struct snapshot *s);
void fill_zones_tick(struct engine *e);
void fill_zones_free(struct engine *e);

/* A run of the zone begins; has ended, run->why says how. */
void fill_zone_begun(struct fill_zone *fz, struct fill_run *run);
void fill_zone_ended(struct fill_zone *fz, struct fill_run *run);

/* -- fill_run.c */

/* A run, on the list, its 'client' and limits to be filled in; or NULL. */
struct fill_run *fill_run_new(struct engine *e);

/* Begins with a zone: run->fz is set. */
void fill_run_begin(struct fill_run *run);

/* Asks what it may now, until 'end_ns' (uv_hrtime()) at most. */
void fill_run_turn(struct fill_run *run, uint64_t end_ns);

/* A tick has passed. */
void fill_run_tick(struct fill_run *run);

/* Ends it: run->why, or, if that is empty, well. */
void fill_run_end(struct fill_run *run);
void fill_run_fail(struct fill_run *run, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Frees those that are over, with no question under way. */
void fill_runs_free(struct engine *e);

/* -- fill_command.c */

/* The next question of a list; false: that was all.  back: it is next again. */
bool fill_list_next(struct fill_run *run, struct fill_question *q);
void fill_list_back(struct fill_run *run);

/* There will be no answer: 'why', for the reply. */
void fill_list_failed(struct fill_run *run, const struct ask *ask,
		      const char *why);

/* Answers the client with how it ended. */
void fill_reply(struct fill_run *run);
void fill_counts_add(struct json_object *o, const struct fill_counts *n);
