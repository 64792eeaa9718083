# SPDX-License-Identifier: Apache-2.0
"""Error recovery level 0 (RFC 7143 section 7): PDUs that are damaged, dropped, repeated, delayed or in another order
than they were sent.  Each time the command fails or is done once, the session goes on or ends as the level says, and
nothing is on the disk that the initiator was not told of."""

import contextlib
import time

import pytest
from lib import pdu, scsi
from lib.connection import ConnectionClosed
from lib.initiator import LINUX_KEYS

pytestmark = pytest.mark.usefixtures("others_notice_nothing")

DIGESTS = {**LINUX_KEYS, "HeaderDigest": "CRC32C", "DataDigest": "CRC32C"}
DATA_DIGEST_ERROR, SNACK_REJECTED = 0x02, 0x03
CRC_ERROR = (scsi.ABORTED_COMMAND, 0x47, 0x05)
OLD, NEW = b"\x11", b"\xee"
ABORT_TASK, COMPLETE, ORDERED = 1, 0, 2
BYTES = 65536
BLOCKS = BYTES // 512


@pytest.fixture
def digested(served):
    """A session with both digests on a disk of a known pattern; the PDUs are small, so that there are many of them."""
    with served.session(keys={**DIGESTS, "FirstBurstLength": 16384}) as session:
        session.settle()
        session.write(0, OLD * BYTES)
        session.target_segment_length = 8192
        yield session


@pytest.fixture
def plain(served):
    with served.session(keys={**LINUX_KEYS, "FirstBurstLength": 16384}) as session:
        session.settle()
        session.write(0, OLD * BYTES)
        session.target_segment_length = 8192
        yield session


def content(served):
    with served.session() as other:
        other.settle()
        return other.read(0, BLOCKS)


def damaged(session, request, at):
    """The PDU as it goes out, with one bit turned over."""
    raw = bytearray(session.connection.encode(request))
    raw[at] ^= 0x10
    return bytes(raw)


def reject_of(session):
    reject = session.receive_reject()
    assert len(reject.data) == 48, "a Reject carries the header that it is about"
    return reject


def go_on(session):
    """The session is in step; stray data may have been rejected, and nothing else has been said."""
    probe = session.send(pdu.NopOut(target_transfer_tag=pdu.RESERVED_TAG, data=b"probe"), immediate=True)
    while not any(isinstance(one, pdu.NopIn) and one.initiator_task_tag == probe.initiator_task_tag
                  for one in session.inbox):
        session.pump()
    assert all(isinstance(one, (pdu.NopIn, pdu.Reject)) for one in session.inbox)
    session.inbox.clear()


def waiting_write(session, blocks=BLOCKS, **options):
    """A write without unsolicited data, its R2T and the Data-Outs that would answer it."""
    task = session.start(scsi.write16(0, blocks), NEW * blocks * 512, hold_r2ts=True, immediate_bytes=0,
                         unsolicited_bytes=0, **options)
    while not task.unanswered_r2ts:
        session.pump()
    r2t = task.unanswered_r2ts[0]
    return task, session.data_outs(task, r2t.target_transfer_tag, r2t.buffer_offset, r2t.desired_data_transfer_length)


# ---- Damaged data ----

@pytest.mark.parametrize("at", [48 + 4, 48 + 4 + 100, -1, -4], ids=["first byte", "a byte", "digest", "digest too"])
def test_damaged_immediate_data_fails_the_write(served, digested, at):
    task, _ = digested.prepare_command(scsi.write16(0, 8), NEW * 4096)
    digested.connection.send_raw(damaged(digested, task.request, at))
    assert reject_of(digested).reason == DATA_DIGEST_ERROR
    digested.wait(task).expect_sense(*CRC_ERROR)
    assert digested.read(0, BLOCKS) == OLD * BYTES == content(served)


@pytest.mark.parametrize("which", [0, -1])
def test_damaged_unsolicited_data_fails_the_write(served, digested, which):
    task, unsolicited = digested.prepare_command(scsi.write16(0, 32), NEW * 16384, immediate_bytes=512)
    digested.target_segment_length = 4096
    unsolicited = digested.data_outs(task, pdu.RESERVED_TAG, 512, 16384 - 512)
    digested.connection.send(task.request)
    for number, request in enumerate(unsolicited):
        broken = number == which % len(unsolicited)
        digested.connection.send_raw(damaged(digested, request, 60) if broken else digested.connection.encode(request))
    assert reject_of(digested).reason == DATA_DIGEST_ERROR
    digested.wait(task).expect_sense(*CRC_ERROR)
    assert digested.read(0, BLOCKS) == OLD * BYTES == content(served)


@pytest.mark.parametrize("which", [0, 3, -1])
def test_damaged_solicited_data_fails_the_write(served, digested, which):
    task, answers = waiting_write(digested)
    for number, request in enumerate(answers):
        broken = number == which % len(answers)
        digested.connection.send_raw(damaged(digested, request, 60) if broken else digested.connection.encode(request))
    assert reject_of(digested).reason == DATA_DIGEST_ERROR
    digested.wait(task).expect_sense(*CRC_ERROR)
    assert digested.read(0, BLOCKS) == OLD * BYTES == content(served)
    assert digested.write(0, NEW * BYTES).good, "the same write, whole"


def test_a_damaged_ping_is_rejected_and_its_number_can_be_used_again(digested):
    """The PDU was never received as far as the command numbers go: the initiator sends it again."""
    request = digested.prepare(pdu.NopOut(data=b"ping", target_transfer_tag=pdu.RESERVED_TAG))
    digested.connection.send_raw(damaged(digested, request, 53))
    assert reject_of(digested).reason == DATA_DIGEST_ERROR
    digested.connection.send(request)
    assert digested.receive_answer(request, pdu.NopIn).data == b"ping"
    digested.settle()


def test_a_damaged_text_is_rejected(digested):
    request = digested.prepare(pdu.TextRequest(data=b"SendTargets=\0", target_transfer_tag=pdu.RESERVED_TAG))
    digested.connection.send_raw(damaged(digested, request, 55))
    assert reject_of(digested).reason == DATA_DIGEST_ERROR
    digested.connection.send(request)
    assert b"TargetName=" in digested.receive_answer(request, pdu.TextResponse).data


# ---- Damaged headers: the lengths cannot be trusted, the session ends ----

@pytest.mark.parametrize("at", [0, 1, 5, 7, 16, 24, 47, 48, 51])
def test_a_damaged_header_ends_the_session(served, digested, at):
    task, _ = digested.prepare_command(scsi.write16(0, 8), NEW * 4096)
    with contextlib.suppress(ConnectionClosed):
        digested.connection.send_raw(damaged(digested, task.request, at))
    assert all(isinstance(one, pdu.Reject) for one in digested.connection.wait_closed())
    assert content(served) == OLD * BYTES


@pytest.mark.parametrize("at", [48, 55, 56 + 4])
def test_the_header_digest_covers_additional_headers(served, digested, at):
    ahs = pdu.unknown_ahs(length=5)
    assert len(ahs) == 8
    task, _ = digested.prepare_command(scsi.write16(0, 8), NEW * 4096, ahs=ahs)
    whole = digested.connection.encode(task.request)
    if at < 56:
        with contextlib.suppress(ConnectionClosed):
            digested.connection.send_raw(damaged(digested, task.request, at))
        digested.connection.wait_closed()
        assert content(served) == OLD * BYTES
    else:
        digested.connection.send_raw(whole)
        digested.wait(task).expect_good()
        assert content(served)[:4096] == NEW * 4096


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 1023])
def test_the_data_digest_covers_the_padding(digested, length):
    data = bytes(range(1, 256)) * 5
    assert digested.nop(data[:length]).data == data[:length]
    padding = -length % 4
    if padding:
        request = digested.prepare(pdu.NopOut(data=data[:length], target_transfer_tag=pdu.RESERVED_TAG), immediate=True)
        digested.connection.send_raw(damaged(digested, request, 52 + length))
        assert reject_of(digested).reason == DATA_DIGEST_ERROR
    assert digested.nop(b"in step").data == b"in step"


@pytest.mark.parametrize("blocks, edtl", [(1, 509), (3, 1535), (8, 4094)])
def test_data_of_odd_lengths_keeps_its_digest_both_ways(digested, blocks, edtl):
    """The residual is the initiator's wish; the padding comes with it."""
    task = digested.execute(scsi.read16(0, blocks), read_length=edtl)
    assert task.data_in == OLD * edtl and task.overflow == blocks * 512 - edtl


# ---- Dropped ----

def test_a_dropped_command_holds_the_later_ones_until_it_is_sent_again(plain):
    dropped, _ = plain.prepare_command(scsi.write16(0, 8), NEW * 4096, attribute=ORDERED)
    later = plain.start(scsi.read16(0, 8), read_length=4096, attribute=ORDERED)
    assert not plain.connection.has_input(0.3)
    plain.connection.send(dropped.request)
    plain.wait(dropped).expect_good()
    assert plain.wait(later).expect_good().data_in == NEW * 4096


@pytest.mark.parametrize("which", [0, 2])
def test_a_dropped_data_out_fails_the_write(served, plain, which):
    task, answers = waiting_write(plain)
    for number, request in enumerate(answers):
        if number != which:
            plain.connection.send(request)
    plain.wait(task)
    assert task.sense.key == scsi.ABORTED_COMMAND and task.sense.asc == 0x4B
    assert plain.read(0, BLOCKS) == OLD * BYTES == content(served)
    plain.write(0, NEW * BYTES)


def test_a_dropped_last_data_out_leaves_a_write_that_can_be_aborted(served, plain):
    task, answers = waiting_write(plain)
    for request in answers[:-1]:
        plain.connection.send(request)
    assert plain.nop(b"on").data == b"on"
    assert not task.done
    assert plain.task_management(ABORT_TASK, referenced_task=task) == COMPLETE
    plain.connection.send(answers[-1])
    assert plain.nop(b"on").data == b"on"
    assert plain.read(0, BLOCKS) == OLD * BYTES == content(served)


def test_a_dropped_unsolicited_data_out_fails_the_write(served, plain):
    task, unsolicited = plain.prepare_command(scsi.write16(0, 32), NEW * 16384, immediate_bytes=512)
    plain.connection.send(task.request)
    for request in unsolicited[1:]:
        plain.connection.send(request)
    plain.wait(task)
    assert task.sense.key == scsi.ABORTED_COMMAND
    assert plain.read(0, BLOCKS) == OLD * BYTES == content(served)


def test_a_dropped_ping_answer_ends_the_session_in_time(served):
    with served.session() as session:
        session.answer_pings = False
        started = time.monotonic()
        session.connection.wait_closed()
        assert 1 < time.monotonic() - started < 20, "nop_interval_s + nop_timeout_s is 7"


# ---- Repeated ----

def test_a_repeated_command_is_done_once(plain):
    """Increments would show a second time; the number was used, so the copy is ignored."""
    first, _ = plain.prepare_command(scsi.write16(0, 8), NEW * 4096)
    plain.connection.send(first.request)
    plain.wait(first).expect_good()
    plain.write(0, b"\x22" * 4096)
    plain.connection.send(first.request)
    assert plain.nop(b"only this").data == b"only this"
    assert plain.inbox == []
    assert plain.read(0, 8) == b"\x22" * 4096


def test_a_command_repeated_while_it_waits_is_done_once(plain):
    gap, _ = plain.prepare_command(scsi.test_unit_ready())
    waiting, _ = plain.prepare_command(scsi.write16(0, 8), NEW * 4096)
    plain.connection.send(waiting.request)
    plain.connection.send(waiting.request)
    plain.connection.send(gap.request)
    plain.wait(waiting).expect_good()
    assert plain.nop(b"only this").data == b"only this" and plain.inbox == []
    assert plain.read(0, 8) == NEW * 4096


@pytest.mark.parametrize("which", [0, 3])
def test_a_repeated_data_out_fails_the_write(served, plain, which):
    task, answers = waiting_write(plain)
    for number, request in enumerate(answers):
        for _ in range(2 if number == which else 1):
            plain.connection.send(request)
    plain.wait(task)
    assert task.sense.key == scsi.ABORTED_COMMAND and task.sense.asc == 0x4B
    assert plain.nop(b"on").data == b"on"
    assert plain.read(0, BLOCKS) == OLD * BYTES == content(served)


def test_the_last_data_out_repeated_changes_nothing(plain):
    """The write is done when the copy comes: it is no data of any command any more."""
    task, answers = waiting_write(plain)
    for request in answers:
        plain.connection.send(request)
    plain.wait(task).expect_good()
    plain.write(0, b"\x22" * BYTES)
    plain.connection.send(answers[-1])
    go_on(plain)
    assert plain.read(0, BLOCKS) == b"\x22" * BYTES


# ---- In another order ----

@pytest.mark.parametrize("swap", [(0, 1), (3, 4), (-2, -1)])
def test_data_outs_in_another_order_fail_the_write(served, plain, swap):
    """DataPDUInOrder and DataSequenceInOrder are Yes."""
    task, answers = waiting_write(plain)
    answers[swap[0]], answers[swap[1]] = answers[swap[1]], answers[swap[0]]
    for request in answers:
        plain.connection.send(request)
    plain.wait(task)
    assert task.sense.key == scsi.ABORTED_COMMAND and task.sense.asc == 0x4B
    go_on(plain)
    assert plain.read(0, BLOCKS) == OLD * BYTES == content(served)


def test_answers_to_two_r2ts_in_another_order_fail_the_write(served):
    keys = {**LINUX_KEYS, "MaxOutstandingR2T": 2, "MaxBurstLength": 8192}
    with served.session(keys=keys) as session:
        session.settle()
        session.write(0, OLD * BYTES)
        task = session.start(scsi.write16(0, BLOCKS), NEW * BYTES, hold_r2ts=True, immediate_bytes=0,
                             unsolicited_bytes=0)
        while len(task.unanswered_r2ts) < 2:
            session.pump()
        for r2t in reversed(list(task.unanswered_r2ts)):
            session.answer(task, r2t)
        go_on(session)
        assert not task.good
    assert content(served) == OLD * BYTES


# ---- Delayed ----

def test_data_that_comes_late_is_data_all_the_same(plain):
    """Later than the target's own pings; others' commands and the session's own go on meanwhile."""
    task, answers = waiting_write(plain)
    deadline = time.monotonic() + 5
    pings = 0
    while pings < 1:
        assert time.monotonic() < deadline, "the target never asks whether we are there"
        pings += isinstance(plain.pump(), pdu.NopIn)
    assert plain.read(4096, 8) is not None
    for request in answers:
        plain.connection.send(request)
    plain.wait(task).expect_good()
    assert plain.read(0, BLOCKS) == NEW * BYTES


def test_a_command_that_comes_after_its_abort_is_not_done(served, plain):
    """RFC 7143 11.6.1: the number within the window counts as received and aborted."""
    late, _ = plain.prepare_command(scsi.write16(0, 8), NEW * 4096)
    assert plain.task_management(ABORT_TASK, referenced_task=late) == COMPLETE
    plain.connection.send(late.request)
    assert plain.nop(b"on", immediate=False).data == b"on"
    assert not late.done
    assert plain.read(0, BLOCKS) == OLD * BYTES == content(served)


def test_snacks_are_rejected_at_level_0(plain):
    request = pdu.SnackRequest(initiator_task_tag=pdu.RESERVED_TAG, target_transfer_tag=pdu.RESERVED_TAG, kind=1)
    plain.connection.send(request)
    assert plain.receive_reject().reason == SNACK_REJECTED
    plain.settle()


@pytest.mark.parametrize("kind", ["close", "reset"])
@pytest.mark.parametrize("stage", ["command", "header digest", "data", "data digest", "second data-out"])
def test_a_connection_with_digests_that_dies_writes_nothing(served, digested, kind, stage):
    if stage == "second data-out":
        _, answers = waiting_write(digested)
        raw = b"".join(digested.connection.encode(one) for one in answers[:2])[:-100]
    else:
        task, _ = digested.prepare_command(scsi.write16(0, 8), NEW * 4096)
        end = {"command": 30, "header digest": 50, "data": 1000, "data digest": -2}[stage]
        raw = digested.connection.encode(task.request)[:end]
    digested.connection.send_raw(raw)
    getattr(digested.connection, kind)()
    assert content(served) == OLD * BYTES
