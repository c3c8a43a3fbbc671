/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_notice.h"

#include <errno.h>
#include <string.h>

#define HEADER	  12u
#define QR	  0x80u /* of octet 2 */
#define OPCODE	  0x78u
#define AA	  0x04u
#define NOTIFY	  (4u << 3)
#define CLASS_IN  1u
#define TYPE_SOA  6u
#define FIXED	  10u /* type, class, TTL, length of rdata */
#define SOA_FIXED 20u /* of its rdata, after both names */

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* The offset after the name at 'at', which may be compressed; 0: it is none. */
static size_t name_end(const uint8_t *msg, size_t n, size_t at)
{
	size_t start = at;

	while (at < n && at - start <= DNAME_WIRE_MAX) {
		size_t label = msg[at];
		if (label == 0)
			return at + 1;
		if (label >= 0xc0)
			return n - at >= 2 ? at + 2 : 0;
		if (label > 63)
			return 0;
		at += label + 1;
	}
	return 0;
}

/* The serial of the SOA at 'at', if it is one. */
static void serial_read(const uint8_t *msg, size_t n, size_t at,
			struct probed_notice *notice)
{
	size_t fixed = name_end(msg, n, at);

	if (fixed == 0 || n - fixed < FIXED || get16(msg + fixed) != TYPE_SOA)
		return;
	size_t rdata = fixed + FIXED;
	size_t end = rdata + get16(msg + fixed + 8);
	if (end > n)
		return;
	at = name_end(msg, end, rdata);
	at = at != 0 ? name_end(msg, end, at) : 0;
	if (at == 0 || end - at != SOA_FIXED)
		return;
	notice->has_serial = true;
	notice->serial = (uint32_t)get16(msg + at) << 16 | get16(msg + at + 2);
}

int probed_notice_parse(const uint8_t *msg, size_t n,
			struct probed_notice *notice)
{
	if (n < HEADER || n > PROBED_NOTICE_MAX || (msg[2] & QR) != 0 ||
	    (msg[2] & OPCODE) != NOTIFY || get16(msg + 4) != 1)
		return -EBADMSG;

	size_t end = name_end(msg, n, HEADER);
	struct probed_notice read = { 0 };
	if (end == 0 || n - end < 4 || get16(msg + end) != TYPE_SOA ||
	    get16(msg + end + 2) != CLASS_IN ||
	    dname_from_wire(msg + HEADER, end - HEADER, &read.zone) != 0)
		return -EBADMSG;
	read.question_n = end + 4 - HEADER;
	if (get16(msg + 6) > 0)
		serial_read(msg, n, end + 4, &read);
	*notice = read;
	return 0;
}

size_t probed_notice_answer(const uint8_t *msg,
			    const struct probed_notice *notice, unsigned rcode,
			    uint8_t *out)
{
	memset(out, 0, HEADER);
	out[0] = msg[0];
	out[1] = msg[1];
	out[2] = (uint8_t)(QR | NOTIFY |
			   (rcode == PROBED_RCODE_NOERROR ? AA : 0));
	out[3] = (uint8_t)rcode;
	out[5] = 1;
	memcpy(out + HEADER, msg + HEADER, notice->question_n);
	return HEADER + notice->question_n;
}
