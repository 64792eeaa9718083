/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "rt/bytes.h"
#include "unit/scsi/harness.h"

Suite *port_groups_suite(void);

static const struct scsi_target_port ports_1[] = {{1, "iqn.2026-11.org.example:disk"},
						  {3, "iqn.2026-11.org.example:other"}};
static const struct scsi_target_port ports_2[] = {{2, "iqn.2026-11.org.example:disk"}};
static const uint8_t block[512];

static void set_states(enum scsi_port_group_state first, enum scsi_port_group_state second)
{
	const struct scsi_port_group groups[] = {
	    {.tag = 1, .state = first, .ports = ports_1, .port_count = 2},
	    {.tag = 2, .state = second, .ports = ports_2, .port_count = 1},
	};

	ck_assert_int_eq(scsi_logical_unit_set_port_groups(harness.unit, groups, 2), 0);
	harness_turn();
}

static void setup(void)
{
	harness_setup();
	set_states(SCSI_PORT_GROUP_OPTIMIZED, SCSI_PORT_GROUP_NON_OPTIMIZED);
	harness_expect_sense((struct request){.cdb = TEST_UNIT_READY}, 6, 0x2a06);
	harness_expect_sense((struct request){.nexus = harness.other, .cdb = TEST_UNIT_READY}, 6, 0x2a06);
}

#define REPORT_GROUPS(format)                                                                                          \
	{                                                                                                              \
		0xa3, 0x0a | (format), 0, 0, 0, 0, BE32(512), 0, 0                                                     \
	}

START_TEST(inquiry_says_that_there_are_states)
{
	struct issued *issued = harness_run((struct request){.cdb = INQUIRY(0, 0, 36)});

	ck_assert_uint_eq(issued->data[5] & 0x30, 0x30);
	harness_free(issued);
}
END_TEST

START_TEST(groups_and_ports_are_reported)
{
	static const uint8_t expected[] = {
	    0,	  0,	0, 28,					   /* length */
	    0x00, 0x8f, 0, 1,  0, 2, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, /* group 1 */
	    0x01, 0x8f, 0, 2,  0, 2, 0, 1, 0, 0, 0, 2,		   /* group 2 */
	};
	struct issued *issued = harness_run((struct request){.cdb = REPORT_GROUPS(0)});

	ck_assert_uint_eq(issued->command.data_in_length, sizeof(expected));
	ck_assert_mem_eq(issued->data, expected, sizeof(expected));
	harness_free(issued);
	issued = harness_run((struct request){.cdb = REPORT_GROUPS(0x20)});
	ck_assert_uint_eq(issued->command.data_in_length, sizeof(expected) + 4);
	ck_assert_uint_eq(issued->data[4], 0x10);
	ck_assert_mem_eq(issued->data + 8, expected + 4, sizeof(expected) - 4);
	harness_free(issued);
	harness_expect_sense((struct request){.cdb = REPORT_GROUPS(0x40)}, 5, 0x2400);
}
END_TEST

START_TEST(ports_have_names)
{
	struct issued *issued = harness_run((struct request){.cdb = INQUIRY(1, 0x88, 1024)});
	size_t at = 4;

	for (unsigned id = 1; id <= 3; id++) {
		size_t length = rt_get_be16(issued->data + at + 10);

		ck_assert_uint_eq(rt_get_be16(issued->data + at + 2), id);
		ck_assert_str_eq((char *)issued->data + at + 16, id == 1   ? "iqn.2026-11.org.example:disk,t,0x0001"
								 : id == 2 ? "iqn.2026-11.org.example:disk,t,0x0002"
									   : "iqn.2026-11.org.example:other,t,0x0001");
		at += 12 + length;
	}
	ck_assert_uint_eq(at, issued->command.data_in_length);
	harness_free(issued);
}
END_TEST

static const struct {
	enum scsi_port_group_state state;
	uint16_t asc; /* of READ */
	bool mode_sense;
} states[] = {
    {SCSI_PORT_GROUP_OPTIMIZED, 0, true},	    {SCSI_PORT_GROUP_NON_OPTIMIZED, 0, true},
    {SCSI_PORT_GROUP_STANDBY, 0x040b, true},	    {SCSI_PORT_GROUP_UNAVAILABLE, 0x040c, false},
    {SCSI_PORT_GROUP_TRANSITIONING, 0x040a, false},
};

START_TEST(each_state_lets_through_what_it_should)
{
	uint16_t asc = states[_i].asc;

	set_states(states[_i].state, SCSI_PORT_GROUP_OPTIMIZED);
	harness_expect_good((struct request){.cdb = INQUIRY(0, 0, 36)});
	harness_expect_sense((struct request){.cdb = TEST_UNIT_READY}, 6, 0x2a06);
	harness_expect_good((struct request){.cdb = REPORT_GROUPS(0)});
	if (asc == 0) {
		harness_expect_good((struct request){.cdb = READ_10(0, 1)});
	} else {
		harness_expect_sense((struct request){.cdb = READ_10(0, 1)}, 2, asc);
		harness_expect_sense((struct request){.cdb = TEST_UNIT_READY}, 2, asc);
		harness_expect_sense((struct request){.cdb = WRITE_10(0, 1)}, 2, asc);
	}
	if (states[_i].mode_sense)
		harness_expect_good((struct request){.cdb = {0x1a, 0, 0x3f, 0, 255, 0}});
	else
		harness_expect_sense((struct request){.cdb = {0x1a, 0, 0x3f, 0, 255, 0}}, 2, asc);
}
END_TEST

START_TEST(other_groups_are_not_concerned)
{
	struct scsi_nexus *second = harness_new_nexus("iqn.2026-11.org.example:host,i,0x00023d000001", 1);

	/* The nexuses of the harness come in through group 1. */
	set_states(SCSI_PORT_GROUP_NON_OPTIMIZED, SCSI_PORT_GROUP_STANDBY);
	harness_expect_sense((struct request){.nexus = second, .cdb = TEST_UNIT_READY}, 6, 0x2900);
	harness_expect_good((struct request){.nexus = second, .cdb = READ_10(0, 1)});
	harness_close_nexus(second);
}
END_TEST

static uint8_t list[12];

static struct request set_group(uint16_t tag, uint8_t state)
{
	memset(list, 0, sizeof(list));
	list[4] = state;
	rt_put_be16(list + 6, tag);
	return (struct request){.cdb = {0xa4, 0x0a, 0, 0, 0, 0, BE32(8), 0, 0}, .data_out = list, .data_out_length = 8};
}

START_TEST(command_sets_a_state_and_tells_the_others)
{
	struct issued *issued;

	harness_expect_good(set_group(1, SCSI_PORT_GROUP_STANDBY));
	harness_expect_sense((struct request){.cdb = READ_10(0, 1)}, 2, 0x040b);
	harness_expect_sense((struct request){.nexus = harness.other, .cdb = TEST_UNIT_READY}, 6, 0x2a06);
	issued = harness_run((struct request){.cdb = REPORT_GROUPS(0)});
	ck_assert_uint_eq(issued->data[4], SCSI_PORT_GROUP_STANDBY);
	ck_assert_uint_eq(issued->data[9], 1); /* by command */
	harness_free(issued);
	harness_expect_good(set_group(1, SCSI_PORT_GROUP_OPTIMIZED));
	harness_expect_good((struct request){.cdb = WRITE_10(0, 1), .data_out = block, .data_out_length = 512});
}
END_TEST

START_TEST(wrong_states_and_groups_change_nothing)
{
	struct request request;

	harness_expect_sense(set_group(1, SCSI_PORT_GROUP_TRANSITIONING), 5, 0x2600);
	harness_expect_sense(set_group(1, 4), 5, 0x2600);
	request = set_group(1, SCSI_PORT_GROUP_STANDBY);
	rt_put_be32(request.cdb + 6, 12);
	request.data_out_length = 12;
	list[8] = 0;
	rt_put_be16(list + 10, 9); /* no such group */
	harness_expect_sense(request, 5, 0x2600);
	request.cdb[9] = 7;
	request.data_out_length = 7;
	harness_expect_sense(request, 5, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	harness_expect_good((struct request){.cdb = READ_10(0, 1)});
	harness_expect_good((struct request){.cdb = {0xa4, 0x0a}});
}
END_TEST

START_TEST(equal_states_are_not_told)
{
	set_states(SCSI_PORT_GROUP_OPTIMIZED, SCSI_PORT_GROUP_NON_OPTIMIZED);
	harness_expect_good((struct request){.cdb = TEST_UNIT_READY});
}
END_TEST

static unsigned reported_state(void)
{
	struct issued *issued = harness_run((struct request){.cdb = REPORT_GROUPS(0)});
	unsigned state = issued->data[4];

	harness_free(issued);
	return state;
}

START_TEST(a_store_of_another_host_makes_every_group_standby)
{
	for (unsigned i = 0; i < 2; i++) { /* the second time changes nothing */
		scsi_logical_unit_set_standby(harness.unit, true);
		harness_turn();
	}
	harness_expect_sense((struct request){.nexus = harness.other, .cdb = TEST_UNIT_READY}, 6, 0x2a06);
	harness_expect_sense((struct request){.cdb = TEST_UNIT_READY}, 6, 0x2a06);
	harness_expect_sense((struct request){.cdb = READ_10(0, 1)}, 2, 0x040b);
	harness_expect_sense((struct request){.cdb = WRITE_10(0, 1)}, 2, 0x040b);
	ck_assert_uint_eq(reported_state(), SCSI_PORT_GROUP_STANDBY);
	scsi_logical_unit_set_standby(harness.unit, false);
	harness_turn();
	harness_expect_sense((struct request){.cdb = TEST_UNIT_READY}, 6, 0x2a06);
	harness_expect_good((struct request){.cdb = READ_10(0, 1)});
	ck_assert_uint_eq(reported_state(), SCSI_PORT_GROUP_OPTIMIZED);
}
END_TEST

START_TEST(a_store_of_another_host_is_not_to_be_had_by_command)
{
	scsi_logical_unit_set_standby(harness.unit, true);
	harness_turn();
	harness_expect_sense((struct request){.cdb = TEST_UNIT_READY}, 6, 0x2a06);
	harness_expect_sense(set_group(1, SCSI_PORT_GROUP_OPTIMIZED), 4, 0x670a);
	harness_expect_good(set_group(1, SCSI_PORT_GROUP_UNAVAILABLE));
	ck_assert_uint_eq(reported_state(), SCSI_PORT_GROUP_UNAVAILABLE);
}
END_TEST

Suite *port_groups_suite(void)
{
	Suite *suite = suite_create("port_groups");
	TCase *tests = tcase_create("port_groups");

	harness_add_fixture(tests, setup, harness_teardown);
	tcase_add_test(tests, inquiry_says_that_there_are_states);
	tcase_add_test(tests, groups_and_ports_are_reported);
	tcase_add_test(tests, ports_have_names);
	tcase_add_loop_test(tests, each_state_lets_through_what_it_should, 1, 5);
	tcase_add_test(tests, other_groups_are_not_concerned);
	tcase_add_test(tests, command_sets_a_state_and_tells_the_others);
	tcase_add_test(tests, wrong_states_and_groups_change_nothing);
	tcase_add_test(tests, equal_states_are_not_told);
	tcase_add_test(tests, a_store_of_another_host_makes_every_group_standby);
	tcase_add_test(tests, a_store_of_another_host_is_not_to_be_had_by_command);
	suite_add_tcase(suite, tests);
	return suite;
}
