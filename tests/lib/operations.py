# SPDX-License-Identifier: Apache-2.0
"""One harmless command of every kind that a unit may have, for tests that walk the whole table.

They are made for a small removable unit with an atomic write unit of ATOMIC_BLOCKS, such as the rig's (`lun_entry`), whose
first blocks hold what `prepare` writes there."""

import struct
from typing import Callable, NamedTuple, Optional

from . import scsi

BLOCK = 512
UNIT_BLOCKS = 128  # few, so that SANITIZE is over at once
ATOMIC_BLOCKS = 4
AT, BLOCKS = 4, 4  # where and how much the commands on blocks read and write
PATTERN = b"".join(bytes([number]) * BLOCK for number in range(1, 17))  # of the first blocks
NEW = b"".join(bytes([0xA0 + number]) * BLOCK for number in range(BLOCKS))
COPY_LIST = 0x21

# What becomes of the blocks [AT, AT + BLOCKS) if the command gets this data: a function of the blocks and the data.
Effect = Callable[[bytes, bytes], bytes]


class Command(NamedTuple):
    cdb: bytes
    data_out: Optional[bytes] = None  # None: it takes none
    effect: Optional[Effect] = None  # on all of the first blocks; None: none
    exact: bool = False  # data-out of another length is refused
    status: int = scsi.GOOD


def lun_entry(folder):
    return {"path": f"rig:{UNIT_BLOCKS * BLOCK}", "removable": True,
            "options": {"atomic_write": str(ATOMIC_BLOCKS * BLOCK), "control": str(folder / "rig.sock")}}


def prepare(session):
    session.write(0, PATTERN)


# ---- Data-in: by allocation length ----

def _six(code, action, length):
    return bytes([code, action, 0, 0, length, 0])


def _ten(code, action, length, byte_2=0):
    return struct.pack(">BBB4xHB", code, action, byte_2, length, 0)


def _twelve(code, action, length):
    return struct.pack(">BB4xLBB", code, action, length, 0, 0)


def _sixteen(code, action, length, byte_2=0):
    return struct.pack(">BBB7xLBB", code, action, byte_2, length, 0, 0)


ALLOCATING = {
    (0x03, None): lambda length: _six(0x03, 0, length),
    (0x12, None): scsi.inquiry,
    (0x1A, None): lambda length: scsi.mode_sense6(0x3F, length),
    (0x37, None): lambda length: _ten(0x37, 0, length, 0x1D),
    (0x4D, None): lambda length: _ten(0x4D, 0, length, 0x40),
    (0x5A, None): lambda length: scsi.mode_sense10(0x3F, length),
    **{(0x5E, action): lambda length, action=action: _ten(0x5E, action, length) for action in range(4)},
    (0x84, 0x00): lambda length: _sixteen(0x84, 0x00, length, COPY_LIST),
    (0x84, 0x03): lambda length: _sixteen(0x84, 0x03, length),
    (0x9E, 0x10): scsi.read_capacity16,
    (0x9E, 0x12): lambda length: _sixteen(0x9E, 0x12, length),
    (0xA0, None): scsi.report_luns,
    (0xA3, 0x0A): lambda length: _twelve(0xA3, 0x0A, length),
    (0xA3, 0x0C): lambda length: scsi.report_supported_operation_codes(length=length),
    (0xA3, 0x0D): scsi.report_supported_functions,
    (0xB7, None): lambda length: _twelve(0xB7, 0x1D, length),
}


def longest_allocation(key):
    """What the field holds at most; no answer here is longer."""
    return 255 if ALLOCATING[key](0)[0] < 0x20 and key[0] != 0x12 else 4096


# ---- Data-in: of a length of its own ----

def on_blocks(code, lba=AT, blocks=BLOCKS, flags=0):
    if code < 0x20:
        return bytes([code]) + lba.to_bytes(3, "big") + bytes([blocks, 0])
    if code < 0x80:
        return struct.pack(">BBLBHB", code, flags, lba, 0, blocks, 0)
    if code >= 0xA0:
        return struct.pack(">BBLLBB", code, flags, lba, blocks, 0, 0)
    return struct.pack(">BBQLBB", code, flags, lba, blocks, 0, 0)


READING = {**{(code, None): on_blocks(code) for code in (0x08, 0x28, 0x88, 0xA8)}, (0x25, None): scsi.read_capacity10()}
READ_BYTES = {key: 8 if key[0] == 0x25 else BLOCKS * BLOCK for key in READING}


# ---- Data-out ----

def _put(before, data):
    """Whole blocks of what has come are written, and no more than the CDB says."""
    whole = data[:min(len(data), BLOCKS * BLOCK) // BLOCK * BLOCK]
    return before[:AT * BLOCK] + whole + before[AT * BLOCK + len(whole):]


def _merge(before, data):
    old = before[AT * BLOCK:(AT + BLOCKS) * BLOCK]
    whole = min(len(data), BLOCKS * BLOCK) // BLOCK * BLOCK
    return _put(before, bytes(a | b for a, b in zip(old[:whole], data)))


def _writes(code, effect=_put, **options):
    return Command(on_blocks(code), NEW, effect, **options)


def _swap(before, data):
    return _put(before, data[BLOCKS * BLOCK:])


def reserve_out(action, key=0, other_key=0, kind=0):
    data = struct.pack(">QQ8x", key, other_key)
    return struct.pack(">BBB2xLB", 0x5F, action, kind, len(data), 0), data


def _refused_reserve_out(action):
    """Of who is not registered, with a type that there is: a conflict, if nothing else is wrong."""
    kind = 1 if action in (1, 2, 4, 5) else 0
    return Command(*reserve_out(action, 1, 2, kind), status=scsi.RESERVATION_CONFLICT)


def identification(session, lun=0):
    """The NAA designator of a logical unit as a CSCD descriptor, SPC-4 6.4.5.2."""
    page = session.inquiry(0x83, lun=lun)
    at = 4
    while page[at + 1] & 0x3F != 0x03:
        at += 4 + page[at + 3]
    return bytes([0xE4, 0, 0, 0, *page[at:at + 4 + page[at + 3]]]).ljust(28, b"\0") + bytes([0]) + \
        BLOCK.to_bytes(3, "big")


def copy_list(session, source=0, destination=AT, blocks=BLOCKS):
    """Of EXTENDED COPY(LID1): within one unit."""
    targets = identification(session)
    segment = struct.pack(">BBHHHxxHQQ", 0x02, 0, 0x18, 0, 0, blocks, source, destination)
    return struct.pack(">BBHLLL", COPY_LIST, 0, len(targets), 0, len(segment), 0) + targets + segment


def extended_copy(data):
    return struct.pack(">BB8xLBB", 0x83, 0, len(data), 0, 0)


def set_port_groups(length):
    return _twelve(0xA4, 0x0A, length)


def sanitize(action, length=0):
    return struct.pack(">BB5xHB", 0x48, action, length, 0)


def mode_select10(length):
    return struct.pack(">BB5xHB", 0x55, 0x10, length, 0)


def _taking(session):
    caching = bytes(session.execute(scsi.mode_sense6(0x08, dbd=True), read_length=255).expect_good().data_in)[4:]
    caching = bytes([caching[0] & 0x3F]) + caching[1:]
    unmapped = scsi.unmap_parameters((AT, BLOCKS))
    overwritten = bytes([1, 0, 0, 4]) + b"\xca\xfe\xf0\x0d"
    copied = copy_list(session)
    groups = struct.pack(">4xBxH", 0, 1)
    return {
        **{(code, None): _writes(code) for code in (0x0A, 0x2A, 0x2E, 0x8A, 0x8E, 0xAA, 0xAE)},
        (0x8B, None): _writes(0x8B, _merge),
        **{(code, None): Command(on_blocks(code), NEW[:BLOCK], lambda before, data: _put(before, data * BLOCKS), True)
           for code in (0x41, 0x93)},
        (0x89, None): Command(scsi.compare_and_write(AT, BLOCKS), PATTERN[AT * BLOCK:(AT + BLOCKS) * BLOCK] + NEW, _swap,
                              True),
        (0x9C, None): Command(scsi.write_atomic16(AT, BLOCKS), NEW, _put, True),
        (0x15, None): Command(scsi.mode_select6(4 + len(caching)), bytes(4) + caching, exact=True),
        (0x55, None): Command(mode_select10(8 + len(caching)), bytes(8) + caching, exact=True),
        (0x42, None): Command(scsi.unmap(len(unmapped)), unmapped, lambda before, _: _put(before, bytes(BLOCKS * BLOCK)),
                              True),
        (0x48, 0x01): Command(sanitize(1, len(overwritten)), overwritten, lambda before, _: b"\xca\xfe\xf0\x0d" *
                              (len(before) // 4), True),
        (0x83, 0x00): Command(extended_copy(copied), copied,
                              lambda before, _: _put(before, before[:BLOCKS * BLOCK]), True),
        (0xA4, 0x0A): Command(set_port_groups(len(groups)), groups, exact=True),
        **{(0x5F, action): Command(*reserve_out(action), exact=True) for action in (0, 6)},
        **{(0x5F, action): _refused_reserve_out(action)._replace(exact=True) for action in (1, 2, 3, 4, 5, 7)},
    }


# ---- Neither ----

def _without_data():
    return {
        (0x00, None): Command(scsi.test_unit_ready()),
        **{(code, None): Command(_six(code, 0, 0)) for code in (0x16, 0x17, 0x1D)},
        (0x1B, None): Command(scsi.start_stop_unit()),
        (0x1E, None): Command(scsi.prevent_allow(False)),
        **{(code, None): Command(on_blocks(code)) for code in (0x2F, 0x34, 0x35, 0x8F, 0x90, 0x91, 0xAF)},
        (0x48, 0x02): Command(sanitize(2), effect=lambda before, _: bytes(len(before))),
        (0x48, 0x1F): Command(sanitize(0x1F)),
        (0x56, None): Command(bytes([0x56]) + bytes(9)),
        (0x57, None): Command(bytes([0x57]) + bytes(9)),
    }


class Table(NamedTuple):
    """{(code, service action or None): command}, by which way their data goes."""

    reading: dict
    taking: dict
    without_data: dict

    def keys(self):
        return self.reading.keys() | self.taking.keys() | self.without_data.keys()


def table(session):
    """Each answers GOOD on a fresh unit, but those whose `status` says otherwise, and RECEIVE COPY RESULTS, COPY STATUS,
    which has something to tell of after an EXTENDED COPY only."""
    allocating = {key: Command(build(longest_allocation(key))) for key, build in ALLOCATING.items()}
    return Table({**{key: Command(cdb) for key, cdb in READING.items()}, **allocating}, _taking(session), _without_data())


def reported(session, lun=0):
    """{(code, service action or None)} of REPORT SUPPORTED OPERATION CODES."""
    length = 16384
    data = session.execute(scsi.report_supported_operation_codes(length=length), read_length=length,
                           lun=lun).expect_good().data_in
    return {(data[at], int.from_bytes(data[at + 2:at + 4], "big") if data[at + 5] & 1 else None)
            for at in range(4, len(data), 8)}
