/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Sets of the zone "test" to learn, one after the other: octets of the owner,
 * octets of the records (16 bits), then both.  An owner of no octets begins a
 * question: type, octets of the name, name.
 */
#include "cacheproxy/proofs.h"

#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW	 1000u
#define POOL_MAX 20000u

static const struct dname apex = { 6, 1, { 4, 't', 'e', 's', 't' } };

static size_t learn(struct proofs **proofs, struct proofs_pool *pool,
		    const uint8_t *p, size_t n)
{
	if (n < 3)
		return n;
	struct proofs_set set = {
		.owner = p + 3,
		.owner_n = p[0],
		.records = p + 3 + p[0],
		.n = (size_t)p[1] << 8 | p[2],
		.ttl_s = 300,
	};
	/* so long after that other NSEC3 parameters are believed, or not */
	uint32_t now_s = NOW + (p[0] % 2 == 0 ? 0 : 400);
	if (n - 3 < set.owner_n + set.n)
		return n;
	if (proofs_learn(*proofs, &set, now_s) == -ESTALE) {
		proofs_leave(*proofs);
		(void)proofs_free(*proofs, SIZE_MAX);
		if (proofs_new(&apex, pool, proofs) != 0)
			abort();
	}
	if (pool->bytes > POOL_MAX)
		abort();
	return 3 + set.owner_n + set.n;
}

static size_t ask(const struct proofs *proofs, const uint8_t *p, size_t n)
{
	struct proofs_found found;
	struct dname name;

	if (n < 4 || n - 4 < p[3])
		return n;
	if (dname_from_wire(p + 4, p[3], &name) != 0 ||
	    !dname_is_below(&name, &apex))
		return 4u + p[3];
	proofs_find(proofs, name.wire, name.n, (uint16_t)(p[1] << 8 | p[2]),
		    NOW + 1, &found);
	if (found.word != PROOFS_NONE &&
	    (found.n < 1 || found.n > PROOFS_MAX || found.ttl_s == 0))
		abort();
	return 4u + p[3];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proofs_pool pool = { .limit_bytes = POOL_MAX };
	struct proofs *proofs;

	if (proofs_new(&apex, &pool, &proofs) != 0)
		return 0;
	while (size > 0) {
		size_t n = data[0] == 0 ? ask(proofs, data, size)
					: learn(&proofs, &pool, data, size);
		data += n;
		size -= n;
	}
	(void)proofs_sweep(proofs, NOW + 300, SIZE_MAX);
	(void)proofs_retired_free(proofs_retired(proofs, NULL), SIZE_MAX);
	proofs_leave(proofs);
	(void)proofs_free(proofs, SIZE_MAX);
	if (pool.bytes != 0 || pool.at != NULL || pool.most != NULL)
		abort();
	return 0;
}
