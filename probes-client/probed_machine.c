/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_machine.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probes-client/probed.h"
#include "probes-client/probed_multi.h"
#include "probes-client/probed_sample.h"
#include "probes-client/probed_target.h"

#define RUNNING_MAX 64u	 /* at a time */
#define URL_MAX	    2300 /* an address or a URL, a path, and a little more */

/* One reading, while it runs. */
struct reading {
	struct machine *machine;
	CURL *easy;
	struct curl_slist *headers;
	struct probed_sample sample;
	char error[CURL_ERROR_SIZE];
};

struct machine {
	struct probed_machines *all;
	struct probed_value value;
	uv_timer_t timer;
	char *url, *formula_text;
	struct formula formula;
	bool has_rate;
	uint32_t interval_ms, timeout_ms;
	uint64_t due_ms;	 /* monotonic */
	struct reading *reading; /* NULL: none runs */
	struct probed_link line; /* of those that wait for their turn */
	/* Of the last good reading, if the formula has rates; NULL: none. */
	struct probed_picked *before;
	uint64_t before_ms;
};

struct probed_machines {
	struct probed_measure_setup setup;
	struct probed_multi *multi;
	size_t n, n_running;
	struct machine **machines; /* sorted by the server's name */
	struct probed_list line;
	struct probed_gate gate;
};

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

/* -- what came of a reading ------------------------------------------------ */

static void told(struct machine *m)
{
	m->all->setup.told(m->all->setup.arg);
}

static void fail(struct machine *m, const char *words)
{
	uint64_t held = 0;

	if (!probed_value_fail(&m->value, words, now_ms()) ||
	    !probed_gate_open(&m->all->gate, now_ms(), &held))
		return;
	probed_log_write(m->all->setup.log, PROBED_WARNING,
			 "load of server '%s': %s (%" PRIu64
			 " like it not shown)",
			 m->value.of, words, held);
}

static void take(struct machine *m, double load)
{
	if (load > PROBED_MACHINE_MAX)
		load = PROBED_MACHINE_MAX;
	if (!(load > 0))
		load = 0;
	if (probed_value_take(m->all->setup.values, &m->value, load, now_ms()))
		probed_log_write(m->all->setup.log, PROBED_NOTICE,
				 "load of server '%s': %.2f, known again",
				 m->value.of, load);
	told(m);
}

/* It answers, but its load cannot be worked out of that. */
static void take_unknown(struct machine *m, const char *words)
{
	struct probed_value *value = &m->value;
	char before[PROBED_VALUE_WORDS];
	bool was = value->failing;

	memcpy(before, value->words, sizeof(before));
	(void)probed_value_take(m->all->setup.values, value,
				PROBED_MACHINE_UNKNOWN, now_ms());
	value->n_good--; /* it counts as bad */
	if (was) {	 /* so that the same words are not logged anew */
		value->failing = true;
		memcpy(value->words, before, sizeof(before));
	}
	fail(m, words);
	told(m);
}

static void before_free(struct machine *m)
{
	for (size_t i = 0; m->before != NULL && i < FORMULA_PICKS_MAX; i++)
		free(m->before[i].series);
	free(m->before);
	m->before = NULL;
}

/* What the reading gave is what the next one's growth is from. */
static void before_keep(struct machine *m, struct probed_sample *sample,
			uint64_t at_ms)
{
	before_free(m);
	m->before_ms = at_ms;
	if (!m->has_rate)
		return;
	m->before = malloc(sizeof(sample->picked));
	if (m->before == NULL)
		return;
	memcpy(m->before, sample->picked, sizeof(sample->picked));
	memset(sample->picked, 0, sizeof(sample->picked));
}

static void work(struct machine *m, struct probed_sample *sample)
{
	uint64_t at_ms = now_ms();
	uint64_t span_ms = at_ms > m->before_ms ? at_ms - m->before_ms : 1;
	struct slice missing = { "", 0 };
	char words[PROBED_VALUE_WORDS];
	double load = 0;

	switch (probed_sample_work(sample, m->before, (double)span_ms / 1000,
				   &load, &missing)) {
	case PROBED_WORKED:
		take(m, load);
		break;
	case PROBED_MISSING:
		snprintf(words, sizeof(words),
			 "it does not tell '%.*s', which the formula needs: "
			 "taken as %.0f",
			 (int)(missing.n < 100 ? missing.n : 100), missing.p,
			 PROBED_MACHINE_UNKNOWN);
		take_unknown(m, words);
		break;
	case PROBED_NO_VALUE:
		snprintf(words, sizeof(words),
			 "the formula has no value: taken as %.0f",
			 PROBED_MACHINE_UNKNOWN);
		take_unknown(m, words);
		break;
	case PROBED_NO_BEFORE:
		m->value.waiting = !m->value.known;
		break;
	}
	before_keep(m, sample, at_ms);
}

/* What went wrong, in words; false: nothing. */
static bool wrong(const struct reading *r, CURLcode code, char *words,
		  size_t size)
{
	long status = 0;

	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	words[0] = '\0';
	if (r->sample.too_long)
		snprintf(words, size, "more than %u octets of metrics",
			 PROBED_SAMPLE_TEXT_MAX);
	else if (r->sample.too_many)
		snprintf(words, size, "more than %u series of one rate",
			 PROBED_SAMPLE_SERIES_MAX);
	else if (r->sample.no_memory)
		snprintf(words, size, "no memory");
	else if (code != CURLE_OK)
		snprintf(words, size, "%.180s",
			 r->error[0] != '\0' ? r->error
					     : curl_easy_strerror(code));
	else if (status != 200)
		snprintf(words, size, "unexpected status (%ld, want 200)",
			 status);
	return words[0] != '\0';
}

/* -- one reading ----------------------------------------------------------- */

static void reading_free(struct reading *r)
{
	probed_sample_fini(&r->sample);
	curl_easy_cleanup(r->easy);
	curl_slist_free_all(r->headers);
	free(r);
}

static void next_begin(struct probed_machines *all);

static void on_done(CURL *easy, CURLcode code)
{
	char words[PROBED_VALUE_WORDS];
	char *private = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	struct reading *r = (void *)private;
	struct machine *m = r->machine;
	if (wrong(r, code, words, sizeof(words))) {
		before_free(m);
		fail(m, words);
	} else {
		probed_sample_end(&r->sample);
		work(m, &r->sample);
	}
	m->reading = NULL;
	reading_free(r);
	m->all->n_running--;
	next_begin(m->all);
}

/* Anything but 'n' makes libcurl give up. */
static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct reading *r = arg;

	(void)size; /* is 1 */
	return probed_sample_feed(&r->sample, (struct slice){ p, n }) ? n : 0;
}

/* Nothing from the environment, nothing from earlier readings. */
static bool reading_set(struct reading *r, const struct machine *m)
{
	CURL *easy = r->easy;

	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, r->headers);
	curl_easy_setopt(easy, CURLOPT_USERAGENT,
			 "nearzone-probed/" PROBED_VERSION);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)m->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)m->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->error);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, (void *)r);
	/* This copies, and so may fail. */
	return curl_easy_setopt(easy, CURLOPT_URL, m->url) == CURLE_OK;
}

static void reading_begin(struct machine *m)
{
	struct reading *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		fail(m, "no memory");
		return;
	}
	r->machine = m;
	probed_sample_init(&r->sample, &m->formula);
	r->easy = curl_easy_init();
	r->headers = curl_slist_append(NULL, "Accept: text/plain");
	if (r->easy == NULL || r->headers == NULL || !reading_set(r, m) ||
	    probed_multi_add(m->all->multi, r->easy) != 0) {
		reading_free(r);
		fail(m, "no memory");
		return;
	}
	m->reading = r;
	m->all->n_running++;
}

/* Those that wait, as far as there is room. */
static void next_begin(struct probed_machines *all)
{
	while (all->n_running < RUNNING_MAX && all->line.n > 0) {
		struct machine *m = PROBED_ENTRY(probed_list_first(&all->line),
						 struct machine, line);
		probed_list_remove(&all->line, &m->line);
		reading_begin(m);
	}
}

/* -- when ------------------------------------------------------------------ */

static void on_timer(uv_timer_t *timer);

static void plan(struct machine *m)
{
	uint64_t now = now_ms();

	uv_update_time(m->all->setup.loop);
	uv_timer_start(&m->timer, on_timer,
		       m->due_ms > now ? m->due_ms - now : 0, 0);
}

/* A slot that was missed is left out, and the next is where it would be. */
static void on_timer(uv_timer_t *timer)
{
	struct machine *m = timer->data;
	uint64_t now = now_ms();
	uint64_t late_ms = now > m->due_ms ? now - m->due_ms : 0;

	m->due_ms += m->interval_ms * (late_ms / m->interval_ms + 1);
	if (late_ms <= m->interval_ms / 2 && m->reading == NULL &&
	    !probed_link_used(&m->line)) {
		probed_list_put(&m->all->line, &m->line);
		next_begin(m->all);
	}
	plan(m);
}

/* -- life of one ----------------------------------------------------------- */

static void machine_free(uv_handle_t *handle)
{
	struct machine *m = handle->data;

	free(m->url);
	free(m->formula_text);
	free(m);
}

static void machine_close(struct machine *m)
{
	struct probed_machines *all = m->all;

	if (m->reading != NULL) {
		probed_multi_remove(all->multi, m->reading->easy);
		reading_free(m->reading);
		all->n_running--;
	}
	if (probed_link_used(&m->line))
		probed_list_remove(&all->line, &m->line);
	probed_values_drop(all->setup.values, &m->value);
	before_free(m);
	uv_close((uv_handle_t *)&m->timer, machine_free);
}

static void url_print(const struct config_server *server, char *out,
		      size_t size)
{
	const struct config_load *load = server->load;
	char address[PROBED_ADDRESS_MAX];

	if (load->url != NULL) {
		snprintf(out, size, "%s", load->url);
		return;
	}
	bool v6 = server->addresses[0].ss_family == AF_INET6;
	probed_address_print(&server->addresses[0], address);
	snprintf(out, size, v6 ? "http://[%s]:%u%s" : "http://%s:%u%s", address,
		 load->port, load->path);
}

static struct machine *machine_new(struct probed_machines *all,
				   const struct config_server *server)
{
	const struct config_load *load = server->load;
	struct machine *m = calloc(1, sizeof(*m));
	char url[URL_MAX];

	if (m == NULL)
		return NULL;
	url_print(server, url, sizeof(url));
	m->url = strdup(url);
	m->formula_text = strdup(load->formula);
	if (m->url == NULL || m->formula_text == NULL) {
		free(m->url);
		free(m->formula_text);
		free(m);
		return NULL;
	}
	m->all = all;
	m->value.kind = PROBED_LOAD;
	snprintf(m->value.of, sizeof(m->value.of), "%s", server->id);
	/* The configuration has been checked. */
	if (formula_parse(slice_of(m->formula_text), &m->formula, NULL) != 0)
		assert(false);
	for (size_t i = 0; i < m->formula.n_picks; i++)
		m->has_rate =
			m->has_rate || m->formula.picks[i].how == FORMULA_RATE;
	m->interval_ms = load->interval_ms;
	m->timeout_ms = load->timeout_ms;
	uv_timer_init(all->setup.loop, &m->timer);
	m->timer.data = m;
	return m;
}

/* -- all of them ------------------------------------------------------------
 */

static bool is_ours(const struct probed_machines *all,
		    const struct config *config,
		    const struct config_server *server)
{
	const char *probe = config->pops[server->pop].probe;

	return server->load != NULL && !server->mapped &&
	       (probe == NULL || strcmp(probe, all->setup.node) == 0);
}

static bool same(const struct machine *a, const struct machine *b)
{
	return strcmp(a->value.of, b->value.of) == 0 &&
	       strcmp(a->url, b->url) == 0 &&
	       strcmp(a->formula_text, b->formula_text) == 0 &&
	       a->interval_ms == b->interval_ms &&
	       a->timeout_ms == b->timeout_ms;
}

/* Those that are the same go on: both lists are sorted alike. */
static void merge(struct machine **fresh, size_t n, struct machine **old,
		  size_t n_old)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		while (k < n_old &&
		       strcmp(old[k]->value.of, fresh[i]->value.of) < 0)
			machine_close(old[k++]);
		if (k == n_old || !same(old[k], fresh[i]))
			continue;
		machine_close(fresh[i]);
		fresh[i] = old[k++];
	}
	while (k < n_old)
		machine_close(old[k++]);
}

/* Even over the interval, whatever order they come in. */
static void begin(struct probed_machines *all)
{
	uint64_t now = now_ms();

	for (size_t i = 0; i < all->n; i++) {
		struct machine *m = all->machines[i];
		if (m->due_ms != 0) /* goes on */
			continue;
		probed_values_add(all->setup.values, &m->value);
		/* The first soon, so that little is decided without it. */
		uint64_t spread_ms =
			m->interval_ms < 5000 ? m->interval_ms : 5000;
		m->due_ms = now + 1 + spread_ms * i / all->n;
		plan(m);
	}
}

int probed_machines_use(struct probed_machines *machines,
			const struct config *config)
{
	size_t n = 0;
	struct machine **fresh =
		calloc(config->n_servers + 1, sizeof(struct machine *));

	if (fresh == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_servers; i++) {
		if (!is_ours(machines, config, &config->servers[i]))
			continue;
		fresh[n] = machine_new(machines, &config->servers[i]);
		if (fresh[n] == NULL) {
			while (n > 0)
				machine_close(fresh[--n]);
			free(fresh);
			return -ENOMEM;
		}
		n++;
	}
	merge(fresh, n, machines->machines, machines->n);
	free(machines->machines);
	machines->machines = fresh;
	machines->n = n;
	begin(machines);
	return 0;
}

int probed_machines_new(const struct probed_measure_setup *setup,
			struct probed_machines **machinesp)
{
	struct probed_machines *machines = calloc(1, sizeof(*machines));
	if (machines == NULL)
		return -ENOMEM;

	machines->setup = *setup;
	probed_list_init(&machines->line);
	if (probed_multi_new(setup->loop, on_done, &machines->multi) != 0) {
		free(machines);
		return -ENOMEM;
	}
	*machinesp = machines;
	return 0;
}

void probed_machines_close(struct probed_machines *machines)
{
	if (machines == NULL)
		return;
	for (size_t i = 0; i < machines->n; i++)
		machine_close(machines->machines[i]);
	probed_multi_close(machines->multi);
	free(machines->machines);
	free(machines);
}
