/* SPDX-License-Identifier: Apache-2.0
 *
 * COMPARE AND WRITE and ORWRITE, on one worker and on several at once.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rt/bytes.h"
#include "unit/scsi/harness.h"

Suite *compare_and_write_suite(void);

enum { BLOCKS = 3, LENGTH = BLOCKS * 512 };

static uint8_t data[2 * LENGTH];

static void setup(void)
{
	harness_setup();
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 5 + i / 512 + 1);
	memcpy(harness.store->memory + 100 * 512, data, LENGTH);
}

static struct request compare_and_write(uint64_t lba, uint8_t blocks)
{
	return (struct request){
	    .cdb = {0x89, 0, BE64(lba), 0, 0, 0, blocks, 0, 0}, .data_out = data, .data_out_length = 1024u * blocks};
}

START_TEST(equal_blocks_are_replaced)
{
	harness_expect_good(compare_and_write(100, BLOCKS));
	ck_assert_mem_eq(harness.store->memory + 100 * 512, data + LENGTH, LENGTH);
}
END_TEST

START_TEST(miscompare_says_where_and_writes_nothing)
{
	struct issued *issued;

	harness.store->memory[100 * 512 + 700] ^= 0x10;
	issued = harness_run(compare_and_write(100, BLOCKS));
	harness_check_sense(issued, SCSI_KEY_MISCOMPARE, 0x1d00);
	ck_assert_uint_eq(issued->command.sense[0], 0xf0);
	ck_assert_uint_eq(rt_get_be32(issued->command.sense + 3), 700);
	ck_assert_uint_eq(harness.store->count[TGTKIT_WRITE], 0);
	harness_free(issued);
}
END_TEST

START_TEST(zero_blocks_and_half_the_data)
{
	struct request request = compare_and_write(100, BLOCKS);

	harness_expect_good(compare_and_write(100, 0));
	request.data_out_length = LENGTH;
	harness_expect_sense(request, 5, SCSI_ASC_INVALID_FIELD_IN_CDB);
	request.data_out_length = 3 * LENGTH;
	harness_expect_sense(request, 5, SCSI_ASC_INVALID_FIELD_IN_CDB);
	ck_assert_uint_eq(harness.store->count[TGTKIT_READ], 0);
}
END_TEST

START_TEST(overlapping_commands_wait_for_it)
{
	struct issued *compare, *write, *read, *elsewhere, *second;

	harness.store->hold_operation = TGTKIT_READ;
	compare = harness_start(compare_and_write(100, BLOCKS));
	while (fake_store_held(harness.store) == 0)
		harness_turn();
	write = harness_start((struct request){
	    .nexus = harness.other, .cdb = WRITE_10(102, 1), .data_out = data, .data_out_length = 512});
	read = harness_start((struct request){.nexus = harness.other, .cdb = READ_10(99, 2)});
	second = harness_start(compare_and_write(102, 1));
	elsewhere = harness_start((struct request){.cdb = WRITE_10(103, 1), .data_out = data, .data_out_length = 512});
	harness_wait(elsewhere);
	ck_assert(!write->done && !read->done && !second->done && !compare->done);
	ck_assert_uint_eq(harness.store->count[TGTKIT_READ], 1);
	fake_store_release(harness.store);
	harness_wait(compare);
	ck_assert_uint_eq(compare->command.status, SCSI_GOOD);
	harness_wait(write);
	harness_wait(read);
	harness_wait(second);
	harness_check_sense(second, SCSI_KEY_MISCOMPARE, 0x1d00);
	harness_free(compare);
	harness_free(write);
	harness_free(read);
	harness_free(elsewhere);
	harness_free(second);
}
END_TEST

START_TEST(it_waits_for_what_is_executing)
{
	struct issued *write, *compare;

	harness.store->hold_operation = TGTKIT_WRITE;
	write = harness_start((struct request){.cdb = WRITE_10(101, 1), .data_out = data, .data_out_length = 512});
	compare = harness_start(compare_and_write(100, BLOCKS));
	harness_turn();
	ck_assert_uint_eq(harness.store->count[TGTKIT_READ], 0);
	fake_store_release(harness.store);
	harness_wait(write);
	harness_wait(compare);
	harness_check_sense(compare, SCSI_KEY_MISCOMPARE, 0x1d00);
	harness_free(write);
	harness_free(compare);
}
END_TEST

START_TEST(aborted_while_it_waits_lets_others_go_on)
{
	struct issued *first, *second, *parked;

	harness.store->hold_operation = TGTKIT_READ;
	first = harness_start(compare_and_write(100, 1));
	second = harness_start(compare_and_write(100, 1));
	parked = harness_start((struct request){.cdb = WRITE_10(100, 1), .data_out = data, .data_out_length = 512});
	ck_assert_int_eq(harness_manage(SCSI_ABORT_TASK, second, false), SCSI_FUNCTION_COMPLETE);
	ck_assert_int_eq(harness_manage(SCSI_ABORT_TASK, parked, false), SCSI_FUNCTION_COMPLETE);
	ck_assert(second->command.aborted && parked->command.aborted);
	fake_store_release(harness.store);
	harness_wait(first);
	ck_assert_uint_eq(harness.store->count[TGTKIT_WRITE], 1);
	harness_expect_good((struct request){.cdb = WRITE_10(100, 1), .data_out = data, .data_out_length = 512});
	harness_free(first);
	harness_free(second);
	harness_free(parked);
}
END_TEST

START_TEST(too_many_blocks_for_the_unit)
{
	harness.spec.maximum_transfer_bytes = 64 << 10;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	harness_expect_sense(compare_and_write(0, 65), 5, SCSI_ASC_INVALID_FIELD_IN_CDB);
}
END_TEST

START_TEST(orwrite_ors_in_steps)
{
	enum { MANY = 1024 };
	uint8_t *bits = malloc(MANY * 512);

	memset(bits, 0x0f, MANY * 512);
	memset(harness.store->memory, 0xa0, MANY * 512);
	harness_expect_good((struct request){
	    .cdb = {0x8b, 0, BE64(0), BE32(MANY), 0, 0}, .data_out = bits, .data_out_length = MANY * 512});
	for (size_t i = 0; i < MANY * 512; i++)
		ck_assert_uint_eq(harness.store->memory[i], 0xaf);
	ck_assert_uint_eq(harness.store->count[TGTKIT_WRITE], 2);
	free(bits);
}
END_TEST

START_TEST(switched_off_they_are_no_commands)
{
	harness.spec.compare_and_write = harness.spec.orwrite = false;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	harness_expect_sense(compare_and_write(0, 1), 5, SCSI_ASC_INVALID_COMMAND_OPERATION_CODE);
	harness_expect_sense((struct request){.cdb = {0x8b}}, 5, SCSI_ASC_INVALID_COMMAND_OPERATION_CODE);
}
END_TEST

/* Several workers, each with a nexus that counts up the same block by COMPARE AND WRITE: no step may be lost. */
enum { WORKERS = 3, STEPS = 200 };

struct counter {
	struct rt_post start;
	struct scsi_nexus *nexus;
	struct scsi_lun_map *map;
	struct scsi_command command;
	struct rt_deferred next;
	uint64_t expected;
	unsigned steps_left;
};

static atomic_uint counters_running;

static void count_on(struct counter *counter);

static void step_is_done(struct scsi_command *command)
{
	struct counter *counter = RT_CONTAINER_OF(command, struct counter, command);
	struct rt_memory *memory = rt_worker_current()->memory;

	if (command->cdb[0] == 0x28 && command->status != SCSI_GOOD)
		command->cdb[0] = 0; /* the power-on attention, once: read again */
	else if (command->cdb[0] == 0x28)
		rt_segments_read(command->data_in.segments, command->data_in.segment_count, 0, &counter->expected, 8);
	else if (command->status == SCSI_GOOD)
		counter->steps_left--;
	scsi_command_release(command);
	rt_memory_give(memory, &command->data_out);
	rt_loop_defer(rt_loop_current(), RT_PHASE_SEND, &counter->next);
}

static void issue(struct counter *counter, bool compare)
{
	struct scsi_command *command = &counter->command;
	static const uint8_t read[16] = READ_10(7, 1), compare_and_write_1[16] = {0x89, [9] = 7, [13] = 1};
	uint64_t values[128] = {counter->expected};

	memset(command, 0, sizeof(*command));
	command->expected_data_out_length = compare ? 1024 : 0;
	command->nexus = counter->nexus;
	command->done = step_is_done;
	memcpy(command->cdb, compare ? compare_and_write_1 : read, 16);
	if (!scsi_command_prepare(command)) {
		step_is_done(command);
		return;
	}
	if (compare) {
		values[64] = counter->expected + 1;
		ck_assert_int_eq(
		    rt_memory_take(rt_worker_current()->memory, RT_MEMORY_SOLICITED, 1024, &command->data_out), 0);
		rt_segments_write(command->data_out.segments, command->data_out.segment_count, 0, values, 1024);
		command->data_out_length = 1024;
	}
	scsi_command_execute(command);
}

static void note_nexus_closed(void *context, bool all_ended)
{
	struct counter *counter = context;

	ck_assert(all_ended);
	(void)counter;
	atomic_fetch_sub(&counters_running, 1);
}

static void count_on(struct counter *counter)
{
	if (counter->steps_left == 0)
		scsi_nexus_close(counter->nexus, note_nexus_closed, counter);
	else
		issue(counter, counter->command.cdb[0] == 0x28); /* read, then compare with what was read */
}

static void run_next(struct rt_deferred *deferred)
{
	count_on(RT_CONTAINER_OF(deferred, struct counter, next));
}

static void start_counter(struct rt_post *post)
{
	struct counter *counter = RT_CONTAINER_OF(post, struct counter, start);
	struct scsi_nexus_spec spec = {.initiator_port = "iqn.2026-11.org.example:host,i,0x000000000001",
				       .initiator_name = "iqn.2026-11.org.example:host",
				       .target_name = "iqn.2026-11.org.example:disk",
				       .relative_target_port_id = 1,
				       .lun_map = counter->map};

	ck_assert_int_eq(scsi_nexus_create(&spec, &counter->nexus), 0);
	counter->next.run = run_next;
	count_on(counter);
}

START_TEST(no_step_is_lost_between_workers)
{
	struct rt_workers_options options = {.count = WORKERS, .memory_limit_bytes = WORKERS * (16u << 20)};
	struct counter counters[WORKERS] = {0};
	struct scsi_lun_mapping mapping = {0};
	uint64_t total;

	harness_default_spec();
	ck_assert_int_eq(rt_workers_start(&options), 0);
	harness.store = harness.spec.store = fake_store_new(1 << 20, HARNESS_FLAGS);
	ck_assert_int_eq(scsi_logical_unit_create(&harness.spec, &harness.unit), 0);
	mapping.unit = harness.unit;
	harness.map = scsi_lun_map_create(&mapping, 1, NULL);
	atomic_store(&counters_running, WORKERS);
	for (unsigned i = 0; i < WORKERS; i++) {
		counters[i] = (struct counter){.start.run = start_counter, .map = harness.map, .steps_left = STEPS};
		rt_loop_post(rt_worker_get(i)->loop, &counters[i].start);
	}
	while (atomic_load(&counters_running) > 0)
		usleep(1000);
	rt_workers_stop();
	memcpy(&total, harness.store->memory + 7 * 512, 8);
	ck_assert_uint_eq(total, WORKERS * STEPS);
	scsi_lun_map_drop(harness.map);
	scsi_logical_unit_destroy(harness.unit);
	fake_store_free(harness.store);
}
END_TEST

Suite *compare_and_write_suite(void)
{
	Suite *suite = suite_create("compare_and_write");
	TCase *tests = tcase_create("one worker"), *threads = tcase_create("several workers");

	harness_add_fixture(tests, setup, harness_teardown);
	tcase_add_test(tests, equal_blocks_are_replaced);
	tcase_add_test(tests, miscompare_says_where_and_writes_nothing);
	tcase_add_test(tests, zero_blocks_and_half_the_data);
	tcase_add_test(tests, overlapping_commands_wait_for_it);
	tcase_add_test(tests, it_waits_for_what_is_executing);
	tcase_add_test(tests, aborted_while_it_waits_lets_others_go_on);
	tcase_add_test(tests, too_many_blocks_for_the_unit);
	tcase_add_test(tests, orwrite_ors_in_steps);
	tcase_add_test(tests, switched_off_they_are_no_commands);
	suite_add_tcase(suite, tests);
	tcase_set_timeout(threads, HARNESS_DEADLINE_S);
	tcase_add_test(threads, no_step_is_lost_between_workers);
	suite_add_tcase(suite, threads);
	return suite;
}
