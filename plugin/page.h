/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * page - how much of a long list one reply may hold, so that the engine's
 * thread is not kept: PAGE_ITEMS, or what half a millisecond brings (writing
 * the reply out takes about as long again), but one at least.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define PAGE_ITEMS 100u
#define PAGE_NS	   500000u

struct page {
	size_t n; /* items that are in it */
	uint64_t end_ns;
};

static inline struct page page_begin(void)
{
	return (struct page){ .end_ns = uv_hrtime() + PAGE_NS };
}

/* Takes room for one item; false: the page is full. */
static inline bool page_take(struct page *page)
{
	if (page->n == PAGE_ITEMS ||
	    (page->n > 0 && uv_hrtime() >= page->end_ns))
		return false;
	page->n++;
	return true;
}
