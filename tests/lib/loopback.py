# SPDX-License-Identifier: Apache-2.0
"""A loopback network of their own for benchmarks that compare what uses TCP with what does not, or uses it less."""

import os
import pathlib
import subprocess
import sys

MARK = "TGTKIT_BENCH_NETWORK"
CONGESTION_CONTROL = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")


def enter():
    """Starts this program again where only loopback is, with Linux's own default of congestion control.  With bbr, which
    paces, reads of 256 KiB took the daemon 1.4 times the CPU time."""
    if MARK not in os.environ:
        os.execvpe("unshare", ["unshare", "--net", sys.executable, *sys.argv], {**os.environ, MARK: "yes"})
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    CONGESTION_CONTROL.write_text("cubic")
