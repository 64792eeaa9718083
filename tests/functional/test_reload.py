# SPDX-License-Identifier: Apache-2.0
"""A reload applies the difference object by object, tells what became of each, and touches nothing else."""

import socket

import pytest
from lib import api, daemon, healthy, outside, ports, scsi
from lib.initiator import Session

MIB = 1 << 20
CHANGED = "iqn.2026-11.org.example:changed"


class Setup:
    """Target TARGET is never changed and under I/O all the time; CHANGED is."""

    def __init__(self, folder, make_image):
        self.folder = folder
        self.ports = [ports.free_port() for _ in range(3)]
        self.image = make_image("changed.img", 8 * MIB)
        self.groups = [{"tag": 1, "portals": [self.listen(0)]}]
        self.lun = {"lun": 0, "path": str(self.image)}
        self.other = daemon.target(make_image("busy.img", 8 * MIB))
        self.changed = {"name": CHANGED, "luns": [self.lun]}
        self.write()

    def listen(self, number):
        return f"127.0.0.1:{self.ports[number]}"

    def write(self):
        settings = daemon.configuration(self.folder, [self.other, self.changed])
        settings["portal_groups"] = self.groups
        self.path = daemon.write_configuration(self.folder, settings)

    def daemon(self, **options):
        return daemon.Daemon(["-f", "-c", self.path], [("127.0.0.1", self.ports[0])], **options)

    @property
    def api(self):
        return api.Api(self.folder / "api.sock")

    def reload(self):
        self.write()
        return self.api.post("/v1/config?reload", want=200)

    def lun_view(self, lun=0):
        return self.api.get(api.lun_path(CHANGED, lun))


@pytest.fixture
def setup(tmp_path, make_image):
    return Setup(tmp_path, make_image)


@pytest.fixture
def running(setup):
    with setup.daemon() as one, healthy.HealthySession(one.address, daemon.TARGET):
        yield one


def changed(how, *keys, what="LUN 0"):
    return {"object": f"target {CHANGED}, {what}", "result": "changed", "how": how, "keys": list(keys)}


@pytest.mark.parametrize("key, value, how", [
    ("write_cache", False, "recreate"), ("product", "ANOTHER", "recreate"), ("options", {"max_parallel": 3}, "reopen"),
    ("features", {"unmap": False}, "recreate"), ("block_size", 4096, "recreate"),
])
def test_a_changed_attribute_is_followed_and_the_session_stays(setup, running, key, value, how):
    with Session(running.address, CHANGED) as session:
        session.settle()
        session.write(0, b"d" * 4096)
        setup.lun[key] = value
        answer = setup.reload()
        assert (answer["results"], answer["failed"]) == ([changed(how, key)], 0)
        running.wait_for_log("changed.img: closed")
        session.settle()
        blocks = 1 if key == "block_size" else 8
        assert session.execute(scsi.read16(0, blocks), read_length=4096).data_in == b"d" * 4096
        if key == "product":
            assert b"ANOTHER" in session.execute(scsi.inquiry(96), read_length=96).data_in
    assert setup.reload()["results"] == []


def test_read_only_and_back(setup, running):
    with Session(running.address, CHANGED) as session:
        session.settle()
        for read_only in (True, False):
            setup.lun["read_only"] = read_only
            assert setup.reload()["results"] == [changed("reopen", "read_only")]
            session.settle()
            task = session.execute(scsi.write16(0, 1), data_out=bytes(512))
            assert (task.status != scsi.GOOD) == read_only


def test_what_changes_live_is_told_so(setup, running):
    setup.changed["alias"] = "new"
    setup.lun["online"] = False
    assert setup.reload()["results"] == [
        {"object": f"target {CHANGED}", "result": "changed", "how": "live", "keys": ["alias"]}, changed("live", "online")]
    assert setup.lun_view()["state"] == "offline"


def test_a_lun_that_cannot_be_opened_fails_alone(setup, running):
    setup.changed["luns"].append({"lun": 1, "path": str(setup.folder / "absent.img")})
    setup.changed["luns"].append({"lun": 2, "path": "null:1M"})
    answer = setup.reload()
    added, failed = answer["results"]
    assert added == {"object": f"target {CHANGED}, LUN 2", "result": "added"}
    assert (failed["object"], failed["result"], answer["failed"]) == (f"target {CHANGED}, LUN 1", "failed", 1)
    assert "absent.img" in failed["message"]
    assert [lun["lun"] for lun in setup.api.get(api.target_path(CHANGED))["luns"]] == [0, 2]
    _, _, shown = setup.api.raw("GET", "/v1/config?format=libconfig")
    assert b"absent.img" not in shown and b"null:1M" in shown
    assert "absent.img" in api.Command(setup.folder / "api.sock").run("config", "reload", status=1)
    # Mended, the same file brings it.
    (setup.folder / "absent.img").write_bytes(bytes(MIB))
    assert setup.reload()["results"] == [{"object": f"target {CHANGED}, LUN 1", "result": "added"}]


def test_a_lun_that_goes_to_a_store_that_is_not_there_is_told_and_no_other_stands_in_for_it(setup, running):
    setup.lun["path"] = str(setup.folder / "absent.img")
    (failed,) = setup.reload()["results"]
    assert failed["result"] == "failed"
    assert setup.api.get(api.target_path(CHANGED))["luns"] == []
    setup.lun["path"] = str(setup.image)
    assert setup.reload()["results"] == [{"object": f"target {CHANGED}, LUN 0", "result": "added"}]


def test_a_lun_that_cannot_be_reopened_stays_what_it_was(setup, tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    outside.Development(tmp_path / "development").build_plugins(folder)
    setup.lun.update(path="rig:4194304", options={"backing": str(tmp_path / "backing")})
    setup.write()
    with setup.daemon(plugin_folders=[folder]) as running, healthy.HealthySession(running.address, daemon.TARGET):
        with Session(running.address, CHANGED) as session:
            session.settle()
            session.write(0, b"d" * 512)
            setup.changed["alias"] = "applied all the same"
            setup.lun["options"]["control"] = "/nowhere/at/all"
            answer = setup.reload()
            assert [one["result"] for one in answer["results"]] == ["changed", "failed"]
            assert "stays what it was" in answer["results"][1]["message"]
            session.settle()
            assert session.read(0, 1) == b"d" * 512
        assert "nowhere" not in str(setup.api.get("/v1/config")["targets"])
        assert setup.reload()["failed"] == 1, "the next reload tries again"
        del setup.lun["options"]["control"]
        assert setup.reload()["results"] == []


def test_a_portal_that_cannot_be_opened_fails_alone(setup, running):
    with socket.create_server(("127.0.0.1", setup.ports[1])):
        setup.groups.append({"tag": 2, "portals": [setup.listen(1), setup.listen(2)]})
        setup.changed["portal_groups"] = [2]
        answer = setup.reload()
    (failed,) = [one for one in answer["results"] if one["result"] == "failed"]
    assert failed["object"] == f"portal group 2, portal {setup.listen(1)}"
    with Session(("127.0.0.1", setup.ports[2]), CHANGED) as session:
        session.settle()


def test_a_portal_moves_to_another_group(setup, running):
    setup.groups[0]["portals"].append(setup.listen(1))
    setup.reload()
    setup.groups[0]["portals"].pop()
    setup.groups.append({"tag": 2, "portals": [setup.listen(1)]})
    setup.changed["portal_groups"] = [2]
    assert setup.reload()["failed"] == 0
    with Session(("127.0.0.1", setup.ports[1]), CHANGED) as session:
        session.settle()


def test_the_api_makes_a_read_only_lun_writable(setup, running):
    made = CHANGED + "2"
    setup.api.post("/v1/targets", {"name": made, "luns": [
        {"lun": 0, "path": f"{setup.folder}/made.img", "size": "1M", "create": True}]})
    setup.api.patch(api.lun_path(made, 0), {"read_only": True})
    setup.api.delete(api.target_path(made))
    setup.api.post("/v1/targets", {"name": made, "luns": [
        {"lun": 0, "path": f"{setup.folder}/made.img", "read_only": True}]})
    with Session(running.address, made) as session:
        session.settle()
        session.execute(scsi.write16(0, 1), data_out=bytes(512)).expect_sense(7, 0x27)
        assert setup.api.patch(api.lun_path(made, 0), {"read_only": False})["read_only"] is False
        session.settle()
        session.write(0, b"w" * 512)
