/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What others write to the side-car: a plugin's reply to a batch, and a
 * server's answer, in which a text is looked for in pieces.  The first octet
 * says how large the pieces are, the second how long the text is that follows;
 * the rest is the answer, and, whole, a reply.
 */
#include "probes-client/probed_body.h"
#include "probes-client/probed_rows.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
	if (!holds)
		abort();
}

/* However it is cut, it is found if, and only if, it is there. */
static void check_body(const char *text, struct slice all, size_t piece)
{
	struct probed_body body;
	size_t n = strlen(text);
	bool there = n > 0 && memmem(all.p, all.n, text, n) != NULL;
	bool more = true;

	probed_body_init(&body, text);
	while (all.n > 0 && more) {
		struct slice part = { all.p, all.n < piece ? all.n : piece };
		more = probed_body_feed(&body, part);
		all.p += part.n;
		all.n -= part.n;
	}
	check(body.found == there);
}

static void check_reply(struct slice line)
{
	struct probed_reply reply;

	if (probed_reply_parse(line, &reply) != 0)
		return;
	size_t n = strlen(reply.why);
	check(n < sizeof(reply.why));
	for (size_t i = 0; i < n; i++)
		check((unsigned char)reply.why[i] >= 0x20);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[256] = "";

	if (size < 2 || size > 65536 || size < 2 + (size_t)data[1])
		return 0;
	memcpy(text, data + 2, data[1]);
	struct slice rest = { (const char *)data + 2 + data[1],
			      size - 2 - data[1] };
	check_body(text, rest, data[0] + 1u);
	check_reply(rest);
	return 0;
}
