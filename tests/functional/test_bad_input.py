# SPDX-License-Identifier: Apache-2.0
"""What no initiator should send.  Each time: the RFC's answer or the end of that one connection, nothing written that
was not meant, and a second session that does verified I/O all the while and notices nothing."""

import contextlib
import random

import pytest
from lib import pdu, scsi
from lib.connection import Connection, ConnectionClosed
from lib.initiator import LINUX_KEYS, OPERATIONAL, RejectedError

pytestmark = pytest.mark.usefixtures("others_notice_nothing")

PATTERN = b"\xa5" * 131072


def assert_usable(session):
    assert session.nop(b"in step").data == b"in step"
    session.settle()


def answered_or_closed(session):
    """Takes what comes until a NOP is answered or the connection has ended.  A NOP without an answer is a stall."""
    try:
        probe = session.send(pdu.NopOut(target_transfer_tag=pdu.RESERVED_TAG, data=b"probe"), immediate=True)
        while not any(one.initiator_task_tag == probe.initiator_task_tag and isinstance(one, pdu.NopIn)
                      for one in session.inbox):
            session.pump()
    except ConnectionClosed:
        return False
    session.inbox.clear()
    return True


@pytest.fixture
def patterned(served):
    """A session, and after the test a look from another one: the first 256 blocks are what they were."""
    with served.session() as session:
        session.settle()
        session.write(0, PATTERN)
        yield session
    with served.session() as other:
        other.settle()
        assert other.read(0, 256) == PATTERN, "something was written that should not have been"


# ---- Lengths ----

def test_a_data_segment_longer_than_declared_ends_the_session_or_is_rejected(served):
    with served.session() as session:
        session.settle()
        too_long = session.target_segment_length + 4
        with contextlib.suppress(ConnectionClosed):
            session.send(pdu.NopOut(target_transfer_tag=pdu.RESERVED_TAG, data=bytes(too_long)), immediate=True)
            answer = session.pump()
            assert isinstance(answer, pdu.Reject), "a ping longer than declared was answered"


def test_immediate_data_longer_than_declared_is_not_written(served, patterned):
    request = patterned.prepare(pdu.ScsiCommand(cdb=scsi.write16(0, 1024), write=1, data=bytes(1 << 19),
                                                expected_data_transfer_length=1 << 19))
    with contextlib.suppress(ConnectionClosed):
        patterned.connection.send(request)
        patterned.connection.wait_closed(5)


@pytest.mark.parametrize("length", [8196, 65536, (1 << 24) - 1])
def test_a_login_longer_than_8192_bytes_is_refused(served, length):
    with served.session(login=False) as session:
        with contextlib.suppress(ConnectionClosed):
            session.connection.send(session.prepare_login(data=b"X" * length))
            assert session.receive_login().status >> 8 == 2


@pytest.mark.parametrize("declared", [(1 << 24) - 1, 1 << 20])
def test_a_length_that_lies_before_login_is_given_up(served, declared):
    with served.session(login=False) as session:
        request = session.prepare_login(session.first_login_keys())
        request.data_segment_length = declared
        with contextlib.suppress(ConnectionClosed):
            session.connection.send(request)
            answers = session.connection.wait_closed()
            assert all(answer.status >> 8 == 2 for answer in answers)


def test_a_header_segment_of_1020_bytes_is_survived(served):
    with served.session() as session:
        session.connection.send(session.prepare(pdu.NopOut(ahs=bytes(1020), target_transfer_tag=pdu.RESERVED_TAG),
                                                immediate=True))
        answered_or_closed(session)


def test_a_header_segment_length_that_lies_is_survived(served):
    with served.session() as session:
        session.settle()
        ahs = (4000).to_bytes(2, "big") + b"\x01\0" + bytes(4)
        session.start(scsi.test_unit_ready(), ahs=ahs)
        answered_or_closed(session)


# ---- Data-Out ----

def waiting_write(session, **options):
    """A write of 64 KiB to block 0 that waits for the data that its first R2T asks for."""
    task = session.start(scsi.write10(0, 128), b"\xee" * 65536, hold_r2ts=True, immediate_bytes=0, unsolicited_bytes=0,
                         **options)
    while not task.unanswered_r2ts:
        session.pump()
    return task, task.unanswered_r2ts[0]


def data_out(session, task, r2t, **changes):
    fields = {"data": b"\xee" * 4096, "initiator_task_tag": task.tag, "target_transfer_tag": r2t.target_transfer_tag,
              "buffer_offset": r2t.buffer_offset, "data_sn": 0, "exp_stat_sn": session.exp_stat_sn, "final": 0,
              "lun": task.request.lun, **changes}
    return pdu.DataOut(**fields)


@pytest.mark.parametrize("changes", [
    {"target_transfer_tag": 0x12345678}, {"target_transfer_tag": pdu.RESERVED_TAG}, {"initiator_task_tag": 0x7777},
    {"initiator_task_tag": pdu.RESERVED_TAG}, {"buffer_offset": 4096}, {"buffer_offset": 65536},
    {"buffer_offset": 0xFFFFF000}, {"data_sn": 1}, {"data_sn": 0xFFFFFFFF}, {"lun": 77}, {"final": 1},
    {"data": b""}, {"data": b"", "final": 1}, {"data": b"\xee" * 1}, {"data": b"\xee" * 131072, "final": 1},
], ids=lambda changes: ",".join(f"{key}={value if not isinstance(value, bytes) else len(value)}"
                                for key, value in changes.items()))
def test_a_wrong_data_out_is_answered_and_writes_nothing(patterned, changes):
    """Whole transfers only: a write that never gets all of its data changes nothing that others can read."""
    task, r2t = waiting_write(patterned)
    with contextlib.suppress(ConnectionClosed):
        patterned.connection.send(data_out(patterned, task, r2t, **changes))
    if answered_or_closed(patterned):
        assert not task.good, "a write without its data succeeded"
        with contextlib.suppress(ConnectionClosed):
            patterned.task_management(1, referenced_task=task)


def test_data_past_the_end_of_a_write_is_not_written(served, patterned):
    with served.session() as session:
        session.settle()
        task, r2t = waiting_write(session)
        with contextlib.suppress(ConnectionClosed):
            session.connection.send(data_out(session, task, r2t, data=PATTERN[:65536]))
            session.connection.send(data_out(session, task, r2t, buffer_offset=65536, data_sn=1, final=1,
                                             data=b"\xcc" * 65536))
        answered_or_closed(session)


def test_data_for_a_command_that_wants_none_is_answered(patterned):
    task, _ = patterned.prepare_command(scsi.read16(0, 8), read_length=4096)
    patterned.connection.send(task.request)
    patterned.connection.send(pdu.DataOut(data=bytes(4096), initiator_task_tag=task.tag, final=1,
                                          target_transfer_tag=pdu.RESERVED_TAG))
    answered_or_closed(patterned)


def test_unsolicited_data_when_none_was_agreed_is_answered(served, patterned):
    with served.session(keys={**LINUX_KEYS, "InitialR2T": "Yes", "ImmediateData": "No"}) as session:
        session.settle()
        task, _ = session.prepare_command(scsi.write10(0, 8), b"\xee" * 4096)
        task.request.data = b"\xee" * 4096
        with contextlib.suppress(ConnectionClosed):
            session.connection.send(task.request)
        answered_or_closed(session)
        assert not task.good


def test_more_unsolicited_data_than_the_first_burst_is_answered(served, patterned):
    with served.session(keys={**LINUX_KEYS, "FirstBurstLength": 4096}) as session:
        session.settle()
        task, _ = session.prepare_command(scsi.write10(0, 128), b"\xee" * 65536, immediate_bytes=4096)
        task.request.final = 0
        with contextlib.suppress(ConnectionClosed):
            session.connection.send(task.request)
            for number, offset in enumerate(range(4096, 65536, 4096)):
                session.connection.send(pdu.DataOut(
                    data=b"\xee" * 4096, initiator_task_tag=task.tag, target_transfer_tag=pdu.RESERVED_TAG,
                    data_sn=number, buffer_offset=offset, final=offset == 61440))
        answered_or_closed(session)
        session.connection.close()
        session.tasks.clear()
    patterned.write(0, PATTERN)


def test_data_out_of_nowhere_does_not_stall_the_session(patterned):
    """gotgt stalled on a Data-Out with an unknown tag."""
    for tag in (1, 0x1000, pdu.RESERVED_TAG):
        patterned.connection.send(pdu.DataOut(data=bytes(512), initiator_task_tag=tag, final=1,
                                              target_transfer_tag=pdu.RESERVED_TAG))
        if not answered_or_closed(patterned):
            return
    assert_usable(patterned)


def test_a_task_tag_in_use_is_answered(patterned):
    task, _ = waiting_write(patterned)
    patterned.connection.send(patterned.prepare(pdu.ScsiCommand(cdb=bytes([0x28]) + bytes(15),
                                                                initiator_task_tag=task.tag)))
    answered_or_closed(patterned)
    assert not task.done or not task.good, "the write has succeeded without its data"


# ---- CDBs ----

@pytest.mark.parametrize("build", [scsi.read10, scsi.read12, scsi.read16, scsi.verify10, scsi.verify16],
                         ids=lambda build: build.__name__)
@pytest.mark.parametrize("beyond", [0, -1, 1000])
def test_reading_past_the_end_is_out_of_range(session, served, build, beyond):
    task = session.execute(build(served.blocks + beyond, 2), read_length=1024 if "read" in build.__name__ else 0)
    task.expect_sense(scsi.ILLEGAL_REQUEST, 0x21, 0)


@pytest.mark.parametrize("build", [scsi.write10, scsi.write12, scsi.write16, scsi.write_and_verify10,
                                   scsi.write_and_verify16], ids=lambda build: build.__name__)
@pytest.mark.parametrize("beyond", [0, -1, 1000])
def test_writing_past_the_end_is_out_of_range_and_writes_nothing(session, served, build, beyond):
    session.write(served.blocks - 2, b"\x0f" * 1024)
    task = session.execute(build(served.blocks + beyond, 2), b"\xf0" * 1024)
    task.expect_sense(scsi.ILLEGAL_REQUEST, 0x21, 0)
    assert session.read(served.blocks - 2, 2) == b"\x0f" * 1024
    assert served.images[0].stat().st_size == served.blocks * 512


@pytest.mark.parametrize("lba, blocks", [((1 << 64) - 1, 1), ((1 << 64) - 1, 2), (1 << 63, 8), (0, 0xFFFFFFFF),
                                         ((1 << 55) - 1, 0xFFFFFFFF), (1, 0x7FFFFFFF)])
@pytest.mark.parametrize("build", [scsi.read16, scsi.write16, scsi.write_same16, scsi.synchronize_cache16,
                                   scsi.verify16, scsi.orwrite16], ids=lambda build: build.__name__)
def test_addresses_that_overflow_are_refused(session, build, lba, blocks):
    options = {"data_out": bytes(512)} if "write" in build.__name__ else {}
    options = {"read_length": 4096} if "read" in build.__name__ else options
    session.execute(build(lba, blocks), **options).expect_sense(scsi.ILLEGAL_REQUEST)


ONE_COMMAND = {
    "ORWRITE(16)": (scsi.orwrite16(0, 1), {}),
    "ORWRITE(16) with data": (scsi.orwrite16(0, 1), {"data_out": bytes(512)}),
    "PREVENT ALLOW": (scsi.prevent_allow(), {}),
    "UNMAP without data": (scsi.unmap(24), {}),
    "UNMAP with short data": (scsi.unmap(24), {"data_out": bytes(5)}),
    "UNMAP whose lengths lie": (scsi.unmap(24), {"data_out": b"\xff\xff\xff\xff" + bytes(20)}),
    "PR OUT without data": (scsi.persistent_reserve_out(0, 24), {}),
    "PR OUT with short data": (scsi.persistent_reserve_out(0, 24), {"data_out": bytes(3)}),
    "MODE SELECT without data": (scsi.mode_select6(24), {}),
    "MODE SENSE(6) expecting nothing": (scsi.mode_sense6(), {}),
    "MODE SENSE(10) expecting nothing": (scsi.mode_sense10(), {}),
    "INQUIRY expecting nothing": (scsi.inquiry(), {}),
    "REPORT LUNS expecting nothing": (scsi.report_luns(), {}),
    "WRITE SAME without data": (scsi.write_same10(0, 1), {}),
    "WRITE SAME with a short block": (scsi.write_same10(0, 1), {"data_out": bytes(100)}),
    "WRITE without data": (scsi.write10(0, 8), {}),
    "READ expecting nothing": (scsi.read10(0, 8), {}),
    "VERIFY with bytes to check but none sent": (scsi.verify10(0, 8, byte_check=1), {}),
    "REPORT SUPPORTED OPERATION CODES of a strange kind": (
        bytes.fromhex("a30c07ffffff0000100000000000"), {"read_length": 4096}),
    "a CDB of ones": (b"\xff" * 16, {}),
    "a CDB of zeros with data": (bytes(16), {"data_out": bytes(4096)}),
}


@pytest.mark.parametrize("name", ONE_COMMAND)
def test_one_command_never_hurts(patterned, name):
    """Several of these brought gotgt down."""
    cdb, options = ONE_COMMAND[name]
    patterned.execute(cdb, **options)
    assert_usable(patterned)
    if name.startswith(("ORWRITE(16) with", "WRITE SAME")):
        patterned.write(0, PATTERN)


@pytest.mark.parametrize("group", range(8))
def test_every_operation_code_is_answered(served, patterned, group):
    """With a CDB of zeros else, to a LUN whose content does not matter."""
    for opcode in range(32 * group, 32 * group + 32):
        for options in ({}, {"read_length": 512}, {"data_out": bytes(512)}):
            patterned.execute(bytes([opcode]) + bytes(15), lun=served.NULL, **options)
    patterned.execute(scsi.start_stop_unit(True), lun=served.NULL).expect_good()
    assert_usable(patterned)


@pytest.mark.parametrize("lun", [b"\xff" * 8, b"\x00\x00" + b"\xff" * 6, b"\x80" + bytes(7),
                                 b"\x40\x05\x00\x01" + bytes(4)], ids=bytes.hex)
def test_a_strange_lun_is_no_lun(session, lun):
    session.execute(scsi.read10(0, 1), read_length=512, lun=lun).expect_sense(scsi.ILLEGAL_REQUEST, 0x25, 0)


# ---- Text ----

LOGIN_TEXTS = {
    "no NUL": b"InitiatorName=iqn.2026-11.org.example:a",
    "no equals sign": b"InitiatorName\0TargetName\0",
    "only NULs": bytes(1000),
    "an empty key": b"=value\0",
    "a key of 64 bytes": b"X-" + b"k" * 62 + b"=1\0",
    "a key of 4000 bytes": b"X-" + b"k" * 4000 + b"=1\0",
    "a value of 8000 bytes": b"InitiatorName=" + b"v" * 8000 + b"\0",
    "control bytes": b"Initiator\x01Name=\x02\x03\x1b[2J\0",
    "bytes above 7Fh": b"InitiatorName=iqn.2026-11.org.example:\xff\xfe\0",
    "an endless number": b"MaxBurstLength=" + b"9" * 255 + b"\0",
    "a number in bad hex": b"MaxBurstLength=0xQQ\0",
    "printf formats": b"InitiatorName=iqn.2026-11.org.example:%s%n%s%n\0",
    "1,000 keys": b"".join(b"X-%d=1\0" % number for number in range(1000))[:8190],
    "all the same key": b"InitiatorName=iqn.2026-11.org.example:a\0" * 200,
}


@pytest.mark.parametrize("text", LOGIN_TEXTS)
def test_a_strange_login_text_is_answered(served, text):
    with served.session(login=False) as session:
        with contextlib.suppress(ConnectionClosed):
            response = session.exchange_login(data=LOGIN_TEXTS[text], transit=False)
            assert response.status >> 8 in (0, 2, 3)


@pytest.mark.parametrize("text", LOGIN_TEXTS)
def test_a_strange_text_in_full_feature_phase_is_answered(served, text):
    with served.session() as session:
        with contextlib.suppress(ConnectionClosed, RejectedError):
            session.text_exchange(data=LOGIN_TEXTS[text])
        answered_or_closed(session)


def test_a_login_of_10000_keys_is_bounded(served):
    """Over many PDUs: the target refuses before it holds more than its limit."""
    with served.session(login=False) as session:
        status = 0
        with contextlib.suppress(ConnectionClosed):
            for first in range(0, 10000, 400):
                text = b"".join(b"X-org.example.%d=1\0" % number for number in range(first, first + 400))
                status = session.exchange_login(data=text[:8190], transit=False, continued=True).status
                if status:
                    break
        assert status >> 8 in (0, 2, 3)


def test_a_text_that_never_ends_is_bounded(served):
    """4 MiB of continued text: sooner or later an answer that is no 'go on'."""
    with served.session() as session:
        with contextlib.suppress(ConnectionClosed, RejectedError):
            response = session.text_exchange(data=b"A" * 8000, final=0, continued=1)
            for _ in range(500):
                response = session.text_exchange(
                    data=b"A" * 8000, final=0, continued=1, target_transfer_tag=response.target_transfer_tag,
                    initiator_task_tag=response.initiator_task_tag)
            pytest.fail("the target takes text without a bound")
        answered_or_closed(session)


def test_a_login_that_never_ends_is_bounded_in_bytes(served):
    with served.session(login=False) as session:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(500):
                response = session.exchange_login(data=b"A" * 8000, transit=False, continued=True)
                if response.status:
                    assert response.status >> 8 in (2, 3)
                    return
            pytest.fail("the target takes login text without a bound")


# ---- Streams ----

@pytest.mark.parametrize("stream", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(48), b"\xff" * 48, b"\xff" * 4096,
                                    random.Random(7).randbytes(4096), b"\x43" * 100000, b"\x16\x03\x01\x02\x00\x01"],
                         ids=["http", "zeros", "ones", "many ones", "random", "logins", "tls"])
def test_a_stream_of_something_else_ends(served, stream):
    with Connection(served.address) as connection:
        with contextlib.suppress(ConnectionClosed):
            connection.send_raw(stream)
        for answer in connection.wait_closed():
            assert isinstance(answer, (pdu.LoginResponse, pdu.Reject))


def random_request(choose, session):
    """A request of any kind with one or two fields that are wrong."""
    kind = choose.choice(pdu.REQUESTS)
    request = kind(data=choose.randbytes(choose.choice((0, 0, 4, 48, 512, 5000))))
    if kind is pdu.ScsiCommand:
        # nothing that writes: the opcodes of reading commands, whatever else the CDB says
        request.cdb = bytes([choose.choice((0x00, 0x03, 0x12, 0x1A, 0x25, 0x28, 0x88, 0x9E, 0xA0, 0xA3))]) + \
            choose.randbytes(15)
        request.expected_data_transfer_length = choose.choice((0, 512, 65536, 0xFFFFFFFF))
    session.prepare(request, immediate=choose.random() < 0.5)
    request.initiator_task_tag = choose.choice((request.initiator_task_tag, 1, pdu.RESERVED_TAG))
    for _ in range(choose.choice((0, 1, 2))):
        at = choose.choice([*range(1, 5), *range(8, 32)])
        request.bhs[at] = choose.randrange(256)
    if choose.random() < 0.1:
        request.ahs = choose.randbytes(4 * choose.randrange(1, 20))
    return request


@pytest.mark.parametrize("seed", range(40))
def test_random_requests_never_hurt(served, seed):
    choose = random.Random(seed)
    with served.session() as session:
        session.settle(served.NULL)
        with contextlib.suppress(ConnectionClosed):
            for _ in range(30):
                session.connection.send(random_request(choose, session))


@pytest.mark.parametrize("seed", range(20))
def test_random_login_requests_never_hurt(served, seed):
    choose = random.Random(seed)
    with served.session(login=False) as session:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(5):
                request = session.prepare_login(session.first_login_keys(), OPERATIONAL,
                                                transit=choose.random() < 0.3)
                for _ in range(choose.randrange(4)):
                    request.bhs[choose.choice([1, 2, 3, *range(8, 48)])] = choose.randrange(256)
                text = bytearray(request.data)
                for _ in range(choose.randrange(4)):
                    text[choose.randrange(len(text))] = choose.randrange(256)
                request.data = text
                session.connection.send(request)


# ---- Peers that do not take what is sent ----

def test_a_peer_that_never_reads_holds_up_nobody(served):
    """It asks for far more than the sockets hold and reads nothing; the target must neither block nor grow."""
    before = served.daemon.resident_bytes()
    with served.session(receive_buffer_bytes=4096, timeout=5) as session:
        session.settle()
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            for _ in range(64):
                session.start(scsi.read16(0, 2048), read_length=1 << 20, ignore_window=True)
        assert served.daemon.resident_bytes() - before < 256 << 20
        with served.session() as other:
            other.settle()
            assert len(other.read(0, 8)) == 4096


def test_many_connections_that_say_nothing_keep_nobody_out(served):
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(Connection(served.address))
        with served.session() as session:
            session.settle()
