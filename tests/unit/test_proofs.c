/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/proofs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <isc/iterated_hash.h>

/*
 * Random zones of names of up to DEPTH labels below the apex, each of LABELS
 * different ones, the first of which is the wildcard; the rest follow it in
 * canonical order.
 */
#define LABELS 5u
#define DEPTH  3u
#define NAMES  (1u + LABELS + LABELS * LABELS + LABELS * LABELS * LABELS)
#define NOW    1000u
#define TTL    250u

enum {
	A = 1,
	NS = 2,
	CNAME = 5,
	SOA = 6,
	TXT = 16,
	DNAME = 39,
	DS = 43,
	RRSIG = 46,
	NSEC = 47,
	NSEC3 = 50
};

/* Labels as digits 1..LABELS, that next to the apex first; 0: no more. */
struct label_name {
	unsigned int d[DEPTH];
};

struct model_name {
	struct label_name name;
	bool has[64]; /* types */
	bool hidden;  /* below a cut or a DNAME */
};

struct zone {
	struct model_name name[NAMES];
	size_t n; /* all that could exist; those without types do not */
	struct proofs_pool pool;
	struct proofs *proofs;
	bool opt_out;
};

static const struct dname *apex(void)
{
	static struct dname name;

	if (name.n == 0)
		assert_int_equal(dname_parse(slice_of("zone.test"), &name), 0);
	return &name;
}

static struct dname wire_of(struct label_name m)
{
	static const char letters[] = "*abcd";
	struct dname name;
	char text[64];
	size_t n = 0;

	for (unsigned int i = DEPTH; i-- > 0;)
		if (m.d[i] != 0) {
			text[n++] = letters[m.d[i] - 1];
			text[n++] = '.';
		}
	memcpy(text + n, "zone.test", 10);
	assert_int_equal(dname_parse(slice_of(text), &name), 0);
	return name;
}

/* -- the zone ---------------------------------------------------------- */

static size_t index_of(struct label_name m)
{
	size_t i = 0;

	for (unsigned int k = 0; k < DEPTH; k++)
		i = i * (LABELS + 1) + m.d[k];
	return i;
}

static unsigned int depth_of(struct label_name m)
{
	unsigned int n = 0;

	while (n < DEPTH && m.d[n] != 0)
		n++;
	return n;
}

static bool is_below(struct label_name m, struct label_name top)
{
	unsigned int n = depth_of(top);

	return depth_of(m) > n && memcmp(m.d, top.d, n * sizeof(m.d[0])) == 0;
}

static bool has_any(const struct model_name *m)
{
	for (size_t t = 0; t < 64; t++)
		if (m->has[t])
			return true;
	return false;
}

static bool is_cut(const struct model_name *m)
{
	return m->has[NS] && !m->has[SOA];
}

static bool exists(const struct zone *z, struct label_name name)
{
	for (size_t i = 0; i < z->n; i++) {
		const struct model_name *m = &z->name[i];
		if (has_any(m) && !m->hidden &&
		    (index_of(m->name) == index_of(name) ||
		     is_below(m->name, name)))
			return true;
	}
	return false;
}

static struct model_name *find(struct zone *z, struct label_name name)
{
	for (size_t i = 0; i < z->n; i++)
		if (index_of(z->name[i].name) == index_of(name))
			return &z->name[i];
	return NULL;
}

/* A sequence that is the same in every run. */
static unsigned int some(void)
{
	static uint64_t state = 1;

	state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned int)(state >> 33);
}

static void give_types(struct model_name *m)
{
	switch (some() % 12) {
	case 0:
		m->has[NS] = true;
		m->has[DS] = some() % 2 == 0;
		break;
	case 1:
		m->has[CNAME] = true;
		break;
	case 2:
		m->has[DNAME] = true;
		break;
	default:
		m->has[A] = true;
		m->has[TXT] = some() % 2 == 0;
	}
}

/* Every name there could be, in canonical order; one in 'share' exists. */
static void zone_make(struct zone *z, unsigned int share)
{
	*z = (struct zone){ .n = 0 };
	for (unsigned int a = 0; a <= LABELS; a++)
		for (unsigned int b = 0; b <= (a > 0 ? LABELS : 0); b++)
			for (unsigned int c = 0; c <= (b > 0 ? LABELS : 0); c++)
				z->name[z->n++].name =
					(struct label_name){ { a, b, c } };
	assert_int_equal(z->n, NAMES);
	for (size_t i = 1; i < z->n; i++)
		if (some() % share == 0)
			give_types(&z->name[i]);
	z->name[0].has[SOA] = z->name[0].has[NS] = true;
	for (size_t i = 0; i < z->n; i++)
		for (size_t j = 1; j < z->n; j++)
			if (is_below(z->name[i].name, z->name[j].name) &&
			    (is_cut(&z->name[j]) || z->name[j].has[DNAME]))
				z->name[i].hidden = true;
	atomic_init(&z->pool.limit_bytes, 1 << 20);
	assert_int_equal(proofs_new(apex(), &z->pool, &z->proofs), 0);
}

/* What the zone says: NXDOMAIN, NODATA, or something else. */
static enum proofs_word truth(struct zone *z, struct label_name q,
			      uint16_t qtype)
{
	struct model_name *m = find(z, q);

	if (m->hidden || (is_cut(m) && qtype != DS))
		return PROOFS_NONE;
	if (!exists(z, q)) {
		struct label_name up = q;
		while (!exists(z, up))
			up.d[depth_of(up) - 1] = 0;
		if (depth_of(up) == DEPTH)
			return PROOFS_NXDOMAIN;
		up.d[depth_of(up)] = 1;
		if (!exists(z, up))
			return PROOFS_NXDOMAIN;
		m = find(z, up);
		if (is_cut(m))
			return PROOFS_NONE;
	}
	return m->has[qtype] || m->has[CNAME] ? PROOFS_NONE : PROOFS_NODATA;
}

/*
 * A wildcard stands in for the name that has no records, but others below it:
 * that is left to the origin where it takes more than one record to tell.
 */
static bool is_odd(struct zone *z, struct label_name q)
{
	struct label_name up = q;

	if (exists(z, q))
		return false;
	while (!exists(z, up))
		up.d[depth_of(up) - 1] = 0;
	up.d[depth_of(up)] = 1;
	return exists(z, up) && !has_any(find(z, up));
}

/* -- sets -------------------------------------------------------------- */

struct pen {
	size_t n;
	uint8_t p[PROOFS_RECORDS_MAX];
};

static void put(struct pen *pen, const void *p, size_t n)
{
	memcpy(pen->p + pen->n, p, n);
	pen->n += n;
}

static void put16(struct pen *pen, unsigned int v)
{
	const uint8_t p[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	put(pen, p, 2);
}

static void put_record(struct pen *pen, unsigned int type, const void *rdata,
		       size_t n)
{
	put16(pen, type);
	put16(pen, 0);
	put16(pen, TTL);
	put16(pen, (unsigned int)n);
	put(pen, rdata, n);
}

static void put_signature(struct pen *pen, unsigned int type,
			  const struct dname *owner, const struct dname *signer)
{
	struct pen r = { .n = 0 };
	unsigned int labels = owner->labels;

	if (owner->wire[0] == 1 && owner->wire[1] == '*')
		labels--;
	put16(&r, type);
	put16(&r, 13u << 8 | labels);
	for (unsigned int i = 0; i < 7; i++)
		put16(&r, 0);
	put(&r, signer->wire, signer->n);
	put(&r, "signature", 9);
	put_record(pen, RRSIG, r.p, r.n);
}

static void put_types(struct pen *pen, const struct model_name *m)
{
	uint8_t bits[8] = { 0 };

	for (unsigned int t = 0; m != NULL && t < 64; t++)
		if (m->has[t])
			bits[t / 8] |= (uint8_t)(0x80u >> t % 8);
	put16(pen, 8);
	put(pen, bits, 8);
}

static int learn_at(struct zone *z, const struct dname *owner, struct pen *pen,
		    uint32_t ttl_s, uint32_t now_s)
{
	struct proofs_set set = { .owner = owner->wire,
				  .owner_n = owner->n,
				  .records = pen->p,
				  .n = pen->n,
				  .ttl_s = ttl_s };

	return proofs_learn(z->proofs, &set, now_s);
}

static int learn(struct zone *z, const struct dname *owner, struct pen *pen,
		 uint32_t ttl_s)
{
	return learn_at(z, owner, pen, ttl_s, NOW);
}

static int try_soa(struct zone *z, uint8_t minimum_s)
{
	const uint8_t rdata[22] = { [21] = minimum_s };
	struct pen pen = { .n = 0 };

	put_record(&pen, SOA, rdata, sizeof(rdata));
	put_signature(&pen, SOA, apex(), apex());
	return learn(z, apex(), &pen, TTL);
}

static void learn_soa_with(struct zone *z, uint8_t minimum_s)
{
	assert_int_equal(try_soa(z, minimum_s), 0);
}

static void learn_soa(struct zone *z)
{
	learn_soa_with(z, 0xff);
}

static bool in_chain(const struct zone *z, size_t i)
{
	return has_any(&z->name[i]) && !z->name[i].hidden;
}

static void learn_nsec(struct zone *z, size_t i)
{
	struct dname owner = wire_of(z->name[i].name);
	struct pen pen = { .n = 0 }, r = { .n = 0 };
	size_t next = (i + 1) % z->n;

	while (!in_chain(z, next))
		next = (next + 1) % z->n;
	struct dname end = wire_of(z->name[next].name);
	put(&r, end.wire, end.n);
	put_types(&r, &z->name[i]);
	put_record(&pen, NSEC, r.p, r.n);
	put_signature(&pen, NSEC, &owner, apex());
	assert_int_equal(learn(z, &owner, &pen, TTL), 0);
}

/* One of many that need not make a chain. */
static void learn_numbered(struct zone *z, uint32_t i)
{
	char text[32];
	struct dname owner;
	struct pen pen = { .n = 0 }, r = { .n = 0 };

	(void)snprintf(text, sizeof(text), "n%u.zone.test", i);
	assert_int_equal(dname_parse(slice_of(text), &owner), 0);
	put(&r, apex()->wire, apex()->n);
	put_types(&r, &z->name[0]);
	put_record(&pen, NSEC, r.p, r.n);
	put_signature(&pen, NSEC, &owner, apex());
	assert_int_equal(learn(z, &owner, &pen, TTL), 0);
}

/* -- NSEC3: hashes in order ------------------------------------------------ */

static const uint8_t salt[] = { 0xaa, 0 };

struct hashed {
	uint8_t hash[20];
	size_t name;
};

static int by_hash(const void *a, const void *b)
{
	return memcmp(a, b, 20);
}

static size_t chain_of(const struct zone *z, struct hashed *list)
{
	size_t n = 0;

	for (size_t i = 0; i < z->n; i++) {
		struct dname name = wire_of(z->name[i].name);
		if (!exists(z, z->name[i].name) || z->name[i].hidden ||
		    (z->opt_out && is_cut(&z->name[i]) && !z->name[i].has[DS]))
			continue;
		assert_int_equal(isc_iterated_hash(list[n].hash, 1, 1, salt,
						   sizeof(salt), name.wire,
						   name.n),
				 20);
		list[n++].name = i;
	}
	qsort(list, n, sizeof(*list), by_hash);
	return n;
}

static struct dname hash_name(const uint8_t *hash)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUV";
	char text[64];
	struct dname name;

	for (size_t i = 0; i < 32; i++) {
		unsigned int bit = (unsigned int)i * 5;
		unsigned int two = (unsigned int)hash[bit / 8] << 8 |
				   (bit / 8 < 19 ? hash[bit / 8 + 1] : 0);
		text[i] = digits[two >> (11 - bit % 8) & 31];
	}
	memcpy(text + 32, ".zone.test", 11);
	assert_int_equal(dname_parse(slice_of(text), &name), 0);
	return name;
}

static int learn_nsec3_at(struct zone *z, const struct hashed *list, size_t n,
			  size_t i, unsigned int iterations, uint32_t now_s)
{
	struct dname owner = hash_name(list[i].hash);
	struct pen pen = { .n = 0 }, r = { .n = 0 };

	put16(&r, 1u << 8 | (z->opt_out ? 1 : 0));
	put16(&r, iterations);
	put(&r, "\x02", 1);
	put(&r, salt, sizeof(salt));
	put(&r, "\x14", 1);
	put(&r, list[(i + 1) % n].hash, 20);
	put_types(&r, &z->name[list[i].name]);
	put_record(&pen, NSEC3, r.p, r.n);
	put_signature(&pen, NSEC3, &owner, apex());
	return learn_at(z, &owner, &pen, TTL, now_s);
}

static int learn_nsec3(struct zone *z, const struct hashed *list, size_t n,
		       size_t i, unsigned int iterations)
{
	return learn_nsec3_at(z, list, n, i, iterations, NOW);
}

/* -- tests ----------------------------------------------------------------- */

static const uint16_t types[] = { A, TXT, DS, NS, CNAME };

static enum proofs_word ask(const struct zone *z, struct label_name q,
			    uint16_t qtype, uint32_t now_s)
{
	struct dname name = wire_of(q);
	struct proofs_found found;

	proofs_find(z->proofs, name.wire, name.n, qtype, now_s, &found);
	if (found.word != PROOFS_NONE) {
		assert_non_null(found.soa);
		assert_in_range(found.n, 1, PROOFS_MAX);
		assert_in_range(found.ttl_s, 1, TTL);
	}
	return found.word;
}

/* Nothing wrong is concluded; with 'all' everything right is. */
static void check(struct zone *z, bool all)
{
	for (size_t i = 0; i < z->n; i++)
		for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
			struct label_name q = z->name[i].name;
			enum proofs_word got = ask(z, q, types[t], NOW);
			enum proofs_word want = truth(z, q, types[t]);
			if (got != PROOFS_NONE)
				assert_int_equal(got, want);
			/* the parent's matter, or an apex's */
			else if (all && !(types[t] == DS && i == 0) &&
				 !is_odd(z, q))
				assert_int_equal(want, PROOFS_NONE);
		}
}

static void test_nsec(void **state)
{
	static struct zone z;

	(void)state;
	for (int round = 0; round < 60; round++) {
		zone_make(&z, 2 + some() % 12);
		learn_soa(&z);
		for (size_t i = 0; i < z.n; i++)
			if (in_chain(&z, i) && some() % 3 == 0)
				learn_nsec(&z, i);
		check(&z, false);
		for (size_t i = z.n; i-- > 0;)
			if (in_chain(&z, i))
				learn_nsec(&z, i);
		check(&z, true);
		(void)proofs_retired_free(proofs_retired(z.proofs, NULL),
					  SIZE_MAX);
		(void)proofs_free(z.proofs, SIZE_MAX);
		assert_int_equal(atomic_load(&z.pool.bytes), 0);
	}
}

static void nsec3_round(bool opt_out)
{
	static struct zone z;
	static struct hashed list[NAMES];

	zone_make(&z, 2 + some() % 12);
	z.opt_out = opt_out;
	learn_soa(&z);
	size_t n = chain_of(&z, list);
	for (size_t i = 0; i < n; i++)
		if (some() % 3 == 0)
			assert_int_equal(learn_nsec3(&z, list, n, i, 1), 0);
	check(&z, false);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(learn_nsec3(&z, list, n, i, 1), 0);
	check(&z, !opt_out);
	/* of two origins that differ the first is believed, while it says so */
	size_t had = proofs_count(z.proofs);
	assert_int_equal(learn_nsec3(&z, list, n, 0, 2), -EINVAL);
	assert_int_equal(learn_nsec3_at(&z, list, n, 0, 1, NOW + 200), 0);
	assert_int_equal(learn_nsec3_at(&z, list, n, 0, 2, NOW + 499), -EINVAL);
	assert_int_equal(proofs_count(z.proofs), had);
	assert_int_equal(learn_nsec3_at(&z, list, n, 0, 2, NOW + 500), -ESTALE);
	(void)proofs_retired_free(proofs_retired(z.proofs, NULL), SIZE_MAX);
	(void)proofs_free(z.proofs, SIZE_MAX);
}

static void test_nsec3(void **state)
{
	(void)state;
	for (int round = 0; round < 60; round++)
		nsec3_round(round % 3 == 0);
}

static void test_ages(void **state)
{
	static struct zone z;

	(void)state;
	zone_make(&z, 1000000);
	learn_nsec(&z, 0);
	assert_int_equal(ask(&z, z.name[7].name, A, NOW), PROOFS_NONE);
	learn_soa(&z);
	assert_int_equal(ask(&z, z.name[7].name, A, NOW), PROOFS_NXDOMAIN);
	assert_int_equal(ask(&z, z.name[7].name, A, NOW + TTL - 1),
			 PROOFS_NXDOMAIN);
	assert_int_equal(ask(&z, z.name[7].name, A, NOW + TTL), PROOFS_NONE);
	(void)proofs_sweep(z.proofs, NOW + TTL - 1, SIZE_MAX);
	assert_int_equal(proofs_count(z.proofs), 2);
	(void)proofs_sweep(z.proofs, NOW + TTL, SIZE_MAX);
	assert_int_equal(proofs_count(z.proofs), 0);
	(void)proofs_retired_free(proofs_retired(z.proofs, NULL), SIZE_MAX);

	/* RFC 9077: no longer than the SOA's MINIMUM */
	learn_soa_with(&z, 60);
	learn_nsec(&z, 0);
	assert_int_equal(ask(&z, z.name[7].name, A, NOW + 59), PROOFS_NXDOMAIN);
	(void)proofs_sweep(z.proofs, NOW + 60, SIZE_MAX);
	assert_int_equal(proofs_count(z.proofs), 0);
	(void)proofs_free(z.proofs, SIZE_MAX);
}

/* What a parent or a child has signed, or nobody, is not learnt. */
static void test_only_the_zones_own(void **state)
{
	static struct zone z;
	struct dname owner, child, parent;
	struct pen pen = { .n = 0 }, r = { .n = 0 };

	(void)state;
	zone_make(&z, 3);
	assert_int_equal(dname_parse(slice_of("a.zone.test"), &owner), 0);
	assert_int_equal(dname_parse(slice_of("a.zone.test"), &child), 0);
	assert_int_equal(dname_parse(slice_of("test"), &parent), 0);
	put(&r, apex()->wire, apex()->n);
	put_types(&r, &z.name[0]);
	put_record(&pen, NSEC, r.p, r.n);
	size_t unsigned_n = pen.n;
	assert_int_equal(learn(&z, &owner, &pen, TTL), -EINVAL);
	put_signature(&pen, NSEC, &owner, &child);
	assert_int_equal(learn(&z, &owner, &pen, TTL), -EINVAL);
	pen.n = unsigned_n;
	put_signature(&pen, NSEC, &owner, &parent);
	assert_int_equal(learn(&z, &owner, &pen, TTL), -EINVAL);
	pen.n = unsigned_n;
	put_signature(&pen, A, &owner, apex());
	assert_int_equal(learn(&z, &owner, &pen, TTL), -EINVAL);
	pen.n = unsigned_n;
	put_signature(&pen, NSEC, apex(), apex()); /* one label less */
	assert_int_equal(learn(&z, &owner, &pen, TTL), -EINVAL);
	pen.n = unsigned_n;
	put_signature(&pen, NSEC, &owner, apex());
	assert_int_equal(learn(&z, &parent, &pen, TTL), -EINVAL);
	assert_int_equal(learn(&z, &owner, &pen, 0), -EINVAL);
	assert_int_equal(proofs_count(z.proofs), 0);
	assert_int_equal(learn(&z, &owner, &pen, TTL), 0);
	assert_int_equal(proofs_count(z.proofs), 1);
	for (size_t n = 0; n < pen.n; n++) { /* cut short anywhere */
		struct pen part = pen;
		part.n = n;
		assert_int_equal(learn(&z, &owner, &part, TTL), -EINVAL);
	}
	(void)proofs_free(z.proofs, SIZE_MAX);
}

static void test_memory_is_bounded(void **state)
{
	static struct zone z;
	uint64_t limit = 4096;

	(void)state;
	zone_make(&z, 2);
	atomic_store(&z.pool.limit_bytes, limit);
	learn_soa(&z);
	for (size_t i = 0; i < z.n; i++)
		if (in_chain(&z, i)) {
			learn_nsec(&z, i);
			assert_true(atomic_load(&z.pool.bytes) <= limit);
		}
	assert_true(proofs_count(z.proofs) > 3);
	check(&z, false);
	(void)proofs_free(z.proofs, SIZE_MAX);
	assert_int_equal(atomic_load(&z.pool.bytes), 0);
}

/* However much there is, each call does no more than it may. */
static void test_little_at_a_time(void **state)
{
	static struct zone z;
	struct proof *list;
	size_t n = 0;

	(void)state;
	zone_make(&z, 2);
	learn_soa(&z);
	for (size_t i = 0; i < z.n; i++)
		if (in_chain(&z, i))
			learn_nsec(&z, i);
	size_t all = proofs_count(z.proofs);
	assert_true(all > 6);
	assert_int_equal(proofs_sweep(z.proofs, NOW + TTL, 2), 2);
	assert_int_equal(proofs_count(z.proofs), all - 2);
	assert_int_equal(proofs_sweep(z.proofs, NOW + TTL, SIZE_MAX), all - 2);
	assert_int_equal(proofs_sweep(z.proofs, NOW + TTL, 2), 0);
	list = proofs_retired(z.proofs, NULL);
	assert_null(proofs_retired(z.proofs, NULL));
	for (; list != NULL; n++)
		list = proofs_retired_free(list, 1);
	assert_int_equal(n, all);

	learn_soa(&z);
	for (size_t i = 0; i < z.n; i++)
		if (in_chain(&z, i))
			learn_nsec(&z, i);
	(void)proofs_sweep(z.proofs, NOW + TTL, 3);
	for (n = 0; z.proofs != NULL; n++)
		z.proofs = proofs_free(z.proofs, 1);
	assert_in_range(n, all - 1, all + 1);
	assert_int_equal(atomic_load(&z.pool.bytes), 0);
}

/* A set takes the room of some, not of all, when the limit has fallen. */
static void test_limit_falls(void **state)
{
	static struct zone z;
	size_t gone = 0;

	(void)state;
	zone_make(&z, 2);
	learn_soa(&z);
	for (uint32_t i = 0; i < 400; i++)
		learn_numbered(&z, i);
	assert_int_equal(proofs_count(z.proofs), 401);
	atomic_store(&z.pool.limit_bytes, 20000);
	for (uint32_t i = 400; i < 410; i++) {
		size_t before = proofs_count(z.proofs);
		learn_numbered(&z, i);
		assert_true(proofs_count(z.proofs) + 64 >= before);
		gone += before - proofs_count(z.proofs);
	}
	assert_true(gone > 64);
	assert_true(atomic_load(&z.pool.bytes) <= 20000);
	(void)proofs_free(z.proofs, SIZE_MAX);
}

/* Ends a zone; its pool goes on. */
static void zone_end(struct zone *z)
{
	proofs_leave(z->proofs);
	(void)proofs_free(z->proofs, SIZE_MAX);
}

/* Who comes late has as much as who was first. */
static void test_zones_share(void **state)
{
	static struct zone a, b;

	(void)state;
	zone_make(&a, 2);
	zone_make(&b, 2);
	zone_end(&b);
	assert_int_equal(proofs_new(apex(), &a.pool, &b.proofs), 0);
	atomic_store(&a.pool.limit_bytes, 40000);
	learn_soa(&a);
	for (uint32_t i = 0; i < 400; i++)
		learn_numbered(&a, i);
	assert_true(proofs_count(a.proofs) < 300);
	learn_soa(&b);
	for (uint32_t i = 0; i < 400; i++)
		learn_numbered(&b, i);
	for (uint32_t i = 400; i < 800; i++)
		learn_numbered(i % 2 == 0 ? &a : &b, i);
	assert_true(atomic_load(&a.pool.bytes) <= 40000);
	size_t both = proofs_count(a.proofs) + proofs_count(b.proofs);
	assert_in_range(proofs_count(a.proofs), both * 2 / 5, both * 3 / 5);
	zone_end(&a);
	for (uint32_t i = 0; i < 400; i++)
		learn_numbered(&b, i);
	assert_true(proofs_count(b.proofs) > both * 4 / 5);
	zone_end(&b);
	assert_int_equal(atomic_load(&a.pool.bytes), 0);
	assert_null(a.pool.at);
	assert_null(a.pool.most);
}

/* A SOA takes room as others do. */
static void test_soa_is_bounded(void **state)
{
	static struct zone z;

	(void)state;
	zone_make(&z, 2);
	atomic_store(&z.pool.limit_bytes, 100);
	assert_int_equal(try_soa(&z, 200), -ENOMEM);
	assert_int_equal(proofs_count(z.proofs), 0);
	atomic_store(&z.pool.limit_bytes, 1000);
	learn_soa_with(&z, 200);
	uint64_t bytes = atomic_load(&z.pool.bytes);
	atomic_store(&z.pool.limit_bytes, bytes);
	learn_soa_with(&z, 100); /* in place of it */
	assert_int_equal(atomic_load(&z.pool.bytes), bytes);
	zone_end(&z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nsec),
		cmocka_unit_test(test_nsec3),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_only_the_zones_own),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_little_at_a_time),
		cmocka_unit_test(test_limit_falls),
		cmocka_unit_test(test_zones_share),
		cmocka_unit_test(test_soa_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
