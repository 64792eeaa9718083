/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/bytes.h"
#include "scsi/reservations.h"
#include "unit/scsi/harness.h"

Suite *reservations_suite(void);

enum {
	REGISTER,
	RESERVE,
	RELEASE,
	CLEAR,
	PREEMPT,
	PREEMPT_AND_ABORT,
	REGISTER_AND_IGNORE,
	REGISTER_AND_MOVE,
};
enum { READ_KEYS, READ_RESERVATION, REPORT_CAPABILITIES, READ_FULL_STATUS };
enum { KEY_A = 0xa1, KEY_B = 0xb2, KEY_C = 0xc3 };
enum { APTPL = 1, ALL_TG_PT = 4, SPEC_I_PT = 8 };

static const uint8_t block[512];
static uint8_t list[512];
static struct scsi_nexus *third;

static void setup(void)
{
	harness_setup();
	third = harness_new_nexus("iqn.2026-11.org.example:third,i,0x00023d000007", 2);
	harness_clear_attention(third, 0);
}

static void teardown(void)
{
	harness_close_nexus(third);
	harness_teardown();
}

static struct request out(struct scsi_nexus *nexus, unsigned action, uint8_t type, uint64_t key, uint64_t action_key)
{
	memset(list, 0, 24);
	rt_put_be64(list, key);
	rt_put_be64(list + 8, action_key);
	return (struct request){.nexus = nexus,
				.cdb = {0x5f, (uint8_t)action, type, 0, 0, BE32(24), 0},
				.data_out = list,
				.data_out_length = 24};
}

static struct request out_with(struct scsi_nexus *nexus, unsigned action, uint64_t key, uint64_t action_key,
			       uint8_t flags)
{
	struct request request = out(nexus, action, 0, key, action_key);

	list[20] = flags;
	return request;
}

static void do_register(struct scsi_nexus *nexus, uint64_t key)
{
	harness_expect_good(out(nexus, REGISTER, 0, 0, key));
}

static struct issued *in(unsigned action)
{
	struct issued *issued =
	    harness_run((struct request){.cdb = {0x5e, (uint8_t)action, 0, 0, 0, 0, 0, BE16(4096), 0}});

	ck_assert_uint_eq(issued->command.status, SCSI_GOOD);
	return issued;
}

static void expect_keys(uint32_t generation, size_t count, const uint64_t *keys)
{
	struct issued *issued = in(READ_KEYS);

	ck_assert_uint_eq(rt_get_be32(issued->data), generation);
	ck_assert_uint_eq(rt_get_be32(issued->data + 4), 8 * count);
	for (size_t i = 0; i < count; i++)
		ck_assert_uint_eq(rt_get_be64(issued->data + 8 + 8 * i), keys[i]);
	harness_free(issued);
}

#define EXPECT_KEYS(generation, ...)                                                                                   \
	expect_keys(generation, sizeof((uint64_t[]){__VA_ARGS__}) / 8, (uint64_t[]){__VA_ARGS__})

static void expect_reservation(uint8_t type, uint64_t key)
{
	struct issued *issued = in(READ_RESERVATION);

	if (type == 0) {
		ck_assert_uint_eq(rt_get_be32(issued->data + 4), 0);
	} else {
		ck_assert_uint_eq(rt_get_be32(issued->data + 4), 16);
		ck_assert_uint_eq(rt_get_be64(issued->data + 8), key);
		ck_assert_uint_eq(issued->data[21], type);
	}
	harness_free(issued);
}

static void expect_attention(struct scsi_nexus *nexus, uint16_t asc)
{
	harness_expect_sense((struct request){.nexus = nexus, .cdb = TEST_UNIT_READY}, SCSI_KEY_UNIT_ATTENTION, asc);
}

static void expect_no_attention(struct scsi_nexus *nexus)
{
	harness_expect_good((struct request){.nexus = nexus, .cdb = TEST_UNIT_READY});
}

static void expect_access(struct scsi_nexus *nexus, bool read, bool write)
{
	harness_expect_status((struct request){.nexus = nexus, .cdb = READ_10(0, 1)},
			      read ? SCSI_GOOD : SCSI_RESERVATION_CONFLICT);
	harness_expect_status(
	    (struct request){.nexus = nexus, .cdb = WRITE_10(0, 1), .data_out = block, .data_out_length = 512},
	    write ? SCSI_GOOD : SCSI_RESERVATION_CONFLICT);
}

START_TEST(registering_changing_and_unregistering)
{
	do_register(harness.nexus, KEY_A);
	do_register(harness.other, KEY_B);
	EXPECT_KEYS(2, KEY_A, KEY_B);
	harness_expect_good(out(harness.nexus, REGISTER, 0, KEY_A, KEY_C));
	EXPECT_KEYS(3, KEY_C, KEY_B);
	harness_expect_good(out(harness.nexus, REGISTER_AND_IGNORE, 0, 0x1234, KEY_A));
	EXPECT_KEYS(4, KEY_A, KEY_B);
	harness_expect_good(out(harness.nexus, REGISTER, 0, KEY_A, 0));
	EXPECT_KEYS(5, KEY_B);
	harness_expect_good(out(harness.other, REGISTER_AND_IGNORE, 0, 0, 0));
	expect_keys(6, 0, NULL);
}
END_TEST

START_TEST(wrong_keys_conflict)
{
	harness_expect_status(out(harness.nexus, REGISTER, 0, KEY_A, KEY_B), SCSI_RESERVATION_CONFLICT);
	do_register(harness.nexus, KEY_A);
	harness_expect_status(out(harness.nexus, REGISTER, 0, 0, KEY_B), SCSI_RESERVATION_CONFLICT);
	for (unsigned action = RESERVE; action <= PREEMPT_AND_ABORT; action++) {
		harness_expect_status(out(harness.nexus, action, 1, KEY_B, KEY_A), SCSI_RESERVATION_CONFLICT);
		harness_expect_status(out(harness.other, action, 1, 0, KEY_A), SCSI_RESERVATION_CONFLICT);
	}
	EXPECT_KEYS(1, KEY_A);
}
END_TEST

START_TEST(unregistering_what_is_not_registered_does_nothing)
{
	harness_expect_good(out(harness.nexus, REGISTER, 0, 0, 0));
	expect_keys(0, 0, NULL);
}
END_TEST

static const struct {
	uint8_t type;
	bool stranger_reads, registrant_reads, registrant_writes;
} types[] = {
    {1, true, true, false}, {3, false, false, false}, {5, true, true, true},
    {6, false, true, true}, {7, true, true, true},    {8, false, true, true},
};

START_TEST(every_type_lets_through_what_it_should)
{
	do_register(harness.nexus, KEY_A);
	do_register(harness.other, KEY_B);
	harness_expect_good(out(harness.nexus, RESERVE, types[_i].type, KEY_A, 0));
	expect_reservation(types[_i].type, types[_i].type >= 7 ? 0 : KEY_A);
	expect_access(harness.nexus, true, true);
	expect_access(harness.other, types[_i].registrant_reads, types[_i].registrant_writes);
	expect_access(third, types[_i].stranger_reads, false);
	/* Never refused. */
	harness_expect_good((struct request){.nexus = third, .cdb = TEST_UNIT_READY});
	harness_expect_good((struct request){.nexus = third, .cdb = INQUIRY(0, 0, 36)});
	harness_expect_good((struct request){.nexus = third, .cdb = {0x25}});
	harness_expect_good((struct request){.nexus = third, .cdb = {0x5e, 0, [8] = 8}});
	harness_expect_good((struct request){.nexus = third, .cdb = {0xa0, [9] = 64}});
	harness_expect_status((struct request){.nexus = third, .cdb = {0x35}}, SCSI_RESERVATION_CONFLICT);
	harness_expect_good(out(harness.nexus, RELEASE, types[_i].type, KEY_A, 0));
	expect_reservation(0, 0);
	if (types[_i].type >= 5)
		expect_attention(harness.other, 0x2a04);
	expect_access(harness.other, true, true);
	expect_access(third, true, true);
}
END_TEST

START_TEST(reserving_again_and_releasing_wrongly)
{
	do_register(harness.nexus, KEY_A);
	do_register(harness.other, KEY_B);
	harness_expect_good(out(harness.nexus, RELEASE, 1, KEY_A, 0)); /* none there */
	harness_expect_good(out(harness.nexus, RESERVE, 1, KEY_A, 0));
	harness_expect_good(out(harness.nexus, RESERVE, 1, KEY_A, 0));
	harness_expect_status(out(harness.nexus, RESERVE, 3, KEY_A, 0), SCSI_RESERVATION_CONFLICT);
	harness_expect_status(out(harness.other, RESERVE, 1, KEY_B, 0), SCSI_RESERVATION_CONFLICT);
	harness_expect_good(out(harness.other, RELEASE, 1, KEY_B, 0)); /* not the holder: no effect */
	harness_expect_sense(out(harness.nexus, RELEASE, 3, KEY_A, 0), 5, 0x2604);
	expect_reservation(1, KEY_A);
}
END_TEST

START_TEST(scope_and_type_are_checked)
{
	do_register(harness.nexus, KEY_A);
	harness_expect_sense(out(harness.nexus, RESERVE, 0x11, KEY_A, 0), 5, 0x2400);
	harness_expect_sense(out(harness.nexus, RESERVE, 0x02, KEY_A, 0), 5, 0x2400);
	harness_expect_sense(out(harness.nexus, RESERVE, 0x09, KEY_A, 0), 5, 0x2400);
}
END_TEST

START_TEST(parameter_lists_of_a_wrong_length)
{
	static const uint8_t lengths[] = {0, 8, 23, 25};

	for (size_t i = 0; i < sizeof(lengths); i++) {
		struct request request = out(NULL, REGISTER, 0, 0, KEY_A);

		request.cdb[8] = lengths[i];
		request.data_out_length = lengths[i];
		harness_expect_sense(request, 5, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	}
	struct request cut = out(NULL, REGISTER, 0, 0, KEY_A);

	cut.data_out_length = 20;
	harness_expect_sense(cut, 5, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
}
END_TEST

START_TEST(holder_that_unregisters_releases)
{
	do_register(harness.nexus, KEY_A);
	do_register(harness.other, KEY_B);
	harness_expect_good(out(harness.nexus, RESERVE, types[_i].type, KEY_A, 0));
	harness_expect_good(out(harness.nexus, REGISTER, 0, KEY_A, 0));
	if (types[_i].type >= 7) {
		expect_reservation(types[_i].type, 0); /* the other still holds it */
		expect_no_attention(harness.other);
		harness_expect_good(out(harness.other, REGISTER, 0, KEY_B, 0));
	} else if (types[_i].type >= 5) {
		expect_attention(harness.other, 0x2a04);
	} else {
		expect_no_attention(harness.other);
	}
	expect_reservation(0, 0);
}
END_TEST

START_TEST(clear_takes_everything_away)
{
	do_register(harness.nexus, KEY_A);
	do_register(harness.other, KEY_B);
	harness_expect_good(out(harness.other, RESERVE, 3, KEY_B, 0));
	harness_expect_good(out(harness.nexus, CLEAR, 0, KEY_A, 0));
	expect_keys(3, 0, NULL);
	expect_reservation(0, 0);
	expect_attention(harness.other, 0x2a03);
	expect_no_attention(third);
	expect_no_attention(harness.nexus);
}
END_TEST

START_TEST(preempting_the_holder_takes_over)
{
	do_register(harness.nexus, KEY_A);
	do_register(harness.other, KEY_B);
	do_register(third, KEY_C);
	harness_expect_good(out(harness.nexus, RESERVE, 5, KEY_A, 0));
	harness_expect_good(out(harness.other, PREEMPT, 6, KEY_B, KEY_A));
	expect_attention(harness.nexus, 0x2a05);
	EXPECT_KEYS(4, KEY_C, KEY_B);
	expect_attention(third, 0x2a04); /* the type changed */
	expect_no_attention(harness.other);
	expect_reservation(6, KEY_B);
	expect_access(harness.nexus, false, false);
}
END_TEST

START_TEST(preempting_a_registrant_leaves_the_reservation)
{
	do_register(harness.nexus, KEY_A);
	do_register(harness.other, KEY_B);
	do_register(third, KEY_B);
	harness_expect_good(out(harness.nexus, RESERVE, 5, KEY_A, 0));
	harness_expect_good(out(harness.nexus, PREEMPT, 5, KEY_A, KEY_B));
	EXPECT_KEYS(4, KEY_A);
	expect_reservation(5, KEY_A);
	expect_attention(harness.other, 0x2a05);
	expect_attention(third, 0x2a05);
	harness_expect_status(out(harness.nexus, PREEMPT, 5, KEY_A, KEY_C), SCSI_RESERVATION_CONFLICT);
	harness_expect_sense(out(harness.nexus, PREEMPT, 5, KEY_A, 0), 5, 0x2600);
}
END_TEST

START_TEST(preempting_all_registrants)
{
	do_register(harness.nexus, KEY_A);
	do_register(harness.other, KEY_B);
	do_register(third, KEY_C);
	harness_expect_good(out(harness.nexus, RESERVE, 7, KEY_A, 0));
	/* A key takes out its registrants and leaves the reservation. */
	harness_expect_good(out(harness.other, PREEMPT, 1, KEY_B, KEY_C));
	expect_reservation(7, 0);
	expect_attention(third, 0x2a05);
	/* Key 0 takes out everybody else and makes a reservation of its own. */
	harness_expect_good(out(harness.other, PREEMPT, 1, KEY_B, 0));
	expect_attention(harness.nexus, 0x2a05);
	EXPECT_KEYS(5, KEY_B);
	expect_reservation(1, KEY_B);
}
END_TEST

START_TEST(holder_preempts_itself_to_change_the_type)
{
	do_register(harness.nexus, KEY_A);
	do_register(harness.other, KEY_A);
	harness_expect_good(out(harness.nexus, RESERVE, 5, KEY_A, 0));
	harness_expect_good(out(harness.nexus, PREEMPT, 3, KEY_A, KEY_A));
	EXPECT_KEYS(3, KEY_A);
	expect_attention(harness.other, 0x2a05);
	expect_reservation(3, KEY_A);
}
END_TEST

static struct issued *start_write(struct scsi_nexus *nexus)
{
	return harness_start(
	    (struct request){.nexus = nexus, .cdb = WRITE_10(0, 1), .data_out = block, .data_out_length = 512});
}

START_TEST(preempt_and_abort_waits_for_what_it_aborts)
{
	struct issued *write, *collecting, *preempt, *kept;

	do_register(harness.nexus, KEY_A);
	do_register(harness.other, KEY_B);
	harness_expect_good(out(harness.nexus, RESERVE, 5, KEY_A, 0));
	harness.store->hold_operation = TGTKIT_WRITE;
	write = start_write(harness.nexus);
	collecting = harness_prepare((struct request){.cdb = WRITE_10(1, 1)});
	kept = start_write(harness.other);
	preempt = harness_start(out(harness.other, PREEMPT_AND_ABORT, 5, KEY_B, KEY_A));
	harness_wait(collecting);
	ck_assert_uint_eq(collecting->command.status, SCSI_TASK_ABORTED);
	harness_turn();
	ck_assert(!preempt->done && !write->done);
	fake_store_release(harness.store);
	harness_wait(preempt);
	ck_assert_uint_eq(preempt->command.status, SCSI_GOOD);
	ck_assert(write->done);
	ck_assert_uint_eq(write->command.status, SCSI_TASK_ABORTED);
	harness_wait(kept);
	ck_assert_uint_eq(kept->command.status, SCSI_GOOD);
	expect_attention(harness.nexus, 0x2a05);
	harness_free(write);
	harness_free(collecting);
	harness_free(preempt);
	harness_free(kept);
}
END_TEST

START_TEST(plain_preempt_waits_for_what_is_refused_now)
{
	struct issued *write, *preempt;

	do_register(harness.nexus, KEY_A);
	do_register(harness.other, KEY_B);
	harness_expect_good(out(harness.nexus, RESERVE, 5, KEY_A, 0));
	harness.store->hold_operation = TGTKIT_WRITE;
	write = start_write(harness.nexus);
	preempt = harness_start(out(harness.other, PREEMPT, 5, KEY_B, KEY_A));
	harness_turn();
	ck_assert(!preempt->done);
	fake_store_release(harness.store);
	harness_wait(preempt);
	ck_assert_uint_eq(write->command.status, SCSI_GOOD);
	ck_assert_uint_eq(preempt->command.status, SCSI_GOOD);
	harness_free(write);
	harness_free(preempt);
}
END_TEST

START_TEST(preempt_gives_up_on_a_hung_write_and_the_unit_is_not_ready)
{
	struct issued *write, *preempt;
	unsigned action = _i ? PREEMPT_AND_ABORT : PREEMPT;

	do_register(harness.nexus, KEY_A);
	do_register(harness.other, KEY_B);
	harness_expect_good(out(harness.nexus, RESERVE, 5, KEY_A, 0));
	harness.store->hold_operation = TGTKIT_WRITE;
	write = start_write(harness.nexus);
	preempt = harness_run(out(harness.other, action, 5, KEY_B, KEY_A));
	harness_check_sense(preempt, 2, 0x040c);
	harness_free(preempt);
	harness_turn();
	harness_expect_sense((struct request){.nexus = harness.other, .cdb = READ_10(0, 1)}, 2, 0x040c);
	fake_store_release(harness.store);
	harness_wait(write);
	harness_free(write);
	expect_attention(harness.nexus, 0x2a05);
	expect_reservation(5, KEY_B);
	harness_expect_good((struct request){.nexus = harness.other, .cdb = READ_10(0, 1)});
}
END_TEST

START_TEST(command_that_was_collected_meanwhile_meets_the_reservation)
{
	struct issued *write = harness_prepare((struct request){.nexus = third, .cdb = WRITE_10(0, 1)});

	do_register(harness.nexus, KEY_A);
	harness_expect_good(out(harness.nexus, RESERVE, 1, KEY_A, 0));
	harness_execute(write, block, sizeof(block));
	harness_wait(write);
	ck_assert_uint_eq(write->command.status, SCSI_RESERVATION_CONFLICT);
	ck_assert_uint_eq(harness.store->count[TGTKIT_WRITE], 0);
	harness_free(write);
}
END_TEST

static size_t put_transport_id(uint8_t *at, const char *name, bool port)
{
	size_t length = (strlen(name) + 4) & ~(size_t)3;

	if (length < 20)
		length = 20;
	memset(at, 0, length + 4);
	at[0] = port ? 0x45 : 0x05;
	rt_put_be16(at + 2, (uint16_t)length);
	memcpy(at + 4, name, strlen(name));
	return length + 4;
}

static struct request with_transport_ids(struct request request, size_t at, size_t length)
{
	rt_put_be32(list + at, (uint32_t)length);
	request.data_out_length = at + 4 + length;
	rt_put_be32(request.cdb + 5, (uint32_t)request.data_out_length);
	return request;
}

START_TEST(spec_i_pt_registers_others)
{
	struct request request = out_with(harness.nexus, REGISTER, 0, KEY_A, SPEC_I_PT);
	size_t length = put_transport_id(list + 28, "iqn.2026-11.org.example:absent,i,0x000000000009", true);

	/* And every port of a device that is here: the other nexus, and this one once only. */
	length += put_transport_id(list + 28 + length, "iqn.2026-11.org.example:host", false);
	harness_expect_good(with_transport_ids(request, 24, length));
	EXPECT_KEYS(1, KEY_A, KEY_A, KEY_A, KEY_A);
	rt_put_be64(list, KEY_A);
	harness_expect_sense(with_transport_ids(request, 24, length), 5, 0x2600); /* it is registered by now */
}
END_TEST

START_TEST(spec_i_pt_with_a_bad_list_registers_nobody)
{
	struct request request = out_with(harness.nexus, REGISTER, 0, KEY_A, SPEC_I_PT);
	size_t length = put_transport_id(list + 28, "iqn.2026-11.org.example:absent,i,0x000000000009", true);

	harness_expect_sense(request, 5, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	list[28] = 0x06;
	harness_expect_sense(with_transport_ids(request, 24, length), 5, 0x2600);
	list[28] = 0x45;
	request = with_transport_ids(request, 24, length);
	list[27] = 200;
	harness_expect_sense(request, 5, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	expect_keys(0, 0, NULL);
	request = out_with(harness.nexus, REGISTER_AND_IGNORE, 0, KEY_A, SPEC_I_PT);
	harness_expect_sense(with_transport_ids(request, 24, length), 5, 0x2600);
}
END_TEST

START_TEST(all_tg_pt_registers_for_every_target_port)
{
	struct scsi_nexus *second_port = harness_new_nexus("iqn.2026-11.org.example:host,i,0x00023d000001", 9);
	struct issued *status;

	harness_clear_attention(second_port, 0);
	harness_expect_good(out_with(harness.nexus, REGISTER, 0, KEY_A, ALL_TG_PT));
	harness_expect_good(out(second_port, RESERVE, 1, KEY_A, 0));
	expect_access(harness.nexus, true, true);
	status = in(READ_FULL_STATUS);
	ck_assert_uint_eq(status->data[8 + 12], 0x03);
	harness_free(status);
	harness_close_nexus(second_port);
}
END_TEST

START_TEST(register_and_move_hands_the_reservation_over)
{
	struct request request;
	size_t length;

	do_register(harness.nexus, KEY_A);
	harness_expect_good(out(harness.nexus, RESERVE, 3, KEY_A, 0));
	request = out(harness.nexus, REGISTER_AND_MOVE, 0, KEY_A, KEY_C);
	length = put_transport_id(list + 24, "iqn.2026-11.org.example:third,i,0x00023d000007", true);
	list[17] = 0x02; /* UNREG */
	rt_put_be16(list + 18, 2);
	harness_expect_good(with_transport_ids(request, 20, length));
	expect_access(third, true, true);
	expect_access(harness.nexus, false, false);
	EXPECT_KEYS(2, KEY_C);
	expect_reservation(3, KEY_C);
}
END_TEST

START_TEST(register_and_move_is_for_the_holder_alone)
{
	struct request request;
	size_t length;

	do_register(harness.nexus, KEY_A);
	for (unsigned round = 0; round < 2; round++) {
		request = out(harness.nexus, REGISTER_AND_MOVE, 0, KEY_A, KEY_C);
		length = put_transport_id(list + 24, "iqn.2026-11.org.example:third,i,0x00023d000007", true);
		rt_put_be16(list + 18, 2);
		harness_expect_status(with_transport_ids(request, 20, length), SCSI_RESERVATION_CONFLICT);
		if (round == 0)
			harness_expect_good(out(harness.nexus, RESERVE, 8, KEY_A, 0)); /* held by all: cannot move */
	}
	harness_expect_good(out(harness.nexus, PREEMPT, 1, KEY_A, 0));
	request = out(harness.nexus, REGISTER_AND_MOVE, 0, KEY_A, KEY_C);
	length = put_transport_id(list + 24, "iqn.2026-11.org.example:host,i,0x00023d000001", true);
	rt_put_be16(list + 18, 1);
	harness_expect_sense(with_transport_ids(request, 20, length), 5, 0x2600); /* onto itself */
}
END_TEST

START_TEST(full_status_names_everybody)
{
	struct issued *status;

	do_register(harness.nexus, KEY_A);
	do_register(third, KEY_C);
	harness_expect_good(out(third, RESERVE, 1, KEY_C, 0));
	status = in(READ_FULL_STATUS);
	ck_assert_uint_eq(rt_get_be64(status->data + 8), KEY_A);
	ck_assert_uint_eq(status->data[8 + 12], 0);
	ck_assert_uint_eq(rt_get_be16(status->data + 8 + 18), 1);
	ck_assert_uint_eq(status->data[8 + 24], 0x45);
	ck_assert_str_eq((char *)status->data + 8 + 28, "iqn.2026-11.org.example:host,i,0x00023d000001");
	size_t second = 8 + 24 + rt_get_be32(status->data + 8 + 20);

	ck_assert_uint_eq(rt_get_be64(status->data + second), KEY_C);
	ck_assert_uint_eq(status->data[second + 12], 1);
	ck_assert_uint_eq(status->data[second + 13], 1);
	ck_assert_uint_eq(rt_get_be16(status->data + second + 18), 2);
	ck_assert_uint_eq(second + 24 + rt_get_be32(status->data + second + 20), status->command.data_in_length);
	harness_free(status);
}
END_TEST

START_TEST(capabilities_say_what_holds)
{
	struct issued *capabilities = in(REPORT_CAPABILITIES);

	ck_assert_mem_eq(capabilities->data, "\0\x08\x1c\x80\xea\x01\0\0", 8);
	harness_free(capabilities);
}
END_TEST

START_TEST(reservation_outlives_its_nexus)
{
	do_register(harness.nexus, KEY_A);
	harness_expect_good(out(harness.nexus, RESERVE, 3, KEY_A, 0));
	harness_close_nexus(harness.nexus);
	expect_access(third, false, false);
	harness.nexus = harness_new_nexus("iqn.2026-11.org.example:host,i,0x00023D000001", 1);
	harness_clear_attention(harness.nexus, 0);
	expect_access(harness.nexus, true, true);
}
END_TEST

/* APTPL. */
static char *saved;
static int save_status;

static void save(void *context, struct scsi_reservation_save *request)
{
	ck_assert_ptr_eq(context, &saved);
	free(saved);
	saved = request->text != NULL ? strdup(request->text) : NULL;
	request->status = save_status;
	rt_loop_post(request->reply_to, &request->done);
}

static void restart_with(const char *text)
{
	harness_close_nexus(third);
	harness.spec.save_reservations = save;
	harness.spec.save_context = &saved;
	harness.spec.saved_reservations = text;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	third = harness_new_nexus("iqn.2026-11.org.example:third,i,0x00023d000007", 2);
	harness_clear_attention(third, 0);
}

START_TEST(aptpl_needs_somebody_to_keep_it)
{
	harness_expect_sense(out_with(harness.nexus, REGISTER, 0, KEY_A, APTPL), 5, 0x2600);
	expect_keys(0, 0, NULL);
}
END_TEST

START_TEST(aptpl_survives_a_restart)
{
	char *kept;

	restart_with(NULL);
	harness_expect_good(out_with(harness.nexus, REGISTER, 0, KEY_A, APTPL));
	harness_expect_good(out_with(third, REGISTER, 0, KEY_C, APTPL | ALL_TG_PT));
	harness_expect_good(out(third, RESERVE, 6, KEY_C, 0));
	kept = saved;
	saved = NULL;
	restart_with(kept);
	free(kept);
	EXPECT_KEYS(0, KEY_A, KEY_C); /* the generation begins anew with a power-on */
	expect_reservation(6, KEY_C);
	expect_access(harness.other, false, false);
	expect_access(third, true, true);
	/* Registered without APTPL, nothing is kept any more. */
	harness_expect_good(out_with(harness.nexus, REGISTER, KEY_A, KEY_A, 0));
	ck_assert_ptr_null(saved);
}
END_TEST

START_TEST(what_cannot_be_kept_does_not_happen)
{
	restart_with(NULL);
	save_status = -EIO;
	harness_expect_sense(out_with(harness.nexus, REGISTER, 0, KEY_A, APTPL), 4, 0x4400);
	save_status = 0;
	expect_keys(0, 0, NULL);
	free(saved);
	saved = NULL;
}
END_TEST

START_TEST(damaged_text_is_refused)
{
	static const char *const texts[] = {
	    "",
	    "reservations 2\ntype 0\nend\n",
	    "reservations 1\ntype 0\n",
	    "reservations 1\ntype 9\nend\n",
	    "reservations 1\ntype 1\nend\n",
	    "reservations 1\ntype 0\nregistration 00000000000000a1 0 - iqn.x:y,i,0x1\nend\n",
	    "reservations 1\ntype 0\nregistration 0000000000000000 1 - iqn.x:y,i,0x1\nend\n",
	    "reservations 1\ntype 0\nregistration 00000000000000a1 1 - iqn.x:y,i,0x1",
	};
	struct scsi_logical_unit *unit;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		harness.spec.saved_reservations = texts[i];
		ck_assert_int_eq(scsi_logical_unit_create(&harness.spec, &unit), -EBADMSG);
	}
}
END_TEST

/* SPC-2. */
#define RESERVE_6                                                                                                      \
	{                                                                                                              \
		0x16                                                                                                   \
	}
#define RELEASE_6                                                                                                      \
	{                                                                                                              \
		0x17                                                                                                   \
	}
#define RESERVE_10                                                                                                     \
	{                                                                                                              \
		0x56                                                                                                   \
	}
#define RELEASE_10                                                                                                     \
	{                                                                                                              \
		0x57                                                                                                   \
	}

START_TEST(legacy_reservation_excludes_others)
{
	harness_expect_good((struct request){.cdb = RESERVE_6});
	harness_expect_good((struct request){.cdb = RESERVE_10});
	expect_access(harness.nexus, true, true);
	expect_access(harness.other, false, false);
	harness_expect_status((struct request){.nexus = harness.other, .cdb = RESERVE_6}, SCSI_RESERVATION_CONFLICT);
	harness_expect_status((struct request){.nexus = harness.other, .cdb = TEST_UNIT_READY},
			      SCSI_RESERVATION_CONFLICT);
	harness_expect_status((struct request){.nexus = harness.other, .cdb = {0x1a, 0, 0x3f, 0, 255}},
			      SCSI_RESERVATION_CONFLICT);
	harness_expect_good((struct request){.nexus = harness.other, .cdb = INQUIRY(0, 0, 36)});
	harness_expect_good((struct request){.nexus = harness.other, .cdb = RELEASE_6}); /* without effect */
	expect_access(harness.other, false, false);
	harness_expect_good((struct request){.cdb = RELEASE_10});
	expect_access(harness.other, true, true);
}
END_TEST

START_TEST(legacy_reservation_goes_with_its_nexus)
{
	harness_expect_good((struct request){.cdb = RESERVE_6});
	harness_close_nexus(harness.nexus);
	harness.nexus = NULL;
	harness_turn();
	expect_access(harness.other, true, true);
}
END_TEST

START_TEST(legacy_reservation_goes_with_a_reset)
{
	harness_expect_good((struct request){.nexus = harness.other, .cdb = RESERVE_6});
	ck_assert_int_eq(harness_manage(SCSI_LOGICAL_UNIT_RESET, NULL, false), SCSI_FUNCTION_COMPLETE);
	expect_attention(harness.nexus, 0x2903);
	expect_access(harness.nexus, true, true);
}
END_TEST

START_TEST(legacy_and_persistent_exclude_each_other)
{
	harness_expect_good((struct request){.cdb = RESERVE_6});
	harness_expect_status(out(harness.nexus, REGISTER, 0, 0, KEY_A), SCSI_RESERVATION_CONFLICT);
	harness_expect_good((struct request){.cdb = RELEASE_6});
	do_register(harness.nexus, KEY_A);
	harness_expect_status((struct request){.cdb = RESERVE_6}, SCSI_RESERVATION_CONFLICT);
	harness_expect_good(out(harness.nexus, RESERVE, 1, KEY_A, 0));
	harness_expect_good((struct request){.cdb = RESERVE_6}); /* has it all already */
	harness_expect_good((struct request){.cdb = RELEASE_6});
	expect_reservation(1, KEY_A);
	harness_expect_status((struct request){.nexus = third, .cdb = RESERVE_6}, SCSI_RESERVATION_CONFLICT);
	expect_access(third, true, false);
}
END_TEST

START_TEST(switched_off_they_are_no_commands)
{
	harness_close_nexus(third);
	harness.spec.persistent_reservations = false;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	third = harness_new_nexus("iqn.2026-11.org.example:third,i,0x00023d000007", 2);
	harness_expect_sense(out(harness.nexus, REGISTER, 0, 0, KEY_A), 5, SCSI_ASC_INVALID_COMMAND_OPERATION_CODE);
	harness_expect_sense((struct request){.cdb = {0x5e}}, 5, SCSI_ASC_INVALID_COMMAND_OPERATION_CODE);
}
END_TEST

Suite *reservations_suite(void)
{
	Suite *suite = suite_create("reservations");
	TCase *tests = tcase_create("persistent"), *kept = tcase_create("kept"), *legacy = tcase_create("legacy");

	harness_add_fixture(tests, setup, teardown);
	tcase_add_test(tests, registering_changing_and_unregistering);
	tcase_add_test(tests, wrong_keys_conflict);
	tcase_add_test(tests, unregistering_what_is_not_registered_does_nothing);
	tcase_add_loop_test(tests, every_type_lets_through_what_it_should, 0, 6);
	tcase_add_test(tests, reserving_again_and_releasing_wrongly);
	tcase_add_test(tests, scope_and_type_are_checked);
	tcase_add_test(tests, parameter_lists_of_a_wrong_length);
	tcase_add_loop_test(tests, holder_that_unregisters_releases, 0, 6);
	tcase_add_test(tests, clear_takes_everything_away);
	tcase_add_test(tests, preempting_the_holder_takes_over);
	tcase_add_test(tests, preempting_a_registrant_leaves_the_reservation);
	tcase_add_test(tests, preempting_all_registrants);
	tcase_add_test(tests, holder_preempts_itself_to_change_the_type);
	tcase_add_test(tests, preempt_and_abort_waits_for_what_it_aborts);
	tcase_add_test(tests, plain_preempt_waits_for_what_is_refused_now);
	tcase_add_loop_test(tests, preempt_gives_up_on_a_hung_write_and_the_unit_is_not_ready, 0, 2);
	tcase_add_test(tests, command_that_was_collected_meanwhile_meets_the_reservation);
	tcase_add_test(tests, spec_i_pt_registers_others);
	tcase_add_test(tests, spec_i_pt_with_a_bad_list_registers_nobody);
	tcase_add_test(tests, all_tg_pt_registers_for_every_target_port);
	tcase_add_test(tests, register_and_move_hands_the_reservation_over);
	tcase_add_test(tests, register_and_move_is_for_the_holder_alone);
	tcase_add_test(tests, full_status_names_everybody);
	tcase_add_test(tests, capabilities_say_what_holds);
	tcase_add_test(tests, reservation_outlives_its_nexus);
	tcase_add_test(tests, switched_off_they_are_no_commands);
	suite_add_tcase(suite, tests);
	harness_add_fixture(kept, setup, teardown);
	tcase_add_test(kept, aptpl_needs_somebody_to_keep_it);
	tcase_add_test(kept, aptpl_survives_a_restart);
	tcase_add_test(kept, what_cannot_be_kept_does_not_happen);
	tcase_add_test(kept, damaged_text_is_refused);
	suite_add_tcase(suite, kept);
	harness_add_fixture(legacy, setup, teardown);
	tcase_add_test(legacy, legacy_reservation_excludes_others);
	tcase_add_test(legacy, legacy_reservation_goes_with_its_nexus);
	tcase_add_test(legacy, legacy_reservation_goes_with_a_reset);
	tcase_add_test(legacy, legacy_and_persistent_exclude_each_other);
	suite_add_tcase(suite, legacy);
	return suite;
}
