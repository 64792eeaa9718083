# SPDX-License-Identifier: Apache-2.0
"""CRC32C (RFC 3720 appendix B.4) as iSCSI digests use it."""

import struct

_REVERSED_POLYNOMIAL = 0x82F63B78


def _table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_REVERSED_POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _table()


def crc32c(data):
    table = _TABLE
    value = 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def digest(data):
    """The four bytes that follow a header or a data segment on the wire."""
    return struct.pack("<I", crc32c(data))
