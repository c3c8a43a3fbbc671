/* SPDX-License-Identifier: MPL-2.0 */
/* Dumps of BGP tables, and the table that is made of them. */
#include "probes-client/near_load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/config.h"
#include "probes-client/near_method.h"

#define V2	   13
#define PATH	   2
#define DUMP_OCTET (1u << 21)

/* -- allocations that fail ------------------------------------------------- */

static long may_allocate = -1; /* less than 0: always */

static bool is_denied(void)
{
	return may_allocate >= 0 && may_allocate-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size)
{
	return is_denied() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return is_denied() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return is_denied() ? NULL : __real_realloc(p, size);
}

/* -- a dump in the making -------------------------------------------------- */

struct dump {
	size_t n, at; /* octets; those that were read */
	size_t piece; /* octets at one time */
	long error;   /* after all of it; 0: none */
	uint8_t octets[DUMP_OCTET];
};

static struct dump dump;

static void put(uint64_t value, unsigned int octets)
{
	assert_true(dump.n + octets <= sizeof(dump.octets));
	while (octets-- > 0)
		dump.octets[dump.n++] = (uint8_t)(value >> 8 * octets);
}

/* Begins a record; where its length is. */
static size_t begin(unsigned int type, unsigned int subtype)
{
	put(1732500000, 4);
	put(type, 2);
	put(subtype, 2);
	put(0, 4);
	return dump.n;
}

/* Sets the length in the 'octets' before 'at'. */
static void end(size_t at, unsigned int octets)
{
	size_t n = dump.n;

	dump.n = at - octets;
	put(n - at, octets);
	dump.n = n;
}

static void peers_put(unsigned int n)
{
	size_t at = begin(V2, 1);

	put(0xc0000201, 4);
	put(4, 2);
	put(0x76696577, 4);
	put(n, 2);
	for (unsigned int i = 0; i < n; i++) {
		put(i & 3, 1);
		put(i, 4);
		for (int k = 0; k < ((i & 1) != 0 ? 4 : 1); k++)
			put(0, 4);
		put(64500, (i & 2) != 0 ? 4 : 2);
	}
	end(at, 4);
}

/* A route's record up to its entries. */
static size_t route_begin(unsigned int subtype, const char *prefix,
			  unsigned int bits, unsigned int entries)
{
	uint8_t address[16];
	size_t at = begin(V2, subtype);

	assert_int_equal(
		inet_pton(strchr(prefix, ':') != NULL ? AF_INET6 : AF_INET,
			  prefix, address),
		1);
	put(0, 4);
	put(bits, 1);
	for (unsigned int i = 0; i < (bits + 7) / 8; i++)
		put(address[i], 1);
	put(entries, 2);
	return at;
}

/* An entry up to the members of an AS_PATH of 'octets', behind an ORIGIN. */
static void entry_put(unsigned int peer, unsigned int octets)
{
	put(peer, 2);
	put(0, 4);
	put(4 + 4 + octets, 2);
	put(0x40010100, 4);
	put(0x50, 1);
	put(PATH, 1);
	put(octets, 2);
}

static void segment_put(unsigned int type, unsigned int n, const uint32_t *as)
{
	put(type, 1);
	put(n, 1);
	for (unsigned int i = 0; i < n; i++)
		put(as[i], 4);
}

/* A route with one entry of so many systems. */
static void route_put(const char *prefix, unsigned int bits, unsigned int hops)
{
	bool v6 = strchr(prefix, ':') != NULL;
	size_t at = route_begin(v6 ? 4 : 2, prefix, bits, 1);

	entry_put(0, 2 + 4 * hops);
	put(2, 1);
	put(hops, 1);
	for (unsigned int i = 0; i < hops; i++)
		put(100 + i, 4);
	end(at, 4);
}

static long pull(void *arg, uint8_t *to, size_t n)
{
	struct dump *d = arg;
	size_t left = d->n - d->at;

	if (n > left)
		n = left;
	if (n > d->piece)
		n = d->piece;
	if (n == 0)
		return d->error;
	memcpy(to, d->octets + d->at, n);
	d->at += n;
	return (long)n;
}

static int load(struct near_loaded *loaded)
{
	dump.at = 0;
	return near_load(pull, &dump, loaded);
}

static int way(const struct near_routes *routes, const char *address)
{
	struct gtm_client client = { .v6 = strchr(address, ':') != NULL };

	assert_int_equal(inet_pton(client.v6 ? AF_INET6 : AF_INET, address,
				   client.address),
			 1);
	return near_routes_find(routes, &client);
}

static int dump_begin(void **unused)
{
	(void)unused;
	may_allocate = -1;
	dump.n = 0;
	dump.error = 0;
	dump.piece = sizeof(dump.octets);
	return 0;
}

/* -- what is read ---------------------------------------------------------- */

/* One peer's. */
static void ways_put(void)
{
	static const uint32_t as[] = { 70000, 1, 1, 2, 1, 7, 7, 7 };
	size_t at;

	/* 70000 1 (1) 2 1 7 (7) (7), and 7 again in the next segment */
	at = route_begin(2, "10.0.0.0", 8, 1);
	entry_put(3, 2 + 32 + 2 + 4);
	segment_put(2, 8, as);
	segment_put(2, 1, as + 7);
	end(at, 4);
	/* a set is one, an empty one none; 7 on both sides of it are two */
	at = route_begin(2, "11.0.0.0", 8, 1);
	entry_put(0, 2 + 4 + 2 + 12 + 2 + 2 + 4);
	segment_put(2, 1, as + 7);
	segment_put(1, 3, as);
	segment_put(1, 0, as);
	segment_put(2, 1, as + 7);
	end(at, 4);
	/* confederations are none */
	at = route_begin(2, "12.0.0.0", 8, 1);
	entry_put(0, 2 + 12 + 2 + 8 + 2 + 4);
	segment_put(3, 3, as);
	segment_put(4, 2, as);
	segment_put(2, 1, as);
	end(at, 4);
	/* our own; the same, not from BGP; and what nobody has */
	route_put("13.0.0.0", 8, 0);
	at = route_begin(2, "14.0.0.0", 8, 1);
	put(0, 6);
	put(4, 2);
	put(0x40010100, 4);
	end(at, 4);
	at = route_begin(2, "16.0.0.0", 8, 0);
	end(at, 4);
}

/* With RFC 8050's identifiers of paths. */
static void paths_put(void)
{
	/* the shortest of three */
	size_t at = route_begin(10, "2001:db8::", 32, 3);
	for (unsigned int n = 0; n < 3; n++) {
		unsigned int members = 4 - (n + 1) % 3;
		put(n, 2);
		put(0, 4);
		put(n + 1, 4);
		put(3 + 2 + 4 * members, 2);
		put(0x40, 1);
		put(PATH, 1);
		put(2 + 4 * members, 1);
		put(2, 1);
		put(members, 1);
		for (unsigned int i = 0; i < members; i++)
			put(i + 1, 4);
	}
	end(at, 4);
	at = route_begin(8, "15.0.0.0", 8, 1);
	put(0, 6);
	put(7, 4);
	put(3, 2);
	put(0x400200, 3);
	end(at, 4);
}

static void test_ways(void **unused)
{
	struct near_loaded loaded;

	(void)unused;
	peers_put(4);
	ways_put();
	paths_put();
	assert_int_equal(load(&loaded), 0);
	assert_int_equal(loaded.octets, dump.n);
	assert_int_equal(loaded.records, 9);
	assert_int_equal(way(loaded.routes, "10.1.2.3"), 5);
	assert_int_equal(way(loaded.routes, "11.1.2.3"), 3);
	assert_int_equal(way(loaded.routes, "12.1.2.3"), 1);
	assert_int_equal(way(loaded.routes, "13.1.2.3"), 0);
	assert_int_equal(way(loaded.routes, "14.1.2.3"), 0);
	assert_int_equal(way(loaded.routes, "15.1.2.3"), 0);
	assert_int_equal(way(loaded.routes, "16.1.2.3"), -ENOENT);
	assert_int_equal(way(loaded.routes, "2001:db8::1"), 2);
	assert_int_equal(way(loaded.routes, "2001:db9::1"), -ENOENT);
	assert_int_equal(near_routes_count(loaded.routes, false), 6);
	assert_int_equal(near_routes_count(loaded.routes, true), 1);
	near_routes_free(loaded.routes);
}

static void test_long_ways(void **unused)
{
	struct near_loaded loaded;

	(void)unused;
	peers_put(1);
	size_t at = route_begin(2, "10.0.0.0", 8, 1);
	entry_put(0, 2 * (2 + 4 * 200));
	for (unsigned int k = 0; k < 2; k++) {
		put(2, 1);
		put(200, 1);
		for (unsigned int i = 0; i < 200; i++)
			put(1000 * k + i, 4);
	}
	end(at, 4);
	assert_int_equal(load(&loaded), 0);
	assert_int_equal(way(loaded.routes, "10.0.0.1"), NEAR_MRT_HOPS_MAX);
	near_routes_free(loaded.routes);
}

/* TABLE_DUMP: each peer has a record of its own, and numbers 2 octets. */
static void test_old(void **unused)
{
	static const struct {
		uint8_t v6, bits;
		uint8_t n, as[4][2];
	} records[] = {
		/* 23456 stands for others, which may differ */
		{ 0, 8, 4, { { 91, 160 }, { 91, 160 }, { 0, 7 }, { 0, 7 } } },
		{ 0, 8, 4, { { 0, 1 }, { 0, 2 }, { 0, 3 }, { 0, 4 } } },
		{ 1, 32, 2, { { 0, 1 }, { 0, 2 } } },
	};
	struct near_loaded loaded;

	(void)unused;
	for (unsigned int i = 0; i < 3; i++) {
		unsigned int size = records[i].v6 != 0 ? 16 : 4;
		size_t at = begin(12, records[i].v6 != 0 ? 2 : 1);
		put(0, 4);
		put(0x0affffff, 4); /* bits behind the length are no matter */
		for (unsigned int k = 4; k < size; k++)
			put(0, 1);
		put(records[i].bits, 1);
		put(1, 1);
		put(0, 4);
		for (unsigned int k = 0; k < size; k++)
			put(0, 1);
		put(64500, 2);
		put(5u + 2u * records[i].n, 2);
		put(0x4002, 2);
		put(2u + 2u * records[i].n, 1);
		put(2, 1);
		put(records[i].n, 1);
		for (unsigned int k = 0; k < records[i].n; k++)
			put(256u * records[i].as[k][0] + records[i].as[k][1],
			    2);
		end(at, 4);
	}
	assert_int_equal(load(&loaded), 0);
	assert_int_equal(way(loaded.routes, "10.9.9.9"), 3);
	assert_int_equal(way(loaded.routes, "aff:ffff::1"), 2);
	assert_int_equal(near_routes_count(loaded.routes, false), 1);
	near_routes_free(loaded.routes);
}

/* -- damage ---------------------------------------------------------------- */

static void good_dump(void)
{
	peers_put(3);
	route_put("10.0.0.0", 8, 3);
	size_t at = begin(16, 4); /* somebody else's */
	put(0, 8);
	end(at, 4);
	route_put("2001:db8::", 32, 2);
}

/* Wherever it is cut, it is damaged, and where that is is told. */
static void test_cut(void **unused)
{
	struct near_loaded loaded;

	(void)unused;
	good_dump();
	size_t whole = dump.n;
	size_t last = 0;
	for (dump.n = 0; dump.n < whole; dump.n++) {
		dump.piece = 1 + dump.n % 5;
		int rc = load(&loaded);
		if (rc == 0) {
			/* between two records, with a route before */
			assert_int_equal(loaded.octets, dump.n);
			near_routes_free(loaded.routes);
			continue;
		}
		assert_int_equal(rc, -EBADMSG);
		assert_null(loaded.routes);
		assert_non_null(loaded.why);
		assert_true(loaded.octets <= dump.n && loaded.octets >= last);
		last = loaded.octets;
	}
	assert_int_equal(load(&loaded), 0);
	assert_int_equal(loaded.records, 4);
	near_routes_free(loaded.routes);
}

/* Any octet may be any other: what comes of it is either. */
static void test_flipped(void **unused)
{
	unsigned int bad = 0;
	struct near_loaded loaded;

	(void)unused;
	good_dump();
	for (size_t i = 0; i < dump.n; i++)
		for (unsigned int bit = 0; bit < 8; bit++) {
			dump.octets[i] ^= (uint8_t)(1u << bit);
			int rc = load(&loaded);
			assert_true(rc == 0 || rc == -EBADMSG);
			bad += rc != 0;
			near_routes_free(loaded.routes);
			dump.octets[i] ^= (uint8_t)(1u << bit);
		}
	assert_true(bad > 8 * dump.n / 4);
}

static void damaged_by(const char *why, size_t octets, uint64_t records)
{
	struct near_loaded loaded;

	assert_int_equal(load(&loaded), -EBADMSG);
	assert_string_equal(loaded.why, why);
	assert_int_equal(loaded.octets, octets);
	assert_int_equal(loaded.records, records);
	dump.n = 0;
}

static void test_damage(void **unused)
{
	size_t at;

	(void)unused;
	route_put("10.0.0.0", 8, 3);
	damaged_by("a route before the table of peers", 0, 0);
	peers_put(2);
	damaged_by("no route in it", dump.n, 1);
	peers_put(0);
	at = dump.n;
	route_put("10.0.0.0", 8, 3);
	damaged_by("a peer that is not in the table", at, 1);
	peers_put(1);
	at = begin(V2, 2);
	put(0, 4);
	put(33, 1);
	put(0, 7);
	end(at, 4);
	damaged_by("a prefix that is too long", at - 12, 1);
	peers_put(1);
	at = route_begin(2, "10.0.0.0", 8, 1);
	entry_put(0, 6);
	segment_put(2, 1, (const uint32_t[]){ 1 });
	put(0, 1);
	end(at, 4);
	damaged_by("a record that is longer than its entries", at - 12, 1);
	peers_put(1);
	at = route_begin(2, "10.0.0.0", 8, 1);
	entry_put(0, 6);
	segment_put(2, 2, (const uint32_t[]){ 1, 2 });
	end(at, 4);
	damaged_by("an AS_PATH that is none", at - 12, 1);
	peers_put(1);
	at = route_begin(2, "10.0.0.0", 8, 1);
	entry_put(0, 14);
	segment_put(2, 3, (const uint32_t[]){ 1, 2, 3 });
	dump.n -= 4;
	end(at, 4);
	damaged_by("an entry that is longer than its record", at - 12, 1);
	peers_put(1);
	at = begin(V2, 2);
	dump.n -= 4;
	put(NEAR_MRT_RECORD_MAX + 1, 4);
	damaged_by("a record that is too long", at - 12, 1);
	/* as a compressed file begins */
	put(0x1f8b0800, 4);
	put(0x67440000, 4);
	put(0x00000003, 4);
	damaged_by("no record of MRT", 0, 0);
}

/* Many entries in one record: more than the first room has. */
static void test_large_record(void **unused)
{
	struct near_loaded loaded;

	(void)unused;
	peers_put(40000);
	size_t at = route_begin(2, "10.0.0.0", 8, 40000);
	for (unsigned int i = 0; i < 40000; i++) {
		entry_put(i, 6);
		segment_put(2, 1, (const uint32_t[]){ i });
	}
	end(at, 4);
	route_put("11.0.0.0", 8, 2);
	dump.piece = 1000;
	assert_int_equal(load(&loaded), 0);
	assert_int_equal(loaded.octets, dump.n);
	assert_int_equal(way(loaded.routes, "10.0.0.1"), 1);
	assert_int_equal(way(loaded.routes, "11.0.0.1"), 2);
	near_routes_free(loaded.routes);
}

static void test_read_fails(void **unused)
{
	struct near_loaded loaded;

	(void)unused;
	good_dump();
	dump.error = -EIO;
	assert_int_equal(load(&loaded), -EIO);
	assert_null(loaded.routes);
	dump.n -= 3;
	assert_int_equal(load(&loaded), -EIO);
	assert_null(loaded.routes);
}

static void test_no_memory(void **unused)
{
	struct near_loaded loaded;
	long n = 0;
	int rc;

	(void)unused;
	good_dump();
	do {
		may_allocate = n++;
		rc = load(&loaded);
		may_allocate = -1;
		assert_true(rc == 0 || rc == -ENOMEM);
		assert_true((rc == 0) == (loaded.routes != NULL));
	} while (rc != 0);
	/* the table, room for octets, two families, and the ends of both */
	assert_int_equal(n - 1, 6);
	near_routes_free(loaded.routes);
}

/* -- the table ------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static bool covers(const struct near_route *route, const uint8_t *address)
{
	for (unsigned int i = 0; i < route->bits; i++)
		if (((route->address[i / 8] ^ address[i / 8]) &
		     0x80u >> i % 8) != 0)
			return false;
	return true;
}

/* Slow, and plainly right. */
static int reference(const struct near_route *all, size_t n, bool v6,
		     const uint8_t *address)
{
	int best = -ENOENT;
	unsigned int bits = 0;

	for (size_t i = 0; i < n; i++) {
		if (all[i].v6 != v6 || all[i].bits == 0 || all[i].bits > 64 ||
		    all[i].bits < bits || !covers(&all[i], address))
			continue;
		if (all[i].bits > bits || all[i].hops < best)
			best = all[i].hops;
		bits = all[i].bits;
	}
	return best;
}

/* Few different octets, so that prefixes enclose each other. */
static void address_random(uint64_t *state, uint8_t *address)
{
	static const uint8_t octets[] = { 0, 1, 0x7f, 0x80, 0xfe, 0xff };

	for (unsigned int i = 0; i < 16; i++)
		address[i] = octets[next_random(state) % 6];
}

static void test_against_the_reference(void **unused)
{
	enum { N = 3000, ASKED = 4000 };
	struct near_route *all = calloc(N, sizeof(*all));
	struct near_routes *routes = near_routes_new();
	uint64_t state = 88172645463325252u;
	size_t hits = 0;

	(void)unused;
	assert_non_null(all);
	assert_non_null(routes);
	for (size_t i = 0; i < N; i++) {
		struct near_route *r = &all[i];
		address_random(&state, r->address);
		r->v6 = (next_random(&state) & 1) != 0;
		r->bits = (uint8_t)(next_random(&state) % (r->v6 ? 52 : 15));
		r->bits = i % 100 == 0 ? 0 : (uint8_t)(r->bits + 18);
		r->hops = (uint8_t)next_random(&state);
		for (unsigned int k = r->bits; k < 128; k++)
			r->address[k / 8] = (uint8_t)(r->address[k / 8] &
						      ~(0x80u >> k % 8));
		assert_int_equal(near_routes_put(routes, r), 0);
	}
	assert_int_equal(near_routes_end(routes), 0);
	for (size_t i = 0; i < ASKED; i++) {
		struct gtm_client c = { .v6 = (i & 1) != 0 };
		address_random(&state, c.address);
		int expected = reference(all, N, c.v6, c.address);
		assert_int_equal(near_routes_find(routes, &c), expected);
		hits += expected >= 0;
	}
	assert_true(hits > ASKED / 4 && hits < ASKED);
	near_routes_free(routes);
	free(all);
}

static struct near_route numbered(uint32_t i)
{
	struct near_route r = { .bits = 32, .hops = (uint8_t)(i % 9 + 1) };

	for (unsigned int k = 0; k < 4; k++)
		r.address[k] = (uint8_t)(i >> (24 - 8 * k));
	return r;
}

static void test_bounds(void **unused)
{
	struct near_routes *routes = near_routes_new();
	struct near_route r;

	(void)unused;
	assert_non_null(routes);
	/* what is there many times takes no more room, in whatever order */
	for (uint32_t i = 0; i < 1000000; i++) {
		r = numbered(i * 7919u % 5000);
		assert_int_equal(near_routes_put(routes, &r), 0);
	}
	assert_true(near_routes_bytes(routes) < 16384 * 16 + 100);
	for (uint32_t i = 0; i < 1000000; i++) {
		r = numbered(i);
		assert_int_equal(near_routes_put(routes, &r), 0);
	}
	assert_int_equal(near_routes_end(routes), 0);
	assert_int_equal(near_routes_count(routes, false), 1000000);
	assert_true(near_routes_bytes(routes) < 1000000u * 16 + 100);
	assert_int_equal(way(routes, "0.1.0.0"), 65536 % 9 + 1);
	near_routes_free(routes);

	routes = near_routes_new();
	assert_non_null(routes);
	for (uint32_t i = 0; i < NEAR_ROUTES_MAX; i++) {
		r = numbered(i);
		assert_int_equal(near_routes_put(routes, &r), 0);
	}
	r = numbered(NEAR_ROUTES_MAX);
	assert_int_equal(near_routes_put(routes, &r), -E2BIG);
	near_routes_free(routes);
}

/* -- the method ------------------------------------------------------------ */

static void test_method(void **unused)
{
	const struct near_method *method = near_method_of(CONFIG_METHOD_ASPATH);
	struct near_try t = { .client = { .bits = 32, .address = { 10, 1 } },
			      .hop_ms = 25,
			      .fd = -1 };
	struct near_loaded loaded;

	(void)unused;
	assert_string_equal(method->name, "aspath");
	assert_null(method->send);
	assert_int_equal(method->start(&t), -ENOENT);
	assert_false(t.answered);
	peers_put(1);
	route_put("10.0.0.0", 8, 3);
	route_put("11.0.0.0", 8, 0);
	assert_int_equal(load(&loaded), 0);
	t.routes = loaded.routes;
	assert_int_equal(method->start(&t), 0);
	assert_true(t.answered && !t.full && t.fd == -1);
	assert_true(t.ms >= 75.0f && t.ms <= 75.0f);
	t.client.address[0] = 11;
	assert_int_equal(method->start(&t), 0);
	assert_true(t.ms >= 25.0f && t.ms <= 25.0f);
	near_routes_free(loaded.routes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_ways, dump_begin),
		cmocka_unit_test_setup(test_long_ways, dump_begin),
		cmocka_unit_test_setup(test_old, dump_begin),
		cmocka_unit_test_setup(test_cut, dump_begin),
		cmocka_unit_test_setup(test_flipped, dump_begin),
		cmocka_unit_test_setup(test_damage, dump_begin),
		cmocka_unit_test_setup(test_large_record, dump_begin),
		cmocka_unit_test_setup(test_read_fails, dump_begin),
		cmocka_unit_test_setup(test_no_memory, dump_begin),
		cmocka_unit_test(test_against_the_reference),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test_setup(test_method, dump_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
