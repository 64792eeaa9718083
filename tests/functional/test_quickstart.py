# SPDX-License-Identifier: Apache-2.0
"""The two ways to start besides the foreground: scripts/quickstart, and the daemon in the background."""

import os
import pathlib
import signal
import subprocess
import time

import pytest
from lib import daemon, ports, scsi, tools
from lib.initiator import Session

SOURCE = pathlib.Path(__file__).resolve().parents[2]
QUICKSTART = SOURCE / "scripts" / "quickstart"
QUICKSTART_TARGET = "iqn.2026-11.org.tgtkit:quickstart"


def quickstart(*arguments):
    return tools.run(str(QUICKSTART), *arguments, timeout=900, env=tools.environment_without_make()).stdout


@pytest.mark.long  # it builds everything anew
def test_quickstart_serves_a_file_and_says_how_to_connect(tmp_path):
    port = ports.free_port()
    for _ in range(2):  # safe to run again
        output = quickstart("--background", "--dir", tmp_path, "--port", port)
        try:
            for word in ("iscsiadm", "iscsi-ls", "qemu", QUICKSTART_TARGET, f"127.0.0.1:{port}"):
                assert word in output
            assert QUICKSTART_TARGET in tools.run("iscsi-ls", "-s", f"iscsi://127.0.0.1:{port}").stdout
            with Session(("127.0.0.1", port), QUICKSTART_TARGET) as session:
                session.settle()
                assert session.read_capacity() == ((1 << 30) // 512, 512)
                session.write(0, b"\x51" * 4096)
                session.execute(scsi.synchronize_cache10()).expect_good()
            assert "runs already" in quickstart("--background", "--dir", tmp_path, "--port", port)
            other = tools.run(str(QUICKSTART), "--background", "--dir", tmp_path / "other", "--port", port, check=False)
            assert other.returncode == 1 and str(port) in other.stdout, "the port is taken"
        finally:
            quickstart("--stop", "--dir", tmp_path)
        assert not ports.listening_addresses(port)
    assert (tmp_path / "disk.img").stat().st_size == 1 << 30


@pytest.mark.parametrize("arguments", [["--frobnicate"], ["--port"], ["--dir"]])
def test_quickstart_refuses_what_it_does_not_know(arguments):
    if not QUICKSTART.exists():
        tools.missing(str(QUICKSTART))
    done = subprocess.run([str(QUICKSTART), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                          check=False)
    assert done.returncode == 2


def process_with_argument(argument):
    """The id of the process that was started with this argument; None: there is none."""
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if argument.encode() in path.read_bytes().split(b"\0"):
                return int(path.parent.name)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
    return None


def test_without_f_the_daemon_returns_when_it_serves(tmp_path):
    running = daemon.serve_targets(tmp_path, daemon.target("null:1M"))
    command = [argument for argument in running.command if argument != "-f"]
    configuration = command[command.index("-c") + 1]
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60,
                   check=True, env=running.environment)
    process = process_with_argument(configuration)
    assert process, "nothing runs in the background"
    try:
        with Session(running.address, daemon.TARGET) as session:
            session.settle()
    finally:
        os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + daemon.STOP_TIMEOUT_S
    while process_with_argument(configuration):
        assert time.monotonic() < deadline, "the daemon does not end"
        time.sleep(0.01)


def test_without_f_an_error_at_the_start_is_told_to_the_caller(tmp_path):
    running = daemon.serve_targets(tmp_path, daemon.target(tmp_path / "absent.img"))
    command = [argument for argument in running.command if argument != "-f"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          timeout=60, check=False, env=running.environment, text=True)
    assert done.returncode == 1 and "absent.img" in done.stderr
