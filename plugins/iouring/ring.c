/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/posix_error.h"
#include "ring.h"

/* A short submission queue stays in the processor's cache; one that is full is submitted at once. */
#define SUBMISSION_ENTRIES 256u
#define COMPLETION_ENTRIES 4096u
#define REAP_BATCH	   64u
#define RESUBMIT_US	   1000u

/* ---- Set-up --------------------------------------------------------------------------------------------------------
 */

/* From the best that there is, down to what the first kernels had.  Not IORING_SETUP_DEFER_TASKRUN: work that it defers
 * does not make the ring readable (seen on Linux 6.18), and the eventfd that would then be needed costs two more system
 * calls each time the worker wakes up. */
static const unsigned modes[] = {
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER,
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN,
    IORING_SETUP_SUBMIT_ALL,
    0,
};

static int set_up(struct io_uring *uring, unsigned submissions, unsigned completions, struct io_uring_params *used)
{
	int status = -EINVAL;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]) && status == -EINVAL; i++) {
		*used = (struct io_uring_params){.flags = modes[i] | IORING_SETUP_CQSIZE, .cq_entries = completions};
		status = io_uring_queue_init_params(submissions, uring, used);
	}
	return status;
}

static int explain(struct tgtkit_error *error, int status)
{
	switch (status) {
	case -EPERM:
	case -EACCES:
		return posix_error(
		    error, -status,
		    "io_uring is forbidden here, by the sysctl kernel.io_uring_disabled or by the seccomp "
		    "profile of a container: allow it, or use the plugin file");
	case -ENOSYS:
		return posix_error(error, -status,
				   "this kernel has no io_uring, or a seccomp profile hides it: use the plugin file");
	case -ENOMEM:
		return posix_error(
		    error, -status,
		    "io_uring gets no memory: raise the limit of locked memory (ulimit -l, LimitMEMLOCK)");
	default:
		return posix_error(error, -status, "io_uring cannot be set up: %m");
	}
}

int iouring_ring_try(struct tgtkit_error *error)
{
	struct io_uring_params used;
	struct io_uring uring;
	int status = set_up(&uring, 1, 2, &used);

	if (status != 0)
		return explain(error, status);
	io_uring_queue_exit(&uring);
	/* Without these, completions could be dropped and memory had to stay longer. */
	if ((used.features & (IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE)) !=
	    (IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE))
		return explain(error, -ENOSYS);
	return 0;
}

static void ring_is_ready(void *context, int fd, uint32_t events);
static void resubmit_expired(void *context);

static int connect_to_loop(struct iouring_ring *ring, struct tgtkit_worker *worker)
{
	const struct tgtkit_host *host = ring->host;
	int status = host->timer_create(worker, resubmit_expired, ring, &ring->resubmit);

	if (status != 0)
		return status;
	status = host->watch_add(worker, ring->uring.ring_fd, TGTKIT_FD_READ, ring_is_ready, ring, &ring->watch);
	if (status != 0)
		host->timer_destroy(ring->resubmit);
	return status;
}

static void register_slots(struct iouring_ring *ring)
{
	if (io_uring_register_files_sparse(&ring->uring, IOURING_FILE_SLOTS) == 0)
		memset(ring->free_slots, 0xff, sizeof(ring->free_slots));
}

int iouring_ring_open(const struct tgtkit_host *host, struct tgtkit_worker *worker, struct iouring_ring **opened)
{
	struct iouring_ring *ring = calloc(1, sizeof(*ring));
	struct io_uring_params used;
	struct tgtkit_error error;
	int status;

	if (ring == NULL)
		return -ENOMEM;
	ring->host = host;
	status = set_up(&ring->uring, SUBMISSION_ENTRIES, COMPLETION_ENTRIES, &used);
	if (status != 0) {
		explain(&error, status);
		host->log(NULL, TGTKIT_LOG_ERROR, "iouring: %s", error.message);
		free(ring);
		return status;
	}
	ring->limit = used.cq_entries;
	status = connect_to_loop(ring, worker);
	if (status != 0) {
		io_uring_queue_exit(&ring->uring);
		free(ring);
		return status;
	}
	/* Saves a little for each system call; older kernels do without. */
	io_uring_register_ring_fd(&ring->uring);
	register_slots(ring);
	*opened = ring;
	return 0;
}

void iouring_ring_close(struct iouring_ring *ring)
{
	ring->host->watch_remove(ring->watch);
	ring->host->timer_destroy(ring->resubmit);
	io_uring_queue_exit(&ring->uring);
	iouring_buffers_close(&ring->buffers);
	free(ring);
}

/* ---- Submitting ----------------------------------------------------------------------------------------------------
 */

static void submit(struct iouring_ring *ring);

static bool prepare(struct iouring_ring *ring, struct iouring_entry *entry)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	if (sqe == NULL)
		return false;
	entry->prepare(entry, sqe);
	io_uring_sqe_set_data(sqe, entry);
	return true;
}

static void delay(struct iouring_ring *ring, struct iouring_entry *entry)
{
	entry->next = NULL;
	if (ring->delayed_first == NULL)
		ring->delayed_first = entry;
	else
		ring->delayed_last->next = entry;
	ring->delayed_last = entry;
}

static void prepare_delayed(struct iouring_ring *ring)
{
	while (ring->delayed_first != NULL && prepare(ring, ring->delayed_first))
		ring->delayed_first = ring->delayed_first->next;
}

void iouring_ring_push(struct iouring_ring *ring, struct iouring_entry *entry)
{
	if (ring->delayed_first == NULL && prepare(ring, entry))
		return;
	delay(ring, entry);
	submit(ring);
}

static bool has_unsubmitted(const struct iouring_ring *ring)
{
	return io_uring_sq_ready(&ring->uring) > 0 || ring->delayed_first != NULL;
}

/* The kernel is out of memory, or wants its completions taken first. */
static void try_later(struct iouring_ring *ring)
{
	ring->is_stuck = true;
	ring->host->timer_arm(ring->resubmit, RESUBMIT_US);
}

static void submit(struct iouring_ring *ring)
{
	while (!ring->is_stuck && has_unsubmitted(ring)) {
		int submitted = io_uring_submit(&ring->uring);

		if (submitted == -EINTR)
			continue;
		if (submitted <= 0)
			try_later(ring);
		else
			prepare_delayed(ring);
	}
}

/* ---- Completing ----------------------------------------------------------------------------------------------------
 */

struct result {
	struct iouring_entry *entry;
	int result;
};

/* Off the queue first, so that there is room for what a handler makes complete. */
static unsigned take_results(struct iouring_ring *ring, struct result *results)
{
	struct io_uring_cqe *cqes[REAP_BATCH];
	unsigned count = io_uring_peek_batch_cqe(&ring->uring, cqes, REAP_BATCH);

	for (unsigned i = 0; i < count; i++)
		results[i] = (struct result){.entry = io_uring_cqe_get_data(cqes[i]), .result = cqes[i]->res};
	io_uring_cq_advance(&ring->uring, count);
	return count;
}

static void ask_waiters(struct iouring_ring *ring)
{
	struct iouring_waiter **link = &ring->waiters;

	while (*link != NULL) {
		struct iouring_waiter *waiter = *link;

		if (waiter->retry(waiter))
			*link = waiter->next;
		else
			link = &waiter->next;
	}
}

static void reap(struct iouring_ring *ring)
{
	struct result results[REAP_BATCH];
	unsigned count;

	while ((count = take_results(ring, results)) > 0) {
		for (unsigned i = 0; i < count; i++)
			if (results[i].entry != NULL) /* a cancellation has none */
				results[i].entry->completed(results[i].entry, results[i].result);
	}
	ask_waiters(ring);
}

/* Handlers push: a transfer that came back short, a flush after a write. */
void iouring_ring_commit(struct iouring_ring *ring)
{
	do {
		submit(ring);
		reap(ring);
	} while (!ring->is_stuck && has_unsubmitted(ring));
}

static void ring_is_ready(void *context, int fd, uint32_t events)
{
	struct iouring_ring *ring = context;

	(void)fd;
	(void)events;
	reap(ring);
	if (has_unsubmitted(ring))
		iouring_ring_commit(ring);
}

static void resubmit_expired(void *context)
{
	struct iouring_ring *ring = context;

	ring->is_stuck = false;
	iouring_ring_commit(ring);
}

void iouring_ring_cancel(struct iouring_ring *ring, struct iouring_entry *entry)
{
	struct io_uring_sqe *sqe;

	/* Behind the entry itself. */
	submit(ring);
	sqe = ring->delayed_first == NULL ? io_uring_get_sqe(&ring->uring) : NULL;
	if (sqe == NULL)
		return;
	io_uring_prep_cancel(sqe, entry, 0);
	io_uring_sqe_set_data(sqe, NULL);
	iouring_ring_commit(ring);
}

/* ---- Waiters and files ---------------------------------------------------------------------------------------------
 */

void iouring_ring_wait(struct iouring_ring *ring, struct iouring_waiter *waiter)
{
	waiter->next = ring->waiters;
	ring->waiters = waiter;
}

void iouring_ring_stop_waiting(struct iouring_ring *ring, struct iouring_waiter *waiter)
{
	struct iouring_waiter **link = &ring->waiters;

	while (*link != NULL && *link != waiter)
		link = &(*link)->next;
	if (*link != NULL)
		*link = waiter->next;
}

int iouring_ring_add_file(struct iouring_ring *ring, int fd)
{
	for (unsigned i = 0; i < IOURING_FILE_SLOTS / 64; i++) {
		unsigned slot;

		if (ring->free_slots[i] == 0)
			continue;
		slot = i * 64 + (unsigned)__builtin_ctzll(ring->free_slots[i]);
		if (io_uring_register_files_update(&ring->uring, slot, &fd, 1) != 1)
			return -1;
		ring->free_slots[i] &= ring->free_slots[i] - 1;
		return (int)slot;
	}
	return -1;
}

void iouring_ring_remove_file(struct iouring_ring *ring, int slot)
{
	const int nothing = -1;

	if (slot < 0)
		return;
	io_uring_register_files_update(&ring->uring, (unsigned)slot, &nothing, 1);
	ring->free_slots[slot / 64] |= 1ull << (slot % 64);
}
