# SPDX-License-Identifier: Apache-2.0
"""CDBs and sense data: as much of SPC and SBC as the tests speak."""

import struct

GOOD, CHECK_CONDITION, BUSY, RESERVATION_CONFLICT, TASK_SET_FULL, TASK_ABORTED = 0x00, 0x02, 0x08, 0x18, 0x28, 0x40
NO_SENSE, NOT_READY, MEDIUM_ERROR, HARDWARE_ERROR, ILLEGAL_REQUEST, UNIT_ATTENTION, DATA_PROTECT = 0, 2, 3, 4, 5, 6, 7
ABORTED_COMMAND, MISCOMPARE = 0x0B, 0x0E

DPO, FUA = 0x10, 0x08


def test_unit_ready():
    return bytes(6)


test_unit_ready.__test__ = False  # a CDB, not a test for pytest to collect


def request_sense(length=252, descriptor=False):
    return bytes([0x03, int(descriptor), 0, 0, length, 0])


def inquiry(length=255, page=None):
    return struct.pack(">BBBHB", 0x12, int(page is not None), page or 0, length, 0)


def mode_sense6(page=0x3F, length=255, subpage=0, dbd=False):
    return bytes([0x1A, dbd << 3, page, subpage, length, 0])


def mode_sense10(page=0x3F, length=1024, subpage=0, dbd=False):
    return struct.pack(">BBBBBBBHB", 0x5A, dbd << 3, page, subpage, 0, 0, 0, length, 0)


def start_stop_unit(start=True, load_eject=False, immed=False):
    return bytes([0x1B, int(immed), 0, 0, load_eject << 1 | start, 0])


def report_luns(length=4096, select=0):
    return struct.pack(">BBB3xLBB", 0xA0, 0, select, length, 0, 0)


def read_capacity10():
    return bytes([0x25]) + bytes(9)


def read_capacity16(length=32):
    return struct.pack(">BBQLBB", 0x9E, 0x10, 0, length, 0, 0)


def report_supported_operation_codes(opcode=None, service_action=None, length=4096, timeouts=False):
    options = 0 if opcode is None else 1 if service_action is None else 2
    return struct.pack(">BBBBHLBB", 0xA3, 0x0C, timeouts << 7 | options, opcode or 0, service_action or 0, length, 0, 0)


def report_supported_functions(length=4, extended=False):
    return struct.pack(">BBBBHLBB", 0xA3, 0x0D, extended << 7, 0, 0, length, 0, 0)


def read6(lba, blocks):
    return bytes([0x08]) + lba.to_bytes(3, "big") + bytes([blocks & 0xFF, 0])


def write6(lba, blocks):
    return bytes([0x0A]) + lba.to_bytes(3, "big") + bytes([blocks & 0xFF, 0])


def _ten(opcode, lba, blocks, flags):
    return struct.pack(">BBLBHB", opcode, flags, lba, 0, blocks, 0)


def _twelve(opcode, lba, blocks, flags):
    return struct.pack(">BBLLBB", opcode, flags, lba, blocks, 0, 0)


def _sixteen(opcode, lba, blocks, flags):
    return struct.pack(">BBQLBB", opcode, flags, lba, blocks, 0, 0)


def read10(lba, blocks, flags=0):
    return _ten(0x28, lba, blocks, flags)


def read12(lba, blocks, flags=0):
    return _twelve(0xA8, lba, blocks, flags)


def read16(lba, blocks, flags=0):
    return _sixteen(0x88, lba, blocks, flags)


def write10(lba, blocks, flags=0):
    return _ten(0x2A, lba, blocks, flags)


def write12(lba, blocks, flags=0):
    return _twelve(0xAA, lba, blocks, flags)


def write16(lba, blocks, flags=0):
    return _sixteen(0x8A, lba, blocks, flags)


def write_atomic16(lba, blocks, flags=0):
    return struct.pack(">BBQHHBB", 0x9C, flags, lba, 0, blocks, 0, 0)


def compare_and_write(lba, blocks):
    return struct.pack(">BBQ3xBBB", 0x89, 0, lba, blocks, 0, 0)


def write_and_verify10(lba, blocks, flags=0):
    return _ten(0x2E, lba, blocks, flags)


def write_and_verify16(lba, blocks, flags=0):
    return _sixteen(0x8E, lba, blocks, flags)


def verify10(lba, blocks, byte_check=0):
    return _ten(0x2F, lba, blocks, byte_check << 1)


def verify16(lba, blocks, byte_check=0):
    return _sixteen(0x8F, lba, blocks, byte_check << 1)


def write_same10(lba, blocks, unmap=False):
    return _ten(0x41, lba, blocks, unmap << 3)


def write_same16(lba, blocks, unmap=False, no_data_out=False):
    return _sixteen(0x93, lba, blocks, unmap << 3 | int(no_data_out))


def orwrite16(lba, blocks):
    return _sixteen(0x8B, lba, blocks, 0)


def synchronize_cache10(lba=0, blocks=0):
    return _ten(0x35, lba, blocks, 0)


def synchronize_cache16(lba=0, blocks=0):
    return _sixteen(0x91, lba, blocks, 0)


def prevent_allow(prevent=True):
    return bytes([0x1E, 0, 0, 0, int(prevent), 0])


def mode_select6(length, save=False):
    return bytes([0x15, 0x10 | int(save), 0, 0, length, 0])


def persistent_reserve_out(service_action, length):
    return struct.pack(">BBBHLB", 0x5F, service_action, 0, 0, length, 0)


def unmap(parameter_length):
    return struct.pack(">BBLBHB", 0x42, 0, 0, 0, parameter_length, 0)


def unmap_parameters(*ranges):
    descriptors = b"".join(struct.pack(">QL4x", lba, blocks) for lba, blocks in ranges)
    return struct.pack(">HH4x", len(descriptors) + 6, len(descriptors)) + descriptors


class Sense:
    """Fixed (70h, 71h) and descriptor (72h, 73h) format sense data."""

    def __init__(self, data):
        self.data = bytes(data)
        code = data[0] & 0x7F if data else 0
        self.information = None
        self.deferred = code in (0x71, 0x73)
        if code in (0x70, 0x71):
            self.key, self.asc, self.ascq = data[2] & 0x0F, data[12], data[13]
            if data[0] & 0x80:
                self.information = int.from_bytes(data[3:7], "big")
        elif code in (0x72, 0x73):
            self.key, self.asc, self.ascq = data[1] & 0x0F, data[2], data[3]
            self._read_descriptors(data[8:8 + data[7]])
        else:
            self.key = self.asc = self.ascq = None

    def _read_descriptors(self, data):
        while len(data) >= 2:
            if data[0] == 0 and data[2] & 0x80:
                self.information = int.from_bytes(data[4:12], "big")
            data = data[2 + data[1]:]

    @property
    def triple(self):
        return (self.key, self.asc, self.ascq)

    def __repr__(self):
        return f"<sense {self.data.hex()}>"


def decode_luns(data):
    """The LUN numbers in REPORT LUNS data, peripheral and flat space formats."""
    length = int.from_bytes(data[:4], "big")
    return [int.from_bytes(data[at:at + 2], "big") & 0x3FFF for at in range(8, 8 + length, 8)]
