/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * history - what was known at a time, from the records of a journal; and a
 * world in which it is known again, for gtm_decide() to decide in.
 *
 * A history takes records in the order of the file and so goes on in time; it
 * cannot go back.  A stage is a world of any configuration, to which what the
 * history knows is carried over by name: what the configuration does not have
 * is left out, what the journal does not know was never tested.
 *
 * Its time is a clock of its own, that never runs backwards: where that of the
 * machine was put back by more than HISTORY_JITTER_MS it stands still.
 *
 * A result that was "fresh" is held: results went on coming, one each period,
 * and said the same, so that it is never older than a period until a record
 * says otherwise.
 *
 * Pure; one thread.  Records may be any that journal_next() gives out: memory
 * grows with the octets of the journal, and no faster.
 */
#include "common/journal.h"
#include "gtm/world.h"

#define HISTORY_JITTER_MS 5000u

struct gtm_history;

/* 0, or -ENOMEM. */
int gtm_history_new(struct gtm_history **historyp);
void gtm_history_free(struct gtm_history *history); /* NULL is fine */

/*
 * Takes a record; those that say nothing about tables, or come before any
 * epoch, change nothing.  Returns 0, -ENOMEM, or -EBADMSG: a number that does
 * not follow, or has no name.
 */
int gtm_history_take(struct gtm_history *history,
		     const struct journal_record *record);

/* A configuration that was in force. */
struct gtm_history_epoch {
	uint64_t number; /* of the epochs so far; 0: none */
	uint64_t serial, hash;
	uint64_t from_ms; /* Unix time */
	bool whole;	  /* all that was known then is known */
	const char *file;
};
const struct gtm_history_epoch *
gtm_history_epoch(const struct gtm_history *history);

/* The text of a number, or NULL; until the next epoch is taken. */
const char *gtm_history_name(const struct gtm_history *history,
			     enum journal_table table, uint32_t number);

/* What a number of a slot stands for; false: none. */
bool gtm_history_slot(const struct gtm_history *history, uint32_t number,
		      struct journal_slot *slot);

/* The POP of a server, or NULL; as above. */
const char *gtm_history_pop(const struct gtm_history *history, uint32_t server);

/*
 * What was measured last of the round trip from a POP to a client's group, no
 * longer ago than that; less than 0: not known.  Out of reach is GTM_FAR_MS.
 */
float gtm_history_near_ms(const struct gtm_history *history,
			  const struct gtm_client *client, const char *pop,
			  uint64_t max_age_ms);

/* Unix time of the newest record; 0: none yet. */
uint64_t gtm_history_last_ms(const struct gtm_history *history);

struct gtm_stage;

/*
 * Makes a world of 'config', which must outlive the stage, with a map of its
 * clients: what databases said of them is not known.  0, -ENOMEM, -E2BIG or
 * -EFBIG.
 */
int gtm_stage_new(const struct config *config, struct gtm_stage **stagep);
void gtm_stage_free(struct gtm_stage *stage); /* NULL is fine */

struct gtm_world *gtm_stage_world(const struct gtm_stage *stage);

/*
 * Makes the world know what the history knows, at 'time_ms' (Unix time), which
 * is not before the newest record.  Sets '*now_ms', the time for questions.
 * Returns 0 or -ENOMEM.  Cheap if nothing has changed and no second has passed.
 */
int gtm_stage_set(struct gtm_stage *stage, const struct gtm_history *history,
		  uint64_t time_ms, uint64_t *now_ms);
