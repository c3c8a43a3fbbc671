/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A dump of a BGP table, as it comes from a file: in pieces.  What is made of
 * it holds together, and is found again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "probes-client/near_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct file {
	const uint8_t *p;
	size_t n, piece;
};

static void check(int good)
{
	if (!good)
		abort();
}

static long pull(void *arg, uint8_t *to, size_t n)
{
	struct file *file = arg;

	if (n > file->piece)
		n = file->piece;
	if (n > file->n)
		n = file->n;
	if (n > 0)
		memcpy(to, file->p, n);
	file->p += n;
	file->n -= n;
	return (long)n;
}

/* Any address has the same way in both, if it has one. */
static void compare(const struct near_routes *a, const struct near_routes *b,
		    const uint8_t *data, size_t size)
{
	struct gtm_client client = { 0 };

	for (size_t i = 0; i + 16 <= size; i++) {
		memcpy(client.address, data + i, 16);
		for (int v6 = 0; v6 < 2; v6++) {
			client.v6 = v6 != 0;
			int way = near_routes_find(a, &client);
			check(way == near_routes_find(b, &client));
			check(way <= (int)NEAR_MRT_HOPS_MAX);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct file whole = { data, size, size };
	struct file pieces = { data, size, 7 };
	struct near_loaded a, b;

	int rc = near_load(pull, &whole, &a);
	check(near_load(pull, &pieces, &b) == rc);
	check(a.octets == b.octets && a.records == b.records &&
	      a.octets <= size);
	if (rc != 0) {
		check(a.routes == NULL && b.routes == NULL);
		check(rc != -74 || a.why != NULL); /* EBADMSG */
		return 0;
	}
	check(a.octets == size);
	/* a record with a route has 31 octets at least */
	check(near_routes_count(a.routes, false) +
		      near_routes_count(a.routes, true) <=
	      size / 31);
	compare(a.routes, b.routes, data, size);
	near_routes_free(a.routes);
	near_routes_free(b.routes);
	return 0;
}
