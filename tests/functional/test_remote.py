# SPDX-License-Identifier: Apache-2.0
"""The plugin remote under the daemon: real NBD servers that are killed, restarted and hang.

What the plugin does by itself is for tests/unit/plugins_remote."""

import contextlib
import random
import shutil
import signal

import pytest
from lib import daemon, scsi, tools
from lib.initiator import Session
from lib.nbd import Server

MIB = 1 << 20
NOT_READY, MEDIUM_ERROR, ABORTED_COMMAND = 0x2, 0x3, 0xB


@contextlib.contextmanager
def served(folder, server, options=(), **settings):
    """A daemon with this server's export, and a settled session to it."""
    lun = {"path": f"remote:{server.uri}", "options": dict(options)}
    with daemon.serve_targets(folder, daemon.target(lun), **settings) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            yield session, running
            session.logout()


@pytest.fixture(autouse=True)
def plugin_and_server():
    if not shutil.which("nbdkit"):
        tools.missing("nbdkit")
    installation = daemon.Installation()
    if installation.build and not any(folder.match("remote/.libs") for folder in installation.plugin_folders):
        tools.missing("the plugin remote")


def wait_until_back(session, running):
    running.wait_for_log("its backend is back")
    # The line is written before the unit has changed.
    while not session.execute(scsi.test_unit_ready()).good:
        pass


def synchronize(session):
    session.execute(scsi.synchronize_cache10()).expect_good()


def verify_run(session, server, model, rounds, seed):
    """Random writes and reads against the model, with the server killed in each round, and a flush at the end of it."""
    generator = random.Random(seed)
    for _ in range(rounds):
        tasks = []
        for block in generator.sample(range(0, len(model) // 512, 64), 12):
            blocks = generator.randint(1, 64)
            data = generator.randbytes(blocks * 512)
            tasks.append(session.start(scsi.write16(block, blocks), data))
            model[block * 512:block * 512 + len(data)] = data
        server.restart()
        for task in tasks:
            session.wait(task).expect_good()
        lba = generator.randrange(0, len(model) // 512 - 256)
        assert session.read(lba, 256) == model[lba * 512:(lba + 256) * 512]
        synchronize(session)


def test_a_write_with_unsolicited_and_solicited_data_is_one_request(tmp_path):
    """Its memory is of one piece where there is room, as NBD takes no other."""
    log = tmp_path / "requests"
    data = random.Random(1).randbytes(256 << 10)
    with Server(tmp_path, "--filter=log", "memory", "8M", f"logfile={log}") as server, \
            served(tmp_path, server) as (session, _):
        task = session.execute(scsi.write16(0, 512), data)
        task.expect_good()
        assert task.r2ts, "all of it came unasked"
        assert session.read(0, 512) == data
    writes = [line for line in log.read_text().splitlines() if " Write id=" in line]
    assert len(writes) == 1 and f"count={len(data):#x}" in writes[0], writes


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("forgetful", [False, True], ids=["page cache", "own cache"])
def test_a_restarted_server_loses_nothing(tmp_path, make_image, connections, forgetful):
    image = make_image("disk.img", 8 * MIB)
    model = bytearray(8 * MIB)
    arguments = ["--filter=cache", "file", image, "cache=writeback"] if forgetful else ["file", image]
    with Server(tmp_path, *arguments) as server:
        with served(tmp_path, server, {"connections": connections}) as (session, _):
            verify_run(session, server, model, 10, seed=connections)
            whole = b"".join(session.read(lba, 2048) for lba in range(0, 16384, 2048))
            assert whole == model
    assert image.read_bytes() == model


def test_a_server_that_stays_away_is_an_error_until_it_is_back(tmp_path, random_image):
    image = random_image("disk.img", 8 * MIB)
    with Server(tmp_path, "file", image) as server:
        with served(tmp_path, server, {"timeout_s": 1}) as (session, running):
            synchronize(session)
            server.kill()
            session.execute(scsi.read16(0, 8), read_length=4096).expect_sense(ABORTED_COMMAND, 0x08, 0x01)
            running.wait_for_log("lost")
            session.execute(scsi.read16(0, 8), read_length=4096).expect_sense(NOT_READY, 0x04)
            server.start()
            wait_until_back(session, running)
            assert session.read(0, 8) == image.read_bytes()[:4096]
            session.write(0, b"x" * 4096)
            synchronize(session)


def test_a_hanging_server_holds_up_nobody_else(tmp_path, make_image):
    image, other = make_image("disk.img", 8 * MIB), make_image("other.img", 8 * MIB)
    with Server(tmp_path, "file", image) as server:
        luns = [{"lun": 0, "path": f"remote:{server.uri}", "options": {"timeout_s": 2}},
                {"lun": 1, "path": f"file:{other}"}]
        with daemon.serve_targets(tmp_path, daemon.target(*luns)) as running:
            with Session(running.address, daemon.TARGET) as session:
                session.settle(0)
                session.settle(1)
                server.freeze()
                hanging = session.start(scsi.read16(0, 8), read_length=4096)
                for lba in range(0, 800, 8):
                    session.write(lba, b"y" * 4096, lun=1)
                    assert session.read(lba, 8, lun=1) == b"y" * 4096
                session.wait(hanging).expect_sense(ABORTED_COMMAND, 0x08, 0x01)
                server.process.send_signal(signal.SIGCONT)
                wait_until_back(session, running)
                assert session.read(0, 8) == bytes(4096)
                session.logout()


def test_an_absent_server_is_named_with_plugin_and_cause(tmp_path):
    path = f"nbd+unix:///?socket={tmp_path}/nobody.sock"
    with pytest.raises(AssertionError, match=rf"remote:nbd\+unix.*nobody\.sock.*No such file"):
        daemon.serve_targets(tmp_path, daemon.target({"path": f"remote:{path}"})).start()
