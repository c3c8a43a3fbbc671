/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_notice - reads a NOTIFY message (RFC 1996) and makes its answer.
 *
 * Pure; run over whatever strangers send.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/dname.h"

#define PROBED_NOTICE_MAX    4096u /* octets of a message */
#define PROBED_ANSWER_MAX    (12u + DNAME_WIRE_MAX + 4u)
#define PROBED_RCODE_NOERROR 0
#define PROBED_RCODE_REFUSED 5
#define PROBED_RCODE_NOTAUTH 9

struct probed_notice {
	struct dname zone;
	size_t question_n; /* octets, from 12 on */
	bool has_serial;   /* a SOA is in its answer section */
	uint32_t serial;
};

/*
 * Reads 'msg'.  0; or -EBADMSG for what is no request of opcode NOTIFY with
 * one question, of class IN and type SOA, without compression.  A signature is
 * not looked at: the message is a hint, no more.
 */
int probed_notice_parse(const uint8_t *msg, size_t n,
			struct probed_notice *notice);

/* The answer, in 'out' (PROBED_ANSWER_MAX octets); returns its length. */
size_t probed_notice_answer(const uint8_t *msg,
			    const struct probed_notice *notice, unsigned rcode,
			    uint8_t *out);
