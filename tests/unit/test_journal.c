/* SPDX-License-Identifier: MPL-2.0 */
#include "common/journal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define T UINT64_C(1763971200000)

static uint8_t octets[JOURNAL_FRAME_MAX];
static struct journal_pen pen;
static struct journal_reader reader;

static void begin(size_t max)
{
	journal_begin(&pen, octets, max, T);
}

static size_t end(void)
{
	struct slice frame = journal_end(&pen);

	assert_ptr_equal(frame.p, octets);
	assert_int_equal(journal_frame_size(octets), frame.n);
	assert_int_equal(journal_open(&reader, octets, frame.n), 0);
	return frame.n;
}

/* Writes a record and reads it again. */
static struct journal_record again(struct journal_record record)
{
	struct journal_record read;

	begin(4096);
	assert_true(journal_put(&pen, &record));
	(void)end();
	assert_int_equal(journal_next(&reader, &read), 1);
	assert_int_equal(read.kind, record.kind);
	assert_int_equal(read.time_ms, record.time_ms);
	assert_int_equal(journal_next(&reader, &record), 0);
	return read;
}

static void test_times(void **state)
{
	static const uint64_t times[] = { T, T - 300, T + 1000, 1,
					  UINT64_C(1) << 48 };

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		(void)again((struct journal_record){ .kind = JOURNAL_ALIVE,
						     .time_ms = times[i] });
}

static void test_value(void **state)
{
	struct journal_record r = {
		.kind = JOURNAL_VALUE,
		.time_ms = T,
		.value = { .slot = JOURNAL_NUMBER_MAX - 1,
			   .state = 2,
			   .fresh = true,
			   .error = UINT16_MAX,
			   .metric = UINT32_MAX,
			   .age_ms = 1,
			   .since_ms = UINT64_C(1) << 52,
			   .up_ms = JOURNAL_NEVER,
			   .period_ms = 5000 },
	};

	(void)state;
	struct journal_record read = again(r);
	assert_int_equal(read.value.slot, r.value.slot);
	assert_int_equal(read.value.state, 2);
	assert_true(read.value.fresh);
	assert_int_equal(read.value.error, UINT16_MAX);
	assert_int_equal(read.value.metric, UINT32_MAX);
	assert_int_equal(read.value.since_ms, UINT64_C(1) << 52);
	assert_true(read.value.up_ms == JOURNAL_NEVER);
	assert_int_equal(read.value.period_ms, 5000);
	r.value.up_ms = 0;
	assert_int_equal(again(r).value.up_ms, 0);
}

static void test_decision(void **state)
{
	struct journal_record r = {
		.kind = JOURNAL_DECISION,
		.time_ms = T - 1,
		.decision = { .host = 70000,
			      .v6 = true,
			      .client_v6 = true,
			      .client_bits = 49,
			      .client = { 0x20, 1, 0xd, 0xb8, 0, 1, 0x80 },
			      .rule = 3,
			      .tier = 2,
			      .outcome = 1,
			      .ttl_s = UINT32_MAX,
			      .n = JOURNAL_ANSWERS_MAX },
	};

	(void)state;
	for (unsigned int i = 0; i < JOURNAL_ANSWERS_MAX; i++) {
		r.decision.answer[i].server = i;
		r.decision.answer[i].address.n = 16;
		r.decision.answer[i].address.octets[15] = (uint8_t)i;
	}
	struct journal_record read = again(r);
	assert_memory_equal(&read.decision, &r.decision, sizeof(r.decision));
}

/* A journal of before has no group behind a decision. */
static void test_decision_of_before(void **state)
{
	struct journal_record r = { .kind = JOURNAL_DECISION,
				    .time_ms = T,
				    .decision = { .host = 3, .group = 26 } };

	(void)state;
	assert_int_equal(again(r).decision.group, 26);
	begin(1024);
	assert_true(journal_put(&pen, &r));
	octets[JOURNAL_FRAME_HEAD + 1]--; /* its length */
	pen.n--;
	(void)end();
	assert_int_equal(journal_next(&reader, &r), 1);
	assert_int_equal(r.decision.host, 3);
	assert_int_equal(r.decision.group, 0);
	assert_int_equal(journal_next(&reader, &r), 0);
}

static void test_near(void **state)
{
	struct journal_record r = {
		.kind = JOURNAL_NEAR,
		.time_ms = 1, /* the longest: far from the frame's */
		.near = { .net = { true,
				   JOURNAL_NET_V6,
				   { 0x20, 1, 0xd, 0xb8, 1, 2, 3 } },
			  .anew = true,
			  .n = JOURNAL_NEAR_MAX },
	};

	(void)state;
	for (unsigned int i = 0; i < JOURNAL_NEAR_MAX; i++) {
		r.near.cell[i].pop = JOURNAL_NUMBER_MAX - 1 - i;
		r.near.cell[i].tenths = JOURNAL_NEAR_FAR;
		r.near.cell[i].age_s = UINT32_MAX;
	}
	struct journal_record read = again(r);
	assert_memory_equal(&read.near, &r.near, sizeof(r.near));

	r = (struct journal_record){
		.kind = JOURNAL_NEAR,
		.time_ms = T,
		.near = { .net = { false, 20, { 10, 1, 0xff } }, .n = 1 },
	};
	r.near.cell[0].tenths = 124;
	read = again(r);
	assert_int_equal(read.near.net.octets[2], 0xf0); /* 20 bits */
	assert_int_equal(read.near.cell[0].tenths, 124);
	assert_false(read.near.anew);
	r.near.net.bits = 0;
	r.near.n = 0;
	assert_int_equal(again(r).near.net.octets[0], 0);
}

/* Neither a network of more bits, nor more cells, is one. */
static void test_near_of_nonsense(void **state)
{
	struct journal_record r = {
		.kind = JOURNAL_NEAR,
		.time_ms = T,
		.near = { .net = { false, JOURNAL_NET_V4, { 10, 1, 1 } },
			  .n = 1 },
	};
	const struct {
		size_t at;
		uint8_t octet;
	} bad[] = { { 4, JOURNAL_NET_V4 + 1 }, /* bits */
		    { 8, JOURNAL_NEAR_MAX + 1 },
		    { 8, 2 } };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin(1024);
		assert_true(journal_put(&pen, &r));
		octets[JOURNAL_FRAME_HEAD + bad[i].at] = bad[i].octet;
		(void)end();
		assert_int_equal(
			journal_next(&reader, &(struct journal_record){ 0 }),
			-EBADMSG);
	}
}

static void test_texts(void **state)
{
	char longer[400];
	struct journal_record read;

	(void)state;
	memset(longer, 'x', sizeof(longer));
	struct journal_record r = {
		.kind = JOURNAL_WORD,
		.time_ms = T,
		.word = { slice_of("drain"), { "", 0 }, { longer, 400 } },
	};
	read = again(r);
	assert_true(slice_is(read.word.what, "drain"));
	assert_int_equal(read.word.server.n, 0);
	assert_int_equal(read.word.reason.n, JOURNAL_TEXT_MAX);

	r = (struct journal_record){
		.kind = JOURNAL_EPOCH,
		.time_ms = T,
		.epoch = { true, 7, UINT64_MAX, { longer, 400 } },
	};
	read = again(r);
	assert_true(read.epoch.hash == UINT64_MAX);
	assert_int_equal(read.epoch.serial, 7);
	assert_int_equal(read.epoch.file.n, JOURNAL_TEXT_MAX);
}

/* What does not fit is not there, and what is there stays. */
static void test_room(void **state)
{
	struct journal_record r = { .kind = JOURNAL_LOST,
				    .time_ms = T,
				    .lost = UINT64_MAX };
	size_t n = 0;

	(void)state;
	begin(1024);
	while (journal_put(&pen, &r))
		n++;
	assert_true(n > 60);
	assert_true(end() <= 1024);
	for (; n > 0; n--)
		assert_int_equal(journal_next(&reader, &r), 1);
	assert_int_equal(journal_next(&reader, &r), 0);
	begin(1024);
	assert_int_equal(journal_end(&pen).n, 0);
}

/* A later version's kinds, and fields behind ours, are passed over. */
static void test_later_versions(void **state)
{
	struct journal_record r = { .kind = JOURNAL_LOST,
				    .time_ms = T,
				    .lost = 5 };

	(void)state;
	begin(1024);
	for (unsigned int i = 0; i < 3; i++)
		assert_true(journal_put(&pen, &r));
	uint8_t *first = octets + JOURNAL_FRAME_HEAD;
	first[0] = 200;	   /* the first of the three is of another kind */
	first[4 + 1] += 4; /* the second has the third in it, as fields */
	(void)end();
	assert_int_equal(journal_next(&reader, &r), 1);
	assert_int_equal(r.kind, JOURNAL_UNKNOWN);
	assert_int_equal(journal_next(&reader, &r), 1);
	assert_int_equal(r.kind, JOURNAL_LOST);
	assert_int_equal(r.lost, 5);
	assert_int_equal(journal_next(&reader, &r), 0);
}

/* Any octet that is another one is found out, and any length. */
static void test_damage(void **state)
{
	struct journal_record r = { .kind = JOURNAL_ALIVE, .time_ms = T };

	(void)state;
	begin(1024);
	assert_true(journal_put(&pen, &r));
	size_t n = end();
	for (size_t i = 0; i < n; i++) {
		octets[i] ^= 0x40;
		assert_int_equal(journal_open(&reader, octets, n), -EBADMSG);
		octets[i] ^= 0x40;
	}
	for (size_t i = 0; i < n; i++)
		assert_int_equal(journal_open(&reader, octets, i), -EBADMSG);
	assert_int_equal(journal_open(&reader, octets, n), 0);
}

static void test_head(void **state)
{
	uint8_t head[JOURNAL_HEAD];

	(void)state;
	journal_head_write(head);
	assert_int_equal(journal_head_read(head), 0);
	head[8]++;
	assert_int_equal(journal_head_read(head), -EPROTONOSUPPORT);
	head[0]++;
	assert_int_equal(journal_head_read(head), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_value),
		cmocka_unit_test(test_decision),
		cmocka_unit_test(test_decision_of_before),
		cmocka_unit_test(test_near),
		cmocka_unit_test(test_near_of_nonsense),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_later_versions),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
