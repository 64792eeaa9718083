# SPDX-License-Identifier: Apache-2.0
"""Asynchronous messages (RFC 7143 11.9): who is told what when the daemon stops, a target goes, or access changes."""

import signal
import time

import pytest
from lib import api, daemon, healthy, pdu, scsi
from lib.initiator import LoginError, Session

SCSI_EVENT, LOGOUT_REQUEST, DROP_CONNECTION, DROP_ALL = 0, 1, 2, 3
WAITING_FOR_LOGOUT = 0x0C
GUARDED = "iqn.2026-11.org.example:guarded"
GUEST = "iqn.2026-11.org.example:guest"
BYSTANDER = "iqn.2026-11.org.example:bystander-disk"
LUNS_CHANGED = (0x3F, 0x0E)


class Guarded:
    """A daemon whose configuration can be changed: who may use a target, and which of its LUNs."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("healthy.img", "guarded.img"):
            with (folder / name).open("wb") as file:
                file.truncate(4 << 20)
        self.daemon = daemon.serve_targets(folder, *self.targets([{"name": "*"}]))
        self.path = folder / "tgtkit.conf"

    def targets(self, rules, **parameters):
        return [daemon.target(self.folder / "healthy.img", name=BYSTANDER),
                daemon.target(self.folder / "guarded.img", "null:1G", name=GUARDED, access="list", initiators=rules,
                              parameters=parameters)]

    def change(self, rules, **parameters):
        settings = daemon.configuration(self.folder, self.targets(rules, **parameters), self.daemon.addresses)
        daemon.write_configuration(self.folder, settings)
        since = len(self.daemon.log_lines)
        self.daemon.signal(signal.SIGHUP)
        self.daemon.wait_for_log("reload: done", since=since)

    def guest(self):
        return Session(self.daemon.address, GUARDED, initiator=GUEST)


@pytest.fixture
def guarded(tmp_path):
    one = Guarded(tmp_path)
    with one.daemon, healthy.HealthySession(one.daemon.address, BYSTANDER):
        yield one


# ---- Access ----

def test_who_may_stay_no_longer_is_asked_to_log_out(guarded):
    """At once: what is under way ends, nothing new begins, and there is time for an orderly end."""
    with guarded.guest() as session:
        session.settle()
        waiting = session.start(scsi.write16(0, 128), b"\xee" * 65536, hold_r2ts=True, immediate_bytes=0,
                                unsolicited_bytes=0)
        while not waiting.unanswered_r2ts:
            session.pump()
        guarded.change([{"name": "iqn.2026-11.org.example:somebody-else"}])
        message = session.receive(pdu.AsyncMessage)
        assert (message.event, message.parameter1, message.parameter2) == (LOGOUT_REQUEST, 0, 0)
        assert 1 <= message.parameter3 <= 60, "seconds"
        assert session.wait(waiting).status == scsi.TASK_ABORTED
        session.answer(waiting, waiting.r2ts[0])
        late, _ = session.prepare_command(scsi.write16(0, 8), b"\xee" * 4096)
        session.connection.send(late.request)
        assert session.receive_reject().reason == WAITING_FOR_LOGOUT
        assert session.logout().response == 0
        assert session.connection.wait_closed() == []
        with pytest.raises(LoginError) as refused:
            guarded.guest()
        assert refused.value.status == 0x0202
    assert (guarded.folder / "guarded.img").read_bytes() == bytes(4 << 20)


def test_who_does_not_log_out_is_dropped_in_time(guarded):
    with guarded.guest() as session:
        session.settle()
        guarded.change([{"name": "iqn.2026-11.org.example:somebody-else"}])
        message = session.receive(pdu.AsyncMessage)
        assert message.event == LOGOUT_REQUEST
        started = time.monotonic()
        drop = session.receive(pdu.AsyncMessage, timeout=30)
        assert drop.event == DROP_CONNECTION and drop.parameter1 == session.cid
        assert time.monotonic() - started < 10 * message.parameter3
        assert session.connection.wait_closed() == []


def test_who_still_may_is_asked_nothing(guarded):
    with guarded.guest() as session:
        session.settle()
        guarded.change([{"name": GUEST}])
        assert session.nop(b"quiet").data == b"quiet"
        assert session.inbox == [] and session.settle() == []


# ---- LUNs ----

@pytest.mark.parametrize("reporting", [False, True], ids=["by default", "with async_event_reporting"])
def test_changed_luns_are_a_unit_attention_and_an_event_only_if_it_is_wanted(guarded, reporting):
    guarded.change([{"name": "*"}], async_event_reporting=reporting)
    with guarded.guest() as session:
        session.settle()
        guarded.change([{"name": "*", "luns": [0]}], async_event_reporting=reporting)
        if reporting:
            message = session.receive(pdu.AsyncMessage)
            assert message.event == SCSI_EVENT and message.lun == bytes(8)
            assert int.from_bytes(message.data[:2], "big") == len(message.data) - 2
            assert scsi.Sense(message.data[2:]).triple == (scsi.UNIT_ATTENTION, *LUNS_CHANGED)
        assert session.nop(b"nothing else").data == b"nothing else" and session.inbox == []
        assert session.settle() == [LUNS_CHANGED]
        assert session.report_luns() == [0]


def test_an_event_fits_the_smallest_segment(guarded):
    guarded.change([{"name": "*"}], async_event_reporting=True)
    keys = {"MaxRecvDataSegmentLength": 512, "DataDigest": "CRC32C", "HeaderDigest": "CRC32C"}
    with Session(guarded.daemon.address, GUARDED, initiator=GUEST, keys=keys) as session:
        session.settle()
        guarded.change([{"name": "*", "read_only": True}], async_event_reporting=True)
        message = session.receive(pdu.AsyncMessage)
        assert scsi.Sense(message.data[2:]).triple == (scsi.UNIT_ATTENTION, *LUNS_CHANGED)
        session.execute(scsi.test_unit_ready()).expect_sense(scsi.UNIT_ATTENTION, *LUNS_CHANGED)


# ---- Ends ----

def test_a_deleted_target_drops_its_sessions(guarded):
    made = "iqn.2026-11.org.example:made"
    control = api.Api(guarded.folder / "api.sock")
    control.post("/v1/targets", {"name": made, "luns": [{"lun": 0, "path": "null:1G"}]})
    with Session(guarded.daemon.address, made) as session:
        session.settle()
        control.delete(api.target_path(made) + "?force=true")
        message = session.receive(pdu.AsyncMessage)
        assert (message.event, message.parameter1) == (DROP_ALL, 0)
        assert message.parameter3 == 0, "nothing is kept"
        assert session.connection.wait_closed() == []


def test_the_end_of_the_daemon_is_told(tmp_path):
    with daemon.serve_targets(tmp_path, daemon.target("null:1G")) as running:
        with Session(running.address, daemon.TARGET) as busy, Session(running.address) as discovery:
            busy.settle()
            running.signal()
            for session in (busy, discovery):
                message = session.receive(pdu.AsyncMessage)
                assert (message.event, message.parameter1, message.parameter3) == (DROP_ALL, 0, 0)
                assert session.connection.wait_closed() == []
        assert running.wait() == 0
