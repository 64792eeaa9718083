# SPDX-License-Identifier: Apache-2.0
"""Parameter lists that are truncated, too long, or whose lengths lie: refused as the standard says, or taken for as much
as they are, and never more.  After each that is refused the unit is what it was, in every respect."""

import struct

import pytest
from lib import daemon, operations, scsi
from lib.initiator import Session
from lib.operations import BLOCK, PATTERN

LENGTH_ERROR, INVALID_IN_LIST, INVALID_IN_CDB, OUT_OF_RANGE = (0x1A, 0), (0x26, 0), (0x24, 0), (0x21, 0)
COPY_ABORTED = 0x0A
REGISTER, REGISTER_IGNORE, CLEAR, MOVE, RESERVE = 0, 6, 3, 7, 1
OWN_KEY, NEW_KEY = 0x77, 0x88
LARGEST = 1 << 64


class Disk:
    def __init__(self, running):
        self.session = Session(running.address, daemon.TARGET)
        self.session.settle()

    def prepare(self):
        """The same state each time: content, mode parameters, registration and reservation, states of the port group."""
        one = self.session
        self.reserve_out(REGISTER_IGNORE, 0, OWN_KEY)
        self.reserve_out(CLEAR, OWN_KEY)
        self.reserve_out(REGISTER_IGNORE, 0, OWN_KEY)
        self.reserve_out(RESERVE, OWN_KEY, kind=1)
        one.write(0, PATTERN)
        caching = self.caching_page(True)
        one.execute(scsi.mode_select6(4 + len(caching)), bytes(4) + caching).expect_good()
        groups = struct.pack(">4xBxH", 0, 1)
        one.execute(operations.set_port_groups(len(groups)), groups).expect_good()
        return self

    def reserve_out(self, *arguments, **options):
        self.session.execute(*operations.reserve_out(*arguments, **options)).expect_good()

    def caching_page(self, write_cache):
        return bytes([0x08, 0x12, write_cache << 2]) + bytes(17)

    def state(self):
        one = self.session
        return (one.read(0, operations.UNIT_BLOCKS),
                *(bytes(one.execute(cdb, read_length=4096).expect_good().data_in) for cdb in (
                    scsi.mode_sense6(0x3F), operations.ALLOCATING[0x5E, 3](4096), operations.ALLOCATING[0x5E, 1](4096),
                    operations.ALLOCATING[0xA3, 0x0A](4096))))


@pytest.fixture(scope="module")
def disk(tmp_path_factory, rig_plugins):
    folder = tmp_path_factory.mktemp("lists")
    target = daemon.target(operations.lun_entry(folder))
    with daemon.serve_targets(folder, target, plugin_folders=[rig_plugins], nop_interval_s=0) as running:
        made = Disk(running)
        with made.session:
            yield made
        running.assert_alive()
        running.assert_clean()


# ---- A list of each command that changes something ----

class List:
    """`build(length)` makes the CDB; `good` are lengths to which the list may be cut, as SPC and SBC allow: 0 is never an
    error but with PERSISTENT RESERVE OUT and SANITIZE, and it changes nothing."""

    def __init__(self, build, make, refused=LENGTH_ERROR, good=(), ignores_more=False, more=LENGTH_ERROR):
        self.build, self.make = build, make
        self.refused, self.good, self.ignores_more, self.more = refused, good, ignores_more, more


def reserve_out_cdb(action):
    return lambda length: struct.pack(">BBBHLB", 0x5F, action, 0, 0, length, 0)


def transport_id(session, name=None):
    """SPC-4 7.6.4.6: of another port of the same initiator."""
    name = f"{name or session.initiator},i,0x{'ab' * 6}".encode() + b"\0"
    name = name.ljust(-(-len(name) // 4) * 4, b"\0")
    return struct.pack(">BxH", 0x45, len(name)) + name


def target_port(session):
    return int.from_bytes(session.inquiry(0x83).split(b"\x51\x94\0\4\0\0")[1][:2], "big")


def move_list(disk):
    name = transport_id(disk.session)
    return struct.pack(">QQxBHL", OWN_KEY, NEW_KEY, 0, target_port(disk.session), len(name)) + name


def ports_list(disk):
    """REGISTER with SPEC_I_PT: refused to who is registered, so nobody is."""
    disk.reserve_out(CLEAR, OWN_KEY)
    names = transport_id(disk.session)
    return struct.pack(">QQ4xB3xL", 0, NEW_KEY, 0x08, len(names)) + names


LISTS = {
    "MODE SELECT(6)": List(scsi.mode_select6, lambda disk: bytes(4) + disk.caching_page(False), good=(0, 4)),
    "MODE SELECT(6) with a block descriptor": List(
        scsi.mode_select6, lambda disk: b"\0\0\0\x08" + bytes(5) + BLOCK.to_bytes(3, "big") + disk.caching_page(False),
        good=(0, 12)),
    "MODE SELECT(10)": List(operations.mode_select10, lambda disk: bytes(8) + disk.caching_page(False), good=(0, 8)),
    "MODE SELECT(10) with a long block descriptor": List(
        operations.mode_select10,
        lambda disk: bytes([0, 0, 0, 0, 1, 0, 0, 16]) + bytes(12) + BLOCK.to_bytes(4, "big") + disk.caching_page(False),
        good=(0, 24)),
    "PERSISTENT RESERVE OUT, REGISTER": List(
        reserve_out_cdb(REGISTER), lambda disk: struct.pack(">QQ8x", OWN_KEY, NEW_KEY)),
    "PERSISTENT RESERVE OUT, REGISTER with SPEC_I_PT": List(reserve_out_cdb(REGISTER), ports_list),
    "PERSISTENT RESERVE OUT, REGISTER AND MOVE": List(reserve_out_cdb(MOVE), move_list),
    "PERSISTENT RESERVE OUT, CLEAR": List(reserve_out_cdb(CLEAR), lambda disk: struct.pack(">QQ8x", OWN_KEY, 0)),
    "UNMAP": List(scsi.unmap, lambda disk: scsi.unmap_parameters((1, 2), (5, 1)), good=(0,), ignores_more=True),
    "EXTENDED COPY": List(lambda length: struct.pack(">BB8xLBB", 0x83, 0, length, 0, 0),
                          lambda disk: operations.copy_list(disk.session), good=(0,), ignores_more=True),
    "SET TARGET PORT GROUPS": List(operations.set_port_groups, lambda disk: struct.pack(">4xBxH", 1, 1), good=(0, 4)),
    "SANITIZE, OVERWRITE": List(lambda length: operations.sanitize(1, length),
                                lambda disk: bytes([1, 0, 0, 2]) + b"\xbe\xef", refused=INVALID_IN_CDB, more=INVALID_IN_CDB),
}


def expect_unchanged(disk, before, task, *sense):
    task.expect_sense(scsi.ILLEGAL_REQUEST, *sense)
    assert disk.state() == before


@pytest.mark.parametrize("name", LISTS)
def test_a_whole_list_changes_something(disk, name):
    """So that those that follow have something to prove."""
    one = LISTS[name]
    data = one.make(disk.prepare())
    before = disk.state()
    disk.session.execute(one.build(len(data)), data).expect_good()
    assert disk.state() != before


@pytest.mark.parametrize("name", LISTS)
def test_a_truncated_list_changes_nothing(disk, name):
    """At every byte: by the CDB, and by the initiator, who sends less than the CDB says."""
    one = LISTS[name]
    data = one.make(disk.prepare())
    before = disk.state()
    for length in range(len(data)):
        task = disk.session.execute(one.build(length), data[:length] or None)
        if length in one.good:
            assert task.expect_good() and disk.state() == before, length
        else:
            task.expect_sense(scsi.ILLEGAL_REQUEST)
            assert (task.sense.asc, task.sense.ascq) in {one.refused, LENGTH_ERROR}, (length, task.sense)
        task = disk.session.execute(one.build(len(data)), data[:length] or None)
        task.expect_sense(scsi.ILLEGAL_REQUEST, *LENGTH_ERROR)
        assert task.underflow == length, "nothing has been taken"
    assert disk.state() == before
    assert disk.session.nop(b"in step").data == b"in step"


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("more", [1, 3, 4, 24])
def test_what_follows_a_list_is_refused_or_ignored(disk, name, more):
    """SBC-3 5.28.2 and SPC-4 6.4: UNMAP and EXTENDED COPY end where their own lengths say."""
    one = LISTS[name]
    data = one.make(disk.prepare())
    if one.ignores_more:
        disk.session.execute(one.build(len(data)), data).expect_good()
        wanted = disk.state()[0]
        data = one.make(disk.prepare())
        disk.session.execute(one.build(len(data) + more), data + b"\xff" * more).expect_good()
        assert disk.state()[0] == wanted
        return
    before = disk.state()
    task = disk.session.execute(one.build(len(data) + more), data + b"\xff" * more).expect_sense(scsi.ILLEGAL_REQUEST)
    assert (task.sense.asc, task.sense.ascq) in {one.more, INVALID_IN_LIST}, task.sense
    assert disk.state() == before


@pytest.mark.parametrize("name", LISTS)
def test_a_length_beyond_all_bounds_is_refused_at_once(disk, name):
    """The largest that the CDB can say, of which nothing is asked for."""
    one = LISTS[name]
    data = one.make(disk.prepare())
    before = disk.state()
    largest = {0x15: 255, 0x42: 65535, 0x48: 65535, 0x55: 65535}.get(one.build(0)[0], (1 << 32) - 1)
    task = disk.session.execute(one.build(largest), data).expect_sense(scsi.ILLEGAL_REQUEST)
    assert task.r2ts == []
    assert disk.state() == before


# ---- Lengths inside the lists ----

def put(data, at, size, value):
    return data[:at] + (value % (1 << 8 * size)).to_bytes(size, "big") + data[at + size:]


def lies(length, size):
    """Of a field of so many bytes whose truth is `length`."""
    return sorted({0, 1, length - 1, length + 1, length + 16, 2 * length, (1 << 8 * size - 1), (1 << 8 * size) - 1} -
                  {length, -1})


# name: [(offset, bytes, values that change nothing and are good, values that are no lie after all)]
FIELDS = {
    # The block descriptor length, and the page length.
    "MODE SELECT(6)": [(3, 1, (), ()), (5, 1, (), ())],
    "MODE SELECT(6) with a block descriptor": [(3, 1, (), ()), (13, 1, (), ())],
    "MODE SELECT(10)": [(6, 2, (), ()), (9, 1, (), ())],
    "MODE SELECT(10) with a long block descriptor": [(6, 2, (), ()), (25, 1, (), ())],
    # Of the TransportIDs, and of the one there is.
    "PERSISTENT RESERVE OUT, REGISTER with SPEC_I_PT": [(24, 4, (), ()), (30, 2, (), ())],
    "PERSISTENT RESERVE OUT, REGISTER AND MOVE": [(20, 4, (), ()), (26, 2, (), ())],
    # Of the descriptors.  That of the whole list is not looked at, as it says no more (SBC-3 5.28.2).
    "UNMAP": [(2, 2, (0,), (16,))],
    # Of the target descriptors, of the segment descriptors, of inline data, and of a segment descriptor.
    "EXTENDED COPY": [(2, 2, (), ()), (8, 4, (0,), ()), (12, 4, (), ()), (16 + 32 + 2, 2, (), ())],
    "SANITIZE, OVERWRITE": [(2, 2, (), ())],
}


@pytest.mark.parametrize("name", FIELDS)
def test_lengths_that_lie_change_nothing(disk, name):
    one = LISTS[name]
    data = one.make(disk.prepare())
    before = disk.state()
    tried = 0
    for at, size, harmless, partial in FIELDS[name]:
        for value in lies(int.from_bytes(data[at:at + size], "big"), size):
            if value in partial:
                continue
            lying = put(data, at, size, value)
            if lying == data:
                continue
            task = disk.session.execute(one.build(len(lying)), lying)
            if value in harmless:
                task.expect_good()
            else:
                assert task.status == scsi.CHECK_CONDITION and task.sense.key in (scsi.ILLEGAL_REQUEST, COPY_ABORTED), \
                    f"{value} at {at}: {task.status}"
            assert disk.state() == before, f"{value} at {at}"
            tried += 1
    assert tried >= 5
    assert disk.session.nop(b"in step").data == b"in step"


def test_an_unmap_list_that_says_less_than_it_has_unmaps_no_more(disk):
    data = LISTS["UNMAP"].make(disk.prepare())
    disk.session.execute(scsi.unmap(len(data)), put(data, 2, 2, 16)).expect_good()
    assert disk.session.read(0, 8) == PATTERN[:BLOCK] + bytes(2 * BLOCK) + PATTERN[3 * BLOCK:8 * BLOCK]


# ---- Ranges inside the lists ----

WRAPPING = [(LARGEST - 1, 2), (LARGEST - 8, 16), (LARGEST - 1, 1), (1 << 63, 8), (operations.UNIT_BLOCKS - 1, 2)]


@pytest.mark.parametrize("lba, blocks", WRAPPING)
def test_ranges_that_wrap_are_out_of_range(disk, lba, blocks):
    """Those of CDBs: test_every_operation and the unit tests."""
    before = disk.prepare().state()
    for ranges in ([(lba, blocks)], [(0, 4), (lba, blocks)]):
        data = scsi.unmap_parameters(*ranges)
        expect_unchanged(disk, before, disk.session.execute(scsi.unmap(len(data)), data), *OUT_OF_RANGE)
    for source, destination in ((lba, 0), (0, lba)):
        data = operations.copy_list(disk.session, source, destination, blocks)
        task = disk.session.execute(operations.extended_copy(data), data)
        assert task.expect_sense(COPY_ABORTED) and disk.state() == before
    task = disk.session.execute(struct.pack(">BBQLBB", 0x9E, 0x12, lba if lba > 1 << 32 else lba + 1, 24, 0, 0),
                                read_length=24)
    expect_unchanged(disk, before, task, *OUT_OF_RANGE)
