# SPDX-License-Identifier: Apache-2.0
"""EXTENDED COPY reads and writes as the initiator that asked for it: what it may not read or write itself, it cannot have
copied; and VPD page 8Fh says what the copy manager does."""

import os
import struct

import pytest
from lib import daemon, scsi
from lib.initiator import Session

BLOCK, BLOCKS = 512, 16
SOURCE, DESTINATION = 0, 1
NAMES = {who: f"iqn.2026-11.org.example:{who}" for who in ("owner", "masked", "reader", "other")}
COPY_ABORTED = 0x0A
REGISTER_IGNORE, RESERVE, CLEAR = 6, 1, 3
WRITE_EXCLUSIVE, EXCLUSIVE_ACCESS = 1, 3


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy")
    rules = [{"name": NAMES["masked"], "luns": [SOURCE]}, {"name": NAMES["reader"], "read_only": True},
             {"name": NAMES["owner"]}, {"name": NAMES["other"]}]
    images = [folder / name for name in ("source.img", "destination.img")]
    for image in images:
        image.touch()
        os.truncate(image, 1 << 20)
    without = daemon.target({"path": "null:1M", "features": {"extended_copy": False}}, name=daemon.TARGET + "-without")
    with daemon.serve_targets(folder, daemon.target(*images, access="list", initiators=rules), without) as one:
        yield one


@pytest.fixture
def login(running):
    sessions = []

    def log_in(who):
        session = Session(running.address, daemon.TARGET, initiator=NAMES[who])
        sessions.append(session)
        for lun in (SOURCE, DESTINATION):
            if (who, lun) != ("masked", DESTINATION):
                session.settle(lun)
        return session

    yield log_in
    for session in sessions:
        session.close()


@pytest.fixture
def owner(login):
    """May do everything; source and destination differ."""
    session = login("owner")
    session.write(0, b"\x5a" * BLOCK * BLOCKS, lun=SOURCE)
    session.write(0, b"\xa5" * BLOCK * BLOCKS, lun=DESTINATION)
    return session


def target_descriptor(session, lun):
    """SPC-4 6.4.5.2, with the NAA designator of page 83h."""
    page = session.inquiry(0x83, lun=lun)
    at = 4
    while page[at + 1] & 0x3F != 0x03:
        at += 4 + page[at + 3]
    return (bytes([0xE4, 0, 0, 0]) + page[at:at + 4 + page[at + 3]]).ljust(28, b"\0") + bytes([0]) + \
        BLOCK.to_bytes(3, "big")


def copy(session, targets, source=0, destination=1, blocks=BLOCKS, lun=SOURCE):
    """One segment from block 0 to block 0; `targets` are descriptors."""
    segment = struct.pack(">BBHHHxxHQQ", 0x02, 0, 0x18, source, destination, blocks, 0, 0)
    data = struct.pack(">BBHLLL", 1, 0, 32 * len(targets), 0, len(segment), 0) + b"".join(targets) + segment
    return session.execute(struct.pack(">BB8xLBB", 0x83, 0, len(data), 0, 0), data, lun=lun)


def targets_of(session):
    return [target_descriptor(session, lun) for lun in (SOURCE, DESTINATION)]


def is_copied(owner):
    return owner.read(0, BLOCKS, lun=DESTINATION) == owner.read(0, BLOCKS, lun=SOURCE)


def reserve(session, lun, kind):
    for action, key, new_key, scope in ((REGISTER_IGNORE, 0, 9, 0), (RESERVE, 9, 0, kind)):
        data = struct.pack(">QQ8x", key, new_key)
        session.execute(struct.pack(">BBB2xLB", 0x5F, action, scope, len(data), 0), data, lun=lun).expect_good()


def clear(session, lun):
    session.execute(scsi.persistent_reserve_out(CLEAR, 24), struct.pack(">QQ8x", 9, 0), lun=lun).expect_good()


def test_what_an_initiator_may_read_and_write_it_may_copy(owner):
    copy(owner, targets_of(owner)).expect_good()
    assert is_copied(owner)


def test_a_lun_that_is_masked_is_not_reachable(owner, login):
    masked = login("masked")
    targets = targets_of(owner)
    copy(masked, targets).expect_sense(COPY_ABORTED, 0x0D, 0x02)
    copy(masked, targets, source=1, destination=0).expect_sense(COPY_ABORTED, 0x0D, 0x02)
    assert not is_copied(owner) and owner.read(0, 1, lun=SOURCE) == b"\x5a" * BLOCK


def test_a_rule_that_only_lets_read_lets_not_copy_there(owner, login):
    reader = login("reader")
    copy(reader, targets_of(reader)).expect_sense(COPY_ABORTED)
    assert not is_copied(owner)


@pytest.mark.parametrize("lun, kind, refused", [
    (SOURCE, EXCLUSIVE_ACCESS, True), (SOURCE, WRITE_EXCLUSIVE, False), (DESTINATION, EXCLUSIVE_ACCESS, True),
    (DESTINATION, WRITE_EXCLUSIVE, True)])
def test_reservations_of_others_hold_for_either_side(owner, login, lun, kind, refused):
    """The copy is sent to the unit that nobody has reserved."""
    other = login("other")
    reserve(other, lun, kind)
    targets = targets_of(owner)
    task = copy(owner, targets, lun=1 - lun)
    if refused:
        task.expect_sense(COPY_ABORTED)
    else:
        task.expect_good()
    clear(other, lun)
    assert is_copied(owner) != refused
    if refused:
        copy(owner, targets).expect_good()
        assert is_copied(owner)


def test_the_holder_of_the_reservations_may_copy(owner):
    for lun in (SOURCE, DESTINATION):
        reserve(owner, lun, EXCLUSIVE_ACCESS)
    copy(owner, targets_of(owner)).expect_good()
    for lun in (SOURCE, DESTINATION):
        clear(owner, lun)
    assert is_copied(owner)


def test_a_part_of_a_copy_that_cannot_be_is_none(owner):
    """The range is checked before anything of the segment is copied."""
    copy(owner, targets_of(owner), blocks=2049).expect_sense(COPY_ABORTED)
    assert not is_copied(owner)


# ---- VPD page 8Fh ----

def third_party_descriptors(session):
    page = session.inquiry(0x8F)
    found, at = {}, 4
    while at < len(page):
        length = int.from_bytes(page[at + 2:at + 4], "big")
        found[int.from_bytes(page[at:at + 2], "big")] = page[at + 4:at + 4 + length]
        at += 4 + length
    assert at == len(page)
    return found


def test_page_8f_says_what_the_copy_manager_does(owner):
    described = third_party_descriptors(owner)
    commands, listed = described[0x0001], set()
    at = 1
    while at < 1 + commands[0]:
        listed |= {(commands[at], action) for action in commands[at + 2:at + 2 + commands[at + 1]]}
        at += 2 + commands[at + 1]
    assert listed == {(0x83, 0x00), (0x84, 0x00), (0x84, 0x03)}
    for code, action in listed:
        task = owner.execute(scsi.report_supported_operation_codes(code, action), read_length=255).expect_good()
        assert task.data_in[1] & 7 == 3, "and they are supported"
    parameters = owner.execute(struct.pack(">BB8xLBB", 0x84, 3, 256, 0, 0), read_length=256).expect_good().data_in
    assert described[0x0004][4:12] == parameters[8:16], "targets, segments and bytes of a list at most"
    assert set(described[0x0008][1:1 + described[0x0008][0]]) == set(parameters[44:44 + parameters[43]])


def test_the_limits_of_page_8f_are_those_that_are_enforced(owner):
    most_targets = int.from_bytes(third_party_descriptors(owner)[0x0004][4:6], "big")
    target = target_descriptor(owner, SOURCE)
    targets = [target] * (most_targets - 1) + [target_descriptor(owner, DESTINATION)]
    copy(owner, targets, destination=most_targets - 1).expect_good()
    copy(owner, [target] + targets, destination=1).expect_sense(scsi.ILLEGAL_REQUEST, 0x26, 0x06)
    assert is_copied(owner)


def test_without_the_feature_there_is_neither_page_nor_command(running):
    with Session(running.address, daemon.TARGET + "-without") as session:
        session.settle()
        assert 0x8F not in session.inquiry(0x00)[4:]
        for code in (0x83, 0x84):
            session.execute(bytes([code]) + bytes(15)).expect_sense(scsi.ILLEGAL_REQUEST, 0x20, 0)
