#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An image of a Ceph cluster through tgtkitd, compared with `rbd bench` at the same depth and size.

    TGTKIT_BUILD=BUILD tests/bench/rbd_rates.py [--seconds N] [--runs N] [--cases TEXT] [--store STORE]

The cluster is one that it starts itself, with one monitor and one OSD.  With the store memstore its objects are in
memory, so that next to nothing is measured but the way to them.  The goal is 90 % of rbd bench.  The programs take turns,
and a ratio is the median of those of the runs, each of what ran one after the other.  Needs root, for a network of its
own."""

import argparse
import os
import pathlib
import re
import statistics
import sys
import tempfile
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from lib import ceph, daemon, load, loopback  # noqa: E402

GOAL = 0.9
IMAGE = "bench"
IMAGE_BYTES = 1 << 30
OSD_BYTES = 12 << 30  # bluestore's database grows with every small write


class Case(NamedTuple):
    name: str
    is_read: bool
    io_bytes: int
    depth: int


CASES = [
    Case("4 KiB read, qd 1", True, 4096, 1),
    Case("4 KiB read, qd 16", True, 4096, 16),
    Case("4 KiB read, qd 32", True, 4096, 32),
    Case("4 KiB write, qd 16", False, 4096, 16),
    Case("4 KiB write, qd 32", False, 4096, 32),
    Case("256 KiB read, qd 8", True, 262144, 8),
    Case("256 KiB write, qd 8", False, 262144, 8),
]


def rbd_bench(cluster, case, seconds):
    """Requests per second.  It ends after a number of bytes, so a first run says how many are right."""
    io_count = 2000
    for _ in range(2):
        text = cluster.rbd("--rbd_cache=false", "bench", IMAGE, "--io-type", "read" if case.is_read else "write",
                           "--io-size", case.io_bytes, "--io-threads", case.depth, "--io-pattern", "rand",
                           "--io-total", io_count * case.io_bytes)
        rate = float(re.search(r"ops/sec: *([0-9.]+)", text)[1])
        io_count = max(int(rate * seconds), 100)
    return {"iops": rate}


def through_tgtkit(running, case, seconds):
    options = ["-q", case.depth, "-b", case.io_bytes, "-r", 100 if case.is_read else 0]
    return load.run_load(running, 0, options, seconds)


def fill(cluster):
    """Reads of holes would measure nothing."""
    cluster.rbd("bench", IMAGE, "--io-type", "write", "--io-size", 4 << 20, "--io-threads", 8, "--io-pattern", "seq",
                "--io-total", IMAGE_BYTES)


def compare(cluster, folder, arguments):
    lun = {"path": cluster.path(IMAGE), "options": cluster.options()}
    print(f"{'OSD on ' + arguments.store:22}{'rbd bench':>12}{'tgtkit':>12}{'CPU per I/O':>14}{'ratio':>8}  "
          f"goal {GOAL:.0%}")
    for case in CASES:
        if arguments.cases not in case.name:
            continue
        theirs, ours = [], []
        for _ in range(arguments.runs):
            # The image belongs to one at a time.
            theirs.append(rbd_bench(cluster, case, arguments.seconds))
            with daemon.serve_targets(folder, daemon.target(lun), workers=1) as running:
                ours.append(through_tgtkit(running, case, arguments.seconds))
        peer, own = (statistics.median(run["iops"] for run in runs) for runs in (theirs, ours))
        cpu_us = statistics.median(run["cpu_us_per_io"] for run in ours)
        ratio = statistics.median(our["iops"] / their["iops"] for our, their in zip(ours, theirs))
        print(f"{case.name:22}{peer:>7,.0f} IOPS{own:>7,.0f} IOPS{cpu_us:>11.1f} us{ratio:>8.2f}  "
              f"{'reached' if ratio >= GOAL else 'MISSED'}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=5, help="of each run (default 5)")
    parser.add_argument("--runs", type=int, default=3, help="of each program and case (default 3)")
    parser.add_argument("--cases", default="", help="only those with this in their name")
    parser.add_argument("--store", default="bluestore", choices=("bluestore", "memstore"),
                        help="of the OSD (default bluestore)")
    arguments = parser.parse_args()
    loopback.enter()
    os.environ.setdefault("CEPH_MEMORY", str(OSD_BYTES))
    with tempfile.TemporaryDirectory(prefix="tgtkit-rbd-") as name:
        folder = pathlib.Path(name)
        with ceph.Cluster(folder, store=arguments.store) as cluster:
            cluster.rbd("create", "--size", f"{IMAGE_BYTES}B", IMAGE)
            fill(cluster)
            compare(cluster, folder, arguments)


if __name__ == "__main__":
    main()
