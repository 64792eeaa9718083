/* SPDX-License-Identifier: Apache-2.0
 *
 * One writer, whatever happens: contenders, paused owners, killed ones.  Each owner is a process of its own.
 */
#include <config.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"
#include "s3/lease.h"

#define KIB	   1024u
#define MIB	   (1024u * KIB)
#define BLOCK	   4096u
#define CONTENDERS 16

/* Runs `act` in a child with the fake host to itself; what it writes to `report` comes back. */
struct child {
	pid_t pid;
	int report;
};

static struct child run_child(void (*act)(struct lab_volume *volume, int report), struct lab_volume *volume)
{
	struct child child;
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	child.pid = fork();
	ck_assert_int_ge(child.pid, 0);
	if (child.pid == 0) {
		close(ends[0]);
		act(volume, ends[1]);
		_exit(0);
	}
	close(ends[1]);
	child.report = ends[0];
	return child;
}

static uint32_t read_report(const struct child *child)
{
	uint32_t number = UINT32_MAX;

	if (read(child->report, &number, sizeof(number)) != sizeof(number))
		return UINT32_MAX;
	return number;
}

static void report_number(int report, uint32_t number)
{
	if (write(report, &number, sizeof(number)) != sizeof(number))
		_exit(1);
}

static void end_child(struct child *child, int with_signal)
{
	if (with_signal != 0)
		kill(child->pid, with_signal);
	ck_assert_int_eq(waitpid(child->pid, NULL, 0), child->pid);
	close(child->report);
}

static bool try_open(struct lab_volume *volume, struct fh_unit **unit)
{
	volume->spec.plugin = fh_load(S3_PLUGIN);
	volume->spec.path = volume->path;
	volume->spec.options = volume->options;
	return fh_open(&volume->spec, unit) == 0;
}

static void wait_for_end(void)
{
	for (;;)
		pause(); /* until the parent kills us */
}

/* ---- Contenders
 * -------------------------------------------------------------------------------------------------------- */

static void contend(struct lab_volume *volume, int report)
{
	struct fh_unit *unit;
	const bool won = try_open(volume, &unit);

	report_number(report, won);
	if (won)
		wait_for_end();
}

START_TEST(of_sixteen_contenders_at_once_one_wins)
{
	struct lab_volume volume;
	struct child children[CONTENDERS];
	unsigned winners = 0, answers = 0;

	lab_volume(&volume, MIB);
	volume.spec.flags = TGTKIT_OPEN_CREATE;
	for (unsigned i = 0; i < CONTENDERS; i++)
		children[i] = run_child(contend, &volume);
	for (unsigned i = 0; i < CONTENDERS; i++) {
		const uint32_t won = read_report(&children[i]);

		answers += won != UINT32_MAX;
		winners += won == 1;
	}
	for (unsigned i = 0; i < CONTENDERS; i++)
		end_child(&children[i], SIGKILL);
	ck_assert_uint_eq(answers, CONTENDERS);
	ck_assert_uint_eq(winners, 1);
}
END_TEST

START_TEST(a_live_owner_is_not_disturbed)
{
	struct lab_volume volume;
	struct fh_unit *unit;
	struct child second;
	unsigned char block[BLOCK];

	lab_volume(&volume, MIB);
	unit = lab_create(&volume);
	second = run_child(contend, &volume);
	ck_assert_uint_eq(read_report(&second), 0);
	end_child(&second, 0);
	lab_fill(block, BLOCK, 0, 1);
	ck_assert_int_eq(fh_write(unit, block, BLOCK, 0, TGTKIT_REQUEST_FUA), 0);
	ck_assert_uint_eq(fh_event_count(unit, TGTKIT_EVENT_FENCED), 0);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

START_TEST(take_over_fences_a_live_owner)
{
	struct lab_volume volume;
	struct fh_unit *unit;
	struct child second;
	unsigned char block[BLOCK];

	lab_volume(&volume, MIB);
	unit = lab_create(&volume);
	lab_fill(block, BLOCK, 0, 1);
	ck_assert_int_eq(fh_write(unit, block, BLOCK, 0, 0), 0);
	lab_option(&volume, "take_over", "true");
	second = run_child(contend, &volume);
	fh_wait_event(unit, TGTKIT_EVENT_FENCED, 1);
	ck_assert_int_eq(fh_write(unit, block, BLOCK, 0, 0), -ESHUTDOWN);
	ck_assert_int_eq(fh_read(unit, block, BLOCK, 0), -ESHUTDOWN);
	ck_assert_int_eq(fh_flush(unit), -ESHUTDOWN);
	ck_assert_uint_eq(read_report(&second), 1);
	end_child(&second, SIGKILL);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

/* ---- A paused owner
 * ------------------------------------------------------------------------------------------------------- */

static void write_all(struct fh_unit *unit, uint32_t seed, uint32_t length)
{
	static unsigned char buffer[MIB];

	for (uint32_t offset = 0; offset < length; offset += sizeof(buffer)) {
		lab_fill(buffer, sizeof(buffer), offset, seed);
		ck_assert_int_eq(fh_write(unit, buffer, sizeof(buffer), offset, 0), 0);
	}
}

/* Writes and flushes, writes something else without a flush, and says so; then tries again and again, and says what
 * came of it at last. */
static void be_paused(struct lab_volume *volume, int report)
{
	static unsigned char buffer[MIB];
	struct fh_unit *unit;
	struct fh_pending *flush;
	int status;

	if (!try_open(volume, &unit))
		_exit(1);
	write_all(unit, 1, 8 * MIB);
	if (fh_flush(unit) != 0)
		_exit(1);
	write_all(unit, 2, 8 * MIB);
	flush = fh_start(unit, TGTKIT_FLUSH, NULL, 0, 0, 0);
	report_number(report, 1);
	status = fh_wait(flush);
	while (status == 0)
		status = fh_write(unit, buffer, BLOCK, 0, TGTKIT_REQUEST_FUA);
	report_number(report, (uint32_t)-status);
	fh_close(unit);
}

START_TEST(a_paused_owner_changes_nothing_when_it_wakes)
{
	static unsigned char found[MIB], expected[MIB];
	struct lab_volume volume;
	struct fh_unit *unit;
	struct child first;

	lab_volume(&volume, 8 * MIB);
	lab_option(&volume, "cache_size", "16M");
	lab_option(&volume, "chunk_size", "256K");
	volume.spec.flags = TGTKIT_OPEN_CREATE;
	first = run_child(be_paused, &volume);
	ck_assert_uint_eq(read_report(&first), 1);
	kill(first.pid, SIGSTOP); /* in the middle of its uploads */
	unit = lab_open(&volume);
	write_all(unit, 3, 8 * MIB);
	ck_assert_int_eq(fh_flush(unit), 0);
	kill(first.pid, SIGCONT);
	ck_assert_uint_eq(read_report(&first), ESHUTDOWN);
	end_child(&first, 0);
	for (int round = 0; round < 2; round++) {
		for (uint32_t offset = 0; offset < 8 * MIB; offset += MIB) {
			lab_fill(expected, MIB, offset, 3);
			ck_assert_int_eq(fh_read(unit, found, MIB, offset), 0);
			ck_assert_mem_eq(found, expected, MIB);
		}
		fh_close(unit);
		unit = lab_open(&volume);
	}
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

/* ---- The same host
 * ---------------------------------------------------------------------------------------------------------- */

START_TEST(the_same_host_reclaims_at_once)
{
	struct lab_volume volume;
	struct fh_unit *unit;
	struct child first;

	lab_volume(&volume, MIB);
	lab_option(&volume, "lease_s", "600"); /* nobody waits for that */
	volume.spec.state_dir = lab_folder;
	volume.spec.flags = TGTKIT_OPEN_CREATE;
	first = run_child(contend, &volume);
	ck_assert_uint_eq(read_report(&first), 1);
	ck_assert(!try_open(&volume, &unit));
	ck_assert_msg(strstr(fh_error(), "in use by another process of this host") != NULL, "%s", fh_error());
	end_child(&first, SIGKILL);
	unit = lab_open(&volume);
	ck_assert_uint_eq(fh_open_takes_us(unit), 0);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

START_TEST(another_state_folder_has_to_wait_and_says_how_long)
{
	struct lab_volume volume;
	struct fh_unit *unit;
	struct child first;

	lab_volume(&volume, MIB);
	volume.spec.state_dir = lab_folder;
	volume.spec.flags = TGTKIT_OPEN_CREATE;
	first = run_child(contend, &volume);
	ck_assert_uint_eq(read_report(&first), 1);
	end_child(&first, SIGKILL);
	volume.spec.state_dir = "/tmp";
	unit = lab_open(&volume);
	ck_assert_uint_ge(fh_open_takes_us(unit), 3000000);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

/* One that lost a race knows the number of the other's generation, and must not say that it is free. */
START_TEST(only_an_owner_gives_a_lease_back)
{
	const struct s3_lease_args args = {.uuid = "", .state_dir = "", .lease_s = 3};
	struct s3_lease owner = {0}, loser = {.generation = 1};
	struct s3_lease_record found;
	struct lab_volume volume;
	struct tgtkit_error error;
	struct s3_text lease = {0};
	struct lab_raw raw;

	lab_volume(&volume, MIB);
	lab_raw_open(&raw, &volume);
	ck_assert_msg(s3_lease_acquire(&raw.session, &args, &owner, &error) == 0, "%s", error.message);
	ck_assert_uint_eq(owner.generation, 1);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(s3_lease_release(&raw.session, i == 0 ? &loser : &owner, &error), 0);
		ck_assert_int_eq(s3_object_get(&raw.session, "_lease.00000001", &lease, &error), 0);
		ck_assert(s3_lease_decode(lease.data, lease.length, &found));
		ck_assert_str_eq(found.nonce, owner.record.nonce);
		ck_assert(found.released == (i == 1));
	}
	s3_text_free(&lease);
	s3_lease_close(&owner);
	lab_raw_close(&raw);
}
END_TEST

/* ---- kill -9
 * ---------------------------------------------------------------------------------------------------------------- */

#define KILL_BYTES  (4u * MIB)
#define KILL_BLOCKS (KILL_BYTES / BLOCK)

/* Each round writes blocks of its own number, every block at most once per round, and reports the rounds that were
 * flushed.  A block holds its number of round and its place in every word. */
static void fill_block(uint32_t *words, uint32_t block, uint32_t round)
{
	for (uint32_t i = 0; i < BLOCK / 8; i++) {
		words[2 * i] = block ^ (i * 2654435761u);
		words[2 * i + 1] = round;
	}
}

static void write_rounds(struct lab_volume *volume, int report)
{
	static uint32_t words[BLOCK / 4];
	struct fh_unit *unit;

	if (!try_open(volume, &unit))
		_exit(1);
	for (uint32_t round = 1;; round++) {
		for (uint32_t i = 0; i < 96; i++) {
			const uint32_t block = (i * 2654435761u + round * 40503u) % KILL_BLOCKS;

			fill_block(words, block, round);
			if (fh_write(unit, words, BLOCK, (uint64_t)block * BLOCK,
				     round % 5 == 0 ? TGTKIT_REQUEST_FUA : 0) != 0)
				_exit(1);
		}
		if (fh_flush(unit) != 0)
			_exit(1);
		report_number(report, round);
	}
}

/* What must be there at least: the round in which each block was last written and flushed. */
static void expect_rounds(uint32_t *least, uint32_t flushed)
{
	memset(least, 0, KILL_BLOCKS * sizeof(*least));
	for (uint32_t round = 1; round <= flushed; round++)
		for (uint32_t i = 0; i < 96; i++)
			least[(i * 2654435761u + round * 40503u) % KILL_BLOCKS] = round;
}

static void check_block(const uint32_t *found, uint32_t block, uint32_t least, uint32_t most)
{
	uint32_t expected[BLOCK / 4] = {0};

	ck_assert_uint_ge(found[1], least);
	ck_assert_uint_le(found[1], most);
	if (found[1] != 0)
		fill_block(expected, block, found[1]);
	ck_assert_mem_eq(found, expected, BLOCK);
}

START_TEST(what_was_flushed_survives_kill_9)
{
	static uint32_t found[BLOCK / 4], least[KILL_BLOCKS];
	const uint32_t rounds = 1 + (uint32_t)_i % 3;
	const struct timespec moment = {.tv_nsec = (_i * 7919 % 97) * 1000000L};
	struct lab_volume volume;
	struct child writer;
	struct fh_unit *unit;
	uint32_t flushed = 0;

	lab_volume(&volume, KILL_BYTES);
	lab_option(&volume, "cache_size", "1M");
	/* Mostly as the same host again, which needs not wait for the lease. */
	volume.spec.state_dir = _i % 5 == 0 ? NULL : lab_folder;
	volume.spec.flags = TGTKIT_OPEN_CREATE;
	writer = run_child(write_rounds, &volume);
	while (flushed < rounds)
		flushed = read_report(&writer);
	ck_assert_uint_ne(flushed, UINT32_MAX);
	nanosleep(&moment, NULL); /* any moment of the next round */
	kill(writer.pid, SIGKILL);
	for (uint32_t more = read_report(&writer); more != UINT32_MAX; more = read_report(&writer))
		flushed = more;
	end_child(&writer, 0);
	unit = lab_open(&volume);
	expect_rounds(least, flushed);
	for (uint32_t block = 0; block < KILL_BLOCKS; block++) {
		ck_assert_int_eq(fh_read(unit, found, BLOCK, (uint64_t)block * BLOCK), 0);
		check_block(found, block, least[block], flushed + 1);
	}
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

static int kill_rounds(void)
{
	const char *wanted = getenv("TGTKIT_S3_KILL_ROUNDS");

	return wanted == NULL ? 20 : atoi(wanted);
}

Suite *owner_suite(void)
{
	Suite *suite = suite_create("owner");
	TCase *tests = tcase_create("owner");

	tcase_add_unchecked_fixture(tests, lab_set_up, NULL);
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, of_sixteen_contenders_at_once_one_wins);
	tcase_add_test(tests, a_live_owner_is_not_disturbed);
	tcase_add_test(tests, take_over_fences_a_live_owner);
	tcase_add_test(tests, a_paused_owner_changes_nothing_when_it_wakes);
	tcase_add_test(tests, the_same_host_reclaims_at_once);
	tcase_add_test(tests, another_state_folder_has_to_wait_and_says_how_long);
	tcase_add_test(tests, only_an_owner_gives_a_lease_back);
	tcase_add_loop_test(tests, what_was_flushed_survives_kill_9, 0, kill_rounds());
	suite_add_tcase(suite, tests);
	return suite;
}
