/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * world - a configuration made ready for decisions: hostnames with their
 * candidates, and behind them what outlives a configuration: slots, drains,
 * counters.
 *
 * A world is immutable but for the atomic fields it points to.  A new one is
 * made from a new configuration and the world before it, with which it shares
 * the state of every server, address, service and hostname that is in both.
 * The configuration must outlive the world.
 *
 * Pure.  gtm_world_new() and _free() are for one thread at a time; so are
 * _feed() and the drains, which may be another one: a world can be made while
 * the one before it is read, fed and drained.  Worlds are freed in any order.
 * Everything that only reads is for any thread.  Who decides while latencies
 * are fed stands in an RCU section (groups.h); who feeds them does not.
 */
#include <netinet/in.h>
#include <stddef.h>

#include "common/config.h"
#include "gtm/clients.h"
#include "gtm/groups.h"
#include "gtm/table.h"
#include "gtm/votes.h"

/*
 * What is kept of a server.  'drained_until_ms' is 0 (it serves), UINT64_MAX
 * (drained until further notice) or the time at which the drain, or the window
 * of maintenance, ends.
 */
struct gtm_admin {
	_Atomic uint32_t refs; /* worlds that have it */
	_Atomic uint32_t held; /* 1: it has failed, and comes back by hand */
	_Atomic uint64_t drained_until_ms;
	/* an operator's word: enum gtm_force << 62 | until when, in ms */
	_Atomic uint64_t forced;
	/* when the next window of maintenance begins; 0: none is known */
	_Atomic uint64_t planned_ms;
	/*
	 * For those that need it: until when it counts as up by what was
	 * measured; UINT64_MAX: nobody has tested it.
	 */
	_Atomic uint64_t good_until_ms;
	struct gtm_slot load; /* of the machine; its state is GTM_UP */
};

enum gtm_force { GTM_UNFORCED, GTM_FORCED_UP, GTM_FORCED_DOWN };
#define GTM_FORCE_EVER ((UINT64_C(1) << 62) - 1)

/* The word that holds now. */
static inline enum gtm_force gtm_admin_force(const struct gtm_admin *admin,
					     uint64_t now_ms)
{
	uint64_t w = atomic_load_explicit(&admin->forced, memory_order_relaxed);

	return (w & GTM_FORCE_EVER) > now_ms ? (enum gtm_force)(w >> 62)
					     : GTM_UNFORCED;
}

/* What is measured at a POP, in hundredths of a per cent; state GTM_UP. */
struct gtm_pop {
	_Atomic uint32_t refs;
	struct gtm_slot loss, bandwidth;
	char id[];
};

/*
 * A slot, and what it is the slot of.  Worlds share cells: what depends on a
 * configuration is in gtm_about.
 */
struct gtm_cell {
	_Atomic uint32_t refs;
	struct gtm_slot slot;
	struct sockaddr_storage address; /* port 0 */
	char ids[];			 /* "server\0service\0" */
};

/* What a cell is in one world. */
struct gtm_about {
	const struct config_service *service;
	uint32_t server;	 /* index into the configuration's */
	struct gtm_votes *votes; /* NULL: its quorum is 1 */
};

/* How often an address was given out for a hostname. */
struct gtm_tally {
	_Atomic uint32_t refs;
	_Atomic uint64_t given;
};

/* What is counted for a hostname. */
enum gtm_count {
	GTM_DECISIONS, /* of any outcome, additional data not counted */
	GTM_ON_BACKUP, /* answered from the backup tier */
	GTM_ON_HIDDEN, /* from the hidden tier */
	GTM_ON_FAIL,   /* nothing was up: the "fail" policy answered */
	GTM_NO_DATA,   /* without a record */
	GTM_SERVFAILS,
	GTM_EXTRA,    /* decided for additional data */
	GTM_ON_ELSE,  /* answered by the hostname that stands in for it */
	GTM_EXPLORED, /* with a wider choice, to keep tables alive */
	GTM_DRY,      /* decided, but the zone's own answer was given */
	GTM_EXPOSED, /* records of a zone held a hidden server; plugin/edit.c */
	GTM_PENDING, /* another answer was given, as what was decided was not
			signed yet; plugin/steer.c */
	GTM_COUNTS,
};
extern const char *const gtm_count_names[GTM_COUNTS];

struct gtm_counts {
	_Atomic uint32_t refs;
	_Atomic uint64_t n[GTM_COUNTS];
	/* for the query path's own use; see plugin/hook.c */
	_Atomic uint64_t noted;
};

/* One address, or alias, that may be given out. */
struct gtm_candidate {
	const struct gtm_cell *cell; /* NULL: nobody tests it, always up */
	struct gtm_admin *admin;
	struct gtm_tally *tally;
	uint64_t key;	    /* hash of its server's id, the same everywhere */
	uint32_t weight;    /* of its server; 0: gets nothing */
	uint32_t capacity;  /* 0: no limit */
	uint32_t server;    /* index into the configuration's */
	uint32_t shed_from; /* load from which it gets less; the capacity: it
			       sheds nothing */
	uint32_t slow_start_ms;
	uint16_t pop;		     /* whose measurements hold: index */
	uint32_t column;	     /* in the table of latencies */
	const struct gtm_pop *place; /* the same POP */
	uint8_t tier;		     /* enum config_tier */
	uint8_t n_needs;
	bool odd;			/* has needs, no weight, or no tests */
	struct gtm_admin *const *needs; /* of the servers that it needs */
	const struct dname *alias;	/* instead of the address, or NULL */
	uint8_t address[16];		/* network order, 4 or 16 octets */
};

enum gtm_family { GTM_V4, GTM_V6, GTM_FAMILIES };

struct gtm_host {
	const struct config_hostname *config;
	struct gtm_counts *counts;
	const struct config_service *service; /* NULL: none */
	const struct gtm_world *world;
	const struct gtm_host *otherwise; /* answers when this one fails */
	uint32_t max_age_ms;		  /* of its service's values */
	uint32_t fall_ms, rise_ms; /* the least time to go down, come up */
	bool costs; /* what is weighed may differ among its candidates */
	bool thins; /* some candidate sheds load, or starts slowly */
	/* of its candidates, and of those that stand in for them: */
	bool some_alias; /* one at least is an alias */
	bool all_alias;	 /* there is nothing else */
	bool ruled; /* rules of clients name their servers, or these' POPs */
	uint32_t n[GTM_FAMILIES];
	/* by tier, then as in the configuration */
	struct gtm_candidate *candidate[GTM_FAMILIES];
};

struct gtm_world {
	const struct config *config;
	size_t n_hosts;
	struct gtm_host *hosts; /* as config->hostnames */
	size_t n_cells;
	struct gtm_votes *votes;   /* of the cells whose quorum is more than 1;
				      a new world hears all votes anew */
	struct gtm_cell **cells;   /* sorted: server, address, service */
	struct gtm_about *about;   /* as cells */
	uint32_t *first;	   /* cell of each server, and the end */
	struct gtm_admin **admins; /* as config->servers */
	struct gtm_pop **pops;	   /* as config->pops */
	struct gtm_admin **needs;  /* of all servers, one after another */
	struct gtm_groups *groups; /* latencies; NULL: there is one POP */
	uint16_t *columns;	   /* in it, held; as config->pops */
	struct gtm_vector *points; /* as config->pops: where they are */
	_Atomic uint64_t reach_ms; /* when the newest loss of any was measured
				    */
	bool rules_time;	   /* some rule of clients has latencies */
	/* of this configuration's rules; NULL: none; the setter's to free */
	const struct gtm_clients *_Atomic clients;
};

/*
 * Makes a world.  'old' may be NULL.  Returns 0 and sets '*worldp'; or -ENOMEM,
 * or -E2BIG for a hostname with more than CONFIG_CHOICE_MAX addresses of a
 * family (which config_parse() does not let pass).  'config' and 'old' are not
 * taken over.
 */
int gtm_world_new(const struct config *config, const struct gtm_world *old,
		  struct gtm_world **worldp);
void gtm_world_free(struct gtm_world *world); /* NULL is fine */

/* A measurement as a side-car reports it. */
struct gtm_row {
	struct slice server, service;
	struct sockaddr_storage address; /* port 0 */
	enum gtm_state state;		 /* GTM_UP, GTM_DOWN */
	double metric;
	int64_t error;
	double age_ms;	   /* now - when it was measured, by the wall clock */
	struct slice node; /* who measured it; p NULL: nobody in particular */
};

/* What became of a row; GTM_ROW_OK is taken. */
enum gtm_row_fate {
	GTM_ROW_OK,
	GTM_ROW_UNKNOWN, /* no such server, address or service */
	GTM_ROW_FUTURE,	 /* more than GTM_FUTURE_MS from now */
	GTM_ROW_OLD,	 /* not newer than what is known, or than the clock */
	GTM_ROW_VALUE,	 /* NaN, negative, too large */
	GTM_ROW_FATES,
};
extern const char *const gtm_row_fate_names[GTM_ROW_FATES];

/* What clocks of different machines may differ. */
#define GTM_FUTURE_MS 2000.0

/*
 * Takes a row at the time 'now_ms' (the slots' clock).  '*changed' (NULL is
 * fine) says whether the state of the slot is another than before.  With a
 * quorum, a row is a vote, and the slot follows what enough fresh ones say.
 */
enum gtm_row_fate gtm_world_feed(struct gtm_world *world,
				 const struct gtm_row *row, uint64_t now_ms,
				 bool *changed);

/*
 * Takes the load of a server's machine, or what was measured at a POP: 'value'
 * is a metric, or per cent.
 */
enum gtm_row_fate gtm_world_feed_load(struct gtm_world *world,
				      struct slice server, double value,
				      double age_ms, uint64_t now_ms);
enum gtm_pop_kind { GTM_LOSS, GTM_BANDWIDTH };
enum gtm_row_fate gtm_world_feed_pop(struct gtm_world *world, struct slice pop,
				     enum gtm_pop_kind kind, double value,
				     double age_ms, uint64_t now_ms);

/* A POP's loss was set: for reach_ms. */
void gtm_world_reached(struct gtm_world *world, const struct gtm_slot *loss);

/*
 * Takes the round trip from a POP to a group of clients, in milliseconds; less
 * than 0: out of reach.
 */
enum gtm_row_fate gtm_world_feed_latency(struct gtm_world *world,
					 const struct gtm_client *group,
					 struct slice pop, double ms,
					 double age_ms, uint64_t now_ms);

/* The cell of a server's address and service, or NULL. */
struct gtm_cell *gtm_world_cell(const struct gtm_world *world,
				struct slice server,
				const struct sockaddr_storage *address,
				struct slice service);

/* Index of the server 'id', or CONFIG_NONE. */
uint32_t gtm_world_server(const struct gtm_world *world, struct slice id);
