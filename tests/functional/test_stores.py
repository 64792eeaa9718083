# SPDX-License-Identifier: Apache-2.0
"""The stores of this tree: file and iouring (regular files and block devices) and null."""

import contextlib
import os
import pathlib
import subprocess
import time

import pytest
from lib import daemon, scsi, tools
from lib.initiator import Session

MIB = 1 << 20


@contextlib.contextmanager
def served_lun(folder, lun, **settings):
    """A daemon with this LUN and a settled session to it."""
    with daemon.serve_targets(folder, daemon.target(lun), **settings) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            yield session, running
            session.logout()


WAYS = {
    "file": ("file", {}),
    "file, direct": ("file", {"direct": True}),
    "iouring": ("iouring", {}),
    "iouring, buffered": ("iouring", {"buffered": True}),
}


@pytest.fixture(params=WAYS)
def way(request, direct_io):
    """A way to a file or block device: a function that makes a LUN of its path."""
    plugin, options = WAYS[request.param]
    daemon.need_plugin(plugin)
    return lambda path, **settings: {"path": f"{plugin}:{path}", "options": options, **settings}


def allocated_bytes(path):
    return path.stat().st_blocks * 512


@pytest.fixture
def direct_io(tmp_path):
    """Whether O_DIRECT works where the images are."""
    probe = tmp_path / "probe"
    probe.touch()
    try:
        os.close(os.open(probe, os.O_RDWR | os.O_DIRECT))
    except OSError:
        tools.missing(f"O_DIRECT on {tmp_path}")


# ---- file: creation ----

def test_create_makes_a_sparse_file_of_that_size(tmp_path):
    image = tmp_path / "made.img"
    with served_lun(tmp_path, {"path": f"file:{image}", "size": "1G", "create": True}) as (session, _):
        assert session.read_capacity() == ((1 << 30) // 512, 512)
        assert image.stat().st_size == 1 << 30 and allocated_bytes(image) < MIB


def test_create_opens_what_is_there_and_its_own_size_wins(tmp_path, random_image):
    image = random_image("old.img", 2 * MIB)
    before = image.read_bytes()
    with served_lun(tmp_path, {"path": str(image), "size": "8M", "create": True}) as (session, running):
        assert session.read_capacity() == (4096, 512)
        assert session.read(0, 4096) == before
        running.wait_for_log(r"(?i)old\.img.*size|size.*old\.img")


@pytest.mark.parametrize("prepare", [
    lambda path: None,
    lambda path: path.mkdir(),
    lambda path: os.mkfifo(path),
    lambda path: path.symlink_to("/dev/null"),
    lambda path: path.touch(),
], ids=["absent", "folder", "fifo", "character device", "empty"])
def test_what_cannot_be_served_is_named(tmp_path, prepare):
    image = tmp_path / "odd.img"
    prepare(image)
    with pytest.raises(AssertionError, match=r"odd\.img"):
        daemon.serve_targets(tmp_path, daemon.target(image)).start()


def test_create_in_an_absent_folder_is_named(tmp_path):
    with pytest.raises(AssertionError, match="nowhere"):
        lun = {"path": f"{tmp_path}/nowhere/a.img", "size": "1M", "create": True}
        daemon.serve_targets(tmp_path, daemon.target(lun)).start()


# ---- file: data ----

@pytest.mark.parametrize("block_size", [512, 4096])
def test_every_shape_of_write_lands_where_it_should(tmp_path, make_image, way, block_size):
    image = make_image("a.img", 8 * MIB)
    model = bytearray(8 * MIB)
    with served_lun(tmp_path, way(image, block_size=block_size)) as (session, _):
        for number, (lba, blocks) in enumerate([(0, 1), (1, 1), (7, 3), (8, 8), (100, 129), (1023, 1), (513, 511)], 1):
            data = bytes([number]) * blocks * block_size
            session.write(lba, data, block_bytes=block_size)
            model[lba * block_size:lba * block_size + len(data)] = data
        for lba, blocks in ((0, 1), (1, 7), (5, 120), (0, 1024), (1023, 1)):
            assert session.read(lba, blocks, block_bytes=block_size) == \
                model[lba * block_size:(lba + blocks) * block_size]
    assert image.read_bytes() == bytes(model)


def test_reads_see_what_others_left_on_the_disk(tmp_path, random_image):
    """Nothing of the file is in the page cache: the read goes by the pool."""
    image = random_image("cold.img", 8 * MIB)
    with image.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with served_lun(tmp_path, str(image)) as (session, _):
        whole = b"".join(session.read(lba, 2048) for lba in range(0, 16384, 2048))
    assert whole == image.read_bytes()


def test_unmap_punches_holes(tmp_path, random_image, way):
    image = random_image("full.img", 8 * MIB)
    with served_lun(tmp_path, way(image)) as (session, _):
        session.execute(scsi.synchronize_cache10()).expect_good()
        before = allocated_bytes(image)
        parameters = scsi.unmap_parameters((0, 8192))
        session.execute(scsi.unmap(len(parameters)), parameters).expect_good()
        assert session.read(0, 8192) == bytes(4 * MIB)
        assert before - allocated_bytes(image) >= 3 * MIB, "no space was given back"
        assert image.stat().st_size == 8 * MIB


def test_zeros_by_write_same_write_no_data(tmp_path, random_image, way):
    image = random_image("full.img", 8 * MIB)
    after = image.read_bytes()[4 * MIB:]
    with served_lun(tmp_path, way(image)) as (session, _):
        session.execute(scsi.write_same16(0, 8192), bytes(512)).expect_good()
        assert session.read(0, 8192) == bytes(4 * MIB)
        assert session.read(8192, 8192) == after


@pytest.mark.parametrize("cdb, data, call", [
    (scsi.synchronize_cache10(), None, "fdatasync"),
    (scsi.write10(0, 8, scsi.FUA), bytes(4096), "RWF_DSYNC|fdatasync"),
], ids=["SYNCHRONIZE CACHE", "FUA"])
@pytest.mark.plain  # strace and LeakSanitizer exclude each other
def test_durability_is_asked_of_the_kernel(tmp_path, make_image, cdb, data, call):
    trace = tmp_path / "trace"
    strace = [tools.find("strace"), "-f", "-o", trace, "-e", "trace=fdatasync,pwritev2,pwritev,pwrite64"]
    with daemon.serve_targets(tmp_path, daemon.target(make_image("a.img", MIB)), wrapper=strace) as running:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            session.write(0, b"\x01" * 4096)
            session.execute(cdb, data).expect_good()
            answered = trace.read_text()
            assert any(word in answered for word in call.split("|")), answered
            session.logout()
        daemon_pid = int(subprocess.run(["pgrep", "-P", str(running.pid)], stdout=subprocess.PIPE, text=True,
                                        check=True).stdout)
        os.kill(daemon_pid, 15)
        assert running.wait() == 0


def test_with_the_write_cache_off_every_write_is_stable(tmp_path, make_image):
    lun = {"path": str(make_image("a.img", MIB)), "write_cache": False}
    with served_lun(tmp_path, lun) as (session, _):
        for number in range(20):
            session.write(number, bytes([number]) * 512)
        assert session.read(0, 20) == b"".join(bytes([number]) * 512 for number in range(20))


# ---- file: locks, growth ----

def test_two_daemons_never_open_one_image_for_writing(tmp_path, make_image):
    image = make_image("locked.img", MIB)
    (tmp_path / "second").mkdir()
    second = daemon.serve_targets(tmp_path / "second", daemon.target(image))
    with served_lun(tmp_path, str(image)) as (session, _):
        with pytest.raises(AssertionError, match=r"locked\.img"):
            second.start()
        session.write(0, bytes(512))
    with daemon.serve_targets(tmp_path / "second", daemon.target(image)):
        pass  # the lock has gone with the first daemon


def test_a_lock_outlives_nothing_after_kill(tmp_path, make_image, way):
    image = make_image("locked.img", MIB)
    first = daemon.serve_targets(tmp_path, daemon.target(way(image))).start()
    with Session(first.address, daemon.TARGET) as session:
        session.settle()
        for lba in range(0, 2048, 64):
            session.start(scsi.write16(lba, 64), bytes(64 * 512))
        first.kill()
    with served_lun(tmp_path, way(image)) as (session, _):
        session.write(0, bytes(512))


def test_qemu_and_the_daemon_respect_each_others_locks(tmp_path, make_image):
    image = make_image("locked.img", MIB)
    with served_lun(tmp_path, str(image)):
        done = tools.run("qemu-img", "resize", "-f", "raw", image, "2M", check=False)
        assert done.returncode != 0 and "lock" in done.stdout


def test_two_daemons_may_read_one_image(tmp_path, random_image):
    image = random_image("shared.img", MIB)
    lun = {"path": str(image), "read_only": True}
    (tmp_path / "second").mkdir()
    with served_lun(tmp_path, lun) as (first, _), served_lun(tmp_path / "second", lun) as (second, _):
        assert first.read(0, 2048) == second.read(0, 2048) == image.read_bytes()


def test_growth_of_the_file_is_seen(tmp_path, make_image):
    image = make_image("growing.img", MIB)
    with served_lun(tmp_path, str(image)) as (session, _):
        assert session.read_capacity() == (2048, 512)
        with image.open("r+b") as file:
            file.truncate(3 * MIB)
        deadline = time.monotonic() + 60
        attentions = []
        while (0x2A, 0x09) not in attentions:
            assert time.monotonic() < deadline, "the daemon does not see that the file has grown"
            attentions += session.settle()
            time.sleep(0.05)
        assert session.read_capacity() == (6144, 512)
        session.write(6143, b"\x42" * 512)


# ---- Block devices ----

@pytest.fixture
def loop_device(make_image):
    image = make_image("device.img", 16 * MIB)
    if os.geteuid() != 0 or not pathlib.Path("/dev/loop-control").exists():
        tools.missing("a loop device (root and /dev/loop-control)")
    device = tools.run("losetup", "--find", "--show", image).stdout.strip()
    yield pathlib.Path(device)
    tools.run("losetup", "--detach", device)


def test_a_block_device_is_served(tmp_path, loop_device, way):
    with served_lun(tmp_path, way(loop_device)) as (session, _):
        assert session.read_capacity() == (16 * MIB // 512, 512)
        data = os.urandom(MIB)
        session.write(1000, data)
        session.execute(scsi.synchronize_cache10()).expect_good()
        assert session.read(1000, 2048) == data
        with loop_device.open("rb") as device:
            device.seek(1000 * 512)
            assert device.read(MIB) == data


def test_unmap_of_a_block_device_is_taken(tmp_path, loop_device):
    with served_lun(tmp_path, str(loop_device)) as (session, _):
        parameters = scsi.unmap_parameters((0, 2048))
        task = session.execute(scsi.unmap(len(parameters)), parameters)
        assert task.good or task.sense.key == scsi.ILLEGAL_REQUEST


# ---- null ----

@pytest.mark.parametrize("size, blocks", [("1M", 2048), ("1T", 1 << 31), ("4P", 1 << 43), ("1048576", 2048)])
def test_null_has_any_size(tmp_path, size, blocks):
    with served_lun(tmp_path, f"null:{size}") as (session, _):
        assert session.read_capacity() == (blocks, 512)
        assert session.read(blocks - 1, 1) == bytes(512)


def test_null_discards_writes_and_reads_zeros(tmp_path):
    with served_lun(tmp_path, "null:1G") as (session, _):
        session.write(8, b"\xff" * MIB)
        assert session.read(0, 4096) == bytes(2 * MIB)
        session.execute(scsi.synchronize_cache10()).expect_good()


def test_null_takes_its_latency(tmp_path):
    with served_lun(tmp_path, {"path": "null:1G", "options": {"latency_us": 500000}}) as (session, _):
        started = time.monotonic()
        tasks = [session.start(scsi.read16(0, 8), read_length=4096) for _ in range(8)]
        for task in tasks:
            session.wait(task).expect_good()
        assert 0.5 <= time.monotonic() - started < 4, "all of them wait at the same time"
