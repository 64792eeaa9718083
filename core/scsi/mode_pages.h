/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to core/scsi: mode parameters, SPC-5 7.5 and SBC-4 6.5.
 */
#ifndef TGTKIT_SCSI_MODE_PAGES_H
#define TGTKIT_SCSI_MODE_PAGES_H

#include <stddef.h>
#include <stdint.h>

struct scsi_logical_unit;

enum scsi_page_control { SCSI_PAGE_CURRENT, SCSI_PAGE_CHANGEABLE, SCSI_PAGE_DEFAULT, SCSI_PAGE_SAVED };

#define SCSI_MODE_PAGE_ROOM 32u

struct scsi_mode_page {
	uint8_t code;
	uint8_t length; /* with its two-byte header */
	/* Writes the values behind the header. */
	void (*fill)(struct scsi_logical_unit *unit, enum scsi_page_control control, uint8_t *page);
	/* Takes over values that have been checked against the changeable bits. */
	void (*apply)(struct scsi_logical_unit *unit, const uint8_t *page);
};

extern const struct scsi_mode_page scsi_mode_pages[];
extern const size_t scsi_mode_page_count;

/* The whole page with its header. */
void scsi_mode_page_build(const struct scsi_mode_page *kind, struct scsi_logical_unit *unit,
			  enum scsi_page_control control, uint8_t page[static SCSI_MODE_PAGE_ROOM]);
const struct scsi_mode_page *scsi_mode_page_find(uint8_t code);
/* As after power on. */
void scsi_mode_pages_reset(struct scsi_logical_unit *unit);

#endif
