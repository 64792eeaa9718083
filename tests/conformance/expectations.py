# SPDX-License-Identifier: Apache-2.0
"""What each test of iscsi-test-cu has to do on each kind of unit, and what a run did instead."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
OUTCOMES = ("passed", "failed", "skipped", "crash", "hang")
ANY = "any"
# A thin unit has to offer what can be tested at all: 12 tests want a removable medium, 1 a protected one, 6 an atomic
# write unit, 3 the erasure of a key.
MOST_SKIPPED = {"thin": 22}


def read_lines(path):
    """[(number, line)] without comments."""
    return [(number, line) for number, line in enumerate(path.read_text().splitlines(), 1)
            if line.strip() and not line.startswith("#")]


class Expectations:
    """Of `exceptions`, 'KIND[,KIND] TEST OUTCOME[,OUTCOME] REASON' on a line, and `read-only`, one test on each."""

    def __init__(self, kinds, path=HERE / "exceptions", read_only_path=HERE / "read-only"):
        self.exceptions = {}  # (kind, test): ([outcome, ...], reason)
        self.read_only = [line.strip() for _, line in read_lines(read_only_path)]
        self.nowhere = set()  # need not pass on any kind
        for number, line in read_lines(path):
            fields = line.split(None, 3)
            if len(fields) != 4 or not set(fields[2].split(",")) <= set(OUTCOMES):
                sys.exit(f"{path}:{number}: not 'KIND[,KIND] TEST OUTCOME[,OUTCOME] REASON', "
                         f"with outcomes of {', '.join(OUTCOMES)}")
            where, test, outcomes, reason = fields
            if where == ANY:
                self.nowhere.add(test)
            elif not set(where.split(",")) <= set(kinds):
                sys.exit(f"{path}:{number}: kinds are {', '.join(kinds)} and {ANY}")
            for kind in kinds if where == ANY else where.split(","):
                self.exceptions[kind, test] = (outcomes.split(","), reason)

    def tests_for(self, kind, names):
        return [name for name in names if kind != "read-only" or name in self.read_only]

    def complaint(self, kind, result):
        """A sentence about a result that is not as expected, or ''."""
        wanted, reason = self.exceptions.get((kind, result.name), (["passed"], ""))
        if result.outcome in wanted:
            return ""
        why = f" ({reason})" if reason else ""
        return f"{kind}: {result.name}: {result.outcome}, not {' or '.join(wanted)}{why}"

    def complaints_about_all(self, names, results):
        """About the results of all kinds, {kind: [result, ...]}, of a run that left out nothing."""
        passed = {result.name for of_kind in results.values() for result in of_kind if result.outcome == "passed"}
        complaints = [f"{name}: passed on no kind of unit" for name in names if name not in passed | self.nowhere]
        for name in sorted(set(self.read_only) | {test for _, test in self.exceptions}):
            if name not in names:
                complaints.append(f"{name}: is listed, but iscsi-test-cu has no such test")
        for kind, limit in MOST_SKIPPED.items():
            skipped = sum(result.outcome == "skipped" for result in results[kind])
            if skipped > limit:
                complaints.append(f"{kind}: {skipped} tests were skipped, more than {limit}")
        return complaints
