/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/near_groups.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BUCKETS_MIN 1024u
#define EVICT_TRIES 32u
#define HOPELESS    4u	/* tries without an answer */
#define TOLD_S	    60u /* what was told is not told again for so long */
#define SEEN_S	    60u /* what is younger is not replaced by what was seen */
#define BITS_V4	    24u
#define BITS_V6	    56u

static_assert(sizeof(struct near_group) == 120, "as the header says");

const char *const near_method_names[NEAR_METHODS] = { "ptr", "icmp",   "udp",
						      "ttl", "aspath", "tcp" };

/* A list of groups by their places + 1, which are in the groups. */
struct list {
	uint32_t first, last, n;
};

struct near_groups {
	uint32_t n, max, mask, hand;
	struct near_group *group;
	uint32_t *bucket; /* place + 1 */
	struct list waits, tells;
	uint64_t evicted, refused;
};

/* -- life ------------------------------------------------------------------ */

/* Room that costs nothing until it is used, zeroed. */
static void *reserve(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

struct near_groups *near_groups_new(uint32_t max)
{
	struct near_groups *g = calloc(1, sizeof(*g));
	uint32_t buckets = BUCKETS_MIN;

	if (g == NULL)
		return NULL;
	while (buckets < max)
		buckets *= 2;
	g->max = max;
	g->mask = buckets - 1;
	g->group = reserve((size_t)max * sizeof(*g->group));
	g->bucket = reserve((size_t)buckets * sizeof(*g->bucket));
	if (g->group != NULL && g->bucket != NULL)
		return g;
	near_groups_free(g);
	return NULL;
}

void near_groups_free(struct near_groups *g)
{
	if (g == NULL)
		return;
	if (g->group != NULL)
		(void)munmap(g->group, (size_t)g->max * sizeof(*g->group));
	if (g->bucket != NULL)
		(void)munmap(g->bucket,
			     ((size_t)g->mask + 1) * sizeof(*g->bucket));
	free(g);
}

struct near_groups_stats near_groups_stats(const struct near_groups *g)
{
	return (struct near_groups_stats){ g->n,       g->max,	   g->waits.n,
					   g->tells.n, g->evicted, g->refused };
}

size_t near_groups_bytes(const struct near_groups *g)
{
	return sizeof(*g) + (size_t)g->n * sizeof(*g->group) +
	       ((size_t)g->mask + 1) * sizeof(*g->bucket);
}

struct near_group *near_groups_at(struct near_groups *g, uint32_t at)
{
	return &g->group[at];
}

/* -- lists ----------------------------------------------------------------- */

static uint32_t *link_of(struct near_groups *g, const struct list *list,
			 uint32_t at)
{
	return list == &g->waits ? &g->group[at].waits : &g->group[at].tells;
}

static void list_put(struct near_groups *g, struct list *list, uint32_t at,
		     uint8_t bit)
{
	if ((g->group[at].state & bit) != 0)
		return;
	g->group[at].state |= bit;
	*link_of(g, list, at) = 0;
	if (list->last != 0)
		*link_of(g, list, list->last - 1) = at + 1;
	else
		list->first = at + 1;
	list->last = at + 1;
	list->n++;
}

static uint32_t list_take(struct near_groups *g, struct list *list, uint8_t bit)
{
	if (list->first == 0)
		return NEAR_NONE;
	uint32_t at = list->first - 1;
	list->first = *link_of(g, list, at);
	if (list->first == 0)
		list->last = 0;
	list->n--;
	g->group[at].state = (uint8_t)(g->group[at].state & ~bit);
	return at;
}

/* -- prefixes and clients -------------------------------------------------- */

static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}

/* Up to 56 bits of prefix, then its family and length. */
static uint64_t key_of(const struct gtm_client *prefix)
{
	unsigned int most = prefix->v6 ? BITS_V6 : BITS_V4;
	unsigned int bits = prefix->bits < most ? prefix->bits : most;
	uint64_t key = 0;

	for (unsigned int i = 0; i < 8 && (prefix->v6 || i < 4); i++)
		key |= (uint64_t)prefix->address[i] << (56 - 8 * i);
	key &= bits == 0 ? 0 : UINT64_MAX << (64 - bits);
	return key | bits | (prefix->v6 ? 0x80u : 0x40u);
}

void near_group_prefix(const struct near_group *group, struct gtm_client *out)
{
	*out = (struct gtm_client){ .v6 = (group->state & NEAR_V6) != 0,
				    .bits = (uint8_t)(group->key & 0x3f) };
	for (unsigned int i = 0; i < 7; i++)
		out->address[i] = (uint8_t)(group->key >> (56 - 8 * i));
}

void near_group_client(const struct near_group *group, unsigned int i,
		       struct gtm_client *out)
{
	near_group_prefix(group, out);
	if ((group->whole & 1u << i) != 0)
		out->bits = out->v6 ? 128 : 32;
	memcpy(out->address, group->address[i], sizeof(out->address));
}

static uint32_t find(const struct near_groups *g, uint64_t key)
{
	uint32_t next = g->bucket[mix(key) & g->mask];

	while (next != 0 && g->group[next - 1].key != key)
		next = g->group[next - 1].next;
	return next != 0 ? next - 1 : NEAR_NONE;
}

uint32_t near_groups_find(const struct near_groups *g,
			  const struct gtm_client *prefix)
{
	return find(g, key_of(prefix));
}

static void unlink_group(struct near_groups *g, uint32_t at)
{
	uint32_t *link = &g->bucket[mix(g->group[at].key) & g->mask];

	while (*link != at + 1)
		link = &g->group[*link - 1].next;
	*link = g->group[at].next;
}

/* A place for a new group, or NEAR_NONE: those looked at are all busy. */
static uint32_t place_take(struct near_groups *g)
{
	uint32_t oldest = NEAR_NONE;

	if (g->n < g->max)
		return g->n++;
	for (unsigned int i = 0; i < EVICT_TRIES; i++) {
		const struct near_group *group = &g->group[g->hand];
		if ((group->state & (NEAR_WAITS | NEAR_RUNS | NEAR_TELLS)) ==
			    0 &&
		    (oldest == NEAR_NONE ||
		     group->asked_s < g->group[oldest].asked_s))
			oldest = g->hand;
		g->hand = (g->hand + 1) % g->max;
	}
	if (oldest == NEAR_NONE) {
		g->refused++;
		return NEAR_NONE;
	}
	unlink_group(g, oldest);
	g->evicted++;
	return oldest;
}

static uint32_t group_make(struct near_groups *g, uint64_t key, bool v6)
{
	uint32_t at = place_take(g);

	if (at == NEAR_NONE)
		return at;
	uint32_t *bucket = &g->bucket[mix(key) & g->mask];
	g->group[at] = (struct near_group){ .key = key,
					    .next = *bucket,
					    .state = v6 ? NEAR_V6 : 0 };
	*bucket = at + 1;
	return at;
}

/* Forgets a client; those behind it move up. */
static void client_drop(struct near_group *group, unsigned int i)
{
	uint8_t low = (uint8_t)(group->whole & ((1u << i) - 1));
	uint8_t high = (uint8_t)(group->whole >> (i + 1) << i);

	group->n--;
	for (; i < group->n; i++) {
		memcpy(group->address[i], group->address[i + 1], 16);
		group->hours[i] = group->hours[i + 1];
	}
	group->whole = low | high;
}

/* Notes who asks; true if it is somebody new. */
static bool client_note(struct near_group *group,
			const struct gtm_client *client)
{
	bool whole = client->bits == (client->v6 ? 128 : 32);

	for (unsigned int i = 0; i < group->n; i++)
		if (memcmp(group->address[i], client->address, 16) == 0)
			return false;
	bool answered = group->answers < group->n;
	if (group->n == NEAR_CLIENTS) {
		/* while it runs, places of clients stay what they are */
		if ((group->state & (NEAR_FULL | NEAR_RUNS)) != 0)
			return false;
		/* the oldest goes, but not the one that answers */
		unsigned int i = answered && group->answers == 0 ? 1 : 0;
		client_drop(group, i);
		group->answers = (uint8_t)(group->answers -
					   (answered && group->answers > i));
	}
	if (!answered)
		group->answers = (uint8_t)(group->n + 1);
	memcpy(group->address[group->n], client->address, 16);
	group->hours[group->n] = 0;
	group->whole |= (uint8_t)((whole ? 1u : 0u) << group->n);
	group->n++;
	return true;
}

/* -- asking and answering -------------------------------------------------- */

static enum near_asked ask(struct near_groups *g, uint32_t at, bool is_new,
			   uint32_t now_s, uint32_t fresh_s, uint32_t rest_s)
{
	struct near_group *group = &g->group[at];
	bool over = is_new && (group->state & NEAR_FULL) == 0;

	if ((group->state & NEAR_RUNS) != 0) {
		if (over)
			group->state |= NEAR_RESTART;
		return NEAR_ASKED_WAITS;
	}
	if ((group->state & NEAR_KNOWN) != 0 &&
	    now_s - group->known_s < fresh_s) {
		if (now_s - group->told_s >= TOLD_S || group->told_s == 0)
			list_put(g, &g->tells, at, NEAR_TELLS);
		if (!over)
			return NEAR_ASKED_FRESH;
	} else if (group->tried_s != 0 && now_s - group->tried_s < rest_s &&
		   !over) {
		return NEAR_ASKED_RESTS;
	}
	list_put(g, &g->waits, at, NEAR_WAITS);
	return NEAR_ASKED_WAITS;
}

enum near_asked near_groups_ask(struct near_groups *g,
				const struct gtm_client *prefix,
				const struct gtm_client *client, uint32_t now_s,
				uint32_t fresh_s, uint32_t rest_s)
{
	uint64_t key = key_of(prefix);
	uint32_t at = find(g, key);

	if (at == NEAR_NONE)
		at = group_make(g, key, prefix->v6);
	if (at == NEAR_NONE)
		return NEAR_ASKED_REFUSED;
	g->group[at].asked_s = now_s;
	bool is_new = client_note(&g->group[at], client);
	return ask(g, at, is_new, now_s, fresh_s, rest_s);
}

uint32_t near_groups_next(struct near_groups *g)
{
	uint32_t at = list_take(g, &g->waits, NEAR_WAITS);

	if (at != NEAR_NONE)
		g->group[at].state |= NEAR_RUNS;
	return at;
}

static bool is_hopeless(const struct near_group *group, unsigned int method)
{
	return group->good[method] == 0 && group->bad[method] >= HOPELESS;
}

size_t near_group_plan(const struct near_group *group,
		       const struct config_methods *methods,
		       uint8_t plan[NEAR_PLAN])
{
	/* a full answer sticks; else it starts over */
	bool known =
		(group->state & NEAR_FULL) != 0 && group->answers < group->n;
	uint8_t first = (uint8_t)(group->method << 4 | group->answers);
	size_t n = 0;

	for (unsigned int i = 0; known && i < methods->n; i++)
		if (methods->method[i] == group->method)
			plan[n++] = first;
	for (unsigned int late = 0; late < 2; late++)
		for (unsigned int i = 0; i < methods->n; i++) {
			unsigned int method = methods->method[i];
			if (is_hopeless(group, method) != (late != 0))
				continue;
			for (unsigned int k = group->n; k-- > 0;) {
				uint8_t step = (uint8_t)(method << 4 | k);
				if (n == 0 || plan[0] != first || step != first)
					plan[n++] = step;
			}
		}
	return n;
}

bool near_group_is_silent(const struct near_group *group)
{
	return group->n > 0 && group->tried_s != 0 &&
	       (group->state & (NEAR_WAITS | NEAR_RUNS)) == 0;
}

void near_group_tried(struct near_group *group, unsigned int method, bool good)
{
	uint8_t *count = good ? &group->good[method] : &group->bad[method];

	if (*count == UINT8_MAX) {
		/* the older ones count half */
		group->good[method] /= 2;
		group->bad[method] /= 2;
	}
	++*count;
}

static uint16_t tenths_of(float ms)
{
	return ms < 6553.0f ? (uint16_t)(((uint32_t)(ms * 100.0f) + 5) / 10)
			    : 65530u;
}

void near_groups_done(struct near_groups *g, uint32_t at,
		      const struct near_answer *answer, uint32_t now_s)
{
	struct near_group *group = &g->group[at];
	bool again = (group->state & NEAR_RESTART) != 0;

	group->state = (uint8_t)(group->state & ~(NEAR_RUNS | NEAR_RESTART));
	if (answer == NULL) {
		group->tried_s = now_s;
		group->state = (uint8_t)(group->state & ~NEAR_FULL);
	} else {
		group->tried_s = 0;
		group->known_s = now_s;
		group->tenths = tenths_of(answer->ms);
		group->answers = (uint8_t)answer->client;
		group->method = (uint8_t)answer->method;
		group->hops = answer->hops;
		group->state =
			(uint8_t)((group->state & ~NEAR_FULL) | NEAR_KNOWN |
				  (answer->full ? NEAR_FULL : 0));
		list_put(g, &g->tells, at, NEAR_TELLS);
	}
	if (again && (group->state & NEAR_FULL) == 0)
		list_put(g, &g->waits, at, NEAR_WAITS);
}

bool near_groups_seen(struct near_groups *g, const struct gtm_client *client,
		      float ms, uint32_t now_s)
{
	uint32_t at = find(g, key_of(client));

	if (at == NEAR_NONE || (g->group[at].state & NEAR_RUNS) != 0)
		return false;
	struct near_group *group = &g->group[at];
	if ((group->state & NEAR_KNOWN) != 0 && now_s - group->known_s < SEEN_S)
		return false;
	unsigned int i = 0;
	(void)client_note(group, client);
	while (i < group->n &&
	       memcmp(group->address[i], client->address, 16) != 0)
		i++;
	/* three others are there, and one of them answers: as good as it */
	struct near_answer answer = { .client =
					      i < group->n ? i : group->answers,
				      .method = NEAR_TCP,
				      .full = true,
				      .ms = ms };
	near_group_tried(group, NEAR_TCP, true);
	near_groups_done(g, at, &answer, now_s);
	return true;
}

/* -- telling --------------------------------------------------------------- */

uint32_t near_groups_tell(struct near_groups *g, uint32_t now_s)
{
	uint32_t at = list_take(g, &g->tells, NEAR_TELLS);

	if (at != NEAR_NONE)
		g->group[at].told_s = now_s;
	return at;
}

void near_groups_again(struct near_groups *g, uint32_t at)
{
	list_put(g, &g->tells, at, NEAR_TELLS);
}
