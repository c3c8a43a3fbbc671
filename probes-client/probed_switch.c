/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_switch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probes-client/probed_snmp.h"

struct device {
	struct probed_switches *all;
	struct probed_value value;
	uv_timer_t timer;
	struct probed_snmp_job job;
	uint64_t capacity_bits;
	enum config_direction direction;
	uint32_t interval_ms;
	uint64_t due_ms; /* monotonic */
	struct probed_link line;
	bool has_before;
	struct probed_counters before;

	/* Of the thread, while 'reading'. */
	bool reading, closed;
	uv_work_t work;
	struct probed_snmp *snmp;
	struct probed_counters now;
	int rc;
	char words[PROBED_SNMP_WORDS];
};

struct probed_switches {
	struct probed_measure_setup setup;
	size_t n;
	struct device **devices; /* as the configuration has the POPs */
	struct probed_list line;
	struct probed_list leaving; /* to be closed when none is being read */
	bool busy, closed;	    /* busy: one is being read */
	bool is_init;
	struct probed_gate gate;
};

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

/* -- what came of a reading ------------------------------------------------ */

static void fail(struct device *d, const char *words)
{
	uint64_t held = 0;

	if (!probed_value_fail(&d->value, words, now_ms()) ||
	    !probed_gate_open(&d->all->gate, now_ms(), &held))
		return;
	probed_log_write(d->all->setup.log, PROBED_WARNING,
			 "bandwidth of POP '%s': %s (%" PRIu64
			 " like it not shown)",
			 d->value.of, words, held);
}

static void take(struct device *d, double in, double out)
{
	double bits =
		d->direction == CONFIG_OUT ||
				(d->direction == CONFIG_LARGER && out > in)
			? out
			: in;
	double pct = bits * 100 / (double)d->capacity_bits;

	pct = pct < 100 ? pct : 100;
	if (probed_value_take(d->all->setup.values, &d->value, pct, now_ms()))
		probed_log_write(d->all->setup.log, PROBED_NOTICE,
				 "bandwidth of POP '%s': %.1f%%, known again",
				 d->value.of, pct);
	d->all->setup.told(d->all->setup.arg);
}

static void rate(struct device *d)
{
	double in = 0, out = 0;

	switch (probed_counters_rate(&d->now, &d->before, d->capacity_bits, &in,
				     &out)) {
	case PROBED_RATE:
		take(d, in, out);
		break;
	case PROBED_ANEW:
		d->value.waiting = !d->value.known;
		probed_log_write(d->all->setup.log, PROBED_INFO,
				 "counters of POP '%s' have begun anew",
				 d->value.of);
		break;
	case PROBED_TOO_FAST:
		fail(d, "its 32-bit counters wrap too soon: a shorter "
			"\"interval\" is needed");
		break;
	}
}

static void read_end(struct device *d)
{
	if (d->rc != 0) {
		d->has_before = false;
		fail(d, d->words);
		return;
	}
	if (d->has_before)
		rate(d);
	else
		d->value.waiting = !d->value.known;
	d->before = d->now;
	d->has_before = true;
}

/* -- one reading ----------------------------------------------------------- */

static void next_begin(struct probed_switches *all);

static void device_close(struct device *d);

static void on_work(uv_work_t *work)
{
	struct device *d = work->data;

	d->rc = probed_snmp_read(&d->job, &d->snmp, &d->now, d->words);
}

static void leaving_close(struct probed_switches *all)
{
	struct probed_link *link;

	while ((link = probed_list_first(&all->leaving)) != NULL) {
		probed_list_remove(&all->leaving, link);
		device_close(PROBED_ENTRY(link, struct device, line));
	}
}

static void on_done(uv_work_t *work, int rc)
{
	struct device *d = work->data;
	struct probed_switches *all = d->all;

	(void)rc; /* never cancelled */
	d->reading = false;
	all->busy = false;
	leaving_close(all);
	if (d->closed)
		device_close(d);
	else
		read_end(d);
	if (all->closed)
		free(all);
	else
		next_begin(all);
}

static void next_begin(struct probed_switches *all)
{
	while (!all->busy && all->line.n > 0) {
		struct device *d = PROBED_ENTRY(probed_list_first(&all->line),
						struct device, line);
		probed_list_remove(&all->line, &d->line);
		d->work.data = d;
		if (uv_queue_work(all->setup.loop, &d->work, on_work,
				  on_done) != 0) {
			fail(d, "no thread for it");
			continue;
		}
		d->reading = true;
		all->busy = true;
	}
}

/* -- when ------------------------------------------------------------------ */

static void on_timer(uv_timer_t *timer);

static void plan(struct device *d)
{
	uint64_t now = now_ms();

	uv_update_time(d->all->setup.loop);
	uv_timer_start(&d->timer, on_timer,
		       d->due_ms > now ? d->due_ms - now : 0, 0);
}

/* A slot that was missed is left out, and the next is where it would be. */
static void on_timer(uv_timer_t *timer)
{
	struct device *d = timer->data;
	uint64_t now = now_ms();
	uint64_t late_ms = now > d->due_ms ? now - d->due_ms : 0;

	d->due_ms += d->interval_ms * (late_ms / d->interval_ms + 1);
	if (late_ms <= d->interval_ms / 2 && !d->reading &&
	    !probed_link_used(&d->line)) {
		probed_list_put(&d->all->line, &d->line);
		next_begin(d->all);
	}
	plan(d);
}

/* -- life of one ----------------------------------------------------------- */

static void device_free(uv_handle_t *handle)
{
	struct device *d = handle->data;

	for (size_t i = 0; i < d->job.n; i++)
		free(d->job.interfaces[i]);
	free(d->job.credentials);
	free(d);
}

static void device_close(struct device *d)
{
	probed_snmp_close(d->snmp);
	d->snmp = NULL;
	uv_close((uv_handle_t *)&d->timer, device_free);
}

/* One that is being read goes when that has ended. */
static void device_drop(struct device *d)
{
	struct probed_switches *all = d->all;

	uv_timer_stop(&d->timer);
	if (probed_link_used(&d->line))
		probed_list_remove(&all->line, &d->line);
	probed_values_drop(all->setup.values, &d->value);
	d->closed = true;
	atomic_store(&d->job.stop, true);
	if (d->reading)
		return;
	/* Sessions share users: none ends while another is in use. */
	if (all->busy)
		probed_list_put(&all->leaving, &d->line);
	else
		device_close(d);
}

/* True if all of it could be copied. */
static bool job_fill(struct probed_snmp_job *job,
		     const struct config_snmp *snmp)
{
	job->address = snmp->address;
	job->timeout_ms = snmp->timeout_ms;
	job->credentials = strdup(snmp->credentials);
	if (job->credentials == NULL)
		return false;
	for (; job->n < snmp->n_interfaces; job->n++) {
		job->interfaces[job->n] = strdup(snmp->interfaces[job->n]);
		if (job->interfaces[job->n] == NULL)
			return false;
	}
	return true;
}

static struct device *device_new(struct probed_switches *all,
				 const struct config_pop *pop)
{
	struct device *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->all = all;
	if (!all->is_init)
		probed_snmp_init();
	all->is_init = true;
	uv_timer_init(all->setup.loop, &d->timer);
	d->timer.data = d;
	d->value.kind = PROBED_BANDWIDTH;
	snprintf(d->value.of, sizeof(d->value.of), "%s", pop->id);
	d->capacity_bits = pop->snmp->capacity_bits;
	d->direction = pop->snmp->direction;
	d->interval_ms = pop->snmp->interval_ms;
	if (job_fill(&d->job, pop->snmp))
		return d;
	device_drop(d);
	return NULL;
}

/* -- all of them ----------------------------------------------------------- */

static bool job_same(const struct probed_snmp_job *a,
		     const struct probed_snmp_job *b)
{
	if (memcmp(&a->address, &b->address, sizeof(a->address)) != 0 ||
	    strcmp(a->credentials, b->credentials) != 0 || a->n != b->n ||
	    a->timeout_ms != b->timeout_ms)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->interfaces[i], b->interfaces[i]) != 0)
			return false;
	return true;
}

static bool same(const struct device *a, const struct device *b)
{
	return strcmp(a->value.of, b->value.of) == 0 &&
	       job_same(&a->job, &b->job) &&
	       a->capacity_bits == b->capacity_bits &&
	       a->direction == b->direction && a->interval_ms == b->interval_ms;
}

/* The old one that goes on in the place of 'fresh', or 'fresh'. */
static struct device *adopt(struct probed_switches *all, struct device *fresh)
{
	for (size_t i = 0; i < all->n; i++) {
		struct device *old = all->devices[i];
		if (old == NULL || !same(old, fresh))
			continue;
		all->devices[i] = NULL;
		device_drop(fresh);
		return old;
	}
	return fresh;
}

static void begin(struct probed_switches *all)
{
	uint64_t now = now_ms();

	for (size_t i = 0; i < all->n; i++) {
		struct device *d = all->devices[i];
		if (d->due_ms != 0) /* goes on */
			continue;
		probed_values_add(all->setup.values, &d->value);
		d->due_ms = now + 1;
		plan(d);
	}
}

static bool is_ours(const struct probed_switches *all,
		    const struct config_pop *pop)
{
	return pop->snmp != NULL &&
	       (pop->probe == NULL || strcmp(pop->probe, all->setup.node) == 0);
}

int probed_switches_use(struct probed_switches *switches,
			const struct config *config)
{
	size_t n = 0;
	struct device **fresh =
		calloc(config->n_pops + 1, sizeof(struct device *));

	if (fresh == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_pops; i++) {
		if (!is_ours(switches, &config->pops[i]))
			continue;
		fresh[n] = device_new(switches, &config->pops[i]);
		if (fresh[n] == NULL) {
			while (n > 0)
				device_drop(fresh[--n]);
			free(fresh);
			return -ENOMEM;
		}
		n++;
	}
	for (size_t i = 0; i < n; i++)
		fresh[i] = adopt(switches, fresh[i]);
	for (size_t i = 0; i < switches->n; i++)
		if (switches->devices[i] != NULL)
			device_drop(switches->devices[i]);
	free(switches->devices);
	switches->devices = fresh;
	switches->n = n;
	begin(switches);
	return 0;
}

int probed_switches_new(const struct probed_measure_setup *setup,
			struct probed_switches **switchesp)
{
	struct probed_switches *switches = calloc(1, sizeof(*switches));
	if (switches == NULL)
		return -ENOMEM;

	switches->setup = *setup;
	probed_list_init(&switches->line);
	probed_list_init(&switches->leaving);
	*switchesp = switches;
	return 0;
}

void probed_switches_close(struct probed_switches *switches)
{
	if (switches == NULL)
		return;
	for (size_t i = 0; i < switches->n; i++)
		device_drop(switches->devices[i]);
	free(switches->devices);
	switches->devices = NULL;
	switches->n = 0;
	switches->closed = true;
	if (!switches->busy)
		free(switches);
}
