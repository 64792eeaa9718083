# SPDX-License-Identifier: Apache-2.0
"""The suite that every store has to pass, seen by an initiator.  A plugin is one row of STORES.

The same without the core, over a fake host, is tests/unit/plugins/stores_test.c."""

import contextlib
import dataclasses
import os
import random
import struct
from collections.abc import Callable

import pytest
from lib import daemon, outside, s3, scsi
from lib.initiator import Session
from lib.nbd import Server

MIB = 1 << 20
SIZE = 4 * MIB
BLOCK = 512
BLOCKS = SIZE // BLOCK
LBPU, LBPRZ = 0x80, 0x1C  # of VPD page B2h, byte 5


@dataclasses.dataclass
class Store:
    """What a row has made: a LUN for the configuration, and how it can be made to fail."""

    lun: dict
    forgets: bool = False  # reads zeros, whatever was written
    persists: bool = True  # over a restart of the daemon
    # A context manager during which reads and writes fail with a medium error.
    broken: Callable | None = None
    # Makes the next flush fail.
    fail_flush: Callable | None = None


class Bench:
    """A store and the daemon that serves it, and where the rows get what they need."""

    def __init__(self, folder, plugins, stack, row, cluster):
        self.folder, self.plugins, self.stack, self.cluster = folder, plugins, stack, cluster
        self.store = row(self)
        self.running = None

    def image(self):
        path = self.folder / "store.img"
        path.touch()
        os.truncate(path, SIZE)
        return path

    def start(self):
        self.running = daemon.serve_targets(self.folder, daemon.target(self.store.lun), plugin_folders=[self.plugins],
                                            workers=2)
        self.stack.callback(self.running.kill)
        self.running.start()

    def restart(self, expected_status=0):
        self.running.expected_status = expected_status
        self.running.stop()
        self.start()

    @contextlib.contextmanager
    def session(self):
        with Session(self.running.address, daemon.TARGET) as one:
            one.settle()
            yield one
            one.logout()


def on_file(plugin, **options):
    def make(bench):
        daemon.need_plugin(plugin)
        image = bench.image()

        @contextlib.contextmanager
        def cut_short():
            os.truncate(image, 0)
            yield ("read",)
            os.truncate(image, SIZE)

        return Store({"path": f"{plugin}:{image}", "options": options}, broken=cut_short)
    return make


def remote(*arguments, **options):
    def make(bench):
        daemon.need_plugin("remote")
        trigger = bench.folder / "trigger"
        words = [str(bench.image()) if word == "IMAGE" else word.replace("TRIGGER", str(trigger)) for word in arguments]
        server = bench.stack.enter_context(Server(bench.folder, *words))

        @contextlib.contextmanager
        def failing():
            trigger.touch()
            yield ("read", "write")
            trigger.unlink()

        can_fail = any("TRIGGER" in word for word in arguments)
        return Store({"path": f"remote:{server.uri}", "options": options}, broken=failing if can_fail else None)
    return make


def rig(**options):
    def make(bench):
        control = bench.folder / "rig.sock"

        def order(command):
            with outside.RigControl(control) as one:
                one.order(command)

        @contextlib.contextmanager
        def failing():
            order("fail read EIO 1000")
            order("fail write EIO 1000")
            yield ("read", "write")
            order("clear")

        return Store({"path": f"rig:{SIZE}", "options": {**options, "control": str(control)}}, persists=False,
                     broken=failing, fail_flush=lambda: order("fail flush EIO 1"))
    return make


def s3_volume(**options):
    def make(bench):
        daemon.need_plugin("s3")
        server = bench.cluster()
        return Store(server.lun(server.new_path(), str(SIZE), **options))
    return make


def rbd_image(**options):
    def make(bench):
        daemon.need_plugin("rbd")
        return Store({"path": f"rbd:{bench.folder.name}", "size": str(SIZE), "create": True,
                      "options": {"conf": str(bench.cluster().conf), **options}})
    return make


STORES = {
    "file": on_file("file"),
    "file, direct": on_file("file", direct=True),
    "iouring": on_file("iouring"),
    "iouring, buffered": on_file("iouring", buffered=True),
    "null": lambda bench: Store({"path": f"null:{SIZE}"}, forgets=True),
    "ramdisk": lambda bench: Store({"path": f"ram:{SIZE}"}, persists=False),
    "rig": rig(),
    "rig, odd": rig(offset_alignment="4K", maximum_transfer="64K", maximum_segments=3, again_every=5, reorder=True),
    "rig, bare": rig(capabilities="flush,volatile"),
    "rig, keeps its dirty data": rig(capabilities="flush,volatile,retains_dirty"),
    "remote": remote("file", "IMAGE"),
    "remote, failing": remote("--filter=error", "file", "IMAGE", "error=EIO", "error-rate=100%", "error-file=TRIGGER",
                              connections=4),
    "remote, large blocks": remote("--filter=blocksize-policy", "file", "IMAGE", "blocksize-minimum=4K",
                                   "blocksize-maximum=64K", "blocksize-error-policy=error"),
    "s3": s3_volume(),
    "s3, little cache": s3_volume(cache_size="1M"),
    "rbd": rbd_image(),
    "rbd, cached": rbd_image(cache="writeback"),
}


# Variants whose difference the tests of the plugins themselves show, too.
LONG = {"s3, little cache", "rbd, cached"}


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    development = outside.Development(tmp_path_factory.mktemp("development"))
    folder = tmp_path_factory.mktemp("outside") / "plugins"
    folder.mkdir(mode=0o755)
    return development.build_plugins(folder)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """For the rows that need one, and started by the first of them."""
    with s3.Server(tmp_path_factory.mktemp("cluster"), images=True) as one:
        yield one


@pytest.fixture(scope="module",
                params=[pytest.param(name, marks=pytest.mark.long if name in LONG else ()) for name in STORES])
def bench(request, tmp_path_factory, plugins):
    """One daemon for all tests of a store."""
    with contextlib.ExitStack() as stack:
        one = Bench(tmp_path_factory.mktemp("store"), plugins, stack, STORES[request.param],
                    lambda: request.getfixturevalue("cluster"))
        one.start()
        yield one
        one.running.stop()


@pytest.fixture
def session(bench):
    with bench.session() as one:
        yield one


def compare_and_write(lba, expected, data):
    return struct.pack(">BBQ3xBBB", 0x89, 0, lba, len(data) // BLOCK, 0, 0), expected + data


class Model:
    """What the store has to hold, and random work on both."""

    def __init__(self, session, store, seed):
        self.session, self.forgets = session, store.forgets
        self.choose = random.Random(seed)
        self.bytes = bytearray().join(session.read(lba, MIB // BLOCK) for lba in range(0, BLOCKS, MIB // BLOCK))
        provisioning = session.inquiry(page=0xB2)[5]
        self.unmaps, self.unmap_zeroes = provisioning & LBPU, provisioning & LBPRZ

    def put(self, lba, data):
        if not self.forgets:
            self.bytes[lba * BLOCK:lba * BLOCK + len(data)] = data

    def expected(self, lba, blocks):
        return self.bytes[lba * BLOCK:(lba + blocks) * BLOCK]

    def extent(self, most=600):
        blocks = self.choose.randint(1, self.choose.choice((1, 8, 17, most)))
        return self.choose.randrange(BLOCKS - blocks + 1), blocks

    def write(self):
        lba, blocks = self.extent()
        data = self.choose.randbytes(blocks * BLOCK)
        build = self.choose.choice((scsi.write10, scsi.write12, scsi.write16))
        self.session.execute(build(lba, blocks, self.choose.choice((0, scsi.FUA))), data).expect_good()
        self.put(lba, data)

    def read(self):
        lba, blocks = self.extent()
        assert self.session.read(lba, blocks) == self.expected(lba, blocks), f"{blocks} blocks at {lba}"

    def zero(self):
        lba, blocks = self.extent()
        unmap = bool(self.unmaps and self.unmap_zeroes and self.choose.randrange(2))
        self.session.execute(scsi.write_same16(lba, blocks, unmap=unmap), bytes(BLOCK)).expect_good()
        self.put(lba, bytes(blocks * BLOCK))

    def repeat(self):
        lba, blocks = self.extent(64)
        data = self.choose.randbytes(BLOCK)
        self.session.execute(scsi.write_same16(lba, blocks), data).expect_good()
        self.put(lba, data * blocks)

    def unmap(self):
        if not self.unmaps:
            return
        lba, blocks = self.extent()
        parameters = scsi.unmap_parameters((lba, blocks))
        self.session.execute(scsi.unmap(len(parameters)), parameters).expect_good()
        if self.unmap_zeroes:
            self.put(lba, bytes(blocks * BLOCK))
        else:  # anything may be there now
            self.put(lba, self.session.read(lba, blocks))

    def exchange(self):
        lba = self.choose.randrange(BLOCKS)
        data = self.choose.randbytes(BLOCK)
        self.session.execute(*compare_and_write(lba, bytes(self.expected(lba, 1)), data)).expect_good()
        self.put(lba, data)
        wrong = bytes([self.expected(lba, 1)[0] ^ 1]) + bytes(BLOCK - 1)
        self.session.execute(*compare_and_write(lba, wrong, bytes(BLOCK))).expect_sense(scsi.MISCOMPARE)

    def flush(self):
        self.session.execute(scsi.synchronize_cache10()).expect_good()

    def work(self, rounds):
        kinds = [self.write] * 5 + [self.read] * 5 + [self.zero, self.repeat, self.unmap, self.exchange, self.flush]
        for _ in range(rounds):
            self.choose.choice(kinds)()

    def check(self, session=None):
        for lba in range(0, BLOCKS, MIB // BLOCK):
            found = (session or self.session).read(lba, MIB // BLOCK)
            assert found == self.expected(lba, MIB // BLOCK), f"not as written, in the MiB from block {lba}"


def test_a_random_history_reads_as_a_model_does(bench, session):
    model = Model(session, bench.store, seed=1)
    assert not any(model.bytes), "a new store is not empty"
    model.work(150)
    model.check()


def test_first_and_last_blocks_are_within_reach_and_nothing_beyond(bench, session):
    model = Model(session, bench.store, seed=2)
    assert session.read_capacity() == (BLOCKS, BLOCK)
    for lba, blocks in [(0, 1), (BLOCKS - 1, 1), (7, 1), (7, 2), (8, 8), (BLOCKS - 9, 9), (0, 2048),
                        (BLOCKS - 2048, 2048), (1, 2047)]:
        data = model.choose.randbytes(blocks * BLOCK)
        session.write(lba, data)
        model.put(lba, data)
        assert session.read(lba, blocks) == model.expected(lba, blocks)
    for lba, blocks in [(BLOCKS, 1), (BLOCKS - 1, 2), (1 << 40, 1), ((1 << 64) - 1, 1)]:
        session.execute(scsi.write16(lba, blocks), bytes(blocks * BLOCK)).expect_sense(scsi.ILLEGAL_REQUEST, 0x21)
    model.check()


def test_overlapping_writes_of_two_sessions_mix_no_block(bench, session):
    """What is in a block afterwards is from one write or another, and both sessions see the same."""
    with bench.session() as second:
        for _ in range(10):
            tasks = [(one, one.start(scsi.write16(lba, 64), bytes([value]) * 64 * BLOCK))
                     for value, (one, lba) in enumerate([(session, 0), (second, 8), (session, 31), (second, 0),
                                                         (session, 64), (second, 40)], 1)]
            for one, task in tasks:
                one.wait(task).expect_good()
            seen = session.read(0, 104)
            assert seen == second.read(0, 104)
            for at in range(0, len(seen), BLOCK):
                block, possible = seen[at:at + BLOCK], [0] if bench.store.forgets else range(1, 7)
                assert block == block[:1] * BLOCK and block[0] in possible, f"block {at // BLOCK} is mixed"


def test_what_is_reported_is_true(bench, session):
    model = Model(session, bench.store, seed=3)
    limits = session.inquiry(page=0xB0)
    longest = min(int.from_bytes(limits[8:12], "big") or BLOCKS, BLOCKS)
    data = model.choose.randbytes(longest * BLOCK)
    session.write(0, data)
    model.put(0, data)
    model.check()
    parameters = scsi.unmap_parameters((64, 512))
    task = session.execute(scsi.unmap(len(parameters)), parameters)
    if not model.unmaps:
        task.expect_sense(scsi.ILLEGAL_REQUEST)
        return
    task.expect_good()
    assert int.from_bytes(limits[20:24], "big") > 0, "UNMAP is taken, but its limit is 0"
    if model.unmap_zeroes:
        model.put(64, bytes(512 * BLOCK))
        model.check()


def test_an_error_is_told_and_passes(bench, session):
    if bench.store.broken is None:
        return
    session.write(0, b"\x11" * 4096)
    with bench.store.broken() as failing:
        if "read" in failing:
            session.execute(scsi.read16(2048, 8), read_length=4096).expect_sense(scsi.MEDIUM_ERROR, 0x11, 0x00)
        if "write" in failing:
            session.execute(scsi.write16(2048, 8), bytes(4096)).expect_sense(scsi.MEDIUM_ERROR, 0x0C, 0x00)
    session.write(2048, b"\x22" * 4096)
    assert session.read(2048, 8) == b"\x22" * 4096
    session.execute(scsi.synchronize_cache10()).expect_good()


# ---- What needs the daemon to be started again ----


def test_data_is_there_after_a_restart(bench):
    if not bench.store.persists:
        return
    data = b"" if bench.store.forgets else os.urandom(MIB)
    with bench.session() as session:
        session.write(100, data or b"\x01" * MIB)
    bench.restart()
    with bench.session() as session:
        assert session.read(100, MIB // BLOCK) == (data or bytes(MIB))


def test_after_a_flush_that_failed_once_only_what_kept_its_data_goes_on(bench):
    if bench.store.fail_flush is None:
        return
    keeps = "retains_dirty" in bench.store.lun["options"].get("capabilities", "")
    with bench.session() as session:
        session.write(0, b"\x33" * 4096)
        bench.store.fail_flush()
        assert session.execute(scsi.synchronize_cache10()).status == scsi.CHECK_CONDITION
        again = session.execute(scsi.synchronize_cache10())
        written = session.execute(scsi.write16(0, 8), b"\x44" * 4096)
        assert again.good == written.good == keeps
        assert not keeps or session.read(0, 8) == b"\x44" * 4096
    bench.restart(expected_status=0 if keeps else 3)
    with bench.session() as session:
        session.write(0, b"\x55" * 4096)
        session.execute(scsi.synchronize_cache10()).expect_good()
