# SPDX-License-Identifier: Apache-2.0
"""retry_open_s: a store that cannot be opened is waited for; its LUN is not ready, everything else serves."""

import contextlib
import os
import re
import shutil
import signal
import socket

import pytest
from lib import api, daemon, nbd, scsi, tools
from lib.initiator import Session

MIB = 1 << 20
NOT_READY, UNIT_ATTENTION = 0x2, 0x6
POWER_ON, LUNS_CHANGED = (0x29, 0x00), (0x3F, 0x0E)


class Setup:
    """A daemon whose LUN 0 is there, and whose LUN 1 may be not."""

    def __init__(self, folder, make_image, lun, **settings):
        self.folder = folder
        luns = [str(make_image("there.img", MIB)), *([lun] if lun else [])]
        self.settings = {"retry_open_s": 1, "shutdown_timeout_s": 2, **settings}
        self.running = daemon.serve_targets(folder, daemon.target(*luns), **self.settings)
        self.api = api.Api(folder / "api.sock")
        self.command = api.Command(folder / "api.sock")

    def lun(self, number=1, target=daemon.TARGET):
        return self.api.get(api.lun_path(target, number))

    @contextlib.contextmanager
    def session(self):
        with Session(self.running.address, daemon.TARGET) as session:
            session.settle()
            yield session
            session.logout()

    def wait_until_there(self):
        self.running.wait_for_log("its store is open now")


def check_waiting(setup, session, words):
    """Initiators and administrators see a LUN that is there, and not ready."""
    assert 1 in session.report_luns()
    for cdb, length in ((scsi.test_unit_ready(), 0), (scsi.read16(0, 8), 4096), (scsi.read_capacity16(), 32)):
        session.execute(cdb, lun=1, read_length=length).expect_sense(NOT_READY, 0x04, 0x0C)
    assert session.execute(scsi.inquiry(36), lun=1, read_length=36).expect_good().data_in[0] == 0x3F
    assert session.read(0, 8) == bytes(4096), "the other LUN"
    view = setup.lun()
    assert (view["state"], view["online"], view["size"]) == ("waiting", False, 0)
    assert re.search(words, view["error"])
    assert "waiting" in setup.command.run("lun", "list")
    status, _, metrics = setup.api.raw("GET", "/metrics")
    assert status == 200 and re.search(r"^tgtkit_unit_waiting\{.*\} 1$", metrics.decode(), re.MULTILINE)
    health = setup.api.get("/healthz")
    assert health["status"] == "degraded" and health["units"][0]["state"] == "waiting"
    setup.api.get("/v1/stats")


def check_there(setup, session, content):
    attentions = session.settle() + session.settle(lun=1)
    assert LUNS_CHANGED in attentions, "of the LUN that was there before"
    assert POWER_ON in attentions, "of the new unit"
    assert session.read(0, 8, lun=1) == content[:4096]
    session.write(8, b"\x42" * 512, lun=1)
    view = setup.lun()
    assert (view["state"], view["online"], view["size"]) == ("online", True, len(content))
    assert "error" not in view and view["serial"]
    assert setup.api.get("/healthz")["status"] == "ok"


def test_an_absent_file_that_appears_comes_online_by_itself(tmp_path, make_image):
    absent = tmp_path / "absent.img"
    setup = Setup(tmp_path, make_image, str(absent))
    with setup.running, setup.session() as session:
        check_waiting(setup, session, r"absent\.img.*does not exist")
        session.execute(scsi.request_sense(18), lun=1, read_length=18).expect_good()
        content = os.urandom(MIB)
        (tmp_path / "ready").write_bytes(content)
        (tmp_path / "ready").rename(absent)
        setup.wait_until_there()
        check_there(setup, session, content)


def test_an_nbd_server_that_comes_later_is_served(tmp_path, make_image, random_image):
    if not shutil.which("nbdkit"):
        tools.missing("nbdkit")
    daemon.need_plugin("remote")
    image = random_image("disk.img", MIB)
    server = nbd.Server(tmp_path, "file", image)
    setup = Setup(tmp_path, make_image, f"remote:{server.uri}")
    with contextlib.ExitStack() as stack:
        stack.callback(server.kill)
        with setup.running, setup.session() as session:
            content = image.read_bytes()
            check_waiting(setup, session, r"remote:.*nbd")
            server.start()
            setup.wait_until_there()
            check_there(setup, session, content)
            setup.api.patch(api.lun_path(daemon.TARGET, 1), {"online": False})
            assert setup.lun()["state"] == "offline"


def test_without_the_key_the_start_fails(tmp_path, make_image):
    setup = Setup(tmp_path, make_image, str(tmp_path / "absent.img"), retry_open_s=0)
    with pytest.raises(AssertionError, match=r"absent\.img"):
        setup.running.start()


def test_online_tries_at_once_and_a_reload_may_describe_it_anew(tmp_path, make_image):
    absent = tmp_path / "absent.img"
    setup = Setup(tmp_path, make_image, str(absent), retry_open_s=3600)
    with setup.running, setup.session() as session:
        make_image("absent.img", MIB)
        setup.command.run("lun", "online", daemon.TARGET, "1")
        setup.wait_until_there()
        check_there(setup, session, bytes(MIB))
        path = tmp_path / "tgtkit.conf"
        # A LUN more whose store is not there fails no reload.
        other = tmp_path / "other.img"
        text = path.read_text()
        path.write_text(text.replace(str(absent), str(other)))
        answer = setup.api.post("/v1/config?reload", want=200)
        (entry,) = [one for one in answer["results"] if one["result"] == "waiting"]
        assert answer["failed"] == 0 and "other.img" in entry["message"]
        assert setup.lun()["state"] == "waiting"
        session.settle()
        session.execute(scsi.test_unit_ready(), lun=1).expect_sense(NOT_READY, 0x04, 0x0C)
        # Mended by another reload, with other attributes: nothing has to be closed, and it is tried at once.
        make_image("other.img", 2 * MIB)
        path.write_text(text.replace(f'"{absent}"', f'"{other}"; serial = "mended"'))
        assert setup.api.post("/v1/config?reload", want=200)["failed"] == 0
        setup.running.wait_for_log(r"other\.img: its store is open now")
        session.settle()
        session.settle(lun=1)
        assert (setup.lun()["serial"], setup.lun()["size"]) == ("mended", 2 * MIB)
        assert session.read(0, 8, lun=1) == bytes(4096)


def test_the_api_changes_and_deletes_what_waits(tmp_path, make_image):
    """Kept by the API; its store has gone before the next start, at which it is no reason to fail."""
    made = "iqn.2026-11.org.example:made"
    image = make_image("made.img", MIB)
    setup = Setup(tmp_path, make_image, None, retry_open_s=3600)
    with setup.running:
        setup.api.post("/v1/targets", {"name": made, "luns": [{"lun": 0, "path": str(image)},
                                                              {"lun": 1, "path": "null:1M"}]})
        setup.api.call("POST", api.target_path(made) + "/luns", {"path": str(tmp_path / "never.img")}, want=422)
    image.unlink()
    setup = Setup(tmp_path, make_image, None, retry_open_s=3600)
    with setup.running:
        assert setup.lun(0, made)["state"] == "waiting"
        # Edits of other objects, and of the LUN itself.
        setup.api.post(api.target_path(made) + "/luns", {"path": "null:2M", "lun": 2})
        setup.api.patch(api.lun_path(made, 0), {"read_only": True})
        view = setup.lun(0, made)
        assert (view["state"], view["read_only"]) == ("waiting", True)
        setup.api.call("PATCH", api.lun_path(made, 0), {"size": "2M"}, want=409)
        setup.api.patch(api.lun_path(made, 0), {"online": False})
        assert setup.lun(0, made)["state"] == "waiting"
        make_image("made.img", MIB)
        setup.api.patch(api.lun_path(made, 0), {"online": True})
        setup.wait_until_there()
        assert setup.lun(0, made)["state"] == "online" and setup.lun(0, made)["read_only"]
    image.unlink()
    setup = Setup(tmp_path, make_image, None, retry_open_s=3600)
    with setup.running:
        assert setup.lun(0, made)["state"] == "waiting"
        setup.api.delete(api.lun_path(made, 0))
        assert [one["lun"] for one in setup.api.get(api.target_path(made))["luns"]] == [1, 2]
        assert setup.api.get("/healthz")["status"] == "ok"


def test_the_daemon_ends_while_an_opening_hangs(tmp_path, make_image):
    """A server that takes connections and says nothing; nothing is lost with a store that was never open."""
    daemon.need_plugin("remote")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen(64)
        setup = Setup(tmp_path, make_image, f"remote:nbd+unix:///?socket={tmp_path}/silent.sock", open_timeout_s=1)
        setup.running.start()
        with setup.session() as session:
            session.execute(scsi.test_unit_ready(), lun=1).expect_sense(NOT_READY, 0x04, 0x0C)
            session.write(0, b"x" * 512)
        setup.running.signal(signal.SIGTERM)
        assert setup.running.wait(30) == 0
        setup.running.assert_clean()
