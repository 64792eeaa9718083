# SPDX-License-Identifier: Apache-2.0
"""BUSY, through the daemon: an allocation that a command needs is made to fail, each in turn, by a calloc of the test's own
that is loaded before the C library's.  Then nothing has happened, and the same command is good when there is memory.

Which allocations those are, and the commands beside these: the unit tests of no_memory."""

import mmap
import struct

import pytest
from lib import daemon, operations, scsi, tools
from lib.connection import ConnectionClosed
from lib.initiator import Session

pytestmark = pytest.mark.plain  # sanitizers bring a calloc of their own

BLOCK = 512
OLD, NEW = b"\x11" * BLOCK, b"\xee" * BLOCK
MOST_ALLOCATIONS = 100  # more than any command makes
REGISTER, CLEAR, REGISTER_IGNORE, KEY = 0, 3, 6, 0x77

SHIM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_calloc(size_t count, size_t size);

/* In a file that the test maps, too: which of the program's own calls fails, counted down to 0; how many have. */
static volatile struct control {
	uint32_t countdown, failed;
} *control;
static uintptr_t begin, end; /* of the program; what libraries ask for does not fail */

static int find_program(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size, (void)data;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];

		if (header->p_type != PT_LOAD || !(header->p_flags & PF_X))
			continue;
		begin = info->dlpi_addr + header->p_vaddr;
		end = begin + header->p_memsz;
	}
	return 1; /* the first is the program */
}

__attribute__((constructor)) static void start(void)
{
	int fd = open(getenv("TGTKIT_TEST_ALLOCATIONS"), O_RDWR | O_CLOEXEC);

	dl_iterate_phdr(find_program, NULL);
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (control == MAP_FAILED)
		abort();
	close(fd);
}

void *calloc(size_t count, size_t size)
{
	uintptr_t caller = (uintptr_t)__builtin_return_address(0);

	if (control != NULL && caller >= begin && caller < end && control->countdown != 0 &&
	    __sync_sub_and_fetch(&control->countdown, 1) == 0) {
		__sync_fetch_and_add(&control->failed, 1);
		return NULL;
	}
	return __libc_calloc(count, size);
}
"""


class Bench:
    def __init__(self, running, control):
        self.running, self.control = running, control
        self.watcher = self.new_session()
        self.session = self.new_session()

    def new_session(self):
        session = Session(self.running.address, daemon.TARGET)
        session.settle()
        return session

    def fail(self, number):
        """From now on, the so many-th; 0: none."""
        self.control[:8] = struct.pack("=LL", number, 0)

    def has_failed(self):
        return struct.unpack("=LL", self.control[:8])[1] != 0


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("memory")
    source, shim, control_path = folder / "shim.c", folder / "shim.so", folder / "control"
    source.write_text(SHIM)
    tools.run("cc", "-Wall", "-Wextra", "-Werror", "-O2", "-fPIC", "-shared", "-o", shim, source)
    control_path.write_bytes(bytes(mmap.PAGESIZE))
    image = folder / "a.img"
    image.write_bytes(bytes(1 << 20))
    wrapper = ["env", f"LD_PRELOAD={shim}", f"TGTKIT_TEST_ALLOCATIONS={control_path}"]
    with control_path.open("r+b") as file, mmap.mmap(file.fileno(), mmap.PAGESIZE) as control:
        with daemon.serve_targets(folder, daemon.target(image), wrapper=wrapper, workers=1, nop_interval_s=0) as running:
            made = Bench(running, control)
            yield made
            made.fail(0)
            made.watcher.close()
            made.session.close()


# Each prepares, and returns (CDB, data) and what tells whether the command has happened.

def compare_and_write(bench):
    bench.watcher.write(0, OLD)
    return (scsi.compare_and_write(0, 1), OLD + NEW), lambda: {OLD: False, NEW: True}[bench.watcher.read(0, 1)]


def write_cache(bench):
    return bytes(bench.watcher.execute(scsi.mode_sense6(0x08, dbd=True), read_length=255).expect_good().data_in)[6] & 4


def mode_select(bench):
    before = write_cache(bench)
    page = bytes([0x08, 0x12, before ^ 4]) + bytes(17)
    return (scsi.mode_select6(24), bytes(4) + page), lambda: write_cache(bench) != before


def registrations(bench):
    return bytes(bench.watcher.execute(operations.ALLOCATING[0x5E, 0](64), read_length=64).expect_good().data_in)[8:]


def register(bench):
    if registrations(bench):
        bench.watcher.execute(*operations.reserve_out(REGISTER_IGNORE, 0, KEY)).expect_good()
        bench.watcher.execute(*operations.reserve_out(CLEAR, KEY)).expect_good()
        bench.session.settle()
    return operations.reserve_out(REGISTER, 0, KEY), lambda: registrations(bench) == KEY.to_bytes(8, "big")


@pytest.mark.parametrize("make", [compare_and_write, mode_select, register], ids=lambda make: make.__name__)
def test_busy_has_changed_nothing_and_is_good_with_memory(bench, make):
    busy = 0
    for number in range(1, MOST_ALLOCATIONS):
        command, has_happened = make(bench)
        try:
            bench.fail(number)
            task = bench.session.execute(*command)
        except ConnectionClosed:  # it was the connection's own; the command may have been carried out
            bench.fail(0)
            bench.session.close()
            bench.session = bench.new_session()
            bench.watcher.settle()
            continue
        failed = bench.has_failed()
        bench.fail(0)
        bench.watcher.settle()
        if task.status == scsi.BUSY:
            assert failed and not has_happened()
            busy += 1
            bench.session.execute(*command).expect_good()
            bench.watcher.settle()
        else:
            assert task.expect_good()
        assert has_happened()
        if not failed:
            break
    else:
        raise AssertionError(f"a command of more than {MOST_ALLOCATIONS} allocations")
    assert busy >= 2
    bench.running.assert_alive()
