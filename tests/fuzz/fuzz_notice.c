/* SPDX-License-Identifier: MPL-2.0 */
/* What strangers send to where the side-car listens for NOTIFY. */
#include "probes-client/probed_notice.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t out[PROBED_ANSWER_MAX];
	struct probed_notice notice;

	if (probed_notice_parse(data, size, &notice) != 0)
		return 0;
	size_t n =
		probed_notice_answer(data, &notice, PROBED_RCODE_REFUSED, out);
	check(n <= sizeof(out) && n <= size);
	check(memcmp(out, data, 2) == 0);
	check((out[2] & 0x80) != 0 && (out[3] & 0xf) == PROBED_RCODE_REFUSED);
	/* an answer is no request: two such programs do not talk forever */
	check(probed_notice_parse(out, n, &notice) != 0);
	return 0;
}
