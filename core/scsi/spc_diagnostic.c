/* SPDX-License-Identifier: Apache-2.0
 *
 * SEND DIAGNOSTIC (SPC-5 6.42): the default self-test reads a block.  READ DEFECT DATA (SBC-4 5.22): none are known.
 */
#include "rt/bytes.h"
#include "scsi/device_server.h"
#include "scsi/handlers.h"

uint32_t spc_send_diagnostic_work_bytes(const struct scsi_command *command)
{
	enum { SELF_TEST = 0x04 };

	return command->cdb[1] & SELF_TEST ? command->unit->block_bytes : 0;
}

static void is_read(struct scsi_command *command)
{
	scsi_command_good(command);
}

void spc_send_diagnostic(struct scsi_command *command)
{
	if (command->data_in.segment_count == 0) {
		scsi_command_good(command); /* no self-test asked for */
		return;
	}
	command->io.segments = command->data_in.segments;
	command->io.segment_count = command->data_in.segment_count;
	scsi_command_submit_range(command, TGTKIT_READ, 0, 0, 1, is_read);
}

/* An empty list of the format that was asked for. */
void sbc_read_defect_data_10(struct scsi_command *command)
{
	uint8_t header[4] = {0, command->cdb[2]};

	scsi_command_reply(command, header, sizeof(header));
}

void sbc_read_defect_data_12(struct scsi_command *command)
{
	uint8_t header[8] = {0, command->cdb[1]};

	scsi_command_reply(command, header, sizeof(header));
}
