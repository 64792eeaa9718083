/* SPDX-License-Identifier: Apache-2.0
 *
 * Persistent reservations that outlive the daemon (APTPL, SPC-4 5.12.5): a file per backing store in the state folder,
 * named after its serial, so that the reservations come back wherever the store is mapped next.
 */
#ifndef TGTKIT_TARGET_RESERVATION_KEEP_H
#define TGTKIT_TARGET_RESERVATION_KEEP_H

#include "scsi/logical_unit.h"
#include "store/pool.h"
#include "target/identity.h"
#include "target/state_folder.h"

#define TARGET_RESERVATION_NAME_BYTES (sizeof("reservations.") + 3u * TARGET_SERIAL_BYTES)

struct target_reservation_keep {
	const struct target_state_folder *folder; /* outlives this; NULL: nothing is kept, APTPL is not supported */
	char name[TARGET_RESERVATION_NAME_BYTES]; /* of the file */
	/* The save under way, one at a time. */
	struct store_job job;
	struct scsi_reservation_save *save;
};

void target_reservation_keep_init(struct target_reservation_keep *keep, const struct target_state_folder *folder,
				  const char *serial);
/* Control thread, before the unit is served: what was kept, to be freed; NULL with 0: nothing.  A small local file: no
 * I/O of an initiator waits for it yet. */
int target_reservation_keep_read(const struct target_reservation_keep *keep, char **text,
				 char error[static TARGET_ERROR_BYTES]);
/* scsi_logical_unit_spec.save_reservations; the context is the keep. */
void target_reservation_keep_save(void *context, struct scsi_reservation_save *save);

#endif
