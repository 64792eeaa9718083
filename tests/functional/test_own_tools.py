# SPDX-License-Identifier: Apache-2.0
"""The tests' own codec and writer are right: otherwise nothing that they say counts."""

import pytest
from lib import crc32c, libconfig, pdu, scsi
from lib.daemon import SANITIZER_REPORT


@pytest.mark.parametrize("data, on_the_wire", [  # RFC 7143 appendix A.4
    (bytes(32), "aa36918a"),
    (b"\xff" * 32, "43aba862"),
    (bytes(range(32)), "4e79dd46"),
    (bytes(range(31, -1, -1)), "5cdb3f11"),
])
def test_digests_are_those_of_the_rfc(data, on_the_wire):
    assert crc32c.digest(data).hex() == on_the_wire


@pytest.mark.parametrize("kind", pdu.REQUESTS + pdu.RESPONSES, ids=lambda kind: kind.__name__)
def test_every_pdu_survives_encoding_and_decoding(kind):
    fields = {name: 1 for name, value in vars(kind).items() if isinstance(value, (pdu.Number, pdu.Bits))}
    sent = kind(data=b"seven b", ahs=b"ahs1ahs2", initiator_task_tag=0x01020304, **fields)
    received = pdu.decode(sent.encode())
    assert type(received) is kind
    assert (received.data, received.ahs) == (sent.data, sent.ahs)
    assert {name: getattr(received, name) for name in fields} == fields
    assert received.initiator_task_tag == 0x01020304


def test_a_pdu_is_padded_and_carries_its_digests():
    raw = pdu.NopOut(data=b"12345").encode(header_digest=True, data_digest=True)
    assert len(raw) == 48 + 4 + 8 + 4
    assert raw[48:52] == crc32c.digest(raw[:48])
    assert raw[52:60] == b"12345\0\0\0"
    assert raw[60:] == crc32c.digest(raw[52:60])


def test_a_pdu_can_lie_about_its_lengths():
    raw = pdu.NopOut(data=b"1234", data_segment_length=1000, total_ahs_length=3).encode()
    assert raw[4:8] == b"\x03\x00\x03\xe8" and len(raw) == 52


def test_an_unknown_field_of_a_pdu_is_an_error():
    with pytest.raises(AttributeError):
        pdu.NopOut(transit=1)


def test_luns_are_peripheral_below_256_and_flat_above():
    assert pdu.encode_lun(255).hex() == "00ff000000000000"
    assert pdu.encode_lun(256).hex() == "4100000000000000"
    assert scsi.decode_luns(bytes(3) + b"\x10" + bytes(4) + pdu.encode_lun(255) + pdu.encode_lun(300)) == [255, 300]


def test_sense_is_read_in_both_formats():
    fixed = bytes.fromhex("f0 00 03 00001234 0a 00000000 11 00 00 000000")
    descriptor = bytes.fromhex("72 03 11 00 000000 0c 00 0a 80 00 0000000000001234")
    for data in (fixed, descriptor):
        sense = scsi.Sense(data)
        assert sense.triple == (scsi.MEDIUM_ERROR, 0x11, 0) and sense.information == 0x1234


def test_the_configuration_writer_knows_libconfigs_types():
    text = libconfig.dumps({"a": 1, "b": 1 << 40, "c": True, "d": ("x",), "e": [{"f": 'say "hi"\\'}], "g": {}})
    assert text == ('a = 1;\nb = 1099511627776L;\nc = true;\nd = [ "x" ];\n'
                    'e = ( {\n\tf = "say \\"hi\\"\\\\";\n} );\ng = {\n};\n')


@pytest.mark.parametrize("line", [
    "==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x1",
    "==1==ERROR: LeakSanitizer: detected memory leaks",
    "x.c:3:2: runtime error: signed integer overflow",
    "WARNING: ThreadSanitizer: data race (pid=1)",
])
def test_reports_of_sanitizers_are_recognised(line):
    assert SANITIZER_REPORT.search(line)
