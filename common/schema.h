/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * schema - the tables that say what a configuration may hold: one table a
 * block.  The checker, the builder, the JSON Schema and the test of the man
 * page are all driven by them, so they cannot disagree.
 *
 * Constant data, and one function that prints it; any thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEMA_KEYS_MAX 32u  /* in one block */
#define SCHEMA_NAME_MAX 255u /* octets of a key in a map, but for names */

enum schema_type {
	SCHEMA_BLOCK,	 /* an object as 'block' says */
	SCHEMA_MAP,	 /* an object: names of type 'named' to 'block's, or to
			    'item's, which are numbers */
	SCHEMA_LIST,	 /* an array of min..max times 'item' */
	SCHEMA_WORD,	 /* one of 'words' */
	SCHEMA_TEXT,	 /* a string of min..max octets */
	SCHEMA_PATH,	 /* an absolute path of at most max octets */
	SCHEMA_URLPATH,	 /* begins with '/', at most max octets */
	SCHEMA_ID,	 /* 1..63 letters, digits, '-', '_', '.' */
	SCHEMA_DNAME,	 /* a domain name */
	SCHEMA_ADDRESS,	 /* a numeric IPv4 or IPv6 address */
	SCHEMA_LISTEN,	 /* the same, or all of this machine's */
	SCHEMA_SERVER,	 /* the name of a server of some POP */
	SCHEMA_SERVICE,	 /* the name of a service */
	SCHEMA_POP_NAME, /* the name of a POP */
	SCHEMA_PREFIX,	 /* an IPv4 or IPv6 prefix */
	SCHEMA_COUNTRY,	 /* two capital letters (ISO 3166) */
	SCHEMA_BOOL,	 /* true or false */
	SCHEMA_INTEGER,	 /* min..max */
	SCHEMA_NUMBER,	 /* min..max, perhaps with a fraction */
	SCHEMA_DURATION, /* min..max milliseconds, in steps of 'step' */
	SCHEMA_SIZE,	 /* min..max octets */
	SCHEMA_SPAN,	 /* a number of min..max, or two: "200-299" */
};

struct schema_block;

/* What a value must be. */
struct schema_item {
	enum schema_type type;
	enum schema_type named; /* MAP */
	bool unique;		/* LIST: no element twice */
	bool tuple;		/* LIST: of item[0], item[1], ... */
	bool single;		/* LIST of strings, or of spans: one may stand
				   alone */
	uint32_t step;		/* DURATION */
	int64_t min, max;
	const char *const *words; /* NULL-terminated */
	const struct schema_block *block;
	const struct schema_item *item;
};

struct schema_key {
	const char *name;
	const char *about; /* one sentence without its full stop */
	struct schema_item is;
	bool required;
	bool nullable;		   /* null is the same as not given */
	bool preset;		   /* has a default: one of the next two */
	int64_t fallback;	   /* in the unit of min and max; BOOL: 0, 1;
				      WORD: index */
	const char *fallback_text; /* TEXT, PATH, URLPATH */
};

enum schema_block_id {
	SCHEMA_ROOT,
	SCHEMA_CACHE,
	SCHEMA_CONTROL,
	SCHEMA_LIMITS,
	SCHEMA_FEED,
	SCHEMA_NOTIFY,
	SCHEMA_METRICS,
	SCHEMA_JOURNAL,
	SCHEMA_ZONE,
	SCHEMA_ORIGIN,
	SCHEMA_TLS,
	SCHEMA_TTL,
	SCHEMA_ONE_SERVICE,
	SCHEMA_EXPECT,
	SCHEMA_DAMPING,
	SCHEMA_QUESTION,
	SCHEMA_POP,
	SCHEMA_ONE_SERVER,
	SCHEMA_HOSTNAME,
	SCHEMA_WEIGH,
	SCHEMA_DOMAIN,
	SCHEMA_MAX_AGE,
	SCHEMA_GEO,
	SCHEMA_CLIENTS,
	SCHEMA_SECOND,
	SCHEMA_LOAD,
	SCHEMA_SNMP,
	SCHEMA_LATENCY,
	SCHEMA_LATENCY_RULE,
	SCHEMA_LATENCY_MRT,
	SCHEMA_REACH,
	SCHEMA_ADMISSION,
};

struct schema_block {
	enum schema_block_id id;
	const struct schema_key *keys;
	size_t n_keys; /* at most SCHEMA_KEYS_MAX */
};

/* Places of keys in their tables, for the builder. */
enum {
	ROOT_VERSION,
	ROOT_SERIAL,
	ROOT_CACHE,
	ROOT_CONTROL,
	ROOT_LIMITS,
	ROOT_FEED,
	ROOT_NOTIFY,
	ROOT_METRICS,
	ROOT_JOURNAL,
	ROOT_ZONES,
	ROOT_SERVICES,
	ROOT_POPS,
	ROOT_HOSTNAMES,
	ROOT_DOMAINS,
	ROOT_MAX_AGE,
	ROOT_GEO,
	ROOT_CLIENTS,
	ROOT_SECOND,
	ROOT_LATENCY,
	ROOT_REACH
};
enum { CACHE_SIZE, CACHE_STATE_DIRECTORY, CACHE_SNAPSHOT };
enum { CONTROL_SOCKET };
enum { LIMITS_WAITERS, LIMITS_GROUPS, LIMITS_CLIENTS, LIMITS_KNOWN };
enum { FEED_ROWS, FEED_INTERVAL };
enum { NOTIFY_ADDRESS, NOTIFY_PORT };
enum { METRICS_ADDRESS, METRICS_PORT };
enum { JOURNAL_KEY_SIZE, JOURNAL_KEY_DECISIONS, JOURNAL_KEY_AGE };
enum {
	ZONE_NAME,
	ZONE_ORIGINS,
	ZONE_TTL,
	ZONE_STALE,
	ZONE_PREFETCH,
	ZONE_CLIENT_TIMEOUT,
	ZONE_POLL,
	ZONE_NAMES,
	ZONE_FILL,
	ZONE_FILL_MAX,
	ZONE_ADMISSION,
	ZONE_ORIGIN_RATE
};
/* The filters first, in the order of enum config_filter. */
enum {
	ADMISSION_MISSES,
	ADMISSION_REPEATS,
	ADMISSION_UNKNOWN,
	ADMISSION_SUFFIXES,
	ADMISSION_NORMAL,
	ADMISSION_MISS_FACTOR,
	ADMISSION_UNKNOWN_FACTOR
};
enum {
	ORIGIN_ADDRESS,
	ORIGIN_PORT,
	ORIGIN_TRANSPORT,
	ORIGIN_KEY,
	ORIGIN_SOURCE,
	ORIGIN_TLS,
	ORIGIN_TIMEOUT
};
enum { TLS_NAME, TLS_CA_FILE };
enum { TTL_MIN, TTL_MAX, TTL_NEGATIVE_MAX };
enum {
	SERVICE_PROBE,
	SERVICE_PORT,
	SERVICE_PATH,
	SERVICE_EXPECT,
	SERVICE_INTERVAL,
	SERVICE_TIMEOUT,
	SERVICE_RISE,
	SERVICE_FALL,
	SERVICE_HOST,
	SERVICE_VERIFY,
	SERVICE_CA_FILE,
	SERVICE_MAX_AGE,
	SERVICE_JITTER,
	SERVICE_FAST_INTERVAL,
	SERVICE_DEGRADED,
	SERVICE_DAMPING,
	SERVICE_QUORUM,
	SERVICE_SOURCE,
	SERVICE_METHOD,
	SERVICE_HEADERS,
	SERVICE_STARTTLS,
	SERVICE_QUESTION,
	SERVICE_COMMAND,
	SERVICE_PERFDATA
};
enum {
	EXPECT_STATUS,
	EXPECT_BODY,
	EXPECT_REGEX,
	EXPECT_HEADERS,
	EXPECT_SIZE_MIN,
	EXPECT_SIZE_MAX,
	EXPECT_SHA256,
	EXPECT_RCODE,
	EXPECT_ANSWERS,
	EXPECT_VALID
};
enum { DAMPING_HALF_LIFE, DAMPING_SUPPRESS, DAMPING_REUSE, DAMPING_LONGEST };
enum { QUESTION_NAME, QUESTION_TYPE, QUESTION_TRANSPORT };
enum {
	POP_LOCATION,
	POP_PROBE,
	POP_SERVERS,
	POP_NEAR,
	POP_LOAD,
	POP_SNMP,
	POP_ADDRESS
};
enum {
	LOAD_URL,
	LOAD_PORT,
	LOAD_PATH,
	LOAD_FORMULA,
	LOAD_INTERVAL,
	LOAD_TIMEOUT
};
enum {
	SNMP_ADDRESS,
	SNMP_PORT,
	SNMP_CREDENTIALS,
	SNMP_INTERFACES,
	SNMP_CAPACITY,
	SNMP_DIRECTION,
	SNMP_INTERVAL,
	SNMP_TIMEOUT
};
enum {
	SERVER_ADDRESSES,
	SERVER_WEIGHT,
	SERVER_CAPACITY,
	SERVER_SERVICES,
	SERVER_ALIAS,
	SERVER_SHED,
	SERVER_SLOW_START,
	SERVER_FAILBACK,
	SERVER_NEEDS,
	SERVER_MAINTENANCE,
	SERVER_NAME_SERVER,
	SERVER_LOAD
};
enum { WEIGH_LATENCY, WEIGH_LOAD, WEIGH_LOSS, WEIGH_BANDWIDTH, WEIGH_UNKNOWN };
enum { MAX_AGE_LATENCY, MAX_AGE_LOSS, MAX_AGE_BANDWIDTH, MAX_AGE_LOAD };
enum { GEO_DATABASES, GEO_COUNTRY, GEO_CONTINENT, GEO_AS, GEO_LOCATION };
enum {
	CLIENTS_PREFIXES,
	CLIENTS_COUNTRIES,
	CLIENTS_CONTINENTS,
	CLIENTS_AS,
	CLIENTS_LOCATION,
	CLIENTS_LATENCY,
	CLIENTS_WEIGHTS,
	CLIENTS_POPS
};
enum {
	LATENCY_METHODS,
	LATENCY_WHEN,
	LATENCY_RATE,
	LATENCY_CLIENT_RATE,
	LATENCY_PREFIX_RATE,
	LATENCY_TIMEOUT,
	LATENCY_OPT_OUT,
	LATENCY_RULES,
	LATENCY_ABOUT,
	LATENCY_TCP_PORT,
	LATENCY_MRT
};
enum { LATENCY_RULE_PREFIXES, LATENCY_RULE_METHODS, LATENCY_RULE_WHEN };
enum { MRT_FILE, MRT_HOP, MRT_INTERVAL };
enum { REACH_FROM, REACH_INTERVAL, REACH_PACKETS, REACH_SIZE, REACH_GONE };
enum { SECOND_DOMAIN, SECOND_PERSISTENT, SECOND_TTL };
enum { DOMAIN_NS, DOMAIN_CONTACT, DOMAIN_TTL, DOMAIN_NEGATIVE_TTL };
enum {
	HOSTNAME_SERVICE,
	HOSTNAME_SERVERS,
	HOSTNAME_ANSWERS,
	HOSTNAME_TTL,
	HOSTNAME_WEIGH,
	HOSTNAME_PERSIST,
	HOSTNAME_BACKUP,
	HOSTNAME_FAIL,
	HOSTNAME_HIDDEN,
	HOSTNAME_ECS,
	HOSTNAME_NEXT,
	HOSTNAME_TOLERANCE,
	HOSTNAME_EXPLORE,
	HOSTNAME_MIN_UP,
	HOSTNAME_ELSE,
	HOSTNAME_TTL_MIN,
	HOSTNAME_ORDER,
	HOSTNAME_PERSIST_BY,
	HOSTNAME_PERSIST_REFRESH,
	HOSTNAME_DRY_RUN,
	HOSTNAME_ONE_SERVER,
	HOSTNAME_HEALTH,
	HOSTNAME_NAME_SERVERS
};

extern const struct schema_block schema_root; /* the whole document */

/*
 * Prints the JSON Schema (draft 2020-12) of the document.  Returns 0 and sets
 * '*textp', NUL-terminated with a final newline, which the caller frees; or
 * -ENOMEM.
 */
int schema_text(char **textp);

/*
 * Writes the default of 'key' as JSON ("\"1d\"", "53") into 'out' (size > 0),
 * or "" if it has none; returns the length.
 */
size_t schema_fallback_print(const struct schema_key *key, char *out,
			     size_t size);
