# SPDX-License-Identifier: Apache-2.0
"""Access rules: which initiator, from which address, sees which target and which of its LUNs, and may write to them."""

import contextlib
import re
import socket

import pytest
from lib import chap, daemon, scsi, tools
from lib.initiator import LoginError, Session

FORBIDDEN, AUTHENTICATION_FAILED = 0x0202, 0x0201
NAMES = {name: f"iqn.2026-11.org.example:{name}" for name in
         ("open", "by-name", "by-address", "by-address6", "masked", "nobody", "chap")}
DEBIAN, OTHER = "iqn.1993-08.org.debian:01:abc", "iqn.1991-05.com.microsoft:host"
SECRET = b"a secret of alice"
WRITE_PROTECTED = (scsi.DATA_PROTECT, 0x27, 0x00)


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("access")
    (folder / "alice").write_bytes(SECRET)
    (folder / "alice").chmod(0o600)
    three = ["null:1M", "null:2M", "null:3M"]

    def target(name, *luns, rules, **settings):
        return daemon.target(*luns, name=NAMES[name], access="list", initiators=rules, **settings)

    targets = [
        daemon.target("null:64M", name=NAMES["open"]),
        target("by-name", "null:64M", rules=[{"name": "iqn.1993-08.org.debian:*"}, {"name": "iqn.????-05.*:host"}]),
        target("by-address", "null:64M", rules=[{"address": "10.0.0.0/8"}, {"address": "127.0.0.0/8"}]),
        target("by-address6", "null:64M", rules=[{"address": "2001:db8::/32"}, {"address": "::1"}]),
        target("masked", *three, {"path": "null:4M", "read_only": True}, rules=[
            {"name": "*:one", "luns": (0,)}, {"name": "*:last", "luns": (1, 2, 3)},
            {"name": "*:reader", "read_only": True}, {"name": "*:reader-of-one", "luns": [2], "read_only": True},
            {"name": "*:both", "address": "192.0.2.1", "luns": [0]}, {"name": "*:both", "luns": [1]},
            {"name": "*:all"}]),
        target("nobody", "null:64M", rules=[]),
        target("chap", "null:64M", rules=[{"name": DEBIAN}], auth="chap",
               users=[{"user": "alice", "secret_file": str(folder / "alice")}]),
    ]
    hosts = ("127.0.0.1", "::1") if has_ipv6() else ("127.0.0.1",)
    with daemon.serve_targets(folder, *targets, hosts=hosts) as running:
        yield running


def login(running, target, initiator, address=None):
    return Session(address or running.address, NAMES[target], initiator=initiator)


def refusal(running, target, initiator, address=None):
    with pytest.raises(LoginError) as refused:
        login(running, target, initiator, address).close()
    return refused.value.status


def discovered(running, initiator, address=None, which="All"):
    with Session(address or running.address, initiator=initiator) as session:
        return {name for name, _ in session.send_targets(which)}


# ---- Who gets in ----

@pytest.mark.parametrize("initiator", [DEBIAN, OTHER, DEBIAN.upper()])
def test_a_name_that_a_rule_matches_is_let_in(guarded, initiator):
    with login(guarded, "by-name", initiator) as session:
        session.settle()


@pytest.mark.parametrize("initiator", ["iqn.1993-08.org.debian", "iqn.1993-09.org.debian:01:abc", "x" + DEBIAN,
                                       "iqn.199-05.com.microsoft:host", "iqn.1991-05.com.microsoft:hosts"])
def test_a_name_that_no_rule_matches_is_forbidden(guarded, initiator):
    assert refusal(guarded, "by-name", initiator) == FORBIDDEN


def test_an_address_decides(guarded):
    with login(guarded, "by-address", OTHER) as session:
        session.settle()
    assert refusal(guarded, "by-address6", OTHER) == FORBIDDEN


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_an_ipv6_address_decides(guarded):
    with login(guarded, "by-address6", OTHER, guarded.addresses[1]) as session:
        session.settle()
    assert refusal(guarded, "by-address", OTHER, guarded.addresses[1]) == FORBIDDEN


def test_a_list_without_a_rule_admits_nobody(guarded):
    assert refusal(guarded, "nobody", DEBIAN) == FORBIDDEN


def test_who_has_authenticated_may_still_be_forbidden(guarded):
    """And whoever has not learns nothing about the rules."""
    address, target = guarded.address, NAMES["chap"]
    with chap.login(address, target, "alice", SECRET, initiator=DEBIAN) as session:
        session.settle()
    for initiator, secret, status in ((OTHER, SECRET, FORBIDDEN), (OTHER, b"some other secret", AUTHENTICATION_FAILED),
                                      (DEBIAN, b"some other secret", AUTHENTICATION_FAILED)):
        with pytest.raises(LoginError) as refused:
            chap.login(address, target, "alice", secret, initiator=initiator)
        assert refused.value.status == status


def test_a_refusal_is_logged_with_name_and_address(guarded):
    assert refusal(guarded, "nobody", "iqn.2000-01.com.example:intruder") == FORBIDDEN
    line = guarded.wait_for_log("0202.*|intruder")
    assert "127.0.0.1" in line


# ---- What is seen ----

def test_sendtargets_shows_what_the_initiator_may_use(guarded):
    everybody = {NAMES["open"], NAMES["by-address"]}
    assert discovered(guarded, "iqn.2000-01.com.example:x") == everybody
    assert discovered(guarded, OTHER) == everybody | {NAMES["by-name"]}
    assert discovered(guarded, DEBIAN) == everybody | {NAMES["by-name"], NAMES["chap"]}
    assert discovered(guarded, "iqn.2000-01.com.example:one") == everybody | {NAMES["masked"]}


def test_sendtargets_of_a_name_tells_no_more_than_all(guarded):
    assert discovered(guarded, OTHER, which=NAMES["nobody"]) == set()
    assert discovered(guarded, OTHER, which=NAMES["by-name"]) == {NAMES["by-name"]}


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_sendtargets_goes_by_the_address_too(guarded):
    assert discovered(guarded, OTHER, guarded.addresses[1]) == {NAMES["open"], NAMES["by-name"], NAMES["by-address6"]}


@pytest.mark.parametrize("name, luns", [("one", [0]), ("last", [1, 2, 3]), ("reader", [0, 1, 2, 3]),
                                        ("reader-of-one", [2]), ("both", [1]), ("all", [0, 1, 2, 3])])
def test_report_luns_shows_what_the_first_matching_rule_leaves(guarded, name, luns):
    with login(guarded, "masked", f"iqn.2000-01.com.example:{name}") as session:
        for lun in luns:
            session.settle(lun)
        well_known = b"\xc1\x01" + bytes(6)
        for address in (0, well_known):
            task = session.execute(scsi.report_luns(), read_length=4096, lun=address).expect_good()
            assert scsi.decode_luns(task.data_in) == luns


def test_a_hidden_lun_is_not_there(guarded):
    with login(guarded, "masked", "iqn.2000-01.com.example:last") as session:
        session.settle(1)
        session.execute(scsi.read16(0, 1), read_length=512, lun=0).expect_sense(scsi.ILLEGAL_REQUEST, 0x25, 0)
        session.execute(scsi.write16(0, 1), bytes(512), lun=0).expect_sense(scsi.ILLEGAL_REQUEST, 0x25, 0)
        assert session.inquiry(lun=0)[0] == 0x7F, "LUN 0 answers INQUIRY as one that is not there"


@pytest.mark.parametrize("name, lun, writes", [("one", 0, True), ("reader", 0, False), ("reader-of-one", 2, False),
                                               ("last", 3, False), ("last", 2, True), ("all", 3, False)])
def test_read_only_is_the_rules_or_the_luns(guarded, name, lun, writes):
    with login(guarded, "masked", f"iqn.2000-01.com.example:{name}") as session:
        session.settle(lun)
        session.read(0, 1, lun=lun)
        task = session.execute(scsi.write16(0, 1), bytes(512), lun=lun)
        mode = session.execute(scsi.mode_sense6(), read_length=255, lun=lun).expect_good().data_in
        assert bool(mode[2] & 0x80) is not writes, "the WP bit"
        if writes:
            task.expect_good()
        else:
            task.expect_sense(*WRITE_PROTECTED)


def test_libiscsi_sees_the_same(guarded):
    host, port = guarded.address
    # It tries every target at every portal, and gives up where a rule refuses its address there.
    listed = tools.run("iscsi-ls", "-i", "iqn.2000-01.com.example:one", "-s", f"iscsi://{host}:{port}",
                       check=False).stdout
    assert NAMES["masked"] in listed and NAMES["open"] in listed and NAMES["nobody"] not in listed
    masked = listed.split(NAMES["masked"])[1].split("Target:")[0]
    assert re.findall(r"Lun:(\d+)", masked) == ["0"]


# ---- Configurations that are wrong ----

@pytest.mark.parametrize("rule, key, said", [
    ({"address": "10.0.0.1/8"}, "address", "10.0.0.1/8"), ({"address": "10.0.0.0/33"}, "address", "10.0.0.0/33"),
    ({"address": "host.example.org"}, "address", "host.example.org"), ({"address": "2001:db8::1/32"}, "address", "db8"),
    ({"luns": [7]}, "luns", "no LUN 7"), ({"luns": []}, "luns", "empty"), ({"luns": ["0"]}, "luns", "item 0"),
    ({"luns": 0}, "luns", "must be an array or list"), ({"luns": [99999]}, "luns", "16383"),
    ({"read_only": 1}, "read_only", "true or false"), ({"nmae": "x"}, "nmae", "unknown key"),
    ({"name": ""}, "name", "empty"), ({"name": 5}, "name", "string"),
])
def test_an_error_in_a_rule_is_named(tmp_path, rule, key, said):
    target = daemon.target("null:1M", access="list", initiators=[rule])
    path = daemon.write_configuration(tmp_path, daemon.configuration(tmp_path, [target], [("127.0.0.1", 1)]))
    status, output = daemon.check_configuration(path)
    assert status == 1
    assert re.search(rf"{re.escape(str(path))}:\d+: targets\[0\]\.initiators\[0\]\.{key}: .*{re.escape(said)}",
                     output), output


@pytest.mark.parametrize("settings, key", [
    ({"auth": "kerberos"}, "auth"), ({"auth": True}, "auth"), ({"access": "some"}, "access"),
    ({"users": {}}, "users"), ({"users": ["alice"]}, "users[0]"), ({"users": [{"user": "a"}]}, "users[0].secret_file"),
    ({"users": [{"secret_file": "/x"}]}, "users[0].user"), ({"mutual": {"user": "a"}}, "mutual.secret_file"),
    ({"mutual": {"user": "a", "secret_file": "/x", "initiator": "*"}}, "mutual.initiator"),
    ({"mutual": []}, "mutual"), ({"chap_algorithms": ["md4"]}, "chap_algorithms"),
    ({"chap_algorithms": ["md5", "md5"]}, "chap_algorithms"), ({"initiators": {}}, "initiators"),
    ({"users": [{"user": "x" * 256, "secret_file": "/x"}]}, "users[0].user"),
])
def test_an_error_of_authentication_or_access_is_named(tmp_path, settings, key):
    target = daemon.target("null:1M", **settings)
    path = daemon.write_configuration(tmp_path, daemon.configuration(tmp_path, [target], [("127.0.0.1", 1)]))
    status, output = daemon.check_configuration(path)
    assert status == 1
    assert re.search(rf"{re.escape(str(path))}:\d+: targets\[0\]\.{re.escape(key)}: ", output), output


@pytest.mark.parametrize("settings, key", [({"auth": "x"}, "auth"), ({"users": [{"user": "d"}]}, "users[0].secret_file"),
                                           ({"frobnicate": 1}, "frobnicate")])
def test_an_error_of_discovery_is_named(tmp_path, settings, key):
    path = daemon.write_configuration(tmp_path, daemon.configuration(
        tmp_path, [daemon.target("null:1M")], [("127.0.0.1", 1)], discovery=settings))
    status, output = daemon.check_configuration(path)
    assert status == 1
    assert re.search(rf"{re.escape(str(path))}:\d+: discovery\.{re.escape(key)}: ", output), output
