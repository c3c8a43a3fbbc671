/* SPDX-License-Identifier: MPL-2.0 */
#include "common/schema_int.h"

/* The order of enum config_request, without the first. */
static const char *const methods[] = { "GET", "HEAD", "OPTIONS", "DESCRIBE",
				       NULL };
/* The order of enum config_fail. */
static const char *const fails[] = { "open",   "last",	   "backup",
				     "nodata", "servfail", NULL };

/* The order of enum config_unknown. */
static const char *const unknowns[] = { "worst", "mean", "best", NULL };
/* The order of enum config_order. */
static const char *const orders[] = { "random", "cost", NULL };
/* The order of enum config_persist. */
static const char *const persists[] = { "hash", "table", "name", NULL };
/* The order of enum config_health. */
static const char *const healths[] = { "servers", "tier", NULL };
/* The order of enum config_failback. */
static const char *const failbacks[] = { "auto", "manual", NULL };

static const struct schema_item server_ref = ONE(SCHEMA_SERVER);
static const struct schema_item service_ref = ONE(SCHEMA_SERVICE);
static const struct schema_item window = TEXT(1, 64);
static const struct schema_item pop_ref = ONE(SCHEMA_POP_NAME);
static const struct schema_item prefix = ONE(SCHEMA_PREFIX);
static const struct schema_item country = ONE(SCHEMA_COUNTRY);
static const struct schema_item continent =
	WORDS(config_continent_names + CONFIG_AF);
static const struct schema_item sources = ONE(SCHEMA_ADDRESS);
static const struct schema_item header = TEXT(3, 1024);
static const struct schema_item argument = TEXT(0, 1024);
static const struct schema_item as_number = INTEGER(1, 4294967294);
static const struct schema_item latency = NUMBER(0, 10000);
static const struct schema_item weight = INTEGER(0, 10000);
static const struct schema_item key_path = TEXT(1, 255);
static const struct schema_item file = { .type = SCHEMA_PATH,
					 .min = 1,
					 .max = 1024 };
static const struct schema_item degrees[] = { NUMBER(-90, 90),
					      NUMBER(-180, 180) };

static const struct schema_key service_keys[] = {
	[SERVICE_PROBE] = { .name = "probe",
			    .about = "How a server is tested",
			    .is = WORDS(config_probe_names),
			    .required = true },
	[SERVICE_PORT] = { .name = "port",
			   .about = "The port to test; without it, the probe's "
				    "own",
			   .is = INTEGER(1, 65535) },
	[SERVICE_PATH] = { .name = "path",
			   .about =
				   "What to ask a server of files or pages for",
			   .is = { .type = SCHEMA_URLPATH,
				   .min = 1,
				   .max = 2048 },
			   PRESET_S("/") },
	[SERVICE_EXPECT] = { .name = "expect",
			     .about = "What a good answer is",
			     .is = BLOCK(schema_expect) },
	[SERVICE_INTERVAL] = { .name = "interval",
			       .about = "Time from one test to the next",
			       .is = DURATION(1000, DAY_MS),
			       PRESET(5000) },
	[SERVICE_TIMEOUT] = { .name = "timeout",
			      .about = "How long a test may take, not over the "
				       "interval",
			      .is = DURATION(100, 60000),
			      PRESET(1000) },
	[SERVICE_RISE] = { .name = "rise",
			   .about =
				   "Good tests in a row that bring a server up",
			   .is = INTEGER(1, 100),
			   PRESET(2) },
	[SERVICE_FALL] = { .name = "fall",
			   .about =
				   "Bad tests in a row that take a server down",
			   .is = INTEGER(1, 100),
			   PRESET(3) },
	[SERVICE_HOST] = { .name = "host",
			   .about = "The name to ask for (Host and SNI); "
				    "without it, "
				    "the first hostname that uses the service",
			   .is = ONE(SCHEMA_DNAME) },
	[SERVICE_VERIFY] = { .name = "verify",
			     .about = "Whether the certificate is checked",
			     .is = ONE(SCHEMA_BOOL),
			     PRESET(1) },
	[SERVICE_CA_FILE] = { .name = "ca-file",
			      .about = "File (PEM) of the authorities trusted "
				       "to sign "
				       "it; without it, the system's",
			      .is = { .type = SCHEMA_PATH,
				      .min = 1,
				      .max = 1024 } },
	[SERVICE_MAX_AGE] = { .name = "max-age",
			      .about = "Older results count as unknown; "
				       "without it, "
				       "three intervals, a timeout and the "
				       "feed's interval",
			      .is = DURATION(1000, DAY_MS) },
	[SERVICE_JITTER] = { .name = "jitter",
			     .about = "How much an interval varies, in per "
				      "cent of it",
			     .is = INTEGER(0, 50),
			     PRESET(10) },
	[SERVICE_FAST_INTERVAL] = { .name = "fast-interval",
				    .about =
					    "Time to the next test while tests "
					    "disagree with a server's state, "
					    "not over the interval; without "
					    "it, a fifth of the interval, but "
					    "at least 1s",
				    .is = DURATION(100, DAY_MS) },
	[SERVICE_DEGRADED] = { .name = "degraded",
			       .about = "An answer that takes longer counts as "
					"load, not as a failure",
			       .is = DURATION(1, 60000) },
	[SERVICE_DAMPING] = { .name = "damping",
			      .about = "How long a server that keeps failing "
				       "is held down",
			      .is = BLOCK(schema_damping) },
	[SERVICE_QUORUM] = { .name = "quorum",
			     .about = "How many nodes must agree on whether a "
				      "server is up",
			     .is = INTEGER(1, CONFIG_QUORUM_MAX),
			     PRESET(1) },
	[SERVICE_SOURCE] = { .name = "source",
			     .about = "Addresses of this machine to test from, "
				      "at most one of a family",
			     .is = { .type = SCHEMA_LIST,
				     .single = true,
				     .unique = true,
				     .item = &sources,
				     .min = 1,
				     .max = 2 } },
	[SERVICE_METHOD] = { .name = "method",
			     .about = "What is asked; without it, GET, or "
				      "OPTIONS of \"rtsp\"",
			     .is = WORDS(methods) },
	[SERVICE_HEADERS] = { .name = "headers",
			      .about = "More fields of the request, \"Name: "
				       "text\"",
			      .is = SET(header, 1, 16) },
	[SERVICE_STARTTLS] = { .name = "starttls",
			       .about = "Whether \"smtp\" and \"ftp\" go on "
					"with TLS",
			       .is = ONE(SCHEMA_BOOL),
			       PRESET(0) },
	[SERVICE_QUESTION] = { .name = "question",
			       .about = "What \"dns\" asks",
			       .is = BLOCK(schema_question) },
	[SERVICE_COMMAND] = { .name = "command",
			      .about = "The program that tests, an absolute "
				       "path, and its arguments; no shell "
				       "reads them",
			      .is = { .type = SCHEMA_LIST,
				      .item = &argument,
				      .min = 1,
				      .max = CONFIG_ARGUMENTS_MAX } },
	[SERVICE_PERFDATA] = { .name = "perfdata",
			       .about = "The label, in the program's "
					"performance data, of the metric; "
					"without it, how long it ran",
			       .is = TEXT(1, 64) },
};
const struct schema_block schema_service = { SCHEMA_ONE_SERVICE,
					     KEYS(service_keys) };

static const struct schema_key server_keys[] = {
	[SERVER_ADDRESSES] = { .name = "addresses",
			       .about = "Its addresses, of both families",
			       .is = SET(schema_address, 1, 16) },
	[SERVER_WEIGHT] = { .name = "weight",
			    .about = "Its share among servers that are as "
				     "good; 0: none",
			    .is = INTEGER(0, 10000),
			    PRESET(1) },
	[SERVER_CAPACITY] = { .name = "capacity",
			      .about = "The load that it can bear, in its "
				       "services' metric",
			      .is = INTEGER(1, 1000000000) },
	[SERVER_SERVICES] = { .name = "services",
			      .about = "The services that it offers; without "
				       "it, all that "
				       "a hostname asks of it",
			      .is = SET(service_ref, 1, 64) },
	[SERVER_ALIAS] = { .name = "alias",
			   .about = "Instead of addresses: the name that a "
				    "CNAME leads to",
			   .is = ONE(SCHEMA_DNAME) },
	[SERVER_SHED] = { .name = "shed",
			  .about = "Load, in per cent of its capacity, from "
				   "which on it gets less and less, until "
				   "nothing at its capacity",
			  .is = INTEGER(0, 100),
			  PRESET(100) },
	[SERVER_SLOW_START] = { .name = "slow-start",
				.about = "Time over which it gets its share "
					 "back after a failure",
				.is = SECONDS(0, DAY_MS),
				PRESET(0) },
	[SERVER_FAILBACK] = { .name = "failback",
			      .about = "Whether it comes back by itself after "
				       "a failure, or by nzctl undrain",
			      .is = WORDS(failbacks),
			      PRESET(CONFIG_FAILBACK_AUTO) },
	[SERVER_NEEDS] = { .name = "needs",
			   .about = "Servers without which it is down",
			   .is = SET(server_ref, 1, 8) },
	[SERVER_MAINTENANCE] = { .name = "maintenance",
				 .about = "When it gets nothing, in UTC: "
					  "\"Sun 02:00-04:00\", \"daily "
					  "23:30-00:30\", or "
					  "\"2026-12-01T02:00/2026-12-01T04:"
					  "00\"",
				 .is = SET(window, 1, 32) },
	[SERVER_NAME_SERVER] = { .name = "name-server",
				 .about = "Its name as a name server, for "
					  "hostnames with name-servers",
				 .is = ONE(SCHEMA_DNAME) },
	[SERVER_LOAD] = { .name = "load",
			  .about = "How the load of its machine is read; "
				   "without it, as the POP says",
			  .is = BLOCK(schema_load) },
};
static const struct schema_block server = { SCHEMA_ONE_SERVER,
					    KEYS(server_keys) };

static const struct schema_key pop_keys[] = {
	[POP_LOCATION] = { .name = "location",
			   .about = "Latitude and longitude in degrees, north "
				    "and east positive",
			   .is = { .type = SCHEMA_LIST,
				   .tuple = true,
				   .item = degrees,
				   .min = 2,
				   .max = 2 } },
	[POP_PROBE] = { .name = "probe",
			.about = "The node that tests the servers there; "
				 "without it, every node does",
			.is = ONE(SCHEMA_ID) },
	[POP_SERVERS] = { .name = "servers",
			  .about = "The servers there, by name; a name is used "
				   "once in the "
				   "whole network",
			  .is = MAP(SCHEMA_ID, server, 100000) },
	[POP_NEAR] = { .name = "near",
		       .about = "The POP whose latencies, loss and bandwidth "
				"hold for this one, which has no probe",
		       .is = ONE(SCHEMA_ID) },
	[POP_LOAD] = { .name = "load",
		       .about = "How the load of the machines there is read; "
				"without it, it is not",
		       .is = BLOCK(schema_load) },
	[POP_SNMP] = { .name = "snmp",
		       .about = "The switch whose counters say what bandwidth "
				"is in use there",
		       .is = BLOCK(schema_snmp) },
	[POP_ADDRESS] = { .name = "address",
			  .about = "What answers pings there: see reach",
			  .is = ONE(SCHEMA_ADDRESS) },
};
const struct schema_block schema_pop = { SCHEMA_POP, KEYS(pop_keys) };

static const struct schema_key weigh_keys[] = {
	[WEIGH_LATENCY] = { .name = "latency",
			    .about = "Weight of the round trip to the client",
			    .is = NUMBER(0, 1000000),
			    PRESET(1) },
	[WEIGH_LOAD] = { .name = "load",
			 .about = "Weight of the servers' load",
			 .is = NUMBER(0, 1000000),
			 PRESET(0) },
	[WEIGH_LOSS] = { .name = "loss",
			 .about = "Weight of lost packets",
			 .is = NUMBER(0, 1000000),
			 PRESET(0) },
	[WEIGH_BANDWIDTH] = { .name = "bandwidth",
			      .about = "Weight of the bandwidth in use at the "
				       "POP",
			      .is = NUMBER(0, 1000000),
			      PRESET(0) },
	[WEIGH_UNKNOWN] = { .name = "unknown",
			    .about = "What a value that is not known counts "
				     "as, among those of the others",
			    .is = WORDS(unknowns),
			    PRESET(CONFIG_UNKNOWN_WORST) },
};
static const struct schema_block weigh = { SCHEMA_WEIGH, KEYS(weigh_keys) };

static const struct schema_key hostname_keys[] = {
	[HOSTNAME_SERVICE] = { .name = "service",
			       .about = "The service whose tests decide",
			       .is = ONE(SCHEMA_SERVICE) },
	[HOSTNAME_SERVERS] = { .name = "servers",
			       .about = "The servers to choose from",
			       .is = SET(server_ref, 1, 1024),
			       .required = true },
	[HOSTNAME_ANSWERS] = { .name = "answers",
			       .about = "Addresses in one answer",
			       .is = INTEGER(1, 16),
			       PRESET(1) },
	[HOSTNAME_TTL] = { .name = "ttl",
			   .about = "Time to live of its answers",
			   .is = SECONDS(0, WEEK_MS),
			   PRESET(30000) },
	[HOSTNAME_WEIGH] = { .name = "weigh",
			     .about = "What counts how much in the choice",
			     .is = BLOCK(weigh) },
	[HOSTNAME_PERSIST] = { .name = "persist",
			       .about = "How long a client keeps its server; "
					"null: not at all",
			       .is = SECONDS(1000, 30 * DAY_MS),
			       .nullable = true },
	[HOSTNAME_BACKUP] = { .name = "backup",
			      .about = "Servers used only when all others fail",
			      .is = SET(server_ref, 0, 1024) },
	[HOSTNAME_FAIL] = { .name = "fail",
			    .about = "What is answered when every server "
				     "fails: all, the "
				     "last good one, the backup, no data, or "
				     "SERVFAIL",
			    .is = WORDS(fails),
			    PRESET(0) },
	[HOSTNAME_HIDDEN] = { .name = "hidden",
			      .about = "Servers that no answer shows until all "
				       "others have failed",
			      .is = SET(server_ref, 0, 1024) },
	[HOSTNAME_ECS] = { .name = "ecs",
			   .about = "Whether the client subnet that a resolver "
				    "sends is believed",
			   .is = ONE(SCHEMA_BOOL),
			   PRESET(1) },
	[HOSTNAME_NEXT] = { .name = "next",
			    .about = "Servers used when those in servers fail, "
				     "before the backup",
			    .is = SET(server_ref, 0, 1024) },
	[HOSTNAME_TOLERANCE] = { .name = "tolerance",
				 .about = "What is worse than the best by no "
					  "more than this, in per cent, is as "
					  "good",
				 .is = NUMBER(0, 1000),
				 .preset = true,
				 .fallback = 10 },
	[HOSTNAME_EXPLORE] = { .name = "explore",
			       .about = "One answer in so many may cost twice "
					"as much as others; 0: none",
			       .is = INTEGER(0, 1000000),
			       PRESET(1000) },
	[HOSTNAME_MIN_UP] = { .name = "min-up",
			      .about = "With less than this up, in per cent of "
				       "the weights, servers have failed "
				       "together; if all have, health is "
				       "ignored",
			      .is = NUMBER(0, 100),
			      PRESET(0) },
	[HOSTNAME_ELSE] = { .name = "else",
			    .about = "The hostname whose servers answer when "
				     "all of this one's have failed",
			    .is = ONE(SCHEMA_DNAME) },
	[HOSTNAME_TTL_MIN] = { .name = "ttl-min",
			       .about = "If given: answers live no longer than "
					"the state that they depend on is sure "
					"to, but at least this",
			       .is = SECONDS(0, WEEK_MS) },
	[HOSTNAME_ORDER] = { .name = "order",
			     .about = "The order of several addresses",
			     .is = WORDS(orders),
			     PRESET(CONFIG_ORDER_RANDOM) },
	[HOSTNAME_PERSIST_BY] = { .name = "persist-by",
				  .about =
					  "How a client keeps its server: the "
					  "same on every node by a hash of its "
					  "prefix; by a table of what it was "
					  "given; or by a hash of the "
					  "hostname, the same for all "
					  "clients",
				  .is = WORDS(persists),
				  PRESET(CONFIG_PERSIST_HASH) },
	[HOSTNAME_PERSIST_REFRESH] = { .name = "persist-refresh",
				       .about = "With a table: after this a "
						"client is decided anew, "
						"however often it asks; "
						"without it, never",
				       .is = SECONDS(1000, 365 * DAY_MS) },
	[HOSTNAME_DRY_RUN] = { .name = "dry-run",
			       .about =
				       "Decide and count, but leave the answer "
				       "to the zone",
			       .is = ONE(SCHEMA_BOOL),
			       PRESET(0) },
	[HOSTNAME_ONE_SERVER] = { .name = "one-server",
				  .about = "Whether all addresses of an answer "
					   "are one server's",
				  .is = ONE(SCHEMA_BOOL),
				  PRESET(0) },
	[HOSTNAME_HEALTH] = { .name = "health",
			      .about = "What tests decide: which servers "
				       "answer, or only which tier, with all "
				       "of its servers",
			      .is = WORDS(healths),
			      PRESET(CONFIG_HEALTH_SERVERS) },
	[HOSTNAME_NAME_SERVERS] = { .name = "name-servers",
				    .about = "Whether its NS records are "
					     "decided: a delegation, or the "
					     "apex of a zone or domain",
				    .is = ONE(SCHEMA_BOOL),
				    PRESET(0) },
};
const struct schema_block schema_hostname = { SCHEMA_HOSTNAME,
					      KEYS(hostname_keys) };

static const struct schema_key domain_keys[] = {
	[DOMAIN_NS] = { .name = "ns",
			.about = "Its name servers, the first for the SOA too",
			.is = SET(schema_dname, 1, CONFIG_NS_MAX),
			.required = true },
	[DOMAIN_CONTACT] = { .name = "contact",
			     .about = "Whom to write to, as a domain name; "
				      "without it, "
				      "hostmaster in the domain",
			     .is = ONE(SCHEMA_DNAME) },
	[DOMAIN_TTL] = { .name = "ttl",
			 .about = "Time to live of its SOA and NS records",
			 .is = SECONDS(0, WEEK_MS),
			 PRESET(3600000) },
	[DOMAIN_NEGATIVE_TTL] = { .name = "negative-ttl",
				  .about = "How long others may remember that "
					   "something is not there",
				  .is = SECONDS(0, DAY_MS),
				  PRESET(60000) },
};
const struct schema_block schema_domain = { SCHEMA_DOMAIN, KEYS(domain_keys) };

static const struct schema_key second_keys[] = {
	[SECOND_DOMAIN] = { .name = "domain",
			    .about = "The domain of the second tier that "
				     "hostnames below the root domain are "
				     "mapped to",
			    .is = ONE(SCHEMA_DNAME),
			    .required = true },
	[SECOND_PERSISTENT] = { .name = "persistent-domain",
				.about = "The same for hostnames with persist; "
					 "without it, they are not mapped",
				.is = ONE(SCHEMA_DNAME) },
	[SECOND_TTL] = { .name = "ttl",
			 .about = "Time to live of the aliases",
			 .is = SECONDS(0, WEEK_MS),
			 PRESET(300000) },
};
const struct schema_block schema_second = { SCHEMA_SECOND, KEYS(second_keys) };

#define PATHS                                                                  \
	{                                                                      \
		.type = SCHEMA_LIST, .unique = true, .single = true,           \
		.item = &key_path, .min = 1, .max = CONFIG_PATHS_MAX           \
	}
static const struct schema_key geo_keys[] = {
	[GEO_DATABASES] = { .name = "databases",
			    .about = "Files in MaxMind's format; of two that "
				     "know, the first counts",
			    .is = SET(file, 1, CONFIG_GEO_MAX),
			    .required = true },
	[GEO_COUNTRY] = { .name = "country",
			  .about = "Where a record has the country's code: "
				   "keys, with '/' between them; without it, "
				   "where MaxMind's and flat ones have it",
			  .is = PATHS },
	[GEO_CONTINENT] = { .name = "continent",
			    .about = "The same for the continent's code; where "
				     "there is none, it is the country's",
			    .is = PATHS },
	[GEO_AS] = { .name = "asn",
		     .about = "The same for the number of the autonomous "
			      "system",
		     .is = PATHS },
	[GEO_LOCATION] = { .name = "location",
			   .about = "The same for what holds latitude and "
				    "longitude; \".\": the record itself",
			   .is = PATHS },
};
const struct schema_block schema_geo = { SCHEMA_GEO, KEYS(geo_keys) };

static const struct schema_key clients_keys[] = {
	[CLIENTS_PREFIXES] = { .name = "prefixes",
			       .about = "Their addresses, or their resolvers'",
			       .is = LIST(prefix, 1, 1000000) },
	[CLIENTS_COUNTRIES] = { .name = "countries",
				.about = "Their countries (ISO 3166)",
				.is = LIST(country, 1, 1000) },
	[CLIENTS_CONTINENTS] = { .name = "continents",
				 .about = "Their continents",
				 .is = LIST(continent, 1, 7) },
	[CLIENTS_AS] = { .name = "as",
			 .about = "Their autonomous systems",
			 .is = LIST(as_number, 1, 100000) },
	[CLIENTS_LOCATION] = { .name = "location",
			       .about = "Where they are, whatever a database "
					"says",
			       .is = { .type = SCHEMA_LIST,
				       .tuple = true,
				       .item = degrees,
				       .min = 2,
				       .max = 2 } },
	[CLIENTS_LATENCY] = { .name = "latency",
			      .about = "Their round trip to POPs, in "
				       "milliseconds",
			      .is = VALUES(SCHEMA_POP_NAME, latency, 10000) },
	[CLIENTS_WEIGHTS] = { .name = "weights",
			      .about = "Weights of servers for them, instead "
				       "of the servers' own",
			      .is = VALUES(SCHEMA_SERVER, weight, 100000) },
	[CLIENTS_POPS] = { .name = "pops",
			   .about = "The POPs that they prefer, in this order",
			   .is = SET(pop_ref, 1, 1024) },
};
const struct schema_block schema_clients = { SCHEMA_CLIENTS,
					     KEYS(clients_keys) };
