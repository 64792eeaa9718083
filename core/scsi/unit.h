/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to core/scsi: what a logical unit is made of.
 */
#ifndef TGTKIT_SCSI_UNIT_H
#define TGTKIT_SCSI_UNIT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "scsi/lane.h"
#include "scsi/logical_unit.h"
#include "scsi/port_groups.h"
#include "scsi/unit_attention.h"
#include "store/store.h"

#define SCSI_SERIAL_BYTES  36u
#define SCSI_VENDOR_BYTES  8u
#define SCSI_PRODUCT_BYTES 16u

/* The access word.  Whoever sets a bit that later commands have to respect sets it before posting to the lanes: a
 * worker tests the word in the same loop turn in which it registers a command, so each command is either found by the
 * post or has seen the bit. */
enum scsi_access {
	SCSI_ACCESS_LOCKED = 1u << 0,	   /* some range lock is held: compare with it */
	SCSI_ACCESS_QUIET = 1u << 1,	   /* taken out of service */
	SCSI_ACCESS_UNAVAILABLE = 1u << 2, /* the backend is down */
	SCSI_ACCESS_HUNG = 1u << 3,	   /* aborted writes have not ended */
	SCSI_ACCESS_STOPPED = 1u << 4,	   /* START STOP UNIT */
	SCSI_ACCESS_NO_MEDIUM = 1u << 5,   /* ejected */
	SCSI_ACCESS_READ_ONLY = 1u << 6,
	SCSI_ACCESS_WRITE_PROTECTED = 1u << 7, /* SWP of the control mode page */
	SCSI_ACCESS_SANITIZING = 1u << 8,
	SCSI_ACCESS_SANITIZE_FAILED = 1u << 9,
};

#define SCSI_ACCESS_PROTECTED (SCSI_ACCESS_READ_ONLY | SCSI_ACCESS_WRITE_PROTECTED)
#define SCSI_ACCESS_NOT_READY                                                                                          \
	(SCSI_ACCESS_QUIET | SCSI_ACCESS_UNAVAILABLE | SCSI_ACCESS_HUNG | SCSI_ACCESS_STOPPED |                        \
	 SCSI_ACCESS_NO_MEDIUM | SCSI_ACCESS_SANITIZING | SCSI_ACCESS_SANITIZE_FAILED)

struct scsi_nexus;
struct scsi_reservations;

struct scsi_access_locks {
	struct rt_list held, queue; /* scsi_access_lock.node */
};

struct scsi_logical_unit {
	_Atomic uint32_t access;
	_Atomic bool write_cache, descriptor_sense; /* mode parameters */
	_Atomic uint64_t blocks;
	_Atomic unsigned sanitize_progress; /* of 65536 */
	bool sanitize_ause;		    /* of the last SANITIZE, which holds the configuration lock */
	struct store *store;
	const struct tgtkit_capabilities *capabilities;
	uint32_t block_bytes, block_shift;
	uint32_t physical_exponent; /* logical blocks per physical one, as a power of two */
	uint32_t maximum_transfer_bytes;
	uint64_t command_timeout_ns, task_management_timeout_us;

	/* Fixed at creation. */
	char *name;
	char serial[SCSI_SERIAL_BYTES + 1];
	char vendor[SCSI_VENDOR_BYTES + 1], product[SCSI_PRODUCT_BYTES + 1];
	bool removable, default_write_cache;
	bool provisions;       /* thin: unmapped blocks exist (LBPME) */
	bool unmap_reads_zero; /* LBPRZ */
	bool persistent_reservations, compare_and_write, orwrite, extended_copy;

	void (*save_reservations)(void *context, struct scsi_reservation_save *save);
	void *save_context;

	pthread_mutex_t mutex; /* never taken by plain reads and writes */
	struct scsi_access_locks range_locks, configuration_locks;
	struct scsi_port_groups port_groups;
	bool is_standby; /* no port group is more than that */
	struct rt_list attached;		/* scsi_nexus_lun.in_unit */
	struct scsi_reservations *reservations; /* never NULL */
	const struct scsi_nexus *legacy_holder; /* of RESERVE(6) and (10); compared only */
	unsigned hung_commands;			/* aborted writes that did not end in time */
	unsigned removal_preventions;
	unsigned kicks_posted; /* lanes' kicks under way: the last one frees a destroyed unit */
	bool destroyed;

	unsigned lane_count;
	struct scsi_lane lanes[];
};

void scsi_logical_unit_free(struct scsi_logical_unit *unit);

static inline uint32_t scsi_unit_access(struct scsi_logical_unit *unit)
{
	return atomic_load_explicit(&unit->access, memory_order_relaxed);
}

static inline void scsi_unit_set_access(struct scsi_logical_unit *unit, uint32_t bits)
{
	atomic_fetch_or(&unit->access, bits);
}

static inline void scsi_unit_clear_access(struct scsi_logical_unit *unit, uint32_t bits)
{
	atomic_fetch_and(&unit->access, ~bits);
}

static inline bool scsi_mode_descriptor_sense(struct scsi_logical_unit *unit)
{
	return atomic_load_explicit(&unit->descriptor_sense, memory_order_relaxed);
}

static inline bool scsi_mode_write_cache(struct scsi_logical_unit *unit)
{
	return atomic_load_explicit(&unit->write_cache, memory_order_relaxed);
}

static inline uint64_t scsi_unit_blocks(struct scsi_logical_unit *unit)
{
	return atomic_load_explicit(&unit->blocks, memory_order_relaxed);
}

#endif
