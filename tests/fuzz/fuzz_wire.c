/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The walker of messages over anything, and the patches at what it noted.  The
 * message lies in a block of its exact size, so that a sanitizer sees any step
 * outside.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cacheproxy/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct wire_map *map, size_t n)
{
	assert(map->question_end <= map->end[0]);
	assert(map->end[0] <= map->end[1] && map->end[1] <= map->end[2]);
	assert(map->end[2] == n);
	for (size_t i = 0; i < map->n_ttls; i++) {
		assert(map->ttl[i] + 4u <= n);
		assert(i == 0 || map->ttl[i - 1] < map->ttl[i]);
	}
	for (size_t i = 0; i < map->n_turns; i++) {
		const struct wire_turn *turn = &map->turn[i];
		assert(turn->n >= 2 && turn->offset >= map->question_end);
		assert(turn->offset + (size_t)turn->n * turn->size <=
		       map->end[0]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wire_map map;
	static struct wire_map again;

	/* The first octets choose what is done. */
	if (size < 4)
		return 0;
	uint32_t pick;
	memcpy(&pick, data, sizeof(pick));
	size_t n = size - 4;
	uint8_t *msg = malloc(n);
	if (msg == NULL)
		return 0;
	memcpy(msg, data + 4, n);

	size_t q_n = pick % (n + 8);
	uint8_t *q = calloc(1, q_n + 1);
	if (q != NULL && n > 12)
		memcpy(q, msg + 12, q_n < n - 12 ? q_n : n - 12);
	if (q != NULL && wire_answers(msg, n, q, q_n))
		assert(q_n <= n - 12);
	free(q);

	struct wire_opt opt;
	if (wire_opt(msg, n, (uint16_t)pick, &opt) == 0 && opt.value != NULL)
		assert(opt.there && opt.value >= msg + 12 &&
		       opt.value + opt.value_n <= msg + n);

	if (wire_map(msg, n, &map) == 0) {
		check(&map, n);
		wire_age(msg, map.ttl, map.n_ttls, pick, pick >> 16, pick & 1);
		for (size_t i = 0; i < map.n_turns; i++)
			wire_turn(msg, &map.turn[i], pick);
		int rc = wire_map(msg, n, &again);
		assert(rc == 0 && again.n_ttls == map.n_ttls);
		assert(again.n_turns == map.n_turns);
		assert(again.fixed_order == map.fixed_order);
		check(&again, n);
	}
	free(msg);
	return 0;
}
