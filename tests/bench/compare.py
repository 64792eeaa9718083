#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs tgtkitd and Debian's tgt side by side, in turns, under the same load, and prints medians and ratios.

The targets are pinned to CPU 0 (tgtkitd with one worker), the load to CPU 1.  Needs TGTKIT_BUILD (a build without
sanitizers) or TGTKIT_PREFIX together with --load, and the package tgt.
"""

import argparse
import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from lib import daemon, tgt  # noqa: E402

FILE_BYTES = 1 << 30
ON_TARGET_CPU, ON_LOAD_CPU = ("taskset", "-c", "0"), ("taskset", "-c", "1")


class Case(NamedTuple):
    name: str
    store: str  # null or file
    load: str  # options of iscsiload
    figure: str  # of its output, the more the better
    goal: float = 0  # the ratio to reach
    busy_poll: bool = False


CASES = [
    Case("null, 4 KiB read, qd 1", "null", "-q 1", "iops", 1),
    Case("null, 4 KiB read, qd 1, busy_poll_us=50", "null", "-q 1", "iops", 1.7, True),
    Case("null, 4 KiB read, qd 32", "null", "-q 32", "iops", 12),
    Case("null, 4 KiB read, qd 32, busy_poll_us=50", "null", "-q 32", "iops", 12, True),
    Case("null, 4 KiB write, qd 32", "null", "-q 32 -r 0", "iops"),
    Case("cached file, 4 KiB read, qd 32", "file", "-q 32", "iops", 8),
    Case("cached file, 4 KiB write, qd 32", "file", "-q 32 -r 0", "iops"),
    Case("cached file, 256 KiB read, qd 8", "file", "-q 8 -b 262144", "mb_per_s", 2),
    Case("cached file, 256 KiB write, qd 8", "file", "-q 8 -b 262144 -r 0", "mb_per_s"),
    Case("null, 64 sessions x qd 8, 4 KiB read", "null", "-s 64 -q 8", "iops"),
    Case("null, 4 KiB read, qd 32, CRC32C digests", "null", "-q 32 -D", "iops"),
    Case("null, 4 KiB write, qd 32, CRC32C digests", "null", "-q 32 -r 0 -D", "iops"),
    Case("cached file, 256 KiB read, qd 8, CRC32C digests", "file", "-q 8 -b 262144 -D", "mb_per_s"),
    Case("cached file, 256 KiB write, qd 8, CRC32C digests", "file", "-q 8 -b 262144 -r 0 -D", "mb_per_s"),
    Case("logins per second, 8 at a time", "null", "-L -s 8", "logins_per_s"),
]


class Server(NamedTuple):
    """A running target: where it is, and under which LUN it has which store."""

    address: tuple
    target: str
    pid: int
    luns: dict


def measure(arguments, server, case):
    polling = [] if case.load.startswith("-L") else ["-P"]
    command = [*ON_LOAD_CPU, str(arguments.load), *case.load.split(), *polling, "-t", str(arguments.seconds), "-p",
               str(server.pid), server.address[0], str(server.address[1]), server.target,
               str(server.luns[case.store])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60 + arguments.seconds, check=True)
    return {key: float(value) for key, value in (pair.split("=") for pair in done.stdout.split())}


@contextlib.contextmanager
def servers(folder):
    """tgt, tgtkitd, and tgtkitd with busy_poll_us=50, each with a null store and a file of its own in the page cache."""
    with contextlib.ExitStack() as stack:
        files = [folder / f"{name}.img" for name in ("tgt", "sleeping", "polling")]
        for path in files:
            with path.open("wb") as file:
                for _ in range(FILE_BYTES >> 20):
                    file.write(os.urandom(1 << 20))
        peer = stack.enter_context(tgt.Tgt(ON_TARGET_CPU))
        luns = {"null": peer.add_lun("null", "null"), "file": peer.add_lun("rdwr", files[0])}
        ours = []
        for path, busy_poll_us in zip(files[1:], (0, 50)):
            own_folder = folder / path.stem
            own_folder.mkdir()
            served = stack.enter_context(daemon.serve_targets(
                own_folder, daemon.target("null:1T", path), wrapper=ON_TARGET_CPU, workers=1,
                busy_poll_us=busy_poll_us))
            ours.append(Server(served.address, daemon.TARGET, served.pid, {"null": 0, "file": 1}))
        yield Server(peer.address, tgt.TARGET, peer.pid, luns), ours[0], ours[1]


def median_of(runs, figure):
    return statistics.median(run.get(figure, 0) for run in runs)


def details(runs):
    """What belongs to the figure: latency and CPU time."""
    if "logins_per_s" in runs[0]:
        return f"{median_of(runs, 'cpu_us_per_login'):.1f} us CPU"
    return (f"{median_of(runs, 'p50_us'):.0f} / {median_of(runs, 'p99_us'):.0f} us, "
            f"{median_of(runs, 'cpu_us_per_io'):.2f} us CPU")


def row(case, peer_runs, own_runs):
    peer, own = median_of(peer_runs, case.figure), median_of(own_runs, case.figure)
    ratio = own / peer
    goal = "" if not case.goal else f"{case.goal:g} " + ("reached" if ratio >= case.goal else "MISSED")
    unit = {"iops": "IOPS", "mb_per_s": "MB/s", "logins_per_s": "/s"}[case.figure]
    return (case.name, f"{peer:,.0f} {unit}", details(peer_runs), f"{own:,.0f} {unit}", details(own_runs),
            f"{ratio:.2f}", goal)


def print_table(rows):
    heading = ("", "tgt", "p50 / p99, CPU per I/O", "tgtkit", "p50 / p99, CPU per I/O", "ratio", "goal")
    widths = [max(len(line[column]) for line in [heading, *rows]) for column in range(len(heading))]
    for line in [heading, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def show_progress(text):
    """On a terminal, in place."""
    if sys.stderr.isatty():
        print(f"\r{text:70}\r", end="", file=sys.stderr, flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--rounds", type=int, default=3)
    parser.add_argument("-t", "--seconds", type=float, default=3, help="of each measurement (default 3)")
    parser.add_argument("-k", "--only", default="", help="only cases whose name contains this")
    parser.add_argument("--folder", help="where the files go (default: a temporary folder)")
    parser.add_argument("--load", type=pathlib.Path, help="the iscsiload program (default: the build tree's)")
    arguments = parser.parse_args()
    if not arguments.load:
        if "TGTKIT_BUILD" not in os.environ:
            parser.error("TGTKIT_BUILD is not set, and neither is --load")
        build = os.environ["TGTKIT_BUILD"]
        arguments.load = pathlib.Path(build, "tests/bench/iscsiload")
        subprocess.run(["make", "-s", "-C", build, "tests/bench/iscsiload"], check=True)
    return arguments


def main():
    arguments = parse_arguments()
    if daemon.Installation().is_sanitized():
        sys.exit("compare.py: this build has sanitizers; its figures say nothing")
    if os.getloadavg()[0] > 0.5:
        print(f"The load average is {os.getloadavg()[0]:.1f}: others use these CPUs, and the figures will say little.")
    cases = [case for case in CASES if arguments.only in case.name]
    results = {case: ([], []) for case in cases}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, \
            servers(pathlib.Path(folder)) as (peer, sleeping, polling):
        for number in range(arguments.rounds):
            for case in cases:
                show_progress(f"round {number + 1} of {arguments.rounds}: {case.name}")
                results[case][0].append(measure(arguments, peer, case))
                results[case][1].append(measure(arguments, polling if case.busy_poll else sleeping, case))
    show_progress("")
    print(f"Medians of {arguments.rounds} rounds of {arguments.seconds:g} s; target on CPU 0, load (polling) on CPU 1.")
    print_table([row(case, *results[case]) for case in cases])


if __name__ == "__main__":
    main()
