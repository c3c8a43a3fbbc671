/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/then.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>

#include "gtm/explain.h"
#include "gtm/history.h"
#include "probes-client/listing.h"
#include "probes-client/nzctl_traffic.h"
#include "probes-client/past.h"
#include "probes-client/show.h"
#include "probes-client/when.h"

#define NOBODY	 "0.0.0.0"
#define AROUND	 5u	 /* answers of then that are shown, on each side */
#define ABOUT_MS 300000u /* what is further away is not of then */
#define QUIET_MS 120000u /* the journal says something every minute */

struct then {
	const struct nzctl_options *options;
	uint64_t time_ms;
	struct dname name;
	struct gtm_question q;
	struct config *config;
	struct past *past;
	struct gtm_history *history;
	struct gtm_stage *stage;
	struct json_object *reply;  /* once 'time_ms' has come */
	struct json_object *before; /* answers, the newest last */
	struct json_object *after;
	struct json_object *said; /* what operators said last */
};

static void add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

/* -- what is asked --------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timeval now;

	(void)gettimeofday(&now, NULL);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_usec / 1000;
}

static enum nzctl_exit usage(const char *what, const char *text)
{
	fputs("nzctl: explain: '", stderr);
	show_text(stderr, slice_of(text));
	fprintf(stderr, "': %s\n", what);
	return NZCTL_USAGE;
}

static enum nzctl_exit asked(struct then *t)
{
	const struct nzctl_options *o = t->options;
	const char *client = o->client != NULL ? o->client : NOBODY;

	if (when_parse(o->at, now_ms(), &t->time_ms) != 0)
		return usage("want a time: 2026-11-25T08:12:00Z, Unix seconds, "
			     "or -10m",
			     o->at);
	if (dname_parse(slice_of(o->argv[0]), &t->name) != 0)
		return usage("not a domain name", o->argv[0]);
	if (strcasecmp(o->argv[1], "A") != 0 &&
	    strcasecmp(o->argv[1], "AAAA") != 0)
		return usage("only answers of type A and AAAA are decided",
			     o->argv[1]);
	if (!gtm_explain_client(client, &t->q.client))
		return usage("not an address or prefix", client);
	t->q.family = strcasecmp(o->argv[1], "AAAA") == 0 ? GTM_V6 : GTM_V4;
	t->q.random = t->time_ms * UINT64_C(0x9e3779b97f4a7c15);
	return NZCTL_DONE;
}

/* -- the decision ---------------------------------------------------------- */

/* Which configuration was in force, and whether it is the one at hand. */
static void add_config(const struct then *t, struct json_object *o)
{
	const struct gtm_history_epoch *e = gtm_history_epoch(t->history);
	struct json_object *c = json_object_new_object();
	char time[LISTING_TIME_MAX];

	add_text(c, "file", t->config->file);
	json_object_object_add(c, "serial",
			       json_object_new_uint64(t->config->serial));
	json_object_object_add(
		c, "same", json_object_new_boolean(t->config->hash == e->hash));
	json_object_object_add(c, "then_serial",
			       json_object_new_uint64(e->serial));
	add_text(c, "then_from", listing_time(e->from_ms, time));
	json_object_object_add(o, "config", c);
}

/* Makes the reply: what is known is what was known then. */
static int decide(struct then *t)
{
	uint64_t last_ms = gtm_history_last_ms(t->history);
	struct gtm_world *world = gtm_stage_world(t->stage);
	char time[LISTING_TIME_MAX];
	int rc = gtm_stage_set(t->stage, t->history, t->time_ms, &t->q.now_ms);

	if (rc != 0)
		return rc;
	t->q.clients = world->clients;
	const struct gtm_explain explain = {
		.world = world,
		.host = gtm_explain_host(world, &t->name),
		.q = &t->q,
		.client = t->options->client != NULL ? t->options->client
						     : NOBODY,
	};
	struct json_object *o = gtm_explain_json(&explain);
	if (o == NULL)
		return -ENOMEM;
	t->reply = json_object_new_object();
	json_object_object_add(t->reply, "ok", json_object_new_boolean(1));
	add_text(t->reply, "at", listing_time(t->time_ms, time));
	add_text(t->reply, "journal", t->past->path);
	json_object_object_add(
		t->reply, "last_record_s",
		json_object_new_double((double)(t->time_ms - last_ms) / 1000));
	add_config(t, t->reply);
	json_object_object_add(t->reply, "explain", o);
	return 0;
}

/* -- answers of then ------------------------------------------------------- */

/* Adds a record to a list that keeps its newest 'most'. */
static void keep(struct json_object *list, struct json_object *o, size_t most)
{
	json_object_object_del(o, "kind");
	json_object_array_add(list, o);
	if (json_object_array_length(list) > most)
		json_object_array_del_idx(list, 0, 1);
}

static bool is_of_host(const struct then *t, const struct journal_decision *d)
{
	const char *host = gtm_history_name(t->history, JOURNAL_HOSTS, d->host);
	struct dname name;

	return d->v6 == (t->q.family == GTM_V6) && host != NULL &&
	       dname_parse(slice_of(host), &name) == 0 &&
	       dname_equal(&name, &t->name);
}

static void note(struct then *t, const struct journal_record *r)
{
	if (r->kind == JOURNAL_WORD && r->time_ms <= t->time_ms)
		keep(t->said, listing_record(t->history, r), AROUND);
	if (r->kind != JOURNAL_DECISION || !is_of_host(t, &r->decision))
		return;
	if (r->time_ms <= t->time_ms && r->time_ms + ABOUT_MS >= t->time_ms)
		keep(t->before, listing_record(t->history, r), AROUND);
	if (r->time_ms > t->time_ms &&
	    json_object_array_length(t->after) < AROUND)
		keep(t->after, listing_record(t->history, r), AROUND);
}

/* Reads up to the time, decides, and reads a little further. */
static int read_all(struct then *t)
{
	struct journal_record record;
	int rc;

	while ((rc = past_next(t->past, &record)) == 1) {
		bool later = record.time_ms > t->time_ms;
		if (later && gtm_history_epoch(t->history)->number == 0)
			return -ENODATA;
		/* decisions come a little after what they were made before */
		bool ahead = later && t->reply == NULL &&
			     (record.kind == JOURNAL_DECISION ||
			      record.kind == JOURNAL_NEAR);
		if (later && t->reply == NULL && !ahead)
			rc = decide(t);
		if (rc < 0)
			return rc;
		if (record.time_ms > t->time_ms + ABOUT_MS && t->reply != NULL)
			return 0;
		/* nor do they say what was known before */
		rc = ahead ? 0 : gtm_history_take(t->history, &record);
		if (rc != 0)
			return rc;
		note(t, &record);
	}
	if (rc == 0 && gtm_history_epoch(t->history)->number == 0)
		return -ENODATA;
	return rc == 0 && t->reply == NULL ? decide(t) : rc;
}

/* -- showing --------------------------------------------------------------- */

static void rows(const char *title, struct json_object *list)
{
	if (json_object_array_length(list) == 0)
		return;
	printf("\n%s:\n", title);
	show_rows(stdout, list, 2);
}

static void show_notes(const struct then *t)
{
	struct json_object *config = json_object_object_get(t->reply, "config");
	double last_s = json_object_get_double(
		json_object_object_get(t->reply, "last_record_s"));
	char age[SHOW_AGE_MAX];

	if (!json_object_get_boolean(json_object_object_get(config, "same")))
		printf("The configuration in force then was another: serial "
		       "%s, from %s on; this is by serial %s.\n",
		       json_object_get_string(
			       json_object_object_get(config, "then_serial")),
		       json_object_get_string(
			       json_object_object_get(config, "then_from")),
		       json_object_get_string(
			       json_object_object_get(config, "serial")));
	if (last_s * 1000 > QUIET_MS)
		printf("The journal has nothing of the last %s before: named "
		       "may not have run.\n",
		       show_age(last_s, age));
}

static void show(const struct then *t)
{
	printf("At %s, by the journal ",
	       json_object_get_string(json_object_object_get(t->reply, "at")));
	show_text(stdout, slice_of(t->past->path));
	puts(":");
	nzctl_traffic_explain(stdout, t->reply);
	rows("answered before", t->before);
	rows("answered after", t->after);
	rows("operators said", t->said);
	fputc('\n', stdout);
	show_notes(t);
}

static enum nzctl_exit end(struct then *t)
{
	struct json_object *answered = json_object_new_array();
	bool good = nzctl_traffic_answered(t->reply);

	if (t->options->json) {
		for (size_t i = 0; i < json_object_array_length(t->before); i++)
			json_object_array_add(
				answered,
				json_object_get(json_object_array_get_idx(
					t->before, i)));
		for (size_t i = 0; i < json_object_array_length(t->after); i++)
			json_object_array_add(
				answered,
				json_object_get(json_object_array_get_idx(
					t->after, i)));
		json_object_object_add(t->reply, "answered",
				       json_object_get(answered));
		json_object_object_add(t->reply, "said",
				       json_object_get(t->said));
		puts(json_object_to_json_string_ext(
			t->reply, JSON_C_TO_STRING_PLAIN |
					  JSON_C_TO_STRING_NOSLASHESCAPE));
	} else {
		show(t);
	}
	json_object_put(answered);
	return good ? NZCTL_DONE : NZCTL_REFUSED;
}

/* -- the command ----------------------------------------------------------- */

/* Opens all; false after words. */
static bool prepare(struct then *t)
{
	t->config = past_config(t->options, t->options->config);
	if (t->config == NULL)
		return false;
	t->past = past_open(t->options, t->config);
	if (t->past == NULL)
		return false;
	if (gtm_history_new(&t->history) != 0 ||
	    gtm_stage_new(t->config, &t->stage) != 0) {
		fputs("nzctl: out of memory\n", stderr);
		return false;
	}
	return true;
}

static enum nzctl_exit explain(struct then *t)
{
	if (!prepare(t))
		return NZCTL_TROUBLE;
	if (gtm_explain_host(gtm_stage_world(t->stage), &t->name) == NULL) {
		fputs("nzctl: explain: no hostname '", stderr);
		show_text(stderr, slice_of(t->options->argv[0]));
		fputs("' in the configuration\n", stderr);
		return NZCTL_REFUSED;
	}
	int rc = read_all(t);
	if (rc == -ENODATA) {
		fputs("nzctl: explain: the journal does not go back so far\n",
		      stderr);
		return NZCTL_REFUSED;
	}
	return past_end(t->past, rc) ? end(t) : NZCTL_TROUBLE;
}

enum nzctl_exit then_explain(const struct nzctl_options *options)
{
	struct then t = { .options = options };
	enum nzctl_exit result = asked(&t);

	if (result != NZCTL_DONE)
		return result;
	t.before = json_object_new_array();
	t.after = json_object_new_array();
	t.said = json_object_new_array();
	result = explain(&t);
	json_object_put(t.reply);
	json_object_put(t.before);
	json_object_put(t.after);
	json_object_put(t.said);
	gtm_stage_free(t.stage);
	gtm_history_free(t.history);
	past_close(t.past);
	config_free(t.config);
	return result;
}
