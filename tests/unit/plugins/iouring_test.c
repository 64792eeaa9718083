/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugin "iouring": what it has that "file" has not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plugins_test.h"

#define MIB	     (1u << 20)
#define REGION_BYTES (8 * MIB)

static struct fh_unit *unit;

static struct fh_spec spec_of(const char *name)
{
	return (struct fh_spec){.plugin = fh_load(IOURING_PLUGIN), .path = in_scratch(name)};
}

static void open_store(const struct fh_option *options, struct tgtkit_region region)
{
	struct fh_spec spec = spec_of("store");

	make_file("store", 4 * MIB);
	spec.options = options;
	spec.region = region;
	ck_status(fh_open(&spec, &unit), 0);
}

static void tear_down(void)
{
	ck_assert_uint_eq(fh_violations(), 0);
	tear_down_scratch();
}

/* False if the test cannot be made here. */
static bool is_allowed(void)
{
	if (!io_uring_is_allowed())
		fprintf(stderr, "skipped: io_uring is not to be had here\n");
	return io_uring_is_allowed();
}

/* ---- Where it is forbidden --------------------------------------------------------------------------------------- */

/* As a container's profile does. */
static void forbid_io_uring(int errno_value)
{
	struct sock_filter filter[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)errno_value),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void assert_refused(int errno_value, const char *text)
{
	struct fh_spec spec = spec_of("new");

	spec.flags = TGTKIT_OPEN_CREATE;
	spec.size_bytes = MIB;
	forbid_io_uring(errno_value);
	ck_status(fh_check(&spec), -errno_value);
	ck_assert_ptr_nonnull(strstr(fh_error(), text));
	ck_status(fh_open(&spec, &unit), -errno_value);
	ck_assert_ptr_nonnull(strstr(fh_error(), text));
	ck_assert_ptr_nonnull(strstr(fh_error(), "use the plugin file"));
	/* Nothing is made that cannot be served. */
	ck_assert_int_ne(access(in_scratch("new"), F_OK), 0);
}

START_TEST(a_profile_that_forbids_it_is_named)
{
	assert_refused(EPERM, "io_uring is forbidden here");
}
END_TEST

START_TEST(a_kernel_without_it_is_named)
{
	assert_refused(ENOSYS, "this kernel has no io_uring");
}
END_TEST

/* ---- Registered memory ------------------------------------------------------------------------------------------- */

static struct tgtkit_region map_region(void)
{
	struct tgtkit_region region = {.length = REGION_BYTES};

	region.address = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(region.address, MAP_FAILED);
	return region;
}

/* That this process has pinned. */
static unsigned long pinned_bytes(void)
{
	FILE *stream = fopen("/proc/self/status", "re");
	unsigned long kilobytes = 0;
	char line[256];

	ck_assert_ptr_nonnull(stream);
	while (fgets(line, sizeof(line), stream) != NULL)
		if (sscanf(line, "VmPin: %lu", &kilobytes) == 1)
			break;
	fclose(stream);
	return kilobytes * 1024;
}

static bool is_idle(void *context)
{
	return *(bool *)context;
}

static void mark_done(struct fh_io *io)
{
	*(bool *)io->context = true;
}

static int transfer(uint32_t operation, void *memory, uint32_t length, uint64_t offset)
{
	struct fh_io *io = fh_io_new(unit);
	bool is_done = false;
	int status;

	io->request.operation = operation;
	io->request.offset = offset;
	io->request.length = length;
	io->request.segment_count = 1;
	io->segments[0] = (struct tgtkit_segment){.address = memory, .length = length, .region = 0};
	io->done = mark_done;
	io->context = &is_done;
	fh_io_submit(io);
	fh_run_until(is_idle, &is_done);
	status = io->status;
	fh_io_free(io);
	return status;
}

/* Writes from one place of the region, reads to another, and compares. */
static void assert_memory_serves(char *from, char *to, uint32_t length)
{
	fill(from, length, length);
	memset(to, 0, length);
	ck_assert_int_eq(transfer(TGTKIT_WRITE, from, length, 4096), 0);
	ck_assert_int_eq(transfer(TGTKIT_READ, to, length, 4096), 0);
	ck_assert_int_eq(memcmp(from, to, length), 0);
}

START_TEST(memory_is_registered_when_it_is_first_used)
{
	const struct tgtkit_region region = map_region();
	char *memory = region.address;

	if (!is_allowed())
		return;
	open_store(NULL, region);
	ck_assert_uint_eq(pinned_bytes(), 0);
	assert_memory_serves(memory, memory + 64 * 1024, 8192);
	ck_assert_uint_eq(pinned_bytes(), 2 * MIB);
	assert_memory_serves(memory + MIB, memory + 3 * MIB, 65536);
	ck_assert_uint_eq(pinned_bytes(), 4 * MIB);
	/* Across two pieces, and up to the very end. */
	assert_memory_serves(memory + 4 * MIB - 4096, memory + REGION_BYTES - 8192, 8192);
	ck_assert_uint_eq(pinned_bytes(), 6 * MIB);
	fh_close(unit);
	munmap(memory, REGION_BYTES);
}
END_TEST

START_TEST(without_locked_memory_it_works_and_says_so_once)
{
	const struct tgtkit_region region = map_region();
	const struct rlimit little = {MIB, MIB}; /* enough for the ring, which newer kernels count too */
	char *memory = region.address;
	unsigned before;

	ck_assert_int_eq(chmod(scratch, 0777), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &little), 0);
	/* Root may lock what it likes. */
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	if (!is_allowed()) {
		ck_assert_int_eq(seteuid(getuid()), 0);
		return;
	}
	before = fh_log_count(TGTKIT_LOG_INFO);
	open_store(NULL, region);
	assert_memory_serves(memory, memory + MIB, 8192);
	assert_memory_serves(memory + 3 * MIB, memory + 5 * MIB, 8192);
	ck_assert_uint_eq(pinned_bytes(), 0);
	ck_assert_uint_eq(fh_log_count(TGTKIT_LOG_INFO), before + 1);
	ck_assert_ptr_nonnull(strstr(fh_last_log(TGTKIT_LOG_INFO), "locked memory"));
	fh_close(unit);
	munmap(memory, REGION_BYTES);
	ck_assert_int_eq(seteuid(getuid()), 0);
}
END_TEST

/* ---- Many at a time ---------------------------------------------------------------------------------------------- */

START_TEST(options_out_of_range_are_refused)
{
	static const struct fh_option shallow[] = {{"queue_depth", "7"}, {NULL, NULL}};
	static const struct fh_option deep[] = {{"queue_depth", "4097"}, {NULL, NULL}};
	struct fh_spec spec = spec_of("store");

	make_file("store", MIB);
	spec.options = shallow;
	ck_status(fh_open(&spec, &unit), -EINVAL);
	spec.options = deep;
	ck_status(fh_open(&spec, &unit), -EINVAL);
}
END_TEST

#define MANY 1000

/* More than the unit takes, and more than the ring's submission queue holds. */
START_TEST(more_than_the_queue_takes_wait_their_turn)
{
	static const struct fh_option depths[][2] = {{{"queue_depth", "8"}, {NULL, NULL}},
						     {{"queue_depth", "4096"}, {NULL, NULL}}};
	static unsigned char bytes[MANY][4096];
	static struct fh_pending *pending[MANY];

	if (!is_allowed())
		return;
	open_store(depths[_i], (struct tgtkit_region){0});
	for (unsigned i = 0; i < MANY; i++) {
		memset(bytes[i], (int)(i % 251) + 1, sizeof(bytes[i]));
		pending[i] = fh_start(unit, TGTKIT_WRITE, bytes[i], 4096, i * 4096, 0);
	}
	for (unsigned i = 0; i < MANY; i++)
		ck_status(fh_wait(pending[i]), 0);
	memset(bytes, 0, sizeof(bytes));
	for (unsigned i = 0; i < MANY; i++)
		pending[i] = fh_start(unit, TGTKIT_READ, bytes[i], 4096, i * 4096, 0);
	for (unsigned i = 0; i < MANY; i++) {
		ck_status(fh_wait(pending[i]), 0);
		ck_assert_uint_eq(bytes[i][0], i % 251 + 1);
		ck_assert_uint_eq(bytes[i][4095], i % 251 + 1);
	}
	fh_close(unit);
}
END_TEST

#define STABLE 64

START_TEST(stable_writes_and_flushes_go_together)
{
	static unsigned char bytes[4096];
	struct fh_pending *pending[3 * STABLE];

	if (!is_allowed())
		return;
	open_store(NULL, (struct tgtkit_region){0});
	for (unsigned i = 0; i < STABLE; i++) {
		pending[3 * i] = fh_start(unit, TGTKIT_WRITE, bytes, 4096, i * 4096, TGTKIT_REQUEST_FUA);
		pending[3 * i + 1] = fh_start(unit, TGTKIT_FLUSH, NULL, 0, 0, 0);
		pending[3 * i + 2] = fh_start(unit, TGTKIT_ZERO, NULL, 512, MIB + i * 512, TGTKIT_REQUEST_FUA);
	}
	for (unsigned i = 0; i < 3 * STABLE; i++)
		ck_status(fh_wait(pending[i]), 0);
	fh_close(unit);
}
END_TEST

START_TEST(a_flush_that_waits_can_be_cancelled)
{
	struct fh_pending *first, *second, *third;

	if (!is_allowed())
		return;
	open_store(NULL, (struct tgtkit_region){0});
	first = fh_start(unit, TGTKIT_FLUSH, NULL, 0, 0, 0);
	second = fh_start(unit, TGTKIT_FLUSH, NULL, 0, 0, 0);
	third = fh_start(unit, TGTKIT_FLUSH, NULL, 0, 0, 0);
	fh_cancel(second);
	ck_status(fh_wait(second), -ECANCELED);
	ck_status(fh_wait(first), 0);
	ck_status(fh_wait(third), 0);
	fh_close(unit);
}
END_TEST

START_TEST(what_is_cancelled_completes_once)
{
	static unsigned char bytes[STABLE][65536];
	struct fh_pending *pending[STABLE];

	if (!is_allowed())
		return;
	open_store(NULL, (struct tgtkit_region){0});
	for (unsigned i = 0; i < STABLE; i++)
		pending[i] = fh_start(unit, i % 2 == 0 ? TGTKIT_READ : TGTKIT_WRITE, bytes[i], 65536, i % 32 * 65536,
				      i % 8 == 1 ? TGTKIT_REQUEST_FUA : 0);
	for (unsigned i = 0; i < STABLE; i++)
		fh_cancel(pending[i]);
	for (unsigned i = 0; i < STABLE; i++) {
		const int status = fh_wait(pending[i]);

		ck_assert_msg(status == 0 || status == -ECANCELED, "request %u: %d", i, status);
	}
	ck_status(fh_write(unit, bytes[0], 65536, 0, 0), 0);
	fh_close(unit);
}
END_TEST

TCase *iouring_tests(void)
{
	TCase *tests = tcase_create("iouring");

	use_scratch(tests);
	tcase_add_checked_fixture(tests, set_up_scratch, tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_profile_that_forbids_it_is_named);
	tcase_add_test(tests, a_kernel_without_it_is_named);
	tcase_add_test(tests, memory_is_registered_when_it_is_first_used);
	tcase_add_test(tests, without_locked_memory_it_works_and_says_so_once);
	tcase_add_test(tests, options_out_of_range_are_refused);
	tcase_add_loop_test(tests, more_than_the_queue_takes_wait_their_turn, 0, 2);
	tcase_add_test(tests, stable_writes_and_flushes_go_together);
	tcase_add_test(tests, a_flush_that_waits_can_be_cancelled);
	tcase_add_test(tests, what_is_cancelled_completes_once);
	return tests;
}
