# SPDX-License-Identifier: Apache-2.0
"""What is no SCSI command in full feature phase: NOP both ways, Text, Logout, task management, Reject."""

import time

import pytest
from lib import daemon, pdu, scsi
from lib.connection import ConnectionClosed
from lib.initiator import LINUX_KEYS, RejectedError, Session

ABORT_TASK, ABORT_TASK_SET, CLEAR_ACA, CLEAR_TASK_SET, LUN_RESET, WARM_RESET, COLD_RESET, REASSIGN = range(1, 9)
COMPLETE, NO_SUCH_TASK, NO_SUCH_LUN, REASSIGN_NOT_SUPPORTED, NOT_SUPPORTED, REJECTED = 0, 1, 2, 4, 5, 255
PROTOCOL_ERROR, COMMAND_NOT_SUPPORTED = 0x04, 0x05


# ---- NOP ----

@pytest.mark.parametrize("data", [b"", b"x", b"12345", bytes(range(256)) * 16], ids=len)
@pytest.mark.parametrize("immediate", [True, False], ids=["immediate", "in order"])
def test_a_nop_is_echoed(session, data, immediate):
    answer = session.nop(data, immediate)
    assert answer.data == data
    assert answer.target_transfer_tag == pdu.RESERVED_TAG


def test_a_nop_in_order_takes_a_cmdsn_and_the_session_goes_on(session):
    """gotgt did not advance ExpCmdSN here, and the session stalled for ever."""
    for _ in range(300):
        before = session.exp_cmd_sn
        session.nop(immediate=False)
        assert session.exp_cmd_sn == (before + 1) % (1 << 32)
    session.settle()


def test_an_immediate_nop_takes_no_cmdsn(session):
    before = session.exp_cmd_sn
    session.nop(immediate=True)
    assert session.exp_cmd_sn == before


def test_a_nop_that_wants_no_answer_gets_none(session):
    session.send(pdu.NopOut(initiator_task_tag=pdu.RESERVED_TAG, target_transfer_tag=pdu.RESERVED_TAG, data=b"silent"),
                 immediate=True)
    assert session.nop(b"answered").data == b"answered"
    assert session.inbox == []


def test_an_echo_is_no_longer_than_we_can_take(served):
    with served.session(keys={**LINUX_KEYS, "MaxRecvDataSegmentLength": 512}) as session:
        assert len(session.nop(bytes(4096)).data) <= 512


def test_an_idle_session_is_asked_and_lives_on(session):
    """nop_interval_s is 2, nop_timeout_s 5: after three pings that were answered, the session is older than both."""
    for _ in range(3):
        ping = session.pump(timeout=15)
        assert isinstance(ping, pdu.NopIn) and ping.target_transfer_tag != pdu.RESERVED_TAG
        assert ping.initiator_task_tag == pdu.RESERVED_TAG
    session.settle()


def test_a_ping_may_be_answered_with_data(session):
    session.answer_pings = False
    answer = session.prepare_ping_answer(session.pump(timeout=15))
    answer.data = b"more than was asked for"
    session.connection.send(answer)
    session.settle()


# ---- Text ----

def test_text_in_full_feature_phase_is_answered(session, served):
    assert (served.target, [f"127.0.0.1:{served.address[1]},1"]) in session.send_targets("")


@pytest.mark.parametrize("immediate", [True, False], ids=["immediate", "in order"])
def test_an_empty_text_is_answered_empty(session, immediate):
    response = session.text_exchange(immediate=immediate)
    assert (response.data, response.final, response.target_transfer_tag) == (b"", 1, pdu.RESERVED_TAG)
    assert session.nop(b"on").data == b"on"


def test_an_unknown_text_key_is_not_understood(session):
    assert session.text({"X-org.example.what": "1"}) == b"X-org.example.what=NotUnderstood\0"


def test_a_text_may_be_continued(session, served):
    first = session.text_exchange(data=b"SendTar", final=0, continued=1)
    assert (first.data, first.final) == (b"", 0) and first.target_transfer_tag != pdu.RESERVED_TAG
    second = session.text_exchange(data=b"gets=\0", target_transfer_tag=first.target_transfer_tag,
                                   initiator_task_tag=first.initiator_task_tag)
    assert served.target.encode() in second.data


def test_a_text_with_a_tag_that_was_never_given_is_rejected(session):
    with pytest.raises(RejectedError):
        session.text_exchange({"SendTargets": "All"}, target_transfer_tag=0x1234)
    assert session.nop(b"on").data == b"on"


def test_a_new_text_makes_the_target_forget_an_unfinished_one(session):
    session.text_exchange(data=b"SendTargets=", final=0, continued=1)
    assert session.text({"X-org.example.fresh": "1"}) == b"X-org.example.fresh=NotUnderstood\0"


# ---- Logout ----

@pytest.mark.parametrize("immediate", [True, False], ids=["immediate", "in order"])
@pytest.mark.parametrize("reason", [0, 1], ids=["session", "connection"])
def test_logout_is_answered_and_the_connection_ends(served, reason, immediate):
    with served.session() as session:
        assert session.logout(reason, immediate=immediate).response == 0
        assert session.connection.wait_closed() == []


def test_logout_of_an_unknown_connection_finds_none(session):
    assert session.logout(reason=1, cid=7).response == 1
    session.settle()


def test_logout_for_recovery_is_not_supported(session):
    assert session.logout(reason=2).response == 2
    session.settle()


def test_logout_with_commands_under_way_is_answered(served, others_notice_nothing):
    with served.session() as session:
        session.settle()
        for _ in range(4):
            session.start(scsi.read16(0, 2048), read_length=1 << 20)
        session.start(scsi.write16(0, 2048), bytes(1 << 20), hold_r2ts=True)
        assert session.logout().response == 0
        session.connection.wait_closed()


# ---- Task management ----

@pytest.mark.parametrize("function", [ABORT_TASK_SET, CLEAR_TASK_SET, LUN_RESET])
def test_a_function_on_an_idle_unit_completes(session, function):
    assert session.task_management(function) == COMPLETE
    session.settle()


@pytest.mark.parametrize("function", [ABORT_TASK_SET, CLEAR_TASK_SET, LUN_RESET])
def test_a_function_on_an_absent_unit_says_so(session, function):
    assert session.task_management(function, lun=99) == NO_SUCH_LUN


def test_warm_reset_completes_and_the_session_stays(session):
    """Linux drops the session when this is answered 'not supported'."""
    assert session.task_management(WARM_RESET) == COMPLETE
    session.settle()


def test_cold_reset_completes_or_is_not_supported(session):
    try:
        assert session.task_management(COLD_RESET) in (COMPLETE, NOT_SUPPORTED, REJECTED)
    except ConnectionClosed:
        pass  # what a cold reset means


@pytest.mark.parametrize("function", [CLEAR_ACA, REASSIGN, 9, 0x7F])
def test_other_functions_are_refused(session, function):
    assert session.task_management(function) in (NOT_SUPPORTED, REASSIGN_NOT_SUPPORTED, REJECTED, NO_SUCH_TASK)
    session.settle()


def test_abort_of_a_task_that_has_ended_finds_no_task(session):
    task = session.execute(scsi.test_unit_ready())
    assert session.task_management(ABORT_TASK, referenced_task=task) in (NO_SUCH_TASK, COMPLETE)


def test_abort_of_a_write_that_waits_for_data_ends_it(session):
    task = session.start(scsi.write16(0, 2048), b"\xee" * (1 << 20), hold_r2ts=True)
    while not task.unanswered_r2ts:
        session.pump()
    assert session.task_management(ABORT_TASK, referenced_task=task) == COMPLETE
    assert not task.done, "an aborted task has to stay silent"
    session.settle()
    assert session.nop(b"on").data == b"on"


def test_a_lun_reset_ends_waiting_writes_and_is_told_to_others(session, served):
    with served.session() as other:
        other.settle()
        task = session.start(scsi.write16(0, 2048), bytes(1 << 20), hold_r2ts=True)
        while not task.unanswered_r2ts:
            session.pump()
        assert session.task_management(LUN_RESET) == COMPLETE
        assert 0x29 in [asc for asc, _ in other.settle()]
        session.settle()
        assert len(session.read(0, 8)) == 4096


# ---- Reject ----

@pytest.mark.parametrize("opcode", [0x07, 0x0F, 0x1C, 0x1F, 0x2A, 0x3E])
def test_an_unknown_opcode_is_rejected_with_its_header(session, others_notice_nothing, opcode):
    request = session.prepare(pdu.NopOut(opcode_field=opcode), immediate=True)
    session.connection.send(request)
    reject = session.receive_reject()
    assert reject.reason in (COMMAND_NOT_SUPPORTED, PROTOCOL_ERROR)
    assert reject.data[:48] == bytes(request.bhs)
    assert session.nop(b"on").data == b"on"


def test_a_snack_is_rejected_at_error_recovery_level_0(session):
    session.connection.send(session.prepare(pdu.SnackRequest(kind=1, run_length=1)))
    session.receive_reject()
    assert session.nop(b"on").data == b"on"


@pytest.mark.parametrize("kind", pdu.RESPONSES, ids=lambda kind: kind.__name__)
def test_a_pdu_that_only_targets_send_is_rejected(served, others_notice_nothing, kind):
    with served.session() as session:
        session.connection.send(kind(initiator_task_tag=5))
        session.receive_reject()
        assert session.nop(b"on").data == b"on"


# ---- Additional header segments ----

@pytest.mark.parametrize("digests", ["None", "CRC32C"])
@pytest.mark.parametrize("ahs", [pdu.unknown_ahs(), pdu.unknown_ahs(length=200), pdu.bidirectional_read_ahs(512),
                                 pdu.extended_cdb_ahs(bytes(16)), pdu.extended_cdb_ahs(bytes(244))],
                         ids=["unknown", "unknown, long", "bidirectional", "CDB of 32", "CDB of 260"])
def test_additional_header_segments_are_consumed(served, others_notice_nothing, ahs, digests):
    keys = {**LINUX_KEYS, "HeaderDigest": digests, "DataDigest": digests}
    with served.session(keys=keys) as session:
        session.settle()
        session.write(0, bytes(512))
        task = session.start(scsi.write10(0, 1), b"\x5a" * 512, ahs=ahs)
        while not task.done and not any(isinstance(one, pdu.Reject) for one in session.inbox):
            session.pump()
        session.inbox.clear()
        session.tasks.clear()
        assert session.nop(b"in step").data == b"in step"
        assert session.read(0, 1) in (bytes(512), b"\x5a" * 512)


def test_a_nop_with_additional_header_is_echoed_or_rejected(session):
    session.send(pdu.NopOut(ahs=pdu.unknown_ahs(), target_transfer_tag=pdu.RESERVED_TAG, data=b"abc"), immediate=True)
    assert isinstance(session.pump(), (pdu.NopIn, pdu.Reject))
    session.inbox.clear()
    assert session.nop(b"in step").data == b"in step"


# ---- Dead peers ----

def test_a_peer_that_does_not_answer_pings_is_dropped_and_freed(served, others_notice_nothing):
    before = served.daemon.open_descriptors()
    with served.session(timeout=30) as session:
        session.answer_pings = False
        started = time.monotonic()
        session.connection.wait_closed(30)
        assert time.monotonic() - started < 20, "nop_interval_s + nop_timeout_s is 7"
    served.daemon.wait_for_descriptors(before)


def test_other_traffic_counts_as_life(served):
    """A peer that is busy need not be asked; one that answers late but works is not dropped."""
    with served.session() as session:
        session.settle()
        started = time.monotonic()
        while time.monotonic() - started < 8:
            assert session.nop(b"alive").data == b"alive"


def test_discovery_sessions_do_nothing_else(served):
    with Session(served.address) as session:
        session.connection.send(session.prepare(pdu.ScsiCommand(cdb=scsi.test_unit_ready())))
        try:
            session.receive_reject()
        except ConnectionClosed:
            pass
    with Session(served.address) as session:
        assert served.target in dict(session.send_targets())
        assert daemon.TARGET == served.target
