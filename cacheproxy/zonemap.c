/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/zonemap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/fold.h"

#define LABELS_MAX  127u
#define FILTER_BITS 16u /* for each node, at least */

/*
 * A suffix of a configured name: "com" and "example.com" for the zone
 * example.com.  A name is walked from its root; where there is no node for a
 * suffix, there is none for any longer one.
 */
struct node {
	uint32_t tag;  /* of the hash, never 0; 0: the slot is empty */
	uint32_t zone; /* index of the zone, or NO_ZONE: only on the way */
};
#define NO_ZONE UINT32_MAX

struct zone {
	void *value;
	uint32_t at; /* offset of its name in 'names' */
	uint16_t n;
	uint16_t labels;
};

/*
 * 'node' is a table with open addressing.  'filter' has a bit for each node's
 * hash: it is small enough to stay in a near cache, and turns most names away
 * before the table is touched.
 */
struct zonemap {
	uint64_t seed;
	void *root; /* value of the zone "." or NULL */
	unsigned int filter_shift, node_shift;
	uint64_t *filter;
	size_t node_mask;
	struct node *node;
	struct zone *zone;
	uint8_t *names;
};

/* The hash of a label, length octet included, and of the suffix below it. */
static uint64_t label_hash(uint64_t h, const uint8_t *label, const uint8_t *end)
{
	size_t n = 1 + (size_t)*label;

	for (; n > 8; n -= 8, label += 8)
		h = fold_hash(h, fold_load8(label));
	return fold_hash(h, fold_word_at(label, n, end));
}

static bool filter_has(const struct zonemap *map, uint64_t h)
{
	return map->filter[h >> map->filter_shift] >> (h & 63) & 1;
}

static uint32_t tag_of(uint64_t h)
{
	return (uint32_t)h | 1;
}

static bool same_zone(const struct zonemap *map, uint32_t i,
		      const struct dname *name)
{
	const struct zone *zone = &map->zone[i];

	return zone->n == name->n &&
	       memcmp(map->names + zone->at, name->wire, zone->n) == 0;
}

/*
 * Makes the node of a suffix, or finds it; 'zone' is NO_ZONE or the zone of
 * that very name.  Tags may be equal by accident: that costs a reader a look
 * at a name, no more.
 */
static int node_add(struct zonemap *map, uint64_t h, const struct dname *name,
		    uint32_t zone, size_t *clash)
{
	map->filter[h >> map->filter_shift] |= UINT64_C(1) << (h & 63);
	for (size_t i = h >> map->node_shift;; i = (i + 1) & map->node_mask) {
		struct node *node = &map->node[i];
		if (node->tag == 0) {
			*node = (struct node){ tag_of(h), zone };
			return 0;
		}
		if (node->tag != tag_of(h))
			continue;
		if (zone == NO_ZONE)
			return 0;
		if (node->zone == NO_ZONE) {
			node->zone = zone;
			return 0;
		}
		if (same_zone(map, node->zone, name)) {
			*clash = node->zone;
			return -EEXIST;
		}
	}
}

/* Offsets of the labels of 'name', the root left out; returns how many. */
static unsigned int labels_of(const uint8_t *name, size_t n, uint8_t *at)
{
	unsigned int labels = 0;

	for (size_t i = 0; i < n && name[i] != 0; i += 1 + (size_t)name[i])
		at[labels++] = (uint8_t)i;
	return labels;
}

static int zone_add(struct zonemap *map, const struct dname *name,
		    uint32_t zone, size_t *clash)
{
	uint8_t at[LABELS_MAX + 1];
	uint8_t copy[DNAME_WIRE_MAX + 8] = { 0 };
	unsigned int labels = labels_of(name->wire, name->n, at);
	uint64_t h = map->seed;

	/* Room before the name, for whole words. */
	memcpy(copy + 8, name->wire, name->n);
	for (unsigned int i = labels; i-- > 0;) {
		h = label_hash(h, copy + 8 + at[i], copy + 8 + name->n);
		int rc = node_add(map, h, name, i == 0 ? zone : NO_ZONE, clash);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int tables_new(struct zonemap *map, size_t n, size_t octets,
		      size_t nodes)
{
	unsigned int node_bits = 1;
	unsigned int filter_bits = 1;

	while ((size_t)1 << node_bits < 2 * nodes)
		node_bits++;
	while ((size_t)64 << filter_bits < FILTER_BITS * nodes)
		filter_bits++;
	map->node_shift = 64 - node_bits;
	map->node_mask = ((size_t)1 << node_bits) - 1;
	map->filter_shift = 64 - filter_bits;
	map->node = calloc((size_t)1 << node_bits, sizeof(*map->node));
	map->filter = calloc((size_t)1 << filter_bits, sizeof(*map->filter));
	map->zone = calloc(n + 1, sizeof(*map->zone));
	map->names = calloc(1, octets + 8);
	return map->node == NULL || map->filter == NULL || map->zone == NULL ||
			       map->names == NULL
		       ? -ENOMEM
		       : 0;
}

static int fill(struct zonemap *map, const struct dname *const *names,
		void *const *values, size_t n, size_t *clash)
{
	size_t root = 0;
	size_t octets = 0;

	for (size_t i = 0; i < n; i++) {
		const struct dname *name = names[i];
		map->zone[i] = (struct zone){ values[i], (uint32_t)octets,
					      name->n, name->labels };
		memcpy(map->names + octets, name->wire, name->n);
		octets += name->n;
		if (name->labels > 0) {
			int rc = zone_add(map, name, (uint32_t)i, clash);
			if (rc != 0)
				return rc;
			continue;
		}
		if (map->root != NULL) {
			*clash = root;
			return -EEXIST;
		}
		root = i;
		map->root = values[i];
	}
	return 0;
}

int zonemap_new(const struct dname *const *names, void *const *values, size_t n,
		uint64_t seed, struct zonemap **mapp, size_t *clash)
{
	size_t octets = 0;
	size_t nodes = 0;

	if (n > ZONEMAP_MAX)
		return -E2BIG;
	for (size_t i = 0; i < n; i++) {
		octets += names[i]->n;
		nodes += names[i]->labels;
	}

	struct zonemap *map = calloc(1, sizeof(*map));
	if (map == NULL)
		return -ENOMEM;
	map->seed = seed;
	int rc = tables_new(map, n, octets, nodes);
	if (rc != 0)
		goto out;
	rc = fill(map, names, values, n, clash);
	if (rc != 0)
		goto out;
	*mapp = map;
	map = NULL; /* the caller's now */
out:
	zonemap_free(map);
	return rc;
}

void zonemap_free(struct zonemap *map)
{
	if (map == NULL)
		return;
	free(map->node);
	free(map->filter);
	free(map->zone);
	free(map->names);
	free(map);
}

/*
 * The zone of the suffix 'p'..'end', whose tag was found at slot 'i'; or
 * 'other', if it is none but has a tag in common with one.
 */
static const struct zone *zone_at(const struct zonemap *map, size_t i,
				  const uint8_t *p, const uint8_t *end,
				  const struct zone *other)
{
	uint32_t tag = map->node[i].tag;

	for (; map->node[i].tag != 0; i = (i + 1) & map->node_mask) {
		const struct node *node = &map->node[i];
		if (node->tag != tag)
			continue;
		if (node->zone == NO_ZONE)
			return other;
		const struct zone *zone = &map->zone[node->zone];
		if (zone->n == end - p &&
		    fold_equal(p, end, map->names + zone->at, zone->n))
			return zone;
	}
	return other;
}

/*
 * The longest zone of a name of at least 8 octets that ends at 'end', whose
 * 'labels' labels are at the offsets 'at'; or NULL.
 */
static const struct zone *walk(const struct zonemap *map, const uint8_t *qname,
			       const uint8_t *end, const uint8_t *at,
			       unsigned int labels)
{
	const struct zone *zone = NULL;
	uint64_t h = map->seed;

	while (labels-- > 0) {
		const uint8_t *p = qname + at[labels];
		h = label_hash(h, p, end);
		if (!filter_has(map, h))
			return zone;
		size_t i = h >> map->node_shift;
		for (; map->node[i].tag != tag_of(h);
		     i = (i + 1) & map->node_mask)
			if (map->node[i].tag == 0)
				return zone;
		if (map->node[i].zone != NO_ZONE)
			zone = zone_at(map, i, p, end, zone);
	}
	return zone;
}

void *zonemap_find(const struct zonemap *map, const uint8_t *qname, size_t n,
		   unsigned int *labels)
{
	uint8_t at[LABELS_MAX + 1];
	uint8_t copy[16];
	unsigned int left = 0;
	size_t i = 0;

	if (n > DNAME_WIRE_MAX)
		return NULL;
	while (i < n && qname[i] != 0) {
		at[left++] = (uint8_t)i;
		i += 1 + (size_t)qname[i];
	}
	if (i >= n)
		return NULL;
	if (i < 8) { /* whole words end with the name: make room before it */
		memset(copy, 0, 8);
		memcpy(copy + 8, qname, i + 1);
		qname = copy + 8;
	}

	const struct zone *zone = walk(map, qname, qname + i + 1, at, left);
	if (zone != NULL) {
		*labels = zone->labels;
		return zone->value;
	}
	if (map->root != NULL)
		*labels = 0;
	return map->root;
}
