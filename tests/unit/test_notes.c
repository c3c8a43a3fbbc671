/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/notes.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define THREADS 4u
#define ROUNDS	200000u

static uint64_t id; /* of the notes made so far */

static struct notes *notes_of(uint32_t one_of, unsigned int spare)
{
	struct notes *notes = NULL;

	assert_int_equal(notes_new(++id, &notes), 0);
	notes_want(notes, one_of, spare);
	return notes;
}

static void test_in_order(void **state)
{
	struct notes *notes = notes_of(1, 1);
	struct note note = { 0 };

	(void)state;
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < NOTES_SIZE; i++) {
			note.ttl_s = i;
			notes_put(notes, &note);
		}
		notes_put(notes, &note); /* one too many */
		for (uint32_t i = 0; i < NOTES_SIZE; i++) {
			assert_true(notes_take(notes, &note));
			assert_int_equal(note.ttl_s, i);
		}
		assert_false(notes_take(notes, &note));
		assert_int_equal(notes_lost(notes), round + 1);
	}
	notes_free(notes);
}

/* Without a ring there is nowhere to put it; the next time there is. */
static void test_without_a_ring(void **state)
{
	struct notes *notes = notes_of(0, 1);
	struct note note = { 0 };

	(void)state;
	assert_false(notes_wanted(notes, 0));
	notes_put(notes, &note);
	assert_int_equal(notes_lost(notes), 1);
	notes_want(notes, 1, 0);
	notes_put(notes, &note);
	assert_true(notes_take(notes, &note));
	notes_free(notes);
}

static void test_one_of(void **state)
{
	struct notes *notes = notes_of(10, 1);
	uint32_t n = 0;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		n += notes_wanted(notes, (uint32_t)(i * (UINT32_MAX / 1000)));
	assert_in_range(n, 99, 101);
	notes_want(notes, 1, 1);
	assert_true(notes_wanted(notes, UINT32_MAX));
	notes_free(notes);
}

static struct notes *shared;

static void *put_all(void *arg)
{
	struct note note = { .host = arg };

	for (uint32_t i = 0; i < ROUNDS; i++) {
		note.ttl_s = i;
		note.now_ms = ~(uint64_t)i;
		notes_put(shared, &note);
	}
	return NULL;
}

/* Each thread's notes come in their order and whole; none is there twice. */
static void test_threads(void **state)
{
	pthread_t thread[THREADS];
	uint32_t next[THREADS] = { 0 };
	uint64_t taken = 0;
	struct note note;
	static char mark[THREADS];

	(void)state;
	shared = notes_of(1, THREADS);
	for (unsigned int i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, put_all, &mark[i]), 0);
	bool joined = false;
	for (;;) {
		if (notes_take(shared, &note)) {
			size_t i = (size_t)((const char *)note.host - mark);
			assert_true(note.ttl_s >= next[i]);
			assert_true(note.now_ms == ~(uint64_t)note.ttl_s);
			next[i] = note.ttl_s + 1;
			taken++;
			continue;
		}
		if (joined)
			break;
		if (taken + notes_lost(shared) < THREADS * (uint64_t)ROUNDS)
			continue;
		for (unsigned int i = 0; i < THREADS; i++)
			(void)pthread_join(thread[i], NULL);
		joined = true;
	}
	assert_true(taken + notes_lost(shared) == THREADS * (uint64_t)ROUNDS);
	notes_free(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_without_a_ring),
		cmocka_unit_test(test_one_of),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
