# SPDX-License-Identifier: Apache-2.0
"""Access rules, users and ALUA states through the API while initiators are logged in; secrets that nobody gets to see."""

import json
import pathlib
import shutil
import signal
import threading
import urllib.parse

import pytest
from lib import api, chap, daemon, healthy, libconfig, outside, pdu, ports, scsi, tools
from lib.initiator import LoginError, Session

MADE = "iqn.2026-11.org.example:made"
BUSY = "iqn.2026-11.org.example:busy"
ALICE, BOB = "iqn.1993-08.org.debian:alice", "iqn.1991-05.com.microsoft:bob"
SECRET, OTHER_SECRET = "a secret of alice", "another secret of hers"
FORBIDDEN, AUTHENTICATION_FAILED = 0x0202, 0x0201
LUNS_CHANGED, STATE_CHANGED = (0x3F, 0x0E), (0x2A, 0x06)
WRITE_PROTECTED = (scsi.DATA_PROTECT, 0x27, 0x00)
RULES, USERS = api.target_path(MADE) + "/initiators", api.target_path(MADE) + "/users"
LOGOUT_REQUEST = 1


class Setup:
    """A daemon with a busy disk of the file and an empty target of the API's; it can be started again."""

    def __init__(self, folder, image):
        self.folder, self.port = folder, ports.free_port()
        self.targets = [daemon.target(image, name=BUSY)]
        self.write()
        self.api = api.Api(folder / "api.sock")
        self.address = ("127.0.0.1", self.port)

    def write(self):
        self.path = daemon.write_configuration(
            self.folder, daemon.configuration(self.folder, self.targets, [self.address_of(self.port)]))

    @staticmethod
    def address_of(port):
        return ("127.0.0.1", port)

    def daemon(self, **options):
        return daemon.Daemon(["-f", "-c", self.path], [self.address], **options)

    def login(self, initiator=ALICE, target=MADE):
        return Session(self.address, target, initiator=initiator)

    def refusal(self, initiator=ALICE, target=MADE):
        with pytest.raises(LoginError) as refused:
            self.login(initiator, target).close()
        return refused.value.status

    def discovered(self, initiator):
        with Session(self.address, initiator=initiator) as session:
            return {name for name, _ in session.send_targets()}

    def make(self, *luns, **settings):
        entries = [{"lun": number, "path": path} for number, path in enumerate(luns or ("null:64M",))]
        return self.api.post("/v1/targets", {"name": MADE, "luns": entries, **settings})

    def allow(self, name, want=201, **rule):
        return self.api.post(RULES, {"name": name, **rule}, want=want)

    def deny(self, name, want=200, **rule):
        return self.api.delete(RULES + "?" + urllib.parse.urlencode({"name": name, **rule}), want=want)

    def replace(self, name, want=200, **mask):
        return self.api.patch(RULES + "?" + urllib.parse.urlencode({"name": name}), mask, want=want)

    def tidy(self):
        """Takes away all but what the file defines, and of that all but the busy disk."""
        for target in self.api.get("/v1/targets")["targets"]:
            if target["origin"] == "api":
                self.api.delete(api.target_path(target["name"]) + "?force=true")
        for group in self.api.get("/v1/portal-groups")["portal_groups"]:
            if group["origin"] == "api":
                self.api.delete(f"/v1/portal-groups/{group['tag']}")
        if self.targets[1:]:
            del self.targets[1:]
            self.write()
            self.api.post("/v1/config?reload", want=200)
        assert self.secrets() == [], "secrets go with what they are for"

    def secrets(self):
        return sorted((self.folder / "state" / "secrets").glob("*"))

    def kept(self):
        return (self.folder / "state" / "state.conf").read_text()


@pytest.fixture
def setup(tmp_path, make_image):
    return Setup(tmp_path, make_image("busy.img", 8 << 20))


@pytest.fixture(scope="module")
def one_for_many(tmp_path_factory):
    folder = tmp_path_factory.mktemp("running")
    image = folder / "busy.img"
    image.touch()
    with image.open("r+b") as file:
        file.truncate(8 << 20)
    one = Setup(folder, image)
    with one.daemon() as one.one:
        yield one


@pytest.fixture
def running(one_for_many):
    """With somebody else's I/O, which nothing of all this may disturb.  The daemon is the same for many tests; what one
    has made is gone before the next."""
    with healthy.HealthySession(one_for_many.address, BUSY):
        yield one_for_many
        one_for_many.tidy()


# ---- Rules ----

def test_a_rule_lets_in_at_once_and_its_removal_puts_out(running):
    running.make(access="list")
    assert running.refusal() == FORBIDDEN and MADE not in running.discovered(ALICE)
    assert running.allow("iqn.1993-08.*")["in_force"] is True
    assert MADE in running.discovered(ALICE) and MADE not in running.discovered(BOB)
    running.allow(BOB)
    with running.login() as session, running.login(BOB) as bystander:
        for one in (session, bystander):
            one.settle()
        session.write(0, b"x" * 512)
        running.deny("iqn.1993-08.*")
        message = session.receive(pdu.AsyncMessage)
        assert message.event == LOGOUT_REQUEST
        assert session.logout().response == 0
        assert running.refusal() == FORBIDDEN and MADE not in running.discovered(ALICE)
        assert bystander.nop(b"quiet").data == b"quiet" and bystander.inbox == []
        assert bystander.settle() == [], "whoever stays is told nothing"


@pytest.mark.parametrize("rule, admitted", [
    ({"address": "127.0.0.0/8"}, True), ({"address": "127.0.0.1"}, True), ({"address": "10.0.0.0/8"}, False),
    ({"address": "::1"}, False), ({"address": "2001:db8::/32"}, False), ({"name": "iqn.????-08.*:a*"}, True),
    ({"name": "iqn.1993-08.*", "address": "192.0.2.0/24"}, False)])
def test_names_and_addresses(running, rule, admitted):
    running.make(access="list")
    (kept,) = running.api.post(RULES, rule)["initiators"]
    assert (kept["address"], kept["luns"], kept["read_only"]) == (rule.get("address", ""), "all", False)
    if admitted:
        running.login().close()
    else:
        assert running.refusal() == FORBIDDEN


def test_luns_come_and_go_under_a_session_that_works(running):
    running.make("null:1M", "null:2M", "null:3M", access="list")
    running.allow(ALICE, luns=[0])
    running.allow(BOB)
    with running.login() as session, running.login(BOB) as bystander:
        session.settle(0)
        bystander.settle(0)
        running.replace(ALICE, luns=[0, 2])
        assert LUNS_CHANGED in session.settle(0)
        assert session.report_luns() == [0, 2]
        session.settle(2)
        session.read(0, 1, lun=2)
        running.replace(ALICE, luns=[2])
        assert LUNS_CHANGED in session.settle(2)
        session.execute(scsi.read16(0, 1), read_length=512, lun=0).expect_sense(scsi.ILLEGAL_REQUEST, 0x25, 0)
        running.replace(ALICE, luns="all")
        assert LUNS_CHANGED in session.settle(2)
        assert bystander.settle(0) == []


def test_a_lun_that_a_rule_names_goes_by_force_or_after_the_rule(running):
    running.make("null:1M", "null:2M", "null:3M", access="list")
    running.allow(ALICE, luns=[0, 1])
    running.allow(BOB, luns=[2])
    before = running.api.get(RULES)
    for lun, name in ((1, ALICE), (2, BOB)):
        _, answer = running.api.call("DELETE", api.lun_path(MADE, lun), None, 409)
        assert answer["error"]["code"] == "in_use" and name in answer["error"]["message"]
        assert "tgtkit initiator" in answer["error"]["message"]
    # The only LUN of a rule: without it, the next rule would decide.
    running.api.call("DELETE", api.lun_path(MADE, 2) + "?force=true", None, 409)
    assert running.api.get(RULES) == before
    with running.login() as session:
        session.settle(0)
        running.api.delete(api.lun_path(MADE, 1) + "?force=true")
    assert [one["luns"] for one in running.api.get(RULES)["initiators"]] == [[0], [2]]
    running.deny(BOB)
    running.api.delete(api.lun_path(MADE, 2))
    with running.login() as session:
        session.settle(0)
        assert session.report_luns() == [0]


def test_read_only_stops_the_very_write_that_waits_for_its_data(running):
    running.make(access="list")
    running.allow(ALICE)
    with running.login() as session:
        session.settle()
        waiting = session.start(scsi.write16(0, 128), b"\xee" * 65536, hold_r2ts=True, immediate_bytes=0,
                                unsolicited_bytes=0)
        while not waiting.unanswered_r2ts:
            session.pump()
        running.replace(ALICE, read_only=True)
        session.answer(waiting, waiting.unanswered_r2ts[0])
        session.wait(waiting).expect_sense(*WRITE_PROTECTED)
        assert LUNS_CHANGED in session.settle()
        session.execute(scsi.write16(0, 1), bytes(512)).expect_sense(*WRITE_PROTECTED)
        session.read(0, 1)
        running.replace(ALICE, read_only=False)
        session.settle()
        session.write(0, bytes(512))


def test_the_first_rule_that_matches_decides_and_position_says_which_is_first(running):
    running.make("null:1M", "null:2M", access="list")
    running.allow("*", luns=[0])
    running.allow(BOB, position=0, luns=[1])
    listed = running.allow("iqn.1993-08.*", position=1)["initiators"]
    assert [one["name"] for one in listed] == [BOB, "iqn.1993-08.*", "*"]
    assert [one["luns"] for one in listed] == [[1], "all", [0]]
    for initiator, luns in ((ALICE, [0, 1]), (BOB, [1]), ("iqn.2000-01.x:y", [0])):
        with running.login(initiator) as session:
            session.settle(luns[0])
            assert session.report_luns() == luns


def test_rules_count_from_the_moment_that_access_says_so(running):
    running.make()
    with running.login(BOB) as session:
        session.settle()
        assert running.allow(ALICE)["in_force"] is False
        assert session.nop(b"still").data == b"still" and session.inbox == []
        assert running.api.patch(api.target_path(MADE), {"access": "list"})["access"] == "list"
        assert session.receive(pdu.AsyncMessage).event == LOGOUT_REQUEST
        assert session.logout().response == 0
    assert running.refusal(BOB) == FORBIDDEN
    running.api.patch(api.target_path(MADE), {"access": "any"})
    running.login(BOB).close()


@pytest.mark.parametrize("how", ["signal", "api"])
def test_a_reload_changes_rules_of_the_file_under_a_session(running, how):
    name = "iqn.2026-11.org.example:filed"

    def rewrite(*rules):
        running.targets[1:] = [daemon.target("null:8M", "null:9M", name=name, access="list", initiators=list(rules))]
        running.write()
        since = len(running.one.log_lines)
        if how == "api":
            running.api.post("/v1/config?reload", want=200)
        else:
            running.one.signal(signal.SIGHUP)
            running.one.wait_for_log("reload: done", since=since)

    rewrite({"name": ALICE})
    with running.login(ALICE, name) as session:
        session.settle()
        rewrite({"name": ALICE})
        assert session.settle() == []
        rewrite({"name": ALICE, "luns": (0,)})
        assert LUNS_CHANGED in session.settle()
        rewrite({"name": BOB})
        assert session.receive(pdu.AsyncMessage).event == LOGOUT_REQUEST
    assert running.refusal(ALICE, name) == FORBIDDEN


@pytest.mark.parametrize("method, path, body", [
    ("POST", "initiators", {"name": "x"}), ("PATCH", "initiators?name=x", {"luns": [0]}),
    ("DELETE", "initiators?name=x", None), ("POST", "users", {"user": "x", "secret": SECRET}),
    ("DELETE", "users?user=x", None), ("PATCH", "", {"access": "list"})])
def test_what_the_file_defines_is_changed_in_the_file(running, method, path, body):
    _, answer = running.api.call(method, f"{api.target_path(BUSY)}/{path}", body, 409)
    assert answer["error"]["code"] == "defined_in_file"
    assert f"{running.path}:" in answer["error"]["message"]
    assert running.secrets() == []


# ---- Users ----

def test_users_log_in_at_once_and_no_longer_when_they_are_gone(running):
    running.make(auth="chap")
    running.api.post(USERS, {"user": "alice", "secret": SECRET})
    running.api.post(USERS, {"user": "target", "secret": OTHER_SECRET, "mutual": True})
    with chap.login(running.address, MADE, "alice", SECRET.encode(), OTHER_SECRET.encode()) as session:
        session.settle()
        assert running.api.get(USERS) == {"auth": "chap", "in_force": True, "mutual": {"user": "target"},
                                          "users": [{"user": "alice", "initiator": "*"}]}
        running.api.delete(USERS + "?user=target&mutual=true")
        running.api.delete(USERS + "?user=alice")
        assert session.nop(b"stays").data == b"stays"
    with pytest.raises(LoginError) as refused:
        chap.login(running.address, MADE, "alice", SECRET.encode())
    assert refused.value.status == AUTHENTICATION_FAILED
    assert running.secrets() == [], "the secrets have gone with their users"


def test_a_user_counts_for_some_initiators_only(running):
    running.make(auth="chap")
    for pattern, secret in ((ALICE, SECRET), (BOB, OTHER_SECRET)):
        running.api.post(USERS, {"user": "alice", "secret": secret, "initiator": pattern})
    chap.login(running.address, MADE, "alice", OTHER_SECRET.encode(), initiator=BOB).close()
    with pytest.raises(LoginError):
        chap.login(running.address, MADE, "alice", OTHER_SECRET.encode(), initiator=ALICE)
    assert "initiator" in running.api.call("DELETE", USERS + "?user=alice", None, 409)[1]["error"]["message"]
    running.api.delete(f"{USERS}?user=alice&initiator={BOB}")
    assert len(running.api.get(USERS)["users"]) == 1


@pytest.mark.parametrize("spelling, secret", [
    ("0x" + bytes(range(16)).hex(), bytes(range(16))), ("base64:AAECAwQFBgcICQoLDA0ODw==", bytes(range(16))),
    ('quote " and \\ and \u00fc and #', 'quote " and \\ and \u00fc and #'.encode()), ("s" * 255, b"s" * 255)])
def test_a_secret_of_any_bytes(running, spelling, secret):
    running.make(auth="chap")
    running.api.post(USERS, {"user": "alice", "secret": spelling})
    chap.login(running.address, MADE, "alice", secret).close()


def test_users_of_discovery_count_at_once_and_after_a_restart(setup):
    def asks(user=None, secret="", mutual=None):
        with chap.login(setup.address, None, user, secret.encode(), mutual and mutual.encode()) as session:
            return {name for name, _ in session.send_targets()}

    with setup.daemon():
        setup.discovered(ALICE)
        assert setup.api.post("/v1/discovery/users", {"user": "asker", "secret": SECRET})["in_force"] is False
        setup.discovered(ALICE)
        setup.api.patch("/v1/discovery", {"auth": "chap"})
        setup.api.post("/v1/discovery/users", {"user": "answerer", "secret": OTHER_SECRET, "mutual": True})
        with pytest.raises(LoginError):
            setup.discovered(ALICE)
        assert BUSY in asks("asker", SECRET, OTHER_SECRET)
        setup.login(target=BUSY).close()  # logging in is another matter
        text = setup.api.raw("GET", "/v1/config?format=libconfig")[2].decode()
        assert "asker" in text and SECRET not in text and OTHER_SECRET not in text
    with setup.daemon():
        assert setup.api.get("/v1/discovery") == {
            "auth": "chap", "in_force": True, "users": [{"user": "asker", "initiator": "*"}],
            "mutual": {"user": "answerer"}, "origin": "api"}
        assert BUSY in asks("asker", SECRET, OTHER_SECRET)
        with pytest.raises(LoginError):
            asks("asker", OTHER_SECRET)
        # The file says something of it now: what the API made stays, and a reload says so.
        plain = setup.path.read_text()
        setup.path.write_text(plain + 'discovery = { auth = "none"; };\n')
        (warning,) = setup.api.post("/v1/config?reload", want=200)["warnings"]
        assert "discovery" in warning and "tgtkit" in warning
        with pytest.raises(LoginError):
            setup.discovered(ALICE)
        setup.api.delete("/v1/discovery/users?user=answerer&mutual=true")
        setup.api.delete("/v1/discovery/users?user=asker")
        setup.api.patch("/v1/discovery", {"auth": "none"})
        assert setup.secrets() == [] and "discovery" not in setup.kept()
        setup.discovered(ALICE)
        assert setup.api.post("/v1/config?reload", want=200)["warnings"] == []
        assert setup.api.get("/v1/discovery")["origin"] == "file"


def everything_that_can_be_seen(setup, *outputs):
    """All that the daemon says or writes, but for the folder of secrets."""
    files = [path.read_text(errors="replace") for path in (setup.folder / "state").iterdir() if path.is_file()]
    answers = [setup.api.raw("GET", path)[2].decode() for path in
               ("/v1/config", "/v1/config?format=libconfig", "/v1/targets", USERS, RULES, "/v1/stats", "/metrics")]
    return "\n".join([*files, *answers, *outputs])


def test_nothing_ever_shows_a_secret_of_chap(running):
    running.make(auth="chap", users=[{"user": "alice", "secret": SECRET}])
    running.api.post(USERS, {"user": "target", "secret": OTHER_SECRET, "mutual": True})
    # Refusals, too: both directions with one secret, a name that is there already, a bad key.
    for body, status in (({"user": "alice", "secret": SECRET}, 409), ({"user": "bob", "secret": OTHER_SECRET}, 422),
                         ({"user": "bob", "secret": SECRET, "x": 1}, 422)):
        _, answer = running.api.call("POST", USERS, body, status)
        assert SECRET not in json.dumps(answer) and OTHER_SECRET not in json.dumps(answer)
    seen = everything_that_can_be_seen(running, running.one.log())
    assert SECRET not in seen and OTHER_SECRET not in seen and seen.count("secrets/") >= 2
    first, second = running.secrets()
    assert {first.read_text(), second.read_text()} == {SECRET + "\n", OTHER_SECRET + "\n"}
    assert {path.stat().st_mode & 0o777 for path in (first, second)} == {0o600}
    assert first.parent.stat().st_mode & 0o777 == 0o700


# ---- Restarts ----

def test_it_is_all_there_after_sigterm_and_after_kill(setup):
    with setup.daemon():
        setup.make("null:1M", "null:2M", access="list", auth="chap")
        setup.allow("iqn.1993-08.*", luns=[1], read_only=True)
        setup.allow(BOB, position=0, address="127.0.0.0/8")
        setup.api.post(USERS, {"user": "alice", "secret": SECRET})
        setup.api.post("/v1/portal-groups", {"tag": 2, "portals": ["127.0.0.1:0"]})
        setup.api.patch("/v1/portal-groups/2", {"alua_state": "standby"})
        before = [setup.api.get(path) for path in (RULES, USERS)]
    second = setup.daemon().start()
    assert [setup.api.get(path) for path in (RULES, USERS)] == before
    setup.api.post(USERS, {"user": "bob", "secret": OTHER_SECRET})
    before = [setup.api.get(path) for path in (RULES, USERS)]
    second.kill()
    orphan = setup.folder / "state" / "secrets" / ("ab" * 16)
    orphan.write_text("of a change that never was\n")
    with setup.daemon():
        assert [setup.api.get(path) for path in (RULES, USERS)] == before
        assert setup.api.get("/v1/portal-groups/2")["alua_state"] == "standby"
        assert len(setup.secrets()) == 2 and not orphan.exists()
        chap.login(setup.address, MADE, "bob", OTHER_SECRET.encode(), initiator=BOB).close()


def test_what_config_shows_can_be_loaded_and_says_the_same(setup):
    """A round trip is the identity; secrets go by the names of their files."""
    with setup.daemon():
        setup.make(access="list", auth="chap")
        setup.allow(ALICE, luns=[0], address="127.0.0.1", read_only=True)
        setup.api.post(USERS, {"user": "alice", "secret": SECRET})
        setup.api.post("/v1/portal-groups", {"tag": 2, "portals": ["127.0.0.1:0"], "alua_state": "standby"})
        shown = setup.api.raw("GET", "/v1/config?format=libconfig")[2].decode()
        before = [setup.api.get(path) for path in (RULES, USERS)]
    (setup.folder / "state" / "state.conf").unlink()
    setup.path.write_text(shown)
    with setup.daemon():
        assert setup.api.raw("GET", "/v1/config?format=libconfig")[2].decode() == shown
        assert [setup.api.get(path) for path in (RULES, USERS)] == before
        chap.login(setup.address, MADE, "alice", SECRET.encode(), initiator=ALICE).close()
        setup.api.post("/v1/targets", {"name": MADE + "2"})
        assert len(setup.secrets()) == 1, "the file refers to it now"


# ---- Secrets among the options of a plugin ----

VAULT = r"""
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tgtkit/plugin.h>
static int vault_open(const struct tgtkit_open_args *args, void **handle, struct tgtkit_capabilities *capabilities,
                      struct tgtkit_error *error)
{
    if (!args->values[0].is_set || strcmp(args->values[0].as.string, "open sesame 4711")) {
        snprintf(error->message, sizeof(error->message), "the token is wrong");
        return -EACCES;
    }
    capabilities->size_bytes = 1 << 20;
    *handle = calloc(1, 1 << 20);
    return *handle ? 0 : -ENOMEM;
}
static int vault_pread(void *handle, void *buffer, size_t length, uint64_t offset)
{
    memcpy(buffer, (const char *)handle + offset, length);
    return 0;
}
static int vault_pwrite(void *handle, const void *buffer, size_t length, uint64_t offset, uint32_t flags)
{
    (void)flags;
    memcpy((char *)handle + offset, buffer, length);
    return 0;
}
static const char *const prefixes[] = {"vault", NULL};
static const struct tgtkit_option options[] = {
    {.key = "token", .type = TGTKIT_OPTION_STRING, .flags = TGTKIT_OPTION_SECRET, .help = "what opens it"},
    {.key = "colour", .type = TGTKIT_OPTION_STRING, .help = "of no meaning"}, {.key = NULL}};
static const struct tgtkit_blocking blocking = {.size = sizeof(blocking), .pread = vault_pread, .pwrite = vault_pwrite};
static const struct tgtkit_plugin plugin = {
    .size = sizeof(plugin), .abi_major = TGTKIT_ABI_MAJOR, .abi_minor = TGTKIT_ABI_MINOR, .name = "vault",
    .version = "1", .description = "needs a token", .prefixes = prefixes, .options = options, .open = vault_open,
    .close = free, .blocking = &blocking};
const struct tgtkit_plugin *tgtkit_plugin_v1(const struct tgtkit_host *host) { (void)host; return &plugin; }
"""
TOKEN = "open sesame 4711"


@pytest.fixture(scope="session")
def vault(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vault") / "plugins"
    folder.mkdir(mode=0o755)
    outside.Development(tmp_path_factory.mktemp("vault-development")).compile_plugin(VAULT, folder / "vault.so")
    (folder / "vault.c").unlink()
    return folder


def test_secret_options_of_a_lun_are_kept_in_files(setup, vault):
    luns = api.target_path(MADE) + "/luns"
    with setup.daemon(plugin_folders=[vault]) as one:
        setup.make()
        setup.api.post(luns, {"path": "vault:a", "options": {"token": TOKEN, "colour": "red"}})
        # By POST of a target, too; and what is refused leaves nothing behind.
        setup.api.post("/v1/targets", {"name": MADE + "2", "luns": [
            {"lun": 0, "path": "b", "backend": "vault", "options": {"token": TOKEN}}]})
        assert len(setup.secrets()) == 2
        for options in ({"token": "open says me 0815"}, {"token": 4711}, {"token": ""}):
            _, answer = setup.api.call("POST", luns, {"path": "vault:c", "options": options}, 422)
            assert "says me" not in json.dumps(answer)
        assert len(setup.secrets()) == 2
        seen = everything_that_can_be_seen(setup, one.log())
        assert TOKEN not in seen and "says me" not in seen and "option_files" in setup.kept() and "red" in setup.kept()
        shown = setup.api.raw("GET", "/v1/config?format=libconfig")[2].decode()
    with setup.daemon(plugin_folders=[vault]):
        assert setup.api.get(luns + "/1")["state"] == "online"
        assert setup.api.raw("GET", "/v1/config?format=libconfig")[2].decode() == shown
        setup.api.delete(api.target_path(MADE))
        setup.api.delete(api.target_path(MADE + "2"))
        assert setup.secrets() == []


def test_secrets_that_an_older_version_left_in_the_state_move_out_of_it(setup, vault):
    state = setup.folder / "state"
    state.mkdir(mode=0o750)
    (state / "state.conf").write_text(libconfig.dumps({"targets": [daemon.target(
        {"path": "vault:a", "options": {"token": TOKEN}}, name=MADE)]}))
    with setup.daemon(plugin_folders=[vault]):
        setup.api.post("/v1/targets", {"name": MADE + "2"})
        assert TOKEN not in setup.kept() and len(setup.secrets()) == 1
    with setup.daemon(plugin_folders=[vault]):
        assert setup.api.get(api.lun_path(MADE, 0))["state"] == "online"


def test_option_files_in_the_administrators_file(setup, vault):
    token = setup.folder / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    setup.targets.append(daemon.target({"path": "vault:a", "option_files": {"token": str(token)}}, name=MADE))
    setup.write()
    with setup.daemon(plugin_folders=[vault]):
        assert setup.api.get(api.lun_path(MADE, 0))["state"] == "online"
        assert setup.api.post("/v1/config?reload", want=200)["results"] == []
    token.chmod(0o644)
    status, output = daemon.check_configuration(setup.path, [vault])
    assert status == 1 and "option_files.token" in output and "chmod 600" in output
    token.chmod(0o600)
    setup.targets[-1]["luns"][0]["options"] = {"token": "x"}
    setup.write()
    status, output = daemon.check_configuration(setup.path, [vault])
    assert status == 1 and "stands in options, too" in output


# ---- ALUA ----

def states(session):
    """Group tag -> (state, status) by REPORT TARGET PORT GROUPS."""
    data = session.execute(bytes([0xA3, 0x0A, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0]), read_length=1024).expect_good().data_in
    at, found = 4, {}
    while at < 4 + int.from_bytes(data[:4], "big"):
        found[int.from_bytes(data[at + 2:at + 4], "big")] = (data[at] & 0x0F, data[at + 5])
        at += 8 + 4 * data[at + 7]
    return found


def set_state(session, tag, state):
    body = bytes(4) + bytes([state, 0]) + tag.to_bytes(2, "big")
    session.execute(bytes([0xA4, 0x0A, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0]), body).expect_good()


def test_a_state_of_the_api_is_told_and_obeyed_at_once(running):
    port = ports.free_port()
    running.api.post("/v1/portal-groups", {"tag": 2, "portals": [f"127.0.0.1:{port}"], "alua_state": "standby"})
    running.make(portal_groups=[1, 2])
    with running.login() as first, Session(("127.0.0.1", port), MADE, initiator=ALICE) as second:
        first.settle()
        second.execute(scsi.inquiry(), read_length=255).expect_good()
        second.execute(scsi.test_unit_ready())
        second.execute(scsi.read16(0, 1), read_length=512).expect_sense(2, 0x04, 0x0B)
        assert {tag: state for tag, (state, _) in states(first).items()} == {1: 0, 2: 2}
        assert running.api.patch("/v1/portal-groups/2", {"alua_state": "active/non-optimized"})["alua_state"] == \
            "active/non-optimized"
        assert STATE_CHANGED in first.settle() and STATE_CHANGED in second.settle()
        second.read(0, 1)
        assert states(first)[2][0] == 1
        running.api.patch("/v1/portal-groups/2", {"alua_state": "unavailable"})
        first.settle()
        second.execute(scsi.test_unit_ready())
        second.execute(scsi.read16(0, 1), read_length=512).expect_sense(2, 0x04, 0x0C)
        first.read(0, 1)


def test_what_an_initiator_has_set_stays_until_the_administrator_says_otherwise(running):
    running.make()
    with running.login() as session:
        session.settle()
        set_state(session, 1, 1)
        running.api.post("/v1/targets", {"name": MADE + "2"})  # a change of something else
        assert states(session)[1] == (1, 1) and session.settle() == []
        running.api.patch("/v1/portal-groups/1", {"alua_state": "active/optimized"})
        assert STATE_CHANGED in session.settle() and states(session)[1][0] == 0


def test_a_group_of_the_file_takes_a_state_until_the_next_start(setup):
    with setup.daemon() as one:
        assert setup.api.get("/v1/portal-groups/1")["alua_state"] == "active/optimized"
        setup.api.patch("/v1/portal-groups/1", {"alua_state": "active/non-optimized"})
        with setup.login(target=BUSY) as session:
            session.settle()
            assert states(session)[1][0] == 1
            setup.api.post("/v1/targets", {"name": MADE})
            setup.api.post("/v1/config?reload", want=200)
            assert setup.api.get("/v1/portal-groups/1")["alua_state"] == "active/non-optimized"
            assert states(session)[1][0] == 1 and session.settle() == []
            text = setup.path.read_text().replace("tag = 1;", 'tag = 1; alua_state = "standby";')
            setup.path.write_text(text)
            (result,) = setup.api.post("/v1/config?reload", want=200)["results"]
            assert (result["object"], result["keys"]) == ("portal group 1", ["alua_state"])
            assert setup.api.get("/v1/portal-groups/1")["alua_state"] == "standby"
            session.execute(scsi.test_unit_ready())
            session.execute(scsi.read16(0, 1), read_length=512).expect_sense(2, 0x04, 0x0B)
        one.assert_alive()
    with setup.daemon():
        assert setup.api.get("/v1/portal-groups/1")["alua_state"] == "standby"


# ---- Bad input ----

@pytest.mark.parametrize("path, body, status", [
    ("initiators", "{", 400), ("initiators", "[]", 400), ("initiators", {"name": 5}, 422), ("initiators", {"name": ""}, 422),
    ("initiators", {"name": None}, 422), ("initiators", {"name": "a\nb"}, 422), ("initiators", {"adress": "::1"}, 422),
    ("initiators", {"address": "10.0.0.1/8"}, 422), ("initiators", {"address": "10.0.0.0/33"}, 422),
    ("initiators", {"address": "::/129"}, 422), ("initiators", {"address": 10}, 422),
    ("initiators", {"address": "host.example.org"}, 422), ("initiators", {"luns": 0}, 422),
    ("initiators", {"luns": []}, 422), ("initiators", {"luns": [7]}, 422), ("initiators", {"luns": ["0"]}, 422),
    ("initiators", {"read_only": 1}, 422), ("initiators", {"position": 1}, 422), ("initiators", {"position": -1}, 422),
    ("initiators", {"position": "0"}, 422),
    ("users", "nonsense", 400), ("users", {}, 422), ("users", {"user": "alice"}, 422),
    ("users", {"user": "alice", "secret": "too short"}, 422), ("users", {"user": "alice", "secret": "x" * 256}, 422),
    ("users", {"user": "alice", "secret": "x" * 5000}, 422), ("users", {"user": "alice", "secret": "0xzz"}, 422),
    ("users", {"user": "alice", "secret": 123456789012}, 422), ("users", {"user": "alice", "secret": "a\nb" * 6}, 422),
    ("users", {"user": "alice", "secret": ["x" * 16]}, 422), ("users", {"user": "", "secret": SECRET}, 422),
    ("users", {"user": "x" * 256, "secret": SECRET}, 422), ("users", {"user": 1, "secret": SECRET}, 422),
    ("users", {"user": "alice", "secret": SECRET, "secret_file": "/x"}, 422),
    ("users", {"user": "alice", "secret_file": "/nowhere"}, 422),
    ("users", {"user": "alice", "secret": SECRET, "initiator": 5}, 422),
    ("users", {"user": "alice", "secret": SECRET, "mutual": "yes"}, 422),
    ("users", {"user": "alice", "secret": SECRET, "mutual": True, "initiator": "*"}, 422),
    ("users", {"user": "alice", "secret": SECRET, "admin": True}, 422),
])
def test_bad_bodies_change_nothing(shared, path, body, status):
    before = shared.kept()
    _, answer = shared.api.call("POST", f"{api.target_path(MADE)}/{path}", body, status)
    assert SECRET not in json.dumps(answer)
    assert shared.kept() == before and shared.secrets() == []


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    one = Setup(folder, "null:8M")
    with one.daemon():
        one.make()
        yield one


@pytest.mark.parametrize("method, path", [("GET", "/v1/targets/no%20name/initiators"), ("GET", "/v1/targets/x/users"),
                                          ("POST", "/v1/targets/x/users"), ("DELETE", "/v1/targets/x/users?user=a")])
def test_targets_that_are_none(shared, method, path):
    body = {"user": "a", "secret": SECRET} if method == "POST" else None
    shared.api.call(method, path, body, 404)
    shared.api.call(method, path.replace("x", "%00"), body, 400 if "x/" in path else 404)


def test_many_changes_at_once_are_all_made_or_refused_one_by_one(running):
    results = []
    running.make(access="list")

    def work(number):
        results.append(running.api.call("POST", RULES, {"name": f"iqn.*:{number % 4}"})[0])
        results.append(running.api.call("POST", USERS, {"user": f"u{number % 4}", "secret": SECRET})[0])

    workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(results) == [201] * 8 + [409] * 8
    assert sorted(one["name"] for one in running.api.get(RULES)["initiators"]) == [f"iqn.*:{n}" for n in range(4)]
    assert len(running.secrets()) == 4


def test_a_secret_that_cannot_be_kept_changes_nothing(running):
    running.make(auth="chap")
    running.api.post(USERS, {"user": "alice", "secret": SECRET})
    before, kept = running.api.get(USERS), running.kept()
    folder = running.folder / "state"
    shutil.move(folder / "secrets", folder / "aside")
    (folder / "secrets").write_text("no folder")
    _, answer = running.api.call("POST", USERS, {"user": "bob", "secret": OTHER_SECRET}, 500)
    assert answer["error"]["code"] == "state_not_kept" and "secrets" in answer["error"]["message"]
    assert running.api.get(USERS) == before and running.kept() == kept
    (folder / "secrets").unlink()
    shutil.move(folder / "aside", folder / "secrets")
    running.api.post(USERS, {"user": "bob", "secret": OTHER_SECRET})
    chap.login(running.address, MADE, "bob", OTHER_SECRET.encode()).close()


def test_a_full_disk_refuses_and_rolls_back(tmp_path, make_image):
    """The state folder on a file system of its own that is full: in a mount namespace of the daemon's."""
    setup = Setup(tmp_path, make_image("busy.img", 8 << 20))
    state = tmp_path / "state"
    state.mkdir()
    wrapper = [tools.find("unshare"), "-m", "sh", "-c",
               f"mount -t tmpfs -o size=64k,mode=0750 tmpfs {state} && exec \"$@\"", "sh"]
    with setup.daemon(wrapper=wrapper) as one:
        inside = pathlib.Path(f"/proc/{one.pid}/root") / state.relative_to("/")
        setup.make(access="list", auth="chap")
        setup.allow(ALICE)
        setup.api.post(USERS, {"user": "alice", "secret": SECRET})
        before = [setup.api.get(path) for path in (RULES, USERS)]
        kept = (inside / "state.conf").read_text()
        fill(inside / "filler")
        for path, body in ((USERS, {"user": "bob", "secret": OTHER_SECRET}), (RULES, {"name": BOB})):
            _, answer = setup.api.call("POST", path, body, 500)
            assert answer["error"]["code"] == "state_not_kept" and "No space left" in answer["error"]["message"]
        assert [setup.api.get(path) for path in (RULES, USERS)] == before
        assert (inside / "state.conf").read_text() == kept and len(list((inside / "secrets").iterdir())) == 1
        assert setup.refusal(BOB) == AUTHENTICATION_FAILED
        (inside / "filler").unlink()
        setup.allow(BOB)
        setup.api.post(USERS, {"user": "bob", "secret": OTHER_SECRET})
        chap.login(setup.address, MADE, "bob", OTHER_SECRET.encode(), initiator=BOB).close()


def fill(path):
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 512)
        except OSError:
            return
