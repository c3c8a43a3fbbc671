/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * wire - walks a DNS message in wire form (RFC 1035 section 4) and patches a
 * stored one for the client that asked.
 *
 * The walker is bounded and never trusts a length: it is run over messages
 * that libdns has just rendered, to note where things are, and by the fuzzer
 * over anything.  Names are skipped, never expanded.
 *
 * Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_HEADER    12u
#define WIRE_MAX       65535u
#define WIRE_TTLS_MAX  8192u /* records one stored form may have */
#define WIRE_TURNS_MAX 4u    /* rotatable RRsets of one form */

/* A run of equally long address records of one RRset (types A and AAAA). */
struct wire_turn {
	uint16_t offset; /* of the first record */
	uint16_t size;	 /* octets of one record, owner name included */
	uint16_t n;	 /* records, >= 2 */
};

/* What was noted about one message. */
struct wire_map {
	uint16_t question_end; /* offset after the question */
	uint16_t end[3];       /* offsets after answer, authority, additional */
	uint16_t count[3];     /* records in each */
	uint16_t n_ttls;
	uint16_t ttl[WIRE_TTLS_MAX]; /* offsets, rising */
	uint16_t n_turns;
	struct wire_turn turn[WIRE_TURNS_MAX];
	/*
	 * The answer section has an RRset of several records that is not in
	 * 'turn' (names in its rdata, unequal sizes, or no room): only a
	 * renderer can change its order.  RRSIG sets do not count.
	 */
	bool fixed_order;
};

/*
 * Notes where things are in 'msg': one question, then three sections, and
 * nothing after them.  OPT records may not occur.  A compression pointer must
 * lead to before the name that it ends.  Returns 0; -EBADMSG for a message
 * that is not so; -E2BIG for more records than fit.  '*map' is undefined after
 * an error.
 *
 * Records of one type that stand together in the answer section count as one
 * RRset, also where their owners are spelled differently (then fixed_order is
 * set: it may err on that side only).
 */
int wire_map(const uint8_t *msg, size_t n, struct wire_map *map);

/*
 * Lowers every TTL of 'msg' by 'age_s', not below 'floor_s' (0 for a fresh
 * answer, which is never older than its shortest TTL) and never raises one;
 * or, with 'stale', sets all to 'floor_s' (RFC 8767 section 4).
 */
void wire_age(uint8_t *msg, const uint16_t *ttl, size_t n_ttls, uint32_t age_s,
	      uint32_t floor_s, bool stale);

/* Rotates the records of 'turn' in 'msg' so that number 'first % n' leads. */
void wire_turn(uint8_t *msg, const struct wire_turn *turn, uint32_t first);

/*
 * Checks that 'msg' could be an answer to the question 'q' ('q_n' octets:
 * name, type, class): QR set, opcode QUERY, one question, equal octet for
 * octet.
 * The caller has 'q' from a parser: it is not checked.
 */
bool wire_answers(const uint8_t *msg, size_t n, const uint8_t *q, size_t q_n);

/* The OPT record of a message (RFC 6891), and one option of it. */
struct wire_opt {
	bool there;	      /* the message has an OPT record */
	uint8_t rcode_high;   /* the upper eight bits of the rcode */
	const uint8_t *value; /* in the message; NULL: no such option */
	uint16_t value_n;
};

/*
 * Finds the OPT record of 'msg', and the first option 'code' in it.  The
 * message may be anything.  Returns 0; -EBADMSG if it cannot be walked to the
 * end of its sections or has two OPT records: '*opt' is left as it was.
 */
int wire_opt(const uint8_t *msg, size_t n, uint16_t code, struct wire_opt *opt);

/*
 * True if 'name' is 'top' or lies below it.  Both are uncompressed wire form
 * of lower case, with the root label.
 */
bool wire_below(const uint8_t *name, size_t n, const uint8_t *top,
		size_t top_n);
