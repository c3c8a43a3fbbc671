/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <dns/name.h>
#include <dns/rcode.h>
#include <dns/result.h>
#include <isc/netaddr.h>
#include <isc/random.h>
#include <isc/sockaddr.h>

#include "cacheproxy/answer.h"
#include "common/rcu.h"
#include "plugin/admission.h"
#include "plugin/commands.h"
#include "plugin/control.h"
#include "plugin/denial.h"
#include "plugin/fill.h"
#include "plugin/fresh.h"
#include "plugin/geo.h"
#include "plugin/log.h"
#include "plugin/persist.h"
#include "plugin/recorder.h"
#include "plugin/sign.h"
#include "plugin/survey.h"
#include "plugin/tables.h"
#include "plugin/thread.h"
#include "plugin/wait.h"

#define TICK_MS	      250u
#define FAILURE_S     1u     /* RFC 9520 section 3.2: at least one second */
#define RETRY_STALE_S 5u     /* RFC 8767 section 5: failure recheck timer */
#define SWEEP_MS      60000u /* one round of the store */
#define FREED_STEP    64u    /* entries */
#define SHRINK_STEP   16u    /* pieces, see store_shrink() */

/* -- jobs ---------------------------------------------------------------- */

void engine_post(struct engine *e, struct job *job)
{
	struct job *head = atomic_load_explicit(&e->jobs, memory_order_relaxed);

	do {
		job->next = head;
	} while (!atomic_compare_exchange_weak_explicit(&e->jobs, &head, job,
							memory_order_release,
							memory_order_relaxed));
	if (head == NULL)
		(void)uv_async_send(&e->wake);
}

static void run_jobs(uv_async_t *handle)
{
	struct engine *e = handle->data;
	struct job *newest =
		atomic_exchange_explicit(&e->jobs, NULL, memory_order_acquire);
	struct job *oldest = NULL;

	while (newest != NULL) {
		struct job *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest != NULL) {
		struct job *next = oldest->next;
		oldest->run(oldest);
		oldest = next;
	}
}

/* -- asking -------------------------------------------------------------- */

static struct dns_tsigkey *find_key(void *arg, const struct dname *name)
{
	struct ask *ask = arg;
	dns_name_t key_name = DNS_NAME_INITEMPTY;
	isc_region_t region = { (unsigned char *)name->wire, name->n };
	dns_tsigkey_t *key = NULL;

	if (ask->keys == NULL)
		return NULL;
	dns_name_fromregion(&key_name, &region);
	if (dns_tsigkey_find(&key, &key_name, NULL, ask->keys) != ISC_R_SUCCESS)
		return NULL;
	return key;
}

/*
 * How long clients wait for a fresh answer while there is a stale one (RFC
 * 8767 section 5, the client response timer).
 */
struct patience {
	uv_timer_t timer;
	struct ask *ask;
};

static void patience_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* 'end': for who follows the question. */
static void ask_free(struct ask *ask, enum fill_end end)
{
	if (ask->fill != NULL)
		fill_answered(ask, end);
	if (ask->patience != NULL)
		uv_close((uv_handle_t *)&ask->patience->timer, patience_closed);
	if (ask->keys != NULL)
		dns_tsigkeyring_detach(&ask->keys);
	snapshot_unref(ask->zone->snapshot);
	free(ask);
}

/* The stored entry for the question, if it may still be served stale. */
static struct store_entry *stale_entry(struct engine *e, struct ask *ask,
				       uint32_t now_s)
{
	struct store_entry *old;

	rcu_enter();
	old = store_peek(e->process->store, &ask->flight.key, ask->hash);
	if (old != NULL &&
	    (old->kind == STORE_FAILURE || !store_usable_stale(old, now_s)))
		old = NULL;
	if (old != NULL)
		store_ref(old);
	rcu_leave();
	return old;
}

static void land_nothing(struct engine *e, struct ask *ask, bool keep,
			 bool limited)
{
	uint32_t now_s = process_now_s(e->process);
	struct landing landing = { .entry = stale_entry(e, ask, now_s),
				   .limited = limited };

	if (landing.entry != NULL) {
		landing.stale = !store_fresh(landing.entry, now_s);
		if (landing.stale || ask->refresh)
			atomic_store_explicit(&landing.entry->retry_s,
					      now_s + RETRY_STALE_S,
					      memory_order_relaxed);
	} else if (keep) {
		struct store_entry *failure = answer_failure(
			&ask->flight.key, ask->hash, now_s, FAILURE_S);
		if (failure != NULL) {
			store_put(e->process->store, failure);
			store_unref(failure);
		}
	}
	wait_land(e->process, &ask->flight, &landing);
	if (landing.entry != NULL)
		store_unref(landing.entry);
}

static void land_failure(struct engine *e, struct ask *ask, bool keep)
{
	survey_learn(ask->zone, NULL, process_now_s(e->process));
	land_nothing(e, ask, keep, false);
}

static void log_origin(const struct ask *ask, const struct origin_reply *reply,
		       const char *what)
{
	static struct log_gate gate;
	char name[DNAME_TEXT_MAX];
	char address[ISC_SOCKADDR_FORMATSIZE] = "every origin";
	isc_sockaddr_t sa;

	(void)dname_print(&ask->name, name);
	if (reply->origin != NULL &&
	    isc_sockaddr_fromsockaddr(
		    &sa, (const struct sockaddr *)&reply->origin->address) ==
		    ISC_R_SUCCESS)
		isc_sockaddr_format(&sa, address, sizeof(address));
	log_limited(&gate, process_now_s(process_get()), ISC_LOG_WARNING,
		    "zone '%s': asking for '%s' type %u: %s: %s",
		    ask->zone->config->id, name, ask->flight.key.qtype, address,
		    what);
}

static void origin_answered(void *arg, const struct origin_reply *reply)
{
	struct ask *ask = arg;
	struct engine *e = process_get()->engine;
	struct store_entry *entry = NULL;
	bool keep = ask->flight.listed; /* not purged meanwhile */

	admission_repeated(ask->zone, reply->tries);

	if (reply->status != 0) {
		count_failed(ask->zone, reply->status);
		log_origin(
			ask, reply,
			log_error(reply->status, (char[LOG_ERROR_MAX]){ 0 }));
		land_failure(e, ask, keep && reply->status != -ECANCELED);
		ask_free(ask, FILL_FAILED);
		return;
	}

	struct answer_source source = {
		.zone = ask->zone->config,
		.key = &ask->flight.key,
		.hash = ask->hash,
		.msg = reply->msg,
		.n = reply->n,
		.now_s = process_now_s(e->process),
		.wall_s = (uint32_t)time(NULL),
	};
	enum answer_fault fault = answer_make(e->maker, &source, &entry);
	if (fault != ANSWER_OK) {
		count(ask->zone, COUNT_BAD);
		count(ask->zone, COUNT_FAILED_MALFORMED);
		log_origin(ask, reply, answer_fault_text(fault));
		land_failure(e, ask, keep);
		ask_free(ask, FILL_FAILED);
		return;
	}
	survey_learn(ask->zone, entry, source.now_s);
	enum fill_end end = !keep		? FILL_FORGOTTEN
			    : entry->ttl_s == 0 ? FILL_BRIEF
						: FILL_KEPT;
	if (!admission_landed(e, ask->zone, &ask->flight.key,
			      (enum store_kind)entry->kind) &&
	    end == FILL_KEPT)
		end = FILL_BRIEF;
	if (end == FILL_KEPT) {
		count(ask->zone, COUNT_STORED);
		store_put(e->process->store, entry);
		denial_learn(e, ask->zone, &source);
	}
	struct landing landing = { .entry = entry };
	wait_land(e->process, &ask->flight, &landing);
	store_unref(entry);
	ask_free(ask, end);
}

/*
 * Whoever asked may have missed an answer that landed a moment before: then
 * there is nothing to ask.
 */
static bool land_known(struct engine *e, struct ask *ask)
{
	struct landing landing = { 0 };
	struct store_entry *entry;

	rcu_enter();
	entry = store_peek(e->process->store, &ask->flight.key, ask->hash);
	bool known = entry != NULL && entry->kind != STORE_FAILURE &&
		     store_fresh(entry, process_now_s(e->process));
	if (known)
		store_ref(entry);
	rcu_leave();
	if (!known)
		return false;
	landing.entry = entry;
	wait_land(e->process, &ask->flight, &landing);
	store_unref(entry);
	ask_free(ask, FILL_KNOWN);
	return true;
}

/* Those who wait get what is stale; the question goes on. */
static void patience_over(uv_timer_t *timer)
{
	struct patience *patience = timer->data;
	struct ask *ask = patience->ask;
	struct engine *e = process_get()->engine;
	uint32_t now_s = process_now_s(e->process);
	struct landing landing = { .entry = stale_entry(e, ask, now_s),
				   .stale = true };

	if (landing.entry == NULL) /* purged meanwhile */
		return;
	if (store_fresh(landing.entry, now_s)) { /* nobody waits, yet */
		(void)uv_timer_start(timer, patience_over,
				     ask->zone->config->client_timeout_ms, 0);
		store_unref(landing.entry);
		return;
	}
	atomic_store_explicit(&landing.entry->retry_s, now_s + RETRY_STALE_S,
			      memory_order_relaxed);
	wait_serve(e->process, &ask->flight, &landing);
	store_unref(landing.entry);
}

/* Starts the clock for those who wait, if there is something stale. */
static void patience_start(struct engine *e, struct ask *ask)
{
	struct store_entry *stale =
		stale_entry(e, ask, process_now_s(e->process));
	struct patience *p;

	if (stale == NULL)
		return;
	store_unref(stale);
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return;
	p->ask = ask;
	uv_timer_init(&e->loop, &p->timer);
	p->timer.data = p;
	ask->patience = p;
	(void)uv_timer_start(&p->timer, patience_over,
			     ask->zone->config->client_timeout_ms, 0);
}

/* The origins are asked enough: as if none had answered, but not kept. */
static void turn_down(struct engine *e, struct ask *ask)
{
	land_nothing(e, ask, false, true);
	ask_free(ask, FILL_FAILED);
}

void engine_ask_now(struct engine *e, struct ask *ask)
{
	if (!ask->refresh && land_known(e, ask))
		return;

	struct origin_question q = {
		.name = &ask->name,
		.qtype = ask->flight.key.qtype,
		.origins = ask->zone->config->origins,
		.n_origins = ask->zone->config->n_origins,
		.key_find = find_key,
		.done = origin_answered,
		.arg = ask,
	};

	if (!admission_may_ask(e, ask->zone, &ask->flight.key)) {
		turn_down(e, ask);
		return;
	}
	fresh_asked(e, ask->zone, ask->keys);
	if (ask->fill == NULL)
		fill_missed(e, ask);
	ask->zone->state->served = true;
	count(ask->zone, COUNT_ASKED);
	int rc = e->origins != NULL ? origin_ask(e->origins, &q) : -ECANCELED;
	if (rc != 0) {
		struct origin_reply reply = { .status = rc };
		origin_answered(ask, &reply);
	} else {
		patience_start(e, ask);
	}
}

static void ask_now(struct job *job)
{
	engine_ask_now(process_get()->engine, (struct ask *)job);
}

uint64_t engine_forget_zone(struct engine *e, struct zone *zone)
{
	struct process *p = e->process;
	uint64_t old = atomic_load(&zone->state->cache_id);

	admission_forget(e, zone, store_zone(p->store, old).entries);
	(void)flight_detach(p->flights, old, NULL, 0, true);
	atomic_store(&zone->state->cache_id,
		     atomic_fetch_add(&p->next_cache_id, 1) + 1);
	denial_forget(e, zone, true);
	return old;
}

void engine_ask(struct engine *e, struct ask *ask)
{
	ask->job.run = ask_now;
	engine_post(e, &ask->job);
}

/* -- housekeeping -------------------------------------------------------- */

struct retire {
	struct job job;
	struct store_entry *list;
};

static bool free_some(void *arg)
{
	struct retire *r = arg;

	r->list = store_retired_free(r->list, FREED_STEP);
	return r->list == NULL;
}

/* Many after a purge: the worker must not keep a CPU from named either. */
static void free_retired(struct job *job)
{
	struct slicer_work work = { .step = free_some, .arg = job };

	rcu_wait();
	slicer_run(&work, &process_get()->serving, NULL);
	free(job);
}

static bool shrink_step(void *arg)
{
	struct engine *e = arg;

	e->shrinking = !store_shrink(e->process->store, SHRINK_STEP);
	return !e->shrinking;
}

/* Does what a lower limit wants, if there is something. */
static void shrink_tick(struct engine *e)
{
	if (e->shrinking || e->snapshot == NULL ||
	    store_shrink(e->process->store, SHRINK_STEP))
		return;
	e->shrinking = true;
	e->shrink = (struct slicer_work){ .step = shrink_step, .arg = e };
	slicer_add(&e->slicer, &e->shrink);
}

static void tick(uv_timer_t *timer)
{
	struct engine *e = timer->data;
	struct store *store = e->process->store;
	uint32_t now_s = clock_now_s();

	atomic_store_explicit(&e->process->now_s, now_s, memory_order_relaxed);
	atomic_store_explicit(&e->process->now_ms, clock_now_ms(),
			      memory_order_relaxed);
	traffic_tick(e);
	admission_tick(e, now_s);
	sign_tick(e->process->sign);
	survey_tick(e, now_s);
	geo_tick(e, now_s);
	persist_tick(e, now_s);
	tables_tick(e, now_s);
	fresh_tick(e);
	denials_tick(e);
	fill_tick(e);
	recorder_tick(e->process);
	(void)store_sweep(store, e->sweep_buckets, now_s);
	shrink_tick(e);
	struct store_entry *list = store_retired(store);
	if (list == NULL)
		return;
	struct retire *r = malloc(sizeof(*r));
	if (r == NULL) { /* rare enough to wait here */
		rcu_wait();
		(void)store_retired_free(list, SIZE_MAX);
		return;
	}
	*r = (struct retire){ .job = { .run = free_retired }, .list = list };
	process_work(e->process, &r->job);
}

static void format_origin(const struct origin_stats *stats, char *text,
			  unsigned int size)
{
	isc_sockaddr_t sa;

	snprintf(text, size, "?");
	if (isc_sockaddr_fromsockaddr(
		    &sa, (const struct sockaddr *)&stats->address) ==
	    ISC_R_SUCCESS)
		isc_sockaddr_format(&sa, text, size);
}

static void origin_dropped(void *arg, const struct origin_stats *stats,
			   enum origin_drop why)
{
	char address[ISC_SOCKADDR_FORMATSIZE];

	(void)arg;
	format_origin(stats, address, sizeof(address));
	log_write(ISC_LOG_WARNING,
		  "dropped what came as an answer of origin '%s': '%s', "
		  "%" PRIu64 " so far",
		  address, origin_drop_name(why), stats->dropped[why]);
}

static void origin_changed(void *arg, const struct origin_stats *stats,
			   const char *why)
{
	struct engine *e = arg;
	char address[ISC_SOCKADDR_FORMATSIZE];

	format_origin(stats, address, sizeof(address));
	log_write(stats->up ? ISC_LOG_NOTICE : ISC_LOG_WARNING,
		  "origin '%s' is %s: %s", address, stats->up ? "up" : "down",
		  why);
	commands_event_origin(e, address, stats->up, why);
}

/* -- configuration ------------------------------------------------------- */

struct configure {
	struct job job;
	struct engine *engine;
	struct snapshot *snapshot;
	struct drain *drains;
};

static void open_control(struct engine *e)
{
	const char *path = e->snapshot->config->control_socket;

	e->control_path = strdup(path);
	if (e->control_path == NULL)
		return;
	int rc = control_new(&e->loop, path, commands_handle, e, &e->control);
	if (rc == 0)
		return;
	log_write(ISC_LOG_ERROR,
		  "cannot listen on control socket '%s': %s; nzctl will not "
		  "reach this named",
		  path, log_error(rc, (char[LOG_ERROR_MAX]){ 0 }));
	free(e->control_path);
	e->control_path = NULL;
}

static void control_closed(void *arg)
{
	struct engine *e = arg;

	if (e->snapshot != NULL) /* else all ends */
		open_control(e);
}

static void configure_now(struct job *job)
{
	struct configure *c = (struct configure *)job;
	struct engine *e = c->engine;
	const struct config *config = c->snapshot->config;

	struct snapshot *before = e->snapshot;
	denials_configured(e, c->snapshot);
	fresh_configured(e, c->snapshot);
	fill_configured(e, c->snapshot);
	admission_configured(e, c->snapshot);
	e->snapshot = c->snapshot;
	if (c->drains != NULL) { /* once, at the start */
		traffic_drains_free(e->drains);
		e->drains = c->drains;
	}
	traffic_configured(e, before);
	tables_configured(e, before);
	if (before != NULL)
		snapshot_unref(before);
	e->surveyed_s = 0;
	survey_tick(e, process_now_s(e->process));
	free(c);
	denials_resize(e);
	isc_quota_max(&e->process->waiters, config->waiters_max);

	if (e->control == NULL) {
		open_control(e);
	} else if (strcmp(e->control_path, config->control_socket) != 0) {
		struct control *old = e->control;
		e->control = NULL;
		free(e->control_path);
		e->control_path = NULL;
		control_close(old, control_closed, e);
	}
}

void engine_configure(struct engine *e, struct snapshot *s,
		      struct drain *drains)
{
	struct configure *c = malloc(sizeof(*c));

	if (c == NULL) {
		snapshot_unref(s);
		traffic_drains_free(drains);
		return;
	}
	*c = (struct configure){ .job = { .run = configure_now },
				 .engine = e,
				 .snapshot = s,
				 .drains = drains };
	engine_post(e, &c->job);
}

/* -- life ---------------------------------------------------------------- */

static void *engine_main(void *arg)
{
	struct engine *e = arg;

	(void)uv_run(&e->loop, UV_RUN_DEFAULT);
	return NULL;
}

static int open_loop(struct engine *e)
{
	int rc = uv_loop_init(&e->loop);

	if (rc != 0)
		return rc;
	rc = uv_async_init(&e->loop, &e->wake, run_jobs);
	if (rc == 0)
		rc = uv_timer_init(&e->loop, &e->tick);
	if (rc == 0)
		rc = uv_timer_start(&e->tick, tick, TICK_MS, TICK_MS);
	e->wake.data = e;
	e->tick.data = e;
	slicer_init(&e->slicer, &e->loop, &e->process->serving);
	return rc;
}

int engine_start(struct process *p, struct engine **enginep)
{
	struct engine *e = calloc(1, sizeof(*e));
	struct store_stats stats;

	if (e == NULL)
		return -ENOMEM;
	e->process = p;
	store_stats_read(p->store, &stats);
	e->sweep_buckets = stats.buckets * TICK_MS / SWEEP_MS + 1;
	int rc = open_loop(e);
	if (rc == 0)
		rc = fresh_new(e);
	if (rc == 0)
		rc = denials_new(e);
	if (rc == 0)
		rc = fill_new(e);
	if (rc == 0)
		rc = answer_maker_new(p->mctx, &e->maker);
	if (rc == 0)
		rc = origins_new(&e->loop, p->mctx, isc_random32(),
				 &e->origins);
	if (rc == 0) {
		origins_watch(e->origins, origin_changed, e);
		origins_watch_drops(e->origins, origin_dropped, e);
		rc = thread_start(&e->thread, engine_main, e);
	}
	if (rc != 0) {
		/* nothing runs yet: a start that fails leaks the loop's few
		 * descriptors, and the caller gives up for good */
		answer_maker_free(e->maker);
		if (e->fresh != NULL)
			fresh_free(e);
		free(e);
		return rc;
	}
	*enginep = e;
	return 0;
}

static void close_loop(struct engine *e)
{
	if (e->origins == NULL && e->control == NULL) {
		uv_close((uv_handle_t *)&e->wake, NULL);
		uv_close((uv_handle_t *)&e->tick, NULL);
	}
}

static void stop_origins_closed(void *arg)
{
	struct engine *e = arg;

	e->origins = NULL;
	close_loop(e);
}

static void stop_control_closed(void *arg)
{
	struct engine *e = arg;

	e->control = NULL;
	close_loop(e);
}

struct stop {
	struct job job;
	struct engine *engine;
};

static void stop_now(struct job *job)
{
	struct engine *e = ((struct stop *)job)->engine;

	fresh_stop(e);
	denials_stop(e);
	fill_stop(e);
	admission_stop(e);
	slicer_finish(&e->slicer);
	tables_stop(e);
	if (e->snapshot != NULL)
		snapshot_unref(e->snapshot);
	e->snapshot = NULL;
	if (e->control != NULL)
		control_close(e->control, stop_control_closed, e);
	origins_close(e->origins, stop_origins_closed, e);
}

void engine_stop(struct engine *e)
{
	struct stop stop = { .job = { .run = stop_now }, .engine = e };

	engine_post(e, &stop.job);
	pthread_join(e->thread, NULL);
	(void)uv_loop_close(&e->loop);
	fresh_free(e);
	denials_free(e);
	traffic_fini(&e->feed);
	fill_free(e);
	answer_maker_free(e->maker);
	traffic_drains_free(e->drains);
	free(e->control_path);
	free(e);
}
