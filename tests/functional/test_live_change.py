# SPDX-License-Identifier: Apache-2.0
"""Changes while initiators are logged in and others do I/O: nobody but who it concerns notices."""

import pytest
from lib import api, daemon, healthy, pdu, scsi
from lib.initiator import LoginError, Session

MADE = "iqn.2026-11.org.example:made"
CAPACITY_CHANGED = (0x2A, 0x09)
LUNS_CHANGED = (0x3F, 0x0E)


@pytest.fixture
def running(tmp_path, make_image):
    with daemon.serve_targets(tmp_path, daemon.target(make_image("busy.img", 8 << 20)),
                              daemon.target(make_image("file.img", 8 << 20), name=daemon.TARGET + "2")) as one:
        one.folder = tmp_path
        one.api = api.Api(tmp_path / "api.sock")
        yield one


@pytest.fixture(autouse=True)
def others_notice_nothing(running):
    with healthy.HealthySession(running.address, daemon.TARGET) as one:
        yield one


def make(running, **lun):
    running.api.post("/v1/targets", {"name": MADE})
    return running.api.post(api.target_path(MADE) + "/luns",
                            {"path": f"file:{running.folder}/made.img", "size": "4M", "create": True, **lun})


def test_a_new_target_can_be_discovered_and_logged_into_at_once(running):
    make(running)
    with Session(running.address) as discovery:
        assert MADE in dict(discovery.send_targets())
    with Session(running.address, MADE) as session:
        session.settle()
        session.write(0, b"x" * 512)
        assert session.read(0, 1) == b"x" * 512


def test_growth_is_seen_by_the_initiator(running):
    make(running)
    with Session(running.address, MADE) as session:
        session.settle()
        running.api.patch(api.lun_path(MADE, 0), {"size": "6M"})
        assert CAPACITY_CHANGED in session.settle()
        assert session.execute(scsi.read_capacity16(), read_length=32).data_in[:8] == \
            ((6 << 20) // 512 - 1).to_bytes(8, "big")
        session.write((5 << 20) // 512, b"y" * 512)


def test_the_lun_of_the_file_grows_too(running):
    running.api.patch(api.lun_path(daemon.TARGET + "2", 0), {"size": "16M"})
    assert running.api.get(api.lun_path(daemon.TARGET + "2", 0))["size"] == 16 << 20


def test_shrinking_needs_an_offline_lun(running):
    make(running)
    path = api.lun_path(MADE, 0)
    running.api.call("PATCH", path, {"size": "2M"}, 422)
    running.api.call("PATCH", path, {"size": "2M", "shrink": True}, 409)
    running.api.patch(path, {"online": False})
    running.api.patch(path, {"size": "2M", "shrink": True})
    running.api.patch(path, {"online": True})
    with Session(running.address, MADE) as session:
        session.settle()
        session.execute(scsi.read16((3 << 20) // 512, 1), read_length=512).expect_sense(5, 0x21, 0)


@pytest.mark.parametrize("name", [MADE, daemon.TARGET + "2"])
def test_offline_and_online(running, name):
    make(running)
    with Session(running.address, name) as session:
        session.settle()
        running.api.patch(api.lun_path(name, 0), {"online": False})
        session.execute(scsi.read16(0, 1), read_length=512).expect_sense(2)
        running.api.patch(api.lun_path(name, 0), {"online": True})
        session.read(0, 1)


def test_read_only_reaches_the_session(running):
    make(running)
    with Session(running.address, MADE) as session:
        session.settle()
        running.api.patch(api.lun_path(MADE, 0), {"read_only": True})
        assert LUNS_CHANGED in session.settle()
        session.execute(scsi.write16(0, 1), data_out=bytes(512)).expect_sense(7, 0x27)


def test_new_and_deleted_luns_are_told(running):
    make(running)
    with Session(running.address, MADE) as session:
        session.settle()
        running.api.post(api.target_path(MADE) + "/luns", {"lun": 9, "path": "null:1G"})
        assert LUNS_CHANGED in session.settle()
        assert session.report_luns() == [0, 9]
        session.settle(9)
        running.api.call("DELETE", api.lun_path(MADE, 9), want=409)
        running.api.delete(api.lun_path(MADE, 9) + "?force=true")
        assert LUNS_CHANGED in session.settle()
        assert session.report_luns() == [0]
        session.execute(scsi.read16(0, 1), read_length=512, lun=9).expect_sense(5, 0x25, 0)


def test_a_target_in_use_is_deleted_by_force_only(running):
    make(running)
    with Session(running.address, MADE) as session:
        session.settle()
        session.write(0, b"z" * 512)
        running.api.call("DELETE", api.target_path(MADE), want=409)
        session.read(0, 1)
        assert running.api.delete(api.target_path(MADE) + "?force=true") == {"deleted": True, "still_closing": False}
        assert session.receive(pdu.AsyncMessage).event == 3
    running.wait_for_log("made.img: closed")
    with pytest.raises(LoginError):
        Session(running.address, MADE).login()
    # The file is free again, and what was written is there.
    running.api.post("/v1/targets", {"name": MADE, "luns": [{"lun": 0, "path": f"{running.folder}/made.img"}]})
    with Session(running.address, MADE) as session:
        session.settle()
        assert session.read(0, 1) == b"z" * 512


def test_a_dropped_session_is_told_why(running):
    make(running)
    with Session(running.address, MADE) as session:
        session.settle()
        (number,) = [one["id"] for one in running.api.get("/v1/sessions")["sessions"] if one["target"] == MADE]
        running.api.delete(f"/v1/sessions/{number}")
        assert session.receive(pdu.AsyncMessage).event == 2


def test_a_change_that_fails_is_undone(running):
    before = running.api.get("/v1/targets")
    running.api.call("POST", "/v1/targets", {"name": MADE, "luns": [
        {"lun": 0, "path": f"file:{running.folder}/good.img", "size": "1M", "create": True},
        {"lun": 1, "path": f"file:{running.folder}/absent.img"}]}, 422)
    after = running.api.get("/v1/targets")
    assert [one["name"] for one in after["targets"]] == [one["name"] for one in before["targets"]]
    # Nothing holds the store that was opened.
    running.api.post("/v1/targets", {"name": MADE, "luns": [{"lun": 0, "path": f"file:{running.folder}/good.img"}]})
