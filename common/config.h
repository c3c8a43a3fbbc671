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

#define CONFIG_FILE_MAX	   (256u << 20) /* octets */
#define CONFIG_ORIGINS_MAX 16u		/* of one zone */
#define CONFIG_ZONES_MAX   1000000u
#define CONFIG_SOCKET_MAX  107u /* octets of a unix socket's path */

#define CONFIG_STATE_DIRECTORY "/var/lib/bind/nearzone" /* the default */

enum config_transport { CONFIG_TCP, CONFIG_UDP, CONFIG_TLS };

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

struct config_zone {
	const char *id; /* its key in "zones", as written */
	struct dname name;
	size_t n_origins; /* 1..CONFIG_ORIGINS_MAX */
	const struct config_origin *origins;
	uint32_t ttl_min_s;	     /* 0..604800 */
	uint32_t ttl_max_s;	     /* 0..604800, >= ttl_min_s */
	uint32_t ttl_negative_max_s; /* 0..604800 */
	uint32_t stale_s;	     /* 0: never serve stale */
	bool prefetch;		     /* read, not used by this release */
	unsigned long line;	     /* where the zone begins in the file */
};

struct config {
	char *file;	 /* as given to config_load() */
	uint64_t serial; /* the document's own "serial" */
	uint64_t cache_size_bytes;
	const char *state_directory;
	const char *control_socket;
	uint32_t waiters_max; /* clients waiting for origins at one time */
	size_t n_zones;
	const struct config_zone *zones; /* in the file's order */
	size_t n_services, n_pops, n_servers, n_hostnames; /* checked only */
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
