/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/scsi/harness.h"

#include <stdlib.h>
#include <string.h>

#include "rt/bytes.h"

struct harness harness;

enum { MEMORY_BYTES = 64 << 20 };

void harness_default_spec(void)
{
	harness.spec = (struct scsi_logical_unit_spec){
	    .name = "fake:memory",
	    .logical_block_bytes = 512,
	    .serial = "6f9619ff-8b86-d011-b42d-00c04fc964ff",
	    .thin = true,
	    .write_cache = true,
	    .persistent_reservations = true,
	    .compare_and_write = true,
	    .orwrite = true,
	    .extended_copy = true,
	    .unmap = true,
	    .command_timeout_us = 25000000,
	    .task_management_timeout_us = 50000,
	};
}

struct scsi_nexus *harness_new_nexus(const char *initiator_port, uint16_t port_id)
{
	struct scsi_nexus_spec spec = {
	    .initiator_port = initiator_port,
	    .initiator_name = "iqn.2026-11.org.example:host",
	    .target_name = "iqn.2026-11.org.example:disk",
	    .target_port_group_tag = 1,
	    .relative_target_port_id = port_id,
	    .lun_map = harness.map,
	};
	struct scsi_nexus *nexus;

	ck_assert_int_eq(scsi_nexus_create(&spec, &nexus), 0);
	return nexus;
}

static void make_unit(uint64_t size_bytes, uint32_t store_flags)
{
	struct scsi_lun_mapping mappings[2] = {{.lun = 0}, {.lun = HARNESS_OTHER_LUN}};

	harness.store = fake_store_new(size_bytes, store_flags);
	harness.spec.store = harness.store;
	ck_assert_int_eq(scsi_logical_unit_create(&harness.spec, &harness.unit), 0);
	mappings[0].unit = mappings[1].unit = harness.unit;
	harness.map = scsi_lun_map_create(mappings, 2, NULL);
	harness.nexus = harness_new_nexus("iqn.2026-11.org.example:host,i,0x00023d000001", 1);
	harness.other = harness_new_nexus("iqn.2026-11.org.example:host,i,0x00023d000002", 1);
	harness_clear_attention(harness.nexus, 0);
	harness_clear_attention(harness.other, 0);
}

static void end_unit(void)
{
	if (harness.nexus != NULL)
		harness_close_nexus(harness.nexus);
	if (harness.other != NULL)
		harness_close_nexus(harness.other);
	harness_turn();
	scsi_lun_map_drop(harness.map);
	scsi_logical_unit_destroy(harness.unit);
	fake_store_free(harness.store);
}

void harness_setup(void)
{
	ck_assert_int_eq(rt_workers_adopt_current(&harness.worker, MEMORY_BYTES), 0);
	harness_default_spec();
	make_unit((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
}

void harness_restart(uint64_t size_bytes, uint32_t store_flags)
{
	end_unit();
	make_unit(size_bytes, store_flags);
}

void harness_teardown(void)
{
	end_unit();
	rt_workers_release_current();
}

void harness_turn(void)
{
	rt_loop_turn(harness.worker->loop, 0);
}

static void note_closed(void *context, bool all_ended)
{
	ck_assert(all_ended);
	*(bool *)context = true;
}

void harness_close_nexus(struct scsi_nexus *nexus)
{
	bool closed = false;

	scsi_nexus_close(nexus, note_closed, &closed);
	ck_assert(!closed);
	while (!closed)
		rt_loop_turn(harness.worker->loop, 10);
}

static void note_done(struct scsi_command *command)
{
	struct issued *issued = RT_CONTAINER_OF(command, struct issued, command);

	ck_assert(!issued->done);
	issued->done = true;
}

static void note_data_out_cancelled(struct scsi_command *command)
{
	RT_CONTAINER_OF(command, struct issued, command)->data_out_cancelled = true;
}

struct issued *harness_prepare(struct request request)
{
	struct issued *issued = calloc(1, sizeof(*issued));
	struct scsi_command *command = &issued->command;

	command->nexus = request.nexus != NULL ? request.nexus : harness.nexus;
	scsi_lun_encode(request.lun, command->lun);
	memcpy(command->cdb, request.cdb, sizeof(command->cdb));
	command->attribute = request.attribute;
	command->done = note_done;
	command->data_out_cancelled = note_data_out_cancelled;
	issued->done = !scsi_command_prepare(command);
	return issued;
}

void harness_execute(struct issued *issued, const void *data_out, size_t length)
{
	struct scsi_command *command = &issued->command;

	if (length > command->transfer_length || command->direction != SCSI_DATA_OUT)
		length = command->direction == SCSI_DATA_OUT ? command->transfer_length : 0;
	if (length > 0) {
		ck_assert_int_eq(
		    rt_memory_take(harness.worker->memory, RT_MEMORY_SOLICITED, length, &command->data_out), 0);
		rt_segments_write(command->data_out.segments, command->data_out.segment_count, 0, data_out, length);
	}
	command->data_out_length = (uint32_t)length;
	scsi_command_execute(command);
	ck_assert(!issued->done);
}

struct issued *harness_start(struct request request)
{
	struct issued *issued = harness_prepare(request);

	if (!issued->done)
		harness_execute(issued, request.data_out, request.data_out_length);
	return issued;
}

void harness_wait(struct issued *issued)
{
	while (!issued->done)
		rt_loop_turn(harness.worker->loop, 1000);
	if (issued->data == NULL && issued->command.data_in_length > 0) {
		issued->data = malloc(issued->command.data_in_length);
		rt_segments_read(issued->command.data_in.segments, issued->command.data_in.segment_count, 0,
				 issued->data, issued->command.data_in_length);
	}
}

struct issued *harness_run(struct request request)
{
	struct issued *issued = harness_start(request);

	harness_wait(issued);
	return issued;
}

void harness_free(struct issued *issued)
{
	ck_assert(issued->done);
	scsi_command_release(&issued->command);
	rt_memory_give(harness.worker->memory, &issued->command.data_out);
	free(issued->data);
	free(issued);
}

void harness_expect_status(struct request request, uint8_t status)
{
	struct issued *issued = harness_run(request);

	ck_assert_uint_eq(issued->command.status, status);
	harness_free(issued);
}

void harness_expect_good(struct request request)
{
	struct issued *issued = harness_run(request);

	if (issued->command.status != SCSI_GOOD)
		ck_abort_msg("opcode %02x: status %02x, sense %02x/%02x%02x", request.cdb[0], issued->command.status,
			     issued->command.sense[2], issued->command.sense[12], issued->command.sense[13]);
	harness_free(issued);
}

void harness_check_sense(const struct issued *issued, uint8_t key, uint16_t asc)
{
	const uint8_t *sense = issued->command.sense;

	ck_assert_uint_eq(issued->command.status, SCSI_CHECK_CONDITION);
	ck_assert_uint_eq(sense[0] & 0x7f, 0x70);
	ck_assert_uint_eq(issued->command.sense_length, 18);
	ck_assert_uint_eq(issued->command.data_in_length, 0);
	ck_assert_msg(sense[2] == key && rt_get_be16(sense + 12) == asc,
		      "opcode %02x: key %x asc %04x, expected %x %04x", issued->command.cdb[0], sense[2],
		      rt_get_be16(sense + 12), key, asc);
}

void harness_expect_sense(struct request request, uint8_t key, uint16_t asc)
{
	struct issued *issued = harness_run(request);

	harness_check_sense(issued, key, asc);
	harness_free(issued);
}

void harness_clear_attention(struct scsi_nexus *nexus, uint16_t lun)
{
	harness_expect_sense((struct request){.nexus = nexus, .lun = lun, .cdb = TEST_UNIT_READY},
			     SCSI_KEY_UNIT_ATTENTION, 0x2900);
}

struct managed {
	struct scsi_task_management function;
	bool done;
};

static void note_managed(struct scsi_task_management *function)
{
	RT_CONTAINER_OF(function, struct managed, function)->done = true;
}

enum scsi_task_response harness_manage(enum scsi_task_function function, struct issued *referenced, bool release)
{
	struct managed managed = {
	    .function = {.nexus = harness.nexus,
			 .function = function,
			 .referenced = referenced != NULL ? &referenced->command : NULL,
			 .done = note_managed},
	};

	scsi_task_management_start(&managed.function);
	ck_assert(!managed.done);
	if (release)
		fake_store_release(harness.store);
	while (!managed.done)
		rt_loop_turn(harness.worker->loop, 1000);
	return managed.function.response;
}
