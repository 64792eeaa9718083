# SPDX-License-Identifier: Apache-2.0
"""Backends that fail, hang and delay, by the rig (tests/plugins): the sense data that multipath has to live with, time
limits kept, and nobody else disturbed."""

import contextlib
import subprocess
import time

import pytest
from lib import api, daemon, healthy, outside, pdu, scsi
from lib.connection import ConnectionClosed
from lib.initiator import LoginError, Session

MIB = 1 << 20
ABORT_TASK, LUN_RESET, COMPLETE, FUNCTION_REJECTED = 1, 5, 0, 255
CLEANUP_FAILED = 3
RIG = f"rig:{4 * MIB}"
OTHER_TARGET = "iqn.2026-11.org.example:other"
RETRY, MEDIUM_READ, MEDIUM_WRITE = (0x0B, 0x08, 0x01), (0x03, 0x11, 0x00), (0x03, 0x0C, 0x00)
NO_SPACE, WRITE_PROTECTED, DOWN, HARDWARE = (0x07, 0x27, 0x07), (0x07, 0x27, 0x00), (0x02, 0x04, 0x0C), (0x04, 0x44, 0)


@pytest.fixture(scope="session")
def plugins(tmp_path_factory):
    development = outside.Development(tmp_path_factory.mktemp("development"))
    folder = tmp_path_factory.mktemp("outside") / "plugins"
    folder.mkdir(mode=0o755)
    return development.build_plugins(folder)


class Bench:
    """A daemon whose LUN 0 is the rig, a session to it, and the rig's controls."""

    def __init__(self, folder, plugins, make_image, options=(), **settings):
        self.control_path = folder / "rig.sock"
        lun = {"path": RIG, "options": {"control": str(self.control_path), **dict(options)}}
        other = daemon.target(make_image("other.img", MIB), name=OTHER_TARGET)
        self.daemon = daemon.serve_targets(folder, daemon.target(lun), other, plugin_folders=[plugins],
                                           **{"tmf_timeout_s": 2, "shutdown_timeout_s": 2, **settings})

    @contextlib.contextmanager
    def running(self):
        with self.daemon, outside.RigControl(self.control_path) as self.rig:
            with healthy.HealthySession(self.daemon.address, OTHER_TARGET), self.new_session() as self.session:
                self.session.settle()
                yield self

    def new_session(self, **options):
        return Session(self.daemon.address, daemon.TARGET, **options)

    def hang(self, kind, count=1):
        self.rig.order(f"hang {kind} {count}")

    def start_hanging_write(self, session=None, block=0, value=b"\xbd"):
        session = session or self.session
        self.hang("write")
        task = session.start(scsi.write16(block, 8), value * 4096)
        self.rig.order("wait-hung 1")
        return task


@pytest.fixture
def make_bench(tmp_path, plugins, make_image):
    return lambda options=(), **settings: Bench(tmp_path, plugins, make_image, options, **settings)


@pytest.fixture
def bench(make_bench):
    with make_bench().running() as one:
        yield one


# ---- Errors ----

@pytest.mark.parametrize("kind, errno, sense", [
    ("read", "EIO", MEDIUM_READ), ("write", "EIO", MEDIUM_WRITE), ("write", "ENOSPC", NO_SPACE),
    ("write", "EROFS", WRITE_PROTECTED), ("read", "ETIMEDOUT", RETRY), ("write", "ETIMEDOUT", RETRY),
    ("read", "ECONNRESET", RETRY), ("write", "EPIPE", RETRY), ("read", "ENOTCONN", RETRY),
    ("read", "EHOSTUNREACH", RETRY), ("read", "ESHUTDOWN", DOWN), ("write", "ESHUTDOWN", DOWN),
    ("read", "EINVAL", HARDWARE), ("write", "EFAULT", HARDWARE),
])
def test_an_error_becomes_its_sense(bench, kind, errno, sense):
    bench.rig.order(f"fail {kind} {errno} 1")
    if kind == "read":
        task = bench.session.execute(scsi.read16(100, 8), read_length=4096)
    else:
        task = bench.session.execute(scsi.write16(100, 8), bytes(4096))
    task.expect_sense(*sense)
    if sense in (MEDIUM_READ, MEDIUM_WRITE):
        assert task.sense.information in range(100, 108), "the address of the error"
    bench.session.write(100, b"\x31" * 4096)
    assert bench.session.read(100, 8) == b"\x31" * 4096, "the next one works"


def test_an_error_in_the_middle_of_a_long_read_fails_that_read_only(make_bench):
    with make_bench({"maximum_transfer": "64K"}).running() as bench:
        bench.rig.order(f"fail read EIO 1 {512 * 1024} 4096")
        bench.session.execute(scsi.read16(0, 2048), read_length=MIB).expect_sense(*MEDIUM_READ)
        assert len(bench.session.read(0, 2048)) == MIB


@pytest.mark.parametrize("kind, build", [("discard", "unmap"), ("zero", "write same")])
def test_an_error_of_unmap_or_zero_is_told(bench, kind, build):
    bench.rig.order(f"fail {kind} EIO 1")
    parameters = scsi.unmap_parameters((0, 64))
    task = (bench.session.execute(scsi.unmap(len(parameters)), parameters) if build == "unmap" else
            bench.session.execute(scsi.write_same16(0, 64), bytes(512)))
    assert task.status == scsi.CHECK_CONDITION
    assert bench.session.nop(b"on").data == b"on"


def test_after_a_failed_flush_writes_fail_until_the_unit_is_reopened(bench):
    """Linux drops dirty pages: a flush that is repeated would succeed without the data."""
    bench.session.write(0, b"\x01" * 4096)
    bench.rig.order("fail flush EIO 1")
    assert bench.session.execute(scsi.synchronize_cache10()).status == scsi.CHECK_CONDITION
    assert bench.session.execute(scsi.write16(0, 8), bytes(4096)).status == scsi.CHECK_CONDITION
    assert bench.session.execute(scsi.synchronize_cache10()).status == scsi.CHECK_CONDITION
    assert len(bench.session.read(0, 8)) == 4096, "reads go on"
    bench.daemon.expected_status = 3  # what was written cannot be flushed any more


def test_a_store_that_keeps_its_dirty_data_may_flush_again(make_bench):
    with make_bench({"capabilities": "flush,volatile,retains_dirty"}).running() as bench:
        bench.session.write(0, b"\x01" * 4096)
        bench.rig.order("fail flush ETIMEDOUT 1")
        bench.session.execute(scsi.synchronize_cache10()).expect_sense(*RETRY)
        bench.session.execute(scsi.synchronize_cache10()).expect_good()
        bench.session.write(0, b"\x02" * 4096)


# ---- Power cuts ----

@pytest.mark.parametrize("capabilities", ["flush,volatile", "flush,fua,volatile"])
@pytest.mark.parametrize("how", ["FUA", "SYNCHRONIZE CACHE", "write cache off"])
def test_what_was_promised_to_be_stable_survives_a_power_cut(tmp_path, plugins, capabilities, how):
    control = tmp_path / "rig.sock"
    lun = {"path": RIG, "write_cache": how != "write cache off",
           "options": {"control": str(control), "capabilities": capabilities}}
    with daemon.serve_targets(tmp_path, daemon.target(lun), plugin_folders=[plugins]) as running:
        with Session(running.address, daemon.TARGET) as session, outside.RigControl(control) as rig:
            session.settle()
            session.execute(scsi.write16(0, 8, scsi.FUA if how == "FUA" else 0), b"\x77" * 4096).expect_good()
            if how == "SYNCHRONIZE CACHE":
                session.execute(scsi.synchronize_cache10()).expect_good()
            rig.order("power-cut")
            assert session.read(0, 8) == b"\x77" * 4096


def test_the_power_cut_of_the_rig_is_one(tmp_path, plugins):
    """Without a flush the write is gone: the tests above can fail."""
    control = tmp_path / "rig.sock"
    lun = {"path": RIG, "options": {"control": str(control), "capabilities": "flush,volatile"}}
    with daemon.serve_targets(tmp_path, daemon.target(lun), plugin_folders=[plugins]) as running:
        with Session(running.address, daemon.TARGET) as session, outside.RigControl(control) as rig:
            session.settle()
            session.write(0, b"\x77" * 4096)
            rig.order("power-cut")
            assert session.read(0, 8) == bytes(4096)


# ---- Delays ----

def test_a_slow_store_is_waited_for_by_all_at_once(bench):
    bench.rig.order("delay 500000")
    started = time.monotonic()
    tasks = [bench.session.start(scsi.read16(8 * number, 8), read_length=4096) for number in range(8)]
    for task in tasks:
        bench.session.wait(task).expect_good()
    assert 0.5 <= time.monotonic() - started < 4
    bench.rig.order("delay 0")


# ---- Hangs ----

def test_a_hung_command_holds_up_no_other_command(bench):
    bench.hang("read")
    task = bench.session.start(scsi.read16(0, 8), read_length=4096)
    bench.rig.order("wait-hung 1")
    bench.session.write(100, bytes(4096))
    assert bench.session.read(100, 8) == bytes(4096)
    assert not task.done
    bench.rig.order("release")
    bench.session.wait(task).expect_good()


def test_a_hung_unit_holds_up_neither_the_api_nor_changes_of_others(bench):
    made = "iqn.2026-11.org.example:made"
    task = bench.start_hanging_write()
    client = api.Api(bench.control_path.parent / "api.sock")
    assert client.get("/v1/stats") and client.get(api.lun_path(daemon.TARGET, 0))
    client.post("/v1/targets", {"name": made})
    client.post(api.target_path(made) + "/luns", {"lun": 0, "path": "null:1M"})
    with Session(bench.daemon.address, made) as other:
        other.settle()
        assert other.read(0, 8) == bytes(4096)
        other.logout()
    client.delete(api.target_path(made) + "?force=true")
    assert not task.done
    bench.rig.order("release")
    bench.session.wait(task).expect_good()


def test_abort_of_a_hung_command_is_rejected_in_time_and_the_unit_is_not_ready_until_it_ends(bench):
    task = bench.start_hanging_write()
    started = time.monotonic()
    assert bench.session.task_management(ABORT_TASK, referenced_task=task) == FUNCTION_REJECTED
    assert time.monotonic() - started < 20, "tmf_timeout_s is 2"
    with bench.new_session() as other:
        for session in (bench.session, other):
            not_ready(session)
        bench.rig.order("release")
        wait_until_ready(bench.session)
        wait_until_ready(other)
        bench.session.write(0, b"\x10" * 4096)
        assert other.read(0, 8) == b"\x10" * 4096


def not_ready(session):
    """The unit answers NOT READY; unit attentions may come first."""
    for _ in range(10):
        task = session.execute(scsi.read16(0, 8), read_length=4096)
        if task.sense.key != scsi.UNIT_ATTENTION:
            break
    task.expect_sense(*DOWN)


def wait_until_not_ready(session):
    """An event reaches the workers soon, if not before the line in the log."""
    deadline = time.monotonic() + 20
    while session.execute(scsi.read16(0, 8), read_length=4096).good:
        assert time.monotonic() < deadline, "the unit stays ready"
    not_ready(session)


def wait_until_ready(session):
    deadline = time.monotonic() + 20
    while not session.execute(scsi.read16(0, 8), read_length=4096).good:
        assert time.monotonic() < deadline, "the unit never gets ready again"
        time.sleep(0.01)


def test_abort_of_a_command_that_the_store_lets_go_completes(make_bench):
    with make_bench({"cancellable": True}).running() as bench:
        task = bench.start_hanging_write()
        assert bench.session.task_management(ABORT_TASK, referenced_task=task) == COMPLETE
        bench.session.settle()
        assert bench.session.read(0, 8) == bytes(4096), "an aborted write wrote"


def test_a_lun_reset_of_a_hung_unit_is_rejected_in_time(bench):
    bench.start_hanging_write()
    assert bench.session.task_management(LUN_RESET) == FUNCTION_REJECTED
    bench.rig.order("release")
    wait_until_ready(bench.session)


def test_reinstatement_waits_for_hung_writes_and_is_refused_when_they_do_not_end(bench):
    """Status 0301: nothing of the old session may be written after the new one starts."""
    bench.start_hanging_write()
    with pytest.raises(LoginError) as refused:
        bench.new_session(isid=bench.session.isid, timeout=60)
    assert refused.value.status == 0x0301
    bench.rig.order("release")
    deadline = time.monotonic() + 20
    while True:
        try:
            replacement = bench.new_session(isid=bench.session.isid, timeout=60)
            break
        except LoginError as again:
            assert again.status == 0x0301 and time.monotonic() < deadline
    with replacement:
        wait_until_ready(replacement)
        replacement.write(0, b"\x20" * 4096)
        assert replacement.read(0, 8) == b"\x20" * 4096


def test_reinstatement_lets_writes_end_first(bench):
    """The old write ends while the new login waits for it: then the login succeeds and nothing comes after."""
    bench.start_hanging_write(value=b"\x99")
    replacement = bench.new_session(isid=bench.session.isid, login=False)
    replacement.connection.send(replacement.prepare_login({**replacement.first_login_keys(), **replacement.keys}))
    bench.rig.order("release")
    with replacement:
        replacement.enter_full_feature(replacement.receive_login())
        wait_until_ready(replacement)
        replacement.write(0, b"\x20" * 4096)
        assert replacement.read(0, 8) == b"\x20" * 4096


def test_a_logout_is_answered_when_the_writes_have_ended(bench):
    """RFC 7143 11.15: the answer means that the cleanup is done.  Whoever logs in then sees nothing of it change."""
    with bench.new_session() as session:
        session.settle()
        bench.start_hanging_write(session)
        request = session.send(pdu.LogoutRequest())
        bench.session.nop(b"a turn later")
        assert not session.connection.has_input(0.3)
        bench.rig.order("release")
        assert session.receive_answer(request, pdu.LogoutResponse).response == 0
        assert session.connection.wait_closed() == []
    assert bench.rig.status()["pending"] == 0


def test_a_logout_from_writes_that_never_end_says_that_the_cleanup_has_failed(bench):
    with bench.new_session(timeout=30) as session:
        session.settle()
        bench.start_hanging_write(session)
        assert session.logout().response == CLEANUP_FAILED
        assert session.connection.wait_closed() == []
    bench.rig.order("release")
    wait_until_ready(bench.session)


def test_a_peer_that_leaves_hung_commands_behind_is_freed_after_they_end(bench):
    before = bench.daemon.open_descriptors()
    with bench.new_session() as session:
        session.settle()
        bench.start_hanging_write(session)
        session.connection.reset()
    bench.session.nop(b"on")
    bench.rig.order("release")
    bench.daemon.wait_for_descriptors(before)
    bench.session.settle()


# ---- Events ----

def test_a_lost_backend_is_not_ready_until_it_is_back(bench):
    bench.rig.order("event lost")
    bench.daemon.wait_for_log(rf"(?i){RIG}.*(lost|down)")
    wait_until_not_ready(bench.session)
    bench.rig.order("event back")
    wait_until_ready(bench.session)


def test_a_fenced_backend_is_not_ready_for_ever(bench):
    bench.rig.order("event fenced")
    bench.daemon.wait_for_log(rf"(?i){RIG}.*took the store over")
    wait_until_not_ready(bench.session)
    bench.rig.order("event back")
    for _ in range(5):
        not_ready(bench.session)


# ---- The end ----

@contextlib.contextmanager
def ending(make_bench):
    """A bench that the test itself brings to its end."""
    one = make_bench()
    one.daemon.start()
    try:
        with outside.RigControl(one.control_path) as one.rig, one.new_session() as one.session:
            one.session.settle()
            yield one
    finally:
        one.daemon.kill()


def test_shutdown_does_not_wait_for_ever_and_says_what_is_lost(make_bench):
    with ending(make_bench) as bench:
        bench.session.write(0, bytes(4096))
        bench.hang("flush", 100)
        started = time.monotonic()
        bench.daemon.signal()
        assert bench.daemon.wait(60) == 3
        assert time.monotonic() - started < 20, "shutdown_timeout_s is 2"
        assert RIG in bench.daemon.log()


def test_a_flush_that_fails_at_the_end_is_status_3(make_bench):
    with ending(make_bench) as bench:
        bench.session.write(0, bytes(4096))
        bench.rig.order("fail flush EIO 100")
        bench.daemon.signal()
        assert bench.daemon.wait(60) == 3
        assert RIG in bench.daemon.log()


def test_a_second_sigterm_ends_at_once(make_bench):
    with ending(lambda: make_bench(shutdown_timeout_s=60)) as bench:
        bench.start_hanging_write()
        bench.daemon.signal()
        bench.daemon.wait_for_log("SIGTERM")
        with pytest.raises(subprocess.TimeoutExpired):
            bench.daemon.process.wait(0.5)
        bench.daemon.signal()
        started = time.monotonic()
        assert bench.daemon.wait(60) == 3
        assert time.monotonic() - started < 10


def test_what_is_in_flight_is_finished_before_the_end(make_bench):
    with ending(lambda: make_bench(shutdown_timeout_s=30)) as bench:
        task = bench.start_hanging_write()
        bench.daemon.signal()
        bench.daemon.wait_for_log("SIGTERM")
        bench.rig.order("release")
        with contextlib.suppress(ConnectionClosed):
            bench.session.wait(task)
        assert task.good, "a write in flight was dropped"
        assert bench.daemon.wait(60) == 0
        bench.daemon.assert_clean()
