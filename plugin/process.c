/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <isc/random.h>

#include "common/rcu.h"
#include "plugin/admission.h"
#include "plugin/engine.h"
#include "plugin/geo.h"
#include "plugin/load.h"
#include "plugin/log.h"
#include "plugin/persist.h"
#include "plugin/recorder.h"
#include "plugin/sign.h"
#include "plugin/tables.h"
#include "plugin/thread.h"

#define WANTED_ROOM 4096u
#define WANTED_V4   24u /* bits of prefixes, as they are asked for */
#define WANTED_V6   56u

const char *const counter_names[COUNT_FAILED] = {
	[COUNT_QUERIES] = "queries",   [COUNT_HITS] = "hits",
	[COUNT_MISSES] = "misses",     [COUNT_COALESCED] = "coalesced",
	[COUNT_STALE] = "stale",       [COUNT_FAILURES] = "failures",
	[COUNT_REFUSED] = "refused",   [COUNT_LIMITED] = "limited",
	[COUNT_OVERLOAD] = "overload", [COUNT_RAW] = "raw",
	[COUNT_RENDERED] = "rendered", [COUNT_ASKED] = "asked",
	[COUNT_STORED] = "stored",     [COUNT_BAD] = "bad",
	[COUNT_STEERED] = "steered",   [COUNT_PREFETCHED] = "prefetched",
	[COUNT_DENIED] = "denied",     [COUNT_FILLED] = "filled",
};

const char *const failed_names[COUNTERS - COUNT_FAILED] = {
	"timeout", "network", "refused", "malformed", "other",
};

static enum counter kind_of(int status)
{
	switch (status) {
	case -ETIMEDOUT:
		return COUNT_FAILED_TIMEOUT;
	case -EREMOTEIO:
		return COUNT_FAILED_REFUSED;
	case -EBADMSG:
		return COUNT_FAILED_MALFORMED;
	case -ECANCELED:
	case -ENOBUFS:
	case -ENOMEM:
	case -ENOKEY:
		return COUNT_FAILED_OTHER;
	default:
		return COUNT_FAILED_NETWORK;
	}
}

void count_failed(const struct zone *zone, int status)
{
	count(zone, kind_of(status));
}

/*
 * The one process-wide handle.  Its locks are never destroyed: a client that
 * named cancelled may give back its references after the last plugin_destroy.
 * 'life' serialises start and stop; it is taken before every other lock.
 */
static struct process the_process = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.worker_lock = PTHREAD_MUTEX_INITIALIZER,
	.worker_wake = PTHREAD_COND_INITIALIZER,
	.recorder_lock = PTHREAD_MUTEX_INITIALIZER,
};
static pthread_mutex_t life = PTHREAD_MUTEX_INITIALIZER;

struct process *process_get(void)
{
	return &the_process;
}

uint32_t clock_now_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint32_t)ts.tv_sec;
}

uint64_t clock_now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* -- worker -------------------------------------------------------------- */

void process_work(struct process *p, struct job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&p->worker_lock);
	bool running = p->worker_running;
	if (running) {
		*p->jobs_end = job;
		p->jobs_end = &job->next;
		atomic_fetch_add(&p->n_jobs, 1);
		pthread_cond_signal(&p->worker_wake);
	}
	pthread_mutex_unlock(&p->worker_lock);
	if (!running)
		job->run(job); /* at the very end, or before the start */
}

/* The next job, waiting for one; NULL when stopped and none is left. */
static struct job *next_job(struct process *p)
{
	pthread_mutex_lock(&p->worker_lock);
	while (p->jobs == NULL && !p->worker_stop)
		pthread_cond_wait(&p->worker_wake, &p->worker_lock);
	struct job *job = p->jobs;
	if (job == NULL)
		p->worker_running = false;
	if (job != NULL) {
		p->jobs = job->next;
		atomic_fetch_sub(&p->n_jobs, 1);
		if (p->jobs == NULL)
			p->jobs_end = &p->jobs;
	}
	pthread_mutex_unlock(&p->worker_lock);
	return job;
}

static void *worker_main(void *arg)
{
	struct process *p = arg;

	for (;;) {
		struct job *job = next_job(p);
		if (job == NULL)
			return NULL;
		job->run(job);
	}
}

static int start_worker(struct process *p)
{
	p->jobs = NULL;
	p->jobs_end = &p->jobs;
	p->worker_stop = false;
	p->worker_running = true;
	int rc = thread_start(&p->worker, worker_main, p);
	if (rc != 0)
		p->worker_running = false;
	return rc;
}

/* Lets it finish what is queued; what comes later runs at once. */
static void stop_worker(struct process *p)
{
	pthread_mutex_lock(&p->worker_lock);
	p->worker_stop = true;
	pthread_cond_signal(&p->worker_wake);
	pthread_mutex_unlock(&p->worker_lock);
	pthread_join(p->worker, NULL);
}

/* -- life ---------------------------------------------------------------- */

static void release_parts(struct process *p)
{
	recorder_free(p);
	sign_free(p->sign);
	p->sign = NULL;
	flight_table_free(p->flights);
	p->flights = NULL;
	gtm_wanted_free(p->wanted);
	p->wanted = NULL;
	store_free(p->store);
	p->store = NULL;
	isc_quota_destroy(&p->waiters);
	isc_mem_destroy(&p->mctx);
	free(p->config_file);
	p->config_file = NULL;
	memset(p->departed, 0, sizeof(p->departed));
	p->drains_read = false;
	p->snapshot_read = false;
	tables_free(p);
	admission_free(p);
	atomic_store(&p->snapshot_restored, 0);
	atomic_store(&p->snapshot_saved, 0);
	atomic_store(&p->snapshot_wall_s, 0);
	atomic_store(&p->reload_queued, false);
	atomic_store(&p->stopping, false);
	atomic_store(&p->geo_queued, false);
	p->geo_fault = (struct err){ 0 };
}

/* Makes the parts that need no configuration but the size of the store. */
static int make_parts(struct process *p, uint64_t cache_size_bytes)
{
	p->started_wall_s = time(NULL);
	atomic_store(&p->now_s, clock_now_s());
	atomic_store(&p->now_ms, clock_now_ms());
	isc_random_buf(&p->seed, sizeof(p->seed));
	isc_quota_init(&p->waiters, 10000);
	isc_mem_create(&p->mctx);
	isc_mem_setname(p->mctx, "nearzone");
	int rc = store_new(cache_size_bytes, p->seed, &p->store);
	if (rc == 0)
		rc = flight_table_new(&p->flights);
	if (rc == 0)
		rc = gtm_wanted_new(WANTED_ROOM, WANTED_V4, WANTED_V6,
				    &p->wanted);
	if (rc == 0)
		rc = admission_new(p);
	if (rc == 0)
		rc = recorder_new(p);
	if (rc == 0)
		rc = sign_new(p, &p->sign);
	if (rc == 0)
		rc = engine_start(p, &p->engine);
	if (rc == 0) {
		rc = start_worker(p);
		if (rc != 0)
			engine_stop(p->engine);
	}
	if (rc != 0) {
		p->engine = NULL;
		release_parts(p);
	}
	return rc;
}

/* Puts the first configuration in force; its databases come later. */
static int start_config(struct process *p, struct config *config)
{
	struct geo_map *geo = NULL;
	struct err err = { 0 };

	if (geo_make(p, config, NULL, true, &geo, &err) != 0)
		log_write(ISC_LOG_ERROR, "%s: %s", err.path, err.text);
	return load_publish(p, config, geo);
}

/* First plugin statement: 'instance' has the file. */
static int start(struct process *p, struct instance *instance, bool fail_hard,
		 char *why)
{
	struct load_report report;
	struct config *config = NULL;
	int rc = load_first(instance->config_file, fail_hard, &config, &report);

	if (rc != 0 && fail_hard) {
		load_report_log(instance->config_file, &report);
		(void)snprintf(why, ERR_TEXT_MAX, "bad configuration");
		return rc;
	}
	rc = make_parts(p, config != NULL ? config->cache_size_bytes
					  : LOAD_DEFAULT_CACHE);
	if (rc != 0) {
		config_free(config);
		(void)snprintf(why, ERR_TEXT_MAX, "cannot start: %s",
			       log_error(rc, (char[LOG_ERROR_MAX]){ 0 }));
		return rc;
	}
	p->config_file = strdup(instance->config_file);
	p->report = report;
	load_report_log(instance->config_file, &report);
	if (config != NULL)
		rc = start_config(p, config);
	if (rc != 0)
		log_write(ISC_LOG_ERROR, "configuration not in force: %s",
			  log_error(rc, (char[LOG_ERROR_MAX]){ 0 }));
	return 0;
}

static void stop(struct process *p)
{
	atomic_store(&p->stopping, true);
	atomic_store(&p->serving, false);
	/* from now on its jobs run at once, on the thread that has one */
	stop_worker(p);
	engine_stop(p->engine);
	persist_save_last(p);
	tables_save_last(p);
	recorder_last(p);
	sign_free(p->sign);
	p->sign = NULL;
	load_withdraw(p);
	p->engine = NULL;
	rcu_wait();
	(void)store_retired_free(store_retired(p->store), SIZE_MAX);
	release_parts(p);
}

int process_add(struct instance *instance, bool fail_hard, char *why)
{
	struct process *p = &the_process;
	int rc = 0;

	pthread_mutex_lock(&life);
	bool running = p->engine != NULL;
	if (!running)
		rc = start(p, instance, fail_hard, why);
	if (rc == 0 && !running && fail_hard && !load_selects(p, instance)) {
		(void)snprintf(why, ERR_TEXT_MAX,
			       "a zone that is selected is not in '%s'",
			       instance->config_file);
		stop(p);
		rc = -EINVAL;
	}
	if (rc == 0)
		load_attach(p, instance);
	if (rc == 0) /* at the start: to keep a good copy of the file */
		process_reload(p);
	pthread_mutex_unlock(&life);
	return rc;
}

void process_remove(struct instance *instance)
{
	struct process *p = &the_process;

	pthread_mutex_lock(&life);
	bool last = load_detach(p, instance);
	if (last)
		stop(p);
	pthread_mutex_unlock(&life);
}
