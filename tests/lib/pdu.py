# SPDX-License-Identifier: Apache-2.0
"""Every iSCSI PDU of RFC 7143 section 11, encoded and decoded, and able to lie about itself.

A PDU is a 48-byte header (`bhs`), additional header segments (`ahs`) and a data segment (`data`).  Fields of the header
are attributes.  The lengths in the header are computed when the PDU is encoded, unless `total_ahs_length` or
`data_segment_length` has been given a value of its own: then that goes out, whatever really follows.
"""

from . import crc32c

RESERVED_TAG = 0xFFFFFFFF
BHS_BYTES = 48


class Number:
    """An unsigned big-endian number in the header."""

    def __init__(self, offset, size):
        self.slice = slice(offset, offset + size)
        self.size = size

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        return int.from_bytes(instance.bhs[self.slice], "big")

    def __set__(self, instance, value):
        instance.bhs[self.slice] = (value % (1 << 8 * self.size)).to_bytes(self.size, "big")


class Bits:
    """Some bits of one byte of the header."""

    def __init__(self, offset, shift, width=1):
        self.offset, self.shift, self.mask = offset, shift, (1 << width) - 1

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        return instance.bhs[self.offset] >> self.shift & self.mask

    def __set__(self, instance, value):
        kept = instance.bhs[self.offset] & ~(self.mask << self.shift)
        instance.bhs[self.offset] = kept | (int(value) & self.mask) << self.shift


class Text:
    """Raw bytes in the header, padded with zeros."""

    def __init__(self, offset, size):
        self.slice = slice(offset, offset + size)
        self.size = size

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        return bytes(instance.bhs[self.slice])

    def __set__(self, instance, value):
        if len(value) > self.size:
            raise ValueError(f"{len(value)} bytes for a field of {self.size}")
        instance.bhs[self.slice] = bytes(value).ljust(self.size, b"\0")


def encode_lun(lun):
    """SAM-5 4.7: peripheral format below 256, flat above; bytes are taken as they are."""
    if isinstance(lun, (bytes, bytearray)):
        return bytes(lun)
    first = 0 if lun < 256 else 0x4000
    return (first | lun).to_bytes(2, "big") + bytes(6)


def padded(data):
    return bytes(data) + bytes(-len(data) % 4)


class Pdu:
    opcode = None  # of the class; an instance may send another
    flags_default = 0

    immediate = Bits(0, 6)
    opcode_field = Bits(0, 0, 6)
    flags = Number(1, 1)
    final = Bits(1, 7)
    initiator_task_tag = Number(16, 4)

    def __init__(self, data=b"", ahs=b"", **fields):
        self.bhs = bytearray(BHS_BYTES)
        self.ahs = bytes(ahs)
        self.data = bytes(data)
        self.total_ahs_length = None
        self.data_segment_length = None
        if self.opcode is not None:
            self.opcode_field = self.opcode
            self.flags = self.flags_default
        for name, value in fields.items():
            self._known(name)
            setattr(self, name, value)

    def _known(self, name):
        if not hasattr(type(self), name) and name not in ("total_ahs_length", "data_segment_length"):
            raise AttributeError(f"{type(self).__name__} has no field {name}")

    @property
    def lun(self):
        return bytes(self.bhs[8:16])

    @lun.setter
    def lun(self, lun):
        self.bhs[8:16] = encode_lun(lun)

    def header(self):
        """Header and AHS with their lengths, as they go out."""
        bhs = bytearray(self.bhs)
        ahs = padded(self.ahs)
        ahs_words = len(ahs) // 4 if self.total_ahs_length is None else self.total_ahs_length
        length = len(self.data) if self.data_segment_length is None else self.data_segment_length
        bhs[4] = ahs_words
        bhs[5:8] = length.to_bytes(3, "big")
        return bytes(bhs) + ahs

    def encode(self, header_digest=False, data_digest=False):
        header = self.header()
        data = padded(self.data)
        parts = [header]
        if header_digest:
            parts.append(crc32c.digest(header))
        parts.append(data)
        if data_digest and data:
            parts.append(crc32c.digest(data))
        return b"".join(parts)

    def keys(self):
        return decode_keys(self.data)

    def __repr__(self):
        shown = []
        for name in sorted(set(dir(type(self))) - set(dir(Pdu))):
            descriptor = type(self).__dict__.get(name)
            if isinstance(descriptor, (Number, Bits, Text)):
                value = getattr(self, name)
                shown.append(f"{name}={value.hex() if isinstance(value, bytes) else value}")
        return (f"<{type(self).__name__} flags={self.flags:#04x} itt={self.initiator_task_tag:#x} "
                f"{' '.join(shown)} data={len(self.data)}>")


class NopOut(Pdu):
    opcode, flags_default = 0x00, 0x80
    target_transfer_tag = Number(20, 4)
    cmd_sn = Number(24, 4)
    exp_stat_sn = Number(28, 4)


class ScsiCommand(Pdu):
    opcode, flags_default = 0x01, 0x80
    read = Bits(1, 6)
    write = Bits(1, 5)
    attribute = Bits(1, 0, 3)
    priority = Bits(2, 4, 4)  # RFC 7144
    expected_data_transfer_length = Number(20, 4)
    cmd_sn = Number(24, 4)
    exp_stat_sn = Number(28, 4)
    cdb = Text(32, 16)


class TaskManagementRequest(Pdu):
    opcode, flags_default = 0x02, 0x80
    function = Bits(1, 0, 7)
    referenced_task_tag = Number(20, 4)
    cmd_sn = Number(24, 4)
    exp_stat_sn = Number(28, 4)
    ref_cmd_sn = Number(32, 4)
    exp_data_sn = Number(36, 4)


class LoginRequest(Pdu):
    opcode, flags_default = 0x03, 0x00
    transit = Bits(1, 7)
    continued = Bits(1, 6)
    csg = Bits(1, 2, 2)
    nsg = Bits(1, 0, 2)
    version_max = Number(2, 1)
    version_min = Number(3, 1)
    isid = Text(8, 6)
    tsih = Number(14, 2)
    cid = Number(20, 2)
    cmd_sn = Number(24, 4)
    exp_stat_sn = Number(28, 4)


class TextRequest(Pdu):
    opcode, flags_default = 0x04, 0x80
    continued = Bits(1, 6)
    target_transfer_tag = Number(20, 4)
    cmd_sn = Number(24, 4)
    exp_stat_sn = Number(28, 4)


class DataOut(Pdu):
    opcode, flags_default = 0x05, 0x00
    target_transfer_tag = Number(20, 4)
    exp_stat_sn = Number(28, 4)
    data_sn = Number(36, 4)
    buffer_offset = Number(40, 4)


class LogoutRequest(Pdu):
    opcode, flags_default = 0x06, 0x80
    reason = Bits(1, 0, 7)
    cid = Number(20, 2)
    cmd_sn = Number(24, 4)
    exp_stat_sn = Number(28, 4)


class SnackRequest(Pdu):
    opcode, flags_default = 0x10, 0x80
    kind = Bits(1, 0, 4)
    target_transfer_tag = Number(20, 4)
    exp_stat_sn = Number(28, 4)
    begin_run = Number(40, 4)
    run_length = Number(44, 4)


class FromTarget(Pdu):
    """What all PDUs of a target share."""

    stat_sn = Number(24, 4)
    exp_cmd_sn = Number(28, 4)
    max_cmd_sn = Number(32, 4)


class NopIn(FromTarget):
    opcode, flags_default = 0x20, 0x80
    target_transfer_tag = Number(20, 4)


class ScsiResponse(FromTarget):
    opcode, flags_default = 0x21, 0x80
    bidirectional_overflow = Bits(1, 4)
    bidirectional_underflow = Bits(1, 3)
    overflow = Bits(1, 2)
    underflow = Bits(1, 1)
    response = Number(2, 1)
    status = Number(3, 1)
    status_qualifier = Number(8, 2)  # RFC 7144
    snack_tag = Number(20, 4)
    exp_data_sn = Number(36, 4)
    bidirectional_residual_count = Number(40, 4)
    residual_count = Number(44, 4)

    def sense(self):
        if len(self.data) < 2:
            return b""
        return self.data[2:2 + int.from_bytes(self.data[:2], "big")]


class TaskManagementResponse(FromTarget):
    opcode, flags_default = 0x22, 0x80
    response = Number(2, 1)
    additional_information = Text(8, 3)  # RFC 7144


class LoginResponse(FromTarget):
    opcode, flags_default = 0x23, 0x00
    transit = Bits(1, 7)
    continued = Bits(1, 6)
    csg = Bits(1, 2, 2)
    nsg = Bits(1, 0, 2)
    version_max = Number(2, 1)
    version_active = Number(3, 1)
    isid = Text(8, 6)
    tsih = Number(14, 2)
    status = Number(36, 2)  # class and detail together: 0x0201


class TextResponse(FromTarget):
    opcode, flags_default = 0x24, 0x80
    continued = Bits(1, 6)
    target_transfer_tag = Number(20, 4)


class DataIn(FromTarget):
    opcode, flags_default = 0x25, 0x00
    acknowledge = Bits(1, 6)
    overflow = Bits(1, 2)
    underflow = Bits(1, 1)
    has_status = Bits(1, 0)
    status = Number(3, 1)
    target_transfer_tag = Number(20, 4)
    data_sn = Number(36, 4)
    buffer_offset = Number(40, 4)
    residual_count = Number(44, 4)


class LogoutResponse(FromTarget):
    opcode, flags_default = 0x26, 0x80
    response = Number(2, 1)
    time2wait = Number(40, 2)
    time2retain = Number(42, 2)


class R2T(FromTarget):
    opcode, flags_default = 0x31, 0x80
    target_transfer_tag = Number(20, 4)
    r2t_sn = Number(36, 4)
    buffer_offset = Number(40, 4)
    desired_data_transfer_length = Number(44, 4)


class AsyncMessage(FromTarget):
    opcode, flags_default = 0x32, 0x80
    event = Number(36, 1)
    vendor_code = Number(37, 1)
    parameter1 = Number(38, 2)
    parameter2 = Number(40, 2)
    parameter3 = Number(42, 2)


class Reject(FromTarget):
    opcode, flags_default = 0x3F, 0x80
    reason = Number(2, 1)
    data_sn = Number(36, 4)


REQUESTS = (NopOut, ScsiCommand, TaskManagementRequest, LoginRequest, TextRequest, DataOut, LogoutRequest, SnackRequest)
RESPONSES = (NopIn, ScsiResponse, TaskManagementResponse, LoginResponse, TextResponse, DataIn, LogoutResponse, R2T,
             AsyncMessage, Reject)
_BY_OPCODE = {kind.opcode: kind for kind in REQUESTS + RESPONSES}


def decode_header(header):
    """A PDU from its 48 header bytes, still without AHS and data, and the two lengths in bytes."""
    kind = _BY_OPCODE.get(header[0] & 0x3F, Pdu)
    pdu = kind()
    pdu.bhs[:] = header
    return pdu, header[4] * 4, int.from_bytes(header[5:8], "big")


def decode(raw):
    """The inverse of encode() without digests."""
    pdu, ahs_length, data_length = decode_header(raw[:BHS_BYTES])
    data_start = BHS_BYTES + ahs_length
    pdu.ahs = raw[BHS_BYTES:data_start]
    pdu.data = raw[data_start:data_start + data_length]
    return pdu


def encode_keys(keys):
    """A dict, or an iterable of pairs (to repeat a key), to `key=value` NUL ..."""
    pairs = keys.items() if isinstance(keys, dict) else keys
    return b"".join(f"{key}={value}".encode() + b"\0" for key, value in pairs)


def decode_keys(data):
    pairs = {}
    for item in bytes(data).split(b"\0"):
        if item:
            key, _, value = item.decode().partition("=")
            pairs[key] = value
    return pairs


def extended_cdb_ahs(rest_of_cdb):
    """RFC 7143 11.2.2.3: what of a CDB does not fit the header's 16 bytes."""
    return padded((len(rest_of_cdb) + 1).to_bytes(2, "big") + b"\x01\0" + rest_of_cdb)


def bidirectional_read_ahs(length):
    """RFC 7143 11.2.2.4."""
    return b"\x00\x05\x02\x00" + length.to_bytes(4, "big")


def unknown_ahs(kind=0x3E, length=9):
    return padded(length.to_bytes(2, "big") + bytes([kind, 0]) + bytes(range(length - 1)))
