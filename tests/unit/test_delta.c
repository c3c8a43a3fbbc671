/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/delta.h"

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
	RRSIG = 46,
	NSEC = 47,
	NXDOMAIN = 3
};

/* A message under way; names in it are not compressed. */
struct message {
	size_t n;
	uint8_t octets[4096];
};

static struct dname name_of(const char *text)
{
	struct dname name = { 0 };

	assert_int_equal(dname_parse(slice_of(text), &name), 0);
	return name;
}

static void put(struct message *m, const void *p, size_t n)
{
	assert_true(m->n + n <= sizeof(m->octets));
	memcpy(m->octets + m->n, p, n);
	m->n += n;
}

static void put16(struct message *m, unsigned int v)
{
	put(m, (uint8_t[]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

static void put_name(struct message *m, const char *text)
{
	struct dname name = name_of(text);

	put(m, name.wire, name.n);
}

static void message_begin(struct message *m, const char *name, uint16_t qtype,
			  unsigned int rcode)
{
	m->n = 0;
	put(m, (uint8_t[12]){ 0, 0, 0x84, (uint8_t)rcode, 0, 1 }, 12);
	put_name(m, name);
	put16(m, qtype);
	put16(m, 1);
}

/* Adds a record to section 0 (answer) to 2; its rdata: 'p', then 'target'. */
static void record(struct message *m, unsigned int section, const char *owner,
		   uint16_t type, const void *p, size_t n, const char *target)
{
	struct dname name = { 0 };

	if (target != NULL)
		name = name_of(target);
	m->octets[7 + 2 * section]++;
	put_name(m, owner);
	put16(m, type);
	put16(m, 1);
	put(m, (uint8_t[4]){ 0, 0, 1, 44 }, 4);
	put16(m, (unsigned int)(n + name.n));
	put(m, p, n);
	put(m, name.wire, name.n);
}

static void address(struct message *m, unsigned int section, const char *owner,
		    uint8_t last)
{
	record(m, section, owner, A, (uint8_t[]){ 192, 0, 2, last }, 4, NULL);
}

static const uint8_t soa_rest[22] = { 0 };

static void soa(struct message *m, unsigned int section)
{
	record(m, section, "z.test", SOA, soa_rest, 22, NULL);
}

static bool touches(struct delta *d, const struct message *m, const char *name,
		    uint16_t qtype)
{
	struct dname q = name_of(name);
	struct delta_answer a = { q.wire, q.n, qtype, m->octets, m->n };

	return delta_touches(d, &a);
}

static int change(struct delta *d, const char *owner, uint16_t type,
		  const void *p, size_t n, bool added)
{
	struct dname name = name_of(owner);
	struct delta_record r = { .owner = name.wire,
				  .owner_n = name.n,
				  .type = type,
				  .rdata = p,
				  .rdata_n = n };

	return delta_add(d, &r, added);
}

static void change_a(struct delta *d, const char *owner, uint8_t last,
		     bool added)
{
	assert_int_equal(
		change(d, owner, A, (uint8_t[]){ 192, 0, 2, last }, 4, added),
		0);
}

/* Each test has a difference of "z.test", empty yet, as its state. */
static int setup(void **state)
{
	struct dname apex = name_of("z.test");
	struct delta *d = NULL;

	assert_int_equal(delta_new(&apex, 100000, &d), 0);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	delta_free(*state);
	return 0;
}

static void no_wildcards(void *arg, const uint8_t *name, size_t n)
{
	delta_no_wildcard(arg, name, n);
}

/* The step is over, and no wildcards are beside what came or went. */
static void over(struct delta *d)
{
	delta_step(d);
	(void)delta_wildcards(d, 1000, no_wildcards, d);
}

static bool positive_touched(struct delta *d, const char *name)
{
	struct message m;

	message_begin(&m, name, A, 0);
	address(&m, 0, name, 1);
	return touches(d, &m, name, A);
}

static bool denial_touched(struct delta *d, const char *name,
			   unsigned int rcode)
{
	struct message m;

	message_begin(&m, name, A, rcode);
	soa(&m, 1);
	return touches(d, &m, name, A);
}

static void changed_record(void **state)
{
	struct delta *d = *state;

	change_a(d, "WWW.z.test", 1, false);
	change_a(d, "www.z.test", 2, true);
	over(d);
	assert_int_equal(delta_owners(d), 1);
	assert_true(positive_touched(d, "www.z.test"));
	assert_false(positive_touched(d, "other.z.test"));
	assert_false(positive_touched(d, "below.www.z.test"));
	assert_false(denial_touched(d, "no.www.z.test", NXDOMAIN));
}

static void chains_and_additional_data(void **state)
{
	struct delta *d = *state;
	struct message m;

	change_a(d, "www.z.test", 1, false);
	change_a(d, "www.z.test", 2, true);
	over(d);
	message_begin(&m, "alias.z.test", A, 0);
	record(&m, 0, "alias.z.test", CNAME, "", 0, "www.z.test");
	assert_true(touches(d, &m, "alias.z.test", A));
	message_begin(&m, "z.test", MX, 0);
	record(&m, 0, "z.test", MX, "\0\1", 2, "www.z.test");
	assert_true(touches(d, &m, "z.test", MX));
	message_begin(&m, "z.test", MX, 0);
	record(&m, 0, "z.test", MX, "\0\1", 2, "mail.z.test");
	assert_false(touches(d, &m, "z.test", MX));
}

static void compressed_names(void **state)
{
	struct delta *d = *state;
	struct message m;

	change_a(d, "www.z.test", 1, false);
	change_a(d, "www.z.test", 2, true);
	over(d);
	message_begin(&m, "alias.z.test", A, 0);
	m.octets[7] = 1;
	put16(&m, 0xc00c);
	put16(&m, CNAME);
	put(&m, (uint8_t[6]){ 0, 1, 0, 0, 0, 9 }, 6);
	put16(&m, 6);
	put(&m, "\3WWW\xc0\x12", 6); /* www, then z.test of the question */
	assert_true(touches(d, &m, "alias.z.test", A));
}

static void new_name(void **state)
{
	struct delta *d = *state;

	change_a(d, "a.b.z.test", 1, true);
	over(d);
	assert_true(denial_touched(d, "a.b.z.test", NXDOMAIN));
	assert_true(denial_touched(d, "b.z.test", NXDOMAIN));
	assert_false(denial_touched(d, "b.z.test", 0)); /* it was there */
	assert_false(denial_touched(d, "c.b.z.test", NXDOMAIN));
	assert_false(positive_touched(d, "c.b.z.test"));
	assert_false(positive_touched(d, "b.z.test"));
}

static void new_name_beside_a_wildcard(void **state)
{
	struct delta *d = *state;

	change_a(d, "a.b.z.test", 1, true);
	delta_step(d); /* nobody says that there is no "*.z.test" */
	assert_true(positive_touched(d, "b.z.test"));
	assert_true(positive_touched(d, "c.b.z.test"));
	assert_true(denial_touched(d, "c.b.z.test", NXDOMAIN));
	assert_false(positive_touched(d, "c.z.test"));
}

static void name_that_goes(void **state)
{
	struct delta *d = *state;

	change_a(d, "a.b.z.test", 1, false);
	over(d);
	assert_true(denial_touched(d, "b.z.test", 0));
	assert_false(denial_touched(d, "x.b.z.test", NXDOMAIN));
}

/* Gone in one step, back in the next: both steps count. */
static void steps_count_each(void **state)
{
	struct delta *d = *state;

	change_a(d, "b.z.test", 1, true);
	delta_step(d);
	change_a(d, "b.z.test", 1, false);
	change_a(d, "b.z.test", 2, true);
	delta_step(d);
	assert_true(positive_touched(d, "x.b.z.test"));
}

static void wildcard_changed(void **state)
{
	struct delta *d = *state;
	struct message m;

	change_a(d, "*.w.z.test", 7, false);
	change_a(d, "*.w.z.test", 8, true);
	over(d);
	message_begin(&m, "x.w.z.test", A, 0);
	address(&m, 0, "x.w.z.test", 7);
	assert_true(touches(d, &m, "x.w.z.test", A));
	message_begin(&m, "x.w.z.test", A, 0);
	address(&m, 0, "x.w.z.test", 9); /* its own */
	assert_false(touches(d, &m, "x.w.z.test", A));
	assert_true(denial_touched(d, "y.w.z.test", NXDOMAIN));
	assert_true(denial_touched(d, "y.w.z.test", 0));
	assert_false(denial_touched(d, "w.z.test", 0));
	assert_false(denial_touched(d, "y.z.test", NXDOMAIN));
}

static void delegation(void **state)
{
	struct delta *d = *state;
	struct message m;

	assert_int_equal(change(d, "sub.z.test", NS, "\1x", 3, false), 0);
	assert_int_equal(change(d, "sub.z.test", NS, "\1y", 3, true), 0);
	over(d);
	message_begin(&m, "a.sub.z.test", A, 0);
	record(&m, 1, "sub.z.test", NS, "", 0, "ns.other.test");
	assert_true(touches(d, &m, "a.sub.z.test", A));
	assert_true(denial_touched(d, "a.b.sub.z.test", NXDOMAIN));
	assert_false(positive_touched(d, "xsub.z.test"));
}

static void apex_by_type(void **state)
{
	struct delta *d = *state;
	struct message m;

	assert_int_equal(change(d, "z.test", SOA, soa_rest, 22, false), 0);
	assert_int_equal(change(d, "z.test", SOA, soa_rest, 22, true), 0);
	over(d);
	assert_false(denial_touched(d, "no.z.test", NXDOMAIN));
	assert_false(denial_touched(d, "z.test", 0));
	message_begin(&m, "z.test", SOA, 0);
	soa(&m, 0);
	assert_true(touches(d, &m, "z.test", SOA));
	message_begin(&m, "www.z.test", A, 0);
	address(&m, 0, "www.z.test", 1);
	record(&m, 1, "z.test", NS, "", 0, "ns.z.test");
	assert_false(touches(d, &m, "www.z.test", A));
	assert_int_equal(change(d, "z.test", NS, "\1x", 3, true), 0);
	assert_true(touches(d, &m, "www.z.test", A));
}

/* A denial is right as long as the records are that prove it. */
static void proofs(void **state)
{
	struct delta *d = *state;
	struct message m;

	assert_int_equal(change(d, "www.z.test", NSEC, "\0\0", 2, false), 0);
	assert_int_equal(change(d, "www.z.test", NSEC, "\0\1", 2, true), 0);
	over(d);
	assert_false(positive_touched(d, "www.z.test"));
	message_begin(&m, "x.z.test", A, NXDOMAIN);
	record(&m, 1, "www.z.test", NSEC, "\0\0", 2, NULL);
	assert_true(touches(d, &m, "x.z.test", A));
	message_begin(&m, "b.z.test", A, NXDOMAIN);
	record(&m, 1, "a.z.test", NSEC, "\0\0", 2, NULL);
	assert_false(touches(d, &m, "b.z.test", A));
	message_begin(&m, "www.z.test", RRSIG, 0);
	assert_true(touches(d, &m, "www.z.test", RRSIG));
}

static void failure_has_no_message(void **state)
{
	struct delta *d = *state;
	struct dname q = name_of("www.z.test");
	struct delta_answer a = { q.wire, q.n, A, NULL, 0 };

	assert_false(delta_touches(d, &a));
	change_a(d, "www.z.test", 1, true);
	over(d);
	assert_true(delta_touches(d, &a));
}

static void bounds(void **state)
{
	struct dname apex = name_of("z.test");
	struct delta *d = NULL;

	(void)state;
	assert_int_equal(delta_new(&apex, 0, &d), -EINVAL);
	assert_int_equal(delta_new(&apex, 4, &d), 0);
	assert_int_equal(change(d, "www.other.test", A, "abcd", 4, true),
			 -EINVAL);
	change_a(d, "a.z.test", 1, true);
	change_a(d, "b.z.test", 1, true);
	change_a(d, "c.z.test", 1, true);
	assert_int_equal(change(d, "d.z.test", A, "abcd", 4, true), -E2BIG);
	delta_free(d);
	delta_free(NULL);
}

/* As many names as it takes to make the tables grow. */
static void many(void **state)
{
	struct delta *d = *state;
	char text[64];

	for (unsigned int i = 0; i < 20000; i++) {
		snprintf(text, sizeof(text), "h%u.z.test", i);
		change_a(d, text, 1, true);
	}
	for (unsigned int i = 0; i < 1000; i++)
		assert_int_equal(change(d, "*.w.z.test", TXT, &i, 4, false), 0);
	over(d);
	for (unsigned int i = 0; i < 20000; i += 77) {
		snprintf(text, sizeof(text), "h%u.z.test", i);
		assert_true(denial_touched(d, text, NXDOMAIN));
	}
	assert_false(denial_touched(d, "h20000.z.test", NXDOMAIN));
}

#define WITH_DELTA(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DELTA(changed_record),
		WITH_DELTA(chains_and_additional_data),
		WITH_DELTA(compressed_names),
		WITH_DELTA(new_name),
		WITH_DELTA(new_name_beside_a_wildcard),
		WITH_DELTA(name_that_goes),
		WITH_DELTA(steps_count_each),
		WITH_DELTA(wildcard_changed),
		WITH_DELTA(delegation),
		WITH_DELTA(apex_by_type),
		WITH_DELTA(proofs),
		WITH_DELTA(failure_has_no_message),
		cmocka_unit_test(bounds),
		WITH_DELTA(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
