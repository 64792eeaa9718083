/* SPDX-License-Identifier: Apache-2.0
 *
 * Servers that are killed and started again under load: no request fails, and no byte is lost.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "remote_test.h"

#define DISK_BYTES  (4 * MIB)
#define BLOCK	    4096u
#define BLOCKS	    (DISK_BYTES / BLOCK)
#define MOST_BLOCKS 16u
#define DEPTH	    24u
#define ROUNDS	    25u
#define PER_ROUND   60u

static unsigned char model[DISK_BYTES], all[DISK_BYTES];

static struct slot {
	struct fh_pending *pending;
	uint32_t operation;
	uint64_t offset, length;
	unsigned char buffer[MOST_BLOCKS * BLOCK], expected[MOST_BLOCKS * BLOCK];
} slots[DEPTH];

/* What a read returns is only known if nobody changes those bytes meanwhile. */
static bool is_touched(uint64_t offset, uint64_t length, bool only_reads)
{
	for (unsigned i = 0; i < DEPTH; i++)
		if (slots[i].pending != NULL && (slots[i].operation == TGTKIT_READ || !only_reads) &&
		    slots[i].offset < offset + length && offset < slots[i].offset + slots[i].length)
			return true;
	return false;
}

static void finish(struct slot *slot)
{
	if (slot->pending == NULL)
		return;
	ck_status(fh_wait(slot->pending), 0);
	slot->pending = NULL;
	if (slot->operation == TGTKIT_READ)
		ck_assert_msg(memcmp(slot->buffer, slot->expected, slot->length) == 0,
			      "%llu bytes at %llu are not what was written", (unsigned long long)slot->length,
			      (unsigned long long)slot->offset);
}

/* Changes of the same bytes take place in the order of submission, so that the model is ahead of the disk, never apart. */
static void begin(struct slot *slot, uint32_t seed)
{
	uint32_t flags = random_below(8) == 0 ? TGTKIT_REQUEST_FUA : 0;

	finish(slot);
	slot->operation = TGTKIT_WRITE;
	if (random_below(10) == 0)
		slot->operation = TGTKIT_ZERO;
	else if (random_below(3) == 0)
		slot->operation = TGTKIT_READ;
	do {
		slot->length = (random_below(MOST_BLOCKS) + 1) * BLOCK;
		slot->offset = random_below(BLOCKS - MOST_BLOCKS) * (uint64_t)BLOCK;
	} while (is_touched(slot->offset, slot->length, slot->operation != TGTKIT_READ));
	if (slot->operation == TGTKIT_READ) {
		memcpy(slot->expected, model + slot->offset, slot->length);
		flags = 0;
	} else if (slot->operation == TGTKIT_WRITE) {
		fill(slot->buffer, slot->length, seed);
		memcpy(model + slot->offset, slot->buffer, slot->length);
	} else {
		memset(model + slot->offset, 0, slot->length);
	}
	slot->pending = fh_start(unit, slot->operation, slot->buffer, slot->length, slot->offset, flags);
}

static void compare_all(const char *when)
{
	for (unsigned i = 0; i < DEPTH; i++)
		finish(&slots[i]);
	for (uint64_t offset = 0; offset < DISK_BYTES; offset += MIB)
		ck_status(fh_read(unit, all + offset, MIB, offset), 0);
	for (unsigned i = 0; i < DISK_BYTES; i++)
		if (all[i] != model[i])
			ck_abort_msg("%s: byte %u is %02x instead of %02x", when, i, all[i], model[i]);
}

/* A verify run in which the server is killed again and again, with requests on their way. */
static void verify_run(bool with_flushes)
{
	uint64_t reconnects = 0;
	uint32_t seed = 1;

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < PER_ROUND; i++)
			begin(&slots[random_below(DEPTH)], seed++);
		if (with_flushes && round % 4 == 0)
			ck_status(fh_flush(unit), 0);
		for (unsigned i = 0; i < DEPTH; i++)
			begin(&slots[i], seed++);
		nbd_server_kill(&server, SIGKILL);
		/* These meet a server that is not there. */
		for (unsigned i = 0; i < DEPTH / 2; i++)
			if (slots[i].pending != NULL && fh_is_done(slots[i].pending))
				begin(&slots[i], seed++);
		nbd_server_restart(&server);
		wait_for_counter("reconnects_total", ++reconnects);
		reconnects = counter_value("reconnects_total");
	}
	compare_all("at the end");
	ck_assert_uint_gt(counter_value("resent_total"), 0);
}

static const struct fh_option one[] = {{"connections", "1"}, {NULL, NULL}};
static const struct fh_option four[] = {{"connections", "4"}, {NULL, NULL}};
static const struct fh_option *const connections[] = {one, four};

START_TEST(a_restarted_file_server_loses_nothing)
{
	make_file("disk", DISK_BYTES);
	serve("nbdkit", "-f", "file", in_scratch("disk"));
	open_unit(connections[_i]);
	verify_run(true);
	ck_status(fh_flush(unit), 0);
	fh_close(unit);
	read_file("disk", all, DISK_BYTES, 0);
	ck_assert_int_eq(memcmp(all, model, DISK_BYTES), 0);
}
END_TEST

START_TEST(so_does_one_on_tcp)
{
	make_file("disk", DISK_BYTES);
	if (!nbd_server_has("nbdkit"))
		return;
	nbd_server_start(&server, NULL, ARGUMENTS("nbdkit", "-f", "file", in_scratch("disk")));
	open_unit(connections[_i]);
	verify_run(true);
	ck_status(fh_flush(unit), 0);
	fh_close(unit);
}
END_TEST

/* It keeps in its memory what no flush has covered. */
START_TEST(a_restarted_server_that_forgets_is_given_everything_again)
{
	make_file("disk", DISK_BYTES);
	serve("nbdkit", "-f", "--filter=cache", "file", in_scratch("disk"), "cache=writeback");
	open_unit(NULL);
	verify_run(true);
	ck_assert_uint_gt(counter_value("replayed_bytes_total"), 0);
	ck_status(fh_flush(unit), 0);
	nbd_server_kill(&server, SIGKILL);
	nbd_server_restart(&server);
	compare_all("after a flush and one more restart");
	fh_close(unit);
}
END_TEST

/* A small journal, which the plugin flushes by itself; the host never does. */
START_TEST(nothing_is_lost_without_a_single_flush_from_above)
{
	make_file("disk", DISK_BYTES);
	serve("nbdkit", "-f", "--filter=cache", "file", in_scratch("disk"), "cache=writeback");
	open_unit(OPTIONS({"replay_size", "8M"}));
	verify_run(false);
	ck_status(fh_flush(unit), 0);
	fh_close(unit);
}
END_TEST

static bool has_ended_under_load(void *context)
{
	unsigned *seed = context;

	for (unsigned i = 0; i < DEPTH; i++)
		if (fh_is_done(slots[i].pending))
			begin(&slots[i], (*seed)++);
	return waitpid(server.pid, NULL, WNOHANG) != 0;
}

/* Asked to end, nbdkit refuses new requests and waits for its clients to go. */
START_TEST(a_server_that_says_goodbye_loses_nothing_either)
{
	unsigned seed = 0;

	make_file("disk", DISK_BYTES);
	serve("nbdkit", "-f", "file", in_scratch("disk"));
	open_unit(connections[_i]);
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < DEPTH; i++)
			begin(&slots[i], seed++);
		kill(server.pid, SIGTERM);
		fh_run_until(has_ended_under_load, &seed);
		nbd_server_restart(&server);
	}
	compare_all("at the end");
	ck_status(fh_flush(unit), 0);
	fh_close(unit);
}
END_TEST

/* Stopped, it holds the first write; killed, it has or has not done it; then it comes a second time. */
START_TEST(an_old_write_never_lands_on_a_newer_one)
{
	static unsigned char old[64 * KIB], new[64 * KIB], seen[64 * KIB];
	struct fh_pending *first, *second;

	memset(old, 1, sizeof(old));
	memset(new, 2, sizeof(new));
	make_file("disk", DISK_BYTES);
	serve("nbdkit", "-f", "file", in_scratch("disk"));
	open_unit(connections[_i]);
	for (unsigned round = 0; round < 30; round++) {
		nbd_server_freeze(&server);
		first = fh_start(unit, TGTKIT_WRITE, old, sizeof(old), 4096, 0);
		second = fh_start(unit, TGTKIT_WRITE, new, sizeof(new), 4096 + 512, 0);
		nbd_server_kill(&server, SIGKILL);
		nbd_server_restart(&server);
		ck_status(fh_wait(second), 0);
		ck_status(fh_wait(first), 0);
		ck_status(fh_read(unit, seen, sizeof(seen), 4096 + 512), 0);
		ck_assert_int_eq(memcmp(seen, new, sizeof(new)), 0);
	}
	fh_close(unit);
}
END_TEST

START_TEST(a_server_that_reads_only_part_of_a_write_is_sent_all_of_it_again)
{
	static unsigned char large[4 * MIB];

	make_file("disk", DISK_BYTES);
	serve("nbdkit", "-f", "file", in_scratch("disk"));
	open_unit(NULL);
	for (unsigned round = 0; round < 5; round++) {
		struct fh_pending *pending;

		/* More than a socket holds. */
		nbd_server_freeze(&server);
		fill(large, sizeof(large), round);
		pending = fh_start(unit, TGTKIT_WRITE, large, sizeof(large), 0, 0);
		nbd_server_kill(&server, SIGKILL);
		nbd_server_restart(&server);
		ck_status(fh_wait(pending), 0);
		memcpy(model, large, sizeof(large));
	}
	compare_all("at the end");
	fh_close(unit);
}
END_TEST

START_TEST(closing_does_not_wait_for_a_server_that_is_gone)
{
	serve("nbdkit", "-f", "memory", "1M");
	open_unit(connections[_i]);
	ck_status(fh_write(unit, model, BLOCK, 0, 0), 0);
	nbd_server_kill(&server, SIGKILL);
	fh_close(unit);
}
END_TEST

static bool has_warned(void *context)
{
	(void)context;
	return fh_log_count(TGTKIT_LOG_WARNING) > 0;
}

START_TEST(nor_after_it_was_noticed)
{
	struct fh_pending *read;

	serve("nbdkit", "-f", "memory", "1M");
	open_unit(connections[_i]);
	nbd_server_kill(&server, SIGKILL);
	read = fh_start(unit, TGTKIT_READ, all, BLOCK, 0, 0);
	fh_run_until(has_warned, NULL);
	fh_cancel(read);
	ck_status(fh_wait(read), -ECANCELED);
	fh_close(unit);
}
END_TEST

TCase *restart_tests(void)
{
	TCase *tests = make_case("restarts");

	tcase_add_loop_test(tests, a_restarted_file_server_loses_nothing, 0, 2);
	tcase_add_loop_test(tests, so_does_one_on_tcp, 0, 2);
	tcase_add_test(tests, a_restarted_server_that_forgets_is_given_everything_again);
	tcase_add_test(tests, nothing_is_lost_without_a_single_flush_from_above);
	tcase_add_loop_test(tests, a_server_that_says_goodbye_loses_nothing_either, 0, 2);
	tcase_add_loop_test(tests, an_old_write_never_lands_on_a_newer_one, 0, 2);
	tcase_add_test(tests, a_server_that_reads_only_part_of_a_write_is_sent_all_of_it_again);
	tcase_add_loop_test(tests, closing_does_not_wait_for_a_server_that_is_gone, 0, 2);
	tcase_add_loop_test(tests, nor_after_it_was_noticed, 0, 2);
	return tests;
}
