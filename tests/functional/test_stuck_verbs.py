# SPDX-License-Identifier: Apache-2.0
"""A backend that hangs when it is opened, resized or closed holds up neither the API nor other LUNs, nor the end."""

import os
import threading

import pytest
from lib import api, daemon, healthy, outside
from lib.initiator import Session

OTHER = "iqn.2026-11.org.example:other"
MADE = "iqn.2026-11.org.example:made"


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside") / "plugins"
    folder.mkdir(mode=0o755)
    return outside.Development(tmp_path_factory.mktemp("development")).build_plugins(folder)


@pytest.fixture
def running(tmp_path, plugins, make_image):
    with daemon.serve_targets(tmp_path, daemon.target(make_image("busy.img", 8 << 20)),
                              daemon.target(make_image("other.img", 8 << 20), name=OTHER), plugin_folders=[plugins],
                              open_timeout_s=2, shutdown_timeout_s=3) as one:
        one.api = api.Api(tmp_path / "api.sock", timeout=60)
        with healthy.HealthySession(one.address, daemon.TARGET):
            yield one


class Gate:
    """A FIFO that a verb of the rig waits at."""

    def __init__(self, folder, verb):
        self.path = folder / f"{verb}.gate"
        os.mkfifo(self.path)
        self.option = {f"{verb}_gate": str(self.path)}

    def open(self):
        """Waits until the verb stands there, and lets it through."""
        os.close(os.open(self.path, os.O_WRONLY))


@pytest.fixture
def make_gate(tmp_path):
    return lambda verb: Gate(tmp_path, verb)


def make(running, gate, want=201):
    if want == 201:
        running.api.post("/v1/targets", {"name": MADE})
    return running.api.call("POST", api.target_path(MADE) + "/luns",
                            {"lun": 0, "path": "rig:4194304", "options": gate.option}, want)


def check_that_others_go_on(running):
    """Looking and changing; and the healthy session reads and writes all the time."""
    assert running.api.get("/healthz")["status"] == "ok"
    running.api.get("/v1/stats")
    running.api.patch(api.lun_path(OTHER, 0), {"size": "16M"})
    with Session(running.address, OTHER) as session:
        session.settle()
        session.read(0, 8)


def test_a_hanging_open(running, make_gate):
    gate = make_gate("open")
    running.api.post("/v1/targets", {"name": MADE})
    answers = []
    client = threading.Thread(target=lambda: answers.append(make(running, gate, want=500)))
    client.start()
    check_that_others_go_on(running)
    client.join()
    assert "has not opened within" in answers[0][1]["error"]["message"]
    running.api.post("/v1/targets", {"name": MADE + "2", "luns": [{"lun": 0, "path": "null:1M"}]})
    gate.open()
    running.wait_for_log("rig:4194304: closed")


def test_a_hanging_resize(running, make_gate):
    gate = make_gate("resize")
    make(running, gate)
    answers = []
    client = threading.Thread(target=lambda: answers.append(
        running.api.call("PATCH", api.lun_path(MADE, 0), {"size": "8M"}, 200)))
    client.start()
    check_that_others_go_on(running)
    gate.open()
    client.join()
    assert answers[0][1]["size"] == 8 << 20


def test_a_hanging_close(running, make_gate):
    gate = make_gate("close")
    make(running, gate)
    assert running.api.delete(api.target_path(MADE) + "?force=true")["still_closing"] is True
    check_that_others_go_on(running)
    gate.open()
    running.wait_for_log("rig:4194304: closed")


def test_a_hanging_resize_does_not_keep_the_daemon_from_its_end(tmp_path, plugins, make_gate):
    gate = make_gate("resize")
    lun = {"path": "rig:4194304", "options": gate.option}
    with daemon.serve_targets(tmp_path, daemon.target(lun), plugin_folders=[plugins], shutdown_timeout_s=1) as running:
        client = api.Api(tmp_path / "api.sock", timeout=60)
        refused = threading.Semaphore(0)

        def resize():
            if client.call("PATCH", api.lun_path(daemon.TARGET, 0), {"size": "8M"})[0] == 409:
                refused.release()

        both = [threading.Thread(target=resize) for _ in range(2)]
        for one in both:
            one.start()
        assert refused.acquire(timeout=30), "one of the two hangs, so the other is refused"
        running.expected_status = 3
        running.signal()
        assert running.wait() == 3
        for one in both:
            one.join()
