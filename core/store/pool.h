/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool of threads for whatever may block: plugin calls of the blocking tier, control verbs, fsync of state.  Starts
 * empty, grows on demand up to a cap, lets idle threads end.
 */
#ifndef TGTKIT_STORE_POOL_H
#define TGTKIT_STORE_POOL_H

struct store_job {
	void (*run)(struct store_job *self); /* on a pool thread; the memory is the job's own from then on */
	/* private */
	struct store_job *next;
};

/* Any thread.  Jobs start in order.  Control jobs (open, close, resize, state) and I/O jobs have thread caps of their
 * own, so that neither starves the other: each control job may have a thread of its own, as one stuck backend must
 * not hold up the others. */
void store_pool_submit_control(struct store_job *job);
void store_pool_submit_io(struct store_job *job);
/* A chain of I/O jobs linked by `next`, with one lock. */
void store_pool_submit_io_chain(struct store_job *first);

/* Ends idle threads and waits for running jobs, at most timeout_ms.  0, or -ETIMEDOUT if a job is stuck. */
int store_pool_stop(unsigned timeout_ms);

#endif
