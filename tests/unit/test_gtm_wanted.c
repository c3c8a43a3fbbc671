/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/wanted.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define THREADS 3u
#define ROUNDS	50000u

static struct gtm_client client(uint8_t a, uint8_t b, uint8_t bits)
{
	return (struct gtm_client){ .bits = bits,
				    .address = { a, b, 0x77, 0x99 } };
}

static struct gtm_client client_v6(uint8_t bits)
{
	struct gtm_client c = { .v6 = true, .bits = bits };

	memset(c.address, 0xff, sizeof(c.address));
	return c;
}

static void check(const struct gtm_client *c, bool v6, uint8_t bits)
{
	assert_int_equal(c->v6, v6);
	assert_int_equal(c->bits, bits);
	for (unsigned int i = bits; i < 128; i++)
		assert_int_equal(c->address[i / 8] >> (7 - i % 8) & 1, 0);
}

/* Each in a list of its own, so that none has another's place. */
static void test_lengths(void **unused)
{
	static const struct {
		bool v6;
		uint8_t client, group, want;
	} cases[] = {
		{ false, 32, 0, 24 },  { false, 16, 0, 16 },
		{ false, 32, 8, 8 },   { false, 32, 32, 32 },
		{ true, 128, 0, 56 },  { true, 40, 0, 40 },
		{ true, 128, 48, 48 }, { true, 128, 64, 56 },
		{ true, 1, 0, 1 },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gtm_client c = cases[i].v6
					      ? client_v6(cases[i].client)
					      : client(10, 1, cases[i].client);
		struct gtm_client out[2], asked[2];
		struct gtm_wanted *w;
		assert_int_equal(gtm_wanted_new(16, 24, 56, &w), 0);
		gtm_wanted_note(w, &c, cases[i].group);
		assert_int_equal(gtm_wanted_take(w, out, asked, 2), 1);
		check(&out[0], cases[i].v6, cases[i].want);
		assert_int_equal(asked[0].v6, c.v6);
		assert_int_equal(asked[0].bits, c.bits);
		assert_memory_equal(asked[0].address, c.address, 16);
		gtm_wanted_free(w);
	}
}

static void test_once(void **unused)
{
	struct gtm_client c = client(10, 1, 32);
	struct gtm_client out[4], asked[4];
	struct gtm_wanted *w;

	(void)unused;
	assert_int_equal(gtm_wanted_new(16, 24, 56, &w), 0);
	for (unsigned int i = 0; i < 3; i++) {
		gtm_wanted_note(w, &c, 0);
		c.address[3]++;
	}
	assert_int_equal(gtm_wanted_take(w, out, asked, 4), 1);
	gtm_wanted_note(w, &c, 0); /* is being measured */
	assert_int_equal(gtm_wanted_take(w, out, asked, 4), 0);
	gtm_wanted_forget(w);
	assert_int_equal(gtm_wanted_take(w, out, asked, 4), 0);
	gtm_wanted_note(w, &c, 0);
	gtm_wanted_forget(w); /* not taken: stays */
	assert_int_equal(gtm_wanted_take(w, out, asked, 4), 1);
	gtm_wanted_free(w);
}

/* No more than there is room for; and each once, in portions. */
static void test_bounded(void **unused)
{
	static bool seen[256][256];
	struct gtm_client out[7], asked[7];
	struct gtm_wanted *w;
	size_t n = 0, got;

	(void)unused;
	assert_int_equal(gtm_wanted_new(64, 16, 56, &w), 0);
	for (unsigned int i = 0; i < 65536; i++) {
		struct gtm_client c = client((uint8_t)(i >> 8), (uint8_t)i, 32);
		gtm_wanted_note(w, &c, 0);
	}
	do {
		got = gtm_wanted_take(w, out, asked, 7);
		for (size_t i = 0; i < got; i++) {
			bool *s = &seen[out[i].address[0]][out[i].address[1]];
			assert_false(*s);
			*s = true;
		}
		n += got;
	} while (got == 7);
	assert_int_equal(n, 64);
	gtm_wanted_free(w);
}

static void test_bad(void **unused)
{
	struct gtm_wanted *w;

	(void)unused;
	assert_int_equal(gtm_wanted_new(15, 24, 56, &w), -EINVAL);
	assert_int_equal(gtm_wanted_new(48, 24, 56, &w), -EINVAL);
	assert_int_equal(gtm_wanted_new(2 * GTM_WANTED_MAX, 24, 56, &w),
			 -EINVAL);
	assert_int_equal(gtm_wanted_new(64, 0, 56, &w), -EINVAL);
	assert_int_equal(gtm_wanted_new(64, 33, 56, &w), -EINVAL);
	assert_int_equal(gtm_wanted_new(64, 24, 57, &w), -EINVAL);
	assert_int_equal(gtm_wanted_new(64, 24, 0, &w), -EINVAL);
	gtm_wanted_free(NULL);
}

static void *note_always(void *arg)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct gtm_client c =
			client((uint8_t)(i * 7), (uint8_t)(i / 3), 32);
		gtm_wanted_note(arg, &c, 0);
	}
	return NULL;
}

static void test_race(void **unused)
{
	pthread_t thread[THREADS];
	struct gtm_client out[16], asked[16];
	struct gtm_wanted *w;
	size_t n = 0;

	(void)unused;
	assert_int_equal(gtm_wanted_new(256, 16, 56, &w), 0);
	for (unsigned int i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, note_always, w), 0);
	for (unsigned int i = 0; i < 1000; i++) {
		size_t got = gtm_wanted_take(w, out, asked, 16);
		for (size_t j = 0; j < got; j++) {
			check(&out[j], false, 16);
			assert_int_equal(asked[j].bits, 32);
			assert_memory_equal(asked[j].address, out[j].address,
					    2);
		}
		n += got;
		if (i % 10 == 0)
			gtm_wanted_forget(w);
	}
	for (unsigned int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	while (gtm_wanted_take(w, out, asked, 16) > 0)
		n++;
	assert_true(n > 0);
	gtm_wanted_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths), cmocka_unit_test(test_once),
		cmocka_unit_test(test_bounded), cmocka_unit_test(test_bad),
		cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
