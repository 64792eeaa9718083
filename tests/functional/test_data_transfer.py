# SPDX-License-Identifier: Apache-2.0
"""Data both ways: immediate, unsolicited and solicited, R2Ts, Data-In with status, residuals, digests."""

import itertools
import random

import pytest
from lib import pdu, scsi
from lib.connection import ConnectionClosed
from lib.initiator import LINUX_KEYS

FIRST_BURST = 16384


def random_bytes(length, seed=0):
    return random.Random(seed or length).randbytes(length)


def keys(**changes):
    return {**LINUX_KEYS, "FirstBurstLength": FIRST_BURST, **changes}


# ---- Writes ----

@pytest.mark.parametrize("initial_r2t, immediate_data", itertools.product(["Yes", "No"], repeat=2))
@pytest.mark.parametrize("length", [512, 4096, FIRST_BURST - 512, FIRST_BURST, FIRST_BURST + 512, 1 << 20])
def test_a_write_arrives_in_every_combination(served, initial_r2t, immediate_data, length):
    with served.session(keys=keys(InitialR2T=initial_r2t, ImmediateData=immediate_data)) as session:
        session.settle()
        data = random_bytes(length)
        task = session.write(8, data)
        unsolicited = min(length, session.negotiated["FirstBurstLength"])
        unasked = unsolicited if initial_r2t == "No" or immediate_data == "Yes" else 0
        assert sum(r2t.desired_data_transfer_length for r2t in task.r2ts) == length - unasked
        assert session.read(8, length // 512) == data


@pytest.mark.parametrize("immediate_bytes, unsolicited_bytes", [(0, 0), (512, 512), (0, 4096), (512, 4096), (0, None)])
def test_less_may_come_unasked_than_was_agreed(served, immediate_bytes, unsolicited_bytes):
    with served.session(keys=keys()) as session:
        session.settle()
        data = random_bytes(65536)
        task = session.write(8, data, immediate_bytes=immediate_bytes, unsolicited_bytes=unsolicited_bytes)
        assert task.r2ts[0].buffer_offset == (FIRST_BURST if unsolicited_bytes is None else unsolicited_bytes)
        assert session.read(8, 128) == data


def test_several_r2ts_are_outstanding(served):
    with served.session(keys=keys(MaxOutstandingR2T=4, MaxBurstLength=65536)) as session:
        session.settle()
        outstanding = session.negotiated["MaxOutstandingR2T"]
        assert outstanding > 1, "the target offers no more than one"
        data = random_bytes(1 << 20)
        task = session.start(scsi.write16(0, 2048), data, hold_r2ts=True)
        while len(task.unanswered_r2ts) < outstanding:
            session.pump()
        for r2t in list(task.unanswered_r2ts):
            session.answer(task, r2t)
        task.hold_r2ts = False
        session.wait(task).expect_good()
        assert session.read(0, 2048) == data


def test_r2ts_of_several_commands_may_be_answered_in_any_order(served):
    with served.session(keys=keys()) as session:
        session.settle()
        pieces = [random_bytes(131072, seed) for seed in range(1, 5)]
        tasks = [session.start(scsi.write16(256 * number, 256), piece, hold_r2ts=True)
                 for number, piece in enumerate(pieces)]
        for task in tasks:
            while not task.unanswered_r2ts:
                session.pump()
        for task in reversed(tasks):
            while not task.done:
                if task.unanswered_r2ts:
                    session.answer(task, task.unanswered_r2ts[0])
                else:
                    session.pump()
            task.expect_good()
        assert session.read(0, 1024) == b"".join(pieces)


def test_data_of_two_commands_may_be_interleaved(served):
    with served.session(keys=keys(MaxRecvDataSegmentLength=262144)) as session:
        session.settle()
        session.target_segment_length = 4096  # smaller pieces than it would take
        data = [random_bytes(65536, seed) for seed in (1, 2)]
        tasks = [session.start(scsi.write16(128 * number, 128), one, hold_r2ts=True, immediate_bytes=0,
                               unsolicited_bytes=0) for number, one in enumerate(data)]
        while not all(task.unanswered_r2ts for task in tasks):
            session.pump()
        streams = [session.data_outs(task, r2t.target_transfer_tag, r2t.buffer_offset, r2t.desired_data_transfer_length)
                   for task in tasks for r2t in task.unanswered_r2ts[:1]]
        for request in itertools.chain.from_iterable(zip(*streams)):
            session.connection.send(request)
        for task in tasks:
            session.wait(task).expect_good()
        assert session.read(0, 256) == b"".join(data)


def test_many_commands_at_once_all_arrive(served):
    with served.session() as session:
        session.settle()
        tasks = [session.start(scsi.write16(number * 8, 8), bytes([number]) * 4096) for number in range(100)]
        for task in tasks:
            session.wait(task).expect_good()
        assert session.read(0, 800) == b"".join(bytes([number]) * 4096 for number in range(100))


def test_a_write_lands_in_the_file(session, served):
    data = random_bytes(1 << 20)
    session.write(1000, data)
    session.execute(scsi.synchronize_cache10()).expect_good()
    with served.images[0].open("rb") as file:
        file.seek(1000 * 512)
        assert file.read(len(data)) == data


# ---- Reads ----

@pytest.mark.parametrize("length", [512, 4096, 262144, 4 << 20])
def test_the_last_data_in_carries_the_status(session, length):
    task = session.execute(scsi.read16(0, length // 512), read_length=length).expect_good()
    assert task.data_in_pdus[-1].has_status and task.data_in_pdus[-1] is task.response_pdu
    assert not any(one.has_status for one in task.data_in_pdus[:-1])


@pytest.mark.parametrize("segment, burst", [(512, 512), (512, 4096), (1000, 4096), (8192, 65536), (16777215, 16777215)])
def test_data_in_keeps_to_segments_and_bursts(served, segment, burst):
    with served.session(keys=keys(MaxRecvDataSegmentLength=segment, MaxBurstLength=burst,
                                  FirstBurstLength=512)) as session:
        session.settle()
        data = random_bytes(262144)
        session.write(0, data)
        task = session.execute(scsi.read16(0, 512), read_length=len(data)).expect_good()
        assert bytes(task.data_in) == data
        assert max(len(one.data) for one in task.data_in_pdus) <= segment


# ---- Residuals ----

def test_a_read_shorter_than_expected_underflows(session):
    task = session.execute(scsi.read10(0, 2), read_length=4096).expect_good()
    assert (len(task.data_in), task.underflow, task.overflow) == (1024, 3072, 0)


def test_a_read_longer_than_expected_overflows(session):
    task = session.execute(scsi.read10(0, 8), read_length=1024).expect_good()
    assert (len(task.data_in), task.underflow, task.overflow) == (1024, 0, 3072)


@pytest.mark.parametrize("expected", [0, 1, 511, 513, 65537])
def test_any_expected_length_of_a_read_is_survived(session, expected):
    task = session.execute(scsi.read10(0, 2), read_length=expected or None, edtl=expected).expect_good()
    assert (task.underflow, task.overflow) == (max(expected - 1024, 0), max(1024 - expected, 0))
    assert session.nop(b"in step").data == b"in step"


@pytest.mark.parametrize("immediate_data, initial_r2t", itertools.product(["Yes", "No"], repeat=2))
def test_a_write_shorter_than_expected_writes_what_the_cdb_says(served, immediate_data, initial_r2t):
    """gotgt wrote all that came, past the end of the unit if need be."""
    with served.session(keys=keys(ImmediateData=immediate_data, InitialR2T=initial_r2t)) as session:
        session.settle()
        session.write(0, b"\x11" * 65536)
        task = session.execute(scsi.write10(0, 2), b"\x22" * 65536).expect_good()
        assert (task.underflow, task.overflow) == (65536 - 1024, 0)
        assert session.read(0, 128) == b"\x22" * 1024 + b"\x11" * (65536 - 1024)


def test_a_write_at_the_end_never_goes_past_it(session, served):
    last = served.blocks - 1
    task = session.execute(scsi.write16(last, 1), b"\x33" * 4096).expect_good()
    assert task.underflow == 3584
    assert served.images[0].stat().st_size == served.blocks * 512


@pytest.mark.parametrize("expected", [512, 700, 65536 - 512])
def test_a_write_longer_than_expected_touches_nothing_that_was_not_sent(session, expected):
    session.write(0, b"\x11" * 131072)
    task = session.execute(scsi.write10(0, 128), b"\x22" * expected)
    if task.good:
        assert task.overflow == 65536 - expected
    after = session.read(0, 256)
    whole = expected // 512 * 512
    assert after[:whole] in (b"\x22" * whole, b"\x11" * whole)
    assert after[-(-expected // 512) * 512:] == b"\x11" * (131072 - -(-expected // 512) * 512)


def test_data_that_a_command_does_not_want_is_an_underflow(session):
    task = session.execute(scsi.test_unit_ready(), bytes(4096)).expect_good()
    assert task.underflow == 4096
    task = session.execute(scsi.test_unit_ready(), read_length=4096).expect_good()
    assert (task.underflow, bytes(task.data_in)) == (4096, b"")


@pytest.mark.parametrize("build, options", [
    (lambda: scsi.read10(0, 8), {"data_out": bytes(4096)}),
    (lambda: scsi.write10(0, 8), {"read_length": 4096}),
    (lambda: scsi.inquiry(96), {"data_out": bytes(96)}),
])
def test_a_command_in_the_wrong_direction_is_answered(session, others_notice_nothing, build, options):
    before = session.read(0, 8)
    session.execute(build(), **options)
    assert session.read(0, 8) == before


def test_sense_comes_with_an_underflow(session, served):
    task = session.execute(scsi.read16(served.blocks, 1), read_length=512)
    task.expect_sense(scsi.ILLEGAL_REQUEST, 0x21, 0)
    assert task.underflow == 512


# ---- Digests ----

@pytest.mark.parametrize("header, data", itertools.product(["None", "CRC32C"], repeat=2))
def test_every_combination_of_digests_carries_data(served, header, data):
    with served.session(keys=keys(HeaderDigest=header, DataDigest=data), security_stage=True) as session:
        assert (session.negotiated["HeaderDigest"], session.negotiated["DataDigest"]) == (header, data)
        session.settle()
        payload = random_bytes(131072)
        session.write(0, payload)
        assert session.read(0, 256) == payload
        for length in range(1, 6):
            assert session.nop(bytes(length)).data == bytes(length)


def damaged(raw, at):
    damage = bytearray(raw)
    damage[at] ^= 0x01
    return bytes(damage)


def test_a_damaged_header_ends_the_connection_only(served, others_notice_nothing):
    """RFC 7143 7.8: a header digest error loses the framing, and level 0 ends the session."""
    with served.session(keys=keys(HeaderDigest="CRC32C")) as session:
        session.settle()
        request = session.prepare(pdu.NopOut(target_transfer_tag=pdu.RESERVED_TAG), immediate=True)
        session.connection.send_raw(damaged(session.connection.encode(request), 49))
        with pytest.raises(ConnectionClosed):
            while True:
                assert not isinstance(session.pump(), pdu.NopIn), "a damaged NOP was answered"


def test_damaged_immediate_data_is_never_written(served, others_notice_nothing):
    with served.session(keys=keys(DataDigest="CRC32C")) as session:
        session.settle()
        session.write(0, bytes(4096))
        task, _ = session.prepare_command(scsi.write10(0, 8), b"\xbb" * 4096)
        session.connection.send_raw(damaged(session.connection.encode(task.request), 60))
        try:
            while not task.done:
                if isinstance(session.pump(), pdu.Reject):
                    break
            assert not task.good
        except ConnectionClosed:
            pass
    with served.session() as other:
        other.settle()
        assert other.read(0, 8) == bytes(4096)


def test_damaged_solicited_data_is_never_written(served, others_notice_nothing):
    with served.session(keys=keys(DataDigest="CRC32C")) as session:
        session.settle()
        session.write(0, bytes(65536))
        task = session.start(scsi.write10(0, 128), b"\xbb" * 65536, hold_r2ts=True, immediate_bytes=0,
                             unsolicited_bytes=0)
        while not task.unanswered_r2ts:
            session.pump()
        r2t = task.unanswered_r2ts[0]
        for request in session.data_outs(task, r2t.target_transfer_tag, r2t.buffer_offset,
                                         r2t.desired_data_transfer_length):
            session.connection.send_raw(damaged(session.connection.encode(request), 100))
        try:
            while not task.done:
                session.pump()
            task.expect_sense(scsi.ABORTED_COMMAND)
        except ConnectionClosed:
            pass
    with served.session() as other:
        other.settle()
        assert other.read(0, 128) == bytes(65536)
