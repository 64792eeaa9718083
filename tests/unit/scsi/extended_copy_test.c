/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "rt/bytes.h"
#include "scsi/extended_copy.h"
#include "unit/scsi/harness.h"

Suite *extended_copy_suite(void);

enum { SECOND_LUN = 7, HEADER = 16, TARGET = 32, SEGMENT = 28, COPY_BLOCKS = 2048 };

static struct store *second_store;
static struct scsi_logical_unit *second_unit;
static uint8_t list[4096];
static size_t targets, segments;

static void setup(void)
{
	struct scsi_logical_unit_spec spec;
	struct scsi_lun_mapping mappings[2];
	struct scsi_lun_map *map;

	harness_setup();
	spec = harness.spec;
	second_store = fake_store_new((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	spec.store = second_store;
	spec.serial = "another";
	ck_assert_int_eq(scsi_logical_unit_create(&spec, &second_unit), 0);
	mappings[0] = (struct scsi_lun_mapping){.lun = 0, .unit = harness.unit};
	mappings[1] = (struct scsi_lun_mapping){.lun = SECOND_LUN, .unit = second_unit};
	map = scsi_lun_map_create(mappings, 2, NULL);
	scsi_nexus_set_lun_map(harness.nexus, map);
	scsi_lun_map_drop(map);
	harness_expect_sense((struct request){.cdb = TEST_UNIT_READY}, 6, 0x3f0e);
	for (size_t i = 0; i < COPY_BLOCKS * 512; i++)
		harness.store->memory[i] = (uint8_t)(i * 3 + i / 512 * 7);
	memset(list, 0, sizeof(list));
	targets = segments = 0;
}

static void teardown(void)
{
	harness_close_nexus(harness.nexus);
	harness.nexus = NULL;
	harness_teardown();
	scsi_logical_unit_destroy(second_unit);
	fake_store_free(second_store);
}

/* Names the unit behind a LUN by the designator that its page 83h begins with. */
static void add_target(uint16_t lun)
{
	uint8_t *target = list + HEADER + TARGET * targets++;
	struct issued *page = harness_run((struct request){.lun = lun, .cdb = INQUIRY(1, 0x83, 1024)});

	target[0] = 0xe4;
	memcpy(target + 4, page->data + 4, 12);
	rt_put_be24(target + 29, 512);
	harness_free(page);
}

static void add_segment(uint16_t from, uint16_t to, uint16_t blocks, uint64_t source, uint64_t destination)
{
	uint8_t *segment = list + HEADER + TARGET * targets + SEGMENT * segments++;

	segment[0] = 0x02;
	segment[3] = 0x18;
	rt_put_be16(segment + 4, from);
	rt_put_be16(segment + 6, to);
	rt_put_be16(segment + 10, blocks);
	rt_put_be64(segment + 12, source);
	rt_put_be64(segment + 20, destination);
}

static struct request copy(uint8_t id)
{
	size_t length = HEADER + TARGET * targets + SEGMENT * segments;

	list[0] = id;
	rt_put_be16(list + 2, (uint16_t)(TARGET * targets));
	rt_put_be32(list + 8, (uint32_t)(SEGMENT * segments));
	return (struct request){.cdb = {0x83, 0, [10] = 0, 0, (uint8_t)(length >> 8), (uint8_t)length},
				.data_out = list,
				.data_out_length = length};
}

static void expect_aborted(uint16_t asc)
{
	harness_expect_sense(copy(1), SCSI_KEY_COPY_ABORTED, asc);
}

START_TEST(blocks_go_to_another_unit)
{
	add_target(0);
	add_target(SECOND_LUN);
	add_segment(0, 1, COPY_BLOCKS, 0, 100);
	add_segment(0, 1, 0, 0, 0);
	add_segment(0, 1, 1, 5, 50);
	harness_expect_good(copy(1));
	ck_assert_mem_eq(second_store->memory + 100 * 512, harness.store->memory, COPY_BLOCKS * 512);
	ck_assert_mem_eq(second_store->memory + 50 * 512, harness.store->memory + 5 * 512, 512);
	/* The power-on attention of the other LUN is left to the initiator. */
	harness_expect_sense((struct request){.lun = SECOND_LUN, .cdb = TEST_UNIT_READY}, 6, 0x2900);
}
END_TEST

START_TEST(overlapping_ranges_of_one_unit)
{
	uint8_t expected[512];

	memcpy(expected, harness.store->memory + (COPY_BLOCKS - 1) * 512, 512);
	add_target(0);
	add_segment(0, 0, COPY_BLOCKS, 0, 10);
	harness_expect_good(copy(1));
	ck_assert_mem_eq(harness.store->memory + (COPY_BLOCKS + 9) * 512, expected, 512);
	ck_assert_mem_eq(harness.store->memory + 20 * 512, harness.store->memory + 10 * 512 + 10 * 512, 512);
	for (size_t i = 0; i < COPY_BLOCKS * 512; i++)
		ck_assert_uint_eq(harness.store->memory[10 * 512 + i], (uint8_t)(i * 3 + i / 512 * 7));
}
END_TEST

START_TEST(ordered_copy_does_not_wait_for_its_own_steps)
{
	struct request request;

	add_target(0);
	add_segment(0, 0, 4, 0, 4000);
	request = copy(1);
	request.attribute = SCSI_ORDERED;
	harness_expect_good(request);
	ck_assert_mem_eq(harness.store->memory + 4000 * 512, harness.store->memory, 4 * 512);
}
END_TEST

START_TEST(nothing_to_copy_is_good)
{
	harness_expect_good((struct request){.cdb = {0x83}});
	harness_expect_good(copy(1));
}
END_TEST

START_TEST(unknown_targets_are_not_reachable)
{
	add_target(0);
	list[HEADER + 10] ^= 1;
	add_segment(0, 0, 1, 0, 1);
	expect_aborted(0x0d02);
}
END_TEST

START_TEST(target_index_is_checked)
{
	add_target(0);
	add_segment(0, 1, 1, 0, 1);
	expect_aborted(0x0d02);
}
END_TEST

START_TEST(ranges_are_checked)
{
	add_target(0);
	add_segment(0, 0, 2, 0, HARNESS_BLOCKS - 1);
	expect_aborted(0x0000);
	segments = 0;
	add_segment(0, 0, 2, UINT64_MAX, 0);
	expect_aborted(0x0000);
	ck_assert_uint_eq(harness.store->count[TGTKIT_WRITE], 0);
}
END_TEST

START_TEST(failing_steps_abort_the_copy)
{
	add_target(0);
	add_segment(0, 0, 1, 0, 1);
	harness.store->fail_operation = TGTKIT_WRITE;
	harness.store->fail_status = -EIO;
	expect_aborted(0x0000);
}
END_TEST

START_TEST(reservation_of_another_nexus_holds_for_the_destination)
{
	add_target(0);
	add_target(SECOND_LUN);
	add_segment(0, 1, 1, 0, 0);
	/* The second unit is reserved by a nexus of its own. */
	struct scsi_lun_mapping mapping = {.lun = 0, .unit = second_unit};
	struct scsi_lun_map *map = scsi_lun_map_create(&mapping, 1, NULL), *whole = harness.map;

	harness.map = map;
	struct scsi_nexus *owner = harness_new_nexus("iqn.2026-11.org.example:owner,i,0x000000000001", 1);

	harness.map = whole;
	harness_clear_attention(owner, 0);
	harness_expect_good((struct request){.nexus = owner, .cdb = {0x16}});
	expect_aborted(0x0000);
	harness_expect_good((struct request){.nexus = owner, .cdb = {0x17}});
	harness_expect_good(copy(1));
	harness_close_nexus(owner);
	scsi_lun_map_drop(map);
}
END_TEST

START_TEST(abort_ends_the_copy_after_its_step)
{
	struct issued *issued;

	add_target(0);
	add_segment(0, 0, COPY_BLOCKS, 0, 4000);
	harness.store->hold_operation = TGTKIT_WRITE;
	issued = harness_start(copy(1));
	while (fake_store_held(harness.store) == 0)
		harness_turn();
	ck_assert_int_eq(harness_manage(SCSI_ABORT_TASK, issued, true), SCSI_FUNCTION_COMPLETE);
	ck_assert(issued->command.aborted);
	ck_assert_uint_eq(harness.store->count[TGTKIT_WRITE], 1);
	harness_free(issued);
}
END_TEST

START_TEST(lists_that_lie_are_refused)
{
	struct request request;

	add_target(0);
	add_segment(0, 0, 1, 0, 1);
	request = copy(1);
	request.cdb[13]--;
	request.data_out_length--;
	harness_expect_sense(request, 5, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	request.cdb[13] = HEADER - 1;
	request.data_out_length = HEADER - 1;
	harness_expect_sense(request, 5, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	request = copy(1);
	request.data_out_length--;
	harness_expect_sense(request, 5, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	rt_put_be32(list + 8, UINT32_MAX);
	request.data_out_length++;
	harness_expect_sense(request, 5, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	request = copy(1);
	list[HEADER] = 0xe0;
	harness_expect_sense(request, 5, SCSI_ASC_UNSUPPORTED_TARGET_DESCRIPTOR);
	list[HEADER] = 0xe4;
	list[HEADER + TARGET] = 0x03;
	harness_expect_sense(request, 5, SCSI_ASC_UNSUPPORTED_SEGMENT_DESCRIPTOR);
	rt_put_be32(list + 12, 4);
	harness_expect_sense(request, 5, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
}
END_TEST

START_TEST(too_many_descriptors_are_refused)
{
	targets = SCSI_COPY_MOST_TARGETS + 1;
	segments = 0;
	harness_expect_sense(copy(1), 5, SCSI_ASC_TOO_MANY_TARGET_DESCRIPTORS);
	targets = 0;
	segments = SCSI_COPY_MOST_SEGMENTS + 1;
	harness_expect_sense(copy(1), 5, SCSI_ASC_TOO_MANY_SEGMENT_DESCRIPTORS);
}
END_TEST

#define COPY_STATUS(id)                                                                                                \
	{                                                                                                              \
		0x84, 0x00, id, [13] = 64                                                                              \
	}
#define OPERATING_PARAMETERS                                                                                           \
	{                                                                                                              \
		0x84, 0x03, 0, [13] = 64                                                                               \
	}

START_TEST(status_is_held_and_told_once)
{
	struct issued *issued;

	harness_expect_sense((struct request){.cdb = COPY_STATUS(9)}, 5, 0x2400);
	add_target(0);
	add_segment(0, 0, 4, 0, 100);
	harness_expect_good(copy(9));
	issued = harness_run((struct request){.cdb = COPY_STATUS(9)});
	ck_assert_mem_eq(issued->data, "\0\0\0\x08\x01\0\x01\x01\0\0\0\x02", 12);
	harness_free(issued);
	harness_expect_sense((struct request){.cdb = COPY_STATUS(9)}, 5, 0x2400);
}
END_TEST

START_TEST(status_is_held_for_a_few_lists)
{
	add_target(0);
	add_segment(0, 0, 1, 0, 100);
	for (unsigned id = 0; id <= SCSI_COPY_MOST_RESULTS; id++)
		harness_expect_good(copy((uint8_t)id));
	harness_expect_sense((struct request){.cdb = COPY_STATUS(0)}, 5, 0x2400);
	harness_expect_good((struct request){.cdb = COPY_STATUS(1)});
	list[1] = 0x10; /* discard */
	harness_expect_good(copy(99));
	harness_expect_sense((struct request){.cdb = COPY_STATUS(99)}, 5, 0x2400);
}
END_TEST

START_TEST(operating_parameters_say_the_limits)
{
	struct issued *issued = harness_run((struct request){.cdb = OPERATING_PARAMETERS});

	ck_assert_uint_eq(rt_get_be32(issued->data), 42);
	ck_assert_uint_eq(rt_get_be16(issued->data + 8), SCSI_COPY_MOST_TARGETS);
	ck_assert_uint_eq(rt_get_be16(issued->data + 10), SCSI_COPY_MOST_SEGMENTS);
	ck_assert_mem_eq(issued->data + 43, "\x02\x02\xe4", 3);
	harness_free(issued);
	issued = harness_run((struct request){.cdb = INQUIRY(1, 0x8f, 255)});
	for (size_t at = 4; at < issued->command.data_in_length; at += 4u + rt_get_be16(issued->data + at + 2))
		ck_assert_uint_eq(rt_get_be16(issued->data + at + 2) % 4, 0);
	harness_free(issued);
}
END_TEST

START_TEST(switched_off_there_is_no_copy)
{
	harness_close_nexus(harness.nexus);
	harness.nexus = NULL;
	harness.spec.extended_copy = false;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	harness_expect_sense((struct request){.cdb = {0x83}}, 5, SCSI_ASC_INVALID_COMMAND_OPERATION_CODE);
	harness_expect_sense((struct request){.cdb = INQUIRY(1, 0x8f, 255)}, 5, 0x2400);
}
END_TEST

Suite *extended_copy_suite(void)
{
	Suite *suite = suite_create("extended_copy");
	TCase *tests = tcase_create("extended_copy");

	harness_add_fixture(tests, setup, teardown);
	tcase_add_test(tests, blocks_go_to_another_unit);
	tcase_add_test(tests, overlapping_ranges_of_one_unit);
	tcase_add_test(tests, ordered_copy_does_not_wait_for_its_own_steps);
	tcase_add_test(tests, nothing_to_copy_is_good);
	tcase_add_test(tests, unknown_targets_are_not_reachable);
	tcase_add_test(tests, target_index_is_checked);
	tcase_add_test(tests, ranges_are_checked);
	tcase_add_test(tests, failing_steps_abort_the_copy);
	tcase_add_test(tests, reservation_of_another_nexus_holds_for_the_destination);
	tcase_add_test(tests, abort_ends_the_copy_after_its_step);
	tcase_add_test(tests, lists_that_lie_are_refused);
	tcase_add_test(tests, too_many_descriptors_are_refused);
	tcase_add_test(tests, status_is_held_and_told_once);
	tcase_add_test(tests, status_is_held_for_a_few_lists);
	tcase_add_test(tests, operating_parameters_say_the_limits);
	tcase_add_test(tests, switched_off_there_is_no_copy);
	suite_add_tcase(suite, tests);
	return suite;
}
