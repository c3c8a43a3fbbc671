/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_run.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "probes-client/near.h"
#include "probes-client/probed_change.h"
#include "probes-client/probed_engine.h"
#include "probes-client/probed_feed.h"
#include "probes-client/probed_hints.h"
#include "probes-client/probed_listen.h"
#include "probes-client/probed_load.h"
#include "probes-client/probed_log.h"
#include "probes-client/probed_machine.h"
#include "probes-client/probed_notify.h"
#include "probes-client/probed_scrape.h"
#include "probes-client/probed_switch.h"
#include "probes-client/probed_view.h"

#define READY_MS  10000u /* a target that hangs must not block booting */
#define STATUS_MS 500u	 /* between two changes of the status line */
#define N_SIGNALS 4

struct run {
	const struct probed_options *options;
	struct probed_log log;
	uv_loop_t loop;
	uv_signal_t signals[N_SIGNALS];
	uv_timer_t ready, status, watchdog;
	struct probed_engine *engine;
	struct probed_feed *feed;
	struct probed_hints *hints;
	struct probed_listen *listen;
	struct probed_scrape *scrape;
	struct probed_values values;
	struct probed_machines *machines;
	struct probed_switches *switches;
	struct near *near;
	struct near_stats near_stats;
	struct probed_view *view;   /* NULL: nobody is to see */
	struct probed_tally *tally; /* of the table in use */
	uint64_t started_s;
	size_t n_up, n_down;
	uint64_t n_missed;		    /* slots, told in the log */
	struct probed_gate missed, moot[2]; /* late, lacking */
	bool is_ready, stopping;

	/* The configuration is read on a thread of the loop's pool. */
	uv_work_t work;
	bool loading, again; /* again: asked for while loading */
	int loaded_rc;
	struct probed_table *loaded;
	struct probed_findings findings;
};

/* -- what the service manager hears ---------------------------------------- */

static void status_send(struct run *run, const char *head)
{
	const struct probed_table *table = probed_engine_table(run->engine);
	size_t n = table != NULL ? table->n : 0;

	probed_notify("%sSTATUS=%zu to test: %zu up, %zu down, %zu without a "
		      "result",
		      head, n, run->n_up, run->n_down,
		      n - run->n_up - run->n_down);
}

static void on_status(uv_timer_t *timer)
{
	status_send(timer->data, "");
}

static void status_changed(struct run *run)
{
	if (run->is_ready && uv_is_active((uv_handle_t *)&run->status) == 0)
		uv_timer_start(&run->status, on_status, STATUS_MS, 0);
}

static void ready_say(struct run *run)
{
	if (run->is_ready)
		return;
	run->is_ready = true;
	uv_timer_stop(&run->ready);
	status_send(run, "READY=1\n");
}

static void on_ready(uv_timer_t *timer)
{
	struct run *run = timer->data;

	probed_log_write(&run->log, PROBED_WARNING,
			 "the first round takes longer than %u s: nothing is "
			 "reported before it is over",
			 READY_MS / 1000);
	ready_say(run);
}

static void on_watchdog(uv_timer_t *timer)
{
	(void)timer;
	probed_notify("WATCHDOG=1");
}

/* -- what the engine tells ------------------------------------------------- */

static enum probed_level level_of(const struct probed_target *target,
				  enum probed_change change)
{
	if (change == PROBED_SAME)
		return PROBED_DEBUG;
	if (target->state == PROBED_DOWN)
		return PROBED_WARNING;
	return change == PROBED_FIRST ? PROBED_DEBUG : PROBED_NOTICE;
}

static void count(struct run *run, const struct probed_target *target,
		  enum probed_change change)
{
	bool up = target->state == PROBED_UP;

	if (change == PROBED_SAME || change == PROBED_HELD)
		return;
	if (change == PROBED_CHANGED && up)
		run->n_down--;
	if (change == PROBED_CHANGED && !up)
		run->n_up--;
	run->n_up += up;
	run->n_down += !up;
	status_changed(run);
}

/* Slots that nobody tested in: stopped, or too much to do. */
static void missed_log(struct run *run)
{
	uint64_t n = probed_engine_missed(run->engine);
	uint64_t held;

	if (n == run->n_missed ||
	    !probed_gate_open(&run->missed, uv_hrtime() / 1000000, &held))
		return;
	probed_log_write(&run->log, PROBED_WARNING,
			 "%" PRIu64 " tests came too late and were left out: "
			 "this machine or process was stopped, or is too slow",
			 n - run->n_missed);
	run->n_missed = n;
}

/* Services are told apart by their place in the configuration. */
static void tally_take(struct run *run, const struct probed_target *target,
		       const struct probed_result *result,
		       enum probed_change change)
{
	const struct config *config = probed_engine_table(run->engine)->config;
	struct probed_turns *turns =
		&run->tally->turns[target->service - config->services];

	if (change == PROBED_CHANGED) {
		turns->up += target->state == PROBED_UP;
		turns->down += target->state == PROBED_DOWN;
	}

	if (result->error == PROBE_OK)
		probed_histo_take(
			&run->tally->of[target->service - config->services],
			result->metric_ms);
}

static void on_result(void *arg, struct probed_target *target,
		      const struct probed_result *result,
		      enum probed_change change)
{
	struct run *run = arg;
	enum probed_level level = level_of(target, change);
	char line[PROBED_LINE_MAX], pairs[PROBED_CHANGE_MAX] = "";

	if (level != PROBED_DEBUG || run->log.verbose) {
		probed_target_describe(target, result, change, line,
				       sizeof(line));
		if (change != PROBED_SAME)
			probed_change_print(target, result, change, pairs);
		probed_log_write(&run->log, level, "%s%s%s", line,
				 pairs[0] != '\0' ? " " : "", pairs);
	}
	count(run, target, change);
	tally_take(run, target, result, change);
	missed_log(run);
	if (probed_engine_is_round(run->engine))
		probed_feed_mark(run->feed, target, change != PROBED_SAME);
}

static bool on_moot(void *arg, const struct probed_target *target,
		    const struct probed_result *result)
{
	struct run *run = arg;
	uint64_t held;

	(void)target;
	if (!probed_gate_open(&run->moot[result->moot == PROBED_LACKING],
			      uv_hrtime() / 1000000, &held))
		return false;
	if (result->moot == PROBED_LACKING)
		probed_log_write(&run->log, PROBED_WARNING,
				 "tests cannot be made: '%s' (%" PRIu64
				 " like it not shown); their servers stay as "
				 "they are",
				 result->detail, held);
	else
		probed_log_write(&run->log, PROBED_WARNING,
				 "tests that ended too late to be judged are "
				 "made again (%" PRIu64
				 " more not shown): this machine or process "
				 "was stopped, or is too slow",
				 held);
	return false;
}

static void on_gone(void *arg, struct probed_target *target)
{
	struct run *run = arg;

	probed_feed_drop(run->feed, target);
}

static void on_round(void *arg)
{
	struct run *run = arg;

	if (run->n_up + run->n_down > 0)
		probed_log_write(&run->log, PROBED_NOTICE,
				 "first round done: %zu up, %zu down",
				 run->n_up, run->n_down);
	probed_feed_tell(run->feed, probed_engine_table(run->engine));
	probed_feed_tell_all(run->feed);
	ready_say(run);
}

static void on_scrape(void *arg, struct probed_metrics *metrics)
{
	struct run *run = arg;

	near_stats_of(run->near, &run->near_stats);
	metrics->near = &run->near_stats;
	metrics->version = PROBED_VERSION;
	metrics->node = run->options->node;
	metrics->table = probed_engine_table(run->engine);
	metrics->tally = run->tally;
	metrics->engine = probed_engine_stats(run->engine);
	metrics->feed = probed_feed_stats(run->feed);
	metrics->values = &run->values;
	metrics->now_ms = uv_hrtime() / 1000000;
	metrics->started_s = run->started_s;
}

static void values_report(const struct run *run)
{
	const struct probed_link *head = &run->values.all.head;

	for (struct probed_link *at = head->next; at != head; at = at->next) {
		const struct probed_value *value =
			PROBED_ENTRY(at, struct probed_value, all);
		if (value->failing || !value->known)
			probed_log_write(
				&run->log, PROBED_NOTICE, "%s of '%s': %s",
				probed_value_kind_text(value->kind), value->of,
				value->failing ? value->words : "no value yet");
	}
}

static void on_value(void *arg)
{
	struct run *run = arg;

	probed_feed_hinted(run->feed);
}

static const struct probed_table *on_view(void *arg)
{
	const struct run *run = arg;

	return probed_engine_table(run->engine);
}

static void on_hint(void *arg)
{
	struct run *run = arg;

	probed_feed_hinted(run->feed);
}

/* -- configuration --------------------------------------------------------- */

/* Latency may be wanted only while a server is down. */
static bool on_failed(void *arg)
{
	const struct run *run = arg;

	return run->n_down > 0;
}

static const char *socket_of(const struct run *run, const struct config *config)
{
	return run->options->socket != NULL ? run->options->socket
					    : config->control_socket;
}

/* Loads and switches that are ours to read. */
static size_t measured(const struct config *config, const char *node)
{
	size_t n = 0;

	for (size_t i = 0; i < config->n_pops; i++) {
		const char *probe = config->pops[i].probe;
		n += config->pops[i].snmp != NULL &&
		     (probe == NULL || strcmp(probe, node) == 0);
	}
	for (size_t i = 0; i < config->n_servers; i++) {
		const struct config_server *server = &config->servers[i];
		const char *probe = config->pops[server->pop].probe;
		n += server->load != NULL && !server->mapped &&
		     (probe == NULL || strcmp(probe, node) == 0);
	}
	return n;
}

static void table_log(const struct run *run, const struct probed_table *table,
		      const char *what)
{
	probed_log_write(&run->log, PROBED_NOTICE,
			 "%s: serial %" PRIu64 ", %zu to test for node '%s'",
			 what, table->config->serial, table->n,
			 run->options->node);
	size_t n = measured(table->config, run->options->node);
	if (n > 0)
		probed_log_write(&run->log, PROBED_NOTICE,
				 "%zu loads and switches to read", n);
	if (table->n == 0 && n == 0)
		probed_log_write(&run->log, PROBED_WARNING,
				 "nothing to test: in '%s' no service of a "
				 "server is for node '%s' to test",
				 run->options->config, run->options->node);
}

/* The engine takes the table, and the tally of services goes with it. */
static int table_enter(struct run *run, struct probed_table *table)
{
	const struct probed_table *old = probed_engine_table(run->engine);
	struct probed_tally *before = run->tally;

	run->tally = probed_tally_new(table->config, before,
				      old != NULL ? old->config : NULL);
	int rc = run->tally != NULL ? probed_engine_use(run->engine, table)
				    : -ENOMEM;
	if (rc == 0) {
		free(before);
		return 0;
	}
	free(run->tally);
	run->tally = before;
	return rc;
}

/* Puts a table to use; takes it over. */
static int table_use(struct run *run, struct probed_table *table)
{
	int rc = table_enter(run, table);

	if (rc != 0) {
		probed_table_free(table);
		probed_log_write(&run->log, PROBED_ERROR,
				 "configuration not used: no memory");
		return rc;
	}
	run->n_up = probed_table_count(table, PROBED_UP);
	run->n_down = probed_table_count(table, PROBED_DOWN);
	if (probed_engine_is_round(run->engine))
		probed_feed_tell(run->feed, table);
	probed_feed_use(run->feed, socket_of(run, table->config),
			table->config);
	if (probed_hints_use(run->hints, table->config) != 0)
		probed_log_write(&run->log, PROBED_ERROR,
				 "NOTIFY messages are refused: no memory");
	probed_listen_use(run->listen, table->config);
	if (probed_machines_use(run->machines, table->config) != 0 ||
	    probed_switches_use(run->switches, table->config) != 0)
		probed_log_write(&run->log, PROBED_ERROR,
				 "loads and bandwidth are measured as before: "
				 "no memory");
	probed_scrape_use(run->scrape, socket_of(run, table->config),
			  table->config);
	near_use(run->near, socket_of(run, table->config), table->config);
	return 0;
}

static void findings_log(const struct run *run)
{
	char text[PROBED_FINDING_SIZE];

	for (size_t i = 0; i < run->findings.n; i++) {
		err_format(&run->findings.errs[i], run->options->config, text,
			   sizeof(text));
		probed_log_write(&run->log, PROBED_ERROR, "%s", text);
	}
}

static void load_work(uv_work_t *work)
{
	struct run *run = work->data;

	run->loaded_rc = probed_load(run->options->config, run->options->node,
				     &run->loaded, &run->findings);
}

static void reload(struct run *run);

/* A reload is over; but it does not make us ready before our time. */
static void reloaded_say(struct run *run)
{
	if (run->is_ready)
		status_send(run, "READY=1\n");
}

static void reload_end(struct run *run)
{
	struct probed_table *table = run->loaded;

	run->loaded = NULL;
	if (run->loaded_rc != 0) {
		findings_log(run);
		probed_log_write(&run->log, PROBED_ERROR,
				 "configuration '%s' refused; the old one "
				 "stays in use",
				 run->options->config);
	} else if (table_use(run, table) == 0) {
		table_log(run, table, "configuration read again");
	}
	reloaded_say(run);
}

static void load_done(uv_work_t *work, int rc)
{
	struct run *run = work->data;

	(void)rc; /* never cancelled */
	run->loading = false;
	if (run->stopping) {
		probed_table_free(run->loaded);
		run->loaded = NULL;
		return;
	}
	reload_end(run);
	if (run->again)
		reload(run);
}

static void reload(struct run *run)
{
	run->again = run->loading;
	if (run->loading)
		return;
	if (run->is_ready)
		probed_notify("RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
			      uv_hrtime() / 1000);
	run->loading = true;
	run->loaded = NULL;
	run->work.data = run;
	if (uv_queue_work(&run->loop, &run->work, load_work, load_done) == 0)
		return;
	run->loading = false;
	probed_log_write(&run->log, PROBED_ERROR,
			 "configuration not read: no thread for it");
	reloaded_say(run);
}

/* -- signals --------------------------------------------------------------- */

/* What is not up, for SIGUSR1. */
static void report(const struct run *run)
{
	const struct probed_table *table = probed_engine_table(run->engine);

	probed_log_write(&run->log, PROBED_NOTICE,
			 "%zu to test: %zu up, %zu down", table->n, run->n_up,
			 run->n_down);
	for (size_t i = 0; i < table->n; i++) {
		const struct probed_target *target = table->targets[i];
		char span[32];
		if (target->state == PROBED_UP)
			continue;
		probed_span_print(uv_hrtime() / 1000000 - target->since_ms,
				  span, sizeof(span));
		probed_log_write(&run->log, PROBED_NOTICE,
				 "server '%s' %s service '%s': %s for %s: %s",
				 target->server, target->address_text,
				 target->service->id,
				 probed_state_text(target->state), span,
				 target->n_tests > 0
					 ? probe_error_text(target->error)
					 : "no result yet");
	}
	values_report(run);
}

static void stop(struct run *run, const char *why)
{
	run->stopping = true;
	probed_notify("STOPPING=1");
	probed_log_write(&run->log, PROBED_NOTICE, "ending: %s", why);
	probed_view_close(run->view);
	probed_scrape_close(run->scrape);
	probed_machines_close(run->machines);
	probed_switches_close(run->switches);
	near_close_all(run->near);
	probed_engine_close(run->engine);
	probed_feed_close(run->feed);
	probed_listen_close(run->listen);
	for (size_t i = 0; i < N_SIGNALS; i++)
		uv_close((uv_handle_t *)&run->signals[i], NULL);
	uv_close((uv_handle_t *)&run->ready, NULL);
	uv_close((uv_handle_t *)&run->status, NULL);
	uv_close((uv_handle_t *)&run->watchdog, NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct run *run = handle->data;

	switch (number) {
	case SIGHUP:
		reload(run);
		break;
	case SIGUSR1:
		report(run);
		break;
	default:
		stop(run, number == SIGINT ? "interrupted" : "told to end");
	}
}

/* -- life ------------------------------------------------------------------ */

static void timers_start(struct run *run)
{
	uint64_t watchdog_ms = probed_notify_watchdog_ms();

	uv_timer_init(&run->loop, &run->ready);
	uv_timer_init(&run->loop, &run->status);
	uv_timer_init(&run->loop, &run->watchdog);
	run->ready.data = run;
	run->status.data = run;
	run->watchdog.data = run;
	uv_timer_start(&run->ready, on_ready, READY_MS, 0);
	if (watchdog_ms > 0)
		uv_timer_start(&run->watchdog, on_watchdog, watchdog_ms,
			       watchdog_ms);
}

static void signals_start(struct run *run)
{
	static const int numbers[N_SIGNALS] = { SIGHUP, SIGINT, SIGTERM,
						SIGUSR1 };

	for (size_t i = 0; i < N_SIGNALS; i++) {
		uv_signal_init(&run->loop, &run->signals[i]);
		run->signals[i].data = run;
		uv_signal_start(&run->signals[i], on_signal, numbers[i]);
	}
}

/* Makes the parts that may fail; the loop is there. */
static int parts_make(struct run *run)
{
	struct probed_watcher watcher = { on_result, on_round, on_moot, on_gone,
					  run };
	struct probed_feed_setup setup = { &run->loop, &run->log,
					   run->options->node, NULL,
					   &run->values };
	struct probed_listen_setup heard = { &run->loop, &run->log, NULL,
					     on_hint, run };
	struct probed_scrape_setup scraped = { &run->loop, &run->log, on_scrape,
					       run };
	struct probed_measure_setup measure = {
		&run->loop,   &run->log, run->options->node,
		&run->values, on_value,	 run
	};
	probed_values_init(&run->values);
	struct near_setup near = { &run->loop, &run->log, run->options->node,
				   on_failed, run };
	struct probed_view_setup seen = { &run->loop, &run->log,
					  run->options->node, on_view, run };
	int rc = probed_engine_new(&run->loop, probed_engine_tests_max(),
				   &watcher, &run->engine);

	if (rc == 0)
		rc = probed_hints_new(&run->hints);
	setup.hints = run->hints;
	heard.hints = run->hints;
	if (rc == 0)
		rc = probed_listen_new(&heard, &run->listen);
	if (rc == 0)
		rc = probed_feed_new(&setup, &run->feed);
	if (rc == 0)
		rc = probed_machines_new(&measure, &run->machines);
	if (rc == 0)
		rc = probed_switches_new(&measure, &run->switches);
	if (rc == 0)
		rc = near_new(&near, &run->near);
	if (rc == 0)
		rc = probed_scrape_new(&scraped, &run->scrape);
	if (rc == 0 && run->options->view != NULL)
		rc = probed_view_new(&seen, run->options->view, &run->view);
	return rc;
}

static enum probed_exit serve(struct run *run, struct probed_table *table)
{
	if (parts_make(run) != 0) {
		probed_table_free(table);
		probed_engine_close(run->engine);
		probed_listen_close(run->listen);
		probed_feed_close(run->feed);
		probed_machines_close(run->machines);
		probed_switches_close(run->switches);
		near_close_all(run->near);
		uv_run(&run->loop, UV_RUN_DEFAULT);
		probed_log_write(&run->log, PROBED_ERROR, "no memory");
		return PROBED_TROUBLE;
	}
	timers_start(run);
	signals_start(run);
	table_log(run, table, "nearzone-probed " PROBED_VERSION);
	enum probed_exit result = PROBED_DONE;
	if (table_use(run, table) != 0) {
		result = PROBED_TROUBLE;
		stop(run, "no memory");
	}
	uv_run(&run->loop, UV_RUN_DEFAULT);
	return result;
}

static enum probed_exit run_all(struct run *run)
{
	struct probed_table *table = NULL;

	probed_log_init(&run->log, run->options->verbose);
	run->started_s = (uint64_t)time(NULL);
	if (probed_load(run->options->config, run->options->node, &table,
			&run->findings) != 0) {
		findings_log(run);
		probed_log_write(&run->log, PROBED_ERROR,
				 "configuration '%s' refused: not started",
				 run->options->config);
		return PROBED_REFUSED;
	}
	if (uv_loop_init(&run->loop) != 0) {
		probed_table_free(table);
		probed_log_write(&run->log, PROBED_ERROR, "no event loop");
		return PROBED_TROUBLE;
	}
	enum probed_exit result = serve(run, table);
	uv_loop_close(&run->loop);
	probed_hints_free(run->hints);
	free(run->tally);
	return result;
}

enum probed_exit probed_run(const struct probed_options *options)
{
	struct run *run = calloc(1, sizeof(*run));
	if (run == NULL)
		return PROBED_TROUBLE;

	run->options = options;
	enum probed_exit result = run_all(run);
	free(run);
	return result;
}
