# SPDX-License-Identifier: Apache-2.0
"""Every key of RFC 7143 section 13 is answered by its own rule, and what was agreed is what is done."""

import random

import pytest
from lib import daemon, scsi
from lib.initiator import DEFAULTS, LINUX_KEYS, Session

REFUSED = {"Reject", "NotUnderstood", "Irrelevant"}


def answers(served, keys, **options):
    """What the target answers to these keys on top of the names."""
    with served.session(keys=keys, **options) as session:
        return session.answered


@pytest.mark.parametrize("key, offer, wanted", [
    ("HeaderDigest", "None", {"None"}),
    ("HeaderDigest", "CRC32C", {"CRC32C"}),
    ("HeaderDigest", "CRC32C,None", {"CRC32C", "None"}),
    ("HeaderDigest", "None,CRC32C", {"None"}),
    ("HeaderDigest", "X-strange,None", {"None"}),
    ("HeaderDigest", "X-strange", {"Reject"}),
    ("DataDigest", "None", {"None"}),
    ("DataDigest", "CRC32C", {"CRC32C"}),
    ("DataDigest", "X-strange,CRC32C", {"CRC32C"}),
    ("DataDigest", "X-strange", {"Reject"}),
    ("InitialR2T", "Yes", {"Yes"}),
    ("InitialR2T", "No", {"No"}),
    ("InitialR2T", "Maybe", {"Reject"}),
    ("ImmediateData", "Yes", {"Yes"}),
    ("ImmediateData", "No", {"No"}),
    ("ImmediateData", "yes", {"Reject"}),
    ("MaxBurstLength", "512", {"512"}),
    ("MaxBurstLength", "65536", {"65536"}),
    ("MaxBurstLength", "0x10000", {"65536", "0x10000"}),
    ("MaxBurstLength", "511", {"Reject"}),
    ("MaxBurstLength", "16777216", {"Reject"}),
    ("MaxBurstLength", "lots", {"Reject"}),
    ("MaxBurstLength", "", {"Reject"}),
    ("FirstBurstLength", "512", {"512"}),
    ("FirstBurstLength", "511", {"Reject"}),
    ("FirstBurstLength", "16777216", {"Reject"}),
    ("MaxOutstandingR2T", "1", {"1"}),
    ("MaxOutstandingR2T", "0", {"Reject"}),
    ("MaxOutstandingR2T", "65536", {"Reject"}),
    ("MaxConnections", "1", {"1"}),
    ("MaxConnections", "8", {"1"}),
    ("MaxConnections", "0", {"Reject"}),
    ("DefaultTime2Wait", "3600", {"3600"}),
    ("DefaultTime2Wait", "3601", {"Reject"}),
    ("DefaultTime2Wait", "-1", {"Reject"}),
    ("DefaultTime2Retain", "0", {"0"}),
    ("DefaultTime2Retain", "3601", {"Reject"}),
    ("DataPDUInOrder", "Yes", {"Yes"}),
    ("DataPDUInOrder", "No", {"Yes"}),
    ("DataSequenceInOrder", "Yes", {"Yes"}),
    ("DataSequenceInOrder", "No", {"Yes"}),
    ("ErrorRecoveryLevel", "0", {"0"}),
    ("ErrorRecoveryLevel", "2", {"0"}),
    ("ErrorRecoveryLevel", "3", {"Reject"}),
    ("TaskReporting", "RFC3720", {"RFC3720"}),
    ("TaskReporting", "FastAbort,ResponseFence,RFC3720", {"FastAbort"}),
    ("TaskReporting", "ResponseFence,FastAbort", {"ResponseFence"}),
    ("TaskReporting", "RFC3720,ResponseFence", {"RFC3720"}),
    ("TaskReporting", "FastAbort", {"FastAbort"}),
    ("TaskReporting", "SlowAbort", {"Reject"}),
    ("iSCSIProtocolLevel", "1", {"1"}),
    ("iSCSIProtocolLevel", "0", {"0"}),
    ("iSCSIProtocolLevel", "2", {"2"}),
    ("iSCSIProtocolLevel", "31", {"2"}),
    ("iSCSIProtocolLevel", "32", {"Reject"}),
    ("IFMarker", "No", {"No"} | REFUSED),
    ("OFMarker", "Yes", {"No"} | REFUSED),
    ("Frobnication", "Yes", {"NotUnderstood"}),
    ("X-org.example.key", "value", {"NotUnderstood"}),
])
def test_a_key_is_answered_by_its_rule(served, key, offer, wanted):
    assert answers(served, {key: offer})[key] in wanted


@pytest.mark.parametrize("key, offer, at_most", [
    ("MaxBurstLength", 16777215, 16777215), ("FirstBurstLength", 16777215, 16777215), ("MaxOutstandingR2T", 65535, 8),
    ("DefaultTime2Retain", 20, 20)])
def test_a_minimum_never_exceeds_the_offer_nor_what_the_target_can_do(served, key, offer, at_most):
    answered = int(answers(served, {key: offer})[key])
    assert 0 <= answered <= at_most


def test_the_first_burst_never_exceeds_the_burst(served):
    answered = answers(served, {"MaxBurstLength": 4096, "FirstBurstLength": 65536})
    assert int(answered["FirstBurstLength"]) <= int(answered["MaxBurstLength"]) == 4096


def test_the_target_declares_its_own_segment_length(served):
    declared = int(answers(served, dict(LINUX_KEYS)).get("MaxRecvDataSegmentLength", 8192))
    assert declared >= 262144


@pytest.mark.parametrize("key, value", [("MaxRecvDataSegmentLength", "8192"), ("InitiatorAlias", "me")])
def test_a_declaration_is_not_refused(served, key, value):
    assert answers(served, {key: value}).get(key) not in REFUSED


@pytest.mark.parametrize("value", ["511", "16777216", "many"])
def test_an_illegal_declaration_is_refused(served, value):
    with served.session(login=False) as session:
        response = session.exchange_login({**session.first_login_keys(), "MaxRecvDataSegmentLength": value})
        assert response.status >> 8 == 2 or response.keys().get("MaxRecvDataSegmentLength") == "Reject"


def test_every_linux_key_is_answered(served):
    answered = answers(served, dict(LINUX_KEYS))
    assert set(LINUX_KEYS) - {"MaxRecvDataSegmentLength"} <= set(answered)


def test_what_was_not_offered_is_not_forced(served):
    """Without offers the RFC's defaults hold, and the target works with them."""
    with served.session(keys={}) as session:
        assert {key: session.negotiated[key] for key in DEFAULTS if key != "MaxRecvDataSegmentLength"} == {
            key: value for key, value in DEFAULTS.items() if key != "MaxRecvDataSegmentLength"}
        session.settle()
        data = bytes(range(256)) * 1024
        session.write(0, data)
        assert session.read(0, 512) == data


def test_unknown_keys_do_not_stop_the_others(served):
    keys = {f"X-org.example.key{number}": number for number in range(20)}
    answered = answers(served, {**keys, **LINUX_KEYS})
    assert {answered[key] for key in keys} == {"NotUnderstood"}
    assert answered["HeaderDigest"] == "None"


def test_a_discovery_session_takes_the_keys_of_normal_sessions(served):
    keys = {"MaxConnections": 1, "InitialR2T": "Yes", "FirstBurstLength": 512, "HeaderDigest": "None"}
    with served.session(login=False, keys=keys) as session:
        session.target = None
        session.login()
        assert set(keys) <= set(session.answered)
        assert session.send_targets()


# ---- Agreed means done ----

def random_keys(choose):
    burst = choose.choice([512, 1024, 4096, 65536, 262144, 16777215])
    return {
        "HeaderDigest": choose.choice(["None", "CRC32C"]), "DataDigest": choose.choice(["None", "CRC32C"]),
        "InitialR2T": choose.choice(["Yes", "No"]), "ImmediateData": choose.choice(["Yes", "No"]),
        "MaxBurstLength": burst, "FirstBurstLength": min(burst, choose.choice([512, 4096, 65536, 262144])),
        "MaxOutstandingR2T": choose.choice([1, 2, 4, 8]),
        "MaxRecvDataSegmentLength": choose.choice([512, 1000, 4096, 8192, 262144]),
    }


LUN_RESET, COMPLETE = 5, 0


def test_a_response_fence_is_one(served):
    """RFC 7143 4.2.2.3.3: what a function has ended or let end is answered before the function is."""
    keys = {**LINUX_KEYS, "TaskReporting": "ResponseFence,RFC3720"}
    with served.session(keys=keys) as session:
        assert session.answered["TaskReporting"] == "ResponseFence"
        session.settle()
        for _ in range(10):
            for number in range(8):
                session.start(scsi.read16(number * 2048, 2048), read_length=1 << 20)
            assert session.task_management(LUN_RESET) == COMPLETE
            session.tasks.clear()  # any answer from here on is one to no command: a violation
            assert session.nop(b"fence").data == b"fence"
            session.settle()


def shuffled(choose, keys):
    items = list(keys.items())
    choose.shuffle(items)
    return dict(items)


@pytest.mark.parametrize("seed", range(24))
def test_whatever_is_agreed_data_goes_both_ways(served, seed):
    choose = random.Random(seed)
    with served.session(keys=shuffled(choose, random_keys(choose)), security_stage=choose.random() < 0.5) as session:
        session.settle()
        for blocks in (1, 3, 16, 200):
            at = choose.randrange(served.blocks - blocks)
            data = choose.randbytes(blocks * 512)
            session.write(at, data)
            assert session.read(at, blocks) == data


def test_a_smaller_segment_can_be_declared_in_full_feature_phase(session, served):
    data = random.Random(1).randbytes(65536)
    session.write(0, data)
    session.text({"MaxRecvDataSegmentLength": 4096})
    session.own_segment_length = 4096  # from here on the initiator's own check is stricter
    assert session.read(0, 128) == data
    task = session.execute(scsi.read16(0, 128), read_length=65536)
    assert len(task.data_in_pdus) >= 16


@pytest.mark.parametrize("key, value", [("HeaderDigest", "CRC32C"), ("MaxConnections", "4"), ("InitialR2T", "Yes"),
                                        ("MaxBurstLength", "512"), ("TargetName", "iqn.2026-11.org.example:other")])
def test_keys_of_the_login_are_not_renegotiated_later(session, key, value):
    answered = dict(item.split(b"=", 1) for item in session.text({key: value}).split(b"\0") if item)
    assert answered.get(key.encode(), b"Reject") in (b"Reject", b"Irrelevant", b"NotUnderstood")
    assert session.nop(b"still here").data == b"still here"


def serve_with_parameters(folder, **parameters):
    return daemon.serve_targets(folder, daemon.target("null:1M", parameters=parameters))


def test_digests_that_a_target_demands_are_chosen(tmp_path):
    with serve_with_parameters(tmp_path, header_digest="crc32c", data_digest="crc32c") as running:
        keys = {"HeaderDigest": "None,CRC32C", "DataDigest": "None,CRC32C"}
        with Session(running.address, daemon.TARGET, keys=keys) as session:
            assert (session.answered["HeaderDigest"], session.answered["DataDigest"]) == ("CRC32C", "CRC32C")
            session.settle()


@pytest.mark.parametrize("allowed, offered", [("crc32c", "None"), ("none", "CRC32C")])
def test_digests_that_a_target_does_not_allow_are_refused(tmp_path, allowed, offered):
    with serve_with_parameters(tmp_path, header_digest=allowed) as running:
        with Session(running.address, daemon.TARGET, login=False) as session:
            response = session.exchange_login({**session.first_login_keys(), "HeaderDigest": offered})
            assert response.status >> 8 == 2 or response.keys()["HeaderDigest"] == "Reject"


def test_a_targets_parameters_are_its_side_of_the_negotiation(tmp_path):
    with serve_with_parameters(tmp_path, immediate_data=False, initial_r2t=True) as running:
        with Session(running.address, daemon.TARGET) as session:
            assert (session.answered["ImmediateData"], session.answered["InitialR2T"]) == ("No", "Yes")
            session.settle()
            session.write(0, bytes(65536))
