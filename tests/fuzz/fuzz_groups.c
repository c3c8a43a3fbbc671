/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fuzzes the reader of saved latency tables.  The input is sections, each its
 * kind (1), items (2) and octets (2), then the content: header and sums are
 * made right here, as no fuzzer would find them.  An even first octet stands
 * for the whole file as it is, after it.  What was read must be found again.
 */
#include "gtm/groups_file.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common/rcu.h"
#include "gtm/groups_file_int.h"

#define WALL	  UINT64_C(1700000000000)
#define NOW	  UINT64_C(100000)
#define SECTION	  5u /* octets of the head, as fuzzed */
#define GROWS	  8u /* times the size of a section, at most */
#define INPUT_MAX (1u << 14)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	uint8_t octets[GROWS * INPUT_MAX];
	size_t n, at;
};

static void put(struct input *in, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		in->octets[in->n++] = (uint8_t)(value >> 8 * i);
}

static void sum(struct input *in, size_t at, uint64_t seed)
{
	size_t end = in->n;
	uint64_t value = XXH3_64bits_withSeed(in->octets + at + FILE_SUM,
					      end - at - FILE_SUM, seed);

	in->n = at;
	put(in, value, FILE_SUM);
	in->n = end;
}

static void wrap(struct input *in, const uint8_t *p, size_t n)
{
	memcpy(in->octets, FILE_MAGIC, 8);
	in->n = 8;
	put(in, GTM_FILE_VERSION, 8);
	put(in, WALL, 8);
	put(in, 12345678, 8);
	uint64_t seed = XXH3_64bits(in->octets, in->n);
	put(in, seed, FILE_SUM);
	for (uint32_t number = 0; n >= SECTION; number++) {
		size_t more = p[3] | (size_t)p[4] << 8;
		size_t begin = in->n;
		if (more > n - SECTION)
			more = n - SECTION;
		in->n += FILE_SUM;
		put(in, more, 4);
		put(in, p[0], 4);
		put(in, p[1] | (uint64_t)p[2] << 8, 4);
		put(in, number, 4);
		memcpy(in->octets + in->n, p + SECTION, more);
		in->n += more;
		sum(in, begin, seed);
		p += SECTION + more;
		n -= SECTION + more;
	}
}

static int64_t read_input(void *arg, void *octets, size_t n)
{
	struct input *in = arg;

	if (n > in->n - in->at)
		n = in->n - in->at;
	memcpy(octets, in->octets + in->at, n);
	in->at += n;
	return (int64_t)n;
}

static void check_all(const struct gtm_groups *g)
{
	struct gtm_client group;
	struct gtm_row_cells row;

	rcu_enter();
	for (uint32_t at = 0; gtm_groups_next(g, &at, &group, &row);) {
		if (group.bits == 0)
			continue;
		struct gtm_row_cells found = gtm_groups_find(g, &group, NOW);
		if (found.cells != row.cells || found.bits != group.bits ||
		    found.scope != group.bits)
			abort();
	}
	rcu_leave();
}

static void check_gone(struct gtm_groups *g)
{
	struct gtm_client group;
	struct gtm_row_cells row;
	struct gtm_groups_counts counts;

	for (uint32_t at = 0; gtm_groups_next(g, &at, &group, &row);)
		if (!gtm_groups_remove(g, &group))
			abort();
	gtm_groups_count(g, &counts);
	if (counts.groups != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const pops[] = { "fra", "iad", "nrt" };
	static struct input in;
	struct gtm_load load = { read_input, &in, WALL + 1000, NOW };
	struct gtm_loader *loader;
	struct gtm_groups *g;
	uint16_t map[3];

	if (size < 1 || size > INPUT_MAX || gtm_groups_new(200, 3, &g) != 0)
		return 0;
	in.at = 0;
	if (data[0] % 2 == 1) {
		wrap(&in, data + 1, size - 1);
	} else {
		in.n = size - 1;
		memcpy(in.octets, data + 1, size - 1);
	}
	if (gtm_groups_columns(g, pops, 3, map) == 0 &&
	    gtm_loader_new(&load, &loader) == 0) {
		while (gtm_loader_step(loader, g, 5, NOW) == 1)
			check_all(g);
		gtm_loader_free(loader);
		check_all(g);
		check_gone(g);
	}
	gtm_groups_unref(g);
	return 0;
}
