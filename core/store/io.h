/* SPDX-License-Identifier: Apache-2.0
 *
 * One request on its way through a plugin: what the plugin sees, and what the host needs to know when it completes.
 */
#ifndef TGTKIT_STORE_IO_H
#define TGTKIT_STORE_IO_H

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#include <tgtkit/plugin.h>

#include "rt/list.h"
#include "rt/loop.h"

struct store_operation;
struct store_request;
struct tgtkit_queue;

struct store_io {
	struct tgtkit_request request;
	struct store_io *next; /* of a list of completed ones, of a backlog, of the pool's */
	struct tgtkit_queue *queue;
	/* What it belongs to: a caller's request that fitted as it is, or (else NULL) one step of several. */
	struct store_request *owner;
	struct store_operation *steps;
	int status;
	/* Blocking tier: what the attempt on the worker has transferred already. */
	uint32_t segments_done;
	uint32_t bytes_done_in_segment;
	struct rt_list in_steps;
	struct rt_post completed_elsewhere;
	alignas(max_align_t) unsigned char scratch[];
};

/* A first-in, first-out list of them. */
struct store_io_list {
	struct store_io *first, *last;
};

static inline void store_io_append(struct store_io_list *list, struct store_io *io)
{
	io->next = NULL;
	if (list->first == NULL)
		list->first = io;
	else
		list->last->next = io;
	list->last = io;
}

static inline struct store_io *store_io_take_first(struct store_io_list *list)
{
	struct store_io *io = list->first;

	if (io != NULL)
		list->first = io->next;
	return io;
}

/* Rare, hence a walk: false if it is not there. */
static inline bool store_io_take(struct store_io_list *list, struct store_io *io)
{
	struct store_io *previous = NULL;

	for (struct store_io *at = list->first; at != NULL; previous = at, at = at->next) {
		if (at != io)
			continue;
		if (previous == NULL)
			list->first = io->next;
		else
			previous->next = io->next;
		if (list->last == io)
			list->last = previous;
		return true;
	}
	return false;
}

#endif
