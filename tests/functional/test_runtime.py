# SPDX-License-Identifier: Apache-2.0
"""The runtime's switches: workers, busy_poll_us, memory_limit; and what an I/O costs: no allocation, no system call."""

import contextlib
import os
import pathlib
import re
import resource
import struct
import subprocess
import threading
import time

import pytest
from lib import daemon, healthy, scsi, tools
from lib.initiator import LINUX_KEYS, LoginError, Session
from lib.load import load_program

MIB = 1 << 20


def worker_count(running):
    """The event loops by their name; threads of the pool and of sanitizers come and go."""
    names = [path.read_text() for path in pathlib.Path("/proc", str(running.pid), "task").glob("*/comm")]
    return sum(name.startswith("tgtkit-w") for name in names)


# ---- Workers and polling ----

@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_number_of_workers_serves_many_sessions(tmp_path, make_image, workers):
    target = daemon.target(make_image("a.img", 16 * MIB))
    with daemon.serve_targets(tmp_path, target, workers=workers) as running, contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(healthy.HealthySession(running.address, daemon.TARGET,
                                                               first_block=1024 * number)) for number in range(6)]
        for session in sessions:
            session.wait_for_exchanges(30)


def test_workers_is_the_number_of_event_loops(tmp_path):
    for workers in (1, 4):
        with daemon.serve_targets(tmp_path, daemon.target("null:1M"), workers=workers) as running:
            assert worker_count(running) == workers


def cpu_seconds(running):
    fields = pathlib.Path("/proc", str(running.pid), "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("busy_poll_us", [0, 50, 20000])
def test_a_daemon_sleeps_when_it_is_idle(tmp_path, busy_poll_us):
    with daemon.serve_targets(tmp_path, daemon.target("null:1G"), busy_poll_us=busy_poll_us, workers=1) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            for _ in range(100):
                session.read(0, 8)
        time.sleep(0.5)  # past the last event: what is measured from here on is idleness
        before = cpu_seconds(running)
        time.sleep(1)
        assert cpu_seconds(running) - before < 0.3


@pytest.fixture
def many_descriptors():
    """The usual soft limit for the daemon that the test starts; then, for the test itself, as many as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
    yield lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_1100_sessions_at_once_all_work(tmp_path, many_descriptors):
    """More than the 1,024 descriptors that a process has unless it asks for more."""
    with daemon.serve_targets(tmp_path, daemon.target("null:1G"), memory_limit="4G") as running, \
            contextlib.ExitStack() as stack:
        many_descriptors()
        sessions = [stack.enter_context(Session(running.address, daemon.TARGET, timeout=60)) for _ in range(1100)]
        for session in sessions:
            session.settle()
        tasks = [session.start(scsi.read16(0, 8), read_length=4096) for session in sessions]
        for session, task in zip(sessions, tasks):
            session.wait(task).expect_good()


# ---- Memory ----

def test_at_the_memory_limit_sessions_slow_down_and_none_fails(tmp_path, make_image):
    """Eight sessions want four times the limit at once; every byte arrives all the same."""
    image = make_image("a.img", 64 * MIB)
    with daemon.serve_targets(tmp_path, daemon.target(image), memory_limit="16M", workers=1) as running:
        errors = []

        def work(number):
            try:
                with Session(running.address, daemon.TARGET, timeout=120) as session:
                    session.settle()
                    for value in range(3):
                        write_and_read_back(session, number, value)
            except BaseException as error:  # noqa: B902 (handed over to the test's own thread)
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        assert errors == []


def write_and_read_back(session, number, value):
    """8 writes of 1 MiB at once, then 8 reads of 1 MiB at once."""
    pieces = [bytes([16 * number + value + piece & 0xFF]) * MIB for piece in range(8)]
    first = number * 8 * 2048
    tasks = [session.start(scsi.write16(first + 2048 * at, 2048), piece) for at, piece in enumerate(pieces)]
    for task in tasks:
        session.wait(task).expect_good()
    tasks = [session.start(scsi.read16(first + 2048 * at, 2048), read_length=MIB) for at in range(8)]
    for task, piece in zip(tasks, pieces):
        assert bytes(session.wait(task).expect_good().data_in) == piece


def test_a_login_without_room_for_its_commands_is_told_so_and_the_others_go_on(tmp_path):
    """Status 0302: out of resources.  Once others have left there is room again."""
    with daemon.serve_targets(tmp_path, daemon.target("null:1G"), memory_limit="16M", workers=1) as running, \
            contextlib.ExitStack() as stack:
        sessions, status = [], 0
        while not status and len(sessions) < 500:
            try:
                sessions.append(stack.enter_context(Session(running.address, daemon.TARGET)))
            except LoginError as refused:
                status = refused.status
        assert status == 0x0302 and len(sessions) >= 8
        for session in sessions:
            session.settle()
            session.write(0, bytes(262144))
        for session in sessions[:5]:
            session.logout()
            session.connection.wait_closed()
        with Session(running.address, daemon.TARGET) as session:
            session.settle()


def test_half_a_write_from_everyone_does_not_deadlock(tmp_path):
    """Every session holds R2Ts that it does not answer, until there is no memory left; reads still pass, and once the
    data comes, all writes end."""
    with daemon.serve_targets(tmp_path, daemon.target("null:1G"), memory_limit="16M", workers=1) as running, \
            contextlib.ExitStack() as stack:
        keys = {**LINUX_KEYS, "FirstBurstLength": 512}
        sessions = [stack.enter_context(Session(running.address, daemon.TARGET, keys=keys)) for _ in range(6)]
        tasks = []
        for session in sessions:
            session.settle()
            tasks.append([session.start(scsi.write16(0, 2048), bytes(MIB), hold_r2ts=True) for _ in range(8)])
        for session in sessions:
            assert session.nop(b"alive", immediate=True).data == b"alive"
        for session, own in zip(sessions, tasks):
            for task in own:
                task.hold_r2ts = False
                for r2t in list(task.unanswered_r2ts):
                    session.answer(task, r2t)
        pending = [(session, task) for session, own in zip(sessions, tasks) for task in own]
        deadline = time.monotonic() + 120
        while any(not task.done for _, task in pending):
            assert time.monotonic() < deadline, "the writes never end"
            for session in {session for session, task in pending if not task.done}:
                if session.connection.has_input(0.01):
                    session.pump()
        for _, task in pending:
            task.expect_good()


@contextlib.contextmanager
def hog_and_other(folder):
    """Two initiators that share little memory, with short limits for silence."""
    with daemon.serve_targets(folder, daemon.target("null:1G"), memory_limit="16M", workers=1, nop_interval_s=1,
                              nop_timeout_s=1) as running, \
            Session(running.address, daemon.TARGET) as hog, Session(running.address, daemon.TARGET) as other:
        hog.settle()
        other.settle()
        yield hog, other


def wait_while_all_receive(task, *sessions):
    deadline = time.monotonic() + 20
    while not task.done:
        assert time.monotonic() < deadline, "one initiator holds up another"
        for session in sessions:
            if session.connection.has_input(0.05):
                session.pump()


def test_who_never_sends_its_data_gives_way_when_others_wait(tmp_path):
    """INITIATOR RESPONSE TIMEOUT, and only then: the same silence disturbs nobody while there is memory."""
    with hog_and_other(tmp_path) as (hog, other):
        alone = hog.start(scsi.write16(0, 2048), bytes(MIB), hold_r2ts=True)
        deadline = time.monotonic() + 3.5
        while time.monotonic() < deadline:
            hog.nop(b"alive")
            other.write(0, bytes(262144))
        assert not alone.done
        held = [alone] + [hog.start(scsi.write16(0, 2048), bytes(MIB), hold_r2ts=True) for _ in range(4)]
        while len(alone.r2ts) < 1 or len(held[1].r2ts) < 1:
            hog.pump()
        task = other.start(scsi.write16(0, 2048), bytes(MIB))
        wait_while_all_receive(task, hog, other)
        task.expect_good()
        hog.wait(alone).expect_sense(scsi.ABORTED_COMMAND, 0x4B, 0x06)
        for r2t in list(alone.unanswered_r2ts):
            hog.answer(alone, r2t)
        assert hog.nop(b"late data is no error").data == b"late data is no error" and hog.inbox == []


def test_who_does_not_even_send_what_it_may_unasked_gives_way_too(tmp_path):
    with hog_and_other(tmp_path) as (hog, other):
        held = []
        for _ in range(4):
            task, unsolicited = hog.prepare_command(scsi.write16(0, 2048), bytes(MIB), immediate_bytes=512)
            assert unsolicited
            hog.connection.send(task.request)
            held.append((task, unsolicited))
        assert hog.nop(b"they have arrived").data == b"they have arrived"
        task = other.start(scsi.write16(0, 2048), bytes(MIB))
        wait_while_all_receive(task, hog, other)
        task.expect_good()
        for task, unsolicited in held:
            for request in unsolicited:
                hog.connection.send(request)
        for task, _ in held:
            hog.wait(task)
        given_way = [task for task, _ in held if not task.good]
        assert 0 < len(given_way) < len(held), "those that hold nothing that others wait for need not give way"
        for task in given_way:
            task.expect_sense(scsi.ABORTED_COMMAND, 0x4B, 0x06)
        assert hog.nop(b"late data is no error").data == b"late data is no error" and hog.inbox == []


def window_of(session):
    """Commands that the initiator may have under way."""
    return (session.max_cmd_sn - session.cmd_sn + 1) % (1 << 32)


def burst(session, depth, salt):
    """So many writes and reads at once, verified."""
    pieces = [bytes([salt + number & 0xFF]) * 65536 for number in range(depth)]
    tasks = [session.start(scsi.write16(number * 128, 128), piece) for number, piece in enumerate(pieces)]
    for task in tasks:
        session.wait(task).expect_good()
    tasks = [session.start(scsi.read16(number * 128, 128), read_length=65536) for number in range(depth)]
    for task, piece in zip(tasks, pieces):
        assert session.wait(task).expect_good().data_in == piece


def test_a_window_that_is_not_used_is_given_back_when_memory_is_short(tmp_path, make_image):
    """What was promised holds (the initiator checks that MaxCmdSN never goes back); it is only not renewed."""
    targets = [daemon.target(make_image(f"{name}.img", 16 * MIB), name=f"{daemon.TARGET}-{name}") for name in "ab"]
    with daemon.serve_targets(tmp_path, *targets, memory_limit="16M", workers=1) as running, \
            Session(running.address, targets[0]["name"]) as first, \
            Session(running.address, targets[1]["name"]) as second:
        for session in (first, second):
            session.settle()
        while window_of(first) < 64:
            burst(first, window_of(first), 1)
        largest = window_of(first)
        burst(second, 8, 2)
        burst(second, 8, 3)
        assert window_of(second) == 8, "there is no memory for a second large window"
        for number in range(4 * largest):
            first.read(number, 1)
            assert window_of(first) <= largest
        assert 8 <= window_of(first) <= largest // 2
        for _ in range(20):
            burst(second, window_of(second), 4)
        assert window_of(second) > 8
        for number in range(6):
            burst(first, window_of(first), 5 + number)
            burst(second, window_of(second), 6 + number)


# ---- What an I/O costs ----

def run_load(running, seconds=3):
    """Reads of 4 KiB at depth 32; how many there were."""
    host, port = running.address
    done = subprocess.run([load_program(), "-q", "32", "-P", "-w", "0", "-t", str(seconds), host, str(port),
                           daemon.TARGET, "0"], stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    return int(float(re.search(r"iops=(\d+)", done.stdout)[1]) * seconds)


def strace_calls(summary):
    """The calls column of `strace -c`, summed."""
    return sum(int(line.split()[3]) for line in summary.splitlines()
               if re.match(r" *\d+\.\d+ +\d", line) and not line.rstrip().endswith("total"))


@pytest.mark.plain
def test_a_read_costs_a_fraction_of_a_system_call(tmp_path):
    with daemon.serve_targets(tmp_path, daemon.target("null:1T"), workers=1) as running:
        run_load(running, 1)
        summary = tmp_path / "summary"
        tracer = subprocess.Popen([tools.find("strace"), "-f", "-c", "-o", summary, "-p", str(running.pid)],
                                  stderr=subprocess.PIPE)
        tracer.stderr.readline()  # "Process N attached"
        reads = run_load(running, 10)
        tracer.terminate()
        tracer.communicate(timeout=30)
        calls = strace_calls(summary.read_text())
        assert reads >= 100000, f"only {reads} reads: too few to tell"
        assert 0 < calls < reads / 4, f"{calls} system calls for {reads} reads:\n{summary.read_text()}"


COUNTER = r"""
#include <dlfcn.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
static _Atomic unsigned long *counter;
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
__attribute__((constructor)) static void start(void)
{
    int fd = open(getenv("COUNTER_FILE"), O_RDWR);
    counter = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}
static void count(void) { if (counter) ++*counter; }
void *malloc(size_t size) { count(); return __libc_malloc(size); }
void *calloc(size_t number, size_t size) { count(); return __libc_calloc(number, size); }
void *realloc(void *old, size_t size) { count(); return __libc_realloc(old, size); }
void *memalign(size_t alignment, size_t size) { count(); return __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { count(); return __libc_memalign(alignment, size); }
int posix_memalign(void **memory, size_t alignment, size_t size)
{
    count();
    *memory = __libc_memalign(alignment, size);
    return *memory ? 0 : 12;
}
"""


@pytest.mark.plain
def test_reads_allocate_nothing(tmp_path):
    (tmp_path / "counter.c").write_text(COUNTER)
    tools.run("cc", "-O2", "-shared", "-fPIC", "-o", tmp_path / "counter.so", tmp_path / "counter.c")
    counter = tmp_path / "count"
    counter.write_bytes(bytes(8))
    running = daemon.serve_targets(tmp_path, daemon.target("null:1T"), workers=1)
    running.environment.update(LD_PRELOAD=str(tmp_path / "counter.so"), COUNTER_FILE=str(counter))

    def allocations():
        return struct.unpack("@L", counter.read_bytes())[0]

    with running:
        assert allocations() > 0, "the counter does not count"
        run_load(running, 1)
        before = allocations()
        reads = run_load(running, 3)
        during = allocations() - before
        assert reads >= 100000, f"only {reads} reads: too few to tell"
        assert during < 500, f"{during} allocations for one login and {reads} reads"


@pytest.mark.plain
def test_an_idle_session_holds_little_memory(tmp_path):
    with daemon.serve_targets(tmp_path, daemon.target("null:1G"), memory_limit="2G") as running, \
            contextlib.ExitStack() as stack:
        def open_sessions(count):
            for _ in range(count):
                stack.enter_context(Session(running.address, daemon.TARGET)).settle()

        open_sessions(50)
        before = running.resident_bytes()
        open_sessions(400)
        each = (running.resident_bytes() - before) / 400
        print(f"an idle session holds {each / 1024:.1f} KiB")
        assert each <= 16384
