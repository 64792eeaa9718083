# SPDX-License-Identifier: Apache-2.0
"""Connections that die at every stage of a login and of a command: all is freed, and nobody else notices."""

import contextlib
import socket
import threading

import pytest
from lib import pdu, scsi
from lib.connection import Connection, ConnectionClosed

MIB = 1 << 20

pytestmark = pytest.mark.usefixtures("others_notice_nothing")


@pytest.fixture(params=["close", "reset"])
def end(request):
    """How the connection dies: FIN or RST."""
    return lambda session: getattr(session.connection, request.param)()


@pytest.fixture(autouse=True)
def everything_is_freed(served, others_notice_nothing):
    before = served.daemon.open_descriptors()
    yield
    served.daemon.wait_for_descriptors(before, timeout=20)


@pytest.mark.parametrize("sent", [0, 1, 47, 48, 49, 100])
def test_in_the_middle_of_a_login_request(served, end, sent):
    with served.session(login=False) as session:
        session.connection.send_raw(session.prepare_login(session.first_login_keys()).encode()[:sent])
        end(session)


def test_between_two_login_requests(served, end):
    with served.session(login=False) as session:
        session.exchange_login(session.first_login_keys(), transit=False)
        end(session)


def test_before_the_login_response_is_read(served, end):
    with served.session(login=False) as session:
        session.connection.send(session.prepare_login({**session.first_login_keys(), **session.keys}))
        end(session)


@pytest.mark.parametrize("sent", [1, 20, 48, 52, 60])
def test_in_the_middle_of_a_command(served, end, sent):
    with served.session() as session:
        session.settle()
        task, _ = session.prepare_command(scsi.write10(0, 8), bytes(4096))
        session.connection.send_raw(task.request.encode()[:sent])
        end(session)


@pytest.mark.parametrize("kind", ["file", "null"])
def test_with_reads_under_way(served, end, kind):
    with served.session() as session:
        lun = served.FILE if kind == "file" else served.NULL
        session.settle(lun)
        for _ in range(8):
            session.start(scsi.read16(0, 2048), read_length=MIB, lun=lun)
        end(session)


def test_in_the_middle_of_data_in(served, end):
    with served.session(receive_buffer_bytes=4096) as session:
        session.settle()
        session.start(scsi.read16(0, 8192), read_length=4 * MIB)
        session.connection.wait_for_bytes(48 + 1000)
        end(session)


def waiting_write(session):
    task = session.start(scsi.write16(0, 2048), bytes(MIB), hold_r2ts=True)
    while not task.unanswered_r2ts:
        session.pump()
    return task, task.unanswered_r2ts[0]


def test_before_unsolicited_data(served, end):
    with served.session() as session:
        session.settle()
        task, unsolicited = session.prepare_command(scsi.write16(0, 128), bytes(65536), immediate_bytes=512)
        session.connection.send(task.request)
        assert unsolicited
        end(session)


def test_before_an_r2t_is_answered(served, end):
    with served.session() as session:
        session.settle()
        waiting_write(session)
        end(session)


@pytest.mark.parametrize("sent", [10, 48, 1000, 30000])
def test_in_the_middle_of_data_out(served, end, sent):
    with served.session() as session:
        session.settle()
        task, r2t = waiting_write(session)
        answer = session.data_outs(task, r2t.target_transfer_tag, r2t.buffer_offset, 65536)[0]
        session.connection.send_raw(answer.encode()[:sent])
        end(session)


def test_between_two_data_outs(served, end):
    with served.session() as session:
        session.settle()
        session.target_segment_length = 8192
        task, r2t = waiting_write(session)
        for answer in session.data_outs(task, r2t.target_transfer_tag, r2t.buffer_offset, 65536)[:3]:
            session.connection.send(answer)
        end(session)


def test_before_the_status_is_read(served, end):
    with served.session() as session:
        session.settle()
        session.start(scsi.write10(0, 8), bytes(4096))
        end(session)


def test_in_the_middle_of_a_text_negotiation(served, end):
    with served.session() as session:
        session.text_exchange(data=b"SendTargets=", final=0, continued=1)
        end(session)


def test_after_a_logout_was_sent(served, end):
    with served.session() as session:
        session.send(pdu.LogoutRequest())
        end(session)


def test_with_commands_in_a_gap(served, end):
    with served.session() as session:
        session.settle()
        session.cmd_sn += 1
        for _ in range(5):
            session.start(scsi.write10(0, 8), bytes(4096), ignore_window=True)
        end(session)


def test_half_closed_after_commands(served):
    """FIN from the initiator while it still reads: the target may answer or not, but it ends."""
    with served.session() as session:
        session.settle()
        session.start(scsi.read16(0, 8), read_length=4096)
        session.connection.socket.shutdown(socket.SHUT_WR)
        session.connection.wait_closed()


def test_a_storm_of_logins_during_io(served):
    """gotgt crashed when a login came in the middle of I/O."""
    errors = []

    def storm():
        try:
            for number in range(25):
                with served.session() as session:
                    if number % 2:
                        session.logout()
        except Exception as error:  # noqa: BLE001 (handed over)
            errors.append(error)

    threads = [threading.Thread(target=storm) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []


def test_connections_that_are_opened_and_closed_at_once(served):
    for _ in range(200):
        with contextlib.suppress(ConnectionClosed):
            Connection(served.address).close()
