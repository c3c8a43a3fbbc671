/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/near_routes.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define ROOM_MIN 1024u
#define BITS_MAX 64u
#define NONE	 UINT32_MAX

struct route {
	uint64_t address; /* its first 64 bits */
	uint32_t within;  /* place of what encloses it */
	uint8_t bits, hops;
};

static_assert(sizeof(struct route) == 16, "as the header says");

struct set {
	size_t n, room;
	struct route *all;
};

struct near_routes {
	struct set sets[2]; /* IPv4, IPv6 */
};

struct near_routes *near_routes_new(void)
{
	return calloc(1, sizeof(struct near_routes));
}

void near_routes_free(struct near_routes *routes)
{
	if (routes == NULL)
		return;
	free(routes->sets[0].all);
	free(routes->sets[1].all);
	free(routes);
}

static uint64_t address_of(const uint8_t *octets, bool v6)
{
	uint64_t address = 0;

	for (unsigned int i = 0; i < (v6 ? 8 : 4); i++)
		address |= (uint64_t)octets[i] << (56 - 8 * i);
	return address;
}

/* A prefix is before those that it encloses. */
static int order(const struct route *a, const struct route *b)
{
	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	return (a->bits > b->bits) - (a->bits < b->bits);
}

static int compare(const void *va, const void *vb)
{
	return order(va, vb);
}

/* Sorts, and has each prefix once. */
static void set_tidy(struct set *set)
{
	size_t i = 1;
	size_t n = 0;

	/* dumps are in order nearly always */
	while (i < set->n && order(&set->all[i - 1], &set->all[i]) < 0)
		i++;
	if (i >= set->n)
		return;
	qsort(set->all, set->n, sizeof(*set->all), compare);
	for (i = 1; i < set->n; i++) {
		struct route *last = &set->all[n];
		const struct route *next = &set->all[i];
		if (order(last, next) != 0)
			set->all[++n] = *next;
		else if (next->hops < last->hops)
			last->hops = next->hops;
	}
	set->n = n + 1;
}

static int set_resize(struct set *set, size_t room)
{
	struct route *all = realloc(set->all, room * sizeof(*all));

	if (all == NULL)
		return -ENOMEM;
	set->all = all;
	set->room = room;
	return 0;
}

/* Room for one more: what is there twice goes first. */
static int room_make(struct set *set)
{
	set_tidy(set);
	if (set->room > 0 && set->n <= set->room / 2)
		return 0;
	if (set->room == NEAR_ROUTES_MAX)
		return -E2BIG;
	return set_resize(set, set->room > 0 ? 2 * set->room : ROOM_MIN);
}

int near_routes_put(struct near_routes *routes, const struct near_route *route)
{
	struct set *set = &routes->sets[route->v6];
	struct route made = { .address = address_of(route->address, route->v6),
			      .within = NONE,
			      .bits = route->bits,
			      .hops = route->hops };

	if (route->bits == 0 || route->bits > BITS_MAX)
		return 0;
	if (set->n > 0 && order(&set->all[set->n - 1], &made) == 0) {
		struct route *last = &set->all[set->n - 1];
		if (made.hops < last->hops)
			last->hops = made.hops;
		return 0;
	}
	int rc = set->n == set->room ? room_make(set) : 0;
	if (rc == 0)
		set->all[set->n++] = made;
	return rc;
}

static bool has(const struct route *route, uint64_t address)
{
	return (route->address ^ address) >> (BITS_MAX - route->bits) == 0;
}

int near_routes_end(struct near_routes *routes)
{
	for (unsigned int k = 0; k < 2; k++) {
		struct set *set = &routes->sets[k];
		set_tidy(set);
		for (uint32_t i = 0; i < set->n; i++) {
			uint32_t within = i > 0 ? i - 1 : NONE;
			while (within != NONE &&
			       !has(&set->all[within], set->all[i].address))
				within = set->all[within].within;
			set->all[i].within = within;
		}
		if (set->n > 0 && set->n < set->room &&
		    set_resize(set, set->n) != 0)
			return -ENOMEM;
	}
	return 0;
}

int near_routes_find(const struct near_routes *routes,
		     const struct gtm_client *client)
{
	const struct set *set = &routes->sets[client->v6];
	uint64_t address = address_of(client->address, client->v6);
	size_t low = 0;
	size_t high = set->n;

	/* the first that begins behind it */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (set->all[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	uint32_t at = low > 0 ? (uint32_t)(low - 1) : NONE;
	while (at != NONE && !has(&set->all[at], address))
		at = set->all[at].within;
	return at != NONE ? set->all[at].hops : -ENOENT;
}

size_t near_routes_count(const struct near_routes *routes, bool v6)
{
	return routes->sets[v6].n;
}

size_t near_routes_bytes(const struct near_routes *routes)
{
	return sizeof(*routes) + (routes->sets[0].room + routes->sets[1].room) *
					 sizeof(struct route);
}
