/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * groups_kit - what the tests of latency tables share.  Any mistake fails the
 * test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/rcu.h"
#include "gtm/groups.h"

#define NOW    UINT64_C(1000) /* a clock that has just been started */
#define DAY_MS (INT64_C(86400) * 1000)

static const char *const one_pop[] = { "fra" };

static inline struct gtm_groups *table(uint32_t max, uint16_t columns,
				       const char *const *ids, size_t n)
{
	struct gtm_groups *g;
	uint16_t map[8];

	assert_int_equal(gtm_groups_new(max, columns, &g), 0);
	assert_int_equal(gtm_groups_columns(g, ids, n, map), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(map[i], i);
	return g;
}

static inline struct gtm_row_cells look(const struct gtm_groups *g,
					const struct gtm_client *c)
{
	rcu_enter();
	struct gtm_row_cells row = gtm_groups_find(g, c, NOW);
	rcu_leave();
	return row;
}

/* What a cell says: tenths, UNKNOWN or GTM_UNREACHABLE; and its age. */
#define UNKNOWN UINT32_MAX

struct said {
	uint32_t tenths, age_ms;
};

static inline struct said said(const struct gtm_row_cells *row, uint16_t column,
			       uint64_t now_ms)
{
	struct gtm_cell_time time = gtm_cell_time(now_ms, GTM_AGE_MAX_MS);
	uint32_t cell = row->cells == NULL
				? 0
				: atomic_load_explicit(&row->cells[column],
						       memory_order_relaxed);
	float ms = gtm_cell_ms(cell, time);

	if (ms < 0.0f)
		return (struct said){ UNKNOWN, 0 };
	return (struct said){ (uint32_t)(ms * 10.0f + 0.5f),
			      gtm_cell_age_ms(cell, now_ms) };
}

static inline struct gtm_client v4(uint32_t address, uint8_t bits)
{
	return (struct gtm_client){
		.bits = bits,
		.address = { (uint8_t)(address >> 24), (uint8_t)(address >> 16),
			     (uint8_t)(address >> 8), (uint8_t)address },
	};
}

static inline struct said value(const struct gtm_groups *g, uint16_t column,
				uint64_t now_ms)
{
	struct gtm_client c = v4(0x0a000001, 32);
	struct gtm_row_cells row = look(g, &c);

	return said(&row, column, now_ms);
}

static inline void put(struct gtm_groups *g, uint32_t i, uint64_t now_ms)
{
	struct gtm_client group = v4(i << 12, 20);

	assert_int_equal(gtm_groups_put(g, &group, 0, 1, 0, now_ms), 0);
}
