# SPDX-License-Identifier: Apache-2.0
"""iSCSIProtocolLevel and TaskReporting, meant: the functions of RFC 7144 and the abort semantics of RFC 7143 4.2.3."""

import contextlib

import pytest
from lib import pdu, scsi
from lib.initiator import LINUX_KEYS

(ABORT_TASK, ABORT_TASK_SET, CLEAR_TASK_SET, LUN_RESET, WARM_RESET, QUERY_TASK, QUERY_TASK_SET, I_T_NEXUS_RESET,
 QUERY_ASYNCHRONOUS_EVENT) = 1, 2, 4, 5, 6, 9, 10, 11, 12
NEWER = [QUERY_TASK, QUERY_TASK_SET, I_T_NEXUS_RESET, QUERY_ASYNCHRONOUS_EVENT]
COMPLETE, NO_SUCH_LUN, NOT_SUPPORTED, SUCCEEDED = 0, 2, 5, 7
TASK_TERMINATION = 5
TASK_ABORTED = 0x40
NEXUS_LOSS = (0x29, 0x07)
LEVEL_2 = {**LINUX_KEYS, "iSCSIProtocolLevel": "2"}
FAST_ABORT = {**LINUX_KEYS, "TaskReporting": "FastAbort"}
BYTES, BLOCKS = 65536, 128
OLD, NEW = b"\x11", b"\xee"


@pytest.fixture
def newer(served):
    with served.session(keys=LEVEL_2) as session:
        assert session.answered["iSCSIProtocolLevel"] == "2"
        for lun in (served.FILE, served.NULL, served.FILE_4K):
            session.settle(lun)
        yield session


def waiting_write(session, lun=0, at=0):
    """A write whose R2T is not answered."""
    task = session.start(scsi.write16(at, BLOCKS), NEW * BYTES, hold_r2ts=True, immediate_bytes=0, unsolicited_bytes=0,
                         lun=lun)
    while not task.unanswered_r2ts:
        session.pump()
    return task


def data_outs(session, task):
    """What the R2T asks for, in small pieces."""
    (r2t,) = task.unanswered_r2ts
    session.target_segment_length = 8192
    return session.data_outs(task, r2t.target_transfer_tag, r2t.buffer_offset, r2t.desired_data_transfer_length)


def supported_functions(session):
    data = session.execute(scsi.report_supported_functions(16), read_length=16).expect_good().data_in
    return bytes(data[:2])


# ---- Level 2 ----

@pytest.mark.parametrize("level", [None, "0", "1"])
def test_below_level_2_its_functions_are_not_supported(served, level):
    with served.session(keys={**LINUX_KEYS, **({"iSCSIProtocolLevel": level} if level else {})}) as session:
        session.settle()
        assert supported_functions(session) == b"\xda\x00"
        for function in NEWER:
            assert session.task_management(function) == NOT_SUPPORTED
        session.settle()


def test_at_level_2_they_are_reported(newer):
    assert supported_functions(newer) == b"\xde\x07"
    assert newer.task_management(13) == NOT_SUPPORTED


def test_query_task_finds_a_task_while_it_lasts(newer, served):
    task = waiting_write(newer)
    assert newer.task_management(QUERY_TASK, referenced_task=task) == SUCCEEDED
    assert newer.task_management(QUERY_TASK, lun=served.NULL, referenced_task=task) == COMPLETE, "another LUN"
    assert newer.task_management(QUERY_TASK, lun=99, referenced_task=task) == NO_SUCH_LUN
    newer.answer(task, task.unanswered_r2ts[0])
    newer.wait(task).expect_good()
    assert newer.task_management(QUERY_TASK, referenced_task=task) == COMPLETE


def test_query_task_set_tells_busy_from_idle(newer, served):
    assert newer.task_management(QUERY_TASK_SET) == COMPLETE
    task = waiting_write(newer)
    assert newer.task_management(QUERY_TASK_SET) == SUCCEEDED
    assert newer.task_management(QUERY_TASK_SET, lun=served.NULL) == COMPLETE
    assert newer.task_management(QUERY_TASK_SET, lun=99) == NO_SUCH_LUN
    with served.session(keys=LEVEL_2) as other:
        other.settle()
        assert other.task_management(QUERY_TASK_SET) == COMPLETE, "there is a task set per nexus"
    newer.answer(task, task.unanswered_r2ts[0])
    newer.wait(task).expect_good()


def test_query_asynchronous_event_tells_what_is_pending_and_leaves_it(newer, served):
    assert newer.task_management_response(QUERY_ASYNCHRONOUS_EVENT).response == COMPLETE
    with served.session() as other:
        other.settle()
        assert other.task_management(LUN_RESET) == COMPLETE
    for _ in range(2):
        answer = newer.task_management_response(QUERY_ASYNCHRONOUS_EVENT)
        assert (answer.response, answer.additional_information) == (SUCCEEDED, bytes([0x16, 0x29, 0x03]))
    assert newer.settle() == [(0x29, 0x03)]
    answer = newer.task_management_response(QUERY_ASYNCHRONOUS_EVENT)
    assert (answer.response, answer.additional_information) == (COMPLETE, bytes(3))
    assert newer.task_management(QUERY_ASYNCHRONOUS_EVENT, lun=99) == NO_SUCH_LUN


def test_nexus_reset_ends_the_tasks_of_this_nexus_on_all_units(newer, served):
    with served.session() as other:
        other.settle()
        others = waiting_write(other, at=1024)
        tasks = [waiting_write(newer), waiting_write(newer, lun=served.FILE_4K)]
        assert newer.task_management(I_T_NEXUS_RESET) == COMPLETE
        assert not any(task.done for task in tasks)
        for lun in (served.FILE, served.FILE_4K):
            assert newer.task_management(QUERY_TASK_SET, lun=lun) == COMPLETE
            assert NEXUS_LOSS in newer.settle(lun)
        other.answer(others, others.unanswered_r2ts[0])
        other.wait(others).expect_good()
        assert other.settle() == [], "the others notice nothing"


def test_a_priority_is_no_reserved_bit_and_a_response_has_no_qualifier(newer):
    """PRIOR_SUP of VPD page 86h is 0: the priority may be given and makes no difference."""
    assert not newer.inquiry(0x86)[6] & 0x08
    for priority in (0, 1, 15):
        task, _ = newer.prepare_command(scsi.test_unit_ready())
        task.request.priority = priority
        newer.connection.send(task.request)
        newer.wait(task).expect_good()
        assert task.response_pdu.status_qualifier == 0


# ---- Which commands a function covers ----

@pytest.mark.parametrize("function", [ABORT_TASK_SET, CLEAR_TASK_SET, LUN_RESET])
def test_an_immediate_function_waits_for_the_commands_before_it(session, function):
    """RFC 7143 4.2.3.3 b: by CmdSN, not by when they come."""
    first, _ = session.prepare_command(scsi.test_unit_ready())
    covered, _ = session.prepare_command(scsi.write16(0, BLOCKS), NEW * BYTES, immediate_bytes=0, unsolicited_bytes=0)
    request = session.send(pdu.TaskManagementRequest(function=function, referenced_task_tag=pdu.RESERVED_TAG),
                           immediate=True)
    assert session.nop(b"no answer yet").data == b"no answer yet"
    assert session.inbox == []
    session.connection.send(covered.request)
    session.connection.send(first.request)
    answer = session.receive_answer(request, pdu.TaskManagementResponse)
    assert answer.response == COMPLETE and not covered.done
    session.settle()


@pytest.mark.parametrize("keys, function", [(LINUX_KEYS, WARM_RESET), (FAST_ABORT, WARM_RESET),
                                            (LEVEL_2, I_T_NEXUS_RESET)], ids=["RFC3720", "FastAbort", "nexus"])
def test_what_covers_the_whole_target_does_not_wait(served, keys, function):
    """4.2.3.3 b: what has not come counts as received, and is ignored when it comes."""
    with served.session(keys=keys) as session:
        session.settle()
        session.write(0, OLD * BYTES)
        missing, _ = session.prepare_command(scsi.write16(0, 8), NEW * 4096)
        later = session.start(scsi.write16(0, BLOCKS), NEW * BYTES, hold_r2ts=True, immediate_bytes=0,
                              unsolicited_bytes=0)
        assert session.task_management(function) == COMPLETE
        session.connection.send(missing.request)
        assert session.nop(b"in step", immediate=False).data == b"in step"
        assert not missing.done and not later.done
        session.tasks.clear()
        session.settle()
        assert session.read(0, BLOCKS) == OLD * BYTES


def test_a_function_that_is_not_supported_takes_nothing_away(session):
    """Below level 2 a nexus reset is refused, and the command before it is still to come."""
    missing, _ = session.prepare_command(scsi.test_unit_ready())
    assert session.task_management(I_T_NEXUS_RESET) == NOT_SUPPORTED
    session.connection.send(missing.request)
    session.wait(missing).expect_good()


def test_more_functions_than_are_sensible_are_refused_and_none_is_lost(session):
    """All of them wait for a command that is missing."""
    missing, _ = session.prepare_command(scsi.test_unit_ready())
    count = 20000
    request = session.prepare(pdu.TaskManagementRequest(function=LUN_RESET, referenced_task_tag=pdu.RESERVED_TAG),
                              immediate=True)
    raw = session.connection.encode(request)
    rejected = 0
    for _ in range(count // 500):
        session.connection.send_raw(raw * 500)
        while session.connection.has_input(0):
            session.pump()
    session.connection.send(missing.request)
    answered = 0
    while answered + rejected < count:
        while session.inbox:
            one = session.inbox.pop()
            assert isinstance(one, (pdu.Reject, pdu.TaskManagementResponse))
            rejected += isinstance(one, pdu.Reject)
            answered += isinstance(one, pdu.TaskManagementResponse)
        if answered + rejected < count:
            session.pump()
    assert rejected > 0 and answered > 0
    session.tasks.clear()
    session.settle()


# ---- FastAbort ----

@contextlib.contextmanager
def bystander(served, keys):
    """A session with a write under way at two units, which another session's reset will end."""
    with served.session(keys=keys) as session:
        for lun in (served.FILE, served.FILE_4K):
            session.settle(lun)
        session.write(0, OLD * BYTES)
        yield session, waiting_write(session), waiting_write(session, lun=served.FILE_4K)


def reset(served, function):
    with served.session() as other:
        other.settle()
        assert other.task_management(function) == COMPLETE


def test_a_bystander_with_fast_abort_is_told_and_may_stop(served):
    """4.2.3.4: a message for the unit, TASK ABORTED for the task; Data-Outs that are on their way are no error, and after
    the acknowledgement there is nothing left of them."""
    with bystander(served, FAST_ABORT) as (session, task, other_unit):
        reset(served, LUN_RESET)
        session.wait(task)
        assert task.status == TASK_ABORTED
        message = session.receive(pdu.AsyncMessage)
        assert (message.event, message.lun) == (TASK_TERMINATION, pdu.encode_lun(0))
        assert (message.parameter1, message.parameter2, message.parameter3) == (0, 0, 0)
        assert serial_after(task.response_pdu.stat_sn, message.stat_sn), "first the message, then the status"
        late = data_outs(session, task)
        session.connection.send(late[0])
        session.send(pdu.NopOut(initiator_task_tag=pdu.RESERVED_TAG, target_transfer_tag=pdu.RESERVED_TAG, lun=0),
                     immediate=True)
        assert session.nop(b"no reject").data == b"no reject" and session.inbox == []
        assert session.settle() == [(0x29, 0x03)]
        assert session.read(0, BLOCKS) == OLD * BYTES
        session.answer(other_unit, other_unit.unanswered_r2ts[0])
        session.wait(other_unit).expect_good()
        # Acknowledged: the transfer tag is free.
        session.connection.send(late[-1])
        session.receive_reject()


def serial_after(first, second):
    return 0 < (first - second) % (1 << 32) < 1 << 31


def test_every_unit_that_a_target_reset_concerns_has_its_message(served):
    with bystander(served, FAST_ABORT) as (session, task, other_task):
        reset(served, WARM_RESET)
        for one in (task, other_task):
            assert session.wait(one).status == TASK_ABORTED
        messages = [session.receive(pdu.AsyncMessage) for _ in range(2)]
        assert {one.lun for one in messages} == {pdu.encode_lun(lun) for lun in (served.FILE, served.FILE_4K)}
        assert {one.event for one in messages} == {TASK_TERMINATION}
        assert session.nop(b"that was all").data == b"that was all" and session.inbox == []


def test_without_fast_abort_or_a_task_there_is_no_message(served):
    """11.9: the event must not be used on a session that has not agreed to it."""
    with bystander(served, {**LINUX_KEYS, "TaskReporting": "ResponseFence"}) as (session, task, _), \
            served.session(keys=FAST_ABORT) as idle:
        idle.settle()
        reset(served, LUN_RESET)
        assert session.wait(task).status == TASK_ABORTED
        for one in (session, idle):
            assert one.nop(b"no message").data == b"no message" and one.inbox == []


@pytest.mark.parametrize("function", [ABORT_TASK_SET, CLEAR_TASK_SET, LUN_RESET, WARM_RESET])
def test_with_fast_abort_the_function_does_not_wait_for_data(served, function):
    """The issuing session sends no data after the function, and is not told by a message."""
    with served.session(keys=FAST_ABORT) as session:
        session.settle()
        session.write(0, OLD * BYTES)
        task = waiting_write(session)
        session.connection.send(data_outs(session, task)[0])
        assert session.task_management(function) == COMPLETE
        assert not task.done and session.inbox == []
        session.tasks.clear()
        session.settle()
        assert session.read(0, BLOCKS) == OLD * BYTES
