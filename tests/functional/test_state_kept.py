# SPDX-License-Identifier: Apache-2.0
"""What the API made is there after a restart of any kind; what the file says is followed by a reload."""

import contextlib
import http.client
import json
import pathlib
import random
import signal
import threading

import pytest
from lib import api, daemon, ports
from lib.initiator import LoginError, Session

NAME = "iqn.2026-11.org.example:made"
KEPT = NAME + "-kept"
THINGS = [NAME + "0", NAME + "1", "rule iqn.*:a", "rule iqn.*:b", "user a", "user b", "asker a"]
KILLS = 16


class Setup:
    def __init__(self, folder, image):
        self.folder = folder
        self.port = ports.free_port()
        self.targets = [daemon.target(image)]
        self.write()

    def write(self, **settings):
        self.path = daemon.write_configuration(
            self.folder, daemon.configuration(self.folder, self.targets, [("127.0.0.1", self.port)], **settings))

    def daemon(self):
        return daemon.Daemon(["-f", "-c", self.path], [("127.0.0.1", self.port)])

    @property
    def api(self):
        return api.Api(self.folder / "api.sock")

    def names(self):
        return sorted(one["name"] for one in self.api.get("/v1/targets")["targets"])


@pytest.fixture
def setup(tmp_path, make_image):
    return Setup(tmp_path, make_image("file.img", 8 << 20))


def test_what_was_made_is_there_after_a_restart(setup):
    lun = {"path": f"file:{setup.folder}/made.img", "size": "4M", "create": True}
    with setup.daemon():
        setup.api.post("/v1/targets", {"name": NAME, "alias": "mine"})
        first = setup.api.post(api.target_path(NAME) + "/luns", lun)
        setup.api.patch(api.lun_path(NAME, 0), {"size": "6M"})
        setup.api.patch(api.lun_path(NAME, 0), {"online": False})
    with setup.daemon():
        target = setup.api.get(api.target_path(NAME))
        assert (target["alias"], target["origin"]) == ("mine", "api")
        (second,) = target["luns"]
        assert (second["size"], second["state"], second["serial"]) == (6 << 20, "offline", first["serial"])
        setup.api.delete(api.target_path(NAME))
    with setup.daemon():
        assert setup.names() == [daemon.TARGET]


def test_a_store_that_has_gone_is_not_made_again(setup):
    """An empty disk in place of a lost one would be worse than none."""
    with setup.daemon():
        setup.api.post("/v1/targets", {"name": NAME, "luns": [
            {"lun": 0, "path": f"file:{setup.folder}/made.img", "size": "4M", "create": True}]})
    (setup.folder / "made.img").unlink()
    with pytest.raises(AssertionError, match="made.img"):
        setup.daemon().start()
    assert not (setup.folder / "made.img").exists()


def things(client):
    """All that the API has made: targets, and of one of them its rules and its users, and users of discovery."""
    kept = api.target_path(KEPT)
    return frozenset({one["name"] for one in client.get("/v1/targets")["targets"]} - {daemon.TARGET, KEPT}
                     | {"rule " + one["name"] for one in client.get(kept + "/initiators")["initiators"]}
                     | {"user " + one["user"] for one in client.get(kept + "/users")["users"]}
                     | {"asker " + one["user"] for one in client.get("/v1/discovery/users")["users"]})


def make(client, thing, number):
    kind, _, name = thing.rpartition(" ")
    if kind == "rule":
        client.post(api.target_path(KEPT) + "/initiators", {"name": name, "read_only": bool(number % 2)})
    elif kind:
        owner = api.target_path(KEPT) if kind == "user" else "/v1/discovery"
        client.post(owner + "/users", {"user": name, "secret": f"the secret with the number {number}"})
    else:
        client.post("/v1/targets", {"name": name, "luns": [{"lun": 0, "path": f"null:{number % 3 + 1}M"}]})


def delete(client, thing):
    kind, _, name = thing.rpartition(" ")
    client.delete({"rule": f"{api.target_path(KEPT)}/initiators?name={name}",
                   "user": f"{api.target_path(KEPT)}/users?user={name}",
                   "asker": f"/v1/discovery/users?user={name}"}.get(kind, api.target_path(name)))


def change_at_random(client, acknowledged, pending, stop):
    """Makes and deletes one thing after another; notes what was asked for before, and what was acknowledged."""
    number = 0
    try:
        while not stop.is_set():
            number += 1
            thing = random.choice(THINGS)
            deletes = thing in acknowledged[-1]
            wanted = acknowledged[-1] ^ {thing}
            pending.append(wanted)
            if deletes:
                delete(client, thing)
            else:
                make(client, thing, number)
            acknowledged.append(wanted)
    except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:  # the daemon has been killed
        if not stop.is_set():
            raise error


def test_killed_at_any_moment_the_state_is_acknowledged_or_asked_for(setup):
    """kill -9 in a loop during changes: what is there is what was acknowledged last, or what was asked for next; and
    no secret is left of a user that is not."""
    with setup.daemon():
        setup.api.post("/v1/targets", {"name": KEPT, "access": "list", "auth": "chap"})
    allowed = (frozenset(),)
    for _ in range(KILLS):
        with setup.daemon() as running:
            there = things(setup.api)
            assert there in allowed
            secrets = len(list((setup.folder / "state").glob("secrets/*")))
            assert secrets == sum(thing.startswith(("user ", "asker ")) for thing in there)
            acknowledged, pending, stop = [there], [], threading.Event()
            client = threading.Thread(target=change_at_random, args=(setup.api, acknowledged, pending, stop))
            client.start()
            stop.wait(random.uniform(0.05, 0.5))
            stop.set()
            running.signal(signal.SIGKILL)
            running.expected_status = -signal.SIGKILL
            running.wait()
            client.join()
        allowed = (acknowledged[-1], pending[-1] if pending else acknowledged[-1])


def test_a_full_disk_under_the_state_refuses_a_change_and_rolls_it_back(setup):
    state = setup.folder / "state"
    state.mkdir()
    wrapper = ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs -o size=64k none {state} && exec \"$@\"", "sh"]
    with daemon.Daemon(["-f", "-c", setup.path], [("127.0.0.1", setup.port)], wrapper=wrapper) as running:
        setup.api.post("/v1/targets", {"name": NAME})
        filler = pathlib.Path("/proc", str(running.pid), "root", *state.parts[1:], "filler")
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
        message = setup.api.call("POST", "/v1/targets", {"name": NAME + "2", "alias": "a" * 200}, 500)[1]["error"]["message"]
        assert "No space left on device" in message and "state" in message
        assert setup.names() == sorted([daemon.TARGET, NAME])
        with pytest.raises(LoginError):
            Session(running.address, NAME + "2").login()
        filler.unlink()
        setup.api.post("/v1/targets", {"name": NAME + "2"})


def test_a_reload_follows_the_file_and_touches_nothing_else(setup, make_image):
    with setup.daemon() as running, Session(running.address, daemon.TARGET) as session:
        session.settle()
        setup.targets.append(daemon.target(make_image("second.img", 4 << 20), name=NAME + "2"))
        setup.write()
        results = setup.api.post("/v1/config?reload", want=200)["results"]
        assert {"object": f"target {NAME}2", "result": "added"} in results
        assert len(results) == 2
        assert setup.names() == [daemon.TARGET, NAME + "2"]
        assert session.settle() == []
        setup.targets.pop()
        setup.write()
        running.signal(signal.SIGHUP)
        running.wait_for_log(f"target {NAME}2: removed")
        running.wait_for_log("reload: done")
        assert setup.names() == [daemon.TARGET]
        assert session.settle() == []


def test_a_bad_file_changes_nothing(setup):
    with setup.daemon() as running:
        before = setup.api.get("/v1/config")
        setup.targets.append(daemon.target("nothing:x", name=NAME))
        setup.write()
        message = setup.api.call("POST", "/v1/config?reload", want=422)[1]["error"]["message"]
        assert "tgtkit.conf:" in message and "nothing" in message
        running.signal(signal.SIGHUP)
        running.wait_for_log("reload: nothing has changed")
        assert setup.api.get("/v1/config") == before


def test_a_name_that_the_api_made_stays_the_apis(setup):
    with setup.daemon():
        setup.api.post("/v1/targets", {"name": NAME, "alias": "by the API"})
        setup.targets.append(daemon.target(name=NAME, alias="by the file"))
        setup.write()
        (warning,) = setup.api.post("/v1/config?reload", want=200)["warnings"]
        assert NAME in warning and "tgtkit target delete" in warning
        assert setup.api.get(api.target_path(NAME))["alias"] == "by the API"


def test_a_key_that_needs_a_restart_is_reported(setup):
    with setup.daemon():
        setup.write(max_connections=77)
        (warning,) = setup.api.post("/v1/config?reload", want=200)["warnings"]
        assert "max_connections" in warning
        assert setup.api.get("/v1/config")["daemon"]["max_connections"] == 10000
    with setup.daemon():
        assert setup.api.get("/v1/config")["daemon"]["max_connections"] == 77


def test_a_damaged_state_is_named(setup):
    with setup.daemon():
        setup.api.post("/v1/targets", {"name": NAME})
    (setup.folder / "state" / "state.conf").write_text("targets = (")
    with pytest.raises(AssertionError, match="state.conf.*(restore|remove)"):
        setup.daemon().start()


def test_the_log_level_is_raised_by_a_signal(setup):
    with setup.daemon() as running:
        running.signal(signal.SIGUSR1)
        running.wait_for_log("the log level is debug now")
        running.signal(signal.SIGUSR1)
        running.wait_for_log("the log level is info now")


