# SPDX-License-Identifier: Apache-2.0
"""CHAP (RFC 7143 section 12.1.3): who is let in, by which algorithm, and every way to be refused."""

import base64
import contextlib
import os
import re

import pytest
from lib import chap, daemon, pdu, scsi, tools
from lib.connection import Connection
from lib.initiator import FULL_FEATURE, LINUX_KEYS, OPERATIONAL, SECURITY, LoginError, Session

SECRET, MUTUAL_SECRET, OTHER_SECRET = b"a secret of alice", b"the target's secret", b"a secret of bob's"
DISCOVERY_SECRET = b"for discovery only"
OPEN_TARGET, MD5_TARGET, EMPTY_TARGET = (f"iqn.2026-11.org.example:{name}" for name in ("open", "md5", "empty"))
INITIATOR_ERROR, AUTHENTICATION_FAILED, MISSING_PARAMETER, OUT_OF_ORDER = 0x0200, 0x0201, 0x0207, 0x020B


def secret_file(folder, name, content, mode=0o600):
    path = folder / name
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


@pytest.fixture(scope="module")
def protected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chap")
    alice = {"user": "alice", "secret_file": secret_file(folder, "alice", SECRET + b"\n")}
    bob = {"user": "bob", "secret_file": secret_file(folder, "bob", OTHER_SECRET), "initiator": "iqn.2000-01.*"}
    mutual = {"user": "disk1", "secret_file": secret_file(folder, "mutual", MUTUAL_SECRET)}
    targets = [
        daemon.target("null:64M", auth="chap", users=[alice, bob], mutual=mutual),
        daemon.target("null:64M", name=OPEN_TARGET),
        daemon.target("null:64M", name=MD5_TARGET, auth="chap", users=[alice], chap_algorithms=["md5", "sha256"]),
        daemon.target("null:64M", name=EMPTY_TARGET, auth="chap"),
    ]
    discovery = {"auth": "chap", "users": [{"user": "d", "secret_file": secret_file(folder, "d", DISCOVERY_SECRET)}],
                 "mutual": mutual}
    with daemon.serve_targets(folder, *targets, discovery=discovery, login_timeout_s=5) as running:
        yield running


def refusal(attempt, *arguments, **options):
    with pytest.raises(LoginError) as refused:
        attempt(*arguments, **options).close()
    return refused.value.status


# ---- Let in ----

@pytest.mark.parametrize("mutual", [None, MUTUAL_SECRET], ids=["one way", "mutual"])
@pytest.mark.parametrize("encode", [chap.to_hex, chap.to_base64], ids=["hex", "base64"])
@pytest.mark.parametrize("algorithm", chap.ALL)
def test_each_algorithm_lets_the_right_secret_in(protected, algorithm, encode, mutual):
    with chap.login(protected.address, daemon.TARGET, "alice", SECRET, mutual, [algorithm], encode) as session:
        assert session.chap_algorithm == algorithm
        assert session.target_user == (mutual and "disk1")
        session.settle()
        session.write(0, bytes(4096))
        assert session.read(0, 8) == bytes(4096)


@pytest.mark.parametrize("target, offered, chosen", [
    (daemon.TARGET, [5, 6, 7, 8], 8), (daemon.TARGET, [5, 6, 7], 7), (daemon.TARGET, [5, 6], 6),
    (MD5_TARGET, [8, 7, 6, 5], 5), (MD5_TARGET, [8, 7], 7), (daemon.TARGET, [1, 99, 6, 12], 6),
])
def test_the_configured_order_chooses_among_the_offered_algorithms(protected, target, offered, chosen):
    with chap.login(protected.address, target, "alice", SECRET, None, offered) as session:
        assert session.chap_algorithm == chosen


def test_a_user_for_certain_initiators_is_let_in_from_those_alone(protected):
    with chap.login(protected.address, daemon.TARGET, "bob", OTHER_SECRET, initiator="iqn.2000-01.com.example:x"):
        pass
    assert refusal(chap.login, protected.address, daemon.TARGET, "bob", OTHER_SECRET) == AUTHENTICATION_FAILED


def test_a_target_without_chap_asks_nobody(protected):
    with Session(protected.address, OPEN_TARGET) as session:
        session.settle()
    with Session(protected.address, OPEN_TARGET, security_stage=True) as session:
        session.settle()


def test_challenges_and_identifiers_differ(protected):
    seen = set()
    for _ in range(50):
        with Session(protected.address, daemon.TARGET, login=False) as session:
            challenge = chap.ask_for_challenge(session, [chap.MD5])
            assert len(challenge.bytes) >= 16
            seen.add(challenge.bytes)
    assert len(seen) == 50


@pytest.mark.parametrize("name, content, secret", [
    ("12 bytes", b"x" * 12, b"x" * 12), ("255 bytes", b"y" * 255, b"y" * 255),
    ("one newline is dropped", b"twelve bytes\n", b"twelve bytes"),
    ("only one", b"twelve bytes\n\n", b"twelve bytes\n"), ("blanks stay", b" twelve bytes ", b" twelve bytes "),
    ("every byte but the last newline", bytes(range(1, 255)) + b"\0\n", bytes(range(1, 255)) + b"\0"),
    ("hex", b"0x" + bytes(range(256))[:255].hex().encode() + b"\n", bytes(range(255))),
    ("base64", b"base64:" + base64.b64encode(bytes(range(1, 256))) + b"\n", bytes(range(1, 256))),
])
def test_a_secret_of_any_bytes(tmp_path, name, content, secret):
    user = {"user": 'a user "with" \\ spaces', "secret_file": secret_file(tmp_path, "secret", content)}
    with daemon.serve_targets(tmp_path, daemon.target("null:1M", auth="chap", users=[user])) as running:
        with chap.login(running.address, daemon.TARGET, user["user"], secret) as session:
            session.settle()
        wrong = bytes([secret[0] ^ 1]) + secret[1:]
        assert refusal(chap.login, running.address, daemon.TARGET, user["user"], wrong) == AUTHENTICATION_FAILED


# ---- Refused: 0201 ----

@pytest.mark.parametrize("user, secret", [
    ("alice", b"a secret of alicE"), ("alice", b"a secret of alice\n"), ("Alice", SECRET), ("alic", SECRET),
    ("alice ", SECRET), ("mallory", SECRET), ("alice", OTHER_SECRET), ("disk1", MUTUAL_SECRET),
])
def test_a_wrong_name_or_secret_is_refused(protected, user, secret):
    assert refusal(chap.login, protected.address, daemon.TARGET, user, secret) == AUTHENTICATION_FAILED


def test_a_target_with_chap_and_no_user_admits_nobody(protected):
    assert refusal(chap.login, protected.address, EMPTY_TARGET, "alice", SECRET) == AUTHENTICATION_FAILED
    assert refusal(Session, protected.address, EMPTY_TARGET) == AUTHENTICATION_FAILED


def first_answer(protected, keys, csg=SECURITY, nsg=OPERATIONAL, target=daemon.TARGET, **options):
    with Session(protected.address, target, login=False) as session:
        return session.exchange_login({**session.first_login_keys(), **keys}, csg, nsg, **options).status


@pytest.mark.parametrize("keys, csg, nsg", [
    (LINUX_KEYS, OPERATIONAL, FULL_FEATURE), ({}, OPERATIONAL, FULL_FEATURE), ({}, SECURITY, OPERATIONAL),
    ({}, SECURITY, FULL_FEATURE), ({"AuthMethod": "None"}, SECURITY, OPERATIONAL),
    ({"AuthMethod": "KRB5,SRP,None"}, SECURITY, OPERATIONAL), ({"AuthMethod": "chap"}, SECURITY, OPERATIONAL),
])
def test_a_skipped_security_stage_or_no_acceptable_method_is_refused(protected, keys, csg, nsg):
    assert first_answer(protected, keys, csg, nsg) == AUTHENTICATION_FAILED


@pytest.mark.parametrize("algorithms", [[1], [9, 10], [0]])
def test_no_acceptable_algorithm_is_refused(protected, algorithms):
    assert refusal(chap.login, protected.address, daemon.TARGET, "alice", SECRET,
                   algorithms=algorithms) == AUTHENTICATION_FAILED


def test_mutual_authentication_that_is_not_configured_is_refused(protected):
    assert refusal(chap.login, protected.address, MD5_TARGET, "alice", SECRET, MUTUAL_SECRET) == AUTHENTICATION_FAILED


def test_a_reflected_challenge_is_refused(protected):
    """Who asks the target its own question on the same connection would get the answer to it."""
    with Session(protected.address, daemon.TARGET, login=False) as session:
        challenge = chap.ask_for_challenge(session)
        keys = {**challenge.answer("alice", SECRET), "CHAP_I": challenge.identifier,
                "CHAP_C": chap.to_hex(challenge.bytes)}
        with pytest.raises(LoginError) as refused:
            chap.step(session, keys, transit=True)
        assert refused.value.status == AUTHENTICATION_FAILED
        assert "CHAP_R" not in refused.value.response.keys()


def test_the_target_proves_itself_to_nobody_who_has_not(protected):
    with Session(protected.address, daemon.TARGET, login=False) as session:
        challenge = chap.ask_for_challenge(session)
        keys = {**challenge.answer("alice", b"not the secret"), "CHAP_I": 1, "CHAP_C": "0x" + "5a" * 16}
        with pytest.raises(LoginError) as refused:
            chap.step(session, keys, transit=True)
        assert refused.value.status == AUTHENTICATION_FAILED and refused.value.response.data == b""


def test_an_answer_to_an_old_challenge_is_refused(protected):
    with Session(protected.address, daemon.TARGET, login=False) as first:
        overheard = chap.ask_for_challenge(first).answer("alice", SECRET)
        with Session(protected.address, daemon.TARGET, login=False) as second:
            chap.ask_for_challenge(second)
            with pytest.raises(LoginError) as refused:
                chap.step(second, overheard, transit=True)
            assert refused.value.status == AUTHENTICATION_FAILED


@pytest.mark.parametrize("response", ["", "0x", "0xzz", "0b!", "12345", "0x" + "00" * 16, "0x" + "11" * 33,
                                      "0x" + "22" * 1000, "0b" + "A" * 43])
def test_a_response_that_is_none_is_refused(protected, response):
    with Session(protected.address, daemon.TARGET, login=False) as session:
        chap.ask_for_challenge(session)
        with pytest.raises(LoginError) as refused:
            chap.step(session, {"CHAP_N": "alice", "CHAP_R": response}, transit=True)
        assert refused.value.status in (AUTHENTICATION_FAILED, INITIATOR_ERROR)


# ---- Refused: 0207 and 020B, and what else is out of order ----

@pytest.mark.parametrize("absent", ["CHAP_N", "CHAP_R"])
def test_a_missing_key_is_a_missing_parameter(protected, absent):
    with Session(protected.address, daemon.TARGET, login=False) as session:
        keys = chap.ask_for_challenge(session).answer("alice", SECRET)
        del keys[absent]
        with pytest.raises(LoginError) as refused:
            chap.step(session, keys, transit=True)
        assert refused.value.status == MISSING_PARAMETER


@pytest.mark.parametrize("given", [{"CHAP_I": 1}, {"CHAP_C": "0x" + "77" * 16}])
def test_half_a_question_back_is_a_missing_parameter(protected, given):
    with Session(protected.address, daemon.TARGET, login=False) as session:
        keys = chap.ask_for_challenge(session).answer("alice", SECRET)
        with pytest.raises(LoginError) as refused:
            chap.step(session, {**keys, **given}, transit=True)
        assert refused.value.status == MISSING_PARAMETER


def test_no_algorithm_is_a_missing_parameter(protected):
    with Session(protected.address, daemon.TARGET, login=False) as session:
        chap.step(session, {**session.first_login_keys(), "AuthMethod": "CHAP"})
        with pytest.raises(LoginError) as refused:
            chap.step(session, {})
        assert refused.value.status == MISSING_PARAMETER


@pytest.mark.parametrize("keys", [{"AuthMethod": "CHAP", "CHAP_A": "5"}, {"CHAP_R": "0x00", "CHAP_N": "alice"}])
def test_keys_before_their_time_are_refused(protected, keys):
    assert first_answer(protected, keys) == INITIATOR_ERROR


@pytest.mark.parametrize("sent", ["command", "operational stage", "full feature phase"])
def test_leaving_the_security_stage_early_is_out_of_order(protected, sent):
    with Session(protected.address, daemon.TARGET, login=False) as session:
        chap.ask_for_challenge(session)
        if sent == "command":
            session.connection.send(pdu.ScsiCommand(cdb=scsi.test_unit_ready(), initiator_task_tag=1))
            answer = session.connection.receive()
        else:
            stages = (OPERATIONAL, FULL_FEATURE) if sent == "operational stage" else (FULL_FEATURE, FULL_FEATURE)
            session.connection.send(session.prepare_login({}, *stages))
            answer = session.connection.receive()
        assert answer.status == OUT_OF_ORDER


def test_nothing_is_done_for_those_who_have_not_authenticated(protected):
    for request in (pdu.ScsiCommand(cdb=scsi.read16(0, 1), read=1, expected_data_transfer_length=512),
                    pdu.TextRequest(data=b"SendTargets=All\0"), pdu.NopOut(), pdu.TaskManagementRequest(function=6)):
        with Connection(protected.address) as connection:
            request.initiator_task_tag = 1
            connection.send(request)
            assert [answer.status for answer in connection.wait_closed()] == [OUT_OF_ORDER]


# ---- Discovery ----

def test_discovery_has_users_of_its_own(protected):
    with chap.login(protected.address, None, "d", DISCOVERY_SECRET, MUTUAL_SECRET) as session:
        assert len(session.send_targets()) == 4
    assert refusal(chap.login, protected.address, None, "alice", SECRET) == AUTHENTICATION_FAILED
    assert refusal(Session, protected.address) == AUTHENTICATION_FAILED
    assert refusal(chap.login, protected.address, daemon.TARGET, "d", DISCOVERY_SECRET) == AUTHENTICATION_FAILED


# ---- Others' initiators ----

def url(running, user=None, secret=None, target=daemon.TARGET, suffix=""):
    account = f"{user}%{secret.decode()}@" if user else ""
    host, port = running.address
    return f"iscsi://{account}{host}:{port}/{target}/0{suffix}"


def test_libiscsi_logs_in_by_name_and_secret(protected):
    plain = SECRET.replace(b" ", b"%20")
    done = tools.run("iscsi-inq", url(protected, "alice", plain), check=False)
    if done.returncode:  # older ones take the URL as it stands
        done = tools.run("iscsi-inq", url(protected, "alice", SECRET))
    assert "Peripheral" in done.stdout
    assert tools.run("iscsi-inq", url(protected, "alice", b"notthesecret"), check=False).returncode
    assert tools.run("iscsi-inq", url(protected), check=False).returncode


def test_libiscsi_checks_the_target_in_turn(protected):
    mutual = f"?target_user=disk1&target_password={MUTUAL_SECRET.decode()}"
    assert "Peripheral" in tools.run("iscsi-inq", url(protected, "alice", SECRET, suffix=mutual)).stdout
    wrong = mutual.replace(MUTUAL_SECRET.decode(), "another of 12 bytes")
    assert tools.run("iscsi-inq", url(protected, "alice", SECRET, suffix=wrong), check=False).returncode


def test_libiscsi_discovers_by_name_and_secret(protected):
    host, port = protected.address
    listed = tools.run("iscsi-ls", f"iscsi://d%{DISCOVERY_SECRET.decode()}@{host}:{port}")
    assert daemon.TARGET in listed.stdout and EMPTY_TARGET in listed.stdout
    refused = tools.run("iscsi-ls", f"iscsi://{host}:{port}", check=False)
    assert daemon.TARGET not in refused.stdout


def test_qemu_logs_in_by_name_and_secret(tmp_path, random_image):
    image, store, back = random_image("a.img", 4 << 20), tmp_path / "store.img", tmp_path / "back.img"
    secret = b"without.blanks"
    user = {"user": "alice", "secret_file": secret_file(tmp_path, "secret", secret)}
    lun = {"path": str(store), "size": "4M", "create": True}
    with daemon.serve_targets(tmp_path, daemon.target(lun, auth="chap", users=[user])) as running:
        tools.qemu_convert(image, url(running, "alice", secret), existing=True)
        tools.qemu_convert(url(running, "alice", secret), back)
        assert tools.same_bytes(image, back)


# ---- What is said about it ----

def test_a_refusal_is_logged_with_name_and_address_and_without_a_secret(tmp_path):
    user = {"user": "alice", "secret_file": secret_file(tmp_path, "secret", SECRET)}
    with daemon.serve_targets(tmp_path, daemon.target("null:1M", auth="chap", users=[user]),
                              log_level="debug") as running:
        assert refusal(chap.login, running.address, daemon.TARGET, "alice", OTHER_SECRET,
                       initiator="iqn.2000-01.com.example:intruder") == AUTHENTICATION_FAILED
        line = running.wait_for_log("0201")
        assert "iqn.2000-01.com.example:intruder" in line and "127.0.0.1" in line and daemon.TARGET in line
        with chap.login(running.address, daemon.TARGET, "alice", SECRET):
            pass
        for _ in range(200):
            with contextlib.suppress(LoginError):
                chap.login(running.address, daemon.TARGET, "alice", OTHER_SECRET)
        assert len(re.findall("0201", running.log())) < 100, "refusals fill the log"
        for shown in (SECRET.decode(), SECRET.hex(), OTHER_SECRET.decode()):
            assert shown not in running.log()


# ---- Configurations that are wrong ----

WRONG_FILES = [
    ("absent", None, 0o600, "cannot be opened"), ("readable by all", SECRET, 0o604, "chmod 600"),
    ("executable by all", SECRET, 0o601, "chmod 600"), ("writable by its group", SECRET, 0o660, "chmod 600"),
    ("too short", b"eleven byte", 0o600, "less than 12"), ("too long", b"x" * 256, 0o600, "more than 255"),
    ("empty", b"", 0o600, "less than 12"), ("a newline alone", b"\n", 0o600, "less than 12"),
    ("much too long", b"x" * 100000, 0o600, "more than 255"), ("bad hex", b"0xhello world", 0o600, "0x"),
    ("bad base64", b"base64:***", 0o600, "base64:"), ("long hex", b"0x" + b"ab" * 256, 0o600, "0x"),
]


@pytest.mark.parametrize("name, content, mode, said", WRONG_FILES, ids=[one[0] for one in WRONG_FILES])
def test_a_secret_file_that_will_not_do_is_named(tmp_path, name, content, mode, said):
    path = tmp_path / "the.secret"
    if content is not None:
        secret_file(tmp_path, "the.secret", content, mode)
    target = daemon.target("null:1M", auth="chap", users=[{"user": "alice", "secret_file": str(path)}])
    configuration = daemon.write_configuration(tmp_path, daemon.configuration(tmp_path, [target], [("127.0.0.1", 1)]))
    status, output = daemon.check_configuration(configuration)
    assert status == 1
    assert re.search(rf"{re.escape(str(configuration))}:\d+: targets\[0\]\.users\[0\]\.secret_file: "
                     rf"{re.escape(str(path))}: .*{said}", output), output
    assert "eleven byte" not in output and "hello" not in output


def test_a_folder_and_a_pipe_are_no_secret_files(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("folder", "pipe"):
        target = daemon.target("null:1M", auth="chap", users=[{"user": "a", "secret_file": str(tmp_path / name)}])
        path = daemon.write_configuration(tmp_path, daemon.configuration(tmp_path, [target], [("127.0.0.1", 1)]))
        status, output = daemon.check_configuration(path)
        assert status == 1 and "regular file" in output


def test_a_secret_may_be_left_to_roots_group(tmp_path):
    user = {"user": "alice", "secret_file": secret_file(tmp_path, "secret", SECRET, 0o640)}
    path = daemon.write_configuration(tmp_path, daemon.configuration(
        tmp_path, [daemon.target("null:1M", auth="chap", users=[user])], [("127.0.0.1", 1)]))
    status, output = daemon.check_configuration(path)
    group = (tmp_path / "secret").stat().st_gid
    assert (status == 0) == (group == 0), output


def test_one_secret_for_both_directions_is_an_error(tmp_path):
    user = {"user": "alice", "secret_file": secret_file(tmp_path, "a", SECRET)}
    mutual = {"user": "disk", "secret_file": secret_file(tmp_path, "b", SECRET + b"\n")}
    target = daemon.target("null:1M", auth="chap", users=[user], mutual=mutual)
    path = daemon.write_configuration(tmp_path, daemon.configuration(tmp_path, [target], [("127.0.0.1", 1)]))
    status, output = daemon.check_configuration(path)
    assert status == 1 and re.search(r":\d+: targets\[0\]\.mutual\.secret_file: .*alice", output), output
