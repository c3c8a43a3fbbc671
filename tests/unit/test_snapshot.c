/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/snapshot.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "cacheproxy/pack.h"
#include "cacheproxy/snapshot_int.h"

#define MIB    (UINT64_C(1) << 20)
#define WALL   UINT64_C(1700000000)
#define NOW_S  5000u
#define ORIGIN UINT64_C(0xfeedface12345678)
#define SERIAL UINT64_C(0x1000007e8)
#define ZONE   7u /* its identity in the cache */

static struct store *store;

/* -- a file in memory ------------------------------------------------------ */

static struct {
	uint8_t octets[8u << 20];
	size_t n, at;
	int fail; /* of reads and writes */
} file;

static int write_file(void *arg, const void *octets, size_t n)
{
	(void)arg;
	if (file.fail != 0)
		return file.fail;
	assert_true(n <= sizeof(file.octets) - file.n);
	memcpy(file.octets + file.n, octets, n);
	file.n += n;
	return 0;
}

static int64_t read_file(void *arg, void *octets, size_t n)
{
	(void)arg;
	if (file.fail != 0)
		return file.fail;
	if (n > file.n - file.at)
		n = file.n - file.at;
	memcpy(octets, file.octets + file.at, n);
	file.at += n;
	return (int64_t)n;
}

/* -- allocations that fail ------------------------------------------------- */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static unsigned int fail_at; /* this one from now fails; 0: none */

static bool fails(void)
{
	return fail_at > 0 && --fail_at == 0;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

/* -- entries --------------------------------------------------------------- */

/*
 * The answer "hNNN.example. A", two addresses, and an NS in the authority
 * section that some forms leave out.
 */
static size_t message_of(uint32_t i, uint8_t *msg)
{
	static const uint8_t head[] = "\0\0\x84\0\0\1\0\2\0\1\0\0"
				      "\4h000\7example\0\0\1\0\1";
	static const uint8_t tail[] =
		"\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\xc0\0\2\1"
		"\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\xc0\0\2\2"
		"\xc0\x11\0\2\0\1\0\0\1\x2c\0\5\2ns\xc0\x11";

	memcpy(msg, head, sizeof(head) - 1);
	for (unsigned int d = 3; d > 0; d--, i /= 10)
		msg[13 + d] = (uint8_t)('0' + i % 10);
	memcpy(msg + sizeof(head) - 1, tail, sizeof(tail) - 1);
	return sizeof(head) + sizeof(tail) - 2;
}

static void key_of(uint32_t i, struct store_key *key)
{
	uint8_t msg[128];

	(void)message_of(i, msg);
	memset(key, 0, sizeof(*key));
	key->zone = ZONE;
	key->qtype = 1;
	key->n = 14;
	memcpy(key->name, msg + WIRE_HEADER, key->n);
}

static struct store_entry *make(uint32_t i)
{
	static struct wire_map map;
	uint8_t msg[128];
	size_t n = message_of(i, msg);
	struct store_key key;
	struct pack_form form[STORE_FORMS];

	assert_int_equal(wire_map(msg, n, &map), 0);
	struct pack_wire wire = { msg, n, &map };
	for (unsigned int id = 0; id < STORE_FORMS; id++) {
		bool cut = (id & STORE_NOAUTH) != 0;
		form[id] = (struct pack_form){
			.n = cut ? map.end[0] : (uint16_t)n,
			.count = { 2, cut ? 0 : 1, 0 },
		};
	}
	key_of(i, &key);
	struct store_entry *e =
		pack_entry(&key, store_hash(store, &key), &wire, 1, form);
	assert_non_null(e);
	e->kind = STORE_POSITIVE;
	e->aa = true;
	e->rrl_labels = 3;
	e->stored_s = NOW_S - 10;
	e->ttl_s = 300;
	e->stale_s = 100;
	return e;
}

static struct store_entry *find(uint32_t i)
{
	struct store_key key;

	key_of(i, &key);
	return store_find(store, &key, store_hash(store, &key));
}

/* Saves 'n' entries and one of another zone. */
static void save(uint32_t n)
{
	struct snapshot_writer *w = NULL;
	struct dname zone, other;

	file.n = 0;
	assert_int_equal(dname_parse(slice_of("example"), &zone), 0);
	assert_int_equal(dname_parse(slice_of("h000.example"), &other), 0);
	assert_int_equal(snapshot_writer_new(write_file, NULL, WALL, &w), 0);
	assert_int_equal(snapshot_add_zone(w, &zone, ORIGIN, SERIAL), 0);
	for (uint32_t i = 0; i < n; i++) {
		struct store_entry *e = make(i);
		if (snapshot_add(w, 0, e, 10) == -ENOBUFS) {
			assert_int_equal(snapshot_flush(w), 0);
			assert_int_equal(snapshot_add(w, 0, e, 10), 0);
		}
		store_unref(e);
	}
	assert_int_equal(snapshot_add_zone(w, &other, ORIGIN, 0), 1);
	struct store_entry *e = make(0);
	assert_int_equal(snapshot_add(w, 1, e, 10), 0);
	store_unref(e);
	assert_int_equal(snapshot_end(w), 0);
	snapshot_writer_free(w);
}

static uint64_t find_zone(void *arg, const struct dname *name, uint64_t origins,
			  uint64_t serial)
{
	(void)arg;
	return origins == ORIGIN && serial == SERIAL && name->labels == 1 ? ZONE
									  : 0;
}

static int load_at(uint64_t wall_s, uint64_t limit_bytes,
		   struct snapshot_result *result)
{
	struct snapshot_source source = {
		.read = read_file,
		.zone = find_zone,
		.store = store,
		.limit_bytes = limit_bytes,
		.wall_s = wall_s,
		.now_s = NOW_S,
	};

	file.at = 0;
	return snapshot_load(&source, result);
}

/* Refuses, and leaves the result alone. */
static void refuses(int rc)
{
	struct snapshot_result result = { .entries = 99 };

	assert_int_equal(load_at(WALL, MIB, &result), rc);
	assert_int_equal(result.entries, 99);
	assert_null(result.list);
}

static int setup(void **state)
{
	(void)state;
	file.fail = 0;
	fail_at = 0;
	return store_new(MIB, 1, &store);
}

static int teardown(void **state)
{
	(void)state;
	fail_at = 0;
	store_free(store);
	return 0;
}

/* -- tests ----------------------------------------------------------------- */

static void same(const struct store_entry *a, const struct store_entry *b)
{
	assert_int_equal(a->qtype, b->qtype);
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->rcode, b->rcode);
	assert_int_equal(a->aa, b->aa);
	assert_int_equal(a->is_signed, b->is_signed);
	assert_int_equal(a->rrl_labels, b->rrl_labels);
	assert_int_equal(a->ttl_s, b->ttl_s);
	assert_int_equal(a->stale_s, b->stale_s);
	assert_int_equal(a->forms, b->forms);
	assert_int_equal(a->hash, b->hash);
	assert_int_equal(store_bytes(a), store_bytes(b));
	assert_memory_equal(a->octets, b->octets,
			    store_bytes(a) - 8 - sizeof(*a));
}

static void restore(struct snapshot_result *result)
{
	while (result->list != NULL) {
		struct store_entry *e = result->list;
		result->list = e->fore;
		store_restore(store, e);
		store_unref(e);
	}
}

static void comes_back(void **state)
{
	struct snapshot_result result;

	(void)state;
	save(100);
	assert_int_equal(load_at(WALL + 60, MIB, &result), 0);
	assert_int_equal(result.entries, 100);
	assert_int_equal(result.foreign, 1);
	assert_int_equal(result.expired, 0);
	assert_int_equal(result.age_s, 60);
	restore(&result);
	for (uint32_t i = 0; i < 100; i++) {
		struct store_entry *e = find(i);
		struct store_entry *want = make(i);
		assert_non_null(e);
		assert_int_equal(e->zone, ZONE);
		assert_int_equal(store_age_s(e, NOW_S), 70);
		same(e, want);
		store_unref(want);
	}
}

static void popularity_comes_back(void **state)
{
	struct snapshot_result result;
	struct snapshot_writer *w;
	struct dname zone;
	struct store_entry *e = make(1);

	(void)state;
	atomic_init(&e->hits, 2);
	atomic_init(&e->in_main, true);
	file.n = 0;
	assert_int_equal(dname_parse(slice_of("example"), &zone), 0);
	assert_int_equal(snapshot_writer_new(write_file, NULL, WALL, &w), 0);
	assert_int_equal(snapshot_add_zone(w, &zone, ORIGIN, SERIAL), 0);
	assert_int_equal(snapshot_add(w, 0, e, 0), 0);
	assert_int_equal(snapshot_end(w), 0);
	snapshot_writer_free(w);
	store_unref(e);
	assert_int_equal(load_at(WALL, MIB, &result), 0);
	assert_int_equal(store_hits(result.list), 2);
	assert_true(store_in_main(result.list));
	snapshot_list_free(result.list);
}

/* What has come since is newer. */
static void takes_nobodys_place(void **state)
{
	struct snapshot_result result;
	struct store_entry *newer = make(3);

	(void)state;
	newer->stored_s = NOW_S;
	store_put(store, newer);
	save(5);
	assert_int_equal(load_at(WALL, MIB, &result), 0);
	restore(&result);
	assert_ptr_equal(find(3), newer);
	assert_non_null(find(4));
	store_unref(newer);
}

static void ages_are_true(void **state)
{
	struct snapshot_result result;

	(void)state;
	save(3);
	/* 10 s old when saved; 300 s fresh, 100 s more stale */
	assert_int_equal(load_at(WALL + 389, MIB, &result), 0);
	assert_int_equal(result.entries, 3);
	assert_false(store_fresh(result.list, NOW_S));
	assert_true(store_usable_stale(result.list, NOW_S));
	snapshot_list_free(result.list);
	assert_int_equal(load_at(WALL + 390, MIB, &result), 0);
	assert_int_equal(result.entries, 0);
	assert_int_equal(result.expired, 3);
	assert_null(result.list);
	assert_int_equal(load_at(UINT64_MAX, MIB, &result), 0);
	assert_int_equal(result.expired, 3);
}

static void refuses_the_future(void **state)
{
	struct snapshot_result result = { .entries = 1 };

	(void)state;
	save(1);
	assert_int_equal(load_at(WALL - SNAPSHOT_AHEAD_S, MIB, &result), 0);
	assert_int_equal(result.age_s, 0);
	snapshot_list_free(result.list);
	assert_int_equal(load_at(WALL - SNAPSHOT_AHEAD_S - 1, MIB, &result),
			 -ETIME);
}

static void stays_in_its_room(void **state)
{
	struct snapshot_result result;
	struct store_entry *e = make(0);
	size_t one = store_bytes(e);

	(void)state;
	store_unref(e);
	save(10);
	assert_int_equal(load_at(WALL, 4 * one, &result), 0);
	assert_int_equal(result.entries, 4);
	assert_int_equal(result.over, 6);
	snapshot_list_free(result.list);
}

static void many_blocks(void **state)
{
	struct snapshot_result result;

	(void)state;
	save(30000);
	assert_true(file.n > SNAPSHOT_BLOCK_MAX);
	assert_int_equal(load_at(WALL, 64 * MIB, &result), 0);
	assert_int_equal(result.entries, 30000);
	snapshot_list_free(result.list);
}

static void refuses_any_damage(void **state)
{
	(void)state;
	save(4);
	for (size_t i = 0; i < file.n; i++) {
		file.octets[i] ^= 0x10;
		refuses(i >= 8 && i < 12 ? -EPROTONOSUPPORT : -EBADMSG);
		file.octets[i] ^= 0x10;
	}
}

static void refuses_any_end(void **state)
{
	(void)state;
	save(4);
	size_t n = file.n;
	for (file.n = 0; file.n < n; file.n++)
		refuses(-EBADMSG);
	file.octets[file.n++] = 0; /* one too many */
	refuses(-EBADMSG);
}

/* Makes the sum of the first block right again. */
static void mend(void)
{
	uint8_t *block = file.octets + SNAPSHOT_HEADER;
	uint64_t seed = XXH3_64bits(file.octets, 24);
	size_t n = block[8] | (size_t)block[9] << 8 | (size_t)block[10] << 16;
	if (n > file.n - SNAPSHOT_HEADER - SNAPSHOT_SUM - SNAPSHOT_BLOCK_HEAD)
		return; /* the length itself is wrong */
	uint64_t sum = XXH3_64bits_withSeed(block + SNAPSHOT_SUM,
					    SNAPSHOT_BLOCK_HEAD + n, seed);

	for (unsigned int i = 0; i < 8; i++)
		block[i] = (uint8_t)(sum >> 8 * i);
}

/* A right sum is not enough: whatever is accepted holds together. */
static void validates_what_the_sum_covers(void **state)
{
	unsigned int refused = 0;

	(void)state;
	save(1);
	for (size_t i = SNAPSHOT_HEADER + SNAPSHOT_SUM; i < 500; i++) {
		struct snapshot_result result;
		for (unsigned int bit = 0; bit < 8; bit++) {
			file.octets[i] ^= (uint8_t)(1u << bit);
			mend();
			if (load_at(WALL, MIB, &result) == 0) {
				restore(&result);
				assert_true(store_purge_zone(store, ZONE) <= 1);
				store_retired_free(store_retired(store),
						   SIZE_MAX);
			} else {
				refused++;
			}
			file.octets[i] ^= (uint8_t)(1u << bit);
			mend();
		}
	}
	assert_true(refused > 1000);
}

static void passes_errors_on(void **state)
{
	struct snapshot_writer *w = NULL;

	(void)state;
	save(2);
	file.fail = -EIO;
	refuses(-EIO);
	assert_int_equal(snapshot_writer_new(write_file, NULL, WALL, &w), -EIO);
	assert_null(w);
}

static void survives_without_memory(void **state)
{
	struct snapshot_result result;
	unsigned int i = 0;

	(void)state;
	save(70);
	do {
		fail_at = ++i;
		int rc = load_at(WALL, MIB, &result);
		if (fail_at > 0)
			assert_int_equal(rc, 0);
		else
			assert_int_equal(rc, -ENOMEM);
	} while (fail_at == 0);
	assert_true(i > 70);
	snapshot_list_free(result.list);
	fail_at = 1;
	struct snapshot_writer *w = NULL;
	assert_int_equal(snapshot_writer_new(write_file, NULL, WALL, &w),
			 -ENOMEM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(comes_back),	   TEST(popularity_comes_back),
		TEST(takes_nobodys_place), TEST(ages_are_true),
		TEST(refuses_the_future),  TEST(stays_in_its_room),
		TEST(many_blocks),	   TEST(refuses_any_damage),
		TEST(refuses_any_end),	   TEST(validates_what_the_sum_covers),
		TEST(passes_errors_on),	   TEST(survives_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
