/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fuzzes the reader of snapshots.  The input is the records of one block: the
 * header and the sums around them are made right here, as no fuzzer would
 * find them.  An even first octet stands for the whole file as it is, after
 * it.  Every form of what is accepted must be a message.
 */
#include "cacheproxy/snapshot.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "cacheproxy/pack.h"
#include "cacheproxy/snapshot_int.h"

#define WALL UINT64_C(1700000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	uint8_t octets[1u << 17];
	size_t n, at;
};

static void put(struct input *in, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		in->octets[in->n++] = (uint8_t)(value >> 8 * i);
}

/* A block of the 'n' octets at 'p', and its sum. */
static void put_block(struct input *in, const uint8_t *p, size_t n,
		      const uint32_t *head, uint64_t seed)
{
	size_t at = in->n;

	in->n += SNAPSHOT_SUM;
	put(in, n, 4);
	for (size_t i = 0; i < 3; i++)
		put(in, head[i], 4);
	memcpy(in->octets + in->n, p, n);
	in->n += n;
	uint64_t sum = XXH3_64bits_withSeed(in->octets + at + SNAPSHOT_SUM,
					    in->n - at - SNAPSHOT_SUM, seed);
	size_t end = in->n;
	in->n = at;
	put(in, sum, 8);
	in->n = end;
}

/* Counts records as they frame themselves; '*entries' of them are entries. */
static uint32_t frame(const uint8_t *p, size_t n, uint64_t *entries)
{
	uint32_t records = 0;

	while (n >= SNAPSHOT_RECORD_HEAD) {
		size_t more = p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 |
			      (size_t)p[3] << 24;
		if (more > n - 4)
			break;
		*entries += more > 0 && p[4] == SNAPSHOT_ENTRY;
		records++;
		p += 4 + more;
		n -= 4 + more;
	}
	return records;
}

static void wrap(struct input *in, const uint8_t *data, size_t size)
{
	uint8_t total[13] = { 9, 0, 0, 0, SNAPSHOT_TOTAL };
	uint64_t entries = 0;
	uint32_t records = frame(data, size, &entries);

	memcpy(in->octets, SNAPSHOT_MAGIC, 8);
	in->n = 8;
	put(in, SNAPSHOT_VERSION, 8);
	put(in, WALL, 8);
	uint64_t seed = XXH3_64bits(in->octets, in->n);
	put(in, seed, 8);
	put_block(in, data, size, (uint32_t[]){ records, 0, 0 }, seed);
	for (unsigned int i = 0; i < 8; i++)
		total[5 + i] = (uint8_t)(entries >> 8 * i);
	put_block(in, total, sizeof(total), (uint32_t[]){ 1, 1, 1 }, seed);
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

static uint64_t find_zone(void *arg, const struct dname *name, uint64_t origins,
			  uint64_t serial)
{
	(void)arg;
	(void)name;
	return (origins ^ serial) & 1;
}

static void check_form(const struct store_entry *e, const struct store_form *f)
{
	static uint8_t msg[WIRE_MAX];
	static struct wire_map map;
	size_t n;

	memcpy(msg, e->octets + f->wire, f->n);
	for (size_t i = 0; i < 3; i++) {
		msg[6 + 2 * i] = (uint8_t)(f->count[i] >> 8);
		msg[7 + 2 * i] = (uint8_t)f->count[i];
	}
	if (wire_map(msg, f->n, &map) != 0)
		abort();
	const uint16_t *ttls = store_form_ttls(e->octets, f, &n);
	wire_age(msg, ttls, n, 10, 0, false);
	const struct wire_turn *set = store_form_turns(e->octets, f);
	for (unsigned int i = 0; i < f->n_turns && set[i].offset < f->n; i++)
		wire_turn(msg, &set[i], 1);
	if (wire_map(msg, f->n, &map) != 0)
		abort();
}

static void check_all(struct store *store, struct store_entry *list)
{
	while (list != NULL) {
		struct store_entry *e = list;
		list = e->fore;
		for (unsigned int id = 0; id < STORE_FORMS; id++)
			check_form(e, store_form_of(e, id));
		store_restore(store, e);
		store_unref(e);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct input in;
	struct store *store;
	struct snapshot_result result;

	if (size < 1 || size > sizeof(in.octets) - 256 ||
	    store_new(1u << 20, 1, &store) != 0)
		return 0;
	in.at = 0;
	if (data[0] % 2 == 1) {
		wrap(&in, data + 1, size - 1);
	} else {
		in.n = size - 1;
		memcpy(in.octets, data + 1, size - 1);
	}
	struct snapshot_source source = { .read = read_input,
					  .zone = find_zone,
					  .arg = &in,
					  .store = store,
					  .limit_bytes = 1u << 20,
					  .wall_s = WALL + 5,
					  .now_s = 1000 };
	if (snapshot_load(&source, &result) == 0)
		check_all(store, result.list);
	store_free(store);
	return 0;
}
