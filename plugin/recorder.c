/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/recorder.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "plugin/log.h"
#include "plugin/map.h"
#include "plugin/recorder_int.h"

#define ALIVE_MS 60000u /* that it goes on is said so often at least */
#define RETRY_MS 10000u /* after an error */
#define LEAST_MS 10u	/* between looks */
#define SINCE_MS 1000u	/* what is written may be said to be older by */
#define SPARE	 4u	/* rings for threads that have not noted yet */

/* -- the file -------------------------------------------------------------- */

static struct recorder *enter(struct process *p)
{
	pthread_mutex_lock(&p->recorder_lock);
	return p->recorder;
}

static void leave(struct process *p)
{
	struct snapshot *s = NULL;

	if (p->recorder != NULL) {
		s = p->recorder->dropped;
		p->recorder->dropped = NULL;
	}
	pthread_mutex_unlock(&p->recorder_lock);
	if (s != NULL)
		snapshot_unref(s);
}

static void forget(struct recorder *r)
{
	assert(r->dropped == NULL);
	r->dropped = r->snapshot;
	r->snapshot = NULL;
	r->open = false;
}

static void file_close(struct recorder *r)
{
	recorder_file_close(r->file);
	r->file = NULL;
	free(r->directory);
	r->directory = NULL;
}

static int file_open(struct recorder *r, const struct config *config)
{
	bool strange = false;

	r->size_bytes = config->journal_bytes;
	r->directory = strdup(config->state_directory);
	if (r->directory == NULL)
		return -ENOMEM;
	int rc = recorder_file_open(r->directory, r->size_bytes, &r->file,
				    &strange);
	if (strange)
		log_write(ISC_LOG_WARNING,
			  "journal: '%s/" JOURNAL_FILE "' was damaged or of "
			  "another version: it is now '" JOURNAL_FILE
				  JOURNAL_OLDER "'",
			  r->directory);
	return rc;
}

/* True if the file that is open is the one that is wanted. */
static bool file_is(const struct recorder *r, const struct config *config)
{
	return r->file != NULL && r->size_bytes == config->journal_bytes &&
	       strcmp(r->directory, config->state_directory) == 0;
}

/* -- epochs ---------------------------------------------------------------- */

/* Begins again with what 's' (taken over) has, in another file if 'turn'. */
static void begin(struct recorder *r, struct snapshot *s, bool turn,
		  uint64_t now_ms)
{
	const struct config *config = s->config;
	int rc = 0;

	forget(r);
	r->bad = false;
	r->full = false;
	r->snapshot = s;
	if (!file_is(r, config)) {
		file_close(r);
		rc = file_open(r, config);
		turn = false;
	}
	if (rc == 0 && (turn || recorder_file_over(r->file, 0, 0)))
		rc = recorder_file_turn(r->file);
	if (rc == 0)
		recorder_epoch(r, now_ms);
	else
		recorder_failed(r, rc);
	r->retry_ms = now_ms + RETRY_MS;
	if (r->full) { /* until there is another configuration */
		r->full = false;
		recorder_failed(r, -EFBIG);
		r->retry_ms = UINT64_MAX;
	}
	if (!r->bad)
		r->said = 0;
	atomic_store(&r->limit, config->journal_bytes);
	/* also with a bad file: what they note is then thrown away */
	notes_want(r->process->notes, config->journal_decisions, SPARE);
}

/* What is in force; held, or NULL. */
static struct snapshot *snapshot_now(struct process *p)
{
	struct snapshot *s = NULL;

	pthread_mutex_lock(&p->lock);
	if (p->all != NULL)
		s = p->all->snapshot;
	if (s != NULL)
		snapshot_ref(s);
	pthread_mutex_unlock(&p->lock);
	return s;
}

static void leave_off(struct recorder *r)
{
	notes_want(r->process->notes, 0, 0);
	recorder_notes(r, 0);
	forget(r);
	file_close(r);
	atomic_store(&r->bytes, 0);
	atomic_store(&r->limit, 0);
	atomic_store(&r->idle, true);
}

static void write_on(struct recorder *r, uint64_t now_ms)
{
	const struct config *config = r->snapshot->config;
	struct journal_record alive = { .kind = JOURNAL_ALIVE };
	uint64_t wall_ms = (uint64_t)((int64_t)now_ms + r->wall_ms);

	/* what was decided before it was known what is found out now */
	recorder_notes(r, now_ms);
	if (!r->bad)
		recorder_scan(r, now_ms);
	if (now_ms - r->wrote_ms >= ALIVE_MS)
		recorder_put(r, &alive, now_ms);
	recorder_flush(r);
	if (r->bad && !r->full)
		return;
	notes_want(r->process->notes, config->journal_decisions, SPARE);
	if (r->full ||
	    recorder_file_over(r->file, wall_ms, config->journal_age_s)) {
		snapshot_ref(r->snapshot);
		begin(r, r->snapshot, true, now_ms);
	}
}

static void clocks_read(struct recorder *r, uint64_t *now_ms)
{
	struct timeval wall;

	*now_ms = clock_now_ms();
	(void)gettimeofday(&wall, NULL);
	r->wall_ms = (int64_t)wall.tv_sec * 1000 + wall.tv_usec / 1000 -
		     (int64_t)*now_ms;
}

static void look(struct recorder *r)
{
	struct snapshot *s = snapshot_now(r->process);
	uint64_t now_ms;

	clocks_read(r, &now_ms);
	r->since_ms = now_ms - r->looked_ms < SINCE_MS ? r->looked_ms
						       : now_ms - SINCE_MS;
	r->looked_ms = now_ms;
	if (s == NULL || s->config->journal_bytes == 0) {
		leave_off(r);
		if (s != NULL)
			snapshot_unref(s);
		return;
	}
	atomic_store(&r->idle, false);
	if (s != r->snapshot || (r->bad && now_ms >= r->retry_ms)) {
		begin(r, s, false, now_ms);
		return;
	}
	snapshot_unref(s);
	write_on(r, now_ms);
}

/* -- jobs ------------------------------------------------------------------ */

static void look_now(struct job *job)
{
	struct recorder *r = (struct recorder *)job;
	struct process *p = r->process;

	atomic_store(&r->queued, false);
	(void)enter(p);
	/* else the next of the timer's: a storm of changes is not its own */
	if (clock_now_ms() - r->looked_ms >= LEAST_MS)
		look(r);
	leave(p);
}

void recorder_poke(struct process *p)
{
	struct recorder *r = p->recorder;

	if (r == NULL || atomic_exchange(&r->queued, true))
		return;
	r->job.run = look_now;
	process_work(p, &r->job);
}

void recorder_tick(struct process *p)
{
	if (!atomic_load(&p->recorder->idle) && !atomic_load(&p->stopping))
		recorder_poke(p);
}

struct saying {
	struct job job; /* first */
	struct process *process;
	char *what, *server, *reason;
};

static void saying_free(struct saying *s)
{
	free(s->what);
	free(s->server);
	free(s->reason);
	free(s);
}

static void say_now(struct job *job)
{
	struct saying *s = (struct saying *)job;
	struct recorder *r = enter(s->process);
	struct journal_record record = {
		.kind = JOURNAL_WORD,
		.word = { slice_of(s->what), slice_of(s->server),
			  slice_of(s->reason) },
	};

	if (r != NULL) {
		look(r); /* what was decided before */
		if (r->snapshot != NULL) {
			recorder_put(r, &record, clock_now_ms());
			recorder_flush(r);
		}
	}
	leave(s->process);
	saying_free(s);
}

void recorder_word(struct process *p, const char *what, const char *server,
		   const char *reason)
{
	struct saying *s = calloc(1, sizeof(*s));

	if (s == NULL || atomic_load(&p->stopping)) {
		free(s);
		return;
	}
	s->job.run = say_now;
	s->process = p;
	s->what = strdup(what);
	s->server = strdup(server);
	s->reason = strdup(reason != NULL ? reason : "");
	if (s->what == NULL || s->server == NULL || s->reason == NULL) {
		saying_free(s);
		return;
	}
	process_work(p, &s->job);
}

void recorder_drain(struct process *p)
{
	struct recorder *r = enter(p);

	if (r != NULL)
		recorder_notes(r, clock_now_ms());
	leave(p);
}

/* -- life ------------------------------------------------------------------ */

void recorder_stats_read(const struct process *p, struct recorder_stats *stats)
{
	const struct recorder *r = p->recorder;

	*stats = (struct recorder_stats){
		.active = !atomic_load(&r->idle),
		.bytes = atomic_load(&r->bytes),
		.limit_bytes = atomic_load(&r->limit),
		.events = atomic_load(&r->events),
		.decisions = atomic_load(&r->decisions),
		.lost = notes_lost(p->notes) + atomic_load(&r->gone),
		.errors = atomic_load(&r->errors),
	};
}

int recorder_new(struct process *p)
{
	struct recorder *r = calloc(1, sizeof(*r));
	struct notes *notes = NULL;
	uint64_t id = atomic_fetch_add(&p->next_cache_id, 1) + 1;

	if (r == NULL || notes_new(id, &notes) != 0) {
		free(r);
		return -ENOMEM;
	}
	r->process = p;
	atomic_init(&r->idle, true);
	p->recorder = r;
	p->notes = notes;
	return 0;
}

void recorder_last(struct process *p)
{
	struct recorder *r = enter(p);

	look(r);
	leave(p);
	(void)enter(p);
	notes_want(p->notes, 0, 0);
	recorder_flush(r);
	forget(r);
	file_close(r);
	leave(p);
}

void recorder_free(struct process *p)
{
	struct recorder *r = enter(p);

	p->recorder = NULL;
	leave(p);
	if (r == NULL)
		return;
	free(r->told);
	free(r->words);
	free(r->measured);
	recorder_near_free(r);
	free(r);
	notes_free(p->notes);
	p->notes = NULL;
}
