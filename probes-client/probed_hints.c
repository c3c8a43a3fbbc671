/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_hints.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A zone that has been told of; there until it is no longer configured. */
struct hint {
	struct hint *next; /* in the queue, or in the list of the rest */
	struct dname zone;
	bool queued;
	bool again; /* told of anew since it was written as a line */
	bool has_serial;
	uint32_t serial;
	uint64_t due_ms;
	char from[INET6_ADDRSTRLEN];
};

struct entry {
	const struct config_zone *zone;
	struct hint *hint; /* or NULL; the same for all of one name */
};

struct address {
	uint8_t n; /* 4 or 16 */
	uint8_t octets[16];
};

struct probed_hints {
	size_t n;
	struct entry *entries; /* by name */
	size_t n_addresses;
	struct address *addresses; /* of all origins, sorted */
	struct hint *all;	   /* those not queued */
	struct hint *queue, **queue_end;
};

/* -- what is configured ------------------------------------------------ */

static int name_order(const struct dname *a, const struct dname *b)
{
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	return memcmp(a->wire, b->wire, a->n);
}

static int entry_order(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return name_order(&x->zone->name, &y->zone->name);
}

static int address_order(const void *a, const void *b)
{
	const struct address *x = a, *y = b;

	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	return memcmp(x->octets, y->octets, x->n);
}

static struct address address_of(const struct sockaddr *sa)
{
	struct address a = { 0 };
	const struct sockaddr_in *in = (const void *)sa;
	const struct sockaddr_in6 *in6 = (const void *)sa;

	if (sa->sa_family == AF_INET) {
		a.n = 4;
		memcpy(a.octets, &in->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		a.n = 16;
		memcpy(a.octets, &in6->sin6_addr, 16);
	}
	return a;
}

static bool is_origin(const struct config_zone *zone, const struct address *a)
{
	for (size_t i = 0; i < zone->n_origins; i++) {
		struct address b = address_of(
			(const struct sockaddr *)&zone->origins[i].address);
		if (address_order(a, &b) == 0)
			return true;
	}
	return false;
}

/* Zones that follow each other mostly share their origins. */
static void addresses_fill(struct probed_hints *h, const struct config *config)
{
	const struct config_origin *before = NULL;

	for (size_t i = 0; i < config->n_zones; i++) {
		const struct config_zone *zone = &config->zones[i];
		if (zone->origins == before)
			continue;
		before = zone->origins;
		for (size_t k = 0; k < zone->n_origins; k++)
			h->addresses[h->n_addresses++] = address_of(
				(const struct sockaddr *)&zone->origins[k]
					.address);
	}
	qsort(h->addresses, h->n_addresses, sizeof(*h->addresses),
	      address_order);
}

static size_t addresses_count(const struct config *config)
{
	const struct config_origin *before = NULL;
	size_t n = 0;

	for (size_t i = 0; i < config->n_zones; i++) {
		const struct config_zone *zone = &config->zones[i];
		n += zone->origins == before ? 0 : zone->n_origins;
		before = zone->origins;
	}
	return n;
}

/* The first entry of that name, or NULL. */
static struct entry *find(const struct probed_hints *h,
			  const struct dname *name)
{
	size_t low = 0, high = h->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (name_order(&h->entries[middle].zone->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == h->n || name_order(&h->entries[low].zone->name, name) != 0)
		return NULL;
	return &h->entries[low];
}

static void forget_zones(struct probed_hints *h)
{
	free(h->entries);
	free(h->addresses);
	h->entries = NULL;
	h->addresses = NULL;
	h->n = 0;
	h->n_addresses = 0;
}

/* Keeps of a list what is still configured; returns where it ends. */
static struct hint **list_adopt(struct probed_hints *h, struct hint **at)
{
	while (*at != NULL) {
		struct hint *hint = *at;
		struct entry *entry = find(h, &hint->zone);
		if (entry != NULL) {
			entry->hint = hint;
			at = &hint->next;
			continue;
		}
		*at = hint->next;
		free(hint);
	}
	return at;
}

int probed_hints_use(struct probed_hints *h, const struct config *config)
{
	forget_zones(h);
	h->entries = calloc(config->n_zones + 1, sizeof(*h->entries));
	h->addresses =
		calloc(addresses_count(config) + 1, sizeof(*h->addresses));
	bool made = h->entries != NULL && h->addresses != NULL;
	if (made) {
		for (size_t i = 0; i < config->n_zones; i++)
			h->entries[i].zone = &config->zones[i];
		h->n = config->n_zones;
		qsort(h->entries, h->n, sizeof(*h->entries), entry_order);
		addresses_fill(h, config);
	} else {
		forget_zones(h);
	}
	(void)list_adopt(h, &h->all);
	h->queue_end = list_adopt(h, &h->queue);
	return made ? 0 : -ENOMEM;
}

bool probed_hints_known(const struct probed_hints *h,
			const struct sockaddr *from)
{
	struct address a = address_of(from);

	return h->n_addresses > 0 && a.n > 0 &&
	       bsearch(&a, h->addresses, h->n_addresses, sizeof(a),
		       address_order) != NULL;
}

/* -- what is said ------------------------------------------------------ */

static void all_remove(struct probed_hints *h, struct hint *hint)
{
	struct hint **at = &h->all;

	while (*at != NULL && *at != hint)
		at = &(*at)->next;
	if (*at == hint)
		*at = hint->next;
}

static void enqueue(struct probed_hints *h, struct hint *hint)
{
	hint->next = NULL;
	hint->queued = true;
	*h->queue_end = hint;
	h->queue_end = &hint->next;
}

static void note(struct probed_hints *h, struct entry *entry,
		 const struct probed_notice *notice, const struct address *from,
		 uint64_t now_ms)
{
	struct hint *hint = entry->hint;

	if (hint == NULL) {
		hint = calloc(1, sizeof(*hint));
		if (hint == NULL)
			return; /* the origin will say it again */
		hint->zone = notice->zone;
		entry->hint = hint;
	} else if (!hint->queued) {
		all_remove(h, hint);
	}
	hint->has_serial = notice->has_serial;
	hint->serial = notice->serial;
	(void)inet_ntop(from->n == 4 ? AF_INET : AF_INET6, from->octets,
			hint->from, sizeof(hint->from));
	hint->again = true;
	if (hint->queued)
		return;
	if (hint->due_ms < now_ms)
		hint->due_ms = now_ms;
	enqueue(h, hint);
}

unsigned probed_hints_take(struct probed_hints *h,
			   const struct probed_notice *notice,
			   const struct sockaddr *from, uint64_t now_ms)
{
	struct address a = address_of(from);
	struct entry *first = find(h, &notice->zone);

	if (first == NULL)
		return probed_hints_known(h, from) ? PROBED_RCODE_NOTAUTH
						   : PROBED_RCODE_REFUSED;
	for (struct entry *e = first;
	     e < h->entries + h->n && entry_order(e, first) == 0; e++) {
		if (!is_origin(e->zone, &a))
			continue;
		note(h, first, notice, &a, now_ms);
		return PROBED_RCODE_NOERROR;
	}
	return PROBED_RCODE_REFUSED;
}

/* -- what is passed on ------------------------------------------------- */

uint64_t probed_hints_due(const struct probed_hints *h)
{
	return h->queue != NULL ? h->queue->due_ms : PROBED_HINT_NEVER;
}

/* As a JSON string: the text of a name is ASCII, with backslashes. */
static size_t name_print(const struct dname *name, char *out)
{
	char text[DNAME_TEXT_MAX];
	size_t n = 0;

	(void)dname_print(name, text);
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\\' || *p == '"')
			out[n++] = '\\';
		out[n++] = *p;
	}
	out[n] = '\0';
	return n;
}

size_t probed_hints_line(struct probed_hints *h, char *out)
{
	struct hint *hint = h->queue;
	char name[2 * DNAME_TEXT_MAX];
	char serial[32] = "";

	if (hint == NULL)
		return 0;
	hint->again = false;
	(void)name_print(&hint->zone, name);
	if (hint->has_serial)
		snprintf(serial, sizeof(serial), ",\"serial\":%" PRIu32,
			 hint->serial);
	int n = snprintf(out, PROBED_HINT_LINE,
			 "{\"command\":\"notify\",\"zone\":\"%s\","
			 "\"from\":\"%s\"%s}\n",
			 name, hint->from, serial);
	return n > 0 && (size_t)n < PROBED_HINT_LINE ? (size_t)n : 0;
}

void probed_hints_sent(struct probed_hints *h, uint64_t now_ms)
{
	struct hint *hint = h->queue;

	if (hint == NULL)
		return;
	h->queue = hint->next;
	if (h->queue == NULL)
		h->queue_end = &h->queue;
	hint->queued = false;
	hint->due_ms = now_ms + PROBED_HINT_MS;
	if (hint->again) {
		enqueue(h, hint);
		return;
	}
	hint->next = h->all;
	h->all = hint;
}

/* -- life -------------------------------------------------------------- */

int probed_hints_new(struct probed_hints **hintsp)
{
	struct probed_hints *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return -ENOMEM;
	h->queue_end = &h->queue;
	*hintsp = h;
	return 0;
}

static void list_free(struct hint *hint)
{
	while (hint != NULL) {
		struct hint *next = hint->next;
		free(hint);
		hint = next;
	}
}

void probed_hints_free(struct probed_hints *h)
{
	if (h == NULL)
		return;
	list_free(h->all);
	list_free(h->queue);
	forget_zones(h);
	free(h);
}
