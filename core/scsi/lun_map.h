/* SPDX-License-Identifier: Apache-2.0
 *
 * Which logical units a nexus reaches under which LUN: an immutable, reference-counted snapshot made by core/target.
 */
#ifndef TGTKIT_SCSI_LUN_MAP_H
#define TGTKIT_SCSI_LUN_MAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scsi_logical_unit;

#define SCSI_MAXIMUM_LUN 16383u /* flat space addressing, SAM-5 4.7.7.5.1 */

struct scsi_lun_mapping {
	uint16_t lun;
	bool read_only;
	/* Kept alive by the map's owner until the last reference is gone.  NULL: its store could not be opened yet, so
	 * that nobody knows its size and serial; the LUN is reported, and not ready. */
	struct scsi_logical_unit *unit;
};

struct scsi_lun_map {
	atomic_uint references;
	/* Any thread: the last reference is gone; frees the map with free().  NULL: just free(). */
	void (*released)(struct scsi_lun_map *map);
	size_t count;
	struct scsi_lun_mapping mappings[]; /* ascending by lun, no LUN twice */
};

struct scsi_lun_map *scsi_lun_map_create(const struct scsi_lun_mapping *mappings, size_t count,
					 void (*released)(struct scsi_lun_map *map));
struct scsi_lun_map *scsi_lun_map_hold(struct scsi_lun_map *map);
void scsi_lun_map_drop(struct scsi_lun_map *map);
/* NULL: not mapped. */
const struct scsi_lun_mapping *scsi_lun_map_find(const struct scsi_lun_map *map, uint16_t lun);
/* The LUN is mapped to a unit that is not there yet. */
bool scsi_lun_map_awaits(const struct scsi_lun_map *map, uint16_t lun);

/* The 8-byte LUN field, SAM-5 4.7: peripheral and flat space formats. */
enum scsi_lun_kind { SCSI_LUN_NUMBER, SCSI_LUN_REPORT_LUNS, SCSI_LUN_INVALID };
enum scsi_lun_kind scsi_lun_decode(const uint8_t field[static 8], uint16_t *lun);
void scsi_lun_encode(uint16_t lun, uint8_t field[static 8]); /* below 256 peripheral, else flat */

#endif
