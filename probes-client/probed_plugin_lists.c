/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_plugin_int.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(table)    (sizeof(table) / sizeof((table)[0]))
#define ORIGINS_MAX PROBED_ORIGINS_SHOWN_MAX
#define ORIGIN_TEXT 80 /* octets of "[ADDRESS]:PORT/TRANSPORT#N" */
#define REASONS_MAX 32u

static size_t shown(struct json_object *list, size_t max)
{
	size_t n = list != NULL ? json_object_array_length(list) : 0;

	return n < max ? n : max;
}

static uint64_t left_out(uint64_t all, size_t n)
{
	return all > n ? all - n : 0;
}

/* An object's members as one family, told apart by a label. */
static void put_split(struct probed_expo *expo, struct json_object *in,
		      const char *label, const char *const *keys)
{
	for (; *keys != NULL; keys++) {
		uint64_t value;
		if (plugin_number(in, *keys, &value))
			probed_expo_number(
				expo, PROBED_LABELS({ label, *keys }), value);
	}
}

/* -- zones ------------------------------------------------------------------
 */

static const struct plugin_help zone_helps[] = {
	{ "queries", "Questions of clients." },
	{ "hits", "Questions answered from memory." },
	{ "misses", "Questions for which an origin had to be asked." },
	{ "coalesced", "Questions that waited for one already asked." },
	{ "stale", "Questions answered with what was past its time." },
	{ "failures", "Questions that could not be answered." },
	{ "refused", "Questions refused by access rules." },
	{ "limited", "Answers held back by rate limiting." },
	{ "overload", "Questions for which no client more could wait." },
	{ "raw", "Answers sent as stored." },
	{ "rendered", "Answers rendered anew." },
	{ "asked", "Questions put to origins." },
	{ "stored", "Answers of origins that were kept." },
	{ "bad", "Answers of origins that were not usable." },
	{ "steered", "Answers of origins with decided addresses in them." },
	{ "prefetched", "Questions put to origins before the answer's time "
			"was over." },
	{ "denied", "Questions for what is known not to exist." },
	{ "filled", "Questions put to origins to fill the cache." },
};

/* What is known of a zone's changes; not of every zone. */
static const struct plugin_series fresh_series[] = {
	{ "serial", "nearzone_zone_serial",
	  "Serial that the zone's answers were brought to.", PROBED_GAUGE,
	  PLUGIN_PLAIN },
	{ "hints", "nearzone_zone_hints_total",
	  "Hints that the zone had changed.", PROBED_COUNTER, PLUGIN_PLAIN },
	{ "checks", "nearzone_zone_checks_total",
	  "Times that the origins were asked for the serial.", PROBED_COUNTER,
	  PLUGIN_PLAIN },
	{ "transfers", "nearzone_zone_transfers_total",
	  "Differences fetched from origins.", PROBED_COUNTER, PLUGIN_PLAIN },
	{ "whole", "nearzone_zone_whole_drops_total",
	  "Changes for which the whole zone was dropped.", PROBED_COUNTER,
	  PLUGIN_PLAIN },
	{ "dropped", "nearzone_zone_dropped_total",
	  "Answers dropped because the zone had changed.", PROBED_COUNTER,
	  PLUGIN_PLAIN },
};

static const struct plugin_series cache_series[] = {
	{ "entries", "nearzone_zone_cache_entries",
	  "Answers of the zone in memory.", PROBED_GAUGE, PLUGIN_PLAIN },
	{ "bytes", "nearzone_zone_cache_bytes",
	  "Memory of the zone's answers, keys included.", PROBED_GAUGE,
	  PLUGIN_PLAIN },
	{ "negative", "nearzone_zone_cache_negative_entries",
	  "Answers in memory that deny a name or a type.", PROBED_GAUGE,
	  PLUGIN_PLAIN },
};

/* Of zones that deny by themselves what does not exist. */
static const struct plugin_series proof_series[] = {
	{ "proofs", "nearzone_zone_proofs",
	  "Records kept that prove what does not exist.", PROBED_GAUGE,
	  PLUGIN_PLAIN },
};

static const struct plugin_series set_series[] = {
	{ "names", "nearzone_zone_known_names",
	  "Names in the set of all names of the zone.", PROBED_GAUGE,
	  PLUGIN_PLAIN },
	{ "bytes", "nearzone_zone_known_names_bytes",
	  "Memory of the set of all names of the zone.", PROBED_GAUGE,
	  PLUGIN_PLAIN },
	{ "serial", "nearzone_zone_known_names_serial",
	  "Serial of the set of all names of the zone.", PROBED_GAUGE,
	  PLUGIN_PLAIN },
	{ "transfers", "nearzone_zone_known_names_transfers_total",
	  "Times that the whole zone was fetched for its names.",
	  PROBED_COUNTER, PLUGIN_PLAIN },
	{ "changes", "nearzone_zone_known_names_changes_total",
	  "Times that the set of names was brought up to date.", PROBED_COUNTER,
	  PLUGIN_PLAIN },
};

/* What zones have beside counters: in a member, or in a member of it. */
static const struct zone_part {
	const char *key, *sub; /* sub NULL: the member itself */
	const struct plugin_series *series;
	size_t n;
} zone_parts[] = {
	{ "cache", NULL, cache_series, N(cache_series) },
	{ "fresh", NULL, fresh_series, N(fresh_series) },
	{ "names", NULL, proof_series, N(proof_series) },
	{ "names", "set", set_series, N(set_series) },
};

static struct json_object *part_of(struct json_object *zone,
				   const struct zone_part *part)
{
	struct json_object *o = plugin_object(zone, part->key);

	return part->sub != NULL ? plugin_object(o, part->sub) : o;
}

static void put_part(struct probed_expo *expo, struct json_object *zones,
		     size_t n, const struct zone_part *part)
{
	for (size_t k = 0; k < part->n; k++) {
		const struct plugin_series *series = &part->series[k];
		probed_expo_family(expo, series->kind, series->name,
				   series->help);
		for (size_t i = 0; i < n; i++) {
			struct json_object *zone =
				json_object_array_get_idx(zones, i);
			const char *id = plugin_text(zone, "id");
			uint64_t value;
			if (id != NULL && plugin_number(part_of(zone, part),
							series->key, &value))
				probed_expo_number(
					expo, PROBED_LABELS({ "zone", id }),
					value);
		}
	}
}

static const char *const failed_kinds[] = { "timeout",	 "network", "refused",
					    "malformed", "other",   NULL };

/* Of the questions put to origins, those that failed; kinds that there are. */
static void put_failed(struct probed_expo *expo, struct json_object *zones,
		       size_t n)
{
	probed_expo_family(expo, PROBED_COUNTER,
			   "nearzone_zone_asked_failed_total",
			   "Questions to the zone's origins that no answer "
			   "came of, by what the last one asked did.");
	for (size_t i = 0; i < n; i++) {
		struct json_object *zone = json_object_array_get_idx(zones, i);
		struct json_object *failed =
			plugin_object(zone, "asked_failed");
		const char *id = plugin_text(zone, "id");
		for (const char *const *k = failed_kinds; *k != NULL; k++) {
			uint64_t value;
			if (id != NULL && plugin_number(failed, *k, &value) &&
			    value > 0)
				probed_expo_number(
					expo,
					PROBED_LABELS({ "zone", id },
						      { "kind", *k }),
					value);
		}
	}
}

void plugin_put_sums(struct probed_expo *expo, struct json_object *s)
{
	plugin_put_counters(expo, "nearzone_", plugin_object(s, "counters"),
			    zone_helps, N(zone_helps));
	probed_expo_family(expo, PROBED_COUNTER, "nearzone_asked_failed_total",
			   "Questions to origins that no answer came of, by "
			   "what the last one asked did.");
	put_split(expo, plugin_object(s, "asked_failed"), "kind", failed_kinds);
}

/* What was refused of zones, or would have been, by the reason. */
static void put_refused(struct probed_expo *expo, struct json_object *zones,
			size_t n, const struct plugin_series *series)
{
	struct json_object_iter member;
	uint64_t value;

	probed_expo_family(expo, series->kind, series->name, series->help);
	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(zones, i);
		struct json_object *reasons = plugin_object(
			plugin_object(o, "admission"), series->key);
		const char *id = plugin_text(o, "id");
		size_t left = REASONS_MAX;
		if (id == NULL || reasons == NULL)
			continue;
		json_object_object_foreachC(reasons, member)
		{
			if (left > 0 &&
			    plugin_number(reasons, member.key, &value))
				probed_expo_number(
					expo,
					PROBED_LABELS({ "zone", id },
						      { "reason", member.key }),
					value);
			left -= left > 0;
		}
	}
}

static void put_admission(struct probed_expo *expo, struct json_object *zones,
			  size_t n)
{
	static const struct plugin_series refused[] = {
		{ "refused", "nearzone_admission_refused_total",
		  "Queries refused under attack, by the reason.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
		{ "would_refuse", "nearzone_admission_would_refuse_total",
		  "Queries that filters which observe would have refused.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
	};
	uint64_t value;

	for (size_t i = 0; i < N(refused); i++)
		put_refused(expo, zones, n, &refused[i]);
	probed_expo_family(expo, PROBED_GAUGE, "nearzone_attack",
			   "Whether some filter of the zone works.");
	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(zones, i);
		const char *id = plugin_text(o, "id");
		if (id != NULL && plugin_number(plugin_object(o, "admission"),
						"attack", &value))
			probed_expo_number(expo, PROBED_LABELS({ "zone", id }),
					   value);
	}
}

void plugin_put_zones(struct probed_expo *expo, struct json_object *zones,
		      struct probed_listed *listed)
{
	struct plugin_each each = {
		.n = shown(zones, PROBED_ZONES_SHOWN_MAX - listed->zones),
		.before = "nearzone_zone_",
		.member = "counters",
		.id = "id",
		.label = "zone",
		.helps = zone_helps,
		.n_helps = N(zone_helps),
	};

	if (each.n == 0)
		return;
	listed->zones += each.n;
	plugin_put_each(expo, zones, &each);
	put_failed(expo, zones, each.n);
	put_admission(expo, zones, each.n);
	for (size_t i = 0; i < N(zone_parts); i++)
		put_part(expo, zones, each.n, &zone_parts[i]);
}

/* -- origins ----------------------------------------------------------------
 */

static const struct plugin_series origin_series[] = {
	{ "up", "nearzone_origin_up",
	  "Whether the origin is thought to answer.", PROBED_GAUGE,
	  PLUGIN_PLAIN },
	{ "srtt_us", "nearzone_origin_srtt_seconds",
	  "Smoothed time that the origin takes to answer.", PROBED_GAUGE,
	  PLUGIN_MICRO },
	{ "connections", "nearzone_origin_connections",
	  "Connections to the origin.", PROBED_GAUGE, PLUGIN_PLAIN },
	{ "in_flight", "nearzone_origin_in_flight",
	  "Questions that the origin has not answered yet.", PROBED_GAUGE,
	  PLUGIN_PLAIN },
	{ "sent", "nearzone_origin_sent_total", "Questions sent to the origin.",
	  PROBED_COUNTER, PLUGIN_PLAIN },
	{ "answered", "nearzone_origin_answered_total",
	  "Questions that the origin answered.", PROBED_COUNTER, PLUGIN_PLAIN },
	{ "timeouts", "nearzone_origin_timeouts_total",
	  "Questions that the origin did not answer in time.", PROBED_COUNTER,
	  PLUGIN_PLAIN },
	{ "failures", "nearzone_origin_failures_total",
	  "Connections to the origin that failed.", PROBED_COUNTER,
	  PLUGIN_PLAIN },
	{ "bad", "nearzone_origin_bad_total",
	  "Answers of the origin that were not usable.", PROBED_COUNTER,
	  PLUGIN_PLAIN },
};

/* The labels of all origins; "" : none.  One machine may be there twice, with
 * other settings: then a number makes the difference. */
struct origin_names {
	size_t n;
	char text[ORIGINS_MAX][ORIGIN_TEXT];
};

static void origin_name(struct origin_names *names, struct json_object *origin)
{
	char *out = names->text[names->n++];
	const char *address = plugin_text(origin, "address");
	const char *transport = plugin_text(origin, "transport");
	uint64_t port = 0;
	unsigned twins = 0;

	out[0] = '\0';
	if (address == NULL || transport == NULL ||
	    !plugin_number(origin, "port", &port))
		return;
	bool v6 = strchr(address, ':') != NULL;
	char plain[ORIGIN_TEXT - 12];
	snprintf(plain, sizeof(plain), "%s%.46s%s:%" PRIu64 "/%.8s",
		 v6 ? "[" : "", address, v6 ? "]" : "", port % 65536,
		 transport);
	size_t length = strlen(plain);
	for (size_t i = 0; i + 1 < names->n; i++)
		twins += strncmp(names->text[i], plain, length) == 0 &&
			 (names->text[i][length] == '\0' ||
			  names->text[i][length] == '#');
	if (twins == 0)
		snprintf(out, ORIGIN_TEXT, "%s", plain);
	else
		snprintf(out, ORIGIN_TEXT, "%s#%u", plain, twins + 1);
}

/* Of an origin, the causes that there were. */
static void put_dropped(struct probed_expo *expo, struct json_object *origin,
			const char *label)
{
	struct json_object *dropped = plugin_object(origin, "dropped");
	struct json_object_iter member;
	uint64_t value;
	size_t n = 0;

	if (dropped == NULL || label[0] == '\0')
		return;
	json_object_object_foreachC(dropped, member)
	{
		if (n++ == REASONS_MAX)
			return;
		if (plugin_number(dropped, member.key, &value))
			probed_expo_number(
				expo,
				PROBED_LABELS({ "origin", label },
					      { "reason", member.key }),
				value);
	}
}

void plugin_put_origins(struct probed_expo *expo, struct json_object *origins)
{
	size_t n = shown(origins, ORIGINS_MAX);
	struct origin_names *names = calloc(1, sizeof(*names));

	if (names == NULL)
		n = 0;
	for (size_t i = 0; i < n; i++)
		origin_name(names, json_object_array_get_idx(origins, i));
	for (size_t k = 0; k < N(origin_series) && n > 0; k++) {
		const struct plugin_series *series = &origin_series[k];
		probed_expo_family(expo, series->kind, series->name,
				   series->help);
		for (size_t i = 0; i < n; i++) {
			uint64_t value;
			if (names->text[i][0] != '\0' &&
			    plugin_number(json_object_array_get_idx(origins, i),
					  series->key, &value))
				plugin_put_value(
					expo,
					PROBED_LABELS(
						{ "origin", names->text[i] }),
					series, value);
		}
	}
	probed_expo_family(expo, PROBED_COUNTER,
			   "nearzone_origin_dropped_total",
			   "What came in the origin's name and was dropped, "
			   "perhaps forged.");
	for (size_t i = 0; i < n; i++)
		put_dropped(expo, json_object_array_get_idx(origins, i),
			    names->text[i]);
	free(names);
}

/* -- traffic ----------------------------------------------------------------
 */

static const struct plugin_help host_helps[] = {
	{ "decisions", "Decisions for clients." },
	{ "backup", "Decisions that took backup servers." },
	{ "hidden", "Decisions that took hidden servers." },
	{ "fail", "Decisions with every server failed." },
	{ "nodata", "Decisions without an address to give." },
	{ "servfail", "Decisions to answer SERVFAIL." },
	{ "extra", "Decisions for other parts of an answer." },
	{ "exposed", "Answers that showed a zone's own records instead." },
	{ "pending", "Answers other than decided: not signed yet." },
	{ "else", "Decisions answered by the hostname that stands in." },
	{ "dry", "Decisions that were not served: dry-run." },
};

static void put_sums(struct probed_expo *expo, struct json_object *traffic)
{
	static const struct plugin_series series[] = {
		{ "decisions", "nearzone_traffic_decisions_total",
		  "Decisions for clients, all hostnames.", PROBED_COUNTER,
		  PLUGIN_PLAIN },
		{ "backup", "nearzone_traffic_backup_total",
		  "Decisions that took backup servers, all hostnames.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
		{ "hidden", "nearzone_traffic_hidden_total",
		  "Decisions that took hidden servers, all hostnames.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
		{ "fail", "nearzone_traffic_fail_total",
		  "Decisions with every server failed, all hostnames.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
		{ "nodata", "nearzone_traffic_nodata_total",
		  "Decisions without an address to give, all hostnames.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
		{ "servfail", "nearzone_traffic_servfail_total",
		  "Decisions to answer SERVFAIL, all hostnames.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
		{ "extra", "nearzone_traffic_extra_total",
		  "Decisions for other parts of an answer, all hostnames.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
		{ "exposed", "nearzone_traffic_exposed_total",
		  "Answers that showed a zone's own records, all hostnames.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
		{ "pending", "nearzone_traffic_pending_total",
		  "Answers other than decided, not signed yet, all hostnames.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
		{ "else", "nearzone_traffic_else_total",
		  "Decisions answered by another hostname, all hostnames.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
		{ "dry", "nearzone_traffic_dry_total",
		  "Decisions that were not served, all hostnames.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
		{ "other", "nearzone_traffic_other_total",
		  "Answers in declared domains that are no decisions.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
		{ "servers", "nearzone_servers",
		  "Servers in the configuration.", PROBED_GAUGE, PLUGIN_PLAIN },
		{ "drained", "nearzone_servers_drained",
		  "Servers taken out of service by hand.", PROBED_GAUGE,
		  PLUGIN_PLAIN },
		{ "clients", "nearzone_clients_kept",
		  "Entries of the table of clients that are taken.",
		  PROBED_GAUGE, PLUGIN_PLAIN },
		{ "clients_bytes", "nearzone_clients_bytes",
		  "Memory of the table of clients.", PROBED_GAUGE,
		  PLUGIN_PLAIN },
	};

	plugin_put(expo, traffic, series, N(series));
}

static void put_feed(struct probed_expo *expo, struct json_object *traffic)
{
	static const struct plugin_series series[] = {
		{ "batches", "nearzone_feed_batches_total",
		  "Batches of results that the plugin was sent.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
		{ "rows", "nearzone_feed_rows_total",
		  "Results that the plugin was sent.", PROBED_COUNTER,
		  PLUGIN_PLAIN },
		{ "accepted", "nearzone_feed_accepted_rows_total",
		  "Results that the plugin took.", PROBED_COUNTER,
		  PLUGIN_PLAIN },
	};
	static const char *const reasons[] = { "unknown", "future",    "old",
					       "value",	  "malformed", NULL };
	struct json_object *feed = plugin_object(traffic, "feed");
	struct json_object *last = NULL;

	plugin_put(expo, feed, series, N(series));
	probed_expo_family(expo, PROBED_COUNTER,
			   "nearzone_feed_refused_rows_total",
			   "Results that the plugin refused, by the reason.");
	put_split(expo, feed, "reason", reasons);
	if (feed == NULL || !json_object_object_get_ex(feed, "last_s", &last))
		return;
	double age_s = json_object_get_double(last);
	probed_expo_family(expo, PROBED_GAUGE,
			   "nearzone_feed_last_batch_age_seconds",
			   "Time since the plugin was last sent a batch.");
	if (age_s >= 0 && age_s < 1e12)
		probed_expo_milli(expo, PROBED_NO_LABELS,
				  (uint64_t)(age_s * 1000));
}

static void put_pops(struct probed_expo *expo, struct json_object *traffic)
{
	struct json_object *pops = plugin_list(traffic, "pops");
	size_t n = shown(pops, PROBED_SERVERS_SHOWN_MAX);

	probed_expo_family(expo, PROBED_COUNTER, "nearzone_pop_given_total",
			   "Addresses of the POP's servers in answers.");
	for (size_t i = 0; i < n; i++) {
		struct json_object *pop = json_object_array_get_idx(pops, i);
		const char *id = plugin_text(pop, "pop");
		uint64_t value;
		if (id != NULL && plugin_number(pop, "given", &value))
			probed_expo_number(expo, PROBED_LABELS({ "pop", id }),
					   value);
	}
}

void plugin_put_hostnames(struct probed_expo *expo, struct json_object *names,
			  struct probed_listed *listed)
{
	struct plugin_each each = {
		.n = shown(names, PROBED_HOSTS_SHOWN_MAX - listed->hostnames),
		.before = "nearzone_hostname_",
		.member = "counts",
		.id = "name",
		.label = "hostname",
		.helps = host_helps,
		.n_helps = N(host_helps),
	};

	if (each.n == 0)
		return;
	listed->hostnames += each.n;
	plugin_put_each(expo, names, &each);
}

void plugin_put_traffic(struct probed_expo *expo, struct json_object *s)
{
	static const char *const states[] = { "up", "down", "stale", "unknown",
					      NULL };
	struct json_object *traffic = plugin_object(s, "traffic");

	if (traffic == NULL)
		return;
	put_sums(expo, traffic);
	probed_expo_family(expo, PROBED_GAUGE, "nearzone_tests",
			   "Services at addresses of servers, by their state "
			   "as the plugin sees it.");
	put_split(expo, traffic, "state", states);
	put_feed(expo, traffic);
	put_pops(expo, traffic);
}

/* -- servers ----------------------------------------------------------------
 */

/* How many tests of a server are in that state. */
static uint64_t tests_in(struct json_object *server, const char *state)
{
	struct json_object *tests = plugin_list(server, "tests");
	size_t n = tests != NULL ? json_object_array_length(tests) : 0;
	uint64_t count = 0;

	for (size_t i = 0; i < n; i++) {
		const char *is = plugin_text(
			json_object_array_get_idx(tests, i), "state");
		count += is != NULL && strcmp(is, state) == 0;
	}
	return count;
}

typedef void (*put_server)(struct probed_expo *expo, struct json_object *server,
			   const char *id, const char *pop);

static void put_given(struct probed_expo *expo, struct json_object *server,
		      const char *id, const char *pop)
{
	uint64_t value;

	if (plugin_number(server, "given", &value))
		probed_expo_number(
			expo, PROBED_LABELS({ "server", id }, { "pop", pop }),
			value);
}

static void put_drained(struct probed_expo *expo, struct json_object *server,
			const char *id, const char *pop)
{
	const char *state = plugin_text(server, "state");

	if (state != NULL)
		probed_expo_number(
			expo, PROBED_LABELS({ "server", id }, { "pop", pop }),
			strcmp(state, "drained") == 0);
}

static void put_tests(struct probed_expo *expo, struct json_object *server,
		      const char *id, const char *pop)
{
	static const char *const states[] = { "up", "down", "stale",
					      "unknown" };

	for (size_t i = 0; i < N(states); i++)
		probed_expo_number(expo,
				   PROBED_LABELS({ "server", id },
						 { "pop", pop },
						 { "state", states[i] }),
				   tests_in(server, states[i]));
}

void plugin_put_servers(struct probed_expo *expo, struct json_object *s,
			struct json_object *servers,
			struct probed_omitted *omitted)
{
	static const struct {
		enum probed_kind kind;
		const char *name, *help;
		put_server put;
	} all[] = {
		{ PROBED_COUNTER, "nearzone_server_given_total",
		  "Addresses of the server in answers.", put_given },
		{ PROBED_GAUGE, "nearzone_server_drained",
		  "Whether the server is out of service by hand.",
		  put_drained },
		{ PROBED_GAUGE, "nearzone_server_tests",
		  "Services at the server's addresses, by their state.",
		  put_tests },
	};
	struct json_object *list = plugin_list(servers, "servers");
	size_t n = shown(list, PROBED_SERVERS_SHOWN_MAX);
	uint64_t total = n;

	(void)plugin_number(plugin_object(s, "traffic"), "servers", &total);
	omitted->servers = left_out(total, n);
	for (size_t k = 0; k < N(all); k++) {
		probed_expo_family(expo, all[k].kind, all[k].name, all[k].help);
		for (size_t i = 0; i < n; i++) {
			struct json_object *o =
				json_object_array_get_idx(list, i);
			const char *id = plugin_text(o, "server");
			const char *pop = plugin_text(o, "pop");
			if (id != NULL && pop != NULL)
				all[k].put(expo, o, id, pop);
		}
	}
}
