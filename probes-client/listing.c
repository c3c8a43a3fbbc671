/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/listing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/probe.h"
#include "probes-client/past.h"
#include "probes-client/show.h"

#define PLAIN (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

static void add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static void add_slice(struct json_object *o, const char *key, struct slice text)
{
	json_object_object_add(o, key,
			       json_object_new_string_len(text.p, (int)text.n));
}

static void add_number(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

static void add_seconds(struct json_object *o, const char *key, uint64_t ms)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%.3f", (double)ms / 1000);
	json_object_object_add(
		o, key, json_object_new_double_s((double)ms / 1000, text));
}

static void add_name(struct json_object *o, const char *key,
		     const struct gtm_history *h, enum journal_table table,
		     uint32_t number)
{
	const char *text = gtm_history_name(h, table, number);

	add_text(o, key, text != NULL ? text : "?");
}

char *listing_time(uint64_t time_ms, char out[static LISTING_TIME_MAX])
{
	time_t s = (time_t)(time_ms / 1000);
	struct tm tm;
	size_t n = 0;

	if (gmtime_r(&s, &tm) != NULL)
		n = strftime(out, LISTING_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(out + n, LISTING_TIME_MAX - n, ".%03uZ",
		       (unsigned int)(time_ms % 1000));
	return out;
}

/* -- records --------------------------------------------------------------- */

static const char *address_text(const struct journal_address *a,
				char out[static INET6_ADDRSTRLEN])
{
	out[0] = '\0';
	if (a->n != 0)
		(void)inet_ntop(a->n == 4 ? AF_INET : AF_INET6, a->octets, out,
				INET6_ADDRSTRLEN);
	return out;
}

static void add_net(struct json_object *o, const char *key,
		    const struct journal_net *net)
{
	struct journal_address a = { .n = net->v6 ? 16 : 4 };
	char address[INET6_ADDRSTRLEN];
	char text[INET6_ADDRSTRLEN + 8];

	memcpy(a.octets, net->octets, net->v6 ? sizeof(net->octets) : 4);
	(void)snprintf(text, sizeof(text), "%s/%u", address_text(&a, address),
		       net->bits);
	add_text(o, key, text);
}

/* A latency, with its one place; "far" if it is out of reach. */
static struct json_object *tenths_of(uint32_t tenths)
{
	double ms = (tenths - 1) / 10.0;
	char text[32];

	if (tenths == JOURNAL_NEAR_FAR)
		return json_object_new_string("far");
	(void)snprintf(text, sizeof(text), "%.1f", ms);
	return json_object_new_double_s(ms, text);
}

static void decision(struct json_object *o, const struct gtm_history *h,
		     const struct journal_decision *d)
{
	struct json_object *servers = json_object_new_array();
	struct json_object *addresses = json_object_new_array();
	char text[INET6_ADDRSTRLEN];

	add_name(o, "name", h, JOURNAL_HOSTS, d->host);
	add_text(o, "type", d->v6 ? "AAAA" : "A");
	struct journal_net client = { .v6 = d->client_v6,
				      .bits = d->client_bits };
	memcpy(client.octets, d->client, sizeof(client.octets));
	add_net(o, "client", &client);
	add_name(o, "rule", h, JOURNAL_RULES, d->rule);
	add_name(o, "tier", h, JOURNAL_TIERS, d->tier);
	add_name(o, "outcome", h, JOURNAL_OUTCOMES, d->outcome);
	for (unsigned int i = 0; i < d->n; i++) {
		const char *server = gtm_history_name(h, JOURNAL_SERVERS,
						      d->answer[i].server);
		json_object_array_add(
			servers,
			json_object_new_string(server != NULL ? server : "?"));
		json_object_array_add(addresses,
				      json_object_new_string(address_text(
					      &d->answer[i].address, text)));
	}
	json_object_object_add(o, "servers", servers);
	json_object_object_add(o, "answer", addresses);
	add_number(o, "ttl_s", d->ttl_s);
	if (d->extra)
		json_object_object_add(o, "extra", json_object_new_boolean(1));
}

static void value(struct json_object *o, const struct gtm_history *h,
		  const struct journal_value *v)
{
	static const char *const states[] = { "unknown", "up", "down" };
	struct journal_slot slot;
	char text[INET6_ADDRSTRLEN];

	if (!gtm_history_slot(h, v->slot, &slot))
		return;
	add_name(o, "server", h, JOURNAL_SERVERS, slot.server);
	add_text(o, "address", address_text(&slot.address, text));
	add_name(o, "service", h, JOURNAL_SERVICES, slot.service);
	add_text(o, "state", states[v->state]);
	if (!v->fresh)
		json_object_object_add(o, "stale", json_object_new_boolean(1));
	add_number(o, "metric", v->metric);
	add_seconds(o, "age_s", v->age_ms);
	if (v->error != 0)
		add_text(o, "error", probe_error_text(v->error));
}

static void drain(struct json_object *o, const struct gtm_history *h,
		  const struct journal_drain *d)
{
	static const char *const said[JOURNAL_SAID] = {
		[JOURNAL_DRAINED] = "drained",
		[JOURNAL_FORCED_UP] = "forced up",
		[JOURNAL_FORCED_DOWN] = "forced down",
		[JOURNAL_HELD] = "held",
	};

	add_name(o, "server", h, JOURNAL_SERVERS, d->server);
	if (d->said >= JOURNAL_SAID)
		return; /* of a later version */
	json_object_object_add(o, said[d->said],
			       json_object_new_boolean(d->left_ms > 0));
	if (d->left_ms > 0 && d->left_ms != JOURNAL_NEVER)
		add_seconds(o, "left_s", d->left_ms);
}

static void measure(struct json_object *o, const struct gtm_history *h,
		    const struct journal_measure *m)
{
	static const char *const what[] = { "load", "loss", "bandwidth" };

	if (m->what > JOURNAL_BANDWIDTH)
		return; /* of a later version */
	if (m->what == JOURNAL_LOAD)
		add_name(o, "server", h, JOURNAL_SERVERS, m->number);
	else
		add_name(o, "pop", h, JOURNAL_POPS, m->number);
	if (m->what == JOURNAL_LOAD)
		add_number(o, "load", m->metric);
	else
		json_object_object_add(
			o, what[m->what],
			json_object_new_double((double)m->metric / 100));
	add_seconds(o, "age_s", m->age_ms);
}

/* How far a group is: null for what is not known any more. */
static void near(struct json_object *o, const struct gtm_history *h,
		 const struct journal_near *n)
{
	struct json_object *ms = json_object_new_object();
	struct json_object *age = json_object_new_object();

	add_net(o, "group", &n->net);
	json_object_object_add(o, "anew", json_object_new_boolean(n->anew));
	for (unsigned int i = 0; i < n->n; i++) {
		const char *pop =
			gtm_history_name(h, JOURNAL_POPS, n->cell[i].pop);
		uint32_t tenths = n->cell[i].tenths;
		json_object_object_add(ms, pop,
				       tenths == 0 ? NULL : tenths_of(tenths));
		if (tenths != 0)
			json_object_object_add(
				age, pop,
				json_object_new_uint64(n->cell[i].age_s));
	}
	json_object_object_add(o, "latency_ms", ms);
	json_object_object_add(o, "age_s", age);
}

static void epoch(struct json_object *o, const struct journal_epoch *e)
{
	char hash[17];

	json_object_object_add(o, "start", json_object_new_boolean(e->start));
	add_slice(o, "file", e->file);
	add_number(o, "serial", e->serial);
	(void)snprintf(hash, sizeof(hash), "%016" PRIx64, e->hash);
	add_text(o, "hash", hash);
}

static void word(struct json_object *o, const struct journal_word *w)
{
	add_slice(o, "word", w->what);
	if (w->server.n > 0)
		add_slice(o, "server", w->server);
	if (w->reason.n > 0)
		add_slice(o, "reason", w->reason);
}

struct json_object *listing_record(const struct gtm_history *h,
				   const struct journal_record *r)
{
	char time[LISTING_TIME_MAX];

	if (r->kind == JOURNAL_UNKNOWN || r->kind == JOURNAL_NAME ||
	    r->kind == JOURNAL_SLOT || r->kind == JOURNAL_WHOLE)
		return NULL;
	struct json_object *o = json_object_new_object();
	add_text(o, "time", listing_time(r->time_ms, time));
	add_text(o, "kind", journal_kind_names[r->kind]);
	if (r->kind == JOURNAL_EPOCH)
		epoch(o, &r->epoch);
	else if (r->kind == JOURNAL_VALUE)
		value(o, h, &r->value);
	else if (r->kind == JOURNAL_DRAIN)
		drain(o, h, &r->drain);
	else if (r->kind == JOURNAL_MEASURE)
		measure(o, h, &r->measure);
	else if (r->kind == JOURNAL_NEAR)
		near(o, h, &r->near);
	else if (r->kind == JOURNAL_WORD)
		word(o, &r->word);
	else if (r->kind == JOURNAL_DECISION)
		decision(o, h, &r->decision);
	else if (r->kind == JOURNAL_LOST)
		add_number(o, "decisions", r->lost);
	return o;
}

/* -- the command ----------------------------------------------------------- */

/* "2026-11-25T08:12:00.250Z decision name=www.example.com ..." */
static void show(struct json_object *o, bool json)
{
	struct json_object_iter member;

	if (json) {
		puts(json_object_to_json_string_ext(o, PLAIN));
		return;
	}
	json_object_object_foreachC(o, member)
	{
		const char *text =
			json_object_is_type(member.val, json_type_string)
				? json_object_get_string(member.val)
				: json_object_to_json_string_ext(member.val,
								 PLAIN);
		bool key = strcmp(member.key, "time") != 0 &&
			   strcmp(member.key, "kind") != 0;
		if (strcmp(member.key, "time") != 0)
			fputc(' ', stdout);
		if (key)
			printf("%s=", member.key);
		show_text(stdout, slice_of(text));
	}
	fputc('\n', stdout);
}

enum nzctl_exit listing_run(const struct nzctl_options *options)
{
	struct past *past = past_open(options, NULL);
	struct gtm_history *h = NULL;
	struct journal_record record;
	int rc = past == NULL ? -ENOENT : gtm_history_new(&h);

	while (rc == 0 && (rc = past_next(past, &record)) == 1) {
		rc = gtm_history_take(h, &record);
		struct json_object *o =
			rc == 0 ? listing_record(h, &record) : NULL;
		if (o != NULL)
			show(o, options->json);
		json_object_put(o);
		if (ferror(stdout) != 0)
			break;
	}
	bool done = past_end(past, rc);
	gtm_history_free(h);
	past_close(past);
	return done ? NZCTL_DONE : NZCTL_TROUBLE;
}
