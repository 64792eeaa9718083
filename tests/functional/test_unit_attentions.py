# SPDX-License-Identifier: Apache-2.0
"""Unit attentions: every cause, queued for each nexus that it concerns, told once, and passed by INQUIRY, REPORT LUNS and
REQUEST SENSE."""

import contextlib
import struct
import time

import pytest
from lib import api, daemon, scsi
from lib.initiator import Session

BLOCK = 512
POWER_ON, RESET, NEXUS_LOSS = (0x29, 0x00), (0x29, 0x03), (0x29, 0x07)
CLEARED_BY_ANOTHER = (0x2F, 0x00)
MODE_CHANGED, PREEMPTED, RELEASED = (0x2A, 0x01), (0x2A, 0x03), (0x2A, 0x04)
REGISTRATIONS_PREEMPTED, ACCESS_CHANGED, CAPACITY_CHANGED = (0x2A, 0x05), (0x2A, 0x06), (0x2A, 0x09)
LUNS_CHANGED = (0x3F, 0x0E)
LUN_RESET, WARM_RESET, COLD_RESET, NEXUS_RESET = 5, 6, 7, 11
REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, REGISTER_IGNORE = range(7)
REGISTRANTS_ONLY = 5
KEYS = {"one": 1, "two": 2, "three": 3}


class Bench:
    """A unit, and three initiators that have settled; the first and the second are often registered."""

    def __init__(self, running, client):
        self.running, self.api = running, client
        self.stack = contextlib.ExitStack()
        self.one, self.two, self.three = (self.new_session() for _ in KEYS)

    def new_session(self, settle=True):
        session = self.stack.enter_context(Session(self.running.address, daemon.TARGET))
        if settle:
            session.settle()
        return session

    def register(self, *names):
        for name in names:
            self.reserve_out(getattr(self, name), REGISTER_IGNORE, 0, KEYS[name])

    def reserve_out(self, session, action, key=0, new_key=0, kind=0):
        data = struct.pack(">QQ8x", key, new_key)
        session.execute(struct.pack(">BBB2xLB", 0x5F, action, kind, len(data), 0), data).expect_good()

    def set_port_group(self, session, state):
        data = struct.pack(">4xBxH", state, 1)
        session.execute(struct.pack(">BB4xLBB", 0xA4, 0x0A, len(data), 0, 0), data).expect_good()

    def select_write_cache(self, session, on):
        page = bytes(session.execute(scsi.mode_sense6(0x08, dbd=True), read_length=255).expect_good().data_in)[4:]
        data = bytes(4) + bytes([page[0] & 0x3F, page[1], page[2] & ~4 | on << 2]) + page[3:]
        session.execute(scsi.mode_select6(len(data)), data).expect_good()


@pytest.fixture
def bench(tmp_path, make_image):
    with daemon.serve_targets(tmp_path) as running:
        client = api.Api(tmp_path / "api.sock")
        client.post("/v1/targets", {"name": daemon.TARGET, "luns": [
            {"lun": 0, "path": str(make_image("a.img", 1 << 20))}]})
        made = Bench(running, client)
        with made.stack:
            yield made


# ---- Causes: each does something as `one`, and says what the others are told ----

CAUSES = {}


def cause(attention, concerns=("two", "three"), own=()):
    def add(function):
        CAUSES[function.__name__] = (function, attention, concerns, own)
        return function
    return add


def reset_by(function):
    def run(bench):
        assert bench.one.task_management(function) == 0
    return run


for name, number in (("lun_reset", LUN_RESET), ("warm_reset", WARM_RESET)):
    CAUSES[name] = (reset_by(number), RESET, ("two", "three"), (RESET,))


@cause(PREEMPTED, concerns=("two",))
def clear(bench):
    bench.register("one", "two")
    bench.reserve_out(bench.one, RESERVE, 1, kind=REGISTRANTS_ONLY)
    bench.reserve_out(bench.one, CLEAR, 1)


@cause(RELEASED, concerns=("two",))
def release(bench):
    bench.register("one", "two")
    bench.reserve_out(bench.one, RESERVE, 1, kind=REGISTRANTS_ONLY)
    bench.reserve_out(bench.one, RELEASE, 1, kind=REGISTRANTS_ONLY)


@cause(RELEASED, concerns=("two",))
def unregister_the_holder(bench):
    bench.register("one", "two")
    bench.reserve_out(bench.one, RESERVE, 1, kind=REGISTRANTS_ONLY)
    bench.reserve_out(bench.one, REGISTER, 1, 0)


@cause(REGISTRATIONS_PREEMPTED, concerns=("two",))
def preempt(bench):
    bench.register("one", "two")
    bench.reserve_out(bench.one, PREEMPT, 1, 2, kind=REGISTRANTS_ONLY)


@cause(REGISTRATIONS_PREEMPTED, concerns=("two",))
def preempt_and_abort(bench):
    bench.register("one", "two")
    bench.reserve_out(bench.one, PREEMPT_AND_ABORT, 1, 2, kind=REGISTRANTS_ONLY)


@cause(RELEASED, concerns=("three",))
def preempt_to_another_type(bench):
    bench.register("one", "two", "three")
    bench.reserve_out(bench.two, RESERVE, 2, kind=REGISTRANTS_ONLY)
    bench.reserve_out(bench.one, PREEMPT, 1, 2, kind=REGISTRANTS_ONLY + 1)
    assert bench.two.settle() == [REGISTRATIONS_PREEMPTED]


@cause(MODE_CHANGED)
def mode_select(bench):
    bench.select_write_cache(bench.one, False)


@cause(CAPACITY_CHANGED, own=(CAPACITY_CHANGED,))
def resize(bench):
    bench.api.patch(api.lun_path(daemon.TARGET, 0), {"size": "2M"})


@cause(LUNS_CHANGED, own=(LUNS_CHANGED,))
def lun_inventory(bench):
    bench.api.post(api.target_path(daemon.TARGET) + "/luns", {"lun": 1, "path": "null:1M"})


@cause(ACCESS_CHANGED)
def set_target_port_groups(bench):
    bench.set_port_group(bench.one, 1)


@cause(ACCESS_CHANGED, own=(ACCESS_CHANGED,))
def state_by_the_administrator(bench):
    bench.api.patch("/v1/portal-groups/1", {"alua_state": "active/non-optimized"})


def told(session, anything=True):
    """What a session is told: what the administrator did may be on its way to the session's worker still."""
    deadline = time.monotonic() + 20
    attentions = session.settle()
    while anything and not attentions and time.monotonic() < deadline:
        attentions = session.settle()
    return attentions


@pytest.mark.parametrize("name", CAUSES)
def test_a_cause_is_told_once_to_each_whom_it_concerns(bench, name):
    function, attention, concerns, own = CAUSES[name]
    function(bench)
    for other in ("two", "three"):
        assert told(getattr(bench, other), other in concerns) == ([attention] if other in concerns else []), other
    assert told(bench.one, own) == list(own)
    for session in (bench.one, bench.two, bench.three):
        assert session.settle() == []


def test_power_on_is_told_to_each_new_nexus(bench):
    fresh = bench.new_session(settle=False)
    assert fresh.settle() == [POWER_ON] and bench.one.settle() == []


def test_a_cold_reset_is_told_to_the_initiators_of_other_targets_and_ends_the_sessions_of_its_own(tmp_path, make_image):
    """RFC 7143 11.5.1.  A unit that another target shows, too, is reset for the initiators there; a unit that the target
    does not show is not."""
    other_target = daemon.TARGET + "-other"
    image = make_image("a.img", 1 << 20)
    with daemon.serve_targets(tmp_path, daemon.target(image), daemon.target(image, "null:1M", name=other_target)) as running:
        with Session(running.address, daemon.TARGET) as issuer, Session(running.address, daemon.TARGET) as neighbour, \
                Session(running.address, other_target) as bystander:
            issuer.settle()
            neighbour.settle()
            for lun in (0, 1):
                bystander.settle(lun)
            task = waiting_write(bystander)
            assert issuer.task_management(COLD_RESET) == 0
            assert bystander.wait(task).status == scsi.TASK_ABORTED
            assert bystander.settle() == [RESET] and bystander.settle(1) == []
            for session in (issuer, neighbour):
                session.connection.wait_closed(60)
            with Session(running.address, daemon.TARGET) as returned:
                assert returned.settle() == [POWER_ON]
            assert bystander.settle() == []


# ---- The queue ----

def test_different_causes_are_queued_and_none_twice(bench):
    """The order is the target's to choose; SAM-5 5.14: one of a kind."""
    bench.register("one", "two")
    bench.select_write_cache(bench.one, False)
    bench.select_write_cache(bench.one, True)
    bench.set_port_group(bench.one, 1)
    bench.reserve_out(bench.one, PREEMPT, 1, 2, kind=REGISTRANTS_ONLY)
    queued = bench.two.settle()
    assert sorted(queued) == [MODE_CHANGED, REGISTRATIONS_PREEMPTED, ACCESS_CHANGED]
    assert bench.three.settle() == [one for one in queued if one != REGISTRATIONS_PREEMPTED]


def test_a_reset_takes_the_place_of_what_was_queued(bench):
    bench.select_write_cache(bench.one, False)
    assert bench.one.task_management(LUN_RESET) == 0
    assert bench.two.settle() == [RESET]


def test_it_passes_inquiry_and_report_luns_and_ends_in_request_sense(bench):
    bench.select_write_cache(bench.one, False)
    bench.set_port_group(bench.one, 1)
    queued = []
    for _ in range(2):
        bench.two.inquiry()
        bench.two.inquiry(0x83)
        assert bench.two.report_luns() == [0]
        sense = scsi.Sense(bench.two.execute(scsi.request_sense(), read_length=252).expect_good().data_in)
        assert sense.key == scsi.UNIT_ATTENTION
        queued.append((sense.asc, sense.ascq))
    assert sorted(queued) == [MODE_CHANGED, ACCESS_CHANGED]
    assert bench.two.settle() == []


def test_report_luns_takes_away_what_it_answers(bench):
    """SPC-4 6.33: REPORTED LUNS DATA HAS CHANGED is cleared on all units of the nexus, and nothing else."""
    lun_inventory(bench)
    assert told(bench.one) == told(bench.three) == [LUNS_CHANGED]
    bench.select_write_cache(bench.one, False)
    assert bench.two.report_luns() == [0, 1]
    assert bench.two.settle() == [MODE_CHANGED]


def test_the_command_that_meets_it_has_no_effect(bench):
    bench.one.write(0, b"\x01" * BLOCK)
    bench.select_write_cache(bench.one, False)
    task = bench.two.execute(scsi.write10(0, 1), b"\x02" * BLOCK)
    task.expect_sense(scsi.UNIT_ATTENTION, *MODE_CHANGED)
    assert bench.one.read(0, 1) == b"\x01" * BLOCK
    bench.two.execute(scsi.write10(0, 1), b"\x02" * BLOCK).expect_good()


# ---- Commands that another initiator has ended ----

def waiting_write(session):
    task = session.start(scsi.write10(0, 128), bytes(65536), hold_r2ts=True, immediate_bytes=0, unsolicited_bytes=0)
    while not task.unanswered_r2ts:
        session.pump()
    return task


@pytest.mark.parametrize("how, attention", [("reset", RESET), ("preempt", REGISTRATIONS_PREEMPTED)])
def test_cleared_commands_are_answered_task_aborted_instead_of_told(bench, how, attention):
    """TAS is 1: the commands themselves say it, and COMMANDS CLEARED BY ANOTHER INITIATOR would say it twice (SAM-5
    5.6)."""
    page = bytes(bench.one.execute(scsi.mode_sense6(0x0A, dbd=True), read_length=255).expect_good().data_in)[4:]
    assert page[5] & 0x40, "TAS"
    bench.register("one", "two")
    task = waiting_write(bench.two)
    if how == "reset":
        assert bench.one.task_management(LUN_RESET) == 0
    else:
        bench.reserve_out(bench.one, PREEMPT_AND_ABORT, 1, 2, kind=REGISTRANTS_ONLY)
    assert bench.two.wait(task).status == scsi.TASK_ABORTED
    told = bench.two.settle()
    assert told == [attention] and CLEARED_BY_ANOTHER not in told


def test_clearing_a_task_set_concerns_its_own_nexus_only(bench):
    """TST is 001b: nobody else's commands end, so nobody is told."""
    task = waiting_write(bench.two)
    assert bench.one.task_management(4) == 0
    bench.two.answer(task, task.unanswered_r2ts[0])
    bench.two.wait(task).expect_good()
    assert bench.two.settle() == []
