/* SPDX-License-Identifier: MPL-2.0 */
#include "common/schema_int.h"

/* The order of enum config_transport. */
static const char *const transports[] = { "tcp", "udp", "tls", NULL };
/* The order of enum config_names. */
static const char *const names[] = { "none", "proofs", "transfer", NULL };
/* The order of enum config_fill. */
static const char *const fills[] = { "none", "zone", NULL };

static const struct schema_key tls_keys[] = {
	[TLS_NAME] = { .name = "name",
		       .about = "The name that the origin's certificate must "
				"hold; "
				"without it, the address",
		       .is = ONE(SCHEMA_DNAME) },
	[TLS_CA_FILE] = { .name = "ca-file",
			  .about = "File (PEM) of the authorities trusted to "
				   "sign it; "
				   "without it, the system's",
			  .is = { .type = SCHEMA_PATH,
				  .min = 1,
				  .max = 1024 } },
};
static const struct schema_block tls = { SCHEMA_TLS, KEYS(tls_keys) };

static const struct schema_key origin_keys[] = {
	[ORIGIN_ADDRESS] = { .name = "address",
			     .about = "The origin's address",
			     .is = ONE(SCHEMA_ADDRESS),
			     .required = true },
	[ORIGIN_PORT] = { .name = "port",
			  .about = "Its port; without it, 53, or 853 with "
				   "transport "
				   "\"tls\"",
			  .is = INTEGER(1, 65535) },
	[ORIGIN_TRANSPORT] = { .name = "transport",
			       .about = "How it is asked",
			       .is = WORDS(transports),
			       PRESET(CONFIG_TCP) },
	[ORIGIN_KEY] = { .name = "key",
			 .about =
				 "The TSIG key to sign with: the name of a key "
				 "statement in named.conf",
			 .is = ONE(SCHEMA_DNAME) },
	[ORIGIN_SOURCE] = { .name = "source",
			    .about = "The address to ask from, of the same "
				     "family",
			    .is = ONE(SCHEMA_ADDRESS) },
	[ORIGIN_TLS] = { .name = "tls",
			 .about = "How its certificate is checked; only with "
				  "transport \"tls\"",
			 .is = BLOCK(tls) },
	[ORIGIN_TIMEOUT] = { .name = "timeout",
			     .about = "How long one try may take",
			     .is = DURATION(100, 30000),
			     PRESET(2000) },
};
static const struct schema_block origin = { SCHEMA_ORIGIN, KEYS(origin_keys) };
static const struct schema_item origin_item = BLOCK(origin);

static const struct schema_key ttl_keys[] = {
	[TTL_MIN] = { .name = "min",
		      .about = "Answers are kept at least so long",
		      .is = SECONDS(0, WEEK_MS),
		      PRESET(0) },
	[TTL_MAX] = { .name = "max",
		      .about = "Answers are kept at most so long",
		      .is = SECONDS(0, WEEK_MS),
		      PRESET(DAY_MS) },
	[TTL_NEGATIVE_MAX] = { .name = "negative-max",
			       .about = "Answers that say no are kept at most "
					"so long",
			       .is = SECONDS(0, WEEK_MS),
			       PRESET(3600000) },
};
static const struct schema_block ttl = { SCHEMA_TTL, KEYS(ttl_keys) };

/* The order of enum config_mode. */
static const char *const modes[] = { "off", "observe", "on", NULL };

static const struct schema_key admission_keys[] = {
	[ADMISSION_MISSES] = { .name = "misses",
			       .about = "Over miss-factor times normal, the "
					"origin is asked only for names that "
					"exist",
			       .is = WORDS(modes),
			       PRESET(CONFIG_MODE_ON) },
	[ADMISSION_REPEATS] = { .name = "repeats",
				.about = "Over miss-factor times normal, who "
					 "repeats a question well before its "
					 "time is over is slowed down",
				.is = WORDS(modes),
				PRESET(CONFIG_MODE_ON) },
	[ADMISSION_UNKNOWN] = { .name = "unknown",
				.about = "Over unknown-factor times normal, "
					 "from sources all over, only known "
					 "clients are answered by UDP",
				.is = WORDS(modes),
				PRESET(CONFIG_MODE_ON) },
	[ADMISSION_SUFFIXES] = { .name = "suffixes",
				 .about = "A suffix below which many names are "
					  "asked for that do not exist costs "
					  "no questions to origins",
				 .is = WORDS(modes),
				 PRESET(CONFIG_MODE_ON) },
	[ADMISSION_NORMAL] = { .name = "normal",
			       .about = "Queries a second that are normal for "
					"the zone; without it, what is "
					"learned, at least 100",
			       .is = INTEGER(1, 100000000) },
	[ADMISSION_MISS_FACTOR] = { .name = "miss-factor",
				    .about = "So many times normal is an "
					     "attack",
				    .is = INTEGER(2, 100000),
				    PRESET(20) },
	[ADMISSION_UNKNOWN_FACTOR] = { .name = "unknown-factor",
				       .about = "So many times normal is one "
						"that unknown clients are not "
						"answered in",
				       .is = INTEGER(2, 100000),
				       PRESET(50) },
};
static const struct schema_block admission = { SCHEMA_ADMISSION,
					       KEYS(admission_keys) };

static const struct schema_key zone_keys[] = {
	[ZONE_NAME] = { .name = "name",
			.about = "The zone's name, where its key in \"zones\" "
				 "is "
				 "not: for one zone with different origins in "
				 "different views",
			.is = ONE(SCHEMA_DNAME) },
	[ZONE_ORIGINS] = { .name = "origins",
			   .about = "The zone's hidden primaries, in order of "
				    "preference",
			   .is = LIST(origin_item, 1, CONFIG_ORIGINS_MAX),
			   .required = true },
	[ZONE_TTL] = { .name = "ttl",
		       .about = "Bounds of the time that answers are kept",
		       .is = BLOCK(ttl) },
	[ZONE_STALE] = { .name = "stale",
			 .about = "How long an answer may be served after its "
				  "time "
				  "when no origin answers; 0: never",
			 .is = SECONDS(0, 30 * DAY_MS),
			 PRESET(DAY_MS) },
	[ZONE_PREFETCH] = { .name = "prefetch",
			    .about = "Ask again for popular answers before "
				     "their time is over",
			    .is = ONE(SCHEMA_BOOL),
			    PRESET(1) },
	[ZONE_CLIENT_TIMEOUT] = { .name = "client-timeout",
				  .about = "How long a client waits for the "
					   "origin where "
					   "there is a stale answer",
				  .is = DURATION(10, 10000),
				  PRESET(400) },
	[ZONE_POLL] = { .name = "poll",
			.about = "Time between two looks at the origins' "
				 "serial; 0: "
				 "only when they send NOTIFY",
			.is = SECONDS(0, DAY_MS),
			PRESET(0) },
	[ZONE_NAMES] = { .name = "names",
			 .about = "How the edge tells by itself that a name "
				  "does not exist: \"none\": it asks; "
				  "\"proofs\": by the zone's NSEC and NSEC3 "
				  "records; \"transfer\": the same, and of an "
				  "unsigned zone all names are transferred",
			 .is = WORDS(names),
			 PRESET(0) },
	[ZONE_FILL] = { .name = "fill",
			.about =
				"Have the whole zone in memory from the first "
				"miss on, by a transfer of it; none: only what "
				"clients ask for",
			.is = WORDS(fills),
			PRESET(CONFIG_FILL_NONE) },
	[ZONE_FILL_MAX] = { .name = "fill-max",
			    .about = "Records of a zone that is not too large "
				     "for it",
			    .is = INTEGER(1, CONFIG_FILL_RECORDS_MAX),
			    PRESET(10000) },
	[ZONE_ADMISSION] = { .name = "admission",
			     .about = "What happens under attack",
			     .is = BLOCK(admission) },
	[ZONE_ORIGIN_RATE] = { .name = "origin-rate",
			       .about = "Questions a second to the zone's "
					"origins, of all causes, at most; "
					"without it, any number",
			       .is = INTEGER(1, 10000000) },
};
const struct schema_block schema_zone = { SCHEMA_ZONE, KEYS(zone_keys) };
