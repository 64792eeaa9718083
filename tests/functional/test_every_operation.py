# SPDX-License-Identifier: Apache-2.0
"""No lie: every operation that a unit reports as supported is exercised with good input, and the effect is looked at;
with blocks that are not there and with reserved bits it is refused; and every other code is no command.

The walk is driven by REPORT SUPPORTED OPERATION CODES: a new operation without a case here fails."""

import os
import struct

import pytest
from lib import api, daemon, scsi
from lib.initiator import Session

BLOCK = 512
BLOCKS = 2 << 10  # of the unit: small, so that SANITIZE is over soon
THIN, REMOVABLE, OTHER = 0, 1, 2
CASES = {}


class Disk:
    """A daemon, the unit's image, and two sessions: `one` does, `two` is the other initiator."""

    def __init__(self, running, images):
        self.running, self.image, self.other_image = running, images[THIN], images[OTHER]
        self.one = Session(running.address, daemon.TARGET)
        self.two = Session(running.address, daemon.TARGET)
        self.api = api.Api(running.folder / "api.sock")
        self.sessions = [self.one, self.two]

    def settle(self):
        for session in self.sessions:
            for lun in (THIN, REMOVABLE, OTHER):
                session.settle(lun)

    def run(self, cdb, data_out=None, read_length=0, **options):
        return self.one.execute(cdb, data_out, read_length, **options)

    def good(self, *arguments, **options):
        return bytes(self.run(*arguments, **options).expect_good().data_in)

    def stored(self, lba, blocks=1, image=None):
        """What the backing file holds: past every cache of the daemon."""
        with open(image or self.image, "rb") as file:
            file.seek(lba * BLOCK)
            return file.read(blocks * BLOCK)

    def store(self, lba, data):
        self.one.write(lba, data)
        return data

    def flushes(self):
        (unit,) = [unit for unit in self.api.get("/v1/stats")["units"] if str(self.image) in unit["unit"]]
        return unit["operations"]["flush"]


def case(code, action=None):
    def add(function):
        assert (code, action) not in CASES
        CASES[code, action] = function
        return function
    return add


def pattern(blocks=1):
    return os.urandom(blocks * BLOCK)


def six(code, lba, blocks):
    return bytes([code]) + lba.to_bytes(3, "big") + bytes([blocks, 0])


def ten(code, lba, blocks, flags=0):
    return struct.pack(">BBLBHB", code, flags, lba, 0, blocks, 0)


def twelve(code, lba, blocks, flags=0):
    return struct.pack(">BBLLBB", code, flags, lba, blocks, 0, 0)


def sixteen(code, lba, blocks, flags=0):
    return struct.pack(">BBQLBB", code, flags, lba, blocks, 0, 0)


# How an operation on blocks is asked for: these are also tried with blocks that are not there.
ON_BLOCKS = {code: build for build, codes in {
    six: (0x08, 0x0A), ten: (0x28, 0x2A, 0x2E, 0x2F, 0x34, 0x35, 0x41),
    twelve: (0xA8, 0xAA, 0xAE, 0xAF), sixteen: (0x88, 0x8A, 0x8B, 0x8E, 0x8F, 0x90, 0x91, 0x93),
}.items() for code in codes}
ON_BLOCKS[0x89] = lambda code, lba, blocks: struct.pack(">BBQ3xBBB", code, 0, lba, blocks, 0, 0)
SENDS_DATA = {0x0A, 0x2A, 0x2E, 0x41, 0x8A, 0x8B, 0x8E, 0x93, 0xAA, 0xAE}


# ---- Blocks ----

def reads(code):
    def run(disk):
        data = disk.store(5, pattern(3))
        assert disk.good(ON_BLOCKS[code](code, 5, 3), read_length=3 * BLOCK) == data
    return run


def writes(code):
    def run(disk):
        data = pattern(3)
        disk.good(ON_BLOCKS[code](code, 9, 3), data)
        assert disk.one.read(9, 3) == data and disk.stored(9, 3) == data
    return run


def verifies(code):
    def run(disk):
        data = disk.store(12, pattern(2))
        verify = ON_BLOCKS[code](code, 12, 2, flags=0x02)  # BYTCHK 01b
        disk.good(verify, data)
        disk.run(verify, data[:-1] + bytes([data[-1] ^ 1])).expect_sense(scsi.MISCOMPARE, 0x1D, 0)
        assert disk.one.read(12, 2) == data
    return run


def prefetches(code):
    def run(disk):
        task = disk.run(ON_BLOCKS[code](code, 12, 2))
        assert task.status in (scsi.GOOD, 0x04), "CONDITION MET: they fit the cache"
    return run


def synchronizes(code):
    def run(disk):
        disk.store(20, pattern())
        before = disk.flushes()
        disk.good(ON_BLOCKS[code](code, 20, 1))
        assert disk.flushes() == before + 1
    return run


def write_same(code):
    def run(disk):
        data = pattern()
        disk.store(29, pattern(6))
        disk.good(ON_BLOCKS[code](code, 30, 4), data)
        assert disk.one.read(30, 4) == data * 4
        disk.good(ON_BLOCKS[code](code, 30, 4, flags=0x08), bytes(BLOCK))
        assert disk.one.read(30, 4) == bytes(4 * BLOCK)
        assert disk.one.read(29, 1) != bytes(BLOCK) and disk.one.read(34, 1) != bytes(BLOCK)
    return run


for made, codes in {reads: (0x08, 0x28, 0x88, 0xA8), writes: (0x0A, 0x2A, 0x2E, 0x8A, 0x8E, 0xAA, 0xAE),
                    verifies: (0x2F, 0x8F, 0xAF), prefetches: (0x34, 0x90), synchronizes: (0x35, 0x91),
                    write_same: (0x41, 0x93)}.items():
    for one_code in codes:
        case(one_code)(made(one_code))


@case(0x89)
def compare_and_write(disk):
    old, new = disk.store(40, pattern()), pattern()
    cdb = ON_BLOCKS[0x89](0x89, 40, 1)
    disk.good(cdb, old + new)
    assert disk.one.read(40, 1) == new
    task = disk.run(cdb, old + pattern()).expect_sense(scsi.MISCOMPARE, 0x1D, 0)
    assert task.sense.information == next(at for at in range(BLOCK) if old[at] != new[at])
    assert disk.one.read(40, 1) == new


@case(0x8B)
def orwrite(disk):
    old, more = disk.store(42, pattern()), pattern()
    disk.good(ON_BLOCKS[0x8B](0x8B, 42, 1), more)
    assert disk.one.read(42, 1) == bytes(a | b for a, b in zip(old, more))


def lba_status(disk, lba, length=96):
    """[(lba, blocks, provisioning)]"""
    data = disk.good(struct.pack(">BBQLBB", 0x9E, 0x12, lba, length, 0, 0), read_length=length)
    return [struct.unpack(">QLB3x", data[at:at + 16]) for at in range(8, len(data), 16)]


@case(0x42)
def unmap(disk):
    disk.store(64, pattern(24))
    parameters = scsi.unmap_parameters((72, 8), (81, 2))
    disk.good(scsi.unmap(len(parameters)), parameters)
    data = disk.one.read(64, 24)
    assert data[8 * BLOCK:16 * BLOCK] == bytes(8 * BLOCK) and data[17 * BLOCK:19 * BLOCK] == bytes(2 * BLOCK)
    for lba in (0, 7, 16, 19, 23):
        assert data[lba * BLOCK:(lba + 1) * BLOCK] != bytes(BLOCK)
    assert lba_status(disk, 72)[0] == (72, 8, 1), "deallocated: 8 blocks are a page of the file"


@case(0x9E, 0x12)
def get_lba_status(disk):
    disk.store(128, pattern(8))
    parameters = scsi.unmap_parameters((136, 8))
    disk.good(scsi.unmap(len(parameters)), parameters)
    assert lba_status(disk, 128)[0] == (128, 8, 0)
    assert lba_status(disk, 136)[0][0] == 136 and lba_status(disk, 136)[0][2] != 0


@case(0x9E, 0x10)
def read_capacity_16(disk):
    assert disk.one.read_capacity() == (BLOCKS, BLOCK)


@case(0x25)
def read_capacity_10(disk):
    assert struct.unpack(">LL", disk.good(scsi.read_capacity10(), read_length=8)) == (BLOCKS - 1, BLOCK)


# ---- The whole medium ----

def sanitize(action, length=0, immed=False):
    return struct.pack(">BB5xHB", 0x48, immed << 7 | action, length, 0)


@case(0x48, 0x01)
def sanitize_overwrite(disk):
    disk.store(BLOCKS - 1, pattern())
    disk.good(sanitize(1, 8), bytes([1, 0, 0, 4]) + b"\xca\xfe\xf0\x0d")
    assert disk.one.read(0, BLOCKS) == b"\xca\xfe\xf0\x0d" * (BLOCKS * BLOCK // 4)


@case(0x48, 0x02)
def sanitize_erase(disk):
    disk.store(BLOCKS - 1, pattern())
    disk.good(sanitize(2))
    assert disk.one.read(0, BLOCKS) == bytes(BLOCKS * BLOCK)
    assert disk.stored(0, BLOCKS) == bytes(BLOCKS * BLOCK)


@case(0x48, 0x1F)
def sanitize_exit_failure_mode(disk):
    """Nothing has failed, so there is nothing to leave; the unit stays in use.  (After a failure: the unit tests.)"""
    disk.good(sanitize(0x1F))
    disk.good(scsi.test_unit_ready())


# ---- The unit ----

@case(0x00)
def test_unit_ready(disk):
    disk.good(scsi.start_stop_unit(start=False))
    disk.run(scsi.test_unit_ready()).expect_sense(scsi.NOT_READY, 0x04)
    disk.good(scsi.start_stop_unit(start=True))
    disk.good(scsi.test_unit_ready())


test_unit_ready.__test__ = False


@case(0x1B)
def start_stop_unit(disk):
    data = disk.store(0, pattern())
    disk.good(scsi.start_stop_unit(start=False))
    disk.run(scsi.read10(0, 1), read_length=BLOCK).expect_sense(scsi.NOT_READY, 0x04)
    disk.good(scsi.start_stop_unit(start=True))
    assert disk.one.read(0, 1) == data


@case(0x03)
def request_sense(disk):
    with Session(disk.running.address, daemon.TARGET) as fresh:
        for wanted in ((scsi.UNIT_ATTENTION, 0x29), (scsi.NO_SENSE, 0)):
            task = fresh.execute(scsi.request_sense(), read_length=252).expect_good()
            assert scsi.Sense(task.data_in).triple[:2] == wanted


@case(0x12)
def inquiry(disk):
    assert disk.one.inquiry()[:2] == b"\0\0" and disk.one.inquiry(lun=REMOVABLE)[1] == 0x80
    assert disk.one.inquiry(0x80)[4:] != disk.one.inquiry(0x80, lun=OTHER)[4:]


def caching_page(disk, select, length):
    data = disk.good(select, read_length=length)
    return data[data.rindex(b"\x08\x12"):]


def sets_the_write_cache(select, sense, header_bytes):
    def run(disk):
        for enabled in (False, True):
            page = bytes([0x08, 0x12, enabled << 2]) + bytes(17)
            data = bytes(header_bytes) + page
            disk.good(select(len(data)), data)
            assert bool(caching_page(disk, sense, 255)[2] & 4) == enabled
            assert disk.two.settle()[-1:] == [(0x2A, 0x01)], "mode parameters changed"
    return run


def mode_select_10(length):
    return struct.pack(">BB5xHB", 0x55, 0x10, length, 0)


case(0x15)(sets_the_write_cache(scsi.mode_select6, scsi.mode_sense10(0x08, 255), 4))
case(0x55)(sets_the_write_cache(mode_select_10, scsi.mode_sense6(0x08, 255), 8))


def senses_modes(build):
    def run(disk):
        data = disk.good(build(0x3F, 255), read_length=255)
        assert b"\x08\x12" in data and b"\x0a\x0a" in data, "caching and control pages"
        assert disk.good(build(0x08, 255), read_length=255)[-20:][:2] == b"\x08\x12"
    return run


case(0x1A)(senses_modes(scsi.mode_sense6))
case(0x5A)(senses_modes(scsi.mode_sense10))


@case(0x1D)
def send_diagnostic(disk):
    """The default self-test passes on a sound unit, and tells of one that is not ready."""
    disk.good(bytes([0x1D, 0x04, 0, 0, 0, 0]))
    disk.good(scsi.start_stop_unit(start=False))
    stopped = disk.run(bytes([0x1D, 0x04, 0, 0, 0, 0]))
    disk.good(scsi.start_stop_unit(start=True))
    stopped.expect_sense(scsi.NOT_READY, 0x04)


@case(0x1E)
def prevent_allow(disk):
    eject = scsi.start_stop_unit(start=False, load_eject=True)
    disk.good(scsi.prevent_allow(True), lun=REMOVABLE)
    disk.run(eject, lun=REMOVABLE).expect_sense(scsi.ILLEGAL_REQUEST, 0x53, 0x02)
    disk.good(scsi.prevent_allow(False), lun=REMOVABLE)
    disk.good(eject, lun=REMOVABLE)
    disk.run(scsi.test_unit_ready(), lun=REMOVABLE).expect_sense(scsi.NOT_READY, 0x3A)
    disk.good(scsi.start_stop_unit(start=True, load_eject=True), lun=REMOVABLE)


def reads_defects(build):
    def run(disk):
        data = disk.good(build(0x1D), read_length=8)
        assert data[1] & 0x1F == 0x1D and not any(data[2:]), "both lists, in the format asked for, are empty"
    return run


case(0x37)(reads_defects(lambda options: struct.pack(">BBB4xHB", 0x37, 0, options, 8, 0)))
case(0xB7)(reads_defects(lambda options: struct.pack(">BB4xLBB", 0xB7, options, 8, 0, 0)))


def log_page(disk, page):
    return disk.good(struct.pack(">BBB4xHB", 0x4D, 0, 0x40 | page, 512, 0), read_length=512)


@case(0x4D)
def log_sense(disk):
    """The logical block provisioning page: what is written is used."""
    assert 0x0C in log_page(disk, 0)[4:]
    parameters = scsi.unmap_parameters((0, BLOCKS))
    disk.good(scsi.unmap(len(parameters)), parameters)
    before = log_page(disk, 0x0C)
    disk.store(0, pattern(1024))
    assert log_page(disk, 0x0C) != before


# ---- Reservations ----

def reserves(reserve, release):
    def run(disk):
        disk.good(reserve)
        conflict = disk.two.execute(scsi.read10(0, 1), read_length=BLOCK)
        assert conflict.status == scsi.RESERVATION_CONFLICT
        disk.good(release)
        disk.two.read(0, 1)
    return run


case(0x16)(reserves(bytes([0x16, 0, 0, 0, 0, 0]), bytes([0x17, 0, 0, 0, 0, 0])))
case(0x17)(reserves(bytes([0x16, 0, 0, 0, 0, 0]), bytes([0x17, 0, 0, 0, 0, 0])))
case(0x56)(reserves(bytes([0x56]) + bytes(9), bytes([0x57]) + bytes(9)))
case(0x57)(reserves(bytes([0x56]) + bytes(9), bytes([0x57]) + bytes(9)))

REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_ABORT, REGISTER_IGNORE, MOVE = range(8)
WRITE_EXCLUSIVE = 1


def reserve_out(session, action, key=0, other_key=0, kind=0):
    data = struct.pack(">QQ8x", key, other_key)
    return session.execute(struct.pack(">BBB2xLB", 0x5F, action, kind, len(data), 0), data)


def reserve_in(session, action, length=1024):
    cdb = struct.pack(">BB5xHB", 0x5E, action, length, 0)
    return bytes(session.execute(cdb, read_length=length).expect_good().data_in)


def registered_keys(disk):
    data = reserve_in(disk.one, 0)
    return [int.from_bytes(data[at:at + 8], "big") for at in range(8, len(data), 8)]


def with_registrations(function):
    """Both are registered, with keys 1 and 2; at the end nobody is."""
    def run(disk):
        for session, key in ((disk.one, 1), (disk.two, 2)):
            reserve_out(session, REGISTER_IGNORE, 0, key).expect_good()
        function(disk)
        disk.settle()
        reserve_out(disk.one, REGISTER_IGNORE, 0, 9).expect_good()
        reserve_out(disk.one, CLEAR, 9).expect_good()
        disk.settle()
    return run


def holder(disk):
    data = reserve_in(disk.one, 1)
    return int.from_bytes(data[8:16], "big") if len(data) > 8 else None


def may_write(session):
    return session.execute(scsi.write10(0, 1), bytes(BLOCK)).status != scsi.RESERVATION_CONFLICT


case(0x5E, 0)(with_registrations(lambda disk: keys_are(disk, [1, 2])))


def keys_are(disk, wanted):
    assert sorted(registered_keys(disk)) == wanted


@case(0x5E, 1)
@with_registrations
def read_reservation(disk):
    assert holder(disk) is None
    reserve_out(disk.two, RESERVE, 2, kind=WRITE_EXCLUSIVE).expect_good()
    assert holder(disk) == 2


@case(0x5E, 2)
def report_capabilities(disk):
    data = reserve_in(disk.one, 2)
    assert int.from_bytes(data[:2], "big") == 8 and data[4:6] == b"\xea\x01", "all six types"


@case(0x5E, 3)
@with_registrations
def read_full_status(disk):
    data = reserve_in(disk.one, 3)
    assert disk.one.initiator.encode() in data and int.from_bytes(data[4:8], "big") == len(data) - 8


@case(0x5F, REGISTER)
def register(disk):
    reserve_out(disk.one, REGISTER, 0, 7).expect_good()
    keys_are(disk, [7])
    assert reserve_out(disk.one, REGISTER, 8, 9).status == scsi.RESERVATION_CONFLICT, "not its key"
    reserve_out(disk.one, REGISTER, 7, 0).expect_good()
    keys_are(disk, [])


@case(0x5F, REGISTER_IGNORE)
def register_and_ignore(disk):
    reserve_out(disk.one, REGISTER_IGNORE, 0, 7).expect_good()
    reserve_out(disk.one, REGISTER_IGNORE, 12345, 8).expect_good()
    keys_are(disk, [8])
    reserve_out(disk.one, REGISTER_IGNORE, 0, 0).expect_good()
    keys_are(disk, [])


@case(0x5F, RESERVE)
@with_registrations
def persistent_reserve(disk):
    assert may_write(disk.two)
    reserve_out(disk.one, RESERVE, 1, kind=WRITE_EXCLUSIVE).expect_good()
    assert may_write(disk.one) and not may_write(disk.two)


@case(0x5F, RELEASE)
@with_registrations
def persistent_release(disk):
    reserve_out(disk.one, RESERVE, 1, kind=WRITE_EXCLUSIVE).expect_good()
    assert not may_write(disk.two)
    reserve_out(disk.one, RELEASE, 1, kind=WRITE_EXCLUSIVE).expect_good()
    disk.two.settle()
    assert may_write(disk.two)


@case(0x5F, CLEAR)
@with_registrations
def clear(disk):
    reserve_out(disk.one, RESERVE, 1, kind=WRITE_EXCLUSIVE).expect_good()
    reserve_out(disk.one, CLEAR, 1).expect_good()
    assert registered_keys(disk) == [] and holder(disk) is None
    assert disk.two.settle() == [(0x2A, 0x03)], "reservations preempted"


def preempts(action):
    @with_registrations
    def run(disk):
        reserve_out(disk.one, RESERVE, 1, kind=WRITE_EXCLUSIVE).expect_good()
        reserve_out(disk.two, action, 2, 1, kind=WRITE_EXCLUSIVE).expect_good()
        assert disk.one.settle() == [(0x2A, 0x05)], "registrations preempted"
        assert holder(disk) == 2 and registered_keys(disk) == [2] and not may_write(disk.one)
    return run


case(0x5F, PREEMPT)(preempts(PREEMPT))
case(0x5F, PREEMPT_ABORT)(preempts(PREEMPT_ABORT))


def initiator_port(session):
    """A TransportID, SPC-5 7.6.4.6, of the initiator port."""
    name = f"{session.initiator},i,0x{session.isid.hex()}".encode() + b"\0"
    name = name.ljust(-(-len(name) // 4) * 4, b"\0")
    return struct.pack(">BxH", 0x45, len(name)) + name


@case(0x5F, MOVE)
@with_registrations
def register_and_move(disk):
    reserve_out(disk.one, RESERVE, 1, kind=WRITE_EXCLUSIVE).expect_good()
    port = int.from_bytes(disk.one.inquiry(0x83).split(b"\x51\x94\0\4\0\0")[1][:2], "big")
    name = initiator_port(disk.two)
    data = struct.pack(">QQxBHL", 1, 5, 0, port, len(name)) + name
    disk.good(struct.pack(">BBB2xLB", 0x5F, MOVE, 0, len(data), 0), data)
    assert holder(disk) == 5
    assert may_write(disk.two) and not may_write(disk.one)


# ---- Copies ----

def identification(session, lun):
    """The NAA designator of a logical unit as a CSCD descriptor, SPC-4 6.4.5.2."""
    page = session.inquiry(0x83, lun=lun)
    at = 4
    while at < len(page):
        length = page[at + 3]
        if page[at + 1] & 0x3F == 0x03:
            return bytes([0xE4, 0, 0, 0, *page[at:at + 4 + length]]).ljust(28, b"\0") + \
                bytes([0]) + BLOCK.to_bytes(3, "big")
        at += 4 + length
    raise AssertionError("no NAA designator")


def extended_copy_parameters(session, blocks, from_lba, to_lba, list_id=0x17):
    targets = identification(session, THIN) + identification(session, OTHER)
    segment = struct.pack(">BBHHHxxHQQ", 0x02, 0, 0x18, 0, 1, blocks, from_lba, to_lba)
    return struct.pack(">BBHLLL", list_id, 0, len(targets), 0, len(segment), 0) + targets + segment


@case(0x83, 0x00)
def extended_copy(disk):
    data = disk.store(200, pattern(16))
    parameters = extended_copy_parameters(disk.one, 16, 200, 300)
    disk.good(struct.pack(">BB8xLBB", 0x83, 0, len(parameters), 0, 0), parameters)
    assert disk.one.read(300, 16, lun=OTHER) == data and disk.stored(300, 16, disk.other_image) == data


@case(0x84, 0x00)
def copy_status(disk):
    parameters = extended_copy_parameters(disk.one, 16, 200, 300, list_id=0x23)
    disk.good(struct.pack(">BB8xLBB", 0x83, 0, len(parameters), 0, 0), parameters)
    data = disk.good(struct.pack(">BBB7xLBB", 0x84, 0, 0x23, 64, 0, 0), read_length=64)
    assert data[4] & 0x7F == 0x01, "it has ended, without errors"
    assert int.from_bytes(data[5:7], "big") == 1, "segments processed"


@case(0x84, 0x03)
def operating_parameters(disk):
    data = disk.good(struct.pack(">BB8xLBB", 0x84, 3, 256, 0, 0), read_length=256)
    assert int.from_bytes(data[8:10], "big") >= 2 and 0xE4 in data and 0x02 in data[44:]


# ---- Reports ----

@case(0xA0)
def report_luns(disk):
    assert disk.one.report_luns() == [THIN, REMOVABLE, OTHER]


def port_group_states(disk):
    data = disk.good(struct.pack(">BB4xLBB", 0xA3, 0x0A, 256, 0, 0), read_length=256)
    states, at = {}, 4
    while at < len(data):
        states[int.from_bytes(data[at + 2:at + 4], "big")] = data[at] & 0x0F
        at += 8 + 4 * data[at + 7]
    return states


@case(0xA3, 0x0A)
def report_target_port_groups(disk):
    assert port_group_states(disk) == {1: 0}


def set_port_group(disk, state):
    data = struct.pack(">4xBxH", state, 1)
    disk.good(struct.pack(">BB4xLBB", 0xA4, 0x0A, len(data), 0, 0), data)


@case(0xA4, 0x0A)
def set_target_port_groups(disk):
    set_port_group(disk, 2)
    assert disk.two.execute(scsi.test_unit_ready()).expect_sense(scsi.UNIT_ATTENTION, 0x2A, 0x06)
    assert port_group_states(disk) == {1: 2}
    disk.run(scsi.read10(0, 1), read_length=BLOCK).expect_sense(scsi.NOT_READY, 0x04, 0x0B)
    set_port_group(disk, 0)
    disk.settle()
    disk.one.read(0, 1)


@case(0xA3, 0x0C)
def report_operation_codes(disk):
    assert supported(disk)
    assert disk.good(scsi.report_supported_operation_codes(0xFF), read_length=4096)[1] & 7 == 1


@case(0xA3, 0x0D)
def report_functions(disk):
    data = disk.good(scsi.report_supported_functions(), read_length=4)
    assert data[0] & 0xF0 == 0xD8 & 0xF0, "ABORT TASK, ABORT TASK SET, CLEAR TASK SET; no CLEAR ACA"


# ---- The walk ----

def supported(disk, lun=THIN):
    """{(code, service action or None): usage map}"""
    data = disk.good(scsi.report_supported_operation_codes(length=16384), read_length=16384, lun=lun)
    found = {}
    for at in range(4, len(data), 8):
        code, action, flags = data[at], int.from_bytes(data[at + 2:at + 4], "big"), data[at + 5]
        action = action if flags & 1 else None
        one = disk.good(scsi.report_supported_operation_codes(code, action), read_length=4096, lun=lun)
        assert one[1] & 7 == 3
        found[code, action] = one[4:4 + int.from_bytes(one[2:4], "big")]
    return found


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("operations")
    images = [folder / name for name in ("thin.img", "removable.img", "other.img")]
    for image in images:
        image.touch()
        os.truncate(image, BLOCKS * BLOCK)
    luns = [{"path": str(images[0])}, {"path": str(images[1]), "removable": True}, {"path": str(images[2])}]
    with daemon.serve_targets(folder, daemon.target(*luns)) as running:
        running.folder = folder
        made = Disk(running, images)
        with made.one, made.two:
            made.settle()
            yield made
        running.assert_alive()
        running.assert_clean()


def name_of(key):
    return f"{key[0]:02x}" if key[1] is None else f"{key[0]:02x}-{key[1]:02x}"


@pytest.mark.parametrize("key", CASES, ids=name_of)
def test_an_operation_has_the_effect_that_it_names(disk, key):
    disk.settle()
    CASES[key](disk)
    disk.settle()


def test_every_operation_that_is_reported_has_a_case_here(disk):
    reported = {key for lun in (THIN, REMOVABLE, OTHER) for key in supported(disk, lun)}
    assert reported == set(CASES)


def test_blocks_that_are_not_there_are_out_of_range(disk):
    tried = 0
    for code, _ in supported(disk):
        if code not in ON_BLOCKS:
            continue
        largest = (1 << 21) - 1 if code in (0x08, 0x0A) else (1 << 32) - 1 if ON_BLOCKS[code] in (ten, twelve) \
            else (1 << 64) - 1
        for lba, blocks in ((BLOCKS - 1, 2), (BLOCKS, 1), (largest, 1), (largest, 2)):
            blocks_of_data = 2 * blocks if code == 0x89 else 1 if code in (0x41, 0x93) else blocks
            data = bytes(blocks_of_data * BLOCK) if code in SENDS_DATA | {0x89} else None
            read_length = blocks * BLOCK if code in (0x08, 0x28, 0x88, 0xA8) else 0
            task = disk.run(ON_BLOCKS[code](code, lba, blocks), data, read_length)
            task.expect_sense(scsi.ILLEGAL_REQUEST, 0x21, 0)
            tried += 1
    assert tried == 4 * len(ON_BLOCKS)


def test_a_reserved_bit_is_refused_with_its_place(disk):
    """Not in byte 1, where a part is ignored on purpose: the unit tests know which."""
    tried = 0
    for (code, action), usage in supported(disk).items():
        for byte in range(2, len(usage)):
            for bit in range(8):
                if usage[byte] & 1 << bit:
                    continue
                cdb = bytearray(len(usage))
                cdb[0], cdb[1] = code, action or 0
                cdb[byte] |= 1 << bit
                task = disk.run(bytes(cdb)).expect_sense(scsi.ILLEGAL_REQUEST, 0x24, 0)
                assert task.sense.data[15] & 0xC8 == 0xC8 and task.sense.data[15] & 7 == bit, (name_of((code, action)), byte)
                assert int.from_bytes(task.sense.data[16:18], "big") == byte
                tried += 1
    assert tried > 1000


def test_every_other_code_is_no_command(disk):
    codes = {code for code, _ in supported(disk)}
    for code in set(range(256)) - codes:
        disk.run(bytes([code]) + bytes(15)).expect_sense(scsi.ILLEGAL_REQUEST, 0x20, 0)


def test_every_other_service_action_is_an_invalid_field(disk):
    reported = supported(disk)
    for code in {code for code, action in reported if action is not None}:
        for action in set(range(32)) - {one for other, one in reported if other == code}:
            disk.run(bytes([code, action]) + bytes(14)).expect_sense(scsi.ILLEGAL_REQUEST, 0x24, 0)
