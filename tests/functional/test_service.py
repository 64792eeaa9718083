# SPDX-License-Identifier: Apache-2.0
"""The daemon as a service: what it tells a service manager, and what it says to a reload."""

import contextlib
import pathlib
import re
import signal
import socket
import subprocess

import pytest
from lib import daemon, tools
from lib.initiator import Session

TIMEOUT_S = 20


@contextlib.contextmanager
def service_manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(TIMEOUT_S)
        yield listener


def test_a_service_manager_is_told_of_start_and_end(tmp_path):
    with service_manager(tmp_path) as listener:
        running = daemon.serve_paths(tmp_path, "null:1M", environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        if "libsystemd" not in tools.run("ldd", running.command[0]).stdout:
            tools.missing("a build with libsystemd")
        with running:
            assert b"READY=1" in listener.recv(4096)
            with Session(running.address, daemon.TARGET) as session:
                session.settle()
        assert b"STOPPING=1" in listener.recv(4096)


def test_a_start_that_fails_is_not_announced(tmp_path):
    with service_manager(tmp_path) as listener:
        running = daemon.serve_paths(tmp_path, tmp_path / "absent.img",
                                     environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        done = subprocess.run(running.command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60, check=False,
                              env=running.environment, text=True)
        assert done.returncode == 1 and "absent.img" in done.stderr
        listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            assert b"READY=1" not in listener.recv(4096)


def test_reload_without_a_configuration_file_changes_nothing(tmp_path):
    with daemon.serve_paths(tmp_path, "null:1M") as running, Session(running.address, daemon.TARGET) as session:
        session.settle()
        running.signal(signal.SIGHUP)
        running.wait_for_log("reload: done, 0 objects differ")
        session.read(0, 8)


@pytest.fixture
def unit(tmp_path):
    source = pathlib.Path(__file__).resolve().parents[2] / "systemd" / "tgtkitd.service.in"
    unit = tmp_path / "tgtkitd.service"
    unit.write_text(source.read_text().replace("@sbindir@/tgtkitd", "/bin/true"))
    return unit


def test_the_unit_of_systemd_is_well_formed(unit):
    done = tools.run("systemd-analyze", "verify", unit, check=False)
    # Manual pages that are not installed are no fault of the unit's.
    complaints = [line for line in done.stdout.splitlines() if "tgtkitd.service" in line and "Command 'man" not in line]
    assert complaints == []
    assert "Type=notify" in unit.read_text() and "ProtectSystem=strict" in unit.read_text()


def test_the_unit_of_systemd_exposes_little(unit):
    """The judge is systemd: 0 is a process that can do nothing, 10 one that may do everything."""
    done = tools.run("systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=15", unit, check=False)
    assert done.returncode == 0, done.stdout
    assert re.search(r"Overall exposure level for tgtkitd.service: [01]\.\d OK", done.stdout)
