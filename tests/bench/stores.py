#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures stores through the daemon against what fio gets from the same backend without it.

remote is compared with fio's engine nbd on the same nbdkit, iouring with its engine io_uring on the same file with
O_DIRECT and with the plugin file.  The daemon's own CPU time per I/O stands in the table.  Needs TGTKIT_BUILD (a build
without sanitizers), nbdkit, fio with the engines nbd and io_uring, and root, for a network of its own.

nbdkit keeps its disk in memory, and answers at once, or ("1 ms away") as late as a disk or a network would have it.
fio has no iSCSI in between.  At a queue depth of 1 each I/O through the daemon takes one more round trip, which no store
can save: the column "beyond the hop" leaves out what the same I/O takes with the store null, so that 1 means that the
store costs no more time than its peer.  The rows with busy_poll_us are what a daemon that does not sleep makes of it.
And where large transfers leave no CPU idle, the initiator and one more socket's copies take theirs from nbdkit.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from lib import daemon, load, loopback, nbd  # noqa: E402

FILE_BYTES = 1 << 30
BUSY_POLL_US = 100
SERVERS = {"at once": [], "1 ms away": ["rdelay=1ms", "wdelay=1ms"]}


class Case(NamedTuple):
    name: str
    store: str
    peer: str  # fio's engine, or another store
    server: str  # of SERVERS, if any
    write: bool
    depth: int
    block: int
    goal: float = 0
    polls: bool = False

    @property
    def daemon(self):
        return "polling" if self.polls else "sleeping"


def cases_of(store, peer, goal, server=""):
    return [Case(f"{store}{server and ', '}{server}, {block >> 10} KiB {'write' if write else 'read'}, qd {depth}, "
                 f"against {peer}", store, peer, server, write, depth, block, goal)
            for depth, block in ((32, 4096), (1, 4096), (8, 256 << 10)) for write in (False, True)]


def polling(cases):
    return [case._replace(name=f"{case.name}, busy_poll_us={BUSY_POLL_US}", polls=True) for case in cases
            if case.depth == 1]


CASES = [*cases_of("remote", "nbd", 0.8, "1 ms away"), *cases_of("remote", "nbd", 0.8, "at once"),
         *polling(cases_of("remote", "nbd", 0.8, "at once")), *cases_of("iouring", "io_uring", 0.85),
         *[case._replace(goal=1 if case.depth == 32 else 0) for case in cases_of("iouring", "file", 0)]]


def fio(arguments, case, backends):
    """I/O per second."""
    backend = backends[case.peer, case.server]
    where = [f"--uri={backend}"] if case.peer == "nbd" else [f"--filename={backend}", "--direct=1"]
    done = subprocess.run(["fio", "--name=peer", f"--ioengine={case.peer}", *where, "--time_based",
                           f"--rw=rand{'write' if case.write else 'read'}", f"--bs={case.block}",
                           f"--iodepth={case.depth}", f"--runtime={arguments.seconds:g}", f"--size={FILE_BYTES}",
                           "--output-format=json"], stdout=subprocess.PIPE, timeout=60 + arguments.seconds, check=True)
    job = json.loads(done.stdout[done.stdout.index(b"{"):])["jobs"][0]  # the engine nbd says a word first
    return {"iops": job["write" if case.write else "read"]["iops"], "cpu_us_per_io": float("nan")}


def through_daemon(arguments, case, setting, store, server=""):
    options = ["-q", case.depth, "-b", case.block, "-r", 0 if case.write else 100]
    return load.run_load(setting.daemons[case.daemon], setting.luns[case.daemon, store, server], options,
                         arguments.seconds)


class Setting(NamedTuple):
    daemons: dict
    luns: dict  # by daemon, store and server
    backends: dict  # for fio, by engine and server


def fill(server):
    """Its memory is there only after the first write."""
    subprocess.run(["fio", "--name=fill", "--ioengine=nbd", f"--uri={server.uri}", "--rw=write", "--bs=1M",
                    "--iodepth=8", f"--size={FILE_BYTES}"], stdout=subprocess.DEVNULL, timeout=120, check=True)


def start_server(stack, folder, delays):
    folder.mkdir()
    filters = ["--filter=delay"] if delays else []
    server = stack.enter_context(nbd.Server(folder, *filters, "memory", str(FILE_BYTES), *delays))
    fill(server)
    return server


@contextlib.contextmanager
def make_setting(folder):
    """Two daemons, one of which polls."""
    files = {name: folder / f"{name}.img" for name in ("iouring", "file", "io_uring")}
    for path in files.values():
        with path.open("wb") as file:
            for _ in range(FILE_BYTES >> 20):
                file.write(os.urandom(1 << 20))
            os.fsync(file.fileno())
    with contextlib.ExitStack() as stack:
        servers = {name: start_server(stack, folder / name.replace(" ", "-"), delays)
                   for name, delays in SERVERS.items()}
        network = {("remote", name): {"path": f"remote:{server.uri}", "options": {"connections": 1}}
                   for name, server in servers.items()}
        network["null", ""] = {"path": f"null:{FILE_BYTES}"}
        stores = {"sleeping": {**network, ("iouring", ""): {"path": f"iouring:{files['iouring']}"},
                               ("file", ""): {"path": f"file:{files['file']}", "options": {"direct": True}}},
                  "polling": network}
        daemons = {}
        for name, luns in stores.items():
            (folder / name).mkdir()
            daemons[name] = stack.enter_context(daemon.serve_targets(
                folder / name, daemon.target(*luns.values()), workers=1,
                busy_poll_us=BUSY_POLL_US if name == "polling" else 0))
        yield Setting(daemons, {(name, *store): lun for name, luns in stores.items() for lun, store in enumerate(luns)},
                      {("io_uring", ""): files["io_uring"],
                       **{("nbd", name): server.uri for name, server in servers.items()}})


def print_table(rows):
    heading = ("", "peer, IOPS", "CPU per I/O", "tgtkit, IOPS", "CPU per I/O", "ratio", "goal", "beyond the hop")
    widths = [max(len(line[column]) for line in [heading, *rows]) for column in range(len(heading))]
    for line in [heading, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def median_of(runs, figure):
    return statistics.median(run[figure] for run in runs)


class Runs(NamedTuple):
    peer: list
    own: list
    hop: list


def beyond_the_hop(peer, own, hop):
    """The peer's time per I/O by that of the store alone."""
    if not hop:
        return ""
    alone = 1 / own - 1 / median_of(hop, "iops")
    return f"{1 / peer / alone:.2f}" if alone > 0 else "noise"


def row(case, runs):
    peer, own = median_of(runs.peer, "iops"), median_of(runs.own, "iops")
    ratio = statistics.median(own["iops"] / peer["iops"] for own, peer in zip(runs.own, runs.peer))
    goal = "" if not case.goal else f"{case.goal:g} " + ("reached" if ratio >= case.goal else "MISSED")
    peer_cpu = f"{median_of(runs.peer, 'cpu_us_per_io'):.2f} us" if case.peer == "file" else ""
    return (case.name, f"{peer:,.0f}", peer_cpu, f"{own:,.0f}", f"{median_of(runs.own, 'cpu_us_per_io'):.2f} us",
            f"{ratio:.2f}", goal, beyond_the_hop(peer, own, runs.hop))


def measure(arguments, case, setting, runs):
    runs.peer.append(through_daemon(arguments, case, setting, "file") if case.peer == "file" else
                     fio(arguments, case, setting.backends))
    runs.own.append(through_daemon(arguments, case, setting, case.store, case.server))
    if case.depth == 1 and case.peer != "file":
        runs.hop.append(through_daemon(arguments, case, setting, "null"))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--rounds", type=int, default=3)
    parser.add_argument("-t", "--seconds", type=float, default=3, help="of each measurement (default 3)")
    parser.add_argument("-k", "--only", default="", help="only cases whose name contains this")
    parser.add_argument("--folder", default="/var/tmp", help="where the files go (default /var/tmp; no tmpfs)")
    arguments = parser.parse_args()
    if "TGTKIT_BUILD" not in os.environ:
        parser.error("TGTKIT_BUILD is not set")
    subprocess.run(["make", "-s", "-C", os.environ["TGTKIT_BUILD"], "tests/bench/iscsiload"], check=True)
    return arguments


def main():
    arguments = parse_arguments()
    loopback.enter()
    if daemon.Installation().is_sanitized():
        print("This build has sanitizers: its figures say nothing.")
    if os.getloadavg()[0] > 0.5:
        print(f"The load average is {os.getloadavg()[0]:.1f}: others use these CPUs, and the figures will say little.")
    cases = [case for case in CASES if arguments.only in case.name]
    results = {case: Runs([], [], []) for case in cases}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, make_setting(pathlib.Path(folder)) as setting:
        for _ in range(arguments.rounds):
            for case in cases:
                measure(arguments, case, setting, results[case])
    print(f"Medians of {arguments.rounds} rounds of {arguments.seconds:g} s, in turns.")
    print_table([row(case, results[case]) for case in cases])


if __name__ == "__main__":
    main()
