# SPDX-License-Identifier: Apache-2.0
"""The log: the journal's fields, and that no peer can fill it."""

import contextlib
import pathlib
import re
import signal
import socket
import threading
import time

import pytest
from lib import daemon, pdu, tools
from lib.connection import ConnectionClosed
from lib.initiator import LoginError, Session

SOURCE = pathlib.Path(__file__).resolve().parents[2]
INITIATOR = "iqn.1993-08.org.debian:alice"
# In a mount namespace of its own, /run/systemd/journal is the test's folder and stderr what JOURNAL_STREAM says it is.
SCRIPT = """
mount -t tmpfs none /run && mkdir -p /run/systemd && ln -s "$0" /run/systemd/journal &&
JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@"
"""


class Journal:
    """Plays systemd-journald: receives events, each a dict of lists, as a field may come more than once."""

    def __init__(self, folder):
        folder.mkdir()
        self.path = folder / "socket"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._events, self._changed = [], threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while data := self._socket.recv(1 << 16):
            event = {}
            assert data.endswith(b"\n")
            for line in data[:-1].split(b"\n"):
                key, _, value = line.partition(b"=")
                event.setdefault(key.decode(), []).append(value.decode())
            with self._changed:
                self._events.append(event)
                self._changed.notify_all()

    def wait(self, pattern, timeout=30, since=0):
        """The first event whose message matches."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for event in self._events[since:]:
                    if re.search(pattern, event["MESSAGE"][0]):
                        return {key: value for key, (value,) in event.items()}
                assert self._changed.wait(max(0, deadline - time.monotonic())), self._events

    def close(self):
        self.path.unlink()
        self._socket.shutdown(socket.SHUT_RD)
        self._reader.join(10)
        self._socket.close()


def test_the_journal_gets_objects_as_fields(tmp_path):
    journal = Journal(tmp_path / "journal")
    wrapper = [tools.find("unshare"), "--mount", "sh", "-c", SCRIPT, tmp_path / "journal"]
    running = daemon.serve_targets(tmp_path, daemon.target("null:1M"), wrapper=wrapper)
    from_stderr, running.wait_for_log = running.wait_for_log, journal.wait
    with running:
        ready = journal.wait(daemon.READY)
        assert (ready["PRIORITY"], ready["SYSLOG_IDENTIFIER"]) == ("6", "tgtkitd")
        serving = journal.wait("^serving")
        assert (serving["TGTKIT_TARGET"], serving["TGTKIT_LUN"], serving["TGTKIT_UNIT"]) == (daemon.TARGET, "0", "null:1M")
        assert journal.wait("^plugin null .* loaded")["TGTKIT_PLUGIN"] == "null"
        with Session(running.address, daemon.TARGET, initiator=INITIATOR) as session:
            session.settle()
        came = journal.wait("logged in")
        assert (came["TGTKIT_INITIATOR"], came["TGTKIT_TARGET"]) == (INITIATOR, daemon.TARGET)
        assert came["TGTKIT_ADDRESS"].startswith("127.0.0.1:")
        # A peer does not get to write fields.
        with pytest.raises(LoginError):
            Session(running.address, "iqn.2026-11.org.example:x\nPRIORITY=0\nTGTKIT_UNIT=null:1M")
        refused = journal.wait("^login of .* refused")
        assert refused["PRIORITY"] == "4" and refused["TGTKIT_INITIATOR"] and "TGTKIT_UNIT" not in refused
        # Without a journal, the stream that leads there.
        journal.close()
        running.signal(signal.SIGUSR1)
        from_stderr("^<7>SIGUSR1: the log level is debug now")


# ---- Limits ----

def refused_login(served):
    with contextlib.suppress(LoginError, ConnectionClosed):
        Session(served.address, "iqn.2026-11.org.example:nowhere").close()


def too_long_segment(served):
    with served.session() as session, contextlib.suppress(ConnectionClosed):
        session.send(pdu.NopOut(target_transfer_tag=pdu.RESERVED_TAG, data=bytes(session.target_segment_length + 4)),
                     immediate=True)
        while True:
            session.connection.receive()


def early_request(served):
    with served.session(login=False) as session, contextlib.suppress(ConnectionClosed):
        session.connection.send(pdu.NopOut(target_transfer_tag=pdu.RESERVED_TAG, data=b""))
        session.connection.receive()


@pytest.mark.parametrize("provoke, pattern, per_second", [
    (refused_login, r"login of .* refused with status 0203h", 5), (early_request, r"PDU with opcode .* before login", 5),
    (too_long_segment, r"is longer than declared", 5)], ids=["login", "early", "long"])
def test_a_peer_that_floods_the_log_is_counted_and_no_more(served_alone, provoke, pattern, per_second):
    """Of all that happened, a few lines a second are written, and every other one is counted in one that is."""
    since, start, provoked = len(served_alone.daemon.log_lines), time.monotonic(), 0

    def counted():
        lines = [line for line in served_alone.daemon.log_lines[since:] if re.search(pattern, line)]
        return len(lines), sum(int(one) for line in lines for one in re.findall(r"\((\d+) more like this left out\)$", line))

    # A line that counts others comes in the second after a full one.
    while not counted()[1]:
        provoke(served_alone)
        provoked += 1
        assert time.monotonic() < start + 60, f"{provoked} times, and none was left out"
    # The last one's line may still be on its way.
    while sum(counted()) != provoked:
        assert time.monotonic() < start + 60, f"{provoked} times, of which {counted()} are told"
        time.sleep(0.01)
    shown, _ = counted()
    assert shown <= per_second * (int(time.monotonic() - start) + 2)


# What only the administrator, or the start of the daemon, brings about.
UNLIMITED = {
    "iscsi/registry.c": ["dropped by the administrator"],
    "iscsi/server.c": ["open files are too few for max_connections", "no access rule admits it any more"],
}


def test_every_line_that_a_peer_can_provoke_is_limited():
    found = {}
    for layer in ("iscsi", "scsi"):
        for path in sorted((SOURCE / "core" / layer).glob("*.c")):
            calls = re.findall(r"\brt_log(?:_about)?\((.*?)\);", path.read_text(), re.DOTALL)
            if calls:
                found[f"{layer}/{path.name}"] = calls
    assert set(found) == set(UNLIMITED)
    for name, calls in found.items():
        assert len(calls) == len(UNLIMITED[name])
        for call, words in zip(calls, UNLIMITED[name]):
            assert words in call
