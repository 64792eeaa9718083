# SPDX-License-Identifier: Apache-2.0
"""WRITE ATOMIC(16): there where the store has an atomic write unit, as VPD page B0h says, and no command elsewhere."""

import os

import pytest
from lib import daemon, outside, scsi
from lib.initiator import Session

BLOCK, UNIT_BLOCKS = 512, 128
ATOMIC, PLAIN = 0, 1


@pytest.fixture(scope="module")
def disk(tmp_path_factory, rig_plugins):
    """A session to a unit with an atomic write unit and one without, settled, and the rig's controls."""
    folder = tmp_path_factory.mktemp("atomic")
    luns = [{"path": "rig:4194304", "options": {"atomic_write": f"{UNIT_BLOCKS * BLOCK}",
                                                "control": str(folder / "rig.sock")}}, "null:4M"]
    with daemon.serve_targets(folder, daemon.target(*luns), plugin_folders=[rig_plugins]) as running:
        with outside.RigControl(folder / "rig.sock") as rig, Session(running.address, daemon.TARGET) as session:
            session.settle(ATOMIC)
            session.settle(PLAIN)
            session.rig = rig
            yield session


def atomic_limits(session, lun):
    """Maximum length, alignment, granularity, maximum length with boundary, maximum boundary."""
    page = session.inquiry(0xB0, lun=lun)
    return [int.from_bytes(page[at:at + 4], "big") for at in range(44, 64, 4)]


def is_reported(session, lun):
    task = session.execute(scsi.report_supported_operation_codes(0x9C), read_length=255, lun=lun)
    return task.expect_good().data_in[1] & 7 == 3


def test_page_b0_and_the_reported_codes_say_where_it_is(disk):
    assert atomic_limits(disk, ATOMIC) == [UNIT_BLOCKS, UNIT_BLOCKS, UNIT_BLOCKS, 0, 0] and is_reported(disk, ATOMIC)
    assert atomic_limits(disk, PLAIN) == [0, 0, 0, 0, 0] and not is_reported(disk, PLAIN)


def test_elsewhere_it_is_no_command(disk):
    task = disk.execute(scsi.write_atomic16(0, 8), bytes(8 * BLOCK), lun=PLAIN)
    task.expect_sense(scsi.ILLEGAL_REQUEST, 0x20, 0)


@pytest.mark.parametrize("lba", [0, 3 * UNIT_BLOCKS, 8192 - UNIT_BLOCKS])
def test_it_is_one_write_of_the_store(disk, lba):
    data = os.urandom(UNIT_BLOCKS * BLOCK)
    before = disk.rig.status()["writes"]
    disk.execute(scsi.write_atomic16(lba, UNIT_BLOCKS, scsi.FUA), data, immediate_bytes=4096).expect_good()
    assert disk.rig.status()["writes"] == before + 1
    assert disk.read(lba, UNIT_BLOCKS) == data


def test_nothing_to_write_is_good(disk):
    before = disk.rig.status()["writes"]
    disk.execute(scsi.write_atomic16(0, 0)).expect_good()
    assert disk.rig.status()["writes"] == before


@pytest.mark.parametrize("lba, blocks, byte", [
    (0, UNIT_BLOCKS + 1, 12), (0, 2 * UNIT_BLOCKS, 12), (0, UNIT_BLOCKS - 1, 12), (UNIT_BLOCKS, 1, 12), (1, UNIT_BLOCKS, 2),
    (UNIT_BLOCKS - 1, UNIT_BLOCKS, 2)])
def test_beyond_its_limits_it_writes_nothing(disk, lba, blocks, byte):
    old = os.urandom(2 * UNIT_BLOCKS * BLOCK)
    disk.write(0, old)
    task = disk.execute(scsi.write_atomic16(lba, blocks), bytes(blocks * BLOCK))
    task.expect_sense(scsi.ILLEGAL_REQUEST, 0x24, 0)
    assert int.from_bytes(task.sense.data[16:18], "big") == byte, "the field pointer"
    assert disk.read(0, 2 * UNIT_BLOCKS) == old


def test_it_takes_all_of_its_data_or_none(disk):
    old = os.urandom(UNIT_BLOCKS * BLOCK)
    disk.write(0, old)
    task = disk.execute(scsi.write_atomic16(0, UNIT_BLOCKS), bytes(4 * BLOCK))
    task.expect_sense(scsi.ILLEGAL_REQUEST, 0x24, 0)
    assert disk.read(0, UNIT_BLOCKS) == old


def test_a_failure_of_the_store_is_told(disk):
    old = os.urandom(UNIT_BLOCKS * BLOCK)
    disk.write(0, old)
    disk.rig.order("fail write EIO 1")
    task = disk.execute(scsi.write_atomic16(0, UNIT_BLOCKS), bytes(UNIT_BLOCKS * BLOCK))
    task.expect_sense(scsi.MEDIUM_ERROR, 0x0C, 0)
    assert disk.read(0, UNIT_BLOCKS) == old
