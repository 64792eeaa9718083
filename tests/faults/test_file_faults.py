# SPDX-License-Identifier: Apache-2.0
"""Files and block devices that run out of space, lose data, or are not to be had: what initiators and the log see."""

import os
import pathlib
import re
import time

import pytest
from lib import daemon, scsi, tools
from lib.api import Api, lun_path
from lib.initiator import Session

MIB = 1 << 20
NO_SPACE = (scsi.DATA_PROTECT, 0x27, 0x07)
PLUGINS = ["file", "iouring"]


@pytest.fixture
def small(tmp_path):
    """A file system of 4 MiB; small.grow() makes it larger."""
    if os.geteuid() != 0:
        tools.missing("a mount of a tmpfs (root)")
    folder = tmp_path / "small"
    folder.mkdir()
    tools.run("mount", "-t", "tmpfs", "-o", "size=4M", "none", folder)
    yield folder
    tools.run("umount", "-l", folder)


def sparse(path, size):
    path.touch()
    os.truncate(path, size)
    return path


def take_all_space(folder):
    with (folder / "ballast").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))


def lun(plugin, path):
    daemon.need_plugin(plugin)
    # There is no O_DIRECT on a tmpfs everywhere, and a flush that fails needs the page cache.
    return {"path": f"{plugin}:{path}", "options": {"buffered": True} if plugin == "iouring" else {}}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_full_file_system_is_no_space_until_there_is_some(tmp_path, small, plugin):
    image = sparse(small / "disk.img", 16 * MIB)
    with daemon.serve_targets(tmp_path, daemon.target(lun(plugin, image))) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            session.write(0, b"\x01" * MIB)
            take_all_space(small)
            session.execute(scsi.write16(16384, 2048), bytes(MIB)).expect_sense(*NO_SPACE)
            assert session.read(0, 2048) == b"\x01" * MIB, "reads go on"
            session.write(0, b"\x02" * 4096)
            (small / "ballast").unlink()
            session.write(16384, b"\x03" * MIB)
            session.execute(scsi.synchronize_cache10()).expect_good()
            assert session.read(16384, 2048) == b"\x03" * MIB
            session.logout()


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_device_that_loses_written_data_fails_until_it_is_reopened(tmp_path, small, plugin):
    """Its writes go to the page cache, and from there to a file that has no room for them: the flush fails once, and
    Linux would let the next one succeed."""
    backing = sparse(small / "disk", 16 * MIB)
    device = pathlib.Path(tools.run("losetup", "--find", "--show", backing).stdout.strip())
    try:
        with daemon.serve_targets(tmp_path, daemon.target(lun(plugin, device))) as running:
            with Session(running.address, daemon.TARGET) as session:
                session.settle()
                take_all_space(small)
                session.write(2048, b"\x01" * MIB)
                assert session.execute(scsi.synchronize_cache10()).status == scsi.CHECK_CONDITION
                assert session.execute(scsi.synchronize_cache10()).status == scsi.CHECK_CONDITION
                assert session.execute(scsi.write16(0, 8), bytes(4096)).status == scsi.CHECK_CONDITION
                session.execute(scsi.read16(0, 8), read_length=4096).expect_good()
                session.logout()
            running.expected_status = 3
        (small / "ballast").unlink()
        with daemon.serve_targets(tmp_path, daemon.target(lun(plugin, device))) as running:
            with Session(running.address, daemon.TARGET) as session:
                session.settle()
                session.write(2048, b"\x02" * MIB)
                session.execute(scsi.synchronize_cache10()).expect_good()
                session.logout()
    finally:
        tools.run("losetup", "--detach", device)


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_file_that_is_removed_is_served_to_the_end_and_missed_at_the_next_start(tmp_path, plugin):
    image = sparse(tmp_path / "gone.img", MIB)
    with daemon.serve_targets(tmp_path, daemon.target(lun(plugin, image)), refresh_interval_s=1) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            image.unlink()
            session.write(0, b"\x01" * 4096)
            message = running.wait_for_log(r"cannot be refreshed: .*gone\.img' was removed")
            assert session.read(0, 8) == b"\x01" * 4096
            session.execute(scsi.synchronize_cache10()).expect_good()
            saved = pathlib.Path(re.search(r"/proc/\d+/fd/\d+", message)[0]).read_bytes()
            assert saved == b"\x01" * 4096 + bytes(MIB - 4096)
            session.logout()
    with pytest.raises(AssertionError, match=rf"{plugin}:.*gone\.img.*does not exist"):
        daemon.serve_targets(tmp_path, daemon.target(lun(plugin, image))).start()
    image.write_bytes(saved)
    with daemon.serve_targets(tmp_path, daemon.target(lun(plugin, image))) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            assert session.read(0, 2048) == saved
            session.logout()


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_file_that_is_replaced_is_said_to_be_until_it_is_back(tmp_path, plugin):
    image, kept = sparse(tmp_path / "disk.img", MIB), tmp_path / "kept.img"
    with daemon.serve_targets(tmp_path, daemon.target(lun(plugin, image)), refresh_interval_s=1) as running:
        client = Api(tmp_path / "api.sock")
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            image.rename(kept)
            sparse(image, MIB)
            running.wait_for_log(r"cannot be refreshed: .*disk\.img' does not lead any more to what was opened there")
            await_lun(client, lambda view: "does not lead any more" in view.get("error", "") and view["state"] == "online")
            session.write(0, b"\x01" * 4096)
            session.execute(scsi.synchronize_cache10()).expect_good()
            assert not any(image.read_bytes()) and kept.read_bytes()[:4096] == b"\x01" * 4096
            kept.rename(image)
            running.wait_for_log("can be refreshed again")
            await_lun(client, lambda view: "error" not in view)
            # What was not looked at meanwhile is seen, too.
            os.truncate(image, 2 * MIB)
            await_lun(client, lambda view: view["size"] == 2 * MIB)
            session.settle()
            assert session.read(0, 8) == b"\x01" * 4096
            session.logout()


def await_lun(client, holds):
    deadline = time.monotonic() + 60
    while not holds(view := client.get(lun_path(daemon.TARGET, 0))):
        assert time.monotonic() < deadline, view
        time.sleep(0.05)
