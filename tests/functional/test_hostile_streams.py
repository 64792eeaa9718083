# SPDX-License-Identifier: Apache-2.0
"""A corpus of hostile streams against the running daemon: every kind of PDU, wrong in every way that a field allows, in
every stage of a connection.  Each stream has to be answered or its connection ended in time; the daemon lives, forgets
the connection, and a session beside it does verified I/O and notices nothing."""

import contextlib
import itertools
import struct

import pytest
from lib import pdu, scsi
from lib.connection import Connection, ConnectionClosed
from lib.initiator import LINUX_KEYS, OPERATIONAL, SECURITY

pytestmark = pytest.mark.usefixtures("others_notice_nothing")

BEFORE, IN_SECURITY, IN_OPERATIONAL, IN_FULL_FEATURE, WITH_DIGESTS = (
    "before login", "in the security stage", "in the operational stage", "in full feature phase", "with digests")
STAGES = [BEFORE, IN_SECURITY, IN_OPERATIONAL, IN_FULL_FEATURE, WITH_DIGESTS]
UNKNOWN_OPCODES = [0x07, 0x0F, 0x11, 0x1C, 0x1F]


def honest(kind, session):
    """One PDU of the kind as it should be, with data where it may have some."""
    fields = {"initiator_task_tag": 0x1234}
    if kind is pdu.ScsiCommand:
        fields.update(cdb=scsi.write10(0, 8), write=1, expected_data_transfer_length=4096, data=bytes(512))
    elif kind is pdu.TextRequest:
        fields.update(target_transfer_tag=pdu.RESERVED_TAG, data=b"SendTargets=\0")
    elif kind is pdu.NopOut:
        fields.update(target_transfer_tag=pdu.RESERVED_TAG, data=b"ping")
    elif kind is pdu.LoginRequest:
        fields.update(transit=1, csg=OPERATIONAL, nsg=3, isid=session.isid, data=b"MaxBurstLength=512\0")
    elif kind is pdu.DataOut:
        fields.update(target_transfer_tag=7, data=bytes(512), final=1)
    elif kind is pdu.TaskManagementRequest:
        fields.update(function=1, referenced_task_tag=0x4321)
    request = kind(**fields)
    for name, value in (("cmd_sn", session.cmd_sn), ("exp_stat_sn", session.exp_stat_sn)):
        if hasattr(kind, name):
            setattr(request, name, value)
    return request


def of_unknown_opcode(opcode):
    request = pdu.Pdu(data=b"unknown")
    request.opcode_field = opcode
    return request


def set_bytes(offset, value):
    def change(request):
        request.bhs[offset:offset + len(value)] = value
    return change


def set_field(**fields):
    def change(request):
        for name, value in fields.items():
            setattr(request, name, value)
    return change


def far_number(offset):
    """CmdSN, ExpStatSN or another number, far away."""
    return lambda request: set_bytes(offset, struct.pack(">L", 0x7FFFFFF0))(request)


WRONG = {
    "as it should be": lambda request: None,
    "immediate": set_field(immediate=1),
    "all flags": set_bytes(1, b"\xff"),
    "no flags": set_bytes(1, b"\0"),
    "reserved bytes": set_bytes(2, b"\xff\xff"),
    "a length of 16 MiB": set_field(data_segment_length=(1 << 24) - 1),
    "a length of 0 with data": set_field(data_segment_length=0),
    "a length of one less": lambda request: setattr(request, "data_segment_length", max(len(request.data) - 1, 0)),
    "AHS of 1020 bytes": set_field(ahs=b"\0\xff" * 510),
    "AHS that is not there": set_field(total_ahs_length=255),
    "AHS that ends early": set_field(ahs=struct.pack(">HBB", 0xFFFF, 1, 0)),
    "a strange LUN": set_bytes(8, b"\xff" * 8),
    "the reserved tag": set_bytes(16, b"\xff" * 4),
    "another transfer tag": set_bytes(20, b"\x5a" * 4),
    "the reserved transfer tag": set_bytes(20, b"\xff" * 4),
    "CmdSN far ahead": far_number(24),
    "CmdSN of the past": set_bytes(24, b"\xff\xff\xff\xfe"),
    "ExpStatSN far ahead": far_number(28),
    "the rest ones": set_bytes(32, b"\xff" * 16),
    "data of 9000 bytes": lambda request: setattr(request, "data", b"A" * 9000),
    "data of 300000 bytes": lambda request: setattr(request, "data", b"A" * 300000),
}
TRUNCATED = [1, 4, 8, 20, 47, 48, 49, 51]


def bring_to(session, stage):
    """A connection in that stage."""
    if stage == IN_SECURITY:
        session.exchange_login({**session.first_login_keys(), "AuthMethod": "None"}, SECURITY, OPERATIONAL, transit=False)
    elif stage == IN_OPERATIONAL:
        session.exchange_login(session.first_login_keys(), OPERATIONAL, transit=False)
    elif stage == IN_FULL_FEATURE:
        session.login()
    elif stage == WITH_DIGESTS:
        session.keys.update(HeaderDigest="CRC32C", DataDigest="CRC32C")
        session.login()


def hit(served, stage, stream):
    """Sends a stream, ends its half of the connection, and waits for the target to end the other half."""
    with served.session(login=False, timeout=20) as session:
        bring_to(session, stage)
        with contextlib.suppress(ConnectionClosed):
            session.connection.send_raw(stream(session))
        with contextlib.suppress(OSError):
            session.connection.socket.shutdown(1)
        for answer in session.connection.wait_closed():
            assert isinstance(answer, pdu.FromTarget)


KINDS = [*pdu.REQUESTS, *pdu.RESPONSES]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_pdu_wrong_in_every_way(served, stage, kind):
    for change in WRONG.values():
        def stream(session, change=change):
            request = honest(kind, session)
            change(request)
            return session.connection.encode(request)

        hit(served, stage, stream)


@pytest.mark.parametrize("stage", STAGES)
def test_every_kind_of_pdu_cut_off(served, stage):
    for kind, length in itertools.product(pdu.REQUESTS, TRUNCATED):
        hit(served, stage, lambda session, kind=kind, length=length: session.connection.encode(
            honest(kind, session))[:length])


@pytest.mark.parametrize("stage", STAGES)
def test_unknown_opcodes(served, stage):
    for opcode in UNKNOWN_OPCODES:
        hit(served, stage, lambda session, opcode=opcode: session.connection.encode(of_unknown_opcode(opcode)))


@pytest.mark.parametrize("stage", STAGES)
def test_the_same_pdu_a_hundred_times(served, stage):
    for kind in pdu.REQUESTS:
        hit(served, stage, lambda session, kind=kind: session.connection.encode(honest(kind, session)) * 100)


TEXTS = {
    "no NUL": b"SendTargets=All",
    "no equals sign": b"SendTargets\0",
    "an empty key": b"=All\0",
    "no text": b"\0" * 64,
    "text after the end": b"SendTargets=All\0\0\0X=1\0",
    "a key name of 63 bytes": b"X-" + b"k" * 61 + b"=1\0",
    "a key name over the limit": b"X-" + b"k" * 62 + b"=1\0",
    "a value of 255 bytes": b"X-a=" + b"v" * 255 + b"\0",
    "a value over the limit": b"SendTargets=" + b"v" * 256 + b"\0",
    "a value of 8000 bytes": b"X-a=" + b"v" * 8000 + b"\0",
    "a binary value of 4000 bytes": b"CHAP_R=0x" + b"ab" * 2000 + b"\0",
    "a list of 2000 elements": b"AuthMethod=" + b",".join([b"X"] * 2000) + b"\0",
    "the same key twice": b"SendTargets=All\0SendTargets=All\0",
    "keys of the target": b"TargetAddress=1.2.3.4\0TargetAlias=x\0TargetPortalGroupTag=1\0",
    "2,000 keys": b"".join(b"X-%d=\0" % number for number in range(1000))[:8190],
    "escape sequences": b"InitiatorName=\x1b[2J\x07%n%s\0",
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("stage", STAGES)
def test_text_that_is_none(served, stage, text):
    def stream(session):
        if stage in (IN_FULL_FEATURE, WITH_DIGESTS):
            request = honest(pdu.TextRequest, session)
        else:
            request = session.prepare_login(csg=SECURITY if stage == IN_SECURITY else OPERATIONAL, nsg=OPERATIONAL,
                                            transit=False)
        request.data = TEXTS[text]
        return session.connection.encode(request)

    hit(served, stage, stream)


@pytest.mark.parametrize("stage", [IN_OPERATIONAL, IN_FULL_FEATURE])
def test_ten_thousand_keys(served, stage):
    """In as many PDUs as it takes, all sent without waiting for an answer."""
    pieces = [b"".join(b"X-org.example.%d=1\0" % number for number in range(first, first + 400))
              for first in range(0, 10000, 400)]

    def stream(session):
        raw = b""
        for number, piece in enumerate(pieces):
            last = number == len(pieces) - 1
            if stage == IN_OPERATIONAL:
                request = session.prepare_login(data=piece[:8192], transit=False, continued=not last)
            else:
                request = honest(pdu.TextRequest, session)
                request.data, request.final, request.continued = piece, last, not last
                request.immediate = 1
            raw += session.connection.encode(request)
        return raw

    hit(served, stage, stream)


def test_requests_with_every_transfer_tag_of_a_real_write(served):
    """Data-Outs around a write that waits for its data: the tag next to it, the one before it, an old offset."""
    with served.session(keys={**LINUX_KEYS, "MaxOutstandingR2T": 4, "MaxBurstLength": 8192}) as session:
        session.settle(served.NULL)
        for change in (-2, -1, 1, 2, 3, 4, 5):
            task = session.start(scsi.write16(0, 128), bytes(65536), hold_r2ts=True, immediate_bytes=0,
                                 unsolicited_bytes=0, lun=served.NULL)
            while not task.unanswered_r2ts:
                session.pump()
            first = task.unanswered_r2ts[0].target_transfer_tag
            session.connection.send(pdu.DataOut(
                data=bytes(8192), initiator_task_tag=task.tag, final=1, lun=served.NULL,
                target_transfer_tag=(first + change) % (1 << 32), buffer_offset=8192 * max(change, 0)))
            session.send(pdu.TaskManagementRequest(function=1, referenced_task_tag=task.tag, lun=served.NULL,
                                                   ref_cmd_sn=task.request.cmd_sn), immediate=True)
            session.send(pdu.NopOut(target_transfer_tag=pdu.RESERVED_TAG, data=b"in step"), immediate=True)
            while not any(isinstance(one, pdu.NopIn) for one in session.inbox):
                session.pump()
            session.inbox.clear()
            session.tasks.clear()
        session.settle(served.NULL)


def test_nothing_is_left_of_them(served):
    """After hundreds of such connections: no descriptor more than before."""
    before = served.daemon.open_descriptors()
    for stage in STAGES:
        for kind in pdu.REQUESTS:
            hit(served, stage, lambda session, kind=kind: session.connection.encode(honest(kind, session)))
    for _ in range(50):
        Connection(served.address).close()
    served.daemon.wait_for_descriptors(before)
