# SPDX-License-Identifier: Apache-2.0
"""As many LUNs in one target as flat space addressing has room for, and REPORT LUNS in answers of any length."""

import pytest
from lib import daemon, scsi
from lib.initiator import Session

pytestmark = pytest.mark.plain

LUNS = [0, *range(2, 16384)]  # 16,383 of them; LUN 1 is free
BLOCK = 512
TARGET_WARM_RESET = 6


def size_of(lun):
    """So that each is a unit of its own, and tells which."""
    return (16384 + lun) * BLOCK


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wide")
    target = {"name": daemon.TARGET, "luns": [{"lun": lun, "path": f"null:{size_of(lun)}"} for lun in LUNS]}
    with daemon.serve_targets(folder, target) as one:
        yield one


@pytest.fixture
def session(running):
    with Session(running.address, daemon.TARGET) as one:
        yield one


def report(session, length, select=0):
    return bytes(session.execute(scsi.report_luns(length, select), read_length=length or 0).expect_good().data_in)


def test_every_lun_is_reported_in_its_format(session):
    data = report(session, 8 + 8 * 16384)
    assert int.from_bytes(data[:4], "big") == 8 * len(LUNS) and len(data) == 8 + 8 * len(LUNS)
    assert scsi.decode_luns(data) == LUNS
    for at, lun in enumerate(LUNS):
        entry = data[8 + 8 * at:16 + 8 * at]
        method = 0 if lun < 256 else 1  # peripheral, flat space
        assert entry == (method << 14 | lun).to_bytes(2, "big") + bytes(6)
    assert report(session, 1 << 20, select=2)[8:] == data[8:] + b"\xc1\x01" + bytes(6)


def test_an_answer_is_cut_anywhere_and_says_the_whole_length(session):
    whole = report(session, 8 + 8 * len(LUNS))
    for length in (*range(34), 4095, 4096, 4097, 65535, 65536, len(whole) - 1, len(whole), len(whole) + 1):
        assert report(session, length) == whole[:length]


def test_luns_at_the_edges_are_units_of_their_own(session):
    for lun in (0, 2, 255, 256, 257, 8191, 8192, 16382, 16383):
        assert session.settle(lun) == [(0x29, 0x00)]
        assert session.read_capacity(lun) == (size_of(lun) // BLOCK, BLOCK)
    peripheral, flat = bytes([0, 7]) + bytes(6), bytes([0x40, 7]) + bytes(6)
    for field in (peripheral, flat):
        session.settle(field)
        assert session.read_capacity(field) == (size_of(7) // BLOCK, BLOCK)
    session.execute(scsi.test_unit_ready(), lun=1).expect_sense(scsi.ILLEGAL_REQUEST, 0x25, 0)


def test_a_reset_of_the_target_reaches_all_of_them(session):
    for lun in (0, 300, 16383):
        session.settle(lun)
    assert session.task_management(TARGET_WARM_RESET) == 0
    for lun in (0, 300, 16383):
        assert session.settle(lun) == [(0x29, 0x03)]


def test_every_unit_can_be_used(running, session):
    """One command to each: what a session keeps of them stays bounded."""
    for lun in LUNS:
        session.execute(scsi.test_unit_ready(), lun=lun).expect_sense(scsi.UNIT_ATTENTION, 0x29)
    before = running.resident_bytes()
    for _ in range(3):
        with Session(running.address, daemon.TARGET) as other:
            for lun in LUNS[::64]:
                other.execute(scsi.inquiry(), read_length=255, lun=lun).expect_good()
    assert running.resident_bytes() - before < 16 << 20
