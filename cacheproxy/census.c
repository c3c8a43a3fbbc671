/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/census.h"

#include <stdlib.h>

#define PLACES_MIN 64u
#define SPREAD	   UINT64_C(0x9e3779b97f4a7c15)

void census_fini(struct census *census)
{
	free(census->places);
	*census = (struct census){ 0 };
}

size_t census_bytes(const struct census *census)
{
	return census->n * sizeof(*census->places);
}

static bool is_free(const struct census_place *place)
{
	return place->sum.entries == 0;
}

static size_t home_of(const struct census *census, uint64_t zone)
{
	return (size_t)((zone * SPREAD) >> 32) & (census->n - 1);
}

/* Where 'zone' is, or the free place where it would be; or the end, census->n:
 * the table is full, or there is none. */
static size_t find(const struct census *census, uint64_t zone)
{
	for (size_t i = 0; i < census->n; i++) {
		size_t at = (home_of(census, zone) + i) & (census->n - 1);
		const struct census_place *place = &census->places[at];
		if (is_free(place) || place->zone == zone)
			return at;
	}
	return census->n;
}

/* Moves all to a table of 'n' places; without memory nothing happens. */
static void resize(struct census *census, size_t n)
{
	struct census was = *census;
	struct census_place *places = calloc(n, sizeof(*places));

	if (places == NULL)
		return;
	census->places = places;
	census->n = n;
	for (size_t i = 0; i < was.n; i++)
		if (!is_free(&was.places[i]))
			places[find(census, was.places[i].zone)] =
				was.places[i];
	free(was.places);
}

void census_add(struct census *census, uint64_t zone, size_t bytes,
		bool negative)
{
	size_t at = find(census, zone);

	if (at == census->n || is_free(&census->places[at])) {
		if (2 * (census->used + 1) > census->n)
			resize(census,
			       census->n > 0 ? 2 * census->n : PLACES_MIN);
		at = find(census, zone);
		if (at == census->n)
			return;
		census->places[at].zone = zone;
		census->used++;
	}
	struct census_sum *sum = &census->places[at].sum;
	sum->entries++;
	sum->bytes += bytes;
	sum->negative += negative;
}

/* Frees place 'at': what would not be found past a gap moves into it. */
static void leave(struct census *census, size_t at)
{
	size_t mask = census->n - 1;
	size_t next = at;

	for (;;) {
		next = (next + 1) & mask;
		struct census_place *place = &census->places[next];
		if (next == at || is_free(place))
			break;
		size_t home = home_of(census, place->zone);
		if (((next - home) & mask) < ((next - at) & mask))
			continue;
		census->places[at] = *place;
		at = next;
	}
	census->places[at] = (struct census_place){ 0 };
	census->used--;
	if (census->used == 0)
		census_fini(census);
	else if (census->n > PLACES_MIN && 8 * census->used < census->n)
		resize(census, census->n / 2);
}

static uint64_t less(uint64_t n, uint64_t by)
{
	return n > by ? n - by : 0;
}

void census_take(struct census *census, uint64_t zone, size_t bytes,
		 bool negative)
{
	size_t at = find(census, zone);

	if (at == census->n || is_free(&census->places[at]))
		return;
	struct census_sum *sum = &census->places[at].sum;
	sum->entries--;
	sum->bytes = less(sum->bytes, bytes);
	sum->negative = less(sum->negative, negative);
	if (sum->entries == 0)
		leave(census, at);
}

struct census_sum census_of(const struct census *census, uint64_t zone)
{
	size_t at = find(census, zone);

	return at < census->n ? census->places[at].sum
			      : (struct census_sum){ 0 };
}
