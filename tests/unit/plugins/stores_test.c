/* SPDX-License-Identifier: Apache-2.0
 *
 * What every store has to do, whatever it is made of: each test runs once per row of a table of stores.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/nbd_server.h"
#include "plugins_test.h"

#define SIZE_BYTES (1u << 20)
#define ROUNDS	   400
#define MOST_BYTES (128u << 10)

enum {
	FORGETS = 1u << 0,	 /* what is written reads back as zeros */
	PERSISTS = 1u << 1,	 /* what is written is there after a reopen */
	LOOP_DEVICE = 1u << 2,	 /* `path` is the file behind a loop device */
	SHARED_MEMORY = 1u << 3, /* in /dev/shm, which is a tmpfs */
	IO_URING = 1u << 4,	 /* which may be forbidden here */
	NBD_SERVER = 1u << 5,	 /* `path` is the command line of one */
};

#define FILE_FLAGS                                                                                                     \
	(TGTKIT_CAN_FLUSH | TGTKIT_CAN_FUA | TGTKIT_CAN_DISCARD | TGTKIT_DISCARD_READS_ZERO | TGTKIT_CAN_ZERO |        \
	 TGTKIT_CAN_EXTENTS | TGTKIT_VOLATILE_CACHE)
#define RIG_FLAGS                                                                                                      \
	(TGTKIT_CAN_FLUSH | TGTKIT_CAN_FUA | TGTKIT_CAN_DISCARD | TGTKIT_DISCARD_READS_ZERO | TGTKIT_CAN_ZERO |        \
	 TGTKIT_CAN_EXTENTS)
#define DEVICE_FLAGS (TGTKIT_CAN_FLUSH | TGTKIT_CAN_FUA | TGTKIT_CAN_ZERO | TGTKIT_VOLATILE_CACHE)

#define NBD_FLAGS                                                                                                      \
	(TGTKIT_CAN_FLUSH | TGTKIT_CAN_FUA | TGTKIT_CAN_DISCARD | TGTKIT_CAN_EXTENTS | TGTKIT_VOLATILE_CACHE)

/* One store.  A path of "store", also as a word of a command line, is in the scratch folder. */
static const struct row {
	const char *name, *plugin, *path;
	uint32_t expected_flags; /* at least */
	unsigned traits;
	struct fh_option options[7];
} rows[] = {
    {"file", FILE_PLUGIN, "store", FILE_FLAGS, PERSISTS, {{NULL, NULL}}},
    {"file, direct", FILE_PLUGIN, "store", FILE_FLAGS, PERSISTS, {{"direct", "true"}}},
    {"file on tmpfs", FILE_PLUGIN, "store", FILE_FLAGS, PERSISTS | SHARED_MEMORY, {{"max_parallel", "4"}}},
    {"block device", FILE_PLUGIN, "store", DEVICE_FLAGS, PERSISTS | LOOP_DEVICE, {{NULL, NULL}}},
    {"block device, direct", FILE_PLUGIN, "store", DEVICE_FLAGS, PERSISTS | LOOP_DEVICE, {{"direct", "true"}}},
#ifdef IOURING_PLUGIN
    {"iouring", IOURING_PLUGIN, "store", FILE_FLAGS, PERSISTS | IO_URING, {{NULL, NULL}}},
    {"iouring, buffered", IOURING_PLUGIN, "store", FILE_FLAGS, PERSISTS | IO_URING, {{"buffered", "true"}}},
    {"iouring on tmpfs",
     IOURING_PLUGIN,
     "store",
     FILE_FLAGS,
     PERSISTS | IO_URING | SHARED_MEMORY,
     {{"buffered", "true"}, {"queue_depth", "8"}}},
    {"iouring, block device", IOURING_PLUGIN, "store", DEVICE_FLAGS, PERSISTS | IO_URING | LOOP_DEVICE, {{NULL, NULL}}},
    {"iouring, block device, buffered",
     IOURING_PLUGIN,
     "store",
     DEVICE_FLAGS,
     PERSISTS | IO_URING | LOOP_DEVICE,
     {{"buffered", "true"}, {"queue_depth", "8"}}},
#endif
    {"null", NULL_PLUGIN, "1M", RIG_FLAGS, FORGETS, {{NULL, NULL}}},
    {"null, latency", NULL_PLUGIN, "1048576", RIG_FLAGS, FORGETS, {{"latency_us", "50"}}},
    {"ramdisk", RAMDISK_PLUGIN, "1048576", 0, 0, {{NULL, NULL}}},
    {"rig", RIG_PLUGIN, "1048576", RIG_FLAGS, 0, {{NULL, NULL}}},
    {"rig, tight limits",
     RIG_PLUGIN,
     "1048576",
     RIG_FLAGS,
     0,
     {{"offset_alignment", "4K"}, {"memory_alignment", "512"}, {"maximum_transfer", "64K"}, {"maximum_segments", "3"}}},
    {"rig, refusing", RIG_PLUGIN, "1048576", RIG_FLAGS, 0, {{"again_every", "3"}, {"max_queues", "1"}}},
    {"rig, out of order", RIG_PLUGIN, "1048576", RIG_FLAGS, 0, {{"reorder", "true"}, {"delay_us", "100"}}},
    {"rig, volatile cache",
     RIG_PLUGIN,
     "1048576",
     TGTKIT_CAN_FLUSH | TGTKIT_VOLATILE_CACHE,
     0,
     {{"capabilities", "flush,volatile"}}},
    {"rig, bare", RIG_PLUGIN, "1048576", 0, 0, {{"capabilities", ""}}},
#ifdef REMOTE_PLUGIN
    {"remote, nbdkit memory",
     REMOTE_PLUGIN,
     "nbdkit -f memory 1M",
     NBD_FLAGS | TGTKIT_CAN_ZERO,
     PERSISTS | NBD_SERVER,
     {{NULL, NULL}}},
    {"remote, four connections",
     REMOTE_PLUGIN,
     "nbdkit -f memory 1M",
     NBD_FLAGS | TGTKIT_CAN_ZERO,
     PERSISTS | NBD_SERVER,
     {{"connections", "4"}}},
    {"remote, nbdkit file",
     REMOTE_PLUGIN,
     "nbdkit -f file store",
     NBD_FLAGS | TGTKIT_CAN_ZERO,
     PERSISTS | NBD_SERVER,
     {{"replay_size", "64K"}}},
    {"remote, large blocks",
     REMOTE_PLUGIN,
     "nbdkit -f --filter=blocksize-policy memory 1M blocksize-minimum=4K blocksize-maximum=64K "
     "blocksize-error-policy=error",
     NBD_FLAGS,
     PERSISTS | NBD_SERVER,
     {{NULL, NULL}}},
    {"remote, qemu-nbd",
     REMOTE_PLUGIN,
     "qemu-nbd -t -e 8 -f raw --discard=unmap store",
     NBD_FLAGS | TGTKIT_CAN_ZERO,
     PERSISTS | NBD_SERVER,
     {{"connections", "2"}}},
#endif
};

#define ROW_COUNT ((int)(sizeof(rows) / sizeof(rows[0])))

static const struct row *row;
static struct fh_spec spec;
static struct fh_unit *unit;
static struct nbd_server server;
static unsigned char model[SIZE_BYTES], seen[SIZE_BYTES], data[MOST_BYTES];

static bool set_up_server(void)
{
	static char line[256];
	const char *words[16] = {NULL};
	char *rest = line;

	make_file("store", SIZE_BYTES);
	snprintf(line, sizeof(line), "%s", row->path);
	for (unsigned i = 0; i < 15 && (words[i] = strsep(&rest, " ")) != NULL; i++)
		if (strcmp(words[i], "store") == 0)
			words[i] = in_scratch("store");
	if (!nbd_server_has(words[0]))
		return false;
	nbd_server_start(&server, in_scratch("socket"), words);
	spec.path = server.uri;
	return true;
}

/* False if this machine does not let us have it. */
static bool set_up_row(int index)
{
	row = &rows[index];
	spec = (struct fh_spec){.plugin = fh_load(row->plugin), .path = row->path, .options = row->options};
	if (row->traits & NBD_SERVER)
		return set_up_server();
	if (strcmp(row->path, "store") != 0)
		return true;
	make_file("store", SIZE_BYTES);
	spec.path = in_scratch("store");
	if (row->traits & LOOP_DEVICE)
		spec.path = loop_attach(spec.path);
	if (row->traits & SHARED_MEMORY) {
		spec.path = in_shared_memory();
		spec.flags = TGTKIT_OPEN_CREATE;
		spec.size_bytes = SIZE_BYTES;
	}
	if ((row->traits & IO_URING) && !io_uring_is_allowed())
		spec.path = NULL;
	if (spec.path == NULL)
		fprintf(stderr, "skipped: %s is not to be had here\n", row->name);
	return spec.path != NULL;
}

static bool begin(int index)
{
	if (!set_up_row(index))
		return false;
	ck_status(fh_open(&spec, &unit), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, SIZE_BYTES);
	memset(model, 0, sizeof(model));
	return true;
}

static void end(void)
{
	fh_close(unit);
	nbd_server_kill(&server, SIGKILL);
	ck_assert_msg(fh_violations() == 0, "%s: %u rules broken", row->name, fh_violations());
}

static bool has(uint32_t flags)
{
	return (fh_capabilities(unit)->flags & flags) == flags;
}

static uint32_t larger(uint32_t one, uint32_t other)
{
	return one > other ? one : other;
}

/* The unit of READ and WRITE. */
static uint32_t grain(void)
{
	const struct tgtkit_capabilities *limits = fh_capabilities(unit);

	return larger(larger(limits->offset_alignment_bytes, limits->memory_alignment_bytes), 1);
}

static uint32_t longest(void)
{
	const uint32_t limit = fh_capabilities(unit)->maximum_transfer_bytes;

	return limit == 0 || limit > MOST_BYTES ? MOST_BYTES : limit;
}

static uint32_t random_below(uint32_t limit)
{
	/* Any state will do, as long as it is the same in every run. */
	static uint32_t state = 12345;

	state = state * 1103515245u + 12345u;
	return (state >> 8) % limit;
}

/* A random range of whole `step`s of at most `most` bytes. */
static void random_range(uint32_t step, uint32_t most, uint64_t *offset, uint32_t *length)
{
	*length = (random_below(most / step) + 1) * step;
	*offset = (uint64_t)random_below((SIZE_BYTES - *length) / step + 1) * step;
}

static void read_all(unsigned char *bytes)
{
	for (uint32_t offset = 0; offset < SIZE_BYTES; offset += longest())
		ck_status(fh_read(unit, bytes + offset, longest(), offset), 0);
}

static void model_write(uint64_t offset, uint32_t length, const unsigned char *bytes)
{
	if (!(row->traits & FORGETS))
		memcpy(model + offset, bytes, length);
}

/* An assertion per byte would take minutes. */
static void assert_as_model(const char *when)
{
	uint32_t i = 0;

	read_all(seen);
	while (i < SIZE_BYTES && seen[i] == model[i])
		i++;
	ck_assert_msg(i == SIZE_BYTES, "%s, %s: byte %u is not as written", row->name, when, i);
}

/* ---- A random history against a model
 * ---------------------------------------------------------------------------------- */

static void random_write(uint32_t round)
{
	const uint32_t flags = has(TGTKIT_CAN_FUA) && random_below(4) == 0 ? TGTKIT_REQUEST_FUA : 0;
	uint64_t offset;
	uint32_t length;

	random_range(grain(), longest(), &offset, &length);
	fill(data, length, round);
	ck_status(fh_write(unit, data, length, offset, flags), 0);
	model_write(offset, length, data);
}

static void random_read(void)
{
	uint64_t offset;
	uint32_t length;

	random_range(grain(), longest(), &offset, &length);
	ck_status(fh_read(unit, data, length, offset), 0);
	ck_assert_msg(memcmp(data, model + offset, length) == 0, "%s: %u bytes at %llu are not what was written",
		      row->name, length, (unsigned long long)offset);
}

/* In logical blocks of 512 bytes, which need not be aligned to anything of the store's. */
static void random_clearing(void)
{
	const uint32_t fua = has(TGTKIT_CAN_FUA) && random_below(2) ? TGTKIT_REQUEST_FUA : 0;
	uint64_t offset;
	uint32_t length;

	random_range(512, MOST_BYTES, &offset, &length);
	if (has(TGTKIT_CAN_ZERO) && random_below(2))
		ck_status(fh_zero(unit, offset, length, fua | (random_below(2) ? TGTKIT_REQUEST_MAY_UNMAP : 0)), 0);
	else if (has(TGTKIT_DISCARD_READS_ZERO))
		ck_status(fh_discard(unit, offset, length, fua), 0);
	else
		return;
	memset(model + offset, 0, length);
}

START_TEST(a_random_history_reads_as_a_model_does)
{
	if (!begin(_i))
		return;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		switch (random_below(8)) {
		case 0:
		case 1:
		case 2:
			random_write(round);
			break;
		case 3:
		case 4:
		case 5:
			random_read();
			break;
		case 6:
			random_clearing();
			break;
		default:
			if (has(TGTKIT_CAN_FLUSH))
				ck_status(fh_flush(unit), 0);
		}
	}
	assert_as_model("at the end");
	end();
}
END_TEST

/* ---- Edges
 * --------------------------------------------------------------------------------------------------------------- */

static void write_and_read_back(uint64_t offset, uint32_t length, uint32_t seed)
{
	fill(data, length, seed);
	ck_status(fh_write(unit, data, length, offset, 0), 0);
	model_write(offset, length, data);
	memset(data, 0, length);
	ck_status(fh_read(unit, data, length, offset), 0);
	ck_assert_int_eq(memcmp(data, model + offset, length), 0);
}

START_TEST(first_and_last_bytes_are_within_reach)
{
	if (!begin(_i))
		return;
	write_and_read_back(0, grain(), 1);
	write_and_read_back(SIZE_BYTES - grain(), grain(), 2);
	write_and_read_back(0, longest(), 3);
	write_and_read_back(SIZE_BYTES - longest(), longest(), 4);
	write_and_read_back(grain(), grain(), 5);
	assert_as_model("after writes at the edges");
	if (has(TGTKIT_CAN_ZERO)) {
		ck_status(fh_zero(unit, 0, SIZE_BYTES, 0), 0);
		memset(model, 0, sizeof(model));
		assert_as_model("after zeroing all of it");
	}
	end();
}
END_TEST

/* ---- Several at a time
 * ------------------------------------------------------------------------------------------------------ */

#define WRITERS 16

START_TEST(every_byte_of_overlapping_writes_is_from_one_of_them)
{
	static unsigned char patterns[WRITERS][MOST_BYTES];
	struct fh_pending *pending[WRITERS];
	uint32_t span;

	if (!begin(_i))
		return;
	span = longest() / 2 / grain() * grain();
	for (unsigned i = 0; i < WRITERS; i++) {
		memset(patterns[i], (int)i + 1, MOST_BYTES);
		pending[i] = fh_start(unit, TGTKIT_WRITE, patterns[i], span, (uint64_t)(i % 4) * grain(), 0);
	}
	for (unsigned i = 0; i < WRITERS; i++)
		ck_status(fh_wait(pending[i]), 0);
	ck_status(fh_read(unit, seen, span, 0), 0);
	for (uint32_t i = 0; i < span; i++) {
		const bool is_from_one = row->traits & FORGETS ? seen[i] == 0 : seen[i] >= 1 && seen[i] <= WRITERS;

		if (!is_from_one)
			ck_abort_msg("%s: byte %u is %02x", row->name, i, seen[i]);
	}
	end();
}
END_TEST

#define READERS 32

START_TEST(reads_and_writes_apart_do_not_disturb_each_other)
{
	static unsigned char buffers[READERS][4096], written[4096];
	struct fh_pending *pending[READERS];
	uint32_t piece;

	if (!begin(_i))
		return;
	piece = larger(grain(), 512);
	fill(data, longest(), 77);
	ck_status(fh_write(unit, data, longest(), 0, 0), 0);
	model_write(0, longest(), data);
	fill(written, piece, 78);
	for (uint32_t i = 0; i < READERS; i++) {
		const bool reads = i % 2 == 0;
		const uint64_t offset = (uint64_t)(i % 8) * piece + (reads ? 0 : SIZE_BYTES / 2);

		pending[i] =
		    fh_start(unit, reads ? TGTKIT_READ : TGTKIT_WRITE, reads ? buffers[i] : written, piece, offset, 0);
	}
	for (uint32_t i = 0; i < READERS; i++) {
		ck_status(fh_wait(pending[i]), 0);
		if (i % 2 == 0)
			ck_assert_int_eq(memcmp(buffers[i], model + (i % 8) * piece, piece), 0);
		else
			model_write(SIZE_BYTES / 2 + (i % 8) * piece, piece, written);
	}
	assert_as_model("after all of it");
	end();
}
END_TEST

/* ---- Capabilities
 * ------------------------------------------------------------------------------------------------------------ */

static bool reads_zero(uint64_t offset, uint64_t length)
{
	for (uint64_t i = offset; i < offset + length; i++)
		if (seen[i] != 0)
			return false;
	return true;
}

START_TEST(extents_tell_the_truth)
{
	struct tgtkit_extent extents[32];
	uint64_t offset = 0;
	uint32_t count, holes = 0;

	if (!begin(_i))
		return;
	if (!has(TGTKIT_CAN_EXTENTS)) {
		end();
		return;
	}
	for (uint32_t i = 0; i < 4; i++) {
		fill(data, 65536, i);
		ck_status(fh_write(unit, data, 65536, i * (SIZE_BYTES / 4), 0), 0);
	}
	ck_status(fh_discard(unit, SIZE_BYTES / 2, 32768, 0), 0);
	read_all(seen);
	while (offset < SIZE_BYTES) {
		/* Few at a time, so that a query has to go on where the last one ended. */
		ck_status(fh_extents(unit, offset, SIZE_BYTES - offset, extents, 2, &count), 0);
		for (uint32_t i = 0; i < count; i++) {
			const bool is_zero = extents[i].flags & TGTKIT_EXTENT_ZERO;

			ck_assert(!is_zero || reads_zero(extents[i].offset, extents[i].length));
			holes += (extents[i].flags & TGTKIT_EXTENT_HOLE) != 0;
			offset = extents[i].offset + extents[i].length;
		}
	}
	ck_assert_msg(holes >= 1, "%s: no hole in a store that is mostly empty", row->name);
	end();
}
END_TEST

START_TEST(what_is_declared_works)
{
	if (!begin(_i))
		return;
	ck_assert_msg(has(row->expected_flags), "%s declares only %x of %x", row->name, fh_capabilities(unit)->flags,
		      row->expected_flags);
	fill(data, longest(), 9);
	ck_status(fh_write(unit, data, longest(), 0, 0), 0);
	model_write(0, longest(), data);
	if (has(TGTKIT_CAN_FUA)) {
		ck_status(fh_write(unit, data, grain(), SIZE_BYTES / 2, TGTKIT_REQUEST_FUA), 0);
		model_write(SIZE_BYTES / 2, grain(), data);
	}
	if (has(TGTKIT_CAN_FLUSH))
		ck_status(fh_flush(unit), 0);
	if (has(TGTKIT_CAN_ZERO)) {
		ck_status(fh_zero(unit, 512, 1024, 0), 0);
		ck_status(fh_zero(unit, 4096, 8192, TGTKIT_REQUEST_MAY_UNMAP), 0);
		memset(model + 512, 0, 1024);
		memset(model + 4096, 0, 8192);
	}
	if (has(TGTKIT_CAN_DISCARD))
		ck_status(fh_discard(unit, 32768, 4096, 0), 0);
	if (has(TGTKIT_CAN_DISCARD) && !has(TGTKIT_DISCARD_READS_ZERO)) {
		/* Anything may be there now; give it a content again. */
		ck_status(fh_write(unit, data, 4096, 32768, 0), 0);
		model_write(32768, 4096, data);
	} else if (has(TGTKIT_CAN_DISCARD)) {
		memset(model + 32768, 0, 4096);
	}
	assert_as_model("after one of each");
	end();
}
END_TEST

START_TEST(a_read_only_unit_says_so)
{
	if (!set_up_row(_i))
		return;
	spec.flags |= TGTKIT_OPEN_READ_ONLY;
	ck_status(fh_check(&spec), 0);
	ck_status(fh_open(&spec, &unit), 0);
	/* A plugin that knows nothing of it leaves it to the host, which sends it no write then. */
	ck_assert(has(TGTKIT_READ_ONLY) || strcmp(row->name, "ramdisk") == 0);
	memset(model, 0, sizeof(model));
	assert_as_model("read-only");
	end();
}
END_TEST

/* ---- Opening
 * ---------------------------------------------------------------------------------------------------------------- */

START_TEST(data_is_there_after_a_reopen)
{
	if (!begin(_i))
		return;
	fill(data, longest(), 4711);
	ck_status(fh_write(unit, data, longest(), 0, 0), 0);
	if (row->traits & PERSISTS)
		model_write(0, longest(), data);
	fh_close(unit);
	ck_status(fh_check(&spec), 0);
	ck_status(fh_open(&spec, &unit), 0);
	assert_as_model("after a reopen");
	end();
}
END_TEST

#define OPENS 1000

START_TEST(a_thousand_opens_leave_nothing_behind)
{
	unsigned descriptors = 0;
	size_t bytes = 0;

	if (!begin(_i))
		return;
	for (unsigned i = 0; i < OPENS; i++) {
		if (has(TGTKIT_CAN_FUA))
			ck_status(fh_write(unit, data, grain(), 0, TGTKIT_REQUEST_FUA), 0);
		fh_close(unit);
		/* The first hundred fill what caches there are. */
		if (i == 100) {
			descriptors = open_descriptors();
			bytes = allocated_bytes();
		}
		if (i == OPENS - 1) {
			ck_assert_uint_le(open_descriptors(), descriptors);
			ck_assert_msg(allocated_bytes() < bytes + 65536, "%s: %zu bytes more", row->name,
				      allocated_bytes() - bytes);
		}
		ck_status(fh_open(&spec, &unit), 0);
	}
	end();
}
END_TEST

TCase *stores_tests(void)
{
	TCase *tests = tcase_create("every store");

	use_scratch(tests);
	tcase_add_checked_fixture(tests, set_up_scratch, tear_down_scratch);
	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, a_random_history_reads_as_a_model_does, 0, ROW_COUNT);
	tcase_add_loop_test(tests, first_and_last_bytes_are_within_reach, 0, ROW_COUNT);
	tcase_add_loop_test(tests, every_byte_of_overlapping_writes_is_from_one_of_them, 0, ROW_COUNT);
	tcase_add_loop_test(tests, reads_and_writes_apart_do_not_disturb_each_other, 0, ROW_COUNT);
	tcase_add_loop_test(tests, extents_tell_the_truth, 0, ROW_COUNT);
	tcase_add_loop_test(tests, what_is_declared_works, 0, ROW_COUNT);
	tcase_add_loop_test(tests, a_read_only_unit_says_so, 0, ROW_COUNT);
	tcase_add_loop_test(tests, data_is_there_after_a_reopen, 0, ROW_COUNT);
	tcase_add_loop_test(tests, a_thousand_opens_leave_nothing_behind, 0, ROW_COUNT);
	return tests;
}
