# SPDX-License-Identifier: Apache-2.0
"""The daemon as a service: what it tells a service manager, and what it says to a reload."""

import contextlib
import signal
import socket
import subprocess

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


def test_reload_is_answered_by_a_line_and_changes_nothing(tmp_path):
    with daemon.serve_paths(tmp_path, "null:1M") as running, Session(running.address, daemon.TARGET) as session:
        session.settle()
        running.signal(signal.SIGHUP)
        running.wait_for_log("SIGHUP: reload is not available in this version")
        session.read(0, 8)
