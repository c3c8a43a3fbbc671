/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_plugin.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "probes-client/pages.h"
#include "probes-client/probed_plugin_int.h"

#define FAMILY_MAX 96 /* octets of a name of a family, with the NUL */

/* -- reading ----------------------------------------------------------------
 */

struct json_object *plugin_object(struct json_object *in, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_is_type(in, json_type_object) ||
	    !json_object_object_get_ex(in, key, &value) ||
	    !json_object_is_type(value, json_type_object))
		return NULL;
	return value;
}

struct json_object *plugin_list(struct json_object *in, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_is_type(in, json_type_object) ||
	    !json_object_object_get_ex(in, key, &value) ||
	    !json_object_is_type(value, json_type_array))
		return NULL;
	return value;
}

const char *plugin_text(struct json_object *in, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_is_type(in, json_type_object) ||
	    !json_object_object_get_ex(in, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string(value);
}

/* A number that is not negative, or a boolean. */
static bool is_number(struct json_object *value, uint64_t *np)
{
	if (json_object_is_type(value, json_type_boolean)) {
		*np = json_object_get_boolean(value) != 0;
		return true;
	}
	if (!json_object_is_type(value, json_type_int) ||
	    json_object_get_int64(value) < 0)
		return false;
	*np = json_object_get_uint64(value);
	return true;
}

bool plugin_number(struct json_object *in, const char *key, uint64_t *np)
{
	struct json_object *value = NULL;

	return json_object_is_type(in, json_type_object) &&
	       json_object_object_get_ex(in, key, &value) &&
	       is_number(value, np);
}

/* -- writing ----------------------------------------------------------------
 */

void plugin_put(struct probed_expo *expo, struct json_object *in,
		const struct plugin_series *series, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t value;
		if (!plugin_number(in, series[i].key, &value))
			continue;
		probed_expo_family(expo, series[i].kind, series[i].name,
				   series[i].help);
		plugin_put_value(expo, PROBED_NO_LABELS, &series[i], value);
	}
}

void plugin_put_value(struct probed_expo *expo,
		      const struct probed_label *labels,
		      const struct plugin_series *series, uint64_t value)
{
	if (series->unit == PLUGIN_MICRO)
		probed_expo_micro(expo, labels, value);
	else
		probed_expo_number(expo, labels, value);
}

/* A counter's name becomes part of a family's; false: it cannot. */
static bool name_make(const char *before, const char *key, char *out)
{
	size_t n = strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_");

	if (n == 0 || key[n] != '\0')
		return false;
	int length = snprintf(out, FAMILY_MAX, "%s%s_total", before, key);
	return length > 0 && length < FAMILY_MAX;
}

void plugin_put_counters(struct probed_expo *expo, const char *before,
			 struct json_object *counters,
			 const struct plugin_help *helps, size_t n_helps)
{
	struct json_object_iter member;
	char name[FAMILY_MAX];
	uint64_t value;

	if (counters == NULL)
		return;
	json_object_object_foreachC(counters, member)
	{
		if (!is_number(member.val, &value) ||
		    !name_make(before, member.key, name))
			continue;
		probed_expo_family(expo, PROBED_COUNTER, name,
				   plugin_help_of(helps, n_helps, member.key));
		probed_expo_number(expo, PROBED_NO_LABELS, value);
	}
}

const char *plugin_help_of(const struct plugin_help *helps, size_t n_helps,
			   const char *key)
{
	for (size_t i = 0; i < n_helps; i++)
		if (strcmp(helps[i].key, key) == 0)
			return helps[i].help;
	return "A counter of the plugin, see nzctl status.";
}

void plugin_put_each(struct probed_expo *expo, struct json_object *list,
		     const struct plugin_each *each)
{
	struct json_object *first = json_object_array_get_idx(list, 0);
	struct json_object *counters = plugin_object(first, each->member);
	struct json_object_iter member;
	char name[FAMILY_MAX];

	if (counters == NULL)
		return;
	json_object_object_foreachC(counters, member)
	{
		if (!name_make(each->before, member.key, name))
			continue;
		probed_expo_family(
			expo, PROBED_COUNTER, name,
			plugin_help_of(each->helps, each->n_helps, member.key));
		for (size_t i = 0; i < each->n; i++) {
			struct json_object *o =
				json_object_array_get_idx(list, i);
			const char *id = plugin_text(o, each->id);
			uint64_t value;
			if (id != NULL &&
			    plugin_number(plugin_object(o, each->member),
					  member.key, &value))
				probed_expo_number(
					expo,
					PROBED_LABELS({ each->label, id }),
					value);
		}
	}
}

/* -- the whole --------------------------------------------------------------
 */

static void put_build(struct probed_expo *expo, struct json_object *s)
{
	const char *version = plugin_text(s, "version");
	const char *bind = plugin_text(s, "bind");

	if (version == NULL || bind == NULL)
		return;
	probed_expo_family(expo, PROBED_GAUGE, "nearzone_build_info",
			   "Which plugin this is, for which BIND.");
	probed_expo_number(
		expo, PROBED_LABELS({ "version", version }, { "bind", bind }),
		1);
}

static void put_config(struct probed_expo *expo, struct json_object *s)
{
	static const struct plugin_series series[] = {
		{ "serial", "nearzone_config_serial",
		  "Serial of the configuration in force.", PROBED_GAUGE,
		  PLUGIN_PLAIN },
		{ "zones", "nearzone_zones", "Edge zones in the configuration.",
		  PROBED_GAUGE, PLUGIN_PLAIN },
		{ "hostnames", "nearzone_hostnames",
		  "Hostnames in the configuration.", PROBED_GAUGE,
		  PLUGIN_PLAIN },
		{ "loaded", "nearzone_config_load_time_seconds",
		  "When a configuration was last read, unix time.",
		  PROBED_GAUGE, PLUGIN_PLAIN },
	};
	struct json_object *config = plugin_object(s, "config");
	const char *state = plugin_text(config, "state");

	plugin_put(expo, config, series, sizeof(series) / sizeof(series[0]));
	if (state == NULL)
		return;
	probed_expo_family(expo, PROBED_GAUGE, "nearzone_config_ok",
			   "Whether the configuration read last was good.");
	probed_expo_number(expo, PROBED_NO_LABELS, strcmp(state, "ok") == 0);
}

static void put_process(struct probed_expo *expo, struct json_object *s)
{
	static const struct plugin_series series[] = {
		{ "started", "nearzone_start_time_seconds",
		  "When the plugin was started, unix time.", PROBED_GAUGE,
		  PLUGIN_PLAIN },
		{ "waiting", "nearzone_waiting_clients",
		  "Clients that wait for origins.", PROBED_GAUGE,
		  PLUGIN_PLAIN },
		{ "asking", "nearzone_questions_in_flight",
		  "Questions to origins that are under way.", PROBED_GAUGE,
		  PLUGIN_PLAIN },
		{ "conflicting", "nearzone_conflicting_zones",
		  "Edge zones that some view of named has itself.",
		  PROBED_GAUGE, PLUGIN_PLAIN },
	};

	plugin_put(expo, s, series, sizeof(series) / sizeof(series[0]));
}

static void put_cache(struct probed_expo *expo, struct json_object *s)
{
	static const struct plugin_series series[] = {
		{ "entries", "nearzone_cache_entries", "Answers in memory.",
		  PROBED_GAUGE, PLUGIN_PLAIN },
		{ "bytes", "nearzone_cache_bytes",
		  "Memory of the cache, keys and tables included.",
		  PROBED_GAUGE, PLUGIN_PLAIN },
		{ "limit", "nearzone_cache_limit_bytes",
		  "Memory that the cache may use.", PROBED_GAUGE,
		  PLUGIN_PLAIN },
		{ "put", "nearzone_cache_put_total",
		  "Answers put into the cache.", PROBED_COUNTER, PLUGIN_PLAIN },
		{ "replaced", "nearzone_cache_replaced_total",
		  "Answers replaced by newer ones.", PROBED_COUNTER,
		  PLUGIN_PLAIN },
		{ "evicted", "nearzone_cache_evicted_total",
		  "Answers dropped for lack of memory.", PROBED_COUNTER,
		  PLUGIN_PLAIN },
		{ "swept", "nearzone_cache_swept_total",
		  "Answers dropped because their time was over.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
		{ "purged", "nearzone_cache_purged_total",
		  "Answers dropped by purges and changes of zones.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
	};

	plugin_put(expo, plugin_object(s, "cache"), series,
		   sizeof(series) / sizeof(series[0]));
}

static void put_journal(struct probed_expo *expo, struct json_object *s)
{
	static const struct plugin_series series[] = {
		{ "bytes", "nearzone_journal_bytes",
		  "Octets of the journal's files.", PROBED_GAUGE,
		  PLUGIN_PLAIN },
		{ "limit", "nearzone_journal_limit_bytes",
		  "What they may have; 0: there is no journal.", PROBED_GAUGE,
		  PLUGIN_PLAIN },
		{ "events", "nearzone_journal_events_total",
		  "Changes of what is known that were written.", PROBED_COUNTER,
		  PLUGIN_PLAIN },
		{ "decisions", "nearzone_journal_decisions_total",
		  "Answers that were written.", PROBED_COUNTER, PLUGIN_PLAIN },
		{ "lost", "nearzone_journal_lost_total",
		  "Answers that should have been and found no room.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
		{ "errors", "nearzone_journal_errors_total",
		  "Times that the journal could not be written.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
	};

	plugin_put(expo, plugin_object(s, "journal"), series,
		   sizeof(series) / sizeof(series[0]));
}

static void put_control(struct probed_expo *expo, struct json_object *s)
{
	static const struct plugin_series series[] = {
		{ "connections", "nearzone_control_connections",
		  "Connections of the control socket.", PROBED_GAUGE,
		  PLUGIN_PLAIN },
		{ "subscribers", "nearzone_control_subscribers",
		  "Connections that want events.", PROBED_GAUGE, PLUGIN_PLAIN },
		{ "requests", "nearzone_control_requests_total",
		  "Requests on the control socket.", PROBED_COUNTER,
		  PLUGIN_PLAIN },
		{ "refused", "nearzone_control_refused_total",
		  "Connections refused because there were too many.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
		{ "errors", "nearzone_control_errors_total",
		  "Requests that were answered with an error.", PROBED_COUNTER,
		  PLUGIN_PLAIN },
		{ "events", "nearzone_control_events_total", "Events sent.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
		{ "events_dropped", "nearzone_control_events_dropped_total",
		  "Events dropped because a reader was too slow.",
		  PROBED_COUNTER, PLUGIN_PLAIN },
	};

	plugin_put(expo, plugin_object(s, "control"), series,
		   sizeof(series) / sizeof(series[0]));
}

static void put_clients(struct probed_expo *expo, struct json_object *s)
{
	static const struct plugin_series series[] = {
		{ "places", "nearzone_client_map_places",
		  "Places in the map of clients.", PROBED_GAUGE, PLUGIN_PLAIN },
		{ "bytes", "nearzone_client_map_bytes",
		  "Memory of the map of clients.", PROBED_GAUGE, PLUGIN_PLAIN },
		{ "loaded", "nearzone_client_map_timestamp_seconds",
		  "When the map of clients was made, unix time.", PROBED_GAUGE,
		  PLUGIN_PLAIN },
		{ "took_us", "nearzone_client_map_build_seconds",
		  "How long it took to make the map of clients.", PROBED_GAUGE,
		  PLUGIN_MICRO },
		{ "refused", "nearzone_client_map_refused",
		  "Whether a database was last refused, and an older map is in "
		  "use.",
		  PROBED_GAUGE, PLUGIN_PLAIN },
	};

	plugin_put(expo, plugin_object(s, "clients"), series,
		   sizeof(series) / sizeof(series[0]));
}

uint64_t probed_plugin_servers(struct json_object *status)
{
	uint64_t n = 0;

	(void)plugin_number(
		plugin_object(plugin_object(status, "status"), "traffic"),
		"servers", &n);
	return n;
}

static struct json_object *list_begin(const char *list)
{
	struct json_object *next = json_object_new_object();

	json_object_object_add(next, "list", json_object_new_string(list));
	return next;
}

struct json_object *probed_plugin_next(struct json_object *page,
				       const struct probed_listed *listed)
{
	struct json_object *next = pages_next(page);
	const char *list = plugin_text(next, "list");

	if (list == NULL || listed->hostnames >= PROBED_HOSTS_SHOWN_MAX)
		return NULL;
	if (strcmp(list, "origins") == 0 && listed->origins != NULL &&
	    json_object_array_length(listed->origins) >=
		    PROBED_ORIGINS_SHOWN_MAX)
		return list_begin("zones");
	if (strcmp(list, "zones") != 0 ||
	    listed->zones < PROBED_ZONES_SHOWN_MAX)
		return json_object_get(next);
	return list_begin("hostnames");
}

void probed_listed_fini(struct probed_listed *listed)
{
	json_object_put(listed->zone_ids);
	json_object_put(listed->hostname_ids);
	json_object_put(listed->origins);
	*listed = (struct probed_listed){ 0 };
}

/*
 * Those of 'list' (NULL is fine) whose 'id' is not in '*seen', 'max' at most,
 * as a list; notes them there.
 */
static struct json_object *unseen(struct json_object *list, const char *id,
				  uint64_t max, struct json_object **seen)
{
	struct json_object *out = json_object_new_array();
	size_t n = list != NULL ? json_object_array_length(list) : 0;

	if (*seen == NULL)
		*seen = json_object_new_object();
	for (size_t i = 0; i < n && json_object_array_length(out) < max; i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		const char *text = plugin_text(o, id);
		if (text == NULL ||
		    json_object_object_get_ex(*seen, text, NULL))
			continue;
		json_object_object_add(*seen, text, NULL);
		json_object_array_add(out, json_object_get(o));
	}
	return out;
}

/* Their labels are made when all have come: see plugin_put_origins(). */
static void keep_origins(struct probed_listed *listed, struct json_object *list)
{
	size_t n = list != NULL ? json_object_array_length(list) : 0;

	if (listed->origins == NULL)
		listed->origins = json_object_new_array();
	for (size_t i = 0; i < n && json_object_array_length(listed->origins) <
					    PROBED_ORIGINS_SHOWN_MAX;
	     i++)
		json_object_array_add(
			listed->origins,
			json_object_get(json_object_array_get_idx(list, i)));
}

void probed_plugin_put_page(struct probed_expo *expo, struct json_object *page,
			    struct probed_listed *listed)
{
	struct json_object *s = plugin_object(page, "status");

	struct json_object *zones = unseen(
		plugin_list(s, "zones"), "id",
		PROBED_ZONES_SHOWN_MAX - listed->zones, &listed->zone_ids);
	struct json_object *names =
		unseen(plugin_list(plugin_object(s, "traffic"), "names"),
		       "name", PROBED_HOSTS_SHOWN_MAX - listed->hostnames,
		       &listed->hostname_ids);

	keep_origins(listed, plugin_list(s, "origins"));
	plugin_put_zones(expo, zones, listed);
	plugin_put_hostnames(expo, names, listed);
	json_object_put(zones);
	json_object_put(names);
}

/* How many more there are, by the member 'key', than the 'n' that are shown. */
static uint64_t left_out(struct json_object *in, const char *key, uint64_t n)
{
	uint64_t all = n;

	(void)plugin_number(in, key, &all);
	return all > n ? all - n : 0;
}

void probed_plugin_put(struct probed_expo *expo, struct json_object *status,
		       struct json_object *servers,
		       const struct probed_listed *listed,
		       struct probed_omitted *omitted)
{
	struct json_object *s = plugin_object(status, "status");

	*omitted = (struct probed_omitted){ 0 };
	probed_expo_family(expo, PROBED_GAUGE, "nearzone_up",
			   "Whether the plugin answered in time.");
	probed_expo_number(expo, PROBED_NO_LABELS, s != NULL);
	if (s == NULL)
		return;
	put_build(expo, s);
	put_config(expo, s);
	put_process(expo, s);
	put_cache(expo, s);
	put_journal(expo, s);
	put_clients(expo, s);
	put_control(expo, s);
	plugin_put_sums(expo, s);
	plugin_put_origins(expo, listed->origins);
	omitted->origins =
		left_out(s, "origins_known",
			 listed->origins != NULL
				 ? json_object_array_length(listed->origins)
				 : 0);
	plugin_put_traffic(expo, s);
	plugin_put_servers(expo, s, servers, omitted);
	omitted->zones =
		left_out(plugin_object(s, "config"), "zones", listed->zones);
	omitted->hostnames = left_out(plugin_object(s, "traffic"), "hostnames",
				      listed->hostnames);
}
