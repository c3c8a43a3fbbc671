/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/flight.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct flight_table *table;

static int setup(void **state)
{
	(void)state;
	return flight_table_new(&table);
}

static int teardown(void **state)
{
	(void)state;
	size_t left = flight_count(table);
	flight_table_free(table);
	return left == 0 ? 0 : -1;
}

/* Key of "X.example." */
static struct store_key key_of(uint64_t zone, char x, uint16_t qtype)
{
	struct store_key key = { .zone = zone, .qtype = qtype, .n = 11 };

	memcpy(key.name, "\1?\7example", 11);
	key.name[1] = (uint8_t)x;
	return key;
}

/* As the store's: the type only in the top bits. */
static uint64_t hash_of(const struct store_key *key)
{
	return (key->zone * 31 + key->name[1]) ^ (uint64_t)key->qtype << 48;
}

static struct flight *make(const struct store_key *key)
{
	struct flight *f = calloc(1, sizeof(*f));

	if (f == NULL)
		abort();
	f->key = *key;
	return f;
}

static bool join(struct flight *f, struct flight_waiter *w)
{
	return flight_join(table, hash_of(&f->key), f, w);
}

static bool underway(const struct store_key *key)
{
	return flight_underway(table, hash_of(key), key);
}

static void one_flight_for_all(void **state)
{
	struct store_key key = key_of(1, 'a', 1);
	struct flight_waiter w[4] = { { .next = NULL } };

	(void)state;
	struct flight *f = make(&key);
	struct flight *spare = make(&key);
	assert_false(underway(&key));
	assert_false(flight_join_existing(table, hash_of(&key), &key, &w[0]));
	assert_null(w[0].flight);
	assert_true(join(f, &w[0]));
	assert_true(underway(&key));
	assert_false(join(spare, &w[1]));
	assert_false(join(spare, NULL));
	free(spare);
	assert_true(flight_join_existing(table, hash_of(&key), &key, &w[2]));
	assert_true(flight_join_existing(table, hash_of(&key), &key, &w[3]));
	assert_ptr_equal(w[3].flight, f);
	assert_int_equal(flight_count(table), 1);

	assert_true(flight_leave(table, &w[2]));
	assert_false(flight_leave(table, &w[2]));
	assert_true(flight_leave(table, &w[0]));
	assert_true(flight_join_existing(table, hash_of(&key), &key, &w[0]));

	/* First come, first landed. */
	struct flight_waiter *list = flight_land(table, f);
	assert_true(f->listed);
	free(f);
	assert_ptr_equal(list, &w[1]);
	assert_ptr_equal(list->next, &w[3]);
	assert_ptr_equal(list->next->next, &w[0]);
	assert_null(list->next->next->next);
	assert_false(flight_leave(table, &w[1]));
	assert_false(underway(&key));
}

static void nobody_waits(void **state)
{
	struct store_key key = key_of(1, 'a', 1);
	struct flight_waiter w = { .next = NULL };

	(void)state;
	struct flight *f = make(&key);
	assert_true(join(f, NULL));
	assert_true(flight_join_existing(table, hash_of(&key), &key, &w));
	assert_true(flight_leave(table, &w));
	assert_null(flight_land(table, f));
	free(f);
	assert_false(flight_leave(table, &w));
	flight_table_free(NULL);
}

static void other_questions_fly_alone(void **state)
{
	struct flight *f[4];
	struct store_key key[4] = {
		key_of(1, 'a', 1),
		key_of(1, 'a', 28),
		key_of(2, 'a', 1),
		key_of(1, 'b', 1),
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		f[i] = make(&key[i]);
		/* Equal hashes must not matter. */
		assert_true(flight_join(table, 5, f[i], NULL));
	}
	assert_int_equal(flight_count(table), 4);
	for (size_t i = 0; i < 4; i++) {
		assert_true(flight_underway(table, 5, &key[i]));
		assert_null(flight_land(table, f[i]));
		assert_false(flight_underway(table, 5, &key[i]));
		free(f[i]);
	}
}

static void detached(void **state)
{
	struct store_key key[5] = {
		key_of(1, 'a', 1), key_of(1, 'a', 28), key_of(1, 'b', 1),
		key_of(2, 'a', 1), key_of(1, 'c', 1),
	};
	struct flight *f[5];
	struct flight_waiter w = { .next = NULL };
	struct flight_waiter late = { .next = NULL };
	const uint8_t *top = (const uint8_t *)"\7example";

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		f[i] = make(&key[i]);
		assert_true(join(f[i], i == 0 ? &w : NULL));
	}
	assert_int_equal(flight_detach(table, 1, top, 9, false), 0);
	assert_int_equal(flight_detach(table, 1, key[0].name, 11, false), 2);
	assert_false(f[0]->listed);
	assert_false(f[1]->listed);
	assert_true(f[2]->listed);
	assert_int_equal(flight_count(table), 5);

	/* What is asked now is asked anew; who waited gets the old answer. */
	struct flight *anew = make(&key[0]);
	assert_true(join(anew, &late));
	struct flight_waiter *list = flight_land(table, f[0]);
	assert_ptr_equal(list, &w);
	assert_null(list->next);
	assert_true(underway(&key[0]));
	assert_ptr_equal(flight_land(table, anew), &late);

	assert_int_equal(flight_detach(table, 1, top, 9, true), 2);
	assert_int_equal(flight_detach(table, 1, NULL, 0, false), 0);
	assert_int_equal(flight_detach(table, 2, NULL, 0, false), 1);
	for (size_t i = 1; i < 5; i++) {
		assert_false(f[i]->listed);
		assert_null(flight_land(table, f[i]));
	}
	for (size_t i = 0; i < 5; i++)
		free(f[i]);
	free(anew);
}

/* -- many threads ------------------------------------------------------- */

#define WORKERS 3u
#define ROUNDS	20000u

/* What waits: resumed by itself when it leaves, or by the lander. */
struct client {
	struct flight_waiter waiter; /* first */
	_Atomic uint32_t resumed;
};

/* Flights submitted to the engine: a stack. */
static struct submitted {
	struct submitted *_Atomic next;
	struct flight *flight;
} * _Atomic top;
static _Atomic uint32_t working;

static void submit(struct flight *f)
{
	struct submitted *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	s->flight = f;
	struct submitted *was = atomic_load(&top);
	do
		atomic_store(&s->next, was);
	while (!atomic_compare_exchange_weak(&top, &was, s));
}

static void worker_ask(struct client *client, char x)
{
	struct store_key key = key_of(1, x, 1);
	uint64_t hash = hash_of(&key);

	if (flight_join_existing(table, hash, &key, &client->waiter))
		return;
	struct flight *f = make(&key);
	if (flight_join(table, hash, f, &client->waiter))
		submit(f);
	else
		free(f);
}

static void *worker(void *arg)
{
	uint32_t x = *(uint32_t *)arg;
	struct client *clients = calloc(ROUNDS, sizeof(*clients));

	if (clients == NULL)
		abort();
	for (uint32_t i = 0; i < ROUNDS; i++) {
		x = x * 1664525u + 1013904223u;
		worker_ask(&clients[i], (char)('a' + (x >> 24) % 8));
		/* One asked a little earlier loses patience. */
		struct client *c = &clients[i - i % (1 + (x >> 16) % 8)];
		if (flight_leave(table, &c->waiter))
			atomic_fetch_add(&c->resumed, 1);
	}
	atomic_fetch_sub(&working, 1);
	return clients;
}

static void resume_all(struct flight_waiter *w)
{
	while (w != NULL) {
		struct client *c = (struct client *)w;
		w = w->next;
		atomic_fetch_add(&c->resumed, 1);
	}
}

static void land_all(void)
{
	struct submitted *s = atomic_exchange(&top, NULL);

	while (s != NULL) {
		struct submitted *next = atomic_load(&s->next);
		resume_all(flight_release(table, s->flight));
		resume_all(flight_land(table, s->flight));
		free(s->flight);
		free(s);
		s = next;
	}
}

/* Those released are no longer there; the flight still is. */
static void released(void **state)
{
	struct store_key key = key_of(1, 'a', 1);
	uint64_t hash = hash_of(&key);
	struct flight_waiter first = { 0 }, second = { 0 };
	struct flight *f = make(&key);

	(void)state;
	assert_true(flight_join(table, hash, f, &first));
	assert_ptr_equal(flight_release(table, f), &first);
	assert_null(first.flight);
	assert_false(flight_leave(table, &first));
	assert_null(flight_release(table, f));
	assert_true(flight_underway(table, hash, &key));
	assert_true(flight_join_existing(table, hash, &key, &second));
	assert_int_equal(flight_count(table), 1);
	assert_ptr_equal(flight_land(table, f), &second);
	assert_false(flight_underway(table, hash, &key));
	free(f);
}

static void each_is_resumed_once(void **state)
{
	pthread_t thread[WORKERS];
	uint32_t seed[WORKERS];

	(void)state;
	atomic_store(&working, WORKERS);
	for (uint32_t i = 0; i < WORKERS; i++) {
		seed[i] = i + 1;
		assert_int_equal(
			pthread_create(&thread[i], NULL, worker, &seed[i]), 0);
	}
	struct store_key key = key_of(1, 'c', 1);
	for (uint32_t i = 0; atomic_load(&working) > 0; i++) {
		land_all();
		if (i % 16 == 0)
			flight_detach(table, 1, key.name, key.n, false);
		if (i % 64 == 0)
			flight_detach(table, 1, NULL, 0, false);
	}
	land_all();
	assert_int_equal(flight_count(table), 0);
	for (uint32_t i = 0; i < WORKERS; i++) {
		void *result;
		pthread_join(thread[i], &result);
		struct client *clients = result;
		for (uint32_t c = 0; c < ROUNDS; c++)
			assert_int_equal(clients[c].resumed, 1);
		free(clients);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_flight_for_all),
		TEST(nobody_waits),
		TEST(other_questions_fly_alone),
		TEST(detached),
		TEST(released),
		TEST(each_is_resumed_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
