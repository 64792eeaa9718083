# SPDX-License-Identifier: Apache-2.0
"""The task set of a nexus, by the rig (tests/plugins), which holds commands in the store as long as a test wants: the
order that attributes ask for, bounds instead of endless queues, and nothing that writes once a function has ended it."""

import contextlib

import pytest
from lib import daemon, outside, pdu, scsi
from lib.initiator import LINUX_KEYS, Session

BLOCK, BLOCKS = 512, 8
SIMPLE, ORDERED, HEAD_OF_QUEUE = 1, 2, 3
ABORT_TASK, ABORT_TASK_SET, CLEAR_TASK_SET, LUN_RESET, WARM_RESET, NEXUS_RESET = 1, 2, 4, 5, 6, 11
COMPLETE = 0
OLD, NEW, LAST = b"\x11", b"\xee", b"\x77"
LIMIT = 4096  # commands of one nexus at one unit
LEVEL_2 = {**LINUX_KEYS, "iSCSIProtocolLevel": "2"}


class Bench:
    def __init__(self, running, folder):
        self.running, self.hanging = running, 0
        self.rig = outside.RigControl(folder / "rig.sock")
        self.stack = contextlib.ExitStack()
        self.session = self.new_session(keys=LEVEL_2)

    def new_session(self, **options):
        session = self.stack.enter_context(Session(self.running.address, daemon.TARGET, **options))
        session.settle()
        return session

    def hang(self, kind, start):
        """The command that `start` starts, once it hangs in the store."""
        self.rig.order(f"hang {kind} 1")
        task = start()
        self.rig.order(f"wait-hung {1 + self.hanging}")
        self.hanging += 1
        return task

    def release(self):
        self.rig.order("release")
        self.hanging = 0


@pytest.fixture
def bench(tmp_path, rig_plugins):
    lun = {"path": "rig:4194304", "options": {"control": str(tmp_path / "rig.sock")}}
    target = daemon.target(lun, parameters={"max_queued_commands": LIMIT})
    with daemon.serve_targets(tmp_path, target, plugin_folders=[rig_plugins], nop_interval_s=0) as running:
        made = Bench(running, tmp_path)
        with made.rig, made.stack:
            yield made


def write(session, lba, value, **options):
    return session.start(scsi.write16(lba, BLOCKS), value * BLOCK * BLOCKS, **options)


def read(session, lba, **options):
    return session.start(scsi.read16(lba, BLOCKS), read_length=BLOCK * BLOCKS, **options)


def is_in_step(session, *tasks):
    """The session goes on, and none of the tasks has ended."""
    assert session.nop(b"in step").data == b"in step"
    return not any(task.done for task in tasks)


# ---- Order ----

def test_attributes_are_honoured(bench):
    """The ORDERED write waits for the SIMPLE read that hangs, and what comes later for it; HEAD OF QUEUE for nobody."""
    session = bench.session
    session.write(0, OLD * BLOCK * BLOCKS)
    first = bench.hang("read", lambda: read(session, 100))
    ordered = write(session, 0, NEW, attribute=ORDERED)
    behind = read(session, 0)
    urgent = read(session, 0, attribute=HEAD_OF_QUEUE)
    assert session.wait(urgent).expect_good().data_in == OLD * BLOCK * BLOCKS
    assert is_in_step(session, first, ordered, behind)
    bench.release()
    for task in (first, ordered, behind):
        session.wait(task).expect_good()
    assert behind.data_in == NEW * BLOCK * BLOCKS


def test_an_ordered_command_of_one_nexus_holds_up_no_other(bench):
    other = bench.new_session()
    first = bench.hang("read", lambda: read(bench.session, 100))
    ordered = write(bench.session, 0, NEW, attribute=ORDERED)
    assert len(other.read(0, 1)) == BLOCK
    assert is_in_step(bench.session, first, ordered)
    bench.release()
    bench.session.wait(ordered).expect_good()


# ---- Bounds ----

def fill(session, tasks):
    """Commands that wait, as many as the window lets in, or as the task set holds."""
    while len(tasks) < LIMIT:
        if not has_room(session):
            session.nop()  # the answer says how far the window is by now
        if not has_room(session):
            return
        tasks.append(session.start(scsi.test_unit_ready()))


def has_room(session):
    return (session.max_cmd_sn - session.cmd_sn) % (1 << 32) < 1 << 31


def test_a_full_task_set_says_so_and_only_there(bench):
    """Nothing may queue without end: the command window lets as many wait as the task set holds, and an immediate
    command is one too many."""
    keys = {**LINUX_KEYS, "ImmediateData": "No", "InitialR2T": "Yes"}  # so that the window costs no memory
    session, other = bench.new_session(keys=keys), bench.new_session()
    tasks = [bench.hang("read", lambda: read(session, 0)),
             session.start(scsi.test_unit_ready(), attribute=ORDERED)]
    fill(session, tasks)
    assert len(tasks) == LIMIT
    refused = session.execute(scsi.test_unit_ready(), immediate=True, ignore_window=True)
    assert refused.status == scsi.TASK_SET_FULL
    assert is_in_step(session, *tasks)
    other.execute(scsi.test_unit_ready()).expect_good()
    bench.release()
    for task in tasks:
        session.wait(task).expect_good()
    session.execute(scsi.test_unit_ready(), immediate=True, ignore_window=True).expect_good()


def test_the_window_closes_before_the_task_set_is_full(bench):
    """What an initiator sends beyond it is not taken (RFC 7143 4.2.2.1), and comes again when the window has opened."""
    session = bench.new_session()
    tasks = [bench.hang("read", lambda: read(session, 0)), session.start(scsi.test_unit_ready(), attribute=ORDERED)]
    fill(session, tasks)
    assert len(tasks) < LIMIT, "what it could send unasked has to be paid for with memory"
    beyond, _ = session.prepare_command(scsi.test_unit_ready())
    session.connection.send(beyond.request)
    assert is_in_step(session, beyond, *tasks)
    bench.release()
    for task in tasks:
        session.wait(task).expect_good()
    session.connection.send(beyond.request)
    session.wait(beyond).expect_good()


@pytest.mark.parametrize("kind", ["read", "write"])
def test_a_store_without_room_is_task_set_full(bench, kind):
    """As S3's cache when it is full of what cannot be uploaded: the same command succeeds later."""
    start = read if kind == "read" else lambda session, lba: write(session, lba, NEW)
    bench.rig.order(f"fail {kind} EAGAIN 1")
    assert bench.session.wait(start(bench.session, 0)).status == scsi.TASK_SET_FULL
    bench.session.wait(start(bench.session, 0)).expect_good()


# ---- What has been ended ----

@pytest.mark.parametrize("function", [ABORT_TASK, ABORT_TASK_SET, CLEAR_TASK_SET, LUN_RESET, WARM_RESET, NEXUS_RESET])
def test_nothing_that_was_ended_writes_afterwards(bench, function):
    """The function is answered when the write that hangs in the store has ended; those that waited for their turn or
    for their data have never begun; and what is written next stays."""
    session = bench.session
    for lba in (0, 100, 200):
        session.write(lba, OLD * BLOCK * BLOCKS)
    hanging = bench.hang("write", lambda: write(session, 0, NEW))
    tasks = [hanging]
    if function != ABORT_TASK:
        collecting = write(session, 200, NEW, hold_r2ts=True, immediate_bytes=0, unsolicited_bytes=0)
        while not collecting.unanswered_r2ts:
            session.pump()
        tasks += [collecting, write(session, 100, NEW, attribute=ORDERED)]
    request = pdu.TaskManagementRequest(function=function, referenced_task_tag=pdu.RESERVED_TAG)
    if function == ABORT_TASK:
        request.referenced_task_tag, request.ref_cmd_sn = hanging.tag, hanging.request.cmd_sn
    session.send(request, immediate=True)
    assert is_in_step(session, *tasks) and not session.inbox, "it waits"
    before = bench.rig.status()
    bench.release()
    assert session.receive_answer(request, pdu.TaskManagementResponse).response == COMPLETE
    after = bench.rig.status()
    assert after["pending"] == after["hung"] == 0 and after["writes"] <= before["writes"] + 1
    assert not any(task.done for task in tasks), "ended by its own nexus: no response"
    session.tasks.clear()
    session.settle()
    session.write(0, LAST * BLOCK * BLOCKS)
    assert session.read(0, BLOCKS) == LAST * BLOCK * BLOCKS
    for lba in (100, 200):
        assert session.read(lba, BLOCKS) == OLD * BLOCK * BLOCKS
    assert bench.rig.status()["writes"] == after["writes"] + 1
