/* SPDX-License-Identifier: Apache-2.0
 *
 * One flush of a unit at a time.  Linux reports a failed write-back once: to whichever of several flushes comes first.
 * Were two under way, the other could report success for data that is lost.  Those that come meanwhile share the next
 * one, which also spares the store most of them.  Any thread.
 */
#ifndef TGTKIT_STORE_FLUSH_GATE_H
#define TGTKIT_STORE_FLUSH_GATE_H

#include <pthread.h>
#include <stdbool.h>

#include "rt/list.h"

struct store;

struct store_flush_gate {
	pthread_mutex_t lock;
	bool is_busy;
	struct rt_list waiting;
};

/* A flush that is wanted. */
struct store_flush_wish {
	/* Called when one that had to wait has its turn, or was done along with another; by any thread, with the lock
	 * taken: it only posts. */
	void (*proceed)(struct store_flush_wish *self);
	/* The result of the flush that did it along; 1: the caller has to do it itself. */
	int status;
	/* private */
	struct rt_list node;
	struct rt_list followers; /* that share this one's flush */
};

#define STORE_FLUSH_YOURSELF 1

void store_flush_gate_init(struct store_flush_gate *gate);
void store_flush_gate_destroy(struct store_flush_gate *gate);

/* true: the caller submits a flush now, and leaves afterwards.  false: `proceed` follows. */
bool store_flush_gate_enter(struct store_flush_gate *gate, struct store_flush_wish *wish);
/* The flush has ended with `status`. */
void store_flush_gate_leave(struct store_flush_gate *gate, struct store_flush_wish *wish, int status);
/* true: it was waiting, and waits no more. */
bool store_flush_gate_cancel(struct store_flush_gate *gate, struct store_flush_wish *wish);

/* What a flush that the plugin ended with `status` means.  After a failure that may have lost data, the unit fails. */
int store_flush_result(struct store *store, int status);

#endif
