/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A web server's answer, as the side-car reads it.  The first octet says how
 * large the pieces are, the second how long the text is that is looked for and
 * follows; the rest is the answer.
 */
#include "probes-client/probed_response.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum probed_response_state feed(struct probed_response *response,
				       struct slice all, size_t piece)
{
	enum probed_response_state state = PROBED_RESPONSE_MORE;

	while (all.n > 0 && state == PROBED_RESPONSE_MORE) {
		struct slice part = { all.p, all.n < piece ? all.n : piece };
		state = probed_response_feed(response, part);
		all.p += part.n;
		all.n -= part.n;
	}
	return state != PROBED_RESPONSE_MORE ? state
					     : probed_response_end(response);
}

/* However it is cut, it is the same answer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[256] = "";
	struct probed_response whole, cut;

	if (size < 2 || size > 131072 || size < 2 + (size_t)data[1])
		return 0;
	memcpy(text, data + 2, data[1]);
	struct slice rest = { (const char *)data + 2 + data[1],
			      size - 2 - data[1] };
	struct config_expect expect = { .body = text, .size_max = UINT64_MAX };
	if (probed_response_init(&whole, &expect) != 0 ||
	    probed_response_init(&cut, &expect) != 0)
		abort();
	enum probed_response_state state = feed(&whole, rest, SIZE_MAX);
	if (state != feed(&cut, rest, data[0] + 1u) ||
	    whole.status != cut.status ||
	    whole.check.body.found != cut.check.body.found)
		abort();
	return 0;
}
