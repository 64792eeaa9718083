#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every test of libiscsi's iscsi-test-cu, each in a process of its own, on every kind of unit, and prints a table.

It starts one tgtkitd (from TGTKIT_BUILD or TGTKIT_PREFIX) with some units of each kind, each in a target of its own, so
that resets and reservations of one test do not reach another, and each reached through two portals, for the tests of
several paths.  With --url the tests run on units elsewhere, which THEY OVERWRITE, and nothing is expected of them.

What need not pass is named in the file `exceptions`.  The run fails if anything else does not pass on its kind, if a
test passes nowhere, or if an exception does not happen (its line is out of date).
"""

import argparse
import collections
import concurrent.futures
import contextlib
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from conformance.expectations import OUTCOMES, Expectations  # noqa: E402
from lib import daemon, outside, tgt, tools  # noqa: E402

ALL_TESTS = 230  # of libiscsi 1.19; later versions have more
HOSTS = ("127.0.0.1", "127.0.0.2")
SMALL_BYTES = 64 << 20
# 65536 blocks, so that the longest WRITE SAME fits.
LARGE_BYTES = 256 << 20
ATOMIC_WRITE_BYTES = 128 << 10  # `Simple` writes up to 256 blocks at a time


class Kind(NamedTuple):
    """A kind of unit: what its LUN entry says, how large it is, and, as a pattern, which of all tests run on it."""

    settings: dict
    size: int = SMALL_BYTES
    plugin: str = "file"
    only: str = ""


KINDS = {
    "thin": Kind({}),
    "thick": Kind({"thin": False}),
    "removable": Kind({"removable": True}),
    "4096": Kind({"block_size": 4096}, LARGE_BYTES),
    "read-only": Kind({"read_only": True}),
    # No plugin of ours has an atomic write unit; the tests' own has what it is told to have.
    "atomic": Kind({"options": {"atomic_write": f"{ATOMIC_WRITE_BYTES >> 10}K"}}, plugin="rig",
                   only=r"SCSI\.WriteAtomic16\."),
}
FIRST_TESTS = (
    # Expects zeros in block 256, but writes them only up to block 255: right on a unit that is new.
    "SCSI.MultipathIO.CompareAndWrite",
    # What takes longest: SANITIZE takes its time, and this one looks after it once a minute.
    "SCSI.Sanitize.Reset", "SCSI.Sanitize.Overwrite", "SCSI.Sanitize.OverwriteReserved",
)


class Lane(NamedTuple):
    """What one test at a time may use: a LUN, through one or more portals."""

    kind: str
    urls: tuple


class Result(NamedTuple):
    name: str
    outcome: str
    detail: str


# ---- One test ----

def list_tests(tool):
    """The leaves of the families SCSI and iSCSI: each test once."""
    listing = subprocess.run([tool, "-l"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [line for line in listing.splitlines() if re.fullmatch(r"i?SCSI\.[^.]+\.[^.]+", line)]


def judge(name, status, output):
    """CUnit counts a skip as a pass; only the [SKIPPED] lines tell."""
    verdict = re.search(r"^Run Summary", output, re.MULTILINE)
    skips = re.findall(r"\[SKIPPED\] *(.*)", output)
    complaints = re.findall(r"^ *\d+\. (\S+:\d+ .*?)(?: {4}.*)?$", output, re.MULTILINE)
    if status < 0 or not verdict:
        return Result(name, "crash", f"signal {-status}" if status < 0 else f"exit status {status}, no summary")
    if status != 0:
        failures = re.findall(r"\[FAILED\] *(.*?)(?: {4}.*)?$", output, re.MULTILINE)
        return Result(name, "failed", "; ".join(dict.fromkeys(failures + complaints)))
    if skips:
        return Result(name, "skipped", "; ".join(dict.fromkeys(skips)))
    return Result(name, "passed", "")


def run_test(tool, name, lane, arguments):
    """-d and -S allow it to write and to sanitize, -v and -V make it say all that it does."""
    output_path = arguments.output and arguments.output / f"{lane.kind}.{name}"
    try:
        done = subprocess.run([tool, "-d", "-v", "-V", "-S", "-f", "-t", name, *lane.urls], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=arguments.timeout, check=False)
    except subprocess.TimeoutExpired as expired:
        if output_path:
            output_path.write_bytes(expired.output or b"")
        return Result(name, "hang", f"no end after {arguments.timeout} s")
    if output_path:
        output_path.write_bytes(done.stdout)
    return judge(name, done.returncode, done.stdout.decode(errors="replace"))


# ---- All tests ----

class Queue:
    """The tests of one kind, which its lanes share; the results in the order of the names."""

    def __init__(self, kind, names):
        self.kind = kind
        self.names = names
        first = [name for name in FIRST_TESTS if name in names]
        self._left = collections.deque([*first, *(name for name in names if name not in first)])
        self._results = {}
        self._lock = threading.Lock()

    def work(self, tool, lane, arguments):
        while True:
            with self._lock:
                if not self._left:
                    return
                name = self._left.popleft()
            result = run_test(tool, name, lane, arguments)
            self._results[name] = result
            sys.stdout.write(f"{self.kind:9} {result.outcome:8} {name}  {result.detail}".rstrip() + "\n")
            sys.stdout.flush()

    def results(self):
        return [self._results[name] for name in self.names]


def names_for(expectations, kind, names):
    only = KINDS[kind].only if kind in KINDS else ""
    return [name for name in expectations.tests_for(kind, names) if re.match(only, name)]


def run_all(tool, queues, lanes, arguments):
    """{kind: [result, ...]}"""
    with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
        working = [pool.submit(queues[lane.kind].work, tool, lane, arguments) for lane in lanes]
        for one in working:
            one.result()
    return {kind: queue.results() for kind, queue in queues.items()}


def print_table(results):
    """Suites with their counts per kind, one kind after the other."""
    width = max(len(result.name.rsplit(".", 1)[0]) for of_kind in results.values() for result in of_kind)
    for kind, of_kind in results.items():
        suites = {}
        for result in of_kind:
            suite = result.name.rsplit(".", 1)[0]
            suites.setdefault(suite, dict.fromkeys(OUTCOMES, 0))[result.outcome] += 1
        print("\n" + " ".join([f"{kind:{width}}", *(f"{outcome:>8}" for outcome in OUTCOMES)]))
        for suite, counts in suites.items():
            print(" ".join([f"{suite:{width}}", *(f"{counts[outcome] or '-':>8}" for outcome in OUTCOMES)]))
        totals = [sum(one.outcome == outcome for one in of_kind) for outcome in OUTCOMES]
        print(" ".join([f"{f'all {len(of_kind)}':{width}}", *(f"{count:>8}" for count in totals)]))


# ---- Units ----

def lun_entry(folder, kind, number):
    if kind.plugin == "file":
        return {"path": f"file:{make_image(folder / f'unit{number}.img', kind.size)}", **kind.settings}
    return {"path": f"{kind.plugin}:{kind.size + number * ATOMIC_WRITE_BYTES}", **kind.settings}


def make_image(path, size):
    with path.open("wb") as image:
        image.truncate(size)
    return path


@contextlib.contextmanager
def own_lanes(folder, kinds, count):
    lanes = [(kind, f"iqn.2026-11.org.example:{kind}.{number}") for kind in kinds for number in range(count)]
    targets = []
    for number, (kind, name) in enumerate(lanes):
        targets.append(daemon.target(lun_entry(folder, KINDS[kind], number), name=name))
    plugins = outside.Development(folder).build_plugins(folder / "plugins")
    # No pings: a test that sleeps for a minute answers none, and would find a new session, with its unit attention,
    # each time that it looks whether SANITIZE is through.
    with daemon.serve_targets(folder, *targets, hosts=HOSTS, plugin_folders=[plugins], nop_interval_s=0) as served:
        yield [Lane(kind, tuple(f"iscsi://{host}:{port}/{name}/0" for host, port in served.addresses))
               for kind, name in lanes]


@contextlib.contextmanager
def tgt_lanes(folder, count):
    """For comparison: tgt, without a second path."""
    with contextlib.ExitStack() as stack:
        lanes = []
        for number in range(count):
            image = make_image(folder / f"tgt{number}.img", SMALL_BYTES)
            peer = stack.enter_context(tgt.Tgt())
            lanes.append(Lane("tgt", (f"iscsi://127.0.0.1:{peer.port}/{tgt.TARGET}/{peer.add_lun('rdwr', image)}",)))
        yield lanes


@contextlib.contextmanager
def lanes_for(arguments):
    if arguments.url:
        yield [Lane("url", tuple(url.split(","))) for url in arguments.url]
        return
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with tgt_lanes(folder, arguments.lanes) if arguments.tgt else \
                own_lanes(folder, arguments.kind or KINDS, arguments.lanes) as lanes:
            yield lanes


# ---- Main ----

def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", nargs="*", help="run only tests whose name contains one of these")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only on this kind of unit; may be repeated")
    parser.add_argument("--lanes", type=int, default=2, help="tests at a time on each kind (default 2)")
    parser.add_argument("--timeout", type=float, default=200, help="seconds for one test (default 200)")
    parser.add_argument("--output", type=pathlib.Path, metavar="FOLDER", help="keep there what each test writes")
    parser.add_argument("--url", action="append", default=[], metavar="URL[,URL]",
                        help="test this LUN (and its other path); once for every lane")
    parser.add_argument("--tgt", action="store_true", help="test Debian's tgt, for comparison")
    return parser.parse_args()


def complaints_about(expectations, arguments, names, results):
    if arguments.url or arguments.tgt:
        return []
    complaints = [expectations.complaint(kind, result) for kind, of_kind in results.items() for result in of_kind]
    if not arguments.tests and not arguments.kind:
        complaints += expectations.complaints_about_all(names, results)
    return [complaint for complaint in complaints if complaint]


def main():
    arguments = parse_arguments()
    tool = tools.find("iscsi-test-cu")
    expectations = Expectations(KINDS)
    every_name = list_tests(tool)
    if len(every_name) < ALL_TESTS:
        sys.exit(f"{tool} knows {len(every_name)} tests, fewer than {ALL_TESTS}")
    names = [name for name in every_name if not arguments.tests or any(part in name for part in arguments.tests)]
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
    with lanes_for(arguments) as lanes:
        queues = {lane.kind: Queue(lane.kind, names_for(expectations, lane.kind, names)) for lane in lanes}
        results = run_all(tool, queues, lanes, arguments)
    print_table(results)
    complaints = complaints_about(expectations, arguments, every_name, results)
    print("\n" + "".join(complaint + "\n" for complaint in complaints), end="")
    passed = sum(result.outcome == "passed" for of_kind in results.values() for result in of_kind)
    print(f"{passed} passed, {len(complaints)} failed")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
