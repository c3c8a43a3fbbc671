/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_dns.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/dname.h"
#include "probes-client/probed_target.h"

#define HEADER	    12u
#define RECORDS_MAX 256u
#define JUMPS_MAX   64u
#define TEXT_SIZE   (DNAME_TEXT_MAX + 16)

enum { A = 1, NS = 2, CNAME = 5, SOA = 6, PTR = 12, MX = 15, TXT = 16 };
enum { AAAA = 28, SRV = 33 };

size_t probed_dns_ask(const struct config_question *question, uint16_t id,
		      uint8_t *out)
{
	size_t n = question->name->n;

	/* Recursion is not asked for: it is this server that is tested. */
	memset(out, 0, HEADER);
	out[0] = (uint8_t)(id >> 8);
	out[1] = (uint8_t)id;
	out[5] = 1;
	memcpy(out + HEADER, question->name->wire, n);
	out[HEADER + n] = (uint8_t)(question->type >> 8);
	out[HEADER + n + 1] = (uint8_t)question->type;
	out[HEADER + n + 2] = 0;
	out[HEADER + n + 3] = 1;
	return HEADER + n + 4;
}

/* A place in a message. */
struct reader {
	const uint8_t *message;
	size_t n, at;
};

static bool number_read(struct reader *r, uint16_t *out)
{
	if (r->n - r->at < 2)
		return false;
	*out = (uint16_t)(r->message[r->at] << 8 | r->message[r->at + 1]);
	r->at += 2;
	return true;
}

/* Reads a name, perhaps compressed; only backwards, so that it ends. */
static bool name_read(struct reader *r, struct dname *name)
{
	uint8_t wire[255];
	size_t at = r->at, used = 0, before = r->at;
	bool jumped = false;

	for (unsigned int jumps = 0; jumps < JUMPS_MAX;) {
		if (at >= r->n)
			return false;
		size_t label = r->message[at];
		if (label >= 0xc0) {
			if (at + 1 >= r->n)
				return false;
			size_t to = (label & 0x3f) << 8 | r->message[at + 1];
			if (to >= before)
				return false;
			if (!jumped)
				r->at = at + 2;
			jumped = true;
			before = at = to;
			jumps++;
			continue;
		}
		if (label > 63 || label + 1 > r->n - at ||
		    used + label + 1 > sizeof(wire))
			return false;
		memcpy(wire + used, r->message + at, label + 1);
		used += label + 1;
		at += label + 1;
		if (label > 0)
			continue;
		if (!jumped)
			r->at = at;
		return dname_from_wire(wire, used, name) == 0;
	}
	return false;
}

static bool name_text(struct reader *data, char *out, size_t size)
{
	char text[DNAME_TEXT_MAX];
	struct dname name;

	if (!name_read(data, &name))
		return false;
	(void)dname_print(&name, text);
	snprintf(out, size, "%s", text);
	return true;
}

/* Character strings, one after another. */
static bool txt_text(const struct reader *data, char *out, size_t size)
{
	size_t used = 0;

	for (size_t at = data->at; at < data->n;) {
		size_t n = data->message[at++];
		if (n > data->n - at)
			return false;
		size_t room = size - 1 - used;
		size_t take = n < room ? n : room;
		memcpy(out + used, data->message + at, take);
		used += take;
		at += n;
	}
	out[used] = '\0';
	return true;
}

/* Numbers before a name, as text. */
static bool numbers_text(struct reader *data, size_t n, char *out, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		uint16_t number;
		if (!number_read(data, &number))
			return false;
		used += (size_t)snprintf(out + used, size - used, "%u ",
					 number);
	}
	return name_text(data, out + used, size - used);
}

/* The data of a record as people write it; 'data' ends where it does. */
static bool data_text(uint16_t type, struct reader *data, char *out,
		      size_t size)
{
	size_t n = data->n - data->at;
	const uint8_t *p = data->message + data->at;

	switch (type) {
	case A:
		return n == 4 &&
		       inet_ntop(AF_INET, p, out, (socklen_t)size) != NULL;
	case AAAA:
		return n == 16 &&
		       inet_ntop(AF_INET6, p, out, (socklen_t)size) != NULL;
	case NS:
	case CNAME:
	case PTR:
	case SOA: /* its first name */
		return name_text(data, out, size);
	case MX:
		return numbers_text(data, 1, out, size);
	case SRV:
		return numbers_text(data, 3, out, size);
	case TXT:
		return txt_text(data, out, size);
	default:
		return false;
	}
}

/* "2001:DB8::1" is "2001:db8::1", and "A.example." is "a.example". */
static bool text_same(const char *want, const char *found)
{
	struct in6_addr a, b;
	size_t n = strlen(want);

	if (inet_pton(AF_INET6, want, &a) == 1 &&
	    inet_pton(AF_INET6, found, &b) == 1)
		return memcmp(&a, &b, sizeof(a)) == 0;
	if (n > 1 && want[n - 1] == '.')
		n--;
	return strlen(found) == n && strncasecmp(want, found, n) == 0;
}

static bool record_read(struct reader *r, uint16_t *type, struct reader *data)
{
	struct dname owner;
	uint16_t class, ttl, length;

	if (!name_read(r, &owner) || !number_read(r, type) ||
	    !number_read(r, &class) || !number_read(r, &ttl) ||
	    !number_read(r, &ttl) || !number_read(r, &length) ||
	    length > r->n - r->at)
		return false;
	*data = (struct reader){ r->message, r->at + length, r->at };
	r->at += length;
	return true;
}

/* Which of the answers wanted are there, as bits; -1: it is malformed. */
static int answers_find(const struct config_expect *expect, struct reader *r,
			unsigned int n)
{
	char text[TEXT_SIZE];
	int found = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct reader data;
		uint16_t type;
		if (i >= RECORDS_MAX || !record_read(r, &type, &data))
			return -1;
		if (!data_text(type, &data, text, sizeof(text)))
			continue;
		for (size_t k = 0; k < expect->n_answers; k++)
			if (text_same(expect->answers[k], text))
				found |= 1 << k;
	}
	return found;
}

static enum probe_error answers_judge(const struct config_expect *expect,
				      struct reader *r, unsigned int n,
				      char *detail)
{
	int found = answers_find(expect, r, n);

	if (found < 0) {
		snprintf(detail, PROBED_DETAIL_MAX, "malformed answer");
		return PROBE_PROTOCOL;
	}
	for (size_t i = 0; i < expect->n_answers; i++)
		if ((found & 1 << i) == 0) {
			snprintf(detail, PROBED_DETAIL_MAX,
				 "%.100s, in %u record%s", expect->answers[i],
				 n, n == 1 ? "" : "s");
			return PROBE_BODY;
		}
	return PROBE_OK;
}

static enum probe_error rcode_judge(const struct config_expect *expect,
				    unsigned int rcode, char *detail)
{
	static const char *const names[] = { "NOERROR",	 "FORMERR", "SERVFAIL",
					     "NXDOMAIN", "NOTIMP",  "REFUSED" };
	uint32_t wanted = expect->rcodes != 0 ? expect->rcodes : 1;
	int n;

	if ((wanted & 1u << rcode) != 0)
		return PROBE_OK;
	if (rcode < sizeof(names) / sizeof(names[0]))
		n = snprintf(detail, PROBED_DETAIL_MAX, "%s, want",
			     names[rcode]);
	else
		n = snprintf(detail, PROBED_DETAIL_MAX, "rcode %u, want",
			     rcode);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((wanted & 1u << i) != 0)
			n += snprintf(detail + n, PROBED_DETAIL_MAX - (size_t)n,
				      " %s", names[i]);
	return PROBE_STATUS;
}

int probed_dns_judge(const struct config_service *service, uint16_t id,
		     const uint8_t *message, size_t n, char *detail)
{
	struct reader r = { message, n, HEADER };
	const struct config_question *q = &service->question;
	struct dname name;
	uint16_t type, class;

	detail[0] = '\0';
	if (n < HEADER || (message[0] << 8 | message[1]) != id ||
	    (message[2] & 0x80) == 0)
		return -1;
	unsigned int questions = (unsigned int)message[4] << 8 | message[5];
	unsigned int answers = (unsigned int)message[6] << 8 | message[7];
	unsigned int rcode = message[3] & 0xf;
	/* Some refuse without repeating the question. */
	if (questions == 1) {
		if (!name_read(&r, &name) || !number_read(&r, &type) ||
		    !number_read(&r, &class) || type != q->type || class != 1 ||
		    !dname_equal(&name, q->name))
			return -1;
	} else if (questions != 0 || rcode == 0) {
		return -1;
	}
	enum probe_error error = rcode_judge(&service->expect, rcode, detail);
	if (error != PROBE_OK)
		return (int)error;
	if ((message[2] & 0x02) != 0 && service->expect.n_answers > 0) {
		snprintf(detail, PROBED_DETAIL_MAX,
			 "truncated: use \"transport\": \"tcp\"");
		return PROBE_PROTOCOL;
	}
	return (int)answers_judge(&service->expect, &r, answers, detail);
}
