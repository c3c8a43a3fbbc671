/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * journal - the format of the journal: what was known of the servers, and what
 * was decided.  Written by the plugin, read by nzctl.
 *
 * A file is a head of JOURNAL_HEAD octets and then frames, each of which was
 * written whole: its length, a sum, the time of its first record, records.
 * What a crash left of a last frame shows by its length or sum.  A record is a
 * kind, a length and a body; numbers are little-endian or LEB128.  A reader
 * passes over kinds that it does not know, and over what a later version has
 * put behind the fields that it knows.
 *
 * Servers, services, hostnames and the like are numbers that JOURNAL_NAME
 * records of the same file give a text, after the last JOURNAL_EPOCH.  An epoch
 * begins a file, a configuration, and a run of named; after its names come all
 * that is known then, so that nothing before it is needed.
 *
 * Pure; any thread.  The reader takes any octets, allocates nothing, and gives
 * out pointers into them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

#define JOURNAL_VERSION	    1u
#define JOURNAL_HEAD	    16u
#define JOURNAL_FRAME_HEAD  16u
#define JOURNAL_FRAME_MAX   (256u << 10) /* octets, head included */
#define JOURNAL_TEXT_MAX    255u	 /* of one text; longer ones are cut */
#define JOURNAL_ANSWERS_MAX 16u
#define JOURNAL_NEAR_MAX    64u		/* latencies of a record */
#define JOURNAL_NUMBER_MAX  (16u << 20) /* names of a table, slots */

#define JOURNAL_FILE  "journal.nz" /* in the state directory */
#define JOURNAL_OLDER ".1"	   /* of the file before */

enum journal_kind {
	JOURNAL_UNKNOWN, /* of a later version: to be passed over */
	JOURNAL_EPOCH,
	JOURNAL_NAME,
	JOURNAL_SLOT,
	JOURNAL_WHOLE, /* what is known has been written out: no more names */
	JOURNAL_VALUE,
	JOURNAL_DRAIN,
	JOURNAL_WORD,
	JOURNAL_DECISION,
	JOURNAL_LOST,
	JOURNAL_ALIVE, /* nothing else was to be said for a while */
	JOURNAL_MEASURE,
	JOURNAL_NEAR,
	JOURNAL_KINDS,
};

/* What forgets all before. */
struct journal_epoch {
	bool start;	 /* of named, not of a file or a configuration */
	uint64_t serial; /* the configuration's own */
	uint64_t hash;	 /* of the file: config_hash() */
	struct slice file;
};

enum journal_table {
	JOURNAL_SERVERS,
	JOURNAL_SERVICES,
	JOURNAL_POPS,
	JOURNAL_HOSTS,
	JOURNAL_RULES,
	JOURNAL_TIERS,
	JOURNAL_OUTCOMES,
	JOURNAL_TABLES,
};

/* The numbers of a table are given from 0 on, one after another. */
struct journal_name {
	uint8_t table; /* enum journal_table, or a later version's */
	uint32_t number;
	uint32_t parent; /* of a server, its POP; else 0 */
	struct slice text;
};

struct journal_address {
	uint8_t n; /* 4, 16; 0: none */
	uint8_t octets[16];
};

/* What is tested: a service on an address. */
struct journal_slot {
	uint32_t number; /* from 0 on */
	uint32_t server, service;
	struct journal_address address;
};

/* What a slot holds from now on, until the next record of it. */
struct journal_value {
	uint32_t slot;
	uint8_t state; /* 0 never, 1 up, 2 down: enum gtm_state */
	bool fresh;    /* new results keep coming, and say the same */
	uint16_t error;
	uint32_t metric;
	uint64_t age_ms;    /* of the newest result */
	uint64_t since_ms;  /* ago: the state began */
	uint64_t up_ms;	    /* ago: was last up; JOURNAL_NEVER */
	uint64_t period_ms; /* between results; 0: not known */
};
#define JOURNAL_NEVER UINT64_MAX

/* What may be said of a server, each by itself. */
enum journal_said {
	JOURNAL_DRAINED,
	JOURNAL_FORCED_UP,
	JOURNAL_FORCED_DOWN,
	JOURNAL_HELD,
	JOURNAL_SAID,
};

/* It holds for so long (JOURNAL_NEVER: it has no end); 0: no more. */
struct journal_drain {
	uint32_t server;
	uint8_t said; /* enum journal_said */
	uint64_t left_ms;
};

enum journal_measured { JOURNAL_LOAD, JOURNAL_LOSS, JOURNAL_BANDWIDTH };

/* What was measured of a server's machine, or of a POP. */
struct journal_measure {
	uint8_t what;	 /* enum journal_measured, or a later version's */
	uint32_t number; /* of the server or POP */
	uint32_t metric;
	uint64_t age_ms;
};

/*
 * Clients, as the journal has them: their network, of no more than so many
 * bits.
 */
#define JOURNAL_NET_V4 24u
#define JOURNAL_NET_V6 56u

struct journal_net {
	bool v6;
	uint8_t bits;	   /* at most JOURNAL_NET_V4 or _V6; others are 0 */
	uint8_t octets[7]; /* of IPv4 4 */
};

/*
 * What is known from now on of how far a group of clients is from POPs, before
 * the decision for one of them that follows.  It is the group by which that was
 * found, or the client's network if the group is a part of that.
 */
struct journal_near {
	struct journal_net net;
	bool anew; /* and nothing else is; else the rest is as it was */
	uint8_t n;
	struct {
		uint32_t pop;
		/* of a millisecond, plus 1; 0: nothing is known any more;
		   JOURNAL_NEAR_FAR: out of reach */
		uint32_t tenths;
		uint32_t age_s; /* of the measurement */
	} cell[JOURNAL_NEAR_MAX];
};
#define JOURNAL_NEAR_FAR 65535u

/* What an operator said; for people. */
struct journal_word {
	struct slice what, server, reason;
};

/* An answer that was given. */
struct journal_decision {
	uint32_t host;
	bool v6;    /* of addresses */
	bool extra; /* for additional data */
	uint8_t rule, tier, outcome;
	uint32_t ttl_s;
	bool client_v6;
	uint8_t client_bits; /* at most 24, or 56 */
	uint8_t client[7];
	/* 0: not known; 1: no group of the latency table had the client; else
	   that of so many bits, plus 2, as in JOURNAL_NEAR */
	uint8_t group;
	uint8_t n; /* answers */
	struct {
		uint32_t server;
		struct journal_address address;
	} answer[JOURNAL_ANSWERS_MAX];
};

struct journal_record {
	enum journal_kind kind;
	uint64_t time_ms; /* Unix time */
	union {
		struct journal_epoch epoch;
		struct journal_name name;
		struct journal_slot slot;
		struct journal_value value;
		struct journal_drain drain;
		struct journal_measure measure;
		struct journal_near near;
		struct journal_word word;
		struct journal_decision decision;
		uint64_t lost; /* decisions since the last record of these */
	};
};

extern const char *const journal_kind_names[JOURNAL_KINDS];

/* -- writing --------------------------------------------------------------- */

/* A frame that is being written; the caller's octets. */
struct journal_pen {
	uint8_t *octets;
	size_t n, max;
	uint64_t base_ms;
};

/* The head of a file. */
void journal_head_write(uint8_t head[static JOURNAL_HEAD]);

/* Begins a frame in 'max' octets (1024..JOURNAL_FRAME_MAX) at 'octets'. */
void journal_begin(struct journal_pen *pen, uint8_t *octets, size_t max,
		   uint64_t time_ms);

/* Adds a record; false, and nothing is added, if there is no room for it. */
bool journal_put(struct journal_pen *pen, const struct journal_record *record);

/*
 * Ends the frame: returns its octets, none (n 0) if it has no record.  Another
 * one may be begun then.
 */
struct slice journal_end(struct journal_pen *pen);

/* -- reading --------------------------------------------------------------- */

/* 0; or -EBADMSG: none of these; or -EPROTONOSUPPORT: another version. */
int journal_head_read(const uint8_t head[static JOURNAL_HEAD]);

/*
 * The length of a frame by its first JOURNAL_FRAME_HEAD octets, these included;
 * or 0 if it is none.
 */
size_t journal_frame_size(const uint8_t head[static JOURNAL_FRAME_HEAD]);

/* Records of a frame. */
struct journal_reader {
	const uint8_t *p, *end;
	uint64_t base_ms;
};

/* Opens a frame of journal_frame_size() octets: 0, or -EBADMSG. */
int journal_open(struct journal_reader *reader, const uint8_t *octets,
		 size_t n);

/* 1: '*record' is the next; 0: no more; -EBADMSG: not a record. */
int journal_next(struct journal_reader *reader, struct journal_record *record);
