/* SPDX-License-Identifier: Apache-2.0
 *
 * Intrusive doubly linked list.  A head is a node that points to itself; a node that is in no list does too.
 */
#ifndef TGTKIT_RT_LIST_H
#define TGTKIT_RT_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct rt_list {
	struct rt_list *next, *previous;
};

#define RT_CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static inline void rt_list_init(struct rt_list *list)
{
	list->next = list->previous = list;
}

static inline bool rt_list_is_empty(const struct rt_list *list)
{
	return list->next == list;
}

static inline void rt_list_insert_between(struct rt_list *node, struct rt_list *before, struct rt_list *after)
{
	node->previous = before;
	node->next = after;
	before->next = node;
	after->previous = node;
}

static inline void rt_list_append(struct rt_list *head, struct rt_list *node)
{
	rt_list_insert_between(node, head->previous, head);
}

static inline void rt_list_prepend(struct rt_list *head, struct rt_list *node)
{
	rt_list_insert_between(node, head, head->next);
}

/* Safe on a node that is in no list. */
static inline void rt_list_remove(struct rt_list *node)
{
	node->previous->next = node->next;
	node->next->previous = node->previous;
	rt_list_init(node);
}

/* First node, taken out, or NULL. */
static inline struct rt_list *rt_list_take_first(struct rt_list *head)
{
	struct rt_list *node = head->next;

	if (node == head)
		return NULL;
	rt_list_remove(node);
	return node;
}

/* Moves all of `from` to the end of `to`. */
static inline void rt_list_splice(struct rt_list *to, struct rt_list *from)
{
	if (rt_list_is_empty(from))
		return;
	from->next->previous = to->previous;
	to->previous->next = from->next;
	from->previous->next = to;
	to->previous = from->previous;
	rt_list_init(from);
}

/* `node` may be removed in the body. */
#define RT_LIST_FOR_EACH(node, head)                                                                                   \
	for (struct rt_list *node = (head)->next, *node##_next = node->next; node != (head);                           \
	     node = node##_next, node##_next = node->next)

#endif
