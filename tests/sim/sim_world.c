/* SPDX-License-Identifier: MPL-2.0 */
#include "sim.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "read.h"

/* -- what changes the world ------------------------------------------------ */

static bool config_take(struct sim *sim, const char *text, size_t n,
			bool refused)
{
	struct config *config = NULL;
	struct gtm_world *world = NULL;
	struct err errs[4];
	size_t n_errs = 0;
	char words[1024];
	int rc = config_parse(sim->file, text, n, &config, errs, 4, &n_errs);

	if (rc != 0 && refused)
		return true;
	for (size_t i = 0; rc != 0 && i < n_errs && i < 4; i++) {
		err_format(&errs[i], "configuration", words, sizeof(words));
		(void)complain(sim, "%s", words);
	}
	if (rc != 0)
		return false;
	if (refused) {
		config_free(config);
		return complain(sim, "the configuration was not refused");
	}
	rc = gtm_world_new(config, sim->world, &world);
	if (rc != 0) {
		config_free(config);
		return complain(sim, "no world: %d", rc);
	}
	gtm_world_free(sim->world);
	config_free(sim->config);
	sim->world = world;
	sim->config = config;
	return places_put(sim);
}

bool do_config(struct sim *sim)
{
	bool refused = name_find(sim->word[1],
				 (const char *const[]){ "refused" }, 1) == 0;
	char *text = sim->rest;
	char *line;

	if (sim->word[1] != NULL && !refused)
		return complain(sim, "config: unknown '%s'", sim->word[1]);
	while (line_next(sim, &line)) {
		if (strcmp(line, "end") == 0)
			return config_take(sim, text, (size_t)(line - text),
					   refused);
		if (sim->rest > text && sim->rest[-1] == '\0')
			sim->rest[-1] = '\n'; /* the text stays whole */
	}
	return complain(sim, "config: no 'end'");
}

bool do_at(struct sim *sim)
{
	double s;

	if (!number_read(sim->word[1], &s) || sim->word[2] != NULL)
		return complain(sim, "at: want seconds");
	uint64_t now_ms = START_MS + (uint64_t)(s * 1000.0 + 0.5);
	if (now_ms < sim->now_ms)
		return complain(sim, "at: time does not run backwards");
	sim->now_ms = now_ms;
	return true;
}

/* What may follow the metric of a row; '*fate' is the one wanted. */
static bool row_options(struct sim *sim, struct gtm_row *row, int *fate)
{
	char **word = sim->word + 6;
	double value;

	for (; *word != NULL; word += 2) {
		if (strcmp(*word, "->") == 0) {
			*fate = name_find(word[1], gtm_row_fate_names,
					  GTM_ROW_FATES);
			if (*fate < 0 || word[2] != NULL)
				return complain(sim, "row: want one fate");
			return true;
		}
		if (!number_read(word[1], &value))
			return complain(sim, "row: '%s' wants a number", *word);
		if (strcmp(*word, "age") == 0)
			row->age_ms = value * 1000.0;
		else if (strcmp(*word, "error") == 0)
			row->error = (int64_t)value;
		else
			return complain(sim, "row: unknown '%s'", *word);
	}
	return true;
}

bool do_row(struct sim *sim)
{
	char **word = sim->word;
	int fate = GTM_ROW_OK;
	struct gtm_row row = { 0 };

	for (unsigned int i = 1; i < 6; i++)
		if (word[i] == NULL)
			return complain(sim, "row: words are missing");
	row.server = slice_of(word[1]);
	row.service = slice_of(word[3]);
	if (!address_read(word[2], &row.address))
		return complain(sim, "row: bad address '%s'", word[2]);
	int state =
		name_find(word[4], (const char *const[]){ "up", "down" }, 2);
	if (state < 0)
		return complain(sim, "row: want up or down");
	row.state = state == 0 ? GTM_UP : GTM_DOWN;
	if (strcmp(word[5], "nan") == 0)
		row.metric = NAN;
	else if (!number_read(word[5], &row.metric))
		return complain(sim, "row: bad metric '%s'", word[5]);
	if (!row_options(sim, &row, &fate))
		return false;
	int came = (int)gtm_world_feed(sim->world, &row, sim->now_ms, NULL);
	if (came != fate)
		return complain(sim, "row: want '%s', got '%s'",
				gtm_row_fate_names[fate],
				gtm_row_fate_names[came]);
	return true;
}

/* Server of a "drain" or "undrain"; the time up to which it is out. */
static bool drain_set(struct sim *sim, uint64_t until_ms)
{
	uint32_t i = CONFIG_NONE;

	if (sim->word[1] != NULL)
		i = gtm_world_server(sim->world, slice_of(sim->word[1]));
	if (i == CONFIG_NONE)
		return complain(sim, "%s: no such server", sim->word[0]);
	atomic_store(&sim->world->admins[i]->drained_until_ms, until_ms);
	return true;
}

bool do_drain(struct sim *sim)
{
	double s;

	if (sim->word[1] == NULL || sim->word[2] == NULL)
		return drain_set(sim, UINT64_MAX);
	if (strcmp(sim->word[2], "for") != 0 || !number_read(sim->word[3], &s))
		return complain(sim, "drain: want 'for SECONDS'");
	return drain_set(sim, sim->now_ms + (uint64_t)(s * 1000.0));
}

bool do_undrain(struct sim *sim)
{
	return drain_set(sim, 0);
}

static struct gtm_admin *admin_find(struct sim *sim)
{
	uint32_t i = CONFIG_NONE;

	if (sim->word[1] != NULL)
		i = gtm_world_server(sim->world, slice_of(sim->word[1]));
	if (i == CONFIG_NONE)
		(void)complain(sim, "%s: no such server", sim->word[0]);
	return i != CONFIG_NONE ? sim->world->admins[i] : NULL;
}

bool do_force(struct sim *sim)
{
	struct gtm_admin *admin = admin_find(sim);
	uint64_t until_ms = GTM_FORCE_EVER;
	double s;
	int state = name_find(sim->word[2],
			      (const char *const[]){ "none", "up", "down" }, 3);

	if (admin == NULL)
		return false;
	if (state < 0)
		return complain(sim, "force: want up, down or none");
	if (sim->word[3] != NULL) {
		if (strcmp(sim->word[3], "for") != 0 ||
		    !number_read(sim->word[4], &s))
			return complain(sim, "force: want 'for SECONDS'");
		until_ms = sim->now_ms + (uint64_t)(s * 1000.0);
	}
	atomic_store(&admin->forced,
		     state == 0 ? 0 : (uint64_t)state << 62 | until_ms);
	return true;
}

bool do_release(struct sim *sim)
{
	struct gtm_admin *admin = admin_find(sim);

	if (admin != NULL)
		atomic_store(&admin->held, 0);
	return admin != NULL;
}

/* "age S" and "-> FATE" from 'word' on; false: complained. */
static bool value_options(struct sim *sim, char **word, double *age_s,
			  int *fate)
{
	if (*word != NULL && strcmp(*word, "age") == 0) {
		if (!number_read(word[1], age_s))
			return complain(sim, "%s: want an age", sim->word[0]);
		word += 2;
	}
	if (*word != NULL && strcmp(*word, "->") == 0)
		*fate = name_find(word[1], gtm_row_fate_names, GTM_ROW_FATES);
	else if (*word != NULL)
		return complain(sim, "%s: unknown '%s'", sim->word[0], *word);
	return true;
}

static bool expect_fate(struct sim *sim, int want, int came)
{
	return came == want ||
	       complain(sim, "%s: want '%s', got '%s'", sim->word[0],
			want >= 0 ? gtm_row_fate_names[want] : "?",
			gtm_row_fate_names[came]);
}

bool do_value(struct sim *sim)
{
	int kind = name_find(
		sim->word[1],
		(const char *const[]){ "load", "loss", "bandwidth" }, 3);
	double age_s = 0.0;
	int fate = GTM_ROW_OK;
	double value;
	int came;

	if (kind < 0 || sim->word[2] == NULL ||
	    !number_read(sim->word[3], &value))
		return complain(sim, "value: want KIND OF NUMBER");
	if (!value_options(sim, sim->word + 4, &age_s, &fate))
		return false;
	struct slice of = slice_of(sim->word[2]);
	if (kind == 0)
		came = (int)gtm_world_feed_load(sim->world, of, value,
						age_s * 1000, sim->now_ms);
	else
		came = (int)gtm_world_feed_pop(
			sim->world, of, kind == 1 ? GTM_LOSS : GTM_BANDWIDTH,
			value, age_s * 1000, sim->now_ms);
	return expect_fate(sim, fate, came);
}

bool do_near(struct sim *sim)
{
	char **word = sim->word;
	struct gtm_client group;
	double ms = -1.0;
	double age_s = 0.0;
	int fate = GTM_ROW_OK;

	if (!client_read(word[1], &group) || word[2] == NULL ||
	    word[3] == NULL ||
	    (strcmp(word[3], "far") != 0 && !number_read(word[3], &ms)))
		return complain(sim, "near: want ADDRESS/BITS POP MS");
	if (!value_options(sim, word + 4, &age_s, &fate))
		return false;
	return expect_fate(sim, fate,
			   (int)gtm_world_feed_latency(
				   sim->world, &group, slice_of(word[2]), ms,
				   age_s * 1000, sim->now_ms));
}

const struct gtm_host *host_find(const struct sim *sim, const char *name)
{
	struct dname dname;

	if (name == NULL || dname_parse(slice_of(name), &dname) != 0)
		return NULL;
	for (size_t i = 0; i < sim->world->n_hosts; i++)
		if (dname_equal(&sim->world->hosts[i].config->name, &dname))
			return &sim->world->hosts[i];
	return NULL;
}

bool do_count(struct sim *sim)
{
	const struct gtm_host *host = host_find(sim, sim->word[1]);
	unsigned long want;

	if (host == NULL)
		return complain(sim, "count: no such hostname");
	int what = name_find(sim->word[2], gtm_count_names, GTM_COUNTS);
	if (what < 0 || !whole_read(sim->word[3], &want))
		return complain(sim, "count: want NAME WHAT N");
	uint64_t got = atomic_load(&host->counts->n[what]);
	if (got != want)
		return complain(sim, "count %s: want %lu, got %llu",
				sim->word[2], want, (unsigned long long)got);
	return true;
}
