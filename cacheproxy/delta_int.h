/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * delta_int - what the two halves of 'delta' share: the difference (delta.c)
 * and the names in a stored answer (delta_names.c).  Nobody else includes this.
 */
#include "cacheproxy/delta.h"

#define DELTA_NAMES_MAX	  512u	/* names of one answer */
#define DELTA_RECORDS_MAX 2048u /* records of one answer */
#define DELTA_NONE	  SIZE_MAX

enum {
	DELTA_A = 1,
	DELTA_NS = 2,
	DELTA_SOA = 6,
	DELTA_AAAA = 28,
	DELTA_DNAME = 39,
	DELTA_DS = 43,
	DELTA_RRSIG = 46,
	DELTA_NSEC = 47,
	DELTA_NSEC3 = 50,
	DELTA_SVCB = 64,
	DELTA_HTTPS = 65,
	DELTA_ANY = 255,
};

/* A name of the answer, in lower case. */
struct delta_name {
	uint32_t hash;
	size_t record;	  /* the first that it owns, or DELTA_NONE */
	bool is_question; /* it is what is asked for */
	bool looked_up;	  /* asked for, or named by a record */
	uint8_t n;
	uint8_t wire[DNAME_WIRE_MAX];
};

/* A record of the answer. */
struct delta_kept {
	uint64_t hash; /* of type and rdata, see delta_hash() */
	size_t owner;  /* index of a name */
	size_t next;   /* of the same owner, or DELTA_NONE */
	uint16_t type; /* of an RRSIG, the type that it covers */
	bool in_answer;
};

struct delta_names {
	size_t n, n_records;
	bool denied; /* the last of the names does not exist: NXDOMAIN */
	struct delta_name name[DELTA_NAMES_MAX];
	struct delta_kept record[DELTA_RECORDS_MAX];
};

/* True if 'name' is 'top' or below it; wire forms, lower case. */
bool delta_below(const uint8_t *name, size_t n, const uint8_t *top,
		 size_t top_n);

/* Rdata in a message: its names may be compressed. */
struct delta_rdata {
	const uint8_t *msg;
	size_t msg_n;
	size_t at, n; /* of the rdata */
};

/*
 * The hash of a record's type and rdata, the same however its names are
 * compressed and spelled; never 0.  False: it cannot be read.
 */
bool delta_hash(uint16_t type, const struct delta_rdata *rdata, uint64_t *hash);

/* Reads the names and records of an answer.  False: it cannot, or too many. */
bool delta_names_read(struct delta_names *names, const struct delta_answer *a);
