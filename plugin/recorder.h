/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * recorder - writes the journal: what is known of the servers, operators'
 * words, and the decisions that named's threads have noted.
 *
 * The worker looks at the tables, as any reader does, four times a second and
 * whenever a state has changed, and writes what is not as it last wrote it.  So
 * neither the engine nor a query does anything for it but to say that there is
 * something, and what is fed has no cost here however fast it comes.
 *
 * The recorder's lock guards all of it.  It is the worker's while there is one,
 * and held while it writes; at the end, when jobs run on the thread that has
 * one, it keeps these apart.  Taken before the process lock; snapshots are
 * given back without it, as the last reference frees one, which takes notes.
 */
#include <stdbool.h>
#include <stdint.h>

#include "plugin/notes.h"

struct process;
struct recorder;

struct recorder_stats {
	bool active; /* it has a file, and can write to it */
	uint64_t bytes, limit_bytes;
	uint64_t events, decisions;
	uint64_t lost;	 /* decisions that found no room */
	uint64_t errors; /* of writing */
};

/* Fills p->recorder and p->notes; 0 or -ENOMEM. */
int recorder_new(struct process *p);

/* At the end, when nobody has jobs: writes what is left. */
void recorder_last(struct process *p);
void recorder_free(struct process *p);

/* The engine's timer. */
void recorder_tick(struct process *p);

/* There is something to be looked at.  Any thread. */
void recorder_poke(struct process *p);

/*
 * What an operator said of a server, or what was done with a configuration;
 * 'reason' NULL: none was given.  Any thread but named's.
 */
void recorder_word(struct process *p, const char *what, const char *server,
		   const char *reason);

/*
 * Takes what was noted, before the hostnames of a configuration are freed.
 * Where snapshots are freed.
 */
void recorder_drain(struct process *p);

/* Any thread. */
void recorder_stats_read(const struct process *p, struct recorder_stats *stats);
