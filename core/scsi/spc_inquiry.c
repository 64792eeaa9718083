/* SPDX-License-Identifier: Apache-2.0
 *
 * INQUIRY, SPC-5 6.6.
 */
#include <string.h>

#include "rt/bytes.h"
#include "scsi/device_server.h"
#include "scsi/handlers.h"
#include "scsi/vpd.h"

enum { EVPD = 0x01, STANDARD_BYTES = 74 };
enum { QUALIFIER_NOT_CONNECTED = 0x20, QUALIFIER_NO_UNIT = 0x60 };
enum { TYPE_DISK = 0x00, TYPE_WELL_KNOWN = 0x1e, TYPE_UNKNOWN = 0x1f };
enum {
	VERSION_SPC_4 = 0x06,
	RESPONSE_FORMAT = 0x02,
	HISUP = 0x10,
	CMDQUE = 0x02,
	MULTIP = 0x10,
	RMB = 0x80,
	THIRD_PARTY_COPY = 0x08
};

bool spc_inquiry_decode(struct scsi_command *command)
{
	bool exists = command->cdb[1] & EVPD ? scsi_vpd_supports(command) : command->cdb[2] == 0;

	if (!exists)
		return scsi_sense_invalid_cdb_field(command, 2, 7);
	return true;
}

uint8_t scsi_peripheral_device(const struct scsi_command *command)
{
	uint16_t lun;

	if (command->unit != NULL)
		return TYPE_DISK;
	if (scsi_lun_decode(command->lun, &lun) == SCSI_LUN_REPORT_LUNS)
		return TYPE_WELL_KNOWN;
	/* Of no type yet, so that initiators make no disk of it before its identity is known. */
	if (scsi_lun_map_awaits(command->nexus->lun_map, lun))
		return QUALIFIER_NOT_CONNECTED | TYPE_UNKNOWN;
	return QUALIFIER_NO_UNIT | TYPE_UNKNOWN;
}

void scsi_put_ascii(uint8_t *field, size_t length, const char *text)
{
	size_t used = strnlen(text, length);

	memcpy(field, text, used);
	memset(field + used, ' ', length - used);
}

static bool offers(const struct scsi_logical_unit *unit, uint8_t code, uint8_t service_action)
{
	const uint8_t cdb[16] = {code, service_action};
	const struct scsi_operation *row = scsi_operations_find(cdb);

	return row != NULL && scsi_operation_offered(row, unit);
}

/* Asymmetric access, implicit and explicit, and third-party copy: as the commands for it are there. */
static uint8_t byte_5(const struct scsi_logical_unit *unit)
{
	enum { IMPLICIT_ALUA = 0x10, EXPLICIT_ALUA = 0x20 };

	return (offers(unit, 0xa3, 0x0a) ? IMPLICIT_ALUA : 0) | (offers(unit, 0xa4, 0x0a) ? EXPLICIT_ALUA : 0) |
	       (offers(unit, 0x83, 0x00) ? THIRD_PARTY_COPY : 0);
}

static void fill_standard(const struct scsi_command *command, uint8_t data[static STANDARD_BYTES])
{
	/* SAM-5, SPC-4, SBC-3, iSCSI: no version claimed of each. */
	static const uint16_t versions[] = {0x00a0, 0x0460, 0x04c0, 0x0960};
	const struct scsi_logical_unit *unit = command->unit;

	data[0] = scsi_peripheral_device(command);
	data[1] = unit != NULL && unit->removable ? RMB : 0;
	data[2] = VERSION_SPC_4;
	data[3] = HISUP | RESPONSE_FORMAT;
	data[4] = STANDARD_BYTES - 5;
	data[6] = MULTIP;
	data[7] = CMDQUE;
	if (unit != NULL)
		data[5] = byte_5(unit);
	scsi_put_ascii(data + 8, SCSI_VENDOR_BYTES, unit != NULL ? unit->vendor : SCSI_DEFAULT_VENDOR);
	scsi_put_ascii(data + 16, SCSI_PRODUCT_BYTES, unit != NULL ? unit->product : SCSI_DEFAULT_PRODUCT);
	scsi_put_ascii(data + 32, 4, SCSI_PRODUCT_REVISION);
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		rt_put_be16(data + 58 + 2 * i, versions[i]);
}

void spc_inquiry(struct scsi_command *command)
{
	uint8_t standard[STANDARD_BYTES] = {0};

	if (command->cdb[1] & EVPD) {
		scsi_vpd_reply(command);
		return;
	}
	fill_standard(command, standard);
	scsi_command_reply(command, standard, sizeof(standard));
}

void spc_test_unit_ready(struct scsi_command *command)
{
	scsi_command_good(command);
}
