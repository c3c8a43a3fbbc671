/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_merge.h"

#include <string.h>

#include "common/slice.h"

#define MARK "# HELP "

void probed_merge_init(struct probed_merge *merge, size_t max)
{
	merge->max = max;
	merge->bytes = 0;
	merge->lost = 0;
	merge->n = 0;
}

void probed_merge_fini(struct probed_merge *merge)
{
	for (size_t i = 0; i < merge->n; i++)
		probed_expo_fini(&merge->family[i]);
	merge->n = 0;
}

/* Octets of the line that 'text' begins with, its end included. */
static size_t line_of(struct slice text)
{
	const char *end = memchr(text.p, '\n', text.n);

	return end != NULL ? (size_t)(end - text.p) + 1 : text.n;
}

static uint64_t lines_of(struct slice text)
{
	uint64_t lines = 0;

	while (text.n > 0) {
		size_t n = line_of(text);
		text = (struct slice){ text.p + n, text.n - n };
		lines++;
	}
	return lines;
}

/* A family: its name, the two lines of its head, and its samples. */
struct block {
	struct slice name, head, body;
};

static bool is_head(struct slice text)
{
	return text.n >= strlen(MARK) &&
	       memcmp(text.p, MARK, strlen(MARK)) == 0;
}

/* Takes the first block off 'text', which begins with a head. */
static struct block block_take(struct slice *text)
{
	struct slice left = *text;
	struct block block = { .name = { left.p + strlen(MARK), 0 },
			       .head = { left.p, line_of(left) } };
	size_t room = block.head.n - strlen(MARK);
	const char *space = memchr(block.name.p, ' ', room);

	block.name.n = space != NULL ? (size_t)(space - block.name.p) : room;
	left = (struct slice){ left.p + block.head.n, left.n - block.head.n };
	size_t type = line_of(left);
	block.head.n += type;
	left = (struct slice){ left.p + type, left.n - type };
	block.body = (struct slice){ left.p, 0 };
	while (left.n > 0 && !is_head(left)) {
		size_t n = line_of(left);
		block.body.n += n;
		left = (struct slice){ left.p + n, left.n - n };
	}
	*text = left;
	return block;
}

/* The family of the block, perhaps a new one; NULL: there are too many. */
static struct probed_expo *family_of(struct probed_merge *merge,
				     const struct block *block)
{
	size_t n = strlen(MARK) + block->name.n;

	for (size_t i = 0; i < merge->n; i++) {
		struct probed_expo *have = &merge->family[i];
		if (have->n > n && have->text[n] == ' ' &&
		    memcmp(have->text, block->head.p, n) == 0)
			return have;
	}
	if (merge->n == PROBED_FAMILIES_MAX)
		return NULL;
	struct probed_expo *family = &merge->family[merge->n];
	probed_expo_init(family, merge->max);
	if (!probed_expo_raw(family, block->head.p, block->head.n))
		return NULL;
	merge->bytes += block->head.n;
	merge->n++;
	return family;
}

void probed_merge_add(struct probed_merge *merge,
		      const struct probed_expo *expo)
{
	struct slice text = { expo->text, expo->n };

	merge->lost += expo->lost;
	while (text.n > 0 && is_head(text)) {
		struct block block = block_take(&text);
		size_t n = block.head.n + block.body.n;
		struct probed_expo *family = n <= merge->max - merge->bytes
						     ? family_of(merge, &block)
						     : NULL;
		if (family == NULL ||
		    !probed_expo_raw(family, block.body.p, block.body.n))
			merge->lost += lines_of(block.body);
		else
			merge->bytes += block.body.n;
	}
}

void probed_merge_put(const struct probed_merge *merge,
		      struct probed_expo *expo)
{
	expo->lost += merge->lost;
	for (size_t i = 0; i < merge->n; i++) {
		const struct probed_expo *family = &merge->family[i];
		if (!probed_expo_raw(expo, family->text, family->n))
			expo->lost += lines_of(
				(struct slice){ family->text, family->n });
	}
}
