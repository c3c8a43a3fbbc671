/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Two helpers of fig_store.py.
 *
 *   bench_snapshot make TEMPLATE N FILE  writes a snapshot of N small answers
 *	of the zone that TEMPLATE, a snapshot of a named, has: an address of
 *	"hNNNNNNN.half0" or "half1" below it, one wire each.  Prints the
 *	octets of messages.
 *   bench_snapshot flood			hit ratio of a Zipf load, in per
 *	cent, before, during and after a million names asked once.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cacheproxy/pack.h"
#include "cacheproxy/snapshot.h"
#include "cacheproxy/snapshot_int.h"

#define NAMES	   200000u
#define QUESTIONS  1000000u
#define FLOOD	   1000000u
#define ZIPF	   0.9
#define ENTRY_ROOM 176u

static void give_up(const char *what)
{
	fprintf(stderr, "bench_snapshot: %s\n", what);
	exit(1);
}

/* -- make ------------------------------------------------------------------ */

/* The zone record that comes first in any snapshot. */
static uint64_t zone_of(const char *path, struct dname *zone)
{
	uint8_t p[512];
	FILE *f = fopen(path, "rb");
	size_t n = f != NULL ? fread(p, 1, sizeof(p), f) : 0;
	size_t at = SNAPSHOT_HEADER + SNAPSHOT_SUM + SNAPSHOT_BLOCK_HEAD;
	uint64_t origins = 0;

	if (n < at + SNAPSHOT_RECORD_HEAD + 16 || p[at + 4] != SNAPSHOT_ZONE)
		give_up("not a template");
	size_t name_n = (size_t)(p[at] | p[at + 1] << 8) - 17;
	for (unsigned int i = 0; i < 8; i++)
		origins |= (uint64_t)p[at + SNAPSHOT_RECORD_HEAD + i] << 8 * i;
	if (at + SNAPSHOT_RECORD_HEAD + 16 + name_n > n ||
	    dname_from_wire(p + at + SNAPSHOT_RECORD_HEAD + 16, name_n, zone) !=
		    0)
		give_up("not a template");
	fclose(f);
	return origins;
}

static int write_file(void *arg, const void *octets, size_t n)
{
	return fwrite(octets, 1, n, arg) == n ? 0 : -1;
}

/* Key and message of answer 'i'. */
static size_t answer_of(uint32_t i, const struct dname *zone,
			struct store_key *key, uint8_t *msg)
{
	static const uint8_t record[] = "\xc0\x0c\0\1\0\1\0\1\x51\x80\0\4\xc0"
					"\0\2\1";
	uint8_t *p = msg + WIRE_HEADER;

	memset(key, 0, sizeof(*key));
	memset(msg, 0, WIRE_HEADER);
	msg[2] = 0x84;
	msg[5] = msg[7] = 1;
	memcpy(key->name, "\10h0000000\5half0", 15);
	key->name[14] = (uint8_t)('0' + i % 2);
	for (unsigned int d = 8; d > 1; d--, i /= 10)
		key->name[d] = (uint8_t)('0' + i % 10);
	memcpy(key->name + 15, zone->wire, zone->n);
	key->n = (uint8_t)(15 + zone->n);
	key->qtype = 1;
	memcpy(p, key->name, key->n);
	memcpy(p + key->n, "\0\1\0\1", 4);
	memcpy(p + key->n + 4, record, sizeof(record) - 1);
	return WIRE_HEADER + key->n + 4u + sizeof(record) - 1;
}

static void make(const char *template, uint32_t n, const char *path)
{
	static struct wire_map map;
	struct snapshot_writer *w;
	struct dname zone;
	uint64_t origins = zone_of(template, &zone);
	uint64_t octets = 0;
	FILE *f = fopen(path, "wb");

	if (f == NULL ||
	    snapshot_writer_new(write_file, f, (uint64_t)time(NULL), &w) != 0 ||
	    snapshot_add_zone(w, &zone, origins, 0) != 0)
		give_up("cannot write");
	for (uint32_t i = 0; i < n; i++) {
		struct store_key key;
		uint8_t msg[512];
		struct pack_form form[STORE_FORMS];
		size_t size = answer_of(i, &zone, &key, msg);
		struct pack_wire wire = { msg, size, &map };
		if (wire_map(msg, size, &map) != 0)
			give_up("a bad message");
		for (unsigned int id = 0; id < STORE_FORMS; id++)
			form[id] = (struct pack_form){ .n = (uint16_t)size,
						       .count = { 1, 0, 0 } };
		struct store_entry *e = pack_entry(&key, 0, &wire, 1, form);
		if (e == NULL)
			give_up("no memory");
		e->aa = true;
		e->rrl_labels = 3;
		e->ttl_s = 86400;
		octets += size;
		if (snapshot_add(w, 0, e, 0) != 0 &&
		    (snapshot_flush(w) != 0 || snapshot_add(w, 0, e, 0) != 0))
			give_up("cannot write");
		store_unref(e);
	}
	if (snapshot_end(w) != 0 || fclose(f) != 0)
		give_up("cannot write");
	snapshot_writer_free(w);
	printf("%" PRIu64 "\n", octets);
}

/* -- flood ----------------------------------------------------------------- */

static uint64_t state = 1;

static double random_1(void)
{
	state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (double)(state >> 11) / 9007199254740992.0;
}

static bool ask(struct store *store, uint32_t i)
{
	struct store_key key = { .zone = 1, .qtype = 1, .n = 22 };
	uint32_t n = i;

	memcpy(key.name, "\10hNNNNNNN\7example\3com", 22);
	for (unsigned int d = 8; d > 1; d--, n /= 10)
		key.name[d] = (uint8_t)('0' + n % 10);
	uint64_t hash = store_hash(store, &key);
	if (store_find(store, &key, hash) != NULL)
		return true;
	struct store_entry *e = store_entry_new(&key, hash, 0, ENTRY_ROOM);
	if (e == NULL)
		give_up("no memory");
	e->ttl_s = 86400;
	store_put(store, e);
	store_unref(e);
	(void)store_retired_free(store_retired(store), SIZE_MAX);
	return false;
}

/* Per cent of a Zipf load answered, 'flood' once-asked names among it. */
static double run(struct store *store, const double *sum, uint32_t flood)
{
	static uint32_t fresh = NAMES;
	uint32_t hits = 0;

	for (uint32_t i = 0; i < QUESTIONS; i++) {
		double x = random_1() * sum[NAMES - 1];
		uint32_t low = 0, high = NAMES - 1;
		while (low < high) {
			uint32_t middle = (low + high) / 2;
			if (sum[middle] < x)
				low = middle + 1;
			else
				high = middle;
		}
		hits += ask(store, low);
		if (i < flood)
			(void)ask(store, fresh++);
	}
	return 100.0 * hits / QUESTIONS;
}

static void flood(void)
{
	static double sum[NAMES];
	struct store *store;

	for (uint32_t i = 0; i < NAMES; i++)
		sum[i] = (i > 0 ? sum[i - 1] : 0) + pow(i + 1, -ZIPF);
	/* room for about a fifth of the names */
	if (store_new(UINT64_C(12) << 20, 1, &store) != 0)
		give_up("no memory");
	(void)run(store, sum, 0);
	double before = run(store, sum, 0);
	double during = run(store, sum, FLOOD);
	double after = run(store, sum, 0);
	printf("%.3f %.3f %.3f\n", before, during, after);
	store_free(store);
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "make") == 0)
		make(argv[2], (uint32_t)strtoul(argv[3], NULL, 10), argv[4]);
	else if (argc == 2 && strcmp(argv[1], "flood") == 0)
		flood();
	else
		give_up("make TEMPLATE N FILE | flood");
	return 0;
}
