/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/mode_pages.h"

#include <string.h>

#include "rt/bytes.h"
#include "scsi/unit.h"

enum { WCE = 0x04 };

static void fill_caching(struct scsi_logical_unit *unit, enum scsi_page_control control, uint8_t *page)
{
	bool write_cache = control == SCSI_PAGE_DEFAULT ? unit->default_write_cache : scsi_mode_write_cache(unit);

	if (control == SCSI_PAGE_CHANGEABLE || write_cache)
		page[2] = WCE;
}

static void apply_caching(struct scsi_logical_unit *unit, const uint8_t *page)
{
	atomic_store(&unit->write_cache, (page[2] & WCE) != 0);
}

enum {
	TST_PER_NEXUS = 1 << 5,
	D_SENSE = 0x04,
	QUEUE_ALGORITHM_UNRESTRICTED = 0x10,
	SWP = 0x08,
	TAS = 0x40,
};

static void fill_control(struct scsi_logical_unit *unit, enum scsi_page_control control, uint8_t *page)
{
	if (control == SCSI_PAGE_CHANGEABLE) {
		page[2] = D_SENSE;
		page[4] = SWP;
		return;
	}
	page[2] = TST_PER_NEXUS;
	page[3] = QUEUE_ALGORITHM_UNRESTRICTED;
	page[5] = TAS;
	if (control == SCSI_PAGE_DEFAULT)
		return;
	if (scsi_mode_descriptor_sense(unit))
		page[2] |= D_SENSE;
	if (scsi_unit_access(unit) & SCSI_ACCESS_WRITE_PROTECTED)
		page[4] |= SWP;
}

static void apply_control(struct scsi_logical_unit *unit, const uint8_t *page)
{
	atomic_store(&unit->descriptor_sense, (page[2] & D_SENSE) != 0);
	if (page[4] & SWP)
		scsi_unit_set_access(unit, SCSI_ACCESS_WRITE_PROTECTED);
	else
		scsi_unit_clear_access(unit, SCSI_ACCESS_WRITE_PROTECTED);
}

/* Ascending by code, as MODE SENSE of all pages returns them. */
const struct scsi_mode_page scsi_mode_pages[] = {
    {0x08, 20, fill_caching, apply_caching},
    {0x0a, 12, fill_control, apply_control},
};
const size_t scsi_mode_page_count = sizeof(scsi_mode_pages) / sizeof(scsi_mode_pages[0]);

void scsi_mode_page_build(const struct scsi_mode_page *kind, struct scsi_logical_unit *unit,
			  enum scsi_page_control control, uint8_t page[static SCSI_MODE_PAGE_ROOM])
{
	memset(page, 0, SCSI_MODE_PAGE_ROOM);
	page[0] = kind->code;
	page[1] = kind->length - 2;
	kind->fill(unit, control, page);
}

const struct scsi_mode_page *scsi_mode_page_find(uint8_t code)
{
	for (size_t i = 0; i < scsi_mode_page_count; i++)
		if (scsi_mode_pages[i].code == code)
			return &scsi_mode_pages[i];
	return NULL;
}

void scsi_mode_pages_reset(struct scsi_logical_unit *unit)
{
	uint8_t page[SCSI_MODE_PAGE_ROOM];

	for (size_t i = 0; i < scsi_mode_page_count; i++) {
		scsi_mode_page_build(&scsi_mode_pages[i], unit, SCSI_PAGE_DEFAULT, page);
		scsi_mode_pages[i].apply(unit, page);
	}
}
