# SPDX-License-Identifier: Apache-2.0
"""Persistent reservations over the sudden end of the daemon: with APTPL they are in force again, without they are gone."""

import signal
import struct

import pytest
from lib import daemon, ports, scsi
from lib.initiator import Session

REGISTER, RESERVE, RELEASE, CLEAR = 0, 1, 2, 3
READ_KEYS, READ_RESERVATION, CAPABILITIES, READ_FULL_STATUS = 0, 1, 2, 3
WRITE_EXCLUSIVE, EXCLUSIVE_ACCESS_REGISTRANTS = 1, 6
HOLDER, MEMBER = "iqn.2026-11.org.example:holder", "iqn.2026-11.org.example:member"
ISIDS = {HOLDER: b"\x40\x00\x00\x00\x00\x11", MEMBER: b"\x40\x00\x00\x00\x00\x22"}


def reserve_out(session, action, key, new_key=0, kind=0, persist=False):
    data = struct.pack(">QQ4xB3x", key, new_key, int(persist))
    return session.execute(struct.pack(">BBB2xLB", 0x5F, action, kind, len(data), 0), data)


def reserve_in(session, action):
    task = session.execute(struct.pack(">BB5xHB", 0x5E, action, 4096, 0), read_length=4096)
    return bytes(task.expect_good().data_in)


def port_of(name):
    return {"initiator": name, "isid": ISIDS[name]}


def may_write(session):
    task = session.execute(scsi.write10(0, 1), bytes(512))
    assert task.status in (scsi.GOOD, scsi.RESERVATION_CONFLICT)
    return task.good


class Disk:
    """One disk of one file, served again and again by the same configuration."""

    def __init__(self, folder, image, **settings):
        self.folder = folder
        self.port = ports.free_port()
        self.path = daemon.write_configuration(folder, daemon.configuration(
            folder, [daemon.target(image)], [("127.0.0.1", self.port)], **settings))

    def serve(self):
        return daemon.Daemon(["-f", "-c", self.path], [("127.0.0.1", self.port)])

    def kill(self, running):
        running.signal(signal.SIGKILL)
        running.expected_status = -signal.SIGKILL
        running.wait()

    def session(self, running, name):
        one = Session(running.address, daemon.TARGET, **port_of(name))
        one.settle()
        return one

    def kept(self):
        return list((self.folder / "state").glob("reservations.*"))


@pytest.fixture
def disk(tmp_path, make_image):
    return Disk(tmp_path, make_image("disk.img", 1 << 20))


def test_what_persists_is_in_force_after_the_daemon_was_killed(disk):
    with disk.serve() as running, disk.session(running, HOLDER) as holder, disk.session(running, MEMBER) as member:
        assert reserve_in(holder, CAPABILITIES)[2] & 0x01, "PTPL_C"
        reserve_out(holder, REGISTER, 0, 0x1111, persist=True).expect_good()
        reserve_out(member, REGISTER, 0, 0x2222, persist=True).expect_good()
        reserve_out(holder, RESERVE, 0x1111, kind=EXCLUSIVE_ACCESS_REGISTRANTS).expect_good()
        status, keys = reserve_in(holder, READ_FULL_STATUS), reserve_in(holder, READ_KEYS)
        assert status[:4] == keys[:4] == b"\0\0\0\x02", "the generation"
        disk.kill(running)
    with disk.serve() as running, disk.session(running, HOLDER) as holder, disk.session(running, MEMBER) as member, \
            Session(running.address, daemon.TARGET) as stranger:
        stranger.settle()
        assert reserve_in(stranger, READ_FULL_STATUS) == bytes(4) + status[4:]
        assert reserve_in(stranger, READ_KEYS) == bytes(4) + keys[4:], "the generation begins anew, SPC-4 6.15.2"
        assert reserve_in(stranger, CAPABILITIES)[3] & 0x01, "PTPL_A"
        assert stranger.execute(scsi.read10(0, 1), read_length=512).status == scsi.RESERVATION_CONFLICT
        assert may_write(holder) and may_write(member) and not may_write(stranger)
        reserve_out(holder, RELEASE, 0x1111, kind=EXCLUSIVE_ACCESS_REGISTRANTS).expect_good()
        stranger.settle()
        assert may_write(stranger)
        disk.kill(running)
    with disk.serve() as running, disk.session(running, HOLDER) as holder:
        assert reserve_in(holder, READ_RESERVATION)[4:8] == bytes(4), "the release persists, too"
        assert len(reserve_in(holder, READ_KEYS)) == 8 + 2 * 8


def test_what_does_not_persist_is_gone_after_the_daemon_was_killed(disk):
    with disk.serve() as running, disk.session(running, HOLDER) as holder:
        reserve_out(holder, REGISTER, 0, 0x1111).expect_good()
        reserve_out(holder, RESERVE, 0x1111, kind=WRITE_EXCLUSIVE).expect_good()
        disk.kill(running)
    assert disk.kept() == []
    with disk.serve() as running, Session(running.address, daemon.TARGET) as stranger:
        stranger.settle()
        assert reserve_in(stranger, READ_KEYS) == bytes(8)
        assert may_write(stranger)


def test_what_no_longer_persists_does_not_come_back(disk):
    """The last REGISTER decides for all (SPC-4 5.12.5); after CLEAR there is nothing to be brought back."""
    for end, kept in ((lambda one: reserve_out(one, REGISTER, 0x1111, 0x3333, persist=False), 0),
                      (lambda one: reserve_out(one, CLEAR, 0x1111), 1)):
        with disk.serve() as running, disk.session(running, HOLDER) as holder:
            reserve_out(holder, REGISTER, 0, 0x1111, persist=True).expect_good()
            assert len(disk.kept()) == 1
            end(holder).expect_good()
            assert len(disk.kept()) == kept
            disk.kill(running)
        with disk.serve() as running, disk.session(running, HOLDER) as holder:
            assert reserve_in(holder, READ_KEYS)[8:] == b""


def test_a_reservation_that_cannot_be_kept_is_refused(disk):
    """The state folder's file cannot be replaced, as a folder has its temporary name."""
    with disk.serve() as running, disk.session(running, HOLDER) as holder:
        reserve_out(holder, REGISTER, 0, 0x1111, persist=True).expect_good()
        (kept,) = disk.kept()
        blocker = kept.with_name(kept.name + ".new")
        blocker.mkdir()
        reserve_out(holder, RESERVE, 0x1111, kind=WRITE_EXCLUSIVE).expect_sense(scsi.HARDWARE_ERROR, 0x44, 0)
        running.wait_for_log(f"{kept.name} cannot be written")
        assert reserve_in(holder, READ_RESERVATION)[4:8] == bytes(4)
        blocker.rmdir()
        reserve_out(holder, RESERVE, 0x1111, kind=WRITE_EXCLUSIVE).expect_good()


def test_damaged_reservations_are_named_and_nothing_starts(disk):
    with disk.serve() as running, disk.session(running, HOLDER) as holder:
        reserve_out(holder, REGISTER, 0, 0x1111, persist=True).expect_good()
    (kept,) = disk.kept()
    kept.write_text(kept.read_text().replace("end\n", ""))
    with pytest.raises(AssertionError, match=rf"{kept.name} are damaged: restore the file"):
        disk.serve().start()


def test_without_a_state_folder_persistence_is_not_offered(tmp_path, make_image):
    with daemon.serve_paths(tmp_path, make_image("disk.img", 1 << 20), settings={"daemon.state_dir": ""}) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            assert not reserve_in(session, CAPABILITIES)[2] & 0x01, "PTPL_C"
            reserve_out(session, REGISTER, 0, 0x1111, persist=True).expect_sense(scsi.ILLEGAL_REQUEST, 0x26, 0)
            assert reserve_in(session, READ_KEYS) == bytes(8)
