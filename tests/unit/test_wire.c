/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* A message under construction. */
struct msg {
	uint8_t p[70000];
	size_t n;
};

static struct msg msg;
static struct wire_map map;

static void add(const void *octets, size_t n)
{
	memcpy(msg.p + msg.n, octets, n);
	msg.n += n;
}

static void add16(unsigned int v)
{
	uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	add(b, sizeof(b));
}

static void start(unsigned int an, unsigned int ns, unsigned int ar)
{
	memset(&msg, 0, sizeof(msg));
	add16(0x1234);
	add16(0x8400);
	add16(1);
	add16(an);
	add16(ns);
	add16(ar);
	add("\3www\7example\3com", 17);
	add16(1);
	add16(1);
}

static void rr(const char *owner, size_t owner_n, unsigned int type,
	       uint32_t ttl_s, const void *rdata, size_t n)
{
	add(owner, owner_n);
	add16(type);
	add16(1);
	add16(ttl_s >> 16);
	add16(ttl_s & 0xffff);
	add16((unsigned int)n);
	add(rdata, n);
}

static void rr_q(unsigned int type, uint32_t ttl_s, const void *rdata, size_t n)
{
	rr("\xc0\x0c", 2, type, ttl_s, rdata, n);
}

static uint32_t ttl_at(size_t i)
{
	const uint8_t *p = msg.p + map.ttl[i];

	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static void maps_sections(void **state)
{
	(void)state;
	start(2, 1, 1);
	rr_q(1, 300, "\1\1\1\1", 4);
	rr_q(1, 300, "\2\2\2\2", 4);
	rr("\xc0\x10", 2, 2, 86400, "\2ns\xc0\x10", 5);
	rr("\2ns\xc0\x10", 5, 28, 60, "0123456789abcdef", 16);

	assert_int_equal(wire_map(msg.p, msg.n, &map), 0);
	assert_int_equal(map.question_end, 33);
	assert_int_equal(map.end[0], 33 + 32);
	assert_int_equal(map.end[1], 33 + 32 + 17);
	assert_int_equal(map.end[2], msg.n);
	assert_int_equal(map.count[0], 2);
	assert_int_equal(map.count[2], 1);
	assert_int_equal(map.n_ttls, 4);
	assert_int_equal(ttl_at(0), 300);
	assert_int_equal(ttl_at(2), 86400);
	assert_int_equal(ttl_at(3), 60);
	assert_int_equal(map.n_turns, 1);
	assert_int_equal(map.turn[0].offset, 33);
	assert_int_equal(map.turn[0].size, 16);
	assert_int_equal(map.turn[0].n, 2);
	assert_false(map.fixed_order);
}

static void maps_nothing_else(void **state)
{
	(void)state;
	start(1, 0, 0);
	rr_q(1, 300, "\1\1\1\1", 4);
	size_t n = msg.n;

	assert_int_equal(wire_map(msg.p, n, &map), 0);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(wire_map(msg.p, cut, &map), -EBADMSG);
	assert_int_equal(wire_map(msg.p, n + 1, &map), -EBADMSG);
	assert_int_equal(wire_map(msg.p, WIRE_MAX + 1, &map), -EBADMSG);
	msg.p[5] = 0; /* no question */
	assert_int_equal(wire_map(msg.p, n, &map), -EBADMSG);
	msg.p[5] = 2;
	assert_int_equal(wire_map(msg.p, n, &map), -EBADMSG);
	msg.p[5] = 1;
	msg.p[6] = 0x20; /* 8193 records */
	assert_int_equal(wire_map(msg.p, n, &map), -E2BIG);
}

static void refuses_opt(void **state)
{
	(void)state;
	start(0, 0, 1);
	rr("\0", 1, 41, 0, "", 0);
	assert_int_equal(wire_map(msg.p, msg.n, &map), -EBADMSG);
}

static int with_owner(const char *owner, size_t n)
{
	start(1, 0, 0);
	rr(owner, n, 1, 300, "\1\1\1\1", 4);
	return wire_map(msg.p, msg.n, &map);
}

static void checks_names(void **state)
{
	char label[2 + 64] = { 63 };
	char big[256];

	(void)state;
	memset(label + 1, 'a', 64);
	label[64] = 0;
	assert_int_equal(with_owner(label, 65), 0);
	label[0] = 64;
	label[65] = 0;
	assert_int_equal(with_owner(label, 66), -EBADMSG);
	assert_int_equal(with_owner("\xc0\x0b", 2), -EBADMSG); /* header */
	assert_int_equal(with_owner("\xc0\x21", 2), -EBADMSG); /* itself */
	assert_int_equal(with_owner("\1a\xc0\x21", 4), -EBADMSG);
	assert_int_equal(with_owner("\xc0\x20", 2), 0);
	assert_int_equal(with_owner("\xff\xff", 2), -EBADMSG); /* forward */
	assert_int_equal(with_owner("\x80\x0c", 2), -EBADMSG);

	for (size_t i = 0; i < sizeof(big); i += 2)
		memcpy(big + i, "\1a", 2);
	big[254] = 0;
	assert_int_equal(with_owner(big, 255), 0);
	big[254] = 1;
	big[252] = 2;
	big[255] = 0;
	assert_int_equal(with_owner(big, 256), -EBADMSG);
	memcpy(big + 252, "\1a\1", 3);
	big[255] = 'a';
	assert_int_equal(with_owner(big, 256), -EBADMSG);
}

static void a_question_has_no_pointer(void **state)
{
	(void)state;
	start(0, 0, 0);
	memcpy(msg.p + 12, "\1a\xc0\x0c\0\1\0\1", 8);
	assert_int_equal(wire_map(msg.p, 20, &map), -EBADMSG);
}

static void orders(void **state)
{
	(void)state;
	/* MX: only a renderer can turn it. */
	start(2, 0, 0);
	rr_q(15, 300, "\0\1\xc0\x0c", 4);
	rr_q(15, 300, "\0\2\xc0\x0c", 4);
	assert_int_equal(wire_map(msg.p, msg.n, &map), 0);
	assert_int_equal(map.n_turns, 0);
	assert_true(map.fixed_order);

	/* A chain, addresses and signatures: no fixed order. */
	start(6, 0, 0);
	rr_q(5, 300, "\1a\xc0\x10", 4);
	rr("\xc0\x2d", 2, 5, 300, "\1b\xc0\x10", 4);
	rr("\xc0\x3d", 2, 1, 300, "\1\1\1\1", 4);
	rr("\xc0\x3d", 2, 1, 300, "\1\1\1\2", 4);
	rr("\xc0\x3d", 2, 46, 300, "sig1", 4);
	rr("\xc0\x3d", 2, 46, 300, "sig2", 4);
	assert_int_equal(wire_map(msg.p, msg.n, &map), 0);
	assert_int_equal(map.n_turns, 1);
	assert_int_equal(map.turn[0].offset, 65);
	assert_false(map.fixed_order);

	/* One owner spelled out, the next a pointer to it. */
	start(2, 0, 0);
	rr("\1b\xc0\x10", 4, 1, 300, "\1\1\1\1", 4);
	rr("\xc0\x21", 2, 1, 300, "\1\1\1\2", 4);
	assert_int_equal(wire_map(msg.p, msg.n, &map), 0);
	assert_int_equal(map.n_turns, 0);
	assert_true(map.fixed_order);

	/* The same both times: turned, the octets of the owners stay. */
	start(2, 0, 0);
	rr("\1b\xc0\x10", 4, 1, 300, "\1\1\1\1", 4);
	rr("\1b\xc0\x10", 4, 1, 300, "\1\1\1\2", 4);
	assert_int_equal(wire_map(msg.p, msg.n, &map), 0);
	assert_int_equal(map.n_turns, 1);

	/* More sets than there is room for. */
	start(10, 0, 0);
	for (unsigned int i = 0; i < 5; i++) {
		rr_q(i % 2 ? 1 : 28, 300, "\1\1\1\1", 4);
		rr_q(i % 2 ? 1 : 28, 300, "\1\1\1\2", 4);
	}
	assert_int_equal(wire_map(msg.p, msg.n, &map), 0);
	assert_int_equal(map.n_turns, WIRE_TURNS_MAX);
	assert_true(map.fixed_order);
}

static void only_the_answer_turns(void **state)
{
	(void)state;
	start(0, 0, 2);
	rr_q(1, 300, "\1\1\1\1", 4);
	rr_q(1, 300, "\1\1\1\2", 4);
	assert_int_equal(wire_map(msg.p, msg.n, &map), 0);
	assert_int_equal(map.n_turns, 0);
	assert_false(map.fixed_order);
}

static void maps_the_largest(void **state)
{
	(void)state;
	/* (65535 - 33) / 11 records, the smallest there are */
	start(5954, 0, 0);
	for (unsigned int i = 0; i < 5954; i++)
		rr("\0", 1, 16, 300, "", 0);
	assert_int_equal(wire_map(msg.p, msg.n, &map), 0);
	assert_int_equal(map.n_ttls, 5954);
	assert_true(map.fixed_order);
}

static void ages(void **state)
{
	(void)state;
	start(3, 0, 0);
	rr_q(1, 300, "\1\1\1\1", 4);
	rr_q(16, 86400, "\3txt", 4);
	rr_q(99, 0x7fffffff, "\3txt", 4);
	assert_int_equal(wire_map(msg.p, msg.n, &map), 0);
	wire_age(msg.p, map.ttl, map.n_ttls, 100, 0, false);
	assert_int_equal(ttl_at(0), 200);
	assert_int_equal(ttl_at(1), 86300);
	assert_int_equal(ttl_at(2), 0x7fffffff - 100);
	wire_age(msg.p, map.ttl, map.n_ttls, 1000, 0, false);
	assert_int_equal(ttl_at(0), 0);
	assert_int_equal(ttl_at(1), 85300);
	/* A floor stops the fall; it lifts nothing. */
	wire_age(msg.p, map.ttl, map.n_ttls, 1000000, 30, false);
	assert_int_equal(ttl_at(0), 0);
	assert_int_equal(ttl_at(1), 30);
	wire_age(msg.p, map.ttl, map.n_ttls, 5, 30, true);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(ttl_at(i), 30);
}

/* 'n' records of 'size' octets of rdata, turned by every 'first'. */
static void turn_all(unsigned int n, size_t size)
{
	static uint8_t rdata[2000];

	start(n, 0, 1);
	for (unsigned int i = 0; i < n; i++) {
		memset(rdata, (int)i, size);
		rr_q(1, 300, rdata, size);
	}
	rr("\0", 1, 16, 7, "last", 4);
	assert_int_equal(wire_map(msg.p, msg.n, &map), 0);
	assert_int_equal(map.n_turns, 1);
	struct wire_turn turn = map.turn[0];
	unsigned int lead = 0;
	for (uint32_t first = 0; first < 2 * n; first++) {
		wire_turn(msg.p, &turn, first);
		lead = (lead + first) % n;
		assert_int_equal(wire_map(msg.p, msg.n, &map), 0);
		assert_memory_equal(&map.turn[0], &turn, sizeof(turn));
		for (unsigned int i = 0; i < n; i++) {
			size_t at = 33 + (12 + size) * i + 12;
			memset(rdata, (int)((lead + i) % n), size);
			assert_memory_equal(msg.p + at, rdata, size);
			assert_int_equal(ttl_at(i), 300);
		}
		assert_memory_equal(msg.p + msg.n - 4, "last", 4);
	}
}

static void turns(void **state)
{
	(void)state;
	turn_all(2, 4);
	turn_all(3, 16);
	turn_all(50, 16); /* by the temporary, and by reversal */
	turn_all(5, 600);
}

static void answers(void **state)
{
	(void)state;
	start(0, 0, 0);
	const uint8_t *q = (const uint8_t *)"\3www\7example\3com\0\0\1\0\1";
	assert_true(wire_answers(msg.p, msg.n, q, 21));
	assert_false(wire_answers(msg.p, msg.n - 1, q, 21));
	assert_false(wire_answers(msg.p, 11, q, 21));
	msg.p[13] = 'W';
	assert_false(wire_answers(msg.p, msg.n, q, 21));
	msg.p[13] = 'w';
	msg.p[2] = 0x04; /* a query */
	assert_false(wire_answers(msg.p, msg.n, q, 21));
	msg.p[2] = 0x84 | 0x20; /* a NOTIFY answer */
	assert_false(wire_answers(msg.p, msg.n, q, 21));
	msg.p[2] = 0x87;
	assert_true(wire_answers(msg.p, msg.n, q, 21));
	msg.p[5] = 2;
	assert_false(wire_answers(msg.p, msg.n, q, 21));
}

#define BELOW(a, b)                                                            \
	wire_below((const uint8_t *)(a), sizeof(a), (const uint8_t *)(b),      \
		   sizeof(b))

static void below(void **state)
{
	(void)state;
	assert_true(BELOW("\1a\1b", "\1b"));
	assert_true(BELOW("\1b", "\1b"));
	assert_true(BELOW("\1b", ""));
	assert_true(BELOW("", ""));
	assert_false(BELOW("\1b", "\1a\1b"));
	assert_false(BELOW("\2ab", "\1b"));
	assert_false(BELOW("\3a\1b", "\1b")); /* a label holding \001 b */
	assert_false(BELOW("\1a\1c", "\1b"));
}

#define OPTION 10
static const char options[] = "\0\3\0\1n\0\12\0\10cookie..\0\12\0\0";

static void rr_opt(const char *owner, size_t owner_n, size_t n)
{
	rr(owner, owner_n, 41, 0x01000000, options, n);
}

static void finds_an_option(void **state)
{
	struct wire_opt opt;

	(void)state;
	/* Wherever the record is. */
	for (unsigned int i = 0; i < 3; i++) {
		start(1, 0, 2);
		for (unsigned int k = 0; k < 3; k++) {
			if (k == i)
				rr_opt("", 1, sizeof(options) - 1);
			else
				rr_q(1, 60, "\300\0\2\1", 4);
		}
		assert_int_equal(wire_opt(msg.p, msg.n, OPTION, &opt), 0);
		assert_true(opt.there);
		assert_int_equal(opt.rcode_high, 1);
		assert_int_equal(opt.value_n, 8); /* the first of two */
		assert_memory_equal(opt.value, "cookie..", 8);
		assert_int_equal(wire_opt(msg.p, msg.n, 11, &opt), 0);
		assert_null(opt.value);
	}
	start(1, 0, 0);
	rr_q(1, 60, "\300\0\2\1", 4);
	assert_int_equal(wire_opt(msg.p, msg.n, OPTION, &opt), 0);
	assert_false(opt.there);
	assert_null(opt.value);
}

static void finds_no_option_in_rubbish(void **state)
{
	struct wire_opt opt = { .value_n = 7 };
	size_t whole = sizeof(options) - 1;

	(void)state;
	for (size_t n = 1; n < whole; n++) {
		if (n == 5 || n == 17)
			continue; /* there an option ends */
		start(0, 0, 1);
		rr_opt("", 1, n);
		assert_int_equal(wire_opt(msg.p, msg.n, OPTION, &opt),
				 -EBADMSG);
	}
	start(0, 0, 1);
	rr_opt("", 1, whole);
	for (size_t n = 0; n < msg.n; n++)
		assert_int_equal(wire_opt(msg.p, n, OPTION, &opt), -EBADMSG);
	start(0, 0, 2);
	rr_opt("", 1, whole);
	rr_opt("", 1, whole);
	assert_int_equal(wire_opt(msg.p, msg.n, OPTION, &opt), -EBADMSG);
	msg.p[11] = 1; /* what lies behind the records does not matter */
	assert_int_equal(wire_opt(msg.p, msg.n, OPTION, &opt), 0);
	msg.p[5] = 255; /* questions that are not there */
	opt.value_n = 7;
	assert_int_equal(wire_opt(msg.p, msg.n, OPTION, &opt), -EBADMSG);
	assert_int_equal(opt.value_n, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_sections),
		cmocka_unit_test(maps_nothing_else),
		cmocka_unit_test(refuses_opt),
		cmocka_unit_test(checks_names),
		cmocka_unit_test(a_question_has_no_pointer),
		cmocka_unit_test(orders),
		cmocka_unit_test(only_the_answer_turns),
		cmocka_unit_test(maps_the_largest),
		cmocka_unit_test(ages),
		cmocka_unit_test(turns),
		cmocka_unit_test(answers),
		cmocka_unit_test(below),
		cmocka_unit_test(finds_an_option),
		cmocka_unit_test(finds_no_option_in_rubbish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
