#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every test of libiscsi's iscsi-test-cu, each in a process of its own, and prints a table.

Without --url it starts tgtkitd (from TGTKIT_BUILD or TGTKIT_PREFIX) with a unit per lane, each mapped into two targets,
so that the multipath tests have their second path.  THE UNITS ARE WRITTEN TO.

Exceptions are named in a file, one on a line: the test, the outcome or outcomes that it may have instead of passing,
and the reason.  The run fails if anything else does not pass, or if an excepted test does (its line is out of date).
"""

import argparse
import concurrent.futures
import contextlib
import pathlib
import queue
import re
import subprocess
import sys
import tempfile
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from lib import daemon, tgt, tools  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
UNIT_BYTES = 256 << 20
OUTCOMES = ("passed", "failed", "skipped", "crash", "hang")


class Lane(NamedTuple):
    """What one test at a time may use: a LUN, and maybe another path to it."""

    url: str
    second_url: str = ""


class Result(NamedTuple):
    name: str
    outcome: str
    detail: str


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


def run_test(tool, name, lane, timeout):
    urls = [lane.url] + ([lane.second_url] if lane.second_url else [])
    try:
        done = subprocess.run([tool, "-d", "-V", "-f", "-t", name, *urls], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return Result(name, "hang", f"no end after {timeout} s")
    return judge(name, done.returncode, done.stdout.decode(errors="replace"))


def run_all(tool, names, lanes, timeout):
    """All tests, as many at a time as there are lanes; results in the order of the names."""
    free = queue.SimpleQueue()
    for lane in lanes:
        free.put(lane)

    def run_one(name):
        lane = free.get()
        try:
            result = run_test(tool, name, lane, timeout)
        finally:
            free.put(lane)
        sys.stdout.write(f"{result.outcome:8} {name}  {result.detail}".rstrip() + "\n")
        sys.stdout.flush()
        return result

    with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
        return list(pool.map(run_one, names))


def read_exceptions(path):
    """{test name: ([outcome, ...], reason)}"""
    exceptions = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split(None, 2)
        if len(fields) != 3 or not set(fields[1].split(",")) <= set(OUTCOMES[1:]):
            sys.exit(f"{path}:{number}: not 'TEST OUTCOME[,OUTCOME] REASON' with outcomes of {', '.join(OUTCOMES[1:])}")
        exceptions[fields[0]] = (fields[1].split(","), fields[2])
    return exceptions


def unexpected(results, exceptions):
    """What neither passed nor is excepted with this outcome, and what is excepted but passes."""
    return [result for result in results
            if result.outcome not in exceptions.get(result.name, (["passed"], ""))[0]]


def print_table(results):
    """Suites with their counts, then one closing line."""
    suites = {}
    for result in results:
        suite = result.name.rsplit(".", 1)[0]
        suites.setdefault(suite, dict.fromkeys(OUTCOMES, 0))[result.outcome] += 1
    width = max(map(len, suites))
    print("\n" + " ".join([" " * width, *(f"{outcome:>8}" for outcome in OUTCOMES)]))
    for suite, counts in suites.items():
        print(" ".join([f"{suite:{width}}", *(f"{counts[outcome] or '-':>8}" for outcome in OUTCOMES)]))
    totals = {outcome: sum(one.outcome == outcome for one in results) for outcome in OUTCOMES}
    print("\n" + f"{len(results)} tests: " + ", ".join(f"{count} {outcome}" for outcome, count in totals.items()))


@contextlib.contextmanager
def own_lanes(folder, count):
    units = [{"path": f"file:{folder}/unit{number}.img", "size": str(UNIT_BYTES), "create": True}
             for number in range(count)]
    names = [[f"iqn.2026-11.org.example:lane{number}.path{path}" for path in "ab"] for number in range(count)]
    targets = [daemon.target(unit, name=name) for unit, pair in zip(units, names) for name in pair]
    with daemon.serve_targets(folder, *targets) as served:
        root = f"iscsi://127.0.0.1:{served.address[1]}"
        yield [Lane(*(f"{root}/{name}/0" for name in pair)) for pair in names]


@contextlib.contextmanager
def tgt_lanes(folder, count):
    """For comparison: tgt, without a second path."""
    with contextlib.ExitStack() as stack:
        lanes = []
        for number in range(count):
            image = folder / f"tgt{number}.img"
            image.touch()
            with image.open("r+b") as file:
                file.truncate(UNIT_BYTES)
            peer = stack.enter_context(tgt.Tgt())
            lanes.append(Lane(f"iscsi://127.0.0.1:{peer.port}/{tgt.TARGET}/{peer.add_lun('rdwr', image)}"))
        yield lanes


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", nargs="*", help="run only tests whose name contains one of these")
    parser.add_argument("--lanes", type=int, default=2, help="tests at a time (default 2)")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for one test (default 120)")
    parser.add_argument("--exceptions", type=pathlib.Path, default=HERE / "exceptions")
    parser.add_argument("--url", action="append", default=[], metavar="URL[,URL]",
                        help="test this LUN (and its other path); once for every lane")
    parser.add_argument("--tgt", action="store_true", help="test Debian's tgt, for comparison")
    return parser.parse_args()


@contextlib.contextmanager
def lanes_for(arguments):
    if arguments.url:
        yield [Lane(*url.split(",")) for url in arguments.url]
        return
    with tempfile.TemporaryDirectory() as name:
        with (tgt_lanes if arguments.tgt else own_lanes)(pathlib.Path(name), arguments.lanes) as lanes:
            yield lanes


def main():
    arguments = parse_arguments()
    tool = tools.find("iscsi-test-cu")
    exceptions = {} if arguments.tgt else read_exceptions(arguments.exceptions)
    names = [name for name in list_tests(tool)
             if not arguments.tests or any(part in name for part in arguments.tests)]
    with lanes_for(arguments) as lanes:
        results = run_all(tool, names, lanes, arguments.timeout)
    print_table(results)
    wrong = unexpected(results, exceptions)
    for result in wrong:
        wanted, reason = exceptions.get(result.name, (["passed"], ""))
        print(f"{result.name}: {result.outcome}, not {' or '.join(wanted)}" + (f" ({reason})" if reason else ""))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
