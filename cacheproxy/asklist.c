/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/asklist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define LOOKS_MAX 16u /* names in one call; each has up to 127 above it */
#define NONE	  UINT32_MAX
#define ITEMS_MAX (1u << 30) /* of any array: below NONE, and no overflow */

enum {
	TYPE_A = 1,
	TYPE_NS = 2,
	TYPE_CNAME = 5,
	TYPE_SIG = 24,
	TYPE_AAAA = 28,
	TYPE_DNAME = 39,
	TYPE_OPT = 41,
	TYPE_DS = 43,
	TYPE_RRSIG = 46,
	TYPE_NSEC = 47,
	TYPE_NSEC3 = 50,
	TYPE_META = 128, /* to 255: of questions and messages */
};

/* An owner. */
struct node {
	uint32_t at;   /* of its labels before the apex, in octets[] */
	uint32_t type; /* the first of its types; NONE */
	uint32_t hash;
	uint8_t n; /* octets of these labels; 0: the apex */
	uint8_t n_types;
	bool cut;	 /* has NS, and is not the apex */
	bool ends_below; /* has DNAME */
};

struct type {
	uint32_t next;
	uint16_t type;
};

struct array {
	void *p;
	size_t n, max; /* items */
};

struct asklist {
	struct dname apex;
	uint64_t seed;
	size_t octets_max, octets; /* of all arrays */
	struct array nodes, types, labels;
	uint32_t *slot; /* node + 1; 0: free */
	size_t slots;	/* a power of 2, or 0 */
	/* the next question */
	size_t node_at;
	uint32_t type_at; /* of the node; NONE: the node is finished */
	bool begun;	  /* the node is */
};

/* -- memory ------------------------------------------------------------ */

/* Takes note of 'more' octets in place of 'less'. */
static int charge(struct asklist *l, size_t more, size_t less)
{
	if (l->octets - less + more > l->octets_max)
		return -E2BIG;
	l->octets = l->octets - less + more;
	return 0;
}

/* Room for 'n' more items of 'size' octets. */
static int reserve(struct asklist *l, struct array *a, size_t n, size_t size)
{
	size_t max = a->max < 64 ? 256 : a->max + a->max / 2;

	if (a->max - a->n >= n)
		return 0;
	if (max < a->n + n)
		max = a->n + n;
	if (max > ITEMS_MAX)
		return -E2BIG;
	int rc = charge(l, max * size, a->max * size);
	if (rc != 0)
		return rc;
	void *p = realloc(a->p, max * size);
	if (p == NULL) {
		(void)charge(l, a->max * size, max * size);
		return -ENOMEM;
	}
	a->p = p;
	a->max = max;
	return 0;
}

static struct node *node_of(const struct asklist *l, size_t i)
{
	return (struct node *)l->nodes.p + i;
}

static struct type *type_of(const struct asklist *l, size_t i)
{
	return (struct type *)l->types.p + i;
}

/* -- names ------------------------------------------------------------- */

static uint32_t hash_of(const struct asklist *l, const uint8_t *labels,
			size_t n)
{
	return (uint32_t)XXH3_64bits_withSeed(labels, n, l->seed);
}

/* The node of these labels before the apex, or NULL. */
static struct node *find(const struct asklist *l, const uint8_t *labels,
			 size_t n)
{
	uint32_t hash = hash_of(l, labels, n);
	size_t at = hash & (l->slots - 1);

	if (l->slots == 0)
		return NULL;
	for (; l->slot[at] != 0; at = (at + 1) & (l->slots - 1)) {
		struct node *node = node_of(l, l->slot[at] - 1);
		if (node->hash == hash && node->n == n &&
		    memcmp((uint8_t *)l->labels.p + node->at, labels, n) == 0)
			return node;
	}
	return NULL;
}

static void place(uint32_t *slot, size_t slots, const struct node *node,
		  size_t i)
{
	size_t at = node->hash & (slots - 1);

	while (slot[at] != 0)
		at = (at + 1) & (slots - 1);
	slot[at] = (uint32_t)i + 1;
}

/* At most half of the slots are taken. */
static int reserve_slot(struct asklist *l)
{
	size_t slots = l->slots < 64 ? 256 : 2 * l->slots;

	if (2 * (l->nodes.n + 1) <= l->slots)
		return 0;
	int rc = charge(l, slots * sizeof(*l->slot),
			l->slots * sizeof(*l->slot));
	if (rc != 0)
		return rc;
	uint32_t *slot = calloc(slots, sizeof(*slot));
	if (slot == NULL) {
		(void)charge(l, l->slots * sizeof(*l->slot),
			     slots * sizeof(*l->slot));
		return -ENOMEM;
	}
	for (size_t i = 0; i < l->nodes.n; i++)
		place(slot, slots, node_of(l, i), i);
	free(l->slot);
	l->slot = slot;
	l->slots = slots;
	return 0;
}

static int node_add(struct asklist *l, const uint8_t *labels, size_t n,
		    struct node **nodep)
{
	int rc = reserve_slot(l);

	if (rc == 0)
		rc = reserve(l, &l->nodes, 1, sizeof(struct node));
	if (rc == 0)
		rc = reserve(l, &l->labels, n + 1, 1); /* never NULL */
	if (rc != 0)
		return rc;
	struct node *node = node_of(l, l->nodes.n);
	*node = (struct node){ .at = (uint32_t)l->labels.n,
			       .type = NONE,
			       .hash = hash_of(l, labels, n),
			       .n = (uint8_t)n };
	memcpy((uint8_t *)l->labels.p + l->labels.n, labels, n);
	l->labels.n += n;
	place(l->slot, l->slots, node, l->nodes.n);
	l->nodes.n++;
	*nodep = node;
	return 0;
}

/* -- types ------------------------------------------------------------- */

static int type_add(struct asklist *l, struct node *node, uint16_t type)
{
	for (uint32_t i = node->type; i != NONE; i = type_of(l, i)->next)
		if (type_of(l, i)->type == type)
			return 0;
	if (node->n_types >= ASKLIST_TYPES_MAX)
		return 0;
	int rc = reserve(l, &l->types, 1, sizeof(struct type));
	if (rc != 0)
		return rc;
	*type_of(l, l->types.n) = (struct type){ node->type, type };
	node->type = (uint32_t)l->types.n++;
	node->n_types++;
	return 0;
}

/* Comes along with others, or is in no zone. */
static bool is_no_question(uint16_t type)
{
	return type == 0 || type == TYPE_SIG || type == TYPE_OPT ||
	       type == TYPE_RRSIG || type == TYPE_NSEC || type == TYPE_NSEC3 ||
	       (type >= TYPE_META && type <= 255);
}

int asklist_add(struct asklist *l, const uint8_t *owner, size_t n,
		uint16_t type)
{
	struct dname name;
	struct node *node;

	if (dname_from_wire(owner, n, &name) != 0 ||
	    !dname_is_below(&name, &l->apex))
		return -EINVAL;
	if (is_no_question(type))
		return 0;
	size_t labels_n = (size_t)name.n - l->apex.n;
	node = find(l, name.wire, labels_n);
	int rc = node != NULL ? 0 : node_add(l, name.wire, labels_n, &node);
	if (rc == 0)
		rc = type_add(l, node, type);
	if (rc != 0)
		return rc;
	node->cut = node->cut || (type == TYPE_NS && labels_n > 0);
	node->ends_below = node->ends_below || type == TYPE_DNAME;
	if (type != TYPE_A && type != TYPE_AAAA && type != TYPE_CNAME)
		return 0;
	rc = type_add(l, node, TYPE_A);
	return rc != 0 ? rc : type_add(l, node, TYPE_AAAA);
}

/* -- questions --------------------------------------------------------- */

/* True if the name lies below a cut or a DNAME. */
static bool is_hidden(const struct asklist *l, const struct node *node)
{
	const uint8_t *labels = (uint8_t *)l->labels.p + node->at;
	size_t n = node->n;

	while (n > 0) {
		n -= labels[0] + 1u;
		labels += labels[0] + 1u;
		const struct node *above = find(l, labels, n);
		if (above != NULL && (above->cut || above->ends_below))
			return true;
	}
	return false;
}

/* A cut has two questions, whatever its types: NS, then DS. */
static bool next_type(struct asklist *l, const struct node *node,
		      uint16_t *type)
{
	bool first = !l->begun;

	l->begun = true;
	if (node->cut) {
		*type = first ? TYPE_NS : TYPE_DS;
		l->type_at = first ? 0 : NONE;
		return true;
	}
	if (first)
		l->type_at = node->type;
	if (l->type_at == NONE)
		return false;
	*type = type_of(l, l->type_at)->type;
	l->type_at = type_of(l, l->type_at)->next;
	return true;
}

int asklist_next(struct asklist *l, struct dname *name, uint16_t *type)
{
	uint8_t wire[DNAME_WIRE_MAX];
	size_t end = l->node_at + LOOKS_MAX;

	for (; l->node_at < l->nodes.n; l->node_at++, l->begun = false) {
		if (l->node_at == end)
			return -EAGAIN;
		const struct node *node = node_of(l, l->node_at);
		if (l->begun && l->type_at == NONE)
			continue;
		if (!l->begun && is_hidden(l, node))
			continue;
		if (!next_type(l, node, type))
			continue;
		memcpy(wire, (uint8_t *)l->labels.p + node->at, node->n);
		memcpy(wire + node->n, l->apex.wire, l->apex.n);
		(void)dname_from_wire(wire, (size_t)node->n + l->apex.n, name);
		return 0;
	}
	return -ENOENT;
}

size_t asklist_names(const struct asklist *l)
{
	return l->nodes.n;
}

/* -- life -------------------------------------------------------------- */

int asklist_new(const struct dname *apex, uint64_t seed, size_t octets_max,
		struct asklist **listp)
{
	struct asklist *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	l->apex = *apex;
	l->seed = seed;
	l->octets_max = octets_max;
	*listp = l;
	return 0;
}

void asklist_free(struct asklist *l)
{
	if (l == NULL)
		return;
	free(l->nodes.p);
	free(l->types.p);
	free(l->labels.p);
	free(l->slot);
	free(l);
}
