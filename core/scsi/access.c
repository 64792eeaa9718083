/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/access.h"

#include <errno.h>
#include <stdlib.h>

#include "scsi/device_server.h"
#include "scsi/sanitize.h"

struct access_refusal {
	uint32_t bits;
	uint8_t key;
	uint16_t asc;
};

static const struct access_refusal access_refusals[] = {
    {SCSI_ACCESS_UNAVAILABLE | SCSI_ACCESS_HUNG, SCSI_KEY_NOT_READY, SCSI_ASC_NOT_READY_TARGET_PORT_UNAVAILABLE},
    {SCSI_ACCESS_QUIET, SCSI_KEY_NOT_READY, SCSI_ASC_NOT_READY_OFFLINE},
    {SCSI_ACCESS_SANITIZE_FAILED, SCSI_KEY_MEDIUM_ERROR, SCSI_ASC_SANITIZE_FAILED},
    {SCSI_ACCESS_SANITIZING, SCSI_KEY_NOT_READY, SCSI_ASC_NOT_READY_SANITIZE},
    {SCSI_ACCESS_NO_MEDIUM, SCSI_KEY_NOT_READY, SCSI_ASC_MEDIUM_NOT_PRESENT},
    {SCSI_ACCESS_STOPPED, SCSI_KEY_NOT_READY, SCSI_ASC_NOT_READY_INITIALIZING_COMMAND_REQUIRED},
    {SCSI_ACCESS_READ_ONLY, SCSI_KEY_DATA_PROTECT, SCSI_ASC_WRITE_PROTECTED},
    {SCSI_ACCESS_WRITE_PROTECTED, SCSI_KEY_DATA_PROTECT, SCSI_ASC_SOFTWARE_WRITE_PROTECTED},
};

bool scsi_access_condition(struct scsi_logical_unit *unit, uint32_t interest, struct scsi_sense *sense)
{
	uint32_t bits = scsi_unit_access(unit) & interest;

	for (size_t i = 0; i < sizeof(access_refusals) / sizeof(access_refusals[0]); i++) {
		if (!(bits & access_refusals[i].bits))
			continue;
		*sense = (struct scsi_sense){.key = access_refusals[i].key, .asc = access_refusals[i].asc};
		sense->has_progress = access_refusals[i].bits == SCSI_ACCESS_SANITIZING;
		sense->progress = scsi_sanitize_progress(unit);
		return true;
	}
	return false;
}

static bool refuse_by_state(struct scsi_command *command, uint32_t refusals)
{
	uint16_t asc = SCSI_ASC_NOT_READY_TARGET_PORT_TRANSITION;

	if (refusals & SCSI_REFUSE_STANDBY)
		asc = SCSI_ASC_NOT_READY_TARGET_PORT_STANDBY;
	else if (refusals & SCSI_REFUSE_UNAVAILABLE)
		asc = SCSI_ASC_NOT_READY_TARGET_PORT_UNAVAILABLE;
	return scsi_sense_fail(command, SCSI_KEY_NOT_READY, asc);
}

bool scsi_access_is_ready(struct scsi_command *command)
{
	uint32_t refusals = command->nexus_lun->refusals & command->operation->refusals;
	struct scsi_sense sense;

	if (refusals & SCSI_REFUSE_BY_STATE)
		return refuse_by_state(command, refusals);
	if (refusals & SCSI_REFUSE_RESERVED) {
		command->status = SCSI_RESERVATION_CONFLICT;
		return false;
	}
	if (command->unit != NULL &&
	    scsi_access_condition(command->unit, command->operation->gate & ~(uint32_t)SCSI_ACCESS_PROTECTED, &sense))
		return scsi_sense_set(command, &sense);
	return true;
}

bool scsi_access_is_writable(struct scsi_command *command)
{
	struct scsi_sense sense;

	if (command->unit != NULL &&
	    scsi_access_condition(command->unit, command->operation->gate & SCSI_ACCESS_PROTECTED, &sense))
		return scsi_sense_set(command, &sense);
	if (command->nexus_lun->refusals & command->operation->refusals & SCSI_REFUSE_READ_ONLY)
		return scsi_sense_fail(command, SCSI_KEY_DATA_PROTECT, SCSI_ASC_WRITE_PROTECTED);
	return true;
}

bool scsi_access_allows(struct scsi_command *command)
{
	return scsi_access_is_ready(command) && scsi_access_is_writable(command);
}

static bool ranges_overlap(uint64_t lba_a, uint64_t blocks_a, uint64_t lba_b, uint64_t blocks_b)
{
	return lba_a < lba_b + blocks_b && lba_b < lba_a + blocks_a;
}

/* Ranges have been checked against the capacity, so that no sum overflows. */
static bool lock_covers(const struct scsi_access_lock *lock, const struct scsi_command *command)
{
	const struct scsi_operation *operation = command->operation;

	if (lock->holder == command)
		return false;
	if (operation->flags & SCSI_OP_WHOLE)
		return true;
	return operation->lba_bytes != 0 && (operation->flags & SCSI_OP_MEDIUM) != 0 &&
	       ranges_overlap(lock->lba, lock->blocks, command->lba, command->blocks);
}

static bool locks_exclude(const struct scsi_access_lock *a, const struct scsi_access_lock *b)
{
	return a->configuration || ranges_overlap(a->lba, a->blocks, b->lba, b->blocks);
}

bool scsi_access_parks(struct scsi_command *command)
{
	struct scsi_logical_unit *unit = command->unit;
	bool covered = false;

	pthread_mutex_lock(&unit->mutex);
	RT_LIST_FOR_EACH (node, &unit->range_locks.held) {
		covered |= lock_covers(RT_CONTAINER_OF(node, struct scsi_access_lock, node), command);
	}
	if (covered) {
		struct scsi_lane *lane = command->nexus_lun->lane;

		lane->has_parked = true;
		command->stage = SCSI_STAGE_PARKED;
		rt_list_append(&lane->parked, &command->in_lane);
	}
	pthread_mutex_unlock(&unit->mutex);
	return covered;
}

static bool lane_has_left_range(struct scsi_visit *visit, struct scsi_lane *lane)
{
	const struct scsi_access_lock *lock = visit->context;

	RT_LIST_FOR_EACH (node, &lane->executing) {
		if (lock_covers(lock, RT_CONTAINER_OF(node, struct scsi_command, in_lane)))
			return false;
	}
	return true;
}

static void lock_is_granted(struct scsi_access_lock *lock)
{
	if (lock->holder->cancelled)
		scsi_command_finish(lock->holder);
	else
		scsi_command_start(lock->holder);
}

static void range_is_clear(struct scsi_visit *visit)
{
	struct scsi_access_lock *lock = visit->context;

	lock->visit = NULL;
	scsi_visit_free(visit);
	lock_is_granted(lock);
}

static void configuration_is_free(struct rt_post *post)
{
	lock_is_granted(RT_CONTAINER_OF(post, struct scsi_access_lock, granted));
}

static struct scsi_access_locks *locks_of(const struct scsi_access_lock *lock)
{
	return lock->configuration ? &lock->unit->configuration_locks : &lock->unit->range_locks;
}

/* The mutex is held.  Whether `lock` could be held now, as far as those held and those before it in the queue go. */
static bool is_grantable(const struct scsi_access_locks *locks, const struct scsi_access_lock *lock)
{
	RT_LIST_FOR_EACH (node, &locks->held) {
		if (locks_exclude(lock, RT_CONTAINER_OF(node, struct scsi_access_lock, node)))
			return false;
	}
	for (struct rt_list *node = locks->queue.next; node != &locks->queue && node != &lock->node; node = node->next)
		if (locks_exclude(lock, RT_CONTAINER_OF(node, struct scsi_access_lock, node)))
			return false;
	return true;
}

static void hold(struct scsi_access_lock *lock)
{
	rt_list_append(&locks_of(lock)->held, &lock->node);
	lock->held = true;
	if (!lock->configuration)
		scsi_unit_set_access(lock->unit, SCSI_ACCESS_LOCKED);
}

static struct scsi_access_lock *make_lock(struct scsi_command *command)
{
	struct scsi_access_lock *lock = calloc(1, sizeof(*lock));

	if (lock == NULL)
		return NULL;
	lock->unit = command->unit;
	lock->holder = command;
	lock->configuration = (command->operation->flags & SCSI_OP_CONFIGURES) != 0;
	lock->lba = command->lba;
	lock->blocks = command->blocks;
	lock->loop = command->nexus_lun->lane->worker->loop;
	lock->granted.run = configuration_is_free;
	rt_list_init(&lock->node);
	if (lock->configuration)
		return lock;
	lock->visit = scsi_visit_create(lock->unit, lock->loop);
	if (lock->visit == NULL) {
		free(lock);
		return NULL;
	}
	lock->visit->satisfied = lane_has_left_range;
	lock->visit->finished = range_is_clear;
	lock->visit->context = lock;
	return lock;
}

int scsi_access_lock(struct scsi_command *command)
{
	struct scsi_access_lock *lock = make_lock(command);
	bool held;

	if (lock == NULL)
		return -ENOMEM;
	command->lock = lock;
	command->stage = SCSI_STAGE_LOCKING;
	pthread_mutex_lock(&lock->unit->mutex);
	if (is_grantable(locks_of(lock), lock))
		hold(lock);
	else
		rt_list_append(&locks_of(lock)->queue, &lock->node);
	held = lock->held;
	pthread_mutex_unlock(&lock->unit->mutex);
	if (held && lock->configuration)
		scsi_command_start(command);
	else if (held)
		scsi_visit_start(lock->visit);
	return 0;
}

bool scsi_access_lock_withdraw(struct scsi_command *command)
{
	struct scsi_access_lock *lock = command->lock;
	bool queued;

	pthread_mutex_lock(&lock->unit->mutex);
	queued = !lock->held;
	if (queued)
		rt_list_remove(&lock->node);
	pthread_mutex_unlock(&lock->unit->mutex);
	return queued;
}

enum { ROUND = 32 };

/* The mutex is held.  Lets those hold that now may; they are told when the mutex is free. */
static unsigned promote_queued(struct scsi_access_locks *locks, struct scsi_access_lock *next[static ROUND])
{
	unsigned count = 0;

	RT_LIST_FOR_EACH (node, &locks->queue) {
		struct scsi_access_lock *lock = RT_CONTAINER_OF(node, struct scsi_access_lock, node);

		if (count == ROUND || !is_grantable(locks, lock))
			continue;
		rt_list_remove(node);
		hold(lock);
		next[count++] = lock;
	}
	return count;
}

/* One round of release; there is another when as many were promoted as fit. */
static bool release_round(struct scsi_access_lock *lock)
{
	struct scsi_logical_unit *unit = lock->unit;
	struct scsi_access_lock *next[ROUND];
	unsigned count;

	pthread_mutex_lock(&unit->mutex);
	rt_list_remove(&lock->node);
	count = promote_queued(locks_of(lock), next);
	if (rt_list_is_empty(&unit->range_locks.held))
		scsi_unit_clear_access(unit, SCSI_ACCESS_LOCKED);
	scsi_lanes_kick(unit);
	pthread_mutex_unlock(&unit->mutex);
	for (unsigned i = 0; i < count; i++) {
		if (next[i]->configuration)
			rt_loop_post(next[i]->loop, &next[i]->granted);
		else
			scsi_visit_start(next[i]->visit);
	}
	return count == ROUND;
}

void scsi_access_unlock(struct scsi_command *command)
{
	struct scsi_access_lock *lock = command->lock;

	command->lock = NULL;
	while (release_round(lock))
		;
	if (lock->visit != NULL)
		scsi_visit_free(lock->visit); /* withdrawn before it started */
	free(lock);
}
