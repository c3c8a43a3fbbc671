/* SPDX-License-Identifier: MPL-2.0 */
/* The table of clients: how many it has, and what fits a table of another
 * size. */
#include "gtm/persist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW    (GTM_PERSIST_EPOCH + 5000u)
#define MANY   3000u
#define SERVER 77u

static const struct gtm_persist_terms for_ever = { UINT32_MAX, UINT32_MAX };

static uint64_t key_of(uint64_t i)
{
	uint64_t h = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

	return h ^ h >> 29;
}

static struct gtm_persist *filled(void)
{
	struct gtm_persist *p = gtm_persist_new(4 * MANY);

	assert_non_null(p);
	for (unsigned int i = 0; i < MANY; i++)
		gtm_persist_put(p, key_of(i), SERVER + i, false, NOW - i);
	return p;
}

/* Moves all, 'away_s' later, by a clock that has begun anew. */
static struct gtm_persist *moved(const struct gtm_persist *from, size_t entries,
				 uint32_t away_s)
{
	struct gtm_persist *to = gtm_persist_new(entries);
	struct gtm_persist_row rows[100];
	size_t at = 0;
	size_t n;

	assert_non_null(to);
	while ((n = gtm_persist_save(from, &at, rows, 100, NOW)) > 0)
		for (size_t i = 0; i < n; i++) {
			rows[i].age_s += away_s;
			rows[i].idle_s += away_s;
			gtm_persist_restore(to, &rows[i], GTM_PERSIST_EPOCH);
		}
	return to;
}

/* How many of those in 'from' are in 'to', as old as they must be. */
static unsigned int same(const struct gtm_persist *from,
			 const struct gtm_persist *to, uint32_t away_s)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < MANY; i++) {
		struct gtm_persist_terms terms = { UINT32_MAX, i + away_s };
		uint32_t was =
			gtm_persist_find(from, key_of(i), &for_ever, NOW);
		uint32_t is = gtm_persist_find(to, key_of(i), &terms,
					       GTM_PERSIST_EPOCH);
		if (was == 0 || is == 0)
			continue;
		assert_int_equal(is, was);
		terms.refresh_s--;
		assert_int_equal(gtm_persist_find(to, key_of(i), &terms,
						  GTM_PERSIST_EPOCH),
				 0);
		n++;
	}
	return n;
}

static void all_fit_a_larger_table(void **state)
{
	struct gtm_persist *p = filled();

	(void)state;
	for (unsigned int k = 1; k <= 64; k *= 8) {
		struct gtm_persist *q = moved(p, k * 4 * MANY, 100);
		assert_int_equal(gtm_persist_count(q), gtm_persist_count(p));
		assert_int_equal(same(p, q, 100), gtm_persist_count(p));
		gtm_persist_free(q);
	}
	gtm_persist_free(p);
}

static void a_smaller_table_is_full(void **state)
{
	struct gtm_persist *p = filled();
	struct gtm_persist *q = moved(p, 256, 9);

	(void)state;
	assert_int_equal(gtm_persist_count(q), 256);
	assert_int_equal(same(p, q, 9), 256);
	gtm_persist_free(p);
	gtm_persist_free(q);
}

static void counts_what_is_taken(void **state)
{
	struct gtm_persist *p = gtm_persist_new(64);

	(void)state;
	assert_int_equal(gtm_persist_bytes(p), 64 * 16);
	for (unsigned int i = 0; i < 1000; i++) {
		gtm_persist_put(p, key_of(7), SERVER, false, NOW + i);
		gtm_persist_put(p, key_of(7), SERVER, true, NOW + i);
	}
	assert_int_equal(gtm_persist_count(p), 1);
	for (unsigned int i = 0; i < 1000; i++)
		gtm_persist_put(p, key_of(i), SERVER, false, NOW);
	assert_int_equal(gtm_persist_count(p), 64);
	gtm_persist_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_fit_a_larger_table),
		cmocka_unit_test(a_smaller_table_is_full),
		cmocka_unit_test(counts_what_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
