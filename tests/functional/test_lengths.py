# SPDX-License-Identifier: Apache-2.0
"""Every command of the table with the lengths that no initiator should use: allocation lengths of 0 to 3, and an expected
data transfer length that is smaller or larger than what the command moves, zero, or of the wrong direction.  The residual
is right each time, nothing changes that should not, and the session goes on.

Out-of-range and reserved bits: test_every_operation; parameter lists: test_parameter_lists."""

import pytest
from lib import daemon, operations, scsi
from lib.initiator import Session
from lib.operations import AT, BLOCK, BLOCKS, PATTERN

INVALID_IN_UNIT = (0x0E, 0x03)  # INVALID FIELD IN COMMAND INFORMATION UNIT
LENGTH_ERROR, INVALID_FIELD = (0x1A, 0x00), (0x24, 0x00)
COPY_STATUS = (0x84, 0x00)
SMALLEST = range(4)


class Disk:
    def __init__(self, running):
        self.session = Session(running.address, daemon.TARGET)
        self.session.settle()
        self.table = operations.table(self.session)

    def content(self):
        return self.session.read(0, len(PATTERN) // BLOCK)

    def allow_copy_status(self):
        """It is told once."""
        self.session.execute(*self.table.taking[0x83, 0][:2]).expect_good()

    def run(self, cdb, expected, read=False, write=False, data=b""):
        """With these flags of the command PDU, whatever the CDB wants; data that is expected and not there is zeros."""
        task, _ = self.session.prepare_command(cdb, data[:expected].ljust(expected, b"\0"), edtl=expected)
        task.request.read, task.request.write = int(read), int(write)
        if not write:
            task.request.data = b""
        self.session.connection.send(task.request)
        return self.session.wait(task)

    def check_alive(self):
        assert self.session.nop(b"in step").data == b"in step"


@pytest.fixture(scope="module")
def disk(tmp_path_factory, rig_plugins):
    folder = tmp_path_factory.mktemp("lengths")
    target = daemon.target(operations.lun_entry(folder))
    with daemon.serve_targets(folder, target, plugin_folders=[rig_plugins], nop_interval_s=0) as running:
        made = Disk(running)
        with made.session:
            yield made
        running.assert_alive()
        running.assert_clean()


def ids(key):
    return f"{key[0]:02x}" if key[1] is None else f"{key[0]:02x}-{key[1]:02x}"


READING = [*operations.READING, *operations.ALLOCATING]
TAKING = [*((code, None) for code in (0x0A, 0x15, 0x2A, 0x2E, 0x41, 0x42, 0x55, 0x89, 0x8A, 0x8B, 0x8E, 0x93, 0x9C, 0xAA,
                                      0xAE)), (0x48, 0x01), *((0x5F, action) for action in range(8)), (0x83, 0), (0xA4, 0x0A)]
WITHOUT_DATA = [*((code, None) for code in (0x00, 0x16, 0x17, 0x1B, 0x1D, 0x1E, 0x2F, 0x34, 0x35, 0x56, 0x57, 0x8F, 0x90,
                                            0x91, 0xAF)), (0x48, 0x02), (0x48, 0x1F)]


def test_the_whole_table_is_walked_here(disk):
    assert operations.reported(disk.session) == {*READING, *TAKING, *WITHOUT_DATA}
    assert disk.table.keys() == {*READING, *TAKING, *WITHOUT_DATA}


# ---- Allocation lengths ----

def answer(disk, key, length, expected):
    if key == COPY_STATUS:
        disk.allow_copy_status()
    return disk.run(operations.ALLOCATING[key](length), expected, read=True).expect_good()


@pytest.mark.parametrize("key", operations.ALLOCATING, ids=ids)
def test_a_small_allocation_length_cuts_the_answer(disk, key):
    """SPC-4 4.2.5.6: no error, and never more than was asked for, whatever the initiator expects."""
    longest = operations.longest_allocation(key)
    whole = bytes(answer(disk, key, longest, longest).data_in)
    assert max(SMALLEST) < len(whole) < longest, "an answer that was not cut"
    for length in SMALLEST:
        task = answer(disk, key, length, length)
        assert bytes(task.data_in) == whole[:length] and not task.underflow and not task.overflow
        task = answer(disk, key, length, 512)
        assert bytes(task.data_in) == whole[:length] and (task.underflow, task.overflow) == (512 - length, 0)
    disk.check_alive()


# ---- Expected lengths: data-in ----

def check_read(task, wanted, expected, whole):
    got = min(wanted, expected)
    assert bytes(task.expect_good().data_in) == whole[:got]
    assert (task.underflow, task.overflow) == (max(expected - wanted, 0), max(wanted - expected, 0))


@pytest.mark.parametrize("key", READING, ids=ids)
def test_data_in_is_never_longer_than_expected(disk, key):
    operations.prepare(disk.session)

    def run(expected, **flags):
        if key == COPY_STATUS:
            disk.allow_copy_status()
        operations.prepare(disk.session)
        return disk.run(disk.table.reading[key].cdb, expected, **flags)

    whole = bytes(run(4096, read=True).expect_good().data_in)
    size = len(whole)
    assert size > 0 and size == operations.READ_BYTES.get(key, size)
    for expected in (size, size - 1, 1, size + 1, size + 512):
        check_read(run(expected, read=True), size, expected, whole)
    for flags in ({"read": True}, {"write": True}, {}):
        check_read(run(0, **flags), size, 0, b"")
    for expected in (size, 512):
        task = run(expected, write=True, data=b"\xee" * expected).expect_good()
        assert (bytes(task.data_in), task.overflow, task.underflow, task.r2ts) == (b"", size, 0, [])
        task = run(expected, read=True, write=True, data=b"\xee" * expected)
        task.expect_sense(scsi.ILLEGAL_REQUEST, *INVALID_IN_UNIT)
        assert (bytes(task.data_in), task.overflow, task.underflow, task.r2ts) == (b"", 0, expected, [])
    assert disk.content() == PATTERN
    disk.check_alive()


# ---- Expected lengths: data-out ----

def check_refused(disk, task, expected, *sense):
    """Nothing has been moved, as nothing has been done."""
    assert disk.content() == PATTERN
    task.expect_sense(scsi.ILLEGAL_REQUEST, *sense)
    assert (task.underflow, task.overflow) == (expected, 0)


def check_written(disk, command, task, expected):
    size = len(command.data_out)
    assert task.status == command.status, task.sense
    moved = size if command.status == scsi.GOOD else 0
    assert (task.underflow, task.overflow) == (max(expected - moved, 0), max(moved - expected, 0))
    effect = command.effect or (lambda before, data: before)
    assert disk.content() == effect(PATTERN, command.data_out[:expected])
    assert sum(r2t.desired_data_transfer_length for r2t in task.r2ts) == 0, "all of it came with the command"


def is_exact_in_the_cdb(key):
    """The length is that of the blocks; of parameter lists it is that of the list."""
    return key[0] in (0x41, 0x89, 0x93, 0x9C)


@pytest.mark.parametrize("key", TAKING, ids=ids)
def test_data_out_is_never_more_than_was_sent_or_the_command_takes(disk, key):
    command = disk.table.taking[key]
    size = len(command.data_out)

    def run(expected, **flags):
        operations.prepare(disk.session)
        return disk.run(command.cdb, expected, data=command.data_out, **flags)

    check_written(disk, command, run(size, write=True), size)
    for expected in sorted({0, 1, size // 2, size - BLOCK, size - 1} & set(range(size))):
        task = run(expected, write=True)
        if command.exact:
            check_refused(disk, task, expected, *(INVALID_FIELD if is_exact_in_the_cdb(key) else LENGTH_ERROR))
        else:
            check_written(disk, command, task, expected)
    for expected in (size + 1, size + 512):
        task = run(expected, write=True)
        if is_exact_in_the_cdb(key):
            check_refused(disk, task, expected, *INVALID_FIELD)
        else:
            check_written(disk, command, task, expected)
    task = run(size, read=True)
    check_refused(disk, task, size, *(INVALID_FIELD if is_exact_in_the_cdb(key) else INVALID_IN_UNIT))
    check_refused(disk, run(size, read=True, write=True), size, *INVALID_IN_UNIT)
    disk.check_alive()


@pytest.mark.parametrize("key", TAKING, ids=ids)
def test_data_out_that_is_not_announced_is_none(disk, key):
    """Expected length 0, with whatever flags: RFC 7143 11.3.1 allows both then."""
    command = disk.table.taking[key]
    for flags in ({}, {"read": True}, {"read": True, "write": True}):
        operations.prepare(disk.session)
        task = disk.run(command.cdb, 0, **flags)
        if command.exact:
            check_refused(disk, task, 0, *(INVALID_FIELD if is_exact_in_the_cdb(key) else LENGTH_ERROR))
        else:
            check_written(disk, command, task, 0)
    disk.check_alive()


# ---- Expected lengths: no data ----

@pytest.mark.parametrize("key", WITHOUT_DATA, ids=ids)
def test_data_for_a_command_that_moves_none_is_left_over(disk, key):
    command = disk.table.without_data[key]
    effect = command.effect or (lambda before, data: before)
    try:
        for expected in (0, 1, 512):
            for flags in ({}, {"read": True}, {"write": True}, {"read": True, "write": True}):
                if expected and not flags:
                    continue  # an expected length of no direction
                operations.prepare(disk.session)
                task = disk.run(command.cdb, expected, data=b"\xee" * expected, **flags)
                if expected and "read" in flags and key[0] == 0x48:
                    check_refused(disk, task, expected, *INVALID_IN_UNIT)  # others of this code take a parameter list
                    continue
                assert (task.expect_good().underflow, task.overflow, task.r2ts) == (expected, 0, [])
                assert bytes(task.data_in) == b"" and disk.content() == effect(PATTERN, b"")
    finally:
        disk.session.execute(bytes([0x17, 0, 0, 0, 0, 0])).expect_good()
    disk.check_alive()


def test_verify_compares_what_was_sent(disk):
    """With BYTCHK a VERIFY takes data, too."""
    blocks = PATTERN[AT * BLOCK:(AT + BLOCKS) * BLOCK]
    for code in (0x2F, 0x8F, 0xAF):
        cdb = operations.on_blocks(code, flags=0x02)
        operations.prepare(disk.session)
        for expected, overflow, underflow in ((len(blocks), 0, 0), (len(blocks) - 1, 1, 0), (0, len(blocks), 0),
                                              (len(blocks) + 512, 0, 512)):
            task = disk.run(cdb, expected, write=True, data=blocks).expect_good()
            assert (task.overflow, task.underflow) == (overflow, underflow)
        disk.run(cdb, len(blocks), read=True).expect_sense(scsi.ILLEGAL_REQUEST, *INVALID_IN_UNIT)
        wrong = disk.run(cdb, len(blocks) - BLOCK, write=True, data=bytes(BLOCK) + blocks[BLOCK:])
        wrong.expect_sense(scsi.MISCOMPARE, 0x1D, 0)
    assert disk.content() == PATTERN
