/* SPDX-License-Identifier: MPL-2.0 */
#include "common/config_int.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE 65536u

struct config_arena {
	struct config_arena *next;
	size_t size, used; /* of octets */
	alignas(max_align_t) char octets[];
};

static struct config_arena *chunk_new(size_t size)
{
	struct config_arena *chunk = malloc(sizeof(*chunk) + size);

	if (chunk != NULL)
		*chunk = (struct config_arena){ .size = size };
	return chunk;
}

void *config_arena_alloc(struct config_arena **arena, size_t size)
{
	struct config_arena *chunk = *arena;
	size_t align = alignof(max_align_t);

	size = (size + align - 1) / align * align;
	if (chunk == NULL || chunk->size - chunk->used < size) {
		bool big = size > CHUNK_SIZE / 4;
		struct config_arena *made = chunk_new(big ? size : CHUNK_SIZE);
		if (made == NULL)
			return NULL;
		/* The chunk with most room stays in front. */
		if (big && chunk != NULL) {
			made->next = chunk->next;
			chunk->next = made;
		} else {
			made->next = chunk;
			*arena = made;
		}
		chunk = made;
	}

	void *at = chunk->octets + chunk->used;
	chunk->used += size;
	return memset(at, 0, size);
}

char *config_arena_text(struct config_arena **arena, struct slice text)
{
	char *copy = config_arena_alloc(arena, text.n + 1);

	if (copy != NULL)
		memcpy(copy, text.p, text.n);
	return copy;
}

void config_arena_free(struct config_arena *arena)
{
	while (arena != NULL) {
		struct config_arena *next = arena->next;
		free(arena);
		arena = next;
	}
}
