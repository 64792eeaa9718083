# SPDX-License-Identifier: Apache-2.0
"""Session reinstatement in the middle of writes to a store that completes late, out of order and from another thread:
once the new session has logged in, not a byte of the old one is written any more."""

import contextlib

import pytest
from lib import daemon, outside, scsi
from lib.connection import ConnectionClosed
from lib.initiator import Session

MIB = 1 << 20
BLOCKS = 4 * MIB // 512


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    development = outside.Development(tmp_path_factory.mktemp("development"))
    folder = tmp_path_factory.mktemp("outside") / "plugins"
    folder.mkdir(mode=0o755)
    return development.build_plugins(folder)


@pytest.fixture(params=["cancellable", "not cancellable"])
def late_store(request, tmp_path, plugins):
    """(the daemon, the rig): every request takes 3 ms, the newest comes first."""
    control = tmp_path / "rig.sock"
    lun = {"path": f"rig:{4 * MIB}", "options": {
        "control": str(control), "delay_us": 3000, "reorder": True, "cancellable": request.param == "cancellable"}}
    with daemon.serve_targets(tmp_path, daemon.target(lun), plugin_folders=[plugins], workers=2) as running:
        with outside.RigControl(control) as rig:
            yield running, rig


def fill_window(session, value, count=16):
    """Writes under way: some with all of their data, some that wait for it."""
    for number in range(count):
        hold = number % 4 == 3
        with contextlib.suppress(ConnectionClosed):
            session.start(scsi.write16(number * 256, 256), bytes([value]) * 131072, hold_r2ts=hold, ignore_window=True)


def snapshot(session):
    return b"".join(session.read(at, 1024) for at in range(0, 16 * 256, 1024))


@pytest.mark.parametrize("with_tsih", [False, True], ids=["by ISID", "by TSIH"])
def test_nothing_of_the_old_session_is_written_after_the_new_one_starts(late_store, with_tsih):
    running, rig = late_store
    old = Session(running.address, daemon.TARGET)
    old.settle()
    for generation in range(1, 13):
        fill_window(old, generation)
        new = Session(running.address, daemon.TARGET, isid=old.isid, tsih=old.tsih if with_tsih else 0, timeout=60)
        assert rig.status()["pending"] == 0, "requests of the old session are still at the store"
        new.settle()
        before = snapshot(new)
        for task in list(old.tasks.values()):
            with contextlib.suppress(ConnectionClosed):
                for r2t in list(task.unanswered_r2ts):
                    old.answer(task, r2t)
        new.write(16 * 256, bytes([generation]) * 512)
        assert snapshot(new) == before
        old.close()
        old = new
    old.close()


def test_a_race_of_logins_for_one_session_has_one_winner(late_store):
    """Ten logins with the same ISID at once, in the middle of writes: each takes the place of the one before."""
    running, rig = late_store
    with Session(running.address, daemon.TARGET) as first, contextlib.ExitStack() as stack:
        first.settle()
        fill_window(first, 0xBD)
        rivals = [stack.enter_context(Session(running.address, daemon.TARGET, isid=first.isid, login=False, timeout=60))
                  for _ in range(10)]
        for rival in rivals:
            rival.connection.send(rival.prepare_login({**rival.first_login_keys(), **rival.keys}))
        alive = []
        for rival in rivals:
            with contextlib.suppress(ConnectionClosed):
                rival.enter_full_feature(rival.receive_login())
                alive.append(rival)
        assert alive
        usable = []
        for rival in alive:
            with contextlib.suppress(ConnectionClosed):
                rival.settle()
                usable.append(rival)
        assert len(usable) == 1
        assert rig.status()["pending"] == 0
        usable[0].write(0, b"\x55" * 4096)
        assert usable[0].read(0, 8) == b"\x55" * 4096
