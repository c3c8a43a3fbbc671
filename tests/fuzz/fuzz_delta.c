/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A stored answer, and a difference of the zone "test".  The first two octets
 * say how long the question's name is and how much of the rest is the answer;
 * what is left are records of the difference: flags, lengths of owner and
 * rdata, type; then owner and rdata.
 */
#include "cacheproxy/delta.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct dname apex = { 6, 1, { 4, 't', 'e', 's', 't' } };

/* Takes records from the front until there is none. */
static void fill(struct delta *delta, const uint8_t *p, size_t n)
{
	while (n >= 5 && n - 5 >= (size_t)p[1] + p[2]) {
		struct delta_record record = {
			.owner = p + 5,
			.owner_n = p[1],
			.type = (uint16_t)(p[3] << 8 | p[4]),
			.covers = (uint16_t)(p[0] >> 2),
			.rdata = p + 5 + p[1],
			.rdata_n = p[2],
		};
		if (delta_add(delta, &record, (p[0] & 1) != 0) == -1)
			abort();
		if ((p[0] & 2) != 0)
			delta_step(delta);
		n -= 5u + record.owner_n + record.rdata_n;
		p += 5u + record.owner_n + record.rdata_n;
	}
	delta_step(delta);
}

static void none(void *arg, const uint8_t *name, size_t n)
{
	delta_no_wildcard(arg, name, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct delta *delta;
	struct dname name;

	if (size < 4 || size > 65536 || size - 4 < data[0] ||
	    dname_from_wire(data + 4, data[0], &name) != 0)
		return 0;
	const uint8_t *msg = data + 4 + data[0];
	size_t rest = size - 4 - data[0];
	size_t n = rest * data[1] / 256;
	if (delta_new(&apex, 100, &delta) != 0)
		return 0;
	fill(delta, msg + n, rest - n);
	struct delta_answer answer = {
		.name = name.wire,
		.name_n = name.n,
		.qtype = (uint16_t)(data[2] << 8 | data[3]),
		.msg = msg,
		.n = n,
	};
	bool before = delta_touches(delta, &answer);
	(void)delta_wildcards(delta, 10, none, delta);
	/* to know more can only spare an answer */
	if (delta_touches(delta, &answer) && !before)
		abort();
	delta_free(delta);
	return 0;
}
