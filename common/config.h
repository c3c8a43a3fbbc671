/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * config - the configuration file: one JSON document for the whole network.
 *
 * Check and load are one function: config_load() validates everything and
 * then builds; a document with any error builds nothing.  A config is
 * immutable and self-contained; it is freed with config_free().  Runs on any
 * thread; reads one file and touches nothing else.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/dname.h"
#include "common/err.h"

#define CONFIG_FILE_MAX	     (256u << 20) /* octets */
#define CONFIG_ORIGINS_MAX   16u	  /* of one zone */
#define CONFIG_ZONES_MAX     1000000u
#define CONFIG_SOCKET_MAX    107u  /* octets of a unix socket's path */
#define CONFIG_CHOICE_MAX    1024u /* addresses of a family behind a hostname */
#define CONFIG_ELSE_MAX	     8u	   /* hostnames that stand in for each other */
#define CONFIG_ALIASES_MAX   4u	   /* hostnames that an alias leads through */
#define CONFIG_HOSTNAMES_MAX 1000000u
#define CONFIG_SECONDS_MAX   64u /* root domains of a second tier */
#define CONFIG_NS_MAX	     13u
#define CONFIG_NOTIFY_MAX    16u   /* addresses to listen on for NOTIFY */
#define CONFIG_NOTIFY_PORT   5399u /* beside named's own port */
#define CONFIG_METRICS_MAX   16u   /* addresses to be scraped at */
#define CONFIG_METRICS_PORT  5398u
#define CONFIG_GEO_MAX	     8u
#define CONFIG_PATHS_MAX     8u		/* ways to one fact in a database */
#define CONFIG_NONE	     UINT32_MAX /* no service, no POP */

#define CONFIG_JOURNAL_LEAST   (1 << 20) /* octets, if there is one */
#define CONFIG_STATE_DIRECTORY "/var/lib/bind/nearzone" /* the default */

enum config_transport { CONFIG_TCP, CONFIG_UDP, CONFIG_TLS };

#define CONFIG_FILL_RECORDS_MAX 1000000 /* of a zone that is filled */

enum config_fill { CONFIG_FILL_NONE, CONFIG_FILL_ZONE };

/* An origin server of a zone, as asked. */
struct config_origin {
	struct sockaddr_storage address; /* with the port */
	struct sockaddr_storage source;	 /* ss_family 0: any */
	enum config_transport transport;
	struct dname key;     /* TSIG key name in named.conf; n 0: none */
	const char *tls_name; /* certificate name, NULL: the address */
	const char *tls_ca;   /* file of trusted CAs, NULL: the system's */
	uint32_t timeout_ms;  /* for one try: 100..30000 */
};

/* How the edge knows which names do not exist. */
enum config_names {
	CONFIG_NAMES_NONE,     /* it asks an origin for each */
	CONFIG_NAMES_PROOFS,   /* by what NSEC and NSEC3 records prove */
	CONFIG_NAMES_TRANSFER, /* the same; in an unsigned zone, by a transfer
				*/
};

/* Of "admission". */
enum config_filter {
	CONFIG_FILTER_MISSES,
	CONFIG_FILTER_REPEATS,
	CONFIG_FILTER_UNKNOWN,
	CONFIG_FILTER_SUFFIXES,
	CONFIG_FILTERS
};
enum config_mode { CONFIG_MODE_OFF, CONFIG_MODE_OBSERVE, CONFIG_MODE_ON };

/* What happens to a zone under attack. */
struct config_admission {
	uint8_t mode[CONFIG_FILTERS]; /* enum config_mode */
	uint32_t normal;	      /* queries a second; 0: learned */
	uint32_t miss_factor, unknown_factor;
	uint32_t origin_rate; /* questions a second; 0: any number */
	bool any;	      /* some filter is not off */
};

struct config_zone {
	const char *id; /* its key in "zones", as written */
	struct dname name;
	size_t n_origins; /* 1..CONFIG_ORIGINS_MAX */
	const struct config_origin *origins;
	uint32_t ttl_min_s;	     /* 0..604800 */
	uint32_t ttl_max_s;	     /* 0..604800, >= ttl_min_s */
	uint32_t ttl_negative_max_s; /* 0..604800 */
	uint32_t stale_s;	     /* 0: never serve stale */
	bool prefetch;		     /* renew popular answers in time */
	uint32_t client_timeout_ms;  /* then stale answers: 10..10000 */
	uint32_t poll_s;	     /* 0: serials are not polled */
	enum config_names names;
	enum config_fill fill; /* at the first miss */
	uint32_t fill_max;     /* records of a zone that is filled */
	struct config_admission admission;
	unsigned long line; /* where the zone begins in the file */
};

enum config_probe {
	CONFIG_NOLOAD, /* nobody tests it: always up, load 1 */
	CONFIG_TCP_CONNECT,
	CONFIG_HTTP,
	CONFIG_HTTPS,
	CONFIG_HTTP2,
	CONFIG_TLS_ONLY,
	CONFIG_FTP,
	CONFIG_FTPS,
	CONFIG_SMTP,
	CONFIG_RTSP,
	CONFIG_RTMP,
	CONFIG_DNS,
	CONFIG_PROGRAM,
	CONFIG_PROBES
};
/* As in the configuration, and NULL. */
extern const char *const config_probe_names[CONFIG_PROBES + 1];

#define CONFIG_ARGUMENTS_MAX 32
#define CONFIG_QUORUM_MAX    8
#define CONFIG_STATUSES_MAX  8
#define CONFIG_BODY_MAX	     (16 << 20) /* octets, "size-max" */

enum config_request {
	CONFIG_REQUEST_OWN, /* the kind's own */
	CONFIG_GET,
	CONFIG_HEAD,
	CONFIG_OPTIONS,
	CONFIG_DESCRIBE,
};

struct config_span {
	uint16_t low, high;
};

/* What a good answer is; nothing is wanted of what is 0 or NULL. */
struct config_expect {
	size_t n_statuses;
	struct config_span statuses[CONFIG_STATUSES_MAX];
	const char *body;    /* must be in it */
	const char *pattern; /* POSIX extended, must match */
	size_t n_headers;
	const char *const *headers; /* "Name" or "Name: what is in it" */
	uint64_t size_min;
	uint64_t size_max; /* UINT64_MAX: any */
	bool hashed;
	uint8_t sha256[32];
	uint32_t rcodes; /* bits; 0: NOERROR */
	size_t n_answers;
	const char *const *answers; /* that must be there, as text */
	uint32_t valid_s;	    /* of the certificate, from now */
};

/* RFC 2439: each failure adds 1 to a penalty that halves in 'half_life_ms'. */
struct config_damping {
	uint32_t half_life_ms; /* 0: none */
	uint32_t longest_ms;   /* held down, for all that */
	double suppress;       /* from this penalty on it is held down */
	double reuse;	       /* below this one no more */
};

/* What "dns" asks. */
struct config_question {
	const struct dname *name;
	uint16_t type;
	bool tcp;
};

#define CONFIG_FAILBACK_AUTO 0 /* of "failback" */

/* How a server is tested, and what its load means. */
struct config_service {
	const char *id;
	enum config_probe probe;
	uint16_t port;	  /* never 0, but with CONFIG_NOLOAD */
	const char *path; /* "/health" */
	const char *host; /* Host and SNI: as given, else the first hostname
			     that uses the service; NULL: the address */
	struct config_expect expect;
	enum config_request method;
	size_t n_headers;
	const char *const *headers; /* more of the request, "Name: text" */
	bool starttls;
	struct config_question question; /* of "dns" */
	size_t n_command;
	const char *const *command; /* of "program", and NULL */
	const char *perfdata;	    /* label of the metric; NULL: time */
	/* port 0; family AF_UNSPEC: the kernel chooses */
	struct sockaddr_storage source4, source6;
	bool verify;	     /* the certificate */
	const char *ca_file; /* NULL: the system's */
	uint32_t interval_ms, timeout_ms;
	uint32_t fast_ms;     /* the interval while the state is in doubt */
	uint32_t max_age_ms;  /* older values are unknown */
	uint8_t jitter_pct;   /* of the interval, 0..50 */
	uint8_t rise, fall;   /* 1..100 */
	uint8_t quorum;	      /* nodes that must agree, 1.. */
	uint32_t degraded_ms; /* slower: load; 0: never */
	struct config_damping damping;
};

/* True if both ask the same and want the same answer. */
bool config_service_same(const struct config_service *a,
			 const struct config_service *b);
/* How the load of a machine is read: prometheus-node-exporter. */
struct config_load {
	const char *url; /* NULL: by the server's first address */
	uint16_t port;
	const char *path;
	const char *formula; /* common/formula.h reads it */
	uint32_t interval_ms, timeout_ms;
	unsigned long line;
};

#define CONFIG_INTERFACES_MAX 32u /* of a switch, added up */

enum config_direction { CONFIG_LARGER, CONFIG_IN, CONFIG_OUT };

/* A switch, and what of it is a POP's use of bandwidth. */
struct config_snmp {
	struct sockaddr_storage address; /* with the port */
	const char *credentials;	 /* file */
	size_t n_interfaces;		 /* 1..CONFIG_INTERFACES_MAX */
	const char *const *interfaces;	 /* names, or numbers in decimal */
	uint64_t capacity_bits;		 /* a second */
	enum config_direction direction;
	uint32_t interval_ms, timeout_ms;
	unsigned long line;
};

struct config_pop {
	const char *id;
	bool located;
	double latitude, longitude; /* degrees, if located */
	const char *probe;	    /* node that measures there; NULL: any */
	struct sockaddr_storage address; /* port 0; ss_family 0: none */
	uint32_t near; /* index of the POP whose measurements hold here; its
			  own if there is none */
	const struct config_load *load; /* of its servers; NULL: not read */
	const struct config_snmp *snmp; /* NULL: none */
};

/* A time at which a server gets nothing: UTC. */
struct config_window {
	uint8_t days;	      /* bits, 1 << 0 is Sunday; 0: once */
	uint16_t from_min;    /* of the day */
	uint16_t minutes;     /* 1..1440 */
	int64_t from_s, to_s; /* once: Unix time */
};

struct config_server {
	const char *id;
	uint32_t pop;	   /* index into pops */
	uint32_t weight;   /* 0: gets nothing */
	uint32_t capacity; /* in the metric of its services; 0: no limit */
	size_t n_addresses;
	const struct sockaddr_storage *addresses; /* port 0 */
	const struct dname *alias;	 /* instead of addresses, or NULL */
	const struct dname *name_server; /* its name as one, or NULL */
	size_t n_services;		 /* 0: all that hostnames ask of it */
	const uint32_t *services;	 /* indices */
	uint8_t shed_pct;		 /* of the capacity */
	bool failback_manual;
	bool is_needed; /* by another one */
	bool mapped;	/* is none: stands for a name in the second tier */
	uint32_t slow_start_ms;
	size_t n_needs;
	const uint32_t *needs; /* indices of servers */
	size_t n_windows;
	const struct config_window *windows;
	const struct config_load *load; /* its own or its POP's; NULL: none */
};

enum config_fail {
	CONFIG_FAIL_OPEN,     /* act as if all were up */
	CONFIG_FAIL_LAST,     /* the one seen up last */
	CONFIG_FAIL_BACKUP,   /* the backup, whatever its state */
	CONFIG_FAIL_NODATA,   /* no records */
	CONFIG_FAIL_SERVFAIL, /* SERVFAIL */
};

/* In the order in which they are used. */
enum config_tier {
	CONFIG_PRIMARY,
	CONFIG_NEXT,
	CONFIG_BACKUP,
	CONFIG_HIDDEN,
	CONFIG_TIERS
};

/* What a value that is not known counts as in a comparison. */
enum config_unknown {
	CONFIG_UNKNOWN_WORST,
	CONFIG_UNKNOWN_MEAN,
	CONFIG_UNKNOWN_BEST
};

enum config_order { CONFIG_ORDER_RANDOM, CONFIG_ORDER_COST };

enum config_persist {
	CONFIG_PERSIST_HASH,
	CONFIG_PERSIST_TABLE,
	CONFIG_PERSIST_NAME
};

enum config_health { CONFIG_HEALTH_SERVERS, CONFIG_HEALTH_TIER };

/* Of the kinds of values that make up a cost. */
struct config_weigh {
	float latency;	 /* a millisecond */
	float load;	 /* a unit of the metric */
	float loss;	 /* a per cent */
	float bandwidth; /* a per cent */
	enum config_unknown unknown;
};

/* A name whose A and AAAA records are decided per client. */
struct config_hostname {
	const char *id; /* its key in "hostnames", as written */
	struct dname name;
	uint32_t service; /* index, or CONFIG_NONE: servers are always up */
	size_t n_servers[CONFIG_TIERS];
	const uint32_t *servers[CONFIG_TIERS]; /* indices into servers */
	uint8_t answers;		       /* 1..16 */
	uint32_t ttl_s;
	struct config_weigh weigh;
	float tolerance;  /* 0.1: what is worse by 10 % is as good */
	uint32_t explore; /* one answer in so many; 0: none */
	float min_up;	  /* share of weight, 0..1 */
	enum config_order order;
	uint32_t otherwise;	    /* index of a hostname, or CONFIG_NONE */
	uint32_t ttl_min_s;	    /* ttl_s: it does not follow the state */
	uint32_t persist_s;	    /* 0: not at all */
	uint32_t persist_refresh_s; /* UINT32_MAX: never */
	enum config_persist persist_by;
	bool dry_run;
	bool name_servers; /* its NS records are decided, not its addresses */
	bool one_server;   /* all addresses of an answer are one's */
	enum config_health health;
	enum config_fail fail;
	bool ecs; /* believe the client's subnet option */
	unsigned long line;
};

/* A domain that has no zone anywhere: its apex is declared here. */
struct config_domain {
	struct dname name;
	size_t n_ns; /* 1..CONFIG_NS_MAX */
	const struct dname *ns;
	struct dname contact;	 /* RNAME of the SOA */
	uint32_t ttl_s;		 /* of SOA and NS */
	uint32_t negative_ttl_s; /* MINIMUM of the SOA */
	unsigned long line;
};

/* In the order of the names; 0 is none. */
enum config_continent {
	CONFIG_NO_CONTINENT,
	CONFIG_AF,
	CONFIG_AN,
	CONFIG_AS,
	CONFIG_EU,
	CONFIG_NA,
	CONFIG_OC,
	CONFIG_SA,
	CONFIG_CONTINENTS,
};
extern const char *const config_continent_names[CONFIG_CONTINENTS + 1];

/* Addresses that begin alike; the bits behind are 0. */
struct config_prefix {
	uint8_t address[16];
	uint8_t bits; /* 0..32, 0..128 */
	bool v6;
};

/* Where databases have a fact: keys, with '/' between them. */
struct config_paths {
	size_t n; /* 1..CONFIG_PATHS_MAX; the first that is there counts */
	const char *const *path;
};

/* Databases of addresses, in MaxMind's format. */
struct config_geo {
	size_t n_databases;
	const char *const *databases; /* of two that know, the first counts */
	struct config_paths country, continent, as, location;
};

struct config_pop_ms {
	uint32_t pop; /* index */
	float ms;
};

struct config_server_weight {
	uint32_t server; /* index */
	uint32_t weight; /* 0: gets nothing */
};

/* Clients, and what holds for them. */
struct config_clients {
	const char *id;
	size_t n_prefixes;
	const struct config_prefix *prefixes;
	size_t n_countries;
	const uint16_t *countries; /* "DE": 'D' << 8 | 'E' */
	uint8_t continents;	   /* bits, 1 << enum config_continent */
	size_t n_as;
	const uint32_t *as;
	bool located;
	double latitude, longitude;
	size_t n_latency;
	const struct config_pop_ms *latency;
	size_t n_weights;
	const struct config_server_weight *weights; /* sorted by server */
	size_t n_pops;
	const uint32_t *pops; /* indices, the preferred first */
	unsigned long line;
};

#define CONFIG_RATE_MAX		 10000u /* packets to clients in a second */
#define CONFIG_REACH_PACKETS_MAX 100u	/* to a POP in a round */

/* How the latency to a client is measured; in the order of the names. */
enum config_method {
	CONFIG_METHOD_PTR,
	CONFIG_METHOD_ICMP,
	CONFIG_METHOD_UDP,
	CONFIG_METHOD_TTL,
	CONFIG_METHOD_ASPATH,
	CONFIG_METHODS
};
extern const char *const config_method_names[CONFIG_METHODS + 1]; /* + NULL */

enum config_measure {
	CONFIG_MEASURE_ALWAYS, /* when it is wanted */
	CONFIG_MEASURE_FAILED, /* while a server is down */
	CONFIG_MEASURE_NEVER
};

struct config_methods {
	uint8_t n; /* 0: those of all others */
	uint8_t method[CONFIG_METHODS];
};

/* Clients that are measured otherwise. */
struct config_latency_rule {
	size_t n_prefixes;
	const struct config_prefix *prefixes;
	struct config_methods methods;
	int8_t when; /* enum config_measure; -1: as all others */
};

struct config_latency {
	bool on;
	struct config_methods methods; /* n > 0 */
	enum config_measure when;
	uint32_t rate;			   /* packets in a second */
	uint32_t client_rate, prefix_rate; /* in an hour */
	uint32_t timeout_ms;
	const char *about;    /* NULL: nothing */
	uint16_t tcp_port;    /* 0: none */
	const char *mrt_file; /* NULL: none */
	uint32_t hop_ms, mrt_interval_ms;
	size_t n_opt_out;
	const struct config_prefix *opt_out;
	size_t n_rules;
	const struct config_latency_rule *rules;
};

enum config_gone { CONFIG_GONE_KEEP, CONFIG_GONE_DOWN };

/* Packets between POPs. */
struct config_reach {
	size_t n_from;	      /* 0: nobody probes */
	const uint32_t *from; /* indices of POPs */
	uint32_t interval_ms;
	uint32_t packets, size;
	enum config_gone gone;
};

struct config {
	char *file;	 /* as given to config_load() */
	uint64_t serial; /* the document's own "serial" */
	uint64_t hash;	 /* of the document's octets: XXH64, seed 0 */
	uint64_t cache_size_bytes;
	uint32_t snapshot_s; /* between snapshots of the cache; 0: none */
	const char *state_directory;
	const char *control_socket;
	uint32_t waiters_max;	/* clients waiting for origins at one time */
	uint32_t groups_max;	/* rows of the latency table */
	uint32_t clients_max;	/* entries of the table of clients */
	uint32_t known_max;	/* prefixes known to be good */
	uint64_t journal_bytes; /* of both its files; 0: none */
	uint32_t journal_decisions; /* one of so many is kept; 0: none */
	uint32_t journal_age_s;	    /* older ones are dropped; 0: by size */
	size_t n_zones;
	const struct config_zone *zones; /* in the file's order */
	uint32_t feed_rows;		 /* rows of one batch of the side-car */
	uint32_t feed_interval_ms;	 /* between batches that are not full */
	size_t n_notify;		 /* 0: nobody listens for NOTIFY */
	struct sockaddr_storage notify[CONFIG_NOTIFY_MAX]; /* with the port */
	size_t n_metrics; /* 0: nobody can scrape metrics */
	struct sockaddr_storage metrics[CONFIG_METRICS_MAX]; /* with the port */
	/* how long measured values hold */
	uint32_t latency_age_ms, loss_age_ms, bandwidth_age_ms, load_age_ms;
	size_t n_services;
	const struct config_service *services; /* sorted by id, as strcmp */
	size_t n_pops;
	const struct config_pop *pops; /* in the file's order */
	size_t n_servers;
	const struct config_server *servers; /* sorted by id */
	size_t n_hostnames;
	const struct config_hostname *hostnames; /* in the file's order */
	size_t n_domains;
	const struct config_domain *domains; /* in the file's order */
	struct config_geo geo;
	size_t n_clients;
	const struct config_clients *clients; /* in the file's order */
	struct config_latency latency;
	struct config_reach reach;
	void *arena; /* internal: owns every string above */
};

/*
 * Reads and checks 'file'.  Returns 0 and sets '*configp'; or -errno and
 * fills 'errs[0 .. *n_errs-1]' with up to 'max_errs' findings, in the
 * document's order, leaving '*configp' as it was.  An unreadable file is one
 * finding with line 0.
 */
int config_load(const char *file, struct config **configp, struct err *errs,
		size_t max_errs, size_t *n_errs);

/* The same for a document in memory, called 'file' in nothing but '->file'. */
int config_parse(const char *file, const char *text, size_t n,
		 struct config **configp, struct err *errs, size_t max_errs,
		 size_t *n_errs);

void config_free(struct config *config); /* NULL is fine */

/* True if a and b are the same origins in the same order, asked the same way.
 */
bool config_origins_equal(const struct config_zone *a,
			  const struct config_zone *b);

/*
 * Reads a numeric IPv4 or IPv6 address; the port and every other octet of
 * '*address' are 0, so that two can be compared by memcmp().  Returns 0; or
 * -EINVAL, leaving '*address' as it was.
 */
int config_address_parse(struct slice text, struct sockaddr_storage *address);

/*
 * Reads "192.0.2.0/24", "2001:db8::/32" or an address, which is a prefix of all
 * its bits.  Returns 0; -EINVAL: it is none; or -ERANGE: it has bits behind its
 * length.
 */
int config_prefix_parse(struct slice text, struct config_prefix *prefix);

/*
 * True if both say the same of who a client is: databases, and rules that find
 * it.  What holds for a client may differ.
 */
bool config_clients_equal(const struct config *a, const struct config *b);
