/* SPDX-License-Identifier: MPL-2.0 */
/* What the side-car measures between places: clients, and other POPs. */
#include "common/schema_int.h"

const char *const config_method_names[CONFIG_METHODS + 1] = {
	[CONFIG_METHOD_PTR] = "ptr",	   [CONFIG_METHOD_ICMP] = "icmp",
	[CONFIG_METHOD_UDP] = "udp",	   [CONFIG_METHOD_TTL] = "ttl",
	[CONFIG_METHOD_ASPATH] = "aspath",
};
/* The order of enum config_measure. */
static const char *const measures[] = { "always", "failed", "never", NULL };
/* The order of enum config_gone. */
static const char *const gones[] = { "keep", "down", NULL };

static const struct schema_item prefix = ONE(SCHEMA_PREFIX);
static const struct schema_item pop_ref = ONE(SCHEMA_POP_NAME);
static const struct schema_item method = WORDS(config_method_names);

static const struct schema_key rule_keys[] = {
	[LATENCY_RULE_PREFIXES] = { .name = "prefixes",
				    .about = "The clients; of two rules that "
					     "have a client the one with the "
					     "longer prefix holds",
				    .is = LIST(prefix, 1, 10000),
				    .required = true },
	[LATENCY_RULE_METHODS] = { .name = "methods",
				   .about = "How they are measured; without "
					    "it, as all others",
				   .is = SET(method, 1, CONFIG_METHODS) },
	[LATENCY_RULE_WHEN] = { .name = "when",
				.about = "When they are; without it, as all "
					 "others",
				.is = WORDS(measures) },
};
static const struct schema_block rule = { SCHEMA_LATENCY_RULE,
					  KEYS(rule_keys) };
static const struct schema_item rule_item = BLOCK(rule);

static const struct schema_key mrt_keys[] = {
	[MRT_FILE] = { .name = "file",
		       .about = "A dump of a BGP table in the format MRT "
				"(TABLE_DUMP_V2 or TABLE_DUMP), not compressed",
		       .is = { .type = SCHEMA_PATH, .min = 1, .max = 1024 },
		       .required = true },
	[MRT_HOP] = { .name = "hop",
		      .about = "What each AS on the way to a client counts for",
		      .is = DURATION(1, 1000),
		      PRESET(30) },
	[MRT_INTERVAL] = { .name = "interval",
			   .about = "From one look whether the file is another "
				    "one to the next",
			   .is = DURATION(1000, DAY_MS),
			   PRESET(60000) },
};
static const struct schema_block mrt = { SCHEMA_LATENCY_MRT, KEYS(mrt_keys) };

static const struct schema_key latency_keys[] = {
	[LATENCY_METHODS] = { .name = "methods",
			      .about = "How clients are measured, the first "
				       "first; without it, ptr, icmp, udp, "
				       "ttl, and with \"mrt\" aspath",
			      .is = SET(method, 1, CONFIG_METHODS) },
	[LATENCY_WHEN] = { .name = "when",
			   .about = "When they are: whenever it is wanted, "
				    "while a server that this node tests is "
				    "down, or never",
			   .is = WORDS(measures),
			   PRESET(CONFIG_MEASURE_ALWAYS) },
	[LATENCY_RATE] = { .name = "rate",
			   .about = "Packets in a second, at most, to all "
				    "clients together",
			   .is = INTEGER(1, CONFIG_RATE_MAX),
			   PRESET(50) },
	[LATENCY_CLIENT_RATE] = { .name = "client-rate",
				  .about =
					  "Packets in an hour, at most, to one "
					  "client",
				  .is = INTEGER(1, 3600),
				  PRESET(20) },
	[LATENCY_PREFIX_RATE] = { .name = "prefix-rate",
				  .about =
					  "Packets in an hour, at most, to the "
					  "clients of one group",
				  .is = INTEGER(1, 36000),
				  PRESET(40) },
	[LATENCY_TIMEOUT] = { .name = "timeout",
			      .about = "How long an answer may take",
			      .is = DURATION(100, 10000),
			      PRESET(2000) },
	[LATENCY_OPT_OUT] = { .name = "opt-out",
			      .about = "Clients that are sent nothing, ever",
			      .is = LIST(prefix, 0, 100000) },
	[LATENCY_RULES] = { .name = "rules",
			    .about = "Clients that are measured otherwise",
			    .is = LIST(rule_item, 0, 1000) },
	[LATENCY_ABOUT] = { .name = "about",
			    .about = "Who measures, and where to complain; it "
				     "is in every packet that has room for it",
			    .is = TEXT(1, 200) },
	[LATENCY_TCP_PORT] = { .name = "tcp-port",
			       .about = "The port of named whose TCP "
					"connections tell round trips for "
					"nothing; 0: none",
			       .is = INTEGER(0, 65535),
			       PRESET(53) },
	[LATENCY_MRT] = { .name = "mrt",
			  .about = "A table of routes, for clients that cannot "
				   "be measured: \"aspath\" of \"methods\"",
			  .is = BLOCK(mrt) },
};
const struct schema_block schema_latency = { SCHEMA_LATENCY,
					     KEYS(latency_keys) };

static const struct schema_key reach_keys[] = {
	[REACH_FROM] = { .name = "from",
			 .about = "The POPs whose nodes probe all POPs that "
				  "have an address",
			 .is = SET(pop_ref, 1, 64),
			 .required = true },
	[REACH_INTERVAL] = { .name = "interval",
			     .about = "From one round to the next; a round's "
				      "packets are spread over it",
			     .is = DURATION(1000, 3600000),
			     PRESET(10000) },
	[REACH_PACKETS] = { .name = "packets",
			    .about = "Packets to each POP in a round",
			    .is = INTEGER(1, CONFIG_REACH_PACKETS_MAX),
			    PRESET(10) },
	[REACH_SIZE] = { .name = "size",
			 .about = "Octets of data in each",
			 .is = INTEGER(32, 1400),
			 PRESET(56) },
	[REACH_GONE] = { .name = "gone",
			 .about = "What becomes of servers at a POP that "
				  "answers no packet, or whose values are too "
				  "old while those of others are not: as their "
				  "tests say, or down",
			 .is = WORDS(gones),
			 PRESET(CONFIG_GONE_DOWN) },
};
const struct schema_block schema_reach = { SCHEMA_REACH, KEYS(reach_keys) };
