/* SPDX-License-Identifier: MPL-2.0 */
#include "common/formula.h"
#include "common/schema_int.h"

/* The order of enum config_direction. */
static const char *const directions[] = { "larger", "in", "out", NULL };

static const struct schema_item interface = TEXT(1, 64);

static const struct schema_key load_keys[] = {
	[LOAD_URL] = { .name = "url",
		       .about = "Where its prometheus-node-exporter is, if "
				"not at its first address; of one server",
		       .is = TEXT(1, 1024) },
	[LOAD_PORT] = { .name = "port",
			.about = "The port of prometheus-node-exporter at the "
				 "server's first address",
			.is = INTEGER(1, 65535),
			PRESET(9100) },
	[LOAD_PATH] = { .name = "path",
			.about = "What to ask it for",
			.is = { .type = SCHEMA_URLPATH, .min = 1, .max = 1024 },
			PRESET_S("/metrics") },
	[LOAD_FORMULA] = { .name = "formula",
			   .about = "What the load is, worked out from what "
				    "the machine says",
			   .is = TEXT(1, FORMULA_TEXT_MAX),
			   PRESET_S(FORMULA_DEFAULT) },
	[LOAD_INTERVAL] = { .name = "interval",
			    .about = "Time from one look to the next",
			    .is = DURATION(1000, DAY_MS),
			    PRESET(15000) },
	[LOAD_TIMEOUT] = { .name = "timeout",
			   .about = "How long one may take, not over the "
				    "interval",
			   .is = DURATION(100, 60000),
			   PRESET(2000) },
};
const struct schema_block schema_load = { SCHEMA_LOAD, KEYS(load_keys) };

static const struct schema_key snmp_keys[] = {
	[SNMP_ADDRESS] = { .name = "address",
			   .about = "Where the switch listens for SNMP",
			   .is = ONE(SCHEMA_ADDRESS),
			   .required = true },
	[SNMP_PORT] = { .name = "port",
			.about = "The port of it, UDP",
			.is = INTEGER(1, 65535),
			PRESET(161) },
	[SNMP_CREDENTIALS] = { .name = "credentials",
			       .about = "File with the community, or user and "
					"keys, that only the side-car can "
					"read",
			       .is = { .type = SCHEMA_PATH,
				       .min = 1,
				       .max = 1024 },
			       .required = true },
	[SNMP_INTERFACES] = { .name = "interfaces",
			      .about = "Interfaces whose octets are added up, "
				       "by name (ifName) or number (ifIndex)",
			      .is = SET(interface, 1, CONFIG_INTERFACES_MAX),
			      .required = true },
	[SNMP_CAPACITY] = { .name = "capacity",
			    .about = "Bits a second, in one direction, that "
				     "are 100 per cent",
			    .is = INTEGER(1000, INT64_C(1000000000000000)),
			    .required = true },
	[SNMP_DIRECTION] = { .name = "direction",
			     .about = "Which direction counts",
			     .is = WORDS(directions),
			     PRESET(CONFIG_LARGER) },
	[SNMP_INTERVAL] = { .name = "interval",
			    .about = "Time from one look at the counters to "
				     "the next",
			    .is = DURATION(1000, DAY_MS),
			    PRESET(30000) },
	[SNMP_TIMEOUT] = { .name = "timeout",
			   .about = "How long the switch has for an answer, "
				    "each of two times",
			   .is = DURATION(100, 5000),
			   PRESET(1000) },
};
const struct schema_block schema_snmp = { SCHEMA_SNMP, KEYS(snmp_keys) };
