# SPDX-License-Identifier: Apache-2.0
"""Asymmetric access: each state of a target port group, by configuration and by command, and what SPC-4 5.15.2 says that
a port in it answers."""

import struct

import pytest
from lib import daemon, ports, scsi
from lib.initiator import Session

OPTIMIZED, NON_OPTIMIZED, STANDBY, UNAVAILABLE, TRANSITIONING = 0, 1, 2, 3, 15
NAMES = {OPTIMIZED: "active/optimized", NON_OPTIMIZED: "active/non-optimized", STANDBY: "standby",
         UNAVAILABLE: "unavailable", TRANSITIONING: "transitioning"}
STATES = list(NAMES)
BY_COMMAND = [OPTIMIZED, NON_OPTIMIZED, STANDBY, UNAVAILABLE]  # a port cannot be told to be in transition
QUALIFIER = {STANDBY: 0x0B, UNAVAILABLE: 0x0C, TRANSITIONING: 0x0A}
CHANGED = (0x2A, 0x06)
IMPLICIT, EXPLICIT = 2, 1
BLOCK = 512


class Ports:
    """A disk that each of five groups shows in another state, through a port of its own."""

    def __init__(self, folder):
        numbers = [ports.free_port() for _ in STATES]
        self.addresses = {state: ("127.0.0.1", number) for state, number in zip(STATES, numbers)}
        settings = daemon.configuration(folder, [{**daemon.target("null:1M"), "portal_groups": list(TAGS.values())}])
        settings["portal_groups"] = [
            {"tag": TAGS[state], "alua_state": NAMES[state], "portals": [f"127.0.0.1:{self.addresses[state][1]}"]}
            for state in STATES]
        path = daemon.write_configuration(folder, settings)
        self.daemon = daemon.Daemon(["-f", "-c", path], list(self.addresses.values()))

    def session(self, state):
        """Through the port of that group; the unit attention of the power-on is taken."""
        one = Session(self.addresses[state], daemon.TARGET)
        take_attentions(one)
        return one


TAGS = {state: number for number, state in enumerate(STATES, 1)}


def take_attentions(session):
    """By REQUEST SENSE, which every state lets through."""
    taken = []
    while True:
        sense = scsi.Sense(session.execute(scsi.request_sense(), read_length=252).expect_good().data_in)
        if sense.key != scsi.UNIT_ATTENTION:
            return taken
        taken.append((sense.asc, sense.ascq))


def report(session):
    """{tag: (state, status code)}"""
    data = session.execute(struct.pack(">BB4xLBB", 0xA3, 0x0A, 1024, 0, 0), read_length=1024).expect_good().data_in
    groups, at = {}, 4
    while at < len(data):
        groups[int.from_bytes(data[at + 2:at + 4], "big")] = (data[at] & 0x0F, data[at + 5])
        at += 8 + 4 * data[at + 7]
    return groups


def set_states(session, states):
    """{tag: state}"""
    data = bytes(4) + b"".join(struct.pack(">BxH", state, tag) for tag, state in states.items())
    return session.execute(struct.pack(">BB4xLBB", 0xA4, 0x0A, len(data), 0, 0), data)


@pytest.fixture(scope="module")
def five(tmp_path_factory):
    one = Ports(tmp_path_factory.mktemp("alua"))
    with one.daemon:
        yield one


# ---- What a state lets through ----

RESERVE_OUT = struct.pack(">QQ8x", 0, 0)
COMMANDS = {  # name: (CDB, data-out, bytes to read)
    "TEST UNIT READY": (scsi.test_unit_ready(), None, 0),
    "REQUEST SENSE": (scsi.request_sense(), None, 252),
    "INQUIRY": (scsi.inquiry(), None, 255),
    "REPORT LUNS": (scsi.report_luns(), None, 4096),
    "REPORT TARGET PORT GROUPS": (struct.pack(">BB4xLBB", 0xA3, 0x0A, 256, 0, 0), None, 256),
    "MODE SENSE(6)": (scsi.mode_sense6(), None, 255),
    "MODE SENSE(10)": (scsi.mode_sense10(), None, 1024),
    "LOG SENSE": (struct.pack(">BBB4xHB", 0x4D, 0, 0x40, 512, 0), None, 512),
    "PERSISTENT RESERVE IN": (struct.pack(">BB5xHB", 0x5E, 0, 1024, 0), None, 1024),
    "PERSISTENT RESERVE OUT": (scsi.persistent_reserve_out(6, 24), RESERVE_OUT, 0),
    "READ(10)": (scsi.read10(0, 1), None, BLOCK),
    "READ(16)": (scsi.read16(0, 1), None, BLOCK),
    "WRITE(10)": (scsi.write10(0, 1), bytes(BLOCK), 0),
    "WRITE(16)": (scsi.write16(0, 1), bytes(BLOCK), 0),
    "READ CAPACITY(10)": (scsi.read_capacity10(), None, 8),
    "READ CAPACITY(16)": (scsi.read_capacity16(), None, 32),
    "COMPARE AND WRITE": (scsi.compare_and_write(0, 1), bytes(2 * BLOCK), 0),
    "ORWRITE(16)": (scsi.orwrite16(0, 1), bytes(BLOCK), 0),
    "WRITE SAME(16)": (scsi.write_same16(0, 1), bytes(BLOCK), 0),
    "UNMAP": (scsi.unmap(24), scsi.unmap_parameters((0, 1)), 0),
    "VERIFY(10)": (scsi.verify10(0, 1), None, 0),
    "SYNCHRONIZE CACHE(10)": (scsi.synchronize_cache10(), None, 0),
    "RESERVE(6)": (bytes([0x16, 0, 0, 0, 0, 0]), None, 0),
    "RELEASE(6)": (bytes([0x17, 0, 0, 0, 0, 0]), None, 0),
    "START STOP UNIT": (scsi.start_stop_unit(), None, 0),
    "GET LBA STATUS": (struct.pack(">BBQLBB", 0x9E, 0x12, 0, 24, 0, 0), None, 24),
}
IN_EVERY_STATE = {"REQUEST SENSE", "INQUIRY", "REPORT LUNS", "REPORT TARGET PORT GROUPS", "LOG SENSE"}
IN_STANDBY = IN_EVERY_STATE | {"MODE SENSE(6)", "MODE SENSE(10)", "PERSISTENT RESERVE IN", "PERSISTENT RESERVE OUT"}
ALLOWED = {OPTIMIZED: set(COMMANDS), NON_OPTIMIZED: set(COMMANDS), STANDBY: IN_STANDBY, UNAVAILABLE: IN_EVERY_STATE,
           TRANSITIONING: IN_EVERY_STATE}


def check_answers(session, state):
    for name, (cdb, data_out, length) in COMMANDS.items():
        task = session.execute(cdb, data_out, length)
        if name in ALLOWED[state]:
            assert task.good, f"{name}: {task.status} {task.sense}"
        else:
            task.expect_sense(scsi.NOT_READY, 0x04, QUALIFIER[state])


@pytest.mark.parametrize("state", STATES, ids=NAMES.get)
def test_a_configured_state_answers_as_the_standard_says(five, state):
    with five.session(state) as session:
        check_answers(session, state)
        assert session.inquiry()[5] & 0x30 == 0x30, "TPGS: implicit and explicit"


def test_all_five_are_reported_through_every_port(five):
    for state in STATES:
        with five.session(state) as session:
            assert report(session) == {TAGS[one]: (one, IMPLICIT) for one in STATES}


@pytest.mark.parametrize("state", BY_COMMAND, ids=NAMES.get)
def test_a_state_set_by_command_answers_as_the_standard_says(five, state):
    """Through a port whose own state does not stop it, for another one."""
    tag = TAGS[OPTIMIZED]
    with five.session(NON_OPTIMIZED) as controller, five.session(OPTIMIZED) as session:
        set_states(controller, {tag: TRANSITIONING}).expect_sense(scsi.ILLEGAL_REQUEST, 0x26, 0)
        try:
            changes = state != report(session)[tag][0]
            set_states(controller, {tag: state}).expect_good()
            assert report(controller)[tag] == (state, EXPLICIT)
            assert take_attentions(session) == ([CHANGED] if changes else []), "the others are told, once"
            assert take_attentions(controller) == [], "the one who did it is not"
            check_answers(session, state)
        finally:
            set_states(controller, {tag: OPTIMIZED}).expect_good()
        take_attentions(session)
        assert len(session.read(0, 1)) == BLOCK


def test_a_port_gets_out_of_every_state_by_its_own_command(five):
    tag = TAGS[OPTIMIZED]
    with five.session(OPTIMIZED) as session:
        for state in (STANDBY, UNAVAILABLE):
            set_states(session, {tag: state}).expect_good()
            session.execute(scsi.read10(0, 1), read_length=BLOCK).expect_sense(scsi.NOT_READY, 0x04, QUALIFIER[state])
            set_states(session, {tag: OPTIMIZED}).expect_good()
            assert len(session.read(0, 1)) == BLOCK


@pytest.mark.parametrize("state", [STANDBY, UNAVAILABLE], ids=NAMES.get)
def test_several_groups_change_together_or_not_at_all(five, state):
    with five.session(OPTIMIZED) as session:
        before = report(session)
        set_states(session, {TAGS[OPTIMIZED]: STANDBY, 4711: OPTIMIZED}).expect_sense(scsi.ILLEGAL_REQUEST, 0x26, 0)
        assert report(session) == before
        try:
            set_states(session, {TAGS[state]: NON_OPTIMIZED, TAGS[OPTIMIZED]: NON_OPTIMIZED}).expect_good()
            with five.session(state) as other:
                check_answers(other, NON_OPTIMIZED)
        finally:
            set_states(session, {TAGS[state]: state, TAGS[OPTIMIZED]: OPTIMIZED}).expect_good()


def test_parameter_lists_that_lie_change_nothing(five):
    with five.session(OPTIMIZED) as session:
        before = report(session)
        data = bytes(4) + struct.pack(">BxH", STANDBY, TAGS[OPTIMIZED])
        for length, sent in ((6, data[:6]), (3, data[:3]), (8, data[:7]), (8, b""), (4100, bytes(4100))):
            session.execute(struct.pack(">BB4xLBB", 0xA4, 0x0A, length, 0, 0), sent or None).expect_sense(
                scsi.ILLEGAL_REQUEST, 0x1A, 0)
        session.execute(struct.pack(">BB4xLBB", 0xA4, 0x0A, 0, 0, 0)).expect_good()
        assert report(session) == before
