/* SPDX-License-Identifier: Apache-2.0
 *
 * The command layer: CDBs and parameter data straight into core/scsi, without iSCSI around them, down to a store in
 * memory.
 *
 * Input: a byte that configures the unit, then commands: a byte of choices, a byte that addresses it, the CDB, two
 * bytes that say how much data the initiator announces, two that say how much of it is given, and that data.
 */
#include <string.h>

#include "fuzz/fuzz.h"
#include "rt/bytes.h"
#include "rt/log.h"
#include "rt/worker.h"
#include "scsi/command.h"
#include "scsi/logical_unit.h"
#include "scsi/sense.h"
#include "scsi/task_management.h"
#include "unit/scsi/fake_store.h"

/* The unit. */
enum { LARGE_BLOCKS = 1, THICK = 2, REMOVABLE = 4, READ_ONLY = 8, BARE = 16, CANCELLABLE = 32, MIXED_BLOCKS = 64 };
/* A command. */
enum {
	OTHER_NEXUS = 1,
	ATTRIBUTE = 6, /* ORDERED and so on: two bits */
	HOLD = 8,      /* the store keeps what comes from now on, until a command without this */
	RESET = 16,    /* LOGICAL UNIT RESET while it is under way */
	ABORT = 32,    /* ABORT TASK */
	NOT_SENT = 64, /* its data-out fails in transport */
	FAIL = 128,    /* the store fails an operation */
};

enum {
	MEMORY_BYTES = 64 << 20,
	STORE_BYTES = 256 << 10,
	OTHER_LUN = 300,
	MOST_COMMANDS = 48,
	MOST_DATA_BYTES = 64 << 10,
	MOST_UNDER_WAY = 64,
	TURNS_FOR_A_COMMAND = 20,
	MOST_TURNS = 4000,
};

static struct rt_worker *worker;

struct issued {
	struct scsi_command command;
	bool used, done;
};

struct fixture {
	struct store *store, *other_store;
	struct scsi_logical_unit *unit, *other_unit;
	struct scsi_lun_map *map;
	struct scsi_nexus *nexus[2];
	unsigned nexuses_open;
	struct issued issued[MOST_UNDER_WAY];
};

static struct fixture fixture;

struct input {
	const uint8_t *next;
	size_t left;
};

static uint8_t take_byte(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->next++;
}

static size_t take_16(struct input *input)
{
	size_t high = take_byte(input);

	return high << 8 | take_byte(input);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	rt_log_set_level(RT_LOG_ERROR);
	FUZZ_REQUIRE(rt_workers_adopt_current(&worker, MEMORY_BYTES) == 0);
	return 0;
}

/* ---- The unit --------------------------------------------------------------------------------------------------- */

static struct scsi_logical_unit *make_unit(uint8_t config, struct store *store, const char *serial)
{
	struct scsi_logical_unit_spec spec = {
	    .name = "fake:memory",
	    .store = store,
	    .logical_block_bytes = config & LARGE_BLOCKS ? 4096 : 512,
	    .serial = serial,
	    .thin = !(config & THICK),
	    .removable = (config & REMOVABLE) != 0,
	    .read_only = (config & READ_ONLY) != 0,
	    .write_cache = true,
	    .persistent_reservations = !(config & BARE),
	    .compare_and_write = !(config & BARE),
	    .orwrite = !(config & BARE),
	    .extended_copy = !(config & BARE),
	    .unmap = !(config & BARE),
	    .command_timeout_us = 25000000,
	    .task_management_timeout_us = 1000,
	};
	struct scsi_logical_unit *unit;

	FUZZ_REQUIRE(scsi_logical_unit_create(&spec, &unit) == 0);
	return unit;
}

static struct scsi_nexus *make_nexus(const char *initiator_port)
{
	struct scsi_nexus_spec spec = {
	    .initiator_port = initiator_port,
	    .initiator_name = "iqn.2026-11.org.example:fuzz",
	    .target_name = "iqn.2026-11.org.example:disk",
	    .target_port_group_tag = 1,
	    .relative_target_port_id = 1,
	    .lun_map = fixture.map,
	    .newer_functions = true,
	};
	struct scsi_nexus *nexus;

	FUZZ_REQUIRE(scsi_nexus_create(&spec, &nexus) == 0);
	fixture.nexuses_open++;
	return nexus;
}

static void make_fixture(uint8_t config)
{
	uint32_t flags = TGTKIT_CAN_FLUSH;
	struct scsi_lun_mapping mappings[2] = {{.lun = 0}, {.lun = OTHER_LUN}};

	if (!(config & BARE))
		flags |= TGTKIT_CAN_FUA | TGTKIT_CAN_DISCARD | TGTKIT_DISCARD_READS_ZERO | TGTKIT_CAN_ZERO |
			 TGTKIT_CAN_EXTENTS | TGTKIT_VOLATILE_CACHE;
	fixture.store = fake_store_new(STORE_BYTES, flags);
	fixture.other_store = fake_store_new(STORE_BYTES / 2, flags);
	fixture.store->cancellable = (config & CANCELLABLE) != 0;
	fixture.unit = make_unit(config, fixture.store, "6f9619ff-8b86-d011-b42d-00c04fc964ff");
	fixture.other_unit =
	    make_unit(config & MIXED_BLOCKS ? config ^ LARGE_BLOCKS : config, fixture.other_store, "another");
	mappings[0].unit = fixture.unit;
	mappings[1].unit = fixture.other_unit;
	fixture.map = scsi_lun_map_create(mappings, 2, NULL);
	fixture.nexus[0] = make_nexus("iqn.2026-11.org.example:fuzz,i,0x00023d000001");
	fixture.nexus[1] = make_nexus("iqn.2026-11.org.example:fuzz,i,0x00023d000002");
}

/* ---- What must hold of an answer -------------------------------------------------------------------------------- */

static void check_sense(const struct scsi_command *command)
{
	const uint8_t *sense = command->sense;
	uint8_t format = sense[0] & 0x7f;

	FUZZ_REQUIRE(command->sense_length >= 8 && command->sense_length <= SCSI_SENSE_BYTES);
	FUZZ_REQUIRE(format >= 0x70 && format <= 0x73);
	FUZZ_REQUIRE(command->sense_length == sense[7] + 8u);
}

static void check_answer(const struct scsi_command *command)
{
	switch ((enum scsi_status)command->status) {
	case SCSI_GOOD:
	case SCSI_CONDITION_MET:
	case SCSI_BUSY:
	case SCSI_RESERVATION_CONFLICT:
	case SCSI_TASK_SET_FULL:
	case SCSI_TASK_ABORTED:
		FUZZ_REQUIRE(command->sense_length == 0);
		break;
	case SCSI_CHECK_CONDITION:
		check_sense(command);
		break;
	default:
		FUZZ_REQUIRE(!"a status that exists");
	}
	FUZZ_REQUIRE(command->data_in_length <= command->data_in.length_bytes);
	FUZZ_REQUIRE(command->data_in_length == 0 || command->direction == SCSI_DATA_IN);
	FUZZ_REQUIRE(command->data_in_length == 0 || command->data_in_length <= command->transfer_length);
}

/* ---- Commands --------------------------------------------------------------------------------------------------- */

static void turn(void)
{
	rt_loop_turn(worker->loop, 0);
}

static void note_done(struct scsi_command *command)
{
	struct issued *issued = RT_CONTAINER_OF(command, struct issued, command);

	FUZZ_REQUIRE(issued->used && !issued->done);
	issued->done = true;
}

static void note_data_out_cancelled(struct scsi_command *command)
{
	(void)command;
}

static void free_issued(struct issued *issued)
{
	check_answer(&issued->command);
	scsi_command_release(&issued->command);
	rt_memory_give(worker->memory, &issued->command.data_out);
	issued->used = false;
}

/* Those that have ended. */
static void reap(void)
{
	for (unsigned i = 0; i < MOST_UNDER_WAY; i++)
		if (fixture.issued[i].used && fixture.issued[i].done)
			free_issued(&fixture.issued[i]);
}

static struct issued *take_issued(void)
{
	for (unsigned i = 0; i < MOST_UNDER_WAY; i++) {
		struct issued *issued = &fixture.issued[i];

		if (issued->used)
			continue;
		/* As a transport does: what was there before is not cleared away whole. */
		scsi_command_clear(&issued->command);
		issued->used = true;
		issued->done = false;
		return issued;
	}
	return NULL;
}

static bool give_data(struct scsi_command *command, size_t announced, struct input *input)
{
	size_t length = announced < command->transfer_length ? announced : command->transfer_length;
	size_t given = take_16(input);

	if (command->direction != SCSI_DATA_OUT)
		return true;
	if (given > input->left)
		given = input->left;
	if (length > 0 && rt_memory_take(worker->memory, RT_MEMORY_SOLICITED, length, &command->data_out) != 0)
		return false;
	rt_segments_zero(command->data_out.segments, command->data_out.segment_count, 0, length);
	rt_segments_write(command->data_out.segments, command->data_out.segment_count, 0, input->next,
			  given < length ? given : length);
	input->next += given;
	input->left -= given;
	command->data_out_length = (uint32_t)length;
	return true;
}

struct managed {
	struct scsi_task_management function;
	bool done;
};

static void note_managed(struct scsi_task_management *function)
{
	RT_CONTAINER_OF(function, struct managed, function)->done = true;
}

/* The store has let go, or the time limit passes: it is always answered. */
static void manage(enum scsi_task_function function, struct issued *issued)
{
	struct managed managed = {.function = {.nexus = issued->command.nexus,
					       .function = function,
					       .referenced = function == SCSI_ABORT_TASK ? &issued->command : NULL,
					       .done = note_managed}};
	unsigned turns = 0;

	memcpy(managed.function.lun, issued->command.lun, sizeof(managed.function.lun));
	scsi_task_management_start(&managed.function);
	while (!managed.done) {
		FUZZ_REQUIRE(++turns < MOST_TURNS);
		rt_loop_turn(worker->loop, turns < 10 ? 0 : 1000);
	}
}

static void address(struct scsi_command *command, uint8_t choice)
{
	static const uint8_t report_luns[8] = {0xc1, 0x01};

	switch (choice % 8) {
	case 0:
		scsi_lun_encode(OTHER_LUN, command->lun);
		break;
	case 1:
		scsi_lun_encode(7, command->lun);
		break;
	case 2:
		memcpy(command->lun, report_luns, sizeof(report_luns));
		break;
	case 3:
		memset(command->lun, choice, sizeof(command->lun));
		break;
	default:
		scsi_lun_encode(0, command->lun);
	}
}

static void run_command(struct input *input)
{
	uint8_t choices = take_byte(input), addressed = take_byte(input);
	struct issued *issued = take_issued();
	struct scsi_command *command;
	size_t announced;

	if (issued == NULL)
		return;
	command = &issued->command;
	command->nexus = fixture.nexus[(choices & OTHER_NEXUS) != 0];
	address(command, addressed);
	for (unsigned i = 0; i < sizeof(command->cdb); i++)
		command->cdb[i] = take_byte(input);
	command->attribute = (enum scsi_task_attribute)((choices & ATTRIBUTE) >> 1);
	command->done = note_done;
	command->data_out_cancelled = note_data_out_cancelled;
	announced = take_16(input);
	command->expected_data_out_length = (uint32_t)announced;
	if (choices & HOLD)
		fixture.store->hold_all = fixture.other_store->hold_all = true;
	if (choices & FAIL) {
		fixture.store->fail_operation = 1 + addressed % (FAKE_OPERATIONS - 1);
		fixture.store->fail_status = -5;
	}
	if (!scsi_command_prepare(command)) {
		free_issued(issued);
		take_16(input);
		return;
	}
	if (!give_data(command, announced, input) || (choices & NOT_SENT)) {
		scsi_command_fail_transport(command, SCSI_KEY_ABORTED_COMMAND, 0x47, 0x05);
		free_issued(issued);
		return;
	}
	scsi_command_execute(command);
	if (choices & ABORT)
		manage(SCSI_ABORT_TASK, issued);
	else if (choices & RESET)
		manage(SCSI_LOGICAL_UNIT_RESET, issued);
	for (unsigned i = 0; i < TURNS_FOR_A_COMMAND && !issued->done; i++)
		turn();
	if (!(choices & HOLD)) {
		fake_store_release(fixture.store);
		fake_store_release(fixture.other_store);
	}
	reap();
}

/* ---- The end: everything that was taken has been given back ------------------------------------------------------ */

static void note_closed(void *context, bool all_ended)
{
	(void)context;
	(void)all_ended;
	fixture.nexuses_open--;
}

static bool is_quiet(void)
{
	struct rt_memory_usage usage = rt_memory_usage(worker->memory);

	reap();
	for (unsigned i = 0; i < RT_MEMORY_CLASSES; i++)
		if (usage.used_bytes[i])
			return false;
	for (unsigned i = 0; i < MOST_UNDER_WAY; i++)
		if (fixture.issued[i].used)
			return false;
	return fixture.nexuses_open == 0 && fixture.store->under_way == 0 && fixture.other_store->under_way == 0;
}

struct quieted {
	struct scsi_unit_quiesce quiesce;
	bool done;
};

static void note_quiet(struct rt_post *post)
{
	RT_CONTAINER_OF(post, struct quieted, quiesce.done)->done = true;
}

/* What goes on without its command, SANITIZE, ends with its step. */
static void end_background(struct scsi_logical_unit *unit)
{
	struct quieted quieted = {.quiesce = {.done.run = note_quiet, .reply_to = worker->loop}};
	unsigned turns = 0;

	scsi_logical_unit_quiesce(unit, &quieted.quiesce);
	while (!quieted.done) {
		FUZZ_REQUIRE(++turns < MOST_TURNS);
		rt_loop_turn(worker->loop, turns < 10 ? 0 : 1000);
	}
}

static void end(void)
{
	unsigned turns = 0;

	for (unsigned i = 0; i < 2; i++)
		scsi_nexus_close(fixture.nexus[i], note_closed, NULL);
	fake_store_release(fixture.store);
	fake_store_release(fixture.other_store);
	end_background(fixture.unit);
	end_background(fixture.other_unit);
	while (!is_quiet()) {
		FUZZ_REQUIRE(++turns < MOST_TURNS);
		rt_loop_turn(worker->loop, turns < 10 ? 0 : 1000);
	}
	turn();
	scsi_lun_map_drop(fixture.map);
	scsi_logical_unit_destroy(fixture.unit);
	scsi_logical_unit_destroy(fixture.other_unit);
	fake_store_free(fixture.store);
	fake_store_free(fixture.other_store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {.next = data, .left = size};

	memset(&fixture, 0, offsetof(struct fixture, issued));
	for (unsigned i = 0; i < MOST_UNDER_WAY; i++)
		fixture.issued[i].used = false;
	make_fixture(take_byte(&input));
	for (unsigned i = 0; i < MOST_COMMANDS && input.left > 0; i++)
		run_command(&input);
	end();
	return 0;
}
