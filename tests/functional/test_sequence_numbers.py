# SPDX-License-Identifier: Apache-2.0
"""CmdSN: commands run in order, once, within the window, around 2^32 (RFC 7143 section 4.2.2)."""

import pytest
from lib import pdu, scsi
from lib.initiator import serial_before

QUIET_S = 0.3  # how long silence has to last to be taken for silence


def read_command(session, lba=0):
    """A read of one block, not sent yet."""
    task, _ = session.prepare_command(scsi.read16(lba, 1), read_length=512)
    return task


def test_a_command_that_overtakes_waits_for_its_turn(session):
    first, second, third = (read_command(session) for _ in range(3))
    session.connection.send(third.request)
    session.connection.send(second.request)
    assert not session.connection.has_input(QUIET_S), "a command was executed before those in front of it"
    session.connection.send(first.request)
    finished = []
    for _ in range(3):
        finished.append(session.pump().initiator_task_tag)
    assert finished[0] == first.tag and {first.tag, second.tag, third.tag} == set(finished)
    assert session.exp_cmd_sn == session.cmd_sn


def test_ordered_writes_that_come_out_of_order_are_executed_in_order(session):
    tasks = [session.prepare_command(scsi.write10(0, 1), bytes([value]) * 512, attribute=2)[0]
             for value in (1, 2, 3, 4)]
    for task in reversed(tasks):
        session.connection.send(task.request)
    for task in tasks:
        session.wait(task).expect_good()
    assert session.read(0, 1) == b"\x04" * 512


def test_immediate_requests_do_not_wait_for_a_gap(session):
    missing, waiting = read_command(session), read_command(session)
    session.connection.send(waiting.request)
    assert session.nop(b"at once", immediate=True).data == b"at once"
    assert not waiting.done
    session.connection.send(missing.request)
    session.wait(waiting).expect_good()
    session.wait(missing).expect_good()


def test_an_immediate_command_is_executed_at_once(session):
    missing = read_command(session)
    session.execute(scsi.read16(0, 1), read_length=512, immediate=True).expect_good()
    session.connection.send(missing.request)
    session.wait(missing).expect_good()


def test_a_cmdsn_that_was_used_is_ignored(session):
    task = session.execute(scsi.test_unit_ready())
    again = pdu.NopOut(target_transfer_tag=pdu.RESERVED_TAG, cmd_sn=task.request.cmd_sn, initiator_task_tag=0x7777,
                       exp_stat_sn=session.exp_stat_sn)
    session.connection.send(again)
    assert session.nop(b"only this").data == b"only this"
    assert session.inbox == [] and not session.connection.has_input(QUIET_S)


@pytest.mark.parametrize("distance", [1, 1000, 1 << 30])
def test_a_cmdsn_beyond_the_window_is_ignored(session, distance):
    beyond = pdu.NopOut(target_transfer_tag=pdu.RESERVED_TAG, cmd_sn=(session.max_cmd_sn + distance) % (1 << 32),
                        initiator_task_tag=0x7777, exp_stat_sn=session.exp_stat_sn)
    session.connection.send(beyond)
    assert session.nop(b"only this").data == b"only this"
    assert session.inbox == [] and not session.connection.has_input(QUIET_S)
    session.settle()


@pytest.mark.parametrize("first", [0xFFFFFFFE, 0xFFFFFFFF, 0x7FFFFFFD, 0, 0xFFFFFFF0])
def test_the_numbers_wrap(served, first):
    with served.session(cmd_sn=first) as session:
        session.settle()
        for number in range(40):
            session.write(number, bytes([number]) * 512)
            session.nop(immediate=False)
        assert session.read(0, 40) == b"".join(bytes([number]) * 512 for number in range(40))
        assert session.cmd_sn == session.exp_cmd_sn


def test_reordering_works_across_the_wrap(served):
    with served.session(cmd_sn=0xFFFFFFFC) as session:
        session.settle()
        tasks = [read_command(session, lba) for lba in range(6)]
        for task in reversed(tasks):
            session.connection.send(task.request)
        for task in tasks:
            session.wait(task).expect_good()


def test_the_window_starts_with_room_for_eight_commands(served):
    with served.session() as session:
        assert (session.max_cmd_sn - session.exp_cmd_sn + 1) % (1 << 32) >= 8


def test_a_full_window_closes_and_opens_again(session):
    """Writes that wait for their data fill the window; the initiator's own check sees that MaxCmdSN never goes back."""
    tasks = []
    while not serial_before(session.max_cmd_sn, session.cmd_sn) and len(tasks) < 5000:
        tasks.append(session.start(scsi.write10(0, 256), bytes(131072), hold_r2ts=True, immediate_bytes=0,
                                   unsolicited_bytes=0))
    assert session.nop(b"immediate ones pass", immediate=True).data == b"immediate ones pass"
    for task in tasks:
        task.hold_r2ts = False
        for r2t in list(task.unanswered_r2ts):
            session.answer(task, r2t)
    for task in tasks:
        session.wait(task).expect_good()
    session.settle()


def test_a_gap_that_fills_the_window_is_kept_in_order(session):
    """Everything that the window allows, but the first, then the first."""
    room = (session.max_cmd_sn - session.cmd_sn + 1) % (1 << 32)
    tasks = [read_command(session, lba) for lba in range(min(room, 64))]
    for task in tasks[1:]:
        session.connection.send(task.request)
    assert not session.connection.has_input(QUIET_S)
    session.connection.send(tasks[0].request)
    for task in tasks:
        session.wait(task).expect_good()


def test_data_of_a_command_in_a_gap_is_kept(session):
    missing = read_command(session)
    task, unsolicited = session.prepare_command(scsi.write10(0, 64), b"\x77" * 32768, immediate_bytes=4096)
    for request in [task.request, *unsolicited]:
        session.connection.send(request)
    session.connection.send(missing.request)
    session.wait(task).expect_good()
    assert session.read(0, 64) == b"\x77" * 32768
