/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What those who ask the side-car for metrics send: a head of HTTP.  Read
 * octet by octet, as it may come, it must not be judged otherwise than whole.
 */
#include "probes-client/probed_request.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice all = { (const char *)data, size };
	struct probed_request request;

	if (size > 2 * PROBED_HEAD_MAX)
		return 0;
	enum probed_fault whole = probed_request_read(all, &request);
	if (whole == PROBED_HEAD_GOOD)
		for (size_t i = 0; i < request.path.n; i++)
			check((unsigned char)request.path.p[i] > 0x20);
	if (size > 512)
		return 0;
	/* What is bad stays so, and what is whole stays as it was. */
	for (size_t n = 0; n < size; n++) {
		struct slice part = { all.p, n };
		enum probed_fault now = probed_request_read(part, &request);
		check(now == PROBED_HEAD_MORE || now == whole);
		if (now != PROBED_HEAD_MORE)
			break;
	}
	return 0;
}
