# SPDX-License-Identifier: Apache-2.0
"""The end: SIGTERM under load finishes what is in flight, flushes and exits 0; nothing leaks; what was acknowledged is
in the file."""

import contextlib
import random
import signal
import threading
import time

import pytest
from lib import daemon, scsi, tools
from lib.connection import ConnectionClosed
from lib.initiator import RejectedError, Session

MIB = 1 << 20
SHUTDOWN_S = 5


class Writer(threading.Thread):
    """Writes numbered blocks until the daemon ends the session, and remembers what was acknowledged."""

    def __init__(self, address, first_block, depth=8):
        super().__init__(daemon=True)
        self.session = Session(address, daemon.TARGET)
        self.first_block, self.depth = first_block, depth
        self.acknowledged = {}
        self.has_written = threading.Event()
        self.failures = []

    def run(self):
        with contextlib.suppress(ConnectionClosed, RejectedError, BrokenPipeError):
            self.session.settle()
            for value in range(1, 1 << 30):
                self._write_round(value)
                self.has_written.set()
        self.session.close()

    def _write_round(self, value):
        tasks = {}
        for slot in range(self.depth):
            data = (value << 16 | slot).to_bytes(8, "big") * 1024
            block = self.first_block + 16 * slot
            tasks[block] = (self.session.start(scsi.write16(block, 16), data), data)
        for block, (task, data) in tasks.items():
            self.session.wait(task)
            if task.good:
                self.acknowledged[block] = data
            elif task.sense.key not in (scsi.NOT_READY, scsi.ABORTED_COMMAND):
                self.failures.append(task.sense)


@contextlib.contextmanager
def under_load(running, count=4):
    writers = [Writer(running.address, 256 * number) for number in range(count)]
    for writer in writers:
        writer.start()
    for writer in writers:
        assert writer.has_written.wait(30)
    yield writers
    for writer in writers:
        writer.join(30)
        assert not writer.is_alive() and writer.failures == []


def is_later(first, second):
    """Whether a block holds this round's data or a later round's: the last one may not have been acknowledged."""
    return int.from_bytes(first[:8], "big") >> 16 >= int.from_bytes(second[:8], "big") >> 16


def in_time(running):
    """Seconds; a sanitizer looks for leaks last."""
    return SHUTDOWN_S * (4 if running.installation.is_sanitized() else 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("store", ["file", "iouring", "null"])
def test_a_signal_under_load_ends_with_0_in_time(tmp_path, make_image, store, number):
    daemon.need_plugin(store)
    path = "null:64M" if store == "null" else f"{store}:{make_image('a.img', 64 * MIB)}"
    running = daemon.serve_targets(tmp_path, daemon.target(path)).start()
    with under_load(running):
        started = time.monotonic()
        running.signal(number)
        assert running.wait() == 0, running.log()
        elapsed = time.monotonic() - started
    running.assert_clean()
    assert elapsed < in_time(running), f"it took {elapsed:.1f} s"


@pytest.mark.parametrize("store", ["file", "iouring"])
def test_what_was_acknowledged_is_in_the_file(tmp_path, make_image, store):
    daemon.need_plugin(store)
    image = make_image("a.img", 64 * MIB)
    running = daemon.serve_targets(tmp_path, daemon.target(f"{store}:{image}")).start()
    with under_load(running) as writers:
        running.stop()
    with image.open("rb") as file:
        for block, data in (item for writer in writers for item in writer.acknowledged.items()):
            file.seek(block * 512)
            found = file.read(len(data))
            assert found == found[:8] * 1024, "a torn write"
            assert is_later(found, data), "an acknowledged write is not in the file"


def test_what_was_acknowledged_survives_kill(tmp_path, make_image):
    """The page cache has it, whatever happens to the daemon."""
    image = make_image("a.img", 64 * MIB)
    running = daemon.serve_targets(tmp_path, daemon.target(image)).start()
    with under_load(running) as writers:
        running.kill()
    with image.open("rb") as file:
        for block, data in (item for writer in writers for item in writer.acknowledged.items()):
            file.seek(block * 512)
            assert is_later(file.read(len(data)), data), "an acknowledged write is not in the file"


def test_an_idle_daemon_ends_at_once(tmp_path):
    running = daemon.serve_targets(tmp_path, daemon.target("null:1M")).start()
    started = time.monotonic()
    running.stop()
    assert time.monotonic() - started < in_time(running)


def test_sessions_that_do_nothing_do_not_hold_up_the_end(tmp_path):
    running = daemon.serve_targets(tmp_path, daemon.target("null:1G")).start()
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(Session(running.address, daemon.TARGET)) for _ in range(20)]
        for session in sessions[:10]:
            session.settle()
        waiting = sessions[0].start(scsi.write16(0, 2048), bytes(MIB), hold_r2ts=True)
        while not waiting.unanswered_r2ts:
            sessions[0].pump()
        started = time.monotonic()
        running.stop()
        assert time.monotonic() - started < 2 * in_time(running)


def test_a_port_is_free_again_after_the_end(tmp_path):
    running = daemon.serve_targets(tmp_path, daemon.target("null:1M"))
    for _ in range(3):
        again = daemon.Daemon(running.command[1:], running.addresses)
        with again, Session(again.address, daemon.TARGET) as session:
            session.settle()


# ---- Leaks ----

def come_and_go(address, count, seed=1):
    """Logins of which every other one logs out properly and the rest break off in the middle of a transfer."""
    choose = random.Random(seed)
    for number in range(count):
        with Session(address, daemon.TARGET, timeout=120) as session:
            session.settle()
            session.write(0, bytes(65536))
            if number % 2 == 0:
                session.logout()
                continue
            break_off(choose.randrange(4), session)


def break_off(how, session):
    if how == 0:  # a write that waits for its data
        task = session.start(scsi.write16(0, 2048), bytes(MIB), hold_r2ts=True)
        while not task.unanswered_r2ts:
            session.pump()
        session.connection.reset()
    elif how == 1:  # in the middle of a Data-Out
        task = session.start(scsi.write16(0, 2048), bytes(MIB), hold_r2ts=True)
        while not task.unanswered_r2ts:
            session.pump()
        answer = session.data_outs(task, task.r2ts[0].target_transfer_tag, task.r2ts[0].buffer_offset, 65536)[0]
        session.connection.send_raw(answer.encode()[:20000])
        session.connection.reset()
    elif how == 2:  # with reads under way
        for _ in range(4):
            session.start(scsi.read16(0, 2048), read_length=MIB)
        session.connection.reset()
    else:  # in the middle of a header
        session.connection.send_raw(bytes(17))
        session.connection.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_100_sessions_half_of_them_broken_off_leave_nothing(tmp_path, make_image, workers):
    """Under AddressSanitizer the exit also proves that nothing leaked."""
    with daemon.serve_targets(tmp_path, daemon.target(make_image("a.img", 8 * MIB)), workers=workers) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            before = running.open_descriptors()
            come_and_go(running.address, 100)
            running.wait_for_descriptors(before)
            session.settle()


@pytest.mark.plain
def test_valgrind_finds_no_leak_after_100_sessions(tmp_path, make_image):
    valgrind = [tools.find("valgrind"), "--error-exitcode=99", "--leak-check=full",
                "--errors-for-leak-kinds=definite,indirect", "--show-leak-kinds=definite,indirect",
                "--child-silent-after-fork=yes", "--quiet"]
    with daemon.serve_targets(tmp_path, daemon.target(make_image("a.img", 8 * MIB)), wrapper=valgrind, workers=2,
                              shutdown_timeout_s=60) as running:
        come_and_go(running.address, 100)
        running.stop(timeout=120)
