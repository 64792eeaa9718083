/* SPDX-License-Identifier: Apache-2.0
 *
 * A doubly linked, circular list whose links are members of what it links.
 */
#ifndef TGTKIT_S3_LIST_H
#define TGTKIT_S3_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct s3_link {
	struct s3_link *next, *previous; /* NULL: in no list */
};

#define S3_LIST_ENTRY(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))
#define S3_LIST_FOR_EACH(link, list)	  for (struct s3_link *link = (list)->next; link != (list); link = link->next)

static inline void s3_list_init(struct s3_link *list)
{
	list->next = list->previous = list;
}

static inline bool s3_list_is_empty(const struct s3_link *list)
{
	return list->next == list;
}

static inline bool s3_list_holds(const struct s3_link *link)
{
	return link->next != NULL;
}

static inline void s3_list_insert_before(struct s3_link *where, struct s3_link *link)
{
	link->previous = where->previous;
	link->next = where;
	where->previous->next = link;
	where->previous = link;
}

static inline void s3_list_append(struct s3_link *list, struct s3_link *link)
{
	s3_list_insert_before(list, link);
}

static inline void s3_list_remove(struct s3_link *link)
{
	link->previous->next = link->next;
	link->next->previous = link->previous;
	link->next = link->previous = NULL;
}

#endif
