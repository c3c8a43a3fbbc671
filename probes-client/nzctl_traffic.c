/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/nzctl_traffic.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/probe.h"
#include "probes-client/show.h"

#define STATES_MAX 12u
#define NOBODY	   "0.0.0.0" /* the client if none was given */
#define NOTE_MAX   512u	     /* octets of what is said of a server */

/* -- reading replies ------------------------------------------------------- */

static struct json_object *get(struct json_object *object, const char *key)
{
	if (!json_object_is_type(object, json_type_object))
		return NULL;
	return json_object_object_get(object, key);
}

/* A string member; "" if there is none. */
static const char *get_text(struct json_object *object, const char *key)
{
	struct json_object *value = get(object, key);

	return json_object_is_type(value, json_type_string)
		       ? json_object_get_string(value)
		       : "";
}

/* A number member; NULL if there is none. */
static struct json_object *get_number(struct json_object *object,
				      const char *key)
{
	struct json_object *value = get(object, key);

	return json_object_is_type(value, json_type_int) ||
			       json_object_is_type(value, json_type_double)
		       ? value
		       : NULL;
}

/* An array member and its length; length 0 if there is none. */
static struct json_object *get_list(struct json_object *object, const char *key,
				    size_t *n)
{
	struct json_object *value = get(object, key);

	if (!json_object_is_type(value, json_type_array))
		value = NULL;
	*n = value != NULL ? json_object_array_length(value) : 0;
	return value;
}

static bool is(const char *text, const char *what)
{
	return strcmp(text, what) == 0;
}

/* Copies a member to 'row', called 'as'; nothing if it is not there. */
static void copy(struct json_object *row, const char *as,
		 struct json_object *from, const char *key)
{
	struct json_object *value = get(from, key);

	if (value != NULL)
		json_object_object_add(row, as, json_object_get(value));
}

/* The same for a cell of a table: null if there is nothing. */
static void cell(struct json_object *row, const char *as,
		 struct json_object *from, const char *key)
{
	json_object_object_add(row, as, json_object_get(get(from, key)));
}

static void add(struct json_object *row, const char *key, const char *text)
{
	json_object_object_add(row, key, json_object_new_string(text));
}

/* Takes member 'key' out of all rows if none has a value there. */
static void drop_if_empty(struct json_object *rows, const char *key)
{
	size_t n = json_object_array_length(rows);

	for (size_t i = 0; i < n; i++)
		if (get(json_object_array_get_idx(rows, i), key) != NULL)
			return;
	for (size_t i = 0; i < n; i++)
		json_object_object_del(json_object_array_get_idx(rows, i), key);
}

/* Shows a table, without the columns that may be empty and are; ends it. */
static void rows_show(FILE *out, struct json_object *rows, int indent)
{
	static const char *const optional[] = {
		"age_s",     "metric",	      "for_s",	 "probe",
		"node",	     "error",	      "note",	 "given",
		"share_pct", "latency_ms",    "latency", "load",
		"loss_pct",  "bandwidth_pct", "cost",	 "last",
		"next_s",    "latency_age_s"
	};

	for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
		drop_if_empty(rows, optional[i]);
	show_rows(out, rows, indent);
	json_object_put(rows);
}

/* -- counting states ------------------------------------------------------- */

struct tally {
	const char *state[STATES_MAX];
	size_t count[STATES_MAX];
	size_t n, total;
};

/* The known states, in the order in which they are shown. */
static const struct tally tally_none = {
	.state = { "up", "mixed", "down", "stale", "unknown", "drained",
		   "forced up", "forced down", "held" },
	.n = 9,
};

static void tally_add(struct tally *tally, const char *state)
{
	size_t i = 0;

	tally->total++;
	while (i < tally->n && !is(tally->state[i], state))
		i++;
	if (i == STATES_MAX)
		return;
	if (i == tally->n)
		tally->state[tally->n++] = state;
	tally->count[i]++;
}

/* "3 servers: 2 up, 1 drained" */
static void tally_show(FILE *out, const struct tally *tally, const char *what)
{
	const char *before = ": ";

	fprintf(out, "%zu %s%s", tally->total, what,
		tally->total == 1 ? "" : "s");
	for (size_t i = 0; i < tally->n; i++) {
		if (tally->count[i] == 0)
			continue;
		fprintf(out, "%s%zu ", before, tally->count[i]);
		show_text(out, slice_of(tally->state[i]));
		before = ", ";
	}
	fputc('\n', out);
}

/* -- tests of servers ------------------------------------------------------ */

/*
 * The age of the newest result and its metric, which there is none of if the
 * test failed.  What nobody tests is up and has neither.
 */
static void cells_result(struct json_object *row, struct json_object *from)
{
	struct json_object *metric = get_number(from, "metric");
	bool measured = get_number(from, "age_s") != NULL;
	bool good =
		measured && metric != NULL &&
		json_object_get_int64(metric) < (int64_t)PROBE_METRIC_FAILED;

	if (!measured && !is(get_text(from, "state"), "up"))
		add(row, "age_s", "never");
	else
		cell(row, "age_s", measured ? from : NULL, "age_s");
	cell(row, "metric", good ? from : NULL, "metric");
}

/* What both "servers" and "probes" say of a test. */
static struct json_object *test_row(struct json_object *test,
				    struct json_object *server)
{
	struct json_object *row = json_object_new_object();

	cell(row, "server", server, "server");
	cell(row, "address", test, "address");
	cell(row, "service", test, "service");
	cell(row, "probe", test, "probe");
	cell(row, "state", test, "state");
	cells_result(row, test);
	cell(row, "for_s", test, "since_s");
	cell(row, "node", test, "node");
	cell(row, "last", test, "last");
	cell(row, "next_s", test, "next_s");
	cell(row, "error", test,
	     get(test, "cause") != NULL ? "cause" : "error");
	return row;
}

void nzctl_traffic_probes(FILE *out, struct json_object *reply,
			  const char *server)
{
	struct json_object *rows = json_object_new_array();
	struct json_object *rest = json_object_new_object();
	struct tally tally = tally_none;
	size_t n;
	struct json_object *probes = get_list(reply, "probes", &n);

	(void)server;
	for (size_t i = 0; i < n; i++) {
		struct json_object *probe =
			json_object_array_get_idx(probes, i);

		tally_add(&tally, get_text(probe, "state"));
		json_object_array_add(rows, test_row(probe, probe));
	}
	tally_show(out, &tally, "test");
	rows_show(out, rows, 2);
	copy(rest, "feed", reply, "feed");
	show_object(out, rest, NULL);
	json_object_put(rest);
}

/* -- servers --------------------------------------------------------------- */

/* "disk swap; drained 3m 2s ago, for 26m 58s more" */
static void drain_note(struct json_object *row, struct json_object *drained,
		       double now_s)
{
	const char *forced = get_text(drained, "forced");
	const char *author = get_text(drained, "author");
	struct json_object *since = get_number(drained, "since");
	struct json_object *until = get_number(drained, "until");
	char ago[SHOW_AGE_MAX] = "", more[SHOW_AGE_MAX] = "";
	char note[NOTE_MAX];

	if (since != NULL)
		(void)show_age(now_s - json_object_get_double(since), ago);
	if (until != NULL)
		(void)show_age(json_object_get_double(until) - now_s, more);
	(void)snprintf(
		note, sizeof(note), "%s%s%s%s; %s%s%s%s%s, %s%s%s",
		get_text(drained, "reason"), author[0] != '\0' ? " (" : "",
		author, author[0] != '\0' ? ")" : "",
		is(forced, "up") || is(forced, "down") ? "forced " : "",
		forced[0] != '\0' ? forced : "drained",
		since != NULL ? " " : "", ago, since != NULL ? " ago" : "",
		until != NULL ? "for " : "until further notice", more,
		until != NULL ? " more" : "");
	add(row, "note", note);
}

/* A line of a server; counts its tests that are up. */
static struct json_object *server_row(struct json_object *server, double now_s)
{
	struct json_object *row = json_object_new_object();
	size_t n, up = 0;
	struct json_object *tests = get_list(server, "tests", &n);
	struct json_object *drained = get(server, "drained") != NULL
					      ? get(server, "drained")
					      : get(server, "forced");
	char text[64] = "-";

	for (size_t i = 0; i < n; i++)
		up += is(get_text(json_object_array_get_idx(tests, i), "state"),
			 "up");
	if (n > 0)
		(void)snprintf(text, sizeof(text), "%zu/%zu up", up, n);
	cell(row, "server", server, "server");
	cell(row, "pop", server, "pop");
	cell(row, "weight", server, "weight");
	cell(row, "state", server, "state");
	add(row, "tests", text);
	cell(row, "given", server, "given");
	if (json_object_is_type(drained, json_type_object))
		drain_note(row, drained, now_s);
	else
		cell(row, "note", NULL, "");
	return row;
}

void nzctl_traffic_servers(FILE *out, struct json_object *reply,
			   const char *server)
{
	struct json_object *rows = json_object_new_array();
	struct json_object *tests = json_object_new_array();
	struct tally tally = tally_none;
	double now_s = (double)time(NULL);
	size_t n, n_tests;
	struct json_object *servers = get_list(reply, "servers", &n);

	for (size_t i = 0; i < n; i++) {
		struct json_object *one = json_object_array_get_idx(servers, i);
		struct json_object *list = get_list(one, "tests", &n_tests);

		tally_add(&tally, get_text(one, "state"));
		json_object_array_add(rows, server_row(one, now_s));
		for (size_t k = 0; k < n_tests; k++) {
			struct json_object *test =
				json_object_array_get_idx(list, k);
			if (server != NULL ||
			    !is(get_text(test, "state"), "up"))
				json_object_array_add(tests,
						      test_row(test, one));
		}
	}
	tally_show(out, &tally, "server");
	rows_show(out, rows, 2);
	if (json_object_array_length(tests) > 0)
		fputs(server != NULL ? "tests:\n" : "tests that are not up:\n",
		      out);
	rows_show(out, tests, 2);
}

/* The server of the reply, or the one that was asked for. */
static void show_server(FILE *out, struct json_object *reply,
			const char *server)
{
	const char *text = get_text(reply, "server");
	struct json_object *n = get_number(reply, "n");

	if (n != NULL) {
		fprintf(out, "%" PRId64 " servers", json_object_get_int64(n));
		return;
	}
	show_text(out, slice_of(text[0] != '\0' ? text : server));
}

void nzctl_traffic_drain(FILE *out, struct json_object *reply,
			 const char *server)
{
	struct json_object *until = get_number(reply, "until");
	double until_s = until != NULL ? json_object_get_double(until) : 0;
	char left[SHOW_AGE_MAX];

	show_server(out, reply, server);
	const char *forced = get_text(reply, "forced");
	const char *word = is(forced, "up")	? "forced up"
			   : is(forced, "down") ? "forced down"
						: "drained";
	if (until == NULL) {
		fprintf(out, ": %s until further notice\n", word);
		return;
	}
	fprintf(out, ": %s until ", word);
	show_time(out, until_s);
	fprintf(out, ", for %s\n",
		show_age(until_s - (double)time(NULL), left));
}

void nzctl_traffic_undrain(FILE *out, struct json_object *reply,
			   const char *server)
{
	struct json_object *was = get(reply, "was");

	show_server(out, reply, server);
	fputs(was == NULL || json_object_get_boolean(was)
		      ? ": serves again\n"
		      : ": was not drained\n",
	      out);
}

/* -- explain --------------------------------------------------------------- */

/* The candidates of a tier: how many, and how many in 'state'. */
static size_t tier_count(struct json_object *explain, const char *tier,
			 const char *state, size_t *totalp)
{
	size_t n, total = 0, in_state = 0;
	struct json_object *list = get_list(explain, "candidates", &n);

	for (size_t i = 0; i < n; i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		if (!is(get_text(one, "tier"), tier))
			continue;
		total++;
		in_state += is(get_text(one, "state"), state);
	}
	*totalp = total;
	return in_state;
}

/* Says that the tiers before 'tier' have nothing to give. */
static void why_later(FILE *out, const char *tier)
{
	if (is(tier, "next") || is(tier, "backup"))
		fputs("; of those before them too little is up", out);
	else if (is(tier, "hidden"))
		fputs("; of the others too little is up", out);
}

static void why_up(FILE *out, const char *tier, size_t n, size_t total)
{
	fputs("the ", out);
	show_text(out, slice_of(tier));
	fprintf(out, " servers answer, with %zu of %zu address%s up", n, total,
		total == 1 ? "" : "es");
	why_later(out, tier);
}

static void why_new(FILE *out, const char *tier, size_t n, size_t total)
{
	fputs("the ", out);
	show_text(out, slice_of(tier));
	fprintf(out,
		" servers answer: %zu of %zu address%s not tested yet, and so "
		"not known to have failed",
		n, total, total == 1 ? " is" : "es are");
	why_later(out, tier);
}

/* What the "fail" policies say, after "nothing is up". */
static const char *policy_text(const char *rule)
{
	static const struct {
		const char *rule, *text;
	} policies[] = {
		{ "open", " servers answer as if they were up" },
		{ "last", "the server that was up last answers" },
		{ "backup", "the backup servers answer all the same" },
		{ "nodata", "the answer has no record" },
		{ "servfail", "the answer is SERVFAIL" },
	};

	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		if (is(rule, policies[i].rule))
			return policies[i].text;
	return NULL;
}

static void why_policy(FILE *out, const char *rule, const char *tier,
		       const char *policy)
{
	fprintf(out, "nothing is up, and \"fail\" is \"%s\": ", rule);
	if (is(rule, "open")) {
		fputs("the ", out);
		show_text(out, slice_of(tier));
	}
	fputs(policy, out);
}

/* Old results are the likeliest reason of odd answers. */
static void show_stale(FILE *out, struct json_object *explain)
{
	size_t n, stale = 0;
	struct json_object *list = get_list(explain, "candidates", &n);

	for (size_t i = 0; i < n; i++)
		stale += is(
			get_text(json_object_array_get_idx(list, i), "state"),
			"stale");
	if (stale > 0)
		fprintf(out,
			"%zu of %zu results are too old to count: is "
			"nearzone-probed running?\n",
			stale, n);
}

/* The sentence that says why. */
static void show_why(FILE *out, struct json_object *explain)
{
	const char *rule = get_text(explain, "rule");
	const char *tier = get_text(explain, "tier");
	const char *policy = policy_text(rule);
	bool v6 = is(get_text(explain, "type"), "AAAA");
	size_t total;
	size_t n = tier_count(explain, tier, is(rule, "new") ? "new" : "up",
			      &total);

	if (is(rule, "up"))
		why_up(out, tier, n, total);
	else if (is(rule, "new"))
		why_new(out, tier, n, total);
	else if (is(rule, "empty"))
		fprintf(out,
			"none of its servers has an IPv%c address, so the "
			"answer has no record",
			v6 ? '6' : '4');
	else if (is(rule, "panic"))
		fputs("less than \"min-up\" is up: health is ignored", out);
	else if (policy != NULL)
		why_policy(out, rule, tier, policy);
	else {
		fputs("the rule is '", out);
		show_text(out, slice_of(rule));
		fputc('\'', out);
	}
	fputs(".\n", out);
	if (!is(rule, "up"))
		show_stale(out, explain);
}

/* What a cost is made of, and the cost. */
static const char *const costs[] = { "latency_ms", "latency",  "latency_age_s",
				     "load",	   "loss_pct", "bandwidth_pct",
				     "cost" };

static void show_candidates(FILE *out, struct json_object *explain)
{
	struct json_object *rows = json_object_new_array();
	size_t n;
	struct json_object *list = get_list(explain, "candidates", &n);

	for (size_t i = 0; i < n; i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		struct json_object *row = json_object_new_object();
		struct json_object *share = get_number(one, "share");
		double part = share != NULL ? json_object_get_double(share) : 0;

		cell(row, "server", one, "server");
		cell(row, "pop", one, "pop");
		cell(row, "tier", one, "tier");
		cell(row, "address", one,
		     get(one, "alias") != NULL ? "alias" : "address");
		cell(row, "state", one, "state");
		cells_result(row, one);
		for (size_t k = 0; k < sizeof(costs) / sizeof(costs[0]); k++)
			cell(row, costs[k], one, costs[k]);
		cell(row, "weight", one, "weight");
		json_object_object_add(
			row, "share_pct",
			part > 0 ? json_object_new_double(part * 100) : NULL);
		cell(row, "given", one, "given");
		cell(row, "verdict", one, "verdict");
		json_object_array_add(rows, row);
	}
	if (n > 0)
		fputc('\n', out);
	rows_show(out, rows, 0);
}

/* How far an answer may be handed on. */
static void add_scope(struct json_object *row, struct json_object *explain)
{
	struct json_object *scope = get_number(explain, "scope");
	int64_t bits = scope != NULL ? json_object_get_int64(scope) : 0;
	char text[64];

	(void)snprintf(text, sizeof(text), "/%lld (%s)", (long long)bits,
		       bits == 0 ? "whoever asks"
				 : "for clients of this prefix");
	if (scope != NULL)
		add(row, "scope", text);
}

bool nzctl_traffic_answered(struct json_object *reply)
{
	size_t n;

	(void)get_list(get(reply, "explain"), "answer", &n);
	return n > 0;
}

/* "decisions 812, fail 3": what is not 0. */
static void add_counts(struct json_object *row, struct json_object *explain)
{
	struct json_object *counts = get(explain, "counts");
	struct json_object_iter member;
	char text[NOTE_MAX] = "";
	size_t n = 0;

	if (!json_object_is_type(counts, json_type_object))
		return;
	json_object_object_foreachC(counts, member)
	{
		uint64_t count = json_object_get_uint64(member.val);
		if (count == 0 || n >= sizeof(text))
			continue;
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "%s%s %" PRIu64, n > 0 ? ", " : "",
				      member.key, count);
	}
	add(row, "counted", n > 0 ? text : "nothing yet");
}

static void show_answer(FILE *out, struct json_object *explain)
{
	struct json_object *row = json_object_new_object();
	const char *outcome = get_text(explain, "outcome");
	size_t n;

	(void)get_list(explain, "answer", &n);
	if (n > 0)
		copy(row, "answer", explain, "answer");
	else if (is(outcome, "servfail"))
		add(row, "answer", "SERVFAIL");
	else
		add(row, "answer", "no record (NODATA)");
	copy(row, "ttl_s", explain, "ttl_s");
	add_scope(row, explain);
	copy(row, "lives in", explain, "where");
	copy(row, "service", explain, "service");
	copy(row, "client's rule", explain, "clients");
	copy(row, "country", explain, "country");
	copy(row, "as", explain, "as");
	add_counts(row, explain);
	fputc('\n', out);
	show_object(out, row, NULL);
	json_object_put(row);
}

void nzctl_traffic_explain(FILE *out, struct json_object *reply)
{
	struct json_object *explain = get(reply, "explain");
	const char *client = get_text(explain, "client");

	show_text(out, slice_of(get_text(explain, "name")));
	fputc(' ', out);
	show_text(out, slice_of(get_text(explain, "type")));
	if (client[0] != '\0' && !is(client, NOBODY)) {
		fputs(" for ", out);
		show_text(out, slice_of(client));
	}
	fputs(": ", out);
	show_why(out, explain);
	show_candidates(out, explain);
	show_answer(out, explain);
}
