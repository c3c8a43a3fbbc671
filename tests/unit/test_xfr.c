/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/xfr_int.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <isc/mem.h>

/* The messages of a transfer, without a connection. */

enum { A = 1, NS = 2, SOA = 6, REFUSED = 5, ID = 77, OLD = 3, NEW = 7 };

#define APEX "\1z\4test"

struct message {
	size_t n;
	uint8_t octets[2048];
};

struct rig {
	isc_mem_t *mctx;
	struct dname apex;
	struct xfr_setup setup;
	struct xfr_stream stream;
	size_t went, came, steps, has;
	uint16_t last; /* type of the last record */
};

static int take(void *arg, enum xfr_part part,
		const struct delta_record *record)
{
	struct rig *r = arg;

	r->went += part == XFR_WENT;
	r->came += part == XFR_CAME;
	r->steps += part == XFR_STEP;
	r->has += part == XFR_HAS;
	if (record != NULL)
		r->last = record->type;
	return 0;
}

static void begin(struct rig *r, bool axfr)
{
	memset(r, 0, sizeof(*r));
	isc_mem_create(&r->mctx);
	assert_int_equal(dname_parse(slice_of("z.test"), &r->apex), 0);
	r->setup = (struct xfr_setup){ .mctx = r->mctx,
				       .name = &r->apex,
				       .axfr = axfr,
				       .whole_ok = true,
				       .serial = OLD,
				       .octets_max = 4096,
				       .records_max = 10,
				       .record = take,
				       .arg = r };
	xfr_stream_init(&r->stream, &r->setup, ID);
}

static void end(struct rig *r)
{
	xfr_stream_fini(&r->stream);
	isc_mem_destroy(&r->mctx);
}

static void put(struct message *m, const void *p, size_t n)
{
	assert_true(m->n + n <= sizeof(m->octets));
	memcpy(m->octets + m->n, p, n);
	m->n += n;
}

static void message(struct message *m, uint16_t qtype, uint8_t rcode)
{
	uint8_t type[4] = { 0, (uint8_t)qtype, 0, 1 };

	m->n = 0;
	put(m, (uint8_t[12]){ 0, ID, 0x84, rcode, 0, 1 }, 12);
	put(m, APEX, sizeof(APEX));
	put(m, type, 4);
}

/* 'owner': a label below the apex, or NULL. */
static void record(struct message *m, const char *owner, uint16_t type,
		   const void *rdata, size_t n)
{
	uint8_t label = owner != NULL ? (uint8_t)strlen(owner) : 0;
	uint8_t fixed[10] = {
		0, (uint8_t)type, 0, 1, 0, 0, 0, 0, 0, (uint8_t)n
	};

	m->octets[7]++;
	if (label > 0) {
		put(m, &label, 1);
		put(m, owner, label);
	}
	put(m, APEX, sizeof(APEX));
	put(m, fixed, 10);
	put(m, rdata, n);
}

static void soa(struct message *m, uint8_t serial)
{
	record(m, NULL, SOA, (uint8_t[22]){ [5] = serial }, 22);
}

static void address(struct message *m, const char *owner)
{
	record(m, owner, A, (uint8_t[4]){ 192, 0, 2, 1 }, 4);
}

static int feed(struct rig *r, struct message *m)
{
	return xfr_stream_message(&r->stream, m->octets, m->n);
}

static void test_axfr(void **state)
{
	struct rig r;
	struct message m;

	(void)state;
	begin(&r, true);
	message(&m, 252, 0);
	soa(&m, NEW);
	record(&m, NULL, NS, "\2ns\1z\4test", 11);
	address(&m, "www");
	assert_int_equal(feed(&r, &m), 0);
	assert_int_equal(r.stream.state, XFR_ZONE);
	message(&m, 252, 0);
	address(&m, "www2");
	soa(&m, NEW);
	assert_int_equal(feed(&r, &m), 0);
	assert_int_equal(r.stream.state, XFR_END);
	assert_int_equal(r.stream.kind, XFR_WHOLE);
	assert_int_equal(r.stream.end_serial, NEW);
	assert_int_equal(r.stream.records, 5);
	assert_int_equal(r.has, 4); /* the SOA once, at the end */
	assert_int_equal(r.last, SOA);
	end(&r);
}

/* RFC 5936 section 2.2: a message may hold one record. */
static void test_axfr_record_by_record(void **state)
{
	struct rig r;
	struct message m;

	(void)state;
	begin(&r, true);
	for (int i = 0; i < 4; i++) {
		assert_int_not_equal(r.stream.state, XFR_END);
		message(&m, 252, 0);
		if (i == 0 || i == 3)
			soa(&m, NEW);
		else
			address(&m, i == 1 ? "a" : "b");
		assert_int_equal(feed(&r, &m), 0);
	}
	assert_int_equal(r.stream.state, XFR_END);
	assert_int_equal(r.has, 3);
	end(&r);
}

/* The second SOA ends the zone also when nothing lies between. */
static void test_axfr_of_nothing(void **state)
{
	struct rig r;
	struct message m;

	(void)state;
	for (int axfr = 0; axfr < 2; axfr++) {
		begin(&r, axfr != 0);
		message(&m, axfr ? 252 : 251, 0);
		soa(&m, NEW);
		soa(&m, NEW);
		assert_int_equal(feed(&r, &m), 0);
		assert_int_equal(r.stream.state, XFR_END);
		assert_int_equal(r.stream.kind, XFR_WHOLE);
		assert_int_equal(r.has, 1);
		end(&r);
	}
}

/* The zone changed while it was sent, or the origin lies. */
static void test_axfr_of_two_versions(void **state)
{
	struct rig r;
	struct message m;

	(void)state;
	for (int between = 0; between < 2; between++) {
		begin(&r, true);
		message(&m, 252, 0);
		soa(&m, NEW);
		if (between)
			address(&m, "www");
		soa(&m, NEW + 1);
		assert_int_equal(feed(&r, &m), -EBADMSG);
		end(&r);
	}
}

static void test_axfr_bounds(void **state)
{
	struct rig r;
	struct message m;

	(void)state;
	begin(&r, true);
	message(&m, 252, 0);
	soa(&m, NEW);
	for (int i = 0; i < 9; i++)
		address(&m, "www");
	assert_int_equal(feed(&r, &m), 0);
	message(&m, 252, 0);
	soa(&m, NEW);
	assert_int_equal(feed(&r, &m), -EFBIG);
	end(&r);

	begin(&r, true);
	r.setup.octets_max = 50;
	message(&m, 252, 0);
	soa(&m, NEW);
	assert_int_equal(feed(&r, &m), -EFBIG);
	end(&r);
}

static void test_refused(void **state)
{
	struct rig r;
	struct message m;

	(void)state;
	begin(&r, true);
	message(&m, 252, REFUSED);
	assert_int_equal(feed(&r, &m), -EREMOTEIO);
	assert_int_equal(r.stream.rcode, REFUSED);
	end(&r);

	begin(&r, true);
	message(&m, 252, 0); /* and nothing in it */
	assert_int_equal(feed(&r, &m), -EREMOTEIO);
	end(&r);
}

static void test_whole_is_of_no_use(void **state)
{
	struct rig r;
	struct message m;

	(void)state;
	begin(&r, false);
	r.setup.whole_ok = false;
	message(&m, 251, 0);
	soa(&m, NEW);
	address(&m, "www");
	assert_int_equal(feed(&r, &m), -EXDEV);
	end(&r);
}

static void test_difference(void **state)
{
	struct rig r;
	struct message m;

	(void)state;
	begin(&r, false);
	message(&m, 251, 0);
	soa(&m, NEW);
	soa(&m, OLD);
	address(&m, "old");
	soa(&m, NEW);
	address(&m, "new");
	soa(&m, NEW);
	assert_int_equal(feed(&r, &m), 0);
	assert_int_equal(r.stream.state, XFR_END);
	assert_int_equal(r.stream.kind, XFR_DELTA);
	assert_int_equal(r.went, 2);
	assert_int_equal(r.came, 2);
	assert_int_equal(r.steps, 1);
	end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_axfr),
		cmocka_unit_test(test_axfr_record_by_record),
		cmocka_unit_test(test_axfr_of_nothing),
		cmocka_unit_test(test_axfr_of_two_versions),
		cmocka_unit_test(test_axfr_bounds),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_whole_is_of_no_use),
		cmocka_unit_test(test_difference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
