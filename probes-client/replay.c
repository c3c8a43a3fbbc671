/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gtm/decide.h"
#include "gtm/explain.h"
#include "gtm/history.h"
#include "probes-client/latencies.h"
#include "probes-client/listing.h"
#include "probes-client/past.h"
#include "probes-client/show.h"
#include "probes-client/spread.h"

/* A configuration under which decisions are made again. */
struct side {
	struct config *config;
	struct gtm_stage *stage;
	const struct gtm_host **host; /* of each number of the epoch; or NULL */
	bool *sought;		      /* it was looked for */
	size_t n_hosts;
	uint64_t epoch;
	struct spread spread;
};

/* Means, in milliseconds, over the decisions of which both are known. */
struct means {
	double before, after, n;
};

struct replay {
	const struct nzctl_options *options;
	struct side before, after;
	struct past *past;
	struct gtm_history *history;
	struct latencies *latencies;
	struct gtm_trace trace;
	struct means latency;
	uint64_t n, impossible, guessed, odd, first_ms, last_ms;
	double changed;
	struct json_object *hosts, *servers, *pops, *moves;
};

/* -- sums ------------------------------------------------------------------ */

/* The object called 'key' in 'all'. */
static struct json_object *row_of(struct json_object *all, const char *key)
{
	struct json_object *row = json_object_object_get(all, key);

	if (row == NULL) {
		row = json_object_new_object();
		json_object_object_add(all, key, row);
	}
	return row;
}

static void add(struct json_object *row, const char *key, double n)
{
	struct json_object *sum = json_object_object_get(row, key);

	if (sum == NULL)
		json_object_object_add(row, key, json_object_new_double(n));
	else
		json_object_set_double(sum, json_object_get_double(sum) + n);
}

/* Adds a part to one column; the other is there, too. */
static void add_load(struct json_object *row, bool after, double part)
{
	add(row, "before", after ? 0 : part);
	add(row, "after", after ? part : 0);
}

static void sum_load(struct replay *r, const struct spread *s, bool after)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct spread_part *part = &s->part[i];
		add_load(row_of(r->servers, part->server), after, part->part);
		if (part->pop[0] != '\0')
			add_load(row_of(r->pops, part->pop), after, part->part);
	}
}

/* What goes from each server that loses to those that gain. */
static double sum_moves(struct replay *r)
{
	const struct spread *p = &r->before.spread;
	const struct spread *q = &r->after.spread;
	double moved = 0;

	for (size_t i = 0; i < q->n; i++) {
		double gain = q->part[i].part - spread_of(p, q->part[i].server);
		moved += gain > 0 ? gain : 0;
	}
	for (size_t i = 0; i < p->n && moved > 1e-9; i++) {
		double loss = p->part[i].part - spread_of(q, p->part[i].server);
		if (loss <= 0)
			continue;
		struct json_object *from = row_of(r->moves, p->part[i].server);
		for (size_t k = 0; k < q->n; k++) {
			double gain = q->part[k].part -
				      spread_of(p, q->part[k].server);
			if (gain > 0)
				add(from, q->part[k].server,
				    loss * gain / moved);
		}
	}
	return moved;
}

/* The mean round trip of a spread; less than 0: of some it is not known. */
static double latency_of(const struct replay *r, const struct spread *s,
			 const struct gtm_client *client)
{
	double sum = 0;

	for (size_t i = 0; i < s->n; i++) {
		double ms = r->latencies == NULL
				    ? s->part[i].ms
				    : latencies_find(r->latencies, client,
						     s->part[i].pop);
		if (ms < 0)
			return -1;
		sum += ms * s->part[i].part;
	}
	return sum;
}

static void sum_latency(struct replay *r, const struct gtm_client *client)
{
	double before = latency_of(r, &r->before.spread, client);
	double after = latency_of(r, &r->after.spread, client);
	if (before < 0 || after < 0)
		return;
	r->latency.before += before;
	r->latency.after += after;
	r->latency.n++;
}

/* -- decisions ------------------------------------------------------------- */

/* The hostname of a number of the epoch, in a configuration. */
static const struct gtm_host *
host_of(struct side *side, const struct gtm_history *h, uint32_t number)
{
	const char *text = gtm_history_name(h, JOURNAL_HOSTS, number);
	struct dname name;

	if (side->epoch != gtm_history_epoch(h)->number && side->n_hosts > 0) {
		memset(side->sought, 0, side->n_hosts * sizeof(bool));
		side->epoch = gtm_history_epoch(h)->number;
	}
	if (text == NULL || dname_parse(slice_of(text), &name) != 0)
		return NULL;
	if (number >= side->n_hosts) {
		size_t n = 2 * (size_t)number + 64;
		const struct gtm_host **host = calloc(n, sizeof(void *));
		bool *sought = calloc(n, sizeof(bool));
		free(side->host);
		free(side->sought);
		side->host = host;
		side->sought = sought;
		side->n_hosts = host != NULL && sought != NULL ? n : 0;
		if (side->n_hosts == 0)
			return NULL;
	}
	if (!side->sought[number])
		side->host[number] =
			gtm_explain_host(gtm_stage_world(side->stage), &name);
	side->sought[number] = true;
	return side->host[number];
}

/* Fills the side's spread; '*possible': what was given could have been. */
static int side_decide(struct replay *r, struct side *side,
		       const struct journal_record *record,
		       struct gtm_question *q, bool *possible)
{
	const struct journal_decision *d = &record->decision;
	int rc = gtm_stage_set(side->stage, r->history, record->time_ms,
			       &q->now_ms);

	if (rc != 0)
		return rc;
	q->clients = gtm_stage_world(side->stage)->clients;
	*possible =
		spread_decide(&side->spread, host_of(side, r->history, d->host),
			      q, d, &r->trace);
	return 0;
}

/* Random bits are another decision's, of however many in a millisecond. */
static void question_of(const struct replay *r,
			const struct journal_record *record,
			struct gtm_question *q)
{
	const struct journal_decision *d = &record->decision;

	*q = (struct gtm_question){
		.family = d->v6 ? GTM_V6 : GTM_V4,
		.client = { .v6 = d->client_v6, .bits = d->client_bits },
		.random = (record->time_ms + (r->n << 32)) *
			  UINT64_C(0x9e3779b97f4a7c15),
	};
	memcpy(q->client.address, d->client,
	       d->client_v6 ? sizeof(d->client) : 4);
}

static int decision(struct replay *r, const struct journal_record *record)
{
	const struct journal_decision *d = &record->decision;
	const char *name = gtm_history_name(r->history, JOURNAL_HOSTS, d->host);
	const struct config *before = r->before.config;
	struct gtm_question q;
	bool possible = false;
	bool explained = true;
	int rc = 0;

	if (name == NULL || d->client_bits == 0)
		return 0;
	question_of(r, record, &q);
	if (before != NULL &&
	    before->hash == gtm_history_epoch(r->history)->hash) {
		rc = side_decide(r, &r->before, record, &q, &explained);
	} else {
		spread_given(&r->before.spread, r->history, d, &q.client,
			     r->after.config->latency_age_ms);
		r->guessed++;
	}
	if (rc == 0)
		rc = side_decide(r, &r->after, record, &q, &possible);
	if (rc != 0)
		return rc;

	struct json_object *host = row_of(r->hosts, name);
	double changed = sum_moves(r);
	sum_load(r, &r->before.spread, false);
	sum_load(r, &r->after.spread, true);
	sum_latency(r, &q.client);
	add(host, "decisions", 1);
	add(host, "changed", changed);
	add(host, "impossible", !possible);
	r->changed += changed;
	r->impossible += !possible;
	r->odd += !explained;
	r->first_ms = r->n == 0 ? record->time_ms : r->first_ms;
	r->last_ms = record->time_ms;
	r->n++;
	return 0;
}

/* -- what came of it ------------------------------------------------------- */

/* With two places, and no more in JSON either. */
static struct json_object *rounded(double n)
{
	char text[64];

	if (n == (double)(int64_t)n)
		return json_object_new_int64((int64_t)n);
	(void)snprintf(text, sizeof(text), "%.2f", n);
	return json_object_new_double_s(n, text);
}

static double column_of(const void *row, const char *key)
{
	return json_object_get_double(
		json_object_object_get(*(struct json_object *const *)row, key));
}

/* The most first. */
static int by_changed(const void *a, const void *b)
{
	double x = column_of(a, "changed");
	double y = column_of(b, "changed");

	return (x < y) - (x > y);
}

static int by_answers(const void *a, const void *b)
{
	double x = column_of(a, "answers");
	double y = column_of(b, "answers");

	return (x < y) - (x > y);
}

static int by_before(const void *a, const void *b)
{
	double x = column_of(a, "before_pct");
	double y = column_of(b, "before_pct");

	return (x < y) - (x > y);
}

/* A table's rows with their names in front; 'total' for parts of it. */
static struct json_object *table_of(struct json_object *all, const char *what,
				    double total)
{
	struct json_object *list = json_object_new_array();

	json_object_object_foreach(all, key, row)
	{
		struct json_object *o = json_object_new_object();
		json_object_object_add(o, what, json_object_new_string(key));
		json_object_object_foreach(row, column, value)
		{
			double n = json_object_get_double(value);
			char part[32];
			(void)snprintf(part, sizeof(part), "%s_pct", column);
			json_object_object_add(
				o, total > 0 ? part : column,
				rounded(total > 0 ? 100 * n / total : n));
		}
		json_object_array_add(list, o);
	}
	json_object_array_sort(list, total > 0 ? by_before : by_changed);
	return list;
}

static struct json_object *moves_of(struct json_object *all)
{
	struct json_object *list = json_object_new_array();

	json_object_object_foreach(all, from, row)
	{
		json_object_object_foreach(row, to, n)
		{
			struct json_object *o = json_object_new_object();
			json_object_object_add(o, "from",
					       json_object_new_string(from));
			json_object_object_add(o, "to",
					       json_object_new_string(to));
			json_object_object_add(
				o, "answers",
				rounded(json_object_get_double(n)));
			json_object_array_add(list, o);
		}
	}
	json_object_array_sort(list, by_answers);
	return list;
}

static void number(struct json_object *o, const char *key, double n)
{
	json_object_object_add(o, key, rounded(n));
}

static void count(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

static struct json_object *result_of(struct replay *r)
{
	struct json_object *o = json_object_new_object();
	char time[LISTING_TIME_MAX];

	json_object_object_add(o, "ok", json_object_new_boolean(1));
	count(o, "decisions", r->n);
	if (r->n == 0)
		return o;
	json_object_object_add(
		o, "first",
		json_object_new_string(listing_time(r->first_ms, time)));
	json_object_object_add(
		o, "last",
		json_object_new_string(listing_time(r->last_ms, time)));
	number(o, "changed", r->changed);
	number(o, "changed_pct", 100 * r->changed / (double)r->n);
	count(o, "impossible", r->impossible);
	count(o, "compared_with_the_answer_given", r->guessed);
	count(o, "unexplained", r->odd);
	if (r->latency.n > 0) {
		struct json_object *l = json_object_new_object();
		count(l, "decisions", (uint64_t)r->latency.n);
		number(l, "before_ms", r->latency.before / r->latency.n);
		number(l, "after_ms", r->latency.after / r->latency.n);
		json_object_object_add(o, "latency", l);
	}
	json_object_object_add(o, "hostnames", table_of(r->hosts, "name", 0));
	json_object_object_add(o, "moves", moves_of(r->moves));
	json_object_object_add(o, "servers",
			       table_of(r->servers, "server", (double)r->n));
	json_object_object_add(o, "pops",
			       table_of(r->pops, "pop", (double)r->n));
	return o;
}

/* -- the command ----------------------------------------------------------- */

static bool side_open(struct side *side, const struct nzctl_options *options,
		      const char *file)
{
	side->config = past_config(options, file);
	if (side->config == NULL)
		return false;
	if (gtm_stage_new(side->config, &side->stage) == 0)
		return true;
	fputs("nzctl: out of memory\n", stderr);
	return false;
}

static void side_close(struct side *side)
{
	gtm_stage_free(side->stage);
	config_free(side->config);
	free(side->host);
	free(side->sought);
}

static int read_all(struct replay *r)
{
	struct journal_record record;
	int rc;

	while ((rc = past_next(r->past, &record)) == 1) {
		rc = gtm_history_take(r->history, &record);
		if (rc == 0 && record.kind == JOURNAL_DECISION &&
		    gtm_history_epoch(r->history)->number > 0)
			rc = decision(r, &record);
		if (rc != 0)
			return rc;
	}
	return rc;
}

static enum nzctl_exit run(struct replay *r)
{
	const struct nzctl_options *options = r->options;

	if (!side_open(&r->after, options, options->config) ||
	    !side_open(&r->before, options, options->before))
		return NZCTL_TROUBLE;
	r->past = past_open(options, r->after.config);
	if (r->past == NULL)
		return NZCTL_TROUBLE;
	if (options->latency != NULL) {
		r->latencies = latencies_read(options->latency);
		if (r->latencies == NULL)
			return NZCTL_TROUBLE;
	}
	if (gtm_history_new(&r->history) != 0)
		return NZCTL_TROUBLE;
	if (!past_end(r->past, read_all(r)))
		return NZCTL_TROUBLE;

	struct json_object *o = result_of(r);
	if (options->json)
		puts(json_object_to_json_string_ext(
			o, JSON_C_TO_STRING_PLAIN |
				   JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		show_object(stdout, o, "ok");
	json_object_put(o);
	if (r->n == 0)
		fputs("nzctl: replay: the journal has no decisions: is "
		      "\"journal\".\"decisions\" set?\n",
		      stderr);
	return r->n > 0 ? NZCTL_DONE : NZCTL_REFUSED;
}

enum nzctl_exit replay_run(const struct nzctl_options *options)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (r == NULL || options->config == NULL) {
		fputs(r == NULL ? "nzctl: out of memory\n"
				: "nzctl: replay: want --config FILE\n",
		      stderr);
		free(r);
		return NZCTL_USAGE;
	}
	r->options = options;
	r->hosts = json_object_new_object();
	r->servers = json_object_new_object();
	r->pops = json_object_new_object();
	r->moves = json_object_new_object();
	enum nzctl_exit result = run(r);
	side_close(&r->before);
	side_close(&r->after);
	past_close(r->past);
	gtm_history_free(r->history);
	latencies_free(r->latencies);
	json_object_put(r->hosts);
	json_object_put(r->servers);
	json_object_put(r->pops);
	json_object_put(r->moves);
	free(r);
	return result;
}
