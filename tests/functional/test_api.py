# SPDX-License-Identifier: Apache-2.0
"""The API against its description: every path and status of api/openapi.yaml, and bad input of every kind."""

import json
import pathlib
import re
import shutil
import socket
import threading

import pytest
import yaml
from lib import api, daemon, ports
from lib.initiator import Session

SOURCE = pathlib.Path(__file__).resolve().parents[2]
DESCRIPTION = yaml.safe_load((SOURCE / "api" / "openapi.yaml").read_text())
MADE = "iqn.2026-11.org.example:made"
OTHER = "iqn.2026-11.org.example:other"
TYPES = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}


def check_schema(value, schema, where="answer"):
    """Types, required keys and enumerations, as far as the description uses them."""
    if "$ref" in schema:
        schema = DESCRIPTION["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if "type" in schema:
        assert isinstance(value, TYPES[schema["type"]]), (where, value)
    if "enum" in schema:
        assert value in schema["enum"], (where, value)
    for key in schema.get("required", ()):
        assert key in value, (where, key, value)
    for key, inner in schema.get("properties", {}).items():
        if key in value:
            check_schema(value[key], inner, f"{where}.{key}")
    if isinstance(value, list):
        for number, item in enumerate(value):
            check_schema(item, schema.get("items", {}), f"{where}[{number}]")


class Walker:
    """Calls, checks the answer against the description, and notes what has been seen."""

    def __init__(self, client):
        self.client = client
        self.seen = set()

    def __call__(self, status, method, template, body=None, query="", **names):
        path = template
        for key, value in names.items():
            path = path.replace("{" + key + "}", str(value))
        described = DESCRIPTION["paths"][template][method.lower()]["responses"]
        assert str(status) in described, (template, method, status)
        data = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        got, content_type, text = self.client.raw(method, path + query, data)
        assert got == status, (method, path, got, text)
        self.seen.add((template, method.lower(), str(status)))
        if content_type.startswith("text/plain"):
            return text.decode()
        answer = json.loads(text)
        response = described[str(status)]
        if "$ref" in response:
            response = DESCRIPTION["components"]["responses"]["Error"]
        check_schema(answer, response["content"]["application/json"]["schema"])
        return answer


@pytest.fixture
def running(tmp_path, make_image):
    image = make_image("file.img", 8 << 20)
    with daemon.serve_targets(tmp_path, daemon.target(image)) as one:
        one.folder = tmp_path
        one.api = api.Api(tmp_path / "api.sock")
        yield one


def walk_reads(walk):
    walk(200, "GET", "/healthz")
    walk(200, "GET", "/v1/version")
    walk(200, "GET", "/v1/stats")
    assert "tgtkit_build_info" in walk(200, "GET", "/metrics")
    walk(200, "GET", "/v1/targets")
    walk(200, "GET", "/v1/targets/{iqn}", iqn=daemon.TARGET)
    walk(404, "GET", "/v1/targets/{iqn}", iqn=MADE)
    walk(200, "GET", "/v1/targets/{iqn}/luns", iqn=daemon.TARGET)
    walk(404, "GET", "/v1/targets/{iqn}/luns", iqn=MADE)
    walk(200, "GET", "/v1/targets/{iqn}/luns/{lun}", iqn=daemon.TARGET, lun=0)
    walk(404, "GET", "/v1/targets/{iqn}/luns/{lun}", iqn=daemon.TARGET, lun=99999)
    walk(200, "GET", "/v1/portal-groups")
    walk(200, "GET", "/v1/portal-groups/{tag}", tag=1)
    walk(404, "GET", "/v1/portal-groups/{tag}", tag=2)
    walk(200, "GET", "/v1/plugins")
    walk(200, "GET", "/v1/plugins/{name}", name="file")
    walk(404, "GET", "/v1/plugins/{name}", name="nothing")
    walk(200, "GET", "/v1/config")
    assert "targets" in walk(200, "GET", "/v1/config", query="?format=libconfig")
    walk(400, "GET", "/v1/config", query="?format=xml")


def walk_targets(walk, folder):
    targets, one = "/v1/targets", "/v1/targets/{iqn}"
    assert walk(201, "POST", targets, {"name": MADE})["origin"] == "api"
    walk(400, "POST", targets, "{")
    walk(409, "POST", targets, {"name": MADE.upper()})
    walk(413, "POST", targets, b" " * ((1 << 20) + 1))
    assert "name" in walk(422, "POST", targets, {"name": "no name"})["error"]["message"]
    walk(400, "DELETE", one, query="?force=perhaps", iqn=MADE)
    walk(404, "DELETE", one, iqn=OTHER)
    assert "tgtkit.conf:" in walk(409, "DELETE", one, iqn=daemon.TARGET)["error"]["message"]
    luns, lun = "/v1/targets/{iqn}/luns", "/v1/targets/{iqn}/luns/{lun}"
    store = {"path": f"file:{folder}/made.img", "size": "4M", "create": True}
    assert walk(201, "POST", luns, store, iqn=MADE)["size"] == 4 << 20
    walk(400, "POST", luns, "nonsense", iqn=MADE)
    walk(404, "POST", luns, store, iqn=OTHER)
    walk(409, "POST", luns, {"lun": 0, "path": "null:1M"}, iqn=MADE)
    walk(413, "POST", luns, b"x" * ((1 << 20) + 1), iqn=MADE)
    walk(422, "POST", luns, {"path": "file:/nowhere/at/all"}, iqn=MADE)
    assert walk(200, "PATCH", lun, {"size": 8 << 20}, iqn=MADE, lun=0)["size"] == 8 << 20
    walk(400, "PATCH", lun, "[]", iqn=MADE, lun=0)
    walk(404, "PATCH", lun, {"size": "8M"}, iqn=MADE, lun=1)
    walk(409, "PATCH", lun, {"size": "4M", "shrink": True}, iqn=MADE, lun=0)
    walk(422, "PATCH", lun, {"size": "4M"}, iqn=MADE, lun=0)
    walk(400, "DELETE", lun, query="?force=2", iqn=MADE, lun=0)
    walk(404, "DELETE", lun, iqn=MADE, lun=5)
    walk(409, "DELETE", lun, iqn=daemon.TARGET, lun=0)
    walk(200, "DELETE", lun, iqn=MADE, lun=0)


def walk_access(walk):
    one, rules, users = "/v1/targets/{iqn}", "/v1/targets/{iqn}/initiators", "/v1/targets/{iqn}/users"
    for template, added in ((rules, {"name": "iqn.*"}), (users, {"user": "alice", "secret": "a secret of alice"})):
        walk(201, "POST", template, added, iqn=MADE)
        walk(200, "GET", template, iqn=MADE)
        walk(400, "POST", template, "{", iqn=MADE)
        walk(404, "POST", template, added, iqn=OTHER)
        walk(404, "GET", template, iqn=OTHER)
        walk(409, "POST", template, added, iqn=MADE)
        walk(413, "POST", template, b"x" * ((1 << 20) + 1), iqn=MADE)
        walk(422, "POST", template, {"colour": "red"}, iqn=MADE)
    walk(200, "PATCH", rules, {"read_only": True}, "?name=iqn.*", iqn=MADE)
    walk(400, "PATCH", rules, "{", "?name=iqn.*", iqn=MADE)
    walk(404, "PATCH", rules, {"read_only": True}, iqn=MADE)
    walk(409, "PATCH", rules, {"read_only": True}, iqn=daemon.TARGET)
    walk(413, "PATCH", rules, b"x" * ((1 << 20) + 1), "?name=iqn.*", iqn=MADE)
    walk(422, "PATCH", rules, {"name": "x"}, "?name=iqn.*", iqn=MADE)
    walk(422, "DELETE", rules, query="?name=iqn.*&address=x", iqn=MADE)
    walk(404, "DELETE", rules, query="?name=y", iqn=MADE)
    walk(409, "DELETE", rules, query="?name=y", iqn=daemon.TARGET)
    walk(200, "DELETE", rules, query="?name=iqn.*", iqn=MADE)
    walk(404, "DELETE", users, query="?user=bob", iqn=MADE)
    walk(409, "DELETE", users, query="?user=bob", iqn=daemon.TARGET)
    walk(422, "DELETE", users, iqn=MADE)
    walk(200, "DELETE", users, query="?user=alice", iqn=MADE)
    assert walk(200, "PATCH", one, {"access": "list", "auth": "chap"}, iqn=MADE)["access"] == "list"
    walk(400, "PATCH", one, "{", iqn=MADE)
    walk(404, "PATCH", one, {}, iqn=OTHER)
    walk(409, "PATCH", one, {"access": "list"}, iqn=daemon.TARGET)
    walk(413, "PATCH", one, b"x" * ((1 << 20) + 1), iqn=MADE)
    walk(422, "PATCH", one, {"access": "some"}, iqn=MADE)


def walk_discovery(walk):
    one, users = "/v1/discovery", "/v1/discovery/users"
    assert walk(200, "GET", one)["origin"] == "default"
    added = {"user": "asker", "secret": "a secret of the asker"}
    assert walk(201, "POST", users, added)["users"] == [{"user": "asker", "initiator": "*"}]
    walk(400, "POST", users, "{")
    walk(409, "POST", users, added)
    walk(413, "POST", users, b"x" * ((1 << 20) + 1))
    walk(422, "POST", users, {"user": "other"})
    assert walk(200, "PATCH", one, {"auth": "chap"})["in_force"] is True
    walk(400, "PATCH", one, "{")
    walk(413, "PATCH", one, b"x" * ((1 << 20) + 1))
    walk(422, "PATCH", one, {"auth": "perhaps"})
    walk(422, "PATCH", one, {"auth": None})
    walk(422, "PATCH", one, {"users": []})
    assert walk(200, "GET", users)["auth"] == "chap" and walk(200, "GET", one)["origin"] == "api"
    walk(404, "DELETE", users, query="?user=bob")
    walk(422, "DELETE", users)
    walk(200, "DELETE", users, query="?user=asker")
    assert walk(200, "PATCH", one, {"auth": "none"})["origin"] == "default"


def walk_log(walk):
    assert walk(200, "GET", "/v1/log") == {"level": "info"}
    assert walk(200, "PATCH", "/v1/log", {"level": "debug"}) == {"level": "debug"}
    walk(400, "PATCH", "/v1/log", "[]")
    walk(413, "PATCH", "/v1/log", b"x" * ((1 << 20) + 1))
    for body in ({}, {"level": "loud"}, {"level": 3}, {"level": "info", "more": 1}):
        walk(422, "PATCH", "/v1/log", body)
    assert walk(200, "GET", "/v1/log") == {"level": "debug"}


def walk_groups(walk):
    groups, group = "/v1/portal-groups", "/v1/portal-groups/{tag}"
    walk(201, "POST", groups, {"tag": 2, "portals": ["127.0.0.1:0"]})
    assert walk(200, "PATCH", group, {"alua_state": "standby"}, tag=2)["alua_state"] == "standby"
    walk(400, "PATCH", group, "{", tag=2)
    walk(404, "PATCH", group, {"alua_state": "standby"}, tag=3)
    walk(422, "PATCH", group, {"alua_state": "asleep"}, tag=2)
    walk(400, "POST", groups, "")
    walk(409, "POST", groups, {"tag": 2, "portals": ["127.0.0.1:0"]})
    walk(422, "POST", groups, {"tag": 3, "portals": ["nowhere"]})
    walk(404, "DELETE", group, tag=3)
    walk(409, "DELETE", group, tag=1)
    walk(200, "DELETE", group, tag=2)


def walk_sessions(walk, one):
    with Session(one.address, daemon.TARGET) as session:
        session.settle()
        number = walk(200, "GET", "/v1/sessions")["sessions"][0]["id"]
        assert walk(200, "GET", "/v1/sessions/{id}", id=number)["target"] == daemon.TARGET
        walk(200, "DELETE", "/v1/sessions/{id}", id=number)
    walk(404, "GET", "/v1/sessions/{id}", id=65535)
    walk(404, "DELETE", "/v1/sessions/{id}", id="x")


def walk_rest(walk, one):
    assert walk(200, "POST", "/v1/plugins", query="?rescan")["added"] == []
    walk(400, "POST", "/v1/plugins")
    walk(422, "POST", "/v1/plugins", {"file": "/etc/passwd"}, query="?rescan")
    walk(200, "POST", "/v1/config", query="?reload")
    (one.folder / "d.secret").write_text("a secret of the file's")
    (one.folder / "d.secret").chmod(0o600)
    plain = (one.folder / "tgtkit.conf").read_text()
    (one.folder / "tgtkit.conf").write_text(
        f'{plain}discovery = {{ users = ( {{ user = "d"; secret_file = "{one.folder}/d.secret"; }} ); }};\n')
    walk(200, "POST", "/v1/config", query="?reload")
    for method, path, body in (("PATCH", "/v1/discovery", {"auth": "none"}),
                               ("POST", "/v1/discovery/users", {"user": "x", "secret": "x" * 20})):
        assert "tgtkit.conf:" in walk(409, method, path, body)["error"]["message"]
    assert "tgtkit.conf:" in walk(409, "DELETE", "/v1/discovery/users", query="?user=d")["error"]["message"]
    walk(400, "POST", "/v1/config")
    (one.folder / "tgtkit.conf").write_text("nonsense")
    walk(422, "POST", "/v1/config", query="?reload")
    shutil.rmtree(one.folder / "state")
    walk(500, "POST", "/v1/targets", {"name": OTHER})
    walk(404, "GET", "/v1/targets/{iqn}", iqn=OTHER)


def test_every_path_and_status_of_the_description(running):
    walk = Walker(running.api)
    walk_reads(walk)
    walk_targets(walk, running.folder)
    walk_access(walk)
    walk_discovery(walk)
    walk_log(walk)
    walk_groups(walk)
    walk_sessions(walk, running)
    walk(200, "DELETE", "/v1/targets/{iqn}", iqn=MADE)
    walk_rest(walk, running)
    described = {(path, method, status) for path, methods in DESCRIPTION["paths"].items()
                 for method, operation in methods.items() if method != "parameters"
                 for status in operation["responses"]}
    assert described - walk.seen == set()


def test_paths_and_methods_that_do_not_exist(running):
    for method, path, status in (("GET", "/", 404), ("GET", "/v2/targets", 404), ("GET", "/v1/targets/a/b", 404),
                                 ("PUT", "/v1/targets", 405), ("DELETE", "/v1/version", 405),
                                 ("GET", "/v1/targets/%0a", 400), ("GET", "/v1/targets/%zz", 400),
                                 ("GET", "/a/b/c/d/e/f/g/h/i/j", 400)):
        running.api.call(method, path, want=status)


@pytest.mark.parametrize("body, status", [
    ('{"name": "' + MADE + '", "name": "' + OTHER + '"}', 400),
    ('{"name": "' + MADE + '"} x', 400),
    (b'{"name": "\xff"}', 400),
    ('{"name": "a\\u0000b"}', 400),
    ("[" * 100000, 400),
    ("null", 400),
    ({"nome": MADE}, 422),
    ({"name": MADE, "lun": []}, 422),
    ({"name": 7}, 422),
    ({"name": None}, 422),
    ({"name": MADE, "alias": "a\nb"}, 422),
    ({"name": MADE, "": 1}, 422),
    ({"name": MADE, "a b": 1}, 422),
    ({"name": MADE, "portal_groups": [9]}, 422),
    ({"name": MADE, "portal_groups": "1"}, 422),
    ({"name": MADE, "luns": [{"lun": 16384, "path": "null:1M"}]}, 422),
    ({"name": MADE, "luns": [{"lun": -1, "path": "null:1M"}]}, 422),
    ({"name": MADE, "luns": [{"lun": 0}]}, 422),
    ({"name": MADE, "luns": [{"lun": 0, "path": "nothing:x"}]}, 422),
    ({"name": MADE, "luns": [{"lun": 0, "path": "file:/a\u0001b"}]}, 422),
    ({"name": MADE, "luns": [{"lun": 0, "path": "null:1M", "size": 1.5}]}, 422),
    ({"name": MADE, "luns": [{"lun": 0, "path": "null:1M", "options": {"nothing": 1}}]}, 422),
    ({"name": MADE, "luns": [{"lun": 0, "path": "null:1M"}, {"lun": 0, "path": "null:2M"}]}, 422),
])
def test_bad_bodies_change_nothing(running, body, status):
    before = running.api.get("/v1/targets")
    running.api.call("POST", "/v1/targets", body, status)
    assert running.api.get("/v1/targets") == before
    assert not (running.folder / "state" / "state.conf").exists()


@pytest.mark.parametrize("change", [
    {}, {"size": "lots"}, {"size": 0}, {"size": -5}, {"size": True}, {"size": 1000}, {"online": 1}, {"shrink": True},
    {"size": "16M", "online": True}, {"online": True, "read_only": True}, {"colour": "red"}, {"size": "16M", "shrink": 1},
])
def test_bad_changes_of_a_lun(running, change):
    running.api.call("PATCH", api.lun_path(daemon.TARGET, 0), change, 422)
    assert running.api.get(api.lun_path(daemon.TARGET, 0))["size"] == 8 << 20


def test_two_creations_at_once(running):
    results = []
    clients = [threading.Thread(target=lambda: results.append(running.api.call("POST", "/v1/targets", {"name": MADE})[0]))
               for _ in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert sorted(results) == [201] + [409] * 7


def test_a_client_that_hangs_in_the_middle_of_a_body_holds_nobody_up(running):
    descriptors = running.open_descriptors()
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.connect(str(running.folder / "api.sock"))
        hanging.sendall(b"POST /v1/targets HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"name\":")
        running.api.post("/v1/targets", {"name": MADE})
        hanging.settimeout(30)
        assert hanging.recv(1000) == b"", "the daemon gives up on it"
    running.wait_for_descriptors(descriptors, 20)


def test_a_client_that_goes_away_before_its_answer(running):
    descriptors = running.open_descriptors()
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(str(running.folder / "api.sock"))
            one.sendall(b"POST /v1/config?reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    running.api.get("/healthz")
    running.wait_for_descriptors(descriptors, 20)


def test_the_socket_has_the_permissions_wanted(tmp_path, make_image):
    path = tmp_path / "folder" / "api.sock"
    with daemon.serve_targets(tmp_path, daemon.target(make_image("a.img", 1 << 20)),
                              api={"socket": str(path), "mode": "0600"}) as one:
        assert path.stat().st_mode & 0o777 == 0o600
        api.Api(path).get("/healthz")
        settings = daemon.configuration(tmp_path, [], [("127.0.0.1", ports.free_port())],
                                        state_dir=str(tmp_path / "other"), api={"socket": str(path)})
        second = daemon.Daemon(["-f", "-c", daemon.write_configuration(tmp_path, settings, "second.conf")], [])
        with pytest.raises(AssertionError, match="another daemon listens there"):
            second.start()
        assert re.search("API listens", one.log())
    assert not path.exists()
