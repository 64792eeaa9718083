# SPDX-License-Identifier: Apache-2.0
"""Persistent reservations of every type against every command of the table, asked by the holder, by another registrant and
by who is not registered; and a PREEMPT AND ABORT that waits for what it aborts."""

import pytest
from lib import daemon, operations, outside, scsi
from lib.initiator import Session
from lib.operations import AT, BLOCK, BLOCKS, NEW, PATTERN

REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, REGISTER_IGNORE, MOVE = range(8)
HOLDER, REGISTRANT, STRANGER = 0x11, 0x22, 0
WE, EA, WE_RO, EA_RO, WE_AR, EA_AR = TYPES = (1, 3, 5, 6, 7, 8)
NAMES = {WE: "write-exclusive", EA: "exclusive-access", WE_RO: "write-exclusive-registrants-only",
         EA_RO: "exclusive-access-registrants-only", WE_AR: "write-exclusive-all-registrants",
         EA_AR: "exclusive-access-all-registrants"}
OBSOLETE = (2, 4)
REGISTRATIONS_PREEMPTED = (0x2A, 0x05)

# SPC-4 table 66 and SBC-3 table 13: what is allowed to whom, in the columns: from any other nexus under Write Exclusive
# and Exclusive Access, and from one that is not registered under the four types of registrants.  (A registered nexus may do
# everything under those.)  "A": all of it; "R": where Write Exclusive lets others read; "C": nothing.
ALWAYS, READS, CONFLICTS = "A", "R", "C"
TABLE = {
    # SPC-4 table 66
    (0x00, None): ALWAYS,  # TEST UNIT READY
    (0x03, None): ALWAYS,  # REQUEST SENSE
    (0x12, None): ALWAYS,  # INQUIRY
    (0x15, None): CONFLICTS,  # MODE SELECT(6)
    (0x1A, None): READS,  # MODE SENSE(6)
    (0x1D, None): CONFLICTS,  # SEND DIAGNOSTIC
    (0x4D, None): ALWAYS,  # LOG SENSE
    (0x55, None): CONFLICTS,  # MODE SELECT(10)
    (0x5A, None): READS,  # MODE SENSE(10)
    **{(0x5E, action): ALWAYS for action in range(4)},  # PERSISTENT RESERVE IN
    (0x83, 0x00): CONFLICTS,  # EXTENDED COPY(LID1)
    (0x84, 0x00): ALWAYS,  # RECEIVE COPY STATUS(LID1)
    (0x84, 0x03): ALWAYS,  # RECEIVE COPY OPERATING PARAMETERS
    (0xA0, None): ALWAYS,  # REPORT LUNS
    (0xA3, 0x0A): ALWAYS,  # REPORT TARGET PORT GROUPS
    (0xA3, 0x0C): ALWAYS,  # REPORT SUPPORTED OPERATION CODES
    (0xA3, 0x0D): ALWAYS,  # REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS
    (0xA4, 0x0A): CONFLICTS,  # SET TARGET PORT GROUPS
    # SBC-3 table 13
    **{(code, None): READS for code in (0x08, 0x28, 0x88, 0xA8)},  # READ
    **{(code, None): CONFLICTS for code in (0x0A, 0x2A, 0x8A, 0xAA)},  # WRITE
    (0x1B, None): ALWAYS,  # START STOP UNIT with START set; without: START_STOP below
    (0x1E, None): ALWAYS,  # PREVENT ALLOW MEDIUM REMOVAL that allows; that prevents: below
    (0x25, None): ALWAYS,  # READ CAPACITY(10)
    **{(code, None): CONFLICTS for code in (0x2E, 0x8E, 0xAE)},  # WRITE AND VERIFY
    **{(code, None): READS for code in (0x2F, 0x8F, 0xAF)},  # VERIFY
    **{(code, None): READS for code in (0x34, 0x90)},  # PRE-FETCH
    **{(code, None): CONFLICTS for code in (0x35, 0x91)},  # SYNCHRONIZE CACHE
    **{(code, None): READS for code in (0x37, 0xB7)},  # READ DEFECT DATA
    **{(code, None): CONFLICTS for code in (0x41, 0x93)},  # WRITE SAME
    (0x42, None): CONFLICTS,  # UNMAP
    **{(0x48, action): CONFLICTS for action in (1, 2, 0x1F)},  # SANITIZE
    (0x89, None): CONFLICTS,  # COMPARE AND WRITE
    (0x8B, None): CONFLICTS,  # ORWRITE(16)
    (0x9C, None): CONFLICTS,  # WRITE ATOMIC(16)
    (0x9E, 0x10): ALWAYS,  # READ CAPACITY(16)
    (0x9E, 0x12): READS,  # GET LBA STATUS
}
VARIANTS = {"START STOP UNIT that stops": (scsi.start_stop_unit(False), CONFLICTS),
            "PREVENT ALLOW MEDIUM REMOVAL that prevents": (scsi.prevent_allow(True), CONFLICTS)}
# These have rules of their own: SPC-4 table 67, and SPC-2's RESERVE and RELEASE beside a persistent reservation.
OWN_RULES = {(0x5F, action) for action in range(8)} | {(code, None) for code in (0x16, 0x17, 0x56, 0x57)}


def is_allowed(kind, who, rule):
    if who == HOLDER or rule == ALWAYS or (who == REGISTRANT and kind not in (WE, EA)):
        return True
    return rule == READS and kind in (WE, WE_RO, WE_AR)


class Disk:
    """The unit, and an initiator of each kind."""

    def __init__(self, running, folder):
        self.rig_path = folder / "rig.sock"
        self.by_key = {key: Session(running.address, daemon.TARGET) for key in (HOLDER, REGISTRANT, STRANGER)}
        self.settle()
        self.table = operations.table(self.by_key[HOLDER])

    def settle(self):
        for session in self.by_key.values():
            session.settle()

    def out(self, key, action, *arguments, **options):
        return self.by_key[key].execute(*operations.reserve_out(action, *arguments, **options))

    def clear(self):
        """Nobody is registered, and nobody has anything to be told."""
        self.settle()
        for key in (HOLDER, STRANGER, REGISTRANT):
            self.out(key, REGISTER_IGNORE, 0, 0x99).expect_good()
        self.out(HOLDER, CLEAR, 0x99).expect_good()
        self.settle()

    def reserve(self, kind):
        """With content that a command may find."""
        self.clear()
        operations.prepare(self.by_key[HOLDER])
        for key in (HOLDER, REGISTRANT):
            self.out(key, REGISTER, 0, key).expect_good()
        self.out(HOLDER, RESERVE, HOLDER, kind=kind).expect_good()

    def reservation(self):
        """(key, type) or None; key 0 is everybody's."""
        data = bytes(self.by_key[STRANGER].execute(operations.ALLOCATING[0x5E, 1](24), read_length=24).data_in)
        return (int.from_bytes(data[8:16], "big"), data[21] & 0x0F) if len(data) == 24 else None

    def content(self):
        return self.by_key[HOLDER].read(0, len(PATTERN) // BLOCK)


@pytest.fixture(scope="module")
def disk(tmp_path_factory, rig_plugins):
    folder = tmp_path_factory.mktemp("reservations")
    target = daemon.target(operations.lun_entry(folder))
    with daemon.serve_targets(folder, target, plugin_folders=[rig_plugins], nop_interval_s=0) as running:
        made = Disk(running, folder)
        yield made
        made.clear()
        for session in made.by_key.values():
            session.close()
        running.assert_alive()
        running.assert_clean()


def all_commands(disk):
    """[(name, CDB, data-out, bytes to read, effect, rule)]"""
    for key, rule in TABLE.items():
        if key in disk.table.reading:
            yield key, disk.table.reading[key].cdb, None, 4096, None, rule
        else:
            command = {**disk.table.taking, **disk.table.without_data}[key]
            yield key, command.cdb, command.data_out, 0, command.effect, rule
    for name, (cdb, rule) in VARIANTS.items():
        yield name, cdb, None, 0, None, rule


def undo(session, name):
    """What the two variants have done."""
    if name in VARIANTS:
        session.execute(scsi.prevent_allow(False)).expect_good()
        session.execute(scsi.start_stop_unit()).expect_good()


# ---- The table ----

def test_every_command_stands_in_the_table(disk):
    assert operations.reported(disk.by_key[HOLDER]) == TABLE.keys() | OWN_RULES == disk.table.keys()


@pytest.mark.parametrize("kind", TYPES, ids=NAMES.get)
def test_a_type_lets_through_what_the_standards_say(disk, kind):
    disk.reserve(kind)
    holder = disk.by_key[HOLDER]
    conflicts = 0
    for name, cdb, data_out, read_length, effect, rule in all_commands(disk):
        for who, session in disk.by_key.items():
            what = f"{name} of {who:#x} under {NAMES[kind]}"
            operations.prepare(holder)
            if name == (0x84, 0x00):  # told once, of a copy of its own: who may not copy has none to ask for
                made = session.execute(*disk.table.taking[0x83, 0][:2])
                operations.prepare(holder)
                if not made.good:
                    task = session.execute(cdb, read_length=read_length)
                    assert is_allowed(kind, who, rule) and task.status != scsi.RESERVATION_CONFLICT, what
                    continue
            task = session.execute(cdb, data_out, read_length)
            if is_allowed(kind, who, rule):
                assert task.good, f"{what}: {task.status} {task.sense}"
                assert disk.content() == (effect(PATTERN, data_out) if effect else PATTERN), what
                undo(session, name)
            else:
                assert task.status == scsi.RESERVATION_CONFLICT, f"{what}: {task.status} {task.sense}"
                assert not task.data_in and disk.content() == PATTERN, what
                conflicts += 1
    assert conflicts > 20
    assert disk.reservation() == (0 if kind in (WE_AR, EA_AR) else HOLDER, kind)
    for session in disk.by_key.values():
        assert session.settle() == []


@pytest.mark.parametrize("kind", TYPES, ids=NAMES.get)
def test_who_may_change_a_reservation(disk, kind):
    """SPC-4 table 67; 5.12.9 for who holds that of all registrants."""
    of_all = kind in (WE_AR, EA_AR)
    conflict, good = scsi.RESERVATION_CONFLICT, scsi.GOOD
    for who, key, action, wanted in (
            # Who is not registered may become so, and nothing else.
            (STRANGER, 0, REGISTER, good), (STRANGER, 0, REGISTER_IGNORE, good), (STRANGER, 0, RESERVE, conflict),
            (STRANGER, 0, RELEASE, conflict), (STRANGER, 0, CLEAR, conflict), (STRANGER, 0, PREEMPT, conflict),
            (STRANGER, 0, PREEMPT_AND_ABORT, conflict), (STRANGER, 0, MOVE, conflict),
            # A registrant who does not hold it may not move or reserve, and releases nothing.
            (REGISTRANT, REGISTRANT, REGISTER, good), (REGISTRANT, REGISTRANT, REGISTER_IGNORE, good),
            (REGISTRANT, REGISTRANT, RESERVE, good if of_all else conflict),
            (REGISTRANT, REGISTRANT, RELEASE, good), (REGISTRANT, REGISTRANT, CLEAR, good),
            (HOLDER, HOLDER, RESERVE, good), (HOLDER, HOLDER, RELEASE, good), (HOLDER, HOLDER, CLEAR, good)):
        disk.reserve(kind)
        data = operations.reserve_out(action, key, key or 0x99, kind if action in (RESERVE, RELEASE, 4, 5) else 0)
        task = disk.by_key[who].execute(*data)
        assert task.status == wanted, f"action {action} of {who:#x}: {task.status} {task.sense}"
        gone = action == CLEAR and wanted == good or action == RELEASE and (who == HOLDER or who == REGISTRANT and of_all)
        assert disk.reservation() == (None if gone else (0 if of_all else HOLDER, kind)), (action, who)
        disk.settle()


@pytest.mark.parametrize("kind", TYPES, ids=NAMES.get)
def test_legacy_reservations_beside_a_persistent_one(disk, kind):
    """CRH is 1: SPC-4 5.12.3.  Good, and nothing more, to whom the reservation lets do everything."""
    disk.reserve(kind)
    for cdb in (bytes([0x16]) + bytes(5), bytes([0x17]) + bytes(5), bytes([0x56]) + bytes(9), bytes([0x57]) + bytes(9)):
        for who, session in disk.by_key.items():
            task = session.execute(cdb)
            allowed = who == HOLDER or who == REGISTRANT and kind not in (WE, EA)
            assert task.status == (scsi.GOOD if allowed else scsi.RESERVATION_CONFLICT), (cdb, who)
    assert disk.reservation() == (0 if kind in (WE_AR, EA_AR) else HOLDER, kind)


@pytest.mark.parametrize("kind", [*OBSOLETE, 0, 9, 15])
def test_a_type_that_is_none_reserves_nothing(disk, kind):
    disk.clear()
    disk.out(HOLDER, REGISTER, 0, HOLDER).expect_good()
    task = disk.out(HOLDER, RESERVE, HOLDER, kind=kind).expect_sense(scsi.ILLEGAL_REQUEST, 0x24, 0)
    assert int.from_bytes(task.sense.data[16:18], "big") == 2
    assert disk.reservation() is None


# ---- PREEMPT AND ABORT ----

def hang(disk, rig, session, lba):
    rig.order("hang write 1")
    task = session.start(operations.on_blocks(0x8A, lba), NEW)
    rig.order("wait-hung 1")
    return task


def in_step(session, *tasks):
    """The session goes on, and none of the tasks has ended."""
    assert session.nop(b"in step").data == b"in step"
    return not any(task.done for task in tasks)


def preempt_and_abort(disk, victim, kind):
    return disk.by_key[HOLDER].start(*operations.reserve_out(PREEMPT_AND_ABORT, HOLDER, victim, kind))


@pytest.mark.parametrize("kind", [WE_RO, EA_RO], ids=NAMES.get)
def test_preempt_and_abort_waits_for_what_it_aborts(disk, kind):
    """The write that hangs in the store has landed before the answer; what waited for its data has never begun; and what
    the preemptor writes then stays."""
    disk.reserve(kind)
    holder, victim, other = (disk.by_key[key] for key in (HOLDER, REGISTRANT, STRANGER))
    with outside.RigControl(disk.rig_path) as rig:
        hanging = hang(disk, rig, victim, AT)
        collecting = victim.start(scsi.write16(12, 1), NEW[:BLOCK], hold_r2ts=True, immediate_bytes=0, unsolicited_bytes=0)
        while not collecting.unanswered_r2ts:
            victim.pump()
        preempt = preempt_and_abort(disk, REGISTRANT, kind)
        assert victim.wait(collecting).status == scsi.TASK_ABORTED, "TAS is 1"
        assert in_step(victim, hanging) and in_step(holder, preempt), "it waits"
        other.execute(scsi.test_unit_ready()).expect_good()
        before = rig.status()
        assert before["hung"] == 1
        rig.order("release")
        holder.wait(preempt).expect_good()
        after = rig.status()
        assert after["hung"] == after["pending"] == 0 and after["writes"] <= before["writes"] + 1
        assert victim.wait(hanging).status == scsi.TASK_ABORTED
    assert victim.settle() == [REGISTRATIONS_PREEMPTED] and other.settle() == []
    assert disk.reservation() == (HOLDER, kind)
    operations.prepare(holder)
    assert victim.execute(scsi.write16(0, 1), NEW[:BLOCK]).status == scsi.RESERVATION_CONFLICT
    assert disk.content() == PATTERN


def test_preempt_and_abort_of_the_holder_takes_over_after_its_write(disk):
    """The one who holds the reservation is preempted by another registrant, with a write of its own under way."""
    disk.reserve(WE)
    holder, heir = disk.by_key[HOLDER], disk.by_key[REGISTRANT]
    with outside.RigControl(disk.rig_path) as rig:
        hanging = hang(disk, rig, holder, AT)
        preempt = heir.start(*operations.reserve_out(PREEMPT_AND_ABORT, REGISTRANT, HOLDER, WE))
        assert in_step(holder, hanging) and in_step(heir, preempt)
        rig.order("release")
        heir.wait(preempt).expect_good()
        assert rig.status()["hung"] == 0
        assert holder.wait(hanging).status == scsi.TASK_ABORTED
    assert holder.settle() == [REGISTRATIONS_PREEMPTED]
    assert disk.reservation() == (REGISTRANT, WE)
    heir.write(0, PATTERN)
    assert holder.execute(scsi.write16(0, 1), NEW[:BLOCK]).status == scsi.RESERVATION_CONFLICT
    assert heir.read(0, len(PATTERN) // BLOCK) == PATTERN


def test_preempt_and_abort_leaves_the_commands_of_others(disk):
    """Only the preempted nexus's: a third one's write goes on, and is good."""
    disk.clear()
    for key in (HOLDER, REGISTRANT):
        disk.out(key, REGISTER, 0, key).expect_good()
    other = disk.by_key[STRANGER]
    with outside.RigControl(disk.rig_path) as rig:
        kept = hang(disk, rig, other, AT)
        preempt = preempt_and_abort(disk, REGISTRANT, WE_RO)
        disk.by_key[HOLDER].wait(preempt).expect_good()
        assert in_step(other, kept)
        rig.order("release")
        other.wait(kept).expect_good()
    assert other.read(AT, BLOCKS) == NEW
