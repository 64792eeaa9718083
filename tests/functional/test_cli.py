# SPDX-License-Identifier: Apache-2.0
"""The command tgtkit: every noun and verb, tables and JSON, exit statuses, and its manual page."""

import json
import pathlib
import random
import re

import pytest
from lib import api, chap, daemon, ports
from lib.initiator import Session

SOURCE = pathlib.Path(__file__).resolve().parents[2]
MADE = "iqn.2026-11.org.example:made"


@pytest.fixture
def running(tmp_path, make_image):
    with daemon.serve_targets(tmp_path, daemon.target(make_image("file.img", 8 << 20), "null:1G")) as one:
        one.folder = tmp_path
        yield one


@pytest.fixture
def tgtkit(running, tmp_path):
    return api.Command(tmp_path / "api.sock")


def test_targets_and_luns(tgtkit, tmp_path):
    assert daemon.TARGET in tgtkit.run("target", "list")
    assert tgtkit.run("target", "create", MADE, "--alias", "a disk") == ""
    assert tgtkit.json("target", "show", MADE)["alias"] == "a disk"
    tgtkit.run("lun", "create", MADE, 3, f"file:{tmp_path}/made.img", "--size", "4M", "--create", "--option",
               "direct=false")
    tgtkit.run("lun", "create", MADE, "auto", "null:1T")
    table = tgtkit.run("lun", "list", MADE)
    assert re.search(r"^ *0 null:1T +1T online", table, re.M) and re.search(r"^ *3 file:.* 4M online", table, re.M)
    assert len(tgtkit.json("lun", "list")["luns"]) == 4
    tgtkit.run("lun", "resize", MADE, 3, "8M")
    assert tgtkit.json("lun", "show", MADE, 3)["size"] == 8 << 20
    assert "--shrink" in tgtkit.run("lun", "resize", MADE, 3, "4M", status=1)
    tgtkit.run("lun", "offline", MADE, 3)
    tgtkit.run("lun", "resize", MADE, 3, "4M", "--shrink")
    tgtkit.run("lun", "online", MADE, 3)
    assert tgtkit.json("lun", "show", MADE, 3)["state"] == "online"
    tgtkit.run("lun", "delete", MADE, 0)
    tgtkit.run("target", "delete", MADE)
    assert "no target" in tgtkit.run("target", "show", MADE, status=1)


def test_portal_groups_and_sessions(tgtkit, running):
    port = ports.free_port()
    tgtkit.run("tpgt", "create", 2, f"127.0.0.1:{port}")
    assert f"127.0.0.1:{port}" in tgtkit.run("tpgt", "list")
    tgtkit.run("target", "create", MADE, "--tpgt", 2)
    assert MADE in tgtkit.run("tpgt", "delete", 2, status=1)
    with Session(("127.0.0.1", port), MADE):
        (session,) = tgtkit.json("session", "list")["sessions"]
        assert MADE in tgtkit.run("session", "list")
        assert "--force" in tgtkit.run("target", "delete", MADE, status=1)
        tgtkit.run("session", "drop", session["id"])
    tgtkit.run("target", "delete", MADE, "--force")
    tgtkit.run("tpgt", "delete", 2)
    running.assert_alive()


def test_initiators_and_users(tgtkit, running, tmp_path):
    tgtkit.run("target", "create", MADE, "--access", "list")
    tgtkit.run("lun", "create", MADE, 0, "null:8M")
    rule = ("iqn.1993-08.*", "--address", "127.0.0.0/8")
    tgtkit.run("initiator", "allow", MADE, *rule, "--lun", 0, "--read-only")
    tgtkit.run("initiator", "allow", MADE, "*:first", "--position", 0)
    assert "--replace" in tgtkit.run("initiator", "allow", MADE, *rule, status=1)
    table = tgtkit.run("initiator", "list", MADE)
    assert re.search(r"\*:first +any +all +(no|false)?.*\n.*iqn\.1993-08\.\* 127\.0\.0\.0/8 +0 ", table), table
    tgtkit.run("initiator", "allow", MADE, *rule, "--replace")
    assert tgtkit.json("initiator", "list", MADE)["initiators"][1]["luns"] == "all"
    tgtkit.run("initiator", "deny", MADE, "*:first")
    assert "initiator list" in tgtkit.run("initiator", "deny", MADE, "*:first", status=1)
    secret = tmp_path / "secret"
    secret.write_bytes(b"\x00\xff any bytes at all\n")
    tgtkit.run("user", "add", MADE, "alice", "--secret-file", secret)
    tgtkit.run("user", "add", MADE, "target", "--mutual", stdin="another secret\n")
    assert "secret" in tgtkit.run("user", "add", MADE, "bob", stdin="short\n", status=1)
    assert "is empty" in tgtkit.run("user", "add", MADE, "bob", status=1)
    tgtkit.run("target", "set", MADE, "--auth", "chap")
    name = "iqn.1993-08.org.debian:1"
    chap.login(running.address, MADE, "alice", b"\x00\xff any bytes at all", b"another secret", initiator=name).close()
    listed = tgtkit.run("user", "list", MADE)
    assert re.search(r"^alice +\*$", listed, re.M) and "the target itself is target" in listed
    assert "any bytes" not in listed
    tgtkit.run("user", "delete", MADE, "target", "--mutual")
    tgtkit.run("user", "delete", MADE, "alice")
    assert "user list" in tgtkit.run("user", "delete", MADE, "alice", status=1)
    assert "tgtkit.conf" in tgtkit.run("initiator", "allow", daemon.TARGET, "*", status=1)
    tgtkit.run("target", "set", MADE, status=2)
    tgtkit.run("initiator", "allow", MADE, status=2)


def test_users_of_discovery(tgtkit):
    assert "default" in tgtkit.run("discovery", "show")
    warning = tgtkit.warned("user", "add", "discovery", "asker", stdin="a secret of the asker\n")
    assert "tgtkit discovery set --auth chap" in warning
    assert "--auth" in tgtkit.run("discovery", "set", status=2)
    tgtkit.run("discovery", "set", "--auth", "chap")
    tgtkit.run("user", "add", "discovery", "me", "--mutual", stdin="another secret, ours\n")
    listed = tgtkit.run("user", "list", "discovery")
    assert "asker" in listed and "discovery itself is me" in listed
    assert tgtkit.json("discovery", "show")["auth"] == "chap"
    tgtkit.run("user", "delete", "discovery", "asker")
    tgtkit.run("user", "delete", "discovery", "me", "--mutual")
    assert "has no user asker" in tgtkit.run("user", "delete", "discovery", "asker", status=1)
    tgtkit.run("discovery", "set", "--auth", "none")
    assert tgtkit.json("discovery", "show")["origin"] == "default"


def test_the_level_of_the_log(tgtkit, running):
    assert tgtkit.json("log", "show") == {"level": "info"}
    tgtkit.run("log", "level", "debug")
    running.wait_for_log("the log level is debug now")
    assert "level debug" in tgtkit.run("log", "show")
    assert "must be error, warning, info or debug" in tgtkit.run("log", "level", "loud", status=1)


def test_what_is_not_in_force_is_said(tgtkit):
    tgtkit.run("target", "create", MADE)
    assert "--access list" in tgtkit.warned("initiator", "allow", MADE, "*")
    assert "--auth chap" in tgtkit.warned("user", "add", MADE, "alice", stdin="a secret of alice")
    assert "everybody" in tgtkit.run("initiator", "list", MADE)
    assert "nobody is asked" in tgtkit.run("user", "list", MADE)


def test_states_of_portal_groups(tgtkit):
    tgtkit.run("tpgt", "create", 7, "127.0.0.1:0", "--state", "standby")
    assert re.search(r"^ *7 standby ", tgtkit.run("tpgt", "list"), re.M)
    tgtkit.run("tpgt", "state", 7, "active/non-optimized")
    assert [one["alua_state"] for one in tgtkit.json("tpgt", "list")["portal_groups"]] == \
        ["active/optimized", "active/non-optimized"]
    assert "standby" in tgtkit.run("tpgt", "state", 7, "asleep", status=1)


def test_plugins(tgtkit):
    assert re.search(r"^file .*blocking", tgtkit.run("plugin", "list"), re.M)
    assert "max_parallel" in tgtkit.run("plugin", "info", "file")
    plugin = tgtkit.json("plugin", "info", "null")
    tgtkit.run("plugin", "check", plugin["file"])
    assert "/etc/passwd" in tgtkit.run("plugin", "check", "/etc/passwd", status=1)
    assert tgtkit.run("plugin", "rescan") == "no new plugin\n"
    assert "no plugin" in tgtkit.run("plugin", "info", "nothing", status=1)


def test_a_plugin_is_checked_without_a_daemon_and_outside_of_it(tmp_path):
    tgtkit = api.Command(tmp_path / "nothing")
    file = next(folder / "null.so" for folder in daemon.Installation().plugin_folders if (folder / "null.so").exists())
    assert json.loads(tgtkit.run("-o", "json", "plugin", "check", file)) == {"accepted": True, "problems": []}
    (tmp_path / "bad.so").write_text("no library")
    assert "bad.so" in tgtkit.run("plugin", "check", tmp_path / "bad.so", status=1)
    assert "absent.so" in tgtkit.run("plugin", "check", tmp_path / "absent.so", status=1)


def test_configuration(tgtkit, running, tmp_path):
    tgtkit.run("target", "create", MADE)
    shown = tgtkit.run("config", "show")
    assert MADE in shown and daemon.TARGET in shown
    assert tgtkit.json("config", "show")["daemon"]["max_connections"] == 10000
    tgtkit.run("config", "save", tmp_path / "saved.conf")
    assert (tmp_path / "saved.conf").read_text() == shown
    tgtkit.run("config", "check", tmp_path / "saved.conf")
    assert "nothing has changed" in tgtkit.run("config", "reload")
    assert re.match(r"version +\d", tgtkit.run("version"))


def random_daemon_keys(chance):
    """Of every key of the daemon group that has a number: some value in its range, from the schema itself."""
    rows = (SOURCE / "core" / "config" / "keys.c").read_text()
    rows = rows[rows.index("daemon_keys[]"):rows.index("conf_daemon_table")]
    found = re.findall(r'\{"(\w+)", CONF_U32, \w+, AT\(daemon_spec, \w+\),\s+\.fallback = "(\d+)",([^}]*)\}', rows)
    assert len(found) > 10
    keys = {}
    for key, fallback, limits in found:
        lowest = int(re.search(r"\.minimum = (\d+)", limits + ".minimum = 0")[1])
        highest = int(re.search(r"\.maximum = (\d+)", limits)[1])
        keys[key] = chance.randint(lowest, min(highest, 4 * int(fallback) + 4))
    keys.update({"workers": chance.randint(1, 3), "open_timeout_s": chance.randint(20, 90),
                 "shutdown_timeout_s": chance.randint(15, 90)})
    return {**keys, "memory_limit": chance.choice(["256M", 300 << 20]), "log_level": chance.choice(["info", "debug"])}


def random_luns(chance, folder, name, count):
    return [{"lun": number, "path": chance.choice([f"null:{chance.randint(1, 99)}M", f"file:{folder}/{name}{number}"]),
             "size": f"{chance.randint(1, 9)}M", "create": True, "block_size": chance.choice([512, 4096]),
             "serial": f"{name}{number}", "thin": chance.random() < .5, "write_cache": chance.random() < .5,
             "online": chance.random() < .8, "features": {"unmap": chance.random() < .5}}
            for number in sorted(chance.sample(range(16384), count))]


def random_target(chance, folder, name):
    luns = [lun if lun["path"].startswith("file") else {**lun, "size": 0, "create": False, "path": "null:%dM" % number,
                                                       "options": {"latency_us": number}}
            for number, lun in enumerate(random_luns(chance, folder, name, 4), chance.randint(1, 1 << 20))]
    rules = [{"name": f"iqn.*:{number}", "address": chance.choice(["", "10.0.0.0/8", "2001:db8::/32"]),
              "read_only": chance.random() < .5, "luns": [lun["lun"] for lun in chance.sample(luns, 2)]}
             for number in range(3)]
    return {"name": f"iqn.2026-11.org.example:{name}", "alias": chance.choice(['say "hi"', "a\\b", "\u00fc #//"]),
            "luns": luns, "access": chance.choice(["any", "list"]), "auth": chance.choice(["none", "chap"]),
            "initiators": rules, "chap_algorithms": chance.sample(["md5", "sha1", "sha256", "sha3-256"], 2),
            "parameters": {"max_sessions": chance.randint(0, 9), "initial_r2t": chance.random() < .5,
                           "header_digest": chance.choice(["none", "crc32c,none", ["crc32c"]]),
                           "max_burst_length": chance.choice(["2M", 1 << 16])}}


def in_force(client):
    """What every path of the API says of the configuration, but for where it is defined."""
    def plain(value):
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items() if key not in ("origin", "defined_in")}
        return [plain(one) for one in value] if isinstance(value, list) else value

    targets = client.get("/v1/targets")["targets"]
    lists = [api.target_path(one["name"]) + "/" + kind for one in targets for kind in ("users", "initiators")]
    return [plain(client.get(path)) for path in ("/v1/targets", "/v1/portal-groups", "/v1/discovery", *lists)]


def test_a_saved_configuration_is_the_one_in_force(tmp_path):
    """A random one, of the file and of the API: loading what was saved, without what the API made, and saving that gives
    the same."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance, port = random.Random(seed), ports.free_port()
    (tmp_path / "filed.secret").write_text("a secret of the file's")
    (tmp_path / "filed.secret").chmod(0o600)
    filed = random_target(chance, tmp_path, "filed")
    filed["users"] = [{"user": "filed", "secret_file": str(tmp_path / "filed.secret"), "initiator": "iqn.*"}]
    path = daemon.write_configuration(tmp_path, daemon.configuration(
        tmp_path, [filed], [("127.0.0.1", port)], **random_daemon_keys(chance)))
    tgtkit, client = api.Command(tmp_path / "api.sock"), api.Api(tmp_path / "api.sock")
    with daemon.Daemon(["-f", "-c", path], [("127.0.0.1", port)]):
        client.post("/v1/portal-groups", {"tag": 7, "portals": [f"127.0.0.1:{ports.free_port()}"],
                                           "alua_state": "standby"})
        client.post("/v1/targets", {**random_target(chance, tmp_path, "made"), "portal_groups": [1, 7],
                                    "users": [{"user": "made", "secret": "a secret of the API's"}],
                                    "mutual": {"user": "self", "secret": "another of the API's"}})
        client.post("/v1/discovery/users", {"user": "asker", "secret": "a secret of the asker"})
        tgtkit.run("config", "save", tmp_path / "first.conf")
        before = in_force(client)
    (tmp_path / "state" / "state.conf").unlink()
    with daemon.Daemon(["-f", "-c", tmp_path / "first.conf"], [("127.0.0.1", port)]):
        tgtkit.run("config", "save", tmp_path / "second.conf")
        assert in_force(client) == before
    assert (tmp_path / "second.conf").read_text() == (tmp_path / "first.conf").read_text()


def test_every_verb_answers_in_json(tgtkit, running, tmp_path):
    rest = set(re.findall(r'^    \{"(\w+)", (?:"(\w+)"|NULL), \d', (SOURCE / "cli" / "commands.c").read_text(), re.M))
    plugin = tgtkit.json("plugin", "info", "file")["file"]
    (tmp_path / "secret").write_text("a secret for the test")

    def answers(words):
        assert isinstance(tgtkit.json(*words), dict), words
        rest.difference_update({tuple(words[:2]), (words[0], "")})

    for line in f"""target list|target create {MADE}|target show {MADE}|target set {MADE} --alias x|lun list
                    lun create {MADE} 0 file:{tmp_path}/new.img --size 1M --create|lun resize {MADE} 0 2M
                    lun show {MADE} 0|lun offline {MADE} 0|lun online {MADE} 0
                    initiator allow {MADE} iqn.*|initiator list {MADE}|initiator deny {MADE} iqn.*
                    user add {MADE} me --secret-file {tmp_path}/secret|user list {MADE}|user delete {MADE} me
                    discovery show|discovery set --auth none|log show|log level info
                    lun delete {MADE} 0|target delete {MADE}|tpgt list|tpgt create 9 127.0.0.1:0|tpgt state 9 standby
                    tpgt delete 9|session list|stats|plugin list|plugin info file|plugin rescan|plugin check {plugin}
                    config show|config save {tmp_path}/saved|config reload|config check {tmp_path}/saved
                    version""".replace("\n", "|").split("|"):
        answers(line.split())
    with Session(running.address, daemon.TARGET):
        answers(["session", "drop", tgtkit.json("session", "list")["sessions"][0]["id"]])
    assert rest == set()


@pytest.mark.parametrize("words", [
    [], ["nothing"], ["target"], ["target", "nothing"], ["target", "show"], ["target", "list", "more"],
    ["lun", "show", "x", "minus"], ["lun", "create", "x", "99999", "y"], ["-o", "xml", "target", "list"],
    ["target", "list", "--nothing"], ["lun", "create", "x", "0", "y", "--option", "novalue"], ["user", "list"],
])
def test_wrong_usage(words):
    assert "Try 'tgtkit --help'" in api.Command("/nowhere").run(*words, status=2)


def test_no_daemon(tmp_path):
    assert "is tgtkitd running" in api.Command(tmp_path / "nothing").run("target", "list", status=1)


def test_the_manual_page_has_every_verb_and_option():
    page = (SOURCE / "cli" / "tgtkit.1").read_text().replace("\\-", "-")
    commands = (SOURCE / "cli" / "commands.c").read_text()
    options = (SOURCE / "cli" / "arguments.c").read_text()
    pairs = re.findall(r'^    \{"(\w+)", (?:"(\w+)"|NULL), \d', commands, re.M)
    assert len(pairs) > 20
    for noun, verb in pairs:
        assert f"{noun} {verb}".strip() in page, (noun, verb)
    for option in re.findall(r'^    \{"([a-z-]+)", (?:no|required)_argument', options, re.M):
        assert f"--{option}" in page, option
