/* SPDX-License-Identifier: MPL-2.0 */
#include "common/config_int.h"

#include <stdlib.h>
#include <string.h>

static int name_order(const struct dname *a, const struct dname *b)
{
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	return memcmp(a->wire, b->wire, a->n);
}

/* By name, then as they stand in the text. */
static int name_compare(const void *va, const void *vb)
{
	const struct config_name *a = va, *b = vb;
	int order = name_order(a->name, b->name);

	if (order != 0)
		return order;
	return (a->node > b->node) - (a->node < b->node);
}

static void overlap_find(struct config_check *c, const struct config_name *name,
			 uint32_t first, const char *what)
{
	bool zones = strcmp(what, "zone") == 0;
	const struct jsontext_node *nodes = c->json->nodes;
	char shown[CONFIG_SHOW_MAX];

	config_enter(c, nodes[name->node].key, 0);
	config_find(c, name->node, "the same %s as %s in line %u%s", what,
		    config_quote(nodes[first].key, shown),
		    (unsigned)nodes[first].line,
		    zones ? ": for different views, give each a \"name\"" : "");
	config_leave(c);
}

void config_overlaps(struct config_check *c, struct config_name *names,
		     size_t n, const char *what)
{
	bool zones = strcmp(what, "zone") == 0;
	size_t first = 0; /* of those with the same name */
	bool all_by_itself = true;

	if (n > 1)
		qsort(names, n, sizeof(*names), name_compare);
	for (size_t i = 0; i < n; i++) {
		if (!dname_equal(names[i].name, names[first].name)) {
			first = i;
			all_by_itself = true;
		}
		all_by_itself = all_by_itself && names[i].by_itself;
		if (i > first && !(zones && all_by_itself))
			overlap_find(c, &names[i], names[first].node, what);
	}
}

const struct config_name *config_name_find(const struct config_name *names,
					   size_t n, const struct dname *name)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = name_order(names[mid].name, name);
		if (order == 0)
			return &names[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
