/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_list - a queue whose links are in what it holds: putting in, taking
 * out and moving cost no memory and no search.
 *
 * Pure.  A link is in one list or in none.
 */
#include <stdbool.h>
#include <stddef.h>

struct probed_link {
	struct probed_link *prev, *next; /* both NULL: in no list */
};

/* The struct of 'type' whose member 'member' is the link. */
#define PROBED_ENTRY(link, type, member)                                       \
	((type *)(void *)((char *)(link)-offsetof(type, member)))

struct probed_list {
	struct probed_link head; /* next: the first, prev: the last */
	size_t n;
};

static inline void probed_list_init(struct probed_list *list)
{
	list->head.prev = &list->head;
	list->head.next = &list->head;
	list->n = 0;
}

static inline bool probed_link_used(const struct probed_link *link)
{
	return link->next != NULL;
}

static inline void probed_list_put(struct probed_list *list,
				   struct probed_link *link)
{
	link->prev = list->head.prev;
	link->next = &list->head;
	list->head.prev->next = link;
	list->head.prev = link;
	list->n++;
}

static inline void probed_list_remove(struct probed_list *list,
				      struct probed_link *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link->prev = NULL;
	link->next = NULL;
	list->n--;
}

/* The first, which stays; NULL if there is none. */
static inline struct probed_link *
probed_list_first(const struct probed_list *list)
{
	return list->n > 0 ? list->head.next : NULL;
}
