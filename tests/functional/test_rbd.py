# SPDX-License-Identifier: Apache-2.0
"""The plugin rbd under the daemon, with a real cluster: OSDs and monitors that go away, and two daemons for one image.

What the plugin does by itself is for tests/unit/plugins_rbd."""

import contextlib
import itertools
import random
import re
import struct

import pytest
from lib import ceph, daemon, scsi, tools
from lib.api import Api, lun_path
from lib.initiator import Session

MIB = 1 << 20
IMAGE_BYTES = 32 * MIB
ACTIVE, STANDBY = 0, 2
STATE_CHANGED = (scsi.UNIT_ATTENTION, 0x2A, 0x06)
IN_STANDBY = (scsi.NOT_READY, 0x04, 0x0B)
LIBRADOS_OPERATIONS = 1024  # its default of objecter_inflight_ops
SPACE_ALLOCATION_FAILED = (scsi.DATA_PROTECT, 0x27, 0x07)

numbers = itertools.count()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if not daemon.Installation().has_plugin("rbd"):
        tools.missing("the plugin rbd")
    with ceph.Cluster(tmp_path_factory.mktemp("rbd")) as running:
        yield running


@pytest.fixture
def image():
    """A name that no other test has."""
    return f"image{next(numbers)}"


def lun(cluster, image, **options):
    return {"path": cluster.path(image), "size": str(IMAGE_BYTES), "create": True, "options": cluster.options(**options)}


@contextlib.contextmanager
def serve(folder, cluster, image, **options):
    folder.mkdir(exist_ok=True)
    with daemon.serve_targets(folder, daemon.target(lun(cluster, image, **options)), refresh_interval_s=1) as running:
        running.api = Api(folder / "api.sock")
        yield running


@contextlib.contextmanager
def connected(running):
    with Session(running.address, daemon.TARGET) as session:
        # Reset, and whatever else a new nexus is told.
        while session.execute(scsi.test_unit_ready()).sense.key == scsi.UNIT_ATTENTION:
            pass
        yield session
        session.logout()


def report_groups(session):
    return session.execute(struct.pack(">BBLLBB", 0xA3, 0x0A, 0, 512, 0, 0), read_length=512)


def group_state(session):
    return report_groups(session).expect_good().data_in[4] & 0x0F


def wait_for_state(session, state):
    """Until the port group has this state and the session was told of a change."""
    told = False
    while True:
        task = report_groups(session)
        if task.good and task.data_in[4] & 0x0F == state and told:
            return
        if not task.good:
            task.expect_sense(*STATE_CHANGED)
            told = True


def lba_status(session, lba):
    """(lba, blocks, provisioning) of the first descriptor."""
    task = session.execute(struct.pack(">BBQLBB", 0x9E, 0x12, lba, 24, 0, 0), read_length=24)
    return struct.unpack_from(">QLB", task.expect_good().data_in, 8)


def lun_of(running):
    return running.api.get(f"/v1/targets/{daemon.TARGET}/luns/0")


def take_over(running):
    return running.api.call("PATCH", f"/v1/targets/{daemon.TARGET}/luns/0", {"online": True}, 200)[1]


class Load:
    """Random writes and reads, each of which is compared with what was written last."""

    def __init__(self, seed, blocks=IMAGE_BYTES // 512):
        self.generator = random.Random(seed)
        self.model = bytearray(blocks * 512)
        self.blocks = blocks

    def start_writes(self, session, count, most_blocks=128):
        """[(task, offset, data)], of ranges that do not overlap."""
        started = []
        for slot in self.generator.sample(range(self.blocks // most_blocks), count):
            blocks = self.generator.randint(1, most_blocks)
            data = self.generator.randbytes(blocks * 512)
            lba = slot * most_blocks + self.generator.randint(0, most_blocks - blocks)
            started.append((session.start(scsi.write16(lba, blocks), data), lba * 512, data))
        return started

    def finish(self, session, started):
        for task, offset, data in started:
            session.wait(task).expect_good()
            self.model[offset:offset + len(data)] = data

    def write(self, session, count):
        self.finish(session, self.start_writes(session, count))

    def verify(self, session):
        seen = b"".join(session.read(lba, 2048) for lba in range(0, self.blocks, 2048))
        assert seen == self.model


# ---- One daemon ----


def test_what_was_written_is_read_through_either_prefix(tmp_path, cluster, image):
    load = Load(1)
    with serve(tmp_path / "a", cluster, image) as running, connected(running) as session:
        load.write(session, 24)
        session.execute(scsi.synchronize_cache10()).expect_good()
        parameters = scsi.unmap_parameters((3, 5000), (9001, 1))
        session.execute(scsi.unmap(len(parameters)), parameters).expect_good()
        assert lba_status(session, 0) == (0, IMAGE_BYTES // 512, 0), "all mapped: librbd tells extents only to who waits"
        load.model[3 * 512:5003 * 512] = bytes(5000 * 512)
        load.model[9001 * 512:9002 * 512] = bytes(512)
        load.verify(session)
        serial = lun_of(running)["serial"]
    for prefix in ("ceph:rbd/", "ceph-rbd:"):
        other = {"path": prefix + image, "options": cluster.options()}
        with daemon.serve_targets(tmp_path, daemon.target(other)) as running, connected(running) as session:
            load.verify(session)
            assert serial.encode() in session.inquiry(page=0x80)


def test_a_killed_osd_holds_requests_up_and_loses_nothing(tmp_path, cluster, image):
    load = Load(2)
    with serve(tmp_path / "a", cluster, image) as running, connected(running) as session:
        for _ in range(2):
            load.write(session, 16)
            started = load.start_writes(session, 16)
            cluster.kill("osd")
            started_later = session.start(scsi.read16(0, 64), read_length=64 * 512)
            cluster.start("osd")
            load.finish(session, started)
            session.wait(started_later).expect_good()
            load.verify(session)


def test_a_dead_osd_holds_no_other_unit_up(tmp_path, cluster, image):
    """With more on its way to it than librados by itself lets be, on the worker that serves the other unit, too."""
    units = daemon.target(lun(cluster, image), "null:16M")
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(daemon.serve_targets(tmp_path, units, workers=1))
        other = stack.enter_context(connected(running))
        other.settle(1)
        cluster.kill("osd")
        started = []
        while len(started) < LIBRADOS_OPERATIONS + 100:
            session = stack.enter_context(connected(running))
            while session.has_window:
                block = len(started)
                started.append((session, session.start(scsi.write16(block, 1), block.to_bytes(512, "big"))))
            other.read(len(started), 1, lun=1)
        assert Api(tmp_path / "api.sock").get(f"/v1/targets/{daemon.TARGET}/luns/0")["online"]
        cluster.start("osd")
        for session, task in started:
            session.wait(task).expect_good()
        seen = other.read(0, len(started))
        assert seen == b"".join(block.to_bytes(512, "big") for block in range(len(started)))


def test_io_goes_on_without_a_monitor(tmp_path, cluster, image):
    load = Load(3)
    with serve(tmp_path / "a", cluster, image) as running, connected(running) as session:
        load.write(session, 8)
        cluster.kill("mon")
        try:
            load.write(session, 32)
            load.verify(session)
        finally:
            cluster.start("mon")
        load.write(session, 8)
        load.verify(session)


def test_a_full_cluster_is_a_space_error_and_still_read(tmp_path, cluster, image):
    load = Load(4, IMAGE_BYTES // 2 // 512)
    # What is written over what is there already needs no space.
    fresh = itertools.count(IMAGE_BYTES // 512 - 8, -8)
    with serve(tmp_path / "a", cluster, image) as running, connected(running) as session:
        load.write(session, 16)
        cluster.set_full(True)
        try:
            # The client learns of it with its next map of the cluster.
            while True:
                task = session.execute(scsi.write16(next(fresh), 8), bytes(range(256)) * 16)
                if not task.good:
                    break
            task.expect_sense(*SPACE_ALLOCATION_FAILED)
            load.verify(session)
        finally:
            cluster.set_full(False)
        while not session.execute(scsi.write16(next(fresh), 8), bytes(range(256)) * 16).good:
            pass
        load.write(session, 8)
        load.verify(session)


def test_a_new_size_is_told(tmp_path, cluster, image):
    with serve(tmp_path / "a", cluster, image) as running, connected(running) as session:
        cluster.rbd("resize", "--no-progress", "--size", "48M", image)
        while True:
            sense = session.execute(scsi.test_unit_ready()).sense
            if sense.key == scsi.UNIT_ATTENTION:
                break
        assert sense.triple == (scsi.UNIT_ATTENTION, 0x2A, 0x09)
        assert session.read_capacity()[0] == 48 * MIB // 512


@pytest.mark.parametrize("options, words", [
    ({"ceph_mon_host": "127.0.0.1:1", "connect_timeout_s": 1}, "no monitor (127.0.0.1:1) has answered within 1 s"),
    ({"id": "nobody"}, "client.nobody"),
    ({"keyring": "/nonexistent"}, "/nonexistent"),
], ids=["monitor", "user", "keyring"])
def test_a_cluster_that_cannot_be_used_is_one_error(tmp_path, cluster, image, options, words):
    port_free = daemon.serve_targets(tmp_path, daemon.target(lun(cluster, image, **options)))
    port_free.process = None
    with pytest.raises(AssertionError):
        port_free.start()
    errors = [line for line in port_free.log_lines if " error: " in line]
    assert len(errors) == 1, errors
    assert f"rbd:{image}" in errors[0] and words in errors[0]


def test_a_cluster_that_is_away_holds_up_neither_the_api_nor_changes_nor_the_end(tmp_path, cluster, image):
    """Nothing answers: neither the looks at the image, nor its close, nor its flush at the end come back."""
    kept, made, load = f"{image}-kept", "iqn.2026-11.org.example:made", Load(9)
    settings = {"refresh_interval_s": 1, "shutdown_timeout_s": 2}
    with daemon.serve_targets(tmp_path, daemon.target(lun(cluster, kept)), **settings) as running:
        client = Api(tmp_path / "api.sock", timeout=60)
        client.post("/v1/targets", {"name": made})
        client.post(f"/v1/targets/{made}/luns", {"lun": 0, **lun(cluster, image)})
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
            load.write(session, 8)
            cluster.kill("osd")
            cluster.kill("mon")
            try:
                hanging = session.start(scsi.read16(0, 8), read_length=4096)
                assert client.delete(f"/v1/targets/{made}?force=true")["still_closing"] is True
                client.post("/v1/targets", {"name": made, "luns": [{"lun": 0, "path": "null:1M"}]})
                with Session(running.address, made) as other:
                    other.settle()
                    assert other.read(0, 8) == bytes(4096)
                    other.logout()
                assert client.get(lun_path(daemon.TARGET, 0))["state"] == "online"
                assert not hanging.done
                running.expected_status = 3
                running.signal()
                assert running.wait() == 3
                assert re.search(rf"rbd:{kept}.*: not flushed within shutdown_timeout_s", running.log())
                assert re.search(rf"rbd:{image}.*: not closed within shutdown_timeout_s", running.log())
            finally:
                cluster.start("mon")
                cluster.start("osd")
                cluster.rbd("info", kept)  # waits for the OSD
    with daemon.serve_targets(tmp_path, daemon.target(lun(cluster, kept, take_over=True))) as running:
        with connected(running) as session:
            load.verify(session)


# ---- Two daemons ----


def test_a_second_daemon_is_in_standby_until_the_first_has_ended(tmp_path, cluster, image):
    load = Load(5)
    with contextlib.ExitStack() as stack:
        with serve(tmp_path / "a", cluster, image) as first, connected(first) as session:
            load.write(session, 8)
            second = stack.enter_context(serve(tmp_path / "b", cluster, image))
            with connected(second) as waiting:
                assert group_state(session) == ACTIVE and group_state(waiting) == STANDBY
                waiting.execute(scsi.read16(0, 8), read_length=4096).expect_sense(*IN_STANDBY)
                assert lun_of(second)["state"] == "standby"
            assert lun_of(second)["serial"] == lun_of(first)["serial"]
            load.verify(session)
        with connected(second) as session:
            while session.execute(scsi.test_unit_ready()).sense.triple in (IN_STANDBY, STATE_CHANGED):
                pass
            assert group_state(session) == ACTIVE
            load.verify(session)


def test_a_take_over_under_load_loses_and_mixes_nothing(tmp_path, cluster, image):
    """The paths change sides while writes are under way: what was answered is there, and nothing lands late."""
    load = Load(6)
    with contextlib.ExitStack() as stack:
        daemons = [stack.enter_context(serve(tmp_path / name, cluster, image)) for name in "ab"]
        sessions = [stack.enter_context(connected(one)) for one in daemons]
        for turn in range(3):
            old, new = sessions[turn % 2], sessions[1 - turn % 2]
            load.write(old, 16)
            started = load.start_writes(old, 16)
            assert take_over(daemons[1 - turn % 2])["state"] == "online"
            wait_for_state(new, ACTIVE)
            # As multipath would: what has failed on the old path is sent again on the new one, before anything newer.
            for task, offset, data in started:
                if not old.wait(task).good:
                    new.execute(scsi.write16(offset // 512, len(data) // 512), data).expect_good()
                load.model[offset:offset + len(data)] = data
            load.write(new, 16)
            load.verify(new)
            wait_for_state(old, STANDBY)
            old.execute(scsi.write16(0, 1), bytes(512)).expect_sense(*IN_STANDBY)
            load.verify(new)


def test_a_client_on_the_blocklist_stays_out_until_it_is_told_to_come_back(tmp_path, cluster, image):
    load = Load(7)
    with serve(tmp_path / "a", cluster, image) as running, connected(running) as session:
        load.write(session, 8)
        for watcher in cluster.rbd("status", image).split("watcher=")[1:]:
            cluster.ceph("osd", "blocklist", "add", watcher.split()[0])
        running.wait_for_log("on its blocklist")
        wait_for_state(session, STANDBY)
        session.execute(scsi.write16(0, 1), bytes(512)).expect_sense(*IN_STANDBY)
        assert take_over(running)["state"] == "online"
        wait_for_state(session, ACTIVE)
        load.verify(session)
        load.write(session, 8)
        load.verify(session)


@pytest.mark.long
def test_a_killed_daemon_is_followed_by_the_one_in_standby(tmp_path, cluster, image):
    load = Load(8)
    first = daemon.serve_targets(tmp_path, daemon.target(lun(cluster, image))).start()
    with connected(first) as session:
        load.write(session, 16)
    with serve(tmp_path / "b", cluster, image) as second:
        first.kill()
        second.wait_for_log("ports to this unit are active", timeout=120)
        with connected(second) as session:
            load.verify(session)
