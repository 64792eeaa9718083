# SPDX-License-Identifier: Apache-2.0
"""The command tgtkit: every noun and verb, tables and JSON, exit statuses, and its manual page."""

import json
import pathlib
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


def test_a_saved_configuration_is_the_one_in_force(running, tmp_path):
    """Loading what was saved, without what the API made, and saving that gives the same."""
    tgtkit = api.Command(tmp_path / "api.sock")
    tgtkit.run("target", "create", MADE, "--alias", "quoted \"text\"")
    tgtkit.run("lun", "create", MADE, 7, "null:2G", "--option", "latency_us=5")
    tgtkit.run("config", "save", tmp_path / "first.conf")
    running.stop()
    (tmp_path / "state" / "state.conf").unlink()
    with daemon.Daemon(["-f", "-c", tmp_path / "first.conf"], running.addresses):
        tgtkit.run("config", "save", tmp_path / "second.conf")
    assert (tmp_path / "second.conf").read_text() == (tmp_path / "first.conf").read_text()


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
