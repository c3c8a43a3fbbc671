/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_metrics.h"

#include <stdlib.h>
#include <string.h>

#define GAUGE	PROBED_GAUGE
#define COUNTER PROBED_COUNTER

/* One sample without labels. */
static void one(struct probed_expo *expo, enum probed_kind kind,
		const char *name, const char *help, uint64_t n)
{
	probed_expo_family(expo, kind, name, help);
	probed_expo_number(expo, PROBED_NO_LABELS, n);
}

static uint64_t age_ms(uint64_t then_ms, uint64_t now_ms)
{
	return now_ms > then_ms ? now_ms - then_ms : 0;
}

/* -- itself ---------------------------------------------------------------- */

static void put_build(struct probed_expo *expo, const struct probed_metrics *m)
{
	probed_expo_family(expo, GAUGE, "nearzone_probed_build_info",
			   "Which nearzone-probed this is, and of which node.");
	probed_expo_number(
		expo,
		PROBED_LABELS({ "version", m->version }, { "node", m->node }),
		1);
	one(expo, GAUGE, "nearzone_probed_start_time_seconds",
	    "When nearzone-probed was started, unix time.", m->started_s);
	one(expo, GAUGE, "nearzone_probed_config_serial",
	    "Serial of the configuration that nearzone-probed uses.",
	    m->table->config->serial);
}

static void put_engine(struct probed_expo *expo, const struct probed_metrics *m)
{
	const struct probed_engine_stats *s = &m->engine;

	one(expo, GAUGE, "nearzone_probed_tests_running",
	    "Tests that are under way.", s->running);
	one(expo, GAUGE, "nearzone_probed_tests_waiting",
	    "Tests that are due and wait because too many are under way.",
	    s->waiting);
	one(expo, COUNTER, "nearzone_probed_tests_missed_total",
	    "Tests left out because their time had passed.", s->missed);
	probed_expo_family(expo, COUNTER, "nearzone_probed_tests_void_total",
			   "Tests that said nothing of a server, as the "
			   "trouble was the tester's own: no descriptors or "
			   "memory, or it was stopped or too slow.");
	probed_expo_number(expo, PROBED_LABELS({ "cause", "late" }), s->late);
	probed_expo_number(expo, PROBED_LABELS({ "cause", "lacking" }),
			   s->lacking);
	probed_expo_family(expo, PROBED_HISTOGRAM,
			   "nearzone_probed_schedule_lag_seconds",
			   "How long after they were due tests began.");
	probed_expo_histo(expo, PROBED_NO_LABELS, &s->lag);
}

static void put_states(struct probed_expo *expo, const struct probed_metrics *m)
{
	probed_expo_family(expo, GAUGE, "nearzone_probed_targets",
			   "Targets of this node by their state.");
	for (int state = PROBED_UNTESTED; state <= PROBED_DOWN; state++)
		probed_expo_number(
			expo,
			PROBED_LABELS(
				{ "state", probed_state_text(
						   (enum probed_state)state) }),
			probed_table_count(m->table, (enum probed_state)state));
}

static void put_feed(struct probed_expo *expo, const struct probed_metrics *m)
{
	const struct probed_feed_stats *s = &m->feed;

	one(expo, GAUGE, "nearzone_probed_feed_connected",
	    "Whether there is a connection to the plugin.", s->connected);
	one(expo, GAUGE, "nearzone_probed_feed_queued_rows",
	    "Results that are still to be sent.", s->queued);
	one(expo, COUNTER, "nearzone_probed_feed_batches_total",
	    "Batches sent to the plugin.", s->batches);
	one(expo, COUNTER, "nearzone_probed_feed_rows_total",
	    "Results sent to the plugin.", s->rows);
	one(expo, COUNTER, "nearzone_probed_feed_accepted_rows_total",
	    "Results that the plugin took.", s->accepted);
	probed_expo_family(expo, COUNTER,
			   "nearzone_probed_feed_refused_rows_total",
			   "Results that the plugin refused, by its reason.");
	for (size_t i = 0; i < PROBED_REFUSALS; i++)
		probed_expo_number(
			expo,
			PROBED_LABELS({ "reason", probed_refusal_names[i] }),
			s->refused[i]);
	one(expo, COUNTER, "nearzone_probed_feed_refused_batches_total",
	    "Batches that the plugin refused as a whole.", s->bad_batches);
	one(expo, COUNTER, "nearzone_probed_feed_lost_total",
	    "Connections to the plugin lost or not to be had.", s->lost);
	if (s->taken_ms == 0)
		return;
	probed_expo_family(expo, GAUGE,
			   "nearzone_probed_feed_last_success_age_seconds",
			   "Time since the plugin last took a batch.");
	probed_expo_milli(expo, PROBED_NO_LABELS,
			  age_ms(s->taken_ms, m->now_ms));
}

static void put_web(struct probed_expo *expo, const struct probed_metrics *m)
{
	const struct probed_web_stats *s = &m->web;

	one(expo, GAUGE, "nearzone_probed_http_connections",
	    "Connections of those who ask for metrics.", s->connections);
	one(expo, COUNTER, "nearzone_probed_http_accepted_total",
	    "Connections for metrics accepted.", s->accepted);
	one(expo, COUNTER, "nearzone_probed_http_turned_away_total",
	    "Connections for metrics closed because there were too many.",
	    s->turned_away);
	one(expo, COUNTER, "nearzone_probed_http_timeouts_total",
	    "Connections for metrics closed because they took too long.",
	    s->timeouts);
	probed_expo_family(expo, COUNTER, "nearzone_probed_http_answers_total",
			   "Answers given to those who ask for metrics.");
	probed_expo_number(expo, PROBED_LABELS({ "result", "good" }),
			   s->answers_good);
	probed_expo_number(expo, PROBED_LABELS({ "result", "bad" }),
			   s->answers_bad);
}

/* Services of which nothing was tested yet are left out. */
static void put_services(struct probed_expo *expo,
			 const struct probed_metrics *m)
{
	const struct config *config = m->table->config;

	probed_expo_family(expo, PROBED_HISTOGRAM,
			   "nearzone_probe_duration_seconds",
			   "How long the good tests of a service took.");
	for (size_t i = 0; i < config->n_services && i < m->tally->n; i++)
		if (probed_histo_count(&m->tally->of[i]) > 0)
			probed_expo_histo(
				expo,
				PROBED_LABELS(
					{ "service", config->services[i].id }),
				&m->tally->of[i]);
}

/* What is summed up of the targets of a service. */
struct sum {
	uint64_t in[PROBED_DOWN + 1]; /* targets by their state */
	uint64_t oldest_ms;	      /* age of the oldest newest result */
	bool tested;
};

/* Of each service, by its place in the configuration; NULL: no memory. */
static struct sum *sums_new(const struct probed_metrics *m)
{
	const struct probed_table *table = m->table;
	struct sum *sums = calloc(table->config->n_services + 1, sizeof(*sums));

	for (size_t i = 0; sums != NULL && i < table->n; i++) {
		const struct probed_target *t = table->targets[i];
		struct sum *sum = &sums[t->service - table->config->services];
		uint64_t ms = age_ms(t->tested_ms, m->now_ms);
		sum->in[t->state]++;
		if (t->n_tests > 0 && ms >= sum->oldest_ms)
			sum->oldest_ms = ms;
		sum->tested = sum->tested || t->n_tests > 0;
	}
	return sums;
}

static void put_service_states(struct probed_expo *expo,
			       const struct config *config,
			       const struct sum *sums)
{
	probed_expo_family(expo, GAUGE, "nearzone_probe_service_targets",
			   "Targets of a service by their state.");
	for (size_t i = 0; i < config->n_services; i++) {
		const char *id = config->services[i].id;
		for (int s = PROBED_UNTESTED; s <= PROBED_DOWN; s++)
			if (sums[i].in[s] > 0)
				probed_expo_number(
					expo,
					PROBED_LABELS(
						{ "service", id },
						{ "state",
						  probed_state_text(
							  (enum probed_state)
								  s) }),
					sums[i].in[s]);
	}
}

static void put_service_ages(struct probed_expo *expo,
			     const struct config *config,
			     const struct sum *sums)
{
	probed_expo_family(
		expo, GAUGE, "nearzone_probe_service_oldest_result_age_seconds",
		"Of the targets of a service the longest time since the newest "
		"test ended.");
	for (size_t i = 0; i < config->n_services; i++)
		if (sums[i].tested)
			probed_expo_milli(
				expo,
				PROBED_LABELS(
					{ "service", config->services[i].id }),
				sums[i].oldest_ms);
}

/* Once there are targets; they stay when these are gone. */
static void put_service_turns(struct probed_expo *expo,
			      const struct probed_metrics *m)
{
	const struct config *config = m->table->config;

	probed_expo_family(expo, COUNTER,
			   "nearzone_probe_service_transitions_total",
			   "Changes of targets of a service to up or down.");
	for (size_t i = 0; i < config->n_services && i < m->tally->n; i++) {
		const struct probed_turns *turns = &m->tally->turns[i];
		const char *id = config->services[i].id;
		if (turns->up + turns->down == 0)
			continue;
		probed_expo_number(
			expo, PROBED_LABELS({ "service", id }, { "to", "up" }),
			turns->up);
		probed_expo_number(
			expo,
			PROBED_LABELS({ "service", id }, { "to", "down" }),
			turns->down);
	}
}

static void put_sums(struct probed_expo *expo, const struct probed_metrics *m)
{
	struct sum *sums = sums_new(m);

	if (sums != NULL) {
		put_service_states(expo, m->table->config, sums);
		put_service_ages(expo, m->table->config, sums);
	}
	free(sums);
	put_service_turns(expo, m);
}

void probed_metrics_put(struct probed_expo *expo,
			const struct probed_metrics *metrics)
{
	put_build(expo, metrics);
	put_engine(expo, metrics);
	put_states(expo, metrics);
	put_feed(expo, metrics);
	put_web(expo, metrics);
	put_services(expo, metrics);
	if (metrics->near != NULL)
		near_stats_put(expo, metrics->near);
	put_sums(expo, metrics);
}

/* -- targets --------------------------------------------------------------- */

typedef void (*put_target)(struct probed_expo *expo,
			   const struct probed_target *target,
			   const struct probed_label *labels, uint64_t now_ms);

static void put_up(struct probed_expo *expo, const struct probed_target *target,
		   const struct probed_label *labels, uint64_t now_ms)
{
	(void)now_ms;
	if (target->state != PROBED_UNTESTED)
		probed_expo_number(expo, labels, target->state == PROBED_UP);
}

static void put_duration(struct probed_expo *expo,
			 const struct probed_target *target,
			 const struct probed_label *labels, uint64_t now_ms)
{
	(void)now_ms;
	if (target->n_tests > 0 && target->error == PROBE_OK)
		probed_expo_milli(expo, labels, target->metric_ms);
}

static void put_age(struct probed_expo *expo,
		    const struct probed_target *target,
		    const struct probed_label *labels, uint64_t now_ms)
{
	if (target->n_tests > 0)
		probed_expo_milli(expo, labels,
				  age_ms(target->tested_ms, now_ms));
}

static void put_tests(struct probed_expo *expo,
		      const struct probed_target *target,
		      const struct probed_label *labels, uint64_t now_ms)
{
	(void)now_ms;
	probed_expo_number(expo, labels, target->n_tests);
}

static void put_changes(struct probed_expo *expo,
			const struct probed_target *target,
			const struct probed_label *labels, uint64_t now_ms)
{
	(void)now_ms;
	probed_expo_number(expo, labels, target->n_changes);
}

/* Those of which there are some. */
static void put_failures(struct probed_expo *expo,
			 const struct probed_target *target,
			 const struct probed_label *labels, uint64_t now_ms)
{
	struct probed_label with[PROBED_LABELS_MAX + 1];
	size_t n = 0;

	(void)now_ms;
	for (; labels[n].name != NULL; n++)
		with[n] = labels[n];
	with[n + 1] = (struct probed_label){ NULL, NULL };
	for (int error = PROBE_OK + 1; error < PROBE_ERRORS; error++) {
		if (target->n_failed[error] == 0)
			continue;
		with[n] = (struct probed_label){ "error",
						 probe_error_text(error) };
		probed_expo_number(expo, with, target->n_failed[error]);
	}
}

static const struct {
	enum probed_kind kind;
	const char *name, *help;
	put_target put;
} of_targets[] = {
	{ GAUGE, "nearzone_probe_up",
	  "Whether the target is up, after rise and fall.", put_up },
	{ GAUGE, "nearzone_probe_last_duration_seconds",
	  "How long the newest test took, if it was good.", put_duration },
	{ GAUGE, "nearzone_probe_last_result_age_seconds",
	  "Time since the newest test ended.", put_age },
	{ COUNTER, "nearzone_probe_tests_total", "Tests that have ended.",
	  put_tests },
	{ COUNTER, "nearzone_probe_transitions_total",
	  "Changes from up to down or from down to up.", put_changes },
	{ COUNTER, "nearzone_probe_failures_total",
	  "Tests that have failed, by the error.", put_failures },
};

/* Twins: a server's address may be there twice in other words. */
static bool is_twin(const struct probed_table *table, size_t i)
{
	return i > 0 && probed_target_compare(table->targets[i - 1],
					      table->targets[i]) == 0;
}

void probed_metrics_put_targets(struct probed_expo *expo,
				const struct probed_metrics *metrics)
{
	const struct probed_table *table = metrics->table;
	if (metrics->values != NULL)
		probed_values_put(expo, metrics->values, metrics->now_ms);
	size_t n = table->n < PROBED_SHOWN_MAX ? table->n : PROBED_SHOWN_MAX;

	for (size_t k = 0; k < sizeof(of_targets) / sizeof(of_targets[0]);
	     k++) {
		probed_expo_family(expo, of_targets[k].kind, of_targets[k].name,
				   of_targets[k].help);
		for (size_t i = 0; i < n; i++) {
			const struct probed_target *t = table->targets[i];
			if (!is_twin(table, i))
				of_targets[k].put(
					expo, t,
					PROBED_LABELS(
						{ "server", t->server },
						{ "address", t->address_text },
						{ "service", t->service->id }),
					metrics->now_ms);
		}
	}
}

size_t probed_metrics_omitted(const struct probed_metrics *metrics)
{
	size_t n = metrics->table->n;

	return n > PROBED_SHOWN_MAX ? n - PROBED_SHOWN_MAX : 0;
}
