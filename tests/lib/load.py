# SPDX-License-Identifier: Apache-2.0
"""The load generator of the benchmarks."""

import pathlib
import subprocess

from . import daemon, tools


def load_program():
    installation = daemon.Installation()
    path = pathlib.Path(installation.build or "", "tests/bench/iscsiload")
    if not installation.build or not path.exists():
        tools.missing("tests/bench/iscsiload of the build tree")
    return path


def run_load(running, lun, options, seconds):
    """Its figures by name, from that LUN of the daemon's."""
    words = [load_program(), *options, "-t", seconds, "-p", running.pid, *running.address, daemon.TARGET, lun]
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, text=True, timeout=60 + seconds,
                          check=True)
    return {key: float(value) for key, value in (pair.split("=") for pair in done.stdout.split())}
