/* SPDX-License-Identifier: MPL-2.0 */
#include "common/schema.h"

#include "common/schema_int.h"

const struct schema_item schema_address = ONE(SCHEMA_ADDRESS);
const struct schema_item schema_own_address = ONE(SCHEMA_LISTEN);
const struct schema_item schema_dname = ONE(SCHEMA_DNAME);

static const struct schema_key cache_keys[] = {
	[CACHE_SIZE] = { .name = "size",
			 .about = "Memory for cached answers, keys and tables "
				  "included",
			 .is = { .type = SCHEMA_SIZE,
				 .min = 1 << 20,
				 .max = INT64_C(1) << 40 },
			 PRESET(256 << 20) },
	[CACHE_STATE_DIRECTORY] = { .name = "state-directory",
				    .about =
					    "Where the plugin keeps what must "
					    "outlive named; "
					    "named must be able to write there",
				    .is = { .type = SCHEMA_PATH,
					    .min = 1,
					    .max = 1024 },
				    PRESET_S(CONFIG_STATE_DIRECTORY) },
	[CACHE_SNAPSHOT] = { .name = "snapshot",
			     .about = "How often the cache is saved in the "
				      "state directory, and at the end; 0: "
				      "neither saved nor read",
			     .is = SECONDS(0, DAY_MS),
			     PRESET(300000) },
};
static const struct schema_block cache = { SCHEMA_CACHE, KEYS(cache_keys) };

static const struct schema_key control_keys[] = {
	[CONTROL_SOCKET] = { .name = "socket",
			     .about = "The plugin's unix socket; without it, "
				      "control.sock in the state directory",
			     .is = { .type = SCHEMA_PATH,
				     .min = 1,
				     .max = CONFIG_SOCKET_MAX } },
};
static const struct schema_block control = { SCHEMA_CONTROL,
					     KEYS(control_keys) };

static const struct schema_key limits_keys[] = {
	[LIMITS_WAITERS] = { .name = "waiters",
			     .about = "Clients that may wait for origins at "
				      "one time; "
				      "one more is answered stale, or SERVFAIL",
			     .is = INTEGER(1, 1000000),
			     PRESET(10000) },
	[LIMITS_GROUPS] = { .name = "groups",
			    .about = "Groups of clients whose latency to POPs "
				     "is kept; their memory is taken as they "
				     "come",
			    .is = INTEGER(1, 8000000),
			    PRESET(1000000) },
	[LIMITS_CLIENTS] = { .name = "clients",
			     .about = "Clients kept for hostnames whose "
				      "persist-by is table",
			     .is = INTEGER(64, 268435456),
			     PRESET(1048576) },
	[LIMITS_KNOWN] = { .name = "known-clients",
			   .about = "Prefixes of clients (/24, /56) kept as "
				    "known to be good",
			   .is = INTEGER(1024, 16777216),
			   PRESET(1000000) },
};
static const struct schema_block limits = { SCHEMA_LIMITS, KEYS(limits_keys) };

static const struct schema_key feed_keys[] = {
	[FEED_ROWS] = { .name = "rows",
			.about = "Results in one batch of the side-car",
			.is = INTEGER(1, 400),
			PRESET(200) },
	[FEED_INTERVAL] = { .name = "interval",
			    .about = "How long a batch that is not full waits; "
				     "a change of state does not wait",
			    .is = DURATION(50, 60000),
			    PRESET(1000) },
};
static const struct schema_block feed = { SCHEMA_FEED, KEYS(feed_keys) };

static const struct schema_key notify_keys[] = {
	[NOTIFY_ADDRESS] = { .name = "address",
			     .about = "Where the side-car listens for NOTIFY "
				      "messages of origins",
			     .is = SET(schema_own_address, 1,
				       CONFIG_NOTIFY_MAX),
			     .required = true },
	[NOTIFY_PORT] = { .name = "port",
			  .about = "The port that it listens on, UDP and TCP",
			  .is = INTEGER(1, 65535),
			  PRESET(CONFIG_NOTIFY_PORT) },
};
static const struct schema_block notify = { SCHEMA_NOTIFY, KEYS(notify_keys) };

static const struct schema_key metrics_keys[] = {
	[METRICS_ADDRESS] = { .name = "address",
			      .about = "Where the side-car can be scraped for "
				       "metrics",
			      .is = SET(schema_own_address, 1,
					CONFIG_METRICS_MAX),
			      .required = true },
	[METRICS_PORT] = { .name = "port",
			   .about = "The port that it listens on, TCP",
			   .is = INTEGER(1, 65535),
			   PRESET(CONFIG_METRICS_PORT) },
};
static const struct schema_block metrics = { SCHEMA_METRICS,
					     KEYS(metrics_keys) };

static const struct schema_key journal_keys[] = {
	[JOURNAL_KEY_SIZE] = { .name = "size",
			       .about = "Room in the state directory for what "
					"was known of servers and what was "
					"decided, 1MiB or more; the older half "
					"goes when it is full; 0B: none is "
					"kept",
			       .is = { .type = SCHEMA_SIZE,
				       .min = 0,
				       .max = INT64_C(1) << 40 },
			       PRESET(64 << 20) },
	[JOURNAL_KEY_DECISIONS] = { .name = "decisions",
				    .about = "One of so many answers is kept, "
					     "with the client's network; 0: "
					     "none",
				    .is = INTEGER(0, 1000000),
				    PRESET(0) },
	[JOURNAL_KEY_AGE] = { .name = "age",
			      .about = "What is older is dropped, though there "
				       "is room for it; 0s: only for want of "
				       "room",
			      .is = SECONDS(0, 10 * 365 * DAY_MS),
			      PRESET(0) },
};
static const struct schema_block journal = { SCHEMA_JOURNAL,
					     KEYS(journal_keys) };

static const struct schema_key max_age_keys[] = {
	[MAX_AGE_LATENCY] = { .name = "latency",
			      .about = "Of latencies to clients",
			      .is = SECONDS(1000, 30 * DAY_MS),
			      PRESET(DAY_MS) },
	[MAX_AGE_LOSS] = { .name = "loss",
			   .about = "Of packet loss at POPs",
			   .is = SECONDS(1000, DAY_MS),
			   PRESET(120000) },
	[MAX_AGE_BANDWIDTH] = { .name = "bandwidth",
				.about = "Of the bandwidth in use at POPs",
				.is = SECONDS(1000, DAY_MS),
				PRESET(120000) },
	[MAX_AGE_LOAD] = { .name = "load",
			   .about = "Of the load of servers",
			   .is = SECONDS(1000, DAY_MS),
			   PRESET(60000) },
};
static const struct schema_block max_age = { SCHEMA_MAX_AGE,
					     KEYS(max_age_keys) };

static const struct schema_key root_keys[] = {
	[ROOT_VERSION] = { .name = "version",
			   .about = "The version of this format: 1",
			   .is = INTEGER(1, 1),
			   .required = true },
	[ROOT_SERIAL] = { .name = "serial",
			  .about = "The document's own number, shown by nzctl "
				   "status",
			  .is = INTEGER(0, INT64_C(9007199254740991)),
			  PRESET(0) },
	[ROOT_CACHE] = { .name = "cache",
			 .about = "The cache of answers",
			 .is = BLOCK(cache) },
	[ROOT_CONTROL] = { .name = "control",
			   .about = "The control socket",
			   .is = BLOCK(control) },
	[ROOT_LIMITS] = { .name = "limits",
			  .about = "Bounds of what clients can use up",
			  .is = BLOCK(limits) },
	[ROOT_FEED] = { .name = "feed",
			.about = "How the side-car sends its results",
			.is = BLOCK(feed) },
	[ROOT_NOTIFY] = { .name = "notify",
			  .about = "Where origins tell of changes; without "
				   "it, nobody listens",
			  .is = BLOCK(notify) },
	[ROOT_METRICS] = { .name = "metrics",
			   .about = "Where Prometheus finds metrics; without "
				    "it, nowhere",
			   .is = BLOCK(metrics) },
	[ROOT_JOURNAL] = { .name = "journal",
			   .about = "What is kept for 'nzctl explain --at' and "
				    "'nzctl replay'",
			   .is = BLOCK(journal) },
	[ROOT_ZONES] = { .name = "zones",
			 .about = "The zones that are answered from their "
				  "origins, by "
				  "name",
			 .is = MAP(SCHEMA_TEXT, schema_zone,
				   CONFIG_ZONES_MAX) },
	[ROOT_SERVICES] = { .name = "services",
			    .about = "How servers are tested, by name",
			    .is = MAP(SCHEMA_ID, schema_service, 10000) },
	[ROOT_POPS] = { .name = "pops",
			.about = "The places with servers, by name",
			.is = MAP(SCHEMA_ID, schema_pop, 10000) },
	[ROOT_HOSTNAMES] = { .name = "hostnames",
			     .about = "The hostnames whose answers are decided "
				      "per client",
			     .is = MAP(SCHEMA_DNAME, schema_hostname,
				       CONFIG_HOSTNAMES_MAX) },
	[ROOT_DOMAINS] = { .name = "domains",
			   .about = "Domains of hostnames that are in no zone, "
				    "by name",
			   .is = MAP(SCHEMA_DNAME, schema_domain, 100000) },
	[ROOT_MAX_AGE] = { .name = "max-age",
			   .about = "How long values that probes measure hold; "
				    "older ones are unknown",
			   .is = BLOCK(max_age) },
	[ROOT_GEO] = { .name = "geo",
		       .about = "Databases that say where clients are",
		       .is = BLOCK(schema_geo) },
	[ROOT_CLIENTS] = { .name = "clients",
			   .about = "What is known of clients, by a label of "
				    "yours",
			   .is = MAP(SCHEMA_ID, schema_clients, 100000) },
	[ROOT_SECOND] = { .name = "second-tier",
			  .about = "Where hostnames are mapped to, by the root "
				   "domain that they are below",
			  .is = MAP(SCHEMA_DNAME, schema_second,
				    CONFIG_SECONDS_MAX) },
	[ROOT_LATENCY] = { .name = "latency",
			   .about = "How the side-car measures the latency to "
				    "clients; without it, it does not",
			   .is = BLOCK(schema_latency) },
	[ROOT_REACH] = { .name = "reach",
			 .about = "How side-cars probe the other POPs; without "
				  "it, they do not",
			 .is = BLOCK(schema_reach) },
};
const struct schema_block schema_root = { SCHEMA_ROOT, KEYS(root_keys) };
