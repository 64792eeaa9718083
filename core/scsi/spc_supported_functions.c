/* SPDX-License-Identifier: Apache-2.0
 *
 * REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS, SPC-5 6.36.
 */
#include "scsi/device_server.h"
#include "scsi/handlers.h"

void spc_supported_functions(struct scsi_command *command)
{
	enum { ATS = 0x80, ATSS = 0x40, CTSS = 0x10, LURS = 0x08, QTS = 0x04, TRS = 0x02 };
	enum { QAES = 0x04, QTSS = 0x02, ITNRS = 0x01, REPD = 0x80 };
	/* RFC 7144: the functions of SAM-4 exist on sessions that negotiated iSCSIProtocolLevel 2. */
	bool newer = command->nexus->newer_functions;
	bool extended = (command->cdb[2] & REPD) != 0;
	uint8_t data[16] = {
	    ATS | ATSS | CTSS | LURS | TRS | (newer ? QTS : 0),
	    newer ? QAES | QTSS | ITNRS : 0,
	    0,
	    extended ? 12 : 0,
	};

	scsi_command_reply(command, data, extended ? 16 : 4);
}
