/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_target - one thing to test: a service at an address of a server; what
 * its tests have said, and what follows from that (rise and fall).
 *
 * Pure: times are arguments.  The table of targets is at the same time what is
 * still to be reported: a newer result replaces an older one.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/probe.h"
#include "probes-client/probed_list.h"
#include "probes-client/probed_recent.h"

#define PROBED_ADDRESS_MAX 46  /* as text, with the NUL */
#define PROBED_DETAIL_MAX  160 /* octets of a cause in words, with the NUL */
#define PROBED_LINE_MAX	   768 /* octets that describe a result */

struct probed_test;

/* When a test came how far: microseconds from its start; 0: it did not. */
struct probed_times {
	uint32_t connect_us, tls_us, first_us, total_us;
};

/* Why a result says nothing of the server: the trouble is our own. */
enum probed_moot {
	PROBED_NOT_MOOT,
	PROBED_LATE,	/* we were stopped, or are too slow */
	PROBED_LACKING, /* of descriptors or memory */
};

/* What one test has found. */
struct probed_result {
	enum probe_error error;
	uint32_t metric_ms; /* 1..65534; failed: PROBE_METRIC_FAILED */
	bool degraded;	    /* no failure, but slow, or so a program says */
	struct probed_times times;
	int64_t expires_s; /* unix time, of the certificate; 0: none seen */
	enum probed_moot moot;
	char detail[PROBED_DETAIL_MAX]; /* more about 'error', or "" */
};

enum probed_state { PROBED_UNTESTED, PROBED_UP, PROBED_DOWN };

enum probed_change {
	PROBED_SAME,
	PROBED_FIRST,	/* it had no state before */
	PROBED_CHANGED, /* up to down, or down to up */
	PROBED_HELD,	/* would be up, but is held down from now on */
};

struct probed_target {
	/* What it is: parts of the configuration in use. */
	const char *server;
	const struct config_service *service;
	const struct sockaddr_storage *address; /* port 0 */
	char address_text[PROBED_ADDRESS_MAX];

	/* What is known of it. */
	enum probed_state state;
	enum probe_error error; /* of the newest test */
	uint32_t metric_ms;	/* of the newest test */
	uint64_t n_tests;
	uint64_t n_failed[PROBE_ERRORS]; /* tests, by their error */
	uint64_t n_changes;		 /* up to down, and down to up */
	uint64_t run;	     /* tests in a row that ended as the newest did */
	int64_t measured_ms; /* unix time of the newest test */
	uint64_t tested_ms;  /* the same, monotonic */
	uint64_t since_ms;   /* monotonic: when it came into its state */
	uint64_t was_ms;     /* how long it had been in the state before */
	bool degraded;	     /* the newest test: up, but slow */
	bool held;	     /* good, but down for having failed too often */
	bool suppressed;     /* its penalty has been too high, and is not yet
				low enough */
	double penalty;	     /* as of 'penalty_ms' (monotonic) */
	uint64_t penalty_ms, suppressed_ms;
	struct probed_recent recent;
	char words[PROBED_DETAIL_MAX]; /* more about the newest error, or "" */

	/* Of the schedule (probed_sched, probed_engine). */
	uint64_t due_ms;     /* monotonic */
	uint64_t regular_ms; /* the next turn of its interval, from due_ms */
	uint64_t begun_ms;   /* when the newest test was due */
	bool was_moot;	     /* its newest test said nothing of it */
	size_t heap_at;	     /* 0: not in the heap */
	bool skipped;	     /* its last slot was missed */
	struct probed_link line;  /* of those that wait for their turn */
	struct probed_test *test; /* NULL: none is running */
	void *owner;		  /* the engine */
	void *kept;		  /* what the running test reads (engine) */

	/* Of the feed (probed_rows). */
	struct probed_link queue;
	bool urgent;
	uint64_t queued_ms; /* monotonic: since when it is to be sent */
};

/* Orders by server, address and service. */
int probed_target_compare(const struct probed_target *a,
			  const struct probed_target *b);

/* True if both have the same key and what is asked of them is the same. */
bool probed_target_same(const struct probed_target *a,
			const struct probed_target *b);

/*
 * Takes the result of a test that ended at 'now_ms' (monotonic), 'unix_ms' by
 * the wall clock: the first one decides the state, later ones after 'rise' or
 * 'fall' in a row.
 */
enum probed_change probed_target_take(struct probed_target *target,
				      const struct probed_result *result,
				      uint64_t now_ms, int64_t unix_ms);

/*
 * What to say of it besides its state: why its newest test failed, or why it
 * is down, or not as good as it should be, in spite of it.
 */
enum probe_error probed_target_error(const struct probed_target *target);

/*
 * The metric of a test that took 'ms': beyond "degraded" each millisecond
 * counts PROBED_DEGRADED_TIMES times, so that what is slow looks loaded.
 */
#define PROBED_DEGRADED_TIMES 10u
uint32_t probed_target_metric(const struct config_service *service,
			      uint32_t ms);
/* True if tests disagree with its state, and are too few to change it. */
bool probed_target_is_in_doubt(const struct probed_target *target);

const char *probed_state_text(enum probed_state state);

/* Writes the address, without its port, into 'out' (PROBED_ADDRESS_MAX). */
void probed_address_print(const struct sockaddr_storage *address, char *out);

/*
 * Writes a span of time as people say it, in its two largest units ("3h 2m",
 * "45s", "250ms"), into 'out' (size > 0).
 */
void probed_span_print(uint64_t ms, char *out, size_t size);

/* "connection refused", "unexpected status (503, want 200)": into 'out'. */
void probed_cause_print(const struct probed_result *result, char *out,
			size_t size);

/*
 * Writes what 'result', just taken with 'change', means for the target, into
 * 'out' (size > 0): "server 'fra-a' 198.51.100.10 service 'web': down after 2
 * failures (was up 3h 2m): connection refused".
 */
void probed_target_describe(const struct probed_target *target,
			    const struct probed_result *result,
			    enum probed_change change, char *out, size_t size);
