# SPDX-License-Identifier: Apache-2.0
"""Crowds, storms and peers that are slow, silent or gone: each is bounded, and the others' verified I/O goes on."""

import contextlib
import re
import selectors
import socket
import subprocess
import time

import pytest
from lib import daemon, healthy, pdu, scsi
from lib.connection import Connection, ConnectionClosed
from lib.initiator import LINUX_KEYS, LoginError, Session
from lib.load import load_program

CROWD = 1000
MIB = 1 << 20
HEALTHY_TARGET = "iqn.2026-11.org.example:healthy-disk"


@contextlib.contextmanager
def serving(folder, wrapper=(), workers=2, **settings):
    """A null disk for the crowd, a file for the session whose I/O has to go on; the settings are the daemon's."""
    lun = {"path": str(folder / "healthy.img"), "size": "1M", "create": True}
    crowd = {"path": str(folder / "crowd.img"), "size": "4M", "create": True}
    targets = (daemon.target(crowd, "null:1G"), daemon.target(lun, name=HEALTHY_TARGET))
    with daemon.serve_targets(folder, *targets, workers=workers, wrapper=wrapper, **settings) as running:
        with healthy.HealthySession(running.address, HEALTHY_TARGET) as running.healthy:
            yield running


def goes_on(running, exchanges=20):
    running.healthy.wait_for_exchanges(running.healthy.exchanges + exchanges)


# ---- Crowds ----

def test_a_thousand_sessions_at_once(tmp_path):
    """Also where the daemon is started with the usual limit of 1,024 open files."""
    with serving(tmp_path, wrapper=("prlimit", "--nofile=1024:4096")) as running, contextlib.ExitStack() as stack:
        keys = {**LINUX_KEYS, "FirstBurstLength": 8192}
        started = time.monotonic()
        sessions = [stack.enter_context(Session(running.address, daemon.TARGET, keys=keys)) for _ in range(CROWD)]
        assert time.monotonic() - started < 60
        assert len({session.tsih for session in sessions}) == CROWD
        for number, session in enumerate(sessions):
            session.settle()
            session.start(scsi.write16(number * 8, 1), number.to_bytes(2, "big") * 256)
        for session in sessions:
            while session.tasks:
                session.pump()
        for number, session in enumerate(sessions):
            other = (number * 7 + 1) % CROWD
            assert session.read(other * 8, 1) == other.to_bytes(2, "big") * 256
        goes_on(running)
        before = running.open_descriptors()
        assert before >= CROWD
        for session in sessions[::2]:
            session.connection.reset()
        running.wait_for_descriptors(before - CROWD // 2)
        goes_on(running)
        for session in sessions[1::2]:
            assert session.nop(b"still here").data == b"still here"


class Storm:
    """Logins that all begin at once, on sockets that do not block."""

    def __init__(self, address, count):
        self.selector = selectors.DefaultSelector()
        self.address, self.answers, self.broken = address, {}, 0
        self.sessions = []
        for _ in range(count):
            self._begin()

    def _begin(self):
        """The login request as bytes, by a session that never connects."""
        peer = socket.socket()
        peer.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            peer.connect(self.address)
        request = Session.__new__(Session)
        request.isid, request.tsih, request.cid, request.cmd_sn, request.exp_stat_sn = Session.new_isid(), 0, 0, 1, 0
        request._login_tag, request.offered = 0, {}
        keys = {"InitiatorName": "iqn.2026-11.org.example:storm", "TargetName": daemon.TARGET, "SessionType": "Normal"}
        self.selector.register(peer, selectors.EVENT_WRITE, request.prepare_login({**keys, **LINUX_KEYS}).encode())

    def _serve(self, key, events):
        try:
            if events & selectors.EVENT_WRITE:
                key.fileobj.sendall(key.data)
                self.selector.modify(key.fileobj, selectors.EVENT_READ, bytearray())
                return
            received = key.fileobj.recv(65536)
        except ConnectionError:
            received = b""
        key.data.extend(received)
        if not received:
            self.broken += 1
            self.selector.unregister(key.fileobj)
        elif len(key.data) >= 48:
            self.answers[key.fileobj] = pdu.decode(bytes(key.data))
            self.selector.unregister(key.fileobj)

    def run(self, timeout):
        deadline = time.monotonic() + timeout
        while self.selector.get_map() and time.monotonic() < deadline:
            for key, events in self.selector.select(1):
                self._serve(key, events)

    def close(self):
        for one in [*self.answers, *(key.fileobj for key in self.selector.get_map().values())]:
            one.close()


def test_a_thousand_logins_at_the_same_moment_all_succeed(tmp_path):
    """More than max_pending_logins: they wait their turn."""
    with serving(tmp_path, max_pending_logins=64) as running:
        with contextlib.closing(Storm(running.address, CROWD)) as storm:
            storm.run(60)
            assert storm.broken == 0 and len(storm.answers) == CROWD
            assert {answer.status for answer in storm.answers.values()} == {0}
            assert len({answer.tsih for answer in storm.answers.values()}) == CROWD
        goes_on(running)


def test_a_storm_of_logins_during_io(tmp_path):
    with serving(tmp_path) as running:
        host, port = running.address
        done = subprocess.run([load_program(), "-L", "-s", "32", "-t", "3", host, str(port), daemon.TARGET, "0"],
                              stdout=subprocess.PIPE, text=True, check=True, timeout=120)
        rate = float(re.search(r"logins_per_s=([\d.]+)", done.stdout)[1])
        assert rate > 50, "a generous bound: see the benchmark for the figure"
        goes_on(running)
        assert running.healthy.longest_pause_s < 5


# ---- Limits ----

def is_refused(address):
    """The target closes the connection without a word."""
    with Connection(address, timeout=10) as connection:
        try:
            connection.wait_closed(5)
        except TimeoutError:
            return False
        return True


def test_connections_per_address_are_limited(tmp_path):
    with daemon.serve_targets(tmp_path, daemon.target("null:1M"), max_connections_per_address=3) as running:
        with Session(running.address, daemon.TARGET) as first, Session(running.address, daemon.TARGET) as second:
            with Connection(running.address):
                assert is_refused(running.address)
                first.settle()
                running.wait_for_log("max_connections_per_address")
            deadline = time.monotonic() + 10
            while is_refused(running.address):  # the one that has left may still be counted
                assert time.monotonic() < deadline
            second.settle()


def test_connections_are_limited(tmp_path):
    with daemon.serve_targets(tmp_path, daemon.target("null:1M"), max_connections=2) as running:
        with Session(running.address, daemon.TARGET) as first, Session(running.address, daemon.TARGET) as second:
            assert is_refused(running.address)
            running.wait_for_log("max_connections is")
            first.settle()
            second.settle()


def test_pending_logins_are_limited_and_given_up_in_time(tmp_path):
    """Silent peers take every place: others are refused, those who are logged in notice nothing, and after
    login_timeout_s there is room again."""
    with serving(tmp_path, max_pending_logins=8, login_timeout_s=8) as running, contextlib.ExitStack() as stack:
        before = running.open_descriptors()
        silent = [stack.enter_context(Connection(running.address)) for _ in range(8)]
        refused = is_refused_in_the_end(running.address)
        assert refused, "a ninth pending login was let in"
        running.wait_for_log("max_pending_logins")
        goes_on(running)
        for connection in silent:
            assert connection.wait_closed(30) == []
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
        running.wait_for_descriptors(before)


def is_refused_in_the_end(address):
    """Who waits for a place is refused when none gets free."""
    with Connection(address, timeout=10) as connection:
        started = time.monotonic()
        connection.wait_closed(7)
        return time.monotonic() - started < 7


def test_what_the_unauthenticated_hold_is_bounded(tmp_path):
    """Every one of them has sent as much login text as is taken before it is refused, and not the end."""
    with serving(tmp_path, max_pending_logins=300, login_timeout_s=30, workers=1) as running:
        before = running.resident_bytes()
        with contextlib.ExitStack() as stack:
            for _ in range(250):
                session = stack.enter_context(Session(running.address, daemon.TARGET, login=False))
                assert session.exchange_login(data=b"X" * 8192, transit=False, continued=True).status == 0
                assert session.exchange_login(data=b"X" * 8190, transit=False, continued=True).status == 0
            if not daemon.Installation().is_sanitized():
                assert running.resident_bytes() - before < 250 * 48 * 1024
            goes_on(running)


# ---- Slow, silent, gone ----

def test_half_open_connections_keep_nobody_out(tmp_path):
    with serving(tmp_path, login_timeout_s=3) as running, contextlib.ExitStack() as stack:
        before = running.open_descriptors()
        for number in range(200):
            connection = stack.enter_context(Connection(running.address))
            connection.send_raw(bytes(pdu.LoginRequest(immediate=1).encode())[:number % 48])
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
        goes_on(running)
        running.wait_for_descriptors(before, timeout=15)


def test_sessions_whose_peer_is_gone_are_freed(tmp_path):
    """Half-open in the full feature phase: the peer answers nothing any more, and there is no FIN either."""
    with serving(tmp_path, nop_interval_s=1, nop_timeout_s=1) as running, contextlib.ExitStack() as stack:
        before = running.open_descriptors()
        for _ in range(20):
            session = stack.enter_context(Session(running.address, daemon.TARGET))
            session.settle()
            session.start(scsi.write16(0, 1024), bytes(MIB // 2), hold_r2ts=True)
        running.wait_for_descriptors(before, timeout=15)
        goes_on(running)


def test_a_byte_now_and_then_does_not_hold_a_login_for_ever(tmp_path):
    with serving(tmp_path, login_timeout_s=2) as running, Connection(running.address, timeout=10) as connection:
        raw = pdu.LoginRequest(immediate=1, data=b"X" * 200).encode()
        started = time.monotonic()
        with pytest.raises(ConnectionClosed):
            for at in range(len(raw)):
                connection.send_raw(raw[at:at + 1])
                if connection.has_input(0.1):
                    connection.receive(1)
        assert 1 < time.monotonic() - started < 15
        goes_on(running)


def test_a_byte_now_and_then_is_a_command_all_the_same(tmp_path):
    """Slow is not dead; nobody else waits for it."""
    with serving(tmp_path, nop_interval_s=1, nop_timeout_s=1, workers=1) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            task, _ = session.prepare_command(scsi.read16(0, 1), read_length=512)
            raw = task.request.encode()
            for at in range(len(raw)):
                session.connection.send_raw(raw[at:at + 1])
                if session.connection.has_input(0.1) and at < len(raw) - 1:
                    assert isinstance(session.connection.receive(), pdu.NopIn)
            while not task.done:
                session.pump()
            task.expect_good()
        goes_on(running)


def test_a_peer_that_reads_nothing_is_dropped_and_holds_little(tmp_path):
    with serving(tmp_path, nop_interval_s=1, nop_timeout_s=1, workers=1) as running:
        descriptors, before = running.open_descriptors(), running.resident_bytes()
        with Session(running.address, daemon.TARGET, receive_buffer_bytes=4096, timeout=5) as session:
            session.settle()
            with contextlib.suppress(ConnectionClosed, TimeoutError):
                for _ in range(64):
                    session.start(scsi.read16(0, 2048), read_length=MIB, lun=1, ignore_window=True)
                for _ in range(2000):
                    session.send(pdu.NopOut(target_transfer_tag=pdu.RESERVED_TAG, data=bytes(1000)), immediate=True)
            assert running.resident_bytes() - before < 128 * MIB
            goes_on(running)
            running.wait_for_descriptors(descriptors, timeout=15)


# ---- Memory ----

@pytest.mark.plain
def test_an_idle_session_that_has_worked_holds_little_memory(tmp_path):
    """The figure of the design: 16 KiB at most."""
    with daemon.serve_targets(tmp_path, daemon.target("null:1G"), memory_limit="2G") as running, \
            contextlib.ExitStack() as stack:
        def open_sessions(count):
            for _ in range(count):
                session = stack.enter_context(Session(running.address, daemon.TARGET))
                session.settle()
                session.write(0, bytes(65536))
                session.read(0, 128)

        open_sessions(50)
        before = running.resident_bytes()
        open_sessions(400)
        each = (running.resident_bytes() - before) / 400
        print(f"an idle session that has worked holds {each / 1024:.1f} KiB")
        assert each <= 16384


def test_a_login_refused_for_want_of_authentication_leaves_nothing(tmp_path):
    with serving(tmp_path, workers=1) as running:
        def refused(count):
            for _ in range(count):
                with pytest.raises(LoginError):
                    Session(running.address, "iqn.2026-11.org.example:absent")

        refused(50)
        before = running.resident_bytes()
        refused(300)
        if not daemon.Installation().is_sanitized():
            assert running.resident_bytes() - before < MIB
        goes_on(running)
