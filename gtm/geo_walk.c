/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Whether data of a database may be shown to libmaxminddb.  That is careful not
 * to read beyond its end, but follows pointers and skips elements as long as
 * there are any: twenty lists of two pointers each to the next one are a
 * million elements, and a list at the beginning of a map is skipped once for
 * each key that comes after it.
 */
#include "gtm/geo_int.h"

#include <errno.h>

#define DEPTH_MAX 16u

enum type {
	EXTENDED,
	POINTER,
	STRING,
	DOUBLE,
	BYTES,
	U16,
	U32,
	MAP,
	I32,
	U64,
	U128,
	ARRAY,
	CACHE,
	END,
	BOOLEAN,
	FLOAT,
	TYPES
};

struct walk {
	const uint8_t *p;
	size_t n, at;
	uint64_t *budget;
};

/* A value's head. */
struct head {
	unsigned int type;
	uint32_t size; /* octets, elements; of a pointer: where it points */
};

/* Reads a big-endian number of 'n' octets. */
static int number(struct walk *w, unsigned int n, uint32_t *out)
{
	uint32_t made = 0;

	if (w->n - w->at < n)
		return -EBADMSG;
	for (unsigned int i = 0; i < n; i++)
		made = made << 8 | w->p[w->at++];
	*out = made;
	return 0;
}

static int pointer_read(struct walk *w, unsigned int control, uint32_t *to)
{
	static const uint32_t bases[] = { 0, 2048, 526336, 0 };
	unsigned int size = control >> 3 & 3;
	uint32_t n;

	if (number(w, size + 1, &n) != 0)
		return -EBADMSG;
	if (size < 3)
		n |= (uint32_t)(control & 7) << (8 * (size + 1));
	*to = n + bases[size];
	return 0;
}

static int head_read(struct walk *w, struct head *h)
{
	static const uint32_t bases[] = { 29, 285, 65821 };
	uint32_t control, more;

	if (number(w, 1, &control) != 0)
		return -EBADMSG;
	h->type = control >> 5;
	if (h->type == POINTER)
		return pointer_read(w, control, &h->size);
	if (h->type == EXTENDED) {
		if (number(w, 1, &more) != 0 || more == 0)
			return -EBADMSG;
		h->type = more + 7;
	}
	h->size = control & 31;
	if (h->size >= 29) {
		uint32_t base = bases[h->size - 29];
		if (number(w, h->size - 28, &more) != 0)
			return -EBADMSG;
		h->size = base + more;
	}
	return h->type < TYPES && h->type != CACHE && h->type != END ? 0
								     : -EBADMSG;
}

/* NOLINTNEXTLINE(misc-no-recursion): at most DEPTH_MAX deep */
static int value_walk(struct walk *w, unsigned int depth)
{
	struct head h;

	if (depth == DEPTH_MAX || *w->budget == 0)
		return -EBADMSG;
	--*w->budget;
	if (head_read(w, &h) != 0)
		return -EBADMSG;
	if (h.type == POINTER) {
		size_t back = w->at;
		if (h.size >= w->n)
			return -EBADMSG;
		w->at = h.size;
		int rc = value_walk(w, depth + 1);
		w->at = back;
		return rc;
	}
	if (h.type == BOOLEAN)
		return 0;
	if (h.type != MAP && h.type != ARRAY) {
		if (w->n - w->at < h.size)
			return -EBADMSG;
		w->at += h.size;
		return 0;
	}
	uint64_t n = h.type == MAP ? 2 * (uint64_t)h.size : h.size;
	int rc = n <= *w->budget ? 0 : -EBADMSG;
	while (rc == 0 && n-- > 0)
		rc = value_walk(w, depth + 1);
	return rc;
}

int gtm_geo_walk(const uint8_t *p, size_t n, size_t at, uint64_t *budget)
{
	struct walk w = { .p = p, .n = n, .at = at, .budget = budget };

	return at < n ? value_walk(&w, 0) : -EBADMSG;
}
