/* SPDX-License-Identifier: Apache-2.0
 *
 * A logical unit: daemon-wide, whatever targets map it.  Made and ended by core/target on the control thread; used by
 * all workers at once.
 */
#ifndef TGTKIT_SCSI_LOGICAL_UNIT_H
#define TGTKIT_SCSI_LOGICAL_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt/loop.h"

struct store;
struct scsi_logical_unit;

/* Persistent reservations that have to survive a restart (APTPL). */
struct scsi_reservation_save {
	char *text; /* what to keep; NULL: nothing any more.  Valid until done. */
	/* Set before `done` is posted to `reply_to`: 0 when it is on stable storage, or negative errno. */
	int status;
	struct rt_post done;
	struct rt_loop *reply_to;
};

struct scsi_logical_unit_spec {
	const char *name;	       /* for messages: "file:/srv/a.img" */
	struct store *store;	       /* opened; outlives the unit */
	uint32_t logical_block_bytes;  /* 512 or 4096 */
	uint32_t physical_block_bytes; /* 0: as the store says */
	const char *serial;	       /* VPD 80h and the designators of 83h; 1 to 36 printable ASCII bytes */
	const char *vendor;	       /* T10 vendor, up to 8 bytes; NULL or "": "TGTKIT" */
	const char *product;	       /* up to 16; NULL or "": "VIRTUAL-DISK" */
	bool read_only, removable, thin, write_cache;
	bool persistent_reservations, compare_and_write, orwrite, extended_copy, unmap;
	/* Of one command; what rt_memory_largest_transfer says of a worker's share.  0: asks the workers. */
	uint32_t maximum_transfer_bytes;
	/* On a worker, one at a time for a unit: hands the work to another thread.  NULL: APTPL is not supported. */
	void (*save_reservations)(void *context, struct scsi_reservation_save *save);
	void *save_context;
	const char *saved_reservations; /* what was kept last; NULL: nothing */
	uint64_t command_timeout_us;	/* deadline of each command at the store */
	uint64_t task_management_timeout_us;
};

/* 0 or negative errno (-EINVAL: a field of the spec, or a store below one block; -EBADMSG: saved_reservations
 * are damaged).  The workers have been started. */
int scsi_logical_unit_create(const struct scsi_logical_unit_spec *spec, struct scsi_logical_unit **unit);
/* No nexus refers to it any more and no command is under way. */
void scsi_logical_unit_destroy(struct scsi_logical_unit *unit);

const char *scsi_logical_unit_name(const struct scsi_logical_unit *unit);
const char *scsi_logical_unit_serial(const struct scsi_logical_unit *unit);
struct store *scsi_logical_unit_store(const struct scsi_logical_unit *unit);
uint64_t scsi_logical_unit_blocks(const struct scsi_logical_unit *unit);

/* Control thread.  Tells every nexus: CAPACITY DATA HAS CHANGED. */
void scsi_logical_unit_capacity_changed(struct scsi_logical_unit *unit);
/* Control thread.  The backend is down (every medium command answers NOT READY 04h/0Ch) or back. */
void scsi_logical_unit_set_available(struct scsi_logical_unit *unit, bool available);

/* Asymmetric logical unit access, SPC-5 5.18: the portal groups through which a unit is reached are its target port
 * groups. */
enum scsi_port_group_state {
	SCSI_PORT_GROUP_OPTIMIZED = 0x0,
	SCSI_PORT_GROUP_NON_OPTIMIZED = 0x1,
	SCSI_PORT_GROUP_STANDBY = 0x2,
	SCSI_PORT_GROUP_UNAVAILABLE = 0x3,
	SCSI_PORT_GROUP_TRANSITIONING = 0xf,
};

struct scsi_target_port {
	uint16_t relative_id;
	const char *target_name;
};

struct scsi_port_group {
	uint16_t tag;
	enum scsi_port_group_state state;
	bool keep; /* if the unit knows the group already, it stays as it is, also as SET TARGET PORT GROUPS made it */
	const struct scsi_target_port *ports; /* of all targets that map the unit and have the portal group */
	size_t port_count;
};

/* Control thread: all of the unit's groups; what was set by SET TARGET PORT GROUPS is replaced unless `keep`.  If a
 * state differs, every nexus is told: ASYMMETRIC ACCESS STATE CHANGED.  Copies everything.  0 or -ENOMEM.  Not called
 * at all: the groups and ports of the nexuses that use the unit, active/optimized. */
int scsi_logical_unit_set_port_groups(struct scsi_logical_unit *unit, const struct scsi_port_group *groups,
				      size_t count);

/* Control thread.  Another host has the backing store: whatever their own states, no port group reports more than
 * standby, and every nexus is told when that begins and ends. */
void scsi_logical_unit_set_standby(struct scsi_logical_unit *unit, bool standby);

/* Control thread: makes the unit quiet: later commands answer NOT READY; when every command under way has finished, and
 * every write has been flushed if `flush`, `done` is posted to the control loop with `status` (0 or negative errno). */
struct scsi_unit_quiesce {
	struct rt_post done;
	struct rt_loop *reply_to;
	bool flush;
	int status;
	/* private */
	struct scsi_logical_unit *unit;
	void *private_state;
};
void scsi_logical_unit_quiesce(struct scsi_logical_unit *unit, struct scsi_unit_quiesce *quiesce);
/* Control thread: takes commands again. */
void scsi_logical_unit_resume(struct scsi_logical_unit *unit);

#endif
