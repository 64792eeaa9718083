/* SPDX-License-Identifier: Apache-2.0
 *
 * Without memory a command is answered BUSY, has changed nothing, and succeeds when there is some again.  The program
 * is linked so that calloc and malloc come here first; each test lets every allocation of a command fail in turn.
 */
#include <stdlib.h>
#include <string.h>

#include "rt/bytes.h"
#include "unit/scsi/harness.h"

Suite *no_memory_suite(void);

void *__real_calloc(size_t count, size_t size);
void *__real_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);

static unsigned fails_at; /* the one that fails, counted from 1; 0: none */
static unsigned asked_for;

static bool fails(void)
{
	return fails_at != 0 && ++asked_for == fails_at;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

enum { BLOCK = 512, KEY = 0xa1 };

static uint8_t data[8192];

static void setup(void)
{
	memset(data, 0, sizeof(data));
	harness_setup();
}

static void take_data(struct issued *issued, const void *bytes, size_t length)
{
	struct scsi_command *command = &issued->command;

	command->data_out_length = (uint32_t)length;
	if (length == 0)
		return;
	ck_assert_int_eq(rt_memory_take(harness.worker->memory, RT_MEMORY_SOLICITED, length, &command->data_out), 0);
	rt_segments_write(command->data_out.segments, command->data_out.segment_count, 0, bytes, length);
}

static void note_done(struct scsi_command *command)
{
	RT_CONTAINER_OF(command, struct issued, command)->done = true;
}

/* Runs it while the allocation `number` fails.  Whether there was one; its status goes to *status.  Nothing of Check's
 * is called meanwhile, as it allocates, too. */
static bool run_failing(struct request request, unsigned number, uint8_t *status)
{
	struct issued *issued = harness_prepare(request);
	bool failed;

	ck_assert(!issued->done);
	take_data(issued, request.data_out, request.data_out_length);
	issued->command.done = note_done;
	asked_for = 0;
	fails_at = number;
	scsi_command_execute(&issued->command);
	while (!issued->done)
		rt_loop_turn(harness.worker->loop, 1000);
	failed = asked_for >= number;
	fails_at = 0;
	*status = issued->command.status;
	harness_free(issued);
	return failed;
}

/* Each time that it is BUSY, `is_unchanged` has to hold.  Returns how often it was; then it has been good. */
static unsigned busy_until_good(struct request request, void (*is_unchanged)(void))
{
	unsigned busy = 0;
	uint8_t status;

	for (unsigned number = 1; run_failing(request, number, &status); number++) {
		ck_assert_msg(status == SCSI_BUSY, "opcode %02x, allocation %u: status %02x", request.cdb[0], number,
			      status);
		is_unchanged();
		busy++;
	}
	ck_assert_uint_eq(status, SCSI_GOOD);
	return busy;
}

static void blocks_are_unchanged(void)
{
	static const uint8_t zeros[4 * BLOCK];

	ck_assert_mem_eq(harness.store->memory, zeros, sizeof(zeros));
}

START_TEST(commands_on_blocks)
{
	struct request request = {.data_out = data, .data_out_length = 2 * BLOCK};

	memset(data + BLOCK, 0xee, BLOCK);
	memcpy(request.cdb, (uint8_t[16]){0x89, [13] = 1}, 16); /* COMPARE AND WRITE: lock, visit, state */
	ck_assert_uint_eq(busy_until_good(request, blocks_are_unchanged), 3);
	ck_assert_uint_eq(harness.store->memory[0], 0xee);
	memset(harness.store->memory, 0, BLOCK);
	memcpy(request.cdb, (uint8_t[16]){0x8b, [13] = 2}, 16); /* ORWRITE(16): likewise */
	ck_assert_uint_eq(busy_until_good(request, blocks_are_unchanged), 3);
	ck_assert_uint_eq(harness.store->memory[BLOCK], 0xee);
	memset(harness.store->memory, 0, 2 * BLOCK);
	memcpy(request.cdb, (uint8_t[16])WRITE_10(0, 4), 16); /* of which less came */
	ck_assert_uint_eq(busy_until_good(request, blocks_are_unchanged), 1);
	ck_assert_uint_eq(harness.store->memory[BLOCK], 0xee);
	memset(harness.store->memory, 0, 2 * BLOCK);
	request.data_out = data + BLOCK;
	request.data_out_length = BLOCK;
	memcpy(request.cdb, (uint8_t[16]){0x93, [13] = 4}, 16); /* WRITE SAME(16) of what is not zero */
	ck_assert_uint_eq(busy_until_good(request, blocks_are_unchanged), 1);
	ck_assert_uint_eq(harness.store->memory[3 * BLOCK], 0xee);
}
END_TEST

START_TEST(commands_that_only_look)
{
	static const uint8_t cdbs[][16] = {
	    {0x9e, 0x12, [13] = 24},		/* GET LBA STATUS */
	    {0x4d, 0, 0x4c, 0, 0, 0, 0, 0, 16}, /* LOG SENSE, logical block provisioning */
	    {0x8f, [13] = 4},			/* VERIFY(16) */
	};
	struct request request = {0};

	memcpy(request.cdb, cdbs[_i], 16);
	ck_assert_uint_eq(busy_until_good(request, blocks_are_unchanged), 1);
}
END_TEST

/* Whether the other nexus may do what only a reservation stops. */
static bool other_is_refused(void)
{
	struct issued *issued = harness_run((struct request){.nexus = harness.other, .cdb = READ_10(0, 1)});
	bool refused = issued->command.status == SCSI_RESERVATION_CONFLICT;

	ck_assert(refused || issued->command.status == SCSI_GOOD);
	harness_free(issued);
	return refused;
}

static void nothing_is_reserved(void)
{
	ck_assert(!other_is_refused());
}

static void it_is_reserved(void)
{
	ck_assert(other_is_refused());
}

/* A reservation is never half in force: not held by the one and unknown to the others, nor the other way round. */
START_TEST(legacy_reservations)
{
	struct request reserve = {.cdb = {0x16}}, release = {.cdb = {0x17}};

	ck_assert_uint_ge(busy_until_good(reserve, nothing_is_reserved), 4);
	it_is_reserved();
	ck_assert_uint_ge(busy_until_good(release, it_is_reserved), 4);
	nothing_is_reserved();
	harness_expect_good((struct request){.nexus = harness.other, .cdb = {0x16}});
	harness_expect_good((struct request){.nexus = harness.other, .cdb = {0x17}});
}
END_TEST

static struct request reserve_out(uint8_t action, uint8_t type, uint64_t key, uint64_t other_key)
{
	memset(data, 0, 24);
	rt_put_be64(data, key);
	rt_put_be64(data + 8, other_key);
	return (struct request){
	    .cdb = {0x5f, action, type, 0, 0, BE32(24), 0}, .data_out = data, .data_out_length = 24};
}

static uint32_t registrations(void)
{
	struct issued *issued = harness_run((struct request){.cdb = {0x5e, 0, [8] = 64}});
	uint32_t bytes = rt_get_be32(issued->data + 4);

	harness_free(issued);
	return bytes / 8;
}

static void nobody_is_registered(void)
{
	ck_assert_uint_eq(registrations(), 0);
}

static void one_is_registered_and_nothing_is_reserved(void)
{
	ck_assert_uint_eq(registrations(), 1);
	nothing_is_reserved();
}

static void one_is_registered_and_it_is_reserved(void)
{
	ck_assert_uint_eq(registrations(), 1);
	it_is_reserved();
}

START_TEST(persistent_reservations)
{
	enum { REGISTER = 0, RESERVE = 1, RELEASE = 2, CLEAR = 3, EXCLUSIVE_ACCESS = 3 };

	ck_assert_uint_ge(busy_until_good(reserve_out(REGISTER, 0, 0, KEY), nobody_is_registered), 5);
	ck_assert_uint_ge(
	    busy_until_good(reserve_out(RESERVE, EXCLUSIVE_ACCESS, KEY, 0), one_is_registered_and_nothing_is_reserved),
	    5);
	ck_assert_uint_ge(
	    busy_until_good(reserve_out(RELEASE, EXCLUSIVE_ACCESS, KEY, 0), one_is_registered_and_it_is_reserved), 5);
	ck_assert_uint_ge(busy_until_good(reserve_out(CLEAR, 0, KEY, 0), one_is_registered_and_nothing_is_reserved), 5);
	nobody_is_registered();
}
END_TEST

static void write_cache_is_on(void)
{
	struct issued *issued = harness_run((struct request){.cdb = {0x1a, 0x08, 0x08, 0, 255}});

	ck_assert_uint_eq(issued->data[4 + 2] & 4, 4);
	harness_free(issued);
}

START_TEST(mode_parameters)
{
	data[4] = 0x08;
	data[5] = 0x12;
	ck_assert_uint_ge(
	    busy_until_good((struct request){.cdb = {0x15, 0x10, 0, 0, 24}, .data_out = data, .data_out_length = 24},
			    write_cache_is_on),
	    2);
}
END_TEST

static void group_is_optimized(void)
{
	struct issued *issued = harness_run((struct request){.cdb = {0xa3, 0x0a, [9] = 64}});

	ck_assert_uint_eq(issued->data[4] & 0x0f, 0);
	harness_free(issued);
}

START_TEST(states_of_port_groups)
{
	data[4] = 1;
	data[7] = 1;
	ck_assert_uint_ge(
	    busy_until_good((struct request){.cdb = {0xa4, 0x0a, [9] = 8}, .data_out = data, .data_out_length = 8},
			    group_is_optimized),
	    2);
}
END_TEST

START_TEST(sanitizing)
{
	memcpy(data, "\1\0\0\1\xee", 5);
	ck_assert_uint_ge(
	    busy_until_good((struct request){.cdb = {0x48, 0x01, [8] = 5}, .data_out = data, .data_out_length = 5},
			    blocks_are_unchanged),
	    4);
	ck_assert_uint_eq(harness.store->memory[0], 0xee);
}
END_TEST

/* Of a copy that is done and has a result to be asked for, that is all that may be lost. */
START_TEST(copies)
{
	struct request request = {.cdb = {0x83, 0, [13] = 16}, .data_out = data, .data_out_length = 16};
	unsigned busy = 0;
	uint8_t status;

	data[1] = 0x18; /* no result is held */
	for (unsigned number = 1; run_failing(request, number, &status); number++)
		busy += status == SCSI_BUSY;
	ck_assert_uint_eq(status, SCSI_GOOD);
	ck_assert_uint_eq(busy, 2);
}
END_TEST

/* A LUN that the nexus has not asked for before: it is there, and must not be taken for unmapped. */
START_TEST(first_command_of_a_nexus)
{
	struct request request = {.lun = HARNESS_OTHER_LUN, .cdb = INQUIRY(0, 0, 36)};

	for (unsigned number = 1; number <= 2; number++) {
		struct issued *issued = __real_calloc(1, sizeof(*issued));
		struct scsi_command *command = &issued->command;

		command->nexus = harness.nexus;
		scsi_lun_encode(request.lun, command->lun);
		memcpy(command->cdb, request.cdb, sizeof(command->cdb));
		asked_for = 0;
		fails_at = number;
		ck_assert(!scsi_command_prepare(command));
		fails_at = 0;
		ck_assert_uint_eq(command->status, SCSI_BUSY);
		scsi_command_release(command);
		free(issued);
	}
	harness_expect_good(request);
}
END_TEST

Suite *no_memory_suite(void)
{
	Suite *suite = suite_create("no_memory");
	TCase *tests = tcase_create("no_memory");

	harness_add_fixture(tests, setup, harness_teardown);
	tcase_add_test(tests, commands_on_blocks);
	tcase_add_loop_test(tests, commands_that_only_look, 0, 3);
	tcase_add_test(tests, legacy_reservations);
	tcase_add_test(tests, persistent_reservations);
	tcase_add_test(tests, mode_parameters);
	tcase_add_test(tests, states_of_port_groups);
	tcase_add_test(tests, sanitizing);
	tcase_add_test(tests, copies);
	tcase_add_test(tests, first_command_of_a_nexus);
	suite_add_tcase(suite, tests);
	return suite;
}
