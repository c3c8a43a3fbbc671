/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/asklist.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	A = 1,
	NS = 2,
	CNAME = 5,
	SOA = 6,
	MX = 15,
	TXT = 16,
	AAAA = 28,
	SRV = 33,
	DNAME = 39,
	DS = 43,
	RRSIG = 46,
	NSEC = 47,
	DNSKEY = 48,
	NSEC3 = 50,
	TSIG = 250,
};

#define QUESTIONS_MAX 4096

struct rig {
	struct asklist *list;
	size_t n, calls;
	char question[QUESTIONS_MAX][80];
};

static struct dname name_of(const char *text)
{
	struct dname name = { 0 };

	assert_int_equal(dname_parse(slice_of(text), &name), 0);
	return name;
}

static struct rig *begin_with(const char *apex, size_t octets_max)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct dname name = name_of(apex);

	assert_non_null(r);
	assert_int_equal(asklist_new(&name, 5, octets_max, &r->list), 0);
	return r;
}

static struct rig *begin(void)
{
	return begin_with("z.test", 1 << 20);
}

static void end(struct rig *r)
{
	asklist_free(r->list);
	free(r);
}

static void add(struct rig *r, const char *owner, uint16_t type)
{
	struct dname name = name_of(owner);

	assert_int_equal(asklist_add(r->list, name.wire, name.n, type), 0);
}

/* Takes all questions, as "name type". */
static size_t take(struct rig *r)
{
	char text[DNAME_TEXT_MAX];
	struct dname name;
	uint16_t type;
	int rc;

	while ((rc = asklist_next(r->list, &name, &type)) != -ENOENT) {
		r->calls++;
		if (rc == -EAGAIN)
			continue;
		assert_int_equal(rc, 0);
		assert_true(r->n < QUESTIONS_MAX);
		(void)dname_print(&name, text);
		(void)snprintf(r->question[r->n++], 80, "%.60s %u", text, type);
	}
	/* and stays so */
	assert_int_equal(asklist_next(r->list, &name, &type), -ENOENT);
	return r->n;
}

/* How often a question is in the list. */
static size_t has(const struct rig *r, const char *name, unsigned int type)
{
	char text[80];
	size_t n = 0;

	(void)snprintf(text, sizeof(text), "%s %u", name, type);
	for (size_t i = 0; i < r->n; i++)
		n += strcmp(r->question[i], text) == 0;
	return n;
}

static void test_nothing(void **state)
{
	struct rig *r = begin();

	(void)state;
	assert_int_equal(take(r), 0);
	end(r);
}

static void test_each_owner_and_type_once(void **state)
{
	struct rig *r = begin();

	(void)state;
	add(r, "z.test", SOA);
	add(r, "z.test", NS);
	add(r, "z.test", NS);
	add(r, "z.test", MX);
	add(r, "_sip._tcp.z.test", SRV);
	add(r, "_sip._tcp.z.test", SRV);
	add(r, "_SIP._TCP.Z.test", SRV);
	add(r, "_sip._tcp.z.test", TXT);
	add(r, "z.test", SOA);
	assert_int_equal(asklist_names(r->list), 2);
	assert_int_equal(take(r), 5);
	assert_int_equal(has(r, "z.test", SOA), 1);
	assert_int_equal(has(r, "z.test", NS), 1);
	assert_int_equal(has(r, "z.test", MX), 1);
	assert_int_equal(has(r, "_sip._tcp.z.test", SRV), 1);
	assert_int_equal(has(r, "_sip._tcp.z.test", TXT), 1);
	end(r);
}

static void test_addresses_and_aliases(void **state)
{
	struct rig *r = begin();

	(void)state;
	add(r, "four.z.test", A);
	add(r, "six.z.test", AAAA);
	add(r, "alias.z.test", CNAME);
	add(r, "*.z.test", A);
	assert_int_equal(take(r), 9);
	assert_int_equal(has(r, "four.z.test", AAAA), 1);
	assert_int_equal(has(r, "six.z.test", A), 1);
	assert_int_equal(has(r, "alias.z.test", CNAME), 1);
	assert_int_equal(has(r, "alias.z.test", A), 1);
	assert_int_equal(has(r, "alias.z.test", AAAA), 1);
	assert_int_equal(has(r, "*.z.test", A), 1);
	end(r);
}

static void test_signatures_and_proofs(void **state)
{
	struct rig *r = begin();

	(void)state;
	add(r, "z.test", DNSKEY);
	add(r, "z.test", RRSIG);
	add(r, "z.test", NSEC);
	add(r, "0123456789abcdef.z.test", NSEC3);
	add(r, "0123456789abcdef.z.test", RRSIG);
	add(r, "z.test", TSIG);
	add(r, "z.test", 255);
	add(r, "z.test", 256);	 /* a type as any other */
	add(r, "z.test", 65534); /* likewise */
	assert_int_equal(asklist_names(r->list), 1);
	assert_int_equal(take(r), 3);
	assert_int_equal(has(r, "z.test", DNSKEY), 1);
	end(r);
}

/* The glue may come before the cut, and the cut may have an address. */
static void test_cuts(void **state)
{
	struct rig *r = begin();

	(void)state;
	add(r, "ns.sub.z.test", A);
	add(r, "deep.ns.sub.z.test", AAAA);
	add(r, "sub.z.test", A);
	add(r, "sub.z.test", NS);
	add(r, "sub.z.test", NS);
	add(r, "safe.z.test", NS);
	add(r, "safe.z.test", DS);
	add(r, "safe.z.test", NSEC);
	add(r, "xsub.z.test", TXT);
	assert_int_equal(take(r), 5);
	assert_int_equal(has(r, "sub.z.test", NS), 1);
	assert_int_equal(has(r, "sub.z.test", DS), 1);
	assert_int_equal(has(r, "safe.z.test", NS), 1);
	assert_int_equal(has(r, "safe.z.test", DS), 1);
	assert_int_equal(has(r, "xsub.z.test", TXT), 1);
	end(r);
}

static void test_below_a_dname(void **state)
{
	struct rig *r = begin();

	(void)state;
	add(r, "x.tree.z.test", A);
	add(r, "tree.z.test", DNAME);
	add(r, "tree.z.test", TXT);
	assert_int_equal(take(r), 2);
	assert_int_equal(has(r, "tree.z.test", DNAME), 1);
	assert_int_equal(has(r, "tree.z.test", TXT), 1);
	end(r);

	r = begin();
	add(r, "x.z.test", TXT);
	add(r, "z.test", DNAME);
	add(r, "z.test", NS);
	assert_int_equal(take(r), 2);
	assert_int_equal(has(r, "x.z.test", TXT), 0);
	end(r);
}

/* No call looks at more than a few names. */
static void test_much_glue(void **state)
{
	struct rig *r = begin();
	char text[80];

	(void)state;
	add(r, "sub.z.test", NS);
	for (int i = 0; i < 3000; i++) {
		(void)snprintf(text, sizeof(text), "ns%d.sub.z.test", i);
		add(r, text, A);
	}
	add(r, "last.z.test", TXT);
	assert_int_equal(take(r), 3);
	assert_in_range(r->calls, 100, 1000);
	end(r);
}

static void test_names_of_others(void **state)
{
	struct rig *r = begin();
	struct dname name = name_of("www.other.test");

	(void)state;
	assert_int_equal(asklist_add(r->list, name.wire, name.n, A), -EINVAL);
	name = name_of("xz.test");
	assert_int_equal(asklist_add(r->list, name.wire, name.n, A), -EINVAL);
	name = name_of("www.z.test");
	assert_int_equal(asklist_add(r->list, name.wire, name.n - 1u, A),
			 -EINVAL);
	assert_int_equal(asklist_add(r->list, name.wire, 0, A), -EINVAL);
	assert_int_equal(take(r), 0);
	end(r);
}

static void test_the_root(void **state)
{
	struct rig *r = begin_with(".", 1 << 20);

	(void)state;
	add(r, ".", NS);
	add(r, "test", NS);
	add(r, "ns.test", A);
	assert_int_equal(take(r), 3);
	assert_int_equal(has(r, ".", NS), 1);
	assert_int_equal(has(r, "test", DS), 1);
	end(r);
}

static void test_many(void **state)
{
	struct rig *r = begin();
	char text[80];

	(void)state;
	for (int twice = 0; twice < 2; twice++) {
		for (int i = 0; i < 2000; i++) {
			(void)snprintf(text, sizeof(text), "h%d.z.test", i);
			add(r, text, A);
		}
	}
	assert_int_equal(asklist_names(r->list), 2000);
	assert_int_equal(take(r), 4000);
	assert_int_equal(has(r, "h1999.z.test", AAAA), 1);
	end(r);
}

/* Names of the greatest length, which outgrow any step of growth. */
static void test_long_names(void **state)
{
	struct rig *r = begin();
	uint8_t wire[DNAME_WIRE_MAX] = { 63 };

	(void)state;
	wire[64] = wire[128] = 63;
	wire[192] = 54;
	memcpy(wire + 247, "\1z\4test", 8);
	for (int i = 0; i < 50; i++) {
		wire[1] = (uint8_t)('a' + i);
		assert_int_equal(asklist_add(r->list, wire, 255, TXT), 0);
	}
	assert_int_equal(take(r), 50);
	end(r);
}

static void test_bounds(void **state)
{
	struct rig *r = begin_with("z.test", 64 * 1024);
	struct dname name;
	char text[80];
	int rc = 0;

	(void)state;
	for (unsigned int type = 256; type < 1024; type++)
		add(r, "z.test", (uint16_t)type);
	for (int i = 0; i < 100000 && rc == 0; i++) {
		(void)snprintf(text, sizeof(text), "h%d.z.test", i);
		name = name_of(text);
		rc = asklist_add(r->list, name.wire, name.n, TXT);
	}
	assert_int_equal(rc, -E2BIG);
	assert_int_equal(take(r),
			 ASKLIST_TYPES_MAX + asklist_names(r->list) - 1);
	assert_true(asklist_names(r->list) > 400);
	end(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_each_owner_and_type_once),
		cmocka_unit_test(test_addresses_and_aliases),
		cmocka_unit_test(test_signatures_and_proofs),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_below_a_dname),
		cmocka_unit_test(test_much_glue),
		cmocka_unit_test(test_names_of_others),
		cmocka_unit_test(test_the_root),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
